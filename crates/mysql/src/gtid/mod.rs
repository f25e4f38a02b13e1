//! Sets of transactions, in the two forms there are: MySQL's `uuid:1-5:7` (8.3 and later also with tags) and MariaDB's
//! `domain-server-sequence`.
//!
//! No I/O. Text is taken as the servers print it, over several lines too; it is given back on one line, in order,
//! with joined intervals.

mod mariadb;
mod mysql;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use mariadb::MariaDbGtids;
pub use mysql::{MySqlGtids, Sid};

use crate::version::Flavor;

/// Why a text is no GTID set, or two sets can't be put together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GtidError {
    /// A piece that can't be read.
    #[error("`{piece}` in a GTID set: {problem}")]
    Malformed {
        /// The piece between two commas.
        piece: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A MySQL and a MariaDB set together.
    #[error("a MySQL GTID set and a MariaDB GTID set can't be combined")]
    Mixed,
}

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Gtid {
    /// `uuid:gno` or `uuid:tag:gno`.
    MySql {
        /// The server where it was committed first.
        sid: Sid,
        /// Its tag, empty for none.
        tag: String,
        /// Its number, from 1.
        gno: u64,
    },
    /// `domain-server-sequence`.
    MariaDb {
        /// Replication domain.
        domain: u32,
        /// `server_id` where it was committed first.
        server_id: u32,
        /// Its number in the domain.
        seq: u64,
    },
}

impl fmt::Display for Gtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Gtid::MySql { sid, tag, gno } if tag.is_empty() => write!(f, "{sid}:{gno}"),
            Gtid::MySql { sid, tag, gno } => write!(f, "{sid}:{tag}:{gno}"),
            Gtid::MariaDb { domain, server_id, seq } => write!(f, "{domain}-{server_id}-{seq}"),
        }
    }
}

/// A set of transactions of one family. Empty sets of the two families differ, but go with either.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GtidSet {
    /// Of MySQL.
    MySql(MySqlGtids),
    /// Of MariaDB.
    MariaDb(MariaDbGtids),
}

impl GtidSet {
    /// The empty set of a server family (TiDB counts as MySQL).
    pub fn empty(flavor: Flavor) -> Self {
        match flavor {
            Flavor::MariaDb => GtidSet::MariaDb(MariaDbGtids::default()),
            Flavor::MySql | Flavor::TiDb => GtidSet::MySql(MySqlGtids::default()),
        }
    }

    /// Reads the text of a set of this family. Blanks, line ends and empty pieces between commas do not count.
    ///
    /// # Errors
    /// [`GtidError::Malformed`].
    pub fn parse(flavor: Flavor, text: &str) -> Result<Self, GtidError> {
        match flavor {
            Flavor::MariaDb => text.parse().map(GtidSet::MariaDb),
            Flavor::MySql | Flavor::TiDb => text.parse().map(GtidSet::MySql),
        }
    }

    /// The family: MySQL or MariaDB.
    pub fn flavor(&self) -> Flavor {
        match self {
            GtidSet::MySql(_) => Flavor::MySql,
            GtidSet::MariaDb(_) => Flavor::MariaDb,
        }
    }

    /// Whether there is no transaction in it.
    pub fn is_empty(&self) -> bool {
        match self {
            GtidSet::MySql(set) => set.is_empty(),
            GtidSet::MariaDb(set) => set.is_empty(),
        }
    }

    /// Whether every transaction of `other` is in this set. For MariaDB: whether this position is not before the other
    /// one in any of its domains.
    pub fn contains(&self, other: &GtidSet) -> bool {
        match (self, other) {
            (GtidSet::MySql(a), GtidSet::MySql(b)) => a.contains(b),
            (GtidSet::MariaDb(a), GtidSet::MariaDb(b)) => a.contains(b),
            _ => other.is_empty(),
        }
    }

    /// Whether this transaction is in the set.
    pub fn contains_gtid(&self, gtid: &Gtid) -> bool {
        match (self, gtid) {
            (GtidSet::MySql(set), Gtid::MySql { sid, tag, gno }) => set.contains_one(*sid, tag, *gno),
            (GtidSet::MariaDb(set), Gtid::MariaDb { domain, seq, .. }) => set.contains_one(*domain, *seq),
            _ => false,
        }
    }

    /// Puts every transaction of `other` into this set.
    ///
    /// # Errors
    /// [`GtidError::Mixed`] if neither is empty and they are of two families.
    pub fn union(&mut self, other: &GtidSet) -> Result<(), GtidError> {
        match (&mut *self, other) {
            (GtidSet::MySql(a), GtidSet::MySql(b)) => a.union(b),
            (GtidSet::MariaDb(a), GtidSet::MariaDb(b)) => a.union(b),
            (_, other) if other.is_empty() => {}
            (mine, other) if mine.is_empty() => *mine = other.clone(),
            _ => return Err(GtidError::Mixed),
        }
        Ok(())
    }

    /// Takes every transaction of `other` out of this set. For MariaDB: drops the domains in which this position is
    /// not beyond the other one.
    ///
    /// # Errors
    /// [`GtidError::Mixed`] if neither is empty and they are of two families.
    pub fn subtract(&mut self, other: &GtidSet) -> Result<(), GtidError> {
        match (&mut *self, other) {
            (GtidSet::MySql(a), GtidSet::MySql(b)) => a.subtract(b),
            (GtidSet::MariaDb(a), GtidSet::MariaDb(b)) => a.subtract(b),
            (mine, other) if mine.is_empty() || other.is_empty() => {}
            _ => return Err(GtidError::Mixed),
        }
        Ok(())
    }

    /// Puts one transaction into this set. For MariaDB the position of its domain moves there, never back.
    ///
    /// # Errors
    /// [`GtidError::Mixed`] if the set is not empty and of the other family.
    pub fn add(&mut self, gtid: &Gtid) -> Result<(), GtidError> {
        match (&mut *self, gtid) {
            (GtidSet::MySql(set), Gtid::MySql { sid, tag, gno }) => set.add(*sid, tag, *gno),
            (GtidSet::MariaDb(set), Gtid::MariaDb { domain, server_id, seq }) => {
                set.add(*domain, *server_id, *seq);
            }
            (mine, gtid) if mine.is_empty() => {
                *mine = match gtid {
                    Gtid::MySql { .. } => GtidSet::empty(Flavor::MySql),
                    Gtid::MariaDb { .. } => GtidSet::empty(Flavor::MariaDb),
                };
                mine.add(gtid)?;
            }
            _ => return Err(GtidError::Mixed),
        }
        Ok(())
    }

    /// The MySQL set, if it is one.
    pub fn as_mysql(&self) -> Option<&MySqlGtids> {
        match self {
            GtidSet::MySql(set) => Some(set),
            GtidSet::MariaDb(_) => None,
        }
    }

    /// The MariaDB set, if it is one.
    pub fn as_mariadb(&self) -> Option<&MariaDbGtids> {
        match self {
            GtidSet::MariaDb(set) => Some(set),
            GtidSet::MySql(_) => None,
        }
    }
}

impl fmt::Display for GtidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GtidSet::MySql(set) => set.fmt(f),
            GtidSet::MariaDb(set) => set.fmt(f),
        }
    }
}

/// Sees by the text which family it is; the empty text is an empty MySQL set.
impl FromStr for GtidSet {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mariadb = !text.contains(':') && text.contains('-');
        Self::parse(if mariadb { Flavor::MariaDb } else { Flavor::MySql }, text)
    }
}

/// The pieces between commas, without blanks.
fn pieces(text: &str) -> impl Iterator<Item = String> {
    text.split(',')
        .map(|piece| piece.chars().filter(|c| !c.is_whitespace()).collect::<String>())
        .filter(|piece| !piece.is_empty())
}

fn malformed(piece: &str, problem: &'static str) -> GtidError {
    // A piece can be as long as a damaged file.
    GtidError::Malformed { piece: piece.chars().take(100).collect(), problem }
}
