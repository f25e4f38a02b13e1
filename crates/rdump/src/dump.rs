//! The dump as a whole: snapshot, plan, readers, manifest, `metadata`.
//!
//! One planner walks databases and tables on the metadata connection and puts chunks into a bounded queue; each reader
//! takes chunks from it. All of them are tasks of one set: the first error ends the others. Stopping is dropping the
//! future of [`Dumper::run`]: sockets close, unfinished files vanish.

use std::collections::HashSet;
use std::sync::Arc;

use common::dumpfile::{JOURNAL, MANIFEST, METADATA};
use common::ident::TableName;
use common::manifest::{DumpHead, EndLine, FORMAT, FORMAT_MIXED, Manifest, StartPoint, TableLine};
use common::metadata::{Block, Metadata};
use jiff::Zoned;
use mysql::wire::WireConn;
use tracing::{info, warn};

use crate::config::Config;
use crate::consistency::{self, Snapshot};
use crate::dry_run;
use crate::error::{Doing, Result};
use crate::folder::{Folder, QUERY_RESULT};
use crate::gentle::Gate;
use crate::listing::{Listing, ObjectKind};
use crate::metrics::Metrics;
use crate::mixing;
use crate::preflight;
use crate::resume::{Kept, earliest};
use crate::source::{Source, ask};
use crate::work::{Work, Written};

/// What was dumped.
#[derive(Debug, Clone, Copy)]
pub struct Summary {
    /// Data files.
    pub files: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes before compression.
    pub bytes: u64,
}

/// A dump whose server and folder are known to be usable.
#[derive(Debug)]
pub struct Dumper {
    config: Arc<Config>,
    source: Source,
    first: WireConn,
    folder: Folder,
    metrics: Metrics,
    gate: Arc<Gate>,
}

impl Dumper {
    /// Opens server and folder; writes nothing. A folder that is not there is only made when the server is known to be
    /// of use.
    ///
    /// # Errors
    /// A folder or server that can't be used.
    pub async fn create(config: Arc<Config>, metrics: Metrics, gate: Arc<Gate>) -> Result<Dumper> {
        let existing = Folder::open_existing(&config.output_url, &config.storage, config.resume).await?;
        let (source, mut first) = Source::open(&config).await?;
        let consistency = consistency::resolve(&config, source.server.flavor)?;
        preflight::check(&mut first, &source, &config, consistency).await?;
        let folder = match existing {
            Some(folder) => folder,
            None => Folder::open(&config.output_url, &config.storage, config.resume).await?,
        };
        Ok(Dumper { config, source, first, folder, metrics, gate })
    }

    /// What a dump would do, as lines of text; locks and writes nothing.
    ///
    /// # Errors
    /// What would end the dump before it begins.
    pub async fn plan(config: &Config) -> Result<Vec<String>> {
        Folder::open_existing(&config.output_url, &config.storage, config.resume).await?;
        let (source, mut conn) = Source::open(config).await?;
        let consistency = consistency::resolve(config, source.server.flavor)?;
        let listing = preflight::check(&mut conn, &source, config, consistency).await?;
        dry_run::plan(&mut conn, &source, config, consistency, &listing).await
    }

    /// Dumps. Dropping the future stops it; the folder then holds an unfinished dump.
    ///
    /// # Errors
    /// The first error of any part.
    pub async fn run(self) -> Result<Summary> {
        let Dumper { config, mut source, first, mut folder, metrics, gate } = self;
        info!(host = %config.host, port = config.port, user = %config.user, threads = config.threads,
            rows = %config.rows, output = folder.storage.uri(), "begin to run Dump");
        let mut snapshot = consistency::take(&mut source, &config, first).await?;
        let started = Zoned::now();
        match &snapshot.position {
            Some(block) => {
                info!(file = %block.file, pos = %block.pos, gtid = %block.gtid_one_line(), "get binlog position")
            }
            None => warn!("the server has no binlog: metadata will hold no position"),
        }
        let mut head = dump_head(&config, &source, &snapshot, &started);
        if let Some(kept) = &folder.kept {
            kept.fits(&head)?;
            let refused = mixing::refused(&mut snapshot, &source, &config, kept).await?;
            mixing::tell(kept, &refused);
            refused.iter().for_each(|(table, _)| folder.give_up_chunks(table));
        }
        let kept = folder.kept.clone().unwrap_or_default();
        // Tables of this run have a start point of their own only where others have an earlier one.
        let own_start = head.start.clone().filter(|_| !kept.is_empty());
        let earliest = kept.earliest(snapshot.position.as_ref())?;
        head.start = earliest.as_ref().map(start_point);
        let tables = table_lines(&config, &snapshot, &kept, own_start.as_ref())?;
        if tables.iter().any(|line| line.safe_until.is_some()) {
            head.format = FORMAT_MIXED;
        }
        let mut manifest = Manifest { dump: head, tables, ..Manifest::default() };
        folder.clear().await?;
        folder.storage.write(MANIFEST, &manifest.render()).await?;
        common::failpoint::hit("rdump-manifest-begun");
        // 8.0.3 to 8.0.22 write statistics when they are read, which would wait for a lock that we keep ourselves.
        let estimate = match snapshot.lock {
            Some(_) => 0,
            None => estimate_rows(&mut snapshot.meta, &snapshot.listing).await?,
        };
        info!(rows = estimate, "get estimated rows count");
        metrics.expect(snapshot.listing.tables().count() as u64, estimate);

        let replicas = std::mem::take(&mut snapshot.replicas);
        let (position, mut after_connect) = (snapshot.position.clone(), snapshot.after_connect.take());
        if own_start.is_some() && after_connect.is_none() {
            after_connect = position;
        }
        let written = Work::start(config, source, snapshot, &folder, kept, metrics, gate)?.finish().await?;

        let finished = Zoned::now();
        let summary = complete(&mut manifest, written, &finished);
        folder.storage.write(MANIFEST, &manifest.render()).await?;
        common::failpoint::hit("rdump-before-metadata");
        let metadata = Metadata {
            started: local_time(&started),
            source: earliest,
            replicas,
            after_connect,
            finished: local_time(&finished),
        };
        folder.storage.write(METADATA, metadata.render().as_bytes()).await?;
        folder.storage.delete(JOURNAL).await?;
        Ok(summary)
    }
}

/// Writes into the manifest what was written.
fn complete(manifest: &mut Manifest, written: Written, finished: &Zoned) -> Summary {
    let Written { schemas, files, chunks, tables } = written;
    let summary = Summary {
        files: files.len() as u64,
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
    };
    for line in &mut manifest.tables {
        let name = TableName::new(line.schema.clone(), line.table.clone());
        line.rows = tables.get(&name).copied();
    }
    (manifest.schemas, manifest.files, manifest.chunks) = (schemas, files, chunks);
    let Summary { files, rows, bytes } = summary;
    manifest.end = Some(EndLine { finished: rfc3339(finished), files, rows, bytes });
    summary
}

fn local_time(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

fn rfc3339(time: &Zoned) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

pub(crate) fn start_point(block: &Block) -> StartPoint {
    StartPoint { file: block.file.clone(), pos: block.pos.clone(), gtid: block.gtid_one_line() }
}

/// The first line of the manifest.
fn dump_head(config: &Config, source: &Source, snapshot: &Snapshot, started: &Zoned) -> DumpHead {
    DumpHead {
        format: FORMAT,
        tool: format!("rdump {}", common::version::VERSION),
        started: rfc3339(started),
        server: source.identity.clone(),
        session: source.session.clone(),
        consistency: snapshot.consistency.name().into(),
        start: snapshot.position.as_ref().map(start_point),
        template: config.output.templates.as_ref().map(|it| it.text().to_owned()),
        options: config.options.clone(),
    }
}

/// What will be dumped, and what is there already.
fn table_lines(
    config: &Config,
    snapshot: &Snapshot,
    kept: &Kept,
    own_start: Option<&StartPoint>,
) -> Result<Vec<TableLine>> {
    let line = |schema: &str, table: &str, kind: &str| TableLine {
        schema: schema.into(),
        table: table.into(),
        kind: kind.into(),
        ..TableLine::default()
    };
    if config.sql.is_some() {
        return Ok(vec![line(QUERY_RESULT, "", "query")]);
    }
    let mut tables: Vec<TableLine> = kept.tables.iter().map(|done| done.table.clone()).collect();
    let whole: HashSet<(String, String)> =
        tables.iter().map(|line| (line.schema.clone(), line.table.clone())).collect();
    tables.extend(snapshot.listing.databases.iter().map(|name| line(name, "", "schema")));
    for object in &snapshot.listing.objects {
        let name = &object.name;
        if whole.contains(&(name.schema.clone(), name.table.clone())) {
            continue;
        }
        let own = own_start.filter(|_| object.kind == ObjectKind::Table).cloned();
        let (start, safe_until) = match kept.parts.get(name) {
            Some(parts) => (Some(earliest(parts.iter().map(|part| &part.done.start))?), own),
            None => (own, None),
        };
        tables.push(TableLine { start, safe_until, ..line(&name.schema, &name.table, object.kind.name()) });
    }
    Ok(tables)
}

/// The optimizer's guess for all tables together, for progress only.
async fn estimate_rows(meta: &mut WireConn, listing: &Listing) -> Result<u64> {
    let mut total = 0;
    for database in &listing.databases {
        let sql = format!(
            "SELECT SUM(TABLE_ROWS) FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = {}",
            common::ident::quote_string(database)
        );
        match ask(meta, &sql).await {
            Ok(answer) => total += answer.at(0, 0).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0),
            Err(error) if error.code().is_some() => warn!(%error, "rows can't be estimated"),
            Err(error) => return Err(error).doing(|| "estimate the rows of all tables".into()),
        }
    }
    Ok(total)
}
