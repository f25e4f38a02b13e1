//! The shipped `config-examples/`, with only addresses, accounts and paths changed.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_yaml::Value;
use testkit::Account;

use super::world::World;
use crate::shell;

/// The files of one run.
pub struct Files {
    pub lightning: PathBuf,
    pub task: PathBuf,
    pub sources: Vec<PathBuf>,
}

/// The source ids of the shipped source files, in order.
pub const SOURCE_FILES: [&str; 2] = ["source-1.yaml", "source-2.yaml"];

fn example(name: &str) -> Result<String> {
    let path = shell::root().join("config-examples").join(name);
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

/// Writes all files into the working folder.
pub fn write(world: &World) -> Result<Files> {
    let lightning = world.dir.join("tidb-lightning.toml");
    let lightning_log = world.dir.join("tidb-lightning.log");
    fs::write(&lightning, lightning_text(world, &lightning_log)?)?;
    let task = world.dir.join("task.yaml");
    let mut yaml: Value = serde_yaml::from_str(&example("task.yaml")?)?;
    set_login(&mut yaml, "target-database", world.target.port(), Account::Target)?;
    fs::write(&task, serde_yaml::to_string(&yaml)?)?;
    let mut sources = Vec::new();
    for (index, name) in SOURCE_FILES.iter().enumerate() {
        let mut yaml: Value = serde_yaml::from_str(&example(name)?)?;
        set_login(&mut yaml, "from", world.source_port(index), Account::Replicate)?;
        let path = world.dir.join(name);
        fs::write(&path, serde_yaml::to_string(&yaml)?)?;
        sources.push(path);
    }
    Ok(Files { lightning, task, sources })
}

fn lightning_text(world: &World, log: &Path) -> Result<String> {
    let mut config: toml::Table = example("tidb-lightning.toml")?.parse().context("tidb-lightning.toml")?;
    let login = Account::Target.credentials();
    set(&mut config, "lightning", "file", log.display().to_string())?;
    set(&mut config, "mydumper", "data-source-dir", world.dump_parent().display().to_string())?;
    set(&mut config, "tidb", "host", world.target.host().to_owned())?;
    set(&mut config, "tidb", "port", i64::from(world.target.port()))?;
    set(&mut config, "tidb", "user", login.user.to_owned())?;
    set(&mut config, "tidb", "password", login.password.to_owned())?;
    Ok(toml::to_string(&config)?)
}

fn set(config: &mut toml::Table, section: &str, key: &str, value: impl Into<toml::Value>) -> Result<()> {
    match config.get_mut(section) {
        Some(toml::Value::Table(table)) => table.insert(key.into(), value.into()),
        _ => bail!("tidb-lightning.toml has no section [{section}]"),
    };
    Ok(())
}

fn set_login(yaml: &mut Value, key: &str, port: u16, account: Account) -> Result<()> {
    let login = account.credentials();
    let block =
        yaml.get_mut(key).and_then(Value::as_mapping_mut).with_context(|| format!("no {key} there"))?;
    block.insert("host".into(), "127.0.0.1".into());
    block.insert("port".into(), u64::from(port).into());
    block.insert("user".into(), login.user.into());
    block.insert("password".into(), login.password.into());
    Ok(())
}

/// The `source-id` in a source file.
pub fn source_id(path: &Path) -> Result<String> {
    let yaml: Value = serde_yaml::from_str(&fs::read_to_string(path)?)?;
    let id = yaml.get("source-id").and_then(Value::as_str);
    Ok(id.with_context(|| format!("{} has no source-id", path.display()))?.to_owned())
}
