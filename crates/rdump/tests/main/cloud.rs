//! Dumps in a bucket: written by rdump, read by rlightning, whole or told apart from whole ones.

use std::time::Duration;

use testkit::cloud::BUCKET;
use testkit::{
    Account, Cloud, CloudServer, Fault, HttpFaults, Kind, LogCheck, Options, Server, Tool, WorkDir,
};

use crate::support::{program, work_dir};

/// A table of one file in several parts, one of several chunks and an empty one.
fn source() -> Option<Server> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql(
        "CREATE DATABASE k; CREATE TABLE k.a (n INT PRIMARY KEY); INSERT INTO k.a VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE k.empty (n INT);
         CREATE TABLE k.t (id INT PRIMARY KEY, pad VARCHAR(500));
         INSERT INTO k.t SELECT x.n*10000+y.n*1000+z.n*100+v.n*10+w.n, REPEAT(CHAR(97 + w.n), 440)
           FROM k.a x, k.a y, k.a z, k.a v, k.a w WHERE x.n < 5;
         ANALYZE TABLE k.t",
    );
    Some(server)
}

fn rdump(port: u16) -> Tool {
    let login = Account::Dump.credentials();
    let port = port.to_string();
    // Only what the test says: neither the machine's keys nor its instance.
    Tool::at("rdump", &program())
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .args(["-P", &port, "-u", login.user, "-p", login.password, "--status-addr=", "-B", "k", "-t", "2"])
}

fn rlightning(dir: &WorkDir, url: &str, target: &Server) -> Tool {
    let login = Account::Target.credentials();
    let config = dir.join("rlightning.toml");
    let text = format!(
        "[lightning]\nfile = '{}'\n[mydumper]\ndata-source-dir = '{url}'\n[tikv-importer]\nbackend = 'tidb'\n\
         [tidb]\nhost = '127.0.0.1'\nport = {}\nuser = '{}'\npassword = '{}'\n",
        dir.join("rlightning.log").display(),
        target.port(),
        login.user,
        login.password,
    );
    std::fs::write(&config, text).unwrap();
    Tool::new("rlightning").arg("-config").arg(config)
}

fn assert_same(source: &Server, target: &Server) {
    for sum in [
        "SELECT CONCAT(COUNT(*), ':', SUM(CRC32(CONCAT_WS('-', id, pad)))) FROM k.t",
        "SELECT CONCAT(COUNT(*), ':', SUM(n)) FROM k.a",
        "SELECT COUNT(*) FROM k.empty",
    ] {
        assert_eq!(source.value(sum), target.value(sum), "{sum}");
    }
    assert_eq!(target.value("SELECT COUNT(*) FROM k.t"), "50000");
}

#[test]
fn a_dump_goes_through_s3_over_a_bad_network() {
    let Some(cloud) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let (Some(source), Some(target)) = (source(), Server::start_or_skip(Kind::MySql8033, Options::default()))
    else {
        return;
    };
    let proxy = HttpFaults::start(cloud.port(), |_line, number| match number % 17 {
        3 => Fault::Status(503),
        7 => Fault::Lost,
        11 => Fault::AnswerLost,
        13 => Fault::Status(500),
        _ => Fault::None,
    });
    let (access, secret) = cloud.keys();
    let endpoint = format!("http://127.0.0.1:{}", proxy.port());
    let bucket = format!("s3://{BUCKET}/day/1");
    let with_keys = |tool: Tool| {
        tool.env("AWS_ACCESS_KEY_ID", access).env("AWS_SECRET_ACCESS_KEY", secret).args([
            "--s3.endpoint",
            &endpoint,
            "-o",
            &bucket,
        ])
    };
    let done = with_keys(rdump(source.port())).run().success();
    // Retries are told.
    LogCheck::new().allow("failed, will try again").check(&done.stdout);
    assert!(!done.shown().contains(secret));
    // A finished dump is not written over, and verifies.
    with_keys(rdump(source.port())).run().failure().says("already holds a dump");
    let verify = with_keys(Tool::at("rdump", &program()).arg("verify")).run().success();
    verify.says("verified: 50010 rows");
    let dir = work_dir();
    rlightning(&dir, &cloud.url_through(proxy.port(), "day/1"), &target).run().success();
    assert_same(&source, &target);
    let log = std::fs::read_to_string(dir.join("rlightning.log")).unwrap();
    // The URL had the keys, with or without encoding.
    assert!(
        !log.contains(access) && !log.contains(&secret[..8]) && !log.contains("secret-access-key"),
        "{log}"
    );
    assert!(log.contains(&bucket), "{log}");
    assert!(proxy.faults() > 10, "{}", proxy.faults());
    let uploads = cloud.peek(&format!("/{BUCKET}?uploads"));
    assert!(!uploads.contains("<Upload>"), "{uploads}");
}

#[test]
fn an_unfinished_dump_in_a_bucket_is_known_as_one() {
    let Some(cloud) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let (Some(source), Some(target)) = (source(), Server::start_or_skip(Kind::MySql8033, Options::default()))
    else {
        return;
    };
    let url = cloud.url("x");
    // The large table's files do not come through; the dump is killed when it waits for one.
    let proxy = HttpFaults::start(cloud.port(), |line, _| match line.contains("/k.t.") {
        true => Fault::Late(Duration::from_secs(60)),
        false => Fault::None,
    });
    let mut tool =
        rdump(source.port()).args(["-r", "1000", "-o", &cloud.url_through(proxy.port(), "x")]).start();
    testkit::wait_until_blocking(Duration::from_secs(60), "a file is on its way", || proxy.faults() > 0);
    tool.kill();
    tool.finish(Duration::from_secs(10));
    let dir = work_dir();
    rlightning(&dir, &url, &target).run().failure().says("that rdump has not finished");
    let done = rdump(source.port()).args(["-r", "10000", "-c", "zstd", "-o", &url]).run().success();
    assert!(!done.shown().contains(cloud.keys().1));
    done.says("replace an unfinished dump");
    rlightning(&dir, &url, &target).run().success();
    assert_same(&source, &target);
}

#[test]
fn a_role_is_assumed_and_what_is_wrong_is_said_before_the_server_is_touched() {
    let Some(cloud) = CloudServer::start_or_skip(Cloud::Moto) else { return };
    let Some(source) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    source.sql("CREATE DATABASE k; CREATE TABLE k.t (n INT PRIMARY KEY); INSERT INTO k.t VALUES (1)");
    let endpoint = format!("http://127.0.0.1:{}", cloud.port());
    let role = cloud.role();
    rdump(source.port())
        .env("AWS_ENDPOINT_URL_STS", &endpoint)
        .args(["--s3.role-arn", &role, "--s3.external-id", "x", "-o", &cloud.url("role")])
        .run()
        .success();
    let (access, secret) = cloud.keys();
    for (flags, expected) in [
        (vec!["--s3.acl", "public-read"], "`acl` is not supported"),
        (vec!["--s3.sse", "rot13"], "`sse` is AES256"),
        (vec!["--gcs.predefined-acl", "x"], "--gcs.predefined-acl is not supported yet by rdump"),
        (
            vec!["--s3.role-arn", "arn:aws:iam::1:role/none"],
            "the role arn:aws:iam::1:role/none can't be assumed",
        ),
    ] {
        // Nobody listens at the database's port: it is not come to.
        let failed = rdump(1)
            .env("AWS_ENDPOINT_URL_STS", "http://127.0.0.1:1")
            .env("AWS_ACCESS_KEY_ID", access)
            .env("AWS_SECRET_ACCESS_KEY", secret)
            .args(["--s3.endpoint", &endpoint, "-o", &format!("s3://{BUCKET}/wrong")])
            .args(flags)
            .run()
            .failure();
        assert!(!failed.shown().contains(secret));
        failed.says(expected);
    }
}
