//! Single events and values, byte by byte.

use crate::charset::Charset;
use crate::decoder::{Decoder, Flavor};
use crate::error::{DecodeError, Fault};
use crate::event::Body;
use crate::rows::{RowsEvent, RowsKind};
use crate::table_map::ColumnHint;
use crate::temporal::{DateTime, Time, Timestamp};
use crate::value::{Decimal, Value, decimal_len};

fn frame(kind: u8, flags: u16, next_pos: u32, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80, 0, 0, 0x65, kind, 1, 0, 0, 0];
    frame.extend((19 + body.len() as u32).to_le_bytes());
    frame.extend(next_pos.to_le_bytes());
    frame.extend(flags.to_le_bytes());
    frame.extend_from_slice(body);
    frame
}

fn with_checksum(mut frame: Vec<u8>) -> Vec<u8> {
    let size = frame.len() as u32 + 4;
    frame[9..13].copy_from_slice(&size.to_le_bytes());
    let sum = crc32fast::hash(&frame);
    frame.extend(sum.to_le_bytes());
    frame
}

fn format(version: &str, checksum: u8) -> Vec<u8> {
    let mut body = vec![4, 0];
    let mut text = version.as_bytes().to_vec();
    text.resize(50, 0);
    body.extend(text);
    body.extend([0, 0, 0, 0, 19]);
    let mut lens = vec![0u8; 42];
    for (kind, len) in [(2, 13), (4, 8), (15, 99), (19, 8), (30, 10), (31, 10), (32, 10), (39, 10)] {
        lens[kind - 1] = len;
    }
    body.extend(lens);
    body.push(checksum);
    with_checksum(frame(15, 0, 120, &body))
}

/// A decoder after a format description without checksums.
fn decoder() -> Decoder {
    let mut decoder = Decoder::new(Flavor::MySql);
    decoder.decode(&format("8.0.33", 0)).unwrap();
    decoder
}

fn fault(result: Result<crate::Event<'_>, DecodeError>) -> Fault {
    result.expect_err("an error").fault().clone()
}

#[test]
fn a_version_text_that_cannot_be_parsed_does_not_matter() {
    let mut decoder = Decoder::new(Flavor::MySql);
    decoder.decode(&format("300.1-fork", 1)).unwrap();
    let xid = with_checksum(frame(16, 0, 200, &7u64.to_le_bytes()));
    assert!(matches!(decoder.decode(&xid).unwrap().body, Body::Xid(7)));
    let error = decoder.decode(&frame(16, 0, 200, &7u64.to_le_bytes())).unwrap_err();
    assert!(matches!(error.fault(), Fault::Checksum { .. }), "{error}");
}

#[test]
fn the_flag_of_an_open_file_is_not_in_the_checksum() {
    let mut open = format("8.0.33", 1);
    open[17] |= 1;
    Decoder::new(Flavor::MySql).decode(&open).unwrap();
}

#[test]
fn rotate_events_before_the_format_have_a_checksum_or_not() {
    let body = [&4u64.to_le_bytes()[..], b"mysql-bin.000042"].concat();
    for event in [frame(4, 0x20, 0, &body), with_checksum(frame(4, 0x20, 0, &body))] {
        let mut decoder = Decoder::new(Flavor::MySql);
        match decoder.decode(&event).unwrap().body {
            Body::Rotate(rotate) => assert_eq!((rotate.file, rotate.position), ("mysql-bin.000042", 4)),
            other => panic!("{other:?}"),
        }
        assert_eq!(decoder.file(), Some("mysql-bin.000042"));
        // A checksum that does not fit is not taken for a part of the name.
        let mut broken = with_checksum(frame(4, 0x20, 0, &body));
        *broken.last_mut().unwrap() ^= 1;
        assert!(Decoder::new(Flavor::MySql).decode(&broken).is_err());
    }
}

#[test]
fn events_before_the_format_are_refused() {
    let xid = frame(16, 0, 200, &7u64.to_le_bytes());
    assert_eq!(fault(Decoder::new(Flavor::MySql).decode(&xid)), Fault::NoFormat);
}

#[test]
fn errors_name_event_and_place() {
    let mut decoder = decoder();
    decoder.set_file("binlog.000007");
    let error = decoder.decode(&frame(16, 0, 1000, &[1, 2, 3])).unwrap_err();
    assert_eq!(error.to_string(), "Xid event at binlog.000007:978: truncated: xid needs 8 bytes, 3 are left");
    let error = decoder.decode(&frame(16, 0, 1000, &[0; 9])).unwrap_err();
    assert_eq!(error.to_string(), "Xid event at binlog.000007:972: over-long: 1 bytes are left after xid");
    let error = decoder.decode(&frame(99, 0, 1000, &[])).unwrap_err();
    assert_eq!(error.to_string(), "unknown (99) event at binlog.000007:981: unknown event, number 99");
}

#[test]
fn unknown_events_with_the_flag_are_ignored() {
    assert!(matches!(decoder().decode(&frame(99, 0x80, 1000, b"x")).unwrap().body, Body::Ignored));
}

#[test]
fn incident_and_encryption_are_errors() {
    let incident = frame(26, 0, 100, &[1, 0, 4, b'l', b'o', b's', b't']);
    assert_eq!(fault(decoder().decode(&incident)), Fault::Incident { number: 1, message: "lost".into() });
    let mut decoder = Decoder::new(Flavor::MariaDb);
    decoder.decode(&format("10.11.19-MariaDB", 0)).unwrap();
    assert!(matches!(fault(decoder.decode(&frame(164, 0, 100, &[0; 17]))), Fault::Unsupported(_)));
}

#[test]
fn heartbeats_of_both_forms() {
    let mut decoder = decoder();
    match decoder.decode(&frame(27, 0x20, 4711, b"binlog.000009")).unwrap().body {
        Body::Heartbeat(beat) => assert_eq!((beat.file, beat.position), ("binlog.000009", 4711)),
        other => panic!("{other:?}"),
    }
    let body = [&[1, 13][..], b"binlog.000009", &[2, 9, 254, 0, 0, 0, 0, 2, 0, 0, 0, 0]].concat();
    match decoder.decode(&frame(41, 0x20, 0, &body)).unwrap().body {
        Body::Heartbeat(beat) => assert_eq!((beat.file, beat.position), ("binlog.000009", 2 << 32)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn status_variables_of_both_families() {
    let mut decoder = Decoder::new(Flavor::MariaDb);
    decoder.decode(&format("11.8.1-MariaDB", 0)).unwrap();
    let vars: &[u8] = &[
        131, 1, 45, 0, 224, 0, // character_set_collations comes before smaller codes
        4, 45, 0, 45, 0, 8, 0, 5, 6, b'+', b'0', b'8', b':', b'0', b'0', 128, 1, 2, 0, 130, 4, 9, 0, 0, 0, 0,
        0, 0, 0, 255, 255, 200, 1, 2,
    ];
    let mut body = vec![1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0];
    body.extend((vars.len() as u16).to_le_bytes());
    body.extend_from_slice(vars);
    body.extend(b"d\0SELECT 1");
    match decoder.decode(&frame(2, 0, 500, &body)).unwrap().body {
        Body::Query(query) => {
            assert_eq!((query.schema, &*query.sql), (&b"d"[..], &b"SELECT 1"[..]));
            let status = &query.status;
            assert_eq!(status.character_set_collations().collect::<Vec<_>>(), [(45, 224)]);
            assert_eq!(status.charset.unwrap().server, 8);
            assert_eq!(status.time_zone, Some(&b"+08:00"[..]));
            assert_eq!(status.microseconds, Some(513));
            assert_eq!(status.maria_alter, Some((4, 9)));
            assert_eq!(status.unknown, Some(200));
        }
        other => panic!("{other:?}"),
    }
}

/// A table `d.t` of one column of this type and metadata, and one row with this value.
fn one_value(type_: u8, meta: &[u8], value: &[u8], check: impl FnOnce(&RowsEvent<'_>)) {
    let mut decoder = decoder();
    let mut map = b"\x05\0\0\0\0\0\x01\0\x01d\0\x01t\0\x01".to_vec();
    map.push(type_);
    map.push(meta.len() as u8);
    map.extend_from_slice(meta);
    map.push(1);
    decoder.decode(&frame(19, 0, 300, &map)).unwrap();
    let rows = [b"\x05\0\0\0\0\0\x01\0\x02\0\x01\xff\x00", value].concat();
    match decoder.decode(&frame(30, 0, 400, &rows)).unwrap().body {
        Body::Rows(event) => {
            assert_eq!(event.kind, RowsKind::Insert);
            check(&event);
        }
        other => panic!("{other:?}"),
    }
}

fn shown(type_: u8, meta: &[u8], value: &[u8]) -> String {
    let mut text = Vec::new();
    one_value(type_, meta, value, |event| {
        let mut rows = event.rows();
        let row = rows.next().unwrap().unwrap().after.unwrap();
        row.value(0).unwrap().write_text(&mut text, 0).unwrap();
        assert!(rows.next().unwrap().is_none());
    });
    String::from_utf8(text).unwrap()
}

#[test]
fn negative_times_with_fractions() {
    // TIME(2) -00:00:00.01, -00:00:01.99, -838:59:59.00; TIME(6) -00:00:00.000001.
    assert_eq!(shown(19, &[2], &[0x7f, 0xff, 0xff, 0xff]), "-00:00:00.01");
    assert_eq!(shown(19, &[2], &[0x7f, 0xff, 0xfe, 0x9d]), "-00:00:01.99");
    assert_eq!(shown(19, &[2], &[0x4b, 0x91, 0x05, 0x00]), "-838:59:59.00");
    assert_eq!(shown(19, &[6], &[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff]), "-00:00:00.000001");
    assert_eq!(shown(19, &[0], &[0x80, 0x10, 0x83]), "01:02:03");
    assert!(Time::decode(&[0x80, 0x10, 0x83, 150], 2).is_err());
}

#[test]
fn old_temporal_types() {
    assert_eq!(shown(11, &[], &(-8_385_959i32).to_le_bytes()[..3]), "-838:59:59");
    assert_eq!(shown(12, &[], &20_240_229_123_456u64.to_le_bytes()), "2024-02-29 12:34:56");
    assert_eq!(shown(7, &[], &1u32.to_le_bytes()), "1970-01-01 00:00:01");
    assert_eq!(shown(7, &[], &0u32.to_le_bytes()), "0000-00-00 00:00:00");
    assert_eq!(shown(13, &[], &[0]), "0000");
    assert!(DateTime::decode_old(&u64::MAX.to_le_bytes()).is_err());
}

#[test]
fn timestamps_go_to_2106_and_follow_the_offset() {
    let last = Timestamp { secs: u32::MAX, micros: 0, fsp: 0 };
    let mut out = Vec::new();
    last.at_offset(0).write(&mut out);
    out.push(b' ');
    Timestamp { secs: 86_400 * 59 - 3600, micros: 10, fsp: 6 }.at_offset(8 * 3600).write(&mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "2106-02-07 06:28:15 1970-03-01 07:00:00.000010");
}

#[test]
fn decimals_of_every_size() {
    let show = |precision, scale, bytes: &[u8]| {
        let mut out = Vec::new();
        Decimal::new(bytes, precision, scale).unwrap().write(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(show(14, 4, &[0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2]), "1234567890.1234");
    assert_eq!(show(14, 4, &[0x7e, 0xf2, 0x04, 0xc7, 0x2d, 0xfb, 0x2d]), "-1234567890.1234");
    assert_eq!(show(1, 0, &[0x80]), "0");
    assert_eq!(decimal_len(65, 30), 30);
    // Ten in a group of one digit, and a wrong length.
    assert!(Decimal::new(&[0x8a], 1, 0).is_err());
    assert!(Decimal::new(&[0x80, 0], 1, 0).is_err());
}

fn literal(value: Value<'_>, hint: &ColumnHint) -> String {
    let mut out = Vec::new();
    match value.write_literal(&mut out, hint) {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(fault) => format!("error {fault}"),
    }
}

#[test]
fn literals_of_text() {
    let of = |charset| ColumnHint { charset: Some(charset), ..ColumnHint::default() };
    let none = ColumnHint::default();
    let bytes = |bytes| Value::Bytes(bytes);
    assert_eq!(literal(bytes(b"it's \\ \n\r\0\x1a\""), &none), "'it\\'s \\\\ \\n\\r\\0\\Z\"'");
    assert_eq!(literal(bytes(b"\x80\x81'\xe9"), &of(Charset::Latin1)), "'€\u{81}\\'é'");
    assert_eq!(literal(bytes(b"a\x81"), &of(Charset::Cp1250)), "_cp1250 0x6181");
    assert_eq!(literal(bytes(b"\xff"), &of(Charset::Utf8mb3)), "_utf8 0xFF");
    assert_eq!(literal(bytes(b"\x80"), &of(Charset::Gbk)), "_gbk 0x80");
    // The server turns a backslash in sjis into a wide one on its way back from UTF-8.
    assert_eq!(literal(bytes(b"\\"), &of(Charset::Sjis)), "_sjis 0x5C");
    assert_eq!(literal(bytes(b"\0a"), &of(Charset::Ucs2)), "'a'");
    assert_eq!(literal(bytes(b"\xd8\0"), &of(Charset::Utf16)), "_utf16 0xD800");
    assert!(literal(bytes(b"\x80"), &none).starts_with("error the character set"));
    let short = Value::Char { bytes: b"ab", width: 4 };
    assert_eq!(literal(short, &of(Charset::Binary)), "0x61620000");
    assert_eq!(literal(short, &of(Charset::Latin1)), "'ab'");
    // It could be a BINARY without its zero bytes.
    assert!(literal(short, &none).starts_with("error the character set"));
    assert_eq!(literal(bytes(b""), &of(Charset::Binary)), "''");
    let long = literal(bytes(&[0x5c; 2000]), &of(Charset::Binary));
    assert!(long.starts_with("_binary'\\\\\\\\") && long.len() == 4000 + 9, "{}", long.len());
}

#[test]
fn literals_of_numbers() {
    let none = ColumnHint::default();
    assert_eq!(literal(Value::Float(1.1), &none), "1.100000023841858e0");
    assert_eq!(literal(Value::Double(-0.1), &none), "-1e-1");
    assert!(literal(Value::Double(f64::NAN), &none).starts_with("error"));
    assert_eq!(literal(Value::Set(1 << 63), &none), "-9223372036854775808");
    assert_eq!(literal(Value::UInt(u64::MAX), &none), "18446744073709551615");
    assert_eq!(literal(Value::Year(0), &none), "0");
    assert!(literal(Value::Absent, &none).starts_with("error"));
    let vector = ColumnHint { vector_as_text: true, ..none };
    assert_eq!(literal(Value::Vector(&[0, 0, 0x80, 0x3f, 0, 0, 0x20, 0x40]), &vector), "'[1,2.5]'");
}

#[test]
fn a_rows_event_must_fit_its_table() {
    let mut decoder = decoder();
    let rows = b"\x05\0\0\0\0\0\x01\0\x02\0\x01\xff\x00\x01";
    assert_eq!(fault(decoder.decode(&frame(30, 0, 400, rows))), Fault::NoTableMap(5));
    one_value(3, &[], &[1, 2, 3], |event| {
        let mut rows = event.rows();
        let error = rows.next().unwrap_err();
        assert_eq!(
            error.to_string(),
            "Write_rows event at (unknown file):365: column 0: truncated: value needs 4 bytes, 3 are left"
        );
        assert!(rows.next().unwrap().is_none());
    });
}
