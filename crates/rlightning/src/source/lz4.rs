//! The frames of an lz4 file. The decoder of the crate ends with the first frame, and takes the end of the file for the end of one.

use std::io::{self, BufRead, Read};

use lz4_flex::frame::FrameDecoder;

/// Unpacks all frames.
pub enum Frames<R: BufRead> {
    /// At the start of a frame or the end of the file.
    Between(R),
    /// In a frame.
    In(Box<FrameDecoder<Watched<R>>>),
    /// After an error.
    Broken,
}

impl<R: BufRead> Frames<R> {
    /// From the first byte of a file on.
    pub fn new(packed: R) -> Self {
        Self::Between(packed)
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(self, Self::Broken) {
                Self::Between(mut packed) => {
                    if packed.fill_buf()?.is_empty() {
                        *self = Self::Between(packed);
                        return Ok(0);
                    }
                    *self = Self::In(Box::new(FrameDecoder::new(Watched::new(packed))));
                }
                Self::In(mut frame) => {
                    let read = frame.read(buffer)?;
                    if read > 0 || buffer.is_empty() {
                        *self = Self::In(frame);
                        return Ok(read);
                    }
                    let watched = frame.into_inner();
                    if !watched.has_ended() {
                        return Err(io::Error::new(
                            io::ErrorKind::UnexpectedEof,
                            "the lz4 frame has no end: the file was cut short",
                        ));
                    }
                    *self = Self::Between(watched.inner);
                }
                Self::Broken => return Err(io::Error::other("the lz4 file is damaged")),
            }
        }
    }
}

/// Remembers the begin and the end of what was read of a frame.
pub struct Watched<R> {
    inner: R,
    /// Bytes of `first` that are known.
    count: usize,
    first: [u8; 5],
    last: [u8; 8],
}

impl<R> Watched<R> {
    fn new(inner: R) -> Self {
        // No zeros: they would be an end.
        Self { inner, count: 0, first: [0; 5], last: [0xFF; 8] }
    }

    /// Whether the end mark, four zero bytes, was the last thing read, or stands before the checksum of the content.
    fn has_ended(&self) -> bool {
        let has_checksum = self.first[4] & 0b100 != 0;
        let mark = if has_checksum { &self.last[..4] } else { &self.last[4..] };
        mark == [0; 4]
    }

    fn note(&mut self, bytes: &[u8]) {
        for (slot, byte) in self.first.iter_mut().skip(self.count).zip(bytes) {
            *slot = *byte;
            self.count += 1;
        }
        let read = bytes.len().min(8);
        self.last.rotate_left(read);
        self.last[8 - read..].copy_from_slice(&bytes[bytes.len() - read..]);
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.note(&buffer[..read]);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{FrameEncoder, FrameInfo};

    use super::*;

    #[test]
    fn frames_follow_one_another_and_none_is_cut() {
        let text: Vec<u8> = (0..300_000u32).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        for checksum in [false, true] {
            let mut packed = Vec::new();
            for part in text.chunks(500_000) {
                let info = FrameInfo::new().content_checksum(checksum);
                let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(part).unwrap();
                packed.extend(encoder.finish().unwrap());
            }
            let mut out = Vec::new();
            Frames::new(&packed[..]).read_to_end(&mut out).unwrap();
            assert!(out == text);
            for cut in [1, 3, 4, 5, 8, 9, 100, packed.len() / 2] {
                let cut = &packed[..packed.len() - cut];
                assert!(Frames::new(cut).read_to_end(&mut Vec::new()).is_err(), "{} {checksum}", cut.len());
            }
        }
    }
}
