//! Values that must not leave the source do not.

use testkit::{Account, Kind, Options, Server, Tool};

use crate::support::{dump, files, load, program, rdump, rows, work_dir};

const NAMES: [&str; 4] = ["Änne O'Neil", "Bob Secret", "Bob Secret", "李雷 Li"];

fn server(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE m; CREATE TABLE m.people (email VARCHAR(64) CHARACTER SET latin1 NOT NULL, id INT NOT NULL, name VARCHAR(40) CHARACTER SET utf8mb4,
           phone CHAR(20), token VARBINARY(40), card BIGINT, born DATE, memo TEXT,
           copy VARCHAR(64) CHARACTER SET latin1 AS (CONCAT(email)) STORED, PRIMARY KEY (email), UNIQUE KEY (copy), KEY (id));",
    );
    for (id, name) in NAMES.iter().enumerate() {
        server.sql(format!(
            "SET NAMES utf8mb4; INSERT INTO m.people VALUES ('user{id}@secret.example', {id}, '{}', '+49 30 12{id}', x'5ec2e70{id}5ec2e7',
               4111111111111111, '1971-02-0{}', IF({id} = 3, NULL, 'secret memo'), DEFAULT)",
            name.replace('\'', "''"),
            id + 1
        ));
    }
    Some(server)
}

/// Whether any file has one of the values, as text or in hexadecimal digits.
fn leaks(folder: &std::path::Path) -> Option<String> {
    for (name, bytes) in files(folder) {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        for secret in ["secret", "neil", "李雷", "+49 30 12", "5ec2e7", "411111", "1971-02"] {
            if text.contains(secret) {
                return Some(format!("{name}: {secret}"));
            }
        }
    }
    None
}

#[test]
fn nothing_that_is_masked_leaves_the_source() {
    for kind in [Kind::MySql8033, Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = server(kind) else { continue };
        let dir = work_dir();
        let (key, rules) = (dir.join("key"), dir.join("rules.toml"));
        std::fs::write(&key, "a key for this test").unwrap();
        std::fs::write(
            &rules,
            "[[mask]]\nmatcher = ['m.p*']\ncolumns = ['email', 'token']\nwith = 'hash'\n\
             [[mask]]\nmatcher = ['m.p*']\ncolumns = ['card']\nwith = 'fixed'\nvalue = 42\n\
             [[mask]]\nmatcher = ['m.p*']\ncolumns = ['born']\nwith = 'fixed'\nvalue = '2000-01-01'\n\
             [[mask]]\nmatcher = ['m.p*']\ncolumns = ['m*']\nwith = 'null'\n",
        )
        .unwrap();
        let args = |format: &'static str| {
            let names = "{matcher=['m.*'], columns=['name', 'phone'], with='keep-length'}";
            let mut args = vec!["-B", "m", "-r", "1", "--filetype", format, "--mask", names];
            args.extend(["--mask-file", rules.to_str().unwrap(), "--mask-key-file", key.to_str().unwrap()]);
            args
        };
        for format in ["sql", "csv"] {
            dump(&server, &args(format), &dir.join(format));
            assert_eq!(leaks(&dir.join(format)), None, "{kind}");
            let verify = |args: &[&str]| {
                let tool = Tool::at("rdump", &program()).arg("verify").arg("-o").arg(dir.join(format));
                if args.is_empty() { tool.run() } else { tool.login(&server, Account::Dump).args(args).run() }
            };
            verify(&[]).success().says("as in manifest");
            let key = ["--against-source", "--mask-key-file", key.to_str().unwrap()];
            verify(&key[..1]).expect_code(1).says("needs --mask-key-file");
            verify(&key).expect_code(1).says("made with a file of --mask-file-hash=");
            verify(&[&key[..], &["--mask-file", rules.to_str().unwrap()]].concat())
                .success()
                .says("and source");
        }
        let all = rows(&dir.join("sql"), "m.people");
        assert_eq!(all.len(), NAMES.len(), "{kind}");
        // Equal values have equal masks, others have not.
        let field = |row: usize, at: usize| all[row].split("','").nth(at).unwrap_or_default().to_owned();
        let by_id = |id: usize| all.iter().position(|row| row.contains(&format!("',{id},"))).unwrap();
        let name = |id: usize| all[by_id(id)].split(',').nth(2).unwrap().to_owned();
        assert_eq!(name(1), name(2));
        assert_ne!(field(by_id(0), 0), field(by_id(1), 0));

        server.sql("DROP DATABASE m");
        load(&server, &dir.join("sql"), "utf8mb4");
        let check =
            "SELECT CONCAT_WS('|', GROUP_CONCAT(CHAR_LENGTH(name) ORDER BY id), COUNT(DISTINCT email),
             SUM(LENGTH(email)), SUM(LENGTH(token)), SUM(card), MIN(born), COUNT(memo),
             SUM(phone REGEXP '^[+][0-9]{2} [0-9]{2} [0-9]{3}$')) FROM m.people";
        let lengths: Vec<String> = NAMES.iter().map(|name| name.chars().count().to_string()).collect();
        let expected = format!("{}|4|256|128|168|2000-01-01|0|4", lengths.join(","));
        assert_eq!(server.value(check), expected, "{kind}");
        let manifest = crate::support::manifest(&dir.join("sql"));
        assert!(manifest.dump.options.iter().any(|option| option.starts_with("--mask-key-hash=")));
        assert!(!format!("{:?}", manifest.dump.options).contains("a key for this test"));
    }
}

#[test]
fn a_rule_that_would_mask_nothing_ends_the_dump() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let dir = work_dir();
    let key = dir.join("key");
    std::fs::write(&key, "0123456789abcdef").unwrap();
    for (rule, text) in [
        (
            "{matcher=['m.people'], columns=['emial', 'memo'], with='null'}",
            "table `m`.`people`: there is no column `emial`",
        ),
        (
            "{matcher=['m.poeple'], columns=['email'], with='hash'}",
            "rule 1 takes no column of any table of the dump",
        ),
        (
            "{matcher=['m.people'], columns=['emial*'], with='null'}",
            "rule 1 takes no column of any table of the dump",
        ),
        ("{matcher=['m.people'], columns=['email'], with='null'}", "column `email` is NOT NULL"),
        (
            "{matcher=['m.people'], columns=['id'], with='hash'}",
            "hash and keep-length mask characters and bytes",
        ),
        ("{matcher=['m.people'], columns=['card'], with='fixed', value='x'}", "does not take `x`"),
        ("{matcher=['m.people'], columns=['card'], with='fixed'}", "fixed needs a value"),
        ("{matcher=['m.people'], columns=['!id'], with='null'}", "takes no column"),
        ("{matcher=['m.people'], columns=['card'], with='nul'}", "unknown `with` nul"),
        ("{matcher=['m.people'], column=['card'], with='null'}", "unknown field `column`"),
    ] {
        let out = dir.join("bad");
        rdump(&server, Account::Dump, &out)
            .args(["-B", "m", "--mask", rule, "--mask-key-file", key.to_str().unwrap()])
            .run()
            .expect_code(1)
            .says(text);
        let _ = std::fs::remove_dir_all(&out);
    }
    for (args, text) in [
        (vec![], "needs --mask-key-file"),
        (vec!["--mask-key-file", "/no/such"], "--mask-key-file /no/such can't be read"),
        (vec!["--mask-key-file", "/dev/null"], "fewer than 16 bytes"),
        (vec!["--sql", "select 1"], "exclude each other"),
        (
            vec!["--include-generated-columns", "stored", "--filetype", "csv"],
            "generated columns may hold what is masked",
        ),
    ] {
        rdump(&server, Account::Dump, &dir.join("bad"))
            .args(["--mask", "{matcher=['m.*'], columns=['email'], with='hash'}"])
            .args(args)
            .run()
            .expect_code(1)
            .says(text);
    }
}

/// MariaDB's JSON is text with a check, which a hash would not pass; and a mask that is too short for a key is told of for each of its columns.
#[test]
fn json_and_composite_keys() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql(
            "CREATE DATABASE m; CREATE TABLE m.t (id INT PRIMARY KEY, a INT, code CHAR(4), doc JSON, UNIQUE KEY (a, code));
             INSERT INTO m.t VALUES (1, 1, 'abcd', '{\"a\": 1}')",
        );
        let dir = work_dir();
        let key = dir.join("key");
        std::fs::write(&key, "a key for this test").unwrap();
        let masked = |name: &str, rule: &str| {
            let rule = format!("{{matcher=['m.t'], {rule}}}");
            let tool = rdump(&server, Account::Dump, &dir.join(name)).args(["-B", "m", "--mask", &rule]);
            tool.arg("--mask-key-file").arg(&key).run()
        };
        masked("hash", "columns=['doc'], with='hash'")
            .expect_code(1)
            .says("column `doc` is json: hash and keep-length");
        masked("fixed", "columns=['doc'], with='fixed', value='x'").expect_code(1).says("`x` is no JSON");
        masked("good", "columns=['doc'], with='fixed', value='[]'").success();
        assert_eq!(rows(&dir.join("good"), "m.t"), ["(1,1,'abcd','[]')"], "{kind}");
        let done = masked("short", "columns=['code'], with='hash'").success();
        done.says("different values may get the same mask");
    }
}
