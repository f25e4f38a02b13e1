//! The file's bytes as the crate asks for them: pages of one column, one behind the other, through a window that is read ahead.

use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex, PoisonError};

use ::parquet::errors::{ParquetError, Result};
use ::parquet::file::reader::{ChunkReader, Length};
use bytes::Bytes;
use common::storage::RangeReader;

/// A part of a file that is read in sequence.
pub(super) struct Source {
    reader: Arc<dyn RangeReader>,
    /// Nothing is read ahead from here on.
    end: u64,
    /// Bytes that are read at once, where fewer are asked for.
    ahead: usize,
    /// What was read last, and where it begins.
    window: Mutex<(u64, Bytes)>,
}

impl Source {
    /// For parts from anywhere.
    pub(super) fn whole(reader: Arc<dyn RangeReader>) -> Self {
        let end = reader.size();
        Self::part(reader, end, 0)
    }

    /// For the pages of a column that end at `end`.
    pub(super) fn part(reader: Arc<dyn RangeReader>, end: u64, ahead: usize) -> Self {
        Self { reader, end, ahead, window: Mutex::default() }
    }

    /// At least `length` bytes from `start` on, or all up to the end.
    fn bytes(&self, start: u64, length: usize) -> io::Result<Bytes> {
        let mut window = self.window.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bytes) = inside(&window, start).filter(|bytes| bytes.len() >= length) {
            return Ok(bytes);
        }
        let ahead = usize::try_from(self.end.saturating_sub(start)).unwrap_or(usize::MAX).min(self.ahead);
        let left = usize::try_from(self.reader.size().saturating_sub(start)).unwrap_or(usize::MAX);
        let mut buffer = vec![0; length.max(ahead).min(left)];
        let read = self.reader.read_at_blocking(start, &mut buffer).map_err(io::Error::other)?;
        buffer.truncate(read);
        let bytes = Bytes::from(buffer);
        *window = (start, bytes.clone());
        Ok(bytes)
    }
}

fn inside((begin, bytes): &(u64, Bytes), start: u64) -> Option<Bytes> {
    let skipped = usize::try_from(start.checked_sub(*begin)?).ok()?;
    (skipped < bytes.len()).then(|| bytes.slice(skipped..))
}

impl Length for Source {
    fn len(&self) -> u64 {
        self.reader.size()
    }
}

/// Bytes of the window, and behind it those of the file.
pub(super) struct Forward {
    window: Cursor<Bytes>,
    reader: Arc<dyn RangeReader>,
    behind: u64,
}

/// Bytes that are read for the head of a page where nothing is read ahead.
const HEAD: usize = 4 << 10;

impl Read for Forward {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.window.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let mut more = vec![0; HEAD];
        let read = self.reader.read_at_blocking(self.behind, &mut more).map_err(io::Error::other)?;
        more.truncate(read);
        self.behind += read as u64;
        self.window = Cursor::new(Bytes::from(more));
        self.window.read(buffer)
    }
}

impl ChunkReader for Source {
    type T = Forward;

    fn get_read(&self, start: u64) -> Result<Forward> {
        let window = self.bytes(start, 1)?;
        let behind = start + window.len() as u64;
        Ok(Forward { window: Cursor::new(window), reader: Arc::clone(&self.reader), behind })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        let end = start.checked_add(length as u64);
        if end.is_none_or(|end| end > self.reader.size()) {
            let size = self.reader.size();
            return Err(ParquetError::EOF(format!("{length} bytes at {start} of a file of {size}")));
        }
        let bytes = self.bytes(start, length)?;
        if bytes.len() < length {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start}, and there are {}",
                bytes.len()
            )));
        }
        // What lives longer than the window must not keep it.
        Ok(if self.ahead > 0 { Bytes::copy_from_slice(&bytes[..length]) } else { bytes.slice(..length) })
    }
}
