//! Cuts a table into chunks by ranges of an integer key (facts/dumpling.md 3.2).
//!
//! Unlike Dumpling's, the ranges are open at both ends and NULLs always belong to the first chunk, so they cover every
//! row there can be, whatever the estimate and the limits say.

use common::ident::quote;
use mysql::Flavor;
use mysql::wire::WireConn;
use tracing::info;

use crate::config::Config;
use crate::error::{Doing, Result};
use crate::source::{Source, ask};
use crate::table::{ChunkKey, Table};

/// More chunks than this help nobody; each costs a statement and perhaps a file.
const MOST_CHUNKS: u64 = 1_000_000;

/// The conditions of a table's chunks, in the order of the key. `None`: the whole table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunks {
    /// Not cut.
    Whole,
    /// Cut; at least two.
    Ranges(Ranges),
}

/// Equal steps over the key. Conditions are made one by one: a table may have very many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ranges {
    key: ChunkKey,
    start: i128,
    step: i128,
    count: u64,
}

impl Ranges {
    /// Number of chunks.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The condition of chunk `i`.
    pub fn condition(&self, i: u64) -> String {
        let column = quote(&self.key.column);
        let bound = |i: u64| self.start + self.step * i128::from(i);
        let last = i + 1 >= self.count;
        match (i, last) {
            (0, true) => "TRUE".into(),
            (0, false) if self.key.nullable => {
                format!("{column} IS NULL OR {column} < {}", bound(1))
            }
            (0, false) => format!("{column} < {}", bound(1)),
            (_, true) => format!("{column} >= {}", bound(i)),
            (_, false) => format!("{column} >= {} AND {column} < {}", bound(i), bound(i + 1)),
        }
    }

    fn new(key: ChunkKey, min: i128, max: i128, estimate: u64, rows: u64) -> Option<Ranges> {
        let wanted = (estimate / rows.max(1)).clamp(1, MOST_CHUNKS);
        let step = (max - min) / i128::from(wanted) + 1;
        let count = u64::try_from((max - min) / step + 1).ok()?;
        (count > 1).then_some(Ranges { key, start: min, step, count })
    }
}

/// Asks the server how many rows there are about, and cuts.
///
/// # Errors
/// The server's.
pub async fn plan(conn: &mut WireConn, source: &Source, config: &Config, table: &Table) -> Result<Chunks> {
    if config.rows == 0 {
        return Ok(Chunks::Whole);
    }
    let Some(key) = &table.chunk_key else {
        info!(table = %table.name, "fallback to sequential dump due to no proper field");
        return Ok(Chunks::Whole);
    };
    let doing = || format!("find the chunks of table {}", table.name);
    let column = quote(&key.column);
    let filter = config.where_clause.as_ref().map_or_else(String::new, |text| format!(" WHERE {text}"));
    let estimate = estimate(conn, source, &format!("SELECT {column} FROM {}{filter}", table.name)).await?;
    if estimate < config.rows {
        return Ok(Chunks::Whole);
    }
    let sql = format!("SELECT MIN({column}),MAX({column}) FROM {}{filter}", table.name);
    let limits = ask(conn, &sql).await.doing(doing)?;
    let number = |column| limits.at(0, column).and_then(|text| text.parse::<i128>().ok());
    let (Some(min), Some(max)) = (number(0), number(1)) else { return Ok(Chunks::Whole) };
    let ranges = Ranges::new(key.clone(), min, max, estimate, config.rows);
    Ok(ranges.map_or(Chunks::Whole, Chunks::Ranges))
}

/// The optimizer's guess of a statement's rows; 0 if it has none.
async fn estimate(conn: &mut WireConn, source: &Source, select: &str) -> Result<u64> {
    // MySQL 9 prints a tree unless told otherwise; TiDB has one form only.
    let explain = match source.server.flavor {
        Flavor::TiDb => format!("EXPLAIN {select}"),
        Flavor::MySql | Flavor::MariaDb => format!("EXPLAIN FORMAT=TRADITIONAL {select}"),
    };
    let answer = match ask(conn, &explain).await {
        Ok(answer) => answer,
        Err(error) if error.code().is_some() && source.server.flavor != Flavor::TiDb => {
            ask(conn, &format!("EXPLAIN {select}"))
                .await
                .doing(|| format!("estimate the rows of `{select}`"))?
        }
        Err(error) => return Err(error).doing(|| format!("estimate the rows of `{select}`")),
    };
    let last = answer.len().saturating_sub(1);
    let text = answer.get(last, &["rows", "estRows", "count"]).unwrap_or_default();
    Ok(text.parse::<f64>().map_or(0, |rows| rows.max(0.0) as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(nullable: bool) -> ChunkKey {
        ChunkKey { column: "a`".into(), nullable }
    }

    #[test]
    fn conditions_are_open_at_both_ends() {
        let ranges = Ranges::new(key(true), 1, 1000, 1000, 400).unwrap();
        let all: Vec<String> = (0..ranges.count()).map(|i| ranges.condition(i)).collect();
        assert_eq!(all, ["`a``` IS NULL OR `a``` < 501", "`a``` >= 501"]);
        let ranges = Ranges::new(key(false), -5, 5, 9, 3).unwrap();
        let all: Vec<String> = (0..ranges.count()).map(|i| ranges.condition(i)).collect();
        assert_eq!(all, ["`a``` < -1", "`a``` >= -1 AND `a``` < 3", "`a``` >= 3"]);
    }

    #[test]
    fn small_or_narrow_tables_are_not_cut() {
        assert_eq!(Ranges::new(key(false), 7, 7, 1_000_000, 10), None);
        assert_eq!(Ranges::new(key(false), 1, 100, 15, 10), None);
        assert_eq!(Ranges::new(key(false), 0, 2, 1_000_000, 10).unwrap().count(), 3);
    }

    proptest::proptest! {
        #[test]
        fn every_number_is_in_exactly_one_chunk(
            min in i64::MIN..i64::MAX, width in 0u64..u64::MAX, estimate: u64, rows in 1u64..1000, probe: i64, shift: u64,
        ) {
            let (min, max) = (i128::from(min), i128::from(min) + i128::from(width));
            if let Some(ranges) = Ranges::new(key(false), min, max, estimate.min(rows * 50), rows) {
                proptest::prop_assert!(ranges.count() <= 51);
                // Above the limits, below them and between.
                for probe in [i128::from(probe), min, max, min + i128::from(shift % width.max(1)), i128::from(u64::MAX)] {
                    let inside = |i: u64| {
                        let bound = |i: u64| ranges.start + ranges.step * i128::from(i);
                        (i == 0 || probe >= bound(i)) && (i + 1 == ranges.count() || probe < bound(i + 1))
                    };
                    proptest::prop_assert_eq!((0..ranges.count()).filter(|&i| inside(i)).count(), 1);
                }
            }
        }
    }
}
