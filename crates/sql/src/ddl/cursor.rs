//! A cursor over the tokens of one statement, with the readers that all parts of the grammar share.

use super::DdlError;
use super::ast::{Name, Reference, Role};
use crate::classify::NamedTable;
use crate::lexer::{self, Span, SqlMode, Token, TokenKind, name_text, unescape_into};

pub(super) type Result<T> = std::result::Result<T, DdlError>;

pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) mode: SqlMode,
    tokens: Vec<Token>,
    at: usize,
    pub(super) references: Vec<Reference>,
    /// The table the statement is about, so that `t.c` in an expression is recognised.
    pub(super) subject: Option<NamedTable>,
    /// Where `IF [NOT] EXISTS` could be added.
    pub(super) guard: Option<usize>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(text: &'a [u8], mode: SqlMode) -> Result<Self> {
        let mut tokens = lexer::tokens(text, mode);
        if let Some(token) = tokens.iter().find(|token| matches!(token.kind, TokenKind::Unterminated(_)))
            && let TokenKind::Unterminated(what) = token.kind
        {
            return Err(DdlError::Unclosed { what, at: token.span.start });
        }
        while tokens.last().is_some_and(|token| token.kind == TokenKind::Punct(b';')) {
            tokens.pop();
        }
        Ok(Self { text, mode, tokens, at: 0, references: Vec::new(), subject: None, guard: None })
    }

    pub(super) fn peek(&self) -> Option<Token> {
        self.peek_at(0)
    }

    pub(super) fn peek_at(&self, ahead: usize) -> Option<Token> {
        self.tokens.get(self.at + ahead).copied()
    }

    pub(super) fn advance(&mut self) -> Option<Token> {
        let token = self.peek();
        self.at += usize::from(token.is_some());
        token
    }

    pub(super) fn at_end(&self) -> bool {
        self.peek().is_none()
    }

    /// Where the next token begins.
    pub(super) fn start(&self) -> usize {
        self.peek().map_or(self.text.len(), |token| token.span.start)
    }

    /// Where the last token read ends.
    pub(super) fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |token| token.span.end)
    }

    pub(super) fn span_from(&self, start: usize) -> Span {
        Span::new(start, self.end().max(start))
    }

    pub(super) fn string_of(&self, span: Span) -> String {
        span.text(self.text)
    }

    fn is_word_at(&self, ahead: usize, word: &str) -> bool {
        self.peek_at(ahead).is_some_and(|token| {
            token.kind == TokenKind::Word && token.span.of(self.text).eq_ignore_ascii_case(word.as_bytes())
        })
    }

    pub(super) fn is(&self, word: &str) -> bool {
        self.is_word_at(0, word)
    }

    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Whether the next tokens are these words.
    pub(super) fn are(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.is_word_at(ahead, word))
    }

    pub(super) fn accept(&mut self, word: &str) -> bool {
        let found = self.is(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn accept_all(&mut self, words: &[&str]) -> bool {
        let found = self.are(words);
        self.at += if found { words.len() } else { 0 };
        found
    }

    pub(super) fn accept_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().copied().find(|word| self.accept(word))
    }

    pub(super) fn is_byte(&self, byte: u8) -> bool {
        self.is_byte_at(0, byte)
    }

    pub(super) fn is_byte_at(&self, ahead: usize, byte: u8) -> bool {
        self.peek_at(ahead).is_some_and(|token| token.kind == TokenKind::Punct(byte))
    }

    pub(super) fn accept_byte(&mut self, byte: u8) -> bool {
        let found = self.is_byte(byte);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expected<T>(&self, what: &'static str) -> Result<T> {
        let found = self.peek().map_or_else(String::new, |token| {
            let text = self.string_of(token.span);
            if text.chars().count() > 64 { text.chars().take(64).chain(['…']).collect() } else { text }
        });
        Err(DdlError::Expected { what, at: self.start(), found })
    }

    pub(super) fn expect(&mut self, word: &'static str) -> Result<()> {
        if self.accept(word) { Ok(()) } else { self.expected(word) }
    }

    pub(super) fn expect_byte(&mut self, byte: u8, what: &'static str) -> Result<()> {
        if self.accept_byte(byte) { Ok(()) } else { self.expected(what) }
    }

    /// `IF EXISTS`
    pub(super) fn if_exists(&mut self) -> bool {
        self.accept_all(&["IF", "EXISTS"])
    }

    /// `IF NOT EXISTS`
    pub(super) fn if_not_exists(&mut self) -> bool {
        self.accept_all(&["IF", "NOT", "EXISTS"])
    }

    pub(super) fn is_name(&self) -> bool {
        self.peek().is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
    }

    fn is_name_at(&self, ahead: usize) -> bool {
        self.peek_at(ahead).is_some_and(|token| matches!(token.kind, TokenKind::Word | TokenKind::Quoted))
    }

    pub(super) fn name_token(&mut self, what: &'static str) -> Result<Name> {
        let Some(token) = self.peek().filter(|_| self.is_name()) else { return self.expected(what) };
        if std::str::from_utf8(token.span.of(self.text)).is_err() {
            return Err(DdlError::NotUtf8 { at: token.span.start });
        }
        let text = name_text(token.span.of(self.text));
        if text.is_empty() {
            return self.expected(what);
        }
        self.at += 1;
        Ok(Name { text, span: token.span })
    }

    pub(super) fn name(&mut self, what: &'static str) -> Result<String> {
        Ok(self.name_token(what)?.text)
    }

    /// A column, which old syntax may write as `t.c` or `d.t.c`; the qualifiers are noted as such.
    pub(super) fn column_name(&mut self) -> Result<String> {
        self.accept_byte(b'.');
        if self.is_name() && self.is_byte_at(1, b'.') {
            let start = self.at;
            self.at += 2;
            if self.is_name() && self.is_byte_at(1, b'.') {
                self.at += 2;
            }
            let end = self.at;
            self.scan(start, end + 1);
            return self.name("a column");
        }
        self.name("a column")
    }

    /// A table, noted as a reference.
    pub(super) fn table(&mut self, role: Role) -> Result<NamedTable> {
        let insert_at = self.start();
        if self.accept_byte(b'.') {
            let table = self.name_token("a table name")?;
            return Ok(self.note(role, None, table, insert_at));
        }
        let first = self.name_token("a table name")?;
        if self.accept_byte(b'.') {
            let table = self.name_token("a table name")?;
            return Ok(self.note(role, Some(first), table, insert_at));
        }
        Ok(self.note(role, None, first, insert_at))
    }

    fn note(&mut self, role: Role, schema: Option<Name>, table: Name, insert_at: usize) -> NamedTable {
        let named = NamedTable {
            schema: schema.as_ref().map(|schema| schema.text.clone()),
            table: table.text.clone(),
        };
        self.references.push(Reference { role, schema, table: Some(table), insert_at });
        named
    }

    pub(super) fn database(&mut self) -> Result<String> {
        let insert_at = self.start();
        let name = self.name_token("a database name")?;
        let text = name.text.clone();
        self.references.push(Reference { role: Role::Database, schema: Some(name), table: None, insert_at });
        Ok(text)
    }

    /// A parenthesised run, whatever is inside; the span includes the parentheses.
    pub(super) fn parentheses(&mut self) -> Result<Span> {
        let (first, start) = (self.at, self.start());
        self.expect_byte(b'(', "(")?;
        let mut depth = 1usize;
        while depth > 0 {
            match self.advance().map(|token| token.kind) {
                Some(TokenKind::Punct(b'(')) => depth += 1,
                Some(TokenKind::Punct(b')')) => depth -= 1,
                Some(_) => {}
                None => return Err(DdlError::Unclosed { what: lexer::Open::Parenthesis, at: start }),
            }
        }
        self.scan(first, self.at);
        Ok(self.span_from(start))
    }

    /// The text inside a parenthesised run.
    pub(super) fn parenthesised_text(&mut self) -> Result<String> {
        let span = self.parentheses()?;
        let inner = Span::new(span.start + 1, span.end.saturating_sub(1).max(span.start + 1));
        Ok(self.string_of(inner).trim().to_owned())
    }

    /// Passes one token, or a whole parenthesised run.
    pub(super) fn skip(&mut self) -> Result<()> {
        if self.is_byte(b'(') {
            self.parentheses()?;
        } else if self.advance().is_none() {
            return self.expected("more text");
        }
        Ok(())
    }

    /// Passes tokens at depth 0 until `stop` says so or the statement ends.
    pub(super) fn skip_until(&mut self, stop: impl Fn(&Self) -> bool) -> Result<Span> {
        let (first, start) = (self.at, self.start());
        while !self.at_end() && !stop(self) {
            if self.is_byte(b')') {
                return self.expected("no closing parenthesis");
            }
            self.skip()?;
        }
        self.scan_flat(first, self.at);
        Ok(self.span_from(start))
    }

    /// Notes the table's own name and sequences in tokens at depth 0 of `first..end`; nested runs have been seen.
    fn scan_flat(&mut self, first: usize, end: usize) {
        let mut depth = 0usize;
        let mut run = first;
        for at in first..end.min(self.tokens.len()) {
            match self.tokens[at].kind {
                TokenKind::Punct(b'(') => {
                    if depth == 0 {
                        self.scan(run, at);
                    }
                    depth += 1;
                }
                TokenKind::Punct(b')') => {
                    depth = depth.saturating_sub(1);
                    run = at + 1;
                }
                _ => {}
            }
        }
        if depth == 0 {
            self.scan(run, end);
        }
    }

    /// Notes the table's own name in front of columns (`t.c`, `d.t.c`) and the sequences of defaults among the tokens `first..end`.
    fn scan(&mut self, first: usize, end: usize) {
        let saved = std::mem::replace(&mut self.at, first);
        while self.at < end {
            if self.accept_all(&["NEXT", "VALUE", "FOR"])
                || self.accept_all(&["PREVIOUS", "VALUE", "FOR"])
                || self.is_any(&["NEXTVAL", "LASTVAL", "SETVAL"]) && self.is_byte_at(1, b'(') && {
                    self.at += 2;
                    true
                }
            {
                // What is no name is no sequence.
                let _ = self.is_name().then(|| self.table(Role::Sequence));
                continue;
            }
            if self.is_name() && self.is_byte_at(1, b'.') && self.is_name_at(2) {
                self.qualified_column();
                continue;
            }
            self.at += 1;
        }
        self.at = saved;
    }

    fn qualified_column(&mut self) {
        let insert_at = self.start();
        let three = self.is_byte_at(3, b'.') && self.is_name_at(4);
        let (Some(subject), Ok(first)) = (self.subject.clone(), self.name_token("a name")) else {
            self.at += 1;
            return;
        };
        self.at += 1;
        let (schema, table) = if three {
            let Ok(second) = self.name_token("a name") else { return };
            self.at += 1;
            (Some(first), second)
        } else {
            (None, first)
        };
        if table.text.eq_ignore_ascii_case(&subject.table) {
            self.references.push(Reference { role: Role::Qualifier, schema, table: Some(table), insert_at });
        }
        self.at += 1;
    }

    pub(super) fn is_string(&self) -> bool {
        self.peek().is_some_and(|token| token.kind == TokenKind::String)
    }

    /// A string literal; several in a row are one.
    pub(super) fn string(&mut self) -> Result<Vec<u8>> {
        if self.peek().is_some_and(|token| token.kind == TokenKind::Introducer) {
            self.at += 1;
        }
        if let Some(token) = self.peek()
            && matches!(token.kind, TokenKind::Hex | TokenKind::Bit)
        {
            self.at += 1;
            let digits = token.span.of(self.text);
            let value = if token.kind == TokenKind::Hex { hex_bytes(digits) } else { bit_bytes(digits) };
            return Ok(value);
        }
        if !self.is_string() {
            return self.expected("a string");
        }
        let mut value = Vec::new();
        while let Some(token) = self.peek().filter(|token| token.kind == TokenKind::String) {
            unescape_into(token.span.of(self.text), self.mode, &mut value);
            self.at += 1;
        }
        Ok(value)
    }

    pub(super) fn string_text(&mut self) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.string()?).into_owned())
    }

    /// An unsigned integer.
    pub(super) fn number(&mut self) -> Result<u64> {
        if let Some(token) = self.peek().filter(|token| token.kind == TokenKind::Number)
            && let Ok(text) = std::str::from_utf8(token.span.of(self.text))
            && let Ok(number) = text.parse::<f64>()
        {
            self.at += 1;
            // `AUTO_INCREMENT=1e3` is taken by the server too.
            return Ok(text.parse::<u64>().unwrap_or(number as u64));
        }
        if let Some(token) = self.peek().filter(|token| token.kind == TokenKind::Hex) {
            self.at += 1;
            let bytes = hex_bytes(token.span.of(self.text));
            return Ok(bytes.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)));
        }
        self.expected("a number")
    }

    pub(super) fn small_number(&mut self) -> Result<u32> {
        let at = self.start();
        let number = self.number()?;
        u32::try_from(number).map_err(|_| DdlError::Expected {
            what: "a smaller number",
            at,
            found: number.to_string(),
        })
    }

    /// A character set or collation: a word or string, lower-case.
    pub(super) fn charset_name(&mut self) -> Result<String> {
        let name = if self.is_string() { self.string_text()? } else { self.name("a character set")? };
        Ok(name.to_ascii_lowercase())
    }
}

fn hex_digits(literal: &[u8]) -> &[u8] {
    match literal {
        [b'0', b'x', digits @ ..] => digits,
        [b'x' | b'X', b'\'', digits @ .., b'\''] => digits,
        _ => &[],
    }
}

/// The bytes of `x'…'` or `0x…`.
pub(super) fn hex_bytes(literal: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> =
        hex_digits(literal).iter().filter_map(|byte| (*byte as char).to_digit(16)).map(|d| d as u8).collect();
    let odd = digits.len() % 2;
    let mut bytes = Vec::with_capacity(digits.len() / 2 + odd);
    bytes.extend(digits[..odd].iter().copied());
    bytes.extend(digits[odd..].chunks(2).map(|pair| pair[0] << 4 | pair[1]));
    bytes
}

/// The bytes of `b'…'` or `0b…`, big-endian, without leading zero bytes.
pub(super) fn bit_bytes(literal: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = match literal {
        [b'0', b'b', digits @ ..] => digits,
        [b'b' | b'B', b'\'', digits @ .., b'\''] => digits,
        _ => &[],
    }
    .iter()
    .map(|byte| byte & 1)
    .collect();
    let mut bytes = Vec::new();
    for chunk in digits.rchunks(8) {
        bytes.push(chunk.iter().fold(0u8, |sum, bit| sum << 1 | bit));
    }
    while bytes.len() > 1 && bytes.last() == Some(&0) {
        bytes.pop();
    }
    bytes.reverse();
    bytes
}
