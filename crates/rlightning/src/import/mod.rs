//! The import itself: files are cut into pieces, pieces go to workers, workers commit batches.

pub mod apart;
pub mod batch;
pub mod blank;
pub mod convert;
pub mod file;
pub mod json;
mod pack;
pub mod parquet;
mod patience;
mod place;
pub mod shape;
pub mod worker;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::retry::Backoff;
use common::storage::{RangeReader, Storage};
use mysql::Conn;
use tokio::sync::{Notify, OwnedRwLockReadGuard, RwLock, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::advice::Advice;
use crate::config::OnDuplicate;
use crate::downstream::Target;
use crate::error::{Error, Result, fail};
use crate::ledger::{Ledger, Piece};
use crate::progress::Counters;
use crate::records::Records;
use crate::source::parquet::Footer;
use crate::source::prologue::Prologue;
use batch::Limits;
use file::{FileTask, OpenFile};
pub(crate) use pack::pack;
pub(crate) use patience::Patience;
use worker::Worker;
pub(crate) use worker::{Trouble, insert};

/// What all workers share.
pub struct Shared {
    /// The target.
    pub target: Target,
    /// The task's ledger.
    pub ledger: Ledger,
    /// The dump.
    pub storage: Arc<dyn Storage>,
    /// How far it is.
    pub counters: Arc<Counters>,
    /// Cancelled by a signal and by the first failure.
    pub token: CancellationToken,
    /// Sizes of statements and batches.
    pub limits: Limits,
    /// Whether a connection was lost. Then the ledger has the last word about what is in the target.
    pub lost: AtomicBool,
    /// Buffers for statements.
    pub pool: Arc<batch::Pool>,
    /// About how many bytes of a file one worker loads in sequence.
    pub piece_bytes: u64,
    /// Quoted fields of CSV that were read as NULL.
    pub quoted_nulls: Arc<convert::QuotedNulls>,
    /// What a duplicate key does.
    pub on_duplicate: OnDuplicate,
    /// What may be left out, and where it is recorded.
    pub records: Records,
    /// How many duplicates there may be.
    pub conflict_threshold: u64,
    /// Whether somebody wants the run to rest.
    pub paused: Option<watch::Receiver<bool>>,
    /// Held for reading by whoever has a batch open.
    pub gate: Arc<RwLock<()>>,
    /// Keep values out of messages.
    pub redact: bool,
    /// How long something that time may cure is tried again.
    pub patience: Backoff,
    /// Commands for the user.
    pub advice: Advice,
}

/// A file with more bytes than this times `piece_bytes` is cut.
const WORTH_CUTTING: f64 = 1.5;

impl Shared {
    /// For bringing rows into a temporary table, where every row has to get in.
    pub(crate) fn for_verify<'a>(
        config: &crate::config::Config,
        (target, ledger): (&Target, &Ledger),
        storage: &Arc<dyn Storage>,
        limits: Limits,
        files: impl IntoIterator<Item = (&'a TableName, u64)>,
        token: &CancellationToken,
    ) -> Self {
        Self {
            target: target.clone(),
            ledger: ledger.clone(),
            storage: Arc::clone(storage),
            counters: Arc::new(Counters::new(files, 0, config.concurrency as u64, false)),
            token: token.clone(),
            limits,
            lost: AtomicBool::new(false),
            pool: Arc::default(),
            piece_bytes: u64::MAX,
            quoted_nulls: Arc::default(),
            on_duplicate: OnDuplicate::Error,
            conflict_threshold: 0,
            records: Records::none(),
            paused: None,
            gate: Arc::default(),
            redact: config.redact,
            patience: config.patience,
            advice: config.advice.clone(),
        }
    }

    /// Waits as long as the run is paused; not inside a transaction.
    pub async fn rest_while_paused(&self) {
        let Some(mut paused) = self.paused.clone() else { return };
        tokio::select! {
            // Its sender lives as long as the run.
            _ = paused.wait_for(|paused| !paused) => {}
            () = self.token.cancelled() => {}
        }
    }

    /// Waits until a batch may begin, and keeps the run from resting until it has ended. `None`: the run is cancelled.
    pub async fn begin_batch(&self) -> Option<OwnedRwLockReadGuard<()>> {
        loop {
            self.rest_while_paused().await;
            let open = tokio::select! {
                open = Arc::clone(&self.gate).read_owned() => open,
                () = self.token.cancelled() => return None,
            };
            if self.token.is_cancelled() || !self.paused.as_ref().is_some_and(|paused| *paused.borrow()) {
                return Some(open);
            }
        }
    }

    /// An error for the log: the server's texts and our statements hold values of rows.
    pub fn shown(&self, error: &mysql::Error) -> String {
        match error.code() {
            _ if !self.redact => error.to_string(),
            Some(code) => format!("Error {code} (text hidden by redact-info-log)"),
            None => error.message(),
        }
    }

    /// Whether a file will be cut; if not, its single piece can be written down with it.
    pub fn is_cut(&self, task: &FileTask) -> bool {
        worth_cutting(task, self.piece_bytes)
    }
}

/// Whether a file is cut into several pieces.
pub fn worth_cutting(task: &FileTask, piece_bytes: u64) -> bool {
    task.file.form.can_be_cut() && task.file.size as f64 > WORTH_CUTTING * piece_bytes as f64
}

/// The piece of a file that is not cut.
pub fn single_piece(task: &FileTask) -> Piece {
    Piece { begin: 0, end: if task.is_plain() { task.file.size } else { u64::MAX }, head_at: None }
}

enum Job {
    File(Arc<FileTask>),
    Piece(Arc<OpenFile>, Piece, bool),
}

#[derive(Default)]
struct TableState {
    /// Files that nobody has begun.
    files: VecDeque<Arc<FileTask>>,
    /// Files that are not done.
    files_left: usize,
    begun: Option<Instant>,
    /// Workers that are busy with it.
    workers: usize,
}

/// Jobs that are left, and how many are in work.
struct Queue {
    state: Mutex<QueueState>,
    changed: Notify,
}

struct QueueState {
    /// Pieces of open files.
    pieces: VecDeque<Job>,
    tables: BTreeMap<TableName, TableState>,
    /// Tables in work, at most `table_limit`.
    active: Vec<TableName>,
    /// Tables that wait, in their order.
    waiting: VecDeque<TableName>,
    table_limit: usize,
    in_work: usize,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; waits while others may still add some. `None`: all is done.
    async fn next(&self) -> Option<Job> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(job) = state.take() {
                    state.in_work += 1;
                    return Some(job);
                }
                // Without work in hand nothing can be added any more.
                if state.in_work == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn finished(&self, table: &TableName) {
        let mut state = self.lock();
        state.in_work -= 1;
        if let Some(table) = state.tables.get_mut(table) {
            table.workers -= 1;
        }
        drop(state);
        self.changed.notify_waiters();
    }

    fn add_pieces(&self, jobs: Vec<Job>) {
        self.lock().pieces.extend(jobs);
        self.changed.notify_waiters();
    }
}

impl Job {
    fn table(&self) -> &TableName {
        match self {
            Job::File(task) => &task.table.name,
            Job::Piece(file, ..) => &file.task.table.name,
        }
    }
}

impl QueueState {
    fn new(files: Vec<Arc<FileTask>>, table_limit: usize) -> Self {
        let mut tables: BTreeMap<TableName, TableState> = BTreeMap::new();
        let mut waiting = VecDeque::new();
        for task in files {
            let name = &task.table.name;
            if !tables.contains_key(name) {
                waiting.push_back(name.clone());
            }
            let table = tables.entry(name.clone()).or_default();
            table.files_left += 1;
            table.files.push_back(task);
        }
        let (pieces, active) = (VecDeque::new(), Vec::new());
        Self { pieces, tables, active, waiting, table_limit: table_limit.max(1), in_work: 0 }
    }

    /// The job whose table has the fewest workers, because those of one table wait for the same pages of its indexes; among
    /// equals pieces come before files, and files before new tables.
    fn take(&mut self) -> Option<Job> {
        let workers = |name: &TableName| self.tables.get(name).map_or(0, |table| table.workers);
        let piece = self.pieces.iter().enumerate().map(|(index, job)| (workers(job.table()), index)).min();
        let has_files =
            |name: &&TableName| self.tables.get(*name).is_some_and(|table| !table.files.is_empty());
        let active = self
            .active
            .iter()
            .filter(has_files)
            .map(|name| (workers(name), name))
            .min_by_key(|(busy, _)| *busy);
        let fresh = if self.active.len() < self.table_limit { self.waiting.front() } else { None };
        let busy_active = active.map_or(usize::MAX, |(busy, _)| busy);
        if let Some((busy, index)) = piece
            && busy <= busy_active
            && (busy == 0 || fresh.is_none())
        {
            let job = self.pieces.remove(index)?;
            self.tables.get_mut(job.table())?.workers += 1;
            return Some(job);
        }
        let name = match (active, fresh) {
            (Some((busy, name)), fresh) if busy == 0 || fresh.is_none() => name.clone(),
            (_, Some(fresh)) => {
                let name = fresh.clone();
                self.waiting.pop_front();
                self.active.push(name.clone());
                info!(table = %name, "restore table start");
                name
            }
            _ => return None,
        };
        let table = self.tables.get_mut(&name)?;
        table.begun.get_or_insert_with(Instant::now);
        table.workers += 1;
        table.files.pop_front().map(Job::File)
    }
}

/// Loads all files. `conn` is used by the first worker.
///
/// # Errors
/// The first failure; it stops all workers, and what they have committed stays.
pub async fn run(
    shared: Arc<Shared>,
    files: Vec<Arc<FileTask>>,
    workers: usize,
    table_limit: usize,
    conn: Option<Conn>,
) -> Result<()> {
    let state = Mutex::new(QueueState::new(files, table_limit));
    let queue = Arc::new(Queue { state, changed: Notify::new() });
    let mut running = tokio::task::JoinSet::new();
    let mut first_conn = conn;
    for _ in 0..workers.max(1) {
        let worker = Worker::new(Arc::clone(&shared), first_conn.take());
        running.spawn(work(Arc::clone(&shared), Arc::clone(&queue), worker));
    }
    let mut failure: Option<Error> = None;
    while let Some(ended) = running.join_next().await {
        let ended =
            ended.unwrap_or_else(|panic| Err(fail(codes::UNKNOWN, format!("a worker died: {panic}"))));
        if let Err(error) = ended {
            shared.token.cancel();
            queue.changed.notify_waiters();
            // What stops the others is only the first one's echo.
            let echo = matches!(error, Error::Canceled);
            if failure.is_none() || (!echo && matches!(failure, Some(Error::Canceled))) {
                failure = Some(error);
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn work(shared: Arc<Shared>, queue: Arc<Queue>, mut worker: Worker) -> Result<()> {
    loop {
        let job = tokio::select! {
            job = queue.next() => job,
            () = shared.token.cancelled() => return Err(Error::Canceled),
        };
        let Some(job) = job else { return Ok(()) };
        let table = job.table().clone();
        let _busy = shared.counters.at_work();
        let result = match job {
            Job::File(task) => begin_file(&shared, &queue, &mut worker, &task).await,
            Job::Piece(file, piece, look) => {
                load_piece(&shared, &queue, &mut worker, &file, piece, look).await
            }
        };
        // On failure the job stays in work: nobody may take it for done.
        result?;
        queue.finished(&table);
    }
}

/// Opens a file, finds its pieces, and puts those that are not done into the queue.
async fn begin_file(
    shared: &Arc<Shared>,
    queue: &Queue,
    worker: &mut Worker,
    task: &Arc<FileTask>,
) -> Result<()> {
    info!(table = %task.table.name, path = format!("{}:0", task.path()), "restore file start");
    shared.counters.file_begun(&task.table.name);
    let opened = {
        let (shared, task) = (Arc::clone(shared), Arc::clone(task));
        run_blocking(move || open_file(&shared, &task)).await?
    };
    let file = Arc::new(opened);
    let mut known = crate::ledger::FileState::default();
    if task.resumed {
        known = worker.state(task.id()).await?;
    }
    let pieces = match (known.pieces.is_empty(), shared.is_cut(task)) {
        (false, _) => std::mem::take(&mut known.pieces),
        (true, _) if !known.done.is_empty() => Vec::new(),
        (true, true) => cut_file(shared, worker, &file).await?,
        // An earlier run wanted to cut it and did not come to it; this one, with other settings, does not.
        (true, false) if task.resumed => worker.write_cuts(task.id(), vec![single_piece(task)]).await?,
        // It was written down together with the file.
        (true, false) => vec![single_piece(task)],
    };
    file::check_pieces(task, &pieces)?;
    if !known.done.is_empty() {
        if task.touched {
            let (file, done, pieces) = (Arc::clone(&file), known.done.clone(), pieces.clone());
            let (limit, advice) = (shared.limits.packet_limit, shared.advice.clone());
            run_blocking(move || file::verify(&file, &pieces, &done, limit, &advice)).await?;
        }
        let bytes = known.done.iter().map(|done| file.bytes(done.begin, done.end)).sum();
        let rows = known.done.iter().map(|done| done.rows).sum();
        shared.counters.had(&task.table.name, bytes, rows);
    }
    let mut left = Vec::new();
    for piece in pieces {
        if file::resume_at(task, &piece, &known.done)?.is_some() {
            left.push(piece);
        }
    }
    file.left.store(left.len(), std::sync::atomic::Ordering::Release);
    if left.is_empty() {
        file_done(shared, queue, &file);
        return Ok(());
    }
    let look = task.resumed;
    queue.add_pieces(left.into_iter().map(|piece| Job::Piece(Arc::clone(&file), piece, look)).collect());
    Ok(())
}

pub(crate) async fn run_blocking<T: Send + 'static>(
    action: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(action)
        .await
        .unwrap_or_else(|panic| Err(fail(codes::UNKNOWN, format!("a reader thread died: {panic}"))))
}

/// Opens a file and reads its prologue. Blocks.
pub(crate) fn open_file(shared: &Shared, task: &Arc<FileTask>) -> Result<OpenFile> {
    let reader = file::open(&*shared.storage, task.path())?;
    if task.file.form.parquet {
        return open_parquet(shared, task, reader);
    }
    // The prologue decides about the mode; it is itself read in the plain one.
    let prologue = file::prologue(task, &reader, sql::SqlMode::default(), shared.limits.packet_limit)?;
    let mode = shared.target.sql_mode(&prologue);
    let session = shared.target.file_statements(&prologue, task.zone.as_deref());
    let (task, left) = (Arc::clone(task), AtomicUsize::new(0));
    Ok(OpenFile { task, reader, footer: None, prologue, mode, session, left, begun: Instant::now() })
}

fn open_parquet(shared: &Shared, task: &Arc<FileTask>, reader: Arc<dyn RangeReader>) -> Result<OpenFile> {
    let wrong = |what: String| fail(codes::CHECK_DATA_SOURCE, format!("file '{}': {what}", task.path()));
    let footer = Footer::read(&reader).map_err(|fault| wrong(fault.to_string()))?;
    let prologue = Prologue::default();
    let asked = shared.target.time_zone(&prologue, task.zone.as_deref());
    let zone = parquet::zone(&footer.columns, &task.file.ignored, &task.table, asked)
        .map_err(wrong)?
        .map(str::to_owned);
    let session = shared.target.statements(&prologue, zone.as_deref());
    let mode = shared.target.sql_mode(&prologue);
    let (task, left, footer) = (Arc::clone(task), AtomicUsize::new(0), Some(footer));
    Ok(OpenFile { task, reader, footer, prologue, mode, session, left, begun: Instant::now() })
}

/// Cuts a file and commits the cuts, or takes those of another process that was quicker.
async fn cut_file(shared: &Arc<Shared>, worker: &mut Worker, file: &Arc<OpenFile>) -> Result<Vec<Piece>> {
    let pieces = {
        let (shared, file) = (Arc::clone(shared), Arc::clone(file));
        let limit = shared.limits.packet_limit;
        run_blocking(move || file::cut(&file, limit, shared.piece_bytes)).await?
    };
    worker.write_cuts(file.task.id(), pieces).await
}

async fn load_piece(
    shared: &Arc<Shared>,
    queue: &Queue,
    worker: &mut Worker,
    file: &Arc<OpenFile>,
    piece: Piece,
    look: bool,
) -> Result<()> {
    worker.load(file, piece, look).await?;
    if worker::piece_done(file) {
        file_done(shared, queue, file);
    }
    Ok(())
}

fn file_done(shared: &Shared, queue: &Queue, file: &OpenFile) {
    let task = &file.task;
    if file.bytes(0, 1) == 0 {
        shared.counters.add(&task.table.name, task.file.size, 0);
    }
    shared.counters.file_done();
    let took = common::duration::GoDuration::from(file.begun.elapsed());
    info!(table = %task.table.name, path = format!("{}:0", task.path()), takeTime = %took, "restore file completed");
    let mut state = queue.lock();
    let Some(table) = state.tables.get_mut(&task.table.name) else { return };
    table.files_left -= 1;
    if table.files_left == 0 {
        let begun = table.begun;
        state.active.retain(|name| *name != task.table.name);
        shared.counters.table_done(&task.table.name);
        let took = common::duration::GoDuration::from(begun.map(|at| at.elapsed()).unwrap_or_default());
        info!(table = %task.table.name, takeTime = %took, "restore table completed");
    }
}

#[cfg(test)]
mod tests;
