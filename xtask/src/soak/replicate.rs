//! rsync-dm: a worker or the master killed under two writers, every third time with a shard DDL lock open.

use anyhow::{Result, ensure};

use super::{Outcome, Plan};
use crate::demo::config;
use crate::demo::phases::Job;
use crate::demo::world::{self, World};

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Worker,
    Master,
}

/// Every how many kills a column is added, first on one source, then, after the kill, on the other.
const DDL_EVERY: u32 = 3;

pub async fn run(mut plan: Plan, victim: Victim) -> Result<Outcome> {
    let options = world::Options { kind: plan.kind, rows: plan.rows, keep: false, quiet: true };
    let mut world = World::start(&options).await?;
    world.count_bytes();
    let result = kill_again_and_again(&mut plan, victim, &options, &world).await;
    if result.is_err() {
        world.dir.keep();
        println!("logs and files are kept in {}", world.dir.path().display());
    }
    result
}

async fn kill_again_and_again(
    plan: &mut Plan,
    victim: Victim,
    options: &world::Options,
    world: &World,
) -> Result<Outcome> {
    let files = config::write(world)?;
    let writers = world.writers(plan.rows).await?;
    let job = Job::new(options, world, &files)?;
    job.dump().await?;
    job.check().await?;
    job.import_once().await?;
    job.positions().await?;
    let mut cluster = job.start_replication().await?.1;
    let (mut moved, mut with_lock) = (Vec::new(), 0);
    for kill in 0..plan.kills {
        let is_ddl = kill % DDL_EVERY == DDL_EVERY - 1;
        let column = format!("c{kill}");
        if is_ddl {
            job.add_columns(0, &column).await?;
            job.wait_for_locks(&mut cluster, |locks| locks > 0).await?;
            with_lock += 1;
        }
        let number = plan.random.between(0, 2) as usize;
        let bytes = plan.random.between(5_000, 60_000);
        let tool = match victim {
            Victim::Worker => &mut cluster.workers[number],
            Victim::Master => &mut cluster.master,
        };
        moved.push(job.kill_after(tool, bytes).await?);
        match victim {
            Victim::Worker => job.restart_worker(&mut cluster, number),
            Victim::Master => job.restart_master(&mut cluster),
        }
        if is_ddl {
            job.add_columns(1, &column).await?;
            job.wait_for_column(&column).await?;
        }
    }
    let mut written = 0;
    for writer in writers {
        written += writer.stop().await?.transactions;
    }
    let rows = job.verify().await?.1;
    ensure!(rows > 0, "nothing was compared");
    job.stop_replication(cluster)?;
    Ok(Outcome {
        what: format!("rsync-dm {}", if victim == Victim::Worker { "worker" } else { "master" }),
        kills: plan.kills,
        moved,
        rows,
        remark: format!("{with_lock} with a shard DDL lock open, {written} transactions written meanwhile"),
    })
}
