//! Where replication goes on after a stop: places in the binlog, kept in the target.
//!
//! DM's checkpoint table has a global point for each source and a point for each table. Beside it we keep a [`Ledger`] of
//! what was applied since, so that a killed process goes on exactly: no row is applied twice or left out, with keys or without.

mod ledger;
mod points;
mod store;
mod tables;

pub use ledger::{CHECKPOINT_LANE, Ledger, OPERATORS_LANE, current_epoch, take_over};
pub use points::Points;
pub use store::{DdlJournal, Flush, Loaded, State, Store, TablePoint};
pub use tables::Tables;
