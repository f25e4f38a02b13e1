//! Rows that refer to rows that are not there: loaded as the dump has them, and said.

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_no_ledger};

const TABLES: &str = "CREATE DATABASE d; CREATE DATABASE e; \
     CREATE TABLE e.`par``ent` (a int, b varchar(20), PRIMARY KEY (a, b)); \
     CREATE TABLE d.child (id int PRIMARY KEY, x int, y varchar(20), boss int, \
       CONSTRAINT two FOREIGN KEY (x, y) REFERENCES e.`par``ent` (a, b), CONSTRAINT own FOREIGN KEY (boss) REFERENCES d.child (id)); \
     CREATE TABLE d.other (id int PRIMARY KEY, x int, CONSTRAINT other FOREIGN KEY (x) REFERENCES d.child (id))";

#[test]
fn they_are_counted_for_each_foreign_key() {
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(TABLES);
        // Not a table of the dump: its foreign key is not looked at.
        server.sql("SET foreign_key_checks=0; INSERT INTO d.other VALUES (1, 1000)");
        let mut task = Task::new(server.port());
        task.write("e.par`ent.0.sql", "INSERT INTO `par``ent` VALUES (1,'a'),(2,'b');\n");
        // Rows 2, 3 and 6 refer to nothing; a NULL in one column refers to nothing rightly.
        task.write(
            "d.child.0.sql",
            "INSERT INTO `child` VALUES (1,1,'a',2),(2,1,'b',NULL),(3,9,'a',1),(4,NULL,'z',4),(5,9,NULL,NULL),(6,7,'secret',1987654321);\n",
        );
        let warned = || {
            LogCheck::new()
                .require("refer to no row of `e`.`par``ent`")
                .require("refer to no row of `d`.`child`")
        };
        let done = task.import_expecting(warned());
        for said in [
            "3 rows of `d`.`child` refer to no row of `e`.`par``ent` (foreign key `two`; least value of x,y: 1)",
            "1 rows of `d`.`child` refer to no row of `d`.`child` (foreign key `own`; least value of boss: 1987654321)",
        ] {
            assert!(done.stdout.contains(said), "{kind:?}: {}", done.shown());
        }
        assert_eq!(done.stdout.matches("refer to no row").count(), 2, "{}", done.shown());
        assert_eq!(server.value("SELECT COUNT(*) FROM d.child"), "6");
        assert_no_ledger(&server);
        // What is hidden stays hidden; what holds is not spoken of.
        server.sql("SET foreign_key_checks=0; TRUNCATE d.child; TRUNCATE e.`par``ent`");
        task.set("security", "redact-info-log = true");
        let done = task.import_expecting(warned());
        assert!(done.stdout.contains("least value of boss: (hidden)"), "{}", done.shown());
        assert!(!done.stdout.contains("1987654321"), "{}", done.shown());
        server.sql("SET foreign_key_checks=0; TRUNCATE d.child; DELETE FROM d.other");
        let good = Task::new(server.port());
        good.write(
            "d.child.0.sql",
            "INSERT INTO `child` VALUES (1,1,'a',2),(2,2,'b',1),(3,NULL,'q',NULL);\n",
        );
        assert!(!good.import().stdout.contains("refer to no row"));
    }
}

/// Names in another case than the target's, and a foreign key to a table that the account may not read.
#[test]
fn one_that_cannot_be_looked_at_hides_no_other() {
    let options = Options::default().with("lower_case_table_names=1");
    let Some(server) = Server::start_or_skip(Kind::MySql57, options) else { return };
    server.sql(TABLES);
    server.sql(
        "REVOKE ALL ON *.* FROM target; GRANT ALL ON d.* TO target; GRANT ALL ON lightning_task_info.* TO target",
    );
    let task = Task::new(server.port());
    task.write(
        "D.Child.0.sql",
        "INSERT INTO `Child` VALUES (1,1,'a',2),(2,1,'b',NULL),(3,9,'a',1),(6,7,'z',77);\n",
    );
    let done = task.import_expecting(
        LogCheck::new().require("foreign key could not be looked at").require("refer to no row of"),
    );
    assert!(done.stdout.contains("1 rows of `D`.`child` refer to no row of `d`.`child`"), "{}", done.shown());
}
