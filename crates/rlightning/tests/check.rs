//! `rlightning check` against real servers: what it says is what the import meets.

use testkit::{Kind, Options, Server};

use crate::support::{Task, rlightning};

const TARGET: &str = "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, e enum('a','b'), s set('x','y'), n tinyint, \
     m decimal(5,2), day date, at timestamp NULL, must int NOT NULL, g int AS (must * 2), c varchar(4) CHARACTER SET latin1, j json)";

const SOURCE: &str = "CREATE TABLE `t` (`id` int NOT NULL, `e` enum('a','b','c'), `s` set('x','y','z'), `n` int, `m` decimal(9,2), \
     `day` date, `at` timestamp NULL, `must` int, `c` varchar(40), `j` text, PRIMARY KEY (`id`)) DEFAULT CHARSET=utf8mb4;\n";

/// A row that fits, with one cell changed.
fn row(id: usize, changed: usize, value: &str) -> String {
    let mut cells =
        ["0", "'a'", "'x,y'", "1", "1.00", "'2024-02-31'", "'2024-02-29 00:00:00'", "1", "'ab'", "'[]'"]
            .map(str::to_owned);
    cells[0] = id.to_string();
    if changed > 0 {
        value.clone_into(&mut cells[changed]);
    }
    format!("({})", cells.join(","))
}

const BAD: [(usize, &str, &str); 11] = [
    (1, "'c'", "values of `e` are not in the list of the target's column: 'c' at d.t.0.sql byte"),
    (2, "'x,z'", "values of `s` are not in the list of the target's column: 'x,z' at"),
    (3, "200", "values of `n` are out of range of the target's column: 200 at"),
    (4, "1000.5", "values of `m` are out of range of the target's column: 1000.5 at"),
    (
        5,
        "'2024-13-01'",
        "values of `day` are no dates or times that the target's column takes: '2024-13-01' at",
    ),
    (6, "'2024-02-30 00:00:00'", "values of `at` are no dates or times"),
    (6, "'2040-01-01 00:00:00'", "values of `at` are no dates or times"),
    (7, "NULL", "values of `must` are NULL, and the target's column is NOT NULL: NULL at"),
    (8, "'abcde'", "values of `c` are too long for the target's column: 'abcde' at"),
    (8, "'ł'", "values of `c` have characters that the target's column does not have: 'ł' at"),
    (9, "'{'", "values of `j` are no JSON: '{' at"),
];

fn check(task: &Task) -> testkit::tool::Finished {
    drop(task.tool());
    rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml")).run()
}

#[test]
fn values_that_the_target_refuses_are_found_beforehand() {
    for kind in [Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(TARGET);
        let text = |rows: &[String]| format!("INSERT INTO `t` VALUES\n{};\n", rows.join(",\n"));
        // Each by itself: the check names it, and the target refuses it.
        // MariaDB's JSON is a text with a CHECK, which only the server can work out.
        let seen = |column: usize| column < 9 || kind != Kind::MariaDb1011;
        for (column, value, said) in BAD.into_iter().filter(|(column, ..)| seen(*column)) {
            let task = Task::new(server.port());
            task.write("d.t-schema.sql", SOURCE);
            let rows = [row(1, 0, ""), row(2, column, value)];
            task.write("d.t.0.sql", text(&rows));
            let done = check(&task).failure();
            assert!(
                done.stdout.contains(&format!("PROBLEM: 1 {said}")),
                "{kind:?} {value}: {}",
                done.shown()
            );
            let at = text(&rows).find("(2,").unwrap();
            assert!(done.stdout.contains(&format!("d.t.0.sql byte {at}")), "{at}: {}", done.shown());
            assert!(done.stdout.contains("check failed: 1 problem"), "{}", done.shown());
            task.fails("restore table `d`.`t` failed: file 'd.t.0.sql'");
            assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
        }
        // All together, many times, in one pass.
        let task = Task::new(server.port());
        task.write("d.t-schema.sql", SOURCE);
        for file in 0..2 {
            let rows: Vec<String> = (0..50 * BAD.len())
                .map(|number| (number, BAD[number % BAD.len()]))
                .map(|(number, (column, value, _))| row(file * 1000 + number, column, value))
                .collect();
            task.write(&format!("d.t.{file}.sql"), text(&rows));
        }
        let shown = check(&task).failure().stdout;
        for (_, _, said) in BAD.into_iter().filter(|(column, ..)| seen(*column)) {
            let expected = said.split(':').next().unwrap();
            let count = if matches!(BAD.iter().filter(|(.., other)| other.starts_with(expected)).count(), 2)
                || expected.contains("`at`")
            {
                200
            } else {
                100
            };
            assert!(shown.contains(&format!("PROBLEM: {count} {expected}")), "{expected}: {shown}");
        }
        // What fits passes, and loads.
        let task = Task::new(server.port());
        task.write("d.t-schema.sql", SOURCE);
        let rows: Vec<String> = (0..300).map(|number| row(number, 0, "")).collect();
        task.write("d.t.0.sql", text(&rows));
        check(&task).success();
        task.import();
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "300");
    }
}

#[test]
fn values_are_hidden_on_request_and_generated_columns_named() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(TARGET);
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", "INSERT INTO `t` (id, must, g, e) VALUES (1, 2, 4, 'secret-value');\n");
    task.set("security", "redact-info-log = true");
    let done = check(&task).failure();
    assert!(
        done.stdout.contains("1 values of `g` are for a column that the target generates"),
        "{}",
        done.shown()
    );
    assert!(
        done.stdout.contains("`e` are not in the list of the target's column: (hidden) at d.t.0.sql byte")
    );
    assert!(!done.shown().contains("secret-value"), "{}", done.shown());
}

/// The dump's schema is that of the target, and its data fit neither: files written by hand, or by a server that was not strict.
#[test]
fn values_that_do_not_fit_the_dumps_own_schema_are_found() {
    const SAME: &str = "CREATE TABLE `t` (`id` int NOT NULL, `e` enum('a','b'), `s` set('x','y'), `n` tinyint, `m` decimal(5,2), \
         `day` date, `at` timestamp NULL, `must` int NOT NULL, `c` varchar(4) CHARACTER SET latin1, `j` json, PRIMARY KEY (`id`)) \
         DEFAULT CHARSET=utf8mb4;\n";
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let seen = |column: usize| column < 9 || kind != Kind::MariaDb1011;
        for (column, value, said) in BAD.into_iter().filter(|(column, ..)| seen(*column)) {
            // The table is there, or only the dump's schema file tells it.
            for exists in [true, false] {
                server.sql("DROP DATABASE IF EXISTS d; CREATE DATABASE d");
                if exists {
                    server.sql(format!("USE d; {SAME}"));
                }
                let task = Task::new(server.port());
                task.write("d.t-schema.sql", SAME);
                let text =
                    format!("INSERT INTO `t` VALUES\n{},\n{};\n", row(1, 0, ""), row(2, column, value));
                task.write("d.t.0.sql", &text);
                let done = check(&task).failure();
                assert!(done.stdout.contains(&format!("PROBLEM: 1 {said}")), "{kind:?}: {}", done.shown());
                let at = format!("d.t.0.sql byte {}", text.find("(2,").unwrap());
                assert!(done.stdout.contains(&at), "{at}: {}", done.shown());
                task.fails("restore table `d`.`t` failed: file 'd.t.0.sql'");
                assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
            }
        }
    }
}

/// At the edge of what columns hold: the check says what the target does.
#[test]
fn lengths_are_those_of_the_column_and_not_of_the_file() {
    const TABLE: &str = "CREATE TABLE `t` (`v` varchar(3), `c` char(3), `l` tinytext CHARACTER SET latin1, `u` tinytext, \
         `b` varbinary(3), `bits` bit(9)) DEFAULT CHARSET=utf8mb4;\n";
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql("CREATE DATABASE d");
        let wide = |count: usize| format!("'{}'", "é".repeat(count));
        let cells = |changed: usize, value: &str| {
            let (l, u) = (wide(255), wide(127));
            let mut cells = ["'äö    '", "'äö    '", l.as_str(), u.as_str(), "'abc'", "b'111111111'"];
            if let Some(cell) = changed.checked_sub(1) {
                cells[cell] = value;
            }
            format!("({})", cells.join(","))
        };
        let task = Task::new(server.port());
        task.write("d.t-schema.sql", TABLE);
        task.write(
            "d.t.0.sql",
            format!("INSERT INTO `t` VALUES\n{},{};\n", cells(0, ""), cells(6, "'\\0x'")),
        );
        check(&task).success();
        // Servers warn that they cut blanks.
        task.import_expecting(testkit::LogCheck::new().allow("the target warned about rows"));
        assert_eq!(
            server.value("SELECT MIN(CONCAT_WS(',', CHAR_LENGTH(l), LENGTH(u), LENGTH(b))) FROM d.t"),
            "255,254,3"
        );
        for (column, name, value) in [
            (1, "v", "'äö  x'".to_owned()),
            (2, "c", "'äö x'".to_owned()),
            (3, "l", wide(256)),
            (4, "u", wide(128)),
            (5, "b", "'abc '".to_owned()),
            (6, "bits", "'xx'".to_owned()),
            (6, "bits", "-1".to_owned()),
        ] {
            let task = Task::new(server.port());
            task.write("d.t-schema.sql", TABLE);
            task.write("d.t.1.sql", format!("INSERT INTO `t` VALUES\n{};\n", cells(column, &value)));
            let done = check(&task).failure();
            let said = format!("PROBLEM: 1 values of `{name}` are too long for the target's column");
            assert!(done.stdout.contains(&said), "{kind:?} {value}: {}", done.shown());
            assert!(done.stdout.contains("check failed: 1 problem"), "{}", done.shown());
            task.fails("restore table `d`.`t` failed: file 'd.t.1.sql'");
        }
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "2");
    }
}

/// mydumper writes values of generated columns and no column list: every value stands under another column's name.
#[test]
fn rows_with_another_number_of_values_are_counted_and_not_judged() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    const TABLE: &str = "CREATE TABLE `t` (`id` int NOT NULL, `g` int AS (id + 1), `day` date, `n` tinyint, PRIMARY KEY (`id`));\n";
    server.sql(format!("CREATE DATABASE d; USE d; {TABLE}"));
    let rows = "INSERT INTO `t` VALUES\n(1,2,'2024-01-01',3),\n(2,3,'2024-01-02',4);\n";
    let (with_schema, without) = (Task::new(server.port()), Task::new(server.port()));
    with_schema.write("d.t-schema.sql", TABLE);
    with_schema.write("d.t.0.sql", rows);
    let done = check(&with_schema).failure();
    let said = "PROBLEM: 2 rows have another number of values than columns: 4 values for 3 columns at d.t.0.sql byte 23 is the first; \
                the target refuses them (1136)";
    assert!(done.stdout.contains(said), "{}", done.shown());
    assert!(done.stdout.contains("check failed: 1 problem"), "{}", done.shown());
    with_schema.fails("1136");
    // Without a schema file the target's own columns count, as the server has it.
    without.write("d.t.0.sql", rows);
    without.write("d.t.1.sql", "INSERT INTO `t` VALUES (3,DEFAULT,'2024-01-01');\n");
    without.write(
        "d.t.2.sql",
        "INSERT INTO `t` VALUES (4,DEFAULT,'2024-01-01',7),(5,DEFAULT,'2024-01-01',300);\n",
    );
    without.write("d.t.3.sql", "INSERT INTO `t` (id, n) VALUES (6,7),(7);\n");
    let done = check(&without).failure();
    for said in [
        "PROBLEM: 2 rows have another number of values than columns: 3 values for 4 columns at d.t.1.sql byte",
        "PROBLEM: 2 values of `g` are for a column that the target generates: 2 at d.t.0.sql byte 23",
        "PROBLEM: 1 values of `n` are out of range of the target's column: 300 at d.t.2.sql byte",
        "check failed: 3 problems",
    ] {
        assert!(done.stdout.contains(said), "{said}: {}", done.shown());
    }
    // What is left out is not judged.
    let mut task = Task::new(server.port());
    task.write("d.t-schema.sql", "CREATE TABLE `t` (`id` int, `day` date, `n` tinyint);\n");
    task.write("d.t.0.sql", "INSERT INTO `t` VALUES (9,'2024-01-01',300);\n");
    task.set("mydumper", "[[mydumper.ignore-columns]]\ndb = 'd'\ntable = 't'\ncolumns = ['n']");
    check(&task).success();
    task.import();
    assert_eq!(server.value("SELECT CONCAT(id, COALESCE(n, '-')) FROM d.t"), "9-");
}
