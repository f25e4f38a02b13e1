//! How far an import is: counters that the workers move, the log's `progress` line and the bar.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::duration::GoDuration;
use common::ident::TableName;
use common::progress::{Bar, Progress, Show, Unit};
use common::size::ByteSize;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::status::Stage;

/// How far one target table is.
#[derive(Debug, Default)]
pub struct TableCounter {
    total: u64,
    written: AtomicU64,
    rows: AtomicU64,
    stage: AtomicU8,
}

impl TableCounter {
    /// Bytes of its files on the storage.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Bytes of these that are in the target.
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed).min(self.total)
    }

    /// Rows in the target.
    pub fn rows(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whether it is in work.
    pub fn stage(&self) -> Stage {
        match self.stage.load(Ordering::Relaxed) {
            0 => Stage::Waiting,
            1 => Stage::Running,
            _ => Stage::Done,
        }
    }
}

/// What the counters stand at.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)]
pub struct Seen {
    pub tables: u64,
    pub tables_done: u64,
    pub files: u64,
    pub files_begun: u64,
    pub files_done: u64,
    pub bytes: u64,
    pub bytes_done: u64,
    pub workers: u64,
    pub busy: u64,
}

/// Shared by all workers.
#[derive(Debug)]
pub struct Counters {
    by_table: BTreeMap<TableName, TableCounter>,
    workers: u64,
    busy: AtomicU64,
    files_begun: AtomicU64,
    tables_done: AtomicU64,
    files: u64,
    files_done: AtomicU64,
    bytes: u64,
    bytes_done: AtomicU64,
    rows_done: AtomicU64,
    /// Bytes that an earlier run had done.
    bytes_before: AtomicU64,
    conflicts: AtomicU64,
    type_errors: AtomicU64,
    warnings: AtomicU64,
    blanks: AtomicU64,
    begun: Instant,
    bar: Bar,
}

impl Counters {
    /// All at zero. `bars`: whether a bar is drawn on a terminal.
    pub fn new<'a>(
        files: impl IntoIterator<Item = (&'a TableName, u64)>,
        bytes: u64,
        workers: u64,
        bars: bool,
    ) -> Self {
        let mut by_table: BTreeMap<TableName, TableCounter> = BTreeMap::new();
        let mut count = 0;
        for (table, size) in files {
            by_table.entry(table.clone()).or_default().total += size;
            count += 1;
        }
        // The log says it as lines; on anything but a terminal the bar would only repeat them.
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
        let show = if bars && terminal { Show::Auto } else { Show::Nothing };
        Self {
            by_table,
            workers,
            busy: AtomicU64::new(0),
            files_begun: AtomicU64::new(0),
            tables_done: AtomicU64::new(0),
            files: count,
            files_done: AtomicU64::new(0),
            bytes,
            bytes_done: AtomicU64::new(0),
            rows_done: AtomicU64::new(0),
            bytes_before: AtomicU64::new(0),
            conflicts: AtomicU64::new(0),
            type_errors: AtomicU64::new(0),
            warnings: AtomicU64::new(0),
            blanks: AtomicU64::new(0),
            begun: Instant::now(),
            bar: Progress::new(show).bar("import", bytes, Unit::Bytes),
        }
    }

    /// Rows and bytes that an earlier run committed.
    pub fn had(&self, table: &TableName, bytes: u64, rows: u64) {
        self.bytes_before.fetch_add(bytes, Ordering::Relaxed);
        self.add(table, bytes, rows);
    }

    /// Rows and bytes committed now.
    pub fn add(&self, table: &TableName, bytes: u64, rows: u64) {
        if let Some(table) = self.by_table.get(table) {
            table.written.fetch_add(bytes, Ordering::Relaxed);
            table.rows.fetch_add(rows, Ordering::Relaxed);
        }
        self.bytes_done.fetch_add(bytes, Ordering::Relaxed);
        self.rows_done.fetch_add(rows, Ordering::Relaxed);
        self.bar.inc(bytes);
    }

    /// Tables with their counters.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &TableCounter)> {
        self.by_table.iter()
    }

    /// What the counters stand at.
    pub fn seen(&self) -> Seen {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Seen {
            tables: self.by_table.len() as u64,
            tables_done: load(&self.tables_done),
            files: self.files,
            files_begun: load(&self.files_begun),
            files_done: load(&self.files_done),
            bytes: self.bytes,
            bytes_done: load(&self.bytes_done),
            workers: self.workers,
            busy: load(&self.busy),
        }
    }

    /// A worker has something to do, until the guard is dropped.
    pub fn at_work(&self) -> impl Drop + use<'_> {
        struct Busy<'a>(&'a AtomicU64);
        impl Drop for Busy<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.busy)
    }

    /// A file of the table is begun.
    pub fn file_begun(&self, table: &TableName) {
        self.files_begun.fetch_add(1, Ordering::Relaxed);
        if let Some(table) = self.by_table.get(table) {
            table.stage.store(Stage::Running as u8, Ordering::Relaxed);
        }
    }

    /// A file is done.
    pub fn file_done(&self) {
        self.files_done.fetch_add(1, Ordering::Relaxed);
    }

    /// A table is done.
    pub fn table_done(&self, table: &TableName) {
        if let Some(table) = self.by_table.get(table) {
            table.stage.store(Stage::Done as u8, Ordering::Relaxed);
        }
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

    /// Counts rows with type errors, and says how many there are now.
    pub fn add_type_errors(&self, count: u64) -> u64 {
        self.type_errors.fetch_add(count, Ordering::Relaxed) + count
    }

    /// Takes type errors of a transaction back that was not committed.
    pub fn take_back_type_errors(&self, count: u64) {
        self.type_errors.fetch_sub(count, Ordering::Relaxed);
    }

    /// Counts blank ENUMs that are in.
    pub fn add_blanks(&self, count: u64) {
        self.blanks.fetch_add(count, Ordering::Relaxed);
    }

    /// Blank ENUMs that are in.
    pub fn blanks(&self) -> u64 {
        self.blanks.load(Ordering::Relaxed)
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
            tables = counted(load(&self.tables_done), self.by_table.len() as u64),
            chunks = counted(load(&self.files_done), self.files),
            engines = counted(load(&self.tables_done), self.by_table.len() as u64),
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
