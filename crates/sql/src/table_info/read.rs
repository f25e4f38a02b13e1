//! JSON as a table.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::Value;

use super::TableInfoError;
use super::form::{ColumnInfo, IndexInfo, TableInfo, flag};
use crate::ddl::{DefaultValue, Generated, IndexKind, TypeKind};
use crate::schema::{Column, Index, Part, Table, is_text, same_name};

/// Reads what [`to_json`](super::to_json) or TiDB wrote; fields not known are passed over.
///
/// # Errors
/// [`TableInfoError`]
pub fn from_json(text: &str) -> Result<Table, TableInfoError> {
    let info: TableInfo = serde_json::from_str(text)?;
    let infos = info.cols.unwrap_or_default();
    let columns = infos
        .iter()
        .filter(|column| !column.hidden)
        .map(column)
        .collect::<Result<Vec<Column>, TableInfoError>>()?;
    let mut table = Table {
        name: info.name.original,
        columns,
        indexes: Vec::new(),
        foreign_keys: foreign_keys(&info.fk_info),
        checks: Vec::new(),
        charset: info.charset,
        collation: info.collate,
        comment: info.comment,
        engine: None,
        auto_increment: None,
        partitioning: None,
        hidden_period: info.hidden_period,
        max_column_id: info.max_col_id.max(infos.iter().map(|column| column.id).max().unwrap_or(0)),
        max_index_id: info.max_idx_id,
    };
    for index in info.index_info.unwrap_or_default() {
        let mut index = self::index(&index, &infos);
        index.clustered = index.primary.then_some(info.is_common_handle);
        table.indexes.push(index);
    }
    table.max_index_id =
        table.max_index_id.max(table.indexes.iter().map(|index| index.id).max().unwrap_or(0));
    add_integer_key(&mut table, &infos, info.pk_is_handle);
    Ok(table)
}

/// The primary key of a table whose rows are addressed by it stands in no index but in a flag of its column.
fn add_integer_key(table: &mut Table, infos: &[ColumnInfo], pk_is_handle: bool) {
    if !pk_is_handle {
        return;
    }
    let Some(column) = infos.iter().find(|column| column.ty.flag & flag::PRIMARY != 0) else { return };
    for index in &mut table.indexes {
        index.id += 1;
    }
    table.max_index_id += 1;
    let part = Part {
        column: Some(column.name.original.clone()),
        expression: None,
        length: None,
        descending: false,
    };
    table.indexes.insert(
        0,
        Index {
            id: 1,
            name: "PRIMARY".into(),
            primary: true,
            unique: true,
            kind: IndexKind::Primary,
            parts: vec![part],
            using: None,
            comment: String::new(),
            invisible: false,
            implicit: false,
            global: false,
            clustered: None,
        },
    );
}

fn index(info: &IndexInfo, columns: &[ColumnInfo]) -> Index {
    let parts = info
        .idx_cols
        .iter()
        .map(|part| {
            let hidden = columns
                .iter()
                .find(|column| column.hidden && same_name(&column.name.original, &part.name.original));
            Part {
                column: hidden.is_none().then(|| part.name.original.clone()),
                expression: hidden.map(|column| column.generated_expr_string.clone()),
                length: u32::try_from(part.length).ok(),
                descending: false,
            }
        })
        .collect();
    let kind = match (info.is_primary, info.is_unique) {
        (true, _) => IndexKind::Primary,
        (_, true) => IndexKind::Unique,
        _ => IndexKind::Plain,
    };
    Index {
        id: info.id,
        name: info.idx_name.original.clone(),
        primary: info.is_primary,
        unique: info.is_unique || info.is_primary,
        kind,
        parts,
        using: match info.index_type {
            2 => Some("hash".into()),
            3 => Some("rtree".into()),
            _ => None,
        },
        comment: info.comment.clone(),
        invisible: info.is_invisible,
        implicit: false,
        global: info.is_global,
        clustered: None,
    }
}

fn kind(info: &ColumnInfo) -> Result<TypeKind, TableInfoError> {
    use TypeKind::*;
    let binary = info.ty.charset == "binary";
    let text = |text, blob| if binary { blob } else { text };
    Ok(match info.ty.code {
        1 => TinyInt,
        2 => SmallInt,
        3 => Int,
        4 => Float,
        5 => Double,
        7 => Timestamp,
        8 => BigInt,
        9 => MediumInt,
        10 => Date,
        11 => Time,
        12 => DateTime,
        13 => Year,
        15 | 253 => text(VarChar, VarBinary),
        16 => Bit,
        225 => Vector,
        245 => Json,
        0 | 246 => Decimal,
        247 => Enum,
        248 => Set,
        249 => text(TinyText, TinyBlob),
        250 => text(MediumText, MediumBlob),
        251 => text(LongText, LongBlob),
        252 => text(Text, Blob),
        254 => text(Char, Binary),
        255 => Geometry("geometry"),
        code => return Err(TableInfoError::Type { column: info.name.original.clone(), code }),
    })
}

fn column(info: &ColumnInfo) -> Result<Column, TableInfoError> {
    use TypeKind::*;
    let kind = kind(info)?;
    let has = |bit| info.ty.flag & bit != 0;
    let given = u32::try_from(info.ty.length).ok();
    let decimal = u32::try_from(info.ty.decimal).ok();
    let (length, decimals) = match kind {
        Decimal => (given, decimal),
        Float | Double => (decimal.and(given), decimal),
        Time | DateTime | Timestamp => (Some(decimal.unwrap_or(0)), None),
        Date | Enum | Set | Json | Geometry(_) => (None, None),
        TinyText | Text | MediumText | LongText | TinyBlob | Blob | MediumBlob | LongBlob => (None, None),
        _ => (given, None),
    };
    let text = is_text(&kind);
    let digits = u8::try_from(length.unwrap_or(0)).unwrap_or(0);
    let nullable = !has(flag::NOT_NULL);
    Ok(Column {
        id: info.id,
        name: info.name.original.clone(),
        length,
        decimals,
        // Both are how TiDB stores YEAR and BIT, not what was written.
        unsigned: has(flag::UNSIGNED) && !matches!(kind, Year | Bit),
        zerofill: has(flag::ZEROFILL) && kind != Year,
        charset: text.then(|| info.ty.charset.clone()),
        collation: text.then(|| info.ty.collate.clone()),
        members: info.ty.elems.iter().flatten().map(|member| member.clone().into_bytes()).collect(),
        nullable,
        default: default_value(info, &kind, digits),
        origin_default: plain_default(&info.origin_default, info.origin_default_bit.as_deref()),
        on_update: has(flag::ON_UPDATE_NOW).then_some(digits),
        auto_increment: has(flag::AUTO_INCREMENT),
        generated: (!info.generated_expr_string.is_empty()).then(|| Generated {
            expression: info.generated_expr_string.clone(),
            stored: info.generated_stored,
        }),
        comment: info.comment.clone(),
        invisible: false,
        srid: None,
        kind,
    })
}

/// A default without its column: bits, or text.
fn plain_default(value: &Value, bits: Option<&str>) -> Option<DefaultValue> {
    if let Some(bytes) = bits.and_then(|bits| BASE64.decode(bits).ok()) {
        return Some(DefaultValue::Bit(bytes));
    }
    match value {
        Value::Null => None,
        Value::String(text) => Some(DefaultValue::String(text.clone().into_bytes())),
        other => Some(DefaultValue::Number(other.to_string())),
    }
}

fn default_value(info: &ColumnInfo, kind: &TypeKind, digits: u8) -> Option<DefaultValue> {
    use TypeKind::*;
    let Some(value) = plain_default(&info.default_value, info.default_bit.as_deref()) else {
        let nullable = info.ty.flag & flag::NOT_NULL == 0;
        let plain = info.generated_expr_string.is_empty() && info.ty.flag & flag::AUTO_INCREMENT == 0;
        return (nullable && plain).then_some(DefaultValue::Null);
    };
    let DefaultValue::String(bytes) = &value else { return Some(value) };
    if info.default_is_expr {
        return Some(DefaultValue::Expression(String::from_utf8_lossy(bytes).into_owned()));
    }
    let time = matches!(kind, Date | Time | DateTime | Timestamp);
    if time && bytes.to_ascii_uppercase().starts_with(b"CURRENT_TIMESTAMP") {
        return Some(DefaultValue::Now(digits));
    }
    let numeric =
        matches!(kind, TinyInt | SmallInt | MediumInt | Int | BigInt | Decimal | Float | Double | Year);
    if *kind == Year && info.ty.flag & flag::NO_DEFAULT != 0 {
        return None;
    }
    if numeric {
        return Some(DefaultValue::Number(String::from_utf8_lossy(bytes).into_owned()));
    }
    Some(value)
}

/// Older ones have none.
fn foreign_keys(info: &serde_json::Value) -> Vec<crate::ddl::ForeignKey> {
    let name = |value: &serde_json::Value| value["O"].as_str().unwrap_or_default().to_owned();
    let some = |name: String| (!name.is_empty()).then_some(name);
    let names = |value: &serde_json::Value| value.as_array().into_iter().flatten().map(name).collect();
    let action = |key: &serde_json::Value, field: &str, word: &str| {
        let number = key[field].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let rule = super::RULES.get(number).filter(|rule| !rule.is_empty());
        rule.map(|rule| format!("ON {word} {rule}"))
    };
    let keys = info.as_array().into_iter().flatten();
    keys.map(|key| crate::ddl::ForeignKey {
        name: some(name(&key["fk_name"])),
        index_name: None,
        columns: names(&key["cols"]),
        parent: crate::classify::NamedTable {
            schema: some(name(&key["ref_schema"])),
            table: name(&key["ref_table"]),
        },
        parent_columns: names(&key["ref_cols"]),
        actions: [action(key, "on_delete", "DELETE"), action(key, "on_update", "UPDATE")]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" "),
        span: Default::default(),
    })
    .collect()
}
