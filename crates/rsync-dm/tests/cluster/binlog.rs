//! `binlog skip | replace | revert | inject | list`: what operators do with statements that stop a task, or are to come.

use super::{
    answers::{assert_as_golden, wait_golden},
    kills::{after_kills, insert},
    *,
};

const TABLES: [&str; 2] = ["table1", "table2"];

pub(super) fn after_errors() -> LogCheck {
    after_kills().allow("task can't auto resume").allow("shard DDL conflict")
}

impl Dm {
    /// Waits for an error of a source's subtask and gives it.
    pub(super) fn wait_error(&self, task: &str, source: usize, code: u64) -> serde_json::Value {
        let mut error = serde_json::Value::Null;
        wait_until(SOON, &format!("error {code} of source {source}"), || {
            let status = self.status(task);
            error = status["sources"][source]["subTaskStatus"][0]["result"]["errors"][0].clone();
            error["ErrCode"].as_u64() == Some(code)
        });
        error
    }

    pub(super) fn wait_running(&self, task: &str) {
        wait_until(SOON, "both run", || {
            let status = self.status(task);
            (0..2).all(|i| status["sources"][i]["subTaskStatus"][0]["stage"] == "Running")
        });
    }

    /// The message of each source.
    fn messages(&self, args: &[&str]) -> Vec<String> {
        let answer: serde_json::Value = serde_json::from_str(&self.ctl(args).stdout).unwrap();
        let sources = answer["sources"].as_array().cloned().unwrap_or_default();
        sources.iter().map(|s| s["msg"].as_str().unwrap().to_owned()).collect()
    }
}

/// Where the event of the last statement with this text begins.
pub(super) fn begin_of(server: &Server, text: &str) -> String {
    let file = server.rows("SHOW MASTER STATUS").first().unwrap().text("File").unwrap();
    let mut at = None;
    for row in server.rows(format!("SHOW BINLOG EVENTS IN '{file}'")).iter() {
        if row.text("Event_type").unwrap() == "Query" && row.text("Info").unwrap().contains(text) {
            at = Some(format!("{file}:{}", row.text("Pos").unwrap()));
        }
    }
    at.unwrap_or_else(|| panic!("`{text}` is not in the binlog"))
}

pub(super) fn alter(servers: &Servers, i: usize, change: &str) {
    for table in TABLES {
        servers.sources[i].sql(format!("ALTER TABLE my_db1.{table} {change}"));
    }
}

fn column_type(server: &Server, column: &str) -> String {
    server.value(format!(
        "SELECT IFNULL(GROUP_CONCAT(DATA_TYPE),'-') FROM information_schema.COLUMNS WHERE TABLE_NAME='table5' AND COLUMN_NAME='{column}'"
    ))
}

/// Statements of a kind that nobody has provided for.
#[test]
fn statements_that_are_not_understood_read_and_are_skipped_as_in_the_real_tool() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("task-test"));
    insert(&servers, 1, 10);
    servers.wait_equal("sid, id, pid, comment");
    for source in &servers.sources {
        for number in [1, 2] {
            source.sql(format!(
                "USE my_db1; CREATE SPATIAL REFERENCE SYSTEM 412000{number} NAME 's{number}' DEFINITION \
                 'GEOGCS[\"s{number}\",DATUM[\"d\",SPHEROID[\"e\",6378137,298.257223563]],PRIMEM[\"Greenwich\",0],UNIT[\"degree\",0.017453292519943278],AXIS[\"Lat\",NORTH],AXIS[\"Lon\",EAST]]'"
            ));
        }
    }
    insert(&servers, 10, 20);
    wait_golden(&dm, &["query-status", "task-test"], "query-status-ddl-error");
    assert_as_golden(&dm.ctl(&["binlog", "skip", "task-test"]).success().stdout, "binlog-skip");
    wait_golden(&dm, &["query-status", "task-test"], "query-status-after-skip");
    assert_as_golden(&dm.ctl(&["binlog", "list", "task-test"]).success().stdout, "binlog-list");
    // Its old name.
    assert_as_golden(&dm.ctl(&["handle-error", "task-test", "skip"]).success().stdout, "binlog-skip");
    dm.wait_running("task-test");
    servers.wait_equal("sid, id, pid, comment");
    let none = dm.ctl(&["binlog", "skip", "task-test"]).failure();
    none.says("source 'mysql-01' has no error").says("--binlog-pos");
    dm.ctl(&["binlog", "skip", "nosuch"]).failure().says("task nosuch has no source or not exist");
    // A change in statement format, of which the operator knows that the target has it.
    servers.sources[0].sql("SET SESSION binlog_format='STATEMENT'; UPDATE my_db1.table1 SET pid=pid");
    dm.wait_error("task-test", 0, 36014);
    dm.ctl(&["binlog", "skip", "task-test", "-s", "mysql-01"]).success();
    insert(&servers, 20, 30);
    servers.wait_equal("sid, id, pid, comment");
    servers.sources[0].sql("ALTER TABLE my_db1.table1 ADD FULLTEXT INDEX ft (comment)");
    wait_golden(&dm, &["query-status", "task-test"], "query-status-ddl-wait2");
    dm.end(&after_errors());
}

/// The target refuses what the shards of each source allow. Passed over on both sources, replication goes on exactly, and the same
/// statement is run when it comes again.
#[test]
fn a_shard_ddl_that_the_target_refuses_is_skipped() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    // The same pids in all shards.
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    alter(&servers, 0, "ADD UNIQUE KEY once (pid)");
    dm.wait_lock();
    alter(&servers, 1, "ADD UNIQUE KEY once (pid)");
    insert(&servers, 20, 40);
    let error = dm.wait_error("t", 0, 10006);
    assert!(error["Message"].as_str().unwrap().contains("startLocation: [position: ("), "{error}");
    assert!(error["Message"].as_str().unwrap().contains("origin SQL: [ALTER TABLE my_db1.table2"), "{error}");
    dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01"]).success();
    // It is the other one's turn now.
    dm.wait_error("t", 1, 10006);
    dm.ctl(&["binlog", "skip", "t", "-s", "mysql-02"]).success();
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment");
    let key =
        "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_NAME='table5' AND INDEX_NAME='once'";
    assert_eq!(servers.target.value(key), "0");
    for source in &servers.sources {
        for table in TABLES {
            source.sql(format!("ALTER TABLE my_db1.{table} DROP KEY once; DELETE FROM my_db1.{table}"));
        }
    }
    for i in 0..2 {
        alter(&servers, i, "ADD UNIQUE KEY once (pid)");
    }
    wait_until(SOON, "the key", || servers.target.value(key) == "1");
    dm.wait_no_lock();
    servers.sources[1].sql("INSERT INTO my_db1.table2 (sid, pid) VALUES (7, 7)");
    servers.wait_equal("sid, id, pid, comment");
    dm.end(&after_errors());
}

/// The same with `shard-ddl-lock unlock`: the chosen owner is refused too, and by force everybody passes over the statement.
#[test]
fn a_shard_ddl_that_the_target_refuses_is_unlocked_by_force() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    alter(&servers, 0, "ADD UNIQUE KEY once (pid)");
    let lock = dm.wait_lock();
    let id = lock["locks"][0]["ID"].as_str().unwrap();
    let unlock = |more: &[&str]| dm.ctl(&[&["shard-ddl-lock", "unlock", id], more].concat());
    unlock(&["-o", "mysql-02"]).failure().says("[code=38022").says("mysql-02");
    unlock(&["-o", "mysql-01"]).failure().says("[code=38024").says("-f");
    dm.wait_error("t", 0, 10006);
    unlock(&[]).failure().says("[code=38020");
    unlock(&["-f"]).success();
    dm.wait_no_lock();
    alter(&servers, 1, "ADD UNIQUE KEY once (pid)");
    insert(&servers, 20, 40);
    dm.ctl(&["resume-task", "t"]).success();
    servers.wait_equal("sid, id, pid, comment");
    dm.wait_running("t");
    dm.wait_no_lock();
    let key =
        "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_NAME='table5' AND INDEX_NAME='once'";
    assert_eq!(servers.target.value(key), "0");
    dm.end(&after_errors());
}

/// Said about statements before they are reached, at places; by a worker that is killed before it comes to them.
#[test]
fn statements_to_come_are_replaced_added_to_and_taken_back() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(3);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    dm.ctl(&["pause-task", "t"]).success();
    for i in 0..2 {
        alter(&servers, i, "ADD COLUMN extra INT NOT NULL DEFAULT 5");
        insert_extra(&servers, i, 20);
        alter(&servers, i, "ADD COLUMN b INT NOT NULL DEFAULT 1");
        insert_extra(&servers, i, 40);
        alter(&servers, i, "ADD KEY k (b)");
        insert_extra(&servers, i, 60);
    }
    let handle = |op: &str, i: usize, table: &str, change: &str, sqls: &[&str]| {
        let at = begin_of(&servers.sources[i], &format!("ALTER TABLE my_db1.{table} {change}"));
        let source = format!("mysql-0{}", i + 1);
        let mut args = vec!["binlog", op, "t", "-s", &source, "-b", &at];
        args.extend(sqls);
        (dm.ctl(&args), at)
    };
    for i in 0..2 {
        for table in TABLES {
            let bigger = format!(
                "ALTER TABLE my_db1.{table} ADD COLUMN extra BIGINT NOT NULL DEFAULT 5; ALTER TABLE my_db1.{table} ADD KEY by_extra (extra)"
            );
            handle("replace", i, table, "ADD COLUMN extra", &[&bigger]).0.success();
            let own = format!("ALTER TABLE my_db1.{table} ADD COLUMN a INT NOT NULL DEFAULT 9");
            handle("inject", i, table, "ADD COLUMN b", &[&own]).0.success();
            handle("skip", i, table, "ADD KEY k", &[]).0.success();
        }
    }
    // Wishes that cannot be.
    let bad =
        dm.ctl(&["binlog", "replace", "t", "-b", "mysql-bin.000001:4", "ALTER TABLE x ADD c INT"]).failure();
    bad.says("a table without its schema");
    dm.ctl(&["binlog", "skip", "t", "-b", "nowhere"])
        .failure()
        .says("[code=11049")
        .says("--binlog-pos mysql-bin");
    let begin = begin_of(&servers.sources[0], "ALTER TABLE my_db1.table1 ADD KEY k");
    let (file, pos) = begin.split_once(':').unwrap();
    for at in [
        format!("{file}:{}", pos.parse::<u64>().unwrap() + 1),
        format!("{file}:99999999"),
        "binlog.777777:4".to_owned(),
    ] {
        let nothing = dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01", "-b", &at]).failure();
        nothing.says("begins at").says(&at.replace(':', ", ")).says("Pos");
    }
    let (_, at) = handle("revert", 0, "table1", "ADD KEY k", &[]);
    let again = dm.ctl(&["binlog", "revert", "t", "-s", "mysql-01", "-b", &at]).failure();
    again.says("[code=36065").says(&at);
    handle("revert", 0, "table2", "ADD KEY k", &[]).0.success();
    let pending = |dm: &Dm| {
        dm.messages(&["binlog", "list", "t"])
            .iter()
            .map(|m| m.matches("binlogPos").count())
            .collect::<Vec<_>>()
    };
    assert_eq!(pending(&dm), [4, 6]);
    assert!(
        dm.messages(&["binlog", "list", "t"])[0]
            .contains(r#""sqls":["ALTER TABLE my_db1.table1 ADD COLUMN extra BIGINT"#)
    );
    let holder = dm.worker_of("mysql-01");
    dm.kill_worker(&holder);
    wait_until(SOON, "the source has moved", || {
        let now = dm.worker_of("mysql-01");
        now != holder && !now.is_empty()
    });
    wait_until(SOON, "the new worker knows them", || pending(&dm) == [4, 6]);
    dm.ctl(&["resume-task", "t"]).success();
    // One source wants the key and the other passes over it: the lock says so until somebody decides.
    wait_until(SOON, "the lock of the key", || {
        dm.wait_lock()["locks"][0]["DDLs"].to_string().contains("KEY `k`")
    });
    assert_eq!(dm.wait_lock()["locks"][0]["owner"], "mysql-01");
    dm.ctl(&["shard-ddl-lock", "unlock", "t-`my_db`.`table5`"]).success();
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment, extra, b");
    assert_eq!([column_type(&servers.target, "extra"), column_type(&servers.target, "a")], ["bigint", "int"]);
    let keys = servers.target.value(
        "SELECT GROUP_CONCAT(DISTINCT INDEX_NAME ORDER BY INDEX_NAME) FROM information_schema.STATISTICS WHERE TABLE_NAME='table5' AND INDEX_NAME IN ('k','by_extra')",
    );
    assert_eq!(keys, "by_extra,k");
    assert_eq!(servers.target.value("SELECT GROUP_CONCAT(DISTINCT a) FROM my_db.table5"), "9");
    wait_until(SOON, "nothing is pending", || pending(&dm) == [0, 0]);
    dm.end(&after_errors());
}

/// Statements that change what rows hold are passed over: rows that the target cannot take say what it lacks, and arrive then.
#[test]
fn after_a_skip_rows_say_what_the_target_lacks() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    dm.ctl(&["pause-task", "t"]).success();
    for i in 0..2 {
        alter(&servers, i, "ADD COLUMN extra INT NOT NULL DEFAULT 7, DROP COLUMN pid");
        for (j, table) in TABLES.iter().enumerate() {
            let source = format!("mysql-0{}", i + 1);
            let at = begin_of(&servers.sources[i], &format!("ALTER TABLE my_db1.{table}"));
            dm.ctl(&["binlog", "skip", "t", "-s", &source, "-b", &at]).success();
            servers.sources[i].sql(format!(
                "INSERT INTO my_db1.{table} (sid, extra) VALUES ({0}, {0}); UPDATE my_db1.{table} SET comment='new' WHERE id%3=0",
                (i * 2 + j) * 1_000_000 + 500
            ));
        }
    }
    dm.ctl(&["resume-task", "t"]);
    for i in 0..2 {
        let error = dm.wait_error("t", i, 10006);
        let text = error.to_string();
        assert!(text.contains("Unknown column 'extra'") && text.contains("add it in the target"), "{text}");
    }
    servers.target.sql("ALTER TABLE my_db.table5 ADD COLUMN extra INT NOT NULL DEFAULT 7");
    dm.ctl(&["resume-task", "t"]);
    let refused = |dm: &Dm| {
        let text = dm.status("t").to_string();
        text.contains("'pid' doesn't have a default value")
            && text.contains("give it a default in the target")
    };
    wait_until(SOON, "the error of pid", || refused(&dm));
    servers.target.sql("ALTER TABLE my_db.table5 ALTER COLUMN pid SET DEFAULT 0");
    dm.ctl(&["resume-task", "t"]);
    servers.wait_equal("sid, id, comment, extra");
    dm.end(&after_errors());
}

/// A shard is dropped while its group waits for it (36006): the error says the command that lets it leave, and the others go on.
#[test]
fn a_shard_that_is_dropped_in_the_middle_leaves_its_group() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(3);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    let source = &servers.sources[0];
    source.sql("ALTER TABLE my_db1.table1 ADD COLUMN extra INT NOT NULL DEFAULT 7; INSERT INTO my_db1.table1 (sid, pid, extra) VALUES (500, 1, 8)");
    source.sql("UPDATE my_db1.table2 SET comment='last'; DROP TABLE my_db1.table2");
    let error = dm.wait_error("t", 0, 36006);
    let at = begin_of(source, "DROP TABLE");
    let command = format!("binlog skip t -s mysql-01 -b {at}");
    assert!(error["Workaround"].as_str().unwrap().contains(&command), "{error}");
    dm.ctl(&command.split(' ').collect::<Vec<_>>()).success();
    dm.wait_lock();
    // It stays so in another worker, which reads everything of the group again.
    let holder = dm.worker_of("mysql-01");
    dm.kill_worker(&holder);
    wait_until(SOON, "the source has moved", || {
        let now = dm.worker_of("mysql-01");
        now != holder && !now.is_empty()
    });
    alter(&servers, 1, "ADD COLUMN extra INT NOT NULL DEFAULT 7");
    dm.wait_no_lock();
    source.sql("INSERT INTO my_db1.table1 (sid, pid, extra) VALUES (501, 1, 9)");
    let rows = |server: &Server, table: &str, only: &str| -> Vec<String> {
        let sql =
            format!("SELECT CONCAT_WS('|', sid, id, pid, extra) FROM {table} WHERE {only} ORDER BY sid");
        server.rows(sql).iter().map(|row| row.text(0).unwrap()).collect()
    };
    wait_until(SOON, "the rows of the table that stays", || {
        rows(source, "my_db1.table1", "1") == rows(&servers.target, "my_db.table5", "sid < 1000000")
    });
    // Those of the other one are as they were when it went.
    let last = "SELECT COUNT(*) FROM my_db.table5 WHERE sid BETWEEN 1000000 AND 1999999 AND comment='last' AND extra=7";
    assert_eq!(servers.target.value(last), "19");
    dm.wait_running("t");
    dm.end(&after_errors());
}

/// Rows with other values than the defaults.
fn insert_extra(servers: &Servers, i: usize, from: usize) {
    for (j, table) in TABLES.iter().enumerate() {
        for n in from..from + 5 {
            let sid = (i * 2 + j) * 1_000_000 + n;
            servers.sources[i].sql(format!(
                "INSERT INTO my_db1.{table} (sid, pid, extra) VALUES ({sid}, {n}, {n}); UPDATE my_db1.{table} SET comment='u{n}' WHERE sid={sid}-3"
            ));
        }
    }
}

/// Two tables of one source come with different statements (36008): the error has both, and its ways on lead to exact rows.
#[test]
fn different_statements_in_one_source() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    let [first, second] = TABLES.map(|table| {
        let kind = if table == "table1" { "INT" } else { "INTEGER" };
        format!("ALTER TABLE my_db1.{table} ADD COLUMN extra {kind} NOT NULL DEFAULT 3")
    });
    servers.sources[0].sql(&first);
    insert_extra_in(&servers, "table1", 20);
    servers.sources[0].sql(&second);
    insert_extra_in(&servers, "table2", 20);
    let error = dm.wait_error("t", 0, 36008);
    let (one, two) = (begin_of(&servers.sources[0], &first), begin_of(&servers.sources[0], &second));
    let [message, cause, workaround] =
        ["Message", "RawCause", "Workaround"].map(|field| error[field].as_str().unwrap().to_owned());
    let paren = |at: &str| format!("({})", at.replace(':', ", "));
    assert!(
        message.contains(&paren(&two)) && message.contains(&format!("origin SQL: [{second}]")),
        "{message}"
    );
    assert!(
        cause.contains(&paren(&one)) && cause.contains(&first) && cause.contains("`my_db1`.`table1`"),
        "{cause}"
    );
    let replace = format!("binlog replace t -s mysql-01 -b {two} ");
    let skip = [&one, &two].map(|at| format!("binlog skip t -s mysql-01 -b {at}"));
    assert!([&replace, &skip[0], &skip[1]].iter().all(|w| workaround.contains(*w)), "{workaround}");
    // They mean the same: the second one as the first one.
    let as_first = first.replace("table1", "table2");
    dm.ctl(&["binlog", "replace", "t", "-s", "mysql-01", "-b", &two, &as_first]).success();
    dm.wait_lock();
    alter(&servers, 1, "ADD COLUMN extra INT NOT NULL DEFAULT 3");
    dm.wait_no_lock();
    servers.wait_equal("sid, id, pid, comment, extra");

    // They do not: both changes by hand, both statements passed over.
    let first = "ALTER TABLE my_db1.table1 ADD COLUMN a INT NOT NULL DEFAULT 1";
    let second = "ALTER TABLE my_db1.table2 DROP COLUMN comment, ADD COLUMN b INT NOT NULL DEFAULT 2";
    servers.sources[0].sql(first);
    insert_extra_in(&servers, "table1", 40);
    servers.sources[0].sql("UPDATE my_db1.table1 SET a=4 WHERE sid%2=0");
    servers.sources[0].sql(second);
    servers.sources[0].sql("INSERT INTO my_db1.table2 (sid, pid, b) VALUES (1000090, 1, 6); UPDATE my_db1.table2 SET b=b+1 WHERE sid%2=1; DELETE FROM my_db1.table2 WHERE sid%7=1");
    dm.wait_error("t", 0, 36008);
    servers.target.sql(
        "ALTER TABLE my_db.table5 ADD COLUMN a INT NOT NULL DEFAULT 1, ADD COLUMN b INT NOT NULL DEFAULT 2",
    );
    for statement in [first, second] {
        let at = begin_of(&servers.sources[0], statement);
        dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01", "-b", &at]).success();
    }
    dm.wait_running("t");
    servers.sources[0].sql("INSERT INTO my_db1.table1 (sid, pid, a) VALUES (95, 1, 8)");
    let read = |server: &Server, table: &str, columns: &str, only: &str| -> Vec<String> {
        let sql = format!("SELECT CONCAT_WS('|', {columns}) FROM {table} WHERE {only} ORDER BY sid");
        server.rows(sql).iter().map(|row| row.text(0).unwrap()).collect()
    };
    for (table, columns, only) in [
        ("table1", "id, sid, pid, comment, extra, a", "sid < 1000000"),
        ("table2", "id, sid, pid, extra, b", "sid BETWEEN 1000000 AND 1999999"),
    ] {
        wait_until(SOON, table, || {
            read(&servers.sources[0], &format!("my_db1.{table}"), columns, only)
                == read(&servers.target, "my_db.table5", columns, only)
        });
    }
    dm.wait_no_lock();
    dm.end(&after_errors());
}

fn insert_extra_in(servers: &Servers, table: &str, from: usize) {
    let base = if table == "table1" { 0 } else { 1_000_000 };
    for n in from..from + 5 {
        servers.sources[0]
            .sql(format!("INSERT INTO my_db1.{table} (sid, pid, extra) VALUES ({}, {n}, {n})", base + n));
    }
}

/// A row that the target refuses stops the task while a DDL waits for the rows before it: `skip` does not take that for the culprit.
#[test]
fn an_error_of_rows_is_not_that_of_the_statement_behind_them() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    let task = servers.task_yaml("t").replace("shard-mode: pessimistic\n", "");
    dm.run_task(&servers, &task.replace("interval: 1}", "interval: 1, safe-mode-duration: 0s}"));
    insert(&servers, 1, 10);
    servers.wait_equal("sid, id, pid, comment");
    let at = begin_of(&servers.sources[0], "CREATE DATABASE my_db1");
    let late = dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01", "-b", &at]).failure();
    late.says("has passed").says(&at.replace(':', ", "));
    servers.target.sql("INSERT INTO my_db.table5 (id, sid, pid) VALUES (1, 500, 1)");
    servers.sources[0].sql(
        "INSERT INTO my_db1.table1 (sid, pid) VALUES (500, 2); ALTER TABLE my_db1.table1 ADD COLUMN extra INT NOT NULL DEFAULT 7; \
         INSERT INTO my_db1.table1 (sid, pid, extra) VALUES (501, 2, 8)",
    );
    let error = dm.wait_error("t", 0, 10006).to_string();
    assert!(error.contains("Duplicate entry '500'") && !error.contains("ADD COLUMN"), "{error}");
    let skip = dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01"]).failure();
    skip.says("only support to handle ddl error currently");
    servers.target.sql("DELETE FROM my_db.table5 WHERE sid=500");
    dm.ctl(&["resume-task", "t"]).success();
    servers.wait_equal("sid, id, pid, comment");
    let extra = "SELECT GROUP_CONCAT(extra ORDER BY sid) FROM my_db.table5 WHERE sid IN (500,501)";
    assert_eq!(servers.target.value(extra), "7,8");
    dm.end(&after_errors());
}
