//! The master.
pub mod locks;
pub mod scheduler;
pub mod store;
