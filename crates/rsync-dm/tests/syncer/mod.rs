//! The sync unit on real servers, through `rsync-dm run`.

mod bad_input;
mod begins;
mod begun;
mod blank_enums;
mod cascades;
mod exact;
mod filters;
mod json_doubles;
mod keys;
mod kills;
mod locks;
mod maria_tables;
mod merge;
mod names_there;
mod owners;
mod places;
mod rig;
mod rollbacks;
mod run_checks;
mod servers;
mod stopping;
mod swaps;
mod tasks;
mod types;
mod xa;
