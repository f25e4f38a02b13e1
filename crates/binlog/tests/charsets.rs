//! Conversion to UTF-8 is the server's, byte for byte.

use binlog::Charset;
use testkit::{Kind, Options, Server};

use crate::support::{sql, try_sql, unhex};

const CODES: &str = "CREATE DATABASE d; USE d; \
    CREATE TABLE n (n INT PRIMARY KEY); INSERT INTO n VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15); \
    CREATE TABLE b (b VARBINARY(1) PRIMARY KEY); INSERT INTO b SELECT CHAR(x.n * 16 + y.n) FROM n x, n y; \
    CREATE TABLE c (c VARBINARY(4) PRIMARY KEY) ENGINE=MyISAM; INSERT INTO c SELECT b FROM b; \
    INSERT INTO c SELECT CONCAT(x.b, y.b) FROM b x, b y WHERE x.b >= CHAR(128) AND y.b >= CHAR(32); \
    INSERT INTO c SELECT CONCAT(CHAR(0x8f), x.b, y.b) FROM b x, b y WHERE x.b >= CHAR(0xa1) AND y.b >= CHAR(0xa1); \
    INSERT INTO c SELECT CONCAT(x.b, y.b, z.b, u.b) FROM b x, b y, b z, b u WHERE x.b BETWEEN CHAR(0x81) AND CHAR(0x84) \
      AND y.b BETWEEN CHAR(0x30) AND CHAR(0x39) AND z.b BETWEEN CHAR(0x81) AND CHAR(0xfe) AND u.b BETWEEN CHAR(0x30) AND CHAR(0x39); \
    INSERT INTO c SELECT CONCAT(CHAR(0), x.b, y.b, z.b) FROM b x, b y, b z WHERE x.b < CHAR(2) AND y.b IN (CHAR(0), CHAR(0x20), CHAR(0xd8), CHAR(0xf6)) AND z.b > CHAR(1); \
    INSERT INTO c SELECT CONCAT(CHAR(0x90), x.b, y.b, z.b) FROM b x, b y, b z WHERE x.b BETWEEN CHAR(0x30) AND CHAR(0x31) AND y.b > CHAR(0x80) AND z.b BETWEEN CHAR(0x30) AND CHAR(0x39);";

/// Every code of one and two bytes, and the longer ones of EUC-JP and GB 18030.
#[test]
fn text_is_converted_as_the_server_does() {
    let options = Options::default().no_binlog().with("loose_skip_networking=0");
    let Some(server) = Server::start_or_skip(Kind::MySql8033, options) else { return };
    sql(&server, CODES);
    let mut failed = Vec::new();
    for charset in Charset::ALL.iter().copied().filter(|charset| *charset != Charset::Binary) {
        let name = charset.name();
        let query = format!(
            "USE d; SET sql_mode=''; SELECT HEX(c), HEX(u), CONVERT(CONVERT(u USING {name}) USING binary) <=> c FROM \
             (SELECT c, CONVERT(CONVERT(c USING {name}) USING utf8mb4) u FROM c) x WHERE u IS NOT NULL"
        );
        let rows = try_sql(&server, query.as_bytes()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mut wrong, mut missed, mut good) = (Vec::new(), Vec::new(), 0);
        for row in &rows {
            let (code, text, same) = (unhex(&row[0]), unhex(&row[1]), row[2] == "1");
            let mut ours = Vec::new();
            match (charset.to_utf8(&code, &mut ours), same) {
                (true, true) if ours == text => good += 1,
                (true, _) => {
                    wrong.push(format!("{}={}({})", row[0], row[1], String::from_utf8_lossy(&ours)));
                }
                (false, true) => missed.push(format!("{}={}", row[0], row[1])),
                (false, false) => {}
            }
        }
        println!("{name}: {good} equal, {} by their own code", missed.len());
        if !wrong.is_empty() {
            failed.push(format!(
                "{name}: {} in another way: {:?}",
                wrong.len(),
                &wrong[..wrong.len().min(60)]
            ));
        }
        // Private-use characters of EUC-JP and GB 18030 (which has them at other places since 2022), and the replacement character in TIS-620.
        let most = match charset {
            Charset::Ujis | Charset::Eucjpms => 4000,
            Charset::Tis620 => 600,
            Charset::Gb18030 => 19,
            Charset::Gb2312 => 2,
            // Two codes of one character are refused both.
            Charset::Big5 => 440,
            Charset::Sjis | Charset::Cp932 | Charset::Gbk => 10,
            _ => 0,
        };
        if missed.len() > most || good < 100 {
            failed.push(format!("{name}: {good}, not converted: {:?}", &missed[..missed.len().min(60)]));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
