//! A real tool's checkpoint becomes the ledger of a new task.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::storage::{Storage, without_parameters};
use mysql::Conn;
use tracing::{info, warn};

use super::ctl::{held, told};
use super::{Checkpoint, ChunkState, LOADED, Place, TAKEN_OVER, UNKNOWN_END, export, put};
use crate::config::Config;
use crate::downstream::Target;
use crate::error::{Context, Error, Result, fail};
use crate::import::file::{self, FileTask};
use crate::ledger::{Done, Ledger, Piece};
use crate::source::rows::{FileReader, Item, Part, WINDOW, checksum};

/// Where the ledger notes the version that the real tool called itself.
pub(super) const VERSION: &str = "checkpoint.lightning-version";

/// Takes it over: the next thing that is loaded is what it lacks.
///
/// # Errors
/// Everything that would make rows double or missing, by name.
pub async fn take_over(
    config: &Config,
    conn: &mut Conn,
    target: &Target,
    storage: &dyn Storage,
    ledger: &Ledger,
    tasks: &mut [Arc<FileTask>],
    found: &Checkpoint,
) -> Result<()> {
    let Some(place) = &config.checkpoint_place else { return Ok(()) };
    compare_tasks(config, place, found)?;
    if !ledger.rows_by_table(conn).await?.is_empty() {
        return refuse(
            config,
            place,
            "the ledger of rlightning knows rows of the same source, too: only one of them can be gone on with",
        );
    }
    let chunks = by_file(found);
    let paths: Vec<&str> = tasks.iter().map(|task| task.path()).collect();
    if let Some(gone) = chunks.keys().find(|path| !paths.contains(&path.as_str())) {
        return refuse(config, place, &format!("it tells of file '{gone}', which does not take part now"));
    }
    let is_silent = |name: &String| {
        found.tables.get(name).is_some_and(|table| table.engines.is_empty() && table.status > LOADED)
    };
    if let Some(name) = tasks.iter().map(|task| task.table.name.quoted()).find(is_silent) {
        return refuse(
            config,
            place,
            &format!("table {name} is done there, and it does not tell of which files"),
        );
    }
    compare_rows(config, conn, place, found).await?;
    let mut all = Vec::new();
    for task in tasks.iter() {
        let Some((table, chunks)) = chunks.get(task.path()) else { continue };
        if *table != task.table.name.quoted() {
            return refuse(config, place, &format!("file '{}' went to {table} there", task.path()));
        }
        let done = tokio::task::block_in_place(|| records(target, storage, task, chunks));
        match done {
            Ok(done) => all.push((task.id(), done)),
            Err(Error::Failed(error)) => return refuse(config, place, error.message()),
            Err(other) => return Err(other),
        }
    }
    let version = found.task.as_ref().map_or("", |task| task.lightning_ver.as_str());
    let doing = || "write the ledger".to_owned();
    conn.exec("START TRANSACTION").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    ledger
        .note(conn, TAKEN_OVER, Some(&found.task_id().to_string()))
        .await
        .context(codes::UPDATE_CHECKPOINT, doing)?;
    ledger.note(conn, VERSION, Some(version)).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    for (file, (pieces, done)) in &all {
        ledger.set_state(conn, *file, pieces, done).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    }
    if let Place::Tables(_) = place {
        put(conn, place, None).await?;
    }
    conn.exec("COMMIT").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    common::failpoint::hit("checkpoint-taken-over");
    put(conn, place, None).await?;
    for task in tasks.iter_mut() {
        *task = Arc::new(FileTask { resumed: true, ..(**task).clone() });
    }
    info!(%place, task = found.task_id(), files = all.len(), "the checkpoint of TiDB Lightning is taken over");
    Ok(())
}

fn refuse<T>(config: &Config, place: &Place, why: &str) -> Result<T> {
    Err(fail(
        codes::INVALID_CHECKPOINT,
        format!(
            "there is a checkpoint of TiDB Lightning in {place}, and taking it over cannot be exact: {why}. End that import with \
             tidb-lightning, or empty its tables and run {} (which removes the checkpoint), then import again",
            config.advice.remove_all()
        ),
    ))
}

fn compare_tasks(config: &Config, place: &Place, found: &Checkpoint) -> Result<()> {
    let Some(task) = &found.task else {
        return refuse(config, place, "it does not say whose it is");
    };
    let now = export::source_dir(config);
    // The real tool's holds the keys of a bucket, if its configuration does.
    let plain = |dir: &str| without_parameters(dir).trim_end_matches('/').to_owned();
    for (key, value, before) in [
        ("tikv-importer.backend", "tidb".to_owned(), task.backend.clone()),
        ("mydumper.data-source-dir", plain(&now), plain(&task.source_dir)),
    ] {
        if value != before {
            return refuse(
                config,
                place,
                &format!("config '{key}' value '{value}' different from checkpoint value '{before}'"),
            );
        }
    }
    if task.tidb_host != config.target.host || task.tidb_port != i32::from(config.target.port) {
        warn!(
            before = format!("{}:{}", task.tidb_host, task.tidb_port),
            now = %config.target,
            "the checkpoint of TiDB Lightning names the target otherwise"
        );
    }
    Ok(())
}

type ByFile = BTreeMap<String, (String, Vec<ChunkState>)>;

/// The chunks of each file in order, and where its rows go.
fn by_file(found: &Checkpoint) -> ByFile {
    let mut files = ByFile::new();
    for (table, state) in &found.tables {
        for chunk in state.engines.values().flat_map(|engine| engine.chunks.values()) {
            let (_, chunks) = files.entry(chunk.path.clone()).or_insert_with(|| (table.clone(), Vec::new()));
            chunks.push(chunk.clone());
            chunks.sort_by_key(|chunk| chunk.offset);
        }
    }
    files
}

/// The real tool writes down how far it is after the rows are in: only as many rows as it tells of prove that it had come to it.
async fn compare_rows(config: &Config, conn: &mut Conn, place: &Place, found: &Checkpoint) -> Result<()> {
    for (name, state) in &found.tables {
        if state.engines.is_empty() {
            continue;
        }
        let (told, held) = (told(state), held(conn, name).await?);
        if held != told {
            return refuse(
                config,
                place,
                &format!(
                    "table {name} holds {held} rows, and the checkpoint tells of {told}: rows were written after it, or were there before"
                ),
            );
        }
    }
    Ok(())
}

/// What the ledger is to know of a file.
fn records(
    target: &Target,
    storage: &dyn Storage,
    task: &FileTask,
    chunks: &[ChunkState],
) -> Result<(Vec<Piece>, Vec<Done>)> {
    let path = task.path();
    let bad = |what: String| fail(codes::INVALID_CHECKPOINT, format!("file '{path}' {what}"));
    let number = |value: i64| u64::try_from(value).unwrap_or(0);
    let reader = file::open(storage, path)?;
    let prologue = file::prologue(task, &reader, sql::SqlMode::default(), target.packet_limit)?;
    let (mode, form) = (target.sql_mode(&prologue), &task.file.form);
    let whole = if task.is_plain() { task.file.size } else { u64::MAX };
    // Where the rows end, and inside which statement, is seen by reading the file up to there.
    let mut wanted: Vec<u64> =
        chunks.iter().flat_map(|chunk| [number(chunk.offset), number(chunk.pos)]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut heads: HashMap<u64, Option<u64>> = HashMap::new();
    let mut file = FileReader::open(Arc::clone(&reader), form, mode, Part::WHOLE, target.packet_limit)
        .context(codes::CHECK_DATA_SOURCE, || format!("file '{path}'"))?;
    let rows = file.footer().map(|footer| footer.rows());
    for at in wanted.into_iter().filter(|at| *at > 0 && *at < whole) {
        while file.offset() < at {
            let far = at - file.offset() > 2 * WINDOW as u64;
            let item = file.next(if far { WINDOW } else { 1 });
            if let Item::Eof = item.context(codes::CHECK_DATA_SOURCE, || format!("file '{path}'"))? {
                break;
            }
        }
        if file.offset() != at {
            return Err(bad(format!("has no end of a row at {}", form.place(at))));
        }
        heads.insert(at, file.head_at());
    }
    let (mut pieces, mut done, mut next) = (Vec::new(), Vec::new(), 0);
    for chunk in chunks {
        if number(chunk.file_size) != task.file.size {
            return Err(bad(format!("has {} bytes, and had {}", task.file.size, chunk.file_size)));
        }
        let (begin, pos) = (number(chunk.offset), number(chunk.pos).max(number(chunk.offset)));
        // The end of a Parquet file is its number of rows there.
        let is_open = chunk.end_offset >= UNKNOWN_END
            || rows.map_or(!task.is_plain(), |rows| number(chunk.end_offset) >= rows);
        let end = if is_open { whole } else { number(chunk.end_offset) };
        if begin != next || end > whole || pos > end {
            return Err(bad(format!("is cut in ranges that do not follow one another, at byte {begin}")));
        }
        next = end;
        let head_of = |at: u64| heads.get(&at).copied().flatten();
        pieces.push(Piece { begin, end, head_at: head_of(begin) });
        if pos > begin {
            let checksum = checksum(&reader, form, begin, Some(pos))
                .context(codes::STORAGE_UNKNOWN, || format!("read file '{path}'"))?
                .into();
            let head_at = if pos < end { head_of(pos) } else { None };
            done.push(Done { begin, end: pos, rows: chunk.kvc_kvs, checksum, head_at });
        } else if chunk.kvc_kvs > 0 {
            return Err(bad(format!("has {} rows in the checkpoint and no bytes", chunk.kvc_kvs)));
        }
    }
    if next != whole {
        return Err(bad(format!("is told of up to byte {next} only")));
    }
    Ok((pieces, done))
}
