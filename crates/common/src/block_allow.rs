//! DM's block-allow-list. Facts: dm.md 1.7.

use serde::{Deserialize, Serialize};

use crate::pattern::{Pattern, PatternError};

/// Schemas that never take part, whatever the list says.
pub const SYSTEM_SCHEMAS: [&str; 7] = [
    "mysql",
    "sys",
    "information_schema",
    "performance_schema",
    "metrics_schema",
    "inspection_schema",
    "dm_heartbeat",
];

/// Whether a schema belongs to the server (or to DM's heartbeat) and is never replicated.
pub fn is_system_schema(schema: &str) -> bool {
    SYSTEM_SCHEMAS.iter().any(|s| s.eq_ignore_ascii_case(schema))
}

/// A list as written in task.yaml.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct BlockAllowRules {
    /// Schemas to keep; empty keeps all that `ignore-dbs` does not name.
    #[serde(deserialize_with = "null_is_empty")]
    pub do_dbs: Vec<String>,
    /// Tables to keep.
    #[serde(deserialize_with = "null_is_empty")]
    pub do_tables: Vec<TableRule>,
    /// Schemas to drop; looked at only if `do-dbs` is empty.
    #[serde(deserialize_with = "null_is_empty")]
    pub ignore_dbs: Vec<String>,
    /// Tables to drop unless `do-tables` keeps them.
    #[serde(deserialize_with = "null_is_empty")]
    pub ignore_tables: Vec<TableRule>,
}

/// A table in `do-tables` or `ignore-tables`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct TableRule {
    /// Pattern for the schema.
    pub db_name: String,
    /// Pattern for the table.
    pub tbl_name: String,
}

// `do-dbs:` with nothing after it is null in YAML and an empty list in Go.
fn null_is_empty<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A compiled list: decides which schemas and tables are replicated.
#[derive(Debug, Clone)]
pub struct BlockAllowList {
    do_schemas: Vec<Pattern>,
    do_tables: Vec<(Pattern, Pattern)>,
    ignore_schemas: Vec<Pattern>,
    ignore_tables: Vec<(Pattern, Pattern)>,
}

impl BlockAllowList {
    /// Compiles a list.
    ///
    /// # Errors
    /// The first bad pattern (DM's code 20044).
    pub fn new(rules: &BlockAllowRules, case_sensitive: bool) -> Result<Self, PatternError> {
        let schemas = |names: &[String]| -> Result<Vec<_>, PatternError> {
            names.iter().map(|n| Pattern::parse(n, case_sensitive)).collect()
        };
        let tables = |rules: &[TableRule]| -> Result<Vec<_>, PatternError> {
            rules
                .iter()
                .map(|r| {
                    Ok((
                        Pattern::parse(&r.db_name, case_sensitive)?,
                        Pattern::parse(&r.tbl_name, case_sensitive)?,
                    ))
                })
                .collect()
        };
        Ok(Self {
            do_schemas: schemas(&rules.do_dbs)?,
            do_tables: tables(&rules.do_tables)?,
            ignore_schemas: schemas(&rules.ignore_dbs)?,
            ignore_tables: tables(&rules.ignore_tables)?,
        })
    }

    /// A list that keeps everything but the system schemas.
    pub fn all() -> Self {
        Self {
            do_schemas: Vec::new(),
            do_tables: Vec::new(),
            ignore_schemas: Vec::new(),
            ignore_tables: Vec::new(),
        }
    }

    /// Whether statements about the schema itself are kept.
    pub fn matches_schema(&self, schema: &str) -> bool {
        if is_system_schema(schema) {
            return false;
        }
        if self.do_schemas.is_empty() {
            !self.ignore_schemas.iter().any(|p| p.is_match(schema))
        } else {
            self.do_schemas.iter().any(|p| p.is_match(schema))
        }
    }

    /// Whether a table is kept. An empty table name asks about the schema.
    pub fn matches_table(&self, schema: &str, table: &str) -> bool {
        if !self.matches_schema(schema) {
            return false;
        }
        if table.is_empty() {
            return true;
        }
        let any =
            |rules: &[(Pattern, Pattern)]| rules.iter().any(|(s, t)| s.is_match(schema) && t.is_match(table));
        if any(&self.do_tables) {
            return true;
        }
        !any(&self.ignore_tables) && self.do_tables.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(yaml: &str) -> BlockAllowList {
        BlockAllowList::new(&serde_yaml::from_str(yaml).unwrap(), false).unwrap()
    }

    #[test]
    fn empty_keeps_all_but_system_schemas() {
        let l = list("{}");
        assert!(l.matches_table("a", "b"));
        for system in SYSTEM_SCHEMAS {
            assert!(!l.matches_table(&system.to_uppercase(), "t"));
        }
        assert!(list("do-dbs:\nignore-dbs: ~\n").matches_schema("x"));
    }

    #[test]
    fn schema_rules_come_first() {
        let l = list("{do-dbs: ['~^d[0-9]$'], ignore-dbs: [d1], do-tables: [{db-name: x, tbl-name: t}]}");
        assert!(l.matches_schema("d1"), "ignore-dbs is not looked at");
        assert!(!l.matches_table("x", "t"), "x is no do-db");
        let l = list("{ignore-dbs: ['b*']}");
        assert!(!l.matches_table("bob", "t") && l.matches_table("a", "t"));
    }

    #[test]
    fn table_rules() {
        let l = list(
            "{do-tables: [{db-name: d, tbl-name: 't[12]'}], ignore-tables: [{db-name: d, tbl-name: t1}]}",
        );
        assert!(l.matches_table("d", "t1"), "do-tables wins");
        assert!(l.matches_table("d", "T2"));
        assert!(!l.matches_table("d", "t3"));
        assert!(l.matches_schema("d") && l.matches_table("e", ""));
        let l = list("{ignore-tables: [{db-name: '*', tbl-name: '~_tmp$'}]}");
        assert!(!l.matches_table("q", "a_tmp") && l.matches_table("q", "a"));
    }

    #[test]
    fn bad_patterns_are_errors() {
        let rules: BlockAllowRules = serde_yaml::from_str("{do-dbs: ['a*b']}").unwrap();
        assert!(BlockAllowList::new(&rules, false).is_err());
    }
}
