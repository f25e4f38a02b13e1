//! The stream to the master: kept open, opened again. Replication does not depend on it.

use std::{sync::Arc, time::Duration};

use common::error::{DmError, dm_codes as code};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tracing::{info, warn};

use super::{coordinator::Remote, manager::Manager};
use crate::{
    config::WorkerConfig,
    master::{FORMAT_VERSION, PING},
    proto::{
        control::{
            self, FromMaster, FromWorker, Hello, control_client::ControlClient, from_master::Command,
            from_worker::Event,
        },
        pb,
    },
    tls::endpoint,
};

const FIRST_WAIT: Duration = Duration::from_millis(200);
const LAST_WAIT: Duration = Duration::from_secs(3);

/// Why a stream ended.
enum End {
    /// The process is to end.
    Shutdown,
    /// Broken, or never there: open another.
    Broken(String),
    /// The master does not want this worker.
    Refused(String),
}

/// Keeps the stream until `shutdown`.
///
/// # Errors
/// The master refuses this worker.
pub async fn run(
    config: &WorkerConfig,
    manager: Arc<Manager>,
    remote: Arc<Remote>,
    shutdown: CancellationToken,
) -> Result<(), DmError> {
    let incarnation = incarnation();
    let (desired, wanted) = watch::channel(None);
    let (applied, revisions) = watch::channel(0);
    let applier = tokio::spawn(apply_all(manager, wanted, applied));
    let mut wait = FIRST_WAIT;
    let mut said = false;
    let result = 'attach: loop {
        for master in &config.join {
            let stream =
                Stream { config, master, incarnation: &incarnation, remote: &remote, desired: &desired };
            let (was_attached, end) = stream.run(revisions.clone(), &shutdown).await;
            remote.disconnect();
            if was_attached {
                (wait, said) = (FIRST_WAIT, false);
            }
            match end {
                End::Shutdown => break 'attach Ok(()),
                End::Refused(reason) => {
                    break 'attach Err(code::WORKER_FAIL_CONNECT_MASTER
                        .error(format!("the master at {master} refuses this worker: {reason}")));
                }
                End::Broken(reason) if !said => {
                    warn!(master = %master, error = %reason, "no connection to the master; replication goes on");
                    said = true;
                }
                End::Broken(_) => {}
            }
            tokio::select! {
                () = shutdown.cancelled() => break 'attach Ok(()),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(LAST_WAIT);
        }
    };
    drop(desired);
    let _joined = applier.await;
    result
}

/// Brings the subtasks to the newest state that a master asked for, one after the other.
async fn apply_all(
    manager: Arc<Manager>,
    mut wanted: watch::Receiver<Option<control::Desired>>,
    applied: watch::Sender<u64>,
) {
    while wanted.changed().await.is_ok() {
        let desired = wanted.borrow_and_update().clone();
        if let Some(desired) = desired {
            let revision = desired.revision;
            manager.apply(desired).await;
            applied.send_replace(revision);
        }
    }
}

struct Stream<'a> {
    config: &'a WorkerConfig,
    master: &'a str,
    incarnation: &'a str,
    remote: &'a Remote,
    desired: &'a watch::Sender<Option<control::Desired>>,
}

impl Stream<'_> {
    /// Opens one stream and serves it to its end; also says whether the master took us.
    async fn run(&self, mut applied: watch::Receiver<u64>, shutdown: &CancellationToken) -> (bool, End) {
        let opened = tokio::select! {
            () = shutdown.cancelled() => return (false, End::Shutdown),
            opened = tokio::time::timeout(Duration::from_secs(10), self.open()) => opened,
        };
        let (tx, input) = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(end)) => return (false, end),
            Err(_) => return (false, End::Broken("no answer within 10 seconds".into())),
        };
        let mut attached = false;
        // Revisions of another master or of before its restart mean nothing to this one.
        applied.mark_unchanged();
        let (link, said) = mpsc::unbounded_channel();
        // Side by side: a master that is slow to take what is said is still heard.
        let end = tokio::select! {
            () = shutdown.cancelled() => End::Shutdown,
            end = self.listen(input, link, &mut attached) => end,
            end = say(tx, said, applied) => end,
        };
        (attached, end)
    }

    /// Does what the master says.
    async fn listen(
        &self,
        mut input: tonic::Streaming<FromMaster>,
        link: mpsc::UnboundedSender<Event>,
        attached: &mut bool,
    ) -> End {
        loop {
            let command = match input.message().await {
                Ok(Some(FromMaster { command: Some(command) })) => command,
                Ok(Some(FromMaster { command: None })) => continue,
                Ok(None) => return End::Broken("the master closed the stream".into()),
                Err(status) => return End::Broken(common::error::chain(&status)),
            };
            if let Command::Refused(reason) = command {
                return End::Refused(reason);
            }
            if !*attached {
                *attached = true;
                info!(master = %self.master, "attached to the master");
                self.remote.connect(link.clone());
            }
            self.command(command);
        }
    }

    async fn open(&self) -> Result<(mpsc::Sender<FromWorker>, tonic::Streaming<FromMaster>), End> {
        let broken = |e: &dyn std::error::Error| End::Broken(common::error::chain(e));
        let channel = endpoint(self.config.tls.as_ref(), self.master)
            .map_err(|e| broken(&e))?
            .connect_timeout(Duration::from_secs(5))
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5))
            .keep_alive_while_idle(true)
            .tcp_nodelay(true)
            .connect()
            .await
            .map_err(|e| broken(&e))?;
        self.register(channel.clone()).await?;
        let (tx, rx) = mpsc::channel(256);
        let hello = Hello {
            format_version: FORMAT_VERSION,
            name: self.config.name.clone(),
            address: self.config.advertise.clone(),
            incarnation: self.incarnation.into(),
            keepalive_ttl: self.config.keepalive_ttl.as_secs(),
        };
        let _has_room = tx.try_send(FromWorker { event: Some(Event::Hello(hello)) });
        let mut client = ControlClient::new(channel).max_decoding_message_size(64 << 20);
        let stream = client.attach(ReceiverStream::new(rx)).await.map_err(|e| broken(&e))?;
        Ok((tx, stream.into_inner()))
    }

    /// DM's own call, so that the master knows name and address before the first message.
    async fn register(&self, channel: Channel) -> Result<(), End> {
        let request = pb::RegisterWorkerRequest {
            name: self.config.name.clone(),
            address: self.config.advertise.clone(),
        };
        let answer = pb::master_client::MasterClient::new(channel).register_worker(request).await;
        match answer.map(tonic::Response::into_inner) {
            Ok(answer) if answer.result => Ok(()),
            Ok(answer) => Err(End::Refused(answer.msg)),
            Err(status) => Err(End::Broken(common::error::chain(&status))),
        }
    }

    fn command(&self, command: Command) {
        match command {
            Command::Desired(desired) => {
                self.desired.send_replace(Some(desired));
            }
            Command::Operation(operation) => self.remote.operation(operation.into()),
            Command::DoneTaken(operation) => self.remote.taken(&operation.into()),
            Command::Refused(_) => {}
        }
    }
}

/// Tells the master what there is to tell, and that this worker lives.
async fn say(
    tx: mpsc::Sender<FromWorker>,
    mut said: mpsc::UnboundedReceiver<Event>,
    mut applied: watch::Receiver<u64>,
) -> End {
    let mut ping = tokio::time::interval(PING);
    loop {
        let event = tokio::select! {
            Some(event) = said.recv() => event,
            _ = ping.tick() => Event::Ping(control::Ping {}),
            Ok(()) = applied.changed() => {
                Event::Applied(control::Applied { revision: *applied.borrow_and_update() })
            }
        };
        if tx.send(FromWorker { event: Some(event) }).await.is_err() {
            return End::Broken("the stream is closed".into());
        }
    }
}

/// Tells this process from another one of the same name.
fn incarnation() -> String {
    let mut bytes = [0u8; 16];
    if getrandom::fill(&mut bytes).is_err() {
        bytes[..4].copy_from_slice(&std::process::id().to_le_bytes());
    }
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
