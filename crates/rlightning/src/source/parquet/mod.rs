//! Parquet files (facts/lightning.md 2.10): flat columns of every physical type, read row by row in bounded memory.
//!
//! The crate `parquet` reads pages; everything around it is here. [`Footer`] says what a file holds, [`RowReader`] gives its rows in a
//! form of their own (see [`row`]), which [`crate::import::parquet`] turns into SQL for a target. Offsets are numbers of rows, counted
//! from 0, as the real tool has it. Invariants:
//! 1. What a footer says is checked against the file before anything is read by it.
//! 2. A row is given out only when all its columns have a value or NULL for it; a row group whose columns do not have the number of
//!    rows that the footer tells of is an error.
//! 3. The crate can panic on bad input: it is called through [`guard`], which makes an error of that.

mod columns;
mod guard;
mod input;
mod pages;
mod reader;
pub mod row;

use std::io;
use std::sync::Arc;

use ::parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use common::storage::RangeReader;
use sql::Span;
use sql::values::{Head, Verb};

pub use columns::{Column, Kind, Unit};
pub use reader::RowReader;

/// Why a file cannot be read as Parquet.
#[derive(Debug, thiserror::Error)]
pub enum ParquetFault {
    /// Its beginning or end is not that of Parquet, or what the footer says cannot be.
    #[error("it is no Parquet file, or a damaged or cut one: {0}; write or copy it again")]
    Footer(String),
    /// A column that has no place in a table.
    #[error("column `{name}` {what}; write the file without it, or as a flat column of a simple type")]
    Column {
        /// Its name.
        name: String,
        /// What it is.
        what: String,
    },
    /// Damage inside.
    #[error(
        "row group {group} (rows {rows} on, bytes {begin} to {end} of the file), column `{column}`: {cause}; write or copy the file again"
    )]
    Pages {
        /// Number of the row group, from 0.
        group: usize,
        /// Its first row.
        rows: u64,
        /// Where the column's pages begin.
        begin: u64,
        /// One past them.
        end: u64,
        /// The column.
        column: String,
        /// What is wrong.
        cause: String,
    },
}

/// What a file says of itself at its end.
#[derive(Debug)]
pub struct Footer {
    metadata: ParquetMetaData,
    /// Its columns in order.
    pub columns: Arc<Vec<Column>>,
    /// The first row of each row group, and the number of all rows.
    starts: Vec<u64>,
    /// Bytes of the file.
    size: u64,
}

impl Footer {
    /// Reads and checks it. Blocks.
    ///
    /// # Errors
    /// The storage's; a file that is no Parquet; columns that are not flat.
    pub fn read(reader: &Arc<dyn RangeReader>) -> Result<Arc<Self>, ParquetFault> {
        let size = reader.size();
        let bad = ParquetFault::Footer;
        if size < 12 {
            return Err(bad(format!("it has {size} bytes only")));
        }
        let mut magic = [0; 4];
        reader.read_at_blocking(0, &mut magic).map_err(|cause| bad(cause.to_string()))?;
        if magic != *b"PAR1" {
            let what = if magic == *b"PARE" { "it is encrypted" } else { "byte 0 does not begin with PAR1" };
            return Err(bad(what.into()));
        }
        let source = input::Source::whole(Arc::clone(reader));
        let metadata = guard::guarded(|| ParquetMetaDataReader::new().parse_and_finish(&source))
            .map_err(|cause| bad(format!("its end, before byte {size}, is not read: {cause}")))?;
        let columns = columns::of(&metadata)?;
        let starts = starts(&metadata, columns.len(), size).map_err(bad)?;
        Ok(Arc::new(Self { metadata, columns: Arc::new(columns), starts, size }))
    }

    /// Its rows.
    pub fn rows(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// About how many bytes of the file stand for the rows before this one.
    pub fn bytes_before(&self, row: u64) -> u64 {
        let rows = self.rows();
        if row >= rows {
            return self.size;
        }
        u64::try_from(u128::from(self.size) * u128::from(row) / u128::from(rows)).unwrap_or(self.size)
    }

    /// The head of all its rows: the names of its columns.
    pub fn head(&self) -> Head {
        Head {
            verb: Verb::Insert,
            span: Span::new(0, 0),
            schema: None,
            table: String::new(),
            table_span: Span::new(0, 0),
            columns: Some(self.columns.iter().map(|column| column.name.to_lowercase()).collect()),
            columns_span: None,
        }
    }

    /// Rows at which the file can be cut into parts of about so many bytes: ends of row groups, and places inside of large ones. Each is
    /// above the one before and below the number of rows.
    pub fn cuts(&self, piece_bytes: u64) -> Vec<u64> {
        let mut cuts = Vec::new();
        let (mut last, mut bytes) = (0, 0);
        for (number, group) in self.metadata.row_groups().iter().enumerate() {
            let size = u64::try_from(group.compressed_size()).unwrap_or(0);
            let (first, rows) = (self.starts[number], self.starts[number + 1] - self.starts[number]);
            let parts = (size / piece_bytes.max(1)).clamp(1, rows.max(1));
            for part in 1..=parts {
                bytes += size / parts;
                let at = first + rows * part / parts;
                if bytes >= piece_bytes && at > last && at < self.rows() {
                    cuts.push(at);
                    (last, bytes) = (at, 0);
                }
            }
        }
        cuts
    }
}

/// The first row of each row group, and the number of all; and whether everything that it names lies in the file.
fn starts(metadata: &ParquetMetaData, columns: usize, size: u64) -> Result<Vec<u64>, String> {
    let mut starts = vec![0u64];
    let mut total = 0u64;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let what = |what: &str| format!("row group {number} {what}");
        let rows = u64::try_from(group.num_rows()).map_err(|_| what("has a negative number of rows"))?;
        if group.num_columns() != columns {
            return Err(what("does not have the columns of the schema"));
        }
        for chunk in group.columns() {
            let begin = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let begin = u64::try_from(begin).ok();
            let length = u64::try_from(chunk.compressed_size()).ok();
            let end = begin.zip(length).and_then(|(begin, length)| begin.checked_add(length));
            let name = chunk.column_path().string();
            if end.is_none_or(|end| end > size) {
                return Err(what(&format!(
                    "has pages of column `{name}` outside of the file of {size} bytes"
                )));
            }
            if chunk.file_path().is_some() {
                return Err(what(&format!("has its column `{name}` in another file")));
            }
            if u64::try_from(chunk.num_values()).ok() != Some(rows) {
                return Err(what(&format!("has another number of values of column `{name}` than rows")));
            }
        }
        total = total.checked_add(rows).ok_or_else(|| what("has too many rows"))?;
        starts.push(total);
    }
    if u64::try_from(metadata.file_metadata().num_rows()).ok() != Some(total) {
        return Err(format!(
            "it tells of {} rows, its row groups of {total}",
            metadata.file_metadata().num_rows()
        ));
    }
    Ok(starts)
}

/// Checksum of the rows `begin..end` (`None`: to the end), in the way of [`row::Sum`]. Blocks.
///
/// # Errors
/// They cannot be read.
pub fn checksum(reader: &Arc<dyn RangeReader>, begin: u64, end: Option<u64>) -> io::Result<u32> {
    let footer = Footer::read(reader).map_err(io::Error::other)?;
    let mut rows = RowReader::new(Arc::clone(reader), footer, begin, end);
    let mut sum = row::Sum::default();
    while let Some(run) = rows.next(crate::source::rows::WINDOW).map_err(io::Error::other)? {
        sum.add(run.sum);
    }
    Ok(sum.value())
}
