//! rdump: dumps MySQL, MariaDB and TiDB as Dumpling does, byte for byte, only faster and safer.
//!
//! Map of the crate, in the order of the work:
//! - [`cli`] reads the arguments with pflag's grammar; [`config`] checks them.
//! - [`folder`] decides who may write to the output; [`source`] knows the server; [`consistency`] takes the snapshot with
//!   [`position`] and [`listing`].
//! - [`dump`] runs everything: a planner ([`table`], [`chunk`], [`schema`]) and readers ([`data`]).
//! - [`render`], [`escape`] and [`csv`] are pure: rows in, bytes out. [`file`] compresses.
//!
//! Invariants: `metadata` appears last and only if all is well; a file appears under its name only when it is synced;
//! nothing is allocated per row or cell.
#![warn(missing_docs)]

pub mod chunk;
pub mod cli;
pub mod config;
pub mod consistency;
pub mod csv;
pub mod data;
pub mod dry_run;
pub mod dump;
pub mod error;
pub mod escape;
pub mod file;
pub mod folder;
pub mod gentle;
pub mod journal;
pub mod key;
pub mod listing;
pub mod lock_guard;
pub mod mask;
mod meta;
pub mod metrics;
pub mod mixing;
pub mod naming;
pub mod parquet;
pub mod password;
pub mod planner;
pub mod position;
pub mod preflight;
pub mod programs;
pub mod queue;
pub mod render;
pub mod resume;
pub mod schema;
pub mod source;
pub mod status;
pub mod table;
pub mod template;
pub mod verify;
pub mod work;

use std::sync::Arc;
use std::time::Duration;

use common::log::{LogConfig, LogFormat, Terminal};
use common::{out, version};
use tracing::info;

use crate::cli::flags::{FLAGS, usage};
use crate::cli::pflag::{self, Parsed, PflagError};
use crate::config::Config;
use crate::dump::Dumper;
use crate::error::DumpError;
use crate::gentle::{Gate, Pause};
use crate::metrics::Metrics;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All is well.
    Success,
    /// The dump failed, or the flags can't be used.
    Failure,
    /// The flags can't be read.
    Usage,
    /// Stopped by this signal.
    Signal(i32),
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => 0.into(),
            Exit::Failure => 1.into(),
            Exit::Usage => 2.into(),
            // What a shell shows for a process that the signal ended.
            Exit::Signal(number) => u8::try_from(128 + number).unwrap_or(1).into(),
        }
    }
}

/// The whole program, given its arguments without the program's name.
pub fn run(args: &[String]) -> Exit {
    avoid_huge_pages();
    out::keep_running_after_hangup();
    cli::wipe::wipe_arguments(FLAGS, args);
    let (command, args) = match args.split_first() {
        Some((word, rest)) if word == "verify" => (Command::Verify, rest),
        _ => (Command::Dump, args),
    };
    let parsed = match pflag::parse(FLAGS, args) {
        Ok(parsed) => parsed,
        Err(error) => return refuse_arguments(&error),
    };
    let parsed = match cli::file::with_file(args, parsed) {
        Ok(parsed) => parsed,
        Err(error) => {
            out::println(&format!("\nparse arguments failed: {error}"));
            return Exit::Failure;
        }
    };
    if parsed.last("help") == Some("true") {
        out::eprintln(usage().trim_end());
        return Exit::Success;
    }
    out::eprintln(version::block().trim_end());
    if parsed.last("version") == Some("true") {
        return Exit::Success;
    }
    let config = match command.options(parsed, args).and_then(|parsed| checked(&parsed)) {
        Ok(config) => config,
        Err(text) => {
            out::println(&text);
            return Exit::Failure;
        }
    };
    if command == Command::Verify {
        return verify_folder(config);
    }
    let log = LogConfig {
        level: config.log_level.clone(),
        file: config.log_file.clone(),
        terminal: Terminal::Stdout,
        format: if config.log_json { LogFormat::Json } else { LogFormat::Text },
        ..LogConfig::default()
    };
    let _log = match common::log::init(&log) {
        Ok(guard) => guard,
        Err(error) => {
            out::println(&format!("\ncreate dumper failed: {error}"));
            return Exit::Failure;
        }
    };
    mysql::install_crypto();
    info!(
        "Release Version" = version::RELEASE,
        "Git Commit Hash" = version::GIT_HASH,
        "Git Branch" = version::GIT_BRANCH,
        "Build timestamp" = version::BUILD_TIME,
        "Rust Version" = version::COMPILER,
        "Welcome to dumpling"
    );
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::println(&format!("\ncreate dumper failed: can't start threads: {error}"));
            return Exit::Failure;
        }
    };
    let exit = runtime.block_on(dump_until_signal(config));
    // Threads that sync or remove files finish what they are at.
    runtime.shutdown_timeout(Duration::from_secs(60));
    exit
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Dump,
    Verify,
}

impl Command {
    /// For `verify` the flags that shaped the dump's files are taken from its manifest; those that are given come after, and then those of
    /// the command line.
    fn options(self, parsed: Parsed, args: &[String]) -> Result<Parsed, String> {
        let against_source = parsed.last("against-source") == Some("true");
        if self == Command::Dump {
            return match against_source {
                true => Err("\nparse arguments failed: --against-source is for rdump verify".into()),
                false => Ok(parsed),
            };
        }
        let failed = |error: String| format!("\nverify failed: {error}");
        let Some(output) = parsed.last("output") else {
            return Err(failed("-o names the folder of the dump".into()));
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let manifest = runtime.map_err(|error| failed(error.to_string()))?.block_on(async {
            let storage = common::storage::open(output, &config::storage_options(&parsed))?;
            verify::manifest(storage.as_ref()).await
        });
        let mut options = manifest.map_err(|error| failed(error.to_string()))?.dump.options;
        // Without the source nobody needs the key of the masks.
        let is_mask = |option: &str| !against_source && option.starts_with("--mask=");
        options.retain(|option| !config::is_fingerprint(option) && !is_mask(option));
        // What `--config` says of the server and the rules' files; the rest of it shaped the dump, and stands in the manifest.
        options.extend(parsed.rendered(|flag| !flag.shapes_files()));
        let all: Vec<String> = options.into_iter().chain(args.iter().cloned()).collect();
        pflag::parse(FLAGS, &all).map_err(|error| failed(format!("options of the manifest: {error}")))
    }
}

/// `rdump verify`.
fn verify_folder(config: Arc<Config>) -> Exit {
    mysql::install_crypto();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            out::println(&format!("\nverify failed: can't start threads: {error}"));
            return Exit::Failure;
        }
    };
    let found = runtime.block_on(async {
        let storage = common::storage::open(&config.output_url, &config.storage)?;
        let manifest = verify::manifest(storage.as_ref()).await?;
        let mut findings = verify::folder(&storage, &manifest, config.threads).await?;
        if config.against_source {
            findings.problems.extend(verify::source(&config, &manifest).await?);
        }
        Ok(findings)
    });
    match found {
        Err(error) => failed("verify failed", &error, &config),
        Ok(findings) if findings.problems.is_empty() => {
            let with = if config.against_source { "manifest and source" } else { "manifest" };
            out::println(&format!(
                "verified: {} rows in {} files, as in {with}",
                findings.rows, findings.files
            ));
            Exit::Success
        }
        Ok(findings) => {
            findings.problems.iter().for_each(|problem| out::println(problem));
            out::println(&format!("\nverify failed: {} differences", findings.problems.len()));
            Exit::Failure
        }
    }
}

/// The allocator asks for huge pages, which triple the memory of many threads with small buffers and make nothing faster
/// here (measured: 31 MB against 11 MB with 2 threads, 110 MB against 57 MB with 16 and zstd).
fn avoid_huge_pages() {
    #[cfg(target_os = "linux")]
    // SAFETY: a system call about this process, without memory of ours. A refusal changes nothing.
    unsafe {
        libc::prctl(libc::PR_SET_THP_DISABLE, 1, 0, 0, 0);
    }
}

fn refuse_arguments(error: &PflagError) -> Exit {
    let mut text = error.to_string();
    if let PflagError::Unknown(name) = error
        && let Some(near) = pflag::nearest(FLAGS, name)
    {
        text.push_str(&format!("; did you mean --{near}?"));
    }
    out::eprintln(&text);
    out::eprintln(usage().trim_end());
    out::println(&text);
    Exit::Usage
}

fn checked(parsed: &Parsed) -> Result<Arc<Config>, String> {
    let now = jiff::Zoned::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
    let environment = |name: &str| std::env::var(name).ok();
    let mut config = Config::resolve(parsed, environment, &now)
        .map_err(|error| format!("\nparse arguments failed: {error}"))?;
    if !parsed.rest.is_empty() {
        let mut text =
            format!("\nmeet some unparsed arguments, please check again: [{}]", parsed.rest.join(" "));
        if parsed.last("password").is_some_and(|password| password.starts_with('-')) {
            text.push_str(" (-p takes the next word as the password: write -p PASSWORD, or leave -p out)");
        }
        return Err(text);
    }
    if parsed.last("ask-password") == Some("true") {
        let question = format!("Password of {} at {}: ", config.user, config.host);
        config.password = password::ask(&question)
            .map_err(|error| format!("\nparse arguments failed: the password can't be read: {error}"))?;
    }
    for warning in &config.warnings {
        out::println(warning);
    }
    Ok(Arc::new(config))
}

async fn dump_until_signal(config: Arc<Config>) -> Exit {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        out::println("\ncreate dumper failed: can't listen for signals");
        return Exit::Failure;
    };
    let gate = Arc::new(Gate::new(config.rate_limit));
    let _pauses = pause_by_signal(Arc::clone(&gate));
    let number = tokio::select! {
        exit = dump(config, gate) => return exit,
        _ = interrupt.recv() => 2,
        _ = terminate.recv() => 15,
    };
    // The dump's future is dropped: sockets are closed, the server frees its locks, unfinished files are gone.
    tracing::error!(signal = number, "dump stopped by a signal, the output folder holds an unfinished dump");
    out::println(&format!("\ndump failed: stopped by signal {number}"));
    Exit::Signal(number)
}

/// SIGUSR1 stops the readers, SIGUSR2 lets them go on. Ends when it is dropped.
fn pause_by_signal(gate: Arc<Gate>) -> tokio::task::JoinSet<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut tasks = tokio::task::JoinSet::new();
    if let (Ok(mut pause), Ok(mut resume)) =
        (signal(SignalKind::user_defined1()), signal(SignalKind::user_defined2()))
    {
        tasks.spawn(async move {
            loop {
                let paused = tokio::select! {
                    _ = pause.recv() => true,
                    _ = resume.recv() => false,
                };
                if gate.set(Pause::Signal, paused) {
                    match paused {
                        true => info!("the dump pauses by SIGUSR1, SIGUSR2 lets it go on"),
                        false => info!("the dump goes on by SIGUSR2"),
                    }
                }
            }
        });
    }
    tasks
}

async fn dump(config: Arc<Config>, gate: Arc<Gate>) -> Exit {
    if config.dry_run {
        return match Dumper::plan(&config).await {
            Ok(lines) => {
                lines.iter().for_each(|line| out::println(line));
                Exit::Success
            }
            Err(error) => failed("create dumper failed", &error, &config),
        };
    }
    let metrics = match Metrics::new() {
        Ok(metrics) => metrics,
        Err(error) => {
            return failed("create dumper failed", &DumpError::Internal(error.to_string()), &config);
        }
    };
    if let Some(address) = config.status_addr.clone() {
        tokio::spawn(status::serve(address, metrics.clone()));
    }
    let dumper = match Dumper::create(Arc::clone(&config), metrics, gate).await {
        Ok(dumper) => dumper,
        Err(error) => return failed("create dumper failed", &error, &config),
    };
    match dumper.run().await {
        Ok(_) => {
            info!("dump data successfully, dumpling will exit now");
            Exit::Success
        }
        Err(error) => failed("dump failed", &error, &config),
    }
}

/// One clear error, last.
fn failed(stage: &str, error: &DumpError, config: &Config) -> Exit {
    let mut text = error.to_string();
    let refused = error.server().is_some_and(|error| error.class() == mysql::ErrorClass::ConnectFailed);
    if refused && config.port == 4000 {
        text.push_str("; the port is given with -P (MySQL's is 3306; -p is the password)");
    }
    out::println(&format!("\n{stage}: {text}"));
    Exit::Failure
}
