//! TLS to the target: `[tidb] tls`, `[security]`, `[tidb.security]` and their flags.

use testkit::{Certificates, Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_numbers, dumpling, numbered};

/// A target that takes encrypted connections only, and accounts that want a certificate or not.
fn strict(kind: Kind, certs: &Certificates) -> Option<Server> {
    let options = certs.serve(Options::default()).with("require_secure_transport=ON");
    let server = Server::start_or_skip(kind, options)?;
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
    server.sql("CREATE USER x509 IDENTIFIED BY 'pw' REQUIRE X509; GRANT ALL ON *.* TO x509");
    Some(server)
}

fn task(server: &Server) -> Task {
    let task = Task::new(server.port());
    task.write("d.t.0.sql", dumpling("t", numbered(0, 200), 100));
    task
}

/// Nothing was written, not even a schema.
fn assert_untouched(server: &Server) {
    let count = "SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='lightning_task_info'";
    assert_eq!(server.value(count), "0");
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
}

#[test]
fn a_target_that_wants_it() {
    let certs = Certificates::new();
    let file = |name: &str| certs.file(name).display().to_string();
    for kind in [Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = strict(kind, &certs) else { continue };
        let (ca, other) = (file("ca.pem"), file("other-ca.pem"));
        let key = file("client-key.pem");
        // What is refused, and what is said.
        let plain = if kind == Kind::MariaDb1011 { "Access denied" } else { "insecure transport" };
        for (section, lines, said) in [
            ("tidb", "tls = 'false'".to_owned(), plain),
            ("security", format!("ca-path = '{other}'"), "certificate"),
            ("tidb.security", format!("ca-path = '{other}'"), "certificate"),
            ("security", "ca-path = '/no/such.pem'".to_owned(), "/no/such.pem"),
            ("security", format!("ca-path = '{key}'"), "client-key.pem"),
            ("security", format!("ca-path = '{ca}'\nkey-path = '{key}'"), "given together"),
            ("tidb", "tls = 'cluster'".to_owned(), "cannot set `tidb.tls` to 'cluster'"),
        ] {
            let mut task = task(&server);
            task.set(section, &lines);
            let done = task.tool().run().failure().expect_code(1);
            assert!(done.stderr.contains(said), "{kind:?} {lines}: {}", done.shown());
            assert!(!done.shown().contains("PRIVATE KEY"), "{}", done.shown());
            assert_untouched(&server);
        }
        // What gets in: each over TLS, because nothing else is let in.
        for (section, lines) in [
            ("security", format!("ca-path = '{ca}'")),
            // The target's own section wins.
            ("security", format!("ca-path = '{other}'\n[tidb.security]\nca-path = '{ca}'")),
            ("tidb", format!("tls = 'cluster'\n[security]\nca-path = '{ca}'")),
            // Nobody is asked who he is.
            ("tidb", format!("tls = 'skip-verify'\n[security]\nca-path = '{other}'")),
            ("tidb", "tls = 'preferred'".to_owned()),
            ("tidb", String::new()),
        ] {
            let mut task = task(&server);
            task.set(section, &lines);
            task.import_expecting(LogCheck::new());
            assert_numbers(&server, "d.t", 200);
            server.sql("TRUNCATE d.t; DROP DATABASE lightning_task_info");
        }
        // Flags, and an account that wants a certificate of ours.
        let flags = ["-tidb-user", "x509", "-tidb-password", "pw", "-ca", &ca];
        let task = task(&server);
        let done = task.tool().args(flags).run().failure().expect_code(1);
        assert!(done.stderr.contains("Access denied"), "{}", done.shown());
        assert_untouched(&server);
        task.tool().args(flags).args(["-cert", &file("client.pem"), "-key", &key]).run().success();
        assert_numbers(&server, "d.t", 200);
    }
}

#[test]
fn a_target_that_has_none() {
    let certs = Certificates::new();
    for (kind, options) in [
        (Kind::MySql8033, Options::default().with("tls_version=''")),
        (Kind::MySql57, Options::default()),
        (Kind::MariaDb1011, Options::default()),
    ] {
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))");
        let ca = certs.file("ca.pem").display().to_string();
        for (section, lines) in [
            ("tidb", "tls = 'skip-verify'".to_owned()),
            ("tidb", format!("tls = 'cluster'\n[security]\nca-path = '{ca}'")),
            ("security", format!("ca-path = '{ca}'")),
        ] {
            let mut task = task(&server);
            task.set(section, &lines);
            let done = task.tool().run().failure().expect_code(1);
            assert!(done.stderr.contains("TLS"), "{kind:?} {lines}: {}", done.shown());
            assert_untouched(&server);
        }
        let mut task = task(&server);
        task.set("tidb", "tls = 'preferred'");
        task.import();
        assert_numbers(&server, "d.t", 200);
    }
}
