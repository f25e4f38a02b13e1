//! The answers of a whole life, compared with those of the real dmctl. Names, positions, times, counters and DDL text
//! are masked.

use regex::Regex;

use super::*;

fn golden(name: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dmctl").join(format!("{name}.json"));
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn mask(text: &str) -> String {
    let rules = [
        (r"\([A-Za-z-]*bin[A-Za-z-]*\.\d{6}, \d+\)", "(POS)"),
        (r"[0-9a-f]{8}-[0-9a-f-]{27}:[0-9:,-]+", "GTID"),
        (r#""\d+""#, "\"N\""),
        (r#""synced": (true|false)"#, "\"synced\": B"),
        (r#""worker": "[^"]*""#, "\"worker\": \"W\""),
        (r#""(ALTER|alter) [^"]*""#, "\"DDL\""),
        (r#""(id|total|successful)": \d+"#, "\"$1\": N"),
        (r#""(Message|RawCause|Workaround)": ".*""#, "\"$1\": \"TEXT\""),
    ];
    rules.iter().fold(text.trim_end().to_owned(), |text, (rule, to)| {
        Regex::new(rule).unwrap().replace_all(&text, *to).into_owned()
    })
}

pub(super) fn assert_as_golden(stdout: &str, name: &str) {
    assert_eq!(mask(stdout), mask(&golden(name)), "{name}");
}

/// Asks until the answer is as the real one: what a subtask meets, it meets soon, but not at once.
pub(super) fn wait_golden(dm: &Dm, args: &[&str], name: &str) {
    let deadline = std::time::Instant::now() + SOON;
    loop {
        let stdout = dm.ctl(args).stdout;
        if mask(&stdout) == mask(&golden(name)) {
            return;
        }
        if std::time::Instant::now() > deadline {
            assert_as_golden(&stdout, name);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The findings of the report come in the order of the real tool's goroutines.
pub(super) fn assert_report_as_golden(stdout: &str, name: &str) {
    let sorted = |text: &str| {
        let text = mask(text).replace("`my_db1`.`table2`", "`my_db1`.`table1`");
        text.lines().map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(sorted(stdout), sorted(&golden(name)), "{name}");
}

#[test]
fn the_life_of_a_task_reads_as_in_the_real_tool() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let source = |i: usize| dm.file(&format!("source-{i}.yaml"), &servers.source_yaml(i));
    assert_as_golden(
        &dm.ctl(&["operate-source", "create", &source(0)]).success().stdout,
        "operate-source-create",
    );
    dm.ctl(&["operate-source", "create", &source(1)]).success();
    assert_as_golden(&dm.ctl(&["operate-source", "show"]).success().stdout, "list-source");
    assert_as_golden(&dm.ctl(&["query-status"]).success().stdout, "after-stop");
    let task = dm.file("task.yaml", &servers.task_yaml("task-test"));
    assert_report_as_golden(&dm.ctl(&["check-task", &task]).success().stdout, "check-task");
    assert_report_as_golden(&dm.ctl(&["start-task", &task]).success().stdout, "start-task");
    assert_as_golden(&dm.ctl(&["query-status"]).success().stdout, "query-status-all");
    assert_as_golden(&dm.ctl(&["query-status", "task-test"]).success().stdout, "query-status");
    assert_as_golden(&dm.ctl(&["shard-ddl-lock"]).success().stdout, "shard-ddl-lock");
    assert_as_golden(&dm.ctl(&["show-ddl-locks"]).success().stdout, "show-ddl-locks");

    servers.sources[0].sql("INSERT INTO my_db1.table1 VALUES (1, 11, 1, 'a', NULL); INSERT INTO my_db1.table2 VALUES (1, 12, 1, 'b', NULL)");
    servers.sources[1].sql("INSERT INTO my_db1.table1 VALUES (1, 21, 1, 'c', NULL); INSERT INTO my_db1.table2 VALUES (1, 22, 1, 'd', NULL)");
    servers.wait_equal("sid, id, pid, comment");
    let alter = |i: usize, table: &str| {
        servers.sources[i]
            .sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN extra VARCHAR(20) DEFAULT 'e'"));
    };
    alter(0, "table1");
    wait_until(SOON, "the group waits", || {
        dm.ctl(&["query-status", "task-test"])
            .stdout
            .contains("\"unsynced\": [\n                                    \"`my_db1`.`table2`\"")
    });
    assert_as_golden(&dm.ctl(&["query-status", "task-test"]).success().stdout, "query-status-ddl-wait");
    alter(0, "table2");
    let lock = dm.wait_lock();
    assert_eq!(lock["locks"][0]["mode"], "pessimistic");
    assert_eq!(lock["locks"][0]["owner"], "mysql-01");
    assert_eq!(lock["locks"][0]["synced"], serde_json::json!(["mysql-01"]));
    assert_eq!(lock["locks"][0]["unsynced"], serde_json::json!(["mysql-02"]));
    dm.wait_status(
        "task-test",
        "/sources/0/subTaskStatus/0/unresolvedDDLLockID",
        "task-test-`my_db`.`table5`",
    );
    alter(1, "table1");
    alter(1, "table2");
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment, extra");
    wait_until(SOON, "no group is left", || {
        !dm.ctl(&["query-status", "task-test"]).stdout.contains("`my_db1`")
    });
    assert_as_golden(&dm.ctl(&["query-status", "task-test"]).success().stdout, "query-status-ddl-done");

    pages(&dm);
    servers.target.sql("ALTER TABLE my_db.table5 DROP COLUMN pid");
    servers.sources[0].sql("INSERT INTO my_db1.table1 VALUES (3, 13, 1, 'late', NULL, 'x')");
    wait_golden(&dm, &["query-status", "task-test"], "query-status-error");
    wait_until(SOON, "the summary names the error", || {
        dm.ctl(&["query-status"]).stdout.trim() == golden("query-status-all-error").trim()
    });
    let status = dm.status("task-test").to_string();
    assert!(status.contains("Unknown column 'pid'") || status.contains("Resuming"), "{status}");
    servers.target.sql("ALTER TABLE my_db.table5 ADD COLUMN pid BIGINT NOT NULL DEFAULT 1");
    assert_as_golden(&dm.ctl(&["resume-task", "task-test"]).success().stdout, "resume-after-error");
    wait_golden(&dm, &["query-status", "task-test"], "query-status-resumed");
    servers.wait_equal("sid, id, pid, comment, extra");

    assert_as_golden(&dm.ctl(&["pause-task", "task-test"]).success().stdout, "pause-task");
    assert_as_golden(&dm.ctl(&["query-status", "task-test"]).success().stdout, "query-status-paused");
    assert_as_golden(&dm.ctl(&["resume-task", "task-test"]).success().stdout, "resume-task");
    assert_report_as_golden(&dm.ctl(&["start-task", &task]).failure().stdout, "start-twice");
    assert_as_golden(&dm.ctl(&["query-status", "nosuch"]).failure().stdout, "bad-task");
    dm.ctl(&["config", "task", "task-test"]).success().says("task-mode: incremental");
    dm.ctl(&["config", "source", "mysql-01"]).success().says("password: '******'");
    let encrypt = dm.ctl(&["encrypt", "x"]).failure();
    let (answer, hint) = encrypt.stderr.trim().split_once('\n').expect("a hint after the answer");
    assert_eq!(answer, golden("encrypt").trim());
    assert!(hint.contains("`secret-key-path`") && hint.contains("openssl rand -hex 32"), "{hint}");
    assert_as_golden(&dm.ctl(&["transfer-source", "mysql-01", "worker9"]).failure().stdout, "transfer");
    assert_as_golden(&dm.ctl(&["stop-task", "task-test"]).success().stdout, "stop-task");
    assert_as_golden(&dm.ctl(&["query-status"]).success().stdout, "after-stop");
    dm.end(&LogCheck::new().allow("the subtask is paused").allow("dispatch auto resume task"));
}

/// What a browser and Prometheus see, on the ports of the commands.
fn pages(dm: &Dm) {
    let get = |address: &str, path: &str| {
        use std::io::{Read, Write};
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{path}: {text}");
        text
    };
    assert!(get(&dm.address, "/status").contains("Release Version: v"));
    let metrics = get(&dm.address, "/metrics");
    for line in ["dm_master_worker_state{worker=\"worker1\"} 2", "dm_master_start_leader_counter 1"] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
    let members: serde_json::Value = serde_json::from_str(&dm.ctl(&["list-member", "-w"]).stdout).unwrap();
    let worker = &members["members"][0]["worker"]["workers"][0];
    let address = worker["addr"].as_str().unwrap();
    assert!(get(address, "/status").contains("Git Commit Hash"));
    let metrics = get(address, "/metrics");
    let line = format!(
        "dm_worker_task_state{{source_id={},task=\"task-test\",worker=\"worker1\"}} 2",
        worker["source"]
    );
    assert!(metrics.contains(&line), "{line}: {metrics}");
    let text = dm.ctl(&["list-member"]).stdout;
    assert_eq!(shape(&text), shape(&golden("list-member")));
}

/// Names, numbers and addresses are the cluster's own.
fn shape(text: &str) -> String {
    Regex::new(r#": "[^"]*"|"http[^"]*""#).unwrap().replace_all(text.trim_end(), ": \"…\"").into_owned()
}
