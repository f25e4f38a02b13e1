//! Workers that are alive and out of reach, and two processes of one name.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use super::{
    kills::{after_kills, insert},
    *,
};

/// Passes bytes of any protocol to an address, or lets nothing through. (testkit's proxy reads MySQL's.)
struct Gate {
    port: u16,
    shut: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Gate {
    fn to(address: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let gate = Self { port, shut: Arc::default(), open: Arc::default() };
        let (shut, open, address) = (Arc::clone(&gate.shut), Arc::clone(&gate.open), address.to_owned());
        thread::spawn(move || {
            for inner in listener.incoming().flatten() {
                let Ok(outer) = TcpStream::connect(&address) else { continue };
                if shut.load(Ordering::SeqCst) {
                    continue;
                }
                let both = [(inner.try_clone(), outer.try_clone()), (outer.try_clone(), inner.try_clone())];
                for (from, to) in both {
                    let (Ok(mut from), Ok(mut to)) = (from, to) else { continue };
                    thread::spawn(move || {
                        let _broken = io::copy(&mut from, &mut to);
                        let _closed = to.shutdown(Shutdown::Both);
                    });
                }
                open.lock().unwrap().extend([inner, outer]);
            }
        });
        gate
    }

    fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().unwrap().drain(..) {
            let _closed = stream.shutdown(Shutdown::Both);
        }
    }

    fn open(&self) {
        self.shut.store(false, Ordering::SeqCst);
    }
}

#[test]
fn a_worker_out_of_reach_is_replaced_and_fenced() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(0);
    let gates = [Gate::to(&dm.address), Gate::to(&dm.address)];
    for (i, gate) in gates.iter().enumerate() {
        dm.start_worker_at(&format!("worker{}", i + 1), &format!("127.0.0.1:{}", gate.port));
    }
    dm.wait_workers(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 100);
    servers.wait_equal("sid, id, pid, comment");
    dm.start_worker("worker3");
    dm.wait_workers(3);
    let old = dm.worker_of("mysql-01");
    let gate = if old == "worker1" { &gates[0] } else { &gates[1] };
    gate.shut();
    wait_until(SOON, "the source has moved", || dm.worker_of("mysql-01") == "worker3");
    dm.wait_status("t", "/sources/0/subTaskStatus/0/stage", "Running");
    // Both workers read these rows; one of them may write.
    insert(&servers, 100, 300);
    servers.wait_equal("sid, id, pid, comment");
    wait_until(SOON, "the old worker has noticed", || {
        let log = std::fs::read_to_string(dm.log(&old)).unwrap_or_default();
        log.contains("another process has taken over this subtask")
    });
    insert(&servers, 300, 400);
    gate.open();
    dm.wait_workers(3);
    servers.wait_equal("sid, id, pid, comment");
    assert_eq!(dm.worker_of("mysql-01"), "worker3");
    dm.end(
        &after_kills().allow("task can't auto resume").allow("another process has taken over this subtask"),
    );
}

#[test]
fn a_second_worker_of_a_name_is_refused() {
    let dm = Dm::start(1);
    let own = format!("127.0.0.1:{}", testkit::port::free_port());
    let second = Tool::new("rsync-dm")
        .args(["worker", "--name", "worker1", "--worker-addr", &own, "--join", &dm.address])
        .run()
        .failure();
    assert!(
        second.stderr.contains("refuses this worker") && second.stderr.contains("worker1"),
        "{}",
        second.shown()
    );
    dm.wait_workers(1);
    dm.end(&LogCheck::new().allow("a worker cannot register").allow("a worker is refused"));
}
