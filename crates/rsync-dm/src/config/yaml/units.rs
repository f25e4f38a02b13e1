//! The parts of `task.yaml` that set up how a task dumps, loads, replicates and compares: lists by name, each with DM's defaults.

use common::{config as read, duration::GoDuration};
use serde::{Deserialize, Serialize};

use super::{string, whole};

/// One of `mydumpers`; read, and unused in an incremental task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct MydumperYaml {
    #[serde(deserialize_with = "string")]
    pub mydumper_path: String,
    #[serde(deserialize_with = "whole")]
    pub threads: u32,
    #[serde(deserialize_with = "string")]
    pub chunk_filesize: String,
    #[serde(deserialize_with = "whole")]
    pub statement_size: u64,
    #[serde(deserialize_with = "whole")]
    pub rows: u64,
    #[serde(rename = "where", deserialize_with = "string")]
    pub where_: String,
    #[serde(deserialize_with = "read::bool")]
    pub skip_tz_utc: bool,
    #[serde(deserialize_with = "string")]
    pub extra_args: String,
}

impl Default for MydumperYaml {
    fn default() -> Self {
        Self {
            mydumper_path: "./bin/mydumper".into(),
            threads: 4,
            chunk_filesize: "64".into(),
            statement_size: 0,
            rows: 0,
            where_: String::new(),
            skip_tz_utc: true,
            extra_args: String::new(),
        }
    }
}

/// One of `loaders`; read, and unused in an incremental task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct LoaderYaml {
    #[serde(deserialize_with = "whole")]
    pub pool_size: u32,
    #[serde(deserialize_with = "string")]
    pub dir: String,
    #[serde(deserialize_with = "string")]
    pub sorting_dir_physical: String,
    #[serde(deserialize_with = "string")]
    pub import_mode: String,
    #[serde(deserialize_with = "string")]
    pub on_duplicate: String,
    #[serde(deserialize_with = "string")]
    pub on_duplicate_logical: String,
    #[serde(deserialize_with = "string")]
    pub on_duplicate_physical: String,
    pub disk_quota_physical: serde_yaml::Value,
    #[serde(deserialize_with = "string")]
    pub checksum_physical: String,
    #[serde(deserialize_with = "string")]
    pub analyze: String,
    #[serde(deserialize_with = "whole")]
    pub range_concurrency: u32,
    #[serde(deserialize_with = "string")]
    pub compress_kv_pairs: String,
    #[serde(deserialize_with = "string")]
    pub pd_addr: String,
}

impl Default for LoaderYaml {
    fn default() -> Self {
        Self {
            pool_size: 16,
            dir: "./dumped_data".into(),
            sorting_dir_physical: String::new(),
            import_mode: "logical".into(),
            on_duplicate: String::new(),
            on_duplicate_logical: "replace".into(),
            on_duplicate_physical: "none".into(),
            disk_quota_physical: serde_yaml::Value::from(0),
            checksum_physical: "required".into(),
            analyze: "optional".into(),
            range_concurrency: 0,
            compress_kv_pairs: String::new(),
            pd_addr: String::new(),
        }
    }
}

/// One of `syncers`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct SyncerYaml {
    #[serde(deserialize_with = "string")]
    pub meta_file: String,
    #[serde(deserialize_with = "whole")]
    pub worker_count: u32,
    #[serde(deserialize_with = "whole")]
    pub batch: u32,
    #[serde(deserialize_with = "whole")]
    pub queue_size: u32,
    #[serde(deserialize_with = "whole")]
    pub checkpoint_flush_interval: u32,
    #[serde(deserialize_with = "read::bool")]
    pub compact: bool,
    #[serde(deserialize_with = "read::bool")]
    pub multiple_rows: bool,
    #[serde(deserialize_with = "whole")]
    pub max_retry: i64,
    #[serde(deserialize_with = "read::bool")]
    pub auto_fix_gtid: bool,
    #[serde(deserialize_with = "read::bool")]
    pub enable_gtid: bool,
    #[serde(deserialize_with = "read::bool")]
    pub disable_detect: bool,
    #[serde(deserialize_with = "read::bool")]
    pub safe_mode: bool,
    #[serde(deserialize_with = "string")]
    pub safe_mode_duration: String,
    #[serde(deserialize_with = "read::bool")]
    pub enable_ansi_quotes: bool,
}

impl Default for SyncerYaml {
    fn default() -> Self {
        Self {
            meta_file: String::new(),
            worker_count: 16,
            batch: 100,
            queue_size: 1024,
            checkpoint_flush_interval: 30,
            compact: false,
            multiple_rows: false,
            max_retry: 0,
            auto_fix_gtid: false,
            enable_gtid: false,
            disable_detect: false,
            safe_mode: false,
            safe_mode_duration: String::new(),
            enable_ansi_quotes: false,
        }
    }
}

/// One of `validators`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
#[allow(missing_docs)]
pub struct ValidatorYaml {
    #[serde(deserialize_with = "string")]
    pub mode: String,
    #[serde(deserialize_with = "whole")]
    pub worker_count: u32,
    pub validate_interval: GoDuration,
    pub check_interval: GoDuration,
    pub row_error_delay: GoDuration,
    pub meta_flush_interval: GoDuration,
    #[serde(deserialize_with = "whole")]
    pub batch_query_size: u32,
    #[serde(deserialize_with = "string")]
    pub max_pending_row_size: String,
    #[serde(deserialize_with = "whole")]
    pub max_pending_row_count: i64,
}

impl Default for ValidatorYaml {
    fn default() -> Self {
        Self {
            mode: "none".into(),
            worker_count: 4,
            validate_interval: GoDuration::from_secs(10),
            check_interval: GoDuration::from_secs(5),
            row_error_delay: GoDuration::from_secs(1800),
            meta_flush_interval: GoDuration::from_secs(300),
            batch_query_size: 100,
            max_pending_row_size: "500m".into(),
            max_pending_row_count: i64::from(i32::MAX),
        }
    }
}
