//! rlightning against real servers.

mod bad_input;
mod faults;
mod kills;
mod load;
mod merge;
mod support;
