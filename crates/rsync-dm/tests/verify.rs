//! `verify` finds every kind of difference and names its key; and it says equal only when all is equal.

mod json;
mod lacking;

use std::path::PathBuf;

use mysql::Conn;
use rsync_dm::checkpoint::{Store, Tables};
use rsync_dm::config::{SourceConfig, SubtaskConfig, TaskConfig};
use rsync_dm::verify::{Verdict, VerifyArgs, verify};
use testkit::{Account, Kind, Options, Server, workload};

/// A server that is source and target at once: two shards of 300 rows and the table that they are merged into.
struct World {
    admin: Conn,
    subtasks: Vec<SubtaskConfig>,
    server: Server,
}

const TARGET: &str = "merged.t";

impl World {
    async fn start(keys: &str, charset: &str) -> World {
        World::start_on(Kind::MySql8033, keys, charset).await.expect("a server")
    }

    async fn start_on(kind: Kind, keys: &str, charset: &str) -> Option<World> {
        let server = Server::start_or_skip(kind, Options::default())?;
        let mut admin = server.conn(Account::Admin).await;
        workload::load(&mut admin, 1, 300).await.expect("load");
        for sql in [
            "CREATE DATABASE merged".to_owned(),
            format!(
                "CREATE TABLE {TARGET} (id bigint NOT NULL, sid bigint NOT NULL, pid bigint NOT NULL, comment varchar(255), \
                 at timestamp NULL{keys}) DEFAULT CHARSET={charset}"
            ),
            format!("INSERT INTO {TARGET} SELECT * FROM my_db1.table1 UNION ALL SELECT * FROM my_db1.table2"),
        ] {
            admin.exec(sql).await.expect("set up");
        }
        let subtasks = vec![subtask(&server, &server)];
        let mut world = World { admin, subtasks, server };
        world.checkpoint_passes().await;
        Some(world)
    }

    /// As if replication had got as far as the source is now.
    async fn checkpoint_passes(&mut self) {
        let mut ahead =
            mysql::session::binlog_location(&mut self.admin).await.expect("ask").expect("a position");
        // Writing it moves the position of this server, which is the source too.
        ahead.pos += 1 << 20;
        write_checkpoint(&mut self.admin, &self.subtasks[0], &ahead).await;
    }

    async fn change(&mut self, sql: &str) {
        let changed = self.admin.exec(sql).await.expect("change the target").affected;
        assert_eq!(changed, 1, "{sql}");
    }

    async fn verify(&self) -> Verdict {
        self.verify_in(50).await
    }

    async fn verify_in(&self, chunk_rows: u64) -> Verdict {
        verdict(&self.subtasks, chunk_rows).await
    }
}

async fn write_checkpoint(target: &mut Conn, subtask: &SubtaskConfig, location: &mysql::Location) {
    let store = Store::new(Tables::new(&subtask.meta_schema, &subtask.task), &subtask.source_id);
    store.tables().create(target).await.expect("create the state tables");
    for sql in store.start_statements(location, None, &[]) {
        target.exec(sql).await.expect("write the checkpoint");
    }
}

async fn verdict(subtasks: &[SubtaskConfig], chunk_rows: u64) -> Verdict {
    let args = VerifyArgs {
        task: PathBuf::new(),
        source: Vec::new(),
        threads: 3,
        chunk_rows,
        wait_timeout: "20s".parse().expect("a duration"),
        max_report: 10,
    };
    verify(&args, subtasks).await.unwrap_or_else(|error| panic!("{error}"))
}

fn subtask(source: &Server, target: &Server) -> SubtaskConfig {
    subtask_with(source, target, "table*")
}

/// Only these tables are merged.
fn subtask_with(source: &Server, target: &Server, merged: &str) -> SubtaskConfig {
    let login = |server: &Server, account: Account| {
        let login = account.credentials();
        format!(
            "{{host: 127.0.0.1, port: {}, user: {}, password: {}}}",
            server.port(),
            login.user,
            login.password
        )
    };
    let source = format!("source-id: s1\nfrom: {}\n", login(source, Account::Replicate));
    let task = format!(
        "name: t\ntask-mode: incremental\nshard-mode: pessimistic\ntarget-database: {}\nmysql-instances:\n  - source-id: s1\n    \
         block-allow-list: b\n    route-rules: [r]\nblock-allow-list:\n  b:\n    do-tables:\n      - {{db-name: my_db1, tbl-name: table1}}\n      \
         - {{db-name: my_db1, tbl-name: table2}}\nroutes:\n  r: {{schema-pattern: my_db1, table-pattern: '{merged}', target-schema: merged, \
         target-table: t}}\n",
        login(target, Account::Target)
    );
    let source = SourceConfig::parse(&source, "source.yaml", None).expect("the source");
    TaskConfig::parse(&task, "task.yaml", None).and_then(|task| task.subtask(&source)).expect("the task")
}

/// Each change alone makes verify fail and name the row; undone, it is equal again.
async fn finds(keys: &str, changes: &[(&str, &str, &str)]) {
    let mut world = World::start(keys, "utf8mb4").await;
    let verdict = world.verify().await;
    assert_eq!(verdict.differences, []);
    assert_eq!(verdict.equal, 600);
    for (change, undo, says) in changes {
        world.change(change).await;
        let verdict = world.verify().await;
        let said: Vec<String> = verdict.differences.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{change}: {said:?}");
        assert!(said[0].contains(says), "{change}: {said:?}");
        world.change(undo).await;
    }
    let verdict = world.verify().await;
    assert_eq!((verdict.equal, verdict.differences.len()), (600, 0));
}

/// The `sid` of row 7 of `my_db1.table1` of source 1.
const SID: &str = "8000000000007";

#[tokio::test]
async fn a_removed_row_is_named() {
    let remove = format!("DELETE FROM {TARGET} WHERE sid={SID}");
    let undo = format!("INSERT INTO {TARGET} SELECT * FROM my_db1.table1 WHERE sid={SID}");
    let says = format!("sid={SID}: missing in the target, there in `my_db1`.`table1` of source s1");
    finds(", UNIQUE KEY (sid), KEY (id)", &[(&remove, &undo, &says)]).await;
}

#[tokio::test]
async fn an_added_row_is_named() {
    let add = format!("INSERT INTO {TARGET} VALUES (7,5,1,'x',NULL)");
    let undo = format!("DELETE FROM {TARGET} WHERE sid=5");
    finds(", UNIQUE KEY (sid)", &[(&add, &undo, "sid=5: only in the target")]).await;
}

#[tokio::test]
async fn a_changed_byte_is_named() {
    let changes = [
        ("comment = concat(comment, ' ')", "comment = left(comment, char_length(comment) - 1)"),
        (
            "comment = replace(comment, _latin1 0x88, _latin1 0x81)",
            "comment = replace(comment, _latin1 0x81, _latin1 0x88)",
        ),
        ("at = at + INTERVAL 1 SECOND", "at = at - INTERVAL 1 SECOND"),
    ];
    let sid = "8000000000008";
    let says = format!("sid={sid}: other values than in `my_db1`.`table1` of source s1");
    let changes: Vec<(String, String)> = changes
        .iter()
        .map(|(change, undo)| {
            let update = |set: &str| format!("UPDATE {TARGET} SET {set} WHERE sid={sid}");
            (update(change), update(undo))
        })
        .collect();
    let changes: Vec<(&str, &str, &str)> =
        changes.iter().map(|(change, undo)| (change.as_str(), undo.as_str(), says.as_str())).collect();
    finds(", UNIQUE KEY (sid)", &changes).await;
}

#[tokio::test]
async fn a_doubled_row_is_named() {
    let double = format!("INSERT INTO {TARGET} SELECT * FROM my_db1.table1 WHERE sid={SID}");
    let undo = format!("DELETE FROM {TARGET} WHERE sid={SID} LIMIT 1");
    // Without a unique key: with one the target would refuse it. Ranges cut on an ordinary key, and no range at all.
    for keys in [", KEY (id)", ""] {
        finds(keys, &[(&double, &undo, "2 times in the target, 1 times in the shards")]).await;
    }
}

#[tokio::test]
async fn a_checkpoint_that_stays_behind_is_an_error() {
    let mut world = World::start("", "latin1").await;
    world.admin.exec("FLUSH BINARY LOGS").await.expect("flush");
    let args = VerifyArgs {
        task: PathBuf::new(),
        source: Vec::new(),
        threads: 1,
        chunk_rows: 50,
        wait_timeout: "300ms".parse().expect("a duration"),
        max_report: 10,
    };
    let error = verify(&args, &world.subtasks).await.expect_err("behind").to_string();
    assert!(error.contains("the checkpoint of task t and source s1 stands at"), "{error}");
}

/// Without an integer key a table is one range: it is listed in groups of keys, some at a time, and what is kept is bounded.
#[tokio::test]
async fn a_table_without_an_integer_key_is_listed_in_passes() {
    let mut world = World::start("", "utf8mb4").await;
    let where_sid = |from: i64, to: i64| format!("sid BETWEEN 8000000000000+{from} AND 8000000000000+{to}");
    // 200 of 600 rows have other values, 30 are missing, one is there twice.
    let many = world.admin.exec(format!("DELETE FROM {TARGET} WHERE {}", where_sid(201, 230))).await.unwrap();
    assert_eq!(many.affected, 30);
    let sql =
        format!("UPDATE {TARGET} SET comment=CONCAT(IFNULL(comment,''),'x') WHERE {}", where_sid(1, 200));
    assert_eq!(world.admin.exec(sql).await.unwrap().affected, 200);
    world
        .change(&format!("INSERT INTO {TARGET} SELECT * FROM my_db1.table1 WHERE {}", where_sid(250, 250)))
        .await;
    // All columns are the key, so a row of other values is one missing and one extra; 50 rows at a time and 10 names.
    for chunk_rows in [5, 50, 1000] {
        let verdict = world.verify_in(chunk_rows).await;
        assert!(!verdict.is_equal());
        assert_eq!((verdict.equal, verdict.differing), (600 - 230, 200 + 200 + 30 + 1), "{chunk_rows}");
        assert_eq!((verdict.differences.len(), verdict.unlisted.len()), (10, 0), "{chunk_rows}");
    }
    // A key that is no integer: the two sides of a row that has changed meet in one pass.
    world.admin.exec(format!("ALTER TABLE {TARGET} MODIFY sid varchar(30) NOT NULL")).await.unwrap();
    world.admin.exec(format!("DELETE FROM {TARGET} WHERE {} LIMIT 1", where_sid(250, 250))).await.unwrap();
    world.admin.exec(format!("ALTER TABLE {TARGET} ADD UNIQUE KEY (sid)")).await.unwrap();
    world.checkpoint_passes().await;
    for chunk_rows in [5, 1000] {
        let verdict = world.verify_in(chunk_rows).await;
        assert!(verdict.differences.len() == 10 && verdict.unlisted.is_empty(), "{:?}", verdict.differences);
        // By the type of `sid` alone no row differs.
        assert_eq!((verdict.equal, verdict.differing), (600 - 230, 200 + 30), "{chunk_rows}");
    }
    // Nothing at all in the target.
    world.admin.exec(format!("TRUNCATE TABLE {TARGET}")).await.unwrap();
    world.checkpoint_passes().await;
    let verdict = world.verify_in(5).await;
    assert_eq!((verdict.equal, verdict.differing, verdict.differences.len()), (0, 600, 10));
}
