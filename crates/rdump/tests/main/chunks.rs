//! Chunks on keys of every type: the same rows as without chunks, each once, and no chunk much larger than asked for.

use std::path::Path;

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{dump, files, manifest, rows, through, work_dir};

const ROWS: usize = 5000;

/// Tables of 5,000 rows with keys of every kind, skewed and sparse ones among them.
const TABLES: [(&str, &str, &str); 14] = [
    ("dec_key", "k DECIMAL(20,3) PRIMARY KEY, v INT", "n * 1.003 - 2000, n"),
    ("text_ci", "k VARCHAR(40) PRIMARY KEY, v INT", "CONCAT(IF(n % 2, 'User', 'uSER'), LPAD(n, 6, '0')), n"),
    (
        "text_bin",
        "k VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_bin PRIMARY KEY, v INT",
        "CONCAT(CHAR(160 + n % 90), LEFT(SHA2(n, 224), 32)), n",
    ),
    ("hash", "k CHAR(32) CHARACTER SET ascii PRIMARY KEY, v INT", "LEFT(SHA2(n, 224), 32), n"),
    ("binary_key", "k VARBINARY(16) PRIMARY KEY, v INT", "UNHEX(LEFT(SHA2(n, 224), 32)), n"),
    ("day", "k DATETIME PRIMARY KEY, v INT", "'1970-01-01' + INTERVAL n * n MINUTE, n"),
    ("clock", "k TIME PRIMARY KEY, v INT", "SEC_TO_TIME(n * 300 - 700000), n"),
    ("skewed", "k BIGINT PRIMARY KEY, v INT", "IF(n < 10, 9000000000000000000 + n, n), n"),
    ("sparse", "k BIGINT UNSIGNED PRIMARY KEY, v INT", "n * 3000000000000 + n, n"),
    ("few_first", "a INT, k VARCHAR(20), v INT, PRIMARY KEY (a, k)", "n % 3, CONCAT('k', n), n"),
    (
        "one_first",
        "a VARCHAR(10), k INT, v INT, PRIMARY KEY (a, k)",
        "IF(n < 5, CONCAT('x', n), 'tenant'), n, n",
    ),
    ("unique_key", "k VARCHAR(20) NOT NULL, v INT, UNIQUE KEY (k)", "CONCAT(n % 10, '-', n), n"),
    (
        "nulls",
        "a INT NULL, k INT NULL, v INT, UNIQUE KEY (a, k)",
        "IF(n % 2, NULL, 7), IF(n < 2500, NULL, n), n",
    ),
    (
        "zero_dates",
        "k DATE NOT NULL, n INT, v INT, PRIMARY KEY (k, n)",
        "IF(n < 2000, '0000-00-00', '2001-01-01' + INTERVAL n DAY), n, n",
    ),
];

fn fill(server: &Server) {
    server.sql(
        "CREATE DATABASE c CHARACTER SET utf8; CREATE TABLE c.d (n INT PRIMARY KEY);
         INSERT INTO c.d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE c.seed (n INT PRIMARY KEY);
         INSERT INTO c.seed SELECT w.n*1000+x.n*100+y.n*10+z.n FROM c.d w, c.d x, c.d y, c.d z WHERE w.n < 5;",
    );
    for (name, columns, values) in TABLES {
        server.sql(format!(
            "SET SESSION sql_mode=''; USE c; CREATE TABLE c.`{name}` ({columns}, pad CHAR(100));
             INSERT INTO c.`{name}` SELECT {values}, REPEAT('p', 100) FROM c.seed; ANALYZE TABLE c.`{name}`",
        ));
    }
}

/// Rows of the fullest chunk, and the number of chunks with rows.
fn largest(out: &Path, table: &str) -> (u64, usize) {
    let manifest = manifest(out);
    let counts: Vec<u64> =
        manifest.files.iter().filter(|file| file.table == table).map(|file| file.rows).collect();
    (counts.iter().copied().max().unwrap_or(0), counts.len())
}

#[test]
fn keys_of_every_type_are_cut() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        fill(&server);
        let dir = work_dir();
        dump(&server, &["-B", "c"], &dir.join("whole"));
        dump(&server, &["-B", "c", "-r", "500", "-t", "3"], &dir.join("cut"));
        for (table, ..) in TABLES {
            let name = format!("c.{table}");
            let (mut whole, mut cut) = (rows(&dir.join("whole"), &name), rows(&dir.join("cut"), &name));
            if matches!(table, "unique_key" | "nulls") {
                // Without a primary key no order is asked for.
                whole.sort();
                cut.sort();
            }
            assert_eq!(whole.len(), ROWS, "{kind} {table}");
            // In the order of the files as well: chunks come in the order of the key.
            assert!(whole == cut, "{kind} {table}: {} rows instead of {ROWS}", cut.len());
            let (most, count) = largest(&dir.join("cut"), table);
            let limit = match table {
                // Rows with NULL in both columns have nothing to be cut by.
                "nulls" => 1300,
                // 8.0 compares with no zero date in its default sql_mode: all 2,000 of them are one chunk.
                "zero_dates" => 2100,
                _ => 1200,
            };
            assert!(
                most <= limit && count >= 4,
                "{kind} {table}: {count} chunks, the largest has {most} rows"
            );
        }
        let names: Vec<String> =
            files(&dir.join("cut")).into_keys().filter(|name| name.starts_with("c.hash.0")).collect();
        assert!(names.iter().enumerate().all(|(i, name)| *name == format!("c.hash.{i:09}.sql")), "{names:?}");
    }
}

/// One chunk of large rows that the plan did not cut: the idle reader takes half of what is left, and half of that.
#[test]
fn idle_readers_share_a_running_chunk() {
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        fill(&server);
        for (table, columns, values) in [
            ("numbers", "k INT PRIMARY KEY", "n"),
            ("words", "k VARCHAR(40) CHARACTER SET utf8 PRIMARY KEY", "CONCAT('Key ', LPAD(n, 6, '0'))"),
            ("pairs", "a INT, k INT, PRIMARY KEY (a, k)", "n DIV 2, n"),
        ] {
            server.sql(format!(
                "CREATE TABLE c.{table} ({columns}, pad MEDIUMBLOB);
                 INSERT INTO c.{table} SELECT {values}, REPEAT('p', 10000) FROM c.seed; ANALYZE TABLE c.{table}"
            ));
        }
        let dir = work_dir();
        for table in ["numbers", "words", "pairs"] {
            let proxy = testkit::Proxy::to(&server);
            proxy.delay(std::time::Duration::from_millis(3));
            let out = dir.join(table);
            let done = through(&proxy, &out)
                .args(["-T", &format!("c.{table}"), "-r", "1000000", "-t", "3"])
                .run()
                .success();
            LogCheck::new().check(&done.stdout);
            let done = done.says("an idle reader takes half of what is left");
            assert!(done.stdout.contains("new="), "{}", done.shown());
            let name = format!("c.{table}");
            dump(&server, &["-T", &name], &dir.join(format!("{table}-whole")));
            let (mut cut, mut whole) = (rows(&out, &name), rows(&dir.join(format!("{table}-whole")), &name));
            cut.sort();
            whole.sort();
            assert_eq!(whole.len(), ROWS);
            assert!(cut == whole, "{kind} {table}: {} rows", cut.len());
            let (most, count) = largest(&out, table);
            assert!(count >= 2 && most < ROWS as u64 * 9 / 10, "{kind} {table}: {count} chunks, {most} rows");
            let manifest = manifest(&out);
            assert_eq!(manifest.chunks.iter().map(|chunk| chunk.rows).sum::<u64>(), ROWS as u64);
            assert!(manifest.chunks.iter().all(|chunk| chunk.range.is_some()), "{:?}", manifest.chunks);
        }
    }
}
