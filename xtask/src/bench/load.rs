//! rlightning beside two mysql clients that load the same files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use testkit::{Account, Server};

use super::measure::{Run, median, run_together, with_server};
use super::page::{Goal, Line, Table};
use super::{Setting, dump};
use crate::shell;

pub fn run(setting: &Setting) -> Result<Table> {
    let files = setting.dir.join("load");
    {
        let source = setting.server(1)?;
        dump::fill(setting, &source).context("fill the source")?;
        run_together(vec![dump::rdump(&source, 2, &files)])?;
    }
    let schema = sql_files(&files, |name| name.contains("-schema"))?;
    let data = sql_files(&files, |name| !name.contains("-schema"))?;
    let for_client = client_copies(setting, &data)?;
    let target = setting.server(2)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..setting.runs {
        fresh_tables(&target, &schema)?;
        theirs.push(with_server(&target, || two_clients(setting, &target, &for_client))?);
        fresh_tables(&target, &schema)?;
        ours.push(with_server(&target, || run_together(vec![rlightning(setting, &target, &files)?]))?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(Table {
        title: format!("Load, durability {}", setting.durability.name()),
        lines: vec![
            Line { name: "two mysql clients".into(), run: theirs },
            Line { name: "rlightning, 2 threads".into(), run: ours },
        ],
        goals: vec![
            Goal::at_most(
                "rlightning / clients, wall",
                ours.wall.as_secs_f64() / theirs.wall.as_secs_f64(),
                0.9,
            ),
            Goal::at_most("rlightning, peak memory MB", ours.memory as f64 / 1e6, 200.0),
        ],
    })
}

fn sql_files(folder: &Path, wanted: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.ends_with(".sql") && wanted(&name) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// The same files with a head that a plain client can load: MySQL refuses JSON from a binary connection (3144).
fn client_copies(setting: &Setting, files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let folder = setting.dir.join("for-client");
    fs::create_dir_all(&folder)?;
    let mut copies = Vec::new();
    for file in files {
        let mut bytes = fs::read(file)?;
        const BINARY: &[u8] = b"SET NAMES binary*/;";
        const TEXT: &[u8] = b"SET NAMES utf8mb4*/;";
        let head = &bytes[..bytes.len().min(256)];
        if let Some(at) = head.windows(BINARY.len()).position(|window| window == BINARY) {
            bytes.splice(at..at + BINARY.len(), TEXT.iter().copied());
        }
        let copy = folder.join(file.file_name().unwrap_or_default());
        fs::write(&copy, bytes)?;
        copies.push(copy);
    }
    Ok(copies)
}

fn fresh_tables(target: &Server, schema: &[PathBuf]) -> Result<()> {
    let mut script =
        b"drop database if exists bench; drop database if exists lightning_task_info;\n".to_vec();
    // The file of the database first.
    let (databases, tables): (Vec<_>, Vec<_>) =
        schema.iter().partition(|path| path.to_string_lossy().contains("-schema-create"));
    databases.iter().try_for_each(|path| fs::read(path).map(|bytes| script.extend(bytes)))?;
    script.extend(b"use bench;\n");
    tables.iter().try_for_each(|path| fs::read(path).map(|bytes| script.extend(bytes)))?;
    shell::run_with_bytes(&mut dump::client(target), &script).map(|_output| ())
}

/// Two clients, each with the next file as soon as it is free.
fn two_clients(setting: &Setting, target: &Server, files: &[PathBuf]) -> Result<Run> {
    let list = setting.dir.join("files");
    fs::write(&list, files.iter().map(|file| format!("{}\n", file.display())).collect::<String>())?;
    let client = dump::client(target);
    let words = std::iter::once(client.get_program()).chain(client.get_args());
    let words: Vec<_> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let script = format!("exec {} bench < \"$1\"", words.join(" "));
    let mut command = Command::new("xargs");
    command.args(["-P", "2", "-n", "1", "-a"]).arg(&list).args(["sh", "-c", &script, "client"]);
    let complaints = setting.dir.join("clients.log");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&complaints)?);
    run_together(vec![command]).with_context(|| fs::read_to_string(&complaints).unwrap_or_default())
}

fn rlightning(setting: &Setting, target: &Server, files: &Path) -> Result<Command> {
    let login = target.account(Account::Target);
    let config = setting.dir.join("lightning.toml");
    let text = format!(
        "[lightning]\nfile = \"{log}\"\nregion-concurrency = 2\ncheck-requirements = false\n\
         [tikv-importer]\nbackend = \"tidb\"\n\
         [mydumper]\ndata-source-dir = \"{files}\"\nno-schema = true\n\
         [checkpoint]\nenable = true\n\
         [tidb]\nhost = \"{host}\"\nport = {port}\nuser = \"{user}\"\npassword = \"{password}\"\n",
        log = setting.dir.join("lightning.log").display(),
        files = files.display(),
        host = target.host(),
        port = target.port(),
        user = login.user,
        password = login.password
    );
    fs::write(&config, text)?;
    let mut command = Command::new(shell::release_program("rlightning"));
    command.arg("-config").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(command)
}
