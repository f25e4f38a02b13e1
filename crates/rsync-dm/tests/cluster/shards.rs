//! Shards that are renamed or made in the middle of a statement, and a lock of three sources.

use super::{
    binlog::{after_errors, alter, begin_of},
    kills::insert,
    *,
};

/// RENAME of a shard: not in place of another statement, and passed over on request.
#[test]
fn a_renamed_shard_is_passed_over() {
    let Some(servers) = Servers::start() else { return };
    let dm = Dm::start(2);
    dm.run_task(&servers, &servers.task_yaml("t"));
    insert(&servers, 1, 20);
    servers.wait_equal("sid, id, pid, comment");
    let source = &servers.sources[0];
    source.sql("DROP TABLE my_db1.table2");
    source.sql("RENAME TABLE my_db1.table1 TO my_db1.table2");
    source.sql("INSERT INTO my_db1.table2 (sid, pid) VALUES (500, 5)");
    dm.wait_error("t", 0, 36068);
    let at = begin_of(source, "RENAME TABLE");
    let again = "RENAME TABLE my_db1.table1 TO my_db1.table2";
    let refused = dm.ctl(&["binlog", "replace", "t", "-s", "mysql-01", "-b", &at, again]).failure();
    refused.says("[code=36068").says("binlog skip");
    dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01", "-b", &at]).success();
    dm.wait_running("t");
    // It goes on under its new name, in its group.
    source.sql(
        "UPDATE my_db1.table2 SET comment='renamed' WHERE sid<10; DELETE FROM my_db1.table2 WHERE sid=11",
    );
    source.sql("ALTER TABLE my_db1.table2 ADD COLUMN extra INT NOT NULL DEFAULT 7");
    dm.wait_lock();
    alter(&servers, 1, "ADD COLUMN extra INT NOT NULL DEFAULT 7");
    dm.wait_no_lock();
    source.sql("INSERT INTO my_db1.table2 (sid, pid, extra) VALUES (501, 5, 8)");
    let rows = |server: &Server, table: &str, only: &str| -> Vec<String> {
        let sql = format!(
            "SELECT CONCAT_WS('|', sid, id, pid, IFNULL(comment, '-'), extra) FROM {table} WHERE {only} ORDER BY sid"
        );
        server.rows(sql).iter().map(|row| row.text(0).unwrap()).collect()
    };
    wait_until(SOON, "the rows of the renamed table", || {
        rows(source, "my_db1.table2", "1") == rows(&servers.target, "my_db.table5", "sid < 1000000")
    });
    dm.end(&after_errors().allow("DROP TABLE is passed over in a task with shards"));
}

/// A shard that is made while its group is at a statement, and joins by `binlog skip`, is a member after that statement, in another
/// worker too: the next statement waits for it.
#[test]
fn a_shard_made_in_the_middle_is_a_member_afterwards() {
    let Some(servers) = Servers::start() else { return };
    let mut dm = Dm::start(3);
    for source in &servers.sources {
        source.sql("DROP TABLE my_db1.table2");
    }
    dm.run_task(&servers, &servers.task_yaml("t"));
    let source = &servers.sources[0];
    let add = |server: &Server, table: &str, column: &str| {
        server.sql(format!("ALTER TABLE my_db1.{table} ADD COLUMN {column} INT NOT NULL DEFAULT 7"));
    };
    source.sql("INSERT INTO my_db1.table1 (sid, pid) VALUES (1, 1)");
    add(source, "table1", "a");
    dm.wait_lock();
    source.sql("CREATE TABLE my_db1.table2 LIKE my_db1.table1; INSERT INTO my_db1.table1 (sid, pid, a) VALUES (2, 2, 2)");
    dm.wait_error("t", 0, 36005);
    let at = begin_of(source, "CREATE TABLE my_db1.table2");
    dm.ctl(&["binlog", "skip", "t", "-s", "mysql-01", "-b", &at]).success();
    dm.wait_running("t");
    let holder = dm.worker_of("mysql-01");
    dm.kill_worker(&holder);
    wait_until(SOON, "the source has moved", || {
        let now = dm.worker_of("mysql-01");
        now != holder && !now.is_empty()
    });
    dm.wait_running("t");
    add(&servers.sources[1], "table1", "a");
    dm.wait_no_lock();
    source.sql("INSERT INTO my_db1.table2 (sid, pid, a) VALUES (3, 3, 3)");
    // The next one: source 2 waits for both tables of source 1.
    add(source, "table1", "b");
    add(&servers.sources[1], "table1", "b");
    source.sql("INSERT INTO my_db1.table2 (sid, pid, a) VALUES (4, 4, 4)");
    wait_until(SOON, "the row before its own statement", || {
        servers.target.value("SELECT COUNT(*) FROM my_db.table5 WHERE sid=4") == "1"
    });
    let synced = dm.wait_lock()["locks"][0]["synced"].to_string();
    assert_eq!(synced, "[\"mysql-02\"]");
    add(source, "table2", "b");
    dm.wait_no_lock();
    source.sql("INSERT INTO my_db1.table2 (sid, pid, a, b) VALUES (5, 5, 5, 5); UPDATE my_db1.table1 SET b=9 WHERE sid=1");
    wait_until(SOON, "all rows", || {
        servers.target.value("SELECT GROUP_CONCAT(sid, a, b ORDER BY sid) FROM my_db.table5")
            == "179,227,337,447,555"
    });
    dm.end(&after_errors());
}

/// Three sources, of which one never comes: the owner that is chosen runs the statement, the others pass over it, also the late one.
#[test]
fn a_lock_of_three_sources_is_given_to_another_owner() {
    let Some(servers) = Servers::start() else { return };
    let Some(third) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    third.sql(format!("CREATE DATABASE my_db1; CREATE TABLE my_db1.table1 {SHARD}"));
    let dm = Dm::start(3);
    let login = third.account(Account::Replicate);
    let file = dm.file(
        "source-3.yaml",
        &format!(
            "source-id: mysql-03\nenable-gtid: true\nfrom: {{host: 127.0.0.1, port: {}, user: {}, password: {}}}\n",
            third.port(), login.user, login.password
        ),
    );
    dm.ctl(&["operate-source", "create", &file]).success();
    let status = third.rows("SHOW MASTER STATUS");
    let status = status.first().unwrap();
    let task = format!(
        "{}- source-id: mysql-03\n  block-allow-list: b\n  route-rules: [r]\n  syncer-config-name: global\n  meta: {{binlog-name: '{}', binlog-pos: {}, binlog-gtid: '{}'}}\n",
        servers.task_yaml("t"),
        status.text("File").unwrap(),
        status.text("Position").unwrap(),
        status.text("Executed_Gtid_Set").unwrap().replace('\n', ""),
    );
    dm.run_task(&servers, &task);
    let change = "ADD COLUMN extra INT NOT NULL DEFAULT 7";
    alter(&servers, 0, change);
    dm.wait_lock();
    alter(&servers, 1, change);
    wait_until(SOON, "two sources are there", || {
        dm.wait_lock()["locks"][0]["synced"].as_array().is_some_and(|synced| synced.len() == 2)
    });
    let lock = dm.wait_lock();
    assert_eq!([&lock["locks"][0]["owner"], &lock["locks"][0]["unsynced"][0]], ["mysql-01", "mysql-03"]);
    let id = lock["locks"][0]["ID"].as_str().unwrap();
    dm.ctl(&["shard-ddl-lock", "unlock", id, "-o", "mysql-03"]).failure().says("[code=38022");
    third.sql("INSERT INTO my_db1.table1 (sid, pid) VALUES (9000000, 1)");
    dm.ctl(&["shard-ddl-lock", "unlock", id, "-o", "mysql-02"]).success();
    dm.wait_no_lock();
    third.sql(format!("ALTER TABLE my_db1.table1 {change}; INSERT INTO my_db1.table1 (sid, pid, extra) VALUES (9000001, 1, 8)"));
    servers.sources[0].sql("INSERT INTO my_db1.table1 (sid, pid, extra) VALUES (1, 1, 1)");
    servers.sources[1].sql("INSERT INTO my_db1.table2 (sid, pid, extra) VALUES (3000001, 1, 2)");
    wait_until(SOON, "the rows of all three", || {
        servers.target.value("SELECT GROUP_CONCAT(sid, ':', extra ORDER BY sid) FROM my_db.table5")
            == "1:1,3000001:2,9000000:7,9000001:8"
    });
    dm.wait_no_lock();
    let ran: usize = ["worker1", "worker2", "worker3"]
        .iter()
        .map(|name| std::fs::read_to_string(dm.log(name)).unwrap().matches("execute DDL").count())
        .sum();
    assert_eq!(ran, 1);
    dm.end(&after_errors());
}
