//! Walks databases and tables on the metadata connection, writes schema files and makes chunks.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::dumpfile::Format;
use common::ident::TableName;
use mysql::Flavor;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::chunk::{self, Cutter};
use crate::config::Config;
use crate::csv::CsvWriter;
use crate::data::{Chunk, Shared, TableJob};
use crate::error::{DumpError, Result};
use crate::file::write_small;
use crate::folder::QUERY_RESULT;
use crate::key::gaps;
use crate::listing::{Listing, Object, ObjectKind};
use crate::meta::{Meta, ask};
use crate::programs;
use crate::queue::Queue;
use crate::render::{Form, csv_header};
use crate::resume::Part;
use crate::schema;
use crate::source::Source;
use crate::table::{self, Table};
use crate::work::Report;

/// See the module.
pub(crate) struct Planner {
    pub config: Arc<Config>,
    pub source: Arc<Source>,
    pub shared: Arc<Shared>,
    pub listing: Listing,
    pub meta: Meta,
    pub queue: Arc<Queue>,
    /// Tables that are whole already.
    pub kept: HashSet<TableName>,
    /// Finished chunks of other tables, in the order of the key.
    pub parts: BTreeMap<TableName, Vec<Part>>,
    pub reports: mpsc::UnboundedSender<Report>,
    /// Schema files on their way to the disk.
    pub writes: JoinSet<Result<()>>,
}

/// Schema files written at a time: each waits for the disk.
const SCHEMA_WRITES: usize = 8;

impl Planner {
    pub(crate) async fn run(mut self) -> Result<()> {
        if let Some(sql) = self.config.sql.clone() {
            self.plan_query(sql).await;
        } else {
            self.plan_policies().await?;
            let listing = std::mem::take(&mut self.listing);
            self.check_masks(&listing).await?;
            for database in &listing.databases {
                if !self.config.no_schemas {
                    let create = ask!(self.meta, conn => schema::database(conn, database));
                    self.write_schema(None, self.shared.naming.database(database)?, &create).await?;
                }
            }
            for object in &listing.objects {
                self.plan_object(object).await?;
            }
            if self.config.output.portable && !self.config.no_schemas {
                self.plan_programs(&listing).await?;
            }
        }
        while let Some(written) = self.writes.join_next().await {
            written.map_err(|error| DumpError::Internal(error.to_string()))??;
        }
        self.shared.metrics.all_planned();
        self.queue.planned_all();
        self.meta.close().await;
        Ok(())
    }

    /// Every rule of `--mask` must take a column.
    async fn check_masks(&mut self, listing: &Listing) -> Result<()> {
        if self.config.masks.rules.is_empty() {
            return Ok(());
        }
        let tables: HashSet<&TableName> = listing.tables().collect();
        let mut columns = Vec::new();
        for database in &listing.databases {
            let found = ask!(self.meta, conn => table::column_names(conn, database));
            columns.extend(found.into_iter().filter(|(table, _)| tables.contains(table)));
        }
        match self.config.masks.idle(&columns) {
            Some(rule) => Err(DumpError::Mask(format!(
                "rule {rule} takes no column of any table of the dump, so nothing would be masked by it"
            ))),
            None => Ok(()),
        }
    }

    async fn plan_programs(&mut self, listing: &Listing) -> Result<()> {
        for object in listing.objects.iter().filter(|object| object.kind == ObjectKind::Table) {
            let triggers = ask!(self.meta, conn => programs::triggers(conn, &object.name));
            if let Some(text) = triggers {
                self.write_schema(None, self.shared.naming.triggers(&object.name)?, &text).await?;
            }
        }
        for database in &listing.databases {
            let text = ask!(self.meta, conn => programs::of_database(conn, database));
            if let Some(text) = text {
                self.write_schema(None, self.shared.naming.programs(database)?, &text).await?;
            }
        }
        Ok(())
    }

    async fn plan_policies(&mut self) -> Result<()> {
        let source = &self.source;
        let policies = ask!(self.meta, conn => schema::placement_policies(conn, source));
        for (policy, create) in policies {
            self.write_schema(None, self.shared.naming.policy(&policy)?, &create).await?;
        }
        Ok(())
    }

    async fn plan_object(&mut self, object: &Object) -> Result<()> {
        let name = &object.name;
        match object.kind {
            ObjectKind::Table if self.kept.contains(name) => {}
            ObjectKind::Table => {
                let (source, config) = (&self.source, &self.config);
                let table = ask!(self.meta, conn => table::describe(conn, source, config, name));
                if self.config.no_data {
                    if !self.config.no_schemas {
                        self.write_schema(None, self.shared.naming.table(name)?, &table.create).await?;
                    }
                } else {
                    self.plan_table(table).await?;
                }
            }
            ObjectKind::View if !self.config.no_schemas => {
                let (source, output) = (&self.source, &self.config.output);
                let (stand_in, view) = ask!(self.meta, conn => schema::view(conn, source, output, name));
                self.write_schema(None, self.shared.naming.table(name)?, &stand_in).await?;
                self.write_schema(None, self.shared.naming.view(name)?, &view).await?;
            }
            ObjectKind::Sequence if !self.config.no_schemas => {
                let source = &self.source;
                let create = ask!(self.meta, conn => schema::sequence(conn, source, name));
                self.write_schema(None, self.shared.naming.sequence(name)?, &create).await?;
            }
            ObjectKind::View | ObjectKind::Sequence => {}
        }
        Ok(())
    }

    async fn plan_table(&mut self, table: Table) -> Result<()> {
        let job = table_job(&self.config, self.source.server.flavor, table);
        let Some(table) = &job.table else { return Ok(()) };
        if !self.config.no_schemas {
            self.write_schema(Some(&job), self.shared.naming.table(&table.name)?, &table.create).await?;
        }
        if let Some(parts) = self.parts.remove(&table.name) {
            self.plan_rest(&job, table, &parts).await?;
        } else {
            let (source, config) = (&self.source, &self.config);
            match ask!(self.meta, conn => chunk::begin(conn, source, config, table)) {
                None => self.send(job.chunk(None, 0, Vec::new())).await,
                Some(mut cutter) => self.send_cuts(&job, &mut cutter, &[]).await?,
            }
        }
        self.planned(job);
        Ok(())
    }

    /// What finished chunks have left of a table.
    async fn plan_rest(&mut self, job: &Arc<TableJob>, table: &Table, parts: &[Part]) -> Result<()> {
        job.rows.store(parts.iter().map(|part| part.done.chunk.rows).sum(), Ordering::SeqCst);
        let next = parts.iter().map(|part| part.done.chunk.chunk + 1).max().unwrap_or(0);
        job.next_index.store(next, Ordering::SeqCst);
        let edges: Vec<_> = parts.iter().map(|part| (part.cut.from.clone(), part.cut.to.clone())).collect();
        let (source, config) = (&self.source, &self.config);
        let resumed = ask!(self.meta, conn => chunk::resume(conn, source, config, table));
        let Some((mut cutter, key)) = resumed else {
            return Err(DumpError::Internal(format!("table {} has lost its key", table.name)));
        };
        for (number, ranges) in (0..).zip(gaps::gaps(key, &edges)) {
            cutter.go_on_with(ranges);
            // The finished chunks have the odd numbers.
            self.send_cuts(job, &mut cutter, &[2 * number]).await?;
        }
        Ok(())
    }

    /// Sends all chunks of a cutter; `before` is the first part of their order.
    async fn send_cuts(
        &mut self,
        job: &Arc<TableJob>,
        cutter: &mut Cutter<'_>,
        before: &[i64],
    ) -> Result<()> {
        let mut number = 0;
        while let Some(planned) = ask!(self.meta, conn => cutter.next(conn)) {
            if let Some((row_bytes, rows_a_second)) = job.pace() {
                cutter.adapt(row_bytes, rows_a_second);
            }
            self.send(job.chunk(Some(planned.range), planned.rows, [before, &[number]].concat())).await;
            number += 1;
        }
        Ok(())
    }

    async fn plan_query(&mut self, sql: String) {
        let output = &self.config.output;
        let form = match output.format {
            Format::Parquet => Form::Parquet { options: output.parquet.clone(), columns: Vec::new() },
            _ => Form::Csv { header: Vec::new(), writer: CsvWriter::new(output.csv.clone()) },
        };
        let job = job(TableName::new(QUERY_RESULT, ""), form, false, None, None);
        self.send(Chunk { sql, header_from_result: true, ..job.chunk(None, 0, Vec::new()) }).await;
        self.planned(job);
    }

    /// All chunks of the table are on their way.
    fn planned(&self, job: Arc<TableJob>) {
        // Nobody listens any more when the dump has failed.
        let _ = self.reports.send(Report::Planned(job));
    }

    async fn send(&mut self, chunk: Chunk) {
        self.shared.metrics.chunk_planned();
        chunk.job.chunks_left.fetch_add(1, Ordering::SeqCst);
        self.queue.push(chunk).await;
    }

    /// Writes a schema file beside the other work. A table that has a `job` is not whole before.
    async fn write_schema(
        &mut self,
        job: Option<&Arc<TableJob>>,
        name: String,
        statement: &[u8],
    ) -> Result<()> {
        if self.writes.len() >= SCHEMA_WRITES
            && let Some(written) = self.writes.join_next().await
        {
            written.map_err(|error| DumpError::Internal(error.to_string()))??;
        }
        if let Some(job) = job {
            job.chunks_left.fetch_add(1, Ordering::SeqCst);
        }
        let bytes = schema::file(self.source.server.flavor, &self.config.output, statement);
        let (storage, compression, level) =
            (Arc::clone(&self.shared.storage), self.shared.compression, self.shared.compress_level);
        let (job, reports) = (job.cloned(), self.reports.clone());
        self.writes.spawn(async move {
            let line = write_small(&storage, &name, (compression, level), &bytes).await?;
            // Nobody listens any more when the dump has failed.
            let _ = reports.send(Report::Schema(job, line));
            Ok(())
        });
        Ok(())
    }
}

/// A table on its way into files.
pub(crate) fn table_job(config: &Config, flavor: Flavor, table: Table) -> Arc<TableJob> {
    let form = form(config, flavor, &table);
    let empty_rows = table.explicit && table.columns.is_empty();
    job(table.name.clone(), form, empty_rows, Some(table), config.where_clause.clone())
}

fn form(config: &Config, flavor: Flavor, table: &Table) -> Form {
    let output = &config.output;
    match output.format {
        Format::Csv => {
            let writer = CsvWriter::new(output.csv.clone());
            let header = csv_header(&writer, table.columns.iter().map(String::as_str));
            Form::Csv { header, writer }
        }
        Format::Parquet => Form::Parquet { options: output.parquet.clone(), columns: Vec::new() },
        Format::Sql => Form::Sql {
            header: schema::header(flavor, output),
            prefix: table.insert_prefix(),
            backslash: output.escape_backslash,
            statement_size: output.statement_size,
        },
    }
}

/// A table's counters at zero; one chunk is left as long as chunks are made.
pub fn job(
    name: TableName,
    form: Form,
    empty_rows: bool,
    table: Option<Table>,
    filter: Option<String>,
) -> Arc<TableJob> {
    Arc::new(TableJob {
        name,
        form,
        empty_rows,
        table,
        filter,
        next_index: AtomicU64::new(0),
        rows: AtomicU64::new(0),
        rows_read: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
        micros: AtomicU64::new(0),
        chunks_left: AtomicU64::new(1),
    })
}
