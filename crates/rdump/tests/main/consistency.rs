//! Dumps while a writer works: the files show one moment, and the position is that of this moment.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::{Account, Kind, LogCheck, Options, Server, Tool};

use crate::support::{dump, metadata, program, rdump, rows, work_dir};

/// Transactions that each count up in one table, add a row to another and take one from a third.
struct CountingWriter {
    stop: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

const START: u64 = 3000;

impl CountingWriter {
    fn start(server: &Server) -> CountingWriter {
        server.sql(
            "CREATE DATABASE w; CREATE TABLE w.counter (id INT PRIMARY KEY, n BIGINT); INSERT INTO w.counter VALUES (1, 0);
             CREATE TABLE w.added (n BIGINT PRIMARY KEY, pad CHAR(200)); CREATE TABLE w.taken (n BIGINT PRIMARY KEY, pad CHAR(200));
             CREATE TABLE w.seed (n INT PRIMARY KEY); INSERT INTO w.seed VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
             INSERT INTO w.taken SELECT a.n*1000+b.n*100+c.n*10+d.n+1, REPEAT('x',200) FROM w.seed a, w.seed b, w.seed c, w.seed d WHERE a.n < 3;
             ANALYZE TABLE w.taken;",
        );
        let endpoint = server.endpoint(Account::Admin);
        let stop = Arc::new(AtomicBool::new(false));
        let count = Arc::new(AtomicU64::new(0));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&count));
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let mut conn = mysql::Conn::connect(&endpoint).await.unwrap();
                for n in 1..=START {
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    for sql in [
                        "BEGIN".to_owned(),
                        format!("INSERT INTO w.added VALUES ({n}, REPEAT('y',200))"),
                        "UPDATE w.counter SET n = n + 1".to_owned(),
                        format!("DELETE FROM w.taken WHERE n = {n}"),
                        "COMMIT".to_owned(),
                    ] {
                        conn.exec(sql).await.unwrap();
                    }
                    counted.store(n, Ordering::SeqCst);
                }
            });
        });
        let writer = CountingWriter { stop, count, thread: Some(thread) };
        testkit::wait_until_blocking(Duration::from_secs(20), "the writer works", || writer.count() > 5);
        writer
    }

    fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    fn stop(mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// The counter in the files, which all three tables must agree on.
fn moment(out: &Path) -> u64 {
    let counter = rows(out, "w.counter");
    let n: u64 = counter[0].trim_start_matches("(1,").trim_end_matches(')').parse().unwrap();
    let added = rows(out, "w.added");
    let last = added.last().cloned().unwrap_or_default();
    assert_eq!(added.len() as u64, n, "{}: rows added, the last is {last}", out.display());
    assert_eq!(rows(out, "w.taken").len() as u64, START - n, "rows taken");
    n
}

/// The number at the end of a GTID set with one source: transactions so far.
fn last_number(gtid: &str) -> u64 {
    gtid.rsplit([':', '-']).next().unwrap().parse().unwrap()
}

#[test]
fn one_moment_and_its_position() {
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let writer = CountingWriter::start(&server);
        let dir = work_dir();
        let mut moments = Vec::new();
        for (i, mode) in ["auto", "flush", "lock", "flush"].iter().enumerate() {
            let out = dir.join(format!("{i}"));
            dump(&server, &["-B", "w", "-t", "3", "-r", "200", "--consistency", mode], &out);
            let n = moment(&out);
            let source = metadata(&out).source.unwrap();
            moments.push((n, last_number(&source.gtid), source));
        }
        assert!(writer.count() > moments[0].0, "{kind}: the writer went on");
        writer.stop();
        // Each transaction is one number: the distance of two dumps in the data is their distance in GTIDs.
        for pair in moments.windows(2) {
            assert_eq!(pair[1].0 - pair[0].0, pair[1].1 - pair[0].1, "{kind}: {pair:?}");
        }
        // And the file position begins exactly behind the last transaction that is in the dump.
        let (n, _, source) = &moments[0];
        assert_eq!(first_insert_after(&server, source), n + 1, "{kind}");
    }
}

/// The number that the first INSERT behind a position adds, read from the binlog by the server's own means.
fn first_insert_after(server: &Server, source: &common::metadata::Block) -> u64 {
    let wanted = server.rows(format!("SHOW BINLOG EVENTS IN '{}' FROM {} LIMIT 6", source.file, source.pos));
    let mut begun = false;
    for row in wanted.iter() {
        let kind = row.str(2).unwrap().unwrap_or_default();
        let info = row.str(5).unwrap().unwrap_or_default();
        begun |= kind.contains("Gtid") || info.starts_with("BEGIN");
        if kind.starts_with("Write_rows") {
            break;
        }
    }
    assert!(begun, "a transaction begins at {source:?}");
    // The first transaction behind the position: count what lies between it and the end.
    let file: u64 = server
        .rows(format!("SHOW BINLOG EVENTS IN '{}' FROM {}", source.file, source.pos))
        .iter()
        .filter(|row| row.str(2).unwrap().unwrap_or_default().starts_with("Write_rows"))
        .count() as u64;
    let last: u64 = server.value("SELECT n FROM w.counter").parse().unwrap();
    last - file + 1
}

#[test]
fn without_a_lock_two_positions_enclose_the_snapshots() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let writer = CountingWriter::start(&server);
    let dir = work_dir();
    dump(&server, &["-B", "w", "-t", "4", "--consistency", "none"], &dir.join("o"));
    writer.stop();
    let metadata = metadata(&dir.join("o"));
    let (before, after) = (metadata.source.unwrap(), metadata.after_connect.unwrap());
    assert!(last_number(&before.gtid) <= last_number(&after.gtid));
}

/// The account may not FLUSH: LOCK TABLES does it.
#[test]
fn without_reload_the_tables_are_locked() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(
        "CREATE USER small@'%' IDENTIFIED BY 'small-Pw1'; GRANT SELECT, LOCK TABLES, REPLICATION CLIENT ON *.* TO small@'%'",
    );
    let writer = CountingWriter::start(&server);
    let dir = work_dir();
    let port = server.port().to_string();
    let done = Tool::at("rdump", &program())
        .args(["-P", &port, "-u", "small", "-psmall-Pw1", "-B", "w", "--status-addr=", "-o"])
        .arg(dir.join("o"))
        .run()
        .success();
    LogCheck::new().require("fallback to LOCK TABLES").check(&done.stdout);
    moment(&dir.join("o"));
    writer.stop();
    // Asked for by name there is no fallback, and the way out is named.
    let done = Tool::at("rdump", &program())
        .args([
            "-P",
            &port,
            "-u",
            "small",
            "-psmall-Pw1",
            "-B",
            "w",
            "--status-addr=",
            "--consistency=flush",
            "-o",
        ])
        .arg(dir.join("p"))
        .run()
        .expect_code(1);
    done.says("GRANT RELOAD ON *.* TO 'small'@'%'");
}

#[test]
fn binlog_off_means_no_position() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011, Kind::MySql97] {
        let Some(server) = Server::start_or_skip(kind, Options::default().no_binlog()) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1)");
        let dir = work_dir();
        let done = rdump(&server, Account::Dump, &dir.join("o")).args(["-B", "d"]).run().success();
        LogCheck::new().require("has no binlog").check(&done.stdout);
        assert_eq!(metadata(&dir.join("o")).source, None, "{kind}");
        assert_eq!(rows(&dir.join("o"), "d.t"), ["(1)"]);
    }
}

/// The global lock is gone before rows are read, and is taken once.
#[test]
fn the_lock_is_short() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1); SET GLOBAL log_output='TABLE'; SET GLOBAL general_log=ON");
    let dir = work_dir();
    dump(&server, &["-B", "d", "-t", "8"], &dir.join("o"));
    server.sql("SET GLOBAL general_log=OFF");
    let log: Vec<String> = server
        .rows("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Query' ORDER BY event_time")
        .iter()
        .map(|row| row.str(0).unwrap().unwrap())
        .collect();
    let at = |text: &str| {
        log.iter().position(|line| line.starts_with(text)).unwrap_or_else(|| panic!("{text}: {log:#?}"))
    };
    assert_eq!(log.iter().filter(|line| line.starts_with("FLUSH")).count(), 1);
    let (flush, unlock) = (at("FLUSH TABLES WITH READ LOCK"), at("UNLOCK TABLES"));
    let begun: Vec<usize> = log
        .iter()
        .enumerate()
        .filter(|(_, line)| line.starts_with("START TRANSACTION"))
        .map(|(i, _)| i)
        .collect();
    assert_eq!(begun.len(), 9);
    assert!(begun.iter().all(|&i| flush < i && i < unlock), "{log:#?}");
    assert!(at("SHOW MASTER STATUS") > flush && at("SHOW MASTER STATUS") < unlock);
    assert!(at("SELECT * FROM `d`.`t`") > unlock);
    assert!(unlock - flush < 20, "little is done under the lock: {log:#?}");
}

/// The hidden way to dump tables without transactions: the lock is kept to the end.
#[test]
fn the_lock_can_be_kept() {
    for kind in [Kind::MySql8015, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY) ENGINE=MyISAM; INSERT INTO d.t VALUES (1),(2)");
        let dir = work_dir();
        for mode in ["flush", "lock"] {
            let out = dir.join(mode);
            dump(
                &server,
                &["-B", "d", "-r", "1", "--consistency", mode, "--transactional-consistency=false"],
                &out,
            );
            assert_eq!(rows(&out, "d.t"), ["(1)", "(2)"], "{kind}");
        }
        server.sql("INSERT INTO d.t VALUES (3)");
    }
}

/// A transaction that has written and not yet committed when the tables are locked is in the dump as a whole or not at all.
#[test]
fn an_open_transaction_is_waited_for() {
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); CREATE TABLE d.u (a INT PRIMARY KEY)",
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut conn = runtime.block_on(mysql::Conn::connect(&server.endpoint(Account::Admin))).unwrap();
        for sql in ["BEGIN", "INSERT INTO d.t VALUES (1)", "INSERT INTO d.u VALUES (1)"] {
            runtime.block_on(conn.exec(sql)).unwrap();
        }
        let dir = work_dir();
        let out = dir.join("o");
        let mut tool = rdump(&server, Account::Dump, &out).args(["-B", "d", "--consistency", "lock"]).start();
        testkit::wait_until_blocking(Duration::from_secs(20), "the tables are being locked", || {
            let waits = server
                .value("SELECT COUNT(*) FROM INFORMATION_SCHEMA.PROCESSLIST WHERE INFO LIKE 'LOCK TABLES%'");
            waits == "1" || tool.stdout_so_far().contains("wait for open transactions")
        });
        assert!(tool.is_running());
        runtime.block_on(conn.exec("COMMIT")).unwrap();
        tool.finish(Duration::from_secs(60)).success();
        assert_eq!((rows(&out, "d.t").len(), rows(&out, "d.u").len()), (1, 1), "{kind}");
        let source = metadata(&out).source.unwrap();
        let now =
            server.rows(if kind == Kind::MySql97 { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" });
        assert_eq!(Some(source.pos), now.first().unwrap().str(1).unwrap(), "{kind}");
    }
}
