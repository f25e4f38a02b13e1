//! `cargo xtask bench`: our programs beside their peers in one run, on the set of `bench/set.sql`.
//!
//! Every figure in docs/benchmarks.md comes from here. Peers and we take turns, so that a slow minute hits all; the median
//! of the runs counts. Programs are the release build.

mod backlog;
mod dump;
mod lag;
mod load;
mod measure;
mod page;

use std::process::ExitCode;

use anyhow::{Context, Result};
use testkit::{Kind, Options, Server, WorkDir};

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// What to measure; all when none is given
    #[arg(value_enum)]
    what: Vec<What>,
    /// Runs of each program
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Share of the rows of the set, for a quick look (the page is written with 1 only)
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Only this durability
    #[arg(long, value_enum)]
    durability: Option<Durability>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// rdump beside mydumper
    Dump,
    /// rlightning beside two mysql clients
    Load,
    /// rsync-dm beside a native replica, on a backlog
    Backlog,
    /// Time from commit at the source to visibility at the target
    Lag,
}

/// How the servers write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// `innodb_flush_log_at_trx_commit = 1`, `sync_binlog = 1`
    Durable,
    /// Neither is synced at commit
    Fast,
}

impl Durability {
    fn name(self) -> &'static str {
        match self {
            Durability::Durable => "1/1",
            Durability::Fast => "fast",
        }
    }
}

/// What all measurements share.
pub struct Setting {
    pub runs: usize,
    pub scale: f64,
    pub durability: Durability,
    pub dir: WorkDir,
}

impl Setting {
    /// A MySQL 8.0.33 with the setting's durability and a buffer pool that holds the set.
    fn server(&self, id: u32) -> Result<Server> {
        let options = Options::default()
            .server_id(id)
            .with("innodb_buffer_pool_size=2G")
            .with("innodb_redo_log_capacity=2G")
            .with("max_connections=200");
        let options = if self.durability == Durability::Durable { options.durable() } else { options };
        Server::start(Kind::MySql8033, options).context("start MySQL 8.0.33")
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    crate::setup::ensure()?;
    shell::build(&["--release"])?;
    mysql::install_crypto();
    let all = [What::Dump, What::Load, What::Backlog, What::Lag];
    let wanted = |what: &What| args.what.is_empty() || args.what.contains(what);
    let mut tables = Vec::new();
    for durability in [Durability::Fast, Durability::Durable] {
        if args.durability.is_some_and(|only| only != durability) {
            continue;
        }
        let dir = WorkDir::new("bench").context("make a working folder")?;
        let setting = Setting { runs: args.runs, scale: args.scale, durability, dir };
        for what in all.iter().filter(|what| wanted(what)) {
            let table = match what {
                What::Dump => dump::run(&setting),
                What::Load => load::run(&setting),
                What::Backlog => backlog::run(&setting),
                What::Lag => lag::run(&setting),
            };
            let table = table.with_context(|| format!("bench {what:?}"))?;
            println!("{}", table.render());
            tables.push(table);
        }
    }
    let whole = args.what.is_empty() && args.durability.is_none() && (args.scale - 1.0).abs() < f64::EPSILON;
    if whole {
        page::write(&tables, args.runs)?;
    }
    let missed = tables.iter().flat_map(|table| &table.goals).filter(|goal| !goal.met).count();
    Ok(if missed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
