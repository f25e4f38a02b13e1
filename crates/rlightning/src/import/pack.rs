//! The reading side of a piece: its rows become batches on a thread of their own.

use std::sync::Arc;

use common::error::lightning_codes as codes;
use tokio::sync::mpsc;

use super::Shared;
use super::batch::{Batch, Packer, ShapeMaker, Start};
use super::file::OpenFile;
use super::shape::{Frame, Shape};
use crate::config::OnDuplicate;
use crate::error::{Context, Result, fail};
use crate::ledger::Piece;
use crate::source::rows::{FileReader, Part};

/// Reads a piece and hands its batches on; ends early when nobody takes them.
pub(crate) fn pack(
    shared: &Shared,
    file: &Arc<OpenFile>,
    piece: Piece,
    (begin, head_at): (u64, Option<u64>),
    batches: &mpsc::Sender<Batch>,
) -> Result<()> {
    let task = &file.task;
    let doing = || format!("file '{}'", task.path());
    let limit = shared.limits.packet_limit;
    let form = &task.file.form;
    let head = head_at
        .map(|at| {
            if let Some(footer) = &file.footer {
                return Ok(footer.head());
            }
            FileReader::head(Arc::clone(&file.reader), form, file.mode, at, limit)
                .context(codes::CHECK_DATA_SOURCE, doing)?
                .ok_or_else(|| {
                    fail(
                        codes::INVALID_CHECKPOINT,
                        format!(
                            "file '{}': the ledger says that an INSERT begins at byte {at}, but none does",
                            task.path()
                        ),
                    )
                })
        })
        .transpose()?;
    let known_end = piece.end != u64::MAX;
    let last = !known_end || piece.end == task.file.size;
    let part = Part { begin, head_at, end: known_end.then_some(piece.end), last };
    let opened = file.rows(part, limit)?;
    let start = Start { begin, end: piece.end, head };
    let mut packer = Packer::new(
        opened,
        task.path().into(),
        file.prologue.clone(),
        file.mode,
        (shared.limits, Arc::clone(&shared.pool)),
        shape_maker(shared, file),
        &start,
    )?;
    while let Some(batch) = packer.next_batch()? {
        if batches.blocking_send(batch).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Makes shapes for the heads of a file and checks each column list once.
fn shape_maker(shared: &Shared, file: &Arc<OpenFile>) -> Arc<ShapeMaker> {
    let file = Arc::clone(file);
    // Rows that are recorded have to be refused.
    let on_duplicate = if shared.records.conflicts { OnDuplicate::Error } else { shared.on_duplicate };
    let quoted_nulls = Arc::clone(&shared.quoted_nulls);
    let misreads_doubles = shared.target.misreads_doubles();
    Arc::new(move |head| {
        let task = &file.task;
        let parquet = file.footer.as_ref().map(|footer| &footer.columns);
        let frame = Frame {
            table: &task.table,
            on_duplicate,
            quoted_nulls: &quoted_nulls,
            misreads_doubles,
            parquet,
        };
        let shape = Shape::new(
            &frame,
            &task.file,
            head.columns.as_deref(),
            task.columns.as_ref().map(|names| names.as_slice()),
        )?;
        if let Some(listed) = &head.columns {
            let found = crate::downstream::columns::complaints(&task.table, listed, None, &task.file.ignored);
            if let Some(first) = found.first() {
                return Err(fail(
                    codes::UNKNOWN_COLUMNS,
                    format!("table {}, file '{}': {first}", task.table.name, task.path()),
                ));
            }
        }
        Ok(shape)
    })
}
