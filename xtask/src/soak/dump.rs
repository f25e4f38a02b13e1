//! rdump: killed while it dumps under a writer, then a whole dump of a quiet source must hold exactly its rows.

use std::time::Duration;

use anyhow::{Result, ensure};
use testkit::workload::{SCHEMAS, Writer};
use testkit::{Account, Tool};

use super::{Outcome, Plan, resume, rows};
use crate::demo::world::{self, World};

const LIMIT: Duration = Duration::from_secs(300);

pub async fn run(mut plan: Plan) -> Result<Outcome> {
    let options = world::Options { kind: plan.kind, rows: plan.rows, keep: false, quiet: true };
    let world = World::start(&options).await?;
    let source = &world.sources[0];
    let writer = Writer::start(source.endpoint(Account::Admin), 1, plan.rows, 40).await?;
    let dump = || {
        let tool =
            Tool::new("rdump").login(source, Account::Dump).args(["-t", "4", "-r", "5000", "-F", "1MB"]);
        tool.args(["-B", &SCHEMAS.join(",")]).arg("-o").arg(world.dump_dir(0, "all"))
    };
    let total = resume::whole(dump()).await?;
    std::fs::remove_dir_all(world.dump_dir(0, "all"))?;
    let mut moved = Vec::new();
    let mut tries = 0;
    while moved.len() < plan.kills as usize {
        tries += 1;
        ensure!(tries < plan.kills * 5, "only {} of {tries} kills hit a dump at work", moved.len());
        let at = plan.random.between(total / 20, total * 9 / 10);
        let killed = tokio::task::spawn_blocking({
            let tool = dump();
            move || tool.start().kill_after_bytes(at, LIMIT)
        });
        let killed = killed.await?;
        let finished = world.dump_dir(0, "all").join("metadata").exists();
        match killed {
            Some(bytes) if !finished => moved.push(bytes),
            // It was done: the next one needs an empty folder.
            _ => std::fs::remove_dir_all(world.dump_dir(0, "all"))?,
        }
    }
    let written = writer.stop().await?;
    let last = dump();
    tokio::task::spawn_blocking(move || last.start().finish(LIMIT).success()).await?;
    let rows = compare(&world).await?;
    Ok(Outcome {
        what: "rdump".into(),
        kills: plan.kills,
        moved,
        rows,
        remark: format!("{} transactions written meanwhile", written.transactions),
    })
}

/// Loads the dump with our importer under the same names and compares table by table.
async fn compare(world: &World) -> Result<u64> {
    super::import::load(world, &world.dump_dir(0, "all"), "").await?;
    let mut source = mysql::Conn::connect(&world.sources[0].endpoint(Account::Admin)).await?;
    let mut target = world.target_admin().await?;
    let mut total = 0;
    for shard in testkit::workload::shards(1) {
        let (there, here) =
            (rows::of(&mut source, &shard.name()).await?, rows::of(&mut target, &shard.name()).await?);
        ensure!(there == here, "{}: the source has {there:?}, the dump {here:?}", shard.name());
        total += here.rows;
    }
    source.close().await;
    target.close().await;
    Ok(total)
}
