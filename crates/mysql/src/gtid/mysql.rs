//! MySQL's sets: per source and tag a list of intervals.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{GtidError, malformed, pieces};

/// The UUID of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid(pub [u8; 16]);

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Sid {
    type Err = GtidError;

    /// With dashes at their places or without any, in either case.
    fn from_str(text: &str) -> Result<Self, GtidError> {
        let bytes = text.as_bytes();
        let dashed = bytes.len() == 36;
        let mut digits = Vec::with_capacity(32);
        for (i, byte) in bytes.iter().enumerate() {
            if dashed && matches!(i, 8 | 13 | 18 | 23) {
                if *byte != b'-' {
                    return Err(malformed(text, "no UUID"));
                }
                continue;
            }
            let digit = char::from(*byte).to_digit(16).ok_or_else(|| malformed(text, "no UUID"))?;
            digits.push(digit as u8);
        }
        let mut out = [0u8; 16];
        if digits.len() != 32 {
            return Err(malformed(text, "no UUID"));
        }
        for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Ok(Sid(out))
    }
}

/// The highest transaction number there can be (`GNO_END - 1`).
const GNO_MAX: u64 = i64::MAX as u64 - 1;

/// Numbers `start..end`, sorted, apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Intervals(Vec<(u64, u64)>);

impl Intervals {
    fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        // The common case: the number after the last one.
        if let Some(last) = self.0.last_mut()
            && start >= last.0
        {
            if start <= last.1 {
                last.1 = last.1.max(end);
            } else {
                self.0.push((start, end));
            }
            return;
        }
        let first = self.0.partition_point(|interval| interval.1 < start);
        let after = self.0.partition_point(|interval| interval.0 <= end);
        let joined = self.0[first..after]
            .iter()
            .fold((start, end), |(low, high), interval| (low.min(interval.0), high.max(interval.1)));
        self.0.splice(first..after, [joined]);
    }

    fn remove(&mut self, start: u64, end: u64) {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        for &(low, high) in &self.0 {
            if low < start.min(high) {
                out.push((low, start.min(high)));
            }
            if end.max(low) < high {
                out.push((end.max(low), high));
            }
        }
        if start < end {
            self.0 = out;
        }
    }

    fn contains(&self, start: u64, end: u64) -> bool {
        let at = self.0.partition_point(|interval| interval.1 <= start);
        self.0.get(at).is_some_and(|interval| interval.0 <= start && end <= interval.1)
    }
}

/// A set of MySQL transactions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MySqlGtids {
    /// By source and tag (empty for none); no entry is empty.
    sets: BTreeMap<(Sid, String), Intervals>,
}

impl MySqlGtids {
    /// Whether there is no transaction in it.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// How many transactions are in it.
    pub fn count(&self) -> u64 {
        self.sets
            .values()
            .flat_map(|set| &set.0)
            .fold(0, |sum, (start, end)| u64::saturating_add(sum, end - start))
    }

    /// The sources in it.
    pub fn sids(&self) -> impl Iterator<Item = Sid> {
        let mut last = None;
        self.sets.keys().map(|(sid, _)| *sid).filter(move |sid| last.replace(*sid) != Some(*sid))
    }

    /// Whether every transaction of `other` is in this set.
    pub fn contains(&self, other: &Self) -> bool {
        other.sets.iter().all(|(key, theirs)| {
            self.sets
                .get(key)
                .is_some_and(|mine| theirs.0.iter().all(|(start, end)| mine.contains(*start, *end)))
        })
    }

    /// Whether this transaction is in the set.
    pub fn contains_one(&self, sid: Sid, tag: &str, gno: u64) -> bool {
        // Looked up by an owned key; a tag is mostly empty, which allocates nothing.
        self.sets
            .get(&(sid, tag.to_owned()))
            .is_some_and(|set| gno.checked_add(1).is_some_and(|end| set.contains(gno, end)))
    }

    /// Puts one transaction into the set; numbers that no server gives (0, the last) are left out.
    pub fn add(&mut self, sid: Sid, tag: &str, gno: u64) {
        if (1..=GNO_MAX).contains(&gno) {
            self.add_interval(sid, tag, gno, gno + 1);
        }
    }

    /// Puts the transactions `start..end` into the set.
    pub fn add_interval(&mut self, sid: Sid, tag: &str, start: u64, end: u64) {
        if start < end {
            self.sets.entry((sid, tag.to_owned())).or_default().insert(start, end);
        }
    }

    /// Puts every transaction of `other` into this set.
    pub fn union(&mut self, other: &Self) {
        for ((sid, tag), theirs) in &other.sets {
            let mine = self.sets.entry((*sid, tag.clone())).or_default();
            for (start, end) in &theirs.0 {
                mine.insert(*start, *end);
            }
        }
    }

    /// Takes every transaction of `other` out of this set.
    pub fn subtract(&mut self, other: &Self) {
        for (key, theirs) in &other.sets {
            if let Some(mine) = self.sets.get_mut(key) {
                for (start, end) in &theirs.0 {
                    mine.remove(*start, *end);
                }
                if mine.0.is_empty() {
                    self.sets.remove(key);
                }
            }
        }
    }

    /// Source, tag (empty for none) and the intervals `start..end`, in order.
    pub fn intervals(&self) -> impl Iterator<Item = (Sid, &str, &[(u64, u64)])> {
        self.sets.iter().map(|((sid, tag), set)| (*sid, tag.as_str(), set.0.as_slice()))
    }

    /// The set as COM_BINLOG_DUMP_GTID carries it: count, then for each source its UUID and intervals, numbers of 8
    /// bytes, little endian. A set with tags takes the form of 8.3 and later, which older servers do not read.
    pub fn encode(&self) -> Vec<u8> {
        let tagged = self.sets.keys().any(|(_, tag)| !tag.is_empty());
        let count = self.sets.len() as u64;
        // Tagged: the format in the highest byte, the count in the six bytes before the lowest.
        let header = if tagged { count << 8 | 1 << 56 } else { count };
        let mut out = header.to_le_bytes().to_vec();
        for ((sid, tag), set) in &self.sets {
            out.extend_from_slice(&sid.0);
            if tagged {
                // A length below 128 in the server's variable-length form; tags have at most 32 bytes.
                out.push((tag.len() as u8) << 1);
                out.extend_from_slice(tag.as_bytes());
            }
            out.extend_from_slice(&(set.0.len() as u64).to_le_bytes());
            for (start, end) in &set.0 {
                out.extend_from_slice(&start.to_le_bytes());
                out.extend_from_slice(&end.to_le_bytes());
            }
        }
        out
    }
}

/// One line, pieces joined by commas, as `gtid_executed` without its line ends.
impl fmt::Display for MySqlGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = None;
        for ((sid, tag), set) in &self.sets {
            if last != Some(*sid) {
                write!(f, "{}{sid}", if last.is_some() { "," } else { "" })?;
                last = Some(*sid);
            }
            if !tag.is_empty() {
                write!(f, ":{tag}")?;
            }
            for (start, end) in &set.0 {
                match end - start {
                    1 => write!(f, ":{start}")?,
                    _ => write!(f, ":{start}-{}", end - 1)?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for MySqlGtids {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut out = Self::default();
        for piece in pieces(text) {
            let wrong = |problem| malformed(&piece, problem);
            let mut parts = piece.split(':');
            let sid: Sid = parts
                .next()
                .unwrap_or_default()
                .parse()
                .map_err(|_| wrong("it does not begin with a UUID"))?;
            let mut tag = String::new();
            let mut open = true;
            for part in parts {
                if part.starts_with(|c: char| c.is_ascii_digit()) {
                    let (start, end) = interval(part).map_err(wrong)?;
                    out.add_interval(sid, &tag, start, end);
                    open = false;
                } else {
                    tag =
                        read_tag(part).ok_or_else(|| wrong("neither an interval nor a tag after a colon"))?;
                    open = true;
                }
            }
            if open {
                return Err(wrong("no interval after the UUID or tag"));
            }
        }
        Ok(out)
    }
}

/// `7` or `1-5`, as `start..end`.
fn interval(part: &str) -> Result<(u64, u64), &'static str> {
    let number = |digits: &str| -> Result<u64, &'static str> {
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err("no number in an interval");
        }
        let value: u64 = digits.parse().map_err(|_| "a number above the highest there can be")?;
        match value {
            0 => Err("transactions are numbered from 1"),
            1..=GNO_MAX => Ok(value),
            _ => Err("a number above the highest there can be"),
        }
    };
    let (start, last) = match part.split_once('-') {
        Some((start, last)) => (number(start)?, number(last)?),
        None => (number(part)?, number(part)?),
    };
    if start > last { Err("an interval that ends before it begins") } else { Ok((start, last + 1)) }
}

/// Up to 32 of `a-z0-9_`, no digit first; capitals are the same letters.
fn read_tag(part: &str) -> Option<String> {
    let tag = part.to_ascii_lowercase();
    let ok = (1..=32).contains(&tag.len())
        && tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !tag.starts_with(|c: char| c.is_ascii_digit());
    ok.then_some(tag)
}
