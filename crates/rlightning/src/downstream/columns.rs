//! Whether the rows of a dump fit a target table: which columns they fill, and of which types those are.

use sql::ddl::TypeKind;
use sql::schema::{Column, Table};

use super::tables::{TargetColumn, TargetInfo};

/// Kinds of values that go into each other without loss or guessing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Integer,
    Fraction,
    Bit,
    Temporal,
    Text,
    Binary,
    Choice,
    Json,
    Geometry,
    /// Not known here: the server decides.
    Unknown,
}

fn source_family(kind: &TypeKind) -> Family {
    use TypeKind::*;
    match kind {
        TinyInt | SmallInt | MediumInt | Int | BigInt | Year => Family::Integer,
        Decimal | Float | Double => Family::Fraction,
        Bit => Family::Bit,
        Date | Time | DateTime | Timestamp => Family::Temporal,
        Char | VarChar | TinyText | Text | MediumText | LongText => Family::Text,
        Binary | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob => Family::Binary,
        Enum | Set => Family::Choice,
        Json => Family::Json,
        Geometry(_) => Family::Geometry,
        _ => Family::Unknown,
    }
}

fn target_family(full_type: &str) -> Family {
    let word: String = full_type.to_lowercase().chars().take_while(char::is_ascii_alphanumeric).collect();
    match word.as_str() {
        "tinyint" | "smallint" | "mediumint" | "int" | "integer" | "bigint" | "year" => Family::Integer,
        "decimal" | "numeric" | "float" | "double" | "real" => Family::Fraction,
        "bit" => Family::Bit,
        "date" | "time" | "datetime" | "timestamp" => Family::Temporal,
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => Family::Text,
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Family::Binary,
        "enum" | "set" => Family::Choice,
        "json" => Family::Json,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "geomcollection" => Family::Geometry,
        _ => Family::Unknown,
    }
}

/// Whether values of one family may go into a column of another: the same, wider numbers, and text for everything that has a
/// text form. A narrower column of the same family is no mistake by itself; the strict session refuses what does not fit.
fn fits(source: Family, target: Family) -> bool {
    use Family::{Binary, Bit, Choice, Fraction, Geometry, Integer, Json, Temporal, Text, Unknown};
    match (source, target) {
        (Unknown, _) | (_, Unknown) => true,
        (a, b) if a == b => true,
        (Integer, Fraction | Bit) | (Bit, Integer) => true,
        // MariaDB's JSON is a text type.
        (Integer | Fraction | Temporal | Choice | Json, Text) | (Text, Choice | Json) => true,
        (Text | Choice, Binary) | (Binary, Geometry) => true,
        _ => false,
    }
}

/// What is wrong between the rows of a source table and a target table; nothing if they fit.
///
/// `written` are the columns that the rows fill, by name; `source` is the structure of the source table where a schema file tells it.
pub fn complaints(
    target: &TargetInfo,
    written: &[String],
    source: Option<&Table>,
    ignored: &[String],
) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut filled = Vec::new();
    for name in written {
        if ignored.contains(&name.to_lowercase()) {
            continue;
        }
        let Some(column) = target.column(name) else {
            complaints.push(format!(
                "the dump fills column `{name}`, which the target table does not have: add it there, or leave it out with \
                 `mydumper.ignore-columns`"
            ));
            continue;
        };
        filled.push(column.name.as_str());
        if column.generated {
            complaints.push(format!(
                "the dump fills column `{name}`, which the target generates: leave it out with `mydumper.ignore-columns`"
            ));
        }
        let Some((_, from)) = source.and_then(|table| table.column(name)) else { continue };
        complaints.extend(type_complaint(from, column));
    }
    for column in target.writable().filter(|column| column.required) {
        if !filled.contains(&column.name.as_str()) {
            complaints.push(format!(
                "the target's column `{}` is NOT NULL without a default, and the dump does not fill it: give it a default",
                column.name
            ));
        }
    }
    complaints
}

fn type_complaint(from: &Column, to: &TargetColumn) -> Option<String> {
    let (source, target) = (source_family(&from.kind), target_family(&to.full_type));
    (!fits(source, target)).then(|| {
        format!(
            "column `{}` is {} in the dump and {} in the target: their values do not fit without a conversion",
            to.name,
            format!("{:?}", from.kind).to_lowercase(),
            to.full_type
        )
    })
}

/// Whether columns of this type hold bytes and no text.
pub fn is_binary(kind: &TypeKind) -> bool {
    matches!(source_family(kind), Family::Binary | Family::Bit | Family::Geometry)
}

/// The columns that rows without a column list fill: those of the source table in their order, where a schema file tells
/// them. Columns that the source generates are not in a dump.
pub fn of_source(source: &Table) -> Vec<String> {
    source
        .columns
        .iter()
        .filter(|column| column.generated.is_none())
        .map(|column| column.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::ident::TableName;
    use sql::SqlMode;

    fn target(columns: &[(&str, &str, bool)]) -> TargetInfo {
        TargetInfo {
            name: TableName::new("d", "t"),
            engine: "InnoDB".into(),
            is_view: false,
            created: String::new(),
            columns: columns
                .iter()
                .map(|(name, full_type, required)| TargetColumn {
                    name: (*name).into(),
                    full_type: (*full_type).into(),
                    required: *required,
                    generated: false,
                })
                .collect(),
        }
    }

    fn source() -> Table {
        let text = b"CREATE TABLE t (id bigint NOT NULL, c varchar(9), at timestamp NULL, PRIMARY KEY (id))";
        Table::from_create(text, SqlMode::default()).unwrap()
    }

    #[test]
    fn a_table_that_fits() {
        let source = source();
        let written = of_source(&source);
        let wide = target(&[
            ("ID", "bigint(20) unsigned", true),
            ("c", "text", false),
            ("at", "datetime", false),
            ("extra", "int", false),
        ]);
        assert_eq!(complaints(&wide, &written, Some(&source), &[]), [""; 0]);
    }

    #[test]
    fn missing_foreign_and_required_columns_are_named() {
        let source = source();
        let written = of_source(&source);
        let narrow = target(&[("id", "bigint", true), ("at", "int", false), ("must", "int", true)]);
        let found = complaints(&narrow, &written, Some(&source), &[]);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("column `c`"), "{found:?}");
        assert!(found[1].contains("timestamp in the dump and int"), "{found:?}");
        assert!(found[2].contains("`must`"), "{found:?}");
        assert_eq!(complaints(&narrow, &written, None, &["c".into()]).len(), 1);
    }
}
