//! `cargo xtask setup`: brings the servers and peers that the tests, the demo and the benchmarks need.
//!
//! Each item is looked for first, so a second run does nothing and says nothing. An item that cannot be had is
//! written down under `missing/` and its tests are skipped; everything else still runs.

mod debian;
mod packages;

use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use testkit::catalog;
use testkit::{Cloud, Kind};

/// After this time `cargo xtask test` tries again to get what could not be had.
const RETRY_MISSING: Duration = Duration::from_secs(24 * 3600);

#[derive(clap::Args)]
pub struct Args {
    /// Say what is there, too
    #[arg(short, long)]
    verbose: bool,
}

/// One thing to install.
struct Item {
    /// As the list of skipped tests and the errors name it.
    name: &'static str,
    /// For the error text: what is not possible without it.
    purpose: &'static str,
    /// Whether it is there.
    present: fn() -> bool,
    /// Gets it.
    install: fn() -> Result<()>,
}

const ITEMS: &[Item] = &[
    Item {
        name: "libaio1",
        purpose: "the MySQL servers are linked to it",
        present: || debian::has_library("libaio.so.1"),
        install: || debian::apt_install(&["libaio1"]),
    },
    Item {
        name: "libnuma1",
        purpose: "the MySQL servers are linked to it",
        present: || debian::has_library("libnuma.so.1"),
        install: || debian::apt_install(&["libnuma1"]),
    },
    Item {
        name: "unzip",
        purpose: "unpacks MySQL 5.7, 8.0.15 and 8.0.33",
        present: || catalog::find_program("unzip").is_some(),
        install: || debian::apt_install(&["unzip"]),
    },
    Item {
        name: "mariadb-10.11",
        purpose: "the MariaDB source of the tests and of the demo",
        present: || Kind::MariaDb1011.is_installed() && catalog::find_program("mariadb-install-db").is_some(),
        install: || debian::apt_install(&["mariadb-server-core", "mariadb-client-core"]),
    },
    Item {
        name: "mydumper",
        purpose: "the peer of the dump benchmark",
        present: || catalog::find_program("mydumper").is_some(),
        install: || debian::apt_install(&["mydumper"]),
    },
    Item {
        name: "mysql-5.6.24",
        purpose: "the oldest source of the tests",
        present: || Kind::MySql56.is_installed(),
        install: packages::mysql56,
    },
    Item {
        name: "mysql-5.7.22",
        purpose: "a source of the tests and of the demo",
        present: || Kind::MySql57.is_installed(),
        install: packages::mysql57,
    },
    Item {
        name: "mysql-8.0.15",
        purpose: "tests of logins and TLS",
        present: || Kind::MySql8015.is_installed(),
        install: packages::mysql8015,
    },
    Item {
        name: "mysql-8.0.33",
        purpose: "the sources and the target of most tests, of the demo and of the benchmarks",
        present: || Kind::MySql8033.is_installed(),
        install: packages::mysql8033,
    },
    Item {
        name: "mysql-9.7",
        purpose: "the newest source and target of the tests",
        present: || Kind::MySql97.is_installed(),
        install: debian::mysql97,
    },
    Item {
        name: "moto-5.2.5",
        purpose: "the S3 of the tests",
        present: || Cloud::Moto.is_installed(),
        install: packages::moto,
    },
    Item {
        name: "azurite",
        purpose: "the Azure Blob Storage of the tests",
        present: || Cloud::Azurite.is_installed(),
        install: packages::azurite,
    },
    Item {
        name: testkit::python::PYARROW,
        purpose: "another writer and reader of Parquet",
        present: || testkit::python::pyarrow().exists(),
        install: packages::pyarrow,
    },
];

/// Installs what is missing.
pub fn run(args: &Args) -> Result<ExitCode> {
    let failed = install_missing(|_| true)?;
    if args.verbose {
        for item in ITEMS {
            println!("{:14} {}", item.name, if (item.present)() { "there" } else { "missing" });
        }
    }
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What `cargo xtask test` calls: quick when all is there, and patient with what could not be had a short time ago.
pub fn ensure() -> Result<()> {
    install_missing(|item| !failed_recently(item)).map(|_failures_are_listed_as_skips| ())
}

fn install_missing(wanted: impl Fn(&Item) -> bool) -> Result<usize> {
    let open = |item: &&Item| !(item.present)() && wanted(item);
    if !ITEMS.iter().any(|item| open(&item)) {
        return Ok(0);
    }
    let servers = catalog::servers_dir();
    fs::create_dir_all(catalog::missing_dir())
        .with_context(|| format!("make the folder {}", servers.display()))?;
    let lock =
        File::create(servers.join(".lock")).with_context(|| format!("open {}/.lock", servers.display()))?;
    if lock.try_lock().is_err() {
        eprintln!("setup: waiting for another setup to finish");
        lock.lock().context("wait for the other setup")?;
    }
    let mut failures = 0;
    // Asked again under the lock: the other setup may have brought it.
    for item in ITEMS.iter().filter(open) {
        eprintln!("setup: installing {} ({})", item.name, item.purpose);
        let record = catalog::missing_dir().join(item.name);
        let result = (item.install)().and_then(|()| {
            anyhow::ensure!((item.present)(), "the installation ended well, but its files are not there");
            Ok(())
        });
        match result {
            Ok(()) => remove_record(&record)?,
            Err(error) => {
                failures += 1;
                let reason = format!("{error:#}");
                eprintln!(
                    "setup: cannot install {}, needed because it is {}: {reason}",
                    item.name, item.purpose
                );
                let line = reason.lines().collect::<Vec<_>>().join(" / ");
                fs::write(&record, line).with_context(|| format!("write {}", record.display()))?;
            }
        }
    }
    Ok(failures)
}

fn remove_record(record: &Path) -> Result<()> {
    match fs::remove_file(record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("remove {}", record.display()))
        }
        _ => Ok(()),
    }
}

fn failed_recently(item: &Item) -> bool {
    let record = fs::metadata(catalog::missing_dir().join(item.name)).and_then(|meta| meta.modified());
    record.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age < RETRY_MISSING))
}
