//! The table-filter language shared by all TiDB tools (`-f`, `[mydumper] filter`).
//!
//! One rule per item: `schema-pattern.table-pattern`, `!` in front excludes, `@file` imports a file, `#`
//! is a comment. The last rule that matches decides; no match rejects. Facts: dumpling.md section 4.

use std::path::Path;

use regex::Regex;

use crate::go_regex;

/// The filter that Dumpling uses when none is given.
pub const DUMPLING_DEFAULT: [&str; 2] =
    ["*.*", "!/^(mysql|sys|INFORMATION_SCHEMA|PERFORMANCE_SCHEMA|METRICS_SCHEMA|INSPECTION_SCHEMA)$/.*"];

/// The filter that Lightning uses when none is given.
pub const LIGHTNING_DEFAULT: [&str; 7] = [
    "*.*",
    "!mysql.*",
    "!sys.*",
    "!INFORMATION_SCHEMA.*",
    "!PERFORMANCE_SCHEMA.*",
    "!METRICS_SCHEMA.*",
    "!INSPECTION_SCHEMA.*",
];

/// Why a filter could not be built. The text begins with the place: `at <cmdline>:1: `.
#[derive(Debug, thiserror::Error)]
#[error("at {file}:{line}: {kind}")]
pub struct FilterError {
    /// File with the rule, or `<cmdline>`.
    pub file: String,
    /// Line in that file, from 1. Always 1 for `<cmdline>`, as in the Go package.
    pub line: usize,
    /// What is wrong there.
    pub kind: FilterErrorKind,
}

/// What is wrong with a rule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum FilterErrorKind {
    #[error("wrong table pattern")]
    MissingTable,
    #[error("syntax error: missing '.' between schema and table patterns")]
    MissingDot,
    #[error("syntax error: stray characters after table pattern")]
    Stray,
    #[error("syntax error: stray characters after column pattern")]
    StrayColumn,
    #[error("syntax error: missing pattern")]
    MissingPattern,
    #[error("syntax error: incomplete regexp")]
    IncompleteRegexp,
    #[error("syntax error: incomplete quoted identifier")]
    IncompleteQuoted,
    #[error("syntax error: cannot place \\ at end of line")]
    BackslashAtEnd,
    #[error("cannot escape a letter or number (\\{0}), it is reserved for future extension")]
    ReservedEscape(char),
    #[error("syntax error: failed to parse character class")]
    CharacterClass,
    #[error("unexpected special character '{0}'")]
    Special(char),
    #[error("invalid pattern: error parsing regexp: {0}")]
    Regexp(#[source] Box<regex::Error>),
    #[error("cannot open filter file: {0}")]
    OpenFile(#[source] std::io::Error),
    #[error("importing filter files recursively is not allowed")]
    RecursiveImport,
}

/// One half of a rule, compiled.
#[derive(Debug, Clone)]
enum Matcher {
    Literal(String),
    Regex(Regex),
    /// `*` alone.
    All,
}

impl Matcher {
    fn is_match(&self, name: &str) -> bool {
        match self {
            Matcher::Literal(text) => text == name,
            Matcher::Regex(regex) => regex.is_match(name),
            Matcher::All => true,
        }
    }
}

#[derive(Debug, Clone)]
struct Rule {
    schema: Matcher,
    table: Matcher,
    positive: bool,
}

/// Decides which tables and schemas take part. Cheap to clone, safe to share between threads.
#[derive(Debug, Clone)]
pub struct TableFilter {
    rules: std::sync::Arc<[Rule]>,
    case_sensitive: bool,
}

impl TableFilter {
    /// Compiles rules. Dumpling and Lightning pass `case_sensitive = false` unless told otherwise: then
    /// patterns and names are folded to lower case.
    ///
    /// # Errors
    /// The first bad rule, with its place. `@file` rules read files.
    pub fn parse<S: AsRef<str>>(rules: &[S], case_sensitive: bool) -> Result<Self, FilterError> {
        let mut parser = Parser { file: "<cmdline>".into(), line: 1, case_sensitive };
        let mut compiled = Vec::with_capacity(rules.len());
        for rule in rules {
            parser.rule(rule.as_ref(), true, &mut compiled)?;
        }
        Ok(Self { rules: compiled.into(), case_sensitive })
    }

    /// A filter that accepts everything.
    pub fn all() -> Self {
        let rule = Rule { schema: Matcher::All, table: Matcher::All, positive: true };
        Self { rules: vec![rule].into(), case_sensitive: true }
    }

    /// Whether a table is selected: the last rule that matches both names decides.
    pub fn matches_table(&self, schema: &str, table: &str) -> bool {
        let (schema, table) = (self.fold(schema), self.fold(table));
        self.rules
            .iter()
            .rev()
            .find(|rule| rule.schema.is_match(&schema) && rule.table.is_match(&table))
            .is_some_and(|rule| rule.positive)
    }

    /// Whether a schema may hold selected tables. An excluding rule counts only if its table half is `*`.
    pub fn matches_schema(&self, schema: &str) -> bool {
        let schema = self.fold(schema);
        self.rules
            .iter()
            .rev()
            .find(|rule| {
                rule.schema.is_match(&schema) && (rule.positive || matches!(rule.table, Matcher::All))
            })
            .is_some_and(|rule| rule.positive)
    }

    fn fold<'a>(&self, name: &'a str) -> std::borrow::Cow<'a, str> {
        fold(name, self.case_sensitive)
    }
}

/// Decides which columns take part: rules without a dot, always matched in lower case.
#[derive(Debug, Clone)]
pub struct ColumnFilter {
    rules: Vec<(Matcher, bool)>,
}

impl ColumnFilter {
    /// Compiles rules of the same language, one pattern each.
    ///
    /// # Errors
    /// The first bad rule, with its place.
    pub fn parse<S: AsRef<str>>(rules: &[S]) -> Result<Self, FilterError> {
        let mut parser = Parser { file: "<cmdline>".into(), line: 1, case_sensitive: false };
        let mut compiled = Vec::new();
        for rule in rules {
            parser.column_rule(rule.as_ref(), true, &mut compiled)?;
        }
        Ok(Self { rules: compiled })
    }

    /// Whether the column is selected.
    pub fn matches(&self, column: &str) -> bool {
        let column = column.to_lowercase();
        self.rules
            .iter()
            .rev()
            .find(|(matcher, _)| matcher.is_match(&column))
            .is_some_and(|(_, positive)| *positive)
    }
}

pub(crate) fn fold(name: &str, case_sensitive: bool) -> std::borrow::Cow<'_, str> {
    if case_sensitive || !name.chars().any(char::is_uppercase) {
        name.into()
    } else {
        name.to_lowercase().into()
    }
}

struct Parser {
    file: String,
    line: usize,
    case_sensitive: bool,
}

impl Parser {
    fn error(&self, kind: FilterErrorKind) -> FilterError {
        FilterError { file: self.file.clone(), line: self.line, kind }
    }

    /// Strips what all kinds of rules share. `None`: nothing to compile (comment, empty, import done).
    fn head<'a, R>(
        &mut self,
        line: &'a str,
        can_import: bool,
        out: &mut Vec<R>,
        parse: fn(&mut Self, &str, bool, &mut Vec<R>) -> Result<(), FilterError>,
    ) -> Result<Option<(&'a str, bool)>, FilterError> {
        let line = line.trim_matches([' ', '\t']);
        match line.as_bytes().first() {
            None | Some(b'#') => Ok(None),
            Some(b'!') => Ok(Some((&line[1..], false))),
            Some(b'@') if !can_import => Err(self.error(FilterErrorKind::RecursiveImport)),
            Some(b'@') => {
                self.import(&line[1..], out, parse)?;
                Ok(None)
            }
            Some(_) => Ok(Some((line, true))),
        }
    }

    fn import<R>(
        &mut self,
        path: &str,
        out: &mut Vec<R>,
        parse: fn(&mut Self, &str, bool, &mut Vec<R>) -> Result<(), FilterError>,
    ) -> Result<(), FilterError> {
        let bytes = std::fs::read(Path::new(path)).map_err(|e| self.error(FilterErrorKind::OpenFile(e)))?;
        // Names in the file may be of any charset; what is not UTF-8 can't match a name of ours.
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let outer = (std::mem::replace(&mut self.file, path.into()), self.line);
        for (i, line) in text.lines().enumerate() {
            self.line = i + 1;
            parse(self, line, false, out)?;
        }
        (self.file, self.line) = outer;
        Ok(())
    }

    fn rule(&mut self, line: &str, can_import: bool, out: &mut Vec<Rule>) -> Result<(), FilterError> {
        let Some((line, positive)) = self.head(line, can_import, out, Self::rule)? else {
            return Ok(());
        };
        let (schema, rest) = self.pattern(line, true)?;
        if rest.is_empty() {
            return Err(self.error(FilterErrorKind::MissingTable));
        }
        let Some(rest) = rest.strip_prefix('.') else {
            return Err(self.error(FilterErrorKind::MissingDot));
        };
        let (table, rest) = self.pattern(rest, true)?;
        if !rest.is_empty() {
            return Err(self.error(FilterErrorKind::Stray));
        }
        out.push(Rule { schema, table, positive });
        Ok(())
    }

    fn column_rule(
        &mut self,
        line: &str,
        can_import: bool,
        out: &mut Vec<(Matcher, bool)>,
    ) -> Result<(), FilterError> {
        let Some((line, positive)) = self.head(line, can_import, out, Self::column_rule)? else {
            return Ok(());
        };
        let (matcher, rest) = self.pattern(line, false)?;
        if !rest.is_empty() {
            return Err(self.error(FilterErrorKind::StrayColumn));
        }
        out.push((matcher, positive));
        Ok(())
    }

    /// Reads one pattern; returns it with what follows it.
    fn pattern<'a>(&self, text: &'a str, dot_ends: bool) -> Result<(Matcher, &'a str), FilterError> {
        match text.as_bytes().first() {
            None => Err(self.error(FilterErrorKind::MissingPattern)),
            Some(b'/') => self.regexp(text),
            Some(&quote @ (b'"' | b'`')) => self.quoted(text, quote as char),
            Some(_) => self.wildcard(text, dot_ends),
        }
    }

    fn regexp<'a>(&self, text: &'a str) -> Result<(Matcher, &'a str), FilterError> {
        let bytes = text.as_bytes();
        let mut i = 1;
        while i < bytes.len() && bytes[i] != b'/' {
            i += if bytes[i] == b'\\' { 2 } else { 1 };
        }
        // An empty regexp (`//`) is not one either.
        if i >= bytes.len() || i == 1 {
            return Err(self.error(FilterErrorKind::IncompleteRegexp));
        }
        Ok((self.compile(&text[1..i])?, &text[i + 1..]))
    }

    fn quoted<'a>(&self, text: &'a str, quote: char) -> Result<(Matcher, &'a str), FilterError> {
        let mut name = String::new();
        let mut rest = &text[1..];
        loop {
            let Some(end) = rest.find(quote) else {
                return Err(self.error(FilterErrorKind::IncompleteQuoted));
            };
            name.push_str(&rest[..end]);
            rest = &rest[end + 1..];
            if !rest.starts_with(quote) {
                break;
            }
            name.push(quote);
            rest = &rest[1..];
        }
        if name.is_empty() {
            return Err(self.error(FilterErrorKind::IncompleteQuoted));
        }
        Ok((self.literal(name), rest))
    }

    fn wildcard<'a>(&self, text: &'a str, dot_ends: bool) -> Result<(Matcher, &'a str), FilterError> {
        let mut literal = String::new();
        let mut regex = String::from("(?s)^");
        let mut is_literal = true;
        let mut i = 0;
        while let Some(c) = text[i..].chars().next() {
            i += c.len_utf8();
            match c {
                '\\' => {
                    let Some(escaped) = text[i..].chars().next() else {
                        return Err(self.error(FilterErrorKind::BackslashAtEnd));
                    };
                    if escaped.is_ascii_alphanumeric() {
                        return Err(self.error(FilterErrorKind::ReservedEscape(escaped)));
                    }
                    i += escaped.len_utf8();
                    push_literal(escaped, &mut literal, &mut regex);
                }
                '.' if dot_ends => {
                    i -= 1;
                    break;
                }
                '*' => {
                    is_literal = false;
                    regex.push_str(".*");
                }
                '?' => {
                    is_literal = false;
                    regex.push('.');
                }
                '[' => {
                    is_literal = false;
                    i += self.class(&text[i..], &mut regex)?;
                }
                c if c.is_ascii_alphanumeric() || matches!(c, '$' | '_') || !c.is_ascii() => {
                    push_literal(c, &mut literal, &mut regex);
                }
                c => return Err(self.error(FilterErrorKind::Special(c))),
            }
        }
        let (pattern, rest) = text.split_at(i);
        let matcher = if pattern == "*" {
            Matcher::All
        } else if is_literal {
            self.literal(literal)
        } else {
            regex.push('$');
            self.compile(&regex)?
        };
        Ok((matcher, rest))
    }

    /// Reads a class after its `[` and appends it to the regex; returns its length up to and with the `]`.
    fn class(&self, text: &str, regex: &mut String) -> Result<usize, FilterError> {
        let fail = || self.error(FilterErrorKind::CharacterClass);
        let mut chars = text.char_indices().peekable();
        regex.push('[');
        match chars.peek() {
            Some((_, '!')) => {
                chars.next();
                regex.push('^');
            }
            // Only `!` negates; a caret is an ordinary member.
            Some((_, '^')) => regex.push('\\'),
            _ => {}
        }
        let mut members = 0;
        while let Some((i, c)) = chars.next() {
            match c {
                ']' if members == 0 => return Err(fail()),
                ']' => {
                    regex.push(']');
                    return Ok(i + 1);
                }
                '\\' => match chars.next() {
                    Some((_, escaped)) if !escaped.is_ascii_alphanumeric() => {
                        regex.push('\\');
                        regex.push(escaped);
                    }
                    _ => return Err(fail()),
                },
                c => regex.push(c),
            }
            members += 1;
        }
        Err(fail())
    }

    fn literal(&self, name: String) -> Matcher {
        Matcher::Literal(fold(&name, self.case_sensitive).into_owned())
    }

    fn compile(&self, regex: &str) -> Result<Matcher, FilterError> {
        go_regex::compile(regex, !self.case_sensitive)
            .map(Matcher::Regex)
            .map_err(|e| self.error(FilterErrorKind::Regexp(Box::new(e))))
    }
}

fn push_literal(c: char, literal: &mut String, regex: &mut String) {
    literal.push(c);
    regex.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(rules: &[&str]) -> TableFilter {
        TableFilter::parse(rules, false).unwrap()
    }

    fn message(rule: &str) -> String {
        TableFilter::parse(&[rule], true).unwrap_err().to_string()
    }

    #[test]
    fn last_match_wins_and_no_match_rejects() {
        let f = filter(&["a.*", "!a.t", "a.t1", "# note", "", " \tb.x "]);
        assert!(f.matches_table("a", "q"));
        assert!(!f.matches_table("a", "t"));
        assert!(f.matches_table("a", "t1"));
        assert!(f.matches_table("b", "x"));
        assert!(!f.matches_table("b", "y"));
        assert!(!filter(&["!a.b"]).matches_table("c", "d"));
        let none: [&str; 0] = [];
        assert!(!TableFilter::parse(&none, false).unwrap().matches_table("a", "b"));
    }

    #[test]
    fn the_job_of_the_issue() {
        let f = filter(&["my_db1.table[12]"]);
        assert!(f.matches_table("my_db1", "table1") && f.matches_table("MY_DB1", "TABLE2"));
        assert!(!f.matches_table("my_db1", "table3") && !f.matches_table("my_db1", "table12"));
    }

    #[test]
    fn wildcards_are_whole_name_and_cross_dots_and_newlines() {
        let f = filter(&["a?c.x*y"]);
        assert!(f.matches_table("aéc", "x.\ny"));
        assert!(!f.matches_table("ac", "xy") && !f.matches_table("zabc", "xy"));
        assert!(filter(&["[!a-c]1.t"]).matches_table("d1", "t"));
        assert!(!filter(&["[!a-c]1.t"]).matches_table("b1", "t"));
        assert!(filter(&["[^a].t"]).matches_table("^", "t"));
        assert!(!filter(&["[^a].t"]).matches_table("b", "t"));
        assert!(filter(&[r"[\]\-].t"]).matches_table("]", "t"));
        assert!(filter(&["[[&].t"]).matches_table("&", "t"));
    }

    #[test]
    fn regexps_are_unanchored() {
        let f = filter(&[r"/^d[0-9]{1,2}$/./x\/y/"]);
        assert!(f.matches_table("D12", "ax/yb"));
        assert!(!f.matches_table("d123", "x/y"));
    }

    #[test]
    fn quoted_and_escaped_names() {
        let f = filter(&["\"a.\"\"b\".`c``d`", r"a\-b.t\*"]);
        assert!(f.matches_table("a.\"b", "c`d"));
        assert!(f.matches_table("a-b", "t*"));
        assert!(!f.matches_table("a-b", "tx"));
        assert!(filter(&["汉字.$_é"]).matches_table("汉字", "$_É"));
    }

    #[test]
    fn case_sensitivity() {
        let f = TableFilter::parse(&["Db.T*", "/^X/.*"], true).unwrap();
        assert!(f.matches_table("Db", "Tx") && !f.matches_table("db", "Tx"));
        assert!(f.matches_table("Xa", "b") && !f.matches_table("xa", "b"));
        let f = filter(&["Db.T*", "/^X/.*"]);
        assert!(f.matches_table("dB", "tX") && f.matches_table("xa", "b"));
    }

    #[test]
    fn schema_test_counts_only_whole_exclusions() {
        let f = filter(&["*.*", "!a.*", "!b.t", "a.keep"]);
        assert!(f.matches_schema("a"), "a.keep is positive and last");
        assert!(f.matches_schema("b"), "only one table of b is excluded");
        let f = filter(&LIGHTNING_DEFAULT);
        assert!(!f.matches_schema("MySQL") && !f.matches_schema("information_schema"));
        let f = filter(&DUMPLING_DEFAULT);
        assert!(!f.matches_schema("SYS") && f.matches_schema("sys2"));
        assert!(!f.matches_table("metrics_schema", "x"));
    }

    #[test]
    fn errors_name_place_and_reason() {
        for (rule, reason) in [
            ("a.b.c", "syntax error: stray characters after table pattern"),
            ("a-b.t", "unexpected special character '-'"),
            (r"a\tb.c", r"cannot escape a letter or number (\t), it is reserved for future extension"),
            ("[].*", "syntax error: failed to parse character class"),
            ("[!].*", "syntax error: failed to parse character class"),
            ("[.*", "syntax error: failed to parse character class"),
            (r"[\d\D].*", "syntax error: failed to parse character class"),
            ("db", "wrong table pattern"),
            ("db.", "syntax error: missing pattern"),
            ("", ""),
            ("`db`*.*", "syntax error: missing '.' between schema and table patterns"),
            ("/db.*", "syntax error: incomplete regexp"),
            ("`db.*", "syntax error: incomplete quoted identifier"),
            (r"db.\", r"syntax error: cannot place \ at end of line"),
            ("\"db\".\"x\"y", "syntax error: stray characters after table pattern"),
        ] {
            if rule.is_empty() {
                continue;
            }
            assert_eq!(message(rule), format!("at <cmdline>:1: {reason}"), "{rule}");
        }
        assert!(message("/(?!x)/.*").contains("invalid pattern: error parsing regexp: "));
        assert!(message("@/no/such/file").contains("cannot open filter file: "));
    }

    #[test]
    fn imported_files_count_lines_and_do_not_import() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rules");
        std::fs::write(&path, "# head\na.*\n\n!a.x\n").unwrap();
        let import = format!("@{}", path.display());
        let f = filter(&["z.*", &import]);
        assert!(f.matches_table("a", "b") && !f.matches_table("a", "x") && f.matches_table("z", "x"));
        std::fs::write(&path, "a.*\na-b.c\n").unwrap();
        assert!(message(&import).ends_with("rules:2: unexpected special character '-'"));
        std::fs::write(&path, "@other\n").unwrap();
        assert!(message(&import).ends_with("importing filter files recursively is not allowed"));
    }

    #[test]
    fn column_rules_have_no_dot() {
        let f = ColumnFilter::parse(&["*", "!Sec*"]).unwrap();
        assert!(f.matches("ID") && !f.matches("SECRET"));
        assert!(ColumnFilter::parse(&["a.b"]).is_err());
    }
}
