//! The target server: sessions, tables, collations.

pub mod collation;
pub mod columns;
pub mod session;
pub mod tables;

pub use session::Target;
