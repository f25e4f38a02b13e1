//! The tracker and the renamed statements against real servers: each case of `cases.txt` runs on every server, and after each statement the
//! server's information_schema has to say what the tracker says.

use std::collections::{BTreeMap, BTreeSet};

use mysql::{Conn, Row};
use sql::SqlMode;
use sql::ddl::{self, DefaultValue, IndexKind, TypeKind};
use sql::schema::{Column, Dialect, Environment, Index, Table, Tracker};
use testkit::{Account, Kind, Options, Server};

/// What is compared of a table: a line per column and per index.
type Facts = Vec<String>;
/// Facts by schema and table.
type World = BTreeMap<(String, String), Facts>;

const DATABASES: [&str; 3] = ["src", "src2", "src3"];

fn cases() -> Vec<Vec<&'static str>> {
    let mut cases = vec![Vec::new()];
    for line in include_str!("cases.txt").lines() {
        if line.is_empty() {
            cases.push(Vec::new());
        } else if !line.starts_with('#')
            && let Some(case) = cases.last_mut()
        {
            case.push(line);
        }
    }
    cases.retain(|case| !case.is_empty());
    cases
}

fn number(text: &str) -> Option<String> {
    text.parse::<f64>().ok().map(|number| number.to_string())
}

fn plain(text: &str) -> String {
    // A time's fraction of zeros is written by some servers only.
    let time =
        text.rsplit_once('.').filter(|(head, tail)| head.contains(':') && tail.trim_matches('0').is_empty());
    number(text).unwrap_or_else(|| time.map_or(text, |(head, _)| head).to_owned())
}

/// A default in the form both sides are brought to; `?` stands for anything but none.
fn own_default(column: &Column) -> String {
    match &column.default {
        None | Some(DefaultValue::Null) => "-".into(),
        Some(DefaultValue::Now(_)) => "now".into(),
        Some(DefaultValue::String(bytes)) if column.kind != TypeKind::Bit => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            if matches!(column.kind, TypeKind::Binary | TypeKind::VarBinary | TypeKind::Set) {
                "?".into()
            } else {
                plain(&text)
            }
        }
        Some(DefaultValue::Number(text)) if column.kind != TypeKind::Bit => plain(text),
        Some(DefaultValue::Bool(value)) => plain(if *value { "1" } else { "0" }),
        Some(_) => "?".into(),
    }
}

fn server_default(text: Option<String>, mariadb: bool) -> String {
    let Some(text) = text else { return "-".into() };
    if mariadb && text == "NULL" {
        return "-".into();
    }
    if text.to_ascii_lowercase().starts_with("current_timestamp") {
        return "now".into();
    }
    if mariadb && text.starts_with('\'') {
        let mut value = Vec::new();
        lexer_unescape(&text, &mut value);
        return plain(&String::from_utf8_lossy(&value));
    }
    plain(&text)
}

fn lexer_unescape(text: &str, value: &mut Vec<u8>) {
    sql::lexer::unescape_into(text.as_bytes(), SqlMode::default(), value);
}

fn type_name(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Geometry(word) => (*word).to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn own_column(at: usize, column: &Column) -> String {
    let length = match column.kind {
        TypeKind::Char | TypeKind::VarChar | TypeKind::Binary | TypeKind::VarBinary => column.length,
        _ => None,
    };
    let digits = match column.kind {
        TypeKind::Decimal => format!("{},{}", column.length.unwrap_or(0), column.decimals.unwrap_or(0)),
        TypeKind::Bit => format!("{}", column.length.unwrap_or(0)),
        TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp => {
            format!("{}", column.length.unwrap_or(0))
        }
        _ => String::new(),
    };
    let members: Vec<String> = column
        .members
        .iter()
        .map(|member| format!("'{}'", String::from_utf8_lossy(member).replace('\'', "''")))
        .collect();
    let generated = match &column.generated {
        Some(generated) if generated.stored => "stored",
        Some(_) => "virtual",
        None => "",
    };
    format!(
        "{} {} {} len={} digits={digits} unsigned={} zerofill={} members={} charset={} collation={} null={} default={} auto={} \
         onupdate={} generated={generated} comment={}",
        at + 1,
        column.name,
        type_name(&column.kind),
        length.map_or(String::new(), |length| length.to_string()),
        column.unsigned,
        column.zerofill,
        members.join(","),
        // MySQL 8 shows no character set for an ENUM of bytes.
        column.charset.as_deref().filter(|name| *name != "binary").unwrap_or("-"),
        column.collation.as_deref().filter(|name| *name != "binary").unwrap_or("-"),
        column.nullable,
        own_default(column),
        column.auto_increment,
        column.on_update.is_some(),
        column.comment,
    )
}

fn own_index(index: &Index, descending: bool) -> String {
    let kind = match index.kind {
        IndexKind::FullText => "FULLTEXT",
        IndexKind::Spatial => "SPATIAL",
        _ => "",
    };
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let name = part.column.clone().unwrap_or_else(|| "expression".into());
            let length =
                part.length.filter(|_| kind.is_empty()).map_or(String::new(), |length| format!("({length})"));
            format!("{name}{length}{}", if part.descending && descending { " desc" } else { "" })
        })
        .collect();
    format!(
        "index {} unique={} {kind} [{}] comment={}",
        index.name,
        index.unique,
        parts.join(","),
        index.comment
    )
}

fn own_facts(table: &Table, descending: bool) -> Facts {
    let mut facts: Facts =
        table.columns.iter().enumerate().map(|(at, column)| own_column(at, column)).collect();
    let mut indexes: Facts = table.indexes.iter().map(|index| own_index(index, descending)).collect();
    indexes.sort();
    facts.extend(indexes);
    facts.push(format!("table {} {} comment={}", table.charset, table.collation, table.comment));
    facts
}

/// A server with one connection.
struct Subject {
    kind: Kind,
    conn: Conn,
    mariadb: bool,
    /// Whether it keeps DESC of a key part.
    descending: bool,
    /// Whether STATISTICS shows functional key parts.
    expressions: bool,
}

fn cell(row: &Row, name: &str) -> String {
    row.str(name).unwrap().unwrap_or_default()
}

/// MySQL 8 calls utf8 utf8mb3.
fn utf8(name: &str) -> String {
    name.replacen("utf8mb3", "utf8", 1)
}

impl Subject {
    async fn world(&mut self, databases: &[&str]) -> World {
        let list = databases.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
        let mut world = World::new();
        let columns = self
            .conn
            .query(format!(
                "SELECT TABLE_SCHEMA s, TABLE_NAME t, COLUMN_NAME c, ORDINAL_POSITION o, DATA_TYPE y, COLUMN_TYPE f, IS_NULLABLE n, \
                 CHARACTER_MAXIMUM_LENGTH l, NUMERIC_PRECISION p, NUMERIC_SCALE q, DATETIME_PRECISION d, CHARACTER_SET_NAME h, \
                 COLLATION_NAME k, COLUMN_DEFAULT v, EXTRA e, COLUMN_COMMENT m FROM information_schema.COLUMNS \
                 WHERE TABLE_SCHEMA IN ({list}) ORDER BY 1, 2, 4"
            ))
            .await
            .unwrap();
        for row in columns.iter() {
            let facts = world.entry((cell(row, "s"), cell(row, "t"))).or_default();
            facts.push(server_column(row, self.mariadb));
        }
        self.indexes(&list, &mut world).await;
        let tables = self
            .conn
            .query(format!(
                "SELECT TABLE_SCHEMA s, TABLE_NAME t, TABLE_COLLATION c, TABLE_COMMENT m FROM information_schema.TABLES \
                 WHERE TABLE_SCHEMA IN ({list})"
            ))
            .await
            .unwrap();
        for row in tables.iter() {
            let facts = world.entry((cell(row, "s"), cell(row, "t"))).or_default();
            let collation = utf8(&cell(row, "c"));
            let charset = collation.split('_').next().unwrap_or_default().to_owned();
            facts.push(format!("table {charset} {collation} comment={}", cell(row, "m")));
        }
        world
    }

    async fn indexes(&mut self, list: &str, world: &mut World) {
        let expression = if self.expressions { "EXPRESSION" } else { "NULL" };
        let parts = self
            .conn
            .query(format!(
                "SELECT TABLE_SCHEMA s, TABLE_NAME t, INDEX_NAME i, NON_UNIQUE n, COLUMN_NAME c, SUB_PART p, COLLATION d, INDEX_TYPE y, \
                 INDEX_COMMENT m, {expression} e FROM information_schema.STATISTICS WHERE TABLE_SCHEMA IN ({list}) \
                 ORDER BY 1, 2, 3, SEQ_IN_INDEX"
            ))
            .await
            .unwrap();
        // Schema, table, index: head of the line, parts, comment.
        type Key = (String, String, String);
        let mut keys: BTreeMap<Key, (String, Vec<String>, String)> = BTreeMap::new();
        for row in parts.iter() {
            let kind = cell(row, "y");
            let kind = if matches!(kind.as_str(), "FULLTEXT" | "SPATIAL") { kind } else { String::new() };
            let key = keys.entry((cell(row, "s"), cell(row, "t"), cell(row, "i"))).or_insert_with(|| {
                (format!("unique={} {kind}", cell(row, "n") == "0"), Vec::new(), cell(row, "m"))
            });
            let name = row.str("c").unwrap().unwrap_or_else(|| "expression".into());
            let length = row.str("p").unwrap().filter(|_| kind.is_empty());
            let length = length.map_or(String::new(), |length| format!("({length})"));
            let descending = if cell(row, "d") == "D" { " desc" } else { "" };
            key.1.push(format!("{name}{length}{descending}"));
        }
        let mut lines: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for ((schema, table, name), (head, parts, comment)) in keys {
            let line = format!("index {name} {head} [{}] comment={comment}", parts.join(","));
            lines.entry((schema, table)).or_default().push(line);
        }
        for (key, mut indexes) in lines {
            indexes.sort();
            world.entry(key).or_default().extend(indexes);
        }
    }

    /// Foreign keys as `schema.table.column -> schema.table.column`, sorted.
    async fn foreign_keys(&mut self, databases: &[&str]) -> Vec<String> {
        let list = databases.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(",");
        let rows = self
            .conn
            .query(format!(
                "SELECT TABLE_SCHEMA a, TABLE_NAME b, COLUMN_NAME c, REFERENCED_TABLE_SCHEMA d, REFERENCED_TABLE_NAME e, \
                 REFERENCED_COLUMN_NAME f FROM information_schema.KEY_COLUMN_USAGE \
                 WHERE REFERENCED_TABLE_NAME IS NOT NULL AND TABLE_SCHEMA IN ({list})"
            ))
            .await
            .unwrap();
        let name = |row: &Row, schema: &str, table: &str| {
            // The names of the renamed tables are brought back to those of the first.
            let (schema, table) = (cell(row, schema).replacen("dst", "src", 1), cell(row, table));
            format!("{schema}.{}", table.strip_prefix("r_").unwrap_or(&table))
        };
        let mut keys: Vec<String> = rows
            .iter()
            .map(|row| {
                format!(
                    "{}.{} -> {}.{}",
                    name(row, "a", "b"),
                    cell(row, "c"),
                    name(row, "d", "e"),
                    cell(row, "f")
                )
            })
            .collect();
        keys.sort();
        keys
    }

    async fn fresh(&mut self) {
        self.conn.exec("SET foreign_key_checks = 0").await.unwrap();
        for database in DATABASES.iter().chain(&["dst", "dst2", "dst3", "again"]) {
            self.conn.exec(format!("DROP DATABASE IF EXISTS {database}")).await.unwrap();
        }
        for (one, other, charset) in [("src", "dst", "latin1"), ("src2", "dst2", "utf8mb4")] {
            for database in [one, other] {
                self.conn.exec(format!("CREATE DATABASE {database} CHARACTER SET {charset}")).await.unwrap();
            }
        }
        self.conn.exec("CREATE DATABASE again CHARACTER SET latin1").await.unwrap();
        self.conn.exec("SET foreign_key_checks = 1").await.unwrap();
    }

    async fn environment(&mut self) -> Environment {
        let row = self
            .conn
            .query_one(
                "SELECT @@explicit_defaults_for_timestamp e, @@character_set_server s, @@collation_server c, \
                 (SELECT COLLATION_NAME FROM information_schema.COLLATIONS WHERE CHARACTER_SET_NAME = 'utf8mb4' \
                  AND IS_DEFAULT = 'Yes') u",
            )
            .await
            .unwrap()
            .unwrap();
        Environment {
            dialect: if self.mariadb { Dialect::MariaDb } else { Dialect::MySql },
            charset: cell(&row, "s"),
            collation: cell(&row, "c"),
            utf8mb4_collation: cell(&row, "u"),
            explicit_timestamps: cell(&row, "e") == "1",
            column_references: self.mariadb || self.kind == Kind::MySql97,
            lower_case_table_names: 0,
        }
    }
}

fn server_column(row: &Row, mariadb: bool) -> String {
    let (kind, full, extra) = (cell(row, "y"), cell(row, "f"), cell(row, "e").to_ascii_lowercase());
    let kind = match kind.as_str() {
        "geomcollection" => "geometrycollection",
        other => other,
    };
    let characters = matches!(kind, "char" | "varchar" | "binary" | "varbinary");
    let digits = match kind {
        "decimal" => format!("{},{}", cell(row, "p"), cell(row, "q")),
        "bit" => cell(row, "p"),
        "time" | "datetime" | "timestamp" => cell(row, "d"),
        _ => String::new(),
    };
    let members = match kind {
        "enum" | "set" => full.trim_start_matches(kind).trim_matches(['(', ')']).to_owned(),
        _ => String::new(),
    };
    // The trim takes a parenthesis that belongs to a member.
    let members = if members.matches('\'').count() % 2 == 1 { format!("{members}'") } else { members };
    let generated = if extra.contains("stored generated") {
        "stored"
    } else if extra.contains("virtual generated") {
        "virtual"
    } else {
        ""
    };
    format!(
        "{} {} {kind} len={} digits={digits} unsigned={} zerofill={} members={members} charset={} collation={} null={} default={} auto={} \
         onupdate={} generated={generated} comment={}",
        cell(row, "o"),
        cell(row, "c"),
        if characters { cell(row, "l") } else { String::new() },
        full.contains("unsigned"),
        full.contains("zerofill"),
        row.str("h").unwrap().filter(|name| name != "binary").map_or("-".into(), |name| utf8(&name)),
        row.str("k").unwrap().filter(|name| name != "binary").map_or("-".into(), |name| utf8(&name)),
        cell(row, "n") == "YES",
        server_default(row.str("v").unwrap(), mariadb),
        extra.contains("auto_increment"),
        extra.contains("on update"),
        cell(row, "m"),
    )
}

/// Lines that differ; a default `?` of ours matches anything but none.
fn difference(ours: &Facts, theirs: &Facts) -> Vec<String> {
    let matches = |a: &str, b: &str| {
        if a == b {
            return true;
        }
        // MySQL 5.6 gives a column that its primary key made NOT NULL a default of its own.
        if let Some((head, tail)) = a.split_once("null=false default=- ")
            && b.starts_with(head)
            && b.ends_with(tail)
        {
            let value = &b[head.len()..b.len() - tail.len()];
            let value = value.trim_start_matches("null=false default=").trim_matches([' ', '\0']);
            return matches!(value, "" | "0" | "?");
        }
        let Some((head, tail)) = a.split_once("default=? ") else { return false };
        let Some((other_head, rest)) = b.split_once("default=") else { return false };
        let Some((value, other_tail)) = rest.split_once(" auto=") else { return false };
        head == other_head && value != "-" && tail == format!("auto={other_tail}")
    };
    let mut out = Vec::new();
    for at in 0..ours.len().max(theirs.len()) {
        let (a, b) = (ours.get(at).map_or("", String::as_str), theirs.get(at).map_or("", String::as_str));
        if !matches(a, b) {
            out.push(format!("      tracker {a}\n      server  {b}"));
        }
    }
    out
}

fn compare(ours: &World, theirs: &World, out: &mut Vec<String>) {
    let names: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    for name in names {
        match (ours.get(name), theirs.get(name)) {
            (Some(a), Some(b)) => {
                let lines = difference(a, b);
                if !lines.is_empty() {
                    out.push(format!("    {name:?}\n{}", lines.join("\n")));
                }
            }
            (Some(_), None) => out.push(format!("    {name:?} is not on the server")),
            (None, _) => out.push(format!("    {name:?} is not tracked")),
        }
    }
}

fn renamed(name: &str) -> String {
    name.replacen("src", "dst", 1)
}

fn map(schema: &str, table: &str) -> (String, String) {
    let table = if table.is_empty() { String::new() } else { format!("r_{table}") };
    (renamed(schema), table)
}

#[derive(Default)]
struct Report {
    statements: BTreeSet<String>,
    failures: Vec<String>,
    refused: Vec<String>,
}

async fn run_case(subject: &mut Subject, environment: &Environment, case: &[&str], report: &mut Report) {
    subject.fresh().await;
    let mut tracker = Tracker::new(environment.clone());
    tracker.set_database("src", "latin1", "latin1_swedish_ci");
    tracker.set_database("src2", "utf8mb4", &environment.utf8mb4_collation);
    for &text in case {
        subject.conn.exec("USE src").await.unwrap();
        if let Err(error) = subject.conn.exec(text).await {
            report.refused.push(format!("{}: {text}\n    {error}", subject.kind));
            break;
        }
        let kind = subject.kind;
        let mut fail = |what: String| report.failures.push(format!("{kind}: {text}\n{what}"));
        let ddl = match ddl::parse(text.as_bytes(), SqlMode::default()) {
            Ok(ddl) => ddl,
            Err(error) => return fail(format!("    {error}")),
        };
        if let Err(error) = tracker.apply(&ddl, "src") {
            return fail(format!("    {error}"));
        }
        let other = sql::rename::rename(ddl.text(), &ddl, "src", map).unwrap();
        // DEFAULT means the session's database, which no rename can write out.
        let session = if text.contains("SET DEFAULT") { "dst" } else { "again" };
        subject.conn.exec(format!("USE {session}")).await.unwrap();
        if let Err(error) = subject.conn.exec(&other).await {
            return fail(format!("    renamed {}\n    {error}", String::from_utf8_lossy(&other)));
        }
        let descending = subject.descending;
        let ours: World = tracker
            .tables()
            .map(|(schema, name, table)| ((schema.to_owned(), name.to_owned()), own_facts(table, descending)))
            .collect();
        let theirs = subject.world(&DATABASES).await;
        let mut out = Vec::new();
        compare(&ours, &theirs, &mut out);
        let copies = subject.world(&["dst", "dst2", "dst3"]).await;
        let expected: World = theirs
            .into_iter()
            .map(|((schema, name), facts)| ((renamed(&schema), format!("r_{name}")), facts))
            .collect();
        let mut renamed_out = Vec::new();
        compare(&expected, &copies, &mut renamed_out);
        // Names that the server makes of the table's own name differ by nature.
        if !out.is_empty() || !renamed_out.is_empty() {
            out.extend(renamed_out.into_iter().map(|line| format!("    renamed: {line}")));
            return fail(out.join("\n"));
        }
        if text.contains("REFERENCES") || text.contains("FOREIGN KEY") {
            let first = subject.foreign_keys(&DATABASES).await;
            let second = subject.foreign_keys(&["dst", "dst2", "dst3"]).await;
            if first != second {
                return fail(format!("    foreign keys {first:#?}\n    renamed {second:#?}"));
            }
        }
        report.statements.insert(text.to_owned());
    }
    rebuild(subject, environment, &tracker, report).await;
}

/// What the tracker renders makes an equal table, and SHOW CREATE TABLE reads as the tracker's table.
async fn rebuild(subject: &mut Subject, environment: &Environment, tracker: &Tracker, report: &mut Report) {
    subject.conn.exec("SET foreign_key_checks = 0").await.unwrap();
    for (schema, name, table) in tracker.tables() {
        let ours = own_facts(table, subject.descending);
        let shown = subject.conn.query(format!("SHOW CREATE TABLE `{schema}`.`{name}`")).await.unwrap();
        let shown = shown.first().unwrap().str(1).unwrap().unwrap();
        let versioned = table
            .columns
            .iter()
            .any(|it| it.generated.as_ref().is_some_and(|it| it.expression.starts_with("ROW")));
        match Table::from_create_in(shown.as_bytes(), SqlMode::default(), environment) {
            Ok(read) => {
                let lines = difference(&ours, &own_facts(&read, subject.descending));
                // Text that a column's character set made of the server's is shown unescaped; only such defaults may differ.
                if !lines.is_empty() {
                    report.failures.push(format!(
                        "{}: SHOW CREATE gives\n{shown}\n{}",
                        subject.kind,
                        lines.join("\n")
                    ));
                }
            }
            Err(error) => report.failures.push(format!("{}: {error}\n{shown}", subject.kind)),
        }
        if versioned {
            continue;
        }
        let text = table.to_create();
        subject.conn.exec("USE again").await.unwrap();
        if let Err(error) = subject.conn.exec(&text).await {
            report.failures.push(format!("{}: {error}\n{text}", subject.kind));
            continue;
        }
        let world = subject.world(&["again"]).await;
        let theirs = world.get(&("again".to_owned(), name.to_owned())).cloned().unwrap_or_default();
        let lines = difference(&ours, &theirs);
        if !lines.is_empty() {
            report.failures.push(format!("{}: rendered\n{text}\n{}", subject.kind, lines.join("\n")));
        }
        subject.conn.exec(format!("DROP TABLE again.`{name}`")).await.unwrap();
    }
    subject.conn.exec("SET foreign_key_checks = 1").await.unwrap();
}

async fn on(kind: Kind) -> Option<Report> {
    let server = Server::start_or_skip(kind, Options::default())?;
    let conn = server.conn(Account::Admin).await;
    let mariadb = kind.is_mariadb();
    let new = matches!(kind, Kind::MySql8033 | Kind::MySql8015 | Kind::MySql97);
    let mut subject = Subject { kind, conn, mariadb, descending: new || mariadb, expressions: new };
    subject.conn.exec("SET NAMES utf8mb4").await.unwrap();
    subject.conn.exec("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'").await.unwrap();
    let environment = subject.environment().await;
    let mut report = Report::default();
    for case in cases() {
        run_case(&mut subject, &environment, &case, &mut report).await;
    }
    subject.conn.close().await;
    for line in &report.refused {
        println!("refused by {line}");
    }
    println!("{kind}: {} statements compared", report.statements.len());
    Some(report)
}

async fn check(kind: Kind, least: usize) {
    let Some(report) = on(kind).await else { return };
    assert!(report.failures.is_empty(), "{} failures\n{}", report.failures.len(), report.failures.join("\n"));
    assert!(report.statements.len() >= least, "{kind}: only {} statements", report.statements.len());
}

#[tokio::test]
async fn tracked_as_mysql_8_0_33_has_it() {
    check(Kind::MySql8033, 210).await;
}

#[tokio::test]
async fn tracked_as_mysql_5_7_has_it() {
    check(Kind::MySql57, 200).await;
}

#[tokio::test]
async fn tracked_as_mysql_5_6_has_it() {
    check(Kind::MySql56, 150).await;
}

#[tokio::test]
async fn tracked_as_mysql_9_has_it() {
    check(Kind::MySql97, 200).await;
}

#[tokio::test]
async fn tracked_as_mariadb_10_11_has_it() {
    check(Kind::MariaDb1011, 220).await;
}
