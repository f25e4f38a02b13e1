//! Which changes may not be applied at the same time: numbers that are equal for rows that share a unique key of the target.
//!
//! Equality is that of the target: of its types and, for text, of its collation. The rules here may call two values equal that are not (then
//! they are only applied one after the other), never the other way round. Text whose equality is not known here at all
//! (letters outside ASCII under a collation that folds) makes its row a barrier: it waits for everything and everything waits for it.

use binlog::{Charset, Value};

/// Keys of one change.
#[derive(Debug, Default, Clone)]
pub struct RowKeys {
    /// One number for each unique key and image.
    pub hashes: Vec<u64>,
    /// The row conflicts with every other.
    pub barrier: bool,
}

/// How values of a column are compared by a unique key of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fold {
    /// By the literal: numbers, times, and others of the same type on both sides.
    Literal,
    /// Text by its characters, but for blanks at its end.
    Text(Charset),
    /// Text under a collation that folds case and more.
    Folded(Charset),
    /// Bytes, but for zero bytes at their end.
    Bytes,
    /// Addresses and UUIDs of MariaDB in a column of text or bytes: by the text that is written, `folded` under a collation that folds.
    Shown {
        /// Case does not count.
        folded: bool,
    },
    /// Nothing is known: all values count as equal.
    Constant,
    /// Nothing is known, and rows of other shards have values of the column's own type: every row is a barrier.
    Unknown,
}

/// A part of a unique key.
#[derive(Debug, Clone, Copy)]
pub struct KeyPart {
    /// Column of the source's row; `None`: the same for all rows of the table (an extracted column).
    pub column: Option<usize>,
    /// How it compares.
    pub fold: Fold,
    /// Characters that count.
    pub prefix: Option<usize>,
}

/// A unique key of the target, or the whole row of a table that has none.
#[derive(Debug, Clone)]
pub struct KeySpec {
    /// Differs between keys and between target tables.
    pub seed: u64,
    /// Its parts.
    pub parts: Vec<KeyPart>,
    /// A NULL in a part is a value like others (whole rows), not the end of uniqueness.
    pub null_is_value: bool,
}

/// A fast hash; a collision only makes two rows wait for each other.
#[derive(Debug, Clone, Copy)]
pub struct Hash(u64);

impl Hash {
    /// Starts with a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// Adds bytes.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        let mut last = [0; 8];
        let rest = chunks.remainder();
        last[..rest.len()].copy_from_slice(rest);
        self.word(u64::from_le_bytes(last) ^ ((bytes.len() as u64) << 56));
    }

    /// Adds a number.
    #[inline]
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0xff51_afd7_ed55_8ccd);
        self.0 ^= self.0 >> 32;
    }

    /// The result.
    #[inline]
    pub fn finish(self) -> u64 {
        let mixed = (self.0 ^ self.0 >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        mixed ^ mixed >> 29
    }
}

/// The hash of a table's name, as the base of its keys' seeds.
pub fn seed(schema: &str, table: &str, index: usize) -> u64 {
    let mut hash = Hash::new(index as u64);
    hash.bytes(schema.as_bytes());
    hash.bytes(table.as_bytes());
    hash.finish()
}

/// A row as its keys are read.
pub trait Cells {
    /// What can go wrong.
    type Error;
    /// A value.
    ///
    /// # Errors
    /// Bytes that are no value of the column's type.
    fn value(&self, column: usize) -> Result<Value<'_>, Self::Error>;
    /// Appends its literal.
    ///
    /// # Errors
    /// As `value`, and values that cannot be written.
    fn literal(&self, column: usize, out: &mut Vec<u8>) -> Result<(), Self::Error>;
}

impl Cells for binlog::Row<'_> {
    type Error = binlog::DecodeError;

    fn value(&self, column: usize) -> Result<Value<'_>, Self::Error> {
        binlog::Row::value(self, column)
    }

    fn literal(&self, column: usize, out: &mut Vec<u8>) -> Result<(), Self::Error> {
        self.write_literal(column, out)
    }
}

/// Adds the key of one image. `scratch` is only there to be reused.
///
/// # Errors
/// Those of the row.
pub fn add_key<C: Cells>(
    spec: &KeySpec,
    keys: &mut RowKeys,
    row: &C,
    scratch: &mut Vec<u8>,
) -> Result<(), C::Error> {
    let mut hash = Hash::new(spec.seed);
    let mut barrier = false;
    for part in &spec.parts {
        let Some(column) = part.column else { continue };
        let value = row.value(column)?;
        if matches!(value, Value::Null) {
            if !spec.null_is_value {
                return Ok(());
            }
            hash.word(0x4e55_4c4c);
            continue;
        }
        scratch.clear();
        let bytes = value.as_bytes().unwrap_or_default();
        match (part.fold, value) {
            (Fold::Constant, _) => {}
            (Fold::Unknown, _) => barrier = true,
            (Fold::Shown { folded }, _) => {
                row.literal(column, scratch)?;
                // It is between quotes and has nothing to escape.
                let text = scratch.get(1..scratch.len().saturating_sub(1)).unwrap_or_default();
                let mut text = prefix(text, part.prefix).to_vec();
                if folded {
                    text.make_ascii_lowercase();
                }
                hash.bytes(&text);
            }
            // A number reads the same with and without sign.
            (Fold::Literal, Value::Int(number)) => hash.word(number as u64),
            (Fold::Literal, Value::UInt(number)) => hash.word(number),
            (Fold::Literal, _) => {
                row.literal(column, scratch)?;
                hash.bytes(if scratch == b"-0e0" { b"0e0" } else { scratch });
            }
            (Fold::Bytes, _) => hash.bytes(trim(prefix(bytes, part.prefix), 0)),
            (Fold::Text(charset), _) => {
                if bytes.is_ascii() && charset.is_ascii_based() {
                    hash.bytes(trim(prefix(bytes, part.prefix), b' '));
                } else if charset.to_utf8(bytes, scratch) {
                    let text = std::str::from_utf8(scratch).unwrap_or_default();
                    let end =
                        part.prefix.and_then(|n| text.char_indices().nth(n)).map_or(text.len(), |(at, _)| at);
                    hash.bytes(trim(&text.as_bytes()[..end], b' '));
                } else {
                    barrier = true;
                }
            }
            (Fold::Folded(charset), _) => {
                if bytes.is_ascii() && charset.is_ascii_based() {
                    fold_ascii(prefix(bytes, part.prefix), scratch);
                    hash.bytes(trim(scratch, b' '));
                } else {
                    barrier = true;
                }
            }
        }
    }
    keys.barrier |= barrier;
    keys.hashes.push(hash.finish());
    Ok(())
}

fn prefix(bytes: &[u8], characters: Option<usize>) -> &[u8] {
    match characters {
        Some(n) => &bytes[..n.min(bytes.len())],
        None => bytes,
    }
}

fn trim(mut bytes: &[u8], what: u8) -> &[u8] {
    while let [rest @ .., last] = bytes
        && *last == what
    {
        bytes = rest;
    }
    bytes
}

/// Small letters; control characters, which newer collations do not see at all, are left out.
fn fold_ascii(bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.extend(bytes.iter().filter(|b| !b.is_ascii_control()).map(u8::to_ascii_lowercase));
}

#[cfg(test)]
mod tests {
    use super::*;

    struct One<'a>(Value<'a>);

    impl Cells for One<'_> {
        type Error = binlog::Fault;
        fn value(&self, _: usize) -> Result<Value<'_>, Self::Error> {
            Ok(self.0)
        }
        fn literal(&self, _: usize, out: &mut Vec<u8>) -> Result<(), Self::Error> {
            if let Value::Bytes([uuid @ .., b'U']) = self.0 {
                out.extend_from_slice(&[b"'", uuid, b"'"].concat());
                return Ok(());
            }
            self.0.write_text(out, 0)
        }
    }

    fn key(fold: Fold, prefix: Option<usize>, text: &str) -> RowKeys {
        let spec =
            KeySpec { seed: 1, parts: vec![KeyPart { column: Some(0), fold, prefix }], null_is_value: false };
        let mut keys = RowKeys::default();
        add_key(&spec, &mut keys, &One(Value::Bytes(text.as_bytes())), &mut Vec::new()).unwrap();
        keys
    }

    fn same(fold: Fold, prefix: Option<usize>, a: &str, b: &str) -> bool {
        key(fold, prefix, a).hashes == key(fold, prefix, b).hashes
    }

    #[test]
    fn what_a_collation_may_call_equal_is_equal() {
        let bin = Fold::Text(Charset::Utf8mb4);
        let ci = Fold::Folded(Charset::Utf8mb4);
        assert!(same(bin, None, "a", "a  ") && !same(bin, None, "a", "A") && !same(bin, None, "é", "e"));
        assert!(same(ci, None, "aB", "Ab ") && same(ci, None, "a\u{1}b", "ab") && !same(ci, None, "a", "b"));
        assert!(key(ci, None, "é").barrier && !key(bin, None, "é").barrier && !key(ci, None, "e").barrier);
        assert!(same(bin, Some(2), "aéx", "aéy") && same(ci, Some(2), "abx", "ABy"));
        assert!(same(Fold::Constant, None, "a", "b") && same(Fold::Bytes, None, "a\0\0", "a"));
        assert!(same(Fold::Literal, None, "-0e0", "0e0") && !same(Fold::Literal, None, "1", "2"));
    }

    /// A shard with UUIDs and one with their text go into one column of text. (`U` at the end of a value stands for its type here.)
    #[test]
    fn addresses_compare_as_their_text() {
        let hash = |fold, prefix, text| key(fold, prefix, text).hashes;
        let (shown, folded) = (Fold::Shown { folded: false }, Fold::Shown { folded: true });
        assert_ne!(hash(shown, None, "a1-b2U"), hash(shown, None, "a1-b3U"));
        assert_eq!(hash(shown, Some(4), "a1-b2U"), hash(shown, Some(4), "a1-b3U"));
        assert_eq!(hash(shown, None, "a1-b2U"), hash(Fold::Text(Charset::Utf8mb4), None, "a1-b2"));
        assert_eq!(hash(shown, None, "a1-b2U"), hash(Fold::Bytes, None, "a1-b2"));
        assert_eq!(hash(folded, None, "a1-b2U"), hash(Fold::Folded(Charset::Utf8mb4), None, "A1-B2"));
        assert!(key(Fold::Unknown, None, "x").barrier && !key(shown, None, "xU").barrier);
    }

    #[test]
    fn null_ends_uniqueness_but_not_identity() {
        let mut spec = KeySpec {
            seed: 1,
            parts: vec![KeyPart { column: Some(0), fold: Fold::Literal, prefix: None }],
            null_is_value: false,
        };
        let mut keys = RowKeys::default();
        add_key(&spec, &mut keys, &One(Value::Null), &mut Vec::new()).unwrap();
        assert!(keys.hashes.is_empty());
        spec.null_is_value = true;
        add_key(&spec, &mut keys, &One(Value::Null), &mut Vec::new()).unwrap();
        assert_eq!(keys.hashes.len(), 1);
    }

    #[test]
    fn hashes_differ_by_seed_and_length() {
        assert_ne!(seed("a", "b", 0), seed("a", "b", 1));
        assert_ne!(seed("a", "bc", 0), seed("ab", "c", 0));
        let of = |bytes: &[u8]| {
            let mut h = Hash::new(0);
            h.bytes(bytes);
            h.finish()
        };
        assert_ne!(of(b""), of(b"\0"));
        assert_ne!(of(b"12345678"), of(b"12345679"));
    }
}
