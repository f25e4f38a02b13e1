//! Rows that refer to rows that are not there. Sessions load with `foreign_key_checks=0`, because tables come in any order, so no server
//! says it: every foreign key of a loaded table is looked at when all rows are in.
//!
//! The rows are what the dump has, so the import ends well; what is found is said on standard output and in the log.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use mysql::{Conn, Row};
use tracing::{info, warn};

use crate::config::Config;
use crate::downstream::{Target, tables};
use crate::error::{Context, Result};
use crate::source::Dump;

/// A foreign key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ForeignKey {
    name: String,
    child: TableName,
    parent: TableName,
    /// Column of the child, column of the parent.
    columns: Vec<(String, String)>,
}

/// Looks at all foreign keys of the loaded tables and says which do not hold.
///
/// # Errors
/// None of its own: what cannot be looked at is said, and the rows are in.
pub async fn look(config: &Config, target: &Target, dump: &Dump) {
    if let Err(error) = try_look(config, target, dump).await {
        warn!(%error, "foreign keys could not be looked at: rows that refer to nothing are not known");
    }
}

async fn try_look(config: &Config, target: &Target, dump: &Dump) -> Result<()> {
    let doing = || "connect to the target".to_owned();
    let names: BTreeSet<&TableName> =
        dump.tables.iter().filter(|(_, table)| !table.files.is_empty()).map(|(name, _)| name).collect();
    let schemas: BTreeSet<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let mut conn = target.another().await.context(codes::DB_CONNECT, doing)?;
    // As the server spells them.
    let loaded: BTreeSet<TableName> =
        tables::load(&mut conn, &names).await?.into_values().map(|info| info.name).collect();
    for schema in schemas {
        for key in foreign_keys(&mut conn, schema).await? {
            if !loaded.contains(&key.child) {
                continue;
            }
            match conn.query_one(key.query()).await {
                Ok(Some(row)) => say(config, &key, &row),
                Ok(None) => {}
                Err(error) if error.is_connection_gone() => {
                    return Err(error).context(codes::DB_CONNECT, || format!("look at {}", key.child));
                }
                Err(error) => {
                    warn!(table = %key.child, key = key.name, %error, "the foreign key could not be looked at: rows that refer to nothing are \
                         not known");
                }
            }
        }
    }
    conn.close().await;
    Ok(())
}

fn say(config: &Config, key: &ForeignKey, row: &Row) {
    let count: u64 = row.parse("orphans").ok().flatten().unwrap_or(0);
    if count == 0 {
        info!(table = %key.child, key = key.name, "foreign key holds");
        return;
    }
    let least = match config.redact {
        true => "(hidden)".to_owned(),
        false => row.str("least").ok().flatten().unwrap_or_default(),
    };
    let columns: Vec<&str> = key.columns.iter().map(|(own, _)| own.as_str()).collect();
    let text = format!(
        "{count} rows of {} refer to no row of {} (foreign key {}; least value of {}: {least})",
        key.child,
        key.parent,
        quote(&key.name),
        columns.join(",")
    );
    warn!("{text}");
    common::out::println(&text);
}

async fn foreign_keys(conn: &mut Conn, schema: &str) -> Result<Vec<ForeignKey>> {
    let query = format!(
        "SELECT CONSTRAINT_NAME AS name, TABLE_NAME AS child, COLUMN_NAME AS own, REFERENCED_TABLE_SCHEMA AS parent_schema, \
         REFERENCED_TABLE_NAME AS parent, REFERENCED_COLUMN_NAME AS other FROM information_schema.KEY_COLUMN_USAGE \
         WHERE TABLE_SCHEMA = {} AND REFERENCED_TABLE_NAME IS NOT NULL ORDER BY TABLE_NAME, CONSTRAINT_NAME, ORDINAL_POSITION",
        quote_string(schema)
    );
    let doing = || "read the foreign keys of the target".to_owned();
    let rows = conn.query(query).await.context(codes::DB_CONNECT, doing)?;
    let mut found: BTreeMap<(String, String), ForeignKey> = BTreeMap::new();
    for row in rows.iter() {
        let text = |column| row.text(column).context(codes::DB_CONNECT, doing);
        let (child, name) = (text("child")?, text("name")?);
        let key = found.entry((child.clone(), name.clone())).or_insert(ForeignKey {
            name,
            child: TableName::new(schema, child),
            parent: TableName::new(text("parent_schema")?, text("parent")?),
            columns: Vec::new(),
        });
        key.columns.push((text("own")?, text("other")?));
    }
    Ok(found.into_values().collect())
}

impl ForeignKey {
    /// How many rows refer to nothing, and the least value of their first column. A NULL in any column refers to nothing rightly.
    fn query(&self) -> String {
        let list = |make: &dyn Fn(&str, &str) -> String, between: &str| {
            self.columns.iter().map(|(own, other)| make(own, other)).collect::<Vec<_>>().join(between)
        };
        let on = list(&|own, other| format!("p.{} = c.{}", quote(other), quote(own)), " AND ");
        let set = list(&|own, _| format!("c.{} IS NOT NULL", quote(own)), " AND ");
        let (own, other) = self.columns.first().map_or(("", ""), |(own, other)| (own, other));
        format!(
            "SELECT COUNT(*) AS orphans, CAST(MIN(c.{}) AS CHAR) AS least FROM {} c LEFT JOIN {} p ON {on} WHERE {set} AND p.{} IS NULL",
            quote(own),
            self.child.quoted(),
            self.parent.quoted(),
            quote(other)
        )
    }
}
