//! Ranges of a table's key: the conditions of chunks, and how a range is cut in two. Pure: no I/O.
//!
//! A cut at any literal that lies in the range makes an exact partition, whatever the key's type and collation are, because
//! both sides compare with the same literal: `k < c` and `k >= c`, and NULL belongs to the first. A bad guess of a cut makes
//! chunks of unequal sizes, never lost or doubled rows.

use common::ident::quote;

pub mod gaps;
mod midpoint;

/// What a key column's values are, as far as guesses of cuts need to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Whole numbers, YEAR too.
    Integer,
    /// DECIMAL.
    Decimal,
    /// DATE, DATETIME.
    Date,
    /// TIMESTAMP, whose text stands for two moments in the hour that the clock is put back.
    Timestamp,
    /// TIME.
    Time,
    /// CHAR, VARCHAR, TEXT in any collation.
    Text,
    /// BINARY, VARBINARY, BLOB.
    Binary,
}

impl Class {
    /// The class of a column type as SHOW COLUMNS prints it. `None`: a cut by ranges is not exact (FLOAT, DOUBLE), or the
    /// index has another order than comparisons (ENUM, SET), or there is none.
    pub fn of(column_type: &str) -> Option<Class> {
        let word = column_type.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
        Some(match word.to_ascii_lowercase().as_str() {
            "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => Class::Integer,
            "decimal" | "numeric" => Class::Decimal,
            "date" | "datetime" => Class::Date,
            "timestamp" => Class::Timestamp,
            "time" => Class::Time,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Class::Text,
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Class::Binary,
            _ => return None,
        })
    }

    /// Whether values that are equal to the server are the same bytes, and a value's text stands for nothing else.
    pub fn equal_means_identical(self) -> bool {
        !matches!(self, Class::Text | Class::Timestamp)
    }

    /// A value as the server printed it, as a literal that the column is compared with by its own rules.
    pub fn literal(self, value: &[u8]) -> String {
        let number = |&b: &u8| b.is_ascii_digit() || matches!(b, b'-' | b'.');
        match self {
            Class::Integer | Class::Decimal if !value.is_empty() && value.iter().all(number) => {
                String::from_utf8_lossy(value).into_owned()
            }
            Class::Binary if value.is_empty() => "''".into(),
            Class::Binary => format!("x'{}'", hex(value)),
            // An introducer keeps it a literal: the column's collation decides, and its index can be used.
            _ if value.iter().any(|&b| b < b' ' || b == b'\\') => format!("_utf8mb4 x'{}'", hex(value)),
            _ => format!("'{}'", String::from_utf8_lossy(value).replace('\'', "''")),
        }
    }

    /// A value about half way, greater than `low` in the order of the values as far as that is known here.
    pub fn between(self, low: &[u8], high: &[u8]) -> Option<Vec<u8>> {
        midpoint::between(self, low, high)
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = Vec::with_capacity(bytes.len() * 2);
    crate::escape::hex(&mut out, bytes);
    String::from_utf8(out).unwrap_or_default()
}

/// A column of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyColumn {
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: Class,
    /// Whether it may hold NULL.
    pub nullable: bool,
}

/// An index whose leading columns a table can be cut by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkKey {
    /// Name of the index.
    pub index: String,
    /// Its leading columns; at least one.
    pub columns: Vec<KeyColumn>,
    /// These columns tell each row from all others.
    pub unique: bool,
}

impl ChunkKey {
    /// Each row has one place in it, which no NULL leaves open: the primary key, or a unique one without NULL.
    pub fn is_row_identity(&self) -> bool {
        let nullable = self.columns.iter().any(|column| column.nullable);
        (self.unique || self.index == "PRIMARY") && !nullable
    }
}

/// The lower end of an interval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Low {
    /// The value.
    pub value: Vec<u8>,
    /// Whether the value itself is inside.
    pub inclusive: bool,
}

/// What a range says of one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bound {
    /// NULL.
    Null,
    /// This value.
    Equal(Vec<u8>),
    /// An interval, open where there is no end.
    Between {
        /// Lower end.
        low: Option<Low>,
        /// Upper end, not inside.
        high: Option<Vec<u8>>,
        /// NULL is inside, too.
        nulls: bool,
    },
}

impl Bound {
    /// Every value.
    pub fn all(nullable: bool) -> Bound {
        Bound::Between { low: None, high: None, nulls: nullable }
    }
}

/// A range of a key: what is said of its first columns. All but the last are [`Bound::Null`] or [`Bound::Equal`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    bounds: Vec<Bound>,
}

impl KeyRange {
    /// Every row.
    pub fn all(key: &ChunkKey) -> KeyRange {
        KeyRange { bounds: vec![Bound::all(key.columns.first().is_some_and(|column| column.nullable))] }
    }

    /// One interval of the first column.
    pub fn first_column(bound: Bound) -> KeyRange {
        KeyRange { bounds: vec![bound] }
    }

    /// Index of the column that can be cut.
    pub fn depth(&self) -> usize {
        self.bounds.len().saturating_sub(1)
    }

    /// The bound of the column that can be cut.
    pub fn last(&self) -> &Bound {
        self.bounds.last().unwrap_or(&Bound::Null)
    }

    fn with_last(&self, bound: Bound) -> KeyRange {
        let mut bounds = self.bounds.clone();
        if let Some(last) = bounds.last_mut() {
            *last = bound;
        }
        KeyRange { bounds }
    }

    /// Below and from `value` on. The server must compare `value` as inside the range.
    pub fn cut(&self, value: &[u8]) -> Option<(KeyRange, KeyRange)> {
        let Bound::Between { low, high, nulls } = self.last() else { return None };
        let low_end = Low { value: value.to_vec(), inclusive: true };
        Some((
            self.with_last(Bound::Between { low: low.clone(), high: Some(value.to_vec()), nulls: *nulls }),
            self.with_last(Bound::Between { low: Some(low_end), high: high.clone(), nulls: false }),
        ))
    }

    /// What is above a value, itself not inside; `None` if the range can't be cut.
    pub fn above(&self, value: &[u8]) -> Option<KeyRange> {
        let Bound::Between { high, .. } = self.last() else { return None };
        let low = Low { value: value.to_vec(), inclusive: false };
        Some(self.with_last(Bound::Between { low: Some(low), high: high.clone(), nulls: false }))
    }

    /// NULL, and everything else.
    pub fn cut_nulls(&self) -> Option<(KeyRange, KeyRange)> {
        match self.last() {
            Bound::Between { low, high, nulls: true } => {
                let rest = Bound::Between { low: low.clone(), high: high.clone(), nulls: false };
                Some((self.with_last(Bound::Null), self.with_last(rest)))
            }
            _ => None,
        }
    }

    /// Below `value`, `value` itself, so that the next column can be cut, and above it. `value` as in [`KeyRange::cut`].
    pub fn take_out(&self, value: &[u8], key: &ChunkKey) -> Option<Vec<KeyRange>> {
        let Bound::Between { low, high, nulls } = self.last() else { return None };
        let next = key.columns.get(self.bounds.len());
        let mut equal = self.with_last(Bound::Equal(value.to_vec()));
        if let Some(next) = next {
            equal.bounds.push(Bound::all(next.nullable));
        }
        let above = Low { value: value.to_vec(), inclusive: false };
        let starts_here = low.as_ref().is_some_and(|low| low.inclusive && low.value == value) && !nulls;
        let below =
            self.with_last(Bound::Between { low: low.clone(), high: Some(value.to_vec()), nulls: *nulls });
        let above = self.with_last(Bound::Between { low: Some(above), high: high.clone(), nulls: false });
        Some(if starts_here { vec![equal, above] } else { vec![below, equal, above] })
    }

    /// The NULLs of a column, so that the next column can be cut.
    pub fn next_column(&self, key: &ChunkKey) -> Option<KeyRange> {
        let next = key.columns.get(self.bounds.len())?;
        if matches!(self.last(), Bound::Between { .. }) {
            return None;
        }
        let mut out = self.clone();
        out.bounds.push(Bound::all(next.nullable));
        Some(out)
    }

    /// The condition; `None` for every row.
    pub fn condition(&self, key: &ChunkKey) -> Option<String> {
        let mut parts = Vec::new();
        for (bound, column) in self.bounds.iter().zip(&key.columns) {
            let name = quote(&column.name);
            let literal = |value: &[u8]| column.class.literal(value);
            match bound {
                Bound::Null => parts.push(format!("{name} IS NULL")),
                Bound::Equal(value) => parts.push(format!("{name} = {}", literal(value))),
                Bound::Between { low, high, nulls } => {
                    let mut ends = Vec::new();
                    if let Some(low) = low {
                        let sign = if low.inclusive { ">=" } else { ">" };
                        ends.push(format!("{name} {sign} {}", literal(&low.value)));
                    }
                    if let Some(high) = high {
                        ends.push(format!("{name} < {}", literal(high)));
                    }
                    match (ends.is_empty(), nulls, parts.is_empty() && self.bounds.len() == 1) {
                        (true, true, _) => {}
                        (true, false, _) if !column.nullable => {}
                        (true, false, _) => parts.push(format!("{name} IS NOT NULL")),
                        (false, false, _) => parts.push(ends.join(" AND ")),
                        (false, true, true) => {
                            parts.push(format!("{name} IS NULL OR {}", ends.join(" AND ")))
                        }
                        (false, true, false) => {
                            parts.push(format!("({name} IS NULL OR {})", ends.join(" AND ")));
                        }
                    }
                }
            }
        }
        (!parts.is_empty()).then(|| parts.join(" AND "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn key(nullable: bool) -> ChunkKey {
        let column = |name: &str| KeyColumn { name: name.into(), class: Class::Integer, nullable };
        ChunkKey { index: "PRIMARY".into(), columns: vec![column("a`"), column("b")], unique: true }
    }

    #[test]
    fn conditions() {
        let key = key(true);
        let all = KeyRange::all(&key);
        assert_eq!(all.condition(&key), None);
        let (low, high) = all.cut(b"501").unwrap();
        assert_eq!(low.condition(&key).unwrap(), "`a``` IS NULL OR `a``` < 501");
        assert_eq!(high.condition(&key).unwrap(), "`a``` >= 501");
        let (_, middle) = high.cut(b"7").unwrap();
        assert_eq!(middle.condition(&key).unwrap(), "`a``` >= 7");
        let parts = high.take_out(b"600", &key).unwrap();
        let texts: Vec<String> = parts.iter().map(|part| part.condition(&key).unwrap()).collect();
        assert_eq!(texts, ["`a``` >= 501 AND `a``` < 600", "`a``` = 600", "`a``` > 600"]);
        let (first, second) = parts[1].cut(b"-1").unwrap();
        assert_eq!(first.condition(&key).unwrap(), "`a``` = 600 AND (`b` IS NULL OR `b` < -1)");
        assert_eq!(second.condition(&key).unwrap(), "`a``` = 600 AND `b` >= -1");
        let (nulls, rest) = all.cut_nulls().unwrap();
        assert_eq!(nulls.condition(&key).unwrap(), "`a``` IS NULL");
        assert_eq!(rest.condition(&key).unwrap(), "`a``` IS NOT NULL");
        let deeper = nulls.next_column(&key).unwrap().cut(b"3").unwrap().1;
        assert_eq!(deeper.condition(&key).unwrap(), "`a``` IS NULL AND `b` >= 3");
    }

    #[test]
    fn literals() {
        assert_eq!(Class::Text.literal(b"it's"), "'it''s'");
        assert_eq!(Class::Text.literal(b"a\\b"), "_utf8mb4 x'615c62'");
        assert_eq!(Class::Binary.literal(b"\x00'"), "x'0027'");
        assert_eq!(Class::Decimal.literal(b"-1.50"), "-1.50");
        assert_eq!(Class::Date.literal(b"2024-01-01"), "'2024-01-01'");
        for none in ["float", "double", "enum('a')", "set('a')", "bit(3)", "json", "point", ""] {
            assert_eq!(Class::of(none), None, "{none}");
        }
        assert_eq!(Class::of("bigint(20) unsigned"), Some(Class::Integer));
        assert_eq!(Class::of("decimal(10,2)"), Some(Class::Decimal));
    }

    /// What the server does with a condition, for small integers.
    pub(super) fn inside(range: &KeyRange, row: [Option<i64>; 2]) -> bool {
        let number = |text: &[u8]| std::str::from_utf8(text).unwrap().parse::<i64>().unwrap();
        range.bounds.iter().zip(row).all(|(bound, value)| match (bound, value) {
            (Bound::Null, value) => value.is_none(),
            (Bound::Equal(text), value) => value == Some(number(text)),
            (Bound::Between { nulls, .. }, None) => *nulls,
            (Bound::Between { low, high, .. }, Some(value)) => {
                low.as_ref().is_none_or(|low| {
                    let end = number(&low.value);
                    value > end || (low.inclusive && value == end)
                }) && high.as_ref().is_none_or(|high| value < number(high))
            }
        })
    }

    proptest::proptest! {
        /// However a range is cut, again and again, each row is in exactly one of the parts.
        #[test]
        fn every_row_is_in_exactly_one_part(
            cuts in proptest::collection::vec((0u8..4, 0usize..50, -5i64..5), 0..40),
            rows in proptest::collection::vec((proptest::option::of(-6i64..6), proptest::option::of(-6i64..6)), 1..30),
        ) {
            let key = key(true);
            let mut parts = vec![KeyRange::all(&key)];
            for (how, which, value) in cuts {
                let part = parts[which % parts.len()].clone();
                let last = KeyRange { bounds: vec![part.last().clone()] };
                if matches!(how, 0 | 2) && !inside(&last, [Some(value), None]) {
                    continue;
                }
                let value = value.to_string().into_bytes();
                let new = match how {
                    0 => part.cut(&value).map(|(a, b)| vec![a, b]),
                    1 => part.cut_nulls().map(|(a, b)| vec![a, b]),
                    2 => part.take_out(&value, &key),
                    _ => part.next_column(&key).map(|part| vec![part]),
                };
                if let Some(new) = new {
                    let at = which % parts.len();
                    parts.splice(at..=at, new);
                }
            }
            for (a, b) in rows {
                let count = parts.iter().filter(|part| inside(part, [a, b])).count();
                proptest::prop_assert_eq!(count, 1, "{:?} {:?} in {:?}", a, b, parts);
            }
        }
    }
}
