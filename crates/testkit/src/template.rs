//! Initialised data folders: made once per server version, copied for every start.
//!
//! Invariants:
//! 1. A template under its final name is complete: it is built beside it and renamed.
//! 2. It was shut down cleanly and never wrote a binlog, so a copy starts with an empty GTID set.
//! 3. It holds no `auto.cnf`, so every copy gets a server UUID of its own.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::catalog::{Kind, templates_dir};
use crate::process;
use crate::server::{Account, StartError};

/// Raised when the way of making templates changes, so that old ones are made anew.
const RECIPE: u32 = 1;

/// The template of `kind`, made now if it is not there. Several processes may ask at the same time.
///
/// # Errors
/// When the server cannot be initialised; the text holds the end of its log.
pub fn ensure(kind: Kind) -> Result<PathBuf, StartError> {
    let accounts = accounts_sql(kind);
    let final_path = templates_dir().join(format!("{}-{RECIPE}-{:08x}", kind.name(), fingerprint(&accounts)));
    if final_path.exists() {
        return Ok(final_path);
    }
    let failed = |what: &str, source: io::Error| StartError::Template {
        kind,
        what: what.to_owned(),
        detail: source.to_string(),
    };
    fs::create_dir_all(templates_dir()).map_err(|e| failed("make the folder of templates", e))?;
    let lock = File::create(templates_dir().join(format!(".{}.lock", kind.name())))
        .map_err(|e| failed("open the lock file", e))?;
    lock.lock().map_err(|e| failed("lock", e))?;
    if final_path.exists() {
        return Ok(final_path);
    }
    let build = templates_dir().join(format!(".{}.new", kind.name()));
    let _ = fs::remove_dir_all(&build);
    fs::create_dir_all(build.join("tmp")).map_err(|e| failed("make a folder", e))?;
    initialise(kind, &build)?;
    create_accounts(kind, &build, &accounts)?;
    for name in ["auto.cnf", "aria_log_control.lock", "tc.log"] {
        let _ = fs::remove_file(build.join("data").join(name));
    }
    fs::rename(build.join("data"), &final_path).map_err(|e| failed("rename the finished folder", e))?;
    let _ = fs::remove_dir_all(&build);
    Ok(final_path)
}

/// The command that runs the server of `kind`, without options.
pub fn server_command(kind: Kind) -> Command {
    let home = kind.home();
    match kind {
        Kind::MySql56 => {
            // The package brings its own libaio.
            let mut command = Command::new(kind.server_program());
            command.env("LD_LIBRARY_PATH", &home);
            command
        }
        Kind::MySql97 => {
            // Built for a newer libc than the system's: run by the loader that came with it.
            let loader = ["usr/lib64", "lib64", "usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"]
                .map(|dir| home.join(dir).join("ld-linux-x86-64.so.2"))
                .into_iter()
                .find(|file| file.exists())
                .unwrap_or_else(|| home.join("lib64/ld-linux-x86-64.so.2"));
            let mut command = Command::new(loader);
            let libraries = format!("{0}/usr/lib/x86_64-linux-gnu:{0}/lib/x86_64-linux-gnu", home.display());
            command.arg("--library-path").arg(libraries).arg(kind.server_program());
            command
        }
        _ => Command::new(kind.server_program()),
    }
}

/// Options of the file that only say where the installation lies.
pub fn home_options(kind: Kind) -> Vec<String> {
    let home = kind.home();
    let home = home.display();
    match kind {
        Kind::MySql56 => vec![
            format!("basedir={home}"),
            format!("lc_messages_dir={home}/share"),
            format!("character_sets_dir={home}/share/charsets"),
        ],
        Kind::MySql57 | Kind::MySql8015 | Kind::MySql8033 => vec![format!("basedir={home}")],
        Kind::MySql97 => vec![
            format!("basedir={home}/usr"),
            format!("lc_messages_dir={home}/usr/share/mysql"),
            format!("character_sets_dir={home}/usr/share/mysql/charsets"),
            format!("plugin_dir={home}/usr/lib/mysql/plugin"),
        ],
        Kind::MariaDb1011 => vec![],
    }
}

fn initialise(kind: Kind, build: &Path) -> Result<(), StartError> {
    let data = build.join("data");
    let log = build.join("init.log");
    let mut config = base_config(kind, build);
    let mut stdin = None;
    let command = match kind {
        Kind::MySql56 => {
            // 5.6 has no --initialize: its system tables come from the SQL files of the package.
            let _ = fs::create_dir_all(data.join("mysql"));
            let mut sql = b"use mysql;\n".to_vec();
            for name in ["mysql_system_tables.sql", "mysql_system_tables_data.sql", "fill_help_tables.sql"] {
                let text = fs::read(kind.home().join("share").join(name))
                    .map_err(|e| StartError::template(kind, name, &e))?;
                sql.extend_from_slice(&text);
            }
            stdin = Some(sql);
            let mut command = server_command(kind);
            command.arg(format!("--defaults-file={}", build.join("my.cnf").display())).arg("--bootstrap");
            command
        }
        Kind::MariaDb1011 => {
            let program = crate::catalog::find_program("mariadb-install-db")
                .unwrap_or_else(|| "mariadb-install-db".into());
            let mut command = Command::new(program);
            command.args(["--no-defaults", "--user=root", "--auth-root-authentication-method=normal"]);
            command.args(["--skip-test-db", "--skip-name-resolve"]);
            command.arg(format!("--datadir={}", data.display()));
            config.clear();
            command
        }
        _ => {
            let mut command = server_command(kind);
            command
                .arg(format!("--defaults-file={}", build.join("my.cnf").display()))
                .arg("--initialize-insecure");
            command
        }
    };
    write_config(kind, build, &config)?;
    run(kind, "initialise the data folder", command, stdin, &log, &build.join("error.log"))
}

/// Starts the new folder once, with an init file that makes the accounts, and stops it cleanly.
fn create_accounts(kind: Kind, build: &Path, accounts: &str) -> Result<(), StartError> {
    let sql_file = build.join("accounts.sql");
    fs::write(&sql_file, accounts).map_err(|e| StartError::template(kind, "write the accounts", &e))?;
    let mut config = base_config(kind, build);
    config.push(format!("init_file={}", sql_file.display()));
    config.push("skip_networking".into());
    write_config(kind, build, &config)?;
    let mut command = server_command(kind);
    command.arg(format!("--defaults-file={}", build.join("my.cnf").display()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut server =
        process::spawn(command).map_err(|e| StartError::template(kind, "start the server", &e))?;
    let deadline = Instant::now() + Duration::from_secs(120);
    let error_log = build.join("error.log");
    // The server listens only after it has run the init file.
    while greeting(&build.join("mysqld.sock")).is_none() {
        if server.try_wait().is_some() || Instant::now() > deadline {
            return Err(StartError::Template {
                kind,
                what: "make the accounts".into(),
                detail: tail(&error_log),
            });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    server.signal(libc::SIGTERM);
    let ended = server.wait_for(Duration::from_secs(120)).is_some_and(|status| status.success());
    let log = fs::read_to_string(&error_log).unwrap_or_default();
    // A failed statement of an init file is only logged; the folder would be useless later in ways hard to see.
    if !ended || log.contains("init_file") && log.contains("ERROR") {
        return Err(StartError::Template {
            kind,
            what: "make the accounts".into(),
            detail: tail(&error_log),
        });
    }
    Ok(())
}

/// Options shared by the two steps; no binlog, so that invariant 2 holds.
fn base_config(kind: Kind, build: &Path) -> Vec<String> {
    let mut options = home_options(kind);
    let dir = build.display();
    options.extend([
        "user=root".to_owned(),
        format!("datadir={dir}/data"),
        format!("tmpdir={dir}/tmp"),
        format!("socket={dir}/mysqld.sock"),
        format!("pid_file={dir}/mysqld.pid"),
        format!("log_error={dir}/error.log"),
        "skip_log_bin".to_owned(),
        "skip_name_resolve".to_owned(),
        "loose_mysqlx=OFF".to_owned(),
        // Debian's build would insist on a folder under /var/lib.
        "secure_file_priv=".to_owned(),
        "loose_innodb_log_file_size=16M".to_owned(),
        "innodb_flush_log_at_trx_commit=0".to_owned(),
    ]);
    options
}

fn write_config(kind: Kind, build: &Path, options: &[String]) -> Result<(), StartError> {
    let text = format!("[mysqld]\n{}\n", options.join("\n"));
    fs::write(build.join("my.cnf"), text).map_err(|e| StartError::template(kind, "write my.cnf", &e))
}

fn run(
    kind: Kind,
    what: &str,
    mut command: Command,
    stdin: Option<Vec<u8>>,
    log: &Path,
    error_log: &Path,
) -> Result<(), StartError> {
    let file = File::create(log).map_err(|e| StartError::template(kind, what, &e))?;
    let copy = file.try_clone().map_err(|e| StartError::template(kind, what, &e))?;
    command.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() }).stdout(file).stderr(copy);
    let mut running = process::spawn(command).map_err(|e| StartError::template(kind, what, &e))?;
    if let (Some(text), Some(mut pipe)) = (stdin, running.child_mut().stdin.take()) {
        // A server that refuses the input ends; its log then says more than the broken pipe.
        let _ = pipe.write_all(&text);
    }
    match running.wait_for(Duration::from_secs(180)) {
        Some(status) if status.success() => Ok(()),
        status => Err(StartError::Template {
            kind,
            what: what.to_owned(),
            detail: format!("{status:?}\n{}\n{}", tail(log), tail(error_log)),
        }),
    }
}

/// Reads the greeting of a server on its own socket: whoever answers there is this server and no other.
/// Returns the version text.
pub fn greeting(socket: &Path) -> Option<String> {
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    let mut header = [0u8; 4];
    stream.read_exact(&mut header).ok()?;
    let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
    let mut payload = vec![0u8; length];
    stream.read_exact(&mut payload).ok()?;
    // Protocol version 10, then the version up to a zero byte; 0xff would be an error packet.
    let (10, rest) = payload.split_first()? else { return None };
    let end = rest.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&rest[..end]).into_owned())
}

/// The last lines of a log, for an error text.
pub fn tail(file: &Path) -> String {
    let text = fs::read(file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

fn fingerprint(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One statement a line, as init files want it.
fn accounts_sql(kind: Kind) -> String {
    let mut lines = Vec::new();
    if kind == Kind::MySql56 {
        // Anonymous accounts of 5.6 would win over ours for connections over the socket.
        lines.push("DELETE FROM mysql.user WHERE user = ''".to_owned());
        lines.push("FLUSH PRIVILEGES".to_owned());
    }
    for account in Account::ALL {
        let login = account.credentials();
        lines.push(format!("CREATE USER '{}'@'%' IDENTIFIED BY '{}'", login.user, login.password));
        lines.push(format!(
            "GRANT {} ON *.* TO '{}'@'%'{}",
            account.privileges(kind),
            login.user,
            account.grant_option()
        ));
    }
    lines.iter().map(|line| format!("{line};\n")).collect()
}
