//! Indexes that a target table is to get when its rows are in: written down before they are dropped, removed when they are there again.
//!
//! They belong to the table, not to a task: whichever run ends with all rows in adds them, also one that did not drop them.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::{Conn, ErrorClass};

use super::{Ledger, sql, task::target, text};
use crate::error::{Context, Result};

/// An index that a table lacks as long as it is loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deferred {
    /// The table.
    pub table: TableName,
    /// Name of the index.
    pub key: String,
    /// Its line of SHOW CREATE TABLE.
    pub definition: String,
    /// The table's identity just before it was to get the index; until then `noted:` and when that was.
    pub identity: String,
}

const NOTED: &str = "noted:";

impl Deferred {
    /// The table's identity just before it was to get the index, if it came to that.
    pub fn before(&self) -> Option<&str> {
        (!self.identity.starts_with(NOTED)).then_some(&self.identity)
    }
}

fn of(table: &TableName) -> String {
    format!(
        "target_schema = {} AND target_table = {}",
        quote_string(&table.schema),
        quote_string(&table.table)
    )
}

/// The indexes that one table or any table is to get, in the order in which they stood.
///
/// # Errors
/// The server's.
pub async fn deferred(conn: &mut Conn, schema: &str, table: Option<&TableName>) -> Result<Vec<Deferred>> {
    let condition = table.map_or_else(String::new, |table| format!("WHERE {}", of(table)));
    let query = format!(
        "SELECT target_schema, target_table, key_name, definition, identity FROM {} {condition} \
         ORDER BY target_schema, target_table, position",
        sql::table(schema, sql::DEFERRED)
    );
    let rows = match conn.query(query).await {
        Ok(rows) => rows,
        // A ledger of an older version, or none.
        Err(error) if matches!(error.class(), ErrorClass::UnknownTable | ErrorClass::UnknownDatabase) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).context(codes::READ_CHECKPOINT, || "read the ledger".into()),
    };
    rows.iter()
        .map(|row| {
            Ok(Deferred {
                table: target(row)?,
                key: text(row, "key_name")?,
                definition: text(row, "definition")?,
                identity: text(row, "identity")?,
            })
        })
        .collect()
}

impl Ledger {
    /// Writes indexes down, with their definitions, before they are dropped, and once more afterwards: another run of the same table
    /// that ended in between has found them there and forgotten them. Doing it again is fine.
    ///
    /// # Errors
    /// The server's.
    pub async fn defer(
        &self,
        conn: &mut Conn,
        table: &TableName,
        keys: &[(String, String)],
    ) -> mysql::Result<()> {
        let noted =
            format!("{NOTED}{}", SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos());
        let rows: Vec<String> = keys
            .iter()
            .enumerate()
            .map(|(position, (key, definition))| {
                format!(
                    "({},{},{},{position},{},'{noted}')",
                    quote_string(&table.schema),
                    quote_string(&table.table),
                    quote_string(key),
                    quote_string(definition)
                )
            })
            .collect();
        conn.exec(format!(
            "INSERT INTO {} (target_schema, target_table, key_name, position, definition, identity) VALUES {} \
             ON DUPLICATE KEY UPDATE definition = VALUES(definition), identity = VALUES(identity)",
            self.table(sql::DEFERRED),
            rows.join(",")
        ))
        .await?;
        Ok(())
    }
}

/// Writes down what the table is just before its indexes are added, which may change that.
///
/// # Errors
/// The server's.
pub async fn note_identity(
    conn: &mut Conn,
    schema: &str,
    table: &TableName,
    identity: &str,
) -> mysql::Result<()> {
    conn.exec(format!(
        "UPDATE {} SET identity = {} WHERE {}",
        sql::table(schema, sql::DEFERRED),
        quote_string(identity),
        of(table)
    ))
    .await?;
    Ok(())
}

/// Forgets these indexes of a table, which are there, unless they were noted anew since they were read. Whoever knew the table as what it was
/// before they were added knows it as what it is `now`.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn settle(
    conn: &mut Conn,
    schema: &str,
    table: &TableName,
    keys: &[Deferred],
    now: &str,
) -> mysql::Result<()> {
    if let Some(before) = keys.iter().find_map(Deferred::before)
        && before != now
    {
        for name in ["rlightning_table", sql::MARKS] {
            conn.exec(format!(
                "UPDATE {} SET identity = {} WHERE {} AND identity = {}",
                sql::table(schema, name),
                quote_string(now),
                of(table),
                quote_string(before)
            ))
            .await?;
        }
    }
    // Last, because it is how the rest is found.
    let seen: BTreeSet<String> = keys.iter().map(|one| quote_string(&one.identity)).collect();
    if !seen.is_empty() {
        let seen = seen.into_iter().collect::<Vec<_>>().join(",");
        let table_rows = format!("{} WHERE {}", sql::table(schema, sql::DEFERRED), of(table));
        conn.exec(format!("DELETE FROM {table_rows} AND identity IN ({seen})")).await?;
    }
    Ok(())
}

/// Forgets the indexes of a table that is not there any more.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn forget_deferred(conn: &mut Conn, schema: &str, table: &TableName) -> mysql::Result<()> {
    conn.exec(format!("DELETE FROM {} WHERE {}", sql::table(schema, sql::DEFERRED), of(table))).await?;
    Ok(())
}
