//! `start-task`, `pause-task`, `resume-task`, `stop-task`: change the state, then wait until the workers follow.

use std::{sync::Arc, time::Instant};

use common::error::{DmError, dm_codes as code};
use tracing::info;

use super::{
    Master,
    scheduler::{Expect, go_list},
};
use crate::{check, config::TaskConfig, proto::pb};

/// What a subtask is waited for to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Running,
    Paused,
    Gone,
}

impl Master {
    pub(super) async fn start_task(&self, request: pb::StartTaskRequest) -> pb::StartTaskResponse {
        let mut response = pb::StartTaskResponse::default();
        let prepared = self.prepare(&request.task, &request.sources);
        let (config, sources) = match prepared {
            Ok(prepared) => prepared,
            Err(e) => {
                response.msg = e.to_string();
                return response;
            }
        };
        let begins = match self.begins(&config, &sources, &request.start_time).await {
            Ok(begins) => begins,
            Err(e) => {
                response.msg = e.to_string();
                return response;
            }
        };
        match self.check(&config, &sources, &begins, check::Limits::default()).await {
            Ok(report) => response.check_result = report,
            Err(e) => {
                response.check_result = e.to_string();
                response.msg = "the check before the start failed, see checkResult".into();
                return response;
            }
        }
        match self.start(&config, &sources, &begins, request.remove_meta).await {
            Ok(answers) => {
                response.result = answers.iter().all(|a| a.result);
                response.sources = answers;
            }
            Err(e) => response.msg = e.to_string(),
        }
        response
    }

    pub(super) async fn check_task(&self, request: pb::CheckTaskRequest) -> pb::CheckTaskResponse {
        let limit = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        let limits = check::Limits { errors: limit(request.err_cnt), warnings: limit(request.warn_cnt) };
        let result = match self.prepare(&request.task, &[]) {
            Ok((config, sources)) => match self.begins(&config, &sources, &request.start_time).await {
                Ok(begins) => self.check(&config, &sources, &begins, limits).await,
                Err(e) => Err(e),
            },
            Err(e) => Err(e),
        };
        match result {
            Ok(msg) => pb::CheckTaskResponse { result: true, msg },
            Err(e) => pb::CheckTaskResponse { result: false, msg: e.to_string() },
        }
    }

    /// The checked task and the sources that are meant.
    fn prepare(&self, text: &str, asked: &[String]) -> Result<(Arc<TaskConfig>, Vec<String>), DmError> {
        let config = TaskConfig::parse(text, "task file", self.config.key.as_ref())?;
        let all: Vec<String> = config.source_ids().map(str::to_owned).collect();
        if let Some(foreign) = asked.iter().find(|s| !all.contains(s)) {
            return Err(code::CONFIG_SOURCE_ID_NOT_FOUND
                .error(format!("source {foreign} is not in mysql-instances of task {}", config.name())));
        }
        let sources: Vec<String> =
            all.into_iter().filter(|s| asked.is_empty() || asked.contains(s)).collect();
        if let Some(unknown) = sources.iter().find(|s| !self.lock().scheduler.has_source(s)) {
            return Err(super::scheduler::unknown_source(unknown));
        }
        Ok((Arc::new(config), sources))
    }

    /// Where `--start-time` lets each source begin; nothing without one.
    async fn begins(
        &self,
        config: &TaskConfig,
        sources: &[String],
        start_time: &str,
    ) -> Result<check::Begins, DmError> {
        let mut begins = check::Begins::new();
        if start_time.is_empty() {
            return Ok(begins);
        }
        for source in sources.iter().filter_map(|s| self.lock().scheduler.source(s)) {
            let location = crate::start_time::locate(&config.subtask(&source)?, start_time).await?;
            info!(source = %source.source_id, "start-time" = start_time, at = %location, "the start time is found in the binlog");
            begins.insert(source.source_id.clone(), location);
        }
        Ok(begins)
    }

    async fn check(
        &self,
        config: &TaskConfig,
        sources: &[String],
        begins: &check::Begins,
        limits: check::Limits,
    ) -> Result<String, DmError> {
        let sources: Vec<_> = sources.iter().filter_map(|s| self.lock().scheduler.source(s)).collect();
        check::run(config, &sources, begins, limits).await
    }

    async fn start(
        &self,
        config: &Arc<TaskConfig>,
        sources: &[String],
        begins: &check::Begins,
        remove_meta: bool,
    ) -> Result<Vec<pb::CommonWorkerResponse>, DmError> {
        self.lock().scheduler.check_new(config.name(), sources)?;
        if remove_meta {
            if !self.lock().scheduler.sources_of(config.name()).is_empty() {
                return Err(code::SCHEDULER_SUB_TASK_EXIST.error(format!(
                    "task {} runs for other sources: its state tables cannot be removed",
                    config.name()
                )));
            }
            check::remove_meta(config).await?;
        }
        check::begin_at(config, begins).await?;
        let generation = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |d| u64::try_from(d.as_nanos()).unwrap_or(u64::MAX));
        // Checked again under the lock: of two starts at once one comes too late.
        self.change(|scheduler, locks, effects| {
            if remove_meta {
                effects.extend(locks.remove(config.name(), sources, &[]));
            }
            scheduler.add_task(config, sources, generation)
        })?;
        info!("task-name" = config.name(), sources = %go_list(sources), "a task is started");
        Ok(self.wait_all(config.name(), sources, Until::Running).await)
    }

    pub(super) async fn operate_task(&self, request: pb::OperateTaskRequest) -> pb::OperateTaskResponse {
        let op = request.op();
        let mut response = pb::OperateTaskResponse { op: op.into(), ..Default::default() };
        let until = match op {
            pb::TaskOp::Pause => Until::Paused,
            pb::TaskOp::Resume => Until::Running,
            pb::TaskOp::Delete | pb::TaskOp::Stop => Until::Gone,
            other => {
                response.msg = format!("invalid operation {} on task", other.as_str_name());
                return response;
            }
        };
        let name = &request.name;
        if self.lock().scheduler.sources_of(name).is_empty() {
            response.msg =
                format!("task {name} has no source or not exist, please check the task name and status");
            return response;
        }
        let places = self.lock().places(name);
        let changed = self.change(|scheduler, locks, effects| {
            let sources = scheduler.select(name, &request.sources)?;
            match until {
                Until::Paused => scheduler.set_expect(name, &sources, Expect::Paused),
                Until::Running => scheduler.set_expect(name, &sources, Expect::Running),
                Until::Gone => {
                    scheduler.remove_task(name, &sources);
                    let members = scheduler.sources_of(name);
                    effects.extend(locks.remove(name, &sources, &members));
                }
            }
            Ok(sources)
        });
        match changed {
            Ok(sources) => {
                info!("task-name" = %name, op = op.as_str_name(), sources = %go_list(&sources), "a task is operated");
                response.sources = match until {
                    Until::Gone => self.wait_gone(places, &sources).await,
                    until => self.wait_all(name, &sources, until).await,
                };
                response.result = response.sources.iter().all(|a| a.result);
            }
            Err(e) => response.msg = e.to_string(),
        }
        response
    }

    async fn wait_all(&self, task: &str, sources: &[String], until: Until) -> Vec<pb::CommonWorkerResponse> {
        let waits = sources.iter().map(|source| self.wait_one(task, source, until));
        futures::future::join_all(waits).await
    }

    async fn wait_one(&self, task: &str, source: &str, until: Until) -> pb::CommonWorkerResponse {
        let worker = self.lock().scheduler.worker_of(source).unwrap_or_default().to_owned();
        let result = self.wait_stage(task, source, &worker, until).await;
        let (result, msg) = match result {
            Ok(()) => (true, String::new()),
            Err(e) => (false, e.to_string()),
        };
        pb::CommonWorkerResponse { result, msg, source: source.into(), worker }
    }

    async fn wait_stage(&self, task: &str, source: &str, worker: &str, until: Until) -> Result<(), DmError> {
        let deadline = Instant::now() + self.config.rpc_timeout;
        self.wait_applied(worker, deadline).await?;
        loop {
            let status = self.subtask_status(source, task).await?;
            match (until, status.as_ref().map(|s| s.stage())) {
                (Until::Running, Some(pb::Stage::Running | pb::Stage::Finished)) => return Ok(()),
                (Until::Paused, Some(pb::Stage::Paused | pb::Stage::Finished)) => return Ok(()),
                (Until::Running, Some(pb::Stage::Paused)) => {
                    let errors = status.and_then(|s| s.result).map(|r| r.errors).unwrap_or_default();
                    if !errors.is_empty() {
                        let texts: Vec<String> = errors.iter().map(super::status::error_text).collect();
                        return Err(code::MASTER_OPER_RESP_NOT_SUCCESS
                            .error(format!("the subtask is paused: {}", texts.join("; "))));
                    }
                }
                _ => {}
            }
            if Instant::now() > deadline {
                return Err(timed_out(worker));
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Waits until workers have dropped subtasks. `places` is where they were.
    async fn wait_gone(
        &self,
        places: Vec<(String, String)>,
        sources: &[String],
    ) -> Vec<pb::CommonWorkerResponse> {
        let deadline = Instant::now() + self.config.rpc_timeout;
        let waits =
            places.into_iter().filter(|(s, _)| sources.contains(s)).map(|(source, worker)| async move {
                // A worker that is away drops the subtask when it comes back; nothing waits for that.
                let away = !self.lock().links.contains_key(&worker);
                let result = if away { Ok(()) } else { self.wait_applied(&worker, deadline).await };
                pb::CommonWorkerResponse {
                    result: result.is_ok(),
                    msg: result.err().map(|e| e.to_string()).unwrap_or_default(),
                    source,
                    worker,
                }
            });
        futures::future::join_all(waits).await
    }

    /// Waits until a worker has done what it was told last.
    async fn wait_applied(&self, worker: &str, deadline: Instant) -> Result<(), DmError> {
        let (mut applied, revision) = {
            let inner = self.lock();
            let Some(link) = inner.links.get(worker) else {
                return Err(code::MASTER_GRPC_REQUEST_ERROR
                    .error(format!("worker {worker} is offline, it will follow when it is back")));
            };
            (link.applied.subscribe(), link.sent_revision)
        };
        let wait = applied.wait_for(|a| *a >= revision);
        match tokio::time::timeout_at(deadline.into(), wait).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(code::MASTER_GRPC_REQUEST_ERROR
                .error(format!("the connection to worker {worker} broke, it will follow when it is back"))),
            Err(_) => Err(timed_out(worker)),
        }
    }
}

impl super::Inner {
    /// The sources of a task with their workers.
    fn places(&self, task: &str) -> Vec<(String, String)> {
        let place = |s: String| {
            let worker = self.scheduler.worker_of(&s).unwrap_or_default().to_owned();
            (s, worker)
        };
        self.scheduler.sources_of(task).into_iter().map(place).collect()
    }
}

fn timed_out(worker: &str) -> DmError {
    code::MASTER_OPER_REQUEST_TIMEOUT.error(format!("worker {worker} did not do it in time"))
}
