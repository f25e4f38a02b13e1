//! `--mask`: values that must not leave the source are replaced before they reach a buffer that is written.
//!
//! Equal values give equal masks wherever the key is the same, so joins and unique keys survive; without the key, masks can't be
//! found by trying values. NULL stays NULL.

use common::filter::{ColumnFilter, TableFilter};
use common::ident::TableName;

/// What a rule writes instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum With {
    /// Digits of a keyed hash, cut to the column's length.
    Hash,
    /// Letters for letters and digits for digits, drawn from a keyed hash.
    KeepLength,
    /// This text.
    Fixed(String),
    /// NULL.
    Null,
}

/// Columns of tables, and what is written instead of their values.
#[derive(Debug, Clone)]
pub struct MaskRule {
    /// The tables.
    pub tables: TableFilter,
    /// Their columns.
    pub columns: ColumnFilter,
    /// Names among the column patterns that hold no wildcard: tables must have them.
    pub names: Vec<String>,
    /// What is written.
    pub with: With,
}

/// The rules of a dump and the key of their hashes.
#[derive(Clone, Default)]
pub struct Masks {
    /// In the order given: the first that takes a column decides.
    pub rules: Vec<MaskRule>,
    /// Derived from the content of `--mask-key-file`.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Masks").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// What a mask has to know of a column.
#[derive(Debug, Clone, Copy)]
pub struct MaskedColumn<'a> {
    /// Its name.
    pub name: &'a str,
    /// As `SHOW COLUMNS` has it.
    pub column_type: &'a str,
    /// Whether it takes NULL.
    pub nullable: bool,
}

impl Masks {
    /// The key that a secret stands for.
    pub fn derive(secret: &[u8]) -> [u8; 32] {
        blake3::derive_key("rdump 2026 mask", secret)
    }

    /// The mask of a column of `table`; `None`: its values are written as they are.
    ///
    /// # Errors
    /// The rule does not fit the column, as a sentence.
    pub fn of(&self, table: &TableName, column: MaskedColumn<'_>) -> Result<Option<Mask>, String> {
        let rule = self.rules_of(table).find(|rule| rule.columns.matches(column.name));
        let Some(rule) = rule else { return Ok(None) };
        Mask::new(&rule.with, self.key, column).map(Some)
    }

    /// The names that the rules for `table` have and `columns` lack: a typo would let the values out.
    pub fn missing<'a>(&'a self, table: &TableName, columns: &[&str]) -> Option<&'a str> {
        let names = self.rules_of(table).flat_map(|rule| &rule.names);
        names.map(String::as_str).find(|name| !columns.iter().any(|column| column.eq_ignore_ascii_case(name)))
    }

    /// Whether any rule is about `table`.
    pub fn is_about(&self, table: &TableName) -> bool {
        self.rules_of(table).next().is_some()
    }

    /// The number (from 1) of the first rule that takes none of the columns of the dump's tables: a typo, also in a pattern.
    pub fn idle(&self, columns: &[(TableName, String)]) -> Option<usize> {
        let takes = |rule: &MaskRule, (table, column): &(TableName, String)| {
            rule.tables.matches_table(&table.schema, &table.table) && rule.columns.matches(column)
        };
        let idle = |rule: &MaskRule| !columns.iter().any(|column| takes(rule, column));
        self.rules.iter().position(idle).map(|at| at + 1)
    }

    fn rules_of(&self, table: &TableName) -> impl Iterator<Item = &MaskRule> {
        self.rules.iter().filter(|rule| rule.tables.matches_table(&table.schema, &table.table))
    }
}

/// What is written instead of one column's values.
#[derive(Clone, PartialEq, Eq)]
pub struct Mask {
    how: How,
}

impl std::fmt::Debug for Mask {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mask")
    }
}

#[derive(Clone, PartialEq, Eq)]
enum How {
    Null,
    Fixed(Vec<u8>),
    /// Hexadecimal digits, at most so many.
    HashText([u8; 32], usize),
    /// Bytes, at most so many.
    HashBytes([u8; 32], usize),
    KeepText([u8; 32]),
    KeepBytes([u8; 32]),
}

/// What a column holds, for masks.
enum Holds {
    /// Characters, at most so many.
    Text(usize),
    /// Bytes, at most so many.
    Bytes(usize),
    Number,
    /// A bit field or a geometry.
    Bits,
    Json,
    /// Times, members of a list.
    Other,
}

impl Holds {
    fn of(column_type: &str) -> Holds {
        let lower = column_type.to_ascii_lowercase();
        let word = lower.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        let inside =
            lower.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(inside, _)| inside);
        let length = inside.and_then(|inside| inside.trim().parse().ok()).unwrap_or(1);
        match word {
            "char" | "varchar" => Holds::Text(length),
            "tinytext" | "text" | "mediumtext" | "longtext" => Holds::Text(usize::MAX),
            "binary" | "varbinary" => Holds::Bytes(length),
            "tinyblob" | "blob" | "mediumblob" | "longblob" => Holds::Bytes(usize::MAX),
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "float" | "double" => {
                Holds::Number
            }
            "bit" | "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" | "geomcollection" | "vector" => Holds::Bits,
            "json" => Holds::Json,
            _ => Holds::Other,
        }
    }
}

/// Fewer hexadecimal digits of a hash are likely to be equal for different values.
const SHORT: usize = 16;

impl Mask {
    fn new(with: &With, key: [u8; 32], column: MaskedColumn<'_>) -> Result<Mask, String> {
        let MaskedColumn { name, column_type, nullable } = column;
        let how = match (with, Holds::of(column_type)) {
            (With::Null, _) if !nullable => {
                return Err(format!("column `{name}` is NOT NULL and can't be masked with null"));
            }
            (With::Null, _) => How::Null,
            (With::Hash, Holds::Text(length)) => How::HashText(key, length),
            (With::Hash, Holds::Bytes(length)) => How::HashBytes(key, length),
            (With::KeepLength, Holds::Text(_)) => How::KeepText(key),
            (With::KeepLength, Holds::Bytes(_)) => How::KeepBytes(key),
            (With::Hash | With::KeepLength, _) => {
                return Err(format!(
                    "column `{name}` is {column_type}: hash and keep-length mask characters and bytes, other columns take \
                     fixed or null"
                ));
            }
            (With::Fixed(_), Holds::Bits) => {
                return Err(format!(
                    "column `{name}` is {column_type}, which takes no fixed value: use null"
                ));
            }
            (With::Fixed(value), Holds::Json)
                if serde_json::from_str::<serde_json::Value>(value).is_err() =>
            {
                return Err(format!("column `{name}` is {column_type}, and `{value}` is no JSON"));
            }
            // `inf` and `nan` are numbers to us and names to SQL.
            (With::Fixed(value), Holds::Number) if !value.parse().is_ok_and(f64::is_finite) => {
                return Err(format!("column `{name}` is {column_type} and does not take `{value}`"));
            }
            (With::Fixed(value), Holds::Text(length)) if value.chars().count() > length => {
                return Err(format!("column `{name}` is {column_type}: `{value}` is too long for it"));
            }
            (With::Fixed(value), Holds::Bytes(length)) if value.len() > length => {
                return Err(format!("column `{name}` is {column_type}: `{value}` is too long for it"));
            }
            (With::Fixed(value), _) => How::Fixed(value.clone().into_bytes()),
        };
        Ok(Mask { how })
    }

    /// Different values may well have the same mask, which a unique key would not take.
    pub fn is_ambiguous(&self) -> bool {
        match self.how {
            How::Null => false,
            How::HashText(_, length) => length < SHORT,
            How::HashBytes(_, length) => length < SHORT / 2,
            How::Fixed(_) | How::KeepText(_) | How::KeepBytes(_) => true,
        }
    }

    /// What is written instead of `value`, made in `scratch`; `None` for NULL.
    pub fn apply<'s>(&'s self, value: &[u8], scratch: &'s mut Vec<u8>) -> Option<&'s [u8]> {
        scratch.clear();
        match &self.how {
            How::Null => return None,
            How::Fixed(text) => return Some(text),
            How::HashText(key, length) => {
                let hash = blake3::keyed_hash(key, value).to_hex();
                let text = hash.as_bytes();
                scratch.extend_from_slice(text.get(..*length).unwrap_or(text));
            }
            How::HashBytes(key, length) => {
                let hash = blake3::keyed_hash(key, value);
                let bytes = hash.as_bytes();
                scratch.extend_from_slice(bytes.get(..*length).unwrap_or(bytes));
            }
            How::KeepText(key) => keep_text(key, value, scratch),
            How::KeepBytes(key) => {
                scratch.resize(value.len(), 0);
                stream(key, value).fill(scratch);
            }
        }
        Some(scratch)
    }
}

/// Bytes without end that belong to `value`.
fn stream(key: &[u8; 32], value: &[u8]) -> blake3::OutputReader {
    blake3::Hasher::new_keyed(key).update(value).finalize_xof()
}

/// A letter for a letter, a digit for a digit; other ASCII characters stay. `value` is UTF-8, as the connection has it.
fn keep_text(key: &[u8; 32], value: &[u8], out: &mut Vec<u8>) {
    let mut stream = stream(key, value);
    let mut drawn = [0; 64];
    let mut left = 0;
    for &byte in value {
        // The later bytes of a character.
        if byte & 0xC0 == 0x80 {
            continue;
        }
        if left == 0 {
            stream.fill(&mut drawn);
            left = drawn.len();
        }
        left -= 1;
        let draw = drawn.get(left).copied().unwrap_or(0);
        out.push(match byte {
            b'0'..=b'9' => b'0' + draw % 10,
            b'A'..=b'Z' => b'A' + draw % 26,
            b'a'..=b'z' | 0x80.. => b'a' + draw % 26,
            other => other,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(with: With, column_type: &str) -> Result<Mask, String> {
        let column = MaskedColumn { name: "c", column_type, nullable: false };
        Mask::new(&with, Masks::derive(b"key"), column)
    }

    fn applied(with: With, column_type: &str, value: &str) -> String {
        let mut scratch = Vec::new();
        let mask = mask(with, column_type).unwrap();
        String::from_utf8(mask.apply(value.as_bytes(), &mut scratch).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn a_hash_fits_its_column_and_depends_on_the_key() {
        let whole = applied(With::Hash, "varchar(100)", "anna@example.org");
        assert_eq!(whole.len(), 64);
        assert_eq!(applied(With::Hash, "char(10)", "anna@example.org"), whole[..10]);
        assert_ne!(applied(With::Hash, "text", "anna@example.orh"), whole);
        let column = MaskedColumn { name: "c", column_type: "text", nullable: false };
        let other = Mask::new(&With::Hash, Masks::derive(b"other"), column).unwrap();
        assert_ne!(other.apply(b"anna@example.org", &mut Vec::new()).unwrap(), whole.as_bytes());
        let bytes = mask(With::Hash, "binary(16)").unwrap();
        assert_eq!(bytes.apply(b"x", &mut Vec::new()).unwrap().len(), 16);
        assert!(mask(With::Hash, "char(10)").unwrap().is_ambiguous() && !bytes.is_ambiguous());
    }

    #[test]
    fn a_kept_length_keeps_the_form() {
        let masked = applied(With::KeepLength, "varchar(50)", "Änne O'Neil, +49 30-123");
        let form = |text: &str| -> String {
            let class = |c: char| match c {
                '0'..='9' => '0',
                'A'..='Z' => 'A',
                'a'..='z' => 'a',
                c if !c.is_ascii() => 'a',
                c => c,
            };
            text.chars().map(class).collect()
        };
        assert_eq!(form(&masked), form("Änne O'Neil, +49 30-123"));
        assert!(!masked.contains("Neil") && !masked.contains("123"));
        let long = "x".repeat(1000);
        assert_eq!(applied(With::KeepLength, "text", &long).len(), 1000);
        let bytes = mask(With::KeepLength, "blob").unwrap();
        assert_eq!(bytes.apply(&[0xff; 100], &mut Vec::new()).unwrap().len(), 100);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (with, column_type, says) in [
            (With::Hash, "bigint unsigned", "bigint unsigned: hash and keep-length"),
            (With::KeepLength, "json", "json: hash and keep-length"),
            (With::KeepLength, "enum('a')", "enum('a'): hash"),
            (With::Fixed("{a:1}".into()), "json", "`{a:1}` is no JSON"),
            (With::Null, "int", "NOT NULL"),
            (With::Fixed("x".into()), "decimal(10,2)", "does not take `x`"),
            (With::Fixed("inf".into()), "double", "does not take `inf`"),
            (With::Fixed("xyz".into()), "varchar(2)", "too long"),
            (With::Fixed("äö".into()), "varbinary(3)", "too long"),
            (With::Fixed("1".into()), "bit(3)", "no fixed value"),
        ] {
            let error = mask(with, column_type).unwrap_err();
            assert!(error.contains(says), "{column_type}: {error}");
        }
        assert_eq!(applied(With::Fixed("äö".into()), "varchar(2)", "secret"), "äö");
        assert_eq!(applied(With::Fixed("-1.5".into()), "decimal(10,2)", "7"), "-1.5");
        assert_eq!(applied(With::Fixed("{}".into()), "json", "[1]"), "{}");
    }
}
