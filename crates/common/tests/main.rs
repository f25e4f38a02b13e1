//! common against real servers.

mod storage;
