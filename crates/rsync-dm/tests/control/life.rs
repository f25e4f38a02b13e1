//! Sources and tasks from their start to their end, with the answers of the real dmctl.

use rsync_dm::{ctl::answer::render, proto::pb};
use testkit::wait_until;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_from_start_to_stop() {
    let Some(server) = database() else { return };
    let cluster = Cluster::new();
    let master = cluster.master();
    let (w1, w2) = (cluster.worker("worker1"), cluster.worker("worker2"));
    cluster.workers(2).await;
    let mut client = cluster.client().await;

    let answer = create(&mut client, source_yaml(&server, "mysql-01")).await;
    assert_eq!(mask_workers(&render(&answer)), mask_workers(&golden("operate-source-create.json")));
    create(&mut client, source_yaml(&server, "mysql-02")).await;
    let request = pb::OperateSourceRequest { op: pb::SourceOp::ShowSource.into(), ..Default::default() };
    let answer = client.operate_source(request).await.unwrap().into_inner();
    assert_eq!(mask_workers(&render(&answer)), mask_workers(&golden("list-source.json")));
    let again = create(&mut client, source_yaml(&server, "mysql-01")).await;
    assert!(!again.result && again.msg.starts_with("[code=46007:"), "{}", again.msg);

    let task = task_yaml(&server, "task-test", &["mysql-01", "mysql-02"]);
    let answer = start(&mut client, task.clone()).await;
    assert!(answer.result, "{}", render(&answer));
    assert_eq!(stages(&mut client, "task-test").await, ["Running", "Running"]);
    let twice = start(&mut client, task.clone()).await;
    assert_eq!(
        twice.msg,
        serde_json::from_str::<serde_json::Value>(
            &golden("start-twice.json")
                .replace("\n    \tdetail", " ")
                .replace(['\n', '\t'], " ")
                .split("\"sources\"")
                .next()
                .map(|s| format!("{}}}", s.trim_end().trim_end_matches(',')))
                .unwrap()
        )
        .unwrap()["msg"]
    );

    for (op, name) in [(pb::TaskOp::Pause, "pause-task.json"), (pb::TaskOp::Resume, "resume-task.json")] {
        let answer = operate(&mut client, op, "task-test").await;
        assert_eq!(mask_workers(&render(&answer)), mask_workers(&golden(name)));
        let stage = if op == pb::TaskOp::Pause { "Paused" } else { "Running" };
        assert_eq!(stages(&mut client, "task-test").await, [stage, stage]);
    }
    let answer = operate(&mut client, pb::TaskOp::Delete, "task-test").await;
    assert_eq!(mask_workers(&render(&answer)), mask_workers(&golden("stop-task.json")));
    let unit = cluster.units.last("mysql-01").unwrap();
    assert_eq!(unit.stage(), pb::Stage::Stopped);
    let request = pb::QueryStatusListRequest { name: "nosuch".into(), sources: Vec::new() };
    let answer = client.query_status(request).await.unwrap().into_inner();
    assert_eq!(render(&answer), golden("bad-task.json"));
    assert!((429_496_729..429_596_729).contains(&unit.config.server_id), "an id of the range of DM");

    for part in [w1, w2, master] {
        part.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_master_stops_nothing_and_a_lost_worker_is_replaced() {
    let Some(server) = database() else { return };
    let cluster = Cluster::new();
    let master = cluster.master();
    let w1 = cluster.worker("worker1");
    cluster.workers(1).await;
    let mut client = cluster.client().await;
    create(&mut client, source_yaml(&server, "mysql-01")).await;
    assert!(start(&mut client, task_yaml(&server, "t", &["mysql-01"])).await.result);
    let unit = cluster.units.last("mysql-01").unwrap();

    master.end().await;
    assert_eq!(unit.stage(), pb::Stage::Running);
    let master = cluster.master();
    cluster.workers(1).await;
    let mut client = cluster.client().await;
    assert_eq!(stages(&mut client, "t").await, ["Running"]);
    assert_eq!(cluster.units.count(), 1, "the unit was never started again");
    // The new master is obeyed.
    assert!(operate(&mut client, pb::TaskOp::Pause, "t").await.result);
    assert_eq!(unit.stage(), pb::Stage::Paused);
    assert!(operate(&mut client, pb::TaskOp::Resume, "t").await.result);

    let w2 = cluster.worker("worker2");
    cluster.workers(2).await;
    w1.end().await;
    wait_until(SOON, "the source has moved", async || {
        cluster.units.count() == 2 && stages(&mut client, "t").await == ["Running"]
    })
    .await;
    for part in [w2, master] {
        part.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subtask_that_failed_is_resumed_by_hand_or_by_itself() {
    let Some(server) = database() else { return };
    let cluster = Cluster::new();
    let master = cluster.master();
    let w1 = cluster.worker("worker1");
    cluster.workers(1).await;
    let mut client = cluster.client().await;
    create(&mut client, source_yaml(&server, "mysql-01")).await;
    start(&mut client, task_yaml(&server, "t", &["mysql-01"])).await;
    let unit = cluster.units.last("mysql-01").unwrap();
    unit.fail(36067, "parse DDL: nonsense");
    assert_eq!(stages(&mut client, "t").await, ["Paused"]);
    assert!(operate(&mut client, pb::TaskOp::Resume, "t").await.result);
    assert_eq!(unit.stage(), pb::Stage::Running, "a resume counts though the task should be running");
    unit.fail(10002, "connection reset");
    wait_until(SOON, "it is resumed", async || unit.stage() == pb::Stage::Running).await;
    for part in [w1, master] {
        part.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_says_why() {
    let Some(server) = database() else { return };
    let cluster = Cluster::new();
    let master = cluster.master();
    let w1 = cluster.worker("worker1");
    cluster.workers(1).await;
    let mut client = cluster.client().await;
    let bad = source_yaml(&server, "mysql-01").replace("replicate-Pw1", "wrong");
    let answer = create(&mut client, bad).await;
    assert!(!answer.result && answer.msg.contains("Access denied"), "{}", answer.msg);
    create(&mut client, source_yaml(&server, "mysql-01")).await;
    create(&mut client, source_yaml(&server, "mysql-02")).await;
    let answer = start(&mut client, task_yaml(&server, "t", &["mysql-01", "mysql-02"])).await;
    assert!(!answer.result && answer.msg.starts_with("[code=46009:"), "{}", answer.msg);
    let answer = start(&mut client, task_yaml(&server, "t", &["nobody"])).await;
    assert!(!answer.result && answer.msg.starts_with("[code=20031:"), "{}", answer.msg);
    let nobody = task_yaml(&server, "t", &["mysql-01"])
        .replace("target-Pw1", "nobody-Pw1")
        .replace("user: target", "user: nobody");
    let answer = start(&mut client, nobody).await;
    assert!(!answer.result && answer.check_result.contains("GRANT"), "{}", answer.check_result);
    let answer = operate(&mut client, pb::TaskOp::Pause, "t").await;
    assert!(answer.msg.contains("has no source or not exist"), "{}", answer.msg);
    for part in [w1, master] {
        part.end().await;
    }
}
