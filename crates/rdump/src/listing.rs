//! Which databases, tables, views and sequences are dumped.

use std::collections::BTreeMap;

use common::ident::{TableName, quote, quote_string};
use mysql::wire::WireConn;
use mysql::{Flavor, ServerInfo};
use tracing::warn;

use crate::config::Config;
use crate::error::{Doing, DumpError, Result};
use crate::source::ask;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// Rows of its own.
    Table,
    /// A stored query.
    View,
    /// A sequence.
    Sequence,
}

impl ObjectKind {
    /// The word in the manifest.
    pub fn name(self) -> &'static str {
        match self {
            ObjectKind::Table => "table",
            ObjectKind::View => "view",
            ObjectKind::Sequence => "sequence",
        }
    }

    fn of(table_type: &str) -> Option<ObjectKind> {
        match table_type.to_ascii_uppercase().as_str() {
            "BASE TABLE" | "SYSTEM VERSIONED" => Some(ObjectKind::Table),
            "VIEW" => Some(ObjectKind::View),
            "SEQUENCE" => Some(ObjectKind::Sequence),
            _ => None,
        }
    }
}

/// What is dumped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub kind: ObjectKind,
}

/// Everything that is dumped, as the server lists it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Databases in the server's order, those without objects included.
    pub databases: Vec<String>,
    /// Objects, grouped by database.
    pub objects: Vec<Object>,
}

impl Listing {
    /// The base tables.
    pub fn tables(&self) -> impl Iterator<Item = &TableName> {
        self.objects.iter().filter(|object| object.kind == ObjectKind::Table).map(|object| &object.name)
    }
}

/// Lists what the configuration asks for.
///
/// # Errors
/// The server's; names given with `-B` or `-T` that are not there.
pub async fn list(
    conn: &mut WireConn,
    server: &ServerInfo,
    config: &Config,
    account: &str,
) -> Result<Listing> {
    if !config.tables.is_empty() {
        return list_named(conn, config).await;
    }
    let answer = ask(conn, "SHOW DATABASES").await.doing(|| "list databases".into())?;
    let all: Vec<String> = (0..answer.len()).filter_map(|row| answer.at(row, 0)).collect();
    let mut databases: Vec<String> =
        all.into_iter().filter(|name| config.filter.matches_schema(name)).collect();
    if !config.databases.is_empty() {
        let missing: Vec<String> =
            config.databases.iter().filter(|name| !databases.contains(name)).cloned().collect();
        if let Some(first) = missing.first() {
            let hint = format!(
                ": not there, left out by the filter, or not visible to the account (then an administrator \
                 can help: GRANT SELECT ON {}.* TO {account})",
                quote(first)
            );
            return Err(DumpError::UnknownDatabases { names: missing, hint });
        }
        databases.retain(|name| config.databases.contains(name));
    }
    let mut found = match server.is_mysql(8, 0, 0) || server.flavor == Flavor::TiDb {
        true => list_at_once(conn, &databases).await?,
        false => list_each(conn, &databases).await?,
    };
    let mut objects = Vec::new();
    for database in &databases {
        for (name, table_type) in found.remove(database).unwrap_or_default() {
            if !config.filter.matches_table(database, &name) {
                continue;
            }
            let name = TableName::new(database.clone(), name);
            let Some(kind) = ObjectKind::of(&table_type) else {
                warn!(table = %name, r#type = %table_type, "unknown table type, left out");
                continue;
            };
            let wanted = match kind {
                ObjectKind::Table => true,
                ObjectKind::View => !config.no_views,
                ObjectKind::Sequence => !config.no_sequences,
            };
            if wanted {
                objects.push(Object { name, kind });
            }
        }
    }
    if !config.dump_empty_database {
        databases.retain(|database| objects.iter().any(|object| object.name.schema == *database));
    }
    Ok(Listing { databases, objects })
}

type Found = BTreeMap<String, Vec<(String, String)>>;

/// One statement for all databases: little time under the lock. Quick since 8.0 has a data dictionary.
async fn list_at_once(conn: &mut WireConn, databases: &[String]) -> Result<Found> {
    let mut found = Found::new();
    if databases.is_empty() {
        return Ok(found);
    }
    let names: Vec<String> = databases.iter().map(|name| quote_string(name)).collect();
    let sql = format!(
        "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA IN ({}) \
         ORDER BY TABLE_SCHEMA, TABLE_NAME",
        names.join(",")
    );
    let answer = ask(conn, &sql).await.doing(|| "list tables".into())?;
    for row in 0..answer.len() {
        if let (Some(schema), Some(table), Some(kind)) =
            (answer.at(row, 0), answer.at(row, 1), answer.at(row, 2))
        {
            found.entry(schema).or_default().push((table, kind));
        }
    }
    Ok(found)
}

/// One statement a database, which reads no statistics.
async fn list_each(conn: &mut WireConn, databases: &[String]) -> Result<Found> {
    let mut found = Found::new();
    for database in databases {
        found.insert(database.clone(), show_full_tables(conn, database).await?);
    }
    Ok(found)
}

async fn show_full_tables(conn: &mut WireConn, database: &str) -> Result<Vec<(String, String)>> {
    let sql = format!("SHOW FULL TABLES FROM {}", quote(database));
    let answer = ask(conn, &sql).await.doing(|| format!("list tables of {}", quote(database)))?;
    Ok((0..answer.len()).filter_map(|row| Some((answer.at(row, 0)?, answer.at(row, 1)?))).collect())
}

/// `-T`: the names as given, whatever filter and view flags say.
async fn list_named(conn: &mut WireConn, config: &Config) -> Result<Listing> {
    let mut databases: Vec<String> = Vec::new();
    for table in &config.tables {
        if !databases.contains(&table.schema) {
            databases.push(table.schema.clone());
        }
    }
    let found = list_each(conn, &databases).await?;
    let mut objects = Vec::new();
    for name in &config.tables {
        let tables = found.get(&name.schema).map_or(&[][..], Vec::as_slice);
        let exact = tables.iter().find(|(table, _)| *table == name.table);
        // A server that does not tell cases apart finds the table under another spelling.
        let entry =
            exact.or_else(|| tables.iter().find(|(table, _)| table.eq_ignore_ascii_case(&name.table)));
        let Some((_, table_type)) = entry else {
            return Err(DumpError::UnknownTable(name.quoted()));
        };
        let kind = ObjectKind::of(table_type).ok_or_else(|| DumpError::Answer {
            doing: format!("look up table {name}"),
            what: format!("unknown table type {table_type}"),
        })?;
        objects.push(Object { name: name.clone(), kind });
    }
    Ok(Listing { databases, objects })
}
