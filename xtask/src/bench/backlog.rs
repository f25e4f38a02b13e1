//! rsync-dm beside a native replica with four workers, on the same backlog of 520,000 row changes.
//!
//! Both are timed from their start until the target holds the source's rows, asked for twice a second.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use mysql::Location;
use testkit::process::Running;
use testkit::{Account, Server};

use super::measure::{Run, median, server_cpu};
use super::page::{Goal, Line, Table};
use super::{Setting, dump};
use crate::shell;

const LIMIT: Duration = Duration::from_secs(900);

pub fn run(setting: &Setting) -> Result<Table> {
    tokio::runtime::Runtime::new()?.block_on(measure(setting))
}

async fn measure(setting: &Setting) -> Result<Table> {
    let source = setting.server(1)?;
    let mut admin = mysql::Conn::connect(&source.endpoint(Account::Admin)).await?;
    let begin = mysql::session::binlog_location(&mut admin).await?.context("the source has no binlog")?;
    shell::run_with_bytes(&mut dump::client(&source), backlog(setting).as_bytes())?;
    let expected = fingerprint(&mut admin).await?.context("the source has no rows")?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        theirs.push(native_replica(setting, &source, &begin, &expected).await?);
        ours.push(rsync_dm(setting, &source, &begin, &expected).await?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(Table {
        title: format!("Backlog of 520,000 row changes, durability {}", setting.durability.name()),
        lines: vec![
            Line { name: "native replica, 4 workers (its CPU is the server's)".into(), run: theirs },
            Line { name: "rsync-dm, 16 workers".into(), run: ours },
        ],
        goals: vec![Goal::at_most(
            "rsync-dm / native replica, wall",
            ours.wall.as_secs_f64() / theirs.wall.as_secs_f64(),
            2.0,
        )],
    })
}

/// 400k rows inserted by 100, 100k updated by 50, 20k deleted by 20.
fn backlog(setting: &Setting) -> String {
    let mut text = String::from(
        "create database lt; use lt; create table a (id bigint primary key auto_increment, k int, c varchar(120), \
         pad char(60), key(k));\n",
    );
    let mut numbers = testkit::Random::new(1);
    let mut random = move || numbers.number();
    let times = |count: u64| ((count as f64 * setting.scale) as u64).max(1);
    let rows = times(4000) * 100;
    for _ in 0..times(4000) {
        let row = |index: u64, random: &mut dyn FnMut() -> u64| {
            let text: String = (0..6).map(|_| format!("{:016x}", random())).collect();
            format!("({},'{text}0000','p{index}')", random() % 1_000_000)
        };
        let values: Vec<String> = (0..100).map(|index| row(index, &mut random)).collect();
        text.push_str(&format!("insert into a(k,c,pad) values {};\n", values.join(",")));
    }
    for _ in 0..times(2000) {
        let first = random() % (rows - 60);
        text.push_str(&format!("update a set k=k+1 where id between {first} and {};\n", first + 49));
    }
    for _ in 0..times(1000) {
        let first = random() % (rows - 60);
        text.push_str(&format!("delete from a where id between {first} and {};\n", first + 19));
    }
    text
}

/// Count and sums of the table, `None` while it is not there.
async fn fingerprint(connection: &mut mysql::Conn) -> Result<Option<String>> {
    let sql = "SELECT concat_ws(',', count(*), sum(k), sum(id), sum(crc32(pad))) FROM lt.a";
    match connection.query(sql).await {
        Ok(rows) => Ok(rows.first().and_then(|row| row.str(0).ok().flatten())),
        Err(_not_there) => Ok(None),
    }
}

async fn wait_for_rows(target: &Server, expected: &str) -> Result<Duration> {
    let begin = Instant::now();
    let mut connection = mysql::Conn::connect(&target.endpoint(Account::Admin)).await?;
    while fingerprint(&mut connection).await?.as_deref() != Some(expected) {
        ensure!(begin.elapsed() < LIMIT, "the rows did not arrive within {LIMIT:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let took = begin.elapsed();
    connection.close().await;
    Ok(took)
}

async fn native_replica(setting: &Setting, source: &Server, begin: &Location, expected: &str) -> Result<Run> {
    let replica = setting.server(2)?;
    let login = source.account(Account::Replicate);
    let mut admin = mysql::Conn::connect(&replica.endpoint(Account::Admin)).await?;
    admin.exec("SET GLOBAL replica_parallel_workers=4").await?;
    admin
        .exec(format!(
            "CHANGE REPLICATION SOURCE TO SOURCE_HOST='{}', SOURCE_PORT={}, SOURCE_USER='{}', SOURCE_PASSWORD='{}', \
             SOURCE_LOG_FILE='{}', SOURCE_LOG_POS={}, GET_SOURCE_PUBLIC_KEY=1, SOURCE_AUTO_POSITION=0",
            source.host(),
            source.port(),
            login.user,
            login.password,
            begin.file,
            begin.pos
        ))
        .await?;
    admin.exec("START REPLICA").await?;
    let wall = wait_for_rows(&replica, expected).await.context("native replica")?;
    Ok(Run { wall, server: server_cpu(&replica)?, ..Run::default() })
}

async fn rsync_dm(setting: &Setting, source: &Server, begin: &Location, expected: &str) -> Result<Run> {
    let target = setting.server(3)?;
    let mut admin = mysql::Conn::connect(&target.endpoint(Account::Admin)).await?;
    admin.exec("SET GLOBAL max_connections=200").await?;
    let running = start(setting, source, &target, begin, "lt")?;
    let wall = wait_for_rows(&target, expected).await;
    let (cpu, memory) = finish(running)?;
    Ok(Run { wall: wall.context("rsync-dm")?, cpu, memory, server: server_cpu(&target)? })
}

/// Starts `rsync-dm run` for one source from a location.
pub fn start(
    setting: &Setting,
    source: &Server,
    target: &Server,
    begin: &Location,
    schema: &str,
) -> Result<Running> {
    let (from, to) = (source.account(Account::Replicate), target.account(Account::Target));
    let source_file = setting.dir.join("source.yaml");
    fs::write(
        &source_file,
        format!(
            "source-id: bench-source\nfrom:\n  host: {}\n  port: {}\n  user: {}\n  password: {}\n",
            source.host(),
            source.port(),
            from.user,
            from.password
        ),
    )?;
    let task_file = setting.dir.join("task.yaml");
    fs::write(
        &task_file,
        format!(
            "name: bench\ntask-mode: incremental\ntarget-database:\n  host: {}\n  port: {}\n  user: {}\n  \
             password: {}\nmysql-instances:\n  - source-id: bench-source\n    meta:\n      binlog-name: {}\n      \
             binlog-pos: {}\n    block-allow-list: bench\n    syncer-config-name: bench\nblock-allow-list:\n  bench:\n    \
             do-dbs: [{schema}]\nsyncers:\n  bench:\n    worker-count: 16\n    compact: true\n    multiple-rows: true\n",
            target.host(),
            target.port(),
            to.user,
            to.password,
            begin.file,
            begin.pos
        ),
    )?;
    let mut command = Command::new(shell::release_program("rsync-dm"));
    command.arg("run").arg("--source").arg(&source_file).arg("--task").arg(&task_file);
    let log = fs::File::create(log_path(setting))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(testkit::process::spawn(command)?)
}

fn log_path(setting: &Setting) -> PathBuf {
    setting.dir.join("rsync-dm.log")
}

/// Stops it in an orderly way; what it used.
pub fn finish(mut running: Running) -> Result<(Duration, u64)> {
    running.signal(libc::SIGTERM);
    let (status, usage) = running.wait_measured()?;
    ensure!(status.success(), "rsync-dm ended with {status}");
    Ok((usage.cpu, usage.memory))
}
