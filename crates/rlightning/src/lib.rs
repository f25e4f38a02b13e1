//! Imports SQL dumps into TiDB, MySQL and MariaDB, each row exactly once: the logical import of TiDB Lightning.
//!
//! The way of a row: [`source::walk`] finds files and tables, [`source::rows`] finds rows in a file, [`import::batch`] packs them into
//! transactions, [`import::worker`] commits each together with its row in the [`ledger`]. [`run::import`] is the whole of it;
//! [`run::prepare`] is the part that needs no target.
#![warn(missing_docs)]

pub mod advice;
pub mod check;
pub mod checkpoint;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod downstream;
pub mod error;
mod finished;
pub mod import;
pub mod indexes;
pub mod ledger;
mod objects;
mod orphans;
pub mod precheck;
pub mod progress;
pub mod records;
mod register;
mod reroute;
pub mod run;
pub mod schema;
mod server;
pub mod source;
pub mod status;
mod verify;

use std::process::ExitCode;
use std::sync::Arc;

use common::error::lightning_codes as codes;
use tokio_util::sync::CancellationToken;
use tracing::info;

use cli::{Action, Flags};
use config::Config;
use error::{Context, Error, Exit, Result};
use server::Queue;
use status::Status;

/// Workers that a server's tasks have at most, for the number of threads that may block.
const ASSUMED_WORKERS: usize = 256;

/// The program: reads the process's arguments, runs, and says how it ended.
pub fn main() -> ExitCode {
    common::out::keep_running_after_hangup();
    let (action, flags) = match cli::parse(std::env::args_os()) {
        Ok(parsed) => parsed,
        Err(error) => {
            let text = error.render().to_string();
            if error.use_stderr() {
                common::out::eprintln(text.trim_end());
                return Exit::Usage.into();
            }
            common::out::print(&text);
            return Exit::Success.into();
        }
    };
    cli::wipe(&std::env::args_os().skip(1).collect::<Vec<_>>());
    if action == Action::Version {
        common::out::print(&common::version::block());
        return Exit::Success.into();
    }
    start(&action, &flags).into()
}

/// Everything that can fail before there is a runtime.
fn start(action: &Action, flags: &Flags) -> Exit {
    let usage = |error: &dyn std::fmt::Display| {
        common::out::eprintln(&format!("rlightning: {error}"));
        Exit::Usage
    };
    let mut raw = match config::load(flags.config.as_deref()) {
        Ok(raw) => raw,
        Err(error) => return usage(&error),
    };
    if let Err(error) = config::overlay(&mut raw, flags) {
        return usage(&error);
    }
    let mut log = match config::log_config(&raw, flags) {
        Ok(log) => log,
        Err(error) => return usage(&error),
    };
    if matches!(action, Action::Ctl(_)) {
        // A command's answer goes to stdout; what goes wrong is its error.
        log.file = None;
        log.terminal = common::log::Terminal::Stderr;
        log.level = flags.level.clone().unwrap_or_else(|| "warn".into());
    }
    let guard = match common::log::init(&log) {
        Ok(guard) => guard,
        Err(error) => return usage(&error),
    };
    if let (Some(file), false) = (&log.file, matches!(action, Action::Ctl(_))) {
        common::out::print(&format!("Verbose debug logs will be written to {}\n\n", file.display()));
    }
    if raw.lightning.server_mode && *action == Action::Import {
        let exit = match config::server_address(&raw) {
            Ok(address) => {
                let queue = Queue::new(raw, flags.clone(), log);
                on_runtime(ASSUMED_WORKERS, async { serve(queue, &address).await })
            }
            Err(error) => report(&error),
        };
        drop(guard);
        return exit;
    }
    let exit = match Config::resolve(&raw, flags, log) {
        Ok(config) => in_runtime(action, &config),
        Err(error) => report(&error),
    };
    drop(guard);
    exit
}

fn report(error: &Error) -> Exit {
    match error {
        Error::Canceled => common::out::println("tidb lightning canceled"),
        Error::Failed(cause) => {
            common::out::eprintln(&format!("tidb lightning encountered error: {cause}"));
        }
    }
    Exit::Failure
}

fn in_runtime(action: &Action, config: &Config) -> Exit {
    on_runtime(config.concurrency, async {
        match action {
            Action::Import => import(config).await,
            Action::Ctl(command) => match ctl::run(config, command).await {
                Ok(()) => Exit::Success,
                Err(error) => report(&error),
            },
            Action::Check { sample, ddl_file } => {
                let options = check::Options { sample: *sample, ddl_file: ddl_file.clone() };
                match check::run(config, &options).await {
                    Ok(true) => Exit::Success,
                    Ok(false) => Exit::Failure,
                    Err(error) => report(&error),
                }
            }
            Action::Version => Exit::Success,
        }
    })
}

fn on_runtime(workers: usize, work: impl Future<Output = Exit>) -> Exit {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Each worker has a reader thread of its own.
        .max_blocking_threads(workers * 2 + 16)
        .build();
    let runtime = match runtime.context(codes::UNKNOWN, || "start the runtime".into()) {
        Ok(runtime) => runtime,
        Err(error) => return report(&error),
    };
    let exit = runtime.block_on(work);
    // A reader thread that hangs in the file system must not keep the process.
    runtime.shutdown_background();
    exit
}

fn welcome() {
    use common::version as v;
    info!(
        "release-version" = v::RELEASE,
        "git-hash" = v::GIT_HASH,
        "git-branch" = v::GIT_BRANCH,
        "utc-build-time" = v::BUILD_TIME,
        "Welcome to TiDB-Lightning"
    );
}

/// Server mode.
async fn serve(queue: Queue, address: &str) -> Exit {
    welcome();
    let token = CancellationToken::new();
    let listener = match status::listen(address).await {
        Ok(listener) => listener,
        Err(error) => return no_listener(address, &error),
    };
    let queue = Arc::new(queue);
    let served = Status::of_server(Arc::clone(&queue), token.clone());
    tokio::spawn(status::serve(listener, Arc::clone(&served)));
    if let Err(error) = watch_signals(token.clone()) {
        return report(&error);
    }
    server::run(&queue, &served, token).await
}

fn no_listener(address: &str, error: &std::io::Error) -> Exit {
    tracing::error!(%error, "failed to start HTTP server");
    common::out::eprintln(&format!("failed to start HTTP server: listen {address}: {error}"));
    Exit::Failure
}

async fn import(config: &Config) -> Exit {
    welcome();
    info!(cfg = %config.shown, "cfg");
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let token = CancellationToken::new();
    let mut status = None;
    if let Some(address) = &config.status_addr {
        match status::listen(address).await {
            Ok(listener) => {
                let served = Status::new(&config.shown, token.clone());
                tokio::spawn(status::serve(listener, Arc::clone(&served)));
                status = Some(served);
            }
            Err(error) => return no_listener(address, &error),
        }
    }
    let result = match watch_signals(token.clone()) {
        Ok(()) => run::import(config, token, status.as_ref()).await,
        Err(error) => Err(error),
    };
    match result {
        Ok(finished) => {
            info!(finished = true, "tidb lightning exit");
            common::out::println("tidb lightning exit successfully");
            finished.forget().await;
            Exit::Success
        }
        Err(error) => {
            if let Error::Failed(cause) = &error {
                tracing::error!(error = %cause, "tidb lightning encountered error stack info");
            }
            info!(finished = false, "tidb lightning exit");
            report(&error)
        }
    }
}

/// The first signal asks for an orderly stop, the second ends the process at once.
fn watch_signals(token: CancellationToken) -> Result<()> {
    use tokio::signal::unix::{Signal, SignalKind, signal};
    let listen = |kind: SignalKind| -> Result<Signal> {
        signal(kind).context(codes::UNKNOWN, || "listen for signals".into())
    };
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut quit = listen(SignalKind::quit())?;
    tokio::spawn(async move {
        loop {
            let signal = tokio::select! {
                _ = interrupt.recv() => "SIGINT",
                _ = terminate.recv() => "SIGTERM",
                _ = quit.recv() => "SIGQUIT",
            };
            if token.is_cancelled() {
                common::out::eprintln(
                    "second signal, stopping at once; the next run goes on from the last commit",
                );
                std::process::exit(1);
            }
            info!(signal, "got signal to exit");
            token.cancel();
        }
    });
    Ok(())
}
