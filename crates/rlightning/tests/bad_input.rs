//! Bad input: one clear error each, a non-zero exit, and after the cause is removed exactly the rows of the dump.

use std::fs;
use std::io::Write as _;

use testkit::{Account, Kind, Options, Server};

use testkit::tool::Finished;

use crate::support::{Task, alter_d_t, assert_numbers, dumpling, numbered, rlightning};

const ROWS: u64 = 4_000;

fn setting() -> Option<(Server, Task)> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    Some((server, task))
}

/// Damages the file, sees the error, mends it, and sees that all rows are there once. A damaged file is another file, so the task is
/// begun anew.
fn damaged(damage: impl Fn(&mut Vec<u8>), expected: &[&str]) {
    let Some((server, task)) = setting() else { return };
    let path = task.dumps().join("d.t.0.sql");
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    damage(&mut bad);
    fs::write(&path, &bad).unwrap();
    let mut done = task.fails("file 'd.t.0.sql'");
    for text in expected {
        done = done.says(text);
    }
    drop(done);
    fs::write(&path, &good).unwrap();
    // The rows of the bad file that are in belong to it: this is said, not glossed over.
    let rows: u64 = server.value("SELECT COUNT(*) FROM d.t").parse().unwrap();
    if rows > 0 {
        let done = task.fails("has changed since the task began");
        server.sql("TRUNCATE TABLE d.t");
        advised(&done, "-checkpoint-remove");
    }
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

/// Types the command that the message shows, in a shell, as it stands.
fn advised(done: &Finished, option: &str) {
    let text = &done.stderr;
    let end = text.find(&format!(" {option}=")).unwrap_or_else(|| panic!("no command in {text}"));
    let begin = text[..end].rfind("run `").or_else(|| text[..end].rfind("or `")).unwrap();
    let begin = begin + text[begin..].find('`').unwrap() + 1;
    let quoted = end + text[end..].find("='").unwrap() + 2;
    let end = quoted + text[quoted..].find('\'').unwrap() + 1;
    let command = &text[begin..end];
    let out = std::process::Command::new("sh").arg("-c").arg(command).output().unwrap();
    assert!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_table_altered_before_its_first_row() {
    let Some((server, task)) = setting() else { return };
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    alter_d_t(&server);
    // Accepted, because no row of the task was in it; and from then on it is this table.
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    assert!(server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0);
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn a_file_that_changed_before_its_first_row() {
    let Some((server, task)) = setting() else { return };
    let path = task.dumps().join("d.t.0.sql");
    let die = |point: &str| {
        let done = task.tool().env("FAILPOINTS", format!("{point}=return")).run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
    };
    // Large enough to be cut.
    let rows = 3 * ROWS;
    let good = dumpling("t", numbered(0, rows), 100).into_bytes();
    // Other rows, so that the old cuts lie in the middle of them; of another size first, then with the same ends.
    fs::write(&path, dumpling("t", numbered(0, rows + 777), 93)).unwrap();
    die("ledger-cuts-committed");
    let mut moved = good.clone();
    let at = moved.windows(2).position(|part| part == b"20").unwrap();
    moved.insert(at, b'1');
    moved.remove(
        moved.len() / 2 + moved[moved.len() / 2..].windows(3).position(|part| part == b"row").unwrap(),
    );
    fs::write(&path, &moved).unwrap();
    die("ledger-cuts-committed");
    fs::write(&path, &good).unwrap();
    die("ledger-file-replaced");
    die("batch-before-commit");
    task.import();
    assert_numbers(&server, "d.t", rows);
}

#[test]
fn a_file_cut_in_half() {
    damaged(|text| text.truncate(text.len() / 2), &["byte"]);
    // Between two rows.
    damaged(|text| text.truncate(text.iter().rposition(|&byte| byte == b',').unwrap()), &["byte"]);
    damaged(|text| text.truncate(text.len() - 2), &["without the semicolon of its last statement"]);
}

#[test]
fn a_stray_byte() {
    damaged(
        |text| {
            let at =
                text.len() / 2 + text[text.len() / 2..].windows(3).position(|part| part == b"),\n").unwrap();
            text.insert(at + 1, b'!');
        },
        &["unexpected '!' at byte"],
    );
}

#[test]
fn an_unclosed_quote() {
    damaged(
        |text| {
            let at = text.windows(4).rposition(|part| part == b"on)'").unwrap();
            text.remove(at + 3);
        },
        &["is never closed"],
    );
}

#[test]
fn a_packed_file_that_is_damaged() {
    let Some((server, task)) = setting() else { return };
    let packed = zstd::encode_all(dumpling("t", numbered(0, ROWS), 100).as_bytes(), 1).unwrap();
    fs::remove_file(task.dumps().join("d.t.0.sql")).unwrap();
    task.write("d.t.0.sql.zst", &packed[..packed.len() / 2]);
    task.fails("file 'd.t.0.sql.zst'");
    task.write("d.t.0.sql.zst", dumpling("t", numbered(0, 5), 5));
    task.fails("d.t.0.sql.zst");
    server.sql("TRUNCATE TABLE d.t");
    rlightning()
        .arg("ctl")
        .arg("-config")
        .arg(task.dir.join("tidb-lightning.toml"))
        .arg("-checkpoint-remove=all")
        .run()
        .success();
    task.write("d.t.0.sql.zst", &packed);
    task.import();
    assert_numbers(&server, "d.t", ROWS);
    fs::remove_file(task.dumps().join("d.t.0.sql.zst")).unwrap();
    // Cut, and of another kind than their names say.
    let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
    lz4.write_all(dumpling("t", numbered(0, ROWS), 100).as_bytes()).unwrap();
    let lz4 = lz4.finish().unwrap();
    task.write("e/d.t.1.sql", dumpling("t", numbered(0, ROWS), 100));
    assert!(
        std::process::Command::new("xz").arg(task.dumps().join("e/d.t.1.sql")).status().unwrap().success()
    );
    let xz = fs::read(task.dumps().join("e/d.t.1.sql.xz")).unwrap();
    fs::remove_dir_all(task.dumps().join("e")).unwrap();
    for (name, bytes) in [
        ("d.t.0.sql.lz4", &lz4[..lz4.len() / 2]),
        ("d.t.0.sql.lz4", &lz4[..lz4.len() - 4]),
        ("d.t.0.sql.lz4", b"INSERT INTO t VALUES (1,'x');"),
        ("d.t.0.sql.xz", &xz[..xz.len() / 2]),
        ("d.t.0.sql.xz", &xz[..xz.len() - 1]),
        ("d.t.0.sql.xz", &lz4),
    ] {
        let task = Task::new(server.port());
        task.write(name, bytes);
        task.fails(&format!("file '{name}'"));
    }
}

#[test]
fn target_tables_that_do_not_fit() {
    let Some((server, task)) = setting() else { return };
    task.write("d.t-schema.sql", "CREATE TABLE `t` (`n` bigint NOT NULL, `c` varchar(100));\n");
    for (definition, expected) in [
        ("(n bigint)", "column `c`, which the target table does not have"),
        ("(n bigint, c datetime)", "column `c` is varchar in the dump and datetime in the target"),
        ("(n bigint, c varchar(100), must int NOT NULL)", "`must` is NOT NULL without a default"),
        ("(n bigint, c varchar(100)) ENGINE=MyISAM", "its engine MyISAM has no transactions"),
    ] {
        server.sql(format!("DROP TABLE d.t; CREATE TABLE d.t {definition}"));
        let done = task.fails(expected);
        assert!(done.stderr.contains("table `d`.`t`"), "{}", done.shown());
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0", "{definition}");
    }
    // Values that do not fit are found by the target, with the byte of their row.
    server.sql("DROP TABLE d.t; CREATE TABLE d.t (n tinyint, c varchar(100))");
    task.fails("Out of range value for column 'n'").says("row at byte");
    assert!(server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() < 128);
    server.sql("DROP TABLE d.t; CREATE TABLE d.t (n bigint, c varchar(100))");
    // The ledger may hold rows of the table that was dropped: never success.
    rlightning()
        .arg("ctl")
        .arg("-config")
        .arg(task.dir.join("tidb-lightning.toml"))
        .arg("-checkpoint-remove=all")
        .run()
        .success();
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn a_missing_target_table() {
    let Some((server, mut task)) = setting() else { return };
    server.sql("DROP TABLE d.t");
    task.fails("table `d`.`t` schema not found");
    task.set("mydumper", "no-schema = true");
    task.fails("table `d`.`t` schema not found");
    server.sql("CREATE TABLE d.t (n bigint, c varchar(100))");
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn a_duplicate_key_between_two_sources() {
    let Some((server, task)) = setting() else { return };
    server.sql("ALTER TABLE d.t ADD UNIQUE KEY sid (n)");
    task.write("x/d.t.1.sql", dumpling("t", numbered(ROWS - 1, 2), 10));
    let done = task.fails(&format!("Duplicate entry '{}' for key", ROWS - 1));
    assert!(done.stderr.contains("restore table `d`.`t` failed: file '"), "{}", done.shown());
    assert!(done.stderr.contains("row at byte "), "{}", done.shown());
    let record = server.value(
        "SELECT CONCAT(table_name, ' ', path, ' ', error LIKE 'Duplicate entry%', ' ', row_data LIKE '(3999,%') FROM lightning_task_info.conflict_records",
    );
    assert!(record.starts_with("`d`.`t` ") && record.ends_with(" 1 1"), "{record}");
    // Which file of the two is second hangs on the workers; the duplicate is taken out of the small one.
    task.write("x/d.t.1.sql", dumpling("t", numbered(ROWS, 1), 10));
    server.sql("TRUNCATE TABLE d.t");
    advised(&task.fails("-checkpoint-remove="), "-checkpoint-remove");
    task.import();
    assert_numbers(&server, "d.t", ROWS + 1);
}

#[test]
fn a_ledger_whose_table_is_no_longer_there() {
    for gone in [
        "DROP TABLE d.t",
        "TRUNCATE TABLE d.t",
        "DELETE FROM d.t",
        "DROP TABLE d.t; CREATE TABLE d.t (n bigint, c varchar(100))",
    ] {
        let Some((server, mut task)) = setting() else { return };
        task.set("mydumper", "no-schema = true");
        let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
        assert!(server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap() > 0);
        server.sql(gone);
        let done = task.tool().run().failure();
        assert!(done.stderr.contains("`d`.`t`"), "{gone}: {}", done.shown());
        if !gone.ends_with("TABLE d.t") || gone.starts_with("TRUNCATE") {
            assert!(done.stderr.contains("the task's ledger says that"), "{gone}: {}", done.shown());
        } else {
            server.sql("CREATE TABLE d.t (n bigint, c varchar(100))");
            task.fails("the task's ledger says that");
        }
        // The way out that the message names.
        server.sql("TRUNCATE TABLE d.t");
        advised(&task.fails("the task's ledger says that"), "-checkpoint-remove");
        task.import();
        assert_numbers(&server, "d.t", ROWS);
    }
}

#[test]
fn a_source_file_that_changed_or_went_away() {
    let Some((server, task)) = setting() else { return };
    let path = task.dumps().join("d.t.0.sql");
    let good = fs::read(&path).unwrap();
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    // Another byte far from both ends, and another time.
    let mut changed = good.clone();
    let at = changed.windows(6).position(|part| part == b"row 20").unwrap();
    changed[at..at + 3].copy_from_slice(b"ROW");
    fs::write(&path, &changed).unwrap();
    task.fails("has changed since the task began");
    fs::remove_file(&path).unwrap();
    task.write("d.t.9.sql", "INSERT INTO t VALUES (1,'x');\n");
    task.fails("file 'd.t.0.sql' took part when the task began and is not there any more");
    fs::remove_file(task.dumps().join("d.t.9.sql")).unwrap();
    // The old bytes with a new time are the old file.
    fs::write(&path, &good).unwrap();
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn settings_that_changed_within_a_task() {
    let Some((server, mut task)) = setting() else { return };
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    task.set("conflict", "strategy = 'replace'");
    task.fails("config 'conflict.strategy' value 'replace' different from checkpoint value 'error'");
    server.sql("UPDATE lightning_task_info.rlightning_task SET format = 99");
    task.fails("format version 99");
}

#[test]
fn logins_and_privileges() {
    let Some((server, mut task)) = setting() else { return };
    task.tool().args(["-tidb-password", "wrong-Pw1"]).run().failure().says("Access denied");
    assert!(!task.log_text().contains("wrong-Pw1"));
    let nobody = Account::Nobody.credentials();
    let done =
        task.tool().args(["-tidb-user", nobody.user, "-tidb-password", nobody.password]).run().failure();
    let shown = done.shown();
    assert!(shown.contains("missing privilege INSERT") && shown.contains("GRANT INSERT ON"), "{shown}");
    // A table that is not there: each GRANT can be executed, and with all of them it goes on.
    task.write("d.new-schema.sql", "CREATE TABLE `new` (n bigint, c varchar(100))");
    task.write("d.new.0.sql", dumpling("new", numbered(0, ROWS), 100));
    task.set("mydumper", "filter = ['d.new']");
    let login = ["-tidb-user", nobody.user, "-tidb-password", nobody.password];
    let shown = task.tool().args(login).run().failure().shown();
    let grants: Vec<&str> = shown
        .match_indices("GRANT ")
        .filter_map(|(at, _)| shown.get(at..)?.split([';', '|']).next())
        .filter(|grant| grant.contains(" TO "))
        .collect();
    assert!(grants.iter().any(|grant| grant.contains("CREATE ON `d`.*")), "{shown}");
    for grant in &grants {
        server.sql(grant);
    }
    task.tool().args(login).run().success();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.new"), ROWS.to_string());
    task.set_port(1);
    // Nothing listens there: workers would try for minutes, but at the start it is an error at once.
    task.fails("failed to connect to the target");
}

#[test]
fn configurations() {
    let dir = testkit::WorkDir::new("config").unwrap();
    let path = dir.join("c.toml");
    let run = |text: Option<&[u8]>| {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => drop(fs::remove_file(&path)),
        }
        rlightning().arg("-config").arg(&path).current_dir(dir.path()).run().failure()
    };
    run(None).expect_code(2).says("it does not exist");
    run(Some(b"")).expect_code(2).says("is empty");
    run(Some(b"[tidb]\nhost = 'x")).expect_code(2).says("cannot parse config file");
    run(Some(b"[tidb]\nhost = '\xff'")).expect_code(2).says("is not UTF-8");
    run(Some(b"[tidb]\nhots = 'x'\n[oops]\na = 1"))
        .expect_code(2)
        .says("unknown configuration options: oops, tidb.hots");
    run(Some(b"[tidb]\nport = 'x'")).expect_code(2).says("tidb.port");
    run(Some(b"[lightning]\nfile = 'l.log'\n[tikv-importer]\nbackend = 'local'"))
        .expect_code(1)
        .says("is not there yet");
    fs::create_dir(dir.join("empty")).unwrap();
    run(Some(b"[lightning]\nfile = 'l.log'\n[tikv-importer]\nbackend = 'tidb'\n[tidb]\nport = 1\n[mydumper]\ndata-source-dir = 'empty'"))
        .expect_code(1)
        .says("doesn't exist or contains no files");
}

#[test]
fn an_unfinished_dump_of_rdump() {
    let Some((_server, task)) = setting() else { return };
    let head = common::manifest::Manifest {
        dump: common::manifest::DumpHead { format: 1, ..Default::default() },
        ..Default::default()
    };
    task.write("rdump-manifest.jsonl", head.render());
    task.fails("that rdump has not finished");
    let mut whole = head;
    whole.end = Some(Default::default());
    whole.files = vec![common::manifest::FileLine {
        name: "d.t.0.sql".into(),
        schema: "d".into(),
        table: "t".into(),
        rows: 1,
        bytes: 1,
        ..Default::default()
    }];
    task.write("rdump-manifest.jsonl", whole.render());
    task.fails("rdump wrote 1");
}

#[test]
fn a_file_that_is_missing_in_a_dump_of_rdump() {
    let Some((server, mut task)) = setting() else { return };
    let line = |name: &str, table: &str| common::manifest::FileLine {
        name: name.into(),
        schema: "d".into(),
        table: table.into(),
        ..Default::default()
    };
    let size = fs::metadata(task.dumps().join("d.t.0.sql")).unwrap().len();
    let manifest = common::manifest::Manifest {
        dump: common::manifest::DumpHead { format: 1, ..Default::default() },
        end: Some(Default::default()),
        files: vec![
            common::manifest::FileLine { bytes: size, ..line("d.t.0.sql", "t") },
            // All files of a table.
            line("d.u.0.sql", "u"),
        ],
        schemas: vec![common::manifest::SchemaFileLine {
            name: "d.w-schema.sql".into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    task.write("rdump-manifest.jsonl", manifest.render());
    task.fails("file 'd.u.0.sql': rdump wrote it, but it is not there");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
    task.set("mydumper", "filter = ['d.t', 'd.w']");
    task.fails("file 'd.w-schema.sql': rdump wrote it, but it is not there");
    // What takes no part may be missing.
    task.unset("mydumper", "filter = ['d.t', 'd.w']");
    task.set("mydumper", "filter = ['d.t']");
    task.import();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), ROWS.to_string());
}

/// As `--output-filename-template` of rdump makes them.
#[test]
fn folders_in_the_names_of_a_manifest() {
    let Some((server, task)) = setting() else { return };
    let text = fs::read(task.dumps().join("d.t.0.sql")).unwrap();
    fs::remove_file(task.dumps().join("d.t.0.sql")).unwrap();
    task.write("x/d.t.0.sql", &text);
    let manifest = |bytes: usize| common::manifest::Manifest {
        dump: common::manifest::DumpHead { format: 1, ..Default::default() },
        end: Some(Default::default()),
        files: ["x/d.t.0.sql", "x/d.t.1.sql"]
            .map(|name| common::manifest::FileLine {
                name: name.into(),
                schema: "d".into(),
                table: "t".into(),
                bytes: bytes as u64,
                ..Default::default()
            })
            .into(),
        ..Default::default()
    };
    task.write("rdump-manifest.jsonl", manifest(text.len()).render());
    task.fails("file 'x/d.t.1.sql': rdump wrote it, but it is not there");
    let mut whole = manifest(text.len());
    whole.files.truncate(1);
    task.write("rdump-manifest.jsonl", whole.render());
    task.import();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), ROWS.to_string());
}

/// A template may put the schema files into another folder than the rows: column names come from there all the same, but not from
/// another dump.
#[test]
fn schemas_in_another_folder_than_the_rows() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (b int, a int); CREATE TABLE d.u (b int, a int)");
    let task = Task::new(server.port());
    for (dump, table) in [("one", "t"), ("two", "u")] {
        let rows = format!("INSERT INTO `{table}` VALUES\n(1,2);\n");
        let schema = format!("CREATE TABLE `{table}` (`a` int, `b` int);\n");
        let file = common::manifest::FileLine {
            name: format!("rows/d.{table}.0.sql"),
            schema: "d".into(),
            table: table.into(),
            bytes: rows.len() as u64,
            ..Default::default()
        };
        let line = common::manifest::SchemaFileLine {
            name: format!("schemas/d.{table}-schema.sql"),
            bytes: schema.len() as u64,
            blake3: String::new(),
        };
        let manifest = common::manifest::Manifest {
            dump: common::manifest::DumpHead { format: 1, ..Default::default() },
            end: Some(Default::default()),
            files: vec![file],
            schemas: vec![line],
            ..Default::default()
        };
        task.write(&format!("{dump}/rdump-manifest.jsonl"), manifest.render());
        task.write(&format!("{dump}/rows/d.{table}.0.sql"), rows);
        task.write(&format!("{dump}/schemas/d.{table}-schema.sql"), schema);
    }
    // No part of a dump, and without a schema of its own: by place, as ever.
    task.write("three/d.t.9.sql", "INSERT INTO `t` VALUES\n(3,4);\n");
    task.import();
    assert_eq!(server.value("SELECT GROUP_CONCAT(CONCAT(a, '|', b) ORDER BY b) FROM d.t"), "1|2,4|3");
    assert_eq!(server.value("SELECT CONCAT(a, '|', b) FROM d.u"), "1|2");
}

#[test]
fn a_full_disk_of_the_target() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default().no_binlog().tmpfs(220))
    else {
        return;
    };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    // Fill what is left, in ever smaller pieces.
    let mut pieces = 0;
    let mut size = 64usize << 20;
    while size > 1 << 19 {
        let piece = server.data_dir().join(format!("filler-{pieces}"));
        if fs::write(&piece, vec![0u8; size]).is_err() {
            let _ = fs::remove_file(piece);
            size /= 2;
        }
        pieces += 1;
    }
    let big: String = "x".repeat(90);
    task.write(
        "d.t.1.sql",
        dumpling("t", (0..60_000).map(|number| format!("({},'{big}')", 1_000_000 + number)), 1000),
    );
    let done = task.tool().run().failure();
    assert!(done.stderr.contains("is full") || done.stderr.contains("disk"), "{}", done.shown());
    for entry in fs::read_dir(server.data_dir()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("filler") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    task.import();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE n < 1000000"), ROWS.to_string());
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE n >= 1000000"), "60000");
}
