//! Every kind starts fast, keeps its port, and dies with the process that started it.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use testkit::{Kind, Options, Server};

#[test]
fn every_kind_starts_in_under_five_seconds_from_its_template() {
    for kind in Kind::ALL {
        // The first start may have to make the template.
        let Some(first) = Server::start_or_skip(kind, Options::default()) else { continue };
        drop(first);
        let begin = Instant::now();
        let server = Server::start(kind, Options::default()).unwrap();
        let took = begin.elapsed();
        println!("{kind} {} started in {:.2} s", server.version(), took.as_secs_f64());
        assert!(took < Duration::from_secs(5), "{kind} took {took:?}");
    }
}

#[test]
fn a_killed_server_comes_back_on_its_port() {
    let Some(mut server) = Server::start_or_skip(Kind::MySql57, Options::default().durable()) else { return };
    let port = server.port();
    server.kill9();
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    server.start_again().unwrap();
    assert_eq!(server.port(), port);
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    let folder = server.dir().to_owned();
    drop(server);
    assert!(!folder.exists());
}

/// Not a test of its own: the process that `a_server_dies_with_a_killed_process` kills.
#[test]
fn start_one_and_wait_to_be_killed() {
    if std::env::var_os("RMT_TESTKIT_VICTIM").is_none() {
        return;
    }
    let server = Server::start(Kind::MySql57, Options::default()).unwrap();
    eprintln!("started {}", server.pid().unwrap());
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn a_server_dies_with_a_killed_process() {
    if !Kind::MySql57.is_installed() {
        drop(Server::start_or_skip(Kind::MySql57, Options::default()));
        return;
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "servers::start_one_and_wait_to_be_killed", "--nocapture"]);
    victim.env("RMT_TESTKIT_VICTIM", "1").stderr(Stdio::piped()).stdout(Stdio::null());
    let mut victim = testkit::process::spawn(victim).unwrap();
    let lines = BufReader::new(victim.child_mut().stderr.take().unwrap()).lines();
    let pid = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("started ").map(str::to_owned))
        .unwrap();
    let stat = format!("/proc/{pid}/stat");
    assert!(std::fs::exists(&stat).unwrap());
    // SIGKILL to the test process alone: nobody is left to clean up.
    victim.signal(libc::SIGKILL);
    testkit::wait_until_blocking(Duration::from_secs(10), "the server is gone", || {
        std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "))
    });
}
