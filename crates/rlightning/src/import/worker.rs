//! One connection that loads pieces: each batch a transaction, with its ledger row first.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::error::lightning_codes as codes;
use common::retry::{RetryError, retry};
use futures::future::BoxFuture;
use mysql::{Conn, ErrorClass, Outcome};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Shared;
use super::apart::{self, Met, Refused};
use super::batch::{Batch, Statement};
use super::file::{OpenFile, resume_at};
use super::pack::pack;
use super::patience::Patience;
use super::place::{place, row_at};
use crate::config::OnDuplicate;
use crate::error::{Error, Result, fail};
use crate::ledger::{Done, FileState, Piece};

/// How often warnings of the server are spelled out in the log; all are counted.
const SPELLED_WARNINGS: u64 = 10;

/// A worker.
pub struct Worker {
    shared: Arc<Shared>,
    conn: Option<Conn>,
    /// The session statements that are in force on `conn`.
    session: Vec<String>,
    /// Since when no batch could be committed.
    patience: Patience,
}

/// What became of a batch.
enum Fate {
    /// Its rows are in, as many as this.
    In(u64),
    /// Only the ledger knows where the piece goes on: another process has committed other batches, or a connection was lost.
    Elsewhere,
}

/// Why a transaction was not done.
pub(crate) enum Trouble {
    /// The ledger has a row for its begin.
    Taken,
    /// The task's row is gone.
    Ended,
    /// The server's error, and the statement it is about.
    Server { error: mysql::Error, statement: Option<usize>, at_commit: bool },
    /// A row that the server refused, and that may not be left out.
    Refused(Box<Refused>),
    /// Something that no further try changes.
    Final(Error),
}

impl From<mysql::Error> for Trouble {
    fn from(error: mysql::Error) -> Self {
        Trouble::Server { error, statement: None, at_commit: false }
    }
}

impl Worker {
    /// A worker that connects when it has something to do, or goes on with `conn`.
    pub fn new(shared: Arc<Shared>, conn: Option<Conn>) -> Self {
        Self { shared, conn, session: Vec::new(), patience: Patience::default() }
    }

    /// The connection; a new one after a loss, for as long as a restart of the server may take.
    ///
    /// # Errors
    /// The login is refused, the time is up, the run is cancelled.
    pub async fn conn(&mut self) -> Result<&mut Conn> {
        if self.conn.as_ref().is_none_or(Conn::is_broken) {
            if let Some(broken) = self.conn.take() {
                broken.close().await;
            }
            self.session.clear();
            let target = &self.shared.target;
            let connected = retry(
                "connect to the target",
                &self.shared.patience,
                &self.shared.token,
                |error: &mysql::Error| !error.class().is_transient(),
                || target.another(),
            )
            .await;
            self.conn = Some(connected.map_err(|error| match error {
                RetryError::Cancelled => Error::Canceled,
                other => {
                    let text = "lost the target and could not connect again (what is committed stays, run again to go on)";
                    Error::Failed(codes::DB_CONNECT.wrap(text, other))
                }
            })?);
        }
        self.conn.as_mut().ok_or_else(|| fail(codes::DB_CONNECT, "no connection to the target"))
    }

    /// Runs something on the connection until it succeeds, with a new connection after each loss.
    ///
    /// # Errors
    /// The first error that time does not cure; `what` says what was tried.
    pub async fn patiently<T>(
        &mut self,
        what: &'static str,
        mut action: impl for<'c> FnMut(&'c mut Conn) -> BoxFuture<'c, mysql::Result<T>> + Send,
    ) -> Result<T> {
        let mut patience = Patience::default();
        loop {
            match action(self.conn().await?).await {
                Ok(value) => return Ok(value),
                Err(error) if error.class().is_transient() => {
                    self.shared.lost.store(true, Ordering::Release);
                    patience.wait(&self.shared, what, &error).await?;
                }
                Err(error) => return Err(Error::Failed(codes::READ_CHECKPOINT.wrap(what, error))),
            }
        }
    }

    /// Loads a piece from where its committed batches end.
    ///
    /// # Errors
    /// What no retry cures, with table, file and byte.
    pub async fn load(&mut self, file: &Arc<OpenFile>, piece: Piece, mut look: bool) -> Result<()> {
        loop {
            let at = if look {
                let done = self.committed(file).await?;
                resume_at(&file.task, &piece, &done)?
            } else {
                Some((piece.begin, piece.head_at))
            };
            let Some(at) = at else { return Ok(()) };
            if self.load_from(file, piece, at).await? {
                return Ok(());
            }
            look = true;
        }
    }

    /// What the ledger knows of a file.
    ///
    /// # Errors
    /// As [`patiently`](Self::patiently).
    pub async fn state(&mut self, file: u64) -> Result<FileState> {
        let ledger = self.shared.ledger.clone();
        self.patiently("read the ledger", move |conn| {
            let ledger = ledger.clone();
            Box::pin(async move { ledger.state(conn, file).await })
        })
        .await
    }

    /// Commits the cuts of a file, or takes those of another process that was quicker.
    ///
    /// # Errors
    /// As [`patiently`](Self::patiently).
    pub async fn write_cuts(&mut self, file: u64, pieces: Vec<Piece>) -> Result<Vec<Piece>> {
        let shared = Arc::new((self.shared.ledger.clone(), pieces));
        self.patiently("write the cuts of a file", move |conn| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                let (ledger, pieces) = &*shared;
                match ledger.add_cuts(conn, file, pieces).await {
                    Err(error) if error.class() == ErrorClass::Duplicate => {
                        ledger.state(conn, file).await.map(|state| state.pieces)
                    }
                    other => other.map(|()| pieces.clone()),
                }
            })
        })
        .await
    }

    async fn committed(&mut self, file: &Arc<OpenFile>) -> Result<Vec<Done>> {
        Ok(self.state(file.task.id()).await?.done)
    }

    /// `false`: the ledger has to be read to go on.
    async fn load_from(
        &mut self,
        file: &Arc<OpenFile>,
        piece: Piece,
        at: (u64, Option<u64>),
    ) -> Result<bool> {
        let (sender, mut batches) = mpsc::channel(1);
        let packer = {
            let (shared, file) = (Arc::clone(&self.shared), Arc::clone(file));
            tokio::task::spawn_blocking(move || pack(&shared, &file, piece, at, &sender))
        };
        let mut outcome = Ok(true);
        while let Some(batch) = batches.recv().await {
            let _open = self.shared.begin_batch().await;
            if self.shared.token.is_cancelled() {
                outcome = Err(Error::Canceled);
                break;
            }
            match self.bring_in(file, &batch).await {
                Ok(Fate::In(rows)) => {
                    let bytes = file.bytes(batch.done.begin, batch.done.end);
                    self.shared.counters.add(&file.task.table.name, bytes, rows);
                    self.shared.pool.give_back(batch, &self.shared.limits);
                }
                Ok(Fate::Elsewhere) => outcome = Ok(false),
                Err(error) => outcome = Err(error),
            }
            if !matches!(outcome, Ok(true)) {
                break;
            }
        }
        // A packer that is blocked on the channel ends with it.
        drop(batches);
        let packed =
            packer.await.map_err(|panic| fail(codes::UNKNOWN, format!("the reader thread died: {panic}")))?;
        match outcome {
            Ok(true) => packed.map(|()| true),
            other => other,
        }
    }

    /// Commits a batch. After a lost connection the caller has to read the ledger again: what is known of the piece was learned from
    /// a server that may not be the one that answers now.
    async fn bring_in(&mut self, file: &Arc<OpenFile>, batch: &Batch) -> Result<Fate> {
        loop {
            let trouble = match self.transaction(file, batch).await {
                Ok(left_out) => {
                    self.patience = Patience::default();
                    return Ok(Fate::In(batch.done.rows.saturating_sub(left_out)));
                }
                Err(trouble) => trouble,
            };
            match trouble {
                Trouble::Taken => {
                    info!(
                        file = file.task.path(),
                        begin = batch.done.begin,
                        "the batch is in the target already"
                    );
                    return self.compare(file, batch).await?.ok_or_else(|| hidden(file, batch));
                }
                Trouble::Ended => return Err(self.ended()),
                Trouble::Final(error) => return Err(error),
                Trouble::Refused(refused) => {
                    if let Some(conn) = &mut self.conn {
                        apart::note(&self.shared, conn, file, &refused).await;
                    }
                    let form = &file.task.file.form;
                    let place = refused
                        .at
                        .map_or_else(|| form.part(batch.done.begin, batch.done.end), |at| row_at(file, at));
                    return Err(self.explain(file, &place, &refused.error));
                }
                Trouble::Server { error, statement, at_commit } => {
                    if !error.class().is_transient() {
                        // Some errors at COMMIT leave open what was done (TiDB 8028 and the like).
                        if at_commit && let Some(fate) = self.compare(file, batch).await? {
                            return Ok(fate);
                        }
                        let place = statement.and_then(|number| batch.statements.get(number)).map_or_else(
                            || file.task.file.form.part(batch.done.begin, batch.done.end),
                            |statement| place(file, statement, &error),
                        );
                        return Err(self.explain(file, &place, &error));
                    }
                    self.patience.wait(&self.shared, "load a batch", &error).await?;
                    if error.is_connection_gone() || self.conn.as_ref().is_none_or(Conn::is_broken) {
                        self.shared.lost.store(true, Ordering::Release);
                        return Ok(Fate::Elsewhere);
                    }
                    if at_commit && let Some(fate) = self.compare(file, batch).await? {
                        return Ok(fate);
                    }
                }
            }
        }
    }

    fn ended(&self) -> Error {
        fail(
            codes::INVALID_CHECKPOINT,
            format!(
                "task {} has been ended or removed by another process, or another file was taken for one of its files; this one stops. All its \
                 committed rows are in the target",
                self.shared.ledger.task()
            ),
        )
    }

    /// Looks a batch up in the ledger.
    async fn compare(&mut self, file: &Arc<OpenFile>, batch: &Batch) -> Result<Option<Fate>> {
        let done = self.committed(file).await?;
        let found = done.iter().find(|done| done.begin == batch.done.begin);
        Ok(found.map(|done| if done.end == batch.done.end { Fate::In(done.rows) } else { Fate::Elsewhere }))
    }

    /// Rows that were left out.
    async fn transaction(
        &mut self,
        file: &Arc<OpenFile>,
        batch: &Batch,
    ) -> std::result::Result<u64, Trouble> {
        self.prepare(file).await?;
        let shared = Arc::clone(&self.shared);
        let conn = self.conn().await.map_err(Trouble::Final)?;
        let mut met = Met::default();
        let result = send(&shared, conn, file, batch, &mut met).await;
        if result.is_err() {
            shared.counters.take_back_conflicts(met.conflicts);
            shared.counters.take_back_type_errors(met.types);
            if !conn.is_broken()
                && let Err(error) = conn.exec("ROLLBACK").await
            {
                info!(%error, "the rollback failed, the connection is given up");
                self.conn = None;
            }
        }
        result.map(|()| {
            shared.counters.add_blanks(met.blanks);
            met.left_out
        })
    }

    /// Sets the session up for the file, if it is not.
    async fn prepare(&mut self, file: &Arc<OpenFile>) -> std::result::Result<(), Trouble> {
        self.conn().await.map_err(Trouble::Final)?;
        if self.session == file.session {
            return Ok(());
        }
        self.session.clear();
        for statement in &file.session {
            let conn = self.conn().await.map_err(Trouble::Final)?;
            if let Err(error) = conn.exec(statement).await {
                if error.class().is_transient() {
                    return Err(error.into());
                }
                let text = format!("file '{}' needs a session with `{statement}`", file.task.path());
                return Err(Trouble::Final(Error::Failed(codes::DB_CONNECT.wrap(text, error))));
            }
        }
        self.session.clone_from(&file.session);
        Ok(())
    }

    fn explain(&self, file: &Arc<OpenFile>, place: &str, error: &mysql::Error) -> Error {
        let table = &file.task.table.name;
        let advice = match error.class() {
            ErrorClass::Duplicate => {
                "; rows of two sources, or of the dump and the table, have the same key: `rlightning check` finds them, \
                 `conflict.strategy` replace or ignore decides between them"
            }
            ErrorClass::DataTooLong | ErrorClass::OutOfRange | ErrorClass::BadValue => {
                "; change the column in the target so that the value fits"
            }
            ErrorClass::DiskFull => "; make room on the target's disk",
            ErrorClass::ReadOnly => "; the target takes no writes: is it a replica?",
            _ => "",
        };
        let server = match error.code() {
            _ if self.shared.redact => self.shared.shown(error),
            Some(code) => format!("Error {code}: {}", error.message()),
            None => error.message(),
        };
        fail(
            codes::RESTORE_TABLE,
            format!(
                "restore table {table} failed: file '{}', {place}: {server}{advice}. The batch was rolled back; the next run goes on \
                 with it",
                file.task.path()
            ),
        )
    }
}

fn hidden(file: &OpenFile, batch: &Batch) -> Error {
    fail(
        codes::READ_CHECKPOINT,
        format!(
            "the ledger refuses batch {} of file '{}' as a duplicate, but does not show it: it was changed by hand",
            batch.done.begin,
            file.task.path()
        ),
    )
}

/// Sends a batch as one transaction. What it meets on the way is counted in `met`.
async fn send(
    shared: &Shared,
    conn: &mut Conn,
    file: &Arc<OpenFile>,
    batch: &Batch,
    met: &mut Met,
) -> std::result::Result<(), Trouble> {
    conn.exec("START TRANSACTION").await?;
    let ledger = shared.ledger.batch_statement(&file.task.record, &batch.done);
    match conn.exec(&ledger).await {
        Ok(outcome) if outcome.affected == 1 => {}
        Ok(_) => return Err(Trouble::Ended),
        Err(error) if error.class() == ErrorClass::Duplicate => return Err(Trouble::Taken),
        Err(error) => return Err(error.into()),
    }
    common::failpoint::hit("batch-ledger-row-written");
    insert(shared, conn, file, &batch.statements, met).await?;
    if met.left_out > 0 {
        let rows = batch.done.rows.saturating_sub(met.left_out);
        conn.exec(shared.ledger.rows_statement(file.task.id(), batch.done.begin, rows)).await?;
    }
    common::failpoint::hit("batch-before-commit");
    conn.exec("COMMIT").await.map_err(|error| Trouble::Server { error, statement: None, at_commit: true })?;
    common::failpoint::hit("batch-after-commit");
    Ok(())
}

/// Sends the statements of a batch, inside its transaction.
pub(crate) async fn insert(
    shared: &Shared,
    conn: &mut Conn,
    file: &Arc<OpenFile>,
    statements: &[Statement],
    met: &mut Met,
) -> std::result::Result<(), Trouble> {
    for (number, statement) in statements.iter().enumerate() {
        match conn.exec(&statement.sql).await {
            Ok(outcome) => {
                check_outcome(shared, conn, file, (statement, statement.rows), &outcome, met).await?;
            }
            Err(error) if apart::is_about_a_row(&error) => {
                apart::send(shared, conn, file, statement, met).await?;
            }
            Err(error) => {
                return Err(Trouble::Server { error, statement: Some(number), at_commit: false });
            }
        }
    }
    Ok(())
}

/// Compares what the server did with what was sent.
pub(super) async fn check_outcome(
    shared: &Shared,
    conn: &mut Conn,
    file: &Arc<OpenFile>,
    (statement, sent): (&Statement, u64),
    outcome: &Outcome,
    all_met: &mut Met,
) -> std::result::Result<(), Trouble> {
    let affected = outcome.affected;
    let plain = shared.on_duplicate == OnDuplicate::Error || shared.records.conflicts;
    let met = match shared.on_duplicate {
        _ if plain && affected == sent => 0,
        _ if plain => {
            return Err(Trouble::Final(fail(
                codes::RESTORE_TABLE,
                format!(
                    "restore table {} failed: file '{}', {}: the target took {affected} of {sent} rows without an error",
                    file.task.table.name,
                    file.task.path(),
                    file.task.file.form.part(statement.at, statement.end)
                ),
            )));
        }
        _ => sent.abs_diff(affected),
    };
    if met > 0 {
        all_met.conflicts += met;
        let all = shared.counters.add_conflicts(met);
        if all > shared.conflict_threshold {
            return Err(Trouble::Final(fail(
                codes::RESTORE_TABLE,
                format!(
                    "restore table {} failed: file '{}', {}: The number of conflict errors exceeds the threshold configured by \
                     `conflict.threshold`: '{}'",
                    file.task.table.name,
                    file.task.path(),
                    file.task.file.form.part(statement.at, statement.end),
                    shared.conflict_threshold
                ),
            )));
        }
    }
    if outcome.warnings > 0 {
        let all = shared.counters.add_warnings(u64::from(outcome.warnings));
        if all <= SPELLED_WARNINGS {
            let first = conn.query("SHOW WARNINGS LIMIT 1").await?;
            let text = first.first().and_then(|row| row.str("Message").ok().flatten()).unwrap_or_default();
            let text = if shared.redact { "hidden by redact-info-log".to_owned() } else { text };
            warn!(
                table = %file.task.table.name,
                file = file.task.path(),
                begin = statement.at,
                end = statement.end,
                count = outcome.warnings,
                first = text,
                "the target warned about rows"
            );
        }
    }
    Ok(())
}

/// Notes that a piece of the file is done; `true` if it was the last.
pub fn piece_done(file: &OpenFile) -> bool {
    file.left.fetch_sub(1, Ordering::AcqRel) == 1
}
