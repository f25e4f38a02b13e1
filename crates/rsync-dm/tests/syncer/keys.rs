//! Shards whose key columns have other types: rows that meet in one key of the target keep their order.

use testkit::{Kind, Options, Server, WorkDir};

use super::rig::{Rig, position, stop};

/// Moves of keys from one shard to the other, each in a transaction of its own.
const MOVES: usize = 1500;
/// Keys that are moved.
const KEYS: usize = 12;

fn moves_between(a: &str, b: &str, target: &str, value: impl Fn(usize) -> String) {
    let Some(source) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let Some(target_server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let mut rig = Rig {
        sources: vec![source],
        target: target_server,
        dir: WorkDir::new("keys").unwrap(),
        gtid: false,
        task: "routes:\n  r: {schema-pattern: d, table-pattern: 't*', target-schema: d, target-table: m}\n\
               block-allow-list:\n  all: {do-dbs: [d]}\n"
            .into(),
        rows: 0,
        meta: Vec::new(),
    };
    let source = &rig.sources[0];
    source.sql(format!(
        "CREATE DATABASE d; CREATE TABLE d.t1 (k {a} PRIMARY KEY, n int); CREATE TABLE d.t2 (k {b} PRIMARY KEY, n int)"
    ));
    rig.target.sql(format!("CREATE DATABASE d; CREATE TABLE d.m (k {target} PRIMARY KEY, n int)"));
    let start = position(source);
    let mut sql: String =
        (0..KEYS).map(|key| format!("INSERT INTO d.t1 VALUES ({},0);", value(key))).collect();
    let mut in_first = [true; KEYS];
    let mut seed = 7_usize;
    for n in 1..=MOVES {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = (seed >> 33) % KEYS;
        let (from, to) = if in_first[key] { ("t1", "t2") } else { ("t2", "t1") };
        in_first[key] = !in_first[key];
        let k = value(key);
        sql.push_str(&format!("DELETE FROM d.{from} WHERE k={k}; INSERT INTO d.{to} VALUES ({k},{n});"));
    }
    source.sql(sql);
    rig.meta = vec![start];
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("Duplicate entry") && !log.contains("ER_KEY_NOT_FOUND"), "{log}");
    let union = "SELECT GROUP_CONCAT(k+0, ':', n ORDER BY k+0) FROM";
    let shards = "(SELECT k+0 AS k, n FROM d.t1 UNION ALL SELECT k+0, n FROM d.t2) u";
    assert_eq!(rig.target.value(format!("{union} d.m")), rig.sources[0].value(format!("{union} {shards}")));
}

#[test]
fn numbers_with_other_scales() {
    moves_between("decimal(10,2)", "decimal(10,1)", "decimal(10,2)", |key| format!("{key}.5"));
}

#[test]
fn numbers_and_text() {
    moves_between("int", "varchar(20)", "int", |key| key.to_string());
}
