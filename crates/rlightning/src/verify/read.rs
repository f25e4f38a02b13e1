//! Reads both sides: files through the temporary table, target tables as they are. Each worker has a connection of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::Conn;
use mysql::row_hash::{Groups, Sums};
use tokio::sync::mpsc;

use super::compare::Copies;
use super::shadow::{self, Compared};
use crate::config::Config;
use crate::error::{Error, Result, fail};
use crate::import::apart::Met;
use crate::import::batch::{Batch, Statement};
use crate::import::file::{FileTask, OpenFile};
use crate::import::shape::single_rows;
use crate::import::{self, Shared, Trouble, run_blocking, single_piece};
use crate::records::LeftOut;

/// What is wanted of rows.
#[derive(Debug)]
pub enum Look {
    /// Sums by group of keys.
    Sums {
        /// How many groups.
        groups: u64,
    },
    /// The rows of some groups.
    Rows {
        /// How many groups.
        groups: u64,
        /// Which of them.
        wanted: Vec<u64>,
    },
}

/// One file, or the target's side of a table.
pub struct Work {
    /// The table.
    pub table: Arc<Compared>,
    /// The file; `None`: the target.
    pub file: Option<Arc<FileTask>>,
    /// Rows of the files that are not in the target.
    pub left_out: Arc<LeftOut>,
    /// What is wanted.
    pub look: Arc<Look>,
}

/// What was seen of a table.
#[derive(Debug, Default)]
pub struct Seen {
    /// Of its files.
    pub read: Groups,
    /// Of the target.
    pub held: Groups,
    /// Rows by hash.
    pub copies: HashMap<String, Copies>,
    /// Columns that rows do not fill and the target makes up; then the rest means nothing.
    pub unfilled: BTreeSet<String>,
}

/// Rows of one side.
#[derive(Default)]
struct Side {
    groups: Groups,
    rows: Vec<(String, String)>,
    unfilled: BTreeSet<String>,
}

type AllSeen = BTreeMap<TableName, Seen>;

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does all the work with as many connections as the import has.
///
/// # Errors
/// The first failure that time does not cure; it stops all.
pub async fn all(shared: &Arc<Shared>, config: &Config, work: Vec<Work>) -> Result<AllSeen> {
    let workers = config.concurrency.min(work.len()).max(1);
    let queue = Arc::new(Mutex::new(VecDeque::from(work)));
    let seen: Arc<Mutex<AllSeen>> = Arc::default();
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (queue, seen) = (Arc::clone(&queue), Arc::clone(&seen));
        let reader = Reader {
            shared: Arc::clone(shared),
            schema: config.ledger_schema.clone(),
            conn: None,
            load_mode: String::new(),
            made: None,
        };
        running.spawn(reader.run(queue, seen));
    }
    let mut failure: Option<Error> = None;
    while let Some(ended) = running.join_next().await {
        let ended =
            ended.unwrap_or_else(|panic| Err(fail(codes::UNKNOWN, format!("a worker died: {panic}"))));
        if let Err(error) = ended {
            lock(&queue).clear();
            // What was cancelled is only an echo.
            if failure.as_ref().is_none_or(|first| matches!(first, Error::Canceled)) {
                failure = Some(error);
            }
        }
    }
    match failure {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut *lock(&seen))),
    }
}

struct Reader {
    shared: Arc<Shared>,
    /// Where temporary tables are made.
    schema: String,
    conn: Option<Conn>,
    /// The mode in which the session loads where no file says one.
    load_mode: String,
    /// For which table the temporary one was made, and without which columns.
    made: Option<Arc<Compared>>,
}

impl Reader {
    async fn run(mut self, queue: Arc<Mutex<VecDeque<Work>>>, seen: Arc<Mutex<AllSeen>>) -> Result<()> {
        loop {
            let next = lock(&queue).pop_front();
            let Some(work) = next else { break };
            let name = work.table.name().clone();
            // Its sums are thrown away.
            if lock(&seen).get(&name).is_some_and(|seen| !seen.unfilled.is_empty()) {
                continue;
            }
            let token = self.shared.token.clone();
            let side = tokio::select! {
                side = self.patiently(&work) => side?,
                () = token.cancelled() => return Err(Error::Canceled),
            };
            note(lock(&seen).entry(name).or_default(), &work, side);
            common::failpoint::hit("verify-table-seen");
        }
        if let Some(conn) = self.conn.take() {
            conn.close().await;
        }
        Ok(())
    }

    /// Begins anew after a lost connection and the like: what was read of a file so far is forgotten.
    async fn patiently(&mut self, work: &Work) -> Result<Side> {
        let mut patience = import::Patience::default();
        loop {
            let result = match &work.file {
                Some(file) => self.file(work, file).await,
                None => self.target(work).await,
            };
            let error = match result {
                Ok(side) => return Ok(side),
                Err(Trouble::Server { error, .. }) if error.class().is_transient() => error,
                Err(trouble) => return Err(self.explain(work, trouble)),
            };
            patience.wait(&self.shared, "verify", &error).await?;
            if let Some(conn) = self.conn.take() {
                conn.close().await;
            }
        }
    }

    fn explain(&self, work: &Work, trouble: Trouble) -> Error {
        let place = work.file.as_ref().map_or_else(String::new, |file| format!("file '{}', ", file.path()));
        let name = work.table.name();
        match trouble {
            Trouble::Final(error) => error,
            Trouble::Refused(refused) => {
                let at = refused.at.map_or_else(String::new, |at| format!("row at byte {at}: "));
                fail(
                    codes::CHECKSUM_MISMATCH,
                    format!(
                        "verification of {name} failed: {place}{at}the target would refuse this row now: {}",
                        self.shared.shown(&refused.error)
                    ),
                )
            }
            Trouble::Server { error, .. } => {
                Error::Failed(codes::CHECKSUM_MISMATCH.wrap(format!("{place}verify {name}"), error))
            }
            // There is no ledger in it.
            Trouble::Taken | Trouble::Ended => fail(codes::UNKNOWN, format!("verify {name}: no ledger row")),
        }
    }

    /// The connection, a new one if there is none.
    async fn connect(&mut self) -> std::result::Result<&mut Conn, Trouble> {
        if self.conn.as_ref().is_none_or(Conn::is_broken) {
            self.made = None;
            let mut conn = self.shared.target.another().await?;
            self.load_mode = conn
                .query_one("SELECT @@sql_mode AS mode")
                .await?
                .map_or_else(|| Ok(String::new()), |row| row.str("mode").map(Option::unwrap_or_default))?;
            self.conn = Some(conn);
        }
        self.conn
            .as_mut()
            .ok_or_else(|| Trouble::Final(fail(codes::DB_CONNECT, "no connection to the target")))
    }

    /// The target's side.
    async fn target(&mut self, work: &Work) -> std::result::Result<Side, Trouble> {
        let conn = self.connect().await?;
        begin_hash(conn).await?;
        let mut side = Side::default();
        take(conn, &work.table, None, &work.look, &mut side).await?;
        Ok(side)
    }

    /// The side of a file.
    async fn file(&mut self, work: &Work, task: &Arc<FileTask>) -> std::result::Result<Side, Trouble> {
        let mut task = (**task).clone();
        task.table = Arc::new(work.table.shadow(&self.schema));
        let shared = Arc::clone(&self.shared);
        let file = {
            let (shared, task) = (Arc::clone(&shared), Arc::new(task));
            let opened = run_blocking(move || import::open_file(&shared, &task)).await;
            Arc::new(opened.map_err(Trouble::Final)?)
        };
        let skip = match work.left_out.of(file.task.path()) {
            None => BTreeSet::new(),
            Some(offsets) => {
                let (file, offsets) = (Arc::clone(&file), offsets.clone());
                let limit = shared.limits.packet_limit;
                let found = run_blocking(move || import::file::row_numbers(&file, &offsets, limit)).await;
                found.map_err(Trouble::Final)?
            }
        };
        self.make(work).await?;
        let (sender, mut batches) = mpsc::channel(1);
        let packer = {
            let (shared, file) = (Arc::clone(&shared), Arc::clone(&file));
            tokio::task::spawn_blocking(move || {
                import::pack(&shared, &file, single_piece(&file.task), (0, None), &sender)
            })
        };
        let (mut side, mut before) = (Side::default(), 0);
        let mut outcome = Ok(());
        while let Some(batch) = batches.recv().await {
            outcome = self.batch(work, &file, batch, (&skip, &mut before), &mut side).await;
            if outcome.is_err() || !side.unfilled.is_empty() {
                break;
            }
        }
        drop(batches);
        let packed = packer.await.map_err(|panic| {
            Trouble::Final(fail(codes::UNKNOWN, format!("the reader thread died: {panic}")))
        })?;
        outcome?;
        packed.map_err(Trouble::Final)?;
        Ok(side)
    }

    /// Makes the temporary table, unless it is there.
    async fn make(&mut self, work: &Work) -> std::result::Result<(), Trouble> {
        let schema = self.schema.clone();
        self.connect().await?;
        if self.made.as_ref().is_some_and(|made| Arc::ptr_eq(made, &work.table)) {
            return Ok(());
        }
        self.made = None;
        let conn = self.connect().await?;
        // A default that is legal in the target may not be in every mode.
        conn.exec("SET SESSION sql_mode = ''").await?;
        conn.exec(shadow::drop(&schema)).await?;
        conn.exec(work.table.create(&schema)).await?;
        self.made = Some(Arc::clone(&work.table));
        Ok(())
    }

    /// Brings a batch into the temporary table and looks at it.
    async fn batch(
        &mut self,
        work: &Work,
        file: &Arc<OpenFile>,
        mut batch: Batch,
        (skip, before): (&BTreeSet<u64>, &mut u64),
        side: &mut Side,
    ) -> std::result::Result<(), Trouble> {
        for statement in &mut batch.statements {
            side.unfilled.append(&mut work.table.unfilled_by(statement.parts().0));
            let from = *before;
            *before += statement.rows;
            if skip.range(from..*before).next().is_some() {
                let numbers: BTreeSet<u64> = skip.range(from..*before).map(|number| number - from).collect();
                leave_out(statement, &numbers, file);
            }
        }
        batch.statements.retain(|statement| statement.rows > 0);
        if !side.unfilled.is_empty() {
            return Ok(());
        }
        let (schema, shared, load_mode) =
            (self.schema.clone(), Arc::clone(&self.shared), self.load_mode.clone());
        let conn = self.connect().await?;
        conn.exec(format!("SET SESSION sql_mode = {}", common::ident::quote_string(&load_mode))).await?;
        for statement in &file.session {
            conn.exec(statement).await?;
        }
        conn.exec(shadow::empty(&schema)).await?;
        conn.exec("START TRANSACTION").await?;
        let inserted = import::insert(&shared, conn, file, &batch.statements, &mut Met::default()).await;
        if inserted.is_err() && !conn.is_broken() {
            conn.exec("ROLLBACK").await?;
        }
        inserted?;
        conn.exec("COMMIT").await?;
        if let Some((column, query)) = work.table.numbered_by_target(&schema)
            && conn.query_one(query).await?.is_some()
        {
            side.unfilled.insert(column);
            return Ok(());
        }
        begin_hash(conn).await?;
        take(conn, &work.table, Some(&schema), &work.look, side).await?;
        shared.pool.give_back(batch, &shared.limits);
        Ok(())
    }
}

/// The session in which values become texts: the same for both sides.
async fn begin_hash(conn: &mut Conn) -> mysql::Result<()> {
    conn.exec("SET NAMES utf8mb4").await?;
    conn.exec("SET SESSION sql_mode = '', time_zone = '+00:00'").await?;
    Ok(())
}

/// Adds what a table holds.
async fn take(
    conn: &mut Conn,
    table: &Compared,
    schema: Option<&str>,
    look: &Look,
    side: &mut Side,
) -> std::result::Result<(), Trouble> {
    match look {
        Look::Sums { groups } => {
            for row in conn.query(table.sums(schema, *groups)).await?.iter() {
                let (group, sums) = Sums::of_summary(row)?;
                *side.groups.entry(group).or_default() += sums;
            }
        }
        Look::Rows { groups, wanted } => {
            for row in conn.query(table.rows(schema, *groups, wanted)).await?.iter() {
                let key = String::from_utf8_lossy(row.cells().nth(1).flatten().unwrap_or_default());
                side.rows.push((row.text(0)?, key.into_owned()));
            }
        }
    }
    Ok(())
}

fn note(seen: &mut Seen, work: &Work, side: Side) {
    let sums = if work.file.is_some() { &mut seen.read } else { &mut seen.held };
    for (group, one) in side.groups {
        *sums.entry(group).or_default() += one;
    }
    seen.unfilled.extend(side.unfilled);
    let path: Option<Arc<str>> = work.file.as_ref().map(|file| file.path().into());
    for (hash, key) in side.rows {
        let copies = seen.copies.entry(hash).or_default();
        copies.key = key;
        match &path {
            Some(path) => {
                copies.files += 1;
                copies.path = Some(Arc::clone(path));
            }
            None => copies.target += 1,
        }
    }
}

/// Takes rows out of a statement, given by their number in it.
fn leave_out(statement: &mut Statement, numbers: &BTreeSet<u64>, file: &OpenFile) {
    let (prefix, rows, suffix) = statement.parts();
    let mut sql = prefix.to_vec();
    let mut kept = 0;
    for (number, (_, row)) in (0..).zip(single_rows(rows, file.mode)) {
        if numbers.contains(&number) {
            continue;
        }
        if kept > 0 {
            sql.push(b',');
        }
        kept += 1;
        sql.extend_from_slice(row);
    }
    sql.extend_from_slice(suffix);
    (statement.sql, statement.rows) = (sql, kept);
}
