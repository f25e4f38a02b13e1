//! Kinds of tables and columns of MariaDB that others do not have, and partial JSON of MySQL.

use testkit::{Kind, Options, Server, WorkDir};

use super::{
    bad_input::says,
    rig::{LIMIT, Rig, dump, stop},
};

fn rig(source: Kind, target: Kind) -> Option<Rig> {
    Some(Rig {
        sources: vec![Server::start_or_skip(source, Options::default())?],
        target: Server::start_or_skip(target, Options::default())?,
        dir: WorkDir::new("maria").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    })
}

fn rows(server: &Server, table: &str, columns: &str) -> Vec<String> {
    let rows = server.rows(format!("SELECT CONCAT_WS('|',{columns}) FROM d.{table}"));
    let mut rows: Vec<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
    rows.sort();
    rows
}

const TABLES: &str = "
CREATE TABLE d.hidden (id int PRIMARY KEY, v int, w varchar(9)) WITH SYSTEM VERSIONING;
CREATE TABLE d.part (id int PRIMARY KEY, v int, w varchar(9) WITHOUT SYSTEM VERSIONING) WITH SYSTEM VERSIONING;
CREATE TABLE d.bycolumn (id int PRIMARY KEY, v int WITH SYSTEM VERSIONING, w varchar(9));
CREATE TABLE d.explicit (id int PRIMARY KEY, v int, s timestamp(6) GENERATED ALWAYS AS ROW START, e timestamp(6) GENERATED ALWAYS AS ROW END,
  w varchar(9), PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING;
CREATE TABLE d.unseen (s timestamp(6) AS ROW START INVISIBLE, id int, v int, w varchar(9), e timestamp(6) AS ROW END INVISIBLE,
  PERIOD FOR SYSTEM_TIME (s, e), UNIQUE KEY (id)) WITH SYSTEM VERSIONING;
CREATE TABLE d.nokey (id int, v int, w varchar(9)) WITH SYSTEM VERSIONING;
CREATE TABLE d.parts (id int PRIMARY KEY, v int, w varchar(9)) WITH SYSTEM VERSIONING PARTITION BY SYSTEM_TIME (PARTITION h HISTORY, PARTITION c CURRENT);
CREATE TABLE d.alike LIKE d.hidden";

const NAMES: [&str; 8] = ["hidden", "part", "bycolumn", "explicit", "unseen", "nokey", "parts", "alike"];

fn is_versioned(source: &Server, table: &str) -> bool {
    let kind = format!(
        "SELECT TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA='d' AND TABLE_NAME='{table}'"
    );
    source.value(kind) == "SYSTEM VERSIONED"
}

/// Every kind of change, on every table.
fn change(source: &Server, tables: &[&str], base: u32) {
    for table in tables {
        let row = |n: u32, w: &str| format!("({}, {n}, '{w}')", base + n);
        source.sql(format!(
            "INSERT INTO d.{table} (id, v, w) VALUES {},{},{},{},{}; UPDATE d.{table} SET v=v+100 WHERE id>={base} AND id<{base}+3; \
             UPDATE d.{table} SET w='again' WHERE id={base}+1; DELETE FROM d.{table} WHERE id={base}+2; \
             REPLACE INTO d.{table} (id, v, w) VALUES {}; BEGIN; INSERT INTO d.{table} (id, v, w) VALUES {}; UPDATE d.{table} SET v=9 WHERE id={base}+8; \
             DELETE FROM d.{table} WHERE id={base}+4; COMMIT",
            row(1, "a"), row(2, "b"), row(3, "c"), row(4, "d"), row(5, "e"), row(3, "new"), row(8, "tx"),
        ));
        if *table != "nokey" {
            source.sql(format!(
                "INSERT INTO d.{table} (id, v, w) VALUES {} ON DUPLICATE KEY UPDATE v=77; UPDATE d.{table} SET id=id+50 WHERE id={base}+5",
                row(1, "upsert")
            ));
        }
        if is_versioned(source, table) {
            source.sql(format!("DELETE HISTORY FROM d.{table}"));
        }
        source.sql(format!("UPDATE d.{table} SET v=v+1 WHERE id={base}+3"));
    }
}

fn versioned(target: Kind) {
    let Some(mut rig) = rig(Kind::MariaDb1011, target) else { return };
    let source = &rig.sources[0];
    source.sql("CREATE DATABASE d");
    rig.target.sql("CREATE DATABASE d");
    // There before the task, with period columns that are plain ones in the target.
    source.sql(
        "CREATE TABLE d.before_it (id int PRIMARY KEY, v int, w varchar(9)) WITH SYSTEM VERSIONING; \
         CREATE TABLE d.plain (id int PRIMARY KEY, v int, w varchar(9), s timestamp(6) GENERATED ALWAYS AS ROW START, \
         e timestamp(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
    );
    rig.target.sql(
        "CREATE TABLE d.before_it (id int PRIMARY KEY, v int, w varchar(9)); \
         CREATE TABLE d.plain (id int PRIMARY KEY, v int, w varchar(9), s timestamp(6) NULL, e timestamp(6) NULL)",
    );
    rig.meta = vec![super::rig::position(source)];
    let same = |rig: &Rig, log: &str| {
        for table in NAMES.iter().chain(&["before_it"]) {
            let wanted = rows(&rig.sources[0], table, "id,v,w");
            assert!(wanted.len() >= 4, "{table}: {wanted:?}");
            assert_eq!(rows(&rig.target, table, "id,v,w"), wanted, "{table}: {log}");
        }
        let times = "id,v,w,UNIX_TIMESTAMP(s),UNIX_TIMESTAMP(e)";
        assert_eq!(rows(&rig.target, "plain", times), rows(&rig.sources[0], "plain", times), "{log}");
    };
    let all = || -> Vec<&str> { [NAMES.as_slice(), &["before_it", "plain"]].concat() };
    let mut tool = rig.start();
    source.sql(TABLES);
    change(source, &all(), 1000);
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    same(&rig, &log);
    // Structures come from the checkpoint now. Versioning goes, comes, and stays over other changes.
    change(source, &all(), 2000);
    source.sql(
        "SET system_versioning_alter_history=KEEP; ALTER TABLE d.hidden ADD COLUMN x int DEFAULT 4 AFTER id; ALTER TABLE d.nokey DROP SYSTEM VERSIONING; \
         ALTER TABLE d.alike DROP SYSTEM VERSIONING, ADD COLUMN x int; \
         SET system_versioning_insert_history=1; INSERT INTO d.part (id, v, w, row_start, row_end) VALUES (1, 1, 'past', '2020-01-01', '2021-01-01')",
    );
    source.sql("INSERT INTO d.nokey VALUES (1,1,'q'),(1,1,'q'); DELETE FROM d.nokey LIMIT 1; UPDATE d.alike SET x=3; DELETE FROM d.alike WHERE id=2008");
    source.sql("ALTER TABLE d.nokey ADD SYSTEM VERSIONING; UPDATE d.nokey SET v=5 LIMIT 2; DELETE FROM d.nokey LIMIT 1");
    change(source, &all(), 3000);
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    same(&rig, &log);
    for table in ["hidden", "alike"] {
        let columns = "id,v,w,IFNULL(x,'-')";
        assert_eq!(rows(&rig.target, table, columns), rows(&rig.sources[0], table, columns));
    }
    assert!(!log.contains("ER_KEY_NOT_FOUND") && !log.contains("[ERROR]"), "{log}");
}

#[test]
fn versioned_tables_in_mysql() {
    versioned(Kind::MySql8033);
}

#[test]
fn versioned_tables_in_mariadb() {
    versioned(Kind::MariaDb1011);
}

/// MariaDB logs what changes these as statements.
#[test]
fn tables_versioned_by_transaction_are_refused() {
    let Some(mut rig) = rig(Kind::MariaDb1011, Kind::MySql8033) else { return };
    let by_transaction = "(id int PRIMARY KEY, v int, s bigint unsigned GENERATED ALWAYS AS ROW START, e bigint unsigned GENERATED ALWAYS AS ROW END, \
         PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING ENGINE=InnoDB";
    rig.sources[0].sql(format!("CREATE DATABASE d; CREATE TABLE d.trx {by_transaction}"));
    rig.target.sql("CREATE DATABASE d; CREATE TABLE d.trx (id int PRIMARY KEY, v int); CREATE TABLE d.late (id int PRIMARY KEY, v int)");
    rig.note_positions();
    let ended = rig.start().finish(LIMIT).expect_code(1);
    let last = ended.stderr.lines().rfind(|line| !line.is_empty()).unwrap().to_owned();
    says(&last, &["`d`.`trx` is versioned by transaction ids", "block-allow-list"]);
    // One that is made later.
    rig.sources[0].sql("DROP TABLE d.trx");
    rig.note_positions();
    rig.target.sql("DROP DATABASE dm_meta");
    let mut tool = rig.start();
    tool.wait_until(LIMIT, "it reads", |t| t.stderr_so_far().contains("replicate binlog from checkpoint"));
    rig.sources[0]
        .sql(format!("CREATE TABLE d.late {by_transaction}; INSERT INTO d.late (id, v) VALUES (1, 1)"));
    let ended = tool.finish(LIMIT).expect_code(1);
    let last = ended.stderr.lines().rfind(|line| !line.is_empty()).unwrap().to_owned();
    says(&last, &["code=36014", "`d`.`late`", "versioned by transaction ids", "INSERT INTO d.late"]);
}

#[test]
fn compressed_columns() {
    for target in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut rig) = rig(Kind::MariaDb1011, target) else { return };
        let columns = |c: &str| {
            format!(
                "CREATE DATABASE d; CREATE TABLE d.c (id int PRIMARY KEY, a varchar(20) {c} DEFAULT 'q', b text {c}, e blob {c}, f varbinary(3000) {c}, \
                 g varchar(300) {c} CHARACTER SET utf8mb4, h mediumtext {c} CHARACTER SET latin1) DEFAULT CHARSET=utf8mb4; \
                 CREATE TABLE d.w (a varchar(200) {c}, e blob {c}) DEFAULT CHARSET=latin1"
            )
        };
        rig.sources[0].sql(columns("COMPRESSED"));
        rig.target.sql(columns(""));
        rig.note_positions();
        rig.sources[0].sql(
            "INSERT INTO d.c VALUES (1,REPEAT('ab',9),REPEAT('x',30000),REPEAT(0x00ff,20000),REPEAT(0x0027,1200),REPEAT('é',200),REPEAT('ü',70000)), \
             (2,'','','','','',''), (3,NULL,NULL,NULL,NULL,NULL,NULL), (4,DEFAULT,'a',0x00,0x0000,'€','é'), (5,'it''s\\\\',REPEAT('\\'\\n',99),'x',0xff,'\\0','z'); \
             UPDATE d.c SET b=CONCAT(b,REPEAT('y',500)) WHERE id<3; UPDATE d.c SET a='zz' WHERE id=4; DELETE FROM d.c WHERE id=5; \
             INSERT INTO d.w VALUES (REPEAT('é',150),REPEAT('q',500)),('a',NULL),('','b'); UPDATE d.w SET a=REPEAT('w',180) WHERE a='a'; DELETE FROM d.w WHERE e='b'",
        );
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        for table in ["d.c", "d.w"] {
            let (mut there, mut wanted) = (dump(&rig.target, table), dump(&rig.sources[0], table));
            there.sort();
            wanted.sort();
            assert_eq!(there, wanted, "{log}");
        }
        assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    }
}

/// Documents that come as differences.
#[test]
fn partial_json() {
    for kind in [Kind::MySql8033, Kind::MySql97] {
        let Some(mut rig) = rig(kind, Kind::MySql8033) else { return };
        for server in [&rig.sources[0], &rig.target] {
            server.sql("CREATE DATABASE d; CREATE TABLE d.j (id int PRIMARY KEY, a json, v int, b json); CREATE TABLE d.n (a json, v int)");
        }
        rig.note_positions();
        rig.sources[0].sql("SET GLOBAL binlog_row_value_options='PARTIAL_JSON'");
        rig.sources[0].sql(
            "INSERT INTO d.j VALUES (1,JSON_OBJECT('k',REPEAT('x',3000),'n',1,'l',JSON_ARRAY(1,2,3)),1,JSON_OBJECT('p',REPEAT('y',2000),'q','it''s')),(2,NULL,2,'[]'); \
             UPDATE d.j SET a=JSON_SET(a,'$.n',12.5,'$.l[1]','zwei'), v=5 WHERE id=1; UPDATE d.j SET b=JSON_REPLACE(b,'$.q','neu'), a=JSON_REMOVE(a,'$.l[0]') WHERE id=1; \
             UPDATE d.j SET v=6; UPDATE d.j SET a='{}' WHERE id=2; INSERT INTO d.n SELECT a, v FROM d.j; UPDATE d.n SET a=JSON_SET(a,'$.n',3); \
             DELETE FROM d.n WHERE JSON_LENGTH(a)=1",
        );
        let partial = rig.sources[0].rows("SHOW BINLOG EVENTS IN 'binlog.000001'");
        let found = partial.iter().any(|row| row.text("Event_type").unwrap() == "Update_rows_partial");
        assert!(
            found || !rig.sources[0].value("SELECT @@log_bin_basename").ends_with("/binlog"),
            "no partial events"
        );
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        for table in ["d.j", "d.n"] {
            let (mut there, mut wanted) = (dump(&rig.target, table), dump(&rig.sources[0], table));
            there.sort();
            wanted.sort();
            assert_eq!(there, wanted, "{log}");
        }
        assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    }
}
