//! Rules about columns, on the command line or in files of TOML.

use common::filter::{ColumnFilter, TableFilter};
use serde::de::DeserializeOwned;

use super::{ConfigError, Flags, value_error};
use crate::cli::pflag::Parsed;
use crate::mask::{MaskRule, Masks, With};

/// One entry of `--column-filter` or of `--column-filter-file`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnRule {
    matcher: Vec<String>,
    columns: Vec<String>,
}

/// One entry of `--mask` or of `--mask-file`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct MaskEntry {
    matcher: Vec<String>,
    columns: Vec<String>,
    with: String,
    value: Option<toml::Value>,
}

/// Reads the rules of the flag `name`, then those of the file that `name`-file names, tables of `[[name]]`.
fn read<T: DeserializeOwned>(parsed: &Parsed, flags: &Flags<'_>, name: &str) -> Result<Vec<T>, ConfigError> {
    let mut rules = Vec::new();
    for text in parsed.all(name) {
        // An inline table stands behind a key.
        let document: std::collections::BTreeMap<String, T> = toml::from_str(&format!("rule = {text}"))
            .map_err(|error| value_error(format!("--{name} '{text}': {}", error.message())))?;
        rules.extend(document.into_values());
    }
    if let Some(file) = flags.optional(&format!("{name}-file")) {
        let text = read_file(&format!("{name}-file"), &file)?;
        let mut document: std::collections::BTreeMap<String, Vec<T>> =
            toml::from_str(&text).map_err(|error| value_error(format!("--{name}-file {file}: {error}")))?;
        rules.extend(document.remove(name).unwrap_or_default());
        if let Some(key) = document.into_keys().next() {
            return Err(value_error(format!(
                "--{name}-file {file}: unknown key `{key}`; the file holds [[{name}]] tables"
            )));
        }
    }
    Ok(rules)
}

fn read_file(flag: &str, file: &str) -> Result<String, ConfigError> {
    std::fs::read_to_string(file)
        .map_err(|error| value_error(format!("--{flag} {file} can't be read: {error}")))
}

/// The columns that are dumped, by table.
pub(super) fn column_filters(
    parsed: &Parsed,
    flags: &Flags<'_>,
    has_sql: bool,
) -> Result<Vec<(TableFilter, ColumnFilter)>, ConfigError> {
    let rules: Vec<ColumnRule> = read(parsed, flags, "column-filter")?;
    if !rules.is_empty() && has_sql {
        return Err(value_error(
            "--column-filter and --sql exclude each other: name the columns in the query",
        ));
    }
    if !rules.is_empty() && !flags.bool("no-schemas") {
        return Err(value_error(
            "--column-filter needs --no-schemas: the files hold fewer columns than the tables have",
        ));
    }
    rules.iter().map(|rule| filters(flags, "column-filter", &rule.matcher, &rule.columns)).collect()
}

fn filters(
    flags: &Flags<'_>,
    name: &str,
    matcher: &[String],
    columns: &[String],
) -> Result<(TableFilter, ColumnFilter), ConfigError> {
    let wrong = |error| value_error(format!("--{name}: {error}"));
    let tables = TableFilter::parse(matcher, flags.bool("case-sensitive")).map_err(wrong)?;
    Ok((tables, ColumnFilter::parse(columns).map_err(wrong)?))
}

/// The values that are replaced.
pub(super) fn masks(parsed: &Parsed, flags: &Flags<'_>, has_sql: bool) -> Result<Masks, ConfigError> {
    let entries: Vec<MaskEntry> = read(parsed, flags, "mask")?;
    if !entries.is_empty() && has_sql {
        return Err(value_error("--mask and --sql exclude each other: mask in the query"));
    }
    if !entries.is_empty() && flags.text("include-generated-columns") == "stored" {
        return Err(value_error(
            "--mask and --include-generated-columns exclude each other: generated columns may hold what is masked",
        ));
    }
    let mut masks = Masks::default();
    for entry in entries {
        let with = with(&entry)?;
        if entry.columns.iter().all(|pattern| pattern.starts_with('!')) {
            return Err(value_error(format!(
                "--mask: columns={:?} takes no column: begin with one that takes some, as '*' does",
                entry.columns
            )));
        }
        let (tables, columns) = filters(flags, "mask", &entry.matcher, &entry.columns)?;
        let is_name = |pattern: &&String| !pattern.contains(['*', '?', '[', '!', '/', '@', '\\', '`', '"']);
        let names = entry.columns.iter().filter(is_name).cloned().collect();
        masks.rules.push(MaskRule { tables, columns, names, with });
    }
    match flags.optional("mask-key-file") {
        Some(file) => {
            let secret = std::fs::read(&file)
                .map_err(|error| value_error(format!("--mask-key-file {file} can't be read: {error}")))?;
            if secret.len() < 16 {
                return Err(value_error(format!(
                    "--mask-key-file {file} holds fewer than 16 bytes, which can be guessed"
                )));
            }
            masks.key = Masks::derive(&secret);
        }
        None if masks.rules.iter().any(|rule| matches!(rule.with, With::Hash | With::KeepLength)) => {
            return Err(value_error(
                "--mask with hash or keep-length needs --mask-key-file, a file with a secret of 16 bytes or more; the same \
                 one for all dumps whose masks shall be equal",
            ));
        }
        None => {}
    }
    Ok(masks)
}

fn with(entry: &MaskEntry) -> Result<With, ConfigError> {
    let with = match (entry.with.as_str(), &entry.value) {
        ("hash", None) => With::Hash,
        ("keep-length", None) => With::KeepLength,
        ("null", None) => With::Null,
        ("fixed", Some(toml::Value::String(text))) => With::Fixed(text.clone()),
        ("fixed", Some(value @ (toml::Value::Integer(_) | toml::Value::Float(_)))) => {
            With::Fixed(value.to_string())
        }
        ("fixed", _) => return Err(value_error("--mask: fixed needs a value, a string or a number")),
        ("hash" | "keep-length" | "null", Some(_)) => {
            return Err(value_error(format!("--mask: {} takes no value", entry.with)));
        }
        (other, _) => {
            return Err(value_error(format!(
                "--mask: unknown `with` {other}: hash, keep-length, fixed or null"
            )));
        }
    };
    Ok(with)
}

/// Whether this one of [`super::Config::options`] is a fingerprint and no flag.
pub fn is_fingerprint(option: &str) -> bool {
    option.split_once('=').is_some_and(|(name, _)| name.ends_with("-hash"))
}

/// What the rules' files say, for [`super::Config::options`]: a dump goes on only under the same rules and key.
pub(super) fn fingerprints(flags: &Flags<'_>, masks: &Masks) -> Result<Vec<String>, ConfigError> {
    let mut prints = Vec::new();
    for name in ["column-filter-file", "mask-file"] {
        if let Some(file) = flags.optional(name) {
            let hash = blake3::hash(read_file(name, &file)?.as_bytes()).to_hex();
            prints.push(format!("--{name}-hash={}", &hash[..16]));
        }
    }
    if masks.key != [0; 32] {
        let hash = blake3::keyed_hash(&masks.key, b"fingerprint").to_hex();
        prints.push(format!("--mask-key-hash={}", &hash[..16]));
    }
    Ok(prints)
}
