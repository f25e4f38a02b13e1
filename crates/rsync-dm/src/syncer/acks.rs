//! Shard DDL that was carried out is told to the coordinator beside replication: a master that is lost holds up the next
//! statement of the same target table, and nothing else.

use std::{future::Future, sync::Arc};

use common::{
    error::{DmError, dm_codes as code},
    failpoint,
};
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};

use crate::shard::{ShardCoordinator, ShardError, ShardOperation};

type Told = Result<(ShardOperation, Result<(), ShardError>), JoinError>;

/// What is being told. Dropped, it tells no more; the next run begins again with what its checkpoint still lists.
pub(super) struct Acks {
    coordinator: Arc<dyn ShardCoordinator>,
    tasks: JoinSet<(ShardOperation, Result<(), ShardError>)>,
    /// Locks whose operation is being told: one at a time each.
    open: watch::Sender<Vec<String>>,
}

impl Acks {
    pub fn new(coordinator: Arc<dyn ShardCoordinator>) -> Self {
        Self { coordinator, tasks: JoinSet::new(), open: watch::Sender::default() }
    }

    /// Tells every operation of the list that is not being told already.
    pub fn tell(&mut self, list: &[ShardOperation]) {
        for operation in list {
            if self.open.borrow().contains(&operation.id) {
                continue;
            }
            self.open.send_modify(|open| open.push(operation.id.clone()));
            let (coordinator, operation) = (Arc::clone(&self.coordinator), operation.clone());
            self.tasks.spawn(async move {
                let result = coordinator.done(operation.clone()).await;
                (operation, result)
            });
        }
    }

    /// The next that has been told, or could not be; for [`Acks::taken`]. `None` if there is nothing to wait for.
    pub async fn next(&mut self) -> Option<Told> {
        self.tasks.join_next().await
    }

    /// Strikes from the list what the coordinator has taken note of. What failed stays on it.
    pub fn taken(&mut self, told: Told, list: &mut Vec<ShardOperation>) -> Result<(), DmError> {
        let (operation, result) = told.map_err(|e| code::SYNCER_UNIT_PANIC.error(e.to_string()))?;
        result.map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(e.to_string()))?;
        if let Some(at) = list.iter().position(|one| *one == operation) {
            list.remove(at);
        }
        self.open.send_modify(|open| open.retain(|id| *id != operation.id));
        failpoint::hit("syncer-after-shard-done");
        self.tell(list);
        Ok(())
    }

    /// Ends when nothing of the lock is left to tell: only then may its next statement be proposed.
    pub fn told(&self, lock: String) -> impl Future<Output = ()> + Send + use<> {
        let mut open = self.open.subscribe();
        async move {
            if open.wait_for(|open| !open.contains(&lock)).await.is_err() {
                // The unit has ended, and with it whoever waits here.
                std::future::pending::<()>().await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::{FutureExt, future::BoxFuture};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::shard::{ShardInfo, TargetTables};

    /// Takes note of as many as there are permits, and fails for a source called `bad`.
    struct Slow {
        permits: Semaphore,
        taken: Mutex<Vec<String>>,
    }

    impl ShardCoordinator for Slow {
        fn tables<'a>(
            &'a self,
            _: &'a str,
            _: &'a str,
            _: Vec<TargetTables>,
        ) -> BoxFuture<'a, Result<(), ShardError>> {
            Box::pin(async { Ok(()) })
        }

        fn propose(&self, _: ShardInfo) -> BoxFuture<'_, Result<ShardOperation, ShardError>> {
            Box::pin(async { Err(ShardError::Gone("no proposals here".into())) })
        }

        fn done(&self, operation: ShardOperation) -> BoxFuture<'_, Result<(), ShardError>> {
            Box::pin(async move {
                self.permits.acquire().await.unwrap().forget();
                if operation.source == "bad" {
                    return Err(ShardError::Gone("the store is full".into()));
                }
                self.taken.lock().unwrap().push(format!("{} {}", operation.id, operation.ddls[0]));
                Ok(())
            })
        }
    }

    fn operation(id: &str, ddl: &str, source: &str) -> ShardOperation {
        ShardOperation {
            id: id.into(),
            task: "t".into(),
            source: source.into(),
            ddls: vec![ddl.into()],
            exec: true,
        }
    }

    fn acks(permits: usize) -> (Arc<Slow>, Acks) {
        let slow = Arc::new(Slow { permits: Semaphore::new(permits), taken: Mutex::default() });
        (Arc::clone(&slow), Acks::new(slow))
    }

    #[tokio::test]
    async fn a_lock_is_told_in_order_and_its_next_statement_waits() {
        let (slow, mut acks) = acks(0);
        let mut list = vec![operation("a", "1", "s"), operation("a", "2", "s"), operation("b", "1", "s")];
        acks.tell(&list);
        acks.tell(&list);
        acks.told("c".into()).await;
        assert!(acks.next().now_or_never().is_none(), "nothing is taken note of");
        while !list.is_empty() {
            let may_propose = acks.told("a".into()).now_or_never().is_some();
            assert_eq!(may_propose, list.iter().all(|o| o.id != "a"));
            slow.permits.add_permits(1);
            let told = acks.next().await.unwrap();
            acks.taken(told, &mut list).unwrap();
        }
        acks.told("a".into()).await;
        let taken = slow.taken.lock().unwrap().clone();
        let of_a: Vec<_> = taken.iter().map(String::as_str).filter(|t| t.starts_with('a')).collect();
        assert_eq!((of_a, taken.len()), (vec!["a 1", "a 2"], 3));
        assert!(acks.next().await.is_none());
    }

    #[tokio::test]
    async fn what_fails_stays_on_the_list() {
        let (_, mut acks) = acks(2);
        let mut list = vec![operation("a", "1", "bad"), operation("b", "1", "s")];
        acks.tell(&list);
        let mut failed = 0;
        while let Some(told) = acks.next().await {
            failed += usize::from(acks.taken(told, &mut list).is_err());
        }
        assert_eq!((failed, list), (1, vec![operation("a", "1", "bad")]));
        assert!(acks.told("a".into()).now_or_never().is_none());
    }
}
