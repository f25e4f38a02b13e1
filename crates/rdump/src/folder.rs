//! The output folder: who may write there, and what an unfinished dump left.
//!
//! States of a folder: free (no dump files), unfinished (a manifest of ours, no `metadata`), taken (anything else with
//! dump files). Only a free or an unfinished one is written to. Invariants:
//! 1. The manifest is the first file of a dump and `metadata` the last, so a dump killed at any moment is unfinished.
//! 2. What an unfinished dump left is removed before anything new is written, its manifest last.
//! 3. Only one rdump at a time writes to a local folder: it holds a lock that ends with the process.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use common::dumpfile::{self, FileKind, MANIFEST, METADATA};
use common::manifest::{Manifest, TableLine};
use common::storage::Storage;
use tracing::info;

use crate::error::{DumpError, Result};

/// Schema of the planned line that stands for the files of `--sql`.
pub const QUERY_RESULT: &str = "result";

/// A folder that is ours to write to.
#[derive(Debug)]
pub struct Folder {
    /// The storage.
    pub storage: Arc<dyn Storage>,
    /// What an unfinished dump left, its manifest not among it.
    leftovers: Vec<String>,
    /// Unfinished files of a killed process, which the storage does not list.
    parts: Vec<PathBuf>,
    has_manifest: bool,
    /// Held until the process ends.
    _lock: Option<File>,
}

impl Folder {
    /// Opens the folder and looks at what lies there; writes nothing but the folder itself.
    ///
    /// # Errors
    /// A folder that is taken or being written to.
    pub async fn open(url: &str) -> Result<Folder> {
        let storage = common::storage::open(url)?;
        let root = storage.local_path(MANIFEST).and_then(|path| path.parent().map(PathBuf::from));
        let lock = root.as_ref().map(lock_folder).transpose()?;
        let names: Vec<String> = storage.walk().await?.into_iter().map(|entry| entry.name).collect();
        let uri = storage.uri().to_owned();
        if names.iter().any(|name| name == METADATA) {
            return Err(DumpError::Folder(format!(
                "{uri} already holds a dump (`{METADATA}` is there): choose another folder, or empty this one"
            )));
        }
        let dump_files: Vec<String> = names.iter().filter(|name| is_dump_file(name)).cloned().collect();
        let has_manifest = names.iter().any(|name| name == MANIFEST);
        let mut folder =
            Folder { storage, leftovers: Vec::new(), parts: Vec::new(), has_manifest, _lock: lock };
        if !has_manifest {
            return match dump_files.first() {
                None => Ok(folder),
                Some(first) => Err(DumpError::Folder(format!(
                    "{uri} already holds dump files ({first} and {} more) that are not of an unfinished rdump dump: \
                     choose another folder, or empty this one",
                    dump_files.len() - 1
                ))),
            };
        }
        let manifest = Manifest::from_bytes(&folder.storage.read(MANIFEST).await?)
            .map_err(|error| DumpError::Folder(format!("{uri}: {error}")))?;
        let planned = Planned::new(&manifest.tables);
        if let Some(foreign) = dump_files.iter().find(|name| !planned.owns(name)) {
            return Err(DumpError::Folder(format!(
                "{uri} holds an unfinished rdump dump, and {foreign}, which is not part of it: \
                 choose another folder, or empty this one"
            )));
        }
        if let Some(root) = &root {
            folder.parts = part_files(root, &planned);
        }
        folder.leftovers = dump_files;
        Ok(folder)
    }

    /// Removes what an unfinished dump left.
    ///
    /// # Errors
    /// The storage's.
    pub async fn clear(&mut self) -> Result<()> {
        if !self.has_manifest {
            return Ok(());
        }
        info!(files = self.leftovers.len(), folder = self.storage.uri(), "replace an unfinished dump");
        for path in self.parts.drain(..) {
            // Nothing reads them; one that is gone already is fine.
            let _ = fs::remove_file(path);
        }
        for name in std::mem::take(&mut self.leftovers) {
            self.storage.delete(&name).await?;
        }
        self.storage.delete(MANIFEST).await?;
        self.has_manifest = false;
        Ok(())
    }
}

fn lock_folder(root: &PathBuf) -> Result<File> {
    let io = |action: &'static str| {
        move |cause| {
            DumpError::from(common::storage::StorageError::from_io(root.display().to_string(), action, cause))
        }
    };
    common::crashsafe::create_dir_all(root).map_err(io("create the folder"))?;
    let folder = File::open(root).map_err(io("open the folder"))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(fs::TryLockError::WouldBlock) => {
            Err(DumpError::Folder(format!("{}: another rdump is writing to this folder", root.display())))
        }
        // A file system without locks: the other checks have to do.
        Err(fs::TryLockError::Error(_)) => Ok(folder),
    }
}

/// Whether Lightning would take it for part of a dump.
fn is_dump_file(name: &str) -> bool {
    !matches!(dumpfile::parse(name), Ok(None)) || name.contains("-schema-")
}

/// Files of a killed process under their temporary names, in the folder itself (rdump makes no others).
fn part_files(root: &PathBuf, planned: &Planned) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.strip_suffix(common::crashsafe::PART_SUFFIX).is_some_and(|name| {
                matches!(name, MANIFEST | METADATA) || (is_dump_file(name) && planned.owns(name))
            })
        })
        .collect()
}

/// What a dump said it would write.
struct Planned {
    tables: BTreeSet<(String, String)>,
    schemas: BTreeSet<String>,
}

impl Planned {
    fn new(lines: &[TableLine]) -> Planned {
        Planned {
            tables: lines.iter().map(|line| (line.schema.clone(), line.table.clone())).collect(),
            schemas: lines.iter().map(|line| line.schema.clone()).collect(),
        }
    }

    fn owns(&self, name: &str) -> bool {
        if name.contains('/') {
            return false;
        }
        match dumpfile::parse(name) {
            Ok(Some(file)) if matches!(file.kind, FileKind::SchemaCreate) => {
                self.schemas.contains(&file.table.schema)
            }
            Ok(Some(file)) => {
                let schema = file.table.schema;
                let table = file.table.table;
                if schema == QUERY_RESULT && self.schemas.contains(QUERY_RESULT) {
                    return true;
                }
                // The schema file of a sequence looks like data of a table with a longer name.
                let sequence = table.strip_suffix("-schema-sequence").unwrap_or(&table).to_owned();
                self.tables.contains(&(schema.clone(), table)) || self.tables.contains(&(schema, sequence))
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(schema: &str, table: &str) -> TableLine {
        TableLine { schema: schema.into(), table: table.into(), ..TableLine::default() }
    }

    fn manifest(lines: Vec<TableLine>) -> Vec<u8> {
        Manifest { tables: lines, ..Manifest::default() }.render()
    }

    fn open(dir: &std::path::Path) -> Result<Folder> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(Folder::open(dir.to_str().unwrap()))
    }

    fn clear(folder: &mut Folder) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(folder.clear()).unwrap();
    }

    #[test]
    fn empty_and_foreign_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("new/deep");
        drop(open(&root).unwrap());
        fs::write(root.join("notes.txt"), "x").unwrap();
        drop(open(&root).unwrap());
        fs::write(root.join("d.t.000000000.sql"), "x").unwrap();
        assert!(open(&root).unwrap_err().to_string().contains("already holds dump files (d.t.000000000.sql"));
        fs::remove_file(root.join("d.t.000000000.sql")).unwrap();
        fs::write(root.join("metadata"), "").unwrap();
        assert!(open(&root).unwrap_err().to_string().contains("already holds a dump"));
    }

    #[test]
    fn an_unfinished_dump_is_replaced_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::write(root.join(MANIFEST), manifest(vec![line("d", ""), line("d", "t"), line("d", "s")]))
            .unwrap();
        let ours = [
            "d-schema-create.sql",
            "d.t-schema.sql",
            "d.t.0000000010002.sql",
            "d.s-schema-sequence.sql",
            "d.t.000000003.sql.part",
            "metadata.part",
        ];
        for name in ours {
            fs::write(root.join(name), "x").unwrap();
        }
        for name in ["notes.txt", "x.part"] {
            fs::write(root.join(name), "x").unwrap();
        }
        let mut folder = open(root).unwrap();
        assert!(open(root).unwrap_err().to_string().contains("another rdump is writing"));
        clear(&mut folder);
        let mut left: Vec<String> =
            fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["notes.txt", "x.part"]);
    }

    #[test]
    fn files_of_others_beside_an_unfinished_dump_stop_us() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MANIFEST), manifest(vec![line("d", "t")])).unwrap();
        fs::write(dir.path().join("d.other.000000000.sql"), "x").unwrap();
        assert!(
            open(dir.path()).unwrap_err().to_string().contains("d.other.000000000.sql, which is not part")
        );
        fs::remove_file(dir.path().join("d.other.000000000.sql")).unwrap();
        fs::write(dir.path().join(MANIFEST), br#"{"type":"dump","format":99}"#).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("format version 99"));
    }
}
