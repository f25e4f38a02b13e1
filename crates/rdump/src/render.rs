//! Rows as file text, and where statements and files are cut (facts/dumpling.md 2.5). Pure: no I/O.
//!
//! [`ChunkText`] turns rows into bytes in one buffer that is used again and again: nothing is allocated per row or
//! cell once the buffer has grown. Its owner writes the buffer out and begins files when [`ChunkText::push_row`]
//! says so.

use std::io::Write as _;

use mysql::wire::{ColumnDef, ColumnType, flag};

use crate::csv::CsvWriter;
use crate::escape::{escape_backslash, escape_doubling, hex};
use crate::mask::Mask;
use crate::parquet::{self, ParquetFile};

/// How a column's cells are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CellKind {
    /// The server's text as it is.
    Number,
    /// A FLOAT that came as DOUBLE: the shortest text that is the same FLOAT.
    Float,
    /// Quoted and escaped.
    Text,
    /// `x'...'` in SQL.
    Binary,
    /// Replaced by the mask of this number.
    Masked(usize),
}

impl CellKind {
    /// Dumpling decides by the type names of its driver; these are the same decisions.
    pub fn of(column: &ColumnDef) -> CellKind {
        match column.type_ {
            ColumnType::TINY
            | ColumnType::SHORT
            | ColumnType::LONG
            | ColumnType::INT24
            | ColumnType::LONGLONG
            | ColumnType::FLOAT
            | ColumnType::DOUBLE
            | ColumnType::DECIMAL
            | ColumnType::NEWDECIMAL => CellKind::Number,
            ColumnType::BIT | ColumnType::GEOMETRY => CellKind::Binary,
            ColumnType::TINY_BLOB
            | ColumnType::BLOB
            | ColumnType::MEDIUM_BLOB
            | ColumnType::LONG_BLOB
            | ColumnType::VARCHAR
            | ColumnType::VAR_STRING
            | ColumnType::VECTOR
                if column.is_binary() =>
            {
                CellKind::Binary
            }
            ColumnType::STRING if column.is_binary() && column.flags & (flag::ENUM | flag::SET) == 0 => {
                CellKind::Binary
            }
            _ => CellKind::Text,
        }
    }
}

/// How the cells of a row are written.
#[derive(Debug, Default)]
pub struct CellForms<'m> {
    kinds: Vec<CellKind>,
    /// Kinds and masks of fields that are replaced.
    masks: Vec<(CellKind, &'m Mask)>,
    /// Where a mask makes its text.
    scratch: Vec<u8>,
}

impl<'m> CellForms<'m> {
    /// `kinds` may be empty for a table without columns to insert. `masks` name their fields.
    pub fn new(mut kinds: Vec<CellKind>, masks: &'m [(usize, Mask)]) -> Self {
        let mut replaced = Vec::with_capacity(masks.len());
        for (field, mask) in masks {
            if let Some(kind) = kinds.get_mut(*field) {
                replaced.push((std::mem::replace(kind, CellKind::Masked(replaced.len())), mask));
            }
        }
        Self { kinds, masks: replaced, scratch: Vec::new() }
    }
}

/// What is written for a cell: the mask's kind and text where there is one.
#[inline]
fn replaced<'s>(
    kind: CellKind,
    value: &'s [u8],
    masks: &'s [(CellKind, &Mask)],
    scratch: &'s mut Vec<u8>,
) -> (CellKind, Option<&'s [u8]>) {
    match kind {
        CellKind::Masked(number) => masked(number, value, masks, scratch),
        kind => (kind, Some(value)),
    }
}

#[cold]
fn masked<'s>(
    number: usize,
    value: &[u8],
    masks: &'s [(CellKind, &Mask)],
    scratch: &'s mut Vec<u8>,
) -> (CellKind, Option<&'s [u8]>) {
    // A mask that is not there must not let the value out.
    let Some((kind, mask)) = masks.get(number) else { return (CellKind::Text, None) };
    (*kind, mask.apply(value, scratch))
}

/// The text form of one table's rows.
#[derive(Debug, Clone)]
pub enum Form {
    /// INSERT statements.
    Sql {
        /// Comment lines at the start of each file.
        header: Vec<u8>,
        /// ``INSERT INTO `t` VALUES`` with its line end.
        prefix: Vec<u8>,
        /// Backslash escapes; else only `'` is doubled.
        backslash: bool,
        /// Limit of one statement in bytes.
        statement_size: u64,
    },
    /// CSV records.
    Csv {
        /// The header line, empty for none.
        header: Vec<u8>,
        /// Field writer.
        writer: CsvWriter,
    },
    /// Parquet.
    Parquet {
        /// How.
        options: parquet::Options,
        /// Its columns, which the result tells.
        columns: Vec<parquet::Spec>,
    },
}

/// What the owner of a [`ChunkText`] has to do after a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Todo {
    /// Nothing.
    Nothing,
    /// The buffer is large: write it to the file.
    Write,
    /// The file has its size: write the buffer, finish the file.
    EndFile,
    /// The row can't be written: see [`ChunkText::failure`].
    Fail,
}

/// Size of the buffer at which it is written out.
const WRITE_AT: usize = 128 * 1024;

/// Memory of a buffer whose rows are not large: without it the buffer would grow to the next power of two.
const BUFFER: usize = WRITE_AT + 32 * 1024;

/// The rows of one chunk on their way into files.
#[derive(Debug)]
pub struct ChunkText<'f> {
    form: &'f Form,
    cells: CellForms<'f>,
    file_limit: u64,
    buffer: Vec<u8>,
    /// A file is begun: its header was put into the buffer.
    in_file: bool,
    in_statement: bool,
    statement_bytes: u64,
    file_bytes: u64,
    /// Rows and true bytes of the file at hand.
    rows: u64,
    bytes_before_buffer: u64,
    parquet: Option<Box<ParquetFile>>,
    /// Bytes of values that the owner has not heard of.
    unheard: u64,
    failure: String,
}

impl<'f> ChunkText<'f> {
    /// `buffer` is taken empty, for its memory.
    pub fn new(form: &'f Form, cells: CellForms<'f>, file_limit: Option<u64>, mut buffer: Vec<u8>) -> Self {
        buffer.clear();
        buffer.reserve_exact(BUFFER);
        let (parquet, failure) = match form {
            Form::Parquet { options, columns } => match ParquetFile::new(columns, options) {
                Ok(file) => (Some(Box::new(file)), String::new()),
                Err(error) => (None, error.to_string()),
            },
            _ => (None, String::new()),
        };
        Self {
            parquet,
            failure,
            unheard: 0,
            form,
            cells,
            file_limit: file_limit.unwrap_or(u64::MAX),
            buffer,
            in_file: false,
            in_statement: false,
            statement_bytes: 0,
            file_bytes: 0,
            rows: 0,
            bytes_before_buffer: 0,
        }
    }

    /// Why a row can't be written.
    pub fn failure(&self) -> &str {
        &self.failure
    }

    /// Bytes that were made out of rows since the last call.
    pub fn take_progress(&mut self) -> u64 {
        match self.parquet {
            Some(_) => std::mem::take(&mut self.unheard),
            None => self.buffer.len() as u64,
        }
    }

    /// Whether a file is begun.
    pub fn in_file(&self) -> bool {
        self.in_file
    }

    /// Appends a row; begins a file if there is none.
    #[inline]
    pub fn push_row<'a>(&mut self, cells: impl Iterator<Item = Option<&'a [u8]>>) -> Todo {
        if !self.in_file {
            self.begin_file();
        }
        match self.form {
            Form::Sql { prefix, backslash, statement_size, .. } => {
                if self.in_statement {
                    self.buffer.extend_from_slice(b",\n");
                } else {
                    self.buffer.extend_from_slice(prefix);
                    self.statement_bytes = prefix.len() as u64;
                    self.file_bytes += prefix.len() as u64;
                    self.in_statement = true;
                }
                let start = self.buffer.len();
                sql_row(&mut self.buffer, &mut self.cells, *backslash, cells);
                // The line end belongs to the row, though it is written with the next one.
                let size = (self.buffer.len() - start) as u64 + 2;
                self.statement_bytes += size;
                self.file_bytes += size;
                if self.statement_bytes >= *statement_size || self.file_bytes >= self.file_limit {
                    self.end_statement();
                }
            }
            Form::Csv { writer, .. } => {
                let start = self.buffer.len();
                csv_row(&mut self.buffer, &mut self.cells, writer, cells);
                self.file_bytes += (self.buffer.len() - start) as u64 + 1;
                self.buffer.extend_from_slice(&writer.options().terminator);
            }
            Form::Parquet { .. } => return self.push_parquet(cells),
        }
        self.rows += 1;
        if self.file_bytes >= self.file_limit {
            Todo::EndFile
        } else if self.buffer.len() >= WRITE_AT {
            Todo::Write
        } else {
            Todo::Nothing
        }
    }

    /// Row groups are kept until they are whole; the owner is told now and then all the same.
    fn push_parquet<'a>(&mut self, cells: impl Iterator<Item = Option<&'a [u8]>>) -> Todo {
        let Some(file) = &mut self.parquet else { return Todo::Fail };
        let before = self.unheard;
        match file.row(CellsOut { cells, forms: &mut self.cells }, &mut self.buffer) {
            Ok((bytes, is_group)) => {
                self.rows += 1;
                self.file_bytes += bytes as u64;
                self.unheard += bytes as u64;
                if self.file_bytes >= self.file_limit {
                    Todo::EndFile
                } else if is_group || before / WRITE_AT as u64 != self.unheard / WRITE_AT as u64 {
                    Todo::Write
                } else {
                    Todo::Nothing
                }
            }
            Err(what) => {
                self.failure = what;
                Todo::Fail
            }
        }
    }

    #[cold]
    fn begin_file(&mut self) {
        self.file_bytes = 0;
        match (self.form, &mut self.parquet) {
            (Form::Sql { header, .. } | Form::Csv { header, .. }, _) => {
                self.buffer.extend_from_slice(header);
                self.file_bytes = header.len() as u64;
            }
            (Form::Parquet { .. }, Some(file)) => file.begin(&mut self.buffer),
            (Form::Parquet { .. }, None) => {}
        }
        self.in_file = true;
        self.rows = 0;
        self.bytes_before_buffer = 0;
    }

    fn end_statement(&mut self) {
        self.buffer.extend_from_slice(b";\n");
        self.in_statement = false;
    }

    /// The bytes to write next.
    pub fn pending(&self) -> &[u8] {
        &self.buffer
    }

    /// Says that [`pending`](Self::pending) was written.
    pub fn written(&mut self) {
        self.bytes_before_buffer += self.buffer.len() as u64;
        self.buffer.clear();
    }

    /// Gives the pending bytes away in exchange for an empty buffer.
    pub fn swap(&mut self, mut empty: Vec<u8>) -> Vec<u8> {
        empty.clear();
        empty.reserve_exact(BUFFER);
        self.bytes_before_buffer += self.buffer.len() as u64;
        std::mem::replace(&mut self.buffer, empty)
    }

    /// Completes the text of the file at hand: afterwards write what is pending and finish the file. Returns its rows
    /// and bytes.
    pub fn end_file(&mut self) -> (u64, u64) {
        if self.in_statement {
            self.end_statement();
        }
        if let Some(file) = &mut self.parquet
            && let Err(error) = file.end(&mut self.buffer)
        {
            self.failure = error.to_string();
        }
        self.in_file = false;
        (self.rows, self.bytes_before_buffer + self.buffer.len() as u64)
    }

    /// Gives the buffer back for the next chunk.
    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }
}

/// Cells with their masks.
struct CellsOut<'c, 'm, I> {
    cells: I,
    forms: &'c mut CellForms<'m>,
}

impl<'a, I: Iterator<Item = Option<&'a [u8]>>> parquet::Row for CellsOut<'_, '_, I> {
    #[inline]
    fn each(self, mut take: impl FnMut(Option<&[u8]>) -> Result<(), String>) -> Result<(), String> {
        let CellForms { kinds, masks, scratch } = self.forms;
        for (cell, kind) in self.cells.zip(&*kinds) {
            take(cell.and_then(|value| replaced(*kind, value, masks, scratch).1))?;
        }
        Ok(())
    }
}

/// Appends `(1,'a',NULL)`.
#[inline]
fn sql_row<'a>(
    out: &mut Vec<u8>,
    forms: &mut CellForms<'_>,
    backslash: bool,
    cells: impl Iterator<Item = Option<&'a [u8]>>,
) {
    let CellForms { kinds, masks, scratch } = forms;
    out.push(b'(');
    for (i, (cell, kind)) in cells.zip(&*kinds).enumerate() {
        if i > 0 {
            out.push(b',');
        }
        let (kind, cell) = match cell {
            Some(value) => replaced(*kind, value, masks, scratch),
            None => (*kind, None),
        };
        let Some(value) = cell else {
            out.extend_from_slice(b"NULL");
            continue;
        };
        match kind {
            CellKind::Number => out.extend_from_slice(value),
            CellKind::Float => float(out, value),
            CellKind::Text => {
                out.push(b'\'');
                match backslash {
                    true => escape_backslash(out, value),
                    false => escape_doubling(out, value),
                }
                out.push(b'\'');
            }
            CellKind::Binary => {
                out.extend_from_slice(b"x'");
                hex(out, value);
                out.push(b'\'');
            }
            // `replaced` gives the kind below it.
            CellKind::Masked(_) => {}
        }
    }
    out.push(b')');
}

/// Appends a record without its terminator.
fn csv_row<'a>(
    out: &mut Vec<u8>,
    forms: &mut CellForms<'_>,
    writer: &CsvWriter,
    cells: impl Iterator<Item = Option<&'a [u8]>>,
) {
    let CellForms { kinds, masks, scratch } = forms;
    for (i, (cell, kind)) in cells.zip(&*kinds).enumerate() {
        if i > 0 {
            out.extend_from_slice(&writer.options().separator);
        }
        let (kind, cell) = match cell {
            Some(value) => replaced(*kind, value, masks, scratch),
            None => (*kind, None),
        };
        match (cell, kind) {
            (None, _) | (_, CellKind::Masked(_)) => out.extend_from_slice(&writer.options().null),
            (Some(value), CellKind::Number) => out.extend_from_slice(value),
            (Some(value), CellKind::Float) => float(out, value),
            (Some(value), CellKind::Text) => writer.text(out, value),
            (Some(value), CellKind::Binary) => writer.binary(out, value),
        }
    }
}

/// Appends the shortest digits of a FLOAT.
fn float(out: &mut Vec<u8>, value: &[u8]) {
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok());
    // Every FLOAT is a DOUBLE, so nothing is rounded here; what is none is left as it came.
    let Some(number) = number.map(|number| number as f32).filter(|number| number.is_finite()) else {
        return out.extend_from_slice(value);
    };
    let is_plain = number == 0.0 || (1e-5..1e15).contains(&number.abs());
    // Writing to memory does not fail.
    let _ = match is_plain {
        true => write!(out, "{number}"),
        false => write!(out, "{number:e}"),
    };
}

/// The header line of CSV files.
pub fn csv_header<'a>(writer: &CsvWriter, names: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut out = Vec::new();
    if !writer.options().header {
        return out;
    }
    for (i, name) in names.enumerate() {
        if i > 0 {
            out.extend_from_slice(&writer.options().separator);
        }
        writer.text(&mut out, name.as_bytes());
    }
    if !out.is_empty() {
        out.extend_from_slice(&writer.options().terminator);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(statement_size: u64) -> Form {
        Form::Sql { header: b"H\n".to_vec(), prefix: b"INS\n".to_vec(), backslash: true, statement_size }
    }

    /// All files of a run over rows `(1,'a')`, `(2,'a')`, ...
    fn files(form: &Form, file_limit: Option<u64>, rows: u64) -> Vec<(String, u64)> {
        let mut files = Vec::new();
        let mut file = Vec::new();
        let mut text = ChunkText::new(
            form,
            CellForms::new(vec![CellKind::Number, CellKind::Text], &[]),
            file_limit,
            Vec::new(),
        );
        for i in 1..=rows {
            let number = i.to_string();
            let todo = text.push_row([Some(number.as_bytes()), Some(&b"a"[..])].into_iter());
            file.extend_from_slice(text.pending());
            text.written();
            if todo == Todo::EndFile {
                finish(&mut text, &mut file, &mut files);
            }
        }
        if text.in_file() {
            finish(&mut text, &mut file, &mut files);
        }
        files
    }

    fn finish(text: &mut ChunkText<'_>, file: &mut Vec<u8>, files: &mut Vec<(String, u64)>) {
        let (rows, bytes) = text.end_file();
        file.extend_from_slice(text.pending());
        text.written();
        assert_eq!(bytes, file.len() as u64);
        files.push((String::from_utf8(std::mem::take(file)).unwrap(), rows));
    }

    #[test]
    fn one_statement() {
        let expected = "H\nINS\n(1,'a'),\n(2,'a');\n".to_owned();
        assert_eq!(files(&form(1000), None, 2), [(expected, 2)]);
        assert_eq!(files(&form(1000), None, 0), []);
    }

    #[test]
    fn statements_are_cut_after_the_row_that_reaches_the_size() {
        // 4 bytes of prefix and 9 a row: 13, 22.
        let expected = "H\nINS\n(1,'a'),\n(2,'a');\nINS\n(3,'a');\n".to_owned();
        assert_eq!(files(&form(22), None, 3), [(expected, 3)]);
        let expected = "H\nINS\n(1,'a');\nINS\n(2,'a');\n".to_owned();
        assert_eq!(files(&form(13), None, 2), [(expected, 2)]);
    }

    #[test]
    fn files_are_cut_and_begin_anew() {
        let two = "H\nINS\n(1,'a'),\n(2,'a');\n".to_owned();
        let one = "H\nINS\n(3,'a');\n".to_owned();
        assert_eq!(files(&form(1000), Some(24), 3), [(two.clone(), 2), (one, 1)]);
        // The last row fills the file: no empty file follows.
        assert_eq!(files(&form(1000), Some(24), 2), [(two, 2)]);
    }

    #[test]
    fn floats_are_exact_and_short() {
        for (value, expected) in [
            ("0.10000000149011612", "0.1"),
            ("1234567.875", "1234567.9"),
            ("-3.4028234663852886e38", "-3.4028235e38"),
            ("1.1754943508222875e-38", "1.1754944e-38"),
            ("0", "0"),
            ("-0", "-0"),
            ("16777216", "16777216"),
            ("nonsense", "nonsense"),
        ] {
            let mut out = Vec::new();
            float(&mut out, value.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }

    #[test]
    fn values_by_kind() {
        let mut out = Vec::new();
        let kinds = vec![CellKind::Number, CellKind::Text, CellKind::Binary, CellKind::Text];
        let mut kinds = CellForms::new(kinds, &[]);
        let cells = [Some(&b"-1.5"[..]), Some(b"a'\\"), Some(b"\x00\xff"), None];
        sql_row(&mut out, &mut kinds, true, cells.into_iter());
        assert_eq!(out, b"(-1.5,'a\\'\\\\',x'00ff',NULL)");
        out.clear();
        sql_row(&mut out, &mut kinds, false, cells.into_iter());
        assert_eq!(out, b"(-1.5,'a''\\',x'00ff',NULL)");
        out.clear();
        sql_row(&mut out, &mut CellForms::default(), true, cells.into_iter());
        assert_eq!(out, b"()");
    }
}
