//! How what goes wrong here becomes the crate's error.

use std::io;
use std::sync::Arc;

use super::channel::Broken;
use super::parse::Malformed;
use super::proto::ErrPacket;
use crate::Error;

/// An error packet.
pub(crate) fn server(peer: &Arc<str>, packet: &ErrPacket) -> Error {
    Error::server(packet.code, packet.state.as_str(), packet.message.as_str()).at_name(peer)
}

/// Bytes that break the protocol.
pub(crate) fn malformed(peer: &Arc<str>, what: &str) -> Error {
    Error::protocol(format!("malformed {what}")).at_name(peer)
}

/// The connection ended; `context` says in the middle of what.
pub(crate) fn lost(peer: &Arc<str>, context: &str, error: io::Error) -> Error {
    Error::io(error).doing(context).at_name(peer)
}

/// No message came.
pub(crate) fn broken(peer: &Arc<str>, context: &str, error: Broken) -> Error {
    match error {
        Broken::Io(error) => lost(peer, context, error),
        Broken::Malformed(Malformed(what)) => malformed(peer, what).doing(context),
    }
}

/// The error in an error packet, or the error in its form.
pub(crate) fn packet(peer: &Arc<str>, bytes: &[u8]) -> Error {
    match ErrPacket::parse(bytes) {
        Ok(packet) => server(peer, &packet),
        Err(Malformed(what)) => malformed(peer, what),
    }
}
