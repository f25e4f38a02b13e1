//! Values of every kind, tables of every shape, statements of every kind: the target equals the source.

use testkit::{Kind, Options, Server, WorkDir};

use super::rig::{Rig, dump, stop};

fn rig(kind: Kind) -> Option<Rig> {
    let source = Server::start_or_skip(kind, Options::default().time_zone("+08:00"))?;
    let target = Server::start_or_skip(Kind::MySql8033, Options::default().time_zone("-03:00"))?;
    let mut rig = Rig {
        sources: vec![source],
        target,
        dir: WorkDir::new("types").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d, e]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    rig.note_positions();
    Some(rig)
}

fn same(rig: &Rig, tables: &[&str]) {
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    for table in tables {
        let mut there = dump(&rig.target, table);
        let mut wanted = dump(&rig.sources[0], table);
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted, "{table}: {log}");
    }
}

fn values(kind: Kind, json: bool) {
    let Some(rig) = rig(kind) else { return };
    let source = &rig.sources[0];
    source.sql(
        "SET sql_mode='ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'; CREATE DATABASE d DEFAULT CHARSET latin1; \
         CREATE TABLE d.n (id bigint unsigned PRIMARY KEY, a tinyint, b smallint unsigned, c mediumint, cu mediumint unsigned, d int, \
           e float, f double, g decimal(30,10), h bit(13), y year, k tinyint(1)); \
         INSERT INTO d.n VALUES (0,-128,65535,-8388608,16777215,-2147483648,1.1,1e300,-12345678901234567890.0123456789,b'1010101010101',2155,1), \
           (18446744073709551615,127,0,8388607,8388608,2147483647,-3.4e38,-0.1,0,b'0',0,NULL); \
         CREATE TABLE d.t (id int PRIMARY KEY, a date, b datetime(6), c timestamp(3) NULL, e time(6), f datetime, g timestamp NULL); \
         INSERT INTO d.t VALUES (1,'2024-02-31','2024-01-01 01:02:03.123456','2024-07-01 00:00:00.5','-838:59:59','0000-00-00 00:00:00','0000-00-00 00:00:00'), \
           (2,'0000-00-00','9999-12-31 23:59:59.999999','1970-01-01 08:00:01','00:00:00.000001','2024-00-10 00:00:00','2038-01-19 11:14:07'), \
           (3,NULL,NULL,NULL,NULL,NULL,NULL); \
         CREATE TABLE d.s (id int PRIMARY KEY, a varchar(300), b char(10), c varbinary(300), e binary(5), f text, g blob, \
           h enum('x','y','ä'), i set('p','q','r'), u varchar(50) CHARACTER SET utf8, v varchar(50) CHARACTER SET ucs2, w varchar(40) CHARACTER SET gbk, \
           x varchar(40) CHARACTER SET cp1251); \
         INSERT INTO d.s VALUES (1,'it''s \\\\ \\n \\0 \\Z \\'','pad  ',0x00ff27,0x0100,'','','y','p,r',_utf8 0xe282ac,_ucs2 0x20ac,_gbk 0xd6d0,_cp1251 0xc0), \
           (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL), (3,'','','','','x','y','x','','','','','')",
    );
    // All bytes of latin1, the five holes of cp1252 too.
    let all: String = (0u8..=255).map(|b| format!("{b:02x}")).collect();
    source.sql(format!(
        "INSERT INTO d.s (id,a,c,f,g) VALUES (4,_latin1 0x{all},0x{all},_latin1 0x{all},0x{all})"
    ));
    source.sql("UPDATE d.s SET a=REVERSE(a), b='new' WHERE id=4; UPDATE d.t SET a='2024-01-01' WHERE id=1; DELETE FROM d.n WHERE id=0");
    let mut tables = vec!["d.n", "d.t", "d.s"];
    if json {
        source.sql(
            "CREATE TABLE d.j (id int PRIMARY KEY, j json); \
             INSERT INTO d.j VALUES (1,'{\"a\": [1, 2.5, \"x\\u00e9\", null, true], \"b\": {}}'), (2,'\"it''s\"'), (3,NULL); \
             UPDATE d.j SET j=JSON_SET(j,'$.a[0]',7) WHERE id=1",
        );
        tables.push("d.j");
    }
    same(&rig, &tables);
}

#[test]
fn values_mysql_80() {
    values(Kind::MySql8033, true);
}

#[test]
fn values_mysql_57() {
    values(Kind::MySql57, true);
}

#[test]
fn values_mysql_56() {
    values(Kind::MySql56, false);
}

#[test]
fn values_mariadb() {
    values(Kind::MariaDb1011, false);
}

/// Rows without keys, with several unique keys, moved from key to key in one transaction, and equal under the collation.
#[test]
fn tables_of_every_shape() {
    let Some(rig) = rig(Kind::MySql8033) else { return };
    rig.sources[0].sql(
        "CREATE DATABASE d DEFAULT CHARSET utf8mb4; CREATE TABLE d.none (a varchar(10), b float, c varchar(10)) COLLATE utf8mb4_general_ci; \
         INSERT INTO d.none VALUES ('x',1.1,NULL),('X',1.1,NULL),('x ',1.1,NULL),('é',1.1,NULL),('e',1.1,NULL),('x',1.1,NULL); \
         DELETE FROM d.none WHERE BINARY a='X'; UPDATE d.none SET c='u' WHERE BINARY a='é'; DELETE FROM d.none WHERE BINARY a='x' LIMIT 1; \
         CREATE TABLE d.many (a int PRIMARY KEY, b int UNIQUE, c varchar(10), UNIQUE(c(3)), d int, g int AS (a+b) STORED UNIQUE); \
         INSERT INTO d.many (a,b,c,d) VALUES (1,10,'aaa1',1),(2,20,'bbb1',1),(3,NULL,'ccc1',1); \
         BEGIN; UPDATE d.many SET b=99 WHERE a=1; UPDATE d.many SET b=10 WHERE a=2; UPDATE d.many SET b=20 WHERE a=1; COMMIT; \
         BEGIN; UPDATE d.many SET a=4 WHERE a=1; UPDATE d.many SET a=1 WHERE a=2; UPDATE d.many SET a=2 WHERE a=4; COMMIT; \
         BEGIN; DELETE FROM d.many WHERE a=3; INSERT INTO d.many (a,b,c,d) VALUES (5,3,'CCC2',1); COMMIT; \
         CREATE TABLE d.ci (k varchar(20) PRIMARY KEY, v int); INSERT INTO d.ci VALUES ('straße',1),('a',2),('日本',3); \
         UPDATE d.ci SET k='STRASSE2', v=4 WHERE v=1; DELETE FROM d.ci WHERE v=2; INSERT INTO d.ci VALUES ('Á',5); DELETE FROM d.ci WHERE v=5; \
         INSERT INTO d.ci VALUES ('a',6); CREATE TABLE d.two (a int, b varchar(5), v int, PRIMARY KEY (a,b)); \
         INSERT INTO d.two VALUES (1,'x',1),(1,'y',2),(2,'x',3); DELETE FROM d.two WHERE a=1; UPDATE d.two SET b='z'",
    );
    for round in 0..30 {
        rig.sources[0].sql(format!(
            "BEGIN; INSERT INTO d.many (a,b,c,d) VALUES ({n},{n},NULL,0),({m},{m},NULL,0); UPDATE d.many SET d=d+1; \
             UPDATE d.many SET b=b+100000 WHERE b>1000; DELETE FROM d.many WHERE a={n}; COMMIT",
            n = 1000 + round * 2,
            m = 1001 + round * 2
        ));
    }
    same(&rig, &["d.none", "d.many", "d.ci", "d.two"]);
}

/// DDL in many forms, with rows between.
#[test]
fn statements() {
    let Some(rig) = rig(Kind::MySql8033) else { return };
    rig.sources[0].sql(
        "CREATE DATABASE d DEFAULT CHARSET latin1; USE d; CREATE TABLE a (id int PRIMARY KEY, v varchar(10)); INSERT INTO a VALUES (1,'x'); \
         ALTER TABLE a ADD COLUMN w int DEFAULT 5 FIRST, ADD KEY (w), DROP COLUMN v, ADD COLUMN v2 text; INSERT INTO a VALUES (7,2,'y'); \
         CREATE TABLE b LIKE a; INSERT INTO b SELECT * FROM a; RENAME TABLE b TO c, a TO b; INSERT INTO b (id) VALUES (3); \
         TRUNCATE TABLE c; INSERT INTO c (id,v2) VALUES (9,'t'); CREATE UNIQUE INDEX u ON c (w,id); DROP INDEX w ON b; \
         CREATE TABLE g AS SELECT id, v2 FROM b; INSERT INTO g VALUES (77,'z'); CREATE TABLE tmp1 (a int); CREATE TABLE tmp2 (a int); DROP TABLE tmp1, tmp2; \
         SET sql_mode='ANSI_QUOTES'; ALTER TABLE \"b\" RENAME COLUMN \"w\" TO \"ww\"; SET sql_mode=''; UPDATE b SET ww=8 WHERE id=1; \
         ALTER TABLE b CONVERT TO CHARACTER SET utf8mb4; INSERT INTO b VALUES (1,100,'ü€'); CREATE DATABASE e; DROP DATABASE e; CREATE DATABASE e; \
         CREATE TABLE e.t (id int PRIMARY KEY, ts timestamp DEFAULT '2020-01-01 00:00:00'); INSERT INTO e.t (id) VALUES (1); ALTER TABLE e.t ADD COLUMN z int NOT NULL",
    );
    same(&rig, &["d.b", "d.c", "d.g", "e.t"]);
}

/// One transaction above every budget of memory: it is applied in parts and the checkpoint waits for its end.
#[test]
fn one_large_transaction() {
    let Some(rig) = rig(Kind::MySql8033) else { return };
    rig.sources[0].sql(
        "CREATE DATABASE d; CREATE TABLE d.big (id int PRIMARY KEY AUTO_INCREMENT, v varchar(9000)); INSERT INTO d.big (v) VALUES (REPEAT('x',8000)); \
         BEGIN; INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; \
         INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; \
         INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; \
         INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; \
         INSERT INTO d.big (v) SELECT v FROM d.big; INSERT INTO d.big (v) SELECT v FROM d.big; COMMIT",
    );
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let count = "SELECT CONCAT(COUNT(*),' ',SUM(CRC32(CONCAT(id,v)))) FROM d.big";
    assert_eq!(rig.target.value(count), rig.sources[0].value(count));
}

/// UUID, INET6 and INET4 of MariaDB arrive as the text that clients see, in a target without these types.
#[test]
fn addresses_of_mariadb() {
    let Some(mut rig) = rig(Kind::MariaDb1011) else { return };
    let tables = |uuid: &str, inet6: &str, inet4: &str| {
        format!(
            "CREATE DATABASE d DEFAULT CHARSET utf8mb4; \
             CREATE TABLE d.u (id int PRIMARY KEY, a {uuid}, b {inet6}, c {inet4}, UNIQUE KEY (a)); \
             CREATE TABLE d.k (a {uuid} PRIMARY KEY, v int)"
        )
    };
    rig.sources[0].sql(tables("uuid", "inet6", "inet4"));
    rig.target.sql(tables("char(36)", "varchar(39)", "varchar(15)"));
    rig.note_positions();
    rig.sources[0].sql(
        "INSERT INTO d.u VALUES (1,'11223344-5566-1788-99aa-bbccddeeff00','2001:db8::1','1.2.3.4'), \
           (2,'11223344-5566-4788-99aa-bbccddee0000','::','0.0.0.0'), (3,NULL,NULL,NULL), \
           (4,'00000000-0000-0000-0000-000000000000','1:0:2:3:4:5:6:7','10.0.32.0'); \
         INSERT INTO d.k VALUES ('11223344-5566-1788-99aa-bbccddeeff00',1), ('11223344-5566-4788-99aa-bbccddee0000',2), \
           ('11223344-5566-7788-99aa-bbccddeeff20',3); \
         UPDATE d.u SET b='::ffff:1.2.3.4', c=NULL WHERE id=2; \
         UPDATE d.k SET v=5 WHERE a='11223344-5566-1788-99aa-bbccddeeff00'; \
         UPDATE d.k SET a='11223344-5566-1788-99aa-bbccddeeff01' WHERE v=2; \
         DELETE FROM d.k WHERE a='11223344-5566-7788-99aa-bbccddeeff20'",
    );
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    for row in [
        "CONCAT_WS(' ', id, IFNULL(CONCAT(a), '-'), IFNULL(CONCAT(b), '-'), IFNULL(CONCAT(c), '-')) FROM d.u",
        "CONCAT(a, ' ', v) FROM d.k",
    ] {
        let texts = |server: &Server| -> Vec<String> {
            server.rows(format!("SELECT {row} ORDER BY 1")).iter().map(|row| row.text(0).unwrap()).collect()
        };
        assert_eq!(texts(&rig.target), texts(&rig.sources[0]), "{log}");
    }
}
