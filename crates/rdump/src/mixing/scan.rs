//! What the binlog says of tables between two positions of one server.
//!
//! States of a table: not reached (the scan is before its own start), watched, or condemned with a reason. Invariants:
//! 1. Each event from a table's start to the end of the scan was looked at, or the table is condemned: what can't be read, does
//!    not follow on what was before, or is not understood, condemns all tables.
//! 2. A table that is not condemned was changed by full images of rows alone.

use binlog::{Body, Decoder, Event, EventKind, Query};
use common::ident::TableName;
use mysql::gtid::Sid;
use mysql::wire::{BinlogRequest, BinlogStream, Refusal, Start};
use mysql::{Endpoint, Flavor, Gtid, GtidSet, Location};
use sql::{Kind, SqlMode};

/// A table that is looked at.
#[derive(Debug)]
pub struct Watched {
    /// Its name.
    pub name: TableName,
    /// Where its oldest chunk stands.
    pub from: Location,
    /// The scan has passed that place.
    pub reached: bool,
    /// Why its chunks can't be mixed with new ones.
    pub reason: Option<String>,
}

/// Where the scan is to begin and to end.
#[derive(Debug)]
pub struct Span {
    /// The family of the server.
    pub flavor: Flavor,
    /// The earliest start of all tables, with its GTID set.
    pub from: Location,
    /// The server's clock when `from` was read: the file at `from` must be older.
    pub taken_at: u64,
    /// The position of the new snapshot, with its GTID set.
    pub until: Location,
    /// The server writes each transaction to the disk before it is committed, so that a crash loses none.
    pub synced: bool,
}

/// Reads the binlog and condemns tables. What is wrong for all of them is an error.
///
/// # Errors
/// Why nothing can be said of any table.
pub async fn scan(endpoint: &Endpoint, span: &Span, tables: &mut [Watched]) -> Result<(), String> {
    let start = Start::Position { file: span.from.file.clone(), pos: span.from.pos };
    let request = BinlogRequest::new(replica_id(), span.flavor, start).without_waiting();
    let refused = |error: mysql::Error| match Refusal::of(&error) {
        Some(Refusal::Purged) => {
            format!("the binlog from {} on is purged ({error})", span.from.position_text())
        }
        _ => format!("the binlog can't be read from {} on: {error}", span.from.position_text()),
    };
    let mut stream = BinlogStream::open(endpoint, &request).await.map_err(refused)?;
    let mut scan = Scan::new(span, tables);
    loop {
        match stream.next_or_end().await.map_err(refused)? {
            None => return Err(format!("the binlog ends at {}, before the new position", scan.place())),
            Some(frame) => scan.frame(frame.bytes())?,
        }
        if scan.is_over()? {
            return scan.finish();
        }
    }
}

/// A number that no other replica is likely to have: two of one number cut off each other.
fn replica_id() -> u32 {
    let seed = format!("{} {:?}", std::process::id(), std::time::SystemTime::now());
    let hash = blake3::hash(seed.as_bytes());
    let number = hash.as_bytes().first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    // Above what people give to servers.
    3_000_000_000 + number % 1_000_000_000
}

struct Scan<'a> {
    span: &'a Span,
    tables: &'a mut [Watched],
    decoder: Decoder,
    file: String,
    /// Where the next event must begin.
    pos: u64,
    /// The first event of a file was seen: the binlog is the one that the position was read from.
    known: bool,
    /// The last event of the file was one that ends a file.
    closed: bool,
    /// Transactions before the scan, and those that it has met.
    seen: GtidSet,
}

impl<'a> Scan<'a> {
    fn new(span: &'a Span, tables: &'a mut [Watched]) -> Scan<'a> {
        let flavor = match span.flavor {
            Flavor::MariaDb => binlog::Flavor::MariaDb,
            Flavor::MySql | Flavor::TiDb => binlog::Flavor::MySql,
        };
        Scan {
            tables,
            decoder: Decoder::new(flavor),
            file: span.from.file.clone(),
            pos: span.from.pos,
            known: false,
            closed: false,
            seen: span.from.gtid.clone().unwrap_or_else(|| GtidSet::empty(span.flavor)),
            span,
        }
    }

    fn place(&self) -> String {
        format!("({}, {})", self.file, self.pos)
    }

    fn here(&self) -> Location {
        Location::new(self.file.as_str(), self.pos)
    }

    /// Whether the new position is reached; it can't be passed.
    fn is_over(&self) -> Result<bool, String> {
        let order = self.here().compare(&self.span.until);
        if order.is_gt() {
            return Err(format!("no event of the binlog ends at {}", self.span.until.position_text()));
        }
        Ok(self.known && order.is_eq())
    }

    /// All events were seen; do they make up for what the server has?
    fn finish(mut self) -> Result<(), String> {
        self.reach();
        for table in self.tables.iter_mut().filter(|table| !table.reached) {
            table.reason.get_or_insert_with(|| no_event(&table.from));
        }
        match &self.span.until.gtid {
            Some(all) if !self.seen.contains(all) => {
                let mut missing = all.clone();
                let _ = missing.subtract(&self.seen);
                Err(format!("the server has transactions that are not in its binlog: {missing}"))
            }
            _ => Ok(()),
        }
    }

    /// Watches the tables whose start is here.
    fn reach(&mut self) {
        let here = self.here();
        for table in self.tables.iter_mut().filter(|table| !table.reached && table.reason.is_none()) {
            match here.compare(&table.from) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => table.reached = true,
                std::cmp::Ordering::Greater => table.reason = Some(no_event(&table.from)),
            }
        }
    }

    fn frame(&mut self, frame: &[u8]) -> Result<(), String> {
        let event =
            self.decoder.decode(frame).map_err(|error| format!("the binlog can't be read: {error}"))?;
        let header = event.header;
        match &event.body {
            Body::Rotate(rotate) if header.is_artificial() || header.next_pos == 0 => {
                return self.next_file(rotate.file, rotate.position);
            }
            Body::Format(_) if !self.known => {
                self.known = true;
                if u64::from(header.timestamp) >= self.span.taken_at {
                    return Err(format!(
                        "{} is not the file that the old position was read from: the binlog was begun anew (RESET MASTER)",
                        self.file
                    ));
                }
            }
            _ => {}
        }
        // Made for the stream: it stands in no file.
        if header.is_artificial() || header.next_pos == 0 || matches!(event.body, Body::Heartbeat(_)) {
            return Ok(());
        }
        self.follows(header.next_pos, header.size)?;
        self.reach();
        self.event(&event)?;
        self.closed = matches!(event.body, Body::Rotate(_) | Body::Stop);
        self.pos += u64::from(header.size);
        Ok(())
    }

    /// An event begins where the one before has ended. Positions in headers have 32 bits only.
    fn follows(&self, next_pos: u32, size: u32) -> Result<(), String> {
        match next_pos.wrapping_sub(size) == self.pos as u32 {
            true => Ok(()),
            false => Err(format!("the binlog has a gap at {}", self.place())),
        }
    }

    fn next_file(&mut self, file: &str, position: u64) -> Result<(), String> {
        if file == self.file {
            return Ok(());
        }
        if !self.closed && !self.span.synced {
            return Err(format!(
                "the server has crashed at {}, and without sync_binlog = 1 it may have lost the end of that file",
                self.place()
            ));
        }
        // A start may be the end of a file.
        self.reach();
        let next = |name: &str| Location::new(name, 0).sequence();
        if next(file) != next(&self.file).map(|number| number + 1) {
            return Err(format!("the binlog has a gap: {file} follows on {}", self.file));
        }
        (self.file, self.pos, self.closed) = (file.to_owned(), position, false);
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>) -> Result<(), String> {
        match &event.body {
            Body::Rows(rows) => {
                let partial = event.header.kind == EventKind::PARTIAL_UPDATE_ROWS;
                if partial || !rows.is_full_image() {
                    let what = match partial {
                        true => "differences of JSON documents (binlog_row_value_options)",
                        false => "rows without all of their columns (binlog_row_image)",
                    };
                    let name = TableName::new(rows.table.schema.as_str(), rows.table.table.as_str());
                    self.condemn(&name, what);
                }
                Ok(())
            }
            Body::Query(query) => self.query(query),
            Body::LoadData(_) => Err(self.not_rows("LOAD DATA")),
            Body::Gtid(gtid) => {
                let tag = gtid.tag.unwrap_or_default().to_owned();
                self.meet(Gtid::MySql { sid: Sid(gtid.sid), tag, gno: gtid.gno })
            }
            Body::MariaGtid(gtid) => {
                self.meet(Gtid::MariaDb { domain: gtid.domain, server_id: gtid.server_id, seq: gtid.seq })
            }
            Body::Payload(payload) => {
                let broken = |error| format!("the binlog can't be read: {error}");
                let mut events = payload.open().map_err(broken)?;
                while let Some(frame) = events.next().map_err(broken)? {
                    let event = self.decoder.decode_inner(frame).map_err(broken)?;
                    self.event(&event)?;
                }
                Ok(())
            }
            Body::Format(_)
            | Body::Rotate(_)
            | Body::AnonymousGtid(_)
            | Body::PreviousGtids(_)
            | Body::Xid(_)
            | Body::XaPrepare(_)
            | Body::TableMap(_)
            | Body::NoRows
            | Body::RowsQuery(_)
            | Body::Heartbeat(_)
            | Body::MariaGtidList { .. }
            | Body::MariaCheckpoint(_)
            | Body::Stop
            // They belong to a statement, which tells.
            | Body::Intvar { .. }
            | Body::Rand(..)
            | Body::UserVar(_)
            | Body::GroupReplication
            | Body::Ignored => Ok(()),
        }
    }

    fn meet(&mut self, gtid: Gtid) -> Result<(), String> {
        self.seen.add(&gtid).map_err(|error| error.to_string())
    }

    fn not_rows(&self, what: &str) -> String {
        format!(
            "at {} the binlog has a statement in place of rows, or one that is not understood ({what})",
            self.place()
        )
    }

    fn query(&mut self, query: &Query<'_>) -> Result<(), String> {
        use Kind::*;
        let mode = SqlMode::from_bits(query.status.sql_mode.unwrap_or(0));
        let text = query.text();
        let found = sql::classify(&text, mode);
        let schema = String::from_utf8_lossy(query.schema).into_owned();
        match found.kind {
            Xa => self.xa(&text),
            CreateDatabase | AlterDatabase | DropDatabase => {
                let database = found.database.unwrap_or(schema);
                self.condemn_schema(&database, "its database was created, altered or dropped");
                Ok(())
            }
            CreateTable | AlterTable | DropTable | RenameTable | TruncateTable | CreateIndex | DropIndex
            | TableMaintenance => {
                if found.tables.is_empty() || std::str::from_utf8(&text).is_err() {
                    return Err(self.not_rows(&format!("{:?}", found.kind)));
                }
                for table in &found.tables {
                    let name =
                        TableName::new(table.schema.as_deref().unwrap_or(&schema), table.table.as_str());
                    self.condemn(&name, &format!("a DDL on it ({:?})", found.kind));
                }
                Ok(())
            }
            kind if changes_no_table(kind) => Ok(()),
            // Rows as text, calls of routines, and what nobody knows.
            _ => Err(self.not_rows(&format!("{:?}", found.kind))),
        }
    }

    /// Rows of an XA transaction come when it is prepared, and count when it is committed: with a snapshot in between they would be in
    /// one half of the chunks only.
    fn xa(&self, text: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(text).to_ascii_uppercase();
        let mut words = text.split_whitespace().skip(1);
        let commits = words.next() == Some("COMMIT");
        match commits && !text.ends_with("ONE PHASE") {
            true => Err(format!("at {} a prepared XA transaction is committed", self.place())),
            false => Ok(()),
        }
    }

    fn condemn(&mut self, name: &TableName, what: &str) {
        let reason = format!("at {} the binlog has {what}", self.place());
        for table in self.watched().filter(|table| is_one(&table.name.table, &name.table)) {
            if is_one(&table.name.schema, &name.schema) {
                table.reason.get_or_insert_with(|| reason.clone());
            }
        }
    }

    fn condemn_schema(&mut self, schema: &str, what: &str) {
        let reason = format!("at {} {what}", self.place());
        for table in self.watched().filter(|table| is_one(&table.name.schema, schema)) {
            table.reason.get_or_insert_with(|| reason.clone());
        }
    }

    fn watched(&mut self) -> impl Iterator<Item = &mut Watched> {
        self.tables.iter_mut().filter(|table| table.reached && table.reason.is_none())
    }
}

/// Ends of transactions, and definitions that hold no rows.
fn changes_no_table(kind: Kind) -> bool {
    use Kind::{Begin, Commit, CreateTemporaryTable, Empty, Lock, Rollback, Sequence, Set, Use};
    let transaction = matches!(kind, Begin | Commit | Rollback | Empty | Set | Use | Lock);
    transaction || kind.is_skipped() || matches!(kind, CreateTemporaryTable | Sequence)
}

fn no_event(place: &Location) -> String {
    format!("no event of the binlog begins at {}, where it was dumped first", place.position_text())
}

/// Servers may take names in any case; a table too many only costs time.
fn is_one(a: &str, b: &str) -> bool {
    a == b || a.to_lowercase() == b.to_lowercase()
}
