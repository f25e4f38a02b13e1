//! The control plane: masters, workers and the client's calls in one process, with a unit that only pretends to
//! replicate. The databases are real.

mod fake;
mod life;
mod locks;

use std::{path::Path, sync::Arc, time::Duration};

use rsync_dm::{
    config::{MasterConfig, MasterFlags, WorkerConfig, WorkerFlags},
    master,
    proto::pb::{self, master_client::MasterClient},
    worker,
};
use testkit::{Account, Kind, Options, Server, WorkDir};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use fake::Units;

pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A part of a cluster that runs in this process.
pub(crate) struct Part {
    pub stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Part {
    /// In good order.
    pub async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

pub(crate) struct Cluster {
    pub dir: WorkDir,
    pub address: String,
    pub units: Arc<Units>,
}

impl Cluster {
    pub fn new() -> Self {
        let address = format!("127.0.0.1:{}", testkit::port::free_port());
        Self { dir: WorkDir::new("dm-control").unwrap(), address, units: Arc::default() }
    }

    pub fn master(&self) -> Part {
        let config = MasterConfig::load(&MasterFlags {
            name: Some("master1".into()),
            master_addr: Some(self.address.clone()),
            data_dir: Some(self.dir.join("master")),
            ..Default::default()
        })
        .unwrap();
        let stop = CancellationToken::new();
        let token = stop.clone();
        let task = tokio::spawn(async move { master::run(config, token, |_| {}).await.unwrap() });
        Part { stop, task }
    }

    pub fn worker(&self, name: &str) -> Part {
        let config = WorkerConfig::load(&WorkerFlags {
            name: Some(name.into()),
            worker_addr: Some(format!("127.0.0.1:{}", testkit::port::free_port())),
            join: Some(self.address.clone()),
            ..Default::default()
        })
        .unwrap();
        let stop = CancellationToken::new();
        let (token, units) = (stop.clone(), Arc::clone(&self.units));
        let task = tokio::spawn(async move { worker::run(config, units, token, |_| {}).await.unwrap() });
        Part { stop, task }
    }

    pub async fn client(&self) -> MasterClient<Channel> {
        let mut client = None;
        testkit::wait_until(SOON, "the master answers", async || {
            client = MasterClient::connect(format!("http://{}", self.address)).await.ok();
            client.is_some()
        })
        .await;
        client.unwrap()
    }

    /// Waits until this many workers are there.
    pub async fn workers(&self, count: usize) {
        let mut client = self.client().await;
        testkit::wait_until(SOON, "the workers are attached", async || {
            let answer =
                client.list_member(pb::ListMemberRequest { worker: true, ..Default::default() }).await;
            let text = rsync_dm::ctl::answer::render(answer.unwrap().get_ref());
            text.matches("\"stage\": \"free\"").count() + text.matches("\"stage\": \"bound\"").count()
                == count
        })
        .await;
    }
}

/// One server that plays both sources and the target.
pub(crate) fn database() -> Option<Server> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql(
        "CREATE DATABASE my_db1; CREATE TABLE my_db1.table1 (id INT PRIMARY KEY, sid INT NOT NULL UNIQUE)",
    );
    server.sql("CREATE DATABASE my_db; CREATE TABLE my_db.table5 (id INT, sid INT NOT NULL UNIQUE)");
    Some(server)
}

pub(crate) fn source_yaml(server: &Server, id: &str) -> String {
    let who = server.account(Account::Replicate);
    format!(
        "source-id: {id}\nenable-gtid: true\nfrom:\n  host: 127.0.0.1\n  port: {}\n  user: {}\n  password: '{}'\n",
        server.port(),
        who.user,
        who.password
    )
}

pub(crate) fn task_yaml(server: &Server, name: &str, sources: &[&str]) -> String {
    let who = server.account(Account::Target);
    let instances: String = sources
        .iter()
        .map(|s| format!("- {{source-id: {s}, block-allow-list: b, route-rules: [r]}}\n"))
        .collect();
    format!(
        "name: {name}\ntask-mode: incremental\nshard-mode: pessimistic\ntarget-database:\n  host: 127.0.0.1\n  port: {}\n  user: {}\n  password: '{}'\nblock-allow-list:\n  b:\n    do-dbs: [my_db1]\nroutes:\n  r: {{schema-pattern: my_db1, table-pattern: 'table*', target-schema: my_db, target-table: table5}}\nmysql-instances:\n{instances}",
        server.port(),
        who.user,
        who.password
    )
}

pub(crate) async fn create(client: &mut MasterClient<Channel>, yaml: String) -> pb::OperateSourceResponse {
    let request = pb::OperateSourceRequest {
        op: pb::SourceOp::StartSource.into(),
        config: vec![yaml],
        ..Default::default()
    };
    client.operate_source(request).await.unwrap().into_inner()
}

pub(crate) async fn start(client: &mut MasterClient<Channel>, task: String) -> pb::StartTaskResponse {
    let request = pb::StartTaskRequest { task, ..Default::default() };
    client.start_task(request).await.unwrap().into_inner()
}

pub(crate) async fn operate(
    client: &mut MasterClient<Channel>,
    op: pb::TaskOp,
    name: &str,
) -> pb::OperateTaskResponse {
    let request = pb::OperateTaskRequest { op: op.into(), name: name.into(), sources: Vec::new() };
    client.operate_task(request).await.unwrap().into_inner()
}

/// Stage of each source's subtask.
pub(crate) async fn stages(client: &mut MasterClient<Channel>, task: &str) -> Vec<String> {
    let request = pb::QueryStatusListRequest { name: task.into(), sources: Vec::new() };
    let answer = client.query_status(request).await.unwrap().into_inner();
    answer
        .sources
        .iter()
        .flat_map(|s| &s.sub_task_status)
        .map(|s| s.stage().as_str_name().to_owned())
        .collect()
}

pub(crate) fn golden(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dmctl").join(name);
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

/// Workers are given by the master's choice: their names are no part of an answer's form.
pub(crate) fn mask_workers(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        match line.split_once("\"worker\": \"w") {
            Some((head, _)) => out.push_str(&format!("{head}\"worker\": \"W\"")),
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}
