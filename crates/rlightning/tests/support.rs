//! Helpers of the tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use testkit::tool::Finished;
use testkit::{Account, LogCheck, Server, Tool, WorkDir};

/// A folder with a dump and a configuration to import it.
pub struct Task {
    pub dir: WorkDir,
    sections: BTreeMap<&'static str, Vec<String>>,
    routes: String,
}

impl Task {
    /// For a target on this port. Small statements, so that small dumps have many batches.
    pub fn new(port: u16) -> Task {
        let dir = WorkDir::new("rlightning-test").unwrap();
        std::fs::create_dir(dir.join("dumps")).unwrap();
        let login = Account::Target.credentials();
        let mut task = Task { sections: BTreeMap::new(), routes: String::new(), dir };
        let source = task.dumps().display().to_string();
        let log = task.log().display().to_string();
        task.set("lightning", &format!("file = '{log}'"));
        task.set("mydumper", &format!("data-source-dir = '{source}'"));
        task.set("tikv-importer", "backend = 'tidb'");
        task.set("tidb", &format!("host = '127.0.0.1'\nport = {port}"));
        task.set("tidb", &format!("user = '{}'\npassword = '{}'", login.user, login.password));
        task
    }

    /// Many batches and pieces out of little data.
    pub fn small_batches(mut self) -> Task {
        self.set("tikv-importer", "logical-import-batch-size = '1KiB'");
        self.set("mydumper", "max-region-size = '150KiB'");
        self
    }

    /// Adds lines to a section.
    pub fn set(&mut self, section: &'static str, lines: &str) -> &mut Task {
        self.sections.entry(section).or_default().push(lines.to_owned());
        self
    }

    /// Takes lines out of a section again.
    pub fn unset(&mut self, section: &'static str, lines: &str) {
        self.sections.entry(section).or_default().retain(|own| own != lines);
    }

    /// Replaces the target's port.
    pub fn set_port(&mut self, port: u16) {
        for line in self.sections.values_mut().flatten().filter(|line| line.starts_with("host = ")) {
            *line = format!("host = '127.0.0.1'\nport = {port}");
        }
    }

    /// Adds a route.
    pub fn route(&mut self, schema: &str, table: &str, to_schema: &str, to_table: &str) -> &mut Task {
        let _ = write!(
            self.routes,
            "[[routes]]\nschema-pattern = '{schema}'\ntable-pattern = '{table}'\ntarget-schema = '{to_schema}'\ntarget-table = '{to_table}'\n"
        );
        self
    }

    /// Adds lines behind the last route.
    pub fn route_lines(&mut self, lines: &str) {
        self.routes.push_str(lines);
    }

    pub fn dumps(&self) -> PathBuf {
        self.dir.join("dumps")
    }

    pub fn log(&self) -> PathBuf {
        self.dir.join("rlightning.log")
    }

    pub fn log_text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Writes a file of the dump.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.dumps().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn config(&self) -> PathBuf {
        let mut text = String::new();
        for (section, lines) in &self.sections {
            let _ = write!(text, "[{section}]\n{}\n", lines.join("\n"));
        }
        text.push_str(&self.routes);
        let path = self.dir.join("tidb-lightning.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The tool with this task's configuration.
    pub fn tool(&self) -> Tool {
        rlightning().arg("-config").arg(self.config())
    }

    /// Runs it to its good end, with a log of which nothing is unexpected.
    pub fn import(&self) -> Finished {
        self.import_expecting(LogCheck::new())
    }

    pub fn import_expecting(&self, check: LogCheck) -> Finished {
        let _ = std::fs::remove_file(self.log());
        let done = self.tool().run().success();
        assert_eq!(done.stdout.lines().last(), Some("tidb lightning exit successfully"), "{}", done.shown());
        let log = self.log_text();
        check.check(&log);
        assert!(log.contains("[\"the whole procedure completed\"]"), "{log}");
        assert!(
            log.lines().last().is_some_and(|line| line.contains("[\"tidb lightning exit\"] [finished=true]")),
            "{log}"
        );
        done
    }

    /// Runs it to a bad end that says this.
    pub fn fails(&self, text: &str) -> Finished {
        let done = self.tool().run().failure().says(text);
        assert!(!done.shown().contains("exit successfully"), "{}", done.shown());
        done
    }
}

pub fn rlightning() -> Tool {
    Tool::at("rlightning", &PathBuf::from(env!("CARGO_BIN_EXE_rlightning")))
}

/// Text in the form of Dumpling: its head, and statements of `per_statement` rows.
pub fn dumpling(table: &str, rows: impl Iterator<Item = String>, per_statement: usize) -> String {
    let mut text = String::from("/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\n");
    let mut open = false;
    for (number, row) in rows.enumerate() {
        if number % per_statement == 0 {
            if open {
                text.push_str(";\n");
            }
            let _ = write!(text, "INSERT INTO `{table}` VALUES\n{row}");
            open = true;
        } else {
            let _ = write!(text, ",\n{row}");
        }
    }
    if open {
        text.push_str(";\n");
    }
    text
}

/// Rows `(n,'some text')` from `from` on.
pub fn numbered(from: u64, count: u64) -> impl Iterator<Item = String> {
    (from..from + count)
        .map(|number| format!("({number},'row {number}; it''s \\\"quoted\\\" (and),( so on)')"))
}

/// Checks that a table `(n, c)` holds each number once, and what belongs to it.
pub fn assert_numbers(server: &Server, table: &str, count: u64) {
    let row = server.rows(format!(
        "SELECT COUNT(*), COUNT(DISTINCT n), COALESCE(MIN(n), 0), COALESCE(MAX(n), 0), \
         COALESCE(SUM(c = CONCAT('row ', n, '; it''s \"quoted\" (and),( so on)')), 0) FROM {table}"
    ));
    let row = row.first().unwrap();
    let cells: Vec<u64> = (0..5).map(|index| row.parse(index).unwrap().unwrap()).collect();
    assert_eq!(
        cells,
        [count, count, 0, count.saturating_sub(1), count],
        "rows, distinct, least, greatest, right in {table}"
    );
}

/// Nothing of ours is left after a good end.
pub fn assert_no_ledger(server: &Server) {
    for table in rlightning::ledger::SCHEMA_TABLES {
        let count = server.value(format!("SELECT COUNT(*) FROM lightning_task_info.{table}"));
        assert_eq!(count, "0", "rows in {table}");
    }
}

/// Unpacks Dumpling's dumps of two servers: my_db1_1, my_db1_2, my_db2_1, my_db2_2.
pub fn unpack_shards(into: &Path) {
    let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/outputs-shards-mysql80.tar.gz");
    let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(into).status().unwrap();
    assert!(status.success(), "{}", archive.display());
}

/// Alters the table `d.t` until it has another time of creation, which has whole seconds.
pub fn alter_d_t(server: &Server) {
    let created = || {
        server.value(
            "SELECT CREATE_TIME FROM information_schema.TABLES WHERE TABLE_SCHEMA='d' AND TABLE_NAME='t'",
        )
    };
    let before = created();
    testkit::wait_until_blocking(std::time::Duration::from_secs(10), "the table has another time", || {
        server.sql("ALTER TABLE d.t ENGINE=InnoDB");
        created() != before
    });
}
