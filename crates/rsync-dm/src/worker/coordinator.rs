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
    link: Option<mpsc::UnboundedSender<Event>>,
}

impl State {
    /// Never full: what waits there is no more than what the subtasks have open. A stream that is stuck is ended by its
    /// keep-alive, and the next one starts with everything.
    fn send(&mut self, event: Event) {
        if let Some(link) = &self.link
            && link.send(event).is_err()
        {
            self.link = None;
        }
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
        events
            .extend(state.tables.iter().map(|((task, source), targets)| tables_event(task, source, targets)));
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

    /// The master says what a source is to do.
    pub fn operation(&self, operation: ShardOperation) {
        let place = (operation.id.clone(), operation.source.clone());
        self.lock().operations.insert(place, operation);
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
        state.tables.remove(&(task.to_owned(), source.to_owned()));
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
        let lasting = targets.into_iter().filter(|t| t.count > 0).collect();
        state.tables.insert((task.to_owned(), source.to_owned()), lasting);
        state.send(event);
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
        remote.taken(&operation(true));
        done.await.unwrap();
        remote.forget("k", "a");
        let (tx, mut rx) = mpsc::unbounded_channel();
        remote.connect(tx);
        assert!(kinds(&mut rx).is_empty());
    }
}
