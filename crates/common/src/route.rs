//! Routes of Lightning (`[[routes]]`) and DM (`routes`): which target table a source table goes to.
//!
//! A rule with a table pattern beats one with only a schema pattern; two matches of the same rank are an
//! error. Facts: lightning.md 3, dm.md 1.8.

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::{
    go_regex,
    ident::TableName,
    pattern::{Pattern, PatternError},
};

/// One rule as written in TOML or YAML.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct RouteRule {
    /// Pattern for the source schema; required.
    pub schema_pattern: String,
    /// Pattern for the source table; empty makes this a schema-level rule.
    pub table_pattern: String,
    /// Target schema; required.
    pub target_schema: String,
    /// Target table; empty keeps the source's name.
    pub target_table: String,
    /// Column filled from the source table's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract_table: Option<TableExtractor>,
    /// Column filled from the source schema's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract_schema: Option<SchemaExtractor>,
    /// Column filled from the source's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extract_source: Option<SourceExtractor>,
}

macro_rules! extractor {
    ($(#[$doc:meta])* $name:ident, $field:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", default)]
        pub struct $name {
            /// Go regular expression; its groups, joined, are the value.
            pub $field: String,
            /// Target column that takes the value.
            pub target_column: String,
        }
    };
}
extractor!(
    /// `extract-table`.
    TableExtractor,
    table_regexp
);
extractor!(
    /// `extract-schema`.
    SchemaExtractor,
    schema_regexp
);
extractor!(
    /// `extract-source`.
    SourceExtractor,
    source_regexp
);

/// Why routes can't be built or applied.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum RouteError {
    #[error("schema pattern of table route rule should not be empty")]
    EmptySchemaPattern,
    #[error("target schema of table route rule should not be empty")]
    EmptyTargetSchema,
    #[error("{extractor} extractor {extractor} regexp illegal {cause}")]
    ExtractorRegexp {
        extractor: &'static str,
        #[source]
        cause: Box<regex::Error>,
    },
    #[error("{0} extractor {0} regexp cannot be empty")]
    EmptyExtractorRegexp(&'static str),
    #[error("{0} extractor target column cannot be empty")]
    EmptyTargetColumn(&'static str),
    #[error("invalid table route rule: {0}")]
    Pattern(#[from] PatternError),
    /// Two rules have the same two patterns.
    #[error("table route rule {rule} appears twice")]
    Duplicate { rule: String },
    /// Two rules of the same rank match; the rules are named.
    #[error("table {table} matches more than one rule: {first} and {second}")]
    Ambiguous { table: TableName, first: String, second: String },
}

/// Where one source table goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// Target schema.
    pub schema: String,
    /// Target table; empty if the source's was (schema-level statement).
    pub table: String,
    /// Columns to append to every row: name and value.
    pub extracted: Vec<(String, String)>,
    /// Whether a rule matched (else the names are the source's own).
    pub matched: bool,
}

impl Routed {
    /// The target as a name.
    pub fn name(&self) -> TableName {
        TableName::new(self.schema.as_str(), self.table.as_str())
    }
}

#[derive(Debug, Clone)]
struct Extractor {
    regex: Regex,
    column: String,
}

impl Extractor {
    fn new(kind: &'static str, regexp: &str, column: &str) -> Result<Self, RouteError> {
        if column.is_empty() {
            return Err(RouteError::EmptyTargetColumn(kind));
        }
        if regexp.is_empty() {
            return Err(RouteError::EmptyExtractorRegexp(kind));
        }
        let regex = go_regex::compile(regexp, false)
            .map_err(|e| RouteError::ExtractorRegexp { extractor: kind, cause: Box::new(e) })?;
        Ok(Self { regex, column: column.into() })
    }

    /// All groups joined; empty if the text does not match.
    fn extract(&self, text: &str) -> (String, String) {
        let value = self
            .regex
            .captures(text)
            .map_or_else(String::new, |c| c.iter().skip(1).flatten().map(|m| m.as_str()).collect());
        (self.column.clone(), value)
    }
}

#[derive(Debug, Clone)]
struct Compiled {
    schema: Pattern,
    table: Option<Pattern>,
    rule: RouteRule,
    by_table: Option<Extractor>,
    by_schema: Option<Extractor>,
    by_source: Option<Extractor>,
}

impl Compiled {
    fn describe(&self) -> String {
        format!(
            "'{}'.'{}' -> '{}'.'{}'",
            self.rule.schema_pattern,
            self.rule.table_pattern,
            self.rule.target_schema,
            self.rule.target_table
        )
    }
}

/// A checked set of routes. One per source in DM (the extractor of the source needs its id).
#[derive(Debug, Clone)]
pub struct Router {
    rules: Vec<Compiled>,
    source_id: String,
}

impl Router {
    /// Checks and compiles rules. `source_id` is the value for `extract-source`
    /// (`[mydumper] source-id`, or the DM source).
    ///
    /// # Errors
    /// The first rule that is incomplete, does not compile or has the same patterns as an earlier one.
    pub fn new(rules: &[RouteRule], case_sensitive: bool, source_id: &str) -> Result<Self, RouteError> {
        let mut compiled: Vec<Compiled> = Vec::with_capacity(rules.len());
        for rule in rules {
            let rule = compile(rule, case_sensitive)?;
            let twin = compiled.iter().find(|other| {
                other.rule.schema_pattern == rule.rule.schema_pattern
                    && other.rule.table_pattern == rule.rule.table_pattern
            });
            if twin.is_some() {
                return Err(RouteError::Duplicate { rule: rule.describe() });
            }
            compiled.push(rule);
        }
        Ok(Self { rules: compiled, source_id: source_id.into() })
    }

    /// A router without rules: every name stays.
    pub fn none() -> Self {
        Self { rules: Vec::new(), source_id: String::new() }
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Routes a table. With an empty `table` (statement about a schema) only schema-level rules count.
    ///
    /// # Errors
    /// [`RouteError::Ambiguous`] if two rules of the deciding rank match.
    pub fn route(&self, schema: &str, table: &str) -> Result<Routed, RouteError> {
        let rule = match self.find(schema, table, true)? {
            Some(rule) => Some(rule),
            None => self.find(schema, table, false)?,
        };
        let Some(rule) = rule else {
            return Ok(Routed {
                schema: schema.into(),
                table: table.into(),
                extracted: Vec::new(),
                matched: false,
            });
        };
        let target_table = match rule.rule.target_table.as_str() {
            _ if table.is_empty() => "",
            "" => table,
            target => target,
        };
        // The order is that of the real tools: table, schema, source.
        let extracted = [
            rule.by_table.as_ref().map(|e| e.extract(table)),
            rule.by_schema.as_ref().map(|e| e.extract(schema)),
            rule.by_source.as_ref().map(|e| e.extract(&self.source_id)),
        ];
        Ok(Routed {
            schema: rule.rule.target_schema.clone(),
            table: target_table.into(),
            extracted: extracted.into_iter().flatten().collect(),
            matched: true,
        })
    }

    fn find(&self, schema: &str, table: &str, table_level: bool) -> Result<Option<&Compiled>, RouteError> {
        let mut matching = self.rules.iter().filter(|rule| {
            let table_matches = match &rule.table {
                Some(pattern) => table_level && !table.is_empty() && pattern.is_match(table),
                None => !table_level,
            };
            table_matches && rule.schema.is_match(schema)
        });
        let first = matching.next();
        if let (Some(first), Some(second)) = (first, matching.next()) {
            return Err(RouteError::Ambiguous {
                table: TableName::new(schema, table),
                first: first.describe(),
                second: second.describe(),
            });
        }
        Ok(first)
    }

    /// Target schemas that the rules name, without repeats, in order of the rules.
    pub fn target_schemas(&self) -> Vec<&str> {
        let mut out: Vec<&str> = Vec::new();
        for rule in &self.rules {
            if !out.contains(&rule.rule.target_schema.as_str()) {
                out.push(&rule.rule.target_schema);
            }
        }
        out
    }
}

fn compile(rule: &RouteRule, case_sensitive: bool) -> Result<Compiled, RouteError> {
    if rule.schema_pattern.is_empty() {
        return Err(RouteError::EmptySchemaPattern);
    }
    if rule.target_schema.is_empty() {
        return Err(RouteError::EmptyTargetSchema);
    }
    let by_table = rule.extract_table.as_ref();
    let by_schema = rule.extract_schema.as_ref();
    let by_source = rule.extract_source.as_ref();
    Ok(Compiled {
        schema: Pattern::parse(&rule.schema_pattern, case_sensitive)?,
        table: (!rule.table_pattern.is_empty())
            .then(|| Pattern::parse(&rule.table_pattern, case_sensitive))
            .transpose()?,
        by_table: by_table.map(|e| Extractor::new("table", &e.table_regexp, &e.target_column)).transpose()?,
        by_schema: by_schema
            .map(|e| Extractor::new("schema", &e.schema_regexp, &e.target_column))
            .transpose()?,
        by_source: by_source
            .map(|e| Extractor::new("source", &e.source_regexp, &e.target_column))
            .transpose()?,
        rule: rule.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(schema: &str, table: &str, target_schema: &str, target_table: &str) -> RouteRule {
        RouteRule {
            schema_pattern: schema.into(),
            table_pattern: table.into(),
            target_schema: target_schema.into(),
            target_table: target_table.into(),
            ..RouteRule::default()
        }
    }

    fn to(router: &Router, schema: &str, table: &str) -> String {
        let r = router.route(schema, table).unwrap();
        format!("{}.{}", r.schema, r.table)
    }

    #[test]
    fn the_job_of_the_issue() {
        let rules = [
            rule("my_db1", "table[1-2]", "my_db", "table5"),
            rule("my_db2", "table[1-2]", "my_db", "table6"),
        ];
        let router = Router::new(&rules, false, "").unwrap();
        assert_eq!(to(&router, "my_db1", "table1"), "my_db.table5");
        assert_eq!(to(&router, "MY_DB2", "TABLE2"), "my_db.table6");
        assert_eq!(to(&router, "my_db2", "table3"), "my_db2.table3");
        assert!(!router.route("my_db2", "table3").unwrap().matched);
        assert_eq!(to(&router, "my_db1", ""), "my_db1.");
        assert_eq!(router.target_schemas(), ["my_db"]);
    }

    #[test]
    fn table_level_beats_schema_level_and_names_are_kept() {
        let rules =
            [rule("s*", "", "all", ""), rule("s*", "t1", "one", ""), rule("~^x[0-9]$", "~^a", "re", "b")];
        let router = Router::new(&rules, false, "").unwrap();
        assert_eq!(to(&router, "s1", "t1"), "one.t1");
        assert_eq!(to(&router, "s1", "t2"), "all.t2");
        assert_eq!(to(&router, "s1", ""), "all.");
        assert_eq!(to(&router, "x1", "abc"), "re.b");
        assert_eq!(to(&router, "x12", "abc"), "x12.abc");
    }

    #[test]
    fn two_matches_of_one_rank_are_an_error_that_names_both() {
        let rules = [rule("s*", "t*", "a", "x"), rule("s1", "t?", "b", "y")];
        let router = Router::new(&rules, false, "").unwrap();
        let text = router.route("s1", "t1").unwrap_err().to_string();
        assert!(text.starts_with("table `s1`.`t1` matches more than one rule"), "{text}");
        assert!(text.contains("'s1'.'t?'"));
        assert_eq!(to(&router, "s2", "t1"), "a.x");
    }

    #[test]
    fn extractors_join_groups_and_keep_their_order() {
        let yaml = r#"
schema-pattern: shard_*
table-pattern: t_*
target-schema: all
target-table: t
extract-table: {table-regexp: 't_(.*)_(.*)', target-column: c_table}
extract-schema: {schema-regexp: 'shard_(.*)', target-column: c_schema}
extract-source: {source-regexp: '(nomatch)', target-column: c_source}
"#;
        let rule: RouteRule = serde_yaml::from_str(yaml).unwrap();
        let router = Router::new(&[rule], false, "src-1").unwrap();
        let routed = router.route("shard_7", "t_a_b").unwrap();
        let pairs: Vec<_> = routed.extracted.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(pairs, [("c_table", "ab"), ("c_schema", "7"), ("c_source", "")]);
    }

    #[test]
    fn incomplete_rules_are_refused() {
        let error = |r: RouteRule| Router::new(&[r], false, "").unwrap_err().to_string();
        assert_eq!(error(rule("", "", "a", "")), "schema pattern of table route rule should not be empty");
        assert_eq!(error(rule("a", "", "", "")), "target schema of table route rule should not be empty");
        let mut r = rule("a", "b", "c", "d");
        r.extract_table = Some(TableExtractor { table_regexp: "(".into(), target_column: "x".into() });
        assert!(error(r.clone()).starts_with("table extractor table regexp illegal "));
        r.extract_table = Some(TableExtractor::default());
        assert_eq!(error(r), "table extractor target column cannot be empty");
        let twice = [rule("a", "b", "c", ""), rule("a", "b", "d", "")];
        assert!(matches!(Router::new(&twice, false, ""), Err(RouteError::Duplicate { .. })));
    }
}
