//! Planner and readers at work, until all chunks are durable.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use common::ident::TableName;
use common::manifest::{ChunkLine, DoneChunk, DoneTable, FileLine, SchemaFileLine, StartPoint, TableLine};
use common::progress::{Progress, Show, Unit};
use futures::FutureExt;
use mysql::wire::WireConn;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};

use crate::chunk::Finder;
use crate::config::{ChunkSize, Config, Consistency};
use crate::consistency::{self, Snapshot};
use crate::data::{Finished, Reader, Shared, TableJob};
use crate::dump::start_point;
use crate::error::{Doing, DumpError, Result};
use crate::folder::Folder;
use crate::gentle::{self, Gate};
use crate::journal::Journal;
use crate::meta::Meta;
use crate::metrics::Metrics;
use crate::planner::Planner;
use crate::queue::{LEAST_REST, Next, Queue, Running};
use crate::resume::{Kept, earliest};
use crate::source::Source;

/// What planner and readers tell while they work.
pub(crate) enum Report {
    /// All chunks of a table are planned.
    Planned(Arc<TableJob>),
    /// A chunk is durable.
    Finished(Finished),
    /// A schema file is durable; of a table that is not whole before, or of something else.
    Schema(Option<Arc<TableJob>>, SchemaFileLine),
}

/// What is in the files in the end.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub schemas: Vec<SchemaFileLine>,
    pub files: Vec<FileLine>,
    pub chunks: Vec<ChunkLine>,
    /// Rows of each table.
    pub tables: HashMap<TableName, u64>,
}

impl Written {
    fn add(&mut self, done: DoneTable) {
        let DoneTable { table, schemas, chunks, files } = done;
        self.tables.insert(TableName::new(table.schema, table.table), table.rows.unwrap_or(0));
        self.schemas.extend(schemas);
        self.chunks.extend(chunks);
        self.files.extend(files);
    }
}

/// Planner and readers at work.
pub(crate) struct Work {
    tasks: JoinSet<Result<()>>,
    reports: mpsc::UnboundedReceiver<Report>,
    metrics: Metrics,
    started: Instant,
    written: Written,
    /// Tables that are not whole yet.
    open: HashMap<TableName, DoneTable>,
    /// Start point of tables that become whole now.
    start: Option<StartPoint>,
    /// Earlier start points of tables of which chunks of an earlier run are kept.
    mixed: HashMap<TableName, StartPoint>,
    /// The server's clock at `start`; `None` if chunks have no moment that a later run can go on from.
    taken_at: Option<u64>,
    journal: Journal,
    /// Looks at the server's load; its end is an error.
    watch: JoinSet<Result<()>>,
    /// Keep the tables locked, and definitions as they are, to the end, if asked for.
    _locks: [Option<WireConn>; 2],
}

impl Work {
    /// Sends planner and readers off. `kept` is what an earlier, unfinished run has left.
    ///
    /// # Errors
    /// A journal that can't be opened.
    pub(crate) fn start(
        config: Arc<Config>,
        source: Source,
        snapshot: Snapshot,
        folder: &Folder,
        kept: Kept,
        metrics: Metrics,
        gate: Arc<Gate>,
    ) -> Result<Work> {
        let Snapshot { consistency, meta, readers, lock, ddl, listing, position, taken_at, .. } = snapshot;
        let Kept { tables, parts, .. } = kept;
        let mut written = Written::default();
        tables.into_iter().for_each(|done| written.add(done));
        let (mut open, mut mixed) = (HashMap::new(), HashMap::new());
        for (name, parts) in &parts {
            mixed.insert(name.clone(), earliest(parts.iter().map(|part| &part.done.start))?);
            let chunks = parts.iter().map(|part| part.done.chunk.clone()).collect();
            let files = parts.iter().flat_map(|part| part.done.files.clone()).collect();
            open.insert(name.clone(), DoneTable { chunks, files, ..DoneTable::default() });
        }
        let journal = Journal::open(folder.storage.as_ref())?;
        let chunked = config.rows != ChunkSize::Whole;
        let shared = Arc::new(Shared::new(
            &config,
            &folder.storage,
            metrics.clone(),
            &gate,
            source.endpoint().clone(),
        ));
        let source = Arc::new(source);
        // Two readers must see the same rows to share a chunk.
        let shares = chunked && matches!(consistency, Consistency::Flush | Consistency::Lock);
        let queue = Arc::new(Queue::new(readers.len(), shares));
        let (report, reports) = mpsc::unbounded_channel();
        let mut tasks = JoinSet::new();
        for conn in readers {
            let reader = ReaderTask {
                conn,
                queue: Arc::clone(&queue),
                reports: report.clone(),
                shared: Arc::clone(&shared),
                source: Arc::clone(&source),
                consistency,
            };
            tasks.spawn(reader.run());
        }
        let mut watch = JoinSet::new();
        if !config.max_load.is_empty() || !config.critical_load.is_empty() {
            let (config, source) = (Arc::clone(&config), Arc::clone(&source));
            watch.spawn(async move {
                gentle::watch(&source, &gate, &config.max_load, &config.critical_load).await
            });
        }
        let planner = Planner {
            config,
            shared,
            listing,
            meta: Meta::new(meta, &source, &queue, consistency),
            source,
            queue,
            kept: written.tables.keys().cloned().collect(),
            parts,
            reports: report,
            writes: JoinSet::new(),
        };
        tasks.spawn(planner.run());
        Ok(Work {
            tasks,
            reports,
            metrics,
            started: Instant::now(),
            written,
            open,
            start: position.as_ref().map(start_point),
            mixed,
            taken_at: taken_at.filter(|_| matches!(consistency, Consistency::Flush | Consistency::Lock)),
            journal,
            watch,
            _locks: [lock, ddl],
        })
    }

    /// Waits for the end of all tasks; logs and shows progress meanwhile.
    pub(crate) async fn finish(mut self) -> Result<Written> {
        let progress = Progress::new(shown());
        let bar = progress.bar("rows", self.metrics.estimated_rows(), Unit::Rows);
        let mut log_tick = tokio::time::interval(Duration::from_secs(120));
        log_tick.reset();
        let mut bar_tick = tokio::time::interval(Duration::from_millis(250));
        let mut last = (Instant::now(), 0);
        loop {
            tokio::select! {
                joined = self.tasks.join_next() => match joined {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => return self.fail(error).await,
                    Some(Err(error)) => return self.fail(DumpError::Internal(error.to_string())).await,
                },
                Some(watched) = self.watch.join_next(), if !self.watch.is_empty() => match watched {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return self.fail(error).await,
                    Err(error) => return self.fail(DumpError::Internal(error.to_string())).await,
                },
                Some(report) = self.reports.recv() => self.report(report),
                _ = bar_tick.tick() => {
                    bar.set(self.metrics.rows());
                    if let Err(error) = self.journal.check() {
                        return self.fail(error.into()).await;
                    }
                }
                _ = log_tick.tick() => {
                    let bytes = self.metrics.bytes();
                    let recent = (bytes - last.1) as f64 / last.0.elapsed().as_secs_f64().max(0.001);
                    self.metrics.log_progress(recent);
                    last = (Instant::now(), bytes);
                }
            }
        }
        while let Some(report) = self.reports.recv().await {
            self.report(report);
        }
        bar.finish();
        self.journal.check()?;
        self.written.schemas.sort_by(|a, b| a.name.cmp(&b.name));
        self.written.files.sort_by(|a, b| a.name.cmp(&b.name));
        self.written
            .chunks
            .sort_by(|a, b| (&a.schema, &a.table, a.chunk).cmp(&(&b.schema, &b.table, b.chunk)));
        check_counts(&self.written)?;
        self.metrics.log_summary(true, 0);
        info!(took = %common::duration::GoDuration::from(self.started.elapsed()), "all rows are written");
        Ok(self.written)
    }

    fn report(&mut self, report: Report) {
        let job = match &report {
            Report::Planned(job) | Report::Schema(Some(job), _) => Arc::clone(job),
            Report::Finished(finished) => Arc::clone(&finished.job),
            Report::Schema(None, line) => return self.written.schemas.push(line.clone()),
        };
        let open = self.open.entry(job.name.clone()).or_default();
        let mut rows = 0;
        match report {
            Report::Planned(_) => {}
            Report::Schema(_, line) => open.schemas.push(line),
            Report::Finished(finished) => {
                rows = finished.line.rows;
                if let (Some(cut), Some(start), Some(taken_at)) = (finished.cut, &self.start, self.taken_at) {
                    self.journal.add_chunk(|| DoneChunk {
                        chunk: finished.line.clone(),
                        files: finished.files.clone(),
                        cut: serde_json::to_value(cut).unwrap_or_default(),
                        start: start.clone(),
                        taken_at,
                    });
                }
                open.chunks.push(finished.line);
                open.files.extend(finished.files);
            }
        }
        let Some(rows) = job.finish_chunk(rows) else { return };
        let mut done = self.open.remove(&job.name).unwrap_or_default();
        let earlier = self.mixed.get(&job.name);
        done.table = TableLine {
            schema: job.name.schema.clone(),
            table: job.name.table.clone(),
            kind: "table".into(),
            start: earlier.or(self.start.as_ref()).cloned(),
            safe_until: self.start.clone().filter(|_| earlier.is_some()),
            rows: Some(rows),
        };
        if job.table.is_some() {
            self.journal.add(&done);
        }
        self.written.add(done);
        self.metrics.table_finished();
        info!(table = %job.name, rows, "finished dumping table");
    }

    async fn fail<T>(mut self, first: DumpError) -> Result<T> {
        self.metrics.failed();
        // Their files vanish before we say that it failed.
        self.tasks.shutdown().await;
        let (finished, total) = self.metrics.chunks();
        self.metrics.log_summary(false, total - finished);
        error!(error = %first, "dump failed error stack info");
        Err(first)
    }
}

/// Every row that was read stands in a file.
fn check_counts(written: &Written) -> Result<()> {
    let read: u64 = written.tables.values().sum();
    let chunks: u64 = written.chunks.iter().map(|chunk| chunk.rows).sum();
    let files: u64 = written.files.iter().map(|file| file.rows).sum();
    if read == files && read == chunks {
        return Ok(());
    }
    Err(DumpError::Count(format!("{read} rows were read, {chunks} stand in chunks and {files} in files")))
}

/// Bars only where they do not run into the log.
fn shown() -> Show {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() { Show::Nothing } else { Show::Auto }
}

struct ReaderTask {
    conn: WireConn,
    queue: Arc<Queue>,
    reports: mpsc::UnboundedSender<Report>,
    shared: Arc<Shared>,
    source: Arc<Source>,
    consistency: Consistency,
}

/// Attempts at one chunk.
const CHUNK_ATTEMPTS: u32 = 3;

/// After a chunk that could not be shared the next one is looked for after this time.
const SHARE_AGAIN: Duration = Duration::from_millis(200);

/// How long a reader may take to say where it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

impl ReaderTask {
    async fn run(mut self) -> Result<()> {
        let mut reader = Reader::new(&self.shared);
        let mut share_from = Instant::now();
        loop {
            let waited = Instant::now();
            let next = match self.queue.next(share_from).now_or_never() {
                Some(next) => next,
                None => {
                    // Nothing to do: the last file may as well be made durable.
                    self.settle(&mut reader).await?;
                    self.queue.next(share_from).await
                }
            };
            let running = match next {
                Next::End => break,
                Next::Give(planner) => {
                    // If the planner has ended, so has the dump.
                    let _ = planner.send(self.conn);
                    reader.settle().await?;
                    report(&self.shared, &self.reports, &mut reader);
                    return Ok(());
                }
                Next::Chunk(chunk, running) => {
                    self.shared.metrics.chunk_received(waited.elapsed());
                    debug!(table = %chunk.job.name, chunk = chunk.index, "chunk begins");
                    running
                }
                Next::Share(other) => match self.share(&other).await {
                    Ok(Some(running)) => running,
                    Ok(None) => {
                        share_from = Instant::now() + SHARE_AGAIN;
                        continue;
                    }
                    Err(error) if is_lost(&error) && self.queue.leave() => {
                        warn!(%error, "an idle reader's connection is lost, the others go on");
                        return self.settle(&mut reader).await;
                    }
                    Err(error) => return Err(error),
                },
            };
            if let Err(error) = self.chunk(&mut reader, &running).await {
                return self.leave(reader, &running, error).await;
            }
            self.queue.done(&running);
            self.report(&mut reader);
        }
        self.settle(&mut reader).await?;
        self.conn.close().await;
        Ok(())
    }

    async fn settle(&self, reader: &mut Reader) -> Result<()> {
        reader.settle().await?;
        self.report(reader);
        Ok(())
    }

    fn report(&self, reader: &mut Reader) {
        report(&self.shared, &self.reports, reader);
    }

    /// Takes over the second half of a chunk that another reader is at.
    async fn share(&mut self, other: &Arc<Running>) -> Result<Option<Arc<Running>>> {
        let job = &other.chunk.job;
        let Some(table) = &job.table else { return Ok(None) };
        let Some(key) = &table.chunk_key else { return Ok(None) };
        let (position, stop) = other.ask();
        let Ok(Ok(here)) = tokio::time::timeout(ANSWER_WITHIN, position).await else { return Ok(None) };
        let Some(range) = other.range() else { return Ok(None) };
        let Some(rest) = range.above(&here) else { return Ok(None) };
        let finder = Finder::new(&self.source, &job.name, key);
        let least = (LEAST_REST / other.row_size().max(1)).max(1);
        let middle = finder
            .middle(&mut self.conn, &rest, least)
            .await
            .doing(|| format!("find the middle of what is left of table {}", job.name))?;
        let Some((first, second)) = middle.as_ref().and_then(|middle| range.cut(middle)) else {
            return Ok(None);
        };
        let rows = other.chunk.estimate / 2;
        // Before the other reader may end: the table is not finished, and the chunk not alone.
        job.chunks_left.fetch_add(1, Ordering::SeqCst);
        let chunk = job.chunk(Some(second), rows, other.order_of_half());
        let running = self.queue.shared(&chunk);
        other.narrow(first);
        if stop.send(middle.unwrap_or_default()).is_err() {
            return Err(DumpError::Stopped);
        }
        self.shared.metrics.chunk_planned();
        self.shared.metrics.chunk_received(Duration::ZERO);
        info!(table = %job.name, chunk = other.chunk.index, new = chunk.index, "an idle reader takes half of what is left");
        Ok(Some(running))
    }

    async fn chunk(&mut self, reader: &mut Reader, running: &Running) -> Result<()> {
        for attempt in 1.. {
            let error = match reader.dump_chunk(&mut self.conn, &self.shared, running).await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            if !is_lost(&error) || !consistency::can_reconnect(self.consistency) || attempt >= CHUNK_ATTEMPTS
            {
                return Err(error);
            }
            warn!(%error, attempt, "connection lost, the chunk is read again on a new one");
            self.forget(reader).await?;
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            let mut conn = self.source.connect().await?;
            consistency::begin(&mut conn, self.consistency).await?;
            self.conn = conn;
        }
        Err(DumpError::Stopped)
    }

    /// The new attempt may cut its files elsewhere and write fewer.
    async fn forget(&self, reader: &mut Reader) -> Result<()> {
        for name in reader.forget_chunk().await? {
            self.shared.storage.delete(&name).await?;
            self.shared.naming.release(&name);
        }
        self.report(reader);
        Ok(())
    }

    /// The snapshot of this connection is gone: another reader, which has the same one, reads the chunk.
    async fn leave(self, mut reader: Reader, running: &Arc<Running>, error: DumpError) -> Result<()> {
        let same_snapshot = matches!(self.consistency, Consistency::Flush | Consistency::Lock);
        if !is_lost(&error) || !same_snapshot || running.chunk.attempts + 1 >= CHUNK_ATTEMPTS {
            return Err(error);
        }
        self.forget(&mut reader).await?;
        self.settle(&mut reader).await?;
        // What was taken from it by others is theirs.
        let again = running.chunk.again(running.range(), running.cuts());
        if !self.queue.give_back(running, again) {
            return Err(error);
        }
        warn!(%error, "a reader's connection is lost, another reader with the same snapshot reads its chunk");
        Ok(())
    }
}

/// Tells of the chunks of a reader that are durable.
fn report(shared: &Shared, reports: &mpsc::UnboundedSender<Report>, reader: &mut Reader) {
    for finished in reader.take_finished() {
        shared.metrics.chunk_finished();
        if finished.line.rows == 0 {
            info!(table = %finished.job.name, chunk = finished.line.chunk, "no data written in table chunk");
        }
        // Nobody listens any more when the dump has failed.
        let _ = reports.send(Report::Finished(finished));
    }
}

/// The connection is gone; another one may do.
pub(crate) fn is_lost(error: &DumpError) -> bool {
    error.server().is_some_and(|cause| cause.class().is_connection_gone())
}
