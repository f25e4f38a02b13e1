//! Compiles Go (RE2) regular expressions with the `regex` crate.
//!
//! The two dialects share most of their syntax. What differs is rewritten here: Perl classes are ASCII in
//! Go, `\Q…\E` exists, `{` may be literal, and inside a class `[`, `&&`, `--` and `~~` have no meaning.

use regex::{Regex, RegexBuilder};

/// Compiles a Go pattern. `case_insensitive` is what Go's tools write as a `(?i)` prefix.
///
/// # Errors
/// The `regex` crate's error when the pattern is not valid (back references and look-around are not, in
/// Go neither).
pub fn compile(pattern: &str, case_insensitive: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(&translate(pattern)).case_insensitive(case_insensitive).build()
}

/// Rewrites a Go pattern into the `regex` crate's dialect.
fn translate(pattern: &str) -> String {
    let chars: Vec<char> = pattern.chars().collect();
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut i = 0;
    while i < chars.len() {
        match chars[i] {
            '\\' if i + 1 < chars.len() => i = translate_escape(&chars, i, false, &mut out),
            '[' => i = translate_class(&chars, i, &mut out),
            '{' if !is_repetition(&chars[i..]) => {
                out.push_str("\\{");
                i += 1;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    out
}

/// Handles the escape at `i`; returns the index after it.
fn translate_escape(chars: &[char], i: usize, in_class: bool, out: &mut String) -> usize {
    let c = chars[i + 1];
    if c == 'Q' && !in_class {
        let mut end = i + 2;
        while end < chars.len() && !(chars[end] == '\\' && chars.get(end + 1) == Some(&'E')) {
            end += 1;
        }
        let literal: String = chars[i + 2..end].iter().collect();
        out.push_str(&regex::escape(&literal));
        return (end + 2).min(chars.len());
    }
    let (set, negated) = match c {
        'd' => ("0-9", false),
        'D' => ("0-9", true),
        'w' => ("0-9A-Za-z_", false),
        'W' => ("0-9A-Za-z_", true),
        's' => (r"\t\n\x0C\r ", false),
        'S' => (r"\t\n\x0C\r ", true),
        'b' if !in_class => {
            out.push_str(r"(?-u:\b)");
            return i + 2;
        }
        // In the regex crate these two are word boundaries, in Go the characters themselves.
        '<' | '>' => {
            out.push(c);
            return i + 2;
        }
        _ => {
            out.push('\\');
            out.push(c);
            return i + 2;
        }
    };
    match (negated, in_class) {
        (false, true) => out.push_str(set),
        (true, _) => {
            out.push_str("[^");
            out.push_str(set);
            out.push(']');
        }
        (false, false) => {
            out.push('[');
            out.push_str(set);
            out.push(']');
        }
    }
    i + 2
}

/// Handles the character class that begins at `i`; returns the index after it.
fn translate_class(chars: &[char], mut i: usize, out: &mut String) -> usize {
    out.push('[');
    i += 1;
    if chars.get(i) == Some(&'^') {
        out.push('^');
        i += 1;
    }
    // A `]` in first place is a literal.
    if chars.get(i) == Some(&']') {
        out.push_str("\\]");
        i += 1;
    }
    while i < chars.len() {
        match chars[i] {
            ']' => {
                out.push(']');
                return i + 1;
            }
            '[' if chars.get(i + 1) == Some(&':') => {
                // POSIX class, up to its closing `:]`.
                let mut end = i + 2;
                while end + 1 < chars.len() && !(chars[end] == ':' && chars[end + 1] == ']') {
                    end += 1;
                }
                let stop = (end + 2).min(chars.len());
                out.extend(&chars[i..stop]);
                i = stop;
            }
            '\\' if i + 1 < chars.len() => i = translate_escape(chars, i, true, out),
            c @ ('[' | '&' | '~') => {
                out.push('\\');
                out.push(c);
                i += 1;
            }
            '-' if chars.get(i + 1) == Some(&'-') => {
                out.push_str("-\\-");
                i += 2;
            }
            c => {
                out.push(c);
                i += 1;
            }
        }
    }
    i
}

/// Whether the text begins with `{n}`, `{n,}` or `{n,m}`.
fn is_repetition(chars: &[char]) -> bool {
    let Some(end) = chars.iter().position(|&c| c == '}') else {
        return false;
    };
    let body: String = chars[1..end].iter().collect();
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    match body.split_once(',') {
        None => digits(&body),
        Some((min, max)) => digits(min) && (max.is_empty() || digits(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        compile(pattern, false).unwrap().is_match(text)
    }

    #[test]
    fn perl_classes_are_ascii() {
        assert!(matches(r"^\d+$", "123"));
        assert!(!matches(r"^\d+$", "٣"));
        assert!(!matches(r"^\w$", "é"));
        assert!(matches(r"^[\w-]+$", "a_b-c"));
        assert!(matches(r"^[^\d]$", "x"));
        assert!(matches(r"^[a\D]+$", "ab"));
        assert!(matches(r"^\S\s\W$", "a -"));
        assert!(matches(r"\bt\d\b", "a t1 b"));
    }

    #[test]
    fn what_rust_reads_otherwise_is_taken_literally() {
        assert!(matches(r"^\Qa.b*\E\d$", "a.b*1"));
        assert!(matches(r"^a{$", "a{"));
        assert!(matches(r"^a{2,3}$", "aaa"));
        assert!(matches(r"^[[]$", "["));
        assert!(matches(r"^[a&&b]+$", "&ab"));
        assert!(matches(r"^[]a]+$", "]a"));
        assert!(matches(r"^[+--]$", ","));
        assert!(matches(r"^[[:alpha:]]$", "q"));
        assert!(matches(r"^\<$", "<"));
    }

    #[test]
    fn unanchored_and_foldable() {
        assert!(matches("b", "abc"));
        assert!(compile("^ABC$", true).unwrap().is_match("abc"));
        assert!(compile("(", false).is_err());
    }
}
