//! Calls to `pb.Worker`.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use common::error::{DmError, dm_codes as code};
use tonic::transport::Channel;

use crate::{
    proto::pb::worker_client::WorkerClient,
    tls::{Tls, endpoint},
};

/// One connection for each address, made when first used and again when it broke.
pub(super) struct Clients {
    timeout: Duration,
    tls: Option<Tls>,
    channels: Mutex<HashMap<String, Channel>>,
}

impl Clients {
    pub(super) fn new(timeout: Duration, tls: Option<Tls>) -> Self {
        Self { timeout, tls, channels: Mutex::default() }
    }

    /// A client of the worker at this address. Does not connect yet.
    pub(super) fn get(&self, address: &str) -> Result<WorkerClient<Channel>, DmError> {
        let mut channels = self.channels.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = match channels.get(address) {
            Some(channel) => channel.clone(),
            None => {
                let channel = endpoint(self.tls.as_ref(), address)
                    .map_err(|e| code::MASTER_GRPC_REQUEST_ERROR.wrap("grpc request error", &e))?
                    .connect_timeout(Duration::from_secs(5))
                    .timeout(self.timeout)
                    .http2_keep_alive_interval(Duration::from_secs(10))
                    .connect_lazy();
                channels.insert(address.into(), channel.clone());
                channel
            }
        };
        Ok(WorkerClient::new(channel).max_decoding_message_size(64 << 20))
    }
}

/// The error of a call that failed.
pub(super) fn call_failed(worker: &str, address: &str, status: &tonic::Status) -> DmError {
    code::MASTER_GRPC_REQUEST_ERROR
        .error(format!("grpc request error: worker {worker} at {address}"))
        .with_cause(common::error::chain(status))
        .with_workaround("Check that the dm-worker runs and that the master reaches it.")
}
