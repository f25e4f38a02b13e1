//! What statements make of tracked tables, without a server.
