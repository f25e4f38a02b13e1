//! The master's durable state: one redb file in the data folder, readable by its owner only (source and task texts
//! may hold passwords).
//!
//! Every change is one transaction, synced before the call returns. The tables hold JSON by name; the meta table
//! holds the format's version, and a file of a newer version is refused.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};

const FORMAT_VERSION: &str = "1";
const META: TableDefinition<&str, &str> = TableDefinition::new("meta");

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Sources by id.
    Sources,
    /// Subtasks by the length of the task's name, the name and the source: `9:task-test/mysql-01`.
    Subtasks,
    /// Workers by name.
    Workers,
    /// The shard DDL locks, one row.
    Locks,
}

impl Table {
    fn definition(self) -> TableDefinition<'static, &'static str, &'static str> {
        TableDefinition::new(match self {
            Table::Sources => "sources",
            Table::Subtasks => "subtasks",
            Table::Workers => "workers",
            Table::Locks => "locks",
        })
    }
}

const ALL: [Table; 4] = [Table::Sources, Table::Subtasks, Table::Workers, Table::Locks];

/// One row to write (`Some`) or to remove (`None`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where.
    pub table: Table,
    /// Key.
    pub key: String,
    /// New value.
    pub value: Option<String>,
}

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum StoreError {
    #[error("cannot open the store {}: {cause}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the store {} has format version {found}, this program knows {FORMAT_VERSION}", path.display())]
    Version { path: PathBuf, found: String },
    #[error("the store {}: {cause}", path.display())]
    Io {
        path: PathBuf,
        #[source]
        cause: Box<redb::Error>,
    },
    #[error("the store {}: row `{key}` cannot be read: {reason}", path.display())]
    Row { path: PathBuf, key: String, reason: String },
}

/// The open file. One process at a time has it.
pub struct Store {
    path: PathBuf,
    db: Database,
}

impl Store {
    /// Opens or makes the file in `dir`.
    ///
    /// # Errors
    /// The folder can't be made, another process has the file, it is damaged or of a newer version.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("rsync-dm.redb");
        let open =
            |cause: Box<dyn std::error::Error + Send + Sync>| StoreError::Open { path: path.clone(), cause };
        common::crashsafe::create_dir_all(dir).map_err(|e| open(e.into()))?;
        // Made here, so that nobody else can read it; redb fills an empty file.
        drop(private_file(&path).map_err(|e| open(e.into()))?);
        let db = Database::create(&path).map_err(|e| open(e.into()))?;
        common::crashsafe::sync_dir(dir).map_err(|e| open(e.into()))?;
        let store = Self { path, db };
        store.prepare()?;
        Ok(store)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn io(&self, cause: impl Into<redb::Error>) -> StoreError {
        StoreError::Io { path: self.path.clone(), cause: Box::new(cause.into()) }
    }

    /// Makes the tables of a new file; checks the version of an old one.
    fn prepare(&self) -> Result<(), StoreError> {
        let txn = self.db.begin_write().map_err(|e| self.io(e))?;
        {
            let mut meta = txn.open_table(META).map_err(|e| self.io(e))?;
            let found = meta.get("format-version").map_err(|e| self.io(e))?.map(|v| v.value().to_owned());
            match found {
                Some(found) if found != FORMAT_VERSION => {
                    return Err(StoreError::Version { path: self.path.clone(), found });
                }
                Some(_) => {}
                None => {
                    meta.insert("format-version", FORMAT_VERSION).map_err(|e| self.io(e))?;
                }
            }
            for table in ALL {
                txn.open_table(table.definition()).map_err(|e| self.io(e))?;
            }
        }
        txn.commit().map_err(|e| self.io(e))
    }

    /// All rows of a table in order of their keys, each read by `parse`.
    ///
    /// # Errors
    /// The file can't be read; a row that `parse` refuses is named.
    pub fn load<T>(
        &self,
        table: Table,
        mut parse: impl FnMut(&str, &str) -> Result<T, String>,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let txn = self.db.begin_read().map_err(|e| self.io(e))?;
        let rows = txn.open_table(table.definition()).map_err(|e| self.io(e))?;
        let mut out = Vec::new();
        for row in rows.iter().map_err(|e| self.io(e))? {
            let (key, value) = row.map_err(|e| self.io(e))?;
            let key = key.value().to_owned();
            let value = parse(&key, value.value()).map_err(|reason| StoreError::Row {
                path: self.path.clone(),
                key: key.clone(),
                reason,
            })?;
            out.push((key, value));
        }
        Ok(out)
    }

    /// Writes all changes in one transaction; they are on disk when this returns. Blocks for the sync.
    ///
    /// # Errors
    /// Nothing of the changes is written.
    pub fn apply(&self, changes: &[Change]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let txn = self.db.begin_write().map_err(|e| self.io(e))?;
        for change in changes {
            let mut table = txn.open_table(change.table.definition()).map_err(|e| self.io(e))?;
            match &change.value {
                Some(value) => table.insert(change.key.as_str(), value.as_str()),
                None => table.remove(change.key.as_str()),
            }
            .map_err(|e| self.io(e))?;
        }
        common::failpoint::hit("dm-master-before-commit");
        txn.commit().map_err(|e| self.io(e))?;
        common::failpoint::hit("dm-master-after-commit");
        Ok(())
    }
}

fn private_file(path: &Path) -> std::io::Result<std::fs::File> {
    use std::os::unix::fs::OpenOptionsExt;
    std::fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &str, value: &str) -> Change {
        Change { table: Table::Sources, key: key.into(), value: Some(value.into()) }
    }

    fn rows(store: &Store) -> Vec<(String, String)> {
        store.load(Table::Sources, |_, v| Ok(v.to_owned())).unwrap()
    }

    #[test]
    fn rows_survive_a_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.apply(&[put("a", "1"), put("b", "2")]).unwrap();
        store.apply(&[Change { table: Table::Sources, key: "a".into(), value: None }]).unwrap();
        drop(store);
        let store = Store::open(dir.path()).unwrap();
        assert_eq!(rows(&store), [("b".to_owned(), "2".to_owned())]);
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(store.path()).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_process_at_a_time_and_no_newer_version() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Open { .. })));
        let txn = store.db.begin_write().unwrap();
        txn.open_table(META).unwrap().insert("format-version", "2").unwrap();
        txn.commit().unwrap();
        drop(store);
        assert!(matches!(Store::open(dir.path()), Err(StoreError::Version { .. })));
    }

    #[test]
    fn a_bad_row_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.apply(&[put("a", "x")]).unwrap();
        let e = store.load::<()>(Table::Sources, |_, _| Err("no JSON".into())).unwrap_err();
        assert!(e.to_string().contains("row `a`"), "{e}");
    }
}
