//! What target tables held before the import: written down before the first row of the task goes into them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::Conn;
use mysql::row_hash::Sums;
use tracing::info;

use super::shadow;
use crate::config::Config;
use crate::downstream::tables;
use crate::error::{Context, Result, fail};
use crate::import::file::FileTask;
use crate::ledger::{self, Ledger};

/// What a table held.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Base {
    /// Its rows.
    pub sums: Sums,
    /// Columns that are not in it, in small letters.
    pub left_out: BTreeSet<String>,
    /// The task before which that was.
    pub task: u64,
}

/// Writes down what the tables of the task hold of which no row is in yet. Tables that a run without `--verify` has begun are left out:
/// nobody knows any more.
///
/// # Errors
/// Triggers, which make other rows than the files have; the server's.
pub async fn note(conn: &mut Conn, config: &Config, ledger: &Ledger, tasks: &[Arc<FileTask>]) -> Result<()> {
    let mut by_table: BTreeMap<&TableName, Vec<Arc<FileTask>>> = BTreeMap::new();
    for task in tasks.iter().filter(|task| !task.table.keeps_nothing()) {
        by_table.entry(&task.record.target).or_default().push(Arc::clone(task));
    }
    let known = read(conn, config, ledger).await?;
    let begun = ledger.rows_by_table(conn).await?;
    let is_known = |name: &TableName| known.get(name).is_some_and(|base| base.task == ledger.task());
    by_table.retain(|name, _| !is_known(name) && !begun.contains_key(*name));
    let wanted: BTreeSet<&TableName> = by_table.keys().copied().collect();
    refuse_triggers(conn, &wanted).await?;
    let infos = tables::load(conn, &wanted).await?;
    let mut rows = Vec::new();
    for (name, files) in &by_table {
        let Some(info) = infos.get(*name) else { continue };
        let doing = || format!("look at what {name} holds");
        let query = format!("SELECT 1 AS one FROM {} LIMIT 1", info.name.quoted());
        let holds = conn.query_one(query).await.context(codes::DB_CONNECT, doing)?.is_some();
        let mut base = Base::default();
        let described = shadow::describe(conn, info).await?;
        base.left_out = described.unfilled(files);
        if holds {
            let compared = described.without(base.left_out.clone());
            // A session of its own: this one is set up for the task.
            let doing = || format!("work out what {name} holds");
            conn.exec("SET @rlightning_zone = @@session.time_zone")
                .await
                .context(codes::DB_CONNECT, doing)?;
            conn.exec("SET SESSION time_zone = '+00:00'").await.context(codes::DB_CONNECT, doing)?;
            for row in conn.query(compared.sums(None, 1)).await.context(codes::DB_CONNECT, doing)?.iter() {
                base.sums += Sums::of_summary(row).context(codes::DB_CONNECT, doing)?.1;
            }
            conn.exec("SET SESSION time_zone = @rlightning_zone").await.context(codes::DB_CONNECT, doing)?;
            info!(table = %name, rows = base.sums.rows, "the table held rows before the import");
        }
        rows.push((*name, base));
    }
    write(conn, config, ledger, &rows).await
}

async fn write(conn: &mut Conn, config: &Config, ledger: &Ledger, rows: &[(&TableName, Base)]) -> Result<()> {
    for group in rows.chunks(200) {
        let values: Vec<String> = group
            .iter()
            .map(|(name, base)| {
                let left_out: Vec<&str> = base.left_out.iter().map(String::as_str).collect();
                let left_out = serde_json::to_string(&left_out).unwrap_or_default();
                format!(
                    "('{}',{},{},{},{},{},{},{})",
                    ledger.name_hash(),
                    quote_string(&name.schema),
                    quote_string(&name.table),
                    ledger.task(),
                    base.sums.rows,
                    base.sums.first,
                    base.sums.second,
                    quote_string(&left_out)
                )
            })
            .collect();
        let sql = format!(
            "REPLACE INTO {} (name, target_schema, target_table, task_id, row_count, first_sum, second_sum, left_out) VALUES {}",
            ledger::name_of_base(&config.ledger_schema),
            values.join(",")
        );
        let doing = || "write down what the tables held before the import".to_owned();
        conn.exec(sql).await.context(codes::UPDATE_CHECKPOINT, doing)?;
    }
    Ok(())
}

/// What was written down for this source, by this task or an earlier one.
///
/// # Errors
/// The server's.
pub async fn read(conn: &mut Conn, config: &Config, ledger: &Ledger) -> Result<BTreeMap<TableName, Base>> {
    let doing = || "read what the tables held before the import".to_owned();
    let query = format!(
        "SELECT target_schema, target_table, row_count, first_sum, second_sum, left_out, task_id FROM {} WHERE name = '{}'",
        ledger::name_of_base(&config.ledger_schema),
        ledger.name_hash()
    );
    let rows = conn.query(query).await.context(codes::READ_CHECKPOINT, doing)?;
    let base = |row: &mysql::Row| -> mysql::Result<(TableName, Base)> {
        let sums = Sums {
            rows: row.parse(2)?.unwrap_or(0),
            first: row.parse(3)?.unwrap_or(0),
            second: row.parse(4)?.unwrap_or(0),
        };
        let left_out = serde_json::from_str(&row.text(5)?)
            .map_err(|error| mysql::Error::value(format!("the ledger is damaged: {error}")))?;
        let task = row.parse(6)?.unwrap_or(0);
        Ok((TableName::new(row.text(0)?, row.text(1)?), Base { sums, left_out, task }))
    };
    rows.iter().map(base).collect::<mysql::Result<_>>().context(codes::READ_CHECKPOINT, doing)
}

/// Triggers of INSERT may change rows, or bring others in.
async fn refuse_triggers(conn: &mut Conn, wanted: &BTreeSet<&TableName>) -> Result<()> {
    let schemas: BTreeSet<&str> = wanted.iter().map(|name| name.schema.as_str()).collect();
    for schema in schemas {
        let query = format!(
            "SELECT EVENT_OBJECT_TABLE AS name, TRIGGER_NAME AS trigger_name FROM information_schema.TRIGGERS \
             WHERE EVENT_OBJECT_SCHEMA = {} AND EVENT_MANIPULATION = 'INSERT'",
            quote_string(schema)
        );
        let doing = || "look for triggers".to_owned();
        for row in conn.query(query).await.context(codes::DB_CONNECT, doing)?.iter() {
            let name = TableName::new(schema, row.text("name").context(codes::DB_CONNECT, doing)?);
            let trigger = row.text("trigger_name").context(codes::DB_CONNECT, doing)?;
            if wanted.contains(&name) {
                return Err(fail(
                    codes::PRE_CHECK_FAILED,
                    format!(
                        "--verify can't be exact: trigger `{trigger}` of {name} may change rows while they come in, or bring in others. Drop it \
                         for the import, or import without --verify"
                    ),
                ));
            }
        }
    }
    Ok(())
}
