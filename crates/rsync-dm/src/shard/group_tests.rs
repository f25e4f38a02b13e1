use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::checkpoint::Points;

fn name(table: &str) -> TableName {
    TableName::new("d", table)
}

fn at(start: u64) -> Reached<u64> {
    Reached { start, end: start + 1 }
}

#[test]
fn the_last_member_makes_it_synced() {
    let mut groups = Groups::default();
    let target = name("m");
    groups.add(&target, &name("a")).unwrap();
    groups.add(&target, &name("b")).unwrap();
    let x = ["x".to_string()];
    assert!(!groups.reach(&target, &name("b"), &x, at(5)).unwrap());
    assert!(groups.is_waiting(&target, &name("b")) && !groups.is_waiting(&target, &name("a")));
    assert_eq!(groups.first(), Some(&5));
    let wrong = groups.reach(&target, &name("a"), &["y".to_string()], at(7)).unwrap_err();
    assert!(matches!(*wrong, GroupError::WrongSequence { .. }));
    assert!(matches!(*groups.add(&target, &name("c")).unwrap_err(), GroupError::AddInside { .. }));
    assert!(matches!(*groups.remove(&target, &name("a")).unwrap_err(), GroupError::DropInside { .. }));
    assert!(groups.reach(&target, &name("a"), &x, at(9)).unwrap());
    let mut places = groups.resolve(&target);
    places.sort();
    assert_eq!(places, [(name("a"), 10), (name("b"), 6)]);
    assert_eq!(groups.first(), None);
    groups.remove(&target, &name("a")).unwrap();
    groups.remove(&target, &name("b")).unwrap();
    assert!(groups.get(&target).is_none());
}

/// An event of the model: table, and whether it is the table's next statement.
#[derive(Debug, Clone, Copy)]
struct Event {
    table: usize,
    statement: bool,
}

/// A reader as the sync unit has it, over events instead of a binlog.
struct Reader<'a> {
    events: &'a [Event],
    targets: &'a [usize],
    groups: Groups<u64>,
    points: Points<u64>,
    /// Applied events; more than once is an error.
    applied: BTreeSet<usize>,
    /// Statements run on each target.
    version: Vec<usize>,
    dirty: BTreeSet<usize>,
    /// The checkpoint: global place and the tables' own.
    global: u64,
    rows: Vec<Option<u64>>,
}

impl Reader<'_> {
    fn table(i: usize) -> TableName {
        name(&format!("u{i}"))
    }

    fn target(&self, table: usize) -> TableName {
        name(&format!("m{}", self.targets[table]))
    }

    fn restart(&mut self) -> u64 {
        self.groups = Groups::default();
        self.points = Points::default();
        for table in 0..self.targets.len() {
            self.groups.add(&self.target(table), &Self::table(table)).unwrap();
            if let Some(point) = self.rows[table] {
                self.points.set(Self::table(table), point);
            }
        }
        self.global
    }

    fn flush(&mut self, place: u64) {
        for table in std::mem::take(&mut self.dirty) {
            let (target, table_name) = (self.target(table), Self::table(table));
            let waiting = self
                .groups
                .get(&target)
                .and_then(|g| g.reached().find(|(t, _)| **t == table_name).map(|(_, reached)| reached.start));
            let own = self.points.of(&table_name).copied().unwrap_or(place).max(place);
            self.rows[table] = Some(waiting.unwrap_or(own));
        }
        self.global = self.groups.first().copied().unwrap_or(place).min(place);
    }

    /// One event at `place`; where to go on.
    fn step(&mut self, place: u64) -> Result<u64, TestCaseError> {
        let event = self.events[place as usize];
        let (target, table) = (self.target(event.table), Self::table(event.table));
        let end = place + 1;
        if self.groups.is_waiting(&target, &table) || self.points.is_done(&table, &end) {
            return Ok(end);
        }
        let before =
            self.events[..place as usize].iter().filter(|e| e.table == event.table && e.statement).count();
        self.dirty.insert(event.table);
        if !event.statement {
            prop_assert!(self.applied.insert(place as usize), "applied twice: {place}");
            prop_assert_eq!(self.version[self.targets[event.table]], before, "event {}", place);
            return Ok(end);
        }
        let statement = [format!("ddl {before}")];
        if !self.groups.reach(&target, &table, &statement, Reached { start: place, end }).unwrap() {
            return Ok(end);
        }
        prop_assert_eq!(self.version[self.targets[event.table]], before);
        self.version[self.targets[event.table]] += 1;
        let again = self.groups.resolve(&target);
        let from = self.points.rewind(&end, again).unwrap_or(end);
        for (i, _) in self.targets.iter().enumerate().filter(|(_, t)| **t == self.targets[event.table]) {
            self.dirty.insert(i);
        }
        self.flush(from);
        Ok(from)
    }
}

proptest! {
    /// Any mix of rows and statements, any interleaving of the tables, with restarts from the checkpoint: every row is applied
    /// once, and when the target is in the row's own version.
    #[test]
    fn rows_are_applied_once_and_in_their_version(
        targets in prop::collection::vec(0usize..2, 1..5),
        statements in 0usize..4,
        order in prop::collection::vec((0usize..5, 0u8..4), 0..60),
        restarts in prop::collection::vec(1usize..40, 0..6),
    ) {
        let mut left = vec![statements; targets.len()];
        let mut events: Vec<Event> = Vec::new();
        for (table, what) in order {
            let table = table % targets.len();
            let statement = what == 0 && left[table] > 0;
            left[table] -= usize::from(statement);
            events.push(Event { table, statement });
        }
        // Everyone gets to the last statement.
        for (table, left) in left.into_iter().enumerate() {
            events.extend(std::iter::repeat_n(Event { table, statement: true }, left));
            events.push(Event { table, statement: false });
        }
        let mut reader = Reader {
            events: &events,
            targets: &targets,
            groups: Groups::default(),
            points: Points::default(),
            applied: BTreeSet::new(),
            version: vec![0; 2],
            dirty: BTreeSet::new(),
            global: 0,
            rows: vec![None; targets.len()],
        };
        let mut place = reader.restart();
        let mut restarts = restarts.into_iter();
        let mut until = restarts.next();
        while place < events.len() as u64 {
            if until == Some(0) {
                reader.flush(place);
                place = reader.restart();
                until = restarts.next();
                continue;
            }
            until = until.map(|n| n - 1);
            place = reader.step(place)?;
            reader.points.trim(&place);
        }
        prop_assert_eq!(reader.applied.len(), events.iter().filter(|e| !e.statement).count());
        prop_assert!(reader.groups.open().next().is_none());
    }
}
