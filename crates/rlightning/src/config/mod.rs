//! The checked configuration: command line over file over defaults, in one place.

mod csv;
pub mod raw;
mod source;
mod target;

use std::path::{Path, PathBuf};
use std::time::Duration;

use common::config::ConfigError;
use common::duration::GoDuration;
use common::error::lightning_codes as codes;
use common::log::{LogConfig, LogFormat};
use common::retry::Backoff;
use common::secret::Secret;
use mysql::Endpoint;

use crate::advice::Advice;
use crate::checkpoint::Place;
use crate::cli::Flags;
use crate::error::{Context, Error, Result, fail};
use raw::{KeepAfterSuccess, OpLevel, RawConfig};
pub use source::{IgnoreScope, IgnoredColumns, Source};
pub use target::Session;

/// Bytes of rows in one statement unless the file says otherwise. MySQL 8.0 spends the least on statements of 128 to 256 KiB: what it
/// builds from a larger one no longer fits into the caches of the CPU. TiDB splits its work by statement and likes this size too.
pub const STATEMENT_BYTES: usize = 192 << 10;
/// Rows of one statement unless the file says otherwise, as in the real tool.
pub const STATEMENT_ROWS: u64 = 65536;
/// The real tool's limit of conflicts for `replace` and `ignore`.
const DEFAULT_CONFLICT_THRESHOLD: u64 = 10_000;

/// With a higher `conflict.threshold` rows that `ignore` leaves out are only counted: looking for so many one by one takes too long.
const MOST_RECORDED_CONFLICTS: u64 = 1_000_000;

/// What a duplicate key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The import fails and names the row.
    Error,
    /// The new row takes the place of the old one.
    Replace,
    /// The old row stays.
    Ignore,
}

impl OnDuplicate {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Replace => "replace",
            Self::Ignore => "ignore",
        }
    }
}

/// What the program runs on.
#[derive(Debug, Clone)]
pub struct Config {
    /// Log file, level and rotation.
    pub log: LogConfig,
    /// The target server.
    pub target: Endpoint,
    /// The password that the given one stands for if it is base64: tried when the plain one is refused.
    pub decoded_password: Option<Secret>,
    /// How its sessions are set up.
    pub session: Session,
    /// The dump.
    pub source: Source,
    /// Whether an unfinished task is gone on with.
    pub checkpoint: bool,
    /// Where checkpoints of the real tool are written to and taken over from; `None`: nowhere.
    pub checkpoint_place: Option<Place>,
    /// The version that checkpoints of a new task name.
    pub lightning_version: String,
    /// `tidb.pd-addr`, for checkpoints.
    pub pd_addr: String,
    /// `tikv-importer.sorted-kv-dir`, for checkpoints.
    pub sorted_kv_dir: String,
    /// The ledger's schema on the target.
    pub ledger_schema: String,
    /// What becomes of the ledger's rows.
    pub keep_after_success: KeepAfterSuccess,
    /// Secondary indexes of empty tables are added when the rows are in (`tikv-importer.add-index-by-sql`).
    pub defer_indexes: bool,
    /// What a duplicate key does.
    pub on_duplicate: OnDuplicate,
    /// How many duplicates `replace` and `ignore` may meet.
    pub conflict_threshold: u64,
    /// How many rows with type errors are left out (`lightning.max-error`).
    pub most_types: u64,
    /// Whether rows that were left out are recorded (`lightning.task-info-schema-name` is set).
    pub error_tables: bool,
    /// Whether `ignore` looks for the rows that it leaves out, and records them.
    pub record_conflicts: bool,
    /// Whether the target is checked before anything is written.
    pub check_requirements: bool,
    /// Connections that load at the same time.
    pub concurrency: usize,
    /// Tables that are in work at the same time.
    pub table_concurrency: usize,
    /// Bytes of rows in one statement; `None`: by kind of target.
    pub statement_bytes: Option<usize>,
    /// Rows in one statement.
    pub statement_rows: u64,
    /// Most bytes of a file that are loaded in sequence (`mydumper.max-region-size`).
    pub largest_piece: u64,
    /// Time between `progress` lines; zero for none.
    pub log_progress: Duration,
    /// Whether progress bars are drawn on a terminal.
    pub bars: bool,
    /// Keep values of rows out of the log and of error texts.
    pub redact: bool,
    /// Compare the target with the files at the end.
    pub verify: bool,
    /// What to warn about once there is a log.
    pub warnings: Vec<String>,
    /// How long something that time may cure is tried again.
    pub patience: Backoff,
    /// Where the status server listens; `None`: nowhere.
    pub status_addr: Option<String>,
    /// Commands for the user that fit this run.
    pub advice: Advice,
    /// The configuration as it was read, for the log; secrets are masked.
    pub shown: String,
}

/// Reads the file that the command line names, if it names one.
///
/// # Errors
/// A missing, empty, unreadable or broken file, and keys that nothing knows, with their dotted paths.
pub fn load(path: Option<&Path>) -> std::result::Result<RawConfig, ConfigError> {
    match path {
        None => Ok(RawConfig::default()),
        Some(path) => common::config::load_toml(path)?.strict(&path.display().to_string()),
    }
}

/// Lays the command line over the file.
pub fn overlay(raw: &mut RawConfig, flags: &Flags) -> Result<()> {
    fn set<T: Clone>(target: &mut T, value: &Option<T>) {
        if let Some(value) = value {
            *target = value.clone();
        }
    }
    let Flags {
        config: _,
        level,
        log_file,
        log_format: _,
        tidb_host,
        tidb_port,
        tidb_user,
        tidb_password,
        tidb_status,
        pd_urls,
        source_dir,
        backend,
        sorted_kv_dir,
        enable_checkpoint,
        no_schema,
        checksum,
        analyze,
        check_requirements,
        ca,
        cert,
        key,
        redact_info_log,
        status_addr,
        server_mode,
        filter,
        source_time_zone: _,
        retry_for: _,
        progress: _,
        verify,
        programs,
    } = flags;
    set(&mut raw.lightning.level, level);
    if log_file.is_some() {
        raw.lightning.file = log_file.clone();
    }
    set(&mut raw.tidb.host, tidb_host);
    set(&mut raw.tidb.port, tidb_port);
    set(&mut raw.tidb.user, tidb_user);
    if let Some(password) = tidb_password {
        raw.tidb.password = Secret::new(password.as_str());
    }
    set(&mut raw.tidb.status_port, tidb_status);
    set(&mut raw.tidb.pd_addr, pd_urls);
    set(&mut raw.mydumper.data_source_dir, source_dir);
    set(&mut raw.tikv_importer.backend, backend);
    set(&mut raw.tikv_importer.sorted_kv_dir, sorted_kv_dir);
    set(&mut raw.checkpoint.enable, enable_checkpoint);
    set(&mut raw.mydumper.no_schema, no_schema);
    for (level, text) in
        [(&mut raw.post_restore.checksum, checksum), (&mut raw.post_restore.analyze, analyze)]
    {
        if let Some(text) = text {
            *level = text.parse::<OpLevel>().map_err(invalid)?;
        }
    }
    set(&mut raw.lightning.check_requirements, check_requirements);
    set(&mut raw.security.ca_path, ca);
    set(&mut raw.security.cert_path, cert);
    set(&mut raw.security.key_path, key);
    set(&mut raw.security.redact_info_log, redact_info_log);
    set(&mut raw.lightning.status_addr, status_addr);
    set(&mut raw.lightning.server_mode, server_mode);
    set(&mut raw.post_restore.verify, verify);
    set(&mut raw.mydumper.programs, programs);
    if !filter.is_empty() {
        raw.mydumper.filter.clone_from(filter);
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    fail(codes::INVALID_CONFIG, message)
}

/// The log's settings alone, which must stand before anything can be said.
///
/// # Errors
/// A form that is none. (A bad level is met when the log is set up.)
pub fn log_config(raw: &RawConfig, flags: &Flags) -> Result<LogConfig> {
    let lightning = &raw.lightning;
    let format: LogFormat = flags
        .log_format
        .as_deref()
        .unwrap_or("text")
        .parse()
        .context(codes::INVALID_CONFIG, || "invalid config: --log-format".to_owned())?;
    let clamp = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    let file = match lightning.file.as_deref() {
        Some("-") => None,
        Some(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => Some(default_log_file()),
    };
    Ok(LogConfig {
        level: lightning.level.clone(),
        file,
        terminal: common::log::Terminal::Stdout,
        format,
        max_size_mb: lightning.max_size,
        max_days: clamp(lightning.max_days),
        max_backups: clamp(lightning.max_backups),
    })
}

/// A new name in the temporary folder for each run, as the real tool does it.
fn default_log_file() -> PathBuf {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    std::env::temp_dir().join(format!("lightning.log.{}", now.as_nanos()))
}

impl Config {
    /// Checks everything and compiles patterns. The command line is in `raw` already (see [`overlay`]).
    ///
    /// # Errors
    /// The first value that is not allowed, with the name of its key.
    pub fn resolve(raw: &RawConfig, flags: &Flags, log: LogConfig) -> Result<Config> {
        let mut warnings = Vec::new();
        refuse_what_is_missing(raw)?;
        let (on_duplicate, conflict_threshold) = conflict(raw, &mut warnings)?;
        if raw.post_restore.verify {
            can_verify(raw, on_duplicate, conflict_threshold)?;
        }
        let (statement_bytes, statement_rows) = statement_limits(raw)?;
        let target = target::endpoint(raw)?;
        let checkpoint_place = checkpoint_place(raw, &target, &mut warnings);
        let decoded_password = target::decoded(&raw.tidb.password);
        let concurrency = match raw.lightning.region_concurrency {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            number => number,
        };
        let table_concurrency = match raw.lightning.index_concurrency {
            0 => concurrency,
            number => number,
        };
        let ledger_schema = if raw.lightning.task_info_schema_name.is_empty() {
            raw.checkpoint.schema.clone()
        } else {
            raw.lightning.task_info_schema_name.clone()
        };
        if ledger_schema.is_empty() {
            return Err(invalid(
                "invalid config: one of `lightning.task-info-schema-name` and `checkpoint.schema` must name a schema \
                 for the record of what is imported",
            ));
        }
        let file = |name: &str| serde_json::to_string(raw).unwrap_or_else(|e| format!("{name}: {e}"));
        Ok(Config {
            log,
            target,
            decoded_password,
            session: target::session(raw, flags)?,
            source: source::source(raw)?,
            checkpoint: raw.checkpoint.enable,
            checkpoint_place,
            lightning_version: raw.checkpoint.lightning_version.clone(),
            pd_addr: raw.tidb.pd_addr.clone(),
            sorted_kv_dir: raw.tikv_importer.sorted_kv_dir.clone(),
            ledger_schema,
            keep_after_success: raw.checkpoint.keep_after_success,
            defer_indexes: raw.tikv_importer.add_index_by_sql,
            on_duplicate,
            conflict_threshold,
            most_types: raw.lightning.max_error.type_errors,
            error_tables: !raw.lightning.task_info_schema_name.is_empty(),
            record_conflicts: on_duplicate == OnDuplicate::Ignore
                && !raw.lightning.task_info_schema_name.is_empty()
                && conflict_threshold <= MOST_RECORDED_CONFLICTS,
            check_requirements: raw.lightning.check_requirements,
            concurrency,
            table_concurrency,
            statement_bytes,
            statement_rows,
            largest_piece: raw.mydumper.max_region_size.bytes().max(1),
            log_progress: raw.cron.log_progress.get(),
            bars: flags.progress.unwrap_or(true),
            redact: raw.security.redact_info_log,
            verify: raw.post_restore.verify,
            warnings,
            patience: Backoff { total: retry_for(flags)?, ..Backoff::PATIENT },
            status_addr: status_addr(raw),
            advice: Advice::new(flags),
            shown: file("config"),
        })
    }
}

/// Only what the configuration names: the real tool's default is a file in a folder that anybody may clean.
fn checkpoint_place(raw: &RawConfig, target: &Endpoint, warnings: &mut Vec<String>) -> Option<Place> {
    let checkpoint = &raw.checkpoint;
    if !checkpoint.enable {
        return None;
    }
    let dsn = checkpoint.dsn.expose();
    match checkpoint.driver.as_str() {
        "mysql" => {
            let here = format!("tcp({}:{})", target.host, target.port);
            if !dsn.is_empty() && !dsn.contains(&here) {
                warnings.push(
                    "checkpoint.dsn names another server than [tidb]: no checkpoints of TiDB Lightning are written there".into(),
                );
                return None;
            }
            Some(Place::Tables(checkpoint.schema.clone()))
        }
        "file" => {
            let path = match dsn
                .strip_prefix("file://")
                .or_else(|| dsn.strip_prefix("local://"))
                .unwrap_or(dsn)
            {
                "" => std::env::temp_dir().join(format!("{}.pb", checkpoint.schema)),
                url if url.contains("://") => {
                    warnings.push("checkpoint.dsn is no file of this machine: no checkpoints of TiDB Lightning are written".into());
                    return None;
                }
                path => PathBuf::from(path),
            };
            Some(Place::File(path))
        }
        _ => None,
    }
}

/// Where a server listens.
///
/// # Errors
/// Nowhere.
pub fn server_address(raw: &RawConfig) -> Result<String> {
    status_addr(raw)
        .ok_or_else(|| invalid("If server-mode is enabled, the status-addr must be a valid listen address"))
}

/// The configuration of a task that was posted to a server: what it does not say of some keys is that of the process (facts/lightning.md
/// 1.1).
///
/// # Errors
/// Text that is no TOML, and keys that nothing knows.
pub fn task(process: &RawConfig, text: &str) -> std::result::Result<RawConfig, ConfigError> {
    let mut raw: RawConfig = common::config::from_toml(text, "task")?.strict("task")?;
    // It was just read from it, with names in any case.
    let said: toml::Table = text.parse().unwrap_or_default();
    let section = |wanted: &str| {
        said.iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .and_then(|(_, value)| value.as_table())
    };
    let says = |name: &str, wanted: &str| {
        section(name).is_some_and(|table| table.keys().any(|key| key.eq_ignore_ascii_case(wanted)))
    };
    macro_rules! take {
        ($($section:ident.$field:ident = $name:literal . $key:literal),* $(,)?) => {
            $(if !says($name, $key) { raw.$section.$field = process.$section.$field.clone(); })*
        };
    }
    take!(
        tidb.host = "tidb"."host",
        tidb.port = "tidb"."port",
        tidb.user = "tidb"."user",
        tidb.password = "tidb"."password",
        tidb.status_port = "tidb"."status-port",
        tidb.pd_addr = "tidb"."pd-addr",
        tidb.log_level = "tidb"."log-level",
        mydumper.no_schema = "mydumper"."no-schema",
        mydumper.data_source_dir = "mydumper"."data-source-dir",
        mydumper.filter = "mydumper"."filter",
        mydumper.ignore_columns = "mydumper"."ignore-columns",
        tikv_importer.backend = "tikv-importer"."backend",
        tikv_importer.sorted_kv_dir = "tikv-importer"."sorted-kv-dir",
        checkpoint.enable = "checkpoint"."enable",
        post_restore.checksum = "post-restore"."checksum",
        post_restore.analyze = "post-restore"."analyze",
        post_restore.verify = "post-restore"."verify",
        mydumper.programs = "mydumper"."programs",
        lightning.check_requirements = "lightning"."check-requirements",
    );
    if section("security").is_none() {
        raw.security = process.security.clone();
    }
    Ok(raw)
}

/// `status-addr`, or its old name.
fn status_addr(raw: &RawConfig) -> Option<String> {
    match (raw.lightning.status_addr.as_str(), raw.lightning.pprof_port) {
        ("", None) => None,
        ("", Some(port)) => Some(crate::status::address(&format!(":{port}"))),
        (text, _) => Some(crate::status::address(text)),
    }
}

fn retry_for(flags: &Flags) -> Result<Duration> {
    let Some(text) = &flags.retry_for else { return Ok(Backoff::PATIENT.total) };
    let time: GoDuration =
        text.parse().context(codes::INVALID_CONFIG, || "invalid config: --retry-for".into())?;
    if time.get().is_zero() {
        return Err(invalid("invalid config: --retry-for must be longer than 0"));
    }
    Ok(time.get())
}

/// Settings that would change what is in the target afterwards and are not there are refused; others are warned about.
fn refuse_what_is_missing(raw: &RawConfig) -> Result<()> {
    match raw.tikv_importer.backend.to_lowercase().as_str() {
        "tidb" => {}
        "" => return Err(invalid("invalid config: tikv-importer.backend must not be empty!")),
        "local" => {
            return Err(invalid(
                "invalid config: tikv-importer.backend = \"local\" (physical import) is not there yet; use backend = \"tidb\"",
            ));
        }
        other => {
            return Err(invalid(format!("invalid config: unsupported `tikv-importer.backend` ({other})")));
        }
    }
    if raw.lightning.max_error.type_errors > 0 && raw.lightning.task_info_schema_name.is_empty() {
        return Err(invalid(
            "invalid config: lightning.max-error.type leaves rows out, so lightning.task-info-schema-name must name the schema in which \
             they are recorded",
        ));
    }
    if raw.conflict.precheck_conflict_before_import {
        return Err(invalid(
            "invalid config: conflict.precheck-conflict-before-import cannot be set to true when use tikv-importer.backend = \"tidb\"",
        ));
    }
    match raw.checkpoint.driver.as_str() {
        "" | "file" | "mysql" => {}
        other => {
            return Err(fail(
                codes::UNKNOWN_CHECKPOINT_DRIVER,
                format!("unknown checkpoint driver '{other}'"),
            ));
        }
    }
    if !raw.mydumper.files.is_empty() && !raw.routes.is_empty() {
        return Err(invalid(
            "invalid config: table route is deprecated, can't config both [routes] and [mydumper.files]",
        ));
    }
    Ok(())
}

fn conflict(raw: &RawConfig, warnings: &mut Vec<String>) -> Result<(OnDuplicate, u64)> {
    let asked = if raw.conflict.strategy.is_empty() {
        &raw.tikv_importer.on_duplicate
    } else {
        &raw.conflict.strategy
    };
    if !raw.conflict.strategy.is_empty() && !raw.tikv_importer.duplicate_resolution.is_empty() {
        return Err(invalid(
            "invalid config: conflict.strategy cannot be used with tikv-importer.duplicate-resolution",
        ));
    }
    let strategy = match asked.to_lowercase().as_str() {
        "" | "error" => OnDuplicate::Error,
        "replace" => OnDuplicate::Replace,
        "ignore" => OnDuplicate::Ignore,
        old @ ("remove" | "record") => {
            warnings.push(format!("conflict.strategy '{old}' is deprecated, 'replace' is used"));
            OnDuplicate::Replace
        }
        other => {
            return Err(invalid(format!(
                "invalid config: invalid conflict.strategy '{other}', please choose valid option between ['', 'replace', 'ignore', 'error']"
            )));
        }
    };
    let threshold = match (strategy, u64::try_from(raw.conflict.threshold)) {
        (OnDuplicate::Error, Ok(1..)) => {
            return Err(invalid(
                "invalid config: conflict.threshold cannot be set when use conflict.strategy = \"error\"",
            ));
        }
        (OnDuplicate::Error, _) => 0,
        (_, Ok(number)) => number,
        (_, Err(_)) => DEFAULT_CONFLICT_THRESHOLD,
    };
    Ok((strategy, threshold))
}

/// Where it is not known which rows have to be in the target, nothing can be verified.
fn can_verify(raw: &RawConfig, strategy: OnDuplicate, threshold: u64) -> Result<()> {
    let refuse = |why: &str| Err(invalid(format!("invalid config: --verify can't be exact with {why}")));
    match strategy {
        OnDuplicate::Error => Ok(()),
        OnDuplicate::Replace => refuse(
            "conflict.strategy = \"replace\": which of several rows with one key stays hangs on the order in which they come in",
        ),
        OnDuplicate::Ignore if raw.lightning.task_info_schema_name.is_empty() => refuse(
            "conflict.strategy = \"ignore\" and no lightning.task-info-schema-name: rows that are left out are not recorded",
        ),
        OnDuplicate::Ignore if threshold > MOST_RECORDED_CONFLICTS => refuse(&format!(
            "conflict.strategy = \"ignore\" and a conflict.threshold above {MOST_RECORDED_CONFLICTS}: rows that are left out are counted only"
        )),
        OnDuplicate::Ignore => Ok(()),
    }
}

fn statement_limits(raw: &RawConfig) -> Result<(Option<usize>, u64)> {
    let importer = &raw.tikv_importer;
    let bytes = match importer.logical_import_batch_size {
        None => None,
        Some(size) if size.bytes() == 0 => {
            return Err(invalid(
                "invalid config: `tikv-importer.logical-import-batch-size` got 0, should be larger than 0",
            ));
        }
        Some(size) => Some(usize::try_from(size.bytes()).unwrap_or(usize::MAX)),
    };
    let rows = match importer.logical_import_batch_rows {
        None => STATEMENT_ROWS,
        Some(number) => u64::try_from(number).ok().filter(|&number| number > 0).ok_or_else(|| {
            invalid(format!(
                "invalid config: `tikv-importer.logical-import-batch-rows` got {number}, should be larger than 0"
            ))
        })?,
    };
    Ok((bytes, rows))
}

#[cfg(test)]
mod tests;
