//! Reads a data file as heads and runs of rows, through a window of bounded size; Parquet has a reader of its own below this one.

use std::io::{self, Read};
use std::sync::Arc;

use common::storage::RangeReader;
use sql::lexer::SqlMode;
use sql::values::{self, Head, ValuesError, ValuesReader};

use super::csv::{CsvError, CsvReader};
use super::form::FileForm;
use super::input::Input;
use super::parquet::{self, Footer, ParquetFault, RowReader};

/// First size of the window, and of a read. Rows are found in runs of at most this many bytes.
pub const WINDOW: usize = 256 << 10;

/// Why a data file cannot be read on. Offsets count from the start of the (unpacked) file.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The storage failed, or a packed file is damaged or of another kind than its name says.
    #[error("cannot read on at byte {offset}: {cause}")]
    Io {
        /// How far it was read.
        offset: u64,
        /// What failed.
        #[source]
        cause: io::Error,
    },
    /// The text is no INSERT text.
    #[error(transparent)]
    Text(#[from] ValuesError),
    /// The text is no CSV.
    #[error(transparent)]
    Csv(#[from] CsvError),
    /// The file is no Parquet, or none that can be read.
    #[error(transparent)]
    Parquet(#[from] ParquetFault),
    /// A row, or something never closed, that does not fit into memory or the target's packets.
    #[error(
        "what begins at byte {offset} does not end within {limit} bytes, the most that the target takes in one statement: \
         an unclosed quote, or a row for which `max_allowed_packet` of the target and `tidb.max-allowed-packet` must be raised"
    )]
    TooLong {
        /// Where it begins.
        offset: u64,
        /// The limit.
        limit: usize,
    },
    /// `ON DUPLICATE KEY UPDATE` and the like.
    #[error(
        "the INSERT has a clause behind its rows, at byte {offset}, that cannot be kept: set `conflict.strategy` instead"
    )]
    Tail {
        /// Where it begins.
        offset: u64,
    },
    /// The file ends inside a statement.
    #[error(
        "the file ends at byte {offset} without the semicolon of its last statement: it was cut short; copy or dump it again \
         (or append a semicolon, if it is whole)"
    )]
    Unterminated {
        /// The length of the file.
        offset: u64,
    },
}

/// What was found; offsets as in [`ReadError`].
#[derive(Debug)]
pub enum Item<'a> {
    /// The text of an INSERT up to VALUES. Runs of its rows follow.
    Head(Head),
    /// Whole rows, which can stand behind VALUES as they are; of CSV whole records, of Parquet what [`parquet::row`] says.
    Rows {
        /// Their bytes.
        bytes: &'a [u8],
        /// Offset of the first byte, or its number.
        at: u64,
        /// How many rows.
        count: u64,
    },
    /// Another statement.
    Other {
        /// Its text.
        text: &'a [u8],
        /// Where it begins.
        at: u64,
    },
    /// The end of an INSERT.
    End,
    /// The end of the file or of the part that was asked for.
    Eof,
}

/// Where reading begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First byte.
    pub begin: u64,
    /// `begin` is a row's end inside the statement whose head begins here; `None`: between statements.
    pub head_at: Option<u64>,
    /// One past the last byte, a row's end or the end of the file; `None`: the end of the file, wherever that is.
    pub end: Option<u64>,
    /// Whether the file ends there, so that the last statement must be closed.
    pub last: bool,
}

impl Part {
    /// The whole file.
    pub const WHOLE: Part = Part { begin: 0, head_at: None, end: None, last: true };
}

/// What finds rows in the window.
enum Finder {
    Sql(ValuesReader),
    Csv(CsvReader),
}

impl Finder {
    fn offset(&self) -> u64 {
        match self {
            Self::Sql(reader) => reader.offset(),
            Self::Csv(reader) => reader.offset(),
        }
    }

    fn next(&mut self, window: &[u8], at_end: bool, max_bytes: usize) -> Result<values::Item, ReadError> {
        Ok(match self {
            Self::Sql(reader) => reader.next(window, at_end, max_bytes)?,
            Self::Csv(reader) => reader.next(window, at_end, max_bytes)?,
        })
    }
}

/// Checksum of a part of a file; that of two parts in a row can be made of theirs.
#[derive(Debug, Clone, Default)]
pub struct Segment {
    /// Of text.
    text: crc32fast::Hasher,
    /// Of Parquet's rows.
    rows: parquet::row::Sum,
}

impl Segment {
    /// Adds the part that comes behind this one.
    pub fn combine(&mut self, other: &Segment) {
        self.text.combine(&other.text);
        self.rows.add(other.rows);
    }

    /// The checksum. A file is one or the other, and what is not there counts as 0.
    pub fn value(self) -> u32 {
        self.text.finalize() ^ self.rows.value()
    }
}

/// Checksum of a part of a file, as its batches have it. Blocks.
///
/// # Errors
/// It cannot be read.
pub fn checksum(
    reader: &Arc<dyn RangeReader>,
    form: &FileForm,
    begin: u64,
    end: Option<u64>,
) -> io::Result<u32> {
    if form.parquet {
        return parquet::checksum(reader, begin, end);
    }
    let mut input = Input::open(Arc::clone(reader), form, begin, end)?;
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; WINDOW];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(hasher.finalize()),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// A reader over one file.
pub struct FileReader(Inner);

enum Inner {
    Text(Box<TextReader>),
    Rows(Box<ParquetRows>),
}

struct ParquetRows {
    reader: RowReader,
    head_given: bool,
    segment: Segment,
}

impl FileReader {
    /// Opens a part of a file. `limit` bounds the memory for one row.
    ///
    /// # Errors
    /// [`ReadError::Io`]; a file that is no Parquet.
    pub fn open(
        reader: Arc<dyn RangeReader>,
        form: &FileForm,
        mode: SqlMode,
        part: Part,
        limit: usize,
    ) -> Result<Self, ReadError> {
        if form.parquet {
            let footer = Footer::read(&reader)?;
            return Ok(Self::of_parquet(reader, footer, part));
        }
        Ok(Self(Inner::Text(Box::new(TextReader::open(reader, form, mode, part, limit)?))))
    }

    /// Opens a part of a Parquet file of which the footer is known.
    pub fn of_parquet(reader: Arc<dyn RangeReader>, footer: Arc<Footer>, part: Part) -> Self {
        let head_given = part.head_at.is_some();
        let reader = RowReader::new(reader, footer, part.begin, part.end);
        Self(Inner::Rows(Box::new(ParquetRows { reader, head_given, segment: Segment::default() })))
    }

    /// Reads the head that begins at `head_at`: what a reader that starts inside its rows has to know.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn head(
        reader: Arc<dyn RangeReader>,
        form: &FileForm,
        mode: SqlMode,
        head_at: u64,
        limit: usize,
    ) -> Result<Option<Head>, ReadError> {
        let part = Part { begin: head_at, ..Part::WHOLE };
        let mut file = Self::open(reader, form, mode, part, limit)?;
        match file.next(1)? {
            Item::Head(head) => Ok(Some(head)),
            _ => Ok(None),
        }
    }

    /// Offset of the next unread byte; after [`Item::Rows`] the end of the last row. Of Parquet the number of the next row.
    pub fn offset(&self) -> u64 {
        match &self.0 {
            Inner::Text(text) => text.reader.offset(),
            Inner::Rows(rows) => rows.reader.offset(),
        }
    }

    /// How many bytes were read, about.
    pub fn bytes(&self) -> u64 {
        match self.footer() {
            Some(footer) => footer.bytes_before(self.offset()),
            None => self.offset(),
        }
    }

    /// What a Parquet file says of itself.
    pub fn footer(&self) -> Option<&Arc<Footer>> {
        match &self.0 {
            Inner::Text(_) => None,
            Inner::Rows(rows) => Some(rows.reader.footer()),
        }
    }

    /// Where the head of the statement in progress begins.
    pub fn head_at(&self) -> Option<u64> {
        match &self.0 {
            Inner::Text(text) => text.head_at,
            Inner::Rows(rows) => rows.head_given.then_some(0),
        }
    }

    /// Checksum of what the last [`next`](Self::next) went over, from its old offset to its new one.
    pub fn segment(&self) -> &Segment {
        match &self.0 {
            Inner::Text(text) => &text.segment,
            Inner::Rows(rows) => &rows.segment,
        }
    }

    /// Reads on. A run of rows ends with the row that makes it `max_bytes` long, or earlier.
    ///
    /// # Errors
    /// See [`ReadError`]. Rows before the error have been given out.
    pub fn next(&mut self, max_bytes: usize) -> Result<Item<'_>, ReadError> {
        match &mut self.0 {
            Inner::Text(text) => text.next(max_bytes),
            Inner::Rows(rows) => rows.next(max_bytes),
        }
    }
}

impl ParquetRows {
    fn next(&mut self, max_bytes: usize) -> Result<Item<'_>, ReadError> {
        self.segment = Segment::default();
        if !self.head_given {
            self.head_given = true;
            return Ok(Item::Head(self.reader.footer().head()));
        }
        let Self { reader, segment, .. } = self;
        let run = reader.next(max_bytes)?;
        Ok(match run {
            Some(run) => {
                segment.rows = run.sum;
                Item::Rows { bytes: run.bytes, at: run.at, count: run.count }
            }
            None => Item::Eof,
        })
    }
}

/// A reader over a file of text. Memory: the window, which grows up to `limit` only for rows that long.
struct TextReader {
    input: Input,
    buffer: Vec<u8>,
    /// `buffer[start..filled]` is the window.
    start: usize,
    filled: usize,
    ended: bool,
    reader: Finder,
    limit: usize,
    last: bool,
    head_at: Option<u64>,
    unterminated: bool,
    segment: Segment,
}

impl TextReader {
    fn open(
        reader: Arc<dyn RangeReader>,
        form: &FileForm,
        mode: SqlMode,
        part: Part,
        limit: usize,
    ) -> Result<Self, ReadError> {
        let input = Input::open(reader, form, part.begin, part.end)
            .map_err(|cause| ReadError::Io { offset: 0, cause })?;
        let reader = match (&form.csv, part.head_at) {
            (Some(dialect), head) => {
                Finder::Csv(CsvReader::new(Arc::clone(dialect), part.begin, head.is_some()))
            }
            (None, None) => Finder::Sql(ValuesReader::new(mode, part.begin)),
            (None, Some(_)) => Finder::Sql(ValuesReader::resume(mode, part.begin)),
        };
        Ok(Self {
            input,
            buffer: vec![0; WINDOW],
            start: 0,
            filled: 0,
            ended: false,
            reader,
            limit: limit.max(WINDOW),
            last: part.last,
            head_at: part.head_at,
            unterminated: false,
            segment: Segment::default(),
        })
    }

    fn next(&mut self, max_bytes: usize) -> Result<Item<'_>, ReadError> {
        let (item, base, at) = self.advance(max_bytes)?;
        let text =
            |span: sql::Span| (&self.buffer[base + span.start..base + span.end], at + span.start as u64);
        Ok(match item {
            values::Item::Head(head) => {
                self.head_at = Some(at + head.span.start as u64);
                Item::Head(head)
            }
            values::Item::Rows { span, count } => {
                let (bytes, at) = text(span);
                Item::Rows { bytes, at, count }
            }
            values::Item::Other(span) => {
                let (text, at) = text(span);
                Item::Other { text, at }
            }
            values::Item::Tail(span) => {
                return Err(ReadError::Tail { offset: at + span.start as u64 });
            }
            values::Item::End => {
                let closed = self.start > base && self.buffer[self.start - 1] == b';';
                self.unterminated = !closed;
                self.head_at = None;
                Item::End
            }
            values::Item::More | values::Item::Eof => {
                if self.unterminated && self.last {
                    return Err(ReadError::Unterminated { offset: self.reader.offset() });
                }
                Item::Eof
            }
        })
    }

    /// The next item, the start of the window its spans count from, and the offset of that in the file.
    fn advance(&mut self, max_bytes: usize) -> Result<(values::Item, usize, u64), ReadError> {
        self.segment = Segment::default();
        loop {
            let (base, at) = (self.start, self.reader.offset());
            let item = self.reader.next(&self.buffer[base..self.filled], self.ended, max_bytes)?;
            self.start += usize::try_from(self.reader.offset() - at).unwrap_or(usize::MAX);
            // Also a reader that asks for more may be done with blanks.
            self.segment.text.update(&self.buffer[base..self.start]);
            if item != values::Item::More {
                return Ok((item, base, at));
            }
            if self.ended {
                // The reader asks for more only where something is missing.
                return Err(ValuesError::Truncated {
                    offset: self.reader.offset() + (self.filled - self.start) as u64,
                    expected: "the rest of a statement",
                }
                .into());
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let pending = self.filled - self.start;
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            (self.start, self.filled) = (0, pending);
        }
        if pending >= self.limit {
            return Err(ReadError::TooLong { offset: self.reader.offset(), limit: self.limit });
        }
        // Doubling keeps the repeated scans of one long row linear in its length.
        if self.buffer.len() < pending * 2 {
            self.buffer.resize((pending * 2).min(self.limit), 0);
        } else if self.buffer.len() > 2 * WINDOW && pending < WINDOW / 2 {
            self.buffer.truncate(WINDOW);
            self.buffer.shrink_to_fit();
        }
        let read = self
            .input
            .read(&mut self.buffer[pending..])
            .map_err(|cause| ReadError::Io { offset: self.reader.offset() + pending as u64, cause })?;
        self.filled += read;
        self.ended = read == 0;
        Ok(())
    }
}
