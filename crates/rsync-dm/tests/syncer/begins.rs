//! Where a run begins: places that are not the source's are refused, leave nothing behind, and are named.

use testkit::{Kind, Options, Server, Tool, WorkDir, wait_until_blocking};

use super::{
    bad_input::{goes_on, says, small},
    rig::{LIMIT, Rig, end_of, position, stop},
};

/// It ends with this error on its last line.
fn ends(rig: &Rig, words: &[&str]) {
    let done = rig.start().finish(LIMIT).expect_code(1);
    let last = done.stderr.lines().rfind(|line| !line.is_empty()).unwrap_or_default();
    says(last, words);
}

fn has_checkpoint(rig: &Rig) -> bool {
    let there = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='dm_meta' AND TABLE_NAME='test_syncer_checkpoint'";
    rig.target.value(there) == "1"
        && rig.target.value("SELECT COUNT(*) FROM dm_meta.test_syncer_checkpoint") != "0"
}

fn meta(file: &str, pos: u64, gtid: &str) -> Vec<String> {
    vec![format!("{{binlog-name: {file}, binlog-pos: {pos}, binlog-gtid: \"{gtid}\"}}")]
}

#[test]
fn places_that_the_source_does_not_have() {
    let Some(mut rig) = small(Options::default()) else { return };
    let Some(other) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    let (file, start) = end_of(&rig.sources[0]);
    rig.note_positions();
    let right = rig.meta.clone();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    let foreign = other.value("SELECT @@gtid_executed");
    let foreign = if foreign.is_empty() {
        format!("{}:1-5", other.value("SELECT @@server_uuid"))
    } else {
        foreign.replace('\n', "")
    };
    let ahead = format!("{}:1-999999", rig.sources[0].value("SELECT @@server_uuid"));
    // What the check finds, and what the source says to who leaves it out.
    let cases = [
        (false, meta(&file, 900_000_000, ""), "is beyond the end", Some("position > file size")),
        (false, meta(&file, start + 7, ""), "no event begins at position", Some("36069")),
        (
            false,
            meta("foo.000003", 4, ""),
            "foo.000003 is not there, and never was",
            Some("SHOW BINARY LOGS"),
        ),
        (false, meta(&file, start, &foreign), "transactions that the source never had", None),
        (true, meta(&file, start, &foreign), "transactions that the source never had", None),
        (true, meta(&file, start, &ahead), "transactions that the source never had", Some("more GTIDs than")),
        (true, meta(&file, start, "xyz"), "binlog-gtid `xyz`", None),
    ];
    let task = rig.task.clone();
    for (gtid, meta, found, said) in cases {
        rig.gtid = gtid;
        rig.meta = meta;
        ends(&rig, &[found, "source s0", "Workaround"]);
        assert!(!has_checkpoint(&rig), "{found}");
        let Some(said) = said else { continue };
        rig.task = format!("{task}ignore-checking-items: [meta_position]\n");
        ends(&rig, &["code=36069", said, "asked for what follows", "from `meta` of the task"]);
        assert!(!has_checkpoint(&rig), "{found}");
        rig.task.clone_from(&task);
    }
    // The corrected `meta` counts.
    rig.gtid = false;
    rig.meta = right;
    goes_on(&rig);
    assert!(has_checkpoint(&rig));
    // A checkpoint that the source no longer has is said to be one.
    rig.target.sql("UPDATE dm_meta.test_syncer_checkpoint SET binlog_name='foo.000003'");
    ends(&rig, &["code=36069", "(foo.000003, ", "from the checkpoint in the target", "--remove-meta"]);
}

/// A source that has nothing to send confirms `meta` too.
#[test]
fn an_idle_source_gets_its_checkpoint() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
}

/// What only a person can put right about a login ends the run; on both sides.
#[test]
fn logins_that_cannot_go_well() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    let place = format!("127.0.0.1:{}", rig.sources[0].port());
    rig.sources[0].sql("SET GLOBAL require_secure_transport=ON");
    ends(&rig, &["source s0", &place, "Error 3159", "`security`"]);
    rig.sources[0].sql("SET GLOBAL require_secure_transport=OFF");
    let with_ca = |rig: &Rig, ca: &str| {
        rig.write_files();
        let file = rig.dir.join("source0.yaml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.replace("from: {", &format!("from: {{security: {{ssl-ca: {ca}}}, "));
        std::fs::write(&file, text).unwrap();
        let tool = Tool::new("rsync-dm").arg("run").arg("--task").arg(rig.dir.join("task.yaml"));
        tool.arg("--source").arg(file).start().finish(LIMIT).expect_code(1).stderr
    };
    says(&with_ca(&rig, "/nope/ca.pem"), &["/nope/ca.pem", &place, "`ssl-ca`"]);
    rig.target.sql("SET GLOBAL require_secure_transport=ON");
    let target = format!("127.0.0.1:{}", rig.target.port());
    ends(&rig, &["target", &target, "Error 3159", "`security`"]);
}

/// As a source: waited for at the start.
#[test]
fn a_target_that_is_out_of_reach_at_the_start() {
    let Some(mut rig) = small(Options::default()) else { return };
    rig.note_positions();
    rig.target.stop();
    let mut tool = rig.start();
    wait_until_blocking(LIMIT, "it tries again", || {
        tool.stderr_so_far().matches("a server is out of reach").count() > 1
    });
    let text = tool.stderr_so_far();
    says(&text, &[&format!("cannot connect to the target at 127.0.0.1:{}", rig.target.port())]);
    rig.target.start_again().unwrap();
    rig.sources[0].sql("INSERT INTO d.t VALUES (1,'a')");
    rig.wait_synced(&mut tool);
    stop(tool);
    goes_on(&rig);
}

fn dumpling_folder(dir: &WorkDir, name: &str, server: &Server) -> String {
    let path = dir.join(name);
    std::fs::create_dir_all(&path).unwrap();
    let text = position(server);
    let (_, gtid) = text.split_once("binlog-gtid: \"").unwrap();
    let gtid = gtid.trim_end_matches("\"}");
    let (file, pos) = end_of(server);
    let metadata = format!(
        "Started dump at: x\nSHOW MASTER STATUS:\n\tLog: {file}\n\tPos: {pos}\n\tGTID:{gtid}\n\nFinished dump at: y\n"
    );
    std::fs::write(path.join("metadata"), metadata).unwrap();
    std::fs::write(path.join("d.t-schema.sql"), "CREATE TABLE `t` (`id` int PRIMARY KEY, `v` varchar(20));")
        .unwrap();
    format!("s0={}", path.display())
}

fn with_manifest(dump: &str, flavor: &str, uuid: &str) {
    let (_, path) = dump.split_once('=').unwrap();
    let manifest = format!(
        "{}\n{}\n",
        format_args!(
            r#"{{"type":"dump","format":1,"tool":"rdump","started":"","server":{{"flavor":"{flavor}","version":"","uuid":"{uuid}","host":"h","port":1}},"session":{{"time_zone":"","utc_offset":"","offset_is_fixed":true,"sql_mode":""}},"consistency":"flush","start":null}}"#
        ),
        r#"{"type":"end","finished":"","files":1,"rows":1,"bytes":1}"#
    );
    std::fs::write(std::path::Path::new(path).join("rdump-manifest.jsonl"), manifest).unwrap();
}

fn meta_from(rig: &Rig, dump: &str, more: &[&str]) -> testkit::tool::Finished {
    let task = rig.write_files();
    let source = rig.dir.join("source0.yaml");
    let (task, source) = (task.to_str().unwrap().to_owned(), source.to_str().unwrap().to_owned());
    let args = ["ctl", "meta-from", dump, "--task", &task, "--source", &source, "--write-checkpoint"];
    Tool::new("rsync-dm").args(args).args(more).run()
}

#[test]
fn a_dump_of_another_server_is_refused() {
    let Some(rig) = small(Options::default()) else { return };
    let Some(other) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    other.sql("CREATE DATABASE d; CREATE TABLE d.t (id int PRIMARY KEY, v varchar(20))");
    let foreign = dumpling_folder(&rig.dir, "foreign", &other);
    says(
        &meta_from(&rig, &foreign, &[]).failure().stderr,
        &["code=11123", "is not of source s0", "never had", "SOURCE-ID=DIR"],
    );
    // A position and the server's UUID alone.
    let own = dumpling_folder(&rig.dir, "own", &rig.sources[0]);
    with_manifest(&own, "MySQL", &other.value("SELECT @@server_uuid"));
    says(&meta_from(&rig, &own, &[]).failure().stderr, &["is not of source s0", "with server_uuid"]);
    with_manifest(&own, "MariaDB", "");
    says(&meta_from(&rig, &own, &[]).failure().stderr, &["is not of source s0", "another kind"]);
    assert!(!has_checkpoint(&rig));
    with_manifest(&own, "MySQL", &rig.sources[0].value("SELECT @@server_uuid"));
    meta_from(&rig, &own, &[]).success();
    assert!(has_checkpoint(&rig));
}

/// Who writes a checkpoint takes the source from the process that replicates it: no mixture.
#[test]
fn a_checkpoint_beside_a_running_task() {
    let Some(mut rig) = small(Options::default()) else { return };
    let dump = dumpling_folder(&rig.dir, "own", &rig.sources[0]);
    rig.note_positions();
    let start = end_of(&rig.sources[0]);
    for busy in [true, false] {
        let mut tool = rig.start();
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES ({},'a')", 1 + u8::from(busy)));
        rig.wait_synced(&mut tool);
        meta_from(&rig, &dump, &["--overwrite"]).success();
        if busy {
            rig.sources[0].sql("INSERT INTO d.t VALUES (9,'b')");
        }
        // An idle one finds it too.
        let done = tool.finish(LIMIT).expect_code(1);
        says(&done.stderr, &["code=36900", "another process has taken over", "`resume-task`"]);
        let places = "SELECT DISTINCT CONCAT(binlog_name,' ',binlog_pos) FROM dm_meta.test_syncer_checkpoint";
        let rows = rig.target.rows(places);
        let texts: Vec<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
        assert_eq!(texts, [format!("{} {}", start.0, start.1)]);
        rig.target.sql("DELETE FROM d.t");
    }
    goes_on(&rig);
}

/// As rdump --resume-chunks writes it: rows of `d.t` below 50 are of the first place, others of the second; `d.k` is of the first.
fn mixed_folder(rig: &Rig, first: &(String, u64, String), second: &(String, u64, String)) -> String {
    let path = rig.dir.join("mixed");
    std::fs::create_dir_all(&path).unwrap();
    let block =
        |(file, pos, gtid): &(String, u64, String)| format!("\tLog: {file}\n\tPos: {pos}\n\tGTID:{gtid}\n");
    let metadata = format!(
        "Started dump at: x\nSHOW MASTER STATUS:\n{}\nSHOW MASTER STATUS: /* AFTER CONNECTION POOL ESTABLISHED */\n{}\nFinished dump at: y\n",
        block(first),
        block(second)
    );
    std::fs::write(path.join("metadata"), metadata).unwrap();
    for table in ["t", "k"] {
        let create = rig.sources[0].rows(format!("SHOW CREATE TABLE d.{table}"));
        let create = create.first().unwrap().text(1).unwrap();
        std::fs::write(path.join(format!("d.{table}-schema.sql")), format!("{create};")).unwrap();
    }
    let dump = format!("s0={}", path.display());
    with_manifest(&dump, "MySQL", &rig.sources[0].value("SELECT @@server_uuid"));
    let manifest = path.join("rdump-manifest.jsonl");
    let text = std::fs::read_to_string(&manifest).unwrap().replace(r#""format":1"#, r#""format":2"#);
    let start = |(file, pos, gtid): &(String, u64, String)| {
        format!(r#"{{"file":"{file}","pos":"{pos}","gtid":"{gtid}"}}"#)
    };
    let line = |table: &str, more: &str| {
        format!(
            r#"{{"type":"table","schema":"d","table":"{table}","kind":"table","start":{}{more}}}"#,
            start(first)
        )
    };
    let (head, end) = text.split_once('\n').unwrap();
    let mixed = line("t", &format!(r#","safe_until":{}"#, start(second)));
    std::fs::write(&manifest, format!("{head}\n{mixed}\n{}\n{end}", line("k", ""))).unwrap();
    dump
}

#[test]
fn a_table_of_two_moments_is_exact_after_safe_mode() {
    let options = [(false, Options::default()), (true, Options::default())];
    for (gtid, options) in options {
        let Some(mut rig) = small(options) else { return };
        rig.gtid = gtid;
        for server in [&rig.sources[0], &rig.target] {
            server.sql("CREATE TABLE d.k (a int, b int)");
        }
        let here = |rig: &Rig| {
            let (file, pos) = end_of(&rig.sources[0]);
            (file, pos, rig.sources[0].value("SELECT @@gtid_executed").replace('\n', ""))
        };
        let row = |id: u32| format!("({id},'v{id}')");
        let rows: Vec<String> = (1..100).map(row).collect();
        rig.sources[0].sql(format!("INSERT INTO d.t VALUES {}", rows.join(",")));
        rig.sources[0].sql("INSERT INTO d.k VALUES (1,1),(1,1),(2,2)");
        let first = here(&rig);
        rig.target.sql(format!("INSERT INTO d.t VALUES {}", rows[..49].join(",")));
        rig.target.sql("INSERT INTO d.k VALUES (1,1),(1,1),(2,2)");
        rig.sources[0].sql(
            "DELETE FROM d.t WHERE id IN (3, 53); INSERT INTO d.t VALUES (-1,'low'), (200,'high');
             UPDATE d.t SET id = id + 1000 WHERE id BETWEEN 10 AND 15; UPDATE d.t SET id = -id WHERE id BETWEEN 60 AND 65;
             UPDATE d.t SET v = 'new' WHERE id IN (20, 70); DELETE FROM d.t WHERE id = 80; INSERT INTO d.t VALUES (80,'again');
             INSERT INTO d.k VALUES (1,1); UPDATE d.k SET b = 3 WHERE a = 2; DELETE FROM d.k WHERE a = 1 LIMIT 1",
        );
        let second = here(&rig);
        let later = rig.sources[0].rows("SELECT id, v FROM d.t WHERE id >= 50");
        let later: Vec<String> = later
            .iter()
            .map(|row| format!("({},'{}')", row.text(0).unwrap(), row.text(1).unwrap()))
            .collect();
        rig.target.sql(format!("INSERT INTO d.t VALUES {}", later.join(",")));
        rig.sources[0].sql("INSERT INTO d.t VALUES (300,'after'); DELETE FROM d.t WHERE id = 81; INSERT INTO d.k VALUES (4,4)");
        let dump = mixed_folder(&rig, &first, &second);
        let task = rig.task.clone();
        rig.task = format!("{task}syncers:\n  sync: {{safe-mode-duration: 0s}}\n");
        says(
            &meta_from(&rig, &dump, &[]).failure().stderr,
            &["code=36071", "tables of two moments", "safe-mode-duration"],
        );
        assert!(!has_checkpoint(&rig));
        rig.task = task;
        let done = meta_from(&rig, &dump, &[]).success();
        says(
            &done.stdout,
            &[&format!("safe mode on until ({}, {}) for tables of two moments", second.0, second.1)],
        );
        goes_on(&rig);
        let rows = |server: &Server| {
            let rows = server.rows("SELECT CONCAT(a, ' ', b) FROM d.k ORDER BY a, b");
            rows.iter().map(|row| row.text(0).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(rows(&rig.target), rows(&rig.sources[0]));
    }
}
