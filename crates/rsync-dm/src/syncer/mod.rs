//! The sync unit: follows a source's binlog and applies it to the target.
//!
//! [`Syncer::start`] gives a [`SubtaskHandle`]; everything else is inside. What a run guarantees:
//! - rows arrive as they are at the source, byte for byte where character sets allow it;
//! - a run that was stopped or killed at any moment goes on exactly: the ledger ([`crate::checkpoint`]) says which rows are applied, so none
//!   is applied twice or left out, in tables without keys too. Only when replication begins at a checkpoint of somebody else, or goes on at another
//!   source server after a kill, safe mode makes up for what is not known, which needs keys;
//! - what the filter excludes never stops it; what it keeps and does not understand always does, with its text.

mod acks;
mod apply;
mod begun;
mod binlog_command;
mod blame;
mod blank;
mod canonical;
mod cascades;
pub mod coverage;
mod dml;
mod done;
pub mod error;
mod events;
mod flush;
mod keys;
mod operated;
mod operators;
pub mod place;
mod plan;
mod reader;
mod rows;
mod run_ddl;
mod safe;
mod scheduler;
mod session;
mod shard_ddl;
mod shared;
mod start;
mod statements;
mod structures;
mod turns;
mod unit;
mod xa;

use std::{sync::Arc, time::Duration};

use common::error::{DmError, dm_codes};
use futures::FutureExt;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tracing::{Instrument, error, info, info_span};

pub(crate) use self::cascades::are_logged as cascades_are_logged;
pub(crate) use self::structures::{VERSIONED_BY_TRANSACTION, is_versioned_by_transaction};
pub use self::xa::KnownXa;
pub use self::{
    binlog_command::handle_before_start,
    session::{connect_source, connect_target, target_endpoint},
};
use self::{shared::Shared, unit::Unit};
use crate::{config::SubtaskConfig, proto::pb, shard::ShardCoordinator};

/// Time between two looks at where the source is.
const LOOK_AT_SOURCE: Duration = Duration::from_secs(1);

/// How long a resume waits to see what comes of it.
const RESUME_WAIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// The number tells one `resume` from the next; `asked` by somebody, who may mean to take the subtask from another process.
    Running {
        number: u64,
        asked: bool,
    },
    Paused,
    Stopped,
}

/// Starts subtasks.
#[derive(Debug, Clone, Copy)]
pub struct Syncer;

impl Syncer {
    /// Starts a subtask in tasks of its own. Returns at once; what goes wrong is in the status.
    pub fn start(config: SubtaskConfig, coordinator: Arc<dyn ShardCoordinator>) -> SubtaskHandle {
        let shared = Arc::new(Shared::new(&config));
        let wanted = watch::Sender::new(Wanted::Running { number: 0, asked: true });
        let settled = watch::Sender::new(());
        let span = info_span!("subtask", task = %config.task, source = %config.source_id);
        let config = Arc::new(config);
        let runner = Runner {
            config: Arc::clone(&config),
            shared: Arc::clone(&shared),
            coordinator,
            wanted: wanted.subscribe(),
            settled: settled.clone(),
        };
        let watcher = watch_source(Arc::clone(&config), Arc::clone(&shared)).instrument(span.clone());
        SubtaskHandle {
            config,
            shared,
            settled: settled.subscribe(),
            wanted,
            _runner: AbortOnDropHandle::new(tokio::spawn(runner.run().instrument(span))),
            _watcher: AbortOnDropHandle::new(tokio::spawn(watcher)),
        }
    }
}

/// A started subtask. Dropping it ends the subtask at once, as a kill would; [`stop`](Self::stop) first writes the checkpoint.
#[derive(Debug)]
pub struct SubtaskHandle {
    config: Arc<SubtaskConfig>,
    shared: Arc<Shared>,
    wanted: watch::Sender<Wanted>,
    settled: watch::Receiver<()>,
    _runner: AbortOnDropHandle<()>,
    _watcher: AbortOnDropHandle<()>,
}

impl SubtaskHandle {
    /// The subtask as `query-status` shows it. Never waits.
    pub fn status(&self) -> pb::SubTaskStatus {
        self.shared.status()
    }

    /// Ends the run with its checkpoint written; returns when it is paused. An error it has paused on no longer counts.
    pub async fn pause(&self) {
        self.wanted.send_replace(Wanted::Paused);
        self.wait_for(|stage| !is_busy(stage)).await;
        self.shared.enter(pb::Stage::Paused, Some(canceled()));
    }

    /// Goes on from the checkpoint; returns when that runs, has failed, or takes long. Cancel-safe.
    pub async fn resume(&self) {
        self.run_again(true).await;
    }

    /// As [`resume`](Self::resume), of its own accord after an error: not if another process has taken the subtask over meanwhile.
    pub async fn resume_unasked(&self) {
        self.run_again(false).await;
    }

    async fn run_again(&self, asked: bool) {
        // At once, so that nobody takes the error of before for that of this run.
        self.shared.enter(pb::Stage::Resuming, None);
        self.wanted.send_modify(|wanted| {
            let number = match *wanted {
                Wanted::Running { number, .. } => number + 1,
                _ => 0,
            };
            *wanted = Wanted::Running { number, asked };
        });
        let settled = self.wait_for(|stage| !matches!(stage, pb::Stage::New | pb::Stage::Resuming));
        // Whoever resumes must stay able to stop.
        let _ = tokio::time::timeout(RESUME_WAIT, settled).await;
    }

    /// Ends the subtask with its checkpoint written.
    pub async fn stop(&self) {
        self.wanted.send_replace(Wanted::Stopped);
        self.wait_for(|stage| stage == pb::Stage::Stopped).await;
    }

    /// Waits until the subtask is paused, by an error or on request.
    pub async fn wait_paused(&self) {
        self.wait_for(|stage| stage == pb::Stage::Paused || stage == pb::Stage::Stopped).await;
    }

    async fn wait_for(&self, reached: impl Fn(pb::Stage) -> bool) {
        let mut settled = self.settled.clone();
        loop {
            settled.borrow_and_update();
            if reached(self.shared.stage()) || settled.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Whether a run is under way or about to begin.
fn is_busy(stage: pb::Stage) -> bool {
    matches!(stage, pb::Stage::New | pb::Stage::Running | pb::Stage::Resuming)
}

fn canceled() -> pb::ProcessResult {
    pb::ProcessResult { is_canceled: true, errors: Vec::new(), detail: Vec::new() }
}

struct Runner {
    config: Arc<SubtaskConfig>,
    shared: Arc<Shared>,
    coordinator: Arc<dyn ShardCoordinator>,
    wanted: watch::Receiver<Wanted>,
    settled: watch::Sender<()>,
}

impl Runner {
    async fn run(mut self) {
        let mut again = None;
        loop {
            let wanted = *self.wanted.borrow_and_update();
            match wanted {
                Wanted::Stopped => {
                    self.enter(pb::Stage::Stopped, Some(canceled()));
                    return;
                }
                Wanted::Paused => {
                    again = None;
                    self.enter(pb::Stage::Paused, Some(canceled()));
                }
                Wanted::Running { asked, .. } => {
                    // A run that ended to begin anew was the owner.
                    let unasked = !asked || again == Some(wanted);
                    again = Some(wanted);
                    if self.shared.stage() != pb::Stage::New {
                        self.enter(pb::Stage::Resuming, None);
                    }
                    match self.run_once(wanted, unasked).await {
                        // Something else is wanted now, or the same anew.
                        Ok(()) => continue,
                        Err(error) => {
                            again = None;
                            error!(error = %error, "the subtask is paused");
                            let errors = vec![error::process_error(&error)];
                            self.enter(
                                pb::Stage::Paused,
                                Some(pb::ProcessResult { is_canceled: false, errors, detail: Vec::new() }),
                            );
                        }
                    }
                }
            }
            if self.wanted.changed().await.is_err() {
                return;
            }
        }
    }

    fn enter(&self, stage: pb::Stage, result: Option<pb::ProcessResult>) {
        info!(stage = stage.as_str_name(), "subtask stage");
        self.shared.enter(stage, result);
        self.settled.send_replace(());
    }

    /// Runs until something else is wanted.
    async fn run_once(&mut self, wanted: Wanted, unasked: bool) -> Result<(), DmError> {
        let stop = CancellationToken::new();
        let mut changes = self.wanted.clone();
        let this = &*self;
        let work = async {
            let unit = tokio::select! {
                unit = Unit::start(Arc::clone(&self.config), Arc::clone(&self.shared), Arc::clone(&self.coordinator), unasked) => unit?,
                () = stop.cancelled() => return Ok(()),
            };
            this.enter(pb::Stage::Running, None);
            unit.run(stop.clone()).await
        };
        // A defect must not take other subtasks down.
        let work = std::panic::AssertUnwindSafe(work).catch_unwind();
        tokio::pin!(work);
        let result = tokio::select! {
            result = &mut work => result,
            () = async {
                while *changes.borrow_and_update() == wanted && changes.changed().await.is_ok() {}
            } => {
                stop.cancel();
                work.await
            }
        };
        result.unwrap_or_else(|_| {
            Err(dm_codes::SYNCER_UNIT_PANIC.error("the sync unit panicked; its log has the place"))
        })
    }
}

/// Keeps an eye on where the source is.
async fn watch_source(config: Arc<SubtaskConfig>, shared: Arc<Shared>) {
    let mut conn = None;
    loop {
        if conn.is_none() {
            conn = session::connect_source(&config).await.ok();
        }
        if let Some(open) = conn.as_mut() {
            match mysql::session::binlog_location(open).await {
                Ok(location) => shared.set_master(location),
                // The run itself says what is wrong with the source.
                Err(_) => conn = None,
            }
        }
        tokio::time::sleep(LOOK_AT_SOURCE).await;
    }
}
