//! Which worker runs which source, and which tasks each source takes part in: pure state, calls in, changes out.
//!
//! Invariants
//! 1. A source has at most one worker and a worker at most one source.
//! 2. A source is given only to a worker that is alive; it stays with a worker that is gone until another one can
//!    take it.
//! 3. Every method checks first and changes then: an error means that nothing has changed.
//! 4. What has changed is in [`Scheduler::take_changes`]; the caller makes it durable before anyone hears of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::{
    cipher::Key,
    error::{DmError, dm_codes as code},
};
use serde::{Deserialize, Serialize};

use super::store::{Change, Table};
use crate::{
    config::{SourceConfig, TaskConfig},
    proto::{control, pb},
};

/// What a subtask should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// Replicating.
    Running,
    /// Waiting for `resume-task`.
    Paused,
}

impl Expect {
    fn stage(self) -> pb::Stage {
        match self {
            Self::Running => pb::Stage::Running,
            Self::Paused => pb::Stage::Paused,
        }
    }
}

#[derive(Debug, Clone)]
struct Source {
    record: SourceRecord,
    config: Arc<SourceConfig>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SourceRecord {
    yaml: String,
    worker: Option<String>,
    last_worker: Option<String>,
}

#[derive(Debug, Clone)]
struct Subtask {
    record: SubtaskRecord,
    config: Arc<TaskConfig>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct SubtaskRecord {
    task: String,
    source: String,
    yaml: String,
    expect: Expect,
    resume_count: u64,
    generation: u64,
}

#[derive(Debug, Clone)]
struct Worker {
    record: WorkerRecord,
    alive: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct WorkerRecord {
    address: String,
}

/// A worker as `list-member` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerView {
    /// Name.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Whether it may be given a source.
    pub alive: bool,
    /// Its source.
    pub source: Option<String>,
}

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct Scheduler {
    sources: BTreeMap<String, Source>,
    /// By task, then source.
    subtasks: BTreeMap<(String, String), Subtask>,
    workers: BTreeMap<String, Worker>,
    changes: Vec<Change>,
}

/// `[a b]`, as Go prints a list.
pub fn go_list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<T> = items.into_iter().collect();
    format!("[{}]", items.iter().map(|i| i.as_ref()).collect::<Vec<_>>().join(" "))
}

impl Scheduler {
    /// Reads the state that a former master left. All workers count as gone until they say something.
    ///
    /// # Errors
    /// A row that can't be read.
    pub fn load(store: &super::store::Store, key: Option<&Key>) -> Result<Self, super::store::StoreError> {
        let mut out = Self::default();
        for (id, source) in store.load(Table::Sources, |id, text| {
            let record: SourceRecord = serde_json::from_str(text).map_err(|e| e.to_string())?;
            let config = SourceConfig::parse(&record.yaml, id, key).map_err(|e| e.to_string())?;
            Ok(Source { record, config: Arc::new(config) })
        })? {
            out.sources.insert(id, source);
        }
        for (_, subtask) in store.load(Table::Subtasks, |_, text| {
            let record: SubtaskRecord = serde_json::from_str(text).map_err(|e| e.to_string())?;
            let config = TaskConfig::parse(&record.yaml, &record.task, key).map_err(|e| e.to_string())?;
            Ok(Subtask { record, config: Arc::new(config) })
        })? {
            out.subtasks.insert((subtask.record.task.clone(), subtask.record.source.clone()), subtask);
        }
        for (name, record) in store.load(Table::Workers, |_, text| {
            serde_json::from_str::<WorkerRecord>(text).map_err(|e| e.to_string())
        })? {
            out.workers.insert(name, Worker { record, alive: false });
        }
        Ok(out)
    }

    /// What has to be written since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn put(&mut self, table: Table, key: String, value: Option<String>) {
        self.changes.push(Change { table, key, value });
    }

    fn save_source(&mut self, id: &str) {
        let value = self.sources.get(id).map(|s| json(&s.record));
        self.put(Table::Sources, id.into(), value);
    }

    fn save_subtask(&mut self, task: &str, source: &str) {
        let value = self.subtasks.get(&(task.into(), source.into())).map(|s| json(&s.record));
        self.put(Table::Subtasks, format!("{}:{task}/{source}", task.len()), value);
    }

    fn save_worker(&mut self, name: &str) {
        let value = self.workers.get(name).map(|w| json(&w.record));
        self.put(Table::Workers, name.into(), value);
    }

    // Sources.

    /// Whether the source is known.
    pub fn has_source(&self, id: &str) -> bool {
        self.sources.contains_key(id)
    }

    /// A source's configuration.
    pub fn source(&self, id: &str) -> Option<Arc<SourceConfig>> {
        self.sources.get(id).map(|s| Arc::clone(&s.config))
    }

    /// Ids of all sources, in order.
    pub fn source_ids(&self) -> Vec<String> {
        self.sources.keys().cloned().collect()
    }

    /// The worker that a source is given to.
    pub fn worker_of(&self, source: &str) -> Option<&str> {
        self.sources.get(source)?.record.worker.as_deref()
    }

    /// The worker that a source is given to, its address, and whether it is alive.
    pub fn route_to(&self, source: &str) -> Option<(&str, &str, bool)> {
        let name = self.worker_of(source)?;
        let worker = self.workers.get(name)?;
        Some((name, &worker.record.address, worker.alive))
    }

    /// Adds a source and gives it to `worker`, or to any free one.
    ///
    /// # Errors
    /// 46007 the id is in use; 46004, 46033 the worker asked for is unknown or not free.
    pub fn add_source(&mut self, config: SourceConfig, worker: Option<&str>) -> Result<(), DmError> {
        let id = config.source_id.clone();
        if self.has_source(&id) {
            return Err(
                code::SCHEDULER_SOURCE_CFG_EXIST.error(format!("source config with ID {id} already exists"))
            );
        }
        if let Some(worker) = worker {
            self.check_free(worker)?;
        }
        let record = SourceRecord { yaml: config.to_text(), worker: None, last_worker: None };
        self.sources.insert(id.clone(), Source { record, config: Arc::new(config) });
        self.save_source(&id);
        match worker {
            Some(worker) => self.bind(&id, Some(worker)),
            None => self.balance(),
        }
        Ok(())
    }

    /// Removes a source.
    ///
    /// # Errors
    /// 46008 unknown; 46010 it has tasks.
    pub fn remove_source(&mut self, id: &str) -> Result<(), DmError> {
        if !self.has_source(id) {
            return Err(
                code::SCHEDULER_SOURCE_CFG_NOT_EXIST.error(format!("source config with ID {id} not exists"))
            );
        }
        let tasks: Vec<&str> =
            self.subtasks.keys().filter(|(_, s)| s == id).map(|(t, _)| t.as_str()).collect();
        if !tasks.is_empty() {
            return Err(code::SCHEDULER_SOURCE_OP_TASK_EXIST.error(format!(
                "source with name {id} need to operate has existing tasks {}",
                go_list(tasks)
            )));
        }
        self.sources.remove(id);
        self.save_source(id);
        self.balance();
        Ok(())
    }

    /// Gives a source to another worker.
    ///
    /// # Errors
    /// 46008, 46004, 46033 (not free).
    pub fn transfer(&mut self, source: &str, worker: &str) -> Result<(), DmError> {
        if !self.has_source(source) {
            return Err(code::SCHEDULER_SOURCE_CFG_NOT_EXIST
                .error(format!("source config with ID {source} not exists")));
        }
        if self.workers.contains_key(worker) && self.worker_of(source) == Some(worker) {
            return Ok(());
        }
        self.check_free(worker)?;
        self.bind(source, Some(worker));
        self.balance();
        Ok(())
    }

    fn check_free(&self, worker: &str) -> Result<(), DmError> {
        let Some(w) = self.workers.get(worker) else {
            return Err(
                code::SCHEDULER_WORKER_NOT_EXIST.error(format!("dm-worker with name {worker} not exists"))
            );
        };
        if !w.alive || self.source_of(worker).is_some() {
            let stage = if w.alive { "bound" } else { "offline" };
            return Err(code::SCHEDULER_WORKER_NOT_FREE
                .error(format!("dm-worker with name {worker} is {stage}, not free")));
        }
        Ok(())
    }

    fn bind(&mut self, source: &str, worker: Option<&str>) {
        if let Some(s) = self.sources.get_mut(source) {
            if let Some(old) = s.record.worker.take() {
                s.record.last_worker = Some(old);
            }
            s.record.worker = worker.map(str::to_owned);
            self.save_source(source);
        }
    }

    /// Gives sources without a living worker to free ones: first the worker that had the source last.
    pub fn balance(&mut self) {
        let waiting: Vec<String> = self
            .sources
            .iter()
            .filter(|(_, s)| s.config.enable)
            .filter(|(_, s)| {
                let worker = s.record.worker.as_ref().and_then(|w| self.workers.get(w));
                !worker.is_some_and(|w| w.alive)
            })
            .map(|(id, _)| id.clone())
            .collect();
        for id in waiting {
            let last = self.sources[&id].record.last_worker.clone();
            let free = |name: &String| {
                self.workers.get(name).is_some_and(|w| w.alive) && self.source_of(name).is_none()
            };
            let choice =
                last.filter(|name| free(name)).or_else(|| self.workers.keys().find(|n| free(n)).cloned());
            if let Some(worker) = choice {
                self.bind(&id, Some(&worker));
            }
        }
    }

    // Workers.

    /// The source of a worker.
    pub fn source_of(&self, worker: &str) -> Option<&str> {
        self.sources
            .iter()
            .find(|(_, s)| s.record.worker.as_deref() == Some(worker))
            .map(|(id, _)| id.as_str())
    }

    /// Notes a worker's name and address.
    ///
    /// # Errors
    /// 46003: a living worker of this name has another address.
    pub fn register(&mut self, name: &str, address: &str) -> Result<(), DmError> {
        match self.workers.get_mut(name) {
            Some(w) if w.record.address == address => Ok(()),
            Some(w) if w.alive => Err(code::SCHEDULER_WORKER_EXIST
                .error(format!("dm-worker with name {name} already exists, at {}", w.record.address))),
            Some(w) => {
                w.record.address = address.into();
                self.save_worker(name);
                Ok(())
            }
            None => {
                let record = WorkerRecord { address: address.into() };
                self.workers.insert(name.into(), Worker { record, alive: false });
                self.save_worker(name);
                Ok(())
            }
        }
    }

    /// A worker has come (back) or is gone; sources move.
    pub fn set_alive(&mut self, name: &str, alive: bool) {
        if let Some(w) = self.workers.get_mut(name) {
            w.alive = alive;
        }
        self.balance();
    }

    /// After a start of the master: workers that hold a source are taken to be alive, and named; so that nothing moves
    /// before they had time to come back.
    pub fn presume_alive(&mut self) -> Vec<String> {
        let names: Vec<String> = self.sources.values().filter_map(|s| s.record.worker.clone()).collect();
        for name in &names {
            if let Some(w) = self.workers.get_mut(name) {
                w.alive = true;
            }
        }
        names
    }

    /// Removes a worker that is gone.
    ///
    /// # Errors
    /// 46004 unknown; 46005 it is alive.
    pub fn remove_worker(&mut self, name: &str) -> Result<(), DmError> {
        let Some(w) = self.workers.get(name) else {
            return Err(
                code::SCHEDULER_WORKER_NOT_EXIST.error(format!("dm-worker with name {name} not exists"))
            );
        };
        if w.alive {
            return Err(code::SCHEDULER_WORKER_ONLINE
                .error(format!("dm-worker with name {name} is still online, must shut it down first")));
        }
        if let Some(source) = self.source_of(name).map(str::to_owned) {
            self.bind(&source, None);
        }
        self.workers.remove(name);
        self.save_worker(name);
        self.balance();
        Ok(())
    }

    /// All workers in order of their names.
    pub fn workers(&self) -> Vec<WorkerView> {
        self.workers
            .iter()
            .map(|(name, w)| WorkerView {
                name: name.clone(),
                address: w.record.address.clone(),
                alive: w.alive,
                source: self.source_of(name).map(str::to_owned),
            })
            .collect()
    }

    // Tasks.

    /// The sources of a task, in order; empty if there is no such task.
    pub fn sources_of(&self, task: &str) -> Vec<String> {
        self.subtasks.keys().filter(|(t, _)| t == task).map(|(_, s)| s.clone()).collect()
    }

    /// Names of all tasks.
    pub fn tasks(&self) -> BTreeSet<String> {
        self.subtasks.keys().map(|(t, _)| t.clone()).collect()
    }

    /// A task's configuration (that of its first source).
    pub fn task(&self, name: &str) -> Option<Arc<TaskConfig>> {
        self.subtasks.iter().find(|((t, _), _)| t == name).map(|(_, s)| Arc::clone(&s.config))
    }

    /// What a subtask should be doing.
    pub fn expect(&self, task: &str, source: &str) -> Option<Expect> {
        self.subtasks.get(&(task.into(), source.into())).map(|s| s.record.expect)
    }

    /// Whether a task may be added for these sources.
    ///
    /// # Errors
    /// 46014 it runs there already; 20031 an unknown source; 46009 a source without a living worker.
    pub fn check_new(&self, task: &str, sources: &[String]) -> Result<(), DmError> {
        let existing: Vec<&String> = sources.iter().filter(|s| self.expect(task, s).is_some()).collect();
        if !existing.is_empty() {
            return Err(code::SCHEDULER_SUB_TASK_EXIST.error(format!(
                "subtasks with name {task} for sources {} already exist",
                go_list(existing)
            )));
        }
        if let Some(unknown) = sources.iter().find(|s| !self.has_source(s)) {
            return Err(unknown_source(unknown));
        }
        let unbound: Vec<&String> =
            sources.iter().filter(|s| !self.route_to(s).is_some_and(|(_, _, alive)| alive)).collect();
        if !unbound.is_empty() {
            return Err(
                code::SCHEDULER_SOURCES_UNBOUND.error(format!("sources {} have not bound", go_list(unbound)))
            );
        }
        Ok(())
    }

    /// Adds a task for these sources, running. `generation` tells it from earlier tasks of the name.
    ///
    /// # Errors
    /// Those of [`Scheduler::check_new`], and of the source's part of the task.
    pub fn add_task(
        &mut self,
        config: &Arc<TaskConfig>,
        sources: &[String],
        generation: u64,
    ) -> Result<(), DmError> {
        let name = config.name().to_owned();
        self.check_new(&name, sources)?;
        for source in sources {
            config.subtask(&self.sources[source].config)?;
        }
        let yaml = config.to_text();
        for source in sources {
            let record = SubtaskRecord {
                task: name.clone(),
                source: source.clone(),
                yaml: yaml.clone(),
                expect: Expect::Running,
                resume_count: 0,
                generation,
            };
            let subtask = Subtask { record, config: Arc::clone(config) };
            self.subtasks.insert((name.clone(), source.clone()), subtask);
            self.save_subtask(&name, source);
        }
        Ok(())
    }

    /// The sources that a command on a task means: those asked for, or all.
    ///
    /// # Errors
    /// 46018 there is no such task; 46017 it does not have the source.
    pub fn select(&self, task: &str, asked: &[String]) -> Result<Vec<String>, DmError> {
        let all = self.sources_of(task);
        if all.is_empty() {
            return Err(code::SCHEDULER_TASK_NOT_EXIST.error(format!("task with name {task} not exist")));
        }
        if asked.is_empty() {
            return Ok(all);
        }
        let missing: Vec<&String> = asked.iter().filter(|s| !all.contains(s)).collect();
        if !missing.is_empty() {
            return Err(code::SCHEDULER_SUB_TASK_OP_SOURCE_NOT_EXIST.error(format!(
                "sources {} need to be operated not exist in task {task}",
                go_list(missing)
            )));
        }
        Ok(all.into_iter().filter(|s| asked.contains(s)).collect())
    }

    /// Sets what subtasks should be doing. A resume counts even if the subtask should be running already: it may
    /// have paused itself on an error.
    pub fn set_expect(&mut self, task: &str, sources: &[String], expect: Expect) {
        for source in sources {
            if let Some(s) = self.subtasks.get_mut(&(task.to_owned(), source.clone())) {
                s.record.expect = expect;
                if expect == Expect::Running {
                    s.record.resume_count += 1;
                }
                self.save_subtask(task, source);
            }
        }
    }

    /// Removes subtasks.
    pub fn remove_task(&mut self, task: &str, sources: &[String]) {
        for source in sources {
            self.subtasks.remove(&(task.to_owned(), source.clone()));
            self.save_subtask(task, source);
        }
    }

    /// What a worker should be doing; `revision` and the key are the caller's to fill in.
    pub fn desired(&self, worker: &str) -> control::Desired {
        let Some(id) = self.source_of(worker) else { return control::Desired::default() };
        let tasks = self
            .subtasks
            .iter()
            .filter(|((_, s), _)| s == id)
            .map(|((task, _), s)| control::DesiredTask {
                name: task.clone(),
                task_yaml: s.record.yaml.clone(),
                stage: s.record.expect.stage().into(),
                resume_count: s.record.resume_count,
                generation: s.record.generation,
            })
            .collect();
        control::Desired {
            source_id: id.into(),
            source_yaml: self.sources[id].record.yaml.clone(),
            tasks,
            ..Default::default()
        }
    }
}

fn json(record: &impl Serialize) -> String {
    serde_json::to_string(record).expect("records are plain texts and numbers")
}

/// 20031 for a source that was never created.
pub fn unknown_source(id: &str) -> DmError {
    code::CONFIG_SOURCE_ID_NOT_FOUND
        .error(format!("source {id} is not known"))
        .with_workaround("Create it with `operate-source create`.")
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
