//! Statements, rows, streams, and what is left when things break.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use mysql::{Conn, ErrorClass};
use testkit::{Account, Kind, Options, Server, wait_until};

fn server(kind: Kind) -> Option<Server> {
    Server::start_or_skip(kind, Options::default())
}

#[tokio::test]
async fn rows_and_outcomes_on_every_server() {
    for kind in Kind::ALL {
        let Some(server) = server(kind) else { continue };
        let mut conn = server.conn(Account::Admin).await;
        conn.exec("CREATE DATABASE d").await.unwrap();
        conn.exec("CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(20), b VARBINARY(20))")
            .await
            .unwrap();
        let outcome = conn.exec("INSERT INTO d.t (a, b) VALUES ('', NULL), ('é', x'00ff')").await.unwrap();
        assert_eq!((outcome.affected, outcome.last_insert_id, outcome.warnings), (2, 1, 0), "{kind}");
        assert!(outcome.info.starts_with("Records: 2"), "{}", outcome.info);
        let rows = conn.query("SELECT id, a, b, a AS `A b` FROM d.t ORDER BY id").await.unwrap();
        let names: Vec<&str> = rows.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "a", "b", "A b"]);
        let cells: Vec<Vec<Option<&[u8]>>> = rows.iter().map(|row| row.cells().collect()).collect();
        assert_eq!(cells[0], [Some(&b"1"[..]), Some(b""), None, Some(b"")]);
        assert_eq!(
            cells[1],
            [Some(&b"2"[..]), Some("é".as_bytes()), Some(b"\x00\xff"), Some("é".as_bytes())]
        );
        assert_eq!(rows.first().unwrap().parse::<u32>("ID").unwrap(), Some(1));
        assert!(conn.query("SELECT * FROM d.t WHERE 0").await.unwrap().is_empty());
        assert_eq!(conn.query("SELECT * FROM d.t WHERE 0").await.unwrap().columns().len(), 3);
        assert!(conn.query("DO 1").await.unwrap().columns().is_empty());
        assert_eq!(conn.query_one("SELECT a FROM d.t WHERE id = 9").await.unwrap().map(|_| ()), None);
        // Unchanged rows do not count; a text that is too short-sighted warns.
        assert_eq!(conn.exec("UPDATE d.t SET a = 'é' WHERE id = 2").await.unwrap().affected, 0);
        conn.exec("SET SESSION sql_mode = ''").await.unwrap();
        let outcome = conn.exec("UPDATE d.t SET a = REPEAT('x', 30) WHERE id = 2").await.unwrap();
        assert_eq!((outcome.affected, outcome.warnings), (1, 1));
        conn.ping().await.unwrap();
        let id = conn.query_one("SELECT CONNECTION_ID()").await.unwrap().unwrap();
        assert_eq!(id.parse::<u32>(0).unwrap(), Some(conn.id()));
        conn.close().await;
    }
}

#[tokio::test]
async fn statements_are_bytes() {
    let Some(server) = server(Kind::MySql57) else { return };
    let mut conn = server.conn(Account::Admin).await;
    conn.exec("CREATE DATABASE d; CREATE TABLE d.t (a VARCHAR(300) CHARACTER SET latin1)").await.unwrap();
    conn.exec("SET NAMES latin1").await.unwrap();
    let high: Vec<u8> = (0x80..=0xff).collect();
    conn.exec([b"INSERT INTO d.t VALUES ('".as_slice(), &high, b"')"].concat()).await.unwrap();
    let row = conn.query_one("SELECT a, HEX(a) FROM d.t").await.unwrap().unwrap();
    assert_eq!(row.at(0), Some(high.as_slice()));
    assert_eq!(row.text(1).unwrap().len(), 256);
    assert_eq!(row.str(0).unwrap_err().class(), ErrorClass::Value);
}

#[tokio::test]
async fn errors_keep_their_numbers_and_the_connection_goes_on() {
    for kind in Kind::ALL {
        let Some(server) = server(kind) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a TINYINT NOT NULL PRIMARY KEY, b VARCHAR(2))");
        server.sql("INSERT INTO d.t VALUES (1, 'x')");
        let mut conn = server.conn(Account::Admin).await;
        conn.exec("SET SESSION sql_mode = 'STRICT_ALL_TABLES'").await.unwrap();
        for (sql, class, code) in [
            ("INSERT INTO d.t VALUES (1, 'y')", ErrorClass::Duplicate, 1062),
            ("INSERT INTO d.t VALUES (2, 'xyz')", ErrorClass::DataTooLong, 1406),
            ("INSERT INTO d.t VALUES (300, 'x')", ErrorClass::OutOfRange, 1264),
            ("INSERT INTO d.t VALUES (NULL, 'x')", ErrorClass::BadValue, 1048),
            ("INSERT INTO d.t VALUES ('q', 'x')", ErrorClass::BadValue, 1366),
            ("INSERT INTO d.t VALUES (1)", ErrorClass::UnknownColumn, 1136),
            ("INSERT INTO d.t (z) VALUES (1)", ErrorClass::UnknownColumn, 1054),
            ("INSERT INTO d.none VALUES (1)", ErrorClass::UnknownTable, 1146),
            ("USE none", ErrorClass::UnknownDatabase, 1049),
            ("CREATE TABLE d.t (a INT)", ErrorClass::AlreadyExists, 1050),
            ("SELEC 1", ErrorClass::Syntax, 1064),
            ("SET GLOBAL no_such_variable = 1", ErrorClass::UnknownVariable, 1193),
        ] {
            let error = conn.exec(sql).await.unwrap_err();
            assert_eq!((error.class(), error.code()), (class, Some(code)), "{kind}: {error}");
            assert!(error.to_string().contains(sql), "{error}");
            assert!(error.to_string().starts_with("admin@127.0.0.1:"), "{error}");
        }
        // An error in the second statement of a text is not lost.
        let error = conn.exec("DO 1; SELEC 1; DO 2").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Syntax, "{kind}: {error}");
        let error = conn.query("SELECT 1; SELEC 1").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Syntax, "{kind}: {error}");
        assert_eq!(conn.query_one("SELECT 1").await.unwrap().unwrap().at(0), Some(&b"1"[..]));
        assert!(!conn.is_broken());
    }
}

#[tokio::test]
async fn deadlocks_and_lock_waits_can_be_tried_again() {
    let Some(server) = server(Kind::MySql8033) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1), (2)");
    let mut first = server.conn(Account::Admin).await;
    let mut second = server.conn(Account::Admin).await;
    first.exec("BEGIN; DELETE FROM d.t WHERE a = 1").await.unwrap();
    second.exec("SET innodb_lock_wait_timeout = 1").await.unwrap();
    let error = second.exec("DELETE FROM d.t WHERE a = 1").await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Retryable, Some(1205)), "{error}");
    second.exec("SET innodb_lock_wait_timeout = 50; BEGIN; DELETE FROM d.t WHERE a = 2").await.unwrap();
    let (one, two) =
        tokio::join!(first.exec("DELETE FROM d.t WHERE a = 2"), second.exec("DELETE FROM d.t WHERE a = 1"));
    let error = one.and(two).unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Retryable, Some(1213)), "{error}");
}

#[tokio::test]
async fn a_stream_gives_rows_one_by_one_and_may_be_left() {
    let Some(server) = server(Kind::MySql8033) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)");
    server.sql("SET SESSION cte_max_recursion_depth = 100000; INSERT INTO d.t WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000) SELECT i FROM n");
    let mut conn = server.conn(Account::Dump).await;
    let mut stream = conn.stream("SELECT a FROM d.t ORDER BY a").await.unwrap();
    assert_eq!(stream.columns()[0].name, "a");
    let mut sum = 0u64;
    while let Some(row) = stream.next().await.unwrap() {
        sum += row.parse::<u64>(0).unwrap().unwrap();
    }
    assert!(stream.next().await.unwrap().is_none());
    drop(stream);
    assert_eq!(sum, 50_000 * 50_001 / 2);
    let mut stream = conn.stream("SELECT a FROM d.t ORDER BY a").await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap().at(0), Some(&b"1"[..]));
    drop(stream);
    assert_eq!(conn.query_one("SELECT 7").await.unwrap().unwrap().at(0), Some(&b"7"[..]));
}

/// Sessions of an account that run a statement.
fn running(server: &Server, user: &str) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE user = '{user}' AND command = 'Query'"
    );
    server.value(sql).parse().unwrap()
}

#[tokio::test]
async fn leaving_a_huge_result_ends_it_at_the_server() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = server(kind) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)");
        let values: Vec<String> = (0..1000).map(|i| format!("({i})")).collect();
        server.sql(format!("INSERT INTO d.t VALUES {}", values.join(",")));
        // A thousand million rows of 1000 bytes: reading them to the end would take an hour.
        let huge = "SELECT REPEAT('x', 1000) FROM d.t a, d.t b, d.t c";
        let endpoint = server.endpoint(Account::Dump);
        for close in [true, false] {
            let mut conn = Conn::connect(&endpoint).await.unwrap();
            let mut stream = conn.stream(huge).await.unwrap();
            for _ in 0..100 {
                assert!(stream.next().await.unwrap().is_some());
            }
            drop(stream);
            if close {
                conn.close().await;
            } else {
                drop(conn);
            }
            let what = format!("{kind} ends the statement after close: {close}");
            wait_until(Duration::from_secs(20), &what, async || running(&server, "dump") == 0).await;
        }
    }
}

#[tokio::test]
async fn a_statement_given_up_in_the_middle_spoils_the_connection_and_nothing_else() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let mut conn = server.conn(Account::Dump).await;
    let sleeping = tokio::time::timeout(Duration::from_millis(100), conn.query("SELECT SLEEP(100)")).await;
    assert!(sleeping.is_err());
    assert!(conn.is_broken());
    for _ in 0..2 {
        let error = conn.query("SELECT 1").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{error}");
        assert!(error.to_string().contains("given up"), "{error}");
        assert!(conn.exec("DO 1").await.is_err() && conn.ping().await.is_err());
    }
    let id = conn.id();
    conn.close().await;
    // A sleeping server notices the closed socket late: KILL is the way to be sure.
    server.sql(format!("KILL {id}"));
}

#[tokio::test]
async fn a_lost_connection_is_told_by_what_was_underway() {
    for kind in [Kind::MySql56, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut server) = server(kind) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)");
        let mut reader = server.conn(Account::Admin).await;
        let mut writer = server.conn(Account::Admin).await;
        let mut idle = server.conn(Account::Admin).await;
        let mut asleep = server.conn(Account::Admin).await;
        let sleep = tokio::spawn(async move { asleep.exec("DO SLEEP(60)").await });
        wait_until(Duration::from_secs(10), "the statement runs", async || running(&server, "admin") >= 2)
            .await;
        server.kill9();
        assert_eq!(sleep.await.unwrap().unwrap_err().class(), ErrorClass::UnknownOutcome, "{kind}");
        let error = reader.query("SELECT 1").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind}: {error:?}");
        let error = writer.exec("INSERT INTO d.t VALUES (1)").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::UnknownOutcome, "{kind}: {error:?}");
        assert_eq!(idle.ping().await.unwrap_err().class(), ErrorClass::ConnectionLost);
        assert!(idle.is_broken());
        assert_eq!(idle.query("SELECT 1").await.unwrap_err().class(), ErrorClass::ConnectionLost);
        idle.close().await;
        let endpoint = server.endpoint(Account::Admin);
        assert_eq!(Conn::connect(&endpoint).await.unwrap_err().class(), ErrorClass::ConnectFailed);
        server.start_again().unwrap();
        let mut again = Conn::connect(&endpoint).await.unwrap();
        assert!(again.query("SELECT * FROM d.t").await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn killed_sessions_and_killed_statements() {
    for kind in Kind::ALL {
        let Some(server) = server(kind) else { continue };
        let mut conn = server.conn(Account::Admin).await;
        let id = conn.id();
        let work = tokio::spawn(async move {
            let first = conn.query("SELECT COUNT(*) FROM information_schema.columns a, information_schema.columns b, information_schema.columns c").await;
            (conn, first)
        });
        wait_until(Duration::from_secs(10), "the statement runs", async || running(&server, "admin") >= 2)
            .await;
        server.sql(format!("KILL QUERY {id}"));
        let (mut conn, result) = work.await.unwrap();
        let error = result.unwrap_err();
        assert_eq!((error.class(), error.code()), (ErrorClass::Interrupted, Some(1317)), "{kind}: {error}");
        assert!(!conn.is_broken());
        conn.ping().await.unwrap();
        server.sql(format!("KILL {id}"));
        let error = conn.query("SELECT 1").await.unwrap_err();
        assert!(error.is_connection_gone(), "{kind}: {error:?}");
        assert!(conn.is_broken());
    }
}

#[tokio::test]
async fn packets_up_to_the_limit_and_not_beyond() {
    for kind in Kind::ALL {
        let options = Options::default().with("max_allowed_packet=32M");
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        let mut conn = server.conn(Account::Admin).await;
        assert_eq!(conn.packet_limit(), 32 << 20);
        // Above 16 MiB a statement and its answer are split over several packets.
        for length in [(16 << 20) - 30, 1 << 24, 20 << 20] {
            let text = "x".repeat(length);
            let row = conn.query_one(format!("SELECT '{text}', LENGTH('')")).await.unwrap().unwrap();
            assert_eq!(row.at(0).unwrap().len(), length, "{kind}");
        }
        let error = conn.exec(vec![b'x'; 40 << 20]).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::PacketTooLarge, "{kind}: {error:?}");
        assert!(error.to_string().len() < 500);
        conn.ping().await.unwrap();
        let small = Conn::connect(&server.endpoint(Account::Admin).with_max_allowed_packet(1000)).await;
        let error = small.unwrap().exec("x".repeat(1000)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::PacketTooLarge);
    }
}

#[tokio::test]
async fn no_file_is_given_away_unless_a_statement_brings_it() {
    for kind in Kind::ALL {
        let options = Options::default().with("local_infile=ON");
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a VARCHAR(20))");
        let load = "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE d.t";
        let mut conn = server.conn(Account::Admin).await;
        let data = || futures::stream::iter(["a\nb", "\nc\n"]).map(|text| Ok(Bytes::from(text))).boxed();
        let outcome = conn.exec_with_infile(load, data()).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert_eq!(outcome.affected, 3, "{kind}");
        // Not asked for: the bytes do not wait for a later statement.
        conn.exec_with_infile("DO 1", data()).await.unwrap();
        let error = conn.exec(load).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unsupported, "{kind}: {error:?}");
        assert!(conn.is_broken());
        assert_eq!(server.value("SELECT GROUP_CONCAT(a ORDER BY a) FROM d.t"), "a,b,c");
    }
}

#[tokio::test]
async fn read_only_servers() {
    let Some(server) = server(Kind::MySql57) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); SET GLOBAL read_only = ON");
    let mut conn = server.conn(Account::Target).await;
    let error = conn.exec("INSERT INTO d.t VALUES (1)").await.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::ReadOnly, Some(1290)), "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named() {
    // A table space that can't grow acts as a disk that is full, and the server lives on.
    let options = Options::default()
        .no_binlog()
        .with("innodb_data_file_path=ibdata1:12M:autoextend:max:40M")
        .with("innodb_file_per_table=OFF");
    let Some(server) = Server::start_or_skip(Kind::MySql57, options) else { return };
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a VARCHAR(8000))");
    let mut conn = server.conn(Account::Target).await;
    let values = vec!["(REPEAT('x', 8000))"; 100].join(",");
    let error = loop {
        match conn.exec(format!("INSERT INTO d.t VALUES {values}")).await {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!((error.class(), error.code()), (ErrorClass::DiskFull, Some(1114)), "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
}

#[tokio::test]
async fn the_number_of_outcomes_tells_which_statement_of_a_script_failed() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let mut conn = server.conn(Account::Admin).await;
    conn.exec("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)").await.unwrap();
    let good = ["BEGIN", "INSERT INTO d.t VALUES (1)", "SELECT 1", "DELETE FROM d.t", "COMMIT"];
    let mut outcomes = Vec::new();
    conn.exec_script(good.join(";"), &mut outcomes).await.unwrap();
    assert_eq!(outcomes.len(), good.len());
    assert_eq!(outcomes[1].affected, 1);
    for failing in 0..good.len() {
        let mut script = good;
        script[failing] = "INSERT INTO d.missing VALUES (1)";
        outcomes.clear();
        let error = conn.exec_script(script.join(";"), &mut outcomes).await.unwrap_err();
        assert_eq!((error.code(), outcomes.len()), (Some(1146), failing), "statement {failing}");
        conn.exec("ROLLBACK").await.unwrap();
    }
}
