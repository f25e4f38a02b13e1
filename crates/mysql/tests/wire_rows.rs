//! wire: rows of real servers, whole or with a clear error.

use std::time::Duration;

use mysql::wire::{ColumnType, WireConn, flag};
use mysql::{Error, ErrorClass};
use testkit::proxy::{Direction, End};
use testkit::{Account, Kind, Options, Proxy, Server};

async fn admin(server: &Server) -> WireConn {
    WireConn::connect(&server.endpoint(Account::Admin)).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A table of `rows` rows of some 500 bytes.
fn fill(server: &Server, rows: u32) {
    server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY AUTO_INCREMENT, b VARCHAR(600))");
    server.sql("INSERT INTO d.t (b) VALUES (REPEAT('x', 500))");
    let mut have = 1;
    while have < rows {
        let add = have.min(rows - have);
        server.sql(format!("INSERT INTO d.t (b) SELECT b FROM d.t LIMIT {add}"));
        have += add;
    }
}

async fn read_to_the_end(conn: &mut WireConn, sql: &str) -> Result<u64, Error> {
    conn.query(sql).await?.skip_rest().await
}

#[tokio::test]
async fn columns_and_cells_of_every_server() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(
            "CREATE DATABASE d; CREATE TABLE d.t (id BIGINT UNSIGNED PRIMARY KEY, n DECIMAL(10,2), s VARCHAR(20) \
             CHARACTER SET latin1, b VARBINARY(300), e ENUM('x','y'), t TIMESTAMP NULL, f DOUBLE)",
        );
        let all: String = (0..=255u8).map(|byte| format!("{byte:02x}")).collect();
        server.sql(format!(
            "INSERT INTO d.t VALUES (18446744073709551615, -1.50, 'grün', x'{all}', 'y', NULL, 0.1), \
             (0, NULL, NULL, '', NULL, '2020-01-02 03:04:05', NULL)"
        ));
        let mut conn = admin(&server).await;
        let mut rows = conn.query("SELECT * FROM d.t ORDER BY id DESC").await.unwrap();
        let names: Vec<&str> = rows.columns().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["id", "n", "s", "b", "e", "t", "f"]);
        let types: Vec<ColumnType> = rows.columns().iter().map(|column| column.type_).collect();
        assert_eq!(
            types[..4],
            [ColumnType::LONGLONG, ColumnType::NEWDECIMAL, ColumnType::VAR_STRING, ColumnType::VAR_STRING]
        );
        let id = &rows.columns()[0];
        assert!(id.is_unsigned() && id.flags & flag::PRIMARY_KEY != 0);
        assert_eq!((id.schema.as_str(), id.table.as_str()), ("d", "t"));
        assert!(rows.columns()[3].is_binary() && !rows.columns()[2].is_binary());
        assert!(rows.columns()[4].flags & flag::ENUM != 0);
        let row = rows.next().await.unwrap().unwrap();
        assert_eq!(row.len(), 7);
        assert_eq!(row.cell(0), Some(&b"18446744073709551615"[..]));
        assert_eq!(row.cell(1), Some(&b"-1.50"[..]));
        assert_eq!(row.cell(2), Some("grün".as_bytes()));
        assert_eq!(row.cell(3), Some(&(0..=255u8).collect::<Vec<_>>()[..]));
        assert_eq!(row.cell(5), None);
        let row = rows.next().await.unwrap().unwrap();
        let cells: Vec<Option<&[u8]>> = row.cells().collect();
        assert_eq!(cells, [Some(&b"0"[..]), None, None, Some(b""), None, Some(b"2020-01-02 03:04:05"), None]);
        assert!(rows.next().await.unwrap().is_none());
        assert!(rows.next().await.unwrap().is_none());
        // The connection goes on, after nothing and after an error too.
        assert_eq!(read_to_the_end(&mut conn, "SELECT * FROM d.t WHERE id = 5").await.unwrap(), 0);
        assert!(conn.query("DO 1").await.unwrap().columns().is_empty());
        assert_eq!(conn.simple("UPDATE d.t SET n = 3").await.unwrap(), 2);
        let error = conn.query("SELECT * FROM d.nothing").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::UnknownTable);
        assert!(error.to_string().contains("SELECT * FROM d.nothing"));
        // No second statement in one.
        assert_eq!(conn.simple("DO 1; DO 2").await.unwrap_err().class(), ErrorClass::Syntax);
        assert_eq!(read_to_the_end(&mut conn, "SELECT * FROM d.t").await.unwrap(), 2);
    }
}

#[tokio::test]
async fn cells_of_20_mb_come_whole() {
    for kind in Kind::ALL {
        let options =
            Options::default().with("max_allowed_packet=128M").with("loose_innodb_log_file_size=256M");
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY, b LONGBLOB, c LONGBLOB)");
        let mut conn = admin(&server).await;
        // A statement above 16 MiB goes out in two packets too.
        let mut insert = b"INSERT INTO d.t VALUES (1, '".to_vec();
        insert.extend((0..20_000_000u32).map(|i| b"0123456789abcdefg"[(i % 17) as usize]));
        insert.extend_from_slice(b"', REPEAT('y', 16777215 - 30)), (2, 'short', NULL)");
        conn.simple(&insert).await.unwrap();
        // Rows whose packets end at, just before and just after a full one.
        for (a, length) in (3..12).zip(16_777_206u32..) {
            conn.simple(format!("INSERT INTO d.t VALUES ({a}, REPEAT('z', {length}), '')")).await.unwrap();
        }
        let mut rows = conn.query("SELECT * FROM d.t ORDER BY a").await.unwrap();
        let row = rows.next().await.unwrap().unwrap();
        let cell = row.cell(1).unwrap();
        assert_eq!(cell.len(), 20_000_000, "{kind}");
        assert!(cell.iter().zip((0..17usize).cycle()).all(|(byte, i)| *byte == b"0123456789abcdefg"[i]));
        let cell = row.cell(2).unwrap();
        assert_eq!(cell.len(), 16_777_185);
        assert!(cell.iter().all(|byte| *byte == b'y'));
        let row = rows.next().await.unwrap().unwrap();
        assert_eq!((row.cell(1), row.cell(2)), (Some(&b"short"[..]), None));
        for length in 16_777_206..16_777_215 {
            let row = rows.next().await.unwrap().unwrap();
            let cell = row.cell(1).unwrap();
            assert_eq!((cell.len(), row.cell(2)), (length, Some(&b""[..])), "{kind}");
            assert!(cell.iter().all(|byte| *byte == b'z'));
        }
        assert!(rows.next().await.unwrap().is_none());
        assert_eq!(read_to_the_end(&mut conn, "SELECT 1 FROM d.t").await.unwrap(), 11);
    }
}

#[tokio::test]
async fn a_broken_stream_says_how_far_it_came() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    fill(&server, 20_000);
    let proxy = Proxy::to(&server);
    let mut endpoint = server.endpoint(Account::Dump);
    endpoint.port = proxy.port();
    for (end, mode) in [
        (End::Truncate, mysql::TlsMode::Off),
        (End::Reset, mysql::TlsMode::Off),
        (End::Truncate, mysql::TlsMode::Required),
        (End::Reset, mysql::TlsMode::Required),
    ] {
        let endpoint = endpoint.clone().with_tls(mysql::Tls::new(mode));
        let mut conn = WireConn::connect(&endpoint).await.unwrap();
        // Set before: what the sockets hold would pass otherwise.
        proxy.end_after(Direction::ToClient, 3_000_000, end);
        let mut rows = conn.query("SELECT * FROM d.t").await.unwrap();
        let error = loop {
            match rows.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a cut result passes for whole"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{end:?} {mode}: {error}");
        let read = rows.rows_read();
        // A reset may take with it what had arrived and was not read yet.
        let least = if end == End::Truncate { 1000 } else { 0 };
        assert!((least..20_000).contains(&read), "{read}");
        assert!(error.to_string().contains(&format!("after {read} rows")), "{error}");
        // What comes after is an error too, and at once.
        assert!(rows.next().await.unwrap().is_none());
        assert!(conn.ping().await.is_err());
    }
}

#[tokio::test]
async fn a_server_that_dies_in_the_middle_is_a_lost_connection() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut server) = Server::start_or_skip(kind, Options::default()) else { continue };
        fill(&server, 100_000);
        let mut conn = admin(&server).await;
        let mut rows = conn.query("SELECT * FROM d.t").await.unwrap();
        rows.next().await.unwrap().unwrap();
        server.kill9();
        let error = loop {
            match rows.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("a cut result passes for whole"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{kind}: {error}");
    }
}

#[tokio::test]
async fn kill_query_ends_the_rows_with_the_servers_error() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        fill(&server, 50_000);
        let mut conn = admin(&server).await;
        let id = conn.connection_id();
        let mut rows = conn.query("SELECT * FROM d.t").await.unwrap();
        rows.next().await.unwrap().unwrap();
        WireConn::kill_query(&server.endpoint(Account::Admin), id).await.unwrap();
        let error = loop {
            match rows.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("{kind}: the rows were not ended"),
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), ErrorClass::Interrupted, "{kind}: {error}");
        assert!(conn.is_idle());
        assert_eq!(read_to_the_end(&mut conn, "SELECT 1").await.unwrap(), 1);
        let error = WireConn::kill_query(&server.endpoint(Account::Admin), 999_999).await.unwrap_err();
        assert_eq!(error.code(), Some(1094));
    }
}

#[tokio::test]
async fn a_dropped_connection_is_gone_and_a_dropped_future_loses_no_row() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    fill(&server, 50_000);
    let mut conn = admin(&server).await;
    let id = conn.connection_id();
    let mut rows = conn.query("SELECT a FROM d.t ORDER BY a").await.unwrap();
    let mut last = 0;
    let mut dropped = 0;
    while last < 40_000 {
        // A future that is dropped at its first wait.
        let row = tokio::select! {
            biased;
            row = rows.next() => row.unwrap().unwrap(),
            () = std::future::ready(()) => {
                dropped += 1;
                tokio::task::yield_now().await;
                continue;
            }
        };
        let a: u32 = std::str::from_utf8(row.cell(0).unwrap()).unwrap().parse().unwrap();
        assert!(a > last, "{a} after {last}");
        last = a;
    }
    assert!(dropped > 0);
    let expected = server.value(format!("SELECT COUNT(*) FROM d.t WHERE a <= {last}"));
    assert_eq!(rows.rows_read().to_string(), expected);
    drop(conn);
    let gone = async || {
        server.value(format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}")) == "0"
    };
    testkit::wait_until(Duration::from_secs(20), "the server has noticed the drop", gone).await;
}

#[tokio::test]
async fn an_idle_connection_that_the_server_closed_says_so() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let mut conn = admin(&server).await;
        let id = conn.connection_id();
        server.sql(format!("KILL {id}"));
        let gone = async || {
            server.value(format!("SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}"))
                == "0"
        };
        testkit::wait_until(Duration::from_secs(20), "the connection is closed", gone).await;
        let error = conn.simple("DO 1").await.unwrap_err();
        assert!(error.is_connection_gone(), "{kind}: {error:?}");
        assert!(!conn.is_idle());
    }
}
