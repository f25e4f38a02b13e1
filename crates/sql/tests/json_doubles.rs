//! What `sql::json_doubles` says of MySQL's reading of JSON, against MySQL.

use mysql::Conn;
use sql::json_doubles::{exact, read, spell};
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
    let sql = format!("SELECT CAST(CAST('[{}]' AS JSON) AS CHAR)", texts.join(","));
    let rows = conn.query(&sql).await.unwrap_or_else(|error| panic!("{error}: {}", texts[0]));
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
        let texts: Vec<String> = part.iter().map(|value| spell(*value).unwrap()).collect();
        if !is_exact {
            assert_eq!(bits(&round_trip(&mut conn, &texts).await), bits(part));
        }
        let text =
            format!("[{}]", part.iter().map(|value| format!("{value:?}")).collect::<Vec<_>>().join(","));
        let better = exact(text.as_bytes()).map_or(text.clone(), |text| String::from_utf8(text).unwrap());
        let texts = [better.trim_matches(['[', ']']).to_owned()];
        if !is_exact {
            assert_eq!(bits(&round_trip(&mut conn, &texts).await), bits(part));
        }
    }
    eprintln!("{kind:?}: {others} misread, {unsure} by a sum");
    assert!(others > 10_000 && unsure > 100, "{others} {unsure}");
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
