//! The coordinator of a single process: the same locks as the master's, kept in a [`LockStore`].

use std::{collections::BTreeMap, sync::Arc};

use futures::future::BoxFuture;
use tokio::sync::{Mutex, watch};
use tracing::{error, info};

use super::{
    Effect, Pessimist, ShardCoordinator, ShardError, ShardInfo, ShardOperation, TargetTables, lock_id,
    withdrawn,
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
    /// Changes whenever an operation is given out.
    version: watch::Sender<u64>,
}

struct State {
    locks: Pessimist,
    /// The last operation for (lock id, source).
    operations: BTreeMap<(String, String), ShardOperation>,
}

impl Local {
    /// Takes up the state that an earlier process left.
    ///
    /// # Errors
    /// The store fails, or holds a state of a newer version.
    pub async fn open(store: Arc<dyn LockStore>) -> Result<Self, ShardError> {
        let locks = match store.load().await.map_err(ShardError::Store)? {
            Some(text) => Pessimist::from_json(&text).map_err(|e| ShardError::Store(e.into()))?,
            None => Pessimist::new(),
        };
        let state = State { locks, operations: BTreeMap::new() };
        Ok(Self { state: Mutex::new(state), store, version: watch::Sender::new(0) })
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
                    let error = error.with_workaround(
                        "Stop this process, and start it with --skip-ddl or --replace-ddl SOURCE=FILE:POS for the statements that are not \
                         to count (`location` of the line `shard DDL reached` says where each is).",
                    );
                    error!(lock = %id, source = %source, error = %error, "shard DDL conflict");
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
                self.state.lock().await.operations.remove(&(id, source.to_owned()));
            }
            self.change(move |locks| locks.set_tables(task, source, targets)).await
        })
    }

    fn propose(&self, info: ShardInfo) -> BoxFuture<'_, Result<ShardOperation, ShardError>> {
        Box::pin(async move {
            let id = lock_id(&info.task, &info.schema, &info.table);
            let mut version = self.version.subscribe();
            self.change(|locks| locks.propose(&info)).await?;
            loop {
                version.borrow_and_update();
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
            self.state.lock().await.operations.remove(&(operation.id.clone(), operation.source.clone()));
            self.change(|locks| locks.done(&operation)).await
        })
    }
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
        }
    }

    #[tokio::test]
    async fn two_sources_and_a_restart_between() {
        let store = Arc::new(Memory::default());
        let table = || vec![TargetTables { schema: "d".into(), table: "m".into(), count: 1 }];
        let local = Arc::new(Local::open(store.clone()).await.unwrap());
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
        let local = Arc::new(Local::open(store.clone()).await.unwrap());
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
