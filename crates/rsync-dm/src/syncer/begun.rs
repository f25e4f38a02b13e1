//! Whether a statement that was begun has been run, when the structure is another one than before it.
//!
//! Mostly it has. But somebody else may have changed the table since (an operator while the process was down, another source's statement).
//! Where the structure shows that it was not run, or running it twice does the same as once, it is run.

use std::collections::BTreeSet;

use common::{
    error::{DmError, Scope},
    ident::TableName,
};
use mysql::Conn;
use sql::{
    ddl::{AlterTable, Change, Ddl, Element, IndexDef, IndexKind, Statement},
    schema::Table,
};

use super::{
    done::full,
    structures::{environment, show_create},
};

/// Whether a statement, or a change of one, is still to be run for all that the structure shows.
///
/// # Errors
/// The target can't be asked.
pub(super) async fn is_to_do(conn: &mut Conn, ddl: &Ddl, objects: &[TableName]) -> Result<bool, DmError> {
    use Statement as S;
    let environment = environment(conn.server());
    let mut table = async |name: &TableName| show_create(conn, name, &environment, Scope::Downstream).await;
    let (name, changes) = match &ddl.statement {
        S::RenameTable { pairs, .. } => {
            let [(old, new)] = pairs.as_slice() else { return Ok(false) };
            return Ok(
                table(&full(old, objects)).await?.is_some() && table(&full(new, objects)).await?.is_none()
            );
        }
        S::AlterTable(alter) => {
            let name = full(&alter.table, objects);
            if let [spec] = alter.specs.as_slice()
                && let Change::RenameTable(new) = &spec.change
            {
                return Ok(table(&name).await?.is_some() && table(&full(new, objects)).await?.is_none());
            }
            (name, Changes::of(alter))
        }
        S::CreateIndex { table, index, .. } => (full(table, objects), Changes::of_index(index)),
        S::DropIndex { table, name: index, .. } => {
            let dropped = BTreeSet::from([index.to_lowercase()]);
            (full(table, objects), Changes { dropped_indexes: dropped, ..Changes::default() })
        }
        S::CreateTable(create) => return Ok(table(&full(&create.table, objects)).await?.is_none()),
        _ => return Ok(false),
    };
    Ok(table(&name).await?.is_some_and(|there| changes.are_to_do(&there)))
}

/// The primary key among indexes.
const PRIMARY: &str = "primary";

fn note(names: &mut BTreeSet<String>, name: &str) {
    names.insert(name.to_lowercase());
}

/// What a statement does to names.
#[derive(Default)]
struct Changes {
    added: BTreeSet<String>,
    dropped: BTreeSet<String>,
    added_indexes: BTreeSet<String>,
    dropped_indexes: BTreeSet<String>,
    /// There is nothing but what makes the same when it is run again.
    may_be_repeated: bool,
}

impl Changes {
    fn of(alter: &AlterTable) -> Self {
        let mut all = Self { may_be_repeated: !alter.specs.is_empty(), ..Self::default() };
        for spec in &alter.specs {
            all.may_be_repeated &= matches!(
                spec.change,
                Change::ModifyColumn { .. }
                    | Change::AlterColumn { .. }
                    | Change::AlterIndex { .. }
                    | Change::Convert(_)
                    | Change::Options(_)
                    | Change::Neutral { .. }
            );
            all.add(&spec.change);
        }
        all
    }

    fn of_index(index: &IndexDef) -> Self {
        let mut all = Self::default();
        all.add_element(&Element::Index(index.clone()));
        all
    }

    fn add(&mut self, change: &Change) {
        match change {
            Change::AddColumn { column, .. } => note(&mut self.added, &column.name),
            Change::AddElements { elements, .. } => elements.iter().for_each(|e| self.add_element(e)),
            Change::Add { element, .. } => self.add_element(element),
            Change::DropColumn { name, .. } => note(&mut self.dropped, name),
            Change::DropIndex { name, .. } => note(&mut self.dropped_indexes, name),
            Change::DropPrimaryKey => note(&mut self.dropped_indexes, PRIMARY),
            Change::ChangeColumn { old, column, .. } => self.rename(old, &column.name),
            Change::RenameColumn { old, new, .. } => self.rename(old, new),
            Change::RenameIndex { old, new, .. } => {
                note(&mut self.dropped_indexes, old);
                note(&mut self.added_indexes, new);
            }
            _ => {}
        }
    }

    fn rename(&mut self, old: &str, new: &str) {
        note(&mut self.dropped, old);
        note(&mut self.added, new);
    }

    fn add_element(&mut self, element: &Element) {
        match element {
            Element::Column(column) => note(&mut self.added, &column.name),
            Element::Index(index) if index.kind == IndexKind::Primary => {
                note(&mut self.added_indexes, PRIMARY);
            }
            Element::Index(IndexDef { name: Some(name), .. }) => note(&mut self.added_indexes, name),
            _ => {}
        }
    }

    /// A name that is both added and dropped shows nothing.
    fn are_to_do(&self, there: &Table) -> bool {
        let column = |name: &String| there.column(name).is_some();
        let index = |name: &String| match name.as_str() {
            PRIMARY => there.primary_key().is_some(),
            name => there.index(name).is_some(),
        };
        self.may_be_repeated
            || self.added.difference(&self.dropped).any(|name| !column(name))
            || self.dropped.difference(&self.added).any(column)
            || self.added_indexes.difference(&self.dropped_indexes).any(|name| !index(name))
            || self.dropped_indexes.difference(&self.added_indexes).any(index)
    }
}

#[cfg(test)]
mod tests {
    use sql::{SqlMode, ddl};

    use super::*;

    #[test]
    fn what_a_structure_shows() {
        let there = "CREATE TABLE t (id int, v int, w int, PRIMARY KEY (id), KEY k (v))";
        let there = Table::from_create(there.as_bytes(), SqlMode::default()).unwrap();
        for (change, is_to_do) in [
            ("ADD COLUMN a int", true),
            ("ADD COLUMN v int", false),
            ("ADD (v int, a int)", true),
            ("DROP COLUMN v", true),
            ("DROP COLUMN a", false),
            ("DROP COLUMN v, ADD COLUMN V bigint", false),
            ("CHANGE v a int", true),
            ("CHANGE a v int", false),
            ("CHANGE v v bigint", false),
            ("CHANGE v w int, CHANGE w v int", false),
            ("MODIFY v bigint", true),
            ("MODIFY v bigint, DROP COLUMN a", false),
            ("ADD KEY K (w)", false),
            ("ADD UNIQUE KEY l (w)", true),
            ("ADD UNIQUE KEY (w)", false),
            ("DROP KEY k", true),
            ("DROP KEY l", false),
            ("DROP PRIMARY KEY", true),
            ("DROP PRIMARY KEY, ADD PRIMARY KEY (v)", false),
            ("RENAME KEY k TO l", true),
            ("RENAME KEY l TO k", false),
            ("ADD PARTITION PARTITIONS 2", false),
        ] {
            let text = format!("ALTER TABLE t {change}");
            let parsed = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
            let Statement::AlterTable(alter) = &parsed.statement else { panic!("{change}") };
            assert_eq!(Changes::of(alter).are_to_do(&there), is_to_do, "{change}");
        }
    }
}
