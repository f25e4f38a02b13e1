//! What the columns of a file hold.

use std::collections::HashSet;

use ::parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::file::metadata::ParquetMetaData;
use ::parquet::schema::types::ColumnDescriptor;

use super::ParquetFault;

/// The unit of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unit {
    Millis,
    Micros,
    Nanos,
}

impl Unit {
    /// Digits behind the second.
    pub fn digits(self) -> u32 {
        match self {
            Self::Millis => 3,
            Self::Micros => 6,
            Self::Nanos => 9,
        }
    }
}

/// What a column's values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 0 or 1.
    Bool,
    /// A whole number.
    Int,
    /// A whole number of which the highest bit is no sign.
    Unsigned,
    /// So many digits of the number, or of the bytes that are one, stand behind the point.
    Decimal(usize),
    /// Days since 1970.
    Date,
    /// Since midnight.
    Time(Unit),
    /// Since 1970.
    Timestamp {
        /// The unit.
        unit: Unit,
        /// It is an instant, counted in UTC; else what a clock on the wall has shown.
        instant: bool,
    },
    /// An instant in twelve bytes: nanoseconds of the day, and a Julian day.
    Int96,
    /// A floating point number.
    Float,
    /// One of two bytes.
    Half,
    /// Characters, or bytes of which nothing is said.
    Bytes,
    /// Sixteen bytes of an id.
    Uuid,
}

/// A column of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, as the file has it.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// How its values are stored.
    pub physical: Physical,
    /// It may be NULL.
    pub optional: bool,
    /// It is said to be UTF-8.
    pub text: bool,
}

impl Column {
    /// Whether its values are instants, which have to be told from what a clock shows.
    pub fn is_instant(&self) -> bool {
        matches!(self.kind, Kind::Int96 | Kind::Timestamp { instant: true, .. })
    }

    /// Whether its values are days with times of which nobody says in which zone.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Timestamp { instant: false, .. })
    }
}

/// The columns of a file.
pub(super) fn of(metadata: &ParquetMetaData) -> Result<Vec<Column>, ParquetFault> {
    let schema = metadata.file_metadata().schema_descr();
    let fields = schema.root_schema().get_fields();
    let refuse =
        |name: &str, what: &str| ParquetFault::Column { name: name.to_owned(), what: what.to_owned() };
    for field in fields {
        if field.is_group() {
            let what = match field.get_basic_info().converted_type() {
                ConvertedType::LIST => "is a list",
                ConvertedType::MAP | ConvertedType::MAP_KEY_VALUE => "is a map",
                _ => "is a structure of nested columns",
            };
            return Err(refuse(field.name(), what));
        }
        if field.get_basic_info().repetition() == Repetition::REPEATED {
            return Err(refuse(field.name(), "is repeated"));
        }
    }
    if fields.is_empty() {
        return Err(ParquetFault::Footer("it has no columns".into()));
    }
    let mut seen = HashSet::new();
    let mut columns = Vec::with_capacity(fields.len());
    for descriptor in schema.columns() {
        let name = descriptor.name().to_owned();
        if !seen.insert(name.to_lowercase()) {
            return Err(refuse(&name, "is there twice"));
        }
        let kind = kind(descriptor).map_err(|what| refuse(&name, &what))?;
        columns.push(Column {
            kind,
            physical: descriptor.physical_type(),
            optional: descriptor.max_def_level() > 0,
            text: is_text(descriptor),
            name,
        });
    }
    Ok(columns)
}

fn is_text(column: &ColumnDescriptor) -> bool {
    match column.logical_type_ref() {
        Some(logical) => matches!(logical, LogicalType::String | LogicalType::Enum | LogicalType::Json),
        None => {
            matches!(column.converted_type(), ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON)
        }
    }
}

fn unit(unit: &TimeUnit) -> Unit {
    match unit {
        TimeUnit::MILLIS => Unit::Millis,
        TimeUnit::MICROS => Unit::Micros,
        TimeUnit::NANOS => Unit::Nanos,
    }
}

/// What a column holds; an error says why it cannot be read.
fn kind(column: &ColumnDescriptor) -> Result<Kind, String> {
    let physical = column.physical_type();
    let is_whole = matches!(physical, Physical::INT32 | Physical::INT64);
    let is_bytes = matches!(physical, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY);
    let length = if physical == Physical::FIXED_LEN_BYTE_ARRAY { column.type_length() } else { -1 };
    let scale = || {
        usize::try_from(column.type_scale())
            .ok()
            .filter(|scale| *scale <= MOST_DIGITS)
            .ok_or_else(|| format!("is a decimal with {} digits behind the point", column.type_scale()))
    };
    let plain = || match physical {
        Physical::BOOLEAN => Kind::Bool,
        Physical::INT32 | Physical::INT64 => Kind::Int,
        Physical::INT96 => Kind::Int96,
        Physical::FLOAT | Physical::DOUBLE => Kind::Float,
        Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY => Kind::Bytes,
    };
    let misfit = |what: &str| Err(format!("is said to be {what} and is stored as {physical}"));
    let Some(logical) = column.logical_type_ref() else {
        return match column.converted_type() {
            ConvertedType::DECIMAL if is_whole || is_bytes => Ok(Kind::Decimal(scale()?)),
            ConvertedType::DATE if physical == Physical::INT32 => Ok(Kind::Date),
            ConvertedType::TIME_MILLIS if physical == Physical::INT32 => Ok(Kind::Time(Unit::Millis)),
            ConvertedType::TIME_MICROS if physical == Physical::INT64 => Ok(Kind::Time(Unit::Micros)),
            // Files of the time before there was a choice.
            ConvertedType::TIMESTAMP_MILLIS if physical == Physical::INT64 => {
                Ok(Kind::Timestamp { unit: Unit::Millis, instant: true })
            }
            ConvertedType::TIMESTAMP_MICROS if physical == Physical::INT64 => {
                Ok(Kind::Timestamp { unit: Unit::Micros, instant: true })
            }
            ConvertedType::UINT_8
            | ConvertedType::UINT_16
            | ConvertedType::UINT_32
            | ConvertedType::UINT_64
                if is_whole =>
            {
                Ok(Kind::Unsigned)
            }
            ConvertedType::INT_8 | ConvertedType::INT_16 | ConvertedType::INT_32 | ConvertedType::INT_64
                if is_whole =>
            {
                Ok(Kind::Int)
            }
            ConvertedType::UTF8 | ConvertedType::ENUM | ConvertedType::JSON | ConvertedType::BSON
                if is_bytes =>
            {
                Ok(Kind::Bytes)
            }
            ConvertedType::INTERVAL => Err("is an interval".into()),
            ConvertedType::NONE => Ok(plain()),
            other => misfit(&format!("{other}")),
        };
    };
    match logical {
        LogicalType::String | LogicalType::Enum | LogicalType::Json | LogicalType::Bson if is_bytes => {
            Ok(Kind::Bytes)
        }
        LogicalType::Decimal(_) if is_whole || is_bytes => Ok(Kind::Decimal(scale()?)),
        LogicalType::Date if physical == Physical::INT32 => Ok(Kind::Date),
        LogicalType::Time(time) if is_whole => Ok(Kind::Time(unit(&time.unit))),
        LogicalType::Timestamp(time) if physical == Physical::INT64 => {
            Ok(Kind::Timestamp { unit: unit(&time.unit), instant: time.is_adjusted_to_u_t_c })
        }
        LogicalType::Integer(int) if is_whole => Ok(if int.is_signed { Kind::Int } else { Kind::Unsigned }),
        LogicalType::Uuid if length == 16 => Ok(Kind::Uuid),
        LogicalType::Float16 if length == 2 => Ok(Kind::Half),
        // Only NULLs.
        LogicalType::Unknown => Ok(plain()),
        other => Err(format!("is of the type {other:?}, stored as {physical}, which is not read")),
    }
}

/// Digits of the longest decimal of a server.
const MOST_DIGITS: usize = 65;
