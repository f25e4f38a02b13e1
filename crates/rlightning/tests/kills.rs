//! Killed at any moment and started again, an import ends with exactly the rows of the dump, with and without keys.

use std::time::Duration;

use testkit::{Account, Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_no_ledger, assert_numbers, dumpling, numbered};

const ROWS: u64 = 12_000;

fn tables(server: &Server, definition: &str) {
    server.sql(format!("DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.t {definition}"));
}

fn task(server: &Server) -> Task {
    let task = Task::new(server.port()).small_batches();
    // One file that is cut into pieces, one that is not, one that is packed.
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS - 2000), 100));
    task.write("x/d.t.1.sql", dumpling("t", numbered(ROWS - 2000, 1000), 70));
    let packed = zstd::encode_all(dumpling("t", numbered(ROWS - 1000, 1000), 1000).as_bytes(), 1).unwrap();
    task.write("x/d.t.2.sql.zst", packed);
    task
}

const KINDS: [&str; 2] = ["(n bigint, c varchar(100))", "(n bigint PRIMARY KEY, c varchar(100))"];

#[test]
fn death_at_every_durable_step() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for definition in KINDS {
        tables(&server, definition);
        let task = task(&server);
        for (point, deaths) in [
            ("ledger-files-committed", vec!["return"]),
            ("ledger-cuts-committed", vec!["return"]),
            ("batch-ledger-row-written", vec!["return", "3*off->return"]),
            ("batch-before-commit", vec!["return", "2*off->return", "5*off->return"]),
            ("batch-after-commit", vec!["return", "1*off->return", "4*off->return"]),
            ("ledger-before-end", vec!["return"]),
            ("ledger-ended", vec!["return"]),
            ("ledger-before-remove", vec!["return"]),
        ] {
            for death in deaths {
                let done = task.tool().env("FAILPOINTS", format!("{point}={death}")).run();
                assert_eq!(done.status.code(), None, "{point}={death} did not die\n{}", done.shown());
                let count: u64 = server.value("SELECT COUNT(*) FROM d.t").parse().unwrap();
                let ledger: u64 = server
                    .value("SELECT COALESCE(SUM(row_count), 0) FROM lightning_task_info.rlightning_ledger WHERE kind = 1")
                    .parse()
                    .unwrap();
                if !point.starts_with("ledger-ended") && !point.starts_with("ledger-before-remove") {
                    assert_eq!(count, ledger, "rows in the table and in the ledger after {point}={death}");
                }
            }
        }
        task.import_expecting(LogCheck::new().require("is left out"));
        assert_numbers(&server, "d.t", ROWS);
        assert_no_ledger(&server);
    }
}

/// A run that was killed while it ended its task, then run again: nothing is imported twice.
#[test]
fn death_after_the_last_row_imports_nothing_again() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    tables(&server, KINDS[0]);
    let task = task(&server);
    for point in ["ledger-before-end", "ledger-ended", "ledger-before-remove"] {
        let done = task.tool().env("FAILPOINTS", format!("{point}=return")).run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
        assert_numbers(&server, "d.t", ROWS);
    }
    task.import_expecting(LogCheck::new().require("is left out"));
    assert_numbers(&server, "d.t", ROWS);
    assert_no_ledger(&server);
}

#[test]
fn kill_9_at_many_moments() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for definition in KINDS {
        tables(&server, definition);
        let task = task(&server);
        let mut kills = Vec::new();
        for number in 1..=12u64 {
            let mut tool = task.tool().start();
            let begun = tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
                server.value("SELECT COUNT(*) FROM d.t") != "0"
            });
            if !begun {
                break;
            }
            let more = tool.bytes_moved() + number * number * 1000;
            let Some(moved) = tool.kill_after_bytes(more, Duration::from_secs(60)) else { break };
            let rows: u64 = server.value("SELECT COUNT(*) FROM d.t").parse().unwrap();
            if rows > 0 && rows < ROWS {
                kills.push((moved, rows));
            }
        }
        println!("kills (bytes moved, rows then): {kills:?}");
        assert!(kills.len() >= 3, "{kills:?}");
        task.import();
        assert_numbers(&server, "d.t", ROWS);
        assert_no_ledger(&server);
    }
}

#[test]
fn an_orderly_stop_can_be_gone_on_with() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    tables(&server, KINDS[0]);
    let task = task(&server);
    let mut tool = task.tool().start();
    let begun = tool.wait_until(Duration::from_secs(60), "some batches are in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 500
    });
    if begun {
        tool.signal(libc::SIGTERM);
        let done = tool.finish(Duration::from_secs(30)).expect_code(1);
        assert_eq!(done.stdout.lines().last(), Some("tidb lightning canceled"), "{}", done.shown());
    }
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn a_hangup_does_not_end_it_and_the_password_is_not_shown() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    tables(&server, KINDS[0]);
    let task = task(&server);
    let password = Account::Target.credentials().password;
    let mut tool = task.tool().arg("-tidb-password").arg(password).start();
    tool.wait_until(Duration::from_secs(60), "it works", |tool| tool.bytes_moved() > 100_000);
    let command_line = std::fs::read(format!("/proc/{}/cmdline", tool.id())).unwrap();
    let command_line = String::from_utf8_lossy(&command_line);
    assert!(!command_line.contains(password) && command_line.contains("xxxxxxx"), "{command_line:?}");
    tool.signal(libc::SIGHUP);
    tool.finish(Duration::from_secs(60)).success();
    assert_numbers(&server, "d.t", ROWS);
}
