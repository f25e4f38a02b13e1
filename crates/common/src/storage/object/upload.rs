//! Writing: small files with one request, larger ones in parts that travel side by side.
//!
//! States of a sink: gathering (no upload begun), uploading, over (finished or failed). Parts are of equal size for the first
//! 1000 (8 GiB), which is what services such as R2 want of all parts; then they grow, so that the 10,000 parts that S3
//! allows reach its 5 TiB.

use std::sync::Arc;

use futures::future::BoxFuture;
use object_store::{
    Error as CloudError, MultipartId, ObjectStoreExt, PutPayload, multipart::PartId, path::Path,
};
use tokio::task::JoinSet;
use tracing::warn;

use super::{ABORT_WAIT, Bucket, attempt, failure, io_runtime};
use crate::storage::{Result, Sink, StorageError};

/// Size of the first parts.
const FIRST: usize = 8 << 20;
/// So many parts have the first size.
const EQUAL: usize = 1000;
/// Then parts grow by two fifths every so many.
const STEP: usize = 500;
/// Parts of a file that travel at once, while they are small.
const SIDE_BY_SIDE: usize = 3;

/// The size of a part, the first one being 0.
pub(super) fn part_size(index: usize) -> usize {
    let growths = if index < EQUAL { 0 } else { (index - EQUAL) / STEP + 1 };
    // 18 growths at most in 10,000 parts.
    (0..growths.min(18)).fold(FIRST, |size, _| size / 5 * 7)
}

/// How many parts of a size travel at once: large ones go one by one, for the memory's sake.
fn side_by_side(size: usize) -> usize {
    (FIRST * SIDE_BY_SIDE / size).clamp(1, SIDE_BY_SIDE)
}

/// A file in the making.
pub(super) struct Upload {
    bucket: Arc<Bucket>,
    path: Path,
    uri: String,
    /// The part being filled.
    buffer: Vec<u8>,
    written: u64,
    /// `None`: gathering, or over.
    begun: Option<Begun>,
    failed: bool,
}

struct Begun {
    id: MultipartId,
    sending: JoinSet<std::result::Result<(usize, PartId), CloudError>>,
    done: Vec<(usize, PartId)>,
    /// Parts given to `sending`.
    parts: usize,
}

impl Upload {
    pub(super) fn new(bucket: Arc<Bucket>, path: Path, uri: String) -> Self {
        Self { bucket, path, uri, buffer: Vec::new(), written: 0, begun: None, failed: false }
    }

    async fn append(&mut self, mut bytes: &[u8]) -> Result<()> {
        if self.failed {
            let cause = std::io::Error::other("an earlier write failed");
            return Err(StorageError::from_io(self.uri.clone(), "write", cause));
        }
        self.written += bytes.len() as u64;
        while !bytes.is_empty() {
            let size = part_size(self.begun.as_ref().map_or(0, |begun| begun.parts));
            let room = size.saturating_sub(self.buffer.len()).min(bytes.len());
            self.buffer.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            // A file that ends exactly here is still written with one request.
            if self.buffer.len() >= size && !bytes.is_empty() {
                self.send_part().await?;
            }
        }
        Ok(())
    }

    /// Gives the buffer to a task; waits while too many are on the way.
    async fn send_part(&mut self) -> Result<()> {
        let sent = match self.begun.take() {
            Some(begun) => Ok(begun),
            None => self.begin().await,
        };
        let mut begun = match sent {
            Ok(begun) => begun,
            Err(error) => return Err(self.fail(error)),
        };
        let limit = side_by_side(self.buffer.len());
        let waited = begun.wait_for_fewer_than(limit).await;
        let index = begun.parts;
        let next = part_size(index + 1);
        let part =
            bytes::Bytes::from(std::mem::replace(&mut self.buffer, Vec::with_capacity(next.min(FIRST))));
        let runtime = io_runtime();
        if let (Ok(()), Ok(runtime)) = (&waited, &runtime) {
            begun.parts += 1;
            let (bucket, path, id) = (Arc::clone(&self.bucket), self.path.clone(), begun.id.clone());
            let send = async move {
                let clients = bucket.clients().await?;
                let client = if part.len() > FIRST { &clients.large } else { &clients.usual };
                let put = || client.put_part(&path, &id, index, PutPayload::from(part.clone()));
                attempt("write a part of a file", put).await.map(|part| (index, part))
            };
            begun.sending.spawn_on(send, runtime.handle());
        }
        // Put back first: a failed upload is aborted when the sink is dropped.
        self.begun = Some(begun);
        runtime?;
        waited.map_err(|error| self.fail(error))
    }

    async fn begin(&self) -> std::result::Result<Begun, CloudError> {
        let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
        let begin = async move {
            let usual = &bucket.clients().await?.usual;
            let begin = || usual.create_multipart_opts(&path, bucket.multipart_options());
            attempt("begin a file of parts", begin).await
        };
        let id = on_io(begin).await?;
        Ok(Begun { id, sending: JoinSet::new(), done: Vec::new(), parts: 0 })
    }

    async fn end(&mut self) -> Result<u64> {
        if self.failed {
            let cause = std::io::Error::other("an earlier write failed");
            return Err(StorageError::from_io(self.uri.clone(), "finish", cause));
        }
        if self.begun.is_none() {
            let (bucket, path) = (Arc::clone(&self.bucket), self.path.clone());
            let bytes = bytes::Bytes::from(std::mem::take(&mut self.buffer));
            let put = on_io(async move { bucket.put(&path, bytes).await }).await;
            return put.map(|()| self.written).map_err(|error| failure(&self.uri, "finish", &error));
        }
        self.send_part().await?;
        let Some(begun) = &mut self.begun else { return Ok(self.written) };
        if let Err(error) = begun.wait_for_fewer_than(1).await {
            return Err(self.fail(error));
        }
        let mut parts = std::mem::take(&mut begun.done);
        parts.sort_by_key(|(index, _)| *index);
        let parts: Vec<PartId> = parts.into_iter().map(|(_, part)| part).collect();
        let (bucket, path, id, size) =
            (Arc::clone(&self.bucket), self.path.clone(), begun.id.clone(), self.written);
        let completed = on_io(async move { complete(&bucket, &path, &id, parts, size).await }).await;
        match completed {
            Ok(()) => self.begun = None,
            Err(error) => return Err(self.fail(error)),
        }
        Ok(self.written)
    }

    fn fail(&mut self, error: CloudError) -> StorageError {
        self.failed = true;
        self.buffer = Vec::new();
        failure(&self.uri, "write", &error)
    }
}

/// Makes the file visible. When the answer was lost, the repeated request finds the upload gone: then the file is looked at.
async fn complete(
    bucket: &Bucket,
    path: &Path,
    id: &MultipartId,
    parts: Vec<PartId>,
    size: u64,
) -> std::result::Result<(), CloudError> {
    // A large file may take the service minutes.
    let large = &bucket.clients().await?.large;
    let end = || large.complete_multipart(path, id, parts.clone());
    match attempt("complete a file of parts", end).await {
        Ok(_done) => Ok(()),
        Err(gone @ CloudError::NotFound { .. }) => {
            match attempt("look at a file", || large.head(path)).await {
                Ok(meta) if meta.size == size => Ok(()),
                _ => Err(gone),
            }
        }
        Err(error) => Err(error),
    }
}

impl Begun {
    async fn wait_for_fewer_than(&mut self, limit: usize) -> std::result::Result<(), CloudError> {
        while self.sending.len() >= limit {
            match self.sending.join_next().await {
                None => break,
                Some(ended) => self.done.push(ended??),
            }
        }
        Ok(())
    }
}

/// Runs on the storage's runtime.
async fn on_io<T: Send + 'static>(
    run: impl Future<Output = std::result::Result<T, CloudError>> + Send + 'static,
) -> std::result::Result<T, CloudError> {
    match io_runtime() {
        Ok(runtime) => runtime.spawn(run).await?,
        Err(error) => Err(CloudError::Generic { store: "storage", source: Box::new(error) }),
    }
}

impl Drop for Upload {
    /// Parts of a file that nobody finishes cost money until they are removed.
    fn drop(&mut self) {
        let Some(mut begun) = self.begun.take() else { return };
        let (bucket, path, uri) = (Arc::clone(&self.bucket), self.path.clone(), self.uri.clone());
        let abort = async move {
            // A part that comes after the abort would stay.
            begun.sending.shutdown().await;
            let usual = &bucket.clients().await?.usual;
            attempt("abort a file of parts", || usual.abort_multipart(&path, &begun.id)).await
        };
        let (answer, ended) = std::sync::mpsc::channel();
        let Ok(runtime) = io_runtime() else { return };
        drop(runtime.spawn(async move {
            let _nobody_waits = answer.send(abort.await);
        }));
        match ended.recv_timeout(ABORT_WAIT) {
            Ok(Ok(()) | Err(CloudError::NotFound { .. })) => {}
            Ok(Err(error)) => {
                warn!(file = %uri, error = %failure(&uri, "abort", &error), "parts of an unfinished file may be left in the bucket");
            }
            Err(_late) => {
                warn!(file = %uri, "parts of an unfinished file may be left in the bucket: the service did not answer in time");
            }
        }
    }
}

impl Sink for Upload {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.append(bytes))
    }

    fn finish(mut self: Box<Self>) -> BoxFuture<'static, Result<u64>> {
        Box::pin(async move { self.end().await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_parts_reach_five_tebibytes() {
        let sizes: Vec<u64> = (0..10_000).map(|index| part_size(index) as u64).collect();
        assert!(sizes.iter().sum::<u64>() >= 5 << 40);
        assert!(sizes.iter().all(|size| (5 << 20..=5 << 30).contains(size)), "S3's limits of a part");
        assert!(sizes[..EQUAL].iter().all(|size| *size == sizes[0]) && sizes.is_sorted());
    }

    #[test]
    fn parts_on_the_way_take_bounded_memory() {
        assert_eq!(side_by_side(FIRST), 3);
        assert_eq!(side_by_side(FIRST / 2), 3);
        assert_eq!(side_by_side(part_size(1000)), 2);
        assert_eq!(side_by_side(part_size(9999)), 1);
    }
}
