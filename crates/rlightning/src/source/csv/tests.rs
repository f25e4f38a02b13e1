use std::sync::Arc;

use super::*;

fn dialect() -> Dialect {
    Dialect {
        separator: b",".to_vec(),
        quote: b"\"".to_vec(),
        terminator: Vec::new(),
        escape: Some(b'\\'),
        nulls: Vec::new(),
        backslash_n: true,
        quoted_null_is_text: false,
        header: false,
        header_names: true,
        trim_last: false,
        binary: BinaryText::Raw,
        strict: false,
    }
}

fn odd() -> Dialect {
    Dialect {
        separator: b"|+|".to_vec(),
        quote: b"''".to_vec(),
        terminator: b"\r\n".to_vec(),
        nulls: vec![b"nil".to_vec()],
        backslash_n: false,
        ..dialect()
    }
}

type Row = Vec<Option<String>>;

/// All values, read through windows that grow byte by byte: nothing may hang on where a window ends.
fn read(dialect: &Dialect, text: &str, step: usize) -> Result<Vec<Row>, CsvError> {
    let text = text.as_bytes();
    let mut reader = CsvReader::new(Arc::new(dialect.clone()), 0, false);
    let (mut rows, mut seen) = (Vec::new(), step.min(text.len()));
    loop {
        let base = reader.offset();
        let from = usize::try_from(base).unwrap();
        match reader.next(&text[from..seen], seen == text.len(), 7)? {
            Item::More => {
                assert!(seen < text.len(), "more is wanted than there is");
                seen = (seen + step).min(text.len());
            }
            Item::Eof => return Ok(rows),
            Item::Rows { span, count } => {
                let run = &text[from + span.start..from + span.end];
                assert_eq!(dialect.raw_records(run).count() as u64, count);
                let mut take = |_, fields: &[Field]| -> Result<(), CsvError> {
                    let value = |field: &Field| {
                        dialect.value(*field).map(|value| String::from_utf8_lossy(&value).into_owned())
                    };
                    rows.push(dialect.trimmed(fields).iter().map(value).collect());
                    Ok(())
                };
                dialect.each_record(run, &mut take)?;
            }
            Item::Head(head) => rows.extend(head.columns.map(|names| names.into_iter().map(Some).collect())),
            other => panic!("{other:?}"),
        }
    }
}

fn rows(dialect: &Dialect, text: &str) -> Vec<Vec<String>> {
    let all: Vec<_> = [1, 2, 3, 5, 1000].map(|step| read(dialect, text, step).unwrap()).into();
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "{all:?}");
    all[0].iter().map(|row| row.iter().map(|cell| cell.clone().unwrap_or("NULL".into())).collect()).collect()
}

#[test]
fn fields_of_every_form() {
    let text = "1,\"a \"\"q\"\" b\",\\N\r\n\n  \n2,\"x\ny\",\"\\\\N\"\n3,a\\,b\\nc,\"\\\"\"\n4,,\"\"";
    assert_eq!(
        rows(&dialect(), text),
        [
            vec!["1", "a \"q\" b", "NULL"],
            vec!["2", "x\ny", "\\N"],
            vec!["3", "a,b\nc", "\""],
            vec!["4", "", ""]
        ]
    );
}

#[test]
fn many_bytes_between_fields_and_records() {
    let text = "1|+|''a|+|b''|+|nil\r\n2|+|''it''''s''|+|x'|y\r\r\n3|+|''nil''|+||\r\n";
    assert_eq!(
        rows(&odd(), text),
        [vec!["1", "a|+|b", "NULL"], vec!["2", "it''s", "x'|y\r"], vec!["3", "NULL", "|"]]
    );
    let careful = Dialect { quoted_null_is_text: true, ..odd() };
    assert_eq!(rows(&careful, "''nil''|+|nil\r\n"), [["nil", "NULL"]]);
}

#[test]
fn nulls_quotes_and_escapes_can_be_switched_off() {
    let plain = Dialect { escape: None, nulls: vec![b"\\N".to_vec(), b"NULL".to_vec()], ..dialect() };
    assert_eq!(rows(&plain, "\\N,a\\,NULL,\"\\\"\n"), [["NULL", "a\\", "NULL", "\\"]]);
    let unquoted = Dialect { quote: Vec::new(), ..dialect() };
    assert_eq!(rows(&unquoted, "\"a\",b\"\n"), [["\"a\"", "b\""]]);
    let never = Dialect { nulls: Vec::new(), backslash_n: false, ..dialect() };
    assert_eq!(rows(&never, "\\N,NULL\n"), [["N", "NULL"]]);
}

#[test]
fn headers_and_last_separators() {
    let with_header = Dialect { header: true, trim_last: true, ..dialect() };
    assert_eq!(rows(&with_header, "\u{feff}\"Id\",B,\n1,2,\n3,\"\"\n"), [["id", "b"], ["1", "2"], ["3", ""]]);
    let skipped = Dialect { header_names: false, ..with_header };
    assert_eq!(rows(&skipped, "a,b\n1,2\n"), [["1", "2"]]);
    assert_eq!(rows(&skipped, "a,b"), [[""; 0]; 0]);
}

#[test]
fn broken_text_is_an_error_with_its_byte() {
    let error = |text: &str| {
        let all = [1, 3, 1000].map(|step| read(&dialect(), text, step).unwrap_err());
        assert!(all.iter().all(|error| *error == all[0]), "{all:?}");
        all[0].clone()
    };
    assert_eq!(error("1,2\n3,\"abc\n4,5\n"), CsvError::Unclosed(6));
    assert_eq!(error("1,\"a\"b\n"), CsvError::NoSeparator(5));
    assert_eq!(error("1,a\"b\"\n"), CsvError::NoSeparator(3));
    assert_eq!(error("1,a\\"), CsvError::NothingEscaped(3));
    assert_eq!(error("1,\"a\\"), CsvError::Unclosed(2));
}

/// Mutated text in many dialects: the same records or the same error whatever the windows are, no panic and no endless loop.
#[test]
fn mutated_text_never_panics() {
    let mut numbers = testkit::Random::of_target("csv");
    let mut random = |below: usize| numbers.below(below);
    let text =
        "a,\"b \"\"q\"\" c\",\\N\r\n1|+|''x|+|''|+|nil\r\n\\,\"\n\",,\n'','|+|''''\n\n  \n2,\"\\\"\",\"é\"\n"
            .as_bytes();
    for _ in 0..testkit::random::fuzz_rounds(2_000) {
        let mut bad = text.to_vec();
        for _ in 0..random(6) {
            let at = random(bad.len());
            match random(4) {
                0 => bad[at] = b",\"'|+\\\r\nN0\xff"[random(11)],
                1 if bad.len() > 1 => drop(bad.remove(at)),
                2 => bad.truncate(at.max(1)),
                _ => bad.insert(at, b"\"'\\,\n"[random(5)]),
            }
        }
        let bad = String::from_utf8_lossy(&bad).into_owned();
        let mut any = [dialect(), odd()][random(2)].clone();
        any.header = random(2) == 0;
        any.trim_last = random(2) == 0;
        if random(4) == 0 {
            any.escape = None;
        }
        if random(4) == 0 {
            any.quote.clear();
        }
        let whole = read(&any, &bad, bad.len().max(1));
        let bits = read(&any, &bad, 1 + random(3));
        assert_eq!(whole, bits, "{any:?} {bad:?}");
    }
}
