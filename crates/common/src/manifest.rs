//! `rdump-manifest.jsonl`: rdump's own record of a dump, which real Lightning ignores.
//!
//! One JSON object a line. The first line ([`DumpHead`]) and one line per table that will be dumped stand there
//! from the start, so that a killed dump can be told from foreign files; the whole file is written anew when all
//! data is synced, just before `metadata`. So a folder with a manifest but without `metadata` is an unfinished
//! dump. Readers: rlightning (session time zone), `rsync-dm ctl meta-from` (start points of tables), rdump itself.
//!
//! Fields may be added within a format version; readers ignore what they do not know. A newer version is refused.

use serde::{Deserialize, Serialize};

use crate::dumpfile;

/// Version of the format that this code writes.
pub const FORMAT: u32 = 1;

/// Version of a dump with tables of more than one moment ([`TableLine::safe_until`]), which programs that do not know of them must not
/// take for exact. The newest that this code reads.
pub const FORMAT_MIXED: u32 = 2;

/// A binlog position as the server printed it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartPoint {
    /// Binlog file (`tidb-binlog` for TiDB).
    pub file: String,
    /// Position in the file; for TiDB the snapshot as the user gave it.
    pub pos: String,
    /// GTID set of either family in one line; empty if there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub gtid: String,
}

/// The server that was dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerIdentity {
    /// `MySQL`, `MariaDB` or `TiDB`.
    pub flavor: String,
    /// `SELECT version()`.
    pub version: String,
    /// `@@server_uuid`; empty where there is none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uuid: String,
    /// `@@server_id`; 0 where there is none.
    #[serde(default)]
    pub server_id: u64,
    /// Host that rdump connected to.
    pub host: String,
    /// Port that rdump connected to.
    pub port: u16,
}

/// The session in which the rows were read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// `@@session.time_zone`: an offset, a zone name, or `SYSTEM`.
    pub time_zone: String,
    /// `@@system_time_zone`: what `SYSTEM` means, often only an abbreviation.
    #[serde(default)]
    pub system_time_zone: String,
    /// Offset of the session from UTC, `+08:00`.
    pub utc_offset: String,
    /// Whether that offset holds for every TIMESTAMP (no other was found from 1970 to 2037).
    pub offset_is_fixed: bool,
    /// The first year from which on that offset holds to 2037; `None`: there is none, as with summer time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fixed_since: Option<u32>,
    /// `@@session.sql_mode`.
    pub sql_mode: String,
}

impl Session {
    /// What to `SET time_zone` to so that the dump's TIMESTAMPs are read as they were written: the offset if it is
    /// fixed, else the zone's name, else the offset if it holds at least for newer times (see
    /// [`Session::time_zone_caveat`]). `None`: the zone has summer time and no name that another server knows; only
    /// the user can tell.
    pub fn time_zone_to_set(&self) -> Option<&str> {
        if self.offset_is_fixed {
            return Some(&self.utc_offset);
        }
        if !self.time_zone.eq_ignore_ascii_case("SYSTEM") && !self.time_zone.is_empty() {
            return Some(&self.time_zone);
        }
        self.fixed_since.map(|_| self.utc_offset.as_str())
    }

    /// What is not exact with [`Session::time_zone_to_set`], for a warning: the server's own zone had another offset
    /// in earlier years, such as summer time in China up to 1991.
    pub fn time_zone_caveat(&self) -> Option<String> {
        let year = self.fixed_since?;
        (!self.offset_is_fixed && self.time_zone.eq_ignore_ascii_case("SYSTEM")).then(|| {
            format!(
                "the source's zone {} is taken as {}, which does not hold for TIMESTAMPs before {year}",
                self.system_time_zone, self.utc_offset
            )
        })
    }
}

/// First line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DumpHead {
    /// Format version, see [`FORMAT`] and [`FORMAT_MIXED`].
    pub format: u32,
    /// Program and version that wrote the dump.
    pub tool: String,
    /// When the dump began, RFC 3339 with offset.
    pub started: String,
    /// The server.
    pub server: ServerIdentity,
    /// The reading session.
    pub session: Session,
    /// Consistency that was in force (`flush`, `lock`, `snapshot`, `none`).
    pub consistency: String,
    /// Position of the dump; `None` if the server's binlog is off.
    pub start: Option<StartPoint>,
    /// `--output-filename-template`; `None` for the default names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// The flags that decide what is in the files, each as `--name=value`, for `rdump verify` and `--resume`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub options: Vec<String>,
}

/// A table of the dump.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableLine {
    /// Schema, unescaped.
    pub schema: String,
    /// Table, unescaped; empty for the schema itself.
    pub table: String,
    /// `table`, `view`, `sequence` or `schema`.
    pub kind: String,
    /// The table's own start point; `None`: that of the dump.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartPoint>,
    /// The rows are of more than one moment from `start` to this one (`--resume-chunks`): replication from `start` needs safe mode up
    /// to here, and is exact then. `None`: all rows are of the moment of the start point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safe_until: Option<StartPoint>,
    /// Rows dumped; `None` until the dump has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// A finished file without rows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaFileLine {
    /// Name relative to the folder.
    pub name: String,
    /// Bytes before compression.
    pub bytes: u64,
    /// BLAKE3 of the content before compression, as hexadecimal digits.
    pub blake3: String,
}

/// A line of the journal: a table all of whose files are durable. One such line is written for each, so that a torn last line
/// is a table that does not count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneTable {
    /// The table, with its rows and its own start point.
    pub table: TableLine,
    /// Its schema files.
    #[serde(default)]
    pub schemas: Vec<SchemaFileLine>,
    /// Its chunks.
    #[serde(default)]
    pub chunks: Vec<ChunkLine>,
    /// Its data files.
    #[serde(default)]
    pub files: Vec<FileLine>,
}

impl DoneTable {
    /// The whole tables of a journal, see [`JournalLine::read`].
    pub fn from_journal(bytes: &[u8]) -> Vec<DoneTable> {
        let table = |line| match line {
            JournalLine::Table(table) => Some(*table),
            JournalLine::Chunk(_) => None,
        };
        JournalLine::read(bytes).into_iter().filter_map(table).collect()
    }

    /// The journal's line.
    pub fn render(&self) -> Vec<u8> {
        render_line(self)
    }
}

/// A line of the journal: a chunk all of whose files are durable, of a table that is not whole yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneChunk {
    /// The chunk.
    pub chunk: ChunkLine,
    /// Its files.
    #[serde(default)]
    pub files: Vec<FileLine>,
    /// The key that the table was cut by, and where the chunk lies in it; only rdump itself reads this.
    pub cut: serde_json::Value,
    /// Position of its snapshot.
    pub start: StartPoint,
    /// The server's clock at `start`, in seconds since 1970.
    pub taken_at: u64,
}

impl DoneChunk {
    /// The journal's line.
    pub fn render(&self) -> Vec<u8> {
        render_line(self)
    }
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum JournalLine {
    /// A chunk is durable.
    Chunk(Box<DoneChunk>),
    /// A table is whole.
    Table(Box<DoneTable>),
}

impl JournalLine {
    /// Reads a journal: the lines up to the first that is torn or not of these forms.
    pub fn read(bytes: &[u8]) -> Vec<JournalLine> {
        let whole = bytes.split_inclusive(|&b| b == b'\n').filter(|line| line.ends_with(b"\n"));
        whole.map_while(|line| serde_json::from_slice(line).ok()).collect()
    }
}

fn render_line(line: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and options always serialise.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

/// A finished chunk.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkLine {
    /// Schema of its rows, unescaped.
    pub schema: String,
    /// Table of its rows, unescaped.
    pub table: String,
    /// Number of the chunk within the table.
    pub chunk: u64,
    /// Rows in it.
    pub rows: u64,
    /// The range of keys as a condition; `None`: the whole table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
}

/// A finished file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLine {
    /// Name relative to the folder.
    pub name: String,
    /// Schema of its rows, unescaped.
    pub schema: String,
    /// Table of its rows, unescaped.
    pub table: String,
    /// The chunk that it belongs to; `None` in dumps of rdump 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u64>,
    /// Rows in it.
    pub rows: u64,
    /// Bytes before compression.
    pub bytes: u64,
    /// BLAKE3 of the content before compression, as hexadecimal digits; empty in dumps of rdump 0.1.0.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub blake3: String,
}

/// Last line: the dump is whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndLine {
    /// When the dump ended, RFC 3339 with offset.
    pub finished: String,
    /// Data files.
    pub files: u64,
    /// Rows in all tables.
    pub rows: u64,
    /// Bytes of data before compression.
    pub bytes: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Line {
    Dump(Box<DumpHead>),
    Table(TableLine),
    Schema(SchemaFileLine),
    Chunk(ChunkLine),
    File(FileLine),
    End(EndLine),
}

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ManifestError {
    /// A line that is no JSON, or not of the form above.
    #[error("{} line {line}: {reason}", dumpfile::MANIFEST)]
    Malformed {
        /// Line, from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Written by a newer rdump.
    #[error(
        "{} has format version {found}; this program reads up to {FORMAT_MIXED}: use a newer one",
        dumpfile::MANIFEST
    )]
    NewerFormat {
        /// Version in the file.
        found: u32,
    },
}

/// A whole manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// First line.
    pub dump: DumpHead,
    /// All tables, views, sequences and schemas.
    pub tables: Vec<TableLine>,
    /// All files without rows; empty while the dump runs.
    pub schemas: Vec<SchemaFileLine>,
    /// All chunks; empty while the dump runs.
    pub chunks: Vec<ChunkLine>,
    /// All data files; empty while the dump runs.
    pub files: Vec<FileLine>,
    /// `None` while the dump runs.
    pub end: Option<EndLine>,
}

impl Manifest {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// See [`ManifestError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ManifestError> {
        let malformed = |line: usize, reason: String| ManifestError::Malformed { line, reason };
        let mut out: Option<Manifest> = None;
        for (i, text) in bytes.split(|&b| b == b'\n').enumerate() {
            if text.is_empty() {
                continue;
            }
            // The version comes first: lines of a newer one need not have a form that we know.
            let value: serde_json::Value =
                serde_json::from_slice(text).map_err(|e| malformed(i + 1, e.to_string()))?;
            if out.is_none() {
                let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
                if format > u64::from(FORMAT_MIXED) {
                    return Err(ManifestError::NewerFormat {
                        found: u32::try_from(format).unwrap_or(u32::MAX),
                    });
                }
            }
            let line: Line = serde_json::from_value(value).map_err(|e| malformed(i + 1, e.to_string()))?;
            match (&mut out, line) {
                (None, Line::Dump(dump)) => out = Some(Manifest { dump: *dump, ..Manifest::default() }),
                (None, _) => return Err(malformed(i + 1, "the first line must be of type `dump`".into())),
                (Some(_), Line::Dump(_)) => {
                    return Err(malformed(i + 1, "a second line of type `dump`".into()));
                }
                (Some(m), Line::Table(table)) => m.tables.push(table),
                (Some(m), Line::Schema(schema)) => m.schemas.push(schema),
                (Some(m), Line::Chunk(chunk)) => m.chunks.push(chunk),
                (Some(m), Line::File(file)) => m.files.push(file),
                (Some(m), Line::End(end)) => m.end = Some(end),
            }
        }
        out.ok_or_else(|| malformed(1, "the file is empty".into()))
    }

    /// The file's bytes.
    pub fn render(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut push = |line: &Line| {
            // Strings, numbers and options always serialise.
            let text = serde_json::to_string(line).unwrap_or_default();
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
        };
        push(&Line::Dump(Box::new(self.dump.clone())));
        self.tables.iter().for_each(|table| push(&Line::Table(table.clone())));
        self.schemas.iter().for_each(|schema| push(&Line::Schema(schema.clone())));
        self.chunks.iter().for_each(|chunk| push(&Line::Chunk(chunk.clone())));
        self.files.iter().for_each(|file| push(&Line::File(file.clone())));
        self.end.iter().for_each(|end| push(&Line::End(end.clone())));
        out
    }

    /// The start point of a table: its own, else the dump's.
    pub fn start_of(&self, schema: &str, table: &str) -> Option<&StartPoint> {
        self.tables
            .iter()
            .find(|line| line.schema == schema && line.table == table)
            .and_then(|line| line.start.as_ref())
            .or(self.dump.start.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Manifest {
        let start = StartPoint { file: "b.1".into(), pos: "4".into(), gtid: "0-1-2".into() };
        Manifest {
            dump: DumpHead {
                format: FORMAT,
                tool: "rdump 0.1.0".into(),
                started: "2026-11-24T06:00:00+00:00".into(),
                session: Session {
                    time_zone: "SYSTEM".into(),
                    system_time_zone: "CST".into(),
                    utc_offset: "+08:00".into(),
                    offset_is_fixed: true,
                    fixed_since: None,
                    sql_mode: "ANSI_QUOTES".into(),
                },
                start: Some(start.clone()),
                ..DumpHead::default()
            },
            tables: vec![
                TableLine {
                    schema: "a".into(),
                    table: "b\n\"`".into(),
                    kind: "table".into(),
                    ..TableLine::default()
                },
                TableLine {
                    schema: "a".into(),
                    table: "c".into(),
                    kind: "table".into(),
                    start: Some(StartPoint { pos: "9".into(), ..start.clone() }),
                    safe_until: Some(start),
                    rows: Some(3),
                },
            ],
            schemas: vec![SchemaFileLine { name: "a.c-schema.sql".into(), ..SchemaFileLine::default() }],
            chunks: vec![ChunkLine { rows: 3, range: Some("`a` < 'ü\n'".into()), ..ChunkLine::default() }],
            files: vec![FileLine {
                name: "a.c.000000000.sql".into(),
                rows: 3,
                bytes: 10,
                chunk: Some(0),
                blake3: "00".into(),
                ..FileLine::default()
            }],
            end: Some(EndLine { rows: 3, files: 1, ..EndLine::default() }),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let manifest = sample();
        let bytes = manifest.render();
        assert_eq!(bytes.iter().filter(|&&b| b == b'\n').count(), 7);
        assert_eq!(Manifest::from_bytes(&bytes).unwrap(), manifest);
        assert_eq!(manifest.start_of("a", "c").unwrap().pos, "9");
        assert_eq!(manifest.start_of("a", "b\n\"`").unwrap().pos, "4");
    }

    proptest::proptest! {
        /// Whole files with bytes changed, and any bytes at all.
        #[test]
        fn no_bytes_panic(any: Vec<u8>, at: usize, byte: u8, journal in 0..2) {
            let done = DoneTable { table: sample().tables[1].clone(), ..DoneTable::default() };
            let mut bytes = if journal == 1 { done.render() } else { sample().render() };
            let at = at % bytes.len();
            bytes[at] = byte;
            for bytes in [any, bytes] {
                let _ = Manifest::from_bytes(&bytes);
                let _ = DoneTable::from_journal(&bytes);
            }
        }
    }

    #[test]
    fn a_torn_journal_line_does_not_count() {
        let done =
            DoneTable { table: sample().tables[1].clone(), files: sample().files, ..DoneTable::default() };
        let mut bytes = [done.render(), done.render()].concat();
        assert_eq!(DoneTable::from_journal(&bytes), [done.clone(), done.clone()]);
        bytes.pop();
        assert_eq!(DoneTable::from_journal(&bytes), std::slice::from_ref(&done));
        let chunk = DoneChunk {
            chunk: sample().chunks.remove(0),
            files: sample().files,
            cut: serde_json::json!({"index": "PRIMARY"}),
            start: StartPoint::default(),
            taken_at: 7,
        };
        let both = [chunk.render(), done.render()].concat();
        assert_eq!(
            JournalLine::read(&both),
            [JournalLine::Chunk(Box::new(chunk)), JournalLine::Table(Box::new(done.clone()))]
        );
        assert_eq!(DoneTable::from_journal(&both), std::slice::from_ref(&done));
        assert_eq!(DoneTable::from_journal(&[b"garbage\n", &done.render()[..]].concat()), []);
    }

    #[test]
    fn newer_and_broken_files_are_refused() {
        let newer = br#"{"type":"future","format":3}"#;
        assert_eq!(Manifest::from_bytes(newer), Err(ManifestError::NewerFormat { found: 3 }));
        for bad in [&b""[..], b"{", b"{}", br#"{"type":"table","schema":"a"}"#, b"\xff"] {
            assert!(matches!(Manifest::from_bytes(bad), Err(ManifestError::Malformed { line: 1, .. })));
        }
        let mut bytes = sample().render();
        bytes.truncate(bytes.len() - 5);
        assert!(Manifest::from_bytes(&bytes).is_err(), "a torn last line");
    }

    #[test]
    fn unknown_fields_are_ignored_within_a_version() {
        let mut text = String::from_utf8(sample().render()).unwrap();
        text = text.replacen("\"type\":\"file\"", "\"type\":\"file\",\"hash\":\"x\"", 1);
        assert_eq!(Manifest::from_bytes(text.as_bytes()).unwrap(), sample());
    }

    #[test]
    fn the_zone_to_set() {
        let mut session = sample().dump.session;
        assert_eq!(session.time_zone_to_set(), Some("+08:00"));
        session.offset_is_fixed = false;
        assert_eq!(session.time_zone_to_set(), None);
        session.fixed_since = Some(1992);
        assert_eq!(session.time_zone_to_set(), Some("+08:00"));
        assert!(session.time_zone_caveat().unwrap().contains("1992"));
        session.time_zone = "Europe/Berlin".into();
        assert_eq!(session.time_zone_to_set(), Some("Europe/Berlin"));
    }
}
