//! The list of tests that did not run because a server or a tool cannot be had on this machine.

use std::fs::File;
use std::io::Write;

/// The variable with the file that `cargo xtask test` collects the list in.
pub const LIST_VARIABLE: &str = "RMT_SKIP_LIST";

/// Prints `SKIPPED: NAME: REASON` and adds it to the list of `cargo xtask test`.
pub fn report(name: &str, reason: &str) {
    let line = format!("SKIPPED: {name}: {reason}\n");
    eprint!("{line}");
    let Some(list) = std::env::var_os(LIST_VARIABLE) else { return };
    // One write call for the line: tests of several processes append to this file.
    let written = File::options()
        .create(true)
        .append(true)
        .open(&list)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    if let Err(error) = written {
        panic!("cannot add to the list of skipped tests {}: {error}", list.display());
    }
}
