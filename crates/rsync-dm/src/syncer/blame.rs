//! Which row of a unit the target refused, and what an operator can do about it.

use std::sync::Arc;

use common::error::{DmError, Scope, dm_codes as code};
use mysql::ErrorClass;

use super::{
    dml, error,
    scheduler::{Change, Group, Op, Unit},
};

/// The error of a statement that begins with the change `first` and ends before `next`.
pub fn describe(unit: &Unit, first: &Change, next: Option<&Change>, error: &mysql::Error) -> DmError {
    let (op, changes) = statement(unit, first, next);
    let message = error.message();
    let entry = duplicate_entry(&message);
    let change = entry.and_then(|entry| changes.iter().find(|c| may_be(c, entry))).unwrap_or(first);
    let text = format!("execute statement failed: {}", dml::describe(change, op));
    let described = error::database(&code::DB_EXECUTE_FAILED, Scope::NotSet, text, error);
    let described = error::located(described, &change.rows.start, &change.rows.before, &change.rows.end);
    match workaround(change, op, error, entry) {
        Some(workaround) => described.with_workaround(workaround),
        None => described,
    }
}

/// The changes of a statement.
fn statement<'a>(unit: &'a Unit, first: &'a Change, next: Option<&Change>) -> (Op, &'a [Change]) {
    let at = |group: &Group, change: &Change| {
        group.changes.iter().position(|c| Arc::ptr_eq(&c.rows, &change.rows) && c.row == change.row)
    };
    let groups = unit.segments.iter().flat_map(|s| &s.groups);
    for group in groups {
        if let Some(from) = at(group, first) {
            let to = next.and_then(|next| at(group, next)).filter(|to| *to > from);
            return (group.op, &group.changes[from..to.unwrap_or(group.changes.len())]);
        }
    }
    (Op::Insert, std::slice::from_ref(first))
}

/// `5-x` in `Duplicate entry '5-x' for key 'k'`.
fn duplicate_entry(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("Duplicate entry '")?;
    Some(rest.rsplit_once("' for key")?.0)
}

/// Whether a row after the change has a unique key that a server writes so. A guess: literals are not the server's form of all values.
fn may_be(change: &Change, entry: &str) -> bool {
    let (rows, plan) = (&change.rows, &change.rows.plan);
    if rows.kind == binlog::RowsKind::Delete {
        return false;
    }
    let text = |source: Option<usize>| {
        let n = plan.columns.iter().position(|c| Some(c.source) == source)?;
        let literal = String::from_utf8_lossy(rows.literal(change.row, n)).into_owned();
        Some(literal.trim_matches('\'').to_owned())
    };
    plan.keys.iter().filter(|key| !key.null_is_value).any(|key| {
        let values: Option<Vec<String>> = key.parts.iter().map(|part| text(part.column)).collect();
        values.is_some_and(|values| values.join("-") == entry)
    })
}

fn workaround(change: &Change, op: Op, error: &mysql::Error, entry: Option<&str>) -> Option<String> {
    let plan = &change.rows.plan;
    let (source, target) = (&plan.source, &plan.target);
    let row = format!("the row of {source} whose event ends at {}", change.rows.end);
    Some(match error.class() {
        // Field 'f' doesn't have a default value
        _ if error.code() == Some(1364) => format!(
            "{target} has a column without a default that {source} does not have: give it a default in the target, or drop it there, then \
             use `resume-task` (with `rsync-dm run`: start it again); nothing was left out."
        ),
        ErrorClass::Duplicate => {
            let what = if matches!(op, Op::Update | Op::SafeUpdate | Op::ActingUpdate | Op::ActingSafeUpdate)
            {
                "changed"
            } else {
                "inserted"
            };
            let key = entry.map(|entry| format!(" ({entry})")).unwrap_or_default();
            format!(
                "The target table {target} has another row with this key{key} already; {row} was to be {what}. Compare both, delete or \
                 correct the wrong one in the target, then use `resume-task` (with `rsync-dm run`: start it again); nothing was left out. \
                 If keys repeat between shards, give the target a key that tells shards apart (`extract-table`, `extract-schema` or \
                 `extract-source` fill its column) or route the shards to different tables, and load again. `safe-mode: true` in the \
                 task's `syncers` lets later rows replace earlier ones; a rule of `filters` with `events: [insert]` leaves a table's inserts out."
            )
        }
        ErrorClass::DiskFull => format!(
            "Make room at the target; the subtask then goes on by itself or with `resume-task`, from {row}; nothing was left out."
        ),
        ErrorClass::DataTooLong | ErrorClass::OutOfRange | ErrorClass::BadValue => format!(
            "A column of {target} does not take a value of {row}: widen it in the target to what the source has (ALTER TABLE), then use \
             `resume-task` (with `rsync-dm run`: start it again); nothing was left out."
        ),
        ErrorClass::UnknownColumn => format!(
            "{target} lacks a column that {source} has: add it in the target, then use `resume-task` (with `rsync-dm run`: start it again); \
             nothing was left out."
        ),
        ErrorClass::AccessDenied => {
            format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE ON {target} TO the target's account, then use `resume-task`."
            )
        }
        ErrorClass::Retryable => format!(
            "Other sessions of the target keep rows of {target} locked: look for them in SHOW PROCESSLIST and \
             information_schema.INNODB_TRX. The subtask tries again by itself."
        ),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_of_a_message() {
        assert_eq!(duplicate_entry("Duplicate entry '5-x' for key 't.PRIMARY'"), Some("5-x"));
        assert_eq!(duplicate_entry("Duplicate entry 'it's' for key 'k'"), Some("it's"));
        assert_eq!(duplicate_entry("Unknown column"), None);
    }
}
