//! SQL text as bytes: tokens, statements, kinds, DDL trees, renaming by span, tracked tables, INSERT rows.
//!
//! The crate does no I/O and never panics on its input. Everything works on `&[u8]` in a character set whose
//! multi-byte characters hold no ASCII bytes (UTF-8, latin1, binary, …); text in GBK, GB18030, Big5 or SJIS has to be decoded
//! by the caller first, because a second byte there can look like a backslash.
//!
//! | module | question it answers |
//! |---|---|
//! | [`lexer`] | which tokens, at which bytes |
//! | [`split`] | where does each statement of a (huge) script begin and end |
//! | [`values`] | where are the heads, rows and cells of `INSERT … VALUES` text |
//! | [`classify`](mod@classify) | what kind of statement is it and which tables does it touch, without a parse |
//! | [`ddl`] | the tree of a DDL statement, and its split into single changes |
//! | [`rename`] | the same text with other table names |
//! | [`schema`] | the structure of a table and how DDL changes it |
//! | [`json_doubles`] | which texts of doubles in JSON a server reads exactly |
//! | [`table_info`] | that structure as TiDB's TableInfo JSON, which checkpoints hold |
#![deny(missing_docs)]

pub mod classify;
pub mod ddl;
pub mod json_doubles;
pub mod lexer;
pub mod rename;
pub mod schema;
pub mod split;
pub mod table_info;
pub mod values;

pub use classify::{Kind, classify};
pub use lexer::{Span, SqlMode};
