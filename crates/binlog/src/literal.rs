//! Values as SQL literals.
//!
//! A literal gives exactly the source's value in a column of the same type, in a session with character set utf8mb4,
//! `time_zone='+00:00'` (or [`ColumnHint::utc_offset`] to match another fixed zone), and an sql_mode without
//! NO_BACKSLASH_ESCAPES and, for values that were legal at the source, without NO_ZERO_DATE, NO_ZERO_IN_DATE:
//! - numbers in digits; FLOAT and DOUBLE with an exponent, so that they are read as doubles (a FLOAT is written as the
//!   double of the same value, which also compares as equal to the column); BIT, ENUM, SET and YEAR as numbers;
//! - text as `'…'` in UTF-8; where the server's own conversion to UTF-8 and back would not give the same bytes, as
//!   `_charset 0x…`, which a column of the same character set takes unchanged (TiDB knows few of these character sets and
//!   refuses the others; it never takes such text wrongly);
//! - binary, geometry and vectors as `0x…` up to 1 KiB, above as `_binary'…'`; BINARY with its zero bytes up to the width of
//!   the column, as comparisons need them;
//! - JSON as text. Decimals in it become doubles, times become strings (see [`Json`](crate::Json)).

use crate::charset::Charset;
use crate::error::Fault;
use crate::number::{push_exponent, push_hex, push_i64, push_u64};
use crate::table_map::ColumnHint;
use crate::value::{Value, write_vector};

/// Above this a `_binary'…'` is written, which is half as long as `0x…`.
const HEX_LIMIT: usize = 1024;

impl Value<'_> {
    /// Appends the value as an SQL literal.
    ///
    /// # Errors
    /// [`Fault::NoCharset`] for text other than ASCII, and for every CHAR shorter than its column, if `hint` does not have
    /// the character set; an absent value; JSON that cannot be read; a number that is not finite. What was appended until
    /// then is taken off.
    pub fn write_literal(&self, out: &mut Vec<u8>, hint: &ColumnHint) -> Result<(), Fault> {
        let from = out.len();
        let result = self.write_unchecked(out, hint);
        if result.is_err() {
            out.truncate(from);
        }
        result
    }

    fn write_unchecked(&self, out: &mut Vec<u8>, hint: &ColumnHint) -> Result<(), Fault> {
        match self {
            Value::Absent => {
                return Err(Fault::Unsupported("a literal of a column that the row image does not hold"));
            }
            Value::Null => out.extend_from_slice(b"NULL"),
            Value::Int(value) => push_i64(out, *value),
            Value::UInt(value) | Value::Bit { value, .. } => push_u64(out, *value),
            // The server takes the number of a SET as signed; it differs only with 64 members.
            Value::Set(value) => push_i64(out, *value as i64),
            Value::Enum(value) | Value::Year(value) => push_u64(out, u64::from(*value)),
            Value::Float(value) => push_number(out, f64::from(*value))?,
            Value::Double(value) => push_number(out, *value)?,
            Value::Decimal(value) => value.write(out),
            Value::Bytes(bytes) => write_bytes(out, bytes, hint, None)?,
            Value::Char { bytes, width } => write_bytes(out, bytes, hint, Some(*width))?,
            Value::Date(value) => quoted(out, |out| value.write(out)),
            Value::Time(value) => quoted(out, |out| value.write(out)),
            Value::DateTime(value) => quoted(out, |out| value.write(out)),
            Value::Timestamp(value) => quoted(out, |out| value.at_offset(hint.utc_offset).write(out)),
            Value::Json(value) => {
                // Most documents need little escaping: written once, then escaped in place from the end.
                if hint.json_cast {
                    out.extend_from_slice(b"CAST(");
                }
                let from = out.len();
                value.write_text(out)?;
                if std::str::from_utf8(&out[from..]).is_err() {
                    return Err(Fault::invalid("JSON", "text that is not UTF-8"));
                }
                quote_in_place(out, from);
                if hint.json_cast {
                    out.extend_from_slice(b" AS JSON)");
                }
            }
            Value::Geometry(bytes) => write_binary(out, bytes, 0),
            Value::Vector(bytes) if hint.vector_as_text => quoted(out, |out| write_vector(out, bytes)),
            Value::Vector(bytes) => write_binary(out, bytes, 0),
        }
        Ok(())
    }
}

fn push_number(out: &mut Vec<u8>, value: f64) -> Result<(), Fault> {
    if !value.is_finite() {
        return Err(Fault::invalid("number", value));
    }
    push_exponent(out, value);
    Ok(())
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    out.push(b'\'');
    write(out);
    out.push(b'\'');
}

fn write_bytes(out: &mut Vec<u8>, bytes: &[u8], hint: &ColumnHint, width: Option<u16>) -> Result<(), Fault> {
    if let Some(address) = hint.address {
        out.push(b'\'');
        address.write(out, bytes)?;
        out.push(b'\'');
        return Ok(());
    }
    match hint.charset {
        Some(Charset::Binary) => write_binary(out, bytes, usize::from(width.unwrap_or(0))),
        Some(charset) => write_text(out, bytes, charset),
        // It could be a BINARY that lacks its zero bytes.
        None if width.is_some_and(|width| bytes.len() < usize::from(width)) => return Err(Fault::NoCharset),
        None if bytes.is_ascii() => {
            out.push(b'\'');
            escape(out, bytes);
            out.push(b'\'');
        }
        None => return Err(Fault::NoCharset),
    }
    Ok(())
}

/// Appends binary as a literal, with zero bytes after it up to `width`.
pub fn write_binary(out: &mut Vec<u8>, bytes: &[u8], width: usize) {
    let zeros = width.saturating_sub(bytes.len());
    if bytes.is_empty() && zeros == 0 {
        out.extend_from_slice(b"''");
    } else if bytes.len() + zeros <= HEX_LIMIT {
        out.extend_from_slice(b"0x");
        push_hex(out, bytes);
        out.extend(std::iter::repeat_n(b'0', 2 * zeros));
    } else {
        out.extend_from_slice(b"_binary'");
        escape(out, bytes);
        (0..zeros).for_each(|_| out.extend_from_slice(b"\\0"));
        out.push(b'\'');
    }
}

/// Appends text of `charset` as a literal: in UTF-8, or with the name of its character set where that would not be exact.
pub fn write_text(out: &mut Vec<u8>, bytes: &[u8], charset: Charset) {
    let from = out.len();
    let plain = match charset {
        Charset::Utf8mb4 | Charset::Utf8mb3 => std::str::from_utf8(bytes).is_ok(),
        _ => charset.is_plain_ascii(bytes),
    };
    if plain {
        out.push(b'\'');
        escape(out, bytes);
        out.push(b'\'');
        return;
    }
    let done = match charset.upper_half() {
        Some(upper) => escape_upper_half(out, bytes, upper),
        None => {
            let converted = charset.to_utf8(bytes, out);
            if converted {
                quote_in_place(out, from);
            }
            converted
        }
    };
    if !done {
        out.push(b'_');
        // The name that every version knows.
        out.extend_from_slice(if charset == Charset::Utf8mb3 { b"utf8" } else { charset.name().as_bytes() });
        out.push(b' ');
        out.extend_from_slice(b"0x");
        push_hex(out, bytes);
    }
}

/// Text of a set of one byte: converted, escaped and quoted in one pass. `false`, and nothing appended, if a byte is no
/// character.
fn escape_upper_half(out: &mut Vec<u8>, bytes: &[u8], upper: &[u16; 128]) -> bool {
    let from = out.len();
    out.reserve(bytes.len() + bytes.len() / 2 + 2);
    out.push(b'\'');
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| !byte.is_ascii() || ESCAPES[usize::from(*byte)] != 0) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        rest = &rest[at + 1..];
        if byte.is_ascii() {
            out.extend_from_slice(&[b'\\', ESCAPES[usize::from(byte)]]);
            continue;
        }
        match upper[usize::from(byte & 0x7f)] {
            0 => {
                out.truncate(from);
                return false;
            }
            unit @ ..0x800 => out.extend_from_slice(&[0xc0 | (unit >> 6) as u8, 0x80 | (unit & 0x3f) as u8]),
            unit => out.extend_from_slice(&[
                0xe0 | (unit >> 12) as u8,
                0x80 | (unit >> 6 & 0x3f) as u8,
                0x80 | (unit & 0x3f) as u8,
            ]),
        }
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
    true
}

/// What must not stand as it is between quotes; the letter after the backslash.
const fn escape_letter(byte: u8) -> u8 {
    match byte {
        0 => b'0',
        b'\n' => b'n',
        b'\r' => b'r',
        0x1a => b'Z',
        b'\'' | b'\\' => byte,
        _ => 0,
    }
}

static ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = escape_letter(byte as u8);
        byte += 1;
    }
    table
};

#[inline]
fn escape(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(at) = bytes.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0) {
        let (plain, rest) = bytes.split_at(at);
        out.extend_from_slice(plain);
        out.extend_from_slice(&[b'\\', ESCAPES[usize::from(rest[0])]]);
        bytes = &rest[1..];
    }
    out.extend_from_slice(bytes);
}

/// Puts quotes around what was appended from `from` on, and escapes it, without a second buffer.
fn quote_in_place(out: &mut Vec<u8>, from: usize) {
    let end = out.len();
    let escapes = out[from..].iter().filter(|byte| ESCAPES[usize::from(**byte)] != 0).count();
    out.resize(end + escapes + 2, b'\'');
    // From the end, so that nothing is overwritten before it is read.
    let mut write = end + escapes + 1;
    for read in (from..end).rev() {
        let byte = out[read];
        let letter = ESCAPES[usize::from(byte)];
        write -= 1;
        if letter == 0 {
            out[write] = byte;
        } else {
            out[write] = letter;
            write -= 1;
            out[write] = b'\\';
        }
    }
    out[from] = b'\'';
}
