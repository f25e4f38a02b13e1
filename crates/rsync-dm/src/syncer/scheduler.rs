//! Spreads row changes over lanes (one connection each) so that changes of rows that share a unique key are applied in the order of the
//! source. Pure: rows and completions in, units out.
//!
//! A *unit* is one transaction of the target. It has *segments*, applied in order; changes inside a segment do not conflict with
//! each other, so that they can be merged in any order. A lane applies its units in the order of their numbers. A unit
//! may have to wait for units of other lanes.
//!
//! Invariants
//! 1. Of two changes with a common key the later one is in the same unit in a later segment, in a later unit of the same lane, or
//!    in a unit that waits (through any number of steps) for the earlier one's.
//! 2. A unit waits only for units that were closed before it: so there is always one that can be applied.

use std::{
    collections::{HashMap, VecDeque},
    hash::BuildHasherDefault,
    sync::Arc,
};

use super::{coverage::Coverage, keys::RowKeys, plan::TablePlan, rows::EventRows};

/// What a statement of a change does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// INSERT
    Insert,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// REPLACE for an insert (safe mode).
    Replace,
    /// DELETE and REPLACE for an update (safe mode).
    SafeUpdate,
    /// DELETE that acts on other tables by foreign keys.
    ActingDelete,
    /// UPDATE that does.
    ActingUpdate,
    /// The same in safe mode.
    ActingSafeUpdate,
}

/// A row of an event.
#[derive(Debug, Clone)]
pub struct Change {
    /// The event.
    pub rows: Arc<EventRows>,
    /// Index in it.
    pub row: usize,
}

/// Changes of one table that one kind of statement does.
#[derive(Debug)]
pub struct Group {
    /// Table.
    pub plan: Arc<TablePlan>,
    /// Statement.
    pub op: Op,
    /// Changes.
    pub changes: Vec<Change>,
}

/// Changes that do not conflict.
#[derive(Debug, Default)]
pub struct Segment {
    /// By table and statement.
    pub groups: Vec<Group>,
}

/// One transaction of the target.
#[derive(Debug)]
pub struct Unit {
    /// Lane that applies it.
    pub lane: usize,
    /// Number in its lane, from 1.
    pub seq: u64,
    /// Units that have to be applied before: lane and number.
    pub after: Vec<(usize, u64)>,
    /// The work.
    pub segments: Vec<Segment>,
    /// What the ledger keeps of it.
    pub coverage: Coverage,
    /// Number of changes.
    pub rows: usize,
    /// Bytes of literals.
    pub bytes: usize,
    /// Oldest time of a change.
    pub timestamp: u32,
}

impl Unit {
    fn new(lane: usize, seq: u64) -> Self {
        Self {
            lane,
            seq,
            after: Vec::new(),
            segments: vec![Segment::default()],
            coverage: Coverage::default(),
            rows: 0,
            bytes: 0,
            timestamp: u32::MAX,
        }
    }

    fn wait_for(&mut self, lane: usize, seq: u64) {
        if lane == self.lane || seq == 0 {
            return;
        }
        match self.after.iter_mut().find(|(l, _)| *l == lane) {
            Some((_, s)) => *s = (*s).max(seq),
            None => self.after.push((lane, seq)),
        }
    }

    fn push(&mut self, change: Change, op: Op, bytes: usize) {
        let rows = &change.rows;
        self.coverage.add(rows.key, rows.number(change.row));
        self.rows += 1;
        self.bytes += bytes;
        self.timestamp = self.timestamp.min(rows.timestamp);
        let segment = match self.segments.last_mut() {
            Some(segment) => segment,
            None => return,
        };
        let fits = |group: &&mut Group| group.op == op && Arc::ptr_eq(&group.plan, &rows.plan);
        match segment.groups.iter_mut().rev().find(fits) {
            Some(group) => group.changes.push(change),
            None => segment.groups.push(Group { plan: Arc::clone(&rows.plan), op, changes: vec![change] }),
        }
    }
}

/// Who changed a key last.
#[derive(Debug, Clone, Copy)]
struct Owner {
    lane: u32,
    segment: u32,
    seq: u64,
}

/// Keys are hashes already.
#[derive(Debug, Default, Clone, Copy)]
struct AsIs(u64);

impl std::hash::Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

#[derive(Debug)]
struct Lane {
    open: Option<Unit>,
    /// Number of the last closed unit.
    closed: u64,
    /// Number of the last applied unit.
    done: u64,
    /// Number and bytes of the closed units that are not applied.
    sizes: VecDeque<(u64, usize)>,
}

/// Limits of a unit.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rows at which a unit is closed if its lane has nothing to do.
    pub rows: usize,
    /// Rows at which it is closed in any case.
    pub most_rows: usize,
    /// Bytes at which it is closed in any case.
    pub most_bytes: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Scheduler {
    lanes: Vec<Lane>,
    owners: HashMap<u64, Owner, BuildHasherDefault<AsIs>>,
    /// Keys at which finished owners are forgotten.
    prune_at: usize,
    /// The lane that free changes go to.
    current: usize,
    /// The last change that conflicts with everything.
    barrier: Option<Owner>,
    limits: Limits,
    closed: Vec<Unit>,
    /// Bytes of all changes that are not applied.
    bytes: usize,
}

const FIRST_PRUNE: usize = 200_000;

impl Scheduler {
    /// With a number of lanes, at least one.
    pub fn new(lanes: usize, limits: Limits) -> Self {
        let lanes = (0..lanes.max(1))
            .map(|_| Lane { open: None, closed: 0, done: 0, sizes: VecDeque::new() })
            .collect();
        Self {
            lanes,
            owners: HashMap::default(),
            prune_at: FIRST_PRUNE,
            current: 0,
            barrier: None,
            limits,
            closed: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes a change with its keys. Ready units are then in [`take_closed`](Self::take_closed).
    pub fn push(&mut self, change: Change, op: Op, keys: &RowKeys, bytes: usize) {
        let conflicts = self.conflicts(keys);
        let lane = match conflicts.last() {
            Some(owner) => owner.lane as usize,
            None => self.free_lane(),
        };
        // Units of other lanes that this change has to wait for are closed first (invariant 2).
        let others: Vec<(usize, u64)> = conflicts
            .iter()
            .filter(|owner| owner.lane as usize != lane)
            .map(|owner| (owner.lane as usize, owner.seq))
            .collect();
        for (other, seq) in &others {
            if *seq > self.lanes[*other].closed {
                self.close(*other);
            }
        }
        let everything: Vec<(usize, u64)> = if keys.barrier {
            (0..self.lanes.len()).filter(|other| *other != lane).for_each(|other| self.close(other));
            self.lanes.iter().enumerate().map(|(other, l)| (other, l.closed)).collect()
        } else {
            Vec::new()
        };
        let barrier = self.barrier;
        if let Some(b) = barrier
            && b.lane as usize != lane
            && b.seq > self.lanes[b.lane as usize].closed
        {
            self.close(b.lane as usize);
        }
        let unit = self.open(lane);
        let fence = barrier.map(|b| (b.lane as usize, b.seq));
        for (other, seq) in others.into_iter().chain(everything).chain(fence) {
            unit.wait_for(other, seq);
        }
        // In the open unit itself a later segment is late enough.
        let segment = unit.segments.len() as u32 - 1;
        let inside =
            conflicts.iter().copied().chain(barrier).any(|owner| {
                owner.lane as usize == lane && owner.seq == unit.seq && owner.segment == segment
            });
        if (inside || keys.barrier) && unit.segments.last().is_some_and(|s| !s.groups.is_empty()) {
            unit.segments.push(Segment::default());
        }
        let segment = unit.segments.len() as u32 - 1;
        let owner = Owner { lane: lane as u32, segment, seq: unit.seq };
        unit.push(change, op, bytes);
        let (rows, size) = (unit.rows, unit.bytes);
        self.bytes += bytes;
        for key in &keys.hashes {
            self.owners.insert(*key, owner);
        }
        if keys.barrier {
            self.barrier = Some(owner);
        }
        let idle = self.lanes[lane].closed == self.lanes[lane].done;
        let limits = self.limits;
        if rows >= limits.most_rows || size >= limits.most_bytes || rows >= limits.rows && idle {
            self.close(lane);
        }
        if self.owners.len() >= self.prune_at {
            self.prune();
        }
    }

    /// The unfinished owners of the keys, one for each lane and unit is enough; the last changed lane last.
    fn conflicts(&self, keys: &RowKeys) -> Vec<Owner> {
        let mut found: Vec<Owner> = Vec::new();
        for key in &keys.hashes {
            if let Some(owner) = self.owners.get(key)
                && owner.seq > self.lanes[owner.lane as usize].done
            {
                found.push(*owner);
            }
        }
        // An open unit is the best place: nothing has to be closed for it.
        found.sort_by_key(|owner| owner.seq > self.lanes[owner.lane as usize].closed);
        found
    }

    fn free_lane(&mut self) -> usize {
        if self.lanes[self.current].open.is_none() {
            // The one with the least to do; from the next one on, so that equals take turns.
            let count = self.lanes.len();
            let order = (1..=count).map(|i| (self.current + i) % count);
            if let Some(next) = order.min_by_key(|lane| {
                let lane = &self.lanes[*lane];
                lane.closed - lane.done + u64::from(lane.open.is_some())
            }) {
                self.current = next;
            }
        }
        self.current
    }

    fn open(&mut self, lane: usize) -> &mut Unit {
        let l = &mut self.lanes[lane];
        let seq = l.closed + 1;
        l.open.get_or_insert_with(|| Unit::new(lane, seq))
    }

    fn close(&mut self, lane: usize) {
        if let Some(mut unit) = self.lanes[lane].open.take() {
            let done: Vec<u64> = self.lanes.iter().map(|l| l.done).collect();
            unit.after.retain(|(other, seq)| done[*other] < *seq);
            self.lanes[lane].closed = unit.seq;
            self.lanes[lane].sizes.push_back((unit.seq, unit.bytes));
            self.closed.push(unit);
        }
    }

    fn prune(&mut self) {
        let done: Vec<u64> = self.lanes.iter().map(|l| l.done).collect();
        self.owners.retain(|_, owner| owner.seq > done[owner.lane as usize]);
        self.prune_at = FIRST_PRUNE.max(2 * self.owners.len());
    }

    /// A lane has applied its units up to this number.
    pub fn complete(&mut self, lane: usize, seq: u64) {
        let l = &mut self.lanes[lane];
        l.done = l.done.max(seq);
        while l.sizes.front().is_some_and(|(seq, _)| *seq <= l.done) {
            self.bytes -= l.sizes.pop_front().map_or(0, |(_, bytes)| bytes);
        }
        if self.barrier.is_some_and(|b| self.lanes[b.lane as usize].done >= b.seq) {
            self.barrier = None;
        }
    }

    /// Closes the open units of lanes that have nothing to do; with `all`, every one.
    pub fn flush(&mut self, all: bool) {
        for lane in 0..self.lanes.len() {
            if all || self.lanes[lane].closed == self.lanes[lane].done {
                self.close(lane);
            }
        }
    }

    /// Units that were closed since the last call, in the order in which they were.
    pub fn take_closed(&mut self) -> Vec<Unit> {
        std::mem::take(&mut self.closed)
    }

    /// For each lane the number of the last unit that holds something taken so far.
    pub fn mark(&self) -> Vec<u64> {
        self.lanes.iter().map(|l| l.open.as_ref().map_or(l.closed, |unit| unit.seq)).collect()
    }

    /// For each lane the number of the last closed unit: nothing is added to these any more.
    pub fn closed(&self) -> Vec<u64> {
        self.lanes.iter().map(|l| l.closed).collect()
    }

    /// Whether everything up to a mark is applied.
    pub fn is_reached(&self, mark: &[u64]) -> bool {
        self.lanes.iter().zip(mark).all(|(lane, seq)| lane.done >= *seq)
    }

    /// Whether everything is applied.
    pub fn is_idle(&self) -> bool {
        self.lanes.iter().all(|l| l.open.is_none() && l.closed == l.done)
    }

    /// Bytes of all changes that are not applied.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Units closed and not applied.
    pub fn in_flight(&self) -> u64 {
        self.lanes.iter().map(|l| l.closed - l.done).sum()
    }

    /// Forgets all keys: everything has been applied.
    pub fn reset_keys(&mut self) {
        self.owners.clear();
        self.barrier = None;
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
