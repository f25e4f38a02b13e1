//! `rlightning ctl`: looking at unfinished imports and undoing them.

use testkit::tool::Finished;
use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_numbers, dumpling, numbered, rlightning};

const ROWS: u64 = 4_000;

fn unfinished() -> Option<(Server, Task)> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)) COMMENT='made by hand'");
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    die(&task);
    Some((server, task))
}

fn die(task: &Task) {
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
}

fn ctl(task: &Task, options: &[&str]) -> Finished {
    let config = task.dir.join("tidb-lightning.toml");
    rlightning().arg("ctl").arg("-config").arg(config).args(options).run()
}

fn count(server: &Server) -> u64 {
    server.value("SELECT COUNT(*) FROM d.t").parse().unwrap()
}

#[test]
fn an_unfinished_table_is_emptied_if_it_holds_nothing_else() {
    let Some((server, task)) = unfinished() else { return };
    // Somebody else's row is not thrown away.
    server.sql("INSERT INTO d.t VALUES (-1, 'mine')");
    let before = count(&server);
    ctl(&task, &["-checkpoint-error-destroy=all"]).expect_code(1).says(&format!(
        "`d`.`t` is kept: it holds {before} rows, and the task has brought {} into it",
        before - 1
    ));
    assert_eq!(count(&server), before);
    ctl(&task, &["-checkpoint-error-destroy=`d`.`nope`"]).expect_code(1).says("no task in the ledger");
    server.sql("DELETE FROM d.t WHERE n = -1");
    let done = ctl(&task, &["-checkpoint-error-destroy=`d`.`t`"]).success();
    assert!(done.stderr.contains("Emptying table: `d`.`t`"), "{}", done.shown());
    assert_eq!(count(&server), 0);
    task.import();
    assert_numbers(&server, "d.t", ROWS);
    let create = server.rows("SHOW CREATE TABLE d.t");
    assert!(create.first().unwrap().text(1).unwrap().contains("made by hand"));
    // What is finished is not unfinished.
    ctl(&task, &["-checkpoint-error-destroy=all"]).success();
    assert_eq!(count(&server), ROWS);
    // Rows of a finished source stay, whoever comes after it.
    let other = Task::new(server.port()).small_batches();
    other.write("d.t.0.sql", dumpling("t", numbered(0, ROWS), 100));
    die(&other);
    let before = count(&server);
    ctl(&other, &["-checkpoint-error-destroy=all"])
        .expect_code(1)
        .says("`d`.`t` is kept: it holds 4000 rows from");
    assert_eq!(count(&server), before);
    // The address of a truncated table after a kill between the two steps.
    server.sql("TRUNCATE TABLE d.t");
    ctl(&other, &["-checkpoint-error-destroy=all"]).success();
    other.import();
    assert_numbers(&server, "d.t", ROWS);
}

#[test]
fn the_ledger_can_be_read_by_programs() {
    let Some((server, task)) = unfinished() else { return };
    let listed = ctl(&task, &["-list", "-json"]).success().stdout;
    let value: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(value["tasks"][0]["rows"], count(&server), "{value}");
    assert_eq!(value["tasks"][0]["current"], true);
    let dir = task.dir.join("csv");
    ctl(&task, &["-checkpoint-dump", dir.to_str().unwrap()]).success();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    assert!(read("tables.csv").ends_with(",`d`.`t`,30\n"), "{}", read("tables.csv"));
    assert_eq!(read("engines.csv"), "table_name,engine_id,status\n`d`.`t`,0,30\n`d`.`t`,-1,30\n");
    let chunks = read("chunks.csv");
    let rows: u64 =
        chunks.lines().skip(1).map(|line| line.rsplit(',').next().unwrap().parse::<u64>().unwrap()).sum();
    assert_eq!(rows, count(&server), "{chunks}");
    assert!(chunks.contains(",`d`.`t`,0,d.t.0.sql,0,"), "{chunks}");
    task.import();
    let value: serde_json::Value =
        serde_json::from_str(&ctl(&task, &["-list", "-json"]).success().stdout).unwrap();
    assert_eq!(
        (&value["finished"][0]["table"], &value["finished"][0]["rows"]),
        (&"`d`.`t`".into(), &ROWS.into())
    );
}
