//! The whole program as processes: a master, workers and `ctl`, two sources and a target.

mod answers;
mod bad_input;
mod binlog;
mod kills;
mod operations;
mod partitions;
mod shards;
mod tls;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

pub(crate) use kills::after_kills;
use testkit::{
    Account, Kind, LogCheck, Options, Server, Tool, WorkDir,
    tool::{Finished, Started},
    wait_until_blocking as wait_until,
};

pub(crate) const SOON: Duration = Duration::from_secs(60);

/// Two sources and a target.
pub(crate) struct Servers {
    pub sources: [Server; 2],
    pub target: Server,
    /// Which sources are read by GTID.
    pub gtid: [bool; 2],
}

pub(crate) const SHARD: &str = "(id bigint NOT NULL AUTO_INCREMENT PRIMARY KEY, sid bigint NOT NULL UNIQUE, pid bigint NOT NULL, comment varchar(255), at timestamp NULL) DEFAULT CHARSET=latin1";
pub(crate) const MERGED: &str = "(id bigint NOT NULL, sid bigint NOT NULL, pid bigint NOT NULL, comment varchar(255), at timestamp NULL, KEY (id), UNIQUE KEY (sid)) DEFAULT CHARSET=latin1";

impl Servers {
    /// With the tables of the golden task, empty.
    pub fn start() -> Option<Self> {
        Self::start_of([Kind::MySql8033; 2])
    }

    /// As [`Servers::start_of`], the MySQL ones without GTIDs and read by position.
    pub fn start_without_gtid(kinds: [Kind; 2]) -> Option<Self> {
        let gtid = kinds.map(|kind| kind == Kind::MariaDb1011);
        Self::start_all(kinds, gtid)
    }

    /// With sources of these kinds.
    pub fn start_of(kinds: [Kind; 2]) -> Option<Self> {
        Self::start_all(kinds, [true; 2])
    }

    fn start_all(kinds: [Kind; 2], gtid: [bool; 2]) -> Option<Self> {
        let server = |kind, gtid| {
            let options = Options::default();
            Server::start_or_skip(kind, if gtid { options } else { options.no_gtid() })
        };
        let sources = [server(kinds[0], gtid[0])?, server(kinds[1], gtid[1])?];
        let servers = Self { sources, target: server(Kind::MySql8033, true)?, gtid };
        for source in &servers.sources {
            source.sql("CREATE DATABASE my_db1");
            for table in ["table1", "table2"] {
                source.sql(format!("CREATE TABLE my_db1.{table} {SHARD}"));
            }
        }
        servers.target.sql(format!("CREATE DATABASE my_db; CREATE TABLE my_db.table5 {MERGED}"));
        Some(servers)
    }

    pub fn source_yaml(&self, number: usize) -> String {
        let who = Account::Replicate.credentials();
        format!(
            "source-id: mysql-0{}\nenable-gtid: {}\nfrom:\n  host: 127.0.0.1\n  port: {}\n  user: {}\n  password: '{}'\n",
            number + 1,
            self.gtid[number],
            self.sources[number].port(),
            who.user,
            who.password
        )
    }

    /// The golden task, from where the sources are now.
    pub fn task_yaml(&self, name: &str) -> String {
        let who = Account::Target.credentials();
        let mut text = format!(
            "name: {name}\ntask-mode: incremental\nshard-mode: pessimistic\ntarget-database:\n  host: 127.0.0.1\n  port: {}\n  user: {}\n  password: '{}'\nblock-allow-list:\n  b:\n    do-tables:\n    - {{db-name: my_db1, tbl-name: table1}}\n    - {{db-name: my_db1, tbl-name: table2}}\nroutes:\n  r: {{schema-pattern: my_db1, table-pattern: 'table[1-2]', target-schema: my_db, target-table: table5}}\nsyncers:\n  global: {{worker-count: 4, checkpoint-flush-interval: 1}}\nmysql-instances:\n",
            self.target.port(),
            who.user,
            who.password
        );
        for (i, source) in self.sources.iter().enumerate() {
            let rows = source.rows("SHOW MASTER STATUS");
            let status = rows.first().unwrap();
            // MariaDB has no such column.
            let gtid =
                status.text("Executed_Gtid_Set").unwrap_or_else(|_| source.value("SELECT @@gtid_binlog_pos"));
            text.push_str(&format!(
                "- source-id: mysql-0{}\n  block-allow-list: b\n  route-rules: [r]\n  syncer-config-name: global\n  meta: {{binlog-name: '{}', binlog-pos: {}, binlog-gtid: '{}'}}\n",
                i + 1,
                status.text("File").unwrap(),
                status.text("Position").unwrap(),
                gtid.replace('\n', ""),
            ));
        }
        text
    }

    /// Rows of the target and of all shards, as sorted text; `columns` are compared.
    pub fn rows(&self, columns: &str) -> (Vec<String>, Vec<String>) {
        let read = |server: &Server, table: &str| -> Vec<String> {
            let sql = format!("SELECT CONCAT_WS('|', {columns}) FROM {table}");
            server.rows(sql).iter().map(|row| row.str(0).unwrap().unwrap_or_default()).collect()
        };
        let mut target = read(&self.target, "my_db.table5");
        let mut shards: Vec<String> = self
            .sources
            .iter()
            .flat_map(|s| [read(s, "my_db1.table1"), read(s, "my_db1.table2")].concat())
            .collect();
        target.sort();
        shards.sort();
        (target, shards)
    }

    /// Waits until the target has what the shards have.
    pub fn wait_equal(&self, columns: &str) {
        wait_until(SOON, "the target has all rows", || {
            let (target, shards) = self.rows(columns);
            target == shards
        });
    }
}

/// More arguments of each program.
#[derive(Default)]
pub(crate) struct MoreArgs {
    pub master: Vec<String>,
    /// `FAILPOINTS` of the next master.
    pub master_failpoints: String,
    pub worker: Vec<String>,
    pub ctl: Vec<String>,
}

/// The processes of a cluster, with their files in one folder.
pub(crate) struct Dm {
    pub dir: WorkDir,
    pub address: String,
    master: Option<Started>,
    workers: Vec<(String, Started)>,
    more: MoreArgs,
}

impl Dm {
    /// A master and this many workers.
    pub fn start(workers: usize) -> Self {
        Self::start_with(workers, MoreArgs::default())
    }

    /// The same, with more arguments.
    pub fn start_with(workers: usize, more: MoreArgs) -> Self {
        let address = format!("127.0.0.1:{}", testkit::port::free_port());
        let dir = WorkDir::new("dm").unwrap();
        let mut dm = Self { dir, address, master: None, workers: Vec::new(), more };
        dm.start_master();
        wait_until(SOON, "the master answers", || dm.ctl(&["list-member"]).status.success());
        for i in 1..=workers {
            dm.start_worker(&format!("worker{i}"));
        }
        dm.wait_workers(workers);
        dm
    }

    pub fn start_master(&mut self) {
        let tool = Tool::new("rsync-dm")
            .args(["master", "--name", "master1", "--master-addr", &self.address])
            .arg("--data-dir")
            .arg(self.dir.join("master"))
            .arg("--log-file")
            .arg(self.log("master"))
            .env("FAILPOINTS", &self.more.master_failpoints)
            .args(&self.more.master);
        self.master = Some(tool.start());
    }

    pub fn start_worker(&mut self, name: &str) {
        let master = self.address.clone();
        self.start_worker_at(name, &master);
    }

    /// A worker that knows the master by another address.
    pub fn start_worker_at(&mut self, name: &str, master: &str) {
        let own = format!("127.0.0.1:{}", testkit::port::free_port());
        let tool = Tool::new("rsync-dm")
            .args(["worker", "--name", name, "--worker-addr", &own, "--join", master])
            .arg("--log-file")
            .arg(self.log(name))
            .args(&self.more.worker);
        self.workers.push((name.into(), tool.start()));
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.log"))
    }

    /// Waits until the master has died of a failpoint, and arms none for the next one.
    pub fn wait_master_dead(&mut self) {
        let mut master = self.master.take().expect("the master runs");
        wait_until(SOON, "the master dies at its failpoint", || !master.is_running());
        self.more.master_failpoints.clear();
    }

    pub fn kill_master(&mut self) {
        if let Some(mut master) = self.master.take() {
            master.kill();
        }
    }

    pub fn kill_worker(&mut self, name: &str) {
        let at = self.workers.iter().position(|(n, _)| n == name).expect("the worker runs");
        self.workers.remove(at).1.kill();
    }

    pub fn signal(&mut self, name: &str, signal: i32) {
        if name == "master" {
            self.master.as_mut().expect("the master runs").signal(signal);
        } else {
            self.workers.iter_mut().find(|(n, _)| n == name).expect("the worker runs").1.signal(signal);
        }
    }

    pub fn ctl(&self, args: &[&str]) -> Finished {
        self.ctl_with(&self.more.ctl, args)
    }

    /// With these flags in place of its own.
    pub fn ctl_with(&self, flags: &[String], args: &[&str]) -> Finished {
        Tool::new("rsync-dm").arg("ctl").args(flags).args(args).env("DM_MASTER_ADDR", &self.address).run()
    }

    pub fn wait_workers(&self, count: usize) {
        wait_until(SOON, "the workers are attached", || {
            let text = self.ctl(&["list-member", "-w"]).stdout;
            text.matches("\"stage\": \"free\"").count() + text.matches("\"stage\": \"bound\"").count()
                == count
        });
    }

    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().into()
    }

    /// Both sources registered, the task started.
    pub fn run_task(&self, servers: &Servers, task: &str) {
        for i in 0..2 {
            let file = self.file(&format!("source-{i}.yaml"), &servers.source_yaml(i));
            self.ctl(&["operate-source", "create", &file]).success();
        }
        let file = self.file("task.yaml", task);
        self.ctl(&["start-task", &file]).success();
    }

    /// The worker of a source.
    pub fn worker_of(&self, source: &str) -> String {
        let text = self.ctl(&["operate-source", "show", source]).stdout;
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        answer["sources"][0]["worker"].as_str().unwrap().into()
    }

    pub fn status(&self, task: &str) -> serde_json::Value {
        serde_json::from_str(&self.ctl(&["query-status", task]).stdout).unwrap()
    }

    /// Waits until a field of the answer, as a JSON pointer, has this value.
    pub fn wait_status(&self, task: &str, pointer: &str, value: &str) {
        wait_until(SOON, &format!("{pointer} is {value}"), || {
            let status = self.status(task);
            let found = status.pointer(pointer);
            found.and_then(serde_json::Value::as_str) == Some(value)
        });
    }

    pub fn wait_lock(&self) -> serde_json::Value {
        let mut answer = serde_json::Value::Null;
        wait_until(SOON, "a lock is open", || {
            answer = serde_json::from_str(&self.ctl(&["shard-ddl-lock"]).stdout).unwrap();
            answer["locks"].as_array().is_some_and(|l| !l.is_empty())
        });
        answer
    }

    pub fn wait_no_lock(&self) {
        wait_until(SOON, "no lock is open", || {
            self.ctl(&["shard-ddl-lock"]).stdout.contains("no DDL lock exists")
        });
    }

    /// Ends everything in good order and looks at the logs.
    pub fn end(mut self, check: &LogCheck) {
        let mut parts: Vec<Started> = self.workers.drain(..).map(|(_, w)| w).collect();
        for part in &mut parts {
            part.signal(15);
        }
        for part in parts {
            part.finish(SOON).success();
        }
        if let Some(mut master) = self.master.take() {
            master.signal(15);
            master.finish(SOON).success();
        }
        for entry in std::fs::read_dir(self.dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "log") {
                check.check_file(&path);
                no_secrets(&path);
            }
        }
    }
}

/// A test that failed shows what the processes said last.
impl Drop for Dm {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for entry in std::fs::read_dir(self.dir.path()).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.extension().is_some_and(|e| e == "log") {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                let lines: Vec<&str> = text.lines().collect();
                let last = &lines[lines.len().saturating_sub(25)..];
                println!("--- {}\n{}", path.display(), last.join("\n"));
            }
        }
    }
}

fn no_secrets(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    for account in [Account::Replicate, Account::Target] {
        assert!(!text.contains(account.credentials().password), "a password in {}", path.display());
    }
}
