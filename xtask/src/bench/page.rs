//! docs/benchmarks.md.

use std::fmt::Write;
use std::fs;

use anyhow::{Context, Result};

use super::measure::Run;
use crate::shell;

/// One measurement: a line for each program, and what was aimed at.
pub struct Table {
    pub title: String,
    pub lines: Vec<Line>,
    pub goals: Vec<Goal>,
}

/// One program.
pub struct Line {
    pub name: String,
    pub run: Run,
}

/// A goal and whether it was met.
pub struct Goal {
    pub text: String,
    pub met: bool,
}

impl Goal {
    /// `what`: `value` where at most `limit` is allowed.
    pub fn at_most(what: &str, value: f64, limit: f64) -> Goal {
        Goal { text: format!("{what}: {value:.2} (goal: at most {limit})"), met: value <= limit }
    }
}

impl Table {
    pub fn render(&self) -> String {
        let mut text = format!("### {}\n\n", self.title);
        if !self.lines.is_empty() {
            text.push_str("| program | wall s | CPU s | peak memory MB | server's CPU s |\n| --- | --- | --- | --- | --- |\n");
        }
        for line in &self.lines {
            let _infallible = writeln!(
                text,
                "| {} | {:.2} | {:.2} | {:.0} | {:.2} |",
                line.name,
                line.run.wall.as_secs_f64(),
                line.run.cpu.as_secs_f64(),
                line.run.memory as f64 / 1e6,
                line.run.server.as_secs_f64()
            );
        }
        text.push('\n');
        for goal in &self.goals {
            let _infallible = writeln!(text, "- {} {}", if goal.met { "met:" } else { "MISSED:" }, goal.text);
        }
        text
    }
}

pub fn write(tables: &[Table], runs: usize) -> Result<()> {
    let commit = shell::run(shell::git().args(["rev-parse", "--short", "HEAD"]))?;
    let mut page = format!(
        "# Benchmarks\n\nMedians of {runs} runs of `cargo xtask bench` at commit {}, on 2 cores, servers on the same\n\
         machine. Programs take turns in one run; compare ratios, not seconds.\n\n",
        commit.trim()
    );
    for table in tables {
        page.push_str(&table.render());
        page.push('\n');
    }
    let path = shell::root().join("docs/benchmarks.md");
    fs::write(&path, page.trim_end().to_owned() + "\n").with_context(|| format!("write {}", path.display()))
}
