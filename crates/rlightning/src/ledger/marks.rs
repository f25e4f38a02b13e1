//! What was imported, and outlives its task: so that the same source does not get into the same table a second time unasked.

use std::collections::{BTreeMap, HashMap};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::{Conn, ErrorClass, Row};

use super::{FileRecord, Ledger, TaskName, number, sql, text};
use crate::error::{Context, Result};

/// A finished table of one source.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Mark {
    /// The target table.
    #[serde(serialize_with = "quoted")]
    pub table: TableName,
    /// Where its rows came from.
    pub source: String,
    /// Its identity when its rows were in.
    pub identity: String,
    /// Hash over paths, sizes and ends of its files.
    pub digest: String,
    /// When the newest of its files was changed, nanoseconds since 1970.
    pub modified: u64,
    /// Hash over the checksums of whole files; empty where they are not known.
    pub content: String,
    /// Rows that came from the source.
    pub rows: u64,
    /// When it was finished, in the server's time.
    pub finished: String,
}

fn quoted<S: serde::Serializer>(table: &TableName, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&table.quoted())
}

/// What the batches of a file cover.
#[derive(Debug, Clone, Copy)]
pub struct Covered {
    /// Checksum, if it is text.
    pub text: u32,
    /// Checksum, if it is Parquet.
    pub rows: u32,
    /// Bytes, or rows.
    pub length: u64,
}

/// Hash over what is written down of a table's files, and the time of the newest.
pub fn digest<'a>(files: impl IntoIterator<Item = &'a FileRecord>) -> (String, u64) {
    let mut parts: Vec<(&str, u64, &str)> = Vec::new();
    let mut newest = 0;
    for file in files {
        parts.push((&file.path, file.size, &file.digest));
        newest = newest.max(file.modified);
    }
    parts.sort_unstable();
    let text: String =
        parts.iter().map(|(path, size, digest)| format!("{path}\0{size}\0{digest}\n")).collect();
    (blake3::hash(text.as_bytes()).to_hex().to_string(), newest)
}

/// Hash over the checksums of whole files, by path.
pub fn content(checksums: &BTreeMap<&str, u32>) -> String {
    let text: String = checksums.iter().map(|(path, sum)| format!("{path}\0{sum:08x}\n")).collect();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Whether the ledger has a table of marks; one of an older version has not.
pub(super) async fn exist(conn: &mut Conn, schema: &str) -> Result<bool> {
    let query = format!(
        "SELECT 1 AS one FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = '{}'",
        quote_string(schema),
        sql::MARKS
    );
    let row = conn.query_one(query).await.context(codes::OPEN_CHECKPOINT, || "look for the ledger".into())?;
    Ok(row.is_some())
}

/// The marks of a task's name, or all.
///
/// # Errors
/// The server's.
pub async fn marks(conn: &mut Conn, schema: &str, name: Option<&TaskName>) -> Result<Vec<Mark>> {
    if !exist(conn, schema).await? {
        return Ok(Vec::new());
    }
    let condition =
        name.map_or_else(String::new, |name| format!("WHERE name = {}", quote_string(&name.hash)));
    let query = format!(
        "SELECT target_schema, target_table, source, identity, digest, modified, content, row_count, finished FROM {} {condition} \
         ORDER BY finished, target_schema, target_table",
        sql::table(schema, sql::MARKS)
    );
    let rows = conn.query(query).await.context(codes::READ_CHECKPOINT, || "read the ledger".into())?;
    rows.iter().map(mark).collect()
}

fn mark(row: &Row) -> Result<Mark> {
    Ok(Mark {
        table: TableName::new(text(row, "target_schema")?, text(row, "target_table")?),
        source: text(row, "source")?,
        identity: text(row, "identity")?,
        digest: text(row, "digest")?,
        modified: number(row, "modified")?,
        content: text(row, "content")?,
        rows: number(row, "row_count")?,
        finished: text(row, "finished")?,
    })
}

/// Removes marks: those of a target table, or those of a source, or (both `None`) all. Returns how many there were.
///
/// # Errors
/// The server's.
pub async fn forget_marks(
    conn: &mut Conn,
    schema: &str,
    table: Option<&TableName>,
    source: Option<&str>,
) -> mysql::Result<u64> {
    let mut condition = "TRUE".to_owned();
    if let Some(table) = table {
        condition.push_str(&format!(
            " AND target_schema = {} AND target_table = {}",
            quote_string(&table.schema),
            quote_string(&table.table)
        ));
    }
    if let Some(source) = source {
        condition.push_str(&format!(" AND source = {}", quote_string(source)));
    }
    match conn.exec(format!("DELETE FROM {} WHERE {condition}", sql::table(schema, sql::MARKS))).await {
        Ok(outcome) => Ok(outcome.affected),
        Err(error) if error.class() == ErrorClass::UnknownTable => Ok(0),
        Err(error) => Err(error),
    }
}

impl Ledger {
    /// Writes marks down, before the end of the task.
    ///
    /// # Errors
    /// The server's. Doing it again is fine.
    pub async fn write_marks(&self, conn: &mut Conn, marks: &[Mark]) -> mysql::Result<()> {
        for group in marks.chunks(200) {
            let rows: Vec<String> = group
                .iter()
                .map(|mark| {
                    let texts = [
                        &self.name.hash,
                        &mark.table.schema,
                        &mark.table.table,
                        &self.name.source,
                        &mark.identity,
                        &mark.digest,
                    ]
                    .map(|text| quote_string(text));
                    format!(
                        "({},{},{},{},NOW())",
                        texts.join(","),
                        mark.modified,
                        quote_string(&mark.content),
                        mark.rows
                    )
                })
                .collect();
            conn.exec(format!(
                "REPLACE INTO {} (name, target_schema, target_table, source, identity, digest, modified, content, row_count, finished) \
                 VALUES {}",
                self.table(sql::MARKS),
                rows.join(",")
            ))
            .await?;
        }
        Ok(())
    }

    /// Checksums and length (unpacked, or in rows) of what the batches of each file cover from its beginning on without a gap.
    ///
    /// # Errors
    /// The server's.
    pub async fn file_checksums(&self, conn: &mut Conn) -> mysql::Result<HashMap<u64, Covered>> {
        let query = format!(
            "SELECT file, begin_at, end_at, checksum FROM {} WHERE task_id = {} AND kind = 1 ORDER BY file, begin_at",
            self.table("rlightning_ledger"),
            self.task
        );
        let mut sums: HashMap<u64, (crc32fast::Hasher, u32, u64)> = HashMap::new();
        let null = || mysql::Error::value("a column of the ledger is NULL");
        for row in conn.query(&query).await?.iter() {
            let value = |column| row.parse::<u64>(column).and_then(|value| value.ok_or_else(null));
            let (begin, end) = (value("begin_at")?, value("end_at")?);
            let (sum, rows, reached) =
                sums.entry(value("file")?).or_insert_with(|| (crc32fast::Hasher::new(), 0, 0));
            if *reached == begin {
                let part = u32::try_from(value("checksum")?).unwrap_or_default();
                sum.combine(&crc32fast::Hasher::new_with_initial_len(part, end - begin));
                *rows = rows.wrapping_add(part);
                *reached = end;
            } else {
                *reached = u64::MAX;
            }
        }
        Ok(sums
            .into_iter()
            .filter(|(_, (.., length))| *length != u64::MAX)
            .map(|(file, (text, rows, length))| (file, Covered { text: text.finalize(), rows, length }))
            .collect())
    }
}
