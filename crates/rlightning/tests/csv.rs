//! CSV: every option, kills, broken text.

use std::fmt::Write as _;

use testkit::{Kind, LogCheck, Options, Server};

use crate::support::{Task, assert_no_ledger, assert_numbers, rlightning};

const TABLE: &str = "CREATE DATABASE d; CREATE TABLE d.t (n bigint, c varchar(100))";

fn server_with(sql: &str) -> Option<Server> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql(sql);
    Some(server)
}

/// Rows as `assert_numbers` wants them, some with line ends and separators in their quotes.
fn numbered(from: u64, count: u64) -> String {
    let mut text = String::from("N,\"c\"\r\n");
    for number in from..from + count {
        let _ = write!(text, "{number},\"row {number}; it's \\\"quoted\\\" (and),( so on)\"\r\n");
    }
    text
}

fn all(server: &Server, columns: &str) -> String {
    server.value(format!("SELECT GROUP_CONCAT(CONCAT_WS('|', {columns}) ORDER BY n SEPARATOR ' ') FROM d.t"))
}

#[test]
fn death_at_every_durable_step() {
    let Some(server) = server_with("CREATE DATABASE d") else { return };
    for strict in [false, true] {
        server.sql("DROP TABLE IF EXISTS d.t; CREATE TABLE d.t (n bigint, c varchar(100))");
        let mut task = Task::new(server.port()).small_batches();
        task.write("d.t.0.csv", numbered(0, 10_000));
        task.write("x/d.t.1.csv", numbered(10_000, 1_000));
        task.write("x/d.t.2.csv.zst", zstd::encode_all(numbered(11_000, 1_000).as_bytes(), 1).unwrap());
        if strict {
            task.set("mydumper", "strict-format = true");
            task.set("mydumper.csv", "terminator = \"\\r\\n\"");
        }
        for death in [
            "ledger-files-committed=return",
            "ledger-cuts-committed=return",
            "batch-before-commit=2*off->return",
            "batch-after-commit=4*off->return",
            "batch-after-commit=9*off->return",
            "ledger-ended=return",
        ] {
            let done = task.tool().env("FAILPOINTS", death).run();
            assert_eq!(done.status.code(), None, "{death}: {}", done.shown());
        }
        task.import_expecting(LogCheck::new().require("is left out"));
        assert_numbers(&server, "d.t", 12_000);
        assert_no_ledger(&server);
    }
}

#[test]
fn quoted_line_ends_are_no_cuts() {
    let Some(server) = server_with("CREATE DATABASE d; CREATE TABLE d.t (n bigint, c text)") else { return };
    let task = Task::new(server.port()).small_batches();
    let mut text = String::from("n,c\n");
    for number in 0..9_000 {
        let _ = write!(text, "{number},\"a\n{number},\"\"b\"\"\n\n,,\\\"\n\"\n");
    }
    task.write("d.t.csv", &text);
    task.import();
    assert!(task.log_text().contains("restore file completed"));
    assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "9000");
    assert_eq!(
        server.value("SELECT COUNT(*) FROM d.t WHERE c = CONCAT('a\\n', n, ',\"b\"\\n\\n,,\"\\n')"),
        "9000"
    );
}

#[test]
fn columns_by_header_by_schema_and_by_position() {
    let Some(server) = server_with(
        "CREATE DATABASE d; CREATE TABLE d.t (n int, b varbinary(9), g int AS (n + 1), x varchar(9) DEFAULT 'dflt', j json, k bit(8))",
    ) else {
        return;
    };
    let columns = "n, IFNULL(HEX(b), 'N'), g, x, IFNULL(j, 'N'), IFNULL(k + 0, 'N')";
    let run = |settings: &str, files: &[(&str, &str)]| {
        server.sql("TRUNCATE d.t");
        let mut task = Task::new(server.port());
        if !settings.is_empty() {
            task.set("mydumper.csv", settings);
        }
        files.iter().for_each(|(name, text)| task.write(name, text));
        task.import();
        all(&server, columns)
    };
    // By header: another order, not all.
    let text = "J,N,b\n\"[1,\"\"é\"\"]\",1,\\0\\\\'\n\\N,2,\\N\n";
    assert_eq!(run("", &[("d.t.csv", text)]), "1|005C27|2|dflt|[1, \"é\"]|N 2|N|3|dflt|N|N");
    // By position: those that take values.
    let rows = "1,ab,x,{},A\n";
    assert_eq!(run("header = false", &[("d.t.csv", rows)]), "1|6162|2|x|{}|65");
    let with_header = format!("some,other,names,stand,here\n{rows}");
    assert_eq!(run("header-schema-match = false", &[("d.t.csv", &with_header)]), "1|6162|2|x|{}|65");
    // By the schema file next to it.
    let schema = "CREATE TABLE `t` (`k` bit(8), `g` int AS (`n` + 1), `n` int, `x` varchar(9));\n";
    let files = [("d.t-schema.sql", schema), ("d.t.csv", "B,5,y\n")];
    assert_eq!(run("header = false", &files), "5|N|6|y|N|66");
    // Left out and added.
    server.sql("TRUNCATE d.t");
    let mut task = Task::new(server.port());
    task.set(
        "mydumper",
        "no-schema = true\nignore-columns = [{ db = 's_1', table = 't', columns = ['junk'] }]",
    );
    task.write("s_1.t.csv", "n,junk,b\n7,'zz,b\n");
    task.route("s_*", "t", "d", "t");
    task.route_lines("[routes.extract-schema]\nschema-regexp = 's_(.*)'\ntarget-column = 'x'\n");
    task.import();
    assert_eq!(all(&server, columns), "7|62|8|1|N|N");
    // Names that the table lacks, and rows of another length.
    for (text, said) in [
        ("n,nope\n1,2\n", "column `nope`"),
        ("n,x\n1,a\n2\n", "in file d.t.csv at offset 8: column count mismatch, expected 2, got 1"),
        ("n,x\n1,a,b\n", "at offset 4: column count mismatch, at most 2 but got 3"),
        ("n,x\n1,a\n300,\"b\n", "the quote at byte 12 is never closed"),
        ("n,x\n1,\"a\"b\n", "cannot have consecutive fields without separator, at byte 9"),
        ("n,x\n1,a\n1,0123456789\n", "row at byte 8: Error 1406"),
    ] {
        server.sql("TRUNCATE d.t");
        let task = Task::new(server.port());
        task.write("d.t.csv", text);
        task.fails(said).says("d.t.csv");
        assert_eq!(server.value("SELECT COUNT(*) FROM d.t"), "0");
        let config = task.dir.join("tidb-lightning.toml");
        let checked = rlightning().arg("check").arg("-config").arg(config).run().failure();
        let behind =
            |word: &str| said.rsplit_once(word).map(|(_, rest)| rest.split([' ', ':']).next().unwrap());
        let place = behind("byte ").or_else(|| behind("offset ")).unwrap_or(said);
        assert!(checked.shown().contains(place), "{said}: {}", checked.shown());
    }
}

#[test]
fn nulls_escapes_and_separators() {
    let Some(server) =
        server_with("CREATE DATABASE d; CREATE TABLE d.t (n int, a varchar(30), b varchar(30))")
    else {
        return;
    };
    let run = |settings: &str, text: &str, check: LogCheck| {
        server.sql("TRUNCATE d.t");
        let mut task = Task::new(server.port());
        task.set("mydumper.csv", settings);
        task.write("d.t.csv", text);
        task.import_expecting(check);
        all(&server, "n, IFNULL(a, '<NULL>'), IFNULL(b, '<NULL>')")
    };
    let quiet = LogCheck::new;
    let warned = || {
        LogCheck::new()
            .require("a quoted field that `mydumper.csv.null` lists")
            .require("quoted fields were read as NULL")
    };
    let text = "n,a,b\n1,,\"\"\n2,NULL,\"NULL\"\n3,\\N,\"x\"\n";
    assert_eq!(run("null = ['', 'NULL']", text, warned()), "1|<NULL>|<NULL> 2|<NULL>|<NULL> 3|N|x");
    assert_eq!(
        run("null = ['', 'NULL', '\\N']\nquoted-null-is-text = true", text, quiet()),
        "1|<NULL>| 2|<NULL>|NULL 3|<NULL>|x"
    );
    assert_eq!(run("not-null = true", text, quiet()), "1|| 2|NULL|NULL 3|N|x");
    assert_eq!(run("backslash-escape = false", text, quiet()), "1|| 2|NULL|NULL 3|<NULL>|x");
    assert_eq!(run("escaped-by = '!'", "n,a,b\n1,!!,a!,b\n", quiet()), "1|!|a,b");
    let odd = "separator = '<,>'\ndelimiter = '||'\nterminator = '<end>'\ntrim-last-separator = true";
    assert_eq!(
        run(odd, "n<,>||a||<,>b<,><end>1<,>||x||||<,>y||<,>z\n,<,><end>2<,>,<,>||||<,><end>", quiet()),
        "1|x||<,>y|z\n, 2|,|"
    );
}

#[test]
fn character_sets() {
    let Some(server) = server_with("CREATE DATABASE d; CREATE TABLE d.t (n int, c varchar(30))") else {
        return;
    };
    let run = |settings: &str, text: &[u8]| {
        server.sql("TRUNCATE d.t");
        let mut task = Task::new(server.port());
        task.set("mydumper", settings);
        task.set("mydumper.csv", "separator = '|'");
        task.write("d.t.csv", text);
        let _ = &task;
        task
    };
    // The second byte of 蜛 is a letter, that of 誀|: a separator to whoever does not know GBK.
    let gbk = b"n|c\n1|\xd6\xd0\xceA\n2|\xd5|\n";
    run("data-character-set = 'gbk'", gbk).import();
    assert_eq!(all(&server, "n, c"), "1|中蜛 2|諀");
    run("data-character-set = 'gb18030'", b"n|c\n1|\x81\x30\x89\x38\xd5|\n").import();
    assert_eq!(all(&server, "n, c"), "1|ß諀");
    run("data-character-set = 'latin1'", b"n|c\n1|\x80\x81\xe9\n").import();
    assert_eq!(server.value("SELECT HEX(CONVERT(c USING latin1)) FROM d.t"), "8081E9");
    run("data-character-set = 'utf8mb4'", b"n|c\n1|a\xffb\n")
        .fails("the bytes at 7 of the file are no UTF-8")
        .says("d.t.csv");
    run("data-character-set = 'ascii'\ndata-invalid-char-replace = '?'", b"n|c\n1|a\xffb\n").import();
    assert_eq!(all(&server, "n, c"), "1|a?b");
    run("data-character-set = 'klingon'", b"")
        .tool()
        .run()
        .failure()
        .says("`mydumper.data-character-set` 'klingon'");
    // Killed and resumed in decoded text.
    server.sql("DROP TABLE d.t; CREATE TABLE d.t (n bigint, c varchar(100))");
    let mut task = Task::new(server.port()).small_batches();
    task.set("mydumper", "data-character-set = 'latin1'");
    task.write("d.t.csv", numbered(0, 6_000));
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=5*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    task.import();
    assert_numbers(&server, "d.t", 6_000);
}

#[test]
fn options_that_cannot_go_together() {
    let Some(server) = server_with(TABLE) else { return };
    for (section, settings, said) in [
        ("mydumper.csv", "separator = ''", "`mydumper.csv.separator` must not be empty"),
        ("mydumper.csv", "separator = '\"|'", "must not be prefix of each other"),
        ("mydumper.csv", "escaped-by = 'ab'", "must be empty or a single byte"),
        ("mydumper.csv", "separator = '\\'", "cannot be the first byte of `mydumper.csv.separator`"),
        ("mydumper.csv", "terminator = ','", "`mydumper.csv.terminator` must not be a prefix"),
        ("mydumper.csv", "binary-encoding = 'x'", "binary-encoding"),
        ("mydumper", "strict-format = true", "can not be used with empty mydumper.csv.terminator"),
    ] {
        let mut task = Task::new(server.port());
        task.set(section, settings);
        task.write("d.t.csv", "n,c\n");
        task.tool().run().failure().says(said);
    }
    // Options that change which rows are read cannot change within a task.
    let mut task = Task::new(server.port()).small_batches();
    task.write("d.t.csv", numbered(0, 3_000));
    let done = task.tool().env("FAILPOINTS", "batch-after-commit=3*off->return").run();
    assert_eq!(done.status.code(), None, "{}", done.shown());
    task.set("mydumper.csv", "null = 'x'");
    task.fails("config 'mydumper.csv' value");
}
