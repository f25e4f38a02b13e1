//! Rows events: images of rows before and after a change.

use std::borrow::Cow;
use std::sync::Arc;

use crate::compress;
use crate::error::{DecodeError, Fault, Place};
use crate::json;
use crate::reader::{Reader, be, le};
use crate::table_map::{ColumnHint, ColumnKind, TableMap};
use crate::temporal::{fraction_len, maria_datetime_len, maria_time_len, maria_timestamp_len};
use crate::value::{self, Value};

/// What a rows event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RowsKind {
    /// Only after images.
    Insert,
    /// Pairs of before and after images.
    Update,
    /// Only before images.
    Delete,
}

/// A rows event.
#[derive(Clone, Debug)]
pub struct RowsEvent<'a> {
    /// What it does.
    pub kind: RowsKind,
    /// Its table.
    pub table: Arc<TableMap>,
    /// Flags, see the constants.
    pub flags: u16,
    /// Update_rows_partial: JSON documents may come as differences.
    pub(crate) partial: bool,
    pub(crate) before: Option<Present<'a>>,
    pub(crate) after: Option<Present<'a>>,
    pub(crate) data: Cow<'a, [u8]>,
    pub(crate) limit: u64,
    pub(crate) place: Place,
}

impl RowsEvent<'_> {
    /// The last rows event of its statement.
    pub const FLAG_STATEMENT_END: u16 = 1;
    /// The session had foreign_key_checks off.
    pub const FLAG_NO_FOREIGN_KEY_CHECKS: u16 = 2;
    /// The session had unique_checks off.
    pub const FLAG_NO_UNIQUE_CHECKS: u16 = 4;

    /// Whether the session had foreign keys checked, so that they acted.
    pub fn checks_foreign_keys(&self) -> bool {
        self.flags & Self::FLAG_NO_FOREIGN_KEY_CHECKS == 0
    }

    /// Whether this is the last rows event of its statement.
    pub fn is_statement_end(&self) -> bool {
        self.flags & Self::FLAG_STATEMENT_END != 0
    }

    /// Whether every column is in each image (`binlog_row_image=FULL`).
    pub fn is_full_image(&self) -> bool {
        let full = |present: &Option<Present<'_>>| present.as_ref().is_none_or(|present| present.all);
        full(&self.before) && full(&self.after)
    }

    /// Bytes of the rows, decompressed.
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Walks the rows with what the table map says.
    pub fn rows(&self) -> Rows<'_> {
        self.rows_with(&[])
    }

    /// Walks the rows with what the caller knows about the columns: `hints` in the order of the columns; those that are
    /// missing at the end are taken as empty.
    pub fn rows_with<'r>(&'r self, hints: &'r [ColumnHint]) -> Rows<'r> {
        let table: &TableMap = &self.table;
        Rows {
            event: self,
            plan: hinted_plan(&table.plan, hints),
            hints,
            offset: 0,
            started: false,
            before: Vec::new(),
            after: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

/// MariaDB's own fractional types cannot be told from the old ones without a hint.
fn hinted_plan<'r>(plan: &'r [ColumnKind], hints: &[ColumnHint]) -> Cow<'r, [ColumnKind]> {
    let mut plan = Cow::Borrowed(plan);
    for (index, hint) in hints.iter().enumerate().filter(|(_, hint)| hint.fsp > 0) {
        let fsp = hint.fsp.min(6);
        let kind = match plan.get(index) {
            Some(ColumnKind::OldTime) => ColumnKind::MariaTime { fsp },
            Some(ColumnKind::OldDateTime) => ColumnKind::MariaDateTime { fsp },
            Some(ColumnKind::OldTimestamp) => ColumnKind::MariaTimestamp { fsp },
            _ => continue,
        };
        plan.to_mut()[index] = kind;
    }
    plan
}

/// The columns that an image holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Present<'a> {
    bits: &'a [u8],
    /// How many there are.
    count: usize,
    all: bool,
}

impl<'a> Present<'a> {
    pub(crate) fn read(reader: &mut Reader<'a>, columns: usize) -> Result<Present<'a>, Fault> {
        let bits = reader.take(columns.div_ceil(8), "columns of the image")?;
        let count = (0..columns).filter(|index| bit(bits, *index)).count();
        Ok(Present { bits, count, all: count == columns })
    }
}

fn bit(bits: &[u8], index: usize) -> bool {
    bits.get(index / 8).is_some_and(|byte| byte >> (index % 8) & 1 != 0)
}

/// Where a value lies: in the event, or in the scratch buffer of the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cell {
    Absent,
    Null,
    Data {
        start: u32,
        len: u32,
    },
    /// Decompressed, or JSON text after applying differences.
    Scratch {
        start: u32,
        len: u32,
    },
}

/// Walks the rows of an event. It lends: a row is gone when the next is asked for. Nothing is allocated per row or value
/// once its buffers have grown.
#[derive(Debug)]
pub struct Rows<'r> {
    event: &'r RowsEvent<'r>,
    plan: Cow<'r, [ColumnKind]>,
    hints: &'r [ColumnHint],
    offset: usize,
    started: bool,
    before: Vec<Cell>,
    after: Vec<Cell>,
    scratch: Vec<u8>,
}

/// One change: an insert has no `before`, a delete no `after`.
#[derive(Clone, Copy, Debug)]
pub struct Change<'r> {
    /// The row as it was.
    pub before: Option<Row<'r>>,
    /// The row as it is now.
    pub after: Option<Row<'r>>,
}

impl Rows<'_> {
    /// The next change.
    ///
    /// # Errors
    /// A row that does not fit its columns or the event; a partial JSON update that cannot be applied. The walk is over
    /// then.
    #[expect(clippy::should_implement_trait, reason = "it lends from itself")]
    pub fn next(&mut self) -> Result<Option<Change<'_>>, DecodeError> {
        match self.advance() {
            Ok(true) => Ok(Some(Change {
                before: self.event.before.is_some().then(|| self.row(&self.before)),
                after: self.event.after.is_some().then(|| self.row(&self.after)),
            })),
            Ok(false) => Ok(None),
            Err(fault) => {
                self.offset = self.event.data.len();
                self.started = true;
                Err(self.event.place.fault(fault))
            }
        }
    }

    fn row<'s>(&'s self, cells: &'s [Cell]) -> Row<'s> {
        Row {
            cells,
            plan: &self.plan,
            table: &self.event.table,
            hints: self.hints,
            data: &self.event.data,
            scratch: &self.scratch,
            place: &self.event.place,
        }
    }

    /// Old temporal columns may be MariaDB's fractional ones, which are longer or shorter and are not told from them by the
    /// log. Then the rows do not line up with the event, which must be known before the first is handed out.
    fn needs_check(&self) -> bool {
        let old = |kind: &ColumnKind| {
            matches!(kind, ColumnKind::OldTime | ColumnKind::OldDateTime | ColumnKind::OldTimestamp)
        };
        self.plan.iter().any(old)
    }

    fn check_alignment(&mut self) -> Result<(), Fault> {
        self.started = true;
        let result = loop {
            match self.advance() {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(fault) => {
                    break Err(Fault::invalid(
                        "rows",
                        format_args!(
                            "{fault} (MariaDB with mysql56_temporal_format=OFF and TIME, DATETIME or TIMESTAMP with a \
                             fraction? their numbers of digits must be given)"
                        ),
                    ));
                }
            }
        };
        self.offset = 0;
        result
    }

    fn advance(&mut self) -> Result<bool, Fault> {
        let event = self.event;
        let rest = event.data.get(self.offset..).unwrap_or_default();
        if rest.is_empty() {
            // A row whose images hold no column at all (INSERT … VALUES () with minimal images) has no bytes.
            let columns =
                [event.before, event.after].iter().flatten().map(|present| present.count).sum::<usize>();
            let one = !self.started && columns == 0 && !event.partial;
            self.started = true;
            if one {
                let width = self.plan.len();
                self.before.resize(width, Cell::Absent);
                self.after.resize(width, Cell::Absent);
            }
            return Ok(one);
        }
        if !self.started && self.needs_check() {
            self.check_alignment()?;
        }
        self.started = true;
        self.scratch.clear();
        let mut walk = Walk {
            plan: &self.plan,
            data: &event.data,
            offset: self.offset,
            scratch: &mut self.scratch,
            limit: event.limit,
        };
        if let Some(present) = &event.before {
            walk.image(present, None, &mut self.before)?;
        }
        if let Some(present) = &event.after {
            let partial = if event.partial { walk.partial_columns()? } else { None };
            let before = partial.map(|bits| (bits, &self.before[..]));
            walk.image(present, before, &mut self.after)?;
        }
        if walk.offset == self.offset {
            return Err(Fault::TooLong { what: "rows without columns", left: rest.len() });
        }
        self.offset = walk.offset;
        Ok(true)
    }
}

/// Reads the images of one row.
struct Walk<'w> {
    plan: &'w [ColumnKind],
    data: &'w [u8],
    offset: usize,
    scratch: &'w mut Vec<u8>,
    limit: u64,
}

impl<'w> Walk<'w> {
    fn take(&mut self, len: usize, what: &'static str) -> Result<&'w [u8], Fault> {
        let rest = self.data.get(self.offset..).unwrap_or_default();
        let taken =
            rest.get(..len).ok_or(Fault::Truncated { what, needed: len as u64, left: rest.len() as u64 })?;
        self.offset += len;
        Ok(taken)
    }

    /// `partial`: which JSON columns hold differences, and the image that they refer to.
    fn image(
        &mut self,
        present: &Present<'_>,
        partial: Option<(&[u8], &[Cell])>,
        cells: &mut Vec<Cell>,
    ) -> Result<(), Fault> {
        cells.clear();
        let nulls = self.take(present.count.div_ceil(8), "null bits of a row")?;
        let plan = self.plan;
        let (mut seen, mut json_seen) = (0, 0);
        for (index, kind) in plan.iter().enumerate() {
            let json_index = json_seen;
            if partial.is_some() && matches!(kind, ColumnKind::Json { .. }) {
                json_seen += 1;
            }
            if !present.all && !bit(present.bits, index) {
                cells.push(Cell::Absent);
                continue;
            }
            let null = bit(nulls, seen);
            seen += 1;
            if null {
                cells.push(Cell::Null);
                continue;
            }
            let cell = match partial {
                Some((bits, before)) if matches!(kind, ColumnKind::Json { .. }) && bit(bits, json_index) => {
                    self.json_differences(index, before)?
                }
                _ => self.cell(*kind).map_err(|fault| fault.in_column(index))?,
            };
            cells.push(cell);
        }
        Ok(())
    }

    #[inline]
    fn cell(&mut self, kind: ColumnKind) -> Result<Cell, Fault> {
        let rest = self.data.get(self.offset..).unwrap_or_default();
        let (prefix, len) = measure(kind, rest)?;
        if rest.len() < prefix + len {
            return Err(Fault::Truncated {
                what: "value",
                needed: len as u64,
                left: (rest.len() - prefix.min(rest.len())) as u64,
            });
        }
        let start = self.offset + prefix;
        self.offset = start + len;
        match kind {
            ColumnKind::CompressedVarChar { .. } | ColumnKind::CompressedBlob { .. } => {
                let from = self.scratch.len();
                compress::maria_column(&rest[prefix..prefix + len], self.limit, self.scratch)?;
                scratch_cell(from, self.scratch.len())
            }
            // An event is never longer than its 32-bit size says, but a compressed one may be.
            _ => match (u32::try_from(start), u32::try_from(len)) {
                (Ok(start), Ok(len)) => Ok(Cell::Data { start, len }),
                _ => Err(Fault::Unsupported("rows of more than 4 GiB in one event")),
            },
        }
    }

    /// The begin of an after image in Update_rows_partial: options, and which of the JSON columns hold differences.
    fn partial_columns(&mut self) -> Result<Option<&'w [u8]>, Fault> {
        let mut reader = Reader::new(self.data.get(self.offset..).unwrap_or_default());
        let before = reader.left();
        let options = reader.packed("row options")?;
        self.offset += before - reader.left();
        match options {
            0 => Ok(None),
            1 => {
                let json = self.plan.iter().filter(|kind| matches!(kind, ColumnKind::Json { .. })).count();
                self.take(json.div_ceil(8), "partial columns").map(Some)
            }
            other => Err(Fault::Unknown { what: "row options", value: other }),
        }
    }

    fn json_differences(&mut self, index: usize, before: &[Cell]) -> Result<Cell, Fault> {
        let at = |fault: Fault| fault.in_column(index);
        let len = le(self.take(4, "length of JSON differences").map_err(at)?) as usize;
        let differences = self.take(len, "JSON differences").map_err(at)?;
        let old = match before.get(index) {
            Some(Cell::Data { start, len }) => range(self.data, *start, *len),
            _ => return Err(Fault::NoJsonBefore { column: index }),
        };
        let from = self.scratch.len();
        json::apply(old, differences, self.scratch).map_err(at)?;
        scratch_cell(from, self.scratch.len()).map_err(at)
    }
}

fn scratch_cell(from: usize, to: usize) -> Result<Cell, Fault> {
    match (u32::try_from(from), u32::try_from(to - from)) {
        (Ok(start), Ok(len)) => Ok(Cell::Scratch { start, len }),
        _ => Err(Fault::Unsupported("a row of more than 4 GiB")),
    }
}

fn range(bytes: &[u8], start: u32, len: u32) -> &[u8] {
    bytes.get(start as usize..start as usize + len as usize).unwrap_or_default()
}

/// Length of a value that begins at `rest`: of its length field, and of itself.
#[inline]
fn measure(kind: ColumnKind, rest: &[u8]) -> Result<(usize, usize), Fault> {
    let fixed = match kind {
        ColumnKind::Tiny | ColumnKind::Year => 1,
        ColumnKind::Short => 2,
        ColumnKind::Int24 | ColumnKind::Date | ColumnKind::OldTime => 3,
        ColumnKind::Long | ColumnKind::Float | ColumnKind::OldTimestamp => 4,
        ColumnKind::LongLong | ColumnKind::Double | ColumnKind::OldDateTime => 8,
        ColumnKind::Decimal { precision, scale } => value::decimal_len(precision, scale),
        ColumnKind::Time { fsp } => 3 + fraction_len(fsp),
        ColumnKind::DateTime { fsp } => 5 + fraction_len(fsp),
        ColumnKind::Timestamp { fsp } => 4 + fraction_len(fsp),
        ColumnKind::MariaTime { fsp } => maria_time_len(fsp),
        ColumnKind::MariaDateTime { fsp } => maria_datetime_len(fsp),
        ColumnKind::MariaTimestamp { fsp } => maria_timestamp_len(fsp),
        ColumnKind::Bit { bits } => usize::from(bits.div_ceil(8)),
        ColumnKind::Enum { bytes } | ColumnKind::Set { bytes } => usize::from(bytes),
        ColumnKind::Null => 0,
        ColumnKind::Char { width }
        | ColumnKind::VarChar { width }
        | ColumnKind::CompressedVarChar { width } => {
            let prefix = if width > 255 { 2 } else { 1 };
            let len = read_len(rest, prefix)?;
            // A compressed value has up to one byte more than its column is wide.
            let most = usize::from(width) + usize::from(matches!(kind, ColumnKind::CompressedVarChar { .. }));
            if len > most {
                return Err(Fault::invalid("length of text", format_args!("{len} bytes of {width}")));
            }
            return Ok((prefix, len));
        }
        ColumnKind::Blob { len_bytes }
        | ColumnKind::Json { len_bytes }
        | ColumnKind::Geometry { len_bytes }
        | ColumnKind::Vector { len_bytes }
        | ColumnKind::CompressedBlob { len_bytes } => {
            let prefix = usize::from(len_bytes);
            return Ok((prefix, read_len(rest, prefix)?));
        }
    };
    Ok((0, fixed))
}

#[inline]
fn read_len(rest: &[u8], prefix: usize) -> Result<usize, Fault> {
    let bytes = rest.get(..prefix).ok_or(Fault::Truncated {
        what: "length of a value",
        needed: prefix as u64,
        left: rest.len() as u64,
    })?;
    Ok(le(bytes) as usize)
}

/// One image of a row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'r> {
    cells: &'r [Cell],
    plan: &'r [ColumnKind],
    table: &'r TableMap,
    hints: &'r [ColumnHint],
    data: &'r [u8],
    scratch: &'r [u8],
    place: &'r Place,
}

impl<'r> Row<'r> {
    /// Number of columns of the table, those that are absent included.
    pub fn len(&self) -> usize {
        self.cells.len()
    }

    /// Whether the table has no columns.
    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Whether the image holds the column (as a value or NULL).
    pub fn is_present(&self, index: usize) -> bool {
        self.cells.get(index).is_some_and(|cell| *cell != Cell::Absent)
    }

    /// Whether the column is NULL.
    pub fn is_null(&self, index: usize) -> bool {
        self.cells.get(index) == Some(&Cell::Null)
    }

    /// What is known about the column: the caller's hint, completed from the table map.
    pub fn hint(&self, index: usize) -> ColumnHint {
        let map = self.table.hints.get(index).copied().unwrap_or_default();
        match self.hints.get(index) {
            None => map,
            Some(hint) => ColumnHint {
                unsigned: hint.unsigned.or(map.unsigned),
                charset: hint.charset.or(map.charset),
                ..*hint
            },
        }
    }

    /// The bytes of a value as they stand in the row, without the length before them: two values of a column are equal if
    /// these are (the reverse does not hold under a collation). `None` when NULL or absent.
    pub fn raw(&self, index: usize) -> Option<&'r [u8]> {
        match *self.cells.get(index)? {
            Cell::Absent | Cell::Null => None,
            Cell::Data { start, len } => Some(range(self.data, start, len)),
            Cell::Scratch { start, len } => Some(range(self.scratch, start, len)),
        }
    }

    /// The value of a column, [`Value::Absent`] when the image does not hold it.
    ///
    /// # Errors
    /// Bytes that no value of the column's type has.
    pub fn value(&self, index: usize) -> Result<Value<'r>, DecodeError> {
        self.value_inner(index).map_err(|fault| self.place.fault(fault.in_column(index)))
    }

    #[inline]
    fn value_inner(&self, index: usize) -> Result<Value<'r>, Fault> {
        let (Some(cell), Some(kind)) = (self.cells.get(index), self.plan.get(index)) else {
            return Ok(Value::Absent);
        };
        let (bytes, scratch) = match *cell {
            Cell::Absent => return Ok(Value::Absent),
            Cell::Null => return Ok(Value::Null),
            Cell::Data { start, len } => (range(self.data, start, len), false),
            Cell::Scratch { start, len } => (range(self.scratch, start, len), true),
        };
        let unsigned = match self.hints.get(index).and_then(|hint| hint.unsigned) {
            Some(unsigned) => unsigned,
            None => self.table.hints.get(index).and_then(|hint| hint.unsigned).unwrap_or(false),
        };
        value::decode(*kind, bytes, unsigned, scratch)
    }

    /// Appends the value of a column as a literal, see [`Value::write_literal`].
    ///
    /// # Errors
    /// As [`value`](Self::value), an absent column, and text that cannot be written as a literal.
    pub fn write_literal(&self, index: usize, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.value_inner(index)
            .and_then(|value| value.write_literal(out, &self.hint(index)))
            .map_err(|fault| self.place.fault(fault.in_column(index)))
    }
}

/// Reads a rows event after its header.
pub(crate) struct RowsHead<'a> {
    pub(crate) table_id: u64,
    pub(crate) flags: u16,
    pub(crate) rest: Reader<'a>,
}

impl<'a> RowsHead<'a> {
    /// `v2`: a list of further data follows the fixed part.
    pub(crate) fn parse(body: &'a [u8], post_header_len: usize, v2: bool) -> Result<RowsHead<'a>, Fault> {
        let mut reader = Reader::new(body);
        let mut head = Reader::new(reader.take(post_header_len, "post-header")?);
        let table_id = TableMap::read_id(&mut head, post_header_len)?;
        let flags = head.u16("flags")?;
        if v2 {
            // The length counts itself. What is in there serves NDB and partitions.
            let len = usize::from(head.u16("length of further data")?);
            let len = len.checked_sub(2).ok_or_else(|| Fault::invalid("length of further data", len))?;
            reader.take(len, "further data")?;
        }
        Ok(RowsHead { table_id, flags, rest: reader })
    }
}

/// Big-endian bytes of a BIT column.
pub(crate) fn bits(bytes: &[u8]) -> u64 {
    be(bytes)
}
