//! Finds equal keys among any number of rows in bounded memory: sorted runs on disk, then one merge.
//!
//! A record is a key of 16 bytes and where its row is. The key is an integer itself, or 128 bits of a strong hash, so two records of one
//! key are two rows of one key (by chance once in 10^19 pairs of a billion rows).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number of its file.
    pub file: u32,
    /// Offset of its first byte in the unpacked file.
    pub at: u64,
}

/// A row's key and place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// The key, see the module.
    pub key: [u8; 16],
    /// The row.
    pub place: Place,
}

const RECORD_BYTES: usize = 28;
/// Buffer of each run while it is merged.
const MERGE_BUFFER: usize = 64 << 10;

impl Record {
    fn encode(&self, out: &mut impl Write) -> io::Result<()> {
        let mut bytes = [0; RECORD_BYTES];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..20].copy_from_slice(&self.place.file.to_be_bytes());
        bytes[20..].copy_from_slice(&self.place.at.to_be_bytes());
        out.write_all(&bytes)
    }

    fn decode(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut bytes = [0; RECORD_BYTES];
        let mut filled = 0;
        while filled < RECORD_BYTES {
            match from.read(&mut bytes[filled..])? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        let (mut key, mut file, mut at) = ([0; 16], [0; 4], [0; 8]);
        key.copy_from_slice(&bytes[..16]);
        file.copy_from_slice(&bytes[16..20]);
        at.copy_from_slice(&bytes[20..]);
        Ok(Some(Self { key, place: Place { file: u32::from_be_bytes(file), at: u64::from_be_bytes(at) } }))
    }
}

/// Collects records; more than the limit go to disk.
#[derive(Debug)]
pub struct Sorter {
    limit: usize,
    buffer: Vec<Record>,
    runs: Vec<File>,
}

impl Sorter {
    /// Keeps at most `bytes` of records in memory. Runs are unnamed files in the system's temporary folder, gone with the process.
    pub fn new(bytes: usize) -> Self {
        Self { limit: (bytes / size_of::<Record>()).max(1024), buffer: Vec::new(), runs: Vec::new() }
    }

    /// Adds records.
    ///
    /// # Errors
    /// A run can't be written.
    pub fn add(&mut self, records: &[Record]) -> io::Result<()> {
        for part in records.chunks(self.limit) {
            if self.buffer.len() + part.len() > self.limit {
                self.spill()?;
            }
            self.buffer.extend_from_slice(part);
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        self.buffer.sort_unstable();
        let mut file = BufWriter::with_capacity(1 << 20, tempfile::tempfile()?);
        for record in &self.buffer {
            record.encode(&mut file)?;
        }
        let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        self.buffer.clear();
        Ok(())
    }

    /// Gives every group of two or more records of one key, in order of key; the places are sorted.
    ///
    /// # Errors
    /// A run can't be read.
    pub fn groups(mut self, mut take: impl FnMut(&[u8; 16], &[Place])) -> io::Result<()> {
        self.buffer.sort_unstable();
        let mut sources: Vec<Box<dyn Iterator<Item = io::Result<Record>>>> = Vec::new();
        sources.push(Box::new(self.buffer.into_iter().map(Ok)));
        for run in self.runs {
            let mut reader = BufReader::with_capacity(MERGE_BUFFER, run);
            sources.push(Box::new(std::iter::from_fn(move || Record::decode(&mut reader).transpose())));
        }
        let mut heap = BinaryHeap::new();
        for (index, source) in sources.iter_mut().enumerate() {
            if let Some(record) = source.next().transpose()? {
                heap.push(Reverse((record, index)));
            }
        }
        let mut key = [0; 16];
        let mut places: Vec<Place> = Vec::new();
        while let Some(Reverse((record, index))) = heap.pop() {
            if let Some(next) = sources[index].next().transpose()? {
                heap.push(Reverse((next, index)));
            }
            if record.key != key || places.is_empty() {
                if places.len() > 1 {
                    take(&key, &places);
                }
                key = record.key;
                places.clear();
            }
            places.push(record.place);
        }
        if places.len() > 1 {
            take(&key, &places);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(key: u8, file: u32, at: u64) -> Record {
        Record { key: [key; 16], place: Place { file, at } }
    }

    #[test]
    fn groups_are_the_same_with_and_without_runs() {
        let records: Vec<Record> =
            (0..20_000u64).map(|n| record((n * 7919 % 251) as u8, (n % 5) as u32, n)).collect();
        let groups = |bytes| {
            let mut sorter = Sorter::new(bytes);
            records.chunks(333).for_each(|part| sorter.add(part).expect("add"));
            let mut found = Vec::new();
            let runs = sorter.runs.len();
            sorter.groups(|key, places| found.push((key[0], places.to_vec()))).expect("merge");
            (runs, found)
        };
        let ((none, in_memory), (some, on_disk)) = (groups(1 << 30), groups(0));
        assert_eq!(none, 0);
        assert!(some > 10, "{some}");
        assert_eq!(in_memory, on_disk);
        assert_eq!(on_disk.len(), 251);
        assert_eq!(on_disk.iter().map(|(_, places)| places.len()).sum::<usize>(), 20_000);
    }

    #[test]
    fn single_keys_are_no_group() {
        let mut sorter = Sorter::new(1 << 20);
        sorter.add(&[record(0, 0, 1), record(1, 0, 2), record(2, 1, 3), record(1, 1, 9)]).expect("add");
        let mut found = Vec::new();
        sorter.groups(|key, places| found.push((key[0], places.to_vec()))).expect("merge");
        assert_eq!(found, [(1, vec![Place { file: 0, at: 2 }, Place { file: 1, at: 9 }])]);
    }
}
