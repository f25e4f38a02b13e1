//! The text of an INSERT from its first word to VALUES.

use crate::lexer::{Lexer, Open, Span, SqlMode, Token, TokenKind, name_text};

/// The first word or words of the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// INSERT
    Insert,
    /// INSERT IGNORE
    InsertIgnore,
    /// REPLACE
    Replace,
}

/// The head of an INSERT statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// What the statement does.
    pub verb: Verb,
    /// The whole head, from its first word to the end of VALUES.
    pub span: Span,
    /// The schema before the dot, if there is one.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// Where the (qualified) table name lies.
    pub table_span: Span,
    /// The names of the column list, if there is one; it may be empty.
    pub columns: Option<Vec<String>>,
    /// The column list with its parentheses.
    pub columns_span: Option<Span>,
}

pub(super) enum Outcome {
    /// `end` is where the rows begin.
    Head {
        head: Head,
        end: usize,
    },
    More,
    /// Not an INSERT or REPLACE.
    Other,
    /// An INSERT of another form.
    NotValues,
    Unclosed {
        what: Open,
        at: usize,
    },
    /// The file ended before VALUES.
    Truncated,
}

/// Why no head could be read.
enum Stop {
    Exhausted,
    Unclosed(Open, usize),
    Unfit,
}

struct Words<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    at_end: bool,
    peeked: Option<Token>,
}

impl<'a> Words<'a> {
    fn peek(&mut self) -> Result<Token, Stop> {
        if let Some(token) = self.peeked {
            return Ok(token);
        }
        loop {
            let token = self.lexer.next().ok_or(Stop::Exhausted)?;
            match token.kind {
                TokenKind::Unterminated(what) if self.at_end => {
                    return Err(Stop::Unclosed(what, token.span.start));
                }
                TokenKind::Unterminated(_) => return Err(Stop::Exhausted),
                // The window may cut a word short.
                _ if token.span.end == self.text.len() && !self.at_end => return Err(Stop::Exhausted),
                TokenKind::Comment | TokenKind::ExecutableOpen | TokenKind::ExecutableClose => continue,
                _ => {
                    self.peeked = Some(token);
                    return Ok(token);
                }
            }
        }
    }

    fn next(&mut self) -> Result<Token, Stop> {
        let token = self.peek()?;
        self.peeked = None;
        Ok(token)
    }

    fn is_word(&self, token: Token, word: &str) -> bool {
        token.kind == TokenKind::Word && token.span.of(self.text).eq_ignore_ascii_case(word.as_bytes())
    }

    fn accept(&mut self, word: &str) -> Result<bool, Stop> {
        let token = self.peek()?;
        let found = self.is_word(token, word);
        if found {
            self.peeked = None;
        }
        Ok(found)
    }

    fn accept_byte(&mut self, byte: u8) -> Result<Option<Span>, Stop> {
        let token = self.peek()?;
        if token.kind != TokenKind::Punct(byte) {
            return Ok(None);
        }
        self.peeked = None;
        Ok(Some(token.span))
    }

    fn name(&mut self) -> Result<(String, Span), Stop> {
        let token = self.next()?;
        match token.kind {
            TokenKind::Word | TokenKind::Quoted => Ok((name_text(token.span.of(self.text)), token.span)),
            _ => Err(Stop::Unfit),
        }
    }

    /// `(a, t.b, …)` behind its opening parenthesis; the last part of each name, and the end.
    fn names(&mut self) -> Result<(Vec<String>, usize), Stop> {
        let mut names = Vec::new();
        if let Some(close) = self.accept_byte(b')')? {
            return Ok((names, close.end));
        }
        loop {
            let (mut name, _) = self.name()?;
            while self.accept_byte(b'.')?.is_some() {
                name = self.name()?.0;
            }
            names.push(name);
            if let Some(close) = self.accept_byte(b')')? {
                return Ok((names, close.end));
            }
            self.accept_byte(b',')?.ok_or(Stop::Unfit)?;
        }
    }

    fn verb(&mut self) -> Result<Option<(Verb, usize)>, Stop> {
        let first = self.next()?;
        let replace = self.is_word(first, "REPLACE");
        if !replace && !self.is_word(first, "INSERT") {
            return Ok(None);
        }
        let mut verb = if replace { Verb::Replace } else { Verb::Insert };
        for word in ["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY"] {
            self.accept(word)?;
        }
        if !replace && self.accept("IGNORE")? {
            verb = Verb::InsertIgnore;
        }
        self.accept("INTO")?;
        Ok(Some((verb, first.span.start)))
    }

    fn head(&mut self) -> Result<Option<Head>, Stop> {
        let Some((verb, start)) = self.verb()? else { return Ok(None) };
        let (mut table, mut table_span) = self.name()?;
        let mut schema = None;
        if self.accept_byte(b'.')?.is_some() {
            let (name, span) = self.name()?;
            schema = Some(std::mem::replace(&mut table, name));
            table_span = table_span.to(span);
        }
        if self.accept("PARTITION")? {
            self.accept_byte(b'(')?.ok_or(Stop::Unfit)?;
            self.names()?;
        }
        let mut columns = None;
        let mut columns_span = None;
        if let Some(open) = self.accept_byte(b'(')? {
            let (names, end) = self.names()?;
            columns = Some(names);
            columns_span = Some(Span::new(open.start, end));
        }
        let values = self.next()?;
        if !self.is_word(values, "VALUES") && !self.is_word(values, "VALUE") {
            return Err(Stop::Unfit);
        }
        Ok(Some(Head {
            verb,
            span: Span::new(start, values.span.end),
            schema,
            table,
            table_span,
            columns,
            columns_span,
        }))
    }
}

/// Reads the head that may begin at `at`.
pub(super) fn read(window: &[u8], at: usize, mode: SqlMode, at_end: bool) -> Outcome {
    let mut words = Words { text: window, lexer: Lexer::starting_at(window, at, mode), at_end, peeked: None };
    // What is no INSERT is not read further: its end is found by the splitter.
    match words.peek() {
        Ok(first) if words.is_word(first, "INSERT") || words.is_word(first, "REPLACE") => {}
        Ok(_) => return Outcome::Other,
        // A statement of one token that ends with the window, or a first token that is not closed.
        Err(_) => return if at_end { Outcome::Other } else { Outcome::More },
    }
    match words.head() {
        Ok(Some(head)) => Outcome::Head { end: head.span.end, head },
        Ok(None) => Outcome::Other,
        Err(Stop::Exhausted) if !at_end => Outcome::More,
        Err(Stop::Exhausted) => Outcome::Truncated,
        Err(Stop::Unclosed(what, at)) => Outcome::Unclosed { what, at },
        Err(Stop::Unfit) => Outcome::NotValues,
    }
}
