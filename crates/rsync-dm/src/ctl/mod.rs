//! `ctl`: the client of a master, with dmctl's commands, answers and exit codes.

pub mod answer;
mod client;
mod commands;
mod files;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use common::duration::GoDuration;

use crate::tls::TlsFlags;
pub use commands::run;

/// Flags of `rsync-dm ctl`.
#[derive(Debug, Args)]
pub struct CtlArgs {
    /// Address of the master, several separated by commas (or the environment variable DM_MASTER_ADDR)
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub master_addr: Option<String>,
    /// Configuration file (TOML: master-addr, rpc-timeout, ssl-ca, ssl-cert, ssl-key)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long a call to the master may take
    #[arg(long, global = true, value_name = "DURATION")]
    pub rpc_timeout: Option<GoDuration>,
    /// Only these sources; may be repeated
    #[arg(short = 's', long = "source", global = true, value_name = "ID", value_delimiter = ',')]
    pub sources: Vec<String>,
    /// Key file for what is encrypted here and not at the master (decrypt, meta-from)
    #[arg(long, global = true, value_name = "FILE")]
    pub secret_key_path: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tls: TlsFlags,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: CtlCommand,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum CtlCommand {
    /// Create, show or stop sources
    OperateSource(OperateSourceArgs),
    /// Check the configuration of a task and what it needs
    CheckTask(CheckTaskArgs),
    /// Start a task
    StartTask(StartTaskArgs),
    /// Show the state of tasks
    QueryStatus(QueryStatusArgs),
    /// Pause a task
    PauseTask(TaskArgs),
    /// Resume a paused task
    ResumeTask(TaskArgs),
    /// Stop a task; its state tables stay in the target
    StopTask(TaskArgs),
    /// Show or unlock shard DDL locks
    ShardDdlLock(ShardDdlLockArgs),
    /// Show shard DDL locks
    #[command(hide = true)]
    ShowDdlLocks(ShowLocksArgs),
    /// Unlock a shard DDL lock
    #[command(hide = true)]
    UnlockDdlLock(UnlockArgs),
    /// Skip, replace or add statements of the binlog
    Binlog(BinlogArgs),
    /// Skip or replace a statement of the binlog
    #[command(hide = true)]
    HandleError(HandleErrorArgs),
    /// List masters and workers
    ListMember(ListMemberArgs),
    /// Forget a member that is gone
    OfflineMember(OfflineMemberArgs),
    /// Give a source to another worker
    TransferSource(TransferSourceArgs),
    /// Show the configuration of a task or a source
    Config(ConfigArgs),
    /// Show the configuration of a task or a source
    #[command(hide = true)]
    GetConfig(ConfigArgs),
    /// Encrypt a password with the master's key (or the one of --secret-key-path)
    Encrypt(EncryptArgs),
    /// Decrypt a password with the key of --secret-key-path
    Decrypt(EncryptArgs),
    /// From the metadata files of dumps to where replication starts
    MetaFrom(crate::meta_from::MetaFromArgs),
}

/// `operate-source`.
#[derive(Debug, Args)]
pub struct OperateSourceArgs {
    /// create, show, stop or update
    #[arg(value_name = "OPERATION", required_unless_present = "print_sample_config")]
    pub operation: Option<String>,
    /// Source files, or source ids to show or stop
    #[arg(value_name = "FILE|ID")]
    pub items: Vec<String>,
    /// The worker that is to have the source
    #[arg(short = 'w', long, value_name = "NAME")]
    pub worker: Option<String>,
    /// Print a sample source file
    #[arg(short = 'p', long)]
    pub print_sample_config: bool,
}

/// `check-task`.
#[derive(Debug, Args)]
pub struct CheckTaskArgs {
    /// The task file
    pub file: PathBuf,
    /// Most failures to show
    #[arg(short = 'e', long, default_value_t = 10)]
    pub error: i64,
    /// Most warnings to show
    #[arg(short = 'w', long, default_value_t = 10)]
    pub warn: i64,
    /// Check for a start at this time of the source (2021-10-21 00:01:00, or with an offset)
    #[arg(long, default_value = "", value_name = "TIME", hide_default_value = true)]
    pub start_time: String,
}

/// `start-task`.
#[derive(Debug, Args)]
pub struct StartTaskArgs {
    /// The task file
    pub file: PathBuf,
    /// Drop the task's state tables first
    #[arg(long)]
    pub remove_meta: bool,
    /// Begin with the first transaction at or after this time of the source (2021-10-21 00:01:00, or with an offset)
    #[arg(long, default_value = "", value_name = "TIME", hide_default_value = true)]
    pub start_time: String,
}

/// `query-status`.
#[derive(Debug, Args)]
pub struct QueryStatusArgs {
    /// Name of a task, or its file
    pub task: Option<String>,
    /// Everything, also without a task
    #[arg(long)]
    pub more: bool,
}

/// `pause-task`, `resume-task`, `stop-task`.
#[derive(Debug, Args)]
pub struct TaskArgs {
    /// Name of a task, or its file
    pub task: Option<String>,
    /// Tasks at a time, if a whole source is operated
    #[arg(long, default_value_t = 5)]
    pub batch_size: usize,
}

/// `shard-ddl-lock`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ShardDdlLockArgs {
    /// Only the locks of this task
    pub task: Option<String>,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: Option<LockCommand>,
}

/// `shard-ddl-lock …`.
#[derive(Debug, Subcommand)]
pub enum LockCommand {
    /// End the waiting of a lock
    Unlock(UnlockArgs),
}

/// `show-ddl-locks`.
#[derive(Debug, Args)]
pub struct ShowLocksArgs {
    /// Only the locks of this task
    pub task: Option<String>,
}

/// `shard-ddl-lock unlock`.
#[derive(Debug, Args)]
pub struct UnlockArgs {
    /// The lock's ID
    pub id: String,
    /// The source that runs the statements, in place of the owner
    #[arg(short = 'o', long, default_value = "", value_name = "SOURCE")]
    pub owner: String,
    /// Remove the lock even if its owner does not run the statements
    #[arg(short = 'f', long)]
    pub force_remove: bool,
    /// skip or exec (optimistic mode)
    #[arg(short = 'a', long, default_value = "skip")]
    pub action: String,
    /// Database of the table (optimistic mode)
    #[arg(short = 'd', long, default_value = "")]
    pub database: String,
    /// The table (optimistic mode)
    #[arg(short = 't', long, default_value = "")]
    pub table: String,
}

/// `binlog`.
#[derive(Debug, Args)]
pub struct BinlogArgs {
    /// Where the event of the statement begins (FILE:POS, startLocation of the error); without it the statement on which the task is paused
    #[arg(
        short = 'b',
        long,
        global = true,
        value_name = "FILE:POS",
        default_value = "",
        hide_default_value = true
    )]
    pub binlog_pos: String,
    #[command(subcommand)]
    #[allow(missing_docs)]
    pub command: BinlogCommand,
}

/// `binlog …`.
#[derive(Debug, Subcommand)]
pub enum BinlogCommand {
    /// Do not run the statement
    Skip(BinlogTask),
    /// Run others in its place
    Replace(BinlogStatements),
    /// Take back what was said about a statement, before it is reached
    Revert(BinlogTask),
    /// Run others before it
    Inject(BinlogStatements),
    /// Show what was said about statements that are still to come
    List(BinlogTask),
}

/// `binlog skip`, `revert`, `list`.
#[derive(Debug, Args)]
pub struct BinlogTask {
    /// Name of a task, or its file
    pub task: String,
}

/// `binlog replace`, `inject`.
#[derive(Debug, Args)]
pub struct BinlogStatements {
    /// Name of a task, or its file
    pub task: String,
    /// DDL with the source's names, every table with its schema
    #[arg(required = true, value_name = "SQL")]
    pub sqls: Vec<String>,
}

/// `handle-error`.
#[derive(Debug, Args)]
pub struct HandleErrorArgs {
    /// Name of a task, or its file
    pub task: String,
    /// skip, replace, revert, inject or list
    pub operation: String,
    /// DDL with the source's names, every table with its schema
    #[arg(value_name = "SQL")]
    pub sqls: Vec<String>,
    /// Where the event of the statement begins
    #[arg(short = 'b', long, value_name = "FILE:POS", default_value = "")]
    pub binlog_pos: String,
}

/// `list-member`.
#[derive(Debug, Args)]
pub struct ListMemberArgs {
    /// The leader
    #[arg(short = 'l', long)]
    pub leader: bool,
    /// Masters
    #[arg(short = 'm', long)]
    pub master: bool,
    /// Workers
    #[arg(short = 'w', long)]
    pub worker: bool,
    /// Only members of these names
    #[arg(short = 'n', long = "name", value_delimiter = ',')]
    pub names: Vec<String>,
}

/// `offline-member`.
#[derive(Debug, Args)]
pub struct OfflineMemberArgs {
    /// A master
    #[arg(short = 'm', long, conflicts_with = "worker")]
    pub master: bool,
    /// A worker
    #[arg(short = 'w', long, required_unless_present = "master")]
    pub worker: bool,
    /// Its name
    #[arg(short = 'n', long)]
    pub name: String,
}

/// `transfer-source`.
#[derive(Debug, Args)]
pub struct TransferSourceArgs {
    /// The source's id
    pub source_id: String,
    /// The worker's name
    pub worker: String,
}

/// `config`.
#[derive(Debug, Args)]
pub struct ConfigArgs {
    /// task or source
    pub kind: String,
    /// Its name
    pub name: String,
    /// Write it to this file
    #[arg(short = 'p', long, value_name = "FILE")]
    pub path: Option<PathBuf>,
}

/// `encrypt`, `decrypt`.
#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// The text
    pub text: String,
}
