//! Child processes that cannot outlive this one.
//!
//! Linux sends the parent-death signal when the *thread* that made the child ends, and the test harness runs each
//! test in a thread of its own. So one thread, which lives as long as the process, makes all children.
//! Each child also leads a process group, so that its own children go with it.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

type Job = Box<dyn FnOnce() + Send>;

fn spawner() -> &'static Mutex<Sender<Job>> {
    static SPAWNER: OnceLock<Mutex<Sender<Job>>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || jobs.into_iter().for_each(|job| job()))
            .expect("the system lets us start one thread");
        Mutex::new(sender)
    })
}

/// Starts `command` as the leader of a new process group; it is killed when this process ends, however it ends.
///
/// # Errors
/// Those of [`Command::spawn`].
pub fn spawn(mut command: Command) -> io::Result<Running> {
    let parent = std::process::id();
    command.process_group(0);
    // SAFETY: only async-signal-safe calls between fork and exec.
    unsafe {
        command.pre_exec(move || {
            if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                return Err(io::Error::last_os_error());
            }
            // The parent may have died before the call above: nobody would tell us any more.
            if libc::getppid() as u32 != parent {
                libc::_exit(125);
            }
            Ok(())
        });
    }
    let (sender, answer) = channel();
    let job: Job = Box::new(move || {
        let _ = sender.send(command.spawn());
    });
    let gone = || io::Error::other("the thread that starts processes is gone");
    spawner().lock().unwrap_or_else(|poisoned| poisoned.into_inner()).send(job).map_err(|_| gone())?;
    let child = answer.recv().map_err(|_| gone())??;
    Ok(Running { child, status: None })
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// User and system time.
    pub cpu: Duration,
    /// Largest resident size in bytes.
    pub memory: u64,
}

/// A child process; it and its process group are killed when this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    status: Option<ExitStatus>,
}

impl Running {
    /// The process id, which is also the id of its group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The child with its pipes.
    pub fn child_mut(&mut self) -> &mut Child {
        &mut self.child
    }

    /// The exit status if it has ended.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        if self.status.is_none() {
            self.status = self.child.try_wait().ok().flatten();
        }
        self.status
    }

    /// Waits for the end, at most `limit`.
    pub fn wait_for(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_wait() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for the end and tells what it used, with its own children that it has waited for.
    ///
    /// # Errors
    /// When it has been waited for before.
    pub fn wait_measured(&mut self) -> io::Result<(ExitStatus, Usage)> {
        let mut status = 0;
        // SAFETY: an all-zero rusage is valid, and both pointers live through the call.
        let (waited, usage) = unsafe {
            let mut usage: libc::rusage = std::mem::zeroed();
            (libc::wait4(self.child.id() as libc::pid_t, &mut status, 0, &mut usage), usage)
        };
        if waited < 0 {
            return Err(io::Error::last_os_error());
        }
        let status = ExitStatus::from_raw(status);
        self.status = Some(status);
        let time = |time: libc::timeval| {
            Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
        };
        let cpu = time(usage.ru_utime) + time(usage.ru_stime);
        Ok((status, Usage { cpu, memory: usage.ru_maxrss as u64 * 1024 }))
    }

    /// Sends a signal to the process alone.
    pub fn signal(&mut self, signal: i32) {
        if self.try_wait().is_none() {
            // SAFETY: plain system call; the process has not been waited for, so the id is still its own.
            unsafe { libc::kill(self.child.id() as libc::pid_t, signal) };
        }
    }

    /// Kills the process and its group with SIGKILL and waits.
    pub fn kill(&mut self) -> ExitStatus {
        if self.try_wait().is_none() {
            // SAFETY: as above; the group has the child's id because `spawn` made it the leader.
            unsafe { libc::killpg(self.child.id() as libc::pid_t, libc::SIGKILL) };
            self.status = self.child.wait().ok();
        }
        self.status.unwrap_or_else(|| ExitStatus::from_raw(libc::SIGKILL))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alive(pid: u32) -> bool {
        std::path::Path::new("/proc").join(pid.to_string()).exists()
    }

    #[test]
    fn a_child_survives_the_thread_that_asked_for_it_and_dies_when_dropped() {
        let mut sleep = Command::new("sleep");
        sleep.arg("60");
        let mut running = std::thread::spawn(|| spawn(sleep).unwrap()).join().unwrap();
        assert!(running.try_wait().is_none(), "it was killed with the thread");
        let pid = running.id();
        drop(running);
        assert!(!alive(pid));
    }

    #[test]
    fn the_group_is_killed_with_its_leader() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "sleep 60 & echo $!; wait"]).stdout(std::process::Stdio::piped());
        let mut running = spawn(shell).unwrap();
        let mut line = String::new();
        let out = running.child_mut().stdout.take().unwrap();
        io::BufRead::read_line(&mut io::BufReader::new(out), &mut line).unwrap();
        let pid: u32 = line.trim().parse().unwrap();
        running.kill();
        crate::wait_until_blocking(Duration::from_secs(5), "the grandchild is gone", || {
            std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "))
        });
    }
}
