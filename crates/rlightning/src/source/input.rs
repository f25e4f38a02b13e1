//! The bytes of a data file from a given offset on, unpacked. For threads that may block.

use std::io::{self, Read};
use std::sync::Arc;

use common::storage::RangeReader;

use super::form::{FileForm, Packing};
use super::lz4;

/// Reads a file, or the part `begin..end` of it. Offsets count unpacked bytes.
pub struct Input {
    kind: Kind,
    /// How many more bytes there may be.
    left: u64,
}

enum Kind {
    Plain(Ranged),
    Packed(Box<dyn Read + Send>),
}

struct Ranged {
    reader: Arc<dyn RangeReader>,
    at: u64,
}

impl Read for Ranged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read_at_blocking(self.at, buffer).map_err(io::Error::other)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Size of the reads below a decompressor.
const PACKED_READ: usize = 256 << 10;

impl Input {
    /// Opens at `begin`; a packed file is unpacked (and one of another character set decoded) from its start and what lies before `begin` is
    /// dropped.
    ///
    /// # Errors
    /// The file cannot be read, or is not what its name says.
    pub fn open(
        reader: Arc<dyn RangeReader>,
        form: &FileForm,
        begin: u64,
        end: Option<u64>,
    ) -> io::Result<Self> {
        let left = end.map_or(u64::MAX, |end| end.saturating_sub(begin));
        if form.is_plain() {
            return Ok(Self { kind: Kind::Plain(Ranged { reader, at: begin }), left });
        }
        let mut unpacked = unpacked(reader, form.packing)?;
        if let Some(decoding) = &form.decoding {
            unpacked = decoding.reader(unpacked);
        }
        let skipped = io::copy(&mut unpacked.by_ref().take(begin), &mut io::sink())?;
        if skipped < begin {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it unpacks to {skipped} bytes, {begin} had been read before"),
            ));
        }
        Ok(Self { kind: Kind::Packed(unpacked), left })
    }
}

fn unpacked(reader: Arc<dyn RangeReader>, packing: Packing) -> io::Result<Box<dyn Read + Send>> {
    let packed = io::BufReader::with_capacity(PACKED_READ, Ranged { reader, at: 0 });
    Ok(match packing {
        Packing::Plain => Box::new(packed),
        Packing::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(packed)?),
        Packing::Snappy => Box::new(snap::read::FrameDecoder::new(packed)),
        Packing::Lz4 => Box::new(lz4::Frames::new(packed)),
        Packing::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(packed, true, XZ_MEMORY_KB)),
    })
}

/// What a file of the highest level of xz needs to be unpacked, and room.
const XZ_MEMORY_KB: u32 = 128 << 10;

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let buffer = &mut buffer[..wanted];
        let read = match &mut self.kind {
            Kind::Plain(ranged) => ranged.read(buffer)?,
            Kind::Packed(unpacked) => loop {
                match unpacked.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => break other?,
                }
            },
        };
        self.left -= read as u64;
        Ok(read)
    }
}
