//! `--dry-run`: what a dump would do, and what would be in its way. Nothing is locked or written.

use std::collections::BTreeMap;

use common::ident::quote_string;
use common::size::DecimalSize;
use mysql::privileges::{Grants, Need, Privilege};
use mysql::wire::WireConn;
use mysql::{ErrorClass, Flavor};

use crate::config::{Config, Consistency};
use crate::error::{Doing, Result};
use crate::listing::{Listing, ObjectKind};
use crate::preflight;
use crate::source::{Source, ask};

/// Tables that are named one by one.
const LARGEST: usize = 10;

/// What a dump is taken to read in a second for the estimate of its time, without `--rate-limit`.
const ASSUMED_RATE: u64 = 100_000_000;

/// The plan as lines of text.
///
/// # Errors
/// The server's.
pub async fn plan(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    consistency: Consistency,
    listing: &Listing,
) -> Result<Vec<String>> {
    let mut out =
        vec![format!("server: {} {} at {}", source.server.flavor, source.server.text, source.address())];
    out.push(format!(
        "output: {} (nothing is written now)",
        common::storage::without_parameters(&config.output_url)
    ));
    out.push(format!("consistency: {}: {}", consistency.name(), locks(config, consistency)));
    let count = |kind| listing.objects.iter().filter(|object| object.kind == kind).count();
    out.push(format!(
        "objects: {} databases, {} tables, {} views, {} sequences",
        listing.databases.len(),
        count(ObjectKind::Table),
        count(ObjectKind::View),
        count(ObjectKind::Sequence)
    ));
    let bytes = sizes(conn, listing, &mut out).await?;
    let seconds = bytes / config.rate_limit.unwrap_or(ASSUMED_RATE).max(1);
    let rate = DecimalSize(config.rate_limit.unwrap_or(ASSUMED_RATE));
    out.push(format!("time: about {seconds} s at {rate}/s"));
    retention(conn, seconds, &mut out).await?;
    privileges(conn, source, consistency, &mut out).await?;
    Ok(out)
}

fn locks(config: &Config, consistency: Consistency) -> &'static str {
    match (consistency, config.transactional_consistency) {
        (Consistency::Flush, true) => "FLUSH TABLES WITH READ LOCK until all snapshots are open",
        (Consistency::Flush, false) => "FLUSH TABLES WITH READ LOCK to the end of the dump",
        (Consistency::Lock, true) => "LOCK TABLES ... READ on all tables until all snapshots are open",
        (Consistency::Lock, false) => "LOCK TABLES ... READ on all tables to the end of the dump",
        (Consistency::Snapshot, _) => "tidb_snapshot, no lock",
        (Consistency::None | Consistency::Auto, _) => "no lock, tables are of different moments",
    }
}

/// Sizes by database and of the largest tables; gives all bytes.
async fn sizes(conn: &mut WireConn, listing: &Listing, out: &mut Vec<String>) -> Result<u64> {
    let mut by_database: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    let mut tables: Vec<(u64, u64, String)> = Vec::new();
    for database in &listing.databases {
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_ROWS, DATA_LENGTH, ENGINE FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {}",
            quote_string(database)
        );
        let answer = ask(conn, &sql).await.doing(|| format!("read the sizes of the tables of {database}"))?;
        let number =
            |row, column| answer.at(row, column).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        let chosen: Vec<&str> = listing
            .tables()
            .filter(|table| table.schema == *database)
            .map(|table| table.table.as_str())
            .collect();
        for row in 0..answer.len() {
            let name = answer.at(row, 0).unwrap_or_default();
            if !chosen.contains(&name.as_str()) {
                continue;
            }
            let (rows, bytes) = (number(row, 1), number(row, 2));
            let sum = by_database.entry(database).or_default();
            *sum = (sum.0 + rows, sum.1 + bytes);
            let engine = answer.at(row, 3).unwrap_or_default();
            if matches!(engine.as_str(), "MyISAM" | "MEMORY" | "ARIA" | "CSV" | "ARCHIVE") {
                out.push(format!(
                    "warning: {database}.{name} is {engine}: only consistent with --transactional-consistency=false"
                ));
            }
            tables.push((bytes, rows, format!("{database}.{name}")));
        }
    }
    for (database, (rows, bytes)) in &by_database {
        out.push(format!("database {database}: {} of data, about {rows} rows", DecimalSize(*bytes)));
    }
    tables.sort_by(|a, b| b.cmp(a));
    for (bytes, rows, name) in tables.iter().take(LARGEST) {
        out.push(format!("table {name}: {} of data, about {rows} rows", DecimalSize(*bytes)));
    }
    Ok(by_database.values().map(|(_, bytes)| bytes).sum())
}

/// How long binlogs are kept, against the time that the dump takes.
async fn retention(conn: &mut WireConn, seconds: u64, out: &mut Vec<String>) -> Result<()> {
    let mut kept = None;
    for (sql, unit) in
        [("SELECT @@global.binlog_expire_logs_seconds", 1.0), ("SELECT @@global.expire_logs_days", 86_400.0)]
    {
        match ask(conn, sql).await {
            Ok(answer) => {
                let value = answer.at(0, 0).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) * unit;
                kept = Some(kept.unwrap_or(0.0f64).max(value));
            }
            Err(error) if error.code().is_some() => {}
            Err(error) => return Err(error).doing(|| "read how long binlogs are kept".into()),
        }
    }
    match kept.map(|kept| kept as u64) {
        None => out.push("binlogs: how long they are kept is not known".into()),
        Some(0) => out.push("binlogs: kept until somebody purges them".into()),
        Some(kept) => {
            out.push(format!("binlogs: kept for {kept} s"));
            if kept < seconds.saturating_mul(3) {
                out.push(format!(
                    "warning: dump and import may take longer than binlogs are kept ({kept} s): keep them longer, or replication \
                     can't start from the dump's position"
                ));
            }
        }
    }
    Ok(())
}

async fn privileges(
    conn: &mut WireConn,
    source: &Source,
    consistency: Consistency,
    out: &mut Vec<String>,
) -> Result<()> {
    let grants: Grants = preflight::grants(conn, source).await?;
    let mut needs = vec![Need::global(Privilege::Process)];
    match consistency {
        Consistency::Flush => needs.push(Need::global(Privilege::Reload)),
        Consistency::Lock => needs.push(Need::global(Privilege::LockTables)),
        _ => {}
    }
    if consistency == Consistency::None && source.server.flavor != Flavor::TiDb {
        needs.push(Need::global(Privilege::BinlogStatus));
    }
    let missing = mysql::privileges::missing(&grants, &needs);
    if missing.is_empty() {
        out.push("privileges: nothing is missing".into());
    }
    out.extend(missing.iter().map(|missing| {
        let grant = missing.grant_statement.trim_end_matches(';');
        format!("warning: the account lacks {}: {grant}", missing.privilege)
    }));
    // Whether the binlog is on is seen by its position, which preflight has found readable.
    match ask(conn, "SELECT @@global.log_bin").await {
        Ok(answer) if answer.at(0, 0).as_deref() == Some("0") => {
            out.push("warning: the server's binlog is off: the dump will hold no position".into());
        }
        Err(error) if error.class() == ErrorClass::ConnectionLost => {
            return Err(error).doing(|| "look for the binlog".into());
        }
        _ => {}
    }
    Ok(())
}
