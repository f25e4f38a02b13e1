//! Checked reading of bytes.

use crate::error::Fault;

/// A position in bytes that never runs over their end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

type Result<T> = std::result::Result<T, Fault>;

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    pub(crate) fn left(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.bytes)
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.bytes.first().copied()
    }

    #[inline]
    pub(crate) fn take(&mut self, n: usize, what: &'static str) -> Result<&'a [u8]> {
        match self.bytes.split_at_checked(n) {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(head)
            }
            None => Err(Fault::Truncated { what, needed: n as u64, left: self.bytes.len() as u64 }),
        }
    }

    pub(crate) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N]> {
        match self.bytes.split_first_chunk::<N>() {
            Some((head, tail)) => {
                self.bytes = tail;
                Ok(*head)
            }
            None => Err(Fault::Truncated { what, needed: N as u64, left: self.bytes.len() as u64 }),
        }
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Result<u8> {
        Ok(self.array::<1>(what)?[0])
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u24(&mut self, what: &'static str) -> Result<u32> {
        let [a, b, c] = self.array(what)?;
        Ok(u32::from_le_bytes([a, b, c, 0]))
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    pub(crate) fn u48(&mut self, what: &'static str) -> Result<u64> {
        let [a, b, c, d, e, f] = self.array(what)?;
        Ok(u64::from_le_bytes([a, b, c, d, e, f, 0, 0]))
    }

    pub(crate) fn u56(&mut self, what: &'static str) -> Result<u64> {
        let [a, b, c, d, e, f, g] = self.array(what)?;
        Ok(u64::from_le_bytes([a, b, c, d, e, f, g, 0]))
    }

    pub(crate) fn u64(&mut self, what: &'static str) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// The protocol's packed integer.
    pub(crate) fn packed(&mut self, what: &'static str) -> Result<u64> {
        match self.u8(what)? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => Ok(u64::from(self.u16(what)?)),
            253 => Ok(u64::from(self.u24(what)?)),
            254 => self.u64(what),
            other => Err(Fault::invalid(what, format_args!("packed integer beginning with {other}"))),
        }
    }

    /// A packed integer that counts bytes or items which must follow, so it cannot exceed what is left.
    pub(crate) fn packed_len(&mut self, what: &'static str) -> Result<usize> {
        let value = self.packed(what)?;
        usize::try_from(value).ok().filter(|value| *value <= self.left()).ok_or(Fault::Truncated {
            what,
            needed: value,
            left: self.left() as u64,
        })
    }

    /// Bytes after their packed length.
    pub(crate) fn packed_bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let len = self.packed_len(what)?;
        self.take(len, what)
    }

    /// Bytes after a length of one byte.
    pub(crate) fn short_bytes(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let len = self.u8(what)?;
        self.take(usize::from(len), what)
    }

    /// The integer of the server's serialization library: as many low one bits as further bytes follow.
    pub(crate) fn varlen(&mut self, what: &'static str) -> Result<u64> {
        let first = self.u8(what)?;
        let more = first.trailing_ones() as usize;
        let tail = self.take(more, what)?;
        let mut bytes = [0; 8];
        if more == 8 {
            bytes.copy_from_slice(tail);
            return Ok(u64::from_le_bytes(bytes));
        }
        bytes[0] = first;
        bytes[1..=more].copy_from_slice(tail);
        Ok(u64::from_le_bytes(bytes) >> (more + 1))
    }

    /// Its signed form: the lowest bit is the sign.
    pub(crate) fn varlen_signed(&mut self, what: &'static str) -> Result<i64> {
        let raw = self.varlen(what)?;
        let magnitude = (raw >> 1) as i64;
        Ok(if raw & 1 == 1 { -magnitude - 1 } else { magnitude })
    }

    /// Nothing may be left.
    pub(crate) fn end(&self, what: &'static str) -> Result<()> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Fault::TooLong { what, left: self.bytes.len() }) }
    }
}

/// UTF-8 text of a name, or an error that shows it.
pub(crate) fn text(bytes: &[u8], what: &'static str) -> Result<String> {
    std::str::from_utf8(bytes)
        .map(str::to_owned)
        .map_err(|_| Fault::invalid(what, format_args!("{} is not UTF-8", bytes.escape_ascii())))
}

/// A big-endian unsigned integer of up to eight bytes.
pub(crate) fn be(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// A little-endian unsigned integer of up to eight bytes.
pub(crate) fn le(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
}
