//! `--resume`: whole tables are kept, the others dumped anew; every table has its own start point.

use std::path::Path;
use std::time::Duration;

use common::dumpfile::JOURNAL;
use common::manifest::DoneTable;
use testkit::{Account, Kind, LogCheck, Options, Proxy, Server, Tool};

use crate::support::{dump, files, manifest, metadata, program, rdump, rows, through, work_dir};

/// Three small tables and a larger one, whose name is the last.
fn server(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE k; CREATE TABLE k.a (n INT PRIMARY KEY); INSERT INTO k.a VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE k.b (n INT PRIMARY KEY); INSERT INTO k.b SELECT n FROM k.a; CREATE TABLE k.empty (n INT);
         CREATE TABLE k.t (id INT PRIMARY KEY, pad VARCHAR(500));
         INSERT INTO k.t SELECT x.n*10000+y.n*1000+z.n*100+v.n*10+w.n, REPEAT('p',440)
           FROM k.a x, k.a y, k.a z, k.a v, k.a w WHERE x.n < 2;
         ANALYZE TABLE k.t",
    );
    Some(server)
}

fn journal(out: &Path) -> Vec<String> {
    let bytes = std::fs::read(out.join(JOURNAL)).unwrap_or_default();
    DoneTable::from_journal(&bytes).into_iter().map(|done| done.table.table).collect()
}

const ARGS: [&str; 6] = ["-B", "k", "-r", "1000", "-t", "2"];

/// Kills a dump when the small tables are whole and the large one is not.
fn killed(server: &Server, out: &Path) {
    let proxy = Proxy::to(server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let mut tool = through(&proxy, out).args(ARGS).start();
    hold.wait_held(Duration::from_secs(30));
    testkit::wait_until_blocking(Duration::from_secs(30), "the small tables are in the journal", || {
        journal(out).len() >= 3
    });
    tool.kill();
    tool.finish(Duration::from_secs(10));
    assert!(!journal(out).contains(&"t".to_owned()));
}

fn resume(server: &Server, out: &Path) {
    let done = rdump(server, Account::Dump, out).args(ARGS).arg("--resume").run().success();
    LogCheck::new().check(&done.stdout);
    done.says("resume an unfinished dump, its whole tables are kept");
    Tool::at("rdump", &program()).arg("verify").arg("-o").arg(out).run().success();
}

#[test]
fn whole_tables_are_kept_with_their_start_points() {
    for kind in [Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = server(kind) else { continue };
        let dir = work_dir();
        let out = dir.join("o");
        killed(&server, &out);
        let before = files(&out);
        // What comes between the two snapshots: a kept table must not show it, the other must.
        server.sql("INSERT INTO k.a VALUES (100); DELETE FROM k.t WHERE id = 7; INSERT INTO k.t VALUES (1000000, 'new')");
        resume(&server, &out);
        let after = files(&out);
        for name in ["k.a.000000000.sql", "k.a-schema.sql", "k.b.000000000.sql"] {
            assert_eq!(before[name], after[name], "{kind} {name}");
        }
        assert!(!after.contains_key(JOURNAL));
        let ids = rows(&out, "k.t");
        assert_eq!((ids.len(), rows(&out, "k.a").len()), (20_000, 10), "{kind}");
        assert!(ids.contains(&"(1000000,'new')".to_owned()) && !ids.iter().any(|row| row.starts_with("(7,")));
        let (manifest, metadata) = (manifest(&out), metadata(&out));
        let start = |table: &str| manifest.start_of("k", table).unwrap().clone();
        let (first, second) = (start("a"), start("t"));
        assert_eq!((start("b"), start("empty")), (first.clone(), first.clone()), "{kind}");
        assert!(
            first.pos.parse::<u64>().unwrap() < second.pos.parse::<u64>().unwrap(),
            "{kind} {first:?} {second:?}"
        );
        assert_ne!(first.gtid, second.gtid, "{kind}");
        let (source, after_connect) = (metadata.source.unwrap(), metadata.after_connect.unwrap());
        assert_eq!(
            (source.pos, source.gtid),
            (first.pos.clone(), first.gtid.clone()),
            "{kind}: the earliest"
        );
        assert_eq!(after_connect.pos, second.pos, "{kind}: the latest");
        assert_eq!(manifest.dump.start, Some(first));
        assert_eq!(manifest.end.unwrap().rows, 20_020);
    }
}

#[test]
fn what_can_not_be_trusted_is_dumped_again() {
    let Some(server) = server(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    killed(&server, &out);
    server.sql("INSERT INTO k.a VALUES (100); INSERT INTO k.b VALUES (100)");
    // A file of `a` is gone, and the line of the last table is torn.
    std::fs::remove_file(out.join("k.a.000000000.sql")).unwrap();
    let bytes = std::fs::read(out.join(JOURNAL)).unwrap();
    std::fs::write(out.join(JOURNAL), &bytes[..bytes.len() - 5]).unwrap();
    let last = DoneTable::from_journal(&bytes).pop().unwrap().table.table;
    // A resumed dump that is killed at once has forgotten what it will dump again.
    let killed = rdump(&server, Account::Dump, &out)
        .args(ARGS)
        .arg("--resume")
        .env("FAILPOINTS", "rdump-manifest-begun=return")
        .run();
    assert_eq!(killed.status.code(), None, "{}", killed.shown());
    let tables = journal(&out);
    assert!(!tables.contains(&"a".to_owned()) && !tables.contains(&last), "{tables:?}");
    let left = std::fs::read(out.join(JOURNAL)).unwrap_or_default();
    assert!(left.is_empty() || left.ends_with(b"\n"), "no torn line");
    resume(&server, &out);
    assert_eq!(rows(&out, "k.a").len(), 11);
    assert_eq!(rows(&out, "k.b").len(), if last == "b" { 11 } else { 10 });
    assert_eq!(rows(&out, "k.t").len(), 20_000);
}

#[test]
fn another_dump_is_not_resumed() {
    let Some(server) = server(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    killed(&server, &out);
    let before = files(&out);
    for (args, text) in [
        (&["-B", "k", "-r", "2000"][..], "it was made with --rows=1000, which is not given now"),
        (&["-B", "k", "-r", "1000", "--where", "1"], "it was made without --where=1"),
        (&["-B", "k", "-r", "1000", "--params", "time_zone=+05:00"], "now the session is in +05:00"),
    ] {
        rdump(&server, Account::Dump, &out).args(args).arg("--resume").run().expect_code(1).says(text);
        assert_eq!(files(&out), before);
    }
    if let Some(other) = Server::start_or_skip(Kind::MySql8033, Options::default()) {
        other.sql("CREATE DATABASE k");
        rdump(&other, Account::Dump, &out)
            .args(ARGS)
            .arg("--resume")
            .run()
            .expect_code(1)
            .says("it is of MySQL at 127.0.0.1");
        assert_eq!(files(&out), before);
    }
    // Without --resume it is replaced, journal and all.
    dump(&server, &ARGS, &out);
    assert!(!files(&out).contains_key(JOURNAL));
    assert_eq!(manifest(&out).tables.iter().filter(|line| line.start.is_some()).count(), 0);
    // An empty folder begins a dump, so that a script can always say --resume.
    dump(&server, &[&ARGS[..], &["--resume"]].concat(), &dir.join("new"));
}

#[test]
fn kills_at_many_moments_end_with_a_whole_dump() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let mut killed = 0;
    for i in 1..=10u64 {
        let mut tool = rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume").start();
        if let Some(moved) = tool.kill_after_bytes(i * 1_700_000, Duration::from_secs(60)) {
            tool.finish(Duration::from_secs(10));
            if files(&out).contains_key("metadata") {
                break;
            }
            println!("killed after {moved} bytes, whole tables: {:?}", journal(&out));
            killed += 1;
            server.sql(format!(
                "INSERT INTO k.t VALUES ({}, 'between'); INSERT INTO k.b VALUES (1000 + {i})",
                1_000_000 + i
            ));
        } else {
            break;
        }
    }
    assert!(killed >= 3, "{killed} kills of a working dump");
    for point in
        ["rdump-journal-synced=return", "rdump-manifest-begun=return", "rdump-before-metadata=return"]
    {
        let _ = std::fs::remove_file(out.join("metadata"));
        rdump(&server, Account::Dump, &out).args(ARGS).arg("--resume").env("FAILPOINTS", point).run();
    }
    let _ = std::fs::remove_file(out.join("metadata"));
    resume(&server, &out);
    assert_eq!(rows(&out, "k.a").len(), 10);
    let t = rows(&out, "k.t").len();
    assert!((20_000..=20_000 + killed).contains(&t), "{t}");
    let whole = manifest(&out);
    let total: u64 = whole.tables.iter().filter_map(|line| line.rows).sum();
    assert_eq!(total, whole.end.unwrap().rows);
}
