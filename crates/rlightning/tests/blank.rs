//! The value of an ENUM that is none of its members, and members that a collation takes for equal: legal at a source without strict mode.

use testkit::{Kind, Options, Server};

use crate::support::{Task, rlightning};

const TABLE: &str =
    "CREATE TABLE d.t (id int, e enum('a','b') NOT NULL, v varchar(4), f enum('x','','y'), g enum('k') NULL)";

fn check(task: &Task, options: &[&str]) -> testkit::tool::Finished {
    drop(task.tool());
    rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml")).args(options).run()
}

fn row(id: usize) -> String {
    let e = if id.is_multiple_of(3) { "''" } else { "'b'" };
    let g = ["''", "NULL", "'k'", "0", "'k'"][id % 5];
    format!("({id},{e},'v{}','',{g})", id % 100)
}

fn rows(ids: std::ops::Range<usize>) -> String {
    let rows: Vec<String> = ids.map(row).collect();
    format!("INSERT INTO `t` VALUES\n{};\n", rows.join(",\n"))
}

#[test]
fn blank_enums_arrive_in_a_strict_session() {
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(format!("CREATE DATABASE d; {TABLE}"));
        let mut task = Task::new(server.port());
        task.set("mydumper", "no-schema = true");
        // More in a statement than the server lists warnings of.
        task.write("d.t.0.sql", rows(0..6000));
        task.write("d.t.1.sql", rows(6000..6001));
        task.write("d.t.2.csv", "id,e,v,f,g\n6001,,v1,,\n6002,b,v2,x,k\n");
        let done = check(&task, &[]).success();
        assert!(
            done.stdout.contains("note: 2002 values of `e` are none of its members ('', number 0)"),
            "{}",
            done.shown()
        );
        task.import();
        let blanks = (0..6001).map(|id| usize::from(id % 3 == 0) + usize::from(id % 5 == 0 || id % 5 == 3));
        let count = format!("number 0) went in as they are\"] [count={}]", blanks.sum::<usize>() + 2);
        assert!(task.log_text().contains(&count), "{kind:?}: {}", task.log_text());
        let all = server.rows("SELECT COUNT(*), SUM(e=0), SUM(e='b'), SUM(f=2), SUM(g=0), SUM(g IS NULL), SUM(v=CONCAT('v', id % 100)) FROM d.t");
        let cells: Vec<u64> = (0..7).map(|at| all.first().unwrap().parse(at).unwrap().unwrap()).collect();
        assert_eq!(cells, [6003, 2002, 4001, 6002, 2402, 1200, 6003], "{kind:?}");
        let wrong = "SELECT COUNT(*) FROM d.t WHERE id < 6001 AND ((e=0) <> (id % 3 = 0) OR (g <=> 0) <> (id % 5 IN (0,3)))";
        assert_eq!(server.value(wrong), "0");
    }
}

/// Only that value gets through.
#[test]
fn nothing_else_is_forgiven() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(format!("CREATE DATABASE d; {TABLE}"));
        for (bad, words) in [
            ("(9,'','too long','x','k')", "'v'"),
            ("(9,'zz','v','x','k')", "'e'"),
            ("(9,'','v','x','zz')", "'g'"),
            ("(9,'b','too long','x','k')", "'v'"),
            ("(9,NULL,'v','x','k')", "'e'"),
            ("('x','','v','x','k')", "id"),
        ] {
            let mut task = Task::new(server.port());
            task.set("mydumper", "no-schema = true");
            let text = format!("INSERT INTO `t` VALUES {},{bad},{};\n", row(0), row(3));
            task.write("d.t.0.sql", &text);
            let done = task.fails(&format!("row at byte {}", text.find(bad).unwrap()));
            assert!(done.shown().contains(words), "{bad}: {}", done.shown());
            assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0", "{bad}");
            // One that is left out takes no other with it, and later rows of the session are judged as before.
            task.set("lightning", "max-error = 1");
            task.write("d.t.1.sql", rows(10..20));
            let done = task.tool().run().success();
            assert!(done.stdout.contains("exit successfully"), "{}", done.shown());
            assert_eq!(server.value("SELECT GROUP_CONCAT(id+0 ORDER BY id) FROM d.t WHERE id < 10"), "0,3");
            assert_eq!(server.value("SELECT COUNT(*) FROM d.t WHERE e=0"), "5");
            let recorded =
                server.value("SELECT GROUP_CONCAT(row_data) FROM lightning_task_info.type_error_v1");
            assert_eq!(recorded, bad);
            server.sql("DROP DATABASE lightning_task_info; TRUNCATE TABLE d.t");
        }
    }
}

/// The DDL of the check works in a strict session and keeps every value, where the source's own does not.
#[test]
fn equal_members_are_told_apart() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let mut task = Task::new(server.port());
        task.set("tidb", "sql-mode = 'STRICT_TRANS_TABLES'");
        task.write("d-schema-create.sql", "CREATE DATABASE `d`;\n");
        task.write(
            "d.t-schema.sql",
            "CREATE TABLE `t` (`id` int NOT NULL, `d` enum('x','y','','ü') CHARACTER SET latin1 DEFAULT 'ü', `s` set('a','A','b'), \
             `same` enum('p','q','p '), `plain` enum('u','v'), PRIMARY KEY (`id`)) DEFAULT CHARSET=utf8mb4;\n",
        );
        task.write(
            "d.t.0.sql",
            "INSERT INTO `t` VALUES (1,'ü','a,A','p','u'),(2,'y','A','q','v'),(3,'','',NULL,NULL),(4,'x','a,b','p','u');\n",
        );
        task.fails("1291").says("check -ddl-file");
        let ddl = task.dir.join("ddl.sql");
        let done = check(&task, &["-ddl-file", ddl.to_str().unwrap()]).success();
        assert!(done.stdout.contains("`d` gets the collation latin1_bin: "), "{}", done.shown());
        assert!(done.stdout.contains("members 'y' and 'ü' are equal"), "{}", done.shown());
        assert!(!done.stdout.contains("`plain` gets"), "{}", done.shown());
        server.sql(std::fs::read_to_string(&ddl).unwrap());
        task.set("mydumper", "no-schema = true");
        task.import();
        let all = server.value("SELECT GROUP_CONCAT(CONCAT_WS('|',id,d,d+0,s,s+0,IFNULL(same,'-')) ORDER BY id SEPARATOR ' ') FROM d.t");
        assert_eq!(all, "1|ü|4|a,A|3|p 2|y|2|A|2|q 3||3||0|- 4|x|1|a,b|5|p", "{kind:?}");
        assert_eq!(server.value("SELECT DEFAULT(d) FROM d.t LIMIT 1"), "ü");
    }
}

/// JSON of MariaDB beside JSON of MySQL is JSON, and loads.
#[test]
fn json_of_mariadb_beside_that_of_mysql() {
    let Some(maria) = Server::start_or_skip(Kind::MariaDb1011, Options::default()) else { return };
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let mut task = Task::new(server.port());
        maria.sql("CREATE DATABASE IF NOT EXISTS d; CREATE OR REPLACE TABLE d.t (id int PRIMARY KEY, j json) DEFAULT CHARSET=latin1");
        let create = maria.rows("SHOW CREATE TABLE d.t").first().unwrap().text(1).unwrap();
        assert!(create.contains("json_valid"), "{create}");
        task.write("a/d.t-schema.sql", format!("{create};\n"));
        task.write("b/d.t-schema.sql", "CREATE TABLE `t` (`id` int NOT NULL, `j` json DEFAULT NULL, PRIMARY KEY (`id`)) DEFAULT CHARSET=latin1;\n");
        task.write("a/d.t.0.sql", "INSERT INTO `t` VALUES (1,'{\"a\": \"ä\"}'),(2,NULL);\n");
        task.write("b/d.t.0.sql", "INSERT INTO `t` VALUES (3,'[1, 2]');\n");
        let ddl = task.dir.join("ddl.sql");
        let done = check(&task, &["-ddl-file", ddl.to_str().unwrap()]);
        assert!(!done.stdout.contains("PROBLEM"), "{}", done.shown());
        let text = std::fs::read_to_string(&ddl).unwrap();
        assert!(text.contains("`j` json"), "{text}");
        server.sql(format!("CREATE DATABASE IF NOT EXISTS d; {text}"));
        task.set("mydumper", "no-schema = true");
        check(&task, &[]).success();
        task.import();
        assert_eq!(
            server
                .value("SELECT GROUP_CONCAT(id,':',JSON_LENGTH(j) ORDER BY id) FROM d.t WHERE j IS NOT NULL"),
            "1:1,3:2"
        );
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "3");
    }
}
