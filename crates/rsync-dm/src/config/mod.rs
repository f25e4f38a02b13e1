//! The configuration of sources, tasks, masters and workers: read strictly, checked, with DM's error codes.
//!
//! Text becomes the raw form of [`yaml`], and that the checked forms: [`SourceConfig`], [`TaskConfig`], and for
//! each source of a task a [`SubtaskConfig`], which is all that replication needs. What DM knows and this program
//! does not do yet is refused by name, never ignored. Facts: dm.md 1.

mod database;
pub mod event_filter;
pub mod online_ddl;
pub mod process;
mod source;
mod subtask;
mod task;
#[cfg(test)]
mod tests;
pub mod yaml;

use std::path::Path;

use common::{
    config as read,
    error::{DmCode, DmError, dm_codes as code},
};

pub use database::{Certificates, Database};
pub use event_filter::{Decision, EventFilters};
pub use online_ddl::{OnlineDdl, TableKind};
pub use process::{LogFlags, MasterConfig, MasterFlags, WorkerConfig, WorkerFlags};
pub use source::{MAX_SOURCE_ID, SourceConfig, random_server_id};
pub use subtask::{Meta, ShardMode, SubtaskConfig, SyncerConfig};
pub use task::{CHECK_ITEMS, TaskConfig};

/// The text of a YAML file.
///
/// # Errors
/// 20018: missing, unreadable, empty, not UTF-8.
pub fn read_file(path: &Path) -> Result<String, DmError> {
    read::read_text(path).map_err(|e| code::CONFIG_READ_CFG_FROM_FILE.wrap("", &e))
}

/// Reads YAML strictly; `origin` names it in errors.
fn from_text<T: serde::de::DeserializeOwned>(text: &str, origin: &str) -> Result<T, DmError> {
    read::text_of(text.as_bytes().to_vec(), origin)
        .and_then(|text| read::from_yaml(&text, origin))
        .map_err(|e| code::CONFIG_YAML_TRANSFORM.wrap("", &e))
}

/// Reads a TOML file of a process; without one everything has its default. `unknown` is the code of keys that nothing knows.
///
/// # Errors
/// 20002: missing, unreadable, empty, not UTF-8, not TOML, a wrong type; `unknown`.
pub fn load_toml<T: Default + serde::de::DeserializeOwned>(
    path: Option<&Path>,
    unknown: &'static DmCode,
) -> Result<T, DmError> {
    let Some(path) = path else { return Ok(T::default()) };
    let loaded = read::load_toml::<T>(path).map_err(|e| code::CONFIG_TOML_TRANSFORM.wrap("", &e))?;
    loaded.strict(&path.display().to_string()).map_err(|e| unknown.wrap("", &e))
}

/// Puts the passwords that the serialised form masks back into a block of a YAML value.
fn unmask(value: &mut serde_yaml::Value, block: &str, database: &yaml::DatabaseYaml) {
    let Some(block) = value.get_mut(block) else { return };
    if let Some(password) = block.get_mut("password") {
        *password = database.password.expose().into();
    }
    let Some(security) = &database.security else { return };
    let Some(block) = block.get_mut("security") else { return };
    if let Some(key) = block.get_mut("ssl-key-bytes") {
        *key = security.ssl_key_bytes.iter().map(|&b| serde_yaml::Value::from(b)).collect();
    }
    if let Some(key) = block.get_mut("ssl-key-base64") {
        *key = security.ssl_key_base64.expose().into();
    }
}

/// YAML as go-yaml writes it: a text that would read as another type stands in double quotes, not in single ones.
fn print(value: &impl serde::Serialize) -> String {
    let text = serde_yaml::to_string(value).expect("configuration fields are all YAML");
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let quoted = line
            .split_once(": '")
            .or_else(|| line.split_once("- '"))
            .and_then(|(head, tail)| Some((head, tail.strip_suffix('\'')?)));
        match quoted {
            Some((head, inner)) if reads_as_other_type(inner) => {
                out.push_str(&line[..head.len() + 2]);
                out.push('"');
                out.push_str(inner);
                out.push('"');
            }
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

/// Whether the plain text would be null, a boolean or a number in YAML 1.1. Never true for a text with quotes.
fn reads_as_other_type(text: &str) -> bool {
    let word = matches!(
        text.to_ascii_lowercase().as_str(),
        "" | "~" | "null" | "y" | "yes" | "n" | "no" | "true" | "false" | "on" | "off"
    );
    word || text.parse::<f64>().is_ok()
}
