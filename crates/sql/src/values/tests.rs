use super::*;
use std::borrow::Cow;

/// Everything a reader finds, through windows that grow by `step` bytes.
fn read(text: &str, step: usize, max_bytes: usize) -> Result<Vec<String>, ValuesError> {
    read_mode(text, step, max_bytes, SqlMode::default())
}

fn read_mode(text: &str, step: usize, max_bytes: usize, mode: SqlMode) -> Result<Vec<String>, ValuesError> {
    let bytes = text.as_bytes();
    let mut reader = ValuesReader::new(mode, 0);
    let mut found = Vec::new();
    let mut end = step.min(bytes.len());
    loop {
        let start = reader.offset() as usize;
        end = end.max(start);
        let window = &bytes[start..end];
        let shown = |span: Span| String::from_utf8_lossy(span.of(window)).into_owned();
        match reader.next(window, end == bytes.len(), max_bytes)? {
            Item::Head(head) => {
                found.push(format!("{:?} {:?}.{} {:?}", head.verb, head.schema, head.table, head.columns))
            }
            Item::Rows { span, count } => found.push(format!("{count}:{}", shown(span))),
            Item::Tail(span) => found.push(format!("tail {}", shown(span))),
            Item::End => found.push("end".into()),
            Item::Other(span) => found.push(format!("other {}", shown(span))),
            Item::More => {
                assert!(end < bytes.len(), "asks for more at the end, after {found:?}");
                end = (end + step).min(bytes.len());
            }
            Item::Eof => return Ok(found),
        }
    }
}

#[test]
fn a_dumpling_file() {
    let text = "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(1,'a(),\\'x'),\n(2,NULL);\nINSERT INTO `t` (`a`,`b``c`) VALUES\n(3,'--')\n;\n";
    let expected = [
        "other /*!40014 SET FOREIGN_KEY_CHECKS=0*/",
        "other /*!40101 SET NAMES binary*/",
        "Insert None.t None",
        "2:(1,'a(),\\'x'),\n(2,NULL)",
        "end",
        "Insert None.t Some([\"a\", \"b`c\"])",
        "1:(3,'--')",
        "end",
    ];
    assert_eq!(read(text, 1000, 1000).unwrap(), expected);
    // One row at a time, whatever the windows.
    for step in 1..200 {
        let single = read(text, step, 1).unwrap();
        assert_eq!(single[3..5], ["1:(1,'a(),\\'x')", "1:(2,NULL)"], "windows of {step}");
        assert_eq!(single.len(), 9);
    }
}

#[test]
fn all_forms_of_heads_and_rows() {
    let text = "insert low_priority ignore into `d`.t(a, t.b) value(1,2) , -- c\n(3, (4+(5))) /* ) */,(\"a)\",`x)`)#\n;REPLACE d.`t` PARTITION (p0,p1) () values (),();\
        set names x;insert t values row(1,2),ROW (3,')') as n on duplicate key update a=n.a+');';insert into t values (1)";
    let expected = [
        "InsertIgnore Some(\"d\").t Some([\"a\", \"b\"])",
        "3:(1,2) , -- c\n(3, (4+(5))) /* ) */,(\"a)\",`x)`)",
        "end",
        "Replace Some(\"d\").t Some([])",
        "2:(),()",
        "end",
        "other set names x",
        "Insert None.t None",
        "2:row(1,2),ROW (3,')')",
        "tail as n on duplicate key update a=n.a+');'",
        "end",
        "Insert None.t None",
        "1:(1)",
        "end",
    ];
    assert_eq!(read(text, 10_000, 10_000).unwrap(), expected);
    for step in [1, 2, 3, 7, 31, 64, 65] {
        let merged = read(text, step, 1).unwrap();
        let merged: Vec<&str> =
            merged.iter().map(String::as_str).filter(|item| !item.contains(':')).collect();
        let wanted: Vec<&str> = expected.into_iter().filter(|item| !item.contains(':')).collect();
        assert_eq!(merged, wanted, "windows of {step}");
    }
}

#[test]
fn faults_name_their_offset() {
    let fail = |text: &str| {
        (1..90).map(|step| read(text, step, 1000).unwrap_err()).reduce(|a, b| {
            assert_eq!(a, b);
            a
        })
    };
    let unclosed = |what, offset| Some(ValuesError::Unclosed { what, offset });
    assert_eq!(fail("insert into t values (1),('a"), unclosed(Open::SingleQuote, 26));
    assert_eq!(fail("insert into t values (1),(2"), unclosed(Open::Parenthesis, 25));
    assert_eq!(fail("insert into `t values (1)"), unclosed(Open::Backquote, 12));
    assert_eq!(fail("insert into t values (1/*"), unclosed(Open::Comment, 23));
    assert_eq!(
        fail("insert into t values (1),"),
        Some(ValuesError::Truncated { offset: 24, expected: "a row" })
    );
    assert_eq!(fail("insert into t "), Some(ValuesError::Truncated { offset: 14, expected: "VALUES" }));
    let unexpected = |found: &str, offset, expected| {
        Some(ValuesError::Unexpected { found: found.into(), offset, expected })
    };
    assert_eq!(fail("insert into t values (1)x,(2)"), unexpected("'x'", 24, "a comma or semicolon"));
    assert_eq!(fail("insert into t values (1)(2)"), unexpected("'('", 24, "a comma or semicolon"));
    assert_eq!(fail("insert into t values (1),,(2)"), unexpected("','", 25, "a row in parentheses"));
    assert_eq!(fail("insert into t values ;"), unexpected("';'", 21, "a row in parentheses"));
    assert_eq!(fail("  insert into t set a=1;"), Some(ValuesError::NotValues { offset: 2 }));
    assert_eq!(fail("insert into t select 1;"), Some(ValuesError::NotValues { offset: 0 }));
    // Rows before a fault are given out.
    let mut reader = ValuesReader::resume(SqlMode::default(), 0);
    assert_eq!(reader.next(b"(1),(2)x", true, 100).unwrap(), Item::Rows { span: Span::new(0, 7), count: 2 });
    assert!(reader.next(b"x", true, 100).is_err());
}

#[test]
fn a_reader_resumes_at_row_boundaries() {
    let text = b"insert into t values\n(1),\n(2),\n(3);insert into u values (4);";
    let mut first = ValuesReader::new(SqlMode::default(), 0);
    assert!(matches!(first.next(text, true, 1), Ok(Item::Head(_))));
    first.next(&text[first.offset() as usize..], true, 1).unwrap();
    // Both the end of row 1 and the begin of row 2 are boundaries.
    for offset in [first.offset(), first.offset() + 2] {
        let mut second = ValuesReader::resume(SqlMode::default(), offset);
        assert!(second.in_rows());
        let item = second.next(&text[offset as usize..], true, 1000).unwrap();
        assert!(matches!(item, Item::Rows { count: 2, .. }), "{item:?}");
        assert_eq!(second.next(&text[second.offset() as usize..], true, 1), Ok(Item::End));
        assert!(matches!(second.next(&text[second.offset() as usize..], true, 1), Ok(Item::Head(_))));
    }
}

#[test]
fn backslashes_follow_the_mode() {
    let plain = SqlMode::parse("NO_BACKSLASH_ESCAPES");
    let text = r"insert into t values ('a\'),('b');";
    assert_eq!(read_mode(text, 99, 99, plain).unwrap()[1], r"2:('a\'),('b')");
    let ansi = SqlMode::parse("ANSI_QUOTES");
    let text = r#"insert into "t" ("a""b") values ('"\'"');"#;
    assert_eq!(
        read_mode(text, 99, 99, ansi).unwrap()[..2],
        [r#"Insert None.t Some(["a\"b"])"#, r#"1:('"\'"')"#]
    );
}

#[test]
fn cells_of_every_form() {
    use CellKind::*;
    let mode = SqlMode::default();
    let row = r#"( 1,-2 ,18446744073709551615,1.50,-1e3,NULL,null,TRUE,false,DEFAULT,'a','it''s\n',"d",N'n',_latin1 'x',_binary x'ff',0x1f2,x'','',b'101',0b1,CONVERT('{"a":1}' USING UTF8MB4),'a' 'b',1+1,now(),ST_GeomFromText('POINT(1 2)'),- 5)"#;
    let found: Vec<_> = cells(row.as_bytes(), mode).unwrap().collect::<Result<_, _>>().unwrap();
    let kinds: Vec<_> = found.iter().map(|cell| cell.kind).collect();
    let expected = [
        Number,
        Number,
        Number,
        Number,
        Number,
        Null,
        Null,
        Bool(true),
        Bool(false),
        Default,
        String,
        String,
        String,
        String,
        String,
        Hex,
        Hex,
        Hex,
        String,
        Bit,
        Bit,
        String,
        String,
        Expression,
        Expression,
        Expression,
        Expression,
    ];
    assert_eq!(kinds, expected);
    let value = |index: usize| found[index].value(mode).unwrap();
    let text = |text: &'static str| Value::Text(Cow::Borrowed(text.as_bytes()));
    assert_eq!(value(0), Value::Int(1));
    assert_eq!(value(1), Value::Int(-2));
    assert_eq!(value(2), Value::UInt(u64::MAX));
    assert_eq!(value(3), Value::Number(b"1.50"));
    assert!(matches!(value(10), Value::Text(Cow::Borrowed(b"a"))));
    assert_eq!(value(11), text("it's\n"));
    assert_eq!(value(13), text("n"));
    assert_eq!((found[14].charset, value(14)), (Some(&b"latin1"[..]), text("x")));
    assert_eq!((found[15].charset, value(15)), (Some(&b"binary"[..]), Value::Binary(vec![255])));
    assert_eq!(value(16), Value::Binary(vec![1, 0xf2]));
    assert_eq!(value(17), Value::Binary(vec![]));
    assert_eq!(value(19), Value::Binary(vec![5]));
    assert_eq!((found[21].charset, value(21)), (Some(&b"UTF8MB4"[..]), text(r#"{"a":1}"#)));
    assert_eq!(value(22), text("ab"));
    assert_eq!(value(25), Value::Expression(b"ST_GeomFromText('POINT(1 2)')"));
    assert_eq!(found[1].text, b"-2");

    assert_eq!(cells(b"()", mode).unwrap().count(), 0);
    assert_eq!(cells(b"ROW(1,2)", mode).unwrap().count(), 2);
    assert_eq!(cells(b"1", mode).unwrap_err(), CellError::NotARow);
    let fail = |row: &[u8]| cells(row, mode).unwrap().find_map(Result::err).unwrap();
    assert_eq!(fail(b"(1,,2)"), CellError::Missing { offset: 3 });
    assert_eq!(fail(b"(1,'a)"), CellError::Unclosed { offset: 3 });
    assert_eq!(fail(b"(1,2"), CellError::Unclosed { offset: 3 });
    let odd = cells(b"(x'1')", mode).unwrap().next().unwrap().unwrap();
    assert_eq!(odd.value(mode), Err(CellError::BadDigits { offset: 1 }));
}
