//! Byte for byte what Dumpling wrote (../shared/golden, copied to fixtures/).

use std::collections::BTreeMap;
use std::path::Path;

use testkit::{Kind, Options, Server};

use crate::support::{dump, files, fixture, manifest, metadata, plain, rows, unpack, work_dir};

/// Folder and further options.
const FOLDERS: [(&str, &[&str]); 14] = [
    ("default", &[]),
    ("rows", &["-r", "100"]),
    ("filesize", &["-F", "8KB"]),
    ("stmt", &["-s", "500"]),
    ("csv", &["--filetype", "csv"]),
    (
        "csv_opts",
        &[
            "--filetype",
            "csv",
            "--csv-separator",
            "|+|",
            "--csv-delimiter",
            "'",
            "--csv-null-value",
            "nil",
            "--no-header",
            "--csv-line-terminator",
            "\r\n",
            "--csv-output-dialect",
            "snowflake",
        ],
    ),
    ("csv_noesc", &["--filetype", "csv", "--escape-backslash=false"]),
    ("noesc", &["--escape-backslash=false"]),
    ("complete", &["--complete-insert"]),
    ("nodata", &["--no-data"]),
    ("noviews", &["--no-views=false"]),
    ("gzip", &["-c", "gzip"]),
    ("zstd", &["-c", "zstd"]),
    ("snappy", &["-c", "snappy"]),
];

/// Without compression, without our own files, and with the definer that our test's views have.
fn normal(all: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, String> {
    all.into_iter()
        .filter(|(name, _)| name != "metadata" && name != common::dumpfile::MANIFEST)
        .map(|(name, bytes)| {
            let (name, bytes) = plain(&name, &bytes);
            let text: String = bytes.iter().map(|&b| char::from(b)).collect();
            (name, text.replace("DEFINER=`admin`@`%`", "DEFINER=`root`@`localhost`"))
        })
        .collect()
}

fn compare(ours: &BTreeMap<String, String>, golden: &BTreeMap<String, String>, folder: &str) {
    let names = |files: &BTreeMap<String, String>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(golden), "{folder}: other files");
    for (name, text) in golden {
        assert!(ours[name] == *text, "{folder}/{name}\n--- ours\n{}\n--- golden\n{text}", ours[name]);
    }
}

/// Chunks of one table joined to one text: how many there are hangs on the server's estimate.
fn joined_rows(all: &BTreeMap<String, String>, table: &str) -> Vec<String> {
    all.iter()
        .filter(|(name, _)| name.starts_with(&format!("{table}.")) && !name.contains("-schema"))
        .flat_map(|(_, text)| text.lines().filter(|line| line.starts_with('(')).map(str::to_owned))
        .map(|line| line.trim_end_matches([',', ';']).to_owned())
        .collect()
}

#[test]
fn zoo_on_mysql_97() {
    let Some(server) = Server::start_or_skip(Kind::MySql97, Options::default()) else { return };
    server.sql(std::fs::read(fixture("zoo.sql")).unwrap());
    server.sql("ANALYZE TABLE zoo.many_rows, zoo.composite_pk");
    let dir = work_dir();
    unpack("outputs-mysql97.tar.gz", dir.path());
    for (folder, options) in FOLDERS {
        let out = dir.join(format!("ours-{folder}"));
        let args = [&["-t", "2", "-B", "zoo,od.d-db,empty_db", "--dumpling-bytes"][..], options].concat();
        dump(&server, &args, &out);
        let (ours, golden) = (normal(files(&out)), normal(files(&dir.join(folder))));
        if folder == "rows" {
            check_chunked(&ours, &golden);
        } else {
            compare(&ours, &golden, folder);
        }
        // Dumpling loses the position on 9.7; we do not.
        let source = metadata(&out).source.unwrap();
        assert!(source.file.starts_with("binlog.") && source.gtid.contains(":1-"), "{source:?}");
        check_manifest(&out);
    }
}

/// On 9.7 Dumpling never splits; we do, and the rows are the same.
fn check_chunked(ours: &BTreeMap<String, String>, golden: &BTreeMap<String, String>) {
    let chunks = ours.keys().filter(|name| name.starts_with("zoo.many_rows.0")).count();
    assert!(chunks >= 8, "{chunks} chunks of 1000 rows");
    for table in ["zoo.many_rows", "zoo.composite_pk", "zoo.all_types", "zoo.no_pk"] {
        assert_eq!(joined_rows(ours, table), joined_rows(golden, table), "{table}");
    }
}

fn check_manifest(out: &Path) {
    let manifest = manifest(out);
    assert!(manifest.end.is_some());
    let all = files(out);
    for file in &manifest.files {
        let (_, bytes) = plain(&file.name, &all[&file.name]);
        assert_eq!(bytes.len() as u64, file.bytes, "{}", file.name);
    }
    let data = all
        .keys()
        .filter(|name| {
            !name.contains("-schema.") && !name.ends_with("-schema-create.sql") && !name.contains("-schema-")
        })
        .count();
    assert!(data - 2 <= manifest.files.len() + 2, "every data file stands in the manifest");
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    assert_eq!(rows, manifest.end.as_ref().unwrap().rows);
}

/// Four dumps of two shard servers: the form of the names, and the rows in order.
#[test]
fn shards_on_mysql_80() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let dir = work_dir();
    unpack("outputs-shards-mysql80.tar.gz", dir.path());
    // What the golden dumps hold is what we load: schema files and rows.
    for folder in ["my_db1_1", "my_db2_1"] {
        crate::support::load(&server, &dir.join(folder), "utf8mb4");
    }
    let out = dir.join("ours-1");
    dump(&server, &["-t", "2", "-r", "100", "-F", "256MB", "-B", "my_db1", "-f", "my_db1.table[12]"], &out);
    for table in ["table1", "table2"] {
        let name = format!("my_db1.{table}");
        assert_eq!(rows(&out, &name), rows(&dir.join("my_db1_1"), &name), "{name}");
        let schema = format!("{name}-schema.sql");
        assert_eq!(files(&out)[&schema], files(&dir.join("my_db1_1"))[&schema]);
    }
    for name in files(&out).keys().filter(|name| name.contains(".table") && !name.contains("-schema")) {
        let digits = name.split('.').nth(2).unwrap();
        assert!(digits.len() == 13 && digits.bytes().all(|b| b.is_ascii_digit()), "{name}");
    }
    let out = dir.join("ours-2");
    dump(&server, &["-t", "2", "-B", "my_db2"], &out);
    compare(&normal(files(&out)), &normal(files(&dir.join("my_db2_1"))), "my_db2");
    let source = metadata(&out).source.unwrap();
    assert!(source.binlog_position().is_some());
    assert!(source.gtid.contains(':'));
}
