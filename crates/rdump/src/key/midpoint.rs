//! Guesses of a value between two others. Only guesses: the caller asks the server for the next value that is there.

use jiff::Span;
use jiff::civil::Date;

use super::Class;

/// Days are counted from here.
const EPOCH: Date = Date::constant(0, 1, 1);

/// See [`Class::between`]. The result is never `low` itself.
pub(super) fn between(class: Class, low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    match class {
        Class::Integer => numbers(low, high, 0),
        Class::Decimal => numbers(low, high, fraction_digits(low).max(fraction_digits(high))),
        Class::Date | Class::Timestamp => dates(low, high),
        Class::Time => times(low, high),
        Class::Text => text(low, high),
        Class::Binary => binary(low, high),
    }
}

/// Half way, rounded up; `None` if there is nothing between.
fn middle(low: i128, high: i128) -> Option<i128> {
    let distance = high.checked_sub(low)?;
    (distance > 0).then(|| low + (distance - 1) / 2 + 1)
}

fn fraction_digits(text: &[u8]) -> usize {
    text.iter().position(|&b| b == b'.').map_or(0, |at| text.len() - at - 1)
}

/// A decimal number times ten to the power of `digits`.
fn scaled(text: &[u8], digits: usize) -> Option<i128> {
    let text = std::str::from_utf8(text).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let padding = digits.checked_sub(fraction.len())?;
    format!("{whole}{fraction}{}", "0".repeat(padding)).parse().ok()
}

fn numbers(low: &[u8], high: &[u8], digits: usize) -> Option<Vec<u8>> {
    let value = middle(scaled(low, digits)?, scaled(high, digits)?)?;
    if digits == 0 {
        return Some(value.to_string().into_bytes());
    }
    let sign = if value < 0 { "-" } else { "" };
    let text = format!("{:0>width$}", value.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    Some(format!("{sign}{whole}.{fraction}").into_bytes())
}

const MICROS: i128 = 1_000_000;
const DAY: i128 = 86_400;

/// `h:m:s.f` in microseconds.
fn clock(text: &str) -> Option<i128> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut seconds = 0;
    for part in text.split(':') {
        seconds = seconds * 60 + part.parse::<i128>().ok()?;
    }
    Some(seconds * MICROS + format!("{fraction:0<6}").get(..6)?.parse::<i128>().ok()?)
}

fn clock_text(micros: i128) -> String {
    let seconds = micros / MICROS;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{:06}", micros % MICROS)
}

fn times(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let read = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        match text.strip_prefix('-') {
            Some(text) => clock(text).map(|value| -value),
            None => clock(text),
        }
    };
    let value = middle(read(low)?, read(high)?)?;
    let sign = if value < 0 { "-" } else { "" };
    Some(format!("{sign}{}", clock_text(value.abs())).into_bytes())
}

fn dates(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let read = |text: &[u8]| {
        let text = std::str::from_utf8(text).ok()?;
        let (date, time) = text.split_once(' ').unwrap_or((text, "00:00:00"));
        let mut parts = date.split('-').map(|part| part.parse::<i16>().ok());
        let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
        // Zero dates are taken for the first of the month, days that a month does not have for its 28th; the guess needs no more.
        let first = Date::new(year, month.clamp(1, 12) as i8, 1).ok()?;
        let date = first
            .with()
            .day(day.clamp(1, 31) as i8)
            .build()
            .or_else(|_| first.with().day(28).build())
            .ok()?;
        Some(days(date) * DAY * MICROS + clock(time)?)
    };
    let is_date = low.len() <= 10 && high.len() <= 10;
    let (low, high) = (read(low)?, read(high)?);
    if is_date {
        let day = middle(low / (DAY * MICROS), high / (DAY * MICROS))?;
        return Some(date_text(day)?.into_bytes());
    }
    let value = middle(low, high)?;
    let day = value.div_euclid(DAY * MICROS);
    Some(format!("{} {}", date_text(day)?, clock_text(value.rem_euclid(DAY * MICROS))).into_bytes())
}

/// Days since the first of January of the year 0.
fn days(date: Date) -> i128 {
    i128::from((date - EPOCH).get_days())
}

fn date_text(days: i128) -> Option<String> {
    let date = EPOCH.checked_add(Span::new().try_days(i64::try_from(days).ok()?).ok()?).ok()?;
    Some(date.to_string())
}

/// Bytes that are looked at behind the common beginning.
const LOOK_AT: usize = 8;

fn binary(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let common = low.iter().zip(high).take_while(|(a, b)| a == b).count();
    let number = |bytes: &[u8]| {
        (0..LOOK_AT).fold(0i128, |n, i| n << 8 | i128::from(bytes.get(common + i).copied().unwrap_or(0)))
    };
    let value = middle(number(low), number(high))?;
    let mut out = low.get(..common)?.to_vec();
    out.extend((0..LOOK_AT).map(|i| (value >> (8 * (LOOK_AT - 1 - i))) as u8));
    while out.len() > common + 1 && out.last() == Some(&0) {
        out.pop();
    }
    Some(out)
}

/// Letters in one case: most collations do not tell them apart, and for those that do it is a guess still.
fn text(low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
    let fold = |text: &[u8]| -> Option<Vec<char>> {
        Some(std::str::from_utf8(text).ok()?.chars().map(|c| c.to_lowercase().next().unwrap_or(c)).collect())
    };
    let (low, high) = (fold(low)?, fold(high)?);
    let common = low.iter().zip(&high).take_while(|(a, b)| a == b).count();
    let mut out: String = low.get(..common)?.iter().collect();
    let at = |text: &[char], i: usize| text.get(common + i).copied().unwrap_or(' ');
    let printable = |c: char| (' '..='~').contains(&c);
    if printable(at(&low, 0)) && printable(at(&high, 0)) {
        // Digits to the base of 95 printable characters.
        let digit = |c: char| i128::from(u32::from(c).clamp(32, 126) - 32);
        let number = |text: &[char]| (0..LOOK_AT).fold(0i128, |n, i| n * 95 + digit(at(text, i)));
        let mut value = middle(number(&low), number(&high))?;
        let mut digits = Vec::new();
        for _ in 0..LOOK_AT {
            digits.push(char::from((value % 95) as u8 + 32));
            value /= 95;
        }
        out.extend(digits.iter().rev());
        let trimmed =
            out.trim_end_matches(' ').len().max(out.chars().take(common + 1).map(char::len_utf8).sum());
        out.truncate(trimmed);
    } else {
        let code = middle(u32::from(at(&low, 0)).into(), u32::from(at(&high, 0)).into())?;
        // The gap of the surrogates.
        out.push(u32::try_from(code).ok().and_then(char::from_u32).unwrap_or('\u{e000}'));
    }
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_way() {
        for (class, low, high, expected) in [
            (Class::Integer, "1", "10", "6"),
            (Class::Integer, "-10", "-9", "-9"),
            (Class::Integer, "-9223372036854775808", "18446744073709551615", "4611686018427387904"),
            (Class::Decimal, "-1.50", "2.5", "0.50"),
            (Class::Decimal, "-0.03", "-0.01", "-0.02"),
            (Class::Date, "2024-01-01", "2024-03-01", "2024-01-31"),
            (Class::Date, "1999-12-31 23:59:58", "2000-01-01 00:00:00", "1999-12-31 23:59:59.000000"),
            (Class::Date, "0000-00-00", "0004-02-29", "0002-01-30"),
            (Class::Time, "-01:00:00", "01:00:00.5", "00:00:00.250000"),
            (Class::Time, "-838:59:59", "-00:00:01", "-419:30:00.000000"),
            (Class::Text, "user1", "user9", "user5"),
            (Class::Text, "a", "c", "b"),
            (Class::Text, "\u{4e00}", "\u{4e10}", "\u{4e08}"),
        ] {
            let got = between(class, low.as_bytes(), high.as_bytes()).unwrap();
            assert_eq!(String::from_utf8(got).unwrap(), expected, "{low} {high}");
        }
        assert_eq!(between(Class::Binary, b"\x10", b"\x20").unwrap(), b"\x18");
        for class in [Class::Integer, Class::Decimal, Class::Text, Class::Binary] {
            assert_eq!(between(class, b"7", b"7"), None);
        }
        assert_eq!(between(Class::Decimal, &[b'9'; 60], &[b'9'; 65]), None, "too long to count with");
        assert_eq!(between(Class::Date, b"garbage", b"2024-01-01"), None);
    }

    proptest::proptest! {
        #[test]
        fn guesses_come_closer(low: i64, high: i64, a in ".{0,12}", b in ".{0,12}", x: Vec<u8>, y: Vec<u8>) {
            if low < high {
                let got = between(Class::Integer, low.to_string().as_bytes(), high.to_string().as_bytes()).unwrap();
                let got: i64 = String::from_utf8(got).unwrap().parse().unwrap();
                proptest::prop_assert!(low < got && got <= high);
            }
            let _ = between(Class::Text, a.as_bytes(), b.as_bytes());
            for class in [Class::Decimal, Class::Date, Class::Time, Class::Text, Class::Integer] {
                let _ = between(class, &x, &y);
                let _ = between(class, a.as_bytes(), b.as_bytes());
            }
            if x < y && let Some(got) = between(Class::Binary, &x, &y) {
                proptest::prop_assert!(got > x && got <= y, "{:?}", got);
            }
        }
    }
}
