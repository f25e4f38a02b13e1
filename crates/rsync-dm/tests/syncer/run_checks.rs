//! What `rsync-dm run` looks at before it begins, and what it meets when that changes later.

use testkit::{Options, wait_until_blocking};

use super::{
    bad_input::{fails, goes_on, says, small},
    rig::{LIMIT, Rig, stop},
};

/// It ends at once, with an error that has these words, and the target was not touched.
fn is_refused(rig: &Rig, words: &[&str]) {
    let done = rig.start().finish(LIMIT).expect_code(1);
    let last = done.stderr.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    says(last, &["code=26005"]);
    says(last, words);
    let meta = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='dm_meta'";
    assert_eq!(rig.target.value(meta), "0");
}

#[test]
fn rights_that_are_missing() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("REVOKE ALTER, INDEX ON *.* FROM target");
    rig.sources[0].sql("REVOKE REPLICATION CLIENT ON *.* FROM replicate");
    is_refused(
        &rig,
        &[
            "GRANT REPLICATION CLIENT ON *.* TO 'replicate'@",
            "GRANT ALTER, INDEX ON `d`.* TO 'target'@",
            "`dm_meta`.*",
        ],
    );
    rig.sources[0].sql("GRANT REPLICATION CLIENT ON *.* TO replicate");
    is_refused(&rig, &["target: missing privilege ALTER on `d`.*"]);
    // Rights that these two databases need, and no others.
    rig.target.sql(
        "REVOKE ALL ON *.* FROM target; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `d`.* TO target; \
         GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `dm\\_meta`.* TO target",
    );
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a'); ALTER TABLE d.t ADD COLUMN n int");
    goes_on(&rig);
}

/// All at once, also of databases of which the account sees nothing.
#[test]
fn rights_on_tables_that_nobody_sees() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql("CREATE DATABASE d2; CREATE TABLE d2.x (id int PRIMARY KEY)");
    rig.task = "block-allow-list:\n  all: {do-dbs: [d, d2, '~^e']}\nroutes:\n  \
                r: {schema-pattern: d2, target-schema: elsewhere}\n"
        .into();
    rig.sources[0].sql("REVOKE SELECT ON *.* FROM replicate");
    rig.target.sql(
        "REVOKE ALL ON *.* FROM target; GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, DROP ON `d`.* TO target; \
         GRANT CREATE, SELECT, INSERT, UPDATE, DELETE, ALTER, INDEX, DROP ON `dm\\_meta`.* TO target",
    );
    is_refused(
        &rig,
        &[
            "GRANT SELECT ON `d`.* TO 'replicate'@'",
            "GRANT SELECT ON `d2`.* TO 'replicate'@'",
            "ON `elsewhere`.* TO 'target'@'",
        ],
    );
    let text = rig.start().finish(LIMIT).expect_code(1).stderr;
    assert!(!text.contains(";;"), "{text}");
    rig.sources[0].sql("GRANT SELECT ON d.* TO replicate; GRANT SELECT ON d2.* TO replicate");
    rig.target.sql("GRANT ALL ON elsewhere.* TO target");
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    goes_on(&rig);
}

#[test]
fn a_right_that_is_left_out_of_the_checks() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.task.push_str("ignore-checking-items: [target_privilege, dump_privilege]\n");
    rig.target.sql("REVOKE DROP ON *.* FROM target");
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    goes_on(&rig);
    // Where it is needed it is named then.
    rig.target.sql("REVOKE ALTER ON *.* FROM target");
    rig.sources[0].sql("ALTER TABLE d.t ADD COLUMN n int");
    let text = fails(&rig);
    says(&text, &["code=10006", "Error 1142", "GRANT ALTER, DROP ON `d`.* TO 'target'@"]);
    rig.target.sql("GRANT ALTER ON *.* TO target");
    goes_on(&rig);
    // Tables of the source that the account does not see.
    rig.sources[0].sql("REVOKE SELECT ON *.* FROM replicate");
    rig.target.sql("DROP DATABASE dm_meta");
    rig.note_positions();
    rig.sources[0].sql("INSERT INTO d.t (id) VALUES (3)");
    says(&fails(&rig), &["cannot read the structure of `d`.`t`", "GRANT SELECT ON `d`.`t` TO 'replicate'@'"]);
}

#[test]
fn a_binlog_of_another_form() {
    let Some(mut rig) = small(Options::default().binlog_format("STATEMENT").row_image("MINIMAL")) else {
        return;
    };
    rig.note_positions();
    is_refused(
        &rig,
        &[
            "source s0: binlog_format is STATEMENT",
            "SET GLOBAL binlog_format = ROW",
            "source s0: binlog_row_image is MINIMAL",
        ],
    );
    rig.sources[0].sql("SET GLOBAL binlog_format=MIXED; SET GLOBAL binlog_row_image=FULL");
    is_refused(&rig, &["source s0: binlog_format is MIXED"]);
    // Who wants it all the same is told, and every statement that comes so is an error.
    rig.task.push_str("ignore-checking-items: [binlog_format]\n");
    let mut tool = rig.start();
    rig.sources[0].sql("SET binlog_format=ROW; INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let warned =
        |line: &str| line.contains("[WARN]") && line.contains("binlog_format of the source is MIXED");
    assert!(log.lines().any(warned), "{log}");
    rig.sources[0].sql("UPDATE d.t SET v='b'");
    says(&fails(&rig), &["code=36014", "UPDATE d.t SET v='b'", "startLocation: [position: (binlog.00000"]);
    assert_eq!(rig.target.value("SELECT v FROM d.t"), "a");
}

/// Set for all new sessions while the task runs.
#[test]
fn a_binlog_that_changes_its_form() {
    for (setting, change, words) in [
        ("binlog_format=STATEMENT", "DELETE FROM d.t", ["code=36014", "DELETE FROM d.t"]),
        ("binlog_row_image=MINIMAL", "INSERT INTO d.t (id) VALUES (2)", ["code=11126", "binlog_row_image"]),
        ("binlog_row_image=NOBLOB", "UPDATE d.t SET v='b'", ["code=11126", "binlog_row_image"]),
    ] {
        let Some(mut rig) = small(Options::default()) else { return };
        for server in [&rig.sources[0], &rig.target] {
            server.sql("ALTER TABLE d.t ADD COLUMN x text");
        }
        rig.note_positions();
        let mut tool = rig.start();
        rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a','x')");
        rig.wait_synced(&mut tool);
        let before = rig.target.rows("CHECKSUM TABLE d.t");
        rig.sources[0].sql(format!("SET GLOBAL {setting}"));
        rig.sources[0].sql(change);
        let mut line = String::new();
        wait_until_blocking(LIMIT, "an error", || {
            let log = tool.stderr_so_far();
            line = log.lines().find(|l| l.contains("the subtask is paused")).unwrap_or_default().into();
            !line.is_empty()
        });
        says(&line, &words);
        says(&line, &["`d`.`t`", "startLocation: [position: (binlog.00000"]);
        tool.kill();
        let there = rig.target.rows("CHECKSUM TABLE d.t");
        assert_eq!(
            there.first().unwrap().text(1).unwrap(),
            before.first().unwrap().text(1).unwrap(),
            "{setting}"
        );
    }
}
