//! Finding, starting, ending and listing tasks.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{SystemTime, UNIX_EPOCH};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::{Conn, ErrorClass, Row};
use tracing::info;

use super::{FORMAT, Ledger, Piece, number, sql, text};
use crate::advice::Advice;
use crate::config::raw::KeepAfterSuccess;
use crate::error::{Context, Error, Result, fail};

/// What a task is known by: its source and its routes. The target is where the ledger lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskName {
    /// Path or URL of the source, for people.
    pub source: String,
    /// Hash over source and routes.
    pub hash: String,
}

impl TaskName {
    /// Names the task of a source folder (absolute) and its routes (in a fixed text form).
    pub fn new(source: &str, routes: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        for part in ["rlightning task 1", source, routes] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        Self { source: source.to_owned(), hash: hasher.finalize().to_hex().to_string() }
    }
}

/// Settings that decide which rows get into the target: they must be the same from one run of a task to the next. Keys are the
/// names that the user knows.
pub type Settings = BTreeMap<String, String>;

/// Which task is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The ledger's schema.
    pub schema: &'a str,
    /// The task's name.
    pub name: &'a TaskName,
    /// Its settings now.
    pub settings: &'a Settings,
    /// Whether an unfinished one is gone on with.
    pub go_on: bool,
    /// The unfinished task whose tables were not looked at for marks: it must still be unfinished, for else they hold its rows.
    pub seen: Option<u64>,
    /// Commands for the user.
    pub advice: &'a Advice,
}

/// What [`Ledger::open`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing: a new task was started.
    New,
    /// A task that is not finished.
    Unfinished,
}

/// A task in the ledger, for `rlightning ctl -list`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TaskSummary {
    /// Its number.
    pub task: u64,
    /// Its source.
    pub source: String,
    /// When it began, in the server's time.
    pub created: String,
    /// Whether a run of the same source and routes goes on with it.
    pub current: bool,
    /// Data files it knows.
    pub files: u64,
    /// Committed batches.
    pub batches: u64,
    /// Rows in them.
    pub rows: u64,
}

pub(super) async fn open(conn: &mut Conn, asked: &Asked<'_>) -> Result<(Ledger, Found)> {
    let Asked { schema, name, settings, go_on, seen, advice } = *asked;
    let flavor = conn.server().flavor;
    refuse_newer(conn, schema).await?;
    // Another process may start the same task between the look and the insert: then its task is found by the second look.
    for _ in 0..3 {
        let found = if go_on { find(conn, schema, name).await? } else { None };
        let (task, is_open) = found.as_ref().map_or((None, false), |(task, _, ended)| (Some(*task), !ended));
        if seen.is_some_and(|seen| !is_open || task != Some(seen)) {
            return Err(fail(
                codes::INIT_CHECKPOINT,
                "another process has ended this task just now: run again to see which tables hold its rows",
            ));
        }
        match found {
            Some((task, stored, false)) => {
                compare(&stored, settings, advice)?;
                return Ok((Ledger::new(schema, name, task, flavor), Found::Unfinished));
            }
            // Its run was stopped before it could forget it. Since then the target, the source and what is asked for may have changed:
            // its marks tell which tables still hold its rows.
            Some((task, _, true)) => {
                info!(task, "an earlier run was stopped while it ended its task, which is put away now");
                remove(conn, schema, task)
                    .await
                    .context(codes::CLEAN_CHECKPOINT, || "put away a task that has ended".into())?;
            }
            None => {}
        }
        match insert(conn, schema, name, settings, go_on).await {
            Ok(task) => return Ok((Ledger::new(schema, name, task, flavor), Found::New)),
            Err(error) if error.class() == ErrorClass::Duplicate => {}
            Err(error) => {
                return Err(Error::Failed(codes::INIT_CHECKPOINT.wrap("start a task in the ledger", error)));
            }
        }
    }
    Err(fail(codes::INIT_CHECKPOINT, "other processes keep starting and ending this task: run one at a time"))
}

async fn refuse_newer(conn: &mut Conn, schema: &str) -> Result<()> {
    let query =
        format!("SELECT COALESCE(MAX(format), 0) AS format FROM {}", sql::table(schema, "rlightning_task"));
    let row = conn.query_one(&query).await.context(codes::OPEN_CHECKPOINT, || "read the ledger".into())?;
    let found = row.map(|row| number(&row, "format")).transpose()?.unwrap_or(0);
    if found > u64::from(FORMAT) {
        return Err(fail(
            codes::INVALID_CHECKPOINT,
            format!(
                "the ledger in schema `{schema}` has format version {found}, this rlightning knows up to {FORMAT}: use a newer one"
            ),
        ));
    }
    Ok(())
}

async fn find(conn: &mut Conn, schema: &str, name: &TaskName) -> Result<Option<(u64, Settings, bool)>> {
    let query = format!(
        "SELECT task_id, settings, state FROM {} WHERE name = {} AND epoch = 0",
        sql::table(schema, "rlightning_task"),
        quote_string(&name.hash)
    );
    let row = conn.query_one(&query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    let Some(row) = row else { return Ok(None) };
    let settings = serde_json::from_str(&text(&row, "settings")?)
        .context(codes::INVALID_CHECKPOINT, || "the settings of the task in the ledger are damaged".into())?;
    Ok(Some((number(&row, "task_id")?, settings, text(&row, "state")? == "ended")))
}

fn compare(stored: &Settings, now: &Settings, advice: &Advice) -> Result<()> {
    for (key, value) in now {
        let before = stored.get(key).map_or("", String::as_str);
        if before != value {
            return Err(fail(
                codes::INVALID_CHECKPOINT,
                format!(
                    "config '{key}' value '{value}' different from checkpoint value '{before}': rows imported so far were read with the \
                     old one. Set it back, or remove the rows and start anew after {}",
                    advice.remove_all()
                ),
            ));
        }
    }
    Ok(())
}

async fn insert(
    conn: &mut Conn,
    schema: &str,
    name: &TaskName,
    settings: &Settings,
    go_on: bool,
) -> mysql::Result<u64> {
    let task = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    // Without `checkpoint.enable` no later run looks for it.
    let epoch = if go_on { 0 } else { task };
    let statement = format!(
        "INSERT INTO {} (task_id, format, name, epoch, state, source, settings, tool, created) \
         VALUES ({task}, {FORMAT}, {}, {epoch}, 'running', {}, {}, {}, NOW())",
        sql::table(schema, "rlightning_task"),
        quote_string(&name.hash),
        quote_string(&name.source),
        quote_string(&serde_json::to_string(settings).unwrap_or_default()),
        quote_string(concat!("rlightning ", env!("CARGO_PKG_VERSION"))),
    );
    conn.exec(&statement).await?;
    Ok(task)
}

impl Ledger {
    /// First half of a good end: no batch can begin any more, and the rows about files and batches are removed (as
    /// `keep` says). A run that is killed from here on leaves a task that the next run puts away: what is in then, the marks tell.
    ///
    /// # Errors
    /// The server's. Doing it again is fine.
    pub async fn end(&self, conn: &mut Conn, keep: KeepAfterSuccess) -> mysql::Result<()> {
        common::failpoint::hit("ledger-before-end");
        if keep != KeepAfterSuccess::Remove {
            return Ok(());
        }
        let tasks = self.table("rlightning_task");
        // Waits for the shared locks of open batches of other processes.
        conn.exec(format!("UPDATE {tasks} SET state = 'ended' WHERE task_id = {}", self.task)).await?;
        common::failpoint::hit("ledger-ended");
        remove_details(conn, &self.schema, self.task).await
    }

    /// Second half, and the last thing that a run does: the task is forgotten, so that the next run starts a new one. Whoever is
    /// killed before it is done has not forgotten anything, whoever comes after it has said that all is well.
    ///
    /// # Errors
    /// The server's. Doing it again is fine.
    pub async fn forget(&self, conn: &mut Conn, keep: KeepAfterSuccess) -> mysql::Result<()> {
        common::failpoint::hit("ledger-before-remove");
        let tasks = self.table("rlightning_task");
        match keep {
            KeepAfterSuccess::Origin => {}
            KeepAfterSuccess::Rename => {
                let task = self.task;
                conn.exec(format!("UPDATE {tasks} SET epoch = {task} WHERE task_id = {task}")).await?;
            }
            KeepAfterSuccess::Remove => {
                conn.exec(format!("DELETE FROM {tasks} WHERE task_id = {}", self.task)).await?;
            }
        }
        Ok(())
    }
}

async fn remove_details(conn: &mut Conn, schema: &str, task: u64) -> mysql::Result<()> {
    for name in ["rlightning_ledger", "rlightning_file", "rlightning_table"] {
        let table = sql::table(schema, name);
        // In portions: a large task would fill the undo log, and TiDB limits a transaction.
        while conn.exec(format!("DELETE FROM {table} WHERE task_id = {task} LIMIT 20000")).await?.affected > 0
        {
        }
    }
    Ok(())
}

/// Removes a task with everything that belongs to it, finished or not: `rlightning ctl -checkpoint-remove`.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn remove(conn: &mut Conn, schema: &str, task: u64) -> mysql::Result<()> {
    let tasks = sql::table(schema, "rlightning_task");
    conn.exec(format!("UPDATE {tasks} SET state = 'ended' WHERE task_id = {task}")).await?;
    remove_details(conn, schema, task).await?;
    conn.exec(format!("DELETE FROM {tasks} WHERE task_id = {task}")).await?;
    Ok(())
}

/// Whether there is a ledger.
///
/// # Errors
/// The server's.
pub async fn exists(conn: &mut Conn, schema: &str) -> Result<bool> {
    let query = format!(
        "SELECT COUNT(*) AS found FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = 'rlightning_task'",
        quote_string(schema)
    );
    let row =
        conn.query_one(&query).await.context(codes::OPEN_CHECKPOINT, || "look for the ledger".into())?;
    Ok(row.map(|row| number(&row, "found")).transpose()?.unwrap_or(0) > 0)
}

/// Looks whether a run could go on with the task or start it, without writing anything.
///
/// # Errors
/// As [`Ledger::open`].
pub async fn peek(conn: &mut Conn, asked: &Asked<'_>) -> Result<()> {
    let Asked { schema, name, settings, go_on, advice, .. } = *asked;
    if !exists(conn, schema).await? {
        return Ok(());
    }
    refuse_newer(conn, schema).await?;
    match find(conn, schema, name).await? {
        Some((_, stored, false)) if go_on => compare(&stored, settings, advice),
        _ => Ok(()),
    }
}

/// Forgets what was imported into a table, in all unfinished tasks; returns the number of files. The next run imports them from their
/// begin.
///
/// # Errors
/// The server's. Doing it again is fine.
pub async fn remove_table(conn: &mut Conn, schema: &str, table: &TableName) -> mysql::Result<u64> {
    let files = sql::table(schema, "rlightning_file");
    let condition = format!(
        "target_schema = {} AND target_table = {}",
        quote_string(&table.schema),
        quote_string(&table.table)
    );
    let rows = conn.query(format!("SELECT task_id, file FROM {files} WHERE {condition}")).await?;
    let ledger = sql::table(schema, "rlightning_ledger");
    for row in rows.iter() {
        let (task, file) = (row.text("task_id")?, row.text("file")?);
        // Waits for open batches of the file, and lets no other begin.
        conn.exec(format!("UPDATE {files} SET digest = '' WHERE task_id = {task} AND file = {file}")).await?;
        conn.exec(format!("DELETE FROM {ledger} WHERE task_id = {task} AND file = {file}")).await?;
        // Last, because it is how the rest is found.
        conn.exec(format!("DELETE FROM {files} WHERE task_id = {task} AND file = {file}")).await?;
    }
    conn.exec(format!("DELETE FROM {} WHERE {condition}", sql::table(schema, "rlightning_table"))).await?;
    match conn.exec(format!("DELETE FROM {} WHERE {condition}", sql::table(schema, sql::BASE))).await {
        Err(error) if error.class() == ErrorClass::UnknownTable => {}
        other => drop(other?),
    }
    Ok(rows.len() as u64)
}

/// A target table with what a task has brought into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The task.
    pub task: u64,
    /// The table.
    pub table: TableName,
    /// Rows of committed batches.
    pub rows: u64,
}

/// What each task has brought into each of its target tables.
///
/// # Errors
/// The server's.
pub async fn shares(conn: &mut Conn, schema: &str) -> Result<Vec<Share>> {
    let query = format!(
        "SELECT f.task_id, f.target_schema, f.target_table, CAST(COALESCE(SUM(l.row_count), 0) AS UNSIGNED) AS row_count \
         FROM {} f LEFT JOIN {} l ON l.task_id = f.task_id AND l.file = f.file AND l.kind = 1 \
         GROUP BY f.task_id, f.target_schema, f.target_table ORDER BY f.target_schema, f.target_table, f.task_id",
        sql::table(schema, "rlightning_file"),
        sql::table(schema, "rlightning_ledger")
    );
    let rows = conn.query(query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    rows.iter()
        .map(|row| {
            Ok(Share { task: number(row, "task_id")?, table: target(row)?, rows: number(row, "row_count")? })
        })
        .collect()
}

/// A piece of a file with what is committed of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The task.
    pub task: u64,
    /// Where its rows go.
    pub table: TableName,
    /// The file.
    pub path: String,
    /// Bytes of the whole file.
    pub size: u64,
    /// The piece.
    pub piece: Piece,
    /// Where its committed batches end.
    pub pos: u64,
    /// Rows in them.
    pub rows: u64,
}

/// All pieces of all unfinished tasks, in order.
///
/// # Errors
/// The server's.
pub async fn chunks(conn: &mut Conn, schema: &str) -> Result<Vec<Chunk>> {
    let (files, ledger) = (sql::table(schema, "rlightning_file"), sql::table(schema, "rlightning_ledger"));
    let query = format!(
        "SELECT f.task_id, f.target_schema, f.target_table, f.path, f.size, c.begin_at, c.end_at, \
         COALESCE(MAX(b.end_at), c.begin_at) AS pos, CAST(COALESCE(SUM(b.row_count), 0) AS UNSIGNED) AS row_count \
         FROM {files} f JOIN {ledger} c ON c.task_id = f.task_id AND c.file = f.file AND c.kind = 0 \
         LEFT JOIN {ledger} b ON b.task_id = f.task_id AND b.file = f.file AND b.kind = 1 \
         AND b.begin_at >= c.begin_at AND b.begin_at < c.end_at \
         GROUP BY f.task_id, f.target_schema, f.target_table, f.path, f.size, c.begin_at, c.end_at \
         ORDER BY f.task_id, f.target_schema, f.target_table, f.path, c.begin_at"
    );
    let rows = conn.query(query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    rows.iter()
        .map(|row| {
            Ok(Chunk {
                task: number(row, "task_id")?,
                table: target(row)?,
                path: text(row, "path")?,
                size: number(row, "size")?,
                piece: Piece { begin: number(row, "begin_at")?, end: number(row, "end_at")?, head_at: None },
                pos: number(row, "pos")?,
                rows: number(row, "row_count")?,
            })
        })
        .collect()
}

/// The task that a run of this name would go on with: its number, whether its rows are all in, and the target tables that files of it
/// go to.
///
/// # Errors
/// The server's.
pub async fn current(
    conn: &mut Conn,
    schema: &str,
    name: &TaskName,
) -> Result<Option<(u64, bool, BTreeSet<TableName>)>> {
    let Some((task, _, ended)) = find(conn, schema, name).await? else { return Ok(None) };
    let files = sql::table(schema, "rlightning_file");
    let query = format!("SELECT DISTINCT target_schema, target_table FROM {files} WHERE task_id = {task}");
    let rows = conn.query(query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    let tables = rows.iter().map(target).collect::<Result<_>>()?;
    Ok(Some((task, ended, tables)))
}

pub(super) fn target(row: &Row) -> Result<TableName> {
    Ok(TableName::new(text(row, "target_schema")?, text(row, "target_table")?))
}

/// Target tables of all tasks and of all that was imported.
///
/// # Errors
/// The server's.
pub async fn known_tables(conn: &mut Conn, schema: &str) -> Result<Vec<TableName>> {
    let mut found = BTreeSet::new();
    let mut tables = vec!["rlightning_table"];
    if super::marks::exist(conn, schema).await? {
        tables.push(sql::MARKS);
    }
    for name in tables {
        let table = sql::table(schema, name);
        let rows = conn
            .query(format!("SELECT DISTINCT target_schema, target_table FROM {table}"))
            .await
            .context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
        for row in rows.iter() {
            found.insert(target(row)?);
        }
    }
    Ok(found.into_iter().collect())
}

/// Takes a table as it is now for the one that was written to. `false`: no task knows it.
///
/// # Errors
/// The server's.
pub async fn accept_table(
    conn: &mut Conn,
    schema: &str,
    table: &TableName,
    identity: &str,
) -> mysql::Result<bool> {
    let condition = format!(
        "target_schema = {} AND target_table = {}",
        quote_string(&table.schema),
        quote_string(&table.table)
    );
    let mut known = false;
    for name in ["rlightning_table", sql::MARKS] {
        let records = sql::table(schema, name);
        let row = conn.query_one(format!("SELECT 1 AS one FROM {records} WHERE {condition} LIMIT 1")).await;
        known |= match row {
            Ok(row) => row.is_some(),
            // A ledger of an older version.
            Err(error) if error.class() == ErrorClass::UnknownTable && name == sql::MARKS => continue,
            Err(error) => return Err(error),
        };
        conn.exec(format!("UPDATE {records} SET identity = {} WHERE {condition}", quote_string(identity)))
            .await?;
    }
    Ok(known)
}

/// Forgets what a task's row notes under this key.
///
/// # Errors
/// The server's.
pub async fn forget_note(conn: &mut Conn, schema: &str, task: u64, key: &str) -> mysql::Result<()> {
    let name = TaskName { source: String::new(), hash: String::new() };
    Ledger::new(schema, &name, task, conn.server().flavor).note(conn, key, None).await
}

/// All tasks, the newest last.
///
/// # Errors
/// The server's; a newer format.
pub async fn list(conn: &mut Conn, schema: &str) -> Result<Vec<TaskSummary>> {
    refuse_newer(conn, schema).await?;
    let query = format!(
        "SELECT t.task_id, t.source, t.created, t.epoch, \
         (SELECT COUNT(*) FROM {files} f WHERE f.task_id = t.task_id) AS files, \
         (SELECT COUNT(*) FROM {ledger} l WHERE l.task_id = t.task_id AND l.kind = 1) AS batches, \
         (SELECT CAST(COALESCE(SUM(l.row_count), 0) AS UNSIGNED) FROM {ledger} l WHERE l.task_id = t.task_id AND l.kind = 1) AS row_count \
         FROM {tasks} t ORDER BY t.task_id",
        files = sql::table(schema, "rlightning_file"),
        ledger = sql::table(schema, "rlightning_ledger"),
        tasks = sql::table(schema, "rlightning_task"),
    );
    let rows = conn.query(&query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    rows.iter()
        .map(|row| {
            Ok(TaskSummary {
                task: number(row, "task_id")?,
                source: text(row, "source")?,
                created: text(row, "created")?,
                current: number(row, "epoch")? == 0,
                files: number(row, "files")?,
                batches: number(row, "batches")?,
                rows: number(row, "row_count")?,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_hangs_on_source_and_routes_and_on_nothing_else() {
        let name = TaskName::new("/a", "[]");
        assert_eq!(name, TaskName::new("/a", "[]"));
        assert_ne!(name.hash, TaskName::new("/b", "[]").hash);
        assert_ne!(name.hash, TaskName::new("/a", "[1]").hash);
        assert_ne!(TaskName::new("a", "bc").hash, TaskName::new("ab", "c").hash);
        assert_eq!(name.hash.len(), 64);
    }

    #[test]
    fn a_changed_setting_is_named() {
        let old: Settings = [("conflict.strategy".to_owned(), "error".to_owned())].into();
        let new: Settings = [("conflict.strategy".to_owned(), "replace".to_owned())].into();
        let advice = Advice::new(&crate::cli::Flags::default());
        compare(&old, &old, &advice).unwrap();
        let error = compare(&old, &new, &advice).unwrap_err().to_string();
        assert!(error.contains("config 'conflict.strategy' value 'replace'"), "{error}");
    }
}
