//! `--resume-chunks`: finished chunks are kept only where replication in safe mode makes the table exact, and then it does.

use std::path::Path;
use std::time::Duration;

use binlog::{Body, Decoder, Row, RowsEvent};
use common::dumpfile::JOURNAL;
use common::manifest::{FORMAT_MIXED, JournalLine, StartPoint};
use mysql::wire::{BinlogRequest, BinlogStream, Start};
use testkit::{Account, Kind, LogCheck, Options, Server, Tool, wait_until_blocking};

use crate::support::{files, manifest, metadata, program, rdump, rows, work_dir};

const ARGS: [&str; 6] = ["-B", "m", "-r", "500", "-t", "2"];

/// 5000 rows with a unique key beside the primary one, and a table that is whole soon.
fn server(kind: Kind, options: Options) -> Option<Server> {
    let server = Server::start_or_skip(kind, options)?;
    server.sql(format!(
        "CREATE DATABASE m; CREATE TABLE m.a (n INT PRIMARY KEY); INSERT INTO m.a VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE m.other (n INT PRIMARY KEY);
         {TABLE};
         GRANT REPLICATION SLAVE ON *.* TO 'dump'@'%'"
    ));
    fill(&server);
    // A binlog file of the very second of the dump could be a newer one of its name.
    wait_a_second(&server);
    Some(server)
}

const TABLE: &str = "CREATE TABLE m.t (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, v VARCHAR(200))";

fn fill(server: &Server) {
    server.sql(
        "INSERT INTO m.t SELECT x.n*1000+y.n*100+z.n*10+w.n, x.n*1000+y.n*100+z.n*10+w.n, REPEAT('p',150)
           FROM m.a x, m.a y, m.a z, m.a w WHERE x.n < 5;
         ANALYZE TABLE m.t",
    );
}

/// Numbers of the chunks that a later run can keep.
fn chunks(out: &Path) -> Vec<u64> {
    let bytes = std::fs::read(out.join(JOURNAL)).unwrap_or_default();
    let chunk = |line| match line {
        JournalLine::Chunk(done) => Some(done.chunk.chunk),
        JournalLine::Table(_) => None,
    };
    JournalLine::read(&bytes).into_iter().filter_map(chunk).collect()
}

/// A dump that dies when about so many chunks are in the journal.
fn killed(server: &Server, out: &Path, after: usize, args: &[&str]) {
    let point = format!("rdump-journal-chunk-synced={after}*off->return");
    let done = rdump(server, Account::Dump, out)
        .args(ARGS)
        .args(args)
        // Slow, so that few lines are synced together.
        .args(["--resume-chunks", "--rate-limit", "1MiB"])
        .env("FAILPOINTS", &point)
        .run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    assert!(!files(out).contains_key("metadata"));
}

/// A dump that dies when all of its rows are there.
fn dead_at_the_end(server: &Server, out: &Path) {
    let tool = rdump(server, Account::Dump, out).args(ARGS);
    assert_eq!(tool.env("FAILPOINTS", "rdump-before-metadata=return").run().status.code(), None);
}

fn verify(out: &Path) {
    Tool::at("rdump", &program()).arg("verify").arg("-o").arg(out).run().success();
}

/// All kinds of changes on both sides of what is dumped: rows that go, come, change, and move from side to side.
fn write(server: &Server, round: u32) {
    let (low, high) = (100 * round, 4900 - 100 * round);
    server.sql(format!(
        "DELETE FROM m.t WHERE id IN ({low}, {high});
         INSERT INTO m.t VALUES (-{round}, -{round}, 'new low'), ({}, {}, 'new high');
         UPDATE m.t SET id = id + 10000 WHERE id BETWEEN {low}+1 AND {low}+5;
         UPDATE m.t SET id = -1000*{round} - id WHERE id BETWEEN {high}+1 AND {high}+5;
         UPDATE m.t SET v = 'changed' WHERE id IN ({low}+10, {high}+10);
         UPDATE m.t SET u = 90000 WHERE id = {low}+20; UPDATE m.t SET u = {low}+20 WHERE id = {high}+20;
         UPDATE m.t SET u = {high}+20 WHERE id = {low}+20;
         BEGIN; DELETE FROM m.t WHERE id = {low}+30; INSERT INTO m.t VALUES ({low}+30, {low}+30, 'again'); COMMIT;
         UPDATE m.t SET id = 20000+{round} WHERE id = {low}+40; UPDATE m.t SET id = {low}+40 WHERE id = {high}+40;
         UPDATE m.t SET id = {high}+40 WHERE id = 20000+{round}",
        30000 + round,
        30000 + round,
    ));
}

/// The table's rows as lines.
fn content(server: &Server) -> Vec<String> {
    let rows = server.rows("SELECT CONCAT_WS(',', id, u, v) FROM m.t ORDER BY id");
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

/// Imports the rows of the dump with REPLACE.
fn import(target: &Server, out: &Path) {
    target.sql(format!("CREATE DATABASE m; {TABLE}"));
    for (name, bytes) in files(out) {
        if name.starts_with("m.t.0") {
            let text = String::from_utf8(bytes).unwrap().replace("INSERT INTO", "REPLACE INTO");
            target.sql(format!("USE m; {text}"));
        }
    }
}

/// Replicates the table from its start point to the end of the binlog, in safe mode.
fn replicate(source: &Server, target: &Server, start: &StartPoint) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let sql = runtime.block_on(events(source, start));
    assert!(sql.contains("DELETE") && sql.contains("REPLACE"), "{sql}");
    target.sql(sql);
}

async fn events(source: &Server, start: &StartPoint) -> String {
    let mariadb = source.kind().is_mariadb();
    let flavor = if mariadb { mysql::Flavor::MariaDb } else { mysql::Flavor::MySql };
    let place = Start::Position { file: start.file.clone(), pos: start.pos.parse().unwrap() };
    let request = BinlogRequest::new(4_000_000, flavor, place).without_waiting();
    let mut stream = BinlogStream::open(&source.endpoint(Account::Admin), &request).await.unwrap();
    let mut decoder = Decoder::new(if mariadb { binlog::Flavor::MariaDb } else { binlog::Flavor::MySql });
    let mut sql = String::new();
    while let Some(frame) = stream.next_or_end().await.unwrap() {
        let event = decoder.decode(frame.bytes()).unwrap();
        match event.body {
            Body::Rows(event) => replay(&event, &mut sql),
            Body::Payload(payload) => {
                let mut events = payload.open().unwrap();
                while let Some(frame) = events.next().unwrap() {
                    if let Body::Rows(event) = decoder.decode_inner(frame).unwrap().body {
                        replay(&event, &mut sql);
                    }
                }
            }
            _ => {}
        }
    }
    sql
}

/// In safe mode.
fn replay(event: &RowsEvent<'_>, sql: &mut String) {
    if event.table.table != "t" {
        return;
    }
    let literal = |row: Row<'_>, column| {
        let mut text = Vec::new();
        row.write_literal(column, &mut text).unwrap();
        String::from_utf8(text).unwrap()
    };
    let mut changes = event.rows();
    while let Some(change) = changes.next().unwrap() {
        if let Some(row) = change.before {
            sql.push_str(&format!("DELETE FROM m.t WHERE id = {};\n", literal(row, 0)));
        }
        if let Some(row) = change.after {
            let values: Vec<String> = (0..3).map(|column| literal(row, column)).collect();
            sql.push_str(&format!("REPLACE INTO m.t VALUES ({});\n", values.join(",")));
        }
    }
}

#[test]
fn kept_chunks_and_new_ones_are_exact_after_safe_mode() {
    for (kind, options) in [
        (Kind::MySql8033, Options::default()),
        (Kind::MariaDb1011, Options::default()),
        (Kind::MySql8033, Options::default().compressed_binlog()),
    ] {
        let Some(source) = server(kind, options) else { continue };
        let Some(target) = Server::start_or_skip(kind, Options::default()) else { continue };
        let dir = work_dir();
        let out = dir.join("o");
        killed(&source, &out, 3, &[]);
        let first = chunks(&out);
        assert!(first.len() >= 2, "{kind}: {first:?}");
        write(&source, 1);
        source.sql("FLUSH BINARY LOGS");
        killed(&source, &out, 2, &[]);
        let second = chunks(&out);
        assert!(
            second.len() > first.len() && first.iter().all(|chunk| second.contains(chunk)),
            "{kind}: {second:?}"
        );
        let before = files(&out);
        write(&source, 2);
        let done = rdump(&source, Account::Dump, &out).args(ARGS).arg("--resume-chunks").run().success();
        LogCheck::new().check(&done.stdout);
        done.says("finished chunks are kept, the rest of the table is dumped");
        verify(&out);
        let after = files(&out);
        for chunk in &second {
            let name = format!("m.t.{chunk:09}.sql");
            assert_eq!(before[&name], after[&name], "{kind} {name}");
        }
        let (manifest, metadata) = (manifest(&out), metadata(&out));
        let line = manifest.tables.iter().find(|line| line.table == "t").unwrap();
        let (start, until) = (line.start.clone().unwrap(), line.safe_until.clone().unwrap());
        assert_eq!(manifest.dump.format, FORMAT_MIXED);
        assert_eq!(manifest.dump.start, Some(start.clone()), "{kind}");
        assert_eq!(metadata.source.unwrap().pos, start.pos, "{kind}: the earliest");
        let latest = metadata.after_connect.unwrap();
        assert_eq!((latest.file, latest.pos), (until.file, until.pos), "{kind}: the latest");
        assert_eq!(line.rows.unwrap(), rows(&out, "m.t").len() as u64);
        import(&target, &out);
        assert_ne!(content(&source), content(&target), "{kind}: of two moments");
        write(&source, 3);
        replicate(&source, &target, &start);
        assert_eq!(content(&source), content(&target), "{kind}");
        // Without chunks of its own a table has one moment.
        let whole = manifest.tables.iter().find(|line| line.table == "other").unwrap();
        assert_eq!(whole.safe_until, None);
    }
}

/// Kills a dump, lets `action` happen, and goes on: the table is dumped whole, for this reason.
fn whole_again(server: &Server, kind: Kind, action: impl FnOnce(&Path), args: &[&str], reason: &str) {
    let dir = work_dir();
    let out = dir.join("o");
    server.sql("ANALYZE TABLE m.t");
    // A binlog that was begun in the second of the dump might be another one.
    let now = || server.value("SELECT UNIX_TIMESTAMP()");
    let begin = now();
    wait_until_blocking(Duration::from_secs(30), "the next second", || now() != begin);
    killed(server, &out, 1, args);
    assert!(!chunks(&out).is_empty(), "{kind}: {reason}");
    action(&out);
    let done =
        rdump(server, Account::Dump, &out).args(ARGS).args(args).arg("--resume-chunks").run().success();
    done.says("the table is dumped whole again").says(reason);
    verify(&out);
    let manifest = manifest(&out);
    assert!(manifest.tables.iter().all(|line| line.safe_until.is_none()), "{kind}: {reason}");
    assert_eq!(
        rows(&out, "m.t").len().to_string(),
        server.value("SELECT COUNT(*) FROM m.t"),
        "{kind}: {reason}"
    );
}

#[test]
fn what_the_binlog_has_forbids_mixing() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = server(kind, Options::default()) else { continue };
        let mysql = !kind.is_mariadb();
        for (sql, reason) in [
            ("TRUNCATE TABLE m.t", "a DDL on it (TruncateTable)"),
            (
                "CREATE TABLE m.n LIKE m.t; INSERT INTO m.n SELECT * FROM m.t; RENAME TABLE m.t TO m.old, m.n TO m.t; DROP TABLE m.old",
                "a DDL on it (RenameTable)",
            ),
            ("USE m; ALTER TABLE t COMMENT 'x'", "a DDL on it (AlterTable)"),
            ("CREATE INDEX i ON m.t (v); DROP INDEX i ON m.t", "a DDL on it (CreateIndex)"),
            ("OPTIMIZE TABLE m.t", "a DDL on it (TableMaintenance)"),
            (
                "SET SESSION binlog_row_image=MINIMAL; UPDATE m.t SET v='x' WHERE id=4000",
                "rows without all of their columns",
            ),
            (
                "SET SESSION binlog_format=STATEMENT; INSERT INTO m.other VALUES (1)",
                "a statement in place of rows",
            ),
            (
                "DELETE FROM m.other; XA START 'x'; INSERT INTO m.other VALUES (2); XA END 'x'; XA PREPARE 'x'; XA COMMIT 'x'",
                "a prepared XA transaction is committed",
            ),
            ("ALTER DATABASE m DEFAULT CHARACTER SET latin1", "its database was created, altered or dropped"),
        ] {
            whole_again(&server, kind, |_| server.sql(sql), &[], reason);
            if sql.starts_with("TRUNCATE") {
                fill(&server);
            }
        }
        let logs = || -> Vec<String> {
            server.rows("SHOW BINARY LOGS").iter().map(|row| row.text(0).unwrap()).collect()
        };
        let purge = |_: &Path| {
            server.sql("FLUSH BINARY LOGS");
            let last = logs().pop().unwrap();
            // MariaDB keeps a file until InnoDB needs it no more.
            wait_until_blocking(Duration::from_secs(30), "older binlogs are purged", || {
                server.sql(format!("PURGE BINARY LOGS TO '{last}'"));
                logs().len() == 1
            });
        };
        whole_again(&server, kind, purge, &[], "is purged");
        if mysql {
            let partial = "SET SESSION binlog_row_value_options=PARTIAL_JSON; UPDATE m.t SET j=JSON_SET(j, '$.a', 2) WHERE id=4000";
            server.sql("ALTER TABLE m.t ADD j JSON; UPDATE m.t SET j=JSON_OBJECT('a', 1, 'b', REPEAT('x', 500)) WHERE id=4000");
            whole_again(&server, kind, |_| server.sql(partial), &[], "differences of JSON documents");
            let uuid = "11111111-2222-3333-4444-555555555555";
            let purged = format!("SET GLOBAL gtid_purged='+{uuid}:1-5'");
            whole_again(
                &server,
                kind,
                |_| server.sql(&purged),
                &[],
                "transactions that are not in its binlog: 11111111",
            );
        }
    }
}

fn wait_a_second(server: &Server) {
    let now = || server.value("SELECT UNIX_TIMESTAMP()");
    let started = now();
    wait_until_blocking(Duration::from_secs(5), "the server's clock goes on", || now() != started);
}

#[test]
fn what_the_table_is_forbids_mixing() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = server(kind, Options::default()) else { continue };
        let recreate = |sql: &str| {
            server.sql(format!("DROP TABLE IF EXISTS m.child, m.t, m.z; {sql}"));
            fill(&server);
        };
        recreate(
            "CREATE TABLE m.z (id INT PRIMARY KEY);
             INSERT INTO m.z SELECT x.n*1000+y.n*100+z.n*10+w.n FROM m.a x, m.a y, m.a z, m.a w WHERE x.n < 5;
             CREATE TABLE m.t (id INT PRIMARY KEY, u INT NOT NULL UNIQUE, v VARCHAR(200),
               FOREIGN KEY (u) REFERENCES m.z (id) ON DELETE CASCADE)",
        );
        whole_again(&server, kind, |_| (), &[], "a foreign key changes its rows with those of `m`.`z`");
        recreate(&format!(
            "{TABLE}; CREATE TABLE m.child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES m.t (id) ON DELETE CASCADE)"
        ));
        whole_again(&server, kind, |_| (), &[], "a foreign key changes rows of `m`.`child` with its rows");
        recreate(&format!("{TABLE} ENGINE=MyISAM"));
        whole_again(&server, kind, |_| (), &[], "its engine MyISAM is not known to have snapshots");
        if kind.is_mariadb() {
            recreate(&format!("{TABLE} WITH SYSTEM VERSIONING"));
            whole_again(&server, kind, |_| (), &[], "it is system versioned");
        }
        // A key that does not tell rows from each other leaves no chunk behind that could be kept.
        recreate("CREATE TABLE m.t (id INT NOT NULL, u INT, v VARCHAR(200), KEY (id))");
        let dir = work_dir();
        let out = dir.join("o");
        dead_at_the_end(&server, &out);
        assert_eq!(chunks(&out), [0; 0], "{kind}");
    }
}

#[test]
fn what_the_server_is_forbids_mixing() {
    let kind = Kind::MySql8033;
    // Without GTIDs only the age of the file tells that the binlog was begun anew.
    if let Some(server) = server(kind, Options::default().no_gtid()) {
        let anew = |_: &Path| {
            server.sql("RESET MASTER; CREATE TABLE m.n LIKE m.t; INSERT INTO m.n SELECT * FROM m.t");
            for n in 0..20 {
                server.sql(format!(
                    "DELETE FROM m.n WHERE id > {n}; INSERT INTO m.n SELECT * FROM m.t WHERE id > {n}"
                ));
            }
        };
        server.sql("RESET MASTER");
        wait_a_second(&server);
        whole_again(&server, kind, anew, &[], "the binlog was begun anew");
    }
    if let Some(server) = server(kind, Options::default().with("binlog-ignore-db=m")) {
        whole_again(&server, kind, |_| (), &[], "the server's binlog leaves its database out");
    }
    // A crash may cost the end of a binlog that is not synced.
    for (sync, kept) in [("0", false), ("1", true)] {
        let options = Options::default().with(&format!("sync_binlog={sync}"));
        let Some(mut server) = server(kind, options) else { continue };
        let dir = work_dir();
        let out = dir.join("o");
        killed(&server, &out, 2, &[]);
        server.kill9();
        server.start_again().unwrap();
        let done = rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume-chunks").run().success();
        match kept {
            true => done.says("finished chunks are kept"),
            false => done.says("the server has crashed at"),
        };
        verify(&out);
        assert_eq!(rows(&out, "m.t").len(), 5000);
    }
}

#[test]
fn what_is_not_asked_for_or_not_there_is_dumped_again() {
    let Some(server) = server(Kind::MySql8033, Options::default()) else { return };
    let dir = work_dir();
    // --resume keeps whole tables only.
    let out = dir.join("resume");
    killed(&server, &out, 3, &[]);
    server.sql("DELETE FROM m.t WHERE id < 50");
    rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume").run().success();
    verify(&out);
    assert_eq!(rows(&out, "m.t").len(), 4950);
    assert!(manifest(&out).tables.iter().all(|line| line.safe_until.is_none()));
    // A chunk whose file is gone is read again, the others stay.
    let out = dir.join("gone");
    killed(&server, &out, 3, &[]);
    let there = chunks(&out);
    std::fs::remove_file(out.join(format!("m.t.{:09}.sql", there[0]))).unwrap();
    rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume-chunks").run().success();
    verify(&out);
    assert_eq!(rows(&out, "m.t").len(), 4950);
    // All of it was there but the table's line.
    let out = dir.join("line");
    dead_at_the_end(&server, &out);
    let bytes = std::fs::read(out.join(JOURNAL)).unwrap();
    let lines = JournalLine::read(&bytes).into_iter().filter_map(|line| match line {
        JournalLine::Table(done) if done.table.table == "t" => None,
        JournalLine::Table(done) => Some(done.render()),
        JournalLine::Chunk(done) => Some(done.render()),
    });
    std::fs::write(out.join(JOURNAL), lines.flatten().collect::<Vec<u8>>()).unwrap();
    rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume-chunks").run().success();
    verify(&out);
    assert_eq!(rows(&out, "m.t").len(), 4950);
    // Who may not read the binlog is told before anything is written.
    server.sql("REVOKE REPLICATION SLAVE ON *.* FROM 'dump'@'%'");
    let out = dir.join("right");
    rdump(&server, Account::Dump, &out)
        .args(ARGS)
        .arg("--resume-chunks")
        .run()
        .expect_code(1)
        .says("GRANT REPLICATION SLAVE ON *.* TO 'dump'@'%'");
    assert!(!out.exists());
}
