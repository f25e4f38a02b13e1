//! One import from start to end.

mod checks;
mod task;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use common::duration::GoDuration;
use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::Storage;
use mysql::{Conn, Flavor};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::checkpoint;
use crate::config::Config;
use crate::downstream::tables::{self, TargetInfo};
use crate::downstream::{Target, collation};
use crate::error::{Context, Error, Result, fail};
use crate::finished;
use crate::import::Shared;
use crate::import::batch::Limits;
use crate::import::file::FileTask;
use crate::indexes;
use crate::ledger::{Asked, Found, Ledger};
use crate::orphans;
use crate::progress::Counters;
use crate::records::Records;
use crate::register;
use crate::schema::{self, Creator, SourceTables};
use crate::source::{Dump, walk};
use crate::status::{Loading, Status};
use crate::verify;

use checks::{check, final_complaints};
pub use task::source_name;
use task::{settings, task_name};

/// Rows of one transaction: enough that commits do not count, little enough that a lost one costs no time.
const TRANSACTION_BYTES: usize = 8 << 20;
/// The same in statements for TiDB, whose transactions live in memory, and where the user sets the size of a statement.
const STATEMENTS_PER_BATCH: usize = 8;
/// Bytes of rows that all workers may hold at a time; each holds up to three batches (read, waiting, on its way).
const MEMORY_BUDGET: usize = 48 << 20;
/// Bounds of the size of a piece.
const SMALLEST_PIECE: u64 = 8 << 20;
/// What is known before the target is touched: shared with `rlightning check`.
pub struct Prepared {
    /// The dump's storage.
    pub storage: Arc<dyn Storage>,
    /// Files and tables.
    pub dump: Dump,
    /// Structures of source tables, by folder and name.
    pub sources: SourceTables,
}

/// A good end, except for the last word: [`Finished::forget`].
pub struct Finished {
    conn: Conn,
    target: Target,
    ledger: Ledger,
    keep: crate::config::raw::KeepAfterSuccess,
    /// Rows in the target.
    pub rows: u64,
}

impl Finished {
    /// Lets go of the task, so that the next run starts a new one. The very last thing of a run.
    ///
    /// Never fails: if it cannot, the next run puts it away.
    pub async fn forget(mut self) {
        let mut last = None;
        for _ in 0..5 {
            let error = match self.ledger.forget(&mut self.conn, self.keep).await {
                Ok(()) => return,
                Err(error) => error,
            };
            let is_transient = error.class().is_transient();
            last = Some(error);
            if !is_transient {
                break;
            }
            match self.target.another().await {
                Ok(conn) => self.conn = conn,
                Err(_) => tokio::time::sleep(std::time::Duration::from_secs(1)).await,
            }
        }
        if let Some(error) = last {
            warn!(%error, "all is imported, but the task could not be forgotten: the next run puts it away");
        }
    }
}

/// Lists the source and reads its schema files.
///
/// # Errors
/// What the storage or the files have.
pub async fn prepare(config: &Config) -> Result<Prepared> {
    let storage = common::storage::open(&config.source.dir, &common::storage::Options::default())
        .context(codes::INVALID_STORAGE_CONFIG, || "open the source".into())?;
    info!("load data source start");
    let begun = Instant::now();
    let dump = walk::walk(&config.source, &*storage).await?;
    info!(takeTime = %GoDuration::from(begun.elapsed()), "load data source completed");
    if dump.tables.is_empty() && dump.views.is_empty() && dump.schemas.is_empty() {
        return Err(fail(
            codes::EMPTY_SOURCE_DIR,
            format!(
                "no file of '{}' takes part: check `mydumper.filter`, `mydumper.files` and the names of the files",
                storage.uri()
            ),
        ));
    }
    let sources = tokio::task::block_in_place(|| {
        schema::source_tables(&*storage, &dump, &config.source.character_set)
    })?;
    Ok(Prepared { storage, dump, sources })
}

/// Imports everything.
///
/// # Errors
/// The first failure. What is committed stays, and the next run goes on.
pub async fn import(
    config: &Config,
    token: CancellationToken,
    status: Option<&Arc<Status>>,
) -> Result<Finished> {
    let mut prepared = prepare(config).await?;
    let (target, mut conn) = Target::connect(config).await?;
    info!("the whole procedure start");
    let begun = Instant::now();
    let result = procedure(config, &mut prepared, &target, &mut conn, (&token, status)).await;
    if let Some(status) = status {
        status.ended(result.as_ref().err().map(ToString::to_string));
    }
    let took = GoDuration::from(begun.elapsed());
    match result {
        Ok((ledger, rows)) => {
            info!(takeTime = %took, rows, "the whole procedure completed");
            Ok(Finished { conn, target, ledger, keep: config.keep_after_success, rows })
        }
        Err(error) => {
            match &error {
                Error::Canceled => info!(takeTime = %took, "the whole procedure canceled"),
                Error::Failed(cause) => {
                    tracing::error!(takeTime = %took, error = %cause, "the whole procedure failed")
                }
            }
            Err(error)
        }
    }
}

async fn procedure(
    config: &Config,
    prepared: &mut Prepared,
    target: &Target,
    conn: &mut Conn,
    (token, status): (&CancellationToken, Option<&Arc<Status>>),
) -> Result<(Ledger, u64)> {
    let name = task_name(config, &*prepared.storage)?;
    let settings = settings(config, &prepared.dump);
    let all: Vec<TableName> = prepared.dump.tables.keys().cloned().collect();
    let mut seen = None;
    let left_out = finished::leave_out(config, prepared, conn, &name, &mut seen).await?;
    let asked = Asked {
        schema: &config.ledger_schema,
        name: &name,
        settings: &settings,
        go_on: config.checkpoint,
        seen,
        advice: &config.advice,
    };
    let prepared = &*prepared;
    check(config, prepared, target, conn, &asked).await?;
    let mut ready = get_ready(config, prepared, target, conn, &asked, token).await?;
    if config.verify {
        ready.earlier = register::earlier(prepared, conn, &left_out).await?;
    }
    ready.finished = all.into_iter().filter(|name| !prepared.dump.tables.contains_key(name)).collect();
    let result = go_on(config, prepared, target, conn, &ready, (token, status)).await;
    if result.is_err() {
        let storage = &*prepared.storage;
        let written =
            checkpoint::write(config, target, storage, &ready.ledger, &ready.tasks, &ready.finished).await;
        if let Err(error) = written {
            warn!(%error, "the state could not be written as a checkpoint of TiDB Lightning; rlightning itself goes on with its ledger");
        }
    }
    let rows = result?;
    // Of a task that has half ended no checkpoint is written: its ledger tells of fewer rows than are in.
    end(config, target, conn, &ready).await?;
    Ok((ready.ledger, rows))
}

/// Loads what is missing, and what follows the load.
async fn go_on(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    ready: &Ready,
    (token, status): (&CancellationToken, Option<&Arc<Status>>),
) -> Result<u64> {
    let rows = load(config, prepared, target, conn, ready, (token, status)).await?;
    if config.checkpoint_place.is_some() && status.is_some() {
        // One that was written while the run rested at its very end.
        let mut conn =
            target.another().await.context(codes::READ_CHECKPOINT, || "look for a checkpoint".into())?;
        checkpoint::reclaim(config, &mut conn, &ready.ledger).await?;
    }
    indexes::add(config, target, &prepared.dump, token).await?;
    tokio::select! {
        () = orphans::look(config, target, &prepared.dump) => {}
        () = token.cancelled() => return Err(Error::Canceled),
    }
    info!("everything imported, stopping periodic actions");
    if config.verify {
        verify(config, prepared, target, ready, token).await?;
    }
    let has_none = prepared.dump.views.is_empty() && prepared.dump.programs.is_empty();
    if !config.source.no_schema && !has_none {
        objects(config, prepared, target, token).await?;
    }
    Ok(rows)
}

/// Makes views, routines, triggers and events.
async fn objects(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    token: &CancellationToken,
) -> Result<()> {
    again(config, token, async || {
        let doing = || "connect to the target".to_owned();
        let mut conn = target.another().await.context(codes::DB_CONNECT, doing)?;
        creator(config, prepared, target, &mut conn).await?.objects(&mut conn).await
    })
    .await
}

async fn verify(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    ready: &Ready,
    token: &CancellationToken,
) -> Result<()> {
    let job = verify::Job {
        config,
        target,
        prepared,
        ledger: &ready.ledger,
        records: &ready.records,
        tasks: &ready.tasks,
        earlier: &ready.earlier,
        limits: limits(config, target),
        token,
    };
    again(config, token, async || verify::run(&job).await).await
}

/// Does something that can be done again until it succeeds, or fails for more than a lost connection and the like.
async fn again(
    config: &Config,
    token: &CancellationToken,
    mut action: impl AsyncFnMut() -> Result<()>,
) -> Result<()> {
    let begun = Instant::now();
    let backoff = config.patience;
    for tries in 1.. {
        let error = match action().await {
            Err(error) if error.is_transient() && begun.elapsed() < backoff.total => error,
            other => return other,
        };
        info!(%error, tries, "failed, will try again");
        tokio::select! {
            () = tokio::time::sleep(backoff.wait_jittered(tries)) => {}
            () = token.cancelled() => break,
        }
    }
    Err(Error::Canceled)
}

/// Schemas, ledger and the list of work.
struct Ready {
    ledger: Ledger,
    records: Records,
    tasks: Vec<Arc<FileTask>>,
    piece_bytes: u64,
    /// Tables that an earlier run has finished.
    finished: Vec<TableName>,
    /// Their files, to be verified.
    earlier: Vec<Arc<FileTask>>,
}

/// Makes everything ready for the load. Each step can be done again, so a lost connection (and a lost answer) only begins them anew.
async fn get_ready(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    asked: &Asked<'_>,
    token: &CancellationToken,
) -> Result<Ready> {
    let begun = Instant::now();
    let backoff = config.patience;
    for tries in 1.. {
        if token.is_cancelled() {
            return Err(Error::Canceled);
        }
        let error = match try_ready(config, prepared, target, conn, asked).await {
            Err(error) if error.is_transient() && begun.elapsed() < backoff.total => error,
            result => return result,
        };
        info!(%error, tries, "failed, will try again");
        tokio::select! {
            () = tokio::time::sleep(backoff.wait_jittered(tries)) => {}
            () = token.cancelled() => return Err(Error::Canceled),
        }
        if let Ok(fresh) = target.another().await {
            *conn = fresh;
        }
    }
    Err(Error::Canceled)
}

async fn try_ready(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    asked: &Asked<'_>,
) -> Result<Ready> {
    let Prepared { dump, .. } = prepared;
    let wanted: BTreeSet<&TableName> = dump.tables.keys().collect();
    let targets = tables::load(conn, &wanted).await?;
    create_missing(config, prepared, target, conn, &targets).await?;
    // What was created just now has to pass too.
    let targets = tables::load(conn, &wanted).await?;
    let complaints = final_complaints(config, prepared, target, conn, &targets).await?;
    if !complaints.is_empty() {
        return Err(fail(codes::PRE_CHECK_FAILED, complaints.join(";\n")));
    }
    let (ledger, found) = Ledger::open(conn, asked).await?;
    info!(task = ledger.task(), ?found, schema = %config.ledger_schema, "ledger opened");
    let piece_bytes = piece_bytes(config, dump);
    let foreign = checkpoint::reclaim(config, conn, &ledger).await?;
    let changed = indexes::get_ready(config, conn, &ledger, dump, &targets).await?;
    let targets = if changed { tables::load(conn, &wanted).await? } else { targets };
    register::check_identities(conn, &ledger, found, &targets, dump, config).await?;
    let known = if found == Found::Unfinished { ledger.files(conn).await? } else { HashMap::new() };
    let mut tasks =
        register::files(prepared, conn, &ledger, &known, &targets, piece_bytes, asked.advice).await?;
    if let Some(foreign) = foreign {
        let storage = &*prepared.storage;
        checkpoint::take_over(config, conn, target, storage, &ledger, &mut tasks, &foreign).await?;
    }
    let records = Records::new(config, ledger.task());
    records.create(conn, config.on_duplicate).await?;
    if config.verify {
        verify::base::note(conn, config, &ledger, &tasks).await?;
    }
    let (finished, earlier) = (Vec::new(), Vec::new());
    Ok(Ready { ledger, records, tasks, piece_bytes, finished, earlier })
}

/// Ends the task; the connection may have been lost while the workers were busy.
async fn end(config: &Config, target: &Target, conn: &mut Conn, ready: &Ready) -> Result<()> {
    info!("clean checkpoints start");
    let begun = Instant::now();
    let backoff = config.patience;
    let mut marked = false;
    for tries in 1.. {
        let error = match try_end(config, conn, ready, &mut marked).await {
            Ok(()) => break,
            Err(error) => error,
        };
        if !error.is_transient() || begun.elapsed() >= backoff.total {
            return Err(fail(
                codes::CLEAN_CHECKPOINT,
                format!(
                    "all rows are in the target, but the task could not be ended, run again to end it: {error}"
                ),
            ));
        }
        info!(%error, "the task could not be ended, will try again");
        tokio::time::sleep(backoff.wait_jittered(tries)).await;
        if let Ok(fresh) = target.another().await {
            *conn = fresh;
        }
    }
    info!(takeTime = %GoDuration::from(begun.elapsed()), "clean checkpoints completed");
    Ok(())
}

/// What was imported is written down before the task is ended: whatever happens, one of them tells of the rows.
/// Only once: a task that has half ended does not know its rows any more.
async fn try_end(config: &Config, conn: &mut Conn, ready: &Ready, marked: &mut bool) -> Result<()> {
    let doing = || "write the ledger".to_owned();
    if !*marked {
        let marks = finished::marks(conn, &ready.ledger, &ready.tasks).await?;
        ready.ledger.write_marks(conn, &marks).await.context(codes::UPDATE_CHECKPOINT, doing)?;
        *marked = true;
    }
    ready.ledger.end(conn, config.keep_after_success).await.context(codes::CLEAN_CHECKPOINT, doing)
}

async fn creator<'a>(
    config: &'a Config,
    prepared: &'a Prepared,
    target: &'a Target,
    conn: &mut Conn,
) -> Result<Creator<'a>> {
    Ok(Creator {
        target,
        storage: &*prepared.storage,
        dump: &prepared.dump,
        source: &config.source,
        collations: collation::known(conn).await?,
    })
}

async fn create_missing(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    targets: &BTreeMap<TableName, TargetInfo>,
) -> Result<()> {
    if config.source.no_schema {
        return Ok(());
    }
    info!("restore all schema start");
    let begun = Instant::now();
    let missing: Vec<&TableName> =
        prepared.dump.tables.keys().filter(|name| !targets.contains_key(*name)).collect();
    indexes::forget_gone(config, conn, &missing).await?;
    creator(config, prepared, target, conn).await?.run(conn, &missing).await?;
    info!(takeTime = %GoDuration::from(begun.elapsed()), "restore all schema completed");
    Ok(())
}

/// Loads all data files. Returns the rows in the target.
async fn load(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    conn: &mut Conn,
    ready: &Ready,
    control: (&CancellationToken, Option<&Arc<Status>>),
) -> Result<u64> {
    warn_of_zones(&prepared.dump, &prepared.sources, target);
    info!("restore all tables data start");
    let begun = Instant::now();
    let mut tasks = ready.tasks.clone();
    let rows = loop {
        let before = left_out(target, conn, &ready.records).await?;
        let (rows, lost) = pass(config, prepared, target, ready, (tasks.clone(), before), control).await?;
        if !lost {
            break rows;
        }
        // What was committed to a server that failed over may be missing on the one that answers now.
        info!("a connection was lost on the way, the ledger is read again to see that nothing is missing");
        tasks = tasks.iter().map(|task| Arc::new(FileTask { resumed: true, ..(**task).clone() })).collect();
    };
    info!(takeTime = %GoDuration::from(begun.elapsed()), "restore all tables data completed");
    let (types, conflicts) = left_out(target, conn, &ready.records).await?;
    ready.records.say(types, conflicts);
    Ok(rows)
}

/// Rows that were left out so far, by runs of this task: for type errors and for duplicate keys.
async fn left_out(target: &Target, conn: &mut Conn, records: &Records) -> Result<(u64, u64)> {
    let doing = || "count the rows that were left out".to_owned();
    match records.count(conn).await {
        Err(error) if error.is_connection_gone() => {
            *conn = target.another().await.context(codes::DB_CONNECT, doing)?;
            records.count(conn).await
        }
        other => other,
    }
    .context(codes::READ_CHECKPOINT, doing)
}

/// Loads what the ledger does not have. The second value says whether a connection was lost.
async fn pass(
    config: &Config,
    prepared: &Prepared,
    target: &Target,
    ready: &Ready,
    (tasks, (types, conflicts)): (Vec<Arc<FileTask>>, (u64, u64)),
    (token, status): (&CancellationToken, Option<&Arc<Status>>),
) -> Result<(u64, bool)> {
    let size = prepared.dump.size();
    let files = tasks.iter().map(|task| (&task.table.name, task.file.size));
    let counters = Arc::new(Counters::new(files, size, config.concurrency as u64, config.bars));
    if let Some(status) = status {
        let (target, ledger, files) = (target.clone(), ready.ledger.clone(), tasks.clone());
        status.loading(Loading { target, ledger, files }, &counters);
    }
    counters.add_type_errors(types);
    counters.add_conflicts(conflicts);
    let shared = Arc::new(Shared {
        target: target.clone(),
        ledger: ready.ledger.clone(),
        storage: Arc::clone(&prepared.storage),
        counters: Arc::clone(&counters),
        token: token.child_token(),
        limits: limits(config, target),
        lost: AtomicBool::new(false),
        pool: Arc::default(),
        piece_bytes: ready.piece_bytes,
        quoted_nulls: Arc::default(),
        on_duplicate: config.on_duplicate,
        conflict_threshold: config.conflict_threshold,
        records: ready.records.clone(),
        paused: status.map(|status| status.paused()),
        gate: Arc::default(),
        redact: config.redact,
        patience: config.patience,
        advice: config.advice.clone(),
    });
    let ticker = CancellationToken::new();
    let ticking = tokio::spawn({
        let (counters, interval, ticker) = (Arc::clone(&counters), config.log_progress, ticker.clone());
        async move { counters.log_every(interval, ticker).await }
    });
    let (workers, tables) = (config.concurrency, config.table_concurrency);
    let resting = checkpoint::Resting {
        config,
        target,
        storage: &*prepared.storage,
        ledger: &ready.ledger,
        tasks: &tasks,
        finished: &ready.finished,
        gate: Arc::clone(&shared.gate),
        token: shared.token.clone(),
    };
    let work = crate::import::run(Arc::clone(&shared), tasks.clone(), workers, tables, None);
    tokio::pin!(work);
    let result = match status.filter(|_| config.checkpoint_place.is_some()) {
        None => work.await,
        Some(status) => tokio::select! {
            result = &mut work => result,
            error = resting.keep(status.paused()) => {
                // It ends, for nothing may be brought in any more.
                let _ = work.await;
                Err(error)
            }
        },
    };
    ticker.cancel();
    // It only waits and prints.
    let _ = ticking.await;
    counters.log();
    counters.finish();
    result?;
    if counters.conflicts() > 0 {
        warn!(strategy = config.on_duplicate.name(), rows = counters.conflicts(), "rows met a duplicate key");
    }
    if shared.quoted_nulls.count() > 0 {
        warn!(fields = shared.quoted_nulls.count(), "quoted fields were read as NULL");
    }
    if counters.blanks() > 0 {
        info!(
            count = counters.blanks(),
            "values of ENUMs that are none of the members ('', number 0) went in as they are"
        );
    }
    if counters.warnings() > 0 {
        warn!(count = counters.warnings(), "the target warned about rows");
    }
    Ok((counters.rows(), shared.lost.load(Ordering::Acquire)))
}

fn limits(config: &Config, target: &Target) -> Limits {
    let share = MEMORY_BUDGET / (3 * config.concurrency.max(1));
    let statement_bytes = target.statement_bytes().min(share.max(64 << 10));
    let transaction = match (config.statement_bytes, target.server().flavor) {
        (None, Flavor::MySql | Flavor::MariaDb) => TRANSACTION_BYTES,
        _ => STATEMENTS_PER_BATCH * statement_bytes,
    };
    Limits {
        statement_bytes,
        statement_rows: config.statement_rows,
        batch_bytes: transaction.min(share).max(statement_bytes),
        packet_limit: target.packet_limit,
    }
}

/// Several pieces for each worker, so that all end at about the same time; none smaller than is worth a scan.
fn piece_bytes(config: &Config, dump: &Dump) -> u64 {
    let share = dump.size() / (4 * config.concurrency.max(1) as u64);
    share.max(SMALLEST_PIECE).min(config.largest_piece)
}

/// TIMESTAMP texts mean nothing without a zone: what is not known is said.
fn warn_of_zones(dump: &Dump, sources: &SourceTables, target: &Target) {
    for (folder, manifest) in &dump.manifests {
        if let Some(caveat) = manifest.dump.session.time_zone_caveat() {
            warn!(folder, "{caveat}; `--source-time-zone` sets another");
        }
    }
    let with_timestamps: BTreeSet<&str> = sources
        .iter()
        .filter(|(_, table)| table.columns.iter().any(|column| column.kind == sql::ddl::TypeKind::Timestamp))
        .map(|((folder, _), _)| folder.as_str())
        .collect();
    for folder in with_timestamps {
        let recorded =
            dump.manifests.get(folder).and_then(|manifest| manifest.dump.session.time_zone_to_set());
        if target.time_zone(&crate::source::prologue::Prologue::default(), recorded).is_none() {
            info!(
                folder,
                "the dump does not say in which time zone its TIMESTAMPs are; unless its files do, they are read in the target's zone. \
                 Set `--source-time-zone` if that is wrong"
            );
        }
    }
}
