//! One data file of a running import: its identity, its prologue, its cuts. Everything here blocks on reads.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::UNIX_EPOCH;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::{RangeReader, Storage};
use sql::SqlMode;

use crate::advice::Advice;
use crate::downstream::tables::TargetInfo;
use crate::error::{Context, Result, fail};
use crate::ledger::{Done, FileRecord, Piece, file_id};
use crate::source::DataFile;
use crate::source::parquet::Footer;
use crate::source::prologue::Prologue;
use crate::source::rows::{FileReader, Item, Part, WINDOW, checksum};

/// Bytes at each end of a file that go into its hash.
const DIGEST_BYTES: usize = 64 << 10;

/// A file that takes part, before it is opened.
#[derive(Debug, Clone)]
pub struct FileTask {
    /// Where it is and what it holds.
    pub file: DataFile,
    /// What the ledger has written down about it.
    pub record: FileRecord,
    /// Where its rows go.
    pub table: Arc<TargetInfo>,
    /// Columns of its source table, where a schema file tells them.
    pub columns: Option<Arc<Vec<String>>>,
    /// Time zone from rdump's manifest.
    pub zone: Option<String>,
    /// The ledger may hold batches of it.
    pub resumed: bool,
    /// Its time of change is not the recorded one: what is committed and the cuts have to be compared byte by byte.
    pub touched: bool,
}

/// An open file, shared by the workers of its pieces.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub task: Arc<FileTask>,
    /// Its bytes.
    pub reader: Arc<dyn RangeReader>,
    /// What a Parquet file says of itself.
    pub footer: Option<Arc<Footer>>,
    /// What it says about its text.
    pub prologue: Prologue,
    /// The mode in which its text is split.
    pub mode: SqlMode,
    /// Statements that set a session up for it.
    pub session: Vec<String>,
    /// Pieces that are not done.
    pub left: AtomicUsize,
    /// When work on it began.
    pub begun: std::time::Instant,
}

impl FileTask {
    /// Its number in the ledger.
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// The file's path.
    pub fn path(&self) -> &str {
        &self.file.path
    }

    /// Whether its parts can be read without what lies before them.
    pub fn is_plain(&self) -> bool {
        self.file.form.is_plain()
    }
}

impl OpenFile {
    /// How many bytes of the file lie between two of its offsets, about. 0 where nobody knows before its end.
    pub fn bytes(&self, begin: u64, end: u64) -> u64 {
        match &self.footer {
            Some(footer) => footer.bytes_before(end).saturating_sub(footer.bytes_before(begin)),
            None if self.task.is_plain() => end.saturating_sub(begin),
            None => 0,
        }
    }

    /// A reader of a part of it.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rows(&self, part: Part, limit: usize) -> Result<FileReader> {
        let reader = Arc::clone(&self.reader);
        if let Some(footer) = &self.footer {
            return Ok(FileReader::of_parquet(reader, Arc::clone(footer), part));
        }
        FileReader::open(reader, &self.task.file.form, self.mode, part, limit)
            .context(codes::CHECK_DATA_SOURCE, || format!("file '{}'", self.task.path()))
    }
}

/// Opens a data file.
///
/// # Errors
/// The storage's.
pub fn open(storage: &dyn Storage, path: &str) -> Result<Arc<dyn RangeReader>> {
    tokio::runtime::Handle::current()
        .block_on(storage.open(path))
        .context(codes::STORAGE_UNKNOWN, || format!("open file '{path}'"))
}

/// What the ledger writes down about a file as it is now.
///
/// # Errors
/// The storage's.
pub fn record(storage: &dyn Storage, file: &DataFile, target: &TableName) -> Result<FileRecord> {
    let reader = open(storage, &file.path)?;
    let size = reader.size();
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; DIGEST_BYTES];
    for offset in [0, size.saturating_sub(DIGEST_BYTES as u64)] {
        let read = reader
            .read_at_blocking(offset, &mut buffer)
            .context(codes::STORAGE_UNKNOWN, || format!("read file '{}'", file.path))?;
        hasher.update(&buffer[..read]);
    }
    let modified = storage
        .local_path(&file.path)
        .and_then(|path| std::fs::metadata(path).ok()?.modified().ok())
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(0));
    Ok(FileRecord {
        id: file_id(&file.path),
        path: file.path.clone(),
        target: target.clone(),
        size,
        modified,
        digest: hasher.finalize().to_hex().to_string(),
    })
}

/// How a file stands to what an earlier run wrote down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sameness {
    /// It is the same.
    Same,
    /// Its time of change is another, the rest that is written down is not.
    Touched,
    /// It is another, and how.
    Changed(String),
}

/// Compares a file with what an earlier run wrote down.
///
/// # Errors
/// Two files of one number.
pub fn compare(known: &FileRecord, now: &FileRecord) -> Result<Sameness> {
    let changed = |what: String| Ok(Sameness::Changed(what));
    if known.path != now.path {
        return Err(fail(
            codes::INVALID_CHECKPOINT,
            format!(
                "files '{}' and '{}' have the same number in the ledger: rename one",
                known.path, now.path
            ),
        ));
    }
    if known.target != now.target {
        return changed(format!("it went to {} before", known.target));
    }
    if known.size != now.size {
        return changed(format!("it has {} bytes, and had {}", now.size, known.size));
    }
    if known.digest != now.digest {
        return changed("its bytes are others".into());
    }
    Ok(if known.modified == now.modified { Sameness::Same } else { Sameness::Touched })
}

/// A changed file of which rows are in the target.
pub fn changed(path: &str, what: &str, target: &TableName, advice: &Advice) -> crate::error::Error {
    fail(
        codes::INVALID_CHECKPOINT,
        format!(
            "file '{path}' has changed since the task began ({what}), and rows of the old one are in {target}: put the old file back, or \
             empty that table alone, run {} and import again",
            advice.remove(target)
        ),
    )
}

/// Compares a file of another time of change with what was written down: the bytes of committed batches with their checksums, and the
/// cuts with its rows.
///
/// # Errors
/// They differ, or cannot be read.
pub fn verify(file: &OpenFile, pieces: &[Piece], done: &[Done], limit: usize, advice: &Advice) -> Result<()> {
    let (task, reader) = (&file.task, &file.reader);
    let target = &task.table.name;
    for batch in done {
        let sum = checksum(reader, &task.file.form, batch.begin, Some(batch.end))
            .context(codes::STORAGE_UNKNOWN, || format!("read file '{}'", task.path()))?;
        if u64::from(sum) != batch.checksum {
            let what = task.file.form.part(batch.begin, batch.end);
            return Err(changed(task.path(), &what, target, advice));
        }
    }
    if pieces.len() > 1 && !cuts_fit(file, pieces, limit) {
        return Err(changed(task.path(), "its rows end at other places", target, advice));
    }
    Ok(())
}

/// Whether all cuts of a file are ends of rows in the statement they were in. Text that cannot be read does not fit.
fn cuts_fit(file: &OpenFile, pieces: &[Piece], limit: usize) -> bool {
    if let Some(footer) = &file.footer {
        return pieces.iter().all(|piece| piece.begin <= footer.rows());
    }
    let Ok(mut reader) = file.rows(Part::WHOLE, limit) else { return false };
    pieces.iter().skip(1).all(|piece| {
        while reader.offset() < piece.begin {
            let far = piece.begin - reader.offset() > 2 * WINDOW as u64;
            // Row by row where the cut is near.
            match reader.next(if far { WINDOW } else { 1 }) {
                Ok(Item::Eof) | Err(_) => return false,
                Ok(_) => {}
            }
        }
        reader.offset() == piece.begin && reader.head_at() == piece.head_at
    })
}

/// Reads the prologue.
///
/// # Errors
/// Text that cannot be read.
pub fn prologue(
    task: &FileTask,
    reader: &Arc<dyn RangeReader>,
    mode: SqlMode,
    limit: usize,
) -> Result<Prologue> {
    let mut file = FileReader::open(Arc::clone(reader), &task.file.form, mode, Part::WHOLE, limit)
        .context(codes::CHECK_DATA_SOURCE, || format!("file '{}'", task.path()))?;
    Prologue::read(&mut file, task.path())
}

/// Finds the pieces of a file that is not packed: about `piece_bytes` each, cut behind a row. It reads the whole file, because only
/// what stands before a place tells whether it is inside a quote.
///
/// # Errors
/// Text that cannot be read, with its byte.
pub fn cut(file: &OpenFile, limit: usize, piece_bytes: u64) -> Result<Vec<Piece>> {
    let (task, reader) = (&*file.task, &file.reader);
    if let Some(footer) = &file.footer {
        return Ok(cut_parquet(footer, piece_bytes));
    }
    let doing = || format!("file '{}'", task.path());
    let size = reader.size();
    if let Some(dialect) = task.file.form.csv.as_ref().filter(|dialect| dialect.strict) {
        return cut_strict(task, reader, &dialect.terminator, piece_bytes);
    }
    let mut file = file.rows(Part::WHOLE, limit)?;
    let mut pieces = Vec::new();
    let mut piece = Piece { begin: 0, end: size, head_at: None };
    loop {
        let item = file.next(WINDOW).context(codes::CHECK_DATA_SOURCE, doing)?;
        let is_rows = match item {
            Item::Eof => break,
            Item::Rows { .. } => true,
            _ => false,
        };
        let at = file.offset();
        if is_rows && at - piece.begin >= piece_bytes && size - at >= piece_bytes / 2 {
            pieces.push(Piece { end: at, ..piece });
            piece = Piece { begin: at, end: size, head_at: file.head_at() };
        }
    }
    pieces.push(piece);
    Ok(pieces)
}

/// The same for Parquet, whose footer knows.
fn cut_parquet(footer: &Footer, piece_bytes: u64) -> Vec<Piece> {
    let mut pieces = vec![Piece { begin: 0, end: u64::MAX, head_at: None }];
    for at in footer.cuts(piece_bytes) {
        if let Some(last) = pieces.last_mut() {
            last.end = at;
        }
        pieces.push(Piece { begin: at, end: u64::MAX, head_at: Some(0) });
    }
    pieces
}

/// The same for CSV of which is promised that no field holds a terminator: only the places of the cuts are read.
fn cut_strict(
    task: &FileTask,
    reader: &Arc<dyn RangeReader>,
    terminator: &[u8],
    piece_bytes: u64,
) -> Result<Vec<Piece>> {
    let doing = || format!("read file '{}'", task.path());
    let size = reader.size();
    let mut pieces = Vec::new();
    let mut piece = Piece { begin: 0, end: size, head_at: None };
    let mut buffer = vec![0; WINDOW];
    let mut at = piece_bytes;
    while size.saturating_sub(at) >= piece_bytes / 2 {
        let read = reader.read_at_blocking(at, &mut buffer).context(codes::STORAGE_UNKNOWN, doing)?;
        if read == 0 {
            break;
        }
        match memchr::memmem::find(&buffer[..read], terminator) {
            Some(found) => {
                let end = at + (found + terminator.len()) as u64;
                pieces.push(Piece { end, ..piece });
                piece = Piece { begin: end, end: size, head_at: Some(0) };
                at = end + piece_bytes;
            }
            // It may lie across the end of the window.
            None => at += (read.saturating_sub(terminator.len() - 1)).max(1) as u64,
        }
    }
    pieces.push(piece);
    Ok(pieces)
}

/// Which rows of a file, counted from 0, begin at these bytes. It reads the file row by row. Blocks.
///
/// # Errors
/// A byte where no row begins; text that cannot be read.
pub fn row_numbers(file: &OpenFile, offsets: &BTreeSet<u64>, limit: usize) -> Result<BTreeSet<u64>> {
    let path = file.task.path();
    let doing = || format!("file '{path}'");
    let form = &file.task.file.form;
    let mut reader = FileReader::open(Arc::clone(&file.reader), form, file.mode, Part::WHOLE, limit)
        .context(codes::CHECK_DATA_SOURCE, doing)?;
    let (mut number, mut found) = (0, BTreeSet::new());
    while found.len() < offsets.len() {
        match reader.next(1).context(codes::CHECK_DATA_SOURCE, doing)? {
            Item::Eof => {
                return Err(fail(
                    codes::CHECKSUM_MISMATCH,
                    format!(
                        "verification of {} can't be exact: the records of rows that were left out tell of bytes of file '{path}' where no row \
                         begins",
                        file.task.record.target
                    ),
                ));
            }
            Item::Rows { at, count, .. } => {
                if offsets.contains(&at) {
                    found.insert(number);
                }
                number += count;
            }
            _ => {}
        }
    }
    Ok(found)
}

/// Where the committed batches of a piece end, and inside which statement. `None`: the piece is done.
///
/// # Errors
/// Batches that leave a gap between them: the ledger was changed by hand.
pub fn resume_at(task: &FileTask, piece: &Piece, done: &[Done]) -> Result<Option<(u64, Option<u64>)>> {
    let mut at = (piece.begin, piece.head_at);
    for batch in done.iter().filter(|batch| batch.begin >= piece.begin && batch.begin < piece.end) {
        if batch.begin != at.0 || batch.end <= batch.begin || batch.end > piece.end {
            return Err(fail(
                codes::INVALID_CHECKPOINT,
                format!(
                    "the ledger's batches of file '{}' do not follow one another (at byte {}): it was changed by hand",
                    task.path(),
                    at.0
                ),
            ));
        }
        at = (batch.end, batch.head_at);
    }
    Ok((at.0 < piece.end).then_some(at))
}

/// Checks that the pieces cover the file from its first to its last byte.
///
/// # Errors
/// They do not: the ledger was changed by hand.
pub fn check_pieces(task: &FileTask, pieces: &[Piece]) -> Result<()> {
    let end = if task.is_plain() { task.file.size } else { u64::MAX };
    let joined = pieces.windows(2).all(|pair| pair[0].end == pair[1].begin);
    let covers = pieces.first().is_some_and(|first| first.begin == 0)
        && pieces.last().is_some_and(|last| last.end == end);
    if joined && covers {
        return Ok(());
    }
    Err(fail(
        codes::INVALID_CHECKPOINT,
        format!("the ledger's cuts of file '{}' do not cover it: it was changed by hand", task.path()),
    ))
}

/// Files that the task knows and the source no longer has.
pub fn missing<'a>(
    known: &'a HashMap<u64, FileRecord>,
    now: &std::collections::HashSet<u64>,
) -> Option<&'a FileRecord> {
    known.values().filter(|record| !now.contains(&record.id)).min_by(|a, b| a.path.cmp(&b.path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::form::FileForm;

    fn task(size: u64) -> FileTask {
        let table = TargetInfo {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            is_view: false,
            created: String::new(),
            columns: Vec::new(),
        };
        FileTask {
            file: DataFile {
                path: "d.t.sql".into(),
                size,
                source: TableName::new("d", "t"),
                form: FileForm::default(),
                key: String::new(),
                extracted: Vec::new(),
                ignored: Vec::new(),
            },
            record: FileRecord {
                id: 1,
                path: "d.t.sql".into(),
                target: TableName::new("d", "t"),
                size,
                modified: 1,
                digest: String::new(),
            },
            table: Arc::new(table),
            columns: None,
            zone: None,
            resumed: true,
            touched: false,
        }
    }

    fn opened(text: &str) -> (tempfile::TempDir, Arc<dyn RangeReader>) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("d.t.sql"), text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let storage = common::storage::LocalStorage::new(folder.path());
        let reader = runtime.block_on(storage.open("d.t.sql")).unwrap();
        (folder, reader)
    }

    #[test]
    fn pieces_end_behind_rows_and_cover_the_file() {
        let mut text = String::from("/*!40101 SET NAMES binary*/;\nINSERT INTO `t` VALUES\n(0,'a')");
        for number in 1..60_000 {
            text.push_str(&format!(",\n({number},'),\\n(1,''x\"')"));
            if number % 7000 == 0 {
                text.push_str(";\nINSERT INTO `t` VALUES (-1,'b')");
            }
        }
        text.push_str(";\n");
        let (_folder, reader) = opened(&text);
        let task = task(text.len() as u64);
        let file = OpenFile {
            task: Arc::new(task.clone()),
            reader,
            footer: None,
            prologue: Prologue::default(),
            mode: SqlMode::default(),
            session: Vec::new(),
            left: AtomicUsize::new(0),
            begun: std::time::Instant::now(),
        };
        let pieces = cut(&file, 1 << 24, 300_000).unwrap();
        assert!(pieces.len() > 2, "{pieces:?}");
        check_pieces(&task, &pieces).unwrap();
        for piece in &pieces[1..] {
            let before = &text[..piece.begin as usize];
            assert!(before.ends_with("')"), "{}", &before[before.len() - 20..]);
            assert!(text[piece.head_at.unwrap() as usize..].starts_with("INSERT INTO `t` VALUES"));
        }
    }

    #[test]
    fn a_piece_goes_on_behind_its_batches() {
        let task = task(100);
        let piece = Piece { begin: 10, end: 100, head_at: Some(1) };
        let done = |begin, end| Done { begin, end, rows: 1, checksum: 0, head_at: Some(7) };
        assert_eq!(resume_at(&task, &piece, &[]).unwrap(), Some((10, Some(1))));
        assert_eq!(resume_at(&task, &piece, &[done(0, 10), done(10, 40)]).unwrap(), Some((40, Some(7))));
        assert_eq!(resume_at(&task, &piece, &[done(10, 40), done(40, 100)]).unwrap(), None);
        assert!(resume_at(&task, &piece, &[done(10, 40), done(50, 100)]).is_err());
        assert!(resume_at(&task, &piece, &[done(20, 40)]).is_err());
        assert!(check_pieces(&task, &[piece]).is_err());
    }

    #[test]
    fn a_changed_file_is_told_from_a_touched_one() {
        let record = FileRecord {
            id: 1,
            path: "a".into(),
            target: TableName::new("d", "t"),
            size: 5,
            modified: 1,
            digest: "x".into(),
        };
        assert_eq!(compare(&record, &record).unwrap(), Sameness::Same);
        let touched = FileRecord { modified: 2, ..record.clone() };
        assert_eq!(compare(&record, &touched).unwrap(), Sameness::Touched);
        for other in [
            FileRecord { size: 6, ..record.clone() },
            FileRecord { digest: "y".into(), ..record.clone() },
            FileRecord { target: TableName::new("d", "u"), ..record.clone() },
        ] {
            assert!(matches!(compare(&record, &other).unwrap(), Sameness::Changed(_)), "{other:?}");
        }
    }
}
