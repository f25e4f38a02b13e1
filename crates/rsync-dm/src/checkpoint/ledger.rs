//! The ledger: which rows the target has beyond the checkpoint. And the fence: who may write.
//!
//! `<task>_rsync_fence` holds a row for each source and lane (-1: the checkpoint; -2: operators of `binlog`) with an epoch; `<task>_rsync_ledger` a row for each
//! target transaction since the last checkpoint. The first statement of a transaction writes its number into its lane's row of the fence,
//! which locks that row on every kind of server; the second one inserts its ledger row and fails if the first one found no row of our epoch, or a
//! number as high: so a script of a lost connection that the server gets late does nothing either. Whoever takes a source over raises its epochs first: that waits for every transaction still open, and every
//! later one of the old owner fails. So what the new owner then reads in the ledger is all there is.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use mysql::{Conn, ErrorClass};

use super::tables::Tables;
use crate::syncer::coverage::Applied;

/// The lane of the checkpoint's own transactions.
pub const CHECKPOINT_LANE: i64 = -1;

/// The row that keeps what operators want done with single statements. No transaction of a run writes it.
pub const OPERATORS_LANE: i64 = -2;

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
    /// Checkpoints that were begun.
    flushes: AtomicU64,
}

impl Ledger {
    /// Statements of an entry.
    pub const STATEMENTS: usize = 2;

    /// For an owner that has got this epoch from [`take_over`].
    pub fn new(tables: Tables, source: &str, epoch: u64) -> Self {
        Self { tables, source: common::ident::quote_string(source), epoch, flushes: AtomicU64::new(0) }
    }

    /// Our epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Appends the statements that note a unit. Numbers of a lane only rise. `attempt`: how often its connection was lost.
    pub fn write_entry(&self, lane: usize, seq: u64, attempt: u32, covered: &[u8], out: &mut Vec<u8>) {
        self.entry(lane as i64, seq, sent(seq, attempt), covered, out);
    }

    /// Appends the statements that fail when somebody else is the owner, or a later checkpoint was written.
    pub fn write_fence(&self, out: &mut Vec<u8>) {
        let number = self.flushes.fetch_add(1, Ordering::Relaxed) + 1;
        self.entry(CHECKPOINT_LANE, number, number, b"", out);
    }

    fn entry(&self, lane: i64, seq: u64, number: u64, covered: &[u8], out: &mut Vec<u8>) {
        let Self { tables, source, epoch, .. } = self;
        let head = format!(
            "UPDATE {} SET seq={number} WHERE source={source} AND lane={lane} AND epoch={epoch} AND seq<{number};\
             INSERT INTO {} (source,epoch,lane,seq,covered,owner) VALUES ({source},{epoch},{lane},{seq},",
            tables.fence, tables.ledger
        );
        out.extend_from_slice(head.as_bytes());
        binlog::write_binary(out, covered, 0);
        let tail = format!(
            ",(SELECT epoch FROM {} WHERE source={source} AND lane={lane} AND epoch={epoch} AND seq={number} FOR UPDATE));",
            tables.fence
        );
        out.extend_from_slice(tail.as_bytes());
    }

    /// Whether nobody else has become the owner until now.
    ///
    /// # Errors
    /// The server's.
    pub async fn is_owner(&self, conn: &mut Conn) -> mysql::Result<bool> {
        let Self { tables, source, epoch, .. } = self;
        let sql = format!(
            "SELECT epoch FROM {} WHERE source={source} AND lane={CHECKPOINT_LANE} AND epoch={epoch}",
            tables.fence
        );
        Ok(conn.query_one(sql).await?.is_some())
    }

    /// Appends the statements that forget what a checkpoint holds: units up to these numbers and, if it lies beyond all that
    /// earlier owners have applied, their entries.
    pub fn write_cleaning(&self, mark: &[u64], earlier: bool, out: &mut Vec<u8>) {
        let Self { tables, source, epoch, .. } = self;
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

    /// After a lost connection (for the `attempt`-th time): waits until the transaction it had is over, and says whether it was committed. If
    /// not, it never will be, even if the server gets its script late.
    ///
    /// # Errors
    /// The server's; a lock wait that took too long may be tried again.
    pub async fn is_applied(
        &self,
        conn: &mut Conn,
        lane: usize,
        seq: u64,
        attempt: u32,
    ) -> mysql::Result<bool> {
        let Self { tables, source, epoch, .. } = self;
        conn.exec("BEGIN").await?;
        let number = sent(seq, attempt) - 1;
        conn.exec(format!(
            "UPDATE {} SET seq={number} WHERE source={source} AND lane={lane} AND epoch={epoch} AND seq<{number}",
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

/// The number in the fence of a unit that is sent: room for the numbers of two steps at each lost connection.
fn sent(seq: u64, attempt: u32) -> u64 {
    (seq << 16) + 2 * u64::from(attempt)
}

/// Raises all epochs of a source, as one transaction: two processes that do it at the same time get different ones.
async fn raise(
    conn: &mut Conn,
    fence: &str,
    id: &str,
    lanes: usize,
    own: Option<u64>,
) -> mysql::Result<Option<u64>> {
    // The first row is there before anybody locks it.
    conn.exec(format!("INSERT IGNORE INTO {fence} (source,lane,epoch) VALUES ({id},{CHECKPOINT_LANE},0)"))
        .await?;
    conn.exec("BEGIN").await?;
    let first = format!("SELECT epoch FROM {fence} WHERE source={id} AND lane={CHECKPOINT_LANE} FOR UPDATE");
    let row = conn.query_one(first).await?;
    let now: u64 = row.map(|row| row.parse(0)).transpose()?.flatten().unwrap_or(0);
    if own.is_some_and(|own| own != now) {
        conn.exec("ROLLBACK").await?;
        return Ok(None);
    }
    conn.exec(format!("UPDATE {fence} SET epoch=epoch+1 WHERE source={id}")).await?;
    let row = conn.query_one(format!("SELECT MAX(epoch) FROM {fence} WHERE source={id}")).await?;
    let epoch: u64 = row.map(|row| row.parse(0)).transpose()?.flatten().unwrap_or(1);
    let rows: Vec<String> =
        (CHECKPOINT_LANE..lanes as i64).map(|lane| format!("({id},{lane},{epoch})")).collect();
    conn.exec(format!(
        "INSERT INTO {fence} (source,lane,epoch) VALUES {} ON DUPLICATE KEY UPDATE epoch={epoch},seq=0",
        rows.join(",")
    ))
    .await?;
    conn.exec("COMMIT").await?;
    Ok(Some(epoch))
}

/// The epoch of the last process that became the owner of a source; 0: there was none.
///
/// # Errors
/// The server's.
pub async fn current_epoch(conn: &mut Conn, tables: &Tables, source: &str) -> mysql::Result<u64> {
    let sql = format!(
        "SELECT epoch FROM {} WHERE source={} AND lane={CHECKPOINT_LANE}",
        tables.fence,
        common::ident::quote_string(source)
    );
    Ok(conn.query_one(sql).await?.map(|row| row.parse(0)).transpose()?.flatten().unwrap_or(0))
}

/// Sets how many seconds the session waits for a row lock, and gives what it was; `None` where servers know no such thing.
async fn lock_wait(conn: &mut Conn, seconds: u64) -> mysql::Result<Option<u64>> {
    let row = conn.query_one("SHOW SESSION VARIABLES WHERE Variable_name='innodb_lock_wait_timeout'").await?;
    let Some(before) = row.map(|row| row.str(1)).transpose()?.flatten() else { return Ok(None) };
    conn.exec(format!("SET SESSION innodb_lock_wait_timeout = {seconds}")).await?;
    Ok(before.parse().ok())
}

/// Becomes the owner of a source: raises its epochs, sees that every lane has a row, and reads the ledger. With `own`, the epoch that this
/// process had or has seen: `None` if somebody else has become the owner since.
///
/// # Errors
/// The server's.
pub async fn take_over(
    conn: &mut Conn,
    tables: &Tables,
    source: &str,
    lanes: usize,
    own: Option<u64>,
) -> mysql::Result<Option<(Ledger, Applied)>> {
    let id = common::ident::quote_string(source);
    let fence = &tables.fence;
    // An open transaction of the last owner holds its lane's row. Each wait is short, so that one that is given up does not raise the
    // epochs later, when somebody else is the owner.
    let patience = lock_wait(conn, SHORT_WAIT).await?;
    let since = Instant::now();
    let epoch = loop {
        match raise(conn, fence, &id, lanes, own).await {
            Ok(Some(epoch)) => break epoch,
            Ok(None) => return Ok(None),
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
    Ok(Some((Ledger::new(tables.clone(), source, epoch), applied)))
}

#[cfg(test)]
mod tests {
    use testkit::{Account, Kind, Options, Server};

    use super::*;

    async fn run(conn: &mut Conn, script: &[u8]) -> mysql::Result<()> {
        let whole = [b"BEGIN;", script, b"COMMIT"].concat();
        let result = conn.exec_script(&whole, &mut Vec::new()).await;
        if result.is_err() {
            conn.exec("ROLLBACK").await?;
        }
        result
    }

    fn script(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        // The lock comes first, by a statement that every server takes for a write.
        assert!(out.starts_with(b"UPDATE "));
        out
    }

    #[tokio::test]
    async fn late_scripts_and_old_owners_write_nothing() {
        let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
        let mut conn = server.conn(Account::Admin).await;
        let tables = Tables::new("dm_meta", "t");
        // A table as an earlier program made it.
        conn.exec("CREATE DATABASE dm_meta").await.unwrap();
        conn.exec(format!(
            "CREATE TABLE {} (source varchar(32) NOT NULL, lane int NOT NULL, epoch bigint unsigned NOT NULL, state longtext, PRIMARY KEY (source,lane))",
            tables.fence
        ))
        .await
        .unwrap();
        tables.create(&mut conn).await.unwrap();
        tables.create(&mut conn).await.unwrap();
        let (ledger, _) = take_over(&mut conn, &tables, "s", 2, None).await.unwrap().unwrap();
        // Of two checkpoints the first one comes late.
        let first = script(|out| ledger.write_fence(out));
        let second = script(|out| {
            ledger.write_fence(out);
            ledger.write_cleaning(&[], true, out);
        });
        run(&mut conn, &second).await.unwrap();
        assert!(Ledger::is_fenced(&run(&mut conn, &first).await.unwrap_err()));
        // A unit comes once more, late, when its entry is cleaned already.
        let unit = |seq, attempt| script(|out| ledger.write_entry(1, seq, attempt, b"", out));
        assert!(!ledger.is_applied(&mut conn, 1, 5, 1).await.unwrap());
        assert!(Ledger::is_fenced(&run(&mut conn, &unit(5, 0)).await.unwrap_err()));
        run(&mut conn, &unit(5, 1)).await.unwrap();
        assert!(ledger.is_applied(&mut conn, 1, 5, 2).await.unwrap());
        let clean = script(|out| {
            ledger.write_fence(out);
            ledger.write_cleaning(&[0, 5], true, out);
        });
        run(&mut conn, &clean).await.unwrap();
        for attempt in [0, 1] {
            assert!(Ledger::is_fenced(&run(&mut conn, &unit(5, attempt)).await.unwrap_err()));
        }
        run(&mut conn, &unit(6, 0)).await.unwrap();
        // Somebody else.
        assert!(ledger.is_owner(&mut conn).await.unwrap());
        let (other, _) = take_over(&mut conn, &tables, "s", 2, Some(ledger.epoch())).await.unwrap().unwrap();
        // The old owner comes again by itself.
        assert!(take_over(&mut conn, &tables, "s", 2, Some(ledger.epoch())).await.unwrap().is_none());
        assert_eq!(current_epoch(&mut conn, &tables, "s").await.unwrap(), other.epoch());
        assert!(!ledger.is_owner(&mut conn).await.unwrap() && other.is_owner(&mut conn).await.unwrap());
        for old in
            [script(|out| ledger.write_entry(0, 1, 0, b"", out)), script(|out| ledger.write_fence(out))]
        {
            assert!(Ledger::is_fenced(&run(&mut conn, &old).await.unwrap_err()));
        }
        run(&mut conn, &script(|out| other.write_entry(1, 1, 0, b"", out))).await.unwrap();
    }
}
