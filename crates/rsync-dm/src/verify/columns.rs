//! A row as text that is the same on every server and in every character set, and its hash in SQL.
//!
//! Text is compared in utf8mb4, bytes in hexadecimal, times in UTC, floating point numbers as doubles. A value that may be long
//! goes in as its own hash. NULL and every value are told apart by a letter in front.

use std::collections::BTreeMap;

use common::ident::{quote, quote_string};

use super::json;

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
    fn is_double(&self) -> bool {
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

    /// The same bytes for all texts of one value.
    pub fn value(&self, text: &[u8]) -> Vec<u8> {
        if !self.is_double() {
            return json::canonical(text);
        }
        let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
        // -0 is 0, as for the servers.
        number.map_or_else(|| text.to_vec(), |number| (number + 0.0).to_bits().to_be_bytes().to_vec())
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
            "float" | "double" => format!("({})", self.value_text(name)),
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
    fn a_double_is_one_value_in_every_text() {
        let double = column("g", "double", true);
        let value = |text: &str| double.value(text.as_bytes());
        assert_eq!(value("3.0225183985765902e-5"), value("0.000030225183985765902"));
        assert_eq!(value("1e20"), value("100000000000000000000"));
        assert_eq!(value("-0"), value("0"));
        assert_ne!(value("0.1"), value("0.10000000000000002"));
        assert_ne!(value("1"), value("-1"));
    }

    #[test]
    fn a_key_is_shown_with_its_columns() {
        let text = key_text(&[column("o'b", "int", false)]);
        assert_eq!(text, "CONCAT_WS(', ',CONCAT('o''b=',IFNULL(CONVERT(`o'b` USING utf8mb4),'NULL')))");
    }
}
