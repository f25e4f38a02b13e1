//! Counters of a dump, under Dumpling's names (facts/dumpling.md 6).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::duration::GoDuration;
use common::size::DecimalSize;
use prometheus::{Counter, Encoder, Gauge, Histogram, HistogramOpts, Registry, TextEncoder};
use tracing::info;

/// All counters; clones share them.
#[derive(Debug, Clone)]
pub struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    registry: Registry,
    size: Gauge,
    rows: Gauge,
    capacity: Gauge,
    estimate: Counter,
    tables: Counter,
    errors: Counter,
    write: Histogram,
    receive: Histogram,
    begin: Instant,
    total_tables: AtomicU64,
    total_chunks: AtomicU64,
    finished_chunks: AtomicU64,
    all_planned: std::sync::atomic::AtomicBool,
    row_count: AtomicU64,
    byte_count: AtomicU64,
}

impl Metrics {
    /// Registers everything.
    ///
    /// # Errors
    /// Two metrics of one name, a mistake of ours.
    pub fn new() -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let buckets = || prometheus::exponential_buckets(0.000_05, 2.0, 20);
        let inner = Inner {
            size: Gauge::new("dumpling_dump_finished_size", "bytes of rows read and turned into text")?,
            rows: Gauge::new("dumpling_dump_finished_rows", "rows dumped")?,
            capacity: Gauge::new("dumpling_dump_channel_capacity", "chunks waiting for a reader")?,
            estimate: Counter::new("dumpling_dump_estimate_total_rows", "estimated rows of all tables")?,
            tables: Counter::new("dumpling_dump_finished_tables", "tables dumped")?,
            errors: Counter::new("dumpling_dump_error_count", "errors")?,
            write: Histogram::with_opts(
                HistogramOpts::new("dumpling_write_write_duration_time", "seconds to make a file durable")
                    .buckets(buckets()?),
            )?,
            receive: Histogram::with_opts(
                HistogramOpts::new(
                    "dumpling_write_receive_chunk_duration_time",
                    "seconds a reader waited for a chunk",
                )
                .buckets(buckets()?),
            )?,
            begin: Instant::now(),
            total_tables: AtomicU64::new(0),
            total_chunks: AtomicU64::new(0),
            finished_chunks: AtomicU64::new(0),
            all_planned: std::sync::atomic::AtomicBool::new(false),
            row_count: AtomicU64::new(0),
            byte_count: AtomicU64::new(0),
            registry,
        };
        for gauge in [&inner.size, &inner.rows, &inner.capacity] {
            inner.registry.register(Box::new(gauge.clone()))?;
        }
        for counter in [&inner.estimate, &inner.tables, &inner.errors] {
            inner.registry.register(Box::new(counter.clone()))?;
        }
        for histogram in [&inner.write, &inner.receive] {
            inner.registry.register(Box::new(histogram.clone()))?;
        }
        #[cfg(target_os = "linux")]
        inner.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(Metrics(Arc::new(inner)))
    }

    /// Rows and bytes were turned into text.
    pub fn read(&self, rows: u64, bytes: u64) {
        self.0.rows.add(rows as f64);
        self.0.size.add(bytes as f64);
        self.0.row_count.fetch_add(rows, Ordering::Relaxed);
        self.0.byte_count.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file was made durable.
    pub fn file_synced(&self, took: Duration) {
        self.0.write.observe(took.as_secs_f64());
    }

    /// A reader got a chunk.
    pub fn chunk_received(&self, waited: Duration) {
        self.0.receive.observe(waited.as_secs_f64());
        self.0.capacity.sub(1.0);
    }

    /// A chunk was planned.
    pub fn chunk_planned(&self) {
        self.0.total_chunks.fetch_add(1, Ordering::Relaxed);
        self.0.capacity.add(1.0);
    }

    /// All chunks are known.
    pub fn all_planned(&self) {
        self.0.all_planned.store(true, Ordering::Relaxed);
    }

    /// A chunk is done.
    pub fn chunk_finished(&self) {
        self.0.finished_chunks.fetch_add(1, Ordering::Relaxed);
    }

    /// A table is done.
    pub fn table_finished(&self) {
        self.0.tables.inc();
    }

    /// The dump failed.
    pub fn failed(&self) {
        self.0.errors.inc();
    }

    /// What is known before the rows are read.
    pub fn expect(&self, tables: u64, estimated_rows: u64) {
        self.0.total_tables.store(tables, Ordering::Relaxed);
        self.0.estimate.inc_by(estimated_rows as f64);
    }

    /// Rows dumped.
    pub fn rows(&self) -> u64 {
        self.0.row_count.load(Ordering::Relaxed)
    }

    /// Bytes of text.
    pub fn bytes(&self) -> u64 {
        self.0.byte_count.load(Ordering::Relaxed)
    }

    /// Chunks: finished and known.
    pub fn chunks(&self) -> (u64, u64) {
        (self.0.finished_chunks.load(Ordering::Relaxed), self.0.total_chunks.load(Ordering::Relaxed))
    }

    /// Estimated rows of all tables.
    pub fn estimated_rows(&self) -> u64 {
        self.0.estimate.get() as u64
    }

    /// Time since the dump began.
    pub fn elapsed(&self) -> Duration {
        self.0.begin.elapsed()
    }

    /// Mean speed in MiB/s.
    pub fn speed(&self) -> f64 {
        self.bytes() as f64 / f64::from(1 << 20) / self.elapsed().as_secs_f64().max(0.001)
    }

    /// The text of `/metrics`.
    pub fn text(&self) -> Vec<u8> {
        let mut out = Vec::new();
        // Writing to memory does not fail; half a text is better than none.
        let _ = TextEncoder::new().encode(&self.0.registry.gather(), &mut out);
        out
    }

    /// Dumpling's `progress` line. `recent` is bytes a second since the last one.
    pub fn log_progress(&self, recent: f64) {
        let (finished, total) = self.chunks();
        let tables = self.0.tables.get();
        let all_tables = self.0.total_tables.load(Ordering::Relaxed);
        let percent = |part: f64, whole: f64| if whole > 0.0 { part * 100.0 / whole } else { 100.0 };
        let chunks = match self.0.all_planned.load(Ordering::Relaxed) {
            true => format!(" {:.2} %", percent(finished as f64, total as f64)),
            false => String::new(),
        };
        info!(
            tables = %format!("{tables}/{all_tables} ({:.1}%)", percent(tables, all_tables as f64)),
            "finished rows" = %self.rows(),
            "estimate total rows" = %self.estimated_rows(),
            "finished size" = %DecimalSize(self.bytes()),
            "average speed(MiB/s)" = %format!("{:.2}", self.speed()),
            "recent speed bps" = %format!("{recent:.2}"),
            "chunks progress" = %chunks,
            "progress"
        );
    }

    /// Dumpling's summary.
    pub fn log_summary(&self, ok: bool, failed_chunks: u64) {
        let (finished, total) = self.chunks();
        let message = if ok { "backup success summary" } else { "backup failed summary" };
        info!(
            "total-ranges" = total,
            "ranges-succeed" = finished,
            "ranges-failed" = failed_chunks,
            "total-take" = %GoDuration::from(self.elapsed()),
            "total-kv-size" = %DecimalSize(self.bytes()),
            "average-speed" = %format!("{}/s", DecimalSize((self.bytes() as f64 / self.elapsed().as_secs_f64().max(0.001)) as u64)),
            "total-rows" = self.rows(),
            "{message}"
        );
    }
}
