//! The lanes: each has a connection to the target and applies its units, one transaction each.
//!
//! A transaction begins with the ledger's entry of its unit, which fails if another process has taken the subtask over (the fence).
//! So a unit that is in the ledger is applied, and one that is not is not: that is how a killed process goes on exactly, and why a
//! stop may give up what waits for locks.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use common::{
    error::{DmError, Scope, dm_codes as code},
    failpoint,
};
use futures::FutureExt;
use mysql::{Conn, Endpoint, ErrorClass, Outcome};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use super::{
    blame, blank, cascades,
    dml::{self, Expected},
    error,
    scheduler::Unit,
    turns,
};
use crate::checkpoint::Ledger;

/// Tries of a transaction that the server asks to repeat (deadlock, lock wait).
const MOST_TRIES: u32 = 100;

/// Longest wait between two of them.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Tries to connect again before the subtask pauses.
const MOST_CONNECTS: u32 = 12;

/// Statements of a transaction before its rows: BEGIN, and the ledger's.
const HEAD: usize = 1 + Ledger::STATEMENTS;

/// How long ending given up transactions at the target may take.
const KILL_LIMIT: Duration = Duration::from_millis(1500);

/// What lanes tell the rest.
#[derive(Debug)]
pub struct Progress {
    done: Vec<AtomicU64>,
    failed: Mutex<Option<DmError>>,
    rows: AtomicU64,
    bytes: AtomicU64,
    changed: Notify,
    /// For lanes that wait for each other.
    finished: Notify,
    /// The connection of each lane while it executes something, else 0.
    at_work: Vec<AtomicU32>,
}

impl Progress {
    fn new(lanes: usize) -> Self {
        Self {
            at_work: (0..lanes).map(|_| AtomicU32::new(0)).collect(),
            done: (0..lanes).map(|_| AtomicU64::new(0)).collect(),
            failed: Mutex::new(None),
            rows: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            changed: Notify::new(),
            finished: Notify::new(),
        }
    }

    /// Number of the last unit that a lane has applied.
    pub fn done(&self, lane: usize) -> u64 {
        self.done[lane].load(Ordering::Acquire)
    }

    /// The first error of a lane.
    pub fn failure(&self) -> Option<DmError> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Rows applied so far.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Bytes of statements sent so far.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits for the next unit to be applied, or to fail. One that happened since the last call counts.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    fn fail(&self, error: DmError) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.changed.notify_one();
        self.finished.notify_waiters();
    }

    async fn wait_for(&self, lane: usize, seq: u64) -> bool {
        loop {
            let finished = self.finished.notified();
            tokio::pin!(finished);
            finished.as_mut().enable();
            if self.done(lane) >= seq {
                return true;
            }
            if self.failure().is_some() {
                return false;
            }
            finished.await;
        }
    }
}

/// All lanes of a subtask.
#[derive(Debug)]
pub struct Lanes {
    endpoint: Endpoint,
    send: Vec<mpsc::UnboundedSender<Unit>>,
    /// Dropped in the middle, they end as by a kill: nobody else would know what they still apply.
    tasks: Vec<AbortOnDropHandle<()>>,
    /// Shared with the lanes.
    pub progress: Arc<Progress>,
}

impl Lanes {
    /// Connects the lanes.
    ///
    /// # Errors
    /// The first connection that cannot be made.
    pub async fn start(count: usize, endpoint: &Endpoint, ledger: &Arc<Ledger>) -> Result<Self, DmError> {
        let progress = Arc::new(Progress::new(count));
        let (mut send, mut tasks) = (Vec::new(), Vec::new());
        let connects = (0..count).map(|_| Conn::connect(endpoint));
        for (number, conn) in futures::future::join_all(connects).await.into_iter().enumerate() {
            let conn = conn.map_err(|e| error::target("cannot connect to the target", &e))?;
            let (sender, units) = mpsc::unbounded_channel();
            send.push(sender);
            let lane = Lane {
                number,
                endpoint: endpoint.clone(),
                ledger: Arc::clone(ledger),
                progress: Arc::clone(&progress),
                conn: Some(conn),
                script: Vec::new(),
                expected: Vec::new(),
                outcomes: Vec::new(),
            };
            tasks.push(AbortOnDropHandle::new(tokio::spawn(lane.guarded(units))));
        }
        Ok(Self { endpoint: endpoint.clone(), send, tasks, progress })
    }

    /// Gives a unit to its lane.
    pub fn send(&self, unit: Unit) {
        // A lane that has failed takes nothing more; its error is in the progress.
        if let Some(lane) = self.send.get(unit.lane) {
            let _ = lane.send(unit);
        }
    }

    /// Lets the lanes finish what they have, and closes their connections.
    pub async fn stop(&mut self) {
        self.send.clear();
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
    }

    /// Ends the lanes at once. A transaction in the middle is ended at the server too, which would notice a closed connection only
    /// when it has the lock that it waits for: it is then rolled back, or in the ledger.
    pub async fn kill(&mut self) {
        self.send.clear();
        self.tasks.iter().for_each(AbortOnDropHandle::abort);
        for task in self.tasks.drain(..) {
            let _ = task.await;
        }
        let ids = self.progress.at_work.iter().map(|id| id.swap(0, Ordering::AcqRel)).filter(|id| *id != 0);
        kill(&self.endpoint, &ids.collect::<Vec<_>>()).await;
    }
}

/// Ends sessions of ours at the target, as far as that can be done in time.
pub(super) async fn kill(endpoint: &Endpoint, sessions: &[u32]) {
    if sessions.is_empty() {
        return;
    }
    info!(connections = ?sessions, "statements in flight are given up");
    let work = async {
        let mut conn = Conn::connect(endpoint).await?;
        for id in sessions {
            // It may have ended by itself.
            let _ = conn.exec(format!("KILL {id}")).await;
        }
        conn.close().await;
        Ok::<(), mysql::Error>(())
    };
    match tokio::time::timeout(KILL_LIMIT, work).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            warn!(error = %error, "cannot end the given up transactions, the server does it when it notices")
        }
        Err(_) => warn!("cannot end the given up transactions in time, the server does it when it notices"),
    }
}

struct Lane {
    number: usize,
    endpoint: Endpoint,
    ledger: Arc<Ledger>,
    progress: Arc<Progress>,
    conn: Option<Conn>,
    script: Vec<u8>,
    expected: Vec<Expected>,
    outcomes: Vec<Outcome>,
}

impl Lane {
    /// A defect in a lane is the subtask's error; else everybody would wait for what it does not apply any more.
    async fn guarded(self, units: mpsc::UnboundedReceiver<Unit>) {
        let (number, progress) = (self.number, Arc::clone(&self.progress));
        if let Err(panic) = AssertUnwindSafe(self.run(units)).catch_unwind().await {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
            progress.fail(
                code::SYNCER_UNIT_PANIC
                    .error(format!("lane {number}, which applies rows, panicked: {text}"))
                    .with_workaround(
                        "This is a defect: report it with the log. `resume-task` goes on exactly where it stopped.",
                    ),
            );
        }
    }

    async fn run(mut self, mut units: mpsc::UnboundedReceiver<Unit>) {
        while let Some(unit) = units.recv().await {
            for (lane, seq) in &unit.after {
                if !self.progress.wait_for(*lane, *seq).await {
                    return;
                }
            }
            if let Err(error) = self.apply(&unit).await {
                self.progress.fail(error);
                return;
            }
            self.progress.rows.fetch_add(unit.rows as u64, Ordering::Relaxed);
            self.progress.bytes.fetch_add(self.script.len() as u64, Ordering::Relaxed);
            self.progress.done[self.number].store(unit.seq, Ordering::Release);
            self.progress.changed.notify_one();
            self.progress.finished.notify_waiters();
        }
        if let Some(conn) = self.conn.take() {
            conn.close().await;
        }
    }

    fn write_script(&mut self, unit: &Unit, attempt: u32) {
        self.script.clear();
        self.expected.clear();
        self.script.extend_from_slice(b"BEGIN;");
        let covered = unit.coverage.encode();
        self.ledger.write_entry(self.number, unit.seq, attempt, &covered, &mut self.script);
        dml::write_unit(unit, &mut self.script, &mut self.expected);
        self.script.extend_from_slice(b"COMMIT");
    }

    /// Applies a unit exactly once.
    async fn apply(&mut self, unit: &Unit) -> Result<(), DmError> {
        self.write_script(unit, 0);
        let (mut tries, mut connects) = (0, 0);
        loop {
            failpoint::hit("syncer-before-apply");
            let turns = turns::take(&self.endpoint, unit).await;
            let error = match self.execute().await {
                Ok(()) => {
                    failpoint::hit("syncer-after-apply");
                    self.note_missing(unit);
                    return Ok(());
                }
                Err(error) => error,
            };
            let failed_at = self.outcomes.len();
            if error.is_connection_gone() {
                drop(turns);
                connects += 1;
                if connects > MOST_CONNECTS {
                    return Err(self.describe(unit, failed_at, &error));
                }
                warn!(lane = self.number, error = %error, "the connection to the target was lost, connecting again");
                match self.reconnect(unit, connects).await {
                    Ok(true) => return Ok(()),
                    Ok(false) => {
                        self.write_script(unit, connects);
                        continue;
                    }
                    Err(again) if connects < MOST_CONNECTS && again.class().is_transient() => continue,
                    Err(last) => return Err(self.describe(unit, 0, &last)),
                }
            }
            // The transaction has to go before anything else.
            if let Some(conn) = self.conn.as_mut()
                && (conn.exec("ROLLBACK").await.is_err()
                    || acts(unit) && conn.exec(cascades::END).await.is_err()
                    || has_blanks(&self.expected) && conn.exec(blank::END).await.is_err())
            {
                self.conn = None;
            }
            drop(turns);
            tries += 1;
            if error.class() != ErrorClass::Retryable || tries > MOST_TRIES {
                return Err(self.describe(unit, failed_at, &error));
            }
            info!(lane = self.number, tries, error = %error, "the transaction is repeated, others have its rows locked");
            // Of two that met, one waits longer.
            let step = 5 + self.number as u64 % 5;
            tokio::time::sleep(Duration::from_millis(step << tries.min(10)).min(LONGEST_WAIT)).await;
        }
    }

    async fn execute(&mut self) -> Result<(), mysql::Error> {
        self.outcomes.clear();
        let Some(conn) = self.conn.as_ref() else {
            return Err(mysql::Error::closed("there is no connection to the target"));
        };
        // It stays if this is given up in the middle.
        self.progress.at_work[self.number].store(conn.id(), Ordering::Release);
        let result = self.send_script().await;
        self.progress.at_work[self.number].store(0, Ordering::Release);
        result
    }

    async fn send_script(&mut self) -> Result<(), mysql::Error> {
        let Some(conn) = self.conn.as_mut() else {
            return Err(mysql::Error::closed("there is no connection to the target"));
        };
        if self.script.len() + 64 < conn.packet_limit() && !has_blanks(&self.expected) {
            return conn.exec_script(&self.script, &mut self.outcomes).await;
        }
        // More than one message takes (a very large row, or a small max_allowed_packet): statement by statement.
        // So do statements whose warnings count.
        for (number, statement) in split(&self.script)?.into_iter().enumerate() {
            let outcome = conn.exec(statement).await?;
            let expected = number.checked_sub(HEAD).and_then(|n| self.expected.get(n));
            if let Some(Expected { change: Some(change), blanks, .. }) = expected
                && !blanks.is_empty()
                && outcome.warnings > 0
            {
                blank::check(conn, &change.rows.plan.columns, blanks, outcome.warnings).await?;
            }
            self.outcomes.push(outcome);
        }
        Ok(())
    }

    /// `true`: the unit turns out to be applied.
    async fn reconnect(&mut self, unit: &Unit, failures: u32) -> Result<bool, mysql::Error> {
        self.conn = None;
        tokio::time::sleep(Duration::from_millis((100 << failures.min(8)).min(10_000))).await;
        let mut conn = Conn::connect(&self.endpoint).await?;
        // Waits until the server has ended the lost transaction, one way or the other.
        let applied = self.ledger.is_applied(&mut conn, self.number, unit.seq, failures).await?;
        info!(lane = self.number, applied, "connected to the target again");
        self.conn = Some(conn);
        Ok(applied)
    }

    fn describe(&self, unit: &Unit, failed_at: usize, error: &mysql::Error) -> DmError {
        // BEGIN and the ledger's statements come first.
        if failed_at < HEAD && Ledger::is_fenced(error) {
            return error::taken_over();
        }
        let at = failed_at.saturating_sub(HEAD);
        let statement = self.expected.get(at);
        let Some(first) = statement.and_then(|e| e.change.as_ref()) else {
            return error::database(
                &code::DB_EXECUTE_FAILED,
                Scope::Downstream,
                "execute statement failed: transaction",
                error,
            );
        };
        let next = self.expected.get(at + 1).and_then(|e| e.change.as_ref());
        blame::describe(unit, first, next, error)
    }

    fn note_missing(&self, unit: &Unit) {
        if self.outcomes.len() < self.expected.len() + HEAD {
            return;
        }
        for (expected, outcome) in self.expected.iter().zip(&self.outcomes[HEAD..]) {
            let (Some(rows), Some(change)) = (expected.rows, &expected.change) else { continue };
            // The server counts rows that had all values already as not affected, but says how many it found.
            let found = matched(&outcome.info).unwrap_or(outcome.affected);
            if found < rows {
                warn!(
                    table = %change.rows.plan.target, expected = rows, found, location = %change.rows.end, lane = unit.lane,
                    "no matching record is found to update/delete, ER_KEY_NOT_FOUND"
                );
            }
        }
    }
}

/// Whether the session of a unit that failed may have been left with foreign keys that are checked.
fn acts(unit: &Unit) -> bool {
    use super::scheduler::Op;
    let groups = unit.segments.iter().flat_map(|segment| &segment.groups);
    groups
        .into_iter()
        .any(|group| matches!(group.op, Op::ActingDelete | Op::ActingUpdate | Op::ActingSafeUpdate))
}

fn has_blanks(expected: &[Expected]) -> bool {
    expected.iter().any(|expected| !expected.blanks.is_empty())
}

/// The number in `Rows matched: 1  Changed: 0  Warnings: 0`.
fn matched(info: &str) -> Option<u64> {
    let rest = info.strip_prefix("Rows matched: ")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The statements of a script of ours.
fn split(script: &[u8]) -> Result<Vec<&[u8]>, mysql::Error> {
    let spans = sql::split::statements(script, sql::SqlMode::default()).map_err(|e| {
        mysql::Error::value(format!("a transaction above max_allowed_packet can't be taken apart: {e}"))
    })?;
    Ok(spans.iter().map(|span| span.of(script)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_s_remark() {
        assert_eq!(matched("Rows matched: 12  Changed: 0  Warnings: 0"), Some(12));
        assert_eq!(matched(""), None);
        assert_eq!(split(b"BEGIN;INSERT INTO t VALUES (';');COMMIT").unwrap().len(), 3);
    }

    #[test]
    fn a_script_that_cannot_be_taken_apart() {
        assert!(split(b"BEGIN;INSERT INTO t VALUES ('").is_err());
    }

    /// As when the unit panics or is dropped.
    #[tokio::test]
    async fn lanes_end_with_their_owner() {
        let (alive, ended) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        let lanes = Lanes {
            endpoint: Endpoint::new("127.0.0.1", 1, "u", common::secret::Secret::new("p")),
            send: Vec::new(),
            tasks: vec![AbortOnDropHandle::new(task)],
            progress: Arc::new(Progress::new(1)),
        };
        drop(lanes);
        assert!(ended.await.is_err());
    }
}
