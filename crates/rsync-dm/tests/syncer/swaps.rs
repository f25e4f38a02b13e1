//! RENAME in a pessimistic task of tables that are no shards.

use std::time::Duration;

use testkit::{Kind, Options};

use super::rig::{LIMIT, Rig, stop};

/// A task that replicates `sw` beside its shards.
fn rig() -> Option<Rig> {
    let mut rig = Rig::new(Kind::MySql8033, 2, 0, |_| Options::default())?;
    let more = "      - {db-name: sw, tbl-name: \"*\"}\n      - {db-name: my_db2";
    rig.task = rig.task.replace("      - {db-name: my_db2", more);
    rig.note_positions();
    Some(rig)
}

#[test]
fn tables_that_no_route_matches_are_swapped() {
    let Some(rig) = rig() else { return };
    let tables = "CREATE DATABASE sw; CREATE TABLE sw.a (id int PRIMARY KEY, v int); CREATE TABLE sw.b LIKE sw.a; INSERT INTO sw.a VALUES (1,1)";
    rig.sources[0].sql(tables);
    for n in 0..9u64 {
        let mut tool = rig.start();
        rig.sources[0].sql(format!(
            "INSERT INTO sw.a VALUES ({n}+10,1); RENAME TABLE sw.a TO sw.c, sw.b TO sw.a, sw.c TO sw.b; INSERT INTO sw.b VALUES ({n}+100,2)"
        ));
        std::thread::sleep(Duration::from_millis(150 + n * 137 % 500));
        tool.kill();
    }
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    for table in ["a", "b"] {
        let rows = |server: &testkit::Server| {
            server.value(format!("SELECT GROUP_CONCAT(id, ':', v ORDER BY id) FROM sw.{table}"))
        };
        assert_eq!(rows(&rig.target), rows(&rig.sources[0]), "{table}");
    }
}

/// As RENAME TABLE does, ALTER TABLE gives a table that is no shard its new name before the rows that come under it.
#[test]
fn alter_table_with_a_new_name() {
    let Some(rig) = rig() else { return };
    rig.sources[0].sql("CREATE DATABASE sw; CREATE TABLE sw.a (id int PRIMARY KEY, v int)");
    for n in 0..6u64 {
        let mut tool = rig.start();
        rig.sources[0].sql(format!(
            "INSERT INTO sw.a (id,v) VALUES ({n}+10,1); ALTER TABLE sw.a RENAME TO sw.c, ADD COLUMN z{n} int DEFAULT 9;
             INSERT INTO sw.c (id,v) VALUES ({n}+100,2); ALTER TABLE sw.c RENAME sw.a; INSERT INTO sw.a (id,v) VALUES ({n}+200,3)"
        ));
        std::thread::sleep(Duration::from_millis(150 + n * 137 % 500));
        tool.kill();
    }
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let rows = |server: &testkit::Server| {
        server.value("SELECT GROUP_CONCAT(id, ':', v, ':', z0, ':', z3, ':', z5 ORDER BY id) FROM sw.a")
    };
    assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
}

/// A statement that concerns two tables is not carried out before a DDL of one of them that waits for its turn, nor are rows that follow it.
#[test]
fn statements_on_two_tables_keep_their_order() {
    let Some(rig) = rig() else { return };
    rig.target.sql("GRANT REFERENCES ON *.* TO target");
    rig.sources[0].sql("CREATE DATABASE sw");
    let mut tool = rig.start();
    for n in 0..6 {
        rig.sources[0].sql(format!(
            "USE sw; CREATE TABLE e{n} (id int PRIMARY KEY, v int);
             CREATE TABLE p{n} (id int PRIMARY KEY, v int) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (1000), PARTITION p1 VALUES LESS THAN MAXVALUE);
             INSERT INTO e{n} VALUES (1,1); INSERT INTO p{n} VALUES (2,1);
             ALTER TABLE e{n} COMMENT='c'; INSERT INTO e{n} VALUES (50,2);
             ALTER TABLE p{n} EXCHANGE PARTITION p0 WITH TABLE e{n};
             INSERT INTO e{n} VALUES (60,3); INSERT INTO p{n} VALUES (70,3);
             ALTER TABLE e{n} ADD COLUMN x int DEFAULT 5; CREATE TABLE l{n} LIKE e{n}; INSERT INTO l{n} VALUES (1,1,1); INSERT INTO e{n} VALUES (2000,1,1);
             ALTER TABLE l{n} ADD UNIQUE KEY u (v); CREATE TABLE f{n} (id int PRIMARY KEY, v int, FOREIGN KEY (v) REFERENCES l{n} (v)); INSERT INTO f{n} VALUES (1,1);
             CREATE TABLE a{n} (id int PRIMARY KEY, v int); CREATE TABLE b{n} LIKE a{n}; ALTER TABLE a{n} COMMENT='a'; INSERT INTO a{n} VALUES (1,1);
             RENAME TABLE a{n} TO t{n}, b{n} TO a{n}, t{n} TO b{n}; INSERT INTO b{n} VALUES (2,2); INSERT INTO a{n} VALUES (3,3)"
        ));
    }
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(log.contains("the statement waits for the DDL that the table is at"), "{log}");
    for n in 0..6 {
        for (table, columns) in
            [("e", "id,v,x"), ("p", "id,v"), ("l", "id,v,x"), ("f", "id,v"), ("a", "id,v"), ("b", "id,v")]
        {
            let columns = columns.replace(',', ",':',");
            let rows = |server: &testkit::Server| {
                server.value(format!("SELECT GROUP_CONCAT({columns} ORDER BY id) FROM sw.{table}{n}"))
            };
            assert_eq!(rows(&rig.target), rows(&rig.sources[0]), "{table}{n}");
        }
    }
}

/// What precedes an event that cannot be applied is in the target when the task stops, and the checkpoint stands before the event.
#[test]
fn what_precedes_a_refused_event_is_applied() {
    let Some(rig) = rig() else { return };
    rig.sources[0].sql("CREATE DATABASE sw; CREATE TABLE sw.a (id int PRIMARY KEY, v int, w int)");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    rig.sources[0].sql(
        "INSERT INTO sw.a VALUES (1,1,1),(2,2,2); SET SESSION binlog_row_image='MINIMAL'; UPDATE sw.a SET v=9 WHERE id=1",
    );
    let ended = tool.finish(LIMIT).failure();
    ended.says("code=11126").says("dump and load their table again");
    assert_eq!(rig.target.value("SELECT GROUP_CONCAT(id) FROM sw.a"), "1,2");
    let events = rig.sources[0].rows("SHOW BINLOG EVENTS");
    let begin = events.iter().rfind(|row| row.text(2).unwrap() == "Gtid").unwrap().text(1).unwrap();
    let checkpoint = rig
        .target
        .value("SELECT binlog_pos FROM dm_meta.test_syncer_checkpoint WHERE is_global=1 AND id='s0'");
    assert_eq!(checkpoint, begin);
}

/// A shard that is made like another one right behind a statement of their group joins it when that is run.
#[test]
fn a_shard_made_behind_a_statement_of_its_group() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 1, 0, |_| Options::default()) else { return };
    rig.sources[0].sql("DROP TABLE my_db1.table2");
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO my_db1.table1 (sid, pid) VALUES (1, 1)");
    rig.wait_synced(&mut tool);
    rig.sources[0].sql(
        "ALTER TABLE my_db1.table1 ADD COLUMN x int DEFAULT 3;
         CREATE TABLE my_db1.table2 LIKE my_db1.table1; INSERT INTO my_db1.table2 (sid, pid, x) VALUES (7,7,8)",
    );
    rig.wait_synced(&mut tool);
    stop(tool);
    assert_eq!(rig.target.value("SELECT GROUP_CONCAT(x ORDER BY x) FROM my_db.table5"), "3,8");
}
