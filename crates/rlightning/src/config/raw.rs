//! `tidb-lightning.toml` as it is written: every key of the real tool (facts/lightning.md 1.2 to 1.10), nothing checked.
//!
//! Keys of the physical backend and of CSV files are read too, so that one file serves both tools; what would change the result
//! and is not there is refused by name in [`super::Config::resolve`].

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::duration::GoDuration;
use common::route::RouteRule;
use common::secret::Secret;
use common::size::ByteSize;

use crate::source::csv::BinaryText;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The whole file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RawConfig {
    /// `[lightning]`
    pub lightning: Lightning,
    /// `[tidb]`
    pub tidb: Tidb,
    /// `[security]`
    pub security: Security,
    /// `[checkpoint]`
    pub checkpoint: Checkpoint,
    /// `[conflict]`
    pub conflict: Conflict,
    /// `[tikv-importer]`
    pub tikv_importer: TikvImporter,
    /// `[mydumper]`
    pub mydumper: Mydumper,
    /// `[[routes]]`
    pub routes: Vec<RouteRule>,
    /// `[post-restore]`
    pub post_restore: PostRestore,
    /// `[cron]`
    pub cron: Cron,
}

/// `[lightning]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Lightning {
    pub level: String,
    pub file: Option<String>,
    /// MB.
    pub max_size: u64,
    pub max_days: u64,
    /// 0 keeps all.
    pub max_backups: u64,
    pub enable_diagnose_logs: bool,
    pub status_addr: String,
    pub pprof_port: Option<u16>,
    pub server_mode: bool,
    pub check_requirements: bool,
    pub table_concurrency: usize,
    pub index_concurrency: usize,
    pub region_concurrency: usize,
    pub io_concurrency: usize,
    pub meta_schema_name: String,
    pub max_error: MaxError,
    pub max_error_records: i64,
    pub task_info_schema_name: String,
}

impl Default for Lightning {
    fn default() -> Self {
        Self {
            level: "info".into(),
            file: None,
            max_size: 512,
            max_days: 7,
            max_backups: 0,
            enable_diagnose_logs: false,
            status_addr: String::new(),
            pprof_port: None,
            server_mode: false,
            check_requirements: true,
            table_concurrency: 0,
            index_concurrency: 0,
            region_concurrency: 0,
            io_concurrency: 5,
            meta_schema_name: String::new(),
            max_error: MaxError::default(),
            max_error_records: 0,
            task_info_schema_name: "lightning_task_info".into(),
        }
    }
}

/// `max-error`: an integer, or a table of which only `type` counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MaxError {
    /// Rows with type errors that are left out before the import fails; negative values are read as 0.
    #[serde(rename = "type")]
    pub type_errors: u64,
}

impl<'de> Deserialize<'de> for MaxError {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        let number = match &value {
            toml::Value::Integer(number) => Some(*number),
            toml::Value::Table(table) if table.values().all(toml::Value::is_integer) => {
                Some(table.get("type").and_then(toml::Value::as_integer).unwrap_or(0))
            }
            _ => None,
        };
        let number = number.ok_or_else(|| {
            D::Error::custom(format!(
                "invalid max-error '{value}', should be an integer or a map of string:int64"
            ))
        })?;
        Ok(Self { type_errors: u64::try_from(number).unwrap_or(0) })
    }
}

/// `[tidb]`: the target.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Tidb {
    pub host: String,
    pub port: u16,
    pub user: String,
    pub password: Secret,
    pub status_port: u16,
    pub pd_addr: String,
    pub log_level: String,
    /// Not set: strict and lenient about zero dates, see [`crate::downstream::session`].
    pub sql_mode: Option<String>,
    pub tls: String,
    pub security: Option<Security>,
    pub max_allowed_packet: ByteSize,
    pub distsql_scan_concurrency: u64,
    pub build_stats_concurrency: u64,
    pub index_serial_scan_concurrency: u64,
    pub checksum_table_concurrency: u64,
    pub session_vars: BTreeMap<String, toml::Value>,
}

impl Default for Tidb {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            user: "root".into(),
            password: Secret::default(),
            status_port: 10080,
            pd_addr: String::new(),
            log_level: "error".into(),
            sql_mode: None,
            tls: String::new(),
            security: None,
            max_allowed_packet: ByteSize(64 << 20),
            distsql_scan_concurrency: 15,
            build_stats_concurrency: 20,
            index_serial_scan_concurrency: 20,
            checksum_table_concurrency: 2,
            session_vars: BTreeMap::new(),
        }
    }
}

/// `[security]` and `[tidb.security]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Security {
    pub ca_path: String,
    pub cert_path: String,
    pub key_path: String,
    pub redact_info_log: bool,
}

/// `[checkpoint]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Checkpoint {
    pub enable: bool,
    pub schema: String,
    /// Empty: `file`, and no checkpoints are written.
    pub driver: String,
    /// The version that checkpoints of a new task name, of our own: real tools compare it with theirs.
    pub lightning_version: String,
    /// May hold a password.
    pub dsn: Secret,
    pub keep_after_success: KeepAfterSuccess,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Self {
            enable: true,
            schema: "tidb_lightning_checkpoint".into(),
            driver: String::new(),
            lightning_version: common::version::RELEASE.into(),
            dsn: Secret::default(),
            keep_after_success: KeepAfterSuccess::Remove,
        }
    }
}

/// What becomes of the ledger's rows after a good end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeepAfterSuccess {
    /// They are deleted.
    #[default]
    Remove,
    /// They stay, and the next run starts a new task.
    Rename,
    /// They stay, and the next run finds everything done.
    Origin,
}

impl<'de> Deserialize<'de> for KeepAfterSuccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match common::config::text(deserializer)?.to_lowercase().as_str() {
            "remove" | "false" => Self::Remove,
            "rename" | "true" => Self::Rename,
            "origin" => Self::Origin,
            other => {
                return Err(D::Error::custom(format!(
                    "invalid checkpoint.keep-after-success '{other}', should be 'remove', 'rename' or 'origin'"
                )));
            }
        })
    }
}

/// `[conflict]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Conflict {
    pub strategy: String,
    pub precheck_conflict_before_import: bool,
    /// −1: the default of the strategy.
    pub threshold: i64,
    pub max_record_rows: i64,
}

impl Default for Conflict {
    fn default() -> Self {
        Self {
            strategy: String::new(),
            precheck_conflict_before_import: false,
            threshold: -1,
            max_record_rows: -1,
        }
    }
}

/// `[tikv-importer]`
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct TikvImporter {
    pub backend: String,
    pub on_duplicate: String,
    pub logical_import_batch_size: Option<ByteSize>,
    pub logical_import_batch_rows: Option<i64>,
    pub logical_import_prep_stmt: bool,
    pub max_kv_pairs: Option<u64>,
    pub sorted_kv_dir: String,
    pub disk_quota: Option<ByteSize>,
    pub range_concurrency: Option<u64>,
    pub region_split_size: Option<ByteSize>,
    pub region_split_keys: Option<u64>,
    pub region_split_batch_size: Option<u64>,
    pub region_split_concurrency: Option<u64>,
    pub region_check_backoff_limit: Option<u64>,
    pub send_kv_pairs: Option<u64>,
    pub send_kv_size: Option<ByteSize>,
    pub compress_kv_pairs: String,
    pub store_write_bwlimit: Option<ByteSize>,
    pub engine_mem_cache_size: Option<ByteSize>,
    pub local_writer_mem_cache_size: Option<ByteSize>,
    pub block_size: Option<ByteSize>,
    pub duplicate_resolution: String,
    pub parallel_import: bool,
    pub incremental_import: bool,
    pub add_index_by_sql: bool,
    pub pause_pd_scheduler_scope: String,
    pub keyspace_name: String,
    pub addr: String,
}

/// `[mydumper]`: the source.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Mydumper {
    /// Parameters of a URL hold keys: they are not shown.
    #[serde(serialize_with = "shown_url")]
    pub data_source_dir: String,
    pub read_block_size: ByteSize,
    pub batch_size: ByteSize,
    pub batch_import_ratio: f64,
    pub source_id: String,
    pub character_set: String,
    pub data_character_set: String,
    /// Not set: bytes that are no text are an error.
    pub data_invalid_char_replace: Option<String>,
    pub max_region_size: ByteSize,
    pub strict_format: bool,
    pub filter: Vec<String>,
    pub case_sensitive: bool,
    pub no_schema: bool,
    /// As `--programs`, of our own.
    pub programs: bool,
    pub files: Vec<FileRule>,
    pub default_file_rules: Option<bool>,
    pub ignore_columns: Vec<IgnoreColumns>,
    /// The spelling of the same list in a task posted to a server.
    pub ignore_data_columns: Vec<IgnoreColumns>,
    pub csv: Csv,
}

fn shown_url<S: serde::Serializer>(url: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(common::storage::without_parameters(url))
}

impl Default for Mydumper {
    fn default() -> Self {
        Self {
            data_source_dir: String::new(),
            read_block_size: ByteSize(64 << 10),
            batch_size: ByteSize(0),
            batch_import_ratio: 0.75,
            source_id: String::new(),
            character_set: "auto".into(),
            data_character_set: "binary".into(),
            data_invalid_char_replace: None,
            max_region_size: ByteSize(256 << 20),
            strict_format: false,
            filter: common::filter::LIGHTNING_DEFAULT.iter().map(|&rule| rule.into()).collect(),
            case_sensitive: false,
            no_schema: false,
            programs: false,
            files: Vec::new(),
            default_file_rules: None,
            ignore_columns: Vec::new(),
            ignore_data_columns: Vec::new(),
            csv: Csv::default(),
        }
    }
}

/// One of `[[mydumper.files]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct FileRule {
    pub pattern: String,
    pub path: String,
    pub schema: String,
    pub table: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub key: String,
    pub compression: String,
}

/// One of `[[mydumper.ignore-columns]]`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct IgnoreColumns {
    pub db: String,
    pub table: String,
    pub table_filter: Vec<String>,
    pub columns: Vec<String>,
}

/// `[mydumper.csv]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Csv {
    pub separator: String,
    pub delimiter: String,
    pub terminator: String,
    pub null: Texts,
    pub header: bool,
    pub header_schema_match: bool,
    pub trim_last_separator: bool,
    pub not_null: bool,
    pub backslash_escape: bool,
    pub escaped_by: String,
    /// Of our own: a quoted field is never NULL.
    pub quoted_null_is_text: bool,
    /// Of our own: how binary columns are written.
    pub binary_encoding: BinaryText,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            separator: ",".into(),
            delimiter: "\"".into(),
            terminator: String::new(),
            null: Texts(vec!["\\N".into()]),
            header: true,
            header_schema_match: true,
            trim_last_separator: false,
            not_null: false,
            backslash_escape: true,
            escaped_by: "\\".into(),
            quoted_null_is_text: false,
            binary_encoding: BinaryText::Raw,
        }
    }
}

/// One text or a list of texts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl Serialize for Texts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum OneOrMany {
            One(String),
            Many(Vec<String>),
        }
        Ok(match OneOrMany::deserialize(deserializer)? {
            OneOrMany::One(text) => Self(vec![text]),
            OneOrMany::Many(texts) => Self(texts),
        })
    }
}

/// `[post-restore]`: all of it but `verify` is for the physical backend.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct PostRestore {
    pub checksum: OpLevel,
    pub analyze: OpLevel,
    pub checksum_via_sql: bool,
    pub level_1_compact: bool,
    pub compact: bool,
    pub post_process_at_last: bool,
    /// As `--verify`, of our own.
    pub verify: bool,
}

impl Default for PostRestore {
    fn default() -> Self {
        Self {
            checksum: OpLevel::Required,
            analyze: OpLevel::Optional,
            checksum_via_sql: false,
            level_1_compact: false,
            compact: false,
            post_process_at_last: true,
            verify: false,
        }
    }
}

/// How much a step matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OpLevel {
    /// Not done.
    Off,
    /// A failure is reported only.
    Optional,
    /// A failure fails the run.
    Required,
}

impl std::str::FromStr for OpLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" | "false" => Ok(Self::Off),
            "optional" => Ok(Self::Optional),
            "required" | "true" | "" => Ok(Self::Required),
            other => Err(format!(
                "invalid op level '{other}', please choose valid option between ['off', 'optional', 'required']"
            )),
        }
    }
}

impl<'de> Deserialize<'de> for OpLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        common::config::parsed(deserializer)
    }
}

/// `[cron]`; 0 disables.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct Cron {
    pub switch_mode: GoDuration,
    pub log_progress: GoDuration,
    pub check_disk_quota: GoDuration,
}

impl Default for Cron {
    fn default() -> Self {
        Self {
            switch_mode: GoDuration::from_secs(300),
            log_progress: GoDuration::from_secs(300),
            check_disk_quota: GoDuration::from_secs(60),
        }
    }
}

/// Where a relative path of the file counts from: the working folder, as in the real tool.
pub(super) fn path_or_none(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}
