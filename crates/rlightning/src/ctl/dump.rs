//! `-checkpoint-dump`: the ledger as CSV files, in the columns of the real tool's checkpoint tables (facts/lightning.md 6.2) as far as there
//! is something to say: a piece of a file is a chunk.

use std::collections::BTreeMap;
use std::path::Path;

use common::error::lightning_codes as codes;
use mysql::Conn;

use crate::error::{Context, Result};
use crate::ledger;

/// Loaded, and all written, in the real tool's numbers.
const LOADED: u8 = 30;
const WRITTEN: u8 = 60;

/// Writes `tables.csv`, `engines.csv` and `chunks.csv`.
pub(super) async fn run(conn: &mut Conn, schema: &str, dir: &Path) -> Result<()> {
    let mut tables: BTreeMap<(u64, String), bool> = BTreeMap::new();
    let mut chunks = vec![
        "task_id,table_name,engine_id,path,offset,file_size,end_offset,pos,kvc_bytes,kvc_kvs".to_owned(),
    ];
    for chunk in ledger::chunks(conn, schema).await? {
        let end = chunk.piece.end;
        let done = chunk.pos >= end;
        let name = chunk.table.quoted();
        // The end of a packed file is not known, as in the real tool.
        let shown = if end == u64::MAX { 10 << 40 } else { end };
        chunks.push(format!(
            "{},{},0,{},{},{},{shown},{},{},{}",
            chunk.task,
            field(&name),
            field(&chunk.path),
            chunk.piece.begin,
            chunk.size,
            chunk.pos,
            chunk.pos - chunk.piece.begin,
            chunk.rows
        ));
        *tables.entry((chunk.task, name)).or_insert(true) &= done;
    }
    let mut table_lines = vec!["task_id,table_name,status".to_owned()];
    let mut engine_lines = vec!["table_name,engine_id,status".to_owned()];
    for ((task, name), done) in &tables {
        let status = if *done { WRITTEN } else { LOADED };
        table_lines.push(format!("{task},{},{status}", field(name)));
        for engine in [0, -1] {
            engine_lines.push(format!("{},{engine},{status}", field(name)));
        }
    }
    let doing = || format!("write into folder {}", dir.display());
    std::fs::create_dir_all(dir).context(codes::STORAGE_UNKNOWN, doing)?;
    for (name, lines) in [("tables.csv", table_lines), ("engines.csv", engine_lines), ("chunks.csv", chunks)]
    {
        let text = lines.join("\n") + "\n";
        common::crashsafe::write_atomic(&dir.join(name), text.as_bytes())
            .context(codes::STORAGE_UNKNOWN, doing)?;
    }
    Ok(())
}

fn field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
