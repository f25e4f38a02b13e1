//! The value of an ENUM that is none of its members: a source without strict mode has it, and the target gets it, in a strict session.

use testkit::{Kind, Options, Server, WorkDir};

use super::{
    bad_input::{fails, goes_on, says, small},
    rig::{Rig, dump, stop},
};

fn arrives(kind: Kind, target: Kind) {
    let Some(source) = Server::start_or_skip(kind, Options::default()) else { return };
    let Some(target) = Server::start_or_skip(target, Options::default()) else { return };
    let mut rig = Rig {
        sources: vec![source],
        target,
        dir: WorkDir::new("blanks").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    rig.note_positions();
    rig.sources[0].sql(
        "SET sql_mode=''; CREATE DATABASE d; \
         CREATE TABLE d.t (id int PRIMARY KEY, e enum('a','b') NOT NULL, v varchar(9), f enum('x','','y') DEFAULT 'x', n int); \
         INSERT INTO d.t VALUES (1,'a','1','x',0),(2,'zz','2','',0),(3,'','3','zz',0),(4,'b','4',NULL,0),(5,0,'5','y',0),(6,'b','6',0,0); \
         UPDATE d.t SET v='new' WHERE id IN (1,2,3); UPDATE d.t SET e='zz' WHERE id=4; UPDATE d.t SET e='a' WHERE id=5; \
         UPDATE d.t SET n=n+1; DELETE FROM d.t WHERE id=6; \
         CREATE TABLE d.k (e enum('a','b'), v int, PRIMARY KEY (e,v)); INSERT INTO d.k VALUES ('zz',1),('a',1),('zz',2),('b',2),('zz',3); \
         UPDATE d.k SET v=10 WHERE e=0 AND v=1; DELETE FROM d.k WHERE e=0 AND v=2; UPDATE d.k SET e='zz' WHERE e='b'; \
         CREATE TABLE d.n (e enum('a','b'), v varchar(9)); INSERT INTO d.n VALUES ('zz','1'),('a','1'),('zz','1'),(NULL,'1'),('zz','2'); \
         UPDATE d.n SET v='3' WHERE e=0 AND v='2'; DELETE FROM d.n WHERE e=0 LIMIT 1",
    );
    // More than a server lists warnings of.
    let many: Vec<String> = (100..300).map(|n| format!("({n},'zz','{n}','zz',{n})")).collect();
    rig.sources[0].sql(format!("SET sql_mode=''; INSERT INTO d.t VALUES {}", many.join(",")));
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("[WARN]"), "{log}");
    for (table, blanks) in [("d.t", "203"), ("d.k", "3"), ("d.n", "2")] {
        let (mut there, mut wanted) = (dump(&rig.target, table), dump(&rig.sources[0], table));
        there.sort();
        wanted.sort();
        assert_eq!(there, wanted, "{table}");
        let count = format!("SELECT COUNT(*) FROM {table} WHERE e=0");
        assert_eq!((rig.sources[0].value(&count), rig.target.value(&count)), (blanks.into(), blanks.into()));
    }
    // A member of no letters is another value.
    let members = "SELECT GROUP_CONCAT(IFNULL(f+0,'-') ORDER BY id) FROM d.t";
    assert_eq!(rig.target.value(members), rig.sources[0].value(members));
}

#[test]
fn of_mysql_80() {
    arrives(Kind::MySql8033, Kind::MySql8033);
}

#[test]
fn of_mysql_56() {
    arrives(Kind::MySql56, Kind::MySql8033);
}

#[test]
fn of_mariadb() {
    arrives(Kind::MariaDb1011, Kind::MySql8033);
}

#[test]
fn in_other_targets() {
    arrives(Kind::MySql57, Kind::MySql57);
    arrives(Kind::MySql8033, Kind::MariaDb1011);
}

/// Only that value gets through: what the target would cut is an error, in such a row and in rows after it.
#[test]
fn the_target_is_as_strict_as_before() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.task.push_str("syncers:\n  sync: {worker-count: 1, checkpoint-flush-interval: 1}\n");
    rig.sources[0]
        .sql("DROP TABLE d.t; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(20), e enum('a','b'))");
    rig.target.sql("DROP TABLE d.t; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(4), e enum('a','b'))");
    rig.note_positions();
    let write = |row: &str| rig.sources[0].sql(format!("SET sql_mode=''; INSERT INTO d.t VALUES {row}"));
    let mut tool = rig.start();
    write("(1,'fits','zz')");
    rig.wait_synced(&mut tool);
    stop(tool);
    // In the same session after such a row.
    write("(2,'fits','zz')");
    write("(3,'too long','a')");
    says(&fails(&rig), &["Error 1406", "'v'"]);
    rig.sources[0].sql("DELETE FROM d.t WHERE id=3");
    rig.target.sql("ALTER TABLE d.t MODIFY v varchar(20)");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    rig.target.sql("ALTER TABLE d.t MODIFY v varchar(4)");
    // In such a row.
    for (row, words) in [("(4,'too long','zz')", "'v'"), ("(5,'fits','zz'),(6,'too long','zz')", "'v'")] {
        write(row);
        says(&fails(&rig), &["Error 1265", words, "widen it"]);
        assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t WHERE id>3"), "0");
        rig.target.sql("ALTER TABLE d.t MODIFY v varchar(20)");
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        stop(tool);
        assert_eq!(dump(&rig.target, "d.t"), dump(&rig.sources[0], "d.t"));
        rig.sources[0].sql("DELETE FROM d.t WHERE id>3");
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        stop(tool);
        rig.target.sql("ALTER TABLE d.t MODIFY v varchar(4)");
    }
}

/// What the target lacks of other members is not taken for that value, in the same row or in another one of the statement.
#[test]
fn members_that_the_target_lacks_beside_the_value() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.task.push_str("syncers:\n  sync: {worker-count: 1, checkpoint-flush-interval: 1}\n");
    for (server, members) in [(&rig.sources[0], "'a','b','c'"), (&rig.target, "'a','b'")] {
        server.sql(format!(
            "DROP TABLE d.t; CREATE TABLE d.t (id int PRIMARY KEY, e enum({members}), f enum({members}))"
        ));
    }
    rig.note_positions();
    for (rows, column) in
        [("(1,'zz','c')", "'f'"), ("(1,'zz','a'),(2,'c','a')", "'e'"), ("(1,'zz','zz'),(2,'zz','c')", "'f'")]
    {
        rig.sources[0].sql(format!("SET sql_mode=''; INSERT INTO d.t VALUES {rows}"));
        says(&fails(&rig), &["Error 1265", column]);
        assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t"), "0");
        rig.target.sql("ALTER TABLE d.t MODIFY e enum('a','b','c'), MODIFY f enum('a','b','c')");
        goes_on(&rig);
        if column == "'e'" {
            rig.target.sql("ALTER TABLE d.t MODIFY f enum('a','b')");
            rig.sources[0].sql("SET sql_mode=''; UPDATE d.t SET e='zz', f='c' WHERE id=2");
            says(&fails(&rig), &["Error 1265", "'f'"]);
            rig.target.sql("ALTER TABLE d.t MODIFY f enum('a','b','c')");
        }
        rig.sources[0].sql("DELETE FROM d.t");
        goes_on(&rig);
        rig.target.sql("ALTER TABLE d.t MODIFY e enum('a','b'), MODIFY f enum('a','b')");
    }
}

/// Where the target has other members under the numbers, or text, members go by name.
#[test]
fn members_go_by_name() {
    let Some(mut rig) = small(Options::default()) else { return };
    for (server, types) in [
        (
            &rig.sources[0],
            [
                "enum('a','b','c''d\\\\e')",
                "set('x','y','z')",
                "enum('p','q')",
                "enum('u','v')",
                "set('x','y')",
            ],
        ),
        (
            &rig.target,
            [
                "enum('c''d\\\\e','b','new','a')",
                "set('z','y','x')",
                "enum('p','q','r')",
                "varchar(9)",
                "text",
            ],
        ),
    ] {
        let [a, b, c, d, e] = types;
        let columns = format!("a {a}, b {b}, c {c}, d {d}, e {e}");
        server.sql(format!(
            "DROP TABLE d.t; CREATE TABLE d.t (id int PRIMARY KEY, {columns}) DEFAULT CHARSET=utf8mb4; CREATE TABLE d.n ({columns}) DEFAULT CHARSET=utf8mb4"
        ));
    }
    rig.note_positions();
    rig.sources[0].sql(
        "SET sql_mode=''; INSERT INTO d.t VALUES (1,'a','x,z','p','u','x,y'),(2,'b','','q','v',''),(3,'c''d\\\\e',NULL,NULL,NULL,NULL),(4,'-','y','-','-','y'); \
         UPDATE d.t SET a='b', b='x' WHERE id=1; UPDATE d.t SET a='a', d='u' WHERE id=2; \
         INSERT INTO d.n SELECT a,b,c,d,e FROM d.t; INSERT INTO d.n SELECT * FROM d.n; UPDATE d.n SET e='x' WHERE a='b' LIMIT 1; \
         DELETE FROM d.n WHERE a='c''d\\\\e' LIMIT 1; DELETE FROM d.n WHERE a=0 LIMIT 1",
    );
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("[WARN]"), "{log}");
    // SETs have their members in the order of the type.
    let cells = "CONCAT_WS('|',a,REPLACE(REPLACE(b,'x,z','xz'),'z,x','xz'),c,d,e) t";
    for (table, rows) in [("d.t", 4), ("d.n", 6)] {
        let sql =
            format!("SELECT t FROM (SELECT {cells} FROM {table}) all_rows ORDER BY t COLLATE utf8mb4_bin");
        let of = |server: &Server| -> Vec<String> {
            server.rows(&sql).iter().map(|row| row.text(0).unwrap()).collect()
        };
        assert_eq!(of(&rig.sources[0]).len(), rows);
        assert_eq!(of(&rig.target), of(&rig.sources[0]), "{table}");
    }
    // A member that the target does not have is an error.
    rig.sources[0].sql("DELETE FROM d.t WHERE id<>2");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    rig.target.sql("ALTER TABLE d.t MODIFY c enum('q')");
    rig.sources[0].sql("INSERT INTO d.t (id,c) VALUES (9,'p')");
    says(&fails(&rig), &["Error 1265", "'c'"]);
}
