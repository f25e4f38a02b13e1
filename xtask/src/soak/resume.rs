//! rdump with `--resume`, killed under writers again and again: each table keeps the moment at which it was whole, and the job
//! goes on from there, so the target must equal the sources at the end.

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::Tool;
use testkit::workload::SCHEMAS;

use super::{Outcome, Plan};
use crate::demo::config;
use crate::demo::phases::Job;
use crate::demo::world::{self, World};

const LIMIT: Duration = Duration::from_secs(300);

/// Kills of one dump before it may end, so that kept tables come from several runs.
const KILLS_A_DUMP: u32 = 3;

/// Two tables at a time, so that some are whole at a kill.
const SHAPE: [&str; 4] = ["-t", "2", "-r", "1000"];

pub async fn run(mut plan: Plan) -> Result<Outcome> {
    let options = world::Options { kind: plan.kind, rows: plan.rows, keep: false, quiet: true };
    let mut world = World::start(&options).await?;
    let result = job(&mut plan, &options, &world).await;
    if result.is_err() {
        world.dir.keep();
        println!("logs and files are kept in {}", world.dir.path().display());
    }
    result
}

async fn job(plan: &mut Plan, options: &world::Options, world: &World) -> Result<Outcome> {
    let files = config::write(world)?;
    let writers = world.writers(plan.rows).await?;
    let job = Job::new(options, world, &files)?;
    let mut totals = Vec::new();
    for schema in SCHEMAS {
        totals.push(whole(job.dump_tool(0, schema).args(SHAPE)).await?);
        fs::remove_dir_all(world.dump_dir(0, schema))?;
    }
    let (mut moved, mut kept) = (Vec::new(), 0);
    while moved.len() < plan.kills as usize {
        // Again and again all folders, until there were kills enough; the last ones stay.
        for index in 0..world.sources.len() {
            for (schema, total) in SCHEMAS.into_iter().zip(&totals) {
                let folder = world.dump_dir(index, schema);
                if folder.exists() {
                    fs::remove_dir_all(&folder)?;
                }
                let dump = || job.dump_tool(index, schema).args(SHAPE).arg("--resume");
                for _ in 0..KILLS_A_DUMP {
                    let at = plan.random.between(total / 10, total * 9 / 10);
                    let killed = kill_after(dump(), at).await?;
                    if let Some(bytes) = killed.filter(|_| !folder.join("metadata").exists()) {
                        moved.push(bytes);
                    }
                }
                if folder.join("metadata").exists() {
                    continue;
                }
                let last = dump();
                let said = tokio::task::spawn_blocking(move || last.start().finish(LIMIT).success()).await?;
                kept += tables_kept(&said.stdout);
            }
        }
    }
    job.check().await?;
    job.import_once().await?;
    job.positions().await?;
    let cluster = job.start_replication().await?.1;
    let mut written = 0;
    for writer in writers {
        written += writer.stop().await?.transactions;
    }
    let rows = job.verify().await?.1;
    ensure!(rows > 0, "nothing was compared");
    // A few kills may all come before the first table is whole.
    ensure!(kept > 0 || plan.kills < MANY, "no run has kept a table of an earlier one");
    job.stop_replication(cluster)?;
    Ok(Outcome {
        what: "rdump --resume".into(),
        kills: moved.len() as u32,
        moved,
        rows,
        remark: format!("{kept} tables kept by the last runs, {written} transactions written meanwhile"),
    })
}

/// From so many kills on some come between the first whole table and the last.
const MANY: u32 = 20;

/// What a whole dump moves says where the middle is.
pub async fn whole(tool: Tool) -> Result<u64> {
    let total = tokio::task::spawn_blocking(move || {
        let (mut tool, mut total) = (tool.start(), 0);
        tool.wait_until(LIMIT, "the first dump ends", |tool| {
            total = total.max(tool.bytes_moved());
            false
        });
        tool.finish(LIMIT).success();
        total
    });
    let total = total.await?;
    ensure!(total > 0, "a dump that moved nothing");
    Ok(total)
}

async fn kill_after(tool: Tool, bytes: u64) -> Result<Option<u64>> {
    Ok(tokio::task::spawn_blocking(move || tool.start().kill_after_bytes(bytes, LIMIT)).await?)
}

/// What the log says of the run before.
fn tables_kept(log: &str) -> usize {
    let line = log.lines().find(|line| line.contains("its whole tables are kept"));
    let number = line.and_then(|line| line.split_once("[tables=")?.1.split(']').next()?.parse().ok());
    number.unwrap_or(0)
}
