//! The server's texts as values of Parquet.

/// A whole number; `None`: it is none, or too large.
pub(super) fn int(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// One without a sign.
pub(super) fn unsigned(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The bits of a BIT, the highest byte first.
pub(super) fn bits(bytes: &[u8]) -> Option<u64> {
    (bytes.len() <= 8).then(|| bytes.iter().fold(0, |all, byte| all << 8 | u64::from(*byte)))
}

/// Bytes of the longest decimal, of 65 digits.
pub(super) const DECIMAL_BYTES: usize = 28;

/// Bytes that a decimal of so many digits needs.
pub(super) fn decimal_bytes(precision: u32) -> usize {
    // log2(10), and a bit for the sign.
    let bits = f64::from(precision) * std::f64::consts::LOG2_10 + 1.0;
    ((bits / 8.0).ceil() as usize).min(DECIMAL_BYTES)
}

/// A decimal with `scale` digits behind its point, as a number in two's complement without the point. `None`: it is none, or has more
/// digits behind the point, or too many at all.
pub(super) fn decimal(text: &[u8], precision: u32, scale: u32) -> Option<[u8; DECIMAL_BYTES]> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // Limbs, the lowest first.
    let mut limbs = [0u32; DECIMAL_BYTES / 4];
    let (mut seen, mut behind, mut significant) = (false, None, 0u32);
    let mut push = |digit: u32| {
        let mut carry = u64::from(digit);
        for limb in &mut limbs {
            let part = u64::from(*limb) * 10 + carry;
            *limb = part as u32;
            carry = part >> 32;
        }
        significant += u32::from(significant > 0 || digit > 0);
        (carry == 0 && significant <= precision).then_some(())
    };
    for byte in digits {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                behind = behind.map(|count: u32| count + 1);
                push(u32::from(byte - b'0'))?;
            }
            b'.' if behind.is_none() => behind = Some(0),
            _ => return None,
        }
    }
    let missing = scale.checked_sub(behind.unwrap_or(0)).filter(|_| seen)?;
    (0..missing).try_for_each(|_| push(0))?;
    let mut out = [0; DECIMAL_BYTES];
    let mut carry = negative;
    for (number, mut limb) in limbs.into_iter().enumerate() {
        if negative {
            (limb, carry) = (!limb).overflowing_add(u32::from(carry));
        }
        let at = DECIMAL_BYTES - 4 * (number + 1);
        out[at..at + 4].copy_from_slice(&limb.to_be_bytes());
    }
    Some(out)
}

fn number(text: &[u8]) -> Option<i64> {
    let is_number = !text.is_empty() && text.len() <= 9 && text.iter().all(u8::is_ascii_digit);
    is_number.then(|| text.iter().fold(0, |all, digit| all * 10 + i64::from(digit - b'0')))
}

/// Days since 1970 of `2024-02-29`; `None`: there is no such day.
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let mut parts = text.split(|byte| *byte == b'-').map(number);
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        _ => return None,
    };
    if parts.next().is_some() || !(1..=days).contains(&day) || year > 9999 {
        return None;
    }
    // Eras of 400 years that begin with March.
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    i32::try_from(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468).ok()
}

/// Microseconds since midnight of `12:00:00.5`; `None`: it is no time of a day.
pub(super) fn time(text: &[u8]) -> Option<i64> {
    let (clock, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, &b"0"[..]),
    };
    let mut parts = clock.split(|byte| *byte == b':').map(number);
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 || fraction.len() > 6 {
        return None;
    }
    let micros = number(fraction)? * 10i64.pow(6 - fraction.len() as u32);
    Some(((hour * 60 + minute) * 60 + second) * 1_000_000 + micros)
}

/// Microseconds since 1970 of `2024-02-29 12:00:00.5`.
pub(super) fn timestamp(text: &[u8]) -> Option<i64> {
    let at = text.iter().position(|byte| *byte == b' ')?;
    Some(i64::from(date(&text[..at])?) * 86_400_000_000 + time(&text[at + 1..])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        let value = |text: &str, precision, scale| {
            let bytes = decimal(text.as_bytes(), precision, scale)?;
            Some(i128::from_be_bytes(bytes[DECIMAL_BYTES - 16..].try_into().unwrap()))
        };
        assert_eq!(value("-1.05", 5, 2), Some(-105));
        assert_eq!(value("000001.5", 5, 2), Some(150));
        assert_eq!(value("0.00", 1, 2), Some(0));
        assert_eq!(value(&"9".repeat(38), 38, 0), Some(10i128.pow(38) - 1));
        assert_eq!(value("999.99", 5, 2), Some(99_999));
        for wrong in ["1000.00", "1.005", "", "-", ".", "1e5", "1.2.3", " 1"] {
            assert_eq!(value(wrong, 5, 2), None, "{wrong}");
        }
        let most = decimal("9".repeat(65).as_bytes(), 65, 0).unwrap();
        assert_eq!(most[..4], [0, 0xf3, 0x16, 0x27]);
        let least = decimal(format!("-{}", "9".repeat(65)).as_bytes(), 65, 0).unwrap();
        assert!(most.iter().zip(least).rev().skip(1).all(|(a, b)| *a == !b), "{least:?}");
        let bytes: Vec<usize> = [1, 2, 4, 9, 18, 19, 38, 65].map(decimal_bytes).to_vec();
        assert_eq!(bytes, [1, 1, 2, 4, 8, 9, 16, 28]);
    }

    #[test]
    fn days_and_times() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"0000-01-01"), Some(-719_528));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
        assert_eq!(date(b"2024-02-29"), Some(19_782));
        for wrong in ["0000-00-00", "2023-02-29", "2024-00-01", "2024-01-00", "2024-13-01", "x", "", "2024-1"]
        {
            assert_eq!(date(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(time(b"23:59:59.999999"), Some(86_399_999_999));
        assert_eq!(time(b"00:00:01.5"), Some(1_500_000));
        for wrong in ["24:00:00", "-00:00:01", "838:59:59", "00:60:00", "1:2", ""] {
            assert_eq!(time(wrong.as_bytes()), None, "{wrong}");
        }
        assert_eq!(timestamp(b"1969-12-31 23:59:59.999999"), Some(-1));
        assert_eq!(timestamp(b"0000-00-00 00:00:00"), None);
        assert_eq!(bits(&[1, 0]), Some(256));
        assert_eq!(
            (int(b"-5"), unsigned(b"18446744073709551615"), int(b"1.5")),
            (Some(-5), Some(u64::MAX), None)
        );
    }
}
