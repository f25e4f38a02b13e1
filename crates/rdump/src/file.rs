//! Files of the dump: plain through the storage's sink, or compressed on a thread of their own.
//!
//! A [`FileWriter`] belongs to one reader and writes its files one after the other. With compression it has one thread
//! with one compressor that is used again for every file, so that memory does not grow with files or threads.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::dumpfile::Compression;
use common::manifest::SchemaFileLine;
use common::storage::{Sink, Storage, StorageError};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};
use zstd::stream::raw::{CParameter, Encoder as ZstdEncoder, InBuffer, Operation, OutBuffer};

use crate::render::ChunkText;

/// Compressed bytes are handed to the storage in pieces of about this size.
const PIECE: usize = 256 * 1024;

/// Window of zstd as a power of two: 512 KiB. Its default of 2 MiB makes files hardly smaller and costs every thread 1.5 MiB
/// more.
const ZSTD_WINDOW_LOG: u32 = 19;

/// A file that is durable.
#[derive(Debug, Clone, Copy)]
pub struct Stored {
    /// Bytes in the storage.
    pub size: u64,
    /// BLAKE3 of the content before compression.
    pub hash: blake3::Hash,
}

/// The future of a file that is being made durable.
pub type Durable = BoxFuture<'static, Result<Stored, StorageError>>;

/// Writes files one after the other. A file that is begun and not ended leaves nothing behind.
pub struct FileWriter {
    storage: Arc<dyn Storage>,
    compression: Compression,
    level: Option<i32>,
    sink: Option<Box<dyn Sink>>,
    /// Of a plain file.
    hasher: blake3::Hasher,
    compressor: Option<Compressor>,
}

impl FileWriter {
    /// Writes nothing yet.
    pub fn new(storage: Arc<dyn Storage>, compression: Compression, level: Option<i32>) -> Self {
        Self { storage, compression, level, sink: None, hasher: blake3::Hasher::new(), compressor: None }
    }

    /// Begins a file under `name` (its suffix included). The one before must have been ended or given up.
    ///
    /// # Errors
    /// The storage's.
    pub async fn begin(&mut self, name: &str) -> Result<(), StorageError> {
        let sink = self.storage.create(name).await?;
        if self.compression == Compression::None {
            self.sink = Some(sink);
            self.hasher.reset();
            return Ok(());
        }
        if self.compressor.is_none() {
            self.compressor = Some(Compressor::start(self.compression, self.level)?);
        }
        self.job(Job::Begin(name.to_owned(), sink)).await
    }

    /// Writes what is pending in `text`.
    ///
    /// # Errors
    /// The storage's.
    pub async fn write_pending(&mut self, text: &mut ChunkText<'_>) -> Result<(), StorageError> {
        if text.pending().is_empty() {
            return Ok(());
        }
        if let Some(sink) = &mut self.sink {
            self.hasher.update(text.pending());
            sink.write(text.pending()).await?;
            text.written();
            return Ok(());
        }
        let empty = self.compressor.as_mut().and_then(|it| it.empty.try_recv().ok()).unwrap_or_default();
        let full = text.swap(empty);
        self.job(Job::Data(full)).await
    }

    /// Ends the file: what was written is complete. The file is there when the future that is returned is done; it runs
    /// apart from the next file.
    ///
    /// # Errors
    /// The storage's.
    pub async fn end(&mut self) -> Result<Durable, StorageError> {
        if let Some(sink) = self.sink.take() {
            let hash = self.hasher.finalize();
            return Ok(Box::pin(async move { Ok(Stored { size: sink.finish().await?, hash }) }));
        }
        let (answer, result) = oneshot::channel();
        self.job(Job::End(answer)).await?;
        Ok(Box::pin(async { result.await.unwrap_or_else(|_| Err(gone())) }))
    }

    /// Gives the file at hand up, if there is one; it is gone when this returns.
    pub async fn give_up(&mut self) {
        self.sink = None;
        let (answer, done) = oneshot::channel();
        if self.compressor.is_some() && self.send(Job::GiveUp(answer)).await.is_ok() {
            // It ends with the thread, if that is gone.
            let _ = done.await;
        }
    }

    async fn job(&mut self, job: Job) -> Result<(), StorageError> {
        let failed = self.compressor.as_ref().is_some_and(|it| it.failed.load(Ordering::Acquire));
        if failed {
            let (answer, result) = oneshot::channel();
            self.send(Job::End(answer)).await?;
            return result.await.unwrap_or_else(|_| Err(gone())).and(Err(gone()));
        }
        self.send(job).await
    }

    async fn send(&mut self, job: Job) -> Result<(), StorageError> {
        match self.compressor.as_ref().and_then(|it| it.jobs.as_ref()) {
            Some(jobs) => jobs.send(job).await.map_err(|_| gone()),
            None => Err(gone()),
        }
    }
}

/// Writes a small file at once.
///
/// # Errors
/// The storage's.
pub async fn write_small(
    storage: &Arc<dyn Storage>,
    name: &str,
    (compression, level): (Compression, Option<i32>),
    bytes: &[u8],
) -> Result<SchemaFileLine, StorageError> {
    let mut sink = storage.create(name).await?;
    if compression == Compression::None {
        sink.write(bytes).await?;
    } else {
        let error = |cause| StorageError::from_io(name, "compress", cause);
        let mut encoder = Encoder::new(compression, level).map_err(error)?;
        let mut out = Vec::new();
        encoder.write(bytes, &mut out).and_then(|()| encoder.finish(&mut out)).map_err(error)?;
        sink.write(&out).await?;
    }
    sink.finish().await?;
    let blake3 = blake3::hash(bytes).to_hex().to_string();
    Ok(SchemaFileLine { name: name.to_owned(), bytes: bytes.len() as u64, blake3 })
}

fn gone() -> StorageError {
    StorageError::from_io("compressed file", "write", io::Error::other("the compressor's thread is gone"))
}

enum Job {
    Begin(String, Box<dyn Sink>),
    Data(Vec<u8>),
    End(oneshot::Sender<Result<Stored, StorageError>>),
    GiveUp(oneshot::Sender<()>),
}

/// The reader's end of a compressor's thread; dropping it ends the thread.
struct Compressor {
    /// `None` only while it is dropped.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<std::thread::JoinHandle<()>>,
    empty: mpsc::Receiver<Vec<u8>>,
    /// The file at hand failed: the next job is answered by its error.
    failed: Arc<AtomicBool>,
}

impl Compressor {
    fn start(compression: Compression, level: Option<i32>) -> Result<Compressor, StorageError> {
        // One buffer is being compressed, one waits, one is being filled.
        let (jobs, receiver) = mpsc::channel(1);
        let (give_back, empty) = mpsc::channel(3);
        let failed = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Handle::current();
        let error = |cause| StorageError::from_io("compressed file", "start the compressor of", cause);
        let encoder = Encoder::new(compression, level).map_err(error)?;
        let worker = Worker {
            encoder,
            hasher: blake3::Hasher::new(),
            runtime,
            give_back,
            failed: Arc::clone(&failed),
        };
        let thread = std::thread::Builder::new()
            .name("compress".into())
            .spawn(move || worker.run(receiver))
            .map_err(error)?;
        Ok(Compressor { jobs: Some(jobs), thread: Some(thread), empty, failed })
    }
}

impl Drop for Compressor {
    /// Waits until the file at hand is gone: the process may end right after this. That takes as long as one buffer.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    encoder: Encoder,
    hasher: blake3::Hasher,
    runtime: tokio::runtime::Handle,
    give_back: mpsc::Sender<Vec<u8>>,
    failed: Arc<AtomicBool>,
}

impl Worker {
    fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut file: Option<(String, Box<dyn Sink>)> = None;
        let mut failure: Option<StorageError> = None;
        let mut out = Vec::with_capacity(PIECE + (PIECE >> 2));
        while let Some(job) = jobs.blocking_recv() {
            match job {
                Job::Begin(name, sink) => {
                    out.clear();
                    self.hasher.reset();
                    failure = self
                        .encoder
                        .restart()
                        .err()
                        .map(|cause| StorageError::from_io(&name, "compress", cause));
                    file = Some((name, sink));
                }
                Job::Data(mut bytes) => {
                    if let Some(open) = &mut file
                        && let Err(error) = self.data(open, &bytes, &mut out)
                    {
                        failure = Some(error);
                        file = None;
                        self.failed.store(true, Ordering::Release);
                    }
                    bytes.clear();
                    let _ = self.give_back.try_send(bytes);
                }
                Job::End(answer) => {
                    self.failed.store(false, Ordering::Release);
                    let result = match (failure.take(), file.take()) {
                        (Some(error), _) => Err(error),
                        (None, None) => Err(gone()),
                        (None, Some(open)) => self.rest(open, &mut out),
                    };
                    match result {
                        // The sync waits for the disk; the next file need not.
                        Ok(sink) => {
                            let hash = self.hasher.finalize();
                            drop(self.runtime.spawn(async move {
                                let size = sink.finish().await;
                                let _ = answer.send(size.map(|size| Stored { size, hash }));
                            }));
                        }
                        Err(error) => drop(answer.send(Err(error))),
                    }
                }
                Job::GiveUp(answer) => {
                    self.failed.store(false, Ordering::Release);
                    (failure, file) = (None, None);
                    let _ = answer.send(());
                }
            }
        }
    }

    fn data(
        &mut self,
        (name, sink): &mut (String, Box<dyn Sink>),
        bytes: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StorageError> {
        self.hasher.update(bytes);
        self.encoder
            .write(bytes, out)
            .map_err(|cause| StorageError::from_io(name.as_str(), "compress", cause))?;
        if out.len() >= PIECE {
            self.runtime.block_on(sink.write(out))?;
            out.clear();
        }
        Ok(())
    }

    fn rest(
        &mut self,
        (name, mut sink): (String, Box<dyn Sink>),
        out: &mut Vec<u8>,
    ) -> Result<Box<dyn Sink>, StorageError> {
        self.encoder.finish(out).map_err(|cause| StorageError::from_io(name, "compress", cause))?;
        self.runtime.block_on(sink.write(out))?;
        out.clear();
        Ok(sink)
    }
}

/// One stream per file, without a level at the library's default, as Dumpling.
enum Encoder {
    Gzip(Box<Gzip>),
    Zstd(ZstdEncoder<'static>),
    Snappy(Option<Box<snap::write::FrameEncoder<Vec<u8>>>>),
}

impl Encoder {
    fn new(compression: Compression, level: Option<i32>) -> io::Result<Encoder> {
        Ok(match compression {
            Compression::Zstd => {
                let mut encoder = ZstdEncoder::new(level.unwrap_or(3))?;
                encoder.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                Encoder::Zstd(encoder)
            }
            Compression::Snappy => Encoder::Snappy(Some(snappy())),
            Compression::Gzip | Compression::None => Encoder::Gzip(Box::new(Gzip::new(level))),
        })
    }

    /// Begins a new stream; what an unfinished one had left is forgotten.
    fn restart(&mut self) -> io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.restart(),
            Encoder::Snappy(encoder) => *encoder = Some(snappy()),
            Encoder::Zstd(encoder) => encoder.reinit()?,
        }
        Ok(())
    }

    /// Compresses `bytes` and appends what comes out.
    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.write(bytes, out)?,
            Encoder::Snappy(Some(encoder)) => {
                encoder.write_all(bytes)?;
                out.append(encoder.get_mut());
            }
            Encoder::Zstd(encoder) => {
                let mut input = InBuffer::around(bytes);
                while input.pos() < bytes.len() {
                    with_room(out, |room| encoder.run(&mut input, room))?;
                }
            }
            Encoder::Snappy(None) => {
                return Err(io::Error::other("the stream was not begun"));
            }
        }
        Ok(())
    }

    /// Ends the stream and appends what comes out.
    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(out)?,
            Encoder::Snappy(encoder) => {
                if let Some(encoder) = encoder.take() {
                    out.append(&mut encoder.into_inner().map_err(snap::write::IntoInnerError::into_error)?);
                }
            }
            Encoder::Zstd(encoder) => while with_room(out, |room| encoder.finish(room, true))? > 0 {},
        }
        Ok(())
    }
}

/// Lets zstd write behind the end of `out`, and takes over what it wrote.
fn with_room(
    out: &mut Vec<u8>,
    step: impl FnOnce(&mut OutBuffer<'_, Vec<u8>>) -> io::Result<usize>,
) -> io::Result<usize> {
    let used = out.len();
    out.reserve(64 * 1024);
    let mut room = OutBuffer::around_pos(out, used);
    step(&mut room)
}

/// A gzip stream whose compressor is used again for the next file.
struct Gzip {
    deflate: flate2::Compress,
    crc: flate2::Crc,
    begun: bool,
}

impl Gzip {
    fn new(level: Option<i32>) -> Self {
        let level = level.and_then(|level| u32::try_from(level).ok());
        let level = level.map_or_else(flate2::Compression::default, flate2::Compression::new);
        Self { deflate: flate2::Compress::new(level, false), crc: flate2::Crc::new(), begun: false }
    }

    fn restart(&mut self) {
        self.deflate.reset();
        self.crc.reset();
        self.begun = false;
    }

    fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        self.begin(out);
        self.crc.update(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = self.deflate.total_in();
            out.reserve(64 * 1024);
            self.deflate.compress_vec(rest, out, flate2::FlushCompress::None)?;
            rest = &rest[(self.deflate.total_in() - before) as usize..];
        }
        Ok(())
    }

    fn finish(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        self.begin(out);
        loop {
            out.reserve(64 * 1024);
            let status = self.deflate.compress_vec(&[], out, flate2::FlushCompress::Finish)?;
            if status == flate2::Status::StreamEnd {
                break;
            }
        }
        out.extend_from_slice(&self.crc.sum().to_le_bytes());
        out.extend_from_slice(&self.crc.amount().to_le_bytes());
        Ok(())
    }

    /// Magic number, deflate, no name, no time, no flags, unknown system.
    fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.begun {
            out.extend_from_slice(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
            self.begun = true;
        }
    }
}

fn snappy() -> Box<snap::write::FrameEncoder<Vec<u8>>> {
    Box::new(snap::write::FrameEncoder::new(Vec::new()))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn compressed_bytes_come_back() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|i| i.to_string().into_bytes()).collect();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::Snappy] {
            let level = (compression != Compression::Snappy).then_some(1);
            let mut encoder = Encoder::new(compression, level).unwrap();
            let mut out = Vec::new();
            // A stream that was given up leaves nothing in the next.
            encoder.write(b"given up", &mut out).unwrap();
            out.clear();
            encoder.restart().unwrap();
            for piece in text.chunks(77_777) {
                encoder.write(piece, &mut out).unwrap();
            }
            encoder.finish(&mut out).unwrap();
            let mut back = Vec::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&out[..]).read_to_end(&mut back).unwrap(),
                Compression::Zstd => {
                    zstd::stream::read::Decoder::new(&out[..]).unwrap().read_to_end(&mut back).unwrap()
                }
                _ => snap::read::FrameDecoder::new(&out[..]).read_to_end(&mut back).unwrap(),
            };
            assert!(back == text && out.len() < text.len(), "{compression:?}");
        }
    }
}
