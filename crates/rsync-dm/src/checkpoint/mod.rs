//! Where replication goes on after a stop: places in the binlog, kept in the target.

mod points;

pub use points::Points;
