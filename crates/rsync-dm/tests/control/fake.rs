//! A unit that replicates nothing, and says what it was told.

use std::sync::{Arc, Mutex};

use common::error::DmError;
use futures::future::BoxFuture;
use rsync_dm::{
    config::SubtaskConfig,
    proto::pb::{self, sub_task_status::Status},
    shard::ShardCoordinator,
    worker::{Starter, Unit},
};

/// All units ever started.
#[derive(Default)]
pub(crate) struct Units(Mutex<Vec<Arc<Fake>>>);

pub(crate) struct Fake {
    pub config: SubtaskConfig,
    pub coordinator: Arc<dyn ShardCoordinator>,
    stage: Mutex<pb::Stage>,
    pub error: Mutex<Option<pb::ProcessError>>,
}

impl Units {
    /// The unit of a source that was started last.
    pub fn last(&self, source: &str) -> Option<Arc<Fake>> {
        self.0.lock().unwrap().iter().rev().find(|u| u.config.source_id == source).cloned()
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Starter for Units {
    fn start(
        &self,
        config: SubtaskConfig,
        coordinator: Arc<dyn ShardCoordinator>,
    ) -> BoxFuture<'_, Result<Arc<dyn Unit>, DmError>> {
        let unit = Arc::new(Fake {
            config,
            coordinator,
            stage: Mutex::new(pb::Stage::Running),
            error: Mutex::default(),
        });
        self.0.lock().unwrap().push(Arc::clone(&unit));
        Box::pin(async move { Ok(unit as Arc<dyn Unit>) })
    }
}

impl Fake {
    fn set(&self, stage: pb::Stage) {
        *self.stage.lock().unwrap() = stage;
        *self.error.lock().unwrap() = None;
    }

    pub fn stage(&self) -> pb::Stage {
        *self.stage.lock().unwrap()
    }

    /// As a unit that meets an error.
    pub fn fail(&self, code: i32, message: &str) {
        self.set(pb::Stage::Paused);
        *self.error.lock().unwrap() =
            Some(pb::ProcessError { err_code: code, message: message.into(), ..Default::default() });
    }
}

impl Unit for Fake {
    fn status(&self) -> pb::SubTaskStatus {
        let errors: Vec<_> = self.error.lock().unwrap().clone().into_iter().collect();
        pb::SubTaskStatus {
            name: self.config.task.clone(),
            stage: self.stage().into(),
            unit: pb::UnitType::Sync.into(),
            result: (!errors.is_empty()).then_some(pb::ProcessResult {
                is_canceled: false,
                errors,
                detail: Vec::new(),
            }),
            status: Some(Status::Sync(pb::SyncStatus::default())),
            ..Default::default()
        }
    }

    fn pause(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.set(pb::Stage::Paused) })
    }

    fn resume(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.set(pb::Stage::Running) })
    }

    fn handle_error<'a>(
        &'a self,
        request: &'a pb::HandleWorkerErrorRequest,
    ) -> BoxFuture<'a, Result<String, DmError>> {
        Box::pin(async move { Ok(request.binlog_pos.clone()) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.set(pb::Stage::Stopped) })
    }
}
