//! XA transactions of the source.
//!
//! Rows come when one is prepared; whether they count stands later in the binlog. What a transaction has changed stays locked until then, so
//! its rows mean the same at either place: at the first replicated row the fate is looked up further on, through a stream of its own, and
//! everything waits for it. So a prepared transaction that is rolled back leaves nothing, and nothing has to be kept over a restart but
//! the names of those that were met: an XA COMMIT of any other one is of rows from before the start of the task. With the names are kept
//! the tables whose own points lay behind the rows: their dumps lack the rows unless the commit came before them too.

use std::time::{Duration, Instant};

use binlog::{Body, Event};
use common::{
    error::{DmError, dm_codes as code},
    ident::TableName,
};
use mysql::{
    Endpoint, Flavor,
    wire::{BinlogRequest, BinlogStream, Start},
};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{
    error,
    place::Place,
    unit::{Known, Unit},
};
use crate::config::random_server_id;

/// Time between two looks at the rest of the work while a fate is waited for.
const LOOK: Duration = Duration::from_millis(200);

/// Time between signs of life of the source.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// When a wait is worth a warning, and again each time.
const SAY_EVERY: Duration = Duration::from_secs(30);

/// The transaction that is being read is an XA one.
#[derive(Debug, Clone)]
pub(super) struct Xa {
    /// Its name, see [`name_of`].
    pub xid: String,
    /// Whether it is committed, once that is known.
    pub committed: Option<bool>,
    /// Tables whose rows are left out as their points lie behind.
    left_out: Vec<TableName>,
}

impl Xa {
    pub(super) fn new(xid: String) -> Self {
        Self { xid, committed: None, left_out: Vec::new() }
    }
}

/// A prepared transaction that was met, until the checkpoint has passed its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownXa {
    /// Its name.
    pub xid: String,
    /// End of its XA COMMIT or XA ROLLBACK, once that was met.
    pub end: Option<(String, u64)>,
    /// Tables whose points lay behind its rows when they were first read: a dump has them only if it was committed before that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<TableName>,
}

impl KnownXa {
    /// Whether the one that is read at a place is this one, and no later one of the name.
    fn is_at(&self, xid: &str, place: &Place) -> bool {
        self.xid == xid && self.end.as_ref().is_none_or(|(file, pos)| Place::new(file, *pos) > *place)
    }
}

/// One form for what events and statements call a transaction.
pub(super) fn name_of(xid: &binlog::Xid<'_>) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("x'{}',x'{}',{}", hex(xid.gtrid), hex(xid.bqual), xid.format)
}

/// `XA COMMIT X'61',X'',1`: the second word in capitals, and the name.
fn statement(sql: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(sql);
    let mut words = text.split_whitespace().skip(1);
    let verb = words.next().unwrap_or_default().to_ascii_uppercase();
    let name = words.collect::<String>().to_ascii_lowercase();
    (verb, name.trim_end_matches("onephase").to_owned())
}

impl Unit {
    /// An XA statement.
    pub(super) async fn xa(&mut self, sql: &[u8], start: &Place, end: &Place) -> Result<(), DmError> {
        let (verb, xid) = statement(sql);
        match verb.as_str() {
            "START" | "BEGIN" => {
                self.transaction.open = true;
                self.transaction.begun = true;
                self.transaction.xa = Some(Xa::new(xid));
                Ok(())
            }
            "END" => Ok(()),
            "COMMIT" | "ROLLBACK" => {
                let known = self.state.xa.iter_mut().find(|known| known.xid == xid);
                let left_out = known.map(|known| {
                    known.end = Some((end.file.to_string(), end.pos));
                    known.left_out.clone()
                });
                if verb == "COMMIT" {
                    match left_out {
                        None => self.unknown_commit(sql, &xid, start, end).await?,
                        Some(tables) => self.commit_after_dump(&tables, sql, &xid, start, end)?,
                    }
                }
                self.commit(end).await
            }
            _ => self.commit(end).await,
        }
    }

    /// Rows that were prepared before the task began are not in a dump, and will not come again.
    async fn unknown_commit(
        &mut self,
        sql: &[u8],
        xid: &str,
        start: &Place,
        end: &Place,
    ) -> Result<(), DmError> {
        let why = match self.tables_before(xid).await? {
            Some(tables) => {
                let mut kept = None;
                for (schema, table) in &tables {
                    if let Known::Kept { table, .. } = self.known(schema, table)? {
                        kept = Some(table);
                        break;
                    }
                }
                let Some(table) = kept else {
                    info!(xid, at = %start, "rows of an XA transaction from before the task's start are of no replicated table");
                    return Ok(());
                };
                format!("rows of {table} among others")
            }
            None => "the binlog that holds it is gone".to_owned(),
        };
        let error = code::SYNCER_UNSUPPORTED_STMT
            .error(format!(
                "the XA transaction {xid} is committed here, and it was prepared before the task's start ({why}): its rows are in no dump, and \
                 the task has not read them"
            ))
            .with_workaround(
                "If it has changed no replicated table, pass it over with `binlog skip` (`rsync-dm run`: --skip-ddl). Else set `meta` to a place \
                 before its XA PREPARE and start the task anew with `--remove-meta` and safe mode, or bring its rows to the target by hand \
                 (`rsync-dm verify` names them) and pass it over.",
            );
        self.refuse_unless_skipped(error, sql, start, end)
    }

    /// Rows that were passed over because the table's dump is younger are in it only if the transaction was committed before the dump.
    fn commit_after_dump(
        &mut self,
        tables: &[TableName],
        sql: &[u8],
        xid: &str,
        start: &Place,
        end: &Place,
    ) -> Result<(), DmError> {
        let Some(table) = tables.iter().find(|table| !self.is_done(table, end)) else { return Ok(()) };
        let error = code::SYNCER_UNSUPPORTED_STMT
            .error(format!(
                "the XA transaction {xid} is committed here, and it was prepared before the dump of {table} was made: its rows of that table are \
                 not in the dump"
            ))
            .with_workaround(
                "Bring these rows to the target by hand (`rsync-dm verify` names them), and pass the statement over with `binlog skip` \
                 (`rsync-dm run`: --skip-ddl); or dump the table again.",
            );
        self.refuse_unless_skipped(error, sql, start, end)
    }

    /// Rows of a table that are passed over because its point lies behind them.
    pub(super) fn left_out_of_xa(&mut self, table: TableName, end: &Place) {
        let Some(xa) = &mut self.transaction.xa else { return };
        // Read before: then the point is ours, and the rows are applied.
        let is_known = self.state.xa.iter().any(|known| known.is_at(&xa.xid, end));
        if !is_known && !xa.left_out.contains(&table) {
            xa.left_out.push(table);
        }
    }

    /// The tables of a transaction that was prepared before the place of the task's start, as far back as the source has binlogs.
    async fn tables_before(&self, xid: &str) -> Result<Option<Tables>, DmError> {
        let mut conn = super::session::connect_source(&self.config).await?;
        let files = mysql::session::binary_logs(&mut conn).await;
        conn.close().await;
        let files = files.map_err(|e| error::source("cannot list the binlogs", &e))?;
        let until = self.committed.place.clone();
        let names = files.into_iter().map(|file| file.name);
        let before: Vec<String> = names.filter(|file| Place::new(file, 4) <= until).collect();
        for file in before.into_iter().rev() {
            info!(xid, file, "looking for the rows of an XA transaction from before the task's start");
            if let Some(tables) =
                tables_in(&self.config.source.endpoint(), self.flavor, &file, &until, xid).await?
            {
                return Ok(Some(tables));
            }
        }
        Ok(None)
    }

    /// The transaction is prepared: its end is to come.
    pub(super) fn prepared(&mut self, one_phase: bool) {
        if let Some(xa) = self.transaction.xa.as_ref().filter(|_| !one_phase) {
            let (xid, left_out) = (xa.xid.clone(), xa.left_out.clone());
            self.know(xid, left_out);
        }
    }

    /// Its end is to come; a former one of the name is over.
    fn know(&mut self, xid: String, mut left_out: Vec<TableName>) {
        let here = self.committed.place.clone();
        // Of one that is read again.
        if let Some(known) = self.state.xa.iter().find(|known| known.is_at(&xid, &here)) {
            left_out
                .extend(known.left_out.iter().filter(|t| !left_out.contains(t)).cloned().collect::<Vec<_>>());
        }
        self.state.xa.retain(|known| known.xid != xid);
        self.state.xa.push(KnownXa { xid, end: None, left_out });
    }

    /// Forgets those whose end the checkpoint has passed.
    pub(super) fn forget_xa(&mut self, checkpoint: &Place) {
        self.state.xa.retain(|known| {
            known.end.as_ref().is_none_or(|(file, pos)| Place::new(file, *pos) > *checkpoint)
        });
    }

    /// Whether rows of the transaction that is being read count: always, but in an XA transaction that is rolled back.
    pub(super) async fn counts(&mut self) -> Result<bool, DmError> {
        let Some(xa) = &self.transaction.xa else { return Ok(true) };
        if let Some(committed) = xa.committed {
            return Ok(committed);
        }
        let xid = xa.xid.clone();
        let fate = self.look_ahead(&xid).await?;
        info!(xid, committed = fate.committed, decided = %fate.end, "an XA transaction with rows of replicated tables");
        if let Some(xa) = &mut self.transaction.xa {
            xa.committed = Some(fate.committed);
        }
        Ok(fate.committed)
    }

    async fn look_ahead(&mut self, xid: &str) -> Result<Fate, DmError> {
        let start = match &self.executed {
            Some(set) if self.config.enable_gtid => Start::Gtid(mysql::GtidSet::clone(set)),
            _ => {
                Start::Position { file: self.committed.place.file.to_string(), pos: self.committed.place.pos }
            }
        };
        // What came before it does not wait for it.
        self.mark(true);
        self.scheduler.flush(true);
        self.send_closed();
        let search = search(self.config.source.endpoint(), self.flavor, start, xid.to_owned());
        tokio::pin!(search);
        let mut said = Instant::now();
        loop {
            tokio::select! {
                fate = &mut search => return fate,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.after_step().await?;
            if said.elapsed() >= SAY_EVERY {
                said = Instant::now();
                warn!(
                    xid, at = %self.committed.place,
                    "waiting for the end of a prepared XA transaction: nothing of this source is replicated before it is committed or rolled back \
                     there (XA RECOVER shows it)"
                );
            }
        }
    }
}

/// What becomes of an XA transaction.
struct Fate {
    committed: bool,
    /// Where that is said.
    end: Place,
}

/// Reads the binlog from the begin of a transaction until its fate is known, however long that takes.
async fn search(endpoint: Endpoint, flavor: Flavor, start: Start, xid: String) -> Result<Fate, DmError> {
    loop {
        match read(&endpoint, flavor, start.clone(), &xid).await? {
            Ok(fate) => return Ok(fate),
            Err(error) if error.class().is_transient() => {
                warn!(error = %error, xid, "the stream that looks for the end of an XA transaction broke, opening it again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => {
                return Err(error::stream(&error, "asked for the end of a prepared XA transaction"));
            }
        }
    }
}

async fn read(
    endpoint: &Endpoint,
    flavor: Flavor,
    start: Start,
    xid: &str,
) -> Result<Result<Fate, mysql::Error>, DmError> {
    let mut place = match &start {
        Start::Position { file, pos } => Place::new(file, *pos),
        _ => Place::new("", 4),
    };
    let request = BinlogRequest::new(random_server_id(|_| false), flavor, start).with_heartbeat(HEARTBEAT);
    let mut stream = match BinlogStream::open(endpoint, &request).await {
        Ok(stream) => stream,
        Err(error) => return Ok(Err(error)),
    };
    let mut decoder = binlog::Decoder::new(match flavor {
        Flavor::MariaDb => binlog::Flavor::MariaDb,
        _ => binlog::Flavor::MySql,
    });
    let mut prepared = false;
    loop {
        let frame = match stream.next().await {
            Ok(frame) => frame,
            Err(error) => return Ok(Err(error)),
        };
        let event = decoder.decode(frame.bytes()).map_err(|e| error::decode(&e))?;
        if let Body::Rotate(rotate) = &event.body {
            place = Place::new(rotate.file, rotate.position);
        } else if event.header.next_pos != 0 && !event.header.is_artificial() {
            place = place.at(u64::from(event.header.next_pos));
        }
        let mut found = None;
        if let Body::Payload(payload) = &event.body {
            let mut events = payload.open().map_err(|e| error::decode(&e))?;
            while let Some(inner) = events.next().map_err(|e| error::decode(&e))? {
                let inner = decoder.decode_inner(inner).map_err(|e| error::decode(&e))?;
                found = found.or(fate(&inner, xid, &mut prepared));
            }
        } else {
            found = fate(&event, xid, &mut prepared);
        }
        if let Some(committed) = found {
            return Ok(Ok(Fate { committed, end: place }));
        }
    }
}

/// Schema and name of each.
type Tables = std::collections::BTreeSet<(String, String)>;

/// The tables of the last transaction of the name that is prepared in a file, before a place.
async fn tables_in(
    endpoint: &Endpoint,
    flavor: Flavor,
    file: &str,
    until: &Place,
    xid: &str,
) -> Result<Option<Tables>, DmError> {
    let failed = |e: mysql::Error| {
        error::stream(&e, &format!("asked for {file} to learn what the XA transaction {xid} has changed"))
    };
    let start = Start::Position { file: file.to_owned(), pos: 4 };
    let request = BinlogRequest::new(random_server_id(|_| false), flavor, start).without_waiting();
    let mut stream = BinlogStream::open(endpoint, &request).await.map_err(failed)?;
    let mut decoder = binlog::Decoder::new(match flavor {
        Flavor::MariaDb => binlog::Flavor::MariaDb,
        _ => binlog::Flavor::MySql,
    });
    let mut looked = Looked::default();
    while let Some(frame) = stream.next_or_end().await.map_err(failed)? {
        let event = decoder.decode(frame.bytes()).map_err(|e| error::decode(&e))?;
        if let Body::Rotate(rotate) = &event.body {
            if rotate.file != file {
                break;
            }
            continue;
        }
        let end = u64::from(event.header.next_pos);
        if !event.header.is_artificial() && end != 0 && Place::new(file, end) > *until {
            break;
        }
        if let Body::Payload(payload) = &event.body {
            let mut events = payload.open().map_err(|e| error::decode(&e))?;
            while let Some(inner) = events.next().map_err(|e| error::decode(&e))? {
                looked.meet(&decoder.decode_inner(inner).map_err(|e| error::decode(&e))?, xid);
            }
        } else {
            looked.meet(&event, xid);
        }
    }
    Ok(looked.found)
}

/// Tables of the transactions of one name.
#[derive(Default)]
struct Looked {
    /// Of the one that is being read.
    inside: Option<Tables>,
    found: Option<Tables>,
}

impl Looked {
    fn meet(&mut self, event: &Event<'_>, xid: &str) {
        match &event.body {
            Body::Query(query) => match statement(&query.sql) {
                (verb, name) if verb == "START" && name == xid => self.inside = Some(Tables::new()),
                _ => {}
            },
            Body::MariaGtid(gtid) if gtid.has(binlog::MariaGtid::PREPARED_XA) => {
                let is_it = gtid.xid.as_ref().is_some_and(|own| name_of(own) == xid);
                self.inside = is_it.then(Tables::new);
            }
            Body::Rows(rows) => {
                if let Some(inside) = &mut self.inside {
                    inside.insert((rows.table.schema.clone(), rows.table.table.clone()));
                }
            }
            Body::XaPrepare(prepare) if name_of(&prepare.xid) == xid => self.found = self.inside.take(),
            _ => {}
        }
    }
}

/// Whether the event decides about the transaction: is it committed.
fn fate(event: &Event<'_>, xid: &str, prepared: &mut bool) -> Option<bool> {
    match &event.body {
        Body::XaPrepare(prepare) if name_of(&prepare.xid) == xid => {
            *prepared = true;
            prepare.one_phase.then_some(true)
        }
        Body::Query(query) if *prepared => match statement(&query.sql) {
            (verb, name) if name == xid && verb == "COMMIT" => Some(true),
            (verb, name) if name == xid && verb == "ROLLBACK" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_events_and_of_statements() {
        let xid = binlog::Xid { format: 3, gtrid: b"two", bqual: b"q" };
        assert_eq!(name_of(&xid), "x'74776f',x'71',3");
        assert_eq!(statement(b"XA COMMIT X'74776f',X'71',3"), ("COMMIT".into(), name_of(&xid)));
        assert_eq!(statement(b"xa  commit X'74776F', X'71', 3 ONE PHASE"), ("COMMIT".into(), name_of(&xid)));
        assert_eq!(statement(b"XA"), (String::new(), String::new()));
    }
}
