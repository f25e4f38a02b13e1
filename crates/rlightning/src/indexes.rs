//! `tikv-importer.add-index-by-sql`: an empty table is loaded without its secondary indexes, and gets them when all rows are in.
//!
//! # States of an index
//! there -> noted (in the ledger, with its definition) -> dropped -> identity of the table noted -> added -> forgotten.
//!
//! # Invariants
//! 1. An index is dropped only after its definition is committed to the ledger, and forgotten there only when the table has it.
//! 2. What is missing is looked up in the target each time, never concluded from what was sent: an ALTER of a dead run may still be at work.
//!    So a read of the table comes first, which waits for it; and an index that was noted and not dropped yet stays noted to the end.
//! 3. DDL is never a part of a batch.
//! 4. Adding an index may change what tells a table from one created later; the identity before it is noted first, so that whoever comes
//!    after a death at any of these steps takes the table for the one that was written to. A table that was created anew meanwhile holds
//!    no rows, which is looked at, too.
//!
//! Unique keys stay, because they find duplicates; so do FULLTEXT and SPATIAL keys, the key of an AUTO_INCREMENT column, and all
//! keys of tables with foreign keys.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use common::duration::GoDuration;
use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use futures::stream::{StreamExt, TryStreamExt};
use mysql::{Conn, ErrorClass, Flavor};
use sql::SqlMode;
use sql::schema::Table;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::downstream::Target;
use crate::downstream::tables::{self, TargetInfo};
use crate::error::{Context, Error, Result, fail};
use crate::ledger::{self, Deferred, Ledger};
use crate::source::Dump;

/// An attempt of this length was no quick failure.
const LONG_ATTEMPT: Duration = Duration::from_secs(60);

/// Forgets indexes that a dead run has added, then (if asked for) drops those of tables that are empty. Whether any table is changed.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn get_ready(
    config: &Config,
    conn: &mut Conn,
    ledger: &Ledger,
    dump: &Dump,
    targets: &BTreeMap<TableName, TargetInfo>,
) -> Result<bool> {
    let schema = &config.ledger_schema;
    let mut changed = false;
    for (table, keys) in by_table(ledger::deferred(conn, schema, None).await?, dump) {
        if !targets.contains_key(&table) {
            continue;
        }
        info!(%table, "indexes were put off; an ALTER that is at work is waited for");
        is_empty(conn, &table).await?;
        changed = true;
        if keys.iter().any(|one| one.before().is_some())
            && missing(conn, &table, &keys).await?.is_empty()
            && let Some(info) = tables::load(conn, &[&table].into()).await?.get(&table)
        {
            settle(conn, schema, info, &table, &keys).await?;
        }
    }
    if !config.defer_indexes {
        return Ok(changed);
    }
    if conn.server().flavor == Flavor::TiDb {
        warn!(
            "tikv-importer.add-index-by-sql is for MySQL and MariaDB, TiDB's indexes are loaded with the rows"
        );
        return Ok(changed);
    }
    let rows = ledger.rows_by_table(conn).await?;
    for (name, table) in &dump.tables {
        let Some(info) = targets.get(name).filter(|info| info.engine.eq_ignore_ascii_case("InnoDB")) else {
            continue;
        };
        let begun = rows.get(name).copied().unwrap_or(0) > 0;
        if !table.files.is_empty() && !begun && is_empty(conn, name).await? {
            changed |= put_off(conn, ledger, info, name).await?;
        }
    }
    Ok(changed)
}

/// Waits for an ALTER of another session.
async fn is_empty(conn: &mut Conn, table: &TableName) -> Result<bool> {
    let row = conn.query_one(format!("SELECT 1 AS one FROM {} LIMIT 1", table.quoted())).await;
    Ok(row.context(codes::DB_CONNECT, || format!("look into table {table}"))?.is_none())
}

/// Whether the table may be changed.
async fn put_off(conn: &mut Conn, ledger: &Ledger, info: &TargetInfo, table: &TableName) -> Result<bool> {
    let doing = || format!("drop the secondary indexes of {table}");
    let row = conn
        .query_one(format!("SHOW CREATE TABLE {}", info.name.quoted()))
        .await
        .context(codes::DROP_INDEX_FAILED, doing)?;
    let create = row.map(|row| row.text(1)).transpose().context(codes::DROP_INDEX_FAILED, doing)?;
    let keys = secondary_keys(&create.unwrap_or_default());
    if keys.is_empty() || is_referenced(conn, info).await? {
        return Ok(false);
    }
    ledger.defer(conn, table, &keys).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    common::failpoint::hit("index-noted");
    let drops: Vec<String> = keys.iter().map(|(key, _)| format!("DROP INDEX {}", quote(key))).collect();
    match conn.exec(format!("ALTER TABLE {} {}", info.name.quoted(), drops.join(", "))).await {
        Ok(_) => {}
        Err(error) if error.class().is_transient() || error.is_connection_gone() => {
            return Err(error).context(codes::DROP_INDEX_FAILED, doing);
        }
        Err(error) => {
            warn!(%table, %error, "the target does not drop its secondary indexes: they stay while it is loaded");
            return Ok(true);
        }
    }
    common::failpoint::hit("index-dropped");
    ledger.defer(conn, table, &keys).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    info!(%table, indexes = keys.len(), "secondary indexes are put off until all rows are in");
    Ok(true)
}

/// Whether a foreign key points to the table.
async fn is_referenced(conn: &mut Conn, info: &TargetInfo) -> Result<bool> {
    let query = format!(
        "SELECT 1 AS one FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE UNIQUE_CONSTRAINT_SCHEMA = {} \
         AND REFERENCED_TABLE_NAME = {} LIMIT 1",
        quote_string(&info.name.schema),
        quote_string(&info.name.table)
    );
    let row = conn.query_one(query).await.context(codes::DB_CONNECT, || "read information_schema".into())?;
    Ok(row.is_some())
}

/// Name and definition of the indexes of a SHOW CREATE TABLE that can be added later.
fn secondary_keys(create: &str) -> Vec<(String, String)> {
    let Ok(table) = Table::from_create(create.as_bytes(), SqlMode::default()) else { return Vec::new() };
    if !table.foreign_keys.is_empty() {
        return Vec::new();
    }
    let counter = table.columns.iter().find(|column| column.auto_increment).map(|column| &column.name);
    let can_wait = |key: &str| {
        table.indexes.iter().any(|index| {
            let first = index.columns().next();
            let counts =
                counter.is_some_and(|name| first.is_some_and(|first| first.eq_ignore_ascii_case(name)));
            index.name == key && !index.unique && !index.primary && !counts
        })
    };
    // The server writes one line for each; FULLTEXT and SPATIAL stand in front of KEY.
    create
        .lines()
        .filter_map(|line| {
            let definition = line.trim().trim_end_matches(',');
            let name = definition.strip_prefix("KEY `")?;
            let end = closing(name)?;
            let key = name.get(..end)?.replace("``", "`");
            can_wait(&key).then(|| (key, definition.to_owned()))
        })
        .collect()
}

/// Where the backquote is that ends a name.
fn closing(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr(b'`', bytes.get(at..)?)?;
        if bytes.get(at + 1) != Some(&b'`') {
            return Some(at);
        }
        at += 2;
    }
}

fn by_table(all: Vec<Deferred>, dump: &Dump) -> BTreeMap<TableName, Vec<Deferred>> {
    let mut found: BTreeMap<TableName, Vec<Deferred>> = BTreeMap::new();
    for one in all.into_iter().filter(|one| dump.tables.contains_key(&one.table)) {
        found.entry(one.table.clone()).or_default().push(one);
    }
    found
}

/// Those that the table does not have.
async fn missing<'k>(conn: &mut Conn, table: &TableName, keys: &'k [Deferred]) -> Result<Vec<&'k Deferred>> {
    let query = format!(
        "SELECT DISTINCT INDEX_NAME AS name FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_string(&table.schema),
        quote_string(&table.table)
    );
    let doing = || format!("read the indexes of {table}");
    let rows = conn.query(query).await.context(codes::ADD_INDEX_FAILED, doing)?;
    let have: BTreeSet<String> = rows
        .iter()
        .filter_map(|row| row.str("name").ok().flatten())
        .map(|name| name.to_lowercase())
        .collect();
    Ok(keys.iter().filter(|one| !have.contains(&one.key.to_lowercase())).collect())
}

async fn settle(
    conn: &mut Conn,
    schema: &str,
    info: &TargetInfo,
    table: &TableName,
    keys: &[Deferred],
) -> Result<()> {
    let now = tables::identity(conn, info).await?;
    ledger::settle(conn, schema, table, keys, &now)
        .await
        .context(codes::UPDATE_CHECKPOINT, || "write the ledger".into())
}

/// A table that is created now has nothing to do with one of its name that is gone.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn forget_gone(config: &Config, conn: &mut Conn, gone: &[&TableName]) -> Result<()> {
    let schema = &config.ledger_schema;
    for one in ledger::deferred(conn, schema, None).await? {
        if gone.contains(&&one.table) {
            info!(table = %one.table, index = one.definition, "was put off, and the table is gone: forgotten");
            ledger::forget_deferred(conn, schema, &one.table)
                .await
                .context(codes::UPDATE_CHECKPOINT, || "write the ledger".into())?;
        }
    }
    Ok(())
}

/// Adds what was put off, when all rows are in.
///
/// # Errors
/// An index that can't be added; the run is cancelled. The next run goes on with it.
pub async fn add(config: &Config, target: &Target, dump: &Dump, token: &CancellationToken) -> Result<()> {
    let doing = || "read the ledger".to_owned();
    let mut conn = target.another().await.context(codes::DB_CONNECT, doing)?;
    let all = by_table(ledger::deferred(&mut conn, &config.ledger_schema, None).await?, dump);
    conn.close().await;
    futures::stream::iter(all.keys().map(|table| add_patiently(config, target, table, token)))
        .buffer_unordered(config.table_concurrency.max(1))
        .try_collect::<()>()
        .await
}

async fn add_patiently(
    config: &Config,
    target: &Target,
    table: &TableName,
    token: &CancellationToken,
) -> Result<()> {
    let begun = Instant::now();
    let mut failing_since = None;
    for tries in 1.. {
        let attempt = Instant::now();
        let (error, again) = tokio::select! {
            result = try_add(config, target, table) => match result {
                Ok(true) => break,
                // An ALTER of a dead run was quicker.
                Ok(false) => (fail(codes::ADD_INDEX_FAILED, "the target has one of that name, but does not list it"), true),
                Err(error) => { let again = error.is_transient(); (error, again) }
            },
            () = token.cancelled() => return Err(Error::Canceled),
        };
        if attempt.elapsed() > LONG_ATTEMPT {
            failing_since = None;
        }
        let since: Instant = *failing_since.get_or_insert(attempt);
        if !again || since.elapsed() >= config.patience.total {
            return Err(fail(
                codes::ADD_INDEX_FAILED,
                format!(
                    "all rows are in {table}, but its secondary indexes are not: {error}; run again to add them (or, if it is not to have \
                     them any more, delete its rows of `{}`.`{}`)",
                    config.ledger_schema,
                    ledger::DEFERRED
                ),
            ));
        }
        info!(%table, %error, tries, "failed, will try again");
        tokio::select! {
            () = tokio::time::sleep(config.patience.wait_jittered(tries)) => {}
            () = token.cancelled() => return Err(Error::Canceled),
        }
    }
    info!(%table, takeTime = %GoDuration::from(begun.elapsed()), "add index completed");
    Ok(())
}

async fn found(conn: &mut Conn, table: &TableName) -> Result<TargetInfo> {
    let info = tables::load(conn, &[table].into()).await?.remove(table);
    info.ok_or_else(|| fail(codes::ADD_INDEX_FAILED, format!("table {table} is not in the target any more")))
}

/// `false`: look again.
async fn try_add(config: &Config, target: &Target, table: &TableName) -> Result<bool> {
    let mut conn = target.another().await.context(codes::DB_CONNECT, || "connect to the target".into())?;
    let result = add_to(&mut conn, &config.ledger_schema, table).await;
    if !conn.is_broken() {
        conn.close().await;
    }
    result
}

async fn add_to(conn: &mut Conn, schema: &str, table: &TableName) -> Result<bool> {
    found(conn, table).await?;
    is_empty(conn, table).await?;
    let mut keys = ledger::deferred(conn, schema, Some(table)).await?;
    let mut info = found(conn, table).await?;
    // Before the look at what is missing: an ALTER that ends in between may change it.
    let identity = tables::identity(conn, &info).await?;
    let wanted: Vec<String> =
        missing(conn, table, &keys).await?.iter().map(|one| format!("ADD {}", one.definition)).collect();
    if !wanted.is_empty() {
        ledger::note_identity(conn, schema, table, &identity)
            .await
            .context(codes::UPDATE_CHECKPOINT, || "write the ledger".into())?;
        keys.iter_mut().for_each(|one| one.identity.clone_from(&identity));
        common::failpoint::hit("index-identity-noted");
        let statement = format!("ALTER TABLE {} {}", info.name.quoted(), wanted.join(", "));
        info!(%table, indexes = wanted.len(), "add index start");
        match conn.exec(&statement).await {
            Ok(_) => {}
            Err(error) if error.class() == ErrorClass::AlreadyExists => return Ok(false),
            Err(error) => {
                let room = if error.class() == ErrorClass::DiskFull {
                    " (make room on the target's disk)"
                } else {
                    ""
                };
                return Err(error).context(codes::ADD_INDEX_FAILED, || format!("{statement}{room}"));
            }
        }
        common::failpoint::hit("index-added");
        info = found(conn, table).await?;
    }
    settle(conn, schema, &info, table, &keys).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_indexes_can_wait() {
        let create = "CREATE TABLE `t` (\n  `id` int NOT NULL AUTO_INCREMENT,\n  `KEY ``a` int DEFAULT NULL,\n  `c` varchar(9) DEFAULT 'KEY `x` (',\n  \
             PRIMARY KEY (`c`),\n  UNIQUE KEY `u` (`KEY ``a`),\n  KEY `id` (`id`,`c`),\n  KEY `b``),x` (`c`(3),`id`) COMMENT 'it''s, (x)',\n  \
             KEY `z` (`KEY ``a`) /*!80000 INVISIBLE */,\n  FULLTEXT KEY `f` (`c`)\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4";
        let found = secondary_keys(create);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["b`),x", "z"]);
        assert_eq!(found[0].1, "KEY `b``),x` (`c`(3),`id`) COMMENT 'it''s, (x)'");
        assert_eq!(found[1].1, "KEY `z` (`KEY ``a`) /*!80000 INVISIBLE */");
        let child = "CREATE TABLE `t` (\n  `a` int,\n  KEY `k` (`a`),\n  CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `p` (`a`)\n)";
        assert_eq!(secondary_keys(child), []);
        assert_eq!(secondary_keys("no table"), []);
    }
}
