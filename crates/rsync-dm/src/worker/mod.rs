//! A worker: runs the subtasks of one source, as its master says, and goes on when the master is away.

mod attach;
pub(crate) mod auto_resume;
mod coordinator;
mod manager;
mod replication;
mod service;
mod unit;

use std::sync::{Arc, LazyLock};

use common::error::DmError;
use prometheus::{GaugeVec, register_gauge_vec};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tracing::info;

use crate::{config::WorkerConfig, http, proto::pb};
pub use coordinator::Remote;
pub use manager::Manager;
pub use replication::Replication;
pub use unit::{Starter, Unit};

static TASK_STATE: LazyLock<GaugeVec> = LazyLock::new(|| {
    register_gauge_vec!(
        "dm_worker_task_state",
        "state of task, 0 - invalidStage, 1 - New, 2 - Running, 3 - Paused, 4 - Stopped, 5 - Finished, 15 - Error",
        &["task", "source_id", "worker"]
    )
    .expect("registered once")
});

/// Why a worker can't run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum WorkerError {
    #[error(transparent)]
    Listen(#[from] std::io::Error),
    #[error("the server ended: {0}")]
    Serve(#[from] tonic::transport::Error),
    #[error(transparent)]
    Refused(#[from] DmError),
}

/// Runs a worker until `shutdown` is cancelled; then every subtask ends with its state written down.
///
/// # Errors
/// The port can't be taken, or the master refuses this worker.
pub async fn run(
    config: WorkerConfig,
    starter: Arc<dyn Starter>,
    shutdown: CancellationToken,
    ready: impl FnOnce(std::net::SocketAddr),
) -> Result<(), WorkerError> {
    let listener = http::bind(&config.listen).await?;
    info!(name = %config.name, listen = %config.listen, join = %config.join.join(","), "the worker starts");
    let remote = Arc::new(Remote::default());
    let manager = Arc::new(Manager::new(&config.name, starter, Arc::clone(&remote)));
    let resuming = tokio::spawn({
        let manager = Arc::clone(&manager);
        async move { manager.resume_by_itself().await }
    });
    let service = service::Service { config: config.clone(), manager: Arc::clone(&manager) };
    let grpc = Routes::new(pb::worker_server::WorkerServer::new(service).max_decoding_message_size(64 << 20));
    let refresh = {
        let (manager, worker) = (Arc::clone(&manager), config.name.clone());
        Arc::new(move || {
            TASK_STATE.reset();
            let source = manager.source_id();
            for (task, stage) in manager.stages() {
                TASK_STATE.with_label_values(&[&task, &source, &worker]).set(f64::from(stage));
            }
        })
    };
    if let Some(address) = http::address(&listener) {
        ready(address);
    }
    // The server outlives the subtasks, so that their end can be watched.
    let served = CancellationToken::new();
    let server = {
        let (served, tls) = (served.clone(), config.tls.clone());
        tokio::spawn(async move {
            let ended = async move { served.cancelled().await };
            http::serve(listener, tls.as_ref(), grpc, refresh, ended).await
        })
    };
    let attached = attach::run(&config, Arc::clone(&manager), remote, shutdown).await;
    resuming.abort();
    manager.shut_down().await;
    served.cancel();
    let served = tokio::time::timeout(std::time::Duration::from_secs(5), server).await;
    info!("the worker ends");
    attached?;
    // A server that does not end in time, or whose task was cancelled, leaves nothing undone.
    if let Ok(Ok(result)) = served {
        result?;
    }
    Ok(())
}
