//! Transactions that the source's binlog holds although they, or parts of them, were rolled back.

use testkit::{Kind, Options, wait_until_blocking};

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

/// Rows that are taken back do not stay in the target without a word. MySQL cuts them out of what it writes.
#[test]
fn rows_that_are_taken_back() {
    for kind in [Kind::MySql57, Kind::MySql8033, Kind::MariaDb1011] {
        for sql in TAKEN_BACK {
            // With GTIDs MySQL refuses such statements.
            let Some(mut rig) = rig_of(kind, Options::default().no_gtid()) else { continue };
            rig.note_positions();
            let source = &rig.sources[0];
            // The target takes no engine without transactions.
            rig.target.sql("CREATE TABLE d.m (v int)");
            source.sql("CREATE TABLE d.m (v int) ENGINE=MyISAM");
            source.sql(sql);
            source.sql("INSERT INTO d.n VALUES (5,'after')");
            let mut tool = rig.start();
            wait_until_blocking(LIMIT, "the row after it, or the end", || {
                !tool.is_running() || rows(&rig.target).contains("after")
            });
            if tool.is_running() {
                stop(tool);
            } else {
                let ended = tool.finish(LIMIT).expect_code(1);
                let skip = skip_of(
                    &ended.stderr,
                    &["rows of replicated tables before a statement that takes them", "ROLLBACK"],
                );
                assert!(rows(&rig.target).contains("back"), "they are there to be corrected");
                rig.target.sql("DELETE FROM d.n WHERE w='back'");
                let mut tool = rig.start_args(&[&skip]);
                rig.wait_synced(&mut tool);
                stop(tool);
            }
            assert_eq!(rows(&rig.target), rows(source), "{kind:?} {sql}");
        }
    }
}
