//! The compact protocol of Thrift, as far as heads of pages and the footer of a Parquet file need it.

/// Types of fields and elements.
pub(super) mod kind {
    pub const TRUE: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const BYTE: u8 = 3;
    pub const I16: u8 = 4;
    pub const I32: u8 = 5;
    pub const I64: u8 = 6;
    pub const BINARY: u8 = 8;
    pub const LIST: u8 = 9;
    pub const STRUCT: u8 = 12;
}

/// Writes a structure to the end of a buffer: its fields in the order of their numbers, then [`Fields::end`].
pub(super) struct Fields<'b> {
    out: &'b mut Vec<u8>,
    last: u8,
}

impl<'b> Fields<'b> {
    pub(super) fn new(out: &'b mut Vec<u8>) -> Self {
        Self { out, last: 0 }
    }

    fn head(&mut self, number: u8, kind: u8) {
        // Numbers go up by less than 16 in all structures of Parquet.
        self.out.push((number - self.last) << 4 | kind);
        self.last = number;
    }

    pub(super) fn bool(&mut self, number: u8, value: bool) {
        self.head(number, if value { kind::TRUE } else { kind::FALSE });
    }

    pub(super) fn byte(&mut self, number: u8, value: u8) {
        self.head(number, kind::BYTE);
        self.out.push(value);
    }

    pub(super) fn i16(&mut self, number: u8, value: i16) {
        self.head(number, kind::I16);
        zigzag(self.out, value.into());
    }

    pub(super) fn i32(&mut self, number: u8, value: i32) {
        self.head(number, kind::I32);
        zigzag(self.out, value.into());
    }

    pub(super) fn i64(&mut self, number: u8, value: i64) {
        self.head(number, kind::I64);
        zigzag(self.out, value);
    }

    pub(super) fn text(&mut self, number: u8, value: &str) {
        self.head(number, kind::BINARY);
        text(self.out, value);
    }

    /// A list; its elements follow.
    pub(super) fn list(&mut self, number: u8, element: u8, length: usize) -> &mut Vec<u8> {
        self.head(number, kind::LIST);
        if length < 15 {
            self.out.push((length as u8) << 4 | element);
        } else {
            self.out.push(0xf0 | element);
            varint(self.out, length as u64);
        }
        self.out
    }

    /// A structure; its fields follow.
    pub(super) fn fields(&mut self, number: u8) -> Fields<'_> {
        self.head(number, kind::STRUCT);
        Fields::new(self.out)
    }

    /// One without fields.
    pub(super) fn nothing(&mut self, number: u8) {
        self.fields(number).end();
    }

    pub(super) fn end(self) {
        self.out.push(0);
    }
}

pub(super) fn text(out: &mut Vec<u8>, value: &str) {
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

pub(super) fn zigzag(out: &mut Vec<u8>, value: i64) {
    varint(out, (value << 1 ^ value >> 63) as u64);
}

pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_structures() {
        let mut out = Vec::new();
        for value in [0, -1, 1, 300, i64::MIN] {
            zigzag(&mut out, value);
        }
        assert_eq!(out[..5], [0, 1, 2, 0xd8, 4]);
        assert_eq!(out.len(), 15);
        out.clear();
        let mut fields = Fields::new(&mut out);
        fields.i32(1, 3);
        fields.bool(2, false);
        fields.nothing(8);
        zigzag(fields.list(9, kind::I32, 1), 2);
        fields.end();
        assert_eq!(out, [0x15, 6, 0x12, 0x6c, 0, 0x19, 0x15, 4, 0]);
    }
}
