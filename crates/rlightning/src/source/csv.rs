//! CSV text: which bytes are a record, which a field, and what a field means (facts/lightning.md 2.8).
//!
//! One scanner serves all: the reader that looks for the ends of records, and the conversion into SQL that looks at fields. A record
//! comes with its terminator; empty lines and lines of blanks are none.

use std::borrow::Cow;

use sql::Span;
use sql::values::{Head, Item, Verb};

/// How binary columns are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinaryText {
    /// As their bytes.
    #[default]
    Raw,
    /// In hexadecimal digits: Dumpling's output for Snowflake and Redshift.
    Hex,
    /// Dumpling's output for BigQuery.
    Base64,
}

/// A checked `[mydumper.csv]`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Dialect {
    /// Between fields; not empty.
    pub separator: Vec<u8>,
    /// Around fields; empty for none.
    pub quote: Vec<u8>,
    /// Behind records; empty: CR or LF.
    pub terminator: Vec<u8>,
    /// In front of a byte that means something else.
    pub escape: Option<u8>,
    /// Texts that mean NULL; `\N` is not among them.
    pub nulls: Vec<Vec<u8>>,
    /// `\N`, not unescaped, means NULL.
    pub backslash_n: bool,
    /// A quoted field is never NULL.
    pub quoted_null_is_text: bool,
    /// The first record of a file names columns.
    pub header: bool,
    /// And they count.
    pub header_names: bool,
    /// An empty last field is none.
    pub trim_last: bool,
    /// How binary columns are written.
    pub binary: BinaryText,
    /// No field holds a terminator.
    pub strict: bool,
}

/// Why a text is no CSV. Offsets count from the start of the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CsvError {
    /// A quote that is open at the end.
    #[error("syntax error: unterminated quoted field, the quote at byte {0} is never closed")]
    Unclosed(u64),
    /// Something between a quote and a separator.
    #[error("syntax error: cannot have consecutive fields without separator, at byte {0}")]
    NoSeparator(u64),
    /// An escape at the end.
    #[error("syntax error: no character after backslash, at byte {0}")]
    NothingEscaped(u64),
}

/// A field as it is written: without its quotes, but with all escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its bytes.
    pub raw: &'a [u8],
    /// Whether it stood in quotes.
    pub quoted: bool,
}

enum Step {
    /// A record; the next one begins at `end`.
    Record(usize),
    /// An empty line.
    Blank(usize),
    /// The window ends before the record does.
    More,
    /// The text has ended, without a record.
    End,
}

enum Match {
    Yes,
    No,
    /// The window ends before it can be told.
    More,
}

impl Dialect {
    fn at(text: &[u8], at: usize, word: &[u8], at_end: bool) -> Match {
        let rest = &text[at..];
        if word.is_empty() {
            return Match::No;
        }
        if rest.starts_with(word) {
            return Match::Yes;
        }
        if !at_end && rest.len() < word.len() && word.starts_with(rest) {
            return Match::More;
        }
        Match::No
    }

    /// The length of the terminator at `at`: 0 for none.
    fn line_end(&self, text: &[u8], at: usize, at_end: bool) -> Option<usize> {
        if self.terminator.is_empty() {
            return Some(usize::from(matches!(text.get(at), Some(b'\r' | b'\n'))));
        }
        match Self::at(text, at, &self.terminator, at_end) {
            Match::Yes => Some(self.terminator.len()),
            Match::No => Some(0),
            Match::More => None,
        }
    }

    fn is_special(&self, byte: u8) -> bool {
        byte == self.separator[0]
            || self.quote.first() == Some(&byte)
            || Some(byte) == self.escape
            || match self.terminator.first() {
                Some(first) => byte == *first,
                None => matches!(byte, b'\r' | b'\n'),
            }
    }

    /// Reads one record from `start` on. `base` is the offset of the text in its file, for errors.
    fn record<'t>(
        &self,
        text: &'t [u8],
        start: usize,
        at_end: bool,
        base: u64,
        field: &mut impl FnMut(Field<'t>),
    ) -> Result<Step, CsvError> {
        let offset = |at: usize| base + at as u64;
        let mut at = start;
        let mut first = true;
        loop {
            let begin = at;
            let quoted = match Self::at(text, at, &self.quote, at_end) {
                Match::Yes => true,
                Match::No => false,
                Match::More => return Ok(Step::More),
            };
            let end = if quoted {
                match self.quoted_end(text, begin + self.quote.len(), at_end) {
                    Ok(Some(end)) => end,
                    Ok(None) if !at_end => return Ok(Step::More),
                    _ => return Err(CsvError::Unclosed(offset(begin))),
                }
            } else {
                match self.plain_end(text, begin, at_end, base)? {
                    Some(end) => end,
                    None => return Ok(Step::More),
                }
            };
            let raw = if quoted {
                &text[begin + self.quote.len()..end - self.quote.len()]
            } else {
                &text[begin..end]
            };
            at = end;
            match Self::at(text, at, &self.separator, at_end) {
                Match::Yes => {
                    field(Field { raw, quoted });
                    at += self.separator.len();
                    first = false;
                    continue;
                }
                Match::More => return Ok(Step::More),
                Match::No => {}
            }
            let Some(length) = self.line_end(text, at, at_end) else { return Ok(Step::More) };
            if length == 0 && at < text.len() {
                return Err(CsvError::NoSeparator(offset(at)));
            }
            if length == 0 && !at_end {
                return Ok(Step::More);
            }
            at += length;
            if first && !quoted && raw.trim_ascii().is_empty() {
                return Ok(if length == 0 { Step::End } else { Step::Blank(at) });
            }
            field(Field { raw, quoted });
            return Ok(Step::Record(at));
        }
    }

    /// Where a quoted field ends, behind its quote. `Err`: an escape is the last byte.
    fn quoted_end(&self, text: &[u8], mut at: usize, at_end: bool) -> Result<Option<usize>, ()> {
        let quote = self.quote.as_slice();
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let found = match self.escape {
                Some(escape) => memchr::memchr2(quote[0], escape, rest),
                None => memchr::memchr(quote[0], rest),
            };
            let Some(found) = found else { return Ok(None) };
            at += found;
            if Some(text[at]) == self.escape {
                at += 2;
                if at > text.len() {
                    return Ok(None);
                }
                continue;
            }
            match Self::at(text, at, quote, at_end) {
                Match::More => return Ok(None),
                Match::No => {
                    at += 1;
                    continue;
                }
                Match::Yes => at += quote.len(),
            }
            // Doubled, it stands for itself.
            match Self::at(text, at, quote, at_end) {
                Match::Yes => at += quote.len(),
                Match::More => return Ok(None),
                Match::No if at == text.len() && !at_end => return Ok(None),
                Match::No => return Ok(Some(at)),
            }
        }
    }

    /// Where a field without quotes ends: at a separator, a terminator or the end of the text. `None`: not in this window.
    fn plain_end(
        &self,
        text: &[u8],
        mut at: usize,
        at_end: bool,
        base: u64,
    ) -> Result<Option<usize>, CsvError> {
        loop {
            let rest = &text[at..];
            let Some(found) = rest.iter().position(|byte| self.is_special(*byte)) else {
                return Ok(at_end.then_some(text.len()));
            };
            at += found;
            let mut waits = false;
            for word in [&self.separator, &self.quote] {
                match Self::at(text, at, word, at_end) {
                    Match::Yes => return Ok(Some(at)),
                    Match::More => waits = true,
                    Match::No => {}
                }
            }
            match self.line_end(text, at, at_end) {
                Some(0) => {}
                Some(_) => return Ok(Some(at)),
                None => waits = true,
            }
            if waits {
                return Ok(None);
            }
            if Some(text[at]) == self.escape {
                if at + 1 == text.len() {
                    return if at_end { Err(CsvError::NothingEscaped(base + at as u64)) } else { Ok(None) };
                }
                at += 1;
            }
            at += 1;
        }
    }

    /// Shows the records of a run that a [`CsvReader`] found: offset, and fields.
    ///
    /// # Errors
    /// The first of `take`.
    pub fn each_record<'t, E>(
        &self,
        run: &'t [u8],
        take: &mut impl FnMut(usize, &[Field<'t>]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut at = 0;
        let mut fields = Vec::new();
        loop {
            fields.clear();
            match self.record(run, at, true, 0, &mut |field| fields.push(field)) {
                Ok(Step::Record(end)) => {
                    take(at, &fields)?;
                    at = end;
                }
                Ok(Step::Blank(end)) => at = end,
                // The run was found by this scanner, so it holds records and nothing else.
                Ok(Step::More | Step::End) | Err(_) => return Ok(()),
            }
            if at >= run.len() {
                return Ok(());
            }
        }
    }

    /// The records of a run as they stand: offset and bytes.
    pub fn raw_records<'t>(&'t self, run: &'t [u8]) -> impl Iterator<Item = (usize, &'t [u8])> {
        let mut at = 0;
        std::iter::from_fn(move || {
            loop {
                let start = at;
                match self.record(run, start, true, 0, &mut |_| {}) {
                    Ok(Step::Record(end)) => {
                        at = end;
                        return Some((start, &run[start..end]));
                    }
                    Ok(Step::Blank(end)) => at = end,
                    Ok(Step::More | Step::End) | Err(_) => return None,
                }
            }
        })
    }

    /// What a field means; `None` is NULL.
    pub fn value<'f>(&self, field: Field<'f>) -> Option<Cow<'f, [u8]>> {
        let may_be_null = !(field.quoted && self.quoted_null_is_text);
        if may_be_null && self.backslash_n && field.raw == b"\\N" {
            return None;
        }
        let value = self.unescaped(field);
        if may_be_null && self.nulls.iter().any(|null| *null == *value) {
            return None;
        }
        Some(value)
    }

    fn unescaped<'f>(&self, field: Field<'f>) -> Cow<'f, [u8]> {
        let quote = if field.quoted { self.quote.first() } else { None };
        let special = |byte: u8| Some(byte) == self.escape || Some(&byte) == quote;
        if !field.raw.iter().any(|byte| special(*byte)) {
            return Cow::Borrowed(field.raw);
        }
        let mut out = Vec::with_capacity(field.raw.len());
        let mut rest = field.raw;
        while let [first, tail @ ..] = rest {
            if Some(*first) == self.escape
                && let [second, tail @ ..] = tail
            {
                out.push(match second {
                    b'0' => 0,
                    b'b' => 8,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'Z' => 26,
                    other => *other,
                });
                rest = tail;
            } else if quote.is_some() && rest.starts_with(&self.quote) {
                // Doubled.
                out.extend_from_slice(&self.quote);
                rest = &rest[(2 * self.quote.len()).min(rest.len())..];
            } else {
                out.push(*first);
                rest = tail;
            }
        }
        Cow::Owned(out)
    }

    /// Takes the empty last field off.
    pub fn trimmed<'a, 'f>(&self, fields: &'a [Field<'f>]) -> &'a [Field<'f>] {
        match fields {
            [rest @ .., last] if self.trim_last && last.raw.is_empty() && !last.quoted => rest,
            _ => fields,
        }
    }
}

/// Finds records in a file through a window, as [`sql::values::ValuesReader`] finds rows. The header, if there is one, is the head of
/// all of them and begins at byte 0.
#[derive(Debug, Clone)]
pub struct CsvReader {
    dialect: std::sync::Arc<Dialect>,
    offset: u64,
    head_given: bool,
}

impl CsvReader {
    /// A reader that begins at byte `offset`, at the start of a file or (`resumed`) behind a record.
    pub fn new(dialect: std::sync::Arc<Dialect>, offset: u64, resumed: bool) -> Self {
        Self { dialect, offset, head_given: resumed }
    }

    /// Where the reader stands: everything before is done with.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Reads the next item of `window`, whose first byte is at [`offset`](Self::offset); `at_end` says that the file ends with it. A
    /// run ends with the record that makes it `max_bytes` long or longer.
    ///
    /// # Errors
    /// Text that is no CSV; records before it have been given out.
    pub fn next(&mut self, window: &[u8], at_end: bool, max_bytes: usize) -> Result<Item, CsvError> {
        let dialect = std::sync::Arc::clone(&self.dialect);
        if !self.head_given {
            return self.head(&dialect, window, at_end);
        }
        let mut at = 0;
        let mut first = None;
        let mut count = 0;
        loop {
            let step = if at == window.len() {
                Ok(if at_end { Step::End } else { Step::More })
            } else {
                dialect.record(window, at, at_end, self.offset, &mut |_| {})
            };
            match step {
                Ok(Step::Blank(end)) if count == 0 => at = end,
                // It ends the run, so that runs hold what is sent.
                Ok(Step::Blank(_)) => break,
                Ok(Step::Record(end)) => {
                    let first = *first.get_or_insert(at);
                    at = end;
                    count += 1;
                    if end - first >= max_bytes {
                        break;
                    }
                }
                Ok(Step::More | Step::End) if count > 0 => break,
                Err(_) if count > 0 => break,
                Ok(Step::More) => {
                    self.offset += at as u64;
                    return Ok(Item::More);
                }
                Ok(Step::End) => {
                    self.offset += window.len() as u64;
                    return Ok(Item::Eof);
                }
                Err(error) => return Err(error),
            }
        }
        let start = first.unwrap_or(0);
        self.offset += at as u64;
        Ok(Item::Rows { span: Span::new(start, at), count })
    }

    fn head(&mut self, dialect: &Dialect, window: &[u8], at_end: bool) -> Result<Item, CsvError> {
        let head = |columns, end| {
            Item::Head(Head {
                verb: Verb::Insert,
                span: Span::new(0, end),
                schema: None,
                table: String::new(),
                table_span: Span::new(0, 0),
                columns,
                columns_span: None,
            })
        };
        if !dialect.header {
            self.head_given = true;
            return Ok(head(None, 0));
        }
        // A mark of UTF-8 is no part of the first name.
        let mut at = if window.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        if window.len() < 3 && !at_end {
            return Ok(Item::More);
        }
        loop {
            let mut fields = Vec::new();
            match dialect.record(window, at, at_end, self.offset, &mut |field| fields.push(field))? {
                Step::Blank(end) => at = end,
                Step::More => return Ok(Item::More),
                Step::End => {
                    self.offset += window.len() as u64;
                    return Ok(Item::Eof);
                }
                Step::Record(end) => {
                    self.head_given = true;
                    self.offset += end as u64;
                    let names = dialect
                        .trimmed(&fields)
                        .iter()
                        .map(|field| String::from_utf8_lossy(&dialect.unescaped(*field)).to_lowercase())
                        .collect();
                    return Ok(head(dialect.header_names.then_some(names), end));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
