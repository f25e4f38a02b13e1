//! One source's part of a task: all that replication needs to know.

use std::{path::PathBuf, time::Duration};

use common::{
    block_allow::BlockAllowList,
    cipher::Key,
    error::{DmError, dm_codes as code},
    route::Router,
};
use mysql::Flavor;

use super::{
    database::Database, event_filter::EventFilters, online_ddl::OnlineDdl, source::SourceConfig,
    task::TaskConfig, yaml::CheckerYaml,
};

/// How DDL of shards is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardMode {
    /// Tables are not merged, or their DDL needs no care.
    None,
    /// A DDL waits until every shard has it.
    Pessimistic,
}

impl ShardMode {
    /// As in task.yaml.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Pessimistic => "pessimistic",
        }
    }
}

/// Where replication starts when the meta schema holds no checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// Binlog file; empty if only the GTID set is known.
    pub binlog_name: String,
    /// Position in it; at least 4 where a file is named.
    pub binlog_pos: u32,
    /// GTID set as text; empty if only the position is known.
    pub binlog_gtid: String,
}

/// The `syncers` block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncerConfig {
    /// Connections that apply rows.
    pub worker_count: usize,
    /// Most rows of one target transaction.
    pub batch: usize,
    /// Jobs waiting for each connection.
    pub queue_size: usize,
    /// Time between two checkpoints.
    pub checkpoint_flush_interval: Duration,
    /// Fold changes of one row.
    pub compact: bool,
    /// Merge changes of one table into one statement.
    pub multiple_rows: bool,
    /// Safe mode always on.
    pub safe_mode: bool,
    /// Safe mode after a start without an exit point.
    pub safe_mode_duration: Duration,
    /// Write checkpoints without stopping replication.
    pub async_flush: bool,
}

/// One source's slice of a task. Passwords are decrypted.
#[derive(Debug, Clone)]
pub struct SubtaskConfig {
    /// The task's name.
    pub task: String,
    /// The source's id.
    pub source_id: String,
    /// How DDL of shards is merged.
    pub shard_mode: ShardMode,
    /// Database for the state tables.
    pub meta_schema: String,
    /// Session time zone for the target; `None`: the target's own.
    pub timezone: Option<String>,
    /// Patterns and names are case sensitive.
    pub case_sensitive: bool,
    /// Where rows come from.
    pub source: Database,
    /// Where they go.
    pub target: Database,
    /// Replicate by GTID.
    pub enable_gtid: bool,
    /// Our id as a replica; 0: choose one.
    pub server_id: u32,
    /// `None`: ask the server.
    pub flavor: Option<Flavor>,
    /// Tables to replicate, by upstream names.
    pub block_allow: BlockAllowList,
    /// Upstream names to target names.
    pub router: Router,
    /// Events to skip.
    pub filters: EventFilters,
    /// Names of online-schema-change tables; `None`: they are ordinary tables.
    pub online_ddl: Option<OnlineDdl>,
    /// Start when there is no checkpoint; `None`: the source's position at the first start.
    pub meta: Option<Meta>,
    /// The `syncers` block.
    pub syncer: SyncerConfig,
    /// How the subtask is resumed unasked after an error.
    pub checker: CheckerYaml,
}

impl SubtaskConfig {
    /// The parts of a task's sources, from the files given with `--source`: one for each source of the task.
    ///
    /// # Errors
    /// A file that can't be read or used; a source of the task without a file, or with two; a foreign source.
    pub fn of_files(task: &TaskConfig, files: &[PathBuf], key: Option<&Key>) -> Result<Vec<Self>, DmError> {
        let mut subtasks: Vec<Self> = Vec::with_capacity(files.len());
        for file in files {
            let source = SourceConfig::load(file, key)?;
            if subtasks.iter().any(|s| s.source_id == source.source_id) {
                return Err(code::CONFIG_MYSQL_INST_SAME_SOURCE_ID
                    .error(format!("{}: source {} is given twice", file.display(), source.source_id))
                    .with_workaround(
                        "Give one file for each source with --source, and each source an id of its own.",
                    ));
            }
            subtasks.push(task.subtask(&source)?);
        }
        match task.source_ids().find(|id| !subtasks.iter().any(|s| s.source_id == *id)) {
            None => Ok(subtasks),
            Some(id) => Err(code::CONFIG_SOURCE_ID_NOT_FOUND
                .error(format!(
                    "task {} has source {id}, but no file given with --source is its",
                    task.name()
                ))
                .with_workaround("Give the file of each source of the task with --source.")),
        }
    }
}
