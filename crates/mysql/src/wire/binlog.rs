//! The binlog stream: registers as a replica, asks for events from a position or a GTID set, and lends them as they come.
//!
//! States: streaming, or ended. Owner: the caller. Invariants:
//! 1. A frame is one whole event with its header, and its checksum if there is one; nothing is skipped or reordered.
//! 2. The server speaks at least once per heartbeat period; twice that in silence is a lost connection.
//! 3. After an error or the end nothing more comes: a new stream must be opened.

use std::ops::Range;
use std::time::Duration;

use sha1::{Digest, Sha1};
use tokio::time::Instant;

use super::conn::WireConn;
use super::fail;
use super::proto::{command, ends_rows};
use crate::{Endpoint, Error, ErrorClass, Flavor, GtidSet, Result};

/// Position of the first event of every binlog file.
const FIRST_POSITION: u64 = 4;

/// The header of every event.
const HEADER: usize = 19;

/// `BINLOG_DUMP_NON_BLOCK`: end with an EOF instead of waiting for more.
const NON_BLOCK: u16 = 1;
/// MariaDB's `BINLOG_SEND_ANNOTATE_ROWS_EVENT`.
const SEND_ANNOTATE: u16 = 2;

/// How long a stream that was not asked for events in time may still deliver what waits in the socket.
const GRACE: Duration = Duration::from_millis(50);

/// How long the server waits for us to take events, in seconds: a target that stands still must not cost the connection.
const WRITE_TIMEOUT: u32 = 3600;

/// Where to start.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// The first event at or after a position of a file.
    Position {
        /// File name as the server lists it; empty for its first file.
        file: String,
        /// Where an event begins; below 4 means 4. The protocol can't say positions of 4 GiB and more.
        pos: u64,
    },
    /// Everything but the transactions of this set (MySQL), or what follows it in each domain (MariaDB).
    Gtid(GtidSet),
}

/// What to ask for. Made with [`BinlogRequest::new`]; the fields can be set one by one.
#[derive(Clone, Debug)]
pub struct BinlogRequest {
    /// Our number among the replicas of the server. Two with the same number cut off each other.
    pub server_id: u32,
    /// The server's family; TiDB has no binlog stream.
    pub flavor: Flavor,
    /// Where to start.
    pub start: Start,
    /// The server sends at least one event in this time; zero leaves its default and turns our own time limit off.
    pub heartbeat: Duration,
    /// Our `@slave_uuid` for MySQL. `None` derives one from the number, so that our own dead connection is ended by the server when
    /// we come again, and a second program with our number is noticed.
    pub uuid: Option<String>,
    /// MariaDB: refuse to start where the GTID asked for is missing but later ones exist.
    pub strict_gtid: bool,
    /// MariaDB: send the statements' text before their row events. MySQL sends them when its own setting says so.
    pub annotate: bool,
    /// Ask the server who it is before the events, for [`BinlogStream::server`].
    pub identify: bool,
    /// Wait for new events at the end of the binlog. Else [`BinlogStream::next_or_end`] gives `None` there.
    pub wait: bool,
}

impl BinlogRequest {
    /// With a heartbeat of 30 s, strict GTIDs, annotations, waiting at the end.
    pub fn new(server_id: u32, flavor: Flavor, start: Start) -> Self {
        BinlogRequest {
            server_id,
            flavor,
            start,
            heartbeat: Duration::from_secs(30),
            uuid: None,
            strict_gtid: true,
            annotate: true,
            identify: false,
            wait: true,
        }
    }

    /// Sets the heartbeat period.
    pub fn with_heartbeat(mut self, period: Duration) -> Self {
        self.heartbeat = period;
        self
    }

    /// Asks the server who it is.
    pub fn with_identity(mut self) -> Self {
        self.identify = true;
        self
    }

    /// Ends at the end of the binlog.
    pub fn without_waiting(mut self) -> Self {
        self.wait = false;
        self
    }

    fn check(&self) -> Result<()> {
        match (self.flavor, &self.start) {
            (Flavor::TiDb, _) => Err(Error::unsupported("TiDB has no binlog stream: use TiCDC there")),
            _ if self.server_id == 0 => Err(Error::config("a replica's server id can't be 0")),
            (_, Start::Position { file, pos }) if u32::try_from(*pos).is_err() => {
                Err(Error::unsupported(format!(
                    "position {pos} of {file} is beyond 4 GiB, which the protocol can't say: start at an earlier position, \
                     at the next file, or by GTID"
                )))
            }
            (Flavor::MySql, Start::Gtid(set)) if matches!(set, GtidSet::MariaDb(_)) && !set.is_empty() => {
                Err(Error::config(format!("`{set}` is a GTID set of MariaDB, and the server is MySQL")))
            }
            (Flavor::MariaDb, Start::Gtid(set)) if matches!(set, GtidSet::MySql(_)) && !set.is_empty() => {
                Err(Error::config(format!("`{set}` is a GTID set of MySQL, and the server is MariaDB")))
            }
            _ => Ok(()),
        }
    }

    fn uuid(&self) -> String {
        self.uuid.clone().unwrap_or_else(|| uuid_of(self.server_id))
    }
}

/// A UUID of version 5 (by name) for a replica number.
fn uuid_of(server_id: u32) -> String {
    let hash =
        Sha1::new().chain_update(b"mysql-wire replica ").chain_update(server_id.to_be_bytes()).finalize();
    let mut bytes = [0u8; 16];
    bytes.copy_from_slice(&hash[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x50;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// One event as the server sent it: header, body, and the checksum if the stream has them.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    bytes: &'a [u8],
}

impl<'a> Frame<'a> {
    /// All bytes of the event; at least the 19 of the header.
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    fn word(&self, at: usize) -> u32 {
        let word = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        u32::from_le_bytes(*word.unwrap_or(&[0; 4]))
    }

    /// When the statement began, in seconds since 1970; 0 for events made for the stream.
    pub fn timestamp(&self) -> u32 {
        self.word(0)
    }

    /// The event's type number.
    pub fn kind(&self) -> u8 {
        self.bytes.get(4).copied().unwrap_or(0)
    }

    /// The server where it happened first.
    pub fn server_id(&self) -> u32 {
        self.word(5)
    }

    /// Where the next event begins in the file; 0 for events made for the stream.
    pub fn next_pos(&self) -> u32 {
        self.word(13)
    }
}

impl std::ops::Deref for Frame<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes
    }
}

impl std::fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Frame(type {}, {} bytes, next {})", self.kind(), self.bytes.len(), self.next_pos())
    }
}

/// The events of a server. Dropping it closes the connection at once.
#[derive(Debug)]
pub struct BinlogStream {
    conn: WireConn,
    checksum: bool,
    /// See [`BinlogStream::server`].
    server: String,
    limit: Option<Duration>,
    /// Set while nothing has come since it was asked for; survives a dropped future.
    deadline: Option<Instant>,
    grace_given: bool,
    wait: bool,
    ended: bool,
    events: u64,
}

impl BinlogStream {
    /// Connects, registers and asks for the events. The server's refusal of the position may come here or with the first
    /// [`next`](Self::next); [`Refusal::of`] reads both.
    ///
    /// # Errors
    /// Of the connection; a request that can't be made; the server's refusal.
    pub async fn open(endpoint: &Endpoint, request: &BinlogRequest) -> Result<BinlogStream> {
        request.check().map_err(|error| error.doing("open the binlog stream").at(endpoint))?;
        BinlogStream::start(WireConn::connect(endpoint).await?, request).await
    }

    pub(crate) async fn start(mut conn: WireConn, request: &BinlogRequest) -> Result<BinlogStream> {
        let checksum = prepare(&mut conn, request).await?;
        let server =
            if request.identify { identity(&mut conn, request.flavor).await? } else { String::new() };
        conn.register_replica(request.server_id).await?;
        let (number, body) = dump_command(request);
        conn.send_command(number, &body).await?;
        conn.channel.receiver.expect_much();
        Ok(BinlogStream {
            conn,
            checksum,
            server,
            limit: (!request.heartbeat.is_zero()).then(|| request.heartbeat.saturating_mul(2)),
            deadline: None,
            grace_given: false,
            wait: request.wait,
            ended: false,
            events: 0,
        })
    }

    /// Whether the server was told to send events with their CRC32. Each file's format event says it for the file; this holds before
    /// the first of them.
    pub fn checksum(&self) -> bool {
        self.checksum
    }

    /// What tells the server of this very connection from others, as [`server_uuid`](crate::session::server_uuid) says it. Empty unless the
    /// request asks for it.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The server's number for the connection.
    pub fn connection_id(&self) -> u32 {
        self.conn.connection_id()
    }

    /// Events given so far.
    pub fn events_read(&self) -> u64 {
        self.events
    }

    /// Bytes received so far.
    pub fn bytes_read(&self) -> u64 {
        self.conn.bytes_received()
    }

    /// The next event, heartbeats included. Cancel-safe.
    ///
    /// # Errors
    /// [`ErrorClass::ConnectionLost`] when the stream ended or nothing came for two heartbeats; the server's error, see [`Refusal`].
    /// All end the stream.
    #[inline]
    pub async fn next(&mut self) -> Result<Frame<'_>> {
        match self.advance().await? {
            Some(range) => Ok(self.frame(range)),
            None => Err(Error::closed("the binlog has ended").at_name(self.conn.peer())),
        }
    }

    /// As [`next`](Self::next), with `None` at the end of the binlog if the request did not want to wait there.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn next_or_end(&mut self) -> Result<Option<Frame<'_>>> {
        Ok(self.advance().await?.map(|range| self.frame(range)))
    }

    fn frame(&self, range: Range<usize>) -> Frame<'_> {
        // Without the byte that says "event".
        Frame { bytes: self.conn.channel.receiver.bytes(range).get(1..).unwrap_or_default() }
    }

    /// The packet of the next event; `None` at an end that was asked for.
    async fn advance(&mut self) -> Result<Option<Range<usize>>> {
        if self.ended {
            return Err(Error::closed("the binlog stream has ended").at_name(self.conn.peer()));
        }
        let range = loop {
            match self.conn.channel.receiver.next_message() {
                Ok(Some(range)) => break range,
                Ok(None) => self.read_more().await?,
                Err(malformed) => {
                    self.ended = true;
                    return Err(fail::malformed(self.conn.peer(), malformed.0).doing("read the binlog"));
                }
            }
        };
        match self.conn.channel.receiver.bytes(range.clone()) {
            packet @ [0x00, ..] if packet.len() > HEADER => {}
            _ => return self.no_event(range).map(|()| None),
        }
        self.events += 1;
        Ok(Some(range))
    }

    /// An error or the end.
    #[cold]
    fn no_event(&mut self, range: Range<usize>) -> Result<()> {
        self.ended = true;
        let packet = self.conn.channel.receiver.bytes(range);
        let peer = self.conn.peer();
        let error = match packet.first() {
            Some(0xff) => fail::packet(peer, packet),
            Some(0xfe) if ends_rows(packet, false) && !self.wait => return Ok(()),
            // A dump that waits ends only when the server shuts down or somebody killed it.
            Some(0xfe) if ends_rows(packet, false) => {
                Error::closed("the server ended the binlog stream").at_name(peer)
            }
            _ => fail::malformed(peer, "binlog packet"),
        };
        Err(error.doing("read the binlog"))
    }

    /// Waits for bytes, no longer than two heartbeats since the first time it was asked in vain.
    async fn read_more(&mut self) -> Result<()> {
        let outcome = match self.limit {
            None => self.conn.channel.read_more().await,
            Some(limit) => {
                let now = Instant::now();
                let mut deadline = *self.deadline.get_or_insert(now + limit);
                if deadline <= now && !self.grace_given {
                    // Nobody asked for a while: what came meanwhile is seen by the runtime in a moment.
                    self.grace_given = true;
                    deadline = now + GRACE;
                    self.deadline = Some(deadline);
                }
                match tokio::time::timeout_at(deadline, self.conn.channel.read_more()).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        self.ended = true;
                        return Err(Error::timeout(limit)
                            .at_name(self.conn.peer())
                            .doing("read the binlog")
                            .note("the server is silent though it should send heartbeats"));
                    }
                }
            }
        };
        self.deadline = None;
        self.grace_given = false;
        outcome.map_err(|error| {
            self.ended = true;
            let context = format!("read the binlog, after {} events", self.events);
            fail::lost(self.conn.peer(), &context, error)
        })
    }
}

/// Sets what a replica sets. Gives whether events will have checksums.
async fn prepare(conn: &mut WireConn, request: &BinlogRequest) -> Result<bool> {
    // Names with `source` are read by newer servers, those with `master` by all; a variable nobody reads does no harm.
    let period = request.heartbeat.as_nanos().min(u128::from(u64::MAX));
    if period > 0 {
        conn.simple(format!("SET @master_heartbeat_period = {period}, @source_heartbeat_period = {period}"))
            .await?;
    }
    let checksum = match checksum_setting(conn).await {
        Ok(setting) => setting,
        // Servers before 5.6 and MariaDB 5.3 have no checksums.
        Err(error) if error.class() == ErrorClass::UnknownVariable => None,
        Err(error) => return Err(error),
    };
    if let Some(setting) = &checksum {
        let sql = format!("SET @master_binlog_checksum = '{setting}', @source_binlog_checksum = '{setting}'");
        conn.simple(sql).await?;
    }
    conn.simple(format!("SET SESSION net_write_timeout = {WRITE_TIMEOUT}")).await?;
    match request.flavor {
        Flavor::MariaDb => {
            // 4: GTID events as they are; with less the server rewrites them for old replicas.
            conn.simple("SET @mariadb_slave_capability = 4").await?;
            if let Start::Gtid(set) = &request.start {
                let strict = u8::from(request.strict_gtid);
                // A domain may stand there once only.
                let position = set.as_mariadb().map(|set| set.position()).unwrap_or_default();
                let position: Vec<String> = position.iter().map(ToString::to_string).collect();
                conn.simple(format!("SET @slave_connect_state = '{}'", position.join(","))).await?;
                conn.simple(format!("SET @slave_gtid_strict_mode = {strict}")).await?;
                conn.simple("SET @slave_gtid_ignore_duplicates = 0").await?;
            }
        }
        _ => {
            let uuid: String =
                request.uuid().chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect();
            conn.simple(format!("SET @slave_uuid = '{uuid}', @replica_uuid = '{uuid}'")).await?;
        }
    }
    Ok(checksum.is_some_and(|setting| setting != "NONE"))
}

/// As [`server_uuid`](crate::session::server_uuid).
async fn identity(conn: &mut WireConn, flavor: Flavor) -> Result<String> {
    let sql = match flavor {
        Flavor::MariaDb => "SELECT CONCAT(@@global.gtid_domain_id,'-',@@global.server_id)",
        _ => "SELECT @@global.server_uuid",
    };
    let mut rows = conn.query(sql).await?;
    let mut server = String::new();
    while let Some(row) = rows.next().await? {
        server = row.cell(0).map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default();
    }
    Ok(server)
}

/// The server's `binlog_checksum`.
async fn checksum_setting(conn: &mut WireConn) -> Result<Option<String>> {
    let mut rows = conn.query("SELECT @@global.binlog_checksum").await?;
    let mut setting = None;
    while let Some(row) = rows.next().await? {
        setting = row.cell(0).map(|text| String::from_utf8_lossy(text).to_ascii_uppercase());
    }
    // It goes into a statement again.
    Ok(setting.filter(|text| text.bytes().all(|byte| byte.is_ascii_alphanumeric())))
}

/// `COM_BINLOG_DUMP` or `COM_BINLOG_DUMP_GTID` with its body. The request was checked.
fn dump_command(request: &BinlogRequest) -> (u8, Vec<u8>) {
    let mut flags = if request.wait { 0 } else { NON_BLOCK };
    let mut out = Vec::new();
    match (&request.start, request.flavor) {
        (Start::Gtid(set), Flavor::MySql) => {
            // An empty set of either family asks for everything.
            let encoded = set.as_mysql().map_or_else(|| vec![0; 8], |set| set.encode());
            out.extend_from_slice(&flags.to_le_bytes());
            out.extend_from_slice(&request.server_id.to_le_bytes());
            // No file name, and the first position.
            out.extend_from_slice(&0u32.to_le_bytes());
            out.extend_from_slice(&FIRST_POSITION.to_le_bytes());
            out.extend_from_slice(&(encoded.len() as u32).to_le_bytes());
            out.extend_from_slice(&encoded);
            (command::BINLOG_DUMP_GTID, out)
        }
        (start, flavor) => {
            if flavor == Flavor::MariaDb && request.annotate {
                flags |= SEND_ANNOTATE;
            }
            // MariaDB reads GTIDs from its variables and then ignores the position.
            let (file, pos) = match start {
                Start::Position { file, pos } => (file.as_str(), (*pos).max(FIRST_POSITION)),
                Start::Gtid(_) => ("", FIRST_POSITION),
            };
            out.extend_from_slice(&(pos as u32).to_le_bytes());
            out.extend_from_slice(&flags.to_le_bytes());
            out.extend_from_slice(&request.server_id.to_le_bytes());
            out.extend_from_slice(file.as_bytes());
            (command::BINLOG_DUMP, out)
        }
    }
}

impl WireConn {
    /// `COM_REGISTER_SLAVE`: makes us visible in `SHOW SLAVE HOSTS`.
    async fn register_replica(&mut self, server_id: u32) -> Result<()> {
        let mut body = Vec::with_capacity(20);
        body.extend_from_slice(&server_id.to_le_bytes());
        // No host, user and password of ours, no port.
        body.extend_from_slice(&[0, 0, 0, 0, 0]);
        // Rank and the source's id, which nobody reads.
        body.extend_from_slice(&[0; 8]);
        self.command_ok(command::REGISTER_SLAVE, &body)
            .await
            .map_err(|error| error.doing("register as a replica"))
    }
}

/// Why a server refused or ended a stream. Servers say most of it with one number (1236) and a text, so that this is the one place
/// that reads texts of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The binlog, or transactions we lack, are not there any more.
    Purged,
    /// Another replica with our server id or UUID has connected.
    ServerIdClash,
    /// The account may not replicate.
    Privileges,
    /// The server writes no binlog.
    NoBinlog,
    /// The server has GTIDs off.
    GtidOff,
    /// The position is not the beginning of an event, or beyond the file.
    BadPosition,
    /// The set asked for holds transactions that the server does not have, or it has a gap there.
    GtidMismatch,
    /// An event longer than the server lets out.
    EventTooLarge,
    /// A file of the binlog is damaged.
    Damaged,
}

/// Words of error 1236, of MySQL 5.6 to 9.7 and MariaDB; the first that is found counts.
const REFUSALS: &[(&str, Refusal)] = &[
    ("same server_uuid/server_id", Refusal::ServerIdClash),
    ("Binary log is not open", Refusal::NoBinlog),
    ("GTID_MODE", Refusal::GtidOff),
    ("Found old binary log without GTIDs", Refusal::GtidOff),
    ("has more GTIDs than", Refusal::GtidMismatch),
    ("which is not in the master's binlog", Refusal::GtidMismatch),
    ("binlog on the master is missing the GTID", Refusal::GtidMismatch),
    ("Could not find first log file name", Refusal::Purged),
    ("Could not find GTID state requested", Refusal::Purged),
    ("purged", Refusal::Purged),
    ("Could not open log file", Refusal::Purged),
    ("from position > file size", Refusal::BadPosition),
    ("impossible position", Refusal::BadPosition),
    ("max_allowed_packet", Refusal::EventTooLarge),
    ("bogus data in log event", Refusal::BadPosition),
    ("checksum", Refusal::Damaged),
    ("log truncated", Refusal::Damaged),
    ("log event entry", Refusal::Damaged),
];

impl Refusal {
    /// What an error of a stream means; `None` for a lost connection and all else.
    pub fn of(error: &Error) -> Option<Refusal> {
        match error.code()? {
            1045 | 1142 | 1227 => Some(Refusal::Privileges),
            1381 => Some(Refusal::NoBinlog),
            4052 => Some(Refusal::ServerIdClash),
            1789 | 13114 => Some(Refusal::Purged),
            1236 => {
                let message = error.message();
                REFUSALS.iter().find(|(words, _)| message.contains(words)).map(|(_, refusal)| *refusal)
            }
            // MariaDB: position not found, slave ahead in a domain, state deleted.
            1945 | 1955 => Some(Refusal::GtidMismatch),
            _ => None,
        }
    }
}
