//! Standard output that survives a closed pipe or terminal, and a process that survives its terminal.

use std::io::{self, Write};

/// Prints a text as it is. A reader that has gone away is no reason to stop working.
pub fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _closed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Prints a line.
pub fn println(text: &str) {
    print(&format!("{text}\n"));
}

/// Prints a line to standard error.
pub fn eprintln(text: &str) {
    let _closed = io::stderr().lock().write_all(format!("{text}\n").as_bytes());
}

/// Keeps a long run alive when its terminal is closed: SIGHUP no longer ends the process, and a closed pipe is an
/// error of one write. An ignore inherited from `nohup` stays as it is. Called once at the start of `main`.
pub fn keep_running_after_hangup() {
    // SAFETY: SIG_IGN is a valid disposition for both signals and no handler of ours runs.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
}
