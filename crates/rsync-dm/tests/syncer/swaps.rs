//! RENAME in a pessimistic task of tables that are no shards.

use std::time::Duration;

use testkit::{Kind, Options};

use super::rig::{Rig, stop};

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
