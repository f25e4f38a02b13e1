//! Questions that every tool has for a server, in the words of each family and version.

use std::collections::BTreeMap;
use std::fmt;

use crate::conn::Conn;
use crate::error::{Error, Result};
use crate::gtid::GtidSet;
use crate::location::Location;
use crate::version::{Flavor, ServerInfo};

/// The place where the server's binlog ends now, with the set of transactions in it; `None` if its binlog is off.
///
/// On TiDB the position is the current timestamp.
///
/// # Errors
/// The server's: REPLICATION CLIENT (MariaDB: BINLOG MONITOR) is needed.
pub async fn binlog_location(conn: &mut Conn) -> Result<Option<Location>> {
    let Some(row) = conn.query_one(binlog_status_sql(conn.server())).await? else { return Ok(None) };
    let pos = row
        .parse("Position")?
        .ok_or_else(|| Error::value("the position of the binlog is NULL").at_name_of(conn))?;
    let mut location = Location::new(row.text("File")?, pos);
    let gtid = match conn.server().flavor {
        Flavor::MariaDb => Some(mariadb_position(conn, "gtid_binlog_pos").await?),
        _ => row.str_if_there("Executed_Gtid_Set")?.map(|text| read_set(Flavor::MySql, &text)).transpose()?,
    };
    location.gtid = gtid;
    Ok(Some(location))
}

/// `SHOW MASTER STATUS`, or what took its place in MySQL 8.2 (the old words are gone from 8.4 on).
pub fn binlog_status_sql(server: &ServerInfo) -> &'static str {
    if server.is_mysql(8, 2, 0) { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" }
}

/// `SHOW SLAVE STATUS`, or what took its place in MySQL 8.0.22; MariaDB with all its connections.
pub fn replica_status_sql(server: &ServerInfo) -> &'static str {
    match server.flavor {
        Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
        _ if server.is_mysql(8, 0, 22) => "SHOW REPLICA STATUS",
        _ => "SHOW SLAVE STATUS",
    }
}

/// All transactions the server has: `gtid_executed`, on MariaDB `gtid_binlog_pos`. Empty with GTIDs off.
///
/// # Errors
/// The server's.
pub async fn gtid_executed(conn: &mut Conn) -> Result<GtidSet> {
    match conn.server().flavor {
        Flavor::MariaDb => mariadb_position(conn, "gtid_binlog_pos").await,
        Flavor::TiDb => Ok(GtidSet::empty(Flavor::TiDb)),
        Flavor::MySql => {
            let text = variable(conn, "gtid_executed").await?.unwrap_or_default();
            read_set(Flavor::MySql, &text)
        }
    }
}

/// The transactions whose binlog is gone: `gtid_purged`. On MariaDB the position before its first binlog file.
///
/// # Errors
/// The server's; on MariaDB BINLOG MONITOR is needed.
pub async fn gtid_purged(conn: &mut Conn) -> Result<GtidSet> {
    match conn.server().flavor {
        Flavor::TiDb => Ok(GtidSet::empty(Flavor::TiDb)),
        Flavor::MySql => {
            let text = variable(conn, "gtid_purged").await?.unwrap_or_default();
            read_set(Flavor::MySql, &text)
        }
        Flavor::MariaDb => {
            let Some(first) = binary_logs(conn).await?.into_iter().next() else {
                return Ok(GtidSet::empty(Flavor::MariaDb));
            };
            // Every file begins with the list of what came before it; BINLOG_GTID_POS knows no place before that.
            let file = common::ident::quote_string(&first.name);
            let events = conn.query(format!("SHOW BINLOG EVENTS IN {file} LIMIT 3")).await?;
            for event in &events {
                if event.text("Event_type")? == "Gtid_list" {
                    let list = event.text("Info")?;
                    return read_set(Flavor::MariaDb, list.trim_matches(['[', ']']));
                }
            }
            Ok(GtidSet::empty(Flavor::MariaDb))
        }
    }
}

async fn mariadb_position(conn: &mut Conn, name: &str) -> Result<GtidSet> {
    let row = conn.query_one(format!("SELECT @@GLOBAL.{name}")).await?;
    let text = row.map(|row| row.str(0)).transpose()?.flatten().unwrap_or_default();
    read_set(Flavor::MariaDb, &text)
}

fn read_set(flavor: Flavor, text: &str) -> Result<GtidSet> {
    GtidSet::parse(flavor, text).map_err(|e| Error::value(e.to_string()))
}

/// The value of one global variable, `None` if this server has none of this name.
///
/// # Errors
/// The server's.
pub async fn variable(conn: &mut Conn, name: &str) -> Result<Option<String>> {
    Ok(variables_like(conn, Some(name)).await?.remove(&name.to_ascii_lowercase()))
}

/// All global variables by their names in small letters. A value that is not UTF-8 has its bad bytes replaced.
///
/// # Errors
/// The server's.
pub async fn variables(conn: &mut Conn) -> Result<BTreeMap<String, String>> {
    variables_like(conn, None).await
}

async fn variables_like(conn: &mut Conn, name: Option<&str>) -> Result<BTreeMap<String, String>> {
    // With WHERE and not LIKE, in which `_` stands for any character.
    let condition = name
        .map(|name| format!(" WHERE Variable_name = {}", common::ident::quote_string(name)))
        .unwrap_or_default();
    let rows = conn.query(format!("SHOW GLOBAL VARIABLES{condition}")).await?;
    let text = |cell: Option<&[u8]>| String::from_utf8_lossy(cell.unwrap_or_default()).into_owned();
    Ok(rows.iter().map(|row| (text(row.at(0)).to_ascii_lowercase(), text(row.at(1)))).collect())
}

/// Whether the server's reading of JSON text is not exact, as MySQL's is: then `sql::json_doubles` has other digits for the doubles
/// concerned. MariaDB keeps the text, TiDB reads it exactly.
///
/// # Errors
/// What the server says.
pub async fn misreads_json_doubles(conn: &mut Conn) -> Result<bool> {
    // MySQL 5.6 has no JSON.
    if conn.server().flavor != Flavor::MySql || !conn.server().is_mysql(5, 7, 8) {
        return Ok(false);
    }
    let same = ["0.040785546898809644", "0.18015513008447814", "3.0225183985765902e-5"].map(|number| {
        let literal = if number.contains('e') { number.to_owned() } else { format!("{number}e0") };
        format!("JSON_EXTRACT('[{number}]','$[0]')+0e0={literal}")
    });
    let row = conn.query_one(format!("SELECT {}", same.join(" AND "))).await?;
    Ok(row.and_then(|row| row.str(0).ok().flatten()).as_deref() == Some("0"))
}

/// `server_id`; 0 if the server has none (TiDB).
///
/// # Errors
/// The server's.
pub async fn server_id(conn: &mut Conn) -> Result<u32> {
    let text = variable(conn, "server_id").await?.unwrap_or_default();
    Ok(text.parse().unwrap_or(0))
}

/// What tells servers apart: `server_uuid`; on MariaDB, as DM does, `domain-server`; empty on TiDB.
///
/// # Errors
/// The server's.
pub async fn server_uuid(conn: &mut Conn) -> Result<String> {
    match conn.server().flavor {
        Flavor::MySql => Ok(variable(conn, "server_uuid").await?.unwrap_or_default()),
        Flavor::TiDb => Ok(String::new()),
        Flavor::MariaDb => {
            let domain = variable(conn, "gtid_domain_id").await?.unwrap_or_default();
            Ok(format!("{domain}-{}", server_id(conn).await?))
        }
    }
}

/// How far a clock is ahead of UTC. Prints as MySQL wants it in `time_zone`: `+08:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ZoneOffset {
    /// Seconds east of UTC, whole minutes.
    pub seconds: i32,
}

impl fmt::Display for ZoneOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let minutes = self.seconds.unsigned_abs() / 60;
        let sign = if self.seconds < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// How far the session's time zone is ahead of UTC now (a zone with summer time has another offset at other times).
///
/// # Errors
/// The server's.
pub async fn zone_offset(conn: &mut Conn) -> Result<ZoneOffset> {
    // Both functions give the time at which the statement began, so the difference is exact.
    let row = conn.query_one("SELECT TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), NOW())").await?;
    let seconds: Option<i32> = row.map(|row| row.parse(0)).transpose()?.flatten();
    let seconds = seconds.ok_or_else(|| Error::value("the server did not give its time").at_name_of(conn))?;
    Ok(ZoneOffset { seconds })
}

/// A binlog file of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryLog {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
}

/// The binlog files the server still has, oldest first; none if its binlog is off.
///
/// # Errors
/// The server's: REPLICATION CLIENT (MariaDB: BINLOG MONITOR) is needed.
pub async fn binary_logs(conn: &mut Conn) -> Result<Vec<BinaryLog>> {
    let rows = match conn.query("SHOW BINARY LOGS").await {
        // ER_NO_BINARY_LOGGING: the binlog is off.
        Err(e) if e.code() == Some(1381) => return Ok(Vec::new()),
        rows => rows?,
    };
    rows.iter().map(|row| Ok(BinaryLog { name: row.text(0)?, size: row.parse(1)?.unwrap_or(0) })).collect()
}

/// The server ids of the replicas connected now, ours included if we are one.
///
/// # Errors
/// The server's: REPLICATION SLAVE (MariaDB: REPLICATION MASTER ADMIN) is needed.
pub async fn replica_server_ids(conn: &mut Conn) -> Result<Vec<u32>> {
    let sql = if conn.server().is_mysql(8, 0, 22) { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
    let rows = conn.query(sql).await?;
    rows.iter().map(|row| row.parse(0).map(Option::unwrap_or_default)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_by_version() {
        let info = |text| ServerInfo::parse(text, "");
        for (text, status, replica) in [
            ("5.6.24", "SHOW MASTER STATUS", "SHOW SLAVE STATUS"),
            ("8.0.15", "SHOW MASTER STATUS", "SHOW SLAVE STATUS"),
            ("8.0.33", "SHOW MASTER STATUS", "SHOW REPLICA STATUS"),
            ("8.4.0", "SHOW BINARY LOG STATUS", "SHOW REPLICA STATUS"),
            ("9.7.0", "SHOW BINARY LOG STATUS", "SHOW REPLICA STATUS"),
            ("10.11.19-MariaDB", "SHOW MASTER STATUS", "SHOW ALL SLAVES STATUS"),
            ("8.0.11-TiDB-v8.5.0", "SHOW MASTER STATUS", "SHOW SLAVE STATUS"),
        ] {
            assert_eq!(binlog_status_sql(&info(text)), status, "{text}");
            assert_eq!(replica_status_sql(&info(text)), replica, "{text}");
        }
    }

    #[test]
    fn offsets_print_as_time_zone_takes_them() {
        for (seconds, text) in
            [(0, "+00:00"), (28_800, "+08:00"), (-12_600, "-03:30"), (20_700, "+05:45"), (-3600, "-01:00")]
        {
            assert_eq!(ZoneOffset { seconds }.to_string(), text);
        }
    }
}
