//! The record of what is imported, in the target itself, so that a batch and its record are one transaction.
//!
//! # Tables, in the schema `task-info-schema-name`
//! * `rlightning_task`: a task with its name (source and routes), settings that must not change, and format version;
//! * `rlightning_table`: the identity of each target table when the task first came to it;
//! * `rlightning_file`: each data file with size, time and a hash of its ends;
//! * `rlightning_index`: indexes that a target table is to get when its rows are in (see [`crate::indexes`]);
//! * `rlightning_base`: what target tables held before the last import of a source, for `--verify`; it outlives the task;
//! * `rlightning_done`: what was imported, one row for each source and target table; it outlives the task;
//! * `rlightning_ledger`: insert-only rows `(task, file, kind, begin; end, rows, checksum, head)`. Kind 0 is a cut: the piece
//!   `begin..end` of a file. Kind 1 is a batch: the bytes `begin..end` are in the target.
//!
//! # Invariants
//! 1. The cuts of a file are committed, all at once, before its first batch. They are changed only together with the file's row, when
//!    the file is another one now and no batch of the old one is in.
//! 2. A batch lies in one piece. In each piece batches follow one another without gaps from its begin on.
//! 3. A process has at most one open transaction per piece. It begins with the insert of the batch's ledger row, at the end of the
//!    last committed batch. So whoever else works on the piece, a dead run whose COMMIT is still on its way included, inserts the
//!    same key: the second one waits, and then gets a duplicate, which proves that the batch is in.
//! 4. The insert reads the rows of the task and of the file under a shared lock and inserts nothing unless the task is `running` and the
//!    file is the one that was read; whoever ends the task, or takes another file for the old one, locks them first. So no batch of a
//!    forgotten process gets in after that.
//! 5. Offsets count unpacked bytes, in Parquet files rows. A batch ends behind a row; `head` is the offset of the INSERT that the row
//!    belongs to.

mod deferred;
mod marks;
mod sql;
mod task;

use std::collections::HashMap;

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::{Conn, ErrorClass, Flavor, Row};

use crate::error::{Context, Result, fail};

pub use deferred::{Deferred, deferred, forget_deferred, note_identity, settle};
pub use marks::{Covered, Mark, content, digest, forget_marks, marks};
pub use sql::{DEFERRED, MARKS, SCHEMA_TABLES};
pub use task::{
    Asked, Chunk, Found, Settings, Share, TaskName, TaskSummary, accept_table, chunks, current, exists,
    forget_note, known_tables, list, peek, remove, remove_table, shares,
};

/// Version of the tables; a newer one is refused.
pub const FORMAT: u32 = 1;

/// The part of a file that is loaded in sequence over one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First byte.
    pub begin: u64,
    /// One past the last byte; `u64::MAX`: to the end of a packed file, whose length is not known.
    pub end: u64,
    /// `begin` is inside the statement whose head begins here.
    pub head_at: Option<u64>,
}

/// A committed batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// First byte.
    pub begin: u64,
    /// One past the last byte.
    pub end: u64,
    /// Rows sent to the target.
    pub rows: u64,
    /// CRC-32 of the bytes.
    pub checksum: u64,
    /// `end` is inside the statement whose head begins here.
    pub head_at: Option<u64>,
}

/// A data file as the task knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Number in the ledger: a hash of the path.
    pub id: u64,
    /// Path relative to the source folder.
    pub path: String,
    /// Where its rows go.
    pub target: TableName,
    /// Bytes on the storage.
    pub size: u64,
    /// Last change, nanoseconds since 1970; 0 where the storage does not tell.
    pub modified: u64,
    /// Hash of the first and last bytes.
    pub digest: String,
}

/// What the ledger knows of a file.
#[derive(Debug, Clone, Default)]
pub struct FileState {
    /// Its pieces in order.
    pub pieces: Vec<Piece>,
    /// Committed batches in order.
    pub done: Vec<Done>,
}

/// Identity of a target table, see [`crate::downstream::identity`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableRecord {
    /// The table.
    pub table: TableName,
    /// What tells it from one that was created later under the same name.
    pub identity: String,
}

/// The table of what target tables held before the import, as statements name it.
pub fn name_of_base(schema: &str) -> String {
    sql::table(schema, sql::BASE)
}

/// The number of a file in the ledger.
pub fn file_id(path: &str) -> u64 {
    let hash = blake3::hash(path.as_bytes());
    hash.as_bytes().first_chunk().map_or(0, |first| u64::from_le_bytes(*first))
}

/// The ledger of one task.
#[derive(Debug, Clone)]
pub struct Ledger {
    schema: String,
    name: TaskName,
    task: u64,
    flavor: Flavor,
}

fn number(row: &Row, column: &str) -> Result<u64> {
    row.parse::<u64>(column)
        .and_then(|value| value.ok_or_else(|| mysql::Error::value(format!("column {column} is NULL"))))
        .context(codes::READ_CHECKPOINT, || "read the ledger".into())
}

fn text(row: &Row, column: &str) -> Result<String> {
    row.text(column).context(codes::READ_CHECKPOINT, || "read the ledger".into())
}

impl Ledger {
    /// The ledger of a task that is open, see [`task::open`].
    fn new(schema: &str, name: &TaskName, task: u64, flavor: Flavor) -> Self {
        Self { schema: schema.to_owned(), name: name.clone(), task, flavor }
    }

    /// Creates schema and tables where they are missing, and finds the task or starts a new one.
    ///
    /// # Errors
    /// A newer format; settings that changed; the server's errors.
    pub async fn open(conn: &mut Conn, asked: &Asked<'_>) -> Result<(Ledger, Found)> {
        sql::create(conn, asked.schema).await?;
        task::open(conn, asked).await
    }

    /// The task's number.
    pub fn task(&self) -> u64 {
        self.task
    }

    /// Source and routes as a hash.
    pub fn name_hash(&self) -> &str {
        &self.name.hash
    }

    fn table(&self, name: &str) -> String {
        sql::table(&self.schema, name)
    }

    /// The files that the task knows.
    ///
    /// # Errors
    /// The server's.
    pub async fn files(&self, conn: &mut Conn) -> Result<HashMap<u64, FileRecord>> {
        let query = format!(
            "SELECT file, path, target_schema, target_table, size, modified, digest FROM {} WHERE task_id = {}",
            self.table("rlightning_file"),
            self.task
        );
        let rows = conn.query(&query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
        rows.iter()
            .map(|row| {
                let record = FileRecord {
                    id: number(row, "file")?,
                    path: text(row, "path")?,
                    target: TableName::new(text(row, "target_schema")?, text(row, "target_table")?),
                    size: number(row, "size")?,
                    modified: number(row, "modified")?,
                    digest: text(row, "digest")?,
                };
                Ok((record.id, record))
            })
            .collect()
    }

    /// Writes down new files, and the single piece of those that are not cut. One transaction per some hundred files.
    ///
    /// # Errors
    /// The server's; a file that another process of this task wrote down meanwhile with other properties.
    pub async fn add_files(&self, conn: &mut Conn, files: &[(FileRecord, Option<Piece>)]) -> Result<()> {
        for group in files.chunks(200) {
            let records =
                group.iter().map(|(file, _)| sql::file_row(self.task, file)).collect::<Vec<_>>().join(",");
            let mut statements = vec![format!(
                "INSERT INTO {} {} VALUES {records}",
                self.table("rlightning_file"),
                sql::FILE_COLUMNS
            )];
            let cuts: Vec<String> = group
                .iter()
                .filter_map(|(file, piece)| piece.map(|piece| sql::cut_row(self.task, file.id, &piece)))
                .collect();
            if !cuts.is_empty() {
                statements.push(self.insert_rows(&cuts));
            }
            self.write(conn, &statements).await.map_err(|error| explain_race(error, "files"))?;
            common::failpoint::hit("ledger-files-committed");
        }
        Ok(())
    }

    /// Takes a file as it is now for the one that was written down, with other cuts, if no batch of that one is in. `false`: some is.
    ///
    /// # Errors
    /// The server's; afterwards nothing is changed, unless the outcome is unknown. Doing it again is fine.
    pub async fn replace_file(
        &self,
        conn: &mut Conn,
        file: &FileRecord,
        piece: Option<&Piece>,
    ) -> mysql::Result<bool> {
        let (files, ledger) = (self.table("rlightning_file"), self.table("rlightning_ledger"));
        let this = format!("task_id = {} AND file = {}", self.task, file.id);
        conn.exec("START TRANSACTION").await?;
        // Waits for batches whose COMMIT is still on its way, and keeps others out.
        conn.query(format!("SELECT file FROM {files} WHERE {this} FOR UPDATE")).await?;
        let batches = conn
            .query(format!("SELECT begin_at FROM {ledger} WHERE {this} AND kind = 1 LIMIT 1 FOR UPDATE"))
            .await?;
        if !batches.is_empty() {
            conn.exec("ROLLBACK").await?;
            return Ok(false);
        }
        conn.exec(format!("DELETE FROM {ledger} WHERE {this}")).await?;
        conn.exec(format!("DELETE FROM {files} WHERE {this}")).await?;
        let row = sql::file_row(self.task, file);
        conn.exec(format!("INSERT INTO {files} {} VALUES {row}", sql::FILE_COLUMNS)).await?;
        if let Some(piece) = piece {
            conn.exec(&self.insert_rows(&[sql::cut_row(self.task, file.id, piece)])).await?;
        }
        conn.exec("COMMIT").await?;
        common::failpoint::hit("ledger-file-replaced");
        Ok(true)
    }

    /// Commits the cuts of a file.
    ///
    /// # Errors
    /// [`ErrorClass::Duplicate`] when another process has cut it: read them; else the server's.
    pub async fn add_cuts(&self, conn: &mut Conn, file: u64, pieces: &[Piece]) -> mysql::Result<()> {
        let mut statements = Vec::new();
        for group in pieces.chunks(500) {
            let rows: Vec<String> = group.iter().map(|piece| sql::cut_row(self.task, file, piece)).collect();
            statements.push(self.insert_rows(&rows));
        }
        self.write(conn, &statements).await?;
        common::failpoint::hit("ledger-cuts-committed");
        Ok(())
    }

    fn insert_rows(&self, rows: &[String]) -> String {
        format!(
            "INSERT INTO {} {} VALUES {}",
            self.table("rlightning_ledger"),
            sql::LEDGER_COLUMNS,
            rows.join(",")
        )
    }

    /// Several statements as one transaction; after an error nothing of them is in, unless the outcome is unknown.
    async fn write(&self, conn: &mut Conn, statements: &[String]) -> mysql::Result<()> {
        conn.exec("START TRANSACTION").await?;
        for statement in statements {
            if let Err(error) = conn.exec(statement).await {
                if !error.is_connection_gone() {
                    conn.exec("ROLLBACK").await?;
                }
                return Err(error);
            }
        }
        conn.exec("COMMIT").await?;
        Ok(())
    }

    /// Cuts and batches of a file.
    ///
    /// # Errors
    /// The server's; batches that do not follow one another (the ledger was changed by hand).
    pub async fn state(&self, conn: &mut Conn, file: u64) -> mysql::Result<FileState> {
        let query = format!(
            "SELECT kind, begin_at, end_at, row_count, checksum, head_at FROM {} \
             WHERE task_id = {} AND file = {file} ORDER BY kind, begin_at",
            self.table("rlightning_ledger"),
            self.task
        );
        let mut state = FileState::default();
        let null = || mysql::Error::value("a column of the ledger is NULL");
        for row in conn.query(&query).await?.iter() {
            let value = |column| row.parse::<u64>(column).and_then(|value| value.ok_or_else(null));
            let (begin, end) = (value("begin_at")?, value("end_at")?);
            let head_at = row.parse::<u64>("head_at")?;
            if value("kind")? == 0 {
                state.pieces.push(Piece { begin, end, head_at });
            } else {
                let (rows, checksum) = (value("row_count")?, value("checksum")?);
                state.done.push(Done { begin, end, rows, checksum, head_at });
            }
        }
        Ok(state)
    }

    /// The statement that comes first in a batch's transaction. It changes one row, or none if the task has ended or the file is not
    /// the one that was written down.
    pub fn batch_statement(&self, file: &FileRecord, done: &Done) -> String {
        // TiDB refuses the locking clause (and does not lock what INSERT … SELECT reads).
        let lock = if self.flavor == Flavor::TiDb { "" } else { " LOCK IN SHARE MODE" };
        format!(
            "INSERT INTO {ledger} {columns} SELECT t.task_id,f.file,1,{begin},{end},{rows},{checksum},{head} FROM {tasks} t \
             JOIN {files} f ON f.task_id=t.task_id WHERE t.task_id={task} AND t.state='running' AND f.file={file} \
             AND f.size={size} AND f.modified={modified} AND f.digest='{digest}'{lock}",
            ledger = self.table("rlightning_ledger"),
            columns = sql::LEDGER_COLUMNS,
            begin = done.begin,
            end = done.end,
            rows = done.rows,
            checksum = done.checksum,
            head = sql::or_null(done.head_at),
            tasks = self.table("rlightning_task"),
            files = self.table("rlightning_file"),
            task = self.task,
            file = file.id,
            size = file.size,
            modified = file.modified,
            digest = file.digest,
        )
    }

    /// The statement that corrects the number of rows of a batch, in its own transaction: some were left out.
    pub fn rows_statement(&self, file: u64, begin: u64, rows: u64) -> String {
        format!(
            "UPDATE {} SET row_count = {rows} WHERE task_id = {} AND file = {file} AND kind = 1 AND begin_at = {begin}",
            self.table("rlightning_ledger"),
            self.task
        )
    }

    /// Rows committed so far by target table, for the tables that have any.
    ///
    /// # Errors
    /// The server's.
    pub async fn rows_by_table(&self, conn: &mut Conn) -> Result<HashMap<TableName, u64>> {
        let query = format!(
            "SELECT f.target_schema, f.target_table, CAST(SUM(l.row_count) AS UNSIGNED) AS row_count FROM {} l JOIN {} f \
             ON f.task_id = l.task_id AND f.file = l.file WHERE l.task_id = {} AND l.kind = 1 \
             GROUP BY f.target_schema, f.target_table",
            self.table("rlightning_ledger"),
            self.table("rlightning_file"),
            self.task
        );
        let rows = conn.query(&query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
        rows.iter()
            .map(|row| {
                let table = TableName::new(text(row, "target_schema")?, text(row, "target_table")?);
                Ok((table, number(row, "row_count")?))
            })
            .collect()
    }

    /// What the task's row notes beside the settings.
    ///
    /// # Errors
    /// The server's.
    pub async fn noted(&self, conn: &mut Conn, key: &str) -> Result<Option<String>> {
        let doing = || "read the ledger".to_owned();
        let settings = self.settings(conn, "").await.context(codes::READ_CHECKPOINT, doing)?;
        Ok(settings.get(key).cloned())
    }

    async fn settings(&self, conn: &mut Conn, lock: &str) -> mysql::Result<Settings> {
        let (tasks, task) = (self.table("rlightning_task"), self.task);
        let row =
            conn.query_one(format!("SELECT settings FROM {tasks} WHERE task_id = {task}{lock}")).await?;
        let row = row.ok_or_else(|| mysql::Error::value("the task is not in the ledger any more"))?;
        serde_json::from_str(&row.text(0)?).map_err(|error| {
            mysql::Error::value(format!("the settings of the task in the ledger are damaged: {error}"))
        })
    }

    /// Notes something in the task's row, or forgets it. It waits for batches that are open, and in a transaction no other one begins before
    /// its end.
    ///
    /// # Errors
    /// The server's.
    pub async fn note(&self, conn: &mut Conn, key: &str, value: Option<&str>) -> mysql::Result<()> {
        let mut settings = self.settings(conn, " FOR UPDATE").await?;
        match value {
            Some(value) => settings.insert(key.to_owned(), value.to_owned()),
            None => settings.remove(key),
        };
        let text = serde_json::to_string(&settings).unwrap_or_default();
        let (tasks, task) = (self.table("rlightning_task"), self.task);
        conn.exec(format!("UPDATE {tasks} SET settings = {} WHERE task_id = {task}", quote_string(&text)))
            .await?;
        Ok(())
    }

    /// Replaces what is known of a file, of which no batch is in; in the transaction that is open.
    ///
    /// # Errors
    /// The server's.
    pub async fn set_state(
        &self,
        conn: &mut Conn,
        file: u64,
        pieces: &[Piece],
        done: &[Done],
    ) -> mysql::Result<()> {
        let (ledger, task) = (self.table("rlightning_ledger"), self.task);
        conn.exec(format!("DELETE FROM {ledger} WHERE task_id = {task} AND file = {file}")).await?;
        let batches = done.iter().map(|done| {
            let head = sql::or_null(done.head_at);
            format!("({task},{file},1,{},{},{},{},{head})", done.begin, done.end, done.rows, done.checksum)
        });
        let rows: Vec<String> =
            pieces.iter().map(|piece| sql::cut_row(task, file, piece)).chain(batches).collect();
        for group in rows.chunks(500) {
            conn.exec(&self.insert_rows(group)).await?;
        }
        Ok(())
    }

    /// Identities of the target tables that were written down.
    ///
    /// # Errors
    /// The server's.
    pub async fn tables(&self, conn: &mut Conn) -> Result<Vec<TableRecord>> {
        let query = format!(
            "SELECT target_schema, target_table, identity FROM {} WHERE task_id = {}",
            self.table("rlightning_table"),
            self.task
        );
        let rows = conn.query(&query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
        rows.iter()
            .map(|row| {
                Ok(TableRecord {
                    table: TableName::new(text(row, "target_schema")?, text(row, "target_table")?),
                    identity: text(row, "identity")?,
                })
            })
            .collect()
    }

    /// Writes down identities, of tables that were looked at and found to be what they were, or to hold no batch: before the first
    /// batch of their tables.
    ///
    /// # Errors
    /// The server's.
    pub async fn add_tables(&self, conn: &mut Conn, tables: &[TableRecord]) -> Result<()> {
        for group in tables.chunks(200) {
            let rows =
                group.iter().map(|record| sql::table_row(self.task, record)).collect::<Vec<_>>().join(",");
            let statement = format!(
                "INSERT INTO {} (task_id, target_schema, target_table, identity) VALUES {rows} \
                 ON DUPLICATE KEY UPDATE identity = VALUES(identity)",
                self.table("rlightning_table")
            );
            conn.exec(&statement).await.context(codes::UPDATE_CHECKPOINT, || "write the ledger".into())?;
        }
        Ok(())
    }
}

fn explain_race(error: mysql::Error, what: &str) -> crate::error::Error {
    if error.class() == ErrorClass::Duplicate {
        return fail(
            codes::UPDATE_CHECKPOINT,
            format!(
                "another process has begun this task at the same moment and wrote down its {what}: run again ({error})"
            ),
        );
    }
    crate::error::Error::Failed(codes::UPDATE_CHECKPOINT.wrap("write the ledger", error))
}
