//! The sharding groups of one source: for each target table, its upstream tables and how far they are in the statement
//! that the group is at.
//!
//! States of a member: *before* the statement (its rows are applied as usual) → *reached* (everything after the statement
//! is left out) → before the next one. When all members have reached it, the group is *synced*: the statement goes to the
//! coordinator. When that has been settled, [`Groups::resolve`] gives the point of each member from which its events have to be read again;
//! the tables' points (see [`crate::checkpoint`]) make everything else be passed over.
//!
//! Invariants
//! 1. What a member has after its statement is applied only after the statement has been run or passed over on the target.
//! 2. A later statement of a member that has reached one is not looked at: it is met again when the events are read again.
//! 3. The source's restart point never passes [`Groups::first`].

use std::collections::BTreeMap;

use common::ident::TableName;

/// Where a member has met the statement. `L` is a place in the source's binlog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached<L> {
    /// From here the statement is read again.
    pub start: L,
    /// From here what follows it is read.
    pub end: L,
}

/// One target table.
#[derive(Debug, Clone)]
pub struct Group<L> {
    ddls: Vec<String>,
    members: BTreeMap<TableName, Option<Reached<L>>>,
}

/// Why a statement does not fit its group.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// Another member is at another statement (DM's 36008).
    #[error(
        "detect inconsistent DDL sequence from source {table}, ddls: {ddls:?}, the group of {target} is at {expected:?}"
    )]
    WrongSequence {
        /// Target table.
        target: TableName,
        /// The member that came with it.
        table: TableName,
        /// Its statements.
        ddls: Vec<String>,
        /// The group's statements.
        expected: Vec<String>,
    },
    /// A table appears in the middle of a sequence (DM's 36005).
    #[error(
        "sharding group of {target} is in the middle of {ddls:?}, table {table} cannot be added to it now"
    )]
    AddInside {
        /// Target table.
        target: TableName,
        /// The new table.
        table: TableName,
        /// The group's statements.
        ddls: Vec<String>,
    },
    /// A table goes away in the middle of a sequence (DM's 36006).
    #[error("sharding group of {target} is in the middle of {ddls:?}, table {table} cannot leave it now")]
    DropInside {
        /// Target table.
        target: TableName,
        /// The table.
        table: TableName,
        /// The group's statements.
        ddls: Vec<String>,
    },
}

impl<L: Clone + Ord> Group<L> {
    /// Whether a member has reached a statement that is not settled.
    pub fn is_open(&self) -> bool {
        self.members.values().any(Option::is_some)
    }

    /// Whether all members have.
    pub fn is_synced(&self) -> bool {
        !self.members.is_empty() && self.members.values().all(Option::is_some)
    }

    /// The statements the group is at; empty if it is not open.
    pub fn ddls(&self) -> &[String] {
        &self.ddls
    }

    /// The members that have reached it, with the place.
    pub fn reached(&self) -> impl Iterator<Item = (&TableName, &Reached<L>)> {
        self.members.iter().filter_map(|(table, at)| at.as_ref().map(|at| (table, at)))
    }

    /// The members that have not.
    pub fn unsynced(&self) -> impl Iterator<Item = &TableName> {
        self.members.iter().filter(|(_, at)| at.is_none()).map(|(table, _)| table)
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether it has no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The first place at which a member met the statement.
    pub fn first(&self) -> Option<&L> {
        self.reached().map(|(_, at)| &at.start).min()
    }
}

/// All groups of a source.
#[derive(Debug, Clone)]
pub struct Groups<L> {
    groups: BTreeMap<TableName, Group<L>>,
}

impl<L> Default for Groups<L> {
    fn default() -> Self {
        Self { groups: BTreeMap::new() }
    }
}

impl<L: Clone + Ord> Groups<L> {
    /// Adds an upstream table to the group of its target.
    ///
    /// # Errors
    /// The group is in the middle of a statement and the table is not a member.
    pub fn add(&mut self, target: &TableName, table: &TableName) -> Result<(), Box<GroupError>> {
        let group = self
            .groups
            .entry(target.clone())
            .or_insert_with(|| Group { ddls: Vec::new(), members: BTreeMap::new() });
        if group.members.contains_key(table) {
            return Ok(());
        }
        if group.is_open() {
            return Err(Box::new(GroupError::AddInside {
                target: target.clone(),
                table: table.clone(),
                ddls: group.ddls.clone(),
            }));
        }
        group.members.insert(table.clone(), None);
        Ok(())
    }

    /// Takes an upstream table out of its group.
    ///
    /// # Errors
    /// The group is in the middle of a statement.
    pub fn remove(&mut self, target: &TableName, table: &TableName) -> Result<(), Box<GroupError>> {
        let Some(group) = self.groups.get_mut(target) else { return Ok(()) };
        if !group.members.contains_key(table) {
            return Ok(());
        }
        if group.is_open() {
            return Err(Box::new(GroupError::DropInside {
                target: target.clone(),
                table: table.clone(),
                ddls: group.ddls.clone(),
            }));
        }
        group.members.remove(table);
        if group.members.is_empty() {
            self.groups.remove(target);
        }
        Ok(())
    }

    /// Takes an upstream table out of its group, also in the middle of a statement. `true`: all others have reached that.
    pub fn leave(&mut self, target: &TableName, table: &TableName) -> bool {
        let Some(group) = self.groups.get_mut(target) else { return false };
        let was_member = group.members.remove(table).is_some();
        if group.members.is_empty() {
            self.groups.remove(target);
            return false;
        }
        was_member && group.is_synced()
    }

    /// Whether the events of a table are to be left out because it has reached a statement.
    pub fn is_waiting(&self, target: &TableName, table: &TableName) -> bool {
        self.groups.get(target).is_some_and(|g| g.members.get(table).is_some_and(Option::is_some))
    }

    /// A member of the group that has reached a statement, if one has.
    pub fn waiting(&self, target: &TableName) -> Option<&TableName> {
        let group = self.groups.get(target)?;
        group.members.iter().find(|(_, reached)| reached.is_some()).map(|(table, _)| table)
    }

    /// A member has met a statement. `true`: it was the last one.
    ///
    /// # Errors
    /// The statement is not the one that the group is at.
    pub fn reach(
        &mut self,
        target: &TableName,
        table: &TableName,
        ddls: &[String],
        at: Reached<L>,
    ) -> Result<bool, Box<GroupError>> {
        self.add(target, table)?;
        let Some(group) = self.groups.get_mut(target) else { return Ok(false) };
        if group.is_open() {
            if group.ddls != ddls {
                return Err(Box::new(GroupError::WrongSequence {
                    target: target.clone(),
                    table: table.clone(),
                    ddls: ddls.to_vec(),
                    expected: group.ddls.clone(),
                }));
            }
        } else {
            group.ddls = ddls.to_vec();
        }
        if let Some(member) = group.members.get_mut(table)
            && member.is_none()
        {
            *member = Some(at);
        }
        Ok(group.is_synced())
    }

    /// The statement has been settled: every member goes on from the place given.
    pub fn resolve(&mut self, target: &TableName) -> Vec<(TableName, L)> {
        let Some(group) = self.groups.get_mut(target) else { return Vec::new() };
        group.ddls.clear();
        group
            .members
            .iter_mut()
            .filter_map(|(table, at)| at.take().map(|at| (table.clone(), at.end)))
            .collect()
    }

    /// The earliest place from which a restart must read.
    pub fn first(&self) -> Option<&L> {
        self.groups.values().filter_map(Group::first).min()
    }

    /// The group of a target table.
    pub fn get(&self, target: &TableName) -> Option<&Group<L>> {
        self.groups.get(target)
    }

    /// All groups.
    pub fn iter(&self) -> impl Iterator<Item = (&TableName, &Group<L>)> {
        self.groups.iter()
    }

    /// The groups that are in the middle of a statement.
    pub fn open(&self) -> impl Iterator<Item = (&TableName, &Group<L>)> {
        self.groups.iter().filter(|(_, g)| g.is_open())
    }
}

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;
