//! One range: sums first, once more with JSON and floating point numbers by value, rows where they still differ.

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use common::error::DmError;
use common::ident::{TableName, quote, quote_string};
use futures::future::try_join_all;

use super::columns::{Column, Fills, Groups, Sums, group_of, key_text, row_hash, summary, value};
use super::pool::{Pool, Pools};
use super::range::Range;
use super::tables::{Shard, TargetTable};
use super::wait::broken;

/// Rows of one group beyond which it is not listed, in terms of [`Limits::listed`].
const CROWD: u64 = 8;

/// Groups of a range that is listed in passes: a pass takes some sixteen of them where most of them differ.
const GROUPS_OF_A_PASS: u64 = 16;

/// Most groups.
const MOST_GROUPS: u64 = 1 << 16;

/// Bounds of what is kept in memory.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows of a side that are listed at a time.
    pub listed: u64,
    /// Differences that are named.
    pub named: usize,
}

/// What ranges hold.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows that both sides have.
    pub equal: u64,
    /// Rows that they do not.
    pub differing: u64,
    /// The first of these, by name.
    pub differences: Vec<Difference>,
    /// Rows of groups that differ and are too large to be listed: some of them differ.
    pub unlisted: u64,
}

impl Outcome {
    /// Adds what another range holds, and keeps no more than `named` names.
    pub fn add(&mut self, other: Outcome, named: usize) {
        self.equal += other.equal;
        self.differing += other.differing;
        self.unlisted += other.unlisted;
        let room = named.saturating_sub(self.differences.len());
        self.differences.extend(other.differences.into_iter().take(room));
    }
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Target table.
    pub table: TableName,
    /// The row's key, `id=7`.
    pub key: String,
    /// How it differs.
    pub kind: DifferenceKind,
}

/// How a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// The target lacks it.
    Missing(Shard),
    /// No shard has it.
    Extra,
    /// Both have a row of this key, with other values.
    Different(Shard),
    /// The target has it more often than the shards.
    Doubled {
        /// How often in the target.
        target: u64,
        /// How often in the shards.
        shards: u64,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: ", self.table, self.key)?;
        match &self.kind {
            DifferenceKind::Missing(shard) => {
                write!(f, "missing in the target, there in {} of source {}", shard.name, shard.source_id)
            }
            DifferenceKind::Extra => write!(f, "only in the target"),
            DifferenceKind::Different(shard) => {
                write!(f, "other values than in {} of source {}", shard.name, shard.source_id)
            }
            DifferenceKind::Doubled { target, shards } => {
                write!(f, "{target} times in the target, {shards} times in the shards")
            }
        }
    }
}

/// How values count that servers write in different texts ([`Column::has_texts`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// By the texts that the servers make of it; they give the sums.
    Texts,
    /// By value; it comes here.
    Values,
}

/// Compares one range of a table; `None` for one that differs when nobody wants it listed.
///
/// # Errors
/// What the servers say.
pub async fn range(
    table: &TargetTable,
    range: &Range,
    pools: &Pools,
    list: Option<Limits>,
) -> Result<Option<Outcome>, DmError> {
    let condition = range.condition();
    let rows = |groups: &Groups| groups.get(&0).map_or(0, |sums| sums.rows);
    let has = |what: fn(&Column) -> bool| table.columns.iter().any(what);
    let looks = [Look::Texts, Look::Values].into_iter().filter(|look| match look {
        Look::Texts => table.same_json || !has(Column::is_json),
        Look::Values => has(Column::has_texts),
    });
    let mut most = 0;
    for look in looks {
        let (target, shards) = both(table, &condition, 1, look, pools).await?;
        if target == shards {
            return Ok(Some(Outcome { equal: rows(&target), ..Outcome::default() }));
        }
        most = rows(&target).max(rows(&shards));
    }
    let Some(limits) = list else { return Ok(None) };
    if most <= limits.listed {
        return rows_of(table, &condition, pools).await.map(|mut outcome| {
            outcome.differences.truncate(limits.named);
            Some(outcome)
        });
    }
    in_passes(table, &condition, most, pools, limits).await.map(Some)
}

/// Lists a range that is too large to be listed at once: of groups of keys only those that differ, some at a time.
async fn in_passes(
    table: &TargetTable,
    condition: &str,
    rows: u64,
    pools: &Pools,
    limits: Limits,
) -> Result<Outcome, DmError> {
    let count = (rows / limits.listed.max(1) + 1).saturating_mul(GROUPS_OF_A_PASS).min(MOST_GROUPS);
    let look = if table.columns.iter().any(Column::has_texts) { Look::Values } else { Look::Texts };
    let (target, shards) = both(table, condition, count, look, pools).await?;
    let mut outcome = Outcome::default();
    let mut differing: Vec<(u64, u64)> = Vec::new();
    let numbers: BTreeSet<u64> = target.keys().chain(shards.keys()).copied().collect();
    for number in numbers {
        let of = |groups: &Groups| groups.get(&number).copied().unwrap_or_default();
        let (target, shards) = (of(&target), of(&shards));
        let rows = target.rows.max(shards.rows);
        if target == shards {
            outcome.equal += rows;
        } else if rows > limits.listed.saturating_mul(CROWD) {
            outcome.unlisted += rows;
        } else {
            differing.push((number, rows));
        }
    }
    let group = group_of(&table.key, count);
    for pass in passes(&differing, limits.listed) {
        let condition = format!("({condition}) AND {group} IN ({})", pass.join(","));
        outcome.add(rows_of(table, &condition, pools).await?, limits.named);
    }
    Ok(outcome)
}

/// Groups, given as number and rows, put together as long as their rows are not more than `most`.
fn passes(groups: &[(u64, u64)], most: u64) -> Vec<Vec<String>> {
    let mut passes: Vec<Vec<String>> = Vec::new();
    let mut sum = 0;
    for (number, rows) in groups {
        sum += rows;
        match passes.last_mut() {
            Some(last) if sum <= most => last.push(number.to_string()),
            _ => {
                sum = *rows;
                passes.push(vec![number.to_string()]);
            }
        }
    }
    passes
}

/// The sums of the target, and of all shards together.
async fn both(
    table: &TargetTable,
    condition: &str,
    groups: u64,
    look: Look,
    pools: &Pools,
) -> Result<(Groups, Groups), DmError> {
    let group = group_of(&table.key, groups);
    let sums_of = async |pool, name: &TableName, fills: &Fills| match look {
        Look::Texts => {
            let hash = row_hash(table.columns.iter().enumerate(), fills);
            sums(pool, format!("SELECT {hash} h,{group} g FROM {} WHERE {condition}", name.quoted())).await
        }
        Look::Values => {
            let mut sums = Groups::new();
            read(table, pool, select(table, name, fills, &group, condition), |hash, group| {
                sums.entry(group.parse().unwrap_or_default()).or_default().count(&hash);
            })
            .await?;
            Ok(sums)
        }
    };
    let nothing = Fills::new();
    let target = sums_of(&pools.target, &table.name, &nothing);
    let shards = table.shards.iter().zip(&table.fills).map(async |(shard, fills)| {
        let pool = pools.source(&shard.source_id)?;
        sums_of(pool, &shard.name, fills).await
    });
    let (target, shards) = futures::try_join!(target, try_join_all(shards))?;
    let mut union = Groups::new();
    for (number, one) in shards.into_iter().flatten() {
        *union.entry(number).or_default() += one;
    }
    Ok((target, union))
}

async fn sums(pool: &Pool, source: String) -> Result<Groups, DmError> {
    let rows = pool.query(&summary(&source)).await?;
    let wrong = |error: mysql::Error| broken(&pool.name(), &error);
    rows.iter().map(Sums::of_summary).collect::<mysql::Result<_>>().map_err(wrong)
}

/// How often a row of one hash is on each side.
#[derive(Debug, Default)]
struct Copies {
    target: u64,
    shards: u64,
    key: String,
    /// The last shard that has it, by its number.
    shard: Option<usize>,
}

/// Lists both sides; rows of one hash are the same row.
async fn rows_of(table: &TargetTable, condition: &str, pools: &Pools) -> Result<Outcome, DmError> {
    let key = key_text(&table.key);
    let select = |name: &TableName, fills: &Fills| select(table, name, fills, &key, condition);
    let mut copies: HashMap<[u8; 32], Copies> = HashMap::new();
    read(table, &pools.target, select(&table.name, &Fills::new()), |hash, key| {
        let copy = copies.entry(hash).or_default();
        copy.target += 1;
        copy.key = key;
    })
    .await?;
    for (number, (shard, fills)) in table.shards.iter().zip(&table.fills).enumerate() {
        let pool = pools.source(&shard.source_id)?;
        read(table, pool, select(&shard.name, fills), |hash, key| {
            let copy = copies.entry(hash).or_default();
            copy.shards += 1;
            copy.key = key;
            copy.shard = Some(number);
        })
        .await?;
    }
    Ok(judge(&table.name, &table.shards, copies.into_values()))
}

/// What [`read`] takes: each row's hash without the values of many texts, something that is wanted with it, and these values.
fn select(table: &TargetTable, name: &TableName, fills: &Fills, wanted: &str, condition: &str) -> String {
    let hash = row_hash(table.columns.iter().enumerate().filter(|(_, column)| !column.has_texts()), fills);
    let text = |(number, column): (usize, &Column)| match fills.get(&number) {
        Some(fill) => fill.text.as_deref().map_or_else(|| "NULL".into(), quote_string),
        None => column.value_text(&quote(&column.name)),
    };
    let texts: String = with_texts(table).map(|numbered| format!(",{}", text(numbered))).collect();
    format!("SELECT {hash},{wanted}{texts} FROM {} WHERE {condition}", name.quoted())
}

fn with_texts(table: &TargetTable) -> impl Iterator<Item = (usize, &Column)> {
    table.columns.iter().enumerate().filter(|(_, column)| column.has_texts())
}

/// Streams rows as their hash and what was wanted with it.
async fn read(
    table: &TargetTable,
    pool: &Pool,
    sql: String,
    mut take: impl FnMut([u8; 32], String),
) -> Result<(), DmError> {
    let wrong = |error: mysql::Error| broken(&pool.name(), &error);
    let mut borrowed = pool.get().await?;
    let mut stream = borrowed.connection.stream(sql).await.map_err(wrong)?;
    while let Some(row) = stream.next().await.map_err(wrong)? {
        let mut hash = [0; 32];
        let text = row.text(0).map_err(wrong)?;
        hex::decode_to_slice(&text, &mut hash)
            .map_err(|error| broken(&pool.name(), &format!("`{text}` is no hash: {error}")))?;
        let values = with_texts(table).map(|(_, column)| column).zip(row.cells().skip(2));
        take(with_values(hash, values), row.text(1).map_err(wrong)?);
    }
    drop(stream);
    pool.put(borrowed).await;
    Ok(())
}

/// The hash of a row with the values that were left out of it.
fn with_values<'a>(hash: [u8; 32], values: impl Iterator<Item = (&'a Column, Option<&'a [u8]>)>) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&hash);
    for (column, cell) in values {
        // Each in as many bytes, whatever it is.
        let value = cell.map(|text| value(column, text)).unwrap_or_default();
        hasher.update(blake3::hash(&value).as_bytes());
    }
    hasher.finalize().into()
}

fn judge(table: &TableName, shards: &[Shard], copies: impl Iterator<Item = Copies>) -> Outcome {
    let mut outcome = Outcome::default();
    let shard_of = |copy: &Copies| copy.shard.and_then(|number| shards.get(number)).cloned();
    let mut missing: HashMap<String, Vec<Shard>> = HashMap::new();
    let mut extra: Vec<String> = Vec::new();
    for copy in copies {
        outcome.equal += copy.target.min(copy.shards);
        if copy.shards > copy.target {
            let shards: Vec<Shard> = (copy.target..copy.shards).filter_map(|_| shard_of(&copy)).collect();
            missing.entry(copy.key).or_default().extend(shards);
        } else if copy.target > copy.shards && copy.shards > 0 {
            let kind = DifferenceKind::Doubled { target: copy.target, shards: copy.shards };
            outcome.differences.push(Difference { table: table.clone(), key: copy.key, kind });
        } else if copy.target > copy.shards {
            extra.extend((copy.shards..copy.target).map(|_| copy.key.clone()));
        }
    }
    // A missing row and an extra one of the same key are one row with other values.
    for key in extra {
        let shard = missing.get_mut(&key).and_then(Vec::pop);
        let kind = shard.map_or(DifferenceKind::Extra, DifferenceKind::Different);
        outcome.differences.push(Difference { table: table.clone(), key, kind });
    }
    for (key, shards) in missing {
        let of = |shard| Difference {
            table: table.clone(),
            key: key.clone(),
            kind: DifferenceKind::Missing(shard),
        };
        outcome.differences.extend(shards.into_iter().map(of));
    }
    outcome.differences.sort_by(|a, b| a.key.cmp(&b.key));
    outcome.differing = outcome.differences.len() as u64;
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        Shard { source_id: "s1".into(), name: TableName::new("a", "t1") }
    }

    fn copy(target: u64, shards: u64, key: &str) -> Copies {
        Copies { target, shards, key: key.into(), shard: (shards > 0).then_some(0) }
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let copies = [
            copy(1, 1, "id=1"),
            copy(0, 1, "id=2"),
            copy(1, 0, "id=3"),
            copy(1, 0, "id=4"),
            copy(0, 1, "id=4"),
            copy(2, 1, "id=5"),
        ];
        let outcome = judge(&TableName::new("a", "t"), &[shard()], copies.into_iter());
        assert_eq!((outcome.equal, outcome.differing), (2, 4));
        let said: Vec<String> = outcome.differences.iter().map(Difference::to_string).collect();
        assert_eq!(
            said,
            [
                "`a`.`t`: id=2: missing in the target, there in `a`.`t1` of source s1",
                "`a`.`t`: id=3: only in the target",
                "`a`.`t`: id=4: other values than in `a`.`t1` of source s1",
                "`a`.`t`: id=5: 2 times in the target, 1 times in the shards",
            ]
        );
    }

    #[test]
    fn passes_take_no_more_than_they_may() {
        let passes = passes(&[(0, 5), (3, 5), (4, 1), (7, 30), (9, 2), (11, 8)], 10);
        assert_eq!(passes, [vec!["0", "3"], vec!["4"], vec!["7"], vec!["9", "11"]]);
    }

    #[test]
    fn names_are_bounded_and_counts_are_not() {
        let one = |key: &str| Difference {
            table: TableName::new("a", "t"),
            key: key.into(),
            kind: DifferenceKind::Extra,
        };
        let mut all = Outcome::default();
        for _ in 0..3 {
            let differences = vec![one("1"), one("2")];
            all.add(Outcome { equal: 1, differing: 1000, differences, unlisted: 7 }, 3);
        }
        assert_eq!((all.equal, all.differing, all.differences.len(), all.unlisted), (3, 3000, 3, 21));
    }
}
