//! What `ctl` does with files before they travel: certificates are read here, where the operator's paths mean
//! something.

use std::path::Path;

use base64::{Engine, engine::general_purpose::STANDARD};
use common::error::{DmError, dm_codes as code};
use serde_yaml::Value;

use crate::config::read_file;

/// A task file, with the certificates of its target inside.
///
/// # Errors
/// 20018 the file; 11112 a certificate that can't be read. What else is wrong with the text the master says.
pub fn task(path: &Path) -> Result<String, DmError> {
    let text = read_file(path)?;
    let Ok(mut value) = serde_yaml::from_str::<Value>(&text) else { return Ok(text) };
    let Some(security) = value.get_mut("target-database").and_then(|t| t.get_mut("security")) else {
        return Ok(text);
    };
    let mut changed = false;
    for key in ["ssl-ca", "ssl-cert", "ssl-key"] {
        let Some(file) = security.get(key).and_then(Value::as_str).filter(|f| !f.is_empty()) else {
            continue;
        };
        let bytes = std::fs::read(file)
            .map_err(|e| code::CONN_INVALID_TLS_CONFIG.wrap(format!("cannot read {key} {file}"), &e))?;
        if let Some(block) = security.as_mapping_mut() {
            block.remove(key);
            block.insert(format!("{key}-base64").into(), STANDARD.encode(bytes).into());
            changed = true;
        }
    }
    if !changed {
        return Ok(text);
    }
    serde_yaml::to_string(&value).map_err(|e| code::CONFIG_YAML_TRANSFORM.wrap("", &e))
}

/// The name of a task, given as such or by its file.
///
/// # Errors
/// 20018 the file, 20004 a file without a name.
pub fn task_name(name_or_file: &str) -> Result<String, DmError> {
    let path = Path::new(name_or_file);
    let looks_like_file = name_or_file.ends_with(".yaml") || name_or_file.ends_with(".yml");
    if !looks_like_file && !path.is_file() {
        return Ok(name_or_file.into());
    }
    let text = read_file(path)?;
    let value: Value = serde_yaml::from_str(&text).map_err(|e| code::CONFIG_YAML_TRANSFORM.wrap("", &e))?;
    match value.get("name").and_then(Value::as_str) {
        Some(name) if !name.is_empty() => Ok(name.into()),
        _ => Err(code::CONFIG_TASK_NAME_EMPTY.error(format!("{name_or_file} names no task"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_named_by_name_or_file() {
        assert_eq!(task_name("t1").unwrap(), "t1");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.yaml");
        std::fs::write(&path, "name: from-file\n").unwrap();
        assert_eq!(task_name(path.to_str().unwrap()).unwrap(), "from-file");
        assert_eq!(task_name("/no/such/t.yaml").unwrap_err().code().code, 20018);
    }

    #[test]
    fn certificates_travel_inside() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, "PEM").unwrap();
        let path = dir.path().join("t.yaml");
        let yaml =
            format!("name: t\ntarget-database:\n  host: h\n  security:\n    ssl-ca: {}\n", ca.display());
        std::fs::write(&path, yaml).unwrap();
        let sent = task(&path).unwrap();
        assert!(sent.contains("ssl-ca-base64: UEVN"), "{sent}");
        assert!(!sent.contains(ca.to_str().unwrap()));
        std::fs::remove_file(&ca).unwrap();
        assert_eq!(task(&path).unwrap_err().code().code, 11112);
    }
}
