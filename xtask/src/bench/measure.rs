//! Time, CPU and memory of one program.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use testkit::Server;

/// What one run took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Run {
    pub wall: Duration,
    /// User and system time of the program and its children.
    pub cpu: Duration,
    /// Largest resident size of one process in bytes.
    pub memory: u64,
    /// User and system time of the server meanwhile: what it did for the program, whatever else the machine was doing.
    pub server: Duration,
}

/// Runs `work` and notes the server's time.
pub fn with_server(server: &Server, work: impl FnOnce() -> Result<Run>) -> Result<Run> {
    let before = server_cpu(server)?;
    let mut run = work()?;
    run.server = server_cpu(server)?.saturating_sub(before);
    Ok(run)
}

/// User and system time of a server until now.
pub fn server_cpu(server: &Server) -> Result<Duration> {
    let pid = server.pid().context("the server is not running")?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold anything; what follows it is numbers (proc(5): utime and stime are fields 14 and 15).
    let (_, fields) = stat.rsplit_once(')').context("unexpected /proc/PID/stat")?;
    let ticks =
        fields.split_ascii_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    // Linux reports in hundredths of a second on every machine this runs on (USER_HZ).
    Ok(Duration::from_millis(ticks * 10))
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
