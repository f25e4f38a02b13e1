//! Checks before anything is written, and the table of their results on stdout (facts/lightning.md 4.2, 7.3).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::privileges::{Grants, Missing, Need, Privilege, Scope};
use mysql::{Conn, Flavor};

use crate::config::{Config, OnDuplicate};
use crate::downstream::columns;
use crate::downstream::tables::TargetInfo;
use crate::error::{Context, Result, fail};
use crate::schema::SourceTables;
use crate::source::{Dump, TargetTable};

/// Above this a single file slows an import down in the real tool.
const LARGE_FILE: u64 = 10 << 30;

/// How much a failed check matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The import goes on.
    Performance,
    /// It does not.
    Critical,
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was found.
    pub text: String,
    /// How much it matters.
    pub severity: Severity,
    /// Whether all is well.
    pub passed: bool,
}

impl Check {
    /// A check that matters: passed without complaints.
    pub fn critical(good: &str, complaints: Vec<String>) -> Self {
        let passed = complaints.is_empty();
        // A statement may end a complaint.
        let complaints: Vec<&str> = complaints.iter().map(|c| c.trim_end_matches(';')).collect();
        let text = if passed { good.to_owned() } else { complaints.join("; ") };
        Self { text, severity: Severity::Critical, passed }
    }
}

/// Size of the data files.
pub fn file_sizes(dump: &Dump) -> Check {
    let large = dump
        .tables
        .values()
        .flat_map(|table| &table.files)
        .find(|file| !file.form.can_be_cut() && file.size > LARGE_FILE);
    // Plain files and Parquet are cut, so only packed ones are loaded in sequence.
    match large {
        None => Check {
            text: "Source data files size is proper".into(),
            severity: Severity::Performance,
            passed: true,
        },
        Some(file) => Check {
            text: format!(
                "large data file: {} file exists and it will slow down import performance",
                file.path
            ),
            severity: Severity::Performance,
            passed: false,
        },
    }
}

/// Rights that the import needs; tables in `to_create` are not there and will be created.
pub fn needs(config: &Config, dump: &Dump, to_create: impl Fn(&TableName) -> bool) -> Vec<Need> {
    let mut needs: BTreeSet<Need> = BTreeSet::new();
    for (name, table) in &dump.tables {
        let mut wanted = vec![Privilege::Select, Privilege::Insert];
        match config.on_duplicate {
            OnDuplicate::Error => {}
            OnDuplicate::Replace => wanted.push(Privilege::Delete),
            OnDuplicate::Ignore => wanted.push(Privilege::Update),
        }
        if config.defer_indexes {
            wanted.push(Privilege::Alter);
        }
        if table.files.is_empty() {
            wanted.clear();
        }
        needs.extend(
            wanted.into_iter().map(|right| Need::table(right, name.schema.as_str(), name.table.as_str())),
        );
        if to_create(name) {
            needs.insert(Need::schema(Privilege::Create, name.schema.as_str()));
        }
    }
    if !config.source.no_schema {
        // The file of a view drops the table that stands for it while the rows are loaded.
        for file in &dump.programs {
            let Ok(routed) = config.source.router.route(&file.source.schema, &file.source.table) else {
                continue;
            };
            let schema = routed.name().schema;
            let rights: &[Privilege] = if file.source.table.is_empty() {
                &[Privilege::CreateRoutine, Privilege::Event]
            } else {
                &[Privilege::Trigger]
            };
            needs.extend(rights.iter().map(|right| Need::schema(*right, schema.as_str())));
        }
        for name in dump.views.keys() {
            needs.insert(Need::schema(Privilege::CreateView, name.schema.as_str()));
            needs.insert(Need::schema(Privilege::Drop, name.schema.as_str()));
        }
    }
    let ledger =
        [Privilege::Create, Privilege::Select, Privilege::Insert, Privilege::Update, Privilege::Delete];
    if config.verify {
        needs.insert(Need::schema(Privilege::CreateTemporaryTables, config.ledger_schema.as_str()));
    }
    needs.extend(ledger.map(|right| Need::schema(right, config.ledger_schema.as_str())));
    needs.into_iter().collect()
}

/// What of that the account lacks, with the GRANT that helps: for tables in `to_create`, which are not there, one on the schema, since a
/// server takes no other.
///
/// # Errors
/// The server's.
pub async fn missing_rights(
    conn: &mut Conn,
    needs: &[Need],
    to_create: impl Fn(&TableName) -> bool,
) -> Result<Vec<Missing>> {
    let grants: Grants = mysql::privileges::grants(conn)
        .await
        .context(codes::DB_CONNECT, || "read the privileges of the account".into())?;
    let lacking = needs
        .iter()
        .filter(|need| !mysql::privileges::missing(&grants, std::slice::from_ref(need)).is_empty());
    let grantable: Vec<Need> = lacking
        .map(|need| match &need.scope {
            Scope::Table(schema, table) if to_create(&TableName::new(schema, table)) => {
                Need::schema(need.privilege, schema.as_str())
            }
            _ => need.clone(),
        })
        .collect();
    Ok(mysql::privileges::missing(&grants, &grantable))
}

/// What speaks against loading the dump into the tables as they are. `targets` holds those that exist.
pub fn tables(
    dump: &Dump,
    targets: &BTreeMap<TableName, TargetInfo>,
    sources: &SourceTables,
    engines: &BTreeSet<String>,
    flavor: Flavor,
    no_schema: bool,
) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, table) in &dump.tables {
        match targets.get(name) {
            None if table.files.is_empty() => {}
            None if no_schema => complaints.push(format!(
                "table {name} schema not found: it is not in the target, and `mydumper.no-schema` forbids to create it"
            )),
            None if table.schemas.is_empty() => complaints.push(format!(
                "table {name} schema not found: it is not in the target, and the dump has no schema file for it"
            )),
            None => {}
            Some(info) => complaints.extend(
                table_complaints(table, info, sources, engines, flavor)
                    .into_iter()
                    .map(|complaint| format!("table {name}: {complaint}")),
            ),
        }
    }
    complaints
}

fn table_complaints(
    table: &TargetTable,
    info: &TargetInfo,
    sources: &SourceTables,
    engines: &BTreeSet<String>,
    flavor: Flavor,
) -> Vec<String> {
    if table.files.is_empty() {
        return Vec::new();
    }
    if info.is_view {
        return vec!["it is a view in the target".into()];
    }
    let engine = info.engine.to_uppercase();
    if flavor != Flavor::TiDb && !engines.contains(&engine) && !info.keeps_nothing() {
        return vec![format!(
            "its engine {} has no transactions, so rows could be lost or doubled: ALTER TABLE {} ENGINE=InnoDB",
            info.engine, info.name
        )];
    }
    let mut complaints: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for file in &table.files {
        if !seen.insert((file.folder(), &file.source)) {
            continue;
        }
        let Some(source) = sources.get(&(file.folder().to_owned(), file.source.clone())) else { continue };
        let mut written = columns::of_source(source);
        written.extend(file.extracted.iter().map(|(name, _)| name.clone()));
        for complaint in columns::complaints(info, &written, Some(source), &file.ignored) {
            let complaint = format!("{complaint} (source {} in folder '{}')", file.source, file.folder());
            if !complaints.contains(&complaint) {
                complaints.push(complaint);
            }
        }
    }
    complaints
}

/// Prints the table, and fails if something critical did not pass.
///
/// # Errors
/// The critical complaints, one line each.
pub fn conclude(checks: &[Check], show: bool) -> Result<()> {
    if show {
        common::out::print(&render(checks));
    }
    let failed: Vec<&str> = checks
        .iter()
        .filter(|check| !check.passed && check.severity == Severity::Critical)
        .map(|check| check.text.as_str())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(fail(codes::PRE_CHECK_FAILED, format!("tidb-lightning pre-check failed: {}", failed.join(";\n"))))
}

/// The table as the real tool draws it, without its colours.
fn render(checks: &[Check]) -> String {
    let rows: Vec<[String; 4]> = std::iter::once(["#", "CHECK ITEM", "TYPE", "PASSED"].map(str::to_owned))
        .chain(checks.iter().enumerate().map(|(number, check)| {
            let severity = match check.severity {
                Severity::Performance => "performance",
                Severity::Critical => "critical",
            };
            [
                (number + 1).to_string(),
                check.text.replace('\n', " "),
                severity.to_owned(),
                check.passed.to_string(),
            ]
        }))
        .collect();
    grid(&rows)
}

/// Rows of cells, the first one the titles, with lines between.
pub(crate) fn grid(rows: &[[String; 4]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [width(0), width(1), width(2), width(3)];
    let line: String =
        widths.iter().map(|width| format!("+{}", "-".repeat(width + 2))).collect::<String>() + "+\n";
    let mut out = line.clone();
    for row in rows {
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a String cannot fail.
            let _ = write!(out, "| {cell:<width$} ");
        }
        out.push_str("|\n");
        out.push_str(&line);
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_among_complaints_end_once() {
        let complaints =
            ["missing: GRANT INSERT ON `a`.* TO b;".into(), "missing: GRANT DROP ON `a`.* TO b;".into()];
        let text = Check::critical("good", complaints.into()).text;
        assert_eq!(text, "missing: GRANT INSERT ON `a`.* TO b; missing: GRANT DROP ON `a`.* TO b");
    }

    #[test]
    fn the_table_looks_like_the_real_one() {
        let good = |text: &str, severity| Check { text: text.into(), severity, passed: true };
        let checks = [
            good("Source data files size is proper", Severity::Performance),
            good("the checkpoints are valid", Severity::Critical),
            good("Cluster version check passed", Severity::Critical),
            good("Lightning has the correct storage permission", Severity::Critical),
        ];
        let golden = include_str!("../tests/golden/terminal.txt");
        assert!(golden.contains(&render(&checks)), "{}", render(&checks));
        conclude(&checks, false).unwrap();
        let bad = Check::critical("fine", vec!["a".into(), "b".into()]);
        let error = conclude(&[bad], false).unwrap_err().to_string();
        assert_eq!(error, "[Lightning:PreCheck:ErrPreCheckFailed]tidb-lightning pre-check failed: a; b");
    }
}
