//! Splits a script into statements while it streams by, in memory that does not grow with the script.
//!
//! The caller shows a window of the script, [`Splitter::scan`] says how much of it is done with and where a statement
//! ended; a statement longer than the window is no problem, because only offsets are kept. [`StatementBuffer`] on top of it keeps the
//! bytes of one statement for those who want the text.

use crate::lexer::{Open, Span, SqlMode, executable_open, is_blank, starts_dash_comment};

/// Why a script cannot be split.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The script ended inside a string, name or comment.
    #[error("the {what} opened at byte {offset} is never closed")]
    Unclosed {
        /// What was opened.
        what: Open,
        /// Where, from the start of the script.
        offset: u64,
    },
    /// A `DELIMITER` line without a delimiter, or with one longer than [`MAX_DELIMITER`] bytes.
    #[error("the DELIMITER line at byte {offset} names no delimiter of 1 to {MAX_DELIMITER} bytes")]
    BadDelimiter {
        /// Where the line begins.
        offset: u64,
    },
    /// A statement is longer than the limit given to [`StatementBuffer`].
    #[error("the statement at byte {offset} is longer than {limit} bytes")]
    TooLong {
        /// Where the statement begins.
        offset: u64,
        /// The limit in bytes.
        limit: usize,
    },
}

/// Longest delimiter a `DELIMITER` line may set.
pub const MAX_DELIMITER: usize = 16;
/// Bytes at the end of a window that may stay unread until more is shown.
const LOOKAHEAD: usize = 32;
/// Longest `DELIMITER` line that is waited for.
const MAX_DELIMITER_LINE: usize = 256;

/// Where a statement lies in the script. The delimiter is not part of it, nor are blanks and plain comments before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatementSpan {
    /// First byte, from the start of the script.
    pub start: u64,
    /// One past the last byte that is not blank.
    pub end: u64,
}

/// Outcome of one [`Splitter::scan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scan {
    /// How many bytes of the window are done with; the next window begins behind them.
    pub consumed: usize,
    /// A statement that ended within those bytes. None: show a window that continues, with at least one more byte.
    pub statement: Option<StatementSpan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Body,
    /// In quotes of this byte.
    Quote(u8),
    LineComment,
    BlockComment,
}

/// The state of a split between two windows. See the module's text.
#[derive(Clone, Debug)]
pub struct Splitter {
    mode: SqlMode,
    delimiter: Vec<u8>,
    state: State,
    in_executable: bool,
    /// Offset of the next unread byte.
    position: u64,
    /// Where the string or comment in progress was opened.
    opened: u64,
    executable_opened: u64,
    start: Option<u64>,
    last_solid: u64,
}

impl Splitter {
    /// A splitter at the start of a script.
    pub fn new(mode: SqlMode) -> Self {
        Self::starting_at(mode, 0)
    }

    /// A splitter whose first window begins `offset` bytes into the script, at a statement border.
    pub fn starting_at(mode: SqlMode, offset: u64) -> Self {
        Self {
            mode,
            delimiter: b";".to_vec(),
            state: State::Body,
            in_executable: false,
            position: offset,
            opened: 0,
            executable_opened: 0,
            start: None,
            last_solid: offset,
        }
    }

    /// Offset of the byte the next window has to begin with.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Where the statement in progress begins, if one has begun.
    pub fn statement_start(&self) -> Option<u64> {
        self.start
    }

    /// Reads on. `window` begins at [`Splitter::position`]; `at_end` says that nothing follows it.
    /// A window of 256 bytes or more always makes progress.
    ///
    /// # Errors
    /// [`SplitError::Unclosed`] only with `at_end`; [`SplitError::BadDelimiter`].
    pub fn scan(&mut self, window: &[u8], at_end: bool) -> Result<Scan, SplitError> {
        let base = self.position;
        let limit = if at_end { window.len() } else { window.len().saturating_sub(LOOKAHEAD) };
        let mut at = 0;
        while at < limit {
            match self.state {
                State::Quote(quote) => at = self.in_quote(window, at, quote, limit),
                State::LineComment => match memchr::memchr(b'\n', &window[at..limit]) {
                    Some(found) => {
                        at += found + 1;
                        self.state = State::Body;
                    }
                    None => at = limit,
                },
                State::BlockComment => match memchr::memmem::find(&window[at..], b"*/") {
                    Some(found) => {
                        at += found + 2;
                        self.state = State::Body;
                    }
                    // The last byte may be the star of the end.
                    None => at = if at_end { window.len() } else { window.len() - 1 },
                },
                State::Body => {
                    if let Some(next) = self.delimiter_line(window, at, base, at_end)? {
                        match next {
                            Some(next) => {
                                at = next;
                                continue;
                            }
                            None => break,
                        }
                    }
                    if !self.in_executable && window[at..].starts_with(&self.delimiter) {
                        let span =
                            self.start.take().map(|start| StatementSpan { start, end: self.last_solid });
                        at += self.delimiter.len();
                        self.position = base + at as u64;
                        self.last_solid = self.position;
                        if span.is_some() {
                            return Ok(Scan { consumed: at, statement: span });
                        }
                        continue;
                    }
                    at = self.body_byte(window, at, base);
                }
            }
        }
        self.position = base + at as u64;
        if !at_end {
            return Ok(Scan { consumed: at, statement: None });
        }
        self.finish()?;
        let end = self.last_solid;
        let statement = self.start.take().map(|start| StatementSpan { start, end });
        Ok(Scan { consumed: at, statement })
    }

    fn finish(&self) -> Result<(), SplitError> {
        let unclosed = |what, offset| Err(SplitError::Unclosed { what, offset });
        match self.state {
            State::Quote(b'\'') => unclosed(Open::SingleQuote, self.opened),
            State::Quote(b'"') => unclosed(Open::DoubleQuote, self.opened),
            State::Quote(_) => unclosed(Open::Backquote, self.opened),
            State::BlockComment => unclosed(Open::Comment, self.opened),
            State::Body | State::LineComment if self.in_executable => {
                unclosed(Open::Comment, self.executable_opened)
            }
            State::Body | State::LineComment => Ok(()),
        }
    }

    fn in_quote(&mut self, window: &[u8], at: usize, quote: u8, limit: usize) -> usize {
        let rest = &window[at..limit];
        let found = if self.mode.escapes(quote) {
            memchr::memchr2(quote, b'\\', rest)
        } else {
            memchr::memchr(quote, rest)
        };
        let Some(found) = found else { return limit };
        if rest[found] == b'\\' {
            // The escaped byte lies within the look-ahead, or the script ends here.
            return (at + found + 2).min(window.len());
        }
        // A doubled quote closes here and opens again with the next byte: the same thing.
        self.state = State::Body;
        self.last_solid = self.position_of(at + found + 1);
        at + found + 1
    }

    fn position_of(&self, at: usize) -> u64 {
        self.position + at as u64
    }

    /// A `DELIMITER x` line between statements: None if there is none here, Some(None) if more has to be shown.
    fn delimiter_line(
        &mut self,
        window: &[u8],
        at: usize,
        base: u64,
        at_end: bool,
    ) -> Result<Option<Option<usize>>, SplitError> {
        const WORD: &[u8] = b"delimiter";
        if self.start.is_some() || self.in_executable || !matches!(window[at], b'd' | b'D') {
            return Ok(None);
        }
        let rest = &window[at..];
        if !rest.get(..WORD.len()).is_some_and(|word| word.eq_ignore_ascii_case(WORD)) {
            return Ok(None);
        }
        if !rest.get(WORD.len()).is_none_or(|&byte| is_blank(byte)) {
            return Ok(None);
        }
        let line_end = match memchr::memchr(b'\n', rest) {
            Some(end) => end,
            None if at_end => rest.len(),
            None if rest.len() < MAX_DELIMITER_LINE => return Ok(Some(None)),
            None => return Err(SplitError::BadDelimiter { offset: base + at as u64 }),
        };
        let argument = rest[WORD.len()..line_end].split(|&byte| is_blank(byte)).find(|word| !word.is_empty());
        match argument {
            Some(word) if word.len() <= MAX_DELIMITER => {
                self.delimiter = word.to_vec();
                Ok(Some(Some(at + line_end)))
            }
            _ => Err(SplitError::BadDelimiter { offset: base + at as u64 }),
        }
    }

    /// Handles the byte at `at` outside of quotes and comments, and says where to go on.
    fn body_byte(&mut self, window: &[u8], at: usize, base: u64) -> usize {
        let offset = base + at as u64;
        let byte = window[at];
        if is_blank(byte) {
            return at + 1;
        }
        match byte {
            b'#' => self.state = State::LineComment,
            b'-' if starts_dash_comment(window, at) => self.state = State::LineComment,
            b'/' if window.get(at + 1) == Some(&b'*') => {
                if !self.in_executable && executable_open(window, at).is_some() {
                    self.in_executable = true;
                    self.executable_opened = offset;
                    self.start.get_or_insert(offset);
                } else {
                    self.state = State::BlockComment;
                    self.opened = offset;
                }
                return at + 2;
            }
            b'*' if self.in_executable && window.get(at + 1) == Some(&b'/') => {
                self.in_executable = false;
                self.last_solid = offset + 2;
                return at + 2;
            }
            b'\'' | b'"' | b'`' => {
                self.state = State::Quote(byte);
                self.opened = offset;
                self.start.get_or_insert(offset);
            }
            _ => {
                self.start.get_or_insert(offset);
                self.last_solid = offset + 1;
                // Letters and digits never change the state; a delimiter may begin with one, though.
                let plain =
                    |byte: u8| (byte.is_ascii_alphanumeric() || byte >= 0x80) && byte != self.delimiter[0];
                if plain(byte) {
                    let run = window[at..].iter().position(|&byte| !plain(byte)).unwrap_or(window.len() - at);
                    self.last_solid = offset + run as u64;
                    return at + run;
                }
            }
        }
        at + 1
    }
}

/// Statements of a text that is all there, without their delimiters.
///
/// # Errors
/// See [`SplitError`]; statements before the error are lost, use [`Splitter`] to get them.
pub fn statements(text: &[u8], mode: SqlMode) -> Result<Vec<Span>, SplitError> {
    let mut splitter = Splitter::new(mode);
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let scan = splitter.scan(&text[at..], true)?;
        at += scan.consumed;
        match scan.statement {
            Some(span) => found.push(Span::new(span.start as usize, span.end as usize)),
            None => return Ok(found),
        }
        if at >= text.len() {
            return Ok(found);
        }
    }
}

/// A statement with its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statement<'a> {
    /// The text without the delimiter.
    pub text: &'a [u8],
    /// Where it begins in the script.
    pub offset: u64,
}

/// Keeps the bytes of one statement at a time; memory is bounded by the limit and the pieces pushed.
#[derive(Clone, Debug)]
pub struct StatementBuffer {
    splitter: Splitter,
    bytes: Vec<u8>,
    /// Offset of `bytes[0]`.
    base: u64,
    limit: usize,
    at_end: bool,
}

impl StatementBuffer {
    /// A buffer for statements of up to `limit` bytes.
    pub fn new(mode: SqlMode, limit: usize) -> Self {
        Self { splitter: Splitter::new(mode), bytes: Vec::new(), base: 0, limit, at_end: false }
    }

    /// Adds the next bytes of the script. Take all statements out by [`StatementBuffer::next_statement`] before the next push.
    pub fn push(&mut self, bytes: &[u8]) {
        let keep = self.splitter.statement_start().unwrap_or(self.splitter.position());
        let done = (keep.saturating_sub(self.base) as usize).min(self.bytes.len());
        self.bytes.drain(..done);
        self.base += done as u64;
        self.bytes.extend_from_slice(bytes);
    }

    /// Says that the script has ended.
    pub fn end(&mut self) {
        self.at_end = true;
    }

    /// The next whole statement; None: push more, or nothing is left after [`StatementBuffer::end`].
    ///
    /// # Errors
    /// See [`SplitError`]. After an error the buffer must not be used again.
    pub fn next_statement(&mut self) -> Result<Option<Statement<'_>>, SplitError> {
        let at = (self.splitter.position() - self.base) as usize;
        let scan = self.splitter.scan(&self.bytes[at.min(self.bytes.len())..], self.at_end)?;
        if let Some(start) = self.splitter.statement_start()
            && self.splitter.position() - start > self.limit as u64
        {
            return Err(SplitError::TooLong { offset: start, limit: self.limit });
        }
        let Some(span) = scan.statement else { return Ok(None) };
        if span.end - span.start > self.limit as u64 {
            return Err(SplitError::TooLong { offset: span.start, limit: self.limit });
        }
        let range = (span.start - self.base) as usize..(span.end - self.base) as usize;
        Ok(self.bytes.get(range).map(|text| Statement { text, offset: span.start }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<&str> {
        statements(text.as_bytes(), SqlMode::default())
            .unwrap()
            .into_iter()
            .map(|span| &text[span.range()])
            .collect()
    }

    #[test]
    fn plain_scripts() {
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split(" ; ;; -- only\n # comments\n/* here; */"), [""; 0]);
        assert_eq!(split("a;b ; \n c"), ["a", "b", "c"]);
        assert_eq!(
            split("-- x;\nselect ';' , \";\" , `;` /* ; */ -- ;\n ;b"),
            ["select ';' , \";\" , `;`", "b"]
        );
        assert_eq!(split("select 'a\\';' ;b"), ["select 'a\\';'", "b"]);
        assert_eq!(split("select 'a'';' ;b"), ["select 'a'';'", "b"]);
        assert_eq!(
            split("/*!40101 SET NAMES binary*/;\n/*!50003 CREATE TRIGGER x BEGIN a; b; END */;c"),
            ["/*!40101 SET NAMES binary*/", "/*!50003 CREATE TRIGGER x BEGIN a; b; END */", "c"]
        );
        assert_eq!(split("/*!50003 SELECT '*/;' */; x--1;y"), ["/*!50003 SELECT '*/;' */", "x--1", "y"]);
    }

    #[test]
    fn delimiter_lines() {
        assert_eq!(
            split("DELIMITER //\ncreate x begin a; b; end //\ndelimiter ;\nc;d"),
            ["create x begin a; b; end", "c", "d"]
        );
        assert_eq!(split("delimiter $$\r\na;b$$\r\nc$$"), ["a;b", "c"]);
        assert_eq!(split("DELIMITER ;;\na;b;;\nDELIMITER ;\nc;"), ["a;b", "c"]);
        assert_eq!(split("DELIMITER end\na;b end c END"), ["a;b", "c END"]);
        assert_eq!(split("delimiters; a delimiter x\n;"), ["delimiters", "a delimiter x"]);
        let error = statements(b"a;delimiter \nb", SqlMode::default()).unwrap_err();
        assert_eq!(error, SplitError::BadDelimiter { offset: 2 });
    }

    #[test]
    fn unclosed_things_say_where() {
        let fail = |text: &str| statements(text.as_bytes(), SqlMode::default()).unwrap_err();
        assert_eq!(fail("a; 'x;"), SplitError::Unclosed { what: Open::SingleQuote, offset: 3 });
        assert_eq!(fail("a; \"x\\\""), SplitError::Unclosed { what: Open::DoubleQuote, offset: 3 });
        assert_eq!(fail("`x"), SplitError::Unclosed { what: Open::Backquote, offset: 0 });
        assert_eq!(fail("a /* x"), SplitError::Unclosed { what: Open::Comment, offset: 2 });
        assert_eq!(fail("a /*!40000 x"), SplitError::Unclosed { what: Open::Comment, offset: 2 });
    }

    #[test]
    fn any_windows_give_the_same_statements() {
        let text = "a 'x\\'y' ; /* c; */ b -- ;\n, \"q\"\"r\";DELIMITER //\nx; /*!50000 y; */ //\nDELIMITER ;\nlast one /* tail */";
        let whole = split(text);
        for size in 1..80 {
            let mut buffer = StatementBuffer::new(SqlMode::default(), 1000);
            let mut found = Vec::new();
            let mut take = |buffer: &mut StatementBuffer| {
                while let Some(statement) = buffer.next_statement().unwrap() {
                    assert_eq!(
                        &text.as_bytes()[statement.offset as usize..][..statement.text.len()],
                        statement.text
                    );
                    found.push(String::from_utf8(statement.text.to_vec()).unwrap());
                }
            };
            for piece in text.as_bytes().chunks(size) {
                buffer.push(piece);
                take(&mut buffer);
            }
            buffer.end();
            take(&mut buffer);
            assert_eq!(found, whole, "pieces of {size} bytes");
        }
    }

    #[test]
    fn an_unclosed_quote_does_not_fill_memory() {
        let mut splitter = Splitter::new(SqlMode::default());
        let piece = vec![b'x'; 1 << 16];
        let mut window = b"insert into t values ('".to_vec();
        for _ in 0..100 {
            window.extend_from_slice(&piece);
            let scan = splitter.scan(&window, false).unwrap();
            assert_eq!(scan.statement, None);
            window.drain(..scan.consumed);
            assert!(window.len() <= LOOKAHEAD);
        }
        assert_eq!(
            splitter.scan(&window, true),
            Err(SplitError::Unclosed { what: Open::SingleQuote, offset: 22 })
        );

        let mut buffer = StatementBuffer::new(SqlMode::default(), 100_000);
        buffer.push(b"a; insert 'x");
        assert_eq!(buffer.next_statement(), Ok(None));
        let mut outcome = Ok(());
        for _ in 0..10 {
            buffer.push(&piece);
            loop {
                match buffer.next_statement() {
                    Ok(Some(_)) => continue,
                    Ok(None) => break,
                    Err(error) => {
                        outcome = Err(error);
                        break;
                    }
                }
            }
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(SplitError::TooLong { offset: 3, limit: 100_000 }));
    }
}
