//! Rows that were left out, in the tables of the real tool (facts/lightning.md 4.7): each in the transaction of the batch it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use mysql::{Conn, ErrorClass};

use crate::config::{Config, OnDuplicate};
use crate::error::{Context, Result, fail};

/// Rows with values that the target refused.
pub const TYPE_ERRORS: &str = "type_error_v1";
/// Rows that met a duplicate key.
pub const CONFLICTS: &str = "conflict_records";

/// A view of the conflicts, for people and scripts that know the real tool's.
pub const CONFLICT_VIEW: &str = "conflict_view";

/// Longest text of a row or an error that is kept; a TEXT column has a little more.
const LONGEST: usize = 60_000;

const COMMON: &str = "task_id bigint NOT NULL, create_time datetime(6) NOT NULL DEFAULT now(6), table_name varchar(261) NOT NULL, \
     path varchar(2048) NOT NULL, `offset` bigint NOT NULL, error text NOT NULL";

/// What may be left out, and where it is recorded.
#[derive(Debug, Clone)]
pub struct Records {
    schema: String,
    task: u64,
    /// How many rows with type errors may be left out (`max-error.type`).
    pub most_types: u64,
    /// Whether rows that meet a duplicate key are left out and recorded.
    pub conflicts: bool,
    /// Whether there are tables for any of it.
    enabled: bool,
}

/// Why a row was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A value that the target refuses.
    Type,
    /// A duplicate key.
    Conflict,
}

/// A row that was left out.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Why.
    pub kind: Kind,
    /// The target table.
    pub table: &'a TableName,
    /// The file.
    pub path: &'a str,
    /// Where the row begins in it.
    pub offset: u64,
    /// The server's words.
    pub error: &'a str,
    /// The row as it was sent.
    pub row: &'a [u8],
}

/// Rows that were left out: by file, where each begins.
#[derive(Debug, Clone, Default)]
pub struct LeftOut(BTreeMap<String, BTreeSet<u64>>);

impl LeftOut {
    /// Those of a file, if there are any.
    pub fn of(&self, path: &str) -> Option<&BTreeSet<u64>> {
        self.0.get(path)
    }
}

impl Records {
    /// For a task of this number.
    pub fn new(config: &Config, task: u64) -> Self {
        Self {
            schema: config.ledger_schema.clone(),
            task,
            most_types: config.most_types,
            conflicts: config.record_conflicts,
            enabled: config.error_tables,
        }
    }

    /// None at all: every row that is refused is an error.
    pub fn none() -> Self {
        Self { schema: String::new(), task: 0, most_types: 0, conflicts: false, enabled: false }
    }

    /// Whether rows may be left out.
    pub fn leaves_out(&self) -> bool {
        self.enabled && (self.most_types > 0 || self.conflicts)
    }

    /// The rows of a target table that the task has left out, by file and byte.
    ///
    /// # Errors
    /// The server's; records that do not tell rows apart.
    pub async fn left_out(&self, conn: &mut Conn, table: &TableName) -> Result<LeftOut> {
        let mut found = LeftOut::default();
        for (name, is_wanted) in [(TYPE_ERRORS, self.most_types > 0), (CONFLICTS, self.conflicts)] {
            if !self.enabled || !is_wanted {
                continue;
            }
            let query = format!(
                "SELECT path, `offset` FROM {}.{name} WHERE task_id = {} AND table_name = {}",
                quote(&self.schema),
                self.task,
                quote_string(&table.quoted())
            );
            let doing = || "read which rows were left out".to_owned();
            let rows = match conn.query(query).await {
                Err(error) if error.class() == ErrorClass::UnknownTable => continue,
                other => other.context(codes::READ_CHECKPOINT, doing)?,
            };
            for row in rows.iter() {
                let path = row.text(0).context(codes::READ_CHECKPOINT, doing)?;
                let offset = row.parse(1).context(codes::READ_CHECKPOINT, doing)?.unwrap_or(0);
                if !found.0.entry(path.clone()).or_default().insert(offset) {
                    return Err(fail(
                        codes::CHECKSUM_MISMATCH,
                        format!(
                            "verification of {table} can't be exact: {name} tells twice of the row at byte {offset} of file '{path}'"
                        ),
                    ));
                }
            }
        }
        Ok(found)
    }

    /// Whether there are tables at all.
    pub fn has_tables(&self) -> bool {
        self.enabled
    }

    /// Tables that this run may write to.
    fn tables(&self, strategy: OnDuplicate) -> Vec<&'static str> {
        let mut tables = Vec::new();
        if self.enabled && self.most_types > 0 {
            tables.push(TYPE_ERRORS);
        }
        if self.enabled && (self.conflicts || strategy == OnDuplicate::Error) {
            tables.push(CONFLICTS);
        }
        tables
    }

    /// Creates what is missing.
    ///
    /// # Errors
    /// The server's.
    pub async fn create(&self, conn: &mut Conn, strategy: OnDuplicate) -> Result<()> {
        for name in self.tables(strategy) {
            let rest = if name == TYPE_ERRORS {
                "row_data text NOT NULL"
            } else {
                "row_id bigint NOT NULL, row_data text NOT NULL, KEY (task_id, table_name(150))"
            };
            let table = format!("{}.{}", quote(&self.schema), quote(name));
            conn.exec(format!(
                "CREATE TABLE IF NOT EXISTS {table} ({COMMON}, {rest}) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4"
            ))
            .await
            .context(codes::INIT_ERR_MANAGER, || format!("create the table {table} for rows that are left out"))?;
        }
        if self.tables(strategy).contains(&CONFLICTS) {
            self.create_view(conn).await?;
        }
        Ok(())
    }

    /// The real tool's view of all conflicts. Nothing hangs on it, so an account that may not create views goes without.
    async fn create_view(&self, conn: &mut Conn) -> Result<()> {
        let schema = quote(&self.schema);
        let doing = || format!("create the view {schema}.{CONFLICT_VIEW}");
        let there = format!(
            "SELECT 1 AS one FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = '{CONFLICT_VIEW}'",
            quote_string(&self.schema)
        );
        if conn.query_one(there).await.context(codes::INIT_ERR_MANAGER, doing)?.is_some() {
            return Ok(());
        }
        let sql = format!(
            "CREATE SQL SECURITY INVOKER VIEW {schema}.{CONFLICT_VIEW} AS SELECT 1 AS is_precheck_conflict, task_id, create_time, table_name, \
             NULL AS index_name, NULL AS key_data, row_data, NULL AS raw_key, NULL AS raw_value, NULL AS raw_handle, NULL AS raw_row, \
             NULL AS kv_type, path, `offset`, error, row_id FROM {schema}.{CONFLICTS}"
        );
        match conn.exec(sql).await {
            Ok(_) => Ok(()),
            // Another process was quicker.
            Err(error) if error.class() == ErrorClass::AlreadyExists => Ok(()),
            Err(error) if error.class() == ErrorClass::AccessDenied => {
                tracing::info!(
                    view = CONFLICT_VIEW,
                    "the account may not create views, so this one is left out"
                );
                Ok(())
            }
            Err(error) => Err(error).context(codes::INIT_ERR_MANAGER, doing),
        }
    }

    /// The statement that records a row.
    pub fn insert(&self, record: &Record<'_>) -> String {
        let (name, id, zero) = match record.kind {
            Kind::Type => (TYPE_ERRORS, "", ""),
            Kind::Conflict => (CONFLICTS, "row_id,", "0,"),
        };
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]);
            let mut end = text.len().min(LONGEST);
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            quote_string(&text[..end])
        };
        format!(
            "INSERT INTO {}.{name} (task_id,table_name,path,`offset`,error,{id}row_data) VALUES ({},{},{},{},{},{zero}{})",
            quote(&self.schema),
            self.task,
            quote_string(&record.table.quoted()),
            quote_string(record.path),
            record.offset,
            text(record.error.as_bytes()),
            text(record.row)
        )
    }

    /// Rows of the task that were left out so far: for type errors and for duplicate keys.
    ///
    /// # Errors
    /// The server's.
    pub async fn count(&self, conn: &mut Conn) -> mysql::Result<(u64, u64)> {
        let mut counts = [0; 2];
        let wanted = [(TYPE_ERRORS, self.most_types > 0), (CONFLICTS, self.conflicts)];
        for (count, (name, is_wanted)) in counts.iter_mut().zip(wanted) {
            if !self.enabled || !is_wanted {
                continue;
            }
            let query = format!(
                "SELECT COUNT(*) AS found FROM {}.{name} WHERE task_id = {}",
                quote(&self.schema),
                self.task
            );
            match conn.query_one(query).await {
                Ok(row) => *count = row.and_then(|row| row.parse("found").ok().flatten()).unwrap_or(0),
                Err(error) if error.class() == ErrorClass::UnknownTable => {}
                Err(error) => return Err(error),
            }
        }
        Ok((counts[0], counts[1]))
    }

    /// Says at the end what was left out, as the real tool does.
    pub fn say(&self, types: u64, conflicts: u64) {
        let mut rows = Vec::new();
        for (kind, count, name) in
            [("Data Type", types, TYPE_ERRORS), ("Unique Key Conflict", conflicts, CONFLICTS)]
        {
            if count == 0 {
                continue;
            }
            let table = format!("{}.{}", quote(&self.schema), quote(name));
            tracing::warn!(
                "Detect {count} {} errors in total, please refer to table {table} for more details",
                kind.to_lowercase()
            );
            rows.push([(rows.len() + 1).to_string(), kind.to_owned(), count.to_string(), table]);
        }
        if rows.is_empty() {
            return;
        }
        rows.insert(0, ["#", "ERROR TYPE", "ERROR COUNT", "ERROR DATA TABLE"].map(str::to_owned));
        common::out::print(&format!("\nImport Data Error Summary: \n{}", crate::precheck::grid(&rows)));
    }
}
