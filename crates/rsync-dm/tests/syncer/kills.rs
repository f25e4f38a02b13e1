//! The process is killed again and again, at random and at each durable step: rows stay exact.

use std::time::{Duration, Instant};

use testkit::{Kind, Options, wait_until_blocking};

use super::rig::{LIMIT, Rig, runtime, stop};

/// The steps at which a killed process must go on exactly.
const POINTS: [&str; 11] = [
    "syncer-before-apply",
    "syncer-after-apply",
    "syncer-before-flush",
    "syncer-after-flush",
    "syncer-after-rows",
    "syncer-before-ddl",
    "syncer-after-ddl",
    "syncer-before-shard-flush",
    "syncer-before-shard-done",
    "syncer-after-shard-done",
    "syncer-before-flush",
];

/// The target tables lose their keys: then only an exact restart gives exact rows.
pub(super) fn without_keys(rig: &Rig) {
    for (table, key) in
        [("my_db.table5", "sid"), ("my_db.table6", "sid"), ("my_db2.table3", "sid"), ("my_db2.table4", "sid")]
    {
        rig.target.sql(format!("ALTER TABLE {table} DROP KEY {key}"));
    }
}

fn add_column(rig: &Rig, column: &str) {
    for source in &rig.sources {
        for table in ["table1", "table2"] {
            source.sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN {column} varchar(20) DEFAULT 'e'"));
        }
    }
}

fn killed_and_started_again(kind: Kind, gtid: bool, keys: bool, kills: usize) {
    let Some(mut rig) = Rig::new(kind, 2, 0, |n| match kind {
        Kind::MariaDb1011 => Options::default().domain(n),
        _ => Options::default(),
    }) else {
        return;
    };
    rig.gtid = gtid;
    rig.note_positions();
    if !keys {
        without_keys(&rig);
    }
    let writers = rig.writers(120);
    for kill in 0..kills {
        let mut tool = rig.start();
        // A different moment each time.
        std::thread::sleep(Duration::from_millis(150 + (kill as u64 * 467) % 1300));
        if kill % 4 == 1 {
            let (rig, column) = (&rig, format!("c{kill}"));
            std::thread::scope(|scope| {
                scope.spawn(move || add_column(rig, &column));
                std::thread::sleep(Duration::from_millis((kill as u64 * 211) % 500));
                tool.kill();
            });
        } else {
            tool.kill();
        }
    }
    runtime().block_on(async {
        for writer in writers {
            writer.stop().await.unwrap();
        }
    });
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let rows = rig.verify();
    assert!(rows > 100, "{rows}");
}

#[test]
fn at_random() {
    killed_and_started_again(Kind::MySql8033, false, true, 8);
}

#[test]
fn at_random_without_keys_by_gtid() {
    killed_and_started_again(Kind::MySql8033, true, false, 8);
}

#[test]
fn at_random_mariadb() {
    killed_and_started_again(Kind::MariaDb1011, true, false, 6);
}

/// Dies at each durable step once, with a shard DDL under way.
#[test]
fn at_every_step() {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 2, 0, |_| Options::default()) else { return };
    rig.note_positions();
    without_keys(&rig);
    let writers = rig.writers(60);
    for (n, point) in POINTS.iter().enumerate() {
        // Some way into the run, a different one each time.
        let arm = format!("{point}={}*off->return", 1 + (n * 7) % 5);
        let arm =
            if point.contains("ddl") || point.contains("shard") { format!("{point}=return") } else { arm };
        let mut tool = rig.start_with(&[("FAILPOINTS", &arm)]);
        add_column(&rig, &format!("p{n}"));
        let until = Instant::now() + LIMIT;
        while tool.is_running() {
            assert!(Instant::now() < until, "{point} was not reached: {}", tool.stderr_so_far());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    runtime().block_on(async {
        for writer in writers {
            writer.stop().await.unwrap();
        }
    });
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    rig.verify();
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    wait_until_blocking(LIMIT, "no group is open", || {
        rig.target.value("SELECT COUNT(*) FROM dm_meta.test_syncer_sharding_meta") == "0"
    });
}
