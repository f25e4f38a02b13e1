//! Whether the target really has what a statement makes, when it says that something of that name is there (or gone) already.
//!
//! The name alone proves nothing: an index that should be unique and is not would let rows in that the source refuses, a column
//! with another default gives other values to the rows that were there. What loses nothing (an index for speed only, a wider column)
//! is logged and left.

use common::{
    error::{DmError, Scope, dm_codes as code},
    ident::{TableName, quote},
};
use mysql::Conn;
use sql::{
    classify::NamedTable,
    ddl::{AlterSpec, AlterTable, Change, Ddl, DefaultValue, Element, IndexKind, Statement, TypeKind},
    schema::{Column, Index, Table, Tracker},
};
use tracing::{info, warn};

use super::{
    error,
    structures::{environment, show_create},
};
use crate::check::narrower;

/// What the target has instead.
enum Other {
    /// It would lose something; in words.
    Loses(String),
    /// It would not.
    Harmless(String),
}

/// Looks whether the work of a single change is done, after an error of the server that says so.
///
/// # Errors
/// 10006 with what is there and what was wanted; the target can't be asked.
pub(super) async fn check(
    conn: &mut Conn,
    ddl: &Ddl,
    objects: &[TableName],
    said: &mysql::Error,
) -> Result<(), DmError> {
    let sql = String::from_utf8_lossy(ddl.text());
    match judge(conn, ddl, objects, said).await? {
        None => info!(sql = %sql, error = %said, "the work of the DDL is done already"),
        Some(Other::Harmless(text)) => {
            warn!(sql = %sql, error = %said, "the DDL is passed over, but the target differs: {text}");
        }
        Some(Other::Loses(text)) => {
            return Err(error::database(
                &code::DB_EXECUTE_FAILED,
                Scope::Downstream,
                format!("execute statement failed: {sql}: {text}"),
                said,
            )
            .with_workaround(
                "Make the target so that it has what the statement makes (ALTER TABLE there, by hand), then use `resume-task` (with `rsync-dm run`: \
                 start it again). If the target is to be otherwise, skip the statement with `binlog skip` (`rsync-dm run`: \
                 `--skip-ddl`).",
            ));
        }
    }
    Ok(())
}

/// After a CREATE TABLE that has found its table there: what the target lacks is told. It stops nothing, because a target may have been made by hand, as
/// that of merged shards (`expected`) always is; rows show what does not fit.
pub(super) async fn look_at_created(
    conn: &mut Conn,
    ddl: &Ddl,
    objects: &[TableName],
    expected: bool,
) -> Result<(), DmError> {
    let Statement::CreateTable(create) = &ddl.statement else { return Ok(()) };
    let name = full(&create.table, objects);
    let Some(there) = structure(conn, &name).await? else { return Ok(()) };
    let environment = environment(conn.server());
    // LIKE and AS SELECT say nothing here.
    let Ok(wanted) = Table::from_create_in(ddl.text(), ddl.mode(), &environment) else { return Ok(()) };
    let mut lacks: Vec<String> = Vec::new();
    for column in &wanted.columns {
        match there.column(&column.name) {
            None => lacks.push(format!("no column {}", quote(&column.name))),
            Some((_, is)) if !takes_all(column, is) => {
                lacks.push(format!("{} `{}`", quote(&column.name), show_column(is)));
            }
            Some(_) => {}
        }
    }
    let lost = wanted.indexes.iter().filter(|index| index.unique && !has_like(&there, index));
    lacks.extend(lost.map(|index| format!("no `{}`", show_index(index))));
    let lacks = lacks.join(", ");
    match (lacks.is_empty(), expected) {
        (true, _) => info!(table = %name, "the table that a statement creates is there already"),
        (_, true) => {
            info!(table = %name, lacks, "the table that a statement creates is there already, and differs")
        }
        (_, false) => {
            warn!(table = %name, lacks, "the table that a statement creates is there already, and differs")
        }
    }
    Ok(())
}

async fn judge(
    conn: &mut Conn,
    ddl: &Ddl,
    objects: &[TableName],
    said: &mysql::Error,
) -> Result<Option<Other>, DmError> {
    match &ddl.statement {
        Statement::AlterTable(alter) => {
            let name = full(&alter.table, objects);
            let Some(change) = alter.specs.first().map(|spec| &spec.change) else { return Ok(None) };
            if let Change::RenameTable(new) = change {
                return renamed(conn, &name, &full(new, objects)).await;
            }
            let Some(there) = structure(conn, &name).await? else {
                return Ok(Some(Other::Loses(format!("the target has no table {name}"))));
            };
            Ok(altered(conn, ddl, alter, &name, &there, change, said))
        }
        Statement::CreateIndex { table, index, .. } => {
            let name = full(table, objects);
            let (Some(there), Some(index)) = (structure(conn, &name).await?, &index.name) else {
                return Ok(None);
            };
            Ok(index_is(conn, ddl, &name, &there, index))
        }
        Statement::RenameTable { pairs, .. } => match pairs.as_slice() {
            [(old, new)] => renamed(conn, &full(old, objects), &full(new, objects)).await,
            _ => Ok(None),
        },
        // DROP of what is gone, CREATE of a database or a table: rows show what a table lacks.
        _ => Ok(None),
    }
}

pub(super) fn full(table: &NamedTable, objects: &[TableName]) -> TableName {
    let schema = table.schema.as_deref().or(objects.first().map(|object| object.schema.as_str()));
    TableName::new(schema.unwrap_or_default(), table.table.as_str())
}

async fn structure(conn: &mut Conn, name: &TableName) -> Result<Option<Table>, DmError> {
    let environment = environment(conn.server());
    show_create(conn, name, &environment, Scope::Downstream).await
}

/// Whether it gives a table another name, and nothing else.
pub(super) fn is_rename(ddl: &Ddl) -> bool {
    match &ddl.statement {
        Statement::RenameTable { .. } => true,
        Statement::AlterTable(alter) => {
            matches!(alter.specs.as_slice(), [AlterSpec { change: Change::RenameTable(_), .. }])
        }
        _ => false,
    }
}

async fn renamed(conn: &mut Conn, old: &TableName, new: &TableName) -> Result<Option<Other>, DmError> {
    let (has_old, has_new) = (structure(conn, old).await?.is_some(), structure(conn, new).await?.is_some());
    Ok(match (has_old, has_new) {
        (false, true) => None,
        (true, _) => Some(Other::Loses(format!("the target has {old} still, and a table {new} too"))),
        (false, false) => Some(Other::Loses(format!("the target has neither {old} nor {new}"))),
    })
}

fn altered(
    conn: &Conn,
    ddl: &Ddl,
    alter: &AlterTable,
    name: &TableName,
    there: &Table,
    change: &Change,
    said: &mysql::Error,
) -> Option<Other> {
    let has = |column: &str| there.column(column).is_some();
    let lacks = |what: String| Some(Other::Loses(format!("{name} of the target has no {what}")));
    match change {
        Change::AddColumn { column, .. } => {
            if !has(&column.name) {
                // A column that it was to come after, or a second primary key.
                return lacks(format!("column {} and does not get it", quote(&column.name)));
            }
            column_is(conn, ddl, name, there, &column.name)
        }
        Change::AddElements { elements, .. } => elements.iter().find_map(|element| match element {
            Element::Column(column) if has(&column.name) => column_is(conn, ddl, name, there, &column.name),
            Element::Column(column) => lacks(format!("column {} and does not get it", quote(&column.name))),
            _ => None,
        }),
        Change::Add { element: Element::Index(index), .. } => match (&index.name, index.kind) {
            (_, IndexKind::Primary) => index_is(conn, ddl, name, there, "PRIMARY"),
            (Some(index), _) => index_is(conn, ddl, name, there, index),
            (None, _) => None,
        },
        Change::ChangeColumn { old, column, .. } => renamed_part(name, "column", old, &column.name, &has),
        Change::RenameColumn { old, new, .. } => renamed_part(name, "column", old, new, &has),
        Change::RenameIndex { old, new, .. } => {
            renamed_part(name, "index", old, new, &|index| there.index(index).is_some())
        }
        Change::ModifyColumn { column, .. } if !has(&column.name) => {
            lacks(format!("column {}", quote(&column.name)))
        }
        Change::AlterColumn { name: column, .. } if !has(column) => {
            lacks(format!("column {}", quote(column)))
        }
        Change::AlterIndex { name: index, .. } if there.index(index).is_none() => {
            lacks(format!("index {}", quote(index)))
        }
        // What was to be dropped is gone, and partitions of that name are there or gone: as the server said.
        _ if alter.specs.len() == 1 && !matches!(said.code(), Some(1054 | 1176)) => None,
        _ => Some(Other::Loses(format!("{name} of the target lacks something that it needs"))),
    }
}

fn renamed_part(
    table: &TableName,
    what: &str,
    old: &str,
    new: &str,
    has: &dyn Fn(&str) -> bool,
) -> Option<Other> {
    let (old_name, new_name) = (quote(old), quote(new));
    match (has(old), has(new)) {
        (false, true) => None,
        _ if old.eq_ignore_ascii_case(new) && has(new) => None,
        (true, true) => Some(Other::Loses(format!(
            "{table} of the target has its {what} {old_name} still, and {new_name} too"
        ))),
        (_, false) => Some(Other::Loses(format!(
            "{table} of the target has neither the {what} {old_name} nor {new_name}"
        ))),
    }
}

/// The table after the statement, had it not been there without what is in the way.
fn made(conn: &Conn, ddl: &Ddl, name: &TableName, without: Table) -> Option<Table> {
    let mut tracker = Tracker::new(environment(conn.server()));
    tracker.set_table(&name.schema, &name.table, without);
    tracker.apply(ddl, &name.schema).ok()?;
    tracker.table(&name.schema, &name.table).map(|table| (*table).clone())
}

fn column_is(conn: &Conn, ddl: &Ddl, name: &TableName, there: &Table, column: &str) -> Option<Other> {
    let (_, is) = there.column(column)?;
    let mut without = there.clone();
    without.columns.retain(|c| !c.name.eq_ignore_ascii_case(column));
    let of_it = |index: &Index| index.columns().any(|c| c.eq_ignore_ascii_case(column));
    without.indexes.retain(|index| !of_it(index));
    // What can't be worked out here is judged by the rows.
    let made = made(conn, ddl, name, without)?;
    let (_, wanted) = made.column(column)?;
    let text = format!(
        "{name} has a column {} already, but another one: it is `{}`, the statement makes `{}`",
        quote(column),
        show_column(is),
        show_column(wanted)
    );
    let loses = !takes_all(wanted, is)
        || !same_value(wanted, is)
        || wanted.generated.is_some() != is.generated.is_some();
    if loses || made.indexes.iter().any(|index| of_it(index) && index.unique && !has_like(there, index)) {
        return Some(Other::Loses(text));
    }
    (wanted.full_type() != is.full_type() && show_column(wanted) != show_column(is))
        .then_some(Other::Harmless(text))
}

/// Whether a column takes all values of another one.
fn takes_all(wanted: &Column, is: &Column) -> bool {
    let nulls = is.nullable || !wanted.nullable;
    let digits = |column: &Column| match column.kind {
        TypeKind::Decimal => column.length.unwrap_or(10).saturating_sub(column.decimals.unwrap_or(0)),
        _ => 0,
    };
    if wanted.kind == is.kind && wanted.unsigned == is.unsigned && nulls {
        return is.members.starts_with(&wanted.members)
            && match wanted.kind {
                TypeKind::Decimal => is.decimals >= wanted.decimals && digits(is) >= digits(wanted),
                _ => is.decimals == wanted.decimals && narrower(wanted, is).is_none(),
            };
    }
    nulls && (is_wider_integer(wanted, is) || is_longer_text(wanted, is))
}

fn is_wider_integer(wanted: &Column, is: &Column) -> bool {
    let bytes = |column: &Column| match column.kind {
        TypeKind::TinyInt => Some(1),
        TypeKind::SmallInt => Some(2),
        TypeKind::MediumInt => Some(3),
        TypeKind::Int => Some(4),
        TypeKind::BigInt => Some(8),
        _ => None,
    };
    let (Some(a), Some(b)) = (bytes(wanted), bytes(is)) else { return false };
    wanted.unsigned == is.unsigned && b >= a || wanted.unsigned && !is.unsigned && b > a
}

/// TEXT where a text is wanted, BLOB where bytes are, of at least the bytes.
fn is_longer_text(wanted: &Column, is: &Column) -> bool {
    use TypeKind as T;
    let bytes = |column: &Column, most_of_a_letter: u64| match column.kind {
        T::VarChar | T::VarBinary => u64::from(column.length.unwrap_or(1)) * most_of_a_letter,
        T::TinyText | T::TinyBlob => (1 << 8) - 1,
        T::Text | T::Blob => (1 << 16) - 1,
        T::MediumText | T::MediumBlob => (1 << 24) - 1,
        _ => (1 << 32) - 1,
    };
    match (wanted.kind.clone(), is.kind.clone()) {
        (
            T::VarChar | T::TinyText | T::Text | T::MediumText,
            T::TinyText | T::Text | T::MediumText | T::LongText,
        ) => bytes(is, 4) >= bytes(wanted, 4),
        (
            T::VarBinary | T::TinyBlob | T::Blob | T::MediumBlob,
            T::TinyBlob | T::Blob | T::MediumBlob | T::LongBlob,
        ) => bytes(is, 1) >= bytes(wanted, 1),
        _ => false,
    }
}

/// Whether the rows that were there have the same value in a column.
fn same_value(wanted: &Column, is: &Column) -> bool {
    match (value(wanted), value(is)) {
        // The server writes them in a form of its own.
        (Value::Expression, Value::Text(_) | Value::Expression) | (Value::Text(_), Value::Expression) => true,
        (Value::Text(a), Value::Text(b)) if a != b && is_number(&wanted.kind) => {
            match (a.parse::<f64>(), b.parse::<f64>()) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            }
        }
        (a, b) => a == b,
    }
}

#[derive(PartialEq)]
enum Value {
    Null,
    Text(String),
    /// What it gives is not known here.
    Expression,
}

/// The value in a row that is older than the column.
fn value(column: &Column) -> Value {
    Value::Text(match &column.default {
        None if column.nullable => return Value::Null,
        Some(DefaultValue::Null) => return Value::Null,
        // The type's own.
        None if is_number(&column.kind) => "0".into(),
        None => match column.members.first().filter(|_| column.kind == TypeKind::Enum) {
            Some(first) => String::from_utf8_lossy(first).into_owned(),
            None => String::new(),
        },
        Some(DefaultValue::String(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        Some(DefaultValue::Number(number)) => number.clone(),
        Some(DefaultValue::Bool(is)) => u8::from(*is).to_string(),
        Some(DefaultValue::Now(_)) => "now".into(),
        Some(DefaultValue::Hex(_) | DefaultValue::Bit(_) | DefaultValue::Expression(_)) => {
            return Value::Expression;
        }
    })
}

fn is_number(kind: &TypeKind) -> bool {
    use TypeKind::*;
    matches!(kind, TinyInt | SmallInt | MediumInt | Int | BigInt | Decimal | Float | Double | Bit | Year)
}

fn index_is(conn: &Conn, ddl: &Ddl, name: &TableName, there: &Table, index: &str) -> Option<Other> {
    let find = |table: &Table| -> Option<Index> {
        if index == "PRIMARY" { table.primary_key() } else { table.index(index) }.cloned()
    };
    let is = find(there)?;
    let mut without = there.clone();
    without.indexes.retain(|other| !other.name.eq_ignore_ascii_case(&is.name));
    let wanted = find(&made(conn, ddl, name, without)?)?;
    if same_index(&wanted, &is) {
        return None;
    }
    let text = format!(
        "{name} has an index {} already, but another one: it is `{}`, the statement makes `{}`",
        quote(index),
        show_index(&is),
        show_index(&wanted)
    );
    let is_lost = wanted.unique && !has_like(there, &wanted);
    Some(if is_lost { Other::Loses(text) } else { Other::Harmless(text) })
}

/// Whether there is a unique index of these parts, of whatever name.
fn has_like(there: &Table, wanted: &Index) -> bool {
    there.indexes.iter().any(|index| index.unique && same_parts(index, wanted))
}

fn same_index(a: &Index, b: &Index) -> bool {
    let kind = |index: &Index| if index.unique { IndexKind::Unique } else { index.kind };
    kind(a) == kind(b) && same_parts(a, b)
}

fn same_parts(a: &Index, b: &Index) -> bool {
    let same = |(a, b): (&sql::schema::Part, &sql::schema::Part)| match (&a.column, &b.column) {
        (Some(x), Some(y)) => x.eq_ignore_ascii_case(y) && a.length == b.length,
        // Servers write expressions in a form of their own.
        (None, None) => true,
        _ => false,
    };
    a.parts.len() == b.parts.len() && a.parts.iter().zip(&b.parts).all(same)
}

fn show_index(index: &Index) -> String {
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let name = part.column.clone().or_else(|| part.expression.clone()).unwrap_or_default();
            part.length.map_or(name.clone(), |length| format!("{name}({length})"))
        })
        .collect();
    let kind = match index.kind {
        _ if index.primary => "PRIMARY KEY",
        _ if index.unique => "UNIQUE KEY",
        IndexKind::FullText => "FULLTEXT KEY",
        IndexKind::Spatial => "SPATIAL KEY",
        _ => "KEY",
    };
    format!("{kind} ({})", parts.join(","))
}

fn show_column(column: &Column) -> String {
    let null = if column.nullable { "" } else { " NOT NULL" };
    let default = match &column.default {
        None | Some(DefaultValue::Null) => String::new(),
        Some(DefaultValue::String(bytes)) => format!(" DEFAULT '{}'", String::from_utf8_lossy(bytes)),
        Some(DefaultValue::Number(number)) => format!(" DEFAULT '{number}'"),
        Some(DefaultValue::Bool(is)) => format!(" DEFAULT '{}'", u8::from(*is)),
        Some(other) => format!(" DEFAULT {other:?}"),
    };
    format!("{}{null}{default}", column.full_type())
}
