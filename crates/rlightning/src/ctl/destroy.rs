//! `-checkpoint-error-destroy`: an unfinished import of a table is undone, so that the next run begins it anew.
//!
//! The real tool drops the table. This one empties it, which keeps a definition that somebody wrote by hand, and only if all that it holds is
//! what the tasks of this source have brought into it.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::TableName;
use mysql::{Conn, ErrorClass};

use super::{is_of, parse_table, unknown};
use crate::config::Config;
use crate::error::{Context, Result, fail};
use crate::ledger;

/// Runs it for one table, or for all of the source's unfinished tasks. `known`: a checkpoint knew the table.
pub(super) async fn run(config: &Config, conn: &mut Conn, table: &str, known: bool) -> Result<()> {
    let schema = &config.ledger_schema;
    let own: BTreeSet<u64> = ledger::list(conn, schema)
        .await?
        .into_iter()
        .filter(|task| task.current && is_of(config, task))
        .map(|task| task.task)
        .collect();
    let shares = ledger::shares(conn, schema).await?;
    let mut rows: BTreeMap<&TableName, u64> = BTreeMap::new();
    for share in shares.iter().filter(|share| own.contains(&share.task)) {
        *rows.entry(&share.table).or_default() += share.rows;
    }
    if table != "all" {
        let wanted = parse_table(table)?;
        rows.retain(|name, _| **name == wanted);
        if rows.is_empty() && !known {
            return Err(unknown(table, schema));
        }
    }
    let finished = ledger::marks(conn, schema, None).await?;
    let mut kept = Vec::new();
    for (name, rows) in rows {
        let others =
            shares.iter().any(|share| share.table == *name && !own.contains(&share.task) && share.rows > 0);
        let whose = finished.iter().find(|mark| mark.table == *name && mark.rows > 0);
        let held = held(conn, name).await?;
        let why = match (others, whose, held) {
            (_, _, None | Some(0)) => None,
            (true, ..) => Some("rows of another unfinished task are in it".to_owned()),
            (_, Some(mark), _) => Some(format!(
                "it holds {} rows from {}, finished at {}",
                mark.rows, mark.source, mark.finished
            )),
            (_, None, Some(held)) if held != rows => {
                Some(format!("it holds {held} rows, and the task has brought {rows} into it"))
            }
            _ => None,
        };
        if let Some(why) = why {
            kept.push(format!(
                "{name} is kept: {why}. Remove the rows of the task yourself, then run {}",
                config.advice.remove(name)
            ));
            continue;
        }
        let doing = || format!("empty table {name}");
        if held.is_some_and(|held| held > 0) {
            common::out::eprintln(&format!("Emptying table: {name}"));
            conn.exec(format!("TRUNCATE TABLE {}", name.quoted()))
                .await
                .context(codes::CLEAN_CHECKPOINT, doing)?;
        }
        ledger::remove_table(conn, schema, name).await.context(codes::CLEAN_CHECKPOINT, doing)?;
        common::out::println(&format!("{name} is empty, the next run imports it from the begin"));
    }
    if kept.is_empty() { Ok(()) } else { Err(fail(codes::CLEAN_CHECKPOINT, kept.join(";\n"))) }
}

/// Rows of a table; `None` if it is not there.
async fn held(conn: &mut Conn, table: &TableName) -> Result<Option<u64>> {
    match conn.query_one(format!("SELECT COUNT(*) AS held FROM {}", table.quoted())).await {
        Ok(row) => Ok(row.and_then(|row| row.parse("held").ok().flatten())),
        Err(error) if matches!(error.class(), ErrorClass::UnknownTable | ErrorClass::UnknownDatabase) => {
            Ok(None)
        }
        Err(error) => Err(error).context(codes::DB_CONNECT, || format!("count the rows of {table}")),
    }
}
