//! Numbers as text.

use std::io::Write;

static PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut i = 0;
    while i < 100 {
        pairs[2 * i] = b'0' + (i / 10) as u8;
        pairs[2 * i + 1] = b'0' + (i % 10) as u8;
        i += 1;
    }
    pairs
};

pub(crate) fn push_u64(out: &mut Vec<u8>, mut value: u64) {
    let mut buffer = [0; 20];
    let mut at = buffer.len();
    while value >= 100 {
        let pair = (value % 100) as usize * 2;
        value /= 100;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    }
    if value >= 10 {
        let pair = value as usize * 2;
        at -= 2;
        buffer[at..at + 2].copy_from_slice(&PAIRS[pair..pair + 2]);
    } else {
        at -= 1;
        buffer[at] = b'0' + value as u8;
    }
    out.extend_from_slice(&buffer[at..]);
}

pub(crate) fn push_i64(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    push_u64(out, value.unsigned_abs());
}

/// Two digits of a number below 100.
#[inline]
pub(crate) fn push_two(out: &mut Vec<u8>, value: u8) {
    let pair = usize::from(value % 100) * 2;
    out.extend_from_slice(&PAIRS[pair..pair + 2]);
}

/// Four digits of a number below 10000.
#[inline]
pub(crate) fn push_four(out: &mut Vec<u8>, value: u16) {
    push_two(out, (value / 100) as u8);
    push_two(out, (value % 100) as u8);
}

/// With leading zeros up to `digits`, at most 9.
pub(crate) fn push_padded(out: &mut Vec<u8>, value: u32, digits: usize) {
    let mut buffer = [b'0'; 10];
    let mut rest = value;
    for place in buffer.iter_mut().rev().take(digits) {
        *place = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&buffer[10 - digits.min(10)..]);
}

/// The shortest text with an exponent that reads back as the same number, so that SQL takes it as a DOUBLE.
pub(crate) fn push_exponent(out: &mut Vec<u8>, value: f64) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value:e}");
}

static HEX: [u8; 16] = *b"0123456789ABCDEF";

pub(crate) fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(2 * bytes.len());
    out.extend(bytes.iter().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]));
}

/// A double as MySQL prints it in SELECT and in JSON: the shortest digits that read back, plain where that needs no more
/// than 15 places or 14 zeros, else with an exponent (`1e20`, `1.5e-17`).
pub(crate) fn push_double(out: &mut Vec<u8>, value: f64) {
    let mut text = [0; 40];
    let mut cursor = &mut text[..];
    let _ = write!(cursor, "{value:e}");
    let left = cursor.len();
    push_mysql(out, &text[..40 - left]);
}

/// A float as MySQL would print it with all its digits.
pub(crate) fn push_float(out: &mut Vec<u8>, value: f32) {
    let mut text = [0; 40];
    let mut cursor = &mut text[..];
    let _ = write!(cursor, "{value:e}");
    let left = cursor.len();
    push_mysql(out, &text[..40 - left]);
}

/// From Rust's `-d.ddde-7` to MySQL's form.
fn push_mysql(out: &mut Vec<u8>, text: &[u8]) {
    let (sign, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let split = text.iter().position(|byte| *byte == b'e').unwrap_or(text.len());
    let exponent: i32 = std::str::from_utf8(text.get(split + 1..).unwrap_or_default())
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut digits = [0; 24];
    let mut count = 0;
    for byte in text[..split].iter().filter(|byte| byte.is_ascii_digit()).take(24) {
        digits[count] = *byte;
        count += 1;
    }
    let digits = &digits[..count];
    if sign {
        out.push(b'-');
    }
    // Number of digits before the point.
    let point = exponent + 1;
    write_digits(out, digits, point);
}

/// `digits` with the point after the first `point` of them: plain as long as MySQL does that, else with an exponent.
fn write_digits(out: &mut Vec<u8>, digits: &[u8], point: i32) {
    let len = digits.len() as i32;
    if point >= -14 && (point <= 15 || len > point) {
        if point <= 0 {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', -point as usize));
            out.extend_from_slice(digits);
        } else if point >= len {
            out.extend_from_slice(digits);
            out.extend(std::iter::repeat_n(b'0', (point - len) as usize));
        } else {
            let (whole, part) = digits.split_at(point as usize);
            out.extend_from_slice(whole);
            out.push(b'.');
            out.extend_from_slice(part);
        }
        return;
    }
    let (first, rest) = digits.split_at(1.min(digits.len()));
    out.extend_from_slice(first);
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest);
    }
    out.push(b'e');
    push_i64(out, i64::from(point - 1));
}
