//! Reads the rows of one chunk and writes its files: the hot path.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::dumpfile::Compression;
use common::ident::TableName;
use common::manifest::{ChunkLine, FileLine};
use common::storage::{Storage, StorageError};
use futures::FutureExt;
use mysql::wire::{ColumnDef, RowRef, RowStream, WireConn};
use mysql::{Endpoint, ErrorClass};
use tokio::task::JoinHandle;

use crate::config::{ChunkSize, Config};
use crate::error::{Doing, DumpError, Result};
use crate::file::{FileWriter, Stored};
use crate::gentle::Gate;
use crate::key::KeyRange;
use crate::metrics::Metrics;
use crate::naming::Naming;
use crate::parquet;
use crate::queue::{Question, Running};
use crate::render::{CellForms, CellKind, ChunkText, Form, Todo, csv_header};
use crate::resume::Cut;
use crate::table::Table;

/// What all chunks share.
#[derive(Debug)]
pub struct Shared {
    /// Where files go.
    pub storage: Arc<dyn Storage>,
    /// Compression.
    pub compression: Compression,
    /// Its level; `None` for the library's default.
    pub compress_level: Option<i32>,
    /// Names of files.
    pub naming: Naming,
    /// Limit of a file in bytes.
    pub file_size: Option<u64>,
    /// How long one read may take.
    pub read_timeout: Duration,
    /// Counters.
    pub metrics: Metrics,
    /// Where readers wait when the source shall have rest.
    pub gate: Arc<Gate>,
    /// The server, to end statements early.
    pub endpoint: Endpoint,
}

impl Shared {
    /// What the flags say, for files in `storage`.
    pub fn new(
        config: &Config,
        storage: &Arc<dyn Storage>,
        metrics: Metrics,
        gate: &Arc<Gate>,
        endpoint: Endpoint,
    ) -> Shared {
        let output = &config.output;
        Shared {
            storage: Arc::clone(storage),
            compression: output.compression,
            compress_level: output.compress_level,
            naming: Naming::new(
                output.compression,
                output.format,
                config.rows != ChunkSize::Whole,
                output.file_size.is_some(),
                output.templates.clone(),
            ),
            file_size: output.file_size,
            read_timeout: config.read_timeout,
            metrics,
            gate: Arc::clone(gate),
            endpoint,
        }
    }
}

/// A table on its way into files.
#[derive(Debug)]
pub struct TableJob {
    /// Its name; for `--sql` the schema is `result` and the table empty.
    pub name: TableName,
    /// How its rows look.
    pub form: Form,
    /// No column is inserted: rows are `()`, whatever is selected.
    pub empty_rows: bool,
    /// The table; `None` for `--sql`.
    pub table: Option<Table>,
    /// The user's condition.
    pub filter: Option<String>,
    /// Number of the next chunk.
    pub next_index: AtomicU64,
    /// Rows of finished chunks.
    pub rows: AtomicU64,
    /// Rows that were read.
    pub rows_read: AtomicU64,
    /// Their bytes as text, and the time that readers took for them.
    pub bytes: AtomicU64,
    /// In microseconds.
    pub micros: AtomicU64,
    /// Chunks that are not finished, and one while chunks are still being made.
    pub chunks_left: AtomicU64,
}

impl TableJob {
    /// Makes a chunk with the next number; `None` for the whole table. `order` is its place among the chunks of the table.
    pub fn chunk(self: &Arc<Self>, range: Option<KeyRange>, estimate: u64, order: Vec<i64>) -> Chunk {
        let key = self.table.as_ref().and_then(|table| table.chunk_key.as_ref());
        let condition = range.as_ref().zip(key).and_then(|(range, key)| range.condition(key));
        let sql = match &self.table {
            Some(table) => table.select(condition.as_deref(), self.filter.as_deref()),
            None => String::new(),
        };
        Chunk {
            index: self.next_index.fetch_add(1, Ordering::SeqCst),
            job: Arc::clone(self),
            sql,
            header_from_result: false,
            position_column: range.as_ref().and_then(|range| self.table.as_ref()?.position_column(range)),
            range,
            estimate,
            order,
            cuts: 0,
            attempts: 0,
        }
    }

    /// The condition of a range, for people.
    pub fn condition(&self, range: Option<&KeyRange>) -> Option<String> {
        range?.condition(self.table.as_ref()?.chunk_key.as_ref()?)
    }

    /// What reading the table has shown so far: bytes of a row, and rows that one reader does in a second.
    pub fn pace(&self) -> Option<(u64, u64)> {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (rows, bytes, micros) = (load(&self.rows_read), load(&self.bytes), load(&self.micros));
        (rows > 0).then(|| (bytes / rows, rows.saturating_mul(1_000_000) / micros.max(1)))
    }

    /// Counts what a reader has read, for [`TableJob::pace`].
    fn count_read(&self, rows: u64, bytes: u64, time: Duration) {
        self.rows_read.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Counts a finished chunk; gives the table's rows when it was the last.
    pub fn finish_chunk(&self, rows: u64) -> Option<u64> {
        let total = self.rows.fetch_add(rows, Ordering::SeqCst) + rows;
        (self.chunks_left.fetch_sub(1, Ordering::SeqCst) == 1).then_some(total)
    }
}

/// One statement to run.
#[derive(Debug, Clone)]
pub struct Chunk {
    /// Its table.
    pub job: Arc<TableJob>,
    /// Number of the chunk in its table.
    pub index: u64,
    /// The SELECT.
    pub sql: String,
    /// Column names for CSV are taken from the result (`--sql`).
    pub header_from_result: bool,
    /// Its range; `None`: all rows.
    pub range: Option<KeyRange>,
    /// Rows, as the optimizer guesses; 0 if nobody has asked.
    pub estimate: u64,
    /// The column that the rows are sorted by inside the range, if the chunk can be cut while it is read.
    pub position_column: Option<String>,
    /// Chunks of a table sorted by this are sorted by its key: each is behind those that were planned before it, and what another reader
    /// took over of a chunk is right behind the chunk.
    pub order: Vec<i64>,
    /// How often another reader took over its second half.
    pub cuts: i64,
    /// Readers that lost their connection over it.
    pub attempts: u32,
}

impl Chunk {
    /// The same chunk for another reader, with what is left of its range after so many cuts.
    pub fn again(&self, range: Option<KeyRange>, cuts: i64) -> Chunk {
        let condition = self.job.condition(range.as_ref());
        let sql = match &self.job.table {
            Some(table) => table.select(condition.as_deref(), self.job.filter.as_deref()),
            None => self.sql.clone(),
        };
        Chunk { sql, range, cuts, attempts: self.attempts + 1, ..self.clone() }
    }

    /// How its rows look; CSV of a query takes the header from the result.
    fn form(&self, columns: &[ColumnDef]) -> Cow<'_, Form> {
        match (&self.job.form, self.header_from_result) {
            (Form::Csv { writer, .. }, true) => {
                let names = columns.iter().map(|column| column.name.as_str());
                Cow::Owned(Form::Csv { header: csv_header(writer, names), writer: writer.clone() })
            }
            (Form::Parquet { options, .. }, _) => {
                Cow::Owned(Form::Parquet { options: options.clone(), columns: self.specs(columns, options) })
            }
            (form, _) => Cow::Borrowed(form),
        }
    }

    /// The columns of a Parquet file.
    fn specs(&self, columns: &[ColumnDef], options: &parquet::Options) -> Vec<parquet::Spec> {
        let table = self.job.table.as_ref();
        let floats: Vec<usize> = table.into_iter().flat_map(Table::float_fields).collect();
        let may_be_null =
            |field| table.is_none_or(|table| table.masks.iter().any(|(masked, _)| *masked == field));
        let spec = |(field, column): (usize, &ColumnDef)| {
            // A FLOAT is read by an expression.
            let own = table.filter(|_| floats.contains(&field)).and_then(|table| table.columns.get(field));
            let name = own.unwrap_or(&column.name);
            parquet::Spec::new(name, column, floats.contains(&field), may_be_null(field), options.text_times)
        };
        columns.iter().enumerate().map(spec).collect()
    }

    /// How each cell is written.
    fn cell_forms(&self, columns: &[ColumnDef]) -> CellForms<'_> {
        if self.job.empty_rows {
            return CellForms::default();
        }
        let mut kinds: Vec<CellKind> = columns.iter().map(CellKind::of).collect();
        for field in self.job.table.iter().flat_map(Table::float_fields) {
            if let Some(kind) = kinds.get_mut(field) {
                *kind = CellKind::Float;
            }
        }
        CellForms::new(kinds, self.job.table.as_ref().map_or(&[], |table| &table.masks))
    }

    /// What the manifest and the journal say of it.
    fn ended(&self, rows: u64, running: &Running) -> Ended {
        let range = running.range();
        let line = ChunkLine {
            schema: self.job.name.schema.clone(),
            table: self.job.name.table.clone(),
            chunk: self.index,
            rows,
            range: self.job.condition(range.as_ref()),
        };
        let key = self.job.table.as_ref().and_then(|table| table.chunk_key.as_ref());
        let cut = range.zip(key).and_then(|(range, key)| Cut::of(key, &range, &self.order));
        Ended { job: Arc::clone(&self.job), line, cut }
    }

    /// For messages.
    pub fn describe(&self) -> String {
        match self.job.name.table.is_empty() {
            true => "run the query of --sql".into(),
            false => format!("read table {} (chunk {})", self.job.name, self.index),
        }
    }
}

/// A chunk all of whose files are durable.
#[derive(Debug)]
pub struct Finished {
    /// The table.
    pub job: Arc<TableJob>,
    /// What the manifest says of it.
    pub line: ChunkLine,
    /// Where it lies, if a later run can keep it.
    pub cut: Option<Cut>,
    /// Its files.
    pub files: Vec<FileLine>,
}

/// A chunk all of whose rows are written.
struct Ended {
    job: Arc<TableJob>,
    line: ChunkLine,
    cut: Option<Cut>,
}

/// A file that is being synced while the reader goes on.
struct Finishing {
    turn: u64,
    line: FileLine,
    task: JoinHandle<Result<Stored, StorageError>>,
}

/// What one call of [`Reader::dump_chunk`] has written.
#[derive(Default)]
struct Output {
    /// The file that is open.
    open: Option<String>,
    /// Files that are complete.
    files: u64,
    /// Rows in them.
    rows: u64,
    /// Their bytes.
    bytes: u64,
    /// Rows that the metrics have not seen.
    rows_uncounted: u64,
}

impl Output {
    /// Shows the metrics what is about to be written, and waits where the source shall have rest.
    async fn pass(&mut self, shared: &Shared, bytes: u64) {
        shared.metrics.read(std::mem::take(&mut self.rows_uncounted), bytes);
        shared.gate.pass(bytes).await;
    }
}

/// One reader: its buffer, its file, and the file that is being synced.
pub struct Reader {
    buffer: Vec<u8>,
    writer: FileWriter,
    finishing: Option<Finishing>,
    /// Files that are complete and durable, each with the turn that wrote it.
    done: Vec<(u64, FileLine)>,
    /// Chunks whose last file may still be on its way, each with its turn.
    ended: Vec<(u64, Ended)>,
    /// Counts the calls of `dump_chunk`.
    turn: u64,
}

impl Reader {
    /// A reader that writes to the shared storage.
    pub fn new(shared: &Shared) -> Self {
        Self {
            buffer: Vec::new(),
            writer: FileWriter::new(
                Arc::clone(&shared.storage),
                shared.naming.packing(shared.compression),
                shared.compress_level,
            ),
            finishing: None,
            done: Vec::new(),
            ended: Vec::new(),
            turn: 0,
        }
    }

    /// Reads a chunk and writes its files. The last of them may still be on its way to the disk afterwards, see
    /// [`Reader::settle`]. After an error, finished files of this chunk stay, see [`Reader::forget_chunk`]. Where `running`
    /// is cut meanwhile, it ends there.
    ///
    /// # Errors
    /// The server's and the storage's.
    pub async fn dump_chunk(
        &mut self,
        conn: &mut WireConn,
        shared: &Shared,
        running: &Running,
    ) -> Result<()> {
        let chunk = &running.chunk;
        let id = conn.connection_id();
        let begun = Instant::now();
        self.turn += 1;
        let mut stream = run_query(conn, shared, chunk).await?;
        let position = chunk
            .position_column
            .as_ref()
            .and_then(|name| stream.columns().iter().position(|column| column.name == *name));
        let form = chunk.form(stream.columns());
        let cells = chunk.cell_forms(stream.columns());
        let mut text = ChunkText::new(&form, cells, shared.file_size, std::mem::take(&mut self.buffer));
        let mut output = Output::default();
        let mut stop: Option<Vec<u8>> = None;
        let mut stopped = false;
        while let Some(row) = next_row(&mut stream, shared.read_timeout).await.doing(|| chunk.describe())? {
            if let (Some(stop), Some(position)) = (&stop, position)
                && row.cell(position) == Some(stop)
            {
                stopped = true;
                break;
            }
            let todo = text.push_row(row.cells());
            output.rows_uncounted += 1;
            if todo == Todo::Nothing {
                continue;
            }
            if todo == Todo::Fail {
                return Err(DumpError::Value(format!("{}: {}", chunk.describe(), text.failure())));
            }
            let bytes = text.take_progress();
            running.advance(output.rows_uncounted, bytes);
            output.pass(shared, bytes).await;
            if let Some(question) = running.question()
                && let Some(here) = position.and_then(|position| row.cell(position))
            {
                stop = agree(question, here).await.or(stop);
            }
            self.put(shared, chunk, &mut text, &mut output, todo).await?;
        }
        let rows_read = stream.rows_read() - u64::from(stopped);
        if stop.is_some() && !stopped {
            // The rest was promised to another reader, who reads it now.
            return Err(DumpError::Count(format!(
                "{}: the key where its second half begins was not met, so rows would be doubled",
                chunk.describe()
            )));
        }
        if stopped {
            end_early(stream, shared, id).await.doing(|| chunk.describe())?;
            conn_is_clean(conn).await.doing(|| chunk.describe())?;
        } else {
            drop(stream);
        }
        if text.in_file() {
            let bytes = text.take_progress();
            output.pass(shared, bytes).await;
            self.put(shared, chunk, &mut text, &mut output, Todo::EndFile).await?;
        }
        self.keep_buffer(text.into_buffer());
        if output.rows != rows_read {
            return Err(DumpError::Count(format!(
                "{}: {rows_read} rows were read and {} written",
                chunk.describe(),
                output.rows
            )));
        }
        chunk.job.count_read(rows_read, output.bytes, begun.elapsed());
        self.ended.push((self.turn, chunk.ended(rows_read, running)));
        Ok(())
    }

    /// Writes what is pending, into a new file if none is open, and ends the file where `todo` says so.
    async fn put(
        &mut self,
        shared: &Shared,
        chunk: &Chunk,
        text: &mut ChunkText<'_>,
        output: &mut Output,
        todo: Todo,
    ) -> Result<()> {
        let name = match output.open.take() {
            Some(name) => name,
            None => self.begin_file(shared, chunk, output.files).await?,
        };
        if todo == Todo::Write {
            self.writer.write_pending(text).await?;
            output.open = Some(name);
            return Ok(());
        }
        let (rows, bytes) = self.end_file(shared, chunk, text, name).await?;
        output.rows += rows;
        output.bytes += bytes;
        output.files += 1;
        Ok(())
    }

    /// Keeps the buffer for the next chunk: a row of 1 MB must not keep its memory for ever.
    fn keep_buffer(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(256 * 1024);
        self.buffer = buffer;
    }

    /// Takes the chunks all of whose files are durable.
    pub fn take_finished(&mut self) -> Vec<Finished> {
        let open = self.finishing.as_ref().map(|finishing| finishing.turn);
        let (ended, wait): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.ended).into_iter().partition(|(turn, _)| Some(*turn) != open);
        self.ended = wait;
        let mut finished = Vec::with_capacity(ended.len());
        for (turn, Ended { job, line, cut }) in ended {
            let (files, rest): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.done).into_iter().partition(|(of, _)| *of == turn);
            self.done = rest;
            let files = files.into_iter().map(|(_, file)| file).collect();
            finished.push(Finished { job, line, cut, files });
        }
        finished
    }

    async fn begin_file(&mut self, shared: &Shared, chunk: &Chunk, number: u64) -> Result<String> {
        let name = shared.naming.data(&chunk.job.name, chunk.index, number)?;
        self.writer.begin(&name).await?;
        Ok(name)
    }

    async fn end_file(
        &mut self,
        shared: &Shared,
        chunk: &Chunk,
        text: &mut ChunkText<'_>,
        name: String,
    ) -> Result<(u64, u64)> {
        let (rows, bytes) = text.end_file();
        if !text.failure().is_empty() {
            return Err(DumpError::Value(format!("{}: {}", chunk.describe(), text.failure())));
        }
        self.writer.write_pending(text).await?;
        // At most one file a reader is on its way to the disk.
        self.settle().await?;
        let durable = self.writer.end().await?;
        let line = FileLine {
            name,
            schema: chunk.job.name.schema.clone(),
            table: chunk.job.name.table.clone(),
            chunk: Some(chunk.index),
            rows,
            bytes,
            blake3: String::new(),
        };
        let metrics = shared.metrics.clone();
        let task = tokio::spawn(async move {
            let begin = Instant::now();
            let result = durable.await;
            metrics.file_synced(begin.elapsed());
            result
        });
        self.finishing = Some(Finishing { turn: self.turn, line, task });
        Ok((rows, bytes))
    }

    /// Waits until all files of this reader are durable.
    ///
    /// # Errors
    /// The storage's.
    pub async fn settle(&mut self) -> Result<()> {
        if let Some(Finishing { turn, mut line, task }) = self.finishing.take() {
            let stored = match task.await {
                Ok(result) => result?,
                Err(error) => return Err(DumpError::Internal(error.to_string())),
            };
            line.blake3 = stored.hash.to_hex().to_string();
            self.done.push((turn, line));
        }
        Ok(())
    }

    /// Forgets the files that the last call of [`Reader::dump_chunk`] finished, and gives their names: that chunk is
    /// read again.
    ///
    /// # Errors
    /// The storage's.
    pub async fn forget_chunk(&mut self) -> Result<Vec<String>> {
        self.writer.give_up().await;
        self.settle().await?;
        let turn = self.turn;
        let (again, keep): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.done).into_iter().partition(|(of, _)| *of == turn);
        self.done = keep;
        Ok(again.into_iter().map(|(_, line)| line.name).collect())
    }
}

/// Sends the chunk's statement.
async fn run_query<'c>(conn: &'c mut WireConn, shared: &Shared, chunk: &Chunk) -> Result<RowStream<'c>> {
    match tokio::time::timeout(shared.read_timeout, conn.query(&chunk.sql)).await {
        Ok(answer) => answer,
        Err(_) => Err(mysql::Error::timeout(shared.read_timeout)),
    }
    .doing(|| chunk.describe())
}

/// The next row; in the common case, a row in the buffer, without a timer.
#[inline]
async fn next_row<'s>(
    stream: &'s mut RowStream<'_>,
    read_timeout: Duration,
) -> mysql::Result<Option<RowRef<'s>>> {
    let mut next = std::pin::pin!(stream.next());
    match next.as_mut().now_or_never() {
        Some(row) => row,
        None => match tokio::time::timeout(read_timeout, next).await {
            Ok(row) => row,
            Err(_) => Err(mysql::Error::timeout(read_timeout)),
        },
    }
}

/// Tells another reader where this one is, and hears where to stop.
#[cold]
async fn agree(question: Question, here: &[u8]) -> Option<Vec<u8>> {
    question.position.send(here.to_vec()).ok()?;
    question.stop.await.ok()
}

/// Ends a statement whose further rows belong to somebody else; the transaction and its snapshot stay.
async fn end_early(stream: RowStream<'_>, shared: &Shared, id: u32) -> mysql::Result<()> {
    if let Err(error) = WireConn::kill_query(&shared.endpoint, id).await {
        // Then its rows are read and thrown away.
        tracing::warn!(%error, "a statement can't be ended early");
    }
    match stream.skip_rest().await {
        Err(error) if error.class() != ErrorClass::Interrupted => Err(error),
        _ => Ok(()),
    }
}

/// The kill may have come after the last row: then it meets the next statement, which may be this one only.
async fn conn_is_clean(conn: &mut WireConn) -> mysql::Result<()> {
    match conn.simple("DO 0").await {
        Err(error) if error.class() != ErrorClass::Interrupted => Err(error),
        _ => Ok(()),
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(finishing) = &self.finishing {
            finishing.task.abort();
        }
    }
}
