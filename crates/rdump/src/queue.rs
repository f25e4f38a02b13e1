//! The chunks on their way from the planner to the readers.
//!
//! States of a chunk: waiting, running, done; or running, given back (its reader lost the connection), running. Owner is the
//! queue while it waits, then the reader. Invariants:
//! 1. A reader leaves only when no chunk waits, runs or can still be planned: a chunk that is given back finds a reader as
//!    long as there is one.
//! 2. At most `room` planned chunks wait, so the planner stays a little ahead and memory small.
//! 3. The last reader never gives its connection away.
//! 4. A running chunk is cut only by an agreement with its reader, which stands still meanwhile: it gives the key it is at,
//!    and gets back a key behind it to stop at.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mysql::wire::WireConn;
use tokio::sync::{Notify, oneshot};

use crate::data::Chunk;
use crate::key::KeyRange;

/// How long an idle reader waits before it looks again for a chunk to share.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A rest of a chunk smaller than this is not worth a second statement, in bytes.
pub const LEAST_REST: u64 = 4 << 20;

/// See the module.
#[derive(Debug)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
    room: usize,
    /// Readers share running chunks.
    shares: bool,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Chunk>,
    running: Vec<Arc<Running>>,
    planned_all: bool,
    readers: usize,
    /// The planner waits for a connection.
    wanted: Option<oneshot::Sender<WireConn>>,
}

impl State {
    fn lose_reader(&mut self) {
        self.readers = self.readers.saturating_sub(1);
        if self.readers <= 1 {
            // Nobody will give a connection any more.
            self.wanted = None;
        }
    }
}

/// What a reader is to do next.
#[derive(Debug)]
pub enum Next {
    /// Read this chunk.
    Chunk(Box<Chunk>, Arc<Running>),
    /// Nothing waits, but this chunk may be large enough for two.
    Share(Arc<Running>),
    /// The planner needs this reader's connection; the reader counts as gone.
    Give(oneshot::Sender<WireConn>),
    /// All is done.
    End,
}

impl Queue {
    /// A queue for `readers` readers.
    pub fn new(readers: usize, shares: bool) -> Queue {
        let state = State { readers, ..State::default() };
        Queue { state: Mutex::new(state), changed: Notify::new(), room: readers * 2, shares }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No code that holds it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a planned chunk when there is room. Cancel-safe: the chunk is added or dropped.
    pub async fn push(&self, chunk: Chunk) {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.waiting.len() < self.room {
                    state.waiting.push_back(chunk);
                    drop(state);
                    self.changed.notify_waiters();
                    return;
                }
            }
            changed.await;
        }
    }

    /// No more chunks will be planned.
    pub fn planned_all(&self) {
        self.state().planned_all = true;
        self.changed.notify_waiters();
    }

    /// Waits for something to do; running chunks are shared from `share_from` on.
    pub async fn next(&self, share_from: Instant) -> Next {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.readers > 1
                    && let Some(wanted) = state.wanted.take()
                {
                    state.readers -= 1;
                    return Next::Give(wanted);
                }
                if let Some(chunk) = state.waiting.pop_front() {
                    let running = Arc::new(Running::new(&chunk));
                    state.running.push(Arc::clone(&running));
                    drop(state);
                    self.changed.notify_waiters();
                    return Next::Chunk(Box::new(chunk), running);
                }
                if state.planned_all && state.running.is_empty() {
                    return Next::End;
                }
                if self.shares && state.planned_all && Instant::now() >= share_from {
                    let rest = state.running.iter().filter(|running| running.rest() >= 2 * LEAST_REST);
                    if let Some(largest) = rest.max_by_key(|running| running.rest()) {
                        return Next::Share(Arc::clone(largest));
                    }
                }
            }
            // The rest of a running chunk is seen only after a while.
            let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
        }
    }

    /// The connection of the next reader that has no chunk, for good; `None`: there is one reader only.
    pub async fn connection(&self) -> Option<WireConn> {
        let (give, take) = oneshot::channel();
        {
            let mut state = self.state();
            if state.readers <= 1 {
                return None;
            }
            state.wanted = Some(give);
        }
        self.changed.notify_waiters();
        take.await.ok()
    }

    /// Registers the other half of a chunk as running.
    pub fn shared(&self, chunk: &Chunk) -> Arc<Running> {
        let running = Arc::new(Running::new(chunk));
        self.state().running.push(Arc::clone(&running));
        running
    }

    /// The chunk is done.
    pub fn done(&self, running: &Arc<Running>) {
        running.close();
        self.state().running.retain(|other| !Arc::ptr_eq(other, running));
        self.changed.notify_waiters();
    }

    /// A reader that has no chunk leaves. `false`: it was the last one.
    pub fn leave(&self) -> bool {
        let mut state = self.state();
        state.lose_reader();
        state.readers > 0
    }

    /// The chunk's reader has lost its connection and leaves. `false`: it was the last one.
    pub fn give_back(&self, running: &Arc<Running>, chunk: Chunk) -> bool {
        running.close();
        let mut state = self.state();
        state.running.retain(|other| !Arc::ptr_eq(other, running));
        state.lose_reader();
        state.waiting.push_front(chunk);
        let others = state.readers > 0;
        drop(state);
        self.changed.notify_waiters();
        others
    }
}

/// A chunk that is being read, as others see it.
#[derive(Debug)]
pub struct Running {
    /// The chunk as it was begun.
    pub chunk: Chunk,
    /// What is left of its range after cuts.
    range: Mutex<Option<KeyRange>>,
    /// How often it was cut.
    cuts: AtomicI64,
    rows: AtomicU64,
    bytes: AtomicU64,
    asked: AtomicBool,
    questions: Mutex<Questions>,
}

/// Where others leave their question.
#[derive(Debug, Default)]
struct Questions {
    waiting: Option<Question>,
    /// The reader has left the chunk: nobody answers any more.
    closed: bool,
}

/// Asks a reader where it is, and tells it where to stop.
#[derive(Debug)]
pub struct Question {
    /// Takes the key of the row that was written last.
    pub position: oneshot::Sender<Vec<u8>>,
    /// Gives the key of the first row that is not its own any more; none: it goes on to the end.
    pub stop: oneshot::Receiver<Vec<u8>>,
}

impl Running {
    /// A chunk that a reader begins with.
    pub fn new(chunk: &Chunk) -> Running {
        Running {
            chunk: chunk.clone(),
            range: Mutex::new(chunk.range.clone()),
            cuts: AtomicI64::new(chunk.cuts),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            questions: Mutex::default(),
        }
    }

    /// Its range.
    pub fn range(&self) -> Option<KeyRange> {
        self.range.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often another reader took over its second half.
    pub fn cuts(&self) -> i64 {
        self.cuts.load(Ordering::SeqCst)
    }

    /// The place of a new chunk that takes over its second half, see [`Chunk::order`]: right behind this one, before those that were cut
    /// off earlier.
    pub fn order_of_half(&self) -> Vec<i64> {
        let cuts = self.cuts.fetch_add(1, Ordering::SeqCst) + 1;
        self.chunk.order.iter().copied().chain([-cuts]).collect()
    }

    /// Part of its range is another chunk's now.
    pub fn narrow(&self, range: KeyRange) {
        *self.range.lock().unwrap_or_else(PoisonError::into_inner) = Some(range);
    }

    /// The reader has written so much.
    pub fn advance(&self, rows: u64, bytes: u64) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The reader's question box, if there is something in it. Cheap when there is not.
    pub fn question(&self) -> Option<Question> {
        if !self.asked.swap(false, Ordering::Acquire) {
            return None;
        }
        self.questions().waiting.take()
    }

    /// Asks the reader; a question that it has not seen yet is replaced. Both ends of a question that nobody will answer
    /// are closed at once.
    pub fn ask(&self) -> (oneshot::Receiver<Vec<u8>>, oneshot::Sender<Vec<u8>>) {
        let (position, its_position) = oneshot::channel();
        let (stop_here, stop) = oneshot::channel();
        let mut questions = self.questions();
        if !questions.closed {
            questions.waiting = Some(Question { position, stop });
            self.asked.store(true, Ordering::Release);
        }
        (its_position, stop_here)
    }

    /// The reader has left the chunk: who asks must not wait for it.
    fn close(&self) {
        *self.questions() = Questions { waiting: None, closed: true };
    }

    fn questions(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes of an average row so far.
    pub fn row_size(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) / self.rows.load(Ordering::Relaxed).max(1)
    }

    /// Bytes that are still to come, about; 0 if the chunk can't be cut or that is not known.
    fn rest(&self) -> u64 {
        let rows = self.rows.load(Ordering::Relaxed);
        if self.chunk.position_column.is_none() || rows == 0 {
            return 0;
        }
        // An estimate that has proved too low says nothing; half as much again is a fair guess then.
        self.chunk.estimate.saturating_sub(rows).max(rows / 2).saturating_mul(self.row_size())
    }
}

#[cfg(test)]
mod tests {
    use common::ident::TableName;
    use futures::FutureExt;

    use super::*;
    use crate::planner::job;
    use crate::render::Form;

    fn chunk() -> Chunk {
        let name = TableName { schema: "s".into(), table: "t".into() };
        let form = Form::Sql { header: vec![], prefix: vec![], backslash: true, statement_size: 1 };
        job(name, form, false, None, None).chunk(None, 0, vec![3])
    }

    #[test]
    fn halves_stand_behind_their_chunk_in_the_order_of_the_key() {
        let first = Running::new(&chunk());
        let far = first.order_of_half();
        let again = Running::new(&first.chunk.again(None, first.cuts()));
        let near = again.order_of_half();
        let of_far = Running::new(&Chunk { order: far.clone(), ..chunk() }).order_of_half();
        let mut all = vec![vec![4], far.clone(), vec![2, 9], of_far.clone(), vec![3], near.clone()];
        all.sort();
        assert_eq!(all, [vec![2, 9], vec![3], near, far, of_far, vec![4]]);
    }

    /// An asker that waited for a reader that has left held the whole dump for the length of its patience.
    #[tokio::test]
    async fn nobody_waits_for_a_reader_that_has_left_its_chunk() {
        let queue = Queue::new(2, true);
        queue.push(chunk()).await;
        queue.planned_all();
        let Next::Chunk(_, running) = queue.next(Instant::now()).await else { panic!("a chunk waits") };
        let (early, _stop) = running.ask();
        assert!(!early.is_terminated());
        queue.done(&running);
        assert!(matches!(early.now_or_never(), Some(Err(_))), "asked before the end");
        let (late, stop) = running.ask();
        assert!(matches!(late.now_or_never(), Some(Err(_))), "asked after the end");
        assert!(stop.send(Vec::new()).is_err());
        let far = Instant::now() + Duration::from_secs(3600);
        assert!(matches!(queue.next(far).now_or_never(), Some(Next::End)));
    }
}
