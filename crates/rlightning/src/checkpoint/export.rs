//! The ledger as a checkpoint.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::Storage;
use mysql::Conn;
use tracing::info;

use super::{
    Checkpoint, ChunkState, DONE, EngineState, LOADED, OURS, Place, TAKEN_OVER, TableState, TaskState,
    UNKNOWN_END, WRITTEN, put, read, rows,
};
use crate::config::Config;
use crate::downstream::Target;
use crate::error::{Context, Result, fail};
use crate::import::file::{self, FileTask};
use crate::import::single_piece;
use crate::ledger::{self, Ledger};
use crate::source::rows::FileReader;

/// Writes what is in the target as a checkpoint, when all work of this run has ended. `finished` are tables that hold the rows of their
/// files already, so that nobody loads them again.
///
/// # Errors
/// The server's, or the file's. Then there is no checkpoint.
pub async fn write(
    config: &Config,
    target: &Target,
    storage: &dyn Storage,
    ledger: &Ledger,
    tasks: &[Arc<FileTask>],
    finished: &[TableName],
) -> Result<()> {
    let Some(place) = &config.checkpoint_place else { return Ok(()) };
    let doing = || format!("write the checkpoint in {place}");
    let mut conn = target.another().await.context(codes::UPDATE_CHECKPOINT, doing)?;
    let own = i64::try_from(ledger.task()).ok();
    match read(&mut conn, place).await? {
        Some(other) if !(other.is_ours() && Some(other.task_id()) == own) => {
            return Err(fail(
                codes::UPDATE_CHECKPOINT,
                format!("{place} holds the checkpoint of another import (task {})", other.task_id()),
            ));
        }
        // A new one would hide from the next run that somebody may have gone on with the old one.
        None if ledger.noted(&mut conn, WRITTEN).await?.is_some() => {
            return Err(fail(
                codes::UPDATE_CHECKPOINT,
                format!("the one that was written to {place} before is gone"),
            ));
        }
        _ => {}
    }
    let put_off = ledger::deferred(&mut conn, &config.ledger_schema, None).await?;
    if let Some(index) = put_off.iter().find(|index| tasks.iter().any(|task| task.table.name == index.table))
    {
        // A real tool would not know of them.
        return Err(fail(
            codes::UPDATE_CHECKPOINT,
            format!("{} gets its indexes at the end of the import, which only rlightning knows", index.table),
        ));
    }
    if let Place::Tables(schema) = place {
        rows::create(&mut conn, schema).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    }
    conn.exec("START TRANSACTION").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    // Waits for batches whose COMMIT is on its way, so that what is read then is all there will be.
    ledger
        .note(&mut conn, WRITTEN, Some(&place.to_string()))
        .await
        .context(codes::UPDATE_CHECKPOINT, doing)?;
    let version = ledger.noted(&mut conn, super::takeover::VERSION).await?;
    let mut checkpoint = Checkpoint {
        task: Some(task_state(config, ledger, version)),
        tables: tables(config, &mut conn, target, storage, ledger, tasks).await?,
    };
    for table in finished {
        let state = TableState { status: DONE, ..TableState::default() };
        checkpoint.tables.entry(table.quoted()).or_insert(state);
    }
    put(&mut conn, place, Some(&checkpoint)).await?;
    ledger.note(&mut conn, TAKEN_OVER, None).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    conn.exec("COMMIT").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    conn.close().await;
    info!(%place, "the state is written as a checkpoint of TiDB Lightning");
    Ok(())
}

fn task_state(config: &Config, ledger: &Ledger, version: Option<String>) -> TaskState {
    TaskState {
        task_id: i64::try_from(ledger.task()).unwrap_or_default(),
        source_dir: source_dir(config),
        backend: "tidb".into(),
        importer_addr: OURS.into(),
        tidb_host: config.target.host.clone(),
        tidb_port: i32::from(config.target.port),
        pd_addr: config.pd_addr.clone(),
        sorted_kv_dir: config.sorted_kv_dir.clone(),
        lightning_ver: version.unwrap_or_else(|| config.lightning_version.clone()),
    }
}

/// The source as the real tool writes it down: a folder as a URL.
pub(super) fn source_dir(config: &Config) -> String {
    let dir = config.source.dir.as_str();
    let path = dir.strip_prefix("file://").or_else(|| dir.strip_prefix("local://")).unwrap_or(dir);
    if path.contains("://") {
        return common::storage::without_parameters(path).to_owned();
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
    format!("file://{}", absolute.display().to_string().trim_end_matches('/'))
}

async fn tables(
    config: &Config,
    conn: &mut Conn,
    target: &Target,
    storage: &dyn Storage,
    ledger: &Ledger,
    tasks: &[Arc<FileTask>],
) -> Result<BTreeMap<String, TableState>> {
    let mut known: BTreeMap<String, Vec<ledger::Chunk>> = BTreeMap::new();
    for chunk in ledger::chunks(conn, &config.ledger_schema).await? {
        if chunk.task == ledger.task() {
            known.entry(chunk.path.clone()).or_default().push(chunk);
        }
    }
    let mut tables: BTreeMap<String, TableState> = BTreeMap::new();
    let mut last_row: BTreeMap<String, i64> = BTreeMap::new();
    let mut row_ids: BTreeMap<String, bool> = BTreeMap::new();
    for task in tasks {
        let name = task.table.name.quoted();
        if !row_ids.contains_key(&name) {
            row_ids.insert(name.clone(), has_row_id(conn, &name).await?);
        }
        let table = tables.entry(name.clone()).or_insert_with(|| TableState {
            status: LOADED,
            engines: [(-1, EngineState { status: LOADED, ..EngineState::default() })].into(),
            ..TableState::default()
        });
        let engine = table
            .engines
            .entry(0)
            .or_insert_with(|| EngineState { status: LOADED, ..EngineState::default() });
        let single = single_piece(task);
        let untouched = ledger::Chunk {
            task: ledger.task(),
            table: task.table.name.clone(),
            path: task.path().to_owned(),
            size: task.record.size,
            piece: single,
            pos: 0,
            rows: 0,
        };
        let heads = ledger
            .state(conn, task.id())
            .await
            .context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
        for chunk in known.remove(task.path()).unwrap_or_else(|| vec![untouched]) {
            let piece = heads.pieces.iter().find(|piece| piece.begin == chunk.piece.begin);
            let last = heads.done.iter().find(|done| done.end == chunk.pos && chunk.pos > chunk.piece.begin);
            let head_at = last.map_or(piece.and_then(|piece| piece.head_at), |done| done.head_at);
            let begun = chunk.pos > 0;
            let columns = match begun && chunk.pos < chunk.piece.end {
                true => tokio::task::block_in_place(|| columns(target, storage, task, head_at))?,
                false => Vec::new(),
            };
            let columns = match (columns.is_empty(), row_ids.get(&name)) {
                (false, Some(true)) => columns.into_iter().chain([-1]).collect(),
                _ => columns,
            };
            let base = last_row.entry(name.clone()).or_default();
            let state = chunk_state(task, &chunk, columns, base);
            engine.chunks.insert(format!("{}:{}", state.path, state.offset), state);
        }
    }
    Ok(tables)
}

/// Whether TiDB gives rows of the table numbers of their own; then the real tool has a place for them behind the columns.
async fn has_row_id(conn: &mut Conn, table: &str) -> Result<bool> {
    if conn.server().flavor != mysql::Flavor::TiDb {
        return Ok(false);
    }
    asked_for_row_id(conn, table).await
}

async fn asked_for_row_id(conn: &mut Conn, table: &str) -> Result<bool> {
    let doing = || format!("see whether table {table} numbers its rows");
    let rows = conn
        .query(format!("SHOW TABLE {table} NEXT_ROW_ID"))
        .await
        .context(codes::UPDATE_CHECKPOINT, doing)?;
    for row in rows.iter() {
        for at in 0..row.columns().len() {
            if row.str(at).context(codes::UPDATE_CHECKPOINT, doing)?.as_deref() == Some("_TIDB_ROWID") {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

fn chunk_state(task: &FileTask, chunk: &ledger::Chunk, columns: Vec<i32>, last_row: &mut i64) -> ChunkState {
    let number = |value: u64| i64::try_from(value).unwrap_or(UNKNOWN_END);
    let is_csv = task.file.form.csv.is_some();
    let (begin, end) = (number(chunk.piece.begin), number(chunk.piece.end));
    // As many as fit, by the real tool's rule: a byte for each value, and for SQL one more.
    let per_row = task.table.columns.len().max(1) as i64 * if is_csv { 1 } else { 2 };
    let base = *last_row;
    let bytes = if end == UNKNOWN_END { number(chunk.size) } else { end - begin };
    *last_row += (bytes / per_row).max(number(chunk.rows));
    let modified = i64::try_from(task.record.modified / 1_000_000_000).unwrap_or_default();
    ChunkState {
        path: chunk.path.clone(),
        offset: begin,
        end_offset: end,
        pos: number(chunk.pos),
        prev_rowid_max: base + number(chunk.rows),
        rowid_max: *last_row,
        kvc_bytes: chunk.pos - chunk.piece.begin,
        kvc_kvs: chunk.rows,
        kvc_checksum: 0,
        columns,
        timestamp: if modified > 0 { modified } else { now() },
        kind: task.file.form.number().into(),
        compression: task.file.form.packing.number().into(),
        sort_key: task.file.key.clone(),
        file_size: number(chunk.size),
    }
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or_default()
}

/// For each column of the target the field that fills it. Between statements there is none to say: the next one tells it.
fn columns(
    target: &Target,
    storage: &dyn Storage,
    task: &FileTask,
    head_at: Option<u64>,
) -> Result<Vec<i32>> {
    let is_csv = task.file.form.csv.is_some();
    let Some(at) = head_at.or(is_csv.then_some(0)) else { return Ok(Vec::new()) };
    let reader = file::open(storage, task.path())?;
    let prologue = file::prologue(task, &reader, sql::SqlMode::default(), target.packet_limit)?;
    let mode = target.sql_mode(&prologue);
    let head = FileReader::head(reader, &task.file.form, mode, at, target.packet_limit)
        .context(codes::CHECK_DATA_SOURCE, || format!("file '{}'", task.path()))?;
    let listed =
        head.and_then(|head| head.columns).or_else(|| task.columns.as_ref().map(|names| names.to_vec()));
    let names = listed.unwrap_or_else(|| {
        let all = task.table.columns.iter().filter(|column| !is_csv || !column.generated);
        all.map(|column| column.name.clone()).collect()
    });
    let extracted = task.file.extracted.iter().map(|(name, _)| name);
    let fields: Vec<String> = names.iter().chain(extracted).map(|name| name.to_lowercase()).collect();
    let field = |name: &str| {
        let name = name.to_lowercase();
        let found = fields.iter().position(|field| *field == name && !task.file.ignored.contains(field));
        found.and_then(|at| i32::try_from(at).ok()).unwrap_or(-1)
    };
    Ok(task.table.columns.iter().map(|column| field(&column.name)).collect())
}

#[cfg(test)]
mod tests {
    use testkit::{Account, Kind, Options, Server};

    use super::*;

    /// Only TiDB knows the statement: a server that refuses it stands for a TiDB that fails.
    #[tokio::test]
    async fn what_the_server_does_not_say_is_no_answer() {
        let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
        let mut conn = Conn::connect(&server.endpoint(Account::Admin)).await.unwrap();
        let error = asked_for_row_id(&mut conn, "`mysql`.`user`").await.unwrap_err();
        assert!(error.to_string().contains("see whether table `mysql`.`user` numbers its rows"), "{error}");
        assert!(!has_row_id(&mut conn, "`mysql`.`user`").await.unwrap());
    }
}
