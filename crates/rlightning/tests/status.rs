//! The status server of a running import.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_numbers, dumpling, numbered};

const ROWS: u64 = 20_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Sends a request; status code, headers and body.
pub fn request(address: &str, method: &str, path: &str, body: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    // Chunked only where the length is not known, which is nowhere here.
    (code, head.to_lowercase(), body.to_owned())
}

fn json(address: &str, method: &str, path: &str) -> Value {
    let (code, _, body) = request(address, method, path, "");
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn address(task: &Task) -> Option<String> {
    let text = task.log_text();
    let line = text.lines().find(|line| line.contains("starting HTTP server"))?;
    Some(line.split("[address=").nth(1)?.split(']').next()?.to_owned())
}

fn setting() -> Option<(Server, Task)> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    let mut task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    task.set("lightning", "status-addr = '127.0.0.1:0'");
    Some((server, task))
}

#[test]
fn a_run_is_watched_paused_and_resumed() {
    let Some((server, task)) = setting() else { return };
    let mut tool = task.tool().env("FAILPOINTS", "batch-before-commit=sleep(30)").start();
    let mut found = None;
    tool.wait_until(PATIENCE, "it listens", |_| {
        found = address(&task);
        found.is_some()
    });
    let at = found.unwrap();
    tool.wait_until(PATIENCE, "bytes are written", |_| {
        let value = json(&at, "GET", "/progress/task");
        value["s"] == 1 && value["t"]["`d`.`t`"]["w"].as_u64().unwrap_or(0) > 0
    });
    assert_eq!(json(&at, "PUT", "/pause"), serde_json::json!({}));
    assert_eq!(json(&at, "GET", "/pause")["paused"], true);
    let count = || server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap();
    // What is on its way still gets in; then nothing moves for many times as long as a batch takes.
    let mut seen = (count(), Instant::now());
    tool.wait_until(PATIENCE, "it rests", |_| {
        let now = count();
        if now != seen.0 {
            seen = (now, Instant::now());
        }
        seen.1.elapsed() > Duration::from_millis(600)
    });
    assert!(seen.0 > 0 && seen.0 < ROWS, "{}", seen.0);
    let tasks = json(&at, "GET", "/tasks");
    let id = tasks["current"].as_u64().unwrap();
    assert_eq!(tasks["queue"], serde_json::json!([]));
    let (code, _, config) = request(&at, "GET", &format!("/tasks/{id}"), "");
    assert!(code == 200 && config.contains("data-source-dir") && !config.contains("target-Pw1"), "{config}");
    assert_eq!(request(&at, "GET", "/tasks/1", "").0, 404);
    assert_eq!(request(&at, "POST", "/tasks", ""), {
        let (_, head, _) = request(&at, "POST", "/tasks", "");
        (501, head, "{\"error\":\"server-mode not enabled\"}".to_owned())
    });
    let value = json(&at, "GET", "/progress/task");
    let entry = &value["t"]["`d`.`t`"];
    let size = std::fs::metadata(task.dumps().join("d.t.0.sql")).unwrap().len();
    assert_eq!(entry["z"], size);
    assert!(entry["w"].as_u64().unwrap() < size && entry["s"] == 1, "{value}");
    let tree = json(&at, "GET", "/progress/table?t=%60d%60.%60t%60");
    assert_eq!(
        (tree["Status"].as_u64(), tree["Checksum"]["kvs"].as_u64()),
        (Some(30), Some(seen.0)),
        "{tree}"
    );
    let chunks = tree["Engines"]["0"]["Chunks"].as_array().unwrap();
    assert!(chunks.len() > 1, "{tree}");
    assert_eq!(chunks[0]["Key"]["Path"], "d.t.0.sql");
    assert_eq!(chunks.last().unwrap()["Chunk"]["EndOffset"], size);
    let (code, _, body) = request(&at, "GET", "/progress/table?t=x", "");
    assert_eq!((code, body.as_str()), (404, "\"table x not found\""));
    let (code, _, metrics) = request(&at, "GET", "/metrics", "");
    assert_eq!(code, 200);
    for line in [
        "lightning_tables{result=\"success\",state=\"pending\"} 1".to_owned(),
        "lightning_chunks{state=\"running\"} 1".to_owned(),
        format!("lightning_bytes{{state=\"total_restore\"}} {size}"),
        format!("lightning_rows{{state=\"restored\",table=\"`d`.`t`\"}} {}", seen.0),
        "process_resident_memory_bytes".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}: {metrics}");
    }
    let (code, head, _) = request(&at, "DELETE", "/pause", "");
    assert!(code == 405 && head.contains("allow: "), "{head}");
    let (code, head, _) = request(&at, "GET", "/", "");
    assert!((300..400).contains(&code) && head.contains("location: /web/"), "{head}");
    assert!(request(&at, "GET", "/web/", "").2.contains("<title>rlightning</title>"));
    assert_eq!(request(&at, "PUT", "/loglevel", "{\"level\":\"debug\"}").0, 200);
    assert_eq!(json(&at, "GET", "/loglevel")["level"], "debug");
    assert_eq!(request(&at, "PUT", "/loglevel", "{\"level\":\"loud\"}").0, 400);
    assert_eq!(count(), seen.0);
    json(&at, "PUT", "/resume");
    tool.finish(Duration::from_secs(120)).success();
    assert_numbers(&server, "d.t", ROWS);
    let log = task.log_text();
    assert!(log.contains("progress paused") && log.contains("progress resumed"), "{log}");
    LogCheck::new().check(&log);
}

#[test]
fn a_run_is_cancelled_over_http_while_it_rests() {
    let Some((server, task)) = setting() else { return };
    let mut tool = task.tool().env("FAILPOINTS", "batch-before-commit=sleep(30)").start();
    let mut id = None;
    tool.wait_until(PATIENCE, "it loads", |_| {
        id = address(&task).and_then(|at| Some((json(&at, "GET", "/tasks")["current"].as_u64()?, at)));
        id.is_some()
    });
    let (id, at) = id.unwrap();
    json(&at, "PUT", "/pause");
    assert_eq!(request(&at, "DELETE", &format!("/tasks/{id}"), "").0, 200);
    let done = tool.finish(PATIENCE).failure();
    assert!(done.stdout.contains("tidb lightning canceled"), "{}", done.shown());
    task.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn an_address_that_is_taken_is_an_error_before_anything_is_done() {
    let Some((server, mut task)) = setting() else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    task.tool()
        .args(["-status-addr", &at])
        .run()
        .expect_code(1)
        .says("failed to start HTTP server: listen 127.0.0.1:");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
    assert_eq!(
        server.value(
            "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'lightning_task_info'"
        ),
        "0"
    );
    // The old name of the setting.
    drop(taken);
    task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, 10), 100));
    task.set("lightning", "pprof-port = 0");
    task.import();
    assert!(address(&task).is_some());
}

/// While it rests its state is there as a checkpoint of TiDB Lightning; with one that somebody has gone on with, it does not go on.
#[test]
fn a_run_that_rests_is_a_checkpoint() {
    rests("UPDATE tidb_lightning_checkpoint.task_v2 SET importer_addr=''");
    // It has ended, which removes it.
    rests("DELETE FROM tidb_lightning_checkpoint.task_v2");
}

fn rests(somebody_goes_on: &str) {
    let Some((server, mut task)) = setting() else { return };
    task.set("checkpoint", "driver = 'mysql'");
    let mut tool = task.tool().env("FAILPOINTS", "batch-before-commit=sleep(30)").start();
    let mut found = None;
    tool.wait_until(PATIENCE, "it listens", |_| {
        found = address(&task);
        found.is_some()
    });
    let at = found.unwrap();
    tool.wait_until(PATIENCE, "bytes are written", |_| {
        json(&at, "GET", "/progress/task")["t"]["`d`.`t`"]["w"].as_u64().unwrap_or(0) > 0
    });
    let tasks = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_NAME='task_v2' AND TABLE_SCHEMA='tidb_lightning_checkpoint'";
    let written = || {
        server.value(tasks) == "1"
            && server.value("SELECT COUNT(*) FROM tidb_lightning_checkpoint.task_v2") == "1"
    };
    for round in 0..2 {
        assert_eq!(json(&at, "PUT", "/pause"), serde_json::json!({}));
        tool.wait_until(PATIENCE, "its state is written", |_| written());
        let told = server.value("SELECT SUM(kvc_kvs) FROM tidb_lightning_checkpoint.chunk_v5");
        assert_eq!(told, server.value("SELECT COUNT(*) FROM d.t"));
        assert!(told != "0");
        if round == 1 {
            server.sql(somebody_goes_on);
        }
        assert_eq!(json(&at, "PUT", "/resume"), serde_json::json!({}));
        if round == 0 {
            tool.wait_until(PATIENCE, "its state is taken back", |_| !written());
            let before = server.value("SELECT COUNT(*) FROM d.t");
            tool.wait_until(PATIENCE, "it goes on", |_| server.value("SELECT COUNT(*) FROM d.t") != before);
        } else {
            tool.finish(PATIENCE).failure().says("a tidb-lightning may have brought more rows");
            assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), told);
            task.fails("a tidb-lightning may have brought more rows");
            return;
        }
    }
}
