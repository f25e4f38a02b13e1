//! Every statement of `statements.txt` with other names.

use sql::SqlMode;
use sql::ddl::{self, Role};
use sql::lexer;

/// A statement with its marks taken out, and what renaming has to make of it.
struct Case {
    text: String,
    /// With the session's schema `cur`, each schema `x` renamed to `x_s` and each table `x` to `x_t`.
    renamed: String,
    /// Without a session's schema.
    unqualified: String,
    references: usize,
}

/// How names are written.
#[derive(Clone, Copy, PartialEq)]
enum Style {
    Plain,
    Backquote,
    DoubleQuote,
    Comments,
}

fn write_name(style: Style, name: &str) -> String {
    match style {
        Style::Backquote => format!("`{}`", name.replace('`', "``")),
        Style::DoubleQuote => format!("\"{name}\""),
        _ => name.to_owned(),
    }
}

/// Reads the marks of a line.
fn case(line: &str, style: Style) -> Case {
    let mut case =
        Case { text: String::new(), renamed: String::new(), unqualified: String::new(), references: 0 };
    let mut subject_schema = None;
    let mut rest = line;
    let add = |case: &mut Case, text: &str| {
        case.text += text;
        case.renamed += text;
        case.unqualified += text;
    };
    while let Some(start) = rest.find('«') {
        add(&mut case, &rest[..start]);
        let end = rest.find('»').unwrap();
        let mark = &rest[start + '«'.len_utf8()..end];
        rest = &rest[end + '»'.len_utf8()..];
        case.references += 1;
        let kind = mark.chars().next().filter(|c| "!^=".contains(*c));
        let name = mark.trim_start_matches(['!', '^', '=']);
        if kind == Some('!') {
            case.text += &write_name(style, name);
            case.renamed += &format!("`{name}_s`");
            case.unqualified += &format!("`{name}_s`");
            continue;
        }
        let (schema, table) =
            name.split_once('.').map_or((None, name), |(schema, table)| (Some(schema), table));
        if subject_schema.is_none() {
            subject_schema = Some(schema.unwrap_or("cur"));
        }
        let written = schema.map_or(String::new(), |schema| format!("{}.", write_name(style, schema)));
        case.text += &format!("{written}{}", write_name(style, table));
        let explicit = schema.map_or(String::new(), |schema| format!("`{schema}_s`."));
        let implied = match (schema, kind) {
            (Some(_), _) => explicit.clone(),
            (None, Some('=')) => String::new(),
            (None, Some('^')) => format!("`{}_s`.", subject_schema.unwrap()),
            (None, _) => "`cur_s`.".to_owned(),
        };
        case.renamed += &format!("{implied}`{table}_t`");
        // With no session's schema a parent is qualified only where its child is.
        let implied = match (schema, kind) {
            (Some(_), _) => explicit,
            (None, Some('^')) if subject_schema != Some("cur") => format!("`{}_s`.", subject_schema.unwrap()),
            _ => String::new(),
        };
        case.unqualified += &format!("{implied}`{table}_t`");
    }
    add(&mut case, rest);
    case
}

/// Puts a comment between all tokens, executable comments and their insides left alone.
fn with_comments(text: &str) -> String {
    let mut out = String::new();
    let mut at = 0;
    let mut executable = false;
    for token in lexer::Lexer::new(text.as_bytes(), SqlMode::default()) {
        use lexer::TokenKind::{ExecutableClose, ExecutableOpen};
        out += &text[at..token.span.start];
        if !executable && token.kind != ExecutableClose && !text[..token.span.start].ends_with('.') {
            out += "/* , x.y ) ' */ ";
        }
        executable = match token.kind {
            ExecutableOpen => true,
            ExecutableClose => false,
            _ => executable,
        };
        out += &text[token.span.start..token.span.end];
        at = token.span.end;
    }
    out + &text[at..] + " -- end"
}

fn map(schema: &str, table: &str) -> (String, String) {
    let suffixed =
        |name: &str, suffix: &str| if name.is_empty() { String::new() } else { format!("{name}{suffix}") };
    (suffixed(schema, "_s"), suffixed(table, "_t"))
}

fn same(schema: &str, table: &str) -> (String, String) {
    (schema.to_owned(), table.to_owned())
}

pub fn lines() -> impl Iterator<Item = &'static str> {
    include_str!("statements.txt").lines().filter(|line| !line.starts_with('#') && !line.is_empty())
}

/// The statements as a user would write them.
pub fn statements() -> impl Iterator<Item = String> {
    lines().map(|line| case(line, Style::Plain).text)
}

fn check(text: &str, mode: SqlMode, case: &Case) {
    let ddl = ddl::parse(text.as_bytes(), mode).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert_eq!(ddl.references.len(), case.references, "{text}\n{:#?}", ddl.references);
    let rename = |default: &str, map: fn(&str, &str) -> (String, String)| {
        let renamed = sql::rename::rename(ddl.text(), &ddl, default, map).unwrap();
        String::from_utf8(renamed).unwrap()
    };
    assert_eq!(rename("cur", map), case.renamed, "{text}");
    assert_eq!(rename("", map), case.unqualified, "{text}");
    // Identity keeps every byte where no schema is added: only a parent below a qualified child gets one.
    let added = ddl.references.iter().any(|it| it.role == Role::Parent && it.schema.is_none());
    if !added {
        assert_eq!(rename("", same), text);
    }
    let renamed = rename("cur", map);
    let again = ddl::parse(renamed.as_bytes(), mode).unwrap_or_else(|error| panic!("{error}\n{renamed}"));
    let back = sql::rename::rename(again.text(), &again, "", same).unwrap();
    assert_eq!(String::from_utf8(back).unwrap(), renamed);
}

#[test]
fn every_statement_is_renamed_by_span() {
    let mut count = 0;
    for line in lines() {
        for style in [Style::Plain, Style::Backquote, Style::DoubleQuote] {
            let case = case(line, style);
            let ansi = style == Style::DoubleQuote;
            if ansi && line.contains('"') {
                // The line's own double quotes are strings.
                continue;
            }
            check(&case.text, SqlMode { ansi_quotes: ansi, ..SqlMode::default() }, &case);
            count += 1;
        }
        let plain = case(line, Style::Comments);
        if plain.text.contains("*/") || plain.text.contains("_utf8'") || plain.text.contains("_latin1 ") {
            continue;
        }
        let commented = Case {
            text: with_comments(&plain.text),
            renamed: with_comments(&plain.renamed),
            unqualified: with_comments(&plain.unqualified),
            references: plain.references,
        };
        check_commented(&commented);
        count += 1;
    }
    assert!(count > 700, "{count}");
}

/// With comments between tokens a schema is added right before the table's name, so behind the comment.
fn check_commented(case: &Case) {
    let ddl = ddl::parse(case.text.as_bytes(), SqlMode::default())
        .unwrap_or_else(|error| panic!("{error}\n{}", case.text));
    assert_eq!(ddl.references.len(), case.references, "{}", case.text);
    let strip = |text: &str| {
        let tokens = lexer::tokens(text.as_bytes(), SqlMode::default());
        tokens.iter().map(|token| token.span.text(text.as_bytes())).collect::<Vec<_>>().join(" ")
    };
    let renamed = sql::rename::rename(ddl.text(), &ddl, "cur", map).unwrap();
    let renamed = String::from_utf8(renamed).unwrap();
    assert_eq!(strip(&renamed), strip(&case.renamed), "{}", case.text);
    let comments = |text: &str| text.matches("/* , x.y ) ' */").count();
    assert_eq!(comments(&renamed), comments(&case.text), "{renamed}");
}

#[test]
fn odd_forms_of_names() {
    let table = [
        ("CREATE TABLE .t (a INT)", "CREATE TABLE `cur_s`.`t_t` (a INT)"),
        ("DROP TABLE .t, d.u", "DROP TABLE `cur_s`.`t_t`, `d_s`.`u_t`"),
        ("DROP TABLE`t`", "DROP TABLE`cur_s`.`t_t`"),
        ("CREATE INDEX`i`ON t(a)", "CREATE INDEX`i`ON `cur_s`.`t_t`(a)"),
        ("CREATE TABLE t(a INT)", "CREATE TABLE `cur_s`.`t_t`(a INT)"),
        ("CREATE TABLE d . t (a INT)", "CREATE TABLE `d_s` . `t_t` (a INT)"),
        ("CREATE TABLE `d`/* . */./* x */`t`(a INT)", "CREATE TABLE `d_s`/* . */./* x */`t_t`(a INT)"),
        ("TRUNCATE `a``b`.`c.d`", "TRUNCATE `a``b_s`.`c.d_t`"),
        ("DROP TABLE 汉字.表", "DROP TABLE `汉字_s`.`表_t`"),
        ("DROP TABLE db.1st, 2nd", "DROP TABLE `db_s`.`1st_t`, `cur_s`.`2nd_t`"),
        ("ALTER DATABASE CHARACTER SET utf8", "ALTER DATABASE `cur_s` CHARACTER SET utf8"),
        ("ALTER SCHEMA DEFAULT COLLATE utf8_bin", "ALTER SCHEMA `cur_s` DEFAULT COLLATE utf8_bin"),
        ("alter table t rename u;", "alter table `cur_s`.`t_t` rename `cur_s`.`u_t`;"),
        (
            "ALTER TABLE t ADD a INT COMMENT 'RENAME TO x.y'",
            "ALTER TABLE `cur_s`.`t_t` ADD a INT COMMENT 'RENAME TO x.y'",
        ),
    ];
    for (text, expected) in table {
        let ddl =
            ddl::parse(text.as_bytes(), SqlMode::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let renamed = sql::rename::rename(ddl.text(), &ddl, "cur", map).unwrap();
        assert_eq!(String::from_utf8_lossy(&renamed), expected, "{text}");
    }
}

#[test]
fn bytes_that_are_no_utf8_stay_in_strings_and_comments() {
    let text = b"ALTER TABLE t ADD c CHAR(1) DEFAULT '\xe9' /* \xff */";
    let ddl = ddl::parse(text, SqlMode::default()).unwrap();
    let renamed = sql::rename::rename(text, &ddl, "cur", map).unwrap();
    assert_eq!(renamed, b"ALTER TABLE `cur_s`.`t_t` ADD c CHAR(1) DEFAULT '\xe9' /* \xff */");
    let error = ddl::parse(b"DROP TABLE caf\xe9", SqlMode::default()).unwrap_err();
    assert_eq!(error, ddl::DdlError::NotUtf8 { at: 11 });
}

#[test]
fn a_select_is_recognised_and_not_renamed() {
    for text in [
        "CREATE TABLE t SELECT * FROM u",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t (SELECT 1)",
        "CREATE TABLE t (a INT) ENGINE=InnoDB IGNORE SELECT * FROM u",
        "CREATE TABLE t (a INT) REPLACE AS SELECT 1",
        "CREATE TABLE t (a INT) PARTITION BY HASH(a) PARTITIONS 2 SELECT 1 AS a",
        "CREATE TABLE t AS WITH c AS (SELECT 1) SELECT * FROM c",
        "CREATE TABLE t TABLE u",
        "CREATE TABLE t VALUES ROW(1)",
    ] {
        let ddl =
            ddl::parse(text.as_bytes(), SqlMode::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let ddl::Statement::CreateTable(create) = &ddl.statement else { panic!("{text}") };
        let at = create.select.unwrap_or_else(|| panic!("{text}")).start;
        let error = sql::rename::rename(ddl.text(), &ddl, "cur", map).unwrap_err();
        assert_eq!(error, sql::rename::RenameError::Select { at });
    }
}

#[test]
fn what_is_not_understood_is_an_error_with_its_place() {
    let table = [
        ("CREATE TABLE", "expected a table name at byte 12, found the end of the statement"),
        ("CREATE TABLE 'x' (a INT)", "expected a table name at byte 13, found 'x'"),
        ("CREATE TABLE t (a)", "expected a column type at byte 17, found )"),
        ("CREATE TABLE t (a INT", "expected ) or , at byte 21, found the end of the statement"),
        ("CREATE TABLE t (a INT, KEY k (a(", "parenthesis opened at byte 31 is never closed"),
        ("DROP TABLE a b", "expected the end of the statement at byte 13, found b"),
        ("RENAME TABLE a b", "expected TO at byte 15, found b"),
        ("ALTER TABLE t DROP COLUMN", "expected a column at byte 25, found the end of the statement"),
        ("ALTER TABLE t ADD a INT,", "expected a change at byte 24, found the end of the statement"),
        ("CREATE TABLE t (a INT DEFAULT 'x)", "single quote opened at byte 30 is never closed"),
        ("CREATE TABLE `t (a INT)", "back quote opened at byte 13 is never closed"),
        ("CREATE TABLE t (a INT) /* x", "comment opened at byte 23 is never closed"),
        ("CREATE TABLE t (a INT AS (b + (c)", "parenthesis opened at byte 25 is never closed"),
        ("INSERT INTO t VALUES (1)", "not a DDL statement on tables or databases but Insert"),
        ("CREATE VIEW v AS SELECT 1", "not a DDL statement on tables or databases but View"),
        ("", "not a DDL statement on tables or databases but Empty"),
        ("CREATE TABLE \"t\" (a INT)", "expected a table name at byte 13, found \"t\""),
    ];
    for (text, expected) in table {
        let error = ddl::parse(text.as_bytes(), SqlMode::default()).expect_err(text);
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn pieces() {
    let split = |text: &str, changes: bool| -> Vec<String> {
        let ddl = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        let pieces = if changes { ddl.split_changes() } else { ddl.split() }.unwrap();
        pieces.iter().map(|piece| String::from_utf8_lossy(piece.text()).into_owned()).collect()
    };
    assert_eq!(
        split("DROP TABLE IF EXISTS a, `b`.c /* x */", false),
        ["DROP TABLE IF EXISTS a", "DROP TABLE IF EXISTS `b`.c"]
    );
    assert_eq!(
        split("RENAME TABLE a TO tmp, b TO a, tmp TO b", false),
        ["RENAME TABLE a TO tmp", "RENAME TABLE b TO a", "RENAME TABLE tmp TO b"]
    );
    assert_eq!(split("TRUNCATE t", false), ["TRUNCATE t"]);
    let alter = "ALTER TABLE d.t ADD a INT, ADD COLUMN (b INT, c INT), DROP e, RENAME TO d.u, ADD INDEX (a)";
    assert_eq!(split(alter, false), [alter]);
    assert_eq!(
        split(alter, true),
        [
            "ALTER TABLE d.t ADD a INT",
            "ALTER TABLE d.t ADD b INT",
            "ALTER TABLE d.t ADD c INT",
            "ALTER TABLE d.t DROP e",
            "ALTER TABLE d.t RENAME TO d.u",
            "ALTER TABLE d.u ADD INDEX (a)",
        ]
    );
    assert_eq!(
        split("ALTER TABLE t ADD a INT /*!50606 , ADD b INT, ADD c INT */", true),
        [
            "ALTER TABLE t ADD a INT",
            "ALTER TABLE t /*!50606 ADD b INT */",
            "ALTER TABLE t /*!50606 ADD c INT */"
        ]
    );
    assert_eq!(
        split("ALTER TABLE t ADD a INT PARTITION BY HASH(a)", true),
        ["ALTER TABLE t ADD a INT ", "ALTER TABLE t PARTITION BY HASH(a)"].map(str::trim_end)
    );
}

#[test]
fn every_piece_of_every_statement_parses() {
    for text in statements() {
        let ddl = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        for piece in ddl.split_changes().unwrap_or_else(|error| panic!("{error}\n{text}")) {
            assert!(!piece.text().is_empty(), "{text}");
        }
        let again = ddl.idempotent();
        ddl::parse(&again, SqlMode::default()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    }
}

#[test]
fn idempotent_forms() {
    let table = [
        ("CREATE TABLE t (a INT)", "CREATE TABLE IF NOT EXISTS t (a INT)"),
        ("CREATE TABLE IF NOT EXISTS t (a INT)", "CREATE TABLE IF NOT EXISTS t (a INT)"),
        ("CREATE OR REPLACE TABLE t (a INT)", "CREATE OR REPLACE TABLE t (a INT)"),
        ("CREATE TABLE t LIKE u", "CREATE TABLE IF NOT EXISTS t LIKE u"),
        ("CREATE TABLE`t`(a INT)", "CREATE TABLE IF NOT EXISTS`t`(a INT)"),
        ("CREATE DATABASE d", "CREATE DATABASE IF NOT EXISTS d"),
        ("DROP TABLE a, b", "DROP TABLE IF EXISTS a, b"),
        ("DROP SCHEMA d", "DROP SCHEMA IF EXISTS d"),
        ("ALTER TABLE t ADD a INT", "ALTER TABLE t ADD a INT"),
        ("CREATE TABLE t (a INT) START TRANSACTION", "CREATE TABLE IF NOT EXISTS t (a INT) "),
    ];
    for (text, expected) in table {
        let ddl = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        assert_eq!(String::from_utf8_lossy(&ddl.idempotent()), expected);
    }
}

#[test]
fn what_a_target_gets() {
    let table = [
        ("DROP TABLE`t`", "DROP TABLE IF EXISTS`cur_s`.`t_t`"),
        ("CREATE TABLE d.t (a INT) START TRANSACTION", "CREATE TABLE IF NOT EXISTS `d_s`.`t_t` (a INT) "),
        ("DROP DATABASE d", "DROP DATABASE IF EXISTS `d_s`"),
        ("ALTER TABLE t ADD a INT", "ALTER TABLE `cur_s`.`t_t` ADD a INT"),
    ];
    for (text, expected) in table {
        let ddl = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        let got = sql::rename::rename_idempotent(&ddl, "cur", map).unwrap();
        assert_eq!(String::from_utf8_lossy(&got), expected);
    }
}

#[test]
fn kinds_and_tables_agree_with_classify() {
    for text in statements() {
        let ddl = ddl::parse(text.as_bytes(), SqlMode::default()).unwrap();
        let found = sql::classify(text.as_bytes(), SqlMode::default());
        assert_eq!(ddl.kind(), found.kind, "{text}");
        assert_eq!(ddl.database(), found.database.as_deref(), "{text}");
        if found.kind.is_ddl() {
            assert_eq!(ddl.tables(), found.tables, "{text}");
        }
    }
}
