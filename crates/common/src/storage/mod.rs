//! Where dumps are written and read: one narrow trait, one file per provider.
//!
//! Names are relative, with `/` between folders, and never leave the storage. Invariants that every provider keeps
//! (see the contract tests):
//! 1. A file stands under its name only after [`Sink::finish`] returned, and then it is whole and durable.
//! 2. A [`Sink`] that is dropped leaves nothing under the name.
//! 3. [`Storage::walk`] lists finished files only, sorted by name in byte order.

mod local;
mod noop;
mod object;
mod url;

use std::{fmt, io, path::PathBuf, sync::Arc};

use futures::future::BoxFuture;

pub use local::LocalStorage;
pub use noop::NoopStorage;
pub use url::Options;

/// Why an operation on a storage failed. The variants are what a caller can decide on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum StorageError {
    #[error("{uri}: there is no such file")]
    NotFound { uri: String },
    /// The medium is full: free room, then go on.
    #[error("{uri}: cannot {action}: no space left; free some, then run again")]
    Full { uri: String, action: &'static str },
    #[error("{uri}: cannot {action}: permission denied")]
    Denied { uri: String, action: &'static str },
    #[error("storage name {name:?} is not a relative path inside the storage")]
    BadName { name: String },
    #[error(
        "{url}: this kind of storage is not supported; there are local paths, file, local, s3, gcs, gs, azure, azblob and noop"
    )]
    Unsupported { url: String },
    /// The URL or a flag says something that can't be done.
    #[error("{uri}: {what}")]
    Config { uri: String, what: String },
    #[error("{uri}: cannot {action}: {cause}")]
    Io {
        uri: String,
        action: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl StorageError {
    /// Sorts an I/O error; `action` is a bare verb such as `write`.
    pub fn from_io(uri: impl Into<String>, action: &'static str, cause: io::Error) -> Self {
        let uri = uri.into();
        match cause.kind() {
            // When something is made it is the folder above that is not there, or that can't hold files (such as `/proc`).
            io::ErrorKind::NotFound if !matches!(action, "create" | "create the folder") => {
                Self::NotFound { uri }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { uri, action },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { uri, action }
            }
            _ => Self::Io { uri, action, cause },
        }
    }

    /// Whether the same call can't succeed later without somebody's help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Io { cause, .. } => !matches!(
                cause.kind(),
                io::ErrorKind::Interrupted | io::ErrorKind::TimedOut | io::ErrorKind::ConnectionReset
            ),
            _ => true,
        }
    }
}

/// A finished file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Relative name.
    pub name: String,
    /// Bytes.
    pub size: u64,
}

/// Result of a storage call.
pub type Result<T> = std::result::Result<T, StorageError>;

/// A place for files. Shared by all tasks; every call may run concurrently with every other.
///
/// No call is cancel-safe unless it says so: a dropped future may leave an unfinished file, which (invariant 1) no
/// reader sees.
pub trait Storage: Send + Sync + fmt::Debug {
    /// What users are shown: without secrets.
    fn uri(&self) -> &str;

    /// Begins a file, and its folders. Two sinks of one name at a time are the caller's error.
    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Box<dyn Sink>>>;

    /// Opens a finished file for reading anywhere.
    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn RangeReader>>>;

    /// All finished files in all folders.
    fn walk(&self) -> BoxFuture<'_, Result<Vec<Entry>>>;

    /// Whether a finished file stands there.
    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// Removes a file; one that is not there is no error.
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>>;

    /// A whole small file.
    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>>>;

    /// Writes a whole small file; a reader sees the old content or the new.
    fn write<'a>(&'a self, name: &'a str, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// The file's path, where it is on a local disk.
    fn local_path(&self, name: &str) -> Option<PathBuf>;
}

/// A file in the making. Give it large pieces (64 KiB and more): each call may be a system call.
pub trait Sink: Send {
    /// Appends. After an error the sink is only good for dropping.
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>>;

    /// Makes the file durable and visible, and returns its size in bytes.
    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u64>>;
}

/// A finished file open for reading. Shared by tasks that read different parts at once.
pub trait RangeReader: Send + Sync + fmt::Debug {
    /// Size in bytes when it was opened.
    fn size(&self) -> u64;

    /// Reads from `offset` up to the length of `buffer`; fewer bytes only at the end of the file.
    fn read_at<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> BoxFuture<'a, Result<usize>>;

    /// The same for a thread that may block.
    ///
    /// # Errors
    /// See [`StorageError`].
    fn read_at_blocking(&self, offset: u64, buffer: &mut [u8]) -> Result<usize>;
}

/// Opens the storage that a path or URL names. `options` are values of flags, which the URL overrides; a storage in a network is
/// not spoken to before its first use.
///
/// # Errors
/// [`StorageError::Unsupported`] for another scheme, [`StorageError::Config`] for parameters that can't be used.
pub fn open(url: &str, options: &Options) -> Result<Arc<dyn Storage>> {
    let Some((scheme, path)) = url.split_once("://") else {
        return Ok(Arc::new(LocalStorage::new(url)));
    };
    match scheme.to_ascii_lowercase().as_str() {
        // Parameters have no meaning on a disk.
        "file" | "local" => {
            let path = path.split_once('?').map_or(path, |(path, _query)| path);
            Ok(Arc::new(LocalStorage::new(path)))
        }
        "noop" => Ok(Arc::new(NoopStorage)),
        other => match object::ObjectStorage::from_url(url, other, options) {
            Some(opened) => Ok(Arc::new(opened?)),
            None => Err(StorageError::Unsupported { url: hide_query(url) }),
        },
    }
}

/// The URL without its parameters, which may be keys: for logs and for records of what was read.
pub fn without_parameters(url: &str) -> &str {
    match url.contains("://") {
        true => url.split_once('?').map_or(url, |(head, _secrets)| head),
        false => url,
    }
}

/// A URL's query may hold keys.
fn hide_query(url: &str) -> String {
    url.split_once('?').map_or_else(|| url.into(), |(head, _secret)| format!("{head}?…"))
}

/// Checks a name: relative, no empty, `.` or `..` part, no NUL.
fn check_name(name: &str) -> Result<()> {
    let bad_part = |part: &str| matches!(part, "" | "." | "..");
    if name.split('/').any(bad_part) || name.contains('\0') {
        return Err(StorageError::BadName { name: name.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("runtime").block_on(future)
    }

    #[test]
    fn nothing_is_kept_by_noop() {
        let storage = open("noop://", &Options::default()).expect("noop");
        block(async {
            let mut sink = storage.create("a").await.expect("create");
            sink.write(b"12345").await.expect("write");
            assert_eq!(sink.finish().await.expect("finish"), 5);
            assert!(storage.walk().await.expect("walk").is_empty());
            assert!(matches!(storage.read("a").await, Err(StorageError::NotFound { .. })));
        });
    }

    #[test]
    fn urls() {
        let open = |url| open(url, &Options::default());
        assert_eq!(open("file:///a/b?x=y").expect("local").uri(), "/a/b");
        assert_eq!(open("x/y").expect("local").uri(), "x/y");
        let error = open("ks3://bucket/p?secret-access-key=k").expect_err("ks3").to_string();
        assert!(error.starts_with("ks3://bucket/p?…: this kind of storage is not supported"), "{error}");
        assert_eq!(
            open("S3://bucket/p/?access-key=a&secret-access-key=k").expect("s3").uri(),
            "s3://bucket/p"
        );
    }
}
