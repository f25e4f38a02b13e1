//! The dump as a whole: snapshot, plan, readers, manifest, `metadata`.
//!
//! One planner walks databases and tables on the metadata connection and puts chunks into a bounded queue; each reader
//! takes chunks from it. All of them are tasks of one set: the first error ends the others. Stopping is dropping the
//! future of [`run`]: sockets close, unfinished files vanish.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use common::dumpfile::{FileNamer, Format, MANIFEST, METADATA};
use common::ident::TableName;
use common::manifest::{DumpHead, EndLine, FORMAT, FileLine, Manifest, StartPoint, TableLine};
use common::metadata::{Block, Metadata};
use common::progress::{Progress, Show, Unit};
use jiff::Zoned;
use mysql::wire::WireConn;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::chunk;
use crate::config::{ChunkSize, Config};
use crate::consistency::{self, Snapshot};
use crate::csv::CsvWriter;
use crate::data::{Chunk, Reader, Shared, TableJob};
use crate::error::{Doing, DumpError, Result};
use crate::file::write_small;
use crate::folder::{Folder, QUERY_RESULT};
use crate::listing::{Listing, Object, ObjectKind};
use crate::metrics::Metrics;
use crate::preflight;
use crate::render::{Form, csv_header};
use crate::schema;
use crate::source::{Source, ask};
use crate::table::{self, Table};

/// What was dumped.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Data files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes before compression.
    pub bytes: u64,
}

/// A dump whose server and folder are known to be usable.
#[derive(Debug)]
pub struct Dumper {
    config: Arc<Config>,
    source: Source,
    first: WireConn,
    folder: Folder,
    metrics: Metrics,
}

impl Dumper {
    /// Opens server and folder; writes nothing. A folder that is not there is only made when the server is known to be
    /// of use.
    ///
    /// # Errors
    /// A folder or server that can't be used.
    pub async fn create(config: Arc<Config>, metrics: Metrics) -> Result<Dumper> {
        let existing = Folder::open_existing(&config.output_url).await?;
        let (source, mut first) = Source::open(&config).await?;
        let consistency = consistency::resolve(&config, source.server.flavor)?;
        preflight::check(&mut first, &source, &config, consistency).await?;
        let folder = match existing {
            Some(folder) => folder,
            None => Folder::open(&config.output_url).await?,
        };
        Ok(Dumper { config, source, first, folder, metrics })
    }

    /// Dumps. Dropping the future stops it; the folder then holds an unfinished dump.
    ///
    /// # Errors
    /// The first error of any part.
    pub async fn run(self) -> Result<Summary> {
        let Dumper { config, mut source, first, mut folder, metrics } = self;
        info!(host = %config.host, port = config.port, user = %config.user, threads = config.threads,
            rows = %config.rows, output = folder.storage.uri(), "begin to run Dump");
        let mut snapshot = consistency::take(&mut source, &config, first).await?;
        let started = Zoned::now();
        match &snapshot.position {
            Some(block) => {
                info!(file = %block.file, pos = %block.pos, gtid = %block.gtid_one_line(), "get binlog position")
            }
            None => warn!("the server has no binlog: metadata will hold no position"),
        }
        folder.clear().await?;
        let mut manifest = first_manifest(&config, &source, &snapshot, &started);
        folder.storage.write(MANIFEST, &manifest.render()).await?;
        common::failpoint::hit("rdump-manifest-begun");
        // 8.0.3 to 8.0.22 write statistics when they are read, which would wait for a lock that we keep ourselves.
        let estimate = match snapshot.lock {
            Some(_) => 0,
            None => estimate_rows(&mut snapshot.meta, &snapshot.listing).await?,
        };
        info!(rows = estimate, "get estimated rows count");
        metrics.expect(snapshot.listing.tables().count() as u64, estimate);

        let replicas = std::mem::take(&mut snapshot.replicas);
        let (position, after_connect) = (snapshot.position.take(), snapshot.after_connect.take());
        let (files, tables) = Work::start(config, source, snapshot, &folder, metrics).finish().await?;

        let finished = Zoned::now();
        let summary = Summary {
            files: files.len() as u64,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
        };
        manifest.files = files;
        for line in &mut manifest.tables {
            let name = TableName::new(line.schema.clone(), line.table.clone());
            line.rows = tables.get(&name).copied();
        }
        manifest.end = Some(EndLine {
            finished: rfc3339(&finished),
            files: summary.files,
            rows: summary.rows,
            bytes: summary.bytes,
        });
        folder.storage.write(MANIFEST, &manifest.render()).await?;
        common::failpoint::hit("rdump-before-metadata");
        let metadata = Metadata {
            started: local_time(&started),
            source: position,
            replicas,
            after_connect,
            finished: local_time(&finished),
        };
        folder.storage.write(METADATA, metadata.render().as_bytes()).await?;
        Ok(summary)
    }
}

fn local_time(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn rfc3339(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

fn start_point(block: &Block) -> StartPoint {
    StartPoint { file: block.file.clone(), pos: block.pos.clone(), gtid: block.gtid_one_line() }
}

/// The manifest of a dump that begins: what will be dumped, but no files.
fn first_manifest(config: &Config, source: &Source, snapshot: &Snapshot, started: &Zoned) -> Manifest {
    let line = |schema: &str, table: &str, kind: &str| TableLine {
        schema: schema.into(),
        table: table.into(),
        kind: kind.into(),
        ..TableLine::default()
    };
    let mut tables = Vec::new();
    if config.sql.is_some() {
        tables.push(line(QUERY_RESULT, "", "query"));
    } else {
        tables.extend(snapshot.listing.databases.iter().map(|name| line(name, "", "schema")));
        tables.extend(
            snapshot.listing.objects.iter().map(|o| line(&o.name.schema, &o.name.table, o.kind.name())),
        );
    }
    Manifest {
        dump: DumpHead {
            format: FORMAT,
            tool: format!("rdump {}", common::version::VERSION),
            started: rfc3339(started),
            server: source.identity.clone(),
            session: source.session.clone(),
            consistency: snapshot.consistency.name().into(),
            start: snapshot.position.as_ref().map(start_point),
        },
        tables,
        files: Vec::new(),
        end: None,
    }
}

/// The optimizer's guess for all tables together, for progress only.
async fn estimate_rows(meta: &mut WireConn, listing: &Listing) -> Result<u64> {
    let mut total = 0;
    for database in &listing.databases {
        let sql = format!(
            "SELECT SUM(TABLE_ROWS) FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {}",
            common::ident::quote_string(database)
        );
        match ask(meta, &sql).await {
            Ok(answer) => total += answer.at(0, 0).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0),
            Err(error) if error.code().is_some() => warn!(%error, "rows can't be estimated"),
            Err(error) => return Err(error).doing(|| "estimate the rows of all tables".into()),
        }
    }
    Ok(total)
}

/// What a task of the set has done.
enum Done {
    Planner(Planned),
    Reader(Vec<FileLine>),
}

struct Planned {
    jobs: Vec<Arc<TableJob>>,
}

/// Planner and readers at work.
struct Work {
    tasks: JoinSet<Result<Done>>,
    metrics: Metrics,
    started: Instant,
    /// Keeps the tables locked to the end, if asked for.
    _lock: Option<WireConn>,
}

impl Work {
    fn start(
        config: Arc<Config>,
        source: Source,
        snapshot: Snapshot,
        folder: &Folder,
        metrics: Metrics,
    ) -> Work {
        let Snapshot { consistency, meta, readers, lock, listing, .. } = snapshot;
        let shared = Arc::new(Shared {
            storage: Arc::clone(&folder.storage),
            compression: config.output.compression,
            format: config.output.format,
            file_size: config.output.file_size,
            chunked: config.rows != ChunkSize::Whole,
            read_timeout: config.read_timeout,
            metrics: metrics.clone(),
        });
        let source = Arc::new(source);
        // A little more than the readers take at once: the planner stays ahead, memory stays small.
        let (sender, receiver) = mpsc::channel::<Chunk>(config.threads * 2);
        let receiver = Arc::new(Mutex::new(receiver));
        let mut tasks = JoinSet::new();
        for conn in readers {
            let reader = ReaderTask {
                conn: Some(conn),
                queue: Arc::clone(&receiver),
                shared: Arc::clone(&shared),
                source: Arc::clone(&source),
                consistency,
            };
            tasks.spawn(reader.run());
        }
        let planner = Planner {
            config,
            source,
            shared,
            listing,
            meta,
            queue: sender,
            writes: JoinSet::new(),
            jobs: Vec::new(),
        };
        tasks.spawn(planner.run());
        Work { tasks, metrics, started: Instant::now(), _lock: lock }
    }

    /// Waits for the end of all tasks; logs and shows progress meanwhile.
    async fn finish(mut self) -> Result<(Vec<FileLine>, HashMap<TableName, u64>)> {
        let progress = Progress::new(shown());
        let bar = progress.bar("rows", self.metrics.estimated_rows(), Unit::Rows);
        let mut log_tick = tokio::time::interval(Duration::from_secs(120));
        log_tick.reset();
        let mut bar_tick = tokio::time::interval(Duration::from_millis(250));
        let mut last = (Instant::now(), 0);
        let mut files = Vec::new();
        let mut jobs = Vec::new();
        loop {
            tokio::select! {
                joined = self.tasks.join_next() => match joined {
                    None => break,
                    Some(Ok(Ok(Done::Planner(planned)))) => jobs = planned.jobs,
                    Some(Ok(Ok(Done::Reader(lines)))) => files.extend(lines),
                    Some(Ok(Err(error))) => return self.fail(error).await,
                    Some(Err(error)) => return self.fail(DumpError::Internal(error.to_string())).await,
                },
                _ = bar_tick.tick() => bar.set(self.metrics.rows()),
                _ = log_tick.tick() => {
                    let bytes = self.metrics.bytes();
                    let recent = (bytes - last.1) as f64 / last.0.elapsed().as_secs_f64().max(0.001);
                    self.metrics.log_progress(recent);
                    last = (Instant::now(), bytes);
                }
            }
        }
        bar.finish();
        files.sort_by(|a: &FileLine, b| a.name.cmp(&b.name));
        let tables: HashMap<TableName, u64> = jobs
            .iter()
            .map(|job| (job.name.clone(), job.rows.load(std::sync::atomic::Ordering::SeqCst)))
            .collect();
        check_counts(&files, &tables)?;
        self.metrics.log_summary(true, 0);
        info!(took = %common::duration::GoDuration::from(self.started.elapsed()), "all rows are written");
        Ok((files, tables))
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
fn check_counts(files: &[FileLine], tables: &HashMap<TableName, u64>) -> Result<()> {
    let read: u64 = tables.values().sum();
    let written: u64 = files.iter().map(|file| file.rows).sum();
    if read == written {
        return Ok(());
    }
    Err(DumpError::Count(format!("{read} rows were read and {written} written")))
}

/// Bars only where they do not run into the log.
fn shown() -> Show {
    use std::io::IsTerminal;
    if std::io::stdout().is_terminal() { Show::Nothing } else { Show::Auto }
}

struct ReaderTask {
    conn: Option<WireConn>,
    queue: Arc<Mutex<mpsc::Receiver<Chunk>>>,
    shared: Arc<Shared>,
    source: Arc<Source>,
    consistency: crate::config::Consistency,
}

/// Attempts at one chunk where a new connection sees the same rows.
const CHUNK_ATTEMPTS: u32 = 3;

impl ReaderTask {
    async fn run(mut self) -> Result<Done> {
        let mut reader = Reader::new(&self.shared);
        loop {
            let waited = Instant::now();
            let next = self.queue.lock().await.recv().await;
            let Some(chunk) = next else { break };
            self.shared.metrics.chunk_received(waited.elapsed());
            let rows = self.chunk(&mut reader, &chunk).await?;
            self.shared.metrics.chunk_finished();
            if rows == 0 {
                info!(table = %chunk.job.name, chunk = chunk.index, "no data written in table chunk");
            }
            table_finished(&chunk.job, chunk.job.finish_chunk(rows), &self.shared.metrics);
        }
        reader.settle().await?;
        if let Some(conn) = self.conn {
            conn.close().await;
        }
        Ok(Done::Reader(reader.into_files()))
    }

    async fn chunk(&mut self, reader: &mut Reader, chunk: &Chunk) -> Result<u64> {
        for attempt in 1.. {
            let result = match &mut self.conn {
                Some(conn) => reader.dump_chunk(conn, &self.shared, chunk).await,
                None => Err(DumpError::Stopped),
            };
            let error = match result {
                Ok(rows) => return Ok(rows),
                Err(error) => error,
            };
            let lost = error.server().is_some_and(|cause| cause.class().is_connection_gone());
            if !lost || !consistency::can_reconnect(self.consistency) || attempt >= CHUNK_ATTEMPTS {
                return Err(error);
            }
            warn!(%error, attempt, "connection lost, the chunk is read again on a new one");
            // The new attempt may cut its files elsewhere and write fewer.
            for name in reader.forget_chunk().await? {
                self.shared.storage.delete(&name).await?;
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            let mut conn = self.source.connect().await?;
            consistency::begin(&mut conn, self.consistency).await?;
            self.conn = Some(conn);
        }
        Err(DumpError::Stopped)
    }
}

/// Says that a table is done, if this was its last chunk.
fn table_finished(job: &TableJob, total: Option<u64>, metrics: &Metrics) {
    if let Some(rows) = total {
        metrics.table_finished();
        info!(table = %job.name, rows, "finished dumping table");
    }
}

struct Planner {
    config: Arc<Config>,
    source: Arc<Source>,
    shared: Arc<Shared>,
    listing: Listing,
    meta: WireConn,
    queue: mpsc::Sender<Chunk>,
    /// Schema files on their way to the disk.
    writes: JoinSet<Result<()>>,
    jobs: Vec<Arc<TableJob>>,
}

/// Schema files written at a time: each waits for the disk.
const SCHEMA_WRITES: usize = 8;

impl Planner {
    async fn run(mut self) -> Result<Done> {
        if let Some(sql) = self.config.sql.clone() {
            self.plan_query(sql).await?;
        } else {
            self.plan_policies().await?;
            let listing = std::mem::take(&mut self.listing);
            for database in &listing.databases {
                if !self.config.no_schemas {
                    let create = schema::database(&mut self.meta, database).await?;
                    self.write_schema(self.namer().schema_create(database), &create).await?;
                }
            }
            for object in &listing.objects {
                self.plan_object(object).await?;
            }
        }
        while let Some(written) = self.writes.join_next().await {
            written.map_err(|error| DumpError::Internal(error.to_string()))??;
        }
        self.shared.metrics.all_planned();
        self.meta.close().await;
        Ok(Done::Planner(Planned { jobs: self.jobs }))
    }

    fn namer(&self) -> FileNamer {
        FileNamer { compression: self.shared.compression }
    }

    async fn plan_policies(&mut self) -> Result<()> {
        for (policy, create) in schema::placement_policies(&mut self.meta, &self.source).await? {
            self.write_schema(self.namer().placement_policy(&policy), &create).await?;
        }
        Ok(())
    }

    async fn plan_object(&mut self, object: &Object) -> Result<()> {
        let name = &object.name;
        match object.kind {
            ObjectKind::Table => {
                let table = table::describe(&mut self.meta, &self.source, &self.config, name).await?;
                if !self.config.no_schemas {
                    self.write_schema(self.namer().table_schema(name), &table.create).await?;
                }
                if !self.config.no_data {
                    self.plan_table(table).await?;
                }
            }
            ObjectKind::View if !self.config.no_schemas => {
                let (stand_in, view) = schema::view(&mut self.meta, &self.source, name).await?;
                self.write_schema(self.namer().table_schema(name), &stand_in).await?;
                self.write_schema(self.namer().view_schema(name), &view).await?;
            }
            ObjectKind::Sequence if !self.config.no_schemas => {
                let create = schema::sequence(&mut self.meta, &self.source, name).await?;
                self.write_schema(self.namer().sequence_schema(name), &create).await?;
            }
            ObjectKind::View | ObjectKind::Sequence => {}
        }
        Ok(())
    }

    async fn plan_table(&mut self, table: Table) -> Result<()> {
        let job =
            self.add_job(table.name.clone(), self.form(&table), table.explicit && table.columns.is_empty());
        let filter = self.config.where_clause.clone();
        let cutter = chunk::begin(&mut self.meta, &self.source, &self.config, &table).await?;
        let Some(mut cutter) = cutter else {
            let sql = table.select(None, filter.as_deref());
            self.send(&job, 0, sql, false).await?;
            self.planned(&job);
            return Ok(());
        };
        let mut index = 0;
        while let Some(range) = cutter.next(&mut self.meta).await? {
            let condition = range.condition(cutter.key());
            let sql = table.select(condition.as_deref(), filter.as_deref());
            self.send(&job, index, sql, false).await?;
            index += 1;
        }
        self.planned(&job);
        Ok(())
    }

    async fn plan_query(&mut self, sql: String) -> Result<()> {
        let writer = CsvWriter::new(self.config.output.csv.clone());
        let form = Form::Csv { header: Vec::new(), writer };
        let job = self.add_job(TableName::new(QUERY_RESULT, ""), form, false);
        self.send(&job, 0, sql, true).await?;
        self.planned(&job);
        Ok(())
    }

    /// All chunks of the table are on their way.
    fn planned(&self, job: &TableJob) {
        table_finished(job, job.finish_chunk(0), &self.shared.metrics);
    }

    fn add_job(&mut self, name: TableName, form: Form, empty_rows: bool) -> Arc<TableJob> {
        let job = Arc::new(TableJob {
            name,
            form,
            empty_rows,
            rows: AtomicU64::new(0),
            chunks_left: AtomicU64::new(1),
        });
        self.jobs.push(Arc::clone(&job));
        job
    }

    fn form(&self, table: &Table) -> Form {
        let output = &self.config.output;
        match output.format {
            Format::Csv => {
                let writer = CsvWriter::new(output.csv.clone());
                let header = csv_header(&writer, table.columns.iter().map(String::as_str));
                Form::Csv { header, writer }
            }
            _ => Form::Sql {
                header: schema::header(self.source.server.flavor).to_vec(),
                prefix: table.insert_prefix(),
                backslash: output.escape_backslash,
                statement_size: output.statement_size,
            },
        }
    }

    async fn send(
        &mut self,
        job: &Arc<TableJob>,
        index: u64,
        sql: String,
        header_from_result: bool,
    ) -> Result<()> {
        self.shared.metrics.chunk_planned();
        job.chunks_left.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        let chunk = Chunk { job: Arc::clone(job), index, sql, header_from_result };
        // No reader listens any more: one of them has the error.
        self.queue.send(chunk).await.map_err(|_| DumpError::Stopped)
    }

    async fn write_schema(&mut self, name: String, statement: &[u8]) -> Result<()> {
        if self.writes.len() >= SCHEMA_WRITES
            && let Some(written) = self.writes.join_next().await
        {
            written.map_err(|error| DumpError::Internal(error.to_string()))??;
        }
        let bytes = schema::file(self.source.server.flavor, statement);
        let (storage, compression) = (Arc::clone(&self.shared.storage), self.shared.compression);
        self.writes.spawn(async move { Ok(write_small(&storage, &name, compression, &bytes).await?) });
        Ok(())
    }
}
