//! One file of the dump: plain through the storage's sink, or compressed on a thread of its own.

use std::io::Write;
use std::sync::Arc;

use common::dumpfile::Compression;
use common::storage::{Sink, Storage, StorageError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::render::ChunkText;

/// Compressed bytes are handed to the storage in pieces of about this size.
const PIECE: usize = 256 * 1024;

/// Buffers on their way to the compressor. Two: one being compressed, one waiting.
const WAITING: usize = 1;

/// A file in the making. Dropped before [`OutFile::finish`] it leaves nothing behind.
pub enum OutFile {
    /// As it is.
    Plain(Box<dyn Sink>),
    /// Through a compressor.
    Compressed(CompressedFile),
}

/// The reader's end of a compressor thread.
pub struct CompressedFile {
    full: mpsc::Sender<Vec<u8>>,
    empty: mpsc::Receiver<Vec<u8>>,
    spare: Vec<Vec<u8>>,
    thread: JoinHandle<Result<u64, StorageError>>,
}

impl OutFile {
    /// Begins a file under `name` (its suffix included).
    ///
    /// # Errors
    /// The storage's.
    pub async fn create(
        storage: &Arc<dyn Storage>,
        name: &str,
        compression: Compression,
    ) -> Result<OutFile, StorageError> {
        let sink = storage.create(name).await?;
        if compression == Compression::None {
            return Ok(OutFile::Plain(sink));
        }
        let (full, full_receiver) = mpsc::channel(WAITING);
        let (empty_sender, empty) = mpsc::channel(WAITING + 2);
        let runtime = tokio::runtime::Handle::current();
        let name = name.to_owned();
        let thread = tokio::task::spawn_blocking(move || {
            compress(&name, sink, compression, full_receiver, &empty_sender, &runtime)
        });
        Ok(OutFile::Compressed(CompressedFile { full, empty, spare: Vec::new(), thread }))
    }

    /// Writes what is pending in `text`.
    ///
    /// # Errors
    /// The storage's.
    pub async fn write_pending(&mut self, text: &mut ChunkText<'_>) -> Result<(), StorageError> {
        match self {
            OutFile::Plain(sink) => {
                sink.write(text.pending()).await?;
                text.written();
                Ok(())
            }
            OutFile::Compressed(file) => {
                let empty = file.spare.pop().or_else(|| file.empty.try_recv().ok()).unwrap_or_default();
                let full = text.swap(empty);
                match file.full.send(full).await {
                    Ok(()) => Ok(()),
                    Err(_) => Err(file.failure().await),
                }
            }
        }
    }

    /// Writes bytes that belong to no [`ChunkText`]: schema files.
    ///
    /// # Errors
    /// The storage's.
    pub async fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        match self {
            OutFile::Plain(sink) => sink.write(bytes).await,
            OutFile::Compressed(file) => match file.full.send(bytes.to_vec()).await {
                Ok(()) => Ok(()),
                Err(_) => Err(file.failure().await),
            },
        }
    }

    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// The storage's.
    pub async fn finish(self) -> Result<u64, StorageError> {
        match self {
            OutFile::Plain(sink) => sink.finish().await,
            OutFile::Compressed(CompressedFile { full, thread, .. }) => {
                // An empty buffer is the mark of a whole file: a sender that is merely dropped is a failure.
                let _ = full.send(Vec::new()).await;
                drop(full);
                joined(thread.await)
            }
        }
    }
}

impl CompressedFile {
    /// Why the thread does not listen any more.
    async fn failure(&mut self) -> StorageError {
        match joined((&mut self.thread).await) {
            Err(error) => error,
            Ok(_) => broken("the compressor ended early"),
        }
    }
}

fn joined(result: Result<Result<u64, StorageError>, tokio::task::JoinError>) -> Result<u64, StorageError> {
    result.unwrap_or_else(|error| Err(broken(&format!("the compressor failed: {error}"))))
}

fn broken(text: &str) -> StorageError {
    StorageError::from_io("compressed file", "write", std::io::Error::other(text.to_owned()))
}

/// The thread: takes full buffers, gives them back, writes the compressed bytes.
fn compress(
    name: &str,
    mut sink: Box<dyn Sink>,
    compression: Compression,
    mut full: mpsc::Receiver<Vec<u8>>,
    empty: &mpsc::Sender<Vec<u8>>,
    runtime: &tokio::runtime::Handle,
) -> Result<u64, StorageError> {
    let error = |cause| StorageError::from_io(name, "compress", cause);
    let mut encoder = Encoder::new(compression).map_err(error)?;
    while let Some(mut buffer) = full.blocking_recv() {
        if buffer.is_empty() {
            let rest = encoder.finish().map_err(error)?;
            runtime.block_on(sink.write(&rest))?;
            return runtime.block_on(sink.finish());
        }
        encoder.write(&buffer).map_err(error)?;
        if encoder.pending().len() >= PIECE {
            runtime.block_on(sink.write(encoder.pending()))?;
            encoder.pending().clear();
        }
        buffer.clear();
        let _ = empty.try_send(buffer);
    }
    // The reader gave the file up; dropping the sink removes what was written.
    Err(broken("the file was given up"))
}

/// One stream per file at the library's default level, as Dumpling.
enum Encoder {
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Zstd(Box<zstd::stream::write::Encoder<'static, Vec<u8>>>),
    Snappy(Box<snap::write::FrameEncoder<Vec<u8>>>),
}

impl Encoder {
    fn new(compression: Compression) -> std::io::Result<Encoder> {
        Ok(match compression {
            Compression::Zstd => Encoder::Zstd(Box::new(zstd::stream::write::Encoder::new(Vec::new(), 3)?)),
            Compression::Snappy => Encoder::Snappy(Box::new(snap::write::FrameEncoder::new(Vec::new()))),
            Compression::Gzip | Compression::None => {
                Encoder::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default()))
            }
        })
    }

    fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Encoder::Gzip(encoder) => encoder.write_all(bytes),
            Encoder::Zstd(encoder) => encoder.write_all(bytes),
            Encoder::Snappy(encoder) => encoder.write_all(bytes),
        }
    }

    /// Compressed bytes that nobody has taken yet.
    fn pending(&mut self) -> &mut Vec<u8> {
        match self {
            Encoder::Gzip(encoder) => encoder.get_mut(),
            Encoder::Zstd(encoder) => encoder.get_mut(),
            Encoder::Snappy(encoder) => encoder.get_mut(),
        }
    }

    fn finish(self) -> std::io::Result<Vec<u8>> {
        match self {
            Encoder::Gzip(encoder) => encoder.finish(),
            Encoder::Zstd(encoder) => encoder.finish(),
            Encoder::Snappy(encoder) => encoder.into_inner().map_err(snap::write::IntoInnerError::into_error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn compressed_bytes_come_back() {
        let text: Vec<u8> = (0..200_000u32).flat_map(|i| i.to_string().into_bytes()).collect();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::Snappy] {
            let mut encoder = Encoder::new(compression).unwrap();
            let mut out = Vec::new();
            for piece in text.chunks(77_777) {
                encoder.write(piece).unwrap();
                out.append(encoder.pending());
            }
            out.extend(encoder.finish().unwrap());
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
