//! Table map events: the columns of the rows that follow.

use crate::address::Address;
use crate::charset::Charset;
use crate::error::Fault;
use crate::reader::{Reader, text};

/// How a column's values are stored in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// TINYINT.
    Tiny,
    /// SMALLINT.
    Short,
    /// MEDIUMINT.
    Int24,
    /// INT.
    Long,
    /// BIGINT.
    LongLong,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DECIMAL.
    Decimal {
        /// All digits, 1 to 65.
        precision: u8,
        /// Digits after the point.
        scale: u8,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// TIME of before 5.6, and of MariaDB with `mysql56_temporal_format=OFF`.
    OldTime,
    /// DATETIME of before 5.6, and of MariaDB with `mysql56_temporal_format=OFF`.
    OldDateTime,
    /// TIMESTAMP of before 5.6, and of MariaDB with `mysql56_temporal_format=OFF`.
    OldTimestamp,
    /// MariaDB's own TIME with a fraction. The binlog shows [`OldTime`](Self::OldTime): only a [`ColumnHint`] tells.
    MariaTime {
        /// Digits of the fraction, 1 to 6.
        fsp: u8,
    },
    /// MariaDB's own DATETIME with a fraction, see [`MariaTime`](Self::MariaTime).
    MariaDateTime {
        /// Digits of the fraction, 1 to 6.
        fsp: u8,
    },
    /// MariaDB's own TIMESTAMP with a fraction, see [`MariaTime`](Self::MariaTime).
    MariaTimestamp {
        /// Digits of the fraction, 1 to 6.
        fsp: u8,
    },
    /// TIME.
    Time {
        /// Digits of the fraction.
        fsp: u8,
    },
    /// DATETIME.
    DateTime {
        /// Digits of the fraction.
        fsp: u8,
    },
    /// TIMESTAMP.
    Timestamp {
        /// Digits of the fraction.
        fsp: u8,
    },
    /// BIT.
    Bit {
        /// 1 to 64.
        bits: u8,
    },
    /// ENUM.
    Enum {
        /// Bytes of the number, 1 or 2.
        bytes: u8,
    },
    /// SET.
    Set {
        /// Bytes of the number, 1 to 8.
        bytes: u8,
    },
    /// CHAR or BINARY. Trailing spaces or zero bytes are not in the row.
    Char {
        /// Greatest length in bytes.
        width: u16,
    },
    /// VARCHAR or VARBINARY.
    VarChar {
        /// Greatest length in bytes.
        width: u16,
    },
    /// A BLOB or TEXT of any size.
    Blob {
        /// Bytes of the length, 1 to 4.
        len_bytes: u8,
    },
    /// JSON of MySQL. MariaDB's JSON is text.
    Json {
        /// Bytes of the length.
        len_bytes: u8,
    },
    /// Any geometry type.
    Geometry {
        /// Bytes of the length.
        len_bytes: u8,
    },
    /// VECTOR of MySQL 9. MariaDB's VECTOR is binary text.
    Vector {
        /// Bytes of the length.
        len_bytes: u8,
    },
    /// MariaDB's VARCHAR COMPRESSED.
    CompressedVarChar {
        /// Greatest length in bytes.
        width: u16,
    },
    /// MariaDB's BLOB or TEXT COMPRESSED.
    CompressedBlob {
        /// Bytes of the length, 1 to 4.
        len_bytes: u8,
    },
    /// NULL only; no bytes.
    Null,
}

impl ColumnKind {
    /// Has a bit in the list of signedness. YEAR is among them, BIT is not.
    fn is_numeric(self) -> bool {
        matches!(
            self,
            ColumnKind::Tiny
                | ColumnKind::Short
                | ColumnKind::Int24
                | ColumnKind::Long
                | ColumnKind::LongLong
                | ColumnKind::Float
                | ColumnKind::Double
                | ColumnKind::Decimal { .. }
                | ColumnKind::Year
        )
    }

    /// Has an entry in the list of character sets. MariaDB counts geometries too.
    fn is_text(self, maria: bool) -> bool {
        matches!(
            self,
            ColumnKind::Char { .. }
                | ColumnKind::VarChar { .. }
                | ColumnKind::Blob { .. }
                | ColumnKind::CompressedVarChar { .. }
                | ColumnKind::CompressedBlob { .. }
        ) || maria && matches!(self, ColumnKind::Geometry { .. })
    }

    fn is_enum_or_set(self) -> bool {
        matches!(self, ColumnKind::Enum { .. } | ColumnKind::Set { .. })
    }
}

/// What the caller knows about a column and the binlog may not say. What is `None` here is taken from the table map's
/// metadata, if that has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColumnHint {
    /// Whether a number is unsigned. Without metadata and hint numbers are read as signed.
    pub unsigned: Option<bool>,
    /// Character set of text.
    pub charset: Option<Charset>,
    /// A type of MariaDB whose values are written as the text that clients see.
    pub address: Option<Address>,
    /// Digits of the fraction of a MariaDB TIME, DATETIME or TIMESTAMP of `mysql56_temporal_format=OFF`. Not used for any
    /// other column.
    pub fsp: u8,
    /// Seconds to add to TIMESTAMP values when they are written: the offset of the session's `time_zone` from UTC. For
    /// exact values in every zone let the session have `+00:00` and this be 0.
    pub utc_offset: i32,
    /// Write VECTOR values as text, `'[1,2]'`, as TiDB wants them, and not as bytes.
    pub vector_as_text: bool,
    /// Wrap JSON values in `CAST(… AS JSON)`, so that they can be compared with a JSON column.
    pub json_cast: bool,
}

/// One column of a table map. Everything but its kind depends on the server's `binlog_row_metadata`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// How it is stored.
    pub kind: ColumnKind,
    /// Whether it can be NULL.
    pub nullable: bool,
    /// Whether a number is unsigned.
    pub unsigned: Option<bool>,
    /// Number of the collation of text, ENUM or SET; 63 is binary.
    pub collation: Option<u32>,
    /// Name.
    pub name: Option<String>,
    /// Members of an ENUM or SET, in the column's character set.
    pub members: Option<Vec<Vec<u8>>>,
    /// Geometry type.
    pub geometry: Option<u8>,
    /// Whether it is not INVISIBLE.
    pub visible: Option<bool>,
    /// Greatest number of dimensions of a VECTOR.
    pub dimensions: Option<u32>,
}

impl Column {
    fn new(kind: ColumnKind) -> Column {
        Column {
            kind,
            nullable: false,
            unsigned: None,
            collation: None,
            name: None,
            members: None,
            geometry: None,
            visible: None,
            dimensions: None,
        }
    }

    /// What the metadata says, as a hint.
    pub fn hint(&self) -> ColumnHint {
        ColumnHint {
            unsigned: self.unsigned,
            charset: self.collation.and_then(Charset::of_collation),
            ..ColumnHint::default()
        }
    }
}

/// A table map event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMap {
    /// Number that the rows events refer to, until the next file or the next map of the same number.
    pub id: u64,
    /// Flags.
    pub flags: u16,
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Columns, in order. Invisible and stored generated ones are among them.
    pub columns: Vec<Column>,
    /// Columns of the primary key with the length of their prefix in characters (0: the whole), if the metadata has it.
    pub primary_key: Option<Vec<(usize, u64)>>,
    /// [`Column::kind`] of each column, side by side.
    pub(crate) plan: Vec<ColumnKind>,
    /// [`Column::hint`] of each column.
    pub(crate) hints: Vec<ColumnHint>,
    /// The body it was read from, to see whether the next one is the same.
    pub(crate) raw: Vec<u8>,
}

/// Greatest number of columns of a table in any server.
const MAX_COLUMNS: usize = 4096;

impl TableMap {
    /// The table id at the begin of table map and rows events.
    pub(crate) fn read_id(reader: &mut Reader<'_>, post_header_len: usize) -> Result<u64, Fault> {
        if post_header_len == 6 { Ok(u64::from(reader.u32("table id")?)) } else { reader.u48("table id") }
    }

    pub(crate) fn parse(body: &[u8], post_header_len: usize, maria: bool) -> Result<TableMap, Fault> {
        let mut reader = Reader::new(body);
        let mut head = Reader::new(reader.take(post_header_len, "post-header")?);
        let id = TableMap::read_id(&mut head, post_header_len)?;
        let flags = head.u16("flags")?;
        let schema = name(&mut reader, "schema")?;
        let table = name(&mut reader, "table")?;
        let count = reader.packed_len("number of columns")?;
        if count > MAX_COLUMNS {
            return Err(Fault::invalid("number of columns", count));
        }
        let types = reader.take(count, "column types")?;
        let mut meta = Reader::new(reader.packed_bytes("column metadata")?);
        let mut columns = Vec::with_capacity(count);
        for (index, code) in types.iter().enumerate() {
            let kind = read_kind(*code, &mut meta).map_err(|fault| fault.in_column(index))?;
            columns.push(Column::new(kind));
        }
        meta.end("column metadata")?;
        let nulls = reader.take(count.div_ceil(8), "nullable columns")?;
        for (index, column) in columns.iter_mut().enumerate() {
            column.nullable = nulls[index / 8] >> (index % 8) & 1 != 0;
        }
        let mut map = TableMap {
            id,
            flags,
            schema,
            table,
            plan: columns.iter().map(|column| column.kind).collect(),
            columns,
            primary_key: None,
            hints: Vec::new(),
            raw: body.to_vec(),
        };
        while !reader.is_empty() {
            let field = reader.u8("metadata type")?;
            let bytes = reader.packed_bytes("metadata")?;
            map.read_metadata(field, bytes, maria)?;
        }
        map.hints = map.columns.iter().map(Column::hint).collect();
        Ok(map)
    }

    /// One field of optional metadata. A type that is not known has a length and is passed over, as servers do: it can
    /// only add to what is known.
    fn read_metadata(&mut self, field: u8, bytes: &[u8], maria: bool) -> Result<(), Fault> {
        let mut reader = Reader::new(bytes);
        match field {
            1 => self.read_bits(bytes, |kind| kind.is_numeric(), |column, bit| column.unsigned = Some(bit)),
            2 => self.read_default_charset(&mut reader, |kind| kind.is_text(maria))?,
            3 => self.read_charsets(&mut reader, |kind| kind.is_text(maria))?,
            4 => {
                for column in &mut self.columns {
                    column.name = Some(text(reader.packed_bytes("column name")?, "column name")?);
                }
                reader.end("column names")?;
            }
            5 => self.read_members(&mut reader, |kind| matches!(kind, ColumnKind::Set { .. }))?,
            6 => self.read_members(&mut reader, |kind| matches!(kind, ColumnKind::Enum { .. }))?,
            7 => {
                for column in &mut self.columns {
                    if matches!(column.kind, ColumnKind::Geometry { .. }) {
                        column.geometry = Some(reader.packed("geometry type")?.min(255) as u8);
                    }
                }
                reader.end("geometry types")?;
            }
            8 | 9 => {
                let mut key = Vec::new();
                while !reader.is_empty() {
                    let column = reader.packed("primary key column")?;
                    let prefix = if field == 9 { reader.packed("primary key prefix")? } else { 0 };
                    key.push((self.column_index(column)?, prefix));
                }
                self.primary_key = Some(key);
            }
            10 => self.read_default_charset(&mut reader, ColumnKind::is_enum_or_set)?,
            11 => self.read_charsets(&mut reader, ColumnKind::is_enum_or_set)?,
            12 => self.read_bits(bytes, |_| true, |column, bit| column.visible = Some(bit)),
            13 => {
                for column in &mut self.columns {
                    if matches!(column.kind, ColumnKind::Vector { .. }) {
                        let dimensions = reader.packed("dimensions")?;
                        column.dimensions = Some(u32::try_from(dimensions).unwrap_or(u32::MAX));
                    }
                }
                reader.end("vector dimensions")?;
            }
            _ => {}
        }
        Ok(())
    }

    fn column_index(&self, value: u64) -> Result<usize, Fault> {
        usize::try_from(value)
            .ok()
            .filter(|index| *index < self.columns.len())
            .ok_or_else(|| Fault::invalid("column number", value))
    }

    /// One bit, highest first, for each column that `select` takes.
    fn read_bits(
        &mut self,
        bytes: &[u8],
        select: impl Fn(ColumnKind) -> bool,
        set: impl Fn(&mut Column, bool),
    ) {
        let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1 != 0));
        for (column, bit) in self.columns.iter_mut().filter(|column| select(column.kind)).zip(bits) {
            set(column, bit);
        }
    }

    /// A collation for all, and pairs (number among the selected columns, collation) for those that differ.
    fn read_default_charset(
        &mut self,
        reader: &mut Reader<'_>,
        select: impl Fn(ColumnKind) -> bool,
    ) -> Result<(), Fault> {
        let default = collation(reader)?;
        let mut selected: Vec<&mut Column> =
            self.columns.iter_mut().filter(|column| select(column.kind)).collect();
        for column in &mut selected {
            column.collation = Some(default);
        }
        while !reader.is_empty() {
            let index = reader.packed("column number")?;
            let id = collation(reader)?;
            let column = usize::try_from(index).ok().and_then(|index| selected.get_mut(index));
            column.ok_or_else(|| Fault::invalid("column number of a collation", index))?.collation = Some(id);
        }
        Ok(())
    }

    fn read_charsets(
        &mut self,
        reader: &mut Reader<'_>,
        select: impl Fn(ColumnKind) -> bool,
    ) -> Result<(), Fault> {
        for column in self.columns.iter_mut().filter(|column| select(column.kind)) {
            column.collation = Some(collation(reader)?);
        }
        reader.end("collations")
    }

    fn read_members(
        &mut self,
        reader: &mut Reader<'_>,
        select: impl Fn(ColumnKind) -> bool,
    ) -> Result<(), Fault> {
        for column in self.columns.iter_mut().filter(|column| select(column.kind)) {
            let count = reader.packed_len("number of members")?;
            let mut members = Vec::with_capacity(count);
            for _ in 0..count {
                members.push(reader.packed_bytes("member")?.to_vec());
            }
            column.members = Some(members);
        }
        reader.end("members")
    }
}

fn collation(reader: &mut Reader<'_>) -> Result<u32, Fault> {
    let id = reader.packed("collation")?;
    u32::try_from(id).map_err(|_| Fault::invalid("collation", id))
}

/// A name with its length before and a zero byte after it.
fn name(reader: &mut Reader<'_>, what: &'static str) -> Result<String, Fault> {
    let bytes = reader.packed_bytes(what)?;
    let zero = reader.u8(what)?;
    if zero != 0 {
        return Err(Fault::invalid(what, "its name does not end with a zero byte"));
    }
    text(bytes, what)
}

/// The type codes of the protocol.
fn read_kind(code: u8, meta: &mut Reader<'_>) -> Result<ColumnKind, Fault> {
    let len_bytes = |meta: &mut Reader<'_>| {
        let len = meta.u8("bytes of the length")?;
        if (1..=4).contains(&len) { Ok(len) } else { Err(Fault::invalid("bytes of the length", len)) }
    };
    let fsp = |meta: &mut Reader<'_>| {
        let fsp = meta.u8("fraction digits")?;
        if fsp <= 6 { Ok(fsp) } else { Err(Fault::invalid("fraction digits", fsp)) }
    };
    Ok(match code {
        1 => ColumnKind::Tiny,
        2 => ColumnKind::Short,
        3 => ColumnKind::Long,
        4 | 5 => match (code, meta.u8("size of a number")?) {
            (4, 4) => ColumnKind::Float,
            (5, 8) => ColumnKind::Double,
            (_, size) => return Err(Fault::invalid("size of a floating-point number", size)),
        },
        6 => ColumnKind::Null,
        7 => ColumnKind::OldTimestamp,
        8 => ColumnKind::LongLong,
        9 => ColumnKind::Int24,
        10 | 14 => ColumnKind::Date,
        11 => ColumnKind::OldTime,
        12 => ColumnKind::OldDateTime,
        13 => ColumnKind::Year,
        15 | 253 => ColumnKind::VarChar { width: meta.u16("length of VARCHAR")? },
        16 => {
            let (rest, bytes) = (meta.u8("bits")?, meta.u8("bytes of bits")?);
            let bits = u16::from(bytes) * 8 + u16::from(rest);
            if rest > 7 || !(1..=64).contains(&bits) {
                return Err(Fault::invalid("number of bits", bits));
            }
            ColumnKind::Bit { bits: bits as u8 }
        }
        17 => ColumnKind::Timestamp { fsp: fsp(meta)? },
        18 => ColumnKind::DateTime { fsp: fsp(meta)? },
        19 => ColumnKind::Time { fsp: fsp(meta)? },
        20 => return Err(Fault::Unsupported("a column of type typed array")),
        140 => ColumnKind::CompressedBlob { len_bytes: len_bytes(meta)? },
        141 => ColumnKind::CompressedVarChar { width: meta.u16("length of VARCHAR")? },
        242 => ColumnKind::Vector { len_bytes: len_bytes(meta)? },
        245 => ColumnKind::Json { len_bytes: len_bytes(meta)? },
        246 => {
            let (precision, scale) = (meta.u8("precision")?, meta.u8("scale")?);
            if precision == 0 || precision > 65 || scale > precision {
                return Err(Fault::invalid("precision", format_args!("DECIMAL({precision},{scale})")));
            }
            ColumnKind::Decimal { precision, scale }
        }
        247 | 248 | 254 => return read_string_kind(meta),
        249..=252 => ColumnKind::Blob { len_bytes: len_bytes(meta)? },
        255 => ColumnKind::Geometry { len_bytes: len_bytes(meta)? },
        other => return Err(Fault::Unknown { what: "column type", value: u64::from(other) }),
    })
}

/// CHAR, ENUM and SET share a code. The first byte holds the real type, with two bits of the length turned into it for
/// CHARs over 255 bytes.
fn read_string_kind(meta: &mut Reader<'_>) -> Result<ColumnKind, Fault> {
    let (first, second) = (meta.u8("real type")?, meta.u8("length")?);
    if first & 0x30 != 0x30 {
        let width = u16::from(second) | u16::from((first & 0x30) ^ 0x30) << 4;
        return match first | 0x30 {
            254 => Ok(ColumnKind::Char { width }),
            other => Err(Fault::Unknown { what: "column type", value: u64::from(other) }),
        };
    }
    match first {
        254 | 253 => Ok(ColumnKind::Char { width: u16::from(second) }),
        247 if matches!(second, 1 | 2) => Ok(ColumnKind::Enum { bytes: second }),
        248 if (1..=8).contains(&second) => Ok(ColumnKind::Set { bytes: second }),
        247 | 248 => Err(Fault::invalid("size of ENUM or SET", second)),
        other => Err(Fault::Unknown { what: "column type", value: u64::from(other) }),
    }
}
