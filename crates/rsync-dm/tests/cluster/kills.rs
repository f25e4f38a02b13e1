//! Processes that are killed, with a lock open too.

use super::*;

pub(super) fn insert(servers: &Servers, from: i64, to: i64) {
    for (i, source) in servers.sources.iter().enumerate() {
        for (j, table) in ["table1", "table2"].iter().enumerate() {
            let base = (i * 2 + j) as i64 * 1_000_000;
            let values: Vec<String> =
                (from..to).map(|n| format!("({n}, {}, {n}, 'row {n}', NULL)", base + n)).collect();
            source.sql(format!(
                "INSERT INTO my_db1.{table} (id, sid, pid, comment, at) VALUES {}",
                values.join(",")
            ));
        }
    }
}

pub(super) fn alter(servers: &Servers, i: usize) {
    for table in ["table1", "table2"] {
        servers.sources[i].sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN extra INT NOT NULL DEFAULT 7"));
    }
}

/// A killed process shows in the logs of the others, and nothing else does.
pub(crate) fn after_kills() -> LogCheck {
    LogCheck::new()
        .allow("no connection to the master; replication goes on")
        .allow("the worker is gone, its source may move")
        .allow("dispatch auto resume task")
        .allow("the subtask is paused")
        // A row of before a DDL that is met after it.
        .allow("the rows do not fit the table as it is at the source now")
}

#[test]
fn a_killed_worker_with_a_lock_is_replaced_and_nothing_is_lost() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(3);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 200);
    servers.wait_equal("sid, id, pid, comment");
    alter(&servers, 0);
    dm.wait_lock();
    insert(&servers, 200, 400);
    let holder = dm.worker_of("mysql-01");
    dm.kill_worker(&holder);
    wait_until(SOON, "the source has moved", || {
        let now = dm.worker_of("mysql-01");
        now != holder && !now.is_empty()
    });
    alter(&servers, 1);
    dm.wait_no_lock();
    insert(&servers, 400, 500);
    servers.wait_equal("sid, id, pid, comment, extra");
    dm.end(&after_kills());
}

#[test]
fn a_killed_master_with_a_lock_goes_on_where_it_was() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 100);
    alter(&servers, 0);
    let before = dm.wait_lock();
    dm.kill_master();
    insert(&servers, 100, 300);
    alter(&servers, 1);
    dm.start_master();
    dm.wait_workers(2);
    wait_until(SOON, "the lock is resolved or still there", || {
        let now: serde_json::Value = serde_json::from_str(&dm.ctl(&["shard-ddl-lock"]).stdout).unwrap();
        now["msg"] == "no DDL lock exists" || now["locks"][0]["ID"] == before["locks"][0]["ID"]
    });
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment, extra");
    dm.end(&after_kills());
}

/// The owner has run the statement, and the master dies of hearing it: the owner's rows go on, the other source waits.
#[test]
fn a_master_lost_at_the_end_of_a_shard_ddl_stops_no_rows() {
    let Some(servers) = Servers::start() else { return };
    let failpoints = "dm-master-before-done=return".to_owned();
    let mut dm = Dm::start_with(2, MoreArgs { master_failpoints: failpoints, ..Default::default() });
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 100);
    alter(&servers, 0);
    dm.wait_lock();
    alter(&servers, 1);
    dm.wait_master_dead();
    insert(&servers, 100, 300);
    // Rows from 2 000 000 on are the second source's: it passes over the statement when a master says so.
    let arrived =
        || servers.target.value("SELECT COUNT(*) FROM my_db.table5 WHERE sid < 2000000 AND extra = 7");
    wait_until(SOON, "the owner's rows arrive without a master", || arrived() == "598");
    dm.start_master();
    dm.wait_workers(2);
    dm.wait_no_lock();
    insert(&servers, 300, 400);
    servers.wait_equal("sid, id, pid, comment, extra");
    dm.end(&after_kills());
}

#[test]
fn without_a_master_rows_still_arrive() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    // A terminal that is closed ends nothing.
    for name in ["master", "worker1", "worker2"] {
        dm.signal(name, 1);
    }
    dm.ctl(&["query-status", "t"]).success();
    dm.kill_master();
    insert(&servers, 1, 100);
    servers.wait_equal("sid, id, pid, comment");
    dm.start_master();
    dm.wait_workers(2);
    dm.ctl(&["pause-task", "t"]).success();
    dm.end(&after_kills());
}
