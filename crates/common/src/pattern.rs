//! The name patterns of routes, block-allow-lists and binlog event filters.
//!
//! Either `~` and a Go regular expression (unanchored), or a simple pattern: `*` only as the last
//! character, `?` one character, `[a-z]` / `[!a-z]` one character of a set, `\` escapes. These are not the
//! patterns of [`crate::filter`]. Facts: dm.md 1.7.

use regex::Regex;

use crate::{filter::fold, go_regex};

/// Why a pattern is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PatternError {
    /// `*` stands before the end.
    #[error("pattern '{0}': '*' is allowed only as the last character (use a '~regex' for more)")]
    Asterisk(String),
    /// A set is empty, unclosed or has a range that goes down.
    #[error("pattern '{0}': the character set is empty, not closed or has a wrong range")]
    Set(String),
    /// The regular expression does not compile.
    #[error("pattern '{pattern}': {cause}")]
    Regex {
        /// Pattern as given.
        pattern: String,
        /// The compiler's reason.
        #[source]
        cause: Box<regex::Error>,
    },
}

#[derive(Debug, Clone)]
enum Item {
    Char(char),
    Any,
    Set { negated: bool, ranges: Vec<(char, char)> },
}

#[derive(Debug, Clone)]
enum Kind {
    Regex(Regex),
    Simple { items: Vec<Item>, open_end: bool },
}

/// A compiled pattern for schema or table names.
#[derive(Debug, Clone)]
pub struct Pattern {
    source: String,
    kind: Kind,
    case_sensitive: bool,
}

impl Pattern {
    /// Compiles a pattern. Without `case_sensitive` the pattern and the names are folded.
    ///
    /// # Errors
    /// See [`PatternError`].
    pub fn parse(source: &str, case_sensitive: bool) -> Result<Self, PatternError> {
        let kind = match source.strip_prefix('~') {
            Some(regex) => Kind::Regex(
                go_regex::compile(regex, !case_sensitive)
                    .map_err(|e| PatternError::Regex { pattern: source.into(), cause: Box::new(e) })?,
            ),
            None => parse_simple(source, &fold(source, case_sensitive))?,
        };
        Ok(Self { source: source.into(), kind, case_sensitive })
    }

    /// Whether the whole name (simple pattern) or a part of it (regex) matches.
    pub fn is_match(&self, name: &str) -> bool {
        match &self.kind {
            Kind::Regex(regex) => regex.is_match(name),
            Kind::Simple { items, open_end } => {
                let name = fold(name, self.case_sensitive);
                let mut chars = name.chars();
                items.iter().all(|item| chars.next().is_some_and(|c| item.is_match(c)))
                    && (*open_end || chars.next().is_none())
            }
        }
    }

    /// The pattern as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl Item {
    fn is_match(&self, c: char) -> bool {
        match self {
            Item::Char(own) => *own == c,
            Item::Any => true,
            Item::Set { negated, ranges } => {
                ranges.iter().any(|&(from, to)| from <= c && c <= to) != *negated
            }
        }
    }
}

fn parse_simple(source: &str, pattern: &str) -> Result<Kind, PatternError> {
    let mut items = Vec::new();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '*' if chars.peek().is_none() => {
                return Ok(Kind::Simple { items, open_end: true });
            }
            '*' => return Err(PatternError::Asterisk(source.into())),
            '?' => items.push(Item::Any),
            '\\' => items.push(Item::Char(chars.next().unwrap_or('\\'))),
            '[' => items.push(parse_set(&mut chars).ok_or_else(|| PatternError::Set(source.into()))?),
            c => items.push(Item::Char(c)),
        }
    }
    Ok(Kind::Simple { items, open_end: false })
}

fn parse_set(chars: &mut std::iter::Peekable<std::str::Chars>) -> Option<Item> {
    let negated = chars.next_if_eq(&'!').is_some();
    let mut ranges = Vec::new();
    loop {
        let from = match chars.next()? {
            ']' if ranges.is_empty() => return None,
            ']' => return Some(Item::Set { negated, ranges }),
            '\\' => chars.next()?,
            c => c,
        };
        let to = if chars.peek() == Some(&'-') {
            chars.next();
            match chars.peek() {
                // A dash in last place is a member.
                Some(']') => {
                    ranges.push((from, from));
                    ranges.push(('-', '-'));
                    continue;
                }
                _ => chars.next()?,
            }
        } else {
            from
        };
        if to < from {
            return None;
        }
        ranges.push((from, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, name: &str) -> bool {
        Pattern::parse(pattern, false).unwrap().is_match(name)
    }

    #[test]
    fn simple_patterns() {
        assert!(is_match("shard_*", "SHARD_01") && is_match("shard_*", "shard_"));
        assert!(!is_match("shard_*", "shard"));
        assert!(is_match("t?", "té") && !is_match("t?", "t") && !is_match("t?", "t12"));
        assert!(is_match("t[0-3]", "t2") && !is_match("t[0-3]", "t4"));
        assert!(is_match("t[!0-3]", "t4") && !is_match("t[!0-3]", "t1"));
        assert!(is_match("t[a-]", "t-") && is_match(r"a\*", "a*") && !is_match(r"a\*", "ab"));
        assert!(is_match("*", "") && is_match("a.b", "a.b") && !is_match("a.b", "axb"));
        assert!(is_match("[12]*", "1xx"));
    }

    #[test]
    fn case_sensitive() {
        let p = Pattern::parse("Ab*", true).unwrap();
        assert!(p.is_match("Abc") && !p.is_match("abc"));
        let p = Pattern::parse("~^Ab", true).unwrap();
        assert!(p.is_match("Abc") && !p.is_match("abc"));
        assert!(is_match("~^Ab", "aBc"));
    }

    #[test]
    fn refused() {
        assert!(matches!(Pattern::parse("a*b", false), Err(PatternError::Asterisk(_))));
        for bad in ["[", "[]", "[a", "[z-a]", "[!]"] {
            assert!(matches!(Pattern::parse(bad, false), Err(PatternError::Set(_))), "{bad}");
        }
        assert!(matches!(Pattern::parse("~(", false), Err(PatternError::Regex { .. })));
    }
}
