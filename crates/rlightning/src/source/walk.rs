//! From the files of the source folder to the tables of the target.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use common::dumpfile::{DumpFile, FileKind, Format, MANIFEST, METADATA};
use common::error::lightning_codes as codes;
use common::manifest::{FileLine, Manifest};
use common::storage::{Entry, Storage};
use tracing::{info, warn};

use super::form::{FileForm, Packing};
use super::rules::Role;
use super::{DataFile, Dump, SchemaFile, folder_of};
use crate::config::Source;
use crate::error::{Context, Error, Result, fail};

/// Lists the source folder and sorts its files out.
///
/// # Errors
/// No files at all; a file of a kind that cannot be read; two routes for one table; an unfinished dump of rdump.
pub async fn walk(source: &Source, storage: &dyn Storage) -> Result<Dump> {
    let entries = storage
        .walk()
        .await
        .context(codes::STORAGE_UNKNOWN, || format!("list the files of {}", storage.uri()))?;
    if entries.is_empty() {
        return Err(fail(
            codes::EMPTY_SOURCE_DIR,
            format!("data-source-dir '{}' doesn't exist or contains no files", storage.uri()),
        ));
    }
    let mut dump = Dump::default();
    for entry in &entries {
        match source.rules.role(&entry.name)? {
            None if is_record(&entry.name) => {}
            None if add_program(&mut dump, source, entry) => {}
            None | Some(Role::Ignored) => info!(path = %entry.name, "file is filtered by file router"),
            Some(Role::Part(file, packing)) => {
                add(&mut dump, source, entry, (&file, packing))
                    .map_err(|error| name_file(error, &entry.name))?;
            }
        }
    }
    for table in dump.tables.values_mut() {
        table.files.sort_by(|a, b| (&a.key, &a.path).cmp(&(&b.key, &b.path)));
    }
    read_manifests(&mut dump, source, storage, &entries).await?;
    Ok(dump)
}

/// Whether it is a file of triggers, routines or events that is to be loaded.
fn add_program(dump: &mut Dump, source: &Source, entry: &Entry) -> bool {
    let Some((name, packing)) = source.rules.program(&entry.name).filter(|_| source.programs) else {
        return false;
    };
    let selected = if name.table.is_empty() {
        source.filter.matches_schema(&name.schema)
    } else {
        source.filter.matches_table(&name.schema, &name.table)
    };
    if selected {
        dump.programs.push(SchemaFile { path: entry.name.clone(), source: name, packing });
    }
    selected
}

fn name_file(error: Error, path: &str) -> Error {
    match error {
        Error::Failed(cause) => {
            Error::Failed(cause.code().error(format!("file '{path}': {}", cause.message())))
        }
        other => other,
    }
}

/// `metadata` and the manifest, which no rule takes and nobody wants to hear about.
fn is_record(path: &str) -> bool {
    let name = file_name(path);
    name == METADATA || name == MANIFEST
}

fn add(dump: &mut Dump, source: &Source, entry: &Entry, (file, packing): (&DumpFile, Packing)) -> Result<()> {
    let name = &file.table;
    if file.bad_escape {
        warn!(path = %entry.name, "the name of the file has a bad escape, it is taken as it stands");
    }
    let selected = if name.table.is_empty() {
        source.filter.matches_schema(&name.schema)
    } else {
        source.filter.matches_table(&name.schema, &name.table)
    };
    if !selected {
        return Ok(());
    }
    let routed = source
        .router
        .route(&name.schema, &name.table)
        .map_err(|cause| fail(codes::TABLE_ROUTE, format!("table route error: {cause}")))?;
    let target = routed.name();
    let schema_file = || SchemaFile { path: entry.name.clone(), source: name.clone(), packing };
    match &file.kind {
        FileKind::SchemaCreate => dump.schemas.entry(target.schema).or_default().push(schema_file()),
        FileKind::TableSchema => dump.tables.entry(target).or_default().schemas.push(schema_file()),
        FileKind::ViewSchema => {
            dump.views.entry(target).or_default().push(schema_file());
        }
        FileKind::Data { format: Format::Parquet, .. } if packing != Packing::Plain => {
            return Err(fail(
                codes::CHECK_DATA_SOURCE,
                "a Parquet file is packed inside, and can't be packed as a whole: unpack it".to_owned(),
            ));
        }
        FileKind::Data { format, key } => {
            let ignored = source
                .ignore_columns
                .iter()
                .filter(|rule| rule.is_about(name))
                .flat_map(|rule| rule.columns.iter().cloned())
                .collect();
            let mut form = FileForm::sql(packing);
            if *format == Format::Parquet {
                form = FileForm::parquet();
            }
            if *format == Format::Csv {
                form.csv = Some(Arc::clone(&source.csv));
                form.decoding.clone_from(&source.decoding);
            }
            let data = DataFile {
                path: entry.name.clone(),
                size: entry.size,
                source: name.clone(),
                form,
                key: key.clone(),
                extracted: routed.extracted,
                ignored,
            };
            dump.tables.entry(target).or_default().files.push(data);
        }
    }
    Ok(())
}

/// Reads the manifest of every folder that has one, and refuses a dump that has not ended.
async fn read_manifests(
    dump: &mut Dump,
    source: &Source,
    storage: &dyn Storage,
    entries: &[Entry],
) -> Result<()> {
    let Dump { tables, manifests, .. } = dump;
    let there: HashSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    let paths = entries.iter().map(|entry| entry.name.as_str());
    let records: Vec<&str> = paths.filter(|name| file_name(name) == MANIFEST).collect();
    let folders: HashSet<&str> = records.iter().map(|name| folder_of(name)).collect();
    // A dump may have folders of its own (rdump's templates), so it is the nearest manifest that tells of a file.
    let mut files: HashMap<&str, Vec<&DataFile>> = HashMap::new();
    for file in tables.values().flat_map(|table| &table.files) {
        if let Some(folder) = folders_above(&file.path).find(|folder| folders.contains(folder)) {
            files.entry(folder).or_default().push(file);
        }
    }
    for name in records {
        let folder = folder_of(name);
        let files = files.get(folder).map_or(&[][..], Vec::as_slice);
        let bytes = storage.read(name).await.context(codes::STORAGE_UNKNOWN, || format!("read {name}"))?;
        let manifest = Manifest::from_bytes(&bytes)
            .map_err(|cause| fail(codes::CHECK_DATA_SOURCE, format!("file '{name}': {cause}")))?;
        if manifest.end.is_none() {
            if files.is_empty() {
                continue;
            }
            return Err(fail(
                codes::CHECK_DATA_SOURCE,
                format!(
                    "folder '{}' holds a dump that rdump has not finished (its manifest has no end): let it finish or dump it again",
                    if folder.is_empty() { storage.uri() } else { folder }
                ),
            ));
        }
        whole(source, &there, folder, &manifest)?;
        if files.is_empty() {
            continue;
        }
        against_manifest(files, folder, &manifest)?;
        let manifest = Arc::new(manifest);
        let below = names(&manifest).filter(|name| name.contains('/'));
        for path in below.map(|name| path_in(folder, name)) {
            if !manifests.contains_key(folder_of(&path)) {
                manifests.insert(folder_of(&path).to_owned(), Arc::clone(&manifest));
            }
        }
        manifests.insert(folder.to_owned(), manifest);
    }
    Ok(())
}

/// The folder of a file, the one that this is in, and so on up to the source.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(folder_of(path)), |folder| {
        if folder.is_empty() { None } else { Some(folder_of(folder)) }
    })
}

/// All files of a manifest.
fn names(manifest: &Manifest) -> impl Iterator<Item = &str> {
    let schemas = manifest.schemas.iter().map(|line| line.name.as_str());
    manifest.files.iter().map(|line| line.name.as_str()).chain(schemas)
}

/// Every file that rdump wrote must be there, if it would take part.
fn whole(source: &Source, there: &HashSet<&str>, folder: &str, manifest: &Manifest) -> Result<()> {
    let schemas = manifest.schemas.iter().filter(|_| !source.no_schema).map(|line| &line.name);
    for name in manifest.files.iter().map(|line| &line.name).chain(schemas) {
        let path = path_in(folder, name);
        if there.contains(&*path) {
            continue;
        }
        let Some(Role::Part(file, packing)) = source.rules.role(&path)? else { continue };
        let mut would = Dump::default();
        add(&mut would, source, &Entry { name: path.clone().into_owned(), size: 0 }, (&file, packing))?;
        if !(would.tables.is_empty() && would.schemas.is_empty() && would.views.is_empty()) {
            return Err(incomplete(&path, "rdump wrote it, but it is not there"));
        }
    }
    Ok(())
}

fn incomplete(path: &str, what: &str) -> Error {
    fail(
        codes::CHECK_DATA_SOURCE,
        format!(
            "file '{path}': {what}; copy the dump again, or dump it again, or leave its table out with `mydumper.filter`"
        ),
    )
}

/// Files that rdump wrote must have their length; others are named.
fn against_manifest(files: &[&DataFile], folder: &str, manifest: &Manifest) -> Result<()> {
    let lines: HashMap<Cow<'_, str>, &FileLine> =
        manifest.files.iter().map(|line| (path_in(folder, &line.name), line)).collect();
    for file in files {
        match lines.get(&*file.path) {
            Some(line) if file.form.packing == Packing::Plain && file.size != line.bytes => {
                let what = format!("it has {} bytes, rdump wrote {}", file.size, line.bytes);
                return Err(incomplete(&file.path, &what));
            }
            Some(_) => {}
            None if file.folder() == folder => {
                warn!(path = %file.path, "file is read, but the manifest of its folder does not know it");
            }
            None => {}
        }
    }
    Ok(())
}

/// A file of a manifest, whose name may begin with folders (rdump's templates), in the source.
fn path_in<'n>(folder: &str, name: &'n str) -> Cow<'n, str> {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}").into() }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}
