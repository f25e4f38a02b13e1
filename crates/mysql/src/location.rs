//! A place in a server's binlog.

use std::cmp::Ordering;
use std::fmt;

use crate::gtid::GtidSet;

/// A place in a server's binlog: file and position, perhaps with the set of transactions before it.
///
/// Of two locations of one server the one in the file of the lower number is earlier, then the one of the lower
/// position. Names of relay logs (`mysql-bin|000001.000003`) compare by the number of the source first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Location {
    /// File name without folder; empty for "from the first one".
    pub file: String,
    /// Byte position in the file; the first event stands at 4.
    pub pos: u64,
    /// The transactions before this place, if known.
    pub gtid: Option<GtidSet>,
}

/// Why a text is no location.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no binlog position: expected a form like (mysql-bin.000012, 4567)")]
pub struct LocationError(pub String);

/// The parts of a file name that order it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileOrder<'a> {
    /// Number of the source in a relay log's name; 0 in others.
    source: u64,
    /// Number of the file.
    sequence: u64,
    /// The whole name, so that different names are never equal.
    name: &'a str,
}

impl<'a> FileOrder<'a> {
    fn of(name: &'a str) -> Self {
        let (base, sequence) = name.rsplit_once('.').unwrap_or((name, ""));
        let source = base.rsplit_once('|').map_or("", |(_, source)| source);
        // A name without a number, or with one above all sense, comes first: nothing is known of its place.
        let number = |digits: &str| digits.parse().unwrap_or(0);
        Self { source: number(source), sequence: number(sequence), name }
    }
}

impl Location {
    /// File and position.
    pub fn new(file: impl Into<String>, pos: u64) -> Self {
        Self { file: file.into(), pos, gtid: None }
    }

    /// Adds the transactions before this place.
    pub fn with_gtid(mut self, gtid: GtidSet) -> Self {
        self.gtid = Some(gtid);
        self
    }

    /// By file, then position. GTID sets are not looked at.
    pub fn compare(&self, other: &Location) -> Ordering {
        FileOrder::of(&self.file).cmp(&FileOrder::of(&other.file)).then(self.pos.cmp(&other.pos))
    }

    /// The number of the file, `None` if its name has none.
    pub fn sequence(&self) -> Option<u64> {
        self.file.rsplit_once('.').and_then(|(_, digits)| digits.parse().ok())
    }

    /// File and position as DM writes them: `(mysql-bin.000012, 4567)`.
    pub fn position_text(&self) -> String {
        format!("({}, {})", self.file, self.pos)
    }

    /// Reads what [`position_text`](Self::position_text) gives, or `file:pos`.
    ///
    /// # Errors
    /// [`LocationError`] for everything else.
    pub fn parse_position(text: &str) -> Result<Self, LocationError> {
        let wrong = || LocationError(text.chars().take(200).collect());
        let trimmed = text.trim();
        let (file, pos) = match trimmed.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            Some(inner) => inner.rsplit_once(','),
            None => trimmed.rsplit_once(':'),
        }
        .ok_or_else(wrong)?;
        let digits = pos.trim();
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        Ok(Self::new(file.trim(), digits.parse().map_err(|_| wrong())?))
    }

    /// The file's name in the form of a relay log of source number `source`: `mysql-bin|000001.000003`.
    pub fn relay_file(file: &str, source: u32) -> String {
        match file.rsplit_once('.') {
            Some((base, sequence)) => format!("{base}|{source:06}.{sequence}"),
            None => format!("{file}|{source:06}"),
        }
    }

    /// The file's name at the source: without the number that a relay log's name holds.
    pub fn real_file(&self) -> String {
        match self.file.rsplit_once('.') {
            Some((base, sequence)) => match base.rsplit_once('|') {
                Some((base, _)) => format!("{base}.{sequence}"),
                None => self.file.clone(),
            },
            None => self.file.clone(),
        }
    }
}

/// As [`Location::compare`]; locations that differ only in their GTID sets have no order.
impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.compare(other) {
            Ordering::Equal if self.gtid != other.gtid => None,
            order => Some(order),
        }
    }
}

/// As DM logs it: `position: (mysql-bin.000012, 4567), gtid-set: …`.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position: ({}, {}), gtid-set: ", self.file, self.pos)?;
        match &self.gtid {
            Some(gtid) => write!(f, "{gtid}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_by_number_not_by_text() {
        let order = [
            ("", 0),
            ("mysql-bin.000001", 4),
            ("mysql-bin.000001", 1000),
            ("mysql-bin.000002", 4),
            ("mysql-bin.999999", 4),
            ("mysql-bin.1000000", 4),
            ("mysql-bin|000001.000001", 4),
            ("mysql-bin|000001.000003", 4),
            ("mysql-bin|000002.000001", 4),
        ];
        for (i, (file, pos)) in order.iter().enumerate() {
            for (j, (other_file, other_pos)) in order.iter().enumerate() {
                let (a, b) = (Location::new(*file, *pos), Location::new(*other_file, *other_pos));
                assert_eq!(a.compare(&b), i.cmp(&j), "{a} {b}");
                assert_eq!(a.partial_cmp(&b), Some(i.cmp(&j)));
            }
        }
    }

    #[test]
    fn a_gtid_set_has_no_part_in_the_order() {
        let plain = Location::new("b.000001", 4);
        let gtid = plain.clone().with_gtid("0-1-2".parse().unwrap());
        assert_eq!(plain.compare(&gtid), Ordering::Equal);
        assert_eq!(plain.partial_cmp(&gtid), None);
        assert!(gtid < Location::new("b.000001", 5));
    }

    #[test]
    fn text_both_ways() {
        let at = Location::new("mysql-bin.000012", 4567);
        assert_eq!(at.position_text(), "(mysql-bin.000012, 4567)");
        assert_eq!(Location::parse_position("(mysql-bin.000012, 4567)"), Ok(at.clone()));
        assert_eq!(Location::parse_position(" (mysql-bin.000012,4567) "), Ok(at.clone()));
        assert_eq!(Location::parse_position("mysql-bin.000012:4567"), Ok(at.clone()));
        assert_eq!(Location::parse_position("(, 0)"), Ok(Location::default()));
        for bad in
            ["", "(", "()", "(a)", "(a, )", "(a, -1)", "(a, +1)", "a:b", "a", "(a, 99999999999999999999)"]
        {
            assert!(Location::parse_position(bad).is_err(), "{bad}");
        }
        assert_eq!(at.to_string(), "position: (mysql-bin.000012, 4567), gtid-set: ");
        let with = at.with_gtid("1-2-3".parse().unwrap());
        assert_eq!(with.to_string(), "position: (mysql-bin.000012, 4567), gtid-set: 1-2-3");
    }

    #[test]
    fn names_of_relay_logs() {
        assert_eq!(Location::relay_file("mysql-bin.000003", 1), "mysql-bin|000001.000003");
        assert_eq!(Location::new("mysql-bin|000001.000003", 4).real_file(), "mysql-bin.000003");
        assert_eq!(Location::new("a.b.000003", 4).real_file(), "a.b.000003");
        assert_eq!(Location::new("a.b.000003", 4).sequence(), Some(3));
        assert_eq!(Location::new("a", 4).sequence(), None);
    }
}
