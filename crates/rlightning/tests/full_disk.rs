//! No room for what is ours: the ledger, the log, files that were asked for. The data's disk: see `bad_input`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use testkit::{Account, Kind, Options, Server, WorkDir, wait_until_blocking};

use crate::support::{Task, assert_no_ledger, assert_numbers, dumpling, numbered, rlightning};

const ROWS: u64 = 20_000;

/// As many batches as the first pages of the ledger do not hold.
const MANY: u64 = 120_000;

/// Takes what is left of a small disk.
fn fill(disk: &Path) -> std::path::PathBuf {
    let filler = disk.join("filler");
    // What fits stays written.
    assert!(fs::write(&filler, vec![0u8; 64 << 20]).is_err());
    filler
}

/// The ledger's schema lies on another disk than the data, and that one is full.
#[test]
fn of_the_ledger() {
    // 8.0 has no schemas behind symbolic links.
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)); CREATE DATABASE lightning_task_info",
    );
    let disk = WorkDir::tmpfs("ledger", 4).unwrap();
    let (folder, place) = (server.data_dir().join("lightning_task_info"), disk.join("schema"));
    fs::create_dir(&place).unwrap();
    fs::copy(folder.join("db.opt"), place.join("db.opt")).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink(&place, &folder).unwrap();
    let owner = fs::metadata(server.data_dir()).unwrap();
    for path in [disk.path(), &place, &place.join("db.opt")] {
        use std::os::unix::fs::MetadataExt;
        std::os::unix::fs::chown(path, Some(owner.uid()), Some(owner.gid())).unwrap();
    }
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, MANY), 100));
    let mut tool = task.tool().args(["-retry-for", "3s"]).start();
    tool.wait_until(Duration::from_secs(60), "a batch is in", |_| {
        server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0
    });
    let filler = fill(disk.path());
    let done = tool.finish(Duration::from_secs(120)).failure().expect_code(1);
    let (stderr, held) = (&done.stderr, server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap());
    assert!(stderr.contains("lightning_task_info") || stderr.contains("rlightning_ledger"), "{stderr}");
    assert!(stderr.contains("is full") && stderr.contains("make room"), "{stderr}");
    assert!(held > 0 && held < MANY, "{held}");
    // As long as it is full the next run says the same and adds nothing.
    let done = task.tool().args(["-retry-for", "3s"]).run().failure().expect_code(1);
    assert!(done.stderr.contains("is full") && done.stderr.contains("make room"), "{}", done.shown());
    fs::remove_file(filler).unwrap();
    task.import();
    assert_numbers(&server, "d.t", MANY);
    assert_no_ledger(&server);
}

/// Lines are lost, rows are not; the log goes on when there is room, with whole lines.
#[test]
fn of_the_log() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let disk = WorkDir::tmpfs("log", 1).unwrap();
    let log = disk.join("lightning.log");
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut conn = runtime.block_on(server.conn(Account::Admin));
    runtime.block_on(conn.exec("LOCK TABLES d.t READ")).unwrap();
    // Room for the first lines, and for a part of one.
    fs::write(disk.join("filler"), vec![0u8; (1 << 20) - (4 << 10)]).unwrap();
    let tool = task.tool().args(["-log-file", log.to_str().unwrap(), "-L", "debug"]).start();
    let said = format!("cannot write to log file {}: No space left on device", log.display());
    wait_until_blocking(Duration::from_secs(60), "it says that lines are lost", || {
        tool.stderr_so_far().contains(&said)
    });
    fs::remove_file(disk.join("filler")).unwrap();
    runtime.block_on(async {
        conn.exec("UNLOCK TABLES").await.unwrap();
        conn.close().await;
    });
    let done = tool.finish(Duration::from_secs(120)).success();
    assert_eq!(done.stderr.matches("cannot write to log file").count(), 1, "{}", done.shown());
    assert_numbers(&server, "d.t", ROWS);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.lines().last().unwrap().contains("[\"tidb lightning exit\"] [finished=true]"), "{text}");
    let torn = text.lines().filter(|line| !line.ends_with(']')).count();
    assert!(torn <= 1 && text.lines().all(|line| line.starts_with('[')), "{text}");
    // Full from the beginning to the end.
    server.sql("TRUNCATE d.t");
    let other = Task::new(server.port());
    other.write("d.t.7.sql", dumpling("t", numbered(0, ROWS), 100));
    fill(disk.path());
    let done = other.tool().args(["-log-file", disk.join("other.log").to_str().unwrap()]).run().success();
    assert!(done.stderr.contains("other.log: No space left on device"), "{}", done.shown());
    assert_numbers(&server, "d.t", ROWS);
}

/// Keys that the check sorts on disk.
#[test]
fn of_the_checks_keys() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let disk = WorkDir::tmpfs("keys", 8).unwrap();
    let mut task = Task::new(server.port());
    for folder in ["a", "b"] {
        let path = format!("{folder}/d.t-schema.sql");
        task.write(&path, "CREATE TABLE t (n bigint PRIMARY KEY, c varchar(100));\n");
    }
    task.route("d", "t", "d", "t");
    task.write("a/d.t.0.sql", dumpling("t", numbered(0, 40_000), 100));
    task.write("b/d.t.0.sql", dumpling("t", numbered(39_990, 40_000), 100));
    drop(task.tool());
    let check = || {
        rlightning()
            .arg("check")
            .arg("-config")
            .arg(task.dir.join("tidb-lightning.toml"))
            .env("TMPDIR", disk.path())
            .env("FAILPOINTS", "check-key-memory=return(100000)")
            .run()
    };
    let filler = fill(disk.path());
    let done = check().failure().expect_code(1);
    let said = format!(
        "write keys to the temporary folder {} (set TMPDIR to a disk with room)",
        disk.path().display()
    );
    assert!(
        done.stderr.contains(&said) && done.stderr.contains("No space left on device"),
        "{}",
        done.shown()
    );
    fs::remove_file(filler).unwrap();
    let done = check();
    assert!(done.stdout.contains("10 values repeat, in 20 rows"), "{}", done.shown());
    // Nothing is left there.
    assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 0);
}

/// Files that an operator asked for.
#[test]
fn of_a_file_that_was_asked_for() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let disk = WorkDir::tmpfs("asked", 1).unwrap();
    let task = Task::new(server.port());
    task.write("d.t-schema.sql", "CREATE TABLE t (n bigint, c varchar(100));\n");
    task.write("d.t.0.sql", dumpling("t", numbered(0, 100), 100));
    drop(task.tool());
    let config = task.dir.join("tidb-lightning.toml");
    let filler = fill(disk.path());
    let file = disk.join("ddl.sql");
    let check = || rlightning().arg("check").arg("-config").arg(&config).arg("-ddl-file").arg(&file).run();
    let done = check().failure();
    let said = format!("write {}", file.display());
    assert!(
        done.stderr.contains(&said) && done.stderr.contains("No space left on device"),
        "{}",
        done.shown()
    );
    assert!(!file.exists());
    fs::remove_file(&filler).unwrap();
    check().success();
    assert!(fs::read_to_string(&file).unwrap().contains("CREATE TABLE `d`.`t`"));
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let folder = disk.join("dump");
    fill(disk.path());
    let dump = || {
        let option = format!("-checkpoint-dump={}", folder.display());
        rlightning().arg("ctl").arg("-config").arg(&config).arg(option).run()
    };
    let done = dump().failure();
    assert!(done.stderr.contains("No space left on device"), "{}", done.shown());
    assert!(!folder.join("tables.csv").exists());
    fs::remove_file(filler).unwrap();
    dump().success();
    assert!(fs::read_to_string(folder.join("tables.csv")).unwrap().contains("`d`.`t`"));
    task.import();
    assert_numbers(&server, "d.t", 100);
}
