//! The tables of many databases, changed by statements.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::charset::{self, Pair};
use super::{Environment, SchemaError, Table, alter, build, same_name};
use crate::classify::NamedTable;
use crate::ddl::{AlterTable, Change, CreateTable, Ddl, ForeignKey, PartitionChange, Statement};

type Result<T> = std::result::Result<T, SchemaError>;

/// A table's key: schema and table, lower-case where the server compares so.
type Key = (String, String);

/// Tables by schema and name. One tracker belongs to one source; it is not shared between threads while it changes.
///
/// Numbered invariants:
/// 1. A statement that fails changes nothing.
/// 2. A table once handed out ([`Arc`]) never changes; a statement puts another in its place.
#[derive(Clone, Debug)]
pub struct Tracker {
    environment: Environment,
    databases: HashMap<String, Pair>,
    tables: BTreeMap<Key, Arc<Table>>,
}

/// What a statement did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Tables that exist in a new form under this name: created, altered or renamed to, and those
    /// whose foreign keys follow another table.
    pub changed: Vec<(String, String)>,
    /// Names under which there is no table any more: dropped or renamed.
    pub gone: Vec<(String, String)>,
}

impl Tracker {
    /// A tracker that knows no table.
    pub fn new(environment: Environment) -> Self {
        Self { environment, databases: HashMap::new(), tables: BTreeMap::new() }
    }

    /// The rules it follows.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    fn fold(&self, name: &str) -> String {
        if self.environment.lower_case_table_names == 0 { name.to_owned() } else { name.to_lowercase() }
    }

    fn key(&self, schema: &str, table: &str) -> Key {
        (self.fold(schema), self.fold(table))
    }

    /// States the default character set and collation of a database, which CREATE TABLE without one needs.
    pub fn set_database(&mut self, schema: &str, charset: &str, collation: &str) {
        let charset = charset::charset_info(charset).map_or(charset, |info| info.name);
        self.databases.insert(self.fold(schema), (charset.to_owned(), collation.to_owned()));
    }

    /// Default character set and collation of a database, if known.
    pub fn database(&self, schema: &str) -> Option<(&str, &str)> {
        self.databases
            .get(&self.fold(schema))
            .map(|(charset, collation)| (charset.as_str(), collation.as_str()))
    }

    /// The table, if tracked.
    pub fn table(&self, schema: &str, table: &str) -> Option<Arc<Table>> {
        self.tables.get(&self.key(schema, table)).cloned()
    }

    /// Every tracked table with schema and name as the tracker keys them.
    pub fn tables(&self) -> impl Iterator<Item = (&str, &str, &Arc<Table>)> {
        self.tables.iter().map(|((schema, table), content)| (schema.as_str(), table.as_str(), content))
    }

    /// Puts a table under a name, whatever was there.
    pub fn set_table(&mut self, schema: &str, name: &str, mut table: Table) -> Arc<Table> {
        if table.name != name {
            table.name = name.to_owned();
        }
        let table = Arc::new(table);
        self.tables.insert(self.key(schema, name), Arc::clone(&table));
        table
    }

    /// Forgets a table; false if it was not tracked.
    pub fn forget_table(&mut self, schema: &str, table: &str) -> bool {
        self.tables.remove(&self.key(schema, table)).is_some()
    }

    /// Applies a statement. Temporary tables are not tracked and change nothing; so does a DROP of a table that is not tracked.
    ///
    /// # Errors
    /// [`SchemaError`]; nothing is changed then. [`UnknownTable`](SchemaError::UnknownTable) and
    /// [`UnknownDatabase`](SchemaError::UnknownDatabase) say what to load before the statement is given again.
    pub fn apply(&mut self, ddl: &Ddl, default_schema: &str) -> Result<Applied> {
        // The maps are small beside their tables, which are shared.
        let mut next = self.clone();
        let applied = next.run(ddl, default_schema)?;
        *self = next;
        Ok(applied)
    }

    fn run(&mut self, ddl: &Ddl, default_schema: &str) -> Result<Applied> {
        let mut applied = Applied::default();
        match &ddl.statement {
            Statement::CreateDatabase { name, charset, or_replace, if_not_exists } => {
                let known = self.databases.contains_key(&self.fold(name));
                if *if_not_exists && known {
                    return Ok(applied);
                }
                if *or_replace {
                    self.drop_database(name, &mut applied);
                }
                let server = (self.environment.charset.clone(), self.environment.collation.clone());
                let pair = self.resolve(charset, Some(&server), name)?;
                self.databases.insert(self.fold(name), pair);
            }
            Statement::AlterDatabase { name, charset } => {
                let name = name.as_deref().unwrap_or(default_schema);
                if name.is_empty() {
                    return Err(SchemaError::NoSchema { table: String::new() });
                }
                let parent = self.databases.get(&self.fold(name)).cloned();
                // An ALTER DATABASE without character set on an unknown one leaves it unknown.
                if parent.is_some() || *charset != Default::default() {
                    let pair = self.resolve(charset, parent.as_ref(), name)?;
                    self.databases.insert(self.fold(name), pair);
                }
            }
            Statement::DropDatabase { name, .. } => self.drop_database(name, &mut applied),
            Statement::CreateTable(create) => self.create(ddl, create, default_schema, &mut applied)?,
            Statement::AlterTable(alter) => self.alter(ddl, alter, default_schema, &mut applied)?,
            Statement::DropTable { temporary: true, .. } | Statement::TruncateTable { .. } => {}
            Statement::DropTable { tables, .. } => {
                for table in tables {
                    let (schema, table) = qualify(table, default_schema)?;
                    if self.forget_table(&schema, &table) {
                        applied.gone.push((schema, table));
                    }
                }
            }
            Statement::RenameTable { pairs, if_exists } => {
                for (old, new) in pairs {
                    self.rename(old, new, default_schema, *if_exists, &mut applied)?;
                }
            }
            Statement::CreateIndex { table, index, or_replace, if_not_exists } => {
                let (schema, name, table) = self.find(table, default_schema)?;
                let next =
                    alter::create_index(&table, index, *or_replace, *if_not_exists, &self.environment)?;
                self.put(schema, name, next, &mut applied);
            }
            Statement::DropIndex { table, name: index, if_exists } => {
                let (schema, name, table) = self.find(table, default_schema)?;
                let next = alter::drop_index(&table, index, *if_exists)?;
                self.put(schema, name, next, &mut applied);
            }
        }
        Ok(applied)
    }

    fn resolve(
        &self,
        choice: &crate::ddl::CharsetChoice,
        parent: Option<&Pair>,
        schema: &str,
    ) -> Result<Pair> {
        charset::resolve(choice, parent, &self.environment, || SchemaError::UnknownDatabase {
            schema: schema.to_owned(),
        })
    }

    fn drop_database(&mut self, name: &str, applied: &mut Applied) {
        let folded = self.fold(name);
        self.databases.remove(&folded);
        self.tables.retain(|(schema, table), _| {
            let goes = *schema == folded;
            if goes {
                applied.gone.push((schema.clone(), table.clone()));
            }
            !goes
        });
    }

    /// Schema, name and content of a table that a statement changes.
    fn find(&self, table: &NamedTable, default_schema: &str) -> Result<(String, String, Arc<Table>)> {
        let (schema, table) = qualify(table, default_schema)?;
        match self.table(&schema, &table) {
            Some(content) => Ok((schema, table, content)),
            None => Err(SchemaError::UnknownTable { schema, table }),
        }
    }

    fn put(&mut self, schema: String, name: String, table: Table, applied: &mut Applied) {
        self.set_table(&schema, &name, table);
        applied.changed.push((schema, name));
    }

    fn create(
        &mut self,
        ddl: &Ddl,
        create: &CreateTable,
        default_schema: &str,
        applied: &mut Applied,
    ) -> Result<()> {
        if create.temporary {
            return Ok(());
        }
        let (schema, name) = qualify(&create.table, default_schema)?;
        if self.table(&schema, &name).is_some() && !create.or_replace {
            if create.if_not_exists {
                return Ok(());
            }
            return Err(SchemaError::TableExists { schema, table: name });
        }
        let table = match &create.like {
            Some(model) => {
                let (_, _, model) = self.find(model, default_schema)?;
                let mut table = Table::clone(&model);
                table.foreign_keys.clear();
                table.auto_increment = None;
                for index in &mut table.indexes {
                    index.implicit = false;
                }
                table
            }
            None => {
                let database = self.databases.get(&self.fold(&schema)).cloned();
                build::table(ddl, create, database.as_ref(), &self.environment).map_err(
                    |error| match error {
                        SchemaError::UnknownDatabase { .. } => {
                            SchemaError::UnknownDatabase { schema: schema.clone() }
                        }
                        other => other,
                    },
                )?
            }
        };
        self.put(schema, name, table, applied);
        Ok(())
    }

    fn alter(
        &mut self,
        ddl: &Ddl,
        statement: &AlterTable,
        default_schema: &str,
        applied: &mut Applied,
    ) -> Result<()> {
        let (schema, name, table) = match self.find(&statement.table, default_schema) {
            Err(SchemaError::UnknownTable { .. }) if statement.if_exists => return Ok(()),
            found => found?,
        };
        let database = self.databases.get(&self.fold(&schema)).cloned();
        let session = self.databases.get(&self.fold(default_schema)).cloned();
        let defaults = alter::Defaults { database: database.as_ref(), session: session.as_ref() };
        let next =
            alter::alter(&table, statement, ddl, defaults, &self.environment).map_err(
                |error| match error {
                    SchemaError::UnknownDatabase { .. } => {
                        SchemaError::UnknownDatabase { schema: schema.clone() }
                    }
                    other => other,
                },
            )?;
        let mut target = (schema.clone(), name.clone());
        for spec in &statement.specs {
            match &spec.change {
                Change::RenameTable(new) => target = qualify(new, default_schema)?,
                Change::Partition(PartitionChange::ToTable { table: new }) => {
                    let (new_schema, new_name) = qualify(new, default_schema)?;
                    let mut copy = next.clone();
                    copy.partitioning = None;
                    self.put(new_schema, new_name, copy, applied);
                }
                Change::Partition(PartitionChange::FromTable { table: old }) => {
                    let (old_schema, old_name) = qualify(old, default_schema)?;
                    if self.forget_table(&old_schema, &old_name) {
                        applied.gone.push((old_schema, old_name));
                    }
                }
                _ => {}
            }
        }
        let mut renamed_from = None;
        if self.key(&target.0, &target.1) != self.key(&schema, &name) {
            if self.table(&target.0, &target.1).is_some() {
                return Err(SchemaError::TableExists { schema: target.0, table: target.1 });
            }
            self.forget_table(&schema, &name);
            renamed_from = Some((schema.clone(), name.clone()));
            applied.gone.push((schema, name));
        }
        self.put(target.0.clone(), target.1.clone(), next, applied);
        if let Some((schema, name)) = renamed_from {
            self.follow_parent((&schema, &name), (&target.0, &target.1), applied);
        }
        let renamed: Vec<(&str, &str)> = statement
            .specs
            .iter()
            .filter_map(|spec| match &spec.change {
                Change::ChangeColumn { old, column, .. } => Some((old.as_str(), column.name.as_str())),
                Change::RenameColumn { old, new, .. } => Some((old.as_str(), new.as_str())),
                _ => None,
            })
            .filter(|(old, new)| old != new)
            .collect();
        if !renamed.is_empty() {
            self.change_references((&target.0, &target.1), applied, |key| {
                for column in &mut key.parent_columns {
                    if let Some((_, new)) = renamed.iter().find(|(old, _)| same_name(old, column)) {
                        *column = (*new).to_owned();
                    }
                }
            });
        }
        Ok(())
    }

    /// Foreign keys of the tables that refer to a renamed one follow it.
    fn follow_parent(&mut self, old: (&str, &str), new: (&str, &str), applied: &mut Applied) {
        self.change_references(old, applied, |key| {
            key.parent = NamedTable { schema: Some(new.0.to_owned()), table: new.1.to_owned() };
        });
    }

    /// Changes the foreign keys that refer to a table.
    fn change_references(
        &mut self,
        parent: (&str, &str),
        applied: &mut Applied,
        change: impl Fn(&mut ForeignKey),
    ) {
        let parent = self.key(parent.0, parent.1);
        let refers = |tracker: &Self, schema: &str, named: &NamedTable| {
            tracker.key(named.schema.as_deref().unwrap_or(schema), &named.table) == parent
        };
        let children: Vec<Key> = self
            .tables
            .iter()
            .filter(|((schema, _), table)| {
                table.foreign_keys.iter().any(|key| refers(self, schema, &key.parent))
            })
            .map(|(key, _)| key.clone())
            .collect();
        for child in children {
            let Some(table) = self.tables.get(&child) else { continue };
            let mut table = Table::clone(table);
            for key in &mut table.foreign_keys {
                if refers(self, &child.0, &key.parent) {
                    change(key);
                }
            }
            let changed = (child.0.clone(), table.name.clone());
            if !applied.changed.contains(&changed) {
                applied.changed.push(changed);
            }
            self.tables.insert(child, Arc::new(table));
        }
    }

    fn rename(
        &mut self,
        old: &NamedTable,
        new: &NamedTable,
        default_schema: &str,
        if_exists: bool,
        applied: &mut Applied,
    ) -> Result<()> {
        let (schema, name, table) = match self.find(old, default_schema) {
            Err(SchemaError::UnknownTable { .. }) if if_exists => return Ok(()),
            found => found?,
        };
        let (new_schema, new_name) = qualify(new, default_schema)?;
        if self.key(&schema, &name) != self.key(&new_schema, &new_name) {
            if self.table(&new_schema, &new_name).is_some() {
                return Err(SchemaError::TableExists { schema: new_schema, table: new_name });
            }
            self.forget_table(&schema, &name);
            // In a swap a name goes away and comes back.
            applied.changed.retain(|changed| *changed != (schema.clone(), name.clone()));
            applied.gone.push((schema.clone(), name.clone()));
        }
        applied.gone.retain(|gone| *gone != (new_schema.clone(), new_name.clone()));
        self.put(new_schema.clone(), new_name.clone(), Table::clone(&table), applied);
        self.follow_parent((&schema, &name), (&new_schema, &new_name), applied);
        Ok(())
    }
}

/// Schema and name of a table as a statement means it.
fn qualify(table: &NamedTable, default_schema: &str) -> Result<(String, String)> {
    let schema = table.schema.as_deref().unwrap_or(default_schema);
    if schema.is_empty() {
        return Err(SchemaError::NoSchema { table: table.table.clone() });
    }
    Ok((schema.to_owned(), table.table.clone()))
}
