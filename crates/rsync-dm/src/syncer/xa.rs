//! XA transactions of the source.
//!
//! Rows come when one is prepared; whether they count stands later in the binlog. What a transaction has changed stays locked until then, so
//! its rows mean the same at either place: at the first replicated row the fate is looked up further on, through a stream of its own, and
//! everything waits for it. So a prepared transaction that is rolled back leaves nothing, and nothing has to be kept over a restart but
//! the names of those that were decided: an XA COMMIT of any other one is of rows from before the start of the task.

use std::time::{Duration, Instant};

use binlog::{Body, Event};
use common::error::{DmError, dm_codes as code};
use mysql::{
    Endpoint, Flavor,
    wire::{BinlogRequest, BinlogStream, Start},
};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{error, operators::What, place::Place, statements::located_statement, unit::Unit};
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
}

impl Xa {
    pub(super) fn new(xid: String) -> Self {
        Self { xid, committed: None }
    }
}

/// A prepared transaction that was met, until the checkpoint has passed its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownXa {
    /// Its name.
    pub xid: String,
    /// End of its XA COMMIT or XA ROLLBACK, once that was met.
    pub end: Option<(String, u64)>,
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
                match self.state.xa.iter_mut().find(|known| known.xid == xid) {
                    Some(known) => known.end = Some((end.file.to_string(), end.pos)),
                    None if verb == "COMMIT" => self.unknown_commit(sql, &xid, start, end)?,
                    None => {}
                }
                self.commit(end).await
            }
            _ => self.commit(end).await,
        }
    }

    /// Rows that were prepared before the task began are not in a dump, and will not come again.
    fn unknown_commit(&self, sql: &[u8], xid: &str, start: &Place, end: &Place) -> Result<(), DmError> {
        if self.shared.operator_at(start).is_some_and(|operator| operator.what == What::Skip) {
            info!(xid, at = %start, "an operator passes over the statement");
            return Ok(());
        }
        self.shared.fail_at(vec![start.clone()]);
        let error = code::SYNCER_UNSUPPORTED_STMT
            .error(format!(
                "the XA transaction {xid} is committed here, and it was prepared before the task's start: its rows are in no dump, and the task \
                 has not read them"
            ))
            .with_workaround(
                "If it has changed no replicated table, pass it over with `binlog skip` (`rsync-dm run`: --skip-ddl). Else set `meta` to a place \
                 before its XA PREPARE and start the task anew with `--remove-meta` and safe mode, or bring its rows to the target by hand \
                 (`rsync-dm verify` names them) and pass it over.",
            );
        Err(error.annotate(&located_statement(start, end, &self.committed, &String::from_utf8_lossy(sql))))
    }

    /// The transaction is prepared: its end is to come.
    pub(super) fn prepared(&mut self, one_phase: bool) {
        if let Some(xa) = self.transaction.xa.as_ref().filter(|_| !one_phase) {
            let xid = xa.xid.clone();
            self.know(xid);
        }
    }

    /// Its end is to come; a former one of the name is over.
    fn know(&mut self, xid: String) {
        self.state.xa.retain(|known| known.xid != xid);
        self.state.xa.push(KnownXa { xid, end: None });
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
        if fate.later {
            self.know(xid);
        }
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
    /// By a statement of its own.
    later: bool,
    /// Where that ends.
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
        if let Some((committed, later)) = found {
            return Ok(Ok(Fate { committed, later, end: place }));
        }
    }
}

/// Whether the event decides about the transaction: is it committed, and by a statement of its own.
fn fate(event: &Event<'_>, xid: &str, prepared: &mut bool) -> Option<(bool, bool)> {
    match &event.body {
        Body::XaPrepare(prepare) if name_of(&prepare.xid) == xid => {
            *prepared = true;
            prepare.one_phase.then_some((true, false))
        }
        Body::Query(query) if *prepared => match statement(&query.sql) {
            (verb, name) if name == xid && verb == "COMMIT" => Some((true, true)),
            (verb, name) if name == xid && verb == "ROLLBACK" => Some((false, true)),
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
