//! Parquet, written by pyarrow: all types, kills, bad input.

use testkit::python::{has_pyarrow, run_pyarrow};
use testkit::{Kind, Options, Server};

use crate::support::{Task, assert_no_ledger, assert_numbers, rlightning};

/// A target, unless it or pyarrow cannot be had.
fn server(kind: Kind, sql: &str) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default()).filter(|_| has_pyarrow())?;
    server.sql(sql);
    Some(server)
}

/// Writes `d.t.NAME.parquet` with the numbers of `support::numbered`.
fn numbered(task: &Task, name: &str, from: u64, count: u64, how: &str) {
    run_pyarrow(
        &task.dumps(),
        &format!(
            "n = range({from}, {})\nt = pa.table({{'N': pa.array(n, pa.int64()), 'c': \
             ['row %d; it\\'s \"quoted\" (and),( so on)' % i for i in n]}})\npq.write_table(t, '{name}', {how})",
            from + count
        ),
    );
}

fn check(task: &Task) -> testkit::tool::Finished {
    rlightning().arg("check").arg("-config").arg(task.dir.join("tidb-lightning.toml")).run()
}

const TYPES: &str = r#"
tz = datetime.timezone.utc
def d(s): return Decimal(s)
big = Decimal('9' * 65)
columns = {
    'id': pa.array([1, 2, 3], pa.int32()),
    'b': pa.array([True, False, None], pa.bool_()),
    'i8': pa.array([-128, 127, None], pa.int8()),
    'u8': pa.array([0, 255, None], pa.uint8()),
    'i16': pa.array([-32768, 32767, None], pa.int16()),
    'u16': pa.array([0, 65535, None], pa.uint16()),
    'i32': pa.array([-2147483648, 2147483647, None], pa.int32()),
    'u32': pa.array([0, 4294967295, None], pa.uint32()),
    'i64': pa.array([-9223372036854775808, 9223372036854775807, None], pa.int64()),
    'u64': pa.array([0, 18446744073709551615, None], pa.uint64()),
    'f16': pa.array([1.5, -0.25, None], pa.float16()),
    'f32': pa.array([0.1, -3.4028234663852886e38, None], pa.float32()),
    'f64': pa.array([0.1, 5e-324, None], pa.float64()),
    'dec5': pa.array([d('-1.05'), d('999.99'), None], pa.decimal128(5, 2)),
    'dec18': pa.array([d('-0.000001'), d('999999999999.999999'), None], pa.decimal128(18, 6)),
    'dec38': pa.array([d('-1'), d('9' * 38), None], pa.decimal128(38, 0)),
    'dec65': pa.array([big.copy_negate(), big, None], pa.decimal256(65, 0)),
    'day': pa.array([datetime.date(1, 1, 1), datetime.date(9999, 12, 31), None], pa.date32()),
    'clock_ms': pa.array([datetime.time(0, 0, 0), datetime.time(23, 59, 59, 999000), None], pa.time32('ms')),
    'clock_us': pa.array([datetime.time(1, 2, 3, 4), datetime.time(23, 59, 59, 999999), None], pa.time64('us')),
    'wall_ms': pa.array([-1, 1709164800500, None], pa.timestamp('ms')),
    'wall_us': pa.array([-1, 253402300799999999, None], pa.timestamp('us')),
    'wall_ns': pa.array([-1000, 1709164800123456000, None], pa.timestamp('ns')),
    'at_us': pa.array([1000001, 1709164800500000, None], pa.timestamp('us', tz='UTC')),
    'at_ms': pa.array([0, 1709164800500, None], pa.timestamp('ms', tz='Asia/Tokyo')),
    's': pa.array(['', "it's \\ \u00e9 \U0001f600", None], pa.string()),
    'plain': pa.array([b'', 'ä'.encode(), None], pa.binary()),
    'bytes': pa.array([b'\x00\xff\\\'', bytes(range(256)), None], pa.binary()),
    'fixed': pa.array([b'abcd', b'\x00\x01\x02\xff', None], pa.binary(4)),
    'e': pa.array(['red', 'green', None]).dictionary_encode(),
    'j': pa.array(['{"a": [1, 0.040785546898809644]}', '[]', None], pa.string()),
}
table = pa.table(columns)
"#;

const TYPES_TABLE: &str = "id int primary key, b tinyint(1), i8 tinyint, u8 tinyint unsigned, i16 smallint, u16 smallint unsigned, i32 int, \
    u32 int unsigned, i64 bigint, u64 bigint unsigned, f16 float, f32 float, f64 double, dec5 decimal(5,2), dec18 decimal(18,6), \
    dec38 decimal(38,0), dec65 decimal(65,0), day date, clock_ms time(3), clock_us time(6), wall_ms datetime(3), wall_us datetime(6), \
    wall_ns datetime(6), at_us timestamp(6) NULL, at_ms datetime(3), s varchar(50) CHARACTER SET utf8mb4, plain varchar(9) CHARACTER SET latin1, \
    bytes blob, fixed binary(4), e enum('green','red'), j json";

/// What the target must hold, in the order of `TYPES_TABLE`.
const TYPES_ROWS: [&str; 3] = [
    "1|1|-128|0|-32768|0|-2147483648|0|-9223372036854775808|0|1.5|yes|yes|-1.05|-0.000001|-1|-9x65|0001-01-01|00:00:00.000|\
     01:02:03.000004|1969-12-31 23:59:59.999|1969-12-31 23:59:59.999999|1969-12-31 23:59:59.999999|1970-01-01 00:00:01.000001|\
     1970-01-01 00:00:00.000|||00FF5C27|61626364|red|yes",
    "2|0|127|255|32767|65535|2147483647|4294967295|9223372036854775807|18446744073709551615|-0.25|yes|yes|999.99|\
     999999999999.999999|99999999999999999999999999999999999999|9x65|9999-12-31|23:59:59.999|23:59:59.999999|2024-02-29 00:00:00.500|\
     9999-12-31 23:59:59.999999|2024-02-29 00:00:00.123456|2024-02-29 00:00:00.500000|2024-02-29 00:00:00.500|\
     69742773205C20C3A920F09F9880|E4|256|000102FF|green|yes",
    "3|null",
];

fn types_of(server: &Server) -> Vec<String> {
    let big = "9".repeat(65);
    let sql = format!(
        "SELECT IF(b IS NULL AND i8 IS NULL AND u64 IS NULL AND f32 IS NULL AND dec65 IS NULL AND day IS NULL AND at_us IS NULL AND \
         s IS NULL AND bytes IS NULL AND fixed IS NULL AND e IS NULL AND j IS NULL, CONCAT(id, '|null'), \
         CONCAT_WS('|', id, b, i8, u8, i16, u16, i32, u32, i64, u64, f16, \
         IF(f32 + 0e0 IN (0.10000000149011612e0, -3.4028234663852886e38), 'yes', f32 + 0e0), \
         IF(f64 = 0.1e0 OR f64 = 5e-324, 'yes', f64), dec5, dec18, dec38, \
         CASE dec65 WHEN {big} THEN '9x65' WHEN -{big} THEN '-9x65' ELSE dec65 END, \
         day, clock_ms, clock_us, wall_ms, wall_us, wall_ns, CONVERT_TZ(at_us, @@session.time_zone, '+00:00'), at_ms, HEX(s), HEX(plain), \
         IF(LENGTH(bytes) = 256, '256', HEX(bytes)), HEX(fixed), e, \
         IF(JSON_EXTRACT(j, '$.a[1]') = 0.040785546898809644e0 OR JSON_LENGTH(j) = 0, 'yes', j))) FROM d.t ORDER BY id"
    );
    server.rows(sql).iter().map(|row| row.text(0).unwrap()).collect()
}

#[test]
fn every_type_on_both_servers() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let sql = format!("CREATE DATABASE d; CREATE TABLE d.t ({TYPES_TABLE})");
        let Some(server) = server(kind, &sql) else { continue };
        for how in [
            "compression='none'",
            "compression='zstd', data_page_version='2.0', write_page_checksum=True",
            "compression='snappy', use_dictionary=False, version='2.4', coerce_timestamps='us'",
            "compression='gzip', use_dictionary=False, data_page_size=1",
            "compression='lz4', row_group_size=1",
            "use_dictionary=False, column_encoding={'i64': 'DELTA_BINARY_PACKED', 's': 'DELTA_BYTE_ARRAY', \
             'bytes': 'DELTA_LENGTH_BYTE_ARRAY', 'f64': 'BYTE_STREAM_SPLIT'}",
        ] {
            server.sql("TRUNCATE d.t");
            let task = Task::new(server.port());
            // A zone that must not matter to instants.
            server.sql("SET GLOBAL time_zone = '+05:00'");
            run_pyarrow(&task.dumps(), &format!("{TYPES}\npq.write_table(table, 'd.t.parquet', {how})"));
            task.import();
            assert_eq!(types_of(&server), TYPES_ROWS, "{kind} {how}");
            let checked = check(&task);
            assert!(!checked.shown().contains("panick"), "{}", checked.shown());
            checked.success();
        }
    }
}

#[test]
fn death_at_every_durable_step() {
    let Some(server) = server(Kind::MySql8033, "CREATE DATABASE d") else { return };
    for definition in ["(n bigint, c varchar(100))", "(n bigint PRIMARY KEY, c varchar(100))"] {
        server.sql(format!("DROP TABLE IF EXISTS d.t; CREATE TABLE d.t {definition}"));
        let task = Task::new(server.port()).small_batches();
        // Large row groups, which are cut inside, and small ones, which are put together.
        numbered(
            &task,
            "d.t.0.parquet",
            0,
            20_000,
            "compression='none', use_dictionary=False, data_page_size=4096",
        );
        numbered(&task, "d.t.1.parquet", 20_000, 10_000, "row_group_size=300, compression='none'");
        numbered(&task, "d.t.2.parquet", 30_000, 1_000, "compression='zstd'");
        for death in [
            "ledger-files-committed=return",
            "ledger-cuts-committed=return",
            "batch-before-commit=2*off->return",
            "batch-after-commit=4*off->return",
            "batch-after-commit=9*off->return",
            "batch-after-commit=20*off->return",
        ] {
            let done = task.tool().env("FAILPOINTS", death).run();
            assert_eq!(done.status.code(), None, "{death}: {}", done.shown());
            if death.starts_with("batch-after-commit=9") {
                let pieces =
                    server.value("SELECT COUNT(*) FROM lightning_task_info.rlightning_ledger WHERE kind = 0");
                assert!(pieces.parse::<u64>().unwrap() > 4, "{pieces} pieces");
            }
        }
        task.import();
        assert_numbers(&server, "d.t", 31_000);
        assert_no_ledger(&server);
    }
}

#[test]
fn a_file_that_was_touched_is_told_from_one_that_changed() {
    let Some(server) =
        server(Kind::MySql8033, "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))")
    else {
        return;
    };
    let task = Task::new(server.port()).small_batches();
    let how = "compression='none', use_dictionary=False, row_group_size=1000";
    numbered(&task, "d.t.parquet", 0, 20_000, how);
    let path = task.dumps().join("d.t.parquet");
    let die = || {
        let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
        assert_eq!(done.status.code(), None, "{}", done.shown());
    };
    die();
    // The same bytes at another time.
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    die();
    // Another byte in the middle of what is in the target: its hash does not see it, the checksums of batches do.
    let middle = memchr::memmem::find(&bytes[100_000..], b"row 1").unwrap() + 100_000;
    let mut other = bytes.clone();
    other[middle + 4] = b'9';
    let whole = server.value("SELECT COUNT(*) FROM d.t WHERE n >= 0").parse::<u64>().unwrap();
    std::fs::write(&path, &other).unwrap();
    if whole > 0 {
        let done = task.tool().run();
        let shown = done.shown();
        assert!(
            done.status.code() == Some(0) || shown.contains("has changed since the task began (rows "),
            "{shown}"
        );
    }
    std::fs::write(&path, &bytes).unwrap();
    if server.value("SELECT COUNT(*) FROM lightning_task_info.rlightning_file") != "0" {
        task.import();
        assert_numbers(&server, "d.t", 20_000);
    }
    // It is done, and a touched file is not loaded again.
    std::fs::write(&path, &bytes).unwrap();
    let again = task.tool().run().success();
    assert!(again.shown().contains("got the 20000 rows of this source"), "{}", again.shown());
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "20000");
}

#[test]
fn names_routes_and_values() {
    let Some(server) = server(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (x varchar(9) DEFAULT 'dflt', n int NOT NULL, g int AS (n + 1), src varchar(9), k bit(8))",
    ) else {
        return;
    };
    let all = || {
        server.value(
            "SELECT GROUP_CONCAT(CONCAT_WS('|', n, g, x, src, k + 0) ORDER BY n SEPARATOR ' ') FROM d.t",
        )
    };
    // Another order, fewer columns, other case; one is left out, one comes from the name.
    let mut task = Task::new(server.port());
    task.set(
        "mydumper",
        "ignore-columns = [{ db = 's_1', table = 't', columns = ['junk'] }]\nno-schema = true",
    );
    task.route("s_*", "t", "d", "t");
    task.route_lines("[routes.extract-schema]\nschema-regexp = 's_(.*)'\ntarget-column = 'src'\n");
    run_pyarrow(
        &task.dumps(),
        "pq.write_table(pa.table({'K': pa.array([65, None], pa.uint8()), 'junk': ['a', 'b'], 'N': [1, 2]}), 's_1.t.PARQUET')",
    );
    task.import();
    assert_eq!(all(), "1|2|dflt|1|65 2|3|dflt|1");
    // A rule names the file.
    server.sql("TRUNCATE d.t");
    let mut task = Task::new(server.port());
    task.set("mydumper", "no-schema = true");
    task.route_lines(
        "[[mydumper.files]]\npattern = '(?i)^part-.*\\.pq$'\nschema = 'd'\ntable = 't'\ntype = 'parquet'\n",
    );
    run_pyarrow(&task.dumps(), "pq.write_table(pa.table({'n': [4]}), 'part-0.PQ')");
    task.import();
    assert_eq!(all(), "4|5|dflt");
    // What does not fit is an error with its row, for the check, too.
    for (columns, said) in [
        ("'n': [1, 2], 'nope': [1, 2]", "column `nope`"),
        ("'n': [1, 2], 'x': ['a', '0123456789']", "row 1 (the first is 0)"),
        ("'n': [1.0, float('nan')]", "NaN is no number that a server knows"),
        ("'n': [[1], [2]]", "column `n` is a list"),
        ("'n': [{'a': 1}, {'a': 2}]", "column `n` is a structure of nested columns"),
        ("'n': pa.array([[(1, 2)], []], pa.map_(pa.int64(), pa.int64()))", "column `n` is a map"),
    ] {
        server.sql("TRUNCATE d.t");
        let task = Task::new(server.port());
        run_pyarrow(&task.dumps(), &format!("pq.write_table(pa.table({{{columns}}}), 'd.t.parquet')"));
        task.fails(said).says("d.t.parquet");
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
        let checked = check(&task).failure();
        assert!(checked.shown().contains(said), "{said}: {}", checked.shown());
    }
    // A row that is refused may be left out, with its number.
    server.sql("TRUNCATE d.t");
    let mut task = Task::new(server.port());
    task.set("lightning", "max-error = 1");
    run_pyarrow(
        &task.dumps(),
        "pq.write_table(pa.table({'n': [5, 6, 7], 'x': ['a', '0123456789', 'b']}), 'd.t.parquet')",
    );
    task.import_expecting(testkit::LogCheck::new().allow("type error"));
    assert_eq!(all(), "5|6|a 7|8|b");
    assert_eq!(
        server.value("SELECT CONCAT(path, ' ', offset) FROM lightning_task_info.type_error_v1"),
        "d.t.parquet 1"
    );
}

#[test]
fn times_and_zones() {
    let Some(server) = server(
        Kind::MySql8033,
        "CREATE DATABASE d; CREATE TABLE d.t (n int, a timestamp NULL, b timestamp NULL, c datetime); SET GLOBAL time_zone = '+03:00'",
    ) else {
        return;
    };
    let write = |task: &Task, columns: &str, int96: bool| {
        run_pyarrow(
            &task.dumps(),
            &format!(
                "utc = pa.array([1709164800], pa.timestamp('s', tz='UTC')).cast(pa.timestamp('us', tz='UTC'))\n\
                 wall = pa.array([1709164800000000], pa.timestamp('us'))\n\
                 pq.write_table(pa.table({{'n': [1], {columns}}}), 'd.t.parquet', use_deprecated_int96_timestamps={})",
                if int96 { "True" } else { "False" }
            ),
        );
    };
    let seconds = "SELECT CONCAT_WS(' ', UNIX_TIMESTAMP(a), UNIX_TIMESTAMP(b), c) FROM d.t";
    let run = |columns: &str, zone: Option<&str>| {
        server.sql("TRUNCATE d.t");
        let task = Task::new(server.port());
        write(&task, columns, zone == Some("int96"));
        let tool = task.tool();
        let tool = match zone {
            // What Spark and Impala write are instants.
            Some("int96") => tool.arg("--source-time-zone").arg("+09:00"),
            Some(zone) => tool.arg("--source-time-zone").arg(zone),
            None => tool,
        };
        let done = tool.run();
        let held = server.rows(seconds).first().map(|row| row.text(0).unwrap()).unwrap_or_default();
        (done.status.code(), held, done.shown())
    };
    // An instant is the same everywhere, whatever is asked for; as a date and time it is UTC.
    let (code, held, shown) = run("'a': utc, 'c': utc", None);
    assert_eq!((code, held.as_str()), (Some(0), "1709164800 2024-02-29 00:00:00"), "{shown}");
    let (_, held, shown) = run("'a': utc, 'c': wall", Some("-08:00"));
    assert_eq!(held, "1709164800 2024-02-29 00:00:00", "{shown}");
    // A clock's time is read where it was asked for, else in the target's zone.
    let (_, held, shown) = run("'a': wall", Some("-08:00"));
    assert_eq!(held, "1709193600", "{shown}");
    let (_, held, shown) = run("'a': wall", None);
    assert_eq!(held, "1709154000", "{shown}");
    let (_, held, shown) = run("'a': wall", Some("int96"));
    assert_eq!(held, "1709164800", "{shown}");
    // Both at once need a word.
    let (code, _, shown) = run("'a': utc, 'b': wall", None);
    assert!(
        code == Some(1) && shown.contains("column `b` times without a zone (nobody says which)"),
        "{shown}"
    );
    let (_, held, shown) = run("'a': utc, 'b': wall", Some("+00:00"));
    assert_eq!(held, "1709164800 1709164800", "{shown}");
}

#[test]
fn broken_files() {
    let Some(server) =
        server(Kind::MySql8033, "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))")
    else {
        return;
    };
    let good = Task::new(server.port());
    let how = "compression='zstd', row_group_size=1000, write_page_checksum=True";
    numbered(&good, "d.t.parquet", 0, 4_000, how);
    let bytes = std::fs::read(good.dumps().join("d.t.parquet")).unwrap();
    let footer =
        bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    let fails = |name: &str, bytes: &[u8], said: &str| {
        server.sql("TRUNCATE d.t");
        let task = Task::new(server.port());
        task.write("d.t.parquet", bytes);
        let done = task.tool().run().failure();
        let shown = done.shown();
        assert!(shown.contains("d.t.parquet") && shown.contains(said), "{name}: {shown}");
        assert!(!shown.contains("panicked"), "{name}: {shown}");
        let checked = check(&task).failure().shown();
        assert!(checked.contains("d.t.parquet") && checked.contains(said), "{name}: {checked}");
    };
    fails("text", b"n,c\n1,a\nthis is no Parquet", "byte 0 does not begin with PAR1");
    fails("short", &bytes[..7], "it has 7 bytes only");
    fails("cut", &bytes[..bytes.len() / 2], "it is no Parquet file, or a damaged or cut one: its end");
    let mut other = bytes.clone();
    other[bytes.len() - 5] = 0x7f;
    fails("length of the footer", &other, "it is no Parquet file, or a damaged or cut one");
    // A bit of a page: its checksum tells; rows before it are in.
    let mut other = bytes.clone();
    other[footer * 9 / 10] ^= 1;
    fails("page", &other, "row group 3 (rows 3000 on, bytes ");
    fails("page", &other, "checksum");
    server.sql("TRUNCATE d.t");
    // Whatever byte of the footer or of a page's head is another one, it is an error or the same rows.
    let mut random = testkit::Random::new(11);
    let mut refused = 0;
    for _ in 0..12 {
        let mut other = bytes.clone();
        for _ in 0..3 {
            let at = footer + random.below(bytes.len() - 8 - footer);
            other[at] ^= 1 << random.below(8);
        }
        server.sql("TRUNCATE d.t");
        let task = Task::new(server.port());
        task.write("d.t.parquet", &other);
        let done = task.tool().run();
        assert!(!done.shown().contains("panicked"), "{}", done.shown());
        match done.status.code() {
            Some(0) => assert_numbers(&server, "d.t", 4_000),
            code => {
                assert_eq!(code, Some(1), "{}", done.shown());
                refused += 1;
            }
        }
    }
    assert!(refused > 3, "{refused}");
}

/// What rdump wrote, on the way from one server to another.
#[test]
fn dumps_of_rdump_come_back() {
    let program = testkit::tool::program("rdump");
    if !program.exists() {
        return testkit::skip::report("rdump", "it is not built beside these tests");
    }
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(source) = Server::start_or_skip(kind, Options::default()) else { continue };
        let target = Server::start(kind, Options::default().time_zone("+03:00")).unwrap();
        source.sql(format!(
            "CREATE DATABASE d; CREATE TABLE d.t ({}); SET sql_mode = '', time_zone = '+00:00';
             CREATE TABLE d.u (id int primary key, y year, bt bit(64), s set('a','b'), g point, t time(6), dt datetime, ts timestamp NULL);
             INSERT INTO d.u VALUES (1, 2155, b'1', 'a,b', POINT(1, 2), '-838:59:59', '0000-00-00', '1970-01-01 00:00:01'),
               (2, 0, ~0, '', NULL, '12:00:00.5', '9999-12-31', '2038-01-19 03:14:07'), (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
            TYPES_TABLE
        ));
        source.sql(
            "SET time_zone = '+00:00'; INSERT INTO d.t VALUES (1, 1, -128, 255, -32768, 65535, -2147483648, 4294967295, -9223372036854775808, \
             18446744073709551615, 1.5, 0.1, 5e-324, -999.99, -0.000001, -99999999999999999999999999999999999999, \
             99999999999999999999999999999999999999999999999999999999999999999, '0001-01-01', '23:59:59.999', '01:02:03.000004', \
             '1969-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2024-02-29 00:00:00.123456', '2024-02-29 12:00:00.5', \
             '2024-02-29 00:00:00.5', 'it''s \\\\ \u{1F600}', 'ä', x'00ff5c27', x'000102ff', 'red', '{\"a\": [1, 0.040785546898809644]}'), \
             (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
             NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        );
        let mut task = Task::new(target.port());
        task.set("mydumper", "strict-format = false");
        let dump = |table: &str, more: &[&str]| {
            testkit::Tool::at("rdump", &program)
                .login(&source, testkit::Account::Dump)
                .args(["--status-addr", "", "-T", table, "--filetype", "parquet", "-c", "zstd", "-o"])
                .arg(task.dumps().join(table))
                .args(more)
                .run()
                .success();
        };
        dump("d.t", &[]);
        dump("d.u", &["--parquet-times", "text"]);
        task.import();
        for table in ["d.t", "d.u"] {
            let sum = |server: &Server| {
                server.rows(format!("CHECKSUM TABLE {table}")).first().unwrap().text(1).unwrap()
            };
            assert_eq!(sum(&target), sum(&source), "{kind} {table}");
        }
    }
}
