//! A session of our own protocol.

use std::sync::Arc;

use super::channel::Channel;
use super::fail;
use super::handshake::{self, Session};
use super::parse::Cursor;
use super::proto::{self, ColumnDef, OkPacket, cap, command};
use super::rows::RowStream;
use crate::error::abbreviate;
use crate::{Endpoint, Error, Result, ServerInfo};

/// The most columns of a result that a server can have; MySQL's own limit is 4096.
const MOST_COLUMNS: u64 = 65_535;

/// What can be done with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A command can be sent.
    Idle,
    /// A statement or its rows are under way; nothing else can be sent.
    Busy,
    /// The socket is no use any more.
    Broken,
}

/// A connection of our own protocol. Dropping it closes the socket at once.
///
/// A method whose future is dropped before it is done leaves the connection unusable: the next call is an error.
#[derive(Debug)]
pub struct WireConn {
    pub(crate) channel: Channel,
    peer: Arc<str>,
    connection_id: u32,
    server: ServerInfo,
    capabilities: u32,
    state: State,
}

impl WireConn {
    /// Connects, logs in and runs the endpoint's `init` statements.
    ///
    /// # Errors
    /// With the address and what to do; classes as for [`Conn`](crate::Conn).
    pub async fn connect(endpoint: &Endpoint) -> Result<WireConn> {
        let peer: Arc<str> = endpoint.to_string().into();
        let session = handshake::open(endpoint, &peer).await?;
        let mut conn = WireConn::from_session(session, peer);
        if let Some(bytes) = endpoint.max_allowed_packet {
            conn.channel.receiver.set_limit(bytes);
        }
        for sql in &endpoint.init {
            conn.simple(sql).await?;
        }
        Ok(conn)
    }

    pub(crate) fn from_session(session: Session, peer: Arc<str>) -> WireConn {
        let Session { channel, connection_id, server, capabilities } = session;
        WireConn { channel, peer, connection_id, server, capabilities, state: State::Idle }
    }

    /// The server's number for this connection: what `KILL` takes.
    pub fn connection_id(&self) -> u32 {
        self.connection_id
    }

    /// Flavour and version, from the greeting.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The address of our end of a TCP connection.
    pub fn local_address(&self) -> Option<std::net::SocketAddr> {
        self.channel.local_address()
    }

    /// Whether the connection is under TLS.
    pub fn is_encrypted(&self) -> bool {
        self.capabilities & cap::SSL != 0
    }

    /// Whether another statement can be sent.
    pub fn is_idle(&self) -> bool {
        self.state == State::Idle
    }

    /// Bytes received since the connection was made.
    pub fn bytes_received(&self) -> u64 {
        self.channel.receiver.total()
    }

    /// Runs a statement whose rows, if it has any, do not matter. Gives the number of affected rows.
    ///
    /// # Errors
    /// The server's error, or a lost connection.
    pub async fn simple(&mut self, sql: impl AsRef<[u8]>) -> Result<u64> {
        let sql = sql.as_ref();
        let head = self.ask(command::QUERY, sql).await.map_err(|error| error.doing(doing(sql)))?;
        match head {
            Head::Done(ok) => Ok(ok.affected),
            Head::Rows(columns) => {
                RowStream::new(self, columns).skip_rest().await.map_err(|error| error.doing(doing(sql)))?;
                Ok(0)
            }
        }
    }

    /// Runs a statement and gives its rows one by one. SQL may be of any bytes.
    ///
    /// # Errors
    /// The server's error, or a lost connection.
    pub async fn query(&mut self, sql: impl AsRef<[u8]>) -> Result<RowStream<'_>> {
        let sql = sql.as_ref();
        let head = self.ask(command::QUERY, sql).await.map_err(|error| error.doing(doing(sql)))?;
        Ok(match head {
            Head::Done(_) => RowStream::new(self, Vec::new()),
            Head::Rows(columns) => {
                self.channel.receiver.expect_much();
                RowStream::new(self, columns)
            }
        })
    }

    /// Asks whether the server is still there.
    ///
    /// # Errors
    /// When it is not.
    pub async fn ping(&mut self) -> Result<()> {
        self.ask(command::PING, &[]).await.map(|_| ()).map_err(|error| error.doing("ping"))
    }

    /// Says goodbye and closes the socket. In the middle of a result only the latter.
    pub async fn close(mut self) {
        if self.state == State::Idle {
            // The server closes either way.
            let _ = self.channel.command(command::QUIT, &[]).await;
            let _ = tokio::io::AsyncWriteExt::shutdown(&mut self.channel.stream).await;
        }
    }

    /// Ends the statement that connection `id` runs, from a connection of its own to the same endpoint.
    ///
    /// # Errors
    /// Of the connection, or 1094 when there is no such connection.
    pub async fn kill_query(endpoint: &Endpoint, id: u32) -> Result<()> {
        let mut conn = WireConn::connect(endpoint).await?;
        conn.simple(format!("KILL QUERY {id}")).await?;
        conn.close().await;
        Ok(())
    }

    pub(crate) fn deprecate_eof(&self) -> bool {
        self.capabilities & cap::DEPRECATE_EOF != 0
    }

    pub(crate) fn peer(&self) -> &Arc<str> {
        &self.peer
    }

    pub(crate) fn set_idle(&mut self) {
        self.state = State::Idle;
    }

    pub(crate) fn set_broken(&mut self) {
        self.state = State::Broken;
    }

    /// Sends a command without waiting for an answer.
    pub(crate) async fn send_command(&mut self, number: u8, body: &[u8]) -> Result<()> {
        match self.state {
            State::Idle => {}
            State::Busy => {
                let text = "the connection can't be used: the rows before were not read to their end";
                return Err(Error::closed(text).at_name(&self.peer));
            }
            State::Broken => return Err(Error::closed("the connection was lost before").at_name(&self.peer)),
        }
        self.state = State::Busy;
        if let Err(error) = self.channel.command(number, body).await {
            self.state = State::Broken;
            return Err(fail::lost(&self.peer, "send a command", error));
        }
        Ok(())
    }

    /// Sends a command that gives no rows.
    pub(crate) async fn command_ok(&mut self, number: u8, body: &[u8]) -> Result<()> {
        match self.ask(number, body).await? {
            Head::Done(_) => Ok(()),
            Head::Rows(_) => Err(fail::malformed(&self.peer, "answer with rows")),
        }
    }

    /// Sends a command and reads the first part of the answer.
    async fn ask(&mut self, number: u8, body: &[u8]) -> Result<Head> {
        self.send_command(number, body).await?;
        let head = self.head().await;
        match &head {
            Ok(Head::Rows(_)) => {}
            Ok(Head::Done(_)) => self.state = State::Idle,
            // A server's error ends the statement and not the session.
            Err(error) if error.code().is_some() => self.state = State::Idle,
            Err(_) => self.state = State::Broken,
        }
        head
    }

    async fn head(&mut self) -> Result<Head> {
        let peer = Arc::clone(&self.peer);
        let malformed = |what: &str| fail::malformed(&peer, what);
        let context = "wait for the answer";
        let range = self.channel.message().await.map_err(|error| fail::broken(&peer, context, error))?;
        let packet = self.channel.receiver.bytes(range);
        let count = match packet.first() {
            Some(0x00) => {
                let ok = OkPacket::parse(packet).map_err(|error| malformed(error.0))?;
                if ok.status & proto::status::MORE_RESULTS != 0 {
                    return Err(malformed("second result"));
                }
                return Ok(Head::Done(ok));
            }
            Some(0xff) => return Err(fail::packet(&peer, packet)),
            // We never said that we would send files.
            Some(0xfb) => return Err(Error::protocol("the server asks for a file of ours").at_name(&peer)),
            _ => {
                let mut at = Cursor::new(packet);
                let count = at.length("number of columns").map_err(|error| malformed(error.0))?;
                if !at.is_empty() || count == 0 || count > MOST_COLUMNS {
                    return Err(malformed("number of columns"));
                }
                count
            }
        };
        let mut columns = Vec::new();
        for _ in 0..count {
            let range = self.channel.message().await.map_err(|error| fail::broken(&peer, context, error))?;
            let packet = self.channel.receiver.bytes(range);
            if packet.first() == Some(&0xff) {
                return Err(fail::packet(&peer, packet));
            }
            columns.push(ColumnDef::parse(packet).map_err(|error| malformed(error.0))?);
        }
        if !self.deprecate_eof() {
            let range = self.channel.message().await.map_err(|error| fail::broken(&peer, context, error))?;
            let packet = self.channel.receiver.bytes(range);
            if packet.first() == Some(&0xff) {
                return Err(fail::packet(&peer, packet));
            }
            if !proto::ends_rows(packet, false) {
                return Err(malformed("end of the columns"));
            }
        }
        Ok(Head::Rows(columns))
    }
}

/// The first part of an answer.
enum Head {
    Done(OkPacket),
    Rows(Vec<ColumnDef>),
}

fn doing(sql: &[u8]) -> String {
    format!("query `{}`", abbreviate(sql))
}
