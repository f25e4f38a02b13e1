//! Which errors may be over by themselves, and when to try again (facts/dm.md 3.10).

use std::time::{Duration, Instant};

use common::error::dm_codes::SYNCER_FENCED;

use crate::{config::yaml::CheckerYaml, proto::pb};

/// Codes whose cause stays until someone acts.
const STAY: [u32; 18] = [
    // DDL that does not fit, cannot be read or was cancelled.
    36008,
    36005,
    36006,
    36062,
    36067,
    36068,
    36022,
    11129, //
    // Rows that do not fit, statements where rows should be.
    36027,
    11126,
    36014, //
    // Dump and load.
    32001,
    32004,
    34020,
    34021, //
    36001, //
    // Going on would take the subtask back from the worker that has it now.
    SYNCER_FENCED.code,
    // Another server without GTID.
    30034,
];

/// Server errors of statements that fail again.
const SERVER: [&str; 13] = [
    "1062", "1406", "1366", "8025", "1059", "1117", "1069", "1264", //
    // Something else of that name is there already.
    "1050", "1060", "1061", "1068", "1176",
];

/// Texts of servers that mean the same.
const TEXTS: [&str; 14] = [
    "can't drop column with index",
    "with tidb_enable_change_multi_schema is disable",
    "unsupported add column",
    "unsupported modify column",
    "unsupported modify charset",
    "unsupported modify collate",
    "unsupported drop integer primary key",
    "unsupported collation",
    "invalid default value for",
    "unsupported drop primary key",
    "could not find first log file name in binary log index file",
    "the master has purged binary logs containing gtids that the slave requires",
    "binlog checksum mismatch, data may be corrupted",
    "get event err eof",
];

/// Whether a subtask that paused on this error is tried again unasked.
pub fn may_be_over(error: &pb::ProcessError) -> bool {
    let code = error.err_code.cast_unsigned();
    if STAY.contains(&code) || (20000..21000).contains(&code) {
        return false;
    }
    let text = format!("{} {}", error.message, error.raw_cause).to_lowercase();
    if TEXTS.iter().any(|t| text.contains(t)) {
        return false;
    }
    // `Error 1062`, `ERROR 1062 (23000)`.
    !text.match_indices("error ").any(|(at, word)| {
        let rest = &text[at + word.len()..];
        SERVER
            .iter()
            .any(|code| rest.strip_prefix(code).is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_digit())))
    })
}

/// The waiting times of one subtask: doubled after each try, halved after each quiet `backoff-rollback`.
#[derive(Debug, Default)]
pub struct Backoff {
    tries: u32,
    next: Option<Instant>,
    quiet_since: Option<Instant>,
    said: bool,
}

impl Backoff {
    /// The subtask runs, or is paused because someone asked for that.
    pub fn running(&mut self, now: Instant, checker: &CheckerYaml) {
        self.next = None;
        self.said = false;
        let since = *self.quiet_since.get_or_insert(now);
        if self.tries > 0 && now.duration_since(since) >= checker.backoff_rollback.get() {
            self.tries -= 1;
            self.quiet_since = Some(now);
        }
    }

    /// The subtask has failed; true when it is to be resumed now.
    pub fn failed(&mut self, now: Instant, checker: &CheckerYaml) -> bool {
        self.quiet_since = None;
        let wait = self.wait(checker);
        let next = *self.next.get_or_insert(now + wait);
        if now < next {
            return false;
        }
        self.tries = self.tries.saturating_add(1);
        self.next = None;
        true
    }

    fn wait(&self, checker: &CheckerYaml) -> Duration {
        let factor = checker.backoff_factor.max(1.0).powi(self.tries.min(30).cast_signed());
        checker.backoff_min.get().mul_f64(factor.min(1e6)).min(checker.backoff_max.get())
    }

    /// True the first time since the subtask ran.
    pub fn say_once(&mut self) -> bool {
        !std::mem::replace(&mut self.said, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syncer::error::{process_error, taken_over};

    fn error(code: i32, message: &str, cause: &str) -> pb::ProcessError {
        pb::ProcessError {
            err_code: code,
            message: message.into(),
            raw_cause: cause.into(),
            ..Default::default()
        }
    }

    #[test]
    fn which_errors_are_tried_again() {
        assert!(may_be_over(&error(10002, "bad connection", "connection reset")));
        assert!(may_be_over(&error(10006, "execute failed", "ERROR 1205 (HY000): Lock wait timeout")));
        assert!(may_be_over(&error(36070, "the target table does not exist", "")));
        assert!(!may_be_over(&error(10006, "execute failed", "ERROR 1062 (23000): Duplicate entry")));
        assert!(!may_be_over(&error(10006, "Error 1406: Data too long", "")));
        assert!(may_be_over(&error(10006, "error 10621", "")));
        assert!(!may_be_over(&process_error(&taken_over())));
        assert!(
            may_be_over(&error(10004, "another process has taken over this subtask", "")),
            "by its code alone"
        );
        assert!(!may_be_over(&error(36067, "parse DDL", "")));
        assert!(!may_be_over(&error(20045, "routes", "")));
        assert!(!may_be_over(&error(
            36069,
            "x",
            "Could not find first log file name in binary log index file"
        )));
    }

    #[test]
    fn waits_grow_and_shrink() {
        let checker = CheckerYaml::default();
        let mut b = Backoff::default();
        let start = Instant::now();
        assert!(!b.failed(start, &checker));
        assert!(b.failed(start + Duration::from_secs(1), &checker));
        assert!(!b.failed(start + Duration::from_secs(2), &checker));
        assert!(!b.failed(start + Duration::from_secs(3), &checker));
        assert!(b.failed(start + Duration::from_secs(4), &checker));
        assert_eq!(b.wait(&checker), Duration::from_secs(4));
        b.running(start + Duration::from_secs(5), &checker);
        b.running(start + Duration::from_secs(400), &checker);
        assert_eq!(b.wait(&checker), Duration::from_secs(2));
        assert!(b.say_once() && !b.say_once());
    }
}
