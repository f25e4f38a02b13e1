//! What the outside sees of a subtask.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use mysql::Location;

use super::{
    operators::{Operator, Operators},
    place::{Place, Spot},
};
use crate::{config::SubtaskConfig, proto::pb};

/// What a running unit shows.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The last place all of whose rows are applied.
    pub position: Option<Spot>,
    /// Groups in the middle of a shard DDL.
    pub groups: Vec<pb::ShardingGroup>,
    /// Statements that wait for other sources.
    pub blocking: Vec<String>,
    /// The lock they wait for.
    pub lock: String,
    /// Time of the oldest row that is not applied; 0 for none.
    pub oldest: u32,
    /// Rows applied.
    pub rows: u64,
    /// Bytes sent to the target.
    pub sent: u64,
}

/// Where the statement begins on which a run has stopped; of a shard DDL, where it begins in each of the source's tables.
pub type FailedAt = Vec<Place>;

#[derive(Debug)]
struct Inner {
    stage: pb::Stage,
    result: Option<pb::ProcessResult>,
    view: View,
    master: Option<Location>,
    base_rows: u64,
    base_sent: u64,
    /// When the last rate was taken, at how many rows.
    rate_at: Instant,
    rate_rows: u64,
    recent: i64,
    operators: Operators,
    /// Set by a run that stops on a statement.
    failed_at: FailedAt,
    /// The global point of the last written checkpoint.
    flushed: Option<Place>,
    epoch: Option<u64>,
}

/// Shared by a subtask's tasks and its handle.
#[derive(Debug)]
pub struct Shared {
    task: String,
    started: Instant,
    inner: Mutex<Inner>,
    events: AtomicU64,
    read: AtomicU64,
}

impl Shared {
    /// For a subtask that is about to start.
    pub fn new(config: &SubtaskConfig) -> Self {
        Self {
            task: config.task.clone(),
            started: Instant::now(),
            inner: Mutex::new(Inner {
                stage: pb::Stage::New,
                result: None,
                view: View::default(),
                master: None,
                base_rows: 0,
                base_sent: 0,
                rate_at: Instant::now(),
                rate_rows: 0,
                recent: 0,
                operators: Operators::default(),
                failed_at: Vec::new(),
                flushed: None,
                epoch: None,
            }),
            events: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts rows events.
    pub fn add_event(&self) {
        self.events.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of the binlog.
    pub fn add_read(&self, bytes: u64) {
        self.read.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The stage now.
    pub fn stage(&self) -> pb::Stage {
        self.lock().stage
    }

    /// Enters a stage; a run begins without an old result.
    pub fn enter(&self, stage: pb::Stage, result: Option<pb::ProcessResult>) {
        let mut inner = self.lock();
        inner.stage = stage;
        inner.result = result;
        if matches!(stage, pb::Stage::Running | pb::Stage::Resuming) {
            inner.failed_at.clear();
        }
        if stage == pb::Stage::Running {
            // Counters go on over runs.
            inner.base_rows += inner.view.rows;
            inner.base_sent += inner.view.sent;
            inner.view.rows = 0;
            inner.view.sent = 0;
        } else {
            inner.view.oldest = 0;
        }
    }

    /// Shows what a unit says.
    pub fn show(&self, view: View) {
        self.lock().view = view;
    }

    /// What operators want of statements.
    pub fn set_operators(&self, operators: Operators) {
        self.lock().operators = operators;
    }

    /// What an operator wants of the statement that begins here.
    pub fn operator_at(&self, start: &Place) -> Option<Operator> {
        self.lock().operators.at(start).cloned()
    }

    /// The run stops on this statement.
    pub fn fail_at(&self, places: FailedAt) {
        self.lock().failed_at = places;
    }

    /// The statement on which the last run has stopped; empty if it was none.
    pub fn failed_at(&self) -> FailedAt {
        self.lock().failed_at.clone()
    }

    /// A checkpoint was written.
    pub fn set_flushed(&self, global: &Place) {
        self.lock().flushed = Some(global.clone());
    }

    /// The global point of the last checkpoint that this process has read or written.
    pub fn flushed(&self) -> Option<Place> {
        self.lock().flushed.clone()
    }

    /// The epoch that this process has, or saw first.
    pub fn epoch(&self) -> Option<u64> {
        self.lock().epoch
    }

    /// The subtask has this epoch.
    pub fn set_epoch(&self, epoch: u64) {
        self.lock().epoch = Some(epoch);
    }

    /// It is not known any more.
    pub fn forget_epoch(&self) {
        self.lock().epoch = None;
    }

    /// Where the source is.
    pub fn set_master(&self, location: Option<Location>) {
        self.lock().master = location;
    }

    /// The status in DM's form.
    pub fn status(&self) -> pb::SubTaskStatus {
        let mut inner = self.lock();
        let rows = inner.base_rows + inner.view.rows;
        let elapsed = inner.rate_at.elapsed().as_secs_f64();
        if elapsed >= 1.0 {
            inner.recent = ((rows - inner.rate_rows.min(rows)) as f64 / elapsed) as i64;
            inner.rate_rows = rows;
            inner.rate_at = Instant::now();
        }
        let seconds = self.started.elapsed().as_secs_f64().max(1.0);
        let average = (rows as f64 / seconds) as i64;
        let position = inner.view.position.as_ref();
        let (position, gtid) = position.map(|at| (at.place.to_string(), at.gtid_text())).unwrap_or_default();
        let master = inner.master.as_ref().map(Location::position_text).unwrap_or_default();
        let master_gtid =
            inner.master.as_ref().and_then(|m| m.gtid.as_ref()).map(ToString::to_string).unwrap_or_default();
        let synced = !position.is_empty() && position == master && inner.view.groups.is_empty();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let lag = if inner.view.oldest == 0 { 0 } else { now.saturating_sub(u64::from(inner.view.oldest)) };
        let total = i64::try_from(rows).unwrap_or(i64::MAX);
        let sync = pb::SyncStatus {
            total_events: total,
            total_tps: average,
            recent_tps: inner.recent,
            master_binlog: master,
            master_binlog_gtid: master_gtid,
            syncer_binlog: position,
            syncer_binlog_gtid: gtid,
            blocking_dd_ls: inner.view.blocking.clone(),
            unresolved_groups: inner.view.groups.clone(),
            synced,
            binlog_type: "remote".into(),
            seconds_behind_master: i64::try_from(lag).unwrap_or(i64::MAX),
            block_ddl_owner: String::new(),
            conflict_msg: String::new(),
            total_rows: total,
            total_rps: average,
            recent_rps: inner.recent,
        };
        pb::SubTaskStatus {
            name: self.task.clone(),
            stage: inner.stage as i32,
            unit: pb::UnitType::Sync as i32,
            result: inner.result.clone(),
            unresolved_ddl_lock_id: inner.view.lock.clone(),
            status: Some(pb::sub_task_status::Status::Sync(sync)),
            validation: None,
        }
    }
}
