//! Tables that hold the rows of this source already: an earlier run has ended well, and a second one must not double them unasked.
//!
//! At its end a task leaves a mark for each table (see [`crate::ledger::Mark`]). A table whose mark tells of the same files is left out if
//! it is the same table and holds rows; if it is empty, it is imported; if it may be another one, only the user can tell.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::Storage;
use mysql::Conn;
use tracing::{info, warn};

use crate::config::Config;
use crate::downstream::tables::{self, TargetInfo};
use crate::error::{Context, Result, fail};
use crate::import::file::{self, FileTask};
use crate::ledger::{self, FileRecord, Ledger, Mark, TaskName};
use crate::run::Prepared;
use crate::source::TargetTable;
use crate::source::rows::checksum;

/// Takes the files of finished tables out of the dump, and says so. Returns these tables as they were. `seen` becomes the
/// task that this run goes on with.
///
/// # Errors
/// A table of which cannot be told whether it holds the rows; files that cannot be read; the server's.
pub async fn leave_out(
    config: &Config,
    prepared: &mut Prepared,
    conn: &mut Conn,
    name: &TaskName,
    seen: &mut Option<u64>,
) -> Result<BTreeMap<TableName, TargetTable>> {
    let mut left_out = BTreeMap::new();
    if !config.checkpoint || !ledger::exists(conn, &config.ledger_schema).await? {
        return Ok(left_out);
    }
    let begun = match ledger::current(conn, &config.ledger_schema, name).await? {
        Some((task, false, tables)) => {
            *seen = Some(task);
            tables
        }
        // Of one that has ended the marks tell, which were there before its end.
        Some((_, true, _)) | None => BTreeSet::new(),
    };
    let marks = ledger::marks(conn, &config.ledger_schema, Some(name)).await?;
    if marks.is_empty() {
        return Ok(left_out);
    }
    let wanted: BTreeSet<&TableName> = marks.iter().map(|mark| &mark.table).collect();
    let targets = tables::load(conn, &wanted).await?;
    let mut unclear = Vec::new();
    for mark in &marks {
        let (Some(table), Some(info)) = (prepared.dump.tables.get(&mark.table), targets.get(&mark.table))
        else {
            continue;
        };
        // What a task has begun, it ends.
        if table.files.is_empty() || begun.contains(&mark.table) || !holds_rows(conn, info).await? {
            continue;
        }
        let same = tokio::task::block_in_place(|| is_same_source(&*prepared.storage, table, mark))?;
        if !same {
            info!(table = %mark.table, "an earlier import of this table had other files; these are imported in addition");
            continue;
        }
        let identity = tables::identity(conn, info).await?;
        if tables::is_other(&mark.identity, &identity) {
            unclear.push(what_to_do(config, mark, &identity));
            continue;
        }
        say(config, mark);
        if let Some(table) = prepared.dump.tables.get_mut(&mark.table) {
            left_out.insert(mark.table.clone(), table.clone());
            table.files.clear();
        }
    }
    if unclear.is_empty() {
        return Ok(left_out);
    }
    Err(fail(codes::PRE_CHECK_FAILED, unclear.join(";\n")))
}

fn say(config: &Config, mark: &Mark) {
    let text = format!(
        "table {} got the {} rows of this source at {} and is left out. To import it again on purpose, empty it first, or run {}, or \
         set -enable-checkpoint=false",
        mark.table,
        mark.rows,
        mark.finished,
        config.advice.remove(&mark.table)
    );
    warn!("{text}");
    common::out::println(&text);
}

fn what_to_do(config: &Config, mark: &Mark, now: &str) -> String {
    format!(
        "the {} rows of this source were imported into {} at {}, and the table was altered or created anew since ({}, now {now}): run {} if \
         they are still in it, or {} to import them (again)",
        mark.rows,
        mark.table,
        mark.finished,
        mark.identity,
        config.advice.accept(&mark.table),
        config.advice.remove(&mark.table)
    )
}

async fn holds_rows(conn: &mut Conn, info: &TargetInfo) -> Result<bool> {
    let query = format!("SELECT 1 AS one FROM {} LIMIT 1", info.name.quoted());
    match conn.query_one(query).await {
        Ok(row) => Ok(row.is_some()),
        // The check of privileges says it better.
        Err(error) if error.class() == mysql::ErrorClass::AccessDenied => Ok(false),
        Err(error) => Err(error).context(codes::DB_CONNECT, || format!("look into table {}", info.name)),
    }
}

/// Whether a table's files are those of the mark. Where only their times differ, their bytes decide. Blocks.
fn is_same_source(storage: &dyn Storage, table: &TargetTable, mark: &Mark) -> Result<bool> {
    let mut records = Vec::new();
    for data in table.files.iter().filter(|data| data.size > 0) {
        records.push(file::record(storage, data, &mark.table)?);
    }
    let (digest, modified) = ledger::digest(&records);
    if digest != mark.digest || modified == mark.modified {
        return Ok(digest == mark.digest);
    }
    let mut sums = BTreeMap::new();
    for data in table.files.iter().filter(|data| data.size > 0) {
        let reader = file::open(storage, &data.path)?;
        let sum = checksum(&reader, &data.form, 0, None)
            .context(codes::STORAGE_UNKNOWN, || format!("read file '{}'", data.path))?;
        sums.insert(data.path.as_str(), sum);
    }
    Ok(ledger::content(&sums) == mark.content)
}

/// The marks of a task whose rows are all in.
///
/// # Errors
/// The server's.
pub async fn marks(
    conn: &mut Conn,
    ledger: &Ledger,
    tasks: &[std::sync::Arc<FileTask>],
) -> Result<Vec<Mark>> {
    let mut by_table: BTreeMap<&TableName, Vec<&FileTask>> = BTreeMap::new();
    for task in tasks {
        by_table.entry(&task.record.target).or_default().push(task);
    }
    if by_table.is_empty() {
        return Ok(Vec::new());
    }
    let doing = || "read the ledger".to_owned();
    let sums = ledger.file_checksums(conn).await.context(codes::READ_CHECKPOINT, doing)?;
    let rows = ledger.rows_by_table(conn).await?;
    // Altered since its rows came in, it is still the table that holds them.
    let identities: BTreeMap<TableName, String> =
        ledger.tables(conn).await?.into_iter().map(|record| (record.table, record.identity)).collect();
    let mut marks = Vec::new();
    for (table, tasks) in by_table {
        let checksums: Option<BTreeMap<&str, u32>> = tasks
            .iter()
            .map(|&task| {
                let covered = sums.get(&task.id())?;
                let sum = if task.file.form.parquet { covered.rows } else { covered.text };
                (!task.is_plain() || covered.length == task.file.size).then_some((task.path(), sum))
            })
            .collect();
        let records: Vec<&FileRecord> = tasks.iter().map(|task| &task.record).collect();
        let (digest, modified) = ledger::digest(records);
        marks.push(Mark {
            table: table.clone(),
            source: String::new(),
            identity: identities.get(table).cloned().unwrap_or_default(),
            digest,
            modified,
            content: checksums.map(|sums| ledger::content(&sums)).unwrap_or_default(),
            rows: rows.get(table).copied().unwrap_or(0),
            finished: String::new(),
        });
    }
    Ok(marks)
}
