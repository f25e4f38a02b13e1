//! Where replication of a source starts, from all dumps of it.
//!
//! The global point is the earliest of all dumps; each dumped table goes on from its own. So no event is applied twice and none
//! is missed, and safe mode can stay off.

use std::collections::BTreeMap;

use common::error::{DmError, dm_codes as code};
use common::ident::TableName;
use mysql::Location;

use super::folder::{DumpFolder, DumpedTable};

/// Everything known of one source.
#[derive(Debug)]
pub struct SourcePlan {
    /// `source-id`.
    pub source_id: String,
    /// Its dumps, in the order given.
    pub folders: Vec<DumpFolder>,
    /// Where replication starts: the earliest point.
    pub earliest: Location,
    /// Where safe mode may end, for a tool that has no points of tables: the latest point.
    pub latest: Location,
    /// Whether a table of a dump shows more than one moment and nobody knows which: then rows up to the second position may be in it
    /// already.
    pub needs_safe_mode: bool,
    /// Where safe mode can end that tables of two known moments need.
    pub safe_until: Option<Location>,
}

impl SourcePlan {
    /// Puts the dumps of a source together.
    ///
    /// # Errors
    /// Positions that can't be of one server; a table in two dumps.
    pub fn new(source_id: &str, folders: Vec<DumpFolder>) -> Result<Self, DmError> {
        let mut points: Vec<&Location> = folders
            .iter()
            .flat_map(|folder| {
                let tables = folder
                    .tables
                    .values()
                    .flat_map(|table| [&table.start].into_iter().chain(&table.safe_until));
                [&folder.start, &folder.safe_end].into_iter().chain(tables)
            })
            .collect();
        points.sort_by(|a, b| a.compare(b));
        for pair in points.windows(2) {
            in_one_binlog(source_id, pair[0], pair[1])?;
        }
        let (Some(earliest), Some(latest)) = (points.first(), points.last()) else {
            return Err(code::METADATA_NO_BINLOG_LOC
                .error(format!("no dump of source {source_id}"))
                .with_workaround("Name every source with a dump of it, as SOURCE-ID=DIR."));
        };
        let (earliest, latest) = ((*earliest).clone(), (*latest).clone());
        let mut seen = BTreeMap::new();
        for folder in &folders {
            for table in folder.tables.keys() {
                if let Some(other) = seen.insert(table, &folder.path) {
                    return Err(code::METADATA_NO_BINLOG_LOC
                        .error(format!(
                            "table {table} of source {source_id} is in two dumps, {} and {}",
                            other.display(),
                            folder.path.display()
                        ))
                        .with_workaround("Name only the dump whose rows of it were loaded."));
                }
            }
        }
        let needs_safe_mode = folders.iter().any(|folder| !folder.is_exact);
        let ends = folders
            .iter()
            .flat_map(|folder| folder.tables.values())
            .filter_map(|table| table.safe_until.as_ref());
        let safe_until = ends.max_by(|a, b| a.compare(b)).cloned();
        Ok(Self { source_id: source_id.into(), folders, earliest, latest, needs_safe_mode, safe_until })
    }

    /// All dumped tables.
    pub fn tables(&self) -> impl Iterator<Item = (&DumpFolder, &TableName, &DumpedTable)> {
        self.folders
            .iter()
            .flat_map(|folder| folder.tables.iter().map(move |(name, table)| (folder, name, table)))
    }

    /// The block for `mysql-instances` of a task.yaml.
    pub fn render(&self) -> String {
        let quoted = |text: &str| format!("\"{text}\"");
        let mut text = format!("  - source-id: {}\n    meta:\n", quoted(&self.source_id));
        text += &format!("      binlog-name: {}\n", self.earliest.file);
        text += &format!("      binlog-pos: {}\n", self.earliest.pos);
        if let Some(gtid) = &self.earliest.gtid {
            text += &format!("      binlog-gtid: {}\n", quoted(&gtid.to_string()));
        }
        text += &format!("    # safe mode must last until {}", self.latest.position_text());
        if let Some(gtid) = &self.latest.gtid {
            text += &format!(", GTID {gtid}");
        }
        text.push('\n');
        text
    }
}

/// `a` is before `b` by file and position: their names and GTID sets must agree with that.
fn in_one_binlog(source_id: &str, a: &Location, b: &Location) -> Result<(), DmError> {
    let base = |location: &Location| location.file.rsplit_once('.').map(|(base, _)| base.to_owned());
    let names_agree = base(a) == base(b);
    let sets_agree = match (&a.gtid, &b.gtid) {
        (Some(a), Some(b)) => a.flavor() == b.flavor() && b.contains(a),
        _ => true,
    };
    if names_agree && sets_agree {
        return Ok(());
    }
    Err(code::METADATA_NO_BINLOG_LOC
        .error(format!(
            "the dumps of source {source_id} are not of one binlog: {} and {}{}",
            a.position_text(),
            b.position_text(),
            if sets_agree { "" } else { ", and the GTID set of the first is not part of the second" }
        ))
        .with_workaround("Give dumps of different servers different source ids."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::{Flavor, GtidSet};

    fn folder(path: &str, file: &str, pos: u64, gtid: &str, table: &str) -> DumpFolder {
        let set = GtidSet::parse(Flavor::MySql, gtid).expect("a set");
        let start = Location::new(file, pos).with_gtid(set);
        let dumped = DumpedTable { start: start.clone(), safe_until: None, schema_file: None };
        let tables = [(TableName::new("a", table), dumped)];
        DumpFolder {
            path: path.into(),
            safe_end: start.clone(),
            start,
            is_exact: true,
            server: None,
            tables: tables.into(),
        }
    }

    const UUID: &str = "4497dc05-e65e-11f1-ad09-02fc00000001";

    #[test]
    fn earliest_and_latest_of_several() {
        let folders = vec![
            folder("d2", "bin.000010", 100, &format!("{UUID}:1-30"), "t2"),
            folder("d1", "bin.000009", 900, &format!("{UUID}:1-20"), "t1"),
        ];
        let plan = SourcePlan::new("s1", folders).expect("a plan");
        assert_eq!(plan.earliest.position_text(), "(bin.000009, 900)");
        assert_eq!(plan.latest.position_text(), "(bin.000010, 100)");
        assert!(!plan.needs_safe_mode);
        let expected = format!(
            "  - source-id: \"s1\"\n    meta:\n      binlog-name: bin.000009\n      binlog-pos: 900\n      \
             binlog-gtid: \"{UUID}:1-20\"\n    # safe mode must last until (bin.000010, 100), GTID {UUID}:1-30\n"
        );
        assert_eq!(plan.render(), expected);
    }

    #[test]
    fn tables_of_two_moments_tell_where_safe_mode_ends() {
        let mut folders = vec![folder("d1", "bin.000009", 900, &format!("{UUID}:1-20"), "t1")];
        let end = |pos, last| {
            let set = GtidSet::parse(Flavor::MySql, &format!("{UUID}:1-{last}")).expect("a set");
            Location::new("bin.000010", pos).with_gtid(set)
        };
        let mut other = folders[0].tables.values().next().expect("a table").clone();
        other.safe_until = Some(end(100, 30));
        folders[0].tables.insert(TableName::new("a", "t2"), other.clone());
        other.safe_until = Some(end(90, 29));
        folders[0].tables.insert(TableName::new("a", "t3"), other);
        let plan = SourcePlan::new("s1", folders).expect("a plan");
        assert_eq!(plan.safe_until.expect("an end").position_text(), "(bin.000010, 100)");
        assert_eq!(plan.latest.position_text(), "(bin.000010, 100)");
        assert!(!plan.needs_safe_mode);
    }

    #[test]
    fn dumps_that_do_not_belong_together() {
        let first = || folder("d1", "bin.000009", 900, &format!("{UUID}:1-20"), "t1");
        let other_name = folder("d2", "binlog.000009", 901, &format!("{UUID}:1-21"), "t2");
        let other_server = folder("d2", "bin.000009", 901, "5597dc05-e65e-11f1-ad09-02fc00000001:1-21", "t2");
        let same_table = folder("d2", "bin.000009", 901, &format!("{UUID}:1-21"), "t1");
        for (second, says) in [
            (other_name, "not of one binlog"),
            (other_server, "GTID set of the first is not part of the second"),
            (same_table, "is in two dumps, d1 and d2"),
        ] {
            let error = SourcePlan::new("s1", vec![first(), second]).expect_err("not together").to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
