//! Lag: one row each 10 ms, from the answer to its commit at the source until it is seen in the target.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use testkit::Account;
use tokio::time::{MissedTickBehavior, interval};

use super::page::{Goal, Table};
use super::{Setting, backlog};

const ROWS: u64 = 2_000;

pub fn run(setting: &Setting) -> Result<Table> {
    let mut lags = tokio::runtime::Runtime::new()?.block_on(measure(setting))?;
    lags.sort();
    let at = |share: f64| lags.get((lags.len() as f64 * share) as usize).copied().unwrap_or_default();
    let milliseconds = |lag: Duration| lag.as_secs_f64() * 1e3;
    Ok(Table {
        title: format!("Lag with one row each 10 ms, durability {}", setting.durability.name()),
        lines: Vec::new(),
        goals: vec![
            Goal::at_most("median, ms", milliseconds(at(0.5)), 50.0),
            Goal::at_most("99th percentile, ms", milliseconds(at(0.99)), 300.0),
        ],
    })
}

async fn measure(setting: &Setting) -> Result<Vec<Duration>> {
    let (source, target) = (setting.server(1)?, setting.server(2)?);
    let mut writer = mysql::Conn::connect(&source.endpoint(Account::Admin)).await?;
    let mut reader = mysql::Conn::connect(&target.endpoint(Account::Admin)).await?;
    let begin = mysql::session::binlog_location(&mut writer).await?.context("the source has no binlog")?;
    writer.exec("CREATE DATABASE lags").await?;
    writer.exec("CREATE TABLE lags.t (id bigint PRIMARY KEY, text varchar(100))").await?;
    let running = backlog::start(setting, &source, &target, &begin, "lags")?;
    wait_for_table(&mut reader).await?;
    let mut tick = interval(Duration::from_millis(10));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let write = async {
        let mut sent = Vec::new();
        for id in 1..=ROWS {
            tick.tick().await;
            writer.exec(format!("INSERT INTO lags.t VALUES ({id}, 'row {id}')")).await?;
            sent.push(Instant::now());
        }
        anyhow::Ok(sent)
    };
    let read = async {
        let mut seen = Vec::new();
        while (seen.len() as u64) < ROWS {
            // Rows of one worker may come before those of another: all that are there count.
            let rows = reader.query("SELECT count(*) FROM lags.t").await?;
            let there = rows.first().and_then(|row| row.parse::<u64>(0).ok().flatten()).unwrap_or(0);
            let now = Instant::now();
            seen.resize(there as usize, now);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        anyhow::Ok(seen)
    };
    let both = async { tokio::try_join!(write, read) };
    let (sent, seen) =
        tokio::time::timeout(Duration::from_secs(120), both).await.context("rows did not arrive")??;
    backlog::finish(running)?;
    Ok(sent.iter().zip(&seen).map(|(sent, seen)| seen.saturating_duration_since(*sent)).collect())
}

async fn wait_for_table(reader: &mut mysql::Conn) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while reader.query("SELECT 1 FROM lags.t").await.is_err() {
        anyhow::ensure!(Instant::now() < deadline, "the table did not arrive in the target");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
