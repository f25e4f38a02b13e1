//! wire: the binlog stream of real servers, byte for byte what lies in their files.

use std::time::Duration;

use mysql::wire::{BinlogRequest, BinlogStream, Refusal, Start, WireConn};
use mysql::{Error, ErrorClass, Flavor, GtidSet};
use testkit::proxy::{Direction, End};
use testkit::{Account, Kind, Options, Proxy, Server};

const ROTATE: u8 = 4;
const FORMAT: u8 = 15;
const GTID: u8 = 33;
const HEARTBEAT: u8 = 27;
const PREVIOUS_GTIDS: u8 = 35;
const TAGGED_GTID: u8 = 42;
const MARIADB_GTID: u8 = 162;
const MARIADB_GTID_LIST: u8 = 163;

fn flavor(kind: Kind) -> Flavor {
    if kind.is_mariadb() { Flavor::MariaDb } else { Flavor::MySql }
}

fn from_position(kind: Kind, file: &str, pos: u64) -> BinlogRequest {
    BinlogRequest::new(4_000_001, flavor(kind), Start::Position { file: file.into(), pos })
}

fn from_gtid(kind: Kind, set: &str) -> BinlogRequest {
    let set = GtidSet::parse(flavor(kind), set).unwrap();
    BinlogRequest::new(4_000_001, flavor(kind), Start::Gtid(set))
}

async fn open(server: &Server, request: &BinlogRequest) -> Result<BinlogStream, Error> {
    BinlogStream::open(&server.endpoint(Account::Replicate), request).await
}

/// All events up to the end of the binlog.
async fn read(server: &Server, request: BinlogRequest) -> Result<Vec<Vec<u8>>, Error> {
    let mut stream = open(server, &request.without_waiting()).await?;
    let mut events = Vec::new();
    while let Some(frame) = stream.next_or_end().await? {
        events.push(frame.to_vec());
    }
    Ok(events)
}

/// The error that a stream ends with.
async fn error_of(stream: &mut BinlogStream, what: impl std::fmt::Debug) -> Error {
    let ended = async {
        loop {
            if let Err(error) = stream.next().await {
                break error;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await;
    ended.unwrap_or_else(|_| panic!("the stream goes on and on: {what:?}"))
}

/// The error that a request ends with.
async fn refused(server: &Server, request: &BinlogRequest) -> Error {
    match open(server, request).await {
        Ok(mut stream) => error_of(&mut stream, (server.kind(), request)).await,
        Err(error) => error,
    }
}

fn executed(server: &Server) -> String {
    if server.kind().is_mariadb() {
        server.value("SELECT @@global.gtid_binlog_pos")
    } else {
        server.value("SELECT @@global.gtid_executed").replace('\n', "")
    }
}

/// Name and end of the file that is written now.
fn position(server: &Server) -> (String, u64) {
    let sql = if server.kind() == Kind::MySql97 { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let rows = server.rows(sql);
    let row = rows.first().unwrap();
    (row.str(0).unwrap().unwrap(), row.str(1).unwrap().unwrap().parse().unwrap())
}

/// MariaDB writes into a new file, in the background, that the old ones are done with. Waits for it.
async fn settle(server: &Server) {
    if !server.kind().is_mariadb() {
        return;
    }
    let (file, _) = position(server);
    let said = async || {
        let events = server.rows(format!("SHOW BINLOG EVENTS IN '{file}'"));
        events.iter().any(|event| {
            let text = |name: &str| event.str(name).unwrap().unwrap_or_default();
            text("Event_type") == "Binlog_checkpoint" && text("Info") == file
        })
    };
    testkit::wait_until(Duration::from_secs(20), "the checkpoint is in the binlog", said).await;
}

fn work(server: &Server) {
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b LONGBLOB)");
    for a in 0..5 {
        server.sql(format!("INSERT INTO d.t VALUES ({a}, REPEAT('x', {a} * 1000))"));
    }
    server.sql("UPDATE d.t SET b = 'u' WHERE a < 3; DELETE FROM d.t WHERE a = 4");
}

/// Events that lie in files, but for the first of each, whose flag "in use" the server changes.
fn of_files(events: &[Vec<u8>]) -> Vec<u8> {
    let real = |event: &&Vec<u8>| {
        let artificial = event[13..17] == [0; 4] || u16::from_le_bytes([event[17], event[18]]) & 0x20 != 0;
        !artificial && event[4] != FORMAT && event[4] != HEARTBEAT
    };
    events.iter().filter(real).flatten().copied().collect()
}

fn count(events: &[Vec<u8>], kinds: &[u8]) -> usize {
    events.iter().filter(|event| kinds.contains(&event[4])).count()
}

/// A binlog file without its magic and its first event.
fn file_tail(server: &Server, name: &str) -> Vec<u8> {
    let bytes = std::fs::read(server.data_dir().join(name)).unwrap();
    let first = u32::from_le_bytes(bytes[4 + 9..4 + 13].try_into().unwrap()) as usize;
    bytes[4 + first..].to_vec()
}

#[tokio::test]
async fn by_position_events_are_the_bytes_of_the_files() {
    for kind in Kind::ALL {
        for options in [Options::default(), Options::default().checksum("NONE")] {
            let options = options.with("max_allowed_packet=128M").with("loose_innodb_log_file_size=256M");
            let Some(server) = Server::start_or_skip(kind, options) else { continue };
            work(&server);
            let (first, _) = position(&server);
            server.sql("FLUSH BINARY LOGS");
            // An event of several packets.
            let mut conn = WireConn::connect(&server.endpoint(Account::Admin)).await.unwrap();
            conn.simple("INSERT INTO d.t VALUES (100, REPEAT('y', 20000000))").await.unwrap();
            conn.simple("INSERT INTO d.t VALUES (101, 'after')").await.unwrap();
            settle(&server).await;
            let (second, end) = position(&server);
            assert_ne!(first, second);
            let events = read(&server, from_position(kind, &first, 4)).await.unwrap();
            assert_eq!(events[0][4], ROTATE, "{kind}");
            assert_eq!(events[1][4], FORMAT, "{kind}");
            let expected = [file_tail(&server, &first), file_tail(&server, &second)].concat();
            assert!(of_files(&events) == expected, "{kind}: other bytes than in the files");
            let later = read(&server, from_position(kind, &second, 4)).await.unwrap();
            assert!(of_files(&later) == file_tail(&server, &second), "{kind}");
            // From the end there is nothing but the head.
            let nothing = read(&server, from_position(kind, &second, end)).await.unwrap();
            assert!(of_files(&nothing).is_empty() && nothing.len() >= 2, "{kind}");
        }
    }
}

#[tokio::test]
async fn by_gtid_only_what_the_set_lacks_comes() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let before = executed(&server);
        server.sql("INSERT INTO d.t VALUES (50, 'new')");
        server.sql("FLUSH BINARY LOGS");
        server.sql("INSERT INTO d.t VALUES (51, 'newer')");
        let after = executed(&server);
        let gtids = [GTID, TAGGED_GTID, MARIADB_GTID];
        let all = read(&server, from_gtid(kind, "")).await.unwrap();
        assert!(count(&all, &gtids) >= 11, "{kind}: {}", count(&all, &gtids));
        assert!(count(&all, &[PREVIOUS_GTIDS, MARIADB_GTID_LIST]) >= 2, "{kind}");
        let new = read(&server, from_gtid(kind, &before)).await.unwrap();
        assert_eq!(count(&new, &gtids), 2, "{kind}");
        let none = read(&server, from_gtid(kind, &after)).await.unwrap();
        assert_eq!(count(&none, &gtids), 0, "{kind}");
        // Of another family.
        let foreign = if kind.is_mariadb() {
            (
                GtidSet::parse(Flavor::MySql, "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5").unwrap(),
                Flavor::MariaDb,
            )
        } else {
            (GtidSet::parse(Flavor::MariaDb, "0-1-5").unwrap(), Flavor::MySql)
        };
        let request = BinlogRequest::new(1, foreign.1, Start::Gtid(foreign.0));
        assert_eq!(open(&server, &request).await.unwrap_err().class(), ErrorClass::Config);
    }
}

#[tokio::test]
async fn tagged_gtids_are_understood_by_a_server_that_has_them() {
    let Some(server) = Server::start_or_skip(Kind::MySql97, Options::default()) else { return };
    work(&server);
    for a in [60, 61] {
        server.sql(format!(
            "SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO d.t VALUES ({a}, ''); \
                            SET gtid_next = AUTOMATIC"
        ));
    }
    let before = executed(&server);
    assert!(before.contains(":blue:1-2"), "{before}");
    server
        .sql("SET gtid_next = 'AUTOMATIC:blue'; INSERT INTO d.t VALUES (62, ''); SET gtid_next = AUTOMATIC");
    server.sql("INSERT INTO d.t VALUES (63, '')");
    let new = read(&server, from_gtid(Kind::MySql97, &before)).await.unwrap();
    assert_eq!((count(&new, &[TAGGED_GTID]), count(&new, &[GTID])), (1, 1));
}

#[tokio::test]
async fn a_stream_waits_and_hears_heartbeats() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let (file, end) = position(&server);
        let request = from_position(kind, &file, end).with_heartbeat(Duration::from_millis(200));
        let mut stream = open(&server, &request).await.unwrap();
        let mut heartbeats = 0;
        while heartbeats < 3 {
            let frame = stream.next().await.unwrap_or_else(|error| panic!("{kind}: {error}"));
            heartbeats += u32::from(frame.kind() == HEARTBEAT);
        }
        server.sql("INSERT INTO d.t VALUES (70, 'live')");
        loop {
            let frame = stream.next().await.unwrap();
            if frame.bytes().windows(4).any(|bytes| bytes == b"live") {
                break;
            }
        }
        let hosts = if kind == Kind::MySql97 { "SHOW REPLICAS" } else { "SHOW SLAVE HOSTS" };
        let hosts = server.rows(hosts);
        assert_eq!(hosts.first().unwrap().str(0).unwrap().unwrap(), "4000001", "{kind}");
        // A server that stands still says nothing: the line is given up after two periods.
        let pid = server.pid().unwrap().to_string();
        let signal = |name: &str| {
            let status = std::process::Command::new("kill").args([name, &pid]).status().unwrap();
            assert!(status.success());
        };
        signal("-STOP");
        let begin = std::time::Instant::now();
        let error = error_of(&mut stream, kind).await;
        let waited = begin.elapsed();
        signal("-CONT");
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind}: {error}");
        assert!(
            waited >= Duration::from_millis(400) && waited < Duration::from_secs(5),
            "{kind}: {waited:?}"
        );
    }
}

#[tokio::test]
async fn a_purged_start_is_refused_as_such() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let (first, _) = position(&server);
        server.sql("FLUSH BINARY LOGS");
        server.sql("INSERT INTO d.t VALUES (50, 'new')");
        let (second, _) = position(&server);
        // MariaDB keeps a file until a checkpoint in the background has passed it.
        let purged = async || {
            server.sql(format!("PURGE BINARY LOGS TO '{second}'"));
            server.rows("SHOW BINARY LOGS").len() == 1
        };
        testkit::wait_until(Duration::from_secs(20), "the first file is gone", purged).await;
        // MariaDB takes an empty position for "from what is there": ask for a transaction that was there.
        let gone = if kind.is_mariadb() { executed(&server) } else { String::new() };
        let by_gtid = match gone.rsplit_once('-') {
            Some((head, _)) => from_gtid(kind, &format!("{head}-2")),
            None => from_gtid(kind, ""),
        };
        for request in [from_position(kind, &first, 4), by_gtid] {
            let error = refused(&server, &request).await;
            assert_eq!(Refusal::of(&error), Some(Refusal::Purged), "{kind}: {error:?}");
            assert_eq!(error.class(), ErrorClass::Binlog);
        }
    }
}

#[tokio::test]
async fn bad_positions_are_refused_as_such() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let (file, end) = position(&server);
        let error = refused(&server, &from_position(kind, &file, end + 1_000_000)).await;
        assert_eq!(Refusal::of(&error), Some(Refusal::BadPosition), "{kind}: {error:?}");
        let error = refused(&server, &from_position(kind, &file, 1 << 32)).await;
        assert_eq!(error.class(), ErrorClass::Unsupported);
        assert!(error.to_string().contains("4 GiB") && error.to_string().contains("4294967296"), "{error}");
        let error = refused(&server, &from_position(kind, "binlog.999999", 4)).await;
        assert_eq!(Refusal::of(&error), Some(Refusal::Purged), "{kind}: {error:?}");
    }
}

#[tokio::test]
async fn two_with_one_server_id_are_noticed() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let (file, end) = position(&server);
        let request = from_position(kind, &file, end).with_heartbeat(Duration::from_millis(300));
        let mut first = open(&server, &request).await.unwrap();
        first.next().await.unwrap();
        let mut second = open(&server, &request).await.unwrap();
        second.next().await.unwrap();
        let error = error_of(&mut first, kind).await;
        if kind == Kind::MySql56 {
            // It ends the older one without a word.
            assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind}: {error:?}");
        } else {
            assert_eq!(Refusal::of(&error), Some(Refusal::ServerIdClash), "{kind}: {error:?}");
        }
        second.next().await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_lacks_is_named() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        let (file, _) = position(&server);
        let request = from_position(kind, &file, 4);
        let endpoint = server.endpoint(Account::Dump);
        let error = match BinlogStream::open(&endpoint, &request).await {
            Ok(mut stream) => stream.next().await.map(|_| ()).unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(Refusal::of(&error), Some(Refusal::Privileges), "{kind}: {error:?}");
        let Some(off) = Server::start_or_skip(kind, Options::default().no_binlog()) else { continue };
        let error = refused(&off, &from_position(kind, "", 4)).await;
        assert_eq!(Refusal::of(&error), Some(Refusal::NoBinlog), "{kind}: {error:?}");
        if !kind.is_mariadb() {
            let Some(off) = Server::start_or_skip(kind, Options::default().no_gtid()) else { continue };
            let error = refused(&off, &from_gtid(kind, "")).await;
            assert_eq!(Refusal::of(&error), Some(Refusal::GtidOff), "{kind}: {error:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_a_lost_connection() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut server) = Server::start_or_skip(kind, Options::default()) else { continue };
        work(&server);
        for round in 0..200 {
            server.sql(format!("INSERT INTO d.t VALUES ({}, REPEAT('z', 10000))", 1000 + round));
        }
        let (file, _) = position(&server);
        let proxy = Proxy::to(&server);
        let mut endpoint = server.endpoint(Account::Replicate).with_tls(mysql::Tls::new(mysql::TlsMode::Off));
        endpoint.port = proxy.port();
        for end in [End::Truncate, End::Reset] {
            // Set before: what the sockets hold would pass otherwise.
            proxy.end_after(Direction::ToClient, 500_000, end);
            let request = from_position(kind, &file, 4);
            let mut stream = BinlogStream::open(&endpoint, &request).await.unwrap();
            let error = error_of(&mut stream, kind).await;
            assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind} {end:?}: {error}");
            assert!(stream.next().await.is_err());
        }
        let mut stream = open(&server, &from_position(kind, &file, 4)).await.unwrap();
        stream.next().await.unwrap();
        server.kill9();
        let error = error_of(&mut stream, kind).await;
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind}: {error}");
    }
}
