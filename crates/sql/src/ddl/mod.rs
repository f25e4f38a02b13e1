//! DDL statements of MySQL 5.6 to 9 and MariaDB 10 and 11 as a tree, with the place of every table name.
//!
//! The parser knows CREATE, ALTER, DROP, RENAME and TRUNCATE of tables and databases and CREATE / DROP INDEX. Clauses that no part of this
//! project needs (partition definitions, engine options, …) are passed over as balanced token runs, but the table names inside them
//! are found. A statement whose names can't be found with certainty is an error that says where.
//!
//! Executable comments (`/*!80000 … */`, `/*M! … */`) and TiDB's (`/*T! … */`) are read as part of the statement; their marks stay in the text.

mod alter;
mod ast;
mod column;
mod cursor;
mod pieces;
mod statement;
mod table;
mod types;

use std::sync::Arc;

pub use ast::{
    AlterSpec, AlterTable, Change, CharsetChoice, ColumnAction, ColumnDef, CreateTable, DefaultValue,
    Element, ForeignKey, Generated, IndexDef, IndexKind, IndexPart, Name, PartitionChange, Position,
    Reference, Role, Statement, TableOption,
};

pub use types::{DataType, TypeKind};

pub(crate) use alter::added;
pub(crate) use pieces::splice;

use crate::classify::{self, Kind, NamedTable};
use crate::lexer::{Open, SqlMode};
use cursor::Cursor;

/// Why a statement was not understood. Positions are bytes of the text given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DdlError {
    /// It is no statement this parser is for.
    #[error("not a DDL statement on tables or databases but {kind:?}")]
    NotDdl {
        /// What it seems to be.
        kind: Kind,
    },
    /// Something else was needed at this place.
    #[error("expected {what} at byte {at}, found {}", if found.is_empty() { "the end of the statement" } else { found })]
    Expected {
        /// What was needed.
        what: &'static str,
        /// Where.
        at: usize,
        /// The token there, empty at the end.
        found: String,
    },
    /// A quote, comment or parenthesis is never closed.
    #[error("{what} opened at byte {at} is never closed")]
    Unclosed {
        /// What was opened.
        what: Open,
        /// Where.
        at: usize,
    },
    /// A name is not UTF-8: the text has to be decoded first.
    #[error("the name at byte {at} is not UTF-8")]
    NotUtf8 {
        /// Where.
        at: usize,
    },
}

/// A parsed statement with its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Ddl {
    text: Arc<[u8]>,
    mode: SqlMode,
    /// What it says.
    pub statement: Statement,
    /// Every mention of a table or database in the order of the text.
    pub references: Vec<Reference>,
    /// Where `IF [NOT] EXISTS` can be put in, if the grammar allows it and it is not there.
    guard: Option<usize>,
}

/// Parses one statement; a `;` at its end is allowed.
///
/// # Errors
/// [`DdlError`]
pub fn parse(text: &[u8], mode: SqlMode) -> Result<Ddl, DdlError> {
    let mut cursor = Cursor::new(text, mode)?;
    let statement = cursor.statement()?;
    if !cursor.at_end() {
        return cursor.expected("the end of the statement");
    }
    let mut references = cursor.references;
    references.sort_by_key(|reference| reference.insert_at);
    references.dedup_by_key(|reference| reference.insert_at);
    Ok(Ddl { text: text.into(), mode, statement, references, guard: cursor.guard })
}

/// The literal or current time that an expression of a default is, if it is no more than that.
pub(crate) fn literal_default(expression: &str) -> Option<DefaultValue> {
    let mut cursor = Cursor::new(expression.as_bytes(), SqlMode::default()).ok()?;
    let value = cursor.default_value().ok()?;
    (cursor.at_end() && !matches!(value, DefaultValue::Expression(_))).then_some(value)
}

impl Ddl {
    /// The statement as it was given.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The mode it was read with.
    pub fn mode(&self) -> SqlMode {
        self.mode
    }

    /// The kind, as [`classify`](fn@crate::classify) gives it.
    pub fn kind(&self) -> Kind {
        match &self.statement {
            Statement::CreateDatabase { .. } => Kind::CreateDatabase,
            Statement::AlterDatabase { .. } => Kind::AlterDatabase,
            Statement::DropDatabase { .. } => Kind::DropDatabase,
            Statement::CreateTable(create) if create.temporary => Kind::CreateTemporaryTable,
            Statement::CreateTable(_) => Kind::CreateTable,
            Statement::AlterTable(_) => Kind::AlterTable,
            Statement::DropTable { temporary: true, .. } => Kind::DropTemporaryTable,
            Statement::DropTable { .. } => Kind::DropTable,
            Statement::RenameTable { .. } => Kind::RenameTable,
            Statement::TruncateTable { .. } => Kind::TruncateTable,
            Statement::CreateIndex { .. } => Kind::CreateIndex,
            Statement::DropIndex { .. } => Kind::DropIndex,
        }
    }

    /// The tables the statement changes in the order of the text, for RENAME old and new name by turns; tables only read (LIKE, REFERENCES,
    /// UNION) are left out.
    pub fn tables(&self) -> Vec<NamedTable> {
        self.references
            .iter()
            .filter(|reference| matches!(reference.role, Role::Table | Role::NewName | Role::Exchanged))
            .filter_map(|reference| {
                Some(NamedTable {
                    schema: reference.schema.as_ref().map(|schema| schema.text.clone()),
                    table: reference.table.as_ref()?.text.clone(),
                })
            })
            .collect()
    }

    /// The database of a statement on databases, where written.
    pub fn database(&self) -> Option<&str> {
        match &self.statement {
            Statement::CreateDatabase { name, .. } | Statement::DropDatabase { name, .. } => Some(name),
            Statement::AlterDatabase { name, .. } => name.as_deref(),
            _ => None,
        }
    }

    /// What this statement seems to be, when [`parse`] refused it.
    pub fn kind_of(text: &[u8], mode: SqlMode) -> Kind {
        classify::classify(text, mode).kind
    }
}
