//! Waiting until the task's checkpoint has passed what the sources hold.

use std::fmt::Display;
use std::time::{Duration, Instant};

use common::error::{DmError, dm_codes as code};
use common::ident::{TableName, quote_string};
use common::out;
use mysql::{Conn, Flavor, GtidSet, Location};
use tracing::info;

use crate::config::{Database, SubtaskConfig};

const ASK_EVERY: Duration = Duration::from_millis(200);

/// Who watches is told as often that there is still something to wait for.
const TELL_EVERY: Duration = Duration::from_secs(10);

const UNKNOWN_TABLE: u16 = 1146;
const UNKNOWN_DATABASE: u16 = 1049;

/// A query that failed, with the server it was sent to.
pub fn broken(server: &str, error: &dyn Display) -> DmError {
    code::DB_QUERY_FAILED.error(format!("{server}: {error}"))
}

/// Notes the position of every source, then waits until the checkpoint is there.
///
/// # Errors
/// A server that can't be asked; `timeout` passed.
pub async fn until_passed(subtasks: &[SubtaskConfig], timeout: Duration) -> Result<(), DmError> {
    let mut noted = Vec::with_capacity(subtasks.len());
    for subtask in subtasks {
        noted.push(position(subtask).await?);
    }
    for (subtask, noted) in subtasks.iter().zip(&noted) {
        wait_for(subtask, noted, timeout).await?;
    }
    Ok(())
}

async fn connect(database: &Database) -> Result<Conn, DmError> {
    Conn::connect(&database.endpoint()).await.map_err(|error| broken(&database.to_string(), &error))
}

async fn position(subtask: &SubtaskConfig) -> Result<Location, DmError> {
    let mut connection = connect(&subtask.source).await?;
    let location = mysql::session::binlog_location(&mut connection)
        .await
        .map_err(|error| broken(&subtask.source.to_string(), &error))?;
    connection.close().await;
    location.ok_or_else(|| {
        code::NO_MASTER_STATUS.error(format!("source {} at {}", subtask.source_id, subtask.source))
    })
}

async fn wait_for(subtask: &SubtaskConfig, noted: &Location, timeout: Duration) -> Result<(), DmError> {
    let begin = Instant::now();
    let (mut told, mut last) = (begin, None);
    let mut connection = connect(&subtask.target).await?;
    info!(
        source = subtask.source_id,
        position = noted.position_text(),
        "wait for the checkpoint to pass the source"
    );
    loop {
        let there = global_point(&mut connection, subtask).await?;
        if there.as_ref().is_some_and(|location| has_passed(location, noted, subtask.enable_gtid)) {
            connection.close().await;
            return Ok(());
        }
        if begin.elapsed() >= timeout {
            let there = there.map_or_else(|| "nowhere".into(), |location| location.position_text());
            return Err(code::CHECKPOINT_SAVE_INVALID_POS
                .error(format!(
                    "after {} s the checkpoint of task {} and source {} stands at {there}, the source at {}",
                    timeout.as_secs(),
                    subtask.task,
                    subtask.source_id,
                    noted.position_text()
                ))
                .with_workaround("See with `query-status` that the task runs, or raise --wait-timeout."));
        }
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            let is_still = last == there;
            out::eprintln(&still_waiting(subtask, there.as_ref(), noted, is_still));
            last = there;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn still_waiting(
    subtask: &SubtaskConfig,
    there: Option<&Location>,
    noted: &Location,
    is_still: bool,
) -> String {
    let there = there.map_or_else(|| "nowhere".into(), Location::position_text);
    format!(
        "waiting: the checkpoint of task {} and source {} stands at {there}, the source at {}{}",
        subtask.task,
        subtask.source_id,
        noted.position_text(),
        if is_still { "; it does not move: does the task run?" } else { "" }
    )
}

/// By GTID where the task replicates by GTID and both sides have a set, else by file and position.
fn has_passed(there: &Location, noted: &Location, by_gtid: bool) -> bool {
    match (&there.gtid, &noted.gtid) {
        (Some(there), Some(noted)) if by_gtid => there.contains(noted),
        _ => there.compare(noted).is_ge(),
    }
}

/// The global point of the checkpoint; `None` while there is no such row or no such table.
async fn global_point(connection: &mut Conn, subtask: &SubtaskConfig) -> Result<Option<Location>, DmError> {
    let table = TableName::new(&subtask.meta_schema, format!("{}_syncer_checkpoint", subtask.task));
    let sql = format!(
        "SELECT binlog_name, binlog_pos, binlog_gtid FROM {} WHERE id={} AND is_global=1",
        table.quoted(),
        quote_string(&subtask.source_id)
    );
    let wrong = |error: mysql::Error| broken(&subtask.target.to_string(), &error);
    let rows = match connection.query(&sql).await {
        Ok(rows) => rows,
        Err(error) if matches!(error.code(), Some(UNKNOWN_TABLE | UNKNOWN_DATABASE)) => return Ok(None),
        Err(error) => return Err(wrong(error)),
    };
    let Some(row) = rows.first() else { return Ok(None) };
    let location =
        Location::new(row.text(0).map_err(wrong)?, row.parse(1).map_err(wrong)?.unwrap_or_default());
    let Some(gtid) = row.str(2).map_err(wrong)?.filter(|gtid| !gtid.is_empty()) else {
        return Ok(Some(location));
    };
    let flavor = if gtid.contains(':') { Flavor::MySql } else { Flavor::MariaDb };
    let set = GtidSet::parse(flavor, &gtid).map_err(|error| code::PARSE_GTID.wrap("checkpoint", &error))?;
    Ok(Some(location.with_gtid(set)))
}
