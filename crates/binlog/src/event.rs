//! Decoded events.

use std::sync::Arc;

use crate::error::Fault;
use crate::format::{FormatDescription, Header};
use crate::gtid::{Gtid, PreviousGtid};
use crate::maria::{MariaGtid, MariaGtidEntry};
use crate::payload::Payload;
use crate::query::Query;
use crate::reader::{Reader, text};
use crate::rows::RowsEvent;
use crate::table_map::TableMap;

/// One event.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    /// Its header.
    pub header: Header,
    /// What it says.
    pub body: Body<'a>,
}

/// What an event says.
#[derive(Clone, Debug)]
pub enum Body<'a> {
    /// First event of a file.
    Format(Arc<FormatDescription>),
    /// The next file; artificial at the begin of a stream.
    Rotate(Rotate<'a>),
    /// A statement.
    Query(Query<'a>),
    /// A transaction with a GTID begins (MySQL).
    Gtid(Gtid<'a>),
    /// A transaction without GTID begins (MySQL).
    AnonymousGtid(Gtid<'a>),
    /// GTIDs of all earlier files (MySQL).
    PreviousGtids(Vec<PreviousGtid>),
    /// The transaction is committed; its number is of no use elsewhere.
    Xid(u64),
    /// XA PREPARE, or the one-phase commit of an XA transaction.
    XaPrepare(XaPrepare<'a>),
    /// The table of the next rows events. The same `Arc` comes again while the table does not change.
    TableMap(Arc<TableMap>),
    /// Rows.
    Rows(RowsEvent<'a>),
    /// An event that only ends the statement: it has no table and no rows.
    NoRows,
    /// The statement whose rows follow (MySQL's Rows_query, MariaDB's Annotate_rows).
    RowsQuery(&'a [u8]),
    /// The source is alive and has sent everything up to this place.
    Heartbeat(Heartbeat<'a>),
    /// A transaction begins (MariaDB).
    MariaGtid(MariaGtid<'a>),
    /// GTIDs of all earlier files (MariaDB), with flags.
    MariaGtidList {
        /// 1: the UNTIL position is reached; 2: GTIDs are ignored.
        flags: u8,
        /// The GTIDs.
        gtids: Vec<MariaGtidEntry>,
    },
    /// Oldest file needed for recovery (MariaDB).
    MariaCheckpoint(String),
    /// A compressed transaction, see [`Payload::open`].
    Payload(Payload<'a>),
    /// The server stopped.
    Stop,
    /// Value of LAST_INSERT_ID (1) or INSERT_ID (2) for the next statement.
    Intvar {
        /// 1 or 2.
        kind: u8,
        /// The value.
        value: u64,
    },
    /// Seeds of RAND() for the next statement.
    Rand(u64, u64),
    /// A user variable for the next statement.
    UserVar(UserVar<'a>),
    /// LOAD DATA in statement format: its file's blocks and its statement. The bytes are not decoded.
    LoadData(&'a [u8]),
    /// Group replication's view changes and transaction contexts: nothing to replicate.
    GroupReplication,
    /// An event with the flag that it may be ignored.
    Ignored,
}

/// Where the log goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Next file.
    pub file: &'a str,
    /// Place of its first event.
    pub position: u64,
}

impl<'a> Rotate<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<Rotate<'a>, Fault> {
        let mut reader = Reader::new(body);
        let position = reader.u64("position")?;
        Ok(Rotate { file: file_name(reader.rest())?, position })
    }
}

fn file_name(bytes: &[u8]) -> Result<&str, Fault> {
    let name = std::str::from_utf8(bytes)
        .ok()
        .filter(|name| !name.is_empty() && !name.chars().any(char::is_control));
    name.ok_or_else(|| Fault::invalid("file name", bytes.escape_ascii()))
}

/// A sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// Current file of the source.
    pub file: &'a str,
    /// Place up to which all was sent. From the header in the first form of the event, where it is cut to 32 bits.
    pub position: u64,
}

impl<'a> Heartbeat<'a> {
    pub(crate) fn parse(body: &'a [u8], header: &Header) -> Result<Heartbeat<'a>, Fault> {
        Ok(Heartbeat { file: file_name(body)?, position: u64::from(header.next_pos) })
    }

    /// Kind 41: fields with a type and a length.
    pub(crate) fn parse_v2(body: &'a [u8]) -> Result<Heartbeat<'a>, Fault> {
        let mut reader = Reader::new(body);
        let (mut file, mut position) = (None, None);
        loop {
            match reader.packed("heartbeat field")? {
                0 => break,
                1 => file = Some(file_name(reader.packed_bytes("file name")?)?),
                2 => {
                    let mut inner = Reader::new(reader.packed_bytes("position")?);
                    position = Some(inner.packed("position")?);
                    inner.end("position")?;
                }
                // Fields with their lengths may be passed over.
                _ => drop(reader.packed_bytes("heartbeat field")?),
            }
        }
        reader.end("heartbeat")?;
        let missing = |what| Fault::Truncated { what, needed: 1, left: 0 };
        Ok(Heartbeat {
            file: file.ok_or(missing("file name"))?,
            position: position.ok_or(missing("position"))?,
        })
    }
}

/// XA PREPARE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XaPrepare<'a> {
    /// Committed at once (XA COMMIT … ONE PHASE); otherwise a later XA COMMIT or XA ROLLBACK decides.
    pub one_phase: bool,
    /// Name of the transaction.
    pub xid: crate::maria::Xid<'a>,
}

impl<'a> XaPrepare<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<XaPrepare<'a>, Fault> {
        let mut reader = Reader::new(body);
        let one_phase = reader.u8("one phase")? != 0;
        let format = reader.u32("XID format")?;
        let gtrid_len = reader.u32("length of gtrid")? as usize;
        let bqual_len = reader.u32("length of bqual")? as usize;
        let gtrid = reader.take(gtrid_len, "gtrid")?;
        let bqual = reader.take(bqual_len, "bqual")?;
        reader.end("XID")?;
        Ok(XaPrepare { one_phase, xid: crate::maria::Xid { format, gtrid, bqual } })
    }
}

/// A user variable of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserVar<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Its value in the server's own form, `None` for NULL.
    pub value: Option<&'a [u8]>,
}

impl<'a> UserVar<'a> {
    pub(crate) fn parse(body: &'a [u8]) -> Result<UserVar<'a>, Fault> {
        let mut reader = Reader::new(body);
        let len = reader.u32("length of name")? as usize;
        let name = reader.take(len, "name")?;
        if reader.u8("null flag")? != 0 {
            return Ok(UserVar { name, value: None });
        }
        reader.u8("type")?;
        reader.u32("collation")?;
        let len = reader.u32("length of value")? as usize;
        let value = reader.take(len, "value")?;
        // A byte of flags since 5.6.
        if !reader.is_empty() {
            reader.u8("flags")?;
        }
        reader.end("value")?;
        Ok(UserVar { name, value: Some(value) })
    }
}

pub(crate) fn parse_intvar<'a>(body: &'a [u8]) -> Result<Body<'a>, Fault> {
    let mut reader = Reader::new(body);
    let kind = reader.u8("type")?;
    let value = reader.u64("value")?;
    reader.end("value")?;
    Ok(Body::Intvar { kind, value })
}

pub(crate) fn parse_rand<'a>(body: &'a [u8]) -> Result<Body<'a>, Fault> {
    let mut reader = Reader::new(body);
    let first = reader.u64("seed")?;
    let second = reader.u64("seed")?;
    reader.end("seeds")?;
    Ok(Body::Rand(first, second))
}

pub(crate) fn parse_incident(body: &[u8]) -> Fault {
    let mut reader = Reader::new(body);
    let parsed = reader.u16("incident").and_then(|number| {
        let message = text(reader.short_bytes("message")?, "message")?;
        Ok(Fault::Incident { number, message })
    });
    parsed.unwrap_or_else(|fault| fault)
}
