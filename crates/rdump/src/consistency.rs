//! Locks, snapshots and the position that belongs to them (facts/dumpling.md 1.7).
//!
//! Order for `flush` and `lock`: connect everything first; take the lock; open all snapshots at once, and meanwhile
//! read the position and the list of tables; release the lock. What is done under the lock is one round of short
//! statements on connections that are open already.

use std::time::{Duration, Instant};

use common::metadata::Block;
use futures::future::try_join_all;
use mysql::wire::WireConn;
use mysql::{ErrorClass, Flavor};
use tracing::{info, warn};

use crate::config::{Config, Consistency};
use crate::error::{Doing, DumpError, Result};
use crate::listing::{self, Listing};
use crate::lock_guard;
use crate::position;
use crate::source::{Source, ask, needs_privilege};

/// Everything that was fixed at one moment.
pub struct Snapshot {
    /// What was in force in the end.
    pub consistency: Consistency,
    /// Reads definitions and limits, in the snapshot.
    pub meta: WireConn,
    /// Read rows, each in the snapshot.
    pub readers: Vec<WireConn>,
    /// Keeps others from changing definitions, with `--block-ddl`.
    pub ddl: Option<WireConn>,
    /// Holds the lock to the end of the dump, with `--transactional-consistency=false`.
    pub lock: Option<WireConn>,
    /// The server's position; `None` if its binlog is off.
    pub position: Option<Block>,
    /// The server's clock at that moment, in seconds since 1970; only with a lock.
    pub taken_at: Option<u64>,
    /// Position after all connections were open, if there was no lock.
    pub after_connect: Option<Block>,
    /// The server's positions at its own sources.
    pub replicas: Vec<Block>,
    /// What is dumped.
    pub listing: Listing,
}

/// Decides on a mode for this server.
///
/// # Errors
/// A mode that it can't have.
pub fn resolve(config: &Config, flavor: Flavor) -> Result<Consistency> {
    let resolved = match (config.consistency, flavor) {
        (Consistency::Auto, Flavor::TiDb) => Consistency::Snapshot,
        (Consistency::Auto, Flavor::MySql | Flavor::MariaDb) => Consistency::Flush,
        (Consistency::Flush, Flavor::TiDb) => {
            return Err(DumpError::Consistency(
                "'flush table with read lock' cannot be used to ensure the consistency in TiDB".into(),
            ));
        }
        (Consistency::Snapshot, Flavor::MySql | Flavor::MariaDb) => {
            return Err(DumpError::Consistency(
                "snapshot consistency is not supported for this server".into(),
            ));
        }
        (other, _) => other,
    };
    if !config.snapshot.is_empty() && resolved != Consistency::Snapshot {
        return Err(DumpError::Consistency(format!(
            "can't specify --snapshot when --consistency isn't snapshot, resolved consistency: {}",
            resolved.name()
        )));
    }
    Ok(resolved)
}

/// Takes the snapshot. `first` is a connection of `source` that is open already.
///
/// # Errors
/// The server's.
pub async fn take(source: &mut Source, config: &Config, first: WireConn) -> Result<Snapshot> {
    let resolved = resolve(config, source.server.flavor)?;
    match resolved {
        Consistency::Snapshot => take_tidb(source, config, first).await,
        Consistency::Lock => take_locked(source, config, first).await,
        Consistency::Flush => {
            let mut connections = Connections::open(source, config, first).await?;
            match lock_guard::flush(&mut connections.lock, source, config).await {
                Ok(()) => connections.under_flush(source, config).await,
                Err(error) if config.consistency == Consistency::Auto && may_fall_back(&error) => {
                    warn!(%error, "error when use FLUSH TABLE WITH READ LOCK, fallback to LOCK TABLES");
                    connections.under_lock(source, config).await
                }
                Err(error) => Err(error),
            }
        }
        Consistency::None | Consistency::Auto => take_unlocked(source, config, first).await,
    }
}

/// The server has refused the lock; the connection is fine.
fn may_fall_back(error: &DumpError) -> bool {
    matches!(error, DumpError::Locked(_)) || error.server().is_some_and(|error| error.code().is_some())
}

/// Sets the isolation level and opens a snapshot on a connection.
///
/// # Errors
/// The server's.
pub async fn begin(conn: &mut WireConn, consistency: Consistency) -> Result<()> {
    isolate(conn, consistency).await?;
    start_transaction(conn).await
}

async fn isolate(conn: &mut WireConn, consistency: Consistency) -> Result<()> {
    // TiDB reads the snapshot whatever the level is.
    if consistency != Consistency::Snapshot {
        conn.simple("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            .await
            .doing(|| "set the isolation level".into())?;
    }
    Ok(())
}

async fn start_transaction(conn: &mut WireConn) -> Result<()> {
    match conn.simple("START TRANSACTION /*!40108 WITH CONSISTENT SNAPSHOT */").await {
        Ok(_) => Ok(()),
        Err(error) if error.code().is_some() => {
            conn.simple("START TRANSACTION").await.map(|_| ()).doing(|| "start a transaction".into())
        }
        Err(error) => Err(error).doing(|| "start a transaction".into()),
    }
}

/// What is read under the lock.
struct Moment {
    position: Option<Block>,
    clock: u64,
    replicas: Vec<Block>,
}

struct Connections {
    lock: WireConn,
    meta: WireConn,
    readers: Vec<WireConn>,
    /// Keeps others from changing definitions.
    ddl: Option<WireConn>,
}

impl Connections {
    /// Opens all connections; the isolation level is set, no snapshot yet.
    async fn open(source: &Source, config: &Config, first: WireConn) -> Result<Connections> {
        let mut readers = open_readers(source, config).await?;
        let mut meta = source.connect().await?;
        for conn in readers.iter_mut().chain([&mut meta]) {
            isolate(conn, Consistency::None).await?;
        }
        let ddl = block_ddl(source, config).await?;
        Ok(Connections { lock: first, meta, readers, ddl })
    }

    /// Opens all snapshots, while `work` is done on the connection that holds the lock.
    async fn snapshots(&mut self) -> Result<()> {
        let all = self.readers.iter_mut().chain([&mut self.meta]);
        try_join_all(all.map(start_transaction)).await.map(|_| ())
    }

    async fn under_flush(mut self, source: &Source, config: &Config) -> Result<Snapshot> {
        let locked_at = Instant::now();
        // Where nobody can create or drop tables, the list can wait until the lock is released.
        let list_later = self.ddl.is_some() && config.transactional_consistency;
        let Connections { lock, meta, readers, .. } = &mut self;
        let position = async {
            let clock = position::read_clock(lock).await?;
            let position = position::read(lock, source, Consistency::Flush).await?;
            Ok(Moment { position, clock, replicas: position::read_replicas(lock, source).await? })
        };
        let listing = async {
            start_transaction(meta).await?;
            match list_later {
                true => Ok(None),
                false => listing::list(meta, &source.server, config, &source.account).await.map(Some),
            }
        };
        let snapshots = try_join_all(readers.iter_mut().map(start_transaction));
        let (moment, listing, _) = futures::try_join!(position, listing, snapshots)?;
        let listed = listing.is_some();
        let listing = listing.unwrap_or_default();
        let mut snapshot = self.release(config, Consistency::Flush, locked_at, moment, listing).await?;
        if !listed {
            snapshot.listing =
                listing::list(&mut snapshot.meta, &source.server, config, &source.account).await?;
        }
        Ok(snapshot)
    }

    async fn under_lock(mut self, source: &Source, config: &Config) -> Result<Snapshot> {
        let (listing, locked_at) = lock_tables(&mut self.lock, &mut self.meta, source, config).await?;
        settle_transactions(&mut self.lock, source, config).await?;
        let clock = position::read_clock(&mut self.lock).await?;
        let position = position::read(&mut self.lock, source, Consistency::Lock).await?;
        let replicas = position::read_replicas(&mut self.lock, source).await?;
        self.snapshots().await?;
        let moment = Moment { position, clock, replicas };
        self.release(config, Consistency::Lock, locked_at, moment, listing).await
    }

    async fn release(
        mut self,
        config: &Config,
        consistency: Consistency,
        locked_at: Instant,
        moment: Moment,
        listing: Listing,
    ) -> Result<Snapshot> {
        let Moment { position, clock, replicas } = moment;
        let mut lock = None;
        if config.transactional_consistency {
            info!("All the dumping transactions have started. Start to unlock tables");
            self.lock.simple("UNLOCK TABLES").await.doing(|| "unlock tables".into())?;
            let held = common::duration::GoDuration::from(locked_at.elapsed());
            info!(mode = consistency.name(), held = %held, "tables are unlocked");
            self.lock.close().await;
        } else {
            lock = Some(self.lock);
        }
        Ok(Snapshot {
            consistency,
            meta: self.meta,
            readers: self.readers,
            ddl: self.ddl,
            lock,
            position,
            taken_at: Some(clock),
            after_connect: None,
            replicas,
            listing,
        })
    }
}

/// `--block-ddl`: a DDL would make the server refuse the snapshot of its table.
async fn block_ddl(source: &Source, config: &Config) -> Result<Option<WireConn>> {
    if !config.block_ddl {
        return Ok(None);
    }
    let server = &source.server;
    let (statements, privilege): (&[&str], _) = if server.is_mysql(8, 0, 0) {
        (&["LOCK INSTANCE FOR BACKUP"], "BACKUP_ADMIN")
    } else if server.is_mariadb(10, 4, 1) {
        (&["BACKUP STAGE START", "BACKUP STAGE BLOCK_DDL"], "RELOAD")
    } else {
        return Err(DumpError::Consistency(
            "--block-ddl needs LOCK INSTANCE FOR BACKUP, which MySQL has from 8.0 on, or BACKUP STAGE, which MariaDB has \
             from 10.4 on"
                .into(),
        ));
    };
    let mut conn = source.connect().await?;
    lock_guard::limit_waiting(&mut conn, config, config.lock_wait.as_secs().max(1)).await?;
    for statement in statements {
        if let Err(error) = conn.simple(*statement).await {
            let doing = statement.to_lowercase();
            return Err(needs_privilege(error, doing, privilege, "*.*", &source.account));
        }
    }
    Ok(Some(conn))
}

async fn open_readers(source: &Source, config: &Config) -> Result<Vec<WireConn>> {
    // Ten at a time: a burst of logins is unkind to the server.
    let mut readers = Vec::with_capacity(config.threads);
    while readers.len() < config.threads {
        let count = (config.threads - readers.len()).min(10);
        readers.extend(try_join_all((0..count).map(|_| source.connect())).await?);
    }
    Ok(readers)
}

async fn take_locked(source: &Source, config: &Config, first: WireConn) -> Result<Snapshot> {
    Connections::open(source, config, first).await?.under_lock(source, config).await
}

/// Tries again when tables come or go between listing and locking.
const LOCK_ATTEMPTS: u32 = 5;

/// Lists the tables and locks them, until the list is the same before and after.
async fn lock_tables(
    lock: &mut WireConn,
    meta: &mut WireConn,
    source: &Source,
    config: &Config,
) -> Result<(Listing, Instant)> {
    let mut listing = listing::list(meta, &source.server, config, &source.account).await?;
    for attempt in 1.. {
        let tables: Vec<String> = listing.tables().map(|table| format!("{table} READ")).collect();
        let locked_at = Instant::now();
        if !tables.is_empty() {
            let locked = lock.simple(format!("LOCK TABLES {}", tables.join(","))).await;
            match locked {
                Ok(_) => {}
                // A table was dropped meanwhile.
                Err(error) if error.class() == ErrorClass::UnknownTable && attempt < LOCK_ATTEMPTS => {
                    listing = listing::list(meta, &source.server, config, &source.account).await?;
                    continue;
                }
                Err(error) => return Err(lock_refused(error, &listing, source)),
            }
        }
        let now = listing::list(meta, &source.server, config, &source.account).await?;
        // A table made before the lock would be missing in the dump and not be in the binlog behind the position.
        if now == listing {
            return Ok((listing, locked_at));
        }
        if attempt >= LOCK_ATTEMPTS {
            break;
        }
        warn!("tables were created or dropped while they were being locked, trying again");
        lock.simple("UNLOCK TABLES").await.doing(|| "unlock tables".into())?;
        listing = now;
    }
    Err(DumpError::Consistency(
        "tables are created and dropped faster than they can be locked: stop it, or use --consistency flush"
            .into(),
    ))
}

/// The server renews its list of transactions at most this often.
const TRANSACTIONS_RENEWED: Duration = Duration::from_millis(150);

/// Transactions that have written, and whether they can't go on: a table that we have locked, or a row.
const TRANSACTIONS: &str = "SELECT t.trx_id, IFNULL(p.STATE, '') LIKE 'Waiting for table%' OR t.trx_state = 'LOCK WAIT' \
     FROM INFORMATION_SCHEMA.INNODB_TRX t LEFT JOIN INFORMATION_SCHEMA.PROCESSLIST p ON p.ID = t.trx_mysql_thread_id \
     WHERE t.trx_rows_modified > 0";

/// Waits for transactions that had written before the tables were locked. MariaDB and MySQL before 5.7.5 let them commit
/// under the lock, between one snapshot and the next; later servers do not give the lock before. Those that wait for our
/// lock, or for a row of one that does, can't commit.
async fn settle_transactions(lock: &mut WireConn, source: &Source, config: &Config) -> Result<()> {
    if source.server.is_mysql(5, 7, 5) || source.server.flavor == Flavor::TiDb {
        return Ok(());
    }
    let begun = Instant::now();
    let mut open: Option<Vec<String>> = None;
    loop {
        let answer = match ask(lock, TRANSACTIONS).await {
            Ok(answer) => answer,
            Err(error) if error.code().is_some() => {
                let doing = "look for open transactions".to_owned();
                let error = needs_privilege(error, doing, "PROCESS", "*.*", &source.account);
                warn!(%error, "a transaction that commits right now may be in some tables only");
                return Ok(());
            }
            Err(error) => return Err(error).doing(|| "look for open transactions".into()),
        };
        let now: Vec<(String, bool)> = (0..answer.len())
            .filter_map(|row| Some((answer.at(row, 0)?, answer.at(row, 1).as_deref() == Some("1"))))
            .collect();
        let first = open.is_none();
        // Those that come later can't write to tables that are locked.
        let left: Vec<&(String, bool)> =
            now.iter().filter(|(id, _)| open.as_ref().is_none_or(|open| open.contains(id))).collect();
        if left.iter().all(|(_, stuck)| *stuck) {
            return Ok(());
        }
        let ids: Vec<String> = left.into_iter().map(|(id, _)| id.clone()).collect();
        if !config.lock_wait.is_zero() && begun.elapsed() > config.lock_wait {
            return Err(DumpError::Locked(format!(
                "{} transactions that have written are still open {} after the tables were locked: end them, raise \
                 --lock-wait-timeout, or use --consistency flush (SHOW ENGINE INNODB STATUS names them: {})",
                ids.len(),
                common::duration::GoDuration::from(config.lock_wait),
                ids.join(", ")
            )));
        }
        if first {
            info!(
                transactions = ids.len(),
                "wait for open transactions that may have written to the locked tables"
            );
        }
        open = Some(ids);
        tokio::time::sleep(TRANSACTIONS_RENEWED).await;
    }
}

fn lock_refused(error: mysql::Error, listing: &Listing, source: &Source) -> DumpError {
    let schema = listing.tables().next().map_or("*", |table| table.schema.as_str());
    let object = format!("{}.*", common::ident::quote(schema));
    needs_privilege(error, "lock tables".into(), "LOCK TABLES", &object, &source.account)
}

/// No lock: each snapshot has its own moment. The position before and after says how far apart they may be.
async fn take_unlocked(source: &Source, config: &Config, mut first: WireConn) -> Result<Snapshot> {
    let position = position::read(&mut first, source, Consistency::None).await?;
    let replicas = position::read_replicas(&mut first, source).await?;
    begin(&mut first, Consistency::None).await?;
    let listing = listing::list(&mut first, &source.server, config, &source.account).await?;
    let mut readers = open_readers(source, config).await?;
    for reader in &mut readers {
        begin(reader, Consistency::None).await?;
    }
    let after_connect = match &position {
        Some(_) => position::read(&mut first, source, Consistency::None).await?,
        None => None,
    };
    Ok(Snapshot {
        consistency: Consistency::None,
        meta: first,
        readers,
        ddl: None,
        lock: None,
        position,
        taken_at: None,
        after_connect,
        replicas,
        listing,
    })
}

/// TiDB: every session reads as of one time stamp.
async fn take_tidb(source: &mut Source, config: &Config, mut first: WireConn) -> Result<Snapshot> {
    let snapshot = match config.snapshot.is_empty() {
        false => config.snapshot.clone(),
        true => {
            let answer =
                ask(&mut first, "SHOW MASTER STATUS").await.doing(|| "read the snapshot's TSO".into())?;
            answer.at(0, 1).unwrap_or_default()
        }
    };
    if snapshot.is_empty() {
        return Err(DumpError::Consistency("the server gives no TSO for a snapshot".into()));
    }
    let value = match snapshot.bytes().all(|b| b.is_ascii_digit()) {
        true => snapshot.clone(),
        false => common::ident::quote_string(&snapshot),
    };
    let set = format!("SET SESSION tidb_snapshot = {value}");
    first.simple(&set).await.doing(|| {
        "fail to set snapshot for tidb, please set --consistency=none/--consistency=lock or fix snapshot problem".into()
    })?;
    source.add_setup(set);
    warn!(
        "the snapshot is not protected from garbage collection: make sure that tidb_gc_life_time is longer than the dump takes"
    );
    start_transaction(&mut first).await?;
    let listing = listing::list(&mut first, &source.server, config, &source.account).await?;
    let mut readers = open_readers(source, config).await?;
    for reader in &mut readers {
        start_transaction(reader).await?;
    }
    Ok(Snapshot {
        consistency: Consistency::Snapshot,
        meta: first,
        readers,
        ddl: None,
        lock: None,
        position: Some(Block { file: "tidb-binlog".into(), pos: snapshot, ..Block::default() }),
        taken_at: None,
        after_connect: None,
        replicas: Vec::new(),
        listing,
    })
}

/// Whether a reader that lost its connection can go on with a new one: only where a new session sees the same rows, or
/// where nobody promised that.
pub fn can_reconnect(consistency: Consistency) -> bool {
    matches!(consistency, Consistency::Snapshot | Consistency::None)
}
