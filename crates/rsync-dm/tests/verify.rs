//! `verify` finds every kind of difference and names its key; and it says equal only when all is equal.

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
        let server = Server::start(Kind::MySql8033, Options::default()).expect("a server");
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
        let subtasks = vec![subtask(&server)];
        let mut world = World { admin, subtasks, server };
        world.checkpoint_passes().await;
        world
    }

    /// As if replication had got as far as the source is now.
    async fn checkpoint_passes(&mut self) {
        let subtask = &self.subtasks[0];
        let store = Store::new(Tables::new(&subtask.meta_schema, &subtask.task), &subtask.source_id);
        store.tables().create(&mut self.admin).await.expect("create the state tables");
        let mut ahead =
            mysql::session::binlog_location(&mut self.admin).await.expect("ask").expect("a position");
        // Writing it moves the position of this server, which is the source too.
        ahead.pos += 1 << 20;
        for sql in store.start_statements(&ahead, None, &[]) {
            self.admin.exec(sql).await.expect("write the checkpoint");
        }
    }

    async fn change(&mut self, sql: &str) {
        let changed = self.admin.exec(sql).await.expect("change the target").affected;
        assert_eq!(changed, 1, "{sql}");
    }

    async fn verify(&self) -> Verdict {
        let args = VerifyArgs {
            task: PathBuf::new(),
            source: Vec::new(),
            threads: 3,
            chunk_rows: 50,
            wait_timeout: "20s".parse().expect("a duration"),
            max_report: 10,
        };
        verify(&args, &self.subtasks).await.unwrap_or_else(|error| panic!("{error}\n{:?}", self.server.dir()))
    }
}

fn subtask(server: &Server) -> SubtaskConfig {
    let login = |account: Account| {
        let login = account.credentials();
        format!(
            "{{host: 127.0.0.1, port: {}, user: {}, password: {}}}",
            server.port(),
            login.user,
            login.password
        )
    };
    let source = format!("source-id: s1\nfrom: {}\n", login(Account::Replicate));
    let task = format!(
        "name: t\ntask-mode: incremental\nshard-mode: pessimistic\ntarget-database: {}\nmysql-instances:\n  - source-id: s1\n    \
         block-allow-list: b\n    route-rules: [r]\nblock-allow-list:\n  b:\n    do-tables:\n      - {{db-name: my_db1, tbl-name: table1}}\n      \
         - {{db-name: my_db1, tbl-name: table2}}\nroutes:\n  r: {{schema-pattern: my_db1, table-pattern: 'table*', target-schema: merged, \
         target-table: t}}\n",
        login(Account::Target)
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
