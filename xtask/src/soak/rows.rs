//! Count and sums over the rows of tables, the same on both sides when the rows are.

use anyhow::{Context, Result};

/// Count and two sums of a hash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    pub rows: u64,
    first: u128,
    second: u128,
}

impl Sums {
    pub fn add(&mut self, other: Sums) {
        self.rows += other.rows;
        self.first += other.first;
        self.second += other.second;
    }
}

/// Of one table of the main job.
pub async fn of(connection: &mut mysql::Conn, table: &str) -> Result<Sums> {
    connection.exec("SET time_zone='+00:00'").await?;
    let hash =
        "SHA2(CONCAT_WS(',',id,sid,pid,IFNULL(HEX(CONVERT(comment USING utf8mb4)),'n'),IFNULL(at,'n')),256)";
    let word = |from: u32| format!("SUM(CAST(CONV(SUBSTR(h,{from},16),16,10) AS UNSIGNED))");
    let sql = format!("SELECT COUNT(*),{},{} FROM (SELECT {hash} h FROM {table}) q", word(1), word(17));
    let rows = connection.query(sql).await.with_context(|| format!("sum up {table}"))?;
    let row = rows.first().context("a sum without a row")?;
    Ok(Sums {
        rows: row.parse(0)?.unwrap_or(0),
        first: row.parse(1)?.unwrap_or(0),
        second: row.parse(2)?.unwrap_or(0),
    })
}
