//! rlightning: killed again and again in one import after the other, into tables with and without a key.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testkit::workload::SCHEMAS;
use testkit::{Account, Tool};

use super::{Outcome, Plan, rows};
use crate::demo::world::{self, World};

const LIMIT: Duration = Duration::from_secs(300);

/// Everything goes into two tables: one with a unique key, one with none.
const ROUTES: &str = r#"
[[routes]]
schema-pattern = "my_db1"
table-pattern = "table*"
target-schema = "merged"
target-table = "keyed"
[[routes]]
schema-pattern = "my_db2"
table-pattern = "table*"
target-schema = "merged"
target-table = "keyless"
"#;

const TABLES: [(&str, &str); 2] = [("keyed", ", UNIQUE KEY (sid), KEY (id)"), ("keyless", "")];

pub async fn run(mut plan: Plan) -> Result<Outcome> {
    let options = world::Options { kind: plan.kind, rows: plan.rows, keep: false, quiet: true };
    let world = World::start(&options).await?;
    for (index, source) in world.sources.iter().enumerate() {
        let dump = Tool::new("rdump").login(source, Account::Dump).args(["-t", "4", "-F", "1MB"]);
        let dump = dump.args(["-B", &SCHEMAS.join(",")]).arg("-o").arg(world.dump_dir(index, "all"));
        tokio::task::spawn_blocking(move || dump.start().finish(LIMIT).success()).await?;
    }
    let config = config(&world, &world.dump_parent(), ROUTES, true)?;
    let mut target = world.target_admin().await?;
    let (mut moved, mut imports, mut compared) = (Vec::new(), 0u32, 0);
    let mut fewest = u64::MAX;
    while moved.len() < plan.kills as usize {
        fresh_tables(&mut target).await?;
        imports += 1;
        ensure!(imports < plan.kills * 3 + 3, "only {} kills hit an import at work", moved.len());
        loop {
            // A first guess, then a share of what a run without a kill moved.
            let most = if fewest == u64::MAX { plan.rows * 16 * 60 } else { fewest * 8 / 10 };
            let at = plan.random.between(most / 20, most.max(2));
            let tool = Tool::new("rlightning").arg("-config").arg(&config);
            let wanted = moved.len() < plan.kills as usize;
            let ended = tokio::task::spawn_blocking(move || -> Result<Option<u64>, u64> {
                let mut started = tool.start();
                if wanted && let Some(bytes) = started.kill_after_bytes(at, LIMIT) {
                    return Ok(Some(bytes));
                }
                let mut bytes = 0;
                started.wait_until(LIMIT, "the import ends", |tool| {
                    bytes = bytes.max(tool.bytes_moved());
                    false
                });
                started.finish(LIMIT).success();
                Err(bytes)
            });
            match ended.await? {
                Ok(Some(bytes)) => moved.push(bytes),
                Ok(None) => {}
                Err(bytes) => {
                    fewest = fewest.min(bytes.max(1));
                    break;
                }
            }
        }
        compared = compare(&world, &mut target).await.with_context(|| format!("import {imports}"))?;
    }
    target.close().await;
    Ok(Outcome {
        what: "rlightning".into(),
        kills: plan.kills,
        moved,
        rows: compared,
        remark: format!("in {imports} imports, compared after each"),
    })
}

/// Imports a folder under its own names, with its schema files.
pub async fn load(world: &World, folder: &Path, routes: &str) -> Result<()> {
    let config = config(world, folder, routes, false)?;
    let tool = Tool::new("rlightning").arg("-config").arg(&config);
    tokio::task::spawn_blocking(move || tool.start().finish(LIMIT).success()).await?;
    Ok(())
}

fn config(world: &World, folder: &Path, routes: &str, no_schema: bool) -> Result<std::path::PathBuf> {
    let login = Account::Target.credentials();
    let text = format!(
        "[lightning]\nfile = \"{log}\"\nregion-concurrency = 4\n[tikv-importer]\nbackend = \"tidb\"\n\
         [mydumper]\ndata-source-dir = \"{folder}\"\nno-schema = {no_schema}\n[checkpoint]\nenable = true\n\
         [tidb]\nhost = \"{host}\"\nport = {port}\nuser = \"{user}\"\npassword = \"{password}\"\n{routes}",
        log = world.dir.join("soak-lightning.log").display(),
        folder = folder.display(),
        host = world.target.host(),
        port = world.target.port(),
        user = login.user,
        password = login.password,
    );
    let path = world.dir.join("soak-lightning.toml");
    fs::write(&path, text)?;
    Ok(path)
}

async fn fresh_tables(target: &mut mysql::Conn) -> Result<()> {
    target.exec("DROP DATABASE IF EXISTS merged").await?;
    target.exec("CREATE DATABASE merged").await?;
    for (name, keys) in TABLES {
        target
            .exec(format!(
                "CREATE TABLE merged.{name} (id bigint NOT NULL, sid bigint NOT NULL, pid bigint NOT NULL, \
                 comment varchar(255), at timestamp NULL{keys}) DEFAULT CHARSET=utf8mb4"
            ))
            .await?;
    }
    Ok(())
}

async fn compare(world: &World, target: &mut mysql::Conn) -> Result<u64> {
    let mut total = 0;
    for (schema, (table, _)) in SCHEMAS.iter().zip(TABLES) {
        let mut union = rows::Sums::default();
        for (source, number) in world.sources.iter().zip(1..) {
            let mut connection = mysql::Conn::connect(&source.endpoint(Account::Admin)).await?;
            for shard in testkit::workload::shards(number).iter().filter(|shard| shard.schema == *schema) {
                union.add(rows::of(&mut connection, &shard.name()).await?);
            }
            connection.close().await;
        }
        let there = rows::of(target, &format!("merged.{table}")).await?;
        ensure!(there == union, "merged.{table} has {there:?}, the shards {union:?}");
        total += there.rows;
    }
    Ok(total)
}
