//! Where in the binlog the server is, and where it stands as a replica (facts/dumpling.md 2.6).

use common::metadata::Block;
use mysql::wire::WireConn;
use mysql::{ErrorClass, Flavor, ServerInfo};
use tracing::{info, warn};

use crate::config::Consistency;
use crate::error::{Doing, Result};
use crate::source::{Answer, Source, ask, needs_privilege};

/// The statement that shows the position, and what other servers call it.
pub fn statements(server: &ServerInfo) -> [&'static str; 2] {
    match server.is_mysql(8, 2, 0) {
        true => ["SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"],
        false => ["SHOW MASTER STATUS", "SHOW BINARY LOG STATUS"],
    }
}

/// The server's own position; `None` if its binlog is off.
///
/// # Errors
/// The server's; a missing REPLICATION CLIENT privilege by name, unless the dump is not consistent anyway.
pub async fn read(conn: &mut WireConn, source: &Source, consistency: Consistency) -> Result<Option<Block>> {
    let statements = statements(&source.server);
    let mut answer = ask(conn, statements[0]).await;
    if answer.as_ref().is_err_and(|error| error.class() == ErrorClass::Syntax) {
        answer = ask(conn, statements[1]).await;
    }
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) if error.class() == ErrorClass::AccessDenied => {
            let privilege = match source.server.is_mariadb(10, 5, 0) {
                true => "BINLOG MONITOR",
                false => "REPLICATION CLIENT",
            };
            let doing = "read the binlog position".to_owned();
            let error = needs_privilege(error, doing, privilege, "*.*", &source.account);
            if consistency == Consistency::None {
                warn!(%error, "get global metadata failed");
                return Ok(None);
            }
            return Err(error);
        }
        // A server that knows neither statement has no binlog.
        Err(error) if error.code().is_some() => {
            warn!(%error, "get global metadata failed");
            return Ok(None);
        }
        Err(error) => return Err(error).doing(|| "read the binlog position".into()),
    };
    let text = |column| answer.at(0, column).unwrap_or_default();
    let mut block = Block { file: text(0), pos: text(1), ..Block::default() };
    if block.file.is_empty() {
        return Ok(None);
    }
    block.gtid = match source.server.flavor {
        Flavor::MySql => text(4),
        Flavor::TiDb => String::new(),
        Flavor::MariaDb => mariadb_gtid(conn, &block, consistency).await?,
    };
    Ok(Some(block))
}

/// The server's clock, in seconds since 1970.
///
/// # Errors
/// The server's.
pub async fn read_clock(conn: &mut WireConn) -> Result<u64> {
    let answer = ask(conn, "SELECT UNIX_TIMESTAMP()").await.doing(|| "read the server's clock".into())?;
    Ok(answer.at(0, 0).and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// MariaDB's GTID position. Under the global lock nothing moves; else it is asked for the very position read before.
async fn mariadb_gtid(conn: &mut WireConn, block: &Block, consistency: Consistency) -> Result<String> {
    let doing = || "read the GTID position".to_owned();
    let current = "SELECT @@global.gtid_binlog_pos".to_owned();
    let exact =
        format!("SELECT BINLOG_GTID_POS({}, {})", common::ident::quote_string(&block.file), block.pos);
    let statements = match consistency {
        Consistency::Flush => [current, exact],
        _ => [exact, current],
    };
    for sql in &statements {
        match ask(conn, sql).await {
            Ok(answer) => {
                if let Some(gtid) = answer.at(0, 0) {
                    return Ok(gtid);
                }
            }
            Err(error) if error.code().is_some() => info!(%error, "GTID position is not to be had this way"),
            Err(error) => return Err(error).doing(doing),
        }
    }
    Ok(String::new())
}

/// The server's positions at its own sources. What can't be read is left out with a line in the log, as Dumpling does:
/// the dump does not hang on it.
///
/// # Errors
/// A lost connection.
pub async fn read_replicas(conn: &mut WireConn, source: &Source) -> Result<Vec<Block>> {
    let statements: &[&str] = match source.server.flavor {
        Flavor::TiDb => return Ok(Vec::new()),
        Flavor::MariaDb => &["SHOW ALL SLAVES STATUS", "SHOW SLAVE STATUS"],
        Flavor::MySql if source.server.is_mysql(8, 0, 22) => &["SHOW REPLICA STATUS", "SHOW SLAVE STATUS"],
        Flavor::MySql => &["SHOW SLAVE STATUS"],
    };
    for sql in statements {
        match ask(conn, sql).await {
            Ok(answer) => return Ok(replica_blocks(&answer, source.server.flavor)),
            Err(error) if error.code().is_some() => info!(%error, "get global metadata failed"),
            Err(error) => return Err(error).doing(|| "read the replica status".into()),
        }
    }
    Ok(Vec::new())
}

fn replica_blocks(answer: &Answer, flavor: Flavor) -> Vec<Block> {
    (0..answer.len())
        .map(|row| {
            let text = |names: &[&str]| answer.get(row, names).unwrap_or_default();
            Block {
                connection_name: match flavor {
                    Flavor::MariaDb => text(&["Connection_name"]),
                    _ => text(&["Channel_Name"]),
                },
                host: text(&["Source_Host", "Master_Host"]),
                file: text(&["Relay_Source_Log_File", "Relay_Master_Log_File"]),
                pos: text(&["Exec_Source_Log_Pos", "Exec_Master_Log_Pos"]),
                gtid: text(&["Executed_Gtid_Set"]),
            }
        })
        .filter(|block| !block.host.is_empty() && !block.file.is_empty())
        .collect()
}
