//! The shard DDL locks of a master: the pure [`Pessimist`], with what the scheduler knows of the members.
//!
//! Invariants
//! 1. A proposal reaches the state machine only when every source of its task has stated its tables: else a lock
//!    could be resolved before a member is known. Earlier ones wait here; the workers repeat them after any break,
//!    so they need not be durable.
//! 2. Effects are carried out only after the state is durable.

use std::collections::{BTreeMap, BTreeSet};

use common::error::DmError;
use serde::{Deserialize, Serialize};

use super::store::{Change, Store, StoreError, Table};
use crate::{
    proto::pb,
    shard::{Effect, Pessimist, ShardInfo, ShardOperation, TargetTables},
};

const ROW: &str = "pessimistic";

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Locks {
    machine: Pessimist,
    /// Task → sources that have stated their tables.
    stated: BTreeMap<String, BTreeSet<String>>,
    waiting: Vec<ShardInfo>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    machine: String,
    stated: BTreeMap<String, BTreeSet<String>>,
}

impl Locks {
    /// Reads what a former master left.
    ///
    /// # Errors
    /// The row can't be read or is of a newer version.
    pub fn load(store: &Store) -> Result<Self, StoreError> {
        let rows = store.load(Table::Locks, |_, text| {
            let row: Row = serde_json::from_str(text).map_err(|e| e.to_string())?;
            Ok(Self { machine: Pessimist::from_json(&row.machine)?, stated: row.stated, waiting: Vec::new() })
        })?;
        Ok(rows.into_iter().next().map(|(_, locks)| locks).unwrap_or_default())
    }

    /// The row to write after a change.
    pub fn change(&self) -> Change {
        let row = Row { machine: self.machine.to_json(), stated: self.stated.clone() };
        let value = serde_json::to_string(&row).expect("texts and sets are JSON");
        Change { table: Table::Locks, key: ROW.into(), value: Some(value) }
    }

    /// A source states its target tables. `members` are all sources of the task.
    pub fn set_tables(
        &mut self,
        task: &str,
        source: &str,
        targets: Vec<TargetTables>,
        members: &[String],
    ) -> Vec<Effect> {
        self.stated.entry(task.into()).or_default().insert(source.into());
        let mut effects = self.machine.set_tables(task, source, targets);
        effects.extend(self.release(task, members));
        effects
    }

    /// A source has reached statements.
    pub fn propose(&mut self, info: ShardInfo, members: &[String]) -> Vec<Effect> {
        if self.is_complete(&info.task, members) {
            return self.machine.propose(&info);
        }
        if !self.waiting.contains(&info) {
            self.waiting.push(info);
        }
        Vec::new()
    }

    /// A source has carried out an operation.
    pub fn done(&mut self, operation: &ShardOperation) -> Vec<Effect> {
        self.machine.done(operation)
    }

    /// Sources leave a task; `members` are those that stay.
    pub fn remove(&mut self, task: &str, sources: &[String], members: &[String]) -> Vec<Effect> {
        if let Some(stated) = self.stated.get_mut(task) {
            stated.retain(|s| !sources.contains(s));
        }
        if members.is_empty() {
            self.stated.remove(task);
        }
        self.waiting.retain(|i| !(i.task == task && sources.contains(&i.source)));
        let mut effects = self.machine.remove(task, sources);
        effects.extend(self.release(task, members));
        effects
    }

    /// An operator ends the waiting, see [`Pessimist::unlock`].
    ///
    /// # Errors
    /// 38019, 38020, 38022.
    pub fn unlock(&mut self, id: &str, owner: Option<&str>) -> Result<Vec<Effect>, DmError> {
        self.machine.unlock(id, owner)
    }

    /// An operator ends a lock whatever its owner does.
    pub fn force_release(&mut self, id: &str) -> Vec<Effect> {
        self.machine.force_release(id)
    }

    /// Whether the owner has run the statements, or the lock is gone.
    pub fn owner_is_done(&self, id: &str) -> bool {
        self.machine.owner_is_done(id)
    }

    /// The task of a lock.
    pub fn task_of(&self, id: &str) -> Option<String> {
        self.machine.locks("", &[]).into_iter().find(|l| l.id == id).map(|l| l.task)
    }

    /// Why a source of a task waits although it has reached statements.
    pub fn conflicts(&self, task: &str, source: &str) -> Vec<DmError> {
        self.machine.conflicts(task, source)
    }

    /// Locks as `shard-ddl-lock` shows them.
    pub fn show(&self, task: &str, sources: &[String]) -> Vec<pb::DdlLock> {
        self.machine
            .locks(task, sources)
            .into_iter()
            .map(|lock| pb::DdlLock {
                id: lock.id,
                task: lock.task,
                mode: "pessimistic".into(),
                owner: lock.owner,
                dd_ls: lock.ddls,
                synced: lock.synced,
                unsynced: lock.unsynced,
            })
            .collect()
    }

    fn is_complete(&self, task: &str, members: &[String]) -> bool {
        let stated = self.stated.get(task);
        members.iter().all(|m| stated.is_some_and(|s| s.contains(m)))
    }

    fn release(&mut self, task: &str, members: &[String]) -> Vec<Effect> {
        if !self.is_complete(task, members) {
            return Vec::new();
        }
        let (ready, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|i| i.task == task);
        self.waiting = waiting;
        let ready: Vec<ShardInfo> = ready;
        ready.iter().flat_map(|info| self.machine.propose(info)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Vec<TargetTables> {
        vec![TargetTables { schema: "d".into(), table: "t".into(), count: 1 }]
    }

    fn info(source: &str) -> ShardInfo {
        ShardInfo {
            task: "k".into(),
            source: source.into(),
            schema: "d".into(),
            table: "t".into(),
            ddls: vec!["ALTER TABLE `d`.`t` ADD COLUMN c INT".into()],
            origins: Vec::new(),
        }
    }

    fn members() -> Vec<String> {
        vec!["a".into(), "b".into()]
    }

    #[test]
    fn a_proposal_waits_until_all_members_are_known() {
        let mut locks = Locks::default();
        locks.set_tables("k", "a", tables(), &members());
        assert!(locks.propose(info("a"), &members()).is_empty());
        assert!(locks.show("", &[]).is_empty());
        locks.set_tables("k", "b", tables(), &members());
        let shown = locks.show("k", &[]);
        assert_eq!(shown.len(), 1);
        assert_eq!(
            (shown[0].synced.as_slice(), shown[0].unsynced.as_slice()),
            (&["a".to_owned()][..], &["b".to_owned()][..])
        );
        assert_eq!(shown[0].id, "k-`d`.`t`");
        let effects = locks.propose(info("b"), &members());
        assert!(matches!(&effects[..], [Effect::Operate(o)] if o.source == "a" && o.exec), "{effects:?}");
    }

    #[test]
    fn an_open_lock_survives_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let mut locks = Locks::default();
        locks.set_tables("k", "a", tables(), &members());
        locks.set_tables("k", "b", tables(), &members());
        locks.propose(info("a"), &members());
        store.apply(&[locks.change()]).unwrap();
        let mut again = Locks::load(&store).unwrap();
        assert_eq!(again.show("", &[]), locks.show("", &[]));
        assert!(again.propose(info("a"), &members()).is_empty(), "a repeated proposal changes nothing");
        assert_eq!(again.propose(info("b"), &members()).len(), 1);
    }

    #[test]
    fn a_member_that_leaves_does_not_hold_the_lock() {
        let mut locks = Locks::default();
        locks.set_tables("k", "a", tables(), &members());
        locks.set_tables("k", "b", tables(), &members());
        locks.propose(info("a"), &members());
        let effects = locks.remove("k", &["b".into()], &["a".into()]);
        assert!(matches!(&effects[..], [Effect::Operate(o)] if o.source == "a" && o.exec), "{effects:?}");
    }
}
