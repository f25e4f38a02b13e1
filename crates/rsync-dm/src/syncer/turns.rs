//! Turns at target tables without a key.
//!
//! There an UPDATE or DELETE reads the whole table and waits for every row that an open transaction has changed: two of them wait for each
//! other until one is rolled back. So of all lanes and sources of this process only one works with such statements on such a table at a time,
//! and with nobody inserting. Other processes are met with retries.
//!
//! Invariants
//! 1. Whoever has a turn waits for nothing but the server, so it ends.
//! 2. Several turns are taken in the order of the names, so that nobody waits in a circle.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock, Mutex, PoisonError, Weak},
};

use common::ident::TableName;
use mysql::Endpoint;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use super::scheduler::{Op, Unit};

type Table = (String, TableName);

/// Of the process, as the locks at the server are.
static TABLES: LazyLock<Mutex<HashMap<Table, Weak<RwLock<()>>>>> = LazyLock::new(Mutex::default);

/// A turn; it ends when this is dropped.
#[derive(Debug)]
pub enum Turn {
    /// With others that insert.
    Shared { _guard: OwnedRwLockReadGuard<()> },
    /// Alone.
    Alone { _guard: OwnedRwLockWriteGuard<()> },
}

/// Waits for the turns that a unit needs. Cancel-safe.
pub async fn take(target: &Endpoint, unit: &Unit) -> Vec<Turn> {
    let mut turns = Vec::new();
    for (table, alone) in tables(unit) {
        let lock = lock((format!("{}:{}", target.host, target.port), table.clone()));
        turns.push(if alone {
            Turn::Alone { _guard: lock.write_owned().await }
        } else {
            Turn::Shared { _guard: lock.read_owned().await }
        });
    }
    turns
}

/// The tables without a key that a unit changes, and whether it has to look for rows in them.
fn tables(unit: &Unit) -> BTreeMap<&TableName, bool> {
    let mut tables = BTreeMap::new();
    for group in unit.segments.iter().flat_map(|s| &s.groups).filter(|g| !g.plan.unique) {
        *tables.entry(&group.plan.target).or_default() |= !matches!(group.op, Op::Insert | Op::Replace);
    }
    tables
}

fn lock(table: Table) -> Arc<RwLock<()>> {
    let mut all = TABLES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(lock) = all.get(&table).and_then(Weak::upgrade) {
        return lock;
    }
    // Rare enough to sweep each time: only when nobody has or wants the table.
    all.retain(|_, lock| lock.strong_count() > 0);
    let lock = Arc::new(RwLock::new(()));
    all.insert(table, Arc::downgrade(&lock));
    lock
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn inserts_share_and_others_are_alone() {
        let name = |table: &str| ("h:1".to_owned(), TableName::new("d", table));
        let first = lock(name("a")).read_owned().await;
        let second = lock(name("a")).read_owned().await;
        let wait = tokio::time::timeout(Duration::from_millis(20), lock(name("a")).write_owned());
        assert!(wait.await.is_err());
        drop(lock(name("b")).write_owned().await);
        drop((first, second));
        drop(lock(name("a")).write_owned().await);
        lock(name("c"));
        assert!(TABLES.lock().unwrap().len() <= 1);
    }
}
