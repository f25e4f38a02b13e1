//! Values whose text is not the same on every server, by value. How rows are hashed otherwise stands in [`mysql::row_hash`].

pub use mysql::row_hash::{
    Column, Fill, Fills, Groups, Sums, group_of, key_text, not_a_constant, row_hash, summary,
};

use super::json;

/// The same bytes for all texts of one value.
pub fn value(column: &Column, text: &[u8]) -> Vec<u8> {
    if !column.is_double() {
        return json::canonical(text);
    }
    let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<f64>().ok());
    // -0 is 0, as for the servers.
    number.map_or_else(|| text.to_vec(), |number| (number + 0.0).to_bits().to_be_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_one_value_in_every_text() {
        let double = Column { name: "g".into(), data_type: "double".into(), nullable: true };
        let value = |text: &str| value(&double, text.as_bytes());
        assert_eq!(value("3.0225183985765902e-5"), value("0.000030225183985765902"));
        assert_eq!(value("1e20"), value("100000000000000000000"));
        assert_eq!(value("-0"), value("0"));
        assert_ne!(value("0.1"), value("0.10000000000000002"));
        assert_ne!(value("1"), value("-1"));
    }
}
