//! `rdump verify`: every kind of damage is found and named, in the folder and against the source.

use std::path::Path;

use testkit::tool::Finished;
use testkit::{Account, Kind, Options, Server, Tool};

use crate::support::{dump, files, program, work_dir};

fn server(kind: Kind) -> Option<Server> {
    let server = Server::start_or_skip(kind, Options::default())?;
    server.sql(
        "CREATE DATABASE v; CREATE TABLE v.d (n INT PRIMARY KEY); INSERT INTO v.d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE v.t (k VARCHAR(20) PRIMARY KEY, a INT, b VARBINARY(10));
         INSERT INTO v.t SELECT CONCAT('key ', x.n, y.n, z.n), x.n, REPEAT('b', y.n) FROM v.d x, v.d y, v.d z;
         CREATE TABLE v.none (a INT); CREATE TABLE v.loose (a INT, b TEXT); INSERT INTO v.loose VALUES (1, 'x'), (1, 'x'), (NULL, NULL);
         ANALYZE TABLE v.t",
    );
    Some(server)
}

fn verify(out: &Path, args: &[&str]) -> Finished {
    Tool::at("rdump", &program()).arg("verify").arg("-o").arg(out).args(args).run()
}

fn against(server: &Server, out: &Path) -> Finished {
    let login = Account::Dump.credentials();
    let port = server.port().to_string();
    verify(out, &["-P", &port, "-u", login.user, "-p", login.password, "--against-source", "-t", "2"])
}

const FORMS: [(&str, &[&str]); 4] = [
    ("plain", &[]),
    ("cut", &["-r", "100", "-F", "2KiB", "-s", "500"]),
    ("csv", &["--filetype", "csv", "-c", "zstd", "--csv-separator", "|", "-r", "200"]),
    ("where", &["-c", "gzip", "--where", "a >= 5 OR a IS NULL", "-r", "100", "-f", "v.[tl]*"]),
];

#[test]
fn whole_dumps_agree_with_manifest_and_source() {
    for kind in [Kind::MySql8033, Kind::MySql56, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = server(kind) else { continue };
        let dir = work_dir();
        for (name, args) in FORMS {
            let out = dir.join(name);
            dump(&server, &[&["-B", "v"], args].concat(), &out);
            verify(&out, &[]).success().says("as in manifest");
            against(&server, &out).success().says("as in manifest and source");
        }
    }
}

#[test]
fn damage_in_the_folder_is_named() {
    let Some(server) = server(Kind::MySql57) else { return };
    let dir = work_dir();
    let file = "v.t.0000000010000.sql";
    let change = |name: &str, with: &dyn Fn(&Path)| {
        let out = dir.join(name);
        dump(&server, &["-B", "v", "-r", "100", "-F", "2KiB"], &out);
        with(&out);
        verify(&out, &[]).expect_code(1)
    };
    change("byte", &|out| {
        let mut bytes = std::fs::read(out.join(file)).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(out.join(file), bytes).unwrap();
    })
    .says("v.t.0000000010000.sql: its content was changed (BLAKE3 differs)");
    change("cut", &|out| {
        let bytes = std::fs::read(out.join(file)).unwrap();
        std::fs::write(out.join(file), &bytes[..bytes.len() - 1]).unwrap();
    })
    .says("v.t.0000000010000.sql: it holds");
    change("gone", &|out| std::fs::remove_file(out.join(file)).unwrap())
        .says("v.t.0000000010000.sql: the file is missing");
    change("schema", &|out| std::fs::write(out.join("v.t-schema.sql"), "CREATE TABLE t (a INT);").unwrap())
        .says("v.t-schema.sql: it holds");
    change("extra", &|out| std::fs::write(out.join("v.t.999999999.sql"), "INSERT").unwrap())
        .says("v.t.999999999.sql: it is not in the manifest, but an import would read it");
    change("counts", &|out| {
        let path = out.join(common::dumpfile::MANIFEST);
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text
            .lines()
            .find(|line| line.contains("\"type\":\"chunk\"") && line.contains("\"table\":\"loose\""))
            .unwrap();
        std::fs::write(&path, text.replace(line, &line.replace("\"rows\":3", "\"rows\":4"))).unwrap();
    })
    .says("table `v`.`loose` chunk 0: 4 rows were read, its files hold 3");
    change("unfinished", &|out| std::fs::remove_file(out.join("metadata")).unwrap())
        .says("the dump is unfinished");
    verify(&dir.join("nothing"), &[]).expect_code(1).says("so it is no dump of rdump");
    let compressed = dir.join("zstd");
    dump(&server, &["-B", "v", "-c", "zstd"], &compressed);
    let bytes = files(&compressed)["v.t.000000000.sql.zst"].clone();
    std::fs::write(compressed.join("v.t.000000000.sql.zst"), &bytes[..bytes.len() / 2]).unwrap();
    verify(&compressed, &[]).expect_code(1).says("v.t.000000000.sql.zst: it can't be read");
}

#[test]
fn a_source_that_differs_is_named() {
    let Some(server) = server(Kind::MySql8033) else { return };
    let dir = work_dir();
    let out = dir.join("o");
    dump(&server, &["-B", "v", "-r", "100"], &out);
    for (change, back, text) in [
        (
            "UPDATE v.t SET b = 'x' WHERE k = 'key 555'",
            "UPDATE v.t SET b = 'bbbbb' WHERE k = 'key 555'",
            "rows differ from the source",
        ),
        ("DELETE FROM v.t WHERE k = 'key 000'", "INSERT INTO v.t VALUES ('key 000', 0, '')", "the dump has"),
        ("INSERT INTO v.t VALUES ('zzz', 1, '')", "DELETE FROM v.t WHERE k = 'zzz'", "the dump has"),
        ("RENAME TABLE v.loose TO v.other", "RENAME TABLE v.other TO v.loose", "table `v`.`loose`: "),
    ] {
        server.sql(change);
        let done = against(&server, &out).expect_code(1).says(text).says("verify failed: 1 differences");
        assert!(done.stdout.contains("`v`.`t` chunk") || text.contains("loose"), "{}", done.shown());
        server.sql(back);
        against(&server, &out).success();
    }
    Tool::at("rdump", &program()).args(["--against-source"]).run().expect_code(1).says("is for rdump verify");
    // The login may stand in the file of the dump's flags.
    let (login, config) = (Account::Dump.credentials(), dir.join("rdump.toml"));
    let text = format!(
        "port = {}\nuser = '{}'\npassword = '{}'\nthreads = 2\nrows = 7\nfilter = ['x.*']\n",
        server.port(),
        login.user,
        login.password
    );
    std::fs::write(&config, text).unwrap();
    Tool::at("rdump", &program())
        .args([
            "verify",
            "--against-source",
            "--config",
            config.to_str().unwrap(),
            "-o",
            out.to_str().unwrap(),
        ])
        .run()
        .success()
        .says("as in manifest and source");
}
