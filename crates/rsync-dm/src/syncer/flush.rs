//! Checkpoints of a running unit, and what it shows of itself.

use std::time::Duration;

use common::{
    error::{DmError, dm_codes as code},
    ident::TableName,
};
use sql::table_info;
use tracing::debug;

use super::{error, place::Spot, shared::View, unit::Unit};
use crate::{
    checkpoint::{DdlJournal, Flush, Ledger},
    proto::pb,
    shard::lock_id,
};

/// Tries to write a checkpoint.
const MOST_TRIES: u32 = 6;

impl Unit {
    /// Writes the checkpoint of the last place all of whose rows are applied. `clean`: nothing after it is applied either, so that a later
    /// start needs no safe mode.
    pub(super) async fn flush_low(&mut self, clean: bool) -> Result<(), DmError> {
        if self.unproven_since.is_some() {
            return Ok(());
        }
        let (spot, mark) = (self.low.clone(), self.low_clean.clone());
        self.write(spot, mark, clean, Vec::new()).await
    }

    /// Writes the checkpoint of a place before which everything is applied (after [`drain`](Self::drain)).
    pub(super) async fn flush_drained(&mut self, spot: Spot, sharding: Vec<String>) -> Result<(), DmError> {
        // Units with rows of a transaction that is still being read are not covered: then those of the last mark are.
        let mark = if self.has_rows_beyond() { self.low_clean.clone() } else { self.scheduler.closed() };
        self.low = spot.clone();
        self.low_clean = mark.clone();
        self.marks.clear();
        self.write(spot, mark, false, sharding).await
    }

    async fn write(
        &mut self,
        low: Spot,
        mark: Vec<u64>,
        clean: bool,
        sharding: Vec<String>,
    ) -> Result<(), DmError> {
        let global = match self.groups.first() {
            Some(first) if *first < low => first.clone(),
            _ => low.clone(),
        };
        if global.place.pos > u64::from(u32::MAX) && !self.config.enable_gtid {
            // The column has no room for it; the ledger keeps what is applied until the next file begins.
            if self.state.ddl.is_some() {
                return Err(code::SYNCER_UNSUPPORTED_STMT.error(format!(
                    "a DDL at {} cannot be noted before it runs, as `binlog_pos` of the checkpoint ends at 4 GiB",
                    global.place
                )).with_workaround("Set `enable-gtid: true` in the source's configuration and start the task again."));
            }
            if let Ok(false) = self.ledger.is_owner(&mut self.meta).await {
                return Err(error::taken_over());
            }
            self.flushed_at = std::time::Instant::now();
            return Ok(());
        }
        let mut tables = self.table_rows(&low);
        let (buried, gone): (Vec<_>, Vec<_>) = self.gone.iter().partition(|(_, (at, _))| global < *at);
        tables.extend(
            buried.iter().map(|(table, (at, info))| ((*table).clone(), at.min(&low).clone(), info.clone())),
        );
        let gone: Vec<TableName> = gone.into_iter().map(|(table, _)| table.clone()).collect();
        let covers_earlier = self.applied_end.as_ref().is_none_or(|end| global.place >= *end);
        self.state.safe_until = self.safe.pending();
        self.state.members = self.members();
        self.forget_xa(&global.place);
        let flush = Flush {
            exit: (clean && self.state.safe_until.is_none() && global == low).then(|| global.clone()),
            global,
            tables,
            gone,
            sharding,
            state: self.state.clone(),
            mark,
            covers_earlier,
        };
        self.write_flush(&flush).await?;
        self.shared.set_flushed(&flush.global.place);
        if covers_earlier {
            self.applied.clear();
            self.applied_end = None;
        }
        self.gone.retain(|table, _| !flush.gone.contains(table));
        self.dirty.retain(|_, last| *last > low.place);
        self.rows_since_flush = !self.dirty.is_empty();
        self.flushed = low;
        self.flushed_at = std::time::Instant::now();
        Ok(())
    }

    /// Writes it; repeated where that may help: it writes the same again whether or not it was written.
    async fn write_flush(&mut self, flush: &Flush) -> Result<(), DmError> {
        for attempt in 0.. {
            let Err(e) = self.store.flush(&mut self.meta, &self.ledger, flush).await else { break };
            if Ledger::is_fenced(&e) {
                return Err(error::taken_over());
            }
            if attempt >= MOST_TRIES || !e.class().is_transient() {
                return Err(error::target("cannot write the checkpoint", &e));
            }
            debug!(error = %e, "the checkpoint is written again");
            if e.is_connection_gone() {
                tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
                if let Ok(conn) = super::session::connect_target(&self.config).await {
                    self.meta = conn;
                }
            }
        }
        Ok(())
    }

    /// Rows of changed tables, as everything before `low` is applied.
    fn table_rows(&self, low: &Spot) -> Vec<(TableName, Spot, Option<String>)> {
        self.dirty
            .keys()
            .filter(|table| !self.gone.contains_key(*table))
            .filter_map(|table| {
                let own = self.points.of(table).filter(|point| *point > low).unwrap_or(low);
                // What a waiting table has before its statement may not be applied yet.
                let spot = self
                    .groups
                    .open()
                    .flat_map(|(_, group)| group.reached())
                    .find(|(member, _)| *member == table)
                    .map_or(own, |(_, at)| own.min(&at.start));
                // A row read from the checkpoint may already say more, in the form of a GTID set: then it stays.
                let stays = match (self.gtid_points.get(table), &spot.gtid) {
                    (Some(point), Some(here)) => !here.contains(point),
                    (Some(_), None) => true,
                    (None, _) => false,
                };
                let info = self
                    .tracker
                    .table(&table.schema, &table.table)
                    .map(|structure| table_info::to_json(&structure));
                (!stays).then(|| (table.clone(), spot.clone(), info))
            })
            .collect()
    }

    fn members(&self) -> std::collections::BTreeMap<String, Vec<TableName>> {
        self.groups
            .iter()
            .map(|(target, group)| {
                let mut all: Vec<TableName> = group.reached().map(|(table, _)| table.clone()).collect();
                all.extend(group.unsynced().cloned());
                all.sort();
                (target.quoted(), all)
            })
            .collect()
    }

    /// Notes that a statement is about to run, in the checkpoint right before it.
    pub(super) async fn journal(&mut self, journal: Option<DdlJournal>) -> Result<(), DmError> {
        self.state.ddl = journal;
        self.flush_drained(self.committed.clone(), Vec::new()).await
    }

    /// Shows the state to the outside.
    pub(super) fn publish(&self) {
        let groups = self
            .groups
            .open()
            .map(|(target, group)| pb::ShardingGroup {
                target: target.quoted(),
                dd_ls: group.ddls().to_vec(),
                first_location: group.first().map(ToString::to_string).unwrap_or_default(),
                synced: group.reached().map(|(table, _)| table.quoted()).collect(),
                unsynced: group.unsynced().map(TableName::quoted).collect(),
            })
            .collect();
        let waiting = self.proposed.iter().next();
        let idle = self.scheduler.is_idle();
        self.shared.show(View {
            position: Some(self.low.clone()),
            groups,
            blocking: waiting.map(|(_, ddl)| ddl.canonical.clone()).unwrap_or_default(),
            lock: waiting
                .map(|(target, _)| lock_id(&self.config.task, &target.schema, &target.table))
                .unwrap_or_default(),
            oldest: if idle { 0 } else { self.marks.front().map_or(self.binlog_timestamp, |m| m.timestamp) },
            rows: self.lanes.progress.rows(),
            sent: self.lanes.progress.bytes(),
        });
    }
}
