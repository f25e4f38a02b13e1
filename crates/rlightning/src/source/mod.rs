//! The dump: files on the storage, told apart by name, filtered, routed to target tables, and read row by row.
//!
//! `walk` gives a [`Dump`]; [`rows::FileReader`] reads one of its files. Nothing here knows the target, so that `rlightning check` uses
//! the same path.

pub mod csv;
pub mod form;
pub mod input;
mod lz4;
pub mod parquet;
pub mod prologue;
pub mod rows;
pub mod rules;
pub mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::ident::TableName;
use common::manifest::Manifest;
use form::{FileForm, Packing};

/// A schema file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaFile {
    /// Path relative to the source folder.
    pub path: String,
    /// What it creates, as the source names it; the table is empty for a schema.
    pub source: TableName,
    /// How it is packed.
    pub packing: Packing,
}

/// A file of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFile {
    /// Path relative to the source folder.
    pub path: String,
    /// Bytes on the storage.
    pub size: u64,
    /// The table as the source names it.
    pub source: TableName,
    /// How it is read.
    pub form: FileForm,
    /// The number in its name, which orders the files of a table as text.
    pub key: String,
    /// Columns to append to every row, from `extract-*` of the route.
    pub extracted: Vec<(String, String)>,
    /// Columns of the dump to leave out, in lower case.
    pub ignored: Vec<String>,
}

impl DataFile {
    /// The folder it lies in, `""` for the source folder itself: one source of a merge.
    pub fn folder(&self) -> &str {
        folder_of(&self.path)
    }
}

/// The folder part of a relative path.
pub fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

/// A target table with everything that goes there.
#[derive(Debug, Clone, Default)]
pub struct TargetTable {
    /// Its data files, in order of key and path.
    pub files: Vec<DataFile>,
    /// Schema files of all source tables that go there, in order of path.
    pub schemas: Vec<SchemaFile>,
}

impl TargetTable {
    /// Bytes of its data files.
    pub fn size(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// The schema file that describes the rows of a data file: the one of its source table in its own folder.
    pub fn schema_of(&self, file: &DataFile) -> Option<&SchemaFile> {
        self.schemas
            .iter()
            .find(|schema| schema.source == file.source && folder_of(&schema.path) == file.folder())
    }
}

/// Everything that takes part.
#[derive(Debug, Clone, Default)]
pub struct Dump {
    /// Target schemas with the files that create them, in order of path; may be none.
    pub schemas: BTreeMap<String, Vec<SchemaFile>>,
    /// Target tables by name.
    pub tables: BTreeMap<TableName, TargetTable>,
    /// Views by target name, each with the files of all sources that have it, in order of path.
    pub views: BTreeMap<TableName, Vec<SchemaFile>>,
    /// Files of triggers, or (without a table) of routines and events, in order of path.
    pub programs: Vec<SchemaFile>,
    /// rdump's own records, by folder; those that its file names begin with included.
    pub manifests: BTreeMap<String, Arc<Manifest>>,
}

impl Dump {
    /// Bytes of all data files.
    pub fn size(&self) -> u64 {
        self.tables.values().map(TargetTable::size).sum()
    }

    /// How many data files there are.
    pub fn file_count(&self) -> usize {
        self.tables.values().map(|table| table.files.len()).sum()
    }
}
