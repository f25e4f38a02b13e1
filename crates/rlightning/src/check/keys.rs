//! Which keys of the shards may meet in the merged table, and what a row's key is.

use sql::ddl::TypeKind;
use sql::lexer::SqlMode;
use sql::schema::{Column, Table};
use sql::values::{Cell, Value};

/// A unique key of the shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UniqueKey {
    /// Name in the first shard that has it.
    pub name: String,
    /// Its parts.
    pub parts: Vec<KeyPart>,
}

/// One column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPart {
    /// Column name, in lower case.
    pub column: String,
    /// Characters or bytes that count; `None` for all.
    pub prefix: Option<usize>,
    form: Form,
}

/// How values of a column are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Integer,
    Decimal,
    /// Case and blanks at the end do not count.
    FoldedText,
    /// Blanks at the end do not count.
    PaddedText,
    Bytes,
}

impl Form {
    fn of(column: &Column) -> Form {
        use TypeKind::*;
        match &column.kind {
            TinyInt | SmallInt | MediumInt | Int | BigInt | Year => Form::Integer,
            Decimal => Form::Decimal,
            Char | VarChar | TinyText | Text | MediumText | LongText | Enum | Set => {
                let collation = column.collation.as_deref().unwrap_or_default();
                match collation {
                    "utf8mb4_0900_bin" | "binary" => Form::Bytes,
                    _ if collation.ends_with("_bin") => Form::PaddedText,
                    _ => Form::FoldedText,
                }
            }
            _ => Form::Bytes,
        }
    }
}

impl UniqueKey {
    /// Column names with their prefixes, `a,b(10)`.
    pub fn columns(&self) -> String {
        let part = |part: &KeyPart| match part.prefix {
            Some(length) => format!("{}({length})", part.column),
            None => part.column.clone(),
        };
        self.parts.iter().map(part).collect::<Vec<_>>().join(",")
    }

    /// Whether equal means more than this program can tell: letters that differ only by accent, or that a language takes for the same.
    pub fn is_by_collation(&self) -> bool {
        self.parts.iter().any(|part| part.form == Form::FoldedText)
    }
}

/// The unique keys of a shard; those with an expression are given by name.
pub fn unique_keys(table: &Table) -> (Vec<UniqueKey>, Vec<String>) {
    let mut keys = Vec::new();
    let mut left_out = Vec::new();
    for index in table.indexes.iter().filter(|index| index.unique) {
        let parts: Option<Vec<KeyPart>> = index
            .parts
            .iter()
            .map(|part| {
                let (_, column) = table.column(part.column.as_deref()?)?;
                // A generated column is not in the dump.
                column.generated.is_none().then(|| KeyPart {
                    column: column.name.to_lowercase(),
                    prefix: part.length.and_then(|length| usize::try_from(length).ok()),
                    form: Form::of(column),
                })
            })
            .collect();
        match parts {
            Some(parts) => keys.push(UniqueKey { name: index.name.clone(), parts }),
            None => left_out.push(index.name.clone()),
        }
    }
    (keys, left_out)
}

/// Works out keys of rows; holds a buffer so that no row allocates.
#[derive(Debug, Default)]
pub struct KeyHasher {
    text: Vec<u8>,
}

/// What a row's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKey {
    /// Equal for equal keys.
    Value([u8; 16]),
    /// A part is NULL: it meets no other.
    Null,
    /// A part is an expression, so that only a server can tell.
    Unknown,
}

impl KeyHasher {
    /// The key of a row, from the cells of its parts in order.
    pub fn key(&mut self, key: &UniqueKey, cells: &[Option<Cell<'_>>], mode: SqlMode) -> RowKey {
        if let ([part], [Some(cell)]) = (key.parts.as_slice(), cells)
            && part.form == Form::Integer
            && let Some(value) = cell.value(mode).ok().as_ref().and_then(integer)
        {
            // An integer is its own key: nothing is left to chance.
            return RowKey::Value((i128::from(value) ^ i128::MIN).to_be_bytes());
        }
        self.text.clear();
        for (part, cell) in key.parts.iter().zip(cells) {
            let Some(value) = cell.and_then(|cell| cell.value(mode).ok()) else { return RowKey::Unknown };
            let start = self.text.len();
            match value {
                Value::Null => return RowKey::Null,
                Value::Default | Value::Expression(_) => return RowKey::Unknown,
                Value::Int(value) => self.push(part, value.to_string().as_bytes()),
                Value::UInt(value) => self.push(part, value.to_string().as_bytes()),
                Value::Number(text) => self.push(part, text),
                Value::Text(_) if part.form == Form::Integer && integer(&value).is_some() => {
                    let number = integer(&value).unwrap_or_default();
                    self.push(part, number.to_string().as_bytes());
                }
                Value::Text(text) => self.push(part, &text),
                Value::Binary(bytes) => self.push(part, &bytes),
            }
            // Lengths keep ("a", "bc") and ("ab", "c") apart.
            let length = (self.text.len() - start) as u64;
            self.text.extend(length.to_be_bytes());
        }
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(&self.text).as_bytes()[..16]);
        // Apart from integers above.
        short[0] |= 0x80;
        RowKey::Value(short)
    }

    fn push(&mut self, part: &KeyPart, bytes: &[u8]) {
        match part.form {
            Form::Integer | Form::Bytes => {
                self.text.extend_from_slice(&bytes[..part.prefix.unwrap_or(bytes.len()).min(bytes.len())]);
            }
            Form::Decimal => push_decimal(&mut self.text, bytes),
            Form::PaddedText => self.text.extend_from_slice(trimmed(prefix_of(bytes, part.prefix))),
            Form::FoldedText => {
                let kept = trimmed(prefix_of(bytes, part.prefix));
                match std::str::from_utf8(kept) {
                    Ok(text) => {
                        let lower = text.chars().flat_map(char::to_lowercase);
                        let mut buffer = [0; 4];
                        lower
                            .for_each(|c| self.text.extend_from_slice(c.encode_utf8(&mut buffer).as_bytes()));
                    }
                    Err(_) => self.text.extend(kept.iter().map(u8::to_ascii_lowercase)),
                }
            }
        }
    }
}

/// An integer, written as one or as a text: CSV has texts only.
fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(value) => Some(*value),
        Value::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        _ => None,
    }
}

/// The first characters of a text.
fn prefix_of(bytes: &[u8], characters: Option<usize>) -> &[u8] {
    let Some(characters) = characters else { return bytes };
    match std::str::from_utf8(bytes) {
        Ok(text) => {
            let end = text.char_indices().nth(characters).map_or(bytes.len(), |(at, _)| at);
            &bytes[..end]
        }
        Err(_) => &bytes[..characters.min(bytes.len())],
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    &bytes[..end]
}

/// `007.50` and `7.5` are one number.
fn push_decimal(out: &mut Vec<u8>, text: &[u8]) {
    let (sign, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        _ => (false, text),
    };
    let (whole, fraction) = match digits.iter().position(|byte| *byte == b'.') {
        Some(point) => (&digits[..point], &digits[point + 1..]),
        None => (digits, &[][..]),
    };
    let whole = &whole[whole.iter().position(|byte| *byte != b'0').unwrap_or(whole.len())..];
    let fraction = &fraction[..fraction.iter().rposition(|byte| *byte != b'0').map_or(0, |at| at + 1)];
    if sign && !(whole.is_empty() && fraction.is_empty()) {
        out.push(b'-');
    }
    out.extend_from_slice(whole);
    out.push(b'.');
    out.extend_from_slice(fraction);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::values::cells;

    const TABLE: &str = "CREATE TABLE t (id bigint NOT NULL, n decimal(9,2), c varchar(20) CHARACTER SET utf8mb4 \
        COLLATE utf8mb4_general_ci, b varchar(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, x varbinary(9), \
        PRIMARY KEY (id), UNIQUE KEY n (n), UNIQUE KEY c (c), UNIQUE KEY b (b(2)), UNIQUE KEY two (c, x))";

    fn key_of(name: &str, values: &str) -> RowKey {
        let table = Table::from_create(TABLE.as_bytes(), SqlMode::default()).expect("a table");
        let (keys, left_out) = unique_keys(&table);
        assert!(left_out.is_empty());
        let key = keys.into_iter().find(|key| key.name == name).expect("the key");
        let row = format!("({values})");
        let mode = SqlMode::default();
        let cells: Vec<_> = cells(row.as_bytes(), mode).expect("a row").map(|cell| cell.ok()).collect();
        KeyHasher::default().key(&key, &cells, mode)
    }

    #[test]
    fn equal_and_different_keys() {
        let equal = [
            ("PRIMARY", "7", "7"),
            ("PRIMARY", "7", "'007'"),
            ("n", "7.5", "'007.50'"),
            ("n", "0", "-0.0"),
            ("c", "'Abc '", "'aBC'"),
            ("c", "'ÄB'", "'äb'"),
            ("b", "'abc'", "'abd '"),
            ("b", "'äöx'", "'äöy'"),
            ("two", "'a',0x6162", "'A','ab'"),
        ];
        for (name, a, b) in equal {
            assert_eq!(key_of(name, a), key_of(name, b), "{name}: {a} and {b}");
        }
        let different = [
            ("PRIMARY", "7", "-7"),
            ("n", "7.5", "7.05"),
            ("n", "-1", "1"),
            ("c", "'ab'", "'ac'"),
            ("b", "'Ab'", "'ab'"),
            ("two", "'a','bc'", "'ab','c'"),
            ("two", "'a','b '", "'a','b'"),
        ];
        for (name, a, b) in different {
            assert_ne!(key_of(name, a), key_of(name, b), "{name}: {a} and {b}");
        }
        assert_eq!(key_of("two", "NULL,'x'"), RowKey::Null);
        assert_eq!(key_of("n", "now()"), RowKey::Unknown);
    }
}
