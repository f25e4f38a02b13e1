use super::*;

fn changed(text: &str) -> Option<String> {
    exact(text.as_bytes()).map(|exact| {
        assert_eq!(exact.left, []);
        String::from_utf8(exact.text).unwrap()
    })
}

/// Bits of every kind: of the whole range, of a usual size, subnormal, at the ends, integers.
fn doubles(count: u64) -> impl Iterator<Item = f64> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..count)
        .map(move |n| match n % 6 {
            0 => next() as f64 / u64::MAX as f64,
            1 => f64::from_bits(next() >> 12),
            2 => (next() | 1 << 60) as f64,
            3 => f64::from_bits(f64::MAX.to_bits() - (next() >> 20)),
            4 => -1e6 * (next() as f64 / u64::MAX as f64),
            _ => f64::from_bits(next()),
        })
        .filter(|value| value.is_finite())
}

#[test]
fn nearly_every_double_has_a_text() {
    let mut without = 0;
    for value in
        doubles(1_000_000).chain([f64::MAX, f64::MIN, f64::MIN_POSITIVE, 5e-324, -0.0, 0.0, 1e308, 1e23])
    {
        let Some(text) = spell(value) else {
            without += 1;
            continue;
        };
        assert_eq!(
            read(text.as_bytes()).map(|r| r.value.to_bits()),
            Some(value.to_bits()),
            "{value:e}: {text}"
        );
    }
    assert!(without <= 10, "{without}");
}

#[test]
fn what_the_server_misreads_is_read_so() {
    for (text, value) in
        [("0.040785546898809644", 0.04078554689880965), ("0.18015513008447814", 0.18015513008447817)]
    {
        assert_eq!(read(text.as_bytes()).unwrap().value, value);
        let spelled = changed(text).unwrap();
        assert_eq!(read(spelled.as_bytes()).unwrap().value, text.parse::<f64>().unwrap());
    }
    for integer in ["0", "-1", "18446744073709551615", "-9223372036854775808", "1e", "x", "", "1.", "1e999"] {
        assert_eq!(read(integer.as_bytes()), None, "{integer}");
    }
}

#[test]
fn only_misread_numbers_change() {
    for text in [
        "",
        "x",
        "\"",
        "\"\\",
        "[1",
        "{\"a\":1.5}",
        "\"0.040785546898809644\"",
        "\"\\\"0.040785546898809644\"",
        "{\"0.040785546898809644\":true}",
        "[1e22,1e-22,-0.0,0.1,123456789012345,9007199254740993,18446744073709551615]",
        "00.040785546898809644",
        "0.040785546898809644.",
        "0.040785546898809644e",
        "-.040785546898809644",
        "1e400",
        "-9223372036854775808",
    ] {
        assert_eq!(changed(text), None, "{text}");
    }
    let text = changed("{\"a\\\"\": [0.040785546898809644, 1.5, {\"b\":-0.18015513008447814}], \"c\":\"0.040785546898809644\"}").unwrap();
    let a = spell(0.040785546898809644).unwrap();
    let b = spell(-0.18015513008447814).unwrap();
    assert_eq!(text, format!("{{\"a\\\"\": [{a}, 1.5, {{\"b\":{b}}}], \"c\":\"0.040785546898809644\"}}"));
}

#[test]
fn the_quick_look_misses_nothing() {
    for value in doubles(20_000) {
        for text in [format!("{value}"), format!("{value:e}"), format!("[{value:.3},{value:.17e}]")] {
            assert!(may_change(text.as_bytes()) || exact(text.as_bytes()).is_none(), "{text}");
        }
    }
    assert!(!may_change(b"'{\\\"a\\\": 1.5, \\\"at\\\": \\\"2024-01-02 03:04:05.123456\\\"}'"));
    assert!(may_change(b"'[0.040785546898809644]'"));
}

#[test]
fn literals_keep_what_they_say() {
    let better = spell(0.040785546898809644).unwrap();
    let change = |literal: &str, mode| {
        exact_literal(literal.as_bytes(), mode).map(|text| String::from_utf8(text).unwrap())
    };
    let usual = SqlMode::default();
    let escaped = r#"'{\"a\\\\b\":0.040785546898809644,\n"b":"it''s"}'"#;
    let expected = format!("'{{\"a\\\\\\\\b\":{better},\n\"b\":\"it''s\"}}'");
    assert_eq!(change(escaped, usual).unwrap(), expected);
    let plain = SqlMode { no_backslash_escapes: true, ..usual };
    assert_eq!(change(r#"'["\"",0.040785546898809644]'"#, plain).unwrap(), format!(r#"'["\"",{better}]'"#));
    assert_eq!(change("\"[0.040785546898809644]\"", usual).unwrap(), format!("'[{better}]'"));
    for same in
        ["NULL", "0x5b5d", "'[0.5]'", "_utf8mb4'[0.040785546898809644]'", "'", "'[0.040785546898809644"]
    {
        assert!(change(same, usual).is_none_or(|text| text.contains(&better)), "{same}");
    }
}

#[test]
fn a_double_without_a_text_is_put_in_by_its_path() {
    let usual = SqlMode::default();
    let sql = |text: &str| String::from_utf8(exact_sql(text.as_bytes(), usual).unwrap()).unwrap();
    for number in ["-2.4947112517894706e5", "9.819373028252915e-1"] {
        assert_eq!(spell(number.parse().unwrap()), None);
        assert_eq!(
            sql(&format!("{{\"a\": [1, {{\"b\": 2}}, {{\"it's \\\" ]\": {number}}}], \"c\": 1}}")),
            format!(
                "JSON_REPLACE(CONVERT('{{\"a\": [1, {{\"b\": 2}}, {{\"it''s \\\\\" ]\": {number}}}], \"c\": 1}}' USING utf8mb4),\
                 CONVERT('$.\"a\"[2].\"it''s \\\\\" ]\"' USING utf8mb4),{number})"
            )
        );
        assert_eq!(
            sql(&format!("[{number},[],{number}]")),
            format!(
                "JSON_REPLACE(CONVERT('[{number},[],{number}]' USING utf8mb4),CONVERT('$[0]' USING utf8mb4),{number},\
                 CONVERT('$[2]' USING utf8mb4),{number})"
            )
        );
    }
}
