//! The long form of the fuzz targets: the tests whose names end in `never_panic`.

use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Runs them `factor` times as long as `cargo xtask test` does; one sentence on what was done.
pub fn run(factor: u32, seed: u64) -> Result<String> {
    let begin = Instant::now();
    let mut command = shell::cargo();
    command.args(["test", "--workspace", "--lib", "--tests", "never_panic", "--", "--nocapture"]);
    command.env("FUZZ_FACTOR", factor.to_string()).env("FUZZ_SEED", seed.to_string());
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let output = command.output().context("start cargo test")?;
    let text = String::from_utf8_lossy(&output.stdout);
    print!("{text}");
    ensure!(
        output.status.success(),
        "fuzz targets, FUZZ_SEED={seed} FUZZ_FACTOR={factor}: {}",
        output.status
    );
    let targets = text.lines().filter(|line| line.contains("FUZZ_SEED=")).count();
    ensure!(targets > 0, "no fuzz target ran");
    let seconds = begin.elapsed().as_secs();
    Ok(format!("{targets} fuzz targets, FUZZ_FACTOR={factor}, FUZZ_SEED={seed}: {seconds} s, no panic."))
}
