//! The driver `mysql`: four tables in a schema of the target.

use std::collections::BTreeMap;

use common::error::lightning_codes as codes;
use common::ident::{quote, quote_string};
use mysql::{Conn, Row};

use super::{Checkpoint, ChunkState, EngineState, TableState, TaskState};
use crate::error::{Context, Result};

const TASK: &str = "task_v2";
const TABLE: &str = "table_v9";
const ENGINE: &str = "engine_v5";
const CHUNK: &str = "chunk_v5";

/// As the real tool creates them. The engine is named, because the server's default may be one without transactions.
const DEFINITIONS: [(&str, &str); 4] = [
    (
        TASK,
        "id tinyint(1) PRIMARY KEY, task_id bigint NOT NULL, source_dir varchar(256) NOT NULL, backend varchar(16) NOT NULL, \
         importer_addr varchar(256), tidb_host varchar(128) NOT NULL, tidb_port int NOT NULL, pd_addr varchar(128) NOT NULL, \
         sorted_kv_dir varchar(256) NOT NULL, lightning_ver varchar(48) NOT NULL",
    ),
    (
        TABLE,
        "task_id bigint NOT NULL, table_name varchar(261) NOT NULL PRIMARY KEY, hash binary(32) NOT NULL, \
         status tinyint unsigned DEFAULT 30, alloc_base bigint NOT NULL DEFAULT 0, table_id bigint NOT NULL DEFAULT 0, \
         table_info longtext NOT NULL, create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
         kv_bytes bigint unsigned NOT NULL DEFAULT 0, kv_kvs bigint unsigned NOT NULL DEFAULT 0, \
         kv_checksum bigint unsigned NOT NULL DEFAULT 0, INDEX(task_id)",
    ),
    (
        ENGINE,
        "table_name varchar(261) NOT NULL, engine_id int NOT NULL, status tinyint unsigned DEFAULT 30, \
         create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
         PRIMARY KEY(table_name, engine_id DESC)",
    ),
    (
        CHUNK,
        "table_name varchar(261) NOT NULL, engine_id int unsigned NOT NULL, path varchar(2048) NOT NULL, `offset` bigint NOT NULL, \
         type int NOT NULL, compression int NOT NULL, sort_key varchar(256) NOT NULL, file_size bigint NOT NULL, columns text NULL, \
         should_include_row_id bool NOT NULL, end_offset bigint NOT NULL, pos bigint NOT NULL, prev_rowid_max bigint NOT NULL, \
         rowid_max bigint NOT NULL, kvc_bytes bigint unsigned NOT NULL DEFAULT 0, kvc_kvs bigint unsigned NOT NULL DEFAULT 0, \
         kvc_checksum bigint unsigned NOT NULL DEFAULT 0, create_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, \
         update_time timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, \
         PRIMARY KEY(table_name, engine_id, path(500), `offset`)",
    ),
];

fn table(schema: &str, name: &str) -> String {
    format!("{}.{}", quote(schema), quote(name))
}

/// Creates what is missing; ends an open transaction.
pub(super) async fn create(conn: &mut Conn, schema: &str) -> mysql::Result<()> {
    conn.exec(format!("CREATE DATABASE IF NOT EXISTS {}", quote(schema))).await?;
    for (name, definition) in DEFINITIONS {
        conn.exec(format!(
            "CREATE TABLE IF NOT EXISTS {} ({definition}) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT=DYNAMIC",
            table(schema, name)
        ))
        .await?;
    }
    Ok(())
}

async fn exists(conn: &mut Conn, schema: &str) -> mysql::Result<bool> {
    let row = conn
        .query_one(format!(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME IN ('{TASK}','{TABLE}','{ENGINE}','{CHUNK}')",
            quote_string(schema)
        ))
        .await?;
    Ok(row.and_then(|row| row.parse::<u64>(0).ok().flatten()) == Some(4))
}

/// Replaces what is in the tables; nothing is created and no transaction begun or ended.
pub(super) async fn replace(
    conn: &mut Conn,
    schema: &str,
    checkpoint: Option<&Checkpoint>,
) -> mysql::Result<()> {
    if checkpoint.is_none() && !exists(conn, schema).await? {
        return Ok(());
    }
    for name in [CHUNK, ENGINE, TABLE, TASK] {
        conn.exec(format!("DELETE FROM {}", table(schema, name))).await?;
    }
    let Some(checkpoint) = checkpoint else { return Ok(()) };
    if let Some(task) = &checkpoint.task {
        conn.exec(format!("INSERT INTO {} VALUES {}", table(schema, TASK), task_row(task))).await?;
    }
    let (mut tables, mut engines, mut chunks) = (Vec::new(), Vec::new(), Vec::new());
    for (name, state) in &checkpoint.tables {
        let quoted = quote_string(name);
        tables.push(format!(
            "({},{quoted},'30',{},{},{},{},{},{},{})",
            checkpoint.task_id(),
            state.status,
            state.alloc_base,
            state.table_id,
            quote_string(&String::from_utf8_lossy(&state.table_info)),
            state.kv_bytes,
            state.kv_kvs,
            state.kv_checksum
        ));
        for (id, engine) in &state.engines {
            engines.push(format!("({quoted},{id},{})", engine.status));
            chunks.extend(engine.chunks.values().map(|chunk| chunk_row(&quoted, *id, chunk)));
        }
    }
    for (name, columns, rows) in [
        (
            TABLE,
            "task_id,table_name,hash,status,alloc_base,table_id,table_info,kv_bytes,kv_kvs,kv_checksum",
            tables,
        ),
        (ENGINE, "table_name,engine_id,status", engines),
        (
            CHUNK,
            "table_name,engine_id,path,`offset`,type,compression,sort_key,file_size,columns,should_include_row_id,end_offset,pos,\
             prev_rowid_max,rowid_max,kvc_bytes,kvc_kvs,kvc_checksum",
            chunks,
        ),
    ] {
        for group in rows.chunks(500) {
            let rows = group.join(",");
            conn.exec(format!("INSERT INTO {} ({columns}) VALUES {rows}", table(schema, name))).await?;
        }
    }
    Ok(())
}

fn task_row(task: &TaskState) -> String {
    format!(
        "(1,{},{},{},{},{},{},{},{},{})",
        task.task_id,
        quote_string(&task.source_dir),
        quote_string(&task.backend),
        quote_string(&task.importer_addr),
        quote_string(&task.tidb_host),
        task.tidb_port,
        quote_string(&task.pd_addr),
        quote_string(&task.sorted_kv_dir),
        quote_string(&task.lightning_ver)
    )
}

fn chunk_row(table: &str, engine: i32, chunk: &ChunkState) -> String {
    let columns = match chunk.columns.is_empty() {
        true => "NULL".to_owned(),
        false => quote_string(&serde_json::to_string(&chunk.columns).unwrap_or_default()),
    };
    format!(
        "({table},{engine},{},{},{},{},{},{},{columns},0,{},{},{},{},{},{},{})",
        quote_string(&chunk.path),
        chunk.offset,
        chunk.kind,
        chunk.compression,
        quote_string(&chunk.sort_key),
        chunk.file_size,
        chunk.end_offset,
        chunk.pos,
        chunk.prev_rowid_max,
        chunk.rowid_max,
        chunk.kvc_bytes,
        chunk.kvc_kvs,
        chunk.kvc_checksum
    )
}

/// Reads the tables; `None` if they are not there or empty.
pub(super) async fn read(conn: &mut Conn, schema: &str) -> Result<Option<Checkpoint>> {
    let doing = || format!("read the checkpoint in schema {}", quote(schema));
    read_tables(conn, schema).await.context(codes::READ_CHECKPOINT, doing)
}

fn number<T: std::str::FromStr + Default>(row: &Row, column: &str) -> mysql::Result<T> {
    Ok(row.parse::<T>(column)?.unwrap_or_default())
}

async fn read_tables(conn: &mut Conn, schema: &str) -> mysql::Result<Option<Checkpoint>> {
    if !exists(conn, schema).await? {
        return Ok(None);
    }
    let row = conn.query_one(format!("SELECT * FROM {}", table(schema, TASK))).await?;
    let Some(row) = row else { return Ok(None) };
    let task = TaskState {
        task_id: number(&row, "task_id")?,
        source_dir: row.text("source_dir")?,
        backend: row.text("backend")?,
        importer_addr: row.str("importer_addr")?.unwrap_or_default(),
        tidb_host: row.text("tidb_host")?,
        tidb_port: number(&row, "tidb_port")?,
        pd_addr: row.text("pd_addr")?,
        sorted_kv_dir: row.text("sorted_kv_dir")?,
        lightning_ver: row.text("lightning_ver")?,
    };
    let mut tables: BTreeMap<String, TableState> = BTreeMap::new();
    for row in conn.query(format!("SELECT * FROM {}", table(schema, TABLE))).await?.iter() {
        let state = TableState {
            status: number(row, "status")?,
            alloc_base: number(row, "alloc_base")?,
            table_id: number(row, "table_id")?,
            kv_bytes: number(row, "kv_bytes")?,
            kv_kvs: number(row, "kv_kvs")?,
            kv_checksum: number(row, "kv_checksum")?,
            table_info: row.text("table_info")?.into_bytes(),
            ..TableState::default()
        };
        tables.insert(row.text("table_name")?, state);
    }
    for row in conn.query(format!("SELECT * FROM {}", table(schema, ENGINE))).await?.iter() {
        let engine = EngineState { status: number(row, "status")?, ..EngineState::default() };
        let table = tables.entry(row.text("table_name")?).or_default();
        table.engines.insert(number(row, "engine_id")?, engine);
    }
    for row in conn.query(format!("SELECT * FROM {}", table(schema, CHUNK))).await?.iter() {
        let columns = match row.str("columns")?.unwrap_or_default().as_ref() {
            "" => Vec::new(),
            text => serde_json::from_str(text)
                .map_err(|error| mysql::Error::value(format!("the columns `{text}` of a chunk: {error}")))?,
        };
        let chunk = ChunkState {
            path: row.text("path")?,
            offset: number(row, "offset")?,
            end_offset: number(row, "end_offset")?,
            pos: number(row, "pos")?,
            prev_rowid_max: number(row, "prev_rowid_max")?,
            rowid_max: number(row, "rowid_max")?,
            kvc_bytes: number(row, "kvc_bytes")?,
            kvc_kvs: number(row, "kvc_kvs")?,
            kvc_checksum: number(row, "kvc_checksum")?,
            columns,
            timestamp: 0,
            kind: number(row, "type")?,
            compression: number(row, "compression")?,
            sort_key: row.text("sort_key")?,
            file_size: number(row, "file_size")?,
        };
        let table = tables.entry(row.text("table_name")?).or_default();
        let engine = table.engines.entry(number(row, "engine_id")?).or_default();
        engine.chunks.insert(format!("{}:{}", chunk.path, chunk.offset), chunk);
    }
    Ok(Some(Checkpoint { tables, task: Some(task) }))
}
