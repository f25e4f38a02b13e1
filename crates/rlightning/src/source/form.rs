//! How the bytes of a file become text: unpacking, then decoding. What reads the text counts offsets in it.

use std::io::{self, Read};
use std::sync::Arc;

use common::dumpfile::Compression;

use super::csv::Dialect;

/// How a file is packed: more ways than Dumpling has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs)]
pub enum Packing {
    #[default]
    Plain,
    Gzip,
    Zstd,
    Snappy,
    Lz4,
    Xz,
}

impl From<Compression> for Packing {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::Plain,
            Compression::Gzip => Self::Gzip,
            Compression::Zstd => Self::Zstd,
            Compression::Snappy => Self::Snappy,
        }
    }
}

impl Packing {
    /// The number that the real tool has for it.
    pub fn number(self) -> u8 {
        match self {
            Self::Plain => 0,
            Self::Gzip => 1,
            Self::Lz4 => 2,
            Self::Zstd => 3,
            Self::Xz => 4,
            Self::Snappy => 6,
        }
    }

    /// By the extension of a file, or the `compression` of a file rule.
    pub fn by_name(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "" | "none" => Self::Plain,
            "gz" | "gzip" => Self::Gzip,
            "zst" | "zstd" => Self::Zstd,
            "snappy" => Self::Snappy,
            "lz4" => Self::Lz4,
            "xz" => Self::Xz,
            _ => return None,
        })
    }
}

/// The form of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileForm {
    /// How it is packed.
    pub packing: Packing,
    /// Its character set, where it is not read as it is.
    pub decoding: Option<Decoding>,
    /// CSV of this dialect; `None` is SQL, or Parquet.
    pub csv: Option<Arc<Dialect>>,
    /// Parquet, whose offsets are numbers of rows.
    pub parquet: bool,
}

impl FileForm {
    /// A packed or plain file of SQL.
    pub fn sql(packing: Packing) -> Self {
        Self { packing, ..Self::default() }
    }

    /// A file of Parquet.
    pub fn parquet() -> Self {
        Self { parquet: true, ..Self::default() }
    }

    /// Whether its offsets are those of its bytes, and its parts can be read without what lies before them.
    pub fn is_plain(&self) -> bool {
        self.packing == Packing::Plain && self.decoding.is_none() && !self.parquet
    }

    /// Whether it can be loaded in several pieces.
    pub fn can_be_cut(&self) -> bool {
        self.is_plain() || self.parquet
    }

    /// An offset in words.
    pub fn place(&self, at: u64) -> String {
        if self.parquet { format!("row {at} (the first is 0)") } else { format!("byte {at}") }
    }

    /// A part in words.
    pub fn part(&self, begin: u64, end: u64) -> String {
        let unit = if self.parquet { "rows" } else { "bytes" };
        format!("{unit} {begin} to {end}")
    }

    /// Its type in the numbers of the real tool.
    pub fn number(&self) -> u8 {
        match (self.parquet, &self.csv) {
            (true, _) => 5,
            (false, Some(_)) => 4,
            (false, None) => 3,
        }
    }
}

/// From a character set into UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoding {
    encoding: &'static encoding_rs::Encoding,
    /// No byte above 0x7F is text.
    ascii: bool,
    /// What stands for bytes that are no text; `None`: they are an error.
    replacement: Option<String>,
}

impl Decoding {
    /// For the value of `data-character-set`. `Some(None)`: the text is taken as it is. `None`: not known.
    pub fn of(name: &str, replacement: Option<&str>) -> Option<Option<Self>> {
        let (encoding, ascii) = match name.to_lowercase().as_str() {
            "binary" => return Some(None),
            "utf8" | "utf8mb4" => (encoding_rs::UTF_8, false),
            "ascii" => (encoding_rs::UTF_8, true),
            "gb18030" => (encoding_rs::GB18030, false),
            "gbk" => (encoding_rs::GBK, false),
            // The five holes of Windows-1252 become C1 characters, as the servers have it.
            "latin1" => (encoding_rs::WINDOWS_1252, false),
            _ => return None,
        };
        Some(Some(Self { encoding, ascii, replacement: replacement.map(str::to_owned) }))
    }

    /// The text of a source of bytes.
    pub fn reader(&self, source: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        let decoder = self.encoding.new_decoder_without_bom_handling();
        let input = vec![0; INPUT].into_boxed_slice();
        Box::new(Decoder {
            form: self.clone(),
            source,
            decoder,
            input,
            start: 0,
            filled: 0,
            ended: false,
            text: Vec::with_capacity(4 * INPUT),
            given: 0,
            done: 0,
        })
    }
}

const INPUT: usize = 64 << 10;

struct Decoder {
    form: Decoding,
    source: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    input: Box<[u8]>,
    start: usize,
    filled: usize,
    ended: bool,
    /// Decoded text that is not given out yet begins at `given`.
    text: Vec<u8>,
    given: usize,
    /// Bytes of the source that are decoded.
    done: u64,
}

impl Decoder {
    fn bad(&mut self, at: u64) -> io::Result<()> {
        match &self.form.replacement {
            Some(text) => {
                self.text.extend_from_slice(text.as_bytes());
                Ok(())
            }
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the bytes at {at} of the file are no {}: set the right `mydumper.data-character-set`, or \
                     `mydumper.data-invalid-char-replace` to a text that shall stand for them",
                    if self.form.ascii { "ASCII" } else { self.form.encoding.name() }
                ),
            )),
        }
    }

    fn decode(&mut self) -> io::Result<()> {
        self.text.clear();
        self.given = 0;
        while self.text.is_empty() && !(self.ended && self.start == self.filled) {
            if self.start == self.filled {
                (self.start, self.filled) = (0, self.source.read(&mut self.input)?);
                self.ended = self.filled == 0;
            }
            if self.form.ascii {
                self.ascii()?;
                continue;
            }
            let mut room = [0; 4 * INPUT / 16];
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                &self.input[self.start..self.filled],
                &mut room,
                self.ended,
            );
            self.text.extend_from_slice(&room[..written]);
            self.start += read;
            self.done += read as u64;
            if let encoding_rs::DecoderResult::Malformed(length, behind) = result {
                self.bad(self.done.saturating_sub(u64::from(length) + u64::from(behind)))?;
            }
        }
        Ok(())
    }

    fn ascii(&mut self) -> io::Result<()> {
        while self.start < self.filled {
            let rest = &self.input[self.start..self.filled];
            let plain = rest.iter().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
            self.text.extend_from_slice(&rest[..plain]);
            self.start += plain;
            self.done += plain as u64;
            if self.start < self.filled {
                self.bad(self.done)?;
                self.start += 1;
                self.done += 1;
            }
        }
        Ok(())
    }
}

impl Read for Decoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.text.len() {
            self.decode()?;
        }
        let rest = &self.text[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(name: &str, bytes: &[u8], replacement: Option<&str>) -> io::Result<String> {
        let form = Decoding::of(name, replacement).unwrap().unwrap();
        let mut out = String::new();
        form.reader(Box::new(io::Cursor::new(bytes.to_vec()))).read_to_string(&mut out)?;
        Ok(out)
    }

    #[test]
    fn every_character_set() {
        assert_eq!(decoded("gbk", b"a\xd6\xd0\xceA", Some("?")).unwrap(), "a中蜛");
        assert_eq!(decoded("gb18030", b"\x81\x30\x81\x30,", None).unwrap(), "\u{80},");
        let all: Vec<u8> = (0x80..=0xFF).collect();
        let text = decoded("latin1", &all, None).unwrap();
        assert_eq!(text.chars().count(), 128);
        assert!(text.starts_with("€\u{81}‚") && text.ends_with('ÿ'), "{text}");
        let long = "ä,\n".repeat(100_000);
        assert_eq!(decoded("utf8mb4", long.as_bytes(), None).unwrap(), long);
        assert_eq!(Decoding::of("utf16", None), None);
        assert_eq!(Decoding::of("binary", None), Some(None));
    }

    #[test]
    fn bytes_that_are_no_text() {
        let error = decoded("utf8", b"ab\xff", None).unwrap_err().to_string();
        assert!(error.contains("the bytes at 2 of the file are no UTF-8"), "{error}");
        assert_eq!(decoded("utf8", b"a\xff\xfeb", Some("\u{fffd}")).unwrap(), "a\u{fffd}\u{fffd}b");
        let error = decoded("ascii", b"abc\xc3\xa4", None).unwrap_err().to_string();
        assert!(error.contains("at 3 of the file are no ASCII"), "{error}");
        assert_eq!(decoded("ascii", b"a\xc3\xa4b", Some("?")).unwrap(), "a??b");
        let error = decoded("gbk", b"ab\xd6", None).unwrap_err().to_string();
        assert!(error.contains("at 2 of the file"), "{error}");
    }
}
