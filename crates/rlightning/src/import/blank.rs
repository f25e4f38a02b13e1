//! The value of an ENUM that is none of its members (`''`, number 0), which a source without strict mode has.
//!
//! A strict session takes it in no form that every server knows. So its rows are sent in statements of their own with the session less
//! strict, and what the server then warns of has to be these values alone: anything else that it cut or replaced is undone, and is the
//! error that it would have been.

use common::error::lightning_codes as codes;
use mysql::blank_enums::{BEGIN, END, Foreign, foreign_warning};
pub use mysql::blank_enums::{Blanks, MOST};
use mysql::{Conn, Outcome};
use sql::SqlMode;
use sql::lexer::{Lexer, TokenKind};
use sql::values::{Value, cells};

use super::worker::Trouble;
use crate::downstream::tables::TargetInfo;
use crate::error::Error;

/// ENUM columns of a target that have no empty member, each with its place in a row.
pub type Enums = Vec<(usize, String)>;

/// Those of the columns with these names, in the order in which rows fill them.
pub fn enums<'a>(table: &TargetInfo, filled: impl Iterator<Item = &'a str>) -> Enums {
    let is_enum = |full_type: &str| full_type.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("enum("));
    // There is one call for each INSERT of a file.
    if !table.columns.iter().any(|column| is_enum(&column.full_type)) {
        return Vec::new();
    }
    filled
        .enumerate()
        .filter(|(_, name)| {
            table
                .column(name)
                .is_some_and(|column| is_enum(&column.full_type) && !has_empty_member(&column.full_type))
        })
        .map(|(at, name)| (at, name.to_owned()))
        .collect()
}

fn has_empty_member(full_type: &str) -> bool {
    Lexer::new(full_type.as_bytes(), SqlMode::default())
        .any(|token| token.kind == TokenKind::String && token.span.of(full_type.as_bytes()) == b"''")
}

/// Which of the ENUM columns (by their place in the list) have the value in a row.
pub fn of_row(enums: &Enums, row: &[u8], mode: SqlMode) -> Vec<usize> {
    let Ok(row) = cells(row, mode) else { return Vec::new() };
    let mut found = Vec::new();
    let mut wanted = enums.iter().enumerate().peekable();
    for (at, cell) in row.enumerate() {
        let Some((number, (place, _))) = wanted.peek() else { break };
        if at < *place {
            continue;
        }
        if cell.ok().and_then(|cell| cell.value(mode).ok()).is_some_and(|value| is_blank(&value)) {
            found.push(*number);
        }
        wanted.next();
    }
    found
}

/// Blanks at the end of a member do not count.
pub fn is_blank(value: &Value<'_>) -> bool {
    match value {
        Value::Text(text) => text.iter().all(|byte| *byte == b' '),
        Value::Int(number) => *number == 0,
        _ => false,
    }
}

/// Sends a statement with such values in it. The first error is one that ends the transaction, the second one is about rows, and the
/// transaction is as it was before.
pub(super) async fn exec(
    conn: &mut Conn,
    sql: &[u8],
    enums: &Enums,
    blanks: &Blanks,
) -> Result<Result<Outcome, mysql::Error>, Trouble> {
    conn.exec("SAVEPOINT rlightning_blank").await?;
    conn.exec(BEGIN).await?;
    let (result, is_undone) = match conn.exec(sql).await {
        Ok(outcome) => (check(conn, enums, blanks, &outcome).await.map(|()| outcome), false),
        Err(error) => (Err(error), true),
    };
    if result.as_ref().is_err_and(mysql::Error::is_connection_gone) {
        return Ok(result);
    }
    if let Err(error) = conn.exec(END).await {
        if error.is_connection_gone() {
            return Err(error.into());
        }
        // Nothing may go on in a session that is not strict.
        let text = "the target's session could not be made strict again";
        return Err(Trouble::Final(Error::Failed(codes::RESTORE_TABLE.wrap(text, error))));
    }
    if result.is_err() && !is_undone {
        conn.exec("ROLLBACK TO SAVEPOINT rlightning_blank").await?;
    }
    Ok(result)
}

/// Whether the server has warned of more than the values; if so, as an error of a class that is about a row, whatever it is.
async fn check(conn: &mut Conn, enums: &Enums, blanks: &Blanks, outcome: &Outcome) -> mysql::Result<()> {
    let column = |number: usize| enums.get(number).map_or_else(String::new, |(_, name)| name.clone());
    let text = match foreign_warning(conn, blanks, column, outcome.warnings).await? {
        None => return Ok(()),
        Some(Foreign::Warning(_, message)) => message,
        Some(Foreign::Unlisted(listed)) => {
            format!("the target lists {listed} of its {} warnings", outcome.warnings)
        }
    };
    Err(mysql::Error::server(1265, "HY000", text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::tables::TargetColumn;
    use common::ident::TableName;

    #[test]
    fn columns_and_rows() {
        let column = |name: &str, full_type: &str| TargetColumn {
            name: name.into(),
            full_type: full_type.into(),
            required: false,
            generated: false,
        };
        let columns = vec![
            column("n", "int"),
            column("e", "enum('a','it''s')"),
            column("f", "enum('x','','y')"),
            column("g", "ENUM('k')"),
        ];
        let table = TargetInfo {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            is_view: false,
            created: String::new(),
            columns,
        };
        let enums = enums(&table, ["g", "f", "n", "E"].into_iter());
        assert_eq!(enums, [(0, "g".to_owned()), (3, "E".to_owned())]);
        let of = |row: &str| of_row(&enums, row.as_bytes(), SqlMode::default());
        assert_eq!(of("('','',0,'')"), [0, 1]);
        assert_eq!(of("('k','',0,' ')"), [1]);
        assert_eq!(of("(0,'',0,'a')"), [0]);
        assert_eq!(of("(NULL,'',0,'0')"), [0; 0]);
        assert_eq!(of("('')"), [0]);
    }
}
