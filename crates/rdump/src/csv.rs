//! Values as CSV text (facts/dumpling.md 2.5).

use crate::escape::hex;

/// How binary values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The bytes, escaped as text.
    Raw,
    /// Lower-case hexadecimal digits.
    Hex,
    /// Standard base64.
    Base64,
}

/// The form of CSV files.
#[derive(Debug, Clone)]
pub struct CsvOptions {
    /// Between fields; not empty.
    pub separator: Vec<u8>,
    /// Around fields that are no numbers; may be empty.
    pub delimiter: Vec<u8>,
    /// NULL.
    pub null: Vec<u8>,
    /// After each record.
    pub terminator: Vec<u8>,
    /// A line of column names first.
    pub header: bool,
    /// Backslash escapes instead of doubled delimiters.
    pub escape_backslash: bool,
    /// Binary values.
    pub dialect: Dialect,
}

/// Writes fields; made once per dump.
#[derive(Debug, Clone)]
pub struct CsvWriter {
    options: CsvOptions,
    /// For each byte the byte after the backslash, or 0 (with [`Self::escapes_zero`] aside) if it needs no escape.
    escapes: Box<[u8; 256]>,
}

impl CsvWriter {
    /// Builds the escape table.
    pub fn new(options: CsvOptions) -> Self {
        let mut escapes = Box::new([0; 256]);
        if options.escape_backslash {
            escapes[0] = b'0';
            escapes[b'\r' as usize] = b'r';
            escapes[b'\n' as usize] = b'n';
            escapes[b'\\' as usize] = b'\\';
            // Dumpling escapes the first byte of what could end the field.
            let quote = options.delimiter.first().or(options.separator.first());
            if let Some(&quote) = quote
                && escapes[quote as usize] == 0
            {
                escapes[quote as usize] = quote;
            }
        }
        Self { options, escapes }
    }

    /// The options.
    pub fn options(&self) -> &CsvOptions {
        &self.options
    }

    /// Appends a text field or a column name.
    pub fn text(&self, out: &mut Vec<u8>, value: &[u8]) {
        out.extend_from_slice(&self.options.delimiter);
        self.escaped(out, value);
        out.extend_from_slice(&self.options.delimiter);
    }

    /// Appends a binary field.
    pub fn binary(&self, out: &mut Vec<u8>, value: &[u8]) {
        out.extend_from_slice(&self.options.delimiter);
        match self.options.dialect {
            Dialect::Raw => self.escaped(out, value),
            Dialect::Hex => hex(out, value),
            Dialect::Base64 => base64(out, value),
        }
        out.extend_from_slice(&self.options.delimiter);
    }

    fn escaped(&self, out: &mut Vec<u8>, value: &[u8]) {
        if self.options.escape_backslash {
            let mut rest = value;
            while let Some(at) = rest.iter().position(|&b| self.escapes[b as usize] != 0) {
                out.extend_from_slice(&rest[..at]);
                out.extend_from_slice(&[b'\\', self.escapes[rest[at] as usize]]);
                rest = &rest[at + 1..];
            }
            out.extend_from_slice(rest);
        } else if self.options.delimiter.is_empty() {
            out.extend_from_slice(value);
        } else {
            let mut done = 0;
            for at in memchr::memmem::find_iter(value, &self.options.delimiter) {
                let end = at + self.options.delimiter.len();
                out.extend_from_slice(&value[done..end]);
                out.extend_from_slice(&self.options.delimiter);
                done = end;
            }
            out.extend_from_slice(&value[done..]);
        }
    }
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &b| word << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            out.push(if i <= chunk.len() { DIGITS[(word >> (18 - 6 * i)) as usize & 63] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CsvOptions {
        CsvOptions {
            separator: b",".to_vec(),
            delimiter: b"\"".to_vec(),
            null: b"\\N".to_vec(),
            terminator: b"\r\n".to_vec(),
            header: true,
            escape_backslash: true,
            dialect: Dialect::Raw,
        }
    }

    fn text(options: CsvOptions, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        CsvWriter::new(options).text(&mut out, value);
        out
    }

    #[test]
    fn escapes() {
        assert_eq!(text(options(), b"a\"b\\c\n\r\0'\x1a"), b"\"a\\\"b\\\\c\\n\\r\\0'\x1a\"");
        let empty = CsvOptions { delimiter: Vec::new(), separator: b"|+|".to_vec(), ..options() };
        assert_eq!(text(empty.clone(), b"a|b+\""), b"a\\|b+\"");
        let off = CsvOptions { escape_backslash: false, delimiter: b"''".to_vec(), ..options() };
        assert_eq!(text(off, b"a''b'\\"), b"''a''''b'\\''");
        assert_eq!(text(CsvOptions { escape_backslash: false, ..empty }, b"|\n"), b"|\n");
    }

    #[test]
    fn binary_dialects() {
        for (dialect, expected) in [
            (Dialect::Hex, &b"\"6100ff\""[..]),
            (Dialect::Base64, b"\"YQD/\""),
            (Dialect::Raw, b"\"a\\0\xff\""),
        ] {
            let mut out = Vec::new();
            CsvWriter::new(CsvOptions { dialect, ..options() }).binary(&mut out, b"a\0\xff");
            assert_eq!(out, expected);
        }
        for (bytes, expected) in [
            (&b""[..], &b""[..]),
            (b"f", b"Zg=="),
            (b"fo", b"Zm8="),
            (b"foo", b"Zm9v"),
            (b"foob", b"Zm9vYg=="),
        ] {
            let mut out = Vec::new();
            base64(&mut out, bytes);
            assert_eq!(out, expected);
        }
    }
}
