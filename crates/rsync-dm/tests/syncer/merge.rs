//! Shards of two servers into one target, with a writer and a shard DDL.

use testkit::{Kind, Options, wait_until_blocking};

use super::rig::{LIMIT, Rig, runtime, stop};

fn merge_with_ddl(kind: Kind, gtid: bool, options: impl Fn(u32) -> Options) {
    let Some(mut rig) = Rig::new(kind, 2, 0, options) else { return };
    rig.gtid = gtid;
    rig.note_positions();
    let writers = rig.writers(150);
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "rows in the target", || {
        rig.target.value("SELECT COUNT(*) FROM my_db.table5") != "0"
    });
    // The column comes to the shards one by one while they are written to.
    for source in &rig.sources {
        for table in ["table1", "table2"] {
            source.sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN extra varchar(20) DEFAULT 'e'"));
        }
    }
    wait_until_blocking(LIMIT, "the column in the target", || {
        rig.target.value(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='my_db' AND TABLE_NAME='table5' AND COLUMN_NAME='extra'",
        ) == "1"
    });
    for writer in &writers {
        for table in ["table1", "table2"] {
            writer.use_column("my_db1", table, "extra");
        }
    }
    let before = writers[0].transactions();
    wait_until_blocking(LIMIT, "more transactions", || writers[0].transactions() > before + 100);
    runtime().block_on(async {
        for writer in writers {
            writer.stop().await.unwrap();
        }
    });
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let rows = rig.verify();
    assert!(rows > 100, "{rows}");
    assert_eq!(log.matches("execute DDL").count(), 1, "one source runs it, the other passes over it: {log}");
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
}

#[test]
fn by_position_mysql_80() {
    merge_with_ddl(Kind::MySql8033, false, |_| Options::default());
}

#[test]
fn by_gtid_mysql_80() {
    merge_with_ddl(Kind::MySql8033, true, |_| Options::default());
}

#[test]
fn by_position_mysql_57_without_gtid() {
    merge_with_ddl(Kind::MySql57, false, |_| Options::default().no_gtid());
}

#[test]
fn by_gtid_mariadb() {
    merge_with_ddl(Kind::MariaDb1011, true, |n| Options::default().domain(n));
}

#[test]
fn by_gtid_mysql_97() {
    merge_with_ddl(Kind::MySql97, true, |_| Options::default());
}

#[test]
fn by_gtid_mysql_56() {
    merge_with_ddl(Kind::MySql56, true, |_| Options::default());
}

#[test]
fn compressed_transactions() {
    merge_with_ddl(Kind::MySql8033, true, |_| Options::default().compressed_binlog());
}

/// Tables dumped at different places: each has a point of its own, the global one is the earliest, and the exit point equals it. The replay is
/// exact without safe mode, without keys too.
#[test]
fn tables_with_points_of_their_own() {
    for gtid in [false, true] {
        let Some(mut rig) = Rig::new(Kind::MySql8033, 1, 0, |_| Options::default()) else { return };
        rig.gtid = gtid;
        rig.target.sql("ALTER TABLE my_db.table5 DROP KEY sid; ALTER TABLE my_db.table6 DROP KEY sid");
        let writers = rig.writers(100);
        let mut points = Vec::new();
        for (target, schema, table) in
            [("table5", "my_db1", "table1"), ("table6", "my_db2", "table1"), ("table5", "my_db1", "table2")]
        {
            let before = writers[0].transactions();
            wait_until_blocking(LIMIT, "transactions", || writers[0].transactions() > before + 40);
            points.push((schema, table, copy_at_a_point(&rig, schema, table, target)));
        }
        // The others begin at the first point with what they have there: nothing was copied, so they are left out.
        rig.task = rig.task.replace("tbl-name: \"table*\"", "tbl-name: \"table1\"");
        write_points(&rig, &points);
        let before = writers[0].transactions();
        wait_until_blocking(LIMIT, "transactions", || writers[0].transactions() > before + 40);
        runtime().block_on(async {
            for writer in writers {
                writer.stop().await.unwrap();
            }
        });
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        assert!(!log.contains("enable safe-mode") && !log.contains("ER_KEY_NOT_FOUND"), "{log}");
        rig.verify_table("my_db.table5", &["my_db1.table1", "my_db1.table2"]);
        rig.verify_table("my_db.table6", &["my_db2.table1"]);
    }
}

/// Copies a table as a dump would, and gives the place of the copy.
fn copy_at_a_point(rig: &Rig, schema: &str, table: &str, target: &str) -> mysql::Location {
    runtime().block_on(async {
        let source = &rig.sources[0];
        let mut lock = source.conn(testkit::Account::Admin).await;
        lock.exec("FLUSH TABLES WITH READ LOCK").await.unwrap();
        let location = mysql::session::binlog_location(&mut lock).await.unwrap().unwrap();
        let rows = lock
            .query(format!("SELECT id, sid, pid, HEX(comment), UNIX_TIMESTAMP(at) FROM {schema}.{table}"))
            .await
            .unwrap();
        lock.exec("UNLOCK TABLES").await.unwrap();
        let mut conn = rig.target.conn(testkit::Account::Admin).await;
        for row in rows.iter() {
            let text = |n: usize| row.str(n).unwrap();
            let comment =
                text(3).map_or("NULL".into(), |hex| format!("CONVERT(_latin1 x'{hex}' USING utf8mb4)"));
            let at = text(4).map_or("NULL".into(), |secs| format!("FROM_UNIXTIME({secs})"));
            let (id, sid, pid) = (text(0).unwrap(), text(1).unwrap(), text(2).unwrap());
            conn.exec(format!("INSERT INTO my_db.{target} VALUES ({id},{sid},{pid},{comment},{at})"))
                .await
                .unwrap();
        }
        location
    })
}

fn write_points(rig: &Rig, points: &[(&str, &str, mysql::Location)]) {
    use rsync_dm::checkpoint::{Store, TablePoint, Tables};
    let tables = Tables::new("dm_meta", "test");
    let store = Store::new(tables.clone(), "s0");
    let rows: Vec<TablePoint> = points
        .iter()
        .map(|(schema, table, location)| TablePoint {
            table: common::ident::TableName::new(*schema, *table),
            location: location.clone(),
            info: None,
        })
        .collect();
    let first = &points[0].2;
    runtime().block_on(async {
        let mut conn = rig.target.conn(testkit::Account::Admin).await;
        tables.create(&mut conn).await.unwrap();
        for sql in store.start_statements(first, Some(first), &rows) {
            conn.exec(sql).await.unwrap();
        }
    });
}

/// A shard that is emptied keeps its rows in the target, which is said; one that is made like another one joins the target.
#[test]
fn shards_are_truncated_and_made_like_others() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 1, 0, |_| Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql(
        "INSERT INTO my_db1.table1 (sid, pid) VALUES (1, 1); INSERT INTO my_db1.table2 (sid, pid) VALUES (2, 2);
         TRUNCATE TABLE my_db1.table1; DROP TABLE my_db1.table2; CREATE TABLE my_db1.table2 LIKE my_db1.table1;
         INSERT INTO my_db1.table2 (sid, pid) VALUES (3, 3); ALTER TABLE my_db1.table1 ADD extra int;
         ALTER TABLE my_db1.table2 ADD extra int; INSERT INTO my_db1.table2 (sid, pid, extra) VALUES (4, 4, 4)",
    );
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let rows = "SELECT GROUP_CONCAT(sid, IFNULL(extra, '-') ORDER BY sid) FROM my_db.table5";
    assert_eq!(rig.target.value(rows), "1-,2-,3-,44");
    let warned = log.lines().find(|line| line.contains("TRUNCATE TABLE of a shard is passed over"));
    assert!(warned.is_some_and(|line| line.contains("[WARN]") && line.contains("table1")), "{log}");
    assert!(!log.contains("the subtask is paused"), "{log}");
}

/// A RENAME of a shard is refused; the rows in front of it are in the target then.
#[test]
fn a_refused_rename_leaves_no_rows_behind() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 1, 0, |_| Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO my_db1.table1 (sid, pid) VALUES (1, 1)");
    rig.wait_synced(&mut tool);
    rig.sources[0].sql(
        "INSERT INTO my_db1.table1 (sid, pid) VALUES (2, 2); DROP TABLE my_db1.table2; RENAME TABLE my_db1.table1 TO my_db1.table2",
    );
    let ended = tool.finish(LIMIT).failure();
    ended.says("code=36068").says("rename or make that table in the target first");
    assert_eq!(rig.target.value("SELECT GROUP_CONCAT(sid ORDER BY sid) FROM my_db.table5"), "1,2");
}
