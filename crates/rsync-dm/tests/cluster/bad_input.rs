//! One clear error for each thing that is wrong.

use super::*;

#[test]
fn files_that_cannot_be_used() {
    let dm = Dm::start(0);
    let fails = |args: &[&str], text: &str| {
        let finished = dm.ctl(args).failure();
        let all = format!("{}{}", finished.stdout, finished.stderr);
        assert!(all.contains(text), "{args:?}: {all}");
    };
    fails(&["start-task", "/no/such.yaml"], "[code=20018:");
    fails(&["start-task", &dm.file("empty.yaml", "")], "is empty");
    fails(&["start-task", &dm.file("cut.yaml", "name: 'x\ntask-mode")], "[code=20003:");
    fails(
        &["start-task", &dm.file("unknown.yaml", "name: x\nsyncers: {g: {batches: 1}}\n")],
        "syncers.g.batches",
    );
    std::fs::write(dm.dir.join("latin.yaml"), b"name: \xff\n").unwrap();
    fails(&["start-task", dm.dir.join("latin.yaml").to_str().unwrap()], "not UTF-8");
    fails(
        &["operate-source", "create", &dm.file("s.yaml", "source-id: a\nfrom: {host: h, prot: 1}\n")],
        "from.prot",
    );
    fails(&["operate-source", "destroy", "x"], "invalid operate 'destroy'");
    fails(&["operate-source", "stop", "nobody"], "[code=46008:");
    fails(&["pause-task", "nobody"], "has no source or not exist");
    fails(&["pause-task"], "exactly one source");
    fails(&["shard-ddl-lock", "unlock", "nobody"], "[code=38019:");
    fails(&["decrypt", "x"], "--secret-key-path");
    fails(&["validation"], "unrecognized subcommand");
    let lost =
        Tool::new("rsync-dm").args(["ctl", "--master-addr", "127.0.0.1:1", "query-status"]).run().failure();
    assert!(lost.stderr.contains("can't connect to 127.0.0.1:1"), "{}", lost.shown());
    let nobody =
        Tool::new("rsync-dm").args(["ctl", "query-status"]).env("DM_MASTER_ADDR", "").run().failure();
    assert!(nobody.stderr.contains("--master-addr not provided"), "{}", nobody.shown());
    for (text, says) in [
        ("", "is empty"),
        ("master-addr = 'x", "line 1"),
        ("ssl-ca = 1", "ssl-ca"),
        ("[log]\nlevel = 'x'", "unknown configuration options: log"),
    ] {
        fails(&["--config", &dm.file("ctl.toml", text), "list-member"], says);
    }
    fails(&["--config", "/no/such.toml", "list-member"], "does not exist");
    let bytes: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(&b"a\xff"[..]);
    let raw = Tool::new("rsync-dm").arg("ctl").arg(bytes).run().expect_code(2);
    assert!(raw.stderr.contains("is not UTF-8"), "{}", raw.shown());
    let config = dm.file("m.toml", "nope = 1\n");
    let master = Tool::new("rsync-dm").args(["master", "-config", &config]).run().expect_code(2);
    assert!(master.stderr.contains("[code=38011:") && master.stderr.contains("nope"), "{}", master.shown());
    let second = Tool::new("rsync-dm")
        .args(["master", "--master-addr", &dm.address])
        .current_dir(dm.dir.path())
        .run()
        .failure();
    assert!(second.stderr.contains("cannot listen on"), "{}", second.shown());
    dm.end(&LogCheck::new());
}

/// Each error has the advice for its own cause, and not that of another one with the same code.
#[test]
fn advice_fits_the_mistake() {
    let dir = WorkDir::new("advice").unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let dump = |name: &str, metadata: &str| {
        std::fs::create_dir(dir.join(name)).unwrap();
        file(&format!("{name}/metadata"), metadata);
        format!("{name}={}", dir.join(name).display())
    };
    let position = "SHOW MASTER STATUS:\n\tLog: b.000001\n\tPos: 53";
    let a = dump("a", &format!("Started dump at: x\n{position}\n\tGTID:\n\nFinished dump at: y\n"));
    let cut = dump("cut", &format!("Started dump at: x\n{position}"));
    let off = dump("off", "Started dump at: x\nFinished dump at: y\n");
    let source = file("source.yaml", "source-id: a\nfrom: {host: h}\n");
    let task = |name: &str, ids: &str| {
        let instances: String = ids.split(',').map(|id| format!("- source-id: {id}\n")).collect();
        let target = "target-database: {host: h}";
        file(name, &format!("name: t\ntask-mode: incremental\n{target}\nmysql-instances:\n{instances}"))
    };
    let (one, two) = (task("one.yaml", "a"), task("two.yaml", "a,b"));
    let other = task("other.yaml", "z");
    let nowhere = format!("a={}", dir.join("nowhere").display());
    let strings = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
    let meta_from = |args: &[&str]| [strings(&["ctl", "meta-from"]), strings(args)].concat();
    let cases = [
        (meta_from(&["a"]), "[code=20009:", "for example mysql-01=/data/dump-01"),
        (meta_from(&["a="]), "`a=` is not of the form SOURCE-ID=DIR", "for example mysql-01=/data/dump-01"),
        (meta_from(&[&nowhere]), "nowhere: there is no such folder", "Workaround: Check the path"),
        (meta_from(&[&cut]), "it ends in line 4 without the line `Finished dump at:`", "or dump again"),
        (meta_from(&[&off]), "the source's binlog is off", "Switch the source's binlog on"),
        (meta_from(&[&a, "--task", &one]), "no file given with --source is its", "with --source"),
        (meta_from(&[&a, "--task", &two, "-s", &source]), "has source b, but no file", "with --source"),
        (
            meta_from(&[&a, "--task", &other, "-s", &source]),
            "source a is not in mysql-instances",
            "leave its file out",
        ),
        (
            strings(&["run", "--task", &two, "--source", &source]),
            "has source b, but no file",
            "with --source",
        ),
        (
            strings(&["run", "--task", &one, "--source", &source, "--source", &source]),
            "given twice",
            "one file for each",
        ),
        (
            strings(&["verify", "--task", &two, "--source", &source]),
            "has source b, but no file",
            "with --source",
        ),
        (
            strings(&["run", "--task", &one, "--source", "/no/such.yaml"]),
            "/no/such.yaml: it does not exist",
            "Check that the file",
        ),
    ];
    for (args, what, advice) in cases {
        let finished = Tool::new("rsync-dm").args(&args).run().failure();
        let text = &finished.stderr;
        let error = text.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default();
        let (message, workaround) =
            error.split_once("Workaround: ").unwrap_or_else(|| panic!("{args:?}: {text}"));
        assert!(error.contains(what) && error.contains(advice), "{args:?}: {error}");
        assert!(!workaround.contains("operate-source create"), "{args:?}: {error}");
        assert_eq!(workaround.contains("binlog on"), message.contains("binlog is off"), "{args:?}: {error}");
    }
}

#[test]
fn keys_encrypt_and_decrypt() {
    let dm = Dm::start(0);
    let key = dm.file("dm.key", &"0f".repeat(32));
    let text = dm.ctl(&["encrypt", "dmpass", "--secret-key-path", &key]).success().stdout;
    let plain = dm.ctl(&["decrypt", text.trim(), "--secret-key-path", &key]).success().stdout;
    assert_eq!(plain.trim(), "dmpass");
    dm.end(&LogCheck::new());
}

/// The master's key encrypts; the workers get it from the master, and nothing else has to know it.
#[test]
fn encrypted_passwords_travel_with_the_key_of_the_master() {
    let Some(servers) = Servers::start() else { return };
    let keys = WorkDir::new("key").unwrap();
    std::fs::write(keys.join("dm.key"), "0123456789abcdef".repeat(4)).unwrap();
    let master = vec!["--secret-key-path".into(), keys.join("dm.key").to_str().unwrap().into()];
    let dm = Dm::start_with(2, MoreArgs { master, ..Default::default() });
    let encrypted = |text: &str, account: Account| {
        let plain = account.credentials().password;
        let cipher = dm.ctl(&["encrypt", plain]).success().stdout.trim().to_owned();
        assert!(text.contains(plain) && !cipher.is_empty() && !cipher.contains(plain));
        text.replace(plain, &cipher)
    };
    for i in 0..2 {
        let source = encrypted(&servers.source_yaml(i), Account::Replicate);
        let file = dm.file(&format!("source-{i}.yaml"), &source);
        dm.ctl(&["operate-source", "create", &file]).success();
    }
    let task = encrypted(&servers.task_yaml("t"), Account::Target);
    dm.ctl(&["start-task", &dm.file("task.yaml", &task)]).success();
    super::kills::insert(&servers, 1, 10);
    servers.wait_equal("sid, id, pid, comment");
    dm.ctl(&["config", "task", "t"]).success().says("password: '******'");
    dm.end(&LogCheck::new());
}

/// What a source lacks that no grant gives: no binlog, no GTIDs, and those that are gone already.
#[test]
fn sources_that_cannot_be_replicated() {
    let start = |options: Options| Server::start_or_skip(Kind::MySql8033, options);
    let (Some(off), Some(no_gtid), Some(purged), Some(target)) = (
        start(Options::default().no_binlog()),
        start(Options::default().no_gtid()),
        start(Options::default()),
        start(Options::default()),
    ) else {
        return;
    };
    let dm = Dm::start(2);
    let create = |id: &str, server: &Server, gtid: bool| {
        let who = Account::Replicate.credentials();
        let (port, user, password) = (server.port(), who.user, who.password);
        let yaml = format!(
            "source-id: {id}\nenable-gtid: {gtid}\nfrom: {{host: 127.0.0.1, port: {port}, user: {user}, password: {password}}}\n"
        );
        dm.ctl(&["operate-source", "create", &dm.file("s.yaml", &yaml)])
    };
    let check = |id: &str, meta: &str| {
        let who = Account::Target.credentials();
        let (port, user, password) = (target.port(), who.user, who.password);
        let task = format!(
            "name: t\ntask-mode: incremental\ntarget-database: {{host: 127.0.0.1, port: {port}, user: {user}, password: {password}}}\n\
             mysql-instances: [{{source-id: {id}{meta}}}]\n"
        );
        dm.ctl(&["check-task", &dm.file("t.yaml", &task)]).failure().stdout
    };
    let refused = create("no-gtid", &no_gtid, true).failure().stdout;
    assert!(refused.contains("[code=26007:") && refused.contains("has gtid_mode OFF"), "{refused}");
    create("off", &off, false).success();
    let report = check("off", "");
    assert!(report.contains("source off: log_bin is OFF") && report.contains("Set `log_bin`"), "{report}");
    purged.sql("CREATE DATABASE c");
    let gtid = purged.value("SELECT @@gtid_executed");
    purged.sql("CREATE DATABASE d; FLUSH BINARY LOGS; CREATE DATABASE e; FLUSH BINARY LOGS");
    let last = purged.rows("SHOW MASTER STATUS").first().unwrap().text("File").unwrap();
    purged.sql(format!("PURGE BINARY LOGS TO '{last}'"));
    create("purged", &purged, true).success();
    let report = check("purged", &format!(", meta: {{binlog-gtid: '{gtid}'}}"));
    assert!(report.contains("have been purged") && report.contains("Dump again"), "{report}");
    let foreign = "3a4f9d62-0000-11f0-9d62-02fc00000001:1-5";
    let report = check("purged", &format!(", meta: {{binlog-gtid: '{foreign}'}}"));
    assert!(report.contains("holds transactions that the source never had"), "{report}");
    let report = check("purged", ", meta: {binlog-gtid: 'nonsense'}");
    assert!(report.contains("`meta` of source purged") && report.contains("nonsense"), "{report}");
    dm.end(&LogCheck::new());
}

/// What the checks before a task find at a source that is not set up for replication.
#[test]
fn checks_name_what_is_wrong() {
    let start = |options: Options| Server::start_or_skip(Kind::MySql8033, options);
    let (Some(bad), Some(target)) = (
        start(
            Options::default()
                .binlog_format("STATEMENT")
                .row_image("MINIMAL")
                .with("binlog_expire_logs_seconds=600"),
        ),
        start(Options::default()),
    ) else {
        return;
    };
    bad.sql("CREATE DATABASE my_db1; CREATE TABLE my_db1.table1 (id INT PRIMARY KEY, a INT)");
    target.sql("CREATE DATABASE my_db1; CREATE TABLE my_db1.table1 (id INT PRIMARY KEY) ENGINE=MyISAM");
    bad.sql("CREATE USER poor@'%' IDENTIFIED BY 'poor-Pw1'; GRANT SELECT ON my_db1.* TO poor@'%'");
    let dm = Dm::start(1);
    let source = dm.file(
        "s.yaml",
        &format!(
            "source-id: a\nfrom: {{host: 127.0.0.1, port: {}, user: poor, password: poor-Pw1}}\n",
            bad.port()
        ),
    );
    dm.ctl(&["operate-source", "create", &source]).success();
    let who = Account::Target.credentials();
    let task = |extra: &str| {
        format!(
            "name: t\ntask-mode: incremental\n{extra}target-database: {{host: 127.0.0.1, port: {}, user: {}, password: {}}}\nblock-allow-list: {{b: {{do-dbs: [my_db1]}}}}\nmysql-instances:\n- {{source-id: a, block-allow-list: b, meta: {{binlog-name: gone.000001, binlog-pos: 4}}}}\n",
            target.port(),
            who.user,
            who.password
        )
    };
    let report = dm.ctl(&["check-task", &dm.file("t.yaml", &task(""))]).failure().stdout;
    for text in [
        "[code=26005:",
        "binlog_format is STATEMENT",
        "binlog_row_image is MINIMAL",
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'poor'@'%';",
        "engine MyISAM",
        "upstream has more columns than downstream, columns: [a]",
    ] {
        assert!(report.contains(text), "{text}: {report}");
    }
    bad.sql("GRANT REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO poor@'%'");
    let report = dm.ctl(&["check-task", &dm.file("t.yaml", &task(""))]).failure().stdout;
    assert!(report.contains("binlog file gone.000001 is not there, and never was"), "{report}");
    assert!(report.contains("the binlog is kept for 600 s only"), "{report}");
    let start = dm.ctl(&["start-task", &dm.file("t.yaml", &task(""))]).failure().stdout;
    assert!(start.contains("[code=26005:"), "{start}");
    dm.ctl(&["check-task", &dm.file("t.yaml", &task("ignore-checking-items: [all]\n"))]).success();
    dm.end(&LogCheck::new().allow("cannot see the ids of the source's replicas"));
}

/// Without a master nothing checks before the start: the program itself warns, and goes on.
#[test]
fn run_warns_of_a_binlog_that_is_kept_for_too_short_a_time() {
    let server = |options: Options| Server::start_or_skip(Kind::MySql8033, options);
    let (Some(short), Some(target)) =
        (server(Options::default().with("binlog_expire_logs_seconds=600")), server(Options::default()))
    else {
        return;
    };
    let dir = WorkDir::new("retention").unwrap();
    let login = |server: &Server, account: Account| {
        let who = account.credentials();
        format!(
            "{{host: 127.0.0.1, port: {}, user: {}, password: {}}}",
            server.port(),
            who.user,
            who.password
        )
    };
    let source = format!("source-id: a\nfrom: {}\n", login(&short, Account::Replicate));
    std::fs::write(dir.join("source.yaml"), source).unwrap();
    let task = login(&target, Account::Target);
    let task = format!(
        "name: t\ntask-mode: incremental\ntarget-database: {task}\nmysql-instances: [{{source-id: a}}]\n"
    );
    std::fs::write(dir.join("task.yaml"), task).unwrap();
    let mut run = Tool::new("rsync-dm")
        .args(["run", "--task"])
        .arg(dir.join("task.yaml"))
        .arg("--source")
        .arg(dir.join("source.yaml"))
        .start();
    wait_until(SOON, "the task runs", || run.stderr_so_far().contains("replicate binlog from checkpoint"));
    run.signal(15);
    let log = run.finish(SOON).success().stderr;
    let warned = log
        .lines()
        .find(|line| line.contains("[WARN]") && line.contains("the binlog is kept for 600 s only"));
    let line = warned.unwrap_or_else(|| panic!("no warning: {log}"));
    assert!(line.contains("source a: ") && line.contains("binlog_expire_logs_seconds"), "{line}");
}

#[test]
fn names_in_use_and_wrong_passwords() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let wrong = servers.source_yaml(0).replace(Account::Replicate.credentials().password, "wrong");
    let denied = dm.ctl(&["operate-source", "create", &dm.file("w.yaml", &wrong)]).failure().stdout;
    assert!(denied.contains("Access denied") && !denied.contains("wrong'"), "{denied}");
    dm.run_task(&servers, &servers.task_yaml("t"));
    let again =
        dm.ctl(&["operate-source", "create", &dm.file("s.yaml", &servers.source_yaml(0))]).failure().stdout;
    assert!(again.contains("[code=46007:"), "{again}");
    let in_use = dm.ctl(&["operate-source", "stop", "mysql-01"]).failure().stdout;
    assert!(in_use.contains("[code=46010:"), "{in_use}");
    let twice = dm.ctl(&["start-task", &dm.file("t2.yaml", &servers.task_yaml("t"))]).failure().stdout;
    assert!(twice.contains("[code=46014:"), "{twice}");
    dm.ctl(&["stop-task", "t"]).success();
    dm.ctl(&["operate-source", "stop", "mysql-01"]).success();
    // A source that is to be read under the id of its own server.
    let id = servers.sources[0].value("SELECT @@server_id");
    let clash = format!("{}server-id: {id}\n", servers.source_yaml(0));
    let clash = dm.ctl(&["operate-source", "create", &dm.file("clash.yaml", &clash)]).failure().stdout;
    let text = format!("server-id {id} is the id of the source itself, Workaround: Leave `server-id` out");
    assert!(clash.contains(&text), "{clash}");
    dm.end(&LogCheck::new());
}

/// While it waits for a master that does not answer, `ps` shows nothing of what it is to encrypt.
#[test]
fn what_is_to_be_encrypted_is_not_in_the_process_list() {
    for flags in [&["--rpc-timeout", "30s"][..], &[]] {
        let master = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = master.local_addr().unwrap().to_string();
        let tool = Tool::new("rsync-dm").args(["ctl", "--master-addr", &address, "encrypt"]).args(flags);
        let mut tool = tool.arg("open-sesame").start();
        let (_silent, _) = master.accept().unwrap();
        let command_line = std::fs::read(format!("/proc/{}/cmdline", tool.id())).unwrap();
        let command_line = String::from_utf8_lossy(&command_line).into_owned();
        assert!(!command_line.contains("sesame") && command_line.contains("xxxxxxxxxxx"), "{command_line:?}");
        assert!(command_line.contains(&address), "{command_line:?}");
        tool.kill();
    }
}
