//! The checked configuration: flags and environment in, one struct out. Nothing downstream sees raw flags.

mod output;
mod rules;

use std::path::PathBuf;
use std::time::Duration;

use common::duration::GoDuration;
use common::filter::{ColumnFilter, DUMPLING_DEFAULT, TableFilter};
use common::ident::TableName;
use common::secret::Secret;
use common::size::ByteSize;
use common::storage::Options;

use crate::cli::flags::{FLAGS, STORAGE};
use crate::cli::pflag::Parsed;
use crate::gentle::Limits;
use crate::mask::Masks;
use crate::resume::Resume;

pub use output::Output;
use output::output_form;
pub use rules::is_fingerprint;

/// Environment variable with the password, used when `-p` is not given.
pub const PASSWORD_VARIABLE: &str = "MYSQL_PWD";

/// How the dump is made consistent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// By the kind of server.
    Auto,
    /// `FLUSH TABLES WITH READ LOCK` while the snapshots are opened.
    Flush,
    /// `LOCK TABLES ... READ` while the snapshots are opened.
    Lock,
    /// TiDB's `tidb_snapshot`.
    Snapshot,
    /// Not at all.
    None,
}

impl Consistency {
    /// The value of the flag.
    pub fn name(self) -> &'static str {
        match self {
            Consistency::Auto => "auto",
            Consistency::Flush => "flush",
            Consistency::Lock => "lock",
            Consistency::Snapshot => "snapshot",
            Consistency::None => "none",
        }
    }
}

/// How tables are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChunkSize {
    /// Not at all.
    Whole,
    /// Into chunks of about this many rows.
    Rows(u64),
    /// Into chunks that suit the table and the number of readers.
    Auto,
}

impl std::fmt::Display for ChunkSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ChunkSize::Whole => f.write_str("0"),
            ChunkSize::Rows(rows) => rows.fmt(f),
            ChunkSize::Auto => f.write_str("auto"),
        }
    }
}

/// Everything a dump needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password; empty for none.
    pub password: Secret,
    /// A server may ask for the password in the clear, over TLS with a verified server.
    pub cleartext_password: bool,
    /// CA certificate.
    pub ca: Option<PathBuf>,
    /// Client certificate.
    pub cert: Option<PathBuf>,
    /// Client key.
    pub key: Option<PathBuf>,
    /// Session variables of every connection, as given.
    pub params: Vec<(String, String)>,
    /// Limit of one read from the server.
    pub read_timeout: Duration,
    /// `tidb_mem_quota_query`; 0 leaves it.
    pub tidb_mem_quota_query: u64,
    /// Exact names of databases; empty: all that the filter takes.
    pub databases: Vec<String>,
    /// Exact names of tables; if not empty the filter is not used.
    pub tables: Vec<TableName>,
    /// The filter.
    pub filter: TableFilter,
    /// Which columns of which tables; the first entry that takes the table decides.
    pub column_filters: Vec<(TableFilter, ColumnFilter)>,
    /// Condition on all rows.
    pub where_clause: Option<String>,
    /// One query instead of tables.
    pub sql: Option<String>,
    /// No data files.
    pub no_data: bool,
    /// No schema files.
    pub no_schemas: bool,
    /// No views.
    pub no_views: bool,
    /// No sequences.
    pub no_sequences: bool,
    /// Schema files of databases without tables.
    pub dump_empty_database: bool,
    /// Reading connections.
    pub threads: usize,
    /// Chunks.
    pub rows: ChunkSize,
    /// Sort by the primary key.
    pub order_by_primary_key: bool,
    /// Form of the files.
    pub output: Output,
    /// Folder or URL.
    pub output_url: String,
    /// What the flags say about a storage in a network.
    pub storage: Options,
    /// Consistency as asked for.
    pub consistency: Consistency,
    /// TiDB snapshot; empty for now.
    pub snapshot: String,
    /// Release the lock when the snapshots are open.
    pub transactional_consistency: bool,
    /// Log level.
    pub log_level: String,
    /// Log file; `None` for stdout.
    pub log_file: Option<PathBuf>,
    /// JSON log.
    pub log_json: bool,
    /// Address of the status server; `None` for none.
    pub status_addr: Option<String>,
    /// How long to wait for the lock; zero: as long as the server lets.
    pub lock_wait: Duration,
    /// Statements that run longer are waited for before the global lock is asked for; zero: they are not.
    pub long_query: Duration,
    /// Nobody may change definitions while the dump runs.
    pub block_ddl: bool,
    /// Bytes a second of all readers together.
    pub rate_limit: Option<u64>,
    /// The dump pauses above.
    pub max_load: Limits,
    /// The dump ends above.
    pub critical_load: Limits,
    /// Only say what would be done.
    pub dry_run: bool,
    /// `verify` reads the source again.
    pub against_source: bool,
    /// What is to be done with an unfinished dump in the folder.
    pub resume: Resume,
    /// The flags that decide what is in the files, each as `--name=value`.
    pub options: Vec<String>,
    /// Values that are replaced.
    pub masks: Masks,
    /// Sentences to print before the dump starts.
    pub warnings: Vec<String>,
}

/// Why flags that can be read can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A flag of Dumpling that we do not have yet.
    #[error("--{0} is not supported yet by rdump")]
    NotYet(&'static str),
    /// A value out of range or two flags that exclude each other.
    #[error("{0}")]
    Value(String),
    /// The filter.
    #[error("failed to parse filter: {0}")]
    Filter(#[from] common::filter::FilterError),
}

fn value_error(text: impl Into<String>) -> ConfigError {
    ConfigError::Value(text.into())
}

/// Looks a flag up with its default.
struct Flags<'a>(&'a Parsed);

impl Flags<'_> {
    fn text(&self, name: &str) -> String {
        let default = || FLAGS.iter().find(|flag| flag.name == name).map_or("", |flag| flag.default);
        self.0.last(name).unwrap_or_else(default).to_owned()
    }

    fn bool(&self, name: &str) -> bool {
        self.text(name) == "true"
    }

    /// The parser has checked that it is a number.
    fn number<T: std::str::FromStr + Default>(&self, name: &str) -> T {
        self.text(name).parse().unwrap_or_default()
    }

    fn duration(&self, name: &str) -> Result<Duration, ConfigError> {
        let text = self.text(name);
        let duration = text.parse::<GoDuration>().map(GoDuration::get);
        duration.map_err(|_| value_error(format!("--{name} is set to {text}. It must not be negative")))
    }

    fn optional(&self, name: &str) -> Option<String> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }
}

impl Config {
    /// Checks the flags. `environment` is asked for [`PASSWORD_VARIABLE`], `now` names the default folder.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn resolve(
        parsed: &Parsed,
        environment: impl Fn(&str) -> Option<String>,
        now: &str,
    ) -> Result<Config, ConfigError> {
        if let Some(flag) = FLAGS.iter().find(|flag| flag.not_yet && parsed.given(flag.name)) {
            return Err(ConfigError::NotYet(flag.name));
        }
        let flags = Flags(parsed);
        let (threads, port) = (threads(&flags)?, port(&flags)?);
        let sql = flags.optional("sql");
        let where_clause = flags.optional("where");
        if sql.is_some() && where_clause.is_some() {
            return Err(value_error(
                "can't specify both --sql and --where at the same time. Please try to combine them into --sql",
            ));
        }
        let (tables, filter) = table_choice(parsed, &flags)?;
        let mut warnings = Vec::new();
        let output = output_form(&flags, sql.is_some(), &mut warnings)?;
        let (cert, key) = (flags.optional("cert"), flags.optional("key"));
        if cert.is_some() != key.is_some() {
            return Err(value_error("--cert and --key belong together: give both or none"));
        }
        let masks = rules::masks(parsed, &flags, sql.is_some())?;
        // Pages of Parquet are hashed as they are packed.
        let packs_inside = output.format == common::dumpfile::Format::Parquet;
        let mut options =
            parsed.rendered(|flag| flag.shapes_files() || (packs_inside && flag.name == "compress-level"));
        options.extend(rules::fingerprints(&flags, &masks)?);
        Ok(Config {
            host: flags.text("host"),
            port,
            user: flags.text("user"),
            password: password(parsed, &flags, environment)?,
            cleartext_password: flags.bool("allow-cleartext-passwords"),
            ca: flags.optional("ca").map(PathBuf::from),
            cert: cert.map(PathBuf::from),
            key: key.map(PathBuf::from),
            params: session_variables(parsed),
            read_timeout: read_timeout(&flags),
            tidb_mem_quota_query: flags.number("tidb-mem-quota-query"),
            databases: parsed.all("database").to_vec(),
            tables,
            filter,
            column_filters: rules::column_filters(parsed, &flags, sql.is_some())?,
            where_clause,
            sql,
            no_data: flags.bool("no-data"),
            no_schemas: flags.bool("no-schemas"),
            no_views: flags.bool("no-views"),
            no_sequences: flags.bool("no-sequences"),
            dump_empty_database: flags.bool("dump-empty-database"),
            threads,
            rows: chunk_size(&flags),
            order_by_primary_key: flags.bool("order-by-primary-key"),
            output,
            output_url: flags.optional("output").unwrap_or_else(|| format!("./export-{now}")),
            storage: storage_options(parsed),
            consistency: consistency(&flags)?,
            snapshot: flags.text("snapshot"),
            transactional_consistency: flags.bool("transactional-consistency"),
            log_level: log_level(&flags)?,
            log_file: flags.optional("logfile").map(PathBuf::from),
            log_json: log_json(&flags)?,
            status_addr: flags.optional("status-addr"),
            lock_wait: flags.duration("lock-wait-timeout")?,
            long_query: flags.duration("long-query-limit")?,
            block_ddl: flags.bool("block-ddl"),
            rate_limit: rate_limit(&flags)?,
            max_load: limits(parsed, "max-load")?,
            critical_load: limits(parsed, "critical-load")?,
            dry_run: flags.bool("dry-run"),
            against_source: flags.bool("against-source"),
            resume: match (flags.bool("resume"), flags.bool("resume-chunks")) {
                (_, true) => Resume::Chunks,
                (true, false) => Resume::Tables,
                (false, false) => Resume::No,
            },
            options,
            masks,
            warnings,
        })
    }
}

impl Config {
    /// The columns of a table that are written; `None`: all.
    pub fn column_filter(&self, table: &TableName) -> Option<&ColumnFilter> {
        self.column_filters
            .iter()
            .find(|(tables, _)| tables.matches_table(&table.schema, &table.table))
            .map(|(_, columns)| columns)
    }
}

fn threads(flags: &Flags<'_>) -> Result<usize, ConfigError> {
    let threads: i64 = flags.number("threads");
    usize::try_from(threads)
        .ok()
        .filter(|threads| *threads > 0)
        .ok_or_else(|| value_error(format!("--threads is set to {threads}. It should be greater than 0")))
}

fn port(flags: &Flags<'_>) -> Result<u16, ConfigError> {
    let port: i64 = flags.number("port");
    u16::try_from(port)
        .map_err(|_| value_error(format!("--port is set to {port}. It must lie between 0 and 65535")))
}

/// The pairs of `--params`.
fn session_variables(parsed: &Parsed) -> Vec<(String, String)> {
    let pairs = parsed.all("params").iter().filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn read_timeout(flags: &Flags<'_>) -> Duration {
    let given = flags.text("read-timeout").parse::<GoDuration>();
    given.map_or(Duration::from_secs(900), GoDuration::get)
}

fn chunk_size(flags: &Flags<'_>) -> ChunkSize {
    match flags.text("rows").as_str() {
        "auto" => ChunkSize::Auto,
        text => match text.parse() {
            Ok(rows) if rows > 0 => ChunkSize::Rows(rows),
            _ => ChunkSize::Whole,
        },
    }
}

/// The values of `--s3.*`, `--gcs.*` and `--azblob.*`.
pub fn storage_options(parsed: &Parsed) -> Options {
    let mut options = Options::default();
    for flag in FLAGS.iter().filter(|flag| flag.group == STORAGE) {
        if let Some(value) = parsed.last(flag.name) {
            options.set(flag.name, value);
        }
    }
    options
}

/// From `-p`, from `--password-file`, else from the environment.
fn password(
    parsed: &Parsed,
    flags: &Flags<'_>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<Secret, ConfigError> {
    let ways = ["password", "password-file", "ask-password"].into_iter().filter(|way| parsed.given(way));
    let ways: Vec<String> = ways.map(|way| format!("--{way}")).collect();
    if ways.len() > 1 {
        return Err(value_error(format!("{} exclude each other: give one", ways.join(" and "))));
    }
    if let Some(text) = parsed.last("password") {
        return Ok(Secret::new(text));
    }
    let Some(file) = flags.optional("password-file") else {
        return Ok(Secret::new(environment(PASSWORD_VARIABLE).unwrap_or_default()));
    };
    let text = std::fs::read_to_string(&file)
        .map_err(|error| value_error(format!("--password-file {file} can't be read: {error}")))?;
    // Editors end the last line.
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
}

fn limits(parsed: &Parsed, name: &str) -> Result<Limits, ConfigError> {
    Limits::parse(parsed.all(name)).map_err(|error| value_error(format!("--{name}: {error}")))
}

fn rate_limit(flags: &Flags<'_>) -> Result<Option<u64>, ConfigError> {
    let Some(text) = flags.optional("rate-limit") else { return Ok(None) };
    match text.parse::<ByteSize>() {
        Ok(size) if size.bytes() > 0 => Ok(Some(size.bytes())),
        _ => Err(value_error(format!(
            "--rate-limit is set to {text}. It must be a size such as 50MiB, for a second"
        ))),
    }
}

fn table_choice(parsed: &Parsed, flags: &Flags<'_>) -> Result<(Vec<TableName>, TableFilter), ConfigError> {
    let list = parsed.all("tables-list");
    if !list.is_empty() && parsed.given("filter") {
        return Err(value_error("failed to parse filter: cannot pass --tables-list and --filter together"));
    }
    let mut tables = Vec::new();
    for name in list {
        let Some((schema, table)) = name.split_once('.') else {
            return Err(value_error(format!(
                "--tables-list only accepts qualified table names, but `{name}` lacks a dot"
            )));
        };
        let table = TableName::new(schema, table);
        if !tables.contains(&table) {
            tables.push(table);
        }
    }
    let case_sensitive = flags.bool("case-sensitive");
    let filter = match parsed.given("filter") {
        true => TableFilter::parse(parsed.all("filter"), case_sensitive)?,
        false => TableFilter::parse(&DUMPLING_DEFAULT, case_sensitive)?,
    };
    Ok((tables, filter))
}

fn consistency(flags: &Flags<'_>) -> Result<Consistency, ConfigError> {
    Ok(match flags.text("consistency").as_str() {
        "auto" => Consistency::Auto,
        "flush" => Consistency::Flush,
        "lock" => Consistency::Lock,
        "snapshot" => Consistency::Snapshot,
        "none" => Consistency::None,
        other => return Err(value_error(format!("invalid consistency option {other}"))),
    })
}

fn log_json(flags: &Flags<'_>) -> Result<bool, ConfigError> {
    match flags.text("logfmt").as_str() {
        "text" => Ok(false),
        "json" => Ok(true),
        other => Err(value_error(format!("unknown log format `{other}`: text or json"))),
    }
}

fn log_level(flags: &Flags<'_>) -> Result<String, ConfigError> {
    let level = flags.text("loglevel").to_lowercase();
    match level.as_str() {
        "debug" | "info" | "warn" | "error" => Ok(level),
        "warning" => Ok("warn".into()),
        "fatal" | "panic" | "dpanic" => Ok("error".into()),
        _ => Err(value_error(format!("unrecognized level: {level:?}"))),
    }
}

#[cfg(test)]
pub(crate) mod tests;
