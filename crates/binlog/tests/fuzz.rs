//! Broken logs: never a panic, always an error where the checksum says so.
//!
//! The logs in `data` were recorded by the tests of `events` on real servers (`BINLOG_RECORD=1`).

use std::path::Path;
use std::time::{Duration, Instant};

use binlog::{Body, ColumnHint, Decoder, Event, Fault, Flavor};

use testkit::random::{Random, fuzz_rounds};

use crate::support::frames;

/// Name and bytes of each recorded log.
fn recorded() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut logs: Vec<(String, Vec<u8>)> = std::fs::read_dir(folder)
        .expect("the recorded logs")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(&path).expect("a log"))
        })
        .collect();
    logs.sort();
    assert!(logs.len() >= 10);
    logs
}

fn decoder(name: &str) -> Decoder {
    let mut decoder = Decoder::new(if name.starts_with("mariadb") { Flavor::MariaDb } else { Flavor::MySql });
    decoder.set_memory_limit(4 << 20);
    decoder
}

/// Reads everything that an event holds.
fn exhaust(event: &Event<'_>, hints: &[ColumnHint], out: &mut Vec<u8>) -> usize {
    let mut rows_seen = 0;
    match &event.body {
        Body::Rows(rows) => {
            let mut rows = rows.rows_with(hints);
            while let Ok(Some(change)) = rows.next() {
                rows_seen += 1;
                for row in [change.before, change.after].into_iter().flatten() {
                    for column in 0..row.len() {
                        out.clear();
                        let _ = row.write_literal(column, out);
                        if let Ok(value) = row.value(column) {
                            let _ = value.write_text(out, 3600);
                        }
                    }
                }
            }
        }
        Body::Query(query) => {
            rows_seen +=
                query.status.updated_schemas().count() + query.status.character_set_collations().count();
        }
        _ => {}
    }
    rows_seen
}

fn run(
    decoder: &mut Decoder,
    frame: &[u8],
    hints: &[ColumnHint],
    out: &mut Vec<u8>,
) -> Result<usize, binlog::DecodeError> {
    let event = decoder.decode(frame)?;
    let mut seen = exhaust(&event, hints, out);
    if let Body::Payload(payload) = &event.body {
        let mut inner = payload.open()?;
        while let Some(frame) = inner.next()? {
            seen += exhaust(&decoder.decode_inner(frame)?, hints, out);
        }
    }
    Ok(seen)
}

#[test]
fn recorded_logs_are_read_to_their_end() {
    for (name, bytes) in recorded() {
        let mut decoder = decoder(&name);
        let mut out = Vec::new();
        let mut seen = 0;
        for frame in frames(&bytes) {
            seen += run(&mut decoder, frame, &[], &mut out).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        assert!(seen > 0, "{name}");
    }
}

/// Every byte of an event is covered by its checksum, except the flag of an open file.
#[test]
fn a_changed_byte_is_found() {
    for (name, bytes) in recorded().iter().filter(|(name, _)| !name.starts_with("mysql57")) {
        let all = frames(bytes);
        let mut good = decoder(name);
        good.decode(all[0]).unwrap();
        for frame in all.iter().take(30) {
            for at in 0..frame.len() {
                let mut broken = frame.to_vec();
                broken[at] ^= 1 << (at % 8);
                let mut fresh = decoder(name);
                if frame[4] != 15 {
                    fresh.decode(all[0]).unwrap();
                }
                let result = fresh.decode(&broken);
                let open_flag = frame[4] == 15 && at == 17 && broken[17] ^ frame[17] == 1;
                assert!(result.is_err() || open_flag, "{name}: byte {at} of a {} event", frame[4]);
            }
        }
    }
}

#[test]
fn truncated_and_over_long_frames_are_named() {
    let (name, bytes) = recorded().into_iter().find(|(name, _)| name.starts_with("mysql57")).unwrap();
    for frame in frames(&bytes) {
        // This log has no checksums: the decoder's own checks have to find it.
        for cut in 0..frame.len() {
            let mut fresh = decoder(&name);
            if frame[4] != 15 {
                fresh.decode(frames(&bytes)[0]).unwrap();
            }
            let error = fresh.decode(&frame[..cut]).expect_err("a cut frame");
            assert!(matches!(error.fault(), Fault::Size { .. } | Fault::Truncated { .. }), "{error}");
        }
        let mut fresh = decoder(&name);
        fresh.decode(frames(&bytes)[0]).unwrap();
        let longer = [frame, &[0]].concat();
        let error = fresh.decode(&longer).expect_err("a longer frame");
        assert!(error.to_string().contains("the header says"), "{error}");
    }
}

/// Changes a few bytes, cuts or repeats a part; the header's size stays right so that the parsers are reached.
fn mutate(random: &mut Random, frame: &[u8]) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    for _ in 0..=random.below(4) {
        let at = 19 + random.below(bytes.len().saturating_sub(19));
        if at >= bytes.len() {
            break;
        }
        match random.below(8) {
            0 => bytes[at] = 0,
            1 => bytes[at] = 0xff,
            2 => bytes[at] = bytes[at].wrapping_add(1),
            3 => bytes[at] = bytes[at].wrapping_sub(1),
            4 => bytes.truncate(at),
            5 => {
                let len = random.below(16).min(bytes.len() - at);
                let part = bytes[at..at + len].to_vec();
                bytes.splice(at..at, part);
            }
            6 => {
                let values = [250u8, 251, 252, 253, 254, 0x7f, 0x80];
                bytes[at] = values[random.below(values.len())];
            }
            _ => bytes[at] = random.byte(),
        }
    }
    let size = bytes.len() as u32;
    bytes[9..13].copy_from_slice(&size.to_le_bytes());
    bytes
}

/// The frame without checksum, and its log's format description saying that there are none.
fn without_checksums(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let has = !name.starts_with("mysql57");
    frames(bytes)
        .iter()
        .map(|frame| {
            let mut frame = frame.to_vec();
            if frame[4] == 15 {
                let at = frame.len() - 5;
                frame[at] = 0;
            } else if has {
                frame.truncate(frame.len() - 4);
                let size = frame.len() as u32;
                frame[9..13].copy_from_slice(&size.to_le_bytes());
            }
            frame
        })
        .collect()
}

/// For five seconds, times `FUZZ_FACTOR`.
#[test]
fn mutated_events_never_panic() {
    let seconds = fuzz_rounds(5) as u64;
    let mut random = Random::of_target("binlog events");
    let logs: Vec<(String, Vec<Vec<u8>>)> =
        recorded().iter().map(|(name, bytes)| (name.clone(), without_checksums(name, bytes))).collect();
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let hints: Vec<ColumnHint> = (0..30)
        .map(|index| ColumnHint {
            fsp: index as u8 % 7,
            charset: binlog::Charset::ALL.get(index).copied(),
            address: (index % 10 == 9).then_some(binlog::Address::Inet6),
            ..ColumnHint::default()
        })
        .collect();
    let (mut tried, mut refused) = (0u64, 0u64);
    let mut out = Vec::new();
    while Instant::now() < deadline {
        let (name, frames) = &logs[random.below(logs.len())];
        let mut decoder = decoder(name);
        let mutated_at = random.below(frames.len());
        let hints = if random.below(2) == 0 { &hints[..] } else { &[] };
        for (index, frame) in frames.iter().enumerate() {
            // Events before and after are good, so that a broken table map meets good rows.
            let result = if index == mutated_at || random.below(30) == 0 {
                tried += 1;
                let broken = mutate(&mut random, frame);
                run(&mut decoder, &broken, hints, &mut out)
            } else {
                run(&mut decoder, frame, hints, &mut out)
            };
            refused += u64::from(result.is_err());
        }
    }
    println!("{tried} events mutated, {refused} refused");
    assert!(tried > 100 && refused > 10);
}
