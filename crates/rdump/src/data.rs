//! Reads the rows of one chunk and writes its files: the hot path.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use common::dumpfile::{Compression, FileIndex, FileNamer, Format};
use common::ident::TableName;
use common::manifest::FileLine;
use common::storage::{Storage, StorageError};
use futures::FutureExt;
use mysql::wire::WireConn;
use tokio::task::JoinHandle;

use crate::error::{Doing, DumpError, Result};
use crate::file::FileWriter;
use crate::metrics::Metrics;
use crate::render::{CellKind, ChunkText, Form, Todo, csv_header};

/// What all chunks share.
#[derive(Debug)]
pub struct Shared {
    /// Where files go.
    pub storage: Arc<dyn Storage>,
    /// Compression.
    pub compression: Compression,
    /// SQL or CSV.
    pub format: Format,
    /// Limit of a file in bytes.
    pub file_size: Option<u64>,
    /// Whether `-r` was given: decides the digits of file names.
    pub chunked: bool,
    /// How long one read may take.
    pub read_timeout: Duration,
    /// Counters.
    pub metrics: Metrics,
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
    /// Rows written so far.
    pub rows: AtomicU64,
    /// Chunks that are not finished, and one while chunks are still being made.
    pub chunks_left: AtomicU64,
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
}

impl Chunk {
    /// For messages.
    pub fn describe(&self) -> String {
        match self.job.name.table.is_empty() {
            true => "run the query of --sql".into(),
            false => format!("read table {} (chunk {})", self.job.name, self.index),
        }
    }
}

/// A file that is being synced while the reader goes on.
struct Finishing {
    turn: u64,
    line: FileLine,
    task: JoinHandle<Result<u64, StorageError>>,
}

/// One reader: its buffer, its file, and the file that is being synced.
pub struct Reader {
    buffer: Vec<u8>,
    writer: FileWriter,
    finishing: Option<Finishing>,
    /// Files that are complete and durable, each with the turn that wrote it.
    done: Vec<(u64, FileLine)>,
    /// Counts the calls of `dump_chunk`.
    turn: u64,
}

impl Reader {
    /// A reader that writes to the shared storage.
    pub fn new(shared: &Shared) -> Self {
        Self {
            buffer: Vec::new(),
            writer: FileWriter::new(Arc::clone(&shared.storage), shared.compression),
            finishing: None,
            done: Vec::new(),
            turn: 0,
        }
    }

    /// Reads a chunk and writes its files. The last of them may still be on its way to the disk afterwards, see
    /// [`Reader::settle`]. After an error, finished files of this chunk stay, see [`Reader::forget_chunk`].
    ///
    /// # Errors
    /// The server's and the storage's.
    pub async fn dump_chunk(&mut self, conn: &mut WireConn, shared: &Shared, chunk: &Chunk) -> Result<u64> {
        self.turn += 1;
        let mut stream = match tokio::time::timeout(shared.read_timeout, conn.query(&chunk.sql)).await {
            Ok(answer) => answer,
            Err(_) => Err(mysql::Error::timeout(shared.read_timeout)),
        }
        .doing(|| chunk.describe())?;
        let mut kinds: Vec<CellKind> = stream.columns().iter().map(CellKind::of).collect();
        if chunk.job.empty_rows {
            kinds.clear();
        }
        let own_form;
        let form = match (&chunk.job.form, chunk.header_from_result) {
            (Form::Csv { writer, .. }, true) => {
                let names = stream.columns().iter().map(|column| column.name.as_str());
                own_form = Form::Csv { header: csv_header(writer, names), writer: writer.clone() };
                &own_form
            }
            (form, _) => form,
        };
        let mut text = ChunkText::new(form, kinds, shared.file_size, std::mem::take(&mut self.buffer));
        let mut name: Option<String> = None;
        let mut file_number = 0;
        let mut rows_written = 0;
        let mut rows_counted = 0;
        loop {
            // The common case, a row in the buffer, without a timer.
            let row = match stream.next().now_or_never() {
                Some(row) => row,
                None => match tokio::time::timeout(shared.read_timeout, stream.next()).await {
                    Ok(row) => row,
                    Err(_) => Err(mysql::Error::timeout(shared.read_timeout)),
                },
            };
            let Some(row) = row.doing(|| chunk.describe())? else { break };
            let todo = text.push_row(row.cells());
            rows_counted += 1;
            if todo == Todo::Nothing {
                continue;
            }
            shared.metrics.read(rows_counted, text.pending().len() as u64);
            rows_counted = 0;
            if name.is_none() {
                name = Some(self.begin_file(shared, chunk, file_number).await?);
            }
            if todo == Todo::Write {
                self.writer.write_pending(&mut text).await?;
            } else if let Some(name) = name.take() {
                rows_written += self.end_file(shared, chunk, &mut text, name).await?;
                file_number += 1;
            }
        }
        let rows_read = stream.rows_read();
        drop(stream);
        if text.in_file() {
            shared.metrics.read(rows_counted, text.pending().len() as u64);
            let name = match name {
                Some(name) => name,
                None => self.begin_file(shared, chunk, file_number).await?,
            };
            rows_written += self.end_file(shared, chunk, &mut text, name).await?;
        }
        self.buffer = text.into_buffer();
        // A row of 1 MB must not keep its memory for ever.
        self.buffer.clear();
        self.buffer.shrink_to(256 * 1024);
        if rows_written != rows_read {
            return Err(DumpError::Count(format!(
                "{}: {rows_read} rows were read and {rows_written} written",
                chunk.describe()
            )));
        }
        Ok(rows_read)
    }

    async fn begin_file(&mut self, shared: &Shared, chunk: &Chunk, number: u64) -> Result<String> {
        let name = shared.name(chunk, number);
        self.writer.begin(&name).await?;
        Ok(name)
    }

    async fn end_file(
        &mut self,
        shared: &Shared,
        chunk: &Chunk,
        text: &mut ChunkText<'_>,
        name: String,
    ) -> Result<u64> {
        let (rows, bytes) = text.end_file();
        self.writer.write_pending(text).await?;
        // At most one file a reader is on its way to the disk.
        self.settle().await?;
        let durable = self.writer.end().await?;
        let line = FileLine {
            name,
            schema: chunk.job.name.schema.clone(),
            table: chunk.job.name.table.clone(),
            rows,
            bytes,
        };
        let metrics = shared.metrics.clone();
        let task = tokio::spawn(async move {
            let begin = std::time::Instant::now();
            let result = durable.await;
            metrics.file_synced(begin.elapsed());
            result
        });
        self.finishing = Some(Finishing { turn: self.turn, line, task });
        Ok(rows)
    }

    /// Waits until all files of this reader are durable.
    ///
    /// # Errors
    /// The storage's.
    pub async fn settle(&mut self) -> Result<()> {
        if let Some(Finishing { turn, line, task }) = self.finishing.take() {
            match task.await {
                Ok(result) => result?,
                Err(error) => return Err(DumpError::Internal(error.to_string())),
            };
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

    /// Takes the lines of the files that are durable.
    pub fn into_files(mut self) -> Vec<FileLine> {
        std::mem::take(&mut self.done).into_iter().map(|(_, line)| line).collect()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(finishing) = &self.finishing {
            finishing.task.abort();
        }
    }
}

impl Shared {
    fn name(&self, chunk: &Chunk, file: u64) -> String {
        let namer = FileNamer { compression: self.compression };
        let index = match (self.chunked, self.file_size.is_some()) {
            (_, false) => FileIndex::Chunk(chunk.index),
            (false, true) => FileIndex::File(file),
            (true, true) => FileIndex::ChunkFile(chunk.index, file),
        };
        match chunk.job.name.table.is_empty() {
            true => namer.query_result(index, self.format),
            false => namer.data(&chunk.job.name, index, self.format),
        }
    }
}

impl TableJob {
    /// Counts a finished chunk; gives the table's rows when it was the last.
    pub fn finish_chunk(&self, rows: u64) -> Option<u64> {
        let total = self.rows.fetch_add(rows, Ordering::SeqCst) + rows;
        (self.chunks_left.fetch_sub(1, Ordering::SeqCst) == 1).then_some(total)
    }
}
