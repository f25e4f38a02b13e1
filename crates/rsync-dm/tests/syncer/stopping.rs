//! A stop ends within seconds, whatever others do at the target, and loses nothing.

use std::time::{Duration, Instant};

use mysql::Conn;
use testkit::{Account, Options, tool::Started, wait_until_blocking};

use super::{
    bad_input::{goes_on, small},
    rig::{LIMIT, Rig, runtime},
};

/// How long a stop may take.
const SOON: Duration = Duration::from_secs(8);

/// A session at the target that has run these statements and goes on with nothing.
fn holder(rig: &Rig, statements: &[&str]) -> Conn {
    runtime().block_on(async {
        let mut conn = rig.target.conn(Account::Admin).await;
        for sql in statements {
            conn.exec(sql).await.unwrap();
        }
        conn
    })
}

fn let_go(holder: Conn) {
    runtime().block_on(holder.close());
}

fn ends_soon(mut tool: Started) -> String {
    let since = Instant::now();
    tool.signal(15);
    let finished = tool.finish(SOON).success();
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    finished.stderr
}

fn rows_wait(rig: &Rig) -> u64 {
    // INNODB_TRX is a cache that stays old while it is read often.
    let status = rig.target.rows("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'");
    status.first().unwrap().parse(1).unwrap().unwrap()
}

fn stopped_while_rows_are_locked(keys: bool) {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    if !keys {
        rig.target.sql("ALTER TABLE d.t DROP PRIMARY KEY");
    }
    let mut tool = rig.start();
    for n in 1..=20 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'x')"));
    }
    rig.wait_synced(&mut tool);
    let other = holder(&rig, &["BEGIN", "SELECT * FROM d.t FOR UPDATE"]);
    rig.sources[0].sql(
        "UPDATE d.t SET v='y' WHERE id > 10; DELETE FROM d.t WHERE id = 3; UPDATE d.t SET id = id + 100 WHERE id = 5; \
         INSERT INTO d.t VALUES (21,'x'); UPDATE d.t SET v='z' WHERE id IN (1, 20)",
    );
    wait_until_blocking(LIMIT, "a lane to wait", || rows_wait(&rig) > 0);
    let log = ends_soon(tool);
    assert!(log.contains("are given up"), "{log}");
    // Nothing of it stays at the target, where it would be in the way of the next start.
    wait_until_blocking(Duration::from_secs(3), "the end of the given up transactions", || {
        rows_wait(&rig) == 0
    });
    // The next start is not kept by the lock either, and can be stopped again.
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "it waits again", || {
        assert!(tool.is_running(), "{}", tool.stderr_so_far());
        rows_wait(&rig) > 0
    });
    ends_soon(tool);
    let_go(other);
    goes_on(&rig);
}

#[test]
fn with_rows_locked_by_another_session() {
    stopped_while_rows_are_locked(true);
}

#[test]
fn with_rows_locked_by_another_session_in_a_table_without_key() {
    stopped_while_rows_are_locked(false);
}

/// A DDL waits for a table lock of another session.
#[test]
fn with_a_ddl_that_waits() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'x')");
    rig.wait_synced(&mut tool);
    let other = holder(&rig, &["BEGIN", "SELECT * FROM d.t"]);
    rig.sources[0].sql("ALTER TABLE d.t ADD KEY (v); INSERT INTO d.t VALUES (2,'y')");
    let waiting = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'";
    wait_until_blocking(LIMIT, "the DDL to wait", || rig.target.value(waiting) != "0");
    ends_soon(tool);
    wait_until_blocking(LIMIT, "the end of the DDL", || rig.target.value(waiting) == "0");
    let_go(other);
    goes_on(&rig);
    let keys =
        "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='d' AND COLUMN_NAME='v'";
    assert_eq!(rig.target.value(keys), "1");
}

/// A DDL that is at work goes on at the target, and the next start waits for it in place of running it a second time.
#[test]
fn with_a_ddl_at_work() {
    let Some(mut rig) = small(Options::default()) else { return };
    // The target has much more to sort than the source.
    rig.target.sql("SET cte_max_recursion_depth=2000000; INSERT INTO d.t WITH RECURSIVE n AS (SELECT 10000 i UNION ALL SELECT i+1 FROM n WHERE i<400000) SELECT i, LEFT(MD5(i), 20) FROM n");
    rig.target.sql("SET GLOBAL innodb_ddl_buffer_size=65536");
    rig.note_positions();
    let tool = rig.start();
    rig.sources[0].sql("ALTER TABLE d.t ADD KEY (v), ADD KEY (v, id), ADD COLUMN w int NOT NULL DEFAULT 5 FIRST, ALGORITHM=INPLACE; INSERT INTO d.t VALUES (1,2,'y')");
    let running = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER%' AND STATE NOT LIKE '%lock%'";
    wait_until_blocking(LIMIT, "the DDL to run", || rig.target.value(running) != "0");
    let log = ends_soon(tool);
    let left_running = log.contains("the DDL goes on at the target");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = super::rig::stop(tool);
    if left_running {
        assert!(log.contains("the statement was run before the restart"), "{log}");
    }
    assert_eq!(rig.target.value("SELECT CONCAT_WS('|', w, id, v) FROM d.t WHERE id=2"), "1|2|y");
    let keys = "SELECT COUNT(DISTINCT INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='d' AND TABLE_NAME='t'";
    assert_eq!(rig.target.value(keys), "3");
}

/// The target does not answer any more, without closing anything.
#[test]
fn with_a_target_that_hangs() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'x')");
    rig.wait_synced(&mut tool);
    let process = rig.target.pid().unwrap().to_string();
    let signal = |name: &str| {
        assert!(std::process::Command::new("kill").args([name, &process]).status().unwrap().success());
    };
    signal("-STOP");
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'y')");
    let since = Instant::now();
    tool.signal(15);
    let ended = tool.wait_until(Duration::from_secs(20), "it ends", |_| false);
    signal("-CONT");
    assert!(!ended && since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    goes_on(&rig);
}
