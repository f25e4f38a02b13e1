//! What `sql::json_doubles` says of MySQL's reading of JSON, against MySQL.

use mysql::Conn;
use sql::SqlMode;
use sql::json_doubles::{exact_sql, read, spell};
use testkit::{Account, Kind, Options, Server};

/// Doubles of every kind, the same at each run.
fn doubles(count: u64) -> Vec<f64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut all: Vec<f64> = (0..count)
        .map(|n| match n % 7 {
            0 | 1 => next() as f64 / u64::MAX as f64,
            // Subnormal ones.
            2 => f64::from_bits(next() >> 12),
            // Integers above 2^53.
            3 => (next() >> (n % 11)) as f64 * 16.0,
            // The largest ones.
            4 => f64::from_bits(f64::MAX.to_bits() - (next() >> 14)),
            5 => -1e6 * (next() as f64 / u64::MAX as f64),
            _ => f64::from_bits(next()),
        })
        .filter(|value| value.is_finite())
        .collect();
    all.extend([
        f64::MAX,
        f64::MIN,
        f64::MIN_POSITIVE,
        5e-324,
        -5e-324,
        -0.0,
        0.0,
        1e308,
        1e23,
        1e22,
        9_007_199_254_740_993.0,
    ]);
    all
}

/// The numbers of a document as the server gives them back, or its error.
async fn round_trip(conn: &mut Conn, texts: &[String]) -> Vec<f64> {
    ask(conn, &format!("'[{}]'", texts.join(","))).await
}

async fn ask(conn: &mut Conn, document: &str) -> Vec<f64> {
    let sql = format!("SELECT CAST(CAST({document} AS JSON) AS CHAR)");
    let rows = conn.query(&sql).await.unwrap_or_else(|error| panic!("{error}: {document:.100}"));
    let text = rows.first().unwrap().text(0).unwrap();
    text.trim_matches(['[', ']']).split(", ").map(|number| number.parse().unwrap()).collect()
}

async fn compare(kind: Kind) {
    let Some(server) = Server::start_or_skip(kind, Options::default()) else { return };
    let mut conn = server.conn(Account::Admin).await;
    let is_exact = !mysql::session::misreads_json_doubles(&mut conn).await.unwrap();
    eprintln!("{kind:?}: exact {is_exact}");
    let (mut others, mut unsure) = (0, 0);
    for part in doubles(210_000).chunks(500) {
        // As MySQL, as Rust, and with more digits than are needed.
        let texts: Vec<String> = part
            .iter()
            .enumerate()
            .map(|(n, value)| match n % 4 {
                0 => format!("{value:.17e}"),
                1 => format!("{value:?}").replace(".0e", "e"),
                _ => format!("{value:e}"),
            })
            .filter(|text| text.contains(['.', 'e']) && read(text.as_bytes()).is_some())
            .collect();
        let there = round_trip(&mut conn, &texts).await;
        assert_eq!(there.len(), texts.len());
        for (text, there) in texts.iter().zip(there) {
            let (reading, says) = (read(text.as_bytes()).unwrap(), text.parse::<f64>().unwrap());
            let expected = if is_exact { says } else { reading.value };
            assert_eq!(there.to_bits(), expected.to_bits(), "{text}: there {there:e}, expected {expected:e}");
            others += u64::from(reading.value.to_bits() != says.to_bits());
            unsure += u64::from(!reading.is_sure);
        }
        if is_exact {
            continue;
        }
        let spelled: Vec<f64> = part.iter().copied().filter(|value| spell(*value).is_some()).collect();
        let texts: Vec<String> = spelled.iter().filter_map(|value| spell(*value)).collect();
        assert_eq!(bits(&round_trip(&mut conn, &texts).await), bits(&spelled));
        let text =
            format!("[{}]", part.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(","));
        let sql = exact_sql(text.as_bytes(), SqlMode::default())
            .map_or(format!("'{text}'"), |sql| String::from_utf8(sql).unwrap());
        assert_eq!(bits(&ask(&mut conn, &sql).await), bits(part));
    }
    if !is_exact {
        by_path(&mut conn).await;
    }
    eprintln!("{kind:?}: {others} misread, {unsure} by a sum");
    assert!(others > 10_000 && unsure > 100, "{others} {unsure}");
}

/// Doubles that have no text, in a document that goes into a column, in sessions of all kinds.
async fn by_path(conn: &mut Conn) {
    let numbers = ["-2.4947112517894706e5", "9.819373028252915e-1"];
    let text = format!(
        r#"{{"ä\\": "\u00e9", "it's \" ]": [1, {{"b": {}}}], "c": [{}, 0.040785546898809644]}}"#,
        numbers[0], numbers[1]
    );
    let sql = String::from_utf8(exact_sql(text.as_bytes(), SqlMode::default()).unwrap()).unwrap();
    assert!(sql.starts_with("JSON_REPLACE"), "{sql}");
    conn.exec("CREATE DATABASE d").await.unwrap();
    conn.exec("CREATE TABLE d.t (j json)").await.unwrap();
    for names in ["utf8mb4", "binary"] {
        for sql in [
            format!("SET NAMES {names}"),
            "DELETE FROM d.t".to_owned(),
            format!("INSERT INTO d.t VALUES ({sql})"),
            "SET NAMES utf8mb4".to_owned(),
        ] {
            conn.exec(&sql).await.unwrap_or_else(|error| panic!("{error}: {sql}"));
        }
        let found = conn.query_one("SELECT CAST(j AS CHAR) FROM d.t LIMIT 1").await.unwrap();
        let found = found.unwrap().text(0).unwrap();
        for part in [r#""ä\\": "é""#, r#""it's \" ]": [1, {"b": -249471.12517894706}]"#] {
            assert!(found.contains(part), "{names}: {found}");
        }
        assert!(found.contains("[0.9819373028252915, 0.040785546898809644]"), "{names}: {found}");
    }
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[tokio::test]
async fn as_mysql_57_reads() {
    compare(Kind::MySql57).await;
}

#[tokio::test]
async fn as_mysql_80_reads() {
    compare(Kind::MySql8015).await;
    compare(Kind::MySql8033).await;
}

#[tokio::test]
async fn as_mysql_97_reads() {
    compare(Kind::MySql97).await;
}
