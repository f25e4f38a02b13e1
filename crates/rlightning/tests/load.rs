//! What a load does with good input: packed files, columns, zones, strategies, other servers.

use std::io::Write;

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, alter_d_t, assert_no_ledger, assert_numbers, dumpling, numbered, rlightning};

fn server_with(kind: Kind, sql: &str) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(sql);
    Some(server)
}

const NO_KEY: &str = "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))";

#[test]
fn packed_and_plain_files_into_a_table_without_key() {
    let Some(server) = server_with(Kind::MySql8033, NO_KEY) else { return };
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, 20_000), 300));
    let text = dumpling("t", numbered(20_000, 5_000), 300);
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    task.write("a/d.t.1.sql.gz", gz.finish().unwrap());
    task.write(
        "b/d.t.2.sql.zst",
        zstd::encode_all(dumpling("t", numbered(25_000, 5_000), 300).as_bytes(), 1).unwrap(),
    );
    let mut snappy = snap::write::FrameEncoder::new(Vec::new());
    snappy.write_all(dumpling("t", numbered(30_000, 5_000), 300).as_bytes()).unwrap();
    task.write("c/d.t.3.sql.snappy", snappy.into_inner().unwrap());
    // Two frames, as parallel packers write them.
    let mut packed = Vec::new();
    for from in [35_000, 37_500] {
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(dumpling("t", numbered(from, 2_500), 300).as_bytes()).unwrap();
        packed.extend(lz4.finish().unwrap());
    }
    task.write("d/d.t.4.sql.lz4", packed);
    task.write("d/d.t.5.sql", dumpling("t", numbered(40_000, 5_000), 300));
    let xz =
        std::process::Command::new("xz").arg("-9").arg(task.dumps().join("d/d.t.5.sql")).status().unwrap();
    assert!(xz.success());
    assert!(task.dumps().join("d/d.t.5.sql.xz").exists());
    task.import();
    assert_numbers(&server, "d.t", 45_000);
    assert_no_ledger(&server);
}

#[test]
fn every_kind_of_server_is_a_target() {
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8015, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = server_with(kind, NO_KEY) else { continue };
        let task = Task::new(server.port()).small_batches();
        task.write("d.t.0.sql", dumpling("t", numbered(0, 3_000), 300));
        task.import();
        assert_numbers(&server, "d.t", 3_000);
    }
}

/// Tables and databases whose names differ in case only are different ones where the target's files are.
#[test]
fn names_that_differ_in_case() {
    let Some(server) =
        server_with(Kind::MySql8033, "CREATE DATABASE D; CREATE TABLE D.Tab (n bigint, c varchar(100))")
    else {
        return;
    };
    let mut task = Task::new(server.port());
    task.set("mydumper", "case-sensitive = true");
    for (schema, table, from) in [("D", "Tab", 0), ("D", "tab", 10), ("d", "Tab", 20)] {
        task.write(&format!("{schema}-schema-create.sql"), format!("CREATE DATABASE `{schema}`;\n"));
        task.write(
            &format!("{schema}.{table}-schema.sql"),
            format!("CREATE TABLE `{table}` (`n` bigint, `c` varchar(100));\n"),
        );
        task.write(&format!("{schema}.{table}.0.sql"), dumpling(table, numbered(from, 3), 2));
    }
    task.import();
    for (name, from) in [("D.Tab", 0), ("D.tab", 10), ("d.Tab", 20)] {
        let all = server.value(format!("SELECT GROUP_CONCAT(n ORDER BY n) FROM {name}"));
        assert_eq!(all, format!("{},{},{}", from, from + 1, from + 2), "{name}");
    }
}

#[test]
fn an_unknown_collation_is_mapped_and_reported() {
    let Some(server) = server_with(Kind::MySql57, "SELECT 1") else { return };
    let task = Task::new(server.port());
    task.write(
        "d-schema-create.sql",
        "CREATE DATABASE `d` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */;\n",
    );
    task.write("d.t-schema.sql", "CREATE TABLE `t` (\n `n` bigint NOT NULL,\n `c` varchar(99) DEFAULT NULL\n) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci;\n");
    task.write("d.t.0.sql", dumpling("t", numbered(0, 10), 3));
    task.import_expecting(
        LogCheck::new().require("collation-nearest-known.*utf8mb4_0900_ai_ci.*utf8mb4_unicode_520_ci"),
    );
    assert_numbers(&server, "d.t", 10);
}

#[test]
fn columns_find_their_places_by_name() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (c varchar(20), extra int NOT NULL DEFAULT 7, a int, src varchar(9), b int)",
    ) else {
        return;
    };
    let mut task = Task::new(server.port());
    task.write("one/d.t-schema.sql", "CREATE TABLE `t` (`a` int, `b` int, `gone` int, `c` varchar(20));\n");
    task.write(
        "one/d.t.0.sql",
        "INSERT INTO `t` VALUES\n(1,2,0,'x'),(3,NULL,0,'),(');\nINSERT INTO t (b,a,c) VALUES (6,5,'y');\n",
    );
    // `gone` is not in the target: refused before anything is written.
    task.fails("column `gone`");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
    task.set("mydumper", "ignore-columns = [{ db = 'd', table = 't', columns = ['Gone'] }]");
    task.import();
    let rows =
        server.value("SELECT GROUP_CONCAT(CONCAT_WS('|', a, IFNULL(b, 'N'), c, extra) ORDER BY a) FROM d.t");
    assert_eq!(rows, "1|2|x|7,3|N|),(|7,5|6|y|7");
}

#[test]
fn timestamps_are_read_in_the_zone_of_the_dump() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (n int, at timestamp NULL); SET GLOBAL time_zone = '-05:00'",
    ) else {
        return;
    };
    let text = "/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES (1,'2024-01-01 08:00:00');\n";
    let at_utc = |n: u32| {
        server.value(format!("SELECT CONVERT_TZ(at, @@session.time_zone, '+00:00') FROM d.t WHERE n = {n}"))
    };
    // As rdump records it.
    let task = Task::new(server.port());
    task.write("d.t.0.sql", text);
    let manifest = common::manifest::Manifest {
        dump: common::manifest::DumpHead {
            format: 1,
            session: common::manifest::Session {
                time_zone: "+08:00".into(),
                utc_offset: "+08:00".into(),
                offset_is_fixed: true,
                ..Default::default()
            },
            ..Default::default()
        },
        end: Some(Default::default()),
        ..Default::default()
    };
    task.write("rdump-manifest.jsonl", manifest.render());
    task.import_expecting(testkit::LogCheck::new().allow("the manifest of its folder does not know it"));
    assert_eq!(at_utc(1), "2024-01-01 00:00:00");
    // The command line wins.
    let task = Task::new(server.port());
    task.write("d.t.0.sql", text.replace("(1,", "(2,"));
    task.tool().args(["-source-time-zone", "+00:00"]).run().success();
    assert_eq!(at_utc(2), "2024-01-01 08:00:00");
    // The file's own words, as mysqldump and mydumper write them.
    let task = Task::new(server.port());
    task.write("d.t.0.sql", format!("/*!40103 SET TIME_ZONE='+01:00' */;\n{}", text.replace("(1,", "(3,")));
    task.import();
    assert_eq!(at_utc(3), "2024-01-01 07:00:00");
}

/// A double that the target has no text for goes in as an expression, whose texts keep the introducer of the dump's.
#[test]
fn an_introducer_stays_where_a_double_needs_an_expression() {
    let Some(server) = server_with(Kind::MySql8033, "CREATE DATABASE d; CREATE TABLE d.t (j json)") else {
        return;
    };
    let task = Task::new(server.port());
    let row = "(_utf8mb4'{\"é\":-2.4947112517894706e5}')";
    task.write("d.t.0.sql", format!("/*!40101 SET NAMES latin1*/;\nINSERT INTO `t` VALUES {row};\n"));
    task.import();
    assert_eq!(server.value("SELECT JSON_KEYS(j) FROM d.t"), "[\"é\"]");
    let exact = "SELECT JSON_EXTRACT(j, '$.\"é\"') + 0e0 = -2.4947112517894706e5 FROM d.t";
    assert_eq!(server.value(exact), "1");
}

#[test]
fn rows_that_are_legal_at_the_source_load() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (id int AUTO_INCREMENT PRIMARY KEY, day date, j json);
         CREATE TABLE d.parent (id int primary key);
         CREATE TABLE d.child (id int primary key, p int, FOREIGN KEY (p) REFERENCES d.parent (id))",
    ) else {
        return;
    };
    let task = Task::new(server.port());
    task.write("d.t.0.sql", "/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES (0,'0000-00-00','{\"a\": \"ä\"}'),(5,'2024-02-31',NULL);\n");
    task.write("d.child.0.sql", "INSERT INTO `child` VALUES (1,7);\n");
    task.write("d.parent.0.sql", "INSERT INTO `parent` VALUES (7);\n");
    task.import();
    let rows = server
        .value("SELECT GROUP_CONCAT(CONCAT_WS('|', id, day, IFNULL(j->>'$.a', 'N')) ORDER BY id) FROM d.t");
    assert_eq!(rows, "0|0000-00-00|ä,5|2024-02-31|N");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.child"), "1");
}

#[test]
fn strategies_for_duplicate_keys() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (n int PRIMARY KEY, c varchar(9)); INSERT INTO d.t VALUES (2,'old')",
    ) else {
        return;
    };
    let text = "INSERT INTO `t` VALUES (1,'new'),(2,'new'),(3,'new');\n";
    let all = || server.value("SELECT GROUP_CONCAT(n, c ORDER BY n) FROM d.t");
    let task = Task::new(server.port());
    task.write("d.t.0.sql", text);
    task.fails("Error 1062: Duplicate entry '2' for key");
    assert_eq!(all(), "2old");
    for (strategy, expected) in [("ignore", "1new,2old,3new"), ("replace", "1new,2new,3new")] {
        server.sql("DELETE FROM d.t WHERE n <> 2; UPDATE d.t SET c = 'old'");
        let mut task = Task::new(server.port());
        task.write("d.t.0.sql", text);
        task.set("conflict", &format!("strategy = '{strategy}'"));
        let said =
            LogCheck::new().require("rows met a duplicate key").allow("Detect 1 unique key conflict errors");
        task.import_expecting(said);
        assert_eq!(all(), expected, "{strategy}");
    }
    server.sql("DELETE FROM d.t WHERE n <> 2; UPDATE d.t SET c = 'old'");
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", text);
    task.set("conflict", "strategy = 'replace'\nthreshold = 0");
    task.fails("exceeds the threshold configured by `conflict.threshold`: '0'");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "1");
}

#[test]
fn a_table_that_keeps_nothing_is_let_through() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)) ENGINE=BLACKHOLE",
    ) else {
        return;
    };
    let task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, 1000), 100));
    task.import();
    assert_no_ledger(&server);
}

#[test]
fn what_stays_after_success_is_the_users_choice() {
    let Some(server) = server_with(Kind::MySql8033, NO_KEY) else { return };
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, 100), 10));
    task.set("checkpoint", "keep-after-success = 'origin'");
    task.import();
    // A second run finds everything done.
    task.import();
    assert_numbers(&server, "d.t", 100);
    task.tool().args(["-enable-checkpoint=false"]).run().success();
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "200");
    let listed = rlightning()
        .arg("ctl")
        .arg("-config")
        .arg(task.dir.join("tidb-lightning.toml"))
        .arg("-list")
        .run()
        .success();
    assert!(listed.stdout.contains("1 files"), "{}", listed.shown());
    rlightning()
        .arg("ctl")
        .arg("-config")
        .arg(task.dir.join("tidb-lightning.toml"))
        .arg("-checkpoint-remove=all")
        .run()
        .success();
    assert_no_ledger(&server);
}

#[test]
fn version_and_help() {
    let done = rlightning().arg("-V").run().success();
    assert!(done.stdout.starts_with("Release Version: "), "{}", done.shown());
    rlightning().arg("--version").run().success().says("Git Commit Hash:");
    rlightning().arg("-h").run().success().says("--config");
    rlightning().arg("-nonsense").run().expect_code(2);
}

#[test]
fn extracted_columns_are_appended() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (a int, b int, shard varchar(9), src varchar(9))",
    ) else {
        return;
    };
    let mut task = Task::new(server.port());
    for shard in ["s_1", "s_2"] {
        task.write(&format!("{shard}.t-schema.sql"), "CREATE TABLE `t` (`a` int, `b` int);\n");
        task.write(&format!("{shard}.t.0.sql"), "INSERT INTO `t` VALUES\n(1,2),\n(3,4);\n");
    }
    task.set("mydumper", "source-id = 'src-1'\nno-schema = true");
    task.route("s_*", "t", "d", "t");
    task.route_lines(
        "[routes.extract-schema]\nschema-regexp = 's_(.*)'\ntarget-column = 'shard'\n\
         [routes.extract-source]\nsource-regexp = '(.*)'\ntarget-column = 'src'\n",
    );
    task.import();
    let rows =
        server.value("SELECT GROUP_CONCAT(CONCAT_WS('|', a, b, shard, src) ORDER BY shard, a) FROM d.t");
    assert_eq!(rows, "1|2|1|src-1,3|4|1|src-1,1|2|2|src-1,3|4|2|src-1");
}

/// Sixteen connections, a file of 120 MB that is cut, into a table that keeps nothing: memory stays within its bound.
#[test]
fn memory_is_bounded() {
    let Some(server) = server_with(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100)) ENGINE=BLACKHOLE",
    ) else {
        return;
    };
    let mut task = Task::new(server.port());
    let text = dumpling("t", numbered(0, 250_000), 5000);
    for number in 0..8 {
        task.write(&format!("d.t.{number}.sql"), &text);
    }
    task.set("lightning", "region-concurrency = 16");
    let mut tool = task.tool().start();
    let (mut peak, mut anonymous) = (0, String::new());
    tool.wait_until(std::time::Duration::from_secs(120), "it ends", |tool| {
        let status = std::fs::read_to_string(format!("/proc/{}/status", tool.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        if kilobytes.unwrap_or(0) > peak {
            peak = kilobytes.unwrap_or(0);
            anonymous = status.lines().filter(|line| line.starts_with("Rss")).collect::<Vec<_>>().join(" ");
        }
        false
    });
    tool.finish(std::time::Duration::from_secs(10)).success();
    println!("peak {} MB, then {anonymous}", peak / 1024);
    assert!(peak > 0 && peak < 200 * 1024, "{peak} kB");
}

#[test]
fn rows_above_the_packet_limit_are_named() {
    let Some(server) =
        server_with(Kind::MySql8033, "CREATE DATABASE d; CREATE TABLE d.t (n int, c longtext)")
    else {
        return;
    };
    let mut task = Task::new(server.port());
    let big = "x".repeat(3 << 20);
    task.write("d.t.0.sql", format!("INSERT INTO t VALUES (1,'a'),(2,'{big}'),(3,'b');\n"));
    task.set("tidb", "max-allowed-packet = '2MiB'");
    task.fails("what begins at byte").says("max-allowed-packet");
    // The same rows under a larger limit; one row takes a statement of its own.
    let mut task = Task::new(server.port());
    task.write("d.t.0.sql", format!("INSERT INTO t VALUES (1,'a'),(2,'{big}'),(3,'b');\n"));
    task.set("tidb", "max-allowed-packet = '4MiB'");
    task.import();
    assert_eq!(
        server.value("SELECT GROUP_CONCAT(n, ':', LENGTH(c) ORDER BY n) FROM d.t"),
        "1:1,2:3145728,3:1"
    );
}

/// An ALTER between two runs looks like another table; the user who knows better says so.
#[test]
fn a_table_that_was_altered_can_be_accepted() {
    let Some(server) = server_with(Kind::MySql8033, NO_KEY) else { return };
    let task = Task::new(server.port()).small_batches();
    task.write("d.t.0.sql", dumpling("t", numbered(0, 4_000), 100));
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    alter_d_t(&server);
    task.fails("altered or created anew since");
    let config = task.dir.join("tidb-lightning.toml");
    rlightning()
        .arg("ctl")
        .arg("-config")
        .arg(config)
        .arg("-checkpoint-error-ignore=`d`.`t`")
        .run()
        .success();
    task.import();
    assert_numbers(&server, "d.t", 4_000);
}

/// The same source does not get into the same table a second time, unless the user asks for it.
#[test]
fn a_second_run_of_the_same_source() {
    let Some(server) = server_with(Kind::MySql8033, NO_KEY) else { return };
    let task = Task::new(server.port());
    let path = task.dumps().join("d.t.0.sql");
    task.write("d.t.0.sql", dumpling("t", numbered(0, 3_000), 100));
    let packed = zstd::encode_all(dumpling("t", numbered(3_000, 1_000), 1000).as_bytes(), 1).unwrap();
    task.write("x/d.t.1.sql.zst", packed);
    let good = std::fs::read(&path).unwrap();
    let rows = || server.value("SELECT COUNT(*) FROM d.t").parse::<u64>().unwrap();
    let said = || LogCheck::new().require("`d`.`t` got the 4000 rows of this source at").allow("`d`.`u` got");
    task.import();
    let done = task.import_expecting(said());
    assert!(done.stdout.contains("is left out. To import it again on purpose"), "{}", done.shown());
    assert_numbers(&server, "d.t", 4_000);
    // The same bytes with another time.
    std::fs::write(&path, &good).unwrap();
    task.import_expecting(said());
    assert_eq!(rows(), 4_000);
    // A new table next to it is imported.
    server.sql("CREATE TABLE d.u (n bigint, c varchar(100))");
    task.write("d.u.0.sql", dumpling("u", numbered(0, 10), 100));
    let done = task.tool().env("FAILPOINTS", "batch-before-commit=return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    task.import_expecting(said());
    assert_eq!(rows(), 4_000);
    assert_numbers(&server, "d.u", 10);
    // On purpose: with the table emptied, with the switch, with the mark removed.
    server.sql("TRUNCATE TABLE d.t");
    let two = LogCheck::new().require("table `d`.`u` got the 10 rows");
    task.import_expecting(two);
    assert_numbers(&server, "d.t", 4_000);
    task.tool().args(["-enable-checkpoint=false"]).run().success();
    assert_eq!(rows(), 8_000);
    let ctl = |option: &str| {
        let config = task.dir.join("tidb-lightning.toml");
        rlightning().arg("ctl").arg("-config").arg(config).arg(option).run().success()
    };
    assert!(ctl("-list").stdout.contains("finished `d`.`t` from "));
    ctl("-checkpoint-remove=`d`.`t`");
    server.sql("DELETE FROM d.t");
    task.import_expecting(LogCheck::new().require("table `d`.`u` got the 10 rows"));
    assert_numbers(&server, "d.t", 4_000);
    // Altered: only the user can tell.
    alter_d_t(&server);
    task.fails("was altered or created anew since")
        .says("-checkpoint-error-ignore=")
        .says("-checkpoint-remove=");
    assert_eq!(rows(), 4_000);
    ctl("-checkpoint-error-ignore=`d`.`t`");
    task.import_expecting(said());
    assert_eq!(rows(), 4_000);
    // Another byte in the middle is another source.
    let mut other = good.clone();
    let at = other.len() / 2 + other[other.len() / 2..].windows(3).position(|part| part == b"row").unwrap();
    other[at] = b'R';
    std::fs::write(&path, &other).unwrap();
    task.tool().run().success();
    assert_eq!(rows(), 8_000);
}

/// Doubles in JSON arrive bit by bit, at servers too that misread the text of many of them.
#[test]
fn doubles_in_json_arrive_exactly() {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let doubles = (0..3000).map(|n| match n % 4 {
        0 => next() as f64 / u64::MAX as f64,
        1 => f64::from_bits(next() >> 12),
        2 => f64::from_bits(next()),
        _ => -1e6 * (next() as f64 / u64::MAX as f64),
    });
    // The last one has no text that is read exactly: it goes by its path.
    let special = [0.040785546898809644, -0.0, f64::MAX, 1e23, -2.4947112517894706e5];
    let doubles: Vec<f64> = doubles.filter(|value| value.is_finite()).chain(special).collect();
    let documents: Vec<String> = doubles
        .chunks(5)
        .map(|part| {
            let all: Vec<String> = part.iter().map(|value| format!("{value:?}")).collect();
            format!(
                r#"{{"it's \"x\"": [{}], "s": "0.040785546898809644", "o": {{"a": {}}}}}"#,
                all.join(", "),
                all[0]
            )
        })
        .collect();
    let bits = |server: &Server, table: &str| -> Vec<u64> {
        let rows = server.rows(format!("SELECT CAST(j AS CHAR) FROM {table} ORDER BY n"));
        let numbers = |text: String| -> Vec<u64> {
            let parts = text.split(['[', ']', '{', '}', ',', ':', ' ', '"']);
            parts.filter_map(|part| part.parse::<f64>().ok()).map(f64::to_bits).collect()
        };
        rows.iter().flat_map(|row| numbers(row.text(0).unwrap())).collect()
    };
    let single =
        |text: &str| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('"', "\\\""));
    let converted = |text: &str| {
        format!("CONVERT(\"{}\" USING UTF8MB4)", text.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let rows = |literal: &dyn Fn(&str) -> String| -> Vec<String> {
        documents
            .iter()
            .enumerate()
            .map(|(n, text)| format!("({n},{},'0.040785546898809644')", literal(text)))
            .collect()
    };
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let tables: String = ["a", "b", "c", "d"]
            .iter()
            .map(|table| format!("CREATE TABLE d.{table} (n int PRIMARY KEY, j json, c varchar(30));"))
            .collect();
        let Some(server) = server_with(kind, &format!("CREATE DATABASE d; {tables}")) else { continue };
        let mut task = Task::new(server.port()).small_batches();
        // As Dumpling, as mydumper, with a column that is left out, as CSV.
        task.write("d.a.0.sql", dumpling("a", rows(&single).into_iter(), 30));
        task.write("d.b.0.sql", dumpling("b", rows(&converted).into_iter(), 30));
        let wide = rows(&single).into_iter().map(|row| row.replacen(',', ",7,", 1));
        task.write("d.c-schema.sql", "CREATE TABLE `c` (`n` int, `gone` int, `j` json, `c` varchar(30));\n");
        task.write("d.c.0.sql", dumpling("c", wide, 30));
        let csv: String = documents
            .iter()
            .enumerate()
            .map(|(n, text)| {
                let text = text.replace('\\', "\\\\").replace('"', "\\\"");
                format!("{n},\"{text}\",\"0.040785546898809644\"\n")
            })
            .collect();
        task.write("d.d.0.csv", format!("n,j,c\n{csv}"));
        task.set("mydumper", "ignore-columns = [{ db = 'd', table = 'c', columns = ['gone'] }]");
        task.import();
        let wanted: Vec<u64> = documents
            .iter()
            .zip(doubles.chunks(5))
            .flat_map(|(_, part)| {
                let mut all: Vec<u64> = part.iter().map(|value| value.to_bits()).collect();
                // In the order in which the server has the keys of the document.
                let string = 0.040785546898809644_f64.to_bits();
                match kind {
                    Kind::MariaDb1011 => all.extend([string, part[0].to_bits()]),
                    _ => all = [vec![part[0].to_bits()], vec![string], all].concat(),
                }
                all
            })
            .collect();
        for table in ["a", "b", "c", "d"] {
            let there = bits(&server, &format!("d.{table}"));
            assert_eq!(there.len(), wanted.len(), "{kind:?} {table}");
            let mut differ = there.iter().zip(&wanted).filter(|(there, wanted)| there != wanted);
            let first =
                differ.next().map(|(there, wanted)| (f64::from_bits(*there), f64::from_bits(*wanted)));
            assert_eq!(first, None, "{kind:?} {table}, and {} more", differ.count());
            let others =
                server.value(format!("SELECT COUNT(*) FROM d.{table} WHERE c<>'0.040785546898809644'"));
            assert_eq!(others, "0");
        }
    }
}
