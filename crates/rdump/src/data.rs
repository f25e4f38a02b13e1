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
use crate::file::OutFile;
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
    /// Chunks that are not finished.
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

/// One reader: its buffer, and the file that is being synced.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
    finishing: Option<Finishing>,
    /// Files that are complete and durable, each with the turn that wrote it.
    done: Vec<(u64, FileLine)>,
    /// Counts the calls of `dump_chunk`.
    turn: u64,
}

impl Reader {
    /// Reads a chunk and writes its files. The last of them may still be on its way to the disk afterwards, see
    /// [`Reader::settle`]. After an error, finished files of this chunk stay, see [`Reader::forget_chunk`].
    ///
    /// # Errors
    /// The server's and the storage's.
    pub async fn dump_chunk(&mut self, conn: &mut WireConn, shared: &Shared, chunk: &Chunk) -> Result<u64> {
        self.turn += 1;
        let mut stream = conn.query(&chunk.sql).await.doing(|| chunk.describe())?;
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
        let mut file: Option<OutFile> = None;
        let mut name = String::new();
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
            if file.is_none() {
                name = shared.name(chunk, file_number);
                file = Some(OutFile::create(&shared.storage, &name, shared.compression).await?);
            }
            shared.metrics.read(rows_counted, text.pending().len() as u64);
            rows_counted = 0;
            match (todo, &mut file) {
                (Todo::EndFile, slot) => {
                    if let Some(open) = slot.take() {
                        rows_written += self.end_file(shared, chunk, &mut text, open, &name).await?;
                        file_number += 1;
                    }
                }
                (_, Some(open)) => open.write_pending(&mut text).await?,
                _ => {}
            }
        }
        let rows_read = stream.rows_read();
        drop(stream);
        if text.in_file() {
            let open = match file {
                Some(open) => open,
                None => {
                    name = shared.name(chunk, file_number);
                    OutFile::create(&shared.storage, &name, shared.compression).await?
                }
            };
            shared.metrics.read(rows_counted, text.pending().len() as u64);
            rows_written += self.end_file(shared, chunk, &mut text, open, &name).await?;
        }
        self.buffer = text.into_buffer();
        // A row of 1 MB must not keep its memory for ever.
        self.buffer.clear();
        self.buffer.shrink_to(1 << 20);
        if rows_written != rows_read {
            return Err(DumpError::Count(format!(
                "{}: {rows_read} rows were read and {rows_written} written",
                chunk.describe()
            )));
        }
        Ok(rows_read)
    }

    async fn end_file(
        &mut self,
        shared: &Shared,
        chunk: &Chunk,
        text: &mut ChunkText<'_>,
        mut open: OutFile,
        name: &str,
    ) -> Result<u64> {
        let (rows, bytes) = text.end_file();
        open.write_pending(text).await?;
        // At most one file a reader is on its way to the disk.
        self.settle().await?;
        let line = FileLine {
            name: name.to_owned(),
            schema: chunk.job.name.schema.clone(),
            table: chunk.job.name.table.clone(),
            rows,
            bytes,
        };
        let metrics = shared.metrics.clone();
        let task = tokio::spawn(async move {
            let begin = std::time::Instant::now();
            let result = open.finish().await;
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
