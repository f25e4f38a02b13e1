//! `binlog skip | replace | revert | inject | list` at one subtask (`pb.Worker/HandleError`).

use common::{
    error::{DmError, dm_codes as code},
    ident::quote_string,
};
use sql::{
    SqlMode,
    ddl::{self, Statement},
};
use tracing::info;

use super::{
    SubtaskHandle,
    operators::{Operator, Operators, What, parse_place, parse_statements},
    place::Place,
    session,
};
use crate::{
    config::{ShardMode, SubtaskConfig},
    proto::pb,
};

impl SubtaskHandle {
    /// Carries out the command; gives the text of `list`. Whoever calls it resumes the subtask after it.
    ///
    /// # Errors
    /// A place or statements that are none; nothing to handle; 36065 nothing to revert; those of the target.
    pub async fn handle_error(&self, request: &pb::HandleWorkerErrorRequest) -> Result<String, DmError> {
        let op = request.op();
        let given = match request.binlog_pos.trim() {
            "" => None,
            text => Some(parse_place(text)?),
        };
        let checkpoint = self.shared.flushed();
        if op == pb::ErrorOp::List {
            let mut all = self.operators().await?;
            if let Some(checkpoint) = &checkpoint {
                all.forget_before(checkpoint);
            }
            return Ok(all.list(&self.config.task, given.as_ref()));
        }
        let places = match given {
            Some(place) => vec![place],
            None => self.failing()?,
        };
        let all = set(&self.config, checkpoint.as_ref(), op, &places, &request.sqls).await?;
        self.shared.set_operators(all);
        // A shard's statement may have been read, and wait for the others: it is read again.
        if self.config.shard_mode == ShardMode::Pessimistic && self.shared.stage() == pb::Stage::Running {
            self.resume().await;
        }
        Ok(String::new())
    }

    async fn operators(&self) -> Result<Operators, DmError> {
        // Also those of a run that has not come to read them.
        Operators::change(&self.config, |_| Ok(())).await
    }

    /// The statement on which the subtask is paused.
    fn failing(&self) -> Result<Vec<Place>, DmError> {
        let places = self.shared.failed_at();
        if !places.is_empty() {
            return Ok(places);
        }
        let failed = self.status().result.is_some_and(|result| !result.errors.is_empty());
        let source = &self.config.source_id;
        Err(if failed {
            code::SYNCER_EVENT_NOT_EXIST
                .error("only support to handle ddl error currently")
                .with_workaround("`query-status` has the error and what to do about it.")
        } else {
            code::SYNCER_EVENT_NOT_EXIST
                .error(format!("source '{source}' has no error"))
                .with_workaround("Name the begin of the statement's event with --binlog-pos FILE:POS.")
        })
    }
}

/// ER_ERROR_WHEN_EXECUTING_COMMAND
const NO_EVENT: u16 = 1220;

/// A wish that comes too late would look as if it were obeyed.
fn not_passed(places: &[Place], checkpoint: &Place) -> Result<(), DmError> {
    match places.iter().find(|place| *place < checkpoint) {
        None => Ok(()),
        Some(place) => Err(code::SYNCER_EVENT_NOT_EXIST
            .error(format!(
                "the checkpoint {checkpoint} has passed {place}: a statement there is not met again"
            ))
            .with_workaround("Make the change that is wanted on the target by hand.")),
    }
}

/// Says what is wanted of statements of a subtask that does not run in this process yet (`rsync-dm run --skip-ddl` and the like).
///
/// # Errors
/// As [`SubtaskHandle::handle_error`].
pub async fn handle_before_start(
    config: &SubtaskConfig,
    op: pb::ErrorOp,
    place: &str,
    sqls: &[String],
) -> Result<(), DmError> {
    set(config, None, op, &[parse_place(place)?], sqls).await.map(drop)
}

/// RENAME TABLE of a shard is refused where it stands in the binlog; in place of a statement it would stop the subtask in the same way.
fn without_rename(sqls: &[String]) -> Result<(), DmError> {
    let is_rename = |sql: &&String| {
        ddl::parse(sql.as_bytes(), SqlMode::default())
            .is_ok_and(|parsed| matches!(parsed.statement, Statement::RenameTable { .. }))
    };
    match sqls.iter().find(is_rename) {
        None => Ok(()),
        Some(sql) => Err(code::SYNCER_UNSUPPORTED_STMT
            .error(format!("RENAME TABLE is not supported with shard-mode, in place of a statement either: {sql}"))
            .with_workaround(
                "Rename the table in the target by hand if that is what is wanted, and pass the statement of the binlog over with `binlog skip`.",
            )),
    }
}

/// A wish for a place where no statement begins would wait for ever. A source that can't be asked now is believed.
async fn begin_statements(config: &SubtaskConfig, places: &[Place]) -> Result<(), DmError> {
    let Ok(mut conn) = session::connect_source(config).await else { return Ok(()) };
    for place in places {
        let sql = format!("SHOW BINLOG EVENTS IN {} FROM {} LIMIT 1", quote_string(&place.file), place.pos);
        let found = match conn.query_one(sql).await {
            Ok(row) => row.and_then(|row| row.text(2).ok()).unwrap_or_default(),
            // ER_ERROR_WHEN_EXECUTING_COMMAND: no event begins there, or there is no such file.
            Err(e) if e.code() == Some(NO_EVENT) => String::new(),
            Err(_) => break,
        };
        if !found.starts_with("Query") {
            let what = if found.is_empty() { "no event".to_owned() } else { format!("an event `{found}`") };
            return Err(code::SYNCER_EVENT_NOT_EXIST
                .error(format!("in the binlog of source {} {what} begins at {place}", config.source_id))
                .with_workaround(
                    "Name the begin of the statement's event: `startLocation` of the error, or `Pos` of the `Query` in SHOW BINLOG EVENTS.",
                ));
        }
    }
    conn.close().await;
    Ok(())
}

/// Sets or takes back what is wanted at places; gives what is kept then.
async fn set(
    config: &SubtaskConfig,
    checkpoint: Option<&Place>,
    op: pb::ErrorOp,
    places: &[Place],
    sqls: &[String],
) -> Result<Operators, DmError> {
    let what = match op {
        pb::ErrorOp::Skip => Some(Operator { what: What::Skip, sqls: Vec::new() }),
        pb::ErrorOp::Replace => Some(Operator { what: What::Replace, sqls: parse_statements(sqls)? }),
        pb::ErrorOp::Inject => Some(Operator { what: What::Inject, sqls: parse_statements(sqls)? }),
        pb::ErrorOp::Revert => None,
        other => {
            return Err(code::SYNCER_EVENT_NOT_EXIST
                .error(format!("invalid operation {} on an event", other.as_str_name())));
        }
    };
    if let (Some(checkpoint), Some(_)) = (checkpoint, &what) {
        not_passed(places, checkpoint)?;
    }
    if let (Some(operator), ShardMode::Pessimistic) = (&what, config.shard_mode) {
        without_rename(&operator.sqls)?;
    }
    if what.is_some() {
        begin_statements(config, places).await?;
    }
    let all = Operators::change(config, |all| {
        if let Some(checkpoint) = checkpoint {
            all.forget_before(checkpoint);
        }
        for place in places {
            match &what {
                Some(operator) => all.set(place.clone(), operator.clone()),
                None if all.revert(place) => {}
                None => {
                    return Err(code::SYNCER_OPERATOR_NOT_EXIST
                        .error(format!("error operator not exist, position: {}:{}", place.file, place.pos)));
                }
            }
        }
        Ok(())
    })
    .await?;
    let shown: Vec<String> = places.iter().map(ToString::to_string).collect();
    info!(
        "task-name" = %config.task, source = %config.source_id, op = op.as_str_name(), at = %shown.join(", "),
        sqls = %sqls.join("; "), "an operator handles a statement"
    );
    Ok(all)
}
