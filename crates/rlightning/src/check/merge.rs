//! The CREATE TABLE of a merged table, from its shards and from what was found in the rows.

use sql::ddl::{IndexKind, TypeKind};
use sql::schema::{Column, Table};

/// What the rows say of a unique key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// No value stands twice.
    Unique,
    /// Values repeat.
    Repeats,
    /// Nothing is known: a key with an expression, or only a sample was read.
    Unknown,
}

/// One unique key of the shards with what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFinding {
    /// Its columns in lower case, in order.
    pub columns: Vec<String>,
    /// What was found.
    pub finding: Finding,
}

/// The table, why it is so, and what stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The structure; its name is the target's.
    pub table: Table,
    /// A sentence for each decision.
    pub reasons: Vec<String>,
    /// A sentence for each thing that makes the merge impossible or lossy.
    pub problems: Vec<String>,
}

/// Puts the structures of all shards of a target table together. `shards` are names for people with their structures, and not empty.
///
/// `highest` is the highest value found of the AUTO_INCREMENT column.
pub fn merge(
    target: &str,
    shards: &[(String, Table)],
    findings: &[KeyFinding],
    highest: Option<u64>,
) -> Option<Merged> {
    let (first_name, first) = shards.first()?;
    let mut merged = Merged { table: first.clone(), reasons: Vec::new(), problems: Vec::new() };
    merged.table.name = target.to_owned();
    // They say what a column is, and are not needed to keep its values.
    let names: Vec<String> = first.columns.iter().map(|column| column.name.clone()).collect();
    merged.table.checks.retain(|check| !names.iter().any(|name| check.tests_json(name)));
    for (name, shard) in &shards[1..] {
        columns(&mut merged, (first_name, first), name, shard);
    }
    keys(&mut merged, shards, findings);
    auto_increment(&mut merged, shards.len() > 1, highest);
    if !merged.table.foreign_keys.is_empty() {
        merged.table.foreign_keys.clear();
        merged
            .reasons
            .push("foreign keys are left out: a row may come before the one that it refers to; add them after the import (rsync-dm needs those with CASCADE, SET NULL or SET DEFAULT)".into());
    }
    let is_key = |index: &sql::schema::Index| {
        index.unique
            && index.columns().count() == index.parts.len()
            && index
                .columns()
                .all(|name| merged.table.column(name).is_some_and(|(_, column)| !column.nullable))
    };
    if !merged.table.indexes.iter().any(is_key) {
        merged.reasons.push(
            "no unique key without NULL is left: rsync-dm has to find rows by all their columns, which is slow".into(),
        );
    }
    Some(merged)
}

fn columns(merged: &mut Merged, (first_name, first): (&str, &Table), name: &str, shard: &Table) {
    for column in &mut merged.table.columns {
        let Some((_, other)) = shard.column(&column.name) else {
            if !column.nullable && column.default.is_none() && column.generated.is_none() {
                merged.problems.push(format!(
                    "{name} has no column `{}`, which is NOT NULL without a default in {first_name}: its rows cannot be inserted",
                    column.name
                ));
            } else {
                merged.reasons.push(format!(
                    "`{}` gets its default for the rows of {name}, which lacks it",
                    column.name
                ));
            }
            continue;
        };
        let differ = (column.kind == TypeKind::Json) != (other.kind == TypeKind::Json);
        if !(differ && first.is_json(column) && shard.is_json(other)) {
            widen(column, other, name, &mut merged.problems);
            continue;
        }
        let nullable = column.nullable || other.nullable;
        if column.kind != TypeKind::Json {
            *column = Column { id: column.id, name: column.name.clone(), ..other.clone() };
        }
        column.nullable = nullable;
        merged.reasons.push(format!("`{}` is JSON, as which MariaDB has texts that are tested", column.name));
    }
    for other in &shard.columns {
        if merged.table.column(&other.name).is_none() {
            let mut column = other.clone();
            if !column.nullable && column.default.is_none() && column.generated.is_none() {
                column.nullable = true;
            }
            merged.reasons.push(format!("`{}` comes from {name}; {first_name} lacks it", column.name));
            merged.table.columns.push(column);
        }
    }
}

/// Makes a column hold the values of both.
fn widen(column: &mut Column, other: &Column, name: &str, problems: &mut Vec<String>) {
    if other.nullable {
        column.nullable = true;
    }
    let (mine, theirs) = (rank(&column.kind), rank(&other.kind));
    match (mine, theirs) {
        (Some((family, size)), Some((other_family, other_size))) if family == other_family => {
            if other_size > size {
                column.kind = other.kind.clone();
                column.length = other.length;
            } else if other_size == size {
                column.length = column.length.max(other.length);
                column.decimals = column.decimals.max(other.decimals);
            }
        }
        _ if column.kind == other.kind => {
            column.length = column.length.max(other.length);
            column.decimals = column.decimals.max(other.decimals);
            for member in &other.members {
                if !column.members.contains(member) {
                    column.members.push(member.clone());
                }
            }
        }
        _ => problems.push(format!(
            "`{}` is {:?} in {name} and {:?} in other shards: give the target a type that holds both",
            column.name, other.kind, column.kind
        )),
    }
    if column.unsigned != other.unsigned {
        problems.push(format!("`{}` is unsigned in some shards and signed in {name} or others", column.name));
    }
    if column.charset != other.charset {
        problems.push(format!(
            "`{}` has the character set {} in {name} and {} in other shards",
            column.name,
            other.charset.as_deref().unwrap_or("none"),
            column.charset.as_deref().unwrap_or("none")
        ));
    }
}

/// Types that widen into each other.
fn rank(kind: &TypeKind) -> Option<(u8, u8)> {
    use TypeKind::*;
    Some(match kind {
        TinyInt => (0, 1),
        SmallInt => (0, 2),
        MediumInt => (0, 3),
        Int => (0, 4),
        BigInt => (0, 5),
        TinyText => (1, 1),
        Text => (1, 2),
        MediumText => (1, 3),
        LongText => (1, 4),
        TinyBlob => (2, 1),
        Blob => (2, 2),
        MediumBlob => (2, 3),
        LongBlob => (2, 4),
        Float => (3, 1),
        Double => (3, 2),
        _ => return None,
    })
}

fn keys(merged: &mut Merged, shards: &[(String, Table)], findings: &[KeyFinding]) {
    for (_, shard) in &shards[1..] {
        for index in &shard.indexes {
            let known =
                merged.table.indexes.iter().any(|own| own.parts == index.parts && own.kind == index.kind);
            let name_taken = merged.table.index(&index.name).is_some();
            if !known && !name_taken {
                merged.table.indexes.push(index.clone());
            }
        }
    }
    let mut taken: Vec<String> = merged.table.indexes.iter().map(|index| index.name.to_lowercase()).collect();
    for index in &mut merged.table.indexes {
        if !index.unique {
            continue;
        }
        let columns: Vec<String> = index.columns().map(str::to_lowercase).collect();
        let in_all = shards.iter().all(|(_, shard)| {
            shard.indexes.iter().any(|other| {
                other.unique && other.columns().map(str::to_lowercase).collect::<Vec<_>>() == columns
            })
        });
        let finding = findings.iter().find(|finding| finding.columns == columns);
        let finding = finding.map_or(Finding::Unknown, |finding| finding.finding);
        let shown = columns.join(",");
        match finding {
            Finding::Unique => {
                merged.reasons.push(format!("({shown}) stays unique: no value stands twice in all shards"))
            }
            Finding::Unknown if shards.len() > 1 => merged.reasons.push(format!(
                "({shown}) stays unique, which is not proved: a value that stands twice will stop the import"
            )),
            Finding::Unknown => {}
            Finding::Repeats => {
                let what = if index.primary { "primary key" } else { "unique key" };
                let some = if in_all { "" } else { " (it is unique in some shards only)" };
                merged.reasons.push(format!(
                    "({shown}) becomes an ordinary key{some}: its values repeat, it can't be a {what}"
                ));
                if index.primary {
                    index.primary = false;
                    index.name = free_name(&columns, &taken);
                    taken.push(index.name.clone());
                    index.clustered = None;
                }
                index.unique = false;
                index.kind = IndexKind::Plain;
            }
        }
    }
}

/// As servers name an index: after its first column, with a number if that is taken.
fn free_name(columns: &[String], taken: &[String]) -> String {
    let first = columns.first().map_or("key", String::as_str);
    let candidates = std::iter::once(first.to_owned()).chain((2..).map(|number| format!("{first}_{number}")));
    candidates.into_iter().find(|name| !taken.contains(name)).unwrap_or_default()
}

fn auto_increment(merged: &mut Merged, is_merge: bool, highest: Option<u64>) {
    let table = &mut merged.table;
    let Some(position) = table.columns.iter().position(|column| column.auto_increment) else {
        table.auto_increment = None;
        return;
    };
    let name = table.columns[position].name.clone();
    let is_unique = table.indexes.iter().any(|index| {
        index.unique && index.parts.len() == 1 && index.columns().any(|own| own.eq_ignore_ascii_case(&name))
    });
    if is_merge && !is_unique {
        table.columns[position].auto_increment = false;
        table.auto_increment = None;
        merged.reasons.push(format!(
            "`{name}` is no longer AUTO_INCREMENT: its values repeat, so the target can't give new ones that mean anything"
        ));
    } else if let Some(next) = highest.and_then(|highest| highest.checked_add(1)) {
        table.auto_increment = table.auto_increment.max(Some(next));
        merged.reasons.push(format!(
            "`{name}` stays AUTO_INCREMENT and begins behind the highest value of all shards, at {}",
            table.auto_increment.unwrap_or(next)
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::SqlMode;

    fn shard(name: &str, text: &str) -> (String, Table) {
        (name.into(), Table::from_create(text.as_bytes(), SqlMode::default()).expect("a table"))
    }

    fn finding(column: &str, finding: Finding) -> KeyFinding {
        KeyFinding { columns: vec![column.into()], finding }
    }

    const MAIN: &str = "CREATE TABLE `table1` (`id` bigint NOT NULL AUTO_INCREMENT, `sid` bigint NOT NULL, `pid` bigint \
        NOT NULL, `comment` varchar(255) DEFAULT NULL, PRIMARY KEY (`id`), UNIQUE KEY `sid` (`sid`)) ENGINE=InnoDB \
        AUTO_INCREMENT=100 DEFAULT CHARSET=latin1";

    #[test]
    fn the_main_job() {
        let shards = [shard("a", MAIN), shard("b", MAIN)];
        let findings = [finding("id", Finding::Repeats), finding("sid", Finding::Unique)];
        let merged = merge("table5", &shards, &findings, Some(99)).expect("shards");
        assert!(merged.problems.is_empty(), "{:?}", merged.problems);
        let text = merged.table.to_create();
        assert!(text.starts_with("CREATE TABLE `table5`"), "{text}");
        assert!(text.contains("UNIQUE KEY `sid` (`sid`)") && text.contains("\n  KEY `id` (`id`)"), "{text}");
        assert!(!text.contains("AUTO_INCREMENT") && !text.contains("PRIMARY"), "{text}");
    }

    #[test]
    fn one_shard_keeps_its_keys() {
        let merged =
            merge("t", &[shard("a", MAIN)], &[finding("id", Finding::Unique)], Some(250)).expect("a shard");
        let text = merged.table.to_create();
        assert!(text.contains("PRIMARY KEY (`id`)") && text.contains("AUTO_INCREMENT=251"), "{text}");
    }

    /// As [`crate::schema::source_tables`] has it.
    fn with_checks(text: &str) -> (String, Table) {
        let (name, mut table) = shard("shard", text);
        table.checks.extend(sql::schema::json_checks(text.as_bytes()));
        (name, table)
    }

    #[test]
    fn json_of_mysql_and_mariadb() {
        let maria = "CREATE TABLE t (id int NOT NULL PRIMARY KEY, j longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL \
            CHECK (json_valid(`j`)), k longtext CHECK (json_valid(`j`))) DEFAULT CHARSET=latin1";
        let mysql = "CREATE TABLE t (id int NOT NULL PRIMARY KEY, j json DEFAULT NULL, k json) DEFAULT CHARSET=latin1";
        for texts in [[maria, mysql, maria], [mysql, maria, mysql]] {
            let shards = texts.map(with_checks);
            let merged = merge("t", &shards, &[], None).expect("shards");
            let text = merged.table.to_create();
            assert!(text.contains("`j` json") && !text.contains("json_valid"), "{text}");
            // A text without a CHECK of its own is none.
            assert!(merged.problems.iter().all(|problem| problem.contains("`k`")), "{:?}", merged.problems);
            assert!(!merged.problems.is_empty());
        }
        let merged = merge("t", &[with_checks(maria), with_checks(maria)], &[], None).expect("shards");
        assert!(merged.problems.is_empty() && merged.table.to_create().contains("`j` longtext"));
    }

    #[test]
    fn shards_that_differ() {
        let shards = [
            shard(
                "a",
                "CREATE TABLE t (id int NOT NULL PRIMARY KEY, c varchar(10) NOT NULL, old int NOT NULL)",
            ),
            shard("b", "CREATE TABLE t (id bigint NOT NULL PRIMARY KEY, c varchar(20), new int NOT NULL)"),
        ];
        let merged = merge("t", &shards, &[], None).expect("shards");
        let text = merged.table.to_create();
        assert!(text.contains("`id` bigint") && text.contains("`c` varchar(20)"), "{text}");
        assert!(text.contains("`new` int"), "{text}");
        assert_eq!(merged.problems.len(), 1, "{:?}", merged.problems);
        assert!(merged.problems[0].contains("`old`"), "{:?}", merged.problems);
        assert!(merged.reasons.iter().any(|reason| reason.contains("not proved")), "{:?}", merged.reasons);
    }
}
