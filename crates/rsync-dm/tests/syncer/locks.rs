//! Tables without a key, and rows that others have locked.

use std::time::Duration;

use testkit::{Account, Kind, Options, wait_until_blocking};

use super::{
    bad_input::{goes_on, small},
    kills::without_keys,
    rig::{LIMIT, Rig, runtime, stop},
};

/// All statements on a table without any key read and lock it whole: lanes and sources must not get into each other's way.
#[test]
fn lanes_and_sources_on_tables_without_any_key() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 2, 0, |_| Options::default()) else { return };
    rig.note_positions();
    without_keys(&rig);
    for table in ["my_db.table5", "my_db.table6", "my_db2.table3", "my_db2.table4"] {
        rig.target.sql(format!("ALTER TABLE {table} DROP KEY id"));
    }
    rig.target.sql("SET GLOBAL innodb_lock_wait_timeout=1");
    // A backlog, so that all lanes have much to do at once.
    let writers = rig.writers(400);
    wait_until_blocking(LIMIT, "transactions", || writers.iter().all(|w| w.transactions() > 1200));
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "more transactions", || writers.iter().all(|w| w.transactions() > 2000));
    runtime().block_on(async {
        for writer in writers {
            writer.stop().await.unwrap();
        }
    });
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(rig.verify() > 500);
    for word in ["the transaction is repeated", "the subtask is paused", "ER_KEY_NOT_FOUND"] {
        assert!(!log.contains(word), "{log}");
    }
}

/// Rows locked by others for longer than the server lets a statement wait: the lane tries again, the subtask does not pause.
#[test]
fn rows_locked_by_others_are_waited_for() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("SET GLOBAL innodb_lock_wait_timeout=1; INSERT INTO d.t VALUES (1,'a')");
    rig.target.sql("DELETE FROM d.t");
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a'), (2,'b'), (3,'c')");
    rig.wait_synced(&mut tool);
    let mut other = runtime().block_on(async {
        let mut other = rig.target.conn(Account::Admin).await;
        other.exec("BEGIN").await.unwrap();
        other.exec("SELECT * FROM d.t FOR UPDATE").await.unwrap();
        other
    });
    rig.sources[0]
        .sql("UPDATE d.t SET v='x' WHERE id=2; DELETE FROM d.t WHERE id=3; INSERT INTO d.t VALUES (4,'d')");
    wait_until_blocking(LIMIT, "some tries", || {
        tool.stderr_so_far().matches("the transaction is repeated").count() >= 3
    });
    runtime().block_on(async { other.exec("ROLLBACK").await }).unwrap();
    wait_until_blocking(Duration::from_secs(20), "the rows", || {
        rig.target.value("SELECT GROUP_CONCAT(id, v ORDER BY id) FROM d.t") == "1a,2x,4d"
    });
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("the subtask is paused"), "{log}");
    goes_on(&rig);
}
