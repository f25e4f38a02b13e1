//! A table as the text of CREATE TABLE.

use super::{Column, Index, Table};
use crate::ddl::{DefaultValue, IndexKind, TypeKind};

fn name(text: &str) -> String {
    String::from_utf8_lossy(&crate::rename::quote(text)).into_owned()
}

/// A string literal that reads the same with and without NO_BACKSLASH_ESCAPES unless it holds a backslash.
fn literal(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for c in text.chars() {
        match c {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.push(c),
        }
    }
    out.push('\'');
    out
}

pub(super) fn create(table: &Table) -> String {
    let mut lines: Vec<String> =
        table.columns.iter().map(|column| format!("  {}", self::column(table, column))).collect();
    let mut indexes: Vec<&Index> = table.indexes.iter().collect();
    // As servers do: the primary key, unique keys, others.
    indexes.sort_by_key(|index| (!index.primary, !index.unique));
    lines.extend(indexes.iter().map(|index| format!("  {}", self::index(index))));
    for key in &table.foreign_keys {
        let constraint =
            key.name.as_ref().map(|own| format!("CONSTRAINT {} ", name(own))).unwrap_or_default();
        let list = |columns: &[String]| columns.iter().map(|own| name(own)).collect::<Vec<_>>().join(",");
        let schema = key.parent.schema.as_ref().map(|own| format!("{}.", name(own))).unwrap_or_default();
        let mut line = format!(
            "  {constraint}FOREIGN KEY ({}) REFERENCES {schema}{} ({})",
            list(&key.columns),
            name(&key.parent.table),
            list(&key.parent_columns)
        );
        if !key.actions.is_empty() {
            line.push(' ');
            line.push_str(&key.actions);
        }
        lines.push(line);
    }
    for check in &table.checks {
        let constraint =
            check.name.as_ref().map(|own| format!("CONSTRAINT {} ", name(own))).unwrap_or_default();
        lines.push(format!("  {constraint}{}", check.text));
    }
    let mut text = format!("CREATE TABLE {} (\n{}\n)", name(&table.name), lines.join(",\n"));
    if let Some(engine) = &table.engine {
        text += &format!(" ENGINE={engine}");
    }
    if let Some(value) = table.auto_increment {
        text += &format!(" AUTO_INCREMENT={value}");
    }
    text += &format!(" DEFAULT CHARSET={}{}", table.charset, collate(&table.collation, " COLLATE="));
    if !table.comment.is_empty() {
        text += &format!(" COMMENT={}", literal(table.comment.as_bytes()));
    }
    if let Some(partitioning) = &table.partitioning {
        text += "\n";
        text += partitioning;
    }
    text
}

/// The word of a type, in lower case.
pub(crate) fn type_word(kind: &TypeKind) -> &str {
    use TypeKind::*;
    match kind {
        TinyInt => "tinyint",
        SmallInt => "smallint",
        MediumInt => "mediumint",
        Int => "int",
        BigInt => "bigint",
        Decimal => "decimal",
        Float => "float",
        Double => "double",
        Bit => "bit",
        Year => "year",
        Date => "date",
        Time => "time",
        DateTime => "datetime",
        Timestamp => "timestamp",
        Char => "char",
        VarChar => "varchar",
        Binary => "binary",
        VarBinary => "varbinary",
        TinyText => "tinytext",
        Text => "text",
        MediumText => "mediumtext",
        LongText => "longtext",
        TinyBlob => "tinyblob",
        Blob => "blob",
        MediumBlob => "mediumblob",
        LongBlob => "longblob",
        Enum => "enum",
        Set => "set",
        Json => "json",
        Geometry(word) => word,
        Vector => "vector",
        Uuid => "uuid",
        Inet4 => "inet4",
        Inet6 => "inet6",
        Other(word) => word,
    }
}

/// Type, length and sign, as COLUMN_TYPE of information_schema shows them.
pub(crate) fn column_type(column: &Column) -> String {
    use TypeKind::*;
    let mut text = type_word(&column.kind).to_owned();
    match column.kind {
        Enum | Set => {
            let members: Vec<String> = column.members.iter().map(|member| literal(member)).collect();
            text += &format!("({})", members.join(","));
        }
        Time | DateTime | Timestamp if column.length == Some(0) => {}
        Year => {}
        _ => match (column.length, column.decimals) {
            (Some(length), Some(decimals)) => text += &format!("({length},{decimals})"),
            (Some(length), None) => text += &format!("({length})"),
            _ => {}
        },
    }
    if column.unsigned {
        text += " unsigned";
    }
    if column.zerofill {
        text += " zerofill";
    }
    text
}

/// The collation with the word in front; `binary` is the only one of its character set and no name to old servers.
fn collate(collation: &str, word: &str) -> String {
    if collation == "binary" { String::new() } else { format!("{word}{collation}") }
}

fn now(digits: u8) -> String {
    if digits == 0 { "CURRENT_TIMESTAMP".into() } else { format!("CURRENT_TIMESTAMP({digits})") }
}

fn column(table: &Table, column: &Column) -> String {
    let mut text = format!("{} {}", name(&column.name), column_type(column));
    if let (Some(charset), Some(collation)) = (&column.charset, &column.collation)
        && (*charset != table.charset || *collation != table.collation)
    {
        text += &format!(" CHARACTER SET {charset}{}", collate(collation, " COLLATE "));
    }
    if let Some(generated) = &column.generated {
        if generated.expression.starts_with("ROW ") {
            text += &format!(" GENERATED ALWAYS AS {}", generated.expression);
        } else {
            let kind = if generated.stored { "STORED" } else { "VIRTUAL" };
            text += &format!(" GENERATED ALWAYS AS ({}) {kind}", generated.expression);
        }
    }
    if !column.nullable {
        text += " NOT NULL";
    } else if column.kind == TypeKind::Timestamp {
        text += " NULL";
    }
    if let Some(srid) = column.srid {
        text += &format!(" /*!80003 SRID {srid} */");
    }
    let takes_no_default = matches!(
        column.kind,
        TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::TinyBlob
            | TypeKind::Blob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob
            | TypeKind::Json
            | TypeKind::Geometry(_)
            | TypeKind::Vector
    );
    match &column.default {
        None => {}
        Some(DefaultValue::Null) if takes_no_default => {}
        Some(value) => text += &format!(" DEFAULT {}", default(value)),
    }
    if let Some(digits) = column.on_update {
        text += &format!(" ON UPDATE {}", now(digits));
    }
    if column.auto_increment {
        text += " AUTO_INCREMENT";
    }
    if column.invisible {
        text += " /*!80023 INVISIBLE */";
    }
    if !column.comment.is_empty() {
        text += &format!(" COMMENT {}", literal(column.comment.as_bytes()));
    }
    text
}

fn default(value: &DefaultValue) -> String {
    let digits = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>();
    match value {
        DefaultValue::Null => "NULL".into(),
        DefaultValue::String(bytes) if std::str::from_utf8(bytes).is_ok() => literal(bytes),
        DefaultValue::String(bytes) | DefaultValue::Hex(bytes) => format!("x'{}'", digits(bytes)),
        DefaultValue::Number(text) => text.clone(),
        DefaultValue::Bit(bytes) => {
            let bits: String = bytes.iter().map(|byte| format!("{byte:08b}")).collect();
            let bits = bits.trim_start_matches('0');
            format!("b'{}'", if bits.is_empty() { "0" } else { bits })
        }
        DefaultValue::Bool(value) => if *value { "1" } else { "0" }.into(),
        DefaultValue::Now(digits) => now(*digits),
        DefaultValue::Expression(text) => format!("({text})"),
    }
}

fn index(index: &Index) -> String {
    let head = match index.kind {
        IndexKind::Primary => "PRIMARY KEY".to_owned(),
        IndexKind::Unique => format!("UNIQUE KEY {}", name(&index.name)),
        IndexKind::Plain => format!("KEY {}", name(&index.name)),
        IndexKind::FullText => format!("FULLTEXT KEY {}", name(&index.name)),
        IndexKind::Spatial => format!("SPATIAL KEY {}", name(&index.name)),
        IndexKind::Vector => format!("VECTOR KEY {}", name(&index.name)),
    };
    let parts: Vec<String> = index
        .parts
        .iter()
        .map(|part| {
            let mut text = match (&part.column, &part.expression) {
                (Some(column), _) => name(column),
                (None, Some(expression)) => format!("({expression})"),
                (None, None) => String::new(),
            };
            if let Some(length) = part.length {
                text += &format!("({length})");
            }
            if part.descending {
                text += " DESC";
            }
            text
        })
        .collect();
    let mut text = format!("{head} ({})", parts.join(","));
    if let Some(using) = &index.using {
        text += &format!(" USING {}", using.to_ascii_uppercase());
    }
    if !index.comment.is_empty() {
        text += &format!(" COMMENT {}", literal(index.comment.as_bytes()));
    }
    if index.invisible {
        text += " /*!80000 INVISIBLE */";
    }
    text
}
