//! Events of the binlog, one by one: where transactions begin and end, and what rows become.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use binlog::{Body, Event, RowsEvent, RowsKind};
use common::{
    error::{DmError, dm_codes as code},
    failpoint,
    ident::TableName,
};
use mysql::{
    Flavor, Gtid, GtidSet,
    gtid::Sid,
    wire::{BinlogRequest, Start},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    error,
    place::{Place, Spot},
    plan::TablePlan,
    reader::Reader,
    rows::{self, EventRows},
    scheduler::{Change, Op},
    session,
    start::{another_server, free_server_id},
    unit::{Known, READ_BUDGET, Transaction, Unit},
    xa::{self, Xa},
};
use crate::config::{Decision, online_ddl::TableKind};

/// Time between signs of life of the source.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// Waits between tries to open the stream; the last one is repeated.
const REOPEN: [u64; 6] = [100, 500, 1000, 2000, 5000, 10_000];

/// Tries to open the stream before the subtask pauses (and is resumed by its checker).
const MOST_REOPENS: usize = 20;

impl Unit {
    /// Opens the stream at the last whole transaction, and tries again while the source cannot be reached. `false`: another server answers, and
    /// the run has to begin anew there.
    pub(super) async fn open_reader(&mut self, stop: &CancellationToken) -> Result<bool, DmError> {
        let start = match &self.executed {
            Some(set) if self.config.enable_gtid => Start::Gtid(GtidSet::clone(set)),
            _ => {
                Start::Position { file: self.committed.place.file.to_string(), pos: self.committed.place.pos }
            }
        };
        if self.server_id == 0 {
            self.server_id = match session::connect_source(&self.config).await {
                Ok(mut conn) => {
                    let id = free_server_id(&mut conn, 0).await;
                    conn.close().await;
                    id
                }
                // Then the stream says what is wrong.
                Err(_) => crate::config::random_server_id(|_| false),
            };
            info!(server_id = self.server_id, "another server-id is used");
        }
        let request =
            BinlogRequest::new(self.server_id, self.flavor, start).with_heartbeat(HEARTBEAT).with_identity();
        let endpoint = self.config.source.endpoint();
        for attempt in 0.. {
            match Reader::open(&endpoint, &request, READ_BUDGET).await {
                Ok(reader) if reader.server() != self.state.server_uuid => {
                    // Behind one name another one may answer than at the start.
                    return self.meets_another_server(reader.server()).map(|()| false);
                }
                Ok(reader) => {
                    self.decoder = binlog::Decoder::new(match self.flavor {
                        Flavor::MariaDb => binlog::Flavor::MariaDb,
                        _ => binlog::Flavor::MySql,
                    });
                    self.place = self.committed.place.clone();
                    self.placed = !matches!(request.start, Start::Gtid(_));
                    info!(at = %self.committed, "replicate binlog from checkpoint");
                    self.reader = Some(reader);
                    if let Some(since) = &mut self.unproven_since {
                        *since = Instant::now();
                    }
                    return Ok(true);
                }
                Err(error) if error.class().is_transient() && attempt < MOST_REOPENS => {
                    warn!(error = %error, attempt, "cannot open the binlog stream, will try again");
                    let wait = Duration::from_millis(REOPEN[attempt.min(REOPEN.len() - 1)]);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = stop.cancelled() => return Ok(true),
                    }
                    self.collect()?;
                }
                Err(error) => return Err(self.refused(&error)),
            }
        }
        Ok(true)
    }

    /// The source refuses the stream: with what was asked for.
    pub(super) fn refused(&self, error: &mysql::Error) -> DmError {
        let place = match &self.executed {
            Some(set) if self.config.enable_gtid => format!("GTID set {set}"),
            _ => format!("position {}", self.committed.place),
        };
        let moved = self.committed != self.started_at;
        let origin = if moved { "where the last whole transaction ended" } else { self.origin };
        error::stream(error, &format!("asked for what follows {place} ({origin})"))
    }

    fn meets_another_server(&self, now: &str) -> Result<(), DmError> {
        if !self.config.enable_gtid || self.executed.is_none() {
            return Err(another_server(&self.config, &self.committed.place, &self.state.server_uuid, now));
        }
        warn!(before = %self.state.server_uuid, now, "another server answers, the run begins anew there");
        Ok(())
    }

    /// One frame of the stream.
    pub(super) async fn frame(&mut self, frame: &[u8]) -> Result<(), DmError> {
        // Out of `self` while the event lends from it.
        let mut decoder = std::mem::replace(&mut self.decoder, binlog::Decoder::new(binlog::Flavor::MySql));
        let result = match decoder.decode(frame) {
            Ok(event) => {
                // What every stream begins with says nothing of the place.
                let is_head = matches!(
                    event.body,
                    Body::Rotate(_) | Body::Format(_) | Body::PreviousGtids(_) | Body::MariaGtidList { .. }
                );
                if !is_head {
                    self.confirm_start().await?;
                }
                let end = self.end_of(&event);
                match &event.body {
                    Body::Payload(payload) => self.payload(&mut decoder, payload, &end).await,
                    _ => self.event(&event, &end, 0).await,
                }
            }
            Err(e) => Err(error::decode(&e)),
        };
        self.decoder = decoder;
        result
    }

    /// The place after an event. Positions in headers have 32 bits only.
    fn end_of(&self, event: &Event<'_>) -> Place {
        let low = u64::from(event.header.next_pos);
        if low == 0 || event.header.is_artificial() {
            return self.place.clone();
        }
        let mut pos = self.place.pos & !0xffff_ffff | low;
        if pos < self.place.pos && self.place.pos - pos > 0x8000_0000 {
            pos += 1 << 32;
        }
        self.place.at(pos)
    }

    /// A compressed transaction: its events have no places of their own.
    async fn payload(
        &mut self,
        decoder: &mut binlog::Decoder,
        payload: &binlog::Payload<'_>,
        end: &Place,
    ) -> Result<(), DmError> {
        let mut events = payload.open().map_err(|e| error::decode(&e))?;
        let mut number = 0;
        while let Some(frame) = events.next().map_err(|e| error::decode(&e))? {
            number += 1;
            let event = decoder.decode_inner(frame).map_err(|e| error::decode(&e))?;
            self.event(&event, end, number).await?;
            // One payload may hold many times what the budget takes.
            if !self.has_room() {
                self.make_room().await?;
            }
        }
        Ok(())
    }

    async fn event(&mut self, event: &Event<'_>, end: &Place, inner: u32) -> Result<(), DmError> {
        if event.header.timestamp != 0 {
            self.binlog_timestamp = event.header.timestamp;
        }
        match &event.body {
            Body::Rotate(rotate) => {
                let next = Place::new(rotate.file, rotate.position);
                let real = !event.header.is_artificial() && event.header.timestamp != 0;
                self.place = next.clone();
                if real && self.placed && !self.transaction.open {
                    self.committed.place = next;
                }
                return Ok(());
            }
            Body::Gtid(gtid) => self.begin(Some(Gtid::MySql {
                sid: Sid(gtid.sid),
                tag: gtid.tag.unwrap_or_default().to_owned(),
                gno: gtid.gno,
            })),
            Body::AnonymousGtid(_) => self.begin(None),
            Body::MariaGtid(gtid) => {
                self.begin(Some(Gtid::MariaDb {
                    domain: gtid.domain,
                    server_id: gtid.server_id,
                    seq: gtid.seq,
                }));
                self.transaction.begun = !gtid.has(binlog::MariaGtid::STANDALONE);
                let prepared = gtid.xid.as_ref().filter(|_| gtid.has(binlog::MariaGtid::PREPARED_XA));
                self.transaction.xa = prepared.map(|xid| Xa::new(xa::name_of(xid)));
            }
            Body::Query(query) => {
                let start = self.start_of(event, end);
                self.query(query, &start, end, event.header.timestamp).await?;
                return Ok(());
            }
            Body::Rows(rows) => {
                let start = self.start_of(event, end);
                self.rows(rows, &start, end, inner, event.header.timestamp).await?;
            }
            Body::Xid(_) | Body::XaPrepare(_) => {
                if let Body::XaPrepare(prepare) = &event.body {
                    self.prepared(prepare.one_phase);
                }
                self.place = end.clone();
                return self.commit(end).await;
            }
            Body::Heartbeat(_) => return Ok(()),
            Body::LoadData(_) => {
                return Err(code::SYNC_UNIT_DML_STATEMENT_FOUND
                    .error("a LOAD DATA in statement format was found in the binlog")
                    .annotate(&format!("location: {end}: ")));
            }
            Body::PreviousGtids(list) if !self.placed => {
                let before = mysql_set(self.flavor, list)?;
                self.placed = self.executed.as_ref().is_some_and(|set| before.contains(set));
            }
            // An artificial one stands anywhere.
            Body::MariaGtidList { gtids, .. } if !self.placed && !event.header.is_artificial() => {
                let before = mariadb_set(gtids)?;
                self.placed = self.executed.as_ref().is_some_and(|set| before.contains(set));
            }
            Body::Format(_)
            | Body::PreviousGtids(_)
            | Body::MariaGtidList { .. }
            | Body::MariaCheckpoint(_)
            | Body::TableMap(_)
            | Body::NoRows
            | Body::RowsQuery(_)
            | Body::Stop
            | Body::Intvar { .. }
            | Body::Rand(..)
            | Body::UserVar(_)
            | Body::GroupReplication
            | Body::Ignored => {}
            // Taken apart by the caller.
            Body::Payload(_) => {}
        }
        self.place = end.clone();
        let between = !self.transaction.open && self.transaction.gtid.is_none();
        if between && self.placed && event.header.next_pos != 0 {
            // Between transactions every event is a place to go on from.
            self.committed.place = end.clone();
        }
        Ok(())
    }

    pub(super) fn start_of(&self, event: &Event<'_>, end: &Place) -> Place {
        end.at(end.pos.saturating_sub(u64::from(event.header.size)))
    }

    fn begin(&mut self, gtid: Option<Gtid>) {
        self.transaction = Transaction { open: true, gtid, ..Transaction::default() };
    }

    /// The transaction ends at `end`.
    pub(super) async fn commit(&mut self, end: &Place) -> Result<(), DmError> {
        let transaction = std::mem::take(&mut self.transaction);
        self.placed |= transaction.gtid.is_some();
        if let (Some(executed), Some(gtid)) = (&mut self.executed, &transaction.gtid) {
            // Let go first: only a set that a mark holds has to be copied, not one for each transaction.
            self.committed.gtid = None;
            let executed = Arc::make_mut(executed);
            executed.add(gtid).map_err(|e| code::SYNCER_GET_EVENT.error(e.to_string()))?;
        }
        self.skip_rows = 0;
        self.committed.place = end.clone();
        if self.committed.gtid.is_none() {
            self.committed.gtid = self.executed.clone();
        }
        self.mark(false);
        if self.safe.pass(end) {
            self.drain().await?;
            self.flush_low(false).await?;
        }
        Ok(())
    }

    /// What is known about an upstream table.
    pub(super) fn known(&mut self, schema: &str, table: &str) -> Result<Known, DmError> {
        if let Some(known) = self.known.get(schema).and_then(|tables| tables.get(table)) {
            return Ok(known.clone());
        }
        let name = TableName::new(schema, table);
        let online = self.config.online_ddl.as_ref().map_or(TableKind::Real, |o| o.kind(table));
        let known = if !self.config.block_allow.matches_table(schema, table) || online != TableKind::Real {
            Known::Excluded
        } else {
            let routed = self
                .config
                .router
                .route(schema, table)
                .map_err(|e| code::GEN_TABLE_ROUTER.error(e.to_string()))?;
            Known::Kept { table: name, routed: Arc::new(routed), plan: None }
        };
        self.known.entry(schema.into()).or_default().insert(table.into(), known.clone());
        Ok(known)
    }

    /// Whether an event of the table that ends at `end` was applied before the checkpoint or before the reader went back.
    pub(super) fn is_done(&self, table: &TableName, end: &Place) -> bool {
        if let (Some(set), Some(gtid)) = (self.gtid_points.get(table), &self.transaction.gtid)
            && set.contains_gtid(gtid)
        {
            return true;
        }
        !self.points.is_empty() && self.points.is_done(table, &Spot { place: end.clone(), gtid: None })
    }

    async fn rows(
        &mut self,
        event: &RowsEvent<'_>,
        start: &Place,
        end: &Place,
        inner: u32,
        timestamp: u32,
    ) -> Result<(), DmError> {
        let map = Arc::clone(&event.table);
        let Known::Kept { table, routed, plan } = self.known(&map.schema, &map.table)? else { return Ok(()) };
        let name = match event.kind {
            RowsKind::Insert => "insert",
            RowsKind::Update => "update",
            RowsKind::Delete => "delete",
        };
        if !self.config.filters.is_empty() {
            match self.config.filters.decide(&map.schema, &map.table, name, "") {
                Decision::Do => {}
                Decision::Skip => return Ok(()),
                Decision::Refuse => {
                    let error = code::SYNCER_EVENT.error(format!("a filter refuses {name} on {table}"));
                    return Err(error::located(error, start, &self.committed, end));
                }
            }
        }
        if self.is_sharded() && self.groups.is_waiting(&routed.name(), &table) {
            if let (Some(cascades), false) =
                (plan.as_ref().and_then(|plan| plan.cascades.as_ref()), event.kind == RowsKind::Insert)
            {
                self.tell_of_waiting(&table, cascades);
            }
            return Ok(());
        }
        if self.is_done(&table, end) {
            self.left_out_of_xa(table, end);
            return Ok(());
        }
        if !self.counts().await? {
            return Ok(());
        }
        if !event.is_full_image() {
            let error =
                code::BINLOG_NOT_LOG_COLUMN.error(format!("the rows of {table} do not hold all columns"));
            return Err(error::located(error, start, &self.committed, end));
        }
        let plan = match plan {
            Some(plan) => plan,
            None => self.make_plan(&table, &routed, &map).await?,
        };
        if plan.width != map.columns.len() {
            let error = code::SYNCER_UNIT_DML_COLUMN_NOT_MATCH.error(format!(
                "Column count doesn't match value count: {} (columns of {table} as tracked) vs {} (values)",
                plan.width,
                map.columns.len()
            ));
            return Err(error::located(error, start, &self.committed, end));
        }
        self.push_rows(event, plan, start, end, inner, timestamp)
            .map_err(|e| error::located(e, start, &self.committed, end))?;
        self.shared.add_event();
        self.dirty.insert(table, end.clone());
        self.rows_since_flush = true;
        failpoint::hit("syncer-after-rows");
        Ok(())
    }

    fn push_rows(
        &mut self,
        event: &RowsEvent<'_>,
        plan: Arc<TablePlan>,
        start: &Place,
        end: &Place,
        inner: u32,
        timestamp: u32,
    ) -> Result<(), DmError> {
        let key = (end.sequence, end.pos, inner);
        // With the set of the last mark: one that rows hold would have to be copied for the next transaction.
        let before = Spot {
            place: self.committed.place.clone(),
            gtid: self.marks.back().map_or(&self.low, |mark| &mark.spot).gtid.clone(),
        };
        let new = |kind| {
            EventRows::new(
                Arc::clone(&plan),
                kind,
                key,
                start.clone(),
                end.clone(),
                before.clone(),
                timestamp,
            )
        };
        let applied = self.applied.rows(key).unwrap_or_default();
        let mut keys = std::mem::take(&mut self.keys);
        keys.clear();
        let walked = &mut self.transaction.rows;
        let decoded = rows::decode(event, new, applied, &mut self.skip_rows, walked, &mut keys)
            .map_err(|e| error::decode(&e))?;
        let safe = self.safe.is_on();
        let sets: Vec<_> = decoded.sets.into_iter().map(|rows| as_changes(rows, safe)).collect();
        for (number, keys) in keys.iter_mut().enumerate() {
            let (set, row) = decoded.order.get(number).copied().unwrap_or((0, number));
            let (rows, op, bytes) = &sets[set];
            let cascades =
                plan.cascades.as_ref().filter(|c| event.checks_foreign_keys() && c.acts(rows, row));
            let op = match cascades {
                None => *op,
                Some(cascades) => {
                    if let Some(refusal) = cascades.refusal() {
                        return Err(refusal);
                    }
                    keys.barrier = true;
                    self.tell_of_waiting(&plan.source, cascades);
                    acting(*op)
                }
            };
            self.scheduler.push(Change { rows: Arc::clone(rows), row }, op, keys, *bytes);
        }
        self.keys = keys;
        self.send_closed();
        Ok(())
    }

    /// Reads the binlog up to the start position to learn which transactions lie before it.
    pub(super) async fn gtids_before(
        config: &crate::config::SubtaskConfig,
        flavor: Flavor,
        server_id: u32,
        at: &Place,
    ) -> Result<GtidSet, DmError> {
        let start = Start::Position { file: at.file.to_string(), pos: 4 };
        let request = BinlogRequest::new(server_id, flavor, start).without_waiting();
        let endpoint = config.source.endpoint();
        let refused = |e: mysql::Error| {
            error::stream(
                &e,
                &format!("asked for {} to learn which transactions lie before position {at}", at.file),
            )
        };
        let mut stream = mysql::wire::BinlogStream::open(&endpoint, &request).await.map_err(refused)?;
        let mut decoder = binlog::Decoder::new(match flavor {
            Flavor::MariaDb => binlog::Flavor::MariaDb,
            _ => binlog::Flavor::MySql,
        });
        let mut set = GtidSet::empty(flavor);
        let add = |set: &mut GtidSet, gtid: Gtid| {
            set.add(&gtid).map_err(|e| code::SYNCER_GET_EVENT.error(e.to_string()))
        };
        while let Some(frame) = stream.next_or_end().await.map_err(refused)? {
            if u64::from(frame.next_pos()) > at.pos && frame.timestamp() != 0 {
                break;
            }
            let event = decoder.decode(frame.bytes()).map_err(|e| error::decode(&e))?;
            match event.body {
                Body::PreviousGtids(list) => unite(&mut set, &mysql_set(flavor, &list)?)?,
                Body::MariaGtidList { gtids, .. } => unite(&mut set, &mariadb_set(&gtids)?)?,
                Body::Gtid(g) => add(
                    &mut set,
                    Gtid::MySql { sid: Sid(g.sid), tag: g.tag.unwrap_or_default().into(), gno: g.gno },
                )?,
                Body::MariaGtid(g) => {
                    add(&mut set, Gtid::MariaDb { domain: g.domain, server_id: g.server_id, seq: g.seq })?;
                }
                _ => {}
            }
        }
        debug!(at = %at, gtid = %set, "transactions before the start position");
        Ok(set)
    }
}

/// Rows of one kind, how they are applied, and about how many bytes each takes.
fn as_changes(rows: EventRows, safe: bool) -> (Arc<EventRows>, Op, usize) {
    let op = match (rows.kind, safe) {
        (RowsKind::Insert, false) => Op::Insert,
        (RowsKind::Insert, true) => Op::Replace,
        (RowsKind::Update, false) => Op::Update,
        (RowsKind::Update, true) => Op::SafeUpdate,
        (RowsKind::Delete, _) => Op::Delete,
    };
    let bytes = rows.size() / rows.len().max(1) + 64;
    (Arc::new(rows), op, bytes)
}

/// The same change, acting on other tables.
fn acting(op: Op) -> Op {
    match op {
        Op::Delete => Op::ActingDelete,
        Op::Update => Op::ActingUpdate,
        Op::SafeUpdate => Op::ActingSafeUpdate,
        other => other,
    }
}

fn unite(set: &mut GtidSet, other: &GtidSet) -> Result<(), DmError> {
    set.union(other).map_err(|e| code::PARSE_GTID.error(e.to_string()))
}

/// The set at the begin of a file.
fn mysql_set(flavor: Flavor, list: &[binlog::PreviousGtid]) -> Result<GtidSet, DmError> {
    let mut set = GtidSet::empty(flavor);
    for previous in list {
        let ranges: Vec<String> =
            previous.intervals.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        let tag = previous.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let text = format!("{}{tag}:{}", Sid(previous.sid), ranges.join(":"));
        let one = GtidSet::parse(flavor, &text).map_err(|e| code::PARSE_GTID.error(e.to_string()))?;
        unite(&mut set, &one)?;
    }
    Ok(set)
}

/// The position at the begin of a file.
fn mariadb_set(list: &[binlog::MariaGtidEntry]) -> Result<GtidSet, DmError> {
    let mut set = GtidSet::empty(Flavor::MariaDb);
    for g in list {
        let gtid = Gtid::MariaDb { domain: g.domain, server_id: g.server_id, seq: g.seq };
        set.add(&gtid).map_err(|e| code::SYNCER_GET_EVENT.error(e.to_string()))?;
    }
    Ok(set)
}
