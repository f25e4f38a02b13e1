//! The ledger's tables and the text of its statements.

use common::error::lightning_codes as codes;
use common::ident::{quote, quote_string};
use mysql::Conn;

use super::{FileRecord, Piece, TableRecord};
use crate::error::{Context, Result};

/// Names of the tables that are empty again after a good end, for those who list or drop them. Beside them stands [`MARKS`].
pub const SCHEMA_TABLES: [&str; 4] =
    ["rlightning_task", "rlightning_table", "rlightning_file", "rlightning_ledger"];

/// The table of indexes that are put off.
pub const DEFERRED: &str = "rlightning_index";

/// The table of what target tables held before the import, see `crate::verify`.
pub const BASE: &str = "rlightning_base";

/// The table of what was imported.
pub const MARKS: &str = "rlightning_done";

pub(super) const LEDGER_COLUMNS: &str = "(task_id,file,kind,begin_at,end_at,row_count,checksum,head_at)";
pub(super) const FILE_COLUMNS: &str = "(task_id,file,path,target_schema,target_table,size,modified,digest)";

/// Offsets are bytes of the unpacked file; an end of 2^64−1 stands for the end of a packed file. The engine is named, because
/// the server's default may be one without transactions.
const DEFINITIONS: [(&str, &str); 7] = [
    (
        "rlightning_task",
        "task_id BIGINT UNSIGNED NOT NULL PRIMARY KEY, format INT UNSIGNED NOT NULL, name CHAR(64) NOT NULL, \
         epoch BIGINT UNSIGNED NOT NULL, state VARCHAR(16) NOT NULL, source TEXT NOT NULL, settings TEXT NOT NULL, tool VARCHAR(64) NOT NULL, \
         created DATETIME NOT NULL, UNIQUE KEY name (name, epoch)",
    ),
    (
        "rlightning_table",
        "task_id BIGINT UNSIGNED NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, \
         identity VARCHAR(255) NOT NULL, PRIMARY KEY (task_id, target_schema, target_table)",
    ),
    (
        "rlightning_file",
        "task_id BIGINT UNSIGNED NOT NULL, file BIGINT UNSIGNED NOT NULL, path TEXT NOT NULL, \
         target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, size BIGINT UNSIGNED NOT NULL, \
         modified BIGINT UNSIGNED NOT NULL, digest CHAR(64) NOT NULL, PRIMARY KEY (task_id, file)",
    ),
    (
        "rlightning_ledger",
        "task_id BIGINT UNSIGNED NOT NULL, file BIGINT UNSIGNED NOT NULL, kind TINYINT UNSIGNED NOT NULL, \
         begin_at BIGINT UNSIGNED NOT NULL, end_at BIGINT UNSIGNED NOT NULL, row_count BIGINT UNSIGNED NOT NULL, \
         checksum BIGINT UNSIGNED NOT NULL, head_at BIGINT UNSIGNED NULL, PRIMARY KEY (task_id, file, kind, begin_at)",
    ),
    (
        BASE,
        "name CHAR(64) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, \
         task_id BIGINT UNSIGNED NOT NULL, row_count BIGINT UNSIGNED NOT NULL, first_sum DECIMAL(40) NOT NULL, \
         second_sum DECIMAL(40) NOT NULL, left_out TEXT NOT NULL, PRIMARY KEY (name, target_schema, target_table)",
    ),
    (
        MARKS,
        "name CHAR(64) NOT NULL, target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, source TEXT NOT NULL, \
         identity VARCHAR(255) NOT NULL, digest CHAR(64) NOT NULL, modified BIGINT UNSIGNED NOT NULL, content VARCHAR(64) NOT NULL, \
         row_count BIGINT UNSIGNED NOT NULL, finished DATETIME NOT NULL, PRIMARY KEY (name, target_schema, target_table)",
    ),
    (
        DEFERRED,
        "target_schema VARCHAR(64) NOT NULL, target_table VARCHAR(64) NOT NULL, key_name VARCHAR(64) NOT NULL, \
         position INT UNSIGNED NOT NULL, definition TEXT NOT NULL, identity VARCHAR(255) NOT NULL, \
         PRIMARY KEY (target_schema, target_table, key_name)",
    ),
];

pub(super) fn table(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// Creates what is missing. Nothing is sent that an account without CREATE could not: what exists is looked up first.
pub(super) async fn create(conn: &mut Conn, schema: &str) -> Result<()> {
    let doing = || format!("create the tables of the ledger in schema {}", quote(schema));
    let have = conn
        .query(format!(
            "SELECT LOWER(TABLE_NAME) AS name FROM information_schema.TABLES WHERE TABLE_SCHEMA = {}",
            quote_string(schema)
        ))
        .await
        .context(codes::OPEN_CHECKPOINT, doing)?;
    let have: Vec<String> = have.iter().filter_map(|row| row.str("name").ok().flatten()).collect();
    if have.is_empty() {
        conn.exec(format!("CREATE DATABASE IF NOT EXISTS {}", quote(schema)))
            .await
            .context(codes::OPEN_CHECKPOINT, doing)?;
    }
    for (name, definition) in DEFINITIONS {
        if !have.iter().any(|there| there == name) {
            conn.exec(format!(
                "CREATE TABLE IF NOT EXISTS {} ({definition}) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 \
                 COLLATE utf8mb4_bin COMMENT='rlightning ledger, format {}'",
                table(schema, name),
                super::FORMAT
            ))
            .await
            .context(codes::OPEN_CHECKPOINT, doing)?;
        }
    }
    Ok(())
}

pub(super) fn or_null(value: Option<u64>) -> String {
    value.map_or_else(|| "NULL".to_owned(), |value| value.to_string())
}

pub(super) fn cut_row(task: u64, file: u64, piece: &Piece) -> String {
    format!("({task},{file},0,{},{},0,0,{})", piece.begin, piece.end, or_null(piece.head_at))
}

pub(super) fn file_row(task: u64, file: &FileRecord) -> String {
    let text = |text: &str| quote_string(text);
    format!(
        "({task},{},{},{},{},{},{},{})",
        file.id,
        text(&file.path),
        text(&file.target.schema),
        text(&file.target.table),
        file.size,
        file.modified,
        text(&file.digest)
    )
}

pub(super) fn table_row(task: u64, record: &TableRecord) -> String {
    format!(
        "({task},{},{},{})",
        quote_string(&record.table.schema),
        quote_string(&record.table.table),
        quote_string(&record.identity)
    )
}
