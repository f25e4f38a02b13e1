//! The source is treated with consideration: limits, pauses, locks that are not waited for without end, and a plan first.

use std::time::{Duration, Instant};

use testkit::{Account, Kind, LogCheck, Options, Server};

use crate::support::{dump, rdump, rows, work_dir};

const ROWS: usize = 20_000;

/// 20,000 rows of about 450 bytes: 9 MB.
fn server(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE g; CREATE TABLE g.d (n INT PRIMARY KEY); INSERT INTO g.d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE g.t (id INT PRIMARY KEY, pad VARCHAR(500));
         INSERT INTO g.t SELECT x.n*10000+y.n*1000+z.n*100+v.n*10+w.n, REPEAT('p',440)
           FROM g.d x, g.d y, g.d z, g.d v, g.d w WHERE x.n < 2;
         ANALYZE TABLE g.t",
    );
    Some(server)
}

/// A session of its own, whose statements block.
struct Session {
    runtime: tokio::runtime::Runtime,
    conn: mysql::Conn,
}

impl Session {
    fn open(server: &Server) -> Session {
        Session::to(&server.endpoint(Account::Admin))
    }

    fn to(endpoint: &mysql::Endpoint) -> Session {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let conn = runtime.block_on(mysql::Conn::connect(endpoint)).unwrap();
        Session { runtime, conn }
    }

    fn run(&mut self, sql: &str) {
        self.runtime.block_on(self.conn.exec(sql)).unwrap();
    }
}

#[test]
fn the_rate_is_limited() {
    let Some(server) = server(Kind::MySql57) else { return };
    let dir = work_dir();
    let begun = Instant::now();
    dump(&server, &["-B", "g", "-r", "1000", "--rate-limit", "4MiB"], &dir.join("o"));
    assert!(begun.elapsed() > Duration::from_millis(1700), "9 MB at 4 MiB/s took {:?}", begun.elapsed());
    assert_eq!(rows(&dir.join("o"), "g.t").len(), ROWS);
    rdump(&server, Account::Dump, &dir.join("bad"))
        .args(["--rate-limit", "fast"])
        .run()
        .expect_code(1)
        .says("--rate-limit is set to fast");
}

#[test]
fn signals_pause_and_resume() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let mut tool =
        rdump(&server, Account::Dump, &out).args(["-B", "g", "-t", "2", "--rate-limit", "3MiB"]).start();
    testkit::wait_until_blocking(Duration::from_secs(20), "rows are read", || tool.bytes_moved() > 1_000_000);
    tool.signal(10);
    testkit::wait_until_blocking(Duration::from_secs(10), "it says so", || {
        tool.stdout_so_far().contains("pauses by SIGUSR1")
    });
    // What was on its way may still arrive; then nothing moves.
    let mut last = tool.bytes_moved();
    testkit::wait_until_blocking(Duration::from_secs(10), "nothing moves", || {
        std::thread::sleep(Duration::from_millis(700));
        let now = tool.bytes_moved();
        let still = now < last + 10_000;
        last = now;
        still
    });
    assert!(tool.is_running());
    tool.signal(12);
    let done = tool.finish(Duration::from_secs(60)).success().says("goes on by SIGUSR2");
    LogCheck::new().check(&done.stdout);
    assert_eq!(rows(&out, "g.t").len(), ROWS);
}

/// A busy server makes the dump pause, a critical one ends it.
#[test]
fn load_pauses_and_ends() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = server(kind) else { continue };
        let dir = work_dir();
        let out = dir.join("o");
        let sleepers = |count: usize| {
            let endpoint = server.endpoint(Account::Admin);
            (0..count)
                .map(|_| {
                    let endpoint = endpoint.clone();
                    std::thread::spawn(move || {
                        let runtime =
                            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                        runtime.block_on(async {
                            let mut conn = mysql::Conn::connect(&endpoint).await.unwrap();
                            conn.query("SELECT SLEEP(4)").await.unwrap();
                        });
                    })
                })
                .collect::<Vec<_>>()
        };
        let busy = sleepers(6);
        testkit::wait_until_blocking(Duration::from_secs(10), "the server is busy", || {
            server
                .value("SELECT COUNT(*) FROM INFORMATION_SCHEMA.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'")
                == "6"
        });
        let args = [
            "-B",
            "g",
            "-t",
            "1",
            "--rate-limit",
            "2MiB",
            "--max-load",
            "Threads_running=5,history=100000000,lag=100",
        ];
        let done = rdump(&server, Account::Dump, &out).args(args).run().success();
        LogCheck::new().allow("the dump pauses").check(&done.stdout);
        done.says("Threads_running is").says("the dump goes on");
        assert_eq!(rows(&out, "g.t").len(), ROWS, "{kind}");
        busy.into_iter().for_each(|thread| thread.join().unwrap());
        let busy = sleepers(4);
        rdump(&server, Account::Dump, &dir.join("critical"))
            .args(["-B", "g", "-t", "1", "--rate-limit", "1MiB", "--critical-load", "Threads_running=3"])
            .run()
            .expect_code(1)
            .says("the server's load is above --critical-load: Threads_running is");
        busy.into_iter().for_each(|thread| thread.join().unwrap());
        rdump(&server, Account::Dump, &dir.join("unknown"))
            .args(["-B", "g", "--rate-limit", "1MiB", "--max-load", "no_such=3"])
            .run()
            .expect_code(1)
            .says("read no_such of the server");
    }
}

/// A table that somebody has locked would make the global lock wait, and all writers behind it.
#[test]
fn the_global_lock_is_not_waited_for_without_end() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let dir = work_dir();
    let mut session = Session::open(&server);
    session.run("LOCK TABLES g.d WRITE");
    let begun = Instant::now();
    let args = ["-B", "g", "-f", "g.t", "--lock-wait-timeout", "2s"];
    rdump(&server, Account::Dump, &dir.join("o"))
        .args(args)
        .args(["--consistency", "flush"])
        .run()
        .expect_code(1)
        .says("the global read lock was not given within 2s");
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert!(!dir.join("o").exists());
    // `auto` locks the chosen tables instead.
    let done = rdump(&server, Account::Dump, &dir.join("auto")).args(args).run().success();
    LogCheck::new().allow("fallback to LOCK TABLES").check(&done.stdout);
    assert_eq!(rows(&dir.join("auto"), "g.t").len(), ROWS);
    session.run("UNLOCK TABLES");
    // Nothing is left waiting: writers work.
    server.sql("INSERT INTO g.d VALUES (100)");
}

#[test]
fn long_statements_are_waited_for_first() {
    let Some(server) = server(Kind::MySql57) else { return };
    let dir = work_dir();
    let endpoint = server.endpoint(Account::Admin);
    let sleeper = std::thread::spawn(move || {
        Session::to(&endpoint).run("DO SLEEP(8) /* a pass-word */ + LENGTH('s3cret')")
    });
    testkit::wait_until_blocking(Duration::from_secs(10), "a long statement", || {
        server.value(
            "SELECT COUNT(*) FROM INFORMATION_SCHEMA.PROCESSLIST WHERE INFO LIKE 'DO SLEEP%' AND TIME >= 2",
        ) == "1"
    });
    let args = ["-B", "g", "--consistency", "flush", "--long-query-limit", "1s"];
    let early = rdump(&server, Account::Dump, &dir.join("o"))
        .args(args)
        .args(["--lock-wait-timeout", "1s"])
        .run()
        .expect_code(1)
        .says("run for longer than 1s (--long-query-limit)")
        .says(" s, DO; SHOW FULL PROCESSLIST has its text)");
    // With more patience it is over in time.
    let late = rdump(&server, Account::Dump, &dir.join("o")).args(args).run().success();
    let late = late.says("wait for long statements");
    // Texts of others stay where they are.
    for done in [early, late] {
        assert!(!done.shown().contains("s3cret") && !done.shown().contains("SLEEP"), "{}", done.shown());
    }
    sleeper.join().unwrap();
}

#[test]
fn definitions_are_kept_as_they_are() {
    for (kind, privilege) in [(Kind::MySql8033, "BACKUP_ADMIN"), (Kind::MariaDb1011, "RELOAD")] {
        let Some(server) = server(kind) else { continue };
        server.sql(
            "CREATE USER locker@'%' IDENTIFIED BY 'locker-Pw1';
             GRANT SELECT, RELOAD, LOCK TABLES, REPLICATION CLIENT, PROCESS ON *.* TO locker@'%';
             CREATE USER few@'%' IDENTIFIED BY 'locker-Pw1'; GRANT SELECT, REPLICATION CLIENT ON *.* TO few@'%'",
        );
        if kind == Kind::MySql8033 {
            server.sql("GRANT BACKUP_ADMIN ON *.* TO locker@'%'");
        }
        let mut session = Session::open(&server);
        let dir = work_dir();
        let port = server.port().to_string();
        let tool = |user: &str, out: &str| {
            testkit::Tool::at("rdump", &crate::support::program())
                .args(["-P", &port, "-u", user, "-p", "locker-Pw1", "-B", "g", "--status-addr="])
                .args(["--block-ddl", "-t", "1", "--rate-limit", "2MiB", "-o"])
                .arg(dir.join(out))
        };
        for consistency in ["flush", "lock"] {
            let dump = tool("locker", consistency).args(["--consistency", consistency]).start();
            testkit::wait_until_blocking(Duration::from_secs(20), "rows are read", || {
                dump.bytes_moved() > 500_000
            });
            session.run("SET SESSION lock_wait_timeout = 1");
            for ddl in ["CREATE TABLE g.e (a INT)", "ALTER TABLE g.d ADD c INT"] {
                let refused = session.runtime.block_on(session.conn.exec(ddl)).err();
                let code = refused.and_then(|error| error.code());
                assert_eq!(code, Some(1205), "{kind}, {consistency}: {ddl}");
            }
            session.run(&format!("INSERT INTO g.d VALUES ({})", 200 + consistency.len()));
            dump.finish(Duration::from_secs(60)).success();
            session.run("CREATE TABLE g.e (a INT)");
            session.run("DROP TABLE g.e");
        }
        tool("few", "none").run().expect_code(1).says(&format!("GRANT {privilege} ON *.* TO"));
    }
    if let Some(old) = Server::start_or_skip(Kind::MySql57, Options::default()) {
        rdump(&old, Account::Dump, &work_dir().join("old"))
            .arg("--block-ddl")
            .run()
            .expect_code(1)
            .says("MySQL has from 8.0 on");
    }
}

#[test]
fn a_plan_writes_nothing() {
    for kind in Kind::ALL {
        let Some(server) = server(kind) else { continue };
        server.sql("CREATE TABLE g.old (a INT) ENGINE=MyISAM; CREATE USER few@'%' IDENTIFIED BY 'few-Pw123'; GRANT SELECT, REPLICATION CLIENT ON *.* TO few@'%'");
        let dir = work_dir();
        let out = dir.join("o");
        let done = rdump(&server, Account::Dump, &out)
            .args(["-B", "g", "--dry-run", "--rate-limit", "1MiB"])
            .run()
            .success();
        let done = done
            .says("consistency: flush: FLUSH TABLES WITH READ LOCK until all snapshots are open")
            .says("objects: 1 databases, 3 tables, 0 views, 0 sequences")
            .says("database g: ")
            .says("table g.t: ")
            .says("warning: g.old is MyISAM")
            .says("binlogs: ")
            .says("privileges: nothing is missing");
        assert!(!out.exists() && !done.stdout.contains("dump data successfully"), "{kind}");
        let port = server.port().to_string();
        testkit::Tool::at("rdump", &crate::support::program())
            .args(["-P", &port, "-u", "few", "-p", "few-Pw123", "-B", "g", "--dry-run", "-o"])
            .arg(&out)
            .run()
            .success()
            .says("GRANT RELOAD ON *.* TO 'few'@'%'");
        assert!(!out.exists());
    }
}
