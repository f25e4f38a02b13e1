//! Forms of the files beyond the golden ones: templates, chosen columns, generated columns, levels.

use std::path::{Path, PathBuf};

use testkit::{Account, Kind, Options, Server};

use crate::support::{dump, files, manifest, plain, rdump, work_dir};

fn server() -> Option<Server> {
    let server = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    server.sql(
        "CREATE DATABASE f; CREATE TABLE f.`t.1` (a INT PRIMARY KEY, secret VARCHAR(20), s INT AS (a * 2) STORED, v INT AS (a * 3));
         INSERT INTO f.`t.1` (a, secret) VALUES (1, 'x'), (2, 'y'), (3, NULL);
         CREATE TABLE f.u (a INT PRIMARY KEY, b TEXT); INSERT INTO f.u VALUES (1, 'one'), (2, 'two');
         CREATE TABLE f.d (n INT PRIMARY KEY); INSERT INTO f.d VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9);
         CREATE TABLE f.many (a INT PRIMARY KEY, b CHAR(50)); INSERT INTO f.many SELECT x.n*100+y.n*10+z.n, 'pad' FROM f.d x, f.d y, f.d z;
         ANALYZE TABLE f.many",
    );
    Some(server)
}

/// Relative names of all files below a folder.
fn names(root: &Path) -> Vec<String> {
    let mut folders: Vec<PathBuf> = vec![root.into()];
    let mut out = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => out.push(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned()),
            }
        }
    }
    out.sort();
    out
}

#[test]
fn names_from_a_template() {
    let Some(server) = server() else { return };
    let dir = work_dir();
    let out = dir.join("o");
    let template =
        "{{define \"table\"}}ddl/{{fn .DB}}.{{fn .Table}}-schema{{end}}{{fn .DB}}/{{fn .Table}}.{{.Index}}";
    let filter = ["-f", "f.t*", "-f", "f.u", "--output-filename-template", template];
    dump(&server, &filter, &out);
    let expected = [
        "ddl/f.t%2E1-schema.sql",
        "ddl/f.u-schema.sql",
        "f-schema-create.sql",
        "f/t%2E1.000000000.sql",
        "f/u.000000000.sql",
        "metadata",
        "rdump-manifest.jsonl",
    ];
    assert_eq!(names(&out), expected);
    assert_eq!(manifest(&out).dump.template.as_deref(), Some(template));
    assert!(manifest(&out).files.iter().any(|file| file.name == "f/u.000000000.sql" && file.rows == 2));
    // What an unfinished dump of this kind left can't be told from other files.
    std::fs::remove_file(out.join("metadata")).unwrap();
    rdump(&server, Account::Dump, &out)
        .args(filter)
        .run()
        .expect_code(1)
        .says("were named by --output-filename-template");
}

/// Dumpling's chunks would write over each other, exit 0.
#[test]
fn a_template_that_names_two_files_alike_fails() {
    let Some(server) = server() else { return };
    let dir = work_dir();
    for (template, name) in [("{{.Table}}", "many.sql"), ("metadata.{{.ChunkIndex}}", "")] {
        let done = rdump(&server, Account::Dump, &dir.join("o"))
            .args(["-T", "f.many", "-r", "100", "--output-filename-template", template])
            .run();
        match name {
            "" => drop(done.success()),
            name => drop(done.expect_code(1).says(&format!("gives two files the name {name}"))),
        }
        std::fs::remove_dir_all(dir.join("o")).unwrap();
    }
    rdump(&server, Account::Dump, &dir.join("o"))
        .args(["-T", "f.u", "--output-filename-template", "{{.index}}"])
        .run()
        .expect_code(1)
        .says("can't evaluate field index in type *export.outputFileNamer");
}

#[test]
fn chosen_columns() {
    let Some(server) = server() else { return };
    let dir = work_dir();
    let file = dir.join("rules.toml");
    std::fs::write(&file, "[[column-filter]]\nmatcher = ['f.*']\ncolumns = ['*', '!b']\n").unwrap();
    let args = ["-m", "-B", "f", "-f", "f.t*", "-f", "f.u"];
    let rules = [
        "--column-filter",
        "{matcher=['f.t*'], columns=['*', '!sec*']}",
        "--column-filter-file",
        file.to_str().unwrap(),
    ];
    dump(&server, &[&args[..], &rules].concat(), &dir.join("o"));
    let all = files(&dir.join("o"));
    let text = |name: &str| String::from_utf8(all[name].clone()).unwrap();
    assert!(text("f.t%2E1.000000000.sql").contains("INSERT INTO `t.1` (`a`) VALUES\n(1),\n(2),\n(3);"));
    assert!(text("f.u.000000000.sql").contains("INSERT INTO `u` (`a`) VALUES\n(1),\n(2);"));
    for (rule, text) in [
        ("{matcher=['f.u'], columns=['nope']}", "--column-filter leaves no column of table `f`.`u`"),
        ("{matcher=['f.u']}", "missing field `columns`"),
        ("{matcher=['f'], columns=['a']}", "wrong table pattern"),
        ("nonsense", "--column-filter 'nonsense'"),
    ] {
        let out = dir.join("bad");
        rdump(&server, Account::Dump, &out)
            .args(args)
            .args(["--column-filter", rule])
            .run()
            .expect_code(1)
            .says(text);
    }
}

#[test]
fn generated_columns_in_csv() {
    let Some(server) = server() else { return };
    let dir = work_dir();
    let args = ["-T", "f.t.1", "--filetype", "csv"];
    dump(&server, &args, &dir.join("none"));
    dump(&server, &[&args[..], &["--include-generated-columns", "stored"]].concat(), &dir.join("stored"));
    let text =
        |folder: &str| String::from_utf8(files(&dir.join(folder))["f.t%2E1.000000000.csv"].clone()).unwrap();
    assert_eq!(text("none"), "\"a\",\"secret\"\r\n1,\"x\"\r\n2,\"y\"\r\n3,\\N\r\n");
    assert_eq!(text("stored"), "\"a\",\"secret\",\"s\"\r\n1,\"x\",2\r\n2,\"y\",4\r\n3,\\N,6\r\n");
    rdump(&server, Account::Dump, &dir.join("sql"))
        .args(["-T", "f.t.1", "--include-generated-columns", "stored"])
        .run()
        .expect_code(1)
        .says("is for --filetype csv");
}

#[test]
fn levels_of_compression() {
    let Some(server) = server() else { return };
    let dir = work_dir();
    let mut sizes = Vec::new();
    for (compression, level) in [("zstd", "1"), ("zstd", "19"), ("gzip", "0"), ("gzip", "9")] {
        let out = dir.join(format!("{compression}-{level}"));
        dump(&server, &["-T", "f.many", "-c", compression, "--compress-level", level], &out);
        let suffix = if compression == "zstd" { "zst" } else { "gz" };
        let name = format!("f.many.000000000.sql.{suffix}");
        let bytes = files(&out)[&name].clone();
        let (_, text) = plain(&name, &bytes);
        let line = manifest(&out).files[0].clone();
        assert_eq!((line.bytes, line.rows), (text.len() as u64, 1000));
        assert_eq!(line.blake3, blake3::hash(&text).to_hex().to_string(), "{compression} {level}");
        sizes.push(bytes.len());
    }
    assert!(sizes[1] < sizes[0] && sizes[3] < sizes[2], "{sizes:?}");
}
