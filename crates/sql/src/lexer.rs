//! Tokens with byte spans. Lexing never fails: what is not closed becomes a token of kind [`TokenKind::Unterminated`].

use std::ops::Range;

/// A half-open range of bytes of the text a token or name came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// A span from `start` to `end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The bytes of `text` under this span; empty if the span lies outside.
    pub fn of<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes under the span as text; bytes that are not UTF-8 become U+FFFD.
    pub fn text(&self, text: &[u8]) -> String {
        String::from_utf8_lossy(self.of(text)).into_owned()
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Span) -> Span {
        Span::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// As a range for indexing.
    pub fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

/// The two bits of `sql_mode` that change where tokens end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SqlMode {
    /// `"x"` is a name, not a string.
    pub ansi_quotes: bool,
    /// A backslash inside a string is an ordinary byte.
    pub no_backslash_escapes: bool,
}

impl SqlMode {
    /// Reads the 64-bit mode of a query event's status variables (the same bits on MySQL and MariaDB).
    pub fn from_bits(bits: u64) -> Self {
        Self { ansi_quotes: bits & 0x4 != 0, no_backslash_escapes: bits & 0x10_0000 != 0 }
    }

    /// Reads the text form, as `@@sql_mode` gives it. Unknown and irrelevant modes are ignored.
    pub fn parse(text: &str) -> Self {
        // The combined modes switch ANSI_QUOTES on; a server expands them, a config file may not.
        const COMBINED: [&str; 6] = ["ANSI", "DB2", "MAXDB", "MSSQL", "ORACLE", "POSTGRESQL"];
        let mut mode = Self::default();
        for word in text.split(',').map(str::trim) {
            let is = |name: &str| word.eq_ignore_ascii_case(name);
            mode.ansi_quotes |= is("ANSI_QUOTES") || COMBINED.iter().any(|name| is(name));
            mode.no_backslash_escapes |= is("NO_BACKSLASH_ESCAPES");
        }
        mode
    }

    /// Whether a backslash escapes the next byte between two `quote` bytes.
    pub(crate) fn escapes(self, quote: u8) -> bool {
        !self.no_backslash_escapes && (quote == b'\'' || quote == b'"' && !self.ansi_quotes)
    }
}

/// What was opened and never closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Open {
    /// `'`
    SingleQuote,
    /// `"`
    DoubleQuote,
    /// `` ` ``
    Backquote,
    /// `/*`
    Comment,
    /// `(`
    Parenthesis,
}

impl std::fmt::Display for Open {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Open::SingleQuote => "single quote",
            Open::DoubleQuote => "double quote",
            Open::Backquote => "back quote",
            Open::Comment => "comment",
            Open::Parenthesis => "parenthesis",
        })
    }
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// An unquoted name or keyword.
    Word,
    /// A quoted name: `` `x` ``, or `"x"` under ANSI_QUOTES.
    Quoted,
    /// A string, `N'…'` included.
    String,
    /// A character set before a literal: `_utf8mb4`.
    Introducer,
    /// `0x1F` or `x'1F'`.
    Hex,
    /// `0b101` or `b'101'`.
    Bit,
    /// An integer, decimal or float without sign.
    Number,
    /// `@name`, with any quoting.
    UserVariable,
    /// `@@name`.
    SystemVariable,
    /// Any other byte.
    Punct(u8),
    /// `/*!NNNNN`, `/*M!NNNNN` or `/*T![feature]`: what follows is part of the statement.
    ExecutableOpen,
    /// The `*/` that closes an executable comment.
    ExecutableClose,
    /// A comment, its marks included.
    Comment,
    /// Runs to the end of the text, because its end is missing.
    Unterminated(Open),
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Where it is.
    pub span: Span,
}

/// Executable comments for a server newer than any that exists are comments: `/*!99999 …*/` and MariaDB's
/// `/*!999999\- enable the sandbox mode */` at the head of its dumps.
const NEVER_EXECUTED: u32 = 99_999;

/// Names of character sets that may stand before a literal with an underscore.
const CHARSETS: [&str; 42] = [
    "armscii8", "ascii", "big5", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866",
    "cp932", "dec8", "eucjpms", "euckr", "gb18030", "gb2312", "gbk", "geostd8", "greek", "hebrew", "hp8",
    "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman", "sjis", "swe7",
    "tis620", "ucs2", "ujis", "utf16", "utf16le", "utf32", "utf8", "utf8mb3", "utf8mb4",
];

/// Whether `word` is `_` and the name of a character set.
pub(crate) fn is_introducer(word: &[u8]) -> bool {
    word.strip_prefix(b"_")
        .is_some_and(|name| CHARSETS.iter().any(|set| set.as_bytes().eq_ignore_ascii_case(name)))
}

/// Bytes an unquoted name is made of.
pub(crate) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

/// Blank for the server's lexer.
pub(crate) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// An iterator over all tokens of a text, comments included.
#[derive(Clone, Debug)]
pub struct Lexer<'a> {
    text: &'a [u8],
    position: usize,
    mode: SqlMode,
    in_executable: bool,
    /// The last token was a `.` right behind a name, so digits that follow are a name (`db.1st`).
    after_name_dot: bool,
    previous: Option<TokenKind>,
}

impl<'a> Lexer<'a> {
    /// A lexer at the start of `text`.
    pub fn new(text: &'a [u8], mode: SqlMode) -> Self {
        Self::starting_at(text, 0, mode)
    }

    /// A lexer at byte `position` of `text`, which has to be a token border; spans count from the start of `text`.
    pub fn starting_at(text: &'a [u8], position: usize, mode: SqlMode) -> Self {
        Self { text, position, mode, in_executable: false, after_name_dot: false, previous: None }
    }

    /// Where the next token will be looked for.
    pub fn position(&self) -> usize {
        self.position
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.text.get(at).copied()
    }

    /// One past the last byte at or after `from` for which `matches` holds without a gap.
    fn run(&self, from: usize, matches: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.get(from..).unwrap_or_default();
        from + rest.iter().position(|&byte| !matches(byte)).unwrap_or(rest.len())
    }

    /// The end of the quoted run whose opening quote is at `open`, or None if it is not closed.
    fn quoted_end(&self, open: usize) -> Option<usize> {
        let quote = self.byte(open)?;
        quoted_end(self.text, open, self.mode.escapes(quote))
    }

    fn quoted(&self, open: usize, kind: TokenKind) -> (TokenKind, usize) {
        match self.quoted_end(open) {
            Some(end) => (kind, end),
            None => {
                let what = match self.byte(open) {
                    Some(b'"') => Open::DoubleQuote,
                    Some(b'`') => Open::Backquote,
                    _ => Open::SingleQuote,
                };
                (TokenKind::Unterminated(what), self.text.len())
            }
        }
    }

    fn line_comment(&self, start: usize) -> (TokenKind, usize) {
        let rest = self.text.get(start..).unwrap_or_default();
        (TokenKind::Comment, memchr::memchr(b'\n', rest).map_or(self.text.len(), |at| start + at + 1))
    }

    fn block_comment(&mut self, start: usize) -> (TokenKind, usize) {
        if !self.in_executable
            && let Some(end) = executable_open(self.text, start)
        {
            // A comment that is never closed is reported where it opens.
            self.in_executable = true;
            return (TokenKind::ExecutableOpen, end);
        }
        match memchr::memmem::find(self.text.get(start + 2..).unwrap_or_default(), b"*/") {
            Some(at) => (TokenKind::Comment, start + 2 + at + 2),
            None => (TokenKind::Unterminated(Open::Comment), self.text.len()),
        }
    }

    fn variable(&self, start: usize) -> (TokenKind, usize) {
        let (kind, from) = match self.byte(start + 1) {
            Some(b'@') => (TokenKind::SystemVariable, start + 2),
            _ => (TokenKind::UserVariable, start + 1),
        };
        match self.byte(from) {
            Some(b'`' | b'\'' | b'"') => self.quoted(from, kind),
            Some(byte) if is_name_byte(byte) => {
                (kind, self.run(from, |byte| is_name_byte(byte) || byte == b'.'))
            }
            _ if from == start + 1 => (TokenKind::Punct(b'@'), from),
            _ => (kind, from),
        }
    }

    fn number_or_word(&self, start: usize) -> (TokenKind, usize) {
        let word_end = self.run(start, is_name_byte);
        let word = self.text.get(start..word_end).unwrap_or_default();
        let digits_end = self.run(start, |byte| byte.is_ascii_digit());
        if self.after_name_dot {
            return (TokenKind::Word, word_end);
        }
        // `0X1` and `0B1` are names for the server.
        if word.len() > 2 && word.starts_with(b"0x") && word[2..].iter().all(u8::is_ascii_hexdigit) {
            return (TokenKind::Hex, word_end);
        }
        if word.len() > 2
            && word.starts_with(b"0b")
            && word[2..].iter().all(|byte| matches!(byte, b'0' | b'1'))
        {
            return (TokenKind::Bit, word_end);
        }
        let mut end = digits_end;
        if self.byte(end) == Some(b'.') {
            end = self.run(end + 1, |byte| byte.is_ascii_digit());
        }
        if let Some(b'e' | b'E') = self.byte(end) {
            let sign = usize::from(matches!(self.byte(end + 1), Some(b'+' | b'-')));
            let exponent_end = self.run(end + 1 + sign, |byte| byte.is_ascii_digit());
            if exponent_end > end + 1 + sign {
                end = exponent_end;
            }
        }
        if end == digits_end && word_end > digits_end {
            (TokenKind::Word, word_end)
        } else {
            (TokenKind::Number, end)
        }
    }

    fn word(&self, start: usize, first: u8) -> (TokenKind, usize) {
        if let (b'x' | b'X' | b'b' | b'B' | b'n' | b'N', Some(b'\'')) = (first, self.byte(start + 1)) {
            let kind = match first {
                b'x' | b'X' => TokenKind::Hex,
                b'b' | b'B' => TokenKind::Bit,
                _ => TokenKind::String,
            };
            return self.quoted(start + 1, kind);
        }
        let end = self.run(start, is_name_byte);
        if first == b'_' && is_introducer(self.text.get(start..end).unwrap_or_default()) {
            let next = self.run(end, is_blank);
            let literal = match self.byte(next) {
                Some(b'\'') => true,
                Some(b'"') => !self.mode.ansi_quotes,
                Some(b'x' | b'X' | b'b' | b'B') => self.byte(next + 1) == Some(b'\''),
                Some(b'0') => matches!(self.byte(next + 1), Some(b'x' | b'b')),
                _ => false,
            };
            if literal {
                return (TokenKind::Introducer, end);
            }
        }
        (TokenKind::Word, end)
    }

    fn read(&mut self, start: usize, first: u8) -> (TokenKind, usize) {
        match first {
            b'\'' => self.quoted(start, TokenKind::String),
            b'"' if self.mode.ansi_quotes => self.quoted(start, TokenKind::Quoted),
            b'"' => self.quoted(start, TokenKind::String),
            b'`' => self.quoted(start, TokenKind::Quoted),
            b'#' => self.line_comment(start),
            b'-' if starts_dash_comment(self.text, start) => self.line_comment(start),
            b'/' if self.byte(start + 1) == Some(b'*') => self.block_comment(start),
            b'*' if self.in_executable && self.byte(start + 1) == Some(b'/') => {
                self.in_executable = false;
                (TokenKind::ExecutableClose, start + 2)
            }
            b'@' => self.variable(start),
            b'0'..=b'9' => self.number_or_word(start),
            b'.' if self.byte(start + 1).is_some_and(|byte| byte.is_ascii_digit())
                && !self.previous_is_name() =>
            {
                let (_, end) = self.number_or_word(start + 1);
                (TokenKind::Number, end)
            }
            _ if is_name_byte(first) => self.word(start, first),
            _ => (TokenKind::Punct(first), start + 1),
        }
    }

    fn previous_is_name(&self) -> bool {
        matches!(self.previous, Some(TokenKind::Word | TokenKind::Quoted))
    }
}

impl Iterator for Lexer<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        let start = self.run(self.position, is_blank);
        let Some(first) = self.byte(start) else {
            self.position = self.text.len();
            if self.in_executable {
                self.in_executable = false;
                return Some(Token {
                    kind: TokenKind::Unterminated(Open::Comment),
                    span: Span::new(start, start),
                });
            }
            return None;
        };
        let (kind, end) = self.read(start, first);
        self.position = end;
        if kind != TokenKind::Comment {
            self.after_name_dot = kind == TokenKind::Punct(b'.') && self.previous_is_name();
            self.previous = Some(kind);
        }
        Some(Token { kind, span: Span::new(start, end) })
    }
}

/// The tokens that make up a statement: plain comments and the marks of executable comments are left out.
pub fn tokens(text: &[u8], mode: SqlMode) -> Vec<Token> {
    use TokenKind::{Comment, ExecutableClose, ExecutableOpen};
    Lexer::new(text, mode)
        .filter(|token| !matches!(token.kind, Comment | ExecutableOpen | ExecutableClose))
        .collect()
}

/// Whether `--` at `start` opens a comment: the server wants a blank or control byte behind it, or the end.
pub(crate) fn starts_dash_comment(text: &[u8], start: usize) -> bool {
    text.get(start..start + 2) == Some(b"--")
        && text.get(start + 2).is_none_or(|&byte| byte <= b' ' || byte == 0x7f)
}

/// If the comment at `start` (`/*`) is one that a server executes: where its statement text begins.
pub(crate) fn executable_open(text: &[u8], start: usize) -> Option<usize> {
    let rest = text.get(start + 2..)?;
    let (mark, tidb) = match rest {
        [b'!', ..] => (1, false),
        [b'M', b'!', ..] => (2, false),
        [b'T', b'!', ..] => (2, true),
        _ => return None,
    };
    let mut end = start + 2 + mark;
    if tidb {
        if text.get(end) == Some(&b'[') {
            end += memchr::memchr(b']', text.get(end..)?)? + 1;
        }
        return Some(end);
    }
    let digits = text.get(end..)?.iter().take(6).take_while(|byte| byte.is_ascii_digit()).count();
    if digits >= 5 {
        let version =
            text.get(end..end + digits)?.iter().fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        if version == NEVER_EXECUTED || version > 200_000 {
            return None;
        }
        end += digits;
    }
    Some(end)
}

/// One past the closing quote of the run that opens at `open`; a doubled quote does not close it.
pub(crate) fn quoted_end(text: &[u8], open: usize, escapes: bool) -> Option<usize> {
    let quote = *text.get(open)?;
    let mut at = open + 1;
    loop {
        let rest = text.get(at..)?;
        let found = if escapes { memchr::memchr2(quote, b'\\', rest)? } else { memchr::memchr(quote, rest)? };
        at += found + 1;
        if rest[found] != b'\\' && text.get(at) != Some(&quote) {
            return Some(at);
        }
        at += 1;
    }
}

/// The name behind a [`TokenKind::Word`] or [`TokenKind::Quoted`] token; bytes that are not UTF-8 become U+FFFD.
pub fn name_text(bytes: &[u8]) -> String {
    let Some(&quote @ (b'`' | b'"')) = bytes.first() else {
        return String::from_utf8_lossy(bytes).into_owned();
    };
    let inner = bytes.get(1..bytes.len().saturating_sub(1)).unwrap_or_default();
    let text = String::from_utf8_lossy(inner);
    let single = if quote == b'`' { "`" } else { "\"" };
    if text.contains(single) { text.replace(&single.repeat(2), single) } else { text.into_owned() }
}

/// Appends the value of a string literal (quotes included in `literal`, with or without `N` in front) to `out`.
pub fn unescape_into(literal: &[u8], mode: SqlMode, out: &mut Vec<u8>) {
    let literal = match literal {
        [b'n' | b'N', rest @ ..] => rest,
        other => other,
    };
    let Some(&quote) = literal.first() else { return };
    let inner = literal.get(1..literal.len().saturating_sub(1)).unwrap_or_default();
    let escapes = mode.escapes(quote);
    let mut rest = inner;
    while let Some(at) = memchr::memchr2(quote, if escapes { b'\\' } else { quote }, rest) {
        out.extend_from_slice(&rest[..at]);
        let second = rest.get(at + 1).copied();
        if rest[at] == quote {
            // A lone quote cannot stand inside a well-formed literal; it is kept as it is.
            out.push(quote);
            rest = rest.get(at + 1 + usize::from(second == Some(quote))..).unwrap_or_default();
            continue;
        }
        match second {
            None => out.push(b'\\'),
            Some(b'0') => out.push(0),
            Some(b'b') => out.push(8),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'Z') => out.push(0x1a),
            // LIKE patterns keep their backslash.
            Some(other @ (b'%' | b'_')) => out.extend_from_slice(&[b'\\', other]),
            Some(other) => out.push(other),
        }
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use TokenKind::*;

    fn kinds(text: &str, mode: SqlMode) -> Vec<(TokenKind, &str)> {
        Lexer::new(text.as_bytes(), mode).map(|token| (token.kind, &text[token.span.range()])).collect()
    }

    #[test]
    fn every_kind_of_token() {
        let text = "SELECT `a``b`, 'it''s\\'' \"d\" N'n' _utf8mb4 'x' _id 0x1F x'1f' 0b01 b'1' 1.5e-3 .5 t.1st @u @`v w` @@g.x -- c\n# d\n/* e */ 1abc a$b 汉字;";
        let expected = vec![
            (Word, "SELECT"),
            (Quoted, "`a``b`"),
            (Punct(b','), ","),
            (String, "'it''s\\''"),
            (String, "\"d\""),
            (String, "N'n'"),
            (Introducer, "_utf8mb4"),
            (String, "'x'"),
            (Word, "_id"),
            (Hex, "0x1F"),
            (Hex, "x'1f'"),
            (Bit, "0b01"),
            (Bit, "b'1'"),
            (Number, "1.5e-3"),
            (Number, ".5"),
            (Word, "t"),
            (Punct(b'.'), "."),
            (Word, "1st"),
            (UserVariable, "@u"),
            (UserVariable, "@`v w`"),
            (SystemVariable, "@@g.x"),
            (Comment, "-- c\n"),
            (Comment, "# d\n"),
            (Comment, "/* e */"),
            (Word, "1abc"),
            (Word, "a$b"),
            (Word, "汉字"),
            (Punct(b';'), ";"),
        ];
        assert_eq!(kinds(text, SqlMode::default()), expected);
    }

    #[test]
    fn sql_mode_changes_the_tokens() {
        let ansi = SqlMode::parse("STRICT_TRANS_TABLES,ANSI_QUOTES");
        assert_eq!(kinds("\"a\"\"b\"", ansi), [(Quoted, "\"a\"\"b\"")]);
        let plain = SqlMode::parse("no_backslash_escapes");
        assert_eq!(kinds(r"'a\' 1", plain), [(String, r"'a\'"), (Number, "1")]);
        assert_eq!(kinds(r"'a\' 1", SqlMode::default()), [(Unterminated(Open::SingleQuote), r"'a\' 1")]);
        assert_eq!(SqlMode::from_bits(0x10_0004), SqlMode { ansi_quotes: true, no_backslash_escapes: true });
        assert!(SqlMode::parse("ANSI").ansi_quotes);
        // A backslash never escapes inside a name.
        assert_eq!(kinds(r"`a\`", SqlMode::default()), [(Quoted, r"`a\`")]);
    }

    #[test]
    fn executable_comments_are_open() {
        let mode = SqlMode::default();
        assert_eq!(
            kinds(
                "/*!40101 SET a */ /*M!100201 b */ /*T![clustered_index] c */ /*!090000 d*/ /*! e */",
                mode
            ),
            [
                (ExecutableOpen, "/*!40101"),
                (Word, "SET"),
                (Word, "a"),
                (ExecutableClose, "*/"),
                (ExecutableOpen, "/*M!100201"),
                (Word, "b"),
                (ExecutableClose, "*/"),
                (ExecutableOpen, "/*T![clustered_index]"),
                (Word, "c"),
                (ExecutableClose, "*/"),
                (ExecutableOpen, "/*!090000"),
                (Word, "d"),
                (ExecutableClose, "*/"),
                (ExecutableOpen, "/*!"),
                (Word, "e"),
                (ExecutableClose, "*/"),
            ]
        );
        // The sandbox line of mariadb-dump, and nested plain comments.
        assert_eq!(kinds("/*!999999\\- enable the sandbox mode */", mode)[0].0, Comment);
        assert_eq!(tokens(b"/*!50100 a /* x */ b */ c", mode).len(), 3);
        assert_eq!(kinds("/*!50100 a", mode).last().unwrap().0, Unterminated(Open::Comment));
        assert_eq!(kinds("a -1--1 --", mode).len(), 7);
    }

    #[test]
    fn values_of_literals() {
        let value = |text: &str, mode| {
            let mut out = Vec::new();
            unescape_into(text.as_bytes(), mode, &mut out);
            out
        };
        assert_eq!(value(r"'a''b\'\n\0\Z\%\q\\'", SqlMode::default()), b"a'b'\n\0\x1a\\%q\\");
        assert_eq!(value(r"'a''b\n'", SqlMode::parse("NO_BACKSLASH_ESCAPES")), br"a'b\n");
        assert_eq!(name_text(b"`a``b`"), "a`b");
        assert_eq!(name_text(b"\"a\"\"b\""), "a\"b");
        assert_eq!(name_text("ü".as_bytes()), "ü");
    }
}
