//! The master: which worker runs which source, tasks, shard DDL locks; the server of `pb.Master`.
//!
//! State is changed in one place, [`Master::change`]: checked, changed in memory, made durable, and only then told to
//! workers. What is not durable (who is attached, proposals that wait for members) is told again by the workers after
//! any break. Facts: dm.md 2 and 6.

mod attach;
mod locks;
mod members;
mod metrics;
mod scheduler;
mod service;
mod sources;
mod status;
mod store;
mod tasks;
mod workers;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use common::error::{DmError, dm_codes as code};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::{Status, service::Routes};
use tracing::{error, info, warn};

use crate::{
    config::MasterConfig,
    http,
    proto::{
        control::{self, FromMaster, from_master::Command},
        pb,
    },
    shard::Effect,
};
pub(crate) use attach::FORMAT_VERSION;
use locks::Locks;
use scheduler::Scheduler;
use store::Store;

/// How long a worker whose connection broke may take to come back before its source goes to another.
const REATTACH: Duration = Duration::from_secs(5);
/// The same after a start of the master, when every worker has to notice first.
const REATTACH_AT_START: Duration = Duration::from_secs(15);
/// Between two pings of a worker.
pub(crate) const PING: Duration = Duration::from_secs(2);
/// Messages that may wait for one worker; one that lets more wait has to attach anew.
const LINK_QUEUE: usize = 256;

/// Why a master can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum MasterError {
    #[error(transparent)]
    Store(#[from] store::StoreError),
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    #[error("the server ended: {0}")]
    Serve(#[from] tonic::transport::Error),
}

/// A running master.
pub(crate) struct Master {
    config: MasterConfig,
    store: Store,
    inner: Mutex<Inner>,
    clients: workers::Clients,
    shutdown: CancellationToken,
}

struct Inner {
    scheduler: Scheduler,
    locks: Locks,
    links: HashMap<String, Link>,
    /// Workers that are not attached, and until when they may come back.
    gone: HashMap<String, Instant>,
    revision: u64,
    serial: u64,
}

/// A worker that is attached.
struct Link {
    tx: mpsc::Sender<Result<FromMaster, Status>>,
    incarnation: String,
    /// Tells one stream of a worker from the next.
    serial: u64,
    last_seen: Instant,
    ttl: Duration,
    /// What it was told last, without revision and key.
    sent: Option<control::Desired>,
    sent_revision: u64,
    applied: watch::Sender<u64>,
}

impl Link {
    fn is_silent(&self) -> bool {
        self.last_seen.elapsed() > 3 * PING
    }

    fn send(&self, command: Command) -> bool {
        self.tx.try_send(Ok(FromMaster { command: Some(command) })).is_ok()
    }
}

/// Runs a master until `shutdown` is cancelled. `ready` hears the address once the port is open.
///
/// # Errors
/// The store can't be opened, the port can't be taken.
pub async fn run(
    config: MasterConfig,
    shutdown: CancellationToken,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), MasterError> {
    let listener = http::bind(&config.listen).await?;
    let store = Store::open(&config.data_dir)?;
    let mut scheduler = Scheduler::load(&store, config.key.as_ref())?;
    let locks = Locks::load(&store)?;
    let until = Instant::now() + REATTACH_AT_START;
    let gone = scheduler.presume_alive().into_iter().map(|name| (name, until)).collect();
    info!(name = %config.name, listen = %config.listen, store = %store.path().display(), sources = scheduler.source_ids().len(), tasks = scheduler.tasks().len(), "the master starts");
    let inner = Inner { scheduler, locks, links: HashMap::new(), gone, revision: 0, serial: 0 };
    let master = Arc::new(Master {
        clients: workers::Clients::new(config.rpc_timeout, config.tls.clone()),
        config,
        store,
        inner: Mutex::new(inner),
        shutdown: shutdown.clone(),
    });
    metrics::START_LEADER.inc();
    let watch = tokio::spawn(Arc::clone(&master).watch_workers());
    let grpc = Routes::new(
        pb::master_server::MasterServer::new(service::Service(Arc::clone(&master)))
            .max_decoding_message_size(64 << 20),
    )
    .add_service(
        control::control_server::ControlServer::new(attach::Service(Arc::clone(&master)))
            .max_decoding_message_size(64 << 20),
    );
    if let Some(address) = http::address(&listener) {
        ready(address);
    }
    let refresh = Arc::clone(&master);
    let stop = shutdown.clone();
    let tls = master.config.tls.clone();
    let refresh = Arc::new(move || metrics::refresh(&refresh));
    let result =
        http::serve(listener, tls.as_ref(), grpc, refresh, async move { stop.cancelled().await }).await;
    shutdown.cancel();
    let _joined = watch.await;
    info!("the master ends");
    Ok(result?)
}

impl Master {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The only way to change state. `f` may change scheduler and locks and put effects on the list; if it fails, or
    /// the store does, nothing has changed. Blocks for the sync of the store.
    fn change<R>(
        &self,
        f: impl FnOnce(&mut Scheduler, &mut Locks, &mut Vec<Effect>) -> Result<R, DmError>,
    ) -> Result<R, DmError> {
        tokio::task::block_in_place(|| {
            let mut inner = self.lock();
            let (scheduler, locks) = (inner.scheduler.clone(), inner.locks.clone());
            let mut effects = Vec::new();
            let inner = &mut *inner;
            let result = f(&mut inner.scheduler, &mut inner.locks, &mut effects);
            let mut changes = inner.scheduler.take_changes();
            if inner.locks != locks {
                changes.push(inner.locks.change());
            }
            let stored = match &result {
                Ok(_) => self.store.apply(&changes),
                Err(_) => Ok(()),
            };
            if stored.is_err() || result.is_err() {
                (inner.scheduler, inner.locks) = (scheduler, locks);
            }
            if let Err(e) = stored {
                error!(error = %common::error::chain(&e), "cannot store a change; it is taken back");
                return Err(code::MASTER_OPER_RESP_NOT_SUCCESS.wrap("the master cannot store the change", &e));
            }
            let result = result?;
            inner.carry_out(effects);
            inner.tell_desired(self.config.key.as_ref());
            Ok(result)
        })
    }

    /// Gives sources away whose workers have not come back.
    async fn watch_workers(self: Arc<Self>) {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return,
                _ = tick.tick() => {}
            }
            let now = Instant::now();
            let lost: Vec<String> = {
                let mut inner = self.lock();
                let silent: Vec<String> = inner
                    .links
                    .iter()
                    .filter(|(_, link)| link.last_seen.elapsed() > link.ttl)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in silent {
                    inner.links.remove(&name);
                    inner.gone.insert(name, now);
                }
                let lost = inner.gone.iter().filter(|(_, until)| **until <= now);
                lost.map(|(name, _)| name.clone()).collect()
            };
            for name in lost {
                warn!(worker = %name, "the worker is gone, its source may move");
                let moved = self.change(|scheduler, _, _| {
                    scheduler.set_alive(&name, false);
                    Ok(())
                });
                // A store that fails now is tried again at the next tick.
                if moved.is_ok() {
                    self.lock().gone.remove(&name);
                }
            }
        }
    }
}

impl Inner {
    /// Tells the workers what the locks decided. What does not get through is asked for again by the worker.
    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Operate(operation) => {
                    info!(lock = %operation.id, source = %operation.source, exec = operation.exec, "shard DDL operation");
                    if let Some(worker) = self.scheduler.worker_of(&operation.source).map(str::to_owned) {
                        self.send(&worker, Command::Operation(operation.into()));
                    }
                }
                Effect::Conflict { id, source, error } => {
                    metrics::SHARD_DDL_ERROR.with_label_values(&[&id]).inc();
                    error!(lock = %id, source = %source, error = %error, "shard DDL conflict");
                }
                Effect::Resolved { id } => info!(lock = %id, "shard DDL lock resolved"),
            }
        }
    }

    /// Sends each attached worker its state, if that is not what it was sent last.
    fn tell_desired(&mut self, key: Option<&common::cipher::Key>) {
        let mut dead = Vec::new();
        for (name, link) in &mut self.links {
            let desired = self.scheduler.desired(name);
            if link.sent.as_ref() == Some(&desired) {
                continue;
            }
            self.revision += 1;
            let message = control::Desired {
                revision: self.revision,
                secret_key: key.map(|k| k.expose().to_vec()).unwrap_or_default(),
                ..desired.clone()
            };
            link.sent = Some(desired);
            link.sent_revision = self.revision;
            if !link.send(Command::Desired(message)) {
                dead.push(name.clone());
            }
        }
        for name in dead {
            self.cut(name);
        }
    }

    /// Tells an attached worker something.
    fn send(&mut self, worker: &str, command: Command) {
        if self.links.get(worker).is_some_and(|link| !link.send(command)) {
            self.cut(worker.to_owned());
        }
    }

    /// The stream of a worker is stuck: it ends at the next sign of life, and the worker attaches anew and asks again.
    fn cut(&mut self, worker: String) {
        warn!(worker = %worker, "the stream to a worker is full, it has to attach anew");
        self.links.remove(&worker);
        self.gone.insert(worker, Instant::now() + REATTACH);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_takes_nothing_has_to_attach_anew() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (tx, mut rx) = mpsc::channel(2);
        let link = Link {
            tx,
            incarnation: String::new(),
            serial: 1,
            last_seen: Instant::now(),
            ttl: Duration::from_secs(60),
            sent: None,
            sent_revision: 0,
            applied: watch::Sender::new(0),
        };
        let mut inner = Inner {
            scheduler: Scheduler::load(&store, None).unwrap(),
            locks: Locks::load(&store).unwrap(),
            links: HashMap::from([("w".to_owned(), link)]),
            gone: HashMap::new(),
            revision: 0,
            serial: 1,
        };
        let say = |inner: &mut Inner| inner.send("w", Command::DoneTaken(control::ShardOperation::default()));
        say(&mut inner);
        say(&mut inner);
        assert!(inner.links.contains_key("w") && inner.gone.is_empty());
        say(&mut inner);
        // No link is left that says "alive", and the worker has time to come back.
        assert!(inner.links.is_empty() && inner.gone.contains_key("w"));
        assert!(rx.try_recv().is_ok() && rx.try_recv().is_ok() && rx.try_recv().is_err());
    }
}
