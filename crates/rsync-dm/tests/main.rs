//! Tests of rsync-dm against real servers and as processes.

mod control;
mod proto_numbers;
