//! The cells of one row.

use std::borrow::Cow;

use crate::lexer::{Lexer, Span, SqlMode, Token, TokenKind, unescape_into};

/// Why a row cannot be taken apart. Offsets count from the start of the row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CellError {
    /// The row is not `( … )`.
    #[error("the row is not enclosed in parentheses")]
    NotARow,
    /// No value between two commas.
    #[error("no value at byte {offset} of the row")]
    Missing {
        /// Where a value should stand.
        offset: usize,
    },
    /// A quote or comment is not closed, or a parenthesis does not match.
    #[error("a quote, comment or parenthesis at byte {offset} of the row is never closed")]
    Unclosed {
        /// Where it was opened.
        offset: usize,
    },
    /// Hex or bit digits that are none, or an odd number of digits in `x'…'`.
    #[error("the hexadecimal or bit literal at byte {offset} of the row is malformed")]
    BadDigits {
        /// Where the literal begins.
        offset: usize,
    },
}

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CellKind {
    /// NULL
    Null,
    /// TRUE or FALSE
    Bool(bool),
    /// DEFAULT
    Default,
    /// A number, its sign included.
    Number,
    /// A string, with introducer or `CONVERT(… USING …)` around it or not.
    String,
    /// `0x…` or `x'…'`
    Hex,
    /// `0b…` or `b'…'`
    Bit,
    /// Anything else: a call or computation that only a server can work out.
    Expression,
}

/// A cell of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell<'a> {
    /// What it holds.
    pub kind: CellKind,
    /// The cell's bytes within the row, without blanks around it.
    pub span: Span,
    /// The bytes under `span`.
    pub text: &'a [u8],
    /// The literal within `text`, without introducer or CONVERT.
    literal: &'a [u8],
    /// Character set of the introducer or of CONVERT … USING.
    pub charset: Option<&'a [u8]>,
    /// Several strings side by side, which the server joins.
    joined: bool,
}

/// A cell's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// NULL
    Null,
    /// DEFAULT
    Default,
    /// TRUE, FALSE or an integer that fits.
    Int(i64),
    /// An integer above `i64::MAX` that fits.
    UInt(u64),
    /// Any other number, as its text.
    Number(&'a [u8]),
    /// A string in the character set of the connection or of the cell's introducer.
    Text(Cow<'a, [u8]>),
    /// A hexadecimal or bit literal.
    Binary(Vec<u8>),
    /// The text of an expression.
    Expression(&'a [u8]),
}

impl<'a> Cell<'a> {
    /// Works out the value; a string without escapes is lent.
    ///
    /// # Errors
    /// [`CellError::BadDigits`].
    pub fn value(&self, mode: SqlMode) -> Result<Value<'a>, CellError> {
        let bad = CellError::BadDigits { offset: self.span.start };
        Ok(match self.kind {
            CellKind::Null => Value::Null,
            CellKind::Default => Value::Default,
            CellKind::Bool(value) => Value::Int(i64::from(value)),
            CellKind::Number => number(self.text),
            CellKind::Expression => Value::Expression(self.text),
            CellKind::Hex => Value::Binary(hex_bytes(self.literal).ok_or(bad)?),
            CellKind::Bit => Value::Binary(bit_bytes(self.literal).ok_or(bad)?),
            CellKind::String => Value::Text(string(self.literal, self.joined, mode)),
        })
    }
}

impl Cell<'_> {
    /// The cell's text for a JSON column of a server that would misread doubles in it; `None` if there are none, or it is no single string.
    /// See [`crate::json_doubles`].
    pub fn with_exact_doubles(&self, mode: SqlMode) -> Option<Vec<u8>> {
        if self.kind != CellKind::String || self.joined {
            return None;
        }
        let begin = (self.literal.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        let before = self.text.get(..begin)?;
        // It is one only with its literal behind it.
        let introducer = Lexer::new(self.text, mode)
            .take_while(|token| token.span.start < begin)
            .find(|token| token.kind == TokenKind::Introducer);
        let introducer = introducer.map_or(&b""[..], |token| token.span.of(self.text));
        let better = crate::json_doubles::exact_literal_behind(introducer, self.literal, mode)?;
        if !better.starts_with(b"'") {
            // An expression of its own.
            return Some(better);
        }
        let behind = self.text.get(begin + self.literal.len()..)?;
        Some([before, &better, behind].concat())
    }
}

fn string(literal: &[u8], joined: bool, mode: SqlMode) -> Cow<'_, [u8]> {
    if joined {
        let mut out = Vec::new();
        for token in Lexer::new(literal, mode).filter(|token| token.kind == TokenKind::String) {
            unescape_into(token.span.of(literal), mode, &mut out);
        }
        return Cow::Owned(out);
    }
    if let [quote @ (b'\'' | b'"'), inner @ .., _] = literal
        && memchr::memchr2(*quote, b'\\', inner).is_none()
    {
        return Cow::Borrowed(inner);
    }
    let mut out = Vec::with_capacity(literal.len());
    unescape_into(literal, mode, &mut out);
    Cow::Owned(out)
}

fn number(text: &[u8]) -> Value<'_> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    if let (true, Ok(text)) = (plain, std::str::from_utf8(text)) {
        if let Ok(value) = text.parse() {
            return Value::Int(value);
        }
        if let Ok(value) = text.parse() {
            return Value::UInt(value);
        }
    }
    Value::Number(text)
}

fn digits_of(literal: &[u8]) -> &[u8] {
    match literal {
        [b'0', _, digits @ ..] => digits,
        [_, b'\'', digits @ .., b'\''] => digits,
        other => other,
    }
}

fn hex_bytes(literal: &[u8]) -> Option<Vec<u8>> {
    let digits = digits_of(literal);
    // `0x1` is one byte; `x'1'` is a syntax error for the server.
    if digits.len() % 2 == 1 && literal.first() != Some(&b'0') {
        return None;
    }
    let nibble = |digit: u8| (digit as char).to_digit(16).map(|value| value as u8);
    let mut out = Vec::with_capacity(digits.len().div_ceil(2));
    let (first, rest) = digits.split_at(digits.len() % 2);
    if let [digit] = first {
        out.push(nibble(*digit)?);
    }
    for pair in rest.chunks_exact(2) {
        out.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    Some(out)
}

fn bit_bytes(literal: &[u8]) -> Option<Vec<u8>> {
    let digits = digits_of(literal);
    let mut out = vec![0u8; digits.len().div_ceil(8)];
    for (index, digit) in digits.iter().rev().enumerate() {
        let at = out.len() - 1 - index / 8;
        match digit {
            b'0' => {}
            b'1' => out[at] |= 1 << (index % 8),
            _ => return None,
        }
    }
    Some(out)
}

/// The cells of `row`, which is `( … )` or `ROW( … )` as [`super::Item::Rows`] gives it, one row only.
///
/// # Errors
/// [`CellError::NotARow`]; the iterator itself gives the others and then ends.
pub fn cells(row: &[u8], mode: SqlMode) -> Result<Cells<'_>, CellError> {
    let mut lexer = Lexer::new(row, mode);
    let mut open = lexer.next();
    if let Some(token) = open
        && token.kind == TokenKind::Word
        && token.span.of(row).eq_ignore_ascii_case(b"ROW")
    {
        open = lexer.next();
    }
    match open {
        Some(token) if token.kind == TokenKind::Punct(b'(') => {
            Ok(Cells { row, mode, at: token.span.end, state: Progress::First })
        }
        _ => Err(CellError::NotARow),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    First,
    Later,
    Done,
}

/// Iterator over the cells of a row.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    row: &'a [u8],
    mode: SqlMode,
    at: usize,
    state: Progress,
}

impl<'a> Cells<'a> {
    /// A cell of one token, the usual case, without the lexer: digits, NULL or a quoted run with a comma or `)` behind it.
    fn simple(&mut self) -> Option<Cell<'a>> {
        let row = self.row;
        let start = self.at;
        let (kind, end) = match row.get(start)? {
            b'\'' => (CellKind::String, crate::lexer::quoted_end(row, start, self.mode.escapes(b'\''))?),
            b'-' | b'0'..=b'9' => {
                let from = start + 1;
                let run = row[from..].iter().position(|byte| !(byte.is_ascii_digit() || *byte == b'.'))?;
                if run == 0 && row[start] == b'-' {
                    return None;
                }
                (CellKind::Number, from + run)
            }
            b'N' if row.get(start..start + 4) == Some(b"NULL") => (CellKind::Null, start + 4),
            _ => return None,
        };
        match row.get(end)? {
            b',' => self.state = Progress::Later,
            b')' => self.state = Progress::Done,
            _ => return None,
        }
        self.at = end + 1;
        let text = &row[start..end];
        Some(Cell { kind, span: Span::new(start, end), text, literal: text, charset: None, joined: false })
    }

    fn general(&mut self) -> Result<Option<Cell<'a>>, CellError> {
        use TokenKind::{Comment, ExecutableClose, ExecutableOpen, Punct, Unterminated};
        let start = self.at;
        let mut depth = 0u32;
        let mut tokens: [Option<Token>; 8] = [None; 8];
        let mut count = 0usize;
        let mut joined = true;
        let mut span: Option<Span> = None;
        for token in Lexer::starting_at(self.row, start, self.mode) {
            match token.kind {
                Comment | ExecutableOpen | ExecutableClose => continue,
                Unterminated(_) => return Err(CellError::Unclosed { offset: token.span.start }),
                Punct(b'(') => depth += 1,
                Punct(b')') if depth > 0 => depth -= 1,
                Punct(end @ (b',' | b')')) if depth == 0 => {
                    let first = self.state == Progress::First;
                    self.at = token.span.end;
                    self.state = if end == b')' { Progress::Done } else { Progress::Later };
                    return match span {
                        Some(span) => Ok(Some(self.classify(span, &tokens, count, joined))),
                        None if first && end == b')' => Ok(None),
                        None => Err(CellError::Missing { offset: token.span.start }),
                    };
                }
                _ => {}
            }
            joined &= token.kind == TokenKind::String;
            if let Some(slot) = tokens.get_mut(count) {
                *slot = Some(token);
            }
            count += 1;
            span = Some(span.map_or(token.span, |known| known.to(token.span)));
        }
        Err(CellError::Unclosed { offset: start })
    }

    fn classify(&self, span: Span, tokens: &[Option<Token>; 8], count: usize, joined: bool) -> Cell<'a> {
        use TokenKind::{Bit, Hex, Introducer, Number, Punct, String, Word};
        let row = self.row;
        let text = span.of(row);
        let kind_at = |index: usize| {
            tokens.get(index).copied().flatten().filter(|_| index < count).map(|token| token.kind)
        };
        let bytes_at =
            |index: usize| tokens.get(index).copied().flatten().map_or(&b""[..], |token| token.span.of(row));
        let is = |index: usize, word: &str| {
            kind_at(index) == Some(Word) && bytes_at(index).eq_ignore_ascii_case(word.as_bytes())
        };
        let cell = |kind, literal, charset| Cell { kind, span, text, literal, charset, joined: false };
        let literal_kind = |index| match kind_at(index) {
            Some(String) => Some(CellKind::String),
            Some(Hex) => Some(CellKind::Hex),
            Some(Bit) => Some(CellKind::Bit),
            _ => None,
        };
        // CONVERT( [_introducer] 'literal' USING charset ), mydumper's way to write JSON
        if is(0, "CONVERT")
            && kind_at(1) == Some(Punct(b'('))
            && kind_at(count.wrapping_sub(1)) == Some(Punct(b')'))
        {
            let literal = 2 + usize::from(kind_at(2) == Some(Introducer));
            if let (Some(CellKind::String), true, true) =
                (literal_kind(literal), is(literal + 1, "USING"), count == literal + 4)
            {
                return cell(CellKind::String, bytes_at(literal), Some(bytes_at(literal + 2)));
            }
        }
        match (count, kind_at(0)) {
            (1, Some(Word)) if is(0, "NULL") => cell(CellKind::Null, text, None),
            (1, Some(Word)) if is(0, "TRUE") => cell(CellKind::Bool(true), text, None),
            (1, Some(Word)) if is(0, "FALSE") => cell(CellKind::Bool(false), text, None),
            (1, Some(Word)) if is(0, "DEFAULT") => cell(CellKind::Default, text, None),
            (1, Some(Number)) => cell(CellKind::Number, text, None),
            (2, Some(Punct(b'-' | b'+')))
                if kind_at(1) == Some(Number) && text.len() == 1 + bytes_at(1).len() =>
            {
                cell(CellKind::Number, text, None)
            }
            (1, _) if literal_kind(0).is_some() => {
                cell(literal_kind(0).unwrap_or(CellKind::String), bytes_at(0), None)
            }
            (2, Some(Introducer)) if literal_kind(1).is_some() => {
                let charset = bytes_at(0).get(1..);
                cell(literal_kind(1).unwrap_or(CellKind::String), bytes_at(1), charset)
            }
            (_, Some(String)) if joined => Cell { joined: true, ..cell(CellKind::String, text, None) },
            _ => cell(CellKind::Expression, text, None),
        }
    }
}

impl<'a> Iterator for Cells<'a> {
    type Item = Result<Cell<'a>, CellError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.state == Progress::Done {
            return None;
        }
        if let Some(cell) = self.simple() {
            return Some(Ok(cell));
        }
        let outcome = self.general();
        if outcome.is_err() {
            self.state = Progress::Done;
        }
        outcome.transpose()
    }
}
