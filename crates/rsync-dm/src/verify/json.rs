//! One form for JSON texts of one value, whoever wrote them.
//!
//! White space, the order of keys and escapes do not count. A number without fraction and exponent is what its digits say, of any length;
//! any other one is the double that JSON columns keep of it, and `1.0`, `1e0` and `1` are one value. Of keys that an object
//! has twice the last one counts, as for MySQL from 8.0.3 on. What is no JSON is compared byte by byte.

use std::collections::BTreeMap;

/// Levels of arrays and objects; a column takes 100.
const DEEPEST: usize = 128;

/// The form of a text; a letter in front tells JSON from what is none.
pub fn canonical(text: &[u8]) -> Vec<u8> {
    let mut reader = Reader { text, at: 0 };
    let mut out = vec![b'j'];
    let whole = reader.value(&mut out, 0).is_some();
    reader.skip_space();
    if whole && reader.at == text.len() { out } else { [b"r", text].concat() }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

/// Each gives `None` for what is no JSON.
impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// Passes over white space and `byte`, if that is what comes.
    fn take(&mut self, byte: u8) -> Option<()> {
        self.skip_space();
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn value(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        if depth > DEEPEST {
            return None;
        }
        self.skip_space();
        match self.peek()? {
            b'{' => self.object(out, depth),
            b'[' => self.array(out, depth),
            b'"' => {
                let text = self.string()?;
                write_string(out, &text)
            }
            b'-' | b'0'..=b'9' => {
                let number = number(self.number()?)?;
                out.extend_from_slice(number.as_bytes());
                Some(())
            }
            _ => {
                let word =
                    ["true", "false", "null"].into_iter().find(|w| self.rest().starts_with(w.as_bytes()))?;
                self.at += word.len();
                out.extend_from_slice(word.as_bytes());
                Some(())
            }
        }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn object(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'{')?;
        let mut members: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        while self.take(b'}').is_none() {
            if !members.is_empty() {
                self.take(b',')?;
            }
            self.skip_space();
            let key = self.string()?;
            self.take(b':')?;
            let mut member = Vec::new();
            self.value(&mut member, depth + 1)?;
            members.insert(key, member);
        }
        out.push(b'{');
        for (key, member) in members {
            write_string(out, &key)?;
            out.push(b':');
            out.extend_from_slice(&member);
            out.push(b',');
        }
        out.push(b'}');
        Some(())
    }

    fn array(&mut self, out: &mut Vec<u8>, depth: usize) -> Option<()> {
        self.take(b'[')?;
        out.push(b'[');
        let mut is_first = true;
        while self.take(b']').is_none() {
            if !is_first {
                self.take(b',')?;
            }
            is_first = false;
            self.value(out, depth + 1)?;
            out.push(b',');
        }
        out.push(b']');
        Some(())
    }

    fn string(&mut self) -> Option<String> {
        let begin = self.at;
        if self.peek() != Some(b'"') {
            return None;
        }
        self.at += 1;
        loop {
            match self.peek()? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        serde_json::from_slice(self.text.get(begin..self.at)?).ok()
    }

    /// Digits with what belongs to them, in JSON's form.
    fn number(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let length = rest
            .iter()
            .position(|b| !matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
            .unwrap_or(rest.len());
        let text = std::str::from_utf8(&rest[..length]).ok()?;
        serde_json::from_str::<serde::de::IgnoredAny>(text).ok()?;
        self.at += length;
        Some(text)
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) -> Option<()> {
    serde_json::to_writer(out, text).ok()
}

/// `None` for one that no double holds.
fn number(text: &str) -> Option<String> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(if digits == "0" { "0".into() } else { text.into() });
    }
    let value: f64 = text.parse().ok().filter(|value: &f64| value.is_finite())?;
    // The shortest digits that give this double, never with an exponent or a fraction of zeros.
    Some(if value == 0.0 { "0".into() } else { value.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(a: &str, b: &str) -> bool {
        canonical(a.as_bytes()) == canonical(b.as_bytes())
    }

    #[test]
    fn one_value_has_one_form() {
        for (a, b) in [
            ("{\"b\":1,\"a\":[1,2]}", " { \"a\" : [ 1 , 2 ] ,\n\"b\" : 1 } "),
            ("1e10", "10000000000"),
            ("1.0", "1"),
            ("1E+2", "100.00"),
            ("-0", "0"),
            ("-0.0", "0"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("2.50", "25e-1"),
            ("1e23", "100000000000000000000000"),
            ("9007199254740992.0", "9007199254740992"),
            ("\"\\u00e9\\/\"", "\"é/\""),
            ("\"\\ud83d\\ude00\"", "\"😀\""),
            ("{\"a\":1,\"a\":{\"x\":2}}", "{\"a\":{\"x\":2}}"),
            ("[]", "[ ]"),
            ("{}", "{ }"),
        ] {
            assert!(equal(a, b), "{a} and {b}");
        }
    }

    #[test]
    fn other_values_have_other_forms() {
        let values = [
            "true",
            "false",
            "null",
            "1",
            "\"1\"",
            "\"true\"",
            "[1]",
            "[[1]]",
            "{\"1\":1}",
            "{}",
            "[]",
            "[{}]",
            "0",
            "-1",
            "\"\"",
            "\"\\u0000\"",
            "9007199254740992",
            "9007199254740993",
            "18446744073709551615",
            "18446744073709551616",
            "123456789012345678901",
            "123456789012345678902",
            "0.1",
            "0.10000000000000002",
            "[1,2]",
            "[2,1]",
            "[12]",
            "\"1,2\"",
            "{\"a\":1,\"b\":2}",
            "{\"a\":2,\"b\":1}",
            "{\"A\":1,\"b\":2}",
            "{\"a\":\"\\\",\\\"b\"}",
            "{\"a\":\"\",\"b\":\"\"}",
            "{\"a\":1,\"a\":3}",
            "1e-7",
            "1e400",
            "1e401",
        ];
        for (n, a) in values.iter().enumerate() {
            for b in &values[n + 1..] {
                assert!(!equal(a, b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn what_is_no_json_is_compared_by_bytes() {
        for text in [
            "",
            " ",
            "x",
            "[1",
            "1]",
            "[1,]",
            "[,1]",
            "{\"a\"}",
            "{\"a\":1,}",
            "{,}",
            "{a:1}",
            "01",
            "+1",
            "1.",
            ".5",
            "\"x",
            "\"\\",
            "\"\\ud800\"",
            "tru",
            "truex",
            "1 2",
            "\"\x01\"",
        ] {
            assert_eq!(canonical(text.as_bytes())[0], b'r', "{text}");
            assert!(!equal(text, &format!("{text} ")), "{text}");
        }
        assert_eq!(canonical(b"\"\xff\"")[0], b'r');
        let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
        assert_eq!(canonical(deep(100).as_bytes())[0], b'j');
        assert_eq!(canonical(deep(1_000_000).as_bytes())[0], b'r');
        // An own form of a text that is none can't be made from a text that is one.
        assert!(!equal("j1", "1"));
    }
}
