//! The coordinator of a single process: the same locks as the master's, kept in a [`LockStore`].
//!
//! Nobody is told anything before all sources of the task have said which tables they have: one that starts late would otherwise be left
//! out of a lock.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use common::error::{DmError, dm_codes};
use futures::future::BoxFuture;
use tokio::sync::{Mutex, watch};
use tracing::{info, warn};

use super::{
    Dispute, Effect, Pessimist, ShardCoordinator, ShardError, ShardInfo, ShardOperation, TargetTables,
    lock_id, withdrawn,
};

/// Where the state of the locks outlives the process.
///
/// Contract: `save` returns once the text is durable; calls do not overlap; `load` gives the text of the last `save`, or
/// `None` if there was none.
pub trait LockStore: Send + Sync + 'static {
    /// Reads the state.
    fn load(&self) -> BoxFuture<'_, Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>>;
    /// Replaces the state.
    fn save(&self, state: String) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>>;
}

/// A [`ShardCoordinator`] inside this process.
pub struct Local {
    state: Mutex<State>,
    store: Arc<dyn LockStore>,
    /// The sources of the task.
    sources: BTreeSet<String>,
    /// Changes whenever an operation is given out, and when a source has stated its tables.
    version: watch::Sender<u64>,
}

struct State {
    locks: Pessimist,
    /// The last operation for (lock id, source).
    operations: BTreeMap<(String, String), ShardOperation>,
    /// Sources that have stated their tables.
    stated: BTreeSet<String>,
    /// The last proposal of this process for (lock id, source) that was not carried out.
    met: BTreeMap<(String, String), ShardInfo>,
}

impl Local {
    /// Takes up the state that an earlier process left, for a task of these sources.
    ///
    /// # Errors
    /// The store fails, or holds a state of a newer version.
    pub async fn open(
        store: Arc<dyn LockStore>,
        sources: impl IntoIterator<Item = String>,
    ) -> Result<Self, ShardError> {
        let locks = match store.load().await.map_err(ShardError::Store)? {
            Some(text) => Pessimist::from_json(&text).map_err(|e| ShardError::Store(e.into()))?,
            None => Pessimist::new(),
        };
        let (operations, stated, met) = Default::default();
        let state = Mutex::new(State { locks, operations, stated, met });
        let sources = sources.into_iter().collect();
        Ok(Self { state, store, sources, version: watch::Sender::new(0) })
    }

    /// Why the sources wait for each other for ever: they have met different statements. Only once both sides have been met in this process:
    /// what an earlier one has noted may be replaced or passed over now.
    pub async fn conflict(&self) -> Option<DmError> {
        let state = self.state.lock().await;
        state.locks.disputes().iter().find_map(|dispute| {
            let met = |sources: &[String]| -> Vec<ShardInfo> {
                let one = |source: &String| state.met.get(&(dispute.id.clone(), source.clone())).cloned();
                sources.iter().filter_map(one).collect()
            };
            let (agreed, others) = (met(&dispute.agreed), met(&dispute.others));
            (!agreed.is_empty() && !others.is_empty())
                .then(|| contradiction(dispute, &[agreed, others].concat()))
        })
    }

    /// Changes the locks, makes the change durable, and only then lets its effects out.
    async fn change(&self, change: impl FnOnce(&mut Pessimist) -> Vec<Effect>) -> Result<(), ShardError> {
        let mut state = self.state.lock().await;
        let mut next = state.locks.clone();
        let effects = change(&mut next);
        if next != state.locks {
            self.store.save(next.to_json()).await.map_err(ShardError::Store)?;
            state.locks = next;
        }
        for effect in effects {
            match effect {
                Effect::Operate(operation) => {
                    info!(lock = %operation.id, source = %operation.source, exec = operation.exec, "shard DDL operation");
                    state.operations.insert((operation.id.clone(), operation.source.clone()), operation);
                }
                Effect::Conflict { id, source, error } => {
                    warn!(lock = %id, source = %source, error = %error, "shard DDL conflict");
                }
                Effect::Resolved { id } => info!(lock = %id, "shard DDL lock resolved"),
            }
        }
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }

    async fn operation(&self, id: &str, info: &ShardInfo) -> Option<ShardOperation> {
        let state = self.state.lock().await;
        let operation = state.operations.get(&(id.to_owned(), info.source.clone()))?;
        (operation.ddls == info.ddls).then(|| operation.clone())
    }
}

impl ShardCoordinator for Local {
    fn tables<'a>(
        &'a self,
        task: &'a str,
        source: &'a str,
        targets: Vec<TargetTables>,
    ) -> BoxFuture<'a, Result<(), ShardError>> {
        Box::pin(async move {
            for id in withdrawn(task, &targets) {
                let (mut state, place) = (self.state.lock().await, (id, source.to_owned()));
                state.operations.remove(&place);
                state.met.remove(&place);
            }
            self.change(move |locks| locks.set_tables(task, source, targets)).await?;
            self.state.lock().await.stated.insert(source.to_owned());
            self.version.send_modify(|version| *version += 1);
            Ok(())
        })
    }

    fn propose(&self, info: ShardInfo) -> BoxFuture<'_, Result<ShardOperation, ShardError>> {
        Box::pin(async move {
            let id = lock_id(&info.task, &info.schema, &info.table);
            let mut version = self.version.subscribe();
            let mut proposed = false;
            loop {
                version.borrow_and_update();
                if !proposed && self.sources.is_subset(&self.state.lock().await.stated) {
                    self.state.lock().await.met.insert((id.clone(), info.source.clone()), info.clone());
                    self.change(|locks| locks.propose(&info)).await?;
                    proposed = true;
                }
                if let Some(operation) = self.operation(&id, &info).await {
                    return Ok(operation);
                }
                if version.changed().await.is_err() {
                    return Err(ShardError::Gone("it has ended".into()));
                }
            }
        })
    }

    fn done(&self, operation: ShardOperation) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(async move {
            {
                let (mut state, place) =
                    (self.state.lock().await, (operation.id.clone(), operation.source.clone()));
                state.operations.remove(&place);
                if state.met.get(&place).is_some_and(|info| info.ddls == operation.ddls) {
                    state.met.remove(&place);
                }
            }
            self.change(|locks| locks.done(&operation)).await
        })
    }
}

/// Says which source has met what and where, and the ways on that `rsync-dm run` has.
fn contradiction(dispute: &Dispute, met: &[ShardInfo]) -> DmError {
    let target = &dispute.target;
    let shown: Vec<String> = met
        .iter()
        .map(|info| {
            let tables: Vec<String> =
                info.origins.iter().map(|o| format!("{} at {} [{}]", o.table, o.at, o.sql)).collect();
            format!("source {}: {}", info.source, tables.join(", "))
        })
        .collect();
    let each = |flag: &str, more: &str| -> String {
        let places = met.iter().flat_map(|info| {
            info.origins.iter().map(move |o| format!("{flag} '{}={}{more}'", info.source, o.at))
        });
        places.collect::<Vec<_>>().join(" ")
    };
    let missing = match dispute.missing.as_slice() {
        [] => String::new(),
        missing => format!(
            " What {} brings is compared when it comes to its statement.",
            missing.iter().map(|source| format!("source {source}")).collect::<Vec<_>>().join(", ")
        ),
    };
    dm_codes::MASTER_SHARDING_DDL_DIFF
        .error(format!("the sources have different shard DDL for {target}: {}", shown.join("; ")))
        .with_workaround(format!(
            "If the statements mean the same for {target}: start `rsync-dm run` again with --replace-ddl SOURCE=FILE:POS=SQL for every table of \
             the one side, SQL being the statement of the other side with that table's name (of {}). Else make the changes of all sides on \
             {target} by hand, so that it takes the rows of all its tables, and pass over all statements: {}.{missing}",
            each("--replace-ddl", "=SQL"),
            each("--skip-ddl", ""),
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Memory(std::sync::Mutex<Option<String>>);

    impl LockStore for Memory {
        fn load(&self) -> BoxFuture<'_, Result<Option<String>, Box<dyn std::error::Error + Send + Sync>>> {
            Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
        }
        fn save(&self, state: String) -> BoxFuture<'_, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
            *self.0.lock().unwrap() = Some(state);
            Box::pin(async { Ok(()) })
        }
    }

    fn info(source: &str) -> ShardInfo {
        ShardInfo {
            task: "t".into(),
            source: source.into(),
            schema: "d".into(),
            table: "m".into(),
            ddls: vec!["x".into()],
            origins: Vec::new(),
        }
    }

    #[tokio::test]
    async fn two_sources_and_a_restart_between() {
        let store = Arc::new(Memory::default());
        let table = || vec![TargetTables { schema: "d".into(), table: "m".into(), count: 1 }];
        let local = Arc::new(Local::open(store.clone(), ["a".into(), "b".into()]).await.unwrap());
        for source in ["a", "b"] {
            local.tables("t", source, table()).await.unwrap();
        }
        let waiting = tokio::spawn({
            let local = local.clone();
            async move { local.propose(info("a")).await }
        });
        while local.state.lock().await.locks.locks("", &[]).is_empty() {
            tokio::task::yield_now().await;
        }
        // Killed while it waits; the next process knows the lock and its owner.
        waiting.abort();
        let local = Arc::new(Local::open(store.clone(), ["a".into(), "b".into()]).await.unwrap());
        let waiting = tokio::spawn({
            let local = local.clone();
            async move { local.propose(info("a")).await }
        });
        // Nobody is told anything before all sources have said which tables they have.
        local.tables("t", "a", table()).await.unwrap();
        tokio::task::yield_now().await;
        assert!(local.state.lock().await.met.is_empty());
        waiting.abort();
        local.tables("t", "b", table()).await.unwrap();
        let propose = |source: &'static str| {
            let local = local.clone();
            tokio::spawn(async move { local.propose(info(source)).await })
        };
        let (first, second) = (propose("a"), propose("b"));
        let first = first.await.unwrap().unwrap();
        assert!(first.exec);
        assert!(!second.is_finished(), "it has to wait for the owner");
        local.done(first).await.unwrap();
        let second = second.await.unwrap().unwrap();
        assert!(!second.exec);
        local.done(second).await.unwrap();
        assert!(local.state.lock().await.locks.locks("", &[]).is_empty());
    }
}
