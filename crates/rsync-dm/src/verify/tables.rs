//! The target tables of a task with the shards that are merged into them.

use std::collections::BTreeMap;

use common::error::{DmError, dm_codes as code};
use common::ident::{TableName, quote_string};
use mysql::Row;

use super::Verdict;
use super::columns::{Column, Fills};
use super::lacking;
use super::pool::{Pool, Pools};
use super::wait::broken;
use crate::config::SubtaskConfig;
use crate::upstream;

/// One upstream table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// `source-id`.
    pub source_id: String,
    /// Upstream name.
    pub name: TableName,
}

/// One merged table.
#[derive(Debug)]
pub struct TargetTable {
    /// Name in the target.
    pub name: TableName,
    /// What is merged into it.
    pub shards: Vec<Shard>,
    /// Columns that are compared.
    pub columns: Vec<Column>,
    /// For each shard: what stands for those that it lacks.
    pub fills: Vec<Fills>,
    /// Whether all sides write its JSON themselves: then texts are mostly equal where values are.
    pub same_json: bool,
    /// Columns that tell a row for a person, none of JSON.
    pub key: Vec<Column>,
    /// Integer column that ranges are cut on.
    pub cut_column: Option<String>,
    /// The target's guess, for progress.
    pub estimated_rows: u64,
}

/// Finds the tables of the task on all sources and reads their structures. Tables that can't be compared, such as one of which the target
/// lacks a column, are in the verdict.
///
/// # Errors
/// What the servers say.
pub async fn find(subtasks: &[SubtaskConfig], pools: &Pools) -> Result<(Vec<TargetTable>, Verdict), DmError> {
    let mut merged: BTreeMap<TableName, Vec<Shard>> = BTreeMap::new();
    for subtask in subtasks {
        let pool = pools.source(&subtask.source_id)?;
        let mut borrowed = pool.get().await?;
        let tables = upstream::tables(&mut borrowed.connection, subtask).await?;
        pool.put(borrowed).await;
        for table in tables {
            let shard = Shard { source_id: subtask.source_id.clone(), name: table.name };
            merged.entry(table.target).or_default().push(shard);
        }
    }
    let mut verdict = Verdict::default();
    let mut tables = Vec::new();
    for (name, shards) in merged {
        match describe(name, shards, pools, &mut verdict).await? {
            Ok(table) => tables.push(table),
            Err(error) => verdict.failed.push(error),
        }
    }
    Ok((tables, verdict))
}

/// The inner error is about this table alone.
async fn describe(
    name: TableName,
    shards: Vec<Shard>,
    pools: &Pools,
    verdict: &mut Verdict,
) -> Result<Result<TargetTable, DmError>, DmError> {
    let mut columns = columns_of(&pools.target, &name).await?;
    if columns.is_empty() {
        return Ok(Err(broken(&pools.target.name(), &format!("the target table {name} does not exist"))));
    }
    let mut upstreams: Vec<Vec<Column>> = Vec::new();
    for shard in &shards {
        let upstream = columns_of(pools.source(&shard.source_id)?, &shard.name).await?;
        if let Some(unknown) = upstream.iter().find(|column| same_name(&columns, column).is_none()) {
            return Ok(Err(no_such_column(&name, shard, &unknown.name)));
        }
        upstreams.push(upstream);
    }
    let (shared, extra): (Vec<Column>, Vec<Column>) = columns
        .into_iter()
        .partition(|column| upstreams.iter().any(|upstream| same_name(upstream, column).is_some()));
    columns = shared;
    if !extra.is_empty() {
        let names: Vec<&str> = extra.iter().map(|column| column.name.as_str()).collect();
        verdict.remarks.push(format!("{name}: only the target has {}: not compared", names.join(", ")));
    }
    let mut same_json = true;
    for column in &mut columns {
        let ups: Vec<Column> = upstreams.iter().filter_map(|up| same_name(up, column).cloned()).collect();
        for up in ups {
            // A value that is NULL on one side only must not vanish from the hash.
            column.nullable |= up.nullable;
            same_json &= column.is_json() == up.is_json();
            settle_type(column, &up.data_type);
        }
    }
    let lacks = |column: &Column| {
        let lacking = upstreams.iter().enumerate().filter(|(_, up)| same_name(up, column).is_none());
        lacking.map(|(number, _)| number).collect::<Vec<usize>>()
    };
    let mut fills = vec![Fills::new(); shards.len()];
    let (mut compared, mut everywhere) = (Vec::new(), Vec::new());
    for column in columns {
        let lacking = lacks(&column);
        if let Some(first) = lacking.first() {
            match lacking::default_of(&pools.target, &name, &column).await? {
                Ok(fill) => lacking.iter().for_each(|number| {
                    fills[*number].insert(compared.len(), fill.clone());
                }),
                Err(why) => {
                    let (shard, more) = (&shards[*first], lacking.len() - 1);
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    verdict.remarks.push(format!(
                        "{name}: column `{}` is not compared: {} of source {}{more} has no such column, and in the target {why}",
                        column.name, shard.name, shard.source_id
                    ));
                    continue;
                }
            }
        } else {
            everywhere.push(column.clone());
        }
        compared.push(column);
    }
    // Rows are found by columns that all shards have.
    let (key, cut_column) = keys(&pools.target, &name, &everywhere).await?;
    let estimated_rows = estimate(&pools.target, &name).await?;
    Ok(Ok(TargetTable { name, shards, columns: compared, fills, same_json, key, cut_column, estimated_rows }))
}

fn same_name<'a>(columns: &'a [Column], wanted: &Column) -> Option<&'a Column> {
    columns.iter().find(|column| column.name.eq_ignore_ascii_case(&wanted.name))
}

fn no_such_column(name: &TableName, shard: &Shard, column: &str) -> DmError {
    code::SYNCER_UNIT_DML_COLUMN_NOT_MATCH
        .error(format!(
            "{} of source {} has a column `{column}`, which the target table {name} does not have: the table is not compared",
            shard.name, shard.source_id
        ))
        .with_workaround("Finish the shard DDL on all sources, or add the column to the target, then verify again.")
}

/// Types whose text differs are compared in the form that both can take.
fn settle_type(column: &mut Column, upstream: &str) {
    // MariaDB has JSON in LONGTEXT: the side that has a type for it says what it is.
    if column.data_type == upstream || column.is_json() {
        return;
    }
    let is_float = |data_type: &str| matches!(data_type, "float" | "double");
    if is_float(upstream) || is_float(&column.data_type) {
        column.data_type = "double".into();
    } else if upstream.ends_with("text") || upstream.ends_with("blob") || upstream == "json" {
        column.data_type = upstream.into();
    }
}

async fn columns_of(pool: &Pool, name: &TableName) -> Result<Vec<Column>, DmError> {
    let sql = format!(
        "SELECT column_name, data_type, is_nullable FROM information_schema.columns WHERE table_schema={} AND \
         table_name={} ORDER BY ordinal_position",
        quote_string(&name.schema),
        quote_string(&name.table)
    );
    let rows = pool.query(&sql).await?;
    let column = |row: &Row| {
        let nullable = row.text(2)?.eq_ignore_ascii_case("yes");
        Ok(Column { name: row.text(0)?, data_type: row.text(1)?.to_ascii_lowercase(), nullable })
    };
    let columns = rows.iter().map(column).collect::<mysql::Result<Vec<_>>>();
    columns.map_err(|error| broken(&pool.name(), &error))
}

/// The columns that name a row, and the integer column to cut on.
async fn keys(
    pool: &Pool,
    name: &TableName,
    columns: &[Column],
) -> Result<(Vec<Column>, Option<String>), DmError> {
    let sql = format!(
        "SELECT index_name, non_unique, column_name, seq_in_index FROM information_schema.statistics WHERE \
         table_schema={} AND table_name={} AND column_name IS NOT NULL ORDER BY index_name='PRIMARY' DESC, \
         non_unique, index_name, seq_in_index",
        quote_string(&name.schema),
        quote_string(&name.table)
    );
    let rows = pool.query(&sql).await?;
    let mut indexes: Vec<(String, bool, Vec<&Column>)> = Vec::new();
    for row in rows.iter() {
        let part = || -> mysql::Result<_> { Ok((row.text(0)?, row.text(1)? == "0", row.text(2)?)) };
        let (index, unique, column) = part().map_err(|error| broken(&pool.name(), &error))?;
        let column = columns.iter().find(|known| known.name.eq_ignore_ascii_case(&column));
        if indexes.last().is_none_or(|(last, ..)| *last != index) {
            indexes.push((index, unique, Vec::new()));
        }
        // A column that is not compared makes the index useless here: an empty list says so.
        match (indexes.last_mut(), column) {
            (Some((_, _, parts)), Some(column)) => parts.push(column),
            (Some((_, unique, _)), None) => *unique = false,
            (None, _) => {}
        }
    }
    let key = indexes
        .iter()
        .find(|(_, unique, parts)| {
            *unique && !parts.is_empty() && parts.iter().all(|column| !column.nullable && !column.has_texts())
        })
        .map(|(_, _, parts)| parts.iter().map(|column| (*column).clone()).collect());
    let leading = |wanted_unique: bool| {
        indexes
            .iter()
            .filter(move |(_, unique, parts)| *unique == wanted_unique || parts.len() > 1)
            .find_map(|(_, _, parts)| parts.first().filter(|column| column.is_integer()))
            .map(|column| column.name.clone())
    };
    let of_one_text = || columns.iter().filter(|column| !column.has_texts()).cloned().collect();
    Ok((key.unwrap_or_else(of_one_text), leading(true).or_else(|| leading(false))))
}

async fn estimate(pool: &Pool, name: &TableName) -> Result<u64, DmError> {
    let sql = format!(
        "SELECT table_rows FROM information_schema.tables WHERE table_schema={} AND table_name={}",
        quote_string(&name.schema),
        quote_string(&name.table)
    );
    let rows = pool.query(&sql).await?;
    let count = rows.first().map(|row| row.parse::<u64>(0)).transpose();
    Ok(count.map_err(|error| broken(&pool.name(), &error))?.flatten().unwrap_or(0))
}
