//! The value of an ENUM that is none of its members (`''`, number 0), which a server without strict mode keeps and a strict session takes
//! in no form that every server knows.
//!
//! So its rows are sent between [`BEGIN`] and [`END`], and what the server then warns of has to be these values alone.

use std::collections::BTreeMap;

use crate::{Conn, Result};

/// Makes the session less strict. NO_ENGINE_SUBSTITUTION means nothing to rows.
pub const BEGIN: &str = "SET @rmt_sql_mode=@@SESSION.sql_mode,SESSION sql_mode=REPLACE(REPLACE(REPLACE(\
    @@SESSION.sql_mode,'STRICT_TRANS_TABLES','NO_ENGINE_SUBSTITUTION'),'STRICT_ALL_TABLES','NO_ENGINE_SUBSTITUTION'),\
    'TRADITIONAL','NO_ENGINE_SUBSTITUTION')";

/// Makes it as it was; does nothing where [`BEGIN`] was not run.
pub const END: &str = "SET SESSION sql_mode=COALESCE(@rmt_sql_mode,@@SESSION.sql_mode)";

/// Such values in one statement: servers list 64 warnings, and to have more of them takes a right of its own.
pub const MOST: usize = 60;

/// How often the value is put into each column, by a number of the caller's.
pub type Blanks = BTreeMap<usize, usize>;

/// A warning that is about something else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Foreign {
    /// Its number and text.
    Warning(u16, String),
    /// The server lists only so many of its warnings.
    Unlisted(usize),
}

/// Looks whether the server has warned (`warnings` times) of more than the values of the last statement: for each one it warns once of the
/// column, whose name `column` gives.
///
/// # Errors
/// The warnings can't be read.
pub async fn foreign_warning(
    conn: &mut Conn,
    blanks: &Blanks,
    column: impl Fn(usize) -> String,
    warnings: u16,
) -> Result<Option<Foreign>> {
    let listed = conn.query("SHOW WARNINGS").await?;
    let mut left: Vec<(String, usize)> =
        blanks.iter().map(|(number, count)| (is_about(&column(*number)), *count)).collect();
    for warning in listed.iter() {
        let (code, message) = (warning.parse::<u16>(1)?.unwrap_or(0), warning.text(2)?);
        if warning.text(0)?.eq_ignore_ascii_case("note") {
            continue;
        }
        let blank =
            left.iter_mut().find(|(about, left)| code == 1265 && *left > 0 && message.contains(about));
        let Some((_, left)) = blank else { return Ok(Some(Foreign::Warning(code, message))) };
        *left -= 1;
    }
    Ok((listed.len() < usize::from(warnings)).then_some(Foreign::Unlisted(listed.len())))
}

/// `Data truncated for column 'e' at row 1`
fn is_about(column: &str) -> String {
    format!("column '{column}' at row")
}
