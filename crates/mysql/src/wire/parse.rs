//! Reading the protocol's fields out of a packet, with every bound checked.

/// Bytes that are not what the protocol allows at this place. The text says which field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

pub(crate) type Parsed<T> = Result<T, Malformed>;

/// A cursor over one packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Cursor { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize, what: &'static str) -> Parsed<&'a [u8]> {
        let (head, tail) = self.bytes.split_at_checked(count).ok_or(Malformed(what))?;
        self.bytes = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self, what: &'static str) -> Parsed<[u8; N]> {
        let (head, tail) = self.bytes.split_first_chunk::<N>().ok_or(Malformed(what))?;
        self.bytes = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self, what: &'static str) -> Parsed<u8> {
        self.array::<1>(what).map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self, what: &'static str) -> Parsed<u16> {
        self.array(what).map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self, what: &'static str) -> Parsed<u32> {
        self.array(what).map(u32::from_le_bytes)
    }

    /// Bytes up to a zero byte, which is consumed too.
    pub(crate) fn null_terminated(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let end = self.bytes.iter().position(|byte| *byte == 0).ok_or(Malformed(what))?;
        let text = self.take(end, what)?;
        self.take(1, what)?;
        Ok(text)
    }

    /// A length-encoded integer. 0xfb (NULL) and 0xff are errors here.
    pub(crate) fn length(&mut self, what: &'static str) -> Parsed<u64> {
        match self.u8(what)? {
            0xfc => self.u16(what).map(u64::from),
            0xfd => self.array::<3>(what).map(|[a, b, c]| u64::from(u32::from_le_bytes([a, b, c, 0]))),
            0xfe => self.array::<8>(what).map(u64::from_le_bytes),
            0xfb | 0xff => Err(Malformed(what)),
            small => Ok(u64::from(small)),
        }
    }

    /// Bytes with their length in front.
    pub(crate) fn length_bytes(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let length = usize::try_from(self.length(what)?).map_err(|_| Malformed(what))?;
        self.take(length, what)
    }
}

/// Appends a length-encoded integer.
pub(crate) fn put_length(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match value {
        0..=0xfa => out.push(bytes[0]),
        0xfb..=0xffff => {
            out.push(0xfc);
            out.extend_from_slice(&bytes[..2]);
        }
        0x1_0000..=0xff_ffff => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..3]);
        }
        _ => {
            out.push(0xfe);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends bytes with their length in front.
pub(crate) fn put_length_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_come_back() {
        for value in [0, 1, 250, 251, 252, 65_535, 65_536, 0xff_ffff, 0x100_0000, u64::MAX] {
            let mut bytes = Vec::new();
            put_length(&mut bytes, value);
            let mut cursor = Cursor::new(&bytes);
            assert_eq!(cursor.length("x"), Ok(value));
            assert!(cursor.is_empty());
            for cut in 0..bytes.len() {
                assert!(Cursor::new(&bytes[..cut]).length("x").is_err());
            }
        }
    }

    #[test]
    fn lengths_beyond_the_packet_are_errors() {
        assert!(Cursor::new(&[0xfe, 255, 255, 255, 255, 255, 255, 255, 255, 1]).length_bytes("x").is_err());
        assert!(Cursor::new(&[5, 1, 2]).length_bytes("x").is_err());
        assert!(Cursor::new(&[0xfb]).length_bytes("x").is_err());
        assert!(Cursor::new(b"abc").null_terminated("x").is_err());
    }
}
