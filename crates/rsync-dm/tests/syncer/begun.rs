//! Statements that a process had begun when it ended, and what the next one makes of them.

use testkit::{Account, Options, tool::Started, wait_until_blocking};

use super::{
    bad_input::{goes_on, says, small},
    rig::{LIMIT, Rig, end_of, runtime, stop},
};

/// Starts it with a failpoint that ends it.
fn dies(rig: &Rig, failpoint: &str) {
    let mut tool = rig.start_with(&[("FAILPOINTS", failpoint)]);
    wait_until_blocking(LIMIT, "its death", || !tool.is_running());
}

fn wait_log(tool: &Started, words: &str) {
    wait_until_blocking(LIMIT, words, || tool.stderr_so_far().contains(words));
}

fn indexes(rig: &Rig) -> String {
    rig.target.value(
        "SELECT GROUP_CONCAT(DISTINCT INDEX_NAME ORDER BY INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='d'",
    )
}

/// What servers show of a structure hangs on the session, and that on the statement: a change that was not made is not taken for made.
#[test]
fn a_change_that_was_not_made() {
    for setting in ["sql_mode='ANSI_QUOTES'", "time_zone='+05:00'"] {
        let Some(mut rig) = small(Options::default()) else { return };
        for server in [&rig.sources[0], &rig.target] {
            server.sql("SET sql_log_bin=0, time_zone='+00:00'; ALTER TABLE d.t ADD COLUMN at timestamp NOT NULL DEFAULT '2020-01-01 00:00:00'");
        }
        rig.note_positions();
        rig.target.sql("ALTER TABLE d.t ADD COLUMN e int");
        rig.sources[0].sql(format!(
            "SET {setting}; ALTER TABLE d.t ADD COLUMN e int, ADD KEY (v), ADD KEY (at); INSERT INTO d.t (id,v,e) VALUES (1,'a',2)"
        ));
        // The whole, the column, the first key.
        dies(&rig, "syncer-before-ddl=2*off->return");
        assert_eq!(indexes(&rig), "PRIMARY", "{setting}");
        goes_on(&rig);
        assert_eq!(indexes(&rig), "at,PRIMARY,v", "{setting}");
    }
}

/// Somebody changes the table while the process is down that was about to run a statement.
#[test]
fn others_change_the_table_before_a_statement() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    for (n, statement) in [
        "ALTER TABLE d.t ADD UNIQUE KEY u (v)",
        "ALTER TABLE d.t ADD COLUMN w int NOT NULL DEFAULT 4, ADD KEY wk (w)",
        "ALTER TABLE d.t MODIFY v varchar(40)",
        "ALTER TABLE d.t DROP KEY u",
        "CREATE INDEX vw ON d.t (v, w)",
        "ALTER TABLE d.t CHANGE w x bigint",
        "DROP INDEX vw ON d.t",
        "ALTER TABLE d.t DROP COLUMN x",
        "RENAME TABLE d.t TO d.s",
        "ALTER TABLE d.s RENAME TO d.t",
    ]
    .into_iter()
    .enumerate()
    {
        let name = if statement.contains("d.s RENAME") { "s" } else { "t" };
        rig.sources[0].sql(statement);
        dies(&rig, "syncer-before-ddl=return");
        rig.target.sql(format!("ALTER TABLE d.{name} ADD KEY other{n} (id)"));
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        says(&log, &["it does not show that it was run", statement]);
        let shape = "SELECT GROUP_CONCAT(TABLE_NAME,'.',COLUMN_NAME,' ',COLUMN_TYPE ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='d'";
        assert_eq!(rig.target.value(shape), rig.sources[0].value(shape), "{statement}");
    }
    let others: Vec<String> = (0..10).map(|n| format!("other{n}")).collect();
    assert_eq!(indexes(&rig), format!("{},PRIMARY", others.join(",")));
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a'),(2,'a')");
    goes_on(&rig);
}

/// A process stands still right before a statement. An operator wants that left out: the next process sees to it that it does not come
/// later.
#[test]
fn a_session_that_stands_still_before_a_statement_that_is_skipped() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let (file, pos) = end_of(&rig.sources[0]);
    rig.sources[0].sql("ALTER TABLE d.t DROP COLUMN v");
    let events = rig.sources[0].rows(format!("SHOW BINLOG EVENTS IN '{file}' FROM {pos}"));
    let alter = events.iter().find(|row| row.text("Info").unwrap().contains("DROP COLUMN")).unwrap();
    let skip = format!("s0={file}:{}", alter.text("Pos").unwrap());
    let mut older = rig.start_with(&[("FAILPOINTS", "syncer-before-ddl=pause")]);
    let journal = "SELECT COUNT(*) FROM dm_meta.test_rsync_fence WHERE state LIKE '%DROP COLUMN%'";
    wait_log(&older, "execute DDL");
    wait_until_blocking(LIMIT, "the note about it", || rig.target.value(journal) == "1");
    let mut newer = rig.start_args(&["--skip-ddl", &skip]);
    wait_log(&newer, "is ended");
    rig.sources[0].sql("INSERT INTO d.t VALUES (1)");
    rig.wait_synced(&mut newer);
    let log = stop(newer);
    says(
        &log,
        &[
            "an operator wants something else",
            "the session in which the last owner was about to run a DDL is ended",
        ],
    );
    older.kill();
    let columns = "SELECT GROUP_CONCAT(COLUMN_NAME) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='d'";
    assert_eq!(rig.target.value(columns), "id,v");
}

/// The same where it runs, and waits for a lock: rows that come after it do not go before it.
#[test]
fn a_statement_that_still_runs_is_waited_for() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut locks = runtime().block_on(async {
        let mut conn = rig.target.conn(Account::Admin).await;
        conn.exec("BEGIN").await.unwrap();
        conn.exec("SELECT * FROM d.t").await.unwrap();
        conn
    });
    rig.sources[0]
        .sql("ALTER TABLE d.t ADD COLUMN w int NOT NULL DEFAULT 3; INSERT INTO d.t VALUES (1,'a',2)");
    let mut tool = rig.start();
    let waits = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE LIKE '%metadata lock%'";
    wait_until_blocking(LIMIT, "the statement", || rig.target.value(waits) == "1");
    tool.kill();
    let mut tool = rig.start();
    wait_log(&tool, "the DDL still runs at the target");
    runtime().block_on(locks.exec("ROLLBACK")).unwrap();
    rig.wait_synced(&mut tool);
    says(&stop(tool), &["the statement was run before the restart"]);
    goes_on(&rig);
}
