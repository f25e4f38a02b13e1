//! RENAME in a pessimistic task of tables that are no shards.

use std::time::Duration;

use testkit::{Kind, Options};

use super::rig::{Rig, stop};

#[test]
fn tables_that_no_route_matches_are_swapped() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 2, 0, |_| Options::default()) else { return };
    rig.task =
        rig.task.replace("      - {db-name: my_db2", "      - {db-name: sw}\n      - {db-name: my_db2");
    rig.task = rig.task.replace("{db-name: sw}", "{db-name: sw, tbl-name: \"*\"}");
    rig.note_positions();
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
