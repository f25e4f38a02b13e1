//! One run of a subtask: from its start to a pause or an error.
//!
//! Owner of everything is the [`Unit`]; it is driven by one task. Lanes apply rows, a reader reads ahead, proposals of shard DDL
//! wait in tasks of their own; all of them end with the unit.
//!
//! Invariants
//! 1. `committed` is the end of the last transaction all of whose rows are with the scheduler.
//! 2. A checkpoint is written only for a place all of whose rows are applied (its mark is reached).
//! 3. Before a statement runs on the target, every row before it is applied and the checkpoint stands right before it.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use binlog::Decoder;
use common::{error::DmError, ident::TableName, route::Routed};
use mysql::{Conn, Flavor, Gtid, GtidSet, wire::Refusal};
use sql::schema::{Table, Tracker};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    acks::Acks,
    apply::Lanes,
    coverage::Applied,
    error,
    keys::RowKeys,
    place::{Place, Spot},
    plan::TablePlan,
    reader::{Batch, Reader},
    safe::Safe,
    scheduler::{Limits, Scheduler},
    shared::Shared,
};
use crate::{
    checkpoint::{Ledger, Points, State, Store},
    config::{ShardMode, SubtaskConfig},
    shard::{Groups, ShardCoordinator, ShardError, ShardOperation},
};

/// Most bytes of rows that are decoded and not applied.
const APPLY_BUDGET: usize = 64 << 20;

/// Most bytes of the binlog that are read and not decoded.
pub(super) const READ_BUDGET: usize = 32 << 20;

/// Units that may wait for each lane.
const QUEUE: u64 = 4;

/// Bytes at which a target transaction takes no more rows.
const UNIT_BYTES: usize = 1 << 20;

/// Server ids that are given up to other replicas before the subtask pauses.
const MOST_CLASHES: u32 = 5;

/// Time between two marks of progress.
const MARK_EVERY: Duration = Duration::from_millis(20);

/// How long the end of the transaction that is being read is waited for at a stop.
const WAIT_ON_STOP: Duration = Duration::from_secs(2);

/// How long a source takes to refuse a place; one that has nothing to send says nothing else.
const REFUSED_WITHIN: Duration = Duration::from_secs(1);

/// When at a stop everything that still waits (for locks, a statement, a server) is given up. The ledger tells what was done.
const STOP_LIMIT: Duration = Duration::from_secs(4);

/// How long the last checkpoint may take.
const LAST_FLUSH: Duration = Duration::from_millis(1500);

/// How long the goodbye to the target may take.
const GOODBYE: Duration = Duration::from_millis(500);

/// A checkpoint of an idle source is not delayed to the full interval.
const IDLE_FLUSH: Duration = Duration::from_secs(1);

/// What is known about an upstream table's name.
#[derive(Debug, Clone)]
pub(super) enum Known {
    /// Filtered out.
    Excluded,
    /// Replicated.
    Kept {
        /// Upstream name.
        table: TableName,
        /// Where it goes.
        routed: Arc<Routed>,
        /// Made with the first row.
        plan: Option<Arc<TablePlan>>,
    },
}

/// Everything up to `spot` is with the scheduler.
pub(super) struct Mark {
    pub spot: Spot,
    /// Units that hold rows before it.
    pub lanes: Vec<u64>,
    /// Units that hold no row after it: their ledger entries can go when the checkpoint is here.
    pub clean: Vec<u64>,
    pub timestamp: u32,
}

/// The transaction that is being read.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub open: bool,
    /// By a statement or event; else a single statement ends it.
    pub begun: bool,
    pub gtid: Option<Gtid>,
    /// It is prepared and decided about later.
    pub xa: Option<super::xa::Xa>,
    /// Rows given to the scheduler or left out, of tables that are replicated.
    pub rows: u64,
}

/// See the module.
pub struct Unit {
    pub(super) config: Arc<SubtaskConfig>,
    pub(super) shared: Arc<Shared>,
    pub(super) coordinator: Arc<dyn ShardCoordinator>,
    pub(super) flavor: Flavor,
    pub(super) target_flavor: Flavor,
    /// The target misreads doubles in JSON.
    pub(super) misreads_doubles: bool,
    /// 0: one that no other replica has is still to be chosen.
    pub(super) server_id: u32,
    /// How often another replica came with the same id.
    pub(super) clashes: u32,
    /// For checkpoints.
    pub(super) meta: Conn,
    /// For DDL and structures.
    pub(super) ddl: Conn,
    pub(super) store: Store,
    pub(super) ledger: Arc<Ledger>,
    /// Rows beyond the checkpoint that an earlier process has applied.
    pub(super) applied: Applied,
    pub(super) state: State,
    pub(super) lanes: Lanes,
    pub(super) scheduler: Scheduler,
    pub(super) reader: Option<Reader>,
    pub(super) decoder: Decoder,
    /// Where the reader is.
    pub(super) place: Place,
    pub(super) committed: Spot,
    /// Since the stream was opened by GTID: it has come to where file and position say the same as `executed`. Before, the server
    /// sends places (of the file it begins with) that lie before transactions of the set.
    pub(super) placed: bool,
    /// Where the run began, and who says so.
    pub(super) started_at: Spot,
    pub(super) origin: &'static str,
    /// `meta` says where to start and the source has not yet sent anything from there: no checkpoint is written. Since when it is asked.
    pub(super) unproven_since: Option<Instant>,
    /// Transactions up to `committed`, if they are known.
    pub(super) executed: Option<Arc<GtidSet>>,
    pub(super) transaction: Transaction,
    /// Rows to leave out at the begin of the transaction, since they were taken before the reader was opened anew.
    pub(super) skip_rows: u64,
    pub(super) points: Points<Spot>,
    /// In GTID mode: points read from the checkpoint.
    pub(super) gtid_points: HashMap<TableName, GtidSet>,
    pub(super) groups: Groups<Spot>,
    pub(super) known: HashMap<String, HashMap<String, Known>>,
    pub(super) tracker: Tracker,
    pub(super) targets: HashMap<TableName, Arc<Table>>,
    /// Plans by target.
    pub(super) siblings: HashMap<TableName, Vec<Weak<TablePlan>>>,
    /// Tables with events since their row was written, with the end of the last one.
    pub(super) dirty: HashMap<TableName, Place>,
    /// Dropped tables whose row in the checkpoint is still to go: where that was, and the last structure. The row stays until nothing
    /// before that place can be read again.
    pub(super) gone: HashMap<TableName, (Spot, Option<String>)>,
    /// Tables whose tracked structure is a guess.
    pub(super) unproven: HashSet<TableName>,
    /// Statements that members of open groups have met: applied to the tracker when the group goes on.
    pub(super) held: HashMap<TableName, super::operated::Held>,
    pub(super) safe: Safe,
    pub(super) marks: VecDeque<Mark>,
    pub(super) last_mark: Instant,
    /// The last place all of whose rows are applied.
    pub(super) low: Spot,
    /// Its [`Mark::clean`].
    pub(super) low_clean: Vec<u64>,
    /// Where the last row of `applied` ends.
    pub(super) applied_end: Option<Place>,
    /// The last written checkpoint.
    pub(super) flushed: Spot,
    pub(super) flushed_at: Instant,
    pub(super) rows_since_flush: bool,
    pub(super) proposals: JoinSet<Answer>,
    /// Operations carried out that the coordinator is being told of.
    pub(super) acks: Acks,
    /// Statements of groups that wait for their operation.
    pub(super) proposed: HashMap<TableName, super::shard_ddl::ShardDdl>,
    /// Statements of groups that not all tables have reached.
    pub(super) proposed_parts: HashMap<TableName, super::shard_ddl::ShardDdl>,
    /// Groups whose last table has just reached their statement.
    pub(super) synced: BTreeSet<TableName>,
    /// What `SYSTEM` means as a time zone of the source.
    pub(super) source_zone: Option<String>,
    pub(super) keys: Vec<RowKeys>,
    pub(super) binlog_timestamp: u32,
    /// The source writes what its foreign keys do to the binlog.
    pub(super) cascades_logged: bool,
    /// Foreign keys of the target that act, kept until a DDL.
    pub(super) target_actions: Option<BTreeSet<super::cascades::Action>>,
    /// Tables whose foreign keys that act were told of.
    pub(super) told_of: HashSet<TableName>,
    /// A group whose statement has to be run before reading goes on.
    pub(super) hold: Option<super::shard_ddl::Hold>,
    /// The statement that has waited last.
    pub(super) hold_over: Option<Place>,
    /// Parents whose changes met a table that waits for a shard DDL: the warning was given.
    pub(super) told_of_waiting: HashSet<TableName>,
}

type Answer = (TableName, Result<ShardOperation, ShardError>);

fn joined(done: Result<Answer, tokio::task::JoinError>) -> Result<Answer, DmError> {
    done.map_err(|e| common::error::dm_codes::SYNCER_UNIT_PANIC.error(e.to_string()))
}

impl Unit {
    pub(super) fn limits(config: &SubtaskConfig) -> Limits {
        let rows = config.syncer.batch.max(1);
        // A lane that lags behind gets larger transactions.
        Limits {
            rows,
            most_rows: rows.saturating_mul(8).clamp(rows, 10_000.max(rows)),
            most_bytes: UNIT_BYTES,
        }
    }

    /// Replicates until `stop` or an error. What is applied is flushed in both cases. After `stop` it ends within seconds, whatever locks the
    /// target waits for.
    ///
    /// # Errors
    /// What an operator has to see.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), DmError> {
        let given_up = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_LIMIT).await;
            Instant::now()
        };
        tokio::pin!(given_up);
        let result = tokio::select! {
            biased;
            result = self.replicate(&stop) => result,
            _ = &mut given_up => {
                self.give_up().await;
                return Ok(());
            }
        };
        let end = match &result {
            Ok(()) => {
                let drained = tokio::select! {
                    biased;
                    drained = self.drain_at_end() => Some(drained),
                    _ = &mut given_up => None,
                };
                self.finish(drained).await
            }
            Err(_) => {
                self.flush_at_end().await;
                Ok(())
            }
        };
        self.publish();
        let goodbye = futures::future::join(self.meta.close(), self.ddl.close());
        // One that does not hear it sees the sockets close.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
        result.and(end)
    }

    async fn replicate(&mut self, stop: &CancellationToken) -> Result<(), DmError> {
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut stopping: Option<Instant> = None;
        self.end_former_statement().await?;
        loop {
            self.check_lanes()?;
            if stop.is_cancelled() {
                let since = *stopping.get_or_insert_with(Instant::now);
                if !self.is_inside() || since.elapsed() > WAIT_ON_STOP {
                    return Ok(());
                }
            }
            if self.reader.is_none() && !self.is_held() {
                if !self.open_reader(stop).await? {
                    return Ok(());
                }
                continue;
            }
            let room = self.has_room();
            let reader = self.reader.as_mut();
            let progress = Arc::clone(&self.lanes.progress);
            tokio::select! {
                biased;
                () = progress.changed() => {}
                Some(done) = self.proposals.join_next(), if !self.transaction.open && self.skip_rows == 0 => {
                    let (target, operation) = joined(done)?;
                    self.operate(target, operation).await?;
                }
                Some(told) = self.acks.next() => self.acks.taken(told, &mut self.state.unacknowledged)?,
                batch = next_of(reader), if room => match batch {
                    Ok(batch) => self.batch(batch).await?,
                    Err(error) => self.lost(error)?,
                },
                _ = tick.tick() => {}
                () = stop.cancelled(), if stopping.is_none() => {}
            }
            self.after_step().await?;
        }
    }

    /// Whether another batch may be decoded.
    pub(super) fn has_room(&self) -> bool {
        self.scheduler.in_flight() < QUEUE * self.config.syncer.worker_count.max(1) as u64
            && self.scheduler.bytes() < APPLY_BUDGET
    }

    /// Waits until there is room again.
    pub(super) async fn make_room(&mut self) -> Result<(), DmError> {
        loop {
            self.collect()?;
            if self.has_room() {
                return Ok(());
            }
            self.scheduler.flush(false);
            self.send_closed();
            let progress = Arc::clone(&self.lanes.progress);
            // The time is only a net: lanes say when they have done something.
            let _ = tokio::time::timeout(Duration::from_millis(500), progress.changed()).await;
        }
    }

    pub(super) fn send_closed(&mut self) {
        for unit in self.scheduler.take_closed() {
            self.lanes.send(unit);
        }
    }

    pub(super) fn check_lanes(&self) -> Result<(), DmError> {
        match self.lanes.progress.failure() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Takes note of what lanes have done.
    pub(super) fn collect(&mut self) -> Result<(), DmError> {
        for lane in 0..self.config.syncer.worker_count.max(1) {
            self.scheduler.complete(lane, self.lanes.progress.done(lane));
        }
        while let Some(mark) = self.marks.front()
            && self.scheduler.is_reached(&mark.lanes)
            && let Some(mark) = self.marks.pop_front()
        {
            self.low = mark.spot;
            self.low_clean = mark.clean;
        }
        // By what is applied and not by where the reader is: the next checkpoint still needs the points in between.
        if !self.points.is_empty() {
            self.points.trim(&self.low);
        }
        self.check_lanes()
    }

    pub(super) async fn after_step(&mut self) -> Result<(), DmError> {
        self.collect()?;
        let drained = self.reader.as_ref().is_none_or(Reader::is_empty);
        if drained {
            self.mark(true);
            // Lanes that have nothing to do begin at once; the others gather more.
            self.scheduler.flush(false);
        }
        self.send_closed();
        self.collect()?;
        if self.unproven_since.is_some_and(|since| self.reader.is_some() && since.elapsed() > REFUSED_WITHIN)
        {
            self.confirm_start().await?;
        }
        self.flush_if_due().await?;
        self.publish();
        Ok(())
    }

    /// The source sends from the start that `meta` names: from here on the checkpoint is there, and the ledger complete.
    pub(super) async fn confirm_start(&mut self) -> Result<(), DmError> {
        match self.unproven_since.take() {
            Some(_) => self.flush_low(false).await,
            None => Ok(()),
        }
    }

    /// Whether the scheduler has, or may soon have, a part of a transaction: of one that is being read, or of one that was cut and will be
    /// read again.
    pub(super) fn is_inside(&self) -> bool {
        self.transaction.open || self.skip_rows > 0
    }

    /// Whether units hold rows that lie after `committed`.
    pub(super) fn has_rows_beyond(&self) -> bool {
        self.transaction.rows > 0 || self.skip_rows > 0
    }

    /// Notes the place, so that it can be seen when everything before it is applied. Not inside a transaction: its rows
    /// lie after the place.
    pub(super) fn mark(&mut self, force: bool) {
        if self.has_rows_beyond() {
            return;
        }
        let last = self.marks.back().map_or(&self.low, |m| &m.spot);
        if *last == self.committed || !force && self.last_mark.elapsed() < MARK_EVERY {
            return;
        }
        self.last_mark = Instant::now();
        self.marks.push_back(Mark {
            spot: self.committed.clone(),
            lanes: self.scheduler.mark(),
            clean: self.scheduler.closed(),
            timestamp: self.binlog_timestamp,
        });
    }

    /// Waits until every row taken so far is applied.
    pub(super) async fn drain(&mut self) -> Result<(), DmError> {
        self.mark(true);
        self.scheduler.flush(true);
        self.send_closed();
        loop {
            self.collect()?;
            if self.scheduler.is_idle() {
                self.scheduler.reset_keys();
                return Ok(());
            }
            let progress = Arc::clone(&self.lanes.progress);
            let _ = tokio::time::timeout(Duration::from_millis(500), progress.changed()).await;
        }
    }

    async fn batch(&mut self, batch: Batch) -> Result<(), DmError> {
        self.shared.add_read(batch.size() as u64);
        for n in 0..batch.len() {
            if let Err(error) = self.frame(batch.frame(n)).await {
                // What precedes it is not lost with the place of the error.
                let drained = tokio::time::timeout(WAIT_ON_STOP, self.drain()).await;
                return Err(drained.ok().and_then(Result::err).unwrap_or(error));
            }
            if !self.is_inside()
                && let Some(done) = self.proposals.try_join_next()
            {
                let (target, operation) = joined(done)?;
                self.operate(target, operation).await?;
            }
            if self.reader.is_none() {
                // It was sent back; the rest of the batch comes again.
                return Ok(());
            }
            if !self.has_room() {
                self.make_room().await?;
            }
        }
        Ok(())
    }

    /// The reader starts anew from a spot before the present one; the tables' points make everything else be passed over.
    pub(super) fn reopen_at(&mut self, spot: Spot) {
        info!(from = %spot.place, at = %self.place, "reading again what shard tables had to leave out");
        self.executed = spot.gtid.clone();
        self.committed = spot.clone();
        self.place = spot.place;
        self.transaction = Transaction::default();
        self.skip_rows = 0;
        self.marks.clear();
        self.low = self.committed.clone();
        self.low_clean = self.scheduler.closed();
        self.reader = None;
    }

    /// The stream ended: it is opened again from the last whole transaction.
    fn lost(&mut self, error: mysql::Error) -> Result<(), DmError> {
        self.reader = None;
        if Refusal::of(&error) == Some(Refusal::ServerIdClash) && self.clashes < MOST_CLASHES {
            // Another replica, maybe another task of this process, has come with our id.
            self.clashes += 1;
            self.server_id = 0;
        } else if !error.class().is_transient() {
            return Err(self.refused(&error));
        }
        warn!(error = %error, from = %self.committed.place, "the binlog stream broke, opening it again");
        // Rows of a transaction that was cut before as well are counted only as far as they have come again.
        self.skip_rows += self.transaction.rows;
        self.transaction = Transaction::default();
        self.place = self.committed.place.clone();
        Ok(())
    }

    /// Waits for everything that is with the lanes.
    async fn drain_at_end(&mut self) -> Result<(), DmError> {
        self.reader = None;
        self.proposals.abort_all();
        if self.is_inside() {
            // A transaction that did not end in time: its rows stay in the ledger.
            info!(at = %self.place, "stopped inside a transaction");
        }
        self.drain().await
    }

    /// Writes the last checkpoint of a run that was stopped. `None`: not everything was applied in time.
    async fn finish(&mut self, drained: Option<Result<(), DmError>>) -> Result<(), DmError> {
        match drained {
            Some(Ok(())) => {
                self.lanes.stop().await;
                let clean = !self.is_inside() && self.low == self.committed;
                match tokio::time::timeout(LAST_FLUSH, self.flush_low(clean)).await {
                    Ok(flushed) => return flushed,
                    Err(_) => {
                        info!("the last checkpoint was not written in time, the ledger has what is applied")
                    }
                }
            }
            Some(Err(error)) => {
                self.flush_at_end().await;
                return Err(error);
            }
            None => self.flush_at_end().await,
        }
        Ok(())
    }

    /// Ends the lanes, and notes what is applied as far as that can be done: the ledger has it too.
    async fn flush_at_end(&mut self) {
        self.reader = None;
        self.proposals.abort_all();
        self.lanes.kill().await;
        // An error here adds nothing to the one that stopped the unit.
        let _ = self.collect();
        match tokio::time::timeout(LAST_FLUSH, self.flush_low(false)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                info!(error = %error, "the last checkpoint was not written, the ledger has what is applied")
            }
            Err(_) => info!("the last checkpoint was not written in time, the ledger has what is applied"),
        }
    }

    /// Ends in the middle of something, as a kill would.
    async fn give_up(&mut self) {
        info!(at = %self.place, "what is under way does not end in time and is given up");
        self.reader = None;
        self.proposals.abort_all();
        self.lanes.kill().await;
        let mut sessions = Vec::new();
        if self.meta.is_broken() {
            sessions.push(self.meta.id());
        }
        if self.ddl.is_broken() && !self.goes_on(self.ddl.id()).await {
            sessions.push(self.ddl.id());
        }
        super::apply::kill(&super::session::target_endpoint(&self.config), &sessions).await;
        self.publish();
    }

    async fn flush_if_due(&mut self) -> Result<(), DmError> {
        let age = self.flushed_at.elapsed();
        let overdue = age >= self.config.syncer.checkpoint_flush_interval;
        let idle = self.rows_since_flush && age >= IDLE_FLUSH && self.marks.is_empty();
        if (overdue || idle) && self.low != self.flushed {
            self.flush_low(false).await?;
        } else if overdue && !self.meta.is_broken() {
            // Nothing to write, which would have told.
            if let Ok(false) = self.ledger.is_owner(&mut self.meta).await {
                return Err(error::taken_over());
            }
            self.flushed_at = Instant::now();
        }
        Ok(())
    }

    pub(super) fn is_sharded(&self) -> bool {
        self.config.shard_mode == ShardMode::Pessimistic
    }
}

/// What a reader has read; nothing while there is none.
async fn next_of(reader: Option<&mut Reader>) -> mysql::Result<Batch> {
    match reader {
        Some(reader) => reader.next().await,
        None => std::future::pending().await,
    }
}
