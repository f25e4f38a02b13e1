//! Runs the built tools (rdump, rlightning, rsync-dm) as a user would: as processes.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::process::{self, Running};

/// The folder of the built programs, when it is not the one that the running test was built into.
pub const BIN_DIR_VARIABLE: &str = "RMT_BIN_DIR";

/// The path of a built program: `$RMT_BIN_DIR`, else next to the running test or xtask.
///
/// # Panics
/// When it is not built.
pub fn program(name: &str) -> PathBuf {
    let folder = std::env::var_os(BIN_DIR_VARIABLE).map_or_else(own_folder, PathBuf::from);
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: run `cargo build -p {name}` first", path.display());
    path
}

/// `target/PROFILE`: test programs lie in its `deps`.
fn own_folder() -> PathBuf {
    let own = std::env::current_exe()
        .unwrap_or_else(|error| panic!("the path of this program is unknown: {error}"));
    let folder = own.parent().unwrap_or(Path::new("."));
    if folder.ends_with("deps") { folder.parent().unwrap_or(folder).to_owned() } else { folder.to_owned() }
}

/// A command line in the making.
#[derive(Debug)]
pub struct Tool {
    name: String,
    command: Command,
}

impl Tool {
    /// A built program by its name.
    ///
    /// # Panics
    /// When it is not built.
    pub fn new(name: &str) -> Tool {
        Tool::at(name, &program(name))
    }

    /// Another program; `name` is for messages.
    pub fn at(name: &str, program: &Path) -> Tool {
        let mut command = Command::new(program);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Tool { name: name.to_owned(), command }
    }

    /// One argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Tool {
        self.command.arg(arg);
        self
    }

    /// Several arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, args: I) -> Tool {
        self.command.args(args);
        self
    }

    /// `-h HOST -P PORT -u USER -p PASSWORD` of a server, as rdump and dmctl's family of tools take them.
    pub fn login(self, server: &crate::Server, account: crate::Account) -> Tool {
        let login = account.credentials();
        let port = server.port().to_string();
        self.args(["-h", server.host(), "-P", &port, "-u", login.user, "-p", login.password])
    }

    /// An environment variable.
    pub fn env(mut self, key: &str, value: impl AsRef<OsStr>) -> Tool {
        self.command.env(key, value);
        self
    }

    /// The working folder.
    pub fn current_dir(mut self, dir: &Path) -> Tool {
        self.command.current_dir(dir);
        self
    }

    /// The command itself, for what has no helper here.
    pub fn command_mut(&mut self) -> &mut Command {
        &mut self.command
    }

    /// Starts it; its output is read from the first byte on, so it never blocks on a full pipe.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(self) -> Started {
        let mut running = process::spawn(self.command)
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.name));
        let child = running.child_mut();
        let stdout = child.stdout.take().map(collect);
        let stderr = child.stderr.take().map(collect);
        Started { name: self.name, running, stdout, stderr }
    }

    /// Runs it to the end, at most two minutes.
    ///
    /// # Panics
    /// When it takes longer.
    pub fn run(self) -> Finished {
        self.start().finish(Duration::from_secs(120))
    }
}

#[derive(Debug)]
struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    thread: JoinHandle<()>,
}

fn collect(stream: impl Read + Send + 'static) -> Collected {
    let text = Arc::new(Mutex::new(Vec::new()));
    let copy = Arc::clone(&text);
    let thread = std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(n) if n > 0) {
            copy.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).append(&mut line);
        }
    });
    Collected { text, thread }
}

impl Collected {
    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
            .into_owned()
    }

    fn all(self) -> String {
        // The pipe ends when the last process of the group that holds it has ended.
        let _ = self.thread.join();
        String::from_utf8_lossy(&self.text.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
            .into_owned()
    }
}

/// A running tool; dropping it kills it.
#[derive(Debug)]
pub struct Started {
    name: String,
    running: Running,
    stdout: Option<Collected>,
    stderr: Option<Collected>,
}

impl Started {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.running.id()
    }

    /// What it wrote to stdout so far, in whole lines.
    pub fn stdout_so_far(&self) -> String {
        self.stdout.as_ref().map_or_else(String::new, Collected::so_far)
    }

    /// What it wrote to stderr so far, in whole lines.
    pub fn stderr_so_far(&self) -> String {
        self.stderr.as_ref().map_or_else(String::new, Collected::so_far)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.running.try_wait().is_none()
    }

    /// Bytes it has read and written so far by any means, from `/proc/PID/io`: what a kill loop waits on.
    pub fn bytes_moved(&self) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/io", self.id())).unwrap_or_default();
        let field = |name: &str| {
            text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        field("rchar:") + field("wchar:")
    }

    /// Waits until `condition` holds for the running tool. `false`: it ended first.
    ///
    /// # Panics
    /// After `limit`.
    pub fn wait_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&Started) -> bool,
    ) -> bool {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            if !self.is_running() {
                return false;
            }
            assert!(
                Instant::now() < deadline,
                "waited {limit:?} in vain until {what} ({})\n{}",
                self.name,
                self.stderr_so_far()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Kills it with SIGKILL once it has moved that many bytes. Returns the bytes at the kill, or `None` when it had
    /// ended by itself before.
    pub fn kill_after_bytes(&mut self, bytes: u64, limit: Duration) -> Option<u64> {
        let reached =
            self.wait_until(limit, &format!("{bytes} bytes are moved"), |tool| tool.bytes_moved() >= bytes);
        if !reached || !self.is_running() {
            return None;
        }
        let moved = self.bytes_moved();
        self.running.kill();
        Some(moved)
    }

    /// Sends a signal, for example `libc::SIGTERM`.
    pub fn signal(&mut self, signal: i32) {
        self.running.signal(signal);
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        self.running.kill();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it still runs after `limit`: it is killed and its output shown.
    pub fn finish(mut self, limit: Duration) -> Finished {
        let status = self.running.wait_for(limit);
        let status_or_killed = status.unwrap_or_else(|| self.running.kill());
        let stdout = self.stdout.take().map_or_else(String::new, Collected::all);
        let stderr = self.stderr.take().map_or_else(String::new, Collected::all);
        let finished = Finished { name: self.name.clone(), status: status_or_killed, stdout, stderr };
        assert!(status.is_some(), "{} still ran after {limit:?}\n{}", self.name, finished.shown());
        finished
    }
}

/// A tool that has ended, with all its output.
#[derive(Debug)]
pub struct Finished {
    name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Finished {
    /// Fails unless it ended with `code`.
    ///
    /// # Panics
    /// With the output when it did not.
    pub fn expect_code(self, code: i32) -> Finished {
        assert_eq!(
            self.status.code(),
            Some(code),
            "{} ended with {}\n{}",
            self.name,
            self.status,
            self.shown()
        );
        self
    }

    /// Fails unless it ended with 0.
    ///
    /// # Panics
    /// With the output when it did not.
    pub fn success(self) -> Finished {
        self.expect_code(0)
    }

    /// Fails unless it ended by itself with another code than 0.
    ///
    /// # Panics
    /// With the output when it did not.
    pub fn failure(self) -> Finished {
        assert!(
            self.status.code().is_some_and(|code| code != 0 && code != 101),
            "{} ended with {}\n{}",
            self.name,
            self.status,
            self.shown()
        );
        self
    }

    /// Fails unless stderr or stdout holds `text`.
    ///
    /// # Panics
    /// With the output when neither does.
    pub fn says(self, text: &str) -> Finished {
        assert!(
            self.stderr.contains(text) || self.stdout.contains(text),
            "{} does not say `{text}`\n{}",
            self.name,
            self.shown()
        );
        self
    }

    /// Both outputs with headings, for messages.
    pub fn shown(&self) -> String {
        format!("--- stdout\n{}\n--- stderr\n{}", self.stdout, self.stderr)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Tool {
        Tool::at("sh", Path::new("/bin/sh")).args(["-c", script])
    }

    #[test]
    fn output_and_code_are_kept() {
        let done = shell("echo out; echo err >&2; exit 3").run().expect_code(3).failure().says("err");
        assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("out\n", "err\n"));
    }

    #[test]
    #[should_panic(expected = "sh ended with")]
    fn a_wrong_code_fails() {
        shell("exit 1").run().success();
    }

    #[test]
    fn a_tool_is_killed_in_the_middle_of_its_work() {
        let mut cat = Tool::at("cat", Path::new("/bin/cat")).args(["/dev/zero"]);
        cat.command_mut().stdout(Stdio::null());
        let mut cat = cat.start();
        let moved = cat.kill_after_bytes(10_000_000, Duration::from_secs(30)).unwrap();
        assert!(moved >= 10_000_000);
        assert!(!cat.is_running());
        let mut short = shell("true").start();
        assert_eq!(short.kill_after_bytes(u64::MAX, Duration::from_secs(30)), None);
    }
}
