//! The command line, in Go's style: `-x v`, `--x v`, `-x=v` (facts/lightning.md 1.11).

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};
use common::args::{Hidden, parameters_of_url};

/// Which program was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// The import.
    Import,
    /// `rlightning check`: what the import would hit, without writing anything.
    Check {
        /// `--sample`: read a part of the data only, and say so.
        sample: bool,
        /// `--ddl-file`: where the target's DDL goes, too.
        ddl_file: Option<PathBuf>,
    },
    /// `rlightning ctl`, or called as `tidb-lightning-ctl`.
    Ctl(CtlCommand),
    /// `-V`
    Version,
}

/// One command of `rlightning ctl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CtlCommand {
    /// `-checkpoint-remove=T`: forget the task's progress in T (`all` or a quoted table).
    Remove(String),
    /// `-checkpoint-error-ignore=T`: take the target table as it is now for the one the task has written to.
    ErrorIgnore(String),
    /// `-checkpoint-error-destroy=T`: empty the target table of an unfinished task and forget what was imported into it.
    ErrorDestroy(String),
    /// `-checkpoint-dump=DIR`: write the ledger as CSV files.
    Dump(PathBuf),
    /// Print the tasks in the target's ledger, as JSON if wanted.
    List {
        /// `-json`
        json: bool,
    },
}

/// What was typed, nothing checked. `None` leaves the file's value.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Flags {
    pub config: Option<PathBuf>,
    pub level: Option<String>,
    pub log_file: Option<String>,
    pub log_format: Option<String>,
    pub tidb_host: Option<String>,
    pub tidb_port: Option<u16>,
    pub tidb_user: Option<String>,
    pub tidb_password: Option<String>,
    pub tidb_status: Option<u16>,
    pub pd_urls: Option<String>,
    pub source_dir: Option<String>,
    pub backend: Option<String>,
    pub sorted_kv_dir: Option<String>,
    pub enable_checkpoint: Option<bool>,
    pub no_schema: Option<bool>,
    pub checksum: Option<String>,
    pub analyze: Option<String>,
    pub check_requirements: Option<bool>,
    pub ca: Option<String>,
    pub cert: Option<String>,
    pub key: Option<String>,
    pub redact_info_log: Option<bool>,
    pub status_addr: Option<String>,
    pub server_mode: Option<bool>,
    pub filter: Vec<String>,
    pub source_time_zone: Option<String>,
    pub retry_for: Option<String>,
    pub progress: Option<bool>,
    pub verify: Option<bool>,
    pub programs: Option<bool>,
}

fn text(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).num_args(1).allow_hyphen_values(true).help(help)
}

/// A Go boolean: `-x`, `-x=false`, but not `-x false`.
fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("true")
        .value_parser(PossibleValuesParser::new([
            "true", "false", "True", "False", "TRUE", "FALSE", "t", "f", "T", "F", "1", "0",
        ]))
        .hide_possible_values(true)
        .value_name("BOOL")
        .help(help)
}

fn flags() -> Vec<Arg> {
    vec![
        text("config", "Read this tidb-lightning.toml").short('c').value_name("FILE"),
        text("L", "Log level: debug, info, warn, error, fatal")
            .short('L')
            .long("log-level")
            .value_name("LEVEL"),
        text("log-file", "Write the log to this file; '-' is stdout").value_name("FILE"),
        text("log-format", "Form of the log lines: text or json").value_name("FORMAT"),
        text("tidb-host", "Host of the target server").value_name("HOST"),
        text("tidb-port", "Port of the target server")
            .value_parser(clap::value_parser!(u16))
            .value_name("PORT"),
        text("tidb-user", "User on the target server").value_name("USER"),
        text("tidb-password", "Password on the target server").value_name("PASSWORD"),
        text("tidb-status", "Status port of a TiDB target; not used")
            .value_parser(clap::value_parser!(u16))
            .value_name("PORT"),
        text("pd-urls", "PD addresses of a TiDB target; not used").value_name("URLS"),
        text("d", "Folder or URL of the dump").short('d').long("data-source-dir").value_name("DIR"),
        text("backend", "tidb").value_name("BACKEND"),
        text("sorted-kv-dir", "Work folder of the local backend; not used").value_name("DIR"),
        switch("enable-checkpoint", "Go on with an unfinished task (default), or start a new one"),
        switch("no-schema", "Never create schemas and tables"),
        text("checksum", "For the local backend; not used").value_name("LEVEL"),
        text("analyze", "For the local backend; not used").value_name("LEVEL"),
        switch("check-requirements", "Check the target's tables before anything is written (default)"),
        text("ca", "Certificate authority for TLS").value_name("FILE"),
        text("cert", "Client certificate for TLS").value_name("FILE"),
        text("key", "Key of the client certificate").value_name("FILE"),
        switch("redact-info-log", "Keep values of rows out of the log"),
        text("status-addr", "Serve status, metrics, pause and resume at this address, such as :8289")
            .value_name("ADDR"),
        switch("server-mode", "Wait for tasks over HTTP (POST /tasks), at the address of --status-addr"),
        text("f", "Table filter, may be repeated")
            .short('f')
            .long("filter")
            .action(ArgAction::Append)
            .value_name("RULE"),
        text("source-time-zone", "Time zone of the TIMESTAMP texts in the dump, such as +08:00")
            .value_name("ZONE"),
        text("retry-for", "How long lost connections, deadlocks and the like are tried again (default 10m)")
            .value_name("DURATION"),
        switch("progress", "Draw progress bars on a terminal (default)"),
        switch("programs", "Load triggers, routines and events of the dump, too, after the rows"),
        switch("verify", "After the import, compare each row of the files with the target; slow"),
        Arg::new("V").short('V').long("version").action(ArgAction::SetTrue).help("Print the version"),
    ]
}

/// Commands of the real tool that are about the stores of a TiDB cluster, which a logical import does not touch.
const PHYSICAL: [&str; 4] = ["compact", "switch-mode", "fetch-mode", "check-local-storage"];

/// The command, for parsing, completions and man pages.
pub fn command() -> Command {
    let check = Command::new("check")
        .about("Say what the import would hit, without writing anything")
        .disable_version_flag(true)
        .args_override_self(true)
        .args(flags())
        .arg(switch("sample", "Read a part of the data only: quicker, and nothing is proved"))
        .arg(text("ddl-file", "Write the DDL that the target needs to this file, too").value_name("FILE"));
    let table = "TABLE";
    let ctl = Command::new("ctl")
        .about("Look at and change the record of unfinished tasks in the target")
        .disable_version_flag(true)
        .args_override_self(true)
        .args(flags())
        .arg(
            text("checkpoint-remove", "Forget what was imported into a table: all, or `db`.`table`")
                .value_name(table),
        )
        .arg(
            text(
                "checkpoint-error-ignore",
                "Take a table as it is now for the one that was written to: all, or `db`.`table`",
            )
            .value_name(table),
        )
        .arg(
            text(
                "checkpoint-error-destroy",
                "Empty a table of an unfinished task, if it holds this task's rows only, and forget them: all, or `db`.`table`",
            )
            .value_name(table),
        )
        .arg(text("checkpoint-dump", "Write the ledger as CSV files into this folder").value_name("DIR"))
        .arg(Arg::new("list").long("list").action(ArgAction::SetTrue).help("List unfinished tasks and finished tables"))
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("List as JSON"))
        .args(PHYSICAL.map(|name| text(name, "For the local backend; refused").num_args(0..=1).require_equals(true).default_missing_value("").hide(true)));
    Command::new("rlightning")
        .about("Imports SQL dumps into TiDB, MySQL and MariaDB, each row exactly once")
        .disable_version_flag(true)
        .args_override_self(true)
        .args_conflicts_with_subcommands(true)
        .args(flags())
        .subcommand(check)
        .subcommand(ctl)
}

/// Gives `-name` and `-name=value` their second dash, for the long names that the command knows.
pub fn go_style(command: &Command, args: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let known = |name: &str| {
        std::iter::once(command).chain(command.get_subcommands()).flat_map(Command::get_arguments).any(
            |arg| {
                arg.get_long() == Some(name)
                    || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&name))
            },
        ) || name == "help"
    };
    let mut literal = false;
    args.into_iter()
        .map(|arg| {
            literal |= arg == OsStr::new("--");
            let Some(rest) = arg.to_str().and_then(|text| text.strip_prefix('-')) else { return arg };
            let name = rest.split('=').next().unwrap_or(rest);
            if literal || rest.starts_with('-') || name.len() < 2 || !known(name) {
                return arg;
            }
            OsString::from(format!("--{rest}"))
        })
        .collect()
}

/// Wipes the password and the parameters of the source's URL from the process list. `args` are those behind the program's name.
pub fn wipe(args: &[OsString]) {
    common::args::wipe(args, &secrets(args));
}

fn secrets(args: &[OsString]) -> Vec<Hidden> {
    let mut found = Vec::new();
    for (number, arg) in args.iter().enumerate() {
        let Some(flag) = arg.to_str().and_then(|arg| arg.strip_prefix('-')) else { continue };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some((number, value))),
            None => (flag, args.get(number + 1).and_then(|next| Some((number + 1, next.to_str()?)))),
        };
        let Some((arg, value)) = value else { continue };
        let hidden = match name.strip_prefix('-').unwrap_or(name) {
            "tidb-password" => Some(0),
            "d" | "data-source-dir" => parameters_of_url(value),
            _ => None,
        };
        let whole = args[arg].len();
        found.extend(hidden.map(|skip| Hidden { arg, from: whole - value.len() + skip }));
    }
    found
}

/// Parses the arguments, the program's name first.
///
/// # Errors
/// clap's error, which also carries help texts: print it and leave with its exit code.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<(Action, Flags), clap::Error> {
    let mut args: Vec<OsString> = args.into_iter().collect();
    let called = args.first().map(|name| PathBuf::from(name).file_name().unwrap_or_default().to_os_string());
    if called.is_some_and(|name| name == "tidb-lightning-ctl") {
        args.insert(1, "ctl".into());
    }
    let mut command = command();
    // Aliases and subcommands are complete only once built.
    command.build();
    let args = go_style(&command, args);
    let matches = command.try_get_matches_from_mut(args)?;
    let (action, matches) = match matches.subcommand() {
        Some(("check", sub)) => (
            Action::Check {
                sample: boolean(sub, "sample").unwrap_or(false),
                ddl_file: string(sub, "ddl-file").map(PathBuf::from),
            },
            sub,
        ),
        Some(("ctl", sub)) if !sub.get_flag("V") => (Action::Ctl(ctl_command(&mut command, sub)?), sub),
        Some((_, sub)) => (Action::Import, sub),
        None => (Action::Import, &matches),
    };
    let action = if matches.get_flag("V") { Action::Version } else { action };
    Ok((action, read_flags(matches)))
}

fn ctl_command(command: &mut Command, matches: &ArgMatches) -> Result<CtlCommand, clap::Error> {
    let mut found = Vec::new();
    found.extend(string(matches, "checkpoint-remove").map(CtlCommand::Remove));
    found.extend(string(matches, "checkpoint-error-ignore").map(CtlCommand::ErrorIgnore));
    found.extend(string(matches, "checkpoint-error-destroy").map(CtlCommand::ErrorDestroy));
    found.extend(string(matches, "checkpoint-dump").map(|dir| CtlCommand::Dump(dir.into())));
    let json = matches.get_flag("json");
    found.extend(matches.get_flag("list").then_some(CtlCommand::List { json }));
    let is_given = |name: &str| matches.value_source(name) == Some(clap::parser::ValueSource::CommandLine);
    if let Some(name) = PHYSICAL.into_iter().find(|name| is_given(name)) {
        let text = format!("-{name} is for the local backend (physical import), which is not there yet");
        return Err(command.error(clap::error::ErrorKind::UnknownArgument, text));
    }
    match (found.pop(), found.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(command.error(
            clap::error::ErrorKind::MissingRequiredArgument,
            "give exactly one of -list, -checkpoint-remove=TABLE, -checkpoint-error-ignore=TABLE, \
             -checkpoint-error-destroy=TABLE, -checkpoint-dump=DIR",
        )),
    }
}

fn string(matches: &ArgMatches, name: &str) -> Option<String> {
    matches.get_one::<String>(name).cloned()
}

fn boolean(matches: &ArgMatches, name: &str) -> Option<bool> {
    string(matches, name).map(|text| matches!(text.as_str(), "true" | "True" | "TRUE" | "t" | "T" | "1"))
}

fn read_flags(matches: &ArgMatches) -> Flags {
    let text = |name| string(matches, name);
    let switch = |name| boolean(matches, name);
    Flags {
        config: text("config").map(PathBuf::from),
        level: text("L"),
        log_file: text("log-file"),
        log_format: text("log-format"),
        tidb_host: text("tidb-host"),
        tidb_port: matches.get_one::<u16>("tidb-port").copied(),
        tidb_user: text("tidb-user"),
        tidb_password: text("tidb-password"),
        tidb_status: matches.get_one::<u16>("tidb-status").copied(),
        pd_urls: text("pd-urls"),
        source_dir: text("d"),
        backend: text("backend"),
        sorted_kv_dir: text("sorted-kv-dir"),
        enable_checkpoint: switch("enable-checkpoint"),
        no_schema: switch("no-schema"),
        checksum: text("checksum"),
        analyze: text("analyze"),
        check_requirements: switch("check-requirements"),
        ca: text("ca"),
        cert: text("cert"),
        key: text("key"),
        redact_info_log: switch("redact-info-log"),
        status_addr: text("status-addr"),
        server_mode: switch("server-mode"),
        filter: matches.get_many::<String>("f").unwrap_or_default().cloned().collect(),
        source_time_zone: text("source-time-zone"),
        retry_for: text("retry-for"),
        progress: switch("progress"),
        verify: switch("verify"),
        programs: switch("programs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> (Action, Flags) {
        let args = std::iter::once("rlightning").chain(args.iter().copied()).map(OsString::from);
        parse(args).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn all_spellings_and_the_last_wins() {
        for args in [
            &["-config", "a.toml"][..],
            &["--config", "a.toml"],
            &["-config=a.toml"],
            &["--config=a.toml"],
            &["-c", "a.toml"],
            &["-config=b.toml", "-c", "a.toml"],
        ] {
            let (action, flags) = parsed(args);
            assert_eq!((action, flags.config), (Action::Import, Some(PathBuf::from("a.toml"))), "{args:?}");
        }
        let (_, flags) = parsed(&["-d", "/x", "-L", "debug", "-f", "a.*", "-f=b.*", "-tidb-port", "4001"]);
        assert_eq!(flags.source_dir.as_deref(), Some("/x"));
        assert_eq!(flags.level.as_deref(), Some("debug"));
        assert_eq!(flags.filter, ["a.*", "b.*"]);
        assert_eq!(flags.tidb_port, Some(4001));
    }

    #[test]
    fn secrets_are_found_in_every_spelling() {
        for (args, expected) in [
            (&["-tidb-password", "s"][..], &[(1, 0)][..]),
            (&["ctl", "--tidb-password=s"], &[(1, 16)]),
            (&["-d", "s3://b/p?secret-access-key=s"], &[(1, 9)]),
            (&["--data-source-dir=s3://b?k=s"], &[(0, 25)]),
            (&["-d", "/data", "-tidb-user", "u"], &[]),
            (&["-tidb-password"], &[]),
        ] {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let found: Vec<_> = secrets(&args).iter().map(|hidden| (hidden.arg, hidden.from)).collect();
            assert_eq!(found, expected, "{args:?}");
        }
    }

    #[test]
    fn booleans_as_in_go() {
        assert_eq!(parsed(&["-no-schema"]).1.no_schema, Some(true));
        assert_eq!(parsed(&["-no-schema=false"]).1.no_schema, Some(false));
        assert_eq!(parsed(&["--enable-checkpoint=0"]).1.enable_checkpoint, Some(false));
        assert_eq!(parsed(&[]).1.no_schema, None);
        assert!(parse(["rlightning", "-no-schema", "false"].map(OsString::from)).is_err());
    }

    #[test]
    fn subcommands() {
        let (action, flags) = parsed(&["check", "-config", "a", "-sample"]);
        assert_eq!(
            (action, flags.config),
            (Action::Check { sample: true, ddl_file: None }, Some("a".into()))
        );
        let (action, _) = parsed(&["ctl", "-config", "a", "-checkpoint-remove=all"]);
        assert_eq!(action, Action::Ctl(CtlCommand::Remove("all".into())));
        assert!(parse(["rlightning", "ctl"].map(OsString::from)).is_err());
        for option in ["-compact", "-switch-mode=import", "-fetch-mode", "-check-local-storage"] {
            let error = parse(["rlightning", "ctl", option].map(OsString::from)).unwrap_err().to_string();
            assert!(error.contains("is for the local backend"), "{option}: {error}");
        }
        let called = ["/bin/tidb-lightning-ctl", "-list"].map(OsString::from);
        assert_eq!(
            parse(called).map(|(action, _)| action).ok(),
            Some(Action::Ctl(CtlCommand::List { json: false }))
        );
        assert_eq!(parsed(&["-V"]).0, Action::Version);
        assert_eq!(parsed(&["--version"]).0, Action::Version);
    }

    #[test]
    fn unknown_flags_are_errors() {
        assert!(parse(["rlightning", "-nonsense"].map(OsString::from)).is_err());
        assert!(parse(["rlightning", "-tidb-port", "70000"].map(OsString::from)).is_err());
    }
}
