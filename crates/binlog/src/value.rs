//! Values of columns.

use crate::error::Fault;
use crate::json::Json;
use crate::number::{push_double, push_float, push_i64, push_u64};
use crate::reader::le;
use crate::rows::bits;
use crate::table_map::ColumnKind;
use crate::temporal::{Date, DateTime, Time, Timestamp};

/// A value of a column. Text and binary lie in the event, nothing is copied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// The image does not hold the column (`binlog_row_image` MINIMAL or NOBLOB).
    Absent,
    /// NULL.
    Null,
    /// A signed integer, or one whose sign is not known.
    Int(i64),
    /// An unsigned integer.
    UInt(u64),
    /// FLOAT.
    Float(f32),
    /// DOUBLE.
    Double(f64),
    /// DECIMAL.
    Decimal(Decimal<'a>),
    /// VARCHAR, VARBINARY, TEXT or BLOB: what its bytes mean is a matter of the column's character set.
    Bytes(&'a [u8]),
    /// CHAR or BINARY, without the spaces or zero bytes at its end: a BINARY column has `width` bytes.
    Char {
        /// The bytes without padding.
        bytes: &'a [u8],
        /// Greatest length of the column in bytes.
        width: u16,
    },
    /// Number of a member of an ENUM, from 1 on; 0 is the empty error value.
    Enum(u16),
    /// Members of a SET, lowest bit first.
    Set(u64),
    /// BIT.
    Bit {
        /// The bits as a number.
        value: u64,
        /// Width of the column.
        bits: u8,
    },
    /// YEAR: 0 (`0000`) or 1901 to 2155.
    Year(u16),
    /// DATE.
    Date(Date),
    /// TIME.
    Time(Time),
    /// DATETIME.
    DateTime(DateTime),
    /// TIMESTAMP.
    Timestamp(Timestamp),
    /// JSON of MySQL.
    Json(Json<'a>),
    /// A geometry in the server's own form: SRID in four bytes, then WKB.
    Geometry(&'a [u8]),
    /// A vector of MySQL 9: floats of four bytes, low byte first.
    Vector(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of text or binary, padding not included.
    pub fn as_bytes(&self) -> Option<&'a [u8]> {
        match self {
            Value::Bytes(bytes)
            | Value::Char { bytes, .. }
            | Value::Geometry(bytes)
            | Value::Vector(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Appends the value as the server would show it: numbers in digits, times in the zone of `utc_offset`, JSON as text,
    /// text and binary as they are (in the column's character set, BINARY without padding). ENUM and SET as numbers.
    /// FLOAT has all its digits, where SELECT shows six. NULL and absent append nothing.
    ///
    /// # Errors
    /// JSON that cannot be read.
    pub fn write_text(&self, out: &mut Vec<u8>, utc_offset: i32) -> Result<(), Fault> {
        match self {
            Value::Absent | Value::Null => {}
            Value::Int(value) => push_i64(out, *value),
            Value::UInt(value) | Value::Set(value) | Value::Bit { value, .. } => push_u64(out, *value),
            Value::Float(value) => push_float(out, *value),
            Value::Double(value) => push_double(out, *value),
            Value::Decimal(value) => value.write(out),
            Value::Bytes(bytes) | Value::Char { bytes, .. } | Value::Geometry(bytes) => {
                out.extend_from_slice(bytes);
            }
            Value::Vector(bytes) => write_vector(out, bytes),
            Value::Enum(value) => push_u64(out, u64::from(*value)),
            Value::Year(0) => out.extend_from_slice(b"0000"),
            Value::Year(value) => push_u64(out, u64::from(*value)),
            Value::Date(value) => value.write(out),
            Value::Time(value) => value.write(out),
            Value::DateTime(value) => value.write(out),
            Value::Timestamp(value) => value.at_offset(utc_offset).write(out),
            Value::Json(value) => value.write_text(out)?,
        }
        Ok(())
    }
}

/// `[1,2.5]`: each number with the fewest digits that read back.
pub(crate) fn write_vector(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'[');
    for (index, chunk) in bytes.chunks_exact(4).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_float(out, f32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]));
    }
    out.push(b']');
}

/// A DECIMAL as it is stored: whole groups of nine digits in four bytes, the rest in fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal<'a> {
    bytes: &'a [u8],
    precision: u8,
    scale: u8,
}

/// Bytes of a group of 0 to 9 digits.
const GROUP_BYTES: [u8; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POWERS: [u32; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

pub(crate) fn decimal_len(precision: u8, scale: u8) -> usize {
    let part = |digits: u8| usize::from(digits / 9) * 4 + usize::from(GROUP_BYTES[usize::from(digits % 9)]);
    part(precision.saturating_sub(scale)) + part(scale)
}

impl<'a> Decimal<'a> {
    /// Checks that every group holds no more digits than it has room for.
    pub(crate) fn new(bytes: &'a [u8], precision: u8, scale: u8) -> Result<Decimal<'a>, Fault> {
        if precision == 0
            || precision > 65
            || scale > precision
            || bytes.len() != decimal_len(precision, scale)
        {
            return Err(Fault::invalid("decimal", format_args!("{} bytes", bytes.len())));
        }
        let decimal = Decimal { bytes, precision, scale };
        for (value, digits) in decimal.groups() {
            if value >= POWERS[digits] {
                return Err(Fault::invalid("decimal", format_args!("{value} in {digits} digits")));
            }
        }
        Ok(decimal)
    }

    /// Digits after the point.
    pub fn scale(&self) -> u8 {
        self.scale
    }

    /// All digits that the column has room for.
    pub fn precision(&self) -> u8 {
        self.precision
    }

    fn is_negative(&self) -> bool {
        self.bytes.first().is_some_and(|byte| byte & 0x80 == 0)
    }

    /// Value and number of digits of each group, before the point and then after it.
    fn groups(&self) -> impl Iterator<Item = (u32, usize)> + use<'a> {
        let whole = self.precision - self.scale;
        let sizes = std::iter::once(whole % 9)
            .chain(std::iter::repeat_n(9, usize::from(whole / 9)))
            .chain(std::iter::repeat_n(9, usize::from(self.scale / 9)))
            .chain(std::iter::once(self.scale % 9));
        let flip = if self.is_negative() { 0xff } else { 0 };
        let mut rest = self.bytes;
        let mut first = 0x80;
        sizes.filter(|digits| *digits > 0).map(move |digits| {
            let (group, tail) = rest.split_at(usize::from(GROUP_BYTES[usize::from(digits)]).min(rest.len()));
            rest = tail;
            let value = group.iter().fold(0u32, |value, byte| {
                // The highest bit of the first byte is the sign, turned over.
                let byte = byte ^ flip ^ std::mem::take(&mut first);
                value << 8 | u32::from(byte)
            });
            (value, usize::from(digits))
        })
    }

    /// Appends it as the server shows it: `-12.50`, `0.05`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut digits = [0u8; 65];
        let mut count = 0;
        for (value, size) in self.groups() {
            let mut value = value;
            for place in digits[count..count + size].iter_mut().rev() {
                *place = b'0' + (value % 10) as u8;
                value /= 10;
            }
            count += size;
        }
        let (whole, part) = digits[..count].split_at(usize::from(self.precision - self.scale));
        let zeros = whole.iter().take_while(|digit| **digit == b'0').count();
        if self.is_negative() && digits[..count].iter().any(|digit| *digit != b'0') {
            out.push(b'-');
        }
        match &whole[zeros..] {
            [] => out.push(b'0'),
            whole => out.extend_from_slice(whole),
        }
        if !part.is_empty() {
            out.push(b'.');
            out.extend_from_slice(part);
        }
    }
}

/// A value from its bytes in the row; `is_text` for a JSON document that is text already.
#[inline]
pub(crate) fn decode(
    kind: ColumnKind,
    bytes: &[u8],
    unsigned: bool,
    is_text: bool,
) -> Result<Value<'_>, Fault> {
    Ok(match kind {
        ColumnKind::Tiny
        | ColumnKind::Short
        | ColumnKind::Int24
        | ColumnKind::Long
        | ColumnKind::LongLong => integer(bytes, unsigned),
        ColumnKind::Float => Value::Float(f32::from_bits(le(bytes) as u32)),
        ColumnKind::Double => Value::Double(f64::from_bits(le(bytes))),
        ColumnKind::Decimal { precision, scale } => Value::Decimal(Decimal::new(bytes, precision, scale)?),
        ColumnKind::Year => Value::Year(match le(bytes) as u16 {
            0 => 0,
            year => 1900 + year,
        }),
        ColumnKind::Date => Value::Date(Date::decode(bytes)?),
        ColumnKind::OldTime => Value::Time(Time::decode_old(bytes)?),
        ColumnKind::OldDateTime => Value::DateTime(DateTime::decode_old(bytes)?),
        ColumnKind::OldTimestamp => Value::Timestamp(Timestamp::decode_old(bytes)),
        ColumnKind::MariaTime { fsp } => Value::Time(Time::decode_maria(bytes, fsp)?),
        ColumnKind::MariaDateTime { fsp } => Value::DateTime(DateTime::decode_maria(bytes, fsp)?),
        ColumnKind::MariaTimestamp { fsp } => Value::Timestamp(Timestamp::decode_maria(bytes, fsp)?),
        ColumnKind::Time { fsp } => Value::Time(Time::decode(bytes, fsp)?),
        ColumnKind::DateTime { fsp } => Value::DateTime(DateTime::decode(bytes, fsp)?),
        ColumnKind::Timestamp { fsp } => Value::Timestamp(Timestamp::decode(bytes, fsp)?),
        ColumnKind::Bit { bits: width } => {
            let value = bits(bytes);
            if width < 64 && value >> width != 0 {
                return Err(Fault::invalid("bits", format_args!("{value:#x} in BIT({width})")));
            }
            Value::Bit { value, bits: width }
        }
        ColumnKind::Enum { .. } => Value::Enum(le(bytes) as u16),
        ColumnKind::Set { .. } => Value::Set(le(bytes)),
        ColumnKind::Char { width } => Value::Char { bytes, width },
        ColumnKind::VarChar { .. }
        | ColumnKind::Blob { .. }
        | ColumnKind::CompressedVarChar { .. }
        | ColumnKind::CompressedBlob { .. } => Value::Bytes(bytes),
        ColumnKind::Json { .. } if is_text => Value::Json(Json::text(bytes)),
        ColumnKind::Json { .. } => Value::Json(Json::binary(bytes)),
        ColumnKind::Geometry { .. } => Value::Geometry(bytes),
        ColumnKind::Vector { .. } => Value::Vector(bytes),
        ColumnKind::Null => Value::Null,
    })
}

#[inline]
fn integer(bytes: &[u8], unsigned: bool) -> Value<'static> {
    let raw = match *bytes {
        [a, b, c, d, e, f, g, h] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
        [a, b, c, d] => u64::from(u32::from_le_bytes([a, b, c, d])),
        _ => le(bytes),
    };
    if unsigned {
        return Value::UInt(raw);
    }
    let unused = 64 - 8 * bytes.len().clamp(1, 8) as u32;
    Value::Int((raw << unused) as i64 >> unused)
}

/// A decimal inside a JSON document: precision, scale, and the bytes.
pub(crate) fn json_decimal(bytes: &[u8]) -> Result<Decimal<'_>, Fault> {
    match bytes {
        [precision, scale, rest @ ..] => Decimal::new(rest, *precision, *scale),
        _ => Err(Fault::Truncated { what: "decimal", needed: 2, left: bytes.len() as u64 }),
    }
}
