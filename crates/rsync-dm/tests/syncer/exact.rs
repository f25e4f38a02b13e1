//! What breaks in the middle of a transaction, of a statement, or of a change of servers: every change arrives once, without keys too.

use testkit::{
    Kind, Options, Server, WorkDir,
    proxy::{Direction, End, Proxy},
    tool::Started,
    wait_until_blocking,
};

use super::{
    bad_input::{fails, goes_on, says, small},
    rig::{LIMIT, Rig, dump, end_of, stop},
};

/// No safe mode, which would hide a row that is applied twice in a table with a key.
const UNSAFE: &str =
    "syncers:\n  sync: {worker-count: 4, batch: 100, checkpoint-flush-interval: 1, safe-mode-duration: 0s}\n";

/// The source through a proxy.
pub(super) fn start_through(rig: &Rig, proxy: &Proxy) -> Started {
    let tool = rig.tool();
    let file = rig.dir.join("source0.yaml");
    let text = std::fs::read_to_string(&file).unwrap();
    let other =
        text.replace(&format!("port: {},", rig.sources[0].port()), &format!("port: {},", proxy.port()));
    assert_ne!(text, other);
    std::fs::write(&file, other).unwrap();
    tool.start()
}

fn broken(tool: &Started) -> usize {
    tool.stderr_so_far().matches("opening it again").count()
}

fn same(rig: &Rig) {
    let (mut there, mut wanted) = (dump(&rig.target, "d.t"), dump(&rig.sources[0], "d.t"));
    there.sort();
    wanted.sort();
    assert_eq!(there.len(), wanted.len());
    assert!(there == wanted);
}

fn big(keys: bool) -> Option<Rig> {
    let mut rig = small(Options::default())?;
    rig.task.push_str(UNSAFE);
    for server in [&rig.sources[0], &rig.target] {
        server.sql("ALTER TABLE d.t MODIFY COLUMN v varchar(1000)");
    }
    if !keys {
        rig.target.sql("ALTER TABLE d.t DROP PRIMARY KEY");
    }
    rig.note_positions();
    Some(rig)
}

/// About 10 MB of rows.
const BIG: &str = "INSERT INTO d.t WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<12000) SELECT 1000+i, REPEAT('x',800) FROM n";

fn cut_twice_inside_a_transaction(keys: bool) {
    let Some(rig) = big(keys) else { return };
    let proxy = Proxy::to(&rig.sources[0]);
    let mut tool = start_through(&rig, &proxy);
    rig.sources[0].sql("SET cte_max_recursion_depth=100000; INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    proxy.refuse(true);
    proxy.end_after(Direction::ToClient, 6 << 20, End::Reset);
    rig.sources[0].sql(format!("SET cte_max_recursion_depth=100000; {BIG}"));
    wait_until_blocking(LIMIT, "the first cut", || broken(&tool) == 1);
    proxy.end_after(Direction::ToClient, 1 << 20, End::Reset);
    proxy.refuse(false);
    wait_until_blocking(LIMIT, "the second cut", || broken(&tool) == 2);
    rig.wait_synced(&mut tool);
    stop(tool);
    same(&rig);
}

#[test]
fn a_stream_cut_twice_inside_a_transaction() {
    cut_twice_inside_a_transaction(true);
}

#[test]
fn a_stream_cut_twice_inside_a_transaction_without_key() {
    cut_twice_inside_a_transaction(false);
}

/// After a cut inside a transaction a checkpoint is written, and the process killed before the transaction is read whole.
#[test]
fn killed_after_a_checkpoint_inside_a_cut_transaction() {
    let Some(rig) = big(false) else { return };
    // Several small transactions come with the begin of the big one, so that the place between them is not noted yet at the cut.
    for n in 0..30 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'small')"));
    }
    rig.sources[0].sql(format!("SET cte_max_recursion_depth=100000; {BIG}"));
    let proxy = Proxy::to(&rig.sources[0]);
    proxy.delay(std::time::Duration::from_millis(20));
    proxy.end_after(Direction::ToClient, 5 << 20, End::Reset);
    let mut tool = start_through(&rig, &proxy);
    wait_until_blocking(LIMIT, "the cut", || broken(&tool) == 1);
    let moved = proxy.moved(Direction::ToClient);
    wait_until_blocking(LIMIT, "a part of it again", || proxy.moved(Direction::ToClient) > moved + (3 << 20));
    tool.kill();
    assert!(rig.target.value("SELECT COUNT(*) FROM d.t").parse::<u32>().unwrap() > 1000);
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    same(&rig);
}

/// Of a statement whose changes are made one by one, since the target has one of them, the process dies after the second.
#[test]
fn killed_between_the_changes_of_a_statement() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.sql("ALTER TABLE d.t ADD COLUMN e int");
    rig.sources[0].sql(
        "ALTER TABLE d.t ADD COLUMN e int, ADD COLUMN f int, ADD COLUMN g int, ADD KEY k (g); INSERT INTO d.t VALUES (1,'a',2,3,4)",
    );
    let mut tool = rig.start_with(&[("FAILPOINTS", "syncer-after-change=1*off->return")]);
    wait_until_blocking(LIMIT, "its death", || !tool.is_running());
    assert_eq!(columns(&rig), "4 columns, 1 keys");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    says(&log, &["the changes of the statement go on"]);
    assert_eq!(columns(&rig), "5 columns, 2 keys");
    goes_on(&rig);
}

/// How many the target's table has.
fn columns(rig: &Rig) -> String {
    let count = "SELECT COUNT(*) FROM information_schema";
    let columns = rig.target.value(format!("{count}.COLUMNS WHERE TABLE_SCHEMA='d' AND TABLE_NAME='t'"));
    let keys = rig.target.value(format!("{count}.STATISTICS WHERE TABLE_SCHEMA='d' AND TABLE_NAME='t'"));
    format!("{columns} columns, {keys} keys")
}

/// A server that has the same transactions and table as the rig's source, in files with lower numbers.
pub(super) fn twin(rig: &Rig) -> Option<Server> {
    let twin = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    let set = rig.sources[0].value("SELECT @@GLOBAL.gtid_executed").replace('\n', "");
    twin.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(20)) DEFAULT CHARSET=utf8mb4",
    );
    for row in dump(&rig.sources[0], "d.t") {
        let (id, _) = row.split_once('|').unwrap();
        twin.sql(format!("INSERT INTO d.t VALUES ({id},'a')"));
    }
    twin.sql(format!("RESET MASTER; SET GLOBAL gtid_purged='{set}'"));
    Some(twin)
}

/// Killed after the change to another server, before the first checkpoint that knows a place of it.
#[test]
fn killed_right_after_a_change_of_servers_by_gtid() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.gtid = true;
    rig.task.push_str(UNSAFE);
    rig.note_positions();
    rig.target.sql("ALTER TABLE d.t DROP PRIMARY KEY");
    rig.sources[0].sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS; FLUSH BINARY LOGS; FLUSH BINARY LOGS; INSERT INTO d.t VALUES (1,'a')");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let Some(other) = twin(&rig) else { return };
    let old = std::mem::replace(&mut rig.sources[0], other);
    rig.sources[0].sql(
        "INSERT INTO d.t VALUES (2,'b'); INSERT INTO d.t VALUES (3,'c'); UPDATE d.t SET v='d' WHERE id=2",
    );
    // The flush of the start is written, the next one is not.
    let mut tool = rig.start_with(&[("FAILPOINTS", "syncer-before-flush=1*off->return")]);
    wait_until_blocking(LIMIT, "its death", || !tool.is_running());
    says(&tool.stderr_so_far(), &["the source is another server than before"]);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t"), "3");
    let tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (4,'e')");
    // Not `wait_synced`: a checkpoint of the old server has the higher file.
    let end = end_of(&rig.sources[0]);
    wait_until_blocking(LIMIT, "the checkpoint", || rig.checkpoint(0).as_ref() == Some(&end));
    let log = stop(tool);
    same(&rig);
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    drop(old);
}

/// Without GTID a position says nothing on another server.
#[test]
fn another_server_without_gtid() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let Some(other) = twin(&rig) else { return };
    let uuid = |server: &Server| server.value("SELECT @@server_uuid");
    let (before, now) = (uuid(&rig.sources[0]), uuid(&other));
    let old = std::mem::replace(&mut rig.sources[0], other);
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'b')");
    says(&fails(&rig), &["code=30034", &before, &now, "enable-gtid", "--remove-meta"]);
    // Back at the first server with GTID, then over to the other one by it.
    let other = std::mem::replace(&mut rig.sources[0], old);
    rig.gtid = true;
    let mut tool = rig.start();
    rig.sources[0].sql("UPDATE d.t SET v='a2'");
    rig.wait_synced(&mut tool);
    stop(tool);
    let set = rig.sources[0].value("SELECT @@GLOBAL.gtid_executed").replace('\n', "");
    let _ = std::mem::replace(&mut rig.sources[0], other);
    rig.sources[0].sql(format!("UPDATE d.t SET v='a2' WHERE id=1; RESET MASTER; SET GLOBAL gtid_purged='{set}'; INSERT INTO d.t VALUES (3,'c')"));
    rig.target.sql("INSERT INTO d.t VALUES (2,'b')");
    goes_on(&rig);
}

/// Every type by which a row without key is looked for: each update and delete hits its row.
fn keyless_values(source: Kind, target: Kind) {
    let Some(source) = Server::start_or_skip(source, Options::default()) else { return };
    let Some(target) = Server::start_or_skip(target, Options::default()) else { return };
    let mut rig = Rig {
        sources: vec![source],
        target,
        dir: WorkDir::new("keyless").unwrap(),
        gtid: false,
        task: format!("block-allow-list:\n  all: {{do-dbs: [d]}}\n{UNSAFE}"),
        rows: 0,
        meta: Vec::new(),
    };
    for server in [&rig.sources[0], &rig.target] {
        server.sql(
            "CREATE DATABASE d DEFAULT CHARSET latin1; CREATE TABLE d.t (n int, j json, f float, g double, b bit(13), e enum('x','y','') , \
             s set('p','q','r'), c binary(5), vb varbinary(10), ch char(10), t time(6), d date, dt datetime(3), ts timestamp(6) NULL, y year, \
             m decimal(20,6), bl blob, tx text) DEFAULT CHARSET=utf8mb4",
        );
    }
    rig.note_positions();
    let documents = [
        r#"{"a": [1, 2.5, "x\\u00e9", null, true], "b": {"c": 1e100}}"#,
        "null",
        "\"it''s\"",
        "17",
        "-0.1",
        "[]",
        "18446744073709551615",
    ];
    for (n, document) in documents.iter().enumerate() {
        rig.sources[0].sql(format!(
            "SET sql_mode='ALLOW_INVALID_DATES'; INSERT INTO d.t VALUES ({n},'{document}',1.1,-0.1,b'1010101010101','y','p,r',0x0100,0x0100,'pad ', \
             '-838:59:59','2024-02-31','2024-00-10 01:02:03.123','2024-07-01 00:00:00.000001',2155,-12.5,0x00ff27,'it''s \\\\ é'), \
             ({n}+100,'{document}',3.4e38,1e300,0,'x','',0x0000000000,'','','00:00:00.000001','0000-00-00','0000-00-00','0000-00-00',0,0,'',''), \
             ({n}+200,'{document}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL), \
             ({n}+300,NULL,-1.17549e-38,0,1,'','r','abcde',0xff,'x','12:00:00',NULL,'9999-12-31 23:59:59.999','1970-01-02 00:00:00',1901,1,'b','t')"
        ));
    }
    rig.sources[0].sql("UPDATE d.t SET n=n+1000; UPDATE d.t SET ch='new', j=IF(n%2,'{\"k\": 2}',j); DELETE FROM d.t WHERE n%3=0");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let first: Vec<&str> = log.lines().filter(|l| l.contains("ER_KEY_NOT_FOUND")).take(3).collect();
    assert!(first.is_empty(), "{first:#?}");
    let count = "SELECT CONCAT_WS(' ', COUNT(*), SUM(n), SUM(ch='new')) FROM d.t";
    assert_eq!(rig.target.value(count), rig.sources[0].value(count));
    if rig.sources[0].kind() == rig.target.kind() {
        // Others show JSON in another form.
        same(&rig);
    }
}

#[test]
fn rows_without_key_of_every_type() {
    keyless_values(Kind::MySql8033, Kind::MySql8033);
}

#[test]
fn rows_without_key_of_every_type_mysql_57() {
    keyless_values(Kind::MySql57, Kind::MySql57);
}

#[test]
fn rows_without_key_of_every_type_mariadb() {
    keyless_values(Kind::MariaDb1011, Kind::MariaDb1011);
}

#[test]
fn rows_without_key_of_every_type_mysql_to_mariadb() {
    keyless_values(Kind::MySql8033, Kind::MariaDb1011);
}

/// A compressed transaction of many times the budget is decoded only as fast as it is applied.
#[test]
fn a_large_compressed_transaction_takes_little_memory() {
    let Some(mut rig) = small(Options::default().compressed_binlog()) else { return };
    rig.task.push_str(UNSAFE);
    for server in [&rig.sources[0], &rig.target] {
        server.sql("CREATE TABLE d.big (id int PRIMARY KEY AUTO_INCREMENT, v varchar(9000))");
    }
    rig.note_positions();
    let twice = "INSERT INTO d.big (v) SELECT v FROM d.big; ".repeat(15);
    rig.sources[0].sql(format!("BEGIN; INSERT INTO d.big (v) VALUES (REPEAT('x',8000)); {twice} COMMIT"));
    let mut tool = rig.start();
    let mut most = 0;
    let wanted = rig.sources[0].value("SELECT COUNT(*) FROM d.big");
    wait_until_blocking(LIMIT, "the rows", || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", tool.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        most = line.trim().trim_end_matches(" kB").parse().unwrap_or(most);
        rig.target.value("SELECT COUNT(*) FROM d.big") == wanted
    });
    rig.wait_synced(&mut tool);
    stop(tool);
    // 260 MB of rows; the budget is 64 MB of literals, and some of it is there twice as statements.
    assert!(most < 220 << 10, "{most} kB");
}
