//! Compressed transactions (MySQL 8.0.20 and later).
//!
//! Nothing of a transaction is handed out before all of it has been decompressed once and its length and the frames in
//! it have been checked: a broken one is an error as a whole. A transaction below the memory limit is decompressed
//! once and kept; a larger one is decompressed twice, first to check it, then event by event, so that no more than one
//! event of it is in memory.

use std::io::Read;

use crate::error::{DecodeError, Fault, Place};
use crate::format::{HEADER_LEN, Header};
use crate::reader::Reader;

/// How the transaction is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// zstd.
    Zstd,
    /// Not at all.
    None,
}

/// A compressed transaction: table maps, rows, and the final Xid or COMMIT, without the GTID event.
#[derive(Clone, Debug)]
pub struct Payload<'a> {
    /// How it is compressed.
    pub compression: Compression,
    /// Its size when decompressed.
    pub uncompressed_size: u64,
    data: &'a [u8],
    limit: u64,
    place: Place,
}

impl<'a> Payload<'a> {
    pub(crate) fn parse(body: &'a [u8], limit: u64, place: &Place) -> Result<Payload<'a>, Fault> {
        let mut reader = Reader::new(body);
        let (mut size, mut compression, mut uncompressed) = (None, None, None);
        loop {
            let field = reader.packed("payload field")?;
            if field == 0 {
                break;
            }
            let mut value = Reader::new(reader.packed_bytes("payload field")?);
            match field {
                1 => size = Some(value.packed("payload size")?),
                2 => {
                    compression = Some(match value.packed("compression")? {
                        0 => Compression::Zstd,
                        255 => Compression::None,
                        other => return Err(Fault::Unknown { what: "compression", value: other }),
                    });
                }
                3 => uncompressed = Some(value.packed("uncompressed size")?),
                other => return Err(Fault::Unknown { what: "payload field", value: other }),
            }
            value.end("payload field")?;
        }
        let missing = |what| Fault::Truncated { what, needed: 1, left: 0 };
        let size = size.ok_or(missing("payload size"))?;
        let compression = compression.ok_or(missing("compression"))?;
        let data = reader.rest();
        if size != data.len() as u64 {
            return Err(Fault::Size { header: size, frame: data.len() as u64 });
        }
        // Without compression the field may be absent.
        let uncompressed_size = match (uncompressed, compression) {
            (Some(size), _) => size,
            (None, Compression::None) => size,
            (None, Compression::Zstd) => return Err(missing("uncompressed size")),
        };
        Ok(Payload { compression, uncompressed_size, data, limit, place: place.clone() })
    }

    /// Decompresses and checks the transaction.
    ///
    /// # Errors
    /// [`Fault::Decompress`], [`Fault::Size`] when it has another length than it says, [`Fault::TooLarge`] when a single
    /// event in it is over the memory limit, and what can be wrong with the header of an event in it.
    pub fn open(&self) -> Result<PayloadEvents<'a>, DecodeError> {
        self.open_inner().map_err(|fault| self.place.fault(fault))
    }

    fn open_inner(&self) -> Result<PayloadEvents<'a>, Fault> {
        let source = match self.compression {
            Compression::None => {
                check_size(self.uncompressed_size, self.data.len() as u64)?;
                Source::Borrowed(self.data)
            }
            Compression::Zstd if self.uncompressed_size <= self.limit => Source::Owned(self.decompress()?),
            Compression::Zstd => {
                let mut check = Stream::new(self)?;
                while check.advance()? {}
                Source::Stream(Box::new(Stream::new(self)?))
            }
        };
        if let Source::Borrowed(all) = &source {
            check_frames(all)?;
        }
        if let Source::Owned(all) = &source {
            check_frames(all)?;
        }
        Ok(PayloadEvents { source, offset: 0, place: self.place.clone() })
    }

    fn decompress(&self) -> Result<Vec<u8>, Fault> {
        let size = usize::try_from(self.uncompressed_size).unwrap_or(usize::MAX);
        let mut all = Vec::new();
        // Grown by what really comes out, so that a false size costs nothing.
        zstd::stream::read::Decoder::with_buffer(self.data)
            .and_then(|decoder| decoder.take(self.uncompressed_size + 1).read_to_end(&mut all))
            .map_err(|error| broken(&error))?;
        if all.len() != size {
            return Err(Fault::Size { header: self.uncompressed_size, frame: all.len() as u64 });
        }
        Ok(all)
    }
}

fn broken(error: &std::io::Error) -> Fault {
    Fault::Decompress { what: "transaction", detail: error.to_string() }
}

fn check_size(header: u64, frame: u64) -> Result<(), Fault> {
    if header == frame { Ok(()) } else { Err(Fault::Size { header, frame }) }
}

/// Length of the event that begins at `bytes`.
fn frame_len(bytes: &[u8]) -> Result<usize, Fault> {
    let size = Header::parse(bytes)?.size as usize;
    if size < HEADER_LEN {
        return Err(Fault::invalid("event size", size));
    }
    Ok(size)
}

fn check_frames(mut all: &[u8]) -> Result<(), Fault> {
    if all.is_empty() {
        return Err(Fault::Truncated { what: "transaction", needed: HEADER_LEN as u64, left: 0 });
    }
    while !all.is_empty() {
        let size = frame_len(all)?;
        all = all.get(size..).ok_or(Fault::Truncated {
            what: "event in a compressed transaction",
            needed: size as u64,
            left: all.len() as u64,
        })?;
    }
    Ok(())
}

/// The events of a compressed transaction, to be given to [`Decoder::decode_inner`](crate::Decoder::decode_inner).
#[derive(Debug)]
pub struct PayloadEvents<'a> {
    source: Source<'a>,
    offset: usize,
    place: Place,
}

enum Source<'a> {
    Borrowed(&'a [u8]),
    Owned(Vec<u8>),
    Stream(Box<Stream<'a>>),
}

impl std::fmt::Debug for Source<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Source::Borrowed(_) => "Borrowed",
            Source::Owned(_) => "Owned",
            Source::Stream(_) => "Stream",
        })
    }
}

impl PayloadEvents<'_> {
    /// The next event: header and body, no checksum.
    ///
    /// # Errors
    /// None that [`Payload::open`] has not found already; they are still reported.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, DecodeError> {
        let all: &[u8] = match &mut self.source {
            Source::Borrowed(all) => all,
            Source::Owned(all) => all,
            Source::Stream(stream) => {
                return match stream.advance() {
                    Ok(true) => Ok(Some(&stream.event)),
                    Ok(false) => Ok(None),
                    Err(fault) => Err(self.place.fault(fault)),
                };
            }
        };
        let rest = all.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(None);
        }
        let size = frame_len(rest).map_err(|fault| self.place.fault(fault))?;
        self.offset += size;
        rest.get(..size).map(Some).ok_or_else(|| {
            self.place.fault(Fault::Truncated {
                what: "event in a compressed transaction",
                needed: size as u64,
                left: rest.len() as u64,
            })
        })
    }
}

/// Decompression of one event at a time.
struct Stream<'a> {
    decoder: zstd::stream::read::Decoder<'static, &'a [u8]>,
    event: Vec<u8>,
    /// Decompressed so far.
    done: u64,
    size: u64,
    limit: u64,
}

impl<'a> Stream<'a> {
    fn new(payload: &Payload<'a>) -> Result<Stream<'a>, Fault> {
        let decoder =
            zstd::stream::read::Decoder::with_buffer(payload.data).map_err(|error| broken(&error))?;
        Ok(Stream {
            decoder,
            event: Vec::new(),
            done: 0,
            size: payload.uncompressed_size,
            limit: payload.limit,
        })
    }

    /// Puts the next event into `event`; `false` at the end, where the length is checked.
    fn advance(&mut self) -> Result<bool, Fault> {
        self.event.clear();
        self.fill(HEADER_LEN)?;
        if self.event.is_empty() {
            check_size(self.size, self.done)?;
            return Ok(false);
        }
        let size = frame_len(&self.event)?;
        if size as u64 > self.limit {
            return Err(Fault::TooLarge {
                what: "event in a compressed transaction",
                size: size as u64,
                limit: self.limit,
            });
        }
        self.fill(size - HEADER_LEN)?;
        if self.event.len() != size {
            return Err(Fault::Truncated {
                what: "event in a compressed transaction",
                needed: size as u64,
                left: self.event.len() as u64,
            });
        }
        Ok(true)
    }

    fn fill(&mut self, count: usize) -> Result<(), Fault> {
        let before = self.event.len();
        (&mut self.decoder)
            .take(count as u64)
            .read_to_end(&mut self.event)
            .map_err(|error| broken(&error))?;
        self.done += (self.event.len() - before) as u64;
        if self.done > self.size {
            return Err(Fault::Size { header: self.size, frame: self.done });
        }
        Ok(())
    }
}
