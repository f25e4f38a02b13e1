//! Names of dump files: how Dumpling builds them and how Lightning reads them.
//!
//! Building: dumpling.md 2.1 to 2.3. Reading: lightning.md 2.2 (the default rules, first match decides).

use std::{borrow::Cow, fmt, sync::LazyLock};

use regex::{Captures, Regex};

use crate::ident::TableName;

/// Name of the file with the dump's position.
pub const METADATA: &str = "metadata";

/// Name of rdump's own record of a dump, see [`crate::manifest`].
///
/// The extension makes real Lightning ignore it: only `.sql`, `.csv` and `.parquet` files are read.
pub const MANIFEST: &str = "rdump-manifest.jsonl";

/// Name of the journal of an unfinished dump of rdump, see [`crate::manifest::DoneTable`].
pub const JOURNAL: &str = "rdump-journal.jsonl";

/// Escapes a schema or table name for use in a file name.
///
/// Bytes 0x00 to 0x1f and `% " * . / : < > ? \ |` become `%XX`; the dash of any `-schema` becomes `%2D`,
/// so that a name can't be taken for a schema file.
pub fn escape(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for (i, c) in name.char_indices() {
        let special = match c {
            '\0'..='\x1f' | '%' | '"' | '*' | '.' | '/' | ':' | '<' | '>' | '?' | '\\' | '|' => true,
            '-' => name.as_bytes()[i + 1..].get(..6).is_some_and(|tail| tail.eq_ignore_ascii_case(b"schema")),
            _ => false,
        };
        if special {
            out.push_str(&format!("%{:02X}", c as u32));
        } else {
            out.push(c);
        }
    }
    out
}

/// Undoes [`escape`] the way Lightning does (URL path unescaping: any `%XX`, `+` stays).
///
/// `None` if an escape is malformed or the result is not UTF-8; Lightning then keeps the text as it is and warns.
pub fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.as_bytes();
    while let [first, rest @ ..] = bytes {
        if *first == b'%' {
            let [high, low, rest @ ..] = rest else {
                return None;
            };
            let digit = |b: u8| (b as char).to_digit(16);
            out.push((digit(*high)? * 16 + digit(*low)?) as u8);
            bytes = rest;
        } else {
            out.push(*first);
            bytes = rest;
        }
    }
    String::from_utf8(out).ok().map(Cow::Owned)
}

/// Compression of one file, told by its last extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Compression {
    /// Plain.
    #[default]
    None,
    /// `.gz` (`.gzip` is read too).
    Gzip,
    /// `.zst` (`.zstd` is read too).
    Zstd,
    /// `.snappy`, framed.
    Snappy,
}

impl Compression {
    /// The suffix that is written, with its dot; empty for none.
    pub fn suffix(self) -> &'static str {
        match self {
            Compression::None => "",
            Compression::Gzip => ".gz",
            Compression::Zstd => ".zst",
            Compression::Snappy => ".snappy",
        }
    }

    /// The value of Dumpling's `--compress`, in lower or upper case.
    pub fn from_flag(text: &str) -> Option<Self> {
        Some(match text.to_ascii_lowercase().as_str() {
            "" | "no-compression" => Compression::None,
            "gzip" | "gz" => Compression::Gzip,
            "snappy" => Compression::Snappy,
            "zstd" | "zst" => Compression::Zstd,
            _ => return None,
        })
    }

    fn from_extension(text: &str) -> Result<Self, BadFileName> {
        match text.to_ascii_lowercase().as_str() {
            "" => Ok(Compression::None),
            "gz" | "gzip" => Ok(Compression::Gzip),
            "zst" | "zstd" => Ok(Compression::Zstd),
            "snappy" => Ok(Compression::Snappy),
            "lz4" | "xz" | "lzo" => Err(BadFileName::UnsupportedCompression(text.into())),
            _ => Err(BadFileName::UnknownCompression(text.into())),
        }
    }
}

/// Format of a data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// INSERT statements.
    Sql,
    /// Comma separated values.
    Csv,
    /// Parquet.
    Parquet,
}

impl Format {
    /// The extension without its dot.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Sql => "sql",
            Format::Csv => "csv",
            Format::Parquet => "parquet",
        }
    }
}

/// Number of a data file within its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileIndex {
    /// Neither `-r` nor `-F`, or `-r` only: the chunk, nine digits.
    Chunk(u64),
    /// `-F` only: the file, nine digits.
    File(u64),
    /// `-r` and `-F`: nine digits of the chunk and four of the file.
    ChunkFile(u64, u64),
}

impl fmt::Display for FileIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileIndex::Chunk(n) | FileIndex::File(n) => write!(f, "{n:09}"),
            FileIndex::ChunkFile(chunk, file) => write!(f, "{chunk:09}{file:04}"),
        }
    }
}

/// Builds the default names of one dump.
#[derive(Debug, Clone, Copy, Default)]
pub struct FileNamer {
    /// Compression of all files but `metadata`.
    pub compression: Compression,
}

impl FileNamer {
    /// `{policy}-placement-policy-create.sql`
    pub fn placement_policy(&self, policy: &str) -> String {
        self.sql(format_args!("{}-placement-policy-create", escape(policy)))
    }

    /// `{db}-schema-create.sql`
    pub fn schema_create(&self, schema: &str) -> String {
        self.sql(format_args!("{}-schema-create", escape(schema)))
    }

    /// `{db}.{table}-schema-trigger.sql`, which imports leave alone.
    pub fn trigger_schema(&self, table: &TableName) -> String {
        self.sql(format_args!("{}-schema-trigger", object(table)))
    }

    /// `{db}-schema-post.sql`, routines and events, which imports leave alone.
    pub fn schema_post(&self, schema: &str) -> String {
        self.sql(format_args!("{}-schema-post", escape(schema)))
    }

    /// `{db}.{table}-schema.sql`, also the stand-in table of a view.
    pub fn table_schema(&self, table: &TableName) -> String {
        self.sql(format_args!("{}-schema", object(table)))
    }

    /// `{db}.{view}-schema-view.sql`
    pub fn view_schema(&self, view: &TableName) -> String {
        self.sql(format_args!("{}-schema-view", object(view)))
    }

    /// `{db}.{sequence}-schema-sequence.sql`
    pub fn sequence_schema(&self, sequence: &TableName) -> String {
        self.sql(format_args!("{}-schema-sequence", object(sequence)))
    }

    /// `{db}.{table}.{index}.{sql|csv|parquet}`
    pub fn data(&self, table: &TableName, index: FileIndex, format: Format) -> String {
        let suffix = self.suffix_for(format);
        format!("{}.{index}.{}{suffix}", object(table), format.extension())
    }

    /// `result.{index}.csv`, the data of `--sql`.
    pub fn query_result(&self, index: FileIndex, format: Format) -> String {
        let suffix = self.suffix_for(format);
        format!("result.{index}.{}{suffix}", format.extension())
    }

    /// Parquet compresses inside the file and must not carry a suffix.
    fn suffix_for(&self, format: Format) -> &'static str {
        match format {
            Format::Parquet => "",
            Format::Sql | Format::Csv => self.compression.suffix(),
        }
    }

    fn sql(&self, stem: fmt::Arguments<'_>) -> String {
        format!("{stem}.sql{}", self.compression.suffix())
    }
}

fn object(table: &TableName) -> String {
    format!("{}.{}", escape(&table.schema), escape(&table.table))
}

/// What a file of a dump holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileKind {
    /// CREATE DATABASE.
    SchemaCreate,
    /// CREATE TABLE.
    TableSchema,
    /// CREATE VIEW.
    ViewSchema,
    /// Rows.
    Data {
        /// Format of the rows.
        format: Format,
        /// Sort key: the digits before the extension, compared as text; empty if there are none.
        key: String,
    },
}

/// A file name that the default rules accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpFile {
    /// What the file holds.
    pub kind: FileKind,
    /// Source names, unescaped. The table is empty for [`FileKind::SchemaCreate`].
    pub table: TableName,
    /// Compression of the file.
    pub compression: Compression,
    /// A name held a malformed escape and was kept as it stands; worth a warning.
    pub bad_escape: bool,
}

/// A name that a rule accepts but that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadFileName {
    /// Not an extension we know.
    #[error("invalid compression type '{0}'")]
    UnknownCompression(String),
    /// Known, but there is no reader for it.
    #[error("compression '{0}' is not supported; decompress the file or use gz, zst or snappy")]
    UnsupportedCompression(String),
    /// Parquet compresses inside.
    #[error("a parquet file can't be compressed as a whole ('{0}')")]
    CompressedParquet(String),
}

struct Rules {
    ignored: [Regex; 2],
    schema_create: Regex,
    table_schema: Regex,
    view_schema: Regex,
    data: Regex,
}

static RULES: LazyLock<Rules> = LazyLock::new(|| {
    let rule = |text: &str| Regex::new(text).expect("a constant pattern that tests compile");
    Rules {
        ignored: [
            rule(r"(?is)-schema-(?:trigger|post)\.sql(?:\.[0-9A-Za-z_]*)?$"),
            rule(r"(?is)\.(?:sql|csv|parquet)(?:\.[0-9A-Za-z_]+)?\.bak$"),
        ],
        schema_create: rule(r"(?is)^(?:[^/]*/)*([^/.]+)-schema-create\.sql(?:\.([0-9A-Za-z_]*))?$"),
        table_schema: rule(r"(?is)^(?:[^/]*/)*([^/.]+)\.([^/]*?)-schema\.sql(?:\.([0-9A-Za-z_]*))?$"),
        view_schema: rule(r"(?is)^(?:[^/]*/)*([^/.]+)\.([^/]*?)-schema-view\.sql(?:\.([0-9A-Za-z_]*))?$"),
        data: rule(
            r"(?is)^(?:[^/]*/)*([^/.]+)\.([^/]*?)(?:\.([0-9]+))?\.(sql|csv|parquet)(?:\.([0-9A-Za-z_]+))?$",
        ),
    }
});

/// Applies Lightning's default rules to a path relative to the source folder (`/`-separated, any depth).
///
/// `Ok(None)`: the file is ignored (no rule, or a rule that ignores).
///
/// # Errors
/// The name is that of a dump file but its compression can't be read.
pub fn parse(path: &str) -> Result<Option<DumpFile>, BadFileName> {
    let rules = &*RULES;
    if rules.ignored.iter().any(|rule| rule.is_match(path)) {
        return Ok(None);
    }
    if let Some(c) = rules.schema_create.captures(path) {
        return dump_file(FileKind::SchemaCreate, group(&c, 1), "", group(&c, 2)).map(Some);
    }
    if let Some(c) = rules.table_schema.captures(path) {
        let kind = FileKind::TableSchema;
        return dump_file(kind, group(&c, 1), group(&c, 2), group(&c, 3)).map(Some);
    }
    if let Some(c) = rules.view_schema.captures(path) {
        let kind = FileKind::ViewSchema;
        return dump_file(kind, group(&c, 1), group(&c, 2), group(&c, 3)).map(Some);
    }
    let Some(c) = rules.data.captures(path) else {
        return Ok(None);
    };
    let format = match group(&c, 4).to_ascii_lowercase().as_str() {
        "sql" => Format::Sql,
        "csv" => Format::Csv,
        _ => Format::Parquet,
    };
    let extension = group(&c, 5);
    if format == Format::Parquet && !extension.is_empty() {
        return Err(BadFileName::CompressedParquet(extension.into()));
    }
    let kind = FileKind::Data { format, key: group(&c, 3).into() };
    dump_file(kind, group(&c, 1), group(&c, 2), extension).map(Some)
}

fn group<'a>(captures: &Captures<'a>, i: usize) -> &'a str {
    captures.get(i).map_or("", |m| m.as_str())
}

fn dump_file(kind: FileKind, schema: &str, table: &str, extension: &str) -> Result<DumpFile, BadFileName> {
    let compression = Compression::from_extension(extension)?;
    let mut bad_escape = false;
    let mut name = |text: &str| match unescape(text) {
        Some(plain) => plain.into_owned(),
        None => {
            bad_escape = true;
            text.into()
        }
    };
    let table = TableName::new(name(schema), name(table));
    Ok(DumpFile { kind, table, compression, bad_escape })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(path: &str) -> (String, String, String) {
        let file = parse(path).unwrap().unwrap();
        let FileKind::Data { key, .. } = file.kind else {
            panic!("{path} is no data file");
        };
        (file.table.schema, file.table.table, key)
    }

    fn kind(path: &str) -> Option<FileKind> {
        parse(path).unwrap().map(|f| f.kind)
    }

    #[test]
    fn escaping_is_that_of_the_real_tool() {
        assert_eq!(escape("w-schema.x"), "w%2Dschema%2Ex");
        assert_eq!(escape("t/1%"), "t%2F1%25");
        assert_eq!(escape("a-SCHEMA-schem"), "a%2DSCHEMA-schem");
        assert_eq!(escape("we ird`\u{1}\\汉字"), "we ird`%01%5C汉字");
        assert_eq!(unescape("w%2Dschema%2ex").unwrap(), "w-schema.x");
        assert_eq!(unescape("a+b").unwrap(), "a+b");
        assert!(unescape("%").is_none() && unescape("%zz").is_none() && unescape("%ff").is_none());
    }

    #[test]
    fn names_and_digits() {
        let namer = FileNamer::default();
        let t = TableName::new("w-schema.x", "t/1%");
        assert_eq!(namer.data(&t, FileIndex::Chunk(0), Format::Sql), "w%2Dschema%2Ex.t%2F1%25.000000000.sql");
        assert_eq!(FileIndex::ChunkFile(1, 0).to_string(), "0000000010000");
        assert_eq!(FileIndex::File(2).to_string(), "000000002");
        let namer = FileNamer { compression: Compression::Zstd };
        let t = TableName::new("d", "t");
        assert_eq!(namer.schema_create("d"), "d-schema-create.sql.zst");
        assert_eq!(namer.view_schema(&t), "d.t-schema-view.sql.zst");
        assert_eq!(namer.sequence_schema(&t), "d.t-schema-sequence.sql.zst");
        assert_eq!(namer.placement_policy("p"), "p-placement-policy-create.sql.zst");
        assert_eq!(namer.query_result(FileIndex::Chunk(3), Format::Csv), "result.000000003.csv.zst");
    }

    #[test]
    fn default_rules_in_order() {
        assert_eq!(kind("a/b.c/d.t-schema.sql"), Some(FileKind::TableSchema));
        assert_eq!(kind("d-schema-create.sql.gz"), Some(FileKind::SchemaCreate));
        assert_eq!(kind("d.v-schema-view.SQL"), Some(FileKind::ViewSchema));
        assert_eq!(data("x/y/d.t.0000000010000.sql"), ("d".into(), "t".into(), "0000000010000".into()));
        assert_eq!(data("d.a.b.c.csv.zst"), ("d".into(), "a.b.c".into(), String::new()));
        assert_eq!(data("d.t.01.02.sql"), ("d".into(), "t.01".into(), "02".into()));
        // A sequence's schema file is taken for data, as in the real tool.
        assert_eq!(data("d.s-schema-sequence.sql").1, "s-schema-sequence");
        for ignored in [
            "metadata",
            "x/metadata",
            MANIFEST,
            "a/rdump-manifest.jsonl",
            "d.t-schema-trigger.sql",
            "d-schema-post.sql.gz",
            "d.t.1.sql.bak",
            "d.t.csv.gz.bak",
            "README.txt",
            "d.sql",
            "d.t.1.sql.gz.tmp",
        ] {
            assert_eq!(parse(ignored), Ok(None), "{ignored}");
        }
    }

    #[test]
    fn compressions() {
        assert_eq!(parse("d.t.sql.gzip").unwrap().unwrap().compression, Compression::Gzip);
        assert_eq!(parse("d.t.sql.snappy").unwrap().unwrap().compression, Compression::Snappy);
        let e = parse("d.t.sql.foo").unwrap_err().to_string();
        assert_eq!(e, "invalid compression type 'foo'");
        assert!(matches!(parse("d.t.sql.lz4"), Err(BadFileName::UnsupportedCompression(_))));
        assert!(matches!(parse("d.t.parquet.gz"), Err(BadFileName::CompressedParquet(_))));
        assert_eq!(Compression::from_flag("GZ"), Some(Compression::Gzip));
        assert_eq!(Compression::from_flag("bz2"), None);
    }

    #[test]
    fn a_bad_escape_is_kept_and_told() {
        let file = parse("d%zz.t.sql").unwrap().unwrap();
        assert_eq!(file.table.schema, "d%zz");
        assert!(file.bad_escape);
    }

    proptest::proptest! {
        #[test]
        fn what_is_built_is_read_back(schema in "\\PC{1,12}|[a.%/-]{1,6}|a-schema-b", table in "\\PC{1,12}|[0-9.%/-]{1,6}|x-schema-view", n in 0u64..1_000_000) {
            let namer = FileNamer::default();
            let t = TableName::new(schema.clone(), table.clone());
            let escaped = escape(&schema);
            proptest::prop_assert_eq!(unescape(&escaped).unwrap(), schema.as_str());
            let file = parse(&namer.data(&t, FileIndex::ChunkFile(n, 0), Format::Csv)).unwrap().unwrap();
            proptest::prop_assert_eq!(&file.table, &t);
            proptest::prop_assert!(matches!(&file.kind, FileKind::Data { format: Format::Csv, .. }), "data");
            let file = parse(&namer.table_schema(&t)).unwrap().unwrap();
            proptest::prop_assert_eq!(&file.table, &t);
            proptest::prop_assert_eq!(file.kind, FileKind::TableSchema);
            let file = parse(&namer.view_schema(&t)).unwrap().unwrap();
            proptest::prop_assert_eq!((file.table, file.kind), (t, FileKind::ViewSchema));
            let file = parse(&namer.schema_create(&schema)).unwrap().unwrap();
            proptest::prop_assert_eq!((file.table.schema, file.kind), (schema, FileKind::SchemaCreate));
        }
    }
}
