//! The value of an ENUM that is none of its members (`''`, number 0), which a source without strict mode has.
//!
//! A strict session takes it in no form. So its rows are sent in statements of their own with the session less strict, and what
//! the server then warns of has to be these values alone: anything else that it cut or replaced is the error that it would have been.

use std::collections::BTreeMap;

use mysql::Conn;

use super::{plan::PlanColumn, scheduler::Change};

/// Before such a statement. NO_ENGINE_SUBSTITUTION means nothing to rows.
pub const BEGIN: &[u8] = b"SET @rsync_sql_mode=@@SESSION.sql_mode,SESSION sql_mode=REPLACE(REPLACE(REPLACE(\
@@SESSION.sql_mode,'STRICT_TRANS_TABLES','NO_ENGINE_SUBSTITUTION'),'STRICT_ALL_TABLES','NO_ENGINE_SUBSTITUTION'),'TRADITIONAL',\
'NO_ENGINE_SUBSTITUTION');";

/// After it.
pub const END: &[u8] = b"SET SESSION sql_mode=COALESCE(@rsync_sql_mode,@@SESSION.sql_mode);";

/// Warnings that one statement may make: servers list 64, unless they are told otherwise.
pub const MOST: usize = 60;

/// How often the value is put into each column.
pub type Blanks = BTreeMap<usize, usize>;

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
    let listed = conn.query("SHOW WARNINGS").await?;
    let mut left = blanks.clone();
    for warning in listed.iter() {
        let (code, message) = (warning.parse::<u16>(1)?.unwrap_or(0), warning.text(2)?);
        if warning.text(0)?.eq_ignore_ascii_case("note") {
            continue;
        }
        let blank = left
            .iter_mut()
            .find(|(column, left)| code == 1265 && **left > 0 && is_about(&message, &columns[**column]));
        let Some((_, left)) = blank else { return Err(mysql::Error::server(code, "HY000", message)) };
        *left -= 1;
    }
    if listed.len() < usize::from(warnings) {
        return Err(mysql::Error::value(format!(
            "the target lists {} of its {warnings} warnings about rows with blank ENUMs: raise its max_error_count to 64",
            listed.len()
        )));
    }
    Ok(())
}

/// `Data truncated for column 'e' at row 1`
fn is_about(message: &str, column: &PlanColumn) -> bool {
    let name = String::from_utf8_lossy(&column.name);
    let name = name.trim_matches('`').replace("``", "`");
    message.contains(&format!("column '{name}' at row"))
}
