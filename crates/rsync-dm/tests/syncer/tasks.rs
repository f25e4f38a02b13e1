//! More than one task: on one source at a time, and of one name.

use testkit::{Account, LogCheck, Options, wait_until_blocking};

use super::{
    bad_input::{goes_on, small},
    rig::{LIMIT, dump, runtime, stop},
};
use crate::cluster::{Dm, MERGED, SHARD, Servers};

/// Two tasks on the same source, in one worker.
#[test]
fn two_tasks_on_one_source() {
    let Some(servers) = Servers::start() else { return };
    for source in &servers.sources {
        source.sql(format!("CREATE DATABASE other; CREATE TABLE other.t {SHARD}"));
    }
    servers.target.sql(format!("CREATE DATABASE other; CREATE TABLE other.t {MERGED}"));
    let mut dm = Dm::start(2);
    let first = servers.task_yaml("first");
    let second = first
        .replace("name: first", "name: second")
        .replace("db-name: my_db1, tbl-name: table1", "db-name: other, tbl-name: t")
        .replace("    - {db-name: my_db1, tbl-name: table2}\n", "")
        .replace(
            "schema-pattern: my_db1, table-pattern: 'table[1-2]', target-schema: my_db, target-table: table5",
            "schema-pattern: other, table-pattern: t, target-schema: other, target-table: t",
        );
    dm.run_task(&servers, &first);
    let file = dm.file("second.yaml", &second);
    dm.ctl(&["start-task", &file]).success();
    let write = |from: u32, count: u32| {
        for n in from..from + count {
            for (s, source) in servers.sources.iter().enumerate() {
                let sid = n * 10 + s as u32;
                source.sql(format!(
                    "BEGIN; INSERT INTO my_db1.table1 (sid,pid) VALUES ({sid},1); INSERT INTO other.t (sid,pid) VALUES ({sid},2); COMMIT; \
                     UPDATE other.t SET pid=pid+1 WHERE sid < {sid}; DELETE FROM my_db1.table1 WHERE sid={sid}-30"
                ));
            }
        }
    };
    write(1, 60);
    let other = || {
        let mut there = dump(&servers.target, "other.t");
        let mut wanted: Vec<String> = servers.sources.iter().flat_map(|s| dump(s, "other.t")).collect();
        there.sort();
        wanted.sort();
        there == wanted
    };
    servers.wait_equal("sid, pid, comment");
    wait_until_blocking(LIMIT, "the rows of the second task", other);
    // Each goes on without the other.
    dm.ctl(&["pause-task", "first"]).success();
    write(100, 20);
    wait_until_blocking(LIMIT, "the rows of the second task", other);
    assert_ne!(servers.rows("sid").0, servers.rows("sid").1);
    dm.ctl(&["resume-task", "first"]).success();
    servers.wait_equal("sid, pid, comment");
    assert!(other());
    // Both start at once in a worker that comes new.
    let worker = dm.worker_of("mysql-01");
    dm.kill_worker(&worker);
    dm.start_worker("worker3");
    write(200, 20);
    servers.wait_equal("sid, pid, comment");
    wait_until_blocking(LIMIT, "the rows of the second task", other);
    dm.end(&crate::cluster::after_kills());
}

/// What holds for the process holds for a subtask in a worker: `pause-task` and `stop-task` do not wait for locks at the target.
#[test]
fn pause_and_stop_in_a_worker_while_rows_are_locked() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let task = servers.task_yaml("t1");
    dm.run_task(&servers, &task);
    for (s, source) in servers.sources.iter().enumerate() {
        source.sql(format!("INSERT INTO my_db1.table1 (sid,pid) VALUES ({s},1), ({s}+10,1), ({s}+20,1)"));
    }
    servers.wait_equal("sid, pid");
    let other = runtime().block_on(async {
        let mut other = servers.target.conn(Account::Admin).await;
        other.exec("BEGIN").await.unwrap();
        other.exec("SELECT * FROM my_db.table5 FOR UPDATE").await.unwrap();
        other
    });
    for source in &servers.sources {
        source.sql("UPDATE my_db1.table1 SET pid=2 WHERE sid>=10; DELETE FROM my_db1.table1 WHERE sid>=20");
    }
    let waiting = || {
        let status = servers.target.rows("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
        status.first().unwrap().parse::<u64>(1).unwrap().unwrap()
    };
    let workers = ["mysql-01", "mysql-02"].map(|source| dm.log(&dm.worker_of(source)));
    // By the programs' own clocks: how long a busy machine takes to start `ctl` does not count.
    let in_time = |command: &str, op: &str, stage: &str| {
        wait_until_blocking(LIMIT, "both to wait", || waiting() >= 2);
        dm.ctl(&[command, "t1"]).success();
        let told = seconds_of(&dm.log("master"), &["a task is operated", op]);
        for log in &workers {
            wait_until_blocking(LIMIT, command, || {
                let ended = seconds_of(log, &["subtask stage", stage]);
                ended.is_some() && ended >= told
            });
            let took = seconds_of(log, &["subtask stage", stage]).unwrap() - told.unwrap();
            assert!(took < 10.0, "{command}: {took} s");
        }
        // Nothing has let the rows go.
        assert!(servers.target.value("SELECT GROUP_CONCAT(pid) FROM my_db.table5") == "1,1,1,1,1,1");
    };
    in_time("pause-task", "op=Pause", "stage=Paused");
    dm.ctl(&["resume-task", "t1"]).success();
    in_time("stop-task", "op=Delete", "stage=Stopped");
    runtime().block_on(other.close());
    let file = dm.file("again.yaml", &task);
    dm.ctl(&["start-task", &file]).success();
    servers.wait_equal("sid, pid");
    dm.end(&LogCheck::new());
}

/// Time of day of the last line of a log that has these words.
fn seconds_of(log: &std::path::Path, words: &[&str]) -> Option<f64> {
    let text = std::fs::read_to_string(log).unwrap();
    let line = text.lines().rfind(|line| words.iter().all(|word| line.contains(word)))?;
    // `[2026/11/24 12:43:36.092 +00:00] …`
    let parts: Vec<f64> = line.get(12..24)?.split(':').filter_map(|part| part.parse().ok()).collect();
    let [hours, minutes, seconds] = parts[..] else { panic!("no time in {line}") };
    Some((hours * 60.0 + minutes) * 60.0 + seconds)
}

/// Two processes of one task at once, started together and while the first is at work: one of them has it, the other says so and ends.
#[test]
fn one_task_in_two_processes() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tools = [rig.start(), rig.start()];
    let mut n = 0;
    let mut write = || {
        n += 1;
        rig.sources[0]
            .sql(format!("INSERT INTO d.t VALUES ({n},'a'); UPDATE d.t SET v=CONCAT('b',v) WHERE id={n}-3"));
    };
    wait_until_blocking(LIMIT, "one to end", || {
        write();
        tools.iter_mut().any(|tool| !tool.is_running())
    });
    let ended = if tools[0].is_running() { 1 } else { 0 };
    let log = tools[ended].stderr_so_far();
    assert!(log.contains("another process has taken over this subtask"), "{log}");
    let [first, second] = tools;
    let mut winner = if ended == 0 { second } else { first };
    rig.wait_synced(&mut winner);
    stop(winner);
    goes_on(&rig);
}
