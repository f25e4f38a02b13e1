//! The `metadata` file of a dump, both ways. Facts: dumpling.md 2.6, dm.md 3.1.

use std::fmt::Write as _;

/// Everything `metadata` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Local time without zone, `YYYY-MM-DD HH:MM:SS`; empty if the line is missing.
    pub started: String,
    /// Position of the dumped server; `None` if its binlog is off.
    pub source: Option<Block>,
    /// Positions of the server's own sources, one for each replication channel.
    pub replicas: Vec<Block>,
    /// Position after all connections were open, written by dumps that are not consistent. It is where
    /// replication may leave safe mode.
    pub after_connect: Option<Block>,
    /// Local time as in `started`; empty if the dump did not get that far.
    pub finished: String,
}

/// One position.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Block {
    /// Name of the channel, MariaDB with several sources only; else empty.
    pub connection_name: String,
    /// Host of the server's source, replica blocks only; else empty.
    pub host: String,
    /// Binlog file (`tidb-binlog` for TiDB).
    pub file: String,
    /// Position in the file: a number, for TiDB the snapshot as the user gave it.
    pub pos: String,
    /// GTID set of either family, in one line or several as the server printed it; may be empty.
    pub gtid: String,
}

impl Block {
    /// File and position of a binlog; `None` if the block has no usable pair.
    pub fn binlog_position(&self) -> Option<(&str, u64)> {
        if self.file.is_empty() {
            return None;
        }
        self.pos.parse().ok().map(|pos| (self.file.as_str(), pos))
    }

    /// The GTID set without line ends and blanks.
    pub fn gtid_one_line(&self) -> String {
        self.gtid.chars().filter(|c| !c.is_whitespace()).collect()
    }
}

/// Why a `metadata` file can't be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetadataError {
    /// Not even a start line.
    #[error("no metadata of a dump: the file has neither a `Started dump at:` line nor a position block")]
    NotMetadata,
    /// The text is not UTF-8.
    #[error("metadata is not UTF-8 at byte {0}")]
    NotUtf8(usize),
    /// The file ends too early: it was not written, or not copied, to its end.
    #[error("metadata is cut short: it ends in line {line} without {missing}")]
    CutShort {
        /// The last line, from 1.
        line: usize,
        /// What would have to follow first.
        missing: String,
    },
    /// A position block without file or position, in a file that has its end.
    #[error("metadata line {line}: the block `{header}` has no line `{missing}`")]
    IncompleteBlock {
        /// Line of the header, from 1.
        line: usize,
        /// The header.
        header: String,
        /// The line that is not there, or is empty.
        missing: &'static str,
    },
    /// A line of a position block without a block.
    #[error("metadata line {line}: `{text}` stands in no block: `SHOW MASTER STATUS:` is missing above it")]
    NoHeader {
        /// Line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
    /// A line inside a block that nothing explains.
    #[error("metadata line {line}: can't read `{text}`")]
    UnknownLine {
        /// Line, from 1.
        line: usize,
        /// Its text.
        text: String,
    },
}

impl MetadataError {
    /// The same in a file without its end, where nothing else is wrong.
    fn cut_short(self, last: usize) -> Self {
        match self {
            MetadataError::IncompleteBlock { header, missing, .. } => MetadataError::CutShort {
                line: last,
                missing: format!("the line `{missing}` of the block `{header}`"),
            },
            MetadataError::UnknownLine { line, text } if line == last => {
                MetadataError::CutShort { line, missing: format!("the rest of `{text}`") }
            }
            other => other,
        }
    }
}

const STARTED: &str = "Started dump at: ";
const FINISHED: &str = "Finished dump at: ";
const AFTER_CONNECT: &str = "/* AFTER CONNECTION POOL ESTABLISHED */";

#[derive(Clone, Copy, PartialEq)]
enum Target {
    Source,
    Replica,
    AfterConnect,
}

impl Metadata {
    /// Reads the file's bytes.
    ///
    /// # Errors
    /// See [`MetadataError`]. A whole file without a position is no error (binlog off), a torn one is.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MetadataError> {
        let text = std::str::from_utf8(bytes).map_err(|e| MetadataError::NotUtf8(e.valid_up_to()))?;
        Self::parse(text)
    }

    /// Reads the file's text. Both names of the source block are known
    /// (`SHOW MASTER STATUS:`, newer Dumpling `SHOW BINARY LOG STATUS:`).
    ///
    /// # Errors
    /// See [`MetadataError`].
    pub fn parse(text: &str) -> Result<Self, MetadataError> {
        // Written last, and only by a dump that ended well.
        let is_whole = text.lines().any(|line| line.starts_with(FINISHED));
        let last = text.lines().count();
        let mut out = Metadata::default();
        let mut seen = false;
        let mut lines = text.lines().enumerate().peekable();
        while let Some((i, line)) = lines.next() {
            let line = line.trim_end();
            if let Some(time) = line.strip_prefix(STARTED) {
                out.started = time.into();
                seen = true;
            } else if let Some(time) = line.strip_prefix(FINISHED) {
                out.finished = time.into();
                seen = true;
            } else if let Some(target) = header(line) {
                seen = true;
                let block = match (read_block(line, i + 1, &mut lines), is_whole) {
                    (Err(e), false) => return Err(e.cut_short(last)),
                    (read, _) => read?,
                };
                match target {
                    Target::Source => out.source = Some(block),
                    Target::AfterConnect => out.after_connect = Some(block),
                    Target::Replica => out.replicas.push(block),
                }
            } else if ["Log:", "Pos:", "GTID:"].iter().any(|key| line.trim_start().starts_with(key)) {
                return Err(MetadataError::NoHeader { line: i + 1, text: line.trim().into() });
            }
        }
        match (seen, is_whole) {
            (true, true) => Ok(out),
            (true, false) => {
                let missing = if out.source.is_some() {
                    "the line `Finished dump at:`"
                } else {
                    "the block `SHOW MASTER STATUS:` and the line `Finished dump at:`"
                };
                Err(MetadataError::CutShort { line: last, missing: missing.into() })
            }
            (false, _) => Err(MetadataError::NotMetadata),
        }
    }

    /// Prints the file. The source block is always headed `SHOW MASTER STATUS:`, the only form that every
    /// reader knows.
    pub fn render(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{STARTED}{}", self.started);
        if let Some(block) = &self.source {
            write_block(&mut out, "SHOW MASTER STATUS:", block);
        }
        for block in &self.replicas {
            write_block(&mut out, "SHOW SLAVE STATUS:", block);
        }
        if let Some(block) = &self.after_connect {
            write_block(&mut out, &format!("SHOW MASTER STATUS: {AFTER_CONNECT}"), block);
        }
        if !self.finished.is_empty() {
            let _ = writeln!(out, "{FINISHED}{}", self.finished);
        }
        out
    }
}

fn header(line: &str) -> Option<Target> {
    let line = line.trim();
    let rest =
        ["SHOW MASTER STATUS:", "SHOW BINARY LOG STATUS:"].iter().find_map(|head| line.strip_prefix(head));
    match rest.map(str::trim) {
        Some("") => Some(Target::Source),
        Some(AFTER_CONNECT) => Some(Target::AfterConnect),
        Some(_) => None,
        None if line == "SHOW SLAVE STATUS:" || line == "SHOW REPLICA STATUS:" => Some(Target::Replica),
        None => None,
    }
}

fn in_block(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && header(line).is_none() && !line.starts_with(FINISHED.trim_end())
}

/// The lines under a header.
fn read_block<'a>(
    header: &str,
    line: usize,
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'a str)>>,
) -> Result<Block, MetadataError> {
    let mut block = Block::default();
    while let Some((at, text)) = lines.next_if(|(_, l)| in_block(l)) {
        read_line(&mut block, text.trim(), at + 1, lines)?;
    }
    let missing = match (block.file.is_empty(), block.pos.is_empty()) {
        (true, _) => "Log:",
        (_, true) => "Pos:",
        _ => return Ok(block),
    };
    Err(MetadataError::IncompleteBlock { line, header: header.into(), missing })
}

fn read_line<'a>(
    block: &mut Block,
    text: &str,
    line: usize,
    lines: &mut std::iter::Peekable<impl Iterator<Item = (usize, &'a str)>>,
) -> Result<(), MetadataError> {
    let Some((key, value)) = text.split_once(':') else {
        return Err(MetadataError::UnknownLine { line, text: text.into() });
    };
    let value = value.trim();
    match key {
        "Log" => block.file = value.into(),
        "Pos" => block.pos = value.into(),
        "Host" => block.host = value.into(),
        "Connection name" => block.connection_name = value.into(),
        "GTID" => {
            block.gtid = value.into();
            // MySQL prints one source id on each line, with a comma after all but the last.
            while block.gtid.ends_with(',') {
                let Some((_, next)) = lines.next_if(|(_, l)| in_block(l)) else {
                    break;
                };
                block.gtid.push('\n');
                block.gtid.push_str(next.trim());
            }
        }
        _ => {
            return Err(MetadataError::UnknownLine { line, text: text.into() });
        }
    }
    Ok(())
}

fn write_block(out: &mut String, header: &str, block: &Block) {
    let _ = writeln!(out, "{header}");
    if !block.connection_name.is_empty() {
        let _ = writeln!(out, "\tConnection name: {}", block.connection_name);
    }
    if !block.host.is_empty() {
        let _ = writeln!(out, "\tHost: {}", block.host);
    }
    let _ = writeln!(out, "\tLog: {}", block.file);
    let _ = writeln!(out, "\tPos: {}", block.pos);
    // No blank after the colon: that is how the real tool writes it.
    let _ = writeln!(out, "\tGTID:{}\n", block.gtid);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOLDEN: &str = include_str!("../tests/fixtures/metadata-mysql80");
    const GOLDEN_NO_BINLOG: &str = include_str!("../tests/fixtures/metadata-no-position");

    const MARIADB: &str = "Started dump at: 2026-11-22 10:08:03\nSHOW MASTER STATUS:\n\tLog: mariadb-bin.000001\n\tPos: 6199\n\tGTID:0-7-29,1-8-3\n\nSHOW SLAVE STATUS:\n\tConnection name: c1\n\tHost: 10.0.0.1\n\tLog: mysql-bin.000007\n\tPos: 4\n\tGTID:uuid:1-29\n\nSHOW SLAVE STATUS:\n\tConnection name: c2\n\tHost: 10.0.0.2\n\tLog: b.1\n\tPos: 5\n\tGTID:\n\nFinished dump at: 2026-11-22 10:08:03\n";

    #[test]
    fn golden_files_come_back_byte_for_byte() {
        for text in [GOLDEN, GOLDEN_NO_BINLOG, MARIADB] {
            let metadata = Metadata::parse(text).unwrap();
            assert_eq!(metadata.render(), text);
        }
        let golden = Metadata::parse(GOLDEN).unwrap();
        let source = golden.source.unwrap();
        assert_eq!(source.binlog_position(), Some(("mysql-bin.000002", 53928)));
        assert_eq!(source.gtid, "4497dc05-e65e-11f1-ad09-02fc00000001:1-23");
    }

    #[test]
    fn no_position_is_no_error() {
        let metadata = Metadata::parse(GOLDEN_NO_BINLOG).unwrap();
        assert_eq!(metadata.source, None);
        assert!(!metadata.finished.is_empty());
    }

    #[test]
    fn mariadb_channels() {
        let metadata = Metadata::parse(MARIADB).unwrap();
        assert_eq!(metadata.replicas.len(), 2);
        assert_eq!(metadata.replicas[0].connection_name, "c1");
        assert_eq!(metadata.replicas[1].host, "10.0.0.2");
        assert_eq!(metadata.source.unwrap().gtid, "0-7-29,1-8-3");
    }

    #[test]
    fn gtid_sets_over_several_lines() {
        let text = "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: b.1\n\tPos: 4\n\tGTID:aa:1-2,\nbb:3,\ncc:4-5\n\nSHOW MASTER STATUS: /* AFTER CONNECTION POOL ESTABLISHED */\n\tLog: b.1\n\tPos: 9\n\tGTID:aa:1-3\n\nFinished dump at: y\n";
        let metadata = Metadata::parse(text).unwrap();
        let source = metadata.source.clone().unwrap();
        assert_eq!(source.gtid, "aa:1-2,\nbb:3,\ncc:4-5");
        assert_eq!(source.gtid_one_line(), "aa:1-2,bb:3,cc:4-5");
        assert_eq!(metadata.after_connect.as_ref().unwrap().pos, "9");
        assert_eq!(metadata.finished, "y");
        assert_eq!(metadata.render(), text);
    }

    #[test]
    fn newer_header_windows_line_ends_and_tidb() {
        let text = "Started dump at: x\r\nSHOW BINARY LOG STATUS:\r\n\tLog: tidb-binlog\r\n\tPos: 2026-01-01 00:00:00\r\n\tGTID:\r\n\r\nFinished dump at: y\r\n";
        let source = Metadata::parse(text).unwrap().source.unwrap();
        assert_eq!(source.pos, "2026-01-01 00:00:00");
        assert_eq!(source.binlog_position(), None);
    }

    #[test]
    fn torn_or_foreign_files_are_errors() {
        assert_eq!(Metadata::parse(""), Err(MetadataError::NotMetadata));
        assert_eq!(Metadata::parse("hello\n"), Err(MetadataError::NotMetadata));
        assert_eq!(Metadata::from_bytes(b"Started\xff"), Err(MetadataError::NotUtf8(7)));
        let stray = "SHOW MASTER STATUS:\n\tLog: b.1\n\tgarbage\n\nFinished dump at: y\n";
        assert!(matches!(Metadata::parse(stray), Err(MetadataError::UnknownLine { line: 3, .. })));
        let says = |text: &str| Metadata::parse(text).unwrap_err().to_string();
        assert_eq!(
            says("Started dump at: x\nSHOW MASTER STATUS:\n\tLog: b.1\n\tGTID:\n\nFinished dump at: y\n"),
            "metadata line 2: the block `SHOW MASTER STATUS:` has no line `Pos:`"
        );
        assert_eq!(
            says("Started dump at: x\n\tLog: b.1\n\tPos: 4\n\nFinished dump at: y\n"),
            "metadata line 2: `Log: b.1` stands in no block: `SHOW MASTER STATUS:` is missing above it"
        );
    }

    /// Wherever the file ends, before its last line there is no telling what is missing: also a digit of the position.
    #[test]
    fn every_cut_is_noticed() {
        let end = GOLDEN.find("Finished").unwrap() + FINISHED.len();
        for cut in 0..end {
            let error = Metadata::parse(&GOLDEN[..cut]).unwrap_err();
            let foreign = cut <= STARTED.len();
            let named = matches!(error, MetadataError::CutShort { .. });
            assert!(if foreign { error == MetadataError::NotMetadata } else { named }, "{cut}: {error}");
        }
        let says = |text: &str| Metadata::parse(text).unwrap_err().to_string();
        let torn = "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: b.1\n";
        assert_eq!(
            says(torn),
            "metadata is cut short: it ends in line 3 without the line `Pos:` of the block `SHOW MASTER STATUS:`"
        );
        assert_eq!(
            says("Started dump at: x\nSHOW MASTER STATUS:\n\tLog: b.1\n\tPos: 53"),
            "metadata is cut short: it ends in line 4 without the line `Finished dump at:`"
        );
    }
}
