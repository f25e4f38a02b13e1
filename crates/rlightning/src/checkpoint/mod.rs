//! Checkpoints in the real tool's form, beside our ledger: written when a run stops in an orderly way, so that a real Lightning can go on,
//! and taken over from one that has stopped.
//!
//! # Invariants
//! 1. A checkpoint of ours is there only while no run of ours is at work: it is written in a transaction that waits for the batches that are
//!    open and notes in the ledger that it was written, and taken back before the next run loads anything.
//! 2. Where the ledger notes one that is gone or was gone on with, rows may be in the target that the ledger does not know: an error.
//! 3. A checkpoint of another task of ours is never taken for one of a real tool: its rows are in that task's ledger.
//! 4. The rows of a real tool's checkpoint are taken for those in the target only if the table holds as many. They and the note of it get
//!    into the ledger in one transaction.

pub mod ctl;
mod export;
mod pause;
mod rows;
mod takeover;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::error::lightning_codes as codes;
use mysql::Conn;
use prost::Message;
use tracing::info;

use crate::config::Config;
use crate::error::{Context, Result, fail};
use crate::ledger::Ledger;

pub use export::write;
pub use pause::Resting;
pub use takeover::take_over;

/// Stands in the address of an importer, which nothing uses any more: the checkpoint is ours.
const OURS: &str = "rlightning";

/// Where the ledger notes that a checkpoint was written, and which task of a real tool was taken over.
pub(crate) const WRITTEN: &str = "checkpoint.written";
const TAKEN_OVER: &str = "checkpoint.taken-over";

/// Loaded, in the real tool's numbers, and done.
const LOADED: u32 = 30;
const DONE: u32 = 210;
/// Up to this one a state tells of a failure.
const FAILED: u32 = 25;

/// The end that the real tool gives to files whose length is not known.
const UNKNOWN_END: i64 = 10 << 40;

/// Where checkpoints are, as `checkpoint.driver` and `dsn` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A file.
    File(PathBuf),
    /// Tables in this schema of the target.
    Tables(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::File(path) => write!(f, "file '{}'", path.display()),
            Place::Tables(schema) => write!(f, "schema `{schema}`"),
        }
    }
}

/// Everything; the numbers are those of the file's form.
#[derive(Clone, PartialEq, Message)]
pub struct Checkpoint {
    /// Target tables, quoted.
    #[prost(btree_map = "string, message", tag = "1")]
    pub tables: BTreeMap<String, TableState>,
    /// Whose they are.
    #[prost(message, optional, tag = "2")]
    pub task: Option<TaskState>,
}

/// A run and what it was told.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs)]
pub struct TaskState {
    #[prost(int64, tag = "1")]
    pub task_id: i64,
    #[prost(string, tag = "2")]
    pub source_dir: String,
    #[prost(string, tag = "3")]
    pub backend: String,
    #[prost(string, tag = "4")]
    pub importer_addr: String,
    #[prost(string, tag = "5")]
    pub tidb_host: String,
    #[prost(int32, tag = "6")]
    pub tidb_port: i32,
    #[prost(string, tag = "7")]
    pub pd_addr: String,
    #[prost(string, tag = "8")]
    pub sorted_kv_dir: String,
    #[prost(string, tag = "9")]
    pub lightning_ver: String,
}

/// A target table.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs)]
pub struct TableState {
    #[prost(bytes = "vec", tag = "1")]
    pub hash: Vec<u8>,
    #[prost(uint32, tag = "3")]
    pub status: u32,
    #[prost(int64, tag = "4")]
    pub alloc_base: i64,
    #[prost(btree_map = "sint32, message", tag = "8")]
    pub engines: BTreeMap<i32, EngineState>,
    #[prost(int64, tag = "9")]
    pub table_id: i64,
    #[prost(uint64, tag = "10")]
    pub kv_bytes: u64,
    #[prost(uint64, tag = "11")]
    pub kv_kvs: u64,
    #[prost(fixed64, tag = "12")]
    pub kv_checksum: u64,
    #[prost(bytes = "vec", tag = "13")]
    pub table_info: Vec<u8>,
}

/// A group of chunks.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs)]
pub struct EngineState {
    #[prost(uint32, tag = "1")]
    pub status: u32,
    /// By path and offset.
    #[prost(btree_map = "string, message", tag = "2")]
    pub chunks: BTreeMap<String, ChunkState>,
}

/// A range of a file.
#[derive(Clone, PartialEq, Message)]
#[allow(missing_docs)]
pub struct ChunkState {
    #[prost(string, tag = "1")]
    pub path: String,
    #[prost(int64, tag = "2")]
    pub offset: i64,
    #[prost(int64, tag = "5")]
    pub end_offset: i64,
    #[prost(int64, tag = "6")]
    pub pos: i64,
    #[prost(int64, tag = "7")]
    pub prev_rowid_max: i64,
    #[prost(int64, tag = "8")]
    pub rowid_max: i64,
    #[prost(uint64, tag = "9")]
    pub kvc_bytes: u64,
    #[prost(uint64, tag = "10")]
    pub kvc_kvs: u64,
    #[prost(fixed64, tag = "11")]
    pub kvc_checksum: u64,
    /// For each column of the target its field in the rows, or -1.
    #[prost(int32, repeated, tag = "12")]
    pub columns: Vec<i32>,
    #[prost(sfixed64, tag = "13")]
    pub timestamp: i64,
    /// 3 is SQL, 4 CSV.
    #[prost(int32, tag = "14")]
    pub kind: i32,
    #[prost(int32, tag = "15")]
    pub compression: i32,
    #[prost(string, tag = "16")]
    pub sort_key: String,
    #[prost(int64, tag = "17")]
    pub file_size: i64,
}

impl Checkpoint {
    fn is_ours(&self) -> bool {
        self.task.as_ref().is_some_and(|task| task.importer_addr == OURS)
    }

    fn task_id(&self) -> i64 {
        self.task.as_ref().map_or(0, |task| task.task_id)
    }
}

/// The checkpoint at a place, if there is one.
///
/// # Errors
/// One that cannot be read.
pub async fn read(conn: &mut Conn, place: &Place) -> Result<Option<Checkpoint>> {
    match place {
        Place::Tables(schema) => rows::read(conn, schema).await,
        Place::File(path) => {
            let bytes = match std::fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(error) => {
                    return Err(error).context(codes::READ_CHECKPOINT, || format!("read {place}"));
                }
            };
            let found = Checkpoint::decode(&bytes[..]).context(codes::INVALID_CHECKPOINT, || {
                format!("the checkpoint in {place} is damaged: remove it if nothing of it is in the target")
            })?;
            Ok(Some(found).filter(|found| found.task.is_some() || !found.tables.is_empty()))
        }
    }
}

/// Writes or, with `None`, removes the checkpoint. Tables are changed in the transaction that is open.
pub(crate) async fn put(conn: &mut Conn, place: &Place, checkpoint: Option<&Checkpoint>) -> Result<()> {
    let doing = || format!("write the checkpoint in {place}");
    match (place, checkpoint) {
        (Place::Tables(schema), checkpoint) => {
            rows::replace(conn, schema, checkpoint).await.context(codes::UPDATE_CHECKPOINT, doing)
        }
        (Place::File(path), Some(checkpoint)) => {
            common::crashsafe::write_atomic(path, &checkpoint.encode_to_vec())
                .context(codes::UPDATE_CHECKPOINT, doing)
        }
        (Place::File(path), None) => match std::fs::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context(codes::CLEAN_CHECKPOINT, doing)
            }
            _ => Ok(()),
        },
    }
}

/// Takes the checkpoint that the last run wrote back, before anything is loaded. The checkpoint of a real tool that is to be taken over.
///
/// # Errors
/// It is gone, or a real tool has gone on with it.
pub async fn reclaim(config: &Config, conn: &mut Conn, ledger: &Ledger) -> Result<Option<Checkpoint>> {
    let written = ledger.noted(conn, WRITTEN).await?;
    let Some(place) = &config.checkpoint_place else {
        return match written {
            None => Ok(None),
            Some(written) => Err(fail(
                codes::INVALID_CHECKPOINT,
                format!(
                    "the last run wrote its state as a checkpoint to {written}, of which this configuration does not tell: a tidb-lightning may \
                     have brought more rows into the target. Set `checkpoint.driver` as it was, or, if you know that nothing was imported \
                     meanwhile, run `rlightning ctl -checkpoint-error-ignore=all` with this configuration"
                ),
            )),
        };
    };
    let found = read(conn, place).await?;
    let own = i64::try_from(ledger.task()).ok();
    let is_own = |found: &Checkpoint| found.is_ours() && Some(found.task_id()) == own;
    let is_of_another = |found: &Checkpoint| {
        let dir = found.task.as_ref().map(|task| task.source_dir.as_str());
        // Without `checkpoint.enable` nothing that is unfinished counts.
        found.is_ours() && (!config.checkpoint || dir != Some(export::source_dir(config).as_str()))
    };
    match &found {
        Some(found) if is_own(found) => {}
        _ if written.is_some() => {
            return Err(fail(
                codes::INVALID_CHECKPOINT,
                format!(
                    "the last run wrote its state as a checkpoint to {}, and it is {}: a tidb-lightning may have brought more rows into the \
                     target, which the ledger does not know. Go on with tidb-lightning, or empty the tables and run {}, or, if you know \
                     that nothing was imported meanwhile, `rlightning ctl -checkpoint-error-ignore=all` with this configuration",
                    written.unwrap_or_default(),
                    if found.is_some() { "another one now" } else { "gone" },
                    config.advice.remove_all()
                ),
            ));
        }
        None => return Ok(None),
        // Another task of ours has stopped, and this one has nothing to do with it.
        Some(found) if is_of_another(found) => return Ok(None),
        Some(found) if found.is_ours() => {
            return Err(fail(
                codes::INVALID_CHECKPOINT,
                format!(
                    "{place} holds the checkpoint of another task of rlightning (number {}, this is {}) with the same source folder, as one with \
                     other routes: rows of it may be in the target. End that task with the routes that it had, or give this one another \
                     place (`checkpoint.schema` or `checkpoint.dsn`), or, if its rows are not in the tables any more, run {} (which \
                     forgets all tasks and removes the checkpoint), then import again",
                    found.task_id(),
                    ledger.task(),
                    config.advice.remove_all()
                ),
            ));
        }
        Some(found) => {
            let taken = ledger.noted(conn, TAKEN_OVER).await?;
            if taken != Some(found.task_id().to_string()) {
                return Ok(Some(found.clone()));
            }
        }
    }
    // Ours, or one that was taken over before the last run was killed.
    let doing = || "write the ledger".to_owned();
    if let Place::Tables(_) = place {
        conn.exec("START TRANSACTION").await.context(codes::UPDATE_CHECKPOINT, doing)?;
        ledger.note(conn, WRITTEN, None).await.context(codes::UPDATE_CHECKPOINT, doing)?;
        put(conn, place, None).await?;
        conn.exec("COMMIT").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    } else {
        // In this order: a file without a note is taken back by the next run, a note without a file is an error.
        ledger.note(conn, WRITTEN, None).await.context(codes::UPDATE_CHECKPOINT, doing)?;
        put(conn, place, None).await?;
    }
    info!(%place, "the checkpoint of the last run is taken back");
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_real_tools_file_is_read() {
        let bytes = include_bytes!("../../tests/golden/checkpoint-file-killed.pb");
        let found = Checkpoint::decode(&bytes[..]).expect("a checkpoint");
        let task = found.task.as_ref().expect("a task");
        assert_eq!((task.source_dir.as_str(), task.backend.as_str()), ("file:///data/dump/aaa", "tidb"));
        assert_eq!((task.tidb_port, task.lightning_ver.as_str()), (14000, "nightly-dirty"));
        let table = &found.tables["`k`.`t`"];
        assert_eq!(table.status, LOADED);
        assert_eq!(table.engines.keys().copied().collect::<Vec<_>>(), [-1, 0]);
        let chunk = &table.engines[&0].chunks["k.t.000000000.sql:0"];
        assert_eq!((chunk.pos, chunk.kvc_kvs, chunk.file_size), (7_014_101, 113_057, 9_342_340));
        assert_eq!(
            (chunk.columns.as_slice(), chunk.kind, chunk.sort_key.as_str()),
            (&[0, 1][..], 3, "000000000")
        );
        // Nothing of it is lost.
        assert_eq!(Checkpoint::decode(&found.encode_to_vec()[..]).expect("ours"), found);
        assert!(Checkpoint::decode(&bytes[..300]).is_err());
    }
}
