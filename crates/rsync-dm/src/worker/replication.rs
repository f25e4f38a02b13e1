//! The unit of a real worker: [`crate::syncer`].

use std::sync::Arc;

use common::error::DmError;
use futures::future::BoxFuture;

use super::unit::{Starter, Unit};
use crate::{
    config::SubtaskConfig,
    proto::pb,
    shard::ShardCoordinator,
    syncer::{SubtaskHandle, Syncer},
};

/// Starts replication.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replication;

impl Starter for Replication {
    fn start(
        &self,
        config: SubtaskConfig,
        coordinator: Arc<dyn ShardCoordinator>,
    ) -> BoxFuture<'_, Result<Arc<dyn Unit>, DmError>> {
        Box::pin(async move {
            let handle = Syncer::start(config, coordinator);
            Ok(Arc::new(Running(handle)) as Arc<dyn Unit>)
        })
    }
}

struct Running(SubtaskHandle);

impl Unit for Running {
    fn status(&self) -> pb::SubTaskStatus {
        self.0.status()
    }

    fn pause(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.pause())
    }

    fn resume(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.resume())
    }

    fn resume_unasked(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.resume_unasked())
    }

    fn handle_error<'a>(
        &'a self,
        request: &'a pb::HandleWorkerErrorRequest,
    ) -> BoxFuture<'a, Result<String, DmError>> {
        Box::pin(self.0.handle_error(request))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.stop())
    }
}
