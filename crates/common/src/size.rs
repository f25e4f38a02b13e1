//! Byte sizes as the tools take and print them. Facts: dumpling.md 1.4, lightning.md 1.1.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One mebibyte.
pub const MIB: u64 = 1 << 20;

/// A text that is no size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a size: write a number with an optional unit, such as 256MiB, 10G or 128B")]
pub struct SizeError(pub String);

/// A number of bytes. In configuration files an integer (bytes) or a string with a binary unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    /// A decimal number, at most one blank, and a unit: `b`, or one of `k m g t p` with an optional `b` or
    /// `ib`, in any case. All units are binary: `KB`, `KiB` and `k` are 1024.
    fn from_str(text: &str) -> Result<Self, SizeError> {
        parse_units(text).map(ByteSize).ok_or_else(|| SizeError(text.into()))
    }
}

fn parse_units(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let shift = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 10,
        "m" | "mb" | "mib" => 20,
        "g" | "gb" | "gib" => 30,
        "t" | "tb" | "tib" => 40,
        "p" | "pb" | "pib" => 50,
        _ => return None,
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift);
    }
    if number.starts_with('.') && number.len() == 1 {
        return None;
    }
    let value = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (value.is_finite() && value < u64::MAX as f64).then_some(value as u64)
}

/// The value of Dumpling's `-F`: a bare number means MiB (and deserves a warning), else [`ByteSize`].
///
/// Returns the bytes and whether the unit was missing.
///
/// # Errors
/// The text is no size.
pub fn parse_filesize_flag(text: &str) -> Result<(ByteSize, bool), SizeError> {
    match text.parse::<u64>() {
        Ok(mib) => {
            mib.checked_mul(MIB).map(|bytes| (ByteSize(bytes), true)).ok_or_else(|| SizeError(text.into()))
        }
        Err(_) => Ok((text.parse()?, false)),
    }
}

/// Four significant digits and a binary unit: `186.2KiB`, `5.54MiB`, `0B`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        human(f, self.0 as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"])
    }
}

/// A byte count printed with decimal units: `1.234MB` (Dumpling's `finished size`).
#[derive(Debug, Clone, Copy)]
pub struct DecimalSize(pub u64);

impl fmt::Display for DecimalSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        human(f, self.0 as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"])
    }
}

fn human(f: &mut fmt::Formatter<'_>, mut value: f64, base: f64, units: &[&str]) -> fmt::Result {
    let mut i = 0;
    while value >= base && i + 1 < units.len() {
        value /= base;
        i += 1;
    }
    // Like %.4g of C: four digits in all, no zeros at the end.
    let decimals = match value {
        v if v >= 999.95 => 0,
        v if v >= 99.995 => 1,
        v if v >= 9.9995 => 2,
        _ => 3,
    };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    write!(f, "{text}{}", units[i])
}

impl Serialize for ByteSize {
    /// As the number of bytes, as Lightning prints its configuration.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size: an integer, or a string such as \"256MiB\"")
            }

            fn visit_u64<E>(self, v: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(v))
            }

            fn visit_i64<E: serde::de::Error>(self, v: i64) -> Result<ByteSize, E> {
                u64::try_from(v).map(ByteSize).map_err(|_| E::custom("a size can't be negative"))
            }

            fn visit_str<E: serde::de::Error>(self, v: &str) -> Result<ByteSize, E> {
                v.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<u64> {
        text.parse::<ByteSize>().ok().map(|s| s.0)
    }

    #[test]
    fn every_unit_is_binary() {
        for (text, expected) in [
            ("128B", 128),
            ("100 KB", 102_400),
            ("1k", 1024),
            ("1KiB", 1024),
            ("1.5GiB", 3 << 29),
            ("256mb", 256 << 20),
            ("2T", 2 << 40),
            ("1pib", 1 << 50),
            ("42", 42),
            ("0.5k", 512),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text}");
        }
        for bad in
            ["", "abc", "-1k", "1  k", "1kbb", "1kibs", ".", "1e3", "99999999999P", "1.2.3", " 1k", "k"]
        {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn filesize_flag_without_unit_is_mib() {
        assert_eq!(parse_filesize_flag("64"), Ok((ByteSize(64 << 20), true)));
        assert_eq!(parse_filesize_flag("256MB"), Ok((ByteSize(256 << 20), false)));
        assert_eq!(parse_filesize_flag("8KB"), Ok((ByteSize(8192), false)));
        assert!(parse_filesize_flag("abc").is_err());
    }

    #[test]
    fn printing() {
        for (n, expected) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1KiB"),
            (190_669, "186.2KiB"),
            (5_809_111, "5.54MiB"),
            (256 << 20, "256MiB"),
        ] {
            assert_eq!(ByteSize(n).to_string(), expected);
        }
        assert_eq!(DecimalSize(1_234_567).to_string(), "1.235MB");
    }

    #[test]
    fn serde_takes_numbers_and_strings() {
        assert_eq!(serde_yaml::from_str::<ByteSize>("96KiB").unwrap().0, 96 << 10);
        assert_eq!(serde_yaml::from_str::<ByteSize>("12").unwrap().0, 12);
        assert!(serde_yaml::from_str::<ByteSize>("-1").is_err());
        assert_eq!(serde_json::to_string(&ByteSize(7)).unwrap(), "7");
    }
}
