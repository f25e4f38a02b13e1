//! What names a task, and what must not change within it.

use common::error::lightning_codes as codes;
use common::storage::Storage;

use crate::config::{Config, IgnoreScope};
use crate::error::{Context, Result};
use crate::ledger::{Settings, TaskName};
use crate::source::Dump;

/// The dump's place as a part of the task's name: one folder, however it was written.
pub fn source_name(storage: &dyn Storage) -> String {
    let path = storage.local_path(".").or_else(|| Some(storage.uri().into()));
    path.and_then(|path| std::fs::canonicalize(path).ok())
        .map_or_else(|| storage.uri().to_owned(), |path| path.display().to_string())
}

/// The name of the task: the folder as the system knows it, and the routes.
pub(super) fn task_name(config: &Config, storage: &dyn Storage) -> Result<TaskName> {
    let source = source_name(storage);
    let routes = serde_json::to_string(&config.source.routes)
        .context(codes::INVALID_CONFIG, || "name the task".into())?;
    Ok(TaskName::new(&source, &routes))
}

/// Settings that must not change within a task, by the names that the user knows.
pub(super) fn settings(config: &Config, dump: &Dump) -> Settings {
    let session = &config.session;
    let has_csv = dump.tables.values().flat_map(|table| &table.files).any(|file| file.form.csv.is_some());
    let csv = if has_csv { config.source.csv_settings() } else { String::new() };
    let variables: Vec<String> =
        session.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let ignored: Vec<String> = config
        .source
        .ignore_columns
        .iter()
        .map(|rule| {
            let tables = match &rule.tables {
                IgnoreScope::Table(name) => name.quoted(),
                IgnoreScope::Filter(filter) => format!("{filter:?}"),
            };
            format!("{tables}: {}", rule.columns.join(","))
        })
        .collect();
    [
        ("conflict.strategy", config.on_duplicate.name().to_owned()),
        ("tidb.sql-mode", session.sql_mode.clone().unwrap_or_default()),
        ("tidb.session-vars", variables.join(",")),
        ("--source-time-zone", session.source_time_zone.clone().unwrap_or_default()),
        ("mydumper.ignore-columns", ignored.join("; ")),
        ("mydumper.case-sensitive", config.source.case_sensitive.to_string()),
        ("mydumper.csv", csv),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}
