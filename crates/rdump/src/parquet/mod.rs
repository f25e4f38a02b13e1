//! Files of Parquet: types kept, a checksum on every page, memory for one row group.
//!
//! Written by hand, since the crate that rlightning reads them with puts no checksums on pages. Pages are of the first version, values
//! in the plain encoding, which every reader knows. [`ParquetFile`] turns rows into bytes; nothing is allocated per row or cell. Columns of
//! a row group stand one behind the other in a file, so a group is kept, compressed, until it is whole.

mod column;
mod thrift;
mod value;

use std::io::{self, Write};

use common::dumpfile::Compression;

pub use column::Spec;
use column::{Chunk, Column, Scratch};
use thrift::{Fields, kind};

/// How files are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Compression of pages.
    pub compression: Compression,
    /// Its level; `None` for the library's default.
    pub level: Option<i32>,
    /// Bytes of values that make a page full.
    pub page_bytes: usize,
    /// Bytes of values that make a row group full.
    pub group_bytes: usize,
    /// Dates and times are texts.
    pub text_times: bool,
}

/// The cells of a row, one after the other: each may be made in a buffer that the next one takes over.
pub trait Row {
    /// Shows them in order.
    ///
    /// # Errors
    /// The first of `take`.
    fn each(self, take: impl FnMut(Option<&[u8]>) -> Result<(), String>) -> Result<(), String>;
}

const MAGIC: &[u8] = b"PAR1";

/// The rows of one chunk on their way into files.
#[derive(Debug)]
pub struct ParquetFile {
    columns: Vec<Column>,
    options: Options,
    codec: Codec,
    scratch: Scratch,
    /// Bytes of the file that were handed out.
    at: u64,
    groups: Vec<Group>,
    /// Of the row group at hand: rows and bytes of values.
    rows: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Group {
    rows: u64,
    chunks: Vec<Chunk>,
}

impl ParquetFile {
    /// For rows with these columns.
    ///
    /// # Errors
    /// The compressor cannot be made.
    pub fn new(columns: &[Spec], options: &Options) -> io::Result<Self> {
        Ok(Self {
            columns: columns.iter().cloned().map(Column::new).collect(),
            codec: Codec::new(options.compression, options.level)?,
            options: options.clone(),
            scratch: Scratch::default(),
            at: 0,
            groups: Vec::new(),
            rows: 0,
            bytes: 0,
        })
    }

    /// Begins a file; the one before must be ended or given up.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.columns.iter_mut().for_each(Column::reset);
        self.groups.clear();
        (self.rows, self.bytes) = (0, 0);
        out.extend_from_slice(MAGIC);
        self.at = MAGIC.len() as u64;
    }

    /// Adds a row: its bytes, and whether the row group was full and is in `out` now.
    ///
    /// # Errors
    /// A value that does not fit its column, by name.
    pub fn row(&mut self, row: impl Row, out: &mut Vec<u8>) -> Result<(usize, bool), String> {
        let mut bytes = 0;
        let mut columns = self.columns.iter_mut();
        let (codec, scratch, page_bytes) = (&mut self.codec, &mut self.scratch, self.options.page_bytes);
        row.each(|cell| {
            let Some(column) = columns.next() else { return Ok(()) };
            let before = column.pending();
            column.push(cell)?;
            let pending = column.pending();
            bytes += pending - before;
            if pending >= page_bytes {
                column.end_page(codec, scratch).map_err(|error| error.to_string())?;
            }
            Ok(())
        })?;
        if columns.next().is_some() {
            return Err("no column of it is written, and a Parquet file has one at least".into());
        }
        // A row of NULLs is some bits.
        bytes += 1;
        self.rows += 1;
        self.bytes += bytes;
        let is_full = self.bytes >= self.options.group_bytes;
        if is_full {
            self.end_group(out).map_err(|error| error.to_string())?;
        }
        Ok((bytes, is_full))
    }

    fn end_group(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            column.end_page(&mut self.codec, &mut self.scratch)?;
            let chunk = column.take(self.at, out);
            self.at += chunk.sizes().1;
            chunks.push(chunk);
        }
        self.groups.push(Group { rows: self.rows, chunks });
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    /// Ends the file: the last row group, and what the file says of itself.
    ///
    /// # Errors
    /// The compressor's.
    pub fn end(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.end_group(out)?;
        let begin = out.len();
        let mut fields = Fields::new(out);
        fields.i32(1, 2);
        let schema = fields.list(2, kind::STRUCT, self.columns.len() + 1);
        let mut root = Fields::new(schema);
        root.text(4, "schema");
        root.i32(5, self.columns.len() as i32);
        root.end();
        self.columns.iter().for_each(|column| column.spec().schema(schema));
        fields.i64(3, self.groups.iter().map(|group| group.rows as i64).sum());
        let groups = fields.list(4, kind::STRUCT, self.groups.len());
        for (number, group) in self.groups.iter().enumerate() {
            self.group(number, group, groups);
        }
        fields.text(6, concat!("rdump version ", env!("CARGO_PKG_VERSION")));
        // The order of values is that of their types.
        let orders = fields.list(7, kind::STRUCT, self.columns.len());
        for _ in &self.columns {
            let mut order = Fields::new(orders);
            order.nothing(1);
            order.end();
        }
        fields.end();
        let length = u32::try_from(out.len() - begin).map_err(io::Error::other)?;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(MAGIC);
        Ok(())
    }

    fn group(&self, number: usize, group: &Group, out: &mut Vec<u8>) {
        let mut fields = Fields::new(out);
        let list = fields.list(1, kind::STRUCT, group.chunks.len());
        for (column, chunk) in self.columns.iter().zip(&group.chunks) {
            column.chunk(chunk, self.options.compression, list);
        }
        let sum =
            |size: fn((u64, u64)) -> u64| group.chunks.iter().map(|chunk| size(chunk.sizes()) as i64).sum();
        fields.i64(2, sum(|(unpacked, _)| unpacked));
        fields.i64(3, group.rows as i64);
        fields.i64(5, group.chunks.first().map_or(0, Chunk::begin) as i64);
        fields.i64(6, sum(|(_, packed)| packed));
        // Readers of encrypted files need it, and only those.
        if let Ok(number) = i16::try_from(number) {
            fields.i16(7, number);
        }
        fields.end();
    }
}

/// Compresses pages, one after the other.
enum Codec {
    None,
    Snappy(Box<snap::raw::Encoder>),
    Gzip(flate2::Compression),
    Zstd(Box<zstd::bulk::Compressor<'static>>),
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Codec")
    }
}

impl Codec {
    fn new(compression: Compression, level: Option<i32>) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::None,
            Compression::Snappy => Self::Snappy(Box::new(snap::raw::Encoder::new())),
            Compression::Gzip => {
                let level = level.and_then(|level| u32::try_from(level).ok());
                Self::Gzip(level.map_or_else(flate2::Compression::default, flate2::Compression::new))
            }
            Compression::Zstd => Self::Zstd(Box::new(zstd::bulk::Compressor::new(level.unwrap_or(3))?)),
        })
    }

    /// The compressed page, which stands in `packed` or is the page itself.
    fn pack<'p>(&mut self, page: &'p [u8], packed: &'p mut Vec<u8>) -> io::Result<&'p [u8]> {
        packed.clear();
        match self {
            Self::None => return Ok(page),
            Self::Snappy(encoder) => {
                packed.resize(snap::raw::max_compress_len(page.len()), 0);
                let length = encoder.compress(page, packed)?;
                packed.truncate(length);
            }
            Self::Gzip(level) => {
                let mut encoder = flate2::write::GzEncoder::new(&mut *packed, *level);
                encoder.write_all(page)?;
                encoder.finish()?;
            }
            Self::Zstd(compressor) => {
                packed.reserve(zstd::zstd_safe::compress_bound(page.len()));
                compressor.compress_to_buffer(page, packed)?;
            }
        }
        Ok(packed)
    }
}
