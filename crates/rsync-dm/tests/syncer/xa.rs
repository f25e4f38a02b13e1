//! XA transactions: rows of one that is committed arrive once, of one that is rolled back never, whatever is killed between.

use testkit::{Kind, Options, Server, WorkDir, wait_until_blocking};

use super::{
    bad_input::says,
    merge::write_points,
    rig::{LIMIT, Rig, position, runtime, stop},
};

fn rig(kind: Kind) -> Option<Rig> {
    rig_of(kind, Options::default())
}

pub(super) fn rig_of(kind: Kind, options: Options) -> Option<Rig> {
    let source = Server::start_or_skip(kind, options)?;
    let target = Server::start_or_skip(Kind::MySql8033, Options::default())?;
    let rig = Rig {
        sources: vec![source],
        target,
        dir: WorkDir::new("xa").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    for server in [&rig.sources[0], &rig.target] {
        // Without a key a row that is applied twice is there twice.
        server.sql("CREATE DATABASE d; CREATE DATABASE x; CREATE TABLE d.n (v int, w varchar(20)); CREATE TABLE d.k (id int PRIMARY KEY, v int); CREATE TABLE x.t (v int)");
    }
    Some(rig)
}

/// The statements in an XA transaction that is left prepared. Its session is gone when this returns: MySQL 5.7
/// answers XAER_NOTA to whoever ends a transaction that a session still holds.
fn prepare(server: &Server, name: &str, statements: &str) {
    server.sql(format!("XA START '{name}'; {statements}; XA END '{name}'; XA PREPARE '{name}'"));
    wait_until_blocking(LIMIT, "the end of its session", || {
        let others = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID <> CONNECTION_ID() \
                      AND USER = SUBSTRING_INDEX(USER(), '@', 1)";
        server.value(others) == "0"
    });
}

pub(super) fn rows(server: &Server) -> String {
    let of = |sql: &str| server.value(format!("SELECT IFNULL(GROUP_CONCAT({sql}"));
    format!("{} {}", of("v, ':', w ORDER BY v, w),'') FROM d.n"), of("id, ':', v ORDER BY id),'') FROM d.k"))
}

/// Waits until the task looks for the end of a transaction: it has a second stream open then.
fn wait_look(rig: &Rig) {
    wait_until_blocking(LIMIT, "a second stream", || {
        let streams = rig.sources[0].value(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%' AND USER='replicate'",
        );
        streams.parse::<u32>().unwrap() >= 2
    });
}

fn committed_and_rolled_back(kind: Kind, gtid: bool) {
    let Some(mut rig) = rig(kind) else { return };
    rig.gtid = gtid;
    rig.note_positions();
    let source = &rig.sources[0];
    source.sql("INSERT INTO d.n VALUES (1,'before'); INSERT INTO d.k VALUES (1,1),(2,2)");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    prepare(source, "none", "INSERT INTO x.t VALUES (1)");
    prepare(source, "one", "INSERT INTO d.n VALUES (10,'one'),(10,'one'); UPDATE d.k SET v=7 WHERE id=1");
    prepare(source, "two", "INSERT INTO d.n VALUES (11,'two'); DELETE FROM d.k WHERE id=2");
    source.sql("INSERT INTO d.n VALUES (2,'while')");
    wait_look(&rig);
    tool.kill();
    // The next one is killed right after it has taken the rows.
    let mut tool = rig.start_with(&[("FAILPOINTS", "syncer-after-apply=return")]);
    wait_look(&rig);
    assert_eq!(rows(&rig.target), "1:before 1:1,2:2", "nothing of what is only prepared");
    source.sql("XA COMMIT 'one'");
    wait_until_blocking(LIMIT, "its end", || !tool.is_running());
    let mut tool = rig.start();
    tool.wait_until(LIMIT, "it reads", |t| t.stderr_so_far().contains("replicate binlog from checkpoint"));
    wait_look(&rig);
    // Ended in good order while it waits.
    stop(tool);
    source.sql("XA ROLLBACK 'two'");
    source.sql("XA COMMIT 'none'; INSERT INTO d.n VALUES (3,'after'); XA START 'p'; INSERT INTO d.n VALUES (12,'phase'); XA END 'p'; XA COMMIT 'p' ONE PHASE");
    // The same name again.
    prepare(source, "two", "INSERT INTO d.k VALUES (5,5)");
    source.sql("XA COMMIT 'two'");
    tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert_eq!(rows(&rig.target), rows(source), "{log}");
    assert_eq!(rows(source), "1:before,2:while,3:after,10:one,10:one,12:phase 1:7,2:2,5:5");
    assert!(!log.contains("[ERROR]") && !log.contains("ER_KEY_NOT_FOUND"), "{log}");
}

#[test]
fn mysql_57() {
    committed_and_rolled_back(Kind::MySql57, true);
}

#[test]
fn mysql_80() {
    committed_and_rolled_back(Kind::MySql8033, false);
}

#[test]
fn mysql_97() {
    committed_and_rolled_back(Kind::MySql97, true);
}

#[test]
fn mariadb() {
    committed_and_rolled_back(Kind::MariaDb1011, true);
}

/// What an operator answers to the refusal of a statement.
pub(super) fn skip_of(stderr: &str, parts: &[&str]) -> String {
    let last = stderr.lines().rfind(|line| !line.is_empty()).unwrap();
    says(last, &["code=36068", "--skip-ddl", "startLocation: [position: ("]);
    says(last, parts);
    let place = last.split("startLocation: [position: (").nth(1).unwrap().split(')').next().unwrap();
    format!("--skip-ddl=s0={}", place.replace(", ", ":"))
}

/// One that has changed no replicated table is no matter of the task, whatever it has not read.
#[test]
fn others_prepared_before_the_start() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut rig) = rig(kind) else { return };
        let source = &rig.sources[0];
        prepare(source, "other", "INSERT INTO x.t VALUES (1)");
        // In an older file, and after one of the name that is over.
        source.sql("FLUSH BINARY LOGS");
        rig.meta = vec![position(source)];
        source.sql("XA COMMIT 'other'; INSERT INTO d.n VALUES (2,'new')");
        let mut tool = rig.start();
        rig.wait_synced(&mut tool);
        let log = stop(tool);
        says(&log, &["rows of an XA transaction from before the task's start are of no replicated table"]);
        assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
    }
}

/// Of two dumps the second was made while the transaction was prepared: its rows are in neither.
#[test]
fn prepared_before_a_tables_dump() {
    for (kind, gtid) in [(Kind::MySql8033, false), (Kind::MySql8033, true), (Kind::MariaDb1011, true)] {
        let Some(mut rig) = rig(kind) else { return };
        rig.gtid = gtid;
        let source = &rig.sources[0];
        let here = || {
            runtime().block_on(async {
                let mut conn = source.conn(testkit::Account::Admin).await;
                mysql::session::binlog_location(&mut conn).await.unwrap().unwrap()
            })
        };
        let first = here();
        prepare(source, "both", "INSERT INTO d.n VALUES (1,'both'); INSERT INTO d.k VALUES (1,1)");
        prepare(source, "early", "INSERT INTO d.n VALUES (2,'early'); INSERT INTO d.k VALUES (2,2)");
        source.sql("XA COMMIT 'early'");
        rig.target.sql("INSERT INTO d.k VALUES (2,2)");
        write_points(&rig, &[("d", "n", first), ("d", "k", here())]);
        source.sql("INSERT INTO d.k VALUES (3,3); XA COMMIT 'both'; INSERT INTO d.n VALUES (3,'after')");
        let ended = rig.start().finish(LIMIT).expect_code(1);
        let skip = skip_of(&ended.stderr, &["prepared before the dump of `d`.`k` was made"]);
        rig.target.sql("INSERT INTO d.k VALUES (1,1)");
        let mut tool = rig.start_args(&[&skip]);
        rig.wait_synced(&mut tool);
        stop(tool);
        assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
        assert_eq!(rows(&rig.target), "1:both,2:early,3:after 1:1,2:2,3:3");
    }
}

/// A task that begins between PREPARE and COMMIT cannot have the rows: it says so, and goes on when told to.
#[test]
fn prepared_before_the_start() {
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(mut rig) = rig(kind) else { return };
        let source = &rig.sources[0];
        prepare(source, "old", "INSERT INTO d.n VALUES (1,'old')");
        rig.meta = vec![position(source)];
        source.sql("XA COMMIT 'old'");
        source.sql("INSERT INTO d.n VALUES (2,'new')");
        let ended = rig.start().finish(LIMIT).expect_code(1);
        let skip =
            skip_of(&ended.stderr, &["XA transaction x'6f6c64',x'',1", "rows of `d`.`n` among others"]);
        rig.target.sql("INSERT INTO d.n VALUES (1,'old')");
        let mut tool = rig.start_args(&[&skip]);
        rig.wait_synced(&mut tool);
        stop(tool);
        assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
    }
}

/// What came before the prepared one arrives, however much is already read of what follows.
#[test]
fn rows_before_it_do_not_wait() {
    let Some(mut rig) = rig(Kind::MySql8033) else { return };
    rig.note_positions();
    let source = &rig.sources[0];
    source.sql("CREATE TABLE x.large (v longtext); INSERT INTO d.n VALUES (1,'before')");
    prepare(source, "one", "INSERT INTO d.n VALUES (10,'one')");
    (0..8).for_each(|_| source.sql("INSERT INTO x.large VALUES (REPEAT('a',300000))"));
    let mut tool = rig.start();
    wait_look(&rig);
    wait_until_blocking(LIMIT, "the row before", || rows(&rig.target) == "1:before ");
    source.sql("XA COMMIT 'one'");
    rig.wait_synced(&mut tool);
    stop(tool);
    assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
}
