//! Our own client protocol for what must be fast: the rows of a dump and the binlog stream.
//!
//! A [`WireConn`] logs in by itself (every TLS mode, the plugins native, caching_sha2, sha256) and lends rows and events as
//! slices of its receive buffer: no allocation and no copy for a row or cell. Everything else belongs to [`crate::Conn`].
//!
//! Dropping a connection closes its socket at once; nothing is drained in the background.

mod auth;
pub mod binlog;
mod channel;
mod conn;
mod fail;
mod handshake;
mod parse;
mod proto;
mod receive;
mod rows;
mod tls;

#[cfg(test)]
mod hostile;

pub use binlog::{BinlogRequest, BinlogStream, Frame, Refusal, Start};
pub use conn::WireConn;
pub use proto::{BINARY_CHARSET, ColumnDef, ColumnType, flag};
pub use rows::{Cells, RowRef, RowStream};
