//! Folders that vanish with the test, also when it is killed.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const PREFIX: &str = "rmt-";

/// In a folder that is to stay.
const KEEP: &str = ".keep";

/// Waits until its input ends, which is when this process does, and removes its folders (`$0-*`). Servers that die at the same moment
/// may write once more, hence the tries.
const WATCH: &str = r#"
trap '' HUP INT TERM
cat > /dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do
    left=
    for dir in "$0"-*; do
        [ -d "$dir" ] && [ ! -e "$dir/.keep" ] || continue
        awk -v dir="$dir" '$2 == dir || index($2, dir "/") == 1 { print $2 }' /proc/mounts | xargs -r umount -l
        rm -rf "$dir" || left=1
    done
    [ -z "$left" ] && exit
    sleep 0.3
done
"#;

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
        static WATCHER: OnceLock<Option<ChildStdin>> = OnceLock::new();
        WATCHER.get_or_init(|| {
            sweep(&std::env::temp_dir());
            watch(&std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id())))
        });
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

    /// Leaves the folder behind, to look at it, until the next process that needs one.
    pub fn keep(&mut self) {
        self.keep = true;
        let _ = fs::write(self.path.join(KEEP), "");
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

/// Starts the process that removes what this one leaves behind; it lives as long as the answer is open, and a moment longer.
fn watch(prefix: &Path) -> Option<ChildStdin> {
    let mut command = Command::new("sh");
    command.arg("-c").arg(WATCH).arg(prefix).current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    // Without it the next start removes the folders.
    command.spawn().ok()?.stdin.take()
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

    /// The test starts itself once more as the process that is killed.
    #[test]
    fn a_killed_process_leaves_no_folder() {
        use std::io::{BufRead, BufReader};

        const CHILD: &str = "RMT_WORKDIR_CHILD";
        if std::env::var_os(CHILD).is_some() {
            let dir = WorkDir::new("killed").unwrap();
            fs::write(dir.join("file"), "x").unwrap();
            println!("\nfolder {}", dir.path().display());
            loop {
                std::thread::park();
            }
        }
        let name = "workdir::tests::a_killed_process_leaves_no_folder";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").stdout(Stdio::piped());
        let mut running = crate::process::spawn(command).unwrap();
        let lines = BufReader::new(running.child_mut().stdout.take().unwrap()).lines();
        let path =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("folder ").map(PathBuf::from));
        let path = path.expect("the child says where its folder is");
        assert!(path.join("file").exists());
        running.kill();
        crate::wait_until_blocking(std::time::Duration::from_secs(20), "the folder is removed", || {
            !path.exists()
        });
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
