//! Helpers of the tests.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::manifest::Manifest;
use common::metadata::Metadata;
use testkit::{Account, LogCheck, Proxy, Server, Tool, WorkDir};

/// `rdump` with the login of an account and an output folder; no status server, its port is one for all.
pub fn rdump(server: &Server, account: Account, out: &Path) -> Tool {
    Tool::at("rdump", &program()).login(server, account).args(["--status-addr", ""]).arg("-o").arg(out)
}

/// The same over a proxy, with the account for dumps.
pub fn through(proxy: &Proxy, out: &Path) -> Tool {
    let login = Account::Dump.credentials();
    Tool::at("rdump", &program())
        .args(["-P", &proxy.port().to_string(), "-u", login.user, "-p", login.password, "--status-addr="])
        .arg("-o")
        .arg(out)
}

pub fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_rdump"))
}

/// Dumps and checks that it said so and logged nothing unexpected.
pub fn dump(server: &Server, args: &[&str], out: &Path) {
    dump_as(server, Account::Dump, args, out);
}

pub fn dump_as(server: &Server, account: Account, args: &[&str], out: &Path) {
    let done = rdump(server, account, out).args(args).run().success();
    LogCheck::new().check(&done.stdout);
    done.says("dump data successfully, dumpling will exit now");
}

pub fn work_dir() -> WorkDir {
    WorkDir::new("rdump-test").unwrap()
}

/// All files of a folder.
pub fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    std::fs::read_dir(dir)
        .unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        .map(|entry| {
            let entry = entry.unwrap();
            (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
        })
        .collect()
}

pub fn metadata(dir: &Path) -> Metadata {
    Metadata::from_bytes(&std::fs::read(dir.join("metadata")).unwrap()).unwrap()
}

pub fn manifest(dir: &Path) -> Manifest {
    Manifest::from_bytes(&std::fs::read(dir.join(common::dumpfile::MANIFEST)).unwrap()).unwrap()
}

/// Unpacks one of the fixtures' archives.
pub fn unpack(archive: &str, into: &Path) {
    let archive = fixture(archive);
    let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(into).status().unwrap();
    assert!(status.success(), "{}", archive.display());
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Decompresses by the name's suffix; gives the name without it.
pub fn plain(name: &str, bytes: &[u8]) -> (String, Vec<u8>) {
    let mut out = Vec::new();
    let name = if let Some(name) = name.strip_suffix(".gz") {
        flate2::read::GzDecoder::new(bytes).read_to_end(&mut out).unwrap();
        name
    } else if let Some(name) = name.strip_suffix(".zst") {
        zstd::stream::read::Decoder::new(bytes).unwrap().read_to_end(&mut out).unwrap();
        name
    } else if let Some(name) = name.strip_suffix(".snappy") {
        snap::read::FrameDecoder::new(bytes).read_to_end(&mut out).unwrap();
        name
    } else {
        out.extend_from_slice(bytes);
        name
    };
    (name.to_owned(), out)
}

/// The rows of a table's SQL files, in the order of the files: the lines between the statements' heads.
pub fn rows(dir: &Path, table: &str) -> Vec<String> {
    let mut out = Vec::new();
    for (name, bytes) in files(dir) {
        if name.starts_with(&format!("{table}.")) && name.ends_with(".sql") && !name.contains("-schema") {
            let text = String::from_utf8(bytes).unwrap();
            out.extend(
                text.lines()
                    .filter(|line| line.starts_with('('))
                    .map(|line| line.trim_end_matches([',', ';']).to_owned()),
            );
        }
    }
    out
}

/// Loads a dump's SQL files with an ordinary client session, schemas first, under `SET NAMES` as given.
pub fn load(server: &Server, dir: &Path, names: &str) {
    let all = files(dir);
    let order = |name: &str| match name {
        name if name.ends_with("-schema-create.sql") => 0,
        name if name.ends_with("-schema.sql") => 1,
        name if name.ends_with("-schema-view.sql") => 3,
        _ => 2,
    };
    let mut names_in_order: Vec<&String> = all.keys().filter(|name| name.ends_with(".sql")).collect();
    names_in_order.sort_by_key(|name| order(name));
    for name in names_in_order {
        let text = String::from_utf8(all[name].clone()).unwrap();
        let text = text.replace("SET NAMES binary", &format!("SET NAMES {names}"));
        let head = match name.ends_with("-schema-create.sql") {
            true => String::new(),
            false => {
                let schema = common::dumpfile::parse(name).unwrap().unwrap().table.schema;
                format!("USE {};\n", common::ident::quote(&schema))
            }
        };
        server
            .sql(format!("SET SESSION sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES';\n{head}{text}"));
    }
}
