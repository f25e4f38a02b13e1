//! The error table: DM's numbered codes and Lightning's named ones, and how errors are rendered.
//!
//! Library crates keep their own typed errors; a tool turns one into a coded error at its edge, where the
//! operator reads it. Codes are part of the interface: they are never reused or renumbered.

mod dm;
pub mod dm_codes;
mod lightning;
pub mod lightning_codes;

pub use dm::{Class, DmCode, DmError, Level, Scope};
pub use lightning::{LightningError, RfcCode};

/// Joins an error and its sources with `: `, leaving out a source that the text before it already holds.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = cause.source();
    }
    text
}
