//! A table as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::form::{ColumnInfo, IndexColumn, IndexInfo, Name, PUBLIC, TableInfo, TypeInfo, UNSPECIFIED, flag};
use crate::ddl::{DefaultValue, TypeKind};
use crate::schema::{Column, Index, Part, Table, same_name};

/// The table as JSON in TiDB's order of fields. The table's own state is 0, as DM stores it; that of columns and indexes is 5.
pub fn to_json(table: &Table) -> String {
    let info = table_info(table);
    // The types hold nothing that JSON cannot: no maps with odd keys, no floats.
    serde_json::to_string(&info).unwrap_or_default()
}

fn table_info(table: &Table) -> TableInfo {
    let handle = Handle::of(table);
    let mut columns: Vec<ColumnInfo> =
        table.columns.iter().enumerate().map(|(offset, column)| column_info(table, column, offset)).collect();
    let mut max_column = table.max_column_id;
    let mut indexes = Vec::new();
    for index in table.indexes.iter().filter(|index| !(index.primary && handle == Handle::Integer)) {
        indexes.push(index_info(table, index, &mut columns, &mut max_column));
    }
    // Where the primary key is the row's handle it takes no index number.
    let shift = u32::from(handle == Handle::Integer);
    if shift > 0 {
        let primary = table.primary_key().map_or(0, |key| key.id);
        for info in indexes.iter_mut().filter(|info| info.id > primary) {
            info.id -= shift;
        }
    }
    TableInfo {
        name: Name::new(&table.name),
        charset: table.charset.clone(),
        collate: table.collation.clone(),
        cols: Some(columns),
        index_info: (!indexes.is_empty()).then_some(indexes),
        fk_info: foreign_keys(table),
        max_fk_id: i64::try_from(table.foreign_keys.len()).unwrap_or(0),
        pk_is_handle: handle == Handle::Integer,
        is_common_handle: handle == Handle::Common,
        common_handle_version: u16::from(handle == Handle::Common),
        comment: table.comment.clone(),
        max_col_id: max_column,
        max_idx_id: table.max_index_id.saturating_sub(shift),
        hidden_period: table.hidden_period,
        version: 5,
        ..TableInfo::default()
    }
}

fn foreign_keys(table: &Table) -> Value {
    let names = |columns: &[String]| columns.iter().map(|own| name_value(own)).collect::<Vec<_>>();
    let keys = table.foreign_keys.iter().enumerate().map(|(at, key)| {
        serde_json::json!({
            "id": at + 1,
            "fk_name": name_value(key.name.as_deref().unwrap_or_default()),
            "ref_schema": name_value(key.parent.schema.as_deref().unwrap_or_default()),
            "ref_table": name_value(&key.parent.table),
            "ref_cols": names(&key.parent_columns),
            "cols": names(&key.columns),
            "on_delete": key.action("DELETE").map_or(0, rule_number),
            "on_update": key.action("UPDATE").map_or(0, rule_number),
            "state": 5,
            "version": 1,
        })
    });
    Value::Array(keys.collect())
}

fn name_value(name: &str) -> Value {
    serde_json::json!({ "O": name, "L": name.to_lowercase() })
}

fn rule_number(rule: &str) -> usize {
    super::RULES.iter().position(|known| *known == rule).unwrap_or(0)
}

/// How TiDB addresses the rows of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Handle {
    /// By a hidden number.
    Hidden,
    /// By the one integer column of the primary key, which then has no index of its own.
    Integer,
    /// By the primary key's columns.
    Common,
}

impl Handle {
    fn of(table: &Table) -> Self {
        let Some(key) = table.primary_key().filter(|key| key.clustered != Some(false)) else {
            return Handle::Hidden;
        };
        let mut columns = key.columns();
        let single = columns.next().filter(|_| key.parts.len() == 1).and_then(|name| table.column(name));
        use TypeKind::{BigInt, Int, MediumInt, SmallInt, TinyInt};
        match single {
            Some((_, column))
                if matches!(column.kind, TinyInt | SmallInt | MediumInt | Int | BigInt)
                    && key.parts.iter().all(|part| part.length.is_none()) =>
            {
                Handle::Integer
            }
            _ => Handle::Common,
        }
    }
}

/// TiDB's type byte.
fn code(kind: &TypeKind) -> u8 {
    use TypeKind::*;
    match kind {
        TinyInt => 1,
        SmallInt => 2,
        Int => 3,
        Float => 4,
        Double => 5,
        Timestamp => 7,
        BigInt => 8,
        MediumInt => 9,
        Date => 10,
        Time => 11,
        DateTime => 12,
        Year => 13,
        VarChar | VarBinary => 15,
        Bit => 16,
        Vector => 225,
        Json => 245,
        Decimal => 246,
        Enum => 247,
        Set => 248,
        TinyText | TinyBlob => 249,
        MediumText | MediumBlob => 250,
        LongText | LongBlob => 251,
        Text | Blob => 252,
        // UUID and INET values are fixed strings to a client, as CHAR and BINARY are.
        Char | Binary | Uuid | Inet4 | Inet6 | Other(_) => 254,
        Geometry(_) => 255,
    }
}

/// `Flen` and `Decimal`.
fn lengths(column: &Column) -> (i64, i64) {
    use TypeKind::*;
    let given = column.length.map(i64::from);
    let width =
        |signed: i64, unsigned: i64| (given.unwrap_or(if column.unsigned { unsigned } else { signed }), 0);
    let digits = given.unwrap_or(0);
    let fraction = if digits > 0 { digits + 1 } else { 0 };
    let characters = |member: &Vec<u8>| String::from_utf8_lossy(member).chars().count() as i64;
    let (length, decimal) = match column.kind {
        TinyInt => width(4, 3),
        SmallInt => width(6, 5),
        MediumInt => width(9, 8),
        Int => width(11, 10),
        BigInt => width(20, 20),
        Float => (given.unwrap_or(12), column.decimals.map_or(UNSPECIFIED, i64::from)),
        Double => (given.unwrap_or(22), column.decimals.map_or(UNSPECIFIED, i64::from)),
        Decimal => (given.unwrap_or(10), column.decimals.map_or(0, i64::from)),
        Year => (given.unwrap_or(4), 0),
        Date => (10, 0),
        Time => (10 + fraction, digits),
        DateTime | Timestamp => (19 + fraction, digits),
        Char | Binary | Bit => (given.unwrap_or(1), 0),
        VarChar | VarBinary => (given.unwrap_or(UNSPECIFIED), 0),
        TinyText | TinyBlob => (0xff, 0),
        Text | Blob => (0xffff, 0),
        MediumText | MediumBlob => (0xff_ffff, 0),
        LongText | LongBlob | Json => (0xffff_ffff, 0),
        Enum => (column.members.iter().map(characters).max().unwrap_or(0), 0),
        Set => {
            let commas = column.members.len().saturating_sub(1) as i64;
            (column.members.iter().map(characters).sum::<i64>() + commas, 0)
        }
        Vector | Geometry(_) | Other(_) => (given.unwrap_or(UNSPECIFIED), 0),
        Uuid => (36, 0),
        Inet4 => (15, 0),
        Inet6 => (39, 0),
    };
    (length, decimal)
}

fn flags(table: &Table, column: &Column) -> u64 {
    use TypeKind::*;
    let mut flags = 0;
    let mut set = |bit, on| flags |= if on { bit } else { 0 };
    set(flag::NOT_NULL, !column.nullable);
    set(flag::UNSIGNED, column.unsigned || matches!(column.kind, Bit | Year));
    set(flag::ZEROFILL, column.zerofill || column.kind == Year);
    let binary = matches!(
        column.kind,
        Date | Time
            | DateTime
            | Timestamp
            | Binary
            | VarBinary
            | TinyBlob
            | Blob
            | MediumBlob
            | LongBlob
            | Json
            | Vector
    );
    set(flag::BINARY, binary);
    set(flag::AUTO_INCREMENT, column.auto_increment);
    set(flag::ON_UPDATE_NOW, column.on_update.is_some());
    set(flag::NO_DEFAULT, !column.nullable && column.default.is_none() && !column.auto_increment);
    for index in &table.indexes {
        let is = |part: &Part| part.column.as_deref().is_some_and(|name| same_name(name, &column.name));
        let first = index.parts.first().is_some_and(is);
        if index.primary {
            set(flag::PRIMARY, index.parts.iter().any(is));
        } else if index.unique && index.parts.len() == 1 {
            set(flag::UNIQUE, first);
        } else {
            set(flag::MULTIPLE, first);
        }
    }
    flags
}

fn column_info(table: &Table, column: &Column, offset: usize) -> ColumnInfo {
    let (length, decimal) = lengths(column);
    let (default_value, default_bit, default_is_expr) = default_json(column, column.default.as_ref());
    let (origin_default, origin_default_bit, _) = default_json(column, column.origin_default.as_ref());
    let default_value = if column.kind == TypeKind::Year && !column.nullable && column.default.is_none() {
        Value::String("0000".into())
    } else {
        default_value
    };
    let elems = matches!(column.kind, TypeKind::Enum | TypeKind::Set)
        .then(|| column.members.iter().map(|member| String::from_utf8_lossy(member).into_owned()).collect());
    let binary = || "binary".to_owned();
    ColumnInfo {
        id: column.id,
        name: Name::new(&column.name),
        offset,
        origin_default,
        origin_default_bit,
        default_value,
        default_bit,
        default_is_expr,
        generated_expr_string: column.generated.as_ref().map(|it| it.expression.clone()).unwrap_or_default(),
        generated_stored: column.generated.as_ref().is_some_and(|it| it.stored),
        dependences: dependences(table, column),
        ty: TypeInfo {
            code: code(&column.kind),
            flag: flags(table, column),
            length,
            decimal,
            charset: column.charset.clone().unwrap_or_else(binary),
            collate: column.collation.clone().unwrap_or_else(binary),
            elems,
            elems_is_binary: None,
            array: false,
        },
        state: PUBLIC,
        comment: column.comment.clone(),
        hidden: false,
        change_state_info: Value::Null,
        version: 2,
    }
}

/// The columns a generated one names: every name of a column in its expression.
fn dependences(table: &Table, column: &Column) -> Value {
    let Some(generated) = &column.generated else { return Value::Null };
    let text = generated.expression.as_bytes();
    let mut names = serde_json::Map::new();
    for token in crate::lexer::tokens(text, crate::lexer::SqlMode::default()) {
        let name = crate::lexer::name_text(token.span.of(text));
        if let Some((_, column)) = table.column(&name) {
            names.insert(column.name.to_lowercase(), Value::Object(serde_json::Map::new()));
        }
    }
    Value::Object(names)
}

/// `default`, `default_bit`, `default_is_expr`.
fn default_json(column: &Column, value: Option<&DefaultValue>) -> (Value, Option<String>, bool) {
    let text = |text: &str| Value::String(text.to_owned());
    let bytes = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
    let bit = column.kind == TypeKind::Bit;
    match value {
        None | Some(DefaultValue::Null) => (Value::Null, None, false),
        Some(DefaultValue::String(value) | DefaultValue::Hex(value) | DefaultValue::Bit(value)) => {
            (bytes(value), bit.then(|| BASE64.encode(value)), false)
        }
        Some(DefaultValue::Number(number)) => (text(number), None, false),
        Some(DefaultValue::Bool(value)) => (text(if *value { "1" } else { "0" }), None, false),
        Some(DefaultValue::Now(_)) => (text("CURRENT_TIMESTAMP"), None, false),
        Some(DefaultValue::Expression(expression)) => (text(expression), None, true),
    }
}

fn index_info(
    table: &Table,
    index: &Index,
    columns: &mut Vec<ColumnInfo>,
    max_column: &mut u32,
) -> IndexInfo {
    let mut idx_cols = Vec::new();
    let mut multi_valued = false;
    for (at, part) in index.parts.iter().enumerate() {
        let length = part.length.map_or(UNSPECIFIED, i64::from);
        if let Some((offset, column)) = part.column.as_deref().and_then(|name| table.column(name)) {
            idx_cols.push(IndexColumn { name: Name::new(&column.name), offset, length });
            continue;
        }
        let expression = part.expression.clone().unwrap_or_default();
        let array = expression.to_ascii_lowercase().trim_end_matches(')').trim_end().ends_with(" array");
        multi_valued |= array;
        *max_column += 1;
        let name = Name::new(&format!("_V$_{}_{at}", index.name));
        let offset = columns.len();
        idx_cols.push(IndexColumn { name: name.clone(), offset, length });
        columns.push(hidden_column(*max_column, name, offset, expression, array));
    }
    IndexInfo {
        id: index.id,
        idx_name: Name::new(&index.name),
        idx_cols,
        state: PUBLIC,
        comment: index.comment.clone(),
        index_type: match index.using.as_deref() {
            Some("hash") => 2,
            Some("rtree") => 3,
            _ => 1,
        },
        is_unique: index.unique,
        is_primary: index.primary,
        is_invisible: index.invisible,
        is_global: index.global,
        mv_index: multi_valued,
        ..IndexInfo::default()
    }
}

fn hidden_column(id: u32, name: Name, offset: usize, expression: String, array: bool) -> ColumnInfo {
    ColumnInfo {
        id,
        name,
        offset,
        generated_expr_string: expression,
        // A string of any length: what the expression gives is not known.
        ty: TypeInfo {
            code: 253,
            flag: flag::MULTIPLE,
            charset: "utf8mb4".into(),
            collate: "utf8mb4_bin".into(),
            array,
            ..TypeInfo::default()
        },
        state: PUBLIC,
        hidden: true,
        version: 2,
        ..ColumnInfo::default()
    }
}
