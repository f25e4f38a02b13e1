//! Files on a local disk, written through [`crate::crashsafe`].
//!
//! Calls block for the time of a system call; a slow disk slows the calling task, which is the backpressure wanted.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures::future::{BoxFuture, ready};

use super::{Entry, RangeReader, Result, Sink, Storage, StorageError, check_name};
use crate::crashsafe::{self, AtomicFile, PART_SUFFIX};

/// A folder.
#[derive(Debug)]
pub struct LocalStorage {
    root: PathBuf,
    uri: String,
}

impl LocalStorage {
    /// Names the folder; it is made with the first file.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        let uri = root.display().to_string();
        Self { root, uri }
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        check_name(name)?;
        Ok(self.root.join(name))
    }

    fn begin(&self, name: &str) -> Result<(String, AtomicFile)> {
        let path = self.path(name)?;
        let uri = path.display().to_string();
        let parent = path.parent().unwrap_or(&self.root);
        crashsafe::create_dir_all(parent).map_err(|cause| {
            StorageError::from_io(parent.display().to_string(), "create the folder", cause)
        })?;
        match AtomicFile::create(&path) {
            Ok(file) => Ok((uri, file)),
            Err(cause) => Err(StorageError::from_io(uri, "create", cause)),
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let (uri, mut file) = self.begin(name)?;
        file.write_all(bytes)
            .and_then(|()| file.commit())
            .map_err(|cause| StorageError::from_io(uri, "write", cause))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>> {
        let path = self.path(name)?;
        fs::read(&path).map_err(|cause| StorageError::from_io(path.display().to_string(), "read", cause))
    }

    fn reader(&self, name: &str) -> Result<Arc<dyn RangeReader>> {
        let path = self.path(name)?;
        let uri = path.display().to_string();
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
        match opened {
            Ok((metadata, file)) if metadata.is_file() => {
                Ok(Arc::new(LocalReader { uri, size: metadata.len(), file }))
            }
            Ok(_folder) => {
                Err(StorageError::from_io(uri, "open", io::Error::from(io::ErrorKind::IsADirectory)))
            }
            Err(cause) => Err(StorageError::from_io(uri, "open", cause)),
        }
    }

    fn list(&self) -> Result<Vec<Entry>> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.clone()];
        while let Some(folder) = folders.pop() {
            let error = |cause| StorageError::from_io(folder.display().to_string(), "list", cause);
            let entries = match fs::read_dir(&folder) {
                // Nothing was written yet.
                Err(cause) if cause.kind() == io::ErrorKind::NotFound && folder == self.root => break,
                other => other.map_err(error)?,
            };
            for entry in entries {
                let path = entry.map_err(error)?.path();
                // Follows links, as Lightning's walk does.
                let metadata = fs::metadata(&path).map_err(error)?;
                if metadata.is_dir() {
                    folders.push(path);
                } else if let Some(name) = self.visible_name(&path)? {
                    found.push(Entry { name, size: metadata.len() });
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// The relative name, `None` for an unfinished file.
    fn visible_name(&self, path: &Path) -> Result<Option<String>> {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let Some(name) = relative.to_str() else {
            return Err(StorageError::BadName { name: relative.to_string_lossy().into_owned() });
        };
        Ok((!name.ends_with(PART_SUFFIX)).then(|| name.to_owned()))
    }
}

impl Storage for LocalStorage {
    fn uri(&self) -> &str {
        &self.uri
    }

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        let begun = self.begin(name).map(|(uri, file)| -> Box<dyn Sink> {
            Box::new(LocalSink { uri, file: Some(file), written: 0 })
        });
        Box::pin(ready(begun))
    }

    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn RangeReader>>> {
        Box::pin(ready(self.reader(name)))
    }

    fn walk(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(ready(self.list()))
    }

    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(ready(self.path(name).map(|path| path.is_file())))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        let removed = self.path(name).and_then(|path| {
            crashsafe::remove(&path)
                .map_err(|cause| StorageError::from_io(path.display().to_string(), "delete", cause))
        });
        Box::pin(ready(removed))
    }

    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(ready(self.get(name)))
    }

    fn write<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.put(name, bytes)))
    }

    fn local_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).ok()
    }
}

struct LocalSink {
    uri: String,
    file: Option<AtomicFile>,
    written: u64,
}

impl LocalSink {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(file) = &mut self.file else {
            let cause = io::Error::other("an earlier write failed");
            return Err(StorageError::from_io(self.uri.clone(), "write", cause));
        };
        if let Err(cause) = file.write_all(bytes) {
            // The half-written file gives its room back at once.
            self.file = None;
            return Err(StorageError::from_io(self.uri.clone(), "write", cause));
        }
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn commit(mut self) -> Result<u64> {
        let committed = match self.file.take() {
            Some(file) => file.commit(),
            None => Err(io::Error::other("an earlier write failed")),
        };
        match committed {
            Ok(()) => Ok(self.written),
            Err(cause) => Err(StorageError::from_io(self.uri, "finish", cause)),
        }
    }
}

impl Sink for LocalSink {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(self.append(bytes)))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u64>> {
        // The sync of a large file takes long; other tasks go on meanwhile.
        Box::pin(async move {
            match tokio::runtime::Handle::try_current() {
                Ok(runtime) => {
                    let uri = self.uri.clone();
                    match runtime.spawn_blocking(move || self.commit()).await {
                        Ok(result) => result,
                        Err(failed) => Err(StorageError::from_io(uri, "finish", io::Error::other(failed))),
                    }
                }
                Err(_no_runtime) => self.commit(),
            }
        })
    }
}

#[derive(Debug)]
struct LocalReader {
    uri: String,
    size: u64,
    file: File,
}

impl RangeReader for LocalReader {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> BoxFuture<'a, Result<usize>> {
        Box::pin(ready(self.read_at_blocking(offset, buffer)))
    }

    fn read_at_blocking(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(StorageError::from_io(self.uri.clone(), "read", cause)),
            }
        }
        Ok(filled)
    }
}
