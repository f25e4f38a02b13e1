//! One column on its way into pages.

use common::dumpfile::Compression;
use mysql::wire::{ColumnDef, ColumnType, flag};

use super::thrift::{Fields, kind, text, varint, zigzag};
use super::{Codec, value};
use crate::render::CellKind;

/// How a column's values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// In so many bits; stored in 32 or 64.
    Int(u8),
    Unsigned(u8),
    /// A BIT.
    Bits,
    /// Digits, and those behind the point.
    Decimal(u32, u32),
    Float,
    Double,
    Date,
    Time,
    /// An instant, or what a clock on the wall shows.
    Timestamp {
        instant: bool,
    },
    Text,
    Json,
    Bytes,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    name: String,
    stored: Stored,
    optional: bool,
}

impl Spec {
    /// For a column of a result under its own name. `float`: it is a FLOAT that comes as DOUBLE. `optional`: it may be NULL whatever the
    /// server says.
    pub fn new(name: &str, column: &ColumnDef, float: bool, optional: bool, text_times: bool) -> Self {
        let stored = match column.type_ {
            _ if float => Stored::Float,
            ColumnType::DATE | ColumnType::TIME | ColumnType::DATETIME | ColumnType::TIMESTAMP
                if text_times =>
            {
                Stored::Text
            }
            other => stored(column, other),
        };
        let optional = optional || column.flags & flag::NOT_NULL == 0;
        Self { name: name.to_owned(), stored, optional }
    }

    /// Number of the physical type.
    fn physical(&self) -> i32 {
        const INT32: i32 = 1;
        const INT64: i32 = 2;
        match self.stored {
            Stored::Int(64)
            | Stored::Unsigned(64)
            | Stored::Bits
            | Stored::Time
            | Stored::Timestamp { .. } => INT64,
            Stored::Int(_) | Stored::Unsigned(_) | Stored::Date => INT32,
            Stored::Decimal(..=9, _) => INT32,
            Stored::Decimal(..=18, _) => INT64,
            Stored::Decimal(..) => 7,
            Stored::Float => 4,
            Stored::Double => 5,
            Stored::Text | Stored::Json | Stored::Bytes => 6,
        }
    }

    /// Its element of the schema.
    pub(super) fn schema(&self, out: &mut Vec<u8>) {
        let mut fields = Fields::new(out);
        fields.i32(1, self.physical());
        if let (7, Stored::Decimal(precision, _)) = (self.physical(), self.stored) {
            fields.i32(2, value::decimal_bytes(precision) as i32);
        }
        fields.i32(3, self.optional.into());
        fields.text(4, &self.name);
        // What readers of before the year 2018 look at.
        let converted = match self.stored {
            Stored::Int(bits) => Some(15 + bits.ilog2() as i32 - 3),
            Stored::Unsigned(bits) => Some(11 + bits.ilog2() as i32 - 3),
            Stored::Bits => Some(14),
            Stored::Decimal(..) => Some(5),
            Stored::Date => Some(6),
            Stored::Timestamp { instant: true } => Some(10),
            Stored::Text => Some(0),
            Stored::Json => Some(19),
            Stored::Float | Stored::Double | Stored::Time | Stored::Timestamp { .. } | Stored::Bytes => None,
        };
        if let Some(converted) = converted {
            fields.i32(6, converted);
        }
        if let Stored::Decimal(precision, scale) = self.stored {
            fields.i32(7, scale as i32);
            fields.i32(8, precision as i32);
        }
        self.logical(&mut fields);
        fields.end();
    }

    fn logical(&self, fields: &mut Fields<'_>) {
        if matches!(self.stored, Stored::Float | Stored::Double | Stored::Bytes) {
            return;
        }
        let mut union = fields.fields(10);
        let time = |union: &mut Fields<'_>, number, instant| {
            let mut time = union.fields(number);
            time.bool(1, instant);
            let mut unit = time.fields(2);
            unit.nothing(2);
            unit.end();
            time.end();
        };
        match self.stored {
            Stored::Text => union.nothing(1),
            Stored::Json => union.nothing(12),
            Stored::Date => union.nothing(6),
            Stored::Time => time(&mut union, 7, false),
            Stored::Timestamp { instant } => time(&mut union, 8, instant),
            Stored::Decimal(precision, scale) => {
                let mut decimal = union.fields(5);
                decimal.i32(1, scale as i32);
                decimal.i32(2, precision as i32);
                decimal.end();
            }
            Stored::Int(bits) | Stored::Unsigned(bits) => {
                let mut int = union.fields(10);
                int.byte(1, bits);
                int.bool(2, matches!(self.stored, Stored::Int(_)));
                int.end();
            }
            Stored::Bits => {
                let mut int = union.fields(10);
                int.byte(1, 64);
                int.bool(2, false);
                int.end();
            }
            Stored::Float | Stored::Double | Stored::Bytes => {}
        }
        union.end();
    }
}

fn stored(column: &ColumnDef, type_: ColumnType) -> Stored {
    let is_unsigned = column.flags & flag::UNSIGNED != 0;
    let int = |bits| if is_unsigned { Stored::Unsigned(bits) } else { Stored::Int(bits) };
    match type_ {
        ColumnType::TINY => int(8),
        ColumnType::SHORT => int(16),
        ColumnType::LONG | ColumnType::INT24 => int(32),
        ColumnType::LONGLONG => int(64),
        ColumnType::YEAR => Stored::Unsigned(16),
        ColumnType::BIT => Stored::Bits,
        ColumnType::FLOAT => Stored::Float,
        ColumnType::DOUBLE => Stored::Double,
        ColumnType::DECIMAL | ColumnType::NEWDECIMAL => {
            // The length is that of the text: with a sign, and a point.
            let scale = u32::from(column.decimals).min(38);
            let more = u32::from(scale > 0) + u32::from(!is_unsigned);
            Stored::Decimal(column.length.saturating_sub(more).clamp(scale.max(1), 65), scale)
        }
        ColumnType::DATE => Stored::Date,
        ColumnType::TIME => Stored::Time,
        ColumnType::DATETIME => Stored::Timestamp { instant: false },
        ColumnType::TIMESTAMP => Stored::Timestamp { instant: true },
        ColumnType::JSON => Stored::Json,
        _ if CellKind::of(column) == CellKind::Binary => Stored::Bytes,
        _ => Stored::Text,
    }
}

/// The pages of a column in the row group at hand.
#[derive(Debug)]
pub(super) struct Column {
    spec: Spec,
    /// Values of the page at hand.
    values: Vec<u8>,
    /// A bit for each row of the page: whether it has a value.
    present: Vec<u8>,
    rows: u32,
    nulls: u32,
    /// Pages that are done.
    pages: Vec<u8>,
    /// Rows in them, and their bytes before they were compressed, with their heads.
    rows_done: u64,
    unpacked: u64,
}

/// Where a column's pages of a row group stand.
#[derive(Debug)]
pub(super) struct Chunk {
    begin: u64,
    packed: u64,
    unpacked: u64,
    rows: u64,
}

impl Chunk {
    /// Bytes before and after compression.
    pub(super) fn sizes(&self) -> (u64, u64) {
        (self.unpacked, self.packed)
    }

    pub(super) fn begin(&self) -> u64 {
        self.begin
    }
}

impl Column {
    pub(super) fn new(spec: Spec) -> Self {
        Self {
            spec,
            values: Vec::new(),
            present: Vec::new(),
            rows: 0,
            nulls: 0,
            pages: Vec::new(),
            rows_done: 0,
            unpacked: 0,
        }
    }

    /// Bytes of the page at hand.
    pub(super) fn pending(&self) -> usize {
        self.values.len()
    }

    /// Adds a value.
    ///
    /// # Errors
    /// What is wrong with it.
    #[inline]
    pub(super) fn push(&mut self, cell: Option<&[u8]>) -> Result<(), String> {
        if self.spec.optional {
            if self.rows.is_multiple_of(8) {
                self.present.push(0);
            }
            if let Some(byte) = self.present.last_mut() {
                *byte |= u8::from(cell.is_some()) << (self.rows % 8);
            }
        }
        self.rows += 1;
        let Some(text) = cell else {
            self.nulls += 1;
            return if self.spec.optional { Ok(()) } else { Err(self.no_value()) };
        };
        match put(self.spec.stored, text, &mut self.values) {
            Some(()) => Ok(()),
            None => Err(self.wrong(text)),
        }
    }

    #[cold]
    fn no_value(&self) -> String {
        format!("column `{}`: a NULL, though it is NOT NULL", self.spec.name)
    }

    #[cold]
    fn wrong(&self, text: &[u8]) -> String {
        let name = &self.spec.name;
        let shown = String::from_utf8_lossy(&text[..text.len().min(40)]).into_owned();
        match self.spec.stored {
            Stored::Date | Stored::Time | Stored::Timestamp { .. } => format!(
                "column `{name}`: Parquet has no {} `{shown}`: --parquet-times=text writes all dates and times as they are, as texts",
                if self.spec.stored == Stored::Time { "time of a day" } else { "day" }
            ),
            _ => format!("column `{name}`: `{shown}` does not fit its type"),
        }
    }

    /// Ends the page at hand.
    pub(super) fn end_page(&mut self, codec: &mut Codec, scratch: &mut Scratch) -> std::io::Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let Scratch { page, packed } = scratch;
        page.clear();
        if self.spec.optional {
            page.extend_from_slice(&[0; 4]);
            if self.nulls == 0 {
                varint(page, u64::from(self.rows) << 1);
                page.push(1);
            } else {
                varint(page, (self.present.len() as u64) << 1 | 1);
                page.extend_from_slice(&self.present);
            }
            let length = u32::try_from(page.len() - 4).map_err(std::io::Error::other)?;
            page[..4].copy_from_slice(&length.to_le_bytes());
        }
        page.extend_from_slice(&self.values);
        let body = codec.pack(page, packed)?;
        let before = self.pages.len();
        let size = |bytes: &[u8]| i32::try_from(bytes.len()).map_err(std::io::Error::other);
        let mut head = Fields::new(&mut self.pages);
        head.i32(1, 0);
        head.i32(2, size(page)?);
        head.i32(3, size(body)?);
        head.i32(4, crc32fast::hash(body) as i32);
        let mut data = head.fields(5);
        data.i32(1, self.rows as i32);
        for (number, encoding) in [(2, PLAIN), (3, RLE), (4, RLE)] {
            data.i32(number, encoding);
        }
        data.end();
        head.end();
        self.unpacked += (self.pages.len() - before + page.len()) as u64;
        self.pages.extend_from_slice(body);
        self.rows_done += u64::from(self.rows);
        (self.rows, self.nulls) = (0, 0);
        self.present.clear();
        self.values.clear();
        // One of 1 MB must not keep its memory for ever.
        self.values.shrink_to(2 << 20);
        Ok(())
    }

    /// Moves the pages of the row group to the end of `out`, which ends at byte `at` of the file.
    pub(super) fn take(&mut self, at: u64, out: &mut Vec<u8>) -> Chunk {
        let chunk = Chunk {
            begin: at,
            packed: self.pages.len() as u64,
            unpacked: self.unpacked,
            rows: self.rows_done,
        };
        out.extend_from_slice(&self.pages);
        self.pages.clear();
        (self.rows_done, self.unpacked) = (0, 0);
        chunk
    }

    /// Forgets everything.
    pub(super) fn reset(&mut self) {
        self.pages.clear();
        self.values.clear();
        self.present.clear();
        (self.rows, self.nulls, self.rows_done, self.unpacked) = (0, 0, 0, 0);
    }

    pub(super) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The footer's element of a chunk.
    pub(super) fn chunk(&self, chunk: &Chunk, compression: Compression, out: &mut Vec<u8>) {
        let mut fields = Fields::new(out);
        fields.i64(2, chunk.begin as i64);
        let mut meta = fields.fields(3);
        meta.i32(1, self.spec.physical());
        let encodings = meta.list(2, kind::I32, 2);
        zigzag(encodings, PLAIN.into());
        zigzag(encodings, RLE.into());
        text(meta.list(3, kind::BINARY, 1), &self.spec.name);
        meta.i32(
            4,
            match compression {
                Compression::None => 0,
                Compression::Snappy => 1,
                Compression::Gzip => 2,
                Compression::Zstd => 6,
            },
        );
        meta.i64(5, chunk.rows as i64);
        meta.i64(6, chunk.unpacked as i64);
        meta.i64(7, chunk.packed as i64);
        meta.i64(9, chunk.begin as i64);
        meta.end();
        fields.end();
    }
}

const PLAIN: i32 = 0;
const RLE: i32 = 3;

/// Buffers of all columns.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    page: Vec<u8>,
    packed: Vec<u8>,
}

/// Appends a value; `None`: it is none of its type.
#[inline]
fn put(stored: Stored, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
    match stored {
        Stored::Int(64) => out.extend_from_slice(&value::int(text)?.to_le_bytes()),
        Stored::Int(bits) => {
            let value = value::int(text)?;
            let most = 1i64 << (bits - 1);
            (-most..most).contains(&value).then_some(())?;
            out.extend_from_slice(&(value as i32).to_le_bytes());
        }
        Stored::Unsigned(64) => out.extend_from_slice(&value::unsigned(text)?.to_le_bytes()),
        Stored::Unsigned(bits) => {
            let value = value::unsigned(text)?;
            (value < 1 << bits).then_some(())?;
            out.extend_from_slice(&(value as u32).to_le_bytes());
        }
        Stored::Bits => out.extend_from_slice(&value::bits(text)?.to_le_bytes()),
        Stored::Decimal(precision, scale) => {
            let number = value::decimal(text, precision, scale)?;
            match precision {
                ..=18 => {
                    let low = i64::from_be_bytes(*number.last_chunk()?);
                    if precision <= 9 {
                        out.extend_from_slice(&(low as i32).to_le_bytes());
                    } else {
                        out.extend_from_slice(&low.to_le_bytes());
                    }
                }
                _ => out.extend_from_slice(&number[number.len() - value::decimal_bytes(precision)..]),
            }
        }
        Stored::Float => out.extend_from_slice(&float::<f32>(text)?.to_le_bytes()),
        Stored::Double => out.extend_from_slice(&float::<f64>(text)?.to_le_bytes()),
        Stored::Date => out.extend_from_slice(&value::date(text)?.to_le_bytes()),
        Stored::Time => out.extend_from_slice(&value::time(text)?.to_le_bytes()),
        Stored::Timestamp { .. } => out.extend_from_slice(&value::timestamp(text)?.to_le_bytes()),
        Stored::Text | Stored::Json | Stored::Bytes => {
            out.extend_from_slice(&u32::try_from(text.len()).ok()?.to_le_bytes());
            out.extend_from_slice(text);
        }
    }
    Some(())
}

fn float<F: std::str::FromStr>(text: &[u8]) -> Option<F> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
