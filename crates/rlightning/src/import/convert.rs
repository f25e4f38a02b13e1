//! From records of CSV to rows of SQL.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use sql::{SqlMode, json_doubles};
use tracing::warn;

use crate::downstream::tables::TargetColumn;
use crate::source::csv::{BinaryText, Dialect, Field};

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// It is left out.
    Skip,
    /// A string.
    Text,
    /// A string of bytes, whatever the session's character set.
    Binary,
    /// JSON whose doubles the target would misread.
    Json,
}

impl Cell {
    /// For a column of the target, which may misread doubles in JSON.
    pub fn of(column: Option<&TargetColumn>, misreads_doubles: bool) -> Cell {
        if misreads_doubles && super::json::is_json(column) {
            return Cell::Json;
        }
        let full_type = column.map_or("", |column| column.full_type.as_str()).to_ascii_lowercase();
        let word: String = full_type.chars().take_while(char::is_ascii_alphanumeric).collect();
        match word.as_str() {
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "bit" | "geometry"
            | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" | "geomcollection" => Cell::Binary,
            _ => Cell::Text,
        }
    }
}

/// Counts quoted fields that were read as NULL, and says so once: the writer may have meant the text.
#[derive(Debug, Default)]
pub struct QuotedNulls(AtomicU64);

impl QuotedNulls {
    fn note(&self, path: &str) {
        if self.0.fetch_add(1, Ordering::Relaxed) == 0 {
            warn!(
                file = path,
                "a quoted field that `mydumper.csv.null` lists was read as NULL, as Lightning does; if it is a text, set \
                 `mydumper.csv.quoted-null-is-text = true`"
            );
        }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Turns the records of one header into rows.
#[derive(Debug, Clone)]
pub struct CsvRows {
    /// The file, for messages.
    pub path: Arc<str>,
    /// How it is written.
    pub dialect: Arc<Dialect>,
    /// What becomes of its fields, in order.
    pub cells: Vec<Cell>,
    /// Cells behind them, each with its comma in front.
    pub append: Vec<u8>,
    /// Where quoted NULLs are counted.
    pub quoted_nulls: Arc<QuotedNulls>,
}

impl PartialEq for CsvRows {
    fn eq(&self, other: &Self) -> bool {
        (&self.path, &self.dialect, &self.cells, &self.append)
            == (&other.path, &other.dialect, &other.cells, &other.append)
    }
}

impl Eq for CsvRows {}

impl CsvRows {
    /// Appends the records of a run to `out` as rows with commas between.
    ///
    /// # Errors
    /// The offset of the record in `run`, and what is wrong with it.
    pub fn rows(&self, run: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), (usize, String)> {
        let mut first = true;
        self.dialect.each_record(run, &mut |at, fields| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            self.row(fields, mode, out).map_err(|what| (at, what))
        })
    }

    fn row(&self, fields: &[Field<'_>], mode: SqlMode, out: &mut Vec<u8>) -> Result<(), String> {
        let fields = self.dialect.trimmed(fields);
        if fields.len() != self.cells.len() {
            let bound = if fields.len() < self.cells.len() { "expected" } else { "at most" };
            let (wanted, got) = (self.cells.len(), fields.len());
            let join = if bound == "expected" { "," } else { " but" };
            return Err(format!("column count mismatch, {bound} {wanted}{join} got {got}"));
        }
        out.push(b'(');
        let start = out.len();
        for (field, cell) in fields.iter().zip(&self.cells) {
            if *cell == Cell::Skip {
                continue;
            }
            if out.len() > start {
                out.push(b',');
            }
            let Some(value) = self.dialect.value(*field) else {
                if field.quoted {
                    self.quoted_nulls.note(&self.path);
                }
                out.extend_from_slice(b"NULL");
                continue;
            };
            match (cell, self.dialect.binary) {
                (Cell::Binary, BinaryText::Raw) => {
                    out.extend_from_slice(b"_binary");
                    quote(&value, mode, out);
                }
                (Cell::Binary, encoded) => hex(&decode(encoded, &value)?, out),
                (Cell::Json, _) => match json_doubles::exact_sql(&value, mode) {
                    Some(sql) => out.extend_from_slice(&sql),
                    None => quote(&value, mode, out),
                },
                (_, _) => quote(&value, mode, out),
            }
        }
        // Without a cell in front the first comma goes.
        let append =
            if out.len() > start { &self.append[..] } else { self.append.get(1..).unwrap_or_default() };
        out.extend_from_slice(append);
        out.push(b')');
        Ok(())
    }
}

pub(super) fn quote(value: &[u8], mode: SqlMode, out: &mut Vec<u8>) {
    out.push(b'\'');
    let mut rest = value;
    while let Some(at) = memchr::memchr2(b'\'', b'\\', rest) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        if tail[0] == b'\'' || !mode.no_backslash_escapes {
            out.push(tail[0]);
        }
        out.push(tail[0]);
        rest = &tail[1..];
    }
    out.extend_from_slice(rest);
    out.push(b'\'');
}

fn decode<'v>(form: BinaryText, value: &'v [u8]) -> Result<Cow<'v, [u8]>, String> {
    let shown = || String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
    match form {
        BinaryText::Raw => Ok(Cow::Borrowed(value)),
        BinaryText::Base64 => base64::engine::general_purpose::STANDARD
            .decode(value)
            .map(Cow::Owned)
            .map_err(|_| format!("a value for a binary column is no base64: {}", shown())),
        BinaryText::Hex => {
            let digit = |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let pairs = value.chunks(2).map(|pair| match pair {
                [high, low] => Some(digit(*high)? << 4 | digit(*low)?),
                _ => None,
            });
            pairs.collect::<Option<Vec<u8>>>().map(Cow::Owned).ok_or_else(|| {
                format!("a value for a binary column is not in hexadecimal digits: {}", shown())
            })
        }
    }
}

fn hex(value: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.extend_from_slice(b"x'");
    for byte in value {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
    out.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(
        dialect: Dialect,
        cells: &[Cell],
        append: &str,
        text: &str,
        mode: SqlMode,
    ) -> Result<String, (usize, String)> {
        let rows = CsvRows {
            path: "f".into(),
            dialect: Arc::new(dialect),
            cells: cells.to_vec(),
            append: append.as_bytes().to_vec(),
            quoted_nulls: Arc::default(),
        };
        let mut out = Vec::new();
        rows.rows(text.as_bytes(), mode, &mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn dialect() -> Dialect {
        Dialect {
            separator: b",".to_vec(),
            quote: b"\"".to_vec(),
            terminator: b"\n".to_vec(),
            escape: Some(b'\\'),
            nulls: vec![b"".to_vec()],
            backslash_n: true,
            quoted_null_is_text: true,
            header: false,
            header_names: true,
            trim_last: false,
            binary: BinaryText::Raw,
            strict: false,
        }
    }

    #[test]
    fn records_become_rows() {
        use Cell::{Binary, Skip, Text};
        let mode = SqlMode::default();
        let text = "1,it's,\\N\n2,a\\\\b,\"\"\n";
        assert_eq!(
            rows(dialect(), &[Text, Text, Binary], "", text, mode).unwrap(),
            "('1','it''s',NULL),('2','a\\\\b',_binary'')"
        );
        let literal = SqlMode { no_backslash_escapes: true, ..mode };
        assert_eq!(
            rows(dialect(), &[Skip, Text, Skip], ",'x'", text, literal).unwrap(),
            "('it''s','x'),('a\\b','x')"
        );
        assert_eq!(rows(dialect(), &[Skip], ",'x'", "1\n", mode).unwrap(), "('x')");
        let hex = Dialect { binary: BinaryText::Hex, ..dialect() };
        assert_eq!(rows(hex.clone(), &[Binary], "", "00fF\n", mode).unwrap(), "(x'00ff')");
        assert!(rows(hex, &[Binary], "", "00\n0g\n", mode).unwrap_err().1.contains("hexadecimal"));
        let base64 = Dialect { binary: BinaryText::Base64, ..dialect() };
        assert_eq!(rows(base64, &[Binary], "", "AP8=\n", mode).unwrap(), "(x'00ff')");
    }

    #[test]
    fn a_wrong_number_of_fields_is_an_error() {
        let text = "1,2\n1\n";
        let error = rows(dialect(), &[Cell::Text; 2], "", text, SqlMode::default()).unwrap_err();
        assert_eq!(error, (4, "column count mismatch, expected 2, got 1".to_owned()));
        let error = rows(dialect(), &[Cell::Text; 1], "", text, SqlMode::default()).unwrap_err();
        assert_eq!(error, (0, "column count mismatch, at most 1 but got 2".to_owned()));
    }
}
