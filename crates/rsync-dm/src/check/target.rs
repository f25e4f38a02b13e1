//! What the target must be able to do, and where replication will start.

use std::collections::BTreeSet;

use common::{
    error::{DmError, dm_codes as code},
    ident::{quote, quote_string},
};
use mysql::{
    Conn, Flavor, GtidSet, Location,
    privileges::{self, Need, Privilege},
    session,
};

use super::{failed, report::Check, tables::SourceTable};
use crate::config::{SubtaskConfig, TaskConfig};

/// Where replication of a source will start.
#[derive(Debug, Clone)]
pub(super) struct Start {
    pub at: Location,
    /// The checkpoint says so, not the task's `meta`.
    pub is_checkpoint: bool,
}

/// The checkpoint in the target, else the task's `meta`.
pub(super) async fn start_of(target: &mut Conn, subtask: &SubtaskConfig) -> Result<Option<Start>, DmError> {
    let table =
        format!("{}.{}", quote(&subtask.meta_schema), quote(&format!("{}_syncer_checkpoint", subtask.task)));
    let sql = format!(
        "SELECT binlog_name, binlog_pos, binlog_gtid FROM {table} WHERE id = {} AND is_global",
        quote_string(&subtask.source_id)
    );
    let row = match target.query_one(sql).await {
        Ok(row) => row,
        // No schema, no table, or no right to look: no checkpoint that could be read.
        Err(e) if matches!(e.code(), Some(1049 | 1146 | 1142 | 1044)) => None,
        Err(e) => return Err(failed(&e)),
    };
    let gtid = |text: &str| parse_set(subtask.flavor, text).ok();
    if let Some(row) = row {
        let text = |i: usize| row.str(i).map(Option::unwrap_or_default).map_err(|e| failed(&e));
        let pos = row.parse::<u64>(1).map_err(|e| failed(&e))?.unwrap_or(0);
        let mut location = Location::new(text(0)?, pos);
        location.gtid = gtid(&text(2)?);
        return Ok(Some(Start { at: location, is_checkpoint: true }));
    }
    start_of_meta(subtask)
}

/// A set of a source whose family the configuration may not say.
fn parse_set(flavor: Option<Flavor>, text: &str) -> Result<GtidSet, mysql::GtidError> {
    let by_form = if text.contains(':') { Flavor::MySql } else { Flavor::MariaDb };
    GtidSet::parse(flavor.unwrap_or(by_form), text)
}

/// The task's `meta`.
pub(super) fn start_of_meta(subtask: &SubtaskConfig) -> Result<Option<Start>, DmError> {
    let Some(meta) = &subtask.meta else { return Ok(None) };
    let mut location = Location::new(meta.binlog_name.as_str(), u64::from(meta.binlog_pos));
    if !meta.binlog_gtid.trim().is_empty() {
        let set = parse_set(subtask.flavor, &meta.binlog_gtid).map_err(|e| {
            code::PARSE_GTID
                .wrap(
                    format!("`meta` of source {}: binlog-gtid `{}`", subtask.source_id, meta.binlog_gtid),
                    &e,
                )
                .with_workaround(
                    "Copy the GTID set from the dump's `metadata`, or let `ctl meta-from` print it.",
                )
        })?;
        location.gtid = Some(set);
    }
    Ok(Some(Start { at: location, is_checkpoint: false }))
}

/// The checks of the target.
pub(super) async fn checks(
    task: &TaskConfig,
    subtasks: &[SubtaskConfig],
    tables: &[SourceTable],
    target: &mut Conn,
) -> Result<Vec<Check>, DmError> {
    let mut out = Vec::new();
    if !task.ignores_check("target_privilege") {
        let schemas = tables.iter().map(|t| t.target.schema.as_str()).chain([task.meta_schema()]);
        let has_keys = |t: &&SourceTable| t.table.as_ref().is_some_and(|t| !t.foreign_keys.is_empty());
        let with_keys = tables.iter().filter(has_keys).map(|t| t.target.schema.as_str());
        out.push(privileges(schemas.collect(), &with_keys.collect(), target).await?);
    }
    if !task.ignores_check("conn_number") {
        out.push(connections(subtasks, target).await?);
    }
    Ok(out)
}

/// What the account needs in these databases. `with_keys`: those with tables that have foreign keys.
pub(super) async fn privileges(
    schemas: BTreeSet<&str>,
    with_keys: &BTreeSet<&str>,
    target: &mut Conn,
) -> Result<Check, DmError> {
    let mut check = Check::new("target db privilege checker", "check privileges of target DB", "");
    let grants = privileges::grants(target).await.map_err(|e| failed(&e))?;
    let rights = [
        Privilege::Create,
        Privilege::Select,
        Privilege::Insert,
        Privilege::Update,
        Privilege::Delete,
        Privilege::Alter,
        Privilege::Drop,
        Privilege::Index,
    ];
    let references = with_keys.iter().map(|s| Need::schema(Privilege::References, *s));
    let needs: Vec<Need> = schemas
        .iter()
        .flat_map(|s| rights.iter().map(move |p| Need::schema(*p, *s)))
        .chain(references)
        .collect();
    let missing = privileges::missing(&grants, &needs);
    for item in &missing {
        check.fail(format!("target: {item}"));
    }
    for statement in privileges::grant_statements(&grants, &missing) {
        check.instruct(statement);
    }
    Ok(check)
}

async fn connections(subtasks: &[SubtaskConfig], target: &mut Conn) -> Result<Check, DmError> {
    let mut check = Check::new(
        "connection number check",
        "check if the target database has enough connections for the task",
        "Raise max_connections of the target, or lower worker-count of the task.",
    );
    // One for each worker, and some for checkpoints, DDL and questions.
    let needed: usize = subtasks.iter().map(|s| s.syncer.worker_count + 3).sum();
    let limit = session::variable(target, "max_connections").await.map_err(|e| failed(&e))?;
    // 0 is a TiDB without a limit.
    let limit = limit.and_then(|l| l.parse::<usize>().ok()).filter(|l| *l > 0);
    if let Some(limit) = limit.filter(|l| *l < needed) {
        check.warn(format!("the task needs {needed} connections, max_connections of the target is {limit}"));
    }
    Ok(check)
}
