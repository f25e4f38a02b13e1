//! Folders that vanish with the test, or at the next start when the test was killed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "rmt-";

/// A folder of its own under the temporary folder, removed when dropped. Its name starts with `rmt-PID-`, so that
/// what a killed process left can be told from what is in use.
#[derive(Debug)]
pub struct WorkDir {
    path: PathBuf,
    keep: bool,
    mounted: bool,
}

impl WorkDir {
    /// Makes a new empty folder. The first call of a process also removes folders of processes that are gone.
    ///
    /// # Errors
    /// When the temporary folder cannot be written.
    pub fn new(what: &str) -> io::Result<WorkDir> {
        static SWEEP: Once = Once::new();
        SWEEP.call_once(|| sweep(&std::env::temp_dir()));
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("{PREFIX}{}-{number}-{what}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(WorkDir { path, keep: false, mounted: false })
    }

    /// A folder with a file system of its own in memory, for tests of a full disk. Needs root.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn tmpfs(what: &str, megabytes: u64) -> io::Result<WorkDir> {
        let mut dir = WorkDir::new(what)?;
        let size = format!("size={megabytes}m,mode=0755");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&dir.path).status()?;
        if !status.success() {
            return Err(io::Error::other(format!("mount of a {megabytes} MB tmpfs failed: {status}")));
        }
        dir.mounted = true;
        Ok(dir)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// Leaves the folder behind when dropped, to look at it.
    pub fn keep(&mut self) {
        self.keep = true;
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        if self.mounted {
            unmount(&self.path);
        }
        // A server that is still dying may write once more: a second try is enough, the sweep gets the rest.
        if fs::remove_dir_all(&self.path).is_err() {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn unmount(path: &Path) {
    let _ = Command::new("umount").arg("-l").arg(path).status();
}

/// Removes the folders of processes that no longer run, with the file systems mounted there.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(owner) = owner_of(&name.to_string_lossy()) else { continue };
        if Path::new("/proc").join(owner.to_string()).exists() {
            continue;
        }
        let path = entry.path();
        let inside = mounts
            .lines()
            .filter_map(|line| line.split(' ').nth(1))
            .filter(|m| Path::new(m).starts_with(&path));
        inside.for_each(|mount| unmount(Path::new(mount)));
        let _ = fs::remove_dir_all(&path);
    }
}

fn owner_of(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_away_with_its_content() {
        let dir = WorkDir::new("unit").unwrap();
        let path = dir.path().to_owned();
        fs::write(dir.join("file"), "x").unwrap();
        drop(dir);
        assert!(!path.exists());
    }

    #[test]
    fn only_folders_of_dead_owners_are_swept() {
        let parent = WorkDir::new("sweep").unwrap();
        let mine = parent.join(format!("{PREFIX}{}-0-x", std::process::id()));
        // Linux gives no process id above 2^22.
        let dead = parent.join(format!("{PREFIX}4194999-0-x"));
        let other = parent.join("something-else");
        for dir in [&mine, &dead, &other] {
            fs::create_dir_all(dir).unwrap();
        }
        sweep(parent.path());
        assert!(mine.exists() && other.exists() && !dead.exists());
    }
}
