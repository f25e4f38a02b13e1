//! The form of the statements that bring a file's rows to the target.

use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::{quote_into, quote_string};
use sql::SqlMode;
use sql::json_doubles::likely_growth;
use sql::values::{Item, ValuesReader, cells};

use super::blank::{self, Enums};
use super::convert::{Cell, CsvRows, QuotedNulls};
use super::json::JsonCells;
use super::parquet::ParquetRows;
use crate::config::OnDuplicate;
use crate::downstream::tables::TargetInfo;
use crate::error::{Result, fail};
use crate::source::DataFile;
use crate::source::parquet::{self, Column};

/// How rows of one head become an INSERT. Where dump and target line up, `rewrite` is `None` and the rows' bytes go out as they
/// are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// `INSERT INTO … VALUES `
    pub prefix: Vec<u8>,
    /// What follows the rows.
    pub suffix: Vec<u8>,
    /// How cells change.
    pub rewrite: Option<Rewrite>,
    /// ENUM columns that a row may leave blank.
    pub enums: Enums,
}

/// A change of every row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// Cells of rows are left out or added.
    Cells(Cells),
    /// JSON of a target that misreads doubles in it.
    Json(JsonCells),
    /// Records of CSV become rows.
    Csv(CsvRows),
    /// Rows of Parquet become rows of SQL.
    Parquet(ParquetRows),
}

/// Cells that stay and cells that come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    /// Which cells stay; the row must have as many.
    keep: Vec<bool>,
    /// Cells behind them, each with its comma in front.
    append: Vec<u8>,
    /// Cells of JSON whose doubles the target would misread.
    json: Option<JsonCells>,
}

/// What all files of a target table have in common.
#[derive(Debug, Clone)]
pub struct Frame<'a> {
    /// The target.
    pub table: &'a TargetInfo,
    /// What a duplicate key does.
    pub on_duplicate: OnDuplicate,
    /// Where quoted NULLs of CSV are counted.
    pub quoted_nulls: &'a Arc<QuotedNulls>,
    /// The target misreads doubles in JSON.
    pub misreads_doubles: bool,
    /// The columns of a Parquet file.
    pub parquet: Option<&'a Arc<Vec<Column>>>,
}

impl Shape {
    /// The form for rows under a head with these columns; `listed` is its column list, else `known` the columns of the source
    /// table where a schema file tells them.
    ///
    /// # Errors
    /// Cells would have to be left out or added, but nothing tells which column is which.
    pub fn new(
        frame: &Frame<'_>,
        file: &DataFile,
        listed: Option<&[String]>,
        known: Option<&[String]>,
    ) -> Result<Self> {
        let writable: Vec<String>;
        let columns = match (listed.or(known), &file.form.csv) {
            // As the real tool has it: fields without names are those of the target, in order.
            (None, Some(_)) => {
                writable = frame.table.writable().map(|column| column.name.clone()).collect();
                Some(writable.as_slice())
            }
            (columns, _) => columns,
        };
        let keep: Option<Vec<bool>> = columns
            .map(|columns| columns.iter().map(|name| !file.ignored.contains(&name.to_lowercase())).collect());
        let drops = keep.as_ref().is_some_and(|keep| keep.contains(&false));
        let changes = drops || !file.extracted.is_empty();
        if columns.is_none() && (!file.ignored.is_empty() || !file.extracted.is_empty()) {
            return Err(fail(
                codes::CHECK_DATA_SOURCE,
                format!(
                    "file '{}': `ignore-columns` and `extract-…` need the names of its columns: put the schema file of {} next to it",
                    file.path, file.source
                ),
            ));
        }
        let enums = match (columns, &keep) {
            (Some(columns), Some(keep)) => {
                let kept = columns.iter().zip(keep).filter(|(_, keep)| **keep).map(|(name, _)| name);
                let filled = kept.chain(file.extracted.iter().map(|(name, _)| name));
                blank::enums(frame.table, filled.map(String::as_str))
            }
            _ => blank::enums(frame.table, frame.table.columns.iter().map(|column| column.name.as_str())),
        };
        let mut prefix = match frame.on_duplicate {
            OnDuplicate::Replace => b"REPLACE INTO ".to_vec(),
            OnDuplicate::Error | OnDuplicate::Ignore => b"INSERT INTO ".to_vec(),
        };
        prefix.extend_from_slice(frame.table.name.quoted().as_bytes());
        if let (Some(columns), Some(keep)) = (columns, &keep) {
            let kept = columns.iter().zip(keep).filter(|(_, keep)| **keep).map(|(name, _)| name);
            prefix.extend_from_slice(b" (");
            for (number, name) in kept.chain(file.extracted.iter().map(|(name, _)| name)).enumerate() {
                if number > 0 {
                    prefix.push(b',');
                }
                quote_into(&mut prefix, name);
            }
            prefix.push(b')');
        }
        prefix.extend_from_slice(b" VALUES ");
        let suffix = match frame.on_duplicate {
            OnDuplicate::Ignore => keep_old_row(frame.table)?,
            OnDuplicate::Error | OnDuplicate::Replace => Vec::new(),
        };
        let append = || {
            let cells = file.extracted.iter().map(|(_, value)| format!(",{}", quote_string(value)));
            cells.collect::<String>().into_bytes()
        };
        let json = match columns {
            _ if !frame.misreads_doubles => None,
            Some(columns) => JsonCells::of(columns.iter().map(|name| frame.table.column(name))),
            None => JsonCells::of(frame.table.columns.iter().map(Some)),
        };
        let cell = |(name, keep): (&String, bool)| {
            if keep { Cell::of(frame.table.column(name), frame.misreads_doubles) } else { Cell::Skip }
        };
        let names = columns.unwrap_or_default();
        let rewrite = match (&file.form.csv, keep) {
            (None, keep) if let Some(columns) = frame.parquet => Some(Rewrite::Parquet(ParquetRows {
                columns: Arc::clone(columns),
                cells: names.iter().zip(keep.unwrap_or_default()).map(cell).collect(),
                append: append(),
            })),
            (Some(dialect), keep) => Some(Rewrite::Csv(CsvRows {
                path: file.path.as_str().into(),
                dialect: Arc::clone(dialect),
                cells: names.iter().zip(keep.unwrap_or_default()).map(cell).collect(),
                append: append(),
                quoted_nulls: Arc::clone(frame.quoted_nulls),
            })),
            (None, Some(keep)) if changes => Some(Rewrite::Cells(Cells { keep, append: append(), json })),
            (None, _) => json.map(Rewrite::Json),
        };
        Ok(Self { prefix, suffix, rewrite, enums })
    }
}

/// INSERT IGNORE would also turn errors of values into warnings. Setting a column to itself leaves the old row as it is, and nothing
/// else is forgiven.
fn keep_old_row(table: &TargetInfo) -> Result<Vec<u8>> {
    let Some(column) = table.writable().next() else {
        return Err(fail(codes::UNKNOWN_COLUMNS, format!("table {} has no column to write", table.name)));
    };
    let mut suffix = b" ON DUPLICATE KEY UPDATE ".to_vec();
    quote_into(&mut suffix, &column.name);
    suffix.push(b'=');
    quote_into(&mut suffix, &column.name);
    Ok(suffix)
}

impl Shape {
    /// The rows of a run of the file one by one, as they stand in it, each with its offset from the run's.
    pub fn single<'r>(
        &'r self,
        run: &'r [u8],
        mode: SqlMode,
    ) -> Box<dyn Iterator<Item = (usize, &'r [u8])> + 'r> {
        match &self.rewrite {
            Some(rewrite) => rewrite.single(run, mode),
            None => Box::new(single_rows(run, mode)),
        }
    }

    /// How far a run of so many rows goes in offsets of its file.
    pub fn length(&self, run: &[u8], rows: u64) -> u64 {
        if matches!(self.rewrite, Some(Rewrite::Parquet(_))) { rows } else { run.len() as u64 }
    }
}

impl Rewrite {
    /// See [`Shape::single`].
    pub fn single<'r>(
        &'r self,
        run: &'r [u8],
        mode: SqlMode,
    ) -> Box<dyn Iterator<Item = (usize, &'r [u8])> + 'r> {
        match self {
            Self::Csv(rows) => Box::new(rows.dialect.raw_records(run)),
            Self::Parquet(_) => Box::new(parquet::row::rows(run).enumerate()),
            Self::Cells(_) | Self::Json(_) => Box::new(single_rows(run, mode)),
        }
    }

    /// Appends the changed rows of a run to `out`.
    ///
    /// # Errors
    /// The offset of the row from that of `run`, and what is wrong with it.
    pub fn rows(
        &self,
        run: &[u8],
        mode: SqlMode,
        out: &mut Vec<u8>,
    ) -> std::result::Result<(), (usize, String)> {
        match self {
            Self::Cells(cells) => cells.rows(run, mode, out),
            Self::Json(json) => {
                json.rows(run, mode, out);
                Ok(())
            }
            Self::Csv(rows) => rows.rows(run, mode, out),
            Self::Parquet(rows) => rows.rows(run, mode, out),
        }
    }

    /// Most bytes that the rows of a run take: `_binary` and quotes around each field, and escapes.
    pub fn bound(&self, run: &[u8]) -> usize {
        let bytes = run.len();
        let digits = |json: Option<&JsonCells>| json.map_or(0, |_| likely_growth(run));
        match self {
            Self::Cells(cells) => bytes.saturating_mul(1 + cells.append.len()) + digits(cells.json.as_ref()),
            Self::Json(json) => bytes + digits(Some(json)),
            Self::Csv(rows) => bytes.saturating_mul(12 + rows.append.len()),
            // A double takes 9 bytes there and up to 25 here.
            Self::Parquet(rows) => bytes.saturating_mul(12 + rows.append.len()),
        }
    }
}

impl Cells {
    fn rows(&self, run: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> std::result::Result<(), (usize, String)> {
        for (number, (at, row)) in single_rows(run, mode).enumerate() {
            if number > 0 {
                out.push(b',');
            }
            self.row(row, mode, out).map_err(|what| (at, what))?;
        }
        Ok(())
    }

    fn row(&self, row: &[u8], mode: SqlMode, out: &mut Vec<u8>) -> std::result::Result<(), String> {
        let cells = cells(row, mode).map_err(|error| error.to_string())?;
        out.push(b'(');
        let mut count = 0;
        let mut written = 0;
        for cell in cells {
            let cell = cell.map_err(|error| error.to_string())?;
            let keep = self.keep.get(count).copied();
            count += 1;
            if keep == Some(true) {
                if written > 0 {
                    out.push(b',');
                }
                written += 1;
                let better = self.json.as_ref().and_then(|json| json.better(count - 1, &cell, mode));
                out.extend_from_slice(better.as_deref().unwrap_or(cell.text));
            }
        }
        if count != self.keep.len() {
            return Err(format!("column count mismatch, expected {}, got {count}", self.keep.len()));
        }
        // Without a cell in front the first comma goes.
        out.extend_from_slice(if written > 0 {
            &self.append
        } else {
            self.append.get(1..).unwrap_or_default()
        });
        out.push(b')');
        Ok(())
    }
}

/// The rows of a run one by one, each with its offset in the run.
pub fn single_rows(run: &[u8], mode: SqlMode) -> impl Iterator<Item = (usize, &[u8])> {
    let mut reader = ValuesReader::resume(mode, 0);
    std::iter::from_fn(move || {
        let base = usize::try_from(reader.offset()).ok()?;
        // The run was found by a reader of the same kind, so it holds rows and nothing else.
        match reader.next(run.get(base..)?, true, 1) {
            Ok(Item::Rows { span, .. }) => {
                Some((base + span.start, run.get(base + span.start..base + span.end)?))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::downstream::tables::TargetColumn;
    use common::ident::TableName;

    fn table() -> TargetInfo {
        let column = |name: &str| TargetColumn {
            name: name.into(),
            full_type: "int".into(),
            required: false,
            generated: false,
        };
        TargetInfo {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            is_view: false,
            created: String::new(),
            columns: vec![column("a"), column("b"), column("c")],
        }
    }

    fn file(ignored: &[&str], extracted: &[(&str, &str)]) -> DataFile {
        DataFile {
            path: "x/d.t.sql".into(),
            size: 0,
            source: TableName::new("s", "t"),
            form: Default::default(),
            key: String::new(),
            extracted: extracted.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect(),
            ignored: ignored.iter().map(|&name| name.into()).collect(),
        }
    }

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(|&name| name.into()).collect()
    }

    #[test]
    fn rows_that_line_up_are_not_touched() {
        let table = table();
        let frame = Frame {
            table: &table,
            on_duplicate: OnDuplicate::Error,
            quoted_nulls: &Arc::default(),
            misreads_doubles: false,
            parquet: None,
        };
        let shape = Shape::new(&frame, &file(&[], &[]), None, None).unwrap();
        assert_eq!(shape.prefix, b"INSERT INTO `d`.`t` VALUES ");
        assert_eq!(shape.rewrite, None);
        let known = names(&["a", "c"]);
        let shape = Shape::new(&frame, &file(&[], &[]), None, Some(&known)).unwrap();
        assert_eq!(shape.prefix, b"INSERT INTO `d`.`t` (`a`,`c`) VALUES ");
        assert_eq!(shape.rewrite, None);
        let frame = Frame { on_duplicate: OnDuplicate::Ignore, ..frame };
        let shape = Shape::new(&frame, &file(&[], &[]), Some(&known), None).unwrap();
        assert_eq!(shape.suffix, b" ON DUPLICATE KEY UPDATE `a`=`a`");
        let frame = Frame { on_duplicate: OnDuplicate::Replace, ..frame };
        assert!(
            Shape::new(&frame, &file(&[], &[]), None, None).unwrap().prefix.starts_with(b"REPLACE INTO ")
        );
    }

    #[test]
    fn cells_are_left_out_and_added() {
        let table = table();
        let frame = Frame {
            table: &table,
            on_duplicate: OnDuplicate::Error,
            quoted_nulls: &Arc::default(),
            misreads_doubles: false,
            parquet: None,
        };
        let listed = names(&["a", "B", "c"]);
        let file = file(&["b"], &[("src", "it's")]);
        let shape = Shape::new(&frame, &file, Some(&listed), None).unwrap();
        assert_eq!(shape.prefix, b"INSERT INTO `d`.`t` (`a`,`c`,`src`) VALUES ");
        let rewrite = shape.rewrite.unwrap();
        let mut out = Vec::new();
        rewrite.rows(b"(1,'x),(',3),\n(4, NULL ,'y\\'')", SqlMode::default(), &mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "(1,3,'it''s'),(4,'y\\'','it''s')");
        let (at, what) = rewrite.rows(b"(1,2,3),(4,5)", SqlMode::default(), &mut Vec::new()).unwrap_err();
        assert_eq!((at, what.as_str()), (8, "column count mismatch, expected 3, got 2"));
        assert!(Shape::new(&frame, &file, None, None).unwrap_err().to_string().contains("need the names"));
    }

    #[test]
    fn a_run_is_taken_apart() {
        let rows: Vec<_> = single_rows(b"(1,'a)')\n,(2,')'),(3)", SqlMode::default()).collect();
        assert_eq!(rows, [(0, &b"(1,'a)')"[..]), (10, b"(2,')')"), (18, b"(3)")]);
    }
}
