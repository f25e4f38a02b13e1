//! Sessions on the target, set up so that every row that was legal at the source loads as it is, or not at all.
//!
//! * strict, so that nothing is cut or turned into zero in silence; explicit `tidb.sql-mode` wins;
//! * without the NO_ZERO modes and with ALLOW_INVALID_DATES and NO_AUTO_VALUE_ON_ZERO: the source may hold such rows;
//! * `foreign_key_checks=0`: tables come in any order;
//! * `unique_checks` stays on: switched off, InnoDB would let duplicates into secondary unique keys unseen, and tables without such
//!   keys gain nothing.

use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::quote_string;
use common::secret::Secret;
use mysql::{Conn, Endpoint, ErrorClass, Flavor, ServerInfo};
use tracing::{info, warn};

use crate::config::{Config, STATEMENT_BYTES, Session};
use crate::error::{Context, Result};
use crate::source::prologue::Prologue;

/// The mode of a session unless `tidb.sql-mode` is set.
const SQL_MODE: &str =
    "STRICT_TRANS_TABLES,STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION";

/// Variables of TiDB that a session needs; older versions may lack one, then it is left out.
const TIDB_VARIABLES: [(&str, &str); 6] = [
    ("tidb_txn_mode", "'pessimistic'"),
    ("tidb_batch_insert", "0"),
    ("tidb_dml_batch_size", "0"),
    ("tidb_disable_txn_auto_retry", "1"),
    ("allow_auto_random_explicit_insert", "1"),
    ("tidb_opt_write_row_id", "1"),
];

/// What is needed to make sessions. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Target {
    endpoint: Arc<Endpoint>,
    server: ServerInfo,
    session: Arc<Session>,
    /// Longest statement that client and server allow.
    pub packet_limit: usize,
    /// Time zone of the sessions where neither a file nor the user says one.
    default_time_zone: String,
    statement_bytes: usize,
    misreads_doubles: bool,
}

impl Target {
    /// Connects for the first time, finds out which password and which variables the server takes. The connection is
    /// ready for use.
    ///
    /// # Errors
    /// What the login or the session's set-up got.
    pub async fn connect(config: &Config) -> Result<(Target, Conn)> {
        let mut endpoint = config.target.clone();
        let conn = match Conn::connect(&endpoint).await {
            Err(error) if error.class() == ErrorClass::AccessDenied && config.decoded_password.is_some() => {
                endpoint.password = config.decoded_password.clone().unwrap_or_else(|| Secret::new(""));
                // The refusal of the password as it stands is what the user should read.
                Conn::connect(&endpoint).await.map_err(|_| error)
            }
            other => other,
        };
        let mut conn = conn.context(codes::DB_CONNECT, || "failed to connect to the target".into())?;
        let server = conn.server().clone();
        for statement in set_up(&server, &config.session) {
            match conn.exec(&statement).await {
                Ok(_) => endpoint = endpoint.with_init(statement),
                Err(error) if error.class() == ErrorClass::UnknownVariable && statement.contains("tidb_") => {
                    info!(%statement, "the target does not know this variable, it is left out");
                }
                Err(error) => {
                    return Err(error)
                        .context(codes::DB_CONNECT, || "failed to set up the session on the target".into());
                }
            }
        }
        let zone = conn
            .query_one("SELECT @@session.time_zone AS zone")
            .await
            .context(codes::DB_CONNECT, || "read the time zone of the target".into())?;
        let default_time_zone =
            zone.and_then(|row| row.str("zone").ok().flatten()).unwrap_or_else(|| "SYSTEM".into());
        let misreads_doubles = mysql::session::misreads_json_doubles(&mut conn)
            .await
            .context(codes::DB_CONNECT, || "ask the target how it reads JSON".into())?;
        info!(version = %server.version, flavor = ?server.flavor, "detect server version");
        let packet_limit = conn.packet_limit();
        // The text of a statement: rows, plus prefix and a last row that makes it overflow, which is cut off again.
        let statement_bytes = config.statement_bytes.unwrap_or(STATEMENT_BYTES).min(packet_limit / 2);
        let target = Target {
            endpoint: Arc::new(endpoint),
            server,
            session: Arc::new(config.session.clone()),
            packet_limit,
            default_time_zone,
            statement_bytes: statement_bytes.max(1),
            misreads_doubles,
        };
        Ok((target, conn))
    }

    /// One more session, as [`connect`](Self::connect) found it to work.
    ///
    /// # Errors
    /// The login's.
    pub async fn another(&self) -> mysql::Result<Conn> {
        Conn::connect(&self.endpoint).await
    }

    /// What the server is.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Whether it misreads doubles in JSON, see [`sql::json_doubles`].
    pub fn misreads_doubles(&self) -> bool {
        self.misreads_doubles
    }

    /// Bytes of rows that make a statement full.
    pub fn statement_bytes(&self) -> usize {
        self.statement_bytes
    }

    /// Statements that set a session up for a file: its character set, time zone and quoting. `recorded_zone` is the zone of rdump's
    /// manifest.
    pub fn file_statements(&self, prologue: &Prologue, recorded_zone: Option<&str>) -> Vec<String> {
        self.statements(prologue, self.time_zone(prologue, recorded_zone))
    }

    /// The same in this zone; `None`: the target's.
    pub fn statements(&self, prologue: &Prologue, zone: Option<&str>) -> Vec<String> {
        let mut statements = vec![format!("SET NAMES {}", prologue.names.as_deref().unwrap_or("utf8mb4"))];
        statements.push(self.zone_statement(zone));
        if self.session.sql_mode.is_none() {
            let escapes = if prologue.no_backslash_escapes { ",NO_BACKSLASH_ESCAPES" } else { "" };
            let quotes = if prologue.ansi_quotes { ",ANSI_QUOTES" } else { "" };
            statements.push(format!("SET SESSION sql_mode = '{SQL_MODE}{escapes}{quotes}'"));
        }
        statements
    }

    /// The statement that sets the zone of a session, or sets it back.
    pub fn zone_statement(&self, zone: Option<&str>) -> String {
        format!("SET SESSION time_zone = {}", quote_string(zone.unwrap_or(&self.default_time_zone)))
    }

    /// The zone in which a file's TIMESTAMP texts are read; `None`: nobody says, so it is the one of the target.
    pub fn time_zone<'a>(&'a self, prologue: &'a Prologue, recorded: Option<&'a str>) -> Option<&'a str> {
        let explicit = self.session.variables.iter().any(|(name, _)| name == "time_zone");
        match &self.session.source_time_zone {
            Some(zone) => Some(zone),
            None if explicit => Some(&self.default_time_zone),
            None => prologue.time_zone.as_deref().or(recorded),
        }
    }

    /// The mode in which the target will read a file's text, and so the one in which it is split.
    pub fn sql_mode(&self, prologue: &Prologue) -> sql::SqlMode {
        match &self.session.sql_mode {
            Some(mode) => sql::SqlMode::parse(mode),
            None => prologue.sql_mode(),
        }
    }
}

fn set_up(server: &ServerInfo, session: &Session) -> Vec<String> {
    let mut statements = vec![
        "SET NAMES utf8mb4".to_owned(),
        format!("SET SESSION sql_mode = '{}'", sql_mode(server, session)),
        "SET SESSION autocommit = 1, foreign_key_checks = 0".to_owned(),
    ];
    if server.flavor == Flavor::TiDb {
        statements.extend(TIDB_VARIABLES.iter().map(|(name, value)| format!("SET SESSION {name} = {value}")));
    } else {
        // A query may be idle for as long as a large file takes to scan.
        statements.push(
            "SET SESSION wait_timeout = 86400, net_read_timeout = 3600, net_write_timeout = 3600".to_owned(),
        );
    }
    statements.extend(session.variables.iter().map(|(name, value)| format!("SET SESSION {name} = {value}")));
    if let Some(zone) = &session.source_time_zone {
        statements.push(format!("SET SESSION time_zone = {}", quote_string(zone)));
    }
    statements
}

/// The user's mode as it stands, but without a word that MySQL 8 no longer knows and that meant nothing for INSERT.
fn sql_mode(server: &ServerInfo, session: &Session) -> String {
    let Some(mode) = &session.sql_mode else { return SQL_MODE.to_owned() };
    if !server.is_mysql(8, 0, 0) {
        return mode.clone();
    }
    let words: Vec<&str> = mode.split(',').map(str::trim).collect();
    let kept: Vec<&str> =
        words.iter().copied().filter(|word| !word.eq_ignore_ascii_case("NO_AUTO_CREATE_USER")).collect();
    if kept.len() < words.len() {
        warn!("tidb.sql-mode: NO_AUTO_CREATE_USER is left out, the target no longer knows it");
    }
    kept.join(",")
}
