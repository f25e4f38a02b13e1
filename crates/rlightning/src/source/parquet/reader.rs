//! The rows of a file, or of a part of it.

use std::sync::Arc;

use ::parquet::column::reader::{ColumnReader, get_column_reader};
use ::parquet::data_type::{ByteArray, FixedLenByteArray, Int96};
use ::parquet::errors::{ParquetError, Result as PageResult};
use ::parquet::file::serialized_reader::SerializedPageReader;
use common::storage::RangeReader;

use super::guard::guarded;
use super::input::Source;
use super::pages::{Budget, Pages};
use super::row::Sum;
use super::{Footer, ParquetFault};

/// Rows of a column that are read at once, at most.
const ROWS: usize = 1024;

/// Bytes that are read ahead for all columns together; each gets its share, within bounds.
const AHEAD: usize = 16 << 20;
const LEAST_AHEAD: usize = 16 << 10;
const MOST_AHEAD: usize = 1 << 20;

/// Reads rows in order. Memory: for each column a page or two, as they are in the file and unpacked, and about a megabyte of values.
pub struct RowReader {
    source: Arc<dyn RangeReader>,
    footer: Arc<Footer>,
    /// The row group that is open.
    group: Option<usize>,
    columns: Vec<Open>,
    /// The next row, and one past the last.
    row: u64,
    end: u64,
    run: Vec<u8>,
    sum: Sum,
    /// What comes behind the rows that were given out.
    failed: Option<ParquetFault>,
}

/// A column of the open row group.
struct Open {
    reader: ColumnReader,
    budget: Budget,
    values: Values,
    /// 1 for each row with a value; empty where all have one.
    levels: Vec<i16>,
    optional: bool,
    /// Rows that are read, and how many of them are given out, with values and without.
    rows: usize,
    given: usize,
    given_values: usize,
}

enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Int96(Vec<Int96>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

/// Rows of a run.
pub struct Run<'a> {
    /// They, as [`super::row`] has it.
    pub bytes: &'a [u8],
    /// The number of the first.
    pub at: u64,
    /// How many.
    pub count: u64,
    /// Their checksum.
    pub sum: Sum,
}

impl RowReader {
    /// For the rows `begin..end`; `None`: to the end.
    pub fn new(source: Arc<dyn RangeReader>, footer: Arc<Footer>, begin: u64, end: Option<u64>) -> Self {
        let rows = footer.rows();
        let end = end.map_or(rows, |end| end.min(rows));
        Self {
            source,
            footer,
            group: None,
            columns: Vec::new(),
            row: begin,
            end,
            run: Vec::new(),
            sum: Sum::default(),
            failed: None,
        }
    }

    /// What the file says of itself.
    pub fn footer(&self) -> &Arc<Footer> {
        &self.footer
    }

    /// The next row.
    pub fn offset(&self) -> u64 {
        self.row
    }

    /// The next rows; a run ends with the row that makes it `max_bytes` long, or earlier. `None`: there are no more.
    ///
    /// # Errors
    /// Damage. Rows before it have been given out.
    pub fn next(&mut self, max_bytes: usize) -> Result<Option<Run<'_>>, ParquetFault> {
        self.sum = Sum::default();
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        self.run.clear();
        if self.run.capacity() > 4 * max_bytes.max(crate::source::rows::WINDOW) {
            self.run.shrink_to(2 * max_bytes);
        }
        let at = self.row;
        while self.row < self.end && (self.run.len() < max_bytes || self.row == at) {
            if let Err(fault) = self.more(max_bytes) {
                if self.row == at {
                    return Err(fault);
                }
                self.failed = Some(fault);
                break;
            }
        }
        let count = self.row - at;
        Ok((count > 0).then_some(Run { bytes: &self.run, at, count, sum: self.sum }))
    }

    /// Appends some rows to the run.
    fn more(&mut self, max_bytes: usize) -> Result<(), ParquetFault> {
        let footer = Arc::clone(&self.footer);
        // The last group that begins at the row or before; empty ones begin where the next one does.
        let group = footer.starts.partition_point(|start| *start <= self.row) - 1;
        if self.group != Some(group) {
            self.open(group)?;
        }
        let left = footer.starts[group + 1] - self.row;
        for column in 0..self.columns.len() {
            self.refill(group, column, left)?;
        }
        let wanted = self.end.min(footer.starts[group + 1]) - self.row;
        let there = self.columns.iter().map(|column| column.rows - column.given).min().unwrap_or(0);
        let mut rows = there.min(usize::try_from(wanted).unwrap_or(usize::MAX));
        while rows > 0 && (self.run.len() < max_bytes || self.run.is_empty()) {
            let begin = self.run.len();
            self.run.extend_from_slice(&[0; 4]);
            for (number, column) in self.columns.iter_mut().enumerate() {
                column.put(&mut self.run).ok_or_else(|| {
                    fault(&footer, group, number, "it has fewer values than it tells of".to_owned())
                })?;
            }
            let length = self.run.len() - begin - 4;
            let Ok(length) = u32::try_from(length) else {
                let what = format!("row {} has {length} bytes, which no server takes", self.row);
                return Err(fault(&footer, group, 0, what));
            };
            self.run[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
            self.sum.row(self.row, &self.run[begin..]);
            self.row += 1;
            rows -= 1;
        }
        if self.row == footer.starts[group + 1] {
            self.close(group)?;
        }
        Ok(())
    }

    /// Opens the columns of a row group at the next row.
    fn open(&mut self, group: usize) -> Result<(), ParquetFault> {
        self.columns.clear();
        self.group = None;
        let metadata = self.footer.metadata.row_group(group);
        let ahead = (AHEAD / metadata.num_columns().max(1)).clamp(LEAST_AHEAD, MOST_AHEAD);
        let first = usize::try_from(self.row - self.footer.starts[group]).unwrap_or(usize::MAX);
        let rows = usize::try_from(metadata.num_rows()).unwrap_or(0);
        for (number, chunk) in metadata.columns().iter().enumerate() {
            let budget = Budget::default();
            let opened = guarded(|| {
                let (begin, length) = chunk.byte_range();
                let source = Source::part(Arc::clone(&self.source), begin.saturating_add(length), ahead);
                let pages = SerializedPageReader::new(Arc::new(source), chunk, rows, None)?;
                let pages = Pages::new(pages, budget.clone(), rows);
                let mut reader = get_column_reader(chunk.column_descr_ptr(), Box::new(pages));
                let skipped = skip(&mut reader, first)?;
                if skipped < first {
                    return Err(ParquetError::General(format!("it ends at row {skipped} of the row group")));
                }
                Ok(reader)
            });
            let reader = opened.map_err(|cause| fault(&self.footer, group, number, cause))?;
            self.columns.push(Open {
                values: Values::for_reader(&reader),
                reader,
                budget,
                levels: Vec::new(),
                optional: self.footer.columns[number].optional,
                rows: 0,
                given: 0,
                given_values: 0,
            });
        }
        self.group = Some(group);
        Ok(())
    }

    /// Sees to it that a column has a row to give.
    fn refill(&mut self, group: usize, number: usize, left: u64) -> Result<(), ParquetFault> {
        let column = &mut self.columns[number];
        if column.given < column.rows {
            return Ok(());
        }
        let most = ROWS.min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = guarded(|| column.read(most));
        match read {
            Ok(0) => {
                let cause = format!("its pages end {left} rows before the row group does");
                Err(fault(&self.footer, group, number, cause))
            }
            Ok(_) => Ok(()),
            Err(cause) => Err(fault(&self.footer, group, number, cause)),
        }
    }

    /// All rows of a group are given out; there must be no more.
    fn close(&mut self, group: usize) -> Result<(), ParquetFault> {
        for (number, column) in self.columns.iter_mut().enumerate() {
            let read =
                guarded(|| column.read(1)).map_err(|cause| fault(&self.footer, group, number, cause))?;
            if read > 0 {
                let cause = "it has more rows than the row group".to_owned();
                return Err(fault(&self.footer, group, number, cause));
            }
        }
        self.columns.clear();
        self.group = None;
        Ok(())
    }
}

fn fault(footer: &Footer, group: usize, column: usize, cause: String) -> ParquetFault {
    let chunk = footer.metadata.row_group(group).column(column);
    let begin = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let begin = u64::try_from(begin).unwrap_or(0);
    ParquetFault::Pages {
        group,
        rows: footer.starts[group],
        begin,
        end: begin + u64::try_from(chunk.compressed_size()).unwrap_or(0),
        column: footer.columns[column].name.clone(),
        cause,
    }
}

fn skip(reader: &mut ColumnReader, rows: usize) -> PageResult<usize> {
    match reader {
        ColumnReader::BoolColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int32ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int64ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::Int96ColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FloatColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::DoubleColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::ByteArrayColumnReader(reader) => reader.skip_records(rows),
        ColumnReader::FixedLenByteArrayColumnReader(reader) => reader.skip_records(rows),
    }
}

impl Values {
    fn for_reader(reader: &ColumnReader) -> Self {
        match reader {
            ColumnReader::BoolColumnReader(_) => Self::Bool(Vec::new()),
            ColumnReader::Int32ColumnReader(_) => Self::Int32(Vec::new()),
            ColumnReader::Int64ColumnReader(_) => Self::Int64(Vec::new()),
            ColumnReader::Int96ColumnReader(_) => Self::Int96(Vec::new()),
            ColumnReader::FloatColumnReader(_) => Self::Float(Vec::new()),
            ColumnReader::DoubleColumnReader(_) => Self::Double(Vec::new()),
            ColumnReader::ByteArrayColumnReader(_) => Self::Bytes(Vec::new()),
            ColumnReader::FixedLenByteArrayColumnReader(_) => Self::Fixed(Vec::new()),
        }
    }
}

impl Open {
    /// Reads the next rows, which take the place of those that were given out.
    fn read(&mut self, most: usize) -> PageResult<usize> {
        self.levels.clear();
        (self.rows, self.given, self.given_values) = (0, 0, 0);
        let levels = &mut self.levels;
        macro_rules! read {
            ($($variant:ident $values:ident),*) => {
                match (&mut self.reader, &mut self.values) {
                    $((ColumnReader::$variant(reader), Values::$values(values)) => {
                        values.clear();
                        // A page without values ends a call, too.
                        for _ in 0..2 {
                            self.budget.renew();
                            let (rows, _, _) = reader.read_records(most, Some(levels), None, values)?;
                            self.rows = rows;
                            if rows > 0 {
                                break;
                            }
                        }
                    })*
                    _ => return Err(ParquetError::General("the values are of another type".into())),
                }
            };
        }
        read!(
            BoolColumnReader Bool, Int32ColumnReader Int32, Int64ColumnReader Int64, Int96ColumnReader Int96,
            FloatColumnReader Float, DoubleColumnReader Double, ByteArrayColumnReader Bytes,
            FixedLenByteArrayColumnReader Fixed
        );
        Ok(self.rows)
    }

    /// Appends the cell of the next row.
    fn put(&mut self, out: &mut Vec<u8>) -> Option<()> {
        let row = self.given;
        self.given += 1;
        if self.optional && *self.levels.get(row)? == 0 {
            out.push(0);
            return Some(());
        }
        out.push(1);
        let at = self.given_values;
        self.given_values += 1;
        match &self.values {
            Values::Bool(values) => out.push(u8::from(*values.get(at)?)),
            Values::Int32(values) => out.extend_from_slice(&values.get(at)?.to_le_bytes()),
            Values::Int64(values) => out.extend_from_slice(&values.get(at)?.to_le_bytes()),
            Values::Float(values) => out.extend_from_slice(&values.get(at)?.to_le_bytes()),
            Values::Double(values) => out.extend_from_slice(&values.get(at)?.to_le_bytes()),
            Values::Int96(values) => {
                values.get(at)?.data().iter().for_each(|part| out.extend_from_slice(&part.to_le_bytes()));
            }
            Values::Bytes(values) => put_bytes(values.get(at)?.data(), out)?,
            Values::Fixed(values) => put_bytes(values.get(at)?.data(), out)?,
        }
        Some(())
    }
}

fn put_bytes(value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let length = u32::try_from(value.len()).ok()?;
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(value);
    Some(())
}
