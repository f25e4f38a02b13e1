//! `rlightning check`: what a merge would hit, found by reading all its rows, and the target tables that fit it. Nothing is written
//! but sorted keys in the temporary folder.
//!
//! For each target table: do values of a unique key stand in more than one row, in one shard or across shards; which values
//! would not fit an existing column; the sizes; then the CREATE TABLE with a reason for each decision. A sample finds the same
//! faster and proves nothing.

mod calendar;
mod keys;
mod members;
mod merge;
mod report;
mod scan;
mod sorter;
mod values;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use calendar::Dates;
use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::progress::{Bar, Progress, Show, Unit};
use common::storage::Storage;
use mysql::{Conn, Flavor, ServerInfo};
use sql::SqlMode;
use sql::schema::{Column, Table};

use crate::config::Config;
use crate::downstream::tables::{self, TargetInfo};
use crate::downstream::{Target, collation, columns};
use crate::error::{Context, Result};
use crate::precheck;
use crate::run::{self, Prepared};
use crate::schema::{self, SourceTables};
use crate::source::{DataFile, TargetTable, folder_of};
use keys::UniqueKey;
use members::Twins;
use merge::{Finding, KeyFinding};
use report::{KeyReport, Report, TableReport};
use scan::{Answer, Question};
use sorter::{Place, Sorter};
use values::{Judge, Refusal, Rules};

/// Memory for keys of the table in work, all its unique keys together.
const KEY_MEMORY: usize = 192 << 20;

/// What a sample reads of each file.
const SAMPLE_BYTES: u64 = 1 << 20;

/// How many places of a repeated value are named.
const EXAMPLES: usize = 3;

/// How the check is done.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Read only the beginning of each file.
    pub sample: bool,
    /// Where the DDL goes, beside standard output.
    pub ddl_file: Option<PathBuf>,
}

/// Runs the check and prints the report; whether the import can be begun with the printed DDL.
///
/// # Errors
/// A dump that can't be read, a server that can't be asked.
pub async fn run(config: &Config, options: &Options) -> Result<bool> {
    let Prepared { storage, dump, sources } = run::prepare(config).await?;
    let (target, mut conn) = Target::connect(config).await?;
    let names: BTreeSet<&TableName> = dump.tables.keys().collect();
    let targets = tables::load(&mut conn, &names).await?;
    let mut report = Report::new(storage.uri(), &dump, options.sample);
    let to_create = |name: &TableName| !targets.contains_key(name);
    let needs = precheck::needs(config, &dump, to_create);
    report.missing = precheck::missing_rights(&mut conn, &needs, to_create).await?;
    let engines = tables::transactional_engines(&mut conn).await?;
    let flavor = conn.server().flavor;
    // Tables that are not there are no complaint: their DDL is printed.
    report.complaints = precheck::tables(&dump, &targets, &sources, &engines, flavor, false);
    report.disk = report::disk(&mut conn, &config.target, dump.size()).await?;
    let progress = Progress::new(if config.bars { Show::Auto } else { Show::Nothing });
    let bar = progress.bar("check", dump.size(), Unit::Bytes);
    let known = collation::known(&mut conn).await?;
    for (name, table) in &dump.tables {
        let existing = existing(&mut conn, targets.get(name)).await?;
        let rules = rules(config, conn.server());
        let mut one = OneTable {
            name,
            table,
            sources: &sources,
            existing,
            config,
            rules,
            sample: options.sample,
            twins: Twins::new(),
        };
        if let Some(merged) = one.to_be_created() {
            one.twins = members::twins(&mut conn, &merged, &known).await?;
        }
        let threads = config.concurrency.clamp(1, 16);
        let (found, merged) =
            tokio::task::block_in_place(|| one.check(storage.as_ref(), threads, conn.packet_limit(), &bar))?;
        report.tables.push(found);
        if let Some(merged) = merged {
            let character_set = &config.source.character_set;
            let zone = tokio::task::block_in_place(|| {
                schema::zone_to_create_in((storage.as_ref(), &dump), table, character_set, &target)
            })?;
            report.add_ddl(name, &merged, &known, zone.as_deref());
        }
    }
    bar.finish();
    let needed: BTreeSet<&str> = dump.tables.keys().map(|name| name.schema.as_str()).collect();
    let schemas = tables::missing_schemas(&mut conn, &needed).await?;
    conn.close().await;
    report.finish_ddl(&schemas);
    common::out::print(&report.render());
    if let Some(path) = &options.ddl_file {
        common::crashsafe::write_atomic(path, report.ddl().as_bytes())
            .context(codes::STORAGE_UNKNOWN, || format!("write {}", path.display()))?;
    }
    Ok(report.is_good())
}

/// The structure of a table that the target has, and whether it holds rows.
async fn existing(
    conn: &mut Conn,
    info: Option<&TargetInfo>,
) -> Result<Option<(TargetInfo, Option<Table>, bool)>> {
    let Some(info) = info.filter(|info| !info.is_view) else { return Ok(None) };
    let doing = || format!("read the target table {}", info.name);
    let row = conn
        .query_one(format!("SHOW CREATE TABLE {}", info.name.quoted()))
        .await
        .context(codes::DB_CONNECT, doing)?;
    let text = row.map(|row| row.text(1)).transpose().context(codes::DB_CONNECT, doing)?.unwrap_or_default();
    let table = Table::from_create(text.as_bytes(), SqlMode::default()).ok();
    let row = conn
        .query_one(format!("SELECT 1 FROM {} LIMIT 1", info.name.quoted()))
        .await
        .context(codes::DB_CONNECT, doing)?;
    Ok(Some((info.clone(), table, row.is_some())))
}

/// A target table in work.
struct OneTable<'a> {
    name: &'a TableName,
    table: &'a TargetTable,
    sources: &'a SourceTables,
    existing: Option<(TargetInfo, Option<Table>, bool)>,
    config: &'a Config,
    rules: Rules,
    sample: bool,
    twins: Twins,
}

/// What a session of the import would refuse.
fn rules(config: &Config, server: &ServerInfo) -> Rules {
    let dates = match &config.session.sql_mode {
        None => Dates::default(),
        Some(mode) => {
            let mode = mode.to_uppercase();
            Dates {
                any_day: mode.contains("ALLOW_INVALID_DATES"),
                zeros: !mode.contains("NO_ZERO") && !mode.contains("TRADITIONAL"),
            }
        }
    };
    let explicit = match server.flavor {
        Flavor::MariaDb => false,
        _ => server.is_mysql(8, 0, 0),
    };
    Rules { dates, only_text_is_json: server.flavor == Flavor::MySql, null_is_now: !explicit }
}

impl OneTable<'_> {
    /// Folder and source name of every shard, those without rows too.
    fn names(&self) -> BTreeSet<(&str, &TableName)> {
        let with_rows = self.table.files.iter().map(|file| (file.folder(), &file.source));
        let with_schema = self.table.schemas.iter().map(|file| (folder_of(&file.path), &file.source));
        with_rows.chain(with_schema).collect()
    }

    /// The shards with their structures, in order of folder and name.
    fn shards(&self) -> Vec<(String, Table)> {
        self.names()
            .into_iter()
            .filter_map(|(folder, source)| {
                let table = self.sources.get(&(folder.to_owned(), source.clone()))?;
                Some((shard_name(folder, source), table.as_ref().clone()))
            })
            .collect()
    }

    /// Unique keys of all shards and of the target as it is; keys of the same columns count once.
    fn keys(&self, shards: &[(String, Table)]) -> (Vec<UniqueKey>, Vec<String>) {
        let mut found: Vec<UniqueKey> = Vec::new();
        let mut left_out = Vec::new();
        let existing = self.existing.iter().filter_map(|(_, table, _)| table.as_ref());
        for table in shards.iter().map(|(_, table)| table).chain(existing) {
            let (keys, without) = keys::unique_keys(table);
            left_out.extend(without);
            for key in keys {
                if !found.iter().any(|known| known.parts == key.parts) {
                    found.push(key);
                }
            }
        }
        (found, left_out)
    }

    fn columns_of(&self, file: &DataFile) -> Option<Arc<Vec<String>>> {
        let Some(table) = self.sources.get(&(file.folder().to_owned(), file.source.clone())) else {
            // Without names they are those of the target, in order; fields of CSV leave generated columns out.
            let (info, _, _) = self.existing.as_ref()?;
            let all = file.form.csv.is_none();
            let columns = info.columns.iter().filter(|column| all || !column.generated);
            return Some(Arc::new(columns.map(|column| column.name.clone()).collect()));
        };
        Some(Arc::new(columns::of_source(table)))
    }

    /// The target as it is, or as it would be created.
    fn target(&self, shards: &[(String, Table)]) -> Option<Table> {
        match &self.existing {
            Some((_, table, _)) => table.clone(),
            None => self.merge(shards, &[], None).map(|merged| merged.table),
        }
    }

    /// The table that the target lacks, before anything is known of the rows.
    fn to_be_created(&self) -> Option<Table> {
        let shards = self.shards();
        if self.existing.is_some() { None } else { self.target(&shards) }
    }

    fn merge(
        &self,
        shards: &[(String, Table)],
        findings: &[KeyFinding],
        highest: Option<u64>,
    ) -> Option<merge::Merged> {
        let mut merged = merge::merge(&self.name.table, shards, findings, highest)?;
        members::tell_apart(&mut merged.table, &self.twins, &mut merged.reasons);
        Some(merged)
    }

    /// Reads the rows and judges them. The second value is the DDL, if the target lacks the table.
    fn check(
        &self,
        storage: &dyn Storage,
        threads: usize,
        packet_limit: usize,
        bar: &Bar,
    ) -> Result<(TableReport, Option<merge::Merged>)> {
        let shards = self.shards();
        let (keys, left_out) = self.keys(&shards);
        let counter = shards
            .first()
            .and_then(|(_, table)| table.columns.iter().find(|column| column.auto_increment))
            .map(|column| column.name.to_lowercase());
        let target = self.target(&shards);
        let judge =
            |column: &Column| Judge::new(column, self.rules).map(|judge| (column.name.to_lowercase(), judge));
        let question = Question {
            files: self.table.files.iter().map(|file| (file, self.columns_of(file))).collect(),
            keys,
            judges: target.iter().flat_map(|target| &target.columns).filter_map(judge).collect(),
            binary: target
                .iter()
                .flat_map(|target| &target.columns)
                .filter(|column| columns::is_binary(&column.kind))
                .map(|column| column.name.to_lowercase())
                .collect(),
            counter,
            target: self.existing.as_ref().map(|(info, _, _)| info),
            mode: self.config.session.sql_mode.as_deref().map(SqlMode::parse),
            row_bytes: packet_limit,
            sample: self.sample.then_some(SAMPLE_BYTES),
        };
        let memory = common::failpoint::value("check-key-memory").and_then(|text| text.parse().ok());
        let memory = memory.unwrap_or(KEY_MEMORY) / question.keys.len().max(1);
        let sorters: Vec<Mutex<Sorter>> =
            question.keys.iter().map(|_| Mutex::new(Sorter::new(memory))).collect();
        let answer = scan::scan(storage, &question, &sorters, threads, bar)?;
        let mut key_reports = Vec::new();
        for (number, (key, sorter)) in question.keys.iter().zip(sorters).enumerate() {
            let sorter = sorter.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
            let unknown = answer.unknown.get(number).copied().unwrap_or(0);
            key_reports.push(self.judge(key, sorter, unknown)?);
        }
        let findings: Vec<KeyFinding> = key_reports
            .iter()
            .map(|report| KeyFinding { columns: report.column_names.clone(), finding: report.finding })
            .collect();
        let merged = match self.existing {
            Some(_) => None,
            None => self.merge(&shards, &findings, answer.highest),
        };
        let report = self.report(&shards, key_reports, left_out, &question, &answer, merged.as_ref());
        Ok((report, merged))
    }

    /// Counts the values that stand more than once.
    fn judge(&self, key: &UniqueKey, sorter: Sorter, unknown: u64) -> Result<KeyReport> {
        let shard_of = |place: &Place| {
            let file = self.table.files.get(place.file as usize);
            file.map(|file| (file.folder(), &file.source))
        };
        let mut report = KeyReport::new(key, self.is_enforced(key));
        sorter
            .groups(|_, places| {
                report.repeated += 1;
                report.rows += places.len() as u64;
                let across = places.windows(2).any(|pair| shard_of(&pair[0]) != shard_of(&pair[1]));
                report.across_shards += u64::from(across);
                if report.examples.len() < EXAMPLES {
                    report.examples.push(places.iter().take(2).map(|place| self.place(place)).collect());
                }
            })
            .context(codes::CHECK_LOCAL_RESOURCE, || "read keys from the temporary folder".to_owned())?;
        report.unknown = unknown;
        // No rows prove nothing of those to come.
        let is_open = self.sample || unknown > 0 || self.table.files.is_empty();
        report.finding = match (report.repeated, is_open) {
            (0, true) => Finding::Unknown,
            (0, false) => Finding::Unique,
            _ => Finding::Repeats,
        };
        Ok(report)
    }

    /// Whether the target has this key already, so that a repeated value stops the import.
    fn is_enforced(&self, key: &UniqueKey) -> bool {
        let table = self.existing.as_ref().and_then(|(_, table, _)| table.as_ref());
        table.is_some_and(|table| keys::unique_keys(table).0.iter().any(|own| own.parts == key.parts))
    }

    /// A row's place for a person.
    fn place(&self, place: &Place) -> String {
        let file = self.table.files.get(place.file as usize);
        file.map_or_else(|| "?".into(), |file| format!("{} {}", file.path, file.form.place(place.at)))
    }

    fn report(
        &self,
        shards: &[(String, Table)],
        keys: Vec<KeyReport>,
        left_out: Vec<String>,
        question: &Question<'_>,
        answer: &Answer,
        merged: Option<&merge::Merged>,
    ) -> TableReport {
        let mut problems: Vec<String> = answer.columns.iter().cloned().collect();
        let mut notes = Vec::new();
        let names = self.names();
        if let Some(miscounted) = &answer.miscounted {
            problems.push(format!(
                "{} rows have another number of values than columns: {} values for {} columns at {}{}; the target refuses \
                 them (1136): dump with a column list (--complete-insert), or correct the file",
                miscounted.count,
                miscounted.values,
                miscounted.columns,
                self.place(&miscounted.first),
                if miscounted.count > 1 { " is the first" } else { "" }
            ));
        }
        for ((column, _), refused) in question.judges.iter().zip(&answer.refused) {
            for (why, refused) in refused {
                let value = if self.config.redact { "(hidden)" } else { &refused.value };
                let list = if *why == Refusal::Blank { &mut notes } else { &mut problems };
                list.push(format!(
                    "{} values of `{column}` {}: {value} at {}{}",
                    refused.count,
                    why.text(),
                    self.place(&refused.first),
                    if refused.count > 1 { " is the first" } else { "" }
                ));
            }
        }
        if let Some((length, place)) = answer.longest.filter(|(length, _)| *length > question.row_bytes) {
            problems.push(format!(
                "the row at {} has {length} bytes, the target takes {}: raise its max_allowed_packet",
                self.place(&place),
                question.row_bytes
            ));
        }
        problems.extend(keys.iter().filter_map(KeyReport::problem));
        problems.extend(merged.into_iter().flat_map(|merged| merged.problems.clone()));
        notes.extend(
            left_out.iter().collect::<BTreeSet<_>>().into_iter().map(|name| {
                format!("unique key {name} has an expression or a generated column: not checked")
            }),
        );
        if let Some((_, None, _)) = self.existing {
            notes.push(
                "the structure of the target table is not understood: values were not compared with it"
                    .into(),
            );
        }
        if let Some((_, _, true)) = self.existing {
            notes.push(
                "the target table holds rows already; the dump's rows were not compared with them".into(),
            );
        }
        if shards.len() < names.len() {
            notes.push(
                "not every shard has a schema file that can be read: keys of the others are not known".into(),
            );
        }
        if self.config.on_duplicate != crate::config::OnDuplicate::Error {
            notes.push(format!("duplicates follow on-duplicate = {}", self.config.on_duplicate.name()));
        }
        TableReport {
            name: self.name.clone(),
            shards: names.into_iter().map(|(folder, source)| shard_name(folder, source)).collect(),
            files: self.table.files.len(),
            rows: answer.rows,
            bytes: answer.bytes,
            longest_row: answer.longest.map_or(0, |(length, _)| length),
            keys,
            exists: self.existing.is_some(),
            reasons: merged.map(|merged| merged.reasons.clone()).unwrap_or_default(),
            notes,
            problems,
        }
    }
}

fn shard_name(folder: &str, source: &TableName) -> String {
    if folder.is_empty() { source.to_string() } else { format!("{source} in {folder}") }
}
