//! A table as TiDB's TableInfo JSON, which the checkpoints of DM and the shard information of its optimistic mode hold (facts/dm.md Annex C).
//!
//! What TiDB's form has no place for is lost on the way: checks, partitions, visibility of columns, descending key parts. A
//! functional key part becomes a hidden column as in TiDB; its type there is a guess, because nothing here evaluates expressions.

mod form;
mod read;
mod write;

pub use read::from_json;
pub use write::to_json;

/// TiDB's numbers of what foreign keys do.
const RULES: [&str; 6] = ["", "RESTRICT", "CASCADE", "SET NULL", "NO ACTION", "SET DEFAULT"];

/// Why a TableInfo could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TableInfoError {
    /// It is no JSON of the known form.
    #[error("no table info: {0}")]
    Json(#[from] serde_json::Error),
    /// A type code that is not known.
    #[error("column `{column}` has the unknown type code {code}")]
    Type {
        /// The column.
        column: String,
        /// TiDB's type byte.
        code: u8,
    },
}
