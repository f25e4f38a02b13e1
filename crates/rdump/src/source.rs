//! The server that is dumped: how every session begins, and questions with small answers.
//!
//! All connections are of our own protocol reader, so that every TLS mode and login works for all of them alike.

use std::time::Duration;

use common::ident::quote_string;
use common::manifest::{ServerIdentity, Session};
use mysql::wire::WireConn;
use mysql::{Endpoint, ErrorClass, Flavor, ServerInfo, Tls, TlsMode};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::{Doing, DumpError, Result};

/// A whole small answer.
#[derive(Debug, Default)]
pub struct Answer {
    names: Vec<String>,
    rows: Vec<Vec<Option<Vec<u8>>>>,
}

impl Answer {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The column with one of these names, in any case.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.names.iter().position(|column| column.eq_ignore_ascii_case(name)))
    }

    /// A cell as text; `None` for NULL and for what is not there. Text that is not UTF-8 keeps what it can.
    pub fn at(&self, row: usize, column: usize) -> Option<String> {
        let cell = self.rows.get(row)?.get(column)?.as_ref()?;
        Some(String::from_utf8_lossy(cell).into_owned())
    }

    /// A cell by one of several column names.
    pub fn get(&self, row: usize, names: &[&str]) -> Option<String> {
        self.at(row, self.column(names)?)
    }

    /// A cell's bytes.
    pub fn bytes(&self, row: usize, column: usize) -> Option<&[u8]> {
        self.rows.get(row)?.get(column)?.as_deref()
    }
}

/// Asks a question with a small answer.
///
/// # Errors
/// The server's.
pub async fn ask(conn: &mut WireConn, sql: &str) -> mysql::Result<Answer> {
    let mut stream = conn.query(sql).await?;
    let mut answer = Answer {
        names: stream.columns().iter().map(|column| column.name.clone()).collect(),
        rows: Vec::new(),
    };
    while let Some(row) = stream.next().await? {
        answer.rows.push(row.cells().map(|cell| cell.map(<[u8]>::to_vec)).collect());
    }
    Ok(answer)
}

/// Where the dump comes from, and what was learned about it.
#[derive(Debug, Clone)]
pub struct Source {
    endpoint: Endpoint,
    /// Statements that every session must run.
    setup: Vec<String>,
    /// Statements that a session runs if the server knows them.
    soft_setup: Vec<&'static str>,
    /// Family and version.
    pub server: ServerInfo,
    /// For the manifest.
    pub identity: ServerIdentity,
    /// For the manifest.
    pub session: Session,
    /// `'user'@'host'`, for GRANT statements.
    pub account: String,
    /// `user@host` as the server prints it.
    pub raw_account: String,
}

/// `sql_mode` words that change what is read or how SHOW CREATE prints.
const HARMFUL_MODES: [&str; 13] = [
    "ANSI_QUOTES",
    "ANSI",
    "PAD_CHAR_TO_FULL_LENGTH",
    "NO_KEY_OPTIONS",
    "NO_TABLE_OPTIONS",
    "NO_FIELD_OPTIONS",
    "NO_BACKSLASH_ESCAPES",
    "ORACLE",
    "MSSQL",
    "DB2",
    "MAXDB",
    "POSTGRESQL",
    "MYSQL40",
];

impl Source {
    /// Connects once, and learns what kind of server it is and how its sessions have to begin.
    ///
    /// # Errors
    /// No connection, or a session variable that the server refuses.
    pub async fn open(config: &Config) -> Result<(Source, WireConn)> {
        let endpoint = endpoint(config);
        let address = endpoint.address();
        let mut conn = WireConn::connect(&endpoint).await.doing(|| format!("connect to {address}"))?;
        let server = detect(&mut conn).await?;
        info!(r#type = %server.flavor, version = %server.text, "detect server version");
        let mut source = Source {
            endpoint,
            setup: match config.output.in_utc() {
                true => vec!["SET NAMES utf8mb4".into(), "SET SESSION time_zone = '+00:00'".into()],
                false => vec!["SET NAMES utf8mb4".into()],
            },
            soft_setup: soft_setup(server.flavor),
            server,
            identity: ServerIdentity::default(),
            session: Session::default(),
            account: String::new(),
            raw_account: String::new(),
        };
        source.accept_params(&mut conn, config).await?;
        for sql in source.setup.iter().skip(1) {
            conn.simple(sql).await.doing(|| "set session variables".into())?;
        }
        source.look_around(&mut conn, config).await?;
        source.leave_out_tls(&conn_facts(&mut conn).await?).await;
        source.prepare(&mut conn).await?;
        Ok((source, conn))
    }

    /// Opens a session like all the others.
    ///
    /// # Errors
    /// No connection, or its setup fails.
    pub async fn connect(&self) -> Result<WireConn> {
        let mut conn = WireConn::connect(&self.endpoint)
            .await
            .doing(|| format!("connect to {}", self.endpoint.address()))?;
        self.prepare(&mut conn).await?;
        Ok(conn)
    }

    /// Where it is, `host:port`.
    pub fn address(&self) -> String {
        self.endpoint.address()
    }

    /// The endpoint, for KILL.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Adds a statement for all sessions to come.
    pub fn add_setup(&mut self, sql: String) {
        self.setup.push(sql);
    }

    /// Drops an encryption that nobody asked for where no byte leaves this machine: it would take a third of the time
    /// (2.4 s of the server's time instead of 2.0 s and 1.1 s of ours instead of 0.75 s for 550 MB).
    async fn leave_out_tls(&mut self, facts: &ConnFacts) {
        if self.endpoint.tls.mode != TlsMode::Preferred || !facts.encrypted || !facts.is_direct_and_local() {
            return;
        }
        let plain = self.endpoint.clone().with_tls(Tls::new(TlsMode::Off));
        // A server or account that insists on TLS keeps it.
        if let Ok(conn) = WireConn::connect(&plain).await {
            conn.close().await;
            info!(
                "the server is on this machine and the connection to it is direct: rows are read without TLS"
            );
            self.endpoint = plain;
        }
    }

    async fn prepare(&self, conn: &mut WireConn) -> Result<()> {
        for sql in &self.setup {
            conn.simple(sql).await.doing(|| "set session variables".into())?;
        }
        for sql in &self.soft_setup {
            match conn.simple(sql).await {
                Err(error) if error.code().is_none() => {
                    return Err(error).doing(|| "set session variables".into());
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Tries each of `--params`, as Dumpling: unknown variables are skipped, other errors are fatal.
    async fn accept_params(&mut self, conn: &mut WireConn, config: &Config) -> Result<()> {
        let mut params = config.params.clone();
        if config.tidb_mem_quota_query > 0 && self.server.flavor == Flavor::TiDb {
            params.push(("tidb_mem_quota_query".into(), config.tidb_mem_quota_query.to_string()));
        }
        let mut accepted = Vec::new();
        for (name, value) in &params {
            let literal = match value.parse::<i64>().is_ok() || is_plain_float(value) {
                true => value.clone(),
                false => quote_string(value),
            };
            match conn.simple(format!("SET SESSION {name} = {literal}")).await {
                Ok(_) => accepted.push(format!("SESSION {name} = {literal}")),
                Err(error) if error.class() == ErrorClass::UnknownVariable => {
                    info!(variable = %name, "session variable is not supported by db");
                }
                Err(error) => return Err(error).doing(|| format!("set session variable {name}")),
            }
        }
        if !accepted.is_empty() {
            self.setup.push(format!("SET {}", accepted.join(", ")));
        }
        Ok(())
    }

    /// Learns what the manifest says, and whether the session's `sql_mode` would spoil the dump.
    async fn look_around(&mut self, conn: &mut WireConn, config: &Config) -> Result<()> {
        let sql = "SELECT @@session.time_zone AS tz, @@system_time_zone AS stz, @@session.sql_mode AS mode, \
                   CURRENT_USER() AS account, @@server_id AS id";
        let answer = ask(conn, sql).await.doing(|| "read session variables".into())?;
        let text = |name: &str| answer.get(0, &[name]).unwrap_or_default();
        self.raw_account = text("account");
        self.account = quote_account(&self.raw_account);
        self.session = Session {
            time_zone: text("tz"),
            system_time_zone: text("stz"),
            sql_mode: text("mode"),
            ..zone_offsets(conn).await?
        };
        let uuid = match ask(conn, "SELECT @@server_uuid").await {
            Ok(answer) => answer.at(0, 0).unwrap_or_default(),
            // MariaDB has none.
            Err(error) if error.code().is_some() => String::new(),
            Err(error) => return Err(error).doing(|| "read session variables".into()),
        };
        self.identity = ServerIdentity {
            flavor: self.server.flavor.to_string(),
            version: self.server.text.clone(),
            uuid,
            server_id: text("id").parse().unwrap_or(0),
            host: config.host.clone(),
            port: config.port,
        };
        let user_chose = config.params.iter().any(|(name, _)| name.eq_ignore_ascii_case("sql_mode"));
        let harmful: Vec<&str> =
            self.session.sql_mode.split(',').filter(|mode| HARMFUL_MODES.contains(mode)).collect();
        if !harmful.is_empty() && !user_chose {
            warn!(modes = %harmful.join(","), "the server's sql_mode would change the dump, sessions read without it");
            self.setup.push("SET SESSION sql_mode = ''".into());
        }
        Ok(())
    }
}

/// The two ends of a connection, as we and the server see ours.
#[derive(Debug, Default)]
struct ConnFacts {
    encrypted: bool,
    ours: Option<std::net::SocketAddr>,
    as_the_server_sees_it: String,
}

impl ConnFacts {
    /// Whether no proxy, tunnel or forwarded port can be in between: our end is a loopback address, and the server sees
    /// the very port of our socket.
    fn is_direct_and_local(&self) -> bool {
        let Some(ours) = self.ours.filter(|address| address.ip().is_loopback()) else { return false };
        let Some((host, port)) = self.as_the_server_sees_it.rsplit_once(':') else { return false };
        port.parse() == Ok(ours.port())
            && (host == "localhost" || host.trim_matches(['[', ']']).parse() == Ok(ours.ip()))
    }
}

async fn conn_facts(conn: &mut WireConn) -> Result<ConnFacts> {
    let sql = "SELECT HOST FROM INFORMATION_SCHEMA.PROCESSLIST WHERE ID = CONNECTION_ID()";
    let seen = match ask(conn, sql).await {
        Ok(answer) => answer.at(0, 0).unwrap_or_default(),
        Err(error) if error.code().is_some() => String::new(),
        Err(error) => return Err(error).doing(|| "look at the connection".into()),
    };
    Ok(ConnFacts { encrypted: conn.is_encrypted(), ours: conn.local_address(), as_the_server_sees_it: seen })
}

fn endpoint(config: &Config) -> Endpoint {
    let mode = match (&config.ca, &config.cert) {
        (Some(_), _) => TlsMode::VerifyCa,
        (None, Some(_)) => TlsMode::Required,
        (None, None) => TlsMode::Preferred,
    };
    let mut tls = Tls::new(mode);
    if let Some(ca) = &config.ca {
        tls = tls.with_ca(ca.clone());
    }
    if let (Some(cert), Some(key)) = (&config.cert, &config.key) {
        tls = tls.with_identity(cert.clone(), key.clone());
    }
    let mut endpoint = Endpoint::new(&config.host, config.port, &config.user, config.password.clone())
        .with_tls(tls)
        .with_connect_timeout(Duration::from_secs(30))
        .with_program("rdump");
    endpoint.cleartext_password = config.cleartext_password;
    endpoint
}

/// A slow disk must not make the server hang up, and no limit on statements may cut a dump.
fn soft_setup(flavor: Flavor) -> Vec<&'static str> {
    let mut setup = vec![
        "SET SESSION net_write_timeout = 86400, SESSION wait_timeout = 604800",
        "SET SESSION sql_quote_show_create = 1",
    ];
    match flavor {
        Flavor::MariaDb => setup.push("SET SESSION max_statement_time = 0"),
        Flavor::MySql => {
            setup.push("SET SESSION max_execution_time = 0");
            // Else 8.0 before 8.0.23 stores statistics when they are read, and waits for ever under a global read lock.
            setup.push("SET SESSION information_schema_stats_expiry = 0");
        }
        Flavor::TiDb => setup.push("SET SESSION max_execution_time = 0"),
    }
    setup
}

async fn detect(conn: &mut WireConn) -> Result<ServerInfo> {
    let sql = "SELECT VERSION(), @@version_comment";
    let answer = ask(conn, sql).await.doing(|| "read the server's version".into())?;
    let (version, comment) = (answer.at(0, 0).unwrap_or_default(), answer.at(0, 1).unwrap_or_default());
    Ok(ServerInfo::parse(&version, &comment))
}

/// Seconds between two samples of the zone's offset: half a year, so that summer and winter are both seen.
const HALF_YEAR: u64 = 15_778_800;

/// Reads the session's offset now and twice a year from 1970 to 2037.
async fn zone_offsets(conn: &mut WireConn) -> Result<Session> {
    let moments: Vec<u64> = (0..136).map(|i| 86_400 + i * HALF_YEAR).collect();
    let mut columns = vec![
        // The offset now, to the nearest minute: the two functions may not see the same second.
        "ROUND(TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW()) / 60)".to_owned(),
    ];
    columns.extend(moments.iter().map(|moment| {
        format!("(TIMESTAMPDIFF(SECOND, '1970-01-01 00:00:00', FROM_UNIXTIME({moment})) - {moment}) DIV 60")
    }));
    let answer = ask(conn, &format!("SELECT {}", columns.join(", ")))
        .await
        .doing(|| "read the session's time zone".into())?;
    let minutes = |i: usize| answer.at(0, i).and_then(|text| text.parse::<i64>().ok());
    let Some(now) = minutes(0) else {
        return Err(DumpError::Answer {
            doing: "read the session's time zone".into(),
            what: "no offset".into(),
        });
    };
    let last_other = (1..=moments.len()).rev().find(|&i| minutes(i) != Some(now));
    let sign = if now < 0 { '-' } else { '+' };
    Ok(Session {
        utc_offset: format!("{sign}{:02}:{:02}", now.abs() / 60, now.abs() % 60),
        offset_is_fixed: last_other.is_none(),
        // The other offset ended within the half year after its last sample.
        fixed_since: last_other
            .filter(|&i| i < moments.len())
            .map(|i| 1970 + ((moments[i - 1] + HALF_YEAR) / (2 * HALF_YEAR) + 1) as u32),
        ..Session::default()
    })
}

fn is_plain_float(text: &str) -> bool {
    text.parse::<f64>().is_ok_and(f64::is_finite) && !text.starts_with('+')
}

/// `dump@%` as `'dump'@'%'`.
fn quote_account(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((user, host)) => format!("{}@{}", quote_string(user), quote_string(host)),
        None => quote_string(text),
    }
}

/// Turns a refusal into the GRANT that helps; other errors pass with their context.
pub fn needs_privilege(
    error: mysql::Error,
    doing: String,
    privilege: &'static str,
    object: &str,
    account: &str,
) -> DumpError {
    if error.class() == ErrorClass::AccessDenied {
        let grant = format!("GRANT {privilege} ON {object} TO {account}");
        DumpError::Privilege { doing, privilege, grant, source: error }
    } else {
        DumpError::Server { doing, source: error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_direct_connection_to_this_machine_is_local() {
        for (ours, seen, local) in [
            ("127.0.0.1:50000", "127.0.0.1:50000", true),
            ("127.0.0.1:50000", "localhost:50000", true),
            ("[::1]:50000", "::1:50000", true),
            ("127.0.0.1:50000", "127.0.0.1:50001", false),
            ("127.0.0.1:50000", "172.17.0.1:50000", false),
            ("10.0.0.1:50000", "10.0.0.1:50000", false),
            ("127.0.0.1:50000", "", false),
            ("127.0.0.1:50000", "localhost", false),
        ] {
            let facts = ConnFacts {
                encrypted: true,
                ours: Some(ours.parse().unwrap()),
                as_the_server_sees_it: seen.into(),
            };
            assert_eq!(facts.is_direct_and_local(), local, "{ours} {seen}");
        }
        assert_eq!(quote_account("a@b@%"), "'a@b'@'%'");
    }
}
