//! Reads `INSERT … VALUES` and `REPLACE … VALUES` text: heads, rows and cells, all lent from the caller's window.
//!
//! [`ValuesReader`] walks a data file through a window that the caller refills. Its state is a position and "between
//! statements" or "between rows", so a reader can be started at any statement border with [`ValuesReader::new`], or at a row
//! boundary found earlier with [`ValuesReader::resume`]. Rows come in runs of a wanted size, so that a batch is one slice that can be
//! sent on without a copy; [`cells`] looks into one row.
//!
//! Unlike Lightning's tokenizer (facts/lightning.md 2.9) the reader is strict between rows: a stray byte is an error, never a
//! part of a row.

mod cell;
mod head;
mod scan;

pub use cell::{Cell, CellError, CellKind, Cells, Value, cells};
pub use head::{Head, Verb};

use crate::lexer::{Open, Span, SqlMode};
use crate::split::{SplitError, Splitter};
use scan::{RowScanner, Skip};

/// Why INSERT text cannot be read. Offsets count from the start of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValuesError {
    /// The text ended inside a string, name, comment or row.
    #[error("the {what} opened at byte {offset} is never closed")]
    Unclosed {
        /// What was opened.
        what: Open,
        /// Where.
        offset: u64,
    },
    /// The text ended between VALUES and the end of the statement's rows.
    #[error("the file ends at byte {offset}, where {expected} should follow")]
    Truncated {
        /// The length of the file.
        offset: u64,
        /// What is missing.
        expected: &'static str,
    },
    /// A byte that cannot stand there.
    #[error("unexpected {found} at byte {offset}, {expected} should stand there")]
    Unexpected {
        /// The byte, printable.
        found: String,
        /// Where.
        offset: u64,
        /// What may stand there.
        expected: &'static str,
    },
    /// An INSERT or REPLACE without VALUES (INSERT … SELECT, INSERT … SET).
    #[error("the statement at byte {offset} is an INSERT or REPLACE without a list of VALUES")]
    NotValues {
        /// Where the statement begins.
        offset: u64,
    },
    /// A statement that is not an INSERT cannot be split off.
    #[error(transparent)]
    Split(#[from] SplitError),
}

/// What the reader found. All spans count from the start of the window it was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// The text of an INSERT up to and with VALUES; runs of rows follow.
    Head(Head),
    /// Whole rows, from the first one's opening parenthesis to the last one's closing one.
    Rows {
        /// The bytes of the rows and what separates them; they can stand behind `VALUES` as they are.
        span: Span,
        /// How many rows, at least 1.
        count: u64,
    },
    /// What follows the last row of a statement, such as `ON DUPLICATE KEY UPDATE …`, without the semicolon.
    Tail(Span),
    /// The end of an INSERT; its semicolon is consumed.
    End,
    /// Any other statement, without its semicolon: `SET …`, `/*!40101 …*/`, `LOCK TABLES …`.
    Other(Span),
    /// The window holds no whole item: show it again from [`ValuesReader::offset`] on with more bytes.
    More,
    /// The file has ended, between statements.
    Eof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Between,
    /// Behind VALUES or a comma: a row has to follow.
    Row,
    /// At a row boundary given by the caller: a comma may or may not stand before the next row.
    Boundary,
    /// Behind a row.
    AfterRow,
}

/// The position of a reader in a file of INSERT statements. See the module's text.
#[derive(Clone, Debug)]
pub struct ValuesReader {
    mode: SqlMode,
    state: State,
    offset: u64,
}

impl ValuesReader {
    /// A reader that begins at byte `offset` of a file, at its start or between two statements.
    pub fn new(mode: SqlMode, offset: u64) -> Self {
        Self { mode, state: State::Between, offset }
    }

    /// A reader that goes on at byte `offset`, the begin or end of a row found by an earlier reader. The caller still knows
    /// the head of that statement.
    pub fn resume(mode: SqlMode, offset: u64) -> Self {
        Self { mode, state: State::Boundary, offset }
    }

    /// Where the reader stands: everything before is done with. After [`Item::Rows`] it is the end of the last row.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the reader stands inside the rows of a statement.
    pub fn in_rows(&self) -> bool {
        self.state != State::Between
    }

    /// Reads the next item of `window`, whose first byte is at [`ValuesReader::offset`]; `at_end` says that the file ends with the
    /// window. A run of rows ends with the row that makes it `max_bytes` long or longer, or with the last whole row of the
    /// window. Drop `reader.offset() - offset before` bytes of the window after each call.
    ///
    /// # Errors
    /// See [`ValuesError`]; the reader's position is unchanged then, rows before the error have been given out.
    pub fn next(&mut self, window: &[u8], at_end: bool, max_bytes: usize) -> Result<Item, ValuesError> {
        let mut scanner = RowScanner::new(window, self.mode, at_end);
        let mut at = match self.skip(&mut scanner, 0)? {
            Some(at) => at,
            None => return Ok(Item::More),
        };
        if self.state == State::Between {
            return self.statement(window, at, at_end);
        }
        if window.get(at) == Some(&b',') && self.state != State::Row {
            match self.skip(&mut scanner, at + 1)? {
                Some(next) => at = next,
                None => return Ok(Item::More),
            }
            if at < window.len() {
                return self.rows(&mut scanner, at, max_bytes);
            }
            return self.row_missing(at_end);
        }
        match (window.get(at), self.state) {
            (None, State::Row) => self.row_missing(at_end),
            (None, _) if at_end => Ok(self.end_of_statement(at)),
            (None, _) => Ok(Item::More),
            (Some(_), State::Row) => self.rows(&mut scanner, at, max_bytes),
            (Some(b';'), _) => Ok(self.end_of_statement(at + 1)),
            (Some(b'(' | b'r' | b'R'), State::Boundary) => self.rows(&mut scanner, at, max_bytes),
            (Some(_), _) => self.tail(window, at, at_end),
        }
    }

    fn row_missing(&self, at_end: bool) -> Result<Item, ValuesError> {
        if at_end {
            return Err(ValuesError::Truncated { offset: self.offset, expected: "a row" });
        }
        Ok(Item::More)
    }

    fn end_of_statement(&mut self, consumed: usize) -> Item {
        self.state = State::Between;
        self.offset += consumed as u64;
        Item::End
    }

    /// Skips blanks and comments; None: the window ends inside a comment and more is to come.
    fn skip(&self, scanner: &mut RowScanner<'_>, at: usize) -> Result<Option<usize>, ValuesError> {
        match scanner.skip_blank(at, self.state != State::Between) {
            Skip::At(at) => Ok(Some(at)),
            Skip::More => Ok(None),
            Skip::Unclosed { what, at } => {
                Err(ValuesError::Unclosed { what, offset: self.offset + at as u64 })
            }
        }
    }

    fn statement(&mut self, window: &[u8], at: usize, at_end: bool) -> Result<Item, ValuesError> {
        let start = self.offset + at as u64;
        match window.get(at) {
            None if at_end => {
                self.offset = start;
                return Ok(Item::Eof);
            }
            None => {
                // Blanks need not be shown again.
                self.offset = start;
                return Ok(Item::More);
            }
            Some(_) => {}
        }
        match head::read(window, at, self.mode, at_end) {
            head::Outcome::Head { head, end } => {
                self.state = State::Row;
                self.offset += end as u64;
                Ok(Item::Head(head))
            }
            head::Outcome::More => Ok(Item::More),
            head::Outcome::NotValues => Err(ValuesError::NotValues { offset: start }),
            head::Outcome::Unclosed { what, at } => {
                Err(ValuesError::Unclosed { what, offset: self.offset + at as u64 })
            }
            head::Outcome::Truncated => {
                Err(ValuesError::Truncated { offset: self.offset + window.len() as u64, expected: "VALUES" })
            }
            head::Outcome::Other => match self.other(window, at, at_end)? {
                Some((span, end)) => {
                    self.offset += end as u64;
                    Ok(Item::Other(span))
                }
                None => Ok(Item::More),
            },
        }
    }

    /// The statement or tail that begins at `at`, and where the text behind its semicolon begins.
    fn other(&self, window: &[u8], at: usize, at_end: bool) -> Result<Option<(Span, usize)>, ValuesError> {
        let start = self.offset + at as u64;
        let mut splitter = Splitter::starting_at(self.mode, start);
        let scan =
            splitter.scan(window.get(at..).unwrap_or_default(), at_end).map_err(|error| match error {
                SplitError::Unclosed { what, offset } => ValuesError::Unclosed { what, offset },
                other => other.into(),
            })?;
        Ok(scan.statement.map(|span| {
            let span = Span::new((span.start - self.offset) as usize, (span.end - self.offset) as usize);
            (span, at + scan.consumed)
        }))
    }

    fn tail(&mut self, window: &[u8], at: usize, at_end: bool) -> Result<Item, ValuesError> {
        let rest = &window[at..];
        let word_len = rest.iter().take(12).take_while(|byte| byte.is_ascii_alphabetic()).count();
        if word_len == rest.len() && !at_end {
            return Ok(Item::More);
        }
        let word = &rest[..word_len];
        if ![&b"ON"[..], b"AS", b"RETURNING"].iter().any(|known| known.eq_ignore_ascii_case(word)) {
            return Err(self.unexpected(window, at, "a comma or semicolon"));
        }
        let Some((span, end)) = self.other(window, at, at_end)? else { return Ok(Item::More) };
        self.offset += end as u64;
        // The semicolon stays for `End`, if there is one.
        if window.get(end.saturating_sub(1)) == Some(&b';') {
            self.offset -= 1;
        }
        self.state = State::AfterRow;
        Ok(Item::Tail(span))
    }

    fn unexpected(&self, window: &[u8], at: usize, expected: &'static str) -> ValuesError {
        let found = match window.get(at) {
            Some(byte) => format!("'{}'", byte.escape_ascii()),
            None => "end".to_owned(),
        };
        ValuesError::Unexpected { found, offset: self.offset + at as u64, expected }
    }

    fn rows(
        &mut self,
        scanner: &mut RowScanner<'_>,
        first: usize,
        max_bytes: usize,
    ) -> Result<Item, ValuesError> {
        let window = scanner.text();
        let mut at = first;
        let mut end = first;
        let mut count = 0u64;
        loop {
            match scanner.row_end(at) {
                scan::Row::End(row_end) => end = row_end,
                scan::Row::More => break,
                // Rows before the fault are given out first; the next call meets it again.
                _ if count > 0 => break,
                scan::Row::Unclosed { what, at } => {
                    return Err(ValuesError::Unclosed { what, offset: self.offset + at as u64 });
                }
                scan::Row::None(at) => return Err(self.unexpected(window, at, "a row in parentheses")),
            }
            count += 1;
            if end - first >= max_bytes {
                break;
            }
            // The usual separators without a call: `,`, `,\n`, `, `.
            at = match window.get(end..end + 3) {
                Some([b',', b'(', _]) => end + 1,
                Some([b',', b'\n' | b' ', b'(']) => end + 2,
                _ => match self.next_row(scanner, end)? {
                    Some(next) => next,
                    None => break,
                },
            };
        }
        if count == 0 {
            return Ok(Item::More);
        }
        self.state = State::AfterRow;
        self.offset += end as u64;
        Ok(Item::Rows { span: Span::new(first, end), count })
    }

    /// The start of the row behind the comma that follows `end`, if both are in the window.
    fn next_row(&self, scanner: &mut RowScanner<'_>, end: usize) -> Result<Option<usize>, ValuesError> {
        let window = scanner.text();
        // A fault behind the last row is met by the next call, when this run has been given out.
        let Skip::At(comma) = scanner.skip_blank(end, true) else { return Ok(None) };
        if window.get(comma) != Some(&b',') {
            return Ok(None);
        }
        let Skip::At(next) = scanner.skip_blank(comma + 1, true) else { return Ok(None) };
        Ok((next < window.len()).then_some(next))
    }
}

#[cfg(test)]
mod tests;
