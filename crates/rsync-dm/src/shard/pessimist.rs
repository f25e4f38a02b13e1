//! The locks of pessimistic shard DDL, as a pure state machine: calls in, effects out.
//!
//! States of a lock: `Collecting` (sources come one by one) → `Owner` (all are there; the owner runs the statements)
//! → `Others` (the owner is done; the others pass over them) → gone.
//!
//! Invariants
//! 1. The owner is told to run the statements only when every member is ready, or an operator unlocks.
//! 2. A member other than the owner is told to pass only after the owner is done.
//! 3. A lock is gone only when every ready member is done; a member that was not ready when an operator unlocked has a
//!    standing permit to pass over exactly these statements (or the different ones it waits with) when it gets there.
//! 4. Calls may be repeated. The caller makes the whole state durable before it lets an effect out.

use std::collections::BTreeMap;

use common::{
    error::{DmError, dm_codes},
    ident::TableName,
};
use serde::{Deserialize, Serialize};

use super::{ShardInfo, ShardOperation, TargetTables, lock_id};

/// Version of the serialised form; a newer one is refused by [`Pessimist::from_json`].
const FORMAT_VERSION: u32 = 1;

/// What the caller has to do after a change, once the new state is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Send this operation to its source.
    Operate(ShardOperation),
    /// A source came with other statements than the lock's: log it (DM's 38016). The source waits until an operator acts.
    Conflict {
        /// Lock id.
        id: String,
        /// The source.
        source: String,
        /// DM's error with both statements.
        error: DmError,
    },
    /// The lock is gone.
    Resolved {
        /// Lock id.
        id: String,
    },
}

/// A lock as `shard-ddl-lock` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockView {
    /// Lock id.
    pub id: String,
    /// Task.
    pub task: String,
    /// Source that runs the statements.
    pub owner: String,
    /// The statements.
    pub ddls: Vec<String>,
    /// Sources that have reached them.
    pub synced: Vec<String>,
    /// Sources that have not.
    pub unsynced: Vec<String>,
}

/// Sources that have come to a lock with different statements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispute {
    /// Lock id.
    pub id: String,
    /// Target table.
    pub target: TableName,
    /// Sources with the lock's statements.
    pub agreed: Vec<String>,
    /// Sources with others.
    pub others: Vec<String>,
    /// Sources that have not come to a statement.
    pub missing: Vec<String>,
}

/// All locks of all tasks. See the module's documentation for the states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pessimist {
    version: u32,
    /// Task → source → its target tables.
    tables: BTreeMap<String, BTreeMap<String, Vec<TargetTables>>>,
    locks: BTreeMap<String, Lock>,
    /// Permits of invariant 3, by lock id and source.
    permits: Vec<ShardOperation>,
    /// Counts proposals, for their order.
    clock: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Lock {
    task: String,
    schema: String,
    table: String,
    ddls: Vec<String>,
    owner: String,
    stage: Stage,
    members: BTreeMap<String, Member>,
    /// Permits that count when the owner is done (invariant 2): of members that were not ready when an operator unlocked.
    #[serde(default)]
    late: Vec<ShardOperation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Collecting,
    Owner,
    Others,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Member {
    ready: bool,
    done: bool,
    /// When it became ready, in [`Pessimist::clock`] units.
    since: u64,
    /// Proposed statements that are not the lock's: the next round if `done`, else a conflict.
    other: Option<(u64, Vec<String>)>,
}

impl Default for Pessimist {
    fn default() -> Self {
        Self {
            version: FORMAT_VERSION,
            tables: BTreeMap::new(),
            locks: BTreeMap::new(),
            permits: Vec::new(),
            clock: 0,
        }
    }
}

impl Pessimist {
    /// No locks, no tables.
    pub fn new() -> Self {
        Self::default()
    }

    /// The state as JSON, for the store.
    pub fn to_json(&self) -> String {
        // Maps with text keys and plain values: serde_json cannot fail on them.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// Text that is no such state, or one of a newer version.
    pub fn from_json(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version > FORMAT_VERSION {
            return Err(format!(
                "the state of the shard DDL locks has version {version}, this program knows {FORMAT_VERSION}"
            ));
        }
        serde_json::from_str(text).map_err(|e| e.to_string())
    }

    /// States the target tables of a source; replaces what was stated before. With a target that is not among them any more it has no
    /// part in a lock, and no permit; one that is also there with a count of 0 takes back what it has proposed for it.
    pub fn set_tables(&mut self, task: &str, source: &str, mut targets: Vec<TargetTables>) -> Vec<Effect> {
        let (back, mut left) = (withdrawn(task, &targets), Vec::new());
        targets.retain(|t| t.count > 0);
        targets.sort();
        self.tables.entry(task.into()).or_default().insert(source.into(), targets);
        for (id, lock) in self.locks.iter_mut().filter(|(_, lock)| lock.task == task) {
            let stays = owns(&self.tables, task, source, &lock.schema, &lock.table);
            let back = back.contains(id);
            if back || !stays {
                lock.late.retain(|permit| permit.source != source);
                match lock.members.get_mut(source) {
                    // What it has carried out stays so; its next statement it may have proposed already.
                    Some(member) if member.done && stays => member.other = None,
                    Some(_) => {
                        lock.members.remove(source);
                        left.push(id.clone());
                    }
                    None => {}
                }
            }
            if stays && lock.stage == Stage::Collecting {
                lock.members.entry(source.into()).or_default();
            }
        }
        let mine = self.tables.get(task).and_then(|of_task| of_task.get(source)).cloned().unwrap_or_default();
        let stays = |id: &String| {
            !back.contains(id) && mine.iter().any(|t| lock_id(task, &t.schema, &t.table) == *id)
        };
        self.permits.retain(|p| p.task != task || p.source != source || stays(&p.id));
        let mut effects = self.settle(&left);
        effects.extend(self.advance_all(task));
        effects
    }

    /// Locks that a source has left: another one becomes the owner, or the lock is gone.
    fn settle(&mut self, ids: &[String]) -> Vec<Effect> {
        let mut effects = Vec::new();
        for id in ids {
            let Some(lock) = self.locks.get_mut(id) else { continue };
            let before = lock.owner.clone();
            if !lock.find_owner() {
                let gone = self.locks.remove(id);
                effects.push(Effect::Resolved { id: id.clone() });
                effects.extend(gone.into_iter().flat_map(|lock| self.next_round(lock)));
            } else if lock.owner != before && lock.stage == Stage::Owner {
                effects.extend(lock.operation_for(id, &lock.owner).map(Effect::Operate));
            }
        }
        effects
    }

    /// A source has reached the statements.
    pub fn propose(&mut self, info: &ShardInfo) -> Vec<Effect> {
        let id = lock_id(&info.task, &info.schema, &info.table);
        self.clock += 1;
        if let Some(at) = self.permits.iter().position(|p| p.id == id && p.source == info.source) {
            if self.permits[at].ddls == info.ddls {
                return vec![Effect::Operate(self.permits[at].clone())];
            }
            self.permits.remove(at);
        }
        if !self.locks.contains_key(&id) {
            self.open(&id, info);
        }
        let clock = self.clock;
        let Some(lock) = self.locks.get_mut(&id) else { return Vec::new() };
        if let Some(at) = lock.late.iter().position(|permit| permit.source == info.source) {
            if lock.late[at].ddls == info.ddls && lock.ddls != info.ddls {
                return Vec::new();
            }
            lock.late.remove(at);
        }
        let member = lock.members.entry(info.source.clone()).or_default();
        if member.done {
            // Its next statement, while others still pass over this one.
            if member.other.as_ref().is_none_or(|(_, ddls)| *ddls != info.ddls) {
                member.other = Some((clock, info.ddls.clone()));
            }
            return Vec::new();
        }
        if lock.ddls != info.ddls {
            let news = member.other.as_ref().is_none_or(|(_, ddls)| *ddls != info.ddls);
            member.other = Some((clock, info.ddls.clone()));
            if !news {
                return Vec::new();
            }
            let error = conflict(&id, &info.task, &info.source, &info.ddls, &lock.ddls);
            return vec![Effect::Conflict { id, source: info.source.clone(), error }];
        }
        member.other = None;
        if member.ready {
            // Repeated after a restart: whatever was sent may have been lost.
            return lock.operation_for(&id, &info.source).map(Effect::Operate).into_iter().collect();
        }
        member.ready = true;
        member.since = clock;
        if lock.stage == Stage::Collecting {
            return self.advance(&id);
        }
        // It came late, to a lock that was unlocked or that it was not a member of.
        lock.operation_for(&id, &info.source).map(Effect::Operate).into_iter().collect()
    }

    fn open(&mut self, id: &str, info: &ShardInfo) {
        let members = self
            .tables
            .get(&info.task)
            .into_iter()
            .flatten()
            .map(|(source, _)| source)
            .filter(|source| owns(&self.tables, &info.task, source, &info.schema, &info.table))
            .map(|source| (source.clone(), Member::default()))
            .collect();
        let lock = Lock {
            task: info.task.clone(),
            schema: info.schema.clone(),
            table: info.table.clone(),
            ddls: info.ddls.clone(),
            owner: info.source.clone(),
            stage: Stage::Collecting,
            members,
            late: Vec::new(),
        };
        self.locks.insert(id.into(), lock);
    }

    /// A source has carried out an operation.
    pub fn done(&mut self, operation: &ShardOperation) -> Vec<Effect> {
        let ShardOperation { id, source, ddls, .. } = operation;
        let before = self.permits.len();
        self.permits.retain(|p| !(p.id == *id && p.source == *source && p.ddls == *ddls));
        if self.permits.len() != before {
            return Vec::new();
        }
        let Some(lock) = self.locks.get_mut(id) else { return Vec::new() };
        let expected = lock.operation_for(id, source);
        if expected.is_none_or(|e| e.exec != operation.exec || e.ddls != *ddls) {
            return Vec::new();
        }
        if let Some(member) = lock.members.get_mut(source) {
            member.done = true;
        }
        self.advance(id)
    }

    /// Forgets sources of a task (all of them if `sources` is empty): their tables, their part in locks, their permits.
    pub fn remove(&mut self, task: &str, sources: &[String]) -> Vec<Effect> {
        let gone = |source: &String| sources.is_empty() || sources.contains(source);
        if let Some(of_task) = self.tables.get_mut(task) {
            of_task.retain(|source, _| !gone(source));
        }
        self.permits.retain(|p| !(p.task == task && gone(&p.source)));
        let mut effects = Vec::new();
        self.locks.retain(|id, lock| {
            if lock.task != task {
                return true;
            }
            lock.members.retain(|source, _| !gone(source));
            lock.late.retain(|permit| !gone(&permit.source));
            let keep = lock.find_owner();
            if !keep {
                effects.push(Effect::Resolved { id: id.clone() });
            }
            keep
        });
        // A new owner of a lock that waited for the old one has to be told.
        for (id, lock) in self.locks.iter().filter(|(_, l)| l.task == task && l.stage == Stage::Owner) {
            effects.extend(lock.operation_for(id, &lock.owner).map(Effect::Operate));
        }
        effects.extend(self.advance_all(task));
        effects
    }

    /// An operator ends the waiting: the owner (or `owner`, if given) runs the statements, whoever has not come yet will
    /// pass over them.
    ///
    /// # Errors
    /// 38019 no such lock, 38020 it is being resolved already, 38022 the chosen source has not reached the statements.
    pub fn unlock(&mut self, id: &str, owner: Option<&str>) -> Result<Vec<Effect>, DmError> {
        let Some(lock) = self.locks.get_mut(id) else {
            return Err(dm_codes::MASTER_LOCK_NOT_FOUND.error(format!("lock with ID {id} not found")));
        };
        if lock.stage != Stage::Collecting {
            return Err(dm_codes::MASTER_LOCK_IS_RESOLVING
                .error(format!("the lock {id} has been synced for all sources and is being resolved")));
        }
        let owner = owner.unwrap_or(&lock.owner);
        if !lock.members.get(owner).is_some_and(|m| m.ready) {
            return Err(dm_codes::MASTER_WORKER_NOT_WAIT_LOCK
                .error(format!("source {owner} has not reached the statements of lock {id}")));
        }
        lock.owner = owner.into();
        lock.permit_the_unready(id);
        Ok(self.advance(id))
    }

    /// Whether the owner of a lock has run the statements (or the lock is gone).
    pub fn owner_is_done(&self, id: &str) -> bool {
        self.locks.get(id).is_none_or(|lock| lock.stage == Stage::Others)
    }

    /// Whether there is a lock of this id.
    pub fn contains(&self, id: &str) -> bool {
        self.locks.contains_key(id)
    }

    /// Ends a lock at once, whatever its owner does: everyone passes over the statements, the owner too if it has not run them.
    pub fn force_release(&mut self, id: &str) -> Vec<Effect> {
        let Some(mut lock) = self.locks.remove(id) else { return Vec::new() };
        lock.permit_the_unready(id);
        let mut effects = self.permit_the_late(&mut lock);
        for (source, _) in lock.members.iter().filter(|(_, m)| m.ready && !m.done) {
            let permit = lock.operation(id, source, false);
            self.permits.push(permit.clone());
            // The owner too, which else would still take what it was told before.
            effects.push(Effect::Operate(permit));
        }
        effects.push(Effect::Resolved { id: id.into() });
        effects.extend(self.next_round(lock));
        effects
    }

    /// The locks of a task (of all tasks if empty) that have one of `sources` as a member (any if empty).
    pub fn locks(&self, task: &str, sources: &[String]) -> Vec<LockView> {
        self.locks
            .iter()
            .filter(|(_, lock)| task.is_empty() || lock.task == task)
            .filter(|(_, lock)| sources.is_empty() || sources.iter().any(|s| lock.members.contains_key(s)))
            .map(|(id, lock)| {
                let (synced, unsynced): (Vec<_>, Vec<_>) = lock.members.iter().partition(|(_, m)| m.ready);
                let names = |members: Vec<(&String, &Member)>| {
                    members.into_iter().map(|(source, _)| source.clone()).collect()
                };
                LockView {
                    id: id.clone(),
                    task: lock.task.clone(),
                    owner: lock.owner.clone(),
                    ddls: lock.ddls.clone(),
                    synced: names(synced),
                    unsynced: names(unsynced),
                }
            })
            .collect()
    }

    /// The late permits count from now on; those who wait for theirs are told.
    fn permit_the_late(&mut self, lock: &mut Lock) -> Vec<Effect> {
        let late = std::mem::take(&mut lock.late);
        self.permits.extend(late.iter().cloned());
        late.into_iter().filter(|permit| permit.ddls != lock.ddls).map(Effect::Operate).collect()
    }

    /// Why a source of a task waits although it has reached statements: they are not those of the lock.
    pub fn conflicts(&self, task: &str, source: &str) -> Vec<DmError> {
        let of_task = self.locks.iter().filter(|(_, lock)| lock.task == task);
        of_task
            .filter_map(|(id, lock)| {
                let member = lock.members.get(source).filter(|member| !member.ready)?;
                let (_, own) = member.other.as_ref()?;
                Some(conflict(id, task, source, own, &lock.ddls))
            })
            .collect()
    }

    /// The locks that wait because sources disagree.
    pub fn disputes(&self) -> Vec<Dispute> {
        let names = |lock: &Lock, wanted: fn(&Member) -> bool| -> Vec<String> {
            lock.members.iter().filter(|(_, m)| wanted(m)).map(|(source, _)| source.clone()).collect()
        };
        let collecting = self.locks.iter().filter(|(_, lock)| lock.stage == Stage::Collecting);
        collecting
            .map(|(id, lock)| Dispute {
                id: id.clone(),
                target: TableName::new(lock.schema.as_str(), lock.table.as_str()),
                agreed: names(lock, |m| m.ready),
                others: names(lock, |m| !m.ready && m.other.is_some()),
                missing: names(lock, |m| !m.ready && m.other.is_none()),
            })
            .filter(|dispute| !dispute.others.is_empty())
            .collect()
    }

    fn advance_all(&mut self, task: &str) -> Vec<Effect> {
        let ids: Vec<String> =
            self.locks.iter().filter(|(_, l)| l.task == task).map(|(id, _)| id.clone()).collect();
        ids.iter().flat_map(|id| self.advance(id)).collect()
    }

    fn advance(&mut self, id: &str) -> Vec<Effect> {
        let Some(mut lock) = self.locks.remove(id) else { return Vec::new() };
        let mut effects = Vec::new();
        if lock.stage == Stage::Collecting && lock.members.values().all(|m| m.ready) {
            lock.stage = Stage::Owner;
            effects.extend(lock.operation_for(id, &lock.owner).map(Effect::Operate));
        }
        if lock.stage == Stage::Owner && lock.members.get(&lock.owner).is_some_and(|m| m.done) {
            lock.stage = Stage::Others;
            for source in lock.members.keys() {
                effects.extend(lock.operation_for(id, source).map(Effect::Operate));
            }
            effects.extend(self.permit_the_late(&mut lock));
        }
        if lock.stage == Stage::Others && lock.members.values().all(|m| m.done) {
            effects.push(Effect::Resolved { id: id.into() });
            effects.extend(self.next_round(lock));
        } else {
            self.locks.insert(id.into(), lock);
        }
        effects
    }

    /// Opens the next lock with what members of the last one proposed meanwhile, in that order.
    fn next_round(&mut self, lock: Lock) -> Vec<Effect> {
        let mut waiting: Vec<_> = lock
            .members
            .into_iter()
            .filter_map(|(source, m)| m.other.map(|(at, ddls)| (at, source, ddls)))
            .collect();
        waiting.sort();
        let (task, schema, table) = (lock.task, lock.schema, lock.table);
        waiting
            .into_iter()
            .flat_map(|(_, source, ddls)| {
                let (task, schema, table) = (task.clone(), schema.clone(), table.clone());
                self.propose(&ShardInfo { task, source, schema, table, ddls, origins: Vec::new() })
            })
            .collect()
    }
}

impl Lock {
    /// Members that are not ready leave with a permit to pass: over these statements or, if they wait with others, over those.
    fn permit_the_unready(&mut self, id: &str) {
        let (ready, unready) = std::mem::take(&mut self.members).into_iter().partition(|(_, m)| m.ready);
        self.members = ready;
        let unready: BTreeMap<String, Member> = unready;
        for (source, member) in unready {
            let mut permit = self.operation(id, &source, false);
            if let Some((_, own)) = member.other {
                permit.ddls = own;
            }
            self.late.push(permit);
        }
    }

    fn operation(&self, id: &str, source: &str, exec: bool) -> ShardOperation {
        ShardOperation {
            id: id.into(),
            task: self.task.clone(),
            source: source.into(),
            ddls: self.ddls.clone(),
            exec,
        }
    }

    /// What the source should be doing now, if anything.
    fn operation_for(&self, id: &str, source: &str) -> Option<ShardOperation> {
        let member = self.members.get(source)?;
        if !member.ready || member.done {
            return None;
        }
        match self.stage {
            Stage::Owner if source == self.owner => Some(self.operation(id, source, true)),
            Stage::Others if source != self.owner => Some(self.operation(id, source, false)),
            _ => None,
        }
    }

    /// Chooses another owner if it is no member any more. `false`: nobody who is left has reached the statements.
    fn find_owner(&mut self) -> bool {
        let ready = self.members.iter().filter(|(_, m)| m.ready);
        if self.stage == Stage::Others {
            return ready.count() > 0;
        }
        if self.members.get(&self.owner).is_some_and(|m| m.ready) {
            return true;
        }
        match ready.min_by_key(|(_, m)| m.since) {
            Some((source, _)) => {
                self.owner = source.clone();
                true
            }
            None => false,
        }
    }
}

fn conflict(id: &str, task: &str, source: &str, own: &[String], of_lock: &[String]) -> DmError {
    dm_codes::MASTER_SHARDING_DDL_DIFF
        .error(format!("sharding ddls in ddl lock {id} is different with {own:?}, the lock has {of_lock:?}"))
        .with_workaround(format!(
            "If both mean the same: `binlog replace {task} -s {source} -b FILE:POS \"…\"` with the lock's statement on the table's own name, for \
             each table of the lock that the source has; FILE:POS is the `location` of its `shard DDL reached` in the worker's log. Else make \
             the changes of all sources on the target by hand, and pass over the statements with `binlog skip` on all of them."
        ))
}

/// The locks for which a source takes back what it has proposed.
pub(crate) fn withdrawn(task: &str, targets: &[TargetTables]) -> Vec<String> {
    let none = targets.iter().filter(|t| t.count == 0);
    none.map(|t| lock_id(task, &t.schema, &t.table)).collect()
}

fn owns(
    tables: &BTreeMap<String, BTreeMap<String, Vec<TargetTables>>>,
    task: &str,
    source: &str,
    schema: &str,
    table: &str,
) -> bool {
    tables
        .get(task)
        .and_then(|of_task| of_task.get(source))
        .is_some_and(|targets| targets.iter().any(|t| t.schema == schema && t.table == table))
}

#[cfg(test)]
#[path = "pessimist_tests.rs"]
mod tests;
