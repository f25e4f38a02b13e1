//! `--resume-chunks`: of which tables chunks of two snapshots may stand side by side, so that replication in safe mode makes them exact.
//!
//! A row that nobody has touched between the two positions is the same in both snapshots. Every other one is named by an event
//! with its whole image, so whoever applies the events from the first position on in safe mode (REPLACE in place of INSERT, and so
//! on) has it right at the second one, whichever of its states were dumped, be it none or two under different keys. That holds
//! only under the conditions that are looked at here. A table that lacks one is dumped whole again, and the reason is printed.

pub mod scan;

use common::ident::TableName;
use common::manifest::StartPoint;
use common::metadata::Block;
use mysql::wire::WireConn;
use mysql::{Flavor, GtidSet, Location};
use sql::SqlMode;
use sql::schema::Table as Definition;
use tracing::{info, warn};

use crate::config::{Config, Consistency};
use crate::consistency::Snapshot;
use crate::error::{Doing, Result};
use crate::resume::{Kept, Part, earliest};
use crate::source::{Answer, Source, ask};
use crate::table;
use scan::{Span, Watched};

/// The tables whose chunks can't be kept, each with the reason.
///
/// # Errors
/// A lost connection, a table that can't be read.
pub async fn refused(
    snapshot: &mut Snapshot,
    source: &Source,
    config: &Config,
    kept: &Kept,
) -> Result<Vec<(TableName, String)>> {
    let all = |reason: &str| kept.parts.keys().map(|name| (name.clone(), reason.to_owned())).collect();
    if kept.parts.is_empty() {
        return Ok(Vec::new());
    }
    if source.server.flavor == Flavor::TiDb {
        return Ok(all("TiDB has no binlog that would tell what has changed"));
    }
    if !matches!(snapshot.consistency, Consistency::Flush | Consistency::Lock) {
        return Ok(all("without a lock the new snapshot has no position"));
    }
    let Some(position) = snapshot.position.clone() else {
        return Ok(all("the server's binlog is off"));
    };
    let status = ServerStatus::read(&mut snapshot.meta, source).await?;
    if !snapshot.replicas.is_empty() && !status.logs_replicated {
        return Ok(all("the server is a replica that does not log what it replicates (log_replica_updates)"));
    }
    let mut refused = Vec::new();
    let mut watched = Vec::new();
    for (name, parts) in &kept.parts {
        match look_at(snapshot, source, config, name, parts, &status).await? {
            Some(reason) => refused.push((name.clone(), reason)),
            None => {
                let reason = None;
                // Each was read before, when the folder was opened.
                let from =
                    location(source.server.flavor, &earliest(parts.iter().map(|part| &part.done.start))?);
                match from {
                    Ok(from) => watched.push(Watched { name: name.clone(), from, reached: false, reason }),
                    Err(reason) => refused.push((name.clone(), reason)),
                }
            }
        }
    }
    if let Err(reason) = changes(source, &position, kept, &status, &mut watched).await {
        watched.iter_mut().for_each(|table| _ = table.reason.get_or_insert_with(|| reason.clone()));
    }
    let mut left: Vec<TableName> = Vec::new();
    for table in watched {
        match table.reason {
            Some(reason) => refused.push((table.name, reason)),
            None => left.push(table.name),
        }
    }
    refused.extend(parents(snapshot, &left).await?);
    Ok(refused)
}

/// Says what became of the tables.
pub fn tell(kept: &Kept, refused: &[(TableName, String)]) {
    for (name, parts) in &kept.parts {
        match refused.iter().find(|(table, _)| table == name) {
            Some((_, reason)) => warn!(
                table = %name,
                reason,
                "the table is dumped whole again: its finished chunks and new ones would not be exact together"
            ),
            None => info!(
                table = %name,
                chunks = parts.len(),
                rows = parts.iter().map(|part| part.done.chunk.rows).sum::<u64>(),
                "finished chunks are kept, the rest of the table is dumped: import it with replace, replicate it in safe mode"
            ),
        }
    }
}

/// What the server says of its binlog.
struct ServerStatus {
    /// Databases that alone are logged; empty: all.
    only: Vec<String>,
    /// Databases that are not.
    not: Vec<String>,
    /// Changes that it gets as a replica are in its binlog.
    logs_replicated: bool,
    /// Each transaction is on the disk before it is committed.
    synced: bool,
}

impl ServerStatus {
    async fn read(conn: &mut WireConn, source: &Source) -> Result<ServerStatus> {
        let doing = || "read what the binlog holds".to_owned();
        let status = match ask(conn, crate::position::statements(&source.server)[0]).await {
            Ok(answer) => answer,
            Err(error) if error.code().is_some() => {
                ask(conn, crate::position::statements(&source.server)[1]).await.doing(doing)?
            }
            Err(error) => return Err(error).doing(doing),
        };
        let sql = "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('sync_binlog', 'log_slave_updates', 'log_replica_updates')";
        let variables = ask(conn, sql).await.doing(doing)?;
        let value = |name: &str| {
            let row =
                (0..variables.len()).find(|&row| variables.at(row, 0).is_some_and(|found| found == name))?;
            variables.at(row, 1)
        };
        let updates = value("log_replica_updates").or_else(|| value("log_slave_updates"));
        Ok(ServerStatus {
            only: names(&status, "Binlog_Do_DB"),
            not: names(&status, "Binlog_Ignore_DB"),
            logs_replicated: updates.is_some_and(|value| value.eq_ignore_ascii_case("ON") || value == "1"),
            synced: value("sync_binlog").as_deref() == Some("1"),
        })
    }

    fn logs(&self, schema: &str) -> bool {
        let has = |names: &[String]| names.iter().any(|name| name.to_lowercase() == schema.to_lowercase());
        (self.only.is_empty() || has(&self.only)) && !has(&self.not)
    }
}

fn names(status: &Answer, column: &str) -> Vec<String> {
    let text = status.get(0, &[column]).unwrap_or_default();
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// What can be said of a table without its history.
async fn look_at(
    snapshot: &mut Snapshot,
    source: &Source,
    config: &Config,
    name: &TableName,
    parts: &[Part],
    status: &ServerStatus,
) -> Result<Option<String>> {
    let reason = |text: &str| Ok(Some(text.to_owned()));
    if !snapshot.listing.tables().any(|table| table == name) {
        return reason("it is no table of this dump any more");
    }
    if !status.logs(&name.schema) {
        return reason("the server's binlog leaves its database out (binlog-do-db, binlog-ignore-db)");
    }
    let table = table::describe(&mut snapshot.meta, source, config, name).await?;
    let Some(key) = table.chunk_key.as_ref().filter(|key| key.is_row_identity()) else {
        return reason("it is not cut by a primary or a unique key without NULL");
    };
    if parts.iter().any(|part| !part.cut.is_of(key)) {
        return reason("it is cut by another key now");
    }
    let Ok(definition) = Definition::from_create(&table.create, SqlMode::default()) else {
        return reason("its definition is not understood");
    };
    if definition.hidden_period || definition.row_end().is_some() {
        return reason("it is system versioned");
    }
    let engine = definition.engine.as_deref().unwrap_or_default();
    if !["InnoDB", "ROCKSDB", "TokuDB"].iter().any(|known| known.eq_ignore_ascii_case(engine)) {
        return Ok(Some(format!("its engine {engine} is not known to have snapshots")));
    }
    if let Some(parent) = definition.foreign_keys.iter().find(|key| acts(key)).map(|key| &key.parent) {
        let parent = TableName::new(parent.schema.as_deref().unwrap_or(&name.schema), parent.table.as_str());
        return Ok(Some(format!(
            "a foreign key changes its rows with those of {parent}, which no binlog tells"
        )));
    }
    Ok(None)
}

/// Whether a foreign key changes rows of its own table.
fn acts(key: &sql::ddl::ForeignKey) -> bool {
    let acts = |event| matches!(key.action(event), Some("CASCADE" | "SET NULL" | "SET DEFAULT"));
    acts("DELETE") || acts("UPDATE")
}

/// Tables whose rows change others of the dump by foreign keys: what safe mode deletes and writes again at the target would take the
/// newer rows of those along.
async fn parents(snapshot: &mut Snapshot, left: &[TableName]) -> Result<Vec<(TableName, String)>> {
    let mut refused = Vec::new();
    if left.is_empty() {
        return Ok(refused);
    }
    let tables: Vec<TableName> = snapshot.listing.tables().cloned().collect();
    for child in &tables {
        let sql = format!("SHOW CREATE TABLE {child}");
        let answer =
            ask(&mut snapshot.meta, &sql).await.doing(|| format!("read the definition of table {child}"))?;
        let create = answer.bytes(0, 1).unwrap_or_default();
        if memchr::memmem::find(create, b"REFERENCES").is_none() {
            continue;
        }
        let Ok(definition) = Definition::from_create(create, SqlMode::default()) else {
            let reason = format!("the foreign keys of {child} are not understood");
            return Ok(left.iter().map(|name| (name.clone(), reason.clone())).collect());
        };
        for key in definition.foreign_keys.iter().filter(|key| acts(key)) {
            let schema = key.parent.schema.as_deref().unwrap_or(&child.schema);
            let is_parent = |table: &&TableName| {
                table.schema.eq_ignore_ascii_case(schema)
                    && table.table.eq_ignore_ascii_case(&key.parent.table)
            };
            if let Some(parent) = left.iter().find(is_parent)
                && refused.iter().all(|(name, _)| name != parent)
            {
                refused
                    .push((parent.clone(), format!("a foreign key changes rows of {child} with its rows")));
            }
        }
    }
    Ok(refused)
}

/// Scans the binlog from the earliest chunk to the new snapshot.
async fn changes(
    source: &Source,
    position: &Block,
    kept: &Kept,
    status: &ServerStatus,
    watched: &mut [Watched],
) -> std::result::Result<(), String> {
    let Some(from) = watched.iter().map(|table| &table.from).min_by(|a, b| a.compare(b)).cloned() else {
        return Ok(());
    };
    let until = location(source.server.flavor, &crate::dump::start_point(position))?;
    if from.compare(&until).is_gt() {
        return Err(format!(
            "the new position {} is before {}, where it was dumped first",
            until.position_text(),
            from.position_text()
        ));
    }
    let (old, new) = (&from.gtid, &until.gtid);
    let contained = match (old, new) {
        (Some(old), Some(new)) => new.contains(old),
        (Some(_), None) => false,
        (None, _) => true,
    };
    if !contained {
        return Err("the server lacks transactions that the unfinished dump has (GTIDs)".into());
    }
    let of_start =
        |part: &&Part| part.done.start.file == from.file && part.done.start.pos == from.pos.to_string();
    let taken_at = kept.parts.values().flatten().filter(of_start).map(|part| part.done.taken_at).min();
    let span = Span {
        flavor: source.server.flavor,
        taken_at: taken_at.unwrap_or(0),
        synced: status.synced,
        from,
        until,
    };
    info!(
        from = %span.from.position_text(),
        until = %span.until.position_text(),
        tables = watched.len(),
        "look in the binlog for changes that forbid to keep finished chunks"
    );
    scan::scan(source.endpoint(), &span, watched).await
}

/// A start point as a place in the binlog.
fn location(flavor: Flavor, start: &StartPoint) -> std::result::Result<Location, String> {
    let pos = start.pos.parse().map_err(|_| format!("{}:{} is no binlog position", start.file, start.pos))?;
    let location = Location::new(start.file.as_str(), pos);
    match start.gtid.is_empty() {
        true => Ok(location),
        false => GtidSet::parse(flavor, &start.gtid)
            .map(|set| location.with_gtid(set))
            .map_err(|error| error.to_string()),
    }
}
