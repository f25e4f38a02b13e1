//! Shard DDL seen from a worker: what the subtasks say goes to the master, and again after every break, until it
//! has answered.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};

use crate::{
    proto::control::{self, from_worker::Event},
    shard::{ShardCoordinator, ShardError, ShardInfo, ShardOperation, TargetTables, lock_id, withdrawn},
};

/// Task, source.
type Subtask = (String, String);
/// Lock id, source.
type Place = (String, String);

/// The [`ShardCoordinator`] of a worker.
#[derive(Default)]
pub struct Remote {
    state: Mutex<State>,
    /// Changes whenever the master has answered something.
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    tables: BTreeMap<Subtask, Vec<TargetTables>>,
    infos: BTreeMap<Place, ShardInfo>,
    operations: BTreeMap<Place, ShardOperation>,
    /// Carried out, and not yet taken note of by the master.
    done: BTreeMap<Place, ShardOperation>,
    /// Taken back while there was no stream, see [`ShardCoordinator`].
    withdrawn: Vec<(Subtask, TargetTables)>,
    link: Option<mpsc::UnboundedSender<Event>>,
}

impl State {
    /// Never full: what waits there is no more than what the subtasks have open. A stream that is stuck is ended by its
    /// keep-alive, and the next one starts with everything.
    fn send(&mut self, event: Event) -> bool {
        self.link = self.link.take().filter(|link| link.send(event).is_ok());
        self.link.is_some()
    }
}

fn tables_event(task: &str, source: &str, targets: &[TargetTables]) -> Event {
    Event::ShardTables(control::ShardTables {
        task: task.into(),
        source: source.into(),
        targets: targets.iter().cloned().map(Into::into).collect(),
    })
}

impl Remote {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new stream to a master: everything that may not have got through is said again.
    pub fn connect(&self, link: mpsc::UnboundedSender<Event>) {
        let mut state = self.lock();
        state.link = Some(link);
        let mut events = Vec::new();
        let withdrawn = std::mem::take(&mut state.withdrawn);
        events.extend(state.tables.iter().map(|(subtask, targets)| {
            let back = withdrawn.iter().filter(|(of, _)| of == subtask).map(|(_, target)| target.clone());
            tables_event(&subtask.0, &subtask.1, &targets.iter().cloned().chain(back).collect::<Vec<_>>())
        }));
        events.extend(state.done.values().cloned().map(|o| Event::ShardDone(o.into())));
        events.extend(state.infos.values().cloned().map(|i| Event::ShardInfo(i.into())));
        for event in events {
            state.send(event);
        }
    }

    /// The stream is gone.
    pub fn disconnect(&self) {
        self.lock().link = None;
    }

    /// The master says what a source is to do. Nothing if the source does not wait for it (any more): kept, it would be taken for the answer
    /// when the same statement comes another time.
    pub fn operation(&self, operation: ShardOperation) {
        let place = (operation.id.clone(), operation.source.clone());
        let mut state = self.lock();
        if state.infos.get(&place).is_none_or(|info| info.ddls != operation.ddls) {
            return;
        }
        state.operations.insert(place, operation);
        drop(state);
        self.version.send_modify(|v| *v += 1);
    }

    /// The master has taken note.
    pub fn taken(&self, operation: &ShardOperation) {
        let place = (operation.id.clone(), operation.source.clone());
        let mut state = self.lock();
        if state.done.get(&place).is_some_and(|o| o.exec == operation.exec && o.ddls == operation.ddls) {
            state.done.remove(&place);
        }
        drop(state);
        self.version.send_modify(|v| *v += 1);
    }

    /// The subtask has been stopped: nothing of it is said any more.
    pub fn forget(&self, task: &str, source: &str) {
        let mut state = self.lock();
        let subtask = (task.to_owned(), source.to_owned());
        state.tables.remove(&subtask);
        state.withdrawn.retain(|(of, _)| *of != subtask);
        state.infos.retain(|_, i| !(i.task == task && i.source == source));
        state.operations.retain(|_, o| !(o.task == task && o.source == source));
        state.done.retain(|_, o| !(o.task == task && o.source == source));
        drop(state);
        self.version.send_modify(|v| *v += 1);
    }
}

impl ShardCoordinator for Remote {
    /// Returns at once: the statement is repeated at each new stream.
    fn tables<'a>(
        &'a self,
        task: &'a str,
        source: &'a str,
        targets: Vec<TargetTables>,
    ) -> BoxFuture<'a, Result<(), ShardError>> {
        let mut state = self.lock();
        let event = tables_event(task, source, &targets);
        for id in withdrawn(task, &targets) {
            let place = (id, source.to_owned());
            state.infos.remove(&place);
            state.operations.remove(&place);
        }
        // Taken back once: a later stream says only what holds then.
        let subtask = (task.to_owned(), source.to_owned());
        let (lasting, back): (Vec<_>, Vec<_>) = targets.into_iter().partition(|t| t.count > 0);
        state.tables.insert(subtask.clone(), lasting);
        if !state.send(event) {
            state.withdrawn.extend(back.into_iter().map(|target| (subtask.clone(), target)));
        }
        Box::pin(async { Ok(()) })
    }

    fn propose(&self, info: ShardInfo) -> BoxFuture<'_, Result<ShardOperation, ShardError>> {
        Box::pin(async move {
            let place = (lock_id(&info.task, &info.schema, &info.table), info.source.clone());
            let mut version = self.version.subscribe();
            {
                let mut state = self.lock();
                // Of an earlier statement of the table.
                if state.operations.get(&place).is_some_and(|o| o.ddls != info.ddls) {
                    state.operations.remove(&place);
                }
                state.infos.insert(place.clone(), info.clone());
                if !state.operations.contains_key(&place) {
                    state.send(Event::ShardInfo(info.clone().into()));
                }
            }
            loop {
                version.borrow_and_update();
                let answer = self.lock().operations.get(&place).filter(|o| o.ddls == info.ddls).cloned();
                if let Some(operation) = answer {
                    return Ok(operation);
                }
                if version.changed().await.is_err() {
                    return Err(ShardError::Gone("the worker ends".into()));
                }
            }
        })
    }

    fn done(&self, operation: ShardOperation) -> BoxFuture<'_, Result<(), ShardError>> {
        Box::pin(async move {
            let place = (operation.id.clone(), operation.source.clone());
            let mut version = self.version.subscribe();
            {
                let mut state = self.lock();
                state.infos.remove(&place);
                state.operations.remove(&place);
                state.done.insert(place.clone(), operation.clone());
                state.send(Event::ShardDone(operation.into()));
            }
            loop {
                version.borrow_and_update();
                if !self.lock().done.contains_key(&place) {
                    return Ok(());
                }
                if version.changed().await.is_err() {
                    return Err(ShardError::Gone("the worker ends".into()));
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn info() -> ShardInfo {
        ShardInfo {
            task: "k".into(),
            source: "a".into(),
            schema: "d".into(),
            table: "t".into(),
            ddls: vec!["ALTER".into()],
            origins: Vec::new(),
        }
    }

    fn operation(exec: bool) -> ShardOperation {
        ShardOperation {
            id: "k-`d`.`t`".into(),
            task: "k".into(),
            source: "a".into(),
            ddls: vec!["ALTER".into()],
            exec,
        }
    }

    fn kinds(rx: &mut mpsc::UnboundedReceiver<Event>) -> Vec<&'static str> {
        let mut out = Vec::new();
        while let Ok(event) = rx.try_recv() {
            out.push(match event {
                Event::ShardTables(_) => "tables",
                Event::ShardInfo(_) => "info",
                Event::ShardDone(_) => "done",
                _ => "other",
            });
        }
        out
    }

    #[tokio::test]
    async fn what_is_taken_back_without_a_stream_is_said_with_the_next_one() {
        let remote = Remote::default();
        let of = |count| TargetTables { schema: "d".into(), table: "t".into(), count };
        remote.tables("k", "a", vec![of(2), of(0)]).await.unwrap();
        for counts in [vec![2, 0], vec![2]] {
            let (tx, mut rx) = mpsc::unbounded_channel();
            remote.connect(tx);
            let Ok(Event::ShardTables(said)) = rx.try_recv() else { panic!("no tables") };
            assert_eq!(said.targets.iter().map(|t| t.table_count).collect::<Vec<_>>(), counts);
        }
    }

    #[tokio::test]
    async fn everything_unanswered_is_said_again() {
        let remote = Arc::new(Remote::default());
        let targets = vec![TargetTables { schema: "d".into(), table: "t".into(), count: 2 }];
        remote.tables("k", "a", targets).await.unwrap();
        let waiting = tokio::spawn({
            let remote = Arc::clone(&remote);
            async move { remote.propose(info()).await.unwrap() }
        });
        tokio::task::yield_now().await;
        for _ in 0..2 {
            let (tx, mut rx) = mpsc::unbounded_channel();
            remote.connect(tx);
            assert_eq!(kinds(&mut rx), ["tables", "info"]);
        }
        remote.operation(operation(true));
        assert_eq!(waiting.await.unwrap(), operation(true));
        assert_eq!(remote.propose(info()).await.unwrap(), operation(true), "asked again, answered again");
        let done = tokio::spawn({
            let remote = Arc::clone(&remote);
            async move { remote.done(operation(true)).await.unwrap() }
        });
        tokio::task::yield_now().await;
        let (tx, mut rx) = mpsc::unbounded_channel();
        remote.connect(tx);
        assert_eq!(kinds(&mut rx), ["tables", "done"]);
        assert!(!done.is_finished());
        // Sent before the master had heard of it, as when an operator unlocks by force.
        remote.operation(operation(false));
        remote.taken(&operation(true));
        done.await.unwrap();
        // The same statement, another time.
        let (tx, mut rx) = mpsc::unbounded_channel();
        remote.connect(tx);
        assert_eq!(kinds(&mut rx), ["tables"]);
        let again = tokio::spawn({
            let remote = Arc::clone(&remote);
            async move { remote.propose(info()).await.unwrap() }
        });
        tokio::task::yield_now().await;
        assert!(!again.is_finished(), "nobody has answered");
        assert_eq!(kinds(&mut rx), ["info"]);
        remote.operation(operation(true));
        assert_eq!(again.await.unwrap(), operation(true));
        remote.forget("k", "a");
        let (tx, mut rx) = mpsc::unbounded_channel();
        remote.connect(tx);
        assert!(kinds(&mut rx).is_empty());
    }
}
