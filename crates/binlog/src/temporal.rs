//! Dates and times.

use crate::error::Fault;
use crate::number::{push_four, push_padded, push_two, push_u64};
use crate::reader::{be, le};

/// DATE. Zero parts are allowed (`0000-00-00`, `2024-00-00`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Date {
    /// 0 to 9999.
    pub year: u16,
    /// 0 to 12.
    pub month: u8,
    /// 0 to 31.
    pub day: u8,
}

/// TIME.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Below zero.
    pub negative: bool,
    /// 0 to 838.
    pub hour: u16,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Fraction.
    pub micros: u32,
    /// Digits of the fraction in the column's type.
    pub fsp: u8,
}

/// DATETIME: what stands on a clock, in no time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Date.
    pub date: Date,
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59.
    pub second: u8,
    /// Fraction.
    pub micros: u32,
    /// Digits of the fraction in the column's type.
    pub fsp: u8,
}

/// TIMESTAMP: an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timestamp {
    /// Seconds since 1970 in UTC. 0 with no fraction is the value `0000-00-00 00:00:00`.
    pub secs: u32,
    /// Fraction.
    pub micros: u32,
    /// Digits of the fraction in the column's type.
    pub fsp: u8,
}

const POWERS: [u32; 7] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Bytes of the fraction of TIME, DATETIME and TIMESTAMP since 5.6.
#[inline]
pub(crate) fn fraction_len(fsp: u8) -> usize {
    usize::from(fsp.div_ceil(2))
}

pub(crate) fn maria_time_len(fsp: u8) -> usize {
    [3, 4, 4, 5, 5, 5, 6][usize::from(fsp.min(6))]
}

pub(crate) fn maria_datetime_len(fsp: u8) -> usize {
    [5, 6, 6, 7, 7, 7, 8][usize::from(fsp.min(6))]
}

pub(crate) fn maria_timestamp_len(fsp: u8) -> usize {
    4 + [0, 1, 1, 2, 2, 3, 3][usize::from(fsp.min(6))]
}

/// A fraction of one, two or three bytes in microseconds, checked against its number of digits.
fn fraction(bytes: &[u8], fsp: u8) -> Result<u32, Fault> {
    let scale = POWERS[usize::from(6 - 2 * fraction_len(fsp).min(3) as u8)];
    let micros = (be(bytes) as u32).saturating_mul(scale);
    check_micros(micros, fsp)
}

fn check_micros(micros: u32, fsp: u8) -> Result<u32, Fault> {
    if micros >= 1_000_000 || !micros.is_multiple_of(POWERS[usize::from(6 - fsp.min(6))]) {
        return Err(Fault::invalid(
            "fraction of a second",
            format_args!("{micros} microseconds with {fsp} digits"),
        ));
    }
    Ok(micros)
}

fn check_date(year: u64, month: u64, day: u64) -> Result<Date, Fault> {
    if year > 9999 || month > 12 || day > 31 {
        return Err(Fault::invalid("date", format_args!("{year}-{month}-{day}")));
    }
    Ok(Date { year: year as u16, month: month as u8, day: day as u8 })
}

fn check_clock(hour: u64, minute: u64, second: u64, most_hours: u64) -> Result<(), Fault> {
    if hour > most_hours || minute > 59 || second > 59 {
        return Err(Fault::invalid("time", format_args!("{hour}:{minute}:{second}")));
    }
    Ok(())
}

impl Date {
    /// Three bytes, low first: 5 bits of the day, 4 of the month, 15 of the year.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Date, Fault> {
        let raw = le(bytes);
        check_date(raw >> 9, raw >> 5 & 15, raw & 31)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        push_four(out, self.year);
        out.push(b'-');
        push_two(out, self.month);
        out.push(b'-');
        push_two(out, self.day);
    }
}

impl Time {
    /// TIME since 5.6: a sign-carrying integer of 24 bits and the fraction.
    pub(crate) fn decode(bytes: &[u8], fsp: u8) -> Result<Time, Fault> {
        // The whole is one number: below zero the fraction borrows from the seconds.
        let fraction_len = fraction_len(fsp);
        let bits = 8 * fraction_len as u32;
        let packed = be(bytes) as i64 - (0x80_0000 << bits);
        let negative = packed < 0;
        let packed = packed.unsigned_abs();
        let (clock, part) = (packed >> bits, packed & ((1 << bits) - 1));
        let micros = fraction(&part.to_be_bytes()[8 - fraction_len..], fsp)?;
        let (hour, minute, second) = (clock >> 12, clock >> 6 & 63, clock & 63);
        Time::new(negative, hour, minute, second, micros, fsp)
    }

    fn new(negative: bool, hour: u64, minute: u64, second: u64, micros: u32, fsp: u8) -> Result<Time, Fault> {
        check_clock(hour, minute, second, 838)?;
        let (hour, minute, second) = (hour as u16, minute as u8, second as u8);
        Ok(Time { negative, hour, minute, second, micros, fsp })
    }

    /// Before 5.6: a signed integer of 24 bits whose decimal digits are hours, minutes and seconds.
    pub(crate) fn decode_old(bytes: &[u8]) -> Result<Time, Fault> {
        let raw = ((le(bytes) as u32) << 8) as i32 >> 8;
        let digits = u64::from(raw.unsigned_abs());
        Time::new(raw < 0, digits / 10_000, digits / 100 % 100, digits % 100, 0, 0)
    }

    /// MariaDB's own fraction: the time in units of its last digit plus that of `838:59:59` and one second.
    pub(crate) fn decode_maria(bytes: &[u8], fsp: u8) -> Result<Time, Fault> {
        const MAX_SECONDS: i64 = 838 * 3600 + 59 * 60 + 59;
        let units = i64::from(POWERS[usize::from(fsp.min(6))]);
        let packed = be(bytes) as i64 - (MAX_SECONDS + 1) * units;
        let value = packed.unsigned_abs();
        let micros = (value % units as u64) as u32 * POWERS[usize::from(6 - fsp.min(6))];
        let seconds = value / units as u64;
        Time::new(packed < 0, seconds / 3600, seconds / 60 % 60, seconds % 60, micros, fsp)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        if self.negative {
            out.push(b'-');
        }
        if self.hour < 100 {
            push_two(out, self.hour as u8);
        } else {
            push_u64(out, u64::from(self.hour));
        }
        write_minutes(out, self.minute, self.second, self.micros, self.fsp);
    }
}

impl DateTime {
    fn new(date: Date, clock: (u64, u64, u64), micros: u32, fsp: u8) -> Result<DateTime, Fault> {
        let (hour, minute, second) = clock;
        check_clock(hour, minute, second, 23)?;
        let (hour, minute, second) = (hour as u8, minute as u8, second as u8);
        Ok(DateTime { date, hour, minute, second, micros, fsp })
    }

    /// DATETIME since 5.6: five bytes, high first, and the fraction.
    pub(crate) fn decode(bytes: &[u8], fsp: u8) -> Result<DateTime, Fault> {
        let (whole, part) = bytes.split_at(5.min(bytes.len()));
        let packed =
            be(whole).checked_sub(0x80_0000_0000).ok_or_else(|| Fault::invalid("datetime", "below zero"))?;
        let (days, clock) = (packed >> 17, packed & 0x1_ffff);
        let (months, day) = (days >> 5, days & 31);
        let date = check_date(months / 13, months % 13, day)?;
        DateTime::new(date, (clock >> 12, clock >> 6 & 63, clock & 63), fraction(part, fsp)?, fsp)
    }

    /// Before 5.6: eight bytes, low first, whose decimal digits are the parts.
    pub(crate) fn decode_old(bytes: &[u8]) -> Result<DateTime, Fault> {
        let raw = le(bytes);
        let (days, clock) = (raw / 1_000_000, raw % 1_000_000);
        let date = check_date(days / 10_000, days / 100 % 100, days % 100);
        date.and_then(|date| DateTime::new(date, (clock / 10_000, clock / 100 % 100, clock % 100), 0, 0))
            .map_err(|_| {
                Fault::invalid(
                    "datetime",
                    format_args!(
                        "{raw} (MariaDB with mysql56_temporal_format=OFF and a fraction? \
                         its number of digits must be given)"
                    ),
                )
            })
    }

    /// MariaDB's own fraction: all parts in one number, high byte first.
    pub(crate) fn decode_maria(bytes: &[u8], fsp: u8) -> Result<DateTime, Fault> {
        let units = u64::from(POWERS[usize::from(fsp.min(6))]);
        let raw = be(bytes);
        let micros = (raw % units) as u32 * POWERS[usize::from(6 - fsp.min(6))];
        let seconds = raw / units;
        let days = seconds / 86_400;
        let date = check_date(days / 32 / 13, days / 32 % 13, days % 32)?;
        DateTime::new(date, (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60), micros, fsp)
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        self.date.write(out);
        out.push(b' ');
        push_two(out, self.hour);
        write_minutes(out, self.minute, self.second, self.micros, self.fsp);
    }
}

impl Timestamp {
    /// Since 5.6: four bytes, high first, and the fraction.
    pub(crate) fn decode(bytes: &[u8], fsp: u8) -> Result<Timestamp, Fault> {
        let (whole, part) = bytes.split_at(4.min(bytes.len()));
        Ok(Timestamp { secs: be(whole) as u32, micros: fraction(part, fsp)?, fsp })
    }

    /// Before 5.6: four bytes, low first.
    pub(crate) fn decode_old(bytes: &[u8]) -> Timestamp {
        Timestamp { secs: le(bytes) as u32, micros: 0, fsp: 0 }
    }

    /// MariaDB's own fraction: four bytes, high first, and the fraction in units of its last digit.
    pub(crate) fn decode_maria(bytes: &[u8], fsp: u8) -> Result<Timestamp, Fault> {
        let (whole, part) = bytes.split_at(4.min(bytes.len()));
        let micros = (be(part) as u32).saturating_mul(POWERS[usize::from(6 - fsp.min(6))]);
        Ok(Timestamp { secs: be(whole) as u32, micros: check_micros(micros, fsp)?, fsp })
    }

    /// Whether it is `0000-00-00 00:00:00`, which is no instant.
    pub fn is_zero(&self) -> bool {
        self.secs == 0 && self.micros == 0
    }

    /// What a clock shows that is `offset` seconds ahead of UTC.
    pub fn at_offset(&self, offset: i32) -> DateTime {
        let (micros, fsp) = (self.micros, self.fsp);
        if self.is_zero() {
            return DateTime { date: Date::default(), hour: 0, minute: 0, second: 0, micros, fsp };
        }
        let local = i64::from(self.secs) + i64::from(offset);
        let (days, clock) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let date = civil(days);
        DateTime {
            date,
            hour: (clock / 3600) as u8,
            minute: (clock / 60 % 60) as u8,
            second: (clock % 60) as u8,
            micros,
            fsp,
        }
    }
}

/// The date of a number of days since 1970-01-01 in the Gregorian calendar.
fn civil(days: i64) -> Date {
    // Counted from 0000-03-01, so that the leap day ends a year.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let part = (5 * day_of_year + 2) / 153;
    let month = if part < 10 { part + 3 } else { part - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    Date { year: year as u16, month: month as u8, day: (day_of_year - (153 * part + 2) / 5 + 1) as u8 }
}

fn write_minutes(out: &mut Vec<u8>, minute: u8, second: u8, micros: u32, fsp: u8) {
    out.push(b':');
    push_two(out, minute);
    out.push(b':');
    push_two(out, second);
    if fsp > 0 {
        out.push(b'.');
        push_padded(out, micros / POWERS[usize::from(6 - fsp.min(6))], usize::from(fsp.min(6)));
    }
}

/// The packed form in which JSON documents hold times: like TIME(6) as one number of 64 bits.
pub(crate) fn unpack_time(packed: i64) -> Result<Time, Fault> {
    let value = packed.unsigned_abs();
    let clock = value >> 24;
    let micros = check_micros((value & 0xff_ffff) as u32, 6)?;
    Time::new(packed < 0, clock >> 12, clock >> 6 & 63, clock & 63, micros, 6)
}

/// The packed form in which JSON documents hold dates and datetimes.
pub(crate) fn unpack_datetime(packed: i64) -> Result<DateTime, Fault> {
    let value = u64::try_from(packed).map_err(|_| Fault::invalid("datetime", "below zero"))?;
    let micros = check_micros((value & 0xff_ffff) as u32, 6)?;
    let (days, clock) = (value >> 41, value >> 24 & 0x1_ffff);
    let (months, day) = (days >> 5, days & 31);
    let date = check_date(months / 13, months % 13, day)?;
    DateTime::new(date, (clock >> 12, clock >> 6 & 63, clock & 63), micros, 6)
}
