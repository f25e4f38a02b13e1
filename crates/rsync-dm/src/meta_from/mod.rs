//! `rsync-dm ctl meta-from`: from the `metadata` files of dumps to where replication starts.
//!
//! Each source is dumped once or several times; its replication starts at the earliest of those dumps. With
//! `--write-checkpoint` each dumped table gets its own point, from its own dump, and the exit point equals the start:
//! events that a dump holds already are skipped table by table, so replication is exact and safe mode stays off
//! (facts/dm.md 3.4 c). Where a dump has kept finished chunks of an unfinished one (`rdump --resume-chunks`), the exit point is the
//! later of the two moments that such a table shows: in safe mode up to there replication makes it exact, and harms no other table.

mod folder;
mod origin;
mod plan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use common::cipher::Key;
use common::error::{DmError, dm_codes as code};
use common::ident::TableName;
use common::out;
use common::storage::{LocalStorage, Storage};
use mysql::{Conn, Flavor};
use sql::SqlMode;
use sql::schema::Table;

use crate::checkpoint::{Store, TablePoint, Tables, take_over};
use crate::config::{SubtaskConfig, TaskConfig};
use crate::upstream;

pub use folder::{DumpFolder, DumpedTable};
pub use plan::SourcePlan;

/// Flags of `rsync-dm ctl meta-from`; the source files come from the command's own `--source`.
#[derive(Debug, Clone, clap::Args)]
pub struct MetaFromArgs {
    /// A dump folder with the source it is of; a source may come several times
    #[arg(required = true, value_name = "SOURCE-ID=DIR")]
    pub dumps: Vec<String>,
    /// The task whose filter and target are used; give its source files with --source
    #[arg(long, value_name = "FILE")]
    pub task: Option<PathBuf>,
    /// Write the checkpoint into the target's meta schema
    #[arg(long, requires = "task")]
    pub write_checkpoint: bool,
    /// With --write-checkpoint: replace a checkpoint that is there
    #[arg(long, requires = "write_checkpoint")]
    pub overwrite: bool,
}

/// Runs the command. `sources` are the paths of source files.
///
/// # Errors
/// A folder or file that can't be read, dumps that do not belong together, a checkpoint that is there.
pub async fn run(args: &MetaFromArgs, sources: &[PathBuf], key: Option<&Key>) -> Result<(), DmError> {
    let plans = plans(&args.dumps).await?;
    out::println("mysql-instances:");
    plans.iter().for_each(|plan| out::print(&plan.render()));
    let Some(task) = &args.task else { return Ok(()) };
    let task = TaskConfig::load(task, key)?;
    let mut subtasks = SubtaskConfig::of_files(&task, sources, key)?;
    fit(&task, &mut subtasks, &plans)?;
    for (subtask, plan) in subtasks.iter().zip(&plans) {
        look_at_source(subtask, plan).await?;
    }
    if args.write_checkpoint {
        for (subtask, plan) in subtasks.iter().zip(&plans) {
            write(subtask, plan, args.overwrite).await?;
        }
    }
    Ok(())
}

/// One plan for each source, in order of first mention.
async fn plans(dumps: &[String]) -> Result<Vec<SourcePlan>, DmError> {
    let mut order: Vec<&str> = Vec::new();
    let mut folders: BTreeMap<&str, Vec<DumpFolder>> = BTreeMap::new();
    for dump in dumps {
        let Some((id, folder)) =
            dump.split_once('=').filter(|(id, folder)| !id.is_empty() && !folder.is_empty())
        else {
            return Err(code::CONFIG_PARSE_FLAG_SET
                .error(format!("`{dump}` is not of the form SOURCE-ID=DIR"))
                .with_workaround("Name each dump with its source, for example mysql-01=/data/dump-01."));
        };
        if !order.contains(&id) {
            order.push(id);
        }
        folders.entry(id).or_default().push(DumpFolder::read(Path::new(folder)).await?);
    }
    order.into_iter().map(|id| SourcePlan::new(id, folders.remove(id).unwrap_or_default())).collect()
}

/// Puts the subtasks into the order of the plans.
fn fit(task: &TaskConfig, subtasks: &mut [SubtaskConfig], plans: &[SourcePlan]) -> Result<(), DmError> {
    let of_task: Vec<&str> = task.source_ids().collect();
    let of_dumps: Vec<&str> = plans.iter().map(|plan| plan.source_id.as_str()).collect();
    if let Some(id) = of_task.iter().find(|id| !of_dumps.contains(id)) {
        return Err(code::CONFIG_SOURCE_ID_NOT_FOUND
            .error(format!("task {} has source {id}, but no dump of it is named", task.name()))
            .with_workaround("Name every source of the task with its dumps, as SOURCE-ID=DIR."));
    }
    if let Some(id) = of_dumps.iter().find(|id| !of_task.contains(id)) {
        return Err(code::CONFIG_SOURCE_ID_NOT_FOUND
            .error(format!("a dump is said to be of source {id}, which task {} does not have", task.name()))
            .with_workaround(format!(
                "Write the SOURCE-ID as in `mysql-instances`: {}.",
                of_task.join(", ")
            )));
    }
    subtasks.sort_by_key(|subtask| of_dumps.iter().position(|id| *id == subtask.source_id));
    Ok(())
}

/// Refuses dumps of other servers; names tables that the task would replicate although no dump has their rows.
async fn look_at_source(subtask: &SubtaskConfig, plan: &SourcePlan) -> Result<(), DmError> {
    let mut conn = connect(&subtask.source.endpoint(), &subtask.source.to_string()).await?;
    for folder in &plan.folders {
        origin::check(&mut conn, subtask, folder).await?;
    }
    let replicated = upstream::tables(&mut conn, subtask).await?;
    conn.close().await;
    let dumped: BTreeSet<&TableName> = plan.tables().map(|(_, name, _)| name).collect();
    let missing: Vec<String> = replicated
        .iter()
        .filter(|table| !dumped.contains(&table.name))
        .map(|table| table.name.to_string())
        .collect();
    if !missing.is_empty() {
        out::println(&format!(
            "# WARNING source {}: the task replicates {} although no folder holds their rows; rows from before {} will be missing",
            plan.source_id,
            missing.join(", "),
            plan.earliest.position_text()
        ));
    }
    let kept = |name: &&TableName| subtask.block_allow.matches_table(&name.schema, &name.table);
    let idle: Vec<String> = dumped.iter().filter(|name| !kept(name)).map(|name| name.to_string()).collect();
    if !idle.is_empty() {
        out::println(&format!(
            "# note source {}: dumped, but not replicated by the task: {}",
            plan.source_id,
            idle.join(", ")
        ));
    }
    Ok(())
}

async fn connect(endpoint: &mysql::Endpoint, name: &str) -> Result<Conn, DmError> {
    Conn::connect(endpoint).await.map_err(|error| code::DB_DRIVER_ERROR.error(format!("{name}: {error}")))
}

/// Writes the checkpoint of one source, in one transaction.
async fn write(subtask: &SubtaskConfig, plan: &SourcePlan, overwrite: bool) -> Result<(), DmError> {
    if plan.needs_safe_mode {
        return Err(code::METADATA_NO_BINLOG_LOC
            .error(format!("a dump of source {} is not consistent: it has a second position", plan.source_id))
            .with_workaround(
                "Put the printed `meta` into the task and start it with `safe-mode: true` until the second position is \
                 passed, or dump with --consistency=flush or lock.",
            ));
    }
    if plan.safe_until.is_some() && subtask.syncer.safe_mode_duration.is_zero() {
        return Err(code::SYNCER_REPROCESS_WITH_SAFE_MODE_FAIL
            .error(format!(
                "a dump of source {} has tables of two moments, which need safe mode at first, and safe-mode-duration is 0",
                plan.source_id
            ))
            .with_workaround("Leave `safe-mode-duration` out of the task's `syncers`, or give it a value such as 60s."));
    }
    let name = subtask.target.to_string();
    let failed = |error: mysql::Error| code::DB_EXECUTE_FAILED.error(format!("{name}: {error}"));
    let mut conn = connect(&subtask.target.endpoint(), &name).await?;
    let store = Store::new(Tables::new(&subtask.meta_schema, &subtask.task), &subtask.source_id);
    store.tables().create(&mut conn).await.map_err(failed)?;
    let flavor = plan.earliest.gtid.as_ref().map_or(Flavor::MySql, mysql::GtidSet::flavor);
    let there = store.load(&mut conn, flavor).await.map_err(failed)?;
    if let Some(global) = there.global.filter(|_| !overwrite) {
        return Err(code::CHECKPOINT_SAVE_INVALID_POS
            .error(format!(
                "task {} has a checkpoint for source {} already, at {}",
                subtask.task,
                subtask.source_id,
                global.position_text()
            ))
            .with_workaround("Start the task to go on from there, or add --overwrite to begin anew."));
    }
    let points = points(subtask, plan).await?;
    // A process that replicates this now must not write over it: it ends at its next write (36900).
    let lanes = subtask.syncer.worker_count.max(1);
    take_over(&mut conn, store.tables(), &subtask.source_id, lanes, None).await.map_err(failed)?;
    let exit = plan.safe_until.as_ref().unwrap_or(&plan.earliest);
    store.begin_at(&mut conn, &plan.earliest, Some(exit), &points).await.map_err(failed)?;
    conn.close().await;
    let safe_mode = match &plan.safe_until {
        Some(until) => format!("on until {} for tables of two moments", until.position_text()),
        None => "off".into(),
    };
    out::println(&format!(
        "# checkpoint of source {} written: starts at {}, {} tables with points of their own, safe mode {safe_mode}",
        subtask.source_id,
        plan.earliest.position_text(),
        points.len()
    ));
    Ok(())
}

/// The replicated tables with their points and structures.
async fn points(subtask: &SubtaskConfig, plan: &SourcePlan) -> Result<Vec<TablePoint>, DmError> {
    let mut points = Vec::new();
    for (folder, name, table) in plan.tables() {
        if !subtask.block_allow.matches_table(&name.schema, &name.table) {
            continue;
        }
        let info = match &table.schema_file {
            Some(file) => structure(&folder.path, file).await?,
            None => None,
        };
        points.push(TablePoint { table: name.clone(), location: table.start.clone(), info });
    }
    Ok(points)
}

/// The table's structure as TableInfo; `None`: not understood, the syncer asks the servers.
async fn structure(path: &Path, file: &str) -> Result<Option<String>, DmError> {
    let storage = LocalStorage::new(path);
    let text = storage.read(file).await.map_err(|error| folder::wrong(path, &error.to_string()))?;
    let mode = SqlMode::default();
    let spans = sql::split::statements(&text, mode).unwrap_or_default();
    let create = spans
        .iter()
        .map(|span| span.of(&text))
        .find(|statement| sql::classify(statement, mode).kind == sql::Kind::CreateTable);
    let table = create.and_then(|create| Table::from_create(create, mode).ok());
    Ok(table.map(|table| sql::table_info::to_json(&table)))
}
