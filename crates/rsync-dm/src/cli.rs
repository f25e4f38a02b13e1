//! The command line of `rsync-dm`: flags, start-up, exit codes.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use common::{
    args::Hidden,
    cipher::Key,
    error::{DmError, dm_codes as code},
    log, out,
};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    config::{LogFlags, MasterConfig, MasterFlags, WorkerConfig, WorkerFlags},
    ctl::CtlArgs,
    master, worker,
};

/// Replicates MySQL and MariaDB into a target, merging shards: DM's job, its files and its commands.
#[derive(Debug, Parser)]
#[command(name = "rsync-dm", disable_version_flag = true, arg_required_else_help = true)]
struct Cli {
    /// Print the version and exit
    #[arg(short = 'V', long, global = true)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a master: sources, tasks, shard DDL locks
    Master(MasterFlags),
    /// Run a worker: the replication of one source
    Worker(WorkerFlags),
    /// Talk to a master
    Ctl(CtlArgs),
    /// Run one task in this process, without master and workers
    Run(RunCommand),
    /// Compare the target with the sources, row by row
    Verify(VerifyCommand),
}

#[derive(Debug, clap::Args)]
struct RunCommand {
    #[command(flatten)]
    args: crate::run::RunArgs,
    /// File of 64 hexadecimal digits with which passwords are encrypted
    #[arg(long, value_name = "FILE")]
    secret_key_path: Option<PathBuf>,
    #[command(flatten)]
    log: LogFlags,
}

#[derive(Debug, clap::Args)]
struct VerifyCommand {
    #[command(flatten)]
    args: crate::verify::VerifyArgs,
    /// File of 64 hexadecimal digits with which passwords are encrypted
    #[arg(long, value_name = "FILE")]
    secret_key_path: Option<PathBuf>,
}

/// The whole command line, for completions, man pages and docs.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program. `args` are those after the program's name.
pub fn run(args: Vec<String>) -> ExitCode {
    out::keep_running_after_hangup();
    mysql::install_crypto();
    // What `ctl encrypt` encrypts is a password, whatever flags stand before it.
    if let Some(at) = args.iter().position(|arg| arg == "encrypt") {
        let all: Vec<Hidden> = (at + 1..args.len()).map(|arg| Hidden { arg, from: 0 }).collect();
        common::args::wipe(&args, &all);
    }
    let mut args = args;
    args.insert(0, "rsync-dm".into());
    double_dashes(&mut args);
    if args.iter().skip(1).any(|a| a == "-V" || a == "--version") {
        out::print(&common::version::block());
        return ExitCode::SUCCESS;
    }
    let is_ctl = args.get(1).is_some_and(|a| a == "ctl");
    let parsed = command().try_get_matches_from(&args).and_then(|m| Cli::from_arg_matches(&m));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(e) => {
            let _closed = e.print();
            // dmctl ends with 1 whatever is wrong, the servers with 2 as all Go flags do.
            return match e.exit_code() {
                0 => ExitCode::SUCCESS,
                _ if is_ctl => ExitCode::FAILURE,
                code => ExitCode::from(u8::try_from(code).unwrap_or(2)),
            };
        }
    };
    match cli.command {
        Some(Command::Master(flags)) => run_master(&flags),
        Some(Command::Worker(flags)) => run_worker(&flags),
        Some(Command::Ctl(args)) => block_on(crate::ctl::run(args)),
        Some(Command::Run(command)) => run_task(&command),
        Some(Command::Verify(command)) => block_on(verify(command)),
        None => ExitCode::from(2),
    }
}

/// Go's flags take one dash for long names too: the second is added where the name is one of the command's.
fn double_dashes(args: &mut [String]) {
    let root = command();
    let mut longs: Vec<String> = Vec::new();
    let mut current = &root;
    for arg in args.iter_mut().skip(1) {
        if arg == "--" {
            return;
        }
        if let Some(sub) = current.find_subcommand(arg.as_str()) {
            current = sub;
            longs.extend(current.get_arguments().filter_map(|a| a.get_long().map(str::to_owned)));
            continue;
        }
        let Some(rest) = arg.strip_prefix('-').filter(|r| !r.starts_with('-')) else { continue };
        let name = rest.split('=').next().unwrap_or_default();
        if name.len() > 1 && (name == "version" || name == "help" || longs.iter().any(|l| l == name)) {
            arg.insert(0, '-');
        }
    }
}

fn block_on(work: impl Future<Output = ExitCode>) -> ExitCode {
    match Runtime::new() {
        Ok(runtime) => runtime.block_on(work),
        Err(e) => fail(&format!("cannot start: {e}")),
    }
}

fn fail(text: &str) -> ExitCode {
    out::eprintln(&format!("Error: {text}"));
    ExitCode::FAILURE
}

fn key_file(path: Option<&Path>) -> Result<Option<Key>, DmError> {
    path.map(Key::from_file).transpose().map_err(|e| code::CONFIG_SECRET_KEY_PATH.wrap("", &e))
}

async fn verify(command: VerifyCommand) -> ExitCode {
    let result = match key_file(command.secret_key_path.as_deref()) {
        Ok(key) => crate::verify::run(&command.args, key.as_ref()).await,
        Err(e) => Err(e),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(e) => fail(&e.to_string()),
    }
}

fn run_task(command: &RunCommand) -> ExitCode {
    let (key, config) = match (key_file(command.secret_key_path.as_deref()), command.log.config()) {
        (Ok(key), Ok(config)) => (key, config),
        (Err(e), _) | (_, Err(e)) => return config_error(&e),
    };
    let _log = match log::init(&config) {
        Ok(guard) => guard,
        Err(e) => return fail(&e.to_string()),
    };
    block_on(async move {
        let stop = CancellationToken::new();
        watch_signals(stop.clone());
        let ended = crate::run::run(&command.args, key.as_ref(), stop).await;
        ended_with(ended.map_err(|e| e.to_string()))
    })
}

fn run_master(flags: &MasterFlags) -> ExitCode {
    if flags.process.print_sample_config {
        out::print(include_str!("../../../config-examples/dm-master.toml"));
        return ExitCode::SUCCESS;
    }
    serve(
        MasterConfig::load(flags),
        |config| &config.log,
        |config, shutdown| master::run(config, shutdown, |_| {}),
    )
}

fn run_worker(flags: &WorkerFlags) -> ExitCode {
    if flags.process.print_sample_config {
        out::print(include_str!("../../../config-examples/dm-worker-1.toml"));
        return ExitCode::SUCCESS;
    }
    serve(
        WorkerConfig::load(flags),
        |config| &config.log,
        |config, shutdown| worker::run(config, Arc::new(worker::Replication), shutdown, |_| {}),
    )
}

/// Runs a master or a worker until a signal.
fn serve<C, F, E>(
    config: Result<C, DmError>,
    log_of: impl Fn(&C) -> &log::LogConfig,
    run: impl FnOnce(C, CancellationToken) -> F,
) -> ExitCode
where
    F: Future<Output = Result<(), E>>,
    E: std::error::Error,
{
    let config = match config {
        Ok(config) => config,
        Err(e) => return config_error(&e),
    };
    let _log = match log::init(log_of(&config)) {
        Ok(guard) => guard,
        Err(e) => return fail(&e.to_string()),
    };
    block_on(async move {
        let shutdown = CancellationToken::new();
        watch_signals(shutdown.clone());
        let ended = run(config, shutdown).await;
        ended_with(ended.map_err(|e| common::error::chain(&e)))
    })
}

fn config_error(e: &DmError) -> ExitCode {
    out::eprintln(&format!("Error: {e}"));
    ExitCode::from(2)
}

fn ended_with(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            tracing::error!(error = %text, "the program ends with an error");
            fail(&text)
        }
    }
}

/// SIGTERM and SIGINT end the program in good order; a second one at once. SIGHUP is ignored.
pub fn watch_signals(shutdown: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
        else {
            tracing::error!("cannot watch for signals");
            return;
        };
        for times in 0.. {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            if times > 0 {
                std::process::exit(1);
            }
            info!(signal = name, "got signal to exit");
            shutdown.cancel();
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn one_dash_is_enough_for_long_names() {
        let fixed = |args: &[&str]| {
            let mut args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
            double_dashes(&mut args);
            args.join(" ")
        };
        assert_eq!(fixed(&["x", "master", "-config", "a", "-L", "info"]), "x master --config a -L info");
        assert_eq!(fixed(&["x", "worker", "-join=a:1"]), "x worker --join=a:1");
        assert_eq!(
            fixed(&["x", "ctl", "-master-addr", "a", "query-status", "-s", "b"]),
            "x ctl --master-addr a query-status -s b"
        );
        assert_eq!(
            fixed(&["x", "ctl", "start-task", "-remove-meta", "t", "--", "-source"]),
            "x ctl start-task --remove-meta t -- -source"
        );
    }
}
