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

/// The checkpoint of a task that begins with tables' own points.
pub(super) fn write_points(rig: &Rig, points: &[(&str, &str, mysql::Location)]) {
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
    let warned =
        log.lines().find(|line| line.contains("TRUNCATE TABLE is passed over in a task with shards"));
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

/// The value of an option in an error: what stands behind `flag` up to the next quote.
fn options_of(text: &str, flag: &str, source: &str) -> Vec<String> {
    let begin = format!("{flag} '{source}=");
    text.match_indices(&begin)
        .map(|(at, _)| {
            let rest = &text[at + flag.len() + 2..];
            rest[..rest.find('\'').unwrap()].to_owned()
        })
        .collect()
}

/// Three sources whose statements contradict each other: the process ends and says where each statement stands, and both ways on that it names
/// lead to equal rows.
#[test]
fn sources_that_contradict_each_other() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 3, 0, |_| Options::default()) else { return };
    rig.note_positions();
    let insert = |rig: &Rig, columns: &str, base: u32| {
        for (n, source) in rig.sources.iter().enumerate() {
            for table in [1, 2] {
                let sid = base + n as u32 * 10 + table;
                source
                    .sql(format!("INSERT INTO my_db1.table{table} ({columns}) VALUES ({sid}, {sid}, {sid})"));
            }
        }
    };
    let alter = |rig: &Rig, source: usize, change: &str| {
        for table in ["table1", "table2"] {
            rig.sources[source].sql(format!("ALTER TABLE my_db1.{table} {change}"));
        }
    };
    let mut tool = rig.start();
    insert(&rig, "sid, pid, comment", 100);
    rig.wait_synced(&mut tool);
    // The same in two words.
    alter(&rig, 0, "CHANGE comment remark varchar(255)");
    alter(&rig, 1, "RENAME COLUMN comment TO remark");
    alter(&rig, 2, "RENAME COLUMN comment TO remark");
    insert(&rig, "sid, pid, remark", 200);
    let ended = tool.finish(LIMIT).expect_code(1);
    let last = ended.stderr.lines().rfind(|line| !line.is_empty()).unwrap().to_owned();
    for words in [
        "code=38016",
        "source s0: `my_db1`.`table1` at binlog.0",
        "[ALTER TABLE my_db1.table2 CHANGE comment remark",
        "RENAME COLUMN comment TO remark]",
        "by hand",
    ] {
        assert!(last.contains(words), "{words}: {last}");
    }
    assert!(!ended.stdout.contains("dm-master") && !last.contains("shard-ddl-lock"), "{last}");
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM my_db.table5"), "6", "what came before is there");
    // Started again without options it does not wait for ever either.
    let again = rig.start().finish(LIMIT).expect_code(1);
    again.says("code=38016");
    let replace: Vec<String> = options_of(&last, "--replace-ddl", "s0")
        .iter()
        .zip(["table1", "table2"])
        .map(|(place, table)| {
            let change = format!("=ALTER TABLE my_db1.{table} RENAME COLUMN comment TO remark");
            format!("--replace-ddl={}", place.replace("=SQL", &change))
        })
        .collect();
    assert_eq!(replace.len(), 2, "{last}");
    let mut tool = rig.start_args(&replace.iter().map(String::as_str).collect::<Vec<_>>());
    rig.wait_synced(&mut tool);
    rig.verify_table("my_db.table5", &["my_db1.table1", "my_db1.table2"]);
    // Different things: both are made by hand.
    alter(&rig, 0, "ADD COLUMN a int NOT NULL DEFAULT 1");
    alter(&rig, 1, "ADD COLUMN b int NOT NULL DEFAULT 2");
    alter(&rig, 2, "ADD COLUMN b int NOT NULL DEFAULT 2");
    for (source, column) in [(0, "a"), (1, "b"), (2, "b")] {
        rig.sources[source].sql(format!(
            "INSERT INTO my_db1.table1 (sid, pid, {column}) VALUES ({0}, 1, {0}); UPDATE my_db1.table2 SET {column}=7",
            300 + source
        ));
    }
    let mut known = std::collections::BTreeSet::new();
    let mut tries = 0;
    let mut ended = tool.finish(LIMIT).expect_code(1);
    rig.target.sql(
        "ALTER TABLE my_db.table5 ADD COLUMN a int NOT NULL DEFAULT 1, ADD COLUMN b int NOT NULL DEFAULT 2",
    );
    // The third source may not have been there at the first time.
    let mut tool = loop {
        let last = ended.stderr.lines().rfind(|line| !line.is_empty()).unwrap().to_owned();
        let skip: Vec<String> =
            ["s0", "s1", "s2"].iter().flat_map(|s| options_of(&last, "--skip-ddl", s)).collect();
        assert!(!skip.is_empty() && tries < 3, "{last}");
        known.extend(skip);
        tries += 1;
        let args: Vec<String> = known.iter().map(|place| format!("--skip-ddl={place}")).collect();
        let tool = rig.start_args(&args.iter().map(String::as_str).collect::<Vec<_>>());
        if known.len() == 6 {
            break tool;
        }
        ended = tool.finish(LIMIT).expect_code(1);
    };
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    for (source, wanted) in [(0, "a"), (1, "b"), (2, "b")] {
        let mut shards: Vec<String> = Vec::new();
        for table in ["table1", "table2"] {
            let rows = rig.sources[source]
                .rows(format!("SELECT CONCAT_WS('|', sid, pid, remark, {wanted}) FROM my_db1.{table}"));
            shards.extend(rows.iter().map(|row| row.text(0).unwrap()));
        }
        let low = source * 10;
        let rows = rig.target.rows(format!(
            "SELECT CONCAT_WS('|', sid, pid, remark, {wanted}) FROM my_db.table5 WHERE sid={} OR sid<300 AND sid%100 BETWEEN {} AND {}",
            300 + source, low + 1, low + 2
        ));
        let mut there: Vec<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
        shards.sort();
        there.sort();
        assert_eq!(there, shards, "source {source}");
    }
}
