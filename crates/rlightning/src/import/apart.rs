//! A statement that the server refuses because of a row: taken apart, so that the row is known and, where that is allowed, left out.
//!
//! A refused statement leaves its transaction as it was before, so the parts are sent in the same one, in order.

use std::sync::Arc;

use common::error::lightning_codes as codes;
use mysql::{Conn, ErrorClass};

use super::Shared;
use super::batch::Statement;
use super::blank::{self, Blanks};
use super::file::OpenFile;
use super::place::{offset_of_row, row_at};
use super::shape::single_rows;
use super::worker::{Trouble, check_outcome};
use crate::config::OnDuplicate;
use crate::error::fail;
use crate::records::{Kind, Record};

/// What a transaction has left out and met.
#[derive(Debug, Clone, Copy, Default)]
pub struct Met {
    /// Rows that met a duplicate key, left out or not.
    pub conflicts: u64,
    /// Rows with type errors.
    pub types: u64,
    /// Rows that are not in.
    pub left_out: u64,
    /// Blank ENUMs that are in.
    pub blanks: u64,
}

/// A row that was refused and may not be left out.
#[derive(Debug)]
pub struct Refused {
    /// The server's error.
    pub error: mysql::Error,
    /// Where the row begins in the file.
    pub at: Option<u64>,
    /// The row as it was sent.
    pub row: Vec<u8>,
}

/// Whether an error is about a row, so that other rows of the statement may be fine.
pub fn is_about_a_row(error: &mysql::Error) -> bool {
    matches!(
        error.class(),
        ErrorClass::Duplicate | ErrorClass::DataTooLong | ErrorClass::OutOfRange | ErrorClass::BadValue
    ) || error.code() == Some(1136)
}

/// Sends the rows of a refused statement in ever smaller parts, those with blank ENUMs as such.
pub(super) async fn send(
    shared: &Shared,
    conn: &mut Conn,
    file: &Arc<OpenFile>,
    statement: &Statement,
    met: &mut Met,
) -> Result<(), Trouble> {
    let (prefix, rows, suffix) = statement.parts();
    let starts: Vec<(usize, &[u8])> = single_rows(rows, file.mode).collect();
    let blank_cells: Vec<Vec<usize>> = match statement.enums() {
        enums if enums.is_empty() => Vec::new(),
        enums => starts.iter().map(|(_, row)| blank::of_row(enums, row, file.mode)).collect(),
    };
    let mut sql = Vec::with_capacity(statement.sql.len());
    // Halves; the first one on top, so that rows keep their order. The whole was refused already.
    let half = starts.len().div_ceil(2);
    let mut parts = vec![(half, starts.len()), (0, half)];
    if starts.len() < 2 || blank_cells.iter().any(|row| !row.is_empty()) {
        parts = vec![(0, starts.len())];
    }
    while let Some((from, to)) = parts.pop() {
        let Some(part) = starts.get(from..to).filter(|part| !part.is_empty()) else { continue };
        let mut blanks = Blanks::new();
        for number in blank_cells.get(from..to).into_iter().flatten().flatten() {
            *blanks.entry(*number).or_default() += 1;
        }
        let blank_count: usize = blanks.values().sum();
        if blank_count > blank::MOST && part.len() > 1 {
            let middle = from + part.len() / 2;
            parts.extend([(middle, to), (from, middle)]);
            continue;
        }
        sql.clear();
        sql.extend_from_slice(prefix);
        for (number, (_, row)) in part.iter().enumerate() {
            if number > 0 {
                sql.push(b',');
            }
            sql.extend_from_slice(row);
        }
        sql.extend_from_slice(suffix);
        let result = match blank_count {
            0 => conn.exec(&sql).await,
            _ => blank::exec(conn, &sql, statement.enums(), &blanks).await?,
        };
        match (result, part) {
            (Ok(mut outcome), _) => {
                let sent = part.len() as u64;
                if blank_count > 0 {
                    met.blanks += blank_count as u64;
                    // They were looked at.
                    outcome.warnings = 0;
                }
                check_outcome(shared, conn, file, (statement, sent), &outcome, met).await?;
            }
            (Err(error), _) if !is_about_a_row(&error) => {
                return Err(Trouble::Server { error, statement: None, at_commit: false });
            }
            (Err(error), [(_, row)]) => {
                let at = offset_of_row(file, statement, from as u64 + 1);
                let refused = Refused { error, at, row: row.to_vec() };
                leave_out(shared, conn, file, (statement, refused), met).await?;
            }
            (Err(_), _) => {
                let middle = from + part.len() / 2;
                parts.push((middle, to));
                parts.push((from, middle));
            }
        }
    }
    Ok(())
}

/// Records a refused row, if it may be left out.
async fn leave_out(
    shared: &Shared,
    conn: &mut Conn,
    file: &Arc<OpenFile>,
    (statement, refused): (&Statement, Refused),
    met: &mut Met,
) -> Result<(), Trouble> {
    let records = &shared.records;
    let kind = if refused.error.class() == ErrorClass::Duplicate { Kind::Conflict } else { Kind::Type };
    let (key, all, most) = match kind {
        Kind::Conflict if records.conflicts => {
            met.conflicts += 1;
            ("conflict", shared.counters.add_conflicts(1), shared.conflict_threshold)
        }
        Kind::Type if records.most_types > 0 => {
            met.types += 1;
            ("type", shared.counters.add_type_errors(1), records.most_types)
        }
        Kind::Conflict | Kind::Type => return Err(Trouble::Refused(Box::new(refused))),
    };
    let offset = refused.at.unwrap_or(statement.at);
    let text = refused.error.message();
    if all > most {
        let option = if kind == Kind::Type { "max-error.type" } else { "conflict.threshold" };
        return Err(Trouble::Final(fail(
            codes::RESTORE_TABLE,
            format!(
                "restore table {} failed: file '{}', {}: The number of {key} errors exceeds the threshold configured by \
                 `{option}`: '{most}' (the last one: {})",
                file.task.table.name,
                file.task.path(),
                row_at(file, offset),
                if shared.redact { "hidden by redact-info-log" } else { &text }
            ),
        )));
    }
    let record = Record {
        kind,
        table: &file.task.table.name,
        path: file.task.path(),
        offset,
        error: &text,
        row: &refused.row,
    };
    conn.exec(records.insert(&record)).await?;
    met.left_out += 1;
    Ok(())
}

/// Records a duplicate that ends the import, beside its transaction. It is for people only: what fails is left.
pub(super) async fn note(shared: &Shared, conn: &mut Conn, file: &Arc<OpenFile>, refused: &Refused) {
    let is_recorded = shared.on_duplicate == OnDuplicate::Error && shared.records.has_tables();
    if !is_recorded || refused.error.class() != ErrorClass::Duplicate {
        return;
    }
    let record = Record {
        kind: Kind::Conflict,
        table: &file.task.table.name,
        path: file.task.path(),
        offset: refused.at.unwrap_or(0),
        error: &refused.error.message(),
        row: &refused.row,
    };
    if let Err(error) = conn.exec(shared.records.insert(&record)).await {
        tracing::info!(error = shared.shown(&error), "the duplicate could not be recorded");
    }
}
