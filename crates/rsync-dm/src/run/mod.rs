//! `rsync-dm run`: one task with any number of sources in one process, without a master. Shard DDL of all its sources is
//! coordinated here.

mod locks;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    cipher::Key,
    error::{DmError, dm_codes as code},
};
use mysql::wire::Refusal;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    config::{SubtaskConfig, TaskConfig, yaml::CheckerYaml},
    proto::pb,
    shard::{Local, ShardCoordinator},
    syncer::{SubtaskHandle, Syncer, error as errors, handle_before_start},
    worker::auto_resume::{Backoff, may_be_over},
};

/// Flags of `rsync-dm run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// File of a source; once for each source of the task
    #[arg(long = "source", value_name = "FILE", required = true)]
    pub sources: Vec<PathBuf>,
    /// File of the task
    #[arg(long, value_name = "FILE")]
    pub task: PathBuf,
    /// Begin anew: forget the task's checkpoint and locks
    #[arg(long)]
    pub remove_meta: bool,
    /// Do not run the DDL whose event begins there (startLocation of the error), as `ctl binlog skip`; may be repeated
    #[arg(long, value_name = "SOURCE=FILE:POS")]
    pub skip_ddl: Vec<String>,
    /// Run other DDL in place of that whose event begins there, as `ctl binlog replace`; may be repeated
    #[arg(long, value_name = "SOURCE=FILE:POS=SQL")]
    pub replace_ddl: Vec<String>,
    /// Run other DDL before that whose event begins there, as `ctl binlog inject`; may be repeated
    #[arg(long, value_name = "SOURCE=FILE:POS=SQL")]
    pub inject_ddl: Vec<String>,
}

/// What the flags want of a statement: source, operation, place, statements.
type Wish<'a> = (&'a SubtaskConfig, pb::ErrorOp, &'a str, Vec<String>);

/// What the flags want of single statements.
fn wishes<'a>(args: &'a RunArgs, subtasks: &'a [SubtaskConfig]) -> Result<Vec<Wish<'a>>, DmError> {
    let flags = [
        ("--skip-ddl", pb::ErrorOp::Skip, &args.skip_ddl),
        ("--replace-ddl", pb::ErrorOp::Replace, &args.replace_ddl),
        ("--inject-ddl", pb::ErrorOp::Inject, &args.inject_ddl),
    ];
    let mut all = Vec::new();
    for (flag, op, texts) in flags {
        for text in texts {
            let bad = |what: &str| {
                code::INVALID_BINLOG_POS_STR.error(format!("{flag} {text}: {what}")).with_workaround(
                    "Write it as SOURCE=FILE:POS, and =SQL after that for --replace-ddl and --inject-ddl.",
                )
            };
            let (source, rest) = text.split_once('=').ok_or_else(|| bad("there is no source before `=`"))?;
            let (place, sqls) = match (op, rest.split_once('=')) {
                (pb::ErrorOp::Skip, _) => (rest, Vec::new()),
                (_, Some((place, sql))) => (place, vec![sql.to_owned()]),
                (_, None) => return Err(bad("there is no statement")),
            };
            let subtask = subtasks.iter().find(|subtask| subtask.source_id == source);
            all.push((subtask.ok_or_else(|| bad("the task has no such source"))?, op, place, sqls));
        }
    }
    Ok(all)
}

/// Time between two looks at the subtasks.
const LOOK: Duration = Duration::from_millis(500);

/// How long a contradiction between shard DDL of two sources stands before it ends the process.
const LET_OTHERS_COME: Duration = Duration::from_secs(2);

/// Time between two lines of status.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// Replicates until `stop`, or until a subtask meets an error that time does not heal: then the others are stopped in good order too.
///
/// # Errors
/// Configurations that do not fit; that error.
pub async fn run(args: &RunArgs, key: Option<&Key>, stop: CancellationToken) -> Result<(), DmError> {
    let task = TaskConfig::load(&args.task, key)?;
    let subtasks = SubtaskConfig::of_files(&task, &args.sources, key)?;
    let wishes = wishes(args, &subtasks)?;
    let prepare = async {
        wait_for_servers(&task, &subtasks, args.remove_meta).await?;
        let store = locks::LockTable::open(&subtasks[0], args.remove_meta).await?;
        for (subtask, op, place, sqls) in &wishes {
            handle_before_start(subtask, *op, place, sqls).await?;
        }
        let sources = subtasks.iter().map(|subtask| subtask.source_id.clone());
        let local = Local::open(Arc::new(store), sources).await;
        local.map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(common::error::chain(&e)))
    };
    let coordinator = tokio::select! {
        coordinator = prepare => coordinator?,
        () = stop.cancelled() => return Ok(()),
    };
    replicate(subtasks, Arc::new(coordinator), stop).await
}

/// The checks before the start. A server that is merely out of reach is waited for.
async fn wait_for_servers(task: &TaskConfig, subtasks: &[SubtaskConfig], anew: bool) -> Result<(), DmError> {
    let mut backoff = Backoff::default();
    let checker = subtasks.first().map(|subtask| subtask.checker.clone()).unwrap_or_default();
    loop {
        let Err(error) = crate::check::before_run(task, subtasks, anew).await else { return Ok(()) };
        if ![code::DB_BAD_CONN.code, code::DB_INVALID_CONN.code].contains(&error.code().code)
            || !checker.check_enable
        {
            return Err(error);
        }
        warn!(error = %error, "a server is out of reach, it is tried again");
        while !backoff.failed(Instant::now(), &checker) {
            tokio::time::sleep(LOOK).await;
        }
    }
}

struct Running {
    source: String,
    handle: SubtaskHandle,
    checker: CheckerYaml,
    backoff: Backoff,
}

async fn replicate(
    subtasks: Vec<SubtaskConfig>,
    coordinator: Arc<Local>,
    stop: CancellationToken,
) -> Result<(), DmError> {
    let mut running: Vec<Running> = subtasks
        .into_iter()
        .map(|config| Running {
            source: config.source_id.clone(),
            checker: config.checker.clone(),
            handle: Syncer::start(config, Arc::clone(&coordinator) as Arc<dyn ShardCoordinator>),
            backoff: Backoff::default(),
        })
        .collect();
    let mut failed = None;
    let (mut said, mut contradicted) = (Instant::now(), None);
    while failed.is_none() {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(LOOK) => {}
        }
        for subtask in &mut running {
            tokio::select! {
                error = subtask.look() => failed = failed.or(error),
                () = stop.cancelled() => break,
            }
        }
        failed = match coordinator.conflict().await {
            None => {
                contradicted = None;
                failed
            }
            // Sources that come to it meanwhile are named too.
            Some(error) => {
                let since = *contradicted.get_or_insert_with(Instant::now);
                failed.or_else(|| (since.elapsed() >= LET_OTHERS_COME).then_some(error))
            }
        };
        if said.elapsed() >= STATUS_EVERY {
            said = Instant::now();
            running.iter().for_each(Running::say);
        }
    }
    info!("the subtasks are stopped");
    futures::future::join_all(running.iter().map(|r| r.handle.stop())).await;
    running.iter().for_each(Running::say);
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl Running {
    /// Resumes it if it is time; gives an error that stays.
    async fn look(&mut self) -> Option<DmError> {
        let status = self.handle.status();
        let error = match (&status.result, status.stage()) {
            (Some(result), pb::Stage::Paused) => result.errors.first().cloned(),
            _ => None,
        };
        let Some(error) = error else {
            self.backoff.running(Instant::now(), &self.checker);
            return None;
        };
        if !may_be_over(&error) || needs_somebody(&error) || !self.checker.check_enable {
            error!(source = %self.source, "the subtask can't go on by itself");
            let mut stays = errors::from_process(&error).annotate(&format!("source {}: ", self.source));
            if error.workaround.contains("`binlog ") {
                let workaround = format!(
                    "{} With `rsync-dm run`: start it again with --skip-ddl or --replace-ddl {}=FILE:POS (startLocation).",
                    error.workaround, self.source
                );
                stays = stays.with_workaround(workaround);
            } else if error.workaround.contains("`resume-task`")
                && !error.workaround.contains("`rsync-dm run`")
            {
                let workaround = format!("{} With `rsync-dm run`: start it again.", error.workaround);
                stays = stays.with_workaround(workaround);
            }
            return Some(stays);
        }
        if self.backoff.failed(Instant::now(), &self.checker) {
            warn!(source = %self.source, "dispatch auto resume task");
            self.handle.resume_unasked().await;
        }
        None
    }

    fn say(&self) {
        let status = self.handle.status();
        let Some(pb::sub_task_status::Status::Sync(sync)) = &status.status else { return };
        info!(
            source = %self.source, stage = status.stage().as_str_name(), "total rows" = sync.total_rows, rps = sync.recent_rps,
            "master-position" = %sync.master_binlog, "syncer-position" = %sync.syncer_binlog, lag = sync.seconds_behind_master,
            "binlog replication status"
        );
    }
}

/// What servers say of statements that they will never take: syntax, keys, columns, types, collations and parents that are none.
const NEVER: [u16; 14] = [1064, 1067, 1071, 1072, 1075, 1101, 1115, 1215, 1235, 1253, 1273, 1822, 3780, 6125];

/// Whether someone has to act: an account that is refused, rows that do not fit, a source set up otherwise than the task needs. Nobody
/// watches this process as a master's tasks are watched, so it ends and says so.
fn needs_somebody(error: &pb::ProcessError) -> bool {
    use mysql::ErrorClass as Class;
    let code = error.err_code.cast_unsigned();
    // Checks of the source, a source without a binlog, a GTID set that is none.
    if (26000..27000).contains(&code) || [11125, code::PARSE_GTID.code].contains(&code) {
        return true;
    }
    let text = format!("{} {}", error.raw_cause, error.message).to_lowercase();
    // Certificates that do not fit, and what the driver cannot do.
    if ["tls failed: invalid peer certificate", ": can't read ", "the account logs in with the plugin"]
        .iter()
        .any(|t| text.contains(t))
    {
        return true;
    }
    if error.raw_cause.starts_with("Error 1236")
        && let Some((_, message)) = error.raw_cause.split_once("): ")
    {
        let refusal = Refusal::of(&mysql::Error::server(1236, "HY000", message));
        return refusal.is_some_and(|refusal| refusal != Refusal::ServerIdClash);
    }
    text.match_indices("error ").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
        let number = digits.parse::<u16>().ok();
        if number.is_some_and(|number| NEVER.contains(&number)) {
            return true;
        }
        let class = number.map(|number| mysql::Error::server(number, "", "").class());
        matches!(
            class,
            Some(
                Class::AccessDenied
                    | Class::DataTooLong
                    | Class::OutOfRange
                    | Class::BadValue
                    | Class::UnknownColumn
                    | Class::Tls
            )
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_is_told_from_what_passes() {
        let of = |message: &str, cause: &str| {
            needs_somebody(&pb::ProcessError {
                message: message.into(),
                raw_cause: cause.into(),
                ..Default::default()
            })
        };
        assert!(of("cannot connect to the source", "Error 1045 (28000): Access denied for user 'a'"));
        assert!(of("list the tables of source s: ERROR 1142 (42000): SELECT command denied", ""));
        assert!(of("x", "ERROR 1265 (01000): Data truncated for column 'e' at row 1"));
        assert!(of("x", "Error 1054 (42S22): Unknown column 'a' in 'field list'"));
        assert!(of("x", "Error 1064 (42000): You have an error in your SQL syntax"));
        let gtid_off = pb::ProcessError { err_code: 26007, ..Default::default() };
        assert!(needs_somebody(&gtid_off));
        assert!(!of("cannot connect to the source", "can't connect: Connection refused (os error 111)"));
        assert!(!of("x", "Error 1205 (HY000): Lock wait timeout exceeded"));
    }
}
