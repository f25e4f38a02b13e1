//! Doubles in JSON arrive bit by bit at targets that misread the text of many of them.

use testkit::{Kind, Options, Server, Tool, WorkDir};

use super::rig::{LIMIT, Rig, stop};

/// Doubles of every kind, the same at each run.
fn doubles(count: u64) -> Vec<f64> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let kinds = (0..count).map(|n| match n % 5 {
        0 => next() as f64 / u64::MAX as f64,
        1 => f64::from_bits(next() >> 12),
        2 => f64::from_bits(f64::MAX.to_bits() - (next() >> 14)),
        3 => -1e6 * (next() as f64 / u64::MAX as f64),
        _ => f64::from_bits(next()),
    });
    let special =
        [0.040785546898809644, 0.18015513008447814, -0.0, 5e-324, f64::MAX, 1e23, 9007199254740994.0];
    kinds.filter(|value| value.is_finite()).chain(special).collect()
}

/// The bits of all numbers of all documents.
fn bits(server: &Server, table: &str) -> Vec<Vec<u64>> {
    let rows = server.rows(format!("SELECT CAST(j AS CHAR) FROM {table} ORDER BY n"));
    let numbers = |text: &str| {
        let parts = text.split(['[', ']', '{', '}', ',', ':', ' ', '"']);
        let mut all: Vec<u64> = parts.filter_map(|part| part.parse::<f64>().ok()).map(f64::to_bits).collect();
        // MySQL sorts the keys.
        all.sort_unstable();
        all
    };
    rows.iter().map(|row| numbers(&row.text(0).unwrap())).collect()
}

fn arrive(kind: Kind, target: Kind) {
    let Some(source) = Server::start_or_skip(kind, Options::default()) else { return };
    let Some(target) = Server::start_or_skip(target, Options::default()) else { return };
    let values = doubles(3000);
    // Those of a MySQL source come from its functions, which are exact.
    let document = |part: &[f64]| match kind {
        Kind::MariaDb1011 => {
            let all: Vec<String> = part.iter().map(|value| format!("{value:e}")).collect();
            format!(
                "'{{\"it''s \\\\\"\": [{}], \"b\": {{\"c\": {}, \"s\": \"0.040785546898809644\"}}}}'",
                all.join(","),
                all[0]
            )
        }
        _ => {
            let all: Vec<String> = part.iter().map(|value| format!("{value:e}")).collect();
            let all: Vec<String> = all
                .iter()
                .map(|text| if *text == "-0e0" { "0e0*-1e0".to_owned() } else { text.clone() })
                .collect();
            format!(
                "JSON_OBJECT('it''s \\\"', JSON_ARRAY({}), 'b', JSON_OBJECT('c', {}, 's', '0.040785546898809644'))",
                all.join(","),
                all[0]
            )
        }
    };
    let mut rig = Rig {
        sources: vec![source],
        target,
        dir: WorkDir::new("json").unwrap(),
        gtid: false,
        task: "block-allow-list:\n  all: {do-dbs: [d]}\n".into(),
        rows: 0,
        meta: Vec::new(),
    };
    for server in [&rig.sources[0], &rig.target] {
        server.sql(
            "CREATE DATABASE d DEFAULT CHARSET utf8mb4; CREATE TABLE d.t (n int PRIMARY KEY, j json); CREATE TABLE d.k (n int, j json)",
        );
    }
    rig.note_positions();
    let source = &rig.sources[0];
    for (n, part) in values.chunks(10).enumerate() {
        let document = document(part);
        source.sql(format!("INSERT INTO d.t VALUES ({n},'[1.5]'),({n}+10000,{document}); INSERT INTO d.k SELECT * FROM d.t WHERE n={n}+10000"));
        source.sql(format!("UPDATE d.t SET j={document} WHERE n={n}"));
    }
    // Without a key a row is found by its document too.
    source.sql("UPDATE d.k SET n=n+1000000 WHERE n MOD 3=0; DELETE FROM d.k WHERE n MOD 3=1");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    let log = stop(tool);
    assert!(!log.contains("ER_KEY_NOT_FOUND"), "{log}");
    for table in ["d.t", "d.k"] {
        let (wanted, there) = (bits(source, table), bits(&rig.target, table));
        assert!(wanted.len() > 90 && wanted.iter().all(|row| row.len() > 1), "{}", wanted.len());
        assert_eq!(wanted.len(), there.len());
        for (wanted, there) in wanted.iter().zip(&there) {
            assert_eq!(wanted, there);
        }
    }
    let task = rig.dir.join("task.yaml");
    let verified = Tool::new("rsync-dm")
        .arg("verify")
        .arg("--task")
        .arg(task)
        .arg("--source")
        .arg(rig.dir.join("source0.yaml"))
        .start()
        .finish(LIMIT)
        .success();
    assert!(verified.stdout.contains("rows equal"), "{}", verified.shown());
}

#[test]
fn from_mysql_57() {
    arrive(Kind::MySql57, Kind::MySql8033);
    arrive(Kind::MySql57, Kind::MySql57);
}

#[test]
fn from_mysql_80() {
    arrive(Kind::MySql8033, Kind::MySql8033);
    arrive(Kind::MySql8033, Kind::MySql97);
}

#[test]
fn from_mariadb() {
    arrive(Kind::MariaDb1011, Kind::MySql57);
    arrive(Kind::MariaDb1011, Kind::MySql8033);
}
