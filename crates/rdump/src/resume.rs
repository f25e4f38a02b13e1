//! `--resume`: what of an unfinished dump is kept, and the start points that follow from it.
//!
//! Tables that are whole are kept; all others are dumped again, under the new snapshot. So each table shows one moment, and
//! its own start point stands in the manifest. `metadata` names the earliest of them as the start and the latest in its second
//! block, for tools that know one start only.
//!
//! With `--resume-chunks` a table that is not whole keeps its finished chunks where that is exact, see [`crate::mixing`].

use std::collections::BTreeMap;

use common::ident::TableName;
use common::manifest::{DoneChunk, DoneTable, DumpHead, StartPoint};
use common::metadata::Block;
use mysql::location::Location;
use serde::{Deserialize, Serialize};

use crate::error::{DumpError, Result};
use crate::key::gaps::Edge;
use crate::key::{ChunkKey, KeyRange};

/// What is to be done with an unfinished dump in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resume {
    /// It is replaced.
    No,
    /// Its whole tables are kept.
    Tables,
    /// Finished chunks of its other tables, too.
    Chunks,
}

/// Where a chunk lies in the key of its table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// Name of the index.
    index: String,
    /// Its columns that the table is cut by.
    columns: Vec<String>,
    /// Its place among the chunks of its table: these are sorted by the key where these are sorted.
    pub order: Vec<i64>,
    /// Lower end.
    pub from: Edge,
    /// Upper end.
    pub to: Edge,
}

impl Cut {
    /// Of a chunk that can be mixed with chunks of another snapshot as far as its key is concerned; a table in one piece is none.
    pub fn of(key: &ChunkKey, range: &KeyRange, order: &[i64]) -> Option<Cut> {
        let (from, to) = range.edges().filter(|_| key.is_row_identity())?;
        let columns = key.columns.iter().map(|column| column.name.clone()).collect();
        let whole = from == Edge::begin() && to == Edge::end();
        (!whole).then(|| Cut { index: key.index.clone(), columns, order: order.to_vec(), from, to })
    }

    /// Whether it is a cut of this key.
    pub fn is_of(&self, key: &ChunkKey) -> bool {
        let columns = key.columns.iter().map(|column| &column.name);
        self.index == key.index
            && self.columns.iter().eq(columns)
            && self.from.depth().max(self.to.depth()) <= key.columns.len()
    }
}

/// A finished chunk of a table that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The journal's line.
    pub done: DoneChunk,
    /// Where it lies.
    pub cut: Cut,
}

impl Part {
    /// `None`: a line of another program.
    pub fn read(done: DoneChunk) -> Option<Part> {
        let cut = serde_json::from_value(done.cut.clone()).ok()?;
        location(&done.start.file, &done.start.pos).ok()?;
        Some(Part { done, cut })
    }

    /// The journal's line, with another place among the chunks of its table.
    pub fn renumbered(&self, order: i64) -> DoneChunk {
        let cut = Cut { order: vec![order], ..self.cut.clone() };
        DoneChunk { cut: serde_json::to_value(cut).unwrap_or_default(), ..self.done.clone() }
    }
}

/// What is kept of an unfinished dump.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// First line of its manifest.
    pub head: DumpHead,
    /// Its tables that are whole.
    pub tables: Vec<DoneTable>,
    /// Finished chunks of others, in the order of the key.
    pub parts: BTreeMap<TableName, Vec<Part>>,
}

impl Kept {
    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.parts.is_empty()
    }

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
        let of_tables = self.tables.iter().filter_map(|done| done.table.start.as_ref());
        let of_parts = self.parts.values().flatten().map(|part| &part.done.start);
        let starts: Vec<&StartPoint> = of_tables.chain(of_parts).collect();
        if starts.is_empty() {
            return Ok(Some(now.clone()));
        }
        let before = earliest(starts.into_iter())?;
        match location(&before.file, &before.pos)?.compare(&location(&now.file, &now.pos)?).is_lt() {
            true => Ok(Some(block(&before))),
            false => Ok(Some(now.clone())),
        }
    }
}

/// The earliest of some start points of one server.
///
/// # Errors
/// One that is no position.
pub fn earliest<'a>(starts: impl Iterator<Item = &'a StartPoint>) -> Result<StartPoint> {
    let mut first: Option<(Location, &StartPoint)> = None;
    for start in starts {
        let place = location(&start.file, &start.pos)?;
        if first.as_ref().is_none_or(|(earliest, _)| place.compare(earliest).is_lt()) {
            first = Some((place, start));
        }
    }
    Ok(first.map(|(_, start)| start.clone()).unwrap_or_default())
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
        let kept = Kept { head: head("u", "+00:00", &["--rows=5"]), ..Kept::default() };
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
