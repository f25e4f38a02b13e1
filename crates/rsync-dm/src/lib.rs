//! DM's job: a control plane of masters and workers, and the replication that the workers do.
#![warn(missing_docs)]

pub mod checkpoint;
pub mod config;
pub mod ctl;
pub mod master;
pub mod meta_from;
pub mod proto;
pub mod shard;
pub mod verify;
