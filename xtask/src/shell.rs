//! Running other programs, with errors that say which one failed and what it wrote.

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The folder of the repository.
pub fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

/// Runs to the end without input; the output is shown only in the error.
pub fn run(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("start `{shown}`"))?;
    if !output.status.success() {
        let mut text = String::from_utf8_lossy(&output.stderr).into_owned();
        if text.trim().is_empty() {
            text = String::from_utf8_lossy(&output.stdout).into_owned();
        }
        let lines: Vec<&str> = text.trim().lines().collect();
        bail!(
            "`{shown}` failed ({}):\n{}",
            output.status,
            lines[lines.len().saturating_sub(15)..].join("\n")
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn display(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// The cargo that runs this program, in the repository.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Builds all programs; what cargo says is shown.
pub fn build(options: &[&str]) -> Result<()> {
    let mut command = cargo();
    command.args(["build", "--workspace", "--bins"]).args(options);
    let status = command.status().context("start cargo build")?;
    if !status.success() {
        bail!("`{}` failed ({status})", display(&command));
    }
    Ok(())
}

/// git in the repository.
pub fn git() -> Command {
    let mut command = Command::new("git");
    command.current_dir(root());
    command
}

/// A program of the release build.
pub fn release_program(name: &str) -> PathBuf {
    let folder = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    folder.join("release").join(name)
}

/// [`run`] with a file as the input.
pub fn run_with_input(command: &mut Command, input: std::fs::File) -> Result<()> {
    let shown = display(command);
    let status = command.stdin(input).status().with_context(|| format!("start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// [`run`] with bytes as the input.
pub fn run_with_bytes(command: &mut Command, input: &[u8]) -> Result<()> {
    let mut file = tempfile::tempfile().context("make a temporary file")?;
    file.write_all(input)?;
    file.rewind()?;
    run_with_input(command, file)
}
