//! The ledger: which rows the target has beyond the checkpoint. And the fence: who may write.
//!
//! `<task>_rsync_fence` holds a row for each source and lane (-1: the checkpoint) with an epoch; `<task>_rsync_ledger` a row for each
//! target transaction since the last checkpoint. The first statement of a transaction inserts its ledger row with the epoch
//! read, under lock, from the fence. Whoever takes a source over raises its epochs first: that waits for every transaction still open, and every
//! later one of the old owner fails. So what the new owner then reads in the ledger is all there is.

use std::time::{Duration, Instant};

use mysql::{Conn, ErrorClass};

use super::tables::Tables;
use crate::syncer::coverage::Applied;

/// The lane of the checkpoint's own transactions.
pub const CHECKPOINT_LANE: i64 = -1;

/// Seconds that one try to take over waits for a lock.
const SHORT_WAIT: u64 = 2;

/// How long a take-over tries: the last owner's transactions may have much to roll back.
const LONGEST_WAIT: Duration = Duration::from_secs(600);

/// Where a source's transactions are noted.
#[derive(Debug)]
pub struct Ledger {
    tables: Tables,
    /// Source id as a literal.
    source: String,
    /// Ours.
    epoch: u64,
}

impl Ledger {
    /// For an owner that has got this epoch from [`take_over`].
    pub fn new(tables: Tables, source: &str, epoch: u64) -> Self {
        Self { tables, source: common::ident::quote_string(source), epoch }
    }

    /// Our epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Appends the statement that notes a unit.
    pub fn write_entry(&self, lane: usize, seq: u64, covered: &[u8], out: &mut Vec<u8>) {
        self.entry(lane as i64, seq, covered, out);
    }

    /// Appends the statement that fails when somebody else is the owner.
    pub fn write_fence(&self, out: &mut Vec<u8>) {
        self.entry(CHECKPOINT_LANE, 0, b"", out);
    }

    fn entry(&self, lane: i64, seq: u64, covered: &[u8], out: &mut Vec<u8>) {
        let Self { tables, source, epoch } = self;
        let head = format!(
            "INSERT INTO {} (source,epoch,lane,seq,covered,owner) VALUES ({source},{epoch},{lane},{seq},",
            tables.ledger
        );
        out.extend_from_slice(head.as_bytes());
        binlog::write_binary(out, covered, 0);
        let tail = format!(
            ",(SELECT epoch FROM {} WHERE source={source} AND lane={lane} AND epoch={epoch} FOR UPDATE));",
            tables.fence
        );
        out.extend_from_slice(tail.as_bytes());
    }

    /// Appends the statements that forget what a checkpoint holds: units up to these numbers and, if it lies beyond all that
    /// earlier owners have applied, their entries.
    pub fn write_cleaning(&self, mark: &[u64], earlier: bool, out: &mut Vec<u8>) {
        let Self { tables, source, epoch } = self;
        // Each along the primary key, so that nothing is locked that a lane is writing.
        let mut delete = |condition: String| {
            let sql = format!("DELETE FROM {} WHERE source={source} AND {condition};", tables.ledger);
            out.extend_from_slice(sql.as_bytes());
        };
        delete(format!("epoch={epoch} AND lane={CHECKPOINT_LANE}"));
        for (lane, seq) in mark.iter().enumerate().filter(|(_, seq)| **seq > 0) {
            delete(format!("epoch={epoch} AND lane={lane} AND seq<={seq}"));
        }
        if earlier {
            delete(format!("epoch<{epoch}"));
        }
    }

    /// Whether an error of the ledger's statement means that somebody else is the owner.
    pub fn is_fenced(error: &mysql::Error) -> bool {
        // Column 'owner' cannot be null.
        error.code() == Some(1048)
    }

    /// After a lost connection: waits until the transaction it had is over, and says whether it was committed.
    ///
    /// # Errors
    /// The server's; a lock wait that took too long may be tried again.
    pub async fn is_applied(&self, conn: &mut Conn, lane: usize, seq: u64) -> mysql::Result<bool> {
        let Self { tables, source, epoch } = self;
        conn.exec("BEGIN").await?;
        conn.query(format!(
            "SELECT epoch FROM {} WHERE source={source} AND lane={lane} FOR UPDATE",
            tables.fence
        ))
        .await?;
        let found = conn
            .query_one(format!(
                "SELECT seq FROM {} WHERE source={source} AND epoch={epoch} AND lane={lane} AND seq={seq}",
                tables.ledger
            ))
            .await?;
        conn.exec("COMMIT").await?;
        Ok(found.is_some())
    }
}

/// Raises all epochs of a source, as one transaction: two processes that do it at the same time get different ones.
async fn raise(conn: &mut Conn, fence: &str, id: &str, lanes: usize) -> mysql::Result<u64> {
    // The first row is there before anybody locks it.
    conn.exec(format!("INSERT IGNORE INTO {fence} (source,lane,epoch) VALUES ({id},{CHECKPOINT_LANE},0)"))
        .await?;
    conn.exec("BEGIN").await?;
    let first = format!("SELECT epoch FROM {fence} WHERE source={id} AND lane={CHECKPOINT_LANE} FOR UPDATE");
    conn.query(first).await?;
    conn.exec(format!("UPDATE {fence} SET epoch=epoch+1 WHERE source={id}")).await?;
    let row = conn.query_one(format!("SELECT MAX(epoch) FROM {fence} WHERE source={id}")).await?;
    let epoch: u64 = row.map(|row| row.parse(0)).transpose()?.flatten().unwrap_or(1);
    let rows: Vec<String> =
        (CHECKPOINT_LANE..lanes as i64).map(|lane| format!("({id},{lane},{epoch})")).collect();
    conn.exec(format!(
        "INSERT INTO {fence} (source,lane,epoch) VALUES {} ON DUPLICATE KEY UPDATE epoch={epoch}",
        rows.join(",")
    ))
    .await?;
    conn.exec("COMMIT").await?;
    Ok(epoch)
}

/// Sets how many seconds the session waits for a row lock, and gives what it was; `None` where servers know no such thing.
async fn lock_wait(conn: &mut Conn, seconds: u64) -> mysql::Result<Option<u64>> {
    let row = conn.query_one("SHOW SESSION VARIABLES WHERE Variable_name='innodb_lock_wait_timeout'").await?;
    let Some(before) = row.map(|row| row.str(1)).transpose()?.flatten() else { return Ok(None) };
    conn.exec(format!("SET SESSION innodb_lock_wait_timeout = {seconds}")).await?;
    Ok(before.parse().ok())
}

/// Becomes the owner of a source: raises its epochs, sees that every lane has a row, and reads the ledger.
///
/// # Errors
/// The server's.
pub async fn take_over(
    conn: &mut Conn,
    tables: &Tables,
    source: &str,
    lanes: usize,
) -> mysql::Result<(Ledger, Applied)> {
    let id = common::ident::quote_string(source);
    let fence = &tables.fence;
    // An open transaction of the last owner holds its lane's row. Each wait is short, so that one that is given up does not raise the
    // epochs later, when somebody else is the owner.
    let patience = lock_wait(conn, SHORT_WAIT).await?;
    let since = Instant::now();
    let epoch = loop {
        match raise(conn, fence, &id, lanes).await {
            Ok(epoch) => break epoch,
            Err(error) if error.class() == ErrorClass::Retryable && since.elapsed() < LONGEST_WAIT => {
                tracing::info!(source, error = %error, "waiting for the last owner's open transactions at the target");
                conn.exec("ROLLBACK").await?;
            }
            Err(error) => return Err(error),
        }
    };
    if let Some(patience) = patience {
        lock_wait(conn, patience).await?;
    }
    let mut applied = Applied::default();
    let mut entries = conn.stream(format!("SELECT covered FROM {} WHERE source={id}", tables.ledger)).await?;
    while let Some(row) = entries.next().await? {
        let entry = row.at(0).unwrap_or_default();
        if !entry.is_empty() {
            applied.add(entry).map_err(mysql::Error::value)?;
        }
    }
    Ok((Ledger::new(tables.clone(), source, epoch), applied))
}
