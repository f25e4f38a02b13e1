//! Reads a source's binlog ahead of the rest, in batches, within a budget of bytes.
//!
//! Ends with the first error; who takes the batches decides whether and from where to open another.

use std::sync::Arc;

use futures::FutureExt;
use mysql::{
    Endpoint,
    wire::{BinlogRequest, BinlogStream},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

/// Bytes at which a batch is handed on though more is there.
const BATCH_BYTES: usize = 256 * 1024;

/// Unit of the budget.
const GRAIN: usize = 4096;

/// Whole frames, one after the other.
#[derive(Debug)]
pub struct Batch {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    _permit: OwnedSemaphorePermit,
}

impl Batch {
    /// Number of frames.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of all frames.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A frame.
    pub fn frame(&self, n: usize) -> &[u8] {
        let from = if n == 0 { 0 } else { self.ends[n - 1] };
        &self.bytes[from..self.ends[n]]
    }
}

/// The reading end. Dropping it ends the stream.
#[derive(Debug)]
pub struct Reader {
    batches: mpsc::Receiver<Result<Batch, mysql::Error>>,
    /// See [`Reader::server`].
    server: String,
    _task: AbortOnDropHandle<()>,
}

impl Reader {
    /// Opens a stream and starts to read ahead, at most about `budget` bytes.
    ///
    /// # Errors
    /// As [`BinlogStream::open`].
    pub async fn open(
        endpoint: &Endpoint,
        request: &BinlogRequest,
        budget: usize,
    ) -> Result<Self, mysql::Error> {
        let stream = BinlogStream::open(endpoint, request).await?;
        let server = stream.server().to_owned();
        let (send, batches) = mpsc::channel(64);
        let permits = Arc::new(Semaphore::new((budget / GRAIN).max(1)));
        let most = (budget / GRAIN).max(1);
        let task = tokio::spawn(async move {
            if let Err(error) = read(stream, &send, permits, most).await {
                // Nobody listens any more: then nobody needs the error either.
                let _ = send.send(Err(error)).await;
            }
        });
        Ok(Self { batches, server, _task: AbortOnDropHandle::new(task) })
    }

    /// What tells the server that sends from others; empty if the request did not ask.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The next batch. Cancel-safe.
    ///
    /// # Errors
    /// What ended the stream.
    pub async fn next(&mut self) -> Result<Batch, mysql::Error> {
        match self.batches.recv().await {
            Some(batch) => batch,
            None => Err(mysql::Error::closed("the binlog reader has ended")),
        }
    }

    /// Whether there is no batch right now.
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }
}

async fn read(
    mut stream: BinlogStream,
    send: &mpsc::Sender<Result<Batch, mysql::Error>>,
    permits: Arc<Semaphore>,
    most: usize,
) -> Result<(), mysql::Error> {
    loop {
        let mut bytes = Vec::new();
        let mut ends = Vec::new();
        {
            let frame = stream.next().await?;
            bytes.extend_from_slice(frame.bytes());
            ends.push(bytes.len());
        }
        let mut failed = None;
        while bytes.len() < BATCH_BYTES {
            match stream.next().now_or_never() {
                Some(Ok(frame)) => {
                    bytes.extend_from_slice(frame.bytes());
                    ends.push(bytes.len());
                }
                Some(Err(error)) => {
                    failed = Some(error);
                    break;
                }
                None => break,
            }
        }
        // One batch above the whole budget passes alone.
        let want = u32::try_from((bytes.len() / GRAIN + 1).min(most)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&permits).acquire_many_owned(want).await else { return Ok(()) };
        if send.send(Ok(Batch { bytes, ends, _permit: permit })).await.is_err() {
            return Ok(());
        }
        if let Some(error) = failed {
            return Err(error);
        }
    }
}
