//! The kinds of events, on each server.

use std::collections::BTreeMap;
use std::process::Command;

use binlog::{Body, ColumnHint, Decoder, EventKind, Flavor, MariaGtid, RowsKind, Value};
use testkit::{Kind, Options, Server};

use crate::support::{each_event, for_each_event, for_each_event_limited, frames, log_files, sql, try_sql};

const COMMON: &str = "
CREATE DATABASE d CHARACTER SET latin1; USE d;
SET SESSION time_zone='+08:00', sql_mode='STRICT_TRANS_TABLES,ANSI_QUOTES';
CREATE TABLE t (id BIGINT NOT NULL PRIMARY KEY, sid BIGINT NOT NULL UNIQUE, pid BIGINT NOT NULL, comment VARCHAR(255), at TIMESTAMP NULL) ENGINE=InnoDB;
CREATE TABLE wide (id INT PRIMARY KEY, a TINYINT UNSIGNED, b DECIMAL(20,5), c DOUBLE, e FLOAT, f DATE, g TIME(2), h DATETIME(6), i YEAR, j BIT(10), k ENUM('x','y'), l SET('x','y'),
  m CHAR(10), n BINARY(10), o VARCHAR(300), p TEXT, q BLOB, s TIMESTAMP(3) NULL, t VARBINARY(20), u MEDIUMINT, v SMALLINT);
BEGIN; INSERT INTO t VALUES (1,1,1,'one','2024-01-01 00:00:00'),(2,2,2,NULL,NULL),(3,3,3,0x80FF,'2024-01-01 00:00:00'); COMMIT;
BEGIN; UPDATE t SET comment = 'two' WHERE id > 1; UPDATE t SET sid = sid + 10; DELETE FROM t WHERE id = 1; COMMIT;
INSERT INTO wide VALUES (1,255,-12345.678,1.5e-10,1.1,'2024-02-29','-00:00:01.50','2024-02-29 12:34:56.123456',2024,513,'y','x,y','char',0x01,REPEAT('o',290),'text',0x00FF,'2024-02-29 12:34:56.789',0x00,-1,-2);
UPDATE wide SET o = NULL, a = 0, p = REPEAT('long text ', 300); DELETE FROM wide;
INSERT INTO wide (id) VALUES (2),(3);
ALTER TABLE t ADD COLUMN extra INT NOT NULL DEFAULT 7;
INSERT INTO t VALUES (9,9,9,'nine',NULL,9);
CREATE TABLE geo (a INT, b GEOMETRY); INSERT INTO geo VALUES (1, POINT(1,2));
CREATE TABLE m (a INT) ENGINE=MyISAM; INSERT INTO m VALUES (1),(2);
SAVEPOINT x; BEGIN; INSERT INTO t VALUES (10,10,10,'ten',NULL,10); SAVEPOINT s1; INSERT INTO t VALUES (11,11,11,'eleven',NULL,11); ROLLBACK TO s1; COMMIT; INSERT INTO m VALUES (3);
XA START 'gx','bx',7; INSERT INTO t VALUES (32,32,32,'xa',NULL,1); XA END 'gx','bx',7; XA PREPARE 'gx','bx',7; XA COMMIT 'gx','bx',7;
XA START 'one'; INSERT INTO t VALUES (33,33,33,'xa',NULL,1); XA END 'one'; XA COMMIT 'one' ONE PHASE;
FLUSH LOGS;
INSERT INTO t VALUES (14,14,14,'after',NULL,1); DROP TABLE m;
";

const STATEMENTS: &str = "
SET SESSION binlog_format='STATEMENT'; USE d; CREATE TABLE st (id INT AUTO_INCREMENT PRIMARY KEY, a DOUBLE, b TEXT);
SET @v = 'user variable', @n = NULL; INSERT INTO st (a, b) VALUES (RAND(), @v), (1, @n); INSERT INTO st (a) VALUES (LAST_INSERT_ID());
";

fn workload(server: &Server) {
    let mut text = COMMON.to_owned();
    if server.kind() == Kind::MySql97 {
        text += "SET gtid_next='AUTOMATIC:tag_one'; INSERT INTO t VALUES (20,20,20,'tagged',NULL,1); SET gtid_next='AUTOMATIC'; FLUSH LOGS; INSERT INTO t VALUES (21,21,21,'x',NULL,1);";
    }
    if !server.kind().is_mariadb() && server.kind() != Kind::MySql56 {
        text += "CREATE TABLE j (id INT PRIMARY KEY, a JSON); INSERT INTO j VALUES (10, JSON_ARRAY(CAST(1.50 AS DECIMAL(10,2)), CAST('2024-02-29' AS DATE), CAST('-12:34:56.789' AS TIME(3)), x'00FF', NULL, TRUE, 1e100, -70000, 3000000000, JSON_OBJECT('k', JSON_ARRAY(1, 'two'), 'long', REPEAT('x', 200)))); INSERT INTO j VALUES (1, '{\"a\": [1, 2.5, null], \"b\": \"x\"}'); UPDATE j SET a = JSON_SET(a, '$.b', 'y');";
    }
    if server.kind().is_mariadb() {
        text += "CREATE TABLE c (id INT PRIMARY KEY, a VARCHAR(900) COMPRESSED, b BLOB COMPRESSED, u UUID); INSERT INTO c VALUES (1, REPEAT('abc', 200), REPEAT('d', 500), UUID()), (2, '', NULL, NULL);";
    }
    sql(server, &text);
    sql(server, STATEMENTS);
    sql(server, "FLUSH LOGS");
}

/// Counts of row changes as `mysqlbinlog -v` lists them.
fn counts_of_mysqlbinlog(server: &Server) -> BTreeMap<String, usize> {
    let output = Command::new(testkit::catalog::mysql80_program("mysqlbinlog"))
        .args(["--no-defaults", "-v", "--base64-output=decode-rows"])
        .args(log_files(server))
        .output()
        .expect("mysqlbinlog runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut counts = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        for (start, kind) in [("### INSERT INTO ", "I"), ("### UPDATE ", "U"), ("### DELETE FROM ", "D")] {
            if let Some(table) = line.strip_prefix(start) {
                *counts.entry(format!("{kind} {}", table.trim().replace('`', ""))).or_insert(0) += 1;
            }
        }
    }
    counts
}

fn our_counts(server: &Server) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for_each_event(server, |event| {
        if let Body::Rows(event) = &event.body {
            let kind = match event.kind {
                RowsKind::Insert => "I",
                RowsKind::Update => "U",
                RowsKind::Delete => "D",
            };
            let mut rows = event.rows();
            while rows.next().unwrap().is_some() {
                *counts.entry(format!("{kind} {}.{}", event.table.schema, event.table.table)).or_insert(0) +=
                    1;
            }
        }
    });
    counts
}

/// Kinds of all events with how often they come.
fn kinds(server: &Server) -> BTreeMap<EventKind, usize> {
    let mut kinds = BTreeMap::new();
    for_each_event(server, |event| *kinds.entry(event.header.kind).or_insert(0) += 1);
    kinds
}

fn check(kind: Kind, options: Options, record: &str) -> Option<Server> {
    let server = Server::start_or_skip(kind, options)?;
    workload(&server);
    let found = kinds(&server);
    println!("{record}: {found:?}");
    for common in [EventKind::FORMAT_DESCRIPTION, EventKind::QUERY, EventKind::XID, EventKind::ROTATE] {
        assert!(found.contains_key(&common) || record.contains("compressed"), "{record} has no {common}");
    }
    if kind != Kind::MySql97 && !kind.is_mariadb() {
        assert_eq!(our_counts(&server), counts_of_mysqlbinlog(&server), "{record}");
    }
    statements(&server);
    record_logs(&server, record);
    Some(server)
}

/// Keeps the logs for the tests of `fuzz`.
fn record_logs(server: &Server, record: &str) {
    if std::env::var_os("BINLOG_RECORD").is_some() {
        let files = log_files(server);
        for (index, file) in files.iter().enumerate().take(files.len() - 1) {
            // The last file is still open.
            std::fs::write(format!("tests/data/{record}.{index}.binlog"), std::fs::read(file).unwrap())
                .unwrap();
        }
    }
}

/// What query events say.
fn statements(server: &Server) {
    let (mut alters, mut user, mut rand, mut intvar) = (0, Vec::new(), 0, 0);
    for_each_event(server, |event| match &event.body {
        Body::Query(query) => {
            assert_eq!(query.status.unknown, None, "{:?}", query);
            if query.sql.starts_with(b"ALTER TABLE t ADD COLUMN extra") {
                alters += 1;
                assert_eq!(query.schema, b"d");
                assert_eq!(query.error_code, 0);
                // STRICT_TRANS_TABLES and ANSI_QUOTES.
                let mode = query.status.sql_mode.unwrap();
                assert_eq!(mode & (1 << 21 | 4), 1 << 21 | 4, "{mode:#x}");
                let charset = query.status.charset.unwrap();
                assert_eq!(
                    binlog::Charset::of_collation(charset.client.into()),
                    Some(binlog::Charset::Utf8mb4)
                );
                assert!(query.status.flags2.is_some());
            }
            if query.sql.starts_with(b"INSERT INTO st") {
                assert_eq!(query.status.time_zone, None);
            }
        }
        Body::UserVar(var) => user.push((var.name.to_vec(), var.value.map(<[u8]>::to_vec))),
        Body::Rand(..) => rand += 1,
        Body::Intvar { kind, .. } => {
            assert!(matches!(kind, 1 | 2));
            intvar += 1;
        }
        _ => {}
    });
    assert_eq!(alters, 1);
    assert_eq!(user, [(b"v".to_vec(), Some(b"user variable".to_vec())), (b"n".to_vec(), None)]);
    assert!(rand == 1 && intvar >= 2, "{rand} {intvar}");
}

#[test]
fn mysql_56() {
    let Some(server) = check(Kind::MySql56, Options::default(), "mysql56") else { return };
    let mut gtids = 0;
    for_each_event(&server, |event| {
        if let Body::Gtid(gtid) = &event.body {
            gtids += 1;
            assert!(gtid.gno > 0 && gtid.tag.is_none());
        }
    });
    assert!(gtids > 10);
}

#[test]
fn mysql_57_with_statements_of_rows_and_no_checksum() {
    let options = Options::default().checksum("NONE").with("binlog_rows_query_log_events=ON");
    let Some(server) = check(Kind::MySql57, options, "mysql57") else { return };
    let found = kinds(&server);
    assert!(found.contains_key(&EventKind::ROWS_QUERY) && found.contains_key(&EventKind::XA_PREPARE));
    let mut texts = Vec::new();
    for_each_event(&server, |event| {
        if let Body::RowsQuery(text) = &event.body {
            texts.push(String::from_utf8_lossy(text).into_owned());
        }
    });
    assert!(texts.iter().any(|text| text == "DELETE FROM t WHERE id = 1"), "{texts:?}");
}

#[test]
fn mysql_8_without_gtid() {
    let Some(server) = check(Kind::MySql8033, Options::default().no_gtid(), "mysql80") else { return };
    let mut prepared = Vec::new();
    for_each_event(&server, |event| match &event.body {
        Body::AnonymousGtid(gtid) => {
            assert!(gtid.immediate_commit_timestamp > 1_600_000_000_000_000);
            assert_eq!(gtid.immediate_commit_timestamp, gtid.original_commit_timestamp);
            assert_eq!(gtid.immediate_server_version, 80033);
            assert!(gtid.transaction_length > 0);
        }
        Body::XaPrepare(xa) => {
            prepared.push((xa.one_phase, xa.xid.format, xa.xid.gtrid.to_vec(), xa.xid.bqual.to_vec()))
        }
        _ => {}
    });
    assert_eq!(
        prepared,
        [(false, 7, b"gx".to_vec(), b"bx".to_vec()), (true, 1, b"one".to_vec(), Vec::new())]
    );
}

#[test]
fn mysql_8_compressed() {
    let Some(server) = check(Kind::MySql8033, Options::default().compressed_binlog(), "mysql80-compressed")
    else {
        return;
    };
    assert!(kinds(&server)[&EventKind::TRANSACTION_PAYLOAD] > 5);
}

#[test]
fn mysql_97_with_tags() {
    let options = Options::default().with("binlog_row_metadata=FULL");
    let Some(server) = check(Kind::MySql97, options, "mysql97") else { return };
    let (mut tags, mut previous) = (Vec::new(), Vec::new());
    for_each_event(&server, |event| match &event.body {
        Body::Gtid(gtid) => {
            if let Some(tag) = gtid.tag {
                assert!(
                    gtid.gno == 1 && gtid.immediate_server_version >= 90700 && gtid.transaction_length > 100
                );
                assert!(gtid.immediate_commit_timestamp > 1_600_000_000_000_000);
                tags.push(tag.to_owned());
            }
        }
        Body::PreviousGtids(gtids) => {
            previous
                .extend(gtids.iter().filter_map(|gtid| Some((gtid.tag.clone()?, gtid.intervals.clone()))));
        }
        _ => {}
    });
    assert_eq!(tags, ["tag_one"]);
    assert!(
        !previous.is_empty() && previous.iter().all(|entry| *entry == ("tag_one".to_owned(), vec![(1, 1)]))
    );
}

#[test]
fn mariadb() {
    let Some(server) = check(
        Kind::MariaDb1011,
        Options::default().domain(5).with("binlog_annotate_row_events=ON"),
        "mariadb",
    ) else {
        return;
    };
    maria_gtids(&server);
    let found = kinds(&server);
    assert!(
        found.contains_key(&EventKind::ANNOTATE_ROWS) && found.contains_key(&EventKind::BINLOG_CHECKPOINT),
        "{found:?}"
    );
}

#[test]
fn mariadb_old_temporal_format() {
    let options = Options::default().with("mysql56_temporal_format=OFF");
    let Some(server) = check(Kind::MariaDb1011, options, "mariadb-old") else { return };
    // Without the numbers of digits no row is handed out, rather than a wrong one.
    for type_ in ["TIME(1)", "TIME(6)", "TIMESTAMP(3) NULL", "DATETIME(1)", "DATETIME(4)", "DATETIME(6)"] {
        sql(
            &server,
            &format!(
                "USE d; DROP TABLE IF EXISTS frac; CREATE TABLE frac (id INT, c {type_}); \
                 INSERT INTO frac VALUES (1, '2024-02-29 12:34:56.123456'), (2, '2001-02-03 04:05:06.5');"
            ),
        );
    }
    let mut refused = 0;
    for_each_event(&server, |event| {
        let Body::Rows(event) = &event.body else { return };
        if event.table.table != "frac" {
            return;
        }
        let mut rows = event.rows();
        match rows.next() {
            Ok(Some(change)) => {
                let error = change.after.unwrap().value(1).unwrap_err();
                assert!(error.to_string().contains("mysql56_temporal_format"), "{error}");
                refused += 1;
            }
            Ok(None) => {}
            Err(error) => {
                assert!(error.to_string().contains("mysql56_temporal_format"), "{error}");
                refused += 1;
            }
        }
    });
    assert_eq!(refused, 6);
}

#[test]
fn mariadb_compressed() {
    let options = Options::default().domain(5).compressed_binlog().with("binlog_row_metadata=FULL");
    let Some(server) = check(Kind::MariaDb1011, options, "mariadb-compressed") else { return };
    maria_gtids(&server);
    let found = kinds(&server);
    for kind in [
        EventKind::QUERY_COMPRESSED,
        EventKind::WRITE_ROWS_COMPRESSED_V1,
        EventKind::UPDATE_ROWS_COMPRESSED_V1,
    ] {
        assert!(found.contains_key(&kind), "{found:?}");
    }
}

fn maria_gtids(server: &Server) {
    let (mut flags, mut last, mut xids, mut lists) = (0, 0, Vec::new(), Vec::new());
    for_each_event(server, |event| match &event.body {
        Body::MariaGtid(gtid) => {
            assert_eq!((gtid.domain, gtid.server_id, gtid.seq), (5, server.server_id(), last + 1));
            last = gtid.seq;
            flags |= gtid.flags;
            if let Some(xid) = gtid.xid {
                xids.push((
                    gtid.flags & (MariaGtid::PREPARED_XA | MariaGtid::COMPLETED_XA),
                    xid.format,
                    xid.gtrid.to_vec(),
                ));
            }
        }
        Body::MariaGtidList { gtids, .. } => lists.push(gtids.clone()),
        _ => {}
    });
    assert_eq!(flags & (MariaGtid::STANDALONE | MariaGtid::DDL | MariaGtid::TRANSACTIONAL), 1 | 32 | 4);
    assert!(xids.contains(&(MariaGtid::PREPARED_XA, 7, b"gx".to_vec())), "{xids:?}");
    assert!(xids.contains(&(MariaGtid::COMPLETED_XA, 7, b"gx".to_vec())), "{xids:?}");
    assert!(lists[0].is_empty() && lists.last().unwrap()[0].domain == 5, "{lists:?}");
}

#[test]
fn metadata_names_members_and_keys() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default().with("binlog_row_metadata=FULL"))
        else {
            continue;
        };
        sql(
            &server,
            "CREATE DATABASE d; USE d; CREATE TABLE k (y YEAR, d DATE, ti TIME(3), dt DATETIME(3), ts TIMESTAMP(3) NULL, db DOUBLE, fl FLOAT UNSIGNED, a INT UNSIGNED, `日` VARCHAR(20) CHARACTER SET latin1, e ENUM('ä','b') CHARACTER SET latin1, s SET('c','d') CHARACTER SET utf8mb4, \
             b BIT(3), n BIGINT, f DECIMAL(5,2) UNSIGNED, bin VARBINARY(10), g POINT, txt TEXT CHARACTER SET utf8mb4, PRIMARY KEY (`日`(3), a)); INSERT INTO k VALUES (2000,NULL,NULL,NULL,NULL,1,1,1,'x','ä','c',1,-1,1,'b',NULL,'t');",
        );
        let mut seen = false;
        for_each_event(&server, |event| {
            let Body::TableMap(map) = &event.body else { return };
            seen = true;
            let names: Vec<&str> = map.columns.iter().map(|column| column.name.as_deref().unwrap()).collect();
            assert_eq!(
                names,
                [
                    "y", "d", "ti", "dt", "ts", "db", "fl", "a", "日", "e", "s", "b", "n", "f", "bin", "g",
                    "txt"
                ]
            );
            let unsigned: Vec<Option<bool>> = map.columns.iter().map(|column| column.unsigned).collect();
            assert_eq!(
                (unsigned[5], unsigned[6], unsigned[7], unsigned[12], unsigned[13]),
                (Some(false), Some(true), Some(true), Some(false), Some(true)),
                "{kind}"
            );
            assert_eq!(map.columns[9].members.as_deref(), Some(&[vec![0xe4], b"b".to_vec()][..]), "{kind}");
            assert_eq!(map.columns[10].members.as_deref(), Some(&[b"c".to_vec(), b"d".to_vec()][..]));
            let charset = |index: usize| map.columns[index].hint().charset.map(|charset| charset.name());
            assert_eq!(charset(8), Some("latin1"));
            assert_eq!(charset(9), Some("latin1"));
            assert_eq!(charset(10), Some("utf8mb4"));
            assert_eq!(charset(14), Some("binary"));
            assert_eq!(charset(16), Some("utf8mb4"));
            assert_eq!(map.primary_key, Some(vec![(8, 3), (7, 0)]), "{kind}");
            assert_eq!(map.columns[15].geometry, Some(1));
        });
        assert!(seen);
    }
}

/// What MariaDB counts among the columns with a character set.
#[test]
fn metadata_of_mariadbs_own_types() {
    let Some(server) =
        Server::start_or_skip(Kind::MariaDb1011, Options::default().with("binlog_row_metadata=FULL"))
    else {
        return;
    };
    sql(
        &server,
        "CREATE DATABASE d; USE d; CREATE TABLE k (a VARCHAR(9) CHARACTER SET latin1, p GEOMETRY, i6 INET6, u UUID, c1 VARCHAR(900) COMPRESSED CHARACTER SET latin2, c2 TEXT COMPRESSED CHARACTER SET greek, \
         j JSON, b BIT(3), i4 INET4, x CHAR(5) CHARACTER SET cp1251, y YEAR, n INT UNSIGNED); INSERT INTO k (a) VALUES ('x');",
    );
    for_each_event(&server, |event| {
        let Body::TableMap(map) = &event.body else { return };
        let charsets: Vec<String> = map
            .columns
            .iter()
            .map(|column| format!("{}={:?}", column.name.as_deref().unwrap(), column.hint().charset))
            .collect();
        assert_eq!(
            charsets.join(" "),
            "a=Some(Latin1) p=Some(Binary) i6=Some(Binary) u=Some(Binary) c1=Some(Latin2) c2=Some(Greek) \
             j=Some(Utf8mb4) b=None i4=Some(Binary) x=Some(Cp1251) y=None n=None"
        );
        assert_eq!(map.columns[11].unsigned, Some(true));
    });
}

/// What a minimal image lacks is absent, not NULL.
#[test]
fn minimal_and_noblob_images() {
    for (kind, image) in [
        (Kind::MySql56, "MINIMAL"),
        (Kind::MySql8033, "MINIMAL"),
        (Kind::MySql8033, "NOBLOB"),
        (Kind::MariaDb1011, "MINIMAL"),
    ] {
        let Some(server) = Server::start_or_skip(kind, Options::default().row_image(image)) else { continue };
        sql(
            &server,
            "CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, a INT DEFAULT 5, b TEXT, c INT) CHARSET latin1; \
             INSERT INTO t (id, b) VALUES (1, 'x'); UPDATE t SET c = 7 WHERE id = 1; DELETE FROM t; \
             CREATE TABLE e (a INT DEFAULT 1); INSERT INTO e VALUES ();",
        );
        let mut changes = Vec::new();
        for_each_event(&server, |event| {
            let Body::Rows(event) = &event.body else { return };
            assert!(
                !event.is_full_image() || event.table.table == "e" || event.kind == RowsKind::Insert,
                "{kind} {image}"
            );
            let hints = [ColumnHint { charset: Some(binlog::Charset::Latin1), ..ColumnHint::default() }; 4];
            let mut rows = event.rows_with(&hints);
            while let Some(change) = rows.next().unwrap() {
                let show = |row: Option<binlog::Row<'_>>| {
                    row.map(|row| {
                        (0..row.len())
                            .map(|index| match row.value(index).unwrap() {
                                Value::Absent => "-".to_owned(),
                                _ => {
                                    let mut out = Vec::new();
                                    row.write_literal(index, &mut out).unwrap();
                                    String::from_utf8(out).unwrap()
                                }
                            })
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                };
                changes.push(format!("{:?} {:?}", show(change.before), show(change.after)));
            }
        });
        let changes: Vec<String> = changes.iter().map(|change| change.replace("Some", "")).collect();
        if image == "MINIMAL" {
            assert_eq!(changes[1..3], ["(\"1 - - -\") (\"- - - 7\")", "(\"1 - - -\") None"], "{kind}");
        } else {
            assert_eq!(changes[1..3], ["(\"1 5 - NULL\") (\"1 5 - 7\")", "(\"1 5 - 7\") None"], "{kind}");
        }
        assert_eq!(changes.len(), 4, "{kind}: {changes:?}");
    }
}

/// Each after image is the document that the server shows then.
#[test]
fn partial_json_updates_are_applied() {
    let options = Options::default().with("binlog_row_value_options=PARTIAL_JSON");
    for kind in [Kind::MySql8033, Kind::MySql97] {
        let Some(server) = Server::start_or_skip(kind, options.clone()) else { continue };
        let start = "{\"a\": [1, 2, {\"x y\": [3, \"quo\\\\\\\"te\"]}], \"b\": \"text\", \"long\": \"";
        sql(
            &server,
            &format!(
                "CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, j JSON, n INT, k JSON); \
                 INSERT INTO t VALUES (1, CONCAT('{start}', REPEAT('z', 1000), '\"}}'), 0, JSON_ARRAY(1.5, CAST(1.25 AS DECIMAL(5,2)), REPEAT('p', 500)));"
            ),
        );
        let updates = [
            "j = JSON_SET(j, '$.b', 'TEXT')",
            "j = JSON_REPLACE(j, '$.a[2].\"x y\"[1]', JSON_OBJECT('new', NULL, 'k2', 1.5))",
            "j = JSON_REMOVE(j, '$.a[0]')",
            "j = JSON_SET(j, '$.c', JSON_ARRAY(), '$.a[9]', 'end', '$.\"we\"\"ird\"', 1)"
                .replace("\"we\"\"ird\"", "\"we ird\"")
                .as_str(),
            "j = JSON_REMOVE(JSON_SET(j, '$.zz', TRUE), '$.b', '$.c')",
            "k = JSON_SET(k, '$[0]', CAST('2024-02-29' AS DATE)), n = n + 1",
            "j = JSON_SET(j, '$.long', 'short'), k = JSON_REMOVE(k, '$[1]')",
            "j = '{\"whole\": 1}'",
            "n = 5",
            "j = JSON_SET(j, '$.whole', NULL), k = NULL",
        ]
        .map(str::to_owned);
        let mut expected = Vec::new();
        for update in &updates {
            sql(&server, &format!("USE d; UPDATE t SET {update};"));
            expected.push(
                sql(&server, "SELECT HEX(CAST(j AS CHAR)), n, HEX(CAST(k AS CHAR)) FROM d.t").remove(0),
            );
        }
        let (mut found, mut partial) = (Vec::new(), 0);
        for_each_event(&server, |event| {
            partial += usize::from(event.header.kind == EventKind::PARTIAL_UPDATE_ROWS);
            let Body::Rows(event) = &event.body else { return };
            let mut rows = event.rows();
            while let Some(change) = rows.next().unwrap() {
                if let (Some(_), Some(after)) = (change.before, change.after) {
                    let show = |index: usize| match after.value(index).unwrap() {
                        Value::Null => "NULL".to_owned(),
                        value => {
                            let mut out = Vec::new();
                            value.write_text(&mut out, 0).unwrap();
                            if index == 2 {
                                String::from_utf8(out).unwrap()
                            } else {
                                crate::support::hex(&out)
                            }
                        }
                    };
                    found.push(vec![show(1), show(2), show(3)]);
                }
            }
        });
        assert!(partial >= 6, "{partial}");
        sql(&server, "FLUSH LOGS");
        record_logs(&server, &format!("{kind}-partial"));
        assert_eq!(found, expected, "{kind}");
    }
}

/// Without the document before, a difference cannot be applied, and that is said.
#[test]
fn partial_json_without_the_document_is_an_error() {
    let options = Options::default().with("binlog_row_value_options=PARTIAL_JSON").row_image("MINIMAL");
    let Some(server) = Server::start_or_skip(Kind::MySql8033, options) else { return };
    sql(
        &server,
        "CREATE DATABASE d; USE d; CREATE TABLE t (id INT PRIMARY KEY, j JSON); \
         INSERT INTO t VALUES (1, JSON_OBJECT('a', REPEAT('x', 500), 'b', 1)); UPDATE t SET j = JSON_SET(j, '$.b', 2);",
    );
    let mut failed = 0;
    for_each_event(&server, |event| {
        let Body::Rows(rows) = &event.body else { return };
        let mut rows = rows.rows();
        loop {
            match rows.next() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => {
                    assert!(matches!(error.fault(), binlog::Fault::NoJsonBefore { column: 1 }), "{error}");
                    assert!(
                        error.to_string().starts_with("Update_rows_partial event at binlog.000001:"),
                        "{error}"
                    );
                    failed += 1;
                }
            }
        }
    });
    assert_eq!(failed, 1);
}

/// A transaction larger than the memory limit comes event by event, with the same rows.
#[test]
fn large_compressed_transactions() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default().compressed_binlog()) else {
        return;
    };
    sql(
        &server,
        "CREATE DATABASE d; USE d; CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(200)); \
         INSERT INTO t (a) VALUES (REPEAT('a', 200)),(REPEAT('b', 200)),(REPEAT('c', 200)),(REPEAT('d', 200)); \
         INSERT INTO t (a) SELECT x.a FROM t x, t y, t z, t u, t v, t w; BEGIN; DELETE FROM t; ROLLBACK; BEGIN; DELETE FROM t; COMMIT;",
    );
    let count = |limit| {
        let (mut rows_seen, mut sum) = (0u64, 0u64);
        for_each_event_limited(&server, limit, |event| {
            if let Body::Rows(event) = &event.body {
                let mut rows = event.rows();
                while let Some(change) = rows.next().unwrap() {
                    let row = change.before.or(change.after).unwrap();
                    rows_seen += 1;
                    if let Value::Int(id) = row.value(0).unwrap() {
                        sum += id as u64;
                    }
                }
            }
        });
        (rows_seen, sum)
    };
    let whole = count(64 << 20);
    assert_eq!(whole.0, 2 * (4096 + 4));
    assert_eq!(count(20_000), whole);
    // Even one event is over this limit.
    let mut too_large = 0;
    for file in log_files(&server) {
        let bytes = std::fs::read(&file).unwrap();
        let mut decoder = Decoder::new(Flavor::MySql);
        decoder.set_memory_limit(1000);
        for frame in frames(&bytes) {
            if let Err(error) = each_event(&mut decoder, frame, &mut |_| {}) {
                assert!(matches!(error.fault(), binlog::Fault::TooLarge { limit: 1000, .. }), "{error}");
                too_large += 1;
            }
        }
    }
    assert_eq!(too_large, 2);
}

/// LOAD DATA in statement format is seen as such.
#[test]
fn load_data_in_statement_format() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default().binlog_format("STATEMENT"))
    else {
        return;
    };
    let file = server.dir().join("rows.txt");
    std::fs::write(&file, "1\n2\n").unwrap();
    sql(
        &server,
        &format!(
            "CREATE DATABASE d; USE d; CREATE TABLE t (a INT); LOAD DATA INFILE '{}' INTO TABLE t;",
            file.display()
        ),
    );
    let mut loads = 0;
    for_each_event(&server, |event| loads += usize::from(matches!(event.body, Body::LoadData(_))));
    assert!(loads >= 2);
    assert!(try_sql(&server, b"SELEC").is_err());
}
