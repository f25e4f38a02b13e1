//! Where in a file the row is that a server complained about.

use std::sync::Arc;

use super::batch::Statement;
use super::file::OpenFile;
use crate::source::rows::{FileReader, Item, Part};

/// Where in the file an error is, as exactly as the server tells.
pub(super) fn place(file: &OpenFile, statement: &Statement, error: &mysql::Error) -> String {
    let message = error.message();
    let number = message.rsplit_once("at row ").and_then(|(_, rest)| {
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u64>().ok()
    });
    match number.and_then(|number| offset_of_row(file, statement, number)) {
        Some(at) => row_at(file, at),
        None => file.task.file.form.part(statement.at, statement.end),
    }
}

/// A row in words.
pub(super) fn row_at(file: &OpenFile, at: u64) -> String {
    let form = &file.task.file.form;
    if form.parquet { form.place(at) } else { format!("row at {}", form.place(at)) }
}

/// Where row `number` (from 1) of a statement stands in the file. Rows that were changed on their way are looked for in the file.
pub(super) fn offset_of_row(file: &OpenFile, statement: &Statement, number: u64) -> Option<u64> {
    let (begin, behind) = statement.offset_of_row(number, file.mode)?;
    if behind == 0 || file.footer.is_some() {
        return Some(begin + behind);
    }
    tokio::task::block_in_place(|| {
        let part = Part { begin, head_at: Some(0), end: None, last: false };
        let form = &file.task.file.form;
        let mut reader =
            FileReader::open(Arc::clone(&file.reader), form, file.mode, part, statement.sql.len()).ok()?;
        let mut left = behind;
        loop {
            match reader.next(1).ok()? {
                Item::Rows { at, .. } if left == 0 => return Some(at),
                Item::Rows { .. } => left -= 1,
                Item::Eof => return None,
                _ => {}
            }
        }
    })
}
