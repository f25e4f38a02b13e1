//! A database server on 127.0.0.1 that lives as long as the test.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::catalog::Kind;
use crate::port::free_port;
use crate::process::{self, Running};
use crate::template;
use crate::workdir::WorkDir;

/// How a server is to run. `Options::default()`: fast durability, row binlog with GTID.
#[derive(Clone, Debug)]
pub struct Options {
    durable: bool,
    binlog: Option<&'static str>,
    gtid: bool,
    domain: u32,
    server_id: Option<u32>,
    tmpfs_megabytes: Option<u64>,
    extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            durable: false,
            binlog: Some("ROW"),
            gtid: true,
            domain: 1,
            server_id: None,
            tmpfs_megabytes: None,
            extra: Vec::new(),
        }
    }
}

impl Options {
    /// `innodb_flush_log_at_trx_commit=1`, `sync_binlog=1`. Without it 2 and 0: a killed server loses nothing, a
    /// machine that loses power may.
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// No binlog at all, and so no GTIDs.
    pub fn no_binlog(mut self) -> Self {
        self.binlog = None;
        self.gtid = false;
        self
    }

    /// `binlog_format`: ROW (default), STATEMENT or MIXED.
    pub fn binlog_format(mut self, format: &'static str) -> Self {
        self.binlog = Some(format);
        self
    }

    /// `binlog_row_image`: FULL (default), MINIMAL or NOBLOB.
    pub fn row_image(self, image: &str) -> Self {
        self.with(&format!("binlog_row_image={image}"))
    }

    /// `binlog_checksum`: CRC32 (default) or NONE.
    pub fn checksum(self, algorithm: &str) -> Self {
        self.with(&format!("binlog_checksum={algorithm}"))
    }

    /// Compressed transactions (8.0.20 and later) or MariaDB's compressed events.
    pub fn compressed_binlog(self) -> Self {
        self.with("loose_binlog_transaction_compression=ON")
            .with("loose_log_bin_compress=ON")
            .with("loose_log_bin_compress_min_len=10")
    }

    /// `gtid_mode=OFF`. MariaDB always has GTIDs.
    pub fn no_gtid(mut self) -> Self {
        self.gtid = false;
        self
    }

    /// MariaDB's `gtid_domain_id`; 1 if not set.
    pub fn domain(mut self, domain: u32) -> Self {
        self.domain = domain;
        self
    }

    /// A fixed server id; without it every server of a process has one of its own.
    pub fn server_id(mut self, id: u32) -> Self {
        self.server_id = Some(id);
        self
    }

    /// `default_time_zone`, such as `+08:00`.
    pub fn time_zone(self, zone: &str) -> Self {
        self.with(&format!("default_time_zone='{zone}'"))
    }

    /// Puts the data folder on a memory file system of this size, for tests of a full disk (a data folder takes 70
    /// to 130 MB when new). Needs root.
    pub fn tmpfs(mut self, megabytes: u64) -> Self {
        self.tmpfs_megabytes = Some(megabytes);
        self
    }

    /// One more line for `my.cnf`; a later line wins over an earlier one and over ours.
    pub fn with(mut self, line: &str) -> Self {
        self.extra.push(line.to_owned());
        self
    }
}

/// The accounts that every server has. They may log in from anywhere with a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Everything, for the test itself; never for a tool.
    Admin,
    /// What rdump needs with any consistency.
    Dump,
    /// What a source account of rsync-dm needs.
    Replicate,
    /// What the target account of rlightning and rsync-dm needs.
    Target,
    /// May connect and see nothing, for tests of missing privileges.
    Nobody,
}

/// A user with its password, which is a constant of the throw-away servers and no secret.
#[derive(Clone, Copy, Debug)]
pub struct Credentials {
    /// User name.
    pub user: &'static str,
    /// Password in the clear.
    pub password: &'static str,
}

impl Account {
    /// Every account.
    pub const ALL: [Account; 5] =
        [Account::Admin, Account::Dump, Account::Replicate, Account::Target, Account::Nobody];

    /// User name and password.
    pub fn credentials(self) -> Credentials {
        let (user, password) = match self {
            Account::Admin => ("admin", "admin-Pw1"),
            Account::Dump => ("dump", "dump-Pw1"),
            Account::Replicate => ("replicate", "replicate-Pw1"),
            Account::Target => ("target", "target-Pw1"),
            Account::Nobody => ("nobody", "nobody-Pw1"),
        };
        Credentials { user, password }
    }

    /// What is granted on `*.*`.
    pub fn privileges(self, kind: Kind) -> &'static str {
        match self {
            Account::Admin => "ALL PRIVILEGES",
            // MariaDB 10.5 split REPLICATION CLIENT; SHOW SLAVE STATUS needs a privilege of its own there.
            Account::Dump if kind.is_mariadb() => {
                "SELECT, SHOW VIEW, RELOAD, LOCK TABLES, REPLICATION CLIENT, SLAVE MONITOR, PROCESS"
            }
            Account::Dump => "SELECT, SHOW VIEW, RELOAD, LOCK TABLES, REPLICATION CLIENT, PROCESS",
            Account::Replicate => "SELECT, REPLICATION SLAVE, REPLICATION CLIENT",
            Account::Target => "CREATE, SELECT, INSERT, UPDATE, DELETE, ALTER, DROP, INDEX",
            Account::Nobody => "USAGE",
        }
    }

    pub(crate) fn grant_option(self) -> &'static str {
        if self == Account::Admin { " WITH GRANT OPTION" } else { "" }
    }
}

/// Why a server did not start.
#[derive(Debug)]
pub enum StartError {
    /// Not installed; `reason` is set when setup found that it cannot be had here.
    NotInstalled {
        /// The server.
        kind: Kind,
        /// What setup wrote down.
        reason: Option<String>,
    },
    /// The template could not be made.
    Template {
        /// The server.
        kind: Kind,
        /// The step that failed.
        what: String,
        /// The error or the end of the server's log.
        detail: String,
    },
    /// The server ended or did not answer in time.
    Start {
        /// The server.
        kind: Kind,
        /// The end of its log.
        log: String,
    },
    /// A file or process operation failed.
    Io {
        /// The server.
        kind: Kind,
        /// What was tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

impl StartError {
    pub(crate) fn template(kind: Kind, what: &str, source: &io::Error) -> StartError {
        StartError::Template { kind, what: what.to_owned(), detail: source.to_string() }
    }
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StartError::NotInstalled { kind, reason: Some(reason) } => {
                write!(f, "{kind} cannot be had on this machine: {reason}")
            }
            StartError::NotInstalled { kind, reason: None } => {
                write!(f, "{kind} is not installed: run `cargo xtask setup`")
            }
            StartError::Template { kind, what, detail } => write!(f, "{kind}: {what} failed: {detail}"),
            StartError::Start { kind, log } => write!(f, "{kind} did not start; the end of its log:\n{log}"),
            StartError::Io { kind, what, source } => write!(f, "{kind}: {what}: {source}"),
        }
    }
}

impl std::error::Error for StartError {}

/// A running server. Dropping it kills the server and removes its folder.
#[derive(Debug)]
pub struct Server {
    kind: Kind,
    options: Options,
    port: u16,
    server_id: u32,
    version: String,
    running: Option<Running>,
    dir: WorkDir,
    /// Declared after `dir` would unmount too late: it is emptied by hand in `drop`.
    tmpfs: Option<WorkDir>,
}

impl Server {
    /// Starts a server; it answers on its port when this returns.
    ///
    /// # Errors
    /// [`StartError`]; a port taken by someone else in the meantime is not one: another is tried.
    pub fn start(kind: Kind, options: Options) -> Result<Server, StartError> {
        if !kind.is_installed() {
            return Err(StartError::NotInstalled { kind, reason: kind.missing_reason() });
        }
        let template = template::ensure(kind)?;
        let io = |what: &'static str| move |source| StartError::Io { kind, what: what.into(), source };
        let dir = WorkDir::new(kind.name()).map_err(io("make its folder"))?;
        let tmpfs = options
            .tmpfs_megabytes
            .map(|megabytes| WorkDir::tmpfs("data", megabytes))
            .transpose()
            .map_err(io("mount its memory disk"))?;
        static COUNTER: AtomicU32 = AtomicU32::new(1);
        // Ids of two processes meet rarely and hurt only when their servers replicate from each other.
        let own_id = (std::process::id() % 40_000) * 100_000 + COUNTER.fetch_add(1, Ordering::Relaxed);
        let server_id = options.server_id.unwrap_or(own_id);
        let mut server =
            Server { kind, options, port: 0, server_id, version: String::new(), running: None, dir, tmpfs };
        copy_folder(&template, &server.data_dir()).map_err(io("copy its template"))?;
        fs::create_dir_all(server.dir.join("tmp")).map_err(io("make its folder"))?;
        for _ in 0..5 {
            server.port = free_port();
            if server.launch()? {
                return Ok(server);
            }
        }
        Err(StartError::Start { kind, log: "every port tried was taken by someone else".into() })
    }

    /// [`start`](Self::start) for tests: `None` when setup has found that this server cannot be had here, which is printed and listed by
    /// `cargo xtask test`.
    ///
    /// # Panics
    /// On every other error, a server that is just not installed included.
    pub fn start_or_skip(kind: Kind, options: Options) -> Option<Server> {
        match Server::start(kind, options) {
            Ok(server) => Some(server),
            Err(StartError::NotInstalled { reason: Some(reason), .. }) => {
                crate::skip::report(kind.name(), &reason);
                None
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts the process and waits for its greeting. `false`: the port was taken.
    fn launch(&mut self) -> Result<bool, StartError> {
        let kind = self.kind;
        let io = |what: &'static str| move |source| StartError::Io { kind, what: what.into(), source };
        let config = self.dir.join("my.cnf");
        fs::write(&config, format!("[mysqld]\n{}\n", self.config().join("\n")))
            .map_err(io("write my.cnf"))?;
        let log_path = self.log_path();
        let log_start = fs::metadata(&log_path).map_or(0, |meta| meta.len()) as usize;
        let output = File::options()
            .create(true)
            .append(true)
            .open(self.dir.join("output.log"))
            .map_err(io("open its log"))?;
        let copy = output.try_clone().map_err(io("open its log"))?;
        let _ = fs::remove_file(self.socket());
        let mut command = template::server_command(kind);
        command
            .arg(format!("--defaults-file={}", config.display()))
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(copy);
        let mut running = process::spawn(command).map_err(io("start the process"))?;
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            if let Some(version) = template::greeting(&self.socket()) {
                self.version = version;
                self.running = Some(running);
                return Ok(true);
            }
            if running.try_wait().is_some() || Instant::now() > deadline {
                let log = fs::read(&log_path).unwrap_or_default();
                let new = String::from_utf8_lossy(log.get(log_start..).unwrap_or_default()).into_owned();
                if new.contains("Address already in use") {
                    return Ok(false);
                }
                return Err(StartError::Start {
                    kind,
                    log: format!(
                        "{}\n{}",
                        template::tail(&self.dir.join("output.log")),
                        template::tail(&log_path)
                    ),
                });
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn config(&self) -> Vec<String> {
        let options = &self.options;
        let dir = self.dir.path().display();
        let mut lines = template::home_options(self.kind);
        lines.extend([
            "user=root".to_owned(),
            format!("datadir={}", self.data_dir().display()),
            format!("tmpdir={dir}/tmp"),
            format!("socket={}", self.socket().display()),
            format!("pid_file={dir}/mysqld.pid"),
            format!("log_error={}", self.log_path().display()),
            "bind_address=127.0.0.1".to_owned(),
            format!("port={}", self.port),
            format!("server_id={}", self.server_id),
            "skip_name_resolve".to_owned(),
            "loose_mysqlx=OFF".to_owned(),
            "secure_file_priv=".to_owned(),
            "max_connections=500".to_owned(),
            "innodb_buffer_pool_size=128M".to_owned(),
            "loose_innodb_log_file_size=16M".to_owned(),
        ]);
        if options.durable {
            lines.extend(["innodb_flush_log_at_trx_commit=1".to_owned(), "sync_binlog=1".to_owned()]);
        } else {
            lines.extend(
                ["innodb_flush_log_at_trx_commit=2", "sync_binlog=0", "innodb_doublewrite=0"]
                    .map(str::to_owned),
            );
        }
        lines.extend(self.binlog_lines());
        lines.extend(options.extra.iter().cloned());
        lines
    }

    fn binlog_lines(&self) -> Vec<String> {
        let options = &self.options;
        let Some(format) = options.binlog else { return vec!["skip_log_bin".into()] };
        let mut lines = vec!["log_bin=binlog".to_owned(), format!("binlog_format={format}")];
        // The default of 8.0 and later, where the name is on its way out.
        if matches!(self.kind, Kind::MySql56 | Kind::MySql57 | Kind::MariaDb1011) {
            lines.push("log_slave_updates=ON".to_owned());
        }
        if self.kind.is_mariadb() {
            lines.push(format!("gtid_domain_id={}", options.domain));
            lines.push("gtid_strict_mode=ON".to_owned());
        } else if options.gtid {
            lines.push("gtid_mode=ON".to_owned());
            lines.push("enforce_gtid_consistency=ON".to_owned());
        } else {
            // Not the default everywhere.
            lines.push("gtid_mode=OFF".to_owned());
        }
        lines
    }

    /// Which server this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Always `127.0.0.1`.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The TCP port; it stays the same over stops and starts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its `server_id`.
    pub fn server_id(&self) -> u32 {
        self.server_id
    }

    /// The version text of its greeting.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Its unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("mysqld.sock")
    }

    /// Its data folder, where 8.0 and later put `ca.pem`.
    pub fn data_dir(&self) -> PathBuf {
        self.tmpfs.as_ref().map_or_else(|| self.dir.join("data"), |disk| disk.join("data"))
    }

    /// Its error log.
    pub fn log_path(&self) -> PathBuf {
        self.dir.join("error.log")
    }

    /// User and password of an account.
    pub fn account(&self, account: Account) -> Credentials {
        account.credentials()
    }

    /// The process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(Running::id)
    }

    /// Shuts down cleanly (SIGTERM) and waits; up to some seconds.
    ///
    /// # Panics
    /// When it does not end within a minute.
    pub fn stop(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(libc::SIGTERM);
            assert!(
                running.wait_for(Duration::from_secs(60)).is_some(),
                "{} did not stop:\n{}",
                self.kind,
                template::tail(&self.log_path())
            );
        }
    }

    /// Kills it with SIGKILL and waits.
    pub fn kill9(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill();
        }
    }

    /// Starts it again after [`stop`](Self::stop) or [`kill9`](Self::kill9), on the same port and data.
    ///
    /// # Errors
    /// As [`start`](Self::start); also when its port stays taken for ten seconds.
    pub fn start_again(&mut self) -> Result<(), StartError> {
        if self.running.is_some() {
            return Ok(());
        }
        let deadline = Instant::now() + Duration::from_secs(10);
        while !self.launch()? {
            if Instant::now() > deadline {
                return Err(StartError::Start {
                    kind: self.kind,
                    log: format!("port {} is taken", self.port),
                });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }

    /// Stops cleanly and starts again.
    ///
    /// # Errors
    /// As [`start_again`](Self::start_again).
    pub fn restart(&mut self) -> Result<(), StartError> {
        self.stop();
        self.start_again()
    }

    /// Its own folder, for files that go away with it.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process must be gone before its folders are.
        self.kill9();
        self.tmpfs = None;
    }
}

/// `cp` shares blocks where the file system can, which no call of the standard library asks for.
fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    let output = Command::new("cp").args(["-r", "--reflink=auto", "-p"]).arg(from).arg(to).output()?;
    if output.status.success() {
        Ok(())
    } else {
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }
}
