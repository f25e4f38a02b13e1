//! Cuts a table into chunks by ranges of a key (facts/dumpling.md 3.2).
//!
//! Integer keys begin with Dumpling's equal steps; what the optimizer says holds far more rows than asked for is cut
//! again, and so is every other key: by guesses half way between the least and the greatest value, moved to a value that
//! is there, until both halves hold rows. All questions are dives into the index; rows are only counted through where no
//! guess helps. Chunks come one by one and in the order of the key, so readers work while the rest is being cut.
//!
//! Unlike Dumpling's, the ranges are open at both ends and hold NULLs, so they cover every row there can be, whatever
//! estimates and limits say (see [`crate::key`]).

use common::ident::{TableName, quote};
use mysql::Flavor;
use mysql::wire::WireConn;
use tracing::{debug, info};

use crate::config::{ChunkSize, Config};
use crate::error::{Doing, Result};
use crate::key::{Bound, ChunkKey, Class, KeyRange, Low};
use crate::source::{Source, ask};
use crate::table::Table;

/// More chunks than this help nobody; each costs a statement and perhaps a file.
const MOST_CHUNKS: u64 = 1_000_000;

/// With `-r auto` a chunk holds about this much.
const AUTO_BYTES: u64 = 64 << 20;

/// With `-r auto` one reader takes about this long for a chunk.
const AUTO_SECONDS: u64 = 10;

/// With `-r auto` no table is cut into chunks of fewer rows.
const AUTO_LEAST_ROWS: u64 = 10_000;

/// Guesses at one cut.
const GUESSES: usize = 64;

/// Asks where a range of a table's key can be cut.
#[derive(Debug, Clone, Copy)]
pub struct Finder<'a> {
    name: &'a TableName,
    key: &'a ChunkKey,
    flavor: Flavor,
    /// The optimizer estimates ranges of an index that is forced on it.
    dives_when_forced: bool,
}

impl<'a> Finder<'a> {
    /// For one table of this server.
    pub fn new(source: &Source, name: &'a TableName, key: &'a ChunkKey) -> Finder<'a> {
        Finder {
            name,
            key,
            flavor: source.server.flavor,
            dives_when_forced: !source.server.is_mysql(8, 0, 0),
        }
    }
}

/// The chunks of one table, made one by one.
#[derive(Debug)]
pub struct Cutter<'a> {
    finder: Finder<'a>,
    /// Rows of a chunk, about.
    aim: u64,
    /// With `-r auto` the aim changes with what reading shows, up to this.
    most: Option<u64>,
    /// What is still to be cut, the next last.
    stack: Vec<Part>,
    /// Dumpling's equal steps that are still to come.
    steps: Option<Steps>,
    given: u64,
}

/// A range, and whether it is to be taken as it is.
#[derive(Debug)]
struct Part {
    range: KeyRange,
    rows: u64,
    settled: bool,
}

/// A chunk, and the rows that it may hold.
#[derive(Debug)]
pub struct Planned {
    /// Its range.
    pub range: KeyRange,
    /// The optimizer's guess.
    pub rows: u64,
}

/// Begins to cut a table. `None`: nobody asked for that, or there is nothing to cut it by.
///
/// # Errors
/// The server's.
pub async fn begin<'a>(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    table: &'a Table,
) -> Result<Option<Cutter<'a>>> {
    let flavor = source.server.flavor;
    let filter = filter(config);
    let Some((mut cutter, key, estimate)) = prepare(conn, source, config, table, &filter).await? else {
        return Ok(None);
    };
    let aim = cutter.aim;
    if estimate < aim {
        // Idle readers may still cut it, if the estimate was wrong or its rows are large.
        cutter.stack.push(Part { range: KeyRange::all(key), rows: estimate, settled: true });
        return Ok(Some(cutter));
    }
    if key.columns.first().is_some_and(|column| column.class == Class::Integer) {
        cutter.steps = equal_steps(conn, key, table, &filter, estimate, aim).await?;
    }
    if cutter.steps.is_none() {
        cutter.stack.push(Part {
            range: KeyRange::all(key),
            rows: estimate,
            settled: flavor == Flavor::TiDb,
        });
    }
    Ok(Some(cutter))
}

/// Cuts what is left of a table whose other chunks are there; gives the key, too. `None` as in [`begin`].
///
/// # Errors
/// The server's.
pub async fn resume<'a>(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    table: &'a Table,
) -> Result<Option<(Cutter<'a>, &'a ChunkKey)>> {
    let prepared = prepare(conn, source, config, table, &filter(config)).await?;
    Ok(prepared.map(|(cutter, key, _)| (cutter, key)))
}

fn filter(config: &Config) -> String {
    config.where_clause.as_ref().map_or_else(String::new, |text| format!(" WHERE {text}"))
}

/// A cutter with nothing to cut yet, the key, and the optimizer's guess of the table's rows.
async fn prepare<'a>(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    table: &'a Table,
    filter: &str,
) -> Result<Option<(Cutter<'a>, &'a ChunkKey, u64)>> {
    if config.rows == ChunkSize::Whole {
        return Ok(None);
    }
    let Some(key) = &table.chunk_key else {
        info!(table = %table.name, "fallback to sequential dump due to no proper field");
        return Ok(None);
    };
    let first = key.columns.first().map_or("", |column| column.name.as_str());
    let select = format!("SELECT {} FROM {}{filter}", quote(first), table.name);
    let estimate = estimate(conn, source.server.flavor, &select)
        .await
        .doing(|| format!("estimate the rows of `{select}`"))?;
    let aim = match config.rows {
        ChunkSize::Whole => return Ok(None),
        ChunkSize::Rows(rows) => rows.max(estimate / MOST_CHUNKS),
        ChunkSize::Auto => auto_size(conn, config, table, estimate).await?,
    };
    let finder = Finder::new(source, &table.name, key);
    let mut cutter = Cutter { finder, aim, most: None, stack: Vec::new(), steps: None, given: 0 };
    if config.rows == ChunkSize::Auto {
        cutter.most = Some(rows_for_all_readers(config, estimate));
    }
    Ok(Some((cutter, key, estimate)))
}

/// Rows of about [`AUTO_BYTES`], but so few that all readers have work to the end.
async fn auto_size(conn: &mut WireConn, config: &Config, table: &Table, estimate: u64) -> Result<u64> {
    let text = common::ident::quote_string;
    let sql = format!(
        "SELECT AVG_ROW_LENGTH FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        text(&table.name.schema),
        text(&table.name.table)
    );
    let answer = ask(conn, &sql).await.doing(|| format!("read the row size of table {}", table.name))?;
    let row = answer.at(0, 0).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0).max(16);
    Ok((AUTO_BYTES / row).min(rows_for_all_readers(config, estimate)).max(AUTO_LEAST_ROWS))
}

/// So few that all readers have work to the end, so many that there are not too many chunks.
fn rows_for_all_readers(config: &Config, estimate: u64) -> u64 {
    (estimate / (4 * config.threads as u64).max(1)).max(AUTO_LEAST_ROWS).max(estimate / MOST_CHUNKS)
}

/// Dumpling's ranges: equal steps from the least to the greatest value.
#[derive(Debug, Clone)]
struct Steps {
    nullable: bool,
    start: i128,
    step: i128,
    count: u64,
    next: u64,
}

impl Steps {
    fn new(nullable: bool, min: i128, max: i128, estimate: u64, rows: u64) -> Option<Steps> {
        let wanted = (estimate / rows.max(1)).clamp(1, MOST_CHUNKS);
        let step = (max - min) / i128::from(wanted) + 1;
        let count = u64::try_from((max - min) / step + 1).ok()?;
        (count > 1).then_some(Steps { nullable, start: min, step, count, next: 0 })
    }
}

impl Iterator for Steps {
    type Item = KeyRange;

    fn next(&mut self) -> Option<KeyRange> {
        if self.next >= self.count {
            return None;
        }
        let (i, last) = (self.next, self.next + 1 == self.count);
        let bound = |i: u64| (self.start + self.step * i128::from(i)).to_string().into_bytes();
        self.next += 1;
        Some(KeyRange::first_column(Bound::Between {
            low: (i > 0).then(|| Low { value: bound(i), inclusive: true }),
            high: (!last).then(|| bound(i + 1)),
            nulls: i == 0 && self.nullable,
        }))
    }
}

async fn equal_steps(
    conn: &mut WireConn,
    key: &ChunkKey,
    table: &Table,
    filter: &str,
    estimate: u64,
    rows: u64,
) -> Result<Option<Steps>> {
    let Some(first) = key.columns.first() else { return Ok(None) };
    let column = quote(&first.name);
    let sql = format!("SELECT MIN({column}),MAX({column}) FROM {}{filter}", table.name);
    let limits = ask(conn, &sql).await.doing(|| format!("find the chunks of table {}", table.name))?;
    let number = |column| limits.at(0, column).and_then(|text| text.parse::<i128>().ok());
    let (Some(min), Some(max)) = (number(0), number(1)) else { return Ok(None) };
    Ok(Steps::new(first.nullable, min, max, estimate, rows))
}

/// The optimizer's guess of a statement's rows; 0 if it has none.
async fn estimate(conn: &mut WireConn, flavor: Flavor, select: &str) -> mysql::Result<u64> {
    // MySQL 9 prints a tree unless told otherwise; TiDB has one form only.
    let explain = match flavor {
        Flavor::TiDb => format!("EXPLAIN {select}"),
        Flavor::MySql | Flavor::MariaDb => format!("EXPLAIN FORMAT=TRADITIONAL {select}"),
    };
    let answer = match ask(conn, &explain).await {
        Ok(answer) => answer,
        Err(error) if error.code().is_some() && flavor != Flavor::TiDb => {
            ask(conn, &format!("EXPLAIN {select}")).await?
        }
        Err(error) => return Err(error),
    };
    let last = answer.len().saturating_sub(1);
    let number = |names: &[&str]| answer.get(last, names).and_then(|text| text.parse::<f64>().ok());
    let rows = number(&["rows", "estRows", "count"]).unwrap_or(0.0);
    // If it rather reads the whole index, this is the part that the condition takes.
    let reads_all = answer.get(last, &["type"]).is_some_and(|text| matches!(text.as_str(), "index" | "ALL"));
    let part = number(&["filtered"]).filter(|_| reads_all).map_or(1.0, |percent| percent / 100.0);
    Ok((rows * part).max(0.0) as u64)
}

impl Cutter<'_> {
    /// Cuts these ranges next, which are in the order of the key.
    pub fn go_on_with(&mut self, ranges: Vec<KeyRange>) {
        let parts = ranges.into_iter().map(|range| Part { range, rows: 0, settled: false });
        self.stack.extend(parts.rev());
    }

    /// With `-r auto`: what reading the table has shown.
    pub fn adapt(&mut self, row_bytes: u64, rows_a_second: u64) {
        if let Some(most) = self.most {
            let by_bytes = AUTO_BYTES / row_bytes.max(1);
            let by_time = rows_a_second.saturating_mul(AUTO_SECONDS);
            self.aim = by_bytes.min(by_time).clamp(AUTO_LEAST_ROWS, most);
        }
    }

    /// The next chunk in the order of the key. After an error it can be asked for again.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn next(&mut self, conn: &mut WireConn) -> Result<Option<Planned>> {
        let is_tidb = self.finder.flavor == Flavor::TiDb;
        loop {
            let part = match self.stack.pop() {
                Some(part) => part,
                None => match self.steps.as_mut().and_then(Iterator::next) {
                    Some(range) => Part { range, rows: self.aim, settled: is_tidb },
                    None => return Ok(None),
                },
            };
            if part.settled || self.given + self.stack.len() as u64 >= MOST_CHUNKS {
                self.given += 1;
                return Ok(Some(Planned { range: part.range, rows: part.rows }));
            }
            let found = self.parts(conn, &part.range).await;
            let found = found.doing(|| format!("find the chunks of table {}", self.finder.name));
            let (rows, parts) = match found {
                Ok(found) => found,
                Err(error) => {
                    // Who asks again on another connection loses nothing.
                    self.stack.push(part);
                    return Err(error);
                }
            };
            match parts {
                None => self.stack.push(Part { settled: true, rows, ..part }),
                Some(parts) => {
                    let parts = parts.into_iter().rev();
                    self.stack.extend(parts.map(|range| Part { range, rows: 0, settled: false }));
                }
            }
        }
    }

    /// Cuts a range if it holds much more than it should.
    async fn parts(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
    ) -> mysql::Result<(u64, Option<Vec<KeyRange>>)> {
        let Some(rows) = self.finder.rows(conn, range).await? else { return Ok((self.aim, None)) };
        // A half again is no reason: the halves would be smaller than asked for.
        if rows <= self.aim + self.aim / 2 {
            return Ok((rows, None));
        }
        Ok((rows, self.finder.cut(conn, range, rows, self.aim).await?))
    }
}

impl Finder<'_> {
    /// Cuts a range of `rows` rows in two or more, if that is possible.
    async fn cut(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        rows: u64,
        aim: u64,
    ) -> mysql::Result<Option<Vec<KeyRange>>> {
        if let Some(inner) = range.next_column(self.key) {
            return Ok(Some(vec![inner]));
        }
        if let Some((nulls, rest)) = range.cut_nulls()
            && self.rows(conn, &nulls).await?.is_some_and(|rows| rows > aim)
        {
            return Ok(Some(vec![nulls, rest]));
        }
        let (Some(min), Some(max)) =
            (self.end(conn, range, None, "").await?, self.end(conn, range, None, " DESC").await?)
        else {
            return Ok(None);
        };
        if min == max {
            let deeper = self.key.columns.len() > range.depth() + 1;
            let whole = deeper && self.is_inside(conn, range, &min).await?;
            return Ok(if whole { range.take_out(&min, self.key) } else { None });
        }
        if let Some(value) = self.balanced(conn, range, (&min, &max), aim).await?
            && self.is_inside(conn, range, &value).await?
        {
            return Ok(range.cut(&value).map(|(low, high)| vec![low, high]));
        }
        debug!(table = %self.name, rows, "no guess cuts this range, its rows are counted through");
        self.counted(conn, range, &min, aim).await
    }

    /// A value that is there and parts the range so that neither side is much smaller than the other.
    async fn balanced(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        (min, max): (&[u8], &[u8]),
        aim: u64,
    ) -> mysql::Result<Option<Vec<u8>>> {
        let Some(column) = self.key.columns.get(range.depth()) else { return Ok(None) };
        let (mut low, mut high) = (min.to_vec(), max.to_vec());
        let mut best: Option<(u64, Vec<u8>)> = None;
        for _ in 0..GUESSES {
            let Some(guess) = column.class.between(&low, &high) else { break };
            let Some(value) = self.end(conn, range, Some((">=", &guess)), "").await? else {
                if guess == high {
                    break;
                }
                high = guess;
                continue;
            };
            if value == min || value.is_empty() {
                // Everything is behind the guess.
                if guess == low {
                    break;
                }
                low = guess;
                continue;
            }
            let Some((left, right)) = range.cut(&value) else { break };
            let (Some(left), Some(right)) = (self.rows(conn, &left).await?, self.rows(conn, &right).await?)
            else {
                // A value that no comparison takes, such as a zero date.
                low = guess;
                continue;
            };
            let least = left.min(right);
            if least.saturating_mul(4) >= left.saturating_add(right) {
                return Ok(Some(value));
            }
            if best.as_ref().is_none_or(|(most, _)| least > *most) {
                best = Some((least, value));
            }
            match left < right {
                true => low = guess,
                false if guess == high => break,
                false => high = guess,
            }
        }
        // A heavy group of equal keys leaves no balance; an uneven cut still takes something off.
        Ok(best.filter(|(least, _)| *least * 4 >= aim).map(|(_, value)| value))
    }

    /// A value of the range's column that parts it about in the middle, if there is one.
    ///
    /// # Errors
    /// A lost connection.
    pub async fn middle(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        least: u64,
    ) -> mysql::Result<Option<Vec<u8>>> {
        if self.rows(conn, range).await?.is_none_or(|rows| rows < least.saturating_mul(2)) {
            return Ok(None);
        }
        let (Some(min), Some(max)) =
            (self.end(conn, range, None, "").await?, self.end(conn, range, None, " DESC").await?)
        else {
            return Ok(None);
        };
        match self.balanced(conn, range, (&min, &max), least).await? {
            Some(value) if self.is_inside(conn, range, &value).await? => Ok(Some(value)),
            _ => Ok(None),
        }
    }

    /// Goes as many rows from the beginning as a chunk should hold.
    async fn counted(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        min: &[u8],
        aim: u64,
    ) -> mysql::Result<Option<Vec<KeyRange>>> {
        let offset = format!(" LIMIT 1 OFFSET {aim}");
        let Some(value) = self.ask_key(conn, range, None, "", &offset).await? else { return Ok(None) };
        if !self.is_inside(conn, range, &value).await? {
            return Ok(None);
        }
        if value != min {
            return Ok(range.cut(&value).map(|(low, high)| vec![low, high]));
        }
        // More equal keys than that.
        if self.key.columns.len() > range.depth() + 1 {
            return Ok(range.take_out(min, self.key));
        }
        let Some(value) = self.end(conn, range, Some((">", min)), "").await? else { return Ok(None) };
        if !self.is_inside(conn, range, &value).await? {
            return Ok(None);
        }
        Ok(range.cut(&value).map(|(low, high)| vec![low, high]))
    }

    /// Whether the value as a literal is that of a row in this range. It is not where the text of a value stands for
    /// another one: a TIMESTAMP in the hour that the clock is put back, characters without a place in the session's set.
    async fn is_inside(&self, conn: &mut WireConn, range: &KeyRange, value: &[u8]) -> mysql::Result<bool> {
        Ok(self.end(conn, range, Some(("=", value)), "").await?.is_some())
    }

    /// The first (or with `DESC` the last) value of the range's column.
    async fn end(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        beyond: Option<(&str, &[u8])>,
        order: &str,
    ) -> mysql::Result<Option<Vec<u8>>> {
        self.ask_key(conn, range, beyond, order, " LIMIT 1").await
    }

    async fn ask_key(
        &self,
        conn: &mut WireConn,
        range: &KeyRange,
        beyond: Option<(&str, &[u8])>,
        order: &str,
        limit: &str,
    ) -> mysql::Result<Option<Vec<u8>>> {
        let Some(column) = self.key.columns.get(range.depth()) else { return Ok(None) };
        let name = quote(&column.name);
        let mut condition =
            range.condition(self.key).map_or_else(String::new, |text| format!("({text}) AND "));
        condition.push_str(&match beyond {
            Some((sign, value)) => format!("{name} {sign} {}", column.class.literal(value)),
            None => format!("{name} IS NOT NULL"),
        });
        // The columns before are fixed, so the index gives the rows in this order.
        let sql = format!(
            "SELECT {name} FROM {} FORCE INDEX ({}) WHERE {condition} ORDER BY {name}{order}{limit}",
            self.name,
            quote(&self.key.index)
        );
        match ask(conn, &sql).await {
            Ok(answer) => Ok(answer.bytes(0, 0).map(<[u8]>::to_vec)),
            // A literal that no comparison takes.
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The optimizer's guess of a range's rows. `None`: it does not take the condition.
    async fn rows(&self, conn: &mut WireConn, range: &KeyRange) -> mysql::Result<Option<u64>> {
        let condition = range.condition(self.key).map_or_else(String::new, |text| format!(" WHERE {text}"));
        let names: Vec<&str> = self.key.columns.iter().map(|column| column.name.as_str()).collect();
        // From 8.0 on MySQL does not look into an index that it is forced to use.
        let word = if self.dives_when_forced { "FORCE" } else { "USE" };
        let sql = format!(
            "SELECT {} FROM {} {word} INDEX ({}){condition}",
            common::ident::quote_list(&names),
            self.name,
            quote(&self.key.index)
        );
        match estimate(conn, self.flavor, &sql).await {
            Ok(rows) => Ok(Some(rows)),
            Err(error) if error.code().is_some() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyColumn;

    fn conditions(steps: Steps) -> Vec<String> {
        let column = KeyColumn { name: "a`".into(), class: Class::Integer, nullable: steps.nullable };
        let key = ChunkKey { index: "i".into(), columns: vec![column], unique: true };
        steps.map(|range| range.condition(&key).unwrap_or_default()).collect()
    }

    #[test]
    fn equal_steps_are_open_at_both_ends() {
        let steps = Steps::new(true, 1, 1000, 1000, 400).unwrap();
        assert_eq!(conditions(steps), ["`a``` IS NULL OR `a``` < 501", "`a``` >= 501"]);
        let steps = Steps::new(false, -5, 5, 9, 3).unwrap();
        assert_eq!(conditions(steps), ["`a``` < -1", "`a``` >= -1 AND `a``` < 3", "`a``` >= 3"]);
    }

    #[test]
    fn auto_follows_bytes_and_time() {
        let column = KeyColumn { name: "a".into(), class: Class::Text, nullable: false };
        let key = ChunkKey { index: "i".into(), columns: vec![column], unique: true };
        let name = TableName::new("d", "t");
        let finder = Finder { name: &name, key: &key, flavor: Flavor::MySql, dives_when_forced: true };
        let mut cutter =
            Cutter { finder, aim: 50_000, most: Some(1_000_000), stack: Vec::new(), steps: None, given: 0 };
        for (row, pace, aim) in [
            (1 << 20, 1_000_000, AUTO_LEAST_ROWS),
            (1000, 1_000_000, AUTO_BYTES / 1000),
            (1000, 2000, 20_000),
            (0, u64::MAX, 1_000_000),
        ] {
            cutter.adapt(row, pace);
            assert_eq!(cutter.aim, aim, "{row} {pace}");
        }
        cutter.most = None;
        cutter.adapt(1, 1);
        assert_eq!(cutter.aim, 1_000_000, "a size that was asked for stays");
    }

    #[test]
    fn small_or_narrow_tables_are_not_cut_by_steps() {
        assert!(Steps::new(false, 7, 7, 1_000_000, 10).is_none());
        assert!(Steps::new(false, 1, 100, 15, 10).is_none());
        assert_eq!(Steps::new(false, 0, 2, 1_000_000, 10).unwrap().count, 3);
        assert!(Steps::new(false, i64::MIN.into(), u64::MAX.into(), 100, 10).unwrap().count <= 11);
    }
}
