//! `cargo xtask soak`: kill -9 again and again in each step that must survive it, then count every row.
//!
//! A kill counts only if the program was at real work: it had moved bytes since its start and had not finished. The short form is
//! part of `cargo xtask test`; the last run of the long form stands in docs/reliability.md.

mod dump;
mod fuzz;
mod import;
mod replicate;
mod resume;
mod rows;

use std::fmt::Write;
use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result};
use testkit::random::fresh_seed;
use testkit::{Kind, Random};

use crate::shell;

#[derive(clap::Args)]
pub struct Args {
    /// Kills in each step
    #[arg(long, default_value_t = 50)]
    kills: u32,
    /// Rows in each source table
    #[arg(long, default_value_t = 40_000)]
    rows: u64,
    /// How much longer the fuzz targets run than in `cargo xtask test`
    #[arg(long, default_value_t = 50)]
    fuzz_factor: u32,
    /// Repeats the moments of an earlier run
    #[arg(long)]
    seed: Option<u64>,
    /// Only these steps
    #[arg(value_enum)]
    steps: Vec<Step>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Step {
    /// rdump, replaced
    Dump,
    /// rdump under writers, resumed; then imported and replicated to the end
    Resume,
    /// rlightning, into tables with and without a key
    Import,
    /// rsync-dm worker, with and without an open shard DDL lock
    Worker,
    /// rsync-dm master, with and without an open shard DDL lock
    Master,
    /// Nothing is killed: the fuzz targets, for longer
    Fuzz,
}

/// How a loop is run.
pub struct Plan {
    pub kills: u32,
    pub rows: u64,
    pub kind: Kind,
    pub random: Random,
}

/// What a loop found.
pub struct Outcome {
    pub what: String,
    pub kills: u32,
    /// Bytes that the program had moved at each kill.
    pub moved: Vec<u64>,
    /// Rows compared at the end, all equal.
    pub rows: u64,
    /// More to say.
    pub remark: String,
}

impl Outcome {
    fn line(&self) -> String {
        let least = self.moved.iter().min().copied().unwrap_or(0) as f64 / 1e6;
        let most = self.moved.iter().max().copied().unwrap_or(0) as f64 / 1e6;
        format!(
            "| {} | {} | {least:.2} to {most:.2} | {} | {} |",
            self.what, self.kills, self.rows, self.remark
        )
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    crate::setup::ensure()?;
    shell::build(&[])?;
    let seed = args.seed.unwrap_or_else(fresh_seed);
    println!("seed {seed}");
    let all = [Step::Dump, Step::Resume, Step::Import, Step::Worker, Step::Master];
    let wanted = |step: &&Step| args.steps.is_empty() || args.steps.contains(step);
    let mut outcomes = Vec::new();
    for step in all.iter().filter(wanted) {
        let plan =
            Plan { kills: args.kills, rows: args.rows, kind: Kind::MySql8033, random: Random::new(seed) };
        let outcome = one(*step, plan).with_context(|| format!("soak {step:?}, seed {seed}"))?;
        println!("{}", outcome.line());
        outcomes.push(outcome);
    }
    if args.steps.is_empty() || args.steps.contains(&Step::Fuzz) {
        let fuzz = fuzz::run(args.fuzz_factor, seed)?;
        println!("{fuzz}");
        if args.steps.is_empty() {
            write_page(seed, &outcomes, &fuzz)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The short forms, for `cargo xtask test`: name and result of each.
pub fn short() -> Vec<(&'static str, Result<()>)> {
    let seed = fresh_seed();
    let plan = || Plan { kills: 4, rows: 4_000, kind: Kind::MySql8033, random: Random::new(seed) };
    let run = |step: Step| {
        let outcome = one(step, plan()).with_context(|| format!("seed {seed}"))?;
        println!("{}", outcome.line());
        Ok(())
    };
    vec![
        ("soak::dump_short", run(Step::Dump)),
        ("soak::resume_short", run(Step::Resume)),
        ("soak::import_short", run(Step::Import)),
        ("soak::worker_short", run(Step::Worker)),
        ("soak::master_short", run(Step::Master)),
    ]
}

fn one(step: Step, plan: Plan) -> Result<Outcome> {
    mysql::install_crypto();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        match step {
            Step::Dump => dump::run(plan).await,
            Step::Resume => resume::run(plan).await,
            Step::Import => import::run(plan).await,
            Step::Worker => replicate::run(plan, replicate::Victim::Worker).await,
            Step::Master => replicate::run(plan, replicate::Victim::Master).await,
            Step::Fuzz => anyhow::bail!("the fuzz targets have no loop of kills"),
        }
    })
}

fn write_page(seed: u64, outcomes: &[Outcome], fuzz: &str) -> Result<()> {
    let path = shell::root().join("docs/reliability.md");
    let page = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
    const MARK: &str = "<!-- last soak -->\n";
    let (head, _old) = page.split_once(MARK).with_context(|| format!("{} has no {MARK}", path.display()))?;
    let commit = shell::run(shell::git().args(["rev-parse", "--short", "HEAD"]))?;
    let mut text = format!(
        "{head}{MARK}Commit {}, seed {seed}.\n\n| killed | kills | MB moved at a kill | rows compared, all equal | |\n\
         | --- | --- | --- | --- | --- |\n",
        commit.trim()
    );
    outcomes.iter().for_each(|outcome| {
        let _infallible = writeln!(text, "{}", outcome.line());
    });
    let _infallible = writeln!(text, "\n{fuzz}");
    fs::write(&path, text).with_context(|| format!("write {}", path.display()))
}
