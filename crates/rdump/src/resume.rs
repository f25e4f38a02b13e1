//! `--resume`: what of an unfinished dump is kept, and the start points that follow from it.
//!
//! Tables that are whole are kept; all others are dumped again, under the new snapshot. So each table shows one moment, and
//! its own start point stands in the manifest. `metadata` names the earliest of them as the start and the latest in its second
//! block, for tools that know one start only.

use common::manifest::{DoneTable, DumpHead, StartPoint};
use common::metadata::Block;
use mysql::location::Location;

use crate::error::{DumpError, Result};

/// What is kept of an unfinished dump.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// First line of its manifest.
    pub head: DumpHead,
    /// Its tables that are whole.
    pub tables: Vec<DoneTable>,
}

impl Kept {
    /// Whether a dump that begins like this goes on with it.
    ///
    /// # Errors
    /// What differs.
    pub fn fits(&self, new: &DumpHead) -> Result<()> {
        let (was, now) = (&self.head.server, &new.server);
        let same_server = match was.uuid.is_empty() && now.uuid.is_empty() {
            true => was.server_id == now.server_id && was.flavor == now.flavor,
            false => was.uuid == now.uuid,
        };
        if !same_server {
            return Err(refused(format!(
                "it is of {} at {}:{} (server-id {}, uuid {}), this is {} at {}:{} (server-id {}, uuid {})",
                was.flavor,
                was.host,
                was.port,
                was.server_id,
                was.uuid,
                now.flavor,
                now.host,
                now.port,
                now.server_id,
                now.uuid
            )));
        }
        let (was, now) = (&self.head.session, &new.session);
        if (&was.time_zone, &was.utc_offset) != (&now.time_zone, &now.utc_offset) {
            return Err(refused(format!(
                "its TIMESTAMPs are in {} ({}), now the session is in {} ({})",
                was.time_zone, was.utc_offset, now.time_zone, now.utc_offset
            )));
        }
        let differs = |a: &[String], b: &[String]| a.iter().find(|option| !b.contains(option)).cloned();
        if let Some(option) = differs(&self.head.options, &new.options) {
            return Err(refused(format!("it was made with {option}, which is not given now")));
        }
        if let Some(option) = differs(&new.options, &self.head.options) {
            return Err(refused(format!("it was made without {option}")));
        }
        let (was, now) = (&self.head.consistency, &new.consistency);
        if was != now && [was, now].contains(&&"none".to_owned()) {
            return Err(refused(format!("it was made with --consistency {was}, now it is {now}")));
        }
        if self.head.start.is_some() != new.start.is_some() {
            return Err(refused("the binlog was switched on or off meanwhile".into()));
        }
        Ok(())
    }

    /// The earliest start point of all tables, this run's among them.
    ///
    /// # Errors
    /// A start point of the old dump that is no position.
    pub fn earliest(&self, now: Option<&Block>) -> Result<Option<Block>> {
        let Some(now) = now else { return Ok(None) };
        let mut earliest = (location(&now.file, &now.pos)?, now.clone());
        for start in self.tables.iter().filter_map(|done| done.table.start.as_ref()) {
            let place = location(&start.file, &start.pos)?;
            if place.compare(&earliest.0).is_lt() {
                earliest = (place, block(start));
            }
        }
        Ok(Some(earliest.1))
    }
}

fn refused(why: String) -> DumpError {
    DumpError::Folder(format!(
        "the unfinished dump can't be resumed: {why}; give the same flags as then, or leave --resume out to replace it"
    ))
}

fn location(file: &str, pos: &str) -> Result<Location> {
    match pos.parse() {
        Ok(pos) => Ok(Location::new(file, pos)),
        Err(_) => Err(refused(format!("{file}:{pos} is no binlog position"))),
    }
}

fn block(start: &StartPoint) -> Block {
    Block { file: start.file.clone(), pos: start.pos.clone(), gtid: start.gtid.clone(), ..Block::default() }
}

#[cfg(test)]
mod tests {
    use common::manifest::{ServerIdentity, Session, TableLine};

    use super::*;

    fn head(uuid: &str, zone: &str, options: &[&str]) -> DumpHead {
        DumpHead {
            server: ServerIdentity { uuid: uuid.into(), ..ServerIdentity::default() },
            session: Session { time_zone: zone.into(), ..Session::default() },
            options: options.iter().map(|&option| option.to_owned()).collect(),
            ..DumpHead::default()
        }
    }

    #[test]
    fn only_the_same_dump_goes_on() {
        let kept = Kept { head: head("u", "+00:00", &["--rows=5"]), tables: Vec::new() };
        kept.fits(&head("u", "+00:00", &["--rows=5"])).unwrap();
        for (new, text) in [
            (head("v", "+00:00", &["--rows=5"]), "uuid v"),
            (head("u", "+01:00", &["--rows=5"]), "now the session is in +01:00"),
            (head("u", "+00:00", &["--rows=6"]), "made with --rows=5"),
            (head("u", "+00:00", &["--rows=5", "--where=x"]), "made without --where=x"),
        ] {
            let error = kept.fits(&new).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        // What was read without a snapshot must not pass for a moment of its own later.
        let without = DumpHead { consistency: "none".into(), ..kept.head.clone() };
        let error = kept.fits(&without).unwrap_err().to_string();
        assert!(error.contains("now it is none"), "{error}");
    }

    #[test]
    fn the_earliest_start_counts() {
        let start = |file: &str, pos: &str| StartPoint {
            file: file.into(),
            pos: pos.into(),
            gtid: format!("g{pos}"),
        };
        let table = |file: &str, pos: &str| DoneTable {
            table: TableLine { start: Some(start(file, pos)), ..TableLine::default() },
            ..DoneTable::default()
        };
        let now = Block { file: "b.000010".into(), pos: "5".into(), ..Block::default() };
        let kept = |tables| Kept { tables, ..Kept::default() };
        let earliest = kept(vec![table("b.000010", "4"), table("b.000009", "700"), table("b.000009", "80")]);
        let found = earliest.earliest(Some(&now)).unwrap().unwrap();
        assert_eq!((found.file.as_str(), found.pos.as_str(), found.gtid.as_str()), ("b.000009", "80", "g80"));
        assert_eq!(kept(Vec::new()).earliest(Some(&now)).unwrap(), Some(now.clone()));
        assert_eq!(kept(Vec::new()).earliest(None).unwrap(), None);
        assert!(kept(vec![table("b.1", "x")]).earliest(Some(&now)).is_err());
    }
}
