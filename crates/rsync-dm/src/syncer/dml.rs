//! The SQL of a unit: its changes as statements of many rows where that is exact.
//!
//! INSERT and REPLACE take many rows; so does DELETE by a key of one column. An UPDATE stays one statement for each row: every form for
//! several rows inserts a row that is missing, or depends on types that a server guesses. All statements of a unit go to the
//! server in one message, which it stops to execute at the first error.

use super::{
    blank::{self, Blanks},
    cascades,
    rows::EventRows,
    scheduler::{Change, Group, Op, Unit},
};

/// Bytes above which a statement takes no more rows.
const STATEMENT_BYTES: usize = 256 * 1024;

/// Values above which an IN list takes no more.
const MOST_IN: usize = 500;

/// What one statement is expected to do; the order is that of the statements in the text.
#[derive(Debug, Clone)]
pub struct Expected {
    /// Rows that it should find; `None` if the number says nothing.
    pub rows: Option<u64>,
    /// The first change in it.
    pub change: Option<Change>,
    /// Blank ENUMs in it, of which alone the server may warn.
    pub blanks: Blanks,
}

/// Appends the statements of a unit.
pub fn write_unit(unit: &Unit, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    for segment in &unit.segments {
        for group in &segment.groups {
            match group.op {
                Op::Insert => insert(group, b"INSERT INTO ", out, expected),
                Op::Replace => insert(group, b"REPLACE INTO ", out, expected),
                Op::Delete => delete(group, out, expected),
                Op::Update => group.changes.iter().for_each(|change| update(change, out, expected)),
                Op::SafeUpdate => safe_update(group, out, expected),
                Op::ActingDelete | Op::ActingUpdate | Op::ActingSafeUpdate => act(group, out, expected),
            }
        }
    }
}

fn expect(expected: &mut Vec<Expected>, rows: Option<u64>, change: &Change) {
    expected.push(Expected { rows, change: Some(change.clone()), blanks: Blanks::new() });
}

/// A statement about the session.
fn set_session(text: &str, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    out.extend_from_slice(text.as_bytes());
    out.push(b';');
    expected.push(Expected { rows: None, change: None, blanks: Blanks::new() });
}

fn insert(group: &Group, verb: &[u8], out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    let plan = &group.plan;
    let (mut begin, mut blanks, mut in_blanks) = (usize::MAX, 0, false);
    let end = |begin: usize, in_blanks: bool, out: &mut Vec<u8>, expected: &mut Vec<Expected>| {
        if begin != usize::MAX {
            out.push(b';');
        }
        if in_blanks {
            set_session(blank::END, out, expected);
        }
    };
    for change in &group.changes {
        let these = blank::columns(change, |_| true);
        let is_blank = !these.is_empty();
        blanks += these.len();
        let is_full = out.len().saturating_sub(begin) > STATEMENT_BYTES || blanks > blank::MOST;
        if begin == usize::MAX || is_full || is_blank != in_blanks {
            end(begin, in_blanks, out, expected);
            if is_blank {
                set_session(blank::BEGIN, out, expected);
            }
            (begin, blanks, in_blanks) = (out.len(), these.len(), is_blank);
            out.extend_from_slice(verb);
            out.extend_from_slice(&plan.target_sql);
            out.extend_from_slice(b" ");
            out.extend_from_slice(&plan.insert_columns);
            expect(expected, None, change);
        } else {
            out.push(b',');
        }
        if let Some(statement) = expected.last_mut() {
            these.into_iter().for_each(|n| *statement.blanks.entry(n).or_default() += 1);
        }
        out.push(b'(');
        for n in 0..plan.columns.len() {
            if n > 0 {
                out.push(b',');
            }
            out.extend_from_slice(change.rows.literal(change.row, n));
        }
        let extracted = &plan.extracted_values;
        out.extend_from_slice(if plan.columns.is_empty() {
            extracted.get(1..).unwrap_or_default()
        } else {
            extracted
        });
        out.push(b')');
    }
    end(begin, in_blanks, out, expected);
}

/// `WHERE …` for the row before the change.
fn condition(rows: &EventRows, row: usize, out: &mut Vec<u8>) {
    let plan = &rows.plan;
    for (i, n) in plan.where_columns.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(b" AND ");
        }
        let column = &plan.columns[*n];
        let literal = rows.key_literal(row, i);
        if literal == b"NULL" {
            out.extend_from_slice(&column.name);
            out.extend_from_slice(b" IS NULL");
            continue;
        }
        if column.json {
            out.extend_from_slice(&column.name);
            out.extend_from_slice(b"=CAST(");
            out.extend_from_slice(literal);
            out.extend_from_slice(b" AS JSON)");
            continue;
        }
        if plan.unique || !column.exact_text {
            out.extend_from_slice(&column.name);
            out.push(b'=');
            out.extend_from_slice(literal);
            continue;
        }
        // Any row that is equal under the collation would do for the server, but only the same bytes are the same row.
        out.extend_from_slice(&column.name);
        out.push(b'=');
        out.extend_from_slice(literal);
        out.extend_from_slice(b" AND BINARY CONVERT(");
        out.extend_from_slice(&column.name);
        out.extend_from_slice(b" USING utf8mb4)=BINARY CONVERT(");
        out.extend_from_slice(literal);
        out.extend_from_slice(b" USING utf8mb4)");
    }
}

fn delete(group: &Group, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    let plan = &group.plan;
    let single = plan.unique && plan.where_columns.len() == 1 && group.changes.len() > 1;
    if !single {
        for change in &group.changes {
            delete_one(change, out);
            expect(expected, Some(1), change);
        }
        return;
    }
    for chunk in group.changes.chunks(MOST_IN) {
        out.extend_from_slice(b"DELETE FROM ");
        out.extend_from_slice(&plan.target_sql);
        out.extend_from_slice(b" WHERE ");
        out.extend_from_slice(&plan.columns[plan.where_columns[0]].name);
        out.extend_from_slice(b" IN (");
        for (i, change) in chunk.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(change.rows.key_literal(change.row, 0));
        }
        out.extend_from_slice(b");");
        expect(expected, Some(chunk.len() as u64), &chunk[0]);
    }
}

fn delete_one(change: &Change, out: &mut Vec<u8>) {
    let plan = &change.rows.plan;
    out.extend_from_slice(b"DELETE FROM ");
    out.extend_from_slice(&plan.target_sql);
    out.extend_from_slice(b" WHERE ");
    condition(&change.rows, change.row, out);
    out.extend_from_slice(if plan.unique { b";" } else { b" LIMIT 1;" });
}

fn update(change: &Change, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    let (rows, row) = (&change.rows, change.row);
    let plan = &rows.plan;
    let blanks: Blanks =
        blank::columns(change, |n| rows.is_changed(row, n)).into_iter().map(|n| (n, 1)).collect();
    let is_blank = !blanks.is_empty();
    if is_blank {
        set_session(blank::BEGIN, out, expected);
    }
    out.extend_from_slice(b"UPDATE ");
    out.extend_from_slice(&plan.target_sql);
    out.extend_from_slice(b" SET ");
    let from = out.len();
    for (n, column) in plan.columns.iter().enumerate().filter(|(n, _)| rows.is_changed(row, *n)) {
        if out.len() > from {
            out.push(b',');
        }
        out.extend_from_slice(&column.name);
        out.push(b'=');
        out.extend_from_slice(rows.literal(row, n));
    }
    if out.len() == from {
        // Nothing that the target has is changed; still it should have the row.
        if let Some(column) = plan.columns.first() {
            // Not its value, which the session may not take.
            out.extend_from_slice(&column.name);
            out.push(b'=');
            out.extend_from_slice(&column.name);
        }
    }
    out.extend_from_slice(b" WHERE ");
    condition(rows, row, out);
    out.extend_from_slice(if plan.unique { b";" } else { b" LIMIT 1;" });
    expected.push(Expected { rows: Some(1), change: Some(change.clone()), blanks });
    if is_blank {
        set_session(blank::END, out, expected);
    }
}

fn safe_update(group: &Group, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    for change in &group.changes {
        if !group.plan.unique || change.rows.changes_key(change.row) {
            delete_one(change, out);
            expect(expected, None, change);
        }
    }
    insert(group, b"REPLACE INTO ", out, expected);
}

/// In safe mode: the row has to be as before the change, which else acts on nothing, and what an earlier run has made of it out of the way.
fn as_before(change: &Change, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    let (rows, row) = (&change.rows, change.row);
    let plan = &rows.plan;
    if rows.changes_key(row) {
        out.extend_from_slice(b"DELETE FROM ");
        out.extend_from_slice(&plan.target_sql);
        out.extend_from_slice(b" WHERE ");
        for (i, n) in plan.where_columns.iter().enumerate() {
            out.extend_from_slice(if i > 0 { b" AND " } else { b"" });
            out.extend_from_slice(&plan.columns[*n].name);
            out.push(b'=');
            out.extend_from_slice(rows.literal(row, *n));
        }
        out.push(b';');
        expect(expected, None, change);
    }
    out.extend_from_slice(b"REPLACE INTO ");
    out.extend_from_slice(&plan.target_sql);
    out.push(b' ');
    out.extend_from_slice(&plan.insert_columns);
    out.push(b'(');
    for n in 0..plan.columns.len() {
        out.extend_from_slice(if n > 0 { b"," } else { b"" });
        out.extend_from_slice(match plan.befores.iter().position(|before| *before == n) {
            Some(before) => rows.key_literal(row, before),
            None => rows.literal(row, n),
        });
    }
    out.extend_from_slice(&plan.extracted_values);
    out.extend_from_slice(b");");
    expect(expected, None, change);
}

/// Changes that act on other tables by the target's foreign keys.
fn act(group: &Group, out: &mut Vec<u8>, expected: &mut Vec<Expected>) {
    for change in &group.changes {
        let is_safe = group.op == Op::ActingSafeUpdate;
        // Without a key nothing tells whether the row is there as it should be: one more would be there twice.
        let is_remade = is_safe && group.plan.unique;
        if is_remade {
            as_before(change, out, expected);
        }
        set_session(cascades::BEGIN, out, expected);
        let from = expected.len();
        if group.op == Op::ActingDelete {
            delete_one(change, out);
            expect(expected, Some(1), change);
        } else {
            update(change, out, expected);
        }
        set_session(cascades::END, out, expected);
        if is_safe {
            expected[from..].iter_mut().for_each(|statement| statement.rows = None);
        }
        if is_remade {
            let one = Group { plan: group.plan.clone(), op: Op::Replace, changes: vec![change.clone()] };
            insert(&one, b"REPLACE INTO ", out, expected);
        }
    }
}

/// The statement of a change as DM shows it in messages: without values.
pub fn describe(change: &Change, op: Op) -> String {
    let plan = &change.rows.plan;
    let target = &plan.target;
    let name = |n: &usize| String::from_utf8_lossy(&plan.columns[*n].name).into_owned();
    let values = || {
        let extracted = plan.extracted_values.iter().filter(|b| **b == b',').count();
        vec!["?"; plan.columns.len() + extracted].join(",")
    };
    let columns = String::from_utf8_lossy(&plan.insert_columns);
    let found_by = || plan.where_columns.iter().map(|n| name(n) + " = ?").collect::<Vec<_>>().join(" AND ");
    match op {
        Op::Insert => format!("INSERT INTO {target} {columns}({})", values()),
        Op::Replace | Op::SafeUpdate | Op::ActingSafeUpdate => {
            format!("REPLACE INTO {target} {columns}({})", values())
        }
        Op::Update | Op::ActingUpdate => {
            let all: Vec<usize> = (0..plan.columns.len()).collect();
            let changed = all.iter().filter(|n| change.rows.is_changed(change.row, **n));
            let set = changed.map(|n| name(n) + " = ?").collect::<Vec<_>>().join(", ");
            format!("UPDATE {target} SET {set} WHERE {} LIMIT 1", found_by())
        }
        Op::Delete | Op::ActingDelete => format!("DELETE FROM {target} WHERE {} LIMIT 1", found_by()),
    }
}
