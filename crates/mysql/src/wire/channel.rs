//! A socket with its receive buffer: messages in and out.

use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;

use super::parse::Malformed;
use super::receive::{FULL_PACKET, Receiver};

/// What carries the bytes.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Where a stream was, while it goes under TLS.
    Gone,
    /// A server made of bytes, for the tests.
    #[cfg(test)]
    Script(tokio::io::DuplexStream),
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Stream::Tcp(_) => "tcp",
            Stream::Unix(_) => "unix",
            Stream::Tls(_) => "tls",
            Stream::Gone => "gone",
            #[cfg(test)]
            Stream::Script(_) => "script",
        })
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection was closed")
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Gone => Poll::Ready(Err(gone())),
            #[cfg(test)]
            Stream::Script(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Gone => Poll::Ready(Err(gone())),
            #[cfg(test)]
            Stream::Script(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Gone => Poll::Ready(Err(gone())),
            #[cfg(test)]
            Stream::Script(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Gone => Poll::Ready(Ok(())),
            #[cfg(test)]
            Stream::Script(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

/// Why no message came or went.
#[derive(Debug)]
pub(crate) enum Broken {
    Io(io::Error),
    Malformed(Malformed),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Broken::Io(error)
    }
}

impl From<Malformed> for Broken {
    fn from(error: Malformed) -> Self {
        Broken::Malformed(error)
    }
}

#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) stream: Stream,
    pub(crate) receiver: Receiver,
}

impl Channel {
    pub(crate) fn new(stream: Stream) -> Self {
        Channel { stream, receiver: Receiver::new() }
    }

    /// The address of our end, for TCP.
    pub(crate) fn local_address(&self) -> Option<std::net::SocketAddr> {
        match &self.stream {
            Stream::Tcp(stream) => stream.local_addr().ok(),
            Stream::Tls(stream) => stream.get_ref().0.local_addr().ok(),
            _ => None,
        }
    }

    /// Reads once. Ranges of messages end here. The end of the stream is an error: it is never due while something is
    /// expected. Cancel-safe.
    pub(crate) async fn read_more(&mut self) -> io::Result<()> {
        let Channel { stream, receiver } = self;
        let count = poll_fn(|cx| {
            let mut room = ReadBuf::new(receiver.spare());
            Pin::new(&mut *stream).poll_read(cx, &mut room).map_ok(|()| room.filled().len())
        })
        .await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
        }
        receiver.filled(count);
        Ok(())
    }

    /// The next message; its bytes are lent by [`Receiver::bytes`] until the next read. Cancel-safe.
    pub(crate) async fn message(&mut self) -> Result<Range<usize>, Broken> {
        loop {
            if let Some(range) = self.receiver.next_message()? {
                return Ok(range);
            }
            self.read_more().await?;
        }
    }

    /// Sends a message that goes on with the sequence numbers of this exchange. Not cancel-safe.
    pub(crate) async fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let mut sequence = self.receiver.sequence();
        let mut rest = payload;
        let mut out = Vec::with_capacity(payload.len().min(FULL_PACKET) + 4);
        loop {
            let (head, tail) = rest.split_at(rest.len().min(FULL_PACKET));
            let length = (head.len() as u32).to_le_bytes();
            out.clear();
            out.extend_from_slice(&[length[0], length[1], length[2], sequence]);
            out.extend_from_slice(head);
            sequence = sequence.wrapping_add(1);
            self.stream.write_all(&out).await?;
            rest = tail;
            // A full packet says that another follows, be it an empty one.
            if head.len() < FULL_PACKET {
                break;
            }
        }
        self.receiver.set_sequence(sequence);
        self.stream.flush().await
    }

    /// Sends a command, which begins a new exchange. Not cancel-safe.
    pub(crate) async fn command(&mut self, command: u8, body: &[u8]) -> io::Result<()> {
        let mut payload = Vec::with_capacity(body.len() + 1);
        payload.push(command);
        payload.extend_from_slice(body);
        self.receiver.set_sequence(0);
        self.send(&payload).await
    }
}
