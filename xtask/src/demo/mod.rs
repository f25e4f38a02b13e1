//! `cargo xtask demo`: the main job from the first dump to the last compared row, on real servers.
//!
//! Two sources with eight shards each, one target, a writer that never stops, the shipped configuration files, a shard
//! DDL on the way and one `kill -9` each of the importer and of a worker. Everything is a child of this process, so
//! nothing is left when it is killed.

pub mod config;
pub mod phases;
mod report;
pub mod world;

use std::process::ExitCode;

use anyhow::Result;
use testkit::Kind;

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// Rows in each of the 16 source tables at the start
    #[arg(long, default_value_t = 100_000)]
    rows: u64,
    /// What the two sources are; the target is MySQL 8.0
    #[arg(long, value_enum, default_value_t = Source::Mysql80)]
    source: Source,
    /// Leave the servers running at the end, and say how to reach them, until Enter is pressed
    #[arg(long)]
    keep: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// MySQL 8.0.33
    Mysql80,
    /// MySQL 5.7.22
    Mysql57,
    /// MySQL 9.7
    Mysql97,
    /// MariaDB 10.11
    Mariadb,
}

impl Source {
    fn kind(self) -> Kind {
        match self {
            Source::Mysql80 => Kind::MySql8033,
            Source::Mysql57 => Kind::MySql57,
            Source::Mysql97 => Kind::MySql97,
            Source::Mariadb => Kind::MariaDb1011,
        }
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    crate::setup::ensure()?;
    shell::build(&[])?;
    let options = world::Options { kind: args.source.kind(), rows: args.rows, keep: args.keep, quiet: false };
    runtime()?.block_on(phases::all(&options))?;
    Ok(ExitCode::SUCCESS)
}

/// The demo with few rows, as a test. The programs are built already.
pub fn short() -> Result<()> {
    let options = world::Options { kind: Kind::MySql8033, rows: 3_000, keep: false, quiet: true };
    runtime()?.block_on(phases::all(&options))
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    mysql::install_crypto();
    Ok(tokio::runtime::Runtime::new()?)
}
