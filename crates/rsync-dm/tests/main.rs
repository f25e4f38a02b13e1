//! Tests of rsync-dm against real servers and as processes.

mod cluster;
mod control;
mod proto_numbers;
mod syncer;
mod verify;
