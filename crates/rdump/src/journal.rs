//! The journal of an unfinished dump: which tables are whole, so that `--resume` need not dump them again.
//!
//! Order of effects: a table's files are durable, then its line is appended and synced. Lines are synced many at a time: a
//! line that is not there yet only means that a resumed dump does its table again.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use common::dumpfile::JOURNAL;
use common::manifest::DoneTable;
use common::storage::{Storage, StorageError};

/// The writing end; a thread of its own waits for the disk.
#[derive(Debug)]
pub struct Journal {
    lines: Option<mpsc::Sender<DoneTable>>,
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
    pub fn add(&self, table: DoneTable) {
        if let Some(lines) = &self.lines {
            // The thread ends early only with a failure, which is asked for.
            let _ = lines.send(table);
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

fn write(
    path: &Path,
    mut file: File,
    lines: &mpsc::Receiver<DoneTable>,
    failure: &Mutex<Option<StorageError>>,
) {
    while let Ok(first) = lines.recv() {
        let mut bytes = first.render();
        while let Ok(more) = lines.try_recv() {
            bytes.extend(more.render());
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        if let Err(cause) = written {
            let error = StorageError::from_io(path.display().to_string(), "write", cause);
            *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            return;
        }
        common::failpoint::hit("rdump-journal-synced");
    }
}
