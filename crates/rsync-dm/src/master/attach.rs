//! The stream that a worker keeps to its master.

use std::{
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

use common::error::{DmError, dm_codes as code};
use tokio::sync::{mpsc, watch};
use tokio_stream::{Stream, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use super::{LINK_QUEUE, Link, Master, REATTACH};
use crate::proto::control::{
    self, FromMaster, FromWorker, Hello, control_server::Control, from_master::Command, from_worker::Event,
};

/// The version of the stream that this program speaks.
pub(crate) const FORMAT_VERSION: u32 = 1;

pub(super) struct Service(pub Arc<Master>);

#[tonic::async_trait]
impl Control for Service {
    type AttachStream = Pin<Box<dyn Stream<Item = Result<FromMaster, Status>> + Send>>;

    async fn attach(
        &self,
        request: Request<Streaming<FromWorker>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        let (tx, rx) = mpsc::channel(LINK_QUEUE);
        let master = Arc::clone(&self.0);
        tokio::spawn(async move { master.serve_worker(request.into_inner(), tx).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(rx))))
    }
}

type Sender = mpsc::Sender<Result<FromMaster, Status>>;

impl Master {
    async fn serve_worker(&self, mut input: Streaming<FromWorker>, tx: Sender) {
        let hello = tokio::time::timeout(Duration::from_secs(10), input.message()).await;
        let Ok(Ok(Some(FromWorker { event: Some(Event::Hello(hello)) }))) = hello else {
            let _gone = tx.send(Err(Status::invalid_argument("the first message must be Hello"))).await;
            return;
        };
        let name = hello.name.clone();
        let serial = match self.admit(hello, &tx).await {
            Ok(serial) => serial,
            Err(e) => {
                warn!(worker = %name, error = %e, "a worker is refused");
                let _gone = tx.send(Ok(FromMaster { command: Some(Command::Refused(e.to_string())) })).await;
                return;
            }
        };
        info!(worker = %name, "a worker is attached");
        loop {
            let message = tokio::select! {
                () = self.shutdown.cancelled() => break,
                () = tx.closed() => break,
                message = input.message() => message,
            };
            let event = match message {
                Ok(Some(FromWorker { event: Some(event) })) => event,
                // A kind of event that a newer worker knows; it knows that we may not.
                Ok(Some(FromWorker { event: None })) => continue,
                Ok(None) | Err(_) => break,
            };
            if !self.heard(&name, serial) {
                break;
            }
            self.event(&name, event);
        }
        self.detach(&name, serial);
    }

    /// Lets a worker in. A second process of a name waits a little for the first one to be gone.
    async fn admit(&self, hello: Hello, tx: &Sender) -> Result<u64, DmError> {
        if hello.format_version != FORMAT_VERSION {
            return Err(code::WORKER_FAIL_CONNECT_MASTER.error(format!(
                "the worker speaks version {} of the stream, this master {FORMAT_VERSION}",
                hello.format_version
            )));
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.has_other(&hello) {
            if Instant::now() > deadline {
                return Err(code::SCHEDULER_WORKER_EXIST
                    .error(format!("a dm-worker with name {} is attached already", hello.name))
                    .with_workaround("Give each worker a name of its own, or stop the other process."));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.change(|scheduler, _, _| {
            scheduler.register(&hello.name, &hello.address)?;
            scheduler.set_alive(&hello.name, true);
            Ok(())
        })?;
        let mut inner = self.lock();
        inner.serial += 1;
        let serial = inner.serial;
        let ttl = match hello.keepalive_ttl {
            0 => 60,
            ttl => ttl,
        };
        let link = Link {
            tx: tx.clone(),
            incarnation: hello.incarnation,
            serial,
            last_seen: Instant::now(),
            ttl: Duration::from_secs(ttl),
            sent: None,
            sent_revision: 0,
            applied: watch::Sender::new(0),
        };
        inner.gone.remove(&hello.name);
        inner.links.insert(hello.name, link);
        inner.tell_desired(self.config.key.as_ref());
        Ok(serial)
    }

    fn has_other(&self, hello: &Hello) -> bool {
        let inner = self.lock();
        inner.links.get(&hello.name).is_some_and(|link| {
            link.incarnation != hello.incarnation && !link.tx.is_closed() && !link.is_silent()
        })
    }

    /// Notes a sign of life; false if this stream is not the worker's any more.
    fn heard(&self, name: &str, serial: u64) -> bool {
        let mut inner = self.lock();
        match inner.links.get_mut(name) {
            Some(link) if link.serial == serial => {
                link.last_seen = Instant::now();
                true
            }
            _ => false,
        }
    }

    fn detach(&self, name: &str, serial: u64) {
        let mut inner = self.lock();
        if inner.links.get(name).is_some_and(|link| link.serial == serial) {
            inner.links.remove(name);
            inner.gone.insert(name.into(), Instant::now() + REATTACH);
            drop(inner);
            info!(worker = %name, "the connection to a worker has ended");
        }
    }

    fn event(&self, worker: &str, event: Event) {
        let result = match event {
            Event::Ping(_) | Event::Hello(_) => Ok(()),
            Event::Applied(control::Applied { revision }) => {
                if let Some(link) = self.lock().links.get(worker) {
                    link.applied.send_if_modified(|a| {
                        let news = *a < revision;
                        *a = revision.max(*a);
                        news
                    });
                }
                Ok(())
            }
            Event::ShardTables(t) => self.change(|scheduler, locks, effects| {
                if is_its_own(scheduler, worker, &t.task, &t.source) {
                    let members = scheduler.sources_of(&t.task);
                    let targets = t.targets.into_iter().map(Into::into).collect();
                    effects.extend(locks.set_tables(&t.task, &t.source, targets, &members));
                }
                Ok(())
            }),
            Event::ShardInfo(i) => self.change(|scheduler, locks, effects| {
                if is_its_own(scheduler, worker, &i.task, &i.source) {
                    let members = scheduler.sources_of(&i.task);
                    effects.extend(locks.propose(i.into(), &members));
                }
                Ok(())
            }),
            Event::ShardDone(d) => self.done(worker, d),
        };
        if let Err(e) = result {
            // The worker repeats what was not taken, at the latest after a reconnect.
            warn!(worker = %worker, error = %e, "an event of a worker was not taken");
        }
    }

    fn done(&self, worker: &str, done: control::ShardDone) -> Result<(), DmError> {
        common::failpoint::hit("dm-master-before-done");
        let own = self.change(|scheduler, locks, effects| {
            let own = is_its_own(scheduler, worker, &done.task, &done.source);
            if own {
                effects.extend(locks.done(&done.clone().into()));
            }
            Ok(own)
        })?;
        if own {
            let taken = control::ShardOperation {
                id: done.id,
                task: done.task,
                source: done.source,
                ddls: done.ddls,
                exec: done.exec,
            };
            self.lock().send(worker, Command::DoneTaken(taken));
        }
        Ok(())
    }
}

/// A worker may only speak for the source that it has, and about tasks of it: a late one is not listened to.
fn is_its_own(scheduler: &super::scheduler::Scheduler, worker: &str, task: &str, source: &str) -> bool {
    let own = scheduler.worker_of(source) == Some(worker) && scheduler.expect(task, source).is_some();
    if !own {
        info!(worker = %worker, source = %source, "task-name" = %task, "a late shard DDL message is not listened to");
    }
    own
}
