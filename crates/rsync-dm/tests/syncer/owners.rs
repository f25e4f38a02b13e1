//! Who owns a subtask, which server answers, and what a defect in a part of it does.

use std::net::SocketAddr;

use testkit::{Options, proxy::Proxy, tool::Started, wait_until_blocking};

use super::{
    bad_input::{goes_on, says, small},
    exact::{start_through, twin},
    rig::{LIMIT, Rig, stop},
};

fn address(server: &testkit::Server) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], server.port()))
}

fn wait_ended(tool: &mut Started) -> String {
    wait_until_blocking(LIMIT, "its end", || !tool.is_running());
    tool.stderr_so_far()
}

/// A process that paused on an error which may be over by itself stands still until another one has the subtask: it does not take it back.
#[test]
fn an_older_run_does_not_take_its_source_back_by_itself() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut older = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut older);
    rig.target.sql("RENAME TABLE d.t TO d.away");
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'b')");
    wait_until_blocking(LIMIT, "its pause", || older.stderr_so_far().contains("the subtask is paused"));
    older.signal(19);
    rig.target.sql("RENAME TABLE d.away TO d.t");
    let mut newer = rig.start();
    rig.wait_synced(&mut newer);
    older.signal(18);
    let log = wait_ended(&mut older);
    says(&log, &["dispatch auto resume task", "code=36900", "another process has taken over this subtask"]);
    rig.sources[0].sql("INSERT INTO d.t VALUES (3,'c')");
    rig.wait_synced(&mut newer);
    let log = stop(newer);
    assert!(!log.contains("the subtask is paused"), "{log}");
    // A new start may.
    goes_on(&rig);
}

/// Behind one address another server answers while the run goes on.
fn server_changes(gtid: bool) -> Option<(Rig, Started, Proxy, testkit::Server)> {
    let mut rig = small(Options::default())?;
    rig.gtid = gtid;
    rig.note_positions();
    let proxy = Proxy::to(&rig.sources[0]);
    let mut tool = start_through(&rig, &proxy);
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    let other = twin(&rig)?;
    let old = std::mem::replace(&mut rig.sources[0], other);
    // More than the old server has: a position of that one would lie in the middle of these.
    for n in 2..20 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'{}')", "b".repeat(n)));
    }
    proxy.set_upstream(address(&rig.sources[0]));
    proxy.cut_all();
    Some((rig, tool, proxy, old))
}

#[test]
fn another_server_behind_the_address_while_running() {
    let Some((rig, mut tool, proxy, old)) = server_changes(false) else { return };
    let log = wait_ended(&mut tool);
    let uuid = |server: &testkit::Server| server.value("SELECT @@server_uuid");
    says(&log, &["code=30034", &uuid(&old), &uuid(&rig.sources[0]), "enable-gtid", "--remove-meta"]);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t"), "1");
    drop((proxy, old));
}

#[test]
fn another_server_behind_the_address_while_running_by_gtid() {
    let Some((rig, tool, proxy, old)) = server_changes(true) else { return };
    let rows = "SELECT COUNT(*) FROM d.t";
    wait_until_blocking(LIMIT, "the rows of the new server", || rig.target.value(rows) == "19");
    rig.sources[0].sql("UPDATE d.t SET v='c' WHERE id>10; DELETE FROM d.t WHERE id=2");
    wait_until_blocking(LIMIT, "the next ones", || rig.target.value(rows) == "18");
    let log = stop(tool);
    says(&log, &["another server answers", "the source is another server than before"]);
    assert!(!log.contains("the subtask is paused"), "{log}");
    goes_on(&rig);
    drop((proxy, old));
}

/// One of the tasks that apply rows panics.
#[test]
fn a_panic_in_a_lane_is_the_subtask_s_error() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    for n in 1..10 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'a'); UPDATE d.t SET v='b' WHERE id={n}"));
    }
    let mut tool = rig.start_with(&[("FAILPOINTS", "syncer-before-apply=panic")]);
    let log = wait_ended(&mut tool);
    says(&log, &["code=36001", "which applies rows, panicked", "resume-task"]);
    goes_on(&rig);
}

/// `rsync-dm run` ends on a DDL that the target refuses, and is started again with what is wanted of it.
#[test]
fn a_refused_ddl_is_skipped_and_replaced_by_flags() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("INSERT INTO d.t VALUES (70,'a')");
    rig.sources[0].sql(
        "INSERT INTO d.t VALUES (1,'a'); ALTER TABLE d.t ADD UNIQUE KEY u (v); INSERT INTO d.t VALUES (2,'b'); \
         ALTER TABLE d.t ADD COLUMN w int NOT NULL DEFAULT 4, ADD UNIQUE KEY x (v, w); INSERT INTO d.t VALUES (3,'c',5)",
    );
    let events =
        rig.sources[0].rows(format!("SHOW BINLOG EVENTS IN '{}'", super::rig::end_of(&rig.sources[0]).0));
    let begin = |text: &str| {
        let row = events.iter().find(|row| row.text("Info").unwrap().contains(text)).unwrap();
        format!("{}:{}", row.text("Log_name").unwrap(), row.text("Pos").unwrap())
    };
    let (skip, replace) = (begin("ADD UNIQUE KEY u"), begin("ADD COLUMN w"));
    let mut tool = rig.start();
    says(&wait_ended(&mut tool), &["code=10006", "Duplicate entry 'a'", &skip.replace(':', ", ")]);
    let bad = |flag: &str, text: &str| rig.tool().args([flag, text]).run().failure().stderr;
    says(&bad("--skip-ddl", &format!("nobody={skip}")), &["--skip-ddl", "no such source"]);
    says(&bad("--replace-ddl", &format!("s0={replace}")), &["there is no statement"]);
    says(&bad("--replace-ddl", &format!("s0={replace}=ALTER TABLE t ADD w int")), &["without its schema"]);
    let with = format!("s0={replace}=ALTER TABLE d.t ADD COLUMN w bigint NOT NULL DEFAULT 4");
    let mut tool = rig.start_args(&["--skip-ddl", &format!("s0={skip}"), "--replace-ddl", &with]);
    rig.wait_synced(&mut tool);
    stop(tool);
    rig.target.sql("DELETE FROM d.t WHERE id=70");
    let shape = "SELECT GROUP_CONCAT(DATA_TYPE ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE TABLE_NAME='t' AND TABLE_SCHEMA='d'";
    assert_eq!(rig.target.value(shape), "int,varchar,bigint");
    goes_on(&rig);
}
