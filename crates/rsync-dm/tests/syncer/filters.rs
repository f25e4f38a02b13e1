//! Statements that the filter leaves out, or refuses.

use testkit::Options;

use super::{
    bad_input::{fails, says, small},
    rig::{Rig, end_of, stop},
};

fn rig(rule: &str) -> Option<Rig> {
    let mut rig = small(Options::default())?;
    rig.task.push_str(&format!("filters:\n  f: {{schema-pattern: d, {rule}}}\n"));
    rig.note_positions();
    Some(rig)
}

/// Rows of a table whose DDL is left out are read as the source has written them, in the run that has met it and in the next one.
#[test]
fn rows_after_statements_that_are_left_out() {
    let Some(rig) = rig("sql-pattern: ['DROP COLUMN', 'FIRST', 'TRUNCATE', 'DROP TABLE'], action: Ignore")
    else {
        return;
    };
    rig.sources[0].sql(
        "ALTER TABLE d.t ADD COLUMN w varchar(9), ADD COLUMN x varchar(9); INSERT INTO d.t VALUES (1,'v','w','x')",
    );
    for (n, change) in
        ["DROP COLUMN w", "MODIFY x varchar(9) FIRST", "MODIFY v varchar(20) FIRST"].iter().enumerate()
    {
        let row = |n: usize| format!("INSERT INTO d.t (id,v,x) VALUES ({n},'v{n}','x{n}')");
        rig.sources[0].sql(format!("{}; ALTER TABLE d.t {change}; {}", row(10 * n + 2), row(10 * n + 3)));
        for row_of_run in 4..6 {
            let mut tool = rig.start();
            rig.wait_synced(&mut tool);
            stop(tool);
            rig.sources[0].sql(row(10 * n + row_of_run));
        }
    }
    rig.sources[0].sql("UPDATE d.t SET v='new' WHERE id=3; CREATE TABLE d.gone (id int PRIMARY KEY); INSERT INTO d.gone VALUES (1); \
        DROP TABLE d.gone; CREATE TABLE d.gone (id int PRIMARY KEY, v int); INSERT INTO d.gone (id) VALUES (2)");
    let text = fails(&rig);
    says(&text, &["Unknown column 'v'"]);
    rig.target.sql("ALTER TABLE d.gone ADD COLUMN v int");
    let mut tool = rig.start();
    rig.wait_synced(&mut tool);
    stop(tool);
    let rows = "SELECT GROUP_CONCAT(id,v,x ORDER BY id) FROM d.t";
    assert_eq!(rig.target.value(rows), rig.sources[0].value(rows));
    assert_eq!(rig.target.value("SELECT GROUP_CONCAT(id ORDER BY id) FROM d.gone"), "1,2");
    assert_eq!(
        rig.target.value("SELECT GROUP_CONCAT(IFNULL(w,'-') ORDER BY id) FROM d.t WHERE id IN (1,3)"),
        "w,-"
    );
}

/// One that the filter refuses is skipped as any other that stops the task.
#[test]
fn a_statement_that_is_refused_is_skipped() {
    let Some(rig) = rig("events: [drop table], action: Error") else { return };
    rig.sources[0].sql("CREATE TABLE d.u (id int PRIMARY KEY)");
    let (file, pos) = end_of(&rig.sources[0]);
    rig.sources[0].sql("DROP TABLE d.u; INSERT INTO d.t VALUES (1,'a')");
    says(&fails(&rig), &["a filter refuses this statement", "DROP TABLE"]);
    let events = rig.sources[0].rows(format!("SHOW BINLOG EVENTS IN '{file}' FROM {pos}"));
    let drop = events.iter().find(|row| row.text("Info").unwrap().contains("DROP TABLE")).unwrap();
    let mut tool = rig.start_args(&["--skip-ddl", &format!("s0={file}:{}", drop.text("Pos").unwrap())]);
    rig.wait_synced(&mut tool);
    stop(tool);
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.u"), "0");
    assert_eq!(rig.target.value("SELECT COUNT(*) FROM d.t"), "1");
}
