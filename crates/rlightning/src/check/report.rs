//! What the check says, on standard output.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use mysql::privileges::Missing;
use mysql::{Conn, Endpoint};

use super::keys::UniqueKey;
use super::merge::{Finding, Merged};
use crate::downstream::collation;
use crate::error::{Context, Result};
use crate::source::Dump;

/// Legal dates of older servers are legal defaults, too.
const DDL_SQL_MODE: &str =
    "SET SESSION sql_mode='STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES';\n";

/// What was found of one unique key.
#[derive(Debug)]
pub struct KeyReport {
    name: String,
    columns: String,
    /// Columns in lower case, in order.
    pub column_names: Vec<String>,
    by_collation: bool,
    enforced: bool,
    /// The verdict.
    pub finding: Finding,
    /// Values that stand in several rows.
    pub repeated: u64,
    /// Rows that they stand in.
    pub rows: u64,
    /// Of the values, those that stand in more than one shard.
    pub across_shards: u64,
    /// Rows whose value only a server could tell.
    pub unknown: u64,
    /// Places of two rows each.
    pub examples: Vec<Vec<String>>,
}

impl KeyReport {
    /// Begins with nothing found. `enforced`: the target has this key.
    pub fn new(key: &UniqueKey, enforced: bool) -> Self {
        Self {
            name: key.name.clone(),
            columns: key.columns(),
            column_names: key.parts.iter().map(|part| part.column.clone()).collect(),
            by_collation: key.is_by_collation(),
            enforced,
            finding: Finding::Unknown,
            repeated: 0,
            rows: 0,
            across_shards: 0,
            unknown: 0,
            examples: Vec::new(),
        }
    }

    /// What stands in the way of the import: only a key that the target has.
    pub fn problem(&self) -> Option<String> {
        (self.enforced && self.finding == Finding::Repeats).then(|| {
            format!(
                "the target's unique key ({}) would refuse {} rows; drop it there, or leave rows out",
                self.columns,
                self.rows - self.repeated
            )
        })
    }

    fn render(&self, out: &mut String) {
        let _infallible = write!(out, "  key {} ({}): ", self.name, self.columns);
        match self.finding {
            Finding::Unique => out.push_str("no value repeats"),
            Finding::Unknown if self.unknown > 0 => {
                let _infallible = write!(out, "not proved, {} rows could not be read for it", self.unknown);
            }
            Finding::Unknown => out.push_str("no value repeats in what was read: not proved"),
            Finding::Repeats => {
                let _infallible = write!(
                    out,
                    "{} values repeat, in {} rows, {} of them across shards",
                    self.repeated, self.rows, self.across_shards
                );
            }
        }
        if self.by_collation && self.finding != Finding::Repeats {
            out.push_str(" (case and blanks at the end do not count; letters that the collation takes for equal otherwise are not looked for)");
        }
        out.push('\n');
        for places in &self.examples {
            let _infallible = writeln!(out, "      such as {}", places.join(" and "));
        }
    }
}

/// What was found of one target table.
#[derive(Debug)]
pub struct TableReport {
    /// The target table.
    pub name: TableName,
    /// Its shards.
    pub shards: Vec<String>,
    /// Data files.
    pub files: usize,
    /// Rows read.
    pub rows: u64,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// Bytes of the longest row.
    pub longest_row: usize,
    /// Its unique keys.
    pub keys: Vec<KeyReport>,
    /// Whether the target has the table.
    pub exists: bool,
    /// Why the DDL is as it is.
    pub reasons: Vec<String>,
    /// What else to know.
    pub notes: Vec<String>,
    /// What stands in the way.
    pub problems: Vec<String>,
}

/// Everything.
#[derive(Debug)]
pub struct Report {
    head: String,
    sample: bool,
    /// Rights that the account lacks.
    pub missing: Vec<Missing>,
    /// What is wrong with tables of the target.
    pub complaints: Vec<String>,
    /// A sentence on room.
    pub disk: Vec<String>,
    /// One for each target table with rows.
    pub tables: Vec<TableReport>,
    statements: Vec<String>,
    replaced: BTreeMap<String, String>,
    ddl: String,
}

impl Report {
    /// Begins a report.
    pub fn new(uri: &str, dump: &Dump, sample: bool) -> Self {
        let head = format!(
            "check of {uri}: {} target tables, {} data files, {}\n",
            dump.tables.len(),
            dump.file_count(),
            megabytes(dump.size())
        );
        Self {
            head,
            sample,
            missing: Vec::new(),
            complaints: Vec::new(),
            disk: Vec::new(),
            tables: Vec::new(),
            statements: Vec::new(),
            replaced: BTreeMap::new(),
            ddl: String::new(),
        }
    }

    /// Takes the CREATE TABLE of a table that the target lacks.
    pub fn add_ddl(
        &mut self,
        name: &TableName,
        merged: &Merged,
        known: &BTreeSet<String>,
        zone: Option<&str>,
    ) {
        let text = merged.table.to_create();
        let head = format!("CREATE TABLE {} (", quote(&name.table));
        let body = text
            .strip_prefix(&head)
            .map_or_else(|| text.clone(), |rest| format!("CREATE TABLE {} ({rest}", name.quoted()));
        let (text, replaced) = collation::replace(body.as_bytes(), sql::SqlMode::default(), known);
        self.replaced.extend(replaced);
        let create = String::from_utf8_lossy(&text);
        self.statements.push(match zone {
            None => format!("{create};\n"),
            Some(zone) => format!(
                "SET SESSION time_zone = {};\n{create};\nSET SESSION time_zone = DEFAULT;\n",
                quote_string(zone)
            ),
        });
    }

    /// Puts the schemas before the tables.
    pub fn finish_ddl(&mut self, missing_schemas: &BTreeSet<&str>) {
        if missing_schemas.is_empty() && self.statements.is_empty() {
            return;
        }
        self.ddl.push_str(DDL_SQL_MODE);
        for schema in missing_schemas {
            let _infallible = writeln!(self.ddl, "CREATE DATABASE IF NOT EXISTS {};", quote(schema));
        }
        self.ddl.extend(self.statements.drain(..));
    }

    /// The statements that make what the target lacks; empty if it lacks nothing.
    pub fn ddl(&self) -> &str {
        &self.ddl
    }

    /// Whether nothing stands in the way.
    pub fn is_good(&self) -> bool {
        self.missing.is_empty()
            && self.complaints.is_empty()
            && self.tables.iter().all(|table| table.problems.is_empty())
    }

    /// The whole text.
    pub fn render(&self) -> String {
        let mut out = self.head.clone();
        if self.sample {
            out.push_str("only the beginning of each file was read: nothing that follows is proved\n");
        }
        self.tables.iter().for_each(|table| table.render(&mut out));
        section(&mut out, "disk", &self.disk);
        let missing: Vec<String> = self.missing.iter().map(ToString::to_string).collect();
        section(&mut out, "privileges", &missing);
        section(&mut out, "target", &self.complaints);
        let replaced: Vec<String> = self
            .replaced
            .iter()
            .map(|(from, to)| format!("{from} is not known there, {to} is taken"))
            .collect();
        section(&mut out, &format!("collations (rule {})", collation::RULE), &replaced);
        if !self.ddl.is_empty() {
            let _infallible = write!(out, "\nDDL for the target:\n{}", self.ddl);
        }
        let problems = self.missing.len()
            + self.complaints.len()
            + self.tables.iter().map(|table| table.problems.len()).sum::<usize>();
        let verdict = match problems {
            0 => "check passed: nothing stands in the way of the import".into(),
            1 => "check failed: 1 problem".into(),
            more => format!("check failed: {more} problems"),
        };
        let _infallible = writeln!(out, "\n{verdict}");
        out
    }
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _infallible = writeln!(out, "\n{title}:");
    for line in lines {
        let _infallible = writeln!(out, "  {line}");
    }
}

impl TableReport {
    fn render(&self, out: &mut String) {
        let _infallible = writeln!(
            out,
            "\n{}: {} shards, {} files, {} rows, {}, longest row {} bytes{}",
            self.name,
            self.shards.len(),
            self.files,
            self.rows,
            megabytes(self.bytes),
            self.longest_row,
            if self.exists { ", exists in the target" } else { "" }
        );
        for shard in &self.shards {
            let _infallible = writeln!(out, "  from {shard}");
        }
        self.keys.iter().for_each(|key| key.render(out));
        for (mark, lines) in
            [("  ", &self.reasons), ("  note: ", &self.notes), ("  PROBLEM: ", &self.problems)]
        {
            for line in lines {
                let _infallible = writeln!(out, "{mark}{line}");
            }
        }
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// Room for the rows at the target, where this machine can see its disk, and for sorted keys here.
///
/// # Errors
/// The server's.
pub async fn disk(conn: &mut Conn, target: &Endpoint, bytes: u64) -> Result<Vec<String>> {
    let free = |path: &str| {
        let found = rustix::fs::statvfs(path).ok()?;
        found.f_bavail.checked_mul(found.f_frsize)
    };
    let mut lines = Vec::new();
    let is_here =
        matches!(target.host.as_str(), "localhost" | "127.0.0.1" | "::1") || target.socket.is_some();
    let folder = mysql::session::variable(conn, "datadir")
        .await
        .context(codes::DB_CONNECT, || "read the target's datadir".to_owned())?
        .filter(|_| is_here);
    // Rows with their indexes take about twice the text, and as much again in logs.
    let wanted = bytes.saturating_mul(3);
    match folder.as_deref().and_then(free) {
        Some(free) => {
            let enough = if free >= wanted { "enough" } else { "perhaps NOT enough" };
            lines.push(format!(
                "target: {} free, the import may take {} with indexes and logs: {enough}",
                megabytes(free),
                megabytes(wanted)
            ));
        }
        None => lines.push(format!(
            "target: make sure that it has {} free; its disk can't be seen from here",
            megabytes(wanted)
        )),
    }
    let temporary = std::env::temp_dir();
    if let Some(free) = free(&temporary.to_string_lossy()) {
        lines.push(format!("temporary folder {}: {} free", temporary.display(), megabytes(free)));
    }
    Ok(lines)
}
