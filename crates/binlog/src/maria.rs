//! Events that only MariaDB writes.

use crate::error::Fault;
use crate::reader::{Reader, text};

/// MariaDB's GTID event, before each transaction. The server id is in the event's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MariaGtid<'a> {
    /// Replication domain.
    pub domain: u32,
    /// Server id, from the header.
    pub server_id: u32,
    /// Sequence number.
    pub seq: u64,
    /// Flags, see the constants.
    pub flags: u8,
    /// Group commit, if it was one.
    pub commit_id: Option<u64>,
    /// XA transaction that is prepared or completed.
    pub xid: Option<Xid<'a>>,
    /// Further flags: several engines, start, commit or rollback of a split ALTER, thread.
    pub extra_flags: u8,
    /// Start of the split ALTER that this one commits or rolls back.
    pub alter_start: Option<u64>,
    /// Connection, if the event holds it.
    pub thread_id: Option<u32>,
}

impl MariaGtid<'_> {
    /// No COMMIT or Xid event follows: a single DDL or other statement.
    pub const STANDALONE: u8 = 1;
    /// Part of a group commit.
    pub const GROUP_COMMIT_ID: u8 = 2;
    /// Can be rolled back.
    pub const TRANSACTIONAL: u8 = 4;
    /// May be applied in parallel.
    pub const ALLOW_PARALLEL: u8 = 8;
    /// Had to wait for a lock on the source.
    pub const WAITED: u8 = 16;
    /// Holds DDL.
    pub const DDL: u8 = 32;
    /// XA PREPARE.
    pub const PREPARED_XA: u8 = 64;
    /// XA COMMIT or XA ROLLBACK.
    pub const COMPLETED_XA: u8 = 128;

    /// Whether a flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Name of an XA transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xid<'a> {
    /// Format number.
    pub format: u32,
    /// Global part.
    pub gtrid: &'a [u8],
    /// Branch.
    pub bqual: &'a [u8],
}

impl<'a> MariaGtid<'a> {
    pub(crate) fn parse(body: &'a [u8], server_id: u32) -> Result<MariaGtid<'a>, Fault> {
        let mut reader = Reader::new(body);
        let seq = reader.u64("sequence number")?;
        let domain = reader.u32("domain")?;
        let flags = reader.u8("flags")?;
        let mut gtid = MariaGtid {
            domain,
            server_id,
            seq,
            flags,
            commit_id: None,
            xid: None,
            extra_flags: 0,
            alter_start: None,
            thread_id: None,
        };
        if gtid.has(MariaGtid::GROUP_COMMIT_ID) {
            gtid.commit_id = Some(reader.u64("commit id")?);
        }
        if gtid.has(MariaGtid::PREPARED_XA | MariaGtid::COMPLETED_XA) {
            let format = reader.u32("XID format")?;
            let gtrid_len = usize::from(reader.u8("length of gtrid")?);
            let bqual_len = usize::from(reader.u8("length of bqual")?);
            let gtrid = reader.take(gtrid_len, "gtrid")?;
            gtid.xid = Some(Xid { format, gtrid, bqual: reader.take(bqual_len, "bqual")? });
        }
        // What follows is either these fields or zeros up to the least length of the event.
        if !reader.is_empty() {
            gtid.extra_flags = reader.u8("extra flags")?;
            if gtid.extra_flags & 1 != 0 {
                reader.u8("extra engines")?;
            }
            if gtid.extra_flags & (4 | 8) != 0 {
                gtid.alter_start = Some(reader.u64("start of ALTER")?);
            }
            if gtid.extra_flags & 16 != 0 {
                gtid.thread_id = Some(reader.u32("thread id")?);
            }
        }
        Ok(gtid)
    }
}

/// One entry of MariaDB's list of the GTIDs of all earlier files. The last of a domain is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MariaGtidEntry {
    /// Replication domain.
    pub domain: u32,
    /// Server id.
    pub server_id: u32,
    /// Sequence number.
    pub seq: u64,
}

/// Flags (the upper four bits of the count) and entries.
pub(crate) fn parse_gtid_list(body: &[u8]) -> Result<(u8, Vec<MariaGtidEntry>), Fault> {
    let mut reader = Reader::new(body);
    let head = reader.u32("number of GTIDs")?;
    let count = (head & 0x0fff_ffff) as usize;
    let mut entries = Reader::new(reader.take(count.saturating_mul(16), "GTIDs")?);
    let mut list = Vec::with_capacity(count);
    while !entries.is_empty() {
        list.push(MariaGtidEntry {
            domain: entries.u32("domain")?,
            server_id: entries.u32("server id")?,
            seq: entries.u64("sequence number")?,
        });
    }
    // An empty list is padded to its least length.
    if reader.rest().iter().any(|byte| *byte != 0) {
        return Err(Fault::invalid("GTID list", "bytes after the last GTID"));
    }
    Ok(((head >> 28) as u8, list))
}

pub(crate) fn parse_checkpoint(body: &[u8]) -> Result<String, Fault> {
    let mut reader = Reader::new(body);
    let len = reader.u32("length of file name")?;
    let name = reader.take(usize::try_from(len).unwrap_or(usize::MAX), "file name")?;
    reader.end("file name")?;
    text(name, "file name")
}
