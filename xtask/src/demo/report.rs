//! The table at the end: what each phase moved and how fast.

use std::time::{Duration, Instant};

/// One finished phase.
struct Phase {
    name: &'static str,
    rows: Option<u64>,
    bytes: Option<u64>,
    time: Duration,
}

/// What was measured so far.
#[derive(Default)]
pub struct Report {
    phases: Vec<Phase>,
}

/// What a phase moved; what does not apply stays `None`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Moved {
    pub rows: Option<u64>,
    pub bytes: Option<u64>,
}

impl Report {
    /// Runs a phase and times it.
    pub async fn phase<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = anyhow::Result<(Moved, T)>>,
    ) -> anyhow::Result<T> {
        println!("== {name}");
        let begin = Instant::now();
        let (moved, value) = work.await.map_err(|error| error.context(format!("phase {name}")))?;
        self.phases.push(Phase { name, rows: moved.rows, bytes: moved.bytes, time: begin.elapsed() });
        Ok(value)
    }

    /// `phase | rows | MB | seconds | rate`
    pub fn table(&self) -> String {
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::ASCII_FULL_CONDENSED);
        table.set_header(["phase", "rows", "MB", "seconds", "rate"]);
        for phase in &self.phases {
            let seconds = phase.time.as_secs_f64();
            let shown = |number: Option<String>| number.unwrap_or_default();
            let megabytes = phase.bytes.map(|bytes| bytes as f64 / 1e6);
            let rate = match (megabytes, phase.rows) {
                (Some(megabytes), _) => Some(format!("{:.1} MB/s", megabytes / seconds)),
                (None, Some(rows)) => Some(format!("{:.0} rows/s", rows as f64 / seconds)),
                (None, None) => None,
            };
            table.add_row([
                phase.name.to_owned(),
                shown(phase.rows.map(|rows| rows.to_string())),
                shown(megabytes.map(|megabytes| format!("{megabytes:.1}"))),
                format!("{seconds:.1}"),
                shown(rate),
            ]);
        }
        table.to_string()
    }
}
