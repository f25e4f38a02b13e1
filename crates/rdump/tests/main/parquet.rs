//! Parquet, read by pyarrow, which looks at the checksums of pages.

use std::path::Path;

use testkit::python::{has_pyarrow, run_pyarrow};
use testkit::{Account, Kind, Options, Server};

use crate::support::{dump, files, manifest, program, rdump, work_dir};

const SQL: &str = "CREATE DATABASE p CHARACTER SET utf8mb4;
    CREATE TABLE p.t (id int unsigned NOT NULL PRIMARY KEY, a tinyint, b smallint unsigned, c mediumint, d bigint unsigned, e decimal(5,2),
      f decimal(18,6), g decimal(65,30), h float, i double, j date, k time(6), l datetime(6), m timestamp(3) NULL, n year, o char(5), p varchar(9),
      q varbinary(9), r blob, s enum('x','y'), u set('m','n'), v bit(10), w json, z text NOT NULL);
    SET time_zone = '+00:00';
    INSERT INTO p.t VALUES (1,-128,65535,-8388608,18446744073709551615,-999.99,-0.000001,
      -12345678901234567890123456789012345.123456789012345678901234567890,0.1,5e-324,'0001-01-01','23:59:59.999999','9999-12-31 23:59:59.999999',
      '2024-02-29 12:00:00.5',2155,'it''s','ä\u{1F600}',x'00ff','\\\\','y','m,n',b'1000000001','{\"a\": 1}',''),
      (2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'x');";

/// Schema, number of row groups and rows of all files, in order.
const READ: &str = r#"
import glob
groups = 0
rows = []
for path in sorted(glob.glob('*.parquet')):
    file = pq.ParquetFile(path, page_checksum_verification=True)
    groups += file.num_row_groups
    rows += file.read().to_pylist()
    schema = file.schema_arrow
print([(f.name, str(f.type), f.nullable) for f in schema])
print(groups)
for row in rows[:5]:
    print(list(row.values()))
print(len(rows), sum(r.get('id', 0) for r in rows))
"#;

fn read(dir: &Path) -> Vec<String> {
    // Its versions name the zone in different ways.
    let text = run_pyarrow(dir, READ).replace("zoneinfo.ZoneInfo(key='UTC')", "<UTC>");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn types_are_kept() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let options = Options::default().time_zone("+05:00");
        let Some(server) = Server::start_or_skip(kind, options).filter(|_| has_pyarrow()) else { continue };
        server.sql(SQL);
        let dir = work_dir();
        for (number, args) in [
            &[][..],
            &["-c", "zstd"],
            &["-c", "gzip", "--compress-level", "1"],
            &["--parquet-compress", "snappy"],
        ]
        .into_iter()
        .enumerate()
        {
            let out = dir.join(number.to_string());
            dump(&server, &[&["-B", "p", "--filetype", "parquet"], args].concat(), &out);
            let json = if kind == Kind::MySql8033 { "json" } else { "string" };
            let lines = read(&out);
            let schema = lines[0].replace("extension<arrow.json>", "json");
            let json = if schema.contains("json") { json } else { "string" };
            assert_eq!(
                schema,
                format!(
                    "[('id', 'uint32', False), ('a', 'int8', True), ('b', 'uint16', True), ('c', 'int32', True), ('d', 'uint64', True), \
                     ('e', 'decimal128(5, 2)', True), ('f', 'decimal128(18, 6)', True), ('g', 'decimal256(65, 30)', True), \
                     ('h', 'float', True), ('i', 'double', True), ('j', 'date32[day]', True), ('k', 'time64[us]', True), \
                     ('l', 'timestamp[us]', True), ('m', 'timestamp[us, tz=UTC]', True), ('n', 'uint16', True), ('o', 'string', True), \
                     ('p', 'string', True), ('q', 'binary', True), ('r', 'binary', True), ('s', 'string', True), ('u', 'string', True), \
                     ('v', 'uint64', True), ('w', '{json}', True), ('z', 'string', False)]"
                ),
                "{kind} {args:?}"
            );
            assert_eq!(
                lines[2],
                "[1, -128, 65535, -8388608, 18446744073709551615, Decimal('-999.99'), Decimal('-0.000001'), \
                 Decimal('-12345678901234567890123456789012345.123456789012345678901234567890'), 0.10000000149011612, 5e-324, \
                 datetime.date(1, 1, 1), datetime.time(23, 59, 59, 999999), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), \
                 datetime.datetime(2024, 2, 29, 12, 0, 0, 500000, tzinfo=<UTC>), 2155, \"it's\", 'ä\u{1F600}', b'\\x00\\xff', b'\\\\', 'y', \
                 'm,n', 513, '{\"a\": 1}', '']",
                "{kind} {args:?}"
            );
            assert_eq!(lines[3], format!("[2, {}'x']", "None, ".repeat(22)), "{kind} {args:?}");
            let verify = || testkit::Tool::at("rdump", &program()).arg("verify").arg("-o").arg(&out);
            verify().run().success();
            let login = Account::Dump.credentials();
            let port = server.port().to_string();
            verify()
                .args(["-P", &port, "-u", login.user, "-p", login.password, "--against-source"])
                .run()
                .success();
        }
    }
}

#[test]
fn many_rows_in_groups_chunks_and_files() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()).filter(|_| has_pyarrow())
    else {
        return;
    };
    server.sql(
        "CREATE DATABASE p; CREATE TABLE p.t (id int NOT NULL PRIMARY KEY, c varchar(100), n int);
         SET cte_max_recursion_depth = 100000;
         INSERT INTO p.t WITH RECURSIVE r (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM r WHERE i < 20000)
           SELECT i, IF(i % 7 = 0, NULL, REPEAT(i, 5)), IF(i % 3 = 0, NULL, i) FROM r;
         ANALYZE TABLE p.t;
         CREATE TABLE p.empty (a int); CREATE TABLE p.big (id int NOT NULL PRIMARY KEY, b longblob);
         INSERT INTO p.big SELECT id, REPEAT('x', 3000000 + id) FROM p.t WHERE id <= 5",
    );
    let dir = work_dir();
    let sum = 20_000u64 * 20_001 / 2;
    for (name, args, least_groups, least_files) in [
        ("one", &[][..], 1, 1),
        (
            "groups",
            &["--parquet-row-group-size", "50KiB", "--parquet-page-size", "1KiB", "-c", "zstd"],
            10,
            1,
        ),
        ("chunks", &["-r", "3000", "-t", "3"], 5, 5),
        ("sized", &["-F", "100KiB", "-r", "12000", "--parquet-row-group-size", "64KiB"], 7, 4),
    ] {
        let out = dir.join(name);
        dump(&server, &[&["-T", "p.t,p.empty", "--filetype", "parquet"], args].concat(), &out);
        let lines = read(&out);
        assert!(lines[1].parse::<u64>().unwrap() >= least_groups, "{name}: {}", lines[1]);
        assert_eq!(lines.last().unwrap(), &format!("20000 {sum}"), "{name}");
        let count = files(&out).keys().filter(|name| name.ends_with(".parquet")).count();
        assert!(count >= least_files, "{name}: {count} files");
        let manifest = manifest(&out);
        assert_eq!(manifest.files.iter().map(|file| file.rows).sum::<u64>(), 20_000, "{name}");
        for file in &manifest.files {
            let bytes = std::fs::read(out.join(&file.name)).unwrap();
            assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
            assert_eq!(blake3::hash(&bytes).to_hex().to_string(), file.blake3, "{}", file.name);
        }
    }
    let out = dir.join("big");
    dump(&server, &["-T", "p.big", "--filetype", "parquet", "-c", "snappy"], &out);
    assert_eq!(read(&out).last().unwrap(), "5 15");
    let out = dir.join("query");
    dump(
        &server,
        &["--sql", "SELECT 1 id, NULL b, 1.50 c UNION ALL SELECT 2, 'x', 2", "--filetype", "parquet"],
        &out,
    );
    let lines = read(&out);
    assert_eq!(lines[2..], ["[1, None, Decimal('1.50')]", "[2, 'x', Decimal('2.00')]", "2 3"]);
}

#[test]
fn times_that_parquet_has_not() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()).filter(|_| has_pyarrow())
    else {
        return;
    };
    server.sql(
        "SET sql_mode = 'ALLOW_INVALID_DATES'; CREATE DATABASE p;
         CREATE TABLE p.a (d date); INSERT INTO p.a VALUES ('0000-00-00');
         CREATE TABLE p.b (d datetime); INSERT INTO p.b VALUES ('2023-02-30 00:00:00');
         CREATE TABLE p.c (d time); INSERT INTO p.c VALUES ('-838:59:59')",
    );
    let dir = work_dir();
    for (table, said) in [
        ("p.a", "column `d`: Parquet has no day `0000-00-00`: --parquet-times=text"),
        ("p.b", "no day `2023-02-30 00:00:00`"),
        ("p.c", "no time of a day `-838:59:59`"),
    ] {
        let out = dir.join(table);
        let done =
            rdump(&server, Account::Dump, &out).args(["-T", table, "--filetype", "parquet"]).run().failure();
        assert!(done.shown().contains(said), "{table}: {}", done.shown());
        assert!(!files(&out).keys().any(|name| name.ends_with(".parquet")), "{table}");
    }
    let out = dir.join("text");
    dump(&server, &["-B", "p", "--filetype", "parquet", "--parquet-times", "text"], &out);
    assert_eq!(read(&out)[2..5], ["['0000-00-00']", "['2023-02-30 00:00:00']", "['-838:59:59']"]);
}
