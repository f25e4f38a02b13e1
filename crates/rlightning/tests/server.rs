//! Server mode: tasks over HTTP, one after the other.

use std::time::Duration;

use serde_json::Value;
use testkit::tool::{Finished, Started};
use testkit::{Account, Kind, Options, Server};

use crate::status::request;
use crate::support::{Task, assert_numbers, dumpling, numbered, rlightning};

const PATIENCE: Duration = Duration::from_secs(60);

/// A server with the target's login in its file, and the address at which it listens.
fn start(server: &Server, task: &Task, points: &str) -> (Started, String) {
    let login = Account::Target.credentials();
    let file = task.dir.join("server.toml");
    let text = format!(
        "[lightning]\nserver-mode = true\nstatus-addr = '127.0.0.1:0'\nfile = '{}'\n[tikv-importer]\nbackend = 'tidb'\n\
         [tidb]\nhost = '127.0.0.1'\nport = {}\nuser = '{}'\npassword = '{}'\n",
        task.log().display(),
        server.port(),
        login.user,
        login.password
    );
    std::fs::write(&file, text).unwrap();
    let mut tool = rlightning().arg("-config").arg(&file).env("FAILPOINTS", points).start();
    let mut found = None;
    tool.wait_until(PATIENCE, "it listens", |_| {
        let text = task.log_text();
        let line = text.lines().find(|line| line.contains("starting HTTP server"));
        found = line.and_then(|line| Some(line.split("[address=").nth(1)?.split(']').next()?.to_owned()));
        found.is_some()
    });
    (tool, found.unwrap())
}

fn post(at: &str, folder: &std::path::Path, more: &str) -> u64 {
    let body = format!("[mydumper]\ndata-source-dir = '{}'\n{more}", folder.display());
    let (code, _, answer) = request(at, "POST", "/tasks", &body);
    assert_eq!(code, 200, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["id"].as_u64().unwrap()
}

fn get(at: &str, path: &str) -> Value {
    let (code, _, body) = request(at, "GET", path, "");
    assert_eq!(code, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

fn stop(tool: Started) -> Finished {
    let mut tool = tool;
    tool.signal(libc::SIGTERM);
    tool.finish(PATIENCE).expect_code(1)
}

#[test]
fn tasks_wait_are_moved_taken_out_and_cancelled() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)); CREATE TABLE d.u LIKE d.t; CREATE TABLE d.w LIKE d.t");
    let task = Task::new(server.port());
    for (table, count) in [("t", 20_000), ("u", 100), ("w", 100)] {
        task.write(&format!("{table}/d.{table}.0.sql"), dumpling(table, numbered(0, count), 100));
    }
    let folder = |table: &str| task.dumps().join(table);
    let (mut tool, at) = start(&server, &task, "batch-before-commit=sleep(60)");
    assert_eq!(get(&at, "/tasks"), serde_json::json!({ "current": null, "queue": [], "ended": [] }));
    let small = "[tikv-importer]\nlogical-import-batch-size = '1KiB'\n";
    let first = post(&at, &folder("t"), small);
    tool.wait_until(PATIENCE, "the first is in work", |_| get(&at, "/tasks")["current"] == first);
    let (second, third, fourth) =
        (post(&at, &folder("u"), ""), post(&at, &folder("w"), ""), post(&at, &folder("w"), ""));
    assert_eq!(get(&at, "/tasks")["queue"], serde_json::json!([second, third, fourth]));
    let change = |method: &str, path: String| request(&at, method, &path, "").0;
    assert_eq!(change("PATCH", format!("/tasks/{third}/front")), 200);
    assert_eq!(change("PATCH", format!("/tasks/{second}/back")), 200);
    assert_eq!(get(&at, "/tasks")["queue"], serde_json::json!([third, fourth, second]));
    assert_eq!(change("DELETE", format!("/tasks/{fourth}")), 200);
    assert_eq!(change("DELETE", format!("/tasks/{fourth}")), 404);
    assert_eq!(change("PATCH", "/tasks/17/front".into()), 404);
    assert_eq!(change("PATCH", format!("/tasks/{third}/middle")), 400);
    let shown = get(&at, &format!("/tasks/{second}")).to_string();
    assert!(shown.contains("dumps/u") && !shown.contains(Account::Target.credentials().password), "{shown}");
    // What is no task does not get into the queue.
    let (code, _, text) = request(&at, "POST", "/tasks", "this is not toml");
    assert!(code == 400 && text.contains("cannot parse task (must be TOML)"), "{text}");
    let (code, _, text) = request(&at, "POST", "/tasks", "[mydumper]\nno-such-key = 1\n");
    assert!(code == 400 && text.contains("no-such-key"), "{text}");
    let (code, _, text) = request(&at, "POST", "/tasks", "[mydumper]\ndata-source-dir = '/no/such/folder'\n");
    assert!(
        code == 400 && text.contains("invalid task configuration") && text.contains("does not exist"),
        "{text}"
    );
    // The one in work is stopped, and the others follow in their order.
    assert_eq!(change("DELETE", format!("/tasks/{first}")), 200);
    tool.wait_until(PATIENCE, "all have ended", |_| {
        get(&at, "/tasks")["ended"].as_array().unwrap().len() == 3
    });
    let ended = get(&at, "/tasks");
    let good = |id: u64| serde_json::json!({ "id": id, "error": null });
    let canceled = serde_json::json!({ "id": first, "error": "context canceled" });
    assert_eq!(
        (&ended["ended"], &ended["current"]),
        (&serde_json::json!([canceled, good(third), good(second)]), &Value::Null)
    );
    assert_ne!(server.value("SELECT COUNT(*) FROM d.t"), "20000");
    // Posted again it goes on where it was.
    let again = post(&at, &folder("t"), small);
    tool.wait_until(PATIENCE, "it is done", |_| get(&at, "/tasks")["ended"][3] == good(again));
    assert_numbers(&server, "d.t", 20_000);
    assert_numbers(&server, "d.u", 100);
    assert_numbers(&server, "d.w", 100);
    let done = stop(tool);
    assert_eq!(done.stdout.lines().last(), Some("tidb lightning canceled"), "{}", done.shown());
}

/// One that fails does not keep the next one from its turn, and pause and progress are those of the task in work.
#[test]
fn a_failed_task_is_followed_by_the_next() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(5)); CREATE TABLE d.u (n bigint, c varchar(100))");
    let task = Task::new(server.port());
    task.write("t/d.t.0.sql", dumpling("t", numbered(0, 10), 100));
    task.write("u/d.u.0.sql", dumpling("u", numbered(0, 300), 100));
    let (mut tool, at) = start(&server, &task, "");
    assert_eq!(request(&at, "PUT", "/pause", "").0, 200);
    let bad = post(&at, &task.dumps().join("t"), "");
    let good = post(&at, &task.dumps().join("u"), "");
    tool.wait_until(PATIENCE, "the first waits", |_| {
        get(&at, "/progress/task")["t"].get("`d`.`t`").is_some()
    });
    assert_eq!(server.value("SELECT COUNT(*) FROM d.u"), "0");
    assert_eq!(request(&at, "PUT", "/resume", "").0, 200);
    tool.wait_until(PATIENCE, "both have ended", |_| {
        get(&at, "/tasks")["ended"].as_array().unwrap().len() == 2
    });
    let ended = get(&at, "/tasks")["ended"].clone();
    assert_eq!(
        (&ended[0]["id"], &ended[1]),
        (&bad.into(), &serde_json::json!({ "id": good, "error": null }))
    );
    assert!(ended[0]["error"].as_str().unwrap().contains("Data too long"), "{ended}");
    assert_numbers(&server, "d.u", 300);
    let progress = get(&at, "/progress/task");
    assert!(
        progress["s"] == 2 && progress["t"].get("`d`.`u`").is_some() && progress.get("m").is_none(),
        "{progress}"
    );
    let (_, _, page) = request(&at, "GET", "/web/", "");
    assert!(page.contains("id=\"tasks\""));
    stop(tool);
}

#[test]
fn a_server_needs_an_address() {
    let done = rlightning().args(["--server-mode", "--log-file", "-"]).run().failure();
    assert!(
        done.stderr.contains("If server-mode is enabled, the status-addr must be a valid listen address"),
        "{}",
        done.shown()
    );
}
