//! Statements of the binlog: only kind and names are read before the filter; what is kept is parsed, renamed and run.

use std::{borrow::Cow, sync::Arc};

use binlog::Query;
use common::{
    error::{DmError, dm_codes as code},
    failpoint,
    ident::TableName,
};
use mysql::Flavor;
use sql::{
    Kind, SqlMode,
    classify::Classified,
    ddl::{self, Ddl, Statement},
    rename, table_info,
};
use tracing::info;

use super::{
    operators::{Operator, What},
    place::{Place, Spot},
    run_ddl::{Prepared, Settings},
    session,
    structures::VERSIONED_BY_TRANSACTION,
    unit::{Known, Unit},
};
use crate::config::Decision;

/// A statement's text in UTF-8 with what is known before any parse.
pub(super) struct Text<'a> {
    pub sql: Cow<'a, [u8]>,
    pub schema: String,
    pub mode: SqlMode,
    found: Classified,
    pub start: &'a Place,
    pub end: &'a Place,
    settings: Settings,
    /// What an operator wants of it.
    pub operator: Option<Operator>,
}

impl Text<'_> {
    pub(super) fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.sql);
        match text.char_indices().nth(1000) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text.into_owned(),
        }
    }

    /// Names with the default schema put in.
    pub(super) fn tables(&self) -> Vec<TableName> {
        self.found
            .tables
            .iter()
            .map(|t| TableName::new(t.schema.as_deref().unwrap_or(&self.schema), t.table.as_str()))
            .collect()
    }

    fn fail(&self, error: DmError, before: &Spot) -> DmError {
        error.annotate(&located_statement(self.start, self.end, before, &self.shown()))
    }

    /// The database that it is about.
    pub(super) fn database(&self) -> &str {
        self.found.database.as_deref().unwrap_or(&self.schema)
    }

    pub(super) fn not_understood(&self, e: &ddl::DdlError) -> DmError {
        code::SYNCER_PARSE_DDL.error(format!("parse DDL: {}", self.shown())).with_cause(e.to_string())
    }
}

/// Where a statement stands, as DM's errors begin.
pub(super) fn located_statement(start: &Place, end: &Place, before: &Spot, sql: &str) -> String {
    let gtid = before.gtid_text();
    format!(
        "startLocation: [position: {start}, gtid-set: {gtid}], endLocation: [position: {end}, gtid-set: {gtid}], origin SQL: [{sql}]: "
    )
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
        let sql = query.text();
        let found = sql::classify(&sql, mode);
        let inside = self.transaction.begun;
        self.place = end.clone();
        match found.kind {
            Kind::Begin => {
                self.transaction.open = true;
                self.transaction.begun = true;
                return Ok(());
            }
            Kind::Rollback | Kind::RollbackTo if self.transaction.rows > 0 => {
                self.rolled_back(&sql, start, end).await?;
                return if found.kind == Kind::Rollback { self.commit(end).await } else { Ok(()) };
            }
            Kind::Commit | Kind::Rollback => return self.commit(end).await,
            Kind::Xa => return self.xa(&sql, start, end).await,
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
            operator: self.shared.operator_at(start),
            sql,
        };
        let before = self.committed.clone();
        let outcome = match self.statement(&text).await {
            Ok(outcome) => outcome,
            Err(error) => {
                // Of rows before it, which had to arrive first: then it is not about the statement.
                self.check_lanes()?;
                self.shared.fail_at(vec![start.clone()]);
                return Err(text.fail(error, &before));
            }
        };
        if outcome == Outcome::Held {
            return Ok(());
        }
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
        for target in std::mem::take(&mut self.synced) {
            self.propose(target).await?;
        }
        Ok(())
    }

    /// Rows are taken back that were given to the target already. Servers cut them out of the transaction before they write it to
    /// the binlog, unless it has changed what has no transactions as well, or made a temporary table.
    async fn rolled_back(&mut self, sql: &[u8], start: &Place, end: &Place) -> Result<(), DmError> {
        let rows = self.transaction.rows;
        // Then they are there for who corrects them, and do not come again.
        self.drain().await?;
        let error = code::SYNCER_UNSUPPORTED_STMT
            .error(format!(
                "the source's binlog holds a transaction with {rows} rows of replicated tables before a statement that takes them, or some of \
                 them, back, and the target has them already"
            ))
            .with_workaround(
                "Correct these rows of the target by hand (mysqlbinlog shows them; `rsync-dm verify` finds them), and pass the statement over \
                 with `binlog skip` (`rsync-dm run`: --skip-ddl).",
            );
        self.refuse_unless_skipped(error, sql, start, end)
    }

    /// An error about a statement that cannot be applied, unless an operator has said to pass it over.
    pub(super) fn refuse_unless_skipped(
        &self,
        error: DmError,
        sql: &[u8],
        start: &Place,
        end: &Place,
    ) -> Result<(), DmError> {
        let shown = String::from_utf8_lossy(sql);
        if self.shared.operator_at(start).is_some_and(|operator| operator.what == What::Skip) {
            info!(sql = %shown, at = %start, "an operator passes over the statement");
            return Ok(());
        }
        self.shared.fail_at(vec![start.clone()]);
        Err(error.annotate(&located_statement(start, end, &self.committed, &shown)))
    }

    async fn statement(&mut self, text: &Text<'_>) -> Result<Outcome, DmError> {
        let kind = text.found.kind;
        if kind.is_skipped() || kind == Kind::Empty {
            return Ok(Outcome::Skipped);
        }
        if kind.is_dml() {
            for table in text.tables() {
                if let Known::Kept { .. } = self.known(&table.schema, &table.table)? {
                    if text.operator.as_ref().is_some_and(|o| o.what == What::Skip) {
                        info!(sql = %text.shown(), at = %text.start, "an operator passes over the statement");
                        return Ok(Outcome::Skipped);
                    }
                    let error = code::SYNC_UNIT_DML_STATEMENT_FOUND.error(format!(
                        "only support ROW format binlog, unexpected DML statement on {table} in query event"
                    ));
                    return Err(match self.flavor {
                        Flavor::MariaDb => error.with_workaround(format!(
                            "Set binlog_format = ROW at the source. MariaDB also logs so what changes tables that are versioned by transaction \
                             ids, whatever that says. {VERSIONED_BY_TRANSACTION}"
                        )),
                        _ => error,
                    });
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
            _ => {
                return match (self.unknown_statement(text), &text.operator) {
                    (Err(_), Some(operator)) => self.operated(text, operator).await,
                    (outcome, _) => outcome,
                };
            }
        }
        if !self.is_kept(text)? {
            return Ok(Outcome::Skipped);
        }
        match self.filter(text)? {
            Decision::Do => {}
            Decision::Skip => {
                info!(sql = %text.shown(), "statement filtered out");
                return self.left_out(text).await;
            }
            Decision::Refuse if text.operator.is_some() => {}
            Decision::Refuse => return Err(code::SYNCER_EVENT.error("a filter refuses this statement")),
        }
        if let Some(operator) = &text.operator {
            return self.operated(text, operator).await;
        }
        let parsed = ddl::parse(&text.sql, text.mode).map_err(|e| text.not_understood(&e))?;
        let opens = matches!(&parsed.statement, Statement::CreateTable(c) if c.start_transaction.is_some());
        let pieces = parsed.split().map_err(|e| code::SYNCER_PARSE_DDL.error(e.to_string()))?;
        if self.holds(&pieces, text)? {
            return Ok(Outcome::Held);
        }
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
    pub(super) async fn piece(
        &mut self,
        piece: &Ddl,
        number: usize,
        text: &Text<'_>,
    ) -> Result<bool, DmError> {
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
        self.tell_of_statement(&prepared.renamed, &subject);
        self.run_statement(&prepared).await?;
        if text.operator.is_some() {
            return Ok(true);
        }
        self.track(piece, &text.schema);
        for (table, _) in &kept {
            self.dirty.insert(table.clone(), text.end.clone());
        }
        if kept.is_empty() {
            self.dirty.insert(subject, text.end.clone());
        }
        Ok(true)
    }

    /// The spot after the transaction that ends at `end`.
    pub(super) fn after(&self, end: &Place) -> Spot {
        let mut executed = self.executed.clone();
        if let (Some(set), Some(gtid)) = (&mut executed, &self.transaction.gtid) {
            // Two families cannot meet in one stream.
            let _ = Arc::make_mut(set).add(gtid);
        }
        Spot { place: end.clone(), gtid: executed }
    }

    /// A table is gone with the event that ends at `end`.
    pub(super) fn forget(&mut self, table: &TableName, end: &Place) {
        let structure = self.tracker.table(&table.schema, &table.table);
        let info = structure.map(|structure| table_info::to_json(&structure));
        self.gone.insert(table.clone(), (self.after(end), info));
        self.tracker.forget_table(&table.schema, &table.table);
        self.state.joining.retain(|(_, late)| late != table);
        self.dirty.remove(table);
        if let Some(Known::Kept { plan, .. }) =
            self.known.get_mut(&table.schema).and_then(|tables| tables.get_mut(&table.table))
        {
            *plan = None;
        }
    }

    /// Applies a statement to the tracked structures. What cannot be followed is read anew with the next row.
    pub(super) fn track(&mut self, piece: &Ddl, schema: &str) {
        if let Statement::CreateTable(create) = &piece.statement {
            // What was found there before was a later table of the name.
            let name =
                TableName::new(create.table.schema.as_deref().unwrap_or(schema), create.table.table.as_str());
            if self.unproven.remove(&name) {
                self.tracker.forget_table(&name.schema, &name.table);
            }
        }
        match self.tracker.apply(piece, schema) {
            // Also those whose foreign keys follow a renamed parent.
            Ok(applied) => {
                let changed = applied.changed.into_iter();
                self.dirty.extend(
                    changed.map(|(schema, table)| (TableName::new(schema, table), self.place.clone())),
                );
            }
            Err(error) => {
                for table in piece.tables() {
                    self.tracker.forget_table(table.schema.as_deref().unwrap_or(schema), &table.table);
                }
                info!(error = %error, "the structure is not tracked over this statement, it is read again");
            }
        }
        for table in piece.tables() {
            self.gone
                .remove(&TableName::new(table.schema.as_deref().unwrap_or(schema), table.table.as_str()));
        }
        self.forget_plans();
    }

    pub(super) fn prepare(
        &mut self,
        piece: &Ddl,
        number: usize,
        text: &Text<'_>,
    ) -> Result<Prepared, DmError> {
        let internal = |e: ddl::DdlError| code::REWRITE_SQL.error(e.to_string());
        let mut again = ddl::parse(&piece.idempotent(), text.mode).map_err(internal)?;
        let mut is_for_target = true;
        if self.flavor == Flavor::MariaDb
            && self.target_flavor != Flavor::MariaDb
            && let Some(rest) = again.without_versioning()
        {
            info!(sql = %text.shown(), "the target has no system versioning: it gets the statement without it");
            is_for_target = !rest.is_empty();
            if is_for_target {
                again = ddl::parse(&rest, text.mode).map_err(internal)?;
            }
        }
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
            text: if is_for_target { renamed } else { Vec::new() },
            objects,
            settings: text.settings.clone(),
            end: text.end.clone(),
            number,
            operator: text.operator.as_ref().map(Operator::mark).unwrap_or_default(),
        })
    }
}

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Skipped,
    Ran,
    /// CREATE TABLE … SELECT: rows follow in the same transaction.
    OpensTransaction,
    /// It will be read again when the group that it waits for has run its statement.
    Held,
}
