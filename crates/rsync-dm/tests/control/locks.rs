//! Shard DDL across two workers, through the master, over breaks.

use std::sync::Arc;

use rsync_dm::{
    ctl::answer::render,
    proto::pb,
    shard::{ShardInfo, ShardOperation, TargetTables},
};
use testkit::wait_until;
use tokio::task::JoinHandle;

use super::*;

fn info(source: &str, table: &str) -> ShardInfo {
    ShardInfo {
        task: "t".into(),
        source: source.into(),
        schema: "my_db".into(),
        table: table.into(),
        ddls: vec![format!("ALTER TABLE `my_db`.`{table}` ADD COLUMN `c` INT")],
        origins: Vec::new(),
    }
}

/// A source that has reached the statement: waits for its turn, carries it out.
fn reach(unit: &Arc<fake::Fake>) -> JoinHandle<ShardOperation> {
    reach_in(unit, "table5")
}

fn reach_in(unit: &Arc<fake::Fake>, table: &str) -> JoinHandle<ShardOperation> {
    let unit = Arc::clone(unit);
    let info = info(&unit.config.source_id, table);
    tokio::spawn(async move {
        let operation = unit.coordinator.propose(info).await.unwrap();
        unit.coordinator.done(operation.clone()).await.unwrap();
        operation
    })
}

async fn locks(client: &mut MasterClient<Channel>) -> pb::ShowDdlLocksResponse {
    client.show_ddl_locks(pb::ShowDdlLocksRequest::default()).await.unwrap().into_inner()
}

struct Setup {
    cluster: Cluster,
    master: Part,
    workers: Vec<Part>,
    _server: Server,
}

async fn two_sources() -> Option<Setup> {
    let server = database()?;
    let cluster = Cluster::new();
    let master = cluster.master();
    let workers = vec![cluster.worker("worker1"), cluster.worker("worker2")];
    cluster.workers(2).await;
    let mut client = cluster.client().await;
    create(&mut client, source_yaml(&server, "mysql-01")).await;
    create(&mut client, source_yaml(&server, "mysql-02")).await;
    assert!(start(&mut client, task_yaml(&server, "t", &["mysql-01", "mysql-02"])).await.result);
    for source in ["mysql-01", "mysql-02"] {
        let unit = cluster.units.last(source).unwrap();
        let targets = vec![TargetTables { schema: "my_db".into(), table: "table5".into(), count: 1 }];
        unit.coordinator.tables("t", source, targets).await.unwrap();
    }
    Some(Setup { cluster, master, workers, _server: server })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_opens_survives_its_master_and_is_resolved() {
    let Some(setup) = two_sources().await else { return };
    let cluster = &setup.cluster;
    let (a, b) = (cluster.units.last("mysql-01").unwrap(), cluster.units.last("mysql-02").unwrap());
    let first = reach(&a);
    let mut client = cluster.client().await;
    wait_until(SOON, "the lock is open", async || !locks(&mut client).await.locks.is_empty()).await;
    let expected = r#"{
    "result": true,
    "msg": "",
    "locks": [
        {
            "ID": "t-`my_db`.`table5`",
            "task": "t",
            "mode": "pessimistic",
            "owner": "mysql-01",
            "DDLs": [
                "ALTER TABLE `my_db`.`table5` ADD COLUMN `c` INT"
            ],
            "synced": [
                "mysql-01"
            ],
            "unsynced": [
                "mysql-02"
            ]
        }
    ]
}"#;
    assert_eq!(render(&locks(&mut client).await), expected);
    let request = pb::QueryStatusListRequest { name: "t".into(), sources: vec!["mysql-02".into()] };
    let status = render(client.query_status(request).await.unwrap().get_ref());
    assert!(status.contains("this DM-worker doesn't receive any shard DDL of this group"), "{status}");

    setup.master.end().await;
    let master = cluster.master();
    cluster.workers(2).await;
    let mut client = cluster.client().await;
    assert_eq!(render(&locks(&mut client).await), expected, "the lock is still open");
    assert!(!first.is_finished());
    let second = reach(&b);
    assert!(first.await.unwrap().exec, "the owner runs it");
    assert!(!second.await.unwrap().exec, "the other passes over it");
    wait_until(SOON, "the lock is gone", async || locks(&mut client).await.locks.is_empty()).await;
    assert_eq!(render(&locks(&mut client).await), golden("shard-ddl-lock.json"));
    for part in setup.workers.into_iter().chain([master]) {
        part.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_unlocks() {
    let Some(setup) = two_sources().await else { return };
    let cluster = &setup.cluster;
    let a = cluster.units.last("mysql-01").unwrap();
    let mut client = cluster.client().await;
    let unlock = |id: &str, force| pb::UnlockDdlLockRequest {
        id: id.into(),
        force_remove: force,
        ..Default::default()
    };
    let answer = client.unlock_ddl_lock(unlock("nosuch", false)).await.unwrap().into_inner();
    assert!(!answer.result && answer.msg.starts_with("[code=38019:"), "{}", answer.msg);
    let first = reach(&a);
    wait_until(SOON, "the lock is open", async || !locks(&mut client).await.locks.is_empty()).await;
    let answer = client.unlock_ddl_lock(unlock("t-`my_db`.`table5`", false)).await.unwrap().into_inner();
    assert!(answer.result, "{}", answer.msg);
    assert!(first.await.unwrap().exec);
    // The other one comes later, and passes over it.
    let b = cluster.units.last("mysql-02").unwrap();
    assert!(!reach(&b).await.unwrap().exec);
    assert!(locks(&mut client).await.locks.is_empty());
    for part in setup.workers.into_iter().chain([setup.master]) {
        part.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_with_a_lock_is_replaced() {
    let Some(mut setup) = two_sources().await else { return };
    let cluster = &setup.cluster;
    let a = cluster.units.last("mysql-01").unwrap();
    let first = reach(&a);
    let mut client = cluster.client().await;
    wait_until(SOON, "the lock is open", async || !locks(&mut client).await.locks.is_empty()).await;
    let spare = cluster.worker("worker3");
    cluster.workers(3).await;
    let request = pb::OperateSourceRequest { op: pb::SourceOp::ShowSource.into(), ..Default::default() };
    let shown = client.operate_source(request).await.unwrap().into_inner();
    let holder = shown.sources.iter().find(|s| s.source == "mysql-01").unwrap().worker.clone();
    let at = if holder == "worker1" { 0 } else { 1 };
    first.abort();
    let before = cluster.units.count();
    setup.workers.remove(at).end().await;
    wait_until(SOON, "the source has moved", async || cluster.units.count() > before).await;
    // What a unit does after a restart: it says its tables, and proposes again.
    let again = cluster.units.last("mysql-01").unwrap();
    let targets = vec![TargetTables { schema: "my_db".into(), table: "table5".into(), count: 1 }];
    again.coordinator.tables("t", "mysql-01", targets).await.unwrap();
    let first = reach(&again);
    let second = reach(&cluster.units.last("mysql-02").unwrap());
    assert!(first.await.unwrap().exec);
    assert!(!second.await.unwrap().exec);
    wait_until(SOON, "the lock is gone", async || locks(&mut client).await.locks.is_empty()).await;
    for part in setup.workers.into_iter().chain([spare, setup.master]) {
        part.end().await;
    }
}

/// More than the queues between worker and master hold (256 each way).
#[tokio::test(flavor = "multi_thread")]
async fn hundreds_of_statements_that_wait_for_a_master_all_get_their_turn() {
    let Some(setup) = two_sources().await else { return };
    let cluster = &setup.cluster;
    let units = ["mysql-01", "mysql-02"].map(|source| cluster.units.last(source).unwrap());
    setup.master.end().await;
    let names: Vec<String> = (0..600).map(|n| format!("t{n}")).collect();
    let table = |name: &String| TargetTables { schema: "my_db".into(), table: name.clone(), count: 1 };
    for unit in &units {
        let targets = names.iter().map(table).collect();
        unit.coordinator.tables("t", &unit.config.source_id, targets).await.unwrap();
    }
    let waiting =
        units.each_ref().map(|unit| names.iter().map(|name| reach_in(unit, name)).collect::<Vec<_>>());
    let master = cluster.master();
    let all = async {
        let mut run = 0;
        for one in waiting.into_iter().flatten() {
            run += usize::from(one.await.unwrap().exec);
        }
        run
    };
    let run = tokio::time::timeout(8 * SOON, all).await.expect("every statement has its turn");
    assert_eq!(run, names.len(), "each is run by one of its two sources");
    let mut client = cluster.client().await;
    wait_until(SOON, "the locks are gone", async || locks(&mut client).await.locks.is_empty()).await;
    for part in setup.workers.into_iter().chain([master]) {
        part.end().await;
    }
}
