//! What stops a subtask, and whether it may go on by itself.

use binlog::DecodeError;
use common::error::{DmCode, DmError, Scope, dm_codes as code};
use mysql::{ErrorClass, wire::Refusal};

use super::place::{Place, Spot};
use crate::proto::pb;

/// A server's error with DM's code for what was being done.
pub fn database(
    what: &'static DmCode,
    scope: Scope,
    message: impl Into<String>,
    error: &mysql::Error,
) -> DmError {
    let row = match error.class() {
        ErrorClass::UnknownOutcome => &code::DB_INVALID_CONN,
        _ if error.is_connection_gone() => &code::DB_BAD_CONN,
        _ => what,
    };
    // As the driver of the real tool words it, since operators' scripts look for that.
    let cause = match (error.code(), error.sqlstate()) {
        (Some(number), Some(state)) => format!("Error {number} ({state}): {}", error.message()),
        (Some(number), None) => format!("Error {number}: {}", error.message()),
        _ => error.to_string(),
    };
    row.error(message).with_cause(cause).with_scope(scope)
}

/// A failed query of the target.
pub fn target(message: impl Into<String>, error: &mysql::Error) -> DmError {
    database(&code::DB_QUERY_FAILED, Scope::Downstream, message, error)
}

/// A failed query of the source.
pub fn source(message: impl Into<String>, error: &mysql::Error) -> DmError {
    database(&code::DB_QUERY_FAILED, Scope::Upstream, message, error)
}

/// Somebody else owns the state tables now. The worker's checker knows the code: going on unasked would take them back.
pub fn taken_over() -> DmError {
    code::SYNCER_FENCED.error("another process has taken over this subtask, this one ends").with_workaround(
        "Let one process only replicate each source of a task. If this one is to go on, end the other one and use `resume-task` (with \
         `rsync-dm run`: start it again).",
    )
}

/// An event that cannot be read.
pub fn decode(error: &DecodeError) -> DmError {
    code::SYNCER_GET_EVENT.error("cannot read a binlog event").with_cause(error.to_string())
}

/// A binlog stream that the source refuses. `asked` says what was asked for, and where that came from.
pub fn stream(error: &mysql::Error, asked: &str) -> DmError {
    let advice = match Refusal::of(error) {
        Some(Refusal::Purged) if error.message().contains("first log file name") => {
            "SHOW BINARY LOGS at the source lists its binlog files. If this one is older than those, it has been purged: dump and load the \
             tables again and start a new task from there, and for the future keep binlogs longer (binlog_expire_logs_seconds). If there was \
             never a file of this name, correct `meta` of the task; a checkpoint counts more than `meta`, until `--remove-meta`."
        }
        Some(Refusal::Purged) => {
            "The source has purged the binlog that is needed. Dump and load the tables again and start a new task from there; \
             for the future keep binlogs longer (binlog_expire_logs_seconds)."
        }
        Some(Refusal::ServerIdClash) => {
            "Another replica of the source has the same server-id: set another `server-id` in the source's configuration."
        }
        Some(Refusal::Privileges) => {
            "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO the source's account."
        }
        Some(Refusal::NoBinlog) => {
            "Switch the source's binlog on (`log_bin`, `binlog_format = ROW`) and dump again."
        }
        Some(Refusal::GtidOff) => "Set GTID_MODE = ON at the source, or `enable-gtid: false`.",
        Some(Refusal::BadPosition) => {
            "Check `binlog-name` and `binlog-pos` of `meta`: they do not fit the source's binlog (SHOW BINLOG EVENTS lists where events begin). \
             A checkpoint counts more than `meta`, until `--remove-meta`."
        }
        Some(Refusal::GtidMismatch) => {
            "The source does not have the transactions of the checkpoint: it may have been restored or replaced by another \
             server. Or the GTID set of `meta` is of another source; a checkpoint counts more than `meta`, until `--remove-meta`."
        }
        Some(Refusal::EventTooLarge) => "Raise max_allowed_packet at the source.",
        Some(Refusal::Damaged) => "A binlog file of the source is damaged: dump again and start after it.",
        _ => {
            "Check the connection to the source; the task goes on by itself, or after `resume-task` (with `rsync-dm run`: a new start)."
        }
    };
    database(&code::SYNCER_GET_EVENT, Scope::Upstream, format!("get event err: {asked}"), error)
        .with_workaround(advice)
}

/// Says between which places it happened.
pub fn located(error: DmError, start: &Place, before: &Spot, end: &Place) -> DmError {
    let gtid = before.gtid_text();
    error.annotate(&format!(
        "startLocation: [position: {start}, gtid-set: {gtid}], endLocation: [position: {end}, gtid-set: {gtid}]: "
    ))
}

/// An error in DM's form.
pub fn process_error(error: &DmError) -> pb::ProcessError {
    let code = error.code();
    pb::ProcessError {
        err_code: i32::try_from(code.code).unwrap_or(i32::MAX),
        err_class: code.class.as_str().into(),
        err_scope: error.scope().as_str().into(),
        err_level: code.level.as_str().into(),
        message: error.message().into(),
        raw_cause: error.raw_cause().into(),
        workaround: error.workaround().into(),
    }
}

/// The error that a status shows.
pub fn from_process(error: &pb::ProcessError) -> DmError {
    let row = u32::try_from(error.err_code).ok().and_then(code::by_code).unwrap_or(&code::DB_UN_EXPECT);
    row.error(error.message.as_str())
        .with_cause(error.raw_cause.as_str())
        .with_workaround(error.workaround.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_servers_read_as_in_the_real_tool() {
        let error = mysql::Error::server(1054, "42S22", "Unknown column 'pid' in 'field list'");
        let error = database(&code::DB_EXECUTE_FAILED, Scope::NotSet, "execute statement failed: x", &error);
        assert_eq!(error.code().code, 10006);
        assert_eq!(error.raw_cause(), "Error 1054 (42S22): Unknown column 'pid' in 'field list'");
        let lost = target("x", &mysql::Error::closed("gone"));
        assert_eq!((lost.code().code, lost.scope()), (10002, Scope::Downstream));
    }
}
