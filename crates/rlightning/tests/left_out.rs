//! Rows that the target refuses, left out and recorded: exactly those, whatever happens on the way.

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, dumpling};

const TABLES: &str =
    "CREATE DATABASE d; CREATE TABLE d.t (n smallint NOT NULL, c varchar(40), PRIMARY KEY (n))";

/// `count` rows, of which every `bad`th is refused: too long, out of range, NULL, in turn.
fn rows(count: u64, bad: u64) -> impl Iterator<Item = String> {
    (0..count).map(move |number| match (number % bad == bad - 1, number / bad % 3) {
        (true, 0) => format!("({number},'{}')", "x".repeat(41)),
        (true, 1) => format!("({},'row {number}')", 1_000_000 + number),
        (true, _) => format!("(NULL,'row {number}')"),
        (false, _) => format!("({number},'row {number}')"),
    })
}

fn server() -> Option<Server> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql(TABLES);
    Some(server)
}

/// Every record is the row that stands at its offset in its file.
fn assert_records(server: &Server, task: &Task, table: &str, count: u64) {
    let found = server.rows(format!(
        "SELECT path, `offset`, row_data, error, table_name FROM lightning_task_info.{table} ORDER BY path, `offset`"
    ));
    assert_eq!(found.len() as u64, count);
    let mut seen = std::collections::BTreeSet::new();
    for row in found.iter() {
        let (path, offset) = (row.text(0).unwrap(), row.parse::<usize>(1).unwrap().unwrap());
        let text = std::fs::read_to_string(task.dumps().join(&path)).unwrap();
        let data = row.text(2).unwrap();
        assert!(text[offset..].starts_with(&data), "{path} {offset}: {data}");
        assert!(!row.text(3).unwrap().is_empty());
        assert_eq!(row.text(4).unwrap(), "`d`.`t`");
        assert!(seen.insert((path, offset)), "recorded twice");
    }
}

#[test]
fn type_errors_up_to_a_number() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(TABLES);
        let mut task = Task::new(server.port()).small_batches();
        task.write("d.t.0.sql", dumpling("t", rows(9_000, 100), 250));
        task.set("lightning", "max-error = { type = 89 }");
        task.fails("The number of type errors exceeds the threshold configured by `max-error.type`: '89'")
            .says("row at byte");
        // What was committed holds its rows and its records, nothing else.
        let records: u64 =
            server.value("SELECT COUNT(*) FROM lightning_task_info.type_error_v1").parse().unwrap();
        assert!(records <= 89);
        assert_records(&server, &task, "type_error_v1", records);
        let mut more = Task::new(server.port()).small_batches();
        more.write("d.t.0.sql", dumpling("t", rows(9_000, 100), 250));
        more.set("lightning", "max-error = 90");
        server.sql("TRUNCATE d.t; TRUNCATE lightning_task_info.type_error_v1");
        for death in [
            "batch-before-commit=3*off->return",
            "batch-after-commit=4*off->return",
            "batch-after-commit=5*off->return",
        ] {
            let done = more.tool().env("FAILPOINTS", death).run();
            assert_eq!(done.status.code(), None, "{death}: {}", done.shown());
        }
        let done = more.import_expecting(LogCheck::new().require("Detect 90 data type errors in total"));
        assert!(done.stdout.contains("Import Data Error Summary: "), "{}", done.shown());
        assert!(
            done.stdout.contains("| 1 | Data Type  | 90          | `lightning_task_info`.`type_error_v1` |"),
            "{}",
            done.shown()
        );
        assert_eq!(server.value("SELECT CONCAT(COUNT(*), ' ', COUNT(DISTINCT n)) FROM d.t"), "8910 8910");
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE c <> CONCAT('row ', n)"), "0");
        assert_records(&server, &more, "type_error_v1", 90);
        let listed =
            server.value("SELECT row_count FROM lightning_task_info.rlightning_done WHERE row_count = 8910");
        assert_eq!(listed, "8910");
    }
}

#[test]
fn duplicates_that_are_ignored_are_recorded() {
    let Some(server) = server() else { return };
    server.sql("INSERT INTO d.t VALUES (5,'old'),(1500,'old'),(2999,'old')");
    server.sql("GRANT CREATE VIEW ON *.* TO target");
    let mut task = Task::new(server.port()).small_batches();
    // One more that repeats within a statement.
    let all = (0..3_000).map(|number| format!("({number},'row {number}')")).chain(["(7,'again')".to_owned()]);
    task.write("d.t.0.sql", dumpling("t", all, 250));
    task.set("conflict", "strategy = 'ignore'\nthreshold = 4");
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    let said =
        LogCheck::new().require("Detect 4 unique key conflict errors").require("rows met a duplicate key");
    let done = task.import_expecting(said);
    assert!(done.stdout.contains("Unique Key Conflict | 4 "), "{}", done.shown());
    assert_records(&server, &task, "conflict_records", 4);
    let view = "SELECT COUNT(*) FROM lightning_task_info.conflict_view WHERE is_precheck_conflict = 1 AND key_data IS NULL AND row_data <> ''";
    assert_eq!(server.value(view), "4");
    assert_eq!(server.value("SELECT GROUP_CONCAT(n ORDER BY n) FROM d.t WHERE c = 'old'"), "5,1500,2999");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE c = CONCAT('row ', n)"), "2997");
    // One more than the threshold.
    server.sql("TRUNCATE d.t; INSERT INTO d.t SELECT n, 'old' FROM (SELECT 1 n UNION SELECT 2 UNION SELECT 3 UNION SELECT 4) q");
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", (0..100).map(|n| format!("({n},'x')")), 50));
    task.set("conflict", "strategy = 'ignore'\nthreshold = 3");
    task.fails("exceeds the threshold configured by `conflict.threshold`: '3'").says("row at byte");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "4");
}

#[test]
fn errors_that_are_not_about_rows_stop_at_once() {
    let Some(server) = server() else { return };
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", rows(10, 100), 5));
    task.set("lightning", "max-error = 100");
    server.sql("SET GLOBAL super_read_only = 1");
    task.fails("read-only option");
    server.sql("SET GLOBAL super_read_only = 0; SET GLOBAL read_only = 0");
    task.import();
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", rows(10, 100), 5));
    task.set("lightning", "max-error = 100\ntask-info-schema-name = ''");
    task.tool()
        .run()
        .failure()
        .says("lightning.task-info-schema-name must name the schema in which they are recorded");
}
