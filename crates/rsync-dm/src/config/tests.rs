use std::path::PathBuf;

use common::{cipher::Key, error::DmError};
use mysql::Flavor;

use super::*;

const SOURCE: &str = include_str!("../../tests/fixtures/source.yaml");
const TASK: &str = include_str!("../../tests/fixtures/task.yaml");

fn source(text: &str) -> Result<SourceConfig, common::error::DmError> {
    SourceConfig::parse(text, "source.yaml", None)
}

fn task(text: &str) -> Result<TaskConfig, common::error::DmError> {
    TaskConfig::parse(text, "task.yaml", None)
}

/// The task of the fixture with one text replaced.
fn with(from: &str, to: &str) -> Result<TaskConfig, common::error::DmError> {
    assert!(TASK.contains(from), "{from}");
    task(&TASK.replacen(from, to, 1))
}

fn code(result: Result<TaskConfig, common::error::DmError>) -> u32 {
    match result {
        Ok(_) => 0,
        Err(e) => e.code().code,
    }
}

#[test]
fn the_golden_source_is_read() {
    let s = source(SOURCE).unwrap();
    assert_eq!(s.source_id, "mysql-01");
    assert!(s.enable && s.enable_gtid);
    assert_eq!(s.from.to_string(), "127.0.0.1:13316");
    assert_eq!(s.from.user, "dm");
    assert_eq!(s.from.password.expose(), "dmpass");
    assert_eq!(s.flavor, None);
    assert_eq!(s.server_id, 0);
}

#[test]
fn a_settled_source_is_printed_as_dm_prints_it() {
    let mut s = source(SOURCE).unwrap();
    s.settle(Flavor::MySql, 429_512_011);
    let text = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/dmctl/get-config-source.json"
    ))
    .unwrap();
    let golden: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(s.to_masked_text(), golden["cfg"].as_str().unwrap());
    let again = source(&s.to_text()).unwrap();
    assert_eq!(again, s);
}

#[test]
fn source_errors_have_their_codes() {
    let code = |text: &str| source(text).unwrap_err().code().code;
    assert_eq!(code(""), 20003);
    assert_eq!(code("source-id: a\nnope: 1\nfrom: {host: h}"), 20003);
    assert_eq!(code("source-id: a\nsource-id: b\n"), 20003);
    assert_eq!(code("from: {host: h}"), 20005);
    assert_eq!(code(&format!("source-id: {}\nfrom: {{host: h}}", "x".repeat(33))), 20006);
    assert_eq!(code("source-id: a\nflavor: oracle\nfrom: {host: h}"), 11010);
    assert_eq!(code("source-id: a\nchecker: {backoff-max: 10ms}\nfrom: {host: h}"), 20043);
    assert_eq!(
        code("source-id: a\nfilters: [{schema-pattern: a, events: [x], action: Do}]\nfrom: {host: h}"),
        20037
    );
    assert_eq!(code("source-id: a\nrelay-binlog-name: x\nfrom: {host: h}"), 40007);
    assert_eq!(code("source-id: a\nenable-relay: true\nfrom: {host: h}"), 20003);
    assert_eq!(code("source-id: a"), 20003);
    let e = source("source-id: a\nfrom: {host: h, passwort: x}").unwrap_err();
    assert!(e.raw_cause().contains("from.passwort"), "{e}");
}

#[test]
fn encrypted_passwords_are_decrypted_and_kept_as_written() {
    let key = Key::from_hex(&"ab".repeat(32)).unwrap();
    let text = key.encrypt(&"geheim".into()).unwrap();
    let yaml = SOURCE.replace("dmpass", &text);
    let s = SourceConfig::parse(&yaml, "source.yaml", Some(&key)).unwrap();
    assert_eq!(s.from.password.expose(), "geheim");
    assert!(s.to_text().contains(&text));
    assert!(!s.to_masked_text().contains(&text));
    assert!(!format!("{s:?}").contains("geheim"));
}

#[test]
fn the_golden_task_is_read_and_divided() {
    let t = task(TASK).unwrap();
    assert_eq!(t.name(), "task-test");
    assert_eq!(t.shard_mode(), ShardMode::Pessimistic);
    assert_eq!(t.source_ids().collect::<Vec<_>>(), ["mysql-01", "mysql-02"]);
    let sub = t.subtask(&source(SOURCE).unwrap()).unwrap();
    assert_eq!(sub.meta_schema, "dm_meta");
    assert!(sub.block_allow.matches_table("my_db1", "table1"));
    assert!(!sub.block_allow.matches_table("my_db1", "table3"));
    assert_eq!(sub.router.route("my_db1", "table2").unwrap().name().to_string(), "`my_db`.`table5`");
    assert_eq!(sub.meta.as_ref().unwrap().binlog_pos, 53928);
    assert_eq!(sub.syncer.worker_count, 16);
    assert_eq!(sub.syncer.safe_mode_duration.as_secs(), 60);
    assert_eq!(sub.online_ddl.unwrap().kind("_a_gho"), TableKind::Shadow("a".into()));
    let other = source("source-id: zzz\nfrom: {host: h}").unwrap();
    assert_eq!(t.subtask(&other).unwrap_err().code().code, 20031);
    assert_eq!(task(&t.to_text()).unwrap(), t);
}

#[test]
fn an_export_of_dm_is_read() {
    let t = task(include_str!("../../tests/fixtures/task-export.yaml")).unwrap();
    assert_eq!(t.source_ids().count(), 2);
    assert!(t.to_masked_text().contains("safe-mode-duration"));
}

#[test]
fn task_errors_have_their_codes() {
    assert_eq!(code(task("")), 20003);
    assert_eq!(code(with("name: task-test", "nome: task-test")), 20003);
    assert_eq!(code(with("name: task-test", "name: ''")), 20004);
    assert_eq!(code(with("name: task-test", &format!("name: {}", "x".repeat(44)))), 20004);
    assert_eq!(code(with("task-mode: incremental", "task-mode: sideways")), 20020);
    assert_eq!(code(with("task-mode: incremental", "task-mode: all")), 20020);
    assert_eq!(code(with("\"pessimistic\"", "what")), 20033);
    assert_eq!(code(with("\"pessimistic\"", "optimistic")), 20033);
    assert_eq!(code(with("name:", "strict-optimistic-shard-mode: true\nname:")), 20066);
    assert_eq!(code(with("name:", "collation_compatible: maybe\nname:")), 20052);
    assert_eq!(code(with("name:", "collation_compatible: strict\nname:")), 20052);
    assert_eq!(code(with("name:", "ignore-checking-items: [dust]\nname:")), 20001);
    assert_eq!(code(with("name:", "online-ddl-scheme: magic\nname:")), 20007);
    assert_eq!(code(with("name:", "timezone: '+99:00'\nname:")), 20008);
    assert_eq!(code(with("name:", "timezone: Mars/Base\nname:")), 20008);
    assert_eq!(code(with("name:", "timezone: '+08:00'\nname:")), 0);
    assert_eq!(code(with("name:", "column-mappings: {a: {x: 1}}\nname:")), 20064);
    assert_eq!(code(with("name:", "shadow-table-rules: ['x']\nname:")), 20048);
    assert_eq!(code(with("target-database:", "target-database-x:")), 20003);
    assert_eq!(code(task("name: a\ntask-mode: incremental\n")), 20021);
    assert_eq!(code(task("name: a\ntask-mode: incremental\ntarget-database: {host: h}\n")), 20013);
    let one = |instance: &str| {
        code(task(&format!(
            "name: a\ntask-mode: incremental\ntarget-database: {{host: h}}\nmysql-instances:\n- {instance}\n"
        )))
    };
    assert_eq!(one("{source-id: a}"), 0);
    assert_eq!(one("~"), 20012);
    assert_eq!(one("{route-rules: []}"), 20005);
    assert_eq!(one("{source-id: a, meta: {binlog-pos: 4}}"), 20011);
    assert_eq!(one("{source-id: a, mydumper: {}, mydumper-config-name: x}"), 20015);
    assert_eq!(one("{source-id: a, loader: {}, loader-config-name: x}"), 20016);
    assert_eq!(one("{source-id: a, syncer: {}, syncer-config-name: x}"), 20017);
    assert_eq!(one("{source-id: a, route-rules: [x]}"), 20023);
    assert_eq!(one("{source-id: a, filter-rules: [x]}"), 20024);
    assert_eq!(one("{source-id: a, block-allow-list: x}"), 20026);
    assert_eq!(one("{source-id: a, mydumper-config-name: x}"), 20027);
    assert_eq!(one("{source-id: a, loader-config-name: x}"), 20029);
    assert_eq!(one("{source-id: a, syncer-config-name: x}"), 20030);
    assert_eq!(one("{source-id: a, validator-config-name: x}"), 20056);
    assert_eq!(one("{source-id: a, expression-filters: [x]}"), 20040);
    assert_eq!(one("{source-id: a, syncer: {safe-mode-duration: soon}}"), 20060);
    assert_eq!(one("{source-id: a, syncer: {safe-mode: true, safe-mode-duration: 0s}}"), 20061);
    assert_eq!(code(with("\"mysql-02\"", "\"mysql-01\"")), 20014);
    assert_eq!(code(with("[\"route-rule-1\"]", "[route-rule-1, route-rule-1]")), 20032);
    assert_eq!(code(with("syncers:\n", "syncers:\n  other: {}\n")), 20038);
    assert_eq!(code(with("my_db1, tbl-name: \"table1\"", "'a*b', tbl-name: \"table1\"")), 20044);
    assert_eq!(code(with("target-schema: my_db", "target-schema: ''")), 20045);
}

#[test]
fn what_is_not_done_yet_is_named() {
    let text = |r: Result<TaskConfig, common::error::DmError>| r.unwrap_err().to_string();
    assert!(text(with("task-mode: incremental", "task-mode: full")).contains("`full` is not supported yet"));
    let e = text(with("password: \"\"", "password: \"\"\n  session: {foreign_key_checks: 1}"));
    assert!(e.contains("foreign_key_checks"), "{e}");
}

#[test]
fn unknown_keys_have_their_path() {
    let e = with("batch: 100", "batches: 100").unwrap_err();
    assert!(e.raw_cause().contains("syncers.global.batches"), "{e}");
}

#[test]
fn the_shipped_examples_are_valid() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config-examples/");
    let task = TaskConfig::load(format!("{dir}task.yaml").as_ref(), None).unwrap();
    for (i, id) in ["mysql-01", "mysql-02"].into_iter().enumerate() {
        let source = SourceConfig::load(format!("{dir}source-{}.yaml", i + 1).as_ref(), None).unwrap();
        assert_eq!(source.source_id, id);
        let subtask = task.subtask(&source).unwrap();
        assert_eq!(subtask.router.route("my_db2", "table1").unwrap().name().to_string(), "`my_db`.`table6`");
        assert_eq!(subtask.router.route("my_db2", "table3").unwrap().name().to_string(), "`my_db2`.`table3`");
        assert!(subtask.block_allow.matches_table("my_db2", "table4"));
        assert!(!subtask.block_allow.matches_table("my_db1", "table4"));
    }
    let file = |name: &str| Some(format!("{dir}{name}").into());
    MasterConfig::load(&MasterFlags { config: file("dm-master.toml"), ..Default::default() }).unwrap();
    for i in 1..=2 {
        let flags = WorkerFlags { config: file(&format!("dm-worker-{i}.toml")), ..Default::default() };
        assert_eq!(WorkerConfig::load(&flags).unwrap().name, format!("worker-{i}"));
    }
}

/// Every way in which a file can be no file of settings, for every kind of file: the code, and what the text names.
#[test]
fn files_that_cannot_be_used() {
    type Load = fn(PathBuf) -> Result<(), DmError>;
    let kinds: [(&str, Load, [u32; 5], &str, &str); 4] = [
        // File, loader, codes (cannot be read, empty, cut, not UTF-8, unknown key), a text with an unknown key, its path.
        (
            "source.yaml",
            |path| SourceConfig::load(&path, None).map(drop),
            [20018, 20018, 20003, 20018, 20003],
            "source-id: a\nfrom: {host: h, security: {ssl-cb: x}}\n",
            "from.security.ssl-cb",
        ),
        (
            "task.yaml",
            |path| TaskConfig::load(&path, None).map(drop),
            [20018, 20018, 20003, 20018, 20003],
            "name: t\nsyncers: {g: {worker-count: 1, batches: 5}}\n",
            "syncers.g.batches",
        ),
        (
            "dm-master.toml",
            |path| MasterConfig::load(&MasterFlags { config: Some(path), ..Default::default() }).map(drop),
            [20002, 20002, 20002, 20002, 38011],
            "name = 'a'\n[experimental]\nopenapy = true\n",
            "experimental.openapy",
        ),
        (
            "dm-worker.toml",
            |path| WorkerConfig::load(&WorkerFlags { config: Some(path), ..Default::default() }).map(drop),
            [20002, 20002, 20002, 20002, 40004],
            "name = 'a'\n[log]\nlevel = 'x'\n",
            "log",
        ),
    ];
    for (name, load, codes, unknown, path_of_key) in kinds {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let check = |code: u32, words: &[&str]| {
            let e = load(path.clone()).expect_err(name);
            assert_eq!(e.code().code, code, "{name}: {e}");
            let text = e.to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{name}: {words:?} are not in {text}");
        };
        let write = |bytes: &[u8]| std::fs::write(&path, bytes).unwrap();
        check(codes[0], &[name, "does not exist"]);
        // Root may read every file, but no folder is one.
        std::fs::create_dir(&path).unwrap();
        check(codes[0], &[name, "cannot read config file"]);
        std::fs::remove_dir(&path).unwrap();
        for empty in [&b""[..], b"\n \n"] {
            write(empty);
            check(codes[1], &[name, "is empty"]);
        }
        write(if name.ends_with("toml") { b"name = 'a'\nlog-lev" } else { b"name: 'a\nfrom" });
        check(codes[2], &[name, "line "]);
        write(b"# fine\nname: \xff\n");
        check(codes[3], &[name, "not UTF-8", "line 2"]);
        write(unknown.as_bytes());
        check(codes[4], &[path_of_key]);
    }
}
