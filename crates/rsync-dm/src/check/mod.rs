//! The checks before a task starts (facts/dm.md 1.9): what the sources and the target must be able to do, and whether
//! their tables fit each other. Nothing is written.

mod report;
mod source;
mod tables;
mod target;

pub(crate) use source::never_had;
pub use source::warn_of_format;
pub(crate) use tables::{definition, narrower};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use common::{
    error::{DmError, dm_codes as code},
    ident::quote,
};
use mysql::{Conn, Location};

use crate::checkpoint::{Store, Tables};
use crate::config::{Database, SourceConfig, SubtaskConfig, TaskConfig};
use crate::{
    syncer::{connect_source, connect_target},
    upstream,
};

/// Where sources begin, by their id.
pub type Begins = BTreeMap<String, Location>;

/// A run that takes longer is given up, as in DM.
const TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// How many results of each kind are shown.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Failures.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { errors: 10, warnings: 10 }
    }
}

/// Runs the checks of a task on these of its sources, and says what was found. `begins` has the start of a source where an
/// operator chose another one than the checkpoint's or the file's.
///
/// # Errors
/// 26005 with the report; 26002 a server that can't be reached; 10005 a question that was not answered.
pub async fn run(
    task: &TaskConfig,
    sources: &[Arc<SourceConfig>],
    begins: &Begins,
    limits: Limits,
) -> Result<String, DmError> {
    if task.ignores_check("all") {
        return Ok("pre-check is passed. ".into());
    }
    match tokio::time::timeout(TIMEOUT, checks(task, sources, begins)).await {
        Ok(checks) => report::conclude(&checks?, limits),
        Err(_) => Err(code::TASK_CHECK_SYNC_CONFIG_ERROR.error("the checks took more than 30 minutes")),
    }
}

async fn checks(
    task: &TaskConfig,
    sources: &[Arc<SourceConfig>],
    begins: &Begins,
) -> Result<Vec<report::Check>, DmError> {
    let subtasks =
        sources.iter().map(|source| task.subtask(source)).collect::<Result<Vec<SubtaskConfig>, _>>()?;
    let mut target = connect(task.target(), "target").await?;
    let mut starts = Vec::new();
    for subtask in &subtasks {
        starts.push(target::start_of(&mut target, subtask).await?);
    }
    let asked = subtasks.iter().zip(&starts).map(|(subtask, start)| {
        let chosen =
            begins.get(&subtask.source_id).map(|at| target::Start { at: at.clone(), is_checkpoint: false });
        source::checks(task, subtask, chosen.or(start.clone()))
    });
    let mut checks = Vec::new();
    let mut found = Vec::new();
    for answer in futures::future::join_all(asked).await {
        let (of_source, tables) = answer?;
        checks.extend(of_source);
        found.extend(tables);
    }
    checks.extend(target::checks(task, &subtasks, &found, &mut target).await?);
    let goes_on = starts.iter().flatten().any(|start| start.is_checkpoint);
    checks.extend(tables::checks(task, goes_on, &found, &mut target).await?);
    target.close().await;
    Ok(checks)
}

/// What a task that starts without the other checks can't do without: servers that let its accounts in, their rights, a binlog that holds
/// whole rows, and the place to start from. What can't be asked here replication will meet itself. `anew`: the checkpoint does not count.
///
/// # Errors
/// A server that can't be reached, or refuses; 26005 with all failures and what helps. Warnings are logged.
pub async fn before_run(task: &TaskConfig, subtasks: &[SubtaskConfig], anew: bool) -> Result<(), DmError> {
    let mut checks = Vec::new();
    let mut schemas = BTreeSet::new();
    for subtask in subtasks {
        let mut target = connect_target(subtask).await?;
        let start = target::start_of(&mut target, subtask).await;
        let start = start?.filter(|start| !(anew && start.is_checkpoint));
        let mut start = start.or(target::start_of_meta(subtask)?);
        if let Some(start) = start.as_mut().filter(|start| start.is_checkpoint) {
            // The unit knows which server a file of the checkpoint is of, and says better than a check what is wrong with it.
            start.at.file.clear();
        }
        target.close().await;
        let mut conn = connect_source(subtask).await?;
        if !task.ignores_check("all") {
            let tables = upstream::tables(&mut conn, subtask).await.unwrap_or_default();
            let rules = task.block_allow_rules(&subtask.source_id);
            let named = source::named_schemas(&rules);
            checks.extend(source::of_run(task, subtask, start, &mut conn).await.unwrap_or_default());
            if !task.ignores_check("dump_privilege") {
                checks.extend(source::select_privileges(subtask, &named, &tables, &mut conn).await);
            }
            schemas.extend(tables.into_iter().map(|table| table.target.schema));
            schemas.extend(subtask.router.target_schemas().into_iter().map(str::to_owned));
        }
        conn.close().await;
    }
    if task.ignores_check("all") {
        return Ok(());
    }
    if !task.ignores_check("target_privilege")
        && let Ok(mut conn) = connect(task.target(), "target").await
    {
        let schemas = schemas.iter().map(String::as_str).chain([task.meta_schema()]).collect();
        checks.extend(target::privileges(schemas, &BTreeSet::new(), &mut conn).await);
        conn.close().await;
    }
    report::conclude_for_log(&checks)
}

/// The statements that give the target's account what it lacks in these databases, as far as that can be asked.
pub(crate) async fn grants_for_target(
    conn: &mut Conn,
    schemas: BTreeSet<&str>,
    with_keys: &BTreeSet<&str>,
) -> Option<String> {
    let check = target::privileges(schemas, with_keys, conn).await.ok()?;
    Some(check.instruction().to_owned()).filter(|text| !text.is_empty())
}

async fn connect(database: &Database, what: &str) -> Result<Conn, DmError> {
    let mut conn = Conn::connect(&database.endpoint()).await.map_err(|e| {
        code::TASK_CHECK_FAILED_OPEN_DB
            .wrap(format!("cannot connect to the {what} database {database} as user {}", database.user), &e)
    })?;
    // SHOW CREATE TABLE quotes as the session's mode says.
    conn.exec("SET SESSION sql_mode = ''").await.map_err(|e| failed(&e))?;
    Ok(conn)
}

fn failed(e: &mysql::Error) -> DmError {
    code::DB_QUERY_FAILED.wrap("", e)
}

/// Makes the subtasks of a task begin at these places (`start-task --start-time`), whatever their checkpoints say.
///
/// # Errors
/// 26002, 10006.
pub async fn begin_at(task: &TaskConfig, begins: &Begins) -> Result<(), DmError> {
    if begins.is_empty() {
        return Ok(());
    }
    let mut target = connect(task.target(), "target").await?;
    for (source, location) in begins {
        let store = Store::new(Tables::new(task.meta_schema(), task.name()), source);
        let failed = |e: mysql::Error| code::DB_EXECUTE_FAILED.wrap("cannot write the checkpoint", &e);
        store.tables().create(&mut target).await.map_err(failed)?;
        store.begin_at(&mut target, location, None, &[]).await.map_err(failed)?;
    }
    target.close().await;
    Ok(())
}

/// Drops the state tables of a task (`start-task --remove-meta`).
///
/// # Errors
/// 26002, 10006.
pub async fn remove_meta(task: &TaskConfig) -> Result<(), DmError> {
    let mut target = connect(task.target(), "target").await?;
    let schema = quote(task.meta_schema());
    for suffix in [
        "_loader_checkpoint",
        "_lightning_checkpoint_list",
        "_validator_checkpoint",
        "_validator_pending_change",
        "_validator_error_change",
        "_validator_table_status",
    ] {
        let table = quote(&format!("{}{suffix}", task.name()));
        match target.exec(format!("DROP TABLE IF EXISTS {schema}.{table}")).await {
            Ok(_) => {}
            // Neither the schema nor, then, a table of it.
            Err(e) if e.code() == Some(1049) => break,
            Err(e) => return Err(code::DB_EXECUTE_FAILED.wrap("cannot remove the state tables", &e)),
        }
    }
    let tables = Tables::new(task.meta_schema(), task.name());
    match tables.drop_all(&mut target).await {
        Err(e) if e.code() != Some(1049) => {
            return Err(code::DB_EXECUTE_FAILED.wrap("cannot remove the state tables", &e));
        }
        _ => {}
    }
    target.close().await;
    Ok(())
}
