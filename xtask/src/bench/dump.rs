//! rdump beside mydumper 0.10.1.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use testkit::{Account, Server, catalog};

use super::Setting;
use super::measure::{Run, median, run_together, with_server};
use super::page::{Goal, Line, Table};
use crate::shell;

/// The set of the speed goals, made on the server.
pub fn fill(setting: &Setting, server: &Server) -> Result<()> {
    let text = include_str!("set.sql");
    let scaled = |rows: u64| ((rows as f64 * setting.scale) as u64).to_string();
    let text = text.replace("2000000) select", &format!("{}) select", scaled(2_000_000)));
    let text = text.replace("600000) select", &format!("{}) select", scaled(600_000)));
    let file = setting.dir.join("set.sql");
    fs::write(&file, text)?;
    let input = fs::File::open(&file)?;
    shell::run_with_input(&mut client(server), input).map(|_output| ())
}

/// A mysql client with all rights.
pub fn client(server: &Server) -> Command {
    let login = server.account(Account::Admin);
    let mut command = Command::new(catalog::mysql80_program("mysql"));
    command.args(["-h", server.host(), "-P", &server.port().to_string(), "-u", login.user]);
    command.arg(format!("-p{}", login.password)).arg("--default-character-set=utf8mb4");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// `rdump` of the set.
pub fn rdump(server: &Server, threads: u32, out: &std::path::Path) -> Command {
    let login = server.account(Account::Dump);
    let mut command = Command::new(shell::release_program("rdump"));
    command.args([
        "-h",
        server.host(),
        "-P",
        &server.port().to_string(),
        "-u",
        login.user,
        "-p",
        login.password,
    ]);
    command.args(["-t", &threads.to_string(), "-r", "200000", "-B", "bench", "-o"]).arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn mydumper(server: &Server, out: &std::path::Path) -> Command {
    let login = server.account(Account::Dump);
    let mut command = Command::new("mydumper");
    command.args([
        "-h",
        server.host(),
        "-P",
        &server.port().to_string(),
        "-u",
        login.user,
        "-p",
        login.password,
    ]);
    command.args(["-t", "2", "-r", "200000", "-B", "bench", "-o"]).arg(out);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

pub fn run(setting: &Setting) -> Result<Table> {
    let server = setting.server(1)?;
    fill(setting, &server).context("fill the source")?;
    let out = setting.dir.join("dump");
    let measure = |command: Command| -> Result<Run> {
        let run = with_server(&server, || run_together(vec![command]));
        fs::remove_dir_all(&out).ok();
        run
    };
    // Once for the caches of the server.
    measure(mydumper(&server, &out))?;
    let (mut ours, mut theirs, mut wide) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        theirs.push(measure(mydumper(&server, &out))?);
        ours.push(measure(rdump(&server, 2, &out))?);
        wide.push(measure(rdump(&server, 16, &out))?);
    }
    let (ours, theirs, wide) = (median(ours), median(theirs), median(wide));
    let line = |name: &str, run| Line { name: name.into(), run };
    Ok(Table {
        title: format!("Dump, durability {}", setting.durability.name()),
        lines: vec![line("mydumper -t 2", theirs), line("rdump -t 2", ours), line("rdump -t 16", wide)],
        goals: vec![
            Goal::at_most("rdump / mydumper, wall", ours.wall.as_secs_f64() / theirs.wall.as_secs_f64(), 1.0),
            Goal::at_most("rdump -t 16, peak memory MB", wide.memory as f64 / 1e6, 96.0),
        ],
    })
}
