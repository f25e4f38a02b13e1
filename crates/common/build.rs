//! Hands the commit, branch, time and compiler to `version.rs`; an unknown one stays unset.

use std::process::Command;

fn main() {
    let git = |args: &[&str]| output("git", args);
    set("RMT_GIT_HASH", git(&["rev-parse", "HEAD"]));
    set("RMT_GIT_BRANCH", git(&["rev-parse", "--abbrev-ref", "HEAD"]));
    set("RMT_BUILD_TIME", output("date", &["-u", "+%Y-%m-%d %H:%M:%S"]));
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    set("RMT_RUSTC_VERSION", output(&rustc, &["--version"]));
    println!("cargo::rerun-if-changed=build.rs");
    // A release names the commit that it is of. For tests a commit must not rebuild the whole workspace.
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "release")
        && let Some(log) = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])
        // A file that is not there would count as changed each time.
        && std::path::Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
}

fn output(program: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

fn set(name: &str, value: Option<String>) {
    if let Some(value) = value {
        println!("cargo::rustc-env={name}={value}");
    }
}
