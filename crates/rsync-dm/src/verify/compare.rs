//! One range: sums first, rows where they differ.

use std::collections::HashMap;
use std::fmt;

use common::error::DmError;
use common::ident::TableName;
use futures::future::try_join_all;

use super::columns::{key_text, row_hash, summary};
use super::pool::{Pool, Pools};
use super::range::Range;
use super::tables::{Shard, TargetTable};
use super::wait::broken;

/// What a range holds.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows that both sides have.
    pub equal: u64,
    /// Rows that they do not.
    pub differences: Vec<Difference>,
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

/// Count and sums of one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Sums {
    rows: u64,
    first: u128,
    second: u128,
}

/// Compares one range of a table.
///
/// # Errors
/// What the servers say.
pub async fn range(table: &TargetTable, range: &Range, pools: &Pools) -> Result<Outcome, DmError> {
    let condition = range.condition();
    let sums_of = |pool, name: &TableName| sums(pool, hashes(table, name, &condition, false));
    let target = sums_of(&pools.target, &table.name);
    let shards = table.shards.iter().map(|shard| {
        let pool = pools.source(&shard.source_id);
        let sums = pool.map(|pool| sums_of(pool, &shard.name));
        async move { sums?.await }
    });
    let (target, shards) = futures::try_join!(target, try_join_all(shards))?;
    let mut union = Sums::default();
    for one in shards {
        union.rows += one.rows;
        union.first += one.first;
        union.second += one.second;
    }
    if union == target {
        return Ok(Outcome { equal: target.rows, differences: Vec::new() });
    }
    rows(table, &condition, pools).await
}

/// A SELECT of every row's hash `h` and, if wanted, its key `k`.
fn hashes(table: &TargetTable, name: &TableName, condition: &str, with_key: bool) -> String {
    let key = if with_key { format!(",{} k", key_text(&table.key)) } else { String::new() };
    format!("SELECT {} h{key} FROM {} WHERE {condition}", row_hash(&table.columns), name.quoted())
}

async fn sums(pool: &Pool, source: String) -> Result<Sums, DmError> {
    let rows = pool.query(&summary(&source)).await?;
    let wrong = |error: mysql::Error| broken(&pool.name(), &error);
    let row = rows.first().ok_or_else(|| broken(&pool.name(), &"a sum without a row"))?;
    Ok(Sums {
        rows: row.parse(0).map_err(wrong)?.unwrap_or(0),
        first: row.parse(1).map_err(wrong)?.unwrap_or(0),
        second: row.parse(2).map_err(wrong)?.unwrap_or(0),
    })
}

/// How often a row of one hash is on each side.
#[derive(Debug, Default)]
struct Copies {
    target: u64,
    shards: u64,
    key: String,
    shard: Option<Shard>,
}

/// Lists both sides; rows of one hash are the same row.
async fn rows(table: &TargetTable, condition: &str, pools: &Pools) -> Result<Outcome, DmError> {
    let mut copies: HashMap<[u8; 32], Copies> = HashMap::new();
    read(&pools.target, hashes(table, &table.name, condition, true), |hash, key| {
        let copy = copies.entry(hash).or_default();
        copy.target += 1;
        copy.key = key;
    })
    .await?;
    for shard in &table.shards {
        let pool = pools.source(&shard.source_id)?;
        read(pool, hashes(table, &shard.name, condition, true), |hash, key| {
            let copy = copies.entry(hash).or_default();
            copy.shards += 1;
            copy.key = key;
            copy.shard = Some(shard.clone());
        })
        .await?;
    }
    Ok(judge(&table.name, copies.into_values()))
}

/// Streams `(hash, key)`.
async fn read(pool: &Pool, sql: String, mut take: impl FnMut([u8; 32], String)) -> Result<(), DmError> {
    let wrong = |error: mysql::Error| broken(&pool.name(), &error);
    let mut borrowed = pool.get().await?;
    let mut stream = borrowed.connection.stream(sql).await.map_err(wrong)?;
    while let Some(row) = stream.next().await.map_err(wrong)? {
        let mut hash = [0; 32];
        let text = row.text(0).map_err(wrong)?;
        hex::decode_to_slice(&text, &mut hash)
            .map_err(|error| broken(&pool.name(), &format!("`{text}` is no hash: {error}")))?;
        take(hash, row.text(1).map_err(wrong)?);
    }
    drop(stream);
    pool.put(borrowed).await;
    Ok(())
}

fn judge(table: &TableName, copies: impl Iterator<Item = Copies>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut missing: HashMap<String, Vec<Shard>> = HashMap::new();
    let mut extra: Vec<String> = Vec::new();
    for copy in copies {
        outcome.equal += copy.target.min(copy.shards);
        if copy.shards > copy.target {
            let shards = (copy.target..copy.shards).filter_map(|_| copy.shard.clone());
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
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard() -> Shard {
        Shard { source_id: "s1".into(), name: TableName::new("a", "t1") }
    }

    fn copy(target: u64, shards: u64, key: &str) -> Copies {
        Copies { target, shards, key: key.into(), shard: (shards > 0).then(shard) }
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
        let outcome = judge(&TableName::new("a", "t"), copies.into_iter());
        assert_eq!(outcome.equal, 2);
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
}
