//! Shards of two servers into one target, with a writer and a shard DDL.

use testkit::{Kind, Options, wait_until_blocking};

use super::rig::{LIMIT, Rig, runtime, stop};

fn merge_with_ddl(kind: Kind, gtid: bool, options: impl Fn(u32) -> Options) {
    let Some(mut rig) = Rig::new(kind, 2, 0, options) else { return };
    rig.gtid = gtid;
    rig.note_positions();
    let writers = rig.writers(150);
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "rows in the target", || {
        rig.target.value("SELECT COUNT(*) FROM my_db.table5") != "0"
    });
    // The column comes to the shards one by one while they are written to.
    for source in &rig.sources {
        for table in ["table1", "table2"] {
            source.sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN extra varchar(20) DEFAULT 'e'"));
        }
    }
    wait_until_blocking(LIMIT, "the column in the target", || {
        rig.target.value(
            "SELECT COUNT(*) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA='my_db' AND TABLE_NAME='table5' AND COLUMN_NAME='extra'",
        ) == "1"
    });
    for writer in &writers {
        for table in ["table1", "table2"] {
            writer.use_column("my_db1", table, "extra");
        }
    }
    let before = writers[0].transactions();
    wait_until_blocking(LIMIT, "more transactions", || writers[0].transactions() > before + 100);
    runtime().block_on(async {
        for writer in writers {
            writer.stop().await.unwrap();
        }
    });
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    let rows = rig.verify();
    assert!(rows > 100, "{rows}");
    assert_eq!(log.matches("execute DDL").count(), 1, "one source runs it, the other passes over it: {log}");
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
}

#[test]
fn by_position_mysql_80() {
    merge_with_ddl(Kind::MySql8033, false, |_| Options::default());
}

#[test]
fn by_gtid_mysql_80() {
    merge_with_ddl(Kind::MySql8033, true, |_| Options::default());
}

#[test]
fn by_position_mysql_57_without_gtid() {
    merge_with_ddl(Kind::MySql57, false, |_| Options::default().no_gtid());
}

#[test]
fn by_gtid_mariadb() {
    merge_with_ddl(Kind::MariaDb1011, true, |n| Options::default().domain(n));
}

#[test]
fn compressed_transactions() {
    merge_with_ddl(Kind::MySql8033, true, |_| Options::default().compressed_binlog());
}
