//! How a run begins: what the target knows, where the source is, and from where to go on.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    sync::Arc,
    time::Instant,
};

use common::{
    error::{DmError, Scope, dm_codes as code},
    ident::{TableName, quote},
};
use mysql::{Conn, ErrorClass, Flavor, GtidSet, Location, session as server};
use sql::{schema::Tracker, table_info};
use tokio::task::JoinSet;
use tracing::{info, warn};

use super::{
    acks::Acks,
    apply::Lanes,
    coverage::Applied,
    error,
    operators::Operators,
    place::{Place, Spot},
    safe::Safe,
    scheduler::Scheduler,
    session,
    shared::Shared,
    structures::environment,
    unit::{Transaction, Unit},
};
use crate::{
    checkpoint::{Loaded, Points, Store, Tables, current_epoch, take_over},
    config::SubtaskConfig,
    shard::{Groups, ShardCoordinator, TargetTables},
    upstream,
};

/// What a connection to the source says at the start.
struct Source {
    flavor: Flavor,
    server_id: u32,
    uuid: String,
    zone: Option<String>,
    /// It writes what its foreign keys do to the binlog.
    cascades_logged: bool,
    now: Option<Location>,
    tracker: Tracker,
    /// Upstream tables of each target.
    tables: Vec<(TableName, TableName)>,
}

impl Unit {
    /// Prepares a run: connections, state tables, fence, start place, lanes. `unasked`: nobody has asked for this run, so it must not take the
    /// subtask from a process that has come after this one.
    ///
    /// # Errors
    /// What an operator has to see.
    pub async fn start(
        config: Arc<SubtaskConfig>,
        shared: Arc<Shared>,
        coordinator: Arc<dyn ShardCoordinator>,
        unasked: bool,
    ) -> Result<Self, DmError> {
        let mut meta = session::connect_target(&config).await?;
        let ddl = session::connect_target(&config).await?;
        let tables = Tables::new(&config.meta_schema, &config.task);
        if let Err(e) = tables.create(&mut meta).await {
            let shown = error::target("cannot create the tables of the meta schema", &e);
            let account = session::account_of(&mut meta).await;
            return Err(match e.class() {
                ErrorClass::AccessDenied => shown
                    .with_workaround(format!("GRANT ALL ON {}.* TO {account};", quote(&config.meta_schema))),
                _ => shown,
            });
        }
        let known = match shared.epoch() {
            Some(epoch) => epoch,
            None => {
                let now = current_epoch(&mut meta, &tables, &config.source_id)
                    .await
                    .map_err(|e| error::target("cannot read the fence", &e))?;
                shared.set_epoch(now);
                now
            }
        };
        let source = look_at_source(&config).await?;
        let lanes_count = config.syncer.worker_count.max(1);
        let (ledger, mut applied) =
            take_over(&mut meta, &tables, &config.source_id, lanes_count, unasked.then_some(known))
                .await
                .map_err(|e| {
                    if e.is_connection_gone() {
                        // It may have become the owner.
                        shared.forget_epoch();
                    }
                    error::target("cannot take over the subtask", &e)
                })?
                .ok_or_else(error::taken_over)?;
        shared.set_epoch(ledger.epoch());
        let store = Store::new(tables, &config.source_id);
        let loaded = store
            .load(&mut meta, source.flavor)
            .await
            .map_err(|e| error::target("cannot read the checkpoint", &e))?;
        let ours = loaded.is_ours();
        let mut state = loaded.state.clone().filter(|_| ours).unwrap_or_default();
        let mut moved = false;
        if ours && !state.server_uuid.is_empty() && state.server_uuid != source.uuid {
            if !config.enable_gtid || loaded.global.as_ref().is_none_or(|global| global.gtid.is_none()) {
                let place = Place::new(&state.file, state.pos);
                return Err(another_server(&config, &place, &state.server_uuid, &source.uuid));
            }
            warn!(before = %state.server_uuid, now = %source.uuid, "the source is another server than before");
            if !applied.is_empty() || state.safe_until.is_some() {
                // Positions of the ledger mean nothing there: what may have been applied is applied again in safe mode.
                state.safe_until = Some((String::new(), 0));
            }
            applied = Applied::default();
            moved = true;
            state.xa.iter_mut().for_each(|known| known.end = None);
            // Places of the old server's binlog mean nothing in this one's.
            Operators::change(&config, |all| {
                *all = Operators::default();
                Ok(())
            })
            .await?;
        } else if !ours {
            applied = Applied::default();
        }
        state.server_uuid = source.uuid.clone();
        shared.set_operators(Operators::load(&mut meta, store.tables(), &config.source_id).await?);
        let mut start = start_spot(&config, &loaded, &source).await?;
        if moved {
            // The old server's places are not comparable with those of this one, of which the ledger will be: the GTID set alone counts
            // until the first place is known.
            start.place = Place::new("", 4);
        }
        let origin = match (&loaded.global, &config.meta) {
            (Some(_), _) => "from the checkpoint in the target",
            (None, Some(_)) => "from `meta` of the task",
            (None, None) => "where the source was at the start",
        };
        // A wrong `meta` must not become the checkpoint.
        let unproven_since = (loaded.global.is_none() && config.meta.is_some()).then(Instant::now);
        let safe = if ours {
            Safe::resumed(&config.syncer, state.safe_until.as_ref())
        } else {
            Safe::at_start(&config.syncer, &start, loaded.exit.as_ref())?
        };
        info!(start = %start, ours, applied = applied.len(), "subtask starts");
        let ledger = Arc::new(ledger);
        let lanes = Lanes::start(lanes_count, &session::target_endpoint(&config), &ledger).await?;
        let executed = start.gtid.clone();
        let scheduler = Scheduler::new(lanes_count, Self::limits(&config));
        let low_clean = scheduler.closed();
        let applied_end = applied.last().map(|(sequence, pos)| Place { sequence, file: "".into(), pos });
        let misreads_doubles = mysql::session::misreads_json_doubles(&mut meta)
            .await
            .map_err(|e| error::target("cannot ask how it reads JSON", &e))?;
        let mut unit = Self {
            flavor: source.flavor,
            target_flavor: meta.server().flavor,
            misreads_doubles,
            server_id: source.server_id,
            clashes: 0,
            meta,
            ddl,
            store,
            ledger,
            applied,
            state,
            lanes,
            scheduler,
            reader: None,
            decoder: binlog::Decoder::new(binlog::Flavor::MySql),
            place: start.place.clone(),
            committed: start.clone(),
            placed: false,
            started_at: start.clone(),
            origin,
            unproven_since,
            executed,
            transaction: Transaction::default(),
            skip_rows: 0,
            points: Points::default(),
            gtid_points: HashMap::new(),
            groups: Groups::default(),
            known: HashMap::new(),
            tracker: source.tracker,
            targets: HashMap::new(),
            siblings: HashMap::new(),
            dirty: HashMap::new(),
            gone: HashMap::new(),
            unproven: HashSet::new(),
            held: HashMap::new(),
            safe,
            marks: VecDeque::new(),
            last_mark: Instant::now(),
            low: start.clone(),
            low_clean,
            applied_end,
            flushed: start.clone(),
            flushed_at: Instant::now(),
            rows_since_flush: false,
            proposals: JoinSet::new(),
            acks: Acks::new(Arc::clone(&coordinator)),
            proposed: HashMap::new(),
            proposed_parts: HashMap::new(),
            synced: BTreeSet::new(),
            source_zone: source.zone,
            keys: Vec::new(),
            binlog_timestamp: 0,
            cascades_logged: source.cascades_logged,
            target_actions: None,
            told_of: HashSet::new(),
            told_of_waiting: HashSet::new(),
            hold: None,
            hold_over: None,
            config,
            shared,
            coordinator,
        };
        unit.take_points(&loaded, &start, moved);
        if unit.is_sharded() {
            unit.take_members(&source.tables)?;
            // What was carried out before a kill and not told.
            unit.acks.tell(&unit.state.unacknowledged);
            unit.announce_tables().await?;
        }
        if !ours {
            let tables: Vec<TableName> = source.tables.iter().map(|(_, table)| table.clone()).collect();
            unit.look_at_structures(&tables).await?;
        }
        unit.tell_of_cascades().await?;
        // From here on the checkpoint is ours, and the ledger complete; for a start at `meta` when the source has begun to send.
        unit.flush_low(false).await?;
        unit.publish();
        Ok(unit)
    }

    /// Tables' own points and structures.
    /// `moved`: the source is another server now, places are those of the old one.
    fn take_points(&mut self, loaded: &Loaded, start: &Spot, moved: bool) {
        for row in &loaded.tables {
            let spot = Spot::of(&row.location);
            match &row.location.gtid {
                Some(set) if self.config.enable_gtid => {
                    self.gtid_points.insert(row.table.clone(), set.clone());
                }
                _ if spot > *start && !moved => self.points.set(row.table.clone(), spot),
                _ => {}
            }
            let Some(info) = &row.info else { continue };
            match table_info::from_json(info) {
                Ok(table) => {
                    self.tracker.set_table(&row.table.schema, &row.table.table, table);
                    // It may be a guess that a killed process wrote down.
                    self.unproven.insert(row.table.clone());
                }
                Err(error) => {
                    warn!(table = %row.table, error = %error, "the checkpoint's structure of a table can't be read, it is read anew");
                }
            }
        }
    }

    /// The sharding groups: as they were at the checkpoint, else as the source is now.
    fn take_members(&mut self, now: &[(TableName, TableName)]) -> Result<(), DmError> {
        let recorded = self.state.members.clone();
        for (target, table) in now {
            if self.state.joining.iter().any(|(_, late)| late == table) {
                continue;
            }
            if !recorded.is_empty() && !recorded.values().flatten().any(|member| member == table) {
                // It was created after the checkpoint; its CREATE TABLE is still to come.
                continue;
            }
            // The groups are empty: no member can be refused.
            let _ = self.groups.add(target, table);
        }
        for table in recorded.into_values().flatten() {
            let routed = self
                .config
                .router
                .route(&table.schema, &table.table)
                .map_err(|e| code::GEN_TABLE_ROUTER.error(e.to_string()))?;
            if self.config.block_allow.matches_table(&table.schema, &table.table) {
                let _ = self.groups.add(&routed.name(), &table);
            }
        }
        Ok(())
    }

    /// Tells the coordinator in which target tables this source takes part.
    pub(super) async fn announce_tables(&mut self) -> Result<(), DmError> {
        self.announce(None).await
    }

    /// The same; what was proposed for one target is taken back.
    pub(super) async fn announce(&mut self, withdrawn: Option<&TableName>) -> Result<(), DmError> {
        let mut targets: Vec<TargetTables> = self
            .groups
            .iter()
            .map(|(target, group)| TargetTables {
                schema: target.schema.clone(),
                table: target.table.clone(),
                count: u32::try_from(group.len()).unwrap_or(u32::MAX),
            })
            .collect();
        targets.extend(withdrawn.map(|target| TargetTables {
            schema: target.schema.clone(),
            table: target.table.clone(),
            count: 0,
        }));
        self.coordinator
            .tables(&self.config.task, &self.config.source_id, targets)
            .await
            .map_err(|e| code::SYNCER_UNIT_HANDLE_DDL_FAILED.error(e.to_string()))
    }
}

/// Without GTID nothing says where in another server's binlog the transactions go on.
pub(super) fn another_server(config: &SubtaskConfig, at: &Place, before: &str, now: &str) -> DmError {
    code::RELAY_SWITCH_MASTER_NEED_GTID
        .error(format!(
            "source {} is another server than before: the checkpoint {at} belongs to server {before}, now server {now} answers, in whose binlog \
             that position means something else",
            config.source_id
        ))
        .with_scope(Scope::Upstream)
        .with_workaround(
            "Point the source's configuration at the former server and use `resume-task`; with `enable-gtid: true` from then on the checkpoint has a \
             GTID set, by which the task can go on at another server. If the former server is gone, set `meta` of the task to the place in the new \
             server's binlog that follows the last transaction in the target, and start the task anew with `--remove-meta`.",
        )
}

async fn look_at_source(config: &SubtaskConfig) -> Result<Source, DmError> {
    let mut conn = session::connect_source(config).await?;
    let failed = |e: mysql::Error| error::source("cannot look at the source", &e);
    let flavor = config.flavor.unwrap_or(conn.server().flavor);
    let now = match server::binlog_location(&mut conn).await {
        Ok(now) => now,
        Err(e) => {
            let account = session::account_of(&mut conn).await;
            return Err(failed(e).with_workaround(format!("GRANT REPLICATION CLIENT ON *.* TO {account};")));
        }
    };
    if now.is_none() {
        return Err(code::NO_MASTER_STATUS.error("the source writes no binlog (log_bin is off)").with_workaround(
            "Set log_bin and binlog_format = ROW at the source, restart it, and dump its tables again: what was changed without binlog can't \
             be replicated.",
        ));
    }
    if config.enable_gtid && flavor == Flavor::MySql {
        let mode = server::variable(&mut conn, "gtid_mode").await.map_err(failed)?.unwrap_or_default();
        if !mode.eq_ignore_ascii_case("ON") {
            return Err(code::SOURCE_CHECK_GTID
                .error(format!("GTID_MODE of the source is {mode}, `enable-gtid` needs ON")));
        }
    }
    crate::check::warn_of_format(&mut conn, &config.source_id).await;
    let uuid = server::server_uuid(&mut conn).await.map_err(failed)?;
    let server_id = free_server_id(&mut conn, config.server_id).await;
    let zone = system_zone(&mut conn).await.map_err(failed)?;
    let cascades_logged = super::cascades::are_logged(&mut conn).await.map_err(failed)?;
    let mut tracker = Tracker::new(environment(conn.server()));
    for row in conn
        .query("SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA")
        .await
        .map_err(failed)?
        .iter()
    {
        let text = |at: usize| row.str(at).map(Option::unwrap_or_default).map_err(failed);
        tracker.set_database(&text(0)?, &text(1)?, &text(2)?);
    }
    let tables = upstream::tables(&mut conn, config).await?;
    let tables = tables.into_iter().map(|table| (table.target, table.name)).collect();
    conn.close().await;
    Ok(Source { flavor, server_id, uuid, zone, cascades_logged, now, tracker, tables })
}

/// The offset that the source's `SYSTEM` time zone has now.
async fn system_zone(conn: &mut Conn) -> mysql::Result<Option<String>> {
    conn.exec("SET SESSION time_zone = 'SYSTEM'").await?;
    let offset = server::zone_offset(conn).await?;
    Ok(Some(offset.to_string()))
}

/// `wanted` (unless 0), or, where another replica of the source has it now, a free id in the range that DM uses.
pub(super) async fn free_server_id(conn: &mut Conn, wanted: u32) -> u32 {
    let taken = match server::replica_server_ids(conn).await {
        Ok(taken) => taken,
        Err(_) if wanted != 0 => Vec::new(),
        Err(error) if error.class() == ErrorClass::AccessDenied => {
            // MariaDB from 10.5.2 on asks for REPLICATION MASTER ADMIN, which lets an account change far too much. A clash is met when it
            // comes, and another id taken.
            info!(error = %error, "the account may not list the source's replicas, the server id is one of many by chance");
            Vec::new()
        }
        Err(error) => {
            warn!(error = %error, "cannot list the source's replicas, a server id is chosen blindly");
            Vec::new()
        }
    };
    if wanted != 0 {
        if !taken.contains(&wanted) {
            return wanted;
        }
        // Also our own former connection, while the server has not noticed its end.
        info!(server_id = wanted, "another replica of the source has this server-id, a new one is chosen");
    }
    for _ in 0..5 {
        let mut bytes = [0; 4];
        // Without random numbers the first free id will do.
        let _ = getrandom::fill(&mut bytes);
        let id = 4_294_867_296 + u32::from_le_bytes(bytes) % 100_000;
        if !taken.contains(&id) {
            return id;
        }
    }
    4_294_867_296
}

/// The checkpoint, else the task's `meta`, else where the source is now; with its GTID set where that is needed.
async fn start_spot(config: &SubtaskConfig, loaded: &Loaded, source: &Source) -> Result<Spot, DmError> {
    let mut start = match (&loaded.global, &config.meta, &source.now) {
        (Some(global), _, _) => global.clone(),
        (None, Some(meta), _) => {
            let mut location = Location::new(meta.binlog_name.as_str(), u64::from(meta.binlog_pos.max(4)));
            if !meta.binlog_gtid.trim().is_empty() {
                let set = GtidSet::parse(source.flavor, &meta.binlog_gtid)
                    .map_err(|e| code::PARSE_GTID.error(e.to_string()))?;
                location.gtid = Some(set);
            }
            location
        }
        (None, None, Some(now)) => {
            info!(at = %now, "there is neither a checkpoint nor `meta`: replication begins where the source is now");
            now.clone()
        }
        (None, None, None) => return Err(code::NO_MASTER_STATUS.error("")),
    };
    if config.enable_gtid && start.gtid.is_none() {
        let place = Place::new(&start.file, start.pos);
        let set = Unit::gtids_before(config, source.flavor, source.server_id, &place).await?;
        start.gtid = Some(set);
    }
    if start.file.is_empty() && !config.enable_gtid {
        return Err(code::CONFIG_META_INVALID
            .error("`meta` has only a GTID set and the source's `enable-gtid` is off"));
    }
    Ok(Spot::of(&start))
}
