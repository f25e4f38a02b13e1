//! Command line: raw arguments in, checked [`Config`](crate::config::Config) out.

pub mod flags;
pub mod pflag;
pub mod wipe;
