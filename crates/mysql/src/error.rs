//! The one error type of this crate.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::class::{self, ErrorClass};
use crate::endpoint::Endpoint;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What happened, where, and what to do. Never holds a password or key.
///
/// Code decides by [`Error::class`]; the text is for people.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    phase: Phase,
    /// `user@host:port`.
    at: Option<Arc<str>>,
    /// What was tried: `connect`, `query SELECT …`.
    doing: Option<String>,
    /// Said at the end: an attempt that failed before, a way out.
    note: Option<String>,
}

enum Kind {
    Server {
        code: u16,
        state: String,
        message: String,
    },
    Io(io::Error),
    Timeout(Duration),
    /// The connection ended without a word or can't be used any more.
    Closed(String),
    Tls(String),
    Protocol(String),
    Unsupported(String),
    Config(String),
    Value(String),
    TooLarge(String),
}

/// How far things had got; decides what a lost connection means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Phase {
    /// Making the connection and logging in.
    Connect,
    /// A statement that only reads.
    #[default]
    Read,
    /// A statement that may change something.
    Change,
}

impl Error {
    /// An error packet of the server.
    pub fn server(code: u16, state: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Kind::Server { code, state: state.into(), message: message.into() })
    }

    /// The socket failed.
    pub fn io(source: io::Error) -> Self {
        Self::new(Kind::Io(source))
    }

    /// Nothing came in time.
    pub fn timeout(after: Duration) -> Self {
        Self::new(Kind::Timeout(after))
    }

    /// The connection ended, or was left in a state in which it can't go on.
    pub fn closed(text: impl Into<String>) -> Self {
        Self::new(Kind::Closed(text.into()))
    }

    /// TLS could not be had.
    pub fn tls(text: impl Into<String>) -> Self {
        Self::new(Kind::Tls(text.into()))
    }

    /// The server sent what the protocol does not allow.
    pub fn protocol(text: impl Into<String>) -> Self {
        Self::new(Kind::Protocol(text.into()))
    }

    /// Something this library can't do; the text names the way out.
    pub fn unsupported(text: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported(text.into()))
    }

    /// Settings that can't work.
    pub fn config(text: impl Into<String>) -> Self {
        Self::new(Kind::Config(text.into()))
    }

    /// A row without the column asked for, or with a value of another form.
    pub fn value(text: impl Into<String>) -> Self {
        Self::new(Kind::Value(text.into()))
    }

    /// A statement or row above a limit on its size.
    pub fn too_large(text: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge(text.into()))
    }

    fn new(kind: Kind) -> Self {
        Self(Box::new(Inner { kind, phase: Phase::default(), at: None, doing: None, note: None }))
    }

    /// Says which server; the first one told stays.
    pub fn at(mut self, endpoint: &Endpoint) -> Self {
        self.0.at.get_or_insert_with(|| endpoint.to_string().into());
        self
    }

    /// As [`at`](Self::at), with a text made before.
    pub(crate) fn at_name(mut self, name: &Arc<str>) -> Self {
        self.0.at.get_or_insert_with(|| Arc::clone(name));
        self
    }

    /// Says what was tried; the first one told stays.
    pub fn doing(mut self, what: impl Into<String>) -> Self {
        self.0.doing.get_or_insert_with(|| what.into());
        self
    }

    /// Adds a sentence at the end.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        let text = text.into();
        match &mut self.0.note {
            Some(note) => {
                note.push_str("; ");
                note.push_str(&text);
            }
            none => *none = Some(text),
        }
        self
    }

    pub(crate) fn in_phase(mut self, phase: Phase) -> Self {
        self.0.phase = phase;
        self
    }

    /// What it means to the program.
    pub fn class(&self) -> ErrorClass {
        use ErrorClass as C;
        let lost = match self.0.phase {
            Phase::Connect => C::ConnectFailed,
            Phase::Read => C::ConnectionLost,
            Phase::Change => C::UnknownOutcome,
        };
        match &self.0.kind {
            Kind::Server { code, message, .. } => {
                let class = class::of_server_error(*code, message);
                match (class, self.0.phase) {
                    // Sent instead of an answer when the server had closed an idle connection.
                    (C::ConnectionLost, Phase::Change) if *code == 4031 => class,
                    (C::ConnectionLost | C::ServerShutdown, Phase::Change) => C::UnknownOutcome,
                    (C::ConnectionLost | C::ServerShutdown, Phase::Connect) => C::ConnectFailed,
                    _ => class,
                }
            }
            Kind::Io(_) | Kind::Timeout(_) | Kind::Closed(_) => lost,
            Kind::Tls(_) => C::Tls,
            Kind::Protocol(_) => C::Protocol,
            Kind::Unsupported(_) => C::Unsupported,
            Kind::Config(_) => C::Config,
            Kind::Value(_) => C::Value,
            Kind::TooLarge(_) => C::PacketTooLarge,
        }
    }

    /// The server's error number; `None` if the error did not come from the server.
    pub fn code(&self) -> Option<u16> {
        match self.0.kind {
            Kind::Server { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The SQLSTATE of a server error.
    pub fn sqlstate(&self) -> Option<&str> {
        match &self.0.kind {
            Kind::Server { state, .. } => Some(state),
            _ => None,
        }
    }

    /// What happened, without where and advice; for a server error its message as it came.
    pub fn message(&self) -> String {
        match &self.0.kind {
            Kind::Server { message, .. } => message.clone(),
            Kind::Io(source) => source.to_string(),
            Kind::Timeout(after) => format!("no answer within {after:?}"),
            Kind::Closed(text)
            | Kind::Tls(text)
            | Kind::Protocol(text)
            | Kind::Unsupported(text)
            | Kind::Config(text)
            | Kind::Value(text)
            | Kind::TooLarge(text) => text.clone(),
        }
    }

    /// Whether the connection is gone; see [`ErrorClass::is_connection_gone`].
    pub fn is_connection_gone(&self) -> bool {
        self.class().is_connection_gone()
    }

    /// Whether an attempt without TLS may go better: the server was there but gave no error of its own.
    pub(crate) fn may_be_about_tls(&self) -> bool {
        match &self.0.kind {
            Kind::Tls(_) | Kind::Closed(_) | Kind::Protocol(_) => true,
            Kind::Io(e) => matches!(
                e.kind(),
                io::ErrorKind::UnexpectedEof
                    | io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::InvalidData
                    | io::ErrorKind::Other
            ),
            _ => false,
        }
    }

    fn what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message();
        match &self.0.kind {
            // The form every client prints.
            Kind::Server { code, state, .. } => write!(f, "ERROR {code} ({state}): {message}"),
            Kind::Io(_) if self.0.phase == Phase::Connect => write!(f, "can't connect: {message}"),
            Kind::Io(_) => write!(f, "lost the connection: {message}"),
            Kind::Protocol(_) => write!(f, "unexpected answer of the server: {message}"),
            Kind::Tls(_) => write!(f, "TLS failed: {message}"),
            _ => f.write_str(&message),
        }
    }

    fn advice(&self) -> &'static str {
        match &self.0.kind {
            Kind::Server { code, .. } => class::advice(*code, self.class()),
            Kind::Io(_) | Kind::Timeout(_) if self.0.phase == Phase::Connect => {
                "check host and port, and that the server is running"
            }
            _ => "",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(at) = &self.0.at {
            write!(f, "{at}: ")?;
        }
        if let Some(doing) = &self.0.doing {
            write!(f, "{doing}: ")?;
        }
        self.what(f)?;
        let advice = self.advice();
        if !advice.is_empty() {
            write!(f, " ({advice})")?;
        }
        if let Some(note) = &self.0.note {
            write!(f, "; {note}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.class())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.kind {
            // Its text is part of ours already; the chain goes on below it.
            Kind::Io(source) => source.get_ref().and_then(|inner| inner.source()),
            _ => None,
        }
    }
}

/// A statement in the form for messages: one line, cut after some 120 characters.
pub(crate) fn abbreviate(sql: &[u8]) -> String {
    const LIMIT: usize = 120;
    // Only the part that can be shown is looked at: a statement may have megabytes.
    let head = &sql[..sql.len().min(4 * LIMIT)];
    let mut out = String::new();
    let mut blank = false;
    let mut cut = sql.len() > head.len();
    for (count, c) in String::from_utf8_lossy(head).trim().chars().enumerate() {
        if count >= LIMIT {
            cut = true;
            break;
        }
        if c.is_whitespace() || c.is_control() {
            blank = true;
            continue;
        }
        if std::mem::take(&mut blank) {
            out.push(' ');
        }
        out.push(c);
    }
    if cut {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_where_what_and_how_to_go_on() {
        let endpoint = Endpoint::new("10.0.0.1", 3306, "dm", "secret");
        let error = Error::server(1045, "28000", "Access denied for user 'dm'@'%' (using password: YES)")
            .in_phase(Phase::Connect)
            .doing("connect")
            .at(&endpoint);
        assert_eq!(
            error.to_string(),
            "dm@10.0.0.1:3306: connect: ERROR 1045 (28000): Access denied for user 'dm'@'%' (using password: \
             YES) (check user and password, and that the account may log in from this host)"
        );
        assert_eq!(error.class(), ErrorClass::AccessDenied);
        assert_eq!((error.code(), error.sqlstate()), (Some(1045), Some("28000")));
        assert!(!format!("{error:?}").contains("secret"));
    }

    #[test]
    fn a_lost_connection_means_what_the_statement_could_do() {
        let lost = |phase| Error::io(io::ErrorKind::ConnectionReset.into()).in_phase(phase).class();
        assert_eq!(lost(Phase::Connect), ErrorClass::ConnectFailed);
        assert_eq!(lost(Phase::Read), ErrorClass::ConnectionLost);
        assert_eq!(lost(Phase::Change), ErrorClass::UnknownOutcome);
        let code = |code, phase| Error::server(code, "HY000", "x").in_phase(phase).class();
        assert_eq!(code(1053, Phase::Change), ErrorClass::UnknownOutcome);
        assert_eq!(code(1053, Phase::Read), ErrorClass::ServerShutdown);
        assert_eq!(code(1927, Phase::Change), ErrorClass::UnknownOutcome);
        assert_eq!(code(4031, Phase::Change), ErrorClass::ConnectionLost);
        assert_eq!(code(1062, Phase::Change), ErrorClass::Duplicate);
        assert_eq!(code(1040, Phase::Connect), ErrorClass::TooManyConnections);
    }

    #[test]
    fn statements_are_cut_and_on_one_line() {
        assert_eq!(abbreviate(b" SELECT 1\n  FROM t "), "SELECT 1 FROM t");
        let long = abbreviate(&vec![b'x'; 1 << 20]);
        assert_eq!(long.chars().count(), 121);
        assert!(long.ends_with('…'));
        assert_eq!(abbreviate(b"SELECT '\xff'"), "SELECT '\u{fffd}'");
        assert_eq!(abbreviate("é".repeat(100).as_bytes()), "é".repeat(100));
    }
}
