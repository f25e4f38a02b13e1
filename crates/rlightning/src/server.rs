//! Server mode: tasks come over HTTP, wait in a queue, and are done one after the other (facts/lightning.md 7.4).
//!
//! A task is the TOML of a configuration file. What it does not say of target, source, backend, checkpoint, checks and security is that of the
//! process (file and flags); the process's other settings are not a task's. Its number is the time at which it came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use common::log::LogConfig;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::cli::Flags;
use crate::config::raw::RawConfig;
use crate::config::{self, Config};
use crate::error::{Error, Exit};
use crate::run;
use crate::status::Status;

/// Ended tasks that are remembered.
const REMEMBERED: usize = 100;

/// What tasks take from the process, and the tasks.
pub struct Queue {
    raw: RawConfig,
    flags: Flags,
    log: LogConfig,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Task>,
    current: Option<Running>,
    ended: VecDeque<(u64, Option<String>)>,
    last: u64,
}

struct Task {
    id: u64,
    config: Box<Config>,
}

struct Running {
    id: u64,
    shown: String,
    token: CancellationToken,
}

/// Why a task is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It is no configuration.
    #[error("cannot parse task (must be TOML): {0}")]
    Syntax(String),
    /// It is one that cannot be run.
    #[error("invalid task configuration: {0}")]
    Config(String),
}

impl Queue {
    /// An empty queue; tasks take the rest of their configuration from here.
    pub fn new(raw: RawConfig, flags: Flags, log: LogConfig) -> Self {
        Self { raw, flags, log, state: Mutex::default(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a task in. Returns its number.
    ///
    /// # Errors
    /// It is none, or could not be run.
    pub fn push(&self, text: &str) -> Result<u64, Refused> {
        let raw = config::task(&self.raw, text).map_err(|error| Refused::Syntax(error.to_string()))?;
        let resolved = Config::resolve(&raw, &self.flags, self.log.clone());
        let config = Box::new(resolved.map_err(|error| Refused::Config(error.to_string()))?);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let mut state = self.lock();
        // Two of one moment are two.
        let id = u64::try_from(now).unwrap_or(u64::MAX).max(state.last + 1);
        state.last = id;
        state.waiting.push_back(Task { id, config });
        drop(state);
        info!(id, "a task came over HTTP");
        self.changed.notify_one();
        Ok(id)
    }

    /// Which task is in work, which wait, and how the last ones ended.
    pub fn list(&self) -> Value {
        let state = self.lock();
        let waiting: Vec<u64> = state.waiting.iter().map(|task| task.id).collect();
        let ended: Vec<Value> =
            state.ended.iter().map(|(id, error)| json!({ "id": id, "error": error })).collect();
        json!({ "current": state.current.as_ref().map(|task| task.id), "queue": waiting, "ended": ended })
    }

    /// The configuration of a task that waits or is in work, secrets masked.
    pub fn shown(&self, id: u64) -> Option<String> {
        let state = self.lock();
        let current = state.current.as_ref().filter(|task| task.id == id).map(|task| task.shown.clone());
        current
            .or_else(|| state.waiting.iter().find(|task| task.id == id).map(|task| task.config.shown.clone()))
    }

    /// Stops the task in work, or forgets one that waits. `false`: there is none of that number.
    pub fn cancel(&self, id: u64) -> bool {
        let mut state = self.lock();
        if let Some(task) = state.current.as_ref().filter(|task| task.id == id) {
            info!(id, "the task is cancelled over HTTP");
            task.token.cancel();
            return true;
        }
        let before = state.waiting.len();
        state.waiting.retain(|task| task.id != id);
        let found = state.waiting.len() < before;
        if found {
            info!(id, "the task was taken out of the queue over HTTP");
        }
        found
    }

    /// Moves a task that waits to the front or the back. `false`: there is none of that number.
    pub fn shift(&self, id: u64, to_front: bool) -> bool {
        let mut state = self.lock();
        let Some(at) = state.waiting.iter().position(|task| task.id == id) else { return false };
        let Some(task) = state.waiting.remove(at) else { return false };
        if to_front {
            state.waiting.push_front(task);
        } else {
            state.waiting.push_back(task);
        }
        true
    }

    /// The next task, which is the one in work from now on.
    async fn next(&self, process: &CancellationToken) -> Option<(Task, CancellationToken)> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.lock();
                if let Some(task) = state.waiting.pop_front() {
                    let token = process.child_token();
                    let shown = task.config.shown.clone();
                    state.current = Some(Running { id: task.id, shown, token: token.clone() });
                    return Some((task, token));
                }
            }
            tokio::select! {
                () = changed => {}
                () = process.cancelled() => return None,
            }
        }
    }

    fn ended(&self, id: u64, error: Option<String>) {
        let mut state = self.lock();
        state.current = None;
        if state.ended.len() == REMEMBERED {
            state.ended.pop_front();
        }
        state.ended.push_back((id, error));
    }
}

/// Does tasks until a signal comes.
pub async fn run(queue: &Queue, status: &Arc<Status>, token: CancellationToken) -> Exit {
    info!("server mode: waiting for tasks");
    while let Some((task, stop)) = queue.next(&token).await {
        let id = task.id;
        info!(id, cfg = %task.config.shown, "cfg");
        for warning in &task.config.warnings {
            tracing::warn!("{warning}");
        }
        status.begun();
        let error = match run::import(&task.config, stop, Some(status)).await {
            Ok(finished) => {
                finished.forget().await;
                None
            }
            Err(Error::Canceled) => Some(Error::Canceled.to_string()),
            Err(Error::Failed(cause)) => {
                error!(error = %cause, id, "tidb lightning encountered error stack info");
                Some(cause.to_string())
            }
        };
        info!(id, finished = error.is_none(), "the task has ended");
        queue.ended(id, error);
        if token.is_cancelled() {
            break;
        }
    }
    info!(finished = false, "tidb lightning exit");
    common::out::println("tidb lightning canceled");
    Exit::Failure
}
