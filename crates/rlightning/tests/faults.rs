//! The target goes away, answers get lost, a dead run's COMMIT comes late.

use std::time::Duration;

use testkit::{Kind, LogCheck, Options, Proxy, Server};

use crate::support::{Task, assert_no_ledger, assert_numbers, dumpling, numbered};

const ROWS: u64 = 8_000;

fn setting() -> Option<(Server, Proxy, Task)> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let proxy = Proxy::to(&server);
    let mut task = Task::new(proxy.port()).small_batches();
    // The proxy reads statements, so they must not be encrypted.
    task.set("tidb", "tls = 'false'");
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    Some((server, proxy, task))
}

fn retries() -> LogCheck {
    LogCheck::new().allow("failed, will try again")
}

#[test]
fn a_lost_answer_to_a_commit() {
    let Some((server, proxy, task)) = setting() else { return };
    let hold = proxy.hold_commit_answer();
    // The first COMMITs write down files and cuts; any of them has to be found out about.
    let tool = task.tool().start();
    hold.wait_held(Duration::from_secs(60));
    hold.cut();
    for _ in 0..4 {
        let hold = proxy.hold("(?i)^commit", true);
        hold.wait_held(Duration::from_secs(60));
        hold.cut();
    }
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&server, "d.t", ROWS);
    assert_no_ledger(&server);
}

#[test]
fn a_commit_that_never_arrives() {
    let Some((server, proxy, task)) = setting() else { return };
    let tool = task.tool().start();
    for _ in 0..5 {
        let hold = proxy.hold_commit();
        hold.wait_held(Duration::from_secs(60));
        hold.cut();
    }
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&server, "d.t", ROWS);
}

/// The COMMIT of a killed run reaches the server while the next run works on the same batch.
#[test]
fn a_late_commit_of_a_dead_run_meets_its_own_key() {
    let Some((server, proxy, mut task)) = setting() else { return };
    let mut tool = task.tool().start();
    tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0
    });
    let hold = proxy.hold_commit();
    hold.wait_held(Duration::from_secs(60));
    tool.kill();
    drop(tool);
    // The next run does not go through the proxy.
    task.set_port(server.port());
    let mut next = task.tool().start();
    let waits = next.wait_until(Duration::from_secs(60), "the next run waits for the dead one's key", |_| {
        // Not INNODB_TRX: whoever asks it more often than ten times a second gets the same old answer.
        server.value(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE time >= 1 AND info LIKE 'INSERT INTO %ledger%'",
        ) != "0"
    });
    assert!(waits, "the next run ended without meeting the open transaction");
    hold.release();
    next.finish(Duration::from_secs(120)).success();
    assert!(task.log_text().contains("the batch is in the target already"), "{}", task.log_text());
    assert_numbers(&server, "d.t", ROWS);
    assert_no_ledger(&server);
}

#[test]
fn connections_are_cut_again_and_again() {
    let Some((server, proxy, task)) = setting() else { return };
    let mut tool = task.tool().start();
    let mut seen = 0;
    while tool.is_running() && seen < 6 {
        let before = proxy.moved(testkit::proxy::Direction::ToServer);
        tool.wait_until(Duration::from_secs(60), "more is sent", |_| {
            proxy.moved(testkit::proxy::Direction::ToServer) > before + 60_000
        });
        proxy.cut_all();
        seen += 1;
    }
    tool.finish(Duration::from_secs(120)).success();
    assert!(seen >= 3, "{seen}");
    assert!(task.log_text().contains("the ledger is read again"), "{}", task.log_text());
    assert_numbers(&server, "d.t", ROWS);
    retries().check(&task.log_text());
}

/// The target stays away for longer than the retries: an error that says so, and the next run goes on.
#[test]
fn a_target_that_does_not_come_back_in_time() {
    let Some((mut server, _proxy, mut task)) = setting() else { return };
    task.set_port(server.port());
    let mut tool = task.tool().args(["-retry-for", "2s"]).start();
    tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0
    });
    server.kill9();
    let done = tool.finish(Duration::from_secs(60)).failure();
    assert!(done.stderr.contains("gave up after"), "{}", done.shown());
    assert!(done.stderr.contains("what is committed stays, run again to go on"), "{}", done.shown());
    server.start_again().unwrap();
    let held: u64 = server.value("SELECT COUNT(*) FROM d.t").parse().unwrap();
    assert!(held > 0 && held < ROWS, "{held}");
    task.import();
    assert_numbers(&server, "d.t", ROWS);
    assert_no_ledger(&server);
}

/// A dead run has a batch of the old file on its way: the file that took its place waits for it, and is refused when it gets in.
#[test]
fn a_late_commit_of_a_file_that_changed() {
    for gets_in in [true, false] {
        let Some((server, proxy, mut task)) = setting() else { return };
        let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
        // Files and cuts are written down: the first COMMIT is that of a batch.
        let hold = proxy.hold_commit();
        let mut tool = task.tool().start();
        hold.wait_held(Duration::from_secs(60));
        tool.kill();
        drop(tool);
        task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS + 100), 90));
        task.set_port(server.port());
        let mut next = task.tool().start();
        let waits = next.wait_until(Duration::from_secs(60), "the next run waits for the dead one", |_| {
            server.value(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE time >= 1 AND info LIKE 'SELECT file FROM %FOR UPDATE'",
            ) != "0"
        });
        assert!(waits, "the next run ended without meeting the open transaction");
        if gets_in {
            hold.release();
            let done = next.finish(Duration::from_secs(120)).failure();
            assert!(done.stderr.contains("rows of the old one are in `d`.`t`"), "{}", done.shown());
            assert!(server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0);
        } else {
            hold.cut();
            next.finish(Duration::from_secs(120)).success();
            assert_numbers(&server, "d.t", ROWS + 100);
        }
    }
}

#[test]
fn a_restart_of_the_target() {
    let Some((mut server, _proxy, mut task)) = setting() else { return };
    task.set_port(server.port());
    let mut tool = task.tool().start();
    tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0
    });
    server.kill9();
    server.start_again().unwrap();
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&server, "d.t", ROWS);
    retries().check(&task.log_text());
}

/// Locks on the table: the statement fails after the server's time for it, and is done again.
#[test]
fn a_lock_wait_is_waited_out() {
    let Some((server, _proxy, mut task)) = setting() else { return };
    task.set_port(server.port());
    task.set("tidb.session-vars", "lock_wait_timeout = 1");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut conn = runtime.block_on(server.conn(testkit::Account::Admin));
    runtime.block_on(async {
        conn.exec("LOCK TABLES d.t READ").await.unwrap();
    });
    let mut tool = task.tool().start();
    tool.wait_until(Duration::from_secs(60), "it had to wait", |_| {
        task.log_text().contains("Lock wait timeout")
    });
    runtime.block_on(async {
        conn.exec("UNLOCK TABLES").await.unwrap();
        conn.close().await;
    });
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&server, "d.t", ROWS);
}

/// A fail-over to a server that lacks the newest commits: what was taken for done is looked up again, and loaded again.
#[test]
fn a_fail_over_that_loses_commits() {
    let Some((server, proxy, task)) = setting() else { return };
    let other = Server::start(Kind::MySql8033, Options::default()).unwrap();
    other.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let mut tool = task.tool().start();
    tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0
    });
    // The other server has what the first one had before its first batch: the ledger's files and cuts.
    let copy = |table: &str, condition: &str| {
        let rows = server.rows(format!("SELECT * FROM lightning_task_info.{table} {condition}"));
        let create = server.rows(format!("SHOW CREATE TABLE lightning_task_info.{table}"));
        other.sql(format!("USE lightning_task_info; {}", create.first().unwrap().text(1).unwrap()));
        for row in rows.iter() {
            let cells: Vec<String> = row
                .cells()
                .map(|cell| cell.map_or("NULL".into(), |bytes| format!("0x{}", hex(bytes))))
                .collect();
            let text = cells.join(",").replace("0x,", "'',");
            other.sql(format!("INSERT INTO lightning_task_info.{table} SELECT {}", text_cells(&text)));
        }
    };
    other.sql("CREATE DATABASE lightning_task_info");
    copy("rlightning_task", "");
    copy("rlightning_table", "");
    copy("rlightning_file", "");
    copy("rlightning_ledger", "WHERE kind = 0");
    copy(rlightning::ledger::MARKS, "");
    proxy.set_upstream(std::net::SocketAddr::from(([127, 0, 0, 1], other.port())));
    proxy.cut_all();
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&other, "d.t", ROWS);
    assert_no_ledger(&other);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every cell as text, whatever its column.
fn text_cells(cells: &str) -> String {
    cells
        .split(',')
        .map(
            |cell| {
                if cell.starts_with("0x") {
                    format!("CONVERT({cell} USING utf8mb4)")
                } else {
                    cell.to_owned()
                }
            },
        )
        .collect::<Vec<_>>()
        .join(",")
}
