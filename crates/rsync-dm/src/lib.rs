//! DM's job: a control plane of masters and workers, and the replication that the workers do.
#![warn(missing_docs)]

pub mod config;
pub mod ctl;
pub mod proto;
