//! How far each table is, when not all are at the same place.
//!
//! The reader goes through the binlog; normally every table is where the reader is. Two things break that: a start from
//! tables dumped at different places, and a shard DDL after which the events of its tables are read again. Then an event is applied only
//! if it lies after the point of its table.
//!
//! Invariant: an event is applied exactly once if every event of a table that is not waiting in a shard group is offered
//! to [`Points::is_done`] in order and [`Points::rewind`] is called with the reader's place whenever it goes back.

use std::collections::HashMap;

use common::ident::TableName;

/// The points of the tables of one source. `L` is a place in its binlog: the end of an event.
#[derive(Debug, Clone)]
pub struct Points<L> {
    /// For tables that are not in `tables`.
    floor: Option<L>,
    tables: HashMap<TableName, L>,
}

impl<L> Default for Points<L> {
    fn default() -> Self {
        Self { floor: None, tables: HashMap::new() }
    }
}

impl<L: Ord + Clone> Points<L> {
    /// Sets the point of a table, as read from the checkpoint.
    pub fn set(&mut self, table: TableName, point: L) {
        self.tables.insert(table, point);
    }

    /// Whether an event of the table that ends at `end` has been applied already.
    pub fn is_done(&self, table: &TableName, end: &L) -> bool {
        self.of(table).is_some_and(|point| end <= point)
    }

    /// The table's point, if it may be ahead of the reader.
    pub fn of(&self, table: &TableName) -> Option<&L> {
        self.tables.get(table).or(self.floor.as_ref())
    }

    /// The reader, which is at `at`, will go back to the earliest of `again`: these tables continue from the places given.
    /// Returns that place if it lies before `at`.
    pub fn rewind(&mut self, at: &L, again: Vec<(TableName, L)>) -> Option<L> {
        for point in self.tables.values_mut().chain(self.floor.as_mut()) {
            if *point < *at {
                *point = at.clone();
            }
        }
        self.floor.get_or_insert_with(|| at.clone());
        let from = again.iter().map(|(_, place)| place.clone()).min();
        self.tables.extend(again);
        from.filter(|from| from < at)
    }

    /// Forgets points that the reader, now at `at`, has passed.
    pub fn trim(&mut self, at: &L) {
        if self.floor.as_ref().is_some_and(|floor| floor > at) {
            // A table without a point of its own would take the floor's.
            return;
        }
        self.floor = None;
        self.tables.retain(|_, point| *point > *at);
    }

    /// Whether every table is where the reader is.
    pub fn is_empty(&self) -> bool {
        self.floor.is_none() && self.tables.is_empty()
    }
}
