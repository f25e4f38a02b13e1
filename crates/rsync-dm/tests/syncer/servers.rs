//! Servers that fail in the middle: restarted, killed, full, purged. Rows are exact when the cause is gone.

use std::{fs, path::PathBuf};

use testkit::{Account, Kind, Options, Server, WorkDir, wait_until_blocking};

use super::{
    bad_input::{fails, goes_on, says, small},
    rig::{LIMIT, Rig, end_of, runtime, stop},
};

/// Source and target are killed and restarted while everybody writes.
fn servers_killed_under_load(kill: impl Fn(&mut Server)) {
    let Some(mut rig) = Rig::new(Kind::MySql8033, 2, 0, |_| Options::default().durable()) else { return };
    rig.note_positions();
    let writers = rig.writers(100);
    let mut tool = rig.start();
    let rows = "SELECT COUNT(*) FROM my_db.table5";
    wait_until_blocking(LIMIT, "rows", || rig.target.value(rows) != "0");
    kill(&mut rig.target);
    rig.target.start_again().unwrap();
    let before = writers[0].transactions();
    wait_until_blocking(LIMIT, "transactions", || writers[0].transactions() > before + 30);
    runtime().block_on(async {
        for writer in writers {
            // The source's end ends the writer.
            let _ = writer.stop().await;
        }
    });
    rig.wait_synced(&mut tool);
    // The sources too, with what they have just written unread.
    for n in 0..2 {
        rig.sources[n]
            .sql("INSERT INTO my_db1.table1 (sid,pid) SELECT 900000000 + MAX(sid), 1 FROM my_db2.table3");
        kill(&mut rig.sources[n]);
        rig.sources[n].start_again().unwrap();
        rig.sources[n].sql("UPDATE my_db1.table1 SET pid=7");
    }
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(rig.verify() > 50);
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
}

#[test]
fn servers_killed() {
    servers_killed_under_load(Server::kill9);
}

#[test]
fn servers_restarted() {
    servers_killed_under_load(Server::stop);
}

fn fill(server: &Server) -> Vec<PathBuf> {
    let mut pieces = Vec::new();
    let mut size = 64usize << 20;
    while size > 1 << 18 {
        let piece = server.data_dir().join(format!("filler-{}", pieces.len()));
        if fs::write(&piece, vec![0u8; size]).is_err() {
            let _ = fs::remove_file(&piece);
            size /= 2;
        } else {
            pieces.push(piece);
        }
    }
    pieces
}

#[test]
fn a_full_disk_of_the_target() {
    let Some(mut rig) = small(Options::default()) else { return };
    let target = Server::start_or_skip(Kind::MySql8033, Options::default().no_binlog().tmpfs(220));
    let Some(target) = target else { return };
    rig.target = target;
    for server in [&rig.sources[0], &rig.target] {
        server.sql("DROP DATABASE IF EXISTS d; CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(4000)) DEFAULT CHARSET=latin1");
    }
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    let pieces = fill(&rig.target);
    for n in 0..30 {
        rig.sources[0].sql(format!(
            "INSERT INTO d.t WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT {n}*1000+i+1, REPEAT('x',3000) FROM n"
        ));
    }
    let mut line = String::new();
    wait_until_blocking(LIMIT, "an error", || {
        let log = tool.stderr_so_far();
        line = log.lines().find(|l| l.contains("the subtask is paused")).unwrap_or_default().into();
        !line.is_empty()
    });
    says(&line, &["code=10006", "Make room at the target", "`d`.`t`"]);
    for piece in pieces {
        fs::remove_file(piece).unwrap();
    }
    // It goes on by itself.
    rig.wait_synced(&mut tool);
    stop(tool);
    goes_on(&rig);
}

/// The process' own log on a full disk: the log stops, replication does not.
#[test]
fn a_full_disk_of_the_log() {
    let Some(mut rig) = small(Options::default()) else { return };
    let disk = WorkDir::tmpfs("log", 1).unwrap();
    rig.note_positions();
    let mut tool = rig.start_args(&["--log-file", disk.join("dm.log").to_str().unwrap(), "-L", "debug"]);
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    let _ = fs::write(disk.join("filler"), vec![0u8; 2 << 20]);
    for n in 2..200 {
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({n},'a')"));
    }
    rig.wait_synced(&mut tool);
    stop(tool);
    goes_on(&rig);
}

/// The binlog goes while the process is away from the source: one clear error, and no row is left out in silence.
#[test]
fn a_binlog_purged_while_running() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    // The target takes nothing, so the reader lags behind; then the source restarts without the files.
    let other = runtime().block_on(async {
        let mut other = rig.target.conn(Account::Admin).await;
        other.exec("BEGIN").await.unwrap();
        other.exec("SELECT * FROM d.t FOR UPDATE").await.unwrap();
        other
    });
    rig.sources[0].sql("INSERT INTO d.t VALUES (0,'b'); UPDATE d.t SET v='c' WHERE id=1");
    let restarts = tool.stderr_so_far().matches("opening it again").count();
    rig.sources[0].kill9();
    wait_until_blocking(LIMIT, "it notices", || {
        tool.stderr_so_far().matches("opening it again").count() > restarts
    });
    rig.sources[0].start_again().unwrap();
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'d'); FLUSH BINARY LOGS");
    let (file, _) = end_of(&rig.sources[0]);
    rig.sources[0].sql(format!("PURGE BINARY LOGS TO '{file}'"));
    let there = "SELECT COUNT(*) FROM d.t";
    runtime().block_on(other.close());
    // Either it had read on before the purge, then it goes on; or it says so and ends.
    rig.sources[0].sql("INSERT INTO d.t VALUES (3,'e')");
    wait_until_blocking(LIMIT, "an end or the row", || !tool.is_running() || rig.target.value(there) == "4");
    if tool.is_running() {
        rig.wait_synced(&mut tool);
        stop(tool);
        goes_on(&rig);
    } else {
        let text = tool.stderr_so_far();
        says(&text, &["code=36069", "purged"]);
        assert_ne!(rig.target.value("SELECT COUNT(*) FROM d.t WHERE id=3"), "1");
        says(&fails(&rig), &["code=36069", "purged"]);
    }
}

/// Another replica comes with our server id, and the source ends our stream: we go on with another id.
#[test]
fn another_replica_with_the_same_server_id() {
    use mysql::{
        Flavor,
        wire::{BinlogRequest, BinlogStream, Start},
    };
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let (file, pos) = end_of(&rig.sources[0]);
    let mut tool = rig.start();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    let replicas = rig.sources[0].rows("SHOW REPLICAS");
    let id: u32 = replicas.first().unwrap().parse("Server_Id").unwrap().unwrap();
    let request = BinlogRequest::new(id, Flavor::MySql, Start::Position { file, pos });
    let endpoint = rig.sources[0].endpoint(Account::Replicate);
    let other = runtime().block_on(BinlogStream::open(&endpoint, &request)).unwrap();
    wait_until_blocking(LIMIT, "another id", || tool.stderr_so_far().contains("another server-id is used"));
    rig.sources[0].sql("INSERT INTO d.t VALUES (2,'b')");
    rig.wait_synced(&mut tool);
    drop(other);
    let log = stop(tool);
    assert!(!log.contains("the subtask is paused"), "{log}");
    goes_on(&rig);
}
