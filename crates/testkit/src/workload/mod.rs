//! The sharded tables of the main job, their first rows, and a writer that keeps changing them.
//!
//! Each source holds `my_db1.table1..4` and `my_db2.table1..4` in latin1. `id` counts from 1 in every table, so it
//! repeats between shards; `sid` never does. `comment` holds every byte from 0x80 to 0xFF.

mod writer;

pub use writer::{Counts, Writer};

use anyhow::{Context, Result};

/// The schemas of a source.
pub const SCHEMAS: [&str; 2] = ["my_db1", "my_db2"];

/// The tables of each schema.
pub const TABLES: [&str; 4] = ["table1", "table2", "table3", "table4"];

/// Rows made by themselves; the rest is doubled from them.
const SEED_ROWS: u64 = 128;

/// One table of one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// Number of the source, from 1.
    pub source: u32,
    /// Schema.
    pub schema: &'static str,
    /// Table.
    pub table: &'static str,
    /// All of its `sid` lie between this and the base of the next shard.
    pub sid_base: u64,
}

impl Shard {
    /// Back-quoted name.
    pub fn name(&self) -> String {
        format!("`{}`.`{}`", self.schema, self.table)
    }
}

/// The eight shards of a source.
pub fn shards(source: u32) -> Vec<Shard> {
    let names = SCHEMAS.iter().flat_map(|schema| TABLES.iter().map(move |table| (*schema, *table)));
    let base = |index: usize| (u64::from(source) * 8 + index as u64) * 1_000_000_000_000;
    names
        .enumerate()
        .map(|(index, (schema, table))| Shard { source, schema, table, sid_base: base(index) })
        .collect()
}

/// The CREATE TABLE of a shard.
pub fn create_table(shard: &Shard) -> String {
    format!(
        "CREATE TABLE {} (id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, sid bigint NOT NULL UNIQUE, \
         pid bigint NOT NULL, comment varchar(255), at timestamp) DEFAULT CHARSET=latin1",
        shard.name()
    )
}

/// Makes the shards of a source with `rows` rows each. `connection` may do everything there.
///
/// # Errors
/// What the server says.
pub async fn load(connection: &mut mysql::Conn, source: u32, rows: u64) -> Result<()> {
    for schema in SCHEMAS {
        connection.exec(format!("CREATE DATABASE {schema} DEFAULT CHARSET latin1")).await?;
    }
    for shard in shards(source) {
        connection.exec(create_table(&shard)).await?;
        fill(connection, &shard, rows).await.with_context(|| format!("fill {}", shard.name()))?;
    }
    Ok(())
}

async fn fill(connection: &mut mysql::Conn, shard: &Shard, rows: u64) -> Result<()> {
    let name = shard.name();
    let mut there = rows.min(SEED_ROWS);
    if there == 0 {
        return Ok(());
    }
    let values: Vec<String> = (1..=there).map(|id| seed_row(shard, id)).collect();
    connection
        .exec(format!("INSERT INTO {name} (id,sid,pid,comment,at) VALUES {}", values.join(",")))
        .await?;
    while there < rows {
        let more = there.min(rows - there).min(50_000);
        connection
            .exec(format!(
                "INSERT INTO {name} (id,sid,pid,comment,at) SELECT id+{there}, sid+{there}, pid+{there}%1000, \
                 comment, at + INTERVAL {there} SECOND FROM {name} WHERE id <= {more}"
            ))
            .await?;
        there += more;
    }
    connection.exec(format!("ANALYZE TABLE {name}")).await?;
    Ok(())
}

fn seed_row(shard: &Shard, id: u64) -> String {
    let sid = shard.sid_base + id;
    format!("({id},{sid},{},{},'2020-01-01 00:00:00' + INTERVAL {id} SECOND)", id % 1000, comment_literal(id))
}

/// A comment as an SQL literal: NULL, empty, or text with four of the bytes from 0x80 to 0xFF.
pub(crate) fn comment_literal(number: u64) -> String {
    match number % 50 {
        7 => "NULL".into(),
        9 => "_latin1''".into(),
        _ => {
            let high = (0..4).map(|step| format!("{:02x}", 0x80 + (number + step * 37) % 128));
            // Quote, backslash, NUL and newline beside them: what a dump has to escape.
            let ascii = ["27", "5c", "00", "0a"][(number % 4) as usize];
            format!("_latin1 0x{}{ascii}{:016x}", high.collect::<String>(), number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_of_shards_do_not_meet() {
        let bases: Vec<u64> = (1..=3).flat_map(shards).map(|shard| shard.sid_base).collect();
        assert!(bases.windows(2).all(|pair| pair[1] - pair[0] >= 1_000_000_000_000));
    }

    #[test]
    fn the_seed_rows_hold_every_high_byte() {
        let all: String = (1..=SEED_ROWS).map(comment_literal).collect();
        for byte in 0x80..=0xffu8 {
            assert!(all.contains(&format!("{byte:02x}")), "{byte:02x}");
        }
    }
}
