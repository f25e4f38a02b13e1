//! Query events and their status variables.

use std::borrow::Cow;

use crate::charset::Charset;
use crate::compress;
use crate::error::Fault;
use crate::reader::Reader;

/// A statement: DDL, `BEGIN`, `COMMIT`, or DML of statement format.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// Connection that ran it.
    pub thread_id: u32,
    /// Seconds it took.
    pub exec_time: u32,
    /// Error that it ended with on the source, 0 for none.
    pub error_code: u16,
    /// Default schema, UTF-8 in practice.
    pub schema: &'a [u8],
    /// The text, in the character set of [`StatusVars::charset`]'s client.
    pub sql: Cow<'a, [u8]>,
    /// The session it ran in.
    pub status: StatusVars<'a>,
}

/// Collation numbers of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCharset {
    /// `character_set_client`, as the number of a collation.
    pub client: u16,
    /// `collation_connection`.
    pub connection: u16,
    /// `collation_server`.
    pub server: u16,
}

/// Session state of a statement. A variable that the event does not hold is `None`.
///
/// A variable with a number that is not known ends the list, as it does in the servers (they write the variables so
/// that the newer come last, and the length of an unknown one is not known): its number is kept in
/// [`unknown`](Self::unknown), and so are the statement's text and schema, which are found by other means.
#[derive(Clone, Debug, Default)]
pub struct StatusVars<'a> {
    /// Bits of foreign_key_checks, unique_checks, autocommit and sql_auto_is_null.
    pub flags2: Option<u32>,
    /// `sql_mode`; the bits differ between MySQL and MariaDB.
    pub sql_mode: Option<u64>,
    /// Always `std`.
    pub catalog: Option<&'a [u8]>,
    /// auto_increment_increment and auto_increment_offset.
    pub auto_increment: Option<(u16, u16)>,
    /// Character sets.
    pub charset: Option<SessionCharset>,
    /// `time_zone`.
    pub time_zone: Option<&'a [u8]>,
    /// `lc_time_names` as a number.
    pub lc_time_names: Option<u16>,
    /// `collation_database`.
    pub collation_database: Option<u16>,
    /// Tables of a multi-table update.
    pub table_map_for_update: Option<u64>,
    /// Definer: user and host.
    pub invoker: Option<(&'a [u8], &'a [u8])>,
    /// Schemas that the statement changes, each ended by a zero byte; see [`updated_schemas`](Self::updated_schemas).
    updated_schemas: Option<&'a [u8]>,
    /// Microseconds of the event's time.
    pub microseconds: Option<u32>,
    /// `explicit_defaults_for_timestamp`.
    pub explicit_defaults_for_timestamp: Option<bool>,
    /// Transaction of an atomic DDL.
    pub ddl_xid: Option<u64>,
    /// `default_collation_for_utf8mb4`.
    pub default_collation_for_utf8mb4: Option<u16>,
    /// `sql_require_primary_key`.
    pub sql_require_primary_key: Option<bool>,
    /// `default_table_encryption`.
    pub default_table_encryption: Option<bool>,
    /// One byte that MySQL 9.7 writes with DML statements (seen: 0); its meaning is not published.
    pub variable_21: Option<u8>,
    /// MariaDB: flags of a split ALTER (start, commit, rollback) and the sequence number of its start.
    pub maria_alter: Option<(u8, u64)>,
    /// MariaDB: `character_set_collations`, pairs of a character set's default collation and the one used instead.
    character_set_collations: Option<&'a [u8]>,
    /// The first variable that is not known; those after it were not read.
    pub unknown: Option<u8>,
}

/// More than 16 schemas are not listed.
const TOO_MANY_SCHEMAS: u8 = 254;

impl<'a> StatusVars<'a> {
    /// Schemas that the statement changes; empty when the event does not say, or names too many.
    pub fn updated_schemas(&self) -> impl Iterator<Item = &'a [u8]> {
        self.updated_schemas
            .unwrap_or_default()
            .split_inclusive(|byte| *byte == 0)
            .map(|name| name.strip_suffix(&[0]).unwrap_or(name))
    }

    /// MariaDB's `character_set_collations`: default collation of a character set, and the collation used instead.
    pub fn character_set_collations(&self) -> impl Iterator<Item = (u16, u16)> {
        self.character_set_collations
            .unwrap_or_default()
            .chunks_exact(4)
            .map(|pair| (u16::from_le_bytes([pair[0], pair[1]]), u16::from_le_bytes([pair[2], pair[3]])))
    }

    fn parse(bytes: &'a [u8]) -> Result<StatusVars<'a>, Fault> {
        let mut vars = StatusVars::default();
        let mut reader = Reader::new(bytes);
        while !reader.is_empty() && vars.unknown.is_none() {
            let code = reader.u8("status variable")?;
            vars.read(code, &mut reader)?;
        }
        Ok(vars)
    }

    fn read(&mut self, code: u8, reader: &mut Reader<'a>) -> Result<(), Fault> {
        match code {
            0 => self.flags2 = Some(reader.u32("flags2")?),
            1 => self.sql_mode = Some(reader.u64("sql_mode")?),
            2 => {
                self.catalog = Some(reader.short_bytes("catalog")?);
                reader.u8("end of catalog")?;
            }
            3 => {
                let increment = reader.u16("auto_increment_increment")?;
                self.auto_increment = Some((increment, reader.u16("auto_increment_offset")?));
            }
            4 => {
                self.charset = Some(SessionCharset {
                    client: reader.u16("character_set_client")?,
                    connection: reader.u16("collation_connection")?,
                    server: reader.u16("collation_server")?,
                });
            }
            5 => self.time_zone = Some(reader.short_bytes("time_zone")?),
            6 => self.catalog = Some(reader.short_bytes("catalog")?),
            7 => self.lc_time_names = Some(reader.u16("lc_time_names")?),
            8 => self.collation_database = Some(reader.u16("collation_database")?),
            9 => self.table_map_for_update = Some(reader.u64("table_map_for_update")?),
            // The size of the event before a relay log of 5.0 rewrote it.
            10 => drop(reader.u32("master_data_written")?),
            11 => {
                let user = reader.short_bytes("invoker's user")?;
                self.invoker = Some((user, reader.short_bytes("invoker's host")?));
            }
            12 => self.read_schemas(reader)?,
            13 | 128 => self.microseconds = Some(reader.u24("microseconds")?),
            16 => {
                self.explicit_defaults_for_timestamp =
                    Some(reader.u8("explicit_defaults_for_timestamp")? != 0);
            }
            17 | 129 => self.ddl_xid = Some(reader.u64("DDL xid")?),
            18 => {
                self.default_collation_for_utf8mb4 = Some(reader.u16("default_collation_for_utf8mb4")?);
            }
            19 => self.sql_require_primary_key = Some(reader.u8("sql_require_primary_key")? != 0),
            20 => self.default_table_encryption = Some(reader.u8("default_table_encryption")? != 0),
            21 => self.variable_21 = Some(reader.u8("status variable 21")?),
            130 => {
                let flags = reader.u8("ALTER flags")?;
                // Commit and rollback name their start.
                let start = if flags & 0x0c != 0 { reader.u64("ALTER start")? } else { 0 };
                self.maria_alter = Some((flags, start));
            }
            131 => {
                let count = reader.u8("character_set_collations")?;
                self.character_set_collations =
                    Some(reader.take(usize::from(count) * 4, "character_set_collations")?);
            }
            // MariaDB fills up the events that it replaces with these.
            255 => {}
            other => self.unknown = Some(other),
        }
        Ok(())
    }

    fn read_schemas(&mut self, reader: &mut Reader<'a>) -> Result<(), Fault> {
        let count = reader.u8("updated schemas")?;
        if count == TOO_MANY_SCHEMAS {
            return Ok(());
        }
        let mut probe = *reader;
        let mut len = 0;
        for _ in 0..count {
            while probe.u8("updated schema")? != 0 {
                len += 1;
            }
            len += 1;
        }
        self.updated_schemas = Some(reader.take(len, "updated schemas")?);
        Ok(())
    }
}

impl<'a> Query<'a> {
    /// The statement in UTF-8, as far as its character set is known; else its bytes as they are.
    pub fn text(&self) -> Cow<'_, [u8]> {
        let sql: &[u8] = &self.sql;
        if sql.is_ascii() {
            return Cow::Borrowed(sql);
        }
        let charset =
            self.status.charset.and_then(|charset| Charset::of_collation(u32::from(charset.client)));
        let mut out = Vec::new();
        match charset {
            Some(charset) if charset != Charset::Binary && charset.to_utf8(sql, &mut out) => Cow::Owned(out),
            _ => Cow::Borrowed(sql),
        }
    }

    /// `body` without checksum; `compressed` for MariaDB's event 165.
    pub(crate) fn parse(
        body: &'a [u8],
        post_header_len: usize,
        compressed: bool,
        limit: u64,
    ) -> Result<Query<'a>, Fault> {
        let mut reader = Reader::new(body);
        let mut head = Reader::new(reader.take(post_header_len, "post-header")?);
        let thread_id = head.u32("thread id")?;
        let exec_time = head.u32("execution time")?;
        let schema_len = head.u8("schema length")?;
        let error_code = head.u16("error code")?;
        // Absent in formats before 5.0, which no supported server writes.
        let status_len = if head.is_empty() { 0 } else { head.u16("length of status variables")? };
        let status = reader.take(usize::from(status_len), "status variables")?;
        let schema = reader.take(usize::from(schema_len), "schema")?;
        let zero = reader.u8("end of schema")?;
        if zero != 0 {
            return Err(Fault::invalid("end of schema", zero));
        }
        let text = reader.rest();
        let sql = if compressed {
            let mut plain = Vec::new();
            compress::maria(text, limit, "query", &mut plain)?;
            Cow::Owned(plain)
        } else {
            Cow::Borrowed(text)
        };
        Ok(Query { thread_id, exec_time, error_code, schema, sql, status: StatusVars::parse(status)? })
    }
}
