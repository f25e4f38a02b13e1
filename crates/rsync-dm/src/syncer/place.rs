//! Places in a source's binlog, cheap to copy and to compare.

use std::{cmp::Ordering, fmt, sync::Arc};

use mysql::{GtidSet, Location};

/// A byte position in a file. Ordered by the file's number, then the position.
#[derive(Debug, Clone)]
pub struct Place {
    /// The file's number.
    pub sequence: u64,
    /// The file's name.
    pub file: Arc<str>,
    /// Position in it, not cut to 32 bits.
    pub pos: u64,
}

impl Place {
    /// A position in a file.
    pub fn new(file: &str, pos: u64) -> Self {
        let sequence = Location::new(file, pos).sequence().unwrap_or(0);
        Self { sequence, file: file.into(), pos }
    }

    /// Another position in the same file.
    pub fn at(&self, pos: u64) -> Self {
        Self { sequence: self.sequence, file: self.file.clone(), pos }
    }

    /// The key under which the ledger knows it.
    pub fn key(&self) -> (u64, u64) {
        (self.sequence, self.pos)
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Place {}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// `(mysql-bin.000002, 55196)`
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({}, {})", self.file, self.pos)
    }
}

/// A place with the transactions before it, where they are known. Compared by place alone: all spots of one comparison come
/// from one server.
#[derive(Debug, Clone)]
pub struct Spot {
    /// File and position.
    pub place: Place,
    /// The transactions before it.
    pub gtid: Option<Arc<GtidSet>>,
}

impl Spot {
    /// Reads a location of a configuration or checkpoint.
    pub fn of(location: &Location) -> Self {
        Self { place: Place::new(&location.file, location.pos), gtid: location.gtid.clone().map(Arc::new) }
    }

    /// As a location.
    pub fn location(&self) -> Location {
        Location {
            file: self.place.file.to_string(),
            pos: self.place.pos,
            gtid: self.gtid.as_deref().cloned(),
        }
    }

    /// The GTID set as text; empty if it is not known.
    pub fn gtid_text(&self) -> String {
        self.gtid.as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

impl PartialEq for Spot {
    fn eq(&self, other: &Self) -> bool {
        self.place == other.place
    }
}

impl Eq for Spot {}

impl PartialOrd for Spot {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Spot {
    fn cmp(&self, other: &Self) -> Ordering {
        self.place.cmp(&other.place)
    }
}

/// `position: (mysql-bin.000002, 55044), gtid-set: …`, as DM prints it.
impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "position: {}, gtid-set: {}", self.place, self.gtid_text())
    }
}
