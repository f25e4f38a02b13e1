//! A table as TiDB's TableInfo JSON, which the checkpoints of DM and the shard information of its optimistic mode hold (facts/dm.md Annex C).
//!
//! What TiDB's form has no place for is lost on the way: foreign keys, checks, partitions, visibility of columns, descending key parts. A
//! functional key part becomes a hidden column as in TiDB; its type there is a guess, because nothing here evaluates expressions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::ddl::{DefaultValue, Generated, IndexKind, TypeKind};
use crate::schema::{Column, Index, Part, Table, is_text, same_name};

/// Why a TableInfo could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TableInfoError {
    /// It is no JSON of the known form.
    #[error("no table info: {0}")]
    Json(#[from] serde_json::Error),
    /// A type code that is not known.
    #[error("column `{column}` has the unknown type code {code}")]
    Type {
        /// The column.
        column: String,
        /// TiDB's type byte.
        code: u8,
    },
}

/// Bits of `Flag`.
mod flag {
    pub const NOT_NULL: u64 = 1;
    pub const PRIMARY: u64 = 2;
    pub const UNIQUE: u64 = 4;
    pub const MULTIPLE: u64 = 8;
    pub const UNSIGNED: u64 = 32;
    pub const ZEROFILL: u64 = 64;
    pub const BINARY: u64 = 128;
    pub const AUTO_INCREMENT: u64 = 512;
    pub const NO_DEFAULT: u64 = 4096;
    pub const ON_UPDATE_NOW: u64 = 8192;
}

/// Everything is public in TiDB's sense.
const PUBLIC: u8 = 5;
/// Length of a type without one.
const UNSPECIFIED: i64 = -1;

/// A name with its lower-case form. Old data holds the bare name.
#[derive(Clone, Debug, Default, Serialize)]
struct Name {
    #[serde(rename = "O")]
    original: String,
    #[serde(rename = "L")]
    lower: String,
}

impl Name {
    fn new(text: &str) -> Self {
        Self { original: text.to_owned(), lower: text.to_lowercase() }
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Pair {
                #[serde(rename = "O")]
                original: String,
            },
            Bare(String),
        }
        let original = match Form::deserialize(deserializer)? {
            Form::Pair { original } | Form::Bare(original) => original,
        };
        Ok(Name::new(&original))
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(default)]
struct TypeInfo {
    #[serde(rename = "Tp")]
    code: u8,
    #[serde(rename = "Flag")]
    flag: u64,
    #[serde(rename = "Flen")]
    length: i64,
    #[serde(rename = "Decimal")]
    decimal: i64,
    #[serde(rename = "Charset")]
    charset: String,
    #[serde(rename = "Collate")]
    collate: String,
    #[serde(rename = "Elems")]
    elems: Option<Vec<String>>,
    #[serde(rename = "ElemsIsBinaryLit")]
    elems_is_binary: Option<Vec<bool>>,
    #[serde(rename = "Array")]
    array: bool,
}

impl Default for TypeInfo {
    fn default() -> Self {
        Self {
            code: 0,
            flag: 0,
            length: UNSPECIFIED,
            decimal: UNSPECIFIED,
            charset: String::new(),
            collate: String::new(),
            elems: None,
            elems_is_binary: None,
            array: false,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct ColumnInfo {
    id: u32,
    name: Name,
    offset: usize,
    origin_default: Value,
    origin_default_bit: Option<String>,
    #[serde(rename = "default")]
    default_value: Value,
    default_bit: Option<String>,
    default_is_expr: bool,
    generated_expr_string: String,
    generated_stored: bool,
    dependences: Value,
    #[serde(rename = "type")]
    ty: TypeInfo,
    state: u8,
    comment: String,
    hidden: bool,
    change_state_info: Value,
    version: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct IndexColumn {
    name: Name,
    #[serde(default)]
    offset: usize,
    length: i64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct IndexInfo {
    id: u32,
    idx_name: Name,
    tbl_name: Name,
    idx_cols: Vec<IndexColumn>,
    state: u8,
    backfill_state: u8,
    comment: String,
    index_type: u8,
    is_unique: bool,
    is_primary: bool,
    is_invisible: bool,
    is_global: bool,
    mv_index: bool,
    vector_index: Value,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct TableInfo {
    id: i64,
    name: Name,
    charset: String,
    collate: String,
    cols: Option<Vec<ColumnInfo>>,
    index_info: Option<Vec<IndexInfo>>,
    constraint_info: Value,
    fk_info: Value,
    state: u8,
    pk_is_handle: bool,
    is_common_handle: bool,
    common_handle_version: u16,
    comment: String,
    auto_inc_id: i64,
    auto_id_cache: i64,
    auto_rand_id: i64,
    max_col_id: u32,
    max_idx_id: u32,
    max_fk_id: i64,
    max_cst_id: i64,
    update_timestamp: u64,
    #[serde(rename = "ShardRowIDBits")]
    shard_row_id_bits: u64,
    max_shard_row_id_bits: u64,
    auto_random_bits: u64,
    auto_random_range_bits: u64,
    pre_split_regions: u64,
    partition: Value,
    compression: String,
    view: Value,
    sequence: Value,
    #[serde(rename = "Lock")]
    lock: Value,
    version: u16,
    tiflash_replica: Value,
    is_columnar: bool,
    temp_table_type: u8,
    cache_table_status: i64,
    policy_ref_info: Value,
    stats_options: Value,
    exchange_partition_info: Value,
    ttl_info: Value,
    revision: u64,
}

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
        fk_info: Value::Array(Vec::new()),
        pk_is_handle: handle == Handle::Integer,
        is_common_handle: handle == Handle::Common,
        common_handle_version: u16::from(handle == Handle::Common),
        comment: table.comment.clone(),
        max_col_id: max_column,
        max_idx_id: table.max_index_id.saturating_sub(shift),
        version: 5,
        ..TableInfo::default()
    }
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

/// Reads what [`to_json`] or TiDB wrote; fields not known are passed over.
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
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        charset: info.charset,
        collation: info.collate,
        comment: info.comment,
        engine: None,
        auto_increment: None,
        partitioning: None,
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
