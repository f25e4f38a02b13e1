use std::sync::Arc;

use crate::source::form::FileForm;
use common::storage::{RangeReader, Result as StorageResult};
use futures::future::BoxFuture;

use super::*;
use crate::source::rows::Part;

#[derive(Debug)]
struct Memory(Vec<u8>);

impl RangeReader for Memory {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at<'a>(&'a self, offset: u64, buffer: &'a mut [u8]) -> BoxFuture<'a, StorageResult<usize>> {
        Box::pin(async move { self.read_at_blocking(offset, buffer) })
    }

    fn read_at_blocking(&self, offset: u64, buffer: &mut [u8]) -> StorageResult<usize> {
        let rest = self.0.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }
}

const LIMITS: Limits =
    Limits { statement_bytes: 30, statement_rows: 1000, batch_bytes: 60, packet_limit: 10_000 };

fn shapes() -> Arc<ShapeMaker> {
    Arc::new(|head: &Head| {
        let columns = head.columns.clone().map_or(String::new(), |names| format!(" ({})", names.join(",")));
        Ok(Shape {
            prefix: format!("I{columns} V ").into_bytes(),
            suffix: Vec::new(),
            rewrite: None,
            enums: Vec::new(),
        })
    })
}

fn packer(text: &[u8], limits: Limits, start: Start, last: bool) -> Packer {
    let memory: Arc<dyn RangeReader> = Arc::new(Memory(text.to_vec()));
    let mode = SqlMode::default();
    let part = Part {
        begin: start.begin,
        head_at: start.head.as_ref().map(|_| 0),
        end: (start.end != u64::MAX).then_some(start.end),
        last,
    };
    let file = FileReader::open(memory, &FileForm::default(), mode, part, 1 << 20).unwrap();
    Packer::new(file, "f".into(), Prologue::default(), mode, (limits, Arc::default()), shapes(), &start)
        .unwrap()
}

fn all(mut packer: Packer) -> Vec<Batch> {
    std::iter::from_fn(|| packer.next_batch().unwrap()).collect()
}

fn whole(text: &[u8]) -> Start {
    Start { begin: 0, end: text.len() as u64, head: None }
}

fn sample() -> Vec<u8> {
    let mut text = b"SET NAMES binary;\nINSERT INTO t VALUES\n(0,'zero')".to_vec();
    for number in 1..40 {
        match number % 13 {
            0 => text.extend_from_slice(format!(";\n\nINSERT INTO t VALUES ({number},'a;)')").as_bytes()),
            1 => text.extend_from_slice(format!(";INSERT INTO t (b,a) VALUES ('q',{number})").as_bytes()),
            _ => text.extend_from_slice(format!(",\n({number},'it''s')").as_bytes()),
        }
    }
    text.extend_from_slice(b";\n");
    text
}

#[test]
fn batches_follow_one_another_and_hash_their_bytes() {
    let text = sample();
    let batches = all(packer(&text, LIMITS, whole(&text), true));
    assert!(batches.len() > 5);
    let mut at = 0;
    for batch in &batches {
        assert_eq!(batch.done.begin, at);
        at = batch.done.end;
        let bytes = &text[batch.done.begin as usize..batch.done.end as usize];
        assert_eq!(batch.done.checksum, u64::from(crc32fast::hash(bytes)));
        assert_eq!(batch.done.rows, batch.statements.iter().map(|statement| statement.rows).sum::<u64>());
    }
    assert_eq!(at, text.len() as u64);
    assert_eq!(batches.iter().map(|batch| batch.done.rows).sum::<u64>(), 40);
    assert_eq!(batches.last().unwrap().done.head_at, None);
}

/// Every row with the columns it stands under, read without a packer.
fn plain_rows(text: &[u8]) -> Vec<(String, Vec<u8>)> {
    let memory: Arc<dyn RangeReader> = Arc::new(Memory(text.to_vec()));
    let mut file =
        FileReader::open(memory, &FileForm::default(), SqlMode::default(), Part::WHOLE, 1 << 20).unwrap();
    let (mut columns, mut found) = (String::new(), Vec::new());
    loop {
        match file.next(1).unwrap() {
            Item::Head(head) => {
                columns = head.columns.map_or(String::new(), |names| format!(" ({})", names.join(",")))
            }
            Item::Rows { bytes, count, .. } => {
                assert_eq!(count, 1);
                found.push((format!("I{columns} V "), bytes.to_vec()));
            }
            Item::Eof => return found,
            _ => {}
        }
    }
}

#[test]
fn rows_stay_under_their_own_columns() {
    let text = sample();
    let mut found = Vec::new();
    for statement in all(packer(&text, LIMITS, whole(&text), true)).iter().flat_map(|batch| &batch.statements)
    {
        let (head, rows) = statement.sql.split_at(statement.shape.prefix.len());
        let head = String::from_utf8(head.to_vec()).unwrap();
        found.extend(single_rows(rows, SqlMode::default()).map(|(_, row)| (head.clone(), row.to_vec())));
        assert_eq!(text[statement.at as usize], b'(');
        assert_eq!(text[statement.end as usize - 1], b')');
    }
    assert_eq!(found, plain_rows(&text));
}

#[test]
fn every_batch_can_be_the_last_before_a_kill() {
    let text = sample();
    let batches = all(packer(&text, LIMITS, whole(&text), true));
    let rows = |batches: &[Batch]| -> Vec<Vec<u8>> {
        batches
            .iter()
            .flat_map(|batch| &batch.statements)
            .flat_map(|statement| {
                let start = statement.shape.prefix.len();
                single_rows(&statement.sql[start..], SqlMode::default()).map(|(_, row)| row.to_vec())
            })
            .collect()
    };
    let every = rows(&batches);
    for cut in 0..batches.len() - 1 {
        let done = batches[cut].done;
        let memory: Arc<dyn RangeReader> = Arc::new(Memory(text.clone()));
        let head = FileReader::head(
            memory,
            &FileForm::default(),
            SqlMode::default(),
            done.head_at.unwrap(),
            1 << 20,
        )
        .unwrap()
        .unwrap();
        let start = Start { begin: done.end, end: text.len() as u64, head: Some(head) };
        let later = all(packer(&text, LIMITS, start, true));
        let before = rows(&batches[..=cut]);
        assert_eq!([before, rows(&later)].concat(), every, "cut behind batch {cut}");
        assert_eq!(later.last().unwrap().done.end, text.len() as u64);
    }
}

#[test]
fn limits_of_rows_and_packets_hold() {
    let text = sample();
    let limits = Limits { statement_rows: 2, ..LIMITS };
    let batches = all(packer(&text, limits, whole(&text), true));
    assert!(batches.iter().flat_map(|batch| &batch.statements).all(|statement| statement.rows <= 2));
    assert_eq!(batches.iter().map(|batch| batch.done.rows).sum::<u64>(), 40);
    let text = format!("INSERT INTO t VALUES (1,'{}'),(2,'x');", "y".repeat(200));
    let limits = Limits { packet_limit: 100, ..LIMITS };
    let error =
        packer(text.as_bytes(), limits, whole(text.as_bytes()), true).next_batch().unwrap_err().to_string();
    assert!(error.contains("at offset 21: the row takes 206 bytes"), "{error}");
}

#[test]
fn a_row_is_found_by_its_number() {
    let text = sample();
    let limits = Limits { statement_bytes: 10_000, batch_bytes: 100_000, ..LIMITS };
    let batches = all(packer(&text, limits, whole(&text), true));
    let mut seen = 0;
    for statement in batches.iter().flat_map(|batch| &batch.statements) {
        for number in 1..=statement.rows {
            let at = statement.offset_of_row(number, SqlMode::default()).unwrap().0 as usize;
            let shown = String::from_utf8_lossy(&text[at..at + 12]).into_owned();
            assert!(
                shown.starts_with(&format!("({seen},")) || shown.contains(&format!(",{seen})")),
                "{shown} {seen}"
            );
            seen += 1;
        }
    }
    assert_eq!(seen, 40);
}

#[test]
fn damaged_files_are_errors_with_their_bytes() {
    let text = sample();
    let error = |text: &[u8]| {
        let mut packer = packer(text, LIMITS, whole(text), true);
        loop {
            match packer.next_batch() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => return error.to_string(),
            }
        }
    };
    let cut = error(&text[..text.len() - 2]);
    assert!(cut.contains("without the semicolon of its last statement"), "{cut}");
    let cut = error(&text[..text.len() / 2]);
    assert!(cut.contains("file 'f'") && cut.contains("byte"), "{cut}");
    let mut stray = text.clone();
    stray.insert(49, b'!');
    assert!(error(&stray).contains("unexpected '!' at byte 49"), "{}", error(&stray));
    let unclosed = b"INSERT INTO t VALUES (1,'a'),(2,'b);\n";
    assert!(error(unclosed).contains("opened at byte 32 is never closed"), "{}", error(unclosed));
    let tail = b"INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a=1;";
    assert!(error(tail).contains("behind its rows, at byte 25"), "{}", error(tail));
}

/// Mutated files: never a panic, and what is given out is in order and hashed, up to the error.
#[test]
fn mutated_files_never_panic() {
    let mut numbers = testkit::Random::of_target("SQL files");
    let mut random = |below| numbers.below(below);
    let text = sample();
    for _ in 0..testkit::random::fuzz_rounds(4_000) {
        let mut bad = text.clone();
        for _ in 0..1 + random(4) {
            let at = random(bad.len());
            match random(4) {
                0 => bad[at] = random(256) as u8,
                1 if bad.len() > 1 => drop(bad.remove(at)),
                2 => bad.insert(at, b"'\"`(),;\\-#/*\n"[random(13)]),
                _ => bad.truncate(at.max(1)),
            }
        }
        let mut packer = packer(&bad, LIMITS, whole(&bad), true);
        let mut at = 0;
        while let Ok(Some(batch)) = packer.next_batch() {
            assert_eq!(batch.done.begin, at);
            at = batch.done.end;
            let bytes = &bad[batch.done.begin as usize..batch.done.end as usize];
            assert_eq!(batch.done.checksum, u64::from(crc32fast::hash(bytes)));
        }
    }
}
