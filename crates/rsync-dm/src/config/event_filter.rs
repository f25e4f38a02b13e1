//! `filters`: which kinds of binlog events and statements are skipped (facts/dm.md 1.8).

use common::pattern::Pattern;
use regex::{Regex, RegexBuilder};

use super::yaml::FilterYaml;

/// The names of single events, and whether each is a DML, a DDL, or one of the incompatible DDLs.
const EVENTS: &[(&str, Kind)] = &[
    ("insert", Kind::Dml),
    ("update", Kind::Dml),
    ("delete", Kind::Dml),
    ("create database", Kind::Ddl),
    ("drop database", Kind::Incompatible),
    ("alter database", Kind::Ddl),
    ("create table", Kind::Ddl),
    ("drop table", Kind::Incompatible),
    ("truncate table", Kind::Incompatible),
    ("rename table", Kind::Incompatible),
    ("create index", Kind::Ddl),
    ("drop index", Kind::Incompatible),
    ("create view", Kind::Ddl),
    ("drop view", Kind::Ddl),
    ("alter table", Kind::Ddl),
    ("add table partition", Kind::Ddl),
    ("drop table partition", Kind::Incompatible),
    ("truncate table partition", Kind::Incompatible),
    ("value range decrease", Kind::Incompatible),
    ("precision decrease", Kind::Incompatible),
    ("modify column", Kind::Incompatible),
    ("rename column", Kind::Incompatible),
    ("rename index", Kind::Incompatible),
    ("drop column", Kind::Incompatible),
    ("drop primary key", Kind::Incompatible),
    ("drop unique key", Kind::Incompatible),
    ("modify default value", Kind::Incompatible),
    ("modify constraint", Kind::Incompatible),
    ("modify columns order", Kind::Incompatible),
    ("modify charset", Kind::Incompatible),
    ("modify collation", Kind::Incompatible),
    ("remove auto increment", Kind::Incompatible),
    ("modify storage engine", Kind::Incompatible),
    ("reorganize table partition", Kind::Incompatible),
    ("rebuild table partition", Kind::Incompatible),
    ("coalesce table partition", Kind::Incompatible),
    ("split table partition", Kind::Incompatible),
    ("exchange table partition", Kind::Incompatible),
    ("modify schema charset and collate", Kind::Incompatible),
    ("modify table charset and collate", Kind::Incompatible),
    ("modify table comment", Kind::Incompatible),
    ("recover table", Kind::Incompatible),
    ("alter table partitioning", Kind::Incompatible),
    ("remove table partitioning", Kind::Incompatible),
    ("add column", Kind::Incompatible),
    ("set default value", Kind::Incompatible),
    ("rebase auto id", Kind::Incompatible),
    ("add primary key", Kind::Incompatible),
    ("alter index visibility", Kind::Incompatible),
    ("alter ttl info", Kind::Incompatible),
    ("alter ttl remove", Kind::Incompatible),
    ("multi schema change", Kind::Incompatible),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dml,
    Ddl,
    Incompatible,
}

/// What to do with an event or a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Replicate it.
    Do,
    /// Drop it.
    Skip,
    /// Pause the task: the rule's action is `Error`.
    Refuse,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Do,
    Ignore,
    Error,
}

/// Why a rule can't be used (DM's code 20037).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum FilterError {
    #[error("`{0}` is no event name")]
    UnknownEvent(String),
    #[error("`{0}` is no action: write Do, Ignore or Error")]
    UnknownAction(String),
    #[error("the rule has neither `events` nor `sql-pattern`")]
    Empty,
    #[error("the rule has no `schema-pattern`")]
    NoSchemaPattern,
    #[error("sql-pattern: {0}")]
    SqlPattern(#[source] Box<regex::Error>),
    #[error(transparent)]
    Pattern(#[from] common::pattern::PatternError),
}

#[derive(Debug, Clone)]
struct Rule {
    schema: Pattern,
    /// `None`: a rule of the schema, which holds for each of its tables.
    table: Option<Pattern>,
    /// Names listed; groups are resolved.
    events: Vec<&'static str>,
    sql: Option<Regex>,
    action: Action,
}

/// The compiled rules of one source in one task.
#[derive(Debug, Clone, Default)]
pub struct EventFilters {
    rules: Vec<Rule>,
}

impl EventFilters {
    /// Compiles rules; their order is the order of evaluation.
    ///
    /// # Errors
    /// The first rule that is not valid.
    pub fn new<'a>(
        rules: impl IntoIterator<Item = &'a FilterYaml>,
        case_sensitive: bool,
    ) -> Result<Self, FilterError> {
        let rules = rules.into_iter().map(|rule| compile(rule, case_sensitive)).collect::<Result<_, _>>()?;
        Ok(Self { rules })
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Decides about an event on a table. `event` is one of the names of task.yaml (`insert`, `drop table`,
    /// `add column`); `sql` is the statement of a DDL, and empty for rows. For a statement that can't be parsed
    /// `schema`, `table` and `event` are empty: only rules for schema `*` with a matching `sql-pattern` count.
    pub fn decide(&self, schema: &str, table: &str, event: &str, sql: &str) -> Decision {
        for rule in &self.rules {
            let table_fits = rule.table.as_ref().is_none_or(|p| !table.is_empty() && p.is_match(table));
            let schema_fits = rule.schema.is_match(schema);
            if !schema_fits || !table_fits {
                continue;
            }
            if !event.is_empty() && !rule.events.is_empty() {
                let listed = rule.events.contains(&event);
                if let Some(decision) = verdict(rule.action, listed) {
                    return decision;
                }
            }
            if let (Some(pattern), false) = (&rule.sql, sql.is_empty())
                && let Some(decision) = verdict(rule.action, pattern.is_match(sql))
            {
                return decision;
            }
        }
        Decision::Do
    }
}

/// A rule that stays silent (`None`) leaves the decision to the next.
fn verdict(action: Action, hit: bool) -> Option<Decision> {
    match (action, hit) {
        (Action::Ignore, true) => Some(Decision::Skip),
        (Action::Error, true) => Some(Decision::Refuse),
        (Action::Do, false) => Some(Decision::Skip),
        _ => None,
    }
}

fn compile(rule: &FilterYaml, case_sensitive: bool) -> Result<Rule, FilterError> {
    if rule.schema_pattern.is_empty() {
        return Err(FilterError::NoSchemaPattern);
    }
    if rule.events.is_empty() && rule.sql_pattern.is_empty() {
        return Err(FilterError::Empty);
    }
    let action = match rule.action.to_ascii_lowercase().as_str() {
        "do" => Action::Do,
        "ignore" => Action::Ignore,
        "error" => Action::Error,
        _ => return Err(FilterError::UnknownAction(rule.action.clone())),
    };
    let mut events: Vec<&'static str> = Vec::new();
    for name in &rule.events {
        expand(&name.0, &mut events)?;
    }
    let sql = if rule.sql_pattern.is_empty() {
        None
    } else {
        let joined = rule.sql_pattern.iter().map(|p| p.0.as_str()).collect::<Vec<_>>().join("|");
        let regex = RegexBuilder::new(&joined)
            .case_insensitive(true)
            .build()
            .map_err(|e| FilterError::SqlPattern(Box::new(e)))?;
        Some(regex)
    };
    let table = (!rule.table_pattern.is_empty())
        .then(|| Pattern::parse(&rule.table_pattern, case_sensitive))
        .transpose()?;
    Ok(Rule { schema: Pattern::parse(&rule.schema_pattern, case_sensitive)?, table, events, sql, action })
}

/// Adds an event or the members of a group; a `none …` group takes members away again.
fn expand(name: &str, events: &mut Vec<&'static str>) -> Result<(), FilterError> {
    let lower = name.trim().to_ascii_lowercase().replace("schema", "database");
    // Two members have "schema" in their own names.
    let lower = lower
        .replace("modify database charset", "modify schema charset")
        .replace("multi database change", "multi schema change");
    let group = |kinds: &[Kind]| -> Vec<&'static str> {
        EVENTS.iter().filter(|(_, k)| kinds.contains(k)).map(|(n, _)| *n).collect()
    };
    let (members, add) = match lower.as_str() {
        "all" => (group(&[Kind::Dml, Kind::Ddl, Kind::Incompatible]), true),
        "all dml" => (group(&[Kind::Dml]), true),
        "all ddl" => (group(&[Kind::Ddl, Kind::Incompatible]), true),
        "incompatible ddl changes" => (group(&[Kind::Incompatible]), true),
        "none" => (group(&[Kind::Dml, Kind::Ddl, Kind::Incompatible]), false),
        "none dml" => (group(&[Kind::Dml]), false),
        "none ddl" => (group(&[Kind::Ddl, Kind::Incompatible]), false),
        single => match EVENTS.iter().find(|(n, _)| *n == single) {
            Some((n, _)) => (vec![*n], true),
            None => return Err(FilterError::UnknownEvent(name.into())),
        },
    };
    if add {
        events.extend(members);
    } else {
        events.retain(|e| !members.contains(e));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filters(yaml: &str) -> EventFilters {
        let rules: Vec<FilterYaml> = serde_yaml::from_str(yaml).unwrap();
        EventFilters::new(&rules, false).unwrap()
    }

    #[test]
    fn ignore_and_do_by_event() {
        let f = filters(
            "- {schema-pattern: 'a*', table-pattern: 't*', events: [delete, 'Drop Table'], action: Ignore}",
        );
        assert_eq!(f.decide("abc", "t1", "delete", ""), Decision::Skip);
        assert_eq!(f.decide("abc", "t1", "drop table", "drop table t1"), Decision::Skip);
        assert_eq!(f.decide("abc", "t1", "insert", ""), Decision::Do);
        assert_eq!(f.decide("b", "t1", "delete", ""), Decision::Do);
        let f = filters("- {schema-pattern: a, events: [all dml], action: Do}");
        assert_eq!(f.decide("a", "x", "insert", ""), Decision::Do);
        assert_eq!(f.decide("a", "x", "alter table", "alter table x add c int"), Decision::Skip);
        let f = filters("- {schema-pattern: a, events: [truncate table], action: Error}");
        assert_eq!(f.decide("a", "x", "truncate table", "truncate x"), Decision::Refuse);
    }

    #[test]
    fn by_statement_text() {
        let f = filters("- {schema-pattern: '*', sql-pattern: ['^alter table .* geometry'], action: Ignore}");
        assert_eq!(f.decide("", "", "", "ALTER TABLE x ADD g GEOMETRY"), Decision::Skip);
        assert_eq!(f.decide("a", "x", "alter table", "alter table x add c int"), Decision::Do);
    }

    #[test]
    fn bad_rules_say_what_is_wrong() {
        let error = |yaml: &str| {
            let rules: Vec<FilterYaml> = serde_yaml::from_str(yaml).unwrap();
            EventFilters::new(&rules, false).unwrap_err().to_string()
        };
        assert!(error("- {schema-pattern: a, events: [explode], action: Do}").contains("explode"));
        assert!(error("- {schema-pattern: a, events: [insert], action: Maybe}").contains("Maybe"));
        assert!(error("- {schema-pattern: a, action: Do}").contains("neither"));
        assert!(error("- {events: [insert], action: Do}").contains("schema-pattern"));
        assert!(error("- {schema-pattern: a, sql-pattern: ['('], action: Do}").contains("sql-pattern"));
    }
}
