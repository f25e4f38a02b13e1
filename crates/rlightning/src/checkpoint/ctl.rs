//! What `rlightning ctl` does to a checkpoint of the real tool's form, where the configuration names a place of them.

use std::path::Path;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::without_parameters;
use mysql::Conn;

use super::{Checkpoint, FAILED, LOADED, Place, TableState, read};
use crate::config::Config;
use crate::error::{Context, Result, fail};

/// `rlightning ctl -checkpoint-remove`: whether the checkpoint, or the table in it, was there.
///
/// # Errors
/// The server's, or the file's.
pub async fn remove(config: &Config, conn: &mut Conn, table: Option<&TableName>) -> Result<bool> {
    let Some(place) = &config.checkpoint_place else { return Ok(false) };
    let Some(mut found) = read(conn, place).await? else { return Ok(false) };
    let known = match table {
        None => true,
        Some(table) => found.tables.remove(&table.quoted()).is_some(),
    };
    if known {
        // Without tables it still says whose it is, as the ledger notes.
        let rest = table.is_some().then_some(&found);
        put(conn, place, rest).await?;
        let what = table.map_or_else(|| "the checkpoint".to_owned(), TableName::to_string);
        common::out::println(&format!("removed {what} in {place}"));
    }
    Ok(known)
}

/// `rlightning ctl -checkpoint-error-ignore`: failed tables of a checkpoint are to be gone on with. Whether it knows the table.
///
/// # Errors
/// The server's, or the file's.
pub async fn ignore_errors(config: &Config, conn: &mut Conn, table: Option<&TableName>) -> Result<bool> {
    let Some(place) = &config.checkpoint_place else { return Ok(false) };
    let Some(mut found) = read(conn, place).await? else { return Ok(false) };
    let wanted = table.map(TableName::quoted);
    let mut known = false;
    for (name, state) in &mut found.tables {
        if wanted.as_ref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        known = true;
        for status in std::iter::once(&mut state.status)
            .chain(state.engines.values_mut().map(|engine| &mut engine.status))
        {
            if *status <= FAILED {
                *status = LOADED;
            }
        }
    }
    if known {
        put(conn, place, Some(&found)).await?;
        common::out::println(&format!("the tables in {place} are to be gone on with"));
    }
    Ok(known)
}

/// Undoes the failed tables of a real tool's checkpoint, or the one that is named: they are emptied and forgotten if they hold the rows
/// that it tells of and no others. Whether it knows the table; one of ours is left to the ledger.
///
/// # Errors
/// Tables that hold other rows, which are kept; the server's.
pub async fn destroy(config: &Config, conn: &mut Conn, table: Option<&TableName>) -> Result<bool> {
    let Some((place, mut found)) = of_real_tool(config, conn).await? else { return Ok(false) };
    let wanted = table.map(TableName::quoted);
    let (mut known, mut kept) = (false, Vec::new());
    for (name, state) in found.tables.clone() {
        let failed = state.status <= FAILED || state.engines.values().any(|engine| engine.status <= FAILED);
        if wanted.as_ref().map_or(!failed, |wanted| *wanted != name) {
            continue;
        }
        known = true;
        let told = told(&state);
        let held = held(conn, &name).await?;
        if held != told {
            kept.push(format!("{name} is kept: it holds {held} rows, and the checkpoint tells of {told}"));
            continue;
        }
        common::out::eprintln(&format!("Emptying table: {name}"));
        conn.exec(format!("TRUNCATE TABLE {name}"))
            .await
            .context(codes::CLEAN_CHECKPOINT, || format!("empty table {name}"))?;
        found.tables.remove(&name);
        put(conn, &place, Some(&found).filter(|found| !found.tables.is_empty())).await?;
        common::out::println(&format!("{name} is empty, the next run imports it from the begin"));
    }
    if kept.is_empty() { Ok(known) } else { Err(fail(codes::CLEAN_CHECKPOINT, kept.join(";\n"))) }
}

/// Forgets in a checkpoint of ours the table, or all, that the ledger has forgotten.
///
/// # Errors
/// The server's, or the file's.
pub async fn forget(config: &Config, conn: &mut Conn, table: Option<&TableName>) -> Result<()> {
    let Some(place) = &config.checkpoint_place else { return Ok(()) };
    let Some(mut found) = read(conn, place).await?.filter(Checkpoint::is_ours) else { return Ok(()) };
    match table {
        None => found.tables.clear(),
        Some(table) => drop(found.tables.remove(&table.quoted())),
    }
    put(conn, place, Some(&found)).await
}

/// Writes or removes the checkpoint, whole or not at all: of one that is half gone nobody would know which rows are in.
async fn put(conn: &mut Conn, place: &Place, checkpoint: Option<&Checkpoint>) -> Result<()> {
    let doing = || format!("write the checkpoint in {place}");
    conn.exec("START TRANSACTION").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    super::put(conn, place, checkpoint).await?;
    conn.exec("COMMIT").await.context(codes::UPDATE_CHECKPOINT, doing)?;
    Ok(())
}

/// Rows that a checkpoint tells of.
pub(super) fn told(state: &TableState) -> u64 {
    let chunks = state.engines.values().flat_map(|engine| engine.chunks.values());
    chunks.map(|chunk| chunk.kvc_kvs).sum()
}

/// Rows of a table, whose name is quoted.
pub(super) async fn held(conn: &mut Conn, table: &str) -> Result<u64> {
    let doing = || format!("count the rows of {table}");
    let row = conn
        .query_one(format!("SELECT COUNT(*) AS held FROM {table}"))
        .await
        .context(codes::READ_CHECKPOINT, doing)?;
    let held = row.map(|row| row.parse::<u64>("held")).transpose().context(codes::READ_CHECKPOINT, doing)?;
    // A number that is not known must not pass for 0, at which a table may be emptied.
    held.flatten()
        .ok_or_else(|| fail(codes::READ_CHECKPOINT, format!("{}: the server gave no number", doing())))
}

/// The checkpoint, if a real tool wrote it.
///
/// # Errors
/// One that cannot be read.
pub async fn of_real_tool(config: &Config, conn: &mut Conn) -> Result<Option<(Place, Checkpoint)>> {
    let Some(place) = &config.checkpoint_place else { return Ok(None) };
    let found = read(conn, place).await?.filter(|found| !found.is_ours());
    Ok(found.map(|found| (place.clone(), found)))
}

/// Writes a checkpoint as `tables.csv`, `engines.csv` and `chunks.csv`.
///
/// # Errors
/// The folder's.
pub fn dump(found: &Checkpoint, dir: &Path) -> Result<()> {
    let task = found.task_id();
    let mut tables = vec!["task_id,table_name,hash,status,alloc_base,table_id".to_owned()];
    let mut engines = vec!["table_name,engine_id,status".to_owned()];
    let mut chunks = vec![
        "table_name,engine_id,path,offset,type,compression,sort_key,file_size,columns,end_offset,pos,prev_rowid_max,rowid_max,kvc_bytes,\
         kvc_kvs,kvc_checksum"
            .to_owned(),
    ];
    let field = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (name, state) in &found.tables {
        let name = field(name);
        tables.push(format!("{task},{name},30,{},{},{}", state.status, state.alloc_base, state.table_id));
        for (id, engine) in &state.engines {
            engines.push(format!("{name},{id},{}", engine.status));
            for chunk in engine.chunks.values() {
                let columns = field(&serde_json::to_string(&chunk.columns).unwrap_or_default());
                chunks.push(format!(
                    "{name},{id},{},{},{},{},{},{},{columns},{},{},{},{},{},{},{}",
                    field(&chunk.path),
                    chunk.offset,
                    chunk.kind,
                    chunk.compression,
                    field(&chunk.sort_key),
                    chunk.file_size,
                    chunk.end_offset,
                    chunk.pos,
                    chunk.prev_rowid_max,
                    chunk.rowid_max,
                    chunk.kvc_bytes,
                    chunk.kvc_kvs,
                    chunk.kvc_checksum
                ));
            }
        }
    }
    let doing = || format!("write into folder {}", dir.display());
    std::fs::create_dir_all(dir).context(codes::STORAGE_UNKNOWN, doing)?;
    for (name, lines) in [("tables.csv", tables), ("engines.csv", engines), ("chunks.csv", chunks)] {
        let text = lines.join("\n") + "\n";
        common::crashsafe::write_atomic(&dir.join(name), text.as_bytes())
            .context(codes::STORAGE_UNKNOWN, doing)?;
    }
    Ok(())
}

/// A line for `-list`.
///
/// # Errors
/// One that cannot be read.
pub async fn line(config: &Config, conn: &mut Conn) -> Result<Option<String>> {
    let found = of_real_tool(config, conn).await?;
    Ok(found.map(|(place, found)| {
        let rows: u64 = found.tables.values().map(told).sum();
        let source = found.task.as_ref().map_or("", |task| without_parameters(&task.source_dir));
        format!(
            "checkpoint of TiDB Lightning in {place}: task {} from {source}: {} tables, {rows} rows",
            found.task_id(),
            found.tables.len()
        )
    }))
}
