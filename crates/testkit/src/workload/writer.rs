//! The writer: small transactions on every shard of a source, at a steady rate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Shard, comment_literal, shards};
use crate::Random;

/// What a writer has committed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Transactions.
    pub transactions: u64,
    /// Rows inserted.
    pub inserts: u64,
    /// Updates of other columns.
    pub updates: u64,
    /// Updates of `sid`.
    pub sid_updates: u64,
    /// Rows deleted.
    pub deletes: u64,
}

/// A running writer; dropping it stops it.
#[derive(Debug)]
pub struct Writer {
    stop: CancellationToken,
    shared: Arc<Shared>,
    task: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    counts: Mutex<Counts>,
    transactions: AtomicU64,
    /// Column added to a shard later: its name by `schema.table`.
    columns: Mutex<Vec<(String, String)>>,
}

impl Shared {
    fn column_of(&self, shard: &Shard) -> Option<String> {
        let columns = self.columns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let name = shard.name();
        columns.iter().rev().find(|(table, _)| *table == name).map(|(_, column)| column.clone())
    }
}

impl Writer {
    /// Starts writing to the shards of `source` with `rate` transactions a second; each shard holds `rows` rows.
    ///
    /// # Errors
    /// When it cannot connect.
    pub async fn start(endpoint: mysql::Endpoint, source: u32, rows: u64, rate: u32) -> Result<Writer> {
        let connection = mysql::Conn::connect(&endpoint).await.context("connect the writer")?;
        let stop = CancellationToken::new();
        let shared = Arc::new(Shared::default());
        let work = Work {
            connection,
            tables: shards(source).into_iter().map(|shard| Table::new(shard, rows)).collect(),
            // The same changes in every run of the same source.
            random: Random::new(u64::from(source)),
            shared: Arc::clone(&shared),
        };
        let task = tokio::spawn(work.run(stop.clone(), rate));
        Ok(Writer { stop, shared, task: Some(task) })
    }

    /// Transactions committed so far.
    pub fn transactions(&self) -> u64 {
        self.shared.transactions.load(Ordering::Relaxed)
    }

    /// Says that `schema.table` has an integer column of that name now; the writer fills it from here on.
    pub fn use_column(&self, schema: &str, table: &str, column: &str) {
        let mut columns = self.shared.columns.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        columns.push((format!("`{schema}`.`{table}`"), column.to_owned()));
    }

    /// Stops after the open transaction.
    ///
    /// # Errors
    /// What stopped it before.
    pub async fn stop(mut self) -> Result<Counts> {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            task.await.context("the writer's task")??;
        }
        Ok(*self.shared.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct Table {
    shard: Shard,
    /// Ids up to this have been given.
    last_id: u64,
    /// Offset of the next new `sid` from the shard's base.
    next_sid: u64,
}

impl Table {
    fn new(shard: Shard, rows: u64) -> Table {
        Table { shard, last_id: rows, next_sid: 500_000_000_000 }
    }

    fn new_sid(&mut self) -> u64 {
        self.next_sid += 1;
        self.shard.sid_base + self.next_sid
    }
}

struct Work {
    connection: mysql::Conn,
    tables: Vec<Table>,
    random: Random,
    shared: Arc<Shared>,
}

impl Work {
    async fn run(mut self, stop: CancellationToken, rate: u32) -> Result<()> {
        let mut tick = interval(Duration::from_secs_f64(1.0 / f64::from(rate.max(1))));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let mut turn = 0;
        while !stop.is_cancelled() {
            tick.tick().await;
            let index = turn % self.tables.len();
            turn += 1;
            self.transaction(index).await.context("the writer's transaction")?;
        }
        self.connection.close().await;
        Ok(())
    }

    /// One to three changes of one table.
    async fn transaction(&mut self, index: usize) -> Result<()> {
        let mut done = Counts { transactions: 1, ..Counts::default() };
        self.connection.exec("BEGIN").await?;
        for _ in 0..1 + self.random.below(3) {
            match self.random.below(10) {
                0..=4 => self.insert(index, &mut done).await?,
                5 | 6 => self.update(index, &mut done).await?,
                7 => self.update_sid(index, &mut done).await?,
                _ => self.delete(index, &mut done).await?,
            }
        }
        self.connection.exec("COMMIT").await?;
        let mut counts = self.shared.counts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        counts.transactions += done.transactions;
        counts.inserts += done.inserts;
        counts.updates += done.updates;
        counts.sid_updates += done.sid_updates;
        counts.deletes += done.deletes;
        self.shared.transactions.store(counts.transactions, Ordering::Relaxed);
        Ok(())
    }

    async fn insert(&mut self, index: usize, done: &mut Counts) -> Result<()> {
        let number = self.random.number();
        let column = self.shared.column_of(&self.tables[index].shard);
        let table = &mut self.tables[index];
        let (names, value) = match column {
            Some(column) => (format!(",`{column}`"), format!(",{}", number % 1_000_000)),
            None => (String::new(), String::new()),
        };
        let sql = format!(
            "INSERT INTO {} (sid,pid,comment,at{names}) VALUES ({},{},{},now(){value})",
            table.shard.name(),
            table.new_sid(),
            number % 1000,
            comment_literal(number)
        );
        table.last_id += 1;
        done.inserts += self.connection.exec(sql).await?.affected;
        Ok(())
    }

    async fn update(&mut self, index: usize, done: &mut Counts) -> Result<()> {
        let (number, id) = self.some_id(index);
        let shard = &self.tables[index].shard;
        let also =
            self.shared.column_of(shard).map_or(String::new(), |column| format!(",`{column}`={number}%977"));
        let sql = format!(
            "UPDATE {} SET pid=pid+1, comment={}{also} WHERE id={id}",
            shard.name(),
            comment_literal(number)
        );
        done.updates += self.connection.exec(sql).await?.affected;
        Ok(())
    }

    async fn update_sid(&mut self, index: usize, done: &mut Counts) -> Result<()> {
        let (_, id) = self.some_id(index);
        let table = &mut self.tables[index];
        let sql = format!("UPDATE {} SET sid={} WHERE id={id}", table.shard.name(), table.new_sid());
        done.sid_updates += self.connection.exec(sql).await?.affected;
        Ok(())
    }

    async fn delete(&mut self, index: usize, done: &mut Counts) -> Result<()> {
        let (_, id) = self.some_id(index);
        let sql = format!("DELETE FROM {} WHERE id={id}", self.tables[index].shard.name());
        done.deletes += self.connection.exec(sql).await?.affected;
        Ok(())
    }

    fn some_id(&mut self, index: usize) -> (u64, u64) {
        let number = self.random.number();
        (number, 1 + self.random.between(0, self.tables[index].last_id))
    }
}
