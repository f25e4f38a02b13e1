//! Transactions that the source's binlog holds although they, or parts of them, were rolled back.

use testkit::{Kind, Options};

use super::{
    rig::{LIMIT, stop},
    xa::{rig_of, rows, skip_of},
};

/// Each at its own source, in turn.
const TAKEN_BACK: [&str; 3] = [
    "BEGIN; INSERT INTO d.n VALUES (1,'back'); CREATE TEMPORARY TABLE d.tmp (i int); ROLLBACK",
    "BEGIN; INSERT INTO d.n VALUES (2,'kept'); SAVEPOINT s; INSERT INTO d.n VALUES (3,'back'); INSERT INTO d.m VALUES (1); ROLLBACK TO s; COMMIT",
    "BEGIN; INSERT INTO d.n VALUES (4,'back'); INSERT INTO d.m VALUES (2); ROLLBACK",
];

/// Rows that are taken back must not stay in the target without a word.
#[test]
fn rows_that_are_taken_back() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        for sql in TAKEN_BACK {
            // With GTIDs MySQL refuses such statements.
            let options = Options::default().no_gtid();
            let Some(mut rig) = rig_of(kind, options) else { continue };
            rig.note_positions();
            let source = &rig.sources[0];
            source.sql("CREATE TABLE d.m (v int) ENGINE=MyISAM");
            source.sql(sql);
            source.sql("INSERT INTO d.n VALUES (5,'after')");
            let mut tool = rig.start();
            rig.wait_synced(&mut tool);
            let log = stop(tool);
            eprintln!("{kind:?} {sql}: {} {}\n{}", rows(&rig.target), rows(source), source.value("SELECT 1"));
            let _ = (log, LIMIT, skip_of as fn(&str, &[&str]) -> String);
        }
    }
}
