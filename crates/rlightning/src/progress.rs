//! How far an import is: counters that the workers move, the log's `progress` line and the bar.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::duration::GoDuration;
use common::progress::{Bar, Progress, Show, Unit};
use common::size::ByteSize;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Shared by all workers.
#[derive(Debug)]
pub struct Counters {
    tables: u64,
    tables_done: AtomicU64,
    files: u64,
    files_done: AtomicU64,
    bytes: u64,
    bytes_done: AtomicU64,
    rows_done: AtomicU64,
    /// Bytes that an earlier run had done.
    bytes_before: AtomicU64,
    conflicts: AtomicU64,
    warnings: AtomicU64,
    begun: Instant,
    bar: Bar,
}

impl Counters {
    /// All at zero. `bars`: whether a bar is drawn on a terminal.
    pub fn new(tables: u64, files: u64, bytes: u64, bars: bool) -> Self {
        // The log says it as lines; on anything but a terminal the bar would only repeat them.
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let show = if bars && terminal { Show::Auto } else { Show::Nothing };
        Self {
            tables,
            tables_done: AtomicU64::new(0),
            files,
            files_done: AtomicU64::new(0),
            bytes,
            bytes_done: AtomicU64::new(0),
            rows_done: AtomicU64::new(0),
            bytes_before: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            warnings: AtomicU64::new(0),
            begun: Instant::now(),
            bar: Progress::new(show).bar("import", bytes, Unit::Bytes),
        }
    }

    /// Rows and bytes that an earlier run committed.
    pub fn had(&self, bytes: u64, rows: u64) {
        self.bytes_before.fetch_add(bytes, Ordering::Relaxed);
        self.add(bytes, rows);
    }

    /// Rows and bytes committed now.
    pub fn add(&self, bytes: u64, rows: u64) {
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    /// A file is done.
    pub fn file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    /// A table is done.
    pub fn table_done(&self) {
        self.tables_done.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts rows that met a duplicate key, and says how many there are now.
    pub fn add_conflicts(&self, count: u64) -> u64 {
        self.conflicts.fetch_add(count, Ordering::Relaxed) + count
    }

    /// Takes conflicts of a transaction back that was not committed.
    pub fn take_back_conflicts(&self, count: u64) {
        self.conflicts.fetch_sub(count, Ordering::Relaxed);
    }

    /// Counts warnings of the server, and says how many there are now.
    pub fn add_warnings(&self, count: u64) -> u64 {
        self.warnings.fetch_add(count, Ordering::Relaxed) + count
    }

    /// Rows that met a duplicate key.
    pub fn conflicts(&self) -> u64 {
        self.conflicts.load(Ordering::Relaxed)
    }

    /// Warnings of the server.
    pub fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    /// Rows in the target.
    pub fn rows(&self) -> u64 {
        self.rows_done.load(Ordering::Relaxed)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish();
    }

    /// Writes the `progress` line, in the real tool's words.
    pub fn log(&self) {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (done, before, rows) = (load(&self.bytes_done), load(&self.bytes_before), load(&self.rows_done));
        let share = |done: u64, all: u64| if all == 0 { 100.0 } else { 100.0 * done as f64 / all as f64 };
        let counted = |done: u64, all: u64| format!("{done}/{all} ({:.1}%)", share(done, all));
        let seconds = self.begun.elapsed().as_secs_f64().max(0.001);
        let speed = (done - before.min(done)) as f64 / seconds;
        let left = self.bytes.saturating_sub(done) as f64;
        let remaining = if left == 0.0 {
            "0s".to_owned()
        } else if speed > 0.0 {
            GoDuration::from(Duration::from_secs((left / speed).min(1e9) as u64)).to_string()
        } else {
            "unknown".to_owned()
        };
        // Rows that are still to come are guessed from the bytes.
        let all_rows = if done == 0 { 0 } else { (rows as f64 * self.bytes as f64 / done as f64) as u64 };
        info!(
            total = format!("{:.1}%", share(done, self.bytes)),
            tables = counted(load(&self.tables_done), self.tables),
            chunks = counted(load(&self.files_done), self.files),
            engines = counted(load(&self.tables_done), self.tables),
            "restore-bytes" = format!("{}/{}", ByteSize(done), ByteSize(self.bytes)),
            "restore-rows" = format!("{rows}/{}(estimated)", all_rows.max(rows)),
            "encode speed(MiB/s)" = format!("{:.3}", speed / f64::from(1 << 20)),
            state = if done == 0 { "preparing" } else { "writing" },
            remaining,
            "progress"
        );
    }

    /// Writes the line every `interval` until the token is cancelled; zero never.
    pub async fn log_every(&self, interval: Duration, token: CancellationToken) {
        if interval.is_zero() {
            return;
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(interval) => self.log(),
                () = token.cancelled() => return,
            }
        }
    }
}
