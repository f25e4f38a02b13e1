//! rdump against real servers.

mod bad_input;
mod chunks;
mod cloud;
mod consistency;
mod forms;
mod gentle;
mod golden;
mod kills;
mod masks;
mod mixing;
mod parquet;
mod portable;
mod resume;
mod round_trip;
mod support;
mod verify;
