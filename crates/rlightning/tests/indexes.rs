//! `tikv-importer.add-index-by-sql`: secondary indexes are dropped before the rows come in, and are there again at the end, whatever
//! happens in between.

use std::time::Duration;

use testkit::{Account, Kind, LogCheck, Options, Server, wait_until_blocking};

use crate::support::{Task, assert_no_ledger, assert_numbers, dumpling, numbered, rlightning};

const ROWS: u64 = 6_000;

const TABLE: &str = "CREATE TABLE `t` (`n` bigint NOT NULL, `c` varchar(100) DEFAULT 'KEY `x` (', `g` int DEFAULT 7, `text` text, \
     PRIMARY KEY (`n`), UNIQUE KEY `u` (`c`,`n`), KEY `a` (`c`(10)), KEY `b``),x` (`g`,`c`) COMMENT 'it''s, (x)', \
     KEY `z` (`g`) USING BTREE, FULLTEXT KEY `f` (`text`)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;\n";

fn task(server: &Server) -> Task {
    let mut task = Task::new(server.port()).small_batches();
    task.set("tikv-importer", "add-index-by-sql = true");
    task.write("d-schema-create.sql", "CREATE DATABASE `d`;\n");
    task.write("d.t-schema.sql", TABLE);
    let rows = dumpling("t", numbered(0, ROWS), 100).replace("INTO `t` VALUES", "INTO `t` (`n`,`c`) VALUES");
    task.write("d.t.0.sql", rows);
    task
}

fn create(server: &Server, table: &str) -> String {
    server.rows(format!("SHOW CREATE TABLE {table}")).first().unwrap().text(1).unwrap()
}

/// The names of a table's indexes.
fn keys(server: &Server, table: &str) -> String {
    server.value(format!(
        "SELECT GROUP_CONCAT(DISTINCT INDEX_NAME ORDER BY INDEX_NAME) FROM information_schema.STATISTICS \
         WHERE TABLE_SCHEMA='d' AND TABLE_NAME='{table}'"
    ))
}

/// A transaction that has read `d.t`: no ALTER gets to its end as long as it is there.
struct Reader {
    runtime: tokio::runtime::Runtime,
    conn: mysql::Conn,
}

impl Reader {
    fn of(server: &Server) -> Reader {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut conn = runtime.block_on(server.conn(Account::Admin));
        runtime.block_on(async {
            conn.exec("START TRANSACTION").await.unwrap();
            conn.query("SELECT COUNT(*) FROM d.t").await.unwrap();
        });
        Reader { runtime, conn }
    }

    fn leave(self) {
        self.runtime.block_on(self.conn.close());
    }
}

/// Sessions that wait for it, or for who waits for it.
fn waiting(server: &Server) -> String {
    server.value(
        "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE state LIKE 'Waiting for table metadata%'",
    )
}

fn assert_whole(server: &Server, kind: Kind) {
    assert_numbers(server, "d.t", ROWS);
    assert_eq!(create(server, "d.t"), create(server, "control.t"), "{kind:?}");
    // The indexes hold the rows.
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t FORCE INDEX (z) WHERE g = 7"), ROWS.to_string());
    assert_no_ledger(server);
    assert_eq!(server.value("SELECT COUNT(*) FROM lightning_task_info.rlightning_index"), "0");
}

#[test]
fn they_are_away_while_rows_come_in_and_there_again_at_the_end() {
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(format!("CREATE DATABASE control; USE control; {TABLE}"));
        let task = task(&server);
        let die = |point: &str| {
            let done = task.tool().env("FAILPOINTS", format!("{point}=return")).run();
            assert_eq!(done.status.code(), None, "{point}: {}", done.shown());
        };
        die("batch-before-commit");
        assert_eq!(keys(&server, "t"), "f,PRIMARY,u", "{kind:?}");
        drop(task.tool());
        let list = rlightning().arg("ctl").arg("-config").arg(task.dir.join("tidb-lightning.toml"));
        let list = list.arg("-list").run().success();
        assert!(list.stdout.contains("index of `d`.`t` put off: KEY `a` (`c`(10))"), "{}", list.shown());
        task.import();
        assert_whole(&server, kind);
        // The mark knows the table as it is now.
        let again = task.tool().run().success();
        assert!(again.stdout.contains("is left out"), "{}", again.shown());
        assert_numbers(&server, "d.t", ROWS);
    }
}

/// Dead at every step, with the time of creation (all that the account can see of a table) changed by the ALTER.
#[test]
fn death_at_every_step() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(format!("CREATE DATABASE control; USE control; {TABLE}"));
        for points in [
            &["index-noted", "index-dropped", "batch-after-commit", "index-identity-noted", "index-added"][..],
            &["index-dropped", "index-added", "ledger-before-end"][..],
        ] {
            server.sql("DROP DATABASE IF EXISTS d; DROP DATABASE IF EXISTS lightning_task_info");
            let task = task(&server);
            let created = || {
                server.value(
                    "SELECT CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA='d' AND TABLE_NAME='t'",
                )
            };
            let mut last = String::new();
            for point in points {
                let done = task.tool().env("FAILPOINTS", format!("{point}=return")).run();
                assert_eq!(done.status.code(), None, "{point}: {}", done.shown());
                assert!(
                    *point != "index-added" || created() != last,
                    "the ALTER changed nothing that is seen"
                );
                last = created();
                // Its seconds are whole: the next ALTER is to be in another one.
                let next = || server.value("SELECT NOW()") > last;
                wait_until_blocking(Duration::from_secs(10), "the next second", next);
            }
            task.import();
            assert_whole(&server, kind);
        }
    }
}

/// Tables that hold rows, have foreign keys or count by an ordinary key keep what they have.
#[test]
fn what_has_to_stay() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE d; USE d; CREATE TABLE held (n bigint, c varchar(100), KEY k (c)); INSERT INTO held VALUES (-1, 'x'); \
         CREATE TABLE parent (n bigint PRIMARY KEY, c varchar(100), KEY k (c)); \
         CREATE TABLE child (n bigint, c varchar(100), KEY k (c), KEY o (n), CONSTRAINT f FOREIGN KEY (c) REFERENCES parent (c)); \
         CREATE TABLE counts (n bigint AUTO_INCREMENT, c varchar(100), KEY k (c), KEY i (n)); \
         CREATE TABLE plain (n bigint, c varchar(100), KEY k (c), KEY i (n))",
    );
    let mut task = Task::new(server.port()).small_batches();
    task.set("tikv-importer", "add-index-by-sql = true");
    for table in ["held", "parent", "child", "counts", "plain"] {
        task.write(&format!("d.{table}.0.sql"), dumpling(table, numbered(0, 500), 100));
    }
    let before: Vec<String> =
        ["held", "parent", "child", "counts", "plain"].map(|table| keys(&server, table)).into();
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let during = ["held", "parent", "child", "counts", "plain"].map(|table| keys(&server, table));
    assert_eq!(during, ["k", "k,PRIMARY", "k,o", "i", ""]);
    task.import();
    let after: Vec<String> =
        ["held", "parent", "child", "counts", "plain"].map(|table| keys(&server, table)).into();
    assert_eq!(after, before);
    assert_eq!(server.value("SELECT COUNT(*) FROM d.held"), "501");
    assert_numbers(&server, "d.plain", 500);
}

/// The ALTER has to wait for longer than it may: the rows stay, it is said what is missing, and the next run adds it.
#[test]
fn an_index_that_cannot_be_added_now() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(format!("CREATE DATABASE control; USE control; {TABLE}"));
    let mut task = task(&server);
    task.set("tidb.session-vars", "lock_wait_timeout = 1");
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let reader = Reader::of(&server);
    let done = task.tool().args(["-retry-for", "3s"]).run().failure().expect_code(1);
    for said in
        ["all rows are in `d`.`t`, but its secondary indexes are not", "ADD KEY `a`", "run again to add them"]
    {
        assert!(done.stderr.contains(said), "{said}: {}", done.shown());
    }
    assert_numbers(&server, "d.t", ROWS);
    assert_eq!(keys(&server, "t"), "f,PRIMARY,u");
    reader.leave();
    task.import_expecting(LogCheck::new());
    assert_whole(&server, Kind::MySql8033);
}

/// A table that somebody created anew in between is not taken for the one that held the rows.
#[test]
fn a_table_that_was_created_anew_meanwhile() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let task = task(&server);
    let done = task.tool().env("FAILPOINTS", "index-identity-noted=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    server.sql(format!("USE d; DROP TABLE t; {TABLE}"));
    task.fails("rows are in `d`.`t`, but");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
}

#[test]
fn the_right_that_is_missing_is_named() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let task = task(&server);
    server.sql("REVOKE ALTER ON *.* FROM target");
    task.fails("GRANT ALTER ON");
    assert_eq!(server.value("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='d'"), "0");
}

/// The ALTER of a killed run is still at work in the target: the next run waits for it, and finds that nothing is left to do.
#[test]
fn an_alter_of_a_dead_run_that_is_still_at_work() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(format!("CREATE DATABASE control; USE control; {TABLE}"));
    let task = task(&server);
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let reader = Reader::of(&server);
    let mut tool = task.tool().start();
    tool.wait_until(Duration::from_secs(60), "its ALTER waits", |_| waiting(&server) == "1");
    tool.kill();
    drop(tool);
    let mut next = task.tool().start();
    let both =
        next.wait_until(Duration::from_secs(60), "it waits for the ALTER", |_| waiting(&server) == "2");
    assert!(both, "the next run ended without waiting");
    reader.leave();
    next.finish(Duration::from_secs(60)).success();
    assert_whole(&server, Kind::MySql8033);
}

/// The DROP of a killed run waits in the target: the indexes are there, and yet they must stay noted.
#[test]
fn a_drop_of_a_dead_run_that_is_still_to_come() {
    for with_option in [true, false] {
        let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
        server.sql(format!("CREATE DATABASE control; USE control; {TABLE}"));
        let mut task = task(&server);
        let done = task.tool().env("FAILPOINTS", "index-noted=return").run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
        let reader = Reader::of(&server);
        let mut tool = task.tool().start();
        tool.wait_until(Duration::from_secs(60), "its ALTER waits", |_| waiting(&server) == "1");
        tool.kill();
        drop(tool);
        assert_eq!(keys(&server, "t"), "a,b`),x,f,PRIMARY,u,z");
        if !with_option {
            task.unset("tikv-importer", "add-index-by-sql = true");
        }
        let mut next = task.tool().start();
        next.wait_until(Duration::from_secs(60), "it waits for the ALTER", |_| waiting(&server) == "2");
        reader.leave();
        next.finish(Duration::from_secs(60)).success();
        assert_whole(&server, Kind::MySql8033);
    }
}

/// A run that ends between the note and the DROP of another one finds the indexes, and forgets them.
#[test]
fn another_run_that_ends_meanwhile() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(format!("CREATE DATABASE control; USE control; {TABLE} CREATE DATABASE d; USE d; {TABLE}"));
    let slow = task(&server);
    let quick = Task::new(server.port());
    quick.write("d.t.0.sql", "INSERT INTO `t` (`n`,`c`) VALUES (-1,'x');\n");
    let tool = slow.tool().env("FAILPOINTS", "index-noted=sleep(5000)").start();
    wait_until_blocking(Duration::from_secs(30), "the indexes are noted", || {
        let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME = 'rlightning_index'";
        server.value(tables) == "1"
            && server.value("SELECT COUNT(*) FROM lightning_task_info.rlightning_index") == "3"
    });
    quick.import();
    tool.finish(Duration::from_secs(60)).success();
    assert_eq!(create(&server, "d.t"), create(&server, "control.t"));
    server.sql("DELETE FROM d.t WHERE n = -1");
    assert_whole(&server, Kind::MySql8033);
}

/// What was put off for a table that is gone is not wanted of the next one of its name.
#[test]
fn a_table_that_is_created_with_other_indexes() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let task = task(&server);
    let done = task.tool().env("FAILPOINTS", "index-dropped=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let other = TABLE.replace("KEY `a` (`c`(10)), ", "");
    server.sql(format!("DROP DATABASE d; CREATE DATABASE control; USE control; {other}"));
    task.write("d.t-schema.sql", other);
    task.import();
    assert_whole(&server, Kind::MySql8033);
}

/// The account does not see who refers to the table, and the target does not drop what that needs.
#[test]
fn indexes_that_are_not_dropped() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (n bigint PRIMARY KEY, c varchar(100), KEY k (c)); \
         CREATE DATABASE hidden; CREATE TABLE hidden.child (c varchar(100), CONSTRAINT f FOREIGN KEY (c) REFERENCES d.t (c)); \
         REVOKE ALL ON *.* FROM target; GRANT ALL ON d.* TO target; GRANT ALL ON lightning_task_info.* TO target",
    );
    let mut task = Task::new(server.port()).small_batches();
    task.set("tikv-importer", "add-index-by-sql = true");
    task.set("tidb.session-vars", "foreign_key_checks = 1");
    task.write("d.t.0.sql", dumpling("t", numbered(0, 500), 100));
    task.import_expecting(LogCheck::new().require("the target does not drop its secondary indexes"));
    assert_numbers(&server, "d.t", 500);
    assert_eq!(keys(&server, "t"), "k,PRIMARY");
    assert_eq!(server.value("SELECT COUNT(*) FROM lightning_task_info.rlightning_index"), "0");
}
