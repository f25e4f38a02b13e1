//! The six steps of the main job.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use testkit::tool::Finished;
use testkit::workload::{SCHEMAS, TABLES, Writer};
use testkit::{Account, Server, Tool};

use super::config::{self, Files};
use super::report::{Moved, Report};
use super::world::{Options, World};

/// Longest time of one tool in the demo.
const TOOL_LIMIT: Duration = Duration::from_secs(900);

/// The tables that the task replicates: on each source.
const REPLICATED: [(&str, &[&str]); 2] = [("my_db1", &["table1", "table2"]), ("my_db2", &TABLES)];

/// Runs everything and prints the table and the last line.
pub async fn all(options: &Options) -> Result<()> {
    let mut report = Report::default();
    let mut world = report
        .phase("start and load", async {
            let world = World::start(options).await?;
            Ok((Moved { rows: Some(options.rows * 16), bytes: None }, world))
        })
        .await?;
    let result = steps(options, &world, &mut report).await;
    if result.is_err() {
        world.dir.keep();
        println!("logs and files are kept in {}", world.dir.path().display());
    }
    result
}

async fn steps(options: &Options, world: &World, report: &mut Report) -> Result<()> {
    let begin = Instant::now();
    let files = config::write(world)?;
    let writers = world.writers(options.rows).await?;
    let job = Job::new(options, world, &files)?;
    report.phase("1 dump", job.dump()).await?;
    report.phase("2 check", job.check()).await?;
    report.phase("3 import, killed once", job.import()).await?;
    report.phase("4 positions", job.positions()).await?;
    let mut cluster = report.phase("5 start replication", job.start_replication()).await?;
    report.phase("5 shard DDL, a worker killed", job.shard_ddl(&writers, &mut cluster)).await?;
    let mut written = 0;
    for writer in writers {
        written += writer.stop().await.context("stop the writer")?.transactions;
    }
    let seconds = begin.elapsed().as_secs_f64();
    println!("writers: {written} transactions, {:.0} a second", written as f64 / seconds);
    let rows = report.phase("6 verify", job.verify()).await?;
    job.stop_replication(cluster)?;
    println!("{}", report.table());
    if options.keep {
        job.wait_for_enter();
    }
    println!("verified: {rows} rows equal");
    Ok(())
}

/// What all steps share.
pub struct Job<'a> {
    options: &'a Options,
    world: &'a World,
    files: &'a Files,
    /// Source ids in the order of the servers.
    ids: Vec<String>,
}

/// The running processes of step 5.
pub struct Cluster {
    master_address: String,
    pub master: testkit::tool::Started,
    pub workers: Vec<testkit::tool::Started>,
    /// A worker that starts again keeps its address, as the master knows it by name and address.
    worker_addresses: Vec<String>,
}

impl<'a> Job<'a> {
    pub fn new(options: &'a Options, world: &'a World, files: &'a Files) -> Result<Job<'a>> {
        let ids = files.sources.iter().map(|path| config::source_id(path)).collect::<Result<Vec<_>>>()?;
        Ok(Job { options, world, files, ids })
    }

    /// A tool whose progress is seen on the terminal.
    fn tool(&self, name: &str) -> Tool {
        let mut tool = Tool::new(name);
        if !self.options.quiet && std::io::stderr().is_terminal() {
            tool.command_mut().stderr(Stdio::inherit());
        }
        tool
    }

    async fn finish(&self, tool: Tool) -> Result<Finished> {
        let finished = tokio::task::spawn_blocking(move || tool.start().finish(TOOL_LIMIT)).await?;
        ensure!(finished.status.success(), "ended with {}\n{}", finished.status, finished.shown());
        Ok(finished)
    }

    /// Step 1: on each server once for each schema, one after the other.
    pub async fn dump(&self) -> Result<(Moved, ())> {
        for index in 0..self.world.sources.len() {
            for schema in SCHEMAS {
                let dump = self.dump_tool(index, schema);
                self.finish(dump).await.with_context(|| format!("dump {schema} of source {}", index + 1))?;
            }
        }
        let bytes = folder_size(&self.world.dump_parent())?;
        Ok((Moved { rows: Some(self.options.rows * 12), bytes: Some(bytes) }, ()))
    }

    /// The dump of one schema of one source.
    pub fn dump_tool(&self, index: usize, schema: &str) -> Tool {
        let filter: &[&str] = if schema == "my_db1" { &["-f", "my_db1.table[12]"] } else { &[] };
        self.tool("rdump")
            .login(&self.world.sources[index], Account::Dump)
            .args(["-t", "16", "-r", "200000", "-F", "256MB", "-B", schema])
            .args(filter)
            .arg("-o")
            .arg(self.world.dump_dir(index, schema))
    }

    /// Step 2: the check, then exactly the DDL that it printed.
    pub async fn check(&self) -> Result<(Moved, ())> {
        let ddl_file = self.world.dir.join("target.sql");
        let check = self
            .tool("rlightning")
            .arg("check")
            .arg("-config")
            .arg(&self.files.lightning)
            .arg("--ddl-file")
            .arg(&ddl_file);
        let said = self.finish(check).await.context("rlightning check")?;
        if !self.options.quiet {
            print!("{}", said.stdout);
        }
        let ddl = fs::read_to_string(&ddl_file).with_context(|| format!("read {}", ddl_file.display()))?;
        let mut target = self.world.target_admin().await?;
        for span in sql::split::statements(ddl.as_bytes(), sql::SqlMode::default())? {
            target.exec(span.of(ddl.as_bytes())).await.context("run the printed DDL")?;
        }
        target.close().await;
        let bytes = folder_size(&self.world.dump_parent())?;
        Ok((Moved { rows: Some(self.options.rows * 12), bytes: Some(bytes) }, ()))
    }

    /// Step 3: killed in the middle and started again.
    async fn import(&self) -> Result<(Moved, ())> {
        let bytes = folder_size(&self.world.dump_parent())?;
        let tool = self.tool("rlightning").arg("-config").arg(&self.files.lightning);
        let killed =
            tokio::task::spawn_blocking(move || tool.start().kill_after_bytes(bytes, TOOL_LIMIT)).await?;
        match killed {
            Some(moved) => println!("killed rlightning after it had moved {:.1} MB", moved as f64 / 1e6),
            None => bail!("rlightning ended before it could be killed"),
        }
        self.import_once().await.context("second run")?;
        Ok((Moved { rows: Some(self.options.rows * 12), bytes: Some(bytes) }, ()))
    }

    /// An import that nobody disturbs.
    pub async fn import_once(&self) -> Result<()> {
        let tool = self.tool("rlightning").arg("-config").arg(&self.files.lightning);
        let finished = self.finish(tool).await.context("rlightning")?;
        let last = finished.stdout.lines().last().unwrap_or_default();
        ensure!(last == "tidb lightning exit successfully", "the last line is {last:?}");
        Ok(())
    }

    /// Step 4: the checkpoint from the metadata files.
    pub async fn positions(&self) -> Result<(Moved, ())> {
        let mut tool = self.tool("rsync-dm").args(["ctl", "meta-from"]);
        for (index, id) in self.ids.iter().enumerate() {
            for schema in SCHEMAS {
                tool = tool.arg(format!("{id}={}", self.world.dump_dir(index, schema).display()));
            }
        }
        let tool = self.with_task(tool).arg("--write-checkpoint");
        let said = self.finish(tool).await.context("rsync-dm ctl meta-from")?;
        if !self.options.quiet {
            print!("{}", said.stdout);
        }
        Ok((Moved::default(), ()))
    }

    /// Adds `--task … --source … --source …`.
    fn with_task(&self, tool: Tool) -> Tool {
        let tool = tool.arg("--task").arg(&self.files.task);
        self.files.sources.iter().fold(tool, |tool, source| tool.arg("--source").arg(source))
    }

    async fn ctl(&self, cluster: &Cluster, args: &[&str]) -> Result<Finished> {
        let tool = Tool::new("rsync-dm").args(["ctl", "--master-addr", &cluster.master_address]).args(args);
        let finished = self.finish(tool).await.with_context(|| format!("rsync-dm ctl {}", args.join(" ")))?;
        ensure!(
            !finished.stdout.contains("\"result\": false"),
            "rsync-dm ctl {}: {}",
            args.join(" "),
            finished.stdout
        );
        Ok(finished)
    }

    pub async fn start_replication(&self) -> Result<(Moved, Cluster)> {
        let master_address = format!("127.0.0.1:{}", testkit::port::free_port());
        let master = self.master(&master_address);
        let worker_addresses: Vec<String> =
            (0..2).map(|_| format!("127.0.0.1:{}", testkit::port::free_port())).collect();
        let workers =
            (0..2).map(|index| self.worker(&master_address, index, &worker_addresses[index])).collect();
        let mut cluster = Cluster { master_address, master, workers, worker_addresses };
        self.wait_for(&mut cluster, "both workers are there", &["list-member", "--worker"], |text| {
            text.matches("\"stage\": \"free\"").count() == 2
        })
        .await?;
        for source in &self.files.sources {
            self.ctl(&cluster, &["operate-source", "create", &source.display().to_string()]).await?;
        }
        let task = self.files.task.display().to_string();
        self.ctl(&cluster, &["check-task", &task]).await?;
        self.ctl(&cluster, &["start-task", &task]).await?;
        Ok((Moved::default(), cluster))
    }

    fn master(&self, address: &str) -> testkit::tool::Started {
        Tool::new("rsync-dm")
            .args(["master", "--name", "master-1", "--master-addr", address, "--advertise-addr", address])
            .arg("--data-dir")
            .arg(self.world.dir.join("master"))
            .arg("--log-file")
            .arg(self.world.dir.join("master.log"))
            .start()
    }

    /// Starts the master again after a kill.
    pub fn restart_master(&self, cluster: &mut Cluster) {
        cluster.master = self.master(&cluster.master_address);
    }

    /// Starts a worker again after a kill.
    pub fn restart_worker(&self, cluster: &mut Cluster, index: usize) {
        cluster.workers[index] =
            self.worker(&cluster.master_address, index, &cluster.worker_addresses[index]);
    }

    /// Kills a running program once the sources have sent that many bytes since now; how many it were.
    pub async fn kill_after(&self, tool: &mut testkit::tool::Started, bytes: u64) -> Result<u64> {
        let (begin, before) = (Instant::now(), self.world.bytes_from_sources());
        while self.world.bytes_from_sources() - before < bytes {
            ensure!(tool.is_running(), "it ended by itself\n{}", tool.stderr_so_far());
            ensure!(begin.elapsed() < Duration::from_secs(60), "{bytes} bytes did not come in a minute");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let moved = self.world.bytes_from_sources() - before;
        tool.kill();
        Ok(moved)
    }

    /// Adds a column on all replicated shards of one source.
    pub async fn add_columns(&self, source: usize, column: &str) -> Result<()> {
        for (schema, tables) in REPLICATED {
            for table in tables {
                add_column(&self.world.sources[source], schema, table, column).await?;
            }
        }
        Ok(())
    }

    /// Waits until the number of open shard DDL locks pleases.
    pub async fn wait_for_locks(&self, cluster: &mut Cluster, pleases: impl Fn(usize) -> bool) -> Result<()> {
        self.wait_for(cluster, "the shard DDL locks are as wanted", &["shard-ddl-lock"], |text| {
            pleases(text.matches("\"ID\"").count())
        })
        .await
    }

    /// Waits until all four target tables have the column.
    pub async fn wait_for_column(&self, column: &str) -> Result<()> {
        let mut target = self.world.target_admin().await?;
        let begin = Instant::now();
        loop {
            let sql = format!(
                "SELECT count(*) FROM information_schema.columns WHERE column_name='{column}' AND table_schema IN \
                 ('my_db', 'my_db2')"
            );
            let rows = target.query(sql).await?;
            let columns: u64 = rows.first().map(|row| row.parse(0)).transpose()?.flatten().unwrap_or(0);
            if columns == 4 {
                break;
            }
            ensure!(
                begin.elapsed() < Duration::from_secs(120),
                "after two minutes {columns} of 4 target tables have the column {column}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        target.close().await;
        Ok(())
    }

    fn worker(&self, master: &str, index: usize, address: &str) -> testkit::tool::Started {
        let name = format!("worker-{}", index + 1);
        Tool::new("rsync-dm")
            .args(["worker", "--name", &name, "--join", master])
            .args(["--worker-addr", address, "--advertise-addr", address, "--log-file"])
            .arg(self.world.dir.join(format!("{name}.log")))
            .start()
    }

    /// Asks the master again and again until the answer pleases.
    async fn wait_for(
        &self,
        cluster: &mut Cluster,
        what: &str,
        args: &[&str],
        pleases: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let tool =
                Tool::new("rsync-dm").args(["ctl", "--master-addr", &cluster.master_address]).args(args);
            let answer = tokio::task::spawn_blocking(move || tool.start().finish(TOOL_LIMIT)).await?;
            if pleases(&answer.stdout) {
                return Ok(());
            }
            ensure!(cluster.master.is_running(), "the master ended\n{}", cluster.master.stderr_so_far());
            ensure!(Instant::now() < deadline, "waited in vain until {what}:\n{}", answer.shown());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// A column more on every shard, one shard after the other, and a worker that dies in between.
    async fn shard_ddl(&self, writers: &[Writer], cluster: &mut Cluster) -> Result<(Moved, ())> {
        for (number, writer) in writers.iter().enumerate() {
            self.add_columns(number, "extra").await?;
            for (schema, tables) in REPLICATED {
                tables.iter().for_each(|table| writer.use_column(schema, table, "extra"));
            }
            if number == 0 {
                self.wait_for_locks(cluster, |locks| locks > 0).await?;
                cluster.workers[0].kill();
                println!("killed worker-1 with shard DDL locks open");
                self.restart_worker(cluster, 0);
            }
        }
        self.wait_for_column("extra").await?;
        Ok((Moved::default(), ()))
    }

    /// Step 6.
    pub async fn verify(&self) -> Result<(Moved, u64)> {
        let tool = self.with_task(self.tool("rsync-dm").arg("verify"));
        let finished = self.finish(tool).await.context("rsync-dm verify")?;
        let last = finished.stdout.lines().last().unwrap_or_default().to_owned();
        let rows = last.strip_prefix("verified: ").and_then(|rest| rest.strip_suffix(" rows equal"));
        let rows: u64 =
            rows.and_then(|rows| rows.parse().ok()).with_context(|| format!("last line {last:?}"))?;
        ensure!(rows > 0 || self.options.rows == 0, "nothing was compared");
        Ok((Moved { rows: Some(rows), bytes: None }, rows))
    }

    pub fn stop_replication(&self, mut cluster: Cluster) -> Result<()> {
        let tools = cluster.workers.drain(..).chain([cluster.master]);
        for mut tool in tools {
            tool.signal(libc::SIGTERM);
            let finished = tool.finish(Duration::from_secs(30));
            ensure!(
                finished.status.code() == Some(0),
                "ended with {}\n{}",
                finished.status,
                finished.shown()
            );
        }
        Ok(())
    }

    fn wait_for_enter(&self) {
        let servers = self.world.sources.iter().chain([&self.world.target]);
        for (name, server) in ["source 1", "source 2", "target"].iter().zip(servers) {
            let login = server.account(Account::Admin);
            println!(
                "{name}: mysql -h 127.0.0.1 -P {} -u {} -p{}",
                server.port(),
                login.user,
                login.password
            );
        }
        println!("files: {}\nPress Enter to stop the servers.", self.world.dir.path().display());
        let mut line = String::new();
        let _closed = std::io::stdin().read_line(&mut line);
    }
}

async fn add_column(server: &Server, schema: &str, table: &str, column: &str) -> Result<()> {
    let mut connection = mysql::Conn::connect(&server.endpoint(Account::Admin)).await?;
    connection
        .exec(format!("ALTER TABLE `{schema}`.`{table}` ADD COLUMN {column} int NOT NULL DEFAULT 7"))
        .await?;
    connection.close().await;
    Ok(())
}

/// Bytes of all files below a folder.
fn folder_size(path: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in fs::read_dir(path).with_context(|| format!("list {}", path.display()))? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        size += if metadata.is_dir() { folder_size(&entry.path())? } else { metadata.len() };
    }
    Ok(size)
}
