//! Connections to MySQL, MariaDB and TiDB: the only user of mysql_async.
//!
//! - [`Endpoint`] says where a server is and how to log in; [`Conn`] is one session there.
//! - [`wire`] is our own protocol reader, for rows by the million and for the binlog stream.
//! - [`Error`] says where, what and what to do; [`Error::class`] is what code decides by.
//! - [`gtid`], [`location`] and [`privileges`] hold values that need no connection.
//! - [`session`] asks a server what every tool wants to know of it.
#![warn(missing_docs)]

pub mod blank_enums;
mod class;
mod conn;
mod endpoint;
mod error;
pub mod gtid;
pub mod location;
pub mod privileges;
pub mod row_hash;
mod rows;
pub mod session;
mod version;
pub mod wire;

pub use class::ErrorClass;
pub use conn::{Conn, Infile, Outcome, RowStream};
pub use endpoint::{Endpoint, Pem, Tls, TlsMode, install_crypto};
pub use error::{Error, Result};
pub use gtid::{Gtid, GtidError, GtidSet};
pub use location::Location;
pub use rows::{Column, ColumnIndex, Row, Rows};
pub use version::{Flavor, ServerInfo, ServerVersion};
