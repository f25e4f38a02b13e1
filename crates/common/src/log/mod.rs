//! The log of all three tools: PingCAP's text form (or JSON), to a file that rotates by size, or to a terminal.
//!
//! Events come through `tracing`; fields of open spans are appended to the fields of an event. What other crates log
//! is kept only from WARN upwards. Facts: dumpling.md 9, lightning.md 7.2.

mod format;
mod rotate;

use std::{
    io::{self, Write},
    path::PathBuf,
    str::FromStr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU8, Ordering},
    },
};

use tracing::{Event, Level, Metadata, Subscriber, span};
use tracing_subscriber::{
    Layer, layer::Context, layer::SubscriberExt, registry::LookupSpan, util::SubscriberInitExt,
};

use format::Fields;
use rotate::RotatingFile;

/// Names under which the workspace's crates log; everything else is foreign.
const OWN_TARGETS: [&str; 10] =
    ["common", "mysql", "sql", "binlog", "rdump", "rlightning", "rsync_dm", "testkit", "xtask", "log"];

/// Form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// `[time] [LEVEL] [file:line] [message] [key=value]…`
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "" | "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format(text.into())),
        }
    }
}

/// Where lines go when there is no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Terminal {
    /// Standard error.
    #[default]
    Stderr,
    /// Standard output, as Dumpling does.
    Stdout,
}

/// What to log, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// `debug`, `info`, `warn`, `error` or `fatal`, in any case.
    pub level: String,
    /// The file; `None`, an empty path or `-` for the terminal.
    pub file: Option<PathBuf>,
    /// The terminal's stream, used without a file.
    pub terminal: Terminal,
    /// Form of a line.
    pub format: LogFormat,
    /// Size in MiB at which the file is set aside; 0 for the default of 300.
    pub max_size_mb: u64,
    /// Days after which a file set aside is deleted; 0 for never.
    pub max_days: u32,
    /// How many files set aside are kept; 0 for all.
    pub max_backups: u32,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".into(),
            file: None,
            terminal: Terminal::Stderr,
            format: LogFormat::Text,
            max_size_mb: 0,
            max_days: 0,
            max_backups: 0,
        }
    }
}

/// Why the log can't be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum LogError {
    #[error("unrecognized level: {0:?}")]
    Level(String),
    #[error("unsupported log format: {0:?}, it is text or json")]
    Format(String),
    #[error("cannot open log file {}: {cause}", path.display())]
    File {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("the log is set up already")]
    Twice,
}

/// The level in force, shared by the layer and [`set_level`].
static LEVEL: AtomicU8 = AtomicU8::new(level_rank(Level::INFO));

const fn level_rank(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

fn parse_level(text: &str) -> Result<u8, LogError> {
    let level = match text.to_ascii_lowercase().as_str() {
        "trace" => Level::TRACE,
        "debug" => Level::DEBUG,
        "" | "info" => Level::INFO,
        "warn" | "warning" => Level::WARN,
        "error" | "dpanic" | "panic" | "fatal" => Level::ERROR,
        _ => return Err(LogError::Level(text.into())),
    };
    Ok(level_rank(level))
}

/// Changes the level of the running program.
///
/// # Errors
/// A name that is no level.
pub fn set_level(level: &str) -> Result<(), LogError> {
    LEVEL.store(parse_level(level)?, Ordering::Relaxed);
    Ok(())
}

/// The level in force.
pub fn level() -> &'static str {
    match LEVEL.load(Ordering::Relaxed) {
        1 => "error",
        2 => "warn",
        3 => "info",
        4 => "debug",
        _ => "trace",
    }
}

/// Keeps the log open; the last lines reach the file when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct LogGuard(Arc<Mutex<Output>>);

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Ok(mut output) = self.0.lock() {
            output.flush();
        }
    }
}

/// Sets up the process's log. Called once, before the runtime starts.
///
/// # Errors
/// A bad level, a file that can't be opened, a second call.
pub fn init(config: &LogConfig) -> Result<LogGuard, LogError> {
    set_level(&config.level)?;
    let output = Arc::new(Mutex::new(Output::open(config)?));
    let layer = LogLayer { format: config.format, output: Arc::clone(&output) };
    tracing_subscriber::registry().with(layer).try_init().map_err(|_installed| LogError::Twice)?;
    Ok(LogGuard(output))
}

#[derive(Debug)]
enum Output {
    Stderr,
    Stdout,
    File(RotatingFile, Losing),
}

/// Whether lines are being lost, which is said once.
#[derive(Debug, Default, PartialEq, Eq)]
enum Losing {
    #[default]
    No,
    Said,
}

impl Losing {
    fn note(&mut self, path: &std::path::Path, result: io::Result<()>) -> io::Result<()> {
        match (result, std::mem::take(self)) {
            (Ok(()), _) => Ok(()),
            (Err(_), Self::Said) => {
                *self = Self::Said;
                Ok(())
            }
            (Err(cause), Self::No) => {
                *self = Self::Said;
                let path = path.display();
                let text =
                    format!("cannot write to log file {path}: {cause}; the work goes on, lines are lost\n");
                io::stderr().write_all(text.as_bytes())
            }
        }
    }
}

impl Output {
    fn open(config: &LogConfig) -> Result<Self, LogError> {
        let path = match &config.file {
            Some(path) if !path.as_os_str().is_empty() && path.as_os_str() != "-" => path,
            _ => {
                return Ok(match config.terminal {
                    Terminal::Stderr => Self::Stderr,
                    Terminal::Stdout => Self::Stdout,
                });
            }
        };
        RotatingFile::open(path, config.max_size_mb, config.max_days, config.max_backups)
            .map(|file| Self::File(file, Losing::default()))
            .map_err(|cause| LogError::File { path: path.clone(), cause })
    }

    /// A line that can't be written is lost, and the work goes on. For a file the first one is told on standard error.
    fn write(&mut self, line: &[u8]) {
        let _lost = match self {
            Self::Stderr => io::stderr().write_all(line),
            Self::Stdout => io::stdout().write_all(line),
            Self::File(file, losing) => {
                let result = file.write_all(line);
                losing.note(file.path(), result)
            }
        };
    }

    fn flush(&mut self) {
        let _lost = match self {
            Self::Stderr => io::stderr().flush(),
            Self::Stdout => io::stdout().flush(),
            Self::File(..) => Ok(()),
        };
    }
}

/// Turns events into lines.
struct LogLayer {
    format: LogFormat,
    output: Arc<Mutex<Output>>,
}

fn is_own(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    OWN_TARGETS.contains(&root)
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogLayer {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        // The level may change later.
        tracing::subscriber::Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>, _context: Context<'_, S>) -> bool {
        let limit = LEVEL.load(Ordering::Relaxed);
        let limit = if is_own(metadata) { limit } else { limit.min(level_rank(Level::WARN)) };
        metadata.is_span() || level_rank(*metadata.level()) <= limit
    }

    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &span::Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let Some(scope) = context.event_scope(event) {
            for span in scope.from_root() {
                if let Some(of_span) = span.extensions().get::<Fields>() {
                    fields.append(of_span);
                }
            }
        }
        let line = format::line(self.format, event.metadata(), &fields, &jiff::Zoned::now());
        if let Ok(mut output) = self.output.lock() {
            output.write(line.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read_in_any_case() {
        assert_eq!(parse_level("WARN").expect("a level"), 2);
        assert_eq!(parse_level("Fatal").expect("a level"), 1);
        assert_eq!(parse_level("loud").expect_err("no level").to_string(), "unrecognized level: \"loud\"");
    }

    #[test]
    fn a_file_in_a_missing_folder_is_made() {
        let folder = tempfile::tempdir().expect("temp dir");
        let path = folder.path().join("a/b/tool.log");
        let config = LogConfig { file: Some(path.clone()), ..LogConfig::default() };
        Output::open(&config).expect("open").write(b"x\n");
        assert_eq!(std::fs::read(path).expect("read"), b"x\n");
    }

    #[test]
    fn a_folder_is_no_log_file() {
        let folder = tempfile::tempdir().expect("temp dir");
        let config = LogConfig { file: Some(folder.path().into()), ..LogConfig::default() };
        let error = Output::open(&config).expect_err("a folder");
        assert!(error.to_string().starts_with("cannot open log file"), "{error}");
    }
}
