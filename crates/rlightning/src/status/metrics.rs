//! Metrics under the real tool's names, made from the counters for each request.

use prometheus::{CounterVec, Encoder, GaugeVec, Opts, Registry, TextEncoder};

use super::Stage;
use crate::progress::Counters;

/// The text for Prometheus.
///
/// # Errors
/// Metrics that contradict each other, which would be a mistake here.
pub(super) fn text(stage: Stage, counters: Option<&Counters>) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new();
    registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
    if let Some(counters) = counters {
        fill(&registry, stage, counters)?;
    }
    let mut out = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut out)?;
    Ok(out)
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows no integers")]
fn fill(registry: &Registry, stage: Stage, counters: &Counters) -> prometheus::Result<()> {
    let counter = |name: &str, help: &str, labels: &[&str]| -> prometheus::Result<CounterVec> {
        let metric = CounterVec::new(Opts::new(name, help).namespace("lightning"), labels)?;
        registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    };
    let gauge = |name: &str, help: &str, label: &str| -> prometheus::Result<GaugeVec> {
        let metric = GaugeVec::new(Opts::new(name, help).namespace("lightning"), &[label])?;
        registry.register(Box::new(metric.clone()))?;
        Ok(metric)
    };
    let seen = counters.seen();
    let tables = counter("tables", "count number of tables processed", &["state", "result"])?;
    tables.with_label_values(&["pending", "success"]).inc_by(seen.tables as f64);
    tables.with_label_values(&["completed", "success"]).inc_by(seen.tables_done as f64);
    let chunks = counter("chunks", "count number of chunks processed", &["state"])?;
    for (state, count) in [
        ("estimated", seen.files),
        ("pending", seen.files),
        ("running", seen.files_begun),
        ("finished", seen.files_done),
    ] {
        chunks.with_label_values(&[state]).inc_by(count as f64);
    }
    let bytes = counter("bytes", "count of total bytes", &["state"])?;
    bytes.with_label_values(&["total_restore"]).inc_by(seen.bytes as f64);
    bytes.with_label_values(&["restored"]).inc_by(seen.bytes_done as f64);
    let rows = counter("rows", "count of total rows", &["state", "table"])?;
    for (name, table) in counters.tables() {
        rows.with_label_values(&["restored", &name.quoted()]).inc_by(table.rows() as f64);
    }
    let progress = gauge("progress", "progress of lightning phases", "phase")?;
    let share = if seen.bytes == 0 { 1.0 } else { seen.bytes_done as f64 / seen.bytes as f64 };
    let total = if stage == Stage::Done { 1.0 } else { share };
    progress.with_label_values(&["total"]).set(total);
    progress.with_label_values(&["restore"]).set(share);
    let idle = gauge("idle_workers", "counting idle workers", "name")?;
    idle.with_label_values(&["region"]).set(seen.workers.saturating_sub(seen.busy) as f64);
    Ok(())
}
