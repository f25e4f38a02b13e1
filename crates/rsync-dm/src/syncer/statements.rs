//! Statements of the binlog: only kind and names are read before the filter; what is kept is parsed, renamed and run.

use std::{borrow::Cow, sync::Arc, time::Duration};

use binlog::{Charset, Query};
use common::{
    error::{DmError, Scope, dm_codes as code},
    failpoint,
    ident::{TableName, quote, quote_string},
};
use mysql::Conn;
use sql::{
    Kind, SqlMode,
    classify::Classified,
    ddl::{self, Ddl, Statement},
    rename,
};
use tracing::{info, warn};

use super::{
    canonical::canonical,
    error,
    place::{Place, Spot},
    session,
    unit::{Known, Unit},
};
use crate::{
    checkpoint::DdlJournal,
    config::Decision,
    shard::{Reached, ShardError, ShardInfo, ShardOperation},
};

/// Errors of a server that mean that the statement's work is done already (DM's list).
const DONE: [u16; 12] = [1007, 1008, 1050, 1051, 1054, 1060, 1061, 1091, 1068, 1176, 1507, 1517];

/// Time between two looks whether a statement whose connection was lost still runs.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A statement as it will run on the target.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// Renamed.
    text: Vec<u8>,
    /// The renamed statement, parsed; for running its changes one by one.
    renamed: Ddl,
    /// Target tables and databases that it changes.
    objects: Vec<TableName>,
    /// Session settings.
    settings: Settings,
    /// Where its event ends.
    end: Place,
    /// Which of the event's statements.
    number: usize,
}

/// What a statement means hangs on these.
#[derive(Debug, Clone)]
struct Settings {
    sql_mode: String,
    time_zone: Option<String>,
    timestamp: String,
}

/// A shard DDL of a group that waits for its operation.
#[derive(Debug, Clone)]
pub(super) struct ShardDdl {
    /// As compared and shown.
    pub canonical: Vec<String>,
    prepared: Vec<Prepared>,
}

/// A statement's text in UTF-8 with what is known before any parse.
struct Text<'a> {
    sql: Cow<'a, [u8]>,
    schema: String,
    mode: SqlMode,
    found: Classified,
    start: &'a Place,
    end: &'a Place,
    settings: Settings,
}

impl Text<'_> {
    fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.sql);
        match text.char_indices().nth(1000) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.into_owned(),
        }
    }

    /// Names with the default schema put in.
    fn tables(&self) -> Vec<TableName> {
        self.found
            .tables
            .iter()
            .map(|t| TableName::new(t.schema.as_deref().unwrap_or(&self.schema), t.table.as_str()))
            .collect()
    }

    fn fail(&self, error: DmError, before: &Spot) -> DmError {
        let sql = self.shown();
        let gtid = before.gtid_text();
        error.annotate(&format!(
            "startLocation: [position: {}, gtid-set: {gtid}], endLocation: [position: {}, gtid-set: {gtid}], origin SQL: [{sql}]: ",
            self.start, self.end
        ))
    }
}

impl Unit {
    /// One query event.
    pub(super) async fn query(
        &mut self,
        query: &Query<'_>,
        start: &Place,
        end: &Place,
        timestamp: u32,
    ) -> Result<(), DmError> {
        let mode = SqlMode::from_bits(query.status.sql_mode.unwrap_or(0));
        let sql = to_utf8(query);
        let found = sql::classify(&sql, mode);
        let inside = self.transaction.begun;
        self.place = end.clone();
        match found.kind {
            Kind::Begin => {
                self.transaction.open = true;
                self.transaction.begun = true;
                return Ok(());
            }
            Kind::Commit | Kind::Rollback => return self.commit(end).await,
            Kind::Xa => return self.xa(&sql, end).await,
            _ => {}
        }
        let micros = query.status.microseconds.unwrap_or(0);
        let text = Text {
            schema: String::from_utf8_lossy(query.schema).into_owned(),
            mode,
            found,
            start,
            end,
            settings: Settings {
                sql_mode: session::ddl_sql_mode(query.status.sql_mode),
                time_zone: query.status.time_zone.map(|z| String::from_utf8_lossy(z).into_owned()),
                timestamp: format!("{timestamp}.{micros:06}"),
            },
            sql,
        };
        let before = self.committed.clone();
        let outcome = self.statement(&text).await.map_err(|e| text.fail(e, &before))?;
        if outcome == Outcome::OpensTransaction {
            self.transaction.begun = true;
        }
        if !inside && outcome != Outcome::OpensTransaction {
            self.commit(end).await?;
        }
        if outcome == Outcome::Ran {
            self.state.ddl = None;
            self.flush_drained(self.committed.clone(), Vec::new()).await?;
            failpoint::hit("syncer-after-ddl-flush");
        }
        if let Some(target) = self.synced.take() {
            self.propose(target).await?;
        }
        Ok(())
    }

    async fn xa(&mut self, sql: &[u8], end: &Place) -> Result<(), DmError> {
        let words = String::from_utf8_lossy(&sql[..sql.len().min(40)]).to_ascii_uppercase();
        match words.split_whitespace().nth(1) {
            Some("START" | "BEGIN") => {
                self.transaction.open = true;
                self.transaction.begun = true;
                self.transaction.xa = true;
                Ok(())
            }
            Some("END") => Ok(()),
            _ => self.commit(end).await,
        }
    }

    async fn statement(&mut self, text: &Text<'_>) -> Result<Outcome, DmError> {
        let kind = text.found.kind;
        if kind.is_skipped() || kind == Kind::Empty {
            return Ok(Outcome::Skipped);
        }
        if kind.is_dml() {
            for table in text.tables() {
                if let Known::Kept { .. } = self.known(&table.schema, &table.table)? {
                    return Err(code::SYNC_UNIT_DML_STATEMENT_FOUND.error(format!(
                        "only support ROW format binlog, unexpected DML statement on {table} in query event"
                    )));
                }
            }
            return Ok(Outcome::Skipped);
        }
        match kind {
            Kind::Query | Kind::Set | Kind::Use | Kind::Lock | Kind::CreateTemporaryTable => {
                info!(sql = %text.shown(), "statement passed over");
                return Ok(Outcome::Skipped);
            }
            _ if kind.is_ddl() => {}
            _ => return self.unknown_statement(text),
        }
        if !self.is_kept(text)? {
            return Ok(Outcome::Skipped);
        }
        match self.filter(text)? {
            Decision::Do => {}
            Decision::Skip => {
                info!(sql = %text.shown(), "statement filtered out");
                return Ok(Outcome::Skipped);
            }
            Decision::Refuse => return Err(code::SYNCER_EVENT.error("a filter refuses this statement")),
        }
        let parsed = ddl::parse(&text.sql, text.mode).map_err(|e| {
            code::SYNCER_PARSE_DDL.error(format!("parse DDL: {}", text.shown())).with_cause(e.to_string())
        })?;
        let opens = matches!(&parsed.statement, Statement::CreateTable(c) if c.start_transaction.is_some());
        let pieces = parsed.split().map_err(|e| code::SYNCER_PARSE_DDL.error(e.to_string()))?;
        let mut outcome = Outcome::Skipped;
        for (number, piece) in pieces.iter().enumerate() {
            if self.piece(piece, number, text).await? {
                outcome = Outcome::Ran;
            }
        }
        if opens {
            if outcome == Outcome::Ran {
                self.state.ddl = None;
            }
            return Ok(Outcome::OpensTransaction);
        }
        Ok(outcome)
    }

    /// A statement of a kind that nobody has provided for. It stops the task, unless the filter leaves it out by its schema or text.
    fn unknown_statement(&self, text: &Text<'_>) -> Result<Outcome, DmError> {
        if !text.schema.is_empty() && !self.config.block_allow.matches_schema(&text.schema) {
            return Ok(Outcome::Skipped);
        }
        let sql = String::from_utf8_lossy(&text.sql);
        match self.config.filters.decide("", "", "", &sql) {
            Decision::Skip => Ok(Outcome::Skipped),
            _ => Err(code::SYNCER_PARSE_DDL.error(format!("parse DDL: {}", text.shown()))),
        }
    }

    /// Whether the filter keeps anything that the statement names.
    fn is_kept(&mut self, text: &Text<'_>) -> Result<bool, DmError> {
        use Kind::{AlterDatabase, CreateDatabase, DropDatabase};
        if matches!(text.found.kind, CreateDatabase | AlterDatabase | DropDatabase) {
            let database = text.found.database.as_deref().unwrap_or(&text.schema);
            return Ok(self.config.block_allow.matches_schema(database));
        }
        for table in text.tables() {
            if matches!(self.known(&table.schema, &table.table)?, Known::Kept { .. }) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn filter(&self, text: &Text<'_>) -> Result<Decision, DmError> {
        if self.config.filters.is_empty() {
            return Ok(Decision::Do);
        }
        let event = match text.found.kind {
            Kind::CreateDatabase => "create database",
            Kind::DropDatabase => "drop database",
            Kind::AlterDatabase => "alter database",
            Kind::CreateTable => "create table",
            Kind::DropTable => "drop table",
            Kind::TruncateTable => "truncate table",
            Kind::RenameTable => "rename table",
            Kind::CreateIndex => "create index",
            Kind::DropIndex => "drop index",
            _ => "alter table",
        };
        let sql = String::from_utf8_lossy(&text.sql);
        let names = match text.tables() {
            tables if tables.is_empty() => {
                vec![TableName::new(text.found.database.as_deref().unwrap_or(&text.schema), "")]
            }
            tables => tables,
        };
        for name in names {
            match self.config.filters.decide(&name.schema, &name.table, event, &sql) {
                Decision::Do => {}
                other => return Ok(other),
            }
        }
        Ok(Decision::Do)
    }

    /// One statement on one table (or two, for RENAME). `true`: it was run on the target.
    async fn piece(&mut self, piece: &Ddl, number: usize, text: &Text<'_>) -> Result<bool, DmError> {
        let names: Vec<TableName> = piece
            .tables()
            .iter()
            .map(|t| TableName::new(t.schema.as_deref().unwrap_or(&text.schema), t.table.as_str()))
            .collect();
        let (mut kept, mut left_out) = (Vec::new(), None);
        for name in &names {
            match self.known(&name.schema, &name.table)? {
                Known::Kept { table, routed, .. } => kept.push((table, routed.name())),
                Known::Excluded => left_out = Some(name.clone()),
            }
        }
        match (&left_out, kept.is_empty()) {
            (None, _) => {}
            (Some(_), true) => return Ok(false),
            (Some(name), false) => {
                return Err(code::SYNCER_UNSUPPORTED_STMT.error(format!(
                    "the statement concerns {} and {name}, of which only the first is replicated",
                    kept[0].0
                )));
            }
        }
        let subject = match kept.first() {
            Some((table, _)) => table.clone(),
            None => TableName::new(piece.database().unwrap_or(&text.schema), ""),
        };
        let target = kept.first().map(|(_, target)| target.clone());
        if self.is_done(&subject, text.end) {
            return Ok(false);
        }
        if self.is_sharded() {
            if target.as_ref().is_some_and(|target| self.groups.is_waiting(target, &subject)) {
                return Ok(false);
            }
            return self.shard_piece(piece, number, text, &subject, target).await;
        }
        let prepared = self.prepare(piece, number, text)?;
        self.run_statement(&prepared).await?;
        self.track(piece, &text.schema);
        for (table, _) in &kept {
            self.dirty.insert(table.clone(), text.end.clone());
        }
        if kept.is_empty() {
            self.dirty.insert(subject, text.end.clone());
        }
        Ok(true)
    }

    /// With shards: most statements wait for the other tables of the target.
    async fn shard_piece(
        &mut self,
        piece: &Ddl,
        number: usize,
        text: &Text<'_>,
        subject: &TableName,
        target: Option<TableName>,
    ) -> Result<bool, DmError> {
        let group_error = |e: Box<crate::shard::GroupError>| {
            use crate::shard::GroupError as G;
            match *e {
                G::AddInside { .. } => code::SYNC_UNIT_ADD_TABLE_IN_SHARDING.error(e.to_string()),
                G::DropInside { .. } => code::SYNC_UNIT_DROP_SCHEMA_TABLE_IN_SHARDING.error(e.to_string()),
                _ => code::SYNC_UNIT_DDL_WRONG_SEQUENCE.error(e.to_string()),
            }
        };
        match (&piece.statement, target) {
            (Statement::TruncateTable { .. }, _) => {
                info!(table = %subject, "TRUNCATE TABLE of a shard is passed over");
                Ok(false)
            }
            (Statement::DropTable { .. }, Some(target)) => {
                self.groups.remove(&target, subject).map_err(group_error)?;
                info!(table = %subject, target = %target, "a shard was dropped, the target stays");
                self.forget(subject);
                self.announce_tables().await?;
                Ok(false)
            }
            (Statement::DropDatabase { name, .. }, _) => {
                let members: Vec<(TableName, TableName)> = self
                    .groups
                    .iter()
                    .flat_map(|(target, group)| {
                        let all = group.reached().map(|(t, _)| t).chain(group.unsynced());
                        all.filter(|t| t.schema == *name)
                            .map(|t| (target.clone(), t.clone()))
                            .collect::<Vec<_>>()
                    })
                    .collect();
                for (target, table) in members {
                    self.groups.remove(&target, &table).map_err(group_error)?;
                    self.forget(&table);
                }
                self.announce_tables().await?;
                Ok(false)
            }
            (Statement::RenameTable { .. }, _) => Err(code::SYNCER_UNSUPPORTED_STMT
                .error(format!("RENAME TABLE of the shard {subject} is not supported"))),
            (Statement::CreateTable(_), Some(target)) => {
                let prepared = self.prepare(piece, number, text)?;
                self.groups.add(&target, subject).map_err(group_error)?;
                self.announce_tables().await?;
                self.run_statement(&prepared).await?;
                self.track(piece, &text.schema);
                self.dirty.insert(subject.clone(), text.end.clone());
                Ok(true)
            }
            (_, Some(target)) => {
                let prepared = self.prepare(piece, number, text)?;
                let statement = vec![canonical(&prepared.text, text.mode)];
                // The transaction's own begin, so that a restart sees the statement again.
                let at = Reached { start: self.committed.clone(), end: self.after(text.end) };
                let synced = self.groups.reach(&target, subject, &statement, at).map_err(group_error)?;
                info!(table = %subject, target = %target, ddls = ?statement, synced, "shard DDL reached");
                self.held.insert(subject.clone(), (piece.clone(), text.schema.clone()));
                self.dirty.insert(subject.clone(), text.end.clone());
                self.proposed_parts
                    .insert(target.clone(), ShardDdl { canonical: statement, prepared: vec![prepared] });
                if synced {
                    self.synced = Some(target);
                }
                Ok(false)
            }
            (_, None) => {
                let prepared = self.prepare(piece, number, text)?;
                self.run_statement(&prepared).await?;
                self.track(piece, &text.schema);
                self.dirty.insert(subject.clone(), text.end.clone());
                Ok(true)
            }
        }
    }

    /// The spot after the transaction that ends at `end`.
    fn after(&self, end: &Place) -> Spot {
        let mut executed = self.executed.clone();
        if let (Some(set), Some(gtid)) = (&mut executed, &self.transaction.gtid) {
            // Two families cannot meet in one stream.
            let _ = set.add(gtid);
        }
        Spot { place: end.clone(), gtid: executed.map(Arc::new) }
    }

    fn forget(&mut self, table: &TableName) {
        self.tracker.forget_table(&table.schema, &table.table);
        self.dirty.remove(table);
        self.gone.insert(table.clone());
        if let Some(Known::Kept { plan, .. }) =
            self.known.get_mut(&table.schema).and_then(|tables| tables.get_mut(&table.table))
        {
            *plan = None;
        }
    }

    /// Applies a statement to the tracked structures. What cannot be followed is read anew with the next row.
    fn track(&mut self, piece: &Ddl, schema: &str) {
        if let Statement::CreateTable(create) = &piece.statement {
            // What was found there before was a later table of the name.
            let name =
                TableName::new(create.table.schema.as_deref().unwrap_or(schema), create.table.table.as_str());
            if self.unproven.remove(&name) {
                self.tracker.forget_table(&name.schema, &name.table);
            }
        }
        if let Err(error) = self.tracker.apply(piece, schema) {
            for table in piece.tables() {
                self.tracker.forget_table(table.schema.as_deref().unwrap_or(schema), &table.table);
            }
            info!(error = %error, "the structure is not tracked over this statement, it is read again");
        }
        for table in piece.tables() {
            self.gone
                .remove(&TableName::new(table.schema.as_deref().unwrap_or(schema), table.table.as_str()));
        }
        self.forget_plans();
    }

    fn prepare(&mut self, piece: &Ddl, number: usize, text: &Text<'_>) -> Result<Prepared, DmError> {
        let internal = |e: ddl::DdlError| code::REWRITE_SQL.error(e.to_string());
        let again = ddl::parse(&piece.idempotent(), text.mode).map_err(internal)?;
        let router = &self.config.router;
        let mut failed = None;
        let mut objects = Vec::new();
        let renamed = rename::rename(again.text(), &again, &text.schema, |schema, table| {
            match router.route(schema, table) {
                Ok(routed) => {
                    objects.push(routed.name());
                    (routed.schema, routed.table)
                }
                Err(error) => {
                    failed = Some(error);
                    (schema.to_owned(), table.to_owned())
                }
            }
        })
        .map_err(|e| code::SYNCER_UNSUPPORTED_STMT.error(e.to_string()))?;
        if let Some(error) = failed {
            return Err(code::GEN_TABLE_ROUTER.error(error.to_string()));
        }
        objects.sort();
        objects.dedup();
        Ok(Prepared {
            renamed: ddl::parse(&renamed, text.mode).map_err(internal)?,
            text: renamed,
            objects,
            settings: text.settings.clone(),
            end: text.end.clone(),
            number,
        })
    }

    /// Runs a statement once: everything before it is applied and noted, and a restart sees by the target's structure whether it was run.
    async fn run_statement(&mut self, prepared: &Prepared) -> Result<(), DmError> {
        self.drain().await?;
        let before = fingerprint(&mut self.ddl, &prepared.objects).await?;
        let here = DdlJournal {
            file: prepared.end.file.to_string(),
            pos: prepared.end.pos,
            number: prepared.number,
            before: before.clone(),
        };
        if let Some(earlier) = &self.state.ddl
            && (&earlier.file, earlier.pos, earlier.number) == (&here.file, here.pos, here.number)
        {
            if earlier.before != before {
                info!(sql = %String::from_utf8_lossy(&prepared.text), "the statement was run before the restart");
                self.forget_plans();
                return Ok(());
            }
        } else {
            self.journal(Some(here)).await?;
        }
        failpoint::hit("syncer-before-ddl");
        self.execute(prepared, &before).await?;
        failpoint::hit("syncer-after-ddl");
        self.forget_plans();
        Ok(())
    }

    async fn execute(&mut self, prepared: &Prepared, before: &str) -> Result<(), DmError> {
        let shown = String::from_utf8_lossy(&prepared.text).into_owned();
        info!(sql = %shown, "execute DDL");
        let mut tries = 0;
        loop {
            set_session(&mut self.ddl, &prepared.settings, self.source_zone.as_deref()).await?;
            let result = self.ddl.exec(&prepared.text).await;
            let Err(e) = result else { break };
            if e.is_connection_gone() && tries < 5 {
                tries += 1;
                warn!(sql = %shown, error = %e, "the connection was lost during a DDL");
                let id = self.ddl.id();
                self.ddl = session::connect_target(&self.config).await?;
                wait_for_end(&mut self.ddl, id).await?;
                if fingerprint(&mut self.ddl, &prepared.objects).await? != before {
                    break;
                }
                continue;
            }
            if e.code().is_some_and(|number| DONE.contains(&number)) {
                self.execute_changes(prepared, &e).await?;
                break;
            }
            return Err(refused(&shown, &e));
        }
        reset_session(&mut self.ddl, &self.config).await
    }

    /// One change of a statement is there already: the others are made one by one.
    async fn execute_changes(&mut self, prepared: &Prepared, first: &mysql::Error) -> Result<(), DmError> {
        let pieces = prepared.renamed.split_changes().unwrap_or_default();
        if pieces.len() < 2 {
            info!(error = %first, "the work of the DDL is done already");
            return Ok(());
        }
        for piece in pieces {
            let shown = String::from_utf8_lossy(piece.text()).into_owned();
            match self.ddl.exec(piece.text()).await {
                Ok(_) => {}
                Err(e) if e.code().is_some_and(|number| DONE.contains(&number)) => {
                    info!(sql = %shown, error = %e, "the work of the DDL is done already");
                }
                Err(e) => return Err(refused(&shown, &e)),
            }
        }
        Ok(())
    }

    /// All tables of the group have reached their statement: it goes to the coordinator.
    async fn propose(&mut self, target: TableName) -> Result<(), DmError> {
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
        };
        self.proposed.insert(target.clone(), ddl);
        let coordinator = Arc::clone(&self.coordinator);
        self.proposals.spawn(async move {
            let operation = coordinator.propose(info).await;
            (target, operation)
        });
        Ok(())
    }

    /// It is this source's turn: it runs or passes over the statement, and its tables go on.
    pub(super) async fn operate(
        &mut self,
        target: TableName,
        operation: Result<ShardOperation, ShardError>,
    ) -> Result<(), DmError> {
        let operation = operation.map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(e.to_string()))?;
        let Some(ddl) = self.proposed.get(&target).cloned() else { return Ok(()) };
        info!(target = %target, exec = operation.exec, ddls = ?operation.ddls, "shard DDL operation");
        self.drain().await?;
        if operation.exec {
            for prepared in &ddl.prepared {
                self.run_statement(prepared).await?;
            }
        } else {
            self.forget_plans();
        }
        self.proposed.remove(&target);
        let places = self.groups.resolve(&target);
        for (table, _) in &places {
            if let Some((piece, schema)) = self.held.remove(table) {
                self.track(&piece, &schema);
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
        self.acknowledge().await?;
        failpoint::hit("syncer-after-shard-done");
        if let Some(from) = from {
            self.reopen_at(from);
        }
        Ok(())
    }

    /// Tells the coordinator what was carried out, until it has taken note.
    pub(super) async fn acknowledge(&mut self) -> Result<(), DmError> {
        for operation in std::mem::take(&mut self.state.unacknowledged) {
            self.coordinator
                .done(operation)
                .await
                .map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(e.to_string()))?;
        }
        Ok(())
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

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Skipped,
    Ran,
    /// CREATE TABLE … SELECT: rows follow in the same transaction.
    OpensTransaction,
}

fn refused(sql: &str, e: &mysql::Error) -> DmError {
    error::database(
        &code::DB_EXECUTE_FAILED,
        Scope::Downstream,
        format!("execute statement failed: {sql}"),
        e,
    )
    .with_workaround(
        "Make the change on the target by hand in a form that it takes, or correct what it complains about, then use `resume-task`; \
         a statement whose work is already done on the target is passed over.",
    )
}

/// The statement in UTF-8, as far as its character set is known.
fn to_utf8<'a>(query: &'a Query<'_>) -> Cow<'a, [u8]> {
    let sql: &[u8] = &query.sql;
    if sql.is_ascii() {
        return Cow::Borrowed(sql);
    }
    let charset = query.status.charset.and_then(|c| Charset::of_collation(u32::from(c.client)));
    let mut out = Vec::new();
    match charset {
        Some(charset) if charset != Charset::Binary && charset.to_utf8(sql, &mut out) => Cow::Owned(out),
        _ => Cow::Borrowed(sql),
    }
}

async fn set_session(conn: &mut Conn, settings: &Settings, system_zone: Option<&str>) -> Result<(), DmError> {
    let zone = match settings.time_zone.as_deref() {
        Some("SYSTEM") | None => system_zone,
        zone => zone,
    };
    let mut sql = format!(
        "SET SESSION sql_mode={}, TIMESTAMP={}",
        quote_string(&settings.sql_mode),
        settings.timestamp
    );
    if let Some(zone) = zone {
        sql.push_str(&format!(", time_zone={}", quote_string(zone)));
    }
    conn.exec(&sql).await.map(drop).map_err(|e| {
        error::target("cannot set up the session for a DDL", &e).with_workaround(
            "If the target does not know the time zone, load its time zone tables (mysql_tzinfo_to_sql).",
        )
    })
}

async fn reset_session(conn: &mut Conn, config: &crate::config::SubtaskConfig) -> Result<(), DmError> {
    conn.exec("SET SESSION TIMESTAMP=DEFAULT, time_zone='+00:00'")
        .await
        .map_err(|e| error::target("cannot reset the session", &e))?;
    for sql in &session::target_endpoint(config).init {
        conn.exec(sql).await.map_err(|e| error::target("cannot reset the session", &e))?;
    }
    Ok(())
}

/// A hash of the structure of what a statement changes.
async fn fingerprint(conn: &mut Conn, objects: &[TableName]) -> Result<String, DmError> {
    let mut hash = blake3::Hasher::new();
    for object in objects {
        let sql = if object.table.is_empty() {
            format!("SHOW CREATE DATABASE {}", quote(&object.schema))
        } else {
            format!("SHOW CREATE TABLE {object}")
        };
        match conn.query_one(&sql).await {
            Ok(row) => {
                let text = row.as_ref().and_then(|row| row.at(1)).unwrap_or_default();
                hash.update(&without_auto_increment(text));
            }
            Err(e) if matches!(e.code(), Some(1146 | 1049)) => {
                hash.update(b"missing");
            }
            Err(e) => return Err(error::target(format!("cannot read the structure of {object}"), &e)),
        }
        hash.update(&[0]);
    }
    Ok(hash.finalize().to_hex()[..32].to_owned())
}

/// Rows move the counter, which is no part of the structure.
fn without_auto_increment(text: &[u8]) -> Vec<u8> {
    let mark = b" AUTO_INCREMENT=";
    match memchr::memmem::rfind(text, mark) {
        Some(at) => {
            let digits = text[at + mark.len()..].iter().take_while(|b| b.is_ascii_digit()).count();
            [&text[..at], &text[at + mark.len() + digits..]].concat()
        }
        None => text.to_vec(),
    }
}

/// Waits while a statement of a lost connection still runs at the server.
async fn wait_for_end(conn: &mut Conn, id: u32) -> Result<(), DmError> {
    loop {
        let rows = conn
            .query("SHOW PROCESSLIST")
            .await
            .map_err(|e| error::target("cannot list the target's connections", &e))?;
        let mut runs = false;
        for row in rows.iter() {
            runs |= row.parse::<u64>(0).ok().flatten() == Some(u64::from(id));
        }
        if !runs {
            return Ok(());
        }
        info!(connection = id, "the DDL still runs at the target");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
