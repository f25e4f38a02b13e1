//! Statements of which an operator wants something else (`binlog skip | replace | inject`), and those that the filter leaves out.
//!
//! Whatever is run on the target: the source has run the original, so its tables' structures follow that. What cannot be
//! followed is read anew from the source with the next row.

use common::{
    error::{DmError, dm_codes as code},
    ident::TableName,
};
use sql::ddl::{self, Ddl, Statement};
use tracing::info;

use super::{
    operators::{Operator, What},
    place::Place,
    statements::{Outcome, Text},
    unit::{Known, Unit},
};
use crate::shard::lock_id;

/// A statement that tables of a group have met: what their structures follow when the group goes on, and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// The original's pieces on the table; `None`: it is not understood.
    pub pieces: Option<Vec<Ddl>>,
    /// The default schema of names.
    pub schema: String,
    /// Where its event begins.
    pub start: Place,
    /// Where its event ends.
    pub end: Place,
    /// The original.
    pub sql: String,
}

impl Unit {
    /// Does what the operator wants in place of the statement.
    pub(super) async fn operated(
        &mut self,
        text: &Text<'_>,
        operator: &Operator,
    ) -> Result<Outcome, DmError> {
        let (subject, target) = self.subject_of(text)?;
        if self.is_not_due(&subject, target.as_ref(), text) {
            return Ok(Outcome::Skipped);
        }
        let parsed = ddl::parse(&text.sql, text.mode);
        let original = parsed.as_ref().ok().and_then(|parsed| parsed.split().ok());
        info!(
            sql = %text.shown(), at = %text.start, what = ?operator.what, with = %operator.sqls.join("; "),
            "an operator wants something else of the statement"
        );
        if let Some(target) = target.as_ref().filter(|_| self.is_sharded()) {
            self.withdraw(target).await?;
        }
        let mut pieces = Vec::new();
        for sql in &operator.sqls {
            let parsed = ddl::parse(sql.as_bytes(), text.mode).map_err(|e| {
                code::SYNCER_PARSE_DDL.error(format!("parse DDL: {sql}")).with_cause(e.to_string())
            })?;
            pieces.extend(parsed.split().map_err(|e| code::SYNCER_PARSE_DDL.error(e.to_string()))?);
        }
        if operator.what == What::Inject {
            parsed.as_ref().map_err(|e| text.not_understood(e))?;
            pieces.extend(original.clone().unwrap_or_default());
        }
        let opens = parsed.as_ref().is_ok_and(
            |p| matches!(&p.statement, Statement::CreateTable(create) if create.start_transaction.is_some()),
        );
        let together = match &target {
            Some(target) if self.is_sharded() => self.gather(&pieces, text, &subject, target)?,
            _ => Vec::new(),
        };
        for (number, piece) in pieces.iter().enumerate() {
            if !together.iter().any(|(n, _)| *n == number) {
                self.piece(piece, number, text).await?;
            }
        }
        match target.filter(|_| !together.is_empty()) {
            Some(target) => {
                let held = self.held(text, original.as_deref());
                self.reach_group(&together, text, &subject, &target, held)?;
                Ok(Outcome::Skipped)
            }
            None => {
                self.drain().await?;
                self.follow(text, original.as_deref()).await?;
                self.state.ddl = None;
                Ok(if opens { Outcome::OpensTransaction } else { Outcome::Ran })
            }
        }
    }

    /// Nothing is run of a statement that the filter leaves out.
    pub(super) async fn left_out(&mut self, text: &Text<'_>) -> Result<Outcome, DmError> {
        let (subject, target) = self.subject_of(text)?;
        if self.is_not_due(&subject, target.as_ref(), text) {
            return Ok(Outcome::Skipped);
        }
        // The checkpoint has one structure for all rows that come after it.
        self.drain().await?;
        match ddl::parse(&text.sql, text.mode).and_then(|parsed| parsed.split()) {
            Ok(original) => self.follow(text, Some(&original)).await?,
            Err(_) => {
                // It may have changed columns: the next rows show that.
                for name in text.tables() {
                    if let Known::Kept { table, .. } = self.known(&name.schema, &name.table)? {
                        self.unproven.insert(table);
                    }
                }
                self.forget_plans();
            }
        }
        Ok(Outcome::Ran)
    }

    /// Whether it was met before, or will be met again when the group goes on.
    fn is_not_due(&self, subject: &TableName, target: Option<&TableName>, text: &Text<'_>) -> bool {
        let waits = target.is_some_and(|target| self.groups.is_waiting(target, subject));
        self.is_done(subject, text.end) || self.is_sharded() && waits
    }

    /// What this source may have proposed for the target before a restart does not hold any more.
    async fn withdraw(&mut self, target: &TableName) -> Result<(), DmError> {
        if self.proposed.contains_key(target) {
            return Ok(());
        }
        // What it has carried out has to be known first.
        let lock = lock_id(&self.config.task, &target.schema, &target.table);
        while self.state.unacknowledged.iter().any(|operation| operation.id == lock)
            && let Some(told) = self.acks.next().await
        {
            self.acks.taken(told, &mut self.state.unacknowledged)?;
        }
        self.announce(Some(target)).await
    }

    /// The first replicated table that the statement names, with its target; else its schema.
    fn subject_of(&mut self, text: &Text<'_>) -> Result<(TableName, Option<TableName>), DmError> {
        for name in text.tables() {
            if let Known::Kept { table, routed, .. } = self.known(&name.schema, &name.table)? {
                return Ok((table, Some(routed.name())));
            }
        }
        Ok((TableName::new(text.database(), ""), None))
    }

    /// Those statements of an operator that wait for the other tables of the shard's target, all in one.
    fn gather(
        &mut self,
        pieces: &[Ddl],
        text: &Text<'_>,
        subject: &TableName,
        target: &TableName,
    ) -> Result<Vec<(usize, Ddl)>, DmError> {
        let mut together = Vec::new();
        for (number, piece) in pieces.iter().enumerate() {
            use Statement as S;
            if matches!(
                piece.statement,
                S::TruncateTable { .. }
                    | S::DropTable { .. }
                    | S::DropDatabase { .. }
                    | S::CreateDatabase { .. }
                    | S::AlterDatabase { .. }
                    | S::RenameTable { .. }
                    | S::CreateTable(_)
            ) {
                continue;
            }
            for table in piece.tables() {
                let name =
                    TableName::new(table.schema.as_deref().unwrap_or(&text.schema), table.table.as_str());
                if name != *subject {
                    return Err(code::SYNCER_UNSUPPORTED_STMT
                        .error(format!(
                            "an operator's statement concerns {name}, the one in the binlog {subject}, a shard of {target}: {}",
                            String::from_utf8_lossy(piece.text())
                        ))
                        .with_workaround(
                            "Set it again with the table of the original statement (`binlog replace`, `binlog inject`), or take it back \
                             with `binlog revert`.",
                        ));
                }
            }
            together.push((number, piece.clone()));
        }
        Ok(together)
    }

    pub(super) fn held(&self, text: &Text<'_>, original: Option<&[Ddl]>) -> Held {
        Held {
            pieces: original.map(<[Ddl]>::to_vec),
            schema: text.schema.clone(),
            start: text.start.clone(),
            end: text.end.clone(),
            sql: text.shown(),
        }
    }

    /// The structure of a table whose group goes on.
    pub(super) fn follow_held(&mut self, table: &TableName, held: &Held) {
        match &held.pieces {
            Some(pieces) => pieces.iter().for_each(|piece| self.track(piece, &held.schema)),
            None => self.read_anew(table),
        }
    }

    /// What is tracked of it is not right any more.
    fn read_anew(&mut self, table: &TableName) {
        self.tracker.forget_table(&table.schema, &table.table);
        self.forget_plans();
    }

    /// Structures and groups follow a statement that the source has run, whatever was run on the target.
    async fn follow(&mut self, text: &Text<'_>, original: Option<&[Ddl]>) -> Result<(), DmError> {
        let Some(original) = original else {
            for name in text.tables() {
                if let Known::Kept { table, .. } = self.known(&name.schema, &name.table)? {
                    self.read_anew(&table);
                    self.dirty.insert(table, text.end.clone());
                }
            }
            return Ok(());
        };
        for piece in original {
            let mut kept = Vec::new();
            for table in piece.tables() {
                let schema = table.schema.as_deref().unwrap_or(&text.schema);
                if let Known::Kept { table, routed, .. } = self.known(schema, &table.table)? {
                    self.dirty.insert(table.clone(), text.end.clone());
                    kept.push((table, routed.name()));
                }
            }
            // The last structures of tables that go are still needed.
            match &piece.statement {
                Statement::DropTable { .. } => {
                    self.leave(&kept, text.end);
                    continue;
                }
                Statement::DropDatabase { name, .. } => {
                    let members = self.members_in(name);
                    self.leave(&members, text.end);
                }
                _ => {}
            }
            self.track(piece, &text.schema);
            match &piece.statement {
                Statement::RenameTable { .. } => {
                    self.leave(&kept[..kept.len().min(1)], text.end);
                    self.join(&kept[kept.len().min(1)..]);
                }
                Statement::CreateTable(_) => self.join(&kept[..kept.len().min(1)]),
                _ => {}
            }
        }
        if self.is_sharded() {
            self.announce_tables().await?;
        }
        Ok(())
    }

    /// Tables that are gone at the source: no group waits for them any more.
    fn leave(&mut self, tables: &[(TableName, TableName)], end: &Place) {
        for (table, target) in tables {
            if self.groups.leave(target, table) {
                self.synced.insert(target.clone());
            }
            self.forget(table, end);
        }
    }

    /// New tables of groups; one in the middle of a statement gets them after it.
    fn join(&mut self, tables: &[(TableName, TableName)]) {
        for (table, target) in tables.iter().filter(|_| self.is_sharded()).cloned().collect::<Vec<_>>() {
            if self.groups.add(&target, &table).is_err() {
                self.state.joining.push((target, table));
            }
        }
    }

    /// The statement of a group is settled: tables that were made meanwhile are its members from now on.
    pub(super) async fn join_late(&mut self, target: &TableName) -> Result<(), DmError> {
        let all = std::mem::take(&mut self.state.joining);
        let (late, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|(of, _)| of == target);
        self.state.joining = others;
        if late.is_empty() {
            return Ok(());
        }
        self.join(&late.into_iter().map(|(target, table)| (table, target)).collect::<Vec<_>>());
        self.announce_tables().await
    }
}
