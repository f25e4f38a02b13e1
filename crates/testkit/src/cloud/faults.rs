//! An HTTP proxy on 127.0.0.1 that answers some requests itself, and badly.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::port::free_port;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is passed on.
    None,
    /// It gets this status at once.
    Status(u16),
    /// It is passed on after a while.
    Late(Duration),
    /// The connection ends without an answer; the server never sees the request.
    Lost,
    /// The server does what is asked, and its answer is lost.
    AnswerLost,
}

type Choice = dyn Fn(&str, u64) -> Fault + Send + Sync;

struct Shared {
    upstream: u16,
    choice: Box<Choice>,
    seen: AtomicU64,
    faults: AtomicU64,
    over: AtomicBool,
}

/// The proxy; dropping it takes no more connections.
pub struct HttpFaults {
    port: u16,
    shared: Arc<Shared>,
}

impl HttpFaults {
    /// Stands before `upstream`; `choice` gets the request line and the number of the request, from 0.
    ///
    /// # Panics
    /// When no port can be had.
    pub fn start(upstream: u16, choice: impl Fn(&str, u64) -> Fault + Send + Sync + 'static) -> HttpFaults {
        let (port, listener) = (0..20)
            .find_map(|_| {
                let port = free_port();
                TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok().map(|listener| (port, listener))
            })
            .expect("a free port");
        let shared = Arc::new(Shared {
            upstream,
            choice: Box::new(choice),
            seen: AtomicU64::new(0),
            faults: AtomicU64::new(0),
            over: AtomicBool::new(false),
        });
        let own = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if own.over.load(Ordering::Acquire) {
                    break;
                }
                let Ok(client) = client else { continue };
                let own = Arc::clone(&own);
                // A connection that breaks is what this is for.
                std::thread::spawn(move || drop(own.serve(client)));
            }
        });
        HttpFaults { port, shared }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Requests that were not simply passed on.
    pub fn faults(&self) -> u64 {
        self.shared.faults.load(Ordering::Acquire)
    }
}

impl Drop for HttpFaults {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        // Wakes the listener.
        let _woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    /// One request; the connection ends with it.
    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let Some((head, body)) = read_request(&mut client)? else { return Ok(()) };
        let line = head.lines().next().unwrap_or_default().to_owned();
        let fault = (self.choice)(&line, self.seen.fetch_add(1, Ordering::AcqRel));
        if fault != Fault::None {
            self.faults.fetch_add(1, Ordering::AcqRel);
        }
        match fault {
            Fault::Status(status) => {
                let answer =
                    format!("HTTP/1.1 {status} Fault\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                return client.write_all(answer.as_bytes());
            }
            Fault::Lost => return client.shutdown(Shutdown::Both),
            Fault::Late(time) => std::thread::sleep(time),
            Fault::None | Fault::AnswerLost => {}
        }
        let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.upstream))?;
        let (first, rest) = head.split_once("\r\n").unwrap_or((&head, ""));
        server.write_all(format!("{first}\r\nConnection: close\r\n{rest}").as_bytes())?;
        server.write_all(&body)?;
        if fault == Fault::AnswerLost {
            io::copy(&mut server, &mut io::sink())?;
            return client.shutdown(Shutdown::Both);
        }
        io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Write)
    }
}

/// Head with its empty line, and body; `None` when the client has nothing to say.
fn read_request(client: &mut TcpStream) -> io::Result<Option<(String, Vec<u8>)>> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        match client.read(&mut buffer)? {
            0 => return Ok(None),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    let mut body = bytes.split_off(end);
    while body.len() < length {
        match client.read(&mut buffer)? {
            0 => return Ok(None),
            count => body.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(Some((head, body)))
}
