//! Reads a piece of a file and packs its rows into batches: one batch is one transaction.

use std::sync::{Arc, Mutex, PoisonError};

use common::error::lightning_codes as codes;
use sql::SqlMode;
use sql::values::Head;

use super::blank::Enums;
use super::shape::{Shape, single_rows};
use crate::error::{Context, Result, fail};
use crate::ledger::Done;
use crate::source::prologue::Prologue;
use crate::source::rows::{FileReader, Item, Segment};

/// Limits of statements and transactions.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of rows that make a statement full.
    pub statement_bytes: usize,
    /// Rows that make a statement full.
    pub statement_rows: u64,
    /// Bytes that make a batch full.
    pub batch_bytes: usize,
    /// Longest statement that can be sent.
    pub packet_limit: usize,
}

/// Buffers of statements that are done with, for the next ones. Packers take them in their threads and workers give them back in
/// others; without a pool an allocator keeps a stock for each thread.
#[derive(Debug, Default)]
pub struct Pool(Mutex<Vec<Vec<u8>>>);

impl Pool {
    /// An empty buffer with at least this capacity.
    fn take(&self, capacity: usize) -> Vec<u8> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match found {
            Some(buffer) if buffer.capacity() >= capacity => buffer,
            // One that is too small is from another file, with other limits.
            _ => Vec::with_capacity(capacity),
        }
    }

    /// Takes the buffers of a batch back. Those of unusual size are freed.
    pub fn give_back(&self, batch: Batch, limits: &Limits) {
        let mut pool = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for mut statement in batch.statements {
            if statement.sql.capacity() <= 2 * limits.statement_bytes + MARGIN {
                statement.sql.clear();
                pool.push(statement.sql);
            }
        }
    }
}

/// Room for the last row, which makes a statement full, and for its ends.
const MARGIN: usize = 8 << 10;

/// Rows of a statement that stand in a row in the file.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Offset in the file.
    at: u64,
    /// Offset in the statement.
    start: usize,
    /// Whether the bytes are those of the file.
    verbatim: bool,
    rows: u64,
}

/// One INSERT.
#[derive(Debug)]
pub struct Statement {
    /// Its text.
    pub sql: Vec<u8>,
    /// Its rows.
    pub rows: u64,
    /// Offset of its first row in the file.
    pub at: u64,
    /// One past its last row.
    pub end: u64,
    runs: Vec<Run>,
    shape: Arc<Shape>,
}

impl Statement {
    fn new(shape: Arc<Shape>, at: u64, mut sql: Vec<u8>) -> Self {
        sql.extend_from_slice(&shape.prefix);
        Self { sql, rows: 0, at, end: at, runs: Vec::new(), shape }
    }

    /// What stands before its rows, the rows, and what stands behind them.
    pub fn parts(&self) -> (&[u8], &[u8], &[u8]) {
        let (prefix, rest) = self.sql.split_at(self.shape.prefix.len().min(self.sql.len()));
        let (rows, suffix) = rest.split_at(rest.len().saturating_sub(self.shape.suffix.len()));
        (prefix, rows, suffix)
    }

    /// ENUM columns that its rows may leave blank.
    pub fn enums(&self) -> &Enums {
        &self.shape.enums
    }

    fn row_bytes(&self) -> usize {
        self.sql.len() - self.shape.prefix.len()
    }

    /// Where row `number` (from 1) stands in the file: so many rows behind the one at an offset.
    pub fn offset_of_row(&self, number: u64, mode: SqlMode) -> Option<(u64, u64)> {
        let mut before = 0;
        for run in &self.runs {
            if number <= before + run.rows {
                let behind = number.checked_sub(before + 1)?;
                if !run.verbatim {
                    return Some((run.at, behind));
                }
                let index = usize::try_from(behind).ok()?;
                let (at, _) = single_rows(self.sql.get(run.start..)?, mode).nth(index)?;
                return Some((run.at + at as u64, 0));
            }
            before += run.rows;
        }
        None
    }
}

/// A transaction.
#[derive(Debug)]
pub struct Batch {
    /// Its row in the ledger.
    pub done: Done,
    /// Its statements in order.
    pub statements: Vec<Statement>,
}

/// A batch in the making.
struct Open {
    batch: Batch,
    hasher: Segment,
    bytes: usize,
}

/// Makes the [`Shape`] for a head.
pub type ShapeMaker = dyn Fn(&Head) -> Result<Shape> + Send + Sync;

/// Packs the rows of a piece. Blocks on reads.
pub struct Packer {
    file: FileReader,
    path: Arc<str>,
    prologue: Prologue,
    mode: SqlMode,
    limits: Limits,
    pool: Arc<Pool>,
    make_shape: Arc<ShapeMaker>,
    shape: Option<Arc<Shape>>,
    /// Where the next batch begins.
    begin: u64,
    /// One past the last byte of the piece; `u64::MAX` where that is not known.
    end: u64,
    /// Bytes behind the last row that no batch has counted yet.
    gap: Segment,
    open: Option<Open>,
    finished: bool,
}

/// Where a packer begins: the position and, inside a statement, the head it belongs to.
pub struct Start {
    /// First byte.
    pub begin: u64,
    /// One past the last byte, or `u64::MAX`.
    pub end: u64,
    /// The head of the statement in progress.
    pub head: Option<Head>,
}

impl Packer {
    /// A packer over a reader that stands at `start`.
    ///
    /// # Errors
    /// The head has no shape.
    pub fn new(
        file: FileReader,
        path: Arc<str>,
        prologue: Prologue,
        mode: SqlMode,
        (limits, pool): (Limits, Arc<Pool>),
        make_shape: Arc<ShapeMaker>,
        start: &Start,
    ) -> Result<Self> {
        let shape = start.head.as_ref().map(|head| make_shape(head).map(Arc::new)).transpose()?;
        Ok(Self {
            file,
            path,
            prologue,
            mode,
            limits,
            pool,
            make_shape,
            shape,
            begin: start.begin,
            end: start.end,
            gap: Segment::default(),
            open: None,
            finished: false,
        })
    }

    /// The next batch; `None` at the end of the piece.
    ///
    /// # Errors
    /// Text that cannot be read, with file and byte. Batches before it have been given out.
    pub fn next_batch(&mut self) -> Result<Option<Batch>> {
        while !self.finished {
            let wanted = wanted_bytes(self.open.as_ref(), &self.limits);
            let item = self
                .file
                .next(wanted)
                .context(codes::CHECK_DATA_SOURCE, || format!("file '{}'", self.path))?;
            match item {
                Item::Rows { bytes, at, count } => {
                    let ready = self.open.take_if(|open| open.bytes >= self.limits.batch_bytes);
                    if let Some(ready) = &ready {
                        self.begin = ready.batch.done.end;
                    }
                    let shape = self.shape.as_ref().ok_or_else(|| no_head(&self.path, at))?;
                    let open = self.open.get_or_insert_with(|| Open::new(self.begin));
                    add_rows(
                        &mut open.batch.statements,
                        shape,
                        &self.limits,
                        &self.pool,
                        self.mode,
                        Rows { bytes, at, count },
                    )
                    .map_err(|(at, what)| {
                        let path = &self.path;
                        fail(
                            codes::ENCODE_KV,
                            format!("encode kv error in file {path} at offset {at}: {what}"),
                        )
                    })?;
                    open.bytes += bytes.len();
                    open.batch.done.rows += count;
                    open.hasher.combine(&std::mem::take(&mut self.gap));
                    open.hasher.combine(self.file.segment());
                    open.batch.done.end = self.file.offset();
                    open.batch.done.head_at = self.file.head_at();
                    if let Some(ready) = ready {
                        return Ok(Some(ready.seal()));
                    }
                    continue;
                }
                Item::Head(head) => {
                    let shape = (self.make_shape)(&head)?;
                    // The same form keeps its identity, so that a statement can go on over the border.
                    if self.shape.as_deref() != Some(&shape) {
                        self.shape = Some(Arc::new(shape));
                    }
                }
                // What stands before the first INSERT is the prologue itself.
                Item::Other { text, at } if self.shape.is_some() => {
                    self.prologue.stays(text, at, &self.path)?
                }
                Item::Other { .. } | Item::End => {}
                Item::Eof => self.finished = true,
            }
            self.gap.combine(self.file.segment());
        }
        let Some(mut last) = self.open.take() else { return Ok(None) };
        last.hasher.combine(&self.gap);
        last.batch.done.end = if self.end == u64::MAX { self.file.offset() } else { self.end };
        last.batch.done.head_at = None;
        Ok(Some(last.seal()))
    }
}

fn no_head(path: &str, at: u64) -> crate::error::Error {
    fail(codes::CHECK_DATA_SOURCE, format!("file '{path}': rows at byte {at} without an INSERT before them"))
}

/// How many bytes of rows still fit into the statement in progress.
fn wanted_bytes(open: Option<&Open>, limits: &Limits) -> usize {
    let used = open.and_then(|open| open.batch.statements.last()).map_or(0, Statement::row_bytes);
    match limits.statement_bytes.saturating_sub(used) {
        0 => limits.statement_bytes,
        room => room,
    }
}

impl Open {
    fn new(begin: u64) -> Self {
        let done = Done { begin, end: begin, rows: 0, checksum: 0, head_at: None };
        let batch = Batch { done, statements: Vec::new() };
        Self { batch, hasher: Segment::default(), bytes: 0 }
    }

    fn seal(mut self) -> Batch {
        self.batch.done.checksum = u64::from(self.hasher.value());
        for statement in &mut self.batch.statements {
            let shape = Arc::clone(&statement.shape);
            statement.sql.extend_from_slice(&shape.suffix);
        }
        self.batch
    }
}

#[derive(Clone, Copy)]
struct Rows<'a> {
    bytes: &'a [u8],
    at: u64,
    count: u64,
}

/// Adds a run of rows to the last statement or to new ones. An error is an offset in the file and what is wrong there.
fn add_rows(
    statements: &mut Vec<Statement>,
    shape: &Arc<Shape>,
    limits: &Limits,
    pool: &Pool,
    mode: SqlMode,
    rows: Rows<'_>,
) -> std::result::Result<(), (u64, String)> {
    let longest = limits.packet_limit.saturating_sub(shape.prefix.len() + shape.suffix.len() + 2);
    let room = statements
        .last()
        .filter(|last| Arc::ptr_eq(&last.shape, shape) && last.row_bytes() < limits.statement_bytes)
        .map(|last| {
            (limits.statement_rows.saturating_sub(last.rows), longest.saturating_sub(last.row_bytes() + 1))
        })
        .filter(|(rows, bytes)| *rows > 0 && *bytes > 0);
    let bound = shape.rewrite.as_ref().map_or(rows.bytes.len(), |rewrite| rewrite.bound(rows.bytes));
    let fits = |(row_room, byte_room): (u64, usize)| rows.count <= row_room && bound <= byte_room;
    if !room.is_some_and(fits) {
        if !fits((limits.statement_rows, longest)) && (rows.count > 1 || shape.rewrite.is_none()) {
            if rows.count == 1 {
                return Err((rows.at, too_long(rows.bytes.len(), limits)));
            }
            for (at, row) in shape.single(rows.bytes, mode) {
                add_rows(
                    statements,
                    shape,
                    limits,
                    pool,
                    mode,
                    Rows { bytes: row, at: rows.at + at as u64, count: 1 },
                )?;
            }
            return Ok(());
        }
        let capacity = shape.prefix.len() + limits.statement_bytes.max(rows.bytes.len()) + MARGIN;
        statements.push(Statement::new(Arc::clone(shape), rows.at, pool.take(capacity)));
    }
    let Some(statement) = statements.last_mut() else { return Ok(()) };
    if statement.rows > 0 {
        statement.sql.push(b',');
    }
    let start = statement.sql.len();
    match &shape.rewrite {
        None => statement.sql.extend_from_slice(rows.bytes),
        Some(rewrite) => rewrite
            .rows(rows.bytes, mode, &mut statement.sql)
            .map_err(|(at, what)| (rows.at + at as u64, what))?,
    }
    if statement.row_bytes() > longest {
        return Err((rows.at, too_long(statement.row_bytes(), limits)));
    }
    let verbatim = shape.rewrite.is_none();
    statement.runs.push(Run { at: rows.at, start, verbatim, rows: rows.count });
    statement.rows += rows.count;
    statement.end = rows.at + shape.length(rows.bytes, rows.count);
    Ok(())
}

fn too_long(bytes: usize, limits: &Limits) -> String {
    format!(
        "the row takes {bytes} bytes, more than a statement may have ({}): raise `max_allowed_packet` on the target and \
         `tidb.max-allowed-packet`",
        limits.packet_limit
    )
}

#[cfg(test)]
mod tests;
