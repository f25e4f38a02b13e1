//! DDL on tables of a sharding group: it waits until all tables of the target have it, and is run by one source.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use common::{
    error::{DmError, dm_codes as code},
    failpoint,
    ident::{TableName, quote_string},
};
use sql::ddl::{Change, Ddl, Role, Statement};
use tracing::{info, warn};

use super::{
    canonical::canonical,
    error,
    operated::Held,
    place::Place,
    run_ddl::Prepared,
    statements::{Text, located_statement},
    unit::{Known, Transaction, Unit},
};
use crate::shard::{Group, GroupError, Origin, Reached, ShardError, ShardInfo, ShardOperation, lock_id};

/// A shard DDL of a group that waits for its operation.
#[derive(Debug, Clone)]
pub(super) struct ShardDdl {
    /// As compared and shown.
    pub canonical: Vec<String>,
    prepared: Vec<Prepared>,
}

fn named(piece: &Ddl, text: &Text<'_>) -> Vec<TableName> {
    let tables = piece.tables();
    tables
        .iter()
        .map(|t| TableName::new(t.schema.as_deref().unwrap_or(&text.schema), t.table.as_str()))
        .collect()
}

/// How long a statement that joins a group waits for what the coordinator says of the group.
const ANSWER: Duration = Duration::from_secs(5);

/// Why nothing is read.
#[derive(Debug, Clone)]
pub(super) struct Hold {
    /// Whose statement has to be run before.
    target: TableName,
    /// For so long at most.
    until: Option<Instant>,
}

/// Whether a statement changes two tables: it is no shard DDL, and run in its place.
fn is_of_two(piece: &Ddl) -> bool {
    renames(&piece.statement) || piece.references.iter().any(|reference| reference.role == Role::Exchanged)
}

/// RENAME TABLE, or ALTER TABLE … RENAME. Of the latter other clauses are pieces of their own.
fn renames(statement: &Statement) -> bool {
    match statement {
        Statement::RenameTable { .. } => true,
        Statement::AlterTable(alter) => {
            alter.specs.iter().any(|spec| matches!(spec.change, Change::RenameTable(_)))
        }
        _ => false,
    }
}

/// All tables that a statement changes or looks at.
fn touched(piece: &Ddl, text: &Text<'_>) -> Vec<TableName> {
    let mut own = text.schema.clone();
    let mut names = Vec::new();
    for reference in &piece.references {
        let Some(table) = &reference.table else { continue };
        // A parent without a schema is in the child's.
        let default = if reference.role == Role::Parent { &own } else { &text.schema };
        let schema = reference.schema.as_ref().map_or(default, |schema| &schema.text).clone();
        if reference.role == Role::Table {
            own.clone_from(&schema);
        }
        names.push(TableName::new(schema, table.text.as_str()));
    }
    names
}

impl Unit {
    /// With shards: most statements wait for the other tables of the target.
    pub(super) async fn shard_piece(
        &mut self,
        piece: &Ddl,
        number: usize,
        text: &Text<'_>,
        subject: &TableName,
        target: Option<TableName>,
    ) -> Result<bool, DmError> {
        match (&piece.statement, target) {
            (Statement::TruncateTable { .. }, _) => {
                warn!(
                    table = %subject, location = format!("{}:{}", text.start.file, text.start.pos),
                    "TRUNCATE TABLE is passed over in a task with shards: the table's rows stay in the target, delete them by hand"
                );
                Ok(false)
            }
            (Statement::DropTable { .. }, Some(target)) => {
                self.groups.remove(&target, subject).map_err(|e| self.group_error(*e, text))?;
                warn!(
                    table = %subject, target = %target, location = format!("{}:{}", text.start.file, text.start.pos),
                    "DROP TABLE is passed over in a task with shards: the target's table stays, with this one's rows"
                );
                self.forget(subject, text.end);
                self.announce_tables().await?;
                Ok(false)
            }
            (Statement::DropDatabase { name, .. }, _) => {
                for (table, target) in self.members_in(name) {
                    self.groups.remove(&target, &table).map_err(|e| self.group_error(*e, text))?;
                    self.forget(&table, text.end);
                }
                self.announce_tables().await?;
                Ok(false)
            }
            _ if is_of_two(piece) && self.concerns_no_shard(piece, text).await? => {
                let prepared = self.prepare(piece, number, text)?;
                let names: Vec<TableName> = named(piece, text);
                self.run_statement(&prepared).await?;
                self.track(piece, &text.schema);
                for name in &names {
                    let exists = self.tracker.table(&name.schema, &name.table).is_some();
                    match self.known(&name.schema, &name.table)? {
                        Known::Kept { routed, .. } if exists => {
                            // A name that was one before stays it.
                            let _ = self.groups.add(&routed.name(), name);
                            self.dirty.insert(name.clone(), text.end.clone());
                        }
                        Known::Kept { routed, .. } => {
                            self.groups
                                .remove(&routed.name(), name)
                                .map_err(|e| self.group_error(*e, text))?;
                            self.forget(name, text.end);
                        }
                        Known::Excluded => {}
                    }
                }
                self.announce_tables().await?;
                Ok(true)
            }
            (statement, _) if is_of_two(piece) => {
                // Whoever then looks at the target, or renames there, finds the rows in front of it.
                self.drain().await?;
                let (what, help) = match renames(statement) {
                    true => (
                        "a new name for",
                        "If the new name has another target table, rename or make that table in the target first.",
                    ),
                    false => (
                        "an exchange of rows with",
                        "Then move these rows in the target by hand (`rsync-dm verify` names them).",
                    ),
                };
                Err(code::SYNCER_UNSUPPORTED_STMT
                    .error(format!("{what} the shard {subject} is not supported"))
                    .with_workaround(format!(
                        "Pass it over with `binlog skip` (`rsync-dm run`: --skip-ddl). {help}"
                    )))
            }
            (Statement::CreateTable(_), Some(target)) => {
                let prepared = self.prepare(piece, number, text)?;
                self.groups.add(&target, subject).map_err(|e| self.group_error(*e, text))?;
                self.announce_tables().await?;
                self.tell_of_statement(&prepared.renamed, subject);
                self.run_statement(&prepared).await?;
                if text.operator.is_none() {
                    self.track(piece, &text.schema);
                }
                self.dirty.insert(subject.clone(), text.end.clone());
                Ok(true)
            }
            (_, Some(target)) => {
                let held = self.held(text, Some(std::slice::from_ref(piece)));
                self.reach_group(&[(number, piece.clone())], text, subject, &target, held)?;
                Ok(false)
            }
            (_, None) => {
                let prepared = self.prepare(piece, number, text)?;
                self.run_statement(&prepared).await?;
                if text.operator.is_none() {
                    self.track(piece, &text.schema);
                }
                self.dirty.insert(subject.clone(), text.end.clone());
                Ok(true)
            }
        }
    }

    /// Whether the statement has to wait for one of a group that all its tables here have reached: it names a table of that group beside others,
    /// and would be carried out before it. It comes again then.
    pub(super) fn holds(&mut self, pieces: &[Ddl], text: &Text<'_>) -> Result<bool, DmError> {
        if !self.is_sharded() {
            return Ok(false);
        }
        let mut names = BTreeSet::new();
        for piece in pieces {
            names.extend(touched(piece, text));
        }
        for piece in pieces.iter().filter(|piece| matches!(piece.statement, Statement::DropDatabase { .. })) {
            names.extend(
                self.members_in(piece.database().unwrap_or(&text.schema)).into_iter().map(|(table, _)| table),
            );
        }
        let joins = pieces.iter().any(|piece| matches!(piece.statement, Statement::CreateTable(_)));
        if names.len() < 2 && !joins {
            return Ok(false);
        }
        let mut targets = BTreeSet::new();
        let mut held = None;
        for name in &names {
            let Known::Kept { table, routed, .. } = self.known(&name.schema, &name.table)? else { continue };
            // Carried out when it was read before.
            if self.is_done(&table, text.end) {
                continue;
            }
            let target = routed.name();
            let synced = self.groups.get(&target).is_some_and(Group::is_synced);
            if synced && (joins || self.groups.is_waiting(&target, &table)) {
                held = Some((table, target.clone()));
            }
            targets.insert(target);
        }
        let Some((table, target)) = held else { return Ok(false) };
        // One that joins the group is refused, but when the group's statement is about to be run.
        let until = match targets.len() {
            1 if !joins || self.hold_over.as_ref() == Some(text.start) => return Ok(false),
            1 => Some(Instant::now() + ANSWER),
            _ => None,
        };
        info!(sql = %text.shown(), at = %text.start, table = %table, "the statement waits for the DDL that the table is at");
        self.hold = Some(Hold { target, until });
        self.hold_over = Some(text.start.clone());
        self.transaction = Transaction::default();
        self.place = self.committed.place.clone();
        self.reader = None;
        Ok(true)
    }

    /// Whether reading has to wait for a group.
    pub(super) fn is_held(&mut self) -> bool {
        let holds = |hold: &Hold| {
            self.groups.get(&hold.target).is_some_and(Group::is_open)
                && hold.until.is_none_or(|until| Instant::now() < until)
        };
        if !self.hold.as_ref().is_some_and(holds) {
            self.hold = None;
        }
        self.hold.is_some()
    }

    /// Whether all names of a statement are those of the target too, and no other table goes there.
    async fn concerns_no_shard(&mut self, piece: &Ddl, text: &Text<'_>) -> Result<bool, DmError> {
        let sql = format!(
            "SELECT cp_schema, cp_table FROM {} WHERE is_global=0 AND id<>{}",
            self.store.tables().checkpoint,
            quote_string(&self.config.source_id)
        );
        let failed = |e: mysql::Error| error::target("cannot read the checkpoints of other sources", &e);
        let mut others = std::collections::HashSet::new();
        for row in self.meta.query(&sql).await.map_err(failed)?.iter() {
            let (schema, table) = (row.text(0).map_err(failed)?, row.text(1).map_err(failed)?);
            if let Ok(routed) = self.config.router.route(&schema, &table) {
                others.insert(routed.name());
            }
        }
        for name in named(piece, text) {
            if others.contains(&name) {
                return Ok(false);
            }
            let Known::Kept { routed, .. } = self.known(&name.schema, &name.table)? else { return Ok(false) };
            let alone = self.groups.get(&name).is_none_or(|group| group.len() == 1);
            if routed.name() != name
                || !routed.extracted.is_empty()
                || !alone
                || self.groups.is_waiting(&name, &name)
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A table of a group has come to statements (one, unless an operator wants more) that wait for the other tables.
    pub(super) fn reach_group(
        &mut self,
        pieces: &[(usize, Ddl)],
        text: &Text<'_>,
        subject: &TableName,
        target: &TableName,
        held: Held,
    ) -> Result<(), DmError> {
        let mut ddl = ShardDdl { canonical: Vec::new(), prepared: Vec::new() };
        for (number, piece) in pieces {
            let prepared = self.prepare(piece, *number, text)?;
            self.tell_of_statement(&prepared.renamed, subject);
            ddl.canonical.push(canonical(&prepared.text, text.mode));
            ddl.prepared.push(prepared);
        }
        // The transaction's own begin, so that a restart sees the statement again.
        let at = Reached { start: self.committed.clone(), end: self.after(text.end) };
        let synced = match self.groups.reach(target, subject, &ddl.canonical, at) {
            Ok(synced) => synced,
            Err(e) => return Err(self.group_error(*e, text)),
        };
        let sql = ddl.prepared.iter().map(Prepared::shown).collect::<Vec<_>>().join("; ");
        let location = format!("{}:{}", text.start.file, text.start.pos);
        info!(table = %subject, target = %target, sql = %sql, synced, location, "shard DDL reached");
        self.held.insert(subject.clone(), held);
        self.dirty.insert(subject.clone(), text.end.clone());
        self.proposed_parts.insert(target.clone(), ddl);
        if synced {
            self.synced.insert(target.clone());
        }
        Ok(())
    }

    /// Tables of a schema that are in groups, with their targets.
    pub(super) fn members_in(&self, schema: &str) -> Vec<(TableName, TableName)> {
        let all = self.groups.iter().flat_map(|(target, group)| {
            let tables = group.reached().map(|(t, _)| t).chain(group.unsynced());
            tables.map(move |table| (table.clone(), target.clone()))
        });
        all.filter(|(table, _)| table.schema == schema).collect()
    }

    /// Why a statement does not fit its group, and the ways on.
    fn group_error(&self, e: GroupError, text: &Text<'_>) -> DmError {
        let message = e.to_string();
        let (row, target) = match &e {
            GroupError::AddInside { target, .. } => (&code::SYNC_UNIT_ADD_TABLE_IN_SHARDING, target),
            GroupError::DropInside { target, .. } => (&code::SYNC_UNIT_DROP_SCHEMA_TABLE_IN_SHARDING, target),
            GroupError::WrongSequence { target, .. } => (&code::SYNC_UNIT_DDL_WRONG_SEQUENCE, target),
        };
        let waiting: Vec<(&TableName, &Held)> = self
            .groups
            .get(target)
            .into_iter()
            .flat_map(Group::reached)
            .filter_map(|(table, _)| Some((table, self.held.get(table)?)))
            .collect();
        let others: Vec<String> = waiting
            .iter()
            .map(|(table, held)| {
                format!("{} waits at [{}, {}] with [{}]", table.quoted(), held.start, held.end, held.sql)
            })
            .collect();
        let (task, source) = (&self.config.task, &self.config.source_id);
        let skip = |at: &Place| format!("`binlog skip {task} -s {source} -b {}:{}`", at.file, at.pos);
        let here = skip(text.start);
        let workaround = match &e {
            GroupError::WrongSequence { expected, .. } => {
                let all: Vec<String> =
                    waiting.iter().map(|(_, held)| skip(&held.start)).chain([here]).collect();
                format!(
                    "If both statements mean the same for {target}: `binlog replace {task} -s {source} -b {}:{} \"…\"` with the statement of the \
                     other table ({}) on this table's name. Otherwise make the changes of both on {target} by hand, so that it takes the rows \
                     of all its tables, and pass over them: {}. If a lock of {target} then waits for this source, `shard-ddl-lock` shows it and \
                     `shard-ddl-lock unlock` ends that.",
                    text.start.file,
                    text.start.pos,
                    expected.join("; "),
                    all.join(", "),
                )
            }
            GroupError::AddInside { .. } => format!(
                "Run the statement that the group waits for on the other tables too, and use `resume-task`; or let the new table join the \
                 group after it: {here}."
            ),
            GroupError::DropInside { .. } => {
                format!("Let the table leave the group, which then waits for the others only: {here}.")
            }
        };
        row.error(message).with_cause(others.join("; ")).with_workaround(workaround)
    }

    /// All tables of the group have reached their statement: it goes to the coordinator.
    pub(super) async fn propose(&mut self, target: TableName) -> Result<(), DmError> {
        // What came before it in any of the tables has to be in the target when the owner runs it.
        self.drain().await?;
        self.flush_drained(self.committed.clone(), self.sharding_rows(&target)).await?;
        let Some(ddl) = self.proposed_parts.remove(&target) else { return Ok(()) };
        let info = ShardInfo {
            task: self.config.task.clone(),
            source: self.config.source_id.clone(),
            schema: target.schema.clone(),
            table: target.table.clone(),
            ddls: ddl.canonical.clone(),
            origins: self.origins(&target),
        };
        self.proposed.insert(target.clone(), ddl);
        let coordinator = Arc::clone(&self.coordinator);
        let told = self.acks.told(lock_id(&info.task, &info.schema, &info.table));
        self.proposals.spawn(async move {
            told.await;
            let operation = coordinator.propose(info).await;
            (target, operation)
        });
        Ok(())
    }

    /// Where the tables of a group have met its statement.
    fn origins(&self, target: &TableName) -> Vec<Origin> {
        let members = self.groups.get(target).into_iter().flat_map(Group::reached);
        let origin = |(table, _): (&TableName, _)| {
            let held = self.held.get(table)?;
            let at = format!("{}:{}", held.start.file, held.start.pos);
            Some(Origin { table: table.quoted(), at, sql: held.sql.clone() })
        };
        members.filter_map(origin).collect()
    }

    /// It is this source's turn: it runs or passes over the statement, and its tables go on.
    pub(super) async fn operate(
        &mut self,
        target: TableName,
        operation: Result<ShardOperation, ShardError>,
    ) -> Result<(), DmError> {
        let operation = operation.map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(e.to_string()))?;
        let Some(ddl) = self.proposed.get(&target).cloned() else { return Ok(()) };
        let shown: Vec<_> = ddl.prepared.iter().map(Prepared::shown).collect();
        info!(target = %target, exec = operation.exec, sql = %shown.join("; "), "shard DDL operation");
        self.drain().await?;
        if operation.exec {
            for prepared in &ddl.prepared {
                if let Err(error) = self.run_statement(prepared).await {
                    return Err(self.failed_operation(&target, error));
                }
            }
        } else {
            self.forget_plans();
        }
        self.proposed.remove(&target);
        let places = self.groups.resolve(&target);
        self.join_late(&target).await?;
        for (table, _) in &places {
            if let Some(held) = self.held.remove(table) {
                self.follow_held(table, &held);
            }
            self.dirty.insert(table.clone(), self.committed.place.clone());
        }
        let here = self.committed.clone();
        let from = self.points.rewind(&here, places);
        self.state.ddl = None;
        self.state.unacknowledged.push(operation.clone());
        let sharding = self.clear_sharding_rows(&target);
        failpoint::hit("syncer-before-shard-flush");
        self.flush_drained(from.clone().unwrap_or(here), sharding).await?;
        failpoint::hit("syncer-before-shard-done");
        self.acks.tell(&self.state.unacknowledged);
        if let Some(from) = from {
            self.reopen_at(from);
        }
        Ok(())
    }

    /// Says where the statement of a group stands in the binlog: at the table that has reached it last, as DM says it.
    fn failed_operation(&self, target: &TableName, error: DmError) -> DmError {
        let members = self.groups.get(target).into_iter().flat_map(Group::reached);
        let mut held: Vec<&Held> = members.filter_map(|(table, _)| self.held.get(table)).collect();
        held.sort_by(|a, b| a.start.cmp(&b.start));
        // What is wanted of it is wanted of all tables.
        self.shared.fail_at(held.iter().map(|held| held.start.clone()).collect());
        let Some(last) = held.last() else { return error };
        error.annotate(&located_statement(&last.start, &last.end, &self.committed, &last.sql))
    }

    fn sharding_rows(&self, target: &TableName) -> Vec<String> {
        let Some(group) = self.groups.get(target) else { return Vec::new() };
        let items: Vec<serde_json::Value> = group
            .reached()
            .map(|(table, at)| {
                serde_json::json!({
                    "ddls": group.ddls(),
                    "source": table.quoted(),
                    "first-position": {"Name": &*at.start.place.file, "Pos": at.start.place.pos},
                    "first-gtid-set": at.start.gtid_text(),
                })
            })
            .collect();
        let row = |source: &str, global: bool, items: &[serde_json::Value]| {
            let data = quote_string(&serde_json::json!({ "items": items }).to_string());
            format!(
                "INSERT INTO {} (source_id,target_table_id,source_table_id,active_index,is_global,data) VALUES ({},{},{},0,{},{data}) \
                 ON DUPLICATE KEY UPDATE active_index=VALUES(active_index),is_global=VALUES(is_global),data=VALUES(data)",
                self.store.tables().sharding_meta,
                quote_string(&self.config.source_id),
                quote_string(&target.quoted()),
                quote_string(source),
                u8::from(global),
            )
        };
        let mut rows: Vec<String> = group
            .reached()
            .zip(&items)
            .map(|((table, _), item)| row(&table.quoted(), false, std::slice::from_ref(item)))
            .collect();
        rows.push(row("", true, &items[..items.len().min(1)]));
        rows
    }

    fn clear_sharding_rows(&self, target: &TableName) -> Vec<String> {
        vec![format!(
            "DELETE FROM {} WHERE source_id={} AND target_table_id={}",
            self.store.tables().sharding_meta,
            quote_string(&self.config.source_id),
            quote_string(&target.quoted()),
        )]
    }
}
