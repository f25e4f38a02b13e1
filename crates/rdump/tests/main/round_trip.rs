//! What is dumped and loaded again is the same, on every server that can be had.

use common::dumpfile::Compression;
use testkit::{Kind, Options, Server};

use crate::support::{dump, files, load, manifest, metadata, rows, work_dir};

/// Rows with every byte of latin1, the holes of cp1252 too, and the limits of the common types.
fn fill(server: &Server) {
    server.sql(
        "CREATE DATABASE rt CHARACTER SET latin1;
         CREATE TABLE rt.bytes (id INT PRIMARY KEY, c VARCHAR(255), b VARBINARY(255)) DEFAULT CHARSET=latin1;
         CREATE TABLE rt.kinds (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, u BIGINT UNSIGNED, d DECIMAL(20,5), f DOUBLE,
           dt DATETIME(6), ts TIMESTAMP NULL, t TIME(3), y YEAR, e ENUM('a','b'), s SET('x','y'), bt BIT(10), bl BLOB, tx TEXT)
           DEFAULT CHARSET=utf8mb4;
         INSERT INTO rt.kinds VALUES
           (1,18446744073709551615,-1.5,1e300,'2024-02-29 12:34:56.123456','2024-06-30 12:00:00','-838:59:59',2155,'b','x,y',b'1000000001',x'00ff27','it''s \\\\ \"q\" \\n \\0 \\Z \u{1F600} 汉'),
           (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
           (3,0,0,-0.0,'1000-01-01','1970-01-02','00:00:00',1901,'a','',0,'','');
         CREATE TABLE rt.no_key (a INT, b VARCHAR(10)) DEFAULT CHARSET=latin1;
         INSERT INTO rt.no_key VALUES (1,'x'),(1,'x'),(NULL,NULL);",
    );
    let values: Vec<String> = (0x80..=0xff)
        .map(|byte| format!("({byte}, CONVERT(x'{byte:02x}41{byte:02x}' USING latin1), x'{byte:02x}00')"))
        .collect();
    server.sql(format!("INSERT INTO rt.bytes VALUES {}", values.join(",")));
    server.sql(
        "INSERT INTO rt.bytes SELECT 1, GROUP_CONCAT(LEFT(c, 1) ORDER BY id SEPARATOR ''), '' FROM rt.bytes",
    );
}

fn contents(server: &Server, table: &str) -> String {
    server.sql("SET SESSION group_concat_max_len = 1000000");
    let sum = server.rows(format!("CHECKSUM TABLE {table}"));
    sum.first().unwrap().str(1).unwrap().unwrap_or_default()
}

#[test]
fn every_byte_and_kind_comes_back_on_every_server() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        fill(&server);
        let all: Vec<String> = server
            .rows("SELECT HEX(c) FROM rt.bytes ORDER BY id")
            .iter()
            .map(|row| row.str(0).unwrap().unwrap())
            .collect();
        assert_eq!(all.len(), 129, "{kind}");
        assert_eq!(all[1 + 1], "814181", "{kind}: the hole of cp1252");
        let dir = work_dir();
        for (name, args) in [("plain", &[][..]), ("cut", &["-r", "20", "-F", "1KiB", "-s", "300", "-t", "3"])]
        {
            let out = dir.join(name);
            dump(&server, &[&["-B", "rt"], args].concat(), &out);
            assert_eq!(rows(&out, "rt.bytes").len(), 129, "{kind} {name}");
            let target = Server::start(kind, Options::default()).unwrap();
            load(&target, &out, "utf8mb4");
            for table in ["rt.bytes", "rt.kinds", "rt.no_key"] {
                assert_eq!(contents(&target, table), contents(&server, table), "{kind} {name} {table}");
            }
            let back: Vec<String> = target
                .rows("SELECT HEX(c) FROM rt.bytes ORDER BY id")
                .iter()
                .map(|row| row.str(0).unwrap().unwrap())
                .collect();
            assert_eq!(back, all, "{kind} {name}");
        }
        check_position(&server, &dir.join("plain"));
    }
}

/// The position is that of the server, which nobody has written to since.
fn check_position(server: &Server, out: &std::path::Path) {
    let source = metadata(out).source.unwrap();
    let statement = match server.kind() {
        Kind::MySql97 => "SHOW BINARY LOG STATUS",
        _ => "SHOW MASTER STATUS",
    };
    let now = server.rows(statement);
    let text = |i| now.first().unwrap().str(i).unwrap().unwrap_or_default();
    assert_eq!((source.file.clone(), source.pos.clone()), (text(0), text(1)));
    let gtid = match server.kind().is_mariadb() {
        true => server.value("SELECT @@global.gtid_binlog_pos"),
        false => text(4),
    };
    assert_eq!(source.gtid, gtid);
    assert!(!gtid.is_empty());
    let manifest = manifest(out);
    let start = manifest.dump.start.clone().unwrap();
    assert_eq!((start.file, start.pos), (source.file, source.pos));
    assert_eq!(manifest.dump.format, 1);
    assert_eq!(manifest.dump.server.server_id, u64::from(server.server_id()));
    let table = manifest.tables.iter().find(|line| line.table == "bytes").unwrap();
    assert_eq!((table.kind.as_str(), table.rows), ("table", Some(129)));
}

#[test]
fn the_time_zone_of_the_session_is_written_down() {
    for (zone, offset) in [("+08:00", "+08:00"), ("-03:30", "-03:30"), ("SYSTEM", "+00:00")] {
        let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default().time_zone(zone)) else {
            return;
        };
        server.sql("CREATE DATABASE z; CREATE TABLE z.t (a TIMESTAMP NULL); INSERT INTO z.t VALUES (FROM_UNIXTIME(1719748800))");
        let dir = work_dir();
        dump(&server, &["-B", "z"], &dir.join("o"));
        let session = manifest(&dir.join("o")).dump.session;
        assert_eq!(session.time_zone, zone);
        if zone != "SYSTEM" {
            assert_eq!((session.utc_offset.as_str(), session.time_zone_to_set()), (offset, Some(offset)));
            assert!(session.offset_is_fixed);
        }
        dump(&server, &["-B", "z", "--params", "time_zone=+00:00"], &dir.join("utc"));
        assert_eq!(manifest(&dir.join("utc")).dump.session.time_zone_to_set(), Some("+00:00"));
        assert_eq!(rows(&dir.join("utc"), "z.t"), ["('2024-06-30 12:00:00')"]);
    }
}

#[test]
fn awkward_names_and_hidden_columns() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE `w-schema.x`; CREATE DATABASE `b``q`;
         CREATE TABLE `w-schema.x`.`t/1%` (`a``` INT PRIMARY KEY, ```b` INT, `x,y` INT);
         INSERT INTO `w-schema.x`.`t/1%` VALUES (1,2,3);
         CREATE TABLE `b``q`.```edge``` (id INT PRIMARY KEY); INSERT INTO `b``q`.```edge``` VALUES (5);
         CREATE TABLE `b``q`.`d.o.t` (id INT PRIMARY KEY, h INT INVISIBLE, g INT AS (id + 1)); INSERT INTO `b``q`.`d.o.t` (id, h) VALUES (1, 7);
         CREATE TABLE `b``q`.hidden (h INT INVISIBLE, g INT AS (1)); INSERT INTO `b``q`.hidden (h) VALUES (3);
         CREATE TABLE `b``q`.generated (g INT AS (1), g2 INT AS (2) STORED); INSERT INTO `b``q`.generated () VALUES (), ();
         SET SESSION sql_generate_invisible_primary_key = ON;
         CREATE TABLE `b``q`.gipk (a INT); INSERT INTO `b``q`.gipk VALUES (9);",
    );
    let dir = work_dir();
    let out = dir.join("o");
    dump(&server, &["-r", "10"], &out);
    let all = files(&out);
    let text = |name: &str| String::from_utf8(all[name].clone()).unwrap();
    assert!(text("w%2Dschema%2Ex.t%2F1%25.000000000.sql").ends_with("INSERT INTO `t/1%` VALUES\n(1,2,3);\n"));
    assert!(text("b`q.`edge`.000000000.sql").ends_with("INSERT INTO ```edge``` VALUES\n(5);\n"));
    assert!(text("b`q.d%2Eo%2Et.000000000.sql").ends_with("INSERT INTO `d.o.t` (`id`,`h`) VALUES\n(1,7);\n"));
    assert!(text("b`q.hidden.000000000.sql").ends_with("INSERT INTO `hidden` (`h`) VALUES\n(3);\n"));
    assert!(text("b`q.generated.000000000.sql").ends_with("INSERT INTO `generated` VALUES\n(),\n();\n"));
    assert!(text("b`q.gipk.000000000.sql").ends_with("(`my_row_id`,`a`) VALUES\n(1,9);\n"));
    let target = Server::start(Kind::MySql8033, Options::default()).unwrap();
    load(&target, &out, "utf8mb4");
    assert_eq!(target.value("SELECT h FROM `b``q`.`d.o.t`"), "7");
    assert_eq!(target.value("SELECT COUNT(*) FROM `b``q`.generated"), "2");
    assert_eq!(target.value("SELECT ```b` FROM `w-schema.x`.`t/1%`"), "2");
}

#[test]
fn mariadb_sequences_and_versioned_tables() {
    let Some(server) = Server::start_or_skip(Kind::MariaDb1011, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE m; CREATE SEQUENCE m.s START WITH 5; DO NEXTVAL(m.s);
         CREATE TABLE m.v (a INT PRIMARY KEY) WITH SYSTEM VERSIONING; INSERT INTO m.v VALUES (1); UPDATE m.v SET a = 2;
         CREATE VIEW m.w AS SELECT a FROM m.v;",
    );
    let dir = work_dir();
    dump(&server, &["-B", "m", "--no-sequences=false", "-W=false"], &dir.join("o"));
    let all = files(&dir.join("o"));
    let sequence = String::from_utf8(all["m.s-schema-sequence.sql"].clone()).unwrap();
    assert!(
        sequence.starts_with("/*!40101 SET NAMES binary*/;\nSET FOREIGN_KEY_CHECKS=0;\nCREATE SEQUENCE `s`")
    );
    assert!(sequence.ends_with("\nSELECT SETVAL(`s`,1005);\n"), "{sequence}");
    assert_eq!(rows(&dir.join("o"), "m.v"), ["(2)"]);
    assert!(all.contains_key("m.w-schema-view.sql") && !all.contains_key("m.s-schema.sql"));
}

#[test]
fn which_tables_are_dumped() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE a; CREATE DATABASE b; CREATE DATABASE e;
         CREATE TABLE a.t1 (i INT); CREATE TABLE a.t2 (i INT); CREATE TABLE b.T1 (i INT PRIMARY KEY);
         INSERT INTO a.t1 VALUES (1); INSERT INTO b.T1 VALUES (1),(2),(3); CREATE VIEW a.v AS SELECT * FROM a.t1;",
    );
    let dir = work_dir();
    let names = |case: &str, args: &[&str]| -> Vec<String> {
        let out = dir.join(case);
        dump(&server, args, &out);
        files(&out)
            .into_keys()
            .filter(|name| name != "metadata" && name != common::dumpfile::MANIFEST)
            .collect()
    };
    assert_eq!(
        names("all", &[]),
        [
            "a-schema-create.sql",
            "a.t1-schema.sql",
            "a.t1.000000000.sql",
            "a.t2-schema.sql",
            "b-schema-create.sql",
            "b.T1-schema.sql",
            "b.T1.000000000.sql",
            "e-schema-create.sql"
        ]
    );
    assert_eq!(
        names("filter", &["-f", "*.t1", "--dump-empty-database=false"]),
        [
            "a-schema-create.sql",
            "a.t1-schema.sql",
            "a.t1.000000000.sql",
            "b-schema-create.sql",
            "b.T1-schema.sql",
            "b.T1.000000000.sql"
        ]
    );
    assert_eq!(
        names("case", &["-f", "*.t1", "--case-sensitive", "--dump-empty-database=false"]),
        ["a-schema-create.sql", "a.t1-schema.sql", "a.t1.000000000.sql"]
    );
    assert_eq!(names("list", &["-T", "b.T1", "-d"]), ["b-schema-create.sql", "b.T1-schema.sql"]);
    assert_eq!(
        names("view", &["-T", "a.v", "-c", "zstd"]),
        ["a-schema-create.sql.zst", "a.v-schema-view.sql.zst", "a.v-schema.sql.zst"]
    );
    assert_eq!(names("data", &["-m", "-B", "a,b"]), ["a.t1.000000000.sql", "b.T1.000000000.sql"]);
    assert_eq!(names("nothing", &["-f", "!a.t1"]), Vec::<String>::new());
    assert_eq!(names("where", &["-B", "b", "-m", "--where", "i > 1"]), ["b.T1.000000000.sql"]);
    assert_eq!(rows(&dir.join("where"), "b.T1"), ["(2)", "(3)"]);
    assert_eq!(
        names("sql", &["-S", "SELECT i, i * 2 AS `d\"x` FROM b.T1 ORDER BY i"]),
        ["result.000000000.csv"]
    );
    let csv = std::fs::read_to_string(dir.join("sql/result.000000000.csv")).unwrap();
    assert_eq!(csv, "\"i\",\"d\\\"x\"\r\n1,2\r\n2,4\r\n3,6\r\n");
    assert_eq!(Compression::None.suffix(), "");
}

/// Keys that hold NULL, are sparse, or are shared by many rows: no row is lost, none comes twice, `--where` or not.
#[test]
fn chunks_partition_every_table() {
    for kind in [Kind::MySql8033, Kind::MySql56, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(
            "CREATE DATABASE c; CREATE TABLE c.seed (n INT PRIMARY KEY);
             INSERT INTO c.seed VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
             CREATE TABLE c.plain (id BIGINT PRIMARY KEY, v INT);
             INSERT INTO c.plain SELECT a.n*100+b.n*10+c.n, a.n FROM c.seed a, c.seed b, c.seed c;
             CREATE TABLE c.edges (id BIGINT PRIMARY KEY); INSERT INTO c.edges VALUES (-9223372036854775808),(0),(9223372036854775807);
             INSERT INTO c.edges SELECT id + 5 FROM c.plain;
             CREATE TABLE c.wide (id BIGINT UNSIGNED PRIMARY KEY); INSERT INTO c.wide VALUES (0),(18446744073709551615);
             INSERT INTO c.wide SELECT id * 1000003 + 17 FROM c.plain;
             CREATE TABLE c.nullable (k INT NULL, v INT, UNIQUE KEY (k)); INSERT INTO c.nullable SELECT id, v FROM c.plain;
             INSERT INTO c.nullable SELECT NULL, v FROM c.plain LIMIT 110;
             CREATE TABLE c.many (k INT, v INT, KEY (k)); INSERT INTO c.many SELECT id % 7, v FROM c.plain;
             CREATE TABLE c.text (k VARCHAR(20) PRIMARY KEY); INSERT INTO c.text SELECT CONCAT('k', id) FROM c.plain;",
        );
        for table in ["plain", "edges", "wide", "nullable", "many", "text"] {
            server.sql(format!("ANALYZE TABLE c.{table}"));
        }
        let dir = work_dir();
        for (case, condition) in [("all", "TRUE"), ("where", "v IS NULL OR v < 5")] {
            for table in ["plain", "edges", "wide", "nullable", "many", "text"] {
                let has_v = matches!(table, "plain" | "nullable" | "many");
                let condition = if case == "where" && !has_v { "TRUE" } else { condition };
                let out = dir.join(format!("{case}-{table}"));
                let mut args = vec![
                    "-T".to_owned(),
                    format!("c.{table}"),
                    "-r".into(),
                    "100".into(),
                    "-t".into(),
                    "3".into(),
                ];
                if condition != "TRUE" {
                    args.extend(["--where".into(), condition.into()]);
                }
                dump(&server, &args.iter().map(String::as_str).collect::<Vec<_>>(), &out);
                let mut ours = rows(&out, &format!("c.{table}"));
                let cells = if has_v { "IFNULL(CAST(%k AS CHAR), 'NULL'), ',', v" } else { "%k" };
                let key = match table {
                    "plain" | "edges" | "wide" => "id",
                    _ => "k",
                };
                let quoted = if table == "text" {
                    "CONCAT('''', k, '''')".to_owned()
                } else {
                    cells.replace("%k", key)
                };
                let mut expected: Vec<String> = server
                    .rows(format!("SELECT CONCAT('(', {quoted}, ')') FROM c.{table} WHERE {condition}"))
                    .iter()
                    .map(|row| row.str(0).unwrap().unwrap())
                    .collect();
                ours.sort();
                expected.sort();
                assert!(
                    ours == expected,
                    "{kind} {case} {table}: {} rows instead of {}",
                    ours.len(),
                    expected.len()
                );
                let chunks = files(&out).keys().filter(|name| name.contains(".0000")).count();
                if case == "all" && table == "plain" {
                    assert!(chunks > 3, "{kind} {chunks} chunks");
                }
            }
        }
    }
}

/// Six digits, as the server prints them, would be other numbers.
#[test]
fn floats_are_exact() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(
            "CREATE DATABASE fl; CREATE TABLE fl.t (id INT PRIMARY KEY, f FLOAT, g FLOAT(9,3), d DOUBLE, u FLOAT UNSIGNED NOT NULL);
             INSERT INTO fl.t VALUES (1, 1234567.875, 1.5, 0.1, 0), (2, 0.1, 16777.217, 1e300, 3.4028234e38), (3, -1.17549435e-38, NULL, -0.0, 16777215),
               (4, NULL, 0, 5e-324, 1e-45), (5, 3.14159265, 123456.789, 3.14159265358979, 1e20)",
        );
        let dir = work_dir();
        for (name, args) in [("sql", &[][..]), ("complete", &["--complete-insert", "-r", "2"])] {
            let out = dir.join(name);
            dump(&server, &[&["-B", "fl"], args].concat(), &out);
            assert!(
                rows(&out, "fl.t")[0].starts_with("(1,1234567.9,1.500,0.1,0)"),
                "{kind} {:?}",
                rows(&out, "fl.t")
            );
            let target = Server::start(kind, Options::default()).unwrap();
            load(&target, &out, "utf8mb4");
            let exact = "SELECT GROUP_CONCAT(CONCAT_WS(',', id, f+0e0, g+0e0, d, u+0e0) ORDER BY id SEPARATOR ';') FROM fl.t";
            assert_eq!(target.value(exact), server.value(exact), "{kind} {name}");
        }
        dump(&server, &["-B", "fl", "--dumpling-bytes"], &dir.join("six"));
        assert!(rows(&dir.join("six"), "fl.t")[0].starts_with("(1,1234570,"), "{kind}");
    }
}
