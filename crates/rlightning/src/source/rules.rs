//! Tells the files of a dump apart by their names: `[[mydumper.files]]` first, then the built-in rules (facts/lightning.md 2.2, 2.3).

use std::path::Path;

use common::dumpfile::{self, Compression, DumpFile, FileKind, Format};
use common::error::lightning_codes as codes;
use common::ident::TableName;
use regex::{Captures, Regex};

use crate::config::raw::FileRule;
use crate::error::{Result, fail};
use crate::source::form::Packing;

/// What a file is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Role {
    /// A rule of the user or a built-in one leaves it out.
    Ignored,
    /// A part of the dump, and how it is packed (which its own field does not say: it knows Dumpling's ways only).
    Part(DumpFile, Packing),
}

#[derive(Debug, Clone)]
struct Rule {
    pattern: Regex,
    kind: String,
    schema: String,
    table: String,
    key: String,
    compression: String,
}

/// All rules in order.
#[derive(Debug, Clone)]
pub struct FileRules {
    rules: Vec<Rule>,
    built_in: bool,
}

fn invalid(rule: &FileRule, message: &str) -> crate::error::Error {
    let name = if rule.pattern.is_empty() { &rule.path } else { &rule.pattern };
    fail(codes::INVALID_CONFIG, format!("file route rule is invalid: [[mydumper.files]] '{name}': {message}"))
}

impl FileRules {
    /// Compiles the user's rules; `built_in` says whether the usual names count after them.
    ///
    /// # Errors
    /// The first rule that is incomplete or does not compile.
    pub fn new(rules: &[FileRule], built_in: bool, source_dir: &Path) -> Result<Self> {
        let rules = rules.iter().map(|rule| compile(rule, source_dir)).collect::<Result<_>>()?;
        Ok(Self { rules, built_in })
    }

    /// The role of a file by its path relative to the source folder; `None` when no rule matches.
    ///
    /// # Errors
    /// A file that a rule takes but that cannot be read: its compression is not known or not there.
    pub fn role(&self, path: &str) -> Result<Option<Role>> {
        for rule in &self.rules {
            if let Some(captures) = rule.pattern.captures(path) {
                return rule.apply(&captures, path).map(Some);
            }
        }
        if !self.built_in {
            return Ok(None);
        }
        // Dumpling writes no such files, and others do.
        let (name, packing) = match path.rsplit_once('.') {
            Some((name, extension)) => match Packing::by_name(extension) {
                Some(packing @ (Packing::Lz4 | Packing::Xz)) => (name, Some(packing)),
                _ => (path, None),
            },
            None => (path, None),
        };
        match dumpfile::parse(name) {
            Ok(Some(file)) if packing.is_some() && file.compression != Compression::None => Ok(None),
            Ok(file) => Ok(file.map(|file| {
                let packing = packing.unwrap_or(file.compression.into());
                Role::Part(file, packing)
            })),
            Err(cause) => Err(fail(
                codes::STORAGE_UNKNOWN,
                format!("apply file routing on file '{path}' failed: {cause}"),
            )),
        }
    }

    /// What a file of triggers (of a table) or of routines and events (of a schema) is about, by its usual name. Rules of the user
    /// know no such files.
    pub fn program(&self, path: &str) -> Option<(TableName, Packing)> {
        if !self.built_in || self.rules.iter().any(|rule| rule.pattern.is_match(path)) {
            return None;
        }
        let name = path.rsplit('/').next().unwrap_or(path);
        let (stem, packing) = match name.rsplit_once(".sql.") {
            Some((stem, extension)) => (stem, Packing::by_name(extension)?),
            None => (name.strip_suffix(".sql")?, Packing::Plain),
        };
        let plain =
            |text: &str| dumpfile::unescape(text).map_or_else(|| text.to_owned(), |name| name.into_owned());
        if let Some(schema) = stem.strip_suffix("-schema-post") {
            return (!schema.is_empty() && !schema.contains('.'))
                .then(|| (TableName::new(plain(schema), ""), packing));
        }
        let (schema, table) = stem.strip_suffix("-schema-trigger")?.split_once('.')?;
        Some((TableName::new(plain(schema), plain(table)), packing))
    }
}

fn compile(rule: &FileRule, source_dir: &Path) -> Result<Rule> {
    let pattern = match (rule.pattern.is_empty(), rule.path.is_empty()) {
        (true, true) => {
            return Err(invalid(rule, "`path` and `pattern` must not be both empty in [[mydumper.files]]"));
        }
        (false, false) => return Err(invalid(rule, "can't set both `path` and `pattern` field")),
        (false, true) => common::go_regex::compile(&rule.pattern, false)
            .map_err(|cause| invalid(rule, &cause.to_string()))?,
        (true, false) => {
            let path = Path::new(&rule.path);
            let path = if path.is_absolute() {
                path.strip_prefix(source_dir)
                    .map_err(|_| invalid(rule, "an absolute `path` must lie in `mydumper.data-source-dir`"))?
            } else {
                path
            };
            let text = path.to_str().ok_or_else(|| invalid(rule, "`path` is not UTF-8"))?;
            Regex::new(&regex::escape(text)).map_err(|cause| invalid(rule, &cause.to_string()))?
        }
    };
    if rule.kind.is_empty() {
        return Err(invalid(rule, "field 'type' match pattern can't be empty"));
    }
    if rule.kind != "ignore" && rule.schema.is_empty() {
        return Err(invalid(rule, "field 'schema' match pattern can't be empty"));
    }
    if !matches!(rule.kind.as_str(), "ignore" | "schema-schema") && rule.table.is_empty() {
        return Err(invalid(rule, "field 'table' match pattern can't be empty"));
    }
    Ok(Rule {
        pattern,
        kind: rule.kind.clone(),
        schema: rule.schema.clone(),
        table: rule.table.clone(),
        key: rule.key.clone(),
        compression: rule.compression.clone(),
    })
}

impl Rule {
    fn apply(&self, captures: &Captures<'_>, path: &str) -> Result<Role> {
        // The expansion language of both regex libraries is the same: $1, ${name}, $$.
        let expand = |template: &str| {
            let mut out = String::new();
            captures.expand(template, &mut out);
            out
        };
        let refuse = |what: String| {
            fail(codes::STORAGE_UNKNOWN, format!("apply file routing on file '{path}' failed: {what}"))
        };
        let format = |format| FileKind::Data { format, key: expand(&self.key) };
        let kind = match expand(&self.kind).to_lowercase().as_str() {
            "ignore" => return Ok(Role::Ignored),
            "schema-schema" => FileKind::SchemaCreate,
            "table-schema" => FileKind::TableSchema,
            "view-schema" => FileKind::ViewSchema,
            "sql" => format(Format::Sql),
            "csv" => format(Format::Csv),
            "parquet" => format(Format::Parquet),
            other => return Err(refuse(format!("unknown source type '{other}'"))),
        };
        let compression = expand(&self.compression);
        let packing = Packing::by_name(&compression)
            .ok_or_else(|| refuse(format!("invalid compression type '{compression}'")))?;
        let table = if kind == FileKind::SchemaCreate { String::new() } else { expand(&self.table) };
        let table = TableName::new(expand(&self.schema), table);
        let file = DumpFile { kind, table, compression: Compression::None, bad_escape: false };
        Ok(Role::Part(file, packing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(pattern: &str, kind: &str, schema: &str, table: &str) -> FileRule {
        FileRule {
            pattern: pattern.into(),
            kind: kind.into(),
            schema: schema.into(),
            table: table.into(),
            ..FileRule::default()
        }
    }

    fn part(rules: &FileRules, path: &str) -> DumpFile {
        match rules.role(path) {
            Ok(Some(Role::Part(file, _))) => file,
            other => panic!("{path}: {other:?}"),
        }
    }

    #[test]
    fn captures_are_put_in() {
        let mut named = rule(r"(?i)^(?:[^/]*/)*(?P<db>[^/.]+)/(\w+)\.(\d+)\.(sql|csv)$", "$4", "${db}", "$2");
        named.key = "$3".into();
        let rules =
            FileRules::new(&[rule("^skip", "ignore", "", ""), named], false, Path::new("/d")).unwrap();
        assert_eq!(rules.role("skip/a.sql").unwrap(), Some(Role::Ignored));
        assert_eq!(rules.role("x.sql").unwrap(), None);
        let file = part(&rules, "a/my/t.07.sql");
        assert_eq!(file.table, TableName::new("my", "t"));
        assert_eq!(file.kind, FileKind::Data { format: Format::Sql, key: "07".into() });
    }

    #[test]
    fn literal_paths_and_built_in_names() {
        let literal = FileRule { path: "/d/a.b/x+y.txt".into(), ..rule("", "sql", "s", "t") };
        let rules = FileRules::new(&[literal], true, Path::new("/d")).unwrap();
        assert_eq!(part(&rules, "a.b/x+y.txt").table, TableName::new("s", "t"));
        assert_eq!(
            part(&rules, "src1/my_db1.table1.000000000.sql").table,
            TableName::new("my_db1", "table1")
        );
        let packed = |path| match rules.role(path).unwrap().unwrap() {
            Role::Part(file, packing) => (file.table.table, packing),
            other => panic!("{other:?}"),
        };
        assert_eq!(packed("d.t.1.sql.lz4"), ("t".into(), Packing::Lz4));
        assert_eq!(packed("d.t-schema.sql.XZ"), ("t".into(), Packing::Xz));
        assert_eq!(packed("d.t.csv.gz"), ("t".into(), Packing::Gzip));
        assert_eq!(rules.role("d.t.sql.gz.xz").unwrap(), None);
        assert!(rules.role("d.t.sql.lzo").is_err());
    }

    #[test]
    fn incomplete_rules_are_refused() {
        let error = |rule: FileRule| FileRules::new(&[rule], false, Path::new("/d")).unwrap_err().to_string();
        assert!(error(rule("", "sql", "a", "b")).contains("must not be both empty"));
        assert!(error(rule("x", "", "a", "b")).contains("'type'"));
        assert!(error(rule("x", "sql", "", "b")).contains("'schema'"));
        assert!(error(rule("x", "sql", "a", "")).contains("'table'"));
        let rules = FileRules::new(&[rule("x", "odd", "a", "b")], false, Path::new("/d")).unwrap();
        assert!(rules.role("x").unwrap_err().to_string().contains("unknown source type 'odd'"));
    }
}
