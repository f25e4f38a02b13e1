//! Where a run begins, and what its checkpoint says of that.

use testkit::{Kind, Options, Server, wait_until_blocking};

use super::{
    bad_input::small,
    rig::{LIMIT, dump, end_of, position, stop},
};

/// A start by GTID without any event: the server begins with the file's own first events, whose place lies before the set.
fn the_checkpoint_keeps_its_place(kind: Kind) {
    let Some(mut rig) = small(Options::default()) else { return };
    let Some(source) = Server::start_or_skip(kind, Options::default()) else { return };
    source.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(20)) DEFAULT CHARSET=utf8mb4",
    );
    rig.sources = vec![source];
    rig.gtid = true;
    for n in 1..=3 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'early')"));
    }
    rig.note_positions();
    let here = end_of(&rig.sources[0]);
    for run in 0..2 {
        let mut tool = rig.start();
        tool.wait_until(LIMIT, "it reads", |t| {
            t.stderr_so_far().contains("replicate binlog from checkpoint")
        });
        // Nothing happens, and nothing may be written, now or at the end.
        let before = end_of(&rig.sources[0]);
        let idle =
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%has sent all binlog%'";
        wait_until_blocking(LIMIT, "the source to have sent all", || rig.sources[0].value(idle) == "1");
        assert_eq!(rig.checkpoint(0), Some(before.clone()), "run {run}");
        stop(tool);
        assert_eq!(rig.checkpoint(0), Some(before), "run {run}");
        let mut tool = rig.start();
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({},'late')", 10 + run));
        wait_until_blocking(LIMIT, "the row", || {
            rig.target.value("SELECT COUNT(*) FROM d.t") == (run + 1).to_string()
        });
        rig.wait_synced(&mut tool);
        stop(tool);
        assert_eq!(rig.checkpoint(0), Some(end_of(&rig.sources[0])));
    }
    assert!(end_of(&rig.sources[0]) > here);
    // A new file without transactions: its begin says the same as the set.
    rig.sources[0].sql("FLUSH BINARY LOGS");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    assert_eq!(rig.checkpoint(0), Some(end_of(&rig.sources[0])));
}

#[test]
fn a_start_by_gtid_keeps_file_and_position() {
    the_checkpoint_keeps_its_place(Kind::MySql8033);
}

#[test]
fn a_start_by_gtid_keeps_file_and_position_mariadb() {
    the_checkpoint_keeps_its_place(Kind::MariaDb1011);
}

/// Neither `meta` nor a checkpoint: as DM, from where the source is now, in safe mode for its time.
#[test]
fn without_meta_and_checkpoint() {
    let Some(rig) = small(Options::default()) else { return };
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'before')");
    let now = position(&rig.sources[0]);
    let mut tool = rig.start();
    tool.wait_until(LIMIT, "it reads", |t| t.stderr_so_far().contains("replicate binlog from checkpoint"));
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'after')");
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert_eq!(dump(&rig.target, "d.t").len(), 1);
    assert_eq!(rig.target.value("SELECT id FROM d.t"), "2");
    assert!(log.contains("enable safe-mode because of task initialization"), "{log}");
    assert!(log.contains("neither a checkpoint nor `meta`"), "{log} {now}");
}
