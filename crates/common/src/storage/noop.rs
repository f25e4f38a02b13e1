//! Throws everything away: for measurements, and to see what a dump would write.

use std::path::PathBuf;
use std::sync::Arc;

use futures::future::{BoxFuture, ready};

use super::{Entry, RangeReader, Result, Sink, Storage, StorageError, check_name};

/// See the module. It keeps the contract but for one thing: finished files are not there.
#[derive(Debug, Clone, Copy)]
pub struct NoopStorage;

impl NoopStorage {
    fn missing<T>(name: &str) -> Result<T> {
        Err(StorageError::NotFound { uri: format!("noop://{name}") })
    }
}

impl Storage for NoopStorage {
    fn uri(&self) -> &str {
        "noop://"
    }

    fn create<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Box<dyn Sink>>> {
        let sink = check_name(name).map(|()| -> Box<dyn Sink> { Box::new(NoopSink(0)) });
        Box::pin(ready(sink))
    }

    fn open<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Arc<dyn RangeReader>>> {
        Box::pin(ready(Self::missing(name)))
    }

    fn walk(&self) -> BoxFuture<'_, Result<Vec<Entry>>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn exists<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(ready(check_name(name).map(|()| false)))
    }

    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(check_name(name)))
    }

    fn read<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<u8>>> {
        Box::pin(ready(Self::missing(name)))
    }

    fn write<'a>(&'a self, name: &'a str, _bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(ready(check_name(name)))
    }

    fn local_path(&self, _name: &str) -> Option<PathBuf> {
        None
    }
}

struct NoopSink(u64);

impl Sink for NoopSink {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        self.0 += bytes.len() as u64;
        Box::pin(ready(Ok(())))
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, Result<u64>> {
        Box::pin(ready(Ok(self.0)))
    }
}
