//! Progress as JSON, in the form of the real tool.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{Loading, Stage};
use crate::error::Result;
use crate::import::file::FileTask;
use crate::import::file::resume_at;
use crate::progress::Counters;
use crate::source::form::FileForm;

/// `/progress/task`
pub(super) fn task(stage: Stage, error: Option<&str>, counters: Option<&Counters>) -> Value {
    let mut tables = Map::new();
    for (name, table) in counters.into_iter().flat_map(Counters::tables) {
        let failed = error.filter(|_| table.stage() == Stage::Running);
        let stage = if failed.is_some() { Stage::Done } else { table.stage() };
        let mut entry = json!({ "w": table.written(), "z": table.total(), "s": stage as u8 });
        if let (Some(error), Some(entry)) = (failed, entry.as_object_mut()) {
            entry.insert("m".into(), json!(error));
        }
        tables.insert(name.quoted(), entry);
    }
    let mut out = json!({ "t": tables, "s": stage as u8 });
    if let (Some(error), Some(out)) = (error, out.as_object_mut()) {
        out.insert("m".into(), json!(error));
    }
    out
}

/// The files of a target table, by its quoted name.
pub(super) fn files_of(files: &[Arc<FileTask>], table: &str) -> Vec<Arc<FileTask>> {
    files.iter().filter(|file| file.table.name.quoted() == table).cloned().collect()
}

/// Status of a checkpoint, as the real tool numbers them: loaded, and analysis skipped, which is its last.
const LOADED: u8 = 30;
const FINISHED: u8 = 200;

/// `/progress/table`: the ledger as the real tool's tree of checkpoints; each piece of a file is a chunk.
pub(super) async fn table(loading: &Loading, files: &[Arc<FileTask>]) -> Result<Value> {
    use crate::error::Context;
    use common::error::lightning_codes as codes;
    let doing = || "read the ledger for a request".to_owned();
    let mut conn = loading.target.another().await.context(codes::DB_CONNECT, doing)?;
    let mut chunks = Vec::new();
    let mut all_done = true;
    let (mut size, mut rows) = (0, 0);
    for file in files {
        let state =
            loading.ledger.state(&mut conn, file.id()).await.context(codes::READ_CHECKPOINT, doing)?;
        all_done &= !state.pieces.is_empty();
        for piece in &state.pieces {
            let done: Vec<_> = state
                .done
                .iter()
                .filter(|done| done.begin >= piece.begin && done.begin < piece.end)
                .collect();
            let (piece_bytes, piece_rows) = done
                .iter()
                .fold((0, 0), |(bytes, rows), done| (bytes + done.end - done.begin, rows + done.rows));
            let at = resume_at(file, piece, &state.done)?.map(|(at, _)| at);
            all_done &= at.is_none();
            size += piece_bytes;
            rows += piece_rows;
            // The real tool's end of a packed file, which does not know its length either.
            let end = if piece.end == u64::MAX { 10 << 40 } else { piece.end };
            let (kind, compression) = numbers(&file.file.form);
            chunks.push(json!({
                "Key": { "Path": file.path(), "Offset": piece.begin },
                "FileMeta": {
                    "Path": file.path(), "Type": kind, "Compression": compression, "SortKey": file.file.key,
                    "FileSize": file.file.size, "ExtendData": { "Columns": null, "Values": null },
                    "RealSize": file.file.size, "Rows": 0
                },
                "ColumnPermutation": [],
                "Chunk": {
                    "Offset": at.unwrap_or(end), "EndOffset": end, "RealOffset": 0, "PrevRowIDMax": piece_rows,
                    "RowIDMax": 0, "Columns": null
                },
                "Checksum": { "checksum": 0, "size": piece_bytes, "kvs": piece_rows },
                "Timestamp": file.record.modified / 1_000_000_000
            }));
        }
    }
    conn.close().await;
    let status = if all_done { FINISHED } else { LOADED };
    Ok(json!({
        "Status": status,
        "AllocBase": 0,
        "Engines": {
            "-1": { "Status": status, "Chunks": [] },
            "0": { "Status": status, "Chunks": chunks }
        },
        "TableID": 0,
        "TableInfo": null,
        "Checksum": { "checksum": 0, "size": size, "kvs": rows }
    }))
}

/// Type and compression in the real tool's numbers.
fn numbers(form: &FileForm) -> (u8, u8) {
    (form.number(), form.packing.number())
}
