//! The rows of one event, as the pieces of SQL that the appliers put together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use binlog::{Change, DecodeError, Row, RowsEvent, RowsKind, Value};
use sql::{SqlMode, json_doubles};

use super::{
    coverage::{EventKey, holds},
    keys::{RowKeys, add_key},
    place::{Place, Spot},
    plan::{PlanColumn, TablePlan},
};

/// Literals of the rows of an event. Shared by its changes.
#[derive(Debug)]
pub struct EventRows {
    /// The plan they were made with.
    pub plan: Arc<TablePlan>,
    /// What they are.
    pub kind: RowsKind,
    /// Names the event for the ledger.
    pub key: EventKey,
    /// Where the event begins.
    pub start: Place,
    /// Where it ends.
    pub end: Place,
    /// Where its transaction begins, with transactions before that (all up to the last mark), for messages.
    pub before: Spot,
    /// When the statement began.
    pub timestamp: u32,
    text: Vec<u8>,
    /// End of each cell in `text`.
    ends: Vec<u32>,
    /// Cells of a row: of its key before the change (or the whole row), then of the row after.
    cells: usize,
    /// Number of each row in the event.
    numbers: Vec<u32>,
    /// For an update: the columns that it changed, a bit each.
    changed: Vec<u64>,
}

/// The number of 64-bit words for a bit per column.
fn words(columns: usize) -> usize {
    columns.div_ceil(64)
}

/// The rows of an event that stay. Those of a system versioned table may be of several kinds.
#[derive(Debug)]
pub struct Decoded {
    /// One for each kind.
    pub sets: Vec<EventRows>,
    /// Of each row, in order, its set and its number there. Empty: they are those of the first set.
    pub order: Vec<(usize, usize)>,
}

/// Decodes an event; `new` makes an empty set. The first `skip` rows and those in `applied` are left out. `all_keys` gets the keys of each
/// row that stays, `walked` is raised by all rows of the event.
///
/// # Errors
/// Rows that cannot be read or written as literals.
pub fn decode(
    event: &RowsEvent<'_>,
    new: impl Fn(RowsKind) -> EventRows,
    applied: &[(u32, u32)],
    skip: &mut u64,
    walked: &mut u64,
    all_keys: &mut Vec<RowKeys>,
) -> Result<Decoded, DecodeError> {
    let mut decoded = Decoded { sets: vec![new(event.kind)], order: Vec::new() };
    let plan = Arc::clone(&decoded.sets[0].plan);
    let mut walk = event.rows_with(&plan.hints);
    let mut number = 0;
    let mut scratch = Vec::new();
    while let Some(change) = walk.next()? {
        let this = number;
        number += 1;
        *walked += 1;
        if *skip > 0 {
            *skip -= 1;
            continue;
        }
        if holds(applied, this) {
            continue;
        }
        let mut set = 0;
        let change = match plan.row_end {
            None => change,
            Some(row_end) => {
                let Some((kind, change)) = of_current_rows(&change, row_end)? else { continue };
                set = decoded.sets.iter().position(|rows| rows.kind == kind).unwrap_or(decoded.sets.len());
                if set == decoded.sets.len() {
                    decoded.sets.push(new(kind));
                }
                decoded.order.push((set, decoded.sets[set].len()));
                change
            }
        };
        let rows = &mut decoded.sets[set];
        let mut keys = RowKeys::default();
        if let Some(before) = &change.before {
            for at in &plan.befores {
                rows.cell(before, &plan.columns[*at])?;
            }
            row_keys(&plan, before, &mut keys, &mut scratch)?;
        }
        if let Some(after) = &change.after {
            for column in &plan.columns {
                rows.cell(after, column)?;
            }
            row_keys(&plan, after, &mut keys, &mut scratch)?;
        }
        if let (Some(before), Some(after)) = (&change.before, &change.after) {
            rows.note_changes(before, after);
        }
        keys.hashes.sort_unstable();
        keys.hashes.dedup();
        rows.numbers.push(this);
        all_keys.push(keys);
    }
    Ok(decoded)
}

/// What a change of a system versioned table means for one that holds the current rows only: a row that is deleted is logged as an update of
/// its end, and what becomes history as an insert with an end.
fn of_current_rows<'r>(
    change: &Change<'r>,
    row_end: usize,
) -> Result<Option<(RowsKind, Change<'r>)>, DecodeError> {
    let current = |row: Option<Row<'r>>| -> Result<Option<Row<'r>>, DecodeError> {
        let Some(row) = row else { return Ok(None) };
        // The last moment that the type holds, which was moved from 2038 to 2106.
        Ok(match row.value(row_end)? {
            Value::Timestamp(t) if t.micros != 999_999 || !matches!(t.secs, 0x7fff_ffff | u32::MAX) => None,
            _ => Some(row),
        })
    };
    let (before, after) = (current(change.before)?, current(change.after)?);
    let kind = match (&before, &after) {
        (None, None) => return Ok(None),
        (None, Some(_)) => RowsKind::Insert,
        (Some(_), None) => RowsKind::Delete,
        (Some(_), Some(_)) => RowsKind::Update,
    };
    Ok(Some((kind, Change { before, after })))
}

fn row_keys(
    plan: &TablePlan,
    row: &Row<'_>,
    keys: &mut RowKeys,
    scratch: &mut Vec<u8>,
) -> Result<(), DecodeError> {
    keys.barrier |= plan.apart.load(Ordering::Acquire);
    plan.keys.iter().try_for_each(|spec| add_key(spec, keys, row, scratch))
}

impl EventRows {
    /// An event without rows yet.
    pub fn new(
        plan: Arc<TablePlan>,
        kind: RowsKind,
        key: EventKey,
        start: Place,
        end: Place,
        before: Spot,
        timestamp: u32,
    ) -> Self {
        let cells = match kind {
            RowsKind::Insert => plan.columns.len(),
            RowsKind::Delete => plan.befores.len(),
            RowsKind::Update => plan.befores.len() + plan.columns.len(),
        };
        Self {
            plan,
            kind,
            key,
            start,
            end,
            before,
            timestamp,
            text: Vec::new(),
            ends: Vec::new(),
            cells,
            numbers: Vec::new(),
            changed: Vec::new(),
        }
    }

    fn cell(&mut self, row: &Row<'_>, column: &PlanColumn) -> Result<(), DecodeError> {
        let from = self.text.len();
        row.write_literal(column.source, &mut self.text)?;
        if let Some(literal) = column.names.as_ref().and_then(|names| names.literal(&self.text[from..])) {
            self.text.truncate(from);
            self.text.extend_from_slice(literal.as_bytes());
        }
        if column.misread_doubles
            && let Some(literal) = json_doubles::exact_literal(&self.text[from..], SqlMode::default())
        {
            self.text.truncate(from);
            self.text.extend_from_slice(&literal);
        }
        // An event is at most 1 GiB and its literals at most some times that.
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        Ok(())
    }

    fn note_changes(&mut self, before: &Row<'_>, after: &Row<'_>) {
        let from = self.changed.len();
        self.changed.resize(from + words(self.plan.columns.len()), 0);
        for (i, column) in self.plan.columns.iter().enumerate() {
            let at = column.source;
            let same = before.is_null(at) == after.is_null(at) && before.raw(at) == after.raw(at);
            if !same || column.always_set {
                self.changed[from + i / 64] |= 1 << (i % 64);
            }
        }
    }

    /// A row without cells, for tests of what does not look at them.
    #[cfg(test)]
    pub fn push_bare(&mut self, number: u32) {
        self.numbers.push(number);
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.text.len() + 4 * (self.ends.len() + self.numbers.len())
    }

    /// Number of a row in its event.
    pub fn number(&self, row: usize) -> u32 {
        self.numbers[row]
    }

    fn range(&self, row: usize, cell: usize) -> &[u8] {
        let at = row * self.cells + cell;
        let from = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[from..self.ends[at] as usize]
    }

    /// Literal of the `n`-th column of [`TablePlan::befores`], so of [`TablePlan::where_columns`], before the change.
    pub fn key_literal(&self, row: usize, n: usize) -> &[u8] {
        self.range(row, n)
    }

    /// Literal of the `n`-th column of [`TablePlan::columns`] after the change.
    pub fn literal(&self, row: usize, n: usize) -> &[u8] {
        let skip = if self.kind == RowsKind::Update { self.plan.befores.len() } else { 0 };
        self.range(row, skip + n)
    }

    /// Whether an update changes the `n`-th column (or has to set it all the same).
    pub fn is_changed(&self, row: usize, n: usize) -> bool {
        let at = row * words(self.plan.columns.len()) + n / 64;
        self.changed.get(at).is_none_or(|word| word >> (n % 64) & 1 != 0)
    }

    /// Whether an update changes a column of the key by which the row is found.
    pub fn changes_key(&self, row: usize) -> bool {
        self.plan
            .where_columns
            .iter()
            .enumerate()
            .any(|(i, n)| self.key_literal(row, i) != self.literal(row, *n))
    }
}
