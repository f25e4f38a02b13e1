//! MariaDB's positions: per domain the last transaction, perhaps of several servers.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::{Gtid, GtidError, malformed, pieces};

/// A MariaDB position. In a domain all transactions up to its highest sequence number are in it, whichever server they
/// came from; the list of servers (as `gtid_binlog_state` gives it) is kept for display.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct MariaDbGtids {
    /// Domain, server id, sequence number; no domain is empty.
    domains: BTreeMap<u32, BTreeMap<u32, u64>>,
}

impl MariaDbGtids {
    /// Whether there is no domain in it.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// The highest sequence number of a domain, with its server.
    pub fn last(&self, domain: u32) -> Option<Gtid> {
        let (server_id, seq) = self.domains.get(&domain)?.iter().max_by_key(|(_, seq)| **seq)?;
        Some(Gtid::MariaDb { domain, server_id: *server_id, seq: *seq })
    }

    /// One transaction for each domain, the last: what `gtid_slave_pos` and `@slave_connect_state` take, where a
    /// domain may stand once only.
    pub fn position(&self) -> Vec<Gtid> {
        self.domains.keys().filter_map(|domain| self.last(*domain)).collect()
    }

    fn last_seq(&self, domain: u32) -> Option<u64> {
        self.domains.get(&domain)?.values().copied().max()
    }

    /// Whether this position is not before `other` in any domain of `other`.
    pub fn contains(&self, other: &Self) -> bool {
        other.domains.keys().all(|domain| self.last_seq(*domain) >= other.last_seq(*domain))
    }

    /// Whether this transaction is in the position.
    pub fn contains_one(&self, domain: u32, seq: u64) -> bool {
        self.last_seq(domain).is_some_and(|last| last >= seq)
    }

    /// Moves the position of a domain, never back.
    pub fn add(&mut self, domain: u32, server_id: u32, seq: u64) {
        let last = self.domains.entry(domain).or_default().entry(server_id).or_insert(seq);
        *last = (*last).max(seq);
    }

    /// The later one of both positions in each domain.
    pub fn union(&mut self, other: &Self) {
        for (domain, servers) in &other.domains {
            for (server_id, seq) in servers {
                self.add(*domain, *server_id, *seq);
            }
        }
    }

    /// Drops the domains in which this position is not beyond the other.
    pub fn subtract(&mut self, other: &Self) {
        self.domains.retain(|domain, servers| servers.values().copied().max() > other.last_seq(*domain));
    }
}

impl fmt::Display for MariaDbGtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for (domain, servers) in &self.domains {
            for (server_id, seq) in servers {
                write!(f, "{comma}{domain}-{server_id}-{seq}")?;
                comma = ",";
            }
        }
        Ok(())
    }
}

impl FromStr for MariaDbGtids {
    type Err = GtidError;

    fn from_str(text: &str) -> Result<Self, GtidError> {
        let mut out = Self::default();
        for piece in pieces(text) {
            let wrong = || malformed(&piece, "not of the form domain-server-sequence");
            let mut parts = piece.split('-');
            let mut number = || -> Result<u64, GtidError> {
                let digits = parts.next().ok_or_else(wrong)?;
                if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                    return Err(wrong());
                }
                digits.parse().map_err(|_| malformed(&piece, "a number above the highest there can be"))
            };
            let small = |value: u64| {
                u32::try_from(value).map_err(|_| malformed(&piece, "a number above the highest there can be"))
            };
            let (domain, server_id, seq) = (small(number()?)?, small(number()?)?, number()?);
            if parts.next().is_some() {
                return Err(wrong());
            }
            out.add(domain, server_id, seq);
        }
        Ok(out)
    }
}
