//! Time, CPU and memory of one program.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub wall: Duration,
    /// User and system time of the program and its children.
    pub cpu: Duration,
    /// Largest resident size of one process in bytes.
    pub memory: u64,
}

/// Runs programs at the same time, each to its end; the wall time is that of the last.
pub fn run_together(commands: Vec<Command>) -> Result<Run> {
    let begin = Instant::now();
    let running = commands
        .into_iter()
        .map(|command| {
            let shown = format!("{command:?}");
            testkit::process::spawn(command).map(|running| (shown, running))
        })
        .collect::<Result<Vec<_>, _>>()?;
    let mut total = Run::default();
    for (shown, mut running) in running {
        let (status, usage) = running.wait_measured()?;
        ensure!(status.success(), "ended with {status}: {shown}");
        total.cpu += usage.cpu;
        total.memory = total.memory.max(usage.memory);
    }
    total.wall = begin.elapsed();
    Ok(total)
}

/// The run in the middle by wall time.
pub fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(|run| run.wall);
    runs.get(runs.len() / 2).copied().unwrap_or_default()
}
