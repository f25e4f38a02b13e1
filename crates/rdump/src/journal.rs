//! The journal of an unfinished dump: which tables are whole, so that `--resume` need not dump them again, and which chunks of the
//! others are finished, for `--resume-chunks`.
//!
//! Order of effects: files are durable, then their line is appended and synced. Lines are synced many at a time: a line that is
//! not there yet only means that a resumed dump does its table or chunk again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use common::dumpfile::JOURNAL;
use common::manifest::{DoneChunk, DoneTable};
use common::storage::{Storage, StorageError};

/// What is appended.
struct Line {
    bytes: Vec<u8>,
    /// Of a chunk, not of a whole table.
    chunk: bool,
}

/// The writing end; a thread of its own waits for the disk.
#[derive(Debug)]
pub struct Journal {
    lines: Option<mpsc::Sender<Line>>,
    thread: Option<std::thread::JoinHandle<()>>,
    failure: Arc<Mutex<Option<StorageError>>>,
}

impl Journal {
    /// Goes on with the folder's journal, or begins one. A storage that is not on a local disk has none.
    ///
    /// # Errors
    /// The file can't be opened.
    pub fn open(storage: &dyn Storage) -> Result<Journal, StorageError> {
        let failure = Arc::new(Mutex::new(None));
        let Some(path) = storage.local_path(JOURNAL) else {
            return Ok(Journal { lines: None, thread: None, failure });
        };
        let error = |cause| StorageError::from_io(path.display().to_string(), "create", cause);
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(error)?;
        common::crashsafe::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(error)?;
        let (lines, receiver) = mpsc::channel();
        let failed = Arc::clone(&failure);
        let name = path.clone();
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || write(&name, file, &receiver, &failed))
            .map_err(error)?;
        Ok(Journal { lines: Some(lines), thread: Some(thread), failure })
    }

    /// The table is whole.
    pub fn add(&self, table: &DoneTable) {
        self.send(|| Line { bytes: table.render(), chunk: false });
    }

    /// The chunk is finished.
    pub fn add_chunk(&self, chunk: impl FnOnce() -> DoneChunk) {
        self.send(|| Line { bytes: chunk().render(), chunk: true });
    }

    fn send(&self, line: impl FnOnce() -> Line) {
        if let Some(lines) = &self.lines {
            // The thread ends early only with a failure, which is asked for.
            let _ = lines.send(line());
        }
    }

    /// Why lines can't be written, once.
    ///
    /// # Errors
    /// The disk's.
    pub fn check(&self) -> Result<(), StorageError> {
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Drop for Journal {
    /// Waits until the lines so far are synced.
    fn drop(&mut self) {
        self.lines = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, mut file: File, lines: &mpsc::Receiver<Line>, failure: &Mutex<Option<StorageError>>) {
    while let Ok(Line { mut bytes, mut chunk }) = lines.recv() {
        while let Ok(more) = lines.try_recv() {
            bytes.extend(more.bytes);
            chunk |= more.chunk;
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if let Err(cause) = written {
            let error = StorageError::from_io(path.display().to_string(), "write", cause);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return;
        }
        common::failpoint::hit("rdump-journal-synced");
        if chunk {
            common::failpoint::hit("rdump-journal-chunk-synced");
        }
    }
}
