//! `cargo xtask test`: everything, with one line at the end that counts it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use testkit::WorkDir;
use testkit::skip::LIST_VARIABLE;

use crate::{demo, generate, shell, soak};

#[derive(clap::Args)]
pub struct Args {
    /// Only tests whose name contains this; leaves out the checks of the whole tree and the demo
    filter: Option<String>,
    /// Only this crate (several allowed)
    #[arg(short, long)]
    package: Vec<String>,
}

/// What has been counted so far.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    failures: Vec<String>,
}

impl Tally {
    fn add(&mut self, name: &str, result: Result<()>) {
        match result {
            Ok(()) => {
                println!("test {name} ... ok");
                self.passed += 1;
            }
            Err(error) => {
                println!("test {name} ... FAILED\n{error:#}");
                self.failed += 1;
                self.failures.push(name.into());
            }
        }
    }

    /// Reads a line of a test program: `test NAME ... FAILED` or `test result: ok. 3 passed; 0 failed; …`.
    fn read(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED")) {
            self.failures.push(name.into());
        }
        let Some(counts) = line.strip_prefix("test result: ") else { return };
        let count = |word: &str| {
            let part = counts.split([';', '.']).find_map(|part| part.trim().strip_suffix(word))?;
            part.trim().parse::<u64>().ok()
        };
        self.passed += count("passed").unwrap_or(0);
        self.failed += count("failed").unwrap_or(0);
    }
}

pub fn run(args: &Args) -> Result<ExitCode> {
    let begin = Instant::now();
    crate::setup::ensure()?;
    let work = WorkDir::new("xtask-test").context("make a working folder")?;
    let skip_list = work.join("skipped");
    let mut tally = Tally::default();
    let whole = args.filter.is_none() && args.package.is_empty();
    if whole {
        tally.add("tree::is_formatted", formatted());
    }
    let built = shell::build(&[]);
    let is_built = built.is_ok();
    tally.add("tree::builds", built);
    if is_built {
        cargo_test(args, &skip_list, &mut tally)?;
        if whole {
            tally.add("tree::generated_pages_are_current", generate::check());
            tally.add("demo::short", demo::short());
            soak::short().into_iter().for_each(|(name, result)| tally.add(name, result));
        }
    }
    if !tally.failures.is_empty() {
        println!("\nfailed:");
        tally.failures.iter().for_each(|name| println!("    {name}"));
    }
    // In the list once, however many tests want the same server.
    let skipped = fs::read_to_string(&skip_list).unwrap_or_default();
    let mut skipped: Vec<&str> = skipped.lines().collect();
    skipped.sort_unstable();
    skipped.dedup();
    skipped.iter().for_each(|line| println!("{line}"));
    println!("took {} s", begin.elapsed().as_secs());
    println!("{} passed, {} failed", tally.passed, tally.failed);
    Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn formatted() -> Result<()> {
    shell::run(shell::cargo().args(["fmt", "--all", "--check"])).map(|_nothing_to_say| ())
}

/// Runs all test programs and passes their output on. Tests that failed are run once more by themselves: beside a dozen
/// servers on two cores a deadline can be missed for no fault of the program. Both results are shown.
fn cargo_test(args: &Args, skip_list: &Path, tally: &mut Tally) -> Result<()> {
    let mut command = test_command(args, skip_list);
    command.args(&args.filter);
    let mut first = Tally::default();
    let status = stream(command, &mut first)?;
    // A test program that was killed, or did not compile, has no line of its own.
    if !status.success() && first.failed == 0 {
        first.failed += 1;
        first.failures.push(format!("cargo test ended with {status}"));
    } else if (1..=MOST_SECOND_TRIES).contains(&first.failures.len())
        && first.failed == first.failures.len() as u64
    {
        second_try(args, skip_list, &mut first)?;
    }
    anyhow::ensure!(args.filter.is_some() || first.passed > 0, "no test ran");
    tally.passed += first.passed;
    tally.failed += first.failed;
    tally.failures.append(&mut first.failures);
    Ok(())
}

/// With more failures than this something is broken.
const MOST_SECOND_TRIES: usize = 8;

fn second_try(args: &Args, skip_list: &Path, first: &mut Tally) -> Result<()> {
    println!("\nonce more, by themselves: {}", first.failures.join(", "));
    let mut command = test_command(args, skip_list);
    command.args(["--", "--exact", "--test-threads=1"]).args(&first.failures);
    let mut again = Tally::default();
    stream(command, &mut again)?;
    if again.passed + again.failed != first.failed {
        // Names that stand in several programs, or none that could be run: the first result stands.
        return Ok(());
    }
    for name in first.failures.iter().filter(|name| !again.failures.contains(name)) {
        println!("passed at the second try: {name}");
    }
    first.passed += again.passed;
    first.failed = again.failed;
    first.failures = again.failures;
    Ok(())
}

fn test_command(args: &Args, skip_list: &Path) -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--no-fail-fast"]);
    if args.package.is_empty() {
        command.arg("--workspace");
    }
    args.package.iter().for_each(|package| {
        command.args(["-p", package]);
    });
    command.env(LIST_VARIABLE, skip_list).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

/// Shows what a command prints, counted.
fn stream(command: Command, tally: &mut Tally) -> Result<ExitStatus> {
    let mut running = testkit::process::spawn(command).context("start cargo test")?;
    let output = running.child_mut().stdout.take().context("read what cargo test prints")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("read what cargo test prints")?;
        let line = String::from_utf8_lossy(&line);
        tally.read(&line);
        println!("{line}");
    }
    running.child_mut().wait().context("wait for cargo test")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted() {
        let mut tally = Tally::default();
        let lines = "test a::b ... ok\ntest a::c ... FAILED\n\
            test result: FAILED. 12 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.03s\n\
            test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s";
        lines.lines().for_each(|line| tally.read(line));
        assert_eq!((tally.passed, tally.failed), (17, 1));
        assert_eq!(tally.failures, ["a::c"]);
    }
}
