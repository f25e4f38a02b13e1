//! The job of the issue: many sources under one parent, merged by routes.

use std::fs;

use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_no_ledger, unpack_shards};

const MERGED: &str = "(id bigint NOT NULL, sid bigint NOT NULL, pid bigint NOT NULL, comment varchar(255), KEY (id), UNIQUE KEY sid (sid))";

fn merge_task(server: &Server) -> Task {
    let mut task = Task::new(server.port());
    unpack_shards(&task.dumps());
    task.set("mydumper", "no-schema = true\nfilter = ['my_db1.table[12]', 'my_db2.table[1234]']");
    task.route("my_db1", "table[1-2]", "my_db", "table5").route("my_db2", "table[1-2]", "my_db", "table6");
    task
}

fn create_targets(server: &Server, charset: &str) {
    server.sql(format!(
        "CREATE DATABASE my_db; CREATE DATABASE my_db2;
         CREATE TABLE my_db.table5 {MERGED} CHARSET={charset}; CREATE TABLE my_db.table6 {MERGED} CHARSET={charset};
         CREATE TABLE my_db2.table3 {MERGED} CHARSET={charset}; CREATE TABLE my_db2.table4 {MERGED} CHARSET={charset}"
    ));
}

/// Loads each folder into schemas of its own, as a plain client would.
fn stage(server: &Server, task: &Task) {
    for folder in ["my_db1_1", "my_db1_2", "my_db2_1", "my_db2_2"] {
        server.sql(format!("CREATE DATABASE stage_{folder}"));
        let mut files: Vec<_> =
            fs::read_dir(task.dumps().join(folder)).unwrap().map(|file| file.unwrap().path()).collect();
        // Schema files sort behind the data files of their table.
        files.sort_by_key(|path| !path.to_string_lossy().contains("-schema"));
        for file in files.iter().filter(|path| path.to_string_lossy().ends_with(".sql")) {
            if file.to_string_lossy().contains("-schema-create") {
                continue;
            }
            let text = fs::read_to_string(file).unwrap().replace("SET NAMES binary", "SET NAMES utf8mb4");
            server.sql(format!("USE stage_{folder};{text}"));
        }
    }
}

fn assert_merged(server: &Server) {
    for (target, sources) in [
        ("my_db.table5", vec!["my_db1_1.table1", "my_db1_1.table2", "my_db1_2.table1", "my_db1_2.table2"]),
        ("my_db.table6", vec!["my_db2_1.table1", "my_db2_1.table2", "my_db2_2.table1", "my_db2_2.table2"]),
        ("my_db2.table3", vec!["my_db2_1.table3", "my_db2_2.table3"]),
        ("my_db2.table4", vec!["my_db2_1.table4", "my_db2_2.table4"]),
    ] {
        let union: Vec<String> = sources
            .iter()
            .map(|source| format!("SELECT id,sid,pid,HEX(comment) c FROM stage_{source}"))
            .collect();
        let hash = |rows: &str| {
            server.value(format!(
                "SELECT CONCAT(COUNT(*), ' ', COALESCE(MD5(GROUP_CONCAT(CONCAT_WS(',', id, sid, pid, c) ORDER BY sid)), '')) FROM ({rows}) q"
            ))
        };
        server.sql("SET GLOBAL group_concat_max_len = 100000000");
        let (found, expected) = (
            hash(&format!("SELECT id,sid,pid,HEX(comment) c FROM {target}")),
            hash(&union.join(" UNION ALL ")),
        );
        assert!(!expected.starts_with("0 "), "{target} has no rows to compare");
        assert_eq!(found, expected, "{target}");
    }
}

#[test]
fn shards_of_two_servers_are_merged() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    create_targets(&server, "latin1");
    let mut task = merge_task(&server);
    task.set("cron", "log-progress = '1s'");
    stage(&server, &task);
    task.import();
    assert_merged(&server);
    assert_no_ledger(&server);
    assert!(task.log_text().contains("[progress] [total="), "{}", task.log_text());
}

/// Without `no-schema` the tables come from the schema files, under their routed names.
#[test]
fn schemas_are_created_from_the_dump() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let mut task = Task::new(server.port());
    unpack_shards(&task.dumps());
    // The primary keys of the shards repeat, so each source gets a schema of its own.
    fs::remove_dir_all(task.dumps().join("my_db1_2")).unwrap();
    fs::remove_dir_all(task.dumps().join("my_db2_2")).unwrap();
    task.route("my_db1", "table1", "merged", "first").route("my_db2", "table4", "merged", "second");
    task.import();
    let create = server.value("SELECT TABLE_COLLATION FROM information_schema.TABLES WHERE TABLE_SCHEMA='merged' AND TABLE_NAME='first'");
    assert_eq!(create, "latin1_swedish_ci");
    let tables = server.rows("SELECT CONCAT(TABLE_SCHEMA,'.',TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA IN ('merged','my_db1','my_db2') ORDER BY 1");
    let names: Vec<String> = tables.iter().map(|row| row.str(0).unwrap().unwrap()).collect();
    assert_eq!(
        names,
        ["merged.first", "merged.second", "my_db1.table2", "my_db2.table1", "my_db2.table2", "my_db2.table3"]
    );
    assert_no_ledger(&server);
}

/// Every byte 0x80 to 0xFF of a latin1 source, in text and in binary columns, into tables of either character set.
#[test]
fn all_bytes_arrive_in_latin1_and_utf8mb4() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    for charset in ["latin1", "utf8mb4"] {
        let db = format!("b_{charset}");
        server.sql(format!(
            "CREATE DATABASE {db}; CREATE TABLE {db}.t (id int primary key, c varchar(20), b varbinary(9)) CHARSET={charset};
             CREATE TABLE {db}.expected (id int primary key, c varchar(20) CHARACTER SET latin1, b varbinary(9))"
        ));
        for byte in 0x80..=0xFF {
            server.sql(format!(
                "INSERT INTO {db}.expected VALUES ({byte}, CONVERT(CONCAT('x', UNHEX('{byte:02x}'), 'y') USING latin1), UNHEX('{byte:02x}'))"
            ));
        }
        // As Dumpling reads it: text over a connection in utf8mb4, binary in hexadecimal.
        let rows = server
            .rows(format!("SELECT id, CONVERT(c USING utf8mb4), HEX(b) FROM {db}.expected ORDER BY id"));
        let rows: Vec<String> = rows
            .iter()
            .map(|row| {
                format!("({},'{}',x'{}')", row.text(0).unwrap(), row.text(1).unwrap(), row.text(2).unwrap())
            })
            .collect();
        let task = Task::new(server.port());
        task.write(&format!("{db}.t.0.sql"), crate::support::dumpling("t", rows.into_iter(), 50));
        task.import();
        let same = server.value(format!(
            "SELECT COUNT(*) FROM {db}.t a JOIN {db}.expected b USING (id) WHERE HEX(CONVERT(a.c USING latin1)) = HEX(b.c) AND HEX(a.b) = HEX(b.b)"
        ));
        assert_eq!(same, "128", "{charset}");
    }
}
