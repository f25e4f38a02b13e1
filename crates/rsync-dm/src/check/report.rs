//! The report of the checks in DM's form.

use common::error::{DmError, dm_codes as code};
use serde::Serialize;

use super::Limits;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// The task would fail, or data would be wrong.
    Fail,
    /// Worth a look.
    Warn,
}

/// One thing found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    severity: Severity,
    short_error: String,
    #[serde(rename = "self", skip_serializing_if = "String::is_empty")]
    own: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    other: String,
}

/// One check and what it found; nothing is a success.
#[derive(Debug, Clone)]
pub(super) struct Check {
    name: &'static str,
    desc: &'static str,
    instruction: String,
    findings: Vec<Finding>,
}

impl Check {
    pub(super) fn new(name: &'static str, desc: &'static str, instruction: impl Into<String>) -> Self {
        Self { name, desc, instruction: instruction.into(), findings: Vec::new() }
    }

    pub(super) fn fail(&mut self, text: impl Into<String>) {
        self.add(Severity::Fail, text, "", "");
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.add(Severity::Warn, text, "", "");
    }

    /// With the two things that do not fit each other.
    pub(super) fn add(
        &mut self,
        severity: Severity,
        text: impl Into<String>,
        own: impl Into<String>,
        other: impl Into<String>,
    ) {
        self.findings.push(Finding {
            severity,
            short_error: text.into(),
            own: own.into(),
            other: other.into(),
        });
    }

    /// What to do, when only the finding knows.
    pub(super) fn instruct(&mut self, text: impl Into<String>) {
        let text = text.into();
        if self.instruction.is_empty() {
            self.instruction = text;
        } else if !self.instruction.contains(&text) {
            self.instruction.push(' ');
            self.instruction.push_str(&text);
        }
    }

    pub(super) fn instruction(&self) -> &str {
        &self.instruction
    }

    pub(super) fn has_failed(&self) -> bool {
        self.state() == Some(Severity::Fail)
    }

    fn state(&self) -> Option<Severity> {
        if self.findings.iter().any(|f| f.severity == Severity::Fail) {
            Some(Severity::Fail)
        } else {
            self.findings.first().map(|f| f.severity)
        }
    }
}

#[derive(Serialize)]
struct Entry<'a> {
    id: usize,
    name: &'a str,
    desc: &'a str,
    state: Severity,
    errors: &'a [Finding],
    #[serde(skip_serializing_if = "str::is_empty")]
    instruction: &'a str,
}

#[derive(Serialize)]
struct Report<'a> {
    results: Vec<Entry<'a>>,
    summary: Summary,
}

#[derive(Serialize)]
struct Summary {
    passed: bool,
    total: usize,
    successful: usize,
    failed: usize,
    warning: usize,
}

/// The text for the operator: an error if a check failed.
///
/// # Errors
/// 26005 with the report.
pub(super) fn conclude(checks: &[Check], limits: Limits) -> Result<String, DmError> {
    let count = |state| checks.iter().filter(|c| c.state() == Some(state)).count();
    let (failed, warning) = (count(Severity::Fail), count(Severity::Warn));
    if failed + warning == 0 {
        return Ok("pre-check is passed. ".into());
    }
    let mut left = (limits.errors, limits.warnings);
    let mut results = Vec::new();
    for (id, check) in checks.iter().enumerate() {
        let Some(state) = check.state() else { continue };
        let room = if state == Severity::Fail { &mut left.0 } else { &mut left.1 };
        if *room == 0 {
            continue;
        }
        *room -= 1;
        results.push(Entry {
            id,
            name: check.name,
            desc: check.desc,
            state,
            errors: &check.findings,
            instruction: &check.instruction,
        });
    }
    let total = checks.len();
    let summary =
        Summary { passed: failed == 0, total, successful: total - failed - warning, failed, warning };
    let detail = render(&Report { results, summary });
    let text = |kind: &str| {
        format!("fail to check synchronization configuration with type: {kind}\n    \tdetail: {detail}")
    };
    if failed == 0 {
        return Ok(text("no errors but some warnings"));
    }
    Err(code::TASK_CHECK_SYNC_CONFIG_ERROR.error(text("check was failed, please see detail")))
}

/// The same for the log of a process: an error that has all failures, and a warning for each other finding.
///
/// # Errors
/// 26005.
pub(super) fn conclude_for_log(checks: &[Check]) -> Result<(), DmError> {
    let (mut failures, mut ways): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for check in checks {
        for finding in &check.findings {
            match finding.severity {
                // A statement at its end has a semicolon of its own.
                Severity::Fail => failures.push(finding.short_error.trim_end_matches(';')),
                Severity::Warn => {
                    tracing::warn!(workaround = %check.instruction, "{}", finding.short_error);
                }
            }
        }
        if check.state() == Some(Severity::Fail) && !check.instruction.is_empty() {
            ways.push(&check.instruction);
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    ways.push("`ignore-checking-items` of the task leaves checks out.");
    Err(code::TASK_CHECK_SYNC_CONFIG_ERROR
        .error(format!("the task can't be run: {}", failures.join("; ")))
        .with_workaround(ways.join(" ")))
}

/// As Go's `MarshalIndent` with a tab for both prefix and indent.
fn render(report: &Report<'_>) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    report.serialize(&mut serializer).expect("texts and numbers are JSON");
    String::from_utf8(out).expect("JSON is UTF-8").replace('\n', "\n\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The golden report of a real task, made from its findings.
    #[test]
    fn the_report_has_the_form_of_the_real_one() {
        let mut checks = vec![Check::new("ok", "fine", ""); 19];
        let mut check = Check::new(
            "table structure compatibility check",
            "check compatibility of table structure",
            "Ensure that you use the same index columns for both upstream and downstream databases. Otherwise the migration job might fail or data inconsistency might occur.",
        );
        for table in ["table1", "table2", "table1", "table2"] {
            check.warn(format!("table `my_db1`.`{table}` upstream has more PK or NOT NULL UK than downstream, index name: PRIMARY, columns: [id]"));
        }
        checks.push(check);
        let msg = conclude(&checks, Limits::default()).unwrap();
        let answer = crate::proto::pb::CheckTaskResponse { result: true, msg };
        let printed = crate::ctl::answer::unfold_check_report(&crate::ctl::answer::render(&answer));
        let golden = include_str!("../../tests/fixtures/dmctl/check-task.json");
        assert_eq!(printed, golden.trim_end());
    }

    #[test]
    fn a_failure_is_an_error_and_limits_hold() {
        let mut bad = Check::new("a", "b", "do c");
        bad.fail("x");
        let e = conclude(&[bad.clone(), bad.clone()], Limits { errors: 1, warnings: 0 }).unwrap_err();
        assert_eq!(e.code().code, 26005);
        assert!(e.message().starts_with("fail to check synchronization configuration with type"));
        assert_eq!(e.message().matches("short_error").count(), 1);
        assert!(e.message().contains("\"failed\": 2"));
        assert_eq!(conclude(&[], Limits::default()).unwrap(), "pre-check is passed. ");
    }
}
