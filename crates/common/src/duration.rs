//! Durations in Go's syntax: `1h30m`, `5m0s`, `270.717µs`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A text that is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a duration: write numbers with units, such as 300ms, 5m or 1h30m")]
pub struct DurationError(pub String);

/// A duration that is not negative, read and printed as Go does it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration(pub Duration);

impl GoDuration {
    /// Whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The value for `std` and tokio.
    pub fn get(self) -> Duration {
        self.0
    }
}

impl From<Duration> for GoDuration {
    fn from(value: Duration) -> Self {
        Self(value)
    }
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        parse(text).map(|nanos| Self(Duration::from_nanos(nanos))).ok_or_else(|| DurationError(text.into()))
    }
}

/// Nanoseconds; `None` if the text is malformed, negative or over 292 years (Go's limit).
fn parse(text: &str) -> Option<u64> {
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Some(0);
    }
    let mut rest = text;
    let mut total: u64 = 0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = |s: &str| s.find(|c: char| !c.is_ascii_digit()).unwrap_or(s.len());
        let (whole, tail) = rest.split_at(digits(rest));
        let (fraction, tail) = match tail.strip_prefix('.') {
            Some(tail) => tail.split_at(digits(tail)),
            None => ("", tail),
        };
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let scale: u64 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        let mut part = whole.checked_mul(scale)?;
        if !fraction.is_empty() {
            let value: f64 = format!("0.{fraction}").parse().ok()?;
            part = part.checked_add((value * scale as f64).round() as u64)?;
        }
        total = total.checked_add(part)?;
        rest = tail;
    }
    (total <= i64::MAX as u64).then_some(total)
}

/// As Go's `Duration.String`: `0s`, `1.5ms`, `36.784416ms`, `5m0s`, `1h0m0.5s`.
impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (scale, unit) = match nanos {
            n if n < 1_000 => (1, "ns"),
            n if n < 1_000_000 => (1_000, "µs"),
            n if n < 1_000_000_000 => (1_000_000, "ms"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if seconds >= 60 {
                    write!(f, "{minutes}m")?;
                }
                return write_fraction(f, nanos % 60_000_000_000, 1_000_000_000, "s");
            }
        };
        write_fraction(f, nanos, scale, unit)
    }
}

fn write_fraction(f: &mut fmt::Formatter<'_>, nanos: u128, scale: u128, unit: &str) -> fmt::Result {
    write!(f, "{}", nanos / scale)?;
    let rest = nanos % scale;
    if rest > 0 {
        let width = scale.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = crate::config::text(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("5m", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("100us", 100_000),
            ("1µs", 1_000),
            ("3ns", 3),
            ("+2ms", 2_000_000),
        ] {
            let d: GoDuration = text.parse().unwrap();
            assert_eq!(d.0.as_nanos(), nanos, "{text}");
        }
        for bad in ["", "5", "m", "-1s", "1 s", "1x", "1.2.3s", ".s", "9999999999h"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad}");
        }
    }

    #[test]
    fn prints_what_go_prints() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (270_717, "270.717µs"),
            (36_784_416, "36.784416ms"),
            (1_000_000_000, "1s"),
            (300_000_000_000, "5m0s"),
            (3_600_500_000_000, "1h0m0.5s"),
        ] {
            assert_eq!(GoDuration(Duration::from_nanos(nanos)).to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn printed_is_read_back(nanos in 0u64..i64::MAX as u64) {
            // The fraction goes through a float, as in Go; below 100 days nothing is lost.
            let nanos = nanos % 8_640_000_000_000_000;
            let d = GoDuration(Duration::from_nanos(nanos));
            proptest::prop_assert_eq!(d.to_string().parse::<GoDuration>().unwrap(), d);
        }
    }
}
