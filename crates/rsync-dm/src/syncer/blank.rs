//! The value of an ENUM that is none of its members (`''`, number 0), which a source without strict mode has.
//!
//! A strict session takes it in no form. So its rows are sent in statements of their own with the session less strict, and what
//! the server then warns of has to be these values alone: anything else that it cut or replaced is the error that it would have been.

pub use mysql::blank_enums::{BEGIN, Blanks, END, MOST};
use mysql::{
    Conn,
    blank_enums::{Foreign, foreign_warning},
};

use super::{plan::PlanColumn, scheduler::Change};

/// In which of the columns that it sets the change puts the value.
pub fn columns(change: &Change, sets: impl Fn(usize) -> bool) -> Vec<usize> {
    let (rows, row) = (&change.rows, change.row);
    let columns = rows.plan.columns.iter().enumerate();
    columns
        .filter(|(n, column)| column.is_enum && sets(*n) && rows.literal(row, *n) == b"0")
        .map(|(n, _)| n)
        .collect()
}

/// Looks whether the server has warned (so often) of more than the value: for each one it warns once of the column.
///
/// # Errors
/// Such a warning as an error; or the warnings can't be read.
pub async fn check(
    conn: &mut Conn,
    columns: &[PlanColumn],
    blanks: &Blanks,
    warnings: u16,
) -> mysql::Result<()> {
    let column = |n: usize| {
        let quoted = columns.get(n).map(|column| String::from_utf8_lossy(&column.name)).unwrap_or_default();
        quoted.trim_matches('`').replace("``", "`")
    };
    match foreign_warning(conn, blanks, column, warnings).await? {
        None => Ok(()),
        Some(Foreign::Warning(code, message)) => Err(mysql::Error::server(code, "HY000", message)),
        Some(Foreign::Unlisted(listed)) => Err(mysql::Error::value(format!(
            "the target lists {listed} of its {warnings} warnings about rows with blank ENUMs: raise its max_error_count to 64"
        ))),
    }
}
