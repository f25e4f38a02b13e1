//! JSON documents in MySQL's binary form: text, and differences between two versions of a document.

mod binary;
mod diff;
mod text;

use crate::error::Fault;

pub(crate) use diff::apply;

/// A JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Json<'a>(Repr<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repr<'a> {
    Binary(&'a [u8]),
    Text(&'a [u8]),
}

impl<'a> Json<'a> {
    pub(crate) fn binary(bytes: &'a [u8]) -> Json<'a> {
        Json(Repr::Binary(bytes))
    }

    pub(crate) fn text(bytes: &'a [u8]) -> Json<'a> {
        Json(Repr::Text(bytes))
    }

    /// Appends the document as MySQL 8 shows it: keys in their order (by length, then by bytes), `", "` and `": "`
    /// between, doubles with a point or exponent so that they stay doubles, decimals with all digits, times as quoted text
    /// with six digits of fraction, other types as `"base64:typeN:…"`. UTF-8.
    ///
    /// Read as text again, decimals become doubles and times become strings: MySQL has no text that keeps them.
    ///
    /// # Errors
    /// Bytes that are no document; what was appended until then stays.
    pub fn write_text(&self, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self.0 {
            Repr::Text(text) => {
                out.extend_from_slice(text);
                Ok(())
            }
            Repr::Binary(bytes) => text::write_binary(bytes, out),
        }
    }
}

#[cfg(test)]
mod tests;
