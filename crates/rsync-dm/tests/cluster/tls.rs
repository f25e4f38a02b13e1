//! TLS: between the processes, and to the databases.

use testkit::Certificates;

use super::*;

fn flags(certs: &Certificates, ca: &str, own: &str) -> Vec<String> {
    let file = |name: &str| certs.file(&format!("{name}.pem")).to_str().unwrap().to_owned();
    let values =
        [("--ssl-ca", file(ca)), ("--ssl-cert", file(own)), ("--ssl-key", file(&format!("{own}-key")))];
    values.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]).collect()
}

/// A task from start to end, with every connection under TLS and a certificate asked from every client.
#[test]
fn every_connection_is_encrypted() {
    let certs = Certificates::new();
    let start = || Server::start_or_skip(Kind::MySql8033, certs.serve(Options::default()));
    let (Some(source), Some(target)) = (start(), start()) else { return };
    for server in [&source, &target] {
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY)");
    }
    source.sql("ALTER USER replicate REQUIRE X509");
    target.sql("ALTER USER target REQUIRE X509");
    let mut own = flags(&certs, "ca", "server");
    own.extend(["--cert-allowed-cn".to_owned(), "rmt test server,rmt test client".into()]);
    let dm = Dm::start_with(
        1,
        MoreArgs {
            master: own.clone(),
            worker: own,
            ctl: flags(&certs, "ca", "client"),
            ..Default::default()
        },
    );

    let file = |name: &str| certs.file(name).display().to_string();
    let security = format!(
        "{{ssl-ca: {}, ssl-cert: {}, ssl-key: {}}}",
        file("ca.pem"),
        file("client.pem"),
        file("client-key.pem")
    );
    let login = |server: &Server, account: Account, security: &str| {
        let who = account.credentials();
        let (port, user, password) = (server.port(), who.user, who.password);
        format!("{{host: 127.0.0.1, port: {port}, user: {user}, password: {password}{security}}}")
    };
    let secure = format!(", security: {security}");
    let yaml =
        |security: &str| format!("source-id: a\nfrom: {}\n", login(&source, Account::Replicate, security));
    let refused = dm.ctl(&["operate-source", "create", &dm.file("plain.yaml", &yaml(""))]).failure();
    assert!(refused.stdout.contains("Access denied"), "{}", refused.shown());
    let other = yaml(&secure).replace("/ca.pem", "/other-ca.pem");
    let other = dm.ctl(&["operate-source", "create", &dm.file("other.yaml", &other)]).failure();
    assert!(other.stdout.contains("certificate"), "{}", other.shown());
    let source_file = dm.file("source.yaml", &yaml(&secure));
    dm.ctl(&["operate-source", "create", &source_file]).success();
    let task = dm.file(
        "task.yaml",
        &format!(
            "name: t\ntask-mode: incremental\ntarget-database: {}\nblock-allow-list: {{b: {{do-dbs: [d]}}}}\n\
             syncers: {{s: {{checkpoint-flush-interval: 1}}}}\nmysql-instances: [{{source-id: a, block-allow-list: b, syncer-config-name: s}}]\n",
            login(&target, Account::Target, &secure)
        ),
    );
    dm.ctl(&["start-task", &task]).success();
    source.sql("INSERT INTO d.t VALUES (1), (2)");
    wait_until(SOON, "the rows arrive", || target.value("SELECT COUNT(*) FROM d.t") == "2");
    let verify =
        Tool::new("rsync-dm").args(["verify", "--task", &task, "--source", &source_file]).run().success();
    assert!(verify.stdout.contains("verified: 2 rows equal"), "{}", verify.shown());
    dm.ctl(&["query-status", "t"]).success().says("\"stage\": \"Running\"");
    dm.ctl(&["stop-task", "t"]).success();
    dm.end(&LogCheck::new());
}

#[test]
fn clients_without_a_good_certificate_are_refused() {
    let certs = Certificates::new();
    let mut own = flags(&certs, "ca", "server");
    own.extend(["--cert-allowed-cn".to_owned(), "rmt test server".into()]);
    let dm = Dm::start_with(
        1,
        MoreArgs {
            master: own.clone(),
            worker: own,
            ctl: flags(&certs, "ca", "server"),
            ..Default::default()
        },
    );
    let fails = |flags: &[String], words: &[&str]| {
        let finished = dm.ctl_with(flags, &["list-member"]).failure();
        for word in words {
            assert!(finished.stderr.contains(word), "{word}: {}", finished.shown());
        }
    };
    // None, of another CA, of the CA with another name, and a server that can't be trusted.
    fails(&[], &["If it uses TLS, give --ssl-ca"]);
    fails(
        &flags(&certs, "ca", "client"),
        &["the call to the master failed", "a certificate that it lets in"],
    );
    fails(&flags(&certs, "other-ca", "server"), &["can't connect", "certificate", "of that CA"]);
    fails(&flags(&certs, "ca", "server")[..2], &["[code=48002:", "ssl-cert, ssl-key is missing"]);
    let log = std::fs::read_to_string(dm.log("master")).unwrap();
    assert!(log.contains("rmt test client") && log.contains("is not in cert-allowed-cn"), "{log}");
    dm.ctl(&["list-member", "-w"]).success().says("\"stage\": \"free\"");

    // A browser's or Prometheus's request, of HTTP/1.1.
    let file = |name: &str| certs.file(name).display().to_string();
    let mut page = std::process::Command::new("openssl")
        .args([
            "s_client",
            "-quiet",
            "-alpn",
            "http/1.1",
            "-connect",
            &dm.address,
            "-CAfile",
            &file("ca.pem"),
        ])
        .args(["-cert", &file("server.pem"), "-key", &file("server-key.pem")])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(page.stdin.as_mut().unwrap(), request.as_bytes()).unwrap();
    let text = String::from_utf8(page.wait_with_output().unwrap().stdout).unwrap();
    assert!(text.starts_with("HTTP/1.1 200") && text.contains("dm_master_start_leader_counter 1"), "{text}");

    // A worker without TLS is not let in, and says so; the keys of a file do as well as flags.
    let plain = format!("127.0.0.1:{}", testkit::port::free_port());
    let mut worker = Tool::new("rsync-dm")
        .args(["worker", "--name", "plain", "--worker-addr", &plain, "--join", &dm.address])
        .start();
    wait_until(SOON, "the worker says it", || worker.stderr_so_far().contains("no connection to the master"));
    worker.signal(15);
    worker.finish(SOON).success();
    let config = dm.file(
        "ctl.toml",
        &format!(
            "master-addr = 'https://{}'\nssl-ca = '{}'\nssl-cert = '{}'\nssl-key = '{}'\n",
            dm.address,
            file("ca.pem"),
            file("server.pem"),
            file("server-key.pem")
        ),
    );
    Tool::new("rsync-dm").args(["ctl", "--config", &config, "list-member"]).run().success();
    dm.end(&LogCheck::new());
}
