//! What a column of the target can hold.

use sql::lexer::SqlMode;
use sql::values::{Cell, Value};

/// A column's bound, as far as a dump can break it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Characters of CHAR and VARCHAR.
    Characters(usize),
    /// Bytes of BINARY, VARBINARY, TEXT and BLOB.
    Bytes(usize),
    /// An integer between these.
    Integer(i128, i128),
}

impl Limit {
    /// From the whole type as information_schema or CREATE TABLE shows it, such as `varchar(20)`. `None`: it holds whatever comes.
    pub fn of(full_type: &str) -> Option<Limit> {
        let full_type = full_type.to_ascii_lowercase();
        let word: String = full_type.chars().take_while(char::is_ascii_alphanumeric).collect();
        let length = || full_type.split_once('(')?.1.split([')', ',']).next()?.trim().parse::<usize>().ok();
        let integer = |bits: u32| {
            if full_type.contains("unsigned") {
                Limit::Integer(0, (1 << bits) - 1)
            } else {
                Limit::Integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
            }
        };
        Some(match word.as_str() {
            "char" | "varchar" => Limit::Characters(length().unwrap_or(1)),
            "binary" | "varbinary" => Limit::Bytes(length().unwrap_or(1)),
            "tinytext" | "tinyblob" => Limit::Bytes(255),
            "text" | "blob" => Limit::Bytes(65_535),
            "mediumtext" | "mediumblob" => Limit::Bytes((1 << 24) - 1),
            "tinyint" => integer(8),
            "smallint" => integer(16),
            "mediumint" => integer(24),
            "int" | "integer" => integer(32),
            "bigint" => integer(64),
            _ => return None,
        })
    }

    /// Whether this bound is at least as wide as the other, so that no value needs a look.
    pub fn covers(self, other: Limit) -> bool {
        match (self, other) {
            (Limit::Characters(mine), Limit::Characters(theirs))
            | (Limit::Bytes(mine), Limit::Bytes(theirs)) => mine >= theirs,
            // A character is at most four bytes.
            (Limit::Bytes(mine), Limit::Characters(theirs)) => mine >= theirs.saturating_mul(4),
            (Limit::Integer(low, high), Limit::Integer(other_low, other_high)) => {
                low <= other_low && high >= other_high
            }
            _ => false,
        }
    }

    /// Whether a value fits; what only a server can tell does.
    pub fn holds(self, cell: &Cell<'_>, mode: SqlMode) -> bool {
        let Ok(value) = cell.value(mode) else { return true };
        match (self, &value) {
            (Limit::Characters(most), Value::Text(text)) => {
                text.len() <= most
                    || std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count()) <= most
            }
            (Limit::Bytes(most), Value::Text(text)) => text.len() <= most,
            (Limit::Characters(most) | Limit::Bytes(most), Value::Binary(bytes)) => bytes.len() <= most,
            (Limit::Integer(low, high), Value::Int(value)) => (low..=high).contains(&i128::from(*value)),
            (Limit::Integer(low, high), Value::UInt(value)) => (low..=high).contains(&i128::from(*value)),
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::values::cells;

    fn holds(full_type: &str, value: &str) -> bool {
        let row = format!("({value})");
        let cell = cells(row.as_bytes(), SqlMode::default())
            .expect("a row")
            .next()
            .expect("a cell")
            .expect("a value");
        Limit::of(full_type).expect("a bound").holds(&cell, SqlMode::default())
    }

    #[test]
    fn values_at_the_edge() {
        for (full_type, fits, does_not) in [
            ("varchar(3)", "'äöü'", "'abcd'"),
            ("varbinary(3)", "'abc'", "'äö'"),
            ("tinyint(4)", "-128", "128"),
            ("int(10) unsigned", "4294967295", "-1"),
            ("bigint unsigned", "18446744073709551615", "-1"),
            ("binary(2)", "0xffff", "0xffffff"),
        ] {
            assert!(holds(full_type, fits), "{fits} in {full_type}");
            assert!(!holds(full_type, does_not), "{does_not} in {full_type}");
        }
        assert_eq!(Limit::of("json"), None);
    }

    #[test]
    fn wider_bounds_need_no_look() {
        let limit = |full_type| Limit::of(full_type).expect("a bound");
        assert!(limit("varchar(30)").covers(limit("varchar(20)")));
        assert!(limit("text").covers(limit("varchar(255)")));
        assert!(limit("bigint").covers(limit("int unsigned")));
        assert!(!limit("int").covers(limit("int unsigned")));
        assert!(!limit("varchar(10)").covers(limit("varchar(20)")));
    }
}
