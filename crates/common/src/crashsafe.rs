//! The one way to put a file on disk so that a crash leaves either the old state or the new one.
//!
//! Order of effects: the bytes go to `NAME.part` in the same folder, are synced, the file gets its name, the folder is
//! synced. Before the rename nothing stands under the name; after it the content is whole.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// What an unfinished file is called: its name and this.
pub const PART_SUFFIX: &str = ".part";

/// Makes the folder and its parents; each new one is synced into its parent.
///
/// # Errors
/// What the file system says.
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dir_all(parent)?;
    }
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        // A file is in the way; `File exists` would not tell that.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is not a folder", path.display())))
        }
        Err(error) => Err(error),
        Ok(()) => sync_dir(parent.unwrap_or(Path::new("."))),
    }
}

/// Syncs a folder, so that names made or removed in it survive a crash.
///
/// # Errors
/// What the file system says.
pub fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a whole file.
///
/// # Errors
/// What the file system says; then the old file, or none, stands there.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes)?;
    file.commit()
}

/// Removes a file for good.
///
/// # Errors
/// What the file system says; a file that is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(folder_of(path)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Bytes after which the disk begins to write, so that the sync at the end has little left to wait for.
const WRITEBACK_EVERY: u64 = 8 << 20;

/// Asks the kernel to begin writing, without waiting for it. Only a hint: errors show at the sync.
#[cfg(target_os = "linux")]
fn start_writeback(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else { return };
    // SAFETY: a system call on a file that is open, without memory of ours.
    unsafe { libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE) };
}

#[cfg(not(target_os = "linux"))]
fn start_writeback(_file: &File, _offset: u64, _length: u64) {}

/// A file in the making. Dropped without [`AtomicFile::commit`], it leaves nothing.
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    part: PathBuf,
    file: Option<File>,
    written: u64,
    /// Up to here the kernel was asked to write to the disk.
    started: u64,
}

impl AtomicFile {
    /// Begins a file; one left by a killed run is written over.
    ///
    /// # Errors
    /// What the file system says.
    pub fn create(path: &Path) -> io::Result<Self> {
        let mut part = path.as_os_str().to_owned();
        part.push(PART_SUFFIX);
        let part = PathBuf::from(part);
        let file = OpenOptions::new().write(true).create(true).truncate(true).open(&part)?;
        Ok(Self { path: path.into(), part, file: Some(file), written: 0, started: 0 })
    }

    /// Syncs the content and gives the file its name.
    ///
    /// # Errors
    /// What the file system says; then nothing new stands under the name.
    pub fn commit(mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            file.sync_all()?;
        }
        crate::failpoint::hit("crashsafe-before-rename");
        fs::rename(&self.part, &self.path)?;
        self.file = None;
        sync_dir(folder_of(&self.path))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(file) = self.file.as_mut() else { return Ok(0) };
        let count = file.write(bytes)?;
        self.written += count as u64;
        if self.written - self.started >= WRITEBACK_EVERY {
            start_writeback(file, self.started, self.written - self.started);
            self.started = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Left behind it does no harm: it is written over, and nothing reads a `.part`.
            let _left = fs::remove_file(&self.part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("f");
        let mut file = AtomicFile::create(&path).expect("create");
        file.write_all(b"half").expect("write");
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
        write_atomic(&path, b"one").expect("write");
        write_atomic(&path, b"two").expect("write");
        assert_eq!(fs::read(&path).expect("read"), b"two");
        remove(&path).expect("remove");
        remove(&path).expect("remove what is not there");
        assert_eq!(fs::read_dir(folder.path()).expect("list").count(), 0);
    }

    #[test]
    fn folders_are_made_with_their_parents() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("a/b/c");
        create_dir_all(&path).expect("create");
        create_dir_all(&path).expect("again");
        assert!(path.is_dir());
        fs::write(path.join("f"), b"").expect("write");
        assert!(create_dir_all(&path.join("f/g")).is_err());
    }
}
