//! `[tidb]`, `[security]` and `[tidb.security]`, checked (facts/lightning.md 1.3, 1.4).

use base64::Engine as _;
use common::secret::Secret;
use mysql::{Endpoint, Pem, Tls, TlsMode};

use super::invalid;
use super::raw::{self, RawConfig, Security};
use crate::cli::Flags;
use crate::error::Result;

/// Settings of the sessions that write.
#[derive(Debug, Clone, Default)]
pub struct Session {
    /// `tidb.sql-mode`, which then stands as it is.
    pub sql_mode: Option<String>,
    /// `[tidb.session-vars]`: name and the value as SQL.
    pub variables: Vec<(String, String)>,
    /// `--source-time-zone`: how TIMESTAMP texts are read, whatever the dump says.
    pub source_time_zone: Option<String>,
}

/// The text behind base64, if the password is that.
pub(super) fn decoded(password: &Secret) -> Option<Secret> {
    if password.is_empty() {
        return None;
    }
    let bytes = base64::engine::general_purpose::STANDARD.decode(password.expose()).ok()?;
    String::from_utf8(bytes).ok().map(Secret::new)
}

/// Where the target is and how it is reached.
pub(super) fn endpoint(raw: &RawConfig) -> Result<Endpoint> {
    let tidb = &raw.tidb;
    if tidb.port == 0 {
        return Err(invalid("invalid config: invalid `tidb.port` setting"));
    }
    let security = tidb.security.as_ref().unwrap_or(&raw.security);
    let tls = tls(&tidb.tls, security)?;
    let endpoint = Endpoint::new(tidb.host.as_str(), tidb.port, tidb.user.as_str(), tidb.password.clone())
        .with_tls(tls)
        .with_program("rlightning");
    Ok(match usize::try_from(tidb.max_allowed_packet.bytes()) {
        Ok(0) | Err(_) => endpoint,
        Ok(bytes) => endpoint.with_max_allowed_packet(bytes),
    })
}

fn tls(word: &str, security: &Security) -> Result<Tls> {
    let material = !security.ca_path.is_empty();
    let mode = match word {
        "" if material => TlsMode::VerifyIdentity,
        // The real tool goes without TLS here; trying costs nothing and falls back.
        "" => TlsMode::Preferred,
        "false" => TlsMode::Off,
        "cluster" if !material => {
            return Err(invalid(
                "invalid config: cannot set `tidb.tls` to 'cluster' without a [security] section",
            ));
        }
        "cluster" | "true" => TlsMode::VerifyIdentity,
        "skip-verify" => TlsMode::Required,
        "preferred" => TlsMode::Preferred,
        other => return Err(invalid(format!("invalid config: unsupported `tidb.tls` config {other}"))),
    };
    let pem = |path: &str| raw::path_or_none(path).map(Pem::Path);
    let mut tls = Tls::new(mode);
    tls.ca = if mode == TlsMode::VerifyIdentity { pem(&security.ca_path) } else { None };
    tls.cert = pem(&security.cert_path);
    tls.key = pem(&security.key_path);
    Ok(tls)
}

/// Checks `[tidb] sql-mode` and `[tidb.session-vars]`.
pub(super) fn session(raw: &RawConfig, flags: &Flags) -> Result<Session> {
    let mut variables = Vec::new();
    for (name, value) in &raw.tidb.session_vars {
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') || name.is_empty() {
            return Err(invalid(format!(
                "invalid config: `tidb.session-vars`: '{name}' is no name of a variable"
            )));
        }
        let text = match value {
            toml::Value::String(text) => text.clone(),
            toml::Value::Boolean(true) => "1".into(),
            toml::Value::Boolean(false) => "0".into(),
            toml::Value::Integer(_) | toml::Value::Float(_) => value.to_string(),
            _ => return Err(invalid(format!("invalid config: `tidb.session-vars.{name}` must be a text"))),
        };
        variables.push((name.clone(), sql_value(&text)));
    }
    if let Some(mode) = &raw.tidb.sql_mode
        && !mode.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b',' | b' '))
    {
        return Err(invalid("invalid config: `mydumper.tidb.sql_mode` must be a valid SQL_MODE"));
    }
    Ok(Session {
        sql_mode: raw.tidb.sql_mode.clone(),
        variables,
        source_time_zone: flags.source_time_zone.clone(),
    })
}

/// A number or a word such as ON stands as it is (MySQL refuses `'1'` for switches), anything else in quotes.
fn sql_value(text: &str) -> String {
    let number = text.parse::<f64>().is_ok_and(f64::is_finite) && !text.contains(['e', 'E', '+', ' ']);
    let word = matches!(text.to_ascii_uppercase().as_str(), "ON" | "OFF" | "TRUE" | "FALSE" | "DEFAULT");
    if number || word { text.to_owned() } else { common::ident::quote_string(text) }
}
