//! Buffered rows of the text protocol.

use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Error, Result};

/// A column of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name or alias.
    pub name: String,
    /// The type's byte in the protocol (`MYSQL_TYPE_*`).
    pub type_code: u8,
    /// Id of the collation its cells are sent in; 63 is binary.
    pub collation: u16,
    /// The flag bits of the protocol (1 NOT NULL, 32 UNSIGNED, 128 BINARY, …).
    pub flags: u16,
}

/// All rows of one result.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    columns: Arc<[Column]>,
    rows: Vec<Row>,
}

impl Rows {
    pub(crate) fn new(columns: Arc<[Column]>, rows: Vec<Row>) -> Self {
        Self { columns, rows }
    }

    /// The columns; none if the statement gives no rows at all.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first row.
    pub fn first(&self) -> Option<&Row> {
        self.rows.first()
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Row> {
        self.rows.iter()
    }
}

impl IntoIterator for Rows {
    type Item = Row;
    type IntoIter = std::vec::IntoIter<Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.into_iter()
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a Row;
    type IntoIter = std::slice::Iter<'a, Row>;

    fn into_iter(self) -> Self::IntoIter {
        self.rows.iter()
    }
}

/// Names a cell: by number from 0, or by the column's name without regard to case (8.0 gives the columns of
/// information_schema in capitals, 5.7 as they were asked for).
pub trait ColumnIndex {
    /// The number of the column, `None` if there is none.
    fn find(&self, columns: &[Column]) -> Option<usize>;
    /// For messages.
    fn text(&self) -> String;
}

impl ColumnIndex for usize {
    fn find(&self, columns: &[Column]) -> Option<usize> {
        (*self < columns.len()).then_some(*self)
    }

    fn text(&self) -> String {
        format!("number {self}")
    }
}

impl ColumnIndex for &str {
    fn find(&self, columns: &[Column]) -> Option<usize> {
        columns.iter().position(|column| column.name.eq_ignore_ascii_case(self))
    }

    fn text(&self) -> String {
        format!("`{self}`")
    }
}

/// One row; cells are bytes as the server sent them.
#[derive(Debug, Clone)]
pub struct Row {
    columns: Arc<[Column]>,
    cells: Vec<Option<Vec<u8>>>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[Column]>, cells: Vec<Option<Vec<u8>>>) -> Self {
        Self { columns, cells }
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The bytes of a cell; `None` for NULL and for a column that is not there.
    pub fn get(&self, index: impl ColumnIndex) -> Option<&[u8]> {
        self.cells.get(index.find(&self.columns)?)?.as_deref()
    }

    /// As [`get`](Self::get), by number from 0.
    pub fn at(&self, index: usize) -> Option<&[u8]> {
        self.get(index)
    }

    /// Whether the row has this column.
    pub fn has(&self, index: impl ColumnIndex) -> bool {
        index.find(&self.columns).is_some()
    }

    /// The cell as text; `None` for NULL.
    ///
    /// # Errors
    /// [`ErrorClass::Value`](crate::ErrorClass::Value): no such column, or not UTF-8.
    pub fn str(&self, index: impl ColumnIndex) -> Result<Option<String>> {
        let column = index.text();
        let at = index.find(&self.columns).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            Error::value(format!("the result has no column {column}, it has: {}", names.join(", ")))
        })?;
        let Some(Some(cell)) = self.cells.get(at) else { return Ok(None) };
        match std::str::from_utf8(cell) {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(e) => Err(Error::value(format!("column {column} is not UTF-8 at byte {}", e.valid_up_to()))),
        }
    }

    /// As [`str`](Self::str), but a column that is not there counts as NULL (older servers give fewer columns).
    ///
    /// # Errors
    /// [`ErrorClass::Value`](crate::ErrorClass::Value): not UTF-8.
    pub fn str_if_there(&self, index: impl ColumnIndex) -> Result<Option<String>> {
        match index.find(&self.columns) {
            Some(at) => self.str(at),
            None => Ok(None),
        }
    }

    /// The cell as text; NULL is an error.
    ///
    /// # Errors
    /// As [`str`](Self::str), and for NULL.
    pub fn text(&self, index: impl ColumnIndex) -> Result<String> {
        let column = index.text();
        self.str(index)?.ok_or_else(|| Error::value(format!("column {column} is NULL")))
    }

    /// The cell read as a number or the like; `None` for NULL.
    ///
    /// # Errors
    /// As [`str`](Self::str), and for text that is no `T`.
    pub fn parse<T: FromStr>(&self, index: impl ColumnIndex) -> Result<Option<T>> {
        let column = index.text();
        let Some(text) = self.str(index)? else { return Ok(None) };
        match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Error::value(format!(
                "column {column}: can't read `{}` as {}",
                crate::error::abbreviate(text.as_bytes()),
                std::any::type_name::<T>()
            ))),
        }
    }

    /// The cells in the order of the columns.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = Option<&[u8]>> {
        self.cells.iter().map(Option::as_deref)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorClass;

    fn row() -> Row {
        let column = |name: &str| Column { name: name.into(), type_code: 253, collation: 45, flags: 0 };
        let columns: Arc<[Column]> = [column("A"), column("b"), column("c"), column("d")].into();
        let cells = vec![Some(b"12".to_vec()), None, Some(vec![]), Some(vec![0xff])];
        Row::new(columns, cells)
    }

    #[test]
    fn null_empty_and_missing_differ() {
        let row = row();
        assert_eq!(row.get("a"), Some(&b"12"[..]));
        assert_eq!(row.at(0), Some(&b"12"[..]));
        assert_eq!(row.str("b").unwrap(), None);
        assert_eq!(row.str("C").unwrap(), Some(String::new()));
        assert_eq!(row.parse::<u64>(0).unwrap(), Some(12));
        assert_eq!(row.parse::<u64>("b").unwrap(), None);
        assert!(row.has("c") && !row.has("x") && !row.has(4));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let row = row();
        for (error, part) in [
            (row.str("x").unwrap_err(), "no column `x`, it has: A, b, c, d"),
            (row.str(9).unwrap_err(), "no column number 9"),
            (row.text("b").unwrap_err(), "`b` is NULL"),
            (row.str("d").unwrap_err(), "not UTF-8 at byte 0"),
            (row.parse::<u8>("c").unwrap_err(), "can't read `` as u8"),
        ] {
            assert_eq!(error.class(), ErrorClass::Value);
            assert!(error.to_string().contains(part), "{error}");
        }
    }
}
