//! Which servers exist, where `cargo xtask setup` puts them, and which of them cannot be had on this machine.
//!
//! The cache is `$RMT_SERVERS`, else `~/.cache/rmt/servers`:
//! ```text
//! mysql-5.6.24/        one folder per server, complete because it is renamed into place
//! mysql-8.0.33/
//! templates/NAME/      an initialised data folder with the accounts, made at the first start
//! missing/NAME         why a server cannot be had; only these may be skipped by tests
//! .lock                held (flock) by the setup that is running
//! ```

use std::fs;
use std::path::{Path, PathBuf};

/// A server product and version that tests can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// 5.6.24: old DATETIME code paths, no JSON, no modern TLS.
    MySql56,
    /// 5.7.22: no modern TLS.
    MySql57,
    /// 8.0.15: the first default of caching_sha2_password, TLS 1.2, no transaction compression.
    MySql8015,
    /// 8.0.33, the whole distribution with `mysql`, `mysqldump` and `mysqlbinlog`.
    MySql8033,
    /// 9.7 from Debian's unstable suite: no `SHOW MASTER STATUS`, no mysql_native_password.
    MySql97,
    /// MariaDB 10.11: GTIDs with domains.
    MariaDb1011,
}

impl Kind {
    /// Every kind, oldest MySQL first.
    pub const ALL: [Kind; 6] =
        [Kind::MySql56, Kind::MySql57, Kind::MySql8015, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011];

    /// The name of its folder in the cache, of its template and of its entry in the list of skips.
    pub fn name(self) -> &'static str {
        match self {
            Kind::MySql56 => "mysql-5.6.24",
            Kind::MySql57 => "mysql-5.7.22",
            Kind::MySql8015 => "mysql-8.0.15",
            Kind::MySql8033 => "mysql-8.0.33",
            Kind::MySql97 => "mysql-9.7",
            Kind::MariaDb1011 => "mariadb-10.11",
        }
    }

    /// Whether it speaks MariaDB's dialect.
    pub fn is_mariadb(self) -> bool {
        self == Kind::MariaDb1011
    }

    /// The folder it is unpacked in. MariaDB is installed by the system's packages and has none.
    pub fn home(self) -> PathBuf {
        servers_dir().join(self.name())
    }

    /// The program whose presence says that the server is installed.
    pub fn server_program(self) -> PathBuf {
        match self {
            Kind::MySql56 => self.home().join("mysqld"),
            Kind::MySql57 | Kind::MySql8015 | Kind::MySql8033 => self.home().join("bin/mysqld"),
            Kind::MySql97 => self.home().join("usr/sbin/mysqld"),
            Kind::MariaDb1011 => PathBuf::from("/usr/sbin/mariadbd"),
        }
    }

    /// Whether it can be started.
    pub fn is_installed(self) -> bool {
        self.server_program().exists()
    }

    /// The reason why it cannot be had, if setup found one.
    pub fn missing_reason(self) -> Option<String> {
        fs::read_to_string(missing_dir().join(self.name())).ok().map(|text| text.trim().to_owned())
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The cache folder of the servers: `$RMT_SERVERS`, else `~/.cache/rmt/servers`.
pub fn servers_dir() -> PathBuf {
    if let Some(dir) = std::env::var_os("RMT_SERVERS").filter(|v| !v.is_empty()) {
        return PathBuf::from(dir);
    }
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
    home.join(".cache/rmt/servers")
}

/// The folder with one file per server that cannot be had.
pub fn missing_dir() -> PathBuf {
    servers_dir().join("missing")
}

/// The folder of the initialised data folders.
pub fn templates_dir() -> PathBuf {
    servers_dir().join("templates")
}

/// A program of the 8.0.33 distribution (`mysql`, `mysqldump`, `mysqlbinlog`, `mysqladmin`).
pub fn mysql80_program(name: &str) -> PathBuf {
    Kind::MySql8033.home().join("bin").join(name)
}

/// Finds an executable in `$PATH` and in the system's sbin folders.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
