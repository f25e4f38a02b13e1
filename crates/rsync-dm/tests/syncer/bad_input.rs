//! What can be wrong with a source or target: one clear error each, and nothing lost or doubled when the cause is gone.

use testkit::{Account, Kind, Options, Server, wait_until_blocking};

use super::rig::{LIMIT, Rig, dump, end_of, position, stop};

/// One table `d.t` in both, without shards.
pub(super) fn small(options: Options) -> Option<Rig> {
    let source = Server::start_or_skip(Kind::MySql8033, options)?;
    let target = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    let rig = Rig {
        sources: vec![source],
        target,
        dir: testkit::WorkDir::new("bad").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    for server in [&rig.sources[0], &rig.target] {
        server.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(20)) DEFAULT CHARSET=utf8mb4",
        );
    }
    Some(rig)
}

/// Runs until the subtask pauses itself, or the start is refused; gives the line that says why.
pub(super) fn fails(rig: &Rig) -> String {
    let mut tool = rig.start();
    let mut line = String::new();
    wait_until_blocking(LIMIT, "an error", || {
        let ended = !tool.is_running();
        let log = tool.stderr_so_far();
        let paused = log.lines().find(|line| line.contains("the subtask is paused"));
        let refused = log.lines().rfind(|line| line.contains("[ERROR]")).filter(|_| ended);
        line = paused.or(refused).unwrap_or_default().to_owned();
        assert!(!ended || !line.is_empty(), "it ends without an error: {log}");
        !line.is_empty()
    });
    tool.kill();
    assert!(line.contains("[code="), "{line}");
    line
}

pub(super) fn goes_on(rig: &Rig) {
    let mut tool = rig.start();
    tool.wait_until(LIMIT, "it reads", |t| t.stderr_so_far().contains("replicate binlog from checkpoint"));
    rig.wait_synced(&mut tool);
    stop(tool);
    let mut there = dump(&rig.target, "d.t");
    let mut wanted = dump(&rig.sources[0], "d.t");
    there.sort();
    wanted.sort();
    assert_eq!(there, wanted);
}

pub(super) fn says(error: &str, words: &[&str]) {
    for word in words {
        assert!(error.contains(word), "`{word}` is not in: {error}");
    }
}

#[test]
fn binlog_off() {
    let Some(rig) = small(Options::default().no_binlog()) else { return };
    says(&fails(&rig), &["code=11125", "log_bin"]);
}

#[test]
fn statement_format() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql("SET binlog_format=STATEMENT; INSERT INTO d.t VALUES (1,'a')");
    says(&fails(&rig), &["code=36014", "`d`.`t`", "INSERT INTO d.t", "binlog_format", "startLocation"]);
}

#[test]
fn statements_on_other_tables_do_not_matter() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql(
        "CREATE DATABASE other; CREATE TABLE other.x (a int); SET binlog_format=STATEMENT; INSERT INTO other.x VALUES (1); \
         SET binlog_format=ROW; SET binlog_row_image=MINIMAL; INSERT INTO other.x VALUES (2); SET binlog_row_image=FULL; \
         CREATE FUNCTION other.f() RETURNS int DETERMINISTIC RETURN 1; CREATE VIEW d.v AS SELECT 1; \
         CREATE USER nobody2; GRANT SELECT ON d.* TO nobody2; FLUSH TABLES; ANALYZE TABLE d.t; \
         /* c */ CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW SET @x=1; DROP TRIGGER d.tr; \
         INSERT INTO d.t VALUES (1,'a'); DROP DATABASE other",
    );
    goes_on(&rig);
}

#[test]
fn minimal_row_image() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a'); SET binlog_row_image=MINIMAL; UPDATE d.t SET v='b'");
    says(&fails(&rig), &["code=11126", "binlog_row_image"]);
}

#[test]
fn purged_binlog() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a'); FLUSH BINARY LOGS; FLUSH BINARY LOGS");
    let (file, _) = end_of(&rig.sources[0]);
    rig.sources[0].sql(format!("PURGE BINARY LOGS TO '{file}'"));
    for gtid in [false, true] {
        rig.gtid = gtid;
        says(&rig.start().finish(LIMIT).expect_code(1).stderr, &["code=26005", "source s0", "purged"]);
    }
    // What the source says to who goes on all the same.
    rig.task.push_str("ignore-checking-items: [meta_position]\n");
    for gtid in [false, true] {
        rig.gtid = gtid;
        let asked = if gtid { "GTID set " } else { "position (binlog.000001, " };
        let text = rig.start().finish(LIMIT).expect_code(1).stderr;
        says(&text, &["code=36069", "purged", "asked for what follows", asked, "from `meta` of the task"]);
    }
}

#[test]
fn gtid_off() {
    let Some(mut rig) = small(Options::default().no_gtid()) else { return };
    rig.gtid = true;
    says(&fails(&rig), &["code=26007", "GTID_MODE"]);
}

#[test]
fn duplicate_key_in_the_target() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.task.push_str(
        "syncers:\n  sync: {worker-count: 4, safe-mode-duration: 0s, checkpoint-flush-interval: 1}\n",
    );
    rig.note_positions();
    rig.target.sql("INSERT INTO d.t VALUES (2,'in the way')");
    rig.sources[0].sql(
        "INSERT INTO d.t VALUES (1,'a'); INSERT INTO d.t VALUES (2,'b'); INSERT INTO d.t VALUES (3,'c')",
    );
    let text = fails(&rig);
    says(
        &text,
        &["code=10006", "INSERT INTO `d`.`t`", "Error 1062 (23000)", "Duplicate entry '2'", "startLocation"],
    );
    // What an operator needs: table, key, where it comes from, what to do.
    says(
        &text,
        &[
            "target table `d`.`t` has another row with this key (2)",
            "row of `d`.`t`",
            "resume-task",
            "extract-table",
        ],
    );
    rig.target.sql("DELETE FROM d.t WHERE id=2");
    goes_on(&rig);
}

#[test]
fn target_table_missing_or_with_fewer_columns() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("DROP TABLE d.t");
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    says(&fails(&rig), &["code=36070", "`d`.`t`"]);
    rig.target.sql("CREATE TABLE d.t (id int PRIMARY KEY)");
    says(&fails(&rig), &["Error 1054", "Unknown column 'v'"]);
    rig.target.sql("ALTER TABLE d.t ADD COLUMN v varchar(2)");
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'too long')");
    says(&fails(&rig), &["Error 1406"]);
    rig.target.sql("ALTER TABLE d.t MODIFY COLUMN v varchar(20)");
    goes_on(&rig);
}

#[test]
fn ddl_that_the_target_refuses() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    // The target has a row that the new key does not take.
    rig.target.sql("INSERT INTO d.t VALUES (100,'a'), (101,'a')");
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'x'); ALTER TABLE d.t ADD UNIQUE KEY u (v); INSERT INTO d.t VALUES (2,'y')");
    says(&fails(&rig), &["code=10006", "ADD UNIQUE KEY u (v)", "Error 1062", "resume-task"]);
    rig.target.sql("DELETE FROM d.t WHERE id >= 100");
    goes_on(&rig);
    assert!(
        rig.target.value(
            "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA='d' AND INDEX_NAME='u'"
        ) == "1"
    );
}

#[test]
fn wrong_password_and_missing_privilege() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.write_files();
    rig.sources[0].sql("ALTER USER replicate IDENTIFIED BY 'changed'");
    says(
        &rig.start().finish(LIMIT).expect_code(1).stderr,
        &["Error 1045", "replicate", "Check user and password"],
    );
    rig.sources[0].sql(format!(
        "ALTER USER replicate IDENTIFIED BY '{}'; REVOKE REPLICATION SLAVE ON *.* FROM replicate",
        rig.sources[0].account(Account::Replicate).password
    ));
    rig.task.push_str("ignore-checking-items: [replication_privilege]\n");
    says(&fails(&rig), &["GRANT REPLICATION SLAVE"]);
    rig.sources[0].sql("REVOKE REPLICATION CLIENT ON *.* FROM replicate");
    says(&fails(&rig), &["GRANT REPLICATION CLIENT"]);
}

/// The row that is in the way is named, not the first one of the statement or its event.
#[test]
fn duplicate_key_by_an_update() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.task.push_str(
        "syncers:\n  sync: {worker-count: 1, safe-mode-duration: 0s, checkpoint-flush-interval: 1}\n",
    );
    for server in [&rig.sources[0], &rig.target] {
        server.sql("INSERT INTO d.t VALUES (1,'a'), (2,'b')");
    }
    rig.note_positions();
    rig.target.sql("INSERT INTO d.t VALUES (7,'in the way')");
    rig.sources[0].sql("UPDATE d.t SET v='c' WHERE id=1; UPDATE d.t SET id=7 WHERE id=2");
    let (_, end) = end_of(&rig.sources[0]);
    let text = fails(&rig);
    says(
        &text,
        &[
            "code=10006",
            "UPDATE `d`.`t` SET `id` = ? WHERE `id` = ? LIMIT 1",
            "Duplicate entry '7'",
            "key (7)",
        ],
    );
    // The event ends 31 bytes before its transaction.
    says(&text, &[&format!("endLocation: [position: (binlog.000001, {})", end - 31)]);
    rig.target.sql("DELETE FROM d.t WHERE id=7");
    goes_on(&rig);
}

/// A source that refuses the account ends the process, as a target does; one that is out of reach, at the start or later, does not.
#[test]
fn a_source_that_refuses_the_account() {
    let Some(mut rig) = small(Options::default()) else { return };
    let ends = |rig: &Rig, words: &[&str]| {
        let done = rig.start().finish(LIMIT).expect_code(1);
        says(&done.stderr, words);
        let last = done.stderr.lines().rfind(|line| !line.is_empty()).unwrap_or_default().to_owned();
        says(&last, words);
    };
    let account = rig.sources[0].account(Account::Replicate);
    rig.sources[0].sql("ALTER USER replicate IDENTIFIED BY 'changed'");
    ends(&rig, &["code=10005", "source s0", "Error 1045 (28000)", "Access denied"]);
    rig.sources[0].sql(format!("ALTER USER replicate IDENTIFIED BY '{}'", account.password));
    rig.sources[0].sql("REVOKE REPLICATION SLAVE ON *.* FROM replicate");
    ends(&rig, &["code=26005", "source s0", "GRANT REPLICATION SLAVE ON *.* TO 'replicate'@"]);
    rig.task.push_str("ignore-checking-items: [replication_privilege]\n");
    ends(&rig, &["code=36069", "source s0", "Error 1045", "GRANT REPLICATION SLAVE"]);
    rig.sources[0].sql("GRANT REPLICATION SLAVE ON *.* TO replicate");
    // Taken away while it runs.
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    rig.sources[0].sql("ALTER USER replicate IDENTIFIED BY 'changed'");
    rig.sources[0].restart().unwrap();
    says(&tool.finish(LIMIT).expect_code(1).stderr, &["source s0", "Error 1045 (28000)"]);
    rig.sources[0].sql(format!("ALTER USER replicate IDENTIFIED BY '{}'", account.password));
    // Out of reach: it waits.
    rig.sources[0].stop();
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "it tries again", || {
        tool.stderr_so_far().matches("a server is out of reach").count() > 1
    });
    rig.sources[0].start_again().unwrap();
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'b')");
    wait_until_blocking(LIMIT, "the row", || rig.target.value("SELECT COUNT(*) FROM d.t") == "2");
    rig.wait_synced(&mut tool);
    stop(tool);
    goes_on(&rig);
}

/// What runs is the statement as it was written, with other names; so the log has that, and not another form of it.
#[test]
fn the_log_has_the_statement_as_it_was_written() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.task.insert_str(0, "shard-mode: pessimistic\n");
    rig.note_positions();
    let clause = "add  Column e varchar(40) Default (concat('a', -1 , _utf8mb4'x')) COMMENT 'c  d'";
    rig.sources[0].sql(format!("ALTER TABLE d.t {clause}; INSERT INTO d.t (id) VALUES (1)"));
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    for words in ["shard DDL reached", "shard DDL operation", "execute DDL"] {
        assert!(log.lines().any(|line| line.contains(words) && line.contains(clause)), "{words}: {log}");
    }
    assert_eq!(rig.target.value("SELECT e FROM d.t"), "a-1x");
}

/// A DDL whose work the target has already, in part: the rest is done; one that it has in another form is named.
#[test]
fn ddl_of_things_that_exist() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("ALTER TABLE d.t ADD COLUMN e int; CREATE TABLE d.u (id int PRIMARY KEY)");
    rig.sources[0].sql(
        "ALTER TABLE d.t ADD COLUMN e int, ADD COLUMN f int; CREATE TABLE d.u (id int PRIMARY KEY); INSERT INTO d.u VALUES (1); \
         ALTER TABLE d.t ADD KEY k (e); INSERT INTO d.t VALUES (1,'a',2,3)",
    );
    goes_on(&rig);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.u"), "1");
    assert_eq!(rig.target.value("SELECT CONCAT(e,f) FROM d.t"), "23");
    // An object of another kind is in the way.
    rig.target.sql("CREATE VIEW d.w AS SELECT 1 id");
    rig.sources[0].sql("CREATE TABLE d.w (id int PRIMARY KEY, v int); INSERT INTO d.w VALUES (1,1)");
    says(&fails(&rig), &["`d`.`w`", "[code="]);
    rig.target.sql("DROP VIEW d.w; CREATE TABLE d.w (id int PRIMARY KEY, v int)");
    goes_on(&rig);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.w"), "1");
}

/// The servers go away for a while, one after the other.
#[test]
fn servers_that_come_back() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    wait_until_blocking(LIMIT, "the first row", || rig.target.value("SELECT COUNT(*) FROM d.t") == "1");
    rig.target.kill9();
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'b'); INSERT INTO d.t VALUES (3,'c')");
    let says_so = |tool: &testkit::tool::Started, words: &str| tool.stderr_so_far().contains(words);
    wait_until_blocking(LIMIT, "it notices", || says_so(&tool, "the connection to the target was lost"));
    rig.target.start_again().unwrap();
    wait_until_blocking(LIMIT, "the rows", || rig.target.value("SELECT COUNT(*) FROM d.t") == "3");
    rig.sources[0].kill9();
    wait_until_blocking(LIMIT, "it notices", || says_so(&tool, "the binlog stream broke"));
    rig.sources[0].start_again().unwrap();
    rig.sources[0].sql("INSERT INTO d.t VALUES (4,'d')");
    wait_until_blocking(LIMIT, "the last row", || rig.target.value("SELECT COUNT(*) FROM d.t") == "4");
    rig.wait_synced(&mut tool);
    stop(tool);
    assert!(!position(&rig.sources[0]).is_empty());
}

/// A second process takes over; the first one must not write any more.
#[test]
fn two_processes_for_one_source() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut first = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    wait_until_blocking(LIMIT, "the first row", || rig.target.value("SELECT COUNT(*) FROM d.t") == "1");
    let mut second = rig.start();
    wait_until_blocking(LIMIT, "the second to run", || {
        second.stderr_so_far().contains("replicate binlog from checkpoint")
    });
    for n in 2..60 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'x')"));
    }
    wait_until_blocking(LIMIT, "the first to end", || !first.is_running());
    let text = first.stderr_so_far();
    assert!(text.contains("another process has taken over"), "{text}");
    rig.wait_synced(&mut second);
    stop(second);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t"), "59");
}
