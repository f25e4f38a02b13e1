//! The sync unit on real servers, through `rsync-dm run`.

mod bad_input;
mod kills;
mod merge;
mod rig;
mod types;
