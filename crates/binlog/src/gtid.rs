//! GTID events of MySQL.

use crate::error::Fault;
use crate::reader::{Reader, text};

/// The GTID event before a transaction (kinds 33, 34 and 42).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gtid<'a> {
    /// UUID of the server where the transaction began; all zero when anonymous.
    pub sid: [u8; 16],
    /// Tag, `None` for a GTID without one.
    pub tag: Option<&'a str>,
    /// Number of the transaction; 0 when anonymous.
    pub gno: u64,
    /// 1: the transaction may hold statements.
    pub flags: u8,
    /// Logical clock: last transaction that must be committed before this one.
    pub last_committed: u64,
    /// Logical clock: this transaction.
    pub sequence_number: u64,
    /// Microseconds since 1970 of the commit on this server; 0 before 8.0.
    pub immediate_commit_timestamp: u64,
    /// Microseconds since 1970 of the commit where the transaction began; 0 before 8.0.
    pub original_commit_timestamp: u64,
    /// Bytes of the transaction in the file, this event included; 0 when not known.
    pub transaction_length: u64,
    /// Version of this server, 80033 for 8.0.33; 0 when not known.
    pub immediate_server_version: u32,
    /// Version of the server where the transaction began; 0 when not known.
    pub original_server_version: u32,
    /// Group of a binlog commit; 0 when there is none.
    pub commit_group_ticket: u64,
}

/// 999999 stands for a version that is not known.
const UNKNOWN_VERSION: u32 = 999_999;

fn version(raw: u32) -> u32 {
    if raw == UNKNOWN_VERSION { 0 } else { raw }
}

impl<'a> Gtid<'a> {
    fn empty() -> Gtid<'a> {
        Gtid {
            sid: [0; 16],
            tag: None,
            gno: 0,
            flags: 0,
            last_committed: 0,
            sequence_number: 0,
            immediate_commit_timestamp: 0,
            original_commit_timestamp: 0,
            transaction_length: 0,
            immediate_server_version: 0,
            original_server_version: 0,
            commit_group_ticket: 0,
        }
    }

    /// Kinds 33 and 34. The event grew from version to version; each part is there or not.
    pub(crate) fn parse(body: &'a [u8]) -> Result<Gtid<'a>, Fault> {
        let mut reader = Reader::new(body);
        let mut gtid = Gtid::empty();
        gtid.flags = reader.u8("flags")?;
        gtid.sid = reader.array("source UUID")?;
        gtid.gno = reader.u64("transaction number")?;
        // 5.6 ends here; only type 2 has been written since 5.7.5.
        match reader.peek() {
            None => return Ok(gtid),
            Some(2) => drop(reader.u8("logical clock type")?),
            Some(other) => {
                return Err(Fault::Unknown { what: "logical clock type", value: u64::from(other) });
            }
        }
        gtid.last_committed = reader.u64("last_committed")?;
        gtid.sequence_number = reader.u64("sequence_number")?;
        if reader.is_empty() {
            return Ok(gtid);
        }
        let immediate = reader.u56("immediate commit timestamp")?;
        gtid.immediate_commit_timestamp = immediate & !(1 << 55);
        gtid.original_commit_timestamp = if immediate & (1 << 55) != 0 {
            reader.u56("original commit timestamp")?
        } else {
            gtid.immediate_commit_timestamp
        };
        if reader.is_empty() {
            return Ok(gtid);
        }
        gtid.transaction_length = reader.packed("transaction length")?;
        if reader.is_empty() {
            return Ok(gtid);
        }
        let immediate = reader.u32("immediate server version")?;
        gtid.immediate_server_version = version(immediate & !(1 << 31));
        gtid.original_server_version = if immediate & (1 << 31) != 0 {
            version(reader.u32("original server version")?)
        } else {
            gtid.immediate_server_version
        };
        if !reader.is_empty() {
            gtid.commit_group_ticket = reader.u64("commit group ticket")?;
        }
        reader.end("GTID")?;
        Ok(gtid)
    }

    /// Kind 42: a message of the server's serialization library. Fields have numbers; one that is not known is an error
    /// unless the message says that it may be ignored.
    pub(crate) fn parse_tagged(body: &'a [u8]) -> Result<Gtid<'a>, Fault> {
        let mut reader = Reader::new(body);
        let format = reader.varlen("serialization version")?;
        if format != 1 {
            return Err(Fault::Unknown { what: "serialization version", value: format });
        }
        let before = body.len();
        let size = reader.varlen("message size")?;
        if size != before as u64 {
            return Err(Fault::Size { header: size, frame: before as u64 });
        }
        let last_required = reader.varlen("last field that must be known")?;
        let mut gtid = Gtid::empty();
        let (mut original_time, mut original_version) = (None, None);
        while !reader.is_empty() {
            let field = reader.varlen("field number")?;
            match field {
                0 => gtid.flags = narrow(reader.varlen("flags")?, "flags")?,
                1 => {
                    for byte in &mut gtid.sid {
                        *byte = narrow(reader.varlen("source UUID")?, "source UUID")?;
                    }
                }
                2 => gtid.gno = unsigned(reader.varlen_signed("transaction number")?)?,
                3 => {
                    let len = reader.varlen("tag")?;
                    let bytes = reader.take(usize::try_from(len).unwrap_or(usize::MAX), "tag")?;
                    let tag = std::str::from_utf8(bytes)
                        .map_err(|_| Fault::invalid("tag", bytes.escape_ascii()))?;
                    gtid.tag = Some(tag).filter(|tag| !tag.is_empty());
                }
                4 => gtid.last_committed = unsigned(reader.varlen_signed("last_committed")?)?,
                5 => gtid.sequence_number = unsigned(reader.varlen_signed("sequence_number")?)?,
                6 => gtid.immediate_commit_timestamp = reader.varlen("immediate commit timestamp")?,
                7 => original_time = Some(reader.varlen("original commit timestamp")?),
                8 => gtid.transaction_length = reader.varlen("transaction length")?,
                9 => {
                    let raw = reader.varlen("immediate server version")?;
                    gtid.immediate_server_version = version(narrow(raw, "immediate server version")?);
                }
                10 => {
                    let raw = reader.varlen("original server version")?;
                    original_version = Some(version(narrow(raw, "original server version")?));
                }
                11 => gtid.commit_group_ticket = reader.varlen("commit group ticket")?,
                // Its length is not known, and neither is that of those after it.
                other if other > last_required => drop(reader.rest()),
                other => return Err(Fault::Unknown { what: "field of a tagged GTID", value: other }),
            }
        }
        gtid.original_commit_timestamp = original_time.unwrap_or(gtid.immediate_commit_timestamp);
        gtid.original_server_version = original_version.unwrap_or(gtid.immediate_server_version);
        Ok(gtid)
    }
}

fn narrow<T: TryFrom<u64>>(value: u64, what: &'static str) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| Fault::invalid(what, value))
}

fn unsigned(value: i64) -> Result<u64, Fault> {
    u64::try_from(value).map_err(|_| Fault::invalid("number of a tagged GTID", value))
}

/// One UUID (with a tag, if it has one) of a previous-GTIDs event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreviousGtid {
    /// UUID of a server.
    pub sid: [u8; 16],
    /// Tag, `None` for GTIDs without one.
    pub tag: Option<String>,
    /// First and last transaction number of each interval, both included.
    pub intervals: Vec<(u64, u64)>,
}

pub(crate) fn parse_previous(body: &[u8]) -> Result<Vec<PreviousGtid>, Fault> {
    let mut reader = Reader::new(body);
    let head = reader.u64("number of UUIDs")?;
    let (tagged, count) = match head >> 56 {
        0 => (false, head),
        1 => (true, (head >> 8) & 0xffff_ffff_ffff),
        other => return Err(Fault::Unknown { what: "format of previous GTIDs", value: other }),
    };
    let mut all = Vec::new();
    for _ in 0..count {
        let sid = reader.array("UUID")?;
        let mut tag = None;
        if tagged {
            let len = reader.varlen("tag")?;
            let bytes = reader.take(usize::try_from(len).unwrap_or(usize::MAX), "tag")?;
            tag = Some(text(bytes, "tag")?).filter(|tag| !tag.is_empty());
        }
        let intervals = reader.u64("number of intervals")?;
        let needed = intervals.saturating_mul(16);
        let bytes = reader.take(usize::try_from(needed).unwrap_or(usize::MAX), "intervals")?;
        let mut pairs = Vec::with_capacity(bytes.len() / 16);
        let mut inner = Reader::new(bytes);
        while !inner.is_empty() {
            let first = inner.u64("interval")?;
            let end = inner.u64("interval")?;
            if first == 0 || end <= first {
                return Err(Fault::invalid("interval", format_args!("{first} to {end}")));
            }
            pairs.push((first, end - 1));
        }
        all.push(PreviousGtid { sid, tag, intervals: pairs });
    }
    reader.end("previous GTIDs")?;
    Ok(all)
}
