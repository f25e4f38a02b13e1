//! Packets of the client protocol as values: greeting, handshake answers, OK, ERR, EOF, column definitions.

use super::parse::{Cursor, Malformed, Parsed, put_length, put_length_bytes};

/// Capability bits; those we never use have no name here.
pub(crate) mod cap {
    pub(crate) const LONG_PASSWORD: u32 = 1;
    pub(crate) const LONG_FLAG: u32 = 1 << 2;
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const PROTOCOL_41: u32 = 1 << 9;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const TRANSACTIONS: u32 = 1 << 13;
    pub(crate) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const CONNECT_ATTRS: u32 = 1 << 20;
    pub(crate) const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
}

/// Server status bits.
pub(crate) mod status {
    pub(crate) const MORE_RESULTS: u16 = 8;
}

/// Commands.
pub(crate) mod command {
    pub(crate) const QUIT: u8 = 0x01;
    pub(crate) const QUERY: u8 = 0x03;
    pub(crate) const PING: u8 = 0x0e;
    pub(crate) const BINLOG_DUMP: u8 = 0x12;
    pub(crate) const REGISTER_SLAVE: u8 = 0x15;
    pub(crate) const BINLOG_DUMP_GTID: u8 = 0x1e;
}

/// utf8mb4_general_ci, known since 5.5.3.
pub(crate) const UTF8MB4: u8 = 45;
/// utf8_general_ci, for servers before that.
pub(crate) const UTF8: u8 = 33;

/// The first packet of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Greeting {
    pub(crate) version: String,
    pub(crate) connection_id: u32,
    pub(crate) nonce: Vec<u8>,
    pub(crate) capabilities: u32,
    pub(crate) plugin: String,
}

impl Greeting {
    pub(crate) fn parse(packet: &[u8]) -> Parsed<Greeting> {
        let mut at = Cursor::new(packet);
        if at.u8("protocol version")? != 10 {
            return Err(Malformed("protocol version"));
        }
        let version = lossy(at.null_terminated("server version")?);
        let connection_id = at.u32("connection id")?;
        let mut nonce = at.take(8, "first part of the nonce")?.to_vec();
        at.u8("filler of the greeting")?;
        let mut capabilities = u32::from(at.u16("capabilities")?);
        let mut plugin = String::new();
        // Servers before 4.1 end here; they lack PROTOCOL_41 and are refused by the caller.
        if !at.is_empty() {
            at.u8("character set")?;
            at.u16("status")?;
            capabilities |= u32::from(at.u16("high capabilities")?) << 16;
            let nonce_length = at.u8("length of the nonce")?;
            at.take(10, "reserved bytes of the greeting")?;
            if capabilities & cap::SECURE_CONNECTION != 0 {
                let length = usize::from(nonce_length).saturating_sub(8).max(13);
                // Some proxies send the 12 bytes without the zero that ends them.
                let part = at.take(length.min(at.rest().len()), "second part of the nonce")?;
                nonce.extend_from_slice(part.strip_suffix(&[0]).unwrap_or(part));
            }
            if capabilities & cap::PLUGIN_AUTH != 0 {
                // MariaDB before 5.5.7 and some proxies do not send the zero at the end.
                let name = at.rest();
                let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
                plugin = lossy(&name[..end]);
            }
        }
        Ok(Greeting { version, connection_id, nonce, capabilities, plugin })
    }
}

/// The answer to a greeting.
#[derive(Debug)]
pub(crate) struct HandshakeResponse<'a> {
    pub(crate) capabilities: u32,
    pub(crate) charset: u8,
    pub(crate) user: &'a str,
    pub(crate) auth: &'a [u8],
    pub(crate) database: Option<&'a str>,
    pub(crate) plugin: &'a str,
    pub(crate) attributes: &'a [(&'a str, String)],
}

/// What we say we take; the servers' own limit is lower.
const MAX_PACKET: u32 = 1 << 30;

/// The part that both the SSL request and the answer begin with.
fn put_response_head(out: &mut Vec<u8>, capabilities: u32, charset: u8) {
    out.extend_from_slice(&capabilities.to_le_bytes());
    out.extend_from_slice(&MAX_PACKET.to_le_bytes());
    out.push(charset);
    out.extend_from_slice(&[0; 23]);
}

/// Asks to go on under TLS.
pub(crate) fn ssl_request(capabilities: u32, charset: u8) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    put_response_head(&mut out, capabilities, charset);
    out
}

impl HandshakeResponse<'_> {
    /// `None`: an answer above 255 bytes cannot be told to this server, nor can a zero byte in a name.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        if self.user.contains('\0') || self.database.is_some_and(|name| name.contains('\0')) {
            return None;
        }
        let mut out = Vec::with_capacity(256);
        put_response_head(&mut out, self.capabilities, self.charset);
        out.extend_from_slice(self.user.as_bytes());
        out.push(0);
        if self.capabilities & cap::PLUGIN_AUTH_LENENC != 0 {
            put_length_bytes(&mut out, self.auth);
        } else {
            out.push(u8::try_from(self.auth.len()).ok()?);
            out.extend_from_slice(self.auth);
        }
        if self.capabilities & cap::CONNECT_WITH_DB != 0 {
            out.extend_from_slice(self.database.unwrap_or_default().as_bytes());
            out.push(0);
        }
        if self.capabilities & cap::PLUGIN_AUTH != 0 {
            out.extend_from_slice(self.plugin.as_bytes());
            out.push(0);
        }
        if self.capabilities & cap::CONNECT_ATTRS != 0 {
            let mut attributes = Vec::new();
            for (key, value) in self.attributes {
                put_length_bytes(&mut attributes, key.as_bytes());
                put_length_bytes(&mut attributes, value.as_bytes());
            }
            put_length(&mut out, attributes.len() as u64);
            out.extend_from_slice(&attributes);
        }
        Some(out)
    }
}

/// An error packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ErrPacket {
    pub(crate) code: u16,
    pub(crate) state: String,
    pub(crate) message: String,
}

impl ErrPacket {
    /// Parses a packet that starts with 0xff. Errors sent before the handshake is done have no SQL state.
    pub(crate) fn parse(packet: &[u8]) -> Parsed<ErrPacket> {
        let mut at = Cursor::new(packet);
        if at.u8("error packet")? != 0xff {
            return Err(Malformed("error packet"));
        }
        let code = at.u16("error code")?;
        let mut state = String::new();
        if at.rest().first() == Some(&b'#') {
            at.u8("SQL state")?;
            state = lossy(at.take(5, "SQL state")?);
        }
        Ok(ErrPacket { code, state, message: lossy(at.rest()) })
    }
}

/// What a statement without rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct OkPacket {
    pub(crate) affected: u64,
    pub(crate) last_insert_id: u64,
    pub(crate) status: u16,
    pub(crate) warnings: u16,
}

impl OkPacket {
    /// Parses a packet that starts with 0x00, or with 0xfe where it stands for an EOF.
    pub(crate) fn parse(packet: &[u8]) -> Parsed<OkPacket> {
        let mut at = Cursor::new(packet);
        if !matches!(at.u8("OK packet")?, 0x00 | 0xfe) {
            return Err(Malformed("OK packet"));
        }
        let affected = at.length("number of affected rows")?;
        let last_insert_id = at.length("last insert id")?;
        let status = at.u16("status")?;
        let warnings = at.u16("number of warnings")?;
        Ok(OkPacket { affected, last_insert_id, status, warnings })
    }
}

/// Whether a packet among rows ends them. A row that starts with 0xfe has a first cell of at least 16 MiB.
pub(crate) fn ends_rows(packet: &[u8], deprecate_eof: bool) -> bool {
    packet.first() == Some(&0xfe) && if deprecate_eof { packet.len() < 0xff_ffff } else { packet.len() < 9 }
}

/// The status in the packet that ends rows.
pub(crate) fn end_status(packet: &[u8], deprecate_eof: bool) -> Parsed<u16> {
    if deprecate_eof {
        return OkPacket::parse(packet).map(|ok| ok.status);
    }
    let mut at = Cursor::new(packet);
    at.u8("EOF packet")?;
    at.u16("number of warnings")?;
    at.u16("status")
}

/// One column of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// The name or alias, as sent.
    pub name: String,
    /// The schema of its table; empty for an expression.
    pub schema: String,
    /// The alias of its table; empty for an expression.
    pub table: String,
    /// The table itself.
    pub org_table: String,
    /// The column itself.
    pub org_name: String,
    /// The collation number; 63 is binary.
    pub charset: u16,
    /// The display length in bytes.
    pub length: u32,
    /// The type's number in the protocol.
    pub type_: ColumnType,
    /// The flag bits of [`flag`].
    pub flags: u16,
    /// Digits after the point; 31 (0x1f) for a FLOAT or DOUBLE without a number of them.
    pub decimals: u8,
}

/// Bits of [`ColumnDef::flags`].
pub mod flag {
    /// NOT NULL.
    pub const NOT_NULL: u16 = 1;
    /// Part of the primary key.
    pub const PRIMARY_KEY: u16 = 2;
    /// Part of a unique key.
    pub const UNIQUE_KEY: u16 = 4;
    /// A BLOB or TEXT.
    pub const BLOB: u16 = 16;
    /// UNSIGNED.
    pub const UNSIGNED: u16 = 32;
    /// A binary collation.
    pub const BINARY: u16 = 128;
    /// An ENUM (whose type number says string).
    pub const ENUM: u16 = 256;
    /// AUTO_INCREMENT.
    pub const AUTO_INCREMENT: u16 = 512;
    /// A SET (whose type number says string).
    pub const SET: u16 = 2048;
}

/// The collation number of binary strings and of everything that is no text.
pub const BINARY_CHARSET: u16 = 63;

/// A type number of the protocol. Numbers without a name here are carried along: the text of a cell needs no type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ColumnType(pub u8);

#[allow(missing_docs)]
impl ColumnType {
    pub const DECIMAL: ColumnType = ColumnType(0);
    pub const TINY: ColumnType = ColumnType(1);
    pub const SHORT: ColumnType = ColumnType(2);
    pub const LONG: ColumnType = ColumnType(3);
    pub const FLOAT: ColumnType = ColumnType(4);
    pub const DOUBLE: ColumnType = ColumnType(5);
    pub const NULL: ColumnType = ColumnType(6);
    pub const TIMESTAMP: ColumnType = ColumnType(7);
    pub const LONGLONG: ColumnType = ColumnType(8);
    pub const INT24: ColumnType = ColumnType(9);
    pub const DATE: ColumnType = ColumnType(10);
    pub const TIME: ColumnType = ColumnType(11);
    pub const DATETIME: ColumnType = ColumnType(12);
    pub const YEAR: ColumnType = ColumnType(13);
    pub const VARCHAR: ColumnType = ColumnType(15);
    pub const BIT: ColumnType = ColumnType(16);
    pub const VECTOR: ColumnType = ColumnType(242);
    pub const JSON: ColumnType = ColumnType(245);
    pub const NEWDECIMAL: ColumnType = ColumnType(246);
    pub const ENUM: ColumnType = ColumnType(247);
    pub const SET: ColumnType = ColumnType(248);
    pub const TINY_BLOB: ColumnType = ColumnType(249);
    pub const MEDIUM_BLOB: ColumnType = ColumnType(250);
    pub const LONG_BLOB: ColumnType = ColumnType(251);
    pub const BLOB: ColumnType = ColumnType(252);
    pub const VAR_STRING: ColumnType = ColumnType(253);
    pub const STRING: ColumnType = ColumnType(254);
    pub const GEOMETRY: ColumnType = ColumnType(255);
}

impl ColumnDef {
    pub(crate) fn parse(packet: &[u8]) -> Parsed<ColumnDef> {
        let mut at = Cursor::new(packet);
        at.length_bytes("catalog of a column")?;
        let schema = lossy(at.length_bytes("schema of a column")?);
        let table = lossy(at.length_bytes("table of a column")?);
        let org_table = lossy(at.length_bytes("table of a column")?);
        let name = lossy(at.length_bytes("name of a column")?);
        let org_name = lossy(at.length_bytes("name of a column")?);
        if at.length("fixed part of a column")? < 12 {
            return Err(Malformed("fixed part of a column"));
        }
        Ok(ColumnDef {
            schema,
            table,
            org_table,
            name,
            org_name,
            charset: at.u16("charset of a column")?,
            length: at.u32("length of a column")?,
            type_: ColumnType(at.u8("type of a column")?),
            flags: at.u16("flags of a column")?,
            decimals: at.u8("decimals of a column")?,
        })
    }

    /// Whether the column is UNSIGNED.
    pub fn is_unsigned(&self) -> bool {
        self.flags & flag::UNSIGNED != 0
    }

    /// Whether its cells are bytes and not text.
    pub fn is_binary(&self) -> bool {
        self.charset == BINARY_CHARSET
    }
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
