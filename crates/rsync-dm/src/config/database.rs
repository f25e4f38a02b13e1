//! A database as a configuration names it: where it is, who connects, with which session.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use common::{
    cipher::{Key, decrypt_or_plain},
    error::{DmError, dm_codes as code},
    secret::Secret,
};
use mysql::{Endpoint, Pem, Tls, TlsMode};

use super::yaml::{DatabaseYaml, SecurityYaml};

/// The certificates of `security`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Certificates {
    /// Who signs the server's certificate.
    pub ca: Option<Pem>,
    /// Our certificate and its key.
    pub identity: Option<(Pem, Pem)>,
}

/// A checked database. Passwords are decrypted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Database {
    /// Name or address; an IPv6 address may stand in brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Account.
    pub user: String,
    /// Its password.
    pub password: Secret,
    /// Session variables to set, as written.
    pub session: BTreeMap<String, String>,
    /// Certificates; `None` means no TLS, as in DM.
    pub certificates: Option<Certificates>,
}

impl Database {
    /// Checks what stands in a file. `what` names the block in errors (`from`, `target-database`).
    ///
    /// # Errors
    /// No host, certificates that are incomplete or not base64.
    pub fn new(yaml: &DatabaseYaml, key: Option<&Key>, what: &str) -> Result<Self, DmError> {
        if yaml.host.is_empty() {
            return Err(code::CONFIG_YAML_TRANSFORM.error(format!("{what}.host is empty")));
        }
        let security = yaml.security.as_ref();
        Ok(Self {
            host: yaml.host.clone(),
            port: if yaml.port == 0 { 3306 } else { yaml.port },
            user: yaml.user.clone(),
            password: decrypt_or_plain(key, &yaml.password),
            session: yaml.session.iter().map(|(k, v)| (k.clone(), v.0.clone())).collect(),
            certificates: security.map(|s| certificates(s, what)).transpose()?.flatten(),
        })
    }

    /// Where to connect, without the session variables (their meaning is the caller's).
    ///
    /// With a CA the server has to prove that it is this host. DM asks less (any certificate of the CA will do), which
    /// the driver cannot check.
    pub fn endpoint(&self) -> Endpoint {
        let mut tls = Tls::new(TlsMode::Off);
        if let Some(certificates) = &self.certificates {
            tls.mode = if certificates.ca.is_some() { TlsMode::VerifyIdentity } else { TlsMode::Required };
            tls.ca = certificates.ca.clone();
            if let Some((cert, key)) = &certificates.identity {
                tls = tls.with_identity(cert.clone(), key.clone());
            }
        }
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        Endpoint::new(host, self.port, self.user.as_str(), self.password.clone())
            .with_tls(tls)
            .with_connect_timeout(Duration::from_secs(10))
            .with_program("rsync-dm")
    }

    /// A session variable, by its name in any case.
    pub fn session_variable(&self, name: &str) -> Option<&str> {
        self.session.iter().find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }
}

/// `host:port`, as DM's messages name a database.
impl std::fmt::Display for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') && !self.host.starts_with('[') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

fn certificates(security: &SecurityYaml, what: &str) -> Result<Option<Certificates>, DmError> {
    let pick = |path: &str, bytes: &[u8], base64: &str, key: &str| -> Result<Option<Pem>, DmError> {
        if !bytes.is_empty() {
            return Ok(Some(Pem::from(bytes.to_vec())));
        }
        if !base64.is_empty() {
            let bytes = STANDARD.decode(base64.trim()).map_err(|_| {
                code::CONN_INVALID_TLS_CONFIG.error(format!("{what}.security.{key}-base64 is not base64"))
            })?;
            return Ok(Some(Pem::from(bytes)));
        }
        Ok((!path.is_empty()).then(|| Pem::from(PathBuf::from(path))))
    };
    let s = security;
    let ca = pick(&s.ssl_ca, &s.ssl_ca_bytes, &s.ssl_ca_base64, "ssl-ca")?;
    let cert = pick(&s.ssl_cert, &s.ssl_cert_bytes, &s.ssl_cert_base64, "ssl-cert")?;
    let key = pick(&s.ssl_key, &s.ssl_key_bytes, s.ssl_key_base64.expose(), "ssl-key")?;
    let identity = match (cert, key) {
        (Some(cert), Some(key)) => Some((cert, key)),
        (None, None) => None,
        _ => {
            return Err(code::CONN_INVALID_TLS_CONFIG
                .error(format!("{what}.security needs both ssl-cert and ssl-key, or neither")));
        }
    };
    Ok((ca.is_some() || identity.is_some()).then_some(Certificates { ca, identity }))
}
