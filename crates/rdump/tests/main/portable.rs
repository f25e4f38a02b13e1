//! `--portable`: what a plain client makes of the files is what the source holds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use testkit::{Account, Kind, Options, Server, Tool, catalog};

use crate::support::{dump, files, program, rdump, work_dir};

/// What plain clients spoil in Dumpling's files, and what Dumpling leaves out.
fn fill(server: &Server, kind: Kind) {
    let json = if kind == Kind::MySql56 { "TEXT" } else { "JSON" };
    server.sql(format!(
        "CREATE DATABASE pt CHARACTER SET latin1;
         CREATE TABLE pt.zero (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v VARCHAR(20)) DEFAULT CHARSET=utf8mb4;
         CREATE TABLE pt.kinds (id INT PRIMARY KEY, c VARCHAR(40), u VARCHAR(40) CHARACTER SET utf8mb4,
           b VARBINARY(40), bits BIT(9), j {json}, f FLOAT, dt DATETIME, d DATE, ts TIMESTAMP NULL, e ENUM('a','b'),
           g GEOMETRY, KEY (f)) DEFAULT CHARSET=latin1 COMMENT='naïve 漢字';
         CREATE TABLE pt.log (n INT NOT NULL AUTO_INCREMENT PRIMARY KEY, what VARCHAR(30)) DEFAULT CHARSET=utf8mb4;
         SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone = '+08:00';
         INSERT INTO pt.zero VALUES (0, 'zero'), (1, 'one'), (7, 'seven');
         INSERT INTO pt.kinds VALUES
           (1, CONVERT(x'818D8F909DFFE4' USING latin1), '\u{1F600} it''s \\\\ \"q\" \\n\\r\\0\\Z', x'00ff275c', b'101010101',
            '{{\"a\": \"\u{e4}\u{1F600}\", \"n\": [1, 2.5, null]}}', 0.1234567, '0000-00-00 00:00:00', '2024-02-31',
            '2024-06-30 03:04:05', 'none of them', ST_GeomFromText('POINT(1 -2)')),
           (2, '', '', '', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
           (3, 'x', 'y', 'z', b'0', 'null', -3.5e-10, '2024-03-31 02:30:00', '1000-01-01', '1970-01-01 08:00:01', 'b', NULL);
         INSERT INTO pt.log (what) VALUES ('before');",
    ));
    if kind.is_mariadb() {
        server.sql(
            "SET SESSION sql_mode = 'ORACLE'; USE pt;
             CREATE PACKAGE tools AS FUNCTION five RETURN INT; END;
             CREATE PACKAGE BODY tools AS FUNCTION five RETURN INT AS BEGIN RETURN 5; END; END;",
        );
        server.sql(
            "CREATE SEQUENCE pt.s; CREATE TABLE pt.counted (n INT DEFAULT NEXTVAL(pt.s), v INT); INSERT INTO pt.counted (v) VALUES (7)",
        );
    }
    // What the server keeps with a program is that of the session that made it.
    server.sql(
        "SET NAMES latin1; SET SESSION sql_mode = 'ANSI_QUOTES'; USE pt;
         CREATE PROCEDURE old() SELECT 'plain', \"id\" FROM \"zero\";
         CREATE PROCEDURE \"odd ` 'name\"() SELECT 'Ã¤';",
    );
    server.sql(
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,PIPES_AS_CONCAT', time_zone = '+02:00';
         USE pt;
         CREATE TRIGGER later AFTER INSERT ON zero FOR EACH ROW INSERT INTO log (what) VALUES ('later' || NEW.id);
         CREATE TRIGGER tell BEFORE UPDATE ON zero FOR EACH ROW BEGIN SET NEW.v = 'ü;;'; SET NEW.v = NEW.v || '!'; END;
         CREATE FUNCTION twice(a INT) RETURNS INT DETERMINISTIC RETURN a * 2;
         CREATE PROCEDURE note(IN t VARCHAR(20)) BEGIN INSERT INTO log (what) VALUES ('ä' || t); END;
         CREATE PROCEDURE remarks() BEGIN -- it's a remark\r\n /* and; another */ SELECT 'two\r\nlines'; # the end\n END;
         CREATE EVENT soon ON SCHEDULE EVERY 1 DAY STARTS '2038-01-01 12:00:00' DISABLE DO INSERT INTO pt.log (what) VALUES ('e');
         CREATE VIEW seen AS SELECT id, twice(id) AS d, 'größe' AS w FROM zero;",
    );
}

fn client(target: &Server) -> PathBuf {
    match target.kind().is_mariadb() {
        true => catalog::find_program("mariadb").expect("the mariadb client"),
        false => catalog::mysql80_program("mysql"),
    }
}

/// Gives every file to a client that knows nothing but its defaults.
fn load_with_a_plain_client(target: &Server, dir: &Path) {
    let program = client(target);
    let order = |name: &str| match name {
        name if name.ends_with("-schema-create.sql") => 0,
        name if name.ends_with("-schema-sequence.sql") => 1,
        name if name.ends_with("-schema.sql") => 2,
        name if name.ends_with("-schema-trigger.sql") => 4,
        name if name.ends_with("-schema-post.sql") => 4,
        name if name.ends_with("-schema-view.sql") => 5,
        _ => 3,
    };
    let mut names: Vec<String> = files(dir).into_keys().filter(|name| name.ends_with(".sql")).collect();
    names.sort_by_key(|name| order(name));
    let login = target.account(Account::Admin);
    for name in names {
        let mut command = Command::new(&program);
        command.args(["-h", target.host(), "-P", &target.port().to_string(), "-u", login.user]);
        command.arg(format!("-p{}", login.password)).arg("--default-character-set=latin1");
        if order(&name) > 0 {
            command.args(name.split(['.', '-']).next());
        }
        if order(&name) == 4 {
            command.args(["--comments", "--binary-mode"]);
        }
        let input = std::fs::File::open(dir.join(&name)).unwrap();
        let done = command.stdin(Stdio::from(input)).output().unwrap();
        assert!(done.status.success(), "{name}: {}", String::from_utf8_lossy(&done.stderr));
    }
}

/// Everything that can be told of the database, in one zone and character set.
fn told(server: &Server) -> Vec<String> {
    let mut out = Vec::new();
    let mut ask = |sql: &str, leave_out: &[&str]| {
        for row in server.rows(sql) {
            let names: Vec<String> = row.columns().iter().map(|column| column.name.to_string()).collect();
            let cells = names.iter().enumerate().filter(|(_, name)| !leave_out.contains(&name.as_str()));
            // Some servers keep the `;` of a statement that was sent with others.
            let text =
                |i| row.at(i).map(|cell| String::from_utf8_lossy(cell).trim_end_matches(';').to_owned());
            let cells = cells.map(|(i, name)| format!("{name}={:?}", text(i)));
            out.push(format!("{sql}: {}", cells.collect::<Vec<_>>().join(" ")));
        }
    };
    for table in ["zero", "kinds", "log"] {
        ask(&format!("SHOW CREATE TABLE pt.{table}"), &[]);
    }
    ask(
        "SELECT id, HEX(c), HEX(u), HEX(b), HEX(bits), j, f+0e0, dt, d, UNIX_TIMESTAMP(ts), e+0, HEX(g) FROM pt.kinds",
        &[],
    );
    ask("SELECT id, HEX(v) FROM pt.zero", &[]);
    ask("SELECT n, what FROM pt.log", &[]);
    ask("SELECT * FROM pt.seen", &[]);
    ask("SHOW CREATE TRIGGER pt.later", &["Created"]);
    // Its text is not ASCII: it is made under utf8mb4.
    ask("SHOW CREATE TRIGGER pt.tell", &["Created", "character_set_client"]);
    ask("SHOW CREATE FUNCTION pt.twice", &[]);
    ask("SHOW CREATE PROCEDURE pt.note", &["character_set_client"]);
    ask("SHOW CREATE PROCEDURE pt.remarks", &[]);
    ask("SHOW CREATE PROCEDURE pt.old", &[]);
    ask("SHOW CREATE PROCEDURE pt.`odd `` 'name`", &["character_set_client"]);
    if server.kind().is_mariadb() {
        ask("SHOW CREATE TABLE pt.counted", &[]);
        ask("SELECT * FROM pt.counted", &[]);
        ask("SHOW CREATE PACKAGE pt.tools", &[]);
        ask("SHOW CREATE PACKAGE BODY pt.tools", &[]);
    }
    ask("SHOW CREATE EVENT pt.soon", &[]);
    out
}

#[test]
fn a_plain_client_makes_the_same_database_on_every_server() {
    for kind in Kind::ALL {
        // Zone and character set of the source are not those of the target.
        let options = || Options::default().time_zone("+08:00");
        let Some(source) = Server::start_or_skip(kind, options()) else { continue };
        fill(&source, kind);
        source.sql("GRANT TRIGGER, EVENT, EXECUTE ON *.* TO 'dump'@'%'");
        let dir = work_dir();
        let out = dir.join("out");
        dump(
            &source,
            &[
                "-B",
                "pt",
                "--portable",
                "--no-views=false",
                "--no-sequences=false",
                "-r",
                "2",
                "-c",
                "no-compression",
            ],
            &out,
        );
        let target = Server::start(kind, Options::default().time_zone("-05:00")).unwrap();
        load_with_a_plain_client(&target, &out);
        let (theirs, ours) = (told(&source), told(&target));
        assert_eq!(ours.len(), theirs.len(), "{kind}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{kind}");
        }
    }
}

/// The server leaves out silently what the account may not see; the dump must not.
#[test]
fn missing_privileges_for_programs_are_named_before_anything_is_written() {
    for (given, missing) in [("EVENT", "GRANT TRIGGER ON"), ("TRIGGER", "GRANT EVENT ON")] {
        let source = Server::start(Kind::MySql8033, Options::default()).unwrap();
        fill(&source, Kind::MySql8033);
        source.sql(format!("GRANT {given} ON *.* TO 'dump'@'%'"));
        let dir = work_dir();
        let out = dir.join("out");
        let done = rdump(&source, Account::Dump, &out).args(["-B", "pt", "--portable"]).run().failure();
        done.says(missing);
        assert!(!out.exists());
    }
    // All at once, and no statement for each table.
    let source = Server::start(Kind::MySql8033, Options::default()).unwrap();
    fill(&source, Kind::MySql8033);
    let dir = work_dir();
    let out = dir.join("out");
    let done = rdump(&source, Account::Dump, &out).args(["-B", "pt", "--portable"]).run().failure();
    done.says("GRANT TRIGGER ON `pt`.* TO").says("GRANT EVENT ON `pt`.* TO");
}

/// Where tables are told apart by case, so are their triggers, although information_schema does not.
#[test]
fn names_that_differ_in_case_only() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        let Some(source) = Server::start_or_skip(kind, Options::default()) else { continue };
        source.sql(
            "CREATE DATABASE nm; CREATE DATABASE NM; CREATE TABLE nm.t (a INT); CREATE TABLE nm.T (a INT); CREATE TABLE NM.t (a INT);
             CREATE TRIGGER nm.small BEFORE INSERT ON nm.t FOR EACH ROW SET NEW.a = 1;
             CREATE TRIGGER nm.large BEFORE INSERT ON nm.T FOR EACH ROW SET NEW.a = 2;
             CREATE TRIGGER NM.small BEFORE INSERT ON NM.t FOR EACH ROW SET NEW.a = 3;
             CREATE FUNCTION nm.one() RETURNS INT DETERMINISTIC RETURN 1; CREATE PROCEDURE NM.two() SELECT 2;
             CREATE EVENT NM.three ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 3;
             GRANT TRIGGER, EVENT ON *.* TO 'dump'@'%'",
        );
        let dir = work_dir();
        let out = dir.join("out");
        dump(&source, &["-B", "nm", "-B", "NM", "--portable"], &out);
        let target = Server::start(kind, Options::default()).unwrap();
        load_with_a_plain_client(&target, &out);
        for sql in [
            "SELECT EVENT_OBJECT_SCHEMA, EVENT_OBJECT_TABLE, TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS \
             WHERE TRIGGER_SCHEMA IN ('nm', 'NM') ORDER BY ACTION_STATEMENT",
            "SELECT ROUTINE_SCHEMA, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA IN ('nm', 'NM') ORDER BY 2",
            "SELECT EVENT_SCHEMA, EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA IN ('nm', 'NM')",
        ] {
            // Some servers keep the `;` of a statement that was sent with others.
            let all = |server: &Server| {
                let rows = server.rows(sql);
                rows.iter()
                    .map(|row| {
                        (0..row.columns().len())
                            .map(|i| row.text(i).unwrap().trim_end_matches(';').to_owned())
                            .collect()
                    })
                    .collect::<Vec<Vec<String>>>()
            };
            assert!(!all(&source).is_empty());
            assert_eq!(all(&target), all(&source), "{kind}: {sql}");
        }
    }
}

/// Files of programs are told apart from those of others.
#[test]
fn an_unfinished_dump_is_replaced_and_resumed() {
    let Some(source) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    fill(&source, Kind::MySql57);
    source.sql("GRANT TRIGGER, EVENT, EXECUTE ON *.* TO 'dump'@'%'");
    let dir = work_dir();
    for again in ["--resume=false", "--resume"] {
        let out = dir.join(again);
        let run = || rdump(&source, Account::Dump, &out).args(["-B", "pt", "--portable"]);
        let killed = run().env("FAILPOINTS", "rdump-before-metadata=return").run();
        assert_eq!(killed.status.code(), None, "{}", killed.shown());
        let before = files(&out);
        assert!(
            before.contains_key("pt-schema-post.sql") && before.contains_key("pt.zero-schema-trigger.sql")
        );
        run().arg(again).run().success();
        Tool::at("rdump", &program()).arg("verify").arg("-o").arg(&out).run().success();
        let after = files(&out);
        for (name, bytes) in before.iter().filter(|(name, _)| name.ends_with(".sql")) {
            assert_eq!(Some(bytes), after.get(name), "{again}: {name}");
        }
    }
}

/// 8.0 has no table of routines: a right on all that is in `mysql` shows none.
#[test]
fn a_right_on_the_system_tables_does_not_show_routines_of_others() {
    let Some(source) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    fill(&source, Kind::MySql8033);
    source
        .sql("GRANT SELECT ON mysql.* TO 'nobody'@'%'; GRANT SELECT, TRIGGER, EVENT ON pt.* TO 'nobody'@'%'");
    let dir = work_dir();
    let out = dir.join("out");
    let run =
        || rdump(&source, Account::Nobody, &out).args(["-B", "pt", "--portable", "--consistency", "none"]);
    run().run().failure().says("GRANT SHOW_ROUTINE ON *.*");
    assert!(!out.exists());
    source.sql("GRANT SHOW_ROUTINE ON *.* TO 'nobody'@'%'");
    run().run().success();
    let text = String::from_utf8(files(&out)["pt-schema-post.sql"].clone()).unwrap();
    assert!(text.contains("FUNCTION `twice`"), "{text}");
}

/// The commands of docs/rdump.md, as they stand there.
#[test]
fn the_documented_commands_load_it() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(source) = Server::start_or_skip(kind, Options::default().time_zone("+08:00")) else {
            continue;
        };
        fill(&source, kind);
        source.sql("GRANT TRIGGER, EVENT, EXECUTE ON *.* TO 'dump'@'%'");
        let dir = work_dir();
        let out = dir.join("out");
        dump(&source, &["-B", "pt", "--portable", "--no-views=false", "--no-sequences=false"], &out);
        let target = Server::start(kind, Options::default().time_zone("-05:00")).unwrap();
        let login = target.account(Account::Admin);
        let (program, port) = (client(&target), target.port());
        let client = format!(
            "{} -h {} -P {port} -u {} -p{}",
            program.display(),
            target.host(),
            login.user,
            login.password
        );
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/rdump.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        let commands = docs
            .lines()
            .skip_while(|line| !line.starts_with("    load() "))
            .take_while(|line| line.starts_with("    "));
        let script: Vec<String> = commands
            .map(|line| {
                line.replace(
                    "mysql --comments --binary-mode ...",
                    &format!("{client} --comments --binary-mode"),
                )
            })
            .map(|line| line.replace("shop", "pt"))
            .collect();
        assert_eq!(script.len(), 6, "{script:?}");
        let done = Command::new("sh").arg("-ec").arg(script.join("\n")).current_dir(&out).output().unwrap();
        assert!(done.status.success(), "{kind}: {}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(told(&target), told(&source), "{kind}");
    }
}
