//! The subtasks of a worker: brought to what the master wants, kept there when it is away.
//!
//! States of a subtask: *failed to start* (its error is its status) or *has a unit*; the unit has the stages of
//! `query-status`. One call of [`Manager::apply`] at a time. What the master wants is a whole state: what is not in it
//! is stopped.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use common::{
    cipher::Key,
    error::{DmError, dm_codes as code},
};
use tracing::{error, info, warn};

use super::{
    auto_resume::{self, Backoff},
    coordinator::Remote,
    unit::{Starter, Unit},
};
use crate::{
    config::{SourceConfig, TaskConfig, yaml::CheckerYaml},
    proto::{control, pb, pb::sub_task_status::Status as UnitStatus},
    shard::ShardCoordinator,
    syncer::error::process_error,
};

const PAUSED: i32 = pb::Stage::Paused as i32;

/// See the module.
pub struct Manager {
    worker: String,
    starter: Arc<dyn Starter>,
    remote: Arc<Remote>,
    state: Mutex<State>,
    /// Held while subtasks are operated.
    operating: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    source_id: String,
    source_yaml: String,
    checker: CheckerYaml,
    subtasks: BTreeMap<String, Subtask>,
    /// The task that reads the binlog under the source's `server-id`: a second reader of one id ends the first one's.
    id_taken_by: Option<String>,
}

struct Subtask {
    wanted: control::DesiredTask,
    run: Run,
    backoff: Backoff,
}

#[derive(Clone)]
enum Run {
    Unit(Arc<dyn Unit>),
    Failed(DmError),
}

impl Manager {
    /// A worker without a source.
    pub fn new(worker: &str, starter: Arc<dyn Starter>, remote: Arc<Remote>) -> Self {
        Self {
            worker: worker.into(),
            starter,
            remote,
            state: Mutex::default(),
            operating: tokio::sync::Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the subtasks what the master wants. Returns when each has been started, paused, resumed or stopped.
    pub async fn apply(&self, desired: control::Desired) {
        let _one_at_a_time = self.operating.lock().await;
        let other_source = {
            let state = self.lock();
            state.source_id != desired.source_id || state.source_yaml != desired.source_yaml
        };
        if other_source {
            let names: Vec<String> = self.lock().subtasks.keys().cloned().collect();
            self.stop(names).await;
            let mut state = self.lock();
            if state.source_id != desired.source_id {
                info!(old = %state.source_id, new = %desired.source_id, "the worker's source changes");
            }
            state.source_id = desired.source_id.clone();
            state.source_yaml = desired.source_yaml.clone();
        }
        let dropped: Vec<String> = {
            let state = self.lock();
            let kept = |name: &String, subtask: &Subtask| {
                let generation = subtask.wanted.generation;
                desired.tasks.iter().any(|t| t.name == *name && t.generation == generation)
            };
            state.subtasks.iter().filter(|(name, s)| !kept(name, s)).map(|(name, _)| name.clone()).collect()
        };
        self.stop(dropped).await;
        if desired.tasks.is_empty() {
            return;
        }
        let source = source_config(&desired);
        if let Ok((source, _)) = &source {
            self.lock().checker = source.checker.clone();
        }
        let tasks = desired.tasks.iter().map(|task| self.apply_task(task, &source, &desired));
        futures::future::join_all(tasks).await;
    }

    async fn apply_task(
        &self,
        wanted: &control::DesiredTask,
        source: &Result<(SourceConfig, Option<Key>), DmError>,
        desired: &control::Desired,
    ) {
        let name = &wanted.name;
        let (known, run) = match self.lock().subtasks.get(name) {
            Some(s) => (Some(s.wanted.clone()), Some(s.run.clone())),
            None => (None, None),
        };
        let paused = wanted.stage == PAUSED;
        match (known, run) {
            (Some(known), Some(Run::Unit(unit))) => {
                if paused {
                    if known.stage != PAUSED {
                        info!("task-name" = %name, "a subtask is paused");
                    }
                    unit.pause().await;
                } else if (known.stage == PAUSED || known.resume_count != wanted.resume_count)
                    && unit.status().stage() != pb::Stage::Running
                {
                    info!("task-name" = %name, "a subtask is resumed");
                    unit.resume().await;
                }
            }
            // New, or tried again after it could not be started.
            _ => {
                let run = self.start(wanted, source).await;
                if let Run::Failed(e) = &run {
                    error!("task-name" = %name, source = %desired.source_id, error = %e, "a subtask cannot be started");
                }
                if let (true, Run::Unit(unit)) = (paused, &run) {
                    unit.pause().await;
                }
                let subtask = Subtask { wanted: wanted.clone(), run, backoff: Backoff::default() };
                self.lock().subtasks.insert(name.clone(), subtask);
                return;
            }
        }
        if let Some(subtask) = self.lock().subtasks.get_mut(name) {
            subtask.wanted = wanted.clone();
            subtask.backoff = Backoff::default();
        }
    }

    async fn start(
        &self,
        wanted: &control::DesiredTask,
        source: &Result<(SourceConfig, Option<Key>), DmError>,
    ) -> Run {
        let config = source.as_ref().map_err(Clone::clone).and_then(|(source, key)| {
            TaskConfig::parse(&wanted.task_yaml, &wanted.name, key.as_ref())?.subtask(source)
        });
        let mut config = match config {
            Ok(config) => config,
            Err(e) => return Run::Failed(e),
        };
        if *self.lock().id_taken_by.get_or_insert_with(|| wanted.name.clone()) != wanted.name {
            config.server_id = 0;
        }
        info!("task-name" = %wanted.name, source = %config.source_id, "a subtask is started");
        let coordinator: Arc<dyn ShardCoordinator> = self.remote.clone();
        match self.starter.start(config, coordinator).await {
            Ok(unit) => Run::Unit(unit),
            Err(e) => Run::Failed(e),
        }
    }

    async fn stop(&self, names: Vec<String>) {
        let stops = names.into_iter().map(|name| async move {
            let (run, source) = {
                let state = self.lock();
                let run = state.subtasks.get(&name).map(|s| s.run.clone());
                (run, state.source_id.clone())
            };
            if let Some(Run::Unit(unit)) = run {
                unit.stop().await;
            }
            {
                let mut state = self.lock();
                state.subtasks.remove(&name);
                if state.id_taken_by.as_deref() == Some(name.as_str()) {
                    state.id_taken_by = None;
                }
            }
            self.remote.forget(&name, &source);
            info!("task-name" = %name, source = %source, "a subtask is stopped");
        });
        futures::future::join_all(stops).await;
    }

    /// `binlog skip` and the like at a subtask, which goes on if an error has paused it.
    ///
    /// # Errors
    /// 40054 no such subtask; those of the unit.
    pub async fn handle_error(&self, request: &pb::HandleWorkerErrorRequest) -> Result<String, DmError> {
        let _one_at_a_time = self.operating.lock().await;
        let name = &request.task;
        let (run, wanted) = match self.lock().subtasks.get(name) {
            Some(subtask) => (subtask.run.clone(), subtask.wanted.stage),
            None => {
                return Err(
                    code::WORKER_SUB_TASK_NOT_FOUND.error(format!("sub task with name {name} not found"))
                );
            }
        };
        let unit = match run {
            Run::Unit(unit) => unit,
            Run::Failed(e) => return Err(e),
        };
        let text = unit.handle_error(request).await?;
        let goes_on = !matches!(request.op(), pb::ErrorOp::List | pb::ErrorOp::Revert);
        if goes_on && wanted != PAUSED && unit.status().stage() == pb::Stage::Paused {
            info!("task-name" = %name, "a subtask is resumed");
            unit.resume().await;
        }
        Ok(text)
    }

    /// Stops everything, for the end of the process.
    pub async fn shut_down(&self) {
        let _one_at_a_time = self.operating.lock().await;
        let names: Vec<String> = self.lock().subtasks.keys().cloned().collect();
        self.stop(names).await;
    }

    /// The source's id; empty for a free worker.
    pub fn source_id(&self) -> String {
        self.lock().source_id.clone()
    }

    /// The answer to `pb.Worker/QueryStatus`.
    pub fn query_status(&self, name: &str) -> pb::QueryStatusResponse {
        let state = self.lock();
        let of = |(name, subtask): (&String, &Subtask)| match &subtask.run {
            Run::Unit(unit) => unit.status(),
            Run::Failed(e) => failed_status(name, e),
        };
        let found: Vec<_> = match name {
            "" => state.subtasks.iter().map(of).collect(),
            name => state.subtasks.get_key_value(name).map(of).into_iter().collect(),
        };
        let sub_task_status = match (found.is_empty(), name) {
            (false, _) => found,
            (true, "") => vec![message("", "no sub task started")],
            (true, name) => vec![message(name, &format!("no sub task with name {name} has started"))],
        };
        pb::QueryStatusResponse {
            result: true,
            msg: String::new(),
            source_status: Some(pb::SourceStatus {
                source: state.source_id.clone(),
                worker: self.worker.clone(),
                result: None,
                relay_status: None,
            }),
            sub_task_status,
        }
    }

    /// Task and stage of every subtask, for the metrics.
    pub fn stages(&self) -> Vec<(String, i32)> {
        let status = self.query_status("").sub_task_status;
        status.into_iter().filter(|s| !s.name.is_empty()).map(|s| (s.name, s.stage)).collect()
    }

    /// Resumes subtasks that paused themselves on an error that may be over. Runs until dropped.
    pub async fn resume_by_itself(&self) {
        let mut tick = tokio::time::interval(Duration::from_secs(1));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let _one_at_a_time = self.operating.lock().await;
            for (name, run) in self.due() {
                match run {
                    Run::Unit(unit) => {
                        warn!("task-name" = %name, "dispatch auto resume task");
                        unit.resume_unasked().await;
                    }
                    Run::Failed(_) => {}
                }
            }
        }
    }

    /// Subtasks whose time to be resumed has come.
    fn due(&self) -> Vec<(String, Run)> {
        let mut state = self.lock();
        let checker = state.checker.clone();
        if !checker.check_enable {
            return Vec::new();
        }
        let now = Instant::now();
        let mut out = Vec::new();
        for (name, subtask) in &mut state.subtasks {
            let Run::Unit(unit) = &subtask.run else { continue };
            let status = unit.status();
            let wants_to_run = subtask.wanted.stage != PAUSED;
            let errors = status.result.as_ref().map(|r| r.errors.as_slice()).unwrap_or_default();
            if !wants_to_run || status.stage() != pb::Stage::Paused || errors.is_empty() {
                subtask.backoff.running(now, &checker);
                continue;
            }
            if let Some(reason) = errors.iter().find(|e| !auto_resume::may_be_over(e)) {
                if subtask.backoff.say_once() {
                    warn!("task-name" = %name, code = reason.err_code, error = %reason.message, "task can't auto resume");
                }
                continue;
            }
            if subtask.backoff.failed(now, &checker) {
                out.push((name.clone(), subtask.run.clone()));
            }
        }
        out
    }
}

fn source_config(desired: &control::Desired) -> Result<(SourceConfig, Option<Key>), DmError> {
    let key = match desired.secret_key.as_slice() {
        [] => None,
        bytes => Some(Key::from_bytes(bytes).map_err(|e| code::CONFIG_SECRET_KEY_PATH.wrap("", &e))?),
    };
    let source = SourceConfig::parse(&desired.source_yaml, &desired.source_id, key.as_ref())?;
    Ok((source, key))
}

fn message(name: &str, text: &str) -> pb::SubTaskStatus {
    pb::SubTaskStatus { name: name.into(), status: Some(UnitStatus::Msg(text.into())), ..Default::default() }
}

fn failed_status(name: &str, e: &DmError) -> pb::SubTaskStatus {
    pb::SubTaskStatus {
        name: name.into(),
        stage: PAUSED,
        unit: pb::UnitType::Sync.into(),
        result: Some(pb::ProcessResult {
            is_canceled: false,
            errors: vec![process_error(e)],
            detail: Vec::new(),
        }),
        ..Default::default()
    }
}
