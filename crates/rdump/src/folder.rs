//! The output folder: who may write there, and what an unfinished dump left.
//!
//! States of a folder: free (no dump files), unfinished (a manifest of ours, no `metadata`), taken (anything else with
//! dump files). Only a free or an unfinished one is written to. Invariants:
//! 1. The manifest is the first file of a dump and `metadata` the last, so a dump killed at any moment is unfinished.
//! 2. What an unfinished dump left is removed before anything new is written, its manifest last.
//! 3. Only one rdump at a time writes to a local folder: it holds a lock that ends with the process.
//! 4. A folder that this run made and wrote nothing to is removed again.
//! 5. Files that are not part of a dump are named in a warning and never touched.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::dumpfile::{self, FileKind, JOURNAL, MANIFEST, METADATA};
use common::ident::TableName;
use common::manifest::{DoneTable, FileLine, JournalLine, Manifest, TableLine};
use common::storage::{Options, Storage};
use tracing::{info, warn};

use crate::error::{DumpError, Result};
use crate::resume::{Kept, Part, Resume};

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
    /// What `--resume` goes on with.
    pub kept: Option<Kept>,
    /// Folders that this run made, the outermost first; forgotten when something is written.
    made: Made,
    /// Held until the process ends.
    _lock: Option<File>,
}

impl Folder {
    /// The folder if it is there already, looked at like [`Folder::open`]; makes nothing.
    ///
    /// # Errors
    /// A folder that is taken or being written to.
    pub async fn open_existing(url: &str, options: &Options, resume: Resume) -> Result<Option<Folder>> {
        let storage = common::storage::open(url, options)?;
        match root_of(storage.as_ref()) {
            Some(root) if !root.is_dir() => Ok(None),
            _ => Folder::open(url, options, resume).await.map(Some),
        }
    }

    /// Opens the folder and looks at what lies there; writes nothing but the folder itself. `resume` says what of an unfinished dump is
    /// kept.
    ///
    /// # Errors
    /// A folder that is taken, being written to, or that can't be made or written to.
    pub async fn open(url: &str, options: &Options, resume: Resume) -> Result<Folder> {
        let storage = common::storage::open(url, options)?;
        let root = root_of(storage.as_ref());
        let made = root.as_deref().map_or_else(|| Ok(Made::default()), Made::make)?;
        let lock = root.as_deref().map(lock_folder).transpose()?;
        let names: Vec<String> = storage.walk().await?.into_iter().map(|entry| entry.name).collect();
        let uri = storage.uri().to_owned();
        if names.iter().any(|name| name == METADATA) {
            return Err(DumpError::Folder(format!(
                "{uri} already holds a dump (`{METADATA}` is there): choose another folder, or empty this one"
            )));
        }
        let dump_files: Vec<String> = names.iter().filter(|name| is_dump_file(name)).cloned().collect();
        let has_manifest = names.iter().any(|name| name == MANIFEST);
        let mut folder = Folder {
            storage,
            leftovers: Vec::new(),
            parts: Vec::new(),
            has_manifest,
            kept: None,
            made,
            _lock: lock,
        };
        if !has_manifest {
            return match dump_files.first() {
                None => {
                    let foreign: Vec<String> = names.iter().filter(|name| !is_ours(name)).cloned().collect();
                    folder.say_what_else_is_there(&foreign);
                    Ok(folder)
                }
                Some(first) => Err(DumpError::Folder(format!(
                    "{uri} already holds dump files ({first} and {} more) that are not of an unfinished rdump dump: \
                     choose another folder, or empty this one",
                    dump_files.len() - 1
                ))),
            };
        }
        let manifest = Manifest::from_bytes(&folder.storage.read(MANIFEST).await?)
            .map_err(|error| DumpError::Folder(format!("{uri}: {error}")))?;
        if manifest.dump.template.is_some() {
            return Err(DumpError::Folder(format!(
                "{uri} holds an unfinished rdump dump whose files were named by --output-filename-template, so they can't be \
                 told from others: empty the folder, or choose another"
            )));
        }
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
        let foreign: Vec<String> =
            names.iter().filter(|name| !is_ours(name) && !is_dump_file(name)).cloned().collect();
        folder.leftovers = dump_files;
        if resume > Resume::No {
            folder.keep(manifest, &names, resume).await?;
        }
        folder.say_what_else_is_there(&foreign);
        Ok(folder)
    }

    /// Takes the whole tables of an unfinished dump, and perhaps finished chunks of others, out of what is removed.
    async fn keep(&mut self, manifest: Manifest, names: &[String], resume: Resume) -> Result<()> {
        let journal = match names.iter().any(|name| name == JOURNAL) {
            true => self.storage.read(JOURNAL).await?,
            false => Vec::new(),
        };
        let names: HashSet<&String> = names.iter().collect();
        // Of what somebody has removed files is dumped again.
        let are_there = |files: &[FileLine]| files.iter().all(|file| names.contains(&file.name));
        let name_of = |schema: &str, table: &str| TableName::new(schema, table);
        let mut kept = Kept { head: manifest.dump, ..Kept::default() };
        let mut tables: BTreeMap<TableName, DoneTable> = BTreeMap::new();
        for line in JournalLine::read(&journal) {
            match line {
                JournalLine::Table(done) => {
                    let name = name_of(&done.table.schema, &done.table.table);
                    // Of two lines the later one holds.
                    tables.remove(&name);
                    if are_there(&done.files) && done.schemas.iter().all(|file| names.contains(&file.name)) {
                        tables.insert(name, *done);
                    }
                }
                JournalLine::Chunk(done) if resume == Resume::Chunks && are_there(&done.files) => {
                    let name = name_of(&done.chunk.schema, &done.chunk.table);
                    if let Some(part) = Part::read(*done) {
                        kept.parts.entry(name).or_default().push(part);
                    }
                }
                JournalLine::Chunk(_) => {}
            }
        }
        kept.parts.retain(|name, _| !tables.contains_key(name));
        for parts in kept.parts.values_mut() {
            parts.sort_by(|a, b| a.cut.order.cmp(&b.cut.order));
        }
        kept.tables = tables.into_values().collect();
        let of_tables = kept.tables.iter().flat_map(|done| {
            done.files.iter().map(|file| &file.name).chain(done.schemas.iter().map(|file| &file.name))
        });
        let of_parts = kept.parts.values().flatten().flat_map(|part| &part.done.files).map(|file| &file.name);
        let files: HashSet<&String> = of_tables.chain(of_parts).collect();
        self.leftovers.retain(|name| !files.contains(name));
        self.kept = Some(kept);
        Ok(())
    }

    /// The finished chunks of a table are not kept.
    pub fn give_up_chunks(&mut self, table: &TableName) {
        let Some(parts) = self.kept.as_mut().and_then(|kept| kept.parts.remove(table)) else { return };
        self.leftovers.extend(parts.into_iter().flat_map(|part| part.done.files).map(|file| file.name));
    }

    /// Names what else lies there.
    fn say_what_else_is_there(&self, foreign: &[String]) {
        if let Some(first) = foreign.first() {
            warn!(
                folder = self.storage.uri(),
                files = foreign.len(),
                first = %first,
                "the output folder holds files that are not of a dump, they are left as they are"
            );
        }
    }

    /// Removes what an unfinished dump left; from here on the folder stays.
    ///
    /// # Errors
    /// The storage's.
    pub async fn clear(&mut self) -> Result<()> {
        self.made.keep();
        if !self.has_manifest {
            return Ok(());
        }
        match &self.kept {
            Some(kept) => {
                info!(
                    tables = kept.tables.len(),
                    chunks = kept.parts.values().map(Vec::len).sum::<usize>(),
                    removed = self.leftovers.len(),
                    folder = self.storage.uri(),
                    "resume an unfinished dump, its whole tables are kept"
                );
                // First, too: a line of a table that is dumped again would make its new files pass for the old ones after the next
                // kill, and what is appended to a torn line is not read.
                let mut lines: Vec<u8> = kept.tables.iter().flat_map(DoneTable::render).collect();
                for parts in kept.parts.values() {
                    // New chunks get the even numbers between them.
                    let numbers = (0..).map(|number| 2 * number + 1);
                    lines.extend(parts.iter().zip(numbers).flat_map(|(part, n)| part.renumbered(n).render()));
                }
                match lines.is_empty() {
                    true => self.storage.delete(JOURNAL).await?,
                    false => self.storage.write(JOURNAL, &lines).await?,
                }
            }
            None => {
                info!(
                    files = self.leftovers.len(),
                    folder = self.storage.uri(),
                    "replace an unfinished dump"
                );
                // First, so that it never speaks of files that are gone.
                self.storage.delete(JOURNAL).await?;
            }
        }
        for path in self.parts.drain(..) {
            // Nothing reads them; one that is gone already is fine.
            let _ = fs::remove_file(path);
        }
        for name in std::mem::take(&mut self.leftovers) {
            self.storage.delete(&name).await?;
        }
        if self.kept.is_none() {
            self.storage.delete(MANIFEST).await?;
        }
        self.has_manifest = false;
        Ok(())
    }
}

/// The folder on a local disk.
fn root_of(storage: &dyn Storage) -> Option<PathBuf> {
    storage.local_path(MANIFEST).and_then(|path| path.parent().map(PathBuf::from))
}

fn unusable(folder: &str, what: &str, cause: &std::io::Error) -> DumpError {
    DumpError::Folder(format!("the output folder {folder} {what}: {cause}; choose another one with -o"))
}

/// The folders that a run made. Dropped before [`Made::keep`], it removes those that are still empty.
#[derive(Debug, Default)]
struct Made(Vec<PathBuf>);

impl Made {
    fn make(root: &Path) -> Result<Made> {
        let missing = root.ancestors().take_while(|path| !path.as_os_str().is_empty() && !path.exists());
        let mut made = Made(missing.map(PathBuf::from).collect());
        made.0.reverse();
        common::crashsafe::create_dir_all(root)
            .map_err(|cause| unusable(&root.display().to_string(), "can't be made", &cause))?;
        Ok(made)
    }

    fn keep(&mut self) {
        self.0.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        for path in self.0.iter().rev() {
            // One that somebody has put a file into stays.
            let _ = fs::remove_dir(path);
        }
    }
}

fn lock_folder(root: &Path) -> Result<File> {
    let folder =
        File::open(root).map_err(|cause| unusable(&root.display().to_string(), "can't be opened", &cause))?;
    // Listing a folder such as `/proc`, only to fail at the first file, would take long and tell less.
    common::crashsafe::AtomicFile::create(&root.join(".rdump"))
        .map_err(|cause| unusable(&root.display().to_string(), "can't be written to", &cause))?;
    match folder.try_lock() {
        Ok(()) => Ok(folder),
        Err(fs::TryLockError::WouldBlock) => {
            Err(DumpError::Folder(format!("{}: another rdump is writing to this folder", root.display())))
        }
        // A file system without locks: the other checks have to do.
        Err(fs::TryLockError::Error(_)) => Ok(folder),
    }
}

/// Files of every rdump dump.
fn is_ours(name: &str) -> bool {
    matches!(name, MANIFEST | JOURNAL | METADATA)
}

/// Whether Lightning would take it for part of a dump.
fn is_dump_file(name: &str) -> bool {
    !matches!(dumpfile::parse(name), Ok(None)) || name.contains("-schema-")
}

/// Files of a killed process under their temporary names, in the folder itself (rdump makes no others).
fn part_files(root: &Path, planned: &Planned) -> Vec<PathBuf> {
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

/// The schema file that a file of programs stands beside; Lightning's rules pass over programs, so they do not tell whose they are.
fn of_schema_file(name: &str) -> String {
    for (ending, other) in
        [("-schema-trigger.sql", "-schema.sql"), ("-schema-post.sql", "-schema-create.sql")]
    {
        if let Some((object, suffix)) = name.rsplit_once(ending) {
            return format!("{object}{other}{suffix}");
        }
    }
    name.to_owned()
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
        match dumpfile::parse(&of_schema_file(name)) {
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
        runtime.block_on(Folder::open(dir.to_str().unwrap(), &Options::default(), Resume::No))
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
        assert!(!dir.path().join("new").exists(), "nothing was written, the folders are gone");
        clear(&mut open(&root).unwrap());
        assert!(root.is_dir());
        fs::write(root.join("notes.txt"), "x").unwrap();
        drop(open(&root).unwrap());
        fs::write(root.join("d.t.000000000.sql"), "x").unwrap();
        assert!(open(&root).unwrap_err().to_string().contains("already holds dump files (d.t.000000000.sql"));
        fs::remove_file(root.join("d.t.000000000.sql")).unwrap();
        fs::write(root.join("metadata"), "").unwrap();
        assert!(open(&root).unwrap_err().to_string().contains("already holds a dump"));
    }

    #[test]
    fn folders_that_cannot_be_had() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "x").unwrap();
        for (root, text) in [
            (dir.path().join("file"), "can't be made"),
            (dir.path().join("file/deep"), "can't be made"),
            (PathBuf::from("/proc/rdump-test"), "can't be made"),
            (PathBuf::from("/proc"), "can't be written to"),
        ] {
            let error = open(&root).unwrap_err().to_string();
            assert!(error.contains(&root.display().to_string()) && error.contains(text), "{error}");
            assert!(error.contains("os error") || error.contains("file is not a folder"), "{error}");
        }
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
            "d.t-schema-trigger.sql.gz",
            "d-schema-post.sql",
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
        fs::write(dir.path().join("other-schema-post.sql"), "x").unwrap();
        assert!(
            open(dir.path()).unwrap_err().to_string().contains("other-schema-post.sql, which is not part")
        );
        fs::remove_file(dir.path().join("other-schema-post.sql")).unwrap();
        fs::write(dir.path().join(MANIFEST), br#"{"type":"dump","format":99}"#).unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("format version 99"));
    }
}
