//! `source.yaml` and `task.yaml` as written: every key that DM knows, nothing checked.
//!
//! The order of the fields is the order in which DM prints them (`config task`, `config source`).

mod units;

use std::collections::BTreeMap;

use common::{
    block_allow::BlockAllowRules, config as read, duration::GoDuration, route::RouteRule, secret::Secret,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::units::{LoaderYaml, MydumperYaml, SyncerYaml, ValidatorYaml};

/// Null or missing is the type's default, as go-yaml leaves a field alone at null.
fn or_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(read::text_opt(deserializer)?.unwrap_or_default())
}

fn whole<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128> + Default,
{
    Ok(read::int_opt(deserializer)?.unwrap_or_default())
}

/// Any scalar as text: list items and map values that go-yaml reads into strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer).map(Self)
    }
}

/// A password is never printed, and its length or absence is not either.
fn masked<S: Serializer>(_: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(common::secret::MASK)
}

/// `from` of a source, `target-database` of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct DatabaseYaml {
    #[serde(deserialize_with = "string")]
    pub host: String,
    #[serde(deserialize_with = "whole")]
    pub port: u16,
    #[serde(deserialize_with = "string")]
    pub user: String,
    #[serde(serialize_with = "masked")]
    pub password: Secret,
    #[serde(deserialize_with = "read::int_opt")]
    pub max_allowed_packet: Option<i64>,
    #[serde(deserialize_with = "or_default")]
    pub session: BTreeMap<String, Text>,
    pub security: Option<SecurityYaml>,
}

/// TLS files and texts of a database.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct SecurityYaml {
    #[serde(deserialize_with = "string")]
    pub ssl_ca: String,
    #[serde(deserialize_with = "string")]
    pub ssl_cert: String,
    #[serde(deserialize_with = "string")]
    pub ssl_key: String,
    #[serde(deserialize_with = "or_default")]
    pub cert_allowed_cn: Vec<Text>,
    #[serde(deserialize_with = "bytes")]
    pub ssl_ca_bytes: Vec<u8>,
    #[serde(deserialize_with = "bytes")]
    pub ssl_cert_bytes: Vec<u8>,
    #[serde(deserialize_with = "bytes", serialize_with = "no_bytes")]
    pub ssl_key_bytes: Vec<u8>,
    #[serde(deserialize_with = "string")]
    pub ssl_ca_base64: String,
    #[serde(deserialize_with = "string")]
    pub ssl_cert_base64: String,
    #[serde(serialize_with = "masked_unless_empty")]
    pub ssl_key_base64: Secret,
}

fn no_bytes<S: Serializer>(_: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(std::iter::empty::<u8>())
}

fn masked_unless_empty<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    secret.serialize(serializer)
}

/// A list of numbers (as go-yaml writes bytes) or a text.
fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    struct Bytes;
    impl<'de> serde::de::Visitor<'de> for Bytes {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a list of bytes or a text")
        }

        fn visit_str<E>(self, v: &str) -> Result<Vec<u8>, E> {
            Ok(v.as_bytes().to_vec())
        }

        fn visit_unit<E>(self) -> Result<Vec<u8>, E> {
            Ok(Vec::new())
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u8>, A::Error> {
            let mut out = Vec::new();
            while let Some(byte) = seq.next_element()? {
                out.push(byte);
            }
            Ok(out)
        }
    }
    deserializer.deserialize_any(Bytes)
}

/// `source.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct SourceYaml {
    #[serde(deserialize_with = "read::bool")]
    pub enable: bool,
    #[serde(deserialize_with = "read::bool")]
    pub enable_gtid: bool,
    #[serde(deserialize_with = "read::bool")]
    pub auto_fix_gtid: bool,
    #[serde(deserialize_with = "string")]
    pub relay_dir: String,
    #[serde(deserialize_with = "string")]
    pub meta_dir: String,
    #[serde(deserialize_with = "string")]
    pub flavor: String,
    #[serde(deserialize_with = "string")]
    pub charset: String,
    #[serde(deserialize_with = "read::bool")]
    pub enable_relay: bool,
    #[serde(deserialize_with = "string")]
    pub relay_binlog_name: String,
    #[serde(deserialize_with = "string")]
    pub relay_binlog_gtid: String,
    #[serde(deserialize_with = "string")]
    pub source_id: String,
    pub from: DatabaseYaml,
    pub purge: PurgeYaml,
    pub checker: CheckerYaml,
    #[serde(deserialize_with = "whole")]
    pub server_id: u32,
    pub tracer: BTreeMap<String, serde_yaml::Value>,
    #[serde(deserialize_with = "read::bool")]
    pub case_sensitive: bool,
    #[serde(deserialize_with = "or_default")]
    pub filters: Vec<FilterYaml>,
}

impl Default for SourceYaml {
    fn default() -> Self {
        Self {
            enable: true,
            enable_gtid: false,
            auto_fix_gtid: false,
            relay_dir: String::new(),
            meta_dir: String::new(),
            flavor: String::new(),
            charset: String::new(),
            enable_relay: false,
            relay_binlog_name: String::new(),
            relay_binlog_gtid: String::new(),
            source_id: String::new(),
            from: DatabaseYaml::default(),
            purge: PurgeYaml::default(),
            checker: CheckerYaml::default(),
            server_id: 0,
            tracer: BTreeMap::new(),
            case_sensitive: false,
            filters: Vec::new(),
        }
    }
}

/// When relay files are removed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct PurgeYaml {
    #[serde(deserialize_with = "whole")]
    pub interval: i64,
    #[serde(deserialize_with = "whole")]
    pub expires: i64,
    #[serde(deserialize_with = "whole")]
    pub remain_space: i64,
}

impl Default for PurgeYaml {
    fn default() -> Self {
        Self { interval: 3600, expires: 0, remain_space: 15 }
    }
}

/// `2`, not `2.0`.
fn short_float<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        serializer.serialize_i64(*value as i64)
    } else {
        serializer.serialize_f64(*value)
    }
}

/// How a task that paused on an error is resumed without being asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct CheckerYaml {
    #[serde(deserialize_with = "read::bool")]
    pub check_enable: bool,
    pub backoff_rollback: GoDuration,
    pub backoff_max: GoDuration,
    pub check_interval: GoDuration,
    pub backoff_min: GoDuration,
    #[serde(deserialize_with = "read::bool")]
    pub backoff_jitter: bool,
    #[serde(serialize_with = "short_float")]
    pub backoff_factor: f64,
}

impl Default for CheckerYaml {
    fn default() -> Self {
        Self {
            check_enable: true,
            backoff_rollback: GoDuration::from_secs(300),
            backoff_max: GoDuration::from_secs(300),
            check_interval: GoDuration::from_secs(5),
            backoff_min: GoDuration::from_secs(1),
            backoff_jitter: true,
            backoff_factor: 2.0,
        }
    }
}

/// One rule of `filters`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct FilterYaml {
    #[serde(deserialize_with = "string")]
    pub schema_pattern: String,
    #[serde(deserialize_with = "string")]
    pub table_pattern: String,
    #[serde(deserialize_with = "or_default")]
    pub events: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub sql_pattern: Vec<Text>,
    #[serde(deserialize_with = "string")]
    pub action: String,
}

/// One rule of `expression-filter`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct ExpressionYaml {
    #[serde(deserialize_with = "string")]
    pub schema: String,
    #[serde(deserialize_with = "string")]
    pub table: String,
    #[serde(deserialize_with = "string")]
    pub insert_value_expr: String,
    #[serde(deserialize_with = "string")]
    pub update_old_value_expr: String,
    #[serde(deserialize_with = "string")]
    pub update_new_value_expr: String,
    #[serde(deserialize_with = "string")]
    pub delete_value_expr: String,
}

/// `task.yaml`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct TaskYaml {
    #[serde(deserialize_with = "string")]
    pub name: String,
    #[serde(deserialize_with = "string")]
    pub task_mode: String,
    #[serde(deserialize_with = "read::bool")]
    pub is_sharding: bool,
    #[serde(deserialize_with = "string")]
    pub shard_mode: String,
    #[serde(deserialize_with = "read::bool")]
    pub strict_optimistic_shard_mode: bool,
    #[serde(deserialize_with = "or_default")]
    pub ignore_checking_items: Vec<Text>,
    #[serde(deserialize_with = "string")]
    pub meta_schema: String,
    #[serde(deserialize_with = "read::bool")]
    pub enable_heartbeat: bool,
    #[serde(deserialize_with = "whole")]
    pub heartbeat_update_interval: i64,
    #[serde(deserialize_with = "whole")]
    pub heartbeat_report_interval: i64,
    #[serde(deserialize_with = "string")]
    pub timezone: String,
    #[serde(deserialize_with = "read::bool")]
    pub case_sensitive: bool,
    #[serde(rename = "collation_compatible", deserialize_with = "string")]
    pub collation_compatible: String,
    pub target_database: Option<DatabaseYaml>,
    #[serde(deserialize_with = "or_default")]
    pub mysql_instances: Vec<Option<InstanceYaml>>,
    #[serde(deserialize_with = "read::bool")]
    pub online_ddl: bool,
    #[serde(deserialize_with = "or_default")]
    pub shadow_table_rules: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub trash_table_rules: Vec<Text>,
    #[serde(deserialize_with = "string")]
    pub online_ddl_scheme: String,
    #[serde(deserialize_with = "or_default")]
    pub routes: BTreeMap<String, RouteRule>,
    #[serde(deserialize_with = "or_default")]
    pub filters: BTreeMap<String, FilterYaml>,
    #[serde(deserialize_with = "or_default")]
    pub column_mappings: BTreeMap<String, serde_yaml::Value>,
    #[serde(deserialize_with = "or_default")]
    pub expression_filter: BTreeMap<String, ExpressionYaml>,
    #[serde(deserialize_with = "or_default")]
    pub black_white_list: BTreeMap<String, BlockAllowRules>,
    #[serde(deserialize_with = "or_default")]
    pub block_allow_list: BTreeMap<String, BlockAllowRules>,
    #[serde(deserialize_with = "or_default")]
    pub mydumpers: BTreeMap<String, MydumperYaml>,
    #[serde(deserialize_with = "or_default")]
    pub loaders: BTreeMap<String, LoaderYaml>,
    #[serde(deserialize_with = "or_default")]
    pub syncers: BTreeMap<String, SyncerYaml>,
    #[serde(deserialize_with = "or_default")]
    pub validators: BTreeMap<String, ValidatorYaml>,
    #[serde(deserialize_with = "read::bool")]
    pub clean_dump_file: bool,
    #[serde(deserialize_with = "read::bool")]
    pub ansi_quotes: bool,
    #[serde(deserialize_with = "read::bool")]
    pub remove_meta: bool,
    pub experimental: ExperimentalYaml,
}

impl Default for TaskYaml {
    fn default() -> Self {
        Self {
            name: String::new(),
            task_mode: String::new(),
            is_sharding: false,
            shard_mode: String::new(),
            strict_optimistic_shard_mode: false,
            ignore_checking_items: Vec::new(),
            meta_schema: "dm_meta".into(),
            enable_heartbeat: false,
            heartbeat_update_interval: 1,
            heartbeat_report_interval: 10,
            timezone: String::new(),
            case_sensitive: false,
            collation_compatible: "loose".into(),
            target_database: None,
            mysql_instances: Vec::new(),
            online_ddl: true,
            shadow_table_rules: Vec::new(),
            trash_table_rules: Vec::new(),
            online_ddl_scheme: String::new(),
            routes: BTreeMap::new(),
            filters: BTreeMap::new(),
            column_mappings: BTreeMap::new(),
            expression_filter: BTreeMap::new(),
            black_white_list: BTreeMap::new(),
            block_allow_list: BTreeMap::new(),
            mydumpers: BTreeMap::new(),
            loaders: BTreeMap::new(),
            syncers: BTreeMap::new(),
            validators: BTreeMap::new(),
            clean_dump_file: true,
            ansi_quotes: false,
            remove_meta: false,
            experimental: ExperimentalYaml::default(),
        }
    }
}

/// `experimental` of a task.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct ExperimentalYaml {
    #[serde(deserialize_with = "read::bool")]
    pub async_checkpoint_flush: bool,
}

/// One of `mysql-instances`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct InstanceYaml {
    #[serde(deserialize_with = "string")]
    pub source_id: String,
    pub meta: Option<MetaYaml>,
    #[serde(deserialize_with = "or_default")]
    pub filter_rules: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub column_mapping_rules: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub route_rules: Vec<Text>,
    #[serde(deserialize_with = "or_default")]
    pub expression_filters: Vec<Text>,
    #[serde(deserialize_with = "string")]
    pub black_white_list: String,
    #[serde(deserialize_with = "string")]
    pub block_allow_list: String,
    #[serde(deserialize_with = "string")]
    pub mydumper_config_name: String,
    pub mydumper: Option<MydumperYaml>,
    #[serde(deserialize_with = "whole")]
    pub mydumper_thread: u32,
    #[serde(deserialize_with = "string")]
    pub loader_config_name: String,
    pub loader: Option<LoaderYaml>,
    #[serde(deserialize_with = "whole")]
    pub loader_thread: u32,
    #[serde(deserialize_with = "string")]
    pub syncer_config_name: String,
    pub syncer: Option<SyncerYaml>,
    #[serde(deserialize_with = "whole")]
    pub syncer_thread: u32,
    #[serde(deserialize_with = "string")]
    pub validator_config_name: String,
}

/// Where replication starts when there is no checkpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct MetaYaml {
    #[serde(deserialize_with = "string")]
    pub binlog_name: String,
    #[serde(deserialize_with = "whole")]
    pub binlog_pos: u32,
    #[serde(deserialize_with = "string")]
    pub binlog_gtid: String,
}
