//! From rows of Parquet to rows of SQL (facts/lightning.md 2.10, with dates and zones made right).
//!
//! Numbers stand as they are, decimals with all their digits. Days and times are what the file says, in no zone: an instant is written
//! in UTC, and the session is in UTC where one goes into a TIMESTAMP (see [`zone`]).

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use parquet::basic::Type as Physical;
use sql::{SqlMode, json_doubles};

use super::convert::{Cell, quote};
use crate::downstream::tables::TargetInfo;
use crate::source::parquet::row::{Cells, rows};
use crate::source::parquet::{Column, Kind, Unit};

/// Turns the rows of a file into those of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParquetRows {
    /// The file's columns.
    pub columns: Arc<Vec<Column>>,
    /// What becomes of them, in order.
    pub cells: Vec<Cell>,
    /// Cells behind them, each with its comma in front.
    pub append: Vec<u8>,
}

impl ParquetRows {
    /// Appends the rows of a run to `out` as SQL with commas between.
    ///
    /// # Errors
    /// The number of the row in the run, and what is wrong with it.
    pub fn rows(&self, run: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), (usize, String)> {
        for (number, row) in rows(run).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            self.row(row, mode, out).map_err(|what| (number, what))?;
        }
        Ok(())
    }

    fn row(&self, row: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), String> {
        let mut values = Cells::of(row);
        out.push(b'(');
        let start = out.len();
        for (column, cell) in self.columns.iter().zip(&self.cells) {
            let before = out.len();
            if before > start {
                out.push(b',');
            }
            // What is not there is no row that the reader gave.
            let short = || "the row is shorter than its columns".to_owned();
            if values.has_value().ok_or_else(short)? {
                value(column, *cell, &mut values, mode, out)
                    .ok_or_else(short)?
                    .map_err(|what| format!("column `{}`: {what}", column.name))?;
            } else {
                out.extend_from_slice(b"NULL");
            }
            if *cell == Cell::Skip {
                out.truncate(before);
            }
        }
        let append =
            if out.len() > start { &self.append[..] } else { self.append.get(1..).unwrap_or_default() };
        out.extend_from_slice(append);
        out.push(b')');
        Ok(())
    }
}

/// The session's zone for a file, where the file's times and the target's columns need one.
///
/// # Errors
/// A TIMESTAMP gets instants and another one times of which nobody says the zone, or says another than UTC.
pub fn zone<'z>(
    columns: &[Column],
    ignored: &[String],
    target: &TargetInfo,
    asked: Option<&'z str>,
) -> Result<Option<&'z str>, String> {
    let goes_into_timestamp = |column: &&Column| {
        let name = column.name.to_lowercase();
        let into = target.column(&name).filter(|_| !ignored.contains(&name));
        into.is_some_and(|into| {
            into.full_type.get(..9).is_some_and(|word| word.eq_ignore_ascii_case("timestamp"))
        })
    };
    let with_times: Vec<&Column> = columns.iter().filter(goes_into_timestamp).collect();
    let instant = with_times.iter().find(|column| column.is_instant());
    let local = with_times.iter().find(|column| column.is_local());
    let in_utc = matches!(asked, Some("+00:00" | "-00:00" | "UTC" | "utc"));
    match (instant, local) {
        (Some(instant), Some(local)) if !in_utc => Err(format!(
            "column `{}` holds instants and column `{}` times without a zone ({}), and both go into TIMESTAMP columns of {}, \
             which one session cannot do: write them as instants (adjusted to UTC), or say --source-time-zone=+00:00 if they \
             are in UTC",
            instant.name,
            local.name,
            asked.map_or_else(|| "nobody says which".to_owned(), |zone| format!("{zone} is asked for")),
            target.name
        )),
        (Some(_), _) => Ok(Some("+00:00")),
        (None, _) => Ok(asked),
    }
}

/// Appends a value. `None`: the row ends too early. An error is what is wrong with the value.
fn value(
    column: &Column,
    cell: Cell,
    values: &mut Cells<'_>,
    mode: SqlMode,
    out: &mut Vec<u8>,
) -> Option<Result<(), String>> {
    match column.physical {
        Physical::BOOLEAN => out.push(b'0' + values.array::<1>()?[0]),
        Physical::INT32 => {
            return Some(whole(column.kind, i64::from(i32::from_le_bytes(values.array()?)), 32, out));
        }
        Physical::INT64 => return Some(whole(column.kind, i64::from_le_bytes(values.array()?), 64, out)),
        Physical::INT96 => return Some(int96(values.array()?, out)),
        // All digits of the same number as a double, which every column reads as it is.
        Physical::FLOAT => return Some(float(f64::from(f32::from_le_bytes(values.array()?)), out)),
        Physical::DOUBLE => return Some(float(f64::from_le_bytes(values.array()?), out)),
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => {
            return Some(bytes(column.kind, cell, values.bytes()?, mode, out));
        }
    }
    Some(Ok(()))
}

fn whole(kind: Kind, value: i64, bits: u32, out: &mut Vec<u8>) -> Result<(), String> {
    match kind {
        Kind::Unsigned if bits == 32 => digits(out, format_args!("{}", value as u32)),
        Kind::Unsigned => digits(out, format_args!("{}", value as u64)),
        Kind::Decimal(scale) => {
            decimal(value < 0, &mut value.unsigned_abs().to_string().into_bytes(), scale, out)
        }
        Kind::Date => return date_and_time(value, None, out),
        Kind::Time(unit) => return time(value, unit, out),
        Kind::Timestamp { unit, .. } => {
            let a_day = 86_400 * 10i64.pow(unit.digits());
            return date_and_time(value.div_euclid(a_day), Some((value.rem_euclid(a_day), unit)), out);
        }
        _ => digits(out, format_args!("{value}")),
    }
    Ok(())
}

fn digits(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory does not fail.
    let _ = out.write_fmt(text);
}

fn float(value: f64, out: &mut Vec<u8>) -> Result<(), String> {
    if !value.is_finite() {
        return Err(format!("{value} is no number that a server knows"));
    }
    // With an exponent, so that it is read as a double and no decimal.
    digits(out, format_args!("{value:e}"));
    Ok(())
}

/// Julian day of the first of January 1970.
const JULIAN_1970: i64 = 2_440_588;

fn int96(value: [u8; 12], out: &mut Vec<u8>) -> Result<(), String> {
    let [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    let nanos = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let day = i64::from(u32::from_le_bytes([i, j, k, l]));
    let a_day = 86_400_000_000_000;
    let days = day - JULIAN_1970 + nanos.div_euclid(a_day);
    date_and_time(days, Some((nanos.rem_euclid(a_day), Unit::Nanos)), out)
}

/// `'2024-02-29'`, with a time `'2024-02-29 12:00:00.5'`.
fn date_and_time(days: i64, time: Option<(i64, Unit)>, out: &mut Vec<u8>) -> Result<(), String> {
    let (year, month, day) =
        civil(days).ok_or_else(|| format!("day {days} from 1970 on is in no year from 0 to 9999"))?;
    digits(out, format_args!("'{year:04}-{month:02}-{day:02}"));
    if let Some((of_day, unit)) = time {
        out.push(b' ');
        clock(of_day, unit, out);
    }
    out.push(b'\'');
    Ok(())
}

fn time(value: i64, unit: Unit, out: &mut Vec<u8>) -> Result<(), String> {
    if !(0..86_400 * 10i64.pow(unit.digits())).contains(&value) {
        return Err(format!("{value} {unit:?} are no time of a day"));
    }
    out.push(b'\'');
    clock(value, unit, out);
    out.push(b'\'');
    Ok(())
}

/// The clock's time, with as many digits of a second as are not 0; six, unless there are more.
fn clock(value: i64, unit: Unit, out: &mut Vec<u8>) {
    let of_second = 10i64.pow(unit.digits());
    let (seconds, fraction) = (value / of_second, value % of_second);
    digits(out, format_args!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60));
    if fraction > 0 {
        let mut text = String::new();
        let _ = write!(text, ".{fraction:0width$}", width = unit.digits() as usize);
        out.extend_from_slice(text.trim_end_matches('0').as_bytes());
    }
}

/// The date of a day, of the years 0 to 9999.
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    // Eras of 400 years from 0000-03-01 on.
    let days = days.checked_add(719_468)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9999).contains(&year).then_some((year, month, day))
}

fn bytes(kind: Kind, cell: Cell, value: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), String> {
    match (kind, cell) {
        (Kind::Decimal(scale), _) => return big_decimal(value, scale, out),
        (Kind::Half, _) => {
            let half: [u8; 2] = value.try_into().map_err(|_| "it has not two bytes".to_owned())?;
            return float(half_to_double(u16::from_le_bytes(half)), out);
        }
        (Kind::Uuid, Cell::Text) => uuid(value, out),
        (_, Cell::Binary) => {
            out.extend_from_slice(b"_binary");
            quote(value, mode, out);
        }
        (_, Cell::Json) => match json_doubles::exact_sql(value, mode) {
            Some(sql) => out.extend_from_slice(&sql),
            None => quote(value, mode, out),
        },
        _ => quote(value, mode, out),
    }
    Ok(())
}

/// `'00112233-4455-6677-8899-aabbccddeeff'`
fn uuid(value: &[u8], out: &mut Vec<u8>) {
    out.push(b'\'');
    for (number, byte) in value.iter().enumerate() {
        if matches!(number, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        digits(out, format_args!("{byte:02x}"));
    }
    out.push(b'\'');
}

fn half_to_double(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

/// Bytes of the longest decimal that is read: more than a server's 65 digits need.
const DECIMAL_BYTES: usize = 64;

/// A number in two's complement, the highest byte first.
fn big_decimal(value: &[u8], scale: usize, out: &mut Vec<u8>) -> Result<(), String> {
    if value.is_empty() || value.len() > DECIMAL_BYTES {
        return Err(format!("a decimal of {} bytes", value.len()));
    }
    let negative = value[0] & 0x80 != 0;
    // Limbs of 32 bits, the highest first.
    let mut limbs = [0u32; DECIMAL_BYTES / 4];
    let fill = if negative { 0xff } else { 0 };
    for (number, limb) in limbs.iter_mut().enumerate() {
        for byte in 0..4 {
            let from_end = DECIMAL_BYTES - (number * 4 + byte);
            let byte = value.len().checked_sub(from_end).map_or(fill, |at| value[at]);
            *limb = *limb << 8 | u32::from(byte);
        }
    }
    if negative {
        let mut carry = true;
        for limb in limbs.iter_mut().rev() {
            let (sum, over) = (!*limb).overflowing_add(u32::from(carry));
            (*limb, carry) = (sum, over);
        }
    }
    // Digits, the lowest first, nine at a time.
    let mut text = Vec::with_capacity(160);
    while limbs.iter().any(|limb| *limb != 0) {
        let mut rest = 0u64;
        for limb in &mut limbs {
            let part = rest << 32 | u64::from(*limb);
            *limb = u32::try_from(part / 1_000_000_000).unwrap_or(0);
            rest = part % 1_000_000_000;
        }
        for _ in 0..9 {
            text.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
        }
    }
    text.reverse();
    let zeros = text.iter().take_while(|digit| **digit == b'0').count();
    text.drain(..zeros);
    decimal(negative, &mut text, scale, out);
    Ok(())
}

/// Digits of which `scale` stand behind the point.
fn decimal(negative: bool, text: &mut Vec<u8>, scale: usize, out: &mut Vec<u8>) {
    while text.len() <= scale {
        text.insert(0, b'0');
    }
    if negative {
        out.push(b'-');
    }
    let (front, behind) = text.split_at(text.len() - scale);
    out.extend_from_slice(front);
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(behind);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(action: impl Fn(&mut Vec<u8>) -> Result<(), String>) -> String {
        let mut out = Vec::new();
        match action(&mut out) {
            Ok(()) => String::from_utf8(out).unwrap(),
            Err(what) => format!("error: {what}"),
        }
    }

    #[test]
    fn whole_numbers_and_decimals() {
        let int = |kind, value, bits| shown(|out| whole(kind, value, bits, out));
        assert_eq!(int(Kind::Int, -5, 32), "-5");
        assert_eq!(int(Kind::Unsigned, -1, 32), "4294967295");
        assert_eq!(int(Kind::Unsigned, -1, 64), "18446744073709551615");
        assert_eq!(int(Kind::Decimal(2), -5, 32), "-0.05");
        assert_eq!(int(Kind::Decimal(0), i64::MIN, 64), "-9223372036854775808");
        let big = |bytes: &[u8], scale| shown(|out| big_decimal(bytes, scale, out));
        assert_eq!(big(&[0xff], 3), "-0.001");
        assert_eq!(big(&[0], 1), "0.0");
        assert_eq!(big(&[0x80, 0, 0, 0, 0], 0), "-549755813888");
        assert_eq!(big(&[1; 5], 0), "4311810305");
        let most = 10i128.pow(38) - 1;
        assert_eq!(big(&most.to_be_bytes(), 10), "9999999999999999999999999999.9999999999");
        assert_eq!(big(&(-most).to_be_bytes(), 38), format!("-0.{}", "9".repeat(38)));
        assert!(big(&[1; 65], 0).starts_with("error"));
    }

    #[test]
    fn dates_and_times() {
        let int = |kind, value, bits| shown(|out| whole(kind, value, bits, out));
        assert_eq!(int(Kind::Date, 0, 32), "'1970-01-01'");
        assert_eq!(int(Kind::Date, -719_528, 32), "'0000-01-01'");
        assert_eq!(int(Kind::Date, 2_932_896, 32), "'9999-12-31'");
        assert!(int(Kind::Date, 2_932_897, 32).starts_with("error: day 2932897"));
        assert!(int(Kind::Date, -719_529, 32).starts_with("error"));
        assert_eq!(int(Kind::Date, 19_782, 32), "'2024-02-29'");
        let at = |unit| Kind::Timestamp { unit, instant: false };
        assert_eq!(int(at(Unit::Millis), -1, 64), "'1969-12-31 23:59:59.999'");
        assert_eq!(int(at(Unit::Micros), 1_709_164_800_500_000, 64), "'2024-02-29 00:00:00.5'");
        assert_eq!(int(at(Unit::Nanos), 1_000_000_001, 64), "'1970-01-01 00:00:01.000000001'");
        assert!(int(at(Unit::Micros), i64::MAX, 64).starts_with("error"));
        assert_eq!(int(Kind::Time(Unit::Micros), 86_399_999_999, 64), "'23:59:59.999999'");
        assert!(int(Kind::Time(Unit::Millis), -1, 32).starts_with("error: -1 Millis"));
        let mut value = [0; 12];
        value[..8].copy_from_slice(&1_500_000_000i64.to_le_bytes());
        value[8..].copy_from_slice(&2_440_589u32.to_le_bytes());
        assert_eq!(shown(|out| int96(value, out)), "'1970-01-02 00:00:01.5'");
    }

    #[test]
    fn floats_and_bytes() {
        assert_eq!(shown(|out| float(0.1, out)), "1e-1");
        assert_eq!(shown(|out| float(f64::from(0.1f32), out)), "1.0000000149011612e-1");
        assert_eq!(shown(|out| float(-0.0, out)), "-0e0");
        assert!(shown(|out| float(f64::NAN, out)).starts_with("error: NaN"));
        assert_eq!(half_to_double(0x3c00), 1.0);
        assert_eq!(half_to_double(0xc500), -5.0);
        assert_eq!(half_to_double(1), 2f64.powi(-24));
        let mode = SqlMode::default();
        let text = |kind, cell, value: &[u8]| shown(|out| bytes(kind, cell, value, mode, out));
        assert_eq!(text(Kind::Bytes, Cell::Text, b"it's"), "'it''s'");
        assert_eq!(text(Kind::Bytes, Cell::Binary, b"\\"), "_binary'\\\\'");
        assert_eq!(text(Kind::Uuid, Cell::Text, &[0x1f; 16]), "'1f1f1f1f-1f1f-1f1f-1f1f-1f1f1f1f1f1f'");
    }
}
