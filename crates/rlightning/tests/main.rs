//! rlightning against real servers.

mod bad_input;
mod blank;
mod check;
mod checkpoint;
mod csv;
mod ctl;
mod ended;
mod faults;
mod full_disk;
mod golden;
mod indexes;
mod kills;
mod left_out;
mod load;
mod merge;
mod orphans;
mod parquet;
mod portable;
mod programs;
mod server;
mod status;
mod support;
mod tls;
mod verdicts;
mod verify;
