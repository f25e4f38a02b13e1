//! Reads the rows of one merged table: keys into the sorters, lengths against the target's columns.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use common::error::lightning_codes as codes;
use common::progress::Bar;
use common::storage::Storage;
use sql::lexer::SqlMode;
use sql::values::{Cell, Value, cells};

use super::keys::{KeyHasher, RowKey, UniqueKey};
use super::sorter::{Place, Record, Sorter};
use super::values::{Judge, Refusal};
use crate::downstream::columns;
use crate::downstream::tables::TargetInfo;
use crate::error::{Context, Result, fail};
use crate::import::convert::{Cell as ColumnCell, CsvRows};
use crate::import::file;
use crate::import::parquet::ParquetRows;
use crate::import::shape::{Rewrite, single_rows};
use crate::source::DataFile;
use crate::source::parquet::Column;
use crate::source::prologue::Prologue;
use crate::source::rows::{FileReader, Item, Part};

/// Rows a thread gathers before it hands their keys over.
const HANDOVER: usize = 8192;

/// Largest row that is read.
const ROW_LIMIT: usize = 1 << 30;

/// What is asked of the rows.
#[derive(Debug)]
pub struct Question<'a> {
    /// The files with the columns that rows without a column list fill.
    pub files: Vec<(&'a DataFile, Option<Arc<Vec<String>>>)>,
    /// Keys whose values are compared.
    pub keys: Vec<UniqueKey>,
    /// Columns with values that the target may refuse, by name in lower case.
    pub judges: Vec<(String, Judge)>,
    /// Columns of bytes, whose fields in CSV may be encoded; in lower case.
    pub binary: BTreeSet<String>,
    /// The AUTO_INCREMENT column, whose highest value is wanted.
    pub counter: Option<String>,
    /// The target's table, which must have the columns that files name.
    pub target: Option<&'a TargetInfo>,
    /// `tidb.sql-mode`, in which the target will read the files whatever they say.
    pub mode: Option<SqlMode>,
    /// Largest row that the target takes, in bytes.
    pub row_bytes: usize,
    /// Read only the first so many bytes of each file.
    pub sample: Option<u64>,
}

/// Values that a column refuses for one reason.
#[derive(Debug, Clone)]
pub struct Refused {
    /// How many.
    pub count: u64,
    /// The row of the first.
    pub first: Place,
    /// That value's text, shortened.
    pub value: String,
}

/// Rows that have more or fewer values than columns.
#[derive(Debug, Clone, Copy)]
pub struct Miscounted {
    /// How many.
    pub count: u64,
    /// The first.
    pub first: Place,
    /// Its values.
    pub values: usize,
    /// Its columns.
    pub columns: usize,
}

/// Characters of a value that are shown.
const SHOWN: usize = 60;

/// What the rows say.
#[derive(Debug, Default)]
pub struct Answer {
    /// Rows read.
    pub rows: u64,
    /// Bytes read, unpacked.
    pub bytes: u64,
    /// The longest row and where it is.
    pub longest: Option<(usize, Place)>,
    /// The highest value of the counter.
    pub highest: Option<u64>,
    /// Values that the columns refuse, in their order.
    pub refused: Vec<BTreeMap<Refusal, Refused>>,
    /// Keys of rows whose value only a server could tell.
    pub unknown: Vec<u64>,
    /// Rows that have more or fewer values than columns; nothing else is known of them.
    pub miscounted: Option<Miscounted>,
    /// Columns that files name and the target's table has not, or the reverse.
    pub columns: BTreeSet<String>,
}

/// Complaints about columns that are kept.
const MOST_COMPLAINTS: usize = 20;

impl Answer {
    fn add(&mut self, other: Answer) {
        self.rows += other.rows;
        self.bytes += other.bytes;
        self.longest = match (self.longest, other.longest) {
            (Some(mine), Some(theirs)) if mine.0 >= theirs.0 => Some(mine),
            (mine, theirs) => theirs.or(mine),
        };
        self.highest = self.highest.max(other.highest);
        let room = MOST_COMPLAINTS.saturating_sub(self.columns.len());
        self.columns.extend(other.columns.into_iter().take(room));
        merge_counts(&mut self.refused, other.refused, |mine, theirs| {
            for (why, theirs) in theirs {
                match mine.entry(why) {
                    Entry::Vacant(place) => drop(place.insert(theirs)),
                    Entry::Occupied(mut mine) => {
                        let count = mine.get().count + theirs.count;
                        if theirs.first < mine.get().first {
                            mine.insert(theirs);
                        }
                        mine.get_mut().count = count;
                    }
                }
            }
        });
        self.miscounted = match (self.miscounted, other.miscounted) {
            (Some(mine), Some(theirs)) => {
                let first = if theirs.first < mine.first { theirs } else { mine };
                Some(Miscounted { count: mine.count + theirs.count, ..first })
            }
            (mine, theirs) => mine.or(theirs),
        };
        merge_counts(&mut self.unknown, other.unknown, |mine, theirs| *mine += theirs);
    }
}

fn merge_counts<T>(mine: &mut Vec<T>, theirs: Vec<T>, add: impl Fn(&mut T, T)) {
    if mine.is_empty() {
        *mine = theirs;
        return;
    }
    mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| add(mine, theirs));
}

/// Reads all files with `threads` threads. The sorters are in the order of the keys. Blocks.
///
/// # Errors
/// A file that can't be read or holds something else than rows; a run that can't be written.
pub fn scan(
    storage: &dyn Storage,
    question: &Question<'_>,
    sorters: &[Mutex<Sorter>],
    threads: usize,
    bar: &Bar,
) -> Result<Answer> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Answer> {
        let mut total = Answer::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((data, columns)) = question.files.get(number) else { return Ok(total) };
            let number = u32::try_from(number).unwrap_or(u32::MAX);
            let mut reading = Reading::new(question, sorters, number, data, columns.as_deref());
            reading.file(storage, bar)?;
            total.add(reading.answer);
        }
    };
    // The storage is asked through the runtime.
    let runtime = tokio::runtime::Handle::current();
    let in_runtime = || {
        let _entered = runtime.enter();
        work()
    };
    let answers = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(in_runtime)).collect();
        running.into_iter().map(|thread| thread.join()).collect::<Vec<_>>()
    });
    let mut total = Answer::default();
    for answer in answers {
        match answer {
            Ok(answer) => total.add(answer?),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    Ok(total)
}

/// One file in work.
struct Reading<'a> {
    question: &'a Question<'a>,
    sorters: &'a [Mutex<Sorter>],
    number: u32,
    data: &'a DataFile,
    default_columns: Option<&'a Vec<String>>,
    hasher: KeyHasher,
    /// For each key the positions of its parts in the row.
    positions: Vec<Vec<Option<usize>>>,
    judges: Vec<Option<usize>>,
    /// Whether the file's text is UTF-8.
    utf8: bool,
    counter: Option<usize>,
    /// Columns that the rows fill.
    filled: usize,
    records: Vec<Vec<Record>>,
    answer: Answer,
}

impl<'a> Reading<'a> {
    fn new(
        question: &'a Question<'a>,
        sorters: &'a [Mutex<Sorter>],
        number: u32,
        data: &'a DataFile,
        default_columns: Option<&'a Vec<String>>,
    ) -> Self {
        let answer = Answer {
            refused: vec![BTreeMap::new(); question.judges.len()],
            unknown: vec![0; question.keys.len()],
            ..Answer::default()
        };
        Self {
            question,
            sorters,
            number,
            data,
            default_columns,
            hasher: KeyHasher::default(),
            positions: Vec::new(),
            judges: Vec::new(),
            utf8: true,
            counter: None,
            filled: 0,
            records: vec![Vec::new(); question.keys.len()],
            answer,
        }
    }

    fn file(&mut self, storage: &dyn Storage, bar: &Bar) -> Result<()> {
        let path = self.data.path.as_str();
        let doing = || format!("file '{path}'");
        let source = file::open(storage, path)?;
        let open = |mode| FileReader::open(source.clone(), &self.data.form, mode, Part::WHOLE, ROW_LIMIT);
        let mut head = open(SqlMode::default()).context(codes::CHECK_DATA_SOURCE, doing)?;
        let prologue = Prologue::read(&mut head, path)?;
        let mode = self.question.mode.unwrap_or_else(|| prologue.sql_mode());
        self.utf8 = matches!(prologue.names.as_deref(), None | Some("utf8" | "utf8mb3"));
        let mut reader = open(mode).context(codes::CHECK_DATA_SOURCE, doing)?;
        let columns = reader.footer().map(|footer| Arc::clone(&footer.columns));
        let mut converter = None;
        loop {
            let before = reader.bytes();
            if self.question.sample.is_some_and(|most| before >= most) {
                break;
            }
            match reader.next(1 << 16).context(codes::CHECK_DATA_SOURCE, doing)? {
                Item::Head(head) => {
                    self.columns(head.columns.as_deref())?;
                    let names = head.columns.as_deref().or(self.default_columns.map(Vec::as_slice));
                    converter = self.converter(names.unwrap_or_default(), &columns);
                }
                Item::Rows { bytes, at, .. } => match converter.as_ref() {
                    None => {
                        let mut cells = Vec::with_capacity(self.filled);
                        for (offset, row) in single_rows(bytes, mode) {
                            let place = Place { file: self.number, at: at + offset as u64 };
                            self.row(row, place, mode, &mut cells)?;
                        }
                    }
                    Some(rows) => self.records(rows, bytes, at, mode)?,
                },
                Item::Other { text, at } if before > 0 => prologue.stays(text, at, path)?,
                Item::Other { .. } | Item::End => {}
                Item::Eof => break,
            }
            let moved = reader.bytes() - before;
            self.answer.bytes += moved;
            bar.inc(moved);
        }
        (0..self.records.len()).try_for_each(|key| self.hand_over(key))
    }

    /// What makes rows of SQL of the records of a CSV or Parquet file.
    fn converter(&self, columns: &[String], parquet: &Option<Arc<Vec<Column>>>) -> Option<Rewrite> {
        let cell = |name: &String| match self.question.binary.contains(&name.to_lowercase()) {
            true => ColumnCell::Binary,
            false => ColumnCell::Text,
        };
        let cells = columns.iter().map(cell).collect();
        if let Some(columns) = parquet {
            return Some(Rewrite::Parquet(ParquetRows {
                columns: Arc::clone(columns),
                cells,
                append: Vec::new(),
            }));
        }
        Some(Rewrite::Csv(CsvRows {
            path: self.data.path.as_str().into(),
            dialect: Arc::clone(self.data.form.csv.as_ref()?),
            cells,
            append: Vec::new(),
            quoted_nulls: Arc::default(),
        }))
    }

    /// The records of a run, one by one.
    fn records(&mut self, rows: &Rewrite, bytes: &[u8], at: u64, mode: SqlMode) -> Result<()> {
        let mut text = Vec::new();
        for (offset, record) in rows.single(bytes, mode) {
            let place = Place { file: self.number, at: at + offset as u64 };
            text.clear();
            rows.rows(record, mode, &mut text).map_err(|(_, what)| {
                let (path, at) = (&self.data.path, self.data.form.place(place.at));
                fail(codes::CHECK_DATA_SOURCE, format!("file '{path}': the record at {at}: {what}"))
            })?;
            self.row(&text, place, mode, &mut Vec::with_capacity(self.filled))?;
        }
        Ok(())
    }

    /// Where the wanted columns are in the rows of a statement.
    fn columns(&mut self, written: Option<&[String]>) -> Result<()> {
        let names: Vec<String> = match (written, self.default_columns) {
            (Some(names), _) => names.iter().map(|name| name.to_lowercase()).collect(),
            (None, Some(names)) => names.iter().map(|name| name.to_lowercase()).collect(),
            (None, None) => {
                return Err(fail(
                    codes::CHECK_DATA_SOURCE,
                    format!(
                        "file '{}': its rows have no column list, and no schema file tells their columns: dump with \
                         --complete-insert, or with the schema",
                        self.data.path
                    ),
                ));
            }
        };
        if let (Some(target), Some(written)) = (self.question.target, written) {
            let found = columns::complaints(target, written, None, &self.data.ignored);
            let named = found.into_iter().map(|complaint| format!("file '{}': {complaint}", self.data.path));
            let room = MOST_COMPLAINTS.saturating_sub(self.answer.columns.len());
            self.answer.columns.extend(named.take(room));
        }
        let position = |name: &str| names.iter().position(|own| own == name);
        let parts = |key: &UniqueKey| key.parts.iter().map(|part| position(&part.column)).collect();
        self.positions = self.question.keys.iter().map(parts).collect();
        // Values that are left out are not judged.
        let sent = |name: &String| !self.data.ignored.contains(name);
        self.judges = self
            .question
            .judges
            .iter()
            .map(|(name, _)| Some(name).filter(|name| sent(name)).and_then(|name| position(name)))
            .collect();
        self.counter = self.question.counter.as_deref().and_then(position);
        self.filled = names.len();
        Ok(())
    }

    fn row<'r>(
        &mut self,
        row: &'r [u8],
        place: Place,
        mode: SqlMode,
        found: &mut Vec<Cell<'r>>,
    ) -> Result<()> {
        self.answer.rows += 1;
        if self.answer.longest.is_none_or(|(length, _)| row.len() > length) {
            self.answer.longest = Some((row.len(), place));
        }
        found.clear();
        let bad = |cause| {
            codes::CHECK_DATA_SOURCE.wrap(
                format!("file '{}': the row at {}", self.data.path, self.data.form.place(place.at)),
                cause,
            )
        };
        for cell in cells(row, mode).map_err(bad)? {
            found.push(cell.map_err(bad)?);
        }
        if found.len() != self.filled {
            let first = Miscounted { count: 0, first: place, values: found.len(), columns: self.filled };
            self.answer.miscounted.get_or_insert(first).count += 1;
            self.answer.unknown.iter_mut().for_each(|count| *count += 1);
            return Ok(());
        }
        for number in 0..self.question.keys.len() {
            self.key(number, place, mode, found)?;
        }
        for (number, (_, judge)) in self.question.judges.iter().enumerate() {
            let Some(cell) = self.judges.get(number).copied().flatten().and_then(|at| found.get(at)) else {
                continue;
            };
            if let Some(why) = judge.refusal(cell, mode, self.utf8) {
                let refused = &mut self.answer.refused[number];
                refused
                    .entry(why)
                    .or_insert_with(|| Refused { count: 0, first: place, value: shown(cell.text) })
                    .count += 1;
            }
        }
        if let Some(cell) = self.counter.and_then(|at| found.get(at))
            && let Ok(Value::Int(value)) = cell.value(mode)
        {
            self.answer.highest = self.answer.highest.max(u64::try_from(value).ok());
        }
        Ok(())
    }

    fn key(&mut self, number: usize, place: Place, mode: SqlMode, found: &[Cell<'_>]) -> Result<()> {
        let key = &self.question.keys[number];
        // Few keys have more parts; those take a little heap.
        let mut few = [None; 4];
        let many: Vec<Option<Cell<'_>>>;
        let positions = &self.positions[number];
        let cell = |at: &Option<usize>| at.and_then(|at| found.get(at)).copied();
        let parts: &[Option<Cell<'_>>] = if positions.len() <= few.len() {
            few.iter_mut().zip(positions).for_each(|(slot, at)| *slot = cell(at));
            &few[..positions.len()]
        } else {
            many = positions.iter().map(cell).collect();
            &many
        };
        match self.hasher.key(key, parts, mode) {
            RowKey::Value(value) => self.records[number].push(Record { key: value, place }),
            RowKey::Null => {}
            RowKey::Unknown => self.answer.unknown[number] += 1,
        }
        if self.records[number].len() >= HANDOVER {
            self.hand_over(number)?;
        }
        Ok(())
    }

    fn hand_over(&mut self, number: usize) -> Result<()> {
        let records = &mut self.records[number];
        let mut sorter = self.sorters[number].lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        sorter.add(records).context(codes::CHECK_LOCAL_RESOURCE, || {
            let folder = std::env::temp_dir();
            format!(
                "write keys to the temporary folder {} (set TMPDIR to a disk with room)",
                folder.display()
            )
        })?;
        records.clear();
        Ok(())
    }
}

/// The beginning of a value, in one line.
fn shown(text: &[u8]) -> String {
    let begin = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]);
    let mut out: String = begin.chars().take(SHOWN).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}
