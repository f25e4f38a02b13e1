//! `--verify`: after the import the rows of the files are compared with those of the target, table by table.
//!
//! # How
//! The source files are read once more, in a pass of its own, through the same reader and the same form of statements as the import. Each
//! batch goes into a temporary table on the target that has the columns of the target table and none of its keys, triggers and checks;
//! there the server itself makes of each text the value that it makes of it in the target table: numbers are rounded, blanks padded,
//! character sets converted, times moved, defaults filled in. So both sides are hashed as values of one server and one column type, and
//! only a row that is another one differs. A side is the number of its rows and two sums over SHA-256 of each row
//! ([`mysql::row_hash`]): no order counts, and a row that is there twice counts twice.
//!
//! # What is expected in the target
//! The rows that it held before the import ([`base`]), plus those of the files, minus those that were left out and recorded
//! (`max-error`, `conflict.strategy = "ignore"`). Nothing of a run is kept for it: one that was killed at any time is followed by one that
//! verifies everything.
//!
//! # What is not compared
//! Columns that the target computes; columns that some file does not fill and for which the target makes up values (AUTO_INCREMENT,
//! computed defaults). They are named.

pub mod base;
mod compare;
mod read;
mod shadow;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use common::duration::GoDuration;
use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::row_hash::{Groups, Sums};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::Config;
use crate::downstream::Target;
use crate::downstream::tables;
use crate::error::{Context, Result, fail};
use crate::import::Shared;
use crate::import::batch::Limits;
use crate::import::file::FileTask;
use crate::ledger::Ledger;
use crate::records::{LeftOut, Records};
use crate::run::Prepared;
use compare::Difference;
use read::{Look, Work};
use shadow::Compared;

/// Groups of keys of which sums are kept at first.
const GROUPS: u64 = 256;

/// How often the set of compared columns may shrink; each time by at least one column.
const MOST_ROUNDS: usize = 100;

/// Differences of a table that are named.
const NAMED: usize = 20;

/// What there is to verify.
pub struct Job<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The target.
    pub target: &'a Target,
    /// The dump.
    pub prepared: &'a Prepared,
    /// The task's ledger.
    pub ledger: &'a Ledger,
    /// What the task has left out.
    pub records: &'a Records,
    /// The task's files.
    pub tasks: &'a [Arc<FileTask>],
    /// Files of tables that an earlier run has finished.
    pub earlier: &'a [Arc<FileTask>],
    /// Sizes of batches.
    pub limits: Limits,
    /// Ends it.
    pub token: &'a CancellationToken,
}

/// A table on its way.
struct Table {
    compared: Arc<Compared>,
    files: Vec<Arc<FileTask>>,
    base: Option<base::Base>,
    /// An earlier run has finished it.
    is_earlier: bool,
    left_out: Arc<LeftOut>,
    read: Groups,
    held: Groups,
}

/// Compares everything. All of it can be done again.
///
/// # Errors
/// Tables that differ; what can't be compared; the server's and the storage's.
pub async fn run(job: &Job<'_>) -> Result<()> {
    let begun = Instant::now();
    info!("verify start");
    common::failpoint::hit("verify-begins");
    let mut tables = tables_of(job).await?;
    let shared = Arc::new(shared(job));
    for round in 0.. {
        let again = sums(&shared, job, &mut tables).await?;
        if !again {
            break;
        }
        if round == MOST_ROUNDS {
            return Err(fail(codes::UNKNOWN, "verify: the columns to compare never settle"));
        }
    }
    let mut differing = Vec::new();
    let mut rows = 0;
    for table in tables.values() {
        let (read, held) = (total(&table.read), total(&table.held));
        let base = table.base.as_ref().map_or_else(Sums::default, |base| base.sums);
        rows += read.rows;
        if read + base == held {
            info!(table = %table.compared.name(), rows = read.rows, before = base.rows, "verified");
            continue;
        }
        differing.push((table, read, held, base));
    }
    let took = GoDuration::from(begun.elapsed());
    if differing.is_empty() {
        info!(takeTime = %took, tables = tables.len(), rows, "verify completed");
        common::out::println(&format!(
            "verified: {} tables hold the {rows} rows of their files, each row as it is there",
            tables.len()
        ));
        return Ok(());
    }
    let mut short = Vec::new();
    for (table, read, held, base) in &differing {
        let found = details(&shared, job, table).await?;
        say(job.config, table, &found);
        short.push(summary(table, *read, *held, *base));
    }
    info!(takeTime = %took, differing = differing.len(), "verify failed");
    Err(fail(codes::CHECKSUM_MISMATCH, format!("verification failed: {}", short.join("; "))))
}

fn summary(table: &Table, read: Sums, held: Sums, base: Sums) -> String {
    let mut text = format!("{} holds {} rows, its files {}", table.compared.name(), held.rows, read.rows);
    if base.rows > 0 {
        text.push_str(&format!(" and {} were there before", base.rows));
    }
    if read.rows + base.rows == held.rows {
        text.push_str(", and some are not the same");
    }
    if table.base.is_none() && held.rows > read.rows {
        text.push_str(if table.is_earlier {
            " (it was imported by an earlier run: rows that came from elsewhere count as differences)"
        } else {
            " (the task was begun without --verify: rows that were there before count as differences)"
        });
    }
    text
}

/// Says what differs, by key.
fn say(config: &Config, table: &Table, found: &[Difference]) {
    let name = table.compared.name();
    for difference in found.iter().take(NAMED) {
        let text = difference.text(config.redact);
        error!(table = %name, "{text}");
        common::out::println(&format!("{name}: {text}"));
    }
    if found.len() > NAMED {
        common::out::println(&format!("{name}: and {} more that were found", found.len() - NAMED));
    }
}

fn total(groups: &Groups) -> Sums {
    groups.values().copied().fold(Sums::default(), |sum, one| sum + one)
}

/// A state for statements that bring rows into the temporary table: nothing may be left out or recorded there.
fn shared(job: &Job<'_>) -> Shared {
    let files = job.tasks.iter().chain(job.earlier).map(|task| (&task.table.name, task.file.size));
    Shared::for_verify(
        job.config,
        (job.target, job.ledger),
        &job.prepared.storage,
        job.limits,
        files,
        job.token,
    )
}

/// Finds the tables and how each is compared.
async fn tables_of(job: &Job<'_>) -> Result<BTreeMap<TableName, Table>> {
    let mut found: BTreeMap<TableName, (Vec<Arc<FileTask>>, bool)> = BTreeMap::new();
    for (tasks, is_earlier) in [(job.tasks, false), (job.earlier, true)] {
        for task in tasks {
            let entry = found.entry(task.record.target.clone()).or_insert((Vec::new(), is_earlier));
            entry.0.push(Arc::clone(task));
        }
    }
    let doing = || "connect to the target".to_owned();
    let mut conn = job.target.another().await.context(codes::DB_CONNECT, doing)?;
    let bases = base::read(&mut conn, job.config, job.ledger).await?;
    let wanted: BTreeSet<&TableName> = found.keys().collect();
    let infos = tables::load(&mut conn, &wanted).await?;
    let mut tables = BTreeMap::new();
    for (name, (files, is_earlier)) in found {
        let Some(info) = infos.get(&name) else {
            return Err(fail(
                codes::CHECKSUM_MISMATCH,
                format!("verification failed: table {name} is not in the target any more"),
            ));
        };
        if info.keeps_nothing() {
            remark(&format!("{name}: its engine keeps no rows, it is not verified"));
            continue;
        }
        if is_earlier && job.records.leaves_out() {
            remark(&format!(
                "{name}: an earlier run imported it, and which rows that one left out is not known here: it is not verified"
            ));
            continue;
        }
        // That of an earlier task is about the rows that this one brought in.
        let base = bases.get(&name).filter(|base| is_earlier || base.task == job.ledger.task()).cloned();
        let described = shadow::describe(&mut conn, info).await?;
        let left_out = match &base {
            Some(base) => base.left_out.clone(),
            None => described.unfilled(&files),
        };
        let rows =
            if is_earlier { LeftOut::default() } else { job.records.left_out(&mut conn, &name).await? };
        let compared = Arc::new(described.without(left_out));
        let table = Table {
            compared,
            files,
            base,
            is_earlier,
            left_out: Arc::new(rows),
            read: Groups::new(),
            held: Groups::new(),
        };
        tables.insert(name, table);
    }
    conn.close().await;
    Ok(tables)
}

fn remark(text: &str) {
    info!("{text}");
    common::out::println(text);
}

/// Reads tables that have no sums yet. `true`: some compare fewer columns now and have to be read again.
async fn sums(shared: &Arc<Shared>, job: &Job<'_>, tables: &mut BTreeMap<TableName, Table>) -> Result<bool> {
    let look = Arc::new(Look::Sums { groups: GROUPS });
    let todo: Vec<&Table> = tables.values().filter(|table| table.held.is_empty()).collect();
    let mut work = Vec::new();
    for table in todo {
        work.extend(work_of(table, &look));
    }
    let seen = read::all(shared, job.config, work).await?;
    let mut again = false;
    for (name, mut seen) in seen {
        let Some(table) = tables.get_mut(&name) else { continue };
        if seen.unfilled.is_empty() {
            (table.read, table.held) = (std::mem::take(&mut seen.read), std::mem::take(&mut seen.held));
            // An empty table has no groups; it has been looked at all the same.
            table.held.entry(0).or_default();
            for (column, why) in table.compared.left_out() {
                remark(&format!(
                    "{name}: column `{column}` is not compared: not every row of the files fills it, and {why}"
                ));
            }
            continue;
        }
        if table.base.as_ref().is_some_and(|base| base.sums.rows > 0) {
            return Err(fail(
                codes::CHECKSUM_MISMATCH,
                format!(
                    "verification of {name} can't be exact: it held rows before the import, and files turn out not to fill {}, for which the \
                     target makes up values",
                    seen.unfilled.iter().cloned().collect::<Vec<_>>().join(", ")
                ),
            ));
        }
        let mut left_out = table.compared.left_out_names();
        left_out.append(&mut seen.unfilled);
        table.compared = Arc::new(table.compared.without(left_out));
        again = true;
    }
    Ok(again)
}

fn work_of(table: &Table, look: &Arc<Look>) -> Vec<Work> {
    let of = |file: Option<&Arc<FileTask>>| Work {
        table: Arc::clone(&table.compared),
        file: file.cloned(),
        left_out: Arc::clone(&table.left_out),
        look: Arc::clone(look),
    };
    table.files.iter().map(|file| of(Some(file))).chain(std::iter::once(of(None))).collect()
}

/// Which rows of a table differ.
async fn details(shared: &Arc<Shared>, job: &Job<'_>, table: &Table) -> Result<Vec<Difference>> {
    let name = table.compared.name();
    let (mut groups, mut read, mut held) = (GROUPS, table.read.clone(), table.held.clone());
    // Rows that were there before cannot be told from others; only what is missing can.
    let before = table.base.as_ref().map_or(0, |base| base.sums.rows);
    let mut wanted = compare::differing(&read, &held, before);
    if wanted.is_empty() {
        groups = compare::MOST_GROUPS;
        let look = Arc::new(Look::Sums { groups });
        let seen =
            read::all(shared, job.config, work_of(table, &look)).await?.remove(name).unwrap_or_default();
        (read, held) = (seen.read, seen.held);
        wanted = compare::differing(&read, &held, before);
    }
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let look = Arc::new(Look::Rows { groups, wanted });
    let seen = read::all(shared, job.config, work_of(table, &look)).await?.remove(name).unwrap_or_default();
    Ok(compare::judge(seen.copies.into_values(), before > 0))
}
