//! Binary logs of MySQL 5.6 to 9.x and MariaDB 10 to 11: frames in, events, rows and values out. Pure: no files, sockets or
//! clocks.
//!
//! ```no_run
//! # fn frames() -> Vec<Vec<u8>> { Vec::new() }
//! use binlog::{Body, Decoder, Flavor};
//! # fn main() -> Result<(), binlog::DecodeError> {
//! let mut decoder = Decoder::new(Flavor::MySql);
//! let mut sql = Vec::new();
//! for frame in frames() {
//!     let event = decoder.decode(&frame)?;
//!     if let Body::Rows(event) = event.body {
//!         let mut rows = event.rows();
//!         while let Some(change) = rows.next()? {
//!             for row in [change.before, change.after].into_iter().flatten() {
//!                 for column in 0..row.len() {
//!                     sql.clear();
//!                     row.write_literal(column, &mut sql)?;
//!                 }
//!             }
//!         }
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! A compressed transaction ([`Body::Payload`]) holds further frames: [`Payload::open`], then each frame of
//! [`PayloadEvents::next`] goes to [`Decoder::decode_inner`].
//!
//! What is not known is an error that names the event and its place, with these exceptions, as in the servers: events with
//! the flag that they may be ignored, further kinds of optional table metadata (they have a length and only add to what is
//! known), and status variables of statements ([`StatusVars`] says which one ended the list).

#![deny(missing_docs)]

mod address;
mod charset;
mod compress;
mod decoder;
mod error;
mod event;
mod format;
mod gtid;
mod json;
mod kind;
mod literal;
mod maria;
mod number;
mod payload;
mod query;
mod reader;
mod rows;
mod table_map;
mod temporal;
#[cfg(test)]
mod tests;
mod value;

pub use address::Address;
pub use charset::Charset;
pub use decoder::{DEFAULT_MEMORY_LIMIT, Decoder, Flavor};
pub use error::{DecodeError, Fault};
pub use event::{Body, Event, Heartbeat, Rotate, UserVar, XaPrepare};
pub use format::{Checksum, FLAG_ARTIFICIAL, FLAG_IGNORABLE, FormatDescription, HEADER_LEN, Header};
pub use gtid::{Gtid, PreviousGtid};
pub use json::Json;
pub use kind::EventKind;
pub use literal::{write_binary, write_text};
pub use maria::{MariaGtid, MariaGtidEntry, Xid};
pub use payload::{Compression, Payload, PayloadEvents};
pub use query::{Query, SessionCharset, StatusVars};
pub use rows::{Change, Row, Rows, RowsEvent, RowsKind};
pub use table_map::{Column, ColumnHint, ColumnKind, TableMap};
pub use temporal::{Date, DateTime, Time, Timestamp};
pub use value::{Decimal, Value};
