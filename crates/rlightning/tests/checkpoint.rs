//! Checkpoints in the form of the real tool: ours are what is in the target, and those of the real one are gone on with.

use prost::Message;
use rlightning::checkpoint::Checkpoint;
use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_no_ledger, dumpling, numbered, rlightning};

const COUNT: u64 = 9000;

/// An import of two files that ends at a row of the second one, and has written its state.
fn stopped(kind: Kind, driver: &str) -> Option<(Server, Task)> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (n int, c varchar(60)); CREATE TABLE d.u (c varchar(60), m int)",
    );
    let mut task = Task::new(server.port()).small_batches();
    let dsn = task.dir.join("checkpoint.pb").display().to_string();
    task.set("checkpoint", &format!("driver = '{driver}'"));
    if driver == "file" {
        task.set("checkpoint", &format!("dsn = '{dsn}'"));
    }
    task.set("checkpoint", "lightning-version = 'v8.5.0'");
    task.set("mydumper", "no-schema = true");
    task.set("lightning", "region-concurrency = 2");
    task.write("x/d.t.000000000.sql", dumpling("t", numbered(0, 4000), 250));
    let long = format!("(7000,'{}')", "x".repeat(61));
    let rows =
        numbered(4000, COUNT - 4000).map(|row| if row.starts_with("(7000,") { long.clone() } else { row });
    task.write("x/d.t.000000001.sql", dumpling("t", rows, 100_000));
    let lines: String = (0..2000).map(|m| format!("{m},text {m}\n")).collect();
    task.write("x/d.u.000000000.csv", format!("m,c\n{lines}"));
    let lines: String = (2000..2500).map(|m| format!("text {m},{m}\n")).collect();
    task.write("x/d.u.000000001.csv", format!("c,m\n{lines}"));
    let packed = task.dumps().join("x/d.u.000000001.csv");
    assert!(std::process::Command::new("gzip").arg(packed).status().unwrap().success());
    task.fails("Data too long");
    Some((server, task))
}

fn ctl(task: &Task, options: &[&str]) -> testkit::tool::Finished {
    let config = task.dir.join("tidb-lightning.toml");
    rlightning().arg("ctl").arg("-config").arg(config).args(options).run()
}

fn file(task: &Task) -> std::path::PathBuf {
    task.dir.join("checkpoint.pb")
}

fn decoded(task: &Task) -> Checkpoint {
    Checkpoint::decode(&std::fs::read(file(task)).unwrap()[..]).unwrap()
}

fn count(server: &Server) -> u64 {
    server.value("SELECT COUNT(*) FROM d.t").parse().unwrap()
}

/// What a real tool has written looks the same but for one mark, and no ledger knows of it.
fn as_of_a_real_tool(server: &Server, task: &Task, driver: &str) {
    if driver == "mysql" {
        server.sql("UPDATE tidb_lightning_checkpoint.task_v2 SET importer_addr=''");
    } else {
        let mut found = decoded(task);
        found.task.as_mut().unwrap().importer_addr.clear();
        std::fs::write(file(task), found.encode_to_vec()).unwrap();
    }
    server.sql("DROP DATABASE lightning_task_info; ALTER TABLE d.t MODIFY c varchar(200)");
}

fn assert_all(server: &Server) {
    let all = server.value("SELECT CONCAT_WS('|', COUNT(*), COUNT(DISTINCT n), MAX(n)) FROM d.t");
    assert_eq!(all, format!("{COUNT}|{COUNT}|{}", COUNT - 1));
    let all = server.value("SELECT CONCAT_WS('|', COUNT(*), SUM(c=CONCAT('text ', m))) FROM d.u");
    assert_eq!(all, "2500|2500");
}

#[test]
fn what_is_written_is_what_is_in_the_target() {
    let Some((server, task)) = stopped(Kind::MySql8033, "mysql") else { return };
    for _ in 0..2 {
        let schema = "tidb_lightning_checkpoint";
        let told =
            server.value(format!("SELECT SUM(kvc_kvs) FROM {schema}.chunk_v5 WHERE table_name='`d`.`t`'"));
        assert_eq!(told, count(&server).to_string());
        assert!(count(&server) > 0 && count(&server) < COUNT);
        let row = server.value(format!(
            "SELECT CONCAT_WS('|', source_dir, backend, tidb_port, lightning_ver, task_id > 0) FROM {schema}.task_v2"
        ));
        let dumps = task.dumps().display().to_string();
        assert_eq!(row, format!("file://{dumps}|tidb|{}|v8.5.0|1", server.port()));
        // Every position is behind a row, and within its range.
        let chunks = server
            .rows(format!("SELECT path, pos, `offset`, end_offset, kvc_kvs, columns FROM {schema}.chunk_v5"));
        assert!(chunks.len() >= 3, "{}", chunks.len());
        for chunk in chunks.iter() {
            let path = chunk.text(0).unwrap();
            if path.ends_with(".gz") {
                assert_eq!(chunk.text(3).unwrap(), (10u64 << 40).to_string());
                continue;
            }
            let text = std::fs::read_to_string(task.dumps().join(path)).unwrap();
            let at: Vec<usize> = (1..5).map(|cell| chunk.parse(cell).unwrap().unwrap()).collect();
            let (pos, begin, end, rows) = (at[0], at[1], at[2], at[3]);
            assert!(begin <= pos && pos <= end && end <= text.len());
            let marks = text[begin..pos].matches("row ").count() + text[begin..pos].matches(",text ").count();
            assert_eq!(marks, rows);
            assert!(pos == end || pos == begin || text[..pos].ends_with([')', '\n']), "{}", &text[..pos]);
            if pos > 0 && pos < end && text.contains("INSERT") && begin == 0 {
                assert_eq!(chunk.text(5).unwrap(), "[0,1]");
            }
        }
        // The next run takes it back, and writes it anew.
        task.fails("Data too long");
    }
    // Done with, nothing is left.
    server.sql("ALTER TABLE d.t MODIFY c varchar(200)");
    ctl(&task, &["-checkpoint-error-ignore=all"]).success();
    task.import();
    assert_all(&server);
    assert_eq!(server.value("SELECT COUNT(*) FROM tidb_lightning_checkpoint.task_v2"), "0");
}

#[test]
fn a_checkpoint_of_the_real_tool_is_taken_over() {
    for (kind, driver) in [
        (Kind::MySql8033, "mysql"),
        (Kind::MySql8033, "file"),
        (Kind::MySql57, "mysql"),
        (Kind::MySql97, "mysql"),
        (Kind::MariaDb1011, "mysql"),
    ] {
        let Some((server, task)) = stopped(kind, driver) else { continue };
        as_of_a_real_tool(&server, &task, driver);
        let before = count(&server);
        assert!(before > 0);
        // Killed right behind it, it goes on with its ledger.
        task.tool().env("FAILPOINTS", "checkpoint-taken-over=return").run();
        assert_eq!(count(&server), before);
        task.import();
        assert_all(&server);
        assert_no_ledger(&server);
        assert!(!file(&task).exists());
        // Once more: the tables hold the rows.
        task.import_expecting(testkit::LogCheck::new().allow("is left out"));
        assert_all(&server);
    }
}

#[test]
fn what_cannot_be_exact_is_refused_by_name() {
    for driver in ["mysql", "file"] {
        let Some((server, mut task)) = stopped(Kind::MySql8033, driver) else { return };
        // Whether it is still there can't be seen then.
        let line = format!("driver = '{driver}'");
        task.unset("checkpoint", &line);
        task.fails("of which this configuration does not tell");
        task.set("checkpoint", &line);
        // A real tool has gone on with ours.
        if driver == "mysql" {
            server.sql("UPDATE tidb_lightning_checkpoint.task_v2 SET importer_addr=''");
        } else {
            std::fs::remove_file(file(&task)).unwrap();
        }
        let before = count(&server);
        task.fails("a tidb-lightning may have brought more rows");
        assert_eq!(count(&server), before);
        if driver == "file" {
            continue;
        }
        as_of_a_real_tool(&server, &task, driver);
        // Rows that the checkpoint does not tell of.
        server.sql("INSERT INTO d.t VALUES (-1,'x')");
        task.fails("taking it over cannot be exact: table `d`.`t` holds").says("and the checkpoint tells of");
        server.sql("DELETE FROM d.t WHERE n=-1; UPDATE tidb_lightning_checkpoint.chunk_v5 SET pos=pos+1 WHERE pos>0 AND pos<end_offset");
        task.fails("has no end of a row at byte");
        server.sql("UPDATE tidb_lightning_checkpoint.task_v2 SET source_dir='file:///other'");
        task.fails("config 'mydumper.data-source-dir' value");
        // The way on that it names.
        server.sql("TRUNCATE d.t; TRUNCATE d.u");
        ctl(&task, &["-checkpoint-remove=all"]).success();
        task.import();
        assert_all(&server);
    }
}

#[test]
fn the_commands_of_the_real_tool() {
    for driver in ["mysql", "file"] {
        let Some((server, task)) = stopped(Kind::MySql8033, driver) else { return };
        as_of_a_real_tool(&server, &task, driver);
        let before = count(&server);
        let listed = ctl(&task, &["-list"]).success().stdout;
        assert!(
            listed.contains("checkpoint of TiDB Lightning in ") && listed.contains("2 tables"),
            "{listed}"
        );
        let dir = task.dir.join("dumped");
        ctl(&task, &["-checkpoint-dump", dir.to_str().unwrap()]).success();
        let text = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
        assert!(
            text("tables.csv").contains("\"`d`.`t`\",30,30,")
                && text("engines.csv").contains("\"`d`.`t`\",-1,30")
        );
        assert!(text("chunks.csv").contains("\"x/d.t.000000000.sql\",0,3,0,\"000000000\","));
        // A table that failed there, and holds what it tells of.
        let fail = "UPDATE tidb_lightning_checkpoint.table_v9 SET status=3 WHERE table_name='`d`.`t`'";
        if driver == "mysql" {
            server.sql(fail);
        } else {
            let mut found = decoded(&task);
            found.tables.get_mut("`d`.`t`").unwrap().status = 3;
            std::fs::write(file(&task), found.encode_to_vec()).unwrap();
        }
        ctl(&task, &["-checkpoint-error-destroy=`d`.`none`"]).failure();
        server.sql("INSERT INTO d.t VALUES (-1,'x')");
        ctl(&task, &["-checkpoint-error-destroy=all"]).failure().says("`d`.`t` is kept: it holds");
        server.sql("DELETE FROM d.t WHERE n=-1");
        assert_eq!(count(&server), before);
        ctl(&task, &["-checkpoint-error-destroy=all"]).success();
        assert_eq!(count(&server), 0);
        ctl(&task, &["-checkpoint-error-ignore=`d`.`t`"]).failure();
        ctl(&task, &["-checkpoint-error-ignore=`d`.`u`"]).success();
        task.import();
        assert_all(&server);
        ctl(&task, &["-checkpoint-remove=`d`.`none`"]).failure();
    }
}

/// Two imports with one place for checkpoints do not take each other's for theirs.
#[test]
fn another_task_of_ours_is_not_disturbed() {
    let Some((server, task)) = stopped(Kind::MySql8033, "mysql") else { return };
    let told =
        || server.value("SELECT CONCAT_WS('|', task_id, source_dir) FROM tidb_lightning_checkpoint.task_v2");
    let before = told();
    server.sql("CREATE TABLE d.v (n int, c varchar(9))");
    let mut other = Task::new(server.port());
    other.set("checkpoint", "driver = 'mysql'");
    other.set("mydumper", "no-schema = true");
    other.write("d.v.0.sql", "INSERT INTO `v` VALUES (1,'x'),(2,'0123456789');\n");
    other.fails("Data too long");
    assert!(other.log_text().contains("holds the checkpoint of another import"), "{}", other.log_text());
    assert_eq!(told(), before);
    other.write("d.v.0.sql", "INSERT INTO `v` VALUES (1,'x'),(2,'012345678');\n");
    other.import();
    assert_eq!((told(), server.value("SELECT COUNT(*) FROM d.v")), (before, "2".into()));
    server.sql("ALTER TABLE d.t MODIFY c varchar(200)");
    ctl(&task, &["-checkpoint-error-ignore=`d`.`t`"]).success();
    task.import();
    assert_all(&server);
}

/// One of the same folder with other routes is neither gone on with nor taken for a real tool's.
#[test]
fn another_task_of_ours_with_the_same_folder_is_never_taken_over() {
    for driver in ["mysql", "file"] {
        let Some((server, task)) = stopped(Kind::MySql8033, driver) else { return };
        let told = || match driver {
            "mysql" => server.value("SELECT task_id FROM tidb_lightning_checkpoint.task_v2"),
            _ => decoded(&task).task.unwrap().task_id.to_string(),
        };
        let before = (told(), count(&server));
        server.sql("CREATE DATABASE e; CREATE TABLE e.t2 (n int, c varchar(200)); ALTER TABLE d.t MODIFY c varchar(200)");
        ctl(&task, &["-checkpoint-error-ignore=`d`.`t`"]).success();
        // Routes that move a table, and routes that are about none.
        let own = std::fs::read_to_string(task.dir.join("tidb-lightning.toml")).unwrap();
        for (from, to) in [("d", "e"), ("none", "e")] {
            let route = format!(
                "[[routes]]\nschema-pattern = '{from}'\ntable-pattern = 't'\ntarget-schema = '{to}'\ntarget-table = 't2'\n"
            );
            let config = task.dir.join("other.toml");
            std::fs::write(&config, format!("{own}{route}")).unwrap();
            let done = rlightning().arg("-config").arg(&config).run().failure();
            let done =
                done.says("holds the checkpoint of another task of rlightning").says("checkpoint.schema");
            assert!(!done.shown().contains("checkpoint of TiDB Lightning in"), "{}", done.shown());
            assert_eq!((told(), count(&server)), before, "{from}");
            assert_eq!(server.value("SELECT COUNT(*) FROM e.t2"), "0");
        }
        task.import();
        assert_all(&server);
    }
}

/// What was put off is known to the ledger alone.
#[test]
fn no_checkpoint_without_the_indexes() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n int, c varchar(9), KEY (n))");
    let mut task = Task::new(server.port());
    task.set("checkpoint", "driver = 'mysql'");
    task.set("tikv-importer", "add-index-by-sql = true");
    task.set("mydumper", "no-schema = true");
    task.write("d.t.0.sql", "INSERT INTO `t` VALUES (1,'x');\n");
    task.write("d.t.1.sql", "INSERT INTO `t` VALUES (1,'0123456789');\n");
    task.fails("Data too long");
    assert!(task.log_text().contains("gets its indexes at the end of the import"), "{}", task.log_text());
    server.sql("ALTER TABLE d.t MODIFY c varchar(10)");
    ctl(&task, &["-checkpoint-error-ignore=all"]).success();
    task.import();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "2");
}
