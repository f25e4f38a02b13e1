//! A TCP proxy on 127.0.0.1 that breaks connections on command.
//!
//! It runs on a thread with a runtime of its own; all calls return at once unless they say that they wait.
//! Without TLS it sees the client's statements and can hold one back, or its answer.

mod commands;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use commands::{Commands, Piece};
use regex::Regex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const BUFFER: usize = 64 * 1024;
const NO_LIMIT: i64 = -1;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// At once and for both sides (TCP reset), as when a machine or a router goes away.
    Reset,
    /// As if the sender had closed: the receiver gets an orderly end of the stream after a part of a message.
    Truncate,
}

#[derive(Debug)]
struct Limit {
    remaining: AtomicI64,
    truncate: AtomicBool,
}

#[derive(Debug)]
struct Shared {
    upstream: Mutex<SocketAddr>,
    refuse: AtomicBool,
    delay_micros: AtomicU64,
    limits: [Limit; 2],
    moved: [AtomicU64; 2],
    accepted: AtomicU64,
    open: AtomicU64,
    /// Cancelled and replaced by `cut_all`.
    generation: Mutex<CancellationToken>,
    holds: Mutex<Vec<Arc<HoldState>>>,
}

impl Shared {
    fn generation(&self) -> MutexGuard<'_, CancellationToken> {
        self.generation.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn holds(&self) -> MutexGuard<'_, Vec<Arc<HoldState>>> {
        self.holds.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn matching_hold(&self, text: &str) -> Option<Arc<HoldState>> {
        let mut holds = self.holds();
        let index = holds.iter().position(|hold| hold.pattern.is_match(text))?;
        Some(holds.remove(index))
    }
}

/// The proxy; dropping it cuts all connections and frees the port.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Listens on a free port and passes connections to `server`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn to(server: &crate::Server) -> Proxy {
        Proxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port())))
    }

    /// Listens on a free port and passes connections to `upstream`.
    ///
    /// # Panics
    /// When it cannot listen.
    pub fn start(upstream: SocketAddr) -> Proxy {
        let limit = || Limit { remaining: AtomicI64::new(NO_LIMIT), truncate: AtomicBool::new(false) };
        let shared = Arc::new(Shared {
            upstream: Mutex::new(upstream),
            refuse: AtomicBool::new(false),
            delay_micros: AtomicU64::new(0),
            limits: [limit(), limit()],
            moved: [AtomicU64::new(0), AtomicU64::new(0)],
            accepted: AtomicU64::new(0),
            open: AtomicU64::new(0),
            generation: Mutex::new(CancellationToken::new()),
            holds: Mutex::new(Vec::new()),
        });
        let listener = (0..10)
            .find_map(|_| std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, crate::port::free_port())).ok())
            .unwrap_or_else(|| panic!("the proxy found no port to listen on"));
        let prepared = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let port = prepared.unwrap_or_else(|error| panic!("the proxy cannot listen: {error}")).port();
        let stop = CancellationToken::new();
        let (inside, token) = (Arc::clone(&shared), stop.clone());
        let thread =
            std::thread::Builder::new().name("proxy".into()).spawn(move || serve(listener, inside, token));
        let thread = thread.unwrap_or_else(|error| panic!("the proxy cannot start its thread: {error}"));
        Proxy { port, shared, stop, thread: Some(thread) }
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Passes new connections to another address.
    pub fn set_upstream(&self, upstream: SocketAddr) {
        *self.shared.upstream.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = upstream;
    }

    /// Resets all present connections; new ones pass.
    pub fn cut_all(&self) {
        let mut generation = self.shared.generation();
        generation.cancel();
        *generation = CancellationToken::new();
    }

    /// While true, new connections are closed before a byte is answered; present ones stay.
    pub fn refuse(&self, refuse: bool) {
        self.shared.refuse.store(refuse, Ordering::SeqCst);
    }

    /// Waits this long before each piece is passed on, both ways; zero ends it.
    pub fn delay(&self, delay: Duration) {
        self.shared.delay_micros.store(delay.as_micros() as u64, Ordering::SeqCst);
    }

    /// Lets `bytes` more pass in this direction, counted over all connections; the connection that would pass one more
    /// is ended. Happens once.
    pub fn end_after(&self, direction: Direction, bytes: u64, end: End) {
        let limit = &self.shared.limits[direction as usize];
        limit.truncate.store(end == End::Truncate, Ordering::SeqCst);
        limit.remaining.store(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Bytes passed so far in this direction.
    pub fn moved(&self, direction: Direction) -> u64 {
        self.shared.moved[direction as usize].load(Ordering::SeqCst)
    }

    /// Connections accepted so far.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Connections open now.
    pub fn open(&self) -> u64 {
        self.shared.open.load(Ordering::SeqCst)
    }

    /// Holds back the next COMMIT before the server sees it.
    pub fn hold_commit(&self) -> Hold {
        self.hold("(?i)^commit\\b", false)
    }

    /// Lets the next COMMIT reach the server and holds back its answer: the transaction is done and nobody knows.
    pub fn hold_commit_answer(&self) -> Hold {
        self.hold("(?i)^commit\\b", true)
    }

    /// Holds back the next statement that matches `pattern`, or the answer to it. Statements above 4 KiB are not seen.
    ///
    /// # Panics
    /// When the pattern is not a regular expression.
    pub fn hold(&self, pattern: &str, answer: bool) -> Hold {
        let pattern =
            Regex::new(pattern).unwrap_or_else(|error| panic!("the pattern of a hold is wrong: {error}"));
        let state = Arc::new(HoldState { pattern, answer, step: watch::Sender::new(Step::Armed) });
        self.shared.holds().push(Arc::clone(&state));
        Hold { state }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.stop.cancel();
        self.cut_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Armed,
    Held,
    Released,
    Cut,
}

#[derive(Debug)]
struct HoldState {
    pattern: Regex,
    answer: bool,
    step: watch::Sender<Step>,
}

impl HoldState {
    /// Says that something is held and waits. `true`: pass it on; `false`: end the connection.
    async fn wait(&self) -> bool {
        self.step.send_if_modified(|step| {
            let armed = *step == Step::Armed;
            if armed {
                *step = Step::Held;
            }
            armed
        });
        let mut steps = self.step.subscribe();
        match steps.wait_for(|step| matches!(step, Step::Released | Step::Cut)).await {
            Ok(step) => *step == Step::Released,
            Err(_sender_gone) => false,
        }
    }
}

/// A statement or an answer that is held back, or will be. A held statement survives its client: it goes to the server when
/// released, as a late COMMIT of a dead process does. Dropping the handle releases it.
#[derive(Debug)]
pub struct Hold {
    state: Arc<HoldState>,
}

impl Hold {
    /// Whether something is held now.
    pub fn is_held(&self) -> bool {
        *self.state.step.borrow() == Step::Held
    }

    /// Waits until something is held. For an answer: the server has done its work then.
    ///
    /// # Panics
    /// After `limit`.
    pub fn wait_held(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while !self.is_held() {
            assert!(Instant::now() < deadline, "waited {limit:?} in vain for `{}`", self.state.pattern);
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Passes on what is held; if nothing is held yet, the next match passes.
    pub fn release(&self) {
        self.state.step.send_replace(Step::Released);
    }

    /// Ends the connection instead of passing on what is held.
    pub fn cut(&self) {
        self.state.step.send_replace(Step::Cut);
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.state.step.send_if_modified(|step| {
            let open = matches!(step, Step::Armed | Step::Held);
            if open {
                *step = Step::Released;
            }
            open
        });
    }
}

fn serve(listener: std::net::TcpListener, shared: Arc<Shared>, stop: CancellationToken) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("the proxy has no runtime: {error}"));
    runtime.block_on(async move {
        let listener = TcpListener::from_std(listener)
            .unwrap_or_else(|error| panic!("the proxy cannot listen: {error}"));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = listener.accept() => {
                    let Ok((client, _)) = accepted else { continue };
                    shared.accepted.fetch_add(1, Ordering::SeqCst);
                    if shared.refuse.load(Ordering::SeqCst) {
                        reset(&client);
                        continue;
                    }
                    connections.spawn(connection(client, Arc::clone(&shared)));
                }
            }
            while connections.try_join_next().is_some() {}
        }
        shared.generation().cancel();
        // A held statement has no end of its own.
        connections.shutdown().await;
    });
}

async fn connection(mut client: TcpStream, shared: Arc<Shared>) {
    let token = shared.generation().clone();
    let upstream = *shared.upstream.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let Ok(mut server) = TcpStream::connect(upstream).await else {
        reset(&client);
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    shared.open.fetch_add(1, Ordering::SeqCst);
    // A client waits for the answer to a statement before it sends the next, so one slot is enough.
    let held_answer = Mutex::new(None);
    let end = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let up = pass_up(&shared, from_client, to_server, &held_answer);
        let down = pass_down(&shared, from_server, to_client, &held_answer);
        let mut directions = std::pin::pin!(async { tokio::try_join!(up, down).map(|_both_closed| ()) });
        tokio::select! {
            end = &mut directions => end.err(),
            () = token.cancelled() => Some(End::Reset),
        }
    };
    if end == Some(End::Reset) {
        reset(&client);
        reset(&server);
    }
    shared.open.fetch_sub(1, Ordering::SeqCst);
}

/// Why bytes were not passed on.
#[derive(Clone, Copy, Debug)]
enum Stop {
    PeerGone,
    Limit(End),
}

impl Stop {
    fn end(self) -> End {
        match self {
            Stop::PeerGone => End::Reset,
            Stop::Limit(end) => end,
        }
    }
}

type HeldAnswer = Mutex<Option<Arc<HoldState>>>;

/// Passes the client's bytes until it closes. An error ends the whole connection in the way it says.
async fn pass_up(
    shared: &Shared,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    held_answer: &HeldAnswer,
) -> Result<(), End> {
    let mut commands = Commands::default();
    let mut buffer = vec![0; BUFFER];
    loop {
        let length = from.read(&mut buffer).await.map_err(|_| End::Reset)?;
        if length == 0 {
            // The server answers what is under way before it sees the end.
            let _ = to.shutdown().await;
            return Ok(());
        }
        for piece in commands.push(&buffer[..length]) {
            match piece {
                Piece::Bytes(bytes) => {
                    pass(shared, Direction::ToServer, &bytes, &mut to).await.map_err(Stop::end)?
                }
                Piece::Query { packet, text } => {
                    let hold = shared.matching_hold(&text);
                    match hold {
                        Some(hold) if hold.answer => {
                            *held_answer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(hold)
                        }
                        Some(hold) if !hold.wait().await => return Err(End::Reset),
                        _ => {}
                    }
                    pass(shared, Direction::ToServer, &packet, &mut to).await.map_err(Stop::end)?;
                }
            }
        }
    }
}

/// Passes the server's bytes until it closes.
async fn pass_down(
    shared: &Shared,
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    held_answer: &HeldAnswer,
) -> Result<(), End> {
    let mut buffer = vec![0; BUFFER];
    let mut client_gone = false;
    loop {
        let length = from.read(&mut buffer).await.map_err(|_| End::Reset)?;
        if length == 0 {
            let _ = to.shutdown().await;
            // A client that still writes to a server that closed would wait for ever.
            return Err(End::Truncate);
        }
        let hold = held_answer.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
        if let Some(hold) = hold
            && !hold.wait().await
        {
            return Err(End::Reset);
        }
        // Answers to a client that is gone are dropped, so that a held statement still gets to the server.
        if !client_gone {
            match pass(shared, Direction::ToClient, &buffer[..length], &mut to).await {
                Ok(()) => {}
                Err(Stop::PeerGone) => client_gone = true,
                Err(Stop::Limit(end)) => return Err(end),
            }
        }
    }
}

/// Passes bytes with the delay and the limit that are set.
async fn pass(
    shared: &Shared,
    direction: Direction,
    bytes: &[u8],
    to: &mut WriteHalf<'_>,
) -> Result<(), Stop> {
    let delay = shared.delay_micros.load(Ordering::SeqCst);
    if delay > 0 {
        tokio::time::sleep(Duration::from_micros(delay)).await;
    }
    let limit = &shared.limits[direction as usize];
    let mut allowed = bytes.len();
    let mut end = None;
    let remaining = limit.remaining.load(Ordering::SeqCst);
    if remaining != NO_LIMIT {
        // One thread passes all bytes, so nobody changes the number between the two calls but the test itself.
        if remaining < bytes.len() as i64 {
            allowed = remaining as usize;
            end = Some(if limit.truncate.load(Ordering::SeqCst) { End::Truncate } else { End::Reset });
            limit.remaining.store(NO_LIMIT, Ordering::SeqCst);
        } else {
            limit.remaining.store(remaining - bytes.len() as i64, Ordering::SeqCst);
        }
    }
    to.write_all(&bytes[..allowed]).await.map_err(|_| Stop::PeerGone)?;
    shared.moved[direction as usize].fetch_add(allowed as u64, Ordering::SeqCst);
    match end {
        Some(End::Truncate) => {
            let _ = to.shutdown().await;
            Err(Stop::Limit(End::Truncate))
        }
        Some(End::Reset) => Err(Stop::Limit(End::Reset)),
        None => Ok(()),
    }
}

/// Closing the socket then sends a TCP reset instead of an orderly end.
fn reset(stream: &TcpStream) {
    let _ = rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}
