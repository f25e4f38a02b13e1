//! From frames to events.
//!
//! State: the current file (from rotate events), the format of its events (from the format description), the table maps
//! of the current file by their number. Invariants:
//! 1. No event but a rotate or a heartbeat is decoded before a format description.
//! 2. A new file forgets the table maps of the one before.
//! 3. An event that is an error changes nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use crate::compress;
use crate::error::{DecodeError, Fault, Place};
use crate::event::{
    Body, Event, Heartbeat, Rotate, UserVar, XaPrepare, parse_incident, parse_intvar, parse_rand,
};
use crate::format::{self, Checksum, FLAG_IGNORABLE, FormatDescription, HEADER_LEN, Header};
use crate::gtid::{self, Gtid};
use crate::kind::EventKind;
use crate::maria::{self, MariaGtid};
use crate::payload::Payload;
use crate::query::Query;
use crate::reader::Reader;
use crate::rows::{Present, RowsEvent, RowsHead, RowsKind};
use crate::table_map::TableMap;

/// Which family of servers wrote the log. The numbers of events do not overlap, so it only guards against mixing them up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL, Percona Server.
    MySql,
    /// MariaDB.
    MariaDb,
}

/// Greatest memory for one decompressed transaction or event, unless set otherwise.
pub const DEFAULT_MEMORY_LIMIT: u64 = 64 << 20;

/// More table maps than this are forgotten all at once (they come again with the next statement on each table). Statements
/// with more tables than this do not exist: servers join at most 61.
const MAX_TABLE_MAPS: usize = 1024;

/// Decodes the frames of one log, in order.
#[derive(Debug)]
pub struct Decoder {
    flavor: Flavor,
    memory_limit: u64,
    file: Option<Arc<str>>,
    format: Option<Arc<FormatDescription>>,
    tables: HashMap<u64, Arc<TableMap>>,
    /// Where the last compressed transaction stands, for errors in it: its events have no places of their own.
    payload_position: u64,
}

impl Decoder {
    /// A decoder for the begin of a log or stream.
    pub fn new(flavor: Flavor) -> Decoder {
        Decoder {
            payload_position: 0,
            flavor,
            memory_limit: DEFAULT_MEMORY_LIMIT,
            file: None,
            format: None,
            tables: HashMap::new(),
        }
    }

    /// Bytes that a decompressed transaction may take as a whole; larger ones are decompressed event by event, and a
    /// single event over the limit is an error.
    pub fn set_memory_limit(&mut self, bytes: u64) {
        self.memory_limit = bytes;
    }

    /// Names the file for errors, when frames come from a file and not from a stream that begins with a rotate event.
    pub fn set_file(&mut self, name: &str) {
        self.file = Some(Arc::from(name));
    }

    /// The file that the last rotate event named.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// The format of the current file.
    pub fn format(&self) -> Option<&FormatDescription> {
        self.format.as_deref()
    }

    /// Decodes one event: header, body and, if the log has checksums, the checksum.
    ///
    /// # Errors
    /// [`DecodeError`]; the event was not applied to the decoder's state, and the log cannot be followed further without
    /// losing something.
    pub fn decode<'a>(&mut self, frame: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        let (header, place) = self.read_header(frame)?;
        self.check_size(&header, frame)
            .and_then(|()| self.strip_checksum(&header, frame))
            .and_then(|frame| self.decode_body(header, frame.get(HEADER_LEN..).unwrap_or_default(), &place))
            .map_err(|fault| place.fault(fault))
    }

    /// Decodes an event of a compressed transaction ([`PayloadEvents::next`](crate::PayloadEvents::next)): it has no checksum.
    ///
    /// # Errors
    /// As [`decode`](Self::decode).
    pub fn decode_inner<'a>(&mut self, frame: &'a [u8]) -> Result<Event<'a>, DecodeError> {
        let (header, mut place) = self.read_header(frame)?;
        place.position = self.payload_position;
        self.check_size(&header, frame)
            .and_then(|()| match header.kind {
                EventKind::TRANSACTION_PAYLOAD | EventKind::FORMAT_DESCRIPTION | EventKind::ROTATE => {
                    Err(Fault::invalid("event in a compressed transaction", header.kind))
                }
                _ => self.decode_body(header, frame.get(HEADER_LEN..).unwrap_or_default(), &place),
            })
            .map_err(|fault| place.fault(fault))
    }

    fn read_header(&self, frame: &[u8]) -> Result<(Header, Place), DecodeError> {
        let place = |event, position| Place { event, file: self.file.clone(), position };
        match Header::parse(frame) {
            Ok(header) => Ok((header, place(header.kind, header.start_pos()))),
            Err(fault) => {
                let kind = frame.get(4).copied().map_or(EventKind::UNKNOWN, EventKind);
                Err(place(kind, 0).fault(fault))
            }
        }
    }

    fn check_size(&self, header: &Header, frame: &[u8]) -> Result<(), Fault> {
        if header.size as usize == frame.len() {
            Ok(())
        } else {
            Err(Fault::Size { header: u64::from(header.size), frame: frame.len() as u64 })
        }
    }

    /// The frame without its checksum, which is verified.
    fn strip_checksum<'a>(&self, header: &Header, frame: &'a [u8]) -> Result<&'a [u8], Fault> {
        let kind = header.kind;
        match (kind, &self.format) {
            (EventKind::FORMAT_DESCRIPTION, _) => {
                let body = frame.get(HEADER_LEN..).unwrap_or_default();
                if FormatDescription::parse(body)?.checksum == Checksum::Crc32 {
                    format::verify(frame, kind)?;
                }
                // Its own parser knows where the list of lengths ends.
                Ok(frame)
            }
            // The rotate event that a server makes up has a checksum or not, whatever the file before it has and whatever
            // comes after it. A file name that ends in a valid checksum by chance is one in four thousand millions.
            (EventKind::ROTATE, format)
                if format.is_none() || header.is_artificial() || header.next_pos == 0 =>
            {
                if format::has_valid_checksum(frame, kind) {
                    Ok(&frame[..frame.len() - format::CHECKSUM_LEN])
                } else {
                    check_rotate_name(frame)?;
                    Ok(frame)
                }
            }
            (EventKind::HEARTBEAT | EventKind::HEARTBEAT_V2, None) => {
                if format::has_valid_checksum(frame, kind) {
                    Ok(&frame[..frame.len() - format::CHECKSUM_LEN])
                } else {
                    Ok(frame)
                }
            }
            (_, None) => Err(Fault::NoFormat),
            (_, Some(format)) => match format.checksum {
                Checksum::Crc32 => format::verify(frame, kind),
                Checksum::Off => Ok(frame),
            },
        }
    }

    fn post_header_len(&self, kind: EventKind) -> Result<usize, Fault> {
        let format = self.format.as_ref().ok_or(Fault::NoFormat)?;
        format.post_header_len(kind).ok_or(Fault::Unknown {
            what: "event (by the format description of its file), number",
            value: u64::from(kind.0),
        })
    }

    fn decode_body<'a>(&mut self, header: Header, body: &'a [u8], place: &Place) -> Result<Event<'a>, Fault> {
        let kind = header.kind;
        let body = match kind {
            EventKind::FORMAT_DESCRIPTION => self.on_format(body)?,
            EventKind::ROTATE => self.on_rotate(&header, body)?,
            EventKind::QUERY | EventKind::QUERY_COMPRESSED => {
                let compressed = kind == EventKind::QUERY_COMPRESSED;
                let len = self.post_header_len(kind)?;
                Body::Query(Query::parse(body, len, compressed, self.memory_limit)?)
            }
            EventKind::XID => {
                let mut reader = Reader::new(body);
                let xid = reader.u64("xid")?;
                reader.end("xid")?;
                Body::Xid(xid)
            }
            EventKind::GTID => Body::Gtid(Gtid::parse(body)?),
            EventKind::ANONYMOUS_GTID => Body::AnonymousGtid(Gtid::parse(body)?),
            EventKind::GTID_TAGGED => Body::Gtid(Gtid::parse_tagged(body)?),
            EventKind::PREVIOUS_GTIDS => Body::PreviousGtids(gtid::parse_previous(body)?),
            EventKind::TABLE_MAP => Body::TableMap(self.on_table_map(body)?),
            EventKind::TRANSACTION_PAYLOAD => {
                let payload = Payload::parse(body, self.memory_limit, place)?;
                self.payload_position = place.position;
                Body::Payload(payload)
            }
            EventKind::ROWS_QUERY => {
                let mut reader = Reader::new(body);
                // One byte is too small for the length; servers do not read it either.
                reader.u8("length of text")?;
                Body::RowsQuery(reader.rest())
            }
            EventKind::ANNOTATE_ROWS => Body::RowsQuery(body),
            EventKind::HEARTBEAT => Body::Heartbeat(Heartbeat::parse(body, &header)?),
            EventKind::HEARTBEAT_V2 => Body::Heartbeat(Heartbeat::parse_v2(body)?),
            EventKind::MARIA_GTID => Body::MariaGtid(MariaGtid::parse(body, header.server_id)?),
            EventKind::MARIA_GTID_LIST => {
                let (flags, gtids) = maria::parse_gtid_list(body)?;
                Body::MariaGtidList { flags, gtids }
            }
            EventKind::BINLOG_CHECKPOINT => Body::MariaCheckpoint(maria::parse_checkpoint(body)?),
            EventKind::XA_PREPARE => Body::XaPrepare(XaPrepare::parse(body)?),
            EventKind::STOP => {
                Reader::new(body).end("stop")?;
                Body::Stop
            }
            EventKind::INTVAR => parse_intvar(body)?,
            EventKind::RAND => parse_rand(body)?,
            EventKind::USER_VAR => Body::UserVar(UserVar::parse(body)?),
            EventKind::BEGIN_LOAD_QUERY
            | EventKind::APPEND_BLOCK
            | EventKind::DELETE_FILE
            | EventKind::EXECUTE_LOAD_QUERY => Body::LoadData(body),
            EventKind::VIEW_CHANGE | EventKind::TRANSACTION_CONTEXT => Body::GroupReplication,
            EventKind::IGNORABLE => Body::Ignored,
            EventKind::INCIDENT => return Err(parse_incident(body)),
            EventKind::START_ENCRYPTION => {
                return Err(Fault::Unsupported(
                    "an encrypted binlog file; read it from the server, which decrypts it",
                ));
            }
            EventKind::PRE_GA_WRITE_ROWS | EventKind::PRE_GA_UPDATE_ROWS | EventKind::PRE_GA_DELETE_ROWS => {
                return Err(Fault::Unsupported("rows in the format of a pre-release of MySQL 5.1"));
            }
            EventKind::START_V3
            | EventKind::LOAD
            | EventKind::CREATE_FILE
            | EventKind::EXEC_LOAD
            | EventKind::NEW_LOAD => {
                return Err(Fault::Unsupported("an event of MySQL before 5.0"));
            }
            _ => match RowsShape::of(kind) {
                Some(shape) => self.on_rows(kind, shape, body, place)?,
                None if header.flags & FLAG_IGNORABLE != 0 => Body::Ignored,
                None => return Err(Fault::Unknown { what: "event, number", value: u64::from(kind.0) }),
            },
        };
        Ok(Event { header, body })
    }

    fn on_format<'a>(&mut self, body: &[u8]) -> Result<Body<'a>, Fault> {
        let format = FormatDescription::parse(body)?;
        if format.is_mariadb() && self.flavor == Flavor::MySql {
            return Err(Fault::invalid(
                "server version",
                format_args!("{}, but the source is said to be MySQL", format.server_version),
            ));
        }
        let format = Arc::new(format);
        self.format = Some(Arc::clone(&format));
        self.tables.clear();
        Ok(Body::Format(format))
    }

    fn on_rotate<'a>(&mut self, header: &Header, body: &'a [u8]) -> Result<Body<'a>, Fault> {
        let rotate = Rotate::parse(body)?;
        self.file = Some(Arc::from(rotate.file));
        if !header.is_artificial() {
            self.tables.clear();
        }
        Ok(Body::Rotate(rotate))
    }

    fn on_table_map(&mut self, body: &[u8]) -> Result<Arc<TableMap>, Fault> {
        let len = self.post_header_len(EventKind::TABLE_MAP)?;
        let id = TableMap::read_id(&mut Reader::new(body), len)?;
        if let Some(known) = self.tables.get(&id).filter(|known| known.raw == body) {
            return Ok(Arc::clone(known));
        }
        let map = Arc::new(TableMap::parse(body, len, self.flavor == Flavor::MariaDb)?);
        if self.tables.len() >= MAX_TABLE_MAPS {
            self.tables.clear();
        }
        self.tables.insert(id, Arc::clone(&map));
        Ok(map)
    }

    fn on_rows<'a>(
        &mut self,
        event: EventKind,
        shape: RowsShape,
        body: &'a [u8],
        place: &Place,
    ) -> Result<Body<'a>, Fault> {
        let head = RowsHead::parse(body, self.post_header_len(event)?, shape.v2)?;
        let mut reader = head.rest;
        let columns = reader.packed("number of columns")?;
        // A made-up id ends a statement that changed nothing.
        if columns == 0 || matches!(head.table_id, 0x00ff_ffff | 0xffff_ffff) {
            return Ok(Body::NoRows);
        }
        let table = self.tables.get(&head.table_id).ok_or(Fault::NoTableMap(head.table_id))?;
        let width = table.plan.len();
        if columns != width as u64 {
            return Err(Fault::invalid(
                "number of columns",
                format_args!("{columns}, but the table map of {}.{} has {width}", table.schema, table.table),
            ));
        }
        let first = Present::read(&mut reader, width)?;
        let (before, after) = match shape.kind {
            RowsKind::Insert => (None, Some(first)),
            RowsKind::Delete => (Some(first), None),
            RowsKind::Update => (Some(first), Some(Present::read(&mut reader, width)?)),
        };
        let data = if shape.compressed {
            let mut plain = Vec::new();
            compress::maria(reader.rest(), self.memory_limit, "rows", &mut plain)?;
            Cow::Owned(plain)
        } else {
            Cow::Borrowed(reader.rest())
        };
        Ok(Body::Rows(RowsEvent {
            kind: shape.kind,
            table: Arc::clone(table),
            flags: head.flags,
            partial: shape.partial,
            before,
            after,
            data,
            limit: self.memory_limit,
            place: place.clone(),
        }))
    }
}

/// The file name of a rotate event without checksum ends in its number; a broken checksum does not look like that.
fn check_rotate_name(frame: &[u8]) -> Result<(), Fault> {
    let name = frame.get(HEADER_LEN + 8..).unwrap_or_default();
    let number = name.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    if number.len() < name.len() && number.len() >= 4 && number.iter().all(u8::is_ascii_digit) {
        Ok(())
    } else {
        Err(Fault::invalid("checksum or file name of a rotate event", name.escape_ascii()))
    }
}

/// How the kinds of rows events differ.
#[derive(Clone, Copy)]
struct RowsShape {
    kind: RowsKind,
    v2: bool,
    compressed: bool,
    partial: bool,
}

impl RowsShape {
    fn of(event: EventKind) -> Option<RowsShape> {
        let shape = |kind, v2, compressed| Some(RowsShape { kind, v2, compressed, partial: false });
        match event {
            EventKind::WRITE_ROWS_V1 => shape(RowsKind::Insert, false, false),
            EventKind::UPDATE_ROWS_V1 => shape(RowsKind::Update, false, false),
            EventKind::DELETE_ROWS_V1 => shape(RowsKind::Delete, false, false),
            EventKind::WRITE_ROWS => shape(RowsKind::Insert, true, false),
            EventKind::UPDATE_ROWS => shape(RowsKind::Update, true, false),
            EventKind::DELETE_ROWS => shape(RowsKind::Delete, true, false),
            EventKind::PARTIAL_UPDATE_ROWS => {
                shape(RowsKind::Update, true, false).map(|shape| RowsShape { partial: true, ..shape })
            }
            EventKind::WRITE_ROWS_COMPRESSED_V1 => shape(RowsKind::Insert, false, true),
            EventKind::UPDATE_ROWS_COMPRESSED_V1 => shape(RowsKind::Update, false, true),
            EventKind::DELETE_ROWS_COMPRESSED_V1 => shape(RowsKind::Delete, false, true),
            EventKind::WRITE_ROWS_COMPRESSED => shape(RowsKind::Insert, true, true),
            EventKind::UPDATE_ROWS_COMPRESSED => shape(RowsKind::Update, true, true),
            EventKind::DELETE_ROWS_COMPRESSED => shape(RowsKind::Delete, true, true),
            _ => None,
        }
    }
}
