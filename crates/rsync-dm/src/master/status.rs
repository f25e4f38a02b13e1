//! `query-status`, `shard-ddl-lock` and `shard-ddl-lock unlock`.

use std::time::{Duration, Instant};

use common::error::{DmError, dm_codes as code};
use tracing::info;

use super::{Master, workers::call_failed};
use crate::proto::pb::{self, sub_task_status::Status as UnitStatus};

impl Master {
    pub(super) async fn query_status(
        &self,
        request: pb::QueryStatusListRequest,
    ) -> pb::QueryStatusListResponse {
        let fail = |msg: String| pb::QueryStatusListResponse { result: false, msg, sources: Vec::new() };
        let sources = {
            let inner = self.lock();
            let all = match request.name.as_str() {
                "" => inner.scheduler.source_ids(),
                name => inner.scheduler.sources_of(name),
            };
            if !request.name.is_empty() && all.is_empty() {
                return fail(format!("task {} has no source or not exist", request.name));
            }
            match request.sources.iter().find(|s| !inner.scheduler.has_source(s)) {
                Some(unknown) => return fail(format!("sources [{unknown}] haven't been added")),
                None if request.sources.is_empty() => all,
                None => all.into_iter().filter(|s| request.sources.contains(s)).collect(),
            }
        };
        let asked = sources.iter().map(|source| self.ask(source, &request.name));
        let mut answers = futures::future::join_all(asked).await;
        self.add_locks(&mut answers);
        pb::QueryStatusListResponse { result: true, msg: String::new(), sources: answers }
    }

    /// Asks the worker of a source; a failure is in the answer.
    async fn ask(&self, source: &str, task: &str) -> pb::QueryStatusResponse {
        let place = self
            .lock()
            .scheduler
            .route_to(source)
            .map(|(name, address, _)| (name.to_owned(), address.to_owned()));
        let failed = |worker: &str, msg: String| pb::QueryStatusResponse {
            result: false,
            msg,
            source_status: Some(pb::SourceStatus {
                source: source.into(),
                worker: worker.into(),
                ..Default::default()
            }),
            sub_task_status: Vec::new(),
        };
        let Some((worker, address)) = place else {
            let e = code::SCHEDULER_SOURCES_UNBOUND.error(format!("sources [{source}] have not bound"));
            return failed("", e.to_string());
        };
        match self.call(&worker, &address, task).await {
            Ok(mut answer) => {
                // It may have another source by now.
                if answer.source_status.as_ref().is_some_and(|s| s.source != source) {
                    let e = code::MASTER_BOUND_CHANGING
                        .error(format!("source {source} is on its way to worker {worker}"));
                    return failed(&worker, e.to_string());
                }
                if let Some(status) = &mut answer.source_status {
                    status.worker = worker;
                }
                answer
            }
            Err(e) => failed(&worker, e.to_string()),
        }
    }

    async fn call(
        &self,
        worker: &str,
        address: &str,
        task: &str,
    ) -> Result<pb::QueryStatusResponse, DmError> {
        let mut client = self.clients.get(address)?;
        let request = pb::QueryStatusRequest { name: task.into() };
        let answer = client.query_status(request).await;
        answer.map(|a| a.into_inner()).map_err(|status| call_failed(worker, address, &status))
    }

    /// The status of one subtask, `None` if the worker has none of this name.
    pub(super) async fn subtask_status(
        &self,
        source: &str,
        task: &str,
    ) -> Result<Option<pb::SubTaskStatus>, DmError> {
        let answer = self.ask(source, task).await;
        if !answer.result {
            return Err(code::MASTER_OPER_RESP_NOT_SUCCESS.error(answer.msg));
        }
        Ok(answer.sub_task_status.into_iter().find(|s| s.name == task))
    }

    /// What only the locks know: a source that an open lock waits for has no group of its own yet and gets one that says so; one that
    /// waits with other statements than the lock's gets both (DM only logs that).
    fn add_locks(&self, answers: &mut [pb::QueryStatusResponse]) {
        let inner = self.lock();
        let locks = inner.locks.show("", &[]);
        for answer in answers {
            let Some(source) = answer.source_status.as_ref().map(|s| s.source.clone()) else { continue };
            for status in &mut answer.sub_task_status {
                let Some(UnitStatus::Sync(sync)) = &mut status.status else { continue };
                let conflicts = inner.locks.conflicts(&status.name, &source);
                if !conflicts.is_empty() {
                    sync.conflict_msg =
                        conflicts.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
                }
                for lock in locks.iter().filter(|l| l.task == status.name && l.unsynced.contains(&source)) {
                    let target = lock.id.strip_prefix(&format!("{}-", lock.task)).unwrap_or(&lock.id);
                    if sync.unresolved_groups.iter().all(|g| g.target != target) {
                        sync.unresolved_groups.push(pb::ShardingGroup {
                            target: target.into(),
                            unsynced: vec![
                                "this DM-worker doesn't receive any shard DDL of this group".into(),
                            ],
                            ..Default::default()
                        });
                    }
                }
            }
        }
    }

    /// `binlog skip` and the like, at the workers of the task's sources.
    pub(super) async fn handle_error(&self, request: pb::HandleErrorRequest) -> pb::HandleErrorResponse {
        let name = &request.task;
        let fail = |msg: String| pb::HandleErrorResponse { msg, ..Default::default() };
        let selected = {
            let inner = self.lock();
            if inner.scheduler.sources_of(name).is_empty() {
                return fail(format!(
                    "task {name} has no source or not exist, please check the task name and status"
                ));
            }
            inner.scheduler.select(name, &request.sources)
        };
        let sources = match selected {
            Ok(sources) => sources,
            Err(e) => return fail(e.to_string()),
        };
        let asked = sources.iter().map(|source| self.handle_error_at(source, &request));
        let answers = futures::future::join_all(asked).await;
        pb::HandleErrorResponse {
            result: answers.iter().all(|a| a.result),
            msg: String::new(),
            sources: answers,
        }
    }

    async fn handle_error_at(
        &self,
        source: &str,
        request: &pb::HandleErrorRequest,
    ) -> pb::CommonWorkerResponse {
        let place = self
            .lock()
            .scheduler
            .route_to(source)
            .map(|(name, address, _)| (name.to_owned(), address.to_owned()));
        let (worker, address) = place.unwrap_or_default();
        let ask = async {
            if worker.is_empty() {
                return Err(
                    code::SCHEDULER_SOURCES_UNBOUND.error(format!("sources [{source}] have not bound"))
                );
            }
            let request = pb::HandleWorkerErrorRequest {
                op: request.op,
                task: request.task.clone(),
                binlog_pos: request.binlog_pos.clone(),
                sqls: request.sqls.clone(),
            };
            let answer = self.clients.get(&address)?.handle_error(request).await;
            let answer = answer.map_err(|status| call_failed(&worker, &address, &status))?.into_inner();
            if answer.source != source {
                return Err(code::MASTER_BOUND_CHANGING
                    .error(format!("source {source} is on its way to worker {worker}")));
            }
            Ok(answer)
        };
        let answer = ask
            .await
            .unwrap_or_else(|e| pb::CommonWorkerResponse { msg: e.to_string(), ..Default::default() });
        pb::CommonWorkerResponse { source: source.into(), worker: worker.clone(), ..answer }
    }

    pub(super) fn show_locks(&self, request: &pb::ShowDdlLocksRequest) -> pb::ShowDdlLocksResponse {
        let locks = self.lock().locks.show(&request.task, &request.sources);
        let msg = if locks.is_empty() { "no DDL lock exists".into() } else { String::new() };
        pb::ShowDdlLocksResponse { result: true, msg, locks }
    }

    pub(super) async fn unlock(&self, request: pb::UnlockDdlLockRequest) -> pb::UnlockDdlLockResponse {
        match self.try_unlock(&request).await {
            Ok(()) => pb::UnlockDdlLockResponse { result: true, msg: String::new() },
            Err(e) => pb::UnlockDdlLockResponse { result: false, msg: e.to_string() },
        }
    }

    async fn try_unlock(&self, request: &pb::UnlockDdlLockRequest) -> Result<(), DmError> {
        let id = request.id.as_str();
        let owner = (!request.replace_owner.is_empty()).then_some(request.replace_owner.as_str());
        let task = self.lock().locks.task_of(id);
        let orphan = task.is_some_and(|t| self.lock().scheduler.sources_of(&t).is_empty());
        if orphan && !request.force_remove {
            return Err(code::SCHEDULER_TASK_NOT_EXIST
                .error(format!("the task of lock {id} does not exist"))
                .with_workaround("Remove the lock with `-f`."));
        }
        let unlocked = self.change(|_, locks, effects| {
            effects.extend(locks.unlock(id, owner)?);
            Ok(())
        });
        match unlocked {
            Ok(()) => {}
            // Being resolved, and its owner may never finish.
            Err(e) if request.force_remove && e.code() == &code::MASTER_LOCK_IS_RESOLVING => {}
            Err(e) => return Err(e),
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.lock().locks.owner_is_done(id) {
            if Instant::now() < deadline && !orphan {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            if !request.force_remove {
                return Err(code::MASTER_OWNER_EXEC_DDL
                    .error(format!("the owner of lock {id} has not run the statements within 10 seconds"))
                    .with_workaround(
                        "Look at the owner's subtask with `query-status`, or remove the lock with `-f`.",
                    ));
            }
            self.change(|_, locks, effects| {
                effects.extend(locks.force_release(id));
                Ok(())
            })?;
        }
        info!(lock = %id, force = request.force_remove, "a shard DDL lock was unlocked by hand");
        Ok(())
    }
}

/// An error of a subtask in DM's one-line form.
pub(super) fn error_text(e: &pb::ProcessError) -> String {
    let mut text = format!(
        "[code={:05}:class={}:scope={}:level={}], Message: {}",
        e.err_code, e.err_class, e.err_scope, e.err_level, e.message
    );
    for (key, value) in [("RawCause", &e.raw_cause), ("Workaround", &e.workaround)] {
        if !value.is_empty() {
            text.push_str(&format!(", {key}: {value}"));
        }
    }
    text
}
