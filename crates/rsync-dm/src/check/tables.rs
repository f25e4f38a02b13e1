//! Whether the tables of sources and target fit each other.

use std::collections::BTreeMap;

use common::{
    error::DmError,
    ident::{TableName, quote, quote_string},
};
use mysql::Conn;
use sql::{
    lexer::SqlMode,
    schema::{Column, Index, Table, json_checks},
};

use super::{
    failed,
    report::{Check, Severity},
};
use crate::config::{ShardMode, SubtaskConfig, TaskConfig};
use crate::syncer::{VERSIONED_BY_TRANSACTION, cascades_are_logged, is_versioned_by_transaction};
use crate::upstream::{self, ReplicatedTable};

/// An upstream table that the task replicates.
pub(super) struct SourceTable {
    pub source_id: String,
    pub name: TableName,
    pub target: TableName,
    /// `None` if its definition cannot be seen or read.
    pub table: Option<Table>,
    /// What its foreign keys do is in the source's binlog.
    pub cascades_logged: bool,
}

/// The tables of a source that the task's filter keeps, as far as the account sees them.
pub(super) async fn of_source(subtask: &SubtaskConfig, conn: &mut Conn) -> Result<Vec<SourceTable>, DmError> {
    let mut out = Vec::new();
    let cascades_logged = cascades_are_logged(conn).await.map_err(|e| failed(&e))?;
    for ReplicatedTable { name, target } in upstream::tables(conn, subtask).await? {
        let table = definition(conn, &name).await?;
        out.push(SourceTable { source_id: subtask.source_id.clone(), target, name, table, cascades_logged });
    }
    Ok(out)
}

/// A table's definition; `None` if there is no such table, or no right to see it.
pub(crate) async fn definition(conn: &mut Conn, name: &TableName) -> Result<Option<Table>, DmError> {
    let sql = format!("SHOW CREATE TABLE {}.{}", quote(&name.schema), quote(&name.table));
    match conn.query_one(sql).await {
        Ok(row) => {
            let text = row.as_ref().and_then(|r| r.at(1)).unwrap_or_default();
            Ok(read(text))
        }
        Err(e) if matches!(e.code(), Some(1049 | 1146 | 1142 | 1044)) => Ok(None),
        Err(e) => Err(failed(&e)),
    }
}

/// A structure, with what tells MariaDB's JSON from text.
fn read(create: &[u8]) -> Option<Table> {
    let mut table = Table::from_create(create, SqlMode::default()).ok()?;
    table.checks.extend(json_checks(create));
    Some(table)
}

/// The checks of structures. `goes_on`: there is a checkpoint, so shards may be on different sides of a DDL.
pub(super) async fn checks(
    task: &TaskConfig,
    goes_on: bool,
    tables: &[SourceTable],
    target: &mut Conn,
) -> Result<Vec<Check>, DmError> {
    let mut groups: BTreeMap<(&str, &str), Vec<&SourceTable>> = BTreeMap::new();
    for table in tables {
        groups.entry((table.target.schema.as_str(), table.target.table.as_str())).or_default().push(table);
    }
    let mut structure =
        Check::new("table structure compatibility check", "check compatibility of table structure", "");
    let mut shards = Check::new(
        "sharding table consistency check",
        "check consistency of sharding table structures",
        "Give the tables that are merged the same structure.",
    );
    let mut auto = Check::new(
        "auto-increment key check",
        "check whether tables that are merged have auto-increment keys that repeat",
        "Make the column an ordinary key of the target table, or let each shard generate other numbers.",
    );
    if tables.is_empty() {
        structure.warn("no table of the sources matches block-allow-list, or the accounts may not see them");
    }
    for member in
        tables.iter().filter(|member| member.table.as_ref().is_some_and(is_versioned_by_transaction))
    {
        structure.fail(format!(
            "table {} is versioned by transaction ids, so MariaDB logs its changes as statements and not as rows",
            member.name
        ));
        structure.instruct(VERSIONED_BY_TRANSACTION);
    }
    for ((schema, name), members) in &groups {
        let name = TableName::new(*schema, *name);
        let merged = definition(target, &name).await?;
        let Some(merged) = merged else {
            structure.warn(format!("target table {name} does not exist"));
            structure.instruct(
                "Create the missing tables in the target, or replication pauses at their first change.",
            );
            continue;
        };
        engine(target, &name, &merged, &mut structure).await?;
        for member in members {
            if let Some(table) = &member.table {
                if !member.cascades_logged {
                    actions(member, table, &merged, tables, &mut structure);
                }
                compare(member, table, &merged, &mut structure);
            }
        }
        if members.len() > 1 {
            let fatal = task.shard_mode() == ShardMode::Pessimistic && !goes_on;
            let severity = if fatal { Severity::Fail } else { Severity::Warn };
            same_structure(severity, &name, members, &mut shards);
            repeating_keys(&name, members, &merged, &mut auto);
        }
    }
    let all = [("table_schema", structure), ("schema_of_shard_tables", shards), ("auto_increment_ID", auto)];
    Ok(all.into_iter().filter(|(item, _)| !task.ignores_check(item)).map(|(_, check)| check).collect())
}

/// Names the foreign keys that act and that the target lacks: InnoDB writes nothing of what they do to the binlog.
fn actions(member: &SourceTable, up: &Table, down: &Table, tables: &[SourceTable], check: &mut Check) {
    let same = |a: &[String], b: &[String]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
    };
    for key in up.foreign_keys.iter().filter(|key| key.has_actions()) {
        let schema = key.parent.schema.as_deref().unwrap_or(&member.name.schema);
        let parent = TableName::new(schema, key.parent.table.as_str());
        let replicated =
            tables.iter().find(|other| other.source_id == member.source_id && other.name == parent);
        let Some(replicated) = replicated else {
            check.warn(format!(
                "table {} has a foreign key {} to {parent}, which is not replicated: what it does is not in the binlog and will be missing",
                member.name, key.actions
            ));
            check.instruct("Replicate the parent of the foreign key too.");
            continue;
        };
        let there = down.foreign_keys.iter().any(|other| {
            let schema = other.parent.schema.as_deref().unwrap_or(&member.target.schema);
            TableName::new(schema, other.parent.table.as_str()) == replicated.target
                && same(&other.columns, &key.columns)
                && same(&other.parent_columns, &key.parent_columns)
                && ["DELETE", "UPDATE"]
                    .iter()
                    .all(|event| acting(other.action(event)) == acting(key.action(event)))
        });
        if !there {
            check.warn(format!(
                "table {} has a foreign key {} to {parent}, what it does is not in the binlog, and the target table {} lacks it: a change of the \
                 parent will stop the task",
                member.name, key.actions, member.target
            ));
            check.instruct("Give the target tables the foreign keys of the source that have actions.");
        }
    }
}

fn acting(rule: Option<&'static str>) -> Option<&'static str> {
    rule.filter(|rule| !matches!(*rule, "RESTRICT" | "NO ACTION"))
}

/// Rows that were written stay written: an engine without transactions cannot take back half a batch.
async fn engine(
    target: &mut Conn,
    name: &TableName,
    table: &Table,
    check: &mut Check,
) -> Result<(), DmError> {
    let Some(engine) = &table.engine else { return Ok(()) };
    let sql = format!(
        "SELECT TRANSACTIONS FROM information_schema.ENGINES WHERE ENGINE = {}",
        quote_string(engine)
    );
    let row = target.query_one(sql).await.map_err(|e| failed(&e))?;
    let transactions = row.and_then(|r| r.str(0).ok().flatten()).unwrap_or_else(|| "YES".into());
    if !transactions.eq_ignore_ascii_case("YES") && !engine.eq_ignore_ascii_case("BLACKHOLE") {
        check.fail(format!("target table {name} has engine {engine}, which has no transactions"));
        check.instruct(format!(
            "ALTER TABLE {}.{} ENGINE = InnoDB;",
            quote(&name.schema),
            quote(&name.table)
        ));
    }
    Ok(())
}

/// Primary keys and unique keys without NULL: what tells rows apart.
fn keys(table: &Table) -> impl Iterator<Item = (&Index, Vec<String>)> {
    table.indexes.iter().filter_map(|index| {
        let columns: Vec<String> = index.columns().map(str::to_lowercase).collect();
        let whole = columns.len() == index.parts.len();
        let not_null = columns.iter().all(|c| table.column(c).is_some_and(|(_, column)| !column.nullable));
        let is_key = index.primary || (index.unique && not_null);
        (is_key && whole).then_some((index, columns))
    })
}

fn compare(member: &SourceTable, up: &Table, down: &Table, check: &mut Check) {
    let name = &member.name;
    let same = |a: &[String], b: &[String]| a.len() == b.len() && a.iter().all(|column| b.contains(column));
    let advice = "Ensure that you use the same index columns for both upstream and downstream databases. Otherwise the migration job might fail or data inconsistency might occur.";
    for (a, b, words) in [
        (up, down, "upstream has more PK or NOT NULL UK than downstream"),
        (down, up, "downstream has more PK or NOT NULL UK than upstream"),
    ] {
        for (index, columns) in keys(a) {
            if !keys(b).any(|(_, other)| same(&columns, &other)) {
                check.warn(format!(
                    "table {name} {words}, index name: {}, columns: [{}]",
                    index_name(index),
                    index.columns().collect::<Vec<_>>().join(" ")
                ));
                check.instruct(advice);
            }
        }
    }
    if keys(up).next().is_none() && keys(down).next().is_none() {
        check.warn(format!("table {name} primary/unique key does not exist"));
        check.instruct("Give the tables a primary key: without one rows are found by all their values.");
    }
    let missing: Vec<&str> = up
        .columns
        .iter()
        .filter(|c| c.generated.is_none() && down.column(&c.name).is_none())
        .map(|c| c.name.as_str())
        .collect();
    if !missing.is_empty() {
        check.warn(format!(
            "table {name} upstream has more columns than downstream, columns: [{}]",
            missing.join(" ")
        ));
        check.instruct("Add the missing columns to the target table, unless replication itself will.");
    }
    let needed: Vec<&str> = down
        .columns
        .iter()
        .filter(|c| up.column(&c.name).is_none() && needs_value(c))
        .map(|c| c.name.as_str())
        .collect();
    if !needed.is_empty() {
        check.warn(format!(
            "table {name} downstream has more columns than upstream that require values to insert records, columns: [{}]",
            needed.join(" ")
        ));
        check.instruct("Give the additional columns of the target default values.");
    }
    for column in &up.columns {
        let Some((_, other)) = down.column(&column.name) else { continue };
        if let Some(problem) = narrower(column, other) {
            check.warn(format!("table {name} column {}: {problem}", column.name));
            check.instruct("Give the columns of the target types that hold every value.");
        }
    }
}

fn index_name(index: &Index) -> &str {
    if index.primary { "PRIMARY" } else { &index.name }
}

fn needs_value(column: &Column) -> bool {
    !column.nullable && column.default.is_none() && !column.auto_increment && column.generated.is_none()
}

/// The length, where it bounds the values. Integers have a display width, which newer servers leave out.
fn width(column: &Column) -> Option<u32> {
    use sql::ddl::TypeKind as T;
    match column.kind {
        T::TinyInt | T::SmallInt | T::MediumInt | T::Int | T::BigInt | T::Year => None,
        // Digits of the fraction.
        T::Time | T::DateTime | T::Timestamp => Some(column.length.unwrap_or(0)),
        _ => column.length,
    }
}

/// Why values of `up` may not fit into `down`.
pub(crate) fn narrower(up: &Column, down: &Column) -> Option<String> {
    if up.kind != down.kind {
        return Some(format!("its type is {:?} upstream and {:?} downstream", up.kind, down.kind));
    }
    if up.unsigned != down.unsigned {
        return Some("it is unsigned on one side only".into());
    }
    if up.nullable && !down.nullable {
        return Some("it may be NULL upstream and not downstream".into());
    }
    match (width(up), width(down)) {
        (Some(a), Some(b)) if b < a => Some(format!("its length is {a} upstream and {b} downstream")),
        _ => None,
    }
}

fn same_structure(severity: Severity, target: &TableName, members: &[&SourceTable], check: &mut Check) {
    let shape = |table: &Table| -> Vec<(String, String)> {
        let of = |c: &Column| match table.is_json(c) {
            // MariaDB's is text with a check.
            true => "Json".to_owned(),
            false => format!("{:?} {:?} {:?} {}", c.kind, width(c), c.decimals, c.unsigned),
        };
        table.columns.iter().map(|c| (c.name.to_lowercase(), of(c))).collect()
    };
    // The first column in which they differ.
    let difference = |a: &Table, b: &Table| -> Option<String> {
        let (a, b) = (shape(a), shape(b));
        let name = |at: usize, of: &[(String, String)]| {
            of.get(at).map_or("no column".to_owned(), |(name, _)| format!("`{name}`"))
        };
        let at = (0..a.len().max(b.len())).find(|at| a.get(*at) != b.get(*at))?;
        Some(match (name(at, &a), name(at, &b)) {
            (a, b) if a == b => format!("the type of {a}"),
            (a, b) => format!("number {} is {a} and {b}", at + 1),
        })
    };
    let mut known = members.iter().filter_map(|m| m.table.as_ref().map(|t| (m, t)));
    let Some((first, first_table)) = known.next() else { return };
    for (member, table) in known {
        if let Some(difference) = difference(first_table, table) {
            let place = |m: &SourceTable| format!("source {} table {}", m.source_id, m.name);
            check.add(
                severity,
                format!("tables merged into {target} have different columns: {difference}"),
                format!("{}: {}", place(first), first_table.to_create()),
                format!("{}: {}", place(member), table.to_create()),
            );
        }
    }
}

fn repeating_keys(target: &TableName, members: &[&SourceTable], merged: &Table, check: &mut Check) {
    for member in members {
        let Some(table) = &member.table else { continue };
        let Some(column) = table.columns.iter().find(|c| c.auto_increment) else { continue };
        let alone = |columns: &[String]| columns == [column.name.to_lowercase()];
        let generated = keys(table).any(|(_, columns)| alone(&columns));
        if generated && keys(merged).any(|(_, columns)| alone(&columns)) {
            check.warn(format!(
                "source {} table {} of sharding {target} have auto-increment key {}, would conflict with each other",
                member.source_id, member.name, column.name
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Table {
        read(text.as_bytes()).unwrap()
    }

    fn member(source: &str, text: &str) -> SourceTable {
        SourceTable {
            source_id: source.into(),
            name: TableName::new("my_db1", "table1"),
            target: TableName::new("my_db", "table5"),
            table: Some(table(text)),
            cascades_logged: false,
        }
    }

    const SHARD: &str = "CREATE TABLE `table1` (`id` bigint NOT NULL AUTO_INCREMENT, `sid` bigint NOT NULL, `comment` varchar(255) DEFAULT NULL, PRIMARY KEY (`id`), UNIQUE KEY `sid` (`sid`)) ENGINE=InnoDB";
    const MERGED: &str = "CREATE TABLE `table5` (`id` bigint NOT NULL, `sid` bigint NOT NULL, `comment` varchar(255) DEFAULT NULL, KEY `id` (`id`), UNIQUE KEY `sid` (`sid`)) ENGINE=InnoDB";

    fn texts(check: &Check) -> String {
        format!("{check:?}")
    }

    #[test]
    fn the_job_of_the_issue_warns_of_one_key() {
        let mut check = Check::new("a", "b", "");
        compare(&member("s", SHARD), &table(SHARD), &table(MERGED), &mut check);
        let text = texts(&check);
        assert!(text.contains("table `my_db1`.`table1` upstream has more PK or NOT NULL UK than downstream, index name: PRIMARY, columns: [id]"), "{text}");
        assert_eq!(text.matches("short_error").count(), 1, "{text}");
    }

    #[test]
    fn narrower_targets_and_missing_columns() {
        let down = table(
            "CREATE TABLE t (id bigint NOT NULL, sid int NOT NULL, comment varchar(10), extra int NOT NULL, PRIMARY KEY (id), UNIQUE KEY sid (sid))",
        );
        let mut check = Check::new("a", "b", "");
        compare(&member("s", SHARD), &table(SHARD), &down, &mut check);
        let text = texts(&check);
        assert!(text.contains("column sid"), "{text}");
        assert!(text.contains("255 upstream and 10 downstream"), "{text}");
        assert!(text.contains("require values to insert records, columns: [extra]"), "{text}");
        let mut check = Check::new("a", "b", "");
        let down = table("CREATE TABLE t (id bigint NOT NULL, PRIMARY KEY (id))");
        compare(&member("s", SHARD), &table(SHARD), &down, &mut check);
        assert!(texts(&check).contains("columns: [sid comment]"));
    }

    #[test]
    fn shards_that_differ_and_keys_that_repeat() {
        let a = member("a", SHARD);
        let b = member("b", &SHARD.replace("varchar(255)", "varchar(100)"));
        let mut check = Check::new("a", "b", "");
        same_structure(Severity::Fail, &a.target, &[&a, &b], &mut check);
        assert!(texts(&check).contains("different columns"));
        let mut check = Check::new("a", "b", "");
        same_structure(Severity::Fail, &a.target, &[&a, &a], &mut check);
        assert!(!texts(&check).contains("different columns"));
        let json = |of: &str| {
            let table = SHARD.replace("`comment` varchar(255) DEFAULT NULL", of);
            member("c", &table)
        };
        let mut check = Check::new("a", "b", "");
        let mysql = json("`j` json");
        let mariadb = json(
            "`j` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`j`))",
        );
        same_structure(Severity::Fail, &a.target, &[&mysql, &mariadb], &mut check);
        assert!(!texts(&check).contains("different columns"));
        same_structure(Severity::Fail, &a.target, &[&mysql, &json("`j` longtext")], &mut check);
        assert!(texts(&check).contains("different columns: the type of `j`"), "{check:?}");
        same_structure(Severity::Fail, &a.target, &[&mysql, &a], &mut check);
        assert!(texts(&check).contains("different columns: number 3 is `j` and `comment`"), "{check:?}");
        let mut check = Check::new("a", "b", "");
        // One from MySQL 5.7, one from 8.0.
        let older = member("b", &SHARD.replace("bigint", "bigint(20)"));
        same_structure(Severity::Fail, &a.target, &[&a, &older], &mut check);
        assert!(!texts(&check).contains("different columns"));
        let mut check = Check::new("a", "b", "");
        repeating_keys(&a.target, &[&a, &b], &table(MERGED), &mut check);
        assert!(!texts(&check).contains("conflict"));
        repeating_keys(&a.target, &[&a, &b], &table(SHARD), &mut check);
        assert!(texts(&check).contains("auto-increment key id"));
    }
}
