//! Other table names in a statement, everything else byte for byte.

use crate::ddl::{Ddl, Role, Statement};
use crate::lexer::Span;

/// Why names could not be replaced.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RenameError {
    /// CREATE TABLE … SELECT reads tables that this crate does not look for.
    #[error("the tables read by the SELECT at byte {at} can't be renamed")]
    Select {
        /// Where the query begins.
        at: usize,
    },
}

/// The statement with other names. `text` is the statement's own text, [`Ddl::text`].
///
/// `map` gets schema and table of each mention and returns those to write; for a statement on a database it gets and returns an empty
/// table. A name that stays the same keeps its bytes, with its quotes or without; a new one is written in back quotes. A schema that the
/// text leaves out is `default_schema` (for the parent of a foreign key it is the child's) and is always written out, so the result does
/// not hang on a session's database; if it is empty, or the mapped one is, none is written.
///
/// One thing cannot be written out: `CONVERT TO CHARACTER SET DEFAULT` means the session's database on MySQL.
///
/// # Errors
/// [`RenameError::Select`]
pub fn rename(
    text: &[u8],
    ddl: &Ddl,
    default_schema: &str,
    map: impl FnMut(&str, &str) -> (String, String),
) -> Result<Vec<u8>, RenameError> {
    splice(text, Vec::new(), name_edits(text, ddl, default_schema, map)?)
}

/// The statement with other names, as [`rename`] gives it, in the form that may run twice, as [`Ddl::idempotent`] gives it: what a target
/// gets.
///
/// # Errors
/// [`RenameError::Select`]
pub fn rename_idempotent(
    ddl: &Ddl,
    default_schema: &str,
    map: impl FnMut(&str, &str) -> (String, String),
) -> Result<Vec<u8>, RenameError> {
    splice(ddl.text(), ddl.idempotent_edits(), name_edits(ddl.text(), ddl, default_schema, map)?)
}

type Edit = (Span, Vec<u8>);

fn splice(text: &[u8], first: Vec<(Span, &'static [u8])>, names: Vec<Edit>) -> Result<Vec<u8>, RenameError> {
    let names = names.iter().map(|(span, bytes)| (*span, bytes.as_slice()));
    let edits: Vec<(Span, &[u8])> = first.into_iter().chain(names).collect();
    Ok(crate::ddl::splice(text, &edits))
}

fn name_edits(
    text: &[u8],
    ddl: &Ddl,
    default_schema: &str,
    mut map: impl FnMut(&str, &str) -> (String, String),
) -> Result<Vec<Edit>, RenameError> {
    if let Statement::CreateTable(create) = &ddl.statement
        && let Some(select) = create.select
    {
        return Err(RenameError::Select { at: select.start });
    }
    let subject_schema = ddl
        .references
        .iter()
        .find(|reference| reference.role == Role::Table)
        .and_then(|reference| reference.schema.as_ref())
        .map_or(default_schema, |schema| &schema.text);
    let mut edits = Vec::new();
    for reference in &ddl.references {
        let implied = match reference.role {
            Role::Parent | Role::Qualifier => subject_schema,
            _ => default_schema,
        };
        let schema = reference.schema.as_ref().map_or(implied, |name| &name.text);
        let table = reference.table.as_ref().map_or("", |name| &name.text);
        let (new_schema, new_table) = map(schema, table);
        if let Some(name) = &reference.table
            && name.text != new_table
        {
            edits.push((name.span, quote(&new_table)));
        }
        match &reference.schema {
            Some(name) if new_schema.is_empty() => {
                if let Some(table) = &reference.table {
                    edits.push((Span::new(name.span.start, table.span.start), Vec::new()));
                }
            }
            Some(name) if name.text != new_schema => edits.push((name.span, quote(&new_schema))),
            Some(_) => {}
            None if new_schema.is_empty() || reference.role == Role::Qualifier => {}
            None => edits.push(implied_schema(text, reference, &new_schema)),
        }
    }
    for (span, bytes) in &mut edits {
        keep_apart(text, *span, bytes);
    }
    Ok(edits)
}

/// A back quote right beside a new one would make one name of two: a blank parts them.
fn keep_apart(text: &[u8], span: Span, bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'`') && text.get(span.end) == Some(&b'`') {
        bytes.push(b' ');
    }
    let before = span.start.checked_sub(1).and_then(|at| text.get(at));
    if bytes.first() == Some(&b'`') && before == Some(&b'`') {
        bytes.insert(0, b' ');
    }
}

/// A schema where the text has none: `` `d`. `` before the table, `` `d` `` before the dot of `.t`, or a name of its own.
fn implied_schema(text: &[u8], reference: &crate::ddl::Reference, schema: &str) -> (Span, Vec<u8>) {
    let at = reference.insert_at;
    let mut bytes = quote(schema);
    match &reference.table {
        None => bytes.insert(0, b' '),
        Some(_) if text.get(at) == Some(&b'.') => {}
        Some(_) => bytes.push(b'.'),
    }
    (Span::new(at, at), bytes)
}

/// A name in back quotes.
pub fn quote(name: &str) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(name.len() + 2);
    quoted.push(b'`');
    for byte in name.bytes() {
        if byte == b'`' {
            quoted.push(b'`');
        }
        quoted.push(byte);
    }
    quoted.push(b'`');
    quoted
}
