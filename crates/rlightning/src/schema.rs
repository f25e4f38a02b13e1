//! Creates the schemas, tables and views that the target lacks, from the schema files of the dump: their text as it is, only names
//! changed (and collations that the target does not know).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote};
use common::storage::Storage;
use mysql::{Conn, ErrorClass};
use sql::ddl::{DefaultValue, TypeKind};
use sql::schema::Table;
use sql::{Kind, SqlMode, classify};
use tracing::{info, warn};

use crate::config::Source;
use crate::downstream::{Target, collation, tables};
use crate::error::{Context, Result, fail};
use crate::import::file::open;
use crate::source::form::FileForm;
use crate::source::input::Input;
use crate::source::prologue::Prologue;
use crate::source::{DataFile, Dump, SchemaFile, TargetTable, folder_of};

/// Longest schema file; a table has at most 4096 columns.
const SCHEMA_FILE_LIMIT: u64 = 64 << 20;

/// Structures of source tables, by folder and source name. A file that is no CREATE TABLE that this program can read has none.
pub type SourceTables = HashMap<(String, TableName), Arc<Table>>;

/// The structure of a data file's source table: by the schema file in its own folder, else by the one that the same dump of rdump has in
/// another folder (a template may put them there). One of another dump says nothing: its columns may have another order.
pub fn structure_of<'s>(sources: &'s SourceTables, dump: &Dump, data: &DataFile) -> Option<&'s Arc<Table>> {
    if let Some(own) = sources.get(&(data.folder().to_owned(), data.source.clone())) {
        return Some(own);
    }
    let manifest = dump.manifests.get(data.folder())?;
    let is_same = |folder: &str| dump.manifests.get(folder).is_some_and(|other| Arc::ptr_eq(manifest, other));
    let mut found = sources.iter().filter(|((folder, source), _)| *source == data.source && is_same(folder));
    let (_, table) = found.next()?;
    found.next().is_none().then_some(table)
}

/// The text of a schema file. Blocks.
///
/// # Errors
/// The storage's; text that is not in the character set.
pub fn read(storage: &dyn Storage, file: &SchemaFile, character_set: &str) -> Result<Vec<u8>> {
    let doing = || format!("read file '{}'", file.path);
    let reader = open(storage, &file.path)?;
    let mut text = Vec::new();
    Input::open(reader, &FileForm::sql(file.packing), 0, None)
        .and_then(|input| input.take(SCHEMA_FILE_LIMIT).read_to_end(&mut text))
        .context(codes::INVALID_SCHEMA_FILE, doing)?;
    if text.starts_with(b"\xef\xbb\xbf") {
        text.drain(..3);
    }
    decoded(text, character_set)
        .map_err(|what| fail(codes::INVALID_SCHEMA_FILE, format!("file '{}' is not {what}", file.path)))
}

/// The text as UTF-8, by `mydumper.character-set`; else what it is not.
fn decoded(text: Vec<u8>, character_set: &str) -> std::result::Result<Vec<u8>, String> {
    let (encoding, name) = match (character_set, std::str::from_utf8(&text)) {
        ("binary", _) | ("auto" | "utf8" | "utf8mb4", Ok(_)) => return Ok(text),
        ("utf8" | "utf8mb4", Err(error)) => {
            return Err(format!("UTF-8 text at byte {}", error.valid_up_to()));
        }
        ("latin1", _) => (encoding_rs::WINDOWS_1252, "latin1 text".to_owned()),
        ("auto", Err(error)) => {
            let at = error.valid_up_to();
            (encoding_rs::GB18030, format!("UTF-8 text at byte {at}, and no GB18030 either"))
        }
        _ => (encoding_rs::GB18030, "GB18030 text".to_owned()),
    };
    match encoding.decode_without_bom_handling_and_without_replacement(&text) {
        Some(decoded) => Ok(decoded.into_owned().into_bytes()),
        None => Err(name),
    }
}

/// The first CREATE TABLE of a schema file's text.
fn create_table(text: &[u8]) -> Option<&[u8]> {
    let mode = SqlMode::default();
    let statements = sql::split::statements(text, mode).ok()?;
    statements.iter().map(|span| span.of(text)).find(|text| classify(text, mode).kind == Kind::CreateTable)
}

/// Whether the table may have a TIMESTAMP for a default, which is read in the session's zone, like those of rows.
fn has_times(create: &[u8]) -> bool {
    let Ok(table) = Table::from_create(create, SqlMode::default()) else { return true };
    table.columns.iter().any(|column| {
        column.kind == TypeKind::Timestamp
            && matches!(&column.default, Some(DefaultValue::String(text)) if !text.starts_with(b"0000"))
    })
}

/// The zone to create the table of a schema file in, if that matters and is known.
fn zone(target: &Target, dump: &Dump, file: &SchemaFile, text: &[u8]) -> Option<String> {
    create_table(text).filter(|create| has_times(create))?;
    let manifest = dump.manifests.get(folder_of(&file.path));
    let recorded = manifest.and_then(|manifest| manifest.dump.session.time_zone_to_set());
    target.time_zone(&Prologue::of_schema(text), recorded).map(str::to_owned)
}

/// The zone in which a session has to be that creates the table with its TIMESTAMP defaults as they are at the source; `None`: any, or it
/// is not known. Blocks.
///
/// # Errors
/// As [`read`].
pub fn zone_to_create_in(
    (storage, dump): (&dyn Storage, &Dump),
    table: &TargetTable,
    character_set: &str,
    target: &Target,
) -> Result<Option<String>> {
    let Some(file) = table.schemas.first() else { return Ok(None) };
    Ok(zone(target, dump, file, &read(storage, file, character_set)?))
}

/// Reads the structure of every source table that has a schema file. Blocks.
///
/// # Errors
/// Files that cannot be read.
pub fn source_tables(storage: &dyn Storage, dump: &Dump, character_set: &str) -> Result<SourceTables> {
    let mut tables = SourceTables::new();
    for file in dump.tables.values().flat_map(|table| &table.schemas) {
        let text = read(storage, file, character_set)?;
        match create_table(&text).map(|create| Table::from_create(create, SqlMode::default())) {
            Some(Ok(mut table)) => {
                table.checks.extend(sql::schema::json_checks(create_table(&text).unwrap_or_default()));
                tables.insert((folder_of(&file.path).to_owned(), file.source.clone()), Arc::new(table));
            }
            Some(Err(error)) => {
                info!(path = %file.path, %error, "the table's structure is not understood; its rows are sent without column names");
            }
            None => {
                return Err(fail(
                    codes::INVALID_SCHEMA_FILE,
                    format!("file '{}' holds no CREATE TABLE: was it cut short?", file.path),
                ));
            }
        }
    }
    Ok(tables)
}

/// Creates what is missing.
pub struct Creator<'a> {
    /// Whose sessions they are created in.
    pub target: &'a Target,
    /// The dump's files.
    pub storage: &'a dyn Storage,
    /// What takes part.
    pub dump: &'a Dump,
    /// Where source tables go.
    pub source: &'a Source,
    /// What the target knows.
    pub collations: BTreeSet<String>,
}

impl Creator<'_> {
    /// Schemas that the import needs: those of its tables and views, and those of the dump that hold no table at all.
    pub fn schemas(&self) -> BTreeSet<&str> {
        let mut needed: BTreeSet<&str> =
            self.dump.tables.keys().chain(self.dump.views.keys()).map(|name| name.schema.as_str()).collect();
        let with_tables: BTreeSet<&str> = self
            .dump
            .tables
            .values()
            .flat_map(|table| {
                let files = table.files.iter().map(|file| file.source.schema.as_str());
                files.chain(table.schemas.iter().map(|file| file.source.schema.as_str()))
            })
            .collect();
        for (target, files) in &self.dump.schemas {
            if files.iter().any(|file| !with_tables.contains(file.source.schema.as_str())) {
                needed.insert(target);
            }
        }
        needed
    }

    /// Creates missing schemas, then missing tables.
    ///
    /// # Errors
    /// The target's, with the statement it refused.
    pub async fn run(&self, conn: &mut Conn, missing: &[&TableName]) -> Result<()> {
        let needed = self.schemas();
        let lacking = tables::missing_schemas(conn, &needed).await?;
        for schema in needed {
            if lacking.contains(schema) {
                self.create_schema(conn, schema).await?;
            } else {
                info!(schema, "database already exists in downstream, skip");
            }
        }
        for table in missing {
            let Some(entry) = self.dump.tables.get(*table) else { continue };
            self.create_table(conn, table, entry).await?;
        }
        Ok(())
    }

    async fn create_schema(&self, conn: &mut Conn, schema: &str) -> Result<()> {
        let sources: BTreeSet<&str> = self
            .dump
            .tables
            .iter()
            .filter(|(name, _)| name.schema == schema)
            .flat_map(|(_, table)| table.files.iter().map(|file| file.source.schema.as_str()))
            .collect();
        let file = self.dump.schemas.get(schema).and_then(|files| files.first()).or_else(|| {
            self.dump.schemas.values().flatten().find(|file| sources.contains(file.source.schema.as_str()))
        });
        let mut statement = format!("CREATE DATABASE IF NOT EXISTS {}", quote(schema)).into_bytes();
        if let Some(file) = file {
            let text = self.text(file)?;
            let mode = SqlMode::default();
            let spans = sql::split::statements(&text, mode).unwrap_or_default();
            let create = spans
                .iter()
                .map(|span| span.of(&text))
                .find(|text| classify(text, mode).kind == Kind::CreateDatabase);
            if let Some(create) = create {
                statement = self.renamed(create, file, &|_, _| (schema.to_owned(), String::new()))?;
            }
        }
        self.execute(conn, &statement, &quote(schema)).await
    }

    async fn create_table(&self, conn: &mut Conn, table: &TableName, entry: &TargetTable) -> Result<()> {
        let Some(file) = entry.schemas.first() else {
            return Err(fail(codes::SCHEMA_NOT_EXISTS, format!("table {table} schema not found")));
        };
        let text = self.text(file)?;
        let Some(create) = create_table(&text) else {
            return Err(fail(
                codes::INVALID_SCHEMA_FILE,
                format!("file '{}' holds no CREATE TABLE", file.path),
            ));
        };
        // Other tables that the text names (foreign keys) go where their rows go.
        let route = |schema: &str, name: &str| {
            let schema = if schema.is_empty() { file.source.schema.as_str() } else { schema };
            if name == file.source.table && schema == file.source.schema {
                return (table.schema.clone(), table.table.clone());
            }
            match self.source.router.route(schema, name) {
                Ok(routed) => (routed.schema, routed.table),
                Err(_) => (schema.to_owned(), name.to_owned()),
            }
        };
        let statement = self.renamed(create, file, &route)?;
        let Some(zone) = zone(self.target, self.dump, file, &text) else {
            return self.execute(conn, &statement, &table.quoted()).await;
        };
        self.set_zone(conn, Some(&zone)).await?;
        let result = self.execute(conn, &statement, &table.quoted()).await;
        let back = self.set_zone(conn, None).await;
        result.and(back)
    }

    async fn set_zone(&self, conn: &mut Conn, zone: Option<&str>) -> Result<()> {
        let statement = self.target.zone_statement(zone);
        conn.exec(&statement).await.context(codes::CREATE_SCHEMA, || statement)?;
        Ok(())
    }

    /// The text of a schema file. Blocks.
    pub(crate) fn text(&self, file: &SchemaFile) -> Result<Vec<u8>> {
        tokio::task::block_in_place(|| read(self.storage, file, &self.source.character_set))
    }

    fn renamed(
        &self,
        statement: &[u8],
        file: &SchemaFile,
        map: &dyn Fn(&str, &str) -> (String, String),
    ) -> Result<Vec<u8>> {
        let mode = SqlMode::default();
        let doing = || format!("file '{}'", file.path);
        let ddl = sql::ddl::parse(statement, mode).context(codes::INVALID_SCHEMA_STMT, doing)?;
        let text = sql::rename::rename(ddl.text(), &ddl, &file.source.schema, map)
            .context(codes::INVALID_SCHEMA_STMT, doing)?;
        let (text, replaced) = collation::replace(&text, mode, &self.collations);
        let replaced: BTreeMap<String, String> = replaced.into_iter().collect();
        for (from, to) in &replaced {
            warn!(
                rule = collation::RULE,
                path = %file.path,
                %from,
                %to,
                "the target does not know this collation, another is taken"
            );
        }
        Ok(text)
    }

    /// Makes an object; one that another process made meanwhile is fine.
    pub(crate) async fn execute(&self, conn: &mut Conn, statement: &[u8], object: &str) -> Result<()> {
        match conn.exec(statement).await {
            Ok(_) => {
                info!(object, "created");
                common::failpoint::hit("schema-created");
                Ok(())
            }
            // Another process was quicker.
            Err(error) if error.class() == ErrorClass::AlreadyExists => Ok(()),
            Err(error) => {
                let text = String::from_utf8_lossy(statement);
                let error = if error.code() == Some(1291) {
                    error.note("`rlightning check -ddl-file` writes DDL that tells such members apart")
                } else {
                    error
                };
                Err(error).context(codes::CREATE_SCHEMA, || {
                    format!("create schema failed, table: {object}, stmt: {text}")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_files_in_every_character_set() {
        let read =
            |text: &[u8], set| decoded(text.to_vec(), set).map(|text| String::from_utf8(text).unwrap());
        assert_eq!(read("ä中".as_bytes(), "auto").unwrap(), "ä中");
        assert_eq!(read(b"\xd6\xd0", "auto").unwrap(), "中");
        assert_eq!(read(b"\xd6\xd0", "gb18030").unwrap(), "中");
        assert_eq!(read(b"\xe4\x80", "latin1").unwrap(), "ä€");
        assert_eq!(read(b"a\xff", "auto").unwrap_err(), "UTF-8 text at byte 1, and no GB18030 either");
        assert_eq!(read(b"a\xff", "utf8mb4").unwrap_err(), "UTF-8 text at byte 1");
        assert_eq!(decoded(vec![0xFF], "binary").unwrap(), [0xFF]);
    }
}
