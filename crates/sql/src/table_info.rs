//! A table as TiDB's TableInfo JSON, which the checkpoints of DM hold (facts/dm.md Annex C).

use crate::schema::Table;

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
