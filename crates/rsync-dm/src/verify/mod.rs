//! `rsync-dm verify`: every row of the merged target against the union of its shards.
//!
//! 1. The positions of all sources are noted.
//! 2. The task's checkpoint passes them.
//! 3. Each target table is cut into ranges of a key; for each range both sides give the count and two sums of a strong hash
//!    over the rows (never an exclusive or, under which a doubled row vanishes).
//! 4. Where they differ and there are columns of JSON, which servers write differently, the sums are taken once more, here, with the values
//!    in one form.
//! 5. Where they still differ the rows are listed by hash and their keys named.
//!
//! A source that is still written to differs from the target at any moment, so ranges that differ are looked at again after
//! another pass of 1 and 2, a few times, before a row counts as different.

mod columns;
mod compare;
mod json;
mod lacking;
mod pool;
mod range;
mod tables;
mod wait;

use std::path::PathBuf;
use std::time::Duration;

use common::cipher::Key;
use common::duration::GoDuration;
use common::error::DmError;
use common::out;
use common::progress::{Progress, Show, Unit};
use futures::{StreamExt, TryStreamExt, stream};

use crate::config::{SubtaskConfig, TaskConfig};
use compare::{Difference, Outcome};
use tables::TargetTable;

/// Rows of a range when nothing else is asked for: some 10 MB of hashes where a range differs.
const DEFAULT_CHUNK_ROWS: u64 = 50_000;

/// Ranges' worth of rows that are listed at a time where a table has no integer key and is one range.
const LISTED_CHUNKS: u64 = 10;

/// How often a range that differs is looked at again.
const ROUNDS: u32 = 3;

/// Flags of `rsync-dm verify`.
#[derive(Debug, Clone, clap::Args)]
pub struct VerifyArgs {
    /// The task file
    #[arg(long)]
    pub task: PathBuf,
    /// A source file; once for each source of the task
    #[arg(long, required = true)]
    pub source: Vec<PathBuf>,
    /// Ranges that are compared at a time
    #[arg(long, default_value_t = 4)]
    pub threads: usize,
    /// Rows in a range
    #[arg(long, default_value_t = DEFAULT_CHUNK_ROWS)]
    pub chunk_rows: u64,
    /// How long to wait for the checkpoint to pass the sources' positions
    #[arg(long, default_value = "10m")]
    pub wait_timeout: GoDuration,
    /// How many different rows are named
    #[arg(long, default_value_t = 100)]
    pub max_report: usize,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Rows that are equal.
    pub equal: u64,
    /// Rows that are not.
    pub differing: u64,
    /// The first of them, named.
    pub differences: Vec<Difference>,
    /// Where rows differ that could not be listed, in words.
    pub unlisted: Vec<String>,
    /// What could not be compared, in words.
    pub remarks: Vec<String>,
    /// Tables that could not be compared at all.
    pub failed: Vec<DmError>,
}

/// Runs the command: prints the verdict, and returns whether all rows are equal.
///
/// # Errors
/// A configuration, a server, a table that can't be compared, a checkpoint that does not get there.
pub async fn run(args: &VerifyArgs, key: Option<&Key>) -> Result<bool, DmError> {
    let task = TaskConfig::load(&args.task, key)?;
    let subtasks = SubtaskConfig::of_files(&task, &args.source, key)?;
    let verdict = verify(args, &subtasks).await?;
    for remark in &verdict.remarks {
        out::eprintln(&format!("note: {remark}"));
    }
    for difference in &verdict.differences {
        out::println(&difference.to_string());
    }
    let more = verdict.differing.saturating_sub(verdict.differences.len() as u64);
    if more > 0 {
        out::println(&format!("and {more} more rows that differ (see --max-report)"));
    }
    for crowd in &verdict.unlisted {
        out::println(crowd);
    }
    for error in &verdict.failed {
        out::eprintln(&error.to_string());
    }
    if verdict.is_equal() {
        out::println(&format!("verified: {} rows equal", verdict.equal));
        return Ok(true);
    }
    let not_compared = match verdict.failed.len() {
        0 => String::new(),
        tables => format!("; {tables} tables could not be compared"),
    };
    out::println(&format!(
        "not equal: {} rows differ, {} are equal{not_compared}",
        verdict.differing, verdict.equal
    ));
    Ok(false)
}

impl Verdict {
    /// Whether all that was compared is equal.
    pub fn is_equal(&self) -> bool {
        self.differing == 0 && self.unlisted.is_empty() && self.failed.is_empty()
    }

    fn take(&mut self, table: &TargetTable, outcome: Outcome, named: usize) {
        self.equal += outcome.equal;
        self.differing += outcome.differing;
        let room = named.saturating_sub(self.differences.len());
        self.differences.extend(outcome.differences.into_iter().take(room));
        if outcome.unlisted > 0 {
            self.unlisted.push(format!(
                "{}: some of {} rows differ; their keys are too much alike (in their first 200 characters) to be listed a part at a time: raise \
                 --chunk-rows, with memory for them all",
                table.name, outcome.unlisted
            ));
        }
    }
}

/// Compares all tables of the task.
///
/// # Errors
/// See [`run`].
pub async fn verify(args: &VerifyArgs, subtasks: &[SubtaskConfig]) -> Result<Verdict, DmError> {
    let timeout = args.wait_timeout.get();
    wait::until_passed(subtasks, timeout).await?;
    let pools = pool::Pools::new(subtasks, args.threads.max(1))?;
    let (targets, mut verdict) = tables::find(subtasks, &pools).await?;
    let progress = Progress::new(Show::Auto);
    let total = targets.iter().map(|table| table.estimated_rows).sum();
    let bar = progress.bar("verify", total, Unit::Rows);
    let chunk_rows = args.chunk_rows.max(1);
    let limits = compare::Limits { listed: chunk_rows.saturating_mul(LISTED_CHUNKS), named: args.max_report };
    for table in &targets {
        let mut open = range::cut(table, &pools, chunk_rows).await?;
        for round in 1..=ROUNDS {
            // Only what still differs at the last look is listed.
            let list = (round == ROUNDS).then_some(limits);
            let (outcome, differing) =
                compare_all(table, open, &pools, args.threads.max(1), list, &bar).await?;
            verdict.take(table, outcome, args.max_report);
            open = differing;
            if open.is_empty() {
                break;
            }
            settle(subtasks, timeout).await?;
        }
    }
    bar.finish();
    pools.close().await;
    Ok(verdict)
}

/// Between two looks at a range that differs.
async fn settle(subtasks: &[SubtaskConfig], timeout: Duration) -> Result<(), DmError> {
    wait::until_passed(subtasks, timeout).await
}

/// What ranges hold, and the ranges that differ and were not listed.
async fn compare_all(
    table: &TargetTable,
    ranges: Vec<range::Range>,
    pools: &pool::Pools,
    threads: usize,
    list: Option<compare::Limits>,
    bar: &common::progress::Bar,
) -> Result<(Outcome, Vec<range::Range>), DmError> {
    let named = list.map_or(0, |limits| limits.named);
    stream::iter(ranges)
        .map(|range| async move {
            let outcome = compare::range(table, &range, pools, list).await?;
            Ok((range, outcome))
        })
        .buffer_unordered(threads)
        .try_fold((Outcome::default(), Vec::new()), |(mut all, mut open), (range, outcome)| {
            match outcome {
                Some(outcome) => {
                    bar.inc(outcome.equal);
                    all.add(outcome, named);
                }
                None => open.push(range),
            }
            futures::future::ok((all, open))
        })
        .await
}
