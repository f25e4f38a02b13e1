//! DM's job: a control plane of masters and workers, and the replication that the workers do.
#![warn(missing_docs)]

pub mod check;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod ctl;
mod http;
pub mod master;
pub mod meta_from;
pub mod proto;
pub mod run;
pub mod shard;
pub mod start_time;
pub mod syncer;
pub mod tls;
pub mod upstream;
pub mod verify;
pub mod worker;
