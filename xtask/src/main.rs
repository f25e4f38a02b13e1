//! `cargo xtask COMMAND`: what a developer and CI run. One file per command.

mod bench;
mod demo;
mod generate;
mod setup;
mod shell;
mod soak;
mod test;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Build, test and measure this project")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests need: database servers and peers, into ~/.cache/rmt/servers ($RMT_SERVERS)
    Setup(setup::Args),
    /// Run the whole main job on real servers: dump, check, import, replicate, verify
    Demo(demo::Args),
    /// Kill every step again and again, then count the rows; writes docs/reliability.md
    Soak(soak::Args),
    /// Measure our programs beside their peers, and write docs/benchmarks.md
    Bench(bench::Args),
    /// Generate option tables, completions and man pages
    Gen(generate::Args),
    /// Run all tests; the last line is `N passed, N failed`
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Setup(args) => setup::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Soak(args) => soak::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Gen(args) => generate::run(&args),
        Command::Test(args) => test::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
