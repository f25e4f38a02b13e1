//! Foreign keys whose actions InnoDB does not write to the binlog.

use std::time::Duration;

use testkit::{Kind, Options, Server, WorkDir};

use super::{
    bad_input::says,
    rig::{LIMIT, Rig, dump, stop},
};

fn rig(source: Kind, target: Kind) -> Option<Rig> {
    let rig = Rig {
        sources: vec![Server::start_or_skip(source, Options::default())?],
        target: Server::start_or_skip(target, Options::default())?,
        dir: WorkDir::new("cascades").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    rig.target.sql("GRANT REFERENCES ON *.* TO target");
    Some(rig)
}

const TABLES: &str = "CREATE DATABASE d;
CREATE TABLE d.par (id int PRIMARY KEY, code varchar(9) NOT NULL UNIQUE, v int);
CREATE TABLE d.chi (id int PRIMARY KEY, pid int, UNIQUE KEY (pid, id),
  FOREIGN KEY (pid) REFERENCES d.par (id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE d.grand (id int PRIMARY KEY, pid int, cid int,
  FOREIGN KEY (pid, cid) REFERENCES d.chi (pid, id) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE d.nulls (id int PRIMARY KEY, pid int, FOREIGN KEY (pid) REFERENCES d.par (id) ON DELETE SET NULL ON UPDATE SET NULL);
CREATE TABLE d.bycode (id int PRIMARY KEY, code varchar(9), FOREIGN KEY (code) REFERENCES d.par (code) ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE d.tree (id int PRIMARY KEY, up int, FOREIGN KEY (up) REFERENCES d.tree (id) ON DELETE CASCADE)";

/// Every kind of change: in a block of numbers of its own.
fn change(source: &Server, block: u32) {
    let b = block * 100;
    source.sql(format!(
        "INSERT INTO d.par VALUES ({b}+1,'a{b}',0),({b}+2,'b{b}',0),({b}+3,'c{b}',0),({b}+4,'d{b}',0);
         INSERT INTO d.chi VALUES ({b}+1,{b}+1),({b}+2,{b}+2),({b}+3,{b}+2),({b}+4,{b}+3),({b}+5,{b}+4);
         INSERT INTO d.grand VALUES ({b}+1,{b}+1,{b}+1),({b}+2,{b}+2,{b}+2),({b}+3,{b}+2,{b}+3),({b}+4,{b}+3,{b}+4);
         INSERT INTO d.nulls VALUES ({b}+1,{b}+1),({b}+2,{b}+2),({b}+3,{b}+3);
         INSERT INTO d.bycode VALUES ({b}+1,'a{b}'),({b}+2,'b{b}'),({b}+3,'c{b}'),({b}+4,'d{b}');
         INSERT INTO d.tree VALUES ({b}+1,NULL),({b}+2,{b}+1),({b}+3,{b}+2),({b}+4,NULL);
         UPDATE d.par SET v=1 WHERE id>{b};
         DELETE FROM d.par WHERE id={b}+2;
         UPDATE d.par SET id={b}+50, code='x{b}' WHERE id={b}+1;
         UPDATE d.chi SET id={b}+60 WHERE id={b}+1;
         UPDATE d.grand SET id={b}+61 WHERE pid={b}+50;
         BEGIN; DELETE FROM d.tree WHERE id={b}+1; INSERT INTO d.par VALUES ({b}+2,'b{b}',2); INSERT INTO d.chi VALUES ({b}+2,{b}+2); COMMIT;
         SET SESSION foreign_key_checks=0;
         DELETE FROM d.par WHERE id={b}+3; UPDATE d.par SET id={b}+70 WHERE id={b}+4;
         SET SESSION foreign_key_checks=1"
    ));
}

fn same(rig: &Rig) {
    for table in ["d.par", "d.chi", "d.grand", "d.nulls", "d.bycode", "d.tree"] {
        assert!(rig.verify_table(table, &[table]) > 0, "{table}");
    }
}

fn arrive(source: Kind, target: Kind) {
    let Some(mut rig) = rig(source, target) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql(TABLES);
    (0..3).for_each(|n| change(&rig.sources[0], n));
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(
        log.contains("a foreign key with ON DELETE CASCADE ON UPDATE CASCADE comes to the table"),
        "{log}"
    );
    same(&rig);
    // The plans are made from the checkpoint now.
    for n in 3..15 {
        let mut tool = match n % 3 {
            0 => rig.start_with(&[("FAILPOINTS", "syncer-after-apply=3*off->return")]),
            _ => rig.start(),
        };
        change(&rig.sources[0], n);
        std::thread::sleep(Duration::from_millis(u64::from(n) * 67 % 500));
        tool.kill();
    }
    let mut tool = rig.start();
    change(&rig.sources[0], 50);
    rig.wait_synced(&mut tool);
    stop(tool);
    same(&rig);
    // Nothing was cascaded where the source's session did not.
    assert!(dump(&rig.target, "d.chi").iter().any(|row| row == "4|3"));
}

#[test]
fn of_mysql() {
    arrive(Kind::MySql8033, Kind::MySql8033);
}

#[test]
fn of_mariadb() {
    arrive(Kind::MariaDb1011, Kind::MySql8033);
}

#[test]
fn a_target_without_the_key() {
    without_the_key(Kind::MySql8033);
}

/// Its REFERENTIAL_CONSTRAINTS are empty for an account that may only read.
#[test]
fn a_target_without_the_key_of_mariadb() {
    without_the_key(Kind::MariaDb1011);
}

fn without_the_key(source: Kind) {
    let Some(mut rig) = rig(source, Kind::MySql8033) else { return };
    rig.sources[0].sql(TABLES);
    rig.target.sql(TABLES);
    rig.target.sql("ALTER TABLE d.grand DROP FOREIGN KEY grand_ibfk_1; ALTER TABLE d.nulls DROP FOREIGN KEY nulls_ibfk_1");
    rig.note_positions();
    let tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.par VALUES (1,'a',1); INSERT INTO d.chi VALUES (1,1); INSERT INTO d.grand VALUES (1,1,1); DELETE FROM d.par WHERE id=1");
    let finished = tool.finish(LIMIT);
    let log = format!("{}{}", finished.stdout, finished.stderr);
    says(&log, &["the target lacks the key: a change of the parent will stop"]);
    assert!(log.contains("ALTER TABLE `d`.`grand` ADD FOREIGN KEY (`pid`,`cid`) REFERENCES `d`.`chi` (`pid`,`id`) ON DELETE CASCADE ON UPDATE CASCADE; ALTER TABLE `d`.`nulls` ADD"), "{log}");
    rig.target.sql("ALTER TABLE d.nulls ADD FOREIGN KEY (pid) REFERENCES d.par (id) ON DELETE SET NULL ON UPDATE SET NULL");
    rig.target.sql("ALTER TABLE d.grand ADD FOREIGN KEY (`pid`,`cid`) REFERENCES `d`.`chi` (`pid`,`id`) ON DELETE CASCADE ON UPDATE CASCADE");
    let mut tool = rig.start();
    change(&rig.sources[0], 1);
    rig.wait_synced(&mut tool);
    stop(tool);
    same(&rig);
}

/// The child's row is not touched after its parent was renamed, so only what the checkpoint says of it tells.
#[test]
fn a_renamed_parent_over_a_restart() {
    let Some(mut rig) = rig(Kind::MySql8033, Kind::MySql8033) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql(
        "CREATE DATABASE d; CREATE TABLE d.par (id int PRIMARY KEY, v int);
         CREATE TABLE d.chi (id int PRIMARY KEY, pid int, FOREIGN KEY (pid) REFERENCES d.par (id) ON DELETE CASCADE);
         INSERT INTO d.par VALUES (1,1),(2,2); INSERT INTO d.chi VALUES (1,1),(2,2)",
    );
    rig.wait_synced(&mut tool);
    rig.sources[0].sql("ALTER TABLE d.par RENAME COLUMN id TO n; RENAME TABLE d.par TO d.renamed");
    rig.wait_synced(&mut tool);
    stop(tool);
    rig.sources[0].sql("DELETE FROM d.renamed WHERE n=1");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    assert_eq!(dump(&rig.target, "d.chi"), dump(&rig.sources[0], "d.chi"));
    assert_eq!(dump(&rig.target, "d.chi").len(), 1);
}

/// In safe mode as well a row of a parent without a key is there once.
#[test]
fn a_parent_without_a_key_in_safe_mode() {
    let Some(mut rig) = rig(Kind::MySql8033, Kind::MySql8033) else { return };
    rig.task.push_str("syncers:\n  sync: {safe-mode: true}\n");
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql(
        "CREATE DATABASE d; CREATE TABLE d.par (code int, v int, KEY (code));
         CREATE TABLE d.chi (id int PRIMARY KEY, code int, FOREIGN KEY (code) REFERENCES d.par (code) ON UPDATE CASCADE);
         INSERT INTO d.par VALUES (1,1),(2,2); INSERT INTO d.chi VALUES (1,1),(2,2); UPDATE d.par SET code=5 WHERE code=1",
    );
    rig.wait_synced(&mut tool);
    stop(tool);
    for table in ["d.par", "d.chi"] {
        assert_eq!(dump(&rig.target, table), dump(&rig.sources[0], table), "{table}");
    }
}

/// Shards under one target, with numbers that repeat: the target's key would change children of the other shard's row.
#[test]
fn merged_parents_that_repeat() {
    let Some(mut rig) = rig(Kind::MySql8033, Kind::MySql8033) else { return };
    rig.task.push_str("shard-mode: pessimistic\n");
    let parent = "CREATE DATABASE d; CREATE TABLE d.par (id int NOT NULL, v int, KEY (id))";
    let child = "CREATE TABLE d.chi (id int PRIMARY KEY, pid int, FOREIGN KEY (pid) REFERENCES d.par (id) ON DELETE CASCADE)";
    rig.sources[0].sql(format!("{}; {child}", parent.replace("KEY (id)", "PRIMARY KEY (id)")));
    rig.target.sql(format!("{parent}; {child}"));
    rig.note_positions();
    rig.target.sql("INSERT INTO d.par VALUES (1,2); INSERT INTO d.chi VALUES (20,1)");
    rig.sources[0]
        .sql("INSERT INTO d.par VALUES (1,1); INSERT INTO d.chi VALUES (10,1); DELETE FROM d.par WHERE id=1");
    let ended = rig.start().finish(LIMIT).failure();
    ended.says("code=36068").says("several rows may have the values that it refers to");
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.chi WHERE id=20"), "1", "the other shard's child");
}
