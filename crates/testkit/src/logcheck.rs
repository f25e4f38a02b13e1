//! Fails a test whose tool logged something at WARN or above that the test did not expect.
//!
//! Reads the PingCAP format, `[time] [LEVEL] [file:line] [message] [key=value]…`, from a log file or from captured
//! stderr. Lines of another form are continuations (stack traces, plain output) and are not judged.

use std::path::Path;

use regex::Regex;

/// What a test expects to find in a log. The default expects nothing above INFO.
#[derive(Debug, Default)]
pub struct LogCheck {
    allowed: Vec<Regex>,
    required: Vec<Regex>,
}

impl LogCheck {
    /// Expects no WARN, ERROR, DPANIC, PANIC or FATAL line.
    pub fn new() -> LogCheck {
        LogCheck::default()
    }

    /// Lines that match `pattern` may stand there.
    ///
    /// # Panics
    /// When the pattern is not a regular expression.
    pub fn allow(mut self, pattern: &str) -> LogCheck {
        self.allowed.push(compile(pattern));
        self
    }

    /// A line at WARN or above that matches `pattern` must stand there (and so may).
    ///
    /// # Panics
    /// When the pattern is not a regular expression.
    pub fn require(mut self, pattern: &str) -> LogCheck {
        self.required.push(compile(pattern));
        self
    }

    /// Checks a text and returns every complaint.
    pub fn complaints(&self, log: &str) -> Vec<String> {
        let loud: Vec<&str> = log.lines().filter(|line| level(line).is_some_and(is_loud)).collect();
        let expected =
            |line: &&str| self.allowed.iter().chain(&self.required).any(|pattern| pattern.is_match(line));
        let mut complaints: Vec<String> =
            loud.iter().filter(|line| !expected(line)).map(|line| format!("unexpected: {line}")).collect();
        for pattern in &self.required {
            if !loud.iter().any(|line| pattern.is_match(line)) {
                complaints.push(format!("missing: no line at WARN or above matches `{pattern}`"));
            }
        }
        complaints
    }

    /// Checks a text.
    ///
    /// # Panics
    /// With every unexpected and every missing line.
    pub fn check(&self, log: &str) {
        let complaints = self.complaints(log);
        assert!(complaints.is_empty(), "the log is not as expected:\n{}", complaints.join("\n"));
    }

    /// Checks a file.
    ///
    /// # Panics
    /// As [`check`](Self::check), and when the file cannot be read: a test that checks a log that is not there checks nothing.
    pub fn check_file(&self, file: &Path) {
        match std::fs::read(file) {
            Ok(bytes) => self.check(&String::from_utf8_lossy(&bytes)),
            Err(error) => panic!("cannot read the log {}: {error}", file.display()),
        }
    }
}

fn compile(pattern: &str) -> Regex {
    Regex::new(pattern).unwrap_or_else(|error| panic!("the pattern of a log check is wrong: {error}"))
}

/// The level of a line in PingCAP's format: the second bracket, after one that looks like a time.
fn level(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('[')?;
    let (time, rest) = rest.split_once("] [")?;
    let looks_like_time = time.len() > 20 && time.as_bytes()[4] == b'/' && time.as_bytes()[10] == b' ';
    let (level, _) = rest.split_once(']')?;
    looks_like_time.then_some(level)
}

fn is_loud(level: &str) -> bool {
    matches!(level, "WARN" | "ERROR" | "DPANIC" | "PANIC" | "FATAL")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "[2026/11/22 10:03:52.687 +00:00] [INFO] [file.rs:123] [\"all is well\"] [ERROR=no]";
    const WARN: &str = "[2026/11/22 10:03:52.688 +00:00] [WARN] [file.rs:9] [\"odd but fine\"] [table=a]";

    #[test]
    fn a_quiet_log_passes_and_a_warning_fails() {
        LogCheck::new().check(&format!("{INFO}\nplain line with ERROR\n"));
        assert_eq!(
            LogCheck::new().complaints(&format!("{INFO}\n{WARN}")),
            vec![format!("unexpected: {WARN}")]
        );
    }

    #[test]
    fn an_allowed_warning_passes_and_a_required_one_must_be_there() {
        LogCheck::new().allow("odd but").check(WARN);
        LogCheck::new().require("odd but").check(WARN);
        assert_eq!(LogCheck::new().require("odd but").complaints(INFO).len(), 1);
        // Only lines at WARN or above count.
        assert_eq!(LogCheck::new().require("all is well").complaints(INFO).len(), 1);
    }
}
