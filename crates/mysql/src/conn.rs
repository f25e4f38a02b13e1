//! One session on a server, over mysql_async.
//!
//! # States
//! `Idle` → (statement sent) `Busy` → `Idle`, or for a stream `Streaming` → `Idle`; any error but the server's own
//! → `Gone`. The owner is the [`Conn`]; a [`RowStream`] borrows it.
//!
//! # Invariants
//! 1. A future dropped in the middle leaves `Busy`, and a busy connection takes no further statement: the driver
//!    would take the old answer for the new one.
//! 2. Only an idle connection is closed by COM_QUIT. Any other is cut off, so that a dropped `SELECT` of a huge
//!    table is not read to its end in the background.
//! 3. Nothing of the driver's types, and none of its panics on malformed packets, leaves this module.

use std::future::Future;
use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::stream::BoxStream;
use mysql_async::prelude::Queryable;
use mysql_async::{DriverError, IoError, LocalInfileError, QueryResult, TextProtocol, Value};

use crate::endpoint::{Endpoint, TlsMode, install_crypto};
use crate::error::{Error, Phase, Result, abbreviate};
use crate::rows::{Column, Row, Rows};
use crate::version::ServerInfo;

/// The bytes sent for one LOAD DATA LOCAL statement.
pub type Infile = BoxStream<'static, io::Result<Bytes>>;

/// How long a polite goodbye may take before the socket is just closed.
const QUIT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Busy,
    Streaming,
    Gone,
}

/// What a statement did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Rows changed (MySQL counts a row as changed only if a value differs).
    pub affected: u64,
    /// Number of warnings; read them by SHOW WARNINGS.
    pub warnings: u16,
    /// The first value given by AUTO_INCREMENT; 0 for none.
    pub last_insert_id: u64,
    /// The server's remark, such as `Records: 2  Duplicates: 0  Warnings: 0`; mostly empty.
    pub info: String,
}

/// One session on a server.
///
/// No method is cancel-safe unless it says so: after a dropped future only [`Conn::close`] works, every other call
/// is an error that says so.
pub struct Conn {
    driver: Option<mysql_async::Conn>,
    name: Arc<str>,
    server: ServerInfo,
    id: u32,
    tls: bool,
    packet_limit: usize,
    state: State,
}

impl Conn {
    /// Connects, logs in, reads the server's version and runs the endpoint's init statements in their order.
    ///
    /// Dropping the future leaves nothing behind.
    ///
    /// # Errors
    /// By class: `ConnectFailed`, `Tls`, `AccessDenied`, `TooManyConnections`, `Unsupported` (the account's plugin,
    /// verify-ca), `Config`, or what an init statement got.
    pub async fn connect(endpoint: &Endpoint) -> Result<Conn> {
        install_crypto();
        let name: Arc<str> = endpoint.to_string().into();
        let login = tokio::time::timeout(endpoint.connect_timeout, Self::login(endpoint, &name));
        let connected = login.await.unwrap_or_else(|_| Err(Error::timeout(endpoint.connect_timeout)));
        let mut conn = connected.map_err(|e| e.in_phase(Phase::Connect).doing("connect").at_name(&name))?;
        for sql in &endpoint.init {
            conn.exec(sql).await?;
        }
        Ok(conn)
    }

    async fn login(endpoint: &Endpoint, name: &Arc<str>) -> Result<Conn> {
        let tls = endpoint.wants_tls();
        match Self::login_once(endpoint, tls, name).await {
            Err(first) if tls && endpoint.tls.mode == TlsMode::Preferred && first.may_be_about_tls() => {
                tracing::debug!(server = %name, error = %first, "no TLS with this server, going on without");
                let plain = Self::login_once(endpoint, false, name).await;
                plain.map_err(|e| e.note(format!("with TLS before: {}", first.message())))
            }
            result => result,
        }
    }

    async fn login_once(endpoint: &Endpoint, tls: bool, name: &Arc<str>) -> Result<Conn> {
        let opts = endpoint.driver_opts(tls)?;
        let mut driver = guard(mysql_async::Conn::new(opts)).await?;
        let id = driver.id();
        let sql = "SELECT VERSION(), @@version_comment, @@max_allowed_packet";
        let rows = guard(driver.query::<mysql_async::Row, _>(sql)).await?;
        let cells = rows.into_iter().next().map(mysql_async::Row::unwrap).unwrap_or_default();
        let mut texts = cells.into_iter().map(|cell| match cell {
            Value::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            _ => String::new(),
        });
        let version = texts.next().unwrap_or_default();
        let comment = texts.next().unwrap_or_default();
        let server_limit: Option<usize> = texts.next().and_then(|text| text.parse().ok());
        let packet_limit =
            endpoint.max_allowed_packet.unwrap_or(usize::MAX).min(server_limit.unwrap_or(usize::MAX));
        let server = ServerInfo::parse(&version, &comment);
        let name = Arc::clone(name);
        Ok(Conn { driver: Some(driver), name, server, id, tls, packet_limit, state: State::Idle })
    }

    /// The server's number of this session, for KILL.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the server is.
    pub fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// `user@host:port`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the session is encrypted.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    /// The longest statement in bytes that can be sent.
    pub fn packet_limit(&self) -> usize {
        self.packet_limit
    }

    /// Whether no statement can be sent any more: the connection is lost, or a call was dropped in the middle.
    pub fn is_broken(&self) -> bool {
        matches!(self.state, State::Busy | State::Gone)
    }

    /// All rows of a statement that reads, by the text protocol; of several statements the rows of the first.
    ///
    /// # Errors
    /// The server's; a lost connection is `ConnectionLost`, since a statement that reads has no outcome to lose.
    /// Use [`exec`](Self::exec) for one that writes.
    pub async fn query(&mut self, sql: impl AsRef<[u8]>) -> Result<Rows> {
        let sql = sql.as_ref();
        let mut stream = self.open(sql).await?;
        let columns = Arc::clone(&stream.columns);
        let mut rows = Vec::new();
        while let Some(row) = stream.next().await? {
            rows.push(row);
        }
        Ok(Rows::new(columns, rows))
    }

    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn query_one(&mut self, sql: impl AsRef<[u8]>) -> Result<Option<Row>> {
        Ok(self.query(sql).await?.into_iter().next())
    }

    /// The rows of a statement that reads, one by one. Dropping the stream early is fine, but then the next
    /// statement first reads the rest of the rows: close the connection if that may be much.
    ///
    /// # Errors
    /// As [`query`](Self::query).
    pub async fn stream(&mut self, sql: impl AsRef<[u8]>) -> Result<RowStream<'_>> {
        self.open(sql.as_ref()).await
    }

    /// Runs a statement that may change something; rows it gives are dropped. The bytes go out as they are. Of several
    /// statements in one text the outcome is that of the last.
    ///
    /// # Errors
    /// The server's; when the connection is lost, `UnknownOutcome`.
    pub async fn exec(&mut self, sql: impl AsRef<[u8]>) -> Result<Outcome> {
        let sql = sql.as_ref();
        self.begin(sql)?;
        let driver = self.driver.as_mut().ok_or_else(gone)?;
        // Borrowed from end to end: a statement may be as large as a packet.
        let run = async {
            let result = driver.query_iter(sql).await?;
            result.drop_result().await
        };
        let result = guard(run).await;
        self.state = after(&result);
        result.map_err(|e| e.in_phase(Phase::Change).doing(abbreviate(sql)).at_name(&self.name))?;
        Ok(Outcome {
            affected: driver.affected_rows(),
            warnings: driver.get_warnings(),
            last_insert_id: driver.last_insert_id().unwrap_or(0),
            info: driver.info().into_owned(),
        })
    }

    /// Runs several statements sent as one text, `;` between them. The server stops at the first error. What each statement did is
    /// appended to `outcomes`, so that after an error their number tells which one failed.
    ///
    /// # Errors
    /// As [`exec`](Self::exec).
    pub async fn exec_script(&mut self, sql: impl AsRef<[u8]>, outcomes: &mut Vec<Outcome>) -> Result<()> {
        let sql = sql.as_ref();
        self.begin(sql)?;
        let driver = self.driver.as_mut().ok_or_else(gone)?;
        let run = async {
            let mut result = driver.query_iter(sql).await?;
            loop {
                let has_rows = !result.columns_ref().is_empty();
                let outcome = Outcome {
                    affected: result.affected_rows(),
                    warnings: result.warnings(),
                    last_insert_id: result.last_insert_id().unwrap_or(0),
                    info: result.info().into_owned(),
                };
                // The driver keeps an error of the server until the next call, and shows an empty answer in its place.
                if result.is_empty() {
                    result.drop_result().await?;
                    outcomes.push(outcome);
                    return Ok(());
                }
                match result.for_each(drop::<mysql_async::Row>).await {
                    Err(error @ mysql_async::Error::Server(_)) => return Err(error),
                    done => {
                        outcomes.push(outcome);
                        done?;
                    }
                }
                if has_rows && result.is_empty() {
                    return result.drop_result().await;
                }
            }
        };
        let result = guard(run).await;
        self.state = after(&result);
        result.map_err(|e| e.in_phase(Phase::Change).doing(abbreviate(sql)).at_name(&self.name))
    }

    /// Runs a LOAD DATA LOCAL statement and sends it these bytes, whatever file name it holds. No other statement
    /// can make the server ask for a file.
    ///
    /// # Errors
    /// As [`exec`](Self::exec); an error of the stream breaks the connection.
    pub async fn exec_with_infile(&mut self, sql: impl AsRef<[u8]>, data: Infile) -> Result<Outcome> {
        let driver = self.driver.as_mut().ok_or_else(gone)?;
        // The lock is only there because the driver wants the future to be Sync.
        let data = Mutex::new(data);
        driver
            .set_infile_handler(async move { Ok(data.into_inner().unwrap_or_else(PoisonError::into_inner)) });
        let result = self.exec(sql).await;
        if let Some(driver) = self.driver.as_mut() {
            // One that was not asked for must not wait for another statement.
            driver.set_infile_handler(async { Err(LocalInfileError::NoHandler.into()) });
        }
        result
    }

    /// Asks the server for a sign of life.
    ///
    /// # Errors
    /// `ConnectionLost`.
    pub async fn ping(&mut self) -> Result<()> {
        self.begin(b"")?;
        let driver = self.driver.as_mut().ok_or_else(gone)?;
        let result = guard(driver.ping()).await;
        self.state = after(&result);
        result.map_err(|e| e.doing("ping").at_name(&self.name))
    }

    /// Ends the session: politely if it is idle, else by closing the socket at once, without reading what is still
    /// to come (the server then ends the statement at its next write). Never fails.
    pub async fn close(mut self) {
        let idle = self.state == State::Idle;
        if let Some(driver) = self.driver.take() {
            if idle {
                // What goes wrong here changes nothing: the session ends with its socket.
                let _ = tokio::time::timeout(QUIT_TIMEOUT, guard(driver.disconnect())).await;
            } else {
                cut_off(driver);
            }
        }
    }

    /// Checks and marks that a statement goes out.
    fn begin(&mut self, sql: &[u8]) -> Result<()> {
        match self.state {
            // A call of a stream that was dropped in the middle shows only in the driver.
            State::Idle | State::Streaming if !self.driver.as_ref().is_some_and(|d| d.is_disconnected()) => {}
            State::Idle | State::Streaming | State::Busy => {
                return Err(Error::closed(
                    "a statement on this connection was given up in the middle, so it can't be used any more",
                )
                .at_name(&self.name));
            }
            State::Gone => return Err(gone().at_name(&self.name)),
        }
        // The command byte counts.
        if sql.len() >= self.packet_limit {
            return Err(Error::too_large(format!(
                "a statement of {} bytes is above max_allowed_packet ({}): raise it on the server, or make \
                 statements smaller",
                sql.len(),
                self.packet_limit
            ))
            .doing(abbreviate(sql))
            .at_name(&self.name));
        }
        self.state = State::Busy;
        Ok(())
    }

    async fn open(&mut self, sql: &[u8]) -> Result<RowStream<'_>> {
        self.begin(sql)?;
        let Conn { driver, state, name, .. } = self;
        let context = Context { sql: abbreviate(sql), name };
        let driver = driver.as_mut().ok_or_else(gone)?;
        // Owned, since the result would borrow it.
        let result = guard(driver.query_iter(sql.to_vec())).await;
        *state = after(&result);
        let result = result.map_err(|e| context.add(e))?;
        *state = State::Streaming;
        let columns: Arc<[Column]> = result.columns_ref().iter().map(column).collect();
        Ok(RowStream { result: Some(result), columns, state, context })
    }
}

impl Error {
    /// Says which connection.
    pub(crate) fn at_name_of(self, conn: &Conn) -> Self {
        self.at_name(&conn.name)
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        if let Some(driver) = self.driver.take()
            && self.state != State::Idle
        {
            cut_off(driver);
        }
    }
}

impl std::fmt::Debug for Conn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The driver's own Debug shows its options, and with them the password.
        f.debug_struct("Conn")
            .field("name", &self.name)
            .field("id", &self.id)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

struct Context<'a> {
    sql: String,
    name: &'a Arc<str>,
}

impl Context<'_> {
    fn add(&self, error: Error) -> Error {
        error.in_phase(Phase::Read).doing(self.sql.as_str()).at_name(self.name)
    }
}

/// Rows as they come, see [`Conn::stream`].
pub struct RowStream<'a> {
    result: Option<QueryResult<'a, 'static, TextProtocol>>,
    columns: Arc<[Column]>,
    state: &'a mut State,
    context: Context<'a>,
}

impl RowStream<'_> {
    /// The columns; none if the statement gives no rows at all.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The next row, `None` at the end. Cancel-safe: no row is lost.
    ///
    /// # Errors
    /// As [`Conn::query`]. After one, every further call gives `None`.
    pub async fn next(&mut self) -> Result<Option<Row>> {
        let Some(result) = self.result.as_mut() else { return Ok(None) };
        let row = guard(result.next()).await;
        match row {
            Ok(Some(row)) => {
                let cells = row.unwrap().into_iter().map(cell).collect();
                Ok(Some(Row::new(Arc::clone(&self.columns), cells)))
            }
            Ok(None) => {
                let rest = match self.result.take() {
                    // Results of further statements in the same text, and their errors.
                    Some(result) => {
                        *self.state = State::Busy;
                        guard(result.drop_result()).await
                    }
                    None => Ok(()),
                };
                *self.state = after(&rest);
                rest.map(|()| None).map_err(|e| self.context.add(e))
            }
            Err(error) => {
                self.result = None;
                *self.state = after_error(&error);
                Err(self.context.add(error))
            }
        }
    }
}

impl std::fmt::Debug for RowStream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowStream").field("sql", &self.context.sql).finish_non_exhaustive()
    }
}

fn after<T>(result: &Result<T>) -> State {
    result.as_ref().err().map_or(State::Idle, after_error)
}

/// After the server's own errors the connection goes on, except for those that announce its end.
fn after_error(error: &Error) -> State {
    if error.code().is_some() && !error.is_connection_gone() { State::Idle } else { State::Gone }
}

fn gone() -> Error {
    Error::closed("this connection was lost before: connect again")
}

/// Closes the socket now.
fn cut_off(mut driver: mysql_async::Conn) {
    // The driver's Drop reads a pending result to its end, unless a call was given up in the middle: give one up.
    // No handle to the socket itself is to be had.
    let _ = AssertUnwindSafe(driver.ping().now_or_never());
    drop(driver);
}

fn column(column: &mysql_async::Column) -> Column {
    Column {
        name: column.name_str().into_owned(),
        type_code: column.column_type() as u8,
        collation: column.character_set(),
        flags: column.flags().bits(),
    }
}

fn cell(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::NULL => None,
        Value::Bytes(bytes) => Some(bytes),
        // The text protocol has no other form.
        other => Some(other.as_sql(true).into_bytes()),
    }
}

/// Runs a call of the driver and translates what goes wrong. The driver takes some lengths of packets for granted;
/// a server that sends others is an error here and no panic.
async fn guard<T>(call: impl Future<Output = mysql_async::Result<T>>) -> Result<T> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(result) => result.map_err(translate),
        Err(panic) => {
            // Also for plugins that it knows by name only (ed25519, parsec): then the text says so.
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("a malformed packet");
            Err(Error::protocol(abbreviate(text.as_bytes())))
        }
    }
}

fn translate(error: mysql_async::Error) -> Error {
    use mysql_async::Error as E;
    match error {
        E::Server(e) => Error::server(e.code, e.state, e.message),
        E::Io(IoError::Io(e)) => {
            // tokio-rustls wraps the handshake's error.
            match e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                Some(tls) => translate_tls(tls),
                None => Error::io(e),
            }
        }
        E::Io(IoError::Tls(e)) => Error::tls(e.to_string()),
        E::Driver(e) => translate_driver(e),
        other => Error::protocol(other.to_string()),
    }
}

fn translate_tls(error: &rustls::Error) -> Error {
    use rustls::{AlertDescription as Alert, Error as E};
    match error {
        // MySQL 5.6 and 5.7 stop at TLS 1.1 in many builds, 8.0 below 8.0.16 has no ECDHE.
        E::AlertReceived(Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity)
        | E::PeerIncompatible(_)
        | E::InvalidMessage(_) => Error::tls(format!(
            "{error}: nothing in common with this server; TLS 1.3, or 1.2 with ECDHE and AES-GCM or ChaCha20, is needed"
        )),
        _ => Error::tls(error.to_string()),
    }
}

fn translate_driver(error: DriverError) -> Error {
    match error {
        DriverError::ConnectionClosed => Error::closed("the server closed the connection"),
        DriverError::PacketTooLarge => Error::too_large("a packet above the limit of the protocol"),
        DriverError::NoClientSslFlagFromServer => {
            Error::tls("the server has no TLS: turn it on there, or use the TLS mode off or preferred")
        }
        DriverError::UnknownAuthPlugin { name } => Error::unsupported(format!(
            "the server asks for the authentication plugin {name}, which can't be used for this connection: give the \
             account caching_sha2_password or mysql_native_password (ALTER USER … IDENTIFIED WITH … BY …); a server \
             may also ask so if there is no such account"
        )),
        DriverError::MysqlOldPasswordDisabled | DriverError::CleartextPluginDisabled => Error::unsupported(
            "the account uses an authentication plugin that shows the password: give it caching_sha2_password or \
             mysql_native_password (ALTER USER … IDENTIFIED WITH … BY …)",
        ),
        DriverError::LocalInfile(LocalInfileError::NoHandler) => {
            Error::unsupported("the server asked for a file of this machine and got none")
        }
        DriverError::NoKeyFound => Error::config("client key: no private key found"),
        // Its text would show the packet.
        DriverError::UnexpectedPacket { payload } => {
            Error::protocol(format!("a packet of {} bytes out of place", payload.len()))
        }
        other => Error::protocol(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_can_be_given_to_tasks() {
        fn send<T: Send>(_: &T) {}
        fn sync<T: Sync>() {}
        let endpoint = Endpoint::new("h", 1, "u", "p");
        send(&Conn::connect(&endpoint));
        send(&async {
            let mut conn = Conn::connect(&endpoint).await?;
            conn.exec("DO 1").await?;
            let mut rows = conn.stream("SELECT 1").await?;
            rows.next().await?;
            drop(rows);
            conn.close().await;
            Ok::<(), Error>(())
        });
        sync::<Conn>();
    }

    #[tokio::test]
    async fn a_panic_of_the_driver_is_an_error() {
        let error = guard::<()>(async { panic!("index out of bounds") }).await.unwrap_err();
        assert_eq!(error.class(), crate::ErrorClass::Protocol);
        assert!(error.to_string().contains("index out of bounds"));
    }
}
