//! Progress that a person can watch: bars on a terminal, plain lines elsewhere.
//!
//! One [`Progress`] a process. Without a terminal (or with bars hidden) a line with all bars is printed to standard error
//! at most every [`LINE_EVERY`] while something moves; a program that logs progress itself asks for silence.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between plain lines.
pub const LINE_EVERY: Duration = Duration::from_secs(10);

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shown as KiB, MiB, GiB.
    Bytes,
    /// Rows.
    Rows,
    /// Tables, files, anything that is counted.
    Items,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Show {
    /// Bars where standard error is a terminal, lines elsewhere.
    #[default]
    Auto,
    /// Plain lines even on a terminal.
    Lines,
    /// Nothing.
    Nothing,
}

#[derive(Debug)]
enum Shown {
    Bars(MultiProgress),
    Lines(Mutex<Lines>),
    Nothing,
}

#[derive(Debug)]
struct Lines {
    bars: Vec<Arc<Counter>>,
    last: Instant,
}

#[derive(Debug)]
struct Counter {
    name: String,
    unit: Unit,
    total: AtomicU64,
    done: AtomicU64,
    begin: Instant,
}

/// All bars of the process. Clones share them.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Shown>);

impl Progress {
    /// Decides once how to show.
    pub fn new(show: Show) -> Self {
        let lines = || Shown::Lines(Mutex::new(Lines { bars: Vec::new(), last: Instant::now() }));
        Self(Arc::new(match show {
            Show::Nothing => Shown::Nothing,
            Show::Auto if std::io::stderr().is_terminal() => {
                Shown::Bars(MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(5)))
            }
            Show::Auto | Show::Lines => lines(),
        }))
    }

    /// Adds a bar. `total` may be a guess or 0 (unknown) and be corrected later.
    pub fn bar(&self, name: impl Into<String>, total: u64, unit: Unit) -> Bar {
        let name = name.into();
        let counter = Arc::new(Counter {
            name: name.clone(),
            unit,
            total: AtomicU64::new(total),
            done: AtomicU64::new(0),
            begin: Instant::now(),
        });
        let drawn = match &*self.0 {
            Shown::Bars(all) => {
                let bar = all.add(ProgressBar::new(total).with_style(style(unit)).with_prefix(name));
                bar.enable_steady_tick(Duration::from_millis(500));
                Some(bar)
            }
            Shown::Lines(lines) => {
                if let Ok(mut lines) = lines.lock() {
                    lines.bars.push(Arc::clone(&counter));
                }
                None
            }
            Shown::Nothing => None,
        };
        Bar { counter, drawn, all: self.clone() }
    }

    /// Prints a line above the bars.
    pub fn say(&self, line: &str) {
        match &*self.0 {
            Shown::Bars(all) => {
                let _closed = all.println(line);
            }
            Shown::Lines(_) => crate::out::eprintln(line),
            Shown::Nothing => {}
        }
    }

    fn tick(&self) {
        if let Shown::Lines(lines) = &*self.0
            && let Ok(mut lines) = lines.try_lock()
            && lines.last.elapsed() >= LINE_EVERY
        {
            lines.last = Instant::now();
            let text: Vec<String> = lines.bars.iter().map(|bar| bar.text(bar.begin.elapsed())).collect();
            crate::out::eprintln(&text.join(" | "));
        }
    }
}

/// One bar. Clones move the same bar; counting is cheap enough for every batch, not for every row.
#[derive(Debug, Clone)]
pub struct Bar {
    counter: Arc<Counter>,
    drawn: Option<ProgressBar>,
    all: Progress,
}

impl Bar {
    /// Counts further.
    pub fn inc(&self, count: u64) {
        self.counter.done.fetch_add(count, Ordering::Relaxed);
        if let Some(bar) = &self.drawn {
            bar.inc(count);
        }
        self.all.tick();
    }

    /// Sets what is done, for one that knows the whole.
    pub fn set(&self, done: u64) {
        self.counter.done.store(done, Ordering::Relaxed);
        if let Some(bar) = &self.drawn {
            bar.set_position(done);
        }
        self.all.tick();
    }

    /// What is done.
    pub fn done(&self) -> u64 {
        self.counter.done.load(Ordering::Relaxed)
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        if let Some(bar) = &self.drawn {
            bar.finish_and_clear();
        }
        if let Shown::Lines(lines) = &*self.all.0
            && let Ok(mut lines) = lines.lock()
        {
            lines.bars.retain(|bar| !Arc::ptr_eq(bar, &self.counter));
        }
    }
}

impl Counter {
    /// `name 12.3% 4.5 MiB/10.0 MiB 1.2 MiB/s 5s left`
    fn text(&self, elapsed: Duration) -> String {
        let (done, total) = (self.done.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed));
        let seconds = elapsed.as_secs_f64().max(0.001);
        let rate = done as f64 / seconds;
        let amount = |count: f64| amount(count, self.unit);
        if total == 0 {
            return format!("{} {} {}/s", self.name, amount(done as f64), amount(rate));
        }
        let percent = 100.0 * done as f64 / total as f64;
        let left = if rate > 0.0 {
            format!("{}s left", (total.saturating_sub(done) as f64 / rate).ceil())
        } else {
            "time left unknown".into()
        };
        let (name, done, total) = (&self.name, amount(done as f64), amount(total as f64));
        format!("{name} {percent:.1}% {done}/{total} {}/s {left}", amount(rate))
    }
}

fn amount(count: f64, unit: Unit) -> String {
    const STEPS: [(f64, &str); 4] = [
        ((1u64 << 40) as f64, "TiB"),
        ((1u64 << 30) as f64, "GiB"),
        ((1u64 << 20) as f64, "MiB"),
        (1024.0, "KiB"),
    ];
    match unit {
        Unit::Bytes => STEPS
            .iter()
            .find(|(size, _)| count >= *size)
            .map_or_else(|| format!("{count:.0} B"), |(size, name)| format!("{:.1} {name}", count / size)),
        Unit::Rows => format!("{count:.0} rows"),
        Unit::Items => format!("{count:.0}"),
    }
}

fn style(unit: Unit) -> ProgressStyle {
    let numbers = match unit {
        Unit::Bytes => "{bytes}/{total_bytes} {bytes_per_sec}",
        Unit::Rows => "{human_pos}/{human_len} rows {per_sec}",
        Unit::Items => "{human_pos}/{human_len} {per_sec}",
    };
    let template = format!("{{prefix:24!}} {{bar:24}} {{percent:>3}}% {numbers} {{eta}} left");
    ProgressStyle::with_template(&template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_tell_share_rate_and_time_left() {
        let counter = Counter {
            name: "dump".into(),
            unit: Unit::Bytes,
            total: AtomicU64::new(40 << 20),
            done: AtomicU64::new(10 << 20),
            begin: Instant::now(),
        };
        let elapsed = Duration::from_secs(10);
        assert_eq!(counter.text(elapsed), "dump 25.0% 10.0 MiB/40.0 MiB 1.0 MiB/s 30s left");
        counter.total.store(0, Ordering::Relaxed);
        assert_eq!(counter.text(elapsed), "dump 10.0 MiB 1.0 MiB/s");
    }

    #[test]
    fn a_finished_bar_is_no_longer_listed() {
        let progress = Progress::new(Show::Lines);
        let bar = progress.bar("a", 1, Unit::Rows);
        bar.inc(1);
        assert_eq!(bar.done(), 1);
        bar.finish();
        let Shown::Lines(lines) = &*progress.0 else { panic!("lines were asked for") };
        assert!(lines.lock().expect("lock").bars.is_empty());
    }

    #[test]
    fn the_bar_templates_are_valid() {
        for unit in [Unit::Bytes, Unit::Rows, Unit::Items] {
            let numbers = style(unit);
            let bar = ProgressBar::hidden().with_style(numbers);
            bar.inc(1);
        }
    }
}
