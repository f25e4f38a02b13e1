//! A row as text that is the same on every server and in every character set, and its hash in SQL: what the tools compare rows by.
//!
//! Text is compared in utf8mb4, bytes in hexadecimal, floating point numbers as doubles, times as the session has them (so it must be
//! in UTC). A value that may be long goes in as its own hash. NULL and every value are told apart by a letter in front.
//!
//! Two sums over parts of the hash stand for many rows: no order counts, and a row that is there twice counts twice (xor would forget it).

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use common::ident::{quote, quote_string};

use crate::error::Result;
use crate::rows::Row;
use crate::version::Flavor;

/// A column of both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Name, as the target spells it.
    pub name: String,
    /// `DATA_TYPE` of information_schema, lower case.
    pub data_type: String,
    /// Whether it may hold NULL.
    pub nullable: bool,
}

/// What stands for a column that a shard lacks: the target's default, which the shard's rows have there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill {
    /// Its part of the hash.
    pub part: String,
    /// Its [text](Column::value_text); `None`: NULL.
    pub text: Option<String>,
}

/// By the number of the column.
pub type Fills = BTreeMap<usize, Fill>;

impl Column {
    /// Whether it is an integer, so that ranges can be cut on it.
    pub fn is_integer(&self) -> bool {
        matches!(self.data_type.as_str(), "tinyint" | "smallint" | "mediumint" | "int" | "bigint")
    }

    /// Whether it holds JSON, whose text is not the same on every server.
    pub fn is_json(&self) -> bool {
        self.data_type == "json"
    }

    /// Whether it is a floating point number: servers write one double as different texts (`3e-5`, `0.00003`).
    pub fn is_double(&self) -> bool {
        matches!(self.data_type.as_str(), "float" | "double")
    }

    /// Whether equal values may be different texts, so that values that differ by text are looked at here.
    pub fn has_texts(&self) -> bool {
        self.is_json() || self.is_double()
    }

    /// The text of such a value, which an expression gives, as the server writes it.
    pub fn value_text(&self, name: &str) -> String {
        if self.is_double() {
            format!("{name}+0e0")
        } else {
            format!("CONVERT(CAST({name} AS CHAR) USING utf8mb4)")
        }
    }

    /// The part of an expression of this type in the hash.
    pub fn part(&self, expression: &str) -> String {
        let canonical = self.canonical(expression);
        if self.nullable {
            format!("IFNULL(CONCAT('v',{canonical}),'n')")
        } else {
            format!("CONCAT('v',{canonical})")
        }
    }

    /// The value as text without a comma.
    fn canonical(&self, name: &str) -> String {
        match self.data_type.as_str() {
            // MySQL 8.0 and 9.7 write small ones with fewer digits than they have (from about 1e-80 on), large ones with all.
            "float" | "double" => {
                format!("IF(ABS({name})<1e-30,CONCAT('s',{name}*POW(2,1000)),{})", self.value_text(name))
            }
            "bit" => format!("({name}+0)"),
            "char" | "varchar" | "enum" | "set" => format!("HEX(CONVERT({name} USING utf8mb4))"),
            "tinytext" | "text" | "mediumtext" | "longtext" => {
                format!("SHA2(CONVERT({name} USING utf8mb4),256)")
            }
            "json" => format!("SHA2({},256)", self.value_text(name)),
            // BINARY's padding and a geometry's bytes are part of the value.
            "binary" | "varbinary" => format!("HEX({name})"),
            "tinyblob" | "blob" | "mediumblob" | "longblob" => format!("SHA2({name},256)"),
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
            | "multipolygon" | "geometrycollection" | "geomcollection" => format!("SHA2({name},256)"),
            _ => name.to_owned(),
        }
    }
}

/// SHA-256 of these values of a row in hexadecimal.
pub fn row_hash<'a>(columns: impl IntoIterator<Item = (usize, &'a Column)>, fills: &Fills) -> String {
    let parts: Vec<String> = columns
        .into_iter()
        .map(|(number, column)| match fills.get(&number) {
            Some(fill) => quote_string(&fill.part),
            None => column.part(&quote(&column.name)),
        })
        .collect();
    if parts.is_empty() {
        return "SHA2('',256)".into();
    }
    format!("SHA2(CONCAT_WS(',',{}),256)", parts.join(","))
}

/// `group, count, sum of the hash's first 64 bits, sum of the next 64 bits`, over `source`, which gives columns `h` and `g`.
pub fn summary(source: &str) -> String {
    let word = |from: u32| format!("SUM(CAST(CONV(SUBSTR(h,{from},16),16,10) AS UNSIGNED))");
    format!("SELECT g,COUNT(*),{},{} FROM ({source}) hashed GROUP BY g", word(1), word(17))
}

/// Count and sums over the hashes of some rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many rows.
    pub rows: u64,
    /// Sum of the first 64 bits.
    pub first: u128,
    /// Sum of the next 64 bits.
    pub second: u128,
}

/// By group.
pub type Groups = BTreeMap<u64, Sums>;

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.first += other.first;
        self.second += other.second;
    }
}

impl Add for Sums {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl Sums {
    /// One row more.
    pub fn count(&mut self, hash: &[u8; 32]) {
        let word = |at: usize| hash[at..at + 8].iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
        *self += Sums { rows: 1, first: word(0), second: word(8) };
    }

    /// A row of a [`summary`]: the group and its sums.
    ///
    /// # Errors
    /// It is none.
    pub fn of_summary(row: &Row) -> Result<(u64, Self)> {
        let sums = Sums {
            rows: row.parse(1)?.unwrap_or(0),
            first: row.parse(2)?.unwrap_or(0),
            second: row.parse(3)?.unwrap_or(0),
        };
        Ok((row.parse(0)?.unwrap_or(0), sums))
    }
}

/// The group, of `groups`, that a row's key falls into: rows of one key fall into one group on every server.
pub fn group_of(key: &[Column], groups: u64) -> String {
    if groups == 1 { "0".into() } else { format!("CRC32({}) MOD {groups}", key_text(key)) }
}

/// A key as text for a person: `id=7, name=abc`.
pub fn key_text(columns: &[Column]) -> String {
    if columns.is_empty() {
        return "'a row of JSON or floating point numbers alone'".into();
    }
    let parts: Vec<String> = columns
        .iter()
        .map(|column| {
            let label = format!("{}=", column.name).replace('\\', "\\\\").replace('\'', "''");
            let name = quote(&column.name);
            let value = match column.data_type.as_str() {
                "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
                    format!("CONCAT('0x',HEX(LEFT({name},64)))")
                }
                "char" | "varchar" | "enum" | "set" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                    format!("LEFT(CONVERT({name} USING utf8mb4),200)")
                }
                _ => format!("CONVERT({name} USING utf8mb4)"),
            };
            format!("CONCAT('{label}',IFNULL({value},'NULL'))")
        })
        .collect();
    format!("CONCAT_WS(', ',{})", parts.join(","))
}

/// Why the values of rows that were put in without this column are not known from its default; `None` if they are.
pub fn not_a_constant(flavor: Flavor, default: Option<&str>, extra: &str) -> Option<String> {
    let extra = extra.to_ascii_uppercase();
    let words: Vec<&str> = extra.split([' ', ',']).collect();
    if words.iter().any(|word| matches!(*word, "VIRTUAL" | "STORED" | "PERSISTENT")) {
        return Some("it is computed".into());
    }
    if words.contains(&"AUTO_INCREMENT") || words.contains(&"AUTO_RANDOM") {
        return Some("it numbers the rows".into());
    }
    let default = default?;
    let is_now = default.to_ascii_uppercase().starts_with("CURRENT_TIMESTAMP");
    // MariaDB quotes the literals and leaves expressions as they are.
    let is_computed = match flavor {
        Flavor::MariaDb => {
            let is_quoted = default.ends_with('\'') && default.contains('\'') && !default.contains('(');
            let is_text = default.starts_with('\'') && default.ends_with('\'');
            !(is_quoted || is_text || default.eq_ignore_ascii_case("NULL") || default.parse::<f64>().is_ok())
        }
        _ => words.contains(&"DEFAULT_GENERATED"),
    };
    (is_now || is_computed).then(|| format!("its default is computed ({default})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str, nullable: bool) -> Column {
        Column { name: name.into(), data_type: data_type.into(), nullable }
    }

    #[test]
    fn the_hash_tells_null_from_every_value() {
        let columns = [column("id", "bigint", false), column("c`d", "varchar", true)];
        assert_eq!(
            row_hash(columns.iter().enumerate(), &Fills::new()),
            "SHA2(CONCAT_WS(',',CONCAT('v',`id`),IFNULL(CONCAT('v',HEX(CONVERT(`c``d` USING utf8mb4))),'n')),256)"
        );
    }

    #[test]
    fn a_default_stands_for_a_column_that_is_lacking() {
        let columns = [column("id", "bigint", false), column("c", "varchar", true)];
        let fills = Fills::from([(1, Fill { part: "v6162".into(), text: None })]);
        assert_eq!(
            row_hash(columns.iter().enumerate(), &fills),
            "SHA2(CONCAT_WS(',',CONCAT('v',`id`),'v6162'),256)"
        );
    }

    #[test]
    fn constants_are_told_from_what_is_computed() {
        let why = |flavor, default: Option<&str>, extra| not_a_constant(flavor, default, extra);
        for flavor in [Flavor::MySql, Flavor::TiDb] {
            assert_eq!(why(flavor, None, ""), None);
            assert_eq!(why(flavor, Some("7"), ""), None);
            assert_eq!(why(flavor, Some("uuid()"), ""), None);
            assert!(why(flavor, Some("uuid()"), "DEFAULT_GENERATED").is_some());
            assert!(why(flavor, Some("CURRENT_TIMESTAMP(3)"), "").is_some());
            assert!(why(flavor, None, "STORED GENERATED").is_some());
            assert!(why(flavor, None, "auto_increment").is_some());
        }
        for text in ["'a(b'", "'it''s'", "NULL", "-1.5", "b'101'"] {
            assert_eq!(why(Flavor::MariaDb, Some(text), ""), None, "{text}");
        }
        for text in ["current_timestamp()", "uuid()", "concat('a','b')", "(`a` + 1)"] {
            assert!(why(Flavor::MariaDb, Some(text), "").is_some(), "{text}");
        }
    }

    #[test]
    fn a_key_is_shown_with_its_columns() {
        let text = key_text(&[column("o'b", "int", false)]);
        assert_eq!(text, "CONCAT_WS(', ',CONCAT('o''b=',IFNULL(CONVERT(`o'b` USING utf8mb4),'NULL')))");
    }
}
