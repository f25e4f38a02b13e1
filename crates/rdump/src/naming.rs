//! Names of the dump's files: Dumpling's, or those of `--output-filename-template`.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use common::dumpfile::{Compression, FileIndex, FileNamer, Format, MANIFEST, METADATA};
use common::ident::TableName;

use crate::error::{DumpError, Result};
use crate::folder::QUERY_RESULT;
use crate::template::{Fields, Templates};

/// Gives every file its name. With a template it also sees to it that no two files get the same one, which would write
/// over each other.
#[derive(Debug)]
pub struct Naming {
    default: FileNamer,
    format: Format,
    /// `-r` and `-F` were given: they decide the digits of data files.
    chunked: bool,
    sized: bool,
    templates: Option<Templates>,
    used: Mutex<HashSet<String>>,
}

impl Naming {
    /// For one dump.
    pub fn new(
        compression: Compression,
        format: Format,
        chunked: bool,
        sized: bool,
        templates: Option<Templates>,
    ) -> Naming {
        let default = FileNamer { compression };
        Naming { default, format, chunked, sized, templates, used: Mutex::default() }
    }

    /// CREATE DATABASE.
    ///
    /// # Errors
    /// A template that gives no name, or one that was given before.
    pub fn database(&self, name: &str) -> Result<String> {
        let fields = || Fields { db: name.into(), ..Fields::default() };
        self.give("schema", fields, "sql", || self.default.schema_create(name))
    }

    /// CREATE PLACEMENT POLICY.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn policy(&self, name: &str) -> Result<String> {
        let fields = || Fields { policy: name.into(), ..Fields::default() };
        self.give("placement-policy", fields, "sql", || self.default.placement_policy(name))
    }

    /// CREATE TABLE, also that which stands in for a view.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn table(&self, name: &TableName) -> Result<String> {
        self.give("table", || object(name), "sql", || self.default.table_schema(name))
    }

    /// CREATE VIEW.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn view(&self, name: &TableName) -> Result<String> {
        self.give("view", || object(name), "sql", || self.default.view_schema(name))
    }

    /// CREATE SEQUENCE.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn sequence(&self, name: &TableName) -> Result<String> {
        self.give("sequence", || object(name), "sql", || self.default.sequence_schema(name))
    }

    /// CREATE TRIGGER; a template does not change it, no import looks at it.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn triggers(&self, name: &TableName) -> Result<String> {
        self.keep(self.default.trigger_schema(name))
    }

    /// Routines and events of a database; a template does not change it.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn programs(&self, database: &str) -> Result<String> {
        self.keep(self.default.schema_post(database))
    }

    /// Rows. `name` has no table for `--sql`.
    ///
    /// # Errors
    /// As [`Naming::database`].
    pub fn data(&self, name: &TableName, chunk: u64, file: u64) -> Result<String> {
        let index = match (self.chunked, self.sized) {
            (_, false) => FileIndex::Chunk(chunk),
            (false, true) => FileIndex::File(file),
            (true, true) => FileIndex::ChunkFile(chunk, file),
        };
        let is_query = name.table.is_empty();
        let fields = || Fields {
            db: if is_query { String::new() } else { name.schema.clone() },
            table: if is_query { QUERY_RESULT.into() } else { name.table.clone() },
            chunk_index: chunk,
            file_index: file,
            index: index.to_string(),
            ..Fields::default()
        };
        self.give("data", fields, self.format.extension(), || match is_query {
            true => self.default.query_result(index, self.format),
            false => self.default.data(name, index, self.format),
        })
    }

    /// How data files are packed as a whole: Parquet is packed inside.
    pub fn packing(&self, compression: Compression) -> Compression {
        if self.format == Format::Parquet { Compression::None } else { compression }
    }

    /// The file is gone, its name is free again.
    pub fn release(&self, name: &str) {
        if self.templates.is_some() {
            self.used.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        }
    }

    fn give(
        &self,
        template: &str,
        fields: impl FnOnce() -> Fields,
        extension: &str,
        default: impl FnOnce() -> String,
    ) -> Result<String> {
        let Some(templates) = &self.templates else { return Ok(default()) };
        let stem =
            templates.name(template, &fields()).map_err(|error| DumpError::Template(error.to_string()))?;
        let suffix = if extension == "parquet" { "" } else { self.default.compression.suffix() };
        self.keep(format!("{stem}.{extension}{suffix}"))
    }

    /// Sees to it that no name is given twice.
    fn keep(&self, name: String) -> Result<String> {
        if self.templates.is_none() {
            return Ok(name);
        }
        let is_ours = matches!(name.as_str(), MANIFEST | METADATA);
        if is_ours || !self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone()) {
            return Err(DumpError::Template(format!(
                "--output-filename-template gives two files the name {name}: put {{{{.DB}}}}, {{{{.Table}}}} and \
                 {{{{.Index}}}} into it"
            )));
        }
        Ok(name)
    }
}

fn object(name: &TableName) -> Fields {
    Fields { db: name.schema.clone(), table: name.table.clone(), ..Fields::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_and_templates() {
        let table = TableName::new("d", "t");
        let naming = |chunked, sized, template: Option<&str>| {
            let templates = template.map(|text| Templates::parse(text).unwrap());
            Naming::new(Compression::Zstd, Format::Csv, chunked, sized, templates)
        };
        let name = |naming: &Naming| naming.data(&table, 3, 4).unwrap();
        assert_eq!(name(&naming(false, false, None)), "d.t.000000003.csv.zst");
        assert_eq!(name(&naming(false, true, None)), "d.t.000000004.csv.zst");
        assert_eq!(name(&naming(true, true, None)), "d.t.0000000030004.csv.zst");
        let custom = naming(true, false, Some("{{.DB}}/{{.Table}}"));
        assert_eq!(name(&custom), "d/t.csv.zst");
        let error = custom.data(&table, 5, 0).unwrap_err().to_string();
        assert!(error.contains("two files the name d/t.csv.zst"), "{error}");
        custom.release("d/t.csv.zst");
        assert_eq!(custom.data(&table, 5, 0).unwrap(), "d/t.csv.zst");
        assert_eq!(custom.table(&table).unwrap(), "d.t-schema.sql.zst");
        assert_eq!(
            naming(false, false, None).data(&TableName::new("result", ""), 0, 0).unwrap(),
            "result.000000000.csv.zst"
        );
    }
}
