//! `dm-master.toml`, `dm-worker.toml` and the flags that go before them.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use common::{
    cipher::Key,
    duration::GoDuration,
    error::{DmCode, DmError, dm_codes as code},
    log::{LogConfig, LogFormat},
};
use serde::Deserialize;

use crate::tls::{Tls, TlsFlags, bare};

/// Flags about the log, of every part that stays.
#[derive(Debug, Clone, Default, Args)]
pub struct LogFlags {
    /// Lowest level that is logged: debug, info, warn, error, fatal
    #[arg(short = 'L', long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Log file; the terminal if not given
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<String>,
    /// Form of a log line: text or json
    #[arg(long, value_name = "FORM")]
    pub log_format: Option<String>,
}

impl LogFlags {
    /// Where to log, without a file of settings.
    ///
    /// # Errors
    /// 20002: an unknown form.
    pub fn config(&self) -> Result<LogConfig, DmError> {
        log(self, String::new(), String::new(), "", "")
    }
}

/// Flags that master and worker share.
#[derive(Debug, Clone, Default, Args)]
pub struct ProcessFlags {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub tls: TlsFlags,
    /// Common names of the client certificates that are let in, separated by commas; all of the CA if not given
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub cert_allowed_cn: Vec<String>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub log: LogFlags,
    /// Print a sample configuration and exit
    #[arg(long)]
    pub print_sample_config: bool,
}

impl ProcessFlags {
    /// With what the file says.
    fn tls(
        &self,
        [ca, cert, key]: [&str; 3],
        allowed: Vec<String>,
        invalid: &'static DmCode,
    ) -> Result<Option<Tls>, DmError> {
        let allowed = if self.cert_allowed_cn.is_empty() { allowed } else { self.cert_allowed_cn.clone() };
        Tls::load(&self.tls.or(ca, cert, key), allowed, invalid)
    }
}

/// Flags of `rsync-dm master`; each goes before the same key of the file.
#[derive(Debug, Clone, Default, Args)]
pub struct MasterFlags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on (default :8261)
    #[arg(long, value_name = "HOST:PORT")]
    pub master_addr: Option<String>,
    /// Address that others reach this master at
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise_addr: Option<String>,
    /// Name of this master
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder of the store
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// File of 64 hexadecimal digits with which passwords are encrypted
    #[arg(long, value_name = "FILE")]
    pub secret_key_path: Option<PathBuf>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub process: ProcessFlags,
}

/// Flags of `rsync-dm worker`; each goes before the same key of the file.
#[derive(Debug, Clone, Default, Args)]
pub struct WorkerFlags {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on (default :8262)
    #[arg(long, value_name = "HOST:PORT")]
    pub worker_addr: Option<String>,
    /// Address that the master reaches this worker at
    #[arg(long, value_name = "HOST:PORT")]
    pub advertise_addr: Option<String>,
    /// Addresses of masters, separated by commas
    #[arg(long, value_name = "HOST:PORT,…")]
    pub join: Option<String>,
    /// Name of this worker, unique in the cluster (default: its address)
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Seconds without a sign of life after which the master gives the source to another worker
    #[arg(long, value_name = "SECONDS")]
    pub keepalive_ttl: Option<u64>,
    #[command(flatten)]
    #[allow(missing_docs)]
    pub process: ProcessFlags,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct MasterToml {
    name: String,
    master_addr: String,
    advertise_addr: String,
    peer_urls: String,
    advertise_peer_urls: String,
    initial_cluster: String,
    initial_cluster_state: String,
    join: String,
    data_dir: String,
    log_level: String,
    log_file: String,
    log_format: String,
    log_rotate: String,
    rpc_timeout: Option<GoDuration>,
    #[serde(rename = "rpc-rate-limit")]
    _rpc_rate_limit: Option<f64>,
    #[serde(rename = "rpc-rate-burst")]
    _rpc_rate_burst: Option<i64>,
    // Settings of etcd, which there is none of here.
    #[serde(rename = "max-txn-ops")]
    _max_txn_ops: Option<u64>,
    #[serde(rename = "max-request-bytes")]
    _max_request_bytes: Option<u64>,
    #[serde(rename = "auto-compaction-mode")]
    _auto_compaction_mode: Option<String>,
    #[serde(rename = "auto-compaction-retention")]
    _auto_compaction_retention: Option<String>,
    #[serde(rename = "quota-backend-bytes")]
    _quota_backend_bytes: Option<u64>,
    openapi: bool,
    v1_sources_path: String,
    secret_key_path: String,
    ssl_ca: String,
    ssl_cert: String,
    ssl_key: String,
    cert_allowed_cn: Vec<String>,
    experimental: ExperimentalToml,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ExperimentalToml {
    openapi: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct WorkerToml {
    name: String,
    worker_addr: String,
    advertise_addr: String,
    join: String,
    keepalive_ttl: Option<u64>,
    #[serde(rename = "relay-keepalive-ttl")]
    _relay_keepalive_ttl: Option<u64>,
    #[serde(rename = "relay-dir")]
    _relay_dir: Option<String>,
    log_level: String,
    log_file: String,
    log_format: String,
    log_rotate: String,
    #[serde(rename = "redact-info-log")]
    _redact_info_log: Option<toml::Value>,
    ssl_ca: String,
    ssl_cert: String,
    ssl_key: String,
    cert_allowed_cn: Vec<String>,
}

/// A checked master.
#[derive(Debug, Clone)]
pub struct MasterConfig {
    /// Name.
    pub name: String,
    /// `host:port` to listen on.
    pub listen: String,
    /// `host:port` that others use.
    pub advertise: String,
    /// Shown by `list-member`.
    pub peer_url: String,
    /// Folder of the store.
    pub data_dir: PathBuf,
    /// How long a call to a worker may take, and how long commands wait for workers.
    pub rpc_timeout: Duration,
    /// The cluster's key.
    pub key: Option<Key>,
    /// TLS on the port and to the others.
    pub tls: Option<Tls>,
    /// Where to log.
    pub log: LogConfig,
}

/// A checked worker.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    /// Name.
    pub name: String,
    /// `host:port` to listen on.
    pub listen: String,
    /// `host:port` that the master uses.
    pub advertise: String,
    /// Masters, at least one.
    pub join: Vec<String>,
    /// See `keepalive-ttl`.
    pub keepalive_ttl: Duration,
    /// TLS on the port and to the others.
    pub tls: Option<Tls>,
    /// Where to log.
    pub log: LogConfig,
}

impl MasterConfig {
    /// Puts flags before the file and checks.
    ///
    /// # Errors
    /// 38011 unknown keys and what is not supported yet, 20002 a bad file, 38051 TLS, 20067 the key.
    pub fn load(flags: &MasterFlags) -> Result<Self, DmError> {
        let file: MasterToml = super::load_toml(flags.config.as_deref(), &code::MASTER_CONFIG_UNKNOWN_ITEM)?;
        let refuse = |what: &str| {
            Err(code::MASTER_CONFIG_UNKNOWN_ITEM
                .error(format!("{what} is not supported yet"))
                .with_workaround("Remove it."))
        };
        let files = [file.ssl_ca.as_str(), &file.ssl_cert, &file.ssl_key];
        let tls = flags.process.tls(files, file.cert_allowed_cn, &code::MASTER_TLS_CONFIG_NOT_VALID)?;
        if file.openapi || file.experimental.openapi {
            return refuse("openapi = true");
        }
        if !file.join.is_empty() || file.initial_cluster.contains(',') {
            return refuse("a cluster of several masters (join, initial-cluster)");
        }
        if !matches!(file.initial_cluster_state.as_str(), "" | "new") {
            return refuse("initial-cluster-state");
        }
        if !file.v1_sources_path.is_empty() {
            return refuse("v1-sources-path");
        }
        let name = flags.name.clone().or(some(file.name)).unwrap_or_else(default_master_name);
        let listen = flags.master_addr.clone().or(some(file.master_addr)).unwrap_or_else(|| ":8261".into());
        let (host, port) = host_port(&listen, "master-addr", &code::MASTER_CONFIG_UNKNOWN_ITEM)?;
        let advertise =
            flags.advertise_addr.clone().or(some(file.advertise_addr)).unwrap_or_else(|| {
                if unspecified(&host) { format!("127.0.0.1:{port}") } else { listen.clone() }
            });
        let peer_url = some(file.advertise_peer_urls)
            .or(some(file.peer_urls))
            .unwrap_or_else(|| "http://127.0.0.1:8291".into());
        let key_path = flags.secret_key_path.clone().or(some(file.secret_key_path).map(PathBuf::from));
        let key = key_path
            .map(|p| Key::from_file(&p))
            .transpose()
            .map_err(|e| code::CONFIG_SECRET_KEY_PATH.wrap("", &e))?;
        let data_dir = flags.data_dir.clone().or(some(file.data_dir).map(PathBuf::from));
        Ok(Self {
            listen: socket_text(&host, port),
            advertise,
            peer_url,
            data_dir: data_dir.unwrap_or_else(|| format!("default.{name}").into()),
            rpc_timeout: file.rpc_timeout.map_or(Duration::from_secs(30), GoDuration::get),
            key,
            tls,
            log: log(&flags.process.log, file.log_level, file.log_file, &file.log_format, &file.log_rotate)?,
            name,
        })
    }
}

impl WorkerConfig {
    /// Puts flags before the file and checks.
    ///
    /// # Errors
    /// 40004 unknown keys, 20002 a bad file, 40069 addresses, 40076 TLS.
    pub fn load(flags: &WorkerFlags) -> Result<Self, DmError> {
        let file: WorkerToml =
            super::load_toml(flags.config.as_deref(), &code::WORKER_UNDECODED_ITEM_FROM_FILE)?;
        let files = [file.ssl_ca.as_str(), &file.ssl_cert, &file.ssl_key];
        let tls = flags.process.tls(files, file.cert_allowed_cn, &code::WORKER_TLS_CONFIG_NOT_VALID)?;
        let row = &code::WORKER_HOST_PORT_NOT_VALID;
        let listen = flags.worker_addr.clone().or(some(file.worker_addr)).unwrap_or_else(|| ":8262".into());
        let (host, port) = host_port(&listen, "worker-addr", row)?;
        let advertise = match flags.advertise_addr.clone().or(some(file.advertise_addr)) {
            Some(address) => address,
            None if unspecified(&host) => {
                return Err(row
                    .error(format!("worker-addr `{listen}` names no host, and there is no advertise-addr"))
                    .with_workaround(
                        "Set `advertise-addr` to the address that the master reaches this worker at.",
                    ));
            }
            None => listen.clone(),
        };
        host_port(&advertise, "advertise-addr", row)?;
        let join: Vec<String> = flags
            .join
            .clone()
            .or(some(file.join))
            .unwrap_or_default()
            .split(',')
            .map(|a| bare(a).to_owned())
            .filter(|a| !a.is_empty())
            .collect();
        if join.is_empty() {
            return Err(code::WORKER_FAIL_CONNECT_MASTER
                .error("no master is named")
                .with_workaround("Set `join` to the master's address."));
        }
        let ttl = flags.keepalive_ttl.or(file.keepalive_ttl).unwrap_or(60);
        Ok(Self {
            name: flags.name.clone().or(some(file.name)).unwrap_or_else(|| advertise.clone()),
            listen: socket_text(&host, port),
            advertise,
            join,
            keepalive_ttl: Duration::from_secs(ttl.max(1)),
            tls,
            log: log(&flags.process.log, file.log_level, file.log_file, &file.log_format, &file.log_rotate)?,
        })
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn log(
    flags: &LogFlags,
    level: String,
    file: String,
    format: &str,
    rotate: &str,
) -> Result<LogConfig, DmError> {
    if !matches!(rotate, "" | "day" | "hour") {
        return Err(code::CONFIG_TOML_TRANSFORM.error(format!("log-rotate `{rotate}` is not day or hour")));
    }
    let format: LogFormat = flags
        .log_format
        .as_deref()
        .unwrap_or(format)
        .parse()
        .map_err(|e| code::CONFIG_TOML_TRANSFORM.wrap("log-format", &e))?;
    Ok(LogConfig {
        level: flags.log_level.clone().or(some(level)).unwrap_or_else(|| "info".into()),
        file: flags.log_file.clone().or(some(file)).map(PathBuf::from),
        format,
        max_size_mb: 512,
        max_days: 7,
        ..LogConfig::default()
    })
}

fn default_master_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match host.trim() {
        "" => "dm-master".into(),
        host => format!("dm-master-{host}"),
    }
}

/// Splits `host:port`; the host may be empty or in brackets.
fn host_port(text: &str, what: &str, row: &'static DmCode) -> Result<(String, u16), DmError> {
    let text = bare(text);
    text.rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)))
        .filter(|(host, _)| !host.contains(':') || host.starts_with('['))
        .ok_or_else(|| row.error(format!("{what} `{text}` is not host:port")))
}

fn unspecified(host: &str) -> bool {
    matches!(host, "" | "0.0.0.0" | "[::]")
}

fn socket_text(host: &str, port: u16) -> String {
    if host.is_empty() { format!("0.0.0.0:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn master(text: &str) -> Result<MasterConfig, DmError> {
        let (_dir, path) = file(text);
        MasterConfig::load(&MasterFlags { config: Some(path), ..Default::default() })
    }

    fn worker(text: &str) -> Result<WorkerConfig, DmError> {
        let (_dir, path) = file(text);
        WorkerConfig::load(&WorkerFlags { config: Some(path), ..Default::default() })
    }

    #[test]
    fn defaults_of_a_master() {
        let m = MasterConfig::load(&MasterFlags::default()).unwrap();
        assert_eq!(m.listen, "0.0.0.0:8261");
        assert_eq!(m.advertise, "127.0.0.1:8261");
        assert!(m.name.starts_with("dm-master"));
        assert_eq!(m.data_dir, PathBuf::from(format!("default.{}", m.name)));
    }

    #[test]
    fn flags_go_before_the_file() {
        let (_dir, path) = file("name = 'a'\nmaster-addr = '127.0.0.1:1'\nrpc-timeout = '5s'\n");
        let flags = MasterFlags { config: Some(path), master_addr: Some("h:2".into()), ..Default::default() };
        let m = MasterConfig::load(&flags).unwrap();
        assert_eq!((m.name.as_str(), m.listen.as_str(), m.advertise.as_str()), ("a", "h:2", "h:2"));
        assert_eq!(m.rpc_timeout.as_secs(), 5);
    }

    #[test]
    fn errors_have_their_codes() {
        let code = |text: &str| master(text).unwrap_err().code().code;
        assert_eq!(code("nope = 1"), 38011);
        assert_eq!(code("name = "), 20002);
        assert_eq!(code("openapi = true"), 38011);
        assert_eq!(code("join = 'a:1'"), 38011);
        assert_eq!(code("ssl-ca = 'x'"), 38051);
        assert_eq!(code("secret-key-path = '/no/such'"), 20067);
        assert_eq!(code("master-addr = 'x'"), 38011);
        let code = |text: &str| worker(text).unwrap_err().code().code;
        assert_eq!(code("nope = 1"), 40004);
        assert_eq!(code("join = 'm:1'"), 40069);
        assert_eq!(code("worker-addr = 'h:1'"), 40077);
        assert_eq!(code("worker-addr = 'h:1'\nssl-key = 'x'\njoin = 'm:1'"), 40076);
    }

    #[test]
    fn a_worker() {
        let w = worker("worker-addr = 'h:1'\njoin = 'http://m:1, n:2'\nkeepalive-ttl = 20\n").unwrap();
        assert_eq!((w.name.as_str(), w.advertise.as_str()), ("h:1", "h:1"));
        assert_eq!(w.join, ["m:1", "n:2"]);
        assert!(w.tls.is_none());
        assert_eq!(w.keepalive_ttl.as_secs(), 20);
    }
}
