//! A statement whose names the target has already: it counts as done only if what is there is what it makes.

use testkit::Options;

use super::{
    bad_input::{fails, goes_on, says, small},
    rig::{Rig, stop},
};

fn rig() -> Option<Rig> {
    let mut rig = small(Options::default())?;
    rig.task.push_str("syncers:\n  sync: {worker-count: 2, checkpoint-flush-interval: 1}\n");
    for server in [&rig.sources[0], &rig.target] {
        server.sql("INSERT INTO d.t VALUES (1,'a'),(2,'b')");
    }
    rig.note_positions();
    Some(rig)
}

/// It pauses and says so; after the target is corrected it goes on.
fn pauses(rig: &Rig, target: &str, source: &str, words: &[&str], correction: &str) {
    rig.target.sql(target);
    rig.sources[0].sql(source);
    let text = fails(rig);
    says(&text, words);
    says(&text, &["code=10006", "startLocation", "resume-task"]);
    rig.target.sql(correction);
    goes_on(rig);
}

#[test]
fn an_index_that_is_another() {
    let Some(rig) = rig() else { return };
    pauses(
        &rig,
        "ALTER TABLE d.t ADD KEY u (v)",
        "ALTER TABLE d.t ADD UNIQUE KEY u (v)",
        &["Error 1061", "index `u`", "it is `KEY (v)`", "makes `UNIQUE KEY (v)`"],
        "ALTER TABLE d.t DROP KEY u",
    );
    let uniques = "SELECT GROUP_CONCAT(INDEX_NAME ORDER BY 1) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='d' AND NON_UNIQUE=0";
    assert_eq!(rig.target.value(uniques), "PRIMARY,u");
    pauses(
        &rig,
        "ALTER TABLE d.t ADD UNIQUE KEY w (v,id)",
        "CREATE UNIQUE INDEX w ON d.t (v(10))",
        &["Error 1061", "it is `UNIQUE KEY (v,id)`", "makes `UNIQUE KEY (v(10))`"],
        "ALTER TABLE d.t DROP KEY w, ADD UNIQUE KEY w (v(10))",
    );
    for server in [&rig.sources[0], &rig.target] {
        server.sql("SET sql_log_bin=0; CREATE TABLE d.p (a int NOT NULL, b int NOT NULL)");
    }
    pauses(
        &rig,
        "ALTER TABLE d.p ADD PRIMARY KEY (b)",
        "ALTER TABLE d.p ADD PRIMARY KEY (a)",
        &["Error 1068", "it is `PRIMARY KEY (b)`", "makes `PRIMARY KEY (a)`"],
        "ALTER TABLE d.p DROP PRIMARY KEY",
    );
    // One of several changes.
    pauses(
        &rig,
        "ALTER TABLE d.t ADD COLUMN n int, ADD KEY x (n)",
        "ALTER TABLE d.t ADD COLUMN n int, ADD UNIQUE KEY x (n), ADD COLUMN m int",
        &["Error 1061", "it is `KEY (n)`"],
        "ALTER TABLE d.t DROP KEY x",
    );
}

#[test]
fn a_column_that_is_another() {
    let Some(rig) = rig() else { return };
    pauses(
        &rig,
        "ALTER TABLE d.t ADD COLUMN a int DEFAULT 7",
        "ALTER TABLE d.t ADD COLUMN a int NOT NULL DEFAULT 5",
        &["Error 1060", "column `a`", "DEFAULT '7'", "DEFAULT '5'"],
        "ALTER TABLE d.t DROP COLUMN a",
    );
    pauses(
        &rig,
        "ALTER TABLE d.t ADD COLUMN b varchar(3)",
        "ALTER TABLE d.t ADD COLUMN b varchar(30)",
        &["Error 1060", "varchar(3)", "varchar(30)"],
        "ALTER TABLE d.t MODIFY b varchar(30)",
    );
    pauses(
        &rig,
        "ALTER TABLE d.t ADD COLUMN c enum('y','x')",
        "ALTER TABLE d.t ADD COLUMN c enum('x','y')",
        &["Error 1060", "enum('y','x')"],
        "ALTER TABLE d.t DROP COLUMN c",
    );
    // Of the same type, but the rows that were there have other values, or later ones do not fit.
    for (there, wanted) in [
        ("int", "int NOT NULL"),
        ("int NOT NULL DEFAULT 3", "int NOT NULL"),
        ("varchar(9) DEFAULT '07'", "varchar(9) DEFAULT '7'"),
        ("varchar(9) DEFAULT 'inf'", "varchar(9) DEFAULT 'infinity'"),
        ("datetime", "datetime(3)"),
        ("decimal(10,2)", "decimal(10,4)"),
        ("decimal(10,4)", "decimal(10,2)"),
        ("enum('x')", "enum('x','y')"),
    ] {
        pauses(
            &rig,
            &format!("ALTER TABLE d.t ADD COLUMN g {there}"),
            &format!("ALTER TABLE d.t ADD COLUMN g {wanted}"),
            &["Error 1060", "column `g` already, but another one"],
            "ALTER TABLE d.t DROP COLUMN g",
        );
        rig.sources[0].sql("ALTER TABLE d.t DROP COLUMN g");
        goes_on(&rig);
    }
    // Not there at all: what it hangs on is missing.
    for server in [&rig.sources[0], &rig.target] {
        server.sql("SET sql_log_bin=0; CREATE TABLE d.o (id int PRIMARY KEY, v int, KEY k (v))");
    }
    rig.sources[0].sql("SET sql_log_bin=0; ALTER TABLE d.o ADD COLUMN s int, ADD KEY l (v,id)");
    for (statement, words) in [
        ("ALTER TABLE d.o ADD COLUMN z int AFTER s", ["Error 1054", "column `z` and does not get it"]),
        ("ALTER TABLE d.o CHANGE s s2 int", ["Error 1054", "neither the column `s` nor `s2`"]),
        ("ALTER TABLE d.o MODIFY s2 bigint", ["Error 1054", "no column `s2`"]),
        ("ALTER TABLE d.o RENAME KEY l TO l2", ["Error 1176", "neither the index `l` nor `l2`"]),
    ] {
        let correction = match statement {
            _ if statement.contains("AFTER s") => "ALTER TABLE d.o ADD COLUMN z int",
            _ if statement.contains("CHANGE") => "ALTER TABLE d.o ADD COLUMN s2 int",
            _ if statement.contains("MODIFY") => "DO 1",
            _ => "ALTER TABLE d.o ADD KEY l2 (v,id)",
        };
        if statement.contains("MODIFY") {
            rig.target.sql("ALTER TABLE d.o DROP COLUMN s2");
            pauses(&rig, "DO 1", statement, &words, "ALTER TABLE d.o ADD COLUMN s2 int");
            continue;
        }
        pauses(&rig, "DO 1", statement, &words, correction);
    }
}

#[test]
fn a_table_that_has_both_names() {
    let Some(rig) = rig() else { return };
    for server in [&rig.sources[0], &rig.target] {
        server.sql(
            "SET sql_log_bin=0; CREATE TABLE d.a (id int PRIMARY KEY); CREATE TABLE d.e (id int PRIMARY KEY)",
        );
    }
    for (name, statement) in [("a", "RENAME TABLE d.a TO d.b"), ("e", "ALTER TABLE d.e RENAME TO d.f")] {
        let new = if name == "a" { "b" } else { "f" };
        pauses(
            &rig,
            &format!("CREATE TABLE d.{new} (id int PRIMARY KEY)"),
            statement,
            &["Error 1050", &format!("the target has `d`.`{name}` still, and a table `d`.`{new}` too")],
            &format!("DROP TABLE d.{new}"),
        );
        rig.sources[0].sql(format!("INSERT INTO d.{new} VALUES (1)"));
        goes_on(&rig);
        assert_eq!(rig.target.value(format!("SELECT COUNT(*) FROM d.{new}")), "1");
    }
}

/// A table that is there already is told with what it lacks; it stops nothing.
#[test]
fn a_table_that_is_another() {
    let Some(rig) = rig() else { return };
    rig.target.sql("CREATE TABLE d.a (id bigint, v varchar(3)); CREATE TABLE d.b (x int, id bigint PRIMARY KEY, v varchar(9))");
    rig.sources[0].sql(
        "CREATE TABLE d.a (id int PRIMARY KEY, v varchar(9), w int, UNIQUE KEY (w)); CREATE TABLE d.b (id int PRIMARY KEY, v varchar(9)); \
         CREATE TABLE d.c (id int PRIMARY KEY, v text(70000), w bool, x real, y int(4), z char byte, s serial) CHARACTER SET utf8",
    );
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let told: Vec<&str> = log.lines().filter(|line| line.contains("[WARN]")).collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    says(
        told[0],
        &["`d`.`a`", "`v` `varchar(3)`", "no column `w`", "no `PRIMARY KEY (id)`", "no `UNIQUE KEY (w)`"],
    );
    let same = |line: &&str| line.contains("is there already") && line.contains("`d`.`b`");
    assert_eq!(log.lines().filter(same).count(), 1, "{log}");
}

/// What the target has already, in the same form or a harmless other one, is passed over; only the latter is warned of.
#[test]
fn what_is_the_same() {
    let Some(rig) = rig() else { return };
    let mut columns: Vec<String> = [
        "int",
        "int NOT NULL",
        "int unsigned DEFAULT 0",
        "bigint NOT NULL DEFAULT '5'",
        "tinyint(1) DEFAULT true",
        "bool NOT NULL DEFAULT false",
        "decimal(10,2) DEFAULT 0",
        "decimal(5) DEFAULT 1.0",
        "double DEFAULT 1e3",
        "float",
        "bit(3) DEFAULT b'101'",
        "bit DEFAULT 1",
        "varchar(20) DEFAULT ''",
        "varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'x'",
        "char DEFAULT 'y'",
        "national varchar(5)",
        "text",
        "binary(3)",
        "varbinary(9) DEFAULT 0x61",
        "blob",
        "date DEFAULT '2024-01-02'",
        "datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3)",
        "timestamp NULL",
        "timestamp NOT NULL DEFAULT now()",
        "time(6)",
        "year DEFAULT 2020",
        "enum('x','it''s') DEFAULT 'x'",
        "set('x','y') DEFAULT 'x,y'",
        "json",
        "json DEFAULT (json_array())",
        "varchar(40) DEFAULT (concat('a','b'))",
        "int AS (id + 1) STORED",
        "varchar(9) GENERATED ALWAYS AS (concat(v,'x')) VIRTUAL",
        "geometry",
        "int COMMENT 'c' INVISIBLE",
        "serial",
    ]
    .iter()
    .enumerate()
    .map(|(n, definition)| format!("ALTER TABLE d.t ADD COLUMN c{n} {definition}"))
    .collect();
    columns.extend(
        [
            "ALTER TABLE d.t ADD KEY k1 (v), ADD UNIQUE KEY k2 (v(5),c0), ADD UNIQUE k3 (c1 DESC, id)",
            "CREATE UNIQUE INDEX k4 ON d.t (v, (id + 1))",
            "CREATE FULLTEXT INDEX k5 ON d.t (c16)",
            "ALTER TABLE d.t ADD INDEX k6 (V)",
            "CREATE TABLE d.x (id int PRIMARY KEY)",
            "CREATE TABLE d.z (id int PRIMARY KEY)",
        ]
        .map(str::to_owned),
    );
    let later = [
        "ALTER TABLE d.t CHANGE c0 d0 bigint, RENAME COLUMN c1 TO d1, RENAME INDEX k1 TO k7",
        "ALTER TABLE d.t ALTER COLUMN d0 SET DEFAULT 3, DROP COLUMN c9, DROP KEY k6",
        "ALTER TABLE d.z ADD COLUMN p int NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (id, p)",
        "DROP TABLE d.x",
    ]
    .map(str::to_owned);
    let mut passed = 0;
    for statements in [columns.as_slice(), &later] {
        for server in [&rig.target, &rig.sources[0]] {
            statements.iter().for_each(|statement| server.sql(statement));
        }
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        let strange: Vec<&str> = log
            .lines()
            .filter(|line| line.contains("[WARN]") || line.contains("the target differs"))
            .collect();
        assert!(strange.is_empty(), "{strange:#?}");
        passed += log.matches("the work of the DDL is done already").count();
    }
    assert!(passed > 40, "{passed}");
    // Other, and harmless.
    rig.target.sql(
        "ALTER TABLE d.t ADD COLUMN h1 bigint DEFAULT 4, ADD COLUMN h2 varchar(50), ADD KEY h3 (v,id), ADD COLUMN h4 decimal(12,4), \
         ADD COLUMN h5 mediumtext, ADD COLUMN h6 enum('x','y','z'), ADD COLUMN h7 datetime(6), ADD COLUMN h8 int NOT NULL DEFAULT 0, RENAME TO d.u",
    );
    rig.sources[0].sql(
        "ALTER TABLE d.t RENAME TO d.u; ALTER TABLE d.u ADD COLUMN h1 int DEFAULT 4; ALTER TABLE d.u ADD COLUMN h2 varchar(30); \
         ALTER TABLE d.u ADD KEY h3 (v); ALTER TABLE d.u ADD COLUMN h4 decimal(10,2); ALTER TABLE d.u ADD COLUMN h5 varchar(99); \
         ALTER TABLE d.u ADD COLUMN h6 enum('x','y'); ALTER TABLE d.u ADD COLUMN h7 datetime(3); ALTER TABLE d.u ADD COLUMN h8 int NOT NULL; \
         INSERT INTO d.u (id,d1,h1,h2,h8) VALUES (7,1,2,'x',5)",
    );
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert_eq!(log.matches("but the target differs").count(), 7, "{log}");
    assert_eq!(rig.target.value("SELECT CONCAT(h1,h2,h8) FROM d.u WHERE id=7"), "2x5");
}
