//! One dump folder: where it stands in the binlog, and which tables it holds.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use common::dumpfile::{self, FileKind};
use common::error::{DmError, dm_codes as code};
use common::ident::TableName;
use common::manifest::{Manifest, ServerIdentity, StartPoint};
use common::metadata::{Block, Metadata};
use common::storage::{LocalStorage, Storage};
use mysql::{Flavor, GtidSet, Location};

/// What a dump folder says.
#[derive(Debug, Clone)]
pub struct DumpFolder {
    /// Where it lies, for messages.
    pub path: PathBuf,
    /// Position of the dump.
    pub start: Location,
    /// Where a dump of more than one moment lets safe mode end; `start` for a consistent one.
    pub safe_end: Location,
    /// Each table shows one moment, that of its own start point: no safe mode is needed for whoever knows them. So is a
    /// consistent dump, and one that was resumed. Tables with [`DumpedTable::safe_until`] show two moments and say which.
    pub is_exact: bool,
    /// The server that was dumped, if the manifest says so.
    pub server: Option<ServerIdentity>,
    /// Dumped base tables with their own start points.
    pub tables: BTreeMap<TableName, DumpedTable>,
}

/// A dumped table.
#[derive(Debug, Clone)]
pub struct DumpedTable {
    /// Its own position.
    pub start: Location,
    /// Its rows are of more than one moment up to here (`rdump --resume-chunks`): safe mode until then makes them exact.
    pub safe_until: Option<Location>,
    /// Its CREATE TABLE file in the folder, if there is one.
    pub schema_file: Option<String>,
}

impl DumpFolder {
    /// Reads `metadata`, rdump's manifest where there is one, and the names of the files.
    ///
    /// # Errors
    /// A folder without `metadata`, an unfinished dump, a file that can't be read, a dump without a position (11123).
    pub async fn read(path: &Path) -> Result<Self, DmError> {
        if !path.is_dir() {
            return Err(wrong(path, "there is no such folder").with_workaround(
                "Check the path: it is the folder that the dump was written to (`rdump -o`).",
            ));
        }
        let storage = LocalStorage::new(path);
        let bytes = storage.read(dumpfile::METADATA).await.map_err(|error| {
            let hint = "Name the folder of a finished dump; `metadata` is written last.";
            wrong(path, &error.to_string()).with_workaround(hint)
        })?;
        let metadata = Metadata::from_bytes(&bytes).map_err(|error| wrong(path, &error.to_string()))?;
        let start = match &metadata.source {
            Some(block) => location_of_block(path, block)?,
            None => return Err(no_position(path)),
        };
        let safe_end = match &metadata.after_connect {
            Some(block) => location_of_block(path, block)?,
            None => start.clone(),
        };
        let (tables, has_own_points, server) = tables(path, &storage, &start).await?;
        let is_exact = safe_end == start || has_own_points;
        Ok(Self { path: path.into(), start, safe_end, is_exact, server, tables })
    }
}

/// Something in the folder can't be used.
pub(super) fn wrong(path: &Path, what: &str) -> DmError {
    code::METADATA_NO_BINLOG_LOC
        .error(format!("dump folder {}: {what}", path.display()))
        .with_workaround("Copy the folder again from where the dump was made, or dump again.")
}

/// A whole `metadata` that names no position.
fn no_position(path: &Path) -> DmError {
    wrong(path, "its metadata is whole and has no position: the source's binlog is off").with_workaround(
        "Switch the source's binlog on (`log_bin`) and dump again. If it is on (a Dumpling that does not know MySQL 8.4 \
         writes no position either), dump with rdump.",
    )
}

fn location_of_block(path: &Path, block: &Block) -> Result<Location, DmError> {
    let (file, pos) = block
        .binlog_position()
        .ok_or_else(|| wrong(path, &format!("`{}` `{}` is no binlog position", block.file, block.pos)))?;
    location(path, file, pos, &block.gtid_one_line())
}

fn location_of_start(path: &Path, start: &StartPoint) -> Result<Location, DmError> {
    let pos = start.pos.parse();
    let pos = pos.map_err(|_| wrong(path, &format!("manifest: `{}` is no binlog position", start.pos)))?;
    location(path, &start.file, pos, &start.gtid)
}

fn location(path: &Path, file: &str, pos: u64, gtid: &str) -> Result<Location, DmError> {
    let location = Location::new(file, pos);
    if gtid.is_empty() {
        return Ok(location);
    }
    // `domain-server-sequence` against `uuid:interval`.
    let flavor = if gtid.contains(':') { Flavor::MySql } else { Flavor::MariaDb };
    let set = GtidSet::parse(flavor, gtid).map_err(|error| wrong(path, &error.to_string()))?;
    Ok(location.with_gtid(set))
}

/// The tables, and whether each shows the moment of a point of its own.
async fn tables(
    path: &Path,
    storage: &LocalStorage,
    start: &Location,
) -> Result<(BTreeMap<TableName, DumpedTable>, bool, Option<ServerIdentity>), DmError> {
    let mut tables = BTreeMap::new();
    let mut views = Vec::new();
    let files = storage.walk().await.map_err(|error| wrong(path, &error.to_string()))?;
    for entry in &files {
        let parsed =
            dumpfile::parse(&entry.name).map_err(|error| wrong(path, &format!("{}: {error}", entry.name)))?;
        let Some(file) = parsed else { continue };
        match file.kind {
            FileKind::TableSchema | FileKind::Data { .. } => {
                let table = tables.entry(file.table).or_insert_with(|| DumpedTable {
                    start: start.clone(),
                    safe_until: None,
                    schema_file: None,
                });
                if file.kind == FileKind::TableSchema {
                    table.schema_file = Some(entry.name.clone());
                }
            }
            FileKind::ViewSchema => views.push(file.table),
            FileKind::SchemaCreate => {}
        }
    }
    // A view has a table-like schema file beside its own.
    views.iter().for_each(|view| drop(tables.remove(view)));
    if !files.iter().any(|entry| entry.name == dumpfile::MANIFEST) {
        return Ok((tables, false, None));
    }
    let (has_own_points, server) = apply_manifest(path, storage, &mut tables).await?;
    Ok((tables, has_own_points, Some(server)))
}

/// rdump's manifest knows start points of single tables; whether each table has one, of a snapshot. And which server was dumped.
async fn apply_manifest(
    path: &Path,
    storage: &LocalStorage,
    tables: &mut BTreeMap<TableName, DumpedTable>,
) -> Result<(bool, ServerIdentity), DmError> {
    let bytes = storage.read(dumpfile::MANIFEST).await.map_err(|error| wrong(path, &error.to_string()))?;
    let manifest = Manifest::from_bytes(&bytes).map_err(|error| wrong(path, &error.to_string()))?;
    if manifest.end.is_none() {
        return Err(wrong(path, "its manifest says that the dump is unfinished"));
    }
    let mut with_point = 0;
    for line in manifest.tables.iter().filter(|line| line.kind == "table") {
        let Some(own) = line.start.as_ref() else { continue };
        if let Some(table) = tables.get_mut(&TableName::new(&line.schema, &line.table)) {
            table.start = location_of_start(path, own)?;
            table.safe_until =
                line.safe_until.as_ref().map(|until| location_of_start(path, until)).transpose()?;
            with_point += 1;
        }
    }
    // Without a snapshot a table shows many moments.
    let has_own_points = manifest.dump.consistency != "none" && with_point == tables.len();
    Ok((has_own_points, manifest.dump.server))
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: &str = "Started dump at: 2026-11-22 10:20:18\nSHOW MASTER STATUS:\n\tLog: mysql-bin.000002\n\
        \tPos: 53928\n\tGTID:4497dc05-e65e-11f1-ad09-02fc00000001:1-23\n\nFinished dump at: 2026-11-22 10:20:18\n";

    fn read(files: &[(&str, &str)]) -> Result<DumpFolder, DmError> {
        let folder = tempfile::tempdir().expect("temp dir");
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).expect("write");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(DumpFolder::read(folder.path()))
    }

    #[test]
    fn a_folder_of_dumpling() {
        let files = [
            ("metadata", METADATA),
            ("a-schema-create.sql", ""),
            ("a.t-schema.sql", "CREATE TABLE `t` (`id` int);"),
            ("a.t.000000000.sql", ""),
            ("a.data%2Eonly.000000000.sql", ""),
            ("a.v-schema.sql", ""),
            ("a.v-schema-view.sql", ""),
        ];
        let folder = read(&files).expect("a dump");
        assert_eq!(folder.start.position_text(), "(mysql-bin.000002, 53928)");
        assert_eq!(folder.safe_end, folder.start);
        assert!(folder.is_exact);
        let names: Vec<String> = folder.tables.keys().map(TableName::to_string).collect();
        assert_eq!(names, ["`a`.`data.only`", "`a`.`t`"]);
        assert_eq!(folder.tables[&TableName::new("a", "t")].schema_file.as_deref(), Some("a.t-schema.sql"));
    }

    #[test]
    fn a_table_may_have_a_start_of_its_own() {
        let manifest = concat!(
            r#"{"type":"dump","format":1,"tool":"rdump","started":"","server":{"flavor":"MySQL","version":"","host":"","port":1},"#,
            r#""session":{"time_zone":"","utc_offset":"","offset_is_fixed":true,"sql_mode":""},"consistency":"flush","start":null}"#,
            "\n",
            r#"{"type":"table","schema":"a","table":"t","kind":"table","start":{"file":"mysql-bin.000003","pos":"4"}}"#,
            "\n",
            r#"{"type":"end","finished":"","files":1,"rows":1,"bytes":1}"#,
            "\n"
        );
        let files = [("metadata", METADATA), ("a.t.000000000.sql", ""), (dumpfile::MANIFEST, manifest)];
        let folder = read(&files).expect("a dump");
        assert_eq!(folder.tables[&TableName::new("a", "t")].start.position_text(), "(mysql-bin.000003, 4)");
        // As a resumed dump: two positions, and none of its tables needs safe mode.
        let two = METADATA.replace(
            "Finished dump",
            "SHOW MASTER STATUS: /* AFTER CONNECTION POOL ESTABLISHED */\n\tLog: mysql-bin.000003\n\tPos: 4\n\tGTID:\n\nFinished dump",
        );
        let exact = |manifest: &str, more: Option<&str>| {
            let mut files =
                vec![("metadata", &*two), ("a.t.000000000.sql", ""), (dumpfile::MANIFEST, manifest)];
            files.extend(more.map(|name| (name, "")));
            let folder = read(&files).expect("a dump");
            assert!(folder.safe_end != folder.start);
            folder.is_exact
        };
        assert!(exact(manifest, None));
        // And one that kept chunks of an unfinished table.
        let until = r#"},"safe_until":{"file":"mysql-bin.000003","pos":"9"}}"#;
        let mixed = manifest.replace(r#""pos":"4"}}"#, &format!(r#""pos":"4"{until}"#));
        let mixed = read(&[("metadata", &two), ("a.t.000000000.sql", ""), (dumpfile::MANIFEST, &mixed)]);
        let table = mixed.expect("a dump").tables.remove(&TableName::new("a", "t")).expect("the table");
        assert_eq!(table.start.position_text(), "(mysql-bin.000003, 4)");
        assert_eq!(table.safe_until.expect("an end").position_text(), "(mysql-bin.000003, 9)");
        assert!(!exact(manifest, Some("a.without_point.000000000.sql")));
        assert!(!exact(&manifest.replace("flush", "none"), None));
    }

    #[test]
    fn bad_folders_are_named() {
        let no_position = "Started dump at: x\nFinished dump at: y\n";
        let torn = "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: mysql-bin.000002\n";
        let half = "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: mysql-bin.000002\n\tPos: 5";
        for (files, says) in [
            (&[][..], "there is no such file"),
            (
                &[("metadata", "Started dump at: x\n")][..],
                "ends in line 1 without the block `SHOW MASTER STATUS:`",
            ),
            (&[("metadata", torn)][..], "ends in line 3 without the line `Pos:`"),
            (&[("metadata", half)][..], "ends in line 4 without the line `Finished dump at:`"),
            (&[("metadata", "hello")][..], "no metadata of a dump"),
        ] {
            let error = read(files).expect_err("a bad folder").to_string();
            assert!(error.contains(says) && error.contains("code=11123"), "{error}");
            assert!(!error.contains("binlog is off") && !error.contains("binlog on"), "{error}");
        }
        let error = read(&[("metadata", no_position)]).expect_err("no position").to_string();
        assert!(
            error.contains("binlog is off") && error.contains("Switch the source's binlog on"),
            "{error}"
        );
    }
}
