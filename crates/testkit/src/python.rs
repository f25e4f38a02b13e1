//! Python with pyarrow: a writer and reader of Parquet that has nothing of ours.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::catalog;

/// Its folder in the cache and its entry in the list of skips.
pub const PYARROW: &str = "pyarrow-26.0.1";

/// The interpreter that has it.
pub fn pyarrow() -> PathBuf {
    catalog::servers_dir().join(PYARROW).join("bin/python")
}

/// Whether it can be had; `false`, after a note in the list of skips, where setup could not get it.
///
/// # Panics
/// When it is not installed and nobody said why.
pub fn has_pyarrow() -> bool {
    if pyarrow().exists() {
        return true;
    }
    let reason = std::fs::read_to_string(catalog::missing_dir().join(PYARROW));
    let Ok(reason) = reason else { panic!("{PYARROW} is not installed: run `cargo xtask setup`") };
    crate::skip::report(PYARROW, reason.trim());
    false
}

/// Runs a script in a folder, with `pa`, `pq` and some of Python's own modules at hand, and gives what it prints.
///
/// # Panics
/// When it fails.
pub fn run_pyarrow(folder: &Path, script: &str) -> String {
    const HEAD: &str = "import datetime, decimal, json, sys\nimport pyarrow as pa, pyarrow.parquet as pq\n\
        from decimal import Decimal\n";
    let done = Command::new(pyarrow())
        .arg("-c")
        .arg(format!("{HEAD}{script}"))
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .expect("Python runs");
    assert!(done.status.success(), "{script}\n{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
