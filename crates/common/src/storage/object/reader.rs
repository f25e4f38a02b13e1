//! Reading: exact ranges where a reader jumps, whole blocks fetched ahead where it goes on.

use std::{
    io,
    ops::Range,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use object_store::{Error as CloudError, GetOptions, GetRange, ObjectMeta, ObjectStore};

use super::{Cloud, attempt, failure, io_runtime};
use crate::storage::{RangeReader, Result, StorageError};

/// What is fetched at once for a reader that goes on.
const BLOCK: u64 = 4 << 20;
/// Blocks kept: the one being read and the next, for two readers of one file.
const KEPT: usize = 4;
/// Places where the next read would go on.
const STREAMS: usize = 8;

type Fetch = Shared<BoxFuture<'static, std::result::Result<Bytes, Arc<StorageError>>>>;

/// A finished file.
pub(super) struct Reader {
    uri: String,
    client: Arc<dyn Cloud>,
    meta: ObjectMeta,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Ends of earlier reads, the latest last.
    ends: Vec<u64>,
    /// Blocks by number, the latest used last.
    blocks: Vec<(u64, Fetch)>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("uri", &self.uri)
            .field("size", &self.meta.size)
            .finish_non_exhaustive()
    }
}

impl Reader {
    pub(super) fn new(uri: String, client: Arc<dyn Cloud>, meta: ObjectMeta) -> Self {
        Self { uri, client, meta, state: Mutex::default() }
    }

    /// Begins to fetch a range; the request runs by itself.
    fn fetch(&self, range: Range<u64>) -> Fetch {
        let (client, meta, uri) = (Arc::clone(&self.client), self.meta.clone(), self.uri.clone());
        let wanted = (range.end - range.start) as usize;
        let get = async move {
            let get = || async {
                // One version only; a service without tags can't promise it.
                let options = GetOptions {
                    if_match: meta.e_tag.clone(),
                    range: Some(GetRange::Bounded(range.clone())),
                    ..GetOptions::default()
                };
                client.get_opts(&meta.location, options).await?.bytes().await
            };
            match attempt("read from a file", get).await {
                Ok(bytes) if bytes.len() == wanted => Ok(bytes),
                Ok(bytes) => {
                    let text = format!("the service gave {} bytes of {wanted}", bytes.len());
                    Err(Arc::new(StorageError::from_io(uri, "read", io::Error::other(text))))
                }
                Err(CloudError::NotFound { .. }) => Err(Arc::new(StorageError::NotFound { uri })),
                Err(error) => Err(Arc::new(failure(&uri, "read", &error))),
            }
        };
        let uri = self.uri.clone();
        let running = io_runtime().map(|runtime| runtime.spawn(get));
        async move {
            match running {
                Ok(running) => running.await.unwrap_or_else(|gone| {
                    Err(Arc::new(StorageError::from_io(uri, "read", io::Error::other(gone))))
                }),
                Err(error) => Err(Arc::new(error)),
            }
        }
        .boxed()
        .shared()
    }

    /// The block, from memory or on its way; the one after it is sent for, too.
    fn block(&self, number: u64) -> Fetch {
        let last = (self.meta.size - 1) / BLOCK;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        // The next one first, so that the wanted one is the latest used.
        for number in [(number + 1).min(last), number] {
            let kept = state.blocks.iter().position(|(other, _)| *other == number);
            let entry = match kept {
                Some(place) => state.blocks.remove(place),
                None => {
                    let range = number * BLOCK..((number + 1) * BLOCK).min(self.meta.size);
                    (number, self.fetch(range))
                }
            };
            state.blocks.push(entry);
        }
        let surplus = state.blocks.len().saturating_sub(KEPT);
        state.blocks.drain(..surplus);
        state.blocks.last().map_or_else(|| self.fetch(0..0), |(_, fetch)| fetch.clone())
    }

    fn forget_blocks(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).blocks.clear();
    }

    /// Whether a read goes on where another one ended; notes where this one ends.
    fn goes_on(&self, from: u64, to: u64) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.ends.iter().position(|end| *end == from);
        if let Some(place) = known {
            state.ends.remove(place);
        }
        if state.ends.len() == STREAMS {
            state.ends.remove(0);
        }
        state.ends.push(to);
        known.is_some()
    }

    async fn fill(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let end = self.meta.size.min(offset.saturating_add(buffer.len() as u64));
        if offset >= end {
            return Ok(0);
        }
        let wanted = (end - offset) as usize;
        if !self.goes_on(offset, end) || wanted as u64 >= BLOCK {
            let bytes = self.fetch(offset..end).await.map_err(|error| copy(&error))?;
            buffer[..wanted].copy_from_slice(&bytes);
            return Ok(wanted);
        }
        let mut at = offset;
        while at < end {
            let number = at / BLOCK;
            let block = match self.block(number).await {
                Ok(block) => block,
                Err(error) => {
                    // A later read tries again.
                    self.forget_blocks();
                    return Err(copy(&error));
                }
            };
            let from = (at - number * BLOCK) as usize;
            let count = (block.len() - from).min((end - at) as usize);
            let to = (at - offset) as usize;
            buffer[to..to + count].copy_from_slice(&block[from..from + count]);
            at += count as u64;
        }
        Ok(wanted)
    }
}

/// The same error for another reader of the same block.
fn copy(error: &StorageError) -> StorageError {
    match error {
        StorageError::NotFound { uri } => StorageError::NotFound { uri: uri.clone() },
        StorageError::Io { uri, action, cause } => StorageError::Io {
            uri: uri.clone(),
            action,
            cause: io::Error::new(cause.kind(), cause.to_string()),
        },
        other => StorageError::from_io("object storage", "read", io::Error::other(other.to_string())),
    }
}

impl RangeReader for Reader {
    fn size(&self) -> u64 {
        self.meta.size
    }

    fn read_at<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> BoxFuture<'a, Result<usize>> {
        Box::pin(self.fill(offset, buffer))
    }

    fn read_at_blocking(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        // The request runs on the storage's runtime; this thread only waits, whatever runtime it belongs to.
        futures::executor::block_on(self.fill(offset, buffer))
    }
}
