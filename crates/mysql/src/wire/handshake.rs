//! From a socket to a session: greeting, TLS, authentication.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use super::auth::{self, Plugin};
use super::channel::{Channel, Stream};
use super::fail;
use super::parse::Cursor;
use super::proto::{self, Greeting, HandshakeResponse, cap};
use super::tls::{self, Setup};
use crate::error::Phase;
use crate::{Endpoint, Error, Result, ServerInfo, ServerVersion, TlsMode};

/// Messages of the server before it says yes or no; the longest honest exchange has five.
const MOST_ROUNDS: usize = 16;

/// Silence after which the system asks whether the peer is still there, and how long it asks.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) channel: Channel,
    pub(crate) connection_id: u32,
    pub(crate) server: ServerInfo,
    pub(crate) capabilities: u32,
}

/// Why an attempt failed: whether it may be made again without TLS.
enum Failure {
    TlsHandshake(Error),
    Other(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Other(error)
    }
}

/// Connects and logs in within the endpoint's time.
pub(crate) async fn open(endpoint: &Endpoint, peer: &Arc<str>) -> Result<Session> {
    let opened = tokio::time::timeout(endpoint.connect_timeout, open_any(endpoint, peer)).await;
    opened
        .unwrap_or_else(|_| Err(Error::timeout(endpoint.connect_timeout)))
        .map_err(|error| error.in_phase(Phase::Connect).doing("connect").at_name(peer))
}

async fn open_any(endpoint: &Endpoint, peer: &Arc<str>) -> Result<Session> {
    let tls = tls::setup(endpoint)?;
    match attempt(endpoint, peer, tls.as_ref()).await {
        Ok(session) => Ok(session),
        Err(Failure::Other(error)) => Err(error),
        // Servers that speak only TLS 1.0 and 1.1 say that they have TLS, and then fail.
        Err(Failure::TlsHandshake(error)) if endpoint.tls.mode == TlsMode::Preferred => {
            tracing::debug!(server = %peer, %error, "no TLS with this server, going on without");
            match attempt(endpoint, peer, None).await {
                Ok(session) => Ok(session),
                Err(Failure::TlsHandshake(later) | Failure::Other(later)) => {
                    Err(later.note(format!("before, with TLS: {}", error.message())))
                }
            }
        }
        Err(Failure::TlsHandshake(error)) => Err(error),
    }
}

async fn attempt(endpoint: &Endpoint, peer: &Arc<str>, tls: Option<&Setup>) -> Result<Session, Failure> {
    let stream = connect(endpoint).await.map_err(Error::io)?;
    login(Channel::new(stream), endpoint, peer, tls).await
}

async fn connect(endpoint: &Endpoint) -> std::io::Result<Stream> {
    if let Some(path) = &endpoint.socket {
        return UnixStream::connect(path).await.map(Stream::Unix);
    }
    let addresses: Vec<SocketAddr> =
        tokio::net::lookup_host((endpoint.host.as_str(), endpoint.port)).await?.collect();
    let stream = TcpStream::connect(addresses.as_slice()).await?;
    stream.set_nodelay(true)?;
    // Without it a read would wait for ever for a peer that is gone without a word.
    sockopt::set_socket_keepalive(&stream, true)?;
    sockopt::set_tcp_keepidle(&stream, KEEPALIVE)?;
    sockopt::set_tcp_keepintvl(&stream, KEEPALIVE / 6)?;
    sockopt::set_tcp_keepcnt(&stream, 6)?;
    Ok(Stream::Tcp(stream))
}

/// Everything after the socket; also what the tests run against a scripted server.
async fn login(
    mut channel: Channel,
    endpoint: &Endpoint,
    peer: &Arc<str>,
    tls: Option<&Setup>,
) -> Result<Session, Failure> {
    let greeting = greeting(&mut channel, peer).await?;
    let server = ServerInfo::parse(&greeting.version, "");
    let needed = cap::PROTOCOL_41 | cap::SECURE_CONNECTION;
    if greeting.capabilities & needed != needed {
        return Err(
            Error::unsupported(format!("server {} is too old: 4.1 is needed", greeting.version)).into()
        );
    }
    let mut capabilities = cap::LONG_PASSWORD | cap::TRANSACTIONS | needed;
    capabilities |= greeting.capabilities
        & (cap::LONG_FLAG | cap::PLUGIN_AUTH | cap::PLUGIN_AUTH_LENENC | cap::DEPRECATE_EOF);
    if endpoint.program.is_some() {
        capabilities |= greeting.capabilities & cap::CONNECT_ATTRS;
    }
    if endpoint.database.is_some() {
        capabilities |= cap::CONNECT_WITH_DB;
    }
    let charset = if server.version >= ServerVersion::new(5, 5, 3) { proto::UTF8MB4 } else { proto::UTF8 };
    let mut secure = None;
    match tls {
        Some(setup) if greeting.capabilities & cap::SSL != 0 => {
            capabilities |= cap::SSL;
            go_under_tls(&mut channel, peer, setup, capabilities, charset).await?;
            secure = Some(setup.verified);
        }
        Some(_) if endpoint.tls.mode != TlsMode::Preferred => {
            return Err(Error::tls("the server offers no TLS").into());
        }
        _ => {}
    }
    let mut login = Login {
        password: endpoint.password.expose(),
        nonce: greeting.nonce.clone(),
        tls: secure,
        socket: endpoint.socket.is_some(),
        cleartext: endpoint.cleartext_password,
        plugin: Plugin::Native,
        key_asked: false,
    };
    // A default we do not know is often not the account's own: the server then switches.
    login.plugin = Plugin::named(&greeting.plugin).filter(|p| *p != Plugin::Clear).unwrap_or(Plugin::Native);
    let answer = login.first_answer()?;
    let attributes = attributes(endpoint);
    let response = HandshakeResponse {
        capabilities,
        charset,
        user: &endpoint.user,
        auth: &answer,
        database: endpoint.database.as_deref(),
        plugin: login.plugin.name(),
        attributes: &attributes,
    };
    let packet =
        response.encode().ok_or_else(|| Error::config("user or password is too long, or has a zero byte"))?;
    channel.send(&packet).await.map_err(|error| fail::lost(peer, "send the login", error))?;
    login.run(&mut channel, peer).await?;
    Ok(Session { channel, connection_id: greeting.connection_id, server, capabilities })
}

async fn greeting(channel: &mut Channel, peer: &Arc<str>) -> Result<Greeting> {
    let range = channel.message().await.map_err(|error| fail::broken(peer, "read the greeting", error))?;
    let packet = channel.receiver.bytes(range);
    if packet.first() == Some(&0xff) {
        return Err(fail::packet(peer, packet));
    }
    Greeting::parse(packet).map_err(|malformed| fail::malformed(peer, malformed.0))
}

async fn go_under_tls(
    channel: &mut Channel,
    peer: &Arc<str>,
    setup: &Setup,
    capabilities: u32,
    charset: u8,
) -> Result<(), Failure> {
    // What came in the clear must not pass for something said under TLS.
    if channel.receiver.has_rest() {
        return Err(Error::protocol("data after the greeting, before TLS").into());
    }
    let request = proto::ssl_request(capabilities, charset);
    channel.send(&request).await.map_err(|error| fail::lost(peer, "ask for TLS", error))?;
    let connector = TlsConnector::from(Arc::clone(&setup.config));
    let name = setup.name.clone();
    let under = match std::mem::replace(&mut channel.stream, Stream::Gone) {
        Stream::Tcp(stream) => connector.connect(name, stream).await.map(|tls| Stream::Tls(Box::new(tls))),
        other => Ok(other),
    };
    channel.stream = under.map_err(|error| {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        Failure::TlsHandshake(match inner {
            // MySQL built with OpenSSL 1.0 (8.0 before 8.0.16 among them) has no ECDHE, yaSSL (5.7 and before) no TLS 1.2.
            Some(inner @ rustls::Error::AlertReceived(_)) => Error::tls(inner.to_string()).note(
                "the server must have TLS 1.3, or TLS 1.2 with an ECDHE cipher, and take the client certificate",
            ),
            Some(inner) => Error::tls(inner.to_string()),
            None => Error::tls(format!("the server broke off the handshake: {error}")),
        })
    })?;
    Ok(())
}

fn attributes(endpoint: &Endpoint) -> Vec<(&'static str, String)> {
    let Some(program) = &endpoint.program else { return Vec::new() };
    vec![
        ("program_name", program.clone()),
        ("_client_name", concat!(env!("CARGO_PKG_NAME"), "-wire").to_owned()),
        ("_client_version", env!("CARGO_PKG_VERSION").to_owned()),
        ("_os", std::env::consts::OS.to_owned()),
        ("_platform", std::env::consts::ARCH.to_owned()),
        ("_pid", std::process::id().to_string()),
    ]
}

/// The authentication under way.
struct Login<'a> {
    password: &'a str,
    nonce: Vec<u8>,
    /// Under TLS; true if the server's certificate was checked.
    tls: Option<bool>,
    socket: bool,
    cleartext: bool,
    plugin: Plugin,
    key_asked: bool,
}

impl Login<'_> {
    /// What this plugin says first.
    fn first_answer(&mut self) -> Result<Vec<u8>> {
        Ok(match self.plugin {
            Plugin::Native => auth::native(self.password, &self.nonce),
            // A zero says that there is no password, which is not the same as nothing said.
            Plugin::CachingSha2 | Plugin::Sha256 if self.password.is_empty() => vec![0],
            Plugin::CachingSha2 => auth::caching_sha2(self.password, &self.nonce),
            Plugin::Sha256 if self.tls.is_some() => auth::clear(self.password),
            Plugin::Sha256 => {
                self.key_asked = true;
                vec![auth::SHA256_WANT_KEY]
            }
            Plugin::Clear if !self.cleartext => {
                return Err(Error::unsupported(
                    "the server wants the password in the clear (mysql_clear_password), which was not allowed",
                ));
            }
            Plugin::Clear if self.tls != Some(true) => {
                return Err(Error::unsupported(
                    "the server wants the password in the clear (mysql_clear_password), which goes only over TLS \
                     in the modes verify-ca and verify-identity",
                ));
            }
            Plugin::Clear => auth::clear(self.password),
        })
    }

    /// Answers until the server says yes or no.
    async fn run(&mut self, channel: &mut Channel, peer: &Arc<str>) -> Result<()> {
        for _ in 0..MOST_ROUNDS {
            let range = channel.message().await.map_err(|error| fail::broken(peer, "log in", error))?;
            let packet = channel.receiver.bytes(range);
            let answer = match packet.split_first() {
                Some((0x00, _)) => return Ok(()),
                Some((0xff, _)) => return Err(fail::packet(peer, packet)),
                Some((0xfe, [])) => {
                    return Err(Error::unsupported(
                        "the account has a password of the time before MySQL 4.1: set it anew",
                    ));
                }
                Some((0xfe, rest)) => Some(self.switch(peer, rest)?),
                Some((0x01, rest)) => self.more(peer, rest)?,
                _ => return Err(fail::malformed(peer, "answer to the login")),
            };
            if let Some(answer) = answer {
                channel.send(&answer).await.map_err(|error| fail::lost(peer, "log in", error))?;
            }
        }
        Err(Error::protocol("the login never ends"))
    }

    /// The server asks for another plugin.
    fn switch(&mut self, peer: &Arc<str>, request: &[u8]) -> Result<Vec<u8>> {
        let mut at = Cursor::new(request);
        let name =
            at.null_terminated("name of a plugin").map_err(|malformed| fail::malformed(peer, malformed.0))?;
        let Some(plugin) = std::str::from_utf8(name).ok().and_then(Plugin::named) else {
            return Err(Error::unsupported(format!(
                "the account logs in with the plugin {}: give it caching_sha2_password, sha256_password or \
                 mysql_native_password",
                proto::lossy(name)
            )));
        };
        let data = at.rest();
        self.nonce = data.strip_suffix(&[0]).unwrap_or(data).to_vec();
        self.plugin = plugin;
        self.key_asked = false;
        self.first_answer()
    }

    /// The plugin goes on. `None`: nothing to answer.
    fn more(&mut self, peer: &Arc<str>, data: &[u8]) -> Result<Option<Vec<u8>>> {
        match (self.plugin, data) {
            (Plugin::CachingSha2 | Plugin::Sha256, key) if std::mem::take(&mut self.key_asked) => {
                auth::encrypted(self.password, &self.nonce, key).map(Some).map_err(Error::protocol)
            }
            (Plugin::CachingSha2, [auth::FAST_OK]) => Ok(None),
            (Plugin::CachingSha2, [auth::FULL_WANTED]) if self.tls.is_some() || self.socket => {
                Ok(Some(auth::clear(self.password)))
            }
            (Plugin::CachingSha2, [auth::FULL_WANTED]) => {
                self.key_asked = true;
                Ok(Some(vec![auth::CACHING_SHA2_WANT_KEY]))
            }
            _ => Err(fail::malformed(peer, "message of an authentication plugin")),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests_support {
    use super::*;

    /// Logs in over bytes that a test wrote.
    pub(crate) async fn login_over(stream: tokio::io::DuplexStream, endpoint: &Endpoint) -> Result<Session> {
        let peer: Arc<str> = "test".into();
        match login(Channel::new(Stream::Script(stream)), endpoint, &peer, None).await {
            Ok(session) => Ok(session),
            Err(Failure::TlsHandshake(error) | Failure::Other(error)) => Err(error),
        }
    }
}
