//! Which rows of which events a target transaction holds, in the form that the ledger keeps.
//!
//! A row is named by the end of its event in the binlog, the number of the event inside a compressed transaction (0 outside) and
//! its number in the event. The form: version, then for each event file number, position, inner number, count of ranges, and the
//! ranges (distance from the end of the last one, length); all as variable-length numbers.

use std::collections::HashMap;

/// Version of the form.
const VERSION: u8 = 1;

/// Names an event: file number, position of its end, number inside a compressed transaction.
pub type EventKey = (u64, u64, u32);

/// The rows of a transaction, being gathered.
#[derive(Debug, Default, Clone)]
pub struct Coverage {
    events: Vec<(EventKey, Vec<(u32, u32)>)>,
}

impl Coverage {
    /// Adds a row.
    pub fn add(&mut self, event: EventKey, row: u32) {
        match self.events.last_mut() {
            Some((last, ranges)) if *last == event => match ranges.last_mut() {
                Some((start, len)) if *start + *len == row => *len += 1,
                _ => ranges.push((row, 1)),
            },
            _ => self.events.push((event, vec![(row, 1)])),
        }
    }

    /// The form for the ledger.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        for ((sequence, pos, inner), ranges) in &self.events {
            for number in [*sequence, *pos, u64::from(*inner), ranges.len() as u64] {
                put(&mut out, number);
            }
            let mut at = 0;
            for (start, len) in ranges {
                // Rows of one event come in order; one that did not would start a new entry.
                put(&mut out, u64::from(start.wrapping_sub(at)));
                put(&mut out, u64::from(*len));
                at = start.wrapping_add(*len);
            }
        }
        out
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// All rows that the ledger says are applied.
#[derive(Debug, Default, Clone)]
pub struct Applied {
    events: HashMap<EventKey, Vec<(u32, u32)>>,
}

impl Applied {
    /// Adds an entry of the ledger.
    ///
    /// # Errors
    /// An entry that cannot be read, or of a newer form.
    pub fn add(&mut self, mut entry: &[u8]) -> Result<(), String> {
        match entry.split_first() {
            Some((&VERSION, rest)) => entry = rest,
            Some((version, _)) => {
                return Err(format!("a ledger entry has version {version}, this program knows {VERSION}"));
            }
            None => return Err("an empty ledger entry".into()),
        }
        let broken = || "a damaged ledger entry".to_string();
        while !entry.is_empty() {
            let mut next = || take(&mut entry).ok_or_else(broken);
            let (sequence, pos, inner, count) = (next()?, next()?, next()?, next()?);
            let key = (sequence, pos, u32::try_from(inner).map_err(|_| broken())?);
            let mut at: u32 = 0;
            for _ in 0..count {
                let number = |n: u64| u32::try_from(n).map_err(|_| broken());
                let start = at.wrapping_add(number(next()?)?);
                let len = number(next()?)?;
                self.events.entry(key).or_default().push((start, len));
                at = start.wrapping_add(len);
            }
        }
        Ok(())
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Number of events that it knows.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// File number and position of the last event.
    pub fn last(&self) -> Option<(u64, u64)> {
        self.events.keys().map(|(sequence, pos, _)| (*sequence, *pos)).max()
    }

    /// The applied ranges of an event.
    pub fn rows(&self, event: EventKey) -> Option<&[(u32, u32)]> {
        self.events.get(&event).map(Vec::as_slice)
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.events = HashMap::new();
    }
}

/// Whether a row lies in one of the ranges.
pub fn holds(ranges: &[(u32, u32)], row: u32) -> bool {
    ranges.iter().any(|(start, len)| row >= *start && row - *start < *len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_comes_back(rows in prop::collection::vec((0u64..3, 0u64..1 << 40, 0u32..3, 0u32..400), 0..60)) {
            let mut coverage = Coverage::default();
            for (sequence, pos, inner, row) in &rows {
                coverage.add((*sequence, *pos, *inner), *row);
            }
            let mut applied = Applied::default();
            applied.add(&coverage.encode()).unwrap();
            for (sequence, pos, inner, row) in &rows {
                let of = (*sequence, *pos, *inner);
                let ranges = applied.rows(of).unwrap();
                prop_assert!(holds(ranges, *row));
                let other = row + 1;
                let there = rows.iter().any(|(s, p, i, r)| (*s, *p, *i) == of && *r == other);
                prop_assert_eq!(holds(ranges, other), there);
            }
        }

        #[test]
        fn damage_is_an_error_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = Applied::default().add(&bytes);
            let mut bytes = bytes;
            bytes.insert(0, VERSION);
            let _ = Applied::default().add(&bytes);
        }
    }

    #[test]
    fn a_newer_form_is_refused() {
        assert!(Applied::default().add(&[9]).unwrap_err().contains("version 9"));
        assert!(Applied::default().add(&[]).is_err());
    }
}
