//! Columns that some shards lack: their rows have the default there, as the target has it.

use common::error::DmError;
use common::ident::{TableName, quote, quote_string};

use super::columns::{Column, Fill, not_a_constant};
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
