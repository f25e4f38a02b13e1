//! `rdump verify`: a folder against its manifest, and against the server.
//!
//! Against the manifest: every file is there, whole and unchanged (bytes and BLAKE3 of the content before compression), no
//! other dump file lies beside them, and the counts of files, chunks, tables and dump agree. Against the server: each chunk is
//! read again by its range and turned into the same files, which are not kept; their rows and hashes must be those of the
//! manifest. So it shows the dump's rows only as long as nobody has changed them since.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use common::dumpfile::{self, Compression, MANIFEST, METADATA};
use common::ident::TableName;
use common::manifest::{ChunkLine, FileLine, Manifest};
use common::storage::{NoopStorage, RangeReader, Storage};
use mysql::wire::WireConn;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::config::{Config, Consistency, is_fingerprint};
use crate::consistency;
use crate::data::{Chunk, Reader, Shared, TableJob};
use crate::error::{DumpError, Result};
use crate::gentle::Gate;
use crate::metrics::Metrics;
use crate::planner;
use crate::queue::Running;
use crate::source::Source;
use crate::table;

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    /// Data files looked at.
    pub files: u64,
    /// Their rows.
    pub rows: u64,
    /// A sentence for everything that is wrong.
    pub problems: Vec<String>,
}

/// Reads the manifest of a finished dump.
///
/// # Errors
/// There is none, or the dump is not finished.
pub async fn manifest(storage: &dyn Storage) -> Result<Manifest> {
    let uri = storage.uri().to_owned();
    let wrong = |what: String| DumpError::Folder(format!("{uri}: {what}"));
    if !storage.exists(MANIFEST).await? {
        return Err(wrong(format!("there is no {MANIFEST}, so it is no dump of rdump")));
    }
    let manifest =
        Manifest::from_bytes(&storage.read(MANIFEST).await?).map_err(|error| wrong(error.to_string()))?;
    if manifest.end.is_none() || !storage.exists(METADATA).await? {
        return Err(wrong("the dump is unfinished: run it again, or go on with --resume".into()));
    }
    Ok(manifest)
}

/// Checks the folder.
///
/// # Errors
/// The storage's.
pub async fn folder(storage: &Arc<dyn Storage>, manifest: &Manifest, threads: usize) -> Result<Findings> {
    let mut findings = Findings {
        files: manifest.files.len() as u64,
        rows: manifest.files.iter().map(|file| file.rows).sum(),
        problems: counts(manifest),
    };
    let there: BTreeSet<String> = storage.walk().await?.into_iter().map(|entry| entry.name).collect();
    let data = manifest.files.iter().map(|file| (file.name.clone(), file.bytes, file.blake3.clone()));
    let schemas = manifest.schemas.iter().map(|file| (file.name.clone(), file.bytes, file.blake3.clone()));
    let known: Vec<(String, u64, String)> = data.chain(schemas).collect();
    let names: BTreeSet<&String> = known.iter().map(|(name, ..)| name).collect();
    for name in
        there.iter().filter(|name| !names.contains(name) && !matches!(dumpfile::parse(name), Ok(None)))
    {
        findings.problems.push(format!("{name}: it is not in the manifest, but an import would read it"));
    }
    let mut tasks = JoinSet::new();
    for (name, bytes, hash) in known {
        if !there.contains(&name) {
            findings.problems.push(format!("{name}: the file is missing"));
            continue;
        }
        if tasks.len() >= threads
            && let Some(checked) = tasks.join_next().await
        {
            findings.problems.extend(checked.map_err(|error| DumpError::Internal(error.to_string()))??);
        }
        let reader = storage.open(&name).await?;
        tasks.spawn_blocking(move || content(&name, reader.as_ref(), bytes, &hash));
    }
    while let Some(checked) = tasks.join_next().await {
        findings.problems.extend(checked.map_err(|error| DumpError::Internal(error.to_string()))??);
    }
    findings.problems.sort();
    Ok(findings)
}

/// Rows of files, chunks, tables and of the dump.
fn counts(manifest: &Manifest) -> Vec<String> {
    let mut problems = Vec::new();
    let mut by_chunk: BTreeMap<(&str, &str, u64), u64> = BTreeMap::new();
    for file in &manifest.files {
        *by_chunk.entry((&file.schema, &file.table, file.chunk.unwrap_or(0))).or_default() += file.rows;
    }
    let mut by_table: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for chunk in &manifest.chunks {
        *by_table.entry((&chunk.schema, &chunk.table)).or_default() += chunk.rows;
        let files =
            by_chunk.get(&(chunk.schema.as_str(), chunk.table.as_str(), chunk.chunk)).copied().unwrap_or(0);
        if files != chunk.rows {
            let name = TableName::new(chunk.schema.clone(), chunk.table.clone());
            problems.push(format!(
                "table {name} chunk {}: {} rows were read, its files hold {files}",
                chunk.chunk, chunk.rows
            ));
        }
    }
    for table in &manifest.tables {
        let chunks = by_table.get(&(table.schema.as_str(), table.table.as_str())).copied().unwrap_or(0);
        if table.rows.is_some_and(|rows| rows != chunks) {
            let name = TableName::new(table.schema.clone(), table.table.clone());
            problems.push(format!(
                "table {name}: {} rows were read, its chunks hold {chunks}",
                table.rows.unwrap_or(0)
            ));
        }
    }
    let files: u64 = manifest.files.iter().map(|file| file.rows).sum();
    if let Some(end) = &manifest.end
        && (end.rows, end.files) != (files, manifest.files.len() as u64)
    {
        problems.push(format!(
            "{MANIFEST}: the dump had {} rows in {} files, {files} in {} stand there",
            end.rows,
            end.files,
            manifest.files.len()
        ));
    }
    problems
}

/// Reads one file whole. Blocks.
fn content(name: &str, reader: &dyn RangeReader, bytes: u64, hash: &str) -> Result<Vec<String>> {
    let file = Blocking { reader, at: 0 };
    let compression = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("gz") => Compression::Gzip,
        Some("zst") => Compression::Zstd,
        Some("snappy") => Compression::Snappy,
        _ => Compression::None,
    };
    let plain: std::io::Result<Box<dyn Read + '_>> = match compression {
        Compression::None => Ok(Box::new(file)),
        Compression::Gzip => Ok(Box::new(flate2::read::MultiGzDecoder::new(file))),
        Compression::Snappy => Ok(Box::new(snap::read::FrameDecoder::new(file))),
        Compression::Zstd => {
            zstd::stream::read::Decoder::new(file).map(|it| -> Box<dyn Read> { Box::new(it) })
        }
    };
    let mut hasher = blake3::Hasher::new();
    let mut size = 0u64;
    let mut buffer = vec![0; 256 * 1024];
    let read_all = || -> std::io::Result<()> {
        let mut plain = plain?;
        loop {
            let count = plain.read(&mut buffer)?;
            if count == 0 {
                return Ok(());
            }
            size += count as u64;
            hasher.update(&buffer[..count]);
        }
    };
    if let Err(error) = read_all() {
        return Ok(vec![format!("{name}: it can't be read: {error}")]);
    }
    if size != bytes {
        return Ok(vec![format!("{name}: it holds {size} bytes, {bytes} were written")]);
    }
    if !hash.is_empty() && hasher.finalize().to_hex().as_str() != hash {
        return Ok(vec![format!("{name}: its content was changed (BLAKE3 differs)")]);
    }
    Ok(Vec::new())
}

struct Blocking<'a> {
    reader: &'a dyn RangeReader,
    at: u64,
}

impl Read for Blocking<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.reader.read_at_blocking(self.at, buffer).map_err(std::io::Error::other)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// Reads every chunk again. `config` is that of the dump.
///
/// # Errors
/// The server's.
pub async fn source(config: &Arc<Config>, manifest: &Manifest) -> Result<Vec<String>> {
    if config.sql.is_some() {
        return Err(DumpError::Folder("the result of --sql can't be compared with the source".into()));
    }
    let fingerprints = manifest.dump.options.iter().filter(|option| is_fingerprint(option));
    if let Some(other) = fingerprints.into_iter().find(|option| !config.options.contains(option)) {
        return Err(DumpError::Folder(format!(
            "the dump was made with a file of {other}: give the same one, only its content counts"
        )));
    }
    let (source, mut first) = Source::open(config).await?;
    let mut expected: BTreeMap<(String, String, u64), Vec<FileLine>> = BTreeMap::new();
    for file in &manifest.files {
        let key = (file.schema.clone(), file.table.clone(), file.chunk.unwrap_or(0));
        expected.entry(key).or_default().push(file.clone());
    }
    let mut jobs: BTreeMap<(String, String), Arc<TableJob>> = BTreeMap::new();
    let mut work = Vec::new();
    let mut problems = Vec::new();
    for line in &manifest.chunks {
        let key = (line.schema.clone(), line.table.clone());
        let job = match jobs.get(&key) {
            Some(job) => Arc::clone(job),
            None => {
                let name = TableName::new(line.schema.clone(), line.table.clone());
                match table::describe(&mut first, &source, config, &name).await {
                    Ok(table) => {
                        let job = planner::table_job(config, source.server.flavor, table);
                        jobs.insert(key, Arc::clone(&job));
                        job
                    }
                    Err(error) if error.server().is_some_and(|error| !error.class().is_connection_gone()) => {
                        problems.push(format!("table {name}: {error}"));
                        continue;
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let files =
            expected.remove(&(line.schema.clone(), line.table.clone(), line.chunk)).unwrap_or_default();
        work.push((job, line.clone(), files));
    }
    first.close().await;
    problems.extend(compare(config, source, work).await?);
    problems.sort();
    Ok(problems)
}

type Task = (Arc<TableJob>, ChunkLine, Vec<FileLine>);

async fn compare(config: &Arc<Config>, source: Source, mut work: Vec<Task>) -> Result<Vec<String>> {
    let storage: Arc<dyn Storage> = Arc::new(NoopStorage);
    let metrics = Metrics::new().map_err(|error| DumpError::Internal(error.to_string()))?;
    let gate = Arc::new(Gate::new(config.rate_limit));
    let shared = Arc::new(Shared {
        // Hashes are those of the content before.
        compression: Compression::None,
        compress_level: None,
        ..Shared::new(config, &storage, metrics, &gate, source.endpoint().clone())
    });
    work.reverse();
    let work = Arc::new(Mutex::new(work));
    let mut tasks = JoinSet::new();
    for _ in 0..config.threads {
        let mut conn = source.connect().await?;
        consistency::begin(&mut conn, Consistency::None).await?;
        let (work, shared) = (Arc::clone(&work), Arc::clone(&shared));
        tasks.spawn(async move {
            let mut problems = Vec::new();
            loop {
                let next = work.lock().await.pop();
                let Some((job, line, files)) = next else { break };
                problems.extend(again(&mut conn, &shared, job, &line, &files).await?);
            }
            conn.close().await;
            Ok::<_, DumpError>(problems)
        });
    }
    let mut problems = Vec::new();
    while let Some(found) = tasks.join_next().await {
        problems.extend(found.map_err(|error| DumpError::Internal(error.to_string()))??);
    }
    Ok(problems)
}

/// Reads one chunk again.
async fn again(
    conn: &mut WireConn,
    shared: &Shared,
    job: Arc<TableJob>,
    line: &ChunkLine,
    files: &[FileLine],
) -> Result<Option<String>> {
    let name = job.name.clone();
    let Some(table) = &job.table else { return Ok(None) };
    let sql = table.select(line.range.as_deref(), job.filter.as_deref());
    let chunk = Chunk { index: line.chunk, sql, ..job.chunk(None, 0, Vec::new()) };
    let mut reader = Reader::new(shared);
    let running = Running::new(&chunk);
    let refused = match reader.dump_chunk(conn, shared, &running).await {
        Ok(()) => None,
        Err(error) if error.server().is_some_and(|error| !error.class().is_connection_gone()) => Some(error),
        Err(error) => return Err(error),
    };
    let place = match &line.range {
        Some(range) => format!("table {name} chunk {} ({range})", line.chunk),
        None => format!("table {name}"),
    };
    if let Some(error) = refused {
        return Ok(Some(format!("{place}: {error}")));
    }
    reader.settle().await?;
    let now: Vec<FileLine> = reader.take_finished().into_iter().flat_map(|finished| finished.files).collect();
    let rows: u64 = now.iter().map(|file| file.rows).sum();
    if rows != line.rows {
        return Ok(Some(format!("{place}: the dump has {} rows, the source {rows}", line.rows)));
    }
    let hashes = |files: &[FileLine]| {
        files.iter().map(|file| (file.name.clone(), file.bytes, file.blake3.clone())).collect::<BTreeSet<_>>()
    };
    if hashes(&now) != hashes(files) {
        return Ok(Some(format!("{place}: rows differ from the source")));
    }
    Ok(None)
}
