//! What a worker asks of replication. [`crate::syncer`] is what answers; tests put something else in its place.

use std::sync::Arc;

use common::error::DmError;
use futures::future::BoxFuture;

use crate::{config::SubtaskConfig, proto::pb, shard::ShardCoordinator};

/// A subtask that was started.
///
/// Contract: calls do not overlap, except `status`, which may come at any time and never waits. After `stop` only
/// `status` is called. A unit that fails pauses itself, with the error in its status.
pub trait Unit: Send + Sync + 'static {
    /// The subtask as `query-status` shows it: `name`, `stage`, `unit`, `result`, the lock it waits for, `sync`.
    fn status(&self) -> pb::SubTaskStatus;
    /// Ends replication with its state written down; the stage is Paused when this returns. Nothing for a paused unit,
    /// but that its error no longer counts.
    fn pause(&self) -> BoxFuture<'_, ()>;
    /// Goes on from the checkpoint.
    fn resume(&self) -> BoxFuture<'_, ()>;
    /// The same after an error, when nobody has asked for it: not if another process has taken the subtask over.
    fn resume_unasked(&self) -> BoxFuture<'_, ()> {
        self.resume()
    }
    /// Handles a statement as an operator wants (`binlog skip` and the like); gives the text of `list`. Does not resume.
    fn handle_error<'a>(
        &'a self,
        request: &'a pb::HandleWorkerErrorRequest,
    ) -> BoxFuture<'a, Result<String, DmError>>;
    /// As `pause`, for good.
    fn stop(&self) -> BoxFuture<'_, ()>;
}

/// Makes units.
pub trait Starter: Send + Sync + 'static {
    /// Starts a subtask. Returns at once; what goes wrong is in the unit's status.
    ///
    /// # Errors
    /// The configuration cannot be run at all.
    fn start(
        &self,
        config: SubtaskConfig,
        coordinator: Arc<dyn ShardCoordinator>,
    ) -> BoxFuture<'_, Result<Arc<dyn Unit>, DmError>>;
}
