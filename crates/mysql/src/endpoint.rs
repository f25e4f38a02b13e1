//! Where a server is and how to log in.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::secret::Secret;
use mysql_async::{ClientIdentity, Opts, OptsBuilder, SslOpts};

use crate::error::{Error, Result};

/// Where a server is, who logs in and how the session begins. Debug and Display show no secret.
#[derive(Clone)]
pub struct Endpoint {
    /// Host name or address (IPv6 without brackets). Also the name that `verify-identity` looks for.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// A unix socket, taken instead of host and port. Never guessed. TLS settings do not apply to it.
    pub socket: Option<PathBuf>,
    /// User name.
    pub user: String,
    /// Password; empty for none.
    pub password: Secret,
    /// Default database of the session; `None` for none.
    pub database: Option<String>,
    /// Encryption.
    pub tls: Tls,
    /// How long connect and login may take together.
    pub connect_timeout: Duration,
    /// The longest packet sent and taken, in bytes; `None` for the server's own `max_allowed_packet`.
    pub max_allowed_packet: Option<usize>,
    /// Statements run after login, in this order.
    pub init: Vec<String>,
    /// Shown as `program_name` in the server's `session_connect_attrs`; `None` sends no attributes.
    pub program: Option<String>,
    /// Lets [`wire`](crate::wire) answer a server that asks for the password in the clear (mysql_clear_password, as for
    /// LDAP and PAM), under TLS with a verified server only. Off by default.
    pub cleartext_password: bool,
}

impl Endpoint {
    /// With 30 s to connect, no TLS if the server has none ([`TlsMode::Preferred`]) and no database.
    pub fn new(
        host: impl Into<String>,
        port: u16,
        user: impl Into<String>,
        password: impl Into<Secret>,
    ) -> Self {
        Self {
            host: host.into(),
            port,
            socket: None,
            user: user.into(),
            password: password.into(),
            database: None,
            tls: Tls::default(),
            connect_timeout: Duration::from_secs(30),
            max_allowed_packet: None,
            init: Vec::new(),
            program: None,
            cleartext_password: false,
        }
    }

    /// Sets the encryption.
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the default database.
    pub fn with_database(mut self, database: impl Into<String>) -> Self {
        self.database = Some(database.into());
        self
    }

    /// Takes this unix socket instead of host and port.
    pub fn with_socket(mut self, socket: impl Into<PathBuf>) -> Self {
        self.socket = Some(socket.into());
        self
    }

    /// Sets how long connect and login may take together.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the longest packet in bytes.
    pub fn with_max_allowed_packet(mut self, bytes: usize) -> Self {
        self.max_allowed_packet = Some(bytes);
        self
    }

    /// Adds a statement to be run after login, after those added before.
    pub fn with_init(mut self, sql: impl Into<String>) -> Self {
        self.init.push(sql.into());
        self
    }

    /// Sets the program name shown by the server.
    pub fn with_program(mut self, name: impl Into<String>) -> Self {
        self.program = Some(name.into());
        self
    }

    /// `host:port`, brackets around IPv6, or the socket's path.
    pub fn address(&self) -> String {
        match &self.socket {
            Some(path) => path.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether TLS is to be tried at all.
    pub fn wants_tls(&self) -> bool {
        self.socket.is_none() && self.tls.mode != TlsMode::Off
    }

    /// The one place that makes mysql_async's options.
    ///
    /// Not taken over: `init` (the driver runs its list backwards), timeouts (it has none) and any `LOCAL INFILE`
    /// handler for the whole connection: a server may only ask for a file after our own LOAD DATA statement.
    pub(crate) fn driver_opts(&self, tls: bool) -> Result<Opts> {
        let mut builder = OptsBuilder::default()
            .user(Some(&self.user))
            .pass(if self.password.is_empty() { None } else { Some(self.password.expose()) })
            .db_name(self.database.as_deref())
            // On, it moves the session to a local socket of the same path: another server, perhaps.
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(60)))
            .stmt_cache_size(0)
            .client_found_rows(false)
            .enable_cleartext_plugin(false)
            .secure_auth(true)
            // Given, so that the driver does not ask: `Conn` reads and keeps the server's limit itself.
            .max_allowed_packet(Some(1 << 30))
            .wait_timeout(Some(28_800));
        builder = match &self.socket {
            Some(path) => {
                let path = path.to_str().ok_or_else(|| {
                    Error::config(format!("the socket's path {} is not UTF-8", path.display()))
                })?;
                builder.socket(Some(path))
            }
            None => builder.ip_or_hostname(&self.host).tcp_port(self.port),
        };
        if let Some(program) = &self.program {
            builder = builder.connect_attribute("program_name", program);
        }
        if tls {
            builder = builder.ssl_opts(self.tls.driver_opts()?);
        }
        Ok(builder.into())
    }
}

/// `user@host:port`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.address())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `init` stays out: it could set a secret.
        f.debug_struct("Endpoint")
            .field("address", &self.address())
            .field("user", &self.user)
            .field("password", &self.password)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

/// How much encryption is wanted; the words are those of `--ssl-mode` of MySQL's own programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum TlsMode {
    /// None.
    Off,
    /// If it can be had, without asking who the server is; else none. An attacker in between can turn it off.
    #[default]
    Preferred,
    /// Encrypted, without asking who the server is. A CA given is not looked at.
    Required,
    /// Encrypted, and the server's certificate comes from the CA.
    VerifyCa,
    /// As verify-ca, and it was made out for this host.
    VerifyIdentity,
}

impl std::str::FromStr for TlsMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().replace('_', "-").as_str() {
            "off" | "disabled" | "false" => Ok(TlsMode::Off),
            "preferred" => Ok(TlsMode::Preferred),
            "required" | "skip-verify" => Ok(TlsMode::Required),
            "verify-ca" => Ok(TlsMode::VerifyCa),
            "verify-identity" | "true" => Ok(TlsMode::VerifyIdentity),
            _ => Err(format!(
                "unknown TLS mode `{text}`: one of off, preferred, required, verify-ca, verify-identity"
            )),
        }
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsMode::Off => "off",
            TlsMode::Preferred => "preferred",
            TlsMode::Required => "required",
            TlsMode::VerifyCa => "verify-ca",
            TlsMode::VerifyIdentity => "verify-identity",
        })
    }
}

/// A certificate or key in PEM form: a file, or its text. Debug shows no text.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// Read when a connection is made.
    Path(PathBuf),
    /// The text itself.
    Bytes(Arc<[u8]>),
}

impl Pem {
    /// The text itself. Blocks for a read of a small file.
    ///
    /// # Errors
    /// [`ErrorClass::Config`](crate::ErrorClass::Config) naming the file.
    pub fn read(&self) -> Result<Vec<u8>> {
        match self {
            Pem::Path(path) => std::fs::read(path).map_err(|e| unreadable(path, &e)),
            Pem::Bytes(bytes) => Ok(bytes.to_vec()),
        }
    }

    fn name(&self) -> String {
        match self {
            Pem::Path(path) => path.display().to_string(),
            Pem::Bytes(_) => "the text given".to_owned(),
        }
    }

    /// Checked here, since the driver's own errors do not name the file.
    fn checked(&self, what: &str, mark: &[u8]) -> Result<Vec<u8>> {
        let text = self.read()?;
        if text.windows(mark.len()).any(|window| window == mark) {
            Ok(text)
        } else {
            Err(Error::config(format!("{what}: no PEM block in {}", self.name())))
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Error {
    Error::config(format!("can't read {}: {error}", path.display()))
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Pem::Path(path)
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Pem::Path(path.to_owned())
    }
}

impl From<Vec<u8>> for Pem {
    fn from(bytes: Vec<u8>) -> Self {
        Pem::Bytes(bytes.into())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pem::Path(path) => write!(f, "{}", path.display()),
            Pem::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
        }
    }
}

/// Encryption settings. `Tls::default()`: preferred, no certificates.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// How much is wanted.
    pub mode: TlsMode,
    /// Who the server's certificate must come from; `None` for the public CAs.
    pub ca: Option<Pem>,
    /// Our own certificate, for accounts that require one.
    pub cert: Option<Pem>,
    /// Its key.
    pub key: Option<Pem>,
}

impl Tls {
    /// No certificates.
    pub fn new(mode: TlsMode) -> Self {
        Self { mode, ..Self::default() }
    }

    /// Sets the CA.
    pub fn with_ca(mut self, ca: impl Into<Pem>) -> Self {
        self.ca = Some(ca.into());
        self
    }

    /// Sets our own certificate and key.
    pub fn with_identity(mut self, cert: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        self.cert = Some(cert.into());
        self.key = Some(key.into());
        self
    }

    fn driver_opts(&self) -> Result<SslOpts> {
        install_crypto();
        let mut options = SslOpts::default();
        match self.mode {
            TlsMode::Off | TlsMode::Preferred | TlsMode::Required => {
                options = options.with_danger_accept_invalid_certs(true);
            }
            // The driver's switch for it looks for an error text that rustls no longer prints.
            TlsMode::VerifyCa => {
                return Err(Error::unsupported(
                    "verify-ca can't be used for this connection: take verify-identity with a server \
                     certificate made out for the host (subjectAltName), or required to encrypt without a check",
                ));
            }
            TlsMode::VerifyIdentity => {
                if let Some(ca) = &self.ca {
                    let text = ca.checked("CA", b"-----BEGIN CERTIFICATE-----")?;
                    options = options.with_disable_built_in_roots(true).with_root_certs(vec![text.into()]);
                }
            }
        }
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => {
                let cert = cert.checked("client certificate", b"-----BEGIN CERTIFICATE-----")?;
                let key = key.checked("client key", b"PRIVATE KEY-----")?;
                options = options.with_client_identity(Some(ClientIdentity::new(cert.into(), key.into())));
            }
            (None, None) => {}
            _ => return Err(Error::config("a client certificate and its key must be given together")),
        }
        Ok(options)
    }
}

/// Makes ring the process's provider of TLS primitives unless it has one. Called by everything here that may use TLS;
/// a program calls it where it uses rustls by other ways. May be called any number of times.
pub fn install_crypto() {
    // The error says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorClass;

    fn endpoint() -> Endpoint {
        Endpoint::new("db", 3306, "u", "hunter2")
    }

    #[test]
    fn no_secret_is_shown() {
        let tls = Tls::new(TlsMode::Required).with_identity(b"cert".to_vec(), b"topsecretkey".to_vec());
        let endpoint = endpoint().with_tls(tls).with_init("SET @x = 'hunter3'");
        let shown = format!("{endpoint} {endpoint:?} {endpoint:#?}");
        for secret in ["hunter", "topsecret"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.starts_with("u@db:3306 "));
    }

    #[test]
    fn addresses() {
        assert_eq!(endpoint().address(), "db:3306");
        assert_eq!(Endpoint::new("::1", 1, "u", "").address(), "[::1]:1");
        assert_eq!(endpoint().with_socket("/run/m.sock").address(), "/run/m.sock");
    }

    #[test]
    fn the_driver_never_looks_for_a_socket_and_runs_no_init_of_its_own() {
        for tls in [false, true] {
            let opts = endpoint().with_init("SET x").with_init("SET y").driver_opts(tls).unwrap();
            assert!(!opts.prefer_socket());
            assert_eq!(opts.socket(), None);
            assert!(opts.init().is_empty() && opts.setup().is_empty());
            assert!(opts.local_infile_handler().is_none());
            assert!(!opts.enable_cleartext_plugin());
            assert_eq!(opts.ssl_opts().is_some(), tls);
            assert_eq!(opts.pass(), Some("hunter2"));
        }
    }

    #[test]
    fn checks_follow_the_mode() {
        let ca = b"-----BEGIN CERTIFICATE-----\n".to_vec();
        let opts = |mode| endpoint().with_tls(Tls::new(mode).with_ca(ca.clone())).driver_opts(true);
        for mode in [TlsMode::Preferred, TlsMode::Required] {
            assert!(opts(mode).unwrap().ssl_opts().unwrap().accept_invalid_certs());
        }
        let identity = opts(TlsMode::VerifyIdentity).unwrap();
        let ssl = identity.ssl_opts().unwrap();
        assert!(!ssl.accept_invalid_certs() && !ssl.skip_domain_validation());
        assert!(ssl.disable_built_in_roots());
        assert_eq!(ssl.root_certs().len(), 1);
        let error = opts(TlsMode::VerifyCa).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unsupported);
        assert!(error.to_string().contains("verify-identity"));
    }

    #[test]
    fn bad_certificates_are_named() {
        let missing = Tls::new(TlsMode::VerifyIdentity).with_ca(PathBuf::from("/no/such/ca.pem"));
        let error = endpoint().with_tls(missing).driver_opts(true).unwrap_err();
        assert_eq!(error.class(), ErrorClass::Config);
        assert!(error.to_string().contains("/no/such/ca.pem"), "{error}");
        let empty = Tls::new(TlsMode::VerifyIdentity).with_ca(b"hello".to_vec());
        assert!(endpoint().with_tls(empty).driver_opts(true).is_err());
        let half = Tls { cert: Some(b"x".to_vec().into()), ..Tls::new(TlsMode::Required) };
        assert!(endpoint().with_tls(half).driver_opts(true).unwrap_err().to_string().contains("together"));
    }

    #[test]
    fn modes_by_name() {
        for mode in
            [TlsMode::Off, TlsMode::Preferred, TlsMode::Required, TlsMode::VerifyCa, TlsMode::VerifyIdentity]
        {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert_eq!("VERIFY_CA".parse(), Ok(TlsMode::VerifyCa));
        assert!("maybe".parse::<TlsMode>().is_err());
    }
}
