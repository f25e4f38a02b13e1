//! `ctl`: the client of a master.

pub mod answer;
