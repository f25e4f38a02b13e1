//! Mutated input: errors are fine, panics and endless loops are not.

use sql::SqlMode;
use sql::ddl;
use sql::schema::{Environment, Tracker};
use testkit::random::{Random, fuzz_rounds};

const PIECES: [&str; 28] = [
    "(",
    ")",
    ",",
    ".",
    "`",
    "'",
    "\"",
    "/*",
    "*/",
    "/*!50000 ",
    "-- ",
    ";",
    "TABLE ",
    " PRIMARY KEY",
    " RENAME TO x.y",
    " DEFAULT ",
    " AS (",
    "PARTITION ",
    " IF NOT EXISTS ",
    "=",
    "@",
    "\\",
    "\0",
    "é",
    "0x",
    " REFERENCES ",
    "LIKE ",
    "9e9",
];

fn mutate(numbers: &mut Random, text: &str, other: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1).min(bytes.len());
        match numbers.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let piece = PIECES[numbers.below(PIECES.len())].as_bytes();
                bytes.splice(at..at, piece.iter().copied());
            }
            2 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            3 if at < bytes.len() => {
                let end = (at + 1 + numbers.below(12)).min(bytes.len());
                bytes.drain(at..end);
            }
            4 => {
                let from = numbers.below(other.len());
                let tail = other.as_bytes()[from..].to_vec();
                bytes.splice(at.., tail);
            }
            _ => {
                let copy = bytes[at..(at + numbers.below(20)).min(bytes.len())].to_vec();
                bytes.splice(at..at, copy);
            }
        }
    }
    bytes
}

/// Everything that takes text from outside.
fn exercise(text: &[u8], mode: SqlMode, tracker: &mut Tracker) {
    sql::classify(text, mode);
    let Ok(ddl) = ddl::parse(text, mode) else { return };
    let same = |schema: &str, table: &str| (schema.to_owned(), table.to_owned());
    let qualified = ddl.references.iter().any(|it| it.role == ddl::Role::Parent && it.schema.is_none());
    if let Ok(renamed) = sql::rename::rename(ddl.text(), &ddl, "", same)
        && !qualified
    {
        assert_eq!(renamed, text, "identity");
    }
    if let Ok(renamed) =
        sql::rename::rename(ddl.text(), &ddl, "cur", |s, t| (format!("{s}_s"), format!("{t}_t")))
    {
        let again = ddl::parse(&renamed, mode).unwrap_or_else(|error| {
            panic!("renamed does not parse: {error}\n{}", String::from_utf8_lossy(&renamed))
        });
        assert_eq!(again.references.len(), ddl.references.len());
    }
    let _ = ddl.split_changes();
    ddl.idempotent();
    if let Ok(applied) = tracker.apply(&ddl, "cur") {
        for (schema, table) in &applied.changed {
            let table = tracker.table(schema, table).unwrap();
            table.to_create();
            let json = sql::table_info::to_json(&table);
            sql::table_info::from_json(&json).unwrap();
        }
    }
}

#[test]
fn mutated_statements_never_panic() {
    let statements: Vec<String> = super::rename::statements().collect();
    let mut numbers = Random::of_target("sql statements");
    let mut tracker = Tracker::new(Environment::mysql(8, 0));
    tracker.set_database("cur", "latin1", "latin1_swedish_ci");
    for round in 0..fuzz_rounds(60_000) {
        if round % 500 == 0 {
            tracker = Tracker::new(Environment::mariadb(10, 11));
            tracker.set_database("cur", "utf8mb4", "utf8mb4_bin");
        }
        let text = &statements[numbers.below(statements.len())];
        let other = &statements[numbers.below(statements.len())];
        let mutated = mutate(&mut numbers, text, other);
        let mode =
            SqlMode { ansi_quotes: numbers.below(8) == 0, no_backslash_escapes: numbers.below(8) == 0 };
        let outcome =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exercise(&mutated, mode, &mut tracker)));
        assert!(outcome.is_ok(), "round {round}, {mode:?}, text {:?}", String::from_utf8_lossy(&mutated));
    }
}
