//! `--start-time`: from a time to the place in a source's binlog where replication begins.
//!
//! The time is the source's own, unless it states a zone. Found is the first transaction that has an event of that time or a later one;
//! nothing that happened at or after the time is left out. Events carry the time at which their statement began, so what stands before
//! the place is older. Facts: dm.md 3.1.

use common::error::{DmError, dm_codes as code};
use common::ident::quote_string;
use mysql::{
    Conn, Flavor, Location, session,
    wire::{BinlogRequest, BinlogStream, Frame, Start},
};

use crate::config::{SubtaskConfig, random_server_id};

/// Begin of the first event of a file.
const FIRST: u64 = 4;

const QUERY: u8 = 2;
const ROTATE: u8 = 4;
const FORMAT: u8 = 15;
const XID: u8 = 16;
const GTID: u8 = 33;
const ANONYMOUS_GTID: u8 = 34;
const TAGGED_GTID: u8 = 42;
const MARIADB_GTID: u8 = 162;

/// Where a source's replication begins.
///
/// # Errors
/// 20009 no time; 20057 later than the last transaction; what the source says.
pub async fn locate(subtask: &SubtaskConfig, text: &str) -> Result<Location, DmError> {
    let mut conn = Conn::connect(&subtask.source.endpoint()).await.map_err(|e| failed(subtask, &e))?;
    let time = seconds(&mut conn, subtask, text).await?;
    let flavor = subtask.flavor.unwrap_or(conn.server().flavor);
    let files = session::binary_logs(&mut conn).await.map_err(|e| failed(subtask, &e))?;
    // Another one than the subtask's, whose stream it would end.
    let taken = session::replica_server_ids(&mut conn).await.unwrap_or_default();
    let own = session::server_id(&mut conn).await.map_err(|e| failed(subtask, &e))?;
    let id = random_server_id(|id| id == own || id == subtask.server_id || taken.contains(&id));
    conn.close().await;
    let source = Source { subtask, flavor, id };
    let names: Vec<String> = files.into_iter().map(|file| file.name).collect();
    let Some(first) = source.file_before(&names, time).await? else {
        return Err(code::NO_MASTER_STATUS.error(format!("source {} writes no binlog", subtask.source_id)));
    };
    let found = source.scan(first, time).await?;
    found.ok_or_else(|| {
        code::CONFIG_START_TIME_TOO_LATE.error(format!(
            "source {}: there is no transaction at `{text}` or later in its binlog",
            subtask.source_id
        ))
    })
}

fn failed(subtask: &SubtaskConfig, error: &mysql::Error) -> DmError {
    code::DB_QUERY_FAILED.wrap(format!("source {}: cannot look for the start time", subtask.source_id), error)
}

/// `2021-10-21 00:01:00`, with a blank or a T, and with an offset if it is not the source's time.
async fn seconds(conn: &mut Conn, subtask: &SubtaskConfig, text: &str) -> Result<u32, DmError> {
    let bad = || {
        code::CONFIG_PARSE_FLAG_SET
            .error(format!("--start-time `{text}` is no time"))
            .with_workaround("Write it as 2021-10-21 00:01:00 in the source's time zone, or with its offset: 2021-10-21T00:01:00+08:00.")
    };
    if let Some(time) = with_zone(text) {
        return u32::try_from(time).map_err(|_| bad());
    }
    let time = without_zone(text).ok_or_else(bad)?;
    let sql = format!("SELECT UNIX_TIMESTAMP({})", quote_string(&time));
    let row = conn.query_one(sql).await.map_err(|e| failed(subtask, &e))?;
    let time: Option<f64> =
        row.map(|row| row.parse(0)).transpose().map_err(|e| failed(subtask, &e))?.flatten();
    // 0: a time that the server's zone does not have.
    time.filter(|time| (1.0..f64::from(u32::MAX)).contains(time)).map(|time| time as u32).ok_or_else(bad)
}

fn without_zone(text: &str) -> Option<String> {
    let text = text.trim().replacen('T', " ", 1);
    jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", &text).ok().map(|_| text)
}

fn with_zone(text: &str) -> Option<i64> {
    let text = text.trim().replacen(' ', "T", 1).replace(' ', "");
    text.parse::<jiff::Timestamp>().ok().map(|time| time.as_second())
}

struct Source<'a> {
    subtask: &'a SubtaskConfig,
    flavor: Flavor,
    id: u32,
}

impl Source<'_> {
    async fn open(&self, file: &str) -> Result<BinlogStream, DmError> {
        let start = Start::Position { file: file.into(), pos: FIRST };
        let request = BinlogRequest::new(self.id, self.flavor, start).without_waiting();
        let stream = BinlogStream::open(&self.subtask.source.endpoint(), &request).await;
        stream.map_err(|e| failed(self.subtask, &e))
    }

    /// The last file that was begun before the time, else the first one; what stands in those before it is older.
    async fn file_before<'n>(&self, names: &'n [String], time: u32) -> Result<Option<&'n str>, DmError> {
        let (mut low, mut high) = (0, names.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.begun(&names[middle]).await? < time {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(names.get(low.saturating_sub(1)).map(String::as_str))
    }

    /// When a file was begun.
    async fn begun(&self, file: &str) -> Result<u32, DmError> {
        let mut stream = self.open(file).await?;
        while let Some(frame) = stream.next_or_end().await.map_err(|e| failed(self.subtask, &e))? {
            if frame.kind() == FORMAT && frame.timestamp() != 0 {
                return Ok(frame.timestamp());
            }
        }
        Ok(0)
    }

    async fn scan(&self, file: &str, time: u32) -> Result<Option<Location>, DmError> {
        let mut stream = self.open(file).await?;
        let mut scan = Scan::new(file, self.flavor, stream.checksum());
        while let Some(frame) = stream.next_or_end().await.map_err(|e| failed(self.subtask, &e))? {
            if let Some(found) = scan.frame(frame, time)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

/// Follows the transactions of a stream; knows files and positions.
struct Scan {
    file: String,
    /// End of the event before.
    end: u64,
    /// Begin of the transaction that is open.
    open: Option<u64>,
    /// Every transaction begins with an event that says so.
    has_gtids: bool,
    checksum: bool,
    decoder: binlog::Decoder,
}

impl Scan {
    fn new(file: &str, flavor: Flavor, checksum: bool) -> Self {
        let flavor = if flavor == Flavor::MariaDb { binlog::Flavor::MariaDb } else { binlog::Flavor::MySql };
        let decoder = binlog::Decoder::new(flavor);
        Self { file: file.into(), end: FIRST, open: None, has_gtids: false, checksum, decoder }
    }

    /// Takes an event; gives the place of its transaction if the event is not older than the time.
    fn frame(&mut self, frame: Frame<'_>, time: u32) -> Result<Option<Location>, DmError> {
        let begin = self.end;
        if frame.next_pos() != 0 {
            self.end = u64::from(frame.next_pos());
        }
        match frame.kind() {
            ROTATE | FORMAT => {
                let event = self.decoder.decode(frame.bytes());
                let event = event.map_err(|e| code::SYNCER_GET_EVENT.error(e.to_string()))?;
                if let binlog::Body::Rotate(rotate) = event.body {
                    self.file = rotate.file.to_owned();
                    self.end = FIRST;
                }
                self.open = None;
                return Ok(None);
            }
            GTID | ANONYMOUS_GTID | TAGGED_GTID | MARIADB_GTID => {
                self.has_gtids = true;
                self.open = Some(begin);
            }
            QUERY if !self.has_gtids && self.open.is_none() => self.open = Some(begin),
            _ => {}
        }
        let Some(open) = self.open else { return Ok(None) };
        if frame.timestamp() >= time {
            return Ok(Some(Location::new(self.file.as_str(), open)));
        }
        let bytes = frame.bytes();
        let ends = match frame.kind() {
            XID => true,
            QUERY if self.is_statement(bytes, "COMMIT") || self.is_statement(bytes, "ROLLBACK") => true,
            // A statement that stands alone.
            QUERY => !self.has_gtids && open == begin && !self.is_statement(bytes, "BEGIN"),
            _ => false,
        };
        if ends {
            self.open = None;
        }
        Ok(None)
    }

    /// The statement is the last thing in its event, after the name of a database and a zero.
    fn is_statement(&self, event: &[u8], statement: &str) -> bool {
        let length = event.len().saturating_sub(if self.checksum { 4 } else { 0 });
        let text = event.get(..length).unwrap_or_default();
        text.strip_suffix(statement.as_bytes()).is_some_and(|head| head.ends_with(&[0]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_with_and_without_a_zone() {
        assert_eq!(without_zone("2021-10-21T00:01:00").as_deref(), Some("2021-10-21 00:01:00"));
        assert_eq!(without_zone(" 2021-10-21 00:01:00 ").as_deref(), Some("2021-10-21 00:01:00"));
        for bad in ["", "yesterday", "2021-10-21", "2021-13-21 00:01:00", "2021-10-21 00:01:00'--"] {
            assert_eq!((without_zone(bad), with_zone(bad)), (None, None), "{bad}");
        }
        for same in ["2021-10-21 08:01:00+08:00", "2021-10-21T00:01:00Z", "2021-10-21 08:01:00 +08:00"] {
            assert_eq!(with_zone(same), Some(1_634_774_460), "{same}");
        }
        assert_eq!(with_zone("2021-10-21 00:01:00"), None);
    }
}
