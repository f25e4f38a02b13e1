//! The tables of a source that a task replicates.

use common::error::{DmError, dm_codes as code};
use common::ident::TableName;
use mysql::{Conn, Row};

use crate::config::SubtaskConfig;

/// An upstream table and where its rows go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReplicatedTable {
    /// Upstream name.
    pub name: TableName,
    /// Name in the target.
    pub target: TableName,
}

/// The base tables that the task's filter keeps, as far as the account sees them, in order of name.
///
/// # Errors
/// 10005 for what the source says; 40080 for a table with several routes.
pub async fn tables(conn: &mut Conn, subtask: &SubtaskConfig) -> Result<Vec<ReplicatedTable>, DmError> {
    const SQL: &str = "SELECT TABLE_SCHEMA, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED') \
                       ORDER BY 1, 2";
    let failed = |error: mysql::Error| {
        code::DB_QUERY_FAILED.error(format!("list the tables of source {}: {error}", subtask.source_id))
    };
    let rows = conn.query(SQL).await.map_err(failed)?;
    let name = |row: &Row| Ok(TableName::new(row.text(0)?, row.text(1)?));
    let names = rows.iter().map(name).collect::<mysql::Result<Vec<_>>>().map_err(failed)?;
    let kept = |name: &TableName| subtask.block_allow.matches_table(&name.schema, &name.table);
    names.into_iter().filter(kept).map(|name| routed(subtask, name)).collect()
}

fn routed(subtask: &SubtaskConfig, name: TableName) -> Result<ReplicatedTable, DmError> {
    let routed = subtask.router.route(&name.schema, &name.table);
    let target = routed.map_err(|error| code::WORKER_ROUTE_TABLE_DUP_MATCH.wrap("", &error))?.name();
    Ok(ReplicatedTable { name, target })
}
