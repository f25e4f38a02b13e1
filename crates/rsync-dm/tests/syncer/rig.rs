//! Sources, a target, configuration files, and the comparison of both sides.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use testkit::{
    Account, Kind, Options, Server, Tool, WorkDir,
    tool::Started,
    workload::{self, Writer},
};

pub const LIMIT: Duration = Duration::from_secs(90);

/// Servers and files of one task.
pub struct Rig {
    pub sources: Vec<Server>,
    pub target: Server,
    pub dir: WorkDir,
    pub gtid: bool,
    /// More lines for task.yaml.
    pub task: String,
    pub rows: u64,
    /// Start positions, by source.
    pub meta: Vec<String>,
}

/// Routes and tables of the main job.
pub const MERGE: &str = r#"shard-mode: pessimistic
block-allow-list:
  all:
    do-tables:
      - {db-name: my_db1, tbl-name: "table[12]"}
      - {db-name: my_db2, tbl-name: "table*"}
routes:
  r1: {schema-pattern: my_db1, table-pattern: "table[1-2]", target-schema: my_db, target-table: table5}
  r2: {schema-pattern: my_db2, table-pattern: "table[1-2]", target-schema: my_db, target-table: table6}
"#;

impl Rig {
    /// Sources with the main job's shards, `rows` in each, and an empty target with its tables.
    pub fn new(kind: Kind, sources: u32, rows: u64, options: impl Fn(u32) -> Options) -> Option<Rig> {
        let sources: Option<Vec<Server>> =
            (1..=sources).map(|n| Server::start_or_skip(kind, options(n).time_zone("+08:00"))).collect();
        let target = Server::start_or_skip(Kind::MySql8033, Options::default().time_zone("+00:00"))?;
        let rig = Rig {
            sources: sources?,
            target,
            dir: WorkDir::new("syncer").unwrap(),
            gtid: false,
            task: MERGE.into(),
            rows,
            meta: Vec::new(),
        };
        runtime().block_on(async {
            for (n, source) in rig.sources.iter().enumerate() {
                let mut conn = source.conn(Account::Admin).await;
                workload::load(&mut conn, n as u32 + 1, 0).await.unwrap();
                conn.close().await;
            }
        });
        rig.target.sql("CREATE DATABASE my_db; CREATE DATABASE my_db2");
        let columns =
            "sid bigint NOT NULL UNIQUE, pid bigint NOT NULL, comment varchar(255), at timestamp NULL";
        for table in ["table5", "table6"] {
            rig.target.sql(format!(
                "CREATE TABLE my_db.{table} (id bigint NOT NULL, {columns}, KEY (id)) DEFAULT CHARSET=utf8mb4 COLLATE utf8mb4_bin"
            ));
        }
        for table in ["table3", "table4"] {
            rig.target.sql(format!(
                "CREATE TABLE my_db2.{table} (id bigint NOT NULL, {columns}, KEY (id)) DEFAULT CHARSET=latin1"
            ));
        }
        Some(rig)
    }

    /// Notes where the sources are now as the start of the task.
    pub fn note_positions(&mut self) {
        self.meta = self.sources.iter().map(position).collect();
    }

    /// Writers on all sources.
    pub fn writers(&self, rate: u32) -> Vec<Writer> {
        let endpoints = self.sources.iter().map(|s| s.endpoint(Account::Admin));
        runtime().block_on(async {
            let mut all = Vec::new();
            for (n, endpoint) in endpoints.enumerate() {
                all.push(Writer::start(endpoint, n as u32 + 1, self.rows, rate).await.unwrap());
            }
            all
        })
    }

    /// Writes the files and starts `rsync-dm run`.
    pub fn start(&self) -> Started {
        self.start_with(&[])
    }

    pub fn start_with(&self, env: &[(&str, &str)]) -> Started {
        let mut tool = self.tool();
        for (key, value) in env {
            tool = tool.env(key, value);
        }
        tool.start()
    }

    pub fn start_args(&self, args: &[&str]) -> Started {
        self.tool().args(args).start()
    }

    pub fn tool(&self) -> Tool {
        let mut tool = Tool::new("rsync-dm").arg("run").arg("--task").arg(self.write_files());
        for n in 0..self.sources.len() {
            tool = tool.arg("--source").arg(self.dir.join(format!("source{n}.yaml")));
        }
        tool
    }

    pub fn write_files(&self) -> PathBuf {
        let mut instances = String::new();
        for (n, source) in self.sources.iter().enumerate() {
            let login = source.account(Account::Replicate);
            let text = format!(
                "source-id: s{n}\nenable-gtid: {}\nfrom: {{host: 127.0.0.1, port: {}, user: {}, password: {}}}\n",
                self.gtid,
                source.port(),
                login.user,
                login.password
            );
            std::fs::write(self.dir.join(format!("source{n}.yaml")), text).unwrap();
            instances.push_str(&format!(
                "  - {{source-id: s{n}, block-allow-list: all, route-rules: [{}], filter-rules: [{}], syncer-config-name: sync{}}}\n",
                names(&self.task, "routes:").join(", "),
                names(&self.task, "filters:").join(", "),
                self.meta.get(n).map(|meta| format!(", meta: {meta}")).unwrap_or_default(),
            ));
        }
        let login = self.target.account(Account::Target);
        let syncers = if self.task.contains("syncers:") {
            ""
        } else {
            "syncers:\n  sync: {worker-count: 4, batch: 100, checkpoint-flush-interval: 1}\n"
        };
        let task = format!(
            "name: test\ntask-mode: incremental\ntarget-database: {{host: 127.0.0.1, port: {}, user: {}, password: {}}}\n{}{syncers}mysql-instances:\n{instances}",
            self.target.port(),
            login.user,
            login.password,
            self.task,
        );
        let file = self.dir.join("task.yaml");
        std::fs::write(&file, task).unwrap();
        file
    }

    /// Waits until the checkpoint has passed where the sources are now.
    pub fn wait_synced(&self, tool: &mut Started) {
        for (n, source) in self.sources.iter().enumerate() {
            let end = end_of(source);
            let until = Instant::now() + LIMIT;
            while self.checkpoint(n).is_none_or(|at| at < end) {
                assert!(tool.is_running(), "it ended: {}", tool.stderr_so_far());
                assert!(
                    Instant::now() < until,
                    "source {n} is not synced to {end:?}: {}",
                    tool.stderr_so_far()
                );
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// File and position of a source's global checkpoint.
    pub fn checkpoint(&self, n: usize) -> Option<(String, u64)> {
        let rows = self.target.rows(
            "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='dm_meta' AND TABLE_NAME='test_syncer_checkpoint'",
        );
        if rows.first()?.str(0).ok()?? == "0" {
            return None;
        }
        let rows = self.target.rows(format!(
            "SELECT binlog_name, binlog_pos FROM dm_meta.test_syncer_checkpoint WHERE id='s{n}' AND is_global=1"
        ));
        let row = rows.first()?;
        Some((row.str(0).ok()??, row.parse(1).ok()??))
    }

    /// Compares every target table with the union of its shards.
    pub fn verify(&self) -> u64 {
        let mut rows = 0;
        for (target, shards) in [
            ("my_db.table5", ["my_db1.table1", "my_db1.table2"].as_slice()),
            ("my_db.table6", &["my_db2.table1", "my_db2.table2"]),
            ("my_db2.table3", &["my_db2.table3"]),
            ("my_db2.table4", &["my_db2.table4"]),
        ] {
            rows += self.verify_table(target, shards);
        }
        rows
    }

    pub fn verify_table(&self, target: &str, shards: &[&str]) -> u64 {
        let mut there = dump(&self.target, target);
        let mut wanted: Vec<String> =
            self.sources.iter().flat_map(|s| shards.iter().flat_map(|t| dump(s, t))).collect();
        there.sort();
        wanted.sort();
        if there != wanted {
            let missing: Vec<_> = diff(&wanted, &there);
            let extra: Vec<_> = diff(&there, &wanted);
            panic!(
                "{target}: {} rows, {} wanted\nmissing: {:#?}\nextra: {:#?}",
                there.len(),
                wanted.len(),
                &missing[..missing.len().min(5)],
                &extra[..extra.len().min(5)]
            );
        }
        wanted.len() as u64
    }
}

fn diff(a: &[String], b: &[String]) -> Vec<String> {
    let mut b = b.iter().peekable();
    let mut out = Vec::new();
    for x in a {
        while b.peek().is_some_and(|y| *y < x) {
            b.next();
        }
        if b.peek() == Some(&x) {
            b.next();
        } else {
            out.push(x.clone());
        }
    }
    out
}

/// Every row as text: columns in the order of their names, text as the characters it holds, times in UTC.
pub fn dump(server: &Server, table: &str) -> Vec<String> {
    let (schema, name) = table.split_once('.').unwrap();
    let columns = server.rows(format!(
        "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='{schema}' AND TABLE_NAME='{name}' ORDER BY LOWER(COLUMN_NAME)"
    ));
    let cells: Vec<String> = columns
        .iter()
        .map(|row| {
            let (column, kind) = (row.text(0).unwrap(), row.text(1).unwrap());
            match kind.as_str() {
                "timestamp" => format!("IFNULL(UNIX_TIMESTAMP(`{column}`),'-')"),
                "char" | "varchar" | "text" | "tinytext" | "mediumtext" | "longtext" | "enum" | "set" => {
                    format!("IFNULL(HEX(CONVERT(`{column}` USING utf8mb4)),'-')")
                }
                "binary" | "varbinary" | "blob" | "tinyblob" | "mediumblob" | "longblob" | "bit"
                | "geometry" => {
                    format!("IFNULL(HEX(`{column}`),'-')")
                }
                _ => format!("IFNULL(`{column}`,'-')"),
            }
        })
        .collect();
    let rows = server.rows(format!("SELECT CONCAT_WS('|',{}) FROM {table}", cells.join(",")));
    rows.iter().map(|row| row.text(0).unwrap()).collect()
}

/// `{binlog-name: …, binlog-pos: …, binlog-gtid: …}`
pub fn position(server: &Server) -> String {
    let location = location(server);
    let gtid = location.gtid.map(|set| set.to_string()).unwrap_or_default();
    format!("{{binlog-name: {}, binlog-pos: {}, binlog-gtid: \"{gtid}\"}}", location.file, location.pos)
}

pub fn end_of(server: &Server) -> (String, u64) {
    let location = location(server);
    (location.file, location.pos)
}

fn location(server: &Server) -> mysql::Location {
    runtime().block_on(async {
        let mut conn = server.conn(Account::Admin).await;
        let location = mysql::session::binlog_location(&mut conn).await.unwrap().unwrap();
        conn.close().await;
        location
    })
}

/// The names of what a block of task.yaml has.
fn names(task: &str, block: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in task.lines() {
        match line.strip_prefix("  ") {
            _ if line.starts_with(block) => inside = true,
            Some(rest) if inside && !rest.starts_with(' ') => {
                names.extend(rest.split(':').next().map(str::to_owned))
            }
            None => inside = false,
            _ => {}
        }
    }
    names
}

pub fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: std::sync::OnceLock<tokio::runtime::Runtime> = std::sync::OnceLock::new();
    RUNTIME.get_or_init(|| tokio::runtime::Runtime::new().unwrap())
}

/// Ends it as an operator would.
pub fn stop(mut tool: Started) -> String {
    tool.signal(15);
    let finished = tool.finish(LIMIT).success();
    format!("{}{}", finished.stdout, finished.stderr)
}
