//! A run that has imported everything and was killed before its task was forgotten: what the next one does depends on what it finds and on
//! what it is asked for, and it never says that all is well where rows are missing.

use rlightning::ledger::{Asked, Found, Ledger, Settings, TaskName};
use testkit::{Account, Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_no_ledger, assert_numbers, dumpling, numbered};

const ROWS: u64 = 500;
const OTHER: &str = "SELECT CONCAT_WS('|', COUNT(*), SUM(n)) FROM d.u";

/// A dump of `d.t` and `d.u` with their definitions.
fn task(server: &Server) -> Task {
    server.sql(
        "DROP DATABASE IF EXISTS d; DROP DATABASE IF EXISTS e; DROP DATABASE IF EXISTS lightning_task_info",
    );
    let task = Task::new(server.port());
    task.write("d-schema-create.sql", "CREATE DATABASE `d`;\n");
    task.write("d.t-schema.sql", "CREATE TABLE `t` (n bigint, c varchar(100));\n");
    task.write("d.u-schema.sql", "CREATE TABLE `u` (n bigint);\n");
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    task.write("d.u.0.sql", "INSERT INTO `u` VALUES (1),(2);\n");
    task
}

fn killed(task: &Task, point: &str) {
    let done = task.tool().env("FAILPOINTS", format!("{point}=return")).run();
    assert_eq!(done.status.code(), None, "{point}: {}", done.shown());
}

fn left_out() -> LogCheck {
    LogCheck::new().require("is left out")
}

#[test]
fn what_an_ended_task_leaves_is_looked_at_again() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for point in ["ledger-ended", "ledger-before-remove"] {
        // All is gone: all is imported.
        let mut own = task(&server);
        killed(&own, point);
        server.sql("DROP DATABASE d");
        own.import();
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        // Nothing has changed: nothing is imported twice.
        own = task(&server);
        killed(&own, point);
        own.import_expecting(left_out().require("table `d`.`t` got the 500 rows"));
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        assert_no_ledger(&server);
        // Emptied, or gone: imported again, and only that.
        for change in ["TRUNCATE d.t", "DELETE FROM d.t", "DROP TABLE d.t"] {
            own = task(&server);
            killed(&own, point);
            server.sql(change);
            own.import_expecting(left_out());
            assert_numbers(&server, "d.t", ROWS);
            assert_eq!(server.value(OTHER), "2|3", "{point}, {change}");
            assert_no_ledger(&server);
        }
        // Another table with other rows.
        own = task(&server);
        killed(&own, point);
        server.sql(
            "DROP TABLE d.t; CREATE TABLE d.t (n bigint, c varchar(100)); INSERT INTO d.t VALUES (7,'x')",
        );
        // Times of creation have whole seconds.
        crate::support::alter_d_t(&server);
        own.fails("was altered or created anew since");
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "1");
    }
}

#[test]
fn an_ended_task_does_not_answer_for_another_one() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for point in ["ledger-ended", "ledger-before-remove"] {
        // A new dump in the same folder.
        let mut own = task(&server);
        killed(&own, point);
        own.write("d.t.0.sql", dumpling("t", numbered(ROWS, ROWS), 100));
        own.import_expecting(left_out());
        assert_numbers(&server, "d.t", 2 * ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        // More tables than before.
        own = task(&server);
        own.set("mydumper", "filter = ['d.t']");
        killed(&own, point);
        own.unset("mydumper", "filter = ['d.t']");
        own.import_expecting(left_out());
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        // Another one in place of it, by filter and by routes.
        own = task(&server);
        own.set("mydumper", "filter = ['d.t']");
        killed(&own, point);
        own.unset("mydumper", "filter = ['d.t']");
        own.set("mydumper", "filter = ['d.u']");
        own.import();
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        own = task(&server);
        killed(&own, point);
        own.route("d", "t", "e", "t2");
        own.import();
        assert_numbers(&server, "e.t2", ROWS);
        assert_numbers(&server, "d.t", ROWS);
    }
}

/// Where the ledger is kept, the task is not ended but gone on with, and what it knows is compared.
#[test]
fn a_kept_ledger_is_compared() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for keep in ["origin", "rename"] {
        let fresh = || {
            let mut own = task(&server);
            own.set("checkpoint", &format!("keep-after-success = '{keep}'"));
            own
        };
        let mut own = fresh();
        killed(&own, "ledger-before-remove");
        own.import();
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
        for change in ["TRUNCATE d.t", "DELETE FROM d.t", "DROP TABLE d.t"] {
            own = fresh();
            killed(&own, "ledger-before-remove");
            server.sql(change);
            own.fails("the task's ledger says that 500 rows are in `d`.`t`, but the table");
        }
        own = fresh();
        killed(&own, "ledger-before-remove");
        own.write("d.t.0.sql", dumpling("t", numbered(ROWS, ROWS), 100));
        own.fails("d.t.0.sql");
        assert_numbers(&server, "d.t", ROWS);
        own = fresh();
        own.set("mydumper", "filter = ['d.t']");
        killed(&own, "ledger-before-remove");
        own.unset("mydumper", "filter = ['d.t']");
        own.import();
        assert_numbers(&server, "d.t", ROWS);
        assert_eq!(server.value(OTHER), "2|3");
    }
}

#[test]
fn a_task_that_cannot_be_forgotten_is_told_of() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let own = task(&server);
    own.import();
    server.sql(
        "TRUNCATE d.t; CREATE TRIGGER lightning_task_info.no BEFORE DELETE ON lightning_task_info.rlightning_task FOR EACH ROW \
         SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not now'",
    );
    let done = own.tool().run().success();
    assert!(done.stdout.contains("tidb lightning exit successfully"), "{}", done.shown());
    let log = own.log_text();
    assert!(log.contains("the task could not be forgotten") && log.contains("not now"), "{log}");
    server.sql("DROP TRIGGER lightning_task_info.no; TRUNCATE d.t");
    own.import_expecting(left_out());
    assert_numbers(&server, "d.t", ROWS);
    assert_no_ledger(&server);
}

/// Which tables are left out was asked while another process was at work on the task; then that ends it.
#[tokio::test]
async fn a_task_that_another_process_ends_is_not_begun_anew() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let mut conn = mysql::Conn::connect(&server.endpoint(Account::Admin)).await.unwrap();
    let (name, settings, advice) = (
        TaskName::new("/x", ""),
        Settings::new(),
        rlightning::advice::Advice::new(&rlightning::cli::Flags::default()),
    );
    let asked = |seen| Asked {
        schema: "lightning_task_info",
        name: &name,
        settings: &settings,
        go_on: true,
        seen,
        advice: &advice,
    };
    let (ledger, found) = Ledger::open(&mut conn, &asked(None)).await.unwrap();
    assert_eq!(found, Found::New);
    let seen = Some(ledger.task());
    assert_eq!(Ledger::open(&mut conn, &asked(seen)).await.unwrap().1, Found::Unfinished);
    for step in [
        "UPDATE lightning_task_info.rlightning_task SET state = 'ended'",
        "DELETE FROM lightning_task_info.rlightning_task",
    ] {
        server.sql(step);
        let error = Ledger::open(&mut conn, &asked(seen)).await.map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("another process has ended this task"), "{error}");
    }
    assert_eq!(Ledger::open(&mut conn, &asked(None)).await.unwrap().1, Found::New);
}
