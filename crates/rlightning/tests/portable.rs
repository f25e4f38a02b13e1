//! A folder of `rdump --portable` is imported as any other: its heads hold, and its files of programs are left alone.

use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_no_ledger, rlightning};

const HEAD: &str = "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES utf8mb4*/;\n/*!40103 SET TIME_ZONE='+00:00'*/;\n\
     /*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'*/;\n";

const MARIADB_HEAD: &str = "/*!40101 SET NAMES utf8mb4*/;\nSET FOREIGN_KEY_CHECKS=0;\n/*!40103 SET TIME_ZONE='+00:00'*/;\n\
     /*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'*/;\n";

const TABLE: &str = "CREATE TABLE `zéro` (\n  `id` int(11) NOT NULL AUTO_INCREMENT,\n  `c` varchar(40) CHARACTER SET latin1 DEFAULT NULL,\n  \
     `b` varbinary(40) DEFAULT NULL,\n  `dt` datetime DEFAULT NULL,\n  `d` date DEFAULT NULL,\n  `ts` timestamp NOT NULL DEFAULT '2024-01-01 \
     00:00:00',\n  `z` timestamp NOT NULL DEFAULT '0000-00-00 00:00:00',\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB AUTO_INCREMENT=8 \
     DEFAULT CHARSET=utf8mb4 COMMENT='naïve 漢字';\n";

const ROWS: &str = "INSERT INTO `zéro` VALUES\n(0,'\u{81}é€ it''s \\n\\0\\Z',x'00ff275c','0000-00-00 00:00:00','2024-02-31','2024-06-30 \
     03:04:05','1970-01-01 00:00:01'),\n(7,'',x'',NULL,NULL,'2024-03-31 02:30:00','0000-00-00 00:00:00');\n";

const TRIGGER: &str = "DELIMITER ;;\nSET SESSION sql_mode = '' ;;\nSET SESSION character_set_client = 'utf8mb4' ;;\n\
     CREATE DEFINER=`root`@`localhost` TRIGGER `t` BEFORE INSERT ON `zéro` FOR EACH ROW BEGIN SET NEW.c = 'no'; END\n;;\nDELIMITER ;\n";

const POST: &str = "DELIMITER ;;\nSET SESSION sql_mode = '' ;;\nCREATE DEFINER=`root`@`localhost` PROCEDURE `p`() BEGIN DROP TABLE `zéro`; \
     END\n;;\nDELIMITER ;\n";

const VIEW: &str = "DROP TABLE IF EXISTS `seen`;\nDROP VIEW IF EXISTS `seen`;\n\
     SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\nSET character_set_client = utf8mb4;\n\
     CREATE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW `seen` AS select `zéro`.`id` AS `id` from `zéro`;\n\
     SET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n";

#[test]
fn a_portable_folder() {
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MariaDb1011] {
        let options = Options::default().time_zone("-05:00");
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        server.sql("GRANT CREATE VIEW, SHOW VIEW ON *.* TO target");
        let task = Task::new(server.port());
        let head = if kind.is_mariadb() { MARIADB_HEAD } else { HEAD };
        let write = |name: &str, text: &str| task.write(name, format!("{head}{text}"));
        write("pt-schema-create.sql", "CREATE DATABASE `pt` /*!40100 DEFAULT CHARACTER SET latin1 */;\n");
        write("pt.zéro-schema.sql", TABLE);
        write("pt.zéro-schema-trigger.sql", TRIGGER);
        write("pt-schema-post.sql", POST);
        write("pt.zéro.000000000.sql", ROWS);
        write("pt.seen-schema.sql", "CREATE TABLE `seen`(\n`id` int\n)ENGINE=MyISAM;\n");
        write("pt.seen-schema-view.sql", VIEW);
        // The DDL that the adviser prints is for a client's session in the target's zone.
        let ddl = task.dir.join("target.sql");
        let check = rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml"));
        drop(task.tool());
        let checked = check.arg("-ddl-file").arg(&ddl).run();
        let ddl = std::fs::read_to_string(&ddl).unwrap_or_else(|_| panic!("{}", checked.shown()));
        server.sql(format!("{ddl} SET SESSION sql_mode = ''; INSERT INTO pt.`zéro` (c) VALUES ('')"));
        assert_eq!(server.value("SELECT UNIX_TIMESTAMP(ts) FROM pt.`zéro`"), "1704067200", "{kind}: {ddl}");
        server.sql("DROP DATABASE pt");
        task.import();
        let rows = server.rows(
            "SELECT id, HEX(c), HEX(b), COALESCE(dt, '-'), COALESCE(d, '-'), UNIX_TIMESTAMP(ts), UNIX_TIMESTAMP(z) FROM pt.`zéro` \
             ORDER BY id",
        );
        let cells: Vec<String> = rows
            .iter()
            .map(|row| (0..7).map(|i| row.text(i).unwrap()).collect::<Vec<_>>().join("|"))
            .collect();
        assert_eq!(
            cells,
            [
                "0|81E9802069742773200A001A|00FF275C|0000-00-00 00:00:00|2024-02-31|1719716645|1",
                "7|||-|-|1711852200|0"
            ],
            "{kind}"
        );
        server.sql("INSERT INTO pt.`zéro` (c) VALUES ('a default')");
        let default = "SELECT UNIX_TIMESTAMP(ts) FROM pt.`zéro` WHERE c = 'a default'";
        assert_eq!(server.value(default), "1704067200", "{kind}: 2024-01-01 in UTC");
        assert_eq!(server.value("SELECT id FROM pt.`zéro` WHERE c = 'a default'"), "8");
        assert_eq!(server.value("SELECT COUNT(*) FROM pt.seen"), "3", "{kind}");
        for programs in ["TRIGGERS WHERE TRIGGER_SCHEMA", "ROUTINES WHERE ROUTINE_SCHEMA"] {
            let count = server.value(format!("SELECT COUNT(*) FROM information_schema.{programs} = 'pt'"));
            assert_eq!(count, "0", "{kind}: {programs}");
        }
        assert_no_ledger(&server);
    }
}
