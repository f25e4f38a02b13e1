//! DDL on tables of a sharding group: it waits until all tables of the target have it, and is run by one source.

use std::sync::Arc;

use common::{
    error::{DmError, dm_codes as code},
    failpoint,
    ident::{TableName, quote_string},
};
use sql::ddl::{Ddl, Statement};
use tracing::info;

use super::{canonical::canonical, run_ddl::Prepared, statements::Text, unit::Unit};
use crate::shard::{Reached, ShardError, ShardInfo, ShardOperation, lock_id};

/// A shard DDL of a group that waits for its operation.
#[derive(Debug, Clone)]
pub(super) struct ShardDdl {
    /// As compared and shown.
    pub canonical: Vec<String>,
    prepared: Vec<Prepared>,
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
                info!(table = %subject, target = %target, sql = %prepared.shown(), synced, "shard DDL reached");
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
        self.acks.tell(&self.state.unacknowledged);
        if let Some(from) = from {
            self.reopen_at(from);
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
