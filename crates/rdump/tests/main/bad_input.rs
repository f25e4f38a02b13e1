//! Wrong flags, wrong logins, missing privileges, taken folders: one clear error each, the right exit code, nothing
//! written.

use std::path::Path;

use mysql::TlsMode;
use testkit::{Account, Certificates, Kind, LogCheck, Options, Server, Tool};

use crate::support::{dump, files, program, rdump, work_dir};

fn alone(args: &[&str]) -> testkit::tool::Finished {
    Tool::at("rdump", &program()).args(args).run()
}

#[test]
fn flags_that_cannot_be_read_end_with_2() {
    for (args, text) in [
        (&["--nope"][..], "unknown flag: --nope"),
        (&["--thread", "4"], "unknown flag: --thread; did you mean --threads?"),
        (&["--row", "4"], "did you mean --rows?"),
        (&["-x"], "unknown shorthand flag: 'x' in -x"),
        (&["-t", "many"], "invalid argument \"many\" for \"-t, --threads\" flag"),
        (&["-f", "d1.\"big\""], "bare \" in non-quoted-field"),
        (&["--host"], "flag needs an argument: --host"),
        (&["-h"], "flag needs an argument: 'h' in -h"),
    ] {
        let done = alone(args).expect_code(2).says(text);
        assert!(done.stdout.contains(text) && done.stderr.contains("Usage:"), "{args:?}");
    }
}

#[test]
fn flags_that_cannot_be_used_end_with_1() {
    for (args, text) in [
        (&["-t", "0"][..], "parse arguments failed: --threads is set to 0. It should be greater than 0"),
        (&["-F", "abc"], "parse arguments failed: failed to parse filesize (-F 'abc')"),
        (&["--no-views", "false"], "meet some unparsed arguments, please check again: [false]"),
        (&["-p", "-B", "db"], "(-p takes the next word as the password"),
        (&["--parquet-page-size", "1MiB"], "--parquet-page-size is for --filetype parquet"),
        (&["--filetype", "parquet", "--parquet-page-size", "x"], "--parquet-page-size is set to x"),
        (&["--consistency", "maybe"], "invalid consistency option maybe"),
        (&["-f", "a-b.c"], "failed to parse filter: at <cmdline>:1: unexpected special character '-'"),
    ] {
        alone(args).expect_code(1).says(text);
    }
}

#[test]
fn an_argument_that_is_no_utf_8_ends_with_2() {
    use std::os::unix::ffi::OsStrExt;
    let mut tool = Tool::at("rdump", &program());
    tool.command_mut().arg(std::ffi::OsStr::from_bytes(b"-B\xff"));
    tool.run().expect_code(2).says("is not UTF-8");
}

/// `-f @file`: a file with rules that is not there, and one with a rule that can't be read.
#[test]
fn filter_files_that_cannot_be_used() {
    let dir = work_dir();
    let file = dir.join("rules");
    alone(&["-f", &format!("@{}", file.display())])
        .expect_code(1)
        .says("failed to parse filter: ")
        .says("cannot open filter file");
    std::fs::write(&file, "a.*\nb\n").unwrap();
    alone(&["-f", &format!("@{}", file.display())]).expect_code(1).says(&format!("{}:2: ", file.display()));
}

#[test]
fn help_and_version() {
    let help = alone(&["--help"]).expect_code(0);
    assert!(help.stderr.contains("Examples:") && help.stdout.is_empty());
    for flag in ["-V", "--version"] {
        let version = alone(&[flag]).expect_code(0);
        assert!(version.stderr.starts_with("Release Version: v"), "{}", version.shown());
    }
}

#[test]
fn nobody_listens() {
    let dir = work_dir();
    let port = testkit::port::free_port().to_string();
    let out = dir.join("o");
    let out = out.to_str().unwrap();
    alone(&["-P", &port, "-o", out, "--status-addr="])
        .expect_code(1)
        .says("create dumper failed: connect to 127.0.0.1:");
    alone(&["-o", out, "--status-addr=", "-p", "3306"]).expect_code(1).says("the port is given with -P");
    alone(&["-h", "no.such.host.invalid", "-o", out, "--status-addr="])
        .expect_code(1)
        .says("create dumper failed:");
    assert!(!Path::new(out).exists(), "nothing was written, so there is no folder either");
}

#[test]
fn logins_and_privileges() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql(
        "CREATE DATABASE p; CREATE TABLE p.t (a INT); CREATE TABLE p.u (a INT); INSERT INTO p.t VALUES (1); CREATE VIEW p.v AS SELECT 1;
         CREATE USER half@'%' IDENTIFIED BY 'half-Pw1'; GRANT RELOAD, REPLICATION CLIENT, PROCESS ON *.* TO half@'%'; GRANT SELECT ON p.t TO half@'%';
         CREATE USER nopos@'%' IDENTIFIED BY 'nopos-Pw1'; GRANT RELOAD, SELECT ON *.* TO nopos@'%';
         CREATE USER noview@'%' IDENTIFIED BY 'noview-Pw1'; GRANT RELOAD, SELECT, REPLICATION CLIENT ON *.* TO noview@'%';
         CREATE USER insert_only@'%' IDENTIFIED BY 'half-Pw1'; GRANT RELOAD, REPLICATION CLIENT, INSERT ON *.* TO insert_only@'%';",
    );
    let dir = work_dir();
    let port = server.port().to_string();
    let out = dir.join("o");
    let run = |user: &str, password: &str, args: &[&str]| {
        Tool::at("rdump", &program())
            .args(["-P", &port, "-u", user, "-p", password, "--status-addr="])
            .args(args)
            .arg("-o")
            .arg(&out)
            .run()
    };
    let done = run("dump", "wrong", &["-B", "p"])
        .expect_code(1)
        .says("create dumper failed: ")
        .says("Access denied for user");
    assert!(!done.shown().contains("wrong"));
    run("nopos", "nopos-Pw1", &["-B", "p"])
        .expect_code(1)
        .says("GRANT REPLICATION CLIENT ON *.* TO 'nopos'@'%'");
    run("noview", "noview-Pw1", &["-B", "p", "-W=false"])
        .expect_code(1)
        .says("GRANT SHOW VIEW ON `p`.`v` TO 'noview'@'%'");
    run("insert_only", "half-Pw1", &["-B", "p"])
        .expect_code(1)
        .says("GRANT SELECT ON `p`.`t` TO 'insert_only'@'%'");
    let nobody = Account::Nobody.credentials();
    run(nobody.user, nobody.password, &["-B", "p"])
        .expect_code(1)
        .says("Unknown databases [p]")
        .says("GRANT SELECT ON `p`.* TO 'nobody'@'%'");
    run("half", "half-Pw1", &["-T", "p.u"])
        .expect_code(1)
        .says("table `p`.`u` doesn't exist, or the account may not see it");
    assert!(!out.exists(), "a dump that may not begin leaves no folder");
    // RELOAD is only known to be missing when the lock is asked for: the folder is removed again.
    server.sql("CREATE USER nolock@'%' IDENTIFIED BY 'half-Pw1'; GRANT SELECT, REPLICATION CLIENT ON *.* TO nolock@'%'");
    run("nolock", "half-Pw1", &["-B", "p", "--consistency", "flush"])
        .expect_code(1)
        .says("GRANT RELOAD ON *.* TO 'nolock'@'%'");
    assert!(!out.exists());
    // $MYSQL_PWD is taken where -p is not given.
    let login = Account::Dump.credentials();
    Tool::at("rdump", &program())
        .args(["-P", &port, "-u", login.user, "-B", "p", "--status-addr=", "-o"])
        .arg(&out)
        .env("MYSQL_PWD", login.password)
        .run()
        .success();
}

#[test]
fn names_that_are_not_there() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    let dir = work_dir();
    for (args, text) in [
        (&["-B", "nope,mysql"][..], "Unknown databases [nope,mysql]"),
        (&["-T", "mysql.nope"], "table `mysql`.`nope` doesn't exist"),
        (&["--consistency", "snapshot"], "snapshot consistency is not supported for this server"),
        (
            &["--snapshot", "1"],
            "can't specify --snapshot when --consistency isn't snapshot, resolved consistency: flush",
        ),
        (&["--params", "time_zone=nonsense"], "set session variable time_zone"),
        (&["-S", "SELECT nonsense"], "run the query of --sql"),
        (&["-f", "mysql.user", "--where", "no_such = 1"], "read table `mysql`.`user`"),
    ] {
        let out = dir.join("o");
        rdump(&server, Account::Admin, &out).args(args).run().expect_code(1).says(text);
        assert!(!out.join("metadata").exists());
    }
    dump(&server, &["--params", "no_such_variable=1", "-f", "!a.b"], &dir.join("p"));
}

#[test]
fn folders_that_are_taken() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1)");
    let dir = work_dir();
    let out = dir.join("o");
    dump(&server, &["-B", "d"], &out);
    let before = files(&out);
    rdump(&server, Account::Dump, &out).args(["-B", "d"]).run().expect_code(1).says("already holds a dump");
    assert_eq!(files(&out), before);
    std::fs::remove_file(out.join("metadata")).unwrap();
    // Now it is an unfinished dump of ours, to which somebody added a file.
    std::fs::write(out.join("d.other.sql"), "x").unwrap();
    rdump(&server, Account::Dump, &out)
        .args(["-B", "d"])
        .run()
        .expect_code(1)
        .says("d.other.sql, which is not part of it");
    std::fs::remove_file(out.join("d.other.sql")).unwrap();
    std::fs::write(out.join("README.txt"), "x").unwrap();
    std::fs::create_dir(out.join("sub")).unwrap();
    std::fs::write(out.join("sub/notes.md"), "y").unwrap();
    let done = rdump(&server, Account::Dump, &out).args(["-B", "d"]).run().success();
    LogCheck::new()
        .allow("holds files that are not of a dump.*files=2.*first=README.txt")
        .require("holds files that are not of a dump")
        .check(&done.stdout);
    assert_eq!(std::fs::read(out.join("README.txt")).unwrap(), b"x");
    assert_eq!(std::fs::read(out.join("sub/notes.md")).unwrap(), b"y");
    std::fs::remove_dir_all(out.join("sub")).unwrap();
    std::fs::remove_file(out.join("metadata")).unwrap();
    std::fs::remove_file(out.join(common::dumpfile::MANIFEST)).unwrap();
    rdump(&server, Account::Dump, &out)
        .args(["-B", "d"])
        .run()
        .expect_code(1)
        .says("already holds dump files");
    std::fs::write(dir.join("file"), "x").unwrap();
    for (folder, why) in [
        (dir.join("file"), "file is not a folder"),
        (dir.join("file/deep"), "file is not a folder"),
        ("/proc/rdump-test".into(), "can't be made: No such file or directory"),
        ("/proc".into(), "can't be written to: No such file or directory"),
    ] {
        rdump(&server, Account::Dump, &folder)
            .run()
            .expect_code(1)
            .says(&format!("create dumper failed: the output folder {} can't be ", folder.display()))
            .says(why)
            .says("choose another one with -o");
    }
    rdump(&server, Account::Dump, Path::new("ftp://host/x")).run().expect_code(1).says("not supported");
}

#[test]
fn certificates_are_checked() {
    let certificates = Certificates::new();
    let Some(server) = Server::start_or_skip(Kind::MySql8033, certificates.serve(Options::default())) else {
        return;
    };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1)");
    let dir = work_dir();
    let tls = certificates.client(TlsMode::VerifyCa);
    assert_eq!(tls.mode, TlsMode::VerifyCa);
    let file = |name: &str| certificates.file(name).to_str().unwrap().to_owned();
    dump(&server, &["-B", "d", "--ca", &file("ca.pem")], &dir.join("good"));
    rdump(&server, Account::Dump, &dir.join("bad"))
        .args(["-B", "d", "--ca", &file("other-ca.pem")])
        .run()
        .expect_code(1)
        .says("create dumper failed: ");
    rdump(&server, Account::Dump, &dir.join("bad"))
        .args(["-B", "d", "--ca", "/no/such/file"])
        .run()
        .expect_code(1)
        .says("/no/such/file");
}

/// Encryption that nobody asked for is left out only where no byte leaves the machine, and where the server lets us.
#[test]
fn tls_on_this_machine() {
    let certificates = Certificates::new();
    let Some(server) = Server::start_or_skip(Kind::MySql8033, certificates.serve(Options::default())) else {
        return;
    };
    server.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1);
         CREATE USER tls@'%' IDENTIFIED BY 'tls-Pw1' REQUIRE SSL; GRANT SELECT, RELOAD, REPLICATION CLIENT ON *.* TO tls@'%'",
    );
    let dir = work_dir();
    let run = |name: &str, port: u16, user: &str, password: &str| {
        Tool::at("rdump", &program())
            .args(["-P", &port.to_string(), "-u", user, "-p", password, "-B", "d", "--status-addr=", "-o"])
            .arg(dir.join(name))
            .run()
            .success()
    };
    let login = Account::Dump.credentials();
    let says = "rows are read without TLS";
    run("direct", server.port(), login.user, login.password).says(says);
    let proxy = testkit::Proxy::to(&server);
    let proxied = run("proxied", proxy.port(), login.user, login.password);
    assert!(!proxied.stdout.contains(says), "{}", proxied.shown());
    let required = run("required", server.port(), "tls", "tls-Pw1");
    assert!(!required.stdout.contains(says), "{}", required.shown());
}

/// A server that asks for the password in the clear, as LDAP and PAM do.
fn cleartext_server() -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let Ok(mut socket) = socket else { return };
            // Protocol 4.1, plugins, no TLS.
            let mut hello = b"\x0a8.0.0\0\x01\0\0\0abcdefgh\0".to_vec();
            let capabilities = 0x0008_a200u32 | 1;
            hello.extend(&capabilities.to_le_bytes()[..2]);
            hello.extend([45, 2, 0]);
            hello.extend(&capabilities.to_le_bytes()[2..]);
            hello.extend([21]);
            hello.extend([0; 10]);
            hello.extend(b"ijklmnopqrst\0mysql_native_password\0");
            let packet =
                |body: &[u8], number: u8| [&(body.len() as u32).to_le_bytes()[..3], &[number], body].concat();
            let mut buffer = [0; 4096];
            let _ = socket.write_all(&packet(&hello, 0));
            let _ = socket.read(&mut buffer);
            let _ = socket.write_all(&packet(b"\xfemysql_clear_password\0", 2));
            let answer = socket.read(&mut buffer).unwrap_or(0);
            assert!(
                !buffer[..answer].windows(6).any(|part| part == b"s3cret"),
                "the password came in the clear"
            );
        }
    });
    port
}

#[test]
fn a_password_in_the_clear_needs_leave_and_a_verified_server() {
    let port = cleartext_server().to_string();
    let dir = work_dir();
    let out = dir.join("o");
    let out = out.to_str().unwrap();
    let args = ["-P", &port, "-p", "s3cret", "--status-addr=", "-o", out];
    alone(&args).expect_code(1).says("mysql_clear_password), which was not allowed");
    let args = [&args[..], &["--allow-cleartext-passwords"]].concat();
    alone(&args).expect_code(1).says("goes only over TLS in the modes verify-ca and verify-identity");
}

#[test]
fn ways_to_give_the_password() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    let dir = work_dir();
    let login = Account::Dump.credentials();
    let file = dir.join("password");
    std::fs::write(&file, format!("{}\n", login.password)).unwrap();
    let port = server.port().to_string();
    let tool = |out: &str| {
        Tool::at("rdump", &program())
            .args(["-P", &port, "-u", login.user, "-B", "mysql", "-f", "*.*", "-d", "--status-addr=", "-o"])
            .arg(dir.join(out))
    };
    tool("file").arg("--password-file").arg(&file).run().success();
    tool("none")
        .args(["--password-file", "/no/such/file"])
        .run()
        .expect_code(1)
        .says("/no/such/file can't be read");
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, format!("{}\n", login.password).as_bytes()).unwrap();
    drop(writer);
    let mut asking = tool("asked").arg("--ask-password");
    asking.command_mut().stdin(reader);
    let done = asking.run().success();
    assert!(!done.shown().contains(login.password));
}
