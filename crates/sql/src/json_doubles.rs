//! Doubles in JSON text for servers whose reading of it is not exact.
//!
//! MySQL reads the numbers of JSON text with RapidJSON's quick method: the digits as one double, then a product or quotient
//! with a power of ten. That is off by a bit or two for many numbers of more than 15 digits, so a document that the server itself wrote
//! does not always come back as it was. [`read`] is that method, step by step. [`exact`] puts other digits in place of those
//! that would be misread: for nearly every double there is an integer with an exponent that the method takes to exactly it.
//!
//! Whether a server is one of these says `mysql::session::misreads_json_doubles`. Only steps that every compiler makes the same are relied upon (no sum of a product and a digit, which may be one
//! rounding or two).

use crate::lexer::{Span, SqlMode, unescape_into};

/// Up to here every integer is a double.
const INTEGERS: u64 = 1 << 53;

/// A power of ten that is exact as a double.
const EXACT_POWER: i64 = 22;

/// Zeros behind an integer of up to 19 digits that are tried. Each is a rounding more, so another result; one number in a hundred needs
/// one, one in a thousand more than ten.
const MOST_ZEROS: i64 = 280;

/// Neighbours of an integer that are tried, in units of its last place.
const STEPS: [i64; 13] = [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6];

/// What the server makes of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The double.
    pub value: f64,
    /// Whether all servers make the same of it.
    pub is_sure: bool,
}

/// Reads a number as the server does, if it is one that becomes a double; `None` for an integer, for what the server refuses as too big,
/// and for what is no number of JSON.
pub fn read(text: &[u8]) -> Option<Reading> {
    let mut digits = Digits { text, at: 0 };
    let minus = digits.take(b'-');
    let most = if minus { i64::MIN.unsigned_abs() } else { u64::MAX };
    let mut significant: u32 = 0;
    let mut integer: u64 = 0;
    let mut sum = Sum { value: 0.0, is_sure: true };
    let mut is_double = false;
    let first = digits.next()?;
    integer += u64::from(first);
    if first != 0 {
        while let Some(digit) = digits.peek() {
            let Some(next) = integer.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit))) else {
                is_double = true;
                break;
            };
            if next > most {
                is_double = true;
                break;
            }
            integer = next;
            significant += 1;
            digits.at += 1;
        }
    }
    if is_double {
        sum.value = integer as f64;
        while let Some(digit) = digits.next() {
            if sum.value >= 1.797_693_134_862_315_7e307 {
                return None;
            }
            sum.push(digit);
        }
    }
    let mut places: i64 = 0;
    if digits.take(b'.') {
        digits.peek()?;
        if !is_double {
            while integer < INTEGERS
                && let Some(digit) = digits.next()
            {
                integer = integer * 10 + u64::from(digit);
                places -= 1;
                significant += u32::from(integer != 0);
            }
            sum.value = integer as f64;
            is_double = true;
        }
        while let Some(digit) = digits.next() {
            if significant < 17 {
                sum.push(digit);
                places -= 1;
                significant += u32::from(sum.value > 0.0);
            }
        }
    }
    let mut exponent: i64 = 0;
    if digits.take(b'e') || digits.take(b'E') {
        if !is_double {
            sum.value = integer as f64;
            is_double = true;
        }
        let down = digits.take(b'-');
        if !down {
            digits.take(b'+');
        }
        digits.peek()?;
        while let Some(digit) = digits.next() {
            exponent = (exponent * 10 + i64::from(digit)).min(i64::from(i32::MAX));
        }
        if !down && exponent > 308 - places {
            return None;
        }
        exponent = if down { -exponent } else { exponent };
    }
    if !is_double || digits.at != text.len() {
        return None;
    }
    let value = scale(sum.value, exponent + places)?;
    let value = if minus { -value } else { value };
    value.is_finite().then_some(Reading { value, is_sure: sum.is_sure })
}

struct Digits<'a> {
    text: &'a [u8],
    at: usize,
}

impl Digits<'_> {
    fn take(&mut self, byte: u8) -> bool {
        let is_it = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(is_it);
        is_it
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0')
    }

    fn next(&mut self) -> Option<u8> {
        let digit = self.peek()?;
        self.at += 1;
        Some(digit)
    }
}

/// Digits beyond those of an integer.
struct Sum {
    value: f64,
    is_sure: bool,
}

impl Sum {
    fn push(&mut self, digit: u8) {
        self.is_sure &= digit == 0;
        self.value = self.value * 10.0 + f64::from(digit);
    }
}

/// 10 to the power of 0 to 308, correctly rounded.
fn power(exponent: i64) -> Option<f64> {
    static POWERS: std::sync::LazyLock<Vec<f64>> =
        std::sync::LazyLock::new(|| (0..=308).map(|n| format!("1e{n}").parse().unwrap_or(0.0)).collect());
    POWERS.get(usize::try_from(exponent).ok()?).copied()
}

/// `value` times 10 to the power of `exponent`, in the server's steps; `None` where it has no such power.
fn scale(value: f64, exponent: i64) -> Option<f64> {
    let step = |value: f64, exponent: i64| match exponent {
        ..-308 => Some(0.0),
        -308..0 => Some(value / power(-exponent)?),
        _ => Some(value * power(exponent)?),
    };
    if exponent < -308 { step(step(value, -308)?, exponent + 308) } else { step(value, exponent) }
}

/// A text that the server reads as exactly this double; `None` for one that is not finite, and for some four in a million that have
/// none among those tried.
pub fn spell(value: f64) -> Option<String> {
    if !value.is_finite() {
        return None;
    }
    if value == 0.0 {
        return Some(if value.is_sign_negative() { "-0.0" } else { "0.0" }.into());
    }
    let wanted = value.abs();
    let sign = if value < 0.0 { "-" } else { "" };
    // An integer of 54 to 63 bits, written in full, is read without a rounding.
    let (low, high) = (INTEGERS as f64, i64::MAX as f64);
    let top = (high.log10() - wanted.log10()).floor() as i64;
    for zeros in 0..=MOST_ZEROS {
        for up in (top - 4..=top + 1).rev() {
            let near = raise(wanted, up);
            if !(low..high).contains(&near) {
                continue;
            }
            let exponent = -up - zeros;
            let read_back =
                |integer: f64| scale(with_zeros(integer, zeros), exponent).unwrap_or(f64::INFINITY);
            // The roundings may have led away from it.
            let miss = read_back(near).to_bits() as i64 - wanted.to_bits() as i64;
            let near = move_by(near, -miss.clamp(-1000, 1000));
            for integer in STEPS.map(|step| move_by(near, step)) {
                if !(low..high).contains(&integer) || read_back(integer) != wanted {
                    continue;
                }
                let zeros = usize::try_from(zeros).unwrap_or(0);
                let text = format!("{sign}{}{:0<zeros$}e{exponent}", integer as u64, "");
                if read(text.as_bytes()) == Some(Reading { value, is_sure: true }) {
                    return Some(text);
                }
            }
        }
    }
    None
}

/// So many doubles further.
fn move_by(value: f64, steps: i64) -> f64 {
    f64::from_bits(value.to_bits().wrapping_add_signed(steps))
}

/// What an integer with zeros behind it is read as.
fn with_zeros(integer: f64, zeros: i64) -> f64 {
    let (mut whole, mut left) = (integer as u64, zeros);
    while left > 0
        && let Some(next) = whole.checked_mul(10).filter(|next| *next <= i64::MAX.unsigned_abs())
    {
        (whole, left) = (next, left - 1);
    }
    (0..left).fold(whole as f64, |value, _| value * 10.0)
}

/// About `value` times 10 to the power of `exponent`.
fn raise(value: f64, exponent: i64) -> f64 {
    let by = |value: f64, exponent: i64| match exponent {
        ..0 => value / power(-exponent).unwrap_or(f64::INFINITY),
        _ => value * power(exponent).unwrap_or(f64::INFINITY),
    };
    if exponent > 308 { by(by(value, 308), exponent - 308) } else { by(value, exponent) }
}

/// A document that the server reads as what it says.
#[derive(Debug, Clone, PartialEq)]
pub struct Exact {
    /// It, with other digits for the numbers that would be misread.
    pub text: Vec<u8>,
    /// The few numbers in it that no digits stand for, by their paths.
    pub left: Vec<(String, f64)>,
}

/// The document with other digits for the numbers that the server would not read as what they say; `None` if there are none.
/// What is no JSON is left to the server.
pub fn exact(text: &[u8]) -> Option<Exact> {
    let mut exact: Option<Exact> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at = end_of_string(text, at),
            b'-' | b'0'..=b'9' => {
                let end = end_of_number(text, at);
                if let Some(value) = text.get(at..end).and_then(misread) {
                    let exact = exact.get_or_insert_with(|| Exact {
                        text: Vec::with_capacity(text.len() + 64),
                        left: Vec::new(),
                    });
                    exact.text.extend_from_slice(text.get(copied..at).unwrap_or_default());
                    copied = end;
                    match spell(value) {
                        Some(better) => exact.text.extend_from_slice(better.as_bytes()),
                        None => {
                            exact.text.extend_from_slice(text.get(at..end).unwrap_or_default());
                            exact.left.extend(path_of(text, at).map(|path| (path, value)));
                        }
                    }
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    let mut exact = exact?;
    exact.text.extend_from_slice(text.get(copied..).unwrap_or_default());
    Some(exact)
}

enum Leg {
    Key(Span),
    Index(usize),
}

/// The path of the value that begins at an offset.
fn path_of(text: &[u8], wanted: usize) -> Option<String> {
    let mut legs: Vec<Leg> = Vec::new();
    let mut at = 0;
    while at < wanted {
        match text.get(at)? {
            b'"' => {
                let key = Span::new(at, end_of_string(text, at));
                at = key.end;
                let next = text.get(at..)?.iter().find(|byte| !byte.is_ascii_whitespace());
                if let (Some(Leg::Key(last)), Some(b':')) = (legs.last_mut(), next) {
                    *last = key;
                }
                continue;
            }
            b'{' => legs.push(Leg::Key(Span::new(0, 0))),
            b'[' => legs.push(Leg::Index(0)),
            b'}' | b']' => {
                legs.pop()?;
            }
            b',' => {
                if let Some(Leg::Index(index)) = legs.last_mut() {
                    *index += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    let mut path = String::from("$");
    for leg in legs {
        match leg {
            // A path has keys in the form in which the document has them.
            Leg::Key(span) => path.extend([".", std::str::from_utf8(text.get(span.start..span.end)?).ok()?]),
            Leg::Index(index) => path.extend(["[", &index.to_string(), "]"]),
        }
    }
    Some(path)
}

/// The SQL of a document that the server would misread; `None` if it would not.
pub fn exact_sql(text: &[u8], mode: SqlMode) -> Option<Vec<u8>> {
    sql_of(text, b"", mode)
}

/// With the introducer of the literal where there is more than one literal.
fn sql_of(text: &[u8], introducer: &[u8], mode: SqlMode) -> Option<Vec<u8>> {
    let exact = exact(text)?;
    let mut out = Vec::with_capacity(exact.text.len() + 16);
    if exact.left.is_empty() {
        quote(&exact.text, mode, &mut out);
        return Some(out);
    }
    // The functions take no text of a session whose character set is binary.
    let text = |text: &[u8], out: &mut Vec<u8>| {
        out.extend_from_slice(b"CONVERT(");
        out.extend_from_slice(introducer);
        quote(text, mode, out);
        out.extend_from_slice(b" USING utf8mb4)");
    };
    out.extend_from_slice(b"JSON_REPLACE(");
    text(&exact.text, &mut out);
    for (path, value) in &exact.left {
        out.push(b',');
        text(path.as_bytes(), &mut out);
        out.extend_from_slice(format!(",{value:e}").as_bytes());
    }
    out.push(b')');
    Some(out)
}

fn quote(text: &[u8], mode: SqlMode, out: &mut Vec<u8>) {
    out.push(b'\'');
    for byte in text {
        if *byte == b'\'' || *byte == b'\\' && mode.escapes(b'\'') {
            out.push(*byte);
        }
        out.push(*byte);
    }
    out.push(b'\'');
}

/// The same for a document as an SQL string, `'…'` or `"…"`; `None` also for any other literal.
pub fn exact_literal(literal: &[u8], mode: SqlMode) -> Option<Vec<u8>> {
    exact_literal_behind(b"", literal, mode)
}

/// The same for one behind an introducer such as `_latin1`. What does not begin with a quote is an expression that holds it.
pub fn exact_literal_behind(introducer: &[u8], literal: &[u8], mode: SqlMode) -> Option<Vec<u8>> {
    if !matches!(literal.first(), Some(b'\'' | b'"')) || !may_change(literal) {
        return None;
    }
    let mut text = Vec::with_capacity(literal.len());
    unescape_into(literal, mode, &mut text);
    sql_of(&text, introducer, mode)
}

/// Whether a text, of JSON or an SQL literal of it, may hold a number that [`exact`] changes. A quick look.
pub fn may_change(text: &[u8]) -> bool {
    unsimple(text).next().is_some()
}

/// Bytes that a text of many numbers hardly ever grows by more than.
pub fn likely_growth(text: &[u8]) -> usize {
    match unsimple(text).count() {
        0 => 0,
        // And quotes that a literal may have to double.
        numbers => numbers * 28 + 1024 + memchr::memchr_iter(b'\'', text).count(),
    }
}

/// What may be numbers that are not read in one exact step.
fn unsimple(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        loop {
            at += text.get(at..)?.iter().position(u8::is_ascii_digit)?;
            let begin = at;
            at = end_of_number(text, at);
            let number = text.get(begin..at)?;
            if !is_simple(number) {
                return Some(number);
            }
        }
    })
}

/// One past the closing quote.
fn end_of_string(text: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

fn end_of_number(text: &[u8], begin: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    text[begin..].iter().position(|byte| !is_part(byte)).map_or(text.len(), |length| begin + length)
}

/// Whether it is read in one exact step, as an integer below 2^53 and a small power of ten, or is an integer for sure.
fn is_simple(number: &[u8]) -> bool {
    if number.len() <= 15 && !number.iter().any(|byte| matches!(byte, b'e' | b'E')) {
        return true;
    }
    let (mut digits, mut places, mut is_behind) = (0_i64, 0_i64, false);
    for (at, byte) in number.iter().enumerate() {
        match byte {
            b'0' if digits == 0 => places -= i64::from(is_behind),
            b'0'..=b'9' => {
                digits += 1;
                places -= i64::from(is_behind);
            }
            b'.' => is_behind = true,
            b'e' | b'E' => {
                let text = std::str::from_utf8(&number[at + 1..]).unwrap_or_default();
                let Ok(exponent) = text.parse::<i32>() else { return false };
                let power = i64::from(exponent) + places;
                return digits <= 15 && power.abs() <= EXACT_POWER;
            }
            _ => {}
        }
    }
    if is_behind { digits <= 15 && -places <= EXACT_POWER } else { digits <= 18 }
}

/// What a number says that is read otherwise.
fn misread(number: &[u8]) -> Option<f64> {
    if is_simple(number) {
        return None;
    }
    let text = std::str::from_utf8(number).ok()?;
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
        return None;
    }
    // Rust reads more forms than JSON has; those are for the server to refuse.
    let behind = text.strip_prefix('-').unwrap_or(text);
    let leads = behind.starts_with(|c: char| c.is_ascii_digit()) && !has_leading_zero(behind);
    let value: f64 = text.parse().ok().filter(|value: &f64| leads && value.is_finite())?;
    if !is_json(behind) {
        return None;
    }
    let reading = read(number);
    let is_same =
        reading.is_some_and(|reading| reading.is_sure && reading.value.to_bits() == value.to_bits());
    (!is_same).then_some(value)
}

fn has_leading_zero(digits: &str) -> bool {
    digits.strip_prefix('0').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether each point and sign has its digits.
fn is_json(number: &str) -> bool {
    let has_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match number.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (number, None),
    };
    let (whole, part) =
        mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    has_digits(whole) && part.is_none_or(has_digits) && exponent.is_none_or(has_digits)
}

#[cfg(test)]
mod tests;
