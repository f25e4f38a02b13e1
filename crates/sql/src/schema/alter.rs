//! ALTER TABLE, CREATE INDEX and DROP INDEX on a table.
//!
//! A server does not take the changes one after another: names in DROP, CHANGE and MODIFY mean the columns before the statement, names in
//! keys the columns after it. So the order here is: columns and keys that go, columns that change or come (in the order written), then
//! names of indexes, new keys, options.

use super::build::{self, Keys};
use super::charset::{self, Pair};
use super::{Column, Dialect, Environment, Index, SchemaError, Table, is_text, same_name};
use crate::ddl::{
    AlterSpec, AlterTable, Change, CharsetChoice, ColumnAction, ColumnDef, Ddl, DefaultValue, Element,
    IndexDef, PartitionChange, Position, TypeKind, added,
};

type Result<T> = std::result::Result<T, SchemaError>;

/// What DEFAULT means as a character set: that of the table's database as an option, and in CONVERT TO that of the session's database for
/// MySQL, but the default collation of the table's database's character set for MariaDB.
#[derive(Clone, Copy)]
pub(super) struct Defaults<'a> {
    pub(super) database: Option<&'a Pair>,
    pub(super) session: Option<&'a Pair>,
}

/// Marks in front of a column's name in a key while the statement is at work; no name can hold them.
const RENAMED: char = '\0';
const DROPPED: char = '\u{1}';

/// A table while a statement is at work on it.
struct Work<'a> {
    table: Table,
    /// The names columns had before the statement, parallel to the table's columns; None for new ones.
    old_names: Vec<Option<String>>,
    environment: &'a Environment,
    ddl: &'a Ddl,
}

/// The table after an ALTER TABLE; a new name is left to the tracker.
pub(super) fn alter(
    table: &Table,
    alter: &AlterTable,
    ddl: &Ddl,
    defaults: Defaults<'_>,
    environment: &Environment,
) -> Result<Table> {
    let old_names = table.columns.iter().map(|column| Some(column.name.clone())).collect();
    let mut work = Work { table: table.clone(), old_names, environment, ddl };
    let changes = || alter.specs.iter().map(|spec| &spec.change);
    work.options(&alter.specs, defaults)?;
    for change in changes() {
        work.removal(change)?;
    }
    let definitions: Vec<&ColumnDef> = changes().flat_map(definitions).collect();
    let promoted = build::promoted_timestamp(&definitions, environment);
    let converts = changes().any(|change| matches!(change, Change::Convert(_)));
    if converts {
        work.convert();
    }
    for change in changes() {
        work.column_change(change, promoted.as_deref())?;
    }
    if converts {
        // New and changed columns take the character set too, whatever they ask for; their types stay.
        work.convert_charsets();
    }
    work.settle_parts();
    for change in changes() {
        work.index_change(change)?;
    }
    work.new_keys(changes())?;
    for change in changes() {
        match change {
            Change::Neutral { what: "ADD SYSTEM VERSIONING" } => work.table.hidden_period = true,
            Change::Neutral { what: "DROP SYSTEM VERSIONING" } => work.table.hidden_period = false,
            _ => {}
        }
    }
    work.table.hidden_period &= work.table.row_end().is_none();
    Ok(work.table)
}

/// The column definitions a change holds.
fn definitions(change: &Change) -> Vec<&ColumnDef> {
    match change {
        Change::AddColumn { column, .. }
        | Change::ModifyColumn { column, .. }
        | Change::ChangeColumn { column, .. } => vec![column],
        other => added(other)
            .iter()
            .filter_map(|element| match element {
                Element::Column(column) => Some(column),
                _ => None,
            })
            .collect(),
    }
}

/// The table after CREATE INDEX.
pub(super) fn create_index(
    table: &Table,
    index: &IndexDef,
    or_replace: bool,
    if_not_exists: bool,
    environment: &Environment,
) -> Result<Table> {
    let mut table = table.clone();
    if let Some(name) = &index.name
        && table.index(name).is_some()
    {
        if if_not_exists {
            return Ok(table);
        }
        if or_replace {
            table.indexes.retain(|index| !same_name(&index.name, name));
        }
    }
    let mut keys = Keys::default();
    keys.index(index);
    keys.add_to(&mut table, environment)?;
    Ok(table)
}

/// The table after DROP INDEX.
pub(super) fn drop_index(table: &Table, name: &str, if_exists: bool) -> Result<Table> {
    let mut table = table.clone();
    table.remove_index(name, if_exists)?;
    Ok(table)
}

impl Table {
    fn remove_index(&mut self, name: &str, if_exists: bool) -> Result<()> {
        let before = self.indexes.len();
        self.indexes.retain(|index| !same_name(&index.name, name));
        if self.indexes.len() == before && !if_exists {
            return Err(SchemaError::UnknownIndex { table: self.name.clone(), index: name.to_owned() });
        }
        Ok(())
    }
}

impl Work<'_> {
    /// Where the column is that had this name before the statement.
    fn old(&self, name: &str, if_exists: bool) -> Result<Option<usize>> {
        let found =
            self.old_names.iter().position(|old| old.as_ref().is_some_and(|old| same_name(old, name)));
        if found.is_none() && !if_exists {
            return Err(SchemaError::UnknownColumn {
                table: self.table.name.clone(),
                column: name.to_owned(),
            });
        }
        Ok(found)
    }

    fn removal(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::DropColumn { name, if_exists } => {
                let Some(at) = self.old(name, *if_exists)? else { return Ok(()) };
                let column = self.table.columns.remove(at);
                self.old_names.remove(at);
                // The parts go at the end: a column added under the same name inherits them.
                for part in self.table.indexes.iter_mut().flat_map(|index| &mut index.parts) {
                    if let Some(name) = part.column.as_mut().filter(|name| same_name(name, &column.name)) {
                        name.insert(0, DROPPED);
                    }
                }
            }
            Change::DropIndex { name, if_exists } => self.table.remove_index(name, *if_exists)?,
            Change::DropPrimaryKey => self.table.remove_index("PRIMARY", false)?,
            Change::DropForeignKey { name, .. } => self.drop_foreign_key(name),
            Change::DropConstraint { name, .. } => {
                // A check without a name in the text has one on the server, so a name not found is no error.
                if self
                    .table
                    .foreign_keys
                    .iter()
                    .any(|key| key.name.as_ref().is_some_and(|own| same_name(own, name)))
                {
                    self.drop_foreign_key(name);
                } else if self.table.index(name).is_some_and(|index| index.unique) {
                    self.table.remove_index(name, true)?;
                } else {
                    self.drop_check(name);
                }
            }
            Change::DropCheck { name } => self.drop_check(name),
            _ => {}
        }
        Ok(())
    }

    fn drop_foreign_key(&mut self, name: &str) {
        // Keys without a name are called `table_ibfk_N` by the server.
        let number = name.rsplit_once("_ibfk_").and_then(|(_, number)| number.parse::<usize>().ok());
        let mut unnamed = 0;
        self.table.foreign_keys.retain(|key| match &key.name {
            Some(own) => !same_name(own, name),
            None => {
                unnamed += 1;
                number != Some(unnamed)
            }
        });
    }

    fn drop_check(&mut self, name: &str) {
        self.table.checks.retain(|check| !check.name.as_ref().is_some_and(|own| same_name(own, name)));
    }

    fn column_change(&mut self, change: &Change, promoted: Option<&str>) -> Result<()> {
        match change {
            Change::AddColumn { column, position, if_not_exists } => {
                self.add_column(column, position.as_ref(), *if_not_exists, promoted)
            }
            Change::AddElements { elements, if_not_exists, .. } => {
                for element in elements {
                    if let Element::Column(column) = element {
                        self.add_column(column, None, *if_not_exists, promoted)?;
                    }
                }
                Ok(())
            }
            Change::ModifyColumn { column, position, if_exists } => {
                self.change_column(&column.name, column, position.as_ref(), *if_exists, promoted)
            }
            Change::ChangeColumn { old, column, position, if_exists } => {
                self.change_column(old, column, position.as_ref(), *if_exists, promoted)
            }
            Change::RenameColumn { old, new, if_exists } => {
                let Some(at) = self.old(old, *if_exists)? else { return Ok(()) };
                self.rename_parts(at, new);
                Ok(())
            }
            Change::AlterColumn { name, if_exists, action } => {
                let Some(at) = self.old(name, *if_exists)? else { return Ok(()) };
                let column = &mut self.table.columns[at];
                match action {
                    ColumnAction::SetDefault(value) => column.default = Some(value.clone()),
                    ColumnAction::DropDefault => column.default = None,
                    ColumnAction::SetInvisible(invisible) => column.invisible = *invisible,
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Where a column goes; the name after AFTER is one of the new ones.
    fn place(&self, position: Option<&Position>) -> Result<Option<usize>> {
        Ok(match position {
            None => None,
            Some(Position::First) => Some(0),
            Some(Position::After(name)) => match self.table.column(name) {
                Some((at, _)) => Some(at + 1),
                None => {
                    let table = self.table.name.clone();
                    return Err(SchemaError::UnknownColumn { table, column: name.clone() });
                }
            },
        })
    }

    fn add_column(
        &mut self,
        definition: &ColumnDef,
        position: Option<&Position>,
        if_not_exists: bool,
        promoted: Option<&str>,
    ) -> Result<()> {
        if if_not_exists && self.table.column(&definition.name).is_some() {
            return Ok(());
        }
        let promote = promoted == Some(definition.name.as_str());
        let mut column = build::column(&self.table, definition, self.environment, promote)?;
        column.origin_default = column.default.clone().filter(|value| *value != DefaultValue::Null);
        let at = self.place(position)?;
        self.table.push_column(column, at)?;
        self.old_names.insert(at.unwrap_or(self.old_names.len()), None);
        Ok(())
    }

    fn change_column(
        &mut self,
        old: &str,
        definition: &ColumnDef,
        position: Option<&Position>,
        if_exists: bool,
        promoted: Option<&str>,
    ) -> Result<()> {
        let Some(mut at) = self.old(old, if_exists)? else { return Ok(()) };
        let promote = promoted == Some(definition.name.as_str());
        let mut column = build::column(&self.table, definition, self.environment, promote)?;
        column.id = self.table.columns[at].id;
        column.origin_default = self.table.columns[at].origin_default.clone();
        let in_primary = self
            .table
            .primary_key()
            .is_some_and(|key| key.columns().any(|name| same_name(name, &self.table.columns[at].name)));
        if in_primary {
            column.nullable = false;
            column.default = column.default.filter(|value| *value != DefaultValue::Null);
        }
        self.rename_parts(at, &definition.name);
        self.table.columns[at] = column;
        if position.is_some() {
            let column = self.table.columns.remove(at);
            let old_name = self.old_names.remove(at);
            at = self.place(position)?.unwrap_or(at).min(self.table.columns.len());
            self.table.columns.insert(at, column);
            self.old_names.insert(at, old_name);
        }
        self.shrink_prefixes(at);
        Ok(())
    }

    /// Gives the column at `at` a new name, in keys and foreign keys too. Two columns may swap names within a statement, so keys are
    /// matched by the name the column had and marked by its place.
    fn rename_parts(&mut self, at: usize, new: &str) {
        let Some(old) = self.old_names[at].clone() else { return };
        let mark = |name: &mut String| {
            if same_name(name, &old) {
                // Marked as done, so that the swapped name does not match again.
                *name = format!("{RENAMED}{new}");
            }
        };
        for part in self.table.indexes.iter_mut().flat_map(|index| &mut index.parts) {
            part.column.iter_mut().for_each(mark);
        }
        for key in &mut self.table.foreign_keys {
            key.columns.iter_mut().for_each(mark);
        }
        self.table.columns[at].name = new.to_owned();
    }

    /// Takes the marks off key parts, and out the parts of columns that are gone.
    fn settle_parts(&mut self) {
        let unmark = |name: &mut String| {
            if name.starts_with(RENAMED) {
                name.remove(0);
            }
        };
        for key in &mut self.table.foreign_keys {
            key.columns.iter_mut().for_each(unmark);
        }
        let new: Vec<&Column> = self
            .table
            .columns
            .iter()
            .zip(&self.old_names)
            .filter(|(_, old)| old.is_none())
            .map(|(column, _)| column)
            .collect();
        for index in &mut self.table.indexes {
            let kind = index.kind;
            index.parts.retain_mut(|part| {
                let Some(name) = &mut part.column else { return true };
                unmark(name);
                let Some(dropped) = name.strip_prefix(DROPPED) else { return true };
                let Some(column) = new.iter().find(|column| same_name(&column.name, dropped)) else {
                    return false;
                };
                *name = column.name.clone();
                part.length = build::prefix(column, part.length, kind, self.environment);
                true
            });
        }
        self.table.indexes.retain(|index| !index.parts.is_empty());
    }

    /// Drops key prefixes that the changed column at `at` no longer has room for.
    fn shrink_prefixes(&mut self, at: usize) {
        let column = self.table.columns[at].clone();
        for index in &mut self.table.indexes {
            let kind = index.kind;
            for part in &mut index.parts {
                let own = part.column.as_deref().map(|name| name.strip_prefix(RENAMED).unwrap_or(name));
                if own.is_some_and(|name| same_name(name, &column.name)) {
                    part.length = build::prefix(&column, part.length, kind, self.environment);
                }
            }
        }
    }

    fn index_change(&mut self, change: &Change) -> Result<()> {
        let name_of = |index: &Index, name: &str| same_name(&index.name, name);
        match change {
            Change::RenameIndex { old, new, if_exists } => {
                let found = self.table.indexes.iter_mut().find(|index| name_of(index, old));
                match found {
                    Some(index) => index.name = new.clone(),
                    None if *if_exists => {}
                    None => return Err(self.unknown_index(old)),
                }
            }
            Change::AlterIndex { name, invisible, if_exists } => {
                let found = self.table.indexes.iter_mut().find(|index| name_of(index, name));
                match found {
                    Some(index) => index.invisible = *invisible,
                    None if *if_exists => {}
                    None => return Err(self.unknown_index(name)),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn unknown_index(&self, name: &str) -> SchemaError {
        SchemaError::UnknownIndex { table: self.table.name.clone(), index: name.to_owned() }
    }

    fn new_keys<'c>(&mut self, changes: impl Iterator<Item = &'c Change>) -> Result<()> {
        let mut keys = Keys::default();
        for change in changes {
            match change {
                Change::AddColumn { column, .. }
                | Change::ModifyColumn { column, .. }
                | Change::ChangeColumn { column, .. } => keys.column(column),
                Change::Add { element, if_not_exists } => match element {
                    Element::Index(index) => {
                        let mut index = index.clone();
                        index.if_not_exists |= if_not_exists;
                        keys.index(&index);
                    }
                    other => keys.element(other, self.ddl, self.environment, &mut self.table),
                },
                other => {
                    for element in added(other) {
                        keys.element(element, self.ddl, self.environment, &mut self.table);
                    }
                }
            }
        }
        keys.add_to(&mut self.table, self.environment)
    }

    fn options(&mut self, specs: &[AlterSpec], defaults: Defaults<'_>) -> Result<()> {
        for spec in specs {
            match &spec.change {
                Change::Options(options) => {
                    let choice = build::options(&mut self.table, options);
                    if choice != CharsetChoice::default() {
                        self.set_charset(&choice, defaults.database)?;
                    }
                }
                Change::Convert(choice) => match self.environment.dialect {
                    Dialect::MariaDb if choice.charset.as_deref() == Some("default") => {
                        let charset = defaults.database.map(|(charset, _)| charset.clone());
                        let charset = charset.or_else(|| choice.charset.clone());
                        self.set_charset(&CharsetChoice { charset, ..choice.clone() }, None)?;
                    }
                    _ => self.set_charset(choice, defaults.session)?,
                },
                Change::Partition(PartitionChange::Define) => {
                    self.table.partitioning = Some(spec.span.text(self.ddl.text()));
                }
                // What becomes of single partitions is not followed: rather none than a wrong clause.
                Change::Partition(
                    PartitionChange::Exchange { .. } | PartitionChange::Rows { verb: "TRUNCATE" },
                ) => {}
                Change::Partition(_) => self.table.partitioning = None,
                _ => {}
            }
        }
        Ok(())
    }

    fn set_charset(&mut self, choice: &CharsetChoice, database: Option<&Pair>) -> Result<()> {
        // A collation alone is one of any character set; DEFAULT is the database's.
        let unknown = || SchemaError::UnknownDatabase { schema: String::new() };
        let own = (self.table.charset.clone(), self.table.collation.clone());
        let parent = if choice.charset.as_deref() == Some("default") { database } else { Some(&own) };
        (self.table.charset, self.table.collation) =
            charset::resolve(choice, parent, self.environment, unknown)?;
        Ok(())
    }

    /// CONVERT TO CHARACTER SET: all text columns take the table's new one, and text types grow to hold as many characters as before. An
    /// ENUM or SET of bytes stays one.
    fn convert(&mut self) {
        let charset = self.table.charset.clone();
        let bytes_of =
            |charset: &str| charset::charset_info(charset).map_or(1, |info| u64::from(info.max_bytes));
        for column in self.table.columns.iter_mut().filter(|column| converts(column)) {
            let old_bytes = bytes_of(column.charset.as_deref().unwrap_or(&charset));
            convert_kind(column, old_bytes, bytes_of(&charset), charset == "binary");
        }
        self.convert_charsets();
    }

    fn convert_charsets(&mut self) {
        let (charset, collation) = (&self.table.charset, &self.table.collation);
        for column in &mut self.table.columns {
            if converts(column) {
                column.charset = Some(charset.clone());
                column.collation = Some(collation.clone());
            } else if !is_text(&column.kind) {
                (column.charset, column.collation) = (None, None);
            }
        }
    }
}

/// Whether CONVERT TO CHARACTER SET touches a column.
fn converts(column: &Column) -> bool {
    is_text(&column.kind) && column.charset.as_deref() != Some("binary")
}

/// The type a column has after its characters went from `old` to `new` bytes each.
fn convert_kind(column: &mut Column, old: u64, new: u64, binary: bool) {
    use TypeKind::*;
    let capacity: u64 = match column.kind {
        TinyText => 0xff,
        Text => 0xffff,
        MediumText => 0xff_ffff,
        LongText => 0xffff_ffff,
        VarChar if !binary => {
            let bytes = u64::from(column.length.unwrap_or(0)) * new;
            if bytes > 65_535 {
                column.kind = build::text_of(bytes, false);
                column.length = None;
            }
            return;
        }
        _ => return convert_binary(column, binary),
    };
    column.kind = build::text_of(capacity / old * new, binary);
}

fn convert_binary(column: &mut Column, binary: bool) {
    match column.kind {
        TypeKind::Char if binary => column.kind = TypeKind::Binary,
        TypeKind::VarChar if binary => column.kind = TypeKind::VarBinary,
        _ => {}
    }
}
