//! `[mydumper]` and `[[routes]]`, checked (facts/lightning.md 1.8, 3).

use std::path::Path;
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::filter::TableFilter;
use common::ident::TableName;
use common::route::{RouteRule, Router};
use common::storage;

use super::invalid;
use super::raw::{IgnoreColumns, RawConfig};
use crate::error::{Context, Result};
use crate::source::csv::Dialect;
use crate::source::form::Decoding;
use crate::source::rules::FileRules;

/// Where the dump is and what of it takes part.
#[derive(Debug, Clone)]
pub struct Source {
    /// Path or URL.
    pub dir: String,
    /// Which source tables take part.
    pub filter: TableFilter,
    /// How files are told apart by their names.
    pub rules: FileRules,
    /// Where source tables go.
    pub router: Router,
    /// The routes as written, which are a part of the task's name.
    pub routes: Vec<RouteRule>,
    /// Whether filter and routes tell `A` from `a`.
    pub case_sensitive: bool,
    /// Never create schemas and tables.
    pub no_schema: bool,
    /// Load triggers, routines and events, too.
    pub programs: bool,
    /// `character-set` of schema files.
    pub character_set: String,
    /// `[[mydumper.ignore-columns]]`
    pub ignore_columns: Vec<IgnoredColumns>,
    /// `[mydumper.csv]`
    pub csv: Arc<Dialect>,
    /// `data-character-set`, of CSV files.
    pub decoding: Option<Decoding>,
}

impl Source {
    /// What decides how CSV is read, as text.
    pub fn csv_settings(&self) -> String {
        let decoding = self.decoding.as_ref().map_or_else(String::new, |decoding| format!("{decoding:?}"));
        format!("{}{decoding}", serde_json::to_string(&*self.csv).unwrap_or_default())
    }
}

/// Columns of the dump that are left out.
#[derive(Debug, Clone)]
pub struct IgnoredColumns {
    /// Source tables it is about.
    pub tables: IgnoreScope,
    /// Names in lower case.
    pub columns: Vec<String>,
}

/// Which source tables an [`IgnoredColumns`] is about.
#[derive(Debug, Clone)]
pub enum IgnoreScope {
    /// One table.
    Table(TableName),
    /// Those of a filter.
    Filter(TableFilter),
}

impl IgnoredColumns {
    /// Whether it is about this source table.
    pub fn is_about(&self, table: &TableName) -> bool {
        match &self.tables {
            IgnoreScope::Table(name) => {
                name.schema.eq_ignore_ascii_case(&table.schema)
                    && name.table.eq_ignore_ascii_case(&table.table)
            }
            IgnoreScope::Filter(filter) => filter.matches_table(&table.schema, &table.table),
        }
    }
}

/// Checks all of `[mydumper]` and the routes.
pub(super) fn source(raw: &RawConfig) -> Result<Source> {
    let mydumper = &raw.mydumper;
    if mydumper.data_source_dir.is_empty() {
        return Err(invalid(
            "invalid config: `mydumper.data-source-dir` is not set: give the folder of the dump",
        ));
    }
    if let Some((scheme, _)) = mydumper.data_source_dir.split_once("://") {
        match scheme.to_lowercase().as_str() {
            "file" | "local" | "s3" | "gcs" | "gs" | "azure" | "azblob" | "noop" => {
                let opened = storage::open(&mydumper.data_source_dir, &storage::Options::default());
                opened.map_err(|error| {
                    invalid(format!("invalid config: `mydumper.data-source-dir`: {error}"))
                })?;
            }
            other => {
                return Err(invalid(format!(
                    "invalid config: unsupported data-source-dir url '{other}://…', supported storage types are file,local,s3,noop,gcs,gs,azure,azblob"
                )));
            }
        }
    } else if !Path::new(&mydumper.data_source_dir).is_dir() {
        return Err(invalid(format!(
            "invalid config: '{}': `mydumper.data-source-dir` does not exist",
            mydumper.data_source_dir
        )));
    }
    let character_set = mydumper.character_set.to_lowercase();
    match character_set.as_str() {
        "auto" | "utf8mb4" | "utf8" | "binary" | "gb18030" | "latin1" => {}
        other => {
            return Err(invalid(format!(
                "invalid config: `mydumper.character-set` '{other}' is not known: use auto, utf8mb4, gb18030, latin1 or binary"
            )));
        }
    }
    let filter = TableFilter::parse(&mydumper.filter, mydumper.case_sensitive)
        .context(codes::INVALID_CONFIG, || "invalid config: `mydumper.filter`".into())?;
    let router = Router::new(&raw.routes, mydumper.case_sensitive, &mydumper.source_id)
        .context(codes::TABLE_ROUTE, || "invalid table route rule".into())?;
    let default_rules = mydumper.default_file_rules.unwrap_or(mydumper.files.is_empty());
    let ignored = if mydumper.ignore_columns.is_empty() {
        &mydumper.ignore_data_columns
    } else {
        &mydumper.ignore_columns
    };
    Ok(Source {
        dir: mydumper.data_source_dir.clone(),
        filter,
        rules: FileRules::new(
            &mydumper.files,
            default_rules,
            Path::new(storage::without_parameters(&mydumper.data_source_dir)),
        )?,
        router,
        routes: raw.routes.clone(),
        case_sensitive: mydumper.case_sensitive,
        no_schema: mydumper.no_schema,
        programs: mydumper.programs && !mydumper.no_schema,
        character_set,
        csv: Arc::new(super::csv::dialect(raw)?),
        decoding: super::csv::decoding(raw)?,
        ignore_columns: ignored
            .iter()
            .map(|rule| ignored_columns(rule, mydumper.case_sensitive))
            .collect::<Result<_>>()?,
    })
}

fn ignored_columns(rule: &IgnoreColumns, case_sensitive: bool) -> Result<IgnoredColumns> {
    let tables = if rule.table_filter.is_empty() {
        IgnoreScope::Table(TableName::new(rule.db.as_str(), rule.table.as_str()))
    } else {
        IgnoreScope::Filter(
            TableFilter::parse(&rule.table_filter, case_sensitive).context(codes::INVALID_CONFIG, || {
                "invalid config: `mydumper.ignore-columns.table-filter`".into()
            })?,
        )
    };
    Ok(IgnoredColumns { tables, columns: rule.columns.iter().map(|name| name.to_lowercase()).collect() })
}
