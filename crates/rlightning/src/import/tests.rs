use super::*;
use crate::downstream::tables::TargetInfo;
use crate::ledger::FileRecord;
use crate::source::DataFile;

fn file(table: &str, number: u32) -> Arc<FileTask> {
    let name = TableName::new("d", table);
    let info = TargetInfo {
        name: name.clone(),
        engine: "InnoDB".into(),
        is_view: false,
        created: String::new(),
        columns: Vec::new(),
    };
    Arc::new(FileTask {
        file: DataFile {
            path: format!("d.{table}.{number}.sql"),
            size: 1,
            source: name,
            form: Default::default(),
            key: String::new(),
            extracted: Vec::new(),
            ignored: Vec::new(),
        },
        record: FileRecord {
            id: 0,
            path: String::new(),
            target: TableName::new("d", table),
            size: 1,
            modified: 0,
            digest: String::new(),
        },
        table: Arc::new(info),
        columns: None,
        zone: None,
        resumed: false,
        touched: false,
    })
}

fn path(job: Option<Job>) -> Option<String> {
    job.map(|job| match job {
        Job::File(task) => task.path().to_owned(),
        Job::Piece(file, piece, _) => format!("{}:{}", file.task.path(), piece.begin),
    })
}

#[test]
fn workers_spread_over_tables() {
    let files = vec![file("a", 1), file("a", 2), file("b", 1), file("b", 2), file("c", 1)];
    let mut state = QueueState::new(files, 2);
    assert_eq!(path(state.take()).as_deref(), Some("d.a.1.sql"));
    assert_eq!(path(state.take()).as_deref(), Some("d.b.1.sql"));
    // Both tables that may be in work have a worker; the third has to wait.
    assert_eq!(path(state.take()).as_deref(), Some("d.a.2.sql"));
    assert_eq!(path(state.take()).as_deref(), Some("d.b.2.sql"));
    assert_eq!(path(state.take()), None);
    state.active.retain(|name| name.table != "a");
    assert_eq!(path(state.take()).as_deref(), Some("d.c.1.sql"));
    assert_eq!(path(state.take()), None);
}

#[test]
fn one_table_takes_all_workers() {
    let mut state = QueueState::new(vec![file("a", 1), file("a", 2)], 1);
    assert_eq!(path(state.take()).as_deref(), Some("d.a.1.sql"));
    assert_eq!(path(state.take()).as_deref(), Some("d.a.2.sql"));
    assert_eq!(path(state.take()), None);
}
