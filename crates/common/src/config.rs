//! Loading of configuration files: TOML as Go's library reads it, YAML as go-yaml v2 does in strict mode.
//!
//! Every failure is one [`ConfigError`] that names the file, and the place where one is known. Checks of
//! values (ranges, combinations) are the caller's: this module stops at the raw structure.
//! Facts: crates.md 2.4, lightning.md 1.1, dm.md 1.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, Visitor},
};

/// Why a configuration can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error("cannot read config file {}: it does not exist", path.display())]
    Missing { path: PathBuf },
    #[error("cannot read config file {}: {cause}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("config file {origin} is empty")]
    Empty { origin: String },
    #[error("config file {origin} is not UTF-8 text: bad byte in line {line} (offset {offset})")]
    NotUtf8 { origin: String, line: usize, offset: usize },
    /// The syntax is broken: a truncated file, a stray character, a duplicate key.
    #[error("cannot parse config file {origin}: {message}")]
    Syntax { origin: String, message: String },
    /// A value has the wrong type or form.
    #[error("config file {origin}: {path}: {message}")]
    Value {
        origin: String,
        /// Dotted path of the key.
        path: String,
        message: String,
    },
    /// Keys that nothing knows, with their dotted paths.
    #[error("config file contained unknown configuration options: {}", keys.join(", "))]
    UnknownKeys { origin: String, keys: Vec<String> },
}

/// A parsed configuration with the keys that the structure does not know.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The structure.
    pub value: T,
    /// Dotted paths of unknown keys, in file order.
    pub unknown: Vec<String>,
}

impl<T> Loaded<T> {
    /// Refuses unknown keys.
    ///
    /// # Errors
    /// [`ConfigError::UnknownKeys`] with all of them.
    pub fn strict(self, origin: &str) -> Result<T, ConfigError> {
        if self.unknown.is_empty() {
            Ok(self.value)
        } else {
            Err(ConfigError::UnknownKeys { origin: origin.into(), keys: self.unknown })
        }
    }
}

/// Reads a file as text. A byte order mark is dropped.
///
/// # Errors
/// Missing, unreadable (also: a directory), empty or blank, not UTF-8.
pub fn read_text(path: &Path) -> Result<String, ConfigError> {
    let bytes = std::fs::read(path).map_err(|cause| match cause.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path: path.into() },
        _ => ConfigError::Unreadable { path: path.into(), cause },
    })?;
    text_of(bytes, &path.display().to_string())
}

/// Checks bytes that came from somewhere else (a request, standard input). `origin` names it in errors.
///
/// # Errors
/// Empty or blank, not UTF-8.
pub fn text_of(bytes: Vec<u8>, origin: &str) -> Result<String, ConfigError> {
    let text = String::from_utf8(bytes).map_err(|e| {
        let offset = e.utf8_error().valid_up_to();
        let head = &e.as_bytes()[..offset];
        ConfigError::NotUtf8 {
            origin: origin.into(),
            line: head.iter().filter(|&&b| b == b'\n').count() + 1,
            offset,
        }
    })?;
    let text = match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_string(),
        None => text,
    };
    if text.trim().is_empty() {
        return Err(ConfigError::Empty { origin: origin.into() });
    }
    Ok(text)
}

/// Reads and parses a TOML file, see [`from_toml`].
///
/// # Errors
/// Those of [`read_text`] and [`from_toml`].
pub fn load_toml<T: DeserializeOwned>(path: &Path) -> Result<Loaded<T>, ConfigError> {
    from_toml(&read_text(path)?, &path.display().to_string())
}

/// Parses TOML. Keys match in any case, as in Go: they are folded to lower case first, so the structure's
/// names must be lower case.
///
/// # Errors
/// [`ConfigError::Syntax`] with line and column; [`ConfigError::Value`] with the key's path.
pub fn from_toml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<Loaded<T>, ConfigError> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| ConfigError::Syntax {
        origin: origin.into(),
        message: e.to_string().trim_end().into(),
    })?;
    let table =
        fold_table(table, "").map_err(|message| ConfigError::Syntax { origin: origin.into(), message })?;
    track(toml::Value::Table(table), |e: &toml::de::Error| e.message().into())
        .map_err(|(path, message)| ConfigError::Value { origin: origin.into(), path, message })
}

fn fold_table(table: toml::Table, prefix: &str) -> Result<toml::Table, String> {
    let mut out = toml::Table::new();
    for (key, value) in table {
        let folded = key.to_lowercase();
        let path = if prefix.is_empty() { folded.clone() } else { format!("{prefix}.{folded}") };
        let value = fold_value(value, &path)?;
        if out.insert(folded, value).is_some() {
            return Err(format!("key `{path}` appears twice (keys match in any case)"));
        }
    }
    Ok(out)
}

fn fold_value(value: toml::Value, path: &str) -> Result<toml::Value, String> {
    Ok(match value {
        toml::Value::Table(table) => toml::Value::Table(fold_table(table, path)?),
        toml::Value::Array(items) => toml::Value::Array(
            items.into_iter().map(|item| fold_value(item, path)).collect::<Result<_, _>>()?,
        ),
        other => other,
    })
}

/// Parses YAML strictly: unknown and duplicate keys are errors.
///
/// Give fields that go-yaml reads leniently the helpers [`bool`], [`int`], [`text`] and their `_opt` forms.
///
/// # Errors
/// [`ConfigError::Syntax`], [`ConfigError::Value`] (both with line and column in the message) or
/// [`ConfigError::UnknownKeys`].
pub fn from_yaml<T: DeserializeOwned>(text: &str, origin: &str) -> Result<T, ConfigError> {
    let loaded = track(serde_yaml::Deserializer::from_str(text), |e: &serde_yaml::Error| e.to_string())
        .map_err(|(path, message)| {
            let origin = origin.to_string();
            if path == "." || path.is_empty() {
                ConfigError::Syntax { origin, message }
            } else {
                ConfigError::Value { origin, path, message }
            }
        })?;
    loaded.strict(origin)
}

/// Deserialises, noting unknown keys and, on failure, the path of the key.
fn track<'de, T, D, F>(deserializer: D, message: F) -> Result<Loaded<T>, (String, String)>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
    F: Fn(&D::Error) -> String,
{
    let mut unknown = Vec::new();
    let mut track = serde_path_to_error::Track::new();
    let mut note = |path: serde_ignored::Path| unknown.push(dotted(&path));
    let deserializer = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    let result = T::deserialize(serde_ignored::Deserializer::new(deserializer, &mut note));
    match result {
        Ok(value) => Ok(Loaded { value, unknown }),
        Err(e) => Err((track.path().to_string(), message(&e))),
    }
}

/// The path without the marks that serde_ignored puts for Option and newtype layers.
fn dotted(path: &serde_ignored::Path) -> String {
    use serde_ignored::Path;
    fn walk(path: &Path, out: &mut Vec<String>) {
        match path {
            Path::Root => {}
            Path::Seq { parent, index } => {
                walk(parent, out);
                out.push(index.to_string());
            }
            Path::Map { parent, key } => {
                walk(parent, out);
                out.push(key.clone());
            }
            Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
                walk(parent, out)
            }
        }
    }
    let mut out = Vec::new();
    walk(path, &mut out);
    out.join(".")
}

/// A scalar as text, whatever it looks like: `password: 0123` is the text `0123`, as in go-yaml.
///
/// For `#[serde(deserialize_with = "common::config::text")]`.
///
/// # Errors
/// The value is no scalar.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_string(Scalar)
}

/// [`text`], where null or a missing value is `None` (with `#[serde(default)]`).
///
/// # Errors
/// The value is no scalar.
pub fn text_opt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    optional::<ReadText, _, _>(deserializer)
}

/// A boolean in any of YAML 1.1's words: yes, no, on, off, true, false, y, n.
///
/// # Errors
/// Any other value.
pub fn bool<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = text(deserializer)?;
    parse_bool(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no boolean")))
}

/// [`bool`], where null or a missing value is `None` (with `#[serde(default)]`).
///
/// # Errors
/// Any other value.
pub fn bool_opt<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    optional::<ReadBool, _, _>(deserializer)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// An integer as go-yaml reads it: `1_000`, octal `010` and `0o10`, `0x1f`, `0b11`.
///
/// # Errors
/// No integer, or out of the type's range.
pub fn int<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    let text = text(deserializer)?;
    let value = parse_int(&text).ok_or_else(|| D::Error::custom(format!("`{text}` is no integer")))?;
    T::try_from(value).map_err(|_| D::Error::custom(format!("`{text}` is out of range")))
}

/// [`int`], where null or a missing value is `None` (with `#[serde(default)]`).
///
/// # Errors
/// No integer, or out of the type's range.
pub fn int_opt<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<i128>,
{
    optional::<ReadInt, _, _>(deserializer)
}

fn parse_int(text: &str) -> Option<i128> {
    let plain: String = text.chars().filter(|&c| c != '_').collect();
    let (sign, digits) = match plain.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, plain.strip_prefix('+').unwrap_or(&plain)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = if let Some(rest) = lower.strip_prefix("0x") {
        (16, rest)
    } else if let Some(rest) = lower.strip_prefix("0b") {
        (2, rest)
    } else if let Some(rest) = lower.strip_prefix("0o") {
        (8, rest)
    } else if lower.len() > 1 && lower.starts_with('0') {
        (8, &lower[1..])
    } else {
        (10, lower.as_str())
    };
    if !digits.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    i128::from_str_radix(digits, radix).ok().map(|v| sign * v)
}

/// Parses the text with `FromStr`, for types that have no serde form.
///
/// # Errors
/// The type's own message.
pub fn parsed<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: fmt::Display>,
{
    text(deserializer)?.parse().map_err(D::Error::custom)
}

/// Takes any scalar. YAML gives the raw text when a string is asked for; TOML and JSON give typed values.
struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar value")
    }

    fn visit_str<E>(self, v: &str) -> Result<String, E> {
        Ok(v.into())
    }

    fn visit_string<E>(self, v: String) -> Result<String, E> {
        Ok(v)
    }

    fn visit_bool<E>(self, v: bool) -> Result<String, E> {
        Ok(v.to_string())
    }

    fn visit_i64<E>(self, v: i64) -> Result<String, E> {
        Ok(v.to_string())
    }

    fn visit_u64<E>(self, v: u64) -> Result<String, E> {
        Ok(v.to_string())
    }

    fn visit_f64<E>(self, v: f64) -> Result<String, E> {
        Ok(v.to_string())
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok(String::new())
    }
}

/// How one scalar is read; a type in place of a function, because the reader is generic.
trait Read<T> {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error>;
}

struct ReadText;
struct ReadBool;
struct ReadInt;

impl Read<String> for ReadText {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        text(deserializer)
    }
}

impl Read<bool> for ReadBool {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
        self::bool(deserializer)
    }
}

impl<T: TryFrom<i128>> Read<T> for ReadInt {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        int(deserializer)
    }
}

/// Null or missing is `None`, anything else goes to the reader.
struct Opt<R, T>(std::marker::PhantomData<(R, T)>);

impl<'de, R: Read<T>, T> Visitor<'de> for Opt<R, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a scalar value or nothing")
    }

    fn visit_none<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        R::read(deserializer).map(Some)
    }
}

fn optional<'de, R, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    R: Read<T>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_option(Opt::<R, T>(std::marker::PhantomData))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct Lightning {
        tidb: Tidb,
        routes: Vec<crate::route::RouteRule>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct Tidb {
        host: String,
        port: u16,
        status_port: Option<u16>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct Source {
        source_id: String,
        #[serde(deserialize_with = "super::bool")]
        enable_gtid: bool,
        #[serde(deserialize_with = "super::bool_opt")]
        enable: Option<bool>,
        #[serde(deserialize_with = "super::int")]
        server_id: u32,
        #[serde(deserialize_with = "super::int_opt")]
        port: Option<u16>,
        #[serde(deserialize_with = "super::text_opt")]
        flavor: Option<String>,
        from: Option<From>,
    }

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(rename_all = "kebab-case", default)]
    struct From {
        password: crate::secret::Secret,
    }

    fn source(text: &str) -> Result<Source, ConfigError> {
        from_yaml(text, "source.yaml")
    }

    #[test]
    fn toml_keys_match_in_any_case_and_unknown_ones_have_paths() {
        let text = "[TiDB]\nHost = 'h'\nPORT = 4000\nfoo = 1\n[[routes]]\nschema-pattern = 'a'\ntarget-schema = 'b'\nbar = 2\n[x]\ny = 1\n";
        let loaded: Loaded<Lightning> = from_toml(text, "c.toml").unwrap();
        assert_eq!(loaded.value.tidb.host, "h");
        assert_eq!(loaded.value.tidb.port, 4000);
        let mut unknown = loaded.unknown.clone();
        unknown.sort();
        assert_eq!(unknown, ["routes.0.bar", "tidb.foo", "x"]);
        let text = loaded.strict("c.toml").unwrap_err().to_string();
        assert!(text.starts_with("config file contained unknown configuration options: "));
    }

    #[test]
    fn toml_errors_name_place_or_path() {
        let error = |text: &str| from_toml::<Lightning>(text, "c.toml").unwrap_err();
        let e = error("[tidb]\nport = 'x'\n");
        assert!(matches!(&e, ConfigError::Value { path, .. } if path == "tidb.port"), "{e}");
        let e = error("[tidb]\nport = 70000\n");
        assert!(e.to_string().contains("tidb.port"), "{e}");
        let e = error("[tidb\n");
        assert!(matches!(&e, ConfigError::Syntax { .. }) && e.to_string().contains("line 1"), "{e}");
        let e = error("[tidb]\nhost='a'\nHOST='b'\n");
        assert!(e.to_string().contains("`tidb.host` appears twice"), "{e}");
    }

    #[test]
    fn yaml_scalars_are_read_as_go_reads_them() {
        let s = source("source-id: 0123\nenable-gtid: yes\nenable: off\nserver-id: 010\nport: 3_306\nflavor: ~\nfrom: {password: 007}\n").unwrap();
        assert_eq!(s.source_id, "0123");
        assert!(s.enable_gtid);
        assert_eq!(s.enable, Some(false));
        assert_eq!(s.server_id, 8);
        assert_eq!(s.port, Some(3306));
        assert_eq!(s.flavor, None);
        assert_eq!(s.from.unwrap().password.expose(), "007");
        assert_eq!(source("server-id: 0x10").unwrap().server_id, 16);
        assert_eq!(source("enable: ~").unwrap().enable, None);
    }

    #[test]
    fn yaml_is_strict() {
        let e = source("source-id: a\nnope: 1\nfrom: {passwort: x}\n").unwrap_err();
        let ConfigError::UnknownKeys { keys, .. } = &e else { panic!("{e}") };
        assert_eq!(keys, &["nope", "from.passwort"]);
        let e = source("source-id: a\nsource-id: b\n").unwrap_err();
        assert!(e.to_string().contains("duplicate"), "{e}");
        let e = source("server-id: many").unwrap_err();
        assert!(matches!(&e, ConfigError::Value { path, .. } if path == "server-id"), "{e}");
        assert!(source("server-id: -1").unwrap_err().to_string().contains("out of range"));
        assert!(source("enable-gtid: maybe").unwrap_err().to_string().contains("no boolean"));
        let e = source("from: {password: 'cut").unwrap_err();
        assert!(e.to_string().contains("source.yaml"), "{e}");
        assert!(source("- a\n- b\n").is_err());
    }

    #[test]
    fn files_that_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        assert!(matches!(read_text(&path), Err(ConfigError::Missing { .. })));
        assert!(matches!(read_text(dir.path()), Err(ConfigError::Unreadable { .. })));
        std::fs::write(&path, " \n").unwrap();
        assert!(matches!(read_text(&path), Err(ConfigError::Empty { .. })));
        std::fs::write(&path, b"a = 1\nb = '\xff'\n").unwrap();
        let e = read_text(&path).unwrap_err();
        assert!(matches!(e, ConfigError::NotUtf8 { line: 2, offset: 11, .. }), "{e}");
        std::fs::write(&path, "\u{feff}[tidb]\nport = 1\n").unwrap();
        assert_eq!(load_toml::<Lightning>(&path).unwrap().value.tidb.port, 1);
    }

    #[test]
    fn errors_never_show_values_of_secrets() {
        let e = source("from: {password: [hunter2]}").unwrap_err();
        assert!(!e.to_string().contains("hunter2"), "{e}");
    }
}
