//! Debian packages: installed with apt, or unpacked from the unstable suite without touching the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use testkit::Kind;

use super::packages::Unpacking;
use crate::shell;

/// Whether the loader finds a library in the system's folders.
pub fn has_library(name: &str) -> bool {
    ["/usr/lib/x86_64-linux-gnu", "/lib/x86_64-linux-gnu", "/usr/lib"]
        .iter()
        .any(|dir| Path::new(dir).join(name).exists())
}

/// Installs packages. On a machine whose package lists were never fetched, or are old, they are fetched first.
pub fn apt_install(packages: &[&str]) -> Result<()> {
    let install = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
            .args(["-o", "DPkg::Lock::Timeout=300", "install", "-y", "-q", "--no-install-recommends"])
            .args(packages);
        shell::run(&mut command)
    };
    if install().is_ok() {
        return Ok(());
    }
    shell::run(Command::new("apt-get").args(["-o", "DPkg::Lock::Timeout=300", "update", "-q"]))
        .context("fetch the package lists")?;
    install().map(|_| ())
}

/// MySQL 9.7 from the unstable suite. Its packages want a newer libc than this system's, so they are unpacked
/// with their whole closure (libc included) and run by their own loader.
pub fn mysql97() -> Result<()> {
    let parts = Unpacking::begin(Kind::MySql97)?;
    let scratch = &parts.scratch;
    let (lists, cache, empty, sources) =
        (scratch.join("lists"), scratch.join("cache"), scratch.join("status"), scratch.join("sid.list"));
    fs::create_dir_all(lists.join("partial"))?;
    fs::create_dir_all(cache.join("archives/partial"))?;
    fs::write(&empty, "")?;
    fs::write(&sources, unstable_sources()?)?;
    let apt = || {
        let mut command = Command::new("apt-get");
        for (key, value) in [
            ("Dir::Etc::sourcelist", sources.display()),
            ("Dir::Etc::sourceparts", Path::new("/dev/null").display()),
            ("Dir::State::Lists", lists.display()),
            // With an empty list of installed packages apt fetches the whole closure.
            ("Dir::State::status", empty.display()),
            ("Dir::Cache", cache.display()),
        ] {
            command.arg("-o").arg(format!("{key}={value}"));
        }
        command.args(["-o", "APT::Install-Recommends=false", "-o", "DPkg::Lock::Timeout=300", "-q"]);
        command
    };
    shell::run(apt().arg("update")).context("fetch the package list of the unstable suite")?;
    shell::run(apt().args(["install", "-y", "--download-only", "mysql-server-core", "mysql-client-core"]))
        .context("fetch the packages of the unstable suite")?;
    let tree = scratch.join("tree");
    fs::create_dir_all(&tree)?;
    let mut unpacked = 0;
    for entry in fs::read_dir(cache.join("archives"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == "deb") {
            shell::run(Command::new("dpkg").arg("-x").arg(&path).arg(&tree))?;
            unpacked += 1;
        }
    }
    ensure!(unpacked > 0, "apt fetched no package");
    parts.finish(&tree)
}

/// A sources file for the unstable suite with the address and key that this machine uses for its own suite.
fn unstable_sources() -> Result<String> {
    let release = fs::read_to_string("/etc/os-release").context("read /etc/os-release")?;
    let codename = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .context("no VERSION_CODENAME in /etc/os-release")?;
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(entries.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    texts
        .into_iter()
        .find_map(|text| derive(&text, codename.trim()))
        .with_context(|| format!("no apt source for the suite {codename} found under /etc/apt"))
}

/// Finds the stanza or line for `codename` and writes it as a one-line source for `sid`.
fn derive(text: &str, codename: &str) -> Option<String> {
    let one_line = text.lines().find_map(|line| {
        let (kind, rest) = line.trim().split_once(char::is_whitespace)?;
        let rest = rest.trim();
        let (options, rest) = match rest.strip_prefix('[').and_then(|text| text.split_once(']')) {
            Some((options, rest)) => (format!("[{options}] "), rest.trim()),
            None => (String::new(), rest),
        };
        let mut words = rest.split_whitespace();
        let (address, suite) = (words.next()?, words.next()?);
        (kind == "deb" && suite == codename).then(|| format!("deb {options}{address} sid main\n"))
    });
    one_line.or_else(|| {
        text.split("\n\n").find_map(|stanza| {
            let field = |name: &str| {
                let line =
                    stanza.lines().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")))?;
                line.split_once(':').map(|(_, value)| value.trim())
            };
            let is_ours = field("types")?.split_whitespace().any(|word| word == "deb")
                && field("suites")?.split_whitespace().any(|word| word == codename);
            let address = field("uris")?.split_whitespace().next()?;
            let key = field("signed-by").filter(|value| value.starts_with('/'));
            let options = key.map_or_else(String::new, |path| format!("[signed-by={path}] "));
            is_ours.then(|| format!("deb {options}{address} sid main\n"))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::derive;

    #[test]
    fn a_stanza_of_the_own_suite_becomes_a_line_for_sid() {
        let text = "Types: deb\n# a comment\nURIs: http://mirror.invalid/security\nSuites: bookworm-security\nComponents: main\n\n\
                    Types: deb\nURIs: http://mirror.invalid/debian\nSuites: bookworm bookworm-updates\nComponents: main\nSigned-By: /k.gpg\n";
        assert_eq!(
            derive(text, "bookworm").as_deref(),
            Some("deb [signed-by=/k.gpg] http://mirror.invalid/debian sid main\n")
        );
    }

    #[test]
    fn a_line_keeps_its_options() {
        let text = "# deb http://no.invalid bookworm main\ndeb [trusted=yes] http://mirror.invalid/debian bookworm main contrib\n";
        assert_eq!(
            derive(text, "bookworm").as_deref(),
            Some("deb [trusted=yes] http://mirror.invalid/debian sid main\n")
        );
        assert_eq!(derive(text, "trixie"), None);
    }
}
