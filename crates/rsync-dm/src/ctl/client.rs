//! Where the master is, and the connection to it.

use std::time::Duration;

use common::{
    duration::GoDuration,
    error::{DmError, dm_codes as code},
};
use serde::Deserialize;
use tonic::transport::Channel;

use super::CtlArgs;
use crate::{
    config::load_toml,
    proto::pb::master_client::MasterClient,
    tls::{Tls, bare, endpoint},
};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct CtlToml {
    master_addr: String,
    rpc_timeout: Option<GoDuration>,
    ssl_ca: String,
    ssl_cert: String,
    ssl_key: String,
}

/// Connects to the first master that answers: flag, then file, then environment.
///
/// # Errors
/// 48001 no address, no master; 48002 TLS; 20002 the file.
pub async fn connect(args: &CtlArgs) -> Result<MasterClient<Channel>, DmError> {
    let file: CtlToml = load_toml(args.config.as_deref(), &code::CONFIG_TOML_TRANSFORM)?;
    let tls = args.tls.or(&file.ssl_ca, &file.ssl_cert, &file.ssl_key);
    let tls = Tls::load(&tls, Vec::new(), &code::CTL_INVALID_TLS_CFG)?;
    let environment = std::env::var("DM_MASTER_ADDR").ok();
    let addresses = args
        .master_addr
        .clone()
        .or_else(|| (!file.master_addr.is_empty()).then(|| file.master_addr.clone()))
        .or(environment)
        .unwrap_or_default();
    let timeout = args.rpc_timeout.or(file.rpc_timeout).map_or(DEFAULT_TIMEOUT, GoDuration::get);
    let addresses: Vec<&str> = addresses.split(',').map(bare).filter(|a| !a.is_empty()).collect();
    if addresses.is_empty() {
        return Err(code::CTL_GRPC_CREATE_CONN
            .error("--master-addr not provided, this parameter is required when interacting with the dm-master, you can also use environment variable 'DM_MASTER_ADDR' to specify the value"));
    }
    let mut last = String::new();
    for address in &addresses {
        match open(tls.as_ref(), address, timeout).await {
            Ok(channel) => return Ok(MasterClient::new(channel).max_decoding_message_size(64 << 20)),
            Err(e) => last = common::error::chain(&e),
        }
    }
    Err(code::CTL_GRPC_CREATE_CONN
        .error(format!("can't connect to {}", addresses.join(",")))
        .with_cause(last)
        .with_workaround(
            "Check `--master-addr` and that the master runs. With --ssl-ca the master has to use TLS, and its certificate to be of that CA and of this address.",
        ))
}

async fn open(
    tls: Option<&Tls>,
    address: &str,
    timeout: Duration,
) -> Result<Channel, tonic::transport::Error> {
    endpoint(tls, address)?.connect_timeout(Duration::from_secs(5)).timeout(timeout).connect().await
}
