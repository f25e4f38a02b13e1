//! `--verify`: what differs between the files and the target is found and named, and nothing else is.

use std::time::Duration;

use testkit::tool::Finished;
use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_no_ledger, dumpling, numbered};

const KINDS: [Kind; 2] = [Kind::MySql8033, Kind::MariaDb1011];

fn server(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql("GRANT CREATE TEMPORARY TABLES ON *.* TO target");
    Some(server)
}

/// A run that imports everything, and is stopped before it verifies.
fn import_and_stop(task: &Task) {
    let done = task.tool().arg("--verify").env("FAILPOINTS", "verify-begins=return").run();
    assert_eq!(done.status.code(), None, "it did not die: {}", done.shown());
}

fn verify(task: &Task) -> Finished {
    task.tool().arg("--verify").run()
}

/// It ends badly, its last word names the table, and one line names the row.
fn differs(task: &Task, last: &str, line: &str) {
    let done = verify(task).failure();
    assert_eq!(done.status.code(), Some(1), "{}", done.shown());
    let end = done.stderr.lines().last().unwrap_or_default();
    assert!(end.contains("Lighting:Restore:ErrChecksumMismatch") && end.contains(last), "{}", done.shown());
    assert!(done.stdout.contains(line), "no `{line}` in {}", done.shown());
    assert!(!done.shown().contains("exit successfully"), "{}", done.shown());
}

fn agrees(task: &Task, rows: u64) {
    let done = verify(task).success();
    assert!(done.stdout.contains(&format!("hold the {rows} rows of their files")), "{}", done.shown());
    assert_eq!(done.stdout.lines().last(), Some("tidb lightning exit successfully"));
}

#[test]
fn a_row_more_or_less_or_changed_or_doubled() {
    for kind in KINDS {
        for (definition, key) in
            [("n bigint NOT NULL PRIMARY KEY, c varchar(100)", true), ("n bigint, c varchar(100)", false)]
        {
            let Some(server) = server(kind) else { continue };
            server.sql(format!(
                "CREATE DATABASE d; CREATE TABLE d.t ({definition}); CREATE TABLE d.u ({definition})"
            ));
            let task = Task::new(server.port()).small_batches();
            task.write("d.t.0.sql", dumpling("t", numbered(0, 3000), 100));
            task.write("x/d.t.1.sql", dumpling("t", numbered(3000, 500), 70));
            task.write("d.u.0.sql", dumpling("u", numbered(0, 10), 100));
            agrees(&task, 3510);
            assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "3500");
            // What an earlier run has finished is verified when it is asked for.
            let text = |n: u64| format!("n={n}{}", if key { ":" } else { "," });

            server.sql("DELETE FROM d.t WHERE n = 3123");
            differs(&task, "`d`.`t` holds 3499 rows, its files 3500", &text(3123));
            differs(&task, "`d`.`t`", "missing in the target, there in file 'x/d.t.1.sql'");
            server.sql("INSERT INTO d.t VALUES (3123, 'row 3123; it''s \"quoted\" (and),( so on)')");

            server.sql("INSERT INTO d.t VALUES (99999, NULL)");
            differs(&task, "`d`.`t` holds 3501 rows, its files 3500", "only in the target");
            server.sql("DELETE FROM d.t WHERE n = 99999");

            server.sql("UPDATE d.t SET c = REPLACE(c, 'so on', 'so oN') WHERE n = 77");
            differs(&task, "`d`.`t` holds 3500 rows, its files 3500, and some are not the same", &text(77));
            if key {
                differs(&task, "`d`.`t`", "n=77: other values than in file 'd.t.0.sql'");
            }
            server.sql("UPDATE d.t SET c = REPLACE(c, 'so oN', 'so on') WHERE n = 77");

            if !key {
                server.sql("INSERT INTO d.t SELECT * FROM d.t WHERE n = 42");
                differs(&task, "`d`.`t` holds 3501 rows", "2 times in the target, 1 times in the files");
                server.sql("DELETE FROM d.t WHERE n = 42 LIMIT 1");
                // One that is there twice and another that is not at all: as many rows as there should be.
                server.sql("UPDATE d.t a, (SELECT 'x') b SET a.n = 42, a.c = 'row 42; it''s \"quoted\" (and),( so on)' WHERE a.n = 43");
                differs(&task, "and some are not the same", "2 times in the target, 1 times in the files");
                server.sql("DELETE FROM d.t WHERE n = 42 LIMIT 1");
                server.sql("INSERT INTO d.t VALUES (43, 'row 43; it''s \"quoted\" (and),( so on)')");
            }
            agrees(&task, 3510);
            assert_no_ledger(&server);
            server.sql("DELETE FROM d.u WHERE n = 3");
            differs(&task, "`d`.`u` holds 9 rows, its files 10", "n=3");
        }
    }
}

/// Rows that stand in the files in other texts than in the target.
#[test]
fn values_in_every_form_agree() {
    for kind in KINDS {
        let Some(server) = server(kind) else { continue };
        server.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (id int unsigned NOT NULL AUTO_INCREMENT, f float, g double, de decimal(12,4), ts timestamp NULL, \
             dt datetime(3) NULL, d date, ti time(2), y year, c char(9) CHARACTER SET latin1, v varchar(40) COLLATE utf8mb4_bin, \
             e enum('a','b','ß'), s set('x','y','z'), j json, b bit(9), bi binary(6), bl blob, p point, z int(6) ZEROFILL, \
             gen int AS (z * 2) VIRTUAL, sto varchar(99) AS (CONCAT(v, 'x')) STORED, def varchar(9) NOT NULL DEFAULT 'it''s', dn decimal(5,2) NOT NULL \
             DEFAULT 1.5, up timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), PRIMARY KEY (id)) DEFAULT CHARSET=utf8mb4",
        );
        let task = Task::new(server.port());
        let head = "/*!40101 SET NAMES utf8mb4*/;\n/*!40103 SET TIME_ZONE='+00:00'*/;\n";
        let columns = "`id`,`f`,`g`,`de`,`ts`,`dt`,`d`,`ti`,`y`,`c`,`v`,`e`,`s`,`j`,`b`,`bi`,`bl`,`p`,`z`";
        let point = "x'000000000101000000000000000000F03F0000000000000040'";
        task.write(
            "d.t.0.sql",
            format!(
                "{head}INSERT INTO `t` ({columns}) VALUES\n\
                 (1,0.1,0.040785546898809644,1.5,'2024-03-31 02:30:00','2024-01-01','0000-00-00','-838:59:59','99','ä  ','naïve 漢','ß','z,x', \
                 '{{\"b\":1.50,\"a\":[1e3,-0.0,null]}}',5,x'6100',x'00ff',{point},7),\n\
                 (2,'3.4e38',1e-300,'007.12340','2038-01-19 03:14:07','2024-02-29 23:59:59.999','2024-02-31','12:00',2024,'','',2,3,'\"x\"',b'1', \
                 '',NULL,NULL,'12'),\n\
                 (3,16777217,-0.0,-.5,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),\n\
                 (4,NULL,NULL,NULL,'0000-00-00 00:00:00',NULL,NULL,NULL,'0000',NULL,NULL,'','',NULL,NULL,NULL,'',NULL,NULL);\n"
            ),
        );
        // In latin1, and in another zone.
        let mut latin1 = b"/*!40101 SET NAMES latin1*/;\n/*!40103 SET TIME_ZONE='+05:30'*/;\nINSERT INTO `t` (`id`,`c`,`v`,`ts`) VALUES\n(5,'caf".to_vec();
        latin1.extend_from_slice(b"\xe9','\xe4\x80','2024-01-01 00:00:00');\n");
        task.write("d.t.1.sql", latin1);
        // No numbers at all: the target gives them.
        server.sql("CREATE TABLE d.w (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, f float, v varchar(40))");
        task.write("x/d.w.0.csv", "f,v\n1.5,\"a,b\"\n\\N,\n");
        let done = task.tool().arg("--verify").run().success();
        assert!(done.stdout.contains("hold the 7 rows of their files"), "{kind}: {}", done.shown());
        assert!(done.stdout.contains("`d`.`t`: column `up` is not compared"), "{kind}: {}", done.shown());
        assert!(!done.stdout.contains("`d`.`t`: column `id` is not compared"), "{kind}: {}", done.shown());
        assert!(done.stdout.contains("`d`.`w`: column `id` is not compared"), "{kind}: {}", done.shown());
        // A last digit, a blank, a zone, a case: none of them is overlooked.
        for (change, back) in [
            ("g = 1.0000000000000004e-300", "g = 1e-300"),
            ("de = 7.1235", "de = 7.1234"),
            ("dt = '2024-02-29 23:59:59.998'", "dt = '2024-02-29 23:59:59.999'"),
            ("s = 'x'", "s = 'y'"),
        ] {
            server.sql(format!("UPDATE d.t SET {change}, up = up WHERE id = 2"));
            differs(&task, "`d`.`t`", "id=2: other values than in file 'd.t.0.sql'");
            server.sql(format!("UPDATE d.t SET {back}, up = up WHERE id = 2"));
        }
    }
}

/// Numbers that the target gives, and rows that it had before.
#[test]
fn rows_that_were_there_before_and_numbers_of_the_target() {
    for kind in KINDS {
        let Some(server) = server(kind) else { continue };
        server.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (id int NOT NULL AUTO_INCREMENT PRIMARY KEY, n bigint, c varchar(100)); \
             INSERT INTO d.t (n, c) VALUES (1, 'old'), (2, 'old')",
        );
        let mut task = Task::new(server.port()).small_batches();
        task.set("mydumper", "[[mydumper.ignore-columns]]\ndb = 'd'\ntable = 't'\ncolumns = ['id']");
        let rows = |from: u64| (from..from + 900).map(move |n| format!("({n},{n},'row {n}')"));
        let text = |from| {
            dumpling("t", rows(from), 100)
                .replace("INSERT INTO `t` VALUES", "INSERT INTO `t` (`id`,`n`,`c`) VALUES")
        };
        task.write("d.t-schema.sql", "CREATE TABLE `t` (`id` int NOT NULL, `n` bigint, `c` varchar(100));\n");
        task.write("d.t.0.sql", text(0));
        task.write("d.t.1.sql", text(900));
        import_and_stop(&task);
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "1802", "{kind}");
        server.sql("DELETE FROM d.t WHERE n = 1234");
        differs(&task, "holds 1801 rows, its files 1800 and 2 were there before", "n=1234");
        server.sql("INSERT INTO d.t (n, c) VALUES (1234, 'row 1234')");
        let done = verify(&task).success();
        assert!(done.stdout.contains("column `id` is not compared"), "{}", done.shown());
        assert!(done.stdout.contains("hold the 1800 rows"), "{}", done.shown());
        // Once more, when the task is gone.
        assert!(verify(&task).success().stdout.contains("hold the 1800 rows"));
        server.sql("DELETE FROM d.t WHERE n = 1 AND c = 'old'");
        differs(&task, "holds 1801 rows, its files 1800 and 2 were there before", "");
    }
}

/// Killed while it loads and while it verifies, a run is followed by one that verifies everything.
#[test]
fn a_killed_run_is_followed_by_one_that_verifies_everything() {
    let Some(server) = server(Kind::MySql8033) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)); INSERT INTO d.t VALUES (-1, 'before')");
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, 4000), 100));
    for point in ["batch-after-commit=3*off->return", "verify-begins=return", "verify-table-seen=return"] {
        let done = task.tool().arg("--verify").env("FAILPOINTS", point).run();
        assert_eq!(done.status.code(), None, "{point}: {}", done.shown());
    }
    // One of the rows that the first, killed run had brought in.
    server.sql("DELETE FROM d.t WHERE n = 5");
    differs(&task, "holds 4000 rows, its files 4000 and 1 were there before", "n=5,");
    server.sql("INSERT INTO d.t VALUES (5, 'row 5; it''s \"quoted\" (and),( so on)')");
    agrees(&task, 4000);
    assert_no_ledger(&server);
}

/// Rows that a strategy or `max-error` left out are not missed; others are.
#[test]
fn rows_that_were_left_out_are_not_expected() {
    for kind in KINDS {
        let Some(server) = server(kind) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (n smallint NOT NULL PRIMARY KEY, c varchar(20))");
        let mut task = Task::new(server.port()).small_batches();
        task.set("lightning", "max-error = 50");
        task.set("conflict", "strategy = 'ignore'");
        let rows = (0..900).map(|n| match n % 100 {
            7 => format!("({},'too large')", n + 100_000),
            8 => format!("({n},'{}')", "x".repeat(21)),
            9 => format!("({},'twice')", n - 4),
            _ => format!("({n},'row {n}')"),
        });
        task.write("d.t.0.sql", dumpling("t", rows, 90));
        task.write("d.t.1.csv", format!("n,c\n5,again\n1000,{}\n1001,fine\n", "y".repeat(30)));
        let first = task.tool().arg("--verify").env("FAILPOINTS", "verify-begins=return").run();
        assert_eq!(first.status.code(), None, "{}", first.shown());
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "874", "{kind}");
        server.sql("DELETE FROM d.t WHERE n = 1001");
        differs(
            &task,
            "`d`.`t` holds 873 rows, its files 874",
            "n=1001: missing in the target, there in file 'd.t.1.csv'",
        );
        server.sql("INSERT INTO d.t VALUES (1001, 'fine')");
        agrees(&task, 874);
    }
}

#[test]
fn what_cannot_be_exact_is_refused() {
    let Some(server) = server(Kind::MySql8033) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint PRIMARY KEY, c varchar(100)); CREATE TRIGGER d.tr BEFORE INSERT ON d.t FOR EACH ROW SET NEW.c = UPPER(NEW.c)");
    server.sql("GRANT TRIGGER ON *.* TO target");
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, 10), 100));
    let refused = |task: &Task, text: &str| verify(task).failure().says(text);
    refused(&task, "trigger `tr` of `d`.`t` may change rows");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
    server.sql("DROP TRIGGER d.tr");
    task.set("conflict", "strategy = 'replace'");
    refused(&task, "--verify can't be exact with conflict.strategy = \"replace\"");
    task.unset("conflict", "strategy = 'replace'");
    task.set("conflict", "strategy = 'ignore'\nthreshold = 2000000");
    refused(&task, "rows that are left out are counted only");
    task.unset("conflict", "strategy = 'ignore'\nthreshold = 2000000");
    server.sql("REVOKE CREATE TEMPORARY TABLES ON *.* FROM target");
    refused(&task, "GRANT CREATE TEMPORARY TABLES ON `lightning_task_info`.*");
    server.sql("GRANT CREATE TEMPORARY TABLES ON *.* TO target");
    // The same in the file.
    task.set("post-restore", "verify = true");
    let done = task.import();
    assert!(done.stdout.contains("hold the 10 rows"), "{}", done.shown());
}

/// A target that restarts in the middle.
#[test]
fn a_restart_of_the_target_is_waited_for() {
    let Some(mut server) = server(Kind::MySql8033) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, 6000), 100));
    let mut tool = task.tool().arg("--verify").start();
    tool.wait_until(Duration::from_secs(60), "it verifies", |_| {
        task.log_text().contains("[\"verify start\"]")
    });
    server.restart().unwrap();
    let done = tool.finish(Duration::from_secs(120)).success();
    assert!(done.stdout.contains("hold the 6000 rows"), "{}", done.shown());
    LogCheck::new().allow("will try again").allow("connection").check(&task.log_text());
}

#[test]
fn parquet_is_verified_too() {
    let Some(server) = server(Kind::MySql8033).filter(|_| testkit::python::has_pyarrow()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint NOT NULL PRIMARY KEY, c varchar(100), at timestamp(6) NULL)");
    let task = Task::new(server.port());
    testkit::python::run_pyarrow(
        &task.dumps(),
        "import datetime\nn = range(2000)\nat = [datetime.datetime(2024, 3, 31, 1, 30, tzinfo=datetime.timezone.utc) + datetime.timedelta(seconds=i) for i in n]\n\
         pq.write_table(pa.table({'n': list(n), 'c': ['row %d' % i for i in n], 'at': at}), 'd.t.parquet', row_group_size=300)",
    );
    agrees(&task, 2000);
    server.sql("UPDATE d.t SET at = at + INTERVAL 1 MICROSECOND WHERE n = 1999");
    differs(&task, "and some are not the same", "n=1999: other values than in file 'd.t.parquet'");
}
