//! Where the master is, and the connection to it.

use std::{path::Path, time::Duration};

use common::{
    config as read,
    duration::GoDuration,
    error::{DmError, dm_codes as code},
};
use serde::Deserialize;
use tonic::transport::{Channel, Endpoint};

use super::CtlArgs;
use crate::proto::pb::master_client::MasterClient;

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
    let file = match &args.config {
        Some(path) => load(path)?,
        None => CtlToml::default(),
    };
    if [&file.ssl_ca, &file.ssl_cert, &file.ssl_key].iter().any(|s| !s.is_empty()) {
        return Err(code::CTL_INVALID_TLS_CFG.error("TLS to the master is not supported yet"));
    }
    let environment = std::env::var("DM_MASTER_ADDR").ok();
    let addresses = args
        .master_addr
        .clone()
        .or_else(|| (!file.master_addr.is_empty()).then(|| file.master_addr.clone()))
        .or(environment)
        .unwrap_or_default();
    let timeout = args.rpc_timeout.or(file.rpc_timeout).map_or(DEFAULT_TIMEOUT, GoDuration::get);
    let addresses: Vec<&str> = addresses
        .split(',')
        .map(|a| a.trim().trim_start_matches("http://"))
        .filter(|a| !a.is_empty())
        .collect();
    if addresses.is_empty() {
        return Err(code::CTL_GRPC_CREATE_CONN
            .error("--master-addr not provided, this parameter is required when interacting with the dm-master, you can also use environment variable 'DM_MASTER_ADDR' to specify the value"));
    }
    let mut last = String::new();
    for address in &addresses {
        match open(address, timeout).await {
            Ok(channel) => return Ok(MasterClient::new(channel).max_decoding_message_size(64 << 20)),
            Err(e) => last = common::error::chain(&e),
        }
    }
    Err(code::CTL_GRPC_CREATE_CONN
        .error(format!("can't connect to {}", addresses.join(",")))
        .with_cause(last))
}

async fn open(address: &str, timeout: Duration) -> Result<Channel, tonic::transport::Error> {
    Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(Duration::from_secs(5))
        .timeout(timeout)
        .connect()
        .await
}

fn load(path: &Path) -> Result<CtlToml, DmError> {
    let origin = path.display().to_string();
    let loaded = read::load_toml::<CtlToml>(path).map_err(|e| code::CONFIG_TOML_TRANSFORM.wrap("", &e))?;
    loaded.strict(&origin).map_err(|e| code::CONFIG_TOML_TRANSFORM.wrap("", &e))
}
