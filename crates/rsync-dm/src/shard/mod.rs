//! Shard DDL: several upstream tables, of several sources, that are merged into one target table.
//!
//! Two levels. In a source, a [`group`] waits until each of its tables has reached the statement; across sources, a
//! [`Pessimist`] waits until each source has, then lets one of them (the owner, the first that came) run it, and then
//! lets the others pass. The [`ShardCoordinator`] trait stands between the two: [`Local`] for a single process, the
//! stream to the master for a worker.

mod group;
mod local;
mod pessimist;

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

pub use group::{Group, GroupError, Groups, Reached};
pub use local::{Local, LockStore};
pub(crate) use pessimist::withdrawn;
pub use pessimist::{Dispute, Effect, LockView, Pessimist};

use crate::proto::control;

/// A target table and how many of a source's tables are merged into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TargetTables {
    /// Target schema.
    pub schema: String,
    /// Target table.
    pub table: String,
    /// Upstream tables of the source that are routed there; 0: see [`ShardCoordinator`].
    pub count: u32,
}

/// What a source says when all its tables of a target have reached a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardInfo {
    /// Task.
    pub task: String,
    /// Source id.
    pub source: String,
    /// Target schema.
    pub schema: String,
    /// Target table.
    pub table: String,
    /// The statements, as they will be run on the target.
    pub ddls: Vec<String>,
    /// Which upstream tables have reached them, where in the binlog, and with which text; for people only.
    #[serde(default)]
    pub origins: Vec<Origin>,
}

/// Where an upstream table has met the statement of its group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The table, quoted.
    pub table: String,
    /// Begin of the event, `FILE:POS`.
    pub at: String,
    /// The statement as the source has run it.
    pub sql: String,
}

/// What a source is to do with a statement it proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardOperation {
    /// Lock id, see [`lock_id`].
    pub id: String,
    /// Task.
    pub task: String,
    /// Source id.
    pub source: String,
    /// The statements.
    pub ddls: Vec<String>,
    /// Run them (owner), or pass over them because the owner has.
    pub exec: bool,
}

/// The id of the lock of a target table: ``task-`schema`.`table` ``.
pub fn lock_id(task: &str, schema: &str, table: &str) -> String {
    format!("{task}-{}", common::ident::TableName::new(schema, table))
}

/// Where sources agree on shard DDL. One for all subtasks of a process.
///
/// Contract:
/// - `tables` is called when a subtask starts (before any `propose`) and whenever its tables change; it replaces what was
///   said before. A target that is there a second time with a count of 0 takes back what the source has proposed for it (an operator lets it
///   pass over the statement).
/// - `propose` returns when it is the source's turn. It is idempotent: proposing the same again after a restart, a broken
///   connection or a dropped future gives the same operation. It is cancel-safe: dropping the future loses nothing.
/// - `done` returns once the coordinator has durably taken note; until then the caller must call it again, also after a
///   restart. A `done` for a lock that is gone or is in another round is taken as a repeat and ignored.
/// - The caller makes its own progress durable *before* `done`; it never proposes the same occurrence of a statement after
///   `done` has returned.
pub trait ShardCoordinator: Send + Sync + 'static {
    /// States which target tables a source takes part in.
    fn tables<'a>(
        &'a self,
        task: &'a str,
        source: &'a str,
        targets: Vec<TargetTables>,
    ) -> BoxFuture<'a, Result<(), ShardError>>;

    /// Says that the source has reached the statements, and waits for what to do.
    fn propose(&self, info: ShardInfo) -> BoxFuture<'_, Result<ShardOperation, ShardError>>;

    /// Says that the operation has been carried out.
    fn done(&self, operation: ShardOperation) -> BoxFuture<'_, Result<(), ShardError>>;
}

/// Why shard DDL cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// The coordinator is shutting down or out of reach for good.
    #[error("the shard DDL coordinator is gone: {0}")]
    Gone(String),
    /// The coordinator could not make its state durable.
    #[error("cannot store the state of the shard DDL locks: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<ShardInfo> for control::ShardInfo {
    fn from(i: ShardInfo) -> Self {
        // Where a statement stands is in the worker's log.
        Self { task: i.task, source: i.source, schema: i.schema, table: i.table, ddls: i.ddls }
    }
}

impl From<control::ShardInfo> for ShardInfo {
    fn from(i: control::ShardInfo) -> Self {
        let origins = Vec::new();
        Self { task: i.task, source: i.source, schema: i.schema, table: i.table, ddls: i.ddls, origins }
    }
}

impl From<ShardOperation> for control::ShardOperation {
    fn from(o: ShardOperation) -> Self {
        Self { id: o.id, task: o.task, source: o.source, ddls: o.ddls, exec: o.exec }
    }
}

impl From<control::ShardOperation> for ShardOperation {
    fn from(o: control::ShardOperation) -> Self {
        Self { id: o.id, task: o.task, source: o.source, ddls: o.ddls, exec: o.exec }
    }
}

impl From<ShardOperation> for control::ShardDone {
    fn from(o: ShardOperation) -> Self {
        Self { id: o.id, task: o.task, source: o.source, ddls: o.ddls, exec: o.exec }
    }
}

impl From<control::ShardDone> for ShardOperation {
    fn from(o: control::ShardDone) -> Self {
        Self { id: o.id, task: o.task, source: o.source, ddls: o.ddls, exec: o.exec }
    }
}

impl From<control::TargetTables> for TargetTables {
    fn from(t: control::TargetTables) -> Self {
        Self { schema: t.target_schema, table: t.target_table, count: t.table_count }
    }
}

impl From<TargetTables> for control::TargetTables {
    fn from(t: TargetTables) -> Self {
        Self { target_schema: t.schema, target_table: t.table, table_count: t.count }
    }
}
