//! How fast rows events are decoded and written as literals: `cargo bench -p binlog`. With `BINLOG_BENCH_FILE` a log file is
//! read instead of made-up events.

use std::hint::black_box;
use std::time::{Duration, Instant};

use binlog::{Body, Charset, ColumnHint, Decoder, Flavor};

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = 19 + body.len() + 4;
    let mut frame = vec![0x80, 0, 0, 0x65, kind, 1, 0, 0, 0];
    frame.extend((size as u32).to_le_bytes());
    frame.extend(1_000_000u32.to_le_bytes());
    frame.extend([0, 0]);
    frame.extend_from_slice(body);
    let sum = crc32fast::hash(&frame);
    frame.extend(sum.to_le_bytes());
    frame
}

fn format_description() -> Vec<u8> {
    let mut body = vec![4, 0];
    let mut version = b"8.0.33".to_vec();
    version.resize(50, 0);
    body.extend(version);
    body.extend([0, 0, 0, 0, 19]);
    let mut lens = vec![0u8; 41];
    for (kind, len) in [(2, 13), (4, 8), (15, 98), (19, 8), (30, 10), (31, 10), (32, 10)] {
        lens[kind - 1] = len;
    }
    body.extend(lens);
    body.push(1);
    frame(15, &body)
}

/// The table of the main job: three BIGINTs, a VARCHAR(255) in latin1, a TIMESTAMP.
fn events() -> Vec<Vec<u8>> {
    let mut frames = vec![format_description()];
    let mut map = vec![9, 0, 0, 0, 0, 0, 1, 0, 6];
    map.extend(b"my_db1\0\x06table1\0\x05\x08\x08\x08\x0f\x11\x03\xff\x00\x00\x18");
    map.extend([1, 1, 0, 2, 1, 8]);
    let map = frame(19, &map);
    for event in 0..200u64 {
        frames.push(map.clone());
        let mut rows = vec![9, 0, 0, 0, 0, 0, 1, 0, 2, 0, 5];
        let update = event % 3 == 0;
        rows.extend(if update { &[0xff, 0xff][..] } else { &[0xff][..] });
        for row in 0..60u64 {
            for image in 0..=u64::from(update) {
                rows.push(0xe0);
                for value in [event * 60 + row, row * 7919 + image, 42] {
                    rows.extend(value.to_le_bytes());
                }
                rows.push(60);
                rows.extend((0..60u8).map(|at| if at % 20 == 0 { 0xe9 } else { b'a' + at % 26 }));
                rows.extend(1_700_000_000u32.to_be_bytes());
            }
        }
        frames.push(frame(if update { 31 } else { 30 }, &rows));
    }
    frames
}

fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let mut rest = bytes.strip_prefix(b"\xfebin").expect("a binlog file");
    while rest.len() >= 19 {
        let size = u32::from_le_bytes([rest[9], rest[10], rest[11], rest[12]]) as usize;
        frames.push(rest[..size].to_vec());
        rest = &rest[size..];
    }
    frames
}

/// Seconds of the fastest of some runs.
fn best(mut run: impl FnMut()) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(2);
    let mut best = f64::MAX;
    while Instant::now() < deadline {
        let start = Instant::now();
        run();
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

fn main() {
    let (frames, flavor) = match std::env::var("BINLOG_BENCH_FILE") {
        Ok(file) => (split(&std::fs::read(file).expect("the log file")), Flavor::MariaDb),
        Err(_) => (events(), Flavor::MySql),
    };
    let megabytes = frames.iter().map(Vec::len).sum::<usize>() as f64 / 1e6;
    let hints = [ColumnHint { charset: Some(Charset::Latin1), ..ColumnHint::default() }; 100];
    let mut out = Vec::with_capacity(1 << 20);
    for (name, depth) in [("headers and checksums", 0), ("rows walked", 1), ("values", 2), ("literals", 3)] {
        let mut rows_seen = 0u64;
        let seconds = best(|| {
            rows_seen = 0;
            let mut decoder = Decoder::new(flavor);
            for frame in &frames {
                let event = decoder.decode(frame).expect("a good event");
                let Body::Rows(event) = &event.body else { continue };
                if depth == 0 {
                    continue;
                }
                let mut rows = event.rows_with(&hints);
                out.clear();
                while let Some(change) = rows.next().expect("good rows") {
                    rows_seen += 1;
                    for row in [change.before, change.after].into_iter().flatten() {
                        for column in 0..row.len() {
                            match depth {
                                2 => drop(black_box(row.value(column))),
                                3 => {
                                    row.write_literal(column, &mut out).expect("a literal");
                                    out.push(b',');
                                }
                                _ => {}
                            }
                        }
                    }
                }
                black_box(&out);
            }
        });
        println!(
            "{name}: {:.0} MB/s, {:.2} million rows/s ({megabytes:.1} MB, {rows_seen} rows)",
            megabytes / seconds,
            rows_seen as f64 / seconds / 1e6
        );
    }
}
