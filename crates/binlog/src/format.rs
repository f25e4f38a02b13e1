//! Event headers and the format description event.

use crate::error::Fault;
use crate::kind::EventKind;
use crate::reader::{Reader, text};

/// The event follows another that was made up by the server: not in the file, its next position means nothing.
pub const FLAG_ARTIFICIAL: u16 = 0x20;
/// Whoever does not know the event may skip it.
pub const FLAG_IGNORABLE: u16 = 0x80;
/// In a format description: the file is open for writing. Not covered by the checksum.
pub(crate) const FLAG_IN_USE: u16 = 0x01;

/// Length of the header of every event.
pub const HEADER_LEN: usize = 19;
pub(crate) const CHECKSUM_LEN: usize = 4;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Seconds since 1970 when the statement began; 0 in artificial events.
    pub timestamp: u32,
    /// Kind of the event.
    pub kind: EventKind,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Its size with header and checksum.
    pub size: u32,
    /// Where the next event begins in the file, as far as 32 bits go; 0 in some artificial events.
    pub next_pos: u32,
    /// Flags, see [`FLAG_ARTIFICIAL`] and [`FLAG_IGNORABLE`].
    pub flags: u16,
}

impl Header {
    /// Reads the header at the begin of `frame`. The rest is not looked at.
    ///
    /// # Errors
    /// [`Fault::Truncated`] below 19 bytes.
    pub fn parse(frame: &[u8]) -> Result<Header, Fault> {
        let mut reader = Reader::new(frame);
        let head = reader.take(HEADER_LEN, "event header")?;
        let mut reader = Reader::new(head);
        Ok(Header {
            timestamp: reader.u32("timestamp")?,
            kind: EventKind(reader.u8("event type")?),
            server_id: reader.u32("server id")?,
            size: reader.u32("event size")?,
            next_pos: reader.u32("next position")?,
            flags: reader.u16("flags")?,
        })
    }

    /// Made up by the server, not part of the file.
    pub fn is_artificial(&self) -> bool {
        self.flags & FLAG_ARTIFICIAL != 0
    }

    /// Where it begins in the file; 0 when its header does not say.
    pub fn start_pos(&self) -> u64 {
        u64::from(self.next_pos.saturating_sub(self.size))
    }
}

/// The checksum at the end of each event of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// None.
    Off,
    /// CRC32 over header and body.
    Crc32,
}

/// The format description event: how the events of a file are laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatDescription {
    /// Version of the server that wrote the file, such as `8.0.33` or `10.11.19-MariaDB-log`.
    pub server_version: String,
    /// Seconds since 1970 when the server started; 0 when it was running already.
    pub created: u32,
    /// Checksum of the events after this one.
    pub checksum: Checksum,
    /// Lengths of the fixed part of each kind of event, from kind 1 on.
    post_header_lens: Vec<u8>,
}

impl FormatDescription {
    /// Length of the fixed part of a kind of event; `None` when the writing server did not know it.
    pub fn post_header_len(&self, kind: EventKind) -> Option<usize> {
        let index = usize::from(kind.0).checked_sub(1)?;
        self.post_header_lens.get(index).map(|len| usize::from(*len))
    }

    /// Whether a MariaDB server wrote the file.
    pub fn is_mariadb(&self) -> bool {
        self.server_version.contains("MariaDB")
    }

    /// Reads the event after its header. `body` goes to the end of the frame, checksum included: whether there is one is
    /// said by the event itself.
    pub(crate) fn parse(body: &[u8]) -> Result<FormatDescription, Fault> {
        let mut reader = Reader::new(body);
        let version = reader.u16("binlog version")?;
        if version != 4 {
            return Err(Fault::Unknown { what: "binlog version", value: u64::from(version) });
        }
        let server = reader.take(50, "server version")?;
        let end = server.iter().position(|byte| *byte == 0).unwrap_or(server.len());
        let server_version = text(&server[..end], "server version")?;
        let created = reader.u32("creation time")?;
        let header_len = reader.u8("header length")?;
        if usize::from(header_len) != HEADER_LEN {
            return Err(Fault::invalid("header length", header_len));
        }
        let lens = reader.rest();
        // The entry of this event itself is the length of its own fixed part, the list of lengths included: so the
        // number of kinds is known without trusting the version text.
        let own = lens
            .get(usize::from(EventKind::FORMAT_DESCRIPTION.0) - 1)
            .copied()
            .ok_or(Fault::Truncated { what: "post-header lengths", needed: 15, left: lens.len() as u64 })?;
        let count = usize::from(own)
            .checked_sub(57)
            .filter(|count| *count <= lens.len())
            .ok_or_else(|| Fault::invalid("post-header length of the format description", own))?;
        let (lens, tail) = lens.split_at(count);
        let checksum = match tail {
            // Servers before checksums (MySQL 5.6.1, MariaDB 5.3).
            [] => Checksum::Off,
            [0 | 255, _, _, _, _] => Checksum::Off,
            [1, _, _, _, _] => Checksum::Crc32,
            [other, _, _, _, _] => {
                return Err(Fault::Unknown { what: "checksum algorithm", value: u64::from(*other) });
            }
            _ => {
                return Err(Fault::TooLong { what: "post-header lengths", left: tail.len() });
            }
        };
        Ok(FormatDescription { server_version, created, checksum, post_header_lens: lens.to_vec() })
    }
}

/// Splits the checksum off the end of `frame` and verifies it.
pub(crate) fn verify(frame: &[u8], kind: EventKind) -> Result<&[u8], Fault> {
    let (body, stored) = split_checksum(frame)?;
    let computed = checksum(body, kind);
    if computed == stored { Ok(body) } else { Err(Fault::Checksum { stored, computed }) }
}

/// Whether the last four bytes are the checksum of the rest.
pub(crate) fn has_valid_checksum(frame: &[u8], kind: EventKind) -> bool {
    split_checksum(frame).is_ok_and(|(body, stored)| checksum(body, kind) == stored)
}

fn split_checksum(frame: &[u8]) -> Result<(&[u8], u32), Fault> {
    match frame.split_last_chunk::<CHECKSUM_LEN>() {
        Some((body, stored)) if body.len() >= HEADER_LEN => Ok((body, u32::from_le_bytes(*stored))),
        _ => Err(Fault::Truncated {
            what: "checksum",
            needed: CHECKSUM_LEN as u64,
            left: frame.len().saturating_sub(HEADER_LEN) as u64,
        }),
    }
}

fn checksum(body: &[u8], kind: EventKind) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    match body.split_first_chunk::<HEADER_LEN>() {
        // The flag of an open file is set and cleared in place.
        Some((head, tail)) if kind == EventKind::FORMAT_DESCRIPTION => {
            let mut head = *head;
            head[17] &= !(FLAG_IN_USE as u8);
            hasher.update(&head);
            hasher.update(tail);
        }
        _ => hasher.update(body),
    }
    hasher.finalize()
}
