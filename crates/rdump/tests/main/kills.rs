//! Killed, cut off, out of room: what is left never looks like a whole dump, and the next run makes one.

use std::path::Path;
use std::time::Duration;

use testkit::proxy::{Direction, End};
use testkit::{Account, Kind, Options, Proxy, Server, WorkDir};

use crate::support::{dump, files, manifest, rdump, rows, through, work_dir};

const ROWS: usize = 20_000;

/// 20,000 rows of about 450 bytes: 9 MB.
fn server_with_rows(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE k; CREATE TABLE k.seed (n INT PRIMARY KEY);
         INSERT INTO k.seed VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE k.t (id INT PRIMARY KEY, pad VARCHAR(500));
         INSERT INTO k.t SELECT a.n*10000+b.n*1000+c.n*100+d.n*10+e.n, REPEAT('p',440)
           FROM k.seed a, k.seed b, k.seed c, k.seed d, k.seed e WHERE a.n < 2;
         ANALYZE TABLE k.t",
    );
    Some(server)
}

/// No half files, no `metadata`.
fn assert_unfinished(out: &Path, killed: bool) {
    let all = files(out);
    assert!(!all.contains_key("metadata"), "{:?}", all.keys());
    if !killed {
        assert!(all.keys().all(|name| !name.ends_with(".part")), "{:?}", all.keys());
    }
    for (name, bytes) in all.iter().filter(|(name, _)| name.starts_with("k.t.0") && name.ends_with(".sql")) {
        assert!(bytes.ends_with(b");\n"), "{name} is not whole");
    }
}

fn assert_whole(out: &Path) {
    assert_eq!(rows(out, "k.t").len(), ROWS);
    let all = files(out);
    assert!(
        all.contains_key("metadata") && all.keys().all(|name| !name.ends_with(".part")),
        "{:?}",
        all.keys()
    );
    assert!(manifest(out).end.is_some());
}

const SPLIT: [&str; 8] = ["-B", "k", "-t", "4", "-r", "1000", "-F", "300KiB"];

#[test]
fn kill_9_at_many_moments_and_again_into_the_same_folder() {
    let Some(server) = server_with_rows(Kind::MySql8033) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let mut killed = 0;
    for i in 1..=12u64 {
        let mut tool = rdump(&server, Account::Dump, &out).args(SPLIT).start();
        if let Some(moved) = tool.kill_after_bytes(i * 1_500_000, Duration::from_secs(60)) {
            killed += 1;
            println!("killed after {moved} bytes");
            if files(&out).contains_key("metadata") {
                std::fs::remove_dir_all(&out).unwrap();
                continue;
            }
            assert_unfinished(&out, true);
        } else {
            std::fs::remove_dir_all(&out).unwrap();
        }
    }
    assert!(killed >= 6, "{killed} kills of a working dump");
    let _ = std::fs::remove_file(out.join("metadata"));
    dump(&server, &SPLIT, &out);
    assert_whole(&out);
}

/// The moments that chance does not meet: around the first and the last files.
#[test]
fn death_at_the_durable_steps() {
    let Some(server) = server_with_rows(Kind::MySql8033) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    for point in [
        "rdump-manifest-begun=return",
        "rdump-before-metadata=return",
        "crashsafe-before-rename=return",
        "crashsafe-before-rename=5*off->return",
    ] {
        let done = rdump(&server, Account::Dump, &out).args(SPLIT).env("FAILPOINTS", point).run();
        assert!(!done.status.success(), "{point} was not met");
        assert_unfinished(&out, true);
    }
    dump(&server, &SPLIT, &out);
    assert_whole(&out);
}

#[test]
fn a_signal_stops_cleanly() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    for (signal, code, compress) in
        [(libc_signal::TERM, 143, "zstd"), (libc_signal::INT, 130, "no-compression")]
    {
        let dir = work_dir();
        let out = dir.join("o");
        let proxy = Proxy::to(&server);
        let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
        let mut tool = through(&proxy, &out).args(SPLIT).args(["-c", compress]).start();
        hold.wait_held(Duration::from_secs(30));
        tool.signal(signal);
        tool.finish(Duration::from_secs(30)).expect_code(code).says("stopped by signal");
        assert_unfinished(&out, false);
        hold.release();
        dump(&server, &SPLIT, &out);
        assert_whole(&out);
    }
}

mod libc_signal {
    pub const INT: i32 = 2;
    pub const TERM: i32 = 15;
    pub const HUP: i32 = 1;
}

#[test]
fn a_closed_terminal_does_not_matter_and_the_password_is_not_shown() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let proxy = Proxy::to(&server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let mut tool = through(&proxy, &out).args(SPLIT);
    // Nobody reads what it prints.
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    tool.command_mut().stdout(writer.try_clone().unwrap()).stderr(writer);
    let mut tool = tool.start();
    hold.wait_held(Duration::from_secs(30));
    let command_line = std::fs::read(format!("/proc/{}/cmdline", tool.id())).unwrap();
    let command_line = String::from_utf8_lossy(&command_line).into_owned();
    let password = Account::Dump.credentials().password;
    assert!(!command_line.contains(password) && command_line.contains("xxxxxxx"), "{command_line:?}");
    tool.signal(libc_signal::HUP);
    hold.release();
    tool.finish(Duration::from_secs(60)).expect_code(0);
    assert_whole(&out);
}

#[test]
fn the_password_is_not_in_the_log() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let done = rdump(&server, Account::Dump, &dir.join("o"))
        .args(["-B", "k", "--loglevel", "debug"])
        .run()
        .success();
    assert!(!done.shown().contains(Account::Dump.credentials().password), "{}", done.shown());
}

/// In flush and lock mode another reader with the same snapshot reads the chunk; rows are whole and once.
#[test]
fn a_cut_connection_is_made_good_by_another_reader() {
    let Some(server) = server_with_rows(Kind::MySql8033) else { return };
    let dir = work_dir();
    for (i, (mode, bytes, end)) in [
        ("flush", 2_000_000, End::Reset),
        ("lock", 4_000_000, End::Truncate),
        ("flush", 8_000_000, End::Reset),
    ]
    .into_iter()
    .enumerate()
    {
        let out = dir.join(format!("{i}"));
        let proxy = Proxy::to(&server);
        proxy.end_after(Direction::ToClient, bytes, end);
        let done = through(&proxy, &out).args(SPLIT).args(["--consistency", mode]).run().success();
        testkit::LogCheck::new().require("connection is lost").check(&done.stdout);
        assert_whole(&out);
    }
}

/// With no reader left the dump ends with one clear error, and the next run makes it good.
#[test]
fn with_all_connections_cut_the_dump_fails() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let proxy = Proxy::to(&server);
    proxy.end_after(Direction::ToClient, 3_000_000, End::Reset);
    let done = through(&proxy, &out).args(SPLIT).args(["-t", "1"]).run().expect_code(1);
    assert_eq!(done.stdout.matches("dump failed: ").count(), 1, "{}", done.shown());
    done.says("read table `k`.`t`").says("dump failed error stack info");
    assert_unfinished(&out, false);
    let proxy = Proxy::to(&server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let tool = through(&proxy, &out).args(SPLIT).start();
    hold.wait_held(Duration::from_secs(30));
    proxy.cut_all();
    let done = tool.finish(Duration::from_secs(60)).expect_code(1);
    assert_eq!(done.stdout.matches("dump failed: ").count(), 1, "{}", done.shown());
    assert_unfinished(&out, false);
    dump(&server, &SPLIT, &out);
    assert_whole(&out);
}

/// Without a common snapshot the chunk is read again on a new connection, whole and once.
#[test]
fn without_consistency_a_cut_connection_is_made_anew() {
    let Some(server) = server_with_rows(Kind::MySql8033) else { return };
    let dir = work_dir();
    for (i, args) in [&["-r", "1000"][..], &["-F", "300KiB"], &[]].iter().enumerate() {
        let out = dir.join(format!("{i}"));
        let proxy = Proxy::to(&server);
        proxy.end_after(Direction::ToClient, 4_000_000, End::Reset);
        let done =
            through(&proxy, &out).args(["-B", "k", "--consistency", "none"]).args(*args).run().success();
        testkit::LogCheck::new().require("the chunk is read again").check(&done.stdout);
        assert_whole(&out);
    }
}

#[test]
fn a_server_that_dies_is_one_clear_error() {
    let Some(mut server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let proxy = Proxy::to(&server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let tool = through(&proxy, &out).args(SPLIT).start();
    hold.wait_held(Duration::from_secs(30));
    server.kill9();
    hold.release();
    let done = tool.finish(Duration::from_secs(60)).expect_code(1);
    assert_eq!(done.stdout.matches("dump failed: ").count(), 1, "{}", done.shown());
    assert_unfinished(&out, false);
    server.start_again().unwrap();
    dump(&server, &SPLIT, &out);
    assert_whole(&out);
}

/// Before the first row is read, too: while the lock is asked for, and while tables are described (then the planner or the last
/// reader says it first).
#[test]
fn a_server_that_is_gone_before_the_rows() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    for (pattern, text, folder_is_left) in [
        ("(?i)^show grants", "create dumper failed: read the account's privileges", false),
        ("(?i)^flush tables with read lock", "dump failed: flush tables with read lock", false),
        ("(?i)^show create table `k`\\.`t`", "dump failed: read ", true),
    ] {
        let proxy = Proxy::to(&server);
        let hold = proxy.hold(pattern, true);
        let tool = through(&proxy, &out).args(SPLIT).start();
        hold.wait_held(Duration::from_secs(30));
        proxy.refuse(true);
        proxy.cut_all();
        let done = tool.finish(Duration::from_secs(60)).expect_code(1).says(text);
        assert_eq!(done.stdout.matches(" failed: ").count(), 1, "{}", done.shown());
        assert_eq!(out.exists(), folder_is_left, "{pattern}");
        // No lock is left behind.
        server.sql("INSERT INTO k.seed VALUES (100); DELETE FROM k.seed WHERE n = 100");
    }
    dump(&server, &SPLIT, &out);
    assert_whole(&out);
}

#[test]
fn a_full_disk_is_one_clear_error() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let disk = WorkDir::tmpfs("full", 4).unwrap();
    // Rows that do not compress well.
    server.sql("CREATE TABLE k.random (id INT PRIMARY KEY, pad VARBINARY(1000)); INSERT INTO k.random SELECT id, CONCAT(RANDOM_BYTES(500), RANDOM_BYTES(500)) FROM k.t");
    for (name, args) in [("plain", &["-B", "k"][..]), ("cut", &SPLIT), ("zstd", &["-B", "k", "-c", "zstd"])] {
        let out = disk.join(name);
        let done = rdump(&server, Account::Dump, &out).args(args).run().expect_code(1);
        done.says("no space left").says("dump failed: ");
        assert_unfinished(&out, false);
        std::fs::remove_dir_all(&out).unwrap();
    }
    let out = disk.join("small");
    dump(&server, &["-T", "k.t", "-c", "zstd"], &out);
}

/// Two at a time would destroy each other's files.
#[test]
fn a_running_dump_is_not_replaced() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let proxy = Proxy::to(&server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let tool = through(&proxy, &out).args(SPLIT).start();
    hold.wait_held(Duration::from_secs(30));
    rdump(&server, Account::Dump, &out)
        .args(SPLIT)
        .run()
        .expect_code(1)
        .says("another rdump is writing to this folder");
    hold.release();
    tool.finish(Duration::from_secs(60)).expect_code(0);
    assert_whole(&out);
}

/// `/metrics` has Dumpling's names, `/status` is JSON; both answer while rows are read.
#[test]
fn the_status_server_answers() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let proxy = Proxy::to(&server);
    let hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let address = format!("127.0.0.1:{}", testkit::port::free_port());
    let tool = through(&proxy, &out).args(SPLIT).args(["--status-addr", &address]).start();
    hold.wait_held(Duration::from_secs(30));
    let get = |path: &str| {
        use std::io::{Read, Write};
        let mut socket = std::net::TcpStream::connect(&address).unwrap();
        write!(socket, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    };
    let metrics = get("/metrics");
    for name in [
        "dumpling_dump_finished_rows",
        "dumpling_dump_finished_size",
        "dumpling_dump_error_count",
        "process_cpu_seconds_total",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
    assert!(get("/status").contains("\"finished_rows\":"));
    hold.release();
    tool.finish(Duration::from_secs(60)).expect_code(0);
}

/// A server that goes silent does not hold the dump for ever.
#[test]
fn a_silent_server_is_given_up() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    let proxy = Proxy::to(&server);
    let _hold = proxy.hold("(?i)^select \\* from `k`\\.`t`", true);
    let done = through(&proxy, &dir.join("o"))
        .args(["-B", "k", "-t", "1", "--read-timeout", "1s"])
        .run()
        .expect_code(1);
    done.says("no answer within 1s");
    assert_unfinished(&dir.join("o"), false);
}

/// The connection that chunks are planned on is lost: a reader's takes its place, which sees the same rows.
#[test]
fn planning_goes_on_with_a_connection_of_the_same_snapshot() {
    let Some(server) = server_with_rows(Kind::MySql57) else { return };
    let dir = work_dir();
    for (i, (mode, threads)) in
        [("flush", "3"), ("lock", "2"), ("none", "1"), ("flush", "1")].into_iter().enumerate()
    {
        let out = dir.join(format!("{i}"));
        let proxy = Proxy::to(&server);
        let hold = proxy.hold("(?i)^explain .*k`\\.`t`.* where ", false);
        let tool = through(&proxy, &out).args(SPLIT).args(["--consistency", mode, "-t", threads]).start();
        hold.wait_held(Duration::from_secs(60));
        if mode != "none" {
            // Only the old snapshot has this row.
            server.sql("DELETE FROM k.t WHERE id = 19999");
        }
        hold.cut();
        let done = tool.finish(Duration::from_secs(120));
        if (mode, threads) == ("flush", "1") {
            done.expect_code(1).says("find the chunks of table `k`.`t`");
            assert_unfinished(&out, false);
            server.sql("INSERT INTO k.t VALUES (19999, 'x')");
            rdump(&server, Account::Dump, &out).args(SPLIT).args(["-t", "1", "--resume"]).run().success();
        } else {
            let done = done.success();
            let what = if mode == "none" { "on a new one" } else { "it goes on with a reader's" };
            testkit::LogCheck::new().require(what).allow("moment of its own").check(&done.stdout);
        }
        assert_whole(&out);
        if mode != "none" && threads != "1" {
            server.sql("INSERT INTO k.t VALUES (19999, 'x')");
        }
    }
}
