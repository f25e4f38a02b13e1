//! What the real Dumpling wrote (all its options), loaded, is what `zoo.sql` loaded by the client is.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, rlightning};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../rdump/tests/fixtures").join(name)
}

const SCHEMAS: [&str; 3] = ["zoo", "od.d-db", "empty_db"];

/// Structure and checksum of every table.
fn state(server: &Server, with_rows: bool) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for schema in SCHEMAS {
        found.insert(schema.to_owned(), server.value(format!("SHOW CREATE DATABASE `{schema}`")));
        let tables = server.rows(format!(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{schema}' AND TABLE_TYPE = 'BASE TABLE'"
        ));
        for row in tables.iter() {
            let table = row.text(0).unwrap();
            let name = format!("`{schema}`.`{table}`");
            let create = server.rows(format!("SHOW CREATE TABLE {name}"));
            let create = create.first().unwrap().text(1).unwrap();
            // The counter of an InnoDB table is not a part of its rows.
            let mut words: Vec<&str> = create.split(' ').collect();
            words.retain(|word| !word.starts_with("AUTO_INCREMENT="));
            // MariaDB does not execute MySQL 8's comment for invisible columns: what it cannot be told.
            words.retain(|word| !server.kind().is_mariadb() || *word != "INVISIBLE");
            // Nor is whether a character set was written or inherited.
            while let Some(at) = words.windows(2).position(|pair| pair == ["CHARACTER", "SET"]) {
                words.drain(at..(at + 3).min(words.len()));
            }
            let sum = if with_rows {
                let rows = server.rows(format!("CHECKSUM TABLE {name} EXTENDED"));
                rows.first().unwrap().text(1).unwrap()
            } else {
                server.value(format!("SELECT COUNT(*) FROM {name}"))
            };
            found.insert(name, format!("{} {sum}", words.join(" ")));
        }
    }
    found
}

fn drop_all(server: &Server) {
    for schema in SCHEMAS {
        server.sql(format!("DROP DATABASE IF EXISTS `{schema}`"));
    }
}

fn assert_nothing_is_wrong(task: &Task) {
    drop(task.tool());
    let done =
        rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml")).run().success();
    assert!(!done.stdout.contains("PROBLEM"), "{}", done.shown());
}

fn configure(task: &mut Task, folder: &str) {
    match folder {
        "csv_opts" => {
            task.set(
                "mydumper.csv",
                "separator = '|+|'\ndelimiter = \"'\"\nnull = 'nil'\nheader = false\nterminator = \"\\r\\n\"\n\
                 quoted-null-is-text = true\nbinary-encoding = 'hex'",
            );
        }
        "csv_noesc" => {
            task.set("mydumper.csv", "terminator = \"\\r\\n\"\nescaped-by = ''\nquoted-null-is-text = true");
        }
        "csv" => {
            task.set("mydumper.csv", "terminator = \"\\r\\n\"");
        }
        "noesc" => {
            task.set("tidb", "sql-mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,NO_BACKSLASH_ESCAPES'");
        }
        "tmpl" => {
            // Only the built-in rules undo the escapes of names; these four have a rule of their own.
            let mut rules = String::from("default-file-rules = true");
            for (file, schema, table) in [
                ("od%2Ed-db__we ird%2Fna%5Cme", "od.d-db", "we ird/na\\me"),
                ("od%2Ed-db__汉字", "od.d-db", "汉字"),
                ("zoo__dot%2Eted", "zoo", "dot.ted"),
                ("zoo__per%25cent", "zoo", "per%cent"),
                ("(?P<db>[^/]+?)__(?P<table>[^/]+)", "$db", "$table"),
            ] {
                let _ = write!(
                    rules,
                    "\n[[mydumper.files]]\npattern = '^(?:[^/]*/)*{file}__(?P<index>[0-9]+)\\.sql$'\nschema = '{schema}'\n\
                     table = '{table}'\ntype = 'sql'\nkey = '$index'"
                );
            }
            task.set("mydumper", &rules);
        }
        _ => {}
    }
}

#[test]
fn every_folder_of_dumpling_is_the_schema_it_came_from() {
    for kind in [Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(std::fs::read(fixture("zoo.sql")).unwrap());
        server.sql("DROP TRIGGER zoo.trg");
        let expected = state(&server, true);
        for folder in [
            "default",
            "rows",
            "filesize",
            "stmt",
            "csv",
            "csv_opts",
            "csv_noesc",
            "noesc",
            "complete",
            "nodata",
            "noviews",
            "gzip",
            "zstd",
            "snappy",
            "tmpl",
        ] {
            drop_all(&server);
            let mut task = Task::new(server.port());
            let archive = fixture("outputs-mysql97.tar.gz");
            let status = Command::new("tar")
                .arg("xzf")
                .arg(&archive)
                .arg("-C")
                .arg(task.dumps())
                .arg(format!("./{folder}"))
                .status()
                .unwrap();
            assert!(status.success());
            configure(&mut task, folder);
            println!("{kind:?} {folder}");
            if folder == "noviews" {
                task.fails("missing privilege CREATE VIEW");
                let account = server
                    .value("SELECT CONCAT(user, '@', QUOTE(host)) FROM mysql.user WHERE user = 'target'");
                server.sql(format!("GRANT ALL ON *.* TO {account}"));
            }
            // What loads is nothing that the check warns of: before the tables are there, and after.
            assert_nothing_is_wrong(&task);
            task.import_expecting(LogCheck::new().allow("collation-nearest-known"));
            assert_nothing_is_wrong(&task);
            let found = state(&server, folder != "nodata");
            if folder == "nodata" {
                assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
                assert!(found.values().all(|value| !value.contains("CREATE TABLE") || value.ends_with(" 0")));
                continue;
            }
            for (name, value) in &expected {
                assert_eq!(found.get(name), Some(value), "{kind:?} {folder} {name}");
            }
            if folder == "noviews" {
                assert_eq!(server.value("SELECT COUNT(*) FROM zoo.v2"), "2");
            }
        }
    }
}
