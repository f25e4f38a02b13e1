//! What operators do with tasks while they run.

use super::{
    answers::assert_report_as_golden,
    kills::{alter, insert},
    *,
};

/// A log in which a subtask met an error.
fn after_errors() -> LogCheck {
    LogCheck::new()
        .allow("the subtask is paused")
        .allow("dispatch auto resume task")
        .allow("task can't auto resume")
}

impl Dm {
    /// Stage of each source's subtask, in the order of the sources.
    fn stages(&self, task: &str) -> Vec<String> {
        let status = self.status(task);
        let sources = status["sources"].as_array().cloned().unwrap_or_default();
        sources
            .iter()
            .map(|s| s["subTaskStatus"][0]["stage"].as_str().unwrap_or_default().to_owned())
            .collect()
    }

    fn unlock(&self, id: &str) -> Finished {
        self.ctl(&["shard-ddl-lock", "unlock", id])
    }
}

fn has_column(server: &Server, column: &str) -> bool {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_NAME IN ('table5','table1','table2') AND COLUMN_NAME='{column}'"
    );
    server.value(sql) != "0"
}

#[test]
fn remove_meta_begins_where_the_task_file_says() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let text = servers.task_yaml("task-test");
    dm.run_task(&servers, &text);
    let task = dm.file("task.yaml", &text);
    insert(&servers, 1, 50);
    servers.wait_equal("sid, id, pid, comment");
    dm.ctl(&["start-task", "--remove-meta", &task]).failure().says("[code=46014:");
    dm.ctl(&["stop-task", "task-test"]).success();

    // From the checkpoint the old rows never come again.
    servers.target.sql("DELETE FROM my_db.table5");
    dm.ctl(&["start-task", &task]).success();
    insert(&servers, 50, 51);
    wait_until(SOON, "the new rows", || servers.target.value("SELECT COUNT(*) FROM my_db.table5") == "4");
    dm.ctl(&["stop-task", "task-test"]).success();

    // Marks in every state table, and a table of another task of a longer name.
    servers.target.sql(
        "INSERT INTO dm_meta.`task-test_syncer_checkpoint` (id, cp_schema, cp_table, table_info) VALUES ('ghost', '', '', 'null');
         INSERT INTO dm_meta.`task-test_onlineddl` (id, ghost_schema, ghost_table) VALUES ('ghost', '', '');
         INSERT INTO dm_meta.`task-test_syncer_sharding_meta` (source_id, target_table_id, source_table_id) VALUES ('ghost', '', '');
         INSERT INTO dm_meta.`task-test_rsync_fence` (source, lane, epoch) VALUES ('ghost', 0, 1);
         INSERT INTO dm_meta.`task-test_rsync_ledger` (source, epoch, lane, seq, covered, owner) VALUES ('ghost', 1, 0, 1, '', 1);
         CREATE TABLE dm_meta.`task-test_loader_checkpoint` (id INT); CREATE TABLE dm_meta.`task-test_lightning_checkpoint_list` (id INT);
         CREATE TABLE dm_meta.`task-test-2_syncer_checkpoint` (id INT); DELETE FROM my_db.table5",
    );
    let started = dm.ctl(&["start-task", "--remove-meta", &task]).success();
    assert_report_as_golden(&started.stdout, "start-task");
    servers.wait_equal("sid, id, pid, comment");
    for (table, column) in [
        ("syncer_checkpoint", "id"),
        ("onlineddl", "id"),
        ("syncer_sharding_meta", "source_id"),
        ("rsync_fence", "source"),
        ("rsync_ledger", "source"),
    ] {
        let sql = format!("SELECT COUNT(*) FROM dm_meta.`task-test_{table}` WHERE {column}='ghost'");
        assert_eq!(servers.target.value(sql), "0", "{table}");
    }
    let left = "SELECT GROUP_CONCAT(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA='dm_meta' \
                AND (TABLE_NAME LIKE '%loader%' OR TABLE_NAME LIKE '%lightning%' OR TABLE_NAME LIKE 'task-test-2%')";
    assert_eq!(servers.target.value(left), "task-test-2_syncer_checkpoint");
    dm.end(&LogCheck::new());
}

/// A lock outlives a pause; a task that is stopped takes its lock along, and meets the statement again when it is started.
#[test]
fn pause_resume_and_stop_with_a_lock_open() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let text = servers.task_yaml("t");
    dm.run_task(&servers, &text);
    insert(&servers, 1, 20);
    alter(&servers, 0);
    let lock = dm.wait_lock();
    dm.ctl(&["pause-task", "t"]).success();
    assert_eq!(dm.stages("t"), ["Paused", "Paused"]);
    assert_eq!(dm.wait_lock(), lock);
    dm.ctl(&["resume-task", "t"]).success();
    assert_eq!(dm.stages("t"), ["Running", "Running"]);
    insert(&servers, 20, 40);
    // The source that waits paused alone; the other one comes to the statement meanwhile.
    dm.ctl(&["pause-task", "t", "-s", "mysql-01"]).success();
    alter(&servers, 1);
    wait_until(SOON, "the second source is at the statement", || {
        let answer: serde_json::Value = serde_json::from_str(&dm.ctl(&["shard-ddl-lock"]).stdout).unwrap();
        answer["locks"][0]["synced"].as_array().is_some_and(|s| s.len() == 2)
    });
    assert!(!has_column(&servers.target, "extra"), "the owner is paused");
    dm.ctl(&["resume-task", "t", "-s", "mysql-01"]).success();
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment, extra");

    // A column that is dropped: rows from before and after it.
    let drop = |i: usize| {
        for table in ["table1", "table2"] {
            servers.sources[i].sql(format!("ALTER TABLE my_db1.{table} DROP COLUMN extra"));
        }
    };
    insert(&servers, 40, 60);
    drop(1);
    let lock = dm.wait_lock();
    assert_eq!(
        (lock["locks"][0]["owner"].as_str(), lock["locks"][0]["unsynced"][0].as_str()),
        (Some("mysql-02"), Some("mysql-01"))
    );
    let ddl = lock["locks"][0]["DDLs"][0].as_str().unwrap_or_default();
    assert!(ddl.contains("`my_db`.`table5`") && ddl.contains("DROP COLUMN `extra`"), "{ddl}");
    dm.ctl(&["stop-task", "t"]).success();
    dm.ctl(&["shard-ddl-lock"]).success().says("no DDL lock exists");
    assert!(has_column(&servers.target, "extra"));
    insert(&servers, 60, 80);
    // Of a new task the checks would refuse shards that differ.
    let file = dm.file("task.yaml", &text);
    let new = dm.file("new.yaml", &servers.task_yaml("new"));
    dm.ctl(&["check-task", &new]).failure().says("have different columns");
    dm.ctl(&["start-task", &file]).success().says("have different columns");
    assert_eq!(dm.wait_lock()["locks"][0]["ID"], lock["locks"][0]["ID"]);
    drop(0);
    dm.wait_no_lock();
    wait_until(SOON, "the column is gone", || !has_column(&servers.target, "extra"));
    servers.wait_equal("sid, id, pid, comment");
    insert(&servers, 80, 90);
    servers.wait_equal("sid, id, pid, comment");
    dm.end(&after_errors().allow("the rows do not fit the table as it is at the source now"));
}

/// The target refuses the statement that all shards have: the owner pauses and says why, and goes on when the cause is gone.
#[test]
fn a_shard_ddl_that_the_target_refuses() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    let row = |sid: i64| {
        for (i, source) in servers.sources.iter().enumerate() {
            for (j, table) in ["table1", "table2"].iter().enumerate() {
                let n = sid * 10 + (i * 2 + j) as i64;
                source.sql(format!("INSERT INTO my_db1.{table} VALUES ({sid}, {n}, {n}, 'x', NULL)"));
            }
        }
    };
    row(1);
    servers.wait_equal("sid, id, pid, comment");
    servers
        .target
        .sql("INSERT INTO my_db.table5 VALUES (0, 1, 7, 'in the way', NULL), (0, 2, 7, 'in the way', NULL)");
    for source in &servers.sources {
        for table in ["table1", "table2"] {
            source.sql(format!("ALTER TABLE my_db1.{table} ADD UNIQUE KEY u (pid)"));
        }
    }
    row(2);
    let mut error = serde_json::Value::Null;
    wait_until(SOON, "the error is shown", || {
        let status = dm.status("t");
        let found =
            (0..2).find(|i| !status["sources"][i]["subTaskStatus"][0]["result"]["errors"][0].is_null());
        error = found.map(|i| status["sources"][i]["subTaskStatus"][0].clone()).unwrap_or_default();
        !error.is_null()
    });
    let shown = error["result"]["errors"][0].to_string();
    for word in ["10006", "ADD UNIQUE KEY u (pid)", "Error 1062", "Duplicate entry '7'", "resume-task"] {
        assert!(shown.contains(word), "{word} is not in {shown}");
    }
    assert_eq!(error["unresolvedDDLLockID"], "t-`my_db`.`table5`");
    assert_eq!(dm.wait_lock()["locks"][0]["unsynced"], serde_json::json!([]));
    servers.target.sql("DELETE FROM my_db.table5 WHERE comment='in the way'");
    dm.ctl(&["resume-task", "t"]).success();
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment");
    let keys =
        "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='my_db' AND INDEX_NAME='u'";
    assert_eq!(servers.target.value(keys), "1");
    dm.end(&after_errors());
}

/// A statement that only some shards will ever have: an operator lets it through, and who comes later passes over it.
#[test]
fn an_unlocked_statement_is_run_once() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    alter(&servers, 0);
    let lock = dm.wait_lock();
    let id = lock["locks"][0]["ID"].as_str().unwrap();
    dm.unlock("t-`my_db`.`nowhere`").failure().says("[code=38019:");
    dm.unlock(id).success().says("\"result\": true");
    dm.wait_no_lock();
    assert!(has_column(&servers.target, "extra"));
    insert(&servers, 20, 40);
    let default = "sid, id, pid, comment";
    servers.wait_equal(default);
    alter(&servers, 1);
    insert(&servers, 40, 60);
    servers.wait_equal("sid, id, pid, comment, extra");
    dm.wait_no_lock();
    assert_eq!(dm.stages("t"), ["Running", "Running"]);
    dm.end(&after_errors().allow("the rows do not fit the table as it is at the source now"));
}

/// The same task in a process of its own: the cluster's subtasks find themselves fenced, and take over again when told to.
#[test]
fn a_task_that_also_runs_without_the_master() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let text = servers.task_yaml("t");
    dm.run_task(&servers, &text);
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    let task = dm.file("task.yaml", &text);
    let files = [dm.dir.join("source-0.yaml"), dm.dir.join("source-1.yaml")];
    let mut run = Tool::new("rsync-dm")
        .args(["run", "--task", &task, "--source"])
        .arg(&files[0])
        .arg("--source")
        .arg(&files[1])
        .start();
    wait_until(SOON, "the process has both sources", || {
        run.stderr_so_far().matches("replicate binlog from checkpoint").count() == 2
    });
    insert(&servers, 20, 40);
    wait_until(SOON, "both subtasks have noticed", || {
        let status = dm.status("t").to_string();
        status.matches("another process has taken over this subtask").count() == 2
    });
    assert_eq!(dm.stages("t"), ["Paused", "Paused"]);
    servers.wait_equal("sid, id, pid, comment");
    assert!(run.is_running());
    run.signal(15);
    run.finish(SOON).success();
    insert(&servers, 40, 60);
    // Asked for, whatever was asked before.
    dm.ctl(&["pause-task", "t", "-s", "mysql-02"]).success();
    dm.ctl(&["resume-task", "t"]).success();
    servers.wait_equal("sid, id, pid, comment");
    dm.end(&after_errors());
}

/// Servers of other families and versions through master and workers, with a shard DDL.
#[test]
fn sources_of_mysql_57_and_mariadb() {
    let Some(servers) = Servers::start_of([Kind::MySql57, Kind::MariaDb1011]) else { return };
    let dm = Dm::start(2);
    let text = servers.task_yaml("t");
    dm.run_task(&servers, &text);
    insert(&servers, 1, 50);
    servers.wait_equal("sid, id, pid, comment");
    alter(&servers, 0);
    dm.wait_lock();
    insert(&servers, 50, 100);
    alter(&servers, 1);
    dm.wait_no_lock();
    insert(&servers, 100, 120);
    servers.wait_equal("sid, id, pid, comment, extra");
    let file = |name: &str| dm.dir.join(name).to_str().unwrap().to_owned();
    let verify = Tool::new("rsync-dm")
        .args(["verify", "--task", &file("task.yaml"), "--source", &file("source-0.yaml"), "--source"])
        .arg(file("source-1.yaml"))
        .run()
        .success();
    assert!(verify.stdout.contains("verified: 476 rows equal"), "{}", verify.shown());
    dm.ctl(&["config", "source", "mysql-02"]).success().says("flavor: mariadb");
    // The account of a MariaDB would need one more right for that.
    let check = after_errors().allow("cannot see the ids of the source's replicas");
    dm.end(&check.allow("the rows do not fit the table as it is at the source now"));
}

/// `--start-time`: replication begins with the first transaction of that time or later, whatever the checkpoint says, once.
fn begins_at_a_time(servers: Option<Servers>) {
    let Some(servers) = servers else { return };
    let dm = Dm::start(2);
    let text = servers.task_yaml("t");
    let task = dm.file("task.yaml", &text);
    for i in 0..2 {
        let file = dm.file(&format!("source-{i}.yaml"), &servers.source_yaml(i));
        dm.ctl(&["operate-source", "create", &file]).success();
    }
    // The times before each of three writes, each a second of its own.
    let write = |n: i64| {
        let clock = || servers.sources[0].value("SELECT NOW()");
        let before = clock();
        wait_until(SOON, "the next second", || clock() != before);
        let at = clock();
        for (i, source) in servers.sources.iter().enumerate() {
            let sid = n * 10 + i as i64;
            source.sql(format!(
                "INSERT INTO my_db1.table1 VALUES ({n}, {sid}, 1, 'a', NULL); BEGIN; INSERT INTO my_db1.table2 VALUES ({n}, {sid} + 5, 1, 'b', NULL); \
                 UPDATE my_db1.table2 SET pid=2 WHERE id={n}; COMMIT"
            ));
        }
        at
    };
    let _first = write(1);
    let second = write(2);
    // The third stands in a file of its own at one of the sources.
    servers.sources[1].sql("FLUSH BINARY LOGS");
    let third = write(3);
    let begun = |args: &[&str], ids: &str| {
        servers.target.sql("DELETE FROM my_db.table5");
        dm.ctl(&[&["start-task", &task], args].concat()).success();
        let rows = "SELECT GROUP_CONCAT(n ORDER BY n) FROM (SELECT CONCAT(id, '*', COUNT(*)) n FROM my_db.table5 GROUP BY id) x";
        wait_until(SOON, &format!("{args:?}: the rows {ids}"), || servers.target.value(rows) == ids);
        dm.ctl(&["stop-task", "t"]).success();
    };
    begun(&[], "1*4,2*4,3*4");
    let late = dm.ctl(&["start-task", &task, "--start-time", "2036-01-01 00:00:00"]).failure();
    assert!(late.stdout.contains("[code=20057:"), "{}", late.shown());
    let bad = dm.ctl(&["start-task", &task, "--start-time", "soon"]).failure();
    assert!(
        bad.stdout.contains("`soon` is no time") && bad.stdout.contains("2021-10-21 00:01:00"),
        "{}",
        bad.shown()
    );
    dm.ctl(&["check-task", &task, "--start-time", &second]).success();
    begun(&["--start-time", &third], "3*4");
    begun(&["--start-time", &second.replace(' ', "T")], "2*4,3*4");
    begun(&["--start-time", &third, "--remove-meta"], "3*4");
    // Once: the next start goes on from the checkpoint.
    write(4);
    begun(&[], "4*4");
    dm.end(&after_errors().allow("cannot see the ids of the source's replicas"));
}

#[test]
fn a_start_time() {
    begins_at_a_time(Servers::start_of([Kind::MySql8033, Kind::MySql57]));
}

#[test]
fn a_start_time_of_a_mariadb_and_without_gtids() {
    begins_at_a_time(Servers::start_without_gtid([Kind::MariaDb1011, Kind::MySql56]));
}
