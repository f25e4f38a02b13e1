//! What the tools share: names, filters, routes, dump files, configuration, errors, log, storage.
//!
//! A family of modules named for domain words. None knows a database connection.
#![warn(missing_docs)]

pub mod args;
pub mod block_allow;
pub mod cipher;
pub mod config;
pub mod crashsafe;
pub mod dumpfile;
pub mod duration;
pub mod error;
pub mod failpoint;
pub mod filter;
pub mod go_regex;
pub mod ident;
pub mod log;
pub mod manifest;
pub mod metadata;
pub mod out;
pub mod pattern;
pub mod progress;
pub mod retry;
pub mod route;
pub mod secret;
pub mod size;
pub mod storage;
pub mod version;
