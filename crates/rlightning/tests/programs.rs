//! Views with routes, and triggers, routines and events with `--programs`: made after the rows, once, whatever happens on the way.

use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_no_ledger, dumpling, numbered};

const GRANT: &str = "GRANT CREATE VIEW, SHOW VIEW, TRIGGER, EVENT, CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON *.* TO target; \
     SET GLOBAL log_bin_trust_function_creators = 1";

const TRIGGER: &str = "DELIMITER ;;\nSET SESSION sql_mode = 'PIPES_AS_CONCAT' ;;\nSET SESSION character_set_client = 'utf8mb4' ;;\n\
     CREATE DEFINER=`target`@`%` TRIGGER `z_first` BEFORE INSERT ON `t` FOR EACH ROW BEGIN SET NEW.c = NEW.c || ';' || 1; END\n;;\n\
     CREATE DEFINER=`target`@`%` TRIGGER `a_second` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.c = CONCAT(NEW.c, 2)\n;;\nDELIMITER ;\n";

const POST: &str = "DELIMITER ;;\nSET SESSION sql_mode = '' ;;\n\
     CREATE DEFINER=`target`@`%` FUNCTION `twice`(n int) RETURNS int DETERMINISTIC BEGIN RETURN 2 * n; END\n;;\n\
     CREATE DEFINER=`target`@`%` PROCEDURE `p`() BEGIN SELECT COUNT(*) FROM `t`; END\n;;\n\
     SET SESSION time_zone = '+02:00' ;;\n\
     CREATE DEFINER=`target`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2024-01-01 00:00:00' ON COMPLETION PRESERVE DISABLE DO SET @a = 1\n;;\nDELIMITER ;\n";

fn view(from: &str) -> String {
    format!(
        "DROP TABLE IF EXISTS `v`;\nDROP VIEW IF EXISTS `v`;\nSET character_set_client = utf8mb4;\n\
         CREATE ALGORITHM=UNDEFINED DEFINER=`target`@`%` SQL SECURITY INVOKER VIEW `v` AS select {from}.`n` AS `n`,`twice`({from}.`n`) AS `m` from {from};\n"
    )
}

fn write(task: &Task, folder: &str, schema: &str, rows: u64) {
    task.write(&format!("{folder}{schema}-schema-create.sql"), format!("CREATE DATABASE `{schema}`;\n"));
    task.write(&format!("{folder}{schema}.t-schema.sql"), "CREATE TABLE `t` (n bigint, c varchar(100));\n");
    task.write(&format!("{folder}{schema}.t.0.sql"), dumpling("t", numbered(rows, 100), 10));
    task.write(&format!("{folder}{schema}.v-schema.sql"), "CREATE TABLE `v`(\n`n` bigint\n)ENGINE=InnoDB;\n");
    task.write(&format!("{folder}{schema}.v-schema-view.sql"), view(&format!("`{schema}`.`t`")));
    task.write(&format!("{folder}{schema}.t-schema-trigger.sql"), TRIGGER);
    task.write(&format!("{folder}{schema}-schema-post.sql"), POST);
}

fn check(server: &Server, schema: &str, rows: u64) {
    assert_eq!(
        server.value(format!("SELECT COUNT(*) FROM `{schema}`.t WHERE c LIKE 'row %(and),( so on)'")),
        rows.to_string()
    );
    server.sql(format!("INSERT INTO `{schema}`.t VALUES (-5, 'x')"));
    assert_eq!(
        server.value(format!("SELECT c FROM `{schema}`.t WHERE n = -5")),
        "x;12",
        "both, in their order"
    );
    assert_eq!(server.value(format!("SELECT m FROM `{schema}`.v WHERE n = -5")), "-10");
    let count = |table: &str, what: &str| {
        server.value(format!(
            "SELECT COUNT(*) FROM information_schema.{table} WHERE {what}_SCHEMA = '{schema}'"
        ))
    };
    assert_eq!(
        (
            count("ROUTINES", "ROUTINE").as_str(),
            count("EVENTS", "EVENT").as_str(),
            count("TRIGGERS", "TRIGGER").as_str()
        ),
        ("2", "1", "2")
    );
    let event = server.value(format!(
        "SELECT CONCAT(TIME_ZONE, STARTS) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = '{schema}'"
    ));
    assert_eq!(event, "+02:002024-01-01 00:00:00");
    server.sql(format!("DELETE FROM `{schema}`.t WHERE n = -5"));
}

#[test]
fn killed_at_every_step_each_is_made_once() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(GRANT);
        let task = Task::new(server.port());
        write(&task, "", "s", 0);
        // As in Lightning unless it is asked for; a view needs its function.
        for number in 0..5 {
            let death = format!("program-created={number}*off->return");
            let done = task.tool().arg("--programs").env("FAILPOINTS", death).run();
            if done.status.code().is_some() {
                break;
            }
        }
        let done = task.tool().arg("--programs").run().success();
        assert_eq!(done.stdout.lines().last(), Some("tidb lightning exit successfully"), "{}", done.shown());
        check(&server, "s", 100);
        assert_no_ledger(&server);
    }
}

#[test]
fn sources_of_a_merge_have_the_same_objects_once() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(GRANT);
    let mut task = Task::new(server.port());
    write(&task, "a/", "s1", 0);
    write(&task, "b/", "s2", 100);
    task.route_lines("[[routes]]\nschema-pattern = 's?'\ntarget-schema = 'all'\n");
    let done = task.tool().arg("--programs").run().success();
    assert_eq!(done.stdout.lines().last(), Some("tidb lightning exit successfully"), "{}", done.shown());
    check(&server, "all", 200);

    // One that is another in one of them is no matter of chance.
    server.sql("DROP DATABASE `all`; DROP DATABASE lightning_task_info");
    task.write("b/s2.v-schema-view.sql", view("`s2`.`t`").replace("`twice`", "abs"));
    let done = task.tool().arg("--programs").run().failure();
    assert!(
        done.stderr.contains("view `all`.`v` is another one than in file 'a/s1.v-schema-view.sql'"),
        "{}",
        done.shown()
    );
    task.write("b/s2.v-schema-view.sql", view("`s2`.`t`"));
    task.write("b/s2.t-schema-trigger.sql", TRIGGER.replace("a_second", "third"));
    task.tool().arg("--programs").run().failure().says("with other triggers each");
}

#[test]
fn a_program_that_is_there_with_another_text_stays() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(GRANT);
    server.sql("CREATE DATABASE s; CREATE PROCEDURE s.p() SELECT 'mine'");
    let task = Task::new(server.port());
    write(&task, "", "s", 0);
    let done = task.tool().arg("--programs").run().failure();
    assert!(done.stderr.contains("the target has a PROCEDURE `s`.`p` with another text"), "{}", done.shown());
    server.sql("DROP PROCEDURE s.p; REVOKE TRIGGER ON *.* FROM target");
    task.tool().arg("--programs").run().failure().says("GRANT TRIGGER ON `s`.*");
    server.sql("GRANT TRIGGER ON *.* TO target");
    task.tool().arg("--programs").run().success();
    check(&server, "s", 100);
}

/// Rows of somebody under the name of a view are not dropped.
#[test]
fn a_table_with_rows_is_not_dropped_for_a_view() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(GRANT);
    server.sql("CREATE DATABASE s; CREATE TABLE s.v (n bigint); INSERT INTO s.v VALUES (1)");
    let task = Task::new(server.port());
    write(&task, "", "s", 0);
    let done = task.tool().arg("--programs").run().failure();
    assert!(done.stderr.contains("a table of that name with rows in it"), "{}", done.shown());
    assert_eq!(server.value("SELECT n FROM s.v"), "1");
}
