//! Columns that some shards lack: their rows have the default there, as the target has it.

use common::error::DmError;
use common::ident::{TableName, quote, quote_string};
use mysql::Flavor;

use super::columns::{Column, Fill};
use super::pool::Pool;
use super::wait::broken;

const NO_DEFAULT: u16 = 1364;

/// The target's default of a column in the form that is compared; the inner error says why it can't be compared.
///
/// # Errors
/// What the target says.
pub async fn default_of(
    pool: &Pool,
    table: &TableName,
    column: &Column,
) -> Result<Result<Fill, String>, DmError> {
    let wrong = |error: mysql::Error| broken(&pool.name(), &error);
    let sql = format!(
        "SELECT column_default, extra FROM information_schema.columns WHERE table_schema={} AND table_name={} AND column_name={}",
        quote_string(&table.schema),
        quote_string(&table.table),
        quote_string(&column.name)
    );
    let mut borrowed = pool.get().await?;
    let conn = &mut borrowed.connection;
    let row = conn.query_one(&sql).await.map_err(wrong)?;
    let (text, extra) = match &row {
        Some(row) => (row.str(0).map_err(wrong)?, row.str(1).map_err(wrong)?.unwrap_or_default()),
        None => (None, String::new()),
    };
    if let Some(why) = not_a_constant(conn.server().flavor, text.as_deref(), &extra) {
        pool.put(borrowed).await;
        return Ok(Err(why));
    }
    let default = format!("DEFAULT({})", quote(&column.name));
    let nullable = Column { nullable: true, ..column.clone() };
    let sql = format!(
        "SELECT {},{} FROM {} LIMIT 1",
        nullable.part(&default),
        column.value_text(&default),
        table.quoted()
    );
    let fill = match conn.query_one(&sql).await {
        Ok(Some(row)) => Ok(Fill { part: row.text(0).map_err(wrong)?, text: row.str(1).map_err(wrong)? }),
        // Without a row in the target every row of a shard is missing, whatever it holds.
        Ok(None) => Ok(Fill { part: "n".into(), text: None }),
        Err(error) if error.code() == Some(NO_DEFAULT) => Err("it has no default".into()),
        Err(error) => return Err(wrong(error)),
    };
    pool.put(borrowed).await;
    Ok(fill)
}

/// Why the values of rows that were put in without this column are not known from its default; `None` if they are.
fn not_a_constant(flavor: Flavor, default: Option<&str>, extra: &str) -> Option<String> {
    let extra = extra.to_ascii_uppercase();
    let words: Vec<&str> = extra.split([' ', ',']).collect();
    if words.iter().any(|word| matches!(*word, "VIRTUAL" | "STORED" | "PERSISTENT")) {
        return Some("it is computed".into());
    }
    if words.contains(&"AUTO_INCREMENT") || words.contains(&"AUTO_RANDOM") {
        return Some("it numbers the rows".into());
    }
    let default = default?;
    let is_now = default.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP");
    // MariaDB quotes the literals and leaves expressions as they are.
    let is_computed = match flavor {
        Flavor::MariaDb => {
            let is_quoted = default.ends_with('\'') && default.contains('\'') && !default.contains('(');
            let is_text = default.starts_with('\'') && default.ends_with('\'');
            !(is_quoted || is_text || default.eq_ignore_ascii_case("NULL") || default.parse::<f64>().is_ok())
        }
        _ => words.contains(&"DEFAULT_GENERATED"),
    };
    (is_now || is_computed).then(|| format!("its default is computed ({default})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_are_told_from_what_is_computed() {
        let why = |flavor, default: Option<&str>, extra| not_a_constant(flavor, default, extra);
        for flavor in [Flavor::MySql, Flavor::TiDb] {
            assert_eq!(why(flavor, None, ""), None);
            assert_eq!(why(flavor, Some("7"), ""), None);
            assert_eq!(why(flavor, Some("uuid()"), ""), None);
            assert!(why(flavor, Some("uuid()"), "DEFAULT_GENERATED").is_some());
            assert!(why(flavor, Some("CURRENT_TIMESTAMP(3)"), "").is_some());
            assert!(why(flavor, None, "STORED GENERATED").is_some());
            assert!(why(flavor, None, "auto_increment").is_some());
        }
        for text in ["'a(b'", "'it''s'", "NULL", "-1.5", "b'101'"] {
            assert_eq!(why(Flavor::MariaDb, Some(text), ""), None, "{text}");
        }
        for text in ["current_timestamp()", "uuid()", "concat('a','b')", "(`a` + 1)"] {
            assert!(why(Flavor::MariaDb, Some(text), "").is_some(), "{text}");
        }
    }
}
