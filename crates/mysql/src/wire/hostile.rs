//! Whatever a server sends, there is a value or an error, in bounded time, and never a panic.
//!
//! Each fuzz target prints its seed, see [`testkit::random`].

use std::time::Duration;

use testkit::Random;
use testkit::random::fuzz_rounds;
use tokio::io::{AsyncWriteExt, DuplexStream};

use super::binlog::{BinlogRequest, BinlogStream, Refusal, Start};
use super::conn::WireConn;
use super::handshake::tests_support::login_over;
use super::parse::put_length_bytes;
use super::proto::{ColumnDef, ErrPacket, Greeting, OkPacket, cap, end_status};
use super::rows::{Span, find_cells};
use crate::{Endpoint, Error, ErrorClass, Flavor};

/// Bytes as a hostile server sends them.
struct Noise(Random);

impl Noise {
    fn new(name: &str) -> Noise {
        Noise(Random::of_target(name))
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0.below(limit)
    }

    fn byte(&mut self) -> u8 {
        // The bytes that mean something to the protocol come often.
        const SPECIAL: [u8; 12] = [0, 1, 2, 3, 4, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0x80];
        if self.below(2) == 0 { SPECIAL[self.below(SPECIAL.len())] } else { self.0.byte() }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = self.below(most + 1);
        (0..count).map(|_| self.byte()).collect()
    }

    /// One to four small damages.
    fn damage(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len().max(1));
            match self.below(6) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => drop(bytes.remove(at)),
                2 => bytes.insert(at.min(bytes.len()), self.byte()),
                3 => {
                    let part = bytes[at..(at + self.below(40)).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                }
                _ if at < bytes.len() => bytes[at] = self.byte(),
                _ => {}
            }
        }
    }
}

/// Messages of a server: a script.
#[derive(Default)]
struct Script {
    bytes: Vec<u8>,
    sequence: u8,
}

impl Script {
    fn exchange(&mut self, first: u8) -> &mut Self {
        self.sequence = first;
        self
    }

    fn packet(&mut self, payload: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        self.bytes.push(self.sequence);
        self.bytes.extend_from_slice(payload);
        self.sequence = self.sequence.wrapping_add(1);
        self
    }

    fn ok(&mut self) -> &mut Self {
        self.packet(&[0, 0, 0, 2, 0, 0, 0])
    }

    /// Greeting, and OK to the answer.
    fn login(&mut self, capabilities: u32) -> &mut Self {
        self.exchange(0).packet(&greeting(capabilities)).exchange(2).ok()
    }

    fn result(&mut self, capabilities: u32, columns: &[&str], rows: &[Vec<Option<&[u8]>>]) -> &mut Self {
        let new = capabilities & cap::DEPRECATE_EOF != 0;
        self.exchange(1).packet(&[columns.len() as u8]);
        for name in columns {
            self.packet(&column(name));
        }
        if !new {
            self.packet(&[0xfe, 0, 0, 2, 0]);
        }
        for row in rows {
            let mut packet = Vec::new();
            for cell in row {
                match cell {
                    Some(text) => put_length_bytes(&mut packet, text),
                    None => packet.push(0xfb),
                }
            }
            self.packet(&packet);
        }
        if new { self.packet(&[0xfe, 0, 0, 2, 0, 0, 0]) } else { self.packet(&[0xfe, 0, 0, 2, 0]) }
    }

    /// A stream that says this and then ends. The server's end must be kept as long as the client may write.
    async fn play(&self) -> (DuplexStream, DuplexStream) {
        play(&self.bytes).await
    }
}

async fn play(bytes: &[u8]) -> (DuplexStream, DuplexStream) {
    let (client, mut server) = tokio::io::duplex(1 << 20);
    server.write_all(bytes).await.expect("the script fits the pipe");
    server.shutdown().await.expect("a pipe can be shut");
    (client, server)
}

const ALL: u32 = cap::PROTOCOL_41 | cap::SECURE_CONNECTION | cap::PLUGIN_AUTH | cap::PLUGIN_AUTH_LENENC;
const MODERN: u32 = ALL | cap::DEPRECATE_EOF;

fn greeting(capabilities: u32) -> Vec<u8> {
    let mut out = vec![10];
    out.extend_from_slice(b"8.0.33\0");
    out.extend_from_slice(&7u32.to_le_bytes());
    out.extend_from_slice(b"12345678\0");
    out.extend_from_slice(&(capabilities as u16).to_le_bytes());
    out.push(45);
    out.extend_from_slice(&2u16.to_le_bytes());
    out.extend_from_slice(&((capabilities >> 16) as u16).to_le_bytes());
    out.push(21);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(b"abcdefghijkl\0");
    out.extend_from_slice(b"caching_sha2_password\0");
    out
}

fn column(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for text in ["def", "d", "t", "t", name, name] {
        put_length_bytes(&mut out, text.as_bytes());
    }
    out.extend_from_slice(&[12, 45, 0, 255, 0, 0, 0, 253, 0, 0, 0, 0, 0]);
    out
}

fn error_packet(code: u16, message: &str) -> Vec<u8> {
    let mut out = vec![0xff];
    out.extend_from_slice(&code.to_le_bytes());
    out.extend_from_slice(b"#HY000");
    out.extend_from_slice(message.as_bytes());
    out
}

fn endpoint() -> Endpoint {
    Endpoint::new("test", 1, "u", "secret").with_database("d").with_program("p")
}

async fn connect(client: DuplexStream) -> Result<WireConn, Error> {
    Ok(WireConn::from_session(login_over(client, &endpoint()).await?, "test".into()))
}

/// Everything that can be read from a result.
async fn read_all(client: DuplexStream) -> Result<Vec<Vec<Option<Vec<u8>>>>, Error> {
    let mut conn = connect(client).await?;
    let mut rows = conn.query("SELECT 1").await?;
    let mut out = Vec::new();
    while let Some(row) = rows.next().await? {
        out.push(row.cells().map(|cell| cell.map(<[u8]>::to_vec)).collect());
    }
    Ok(out)
}

fn sample_rows(long: &[u8]) -> Vec<Vec<Option<&[u8]>>> {
    vec![
        vec![Some(&b"1"[..]), Some(b"abc")],
        vec![Some(b"2"), None],
        vec![Some(b""), Some(long)],
        vec![None, Some(b"\xff\xfe\x00")],
    ]
}

#[tokio::test]
async fn rows_come_out_as_sent_by_both_kinds_of_server() {
    let long = vec![b'x'; 70_000];
    let rows = sample_rows(&long);
    for capabilities in [ALL, MODERN] {
        let mut script = Script::default();
        script.login(capabilities).result(capabilities, &["a", "b"], &rows);
        let (client, _server) = script.play().await;
        let got = read_all(client).await.unwrap();
        let expected: Vec<Vec<Option<Vec<u8>>>> =
            rows.iter().map(|row| row.iter().map(|cell| cell.map(<[u8]>::to_vec)).collect()).collect();
        assert_eq!(got, expected);
    }
}

#[tokio::test]
async fn a_result_cut_anywhere_is_a_lost_connection_with_what_was_read() {
    let rows = sample_rows(b"tail");
    let mut script = Script::default();
    script.login(MODERN);
    let start = script.bytes.len();
    script.result(MODERN, &["a", "b"], &rows);
    for cut in start..script.bytes.len() {
        let (client, _server) = play(&script.bytes[..cut]).await;
        let error = read_all(client).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "cut at {cut}: {error}");
    }
    let (client, _server) = play(&script.bytes[..script.bytes.len() - 20]).await;
    let text = read_all(client).await.unwrap_err().to_string();
    assert!(text.contains("after 3 rows and "), "{text}");
}

#[tokio::test]
async fn an_error_among_rows_is_the_servers_and_the_connection_goes_on() {
    let mut script = Script::default();
    script.login(MODERN).exchange(1).packet(&[1]).packet(&column("a")).packet(&[1, b'x']);
    script.packet(&error_packet(1317, "Query execution was interrupted")).exchange(1).ok();
    let (client, _server) = script.play().await;
    let mut conn = connect(client).await.unwrap();
    let mut rows = conn.query("SELECT a").await.unwrap();
    assert_eq!(rows.next().await.unwrap().unwrap().cell(0), Some(&b"x"[..]));
    let error = rows.next().await.unwrap_err();
    assert_eq!((error.code(), error.class()), (Some(1317), ErrorClass::Interrupted));
    assert_eq!(rows.rows_read(), 1);
    assert!(conn.is_idle());
    conn.simple("SET x").await.unwrap();
}

#[tokio::test]
async fn rows_that_were_left_block_the_connection() {
    let mut script = Script::default();
    script.login(MODERN).result(MODERN, &["a"], &[vec![Some(b"1")], vec![Some(b"2")]]);
    let (client, _server) = script.play().await;
    let mut conn = connect(client).await.unwrap();
    let mut rows = conn.query("SELECT a").await.unwrap();
    rows.next().await.unwrap().unwrap();
    assert!(!conn.is_idle());
    let error = conn.simple("SET x").await.unwrap_err();
    assert!(error.to_string().contains("not read to their end"), "{error}");
}

#[tokio::test]
async fn what_a_server_must_not_do_is_refused() {
    // A file of ours, the password in the clear, the password of old, a plugin nobody knows, a login without end.
    let file = |script: &mut Script| {
        script.login(MODERN).exchange(1).packet(b"\xfb/etc/passwd");
    };
    let clear = |script: &mut Script| {
        script.exchange(0).packet(&greeting(MODERN)).exchange(2).packet(b"\xfemysql_clear_password\0");
    };
    let old = |script: &mut Script| {
        script.exchange(0).packet(&greeting(MODERN)).exchange(2).packet(b"\xfe");
    };
    let unknown = |script: &mut Script| {
        script.exchange(0).packet(&greeting(MODERN)).exchange(2).packet(b"\xfedialog\0");
    };
    let endless = |script: &mut Script| {
        script.exchange(0).packet(&greeting(MODERN)).exchange(2);
        for _ in 0..100 {
            script.packet(&[1, 3]);
        }
    };
    let ancient = |script: &mut Script| {
        script.exchange(0).packet(&greeting(0));
    };
    type Case<'a> = (&'a dyn Fn(&mut Script), ErrorClass, &'a str);
    let cases: [Case; 6] = [
        (&file, ErrorClass::Protocol, "file of ours"),
        (&clear, ErrorClass::Unsupported, "in the clear"),
        (&old, ErrorClass::Unsupported, "4.1"),
        (&unknown, ErrorClass::Unsupported, "dialog"),
        (&endless, ErrorClass::Protocol, "never ends"),
        (&ancient, ErrorClass::Unsupported, "too old"),
    ];
    for (write, class, words) in cases {
        let mut script = Script::default();
        write(&mut script);
        let (client, _server) = script.play().await;
        let error = read_all(client).await.unwrap_err();
        assert_eq!(error.class(), class, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn damaged_results_never_panic() {
    let mut random = Noise::new("wire results");
    let rounds = fuzz_rounds(3_000);
    let rows = sample_rows(b"a longer cell than the others");
    let mut errors = 0;
    for round in 0..rounds {
        let capabilities = if round % 2 == 0 { ALL } else { MODERN };
        let mut script = Script::default();
        script.login(capabilities);
        // Damage to the greeting ends most runs early: half of them keep it.
        let keep = if round % 4 < 2 { script.bytes.len() } else { 0 };
        match round % 3 {
            0 => drop(script.exchange(1).packet(&error_packet(1064, "You have an error"))),
            _ => drop(script.result(capabilities, &["a", "b"], &rows)),
        }
        let mut rest = script.bytes.split_off(keep);
        random.damage(&mut rest);
        script.bytes.extend_from_slice(&rest);
        let (client, _server) = script.play().await;
        let read = tokio::time::timeout(Duration::from_secs(20), read_all(client)).await;
        let read = read.expect("a read that never ends");
        errors += usize::from(read.is_err());
        if let Err(error) = read {
            assert!(!format!("{error} {error:?}").contains("secret"));
        }
    }
    assert!(errors > rounds / 4, "the damage does no harm: {errors}");
}

#[test]
fn parsers_of_any_bytes_never_panic() {
    let mut random = Noise::new("wire parsers");
    let honest = [greeting(MODERN), column("name"), error_packet(1, "x"), vec![0, 0, 0, 2, 0, 0, 0]];
    let mut spans = [Span::default(); 7];
    for _ in 0..fuzz_rounds(30_000) {
        let bytes = match random.below(8) {
            0..4 => random.bytes(80),
            kind => {
                let mut bytes = honest[kind - 4].clone();
                random.damage(&mut bytes);
                bytes
            }
        };
        let _ = Greeting::parse(&bytes);
        let _ = ColumnDef::parse(&bytes);
        let _ = ErrPacket::parse(&bytes);
        let _ = OkPacket::parse(&bytes);
        let _ = end_status(&bytes, true);
        let _ = end_status(&bytes, false);
        let count = random.below(spans.len() + 1);
        let _ = find_cells(&bytes, &mut spans[..count]);
    }
    for parser in [true, false] {
        assert!(end_status(&[], parser).is_err());
    }
}

/// Everything up to the first event.
fn stream_script(script: &mut Script) {
    script.login(MODERN);
    script.exchange(1).ok();
    script.result(MODERN, &["@@global.binlog_checksum"], &[vec![Some(b"CRC32")]]);
    for _ in ["checksum", "timeout", "uuid", "register"] {
        script.exchange(1).ok();
    }
    script.exchange(1);
}

fn event(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 20];
    out[5] = kind;
    out[10..14].copy_from_slice(&((19 + body.len()) as u32).to_le_bytes());
    out[14] = 44;
    out.extend_from_slice(body);
    out
}

async fn stream(client: DuplexStream, wait: bool) -> Result<BinlogStream, Error> {
    let start = Start::Position { file: "b.000001".into(), pos: 4 };
    let mut request = BinlogRequest::new(1, Flavor::MySql, start);
    request.wait = wait;
    BinlogStream::start(connect(client).await?, &request).await
}

#[tokio::test]
async fn events_come_out_as_sent() {
    let mut script = Script::default();
    stream_script(&mut script);
    script.packet(&event(4, b"rotate")).packet(&event(15, b"format")).packet(&[0xfe, 0, 0, 2, 0]);
    let (client, _server) = script.play().await;
    let mut events = stream(client, false).await.unwrap();
    assert!(events.checksum());
    let frame = events.next().await.unwrap();
    assert_eq!((frame.kind(), frame.next_pos(), &frame[19..]), (4, 44, &b"rotate"[..]));
    assert_eq!(events.next_or_end().await.unwrap().unwrap().kind(), 15);
    assert!(events.next_or_end().await.unwrap().is_none());
    assert!(events.next().await.is_err());
    assert_eq!(events.events_read(), 2);
}

#[tokio::test]
async fn the_end_of_a_stream_that_waits_is_a_lost_connection() {
    let mut script = Script::default();
    stream_script(&mut script);
    let before = script.bytes.len();
    script.packet(&event(4, b"rotate")).packet(&[0xfe, 0, 0, 2, 0]);
    for cut in before..script.bytes.len() + 1 {
        let (client, _server) = play(&script.bytes[..cut]).await;
        let mut events = stream(client, true).await.unwrap();
        let error = loop {
            match events.next().await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.class(), ErrorClass::ConnectionLost, "{error}");
        assert_eq!(Refusal::of(&error), None);
    }
}

#[tokio::test]
async fn silence_of_two_heartbeats_is_a_lost_connection_however_often_it_is_asked() {
    let mut script = Script::default();
    stream_script(&mut script);
    script.packet(&event(4, b"rotate"));
    let (client, mut server) = tokio::io::duplex(1 << 20);
    server.write_all(&script.bytes).await.unwrap();
    let start = Start::Position { file: "b.000001".into(), pos: 4 };
    let request = BinlogRequest::new(1, Flavor::MySql, start).with_heartbeat(Duration::from_millis(150));
    let mut events = BinlogStream::start(connect(client).await.unwrap(), &request).await.unwrap();
    events.next().await.unwrap();
    let begin = tokio::time::Instant::now();
    let error = loop {
        // A caller with something else to do drops the future again and again.
        if let Ok(outcome) = tokio::time::timeout(Duration::from_millis(7), events.next()).await {
            break outcome.map(|_| ()).unwrap_err();
        }
    };
    assert_eq!(error.class(), ErrorClass::ConnectionLost);
    let waited = begin.elapsed();
    // Two heartbeats, and the moment of grace.
    assert!(waited >= Duration::from_millis(300) && waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn damaged_streams_never_panic() {
    let mut random = Noise::new("wire streams");
    for round in 0..fuzz_rounds(1_500) {
        let mut script = Script::default();
        stream_script(&mut script);
        let keep = if round % 2 == 0 { script.bytes.len() } else { 0 };
        script.packet(&event(4, b"rotate")).packet(&event(15, b"")).packet(&event(30, &[7; 60]));
        script.packet(&error_packet(1236, "Could not find first log file name in binary log index file"));
        let mut rest = script.bytes.split_off(keep);
        random.damage(&mut rest);
        script.bytes.extend_from_slice(&rest);
        let (client, _server) = script.play().await;
        let run = async {
            let mut events = stream(client, round % 3 == 0).await?;
            while let Some(frame) = events.next_or_end().await? {
                assert!(frame.bytes().len() >= 19);
                let _ = (frame.kind(), frame.next_pos(), frame.server_id(), frame.timestamp());
            }
            Ok::<(), Error>(())
        };
        let done = tokio::time::timeout(Duration::from_secs(20), run).await;
        let _ = done.expect("a stream that never ends");
    }
}

#[test]
fn refusals_by_the_words_of_each_server() {
    let cases = [
        ("Could not find first log file name in binary log index file", Refusal::Purged),
        (
            "The slave is connecting using CHANGE MASTER TO MASTER_AUTO_POSITION = 1, but the master has purged binary \
             logs containing GTIDs that the slave requires.",
            Refusal::Purged,
        ),
        (
            "Cannot replicate because the source purged required binary logs. Replicate the missing transactions from \
             elsewhere, or provision a new replica from backup.",
            Refusal::Purged,
        ),
        (
            "Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and \
             required binlog files have been purged.",
            Refusal::Purged,
        ),
        (
            "A slave with the same server_uuid/server_id as this slave has connected to the master; the first event '' \
             at 4",
            Refusal::ServerIdClash,
        ),
        (
            "A replica with the same server_uuid/server_id as this replica has connected to the source; the first event",
            Refusal::ServerIdClash,
        ),
        ("Binary log is not open", Refusal::NoBinlog),
        (
            "The replication sender thread cannot start in AUTO_POSITION mode: this server has GTID_MODE = OFF instead \
             of ON.",
            Refusal::GtidOff,
        ),
        ("Client requested master to start replication from position > file size", Refusal::BadPosition),
        (
            "Client requested master to start replication from impossible position; the first event 'x' at 5",
            Refusal::BadPosition,
        ),
        (
            "log event entry exceeded max_allowed_packet; Increase max_allowed_packet on master; the first event",
            Refusal::EventTooLarge,
        ),
        (
            "Slave has more GTIDs than the master has, using the master's SERVER_UUID. This may indicate that the end of \
             the binary log was truncated",
            Refusal::GtidMismatch,
        ),
    ];
    for (message, refusal) in cases {
        assert_eq!(Refusal::of(&Error::server(1236, "HY000", message)), Some(refusal), "{message}");
    }
    assert_eq!(Refusal::of(&Error::server(1236, "HY000", "something new")), None);
    assert_eq!(
        Refusal::of(&Error::server(1227, "42000", "Access denied; you need")),
        Some(Refusal::Privileges)
    );
    assert_eq!(Refusal::of(&Error::closed("gone")), None);
}
