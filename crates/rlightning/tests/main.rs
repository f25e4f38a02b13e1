//! rlightning against real servers.

mod bad_input;
mod check;
mod faults;
mod kills;
mod load;
mod merge;
mod support;
