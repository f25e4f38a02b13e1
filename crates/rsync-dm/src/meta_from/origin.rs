//! Whether a dump is of the server whose source it is said to be of.

use common::error::{DmError, dm_codes as code};
use mysql::{Conn, Flavor, GtidSet, session};

use super::folder::DumpFolder;
use crate::config::SubtaskConfig;

/// Compares what the folder says of its server with the source. rdump's manifest has the server's UUID (MariaDB has none: its server id); the
/// GTID set of any dump has to be a part of the source's; without one the source has to have the binlog file, up to that position.
///
/// # Errors
/// 11123 a dump of another server; 10005 a question that the source did not answer.
pub async fn check(conn: &mut Conn, subtask: &SubtaskConfig, folder: &DumpFolder) -> Result<(), DmError> {
    let failed = |error: mysql::Error| {
        code::DB_QUERY_FAILED
            .error(format!("look at source {} at {}: {error}", subtask.source_id, subtask.source))
    };
    let refuse = |why: String| {
        Err(code::METADATA_NO_BINLOG_LOC
            .error(format!(
                "dump folder {} is not of source {} ({}): {why}",
                folder.path.display(),
                subtask.source_id,
                subtask.source
            ))
            .with_workaround(
                "Check that each folder is named with its own source (SOURCE-ID=DIR), and that the source's file has the right host and port. \
                 For a dump of a replica of the source, with GTIDs: print its `meta` without --task, and put it into the task's file.",
            ))
    };
    let flavor = conn.server().flavor;
    if let Some(server) = &folder.server {
        let dumped = format!("it was dumped from {} at {}:{}", server.flavor, server.host, server.port);
        let is_maria = server.flavor.eq_ignore_ascii_case("mariadb");
        if is_maria != (flavor == Flavor::MariaDb) {
            return refuse(format!("{dumped}, the source is a server of another kind"));
        }
        if !server.uuid.is_empty() {
            let uuid = session::server_uuid(conn).await.map_err(failed)?;
            if uuid != server.uuid {
                return refuse(format!("{dumped} with server_uuid {}, the source has {uuid}", server.uuid));
            }
        } else if server.server_id != 0 {
            let id = u64::from(session::server_id(conn).await.map_err(failed)?);
            if id != server.server_id {
                return refuse(format!("{dumped} with server_id {}, the source has {id}", server.server_id));
            }
        }
    }
    let points = folder.tables.values().map(|table| &table.start);
    for point in [&folder.start, &folder.safe_end].into_iter().chain(points) {
        let set: Option<&GtidSet> = point.gtid.as_ref().filter(|set| !set.is_empty());
        if let Some(set) = set {
            if (set.flavor() == Flavor::MariaDb) != (flavor == Flavor::MariaDb) {
                return refuse(format!("GTID set {set} is not of a server of the source's kind"));
            }
            if crate::check::never_had(conn, set).await.map_err(failed)? {
                return refuse(format!("GTID set {set} holds transactions that the source never had"));
            }
        }
    }
    if subtask.enable_gtid && folder.start.gtid.as_ref().is_some_and(|set| !set.is_empty()) {
        return Ok(());
    }
    let logs = match session::binary_logs(conn).await {
        Ok(logs) => logs,
        // The account may lack the right; the task's own checks say so.
        Err(_) => return Ok(()),
    };
    let start = &folder.start;
    match logs.iter().find(|log| log.name == start.file) {
        Some(log) if log.size < start.pos => refuse(format!(
            "position {} of the dump lies beyond the end of the source's {} ({} bytes)",
            start.pos, log.name, log.size
        )),
        Some(_) => Ok(()),
        None => {
            let names =
                |at: Option<&session::BinaryLog>| at.map_or("none".to_owned(), |log| log.name.clone());
            refuse(format!(
                "its binlog file {} is not there (purged, or never was): the source's are {} to {}",
                start.file,
                names(logs.first()),
                names(logs.last())
            ))
        }
    }
}
