//! What a task finds at its start: target tables and source files, compared with what an earlier run wrote down.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::Conn;
use tracing::info;

use crate::advice::Advice;
use crate::config::Config;
use crate::downstream::columns;
use crate::downstream::tables::{self, TargetInfo};
use crate::error::{Context, Result, fail};
use crate::import::file::{self, FileTask, Sameness};
use crate::import::{single_piece, worth_cutting};
use crate::ledger::{FileRecord, Found, Ledger, Piece, TableRecord};
use crate::run::Prepared;
use crate::schema::structure_of;
use crate::source::{DataFile, Dump, TargetTable};

/// Rows of a table that are counted when a task goes on, to see that what was committed is still there.
const PROBED_ROWS: u64 = 1_000_000;

/// A ledger whose tables were dropped, emptied or created anew since tells of rows that are no longer there.
pub async fn check_identities(
    conn: &mut Conn,
    ledger: &Ledger,
    found: Found,
    targets: &BTreeMap<TableName, TargetInfo>,
    dump: &Dump,
    config: &Config,
) -> Result<()> {
    if found == Found::Unfinished {
        let identities: HashMap<TableName, String> =
            ledger.tables(conn).await?.into_iter().map(|record| (record.table, record.identity)).collect();
        for (table, rows) in ledger.rows_by_table(conn).await? {
            if rows == 0 {
                continue;
            }
            let gone = |what: String| {
                Err(fail(
                    codes::INVALID_CHECKPOINT,
                    format!(
                        "the task's ledger says that {rows} rows are in {table}, but {what}: run {} to import it anew (empty it first), or {} \
                         if you know that the rows are there",
                        config.advice.remove(&table),
                        config.advice.accept(&table)
                    ),
                ))
            };
            let Some(info) = targets.get(&table) else {
                return gone("the table is not in the target any more".into());
            };
            let now = tables::identity(conn, info).await?;
            if let Some(before) = identities.get(&table)
                && tables::is_other(before, &now)
            {
                return gone(format!(
                    "the table was dropped, truncated, altered or created anew since ({before}, now {now})"
                ));
            }
            if !info.keeps_nothing() {
                // Duplicates and rows of a replaced key are in the ledger but not in the table.
                let expected = if config.on_duplicate == crate::config::OnDuplicate::Error {
                    rows.min(PROBED_ROWS)
                } else {
                    1
                };
                let held = count_up_to(conn, &table, expected).await?;
                if held < expected {
                    return gone(format!("the table holds {held}: rows were deleted since"));
                }
            }
        }
    }
    let mut records = Vec::new();
    for (name, table) in &dump.tables {
        if let (false, Some(info)) = (table.files.is_empty(), targets.get(name)) {
            records.push(TableRecord { table: name.clone(), identity: tables::identity(conn, info).await? });
        }
    }
    ledger.add_tables(conn, &records).await
}

async fn count_up_to(conn: &mut Conn, table: &TableName, limit: u64) -> Result<u64> {
    let query = format!("SELECT COUNT(*) AS held FROM (SELECT 1 FROM {table} LIMIT {limit}) q");
    let row = conn.query_one(&query).await.context(codes::DB_CONNECT, || format!("count rows of {table}"))?;
    Ok(row.and_then(|row| row.parse("held").ok().flatten()).unwrap_or(0))
}

/// Compares the files with what an earlier run wrote down, writes down new ones, and lists the work: small tables first, as the real
/// tool does.
pub async fn files(
    prepared: &Prepared,
    conn: &mut Conn,
    ledger: &Ledger,
    known: &HashMap<u64, FileRecord>,
    targets: &BTreeMap<TableName, TargetInfo>,
    piece_bytes: u64,
    advice: &Advice,
) -> Result<Vec<Arc<FileTask>>> {
    let dump = &prepared.dump;
    let mut order: Vec<(&TableName, u64)> =
        dump.tables.iter().map(|(name, table)| (name, table.size())).collect();
    order.sort_by_key(|(_, size)| *size);
    let mut tasks = Vec::new();
    let mut new = Vec::new();
    for (name, _) in order {
        let (Some(table), Some(info)) = (dump.tables.get(name), targets.get(name)) else { continue };
        let info = Arc::new(info.clone());
        for data in table.files.iter().filter(|data| data.size > 0) {
            let mut task = task_of(prepared, name, &info, data)?;
            let before = known.get(&task.record.id);
            let piece = (!worth_cutting(&task, piece_bytes)).then(|| single_piece(&task));
            match before {
                None => new.push((task.record.clone(), piece)),
                Some(before) => again(conn, ledger, before, &mut task, piece.as_ref(), advice).await?,
            }
            tasks.push(Arc::new(task));
        }
    }
    let present: HashSet<u64> = tasks.iter().map(|task| task.id()).collect();
    if let Some(gone) = file::missing(known, &present) {
        return Err(fail(
            codes::INVALID_CHECKPOINT,
            format!(
                "file '{}' took part when the task began and is not there any more (or `mydumper.filter` leaves it out now): put it back, or \
                 empty {} alone, run {} and import again",
                gone.path,
                gone.target,
                advice.remove(&gone.target)
            ),
        ));
    }
    ledger.add_files(conn, &new).await?;
    Ok(tasks)
}

/// A file as it is now, of which the ledger knows nothing.
fn task_of(
    prepared: &Prepared,
    target: &TableName,
    info: &Arc<TargetInfo>,
    data: &DataFile,
) -> Result<FileTask> {
    let Prepared { dump, sources, storage } = prepared;
    let manifest = dump.manifests.get(data.folder());
    let zone = manifest.and_then(|manifest| manifest.dump.session.time_zone_to_set());
    Ok(FileTask {
        file: data.clone(),
        record: tokio::task::block_in_place(|| file::record(&**storage, data, target))?,
        table: Arc::clone(info),
        columns: structure_of(sources, dump, data).map(|source| Arc::new(columns::of_source(source))),
        zone: zone.map(str::to_owned),
        resumed: false,
        touched: false,
    })
}

/// The files of tables that an earlier run has finished.
pub async fn earlier(
    prepared: &Prepared,
    conn: &mut Conn,
    left_out: &BTreeMap<TableName, TargetTable>,
) -> Result<Vec<Arc<FileTask>>> {
    let targets = tables::load(conn, &left_out.keys().collect()).await?;
    let mut tasks = Vec::new();
    for (name, table) in left_out {
        let Some(info) = targets.get(name).map(|info| Arc::new(info.clone())) else { continue };
        for data in table.files.iter().filter(|data| data.size > 0) {
            tasks.push(Arc::new(task_of(prepared, name, &info, data)?));
        }
    }
    Ok(tasks)
}

/// A file that an earlier run wrote down. If it is another one now, it is taken for the old one as long as no row of that is in.
async fn again(
    conn: &mut Conn,
    ledger: &Ledger,
    before: &FileRecord,
    task: &mut FileTask,
    piece: Option<&Piece>,
    advice: &Advice,
) -> Result<()> {
    let sameness = file::compare(before, &task.record)?;
    if sameness != Sameness::Same {
        let replaced = ledger
            .replace_file(conn, &task.record, piece)
            .await
            .context(codes::UPDATE_CHECKPOINT, || "write the ledger".into())?;
        if replaced {
            info!(
                path = task.path(),
                "the file is not the one that an earlier run saw; no row of that is in the target, so it is begun anew"
            );
            return Ok(());
        }
    }
    match sameness {
        Sameness::Changed(what) => Err(file::changed(task.path(), &what, &task.record.target, advice)),
        other => {
            task.touched = other == Sameness::Touched;
            task.resumed = true;
            // Batches name what is written down.
            task.record = before.clone();
            Ok(())
        }
    }
}
