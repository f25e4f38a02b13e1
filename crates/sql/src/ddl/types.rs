//! Types of columns.

use crate::lexer::Span;

/// Families of column types; synonyms are resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TypeKind {
    TinyInt,
    SmallInt,
    MediumInt,
    Int,
    BigInt,
    Decimal,
    Float,
    Double,
    Bit,
    Year,
    Date,
    Time,
    DateTime,
    Timestamp,
    Char,
    VarChar,
    Binary,
    VarBinary,
    TinyText,
    Text,
    MediumText,
    LongText,
    TinyBlob,
    Blob,
    MediumBlob,
    LongBlob,
    Enum,
    Set,
    Json,
    /// GEOMETRY, POINT, …: the lower-case word.
    Geometry(&'static str),
    Vector,
    Uuid,
    Inet4,
    Inet6,
    /// A type this crate does not know, lower-case.
    Other(String),
}

/// A column type as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataType {
    /// The family.
    pub kind: TypeKind,
    /// The first number in parentheses: display width, characters, bytes, digits or fraction digits.
    pub length: Option<u32>,
    /// The second number in parentheses.
    pub decimals: Option<u32>,
    /// UNSIGNED, or implied by ZEROFILL or SERIAL.
    pub unsigned: bool,
    /// ZEROFILL
    pub zerofill: bool,
    /// CHARACTER SET, ASCII, UNICODE, BYTE or NATIONAL; lower-case.
    pub charset: Option<String>,
    /// COLLATE, lower-case.
    pub collation: Option<String>,
    /// The BINARY attribute: the `_bin` collation of the character set.
    pub binary: bool,
    /// Members of ENUM and SET.
    pub members: Vec<Vec<u8>>,
    /// Written as BOOL or BOOLEAN.
    pub boolean: bool,
    /// The type words up to and with the parentheses.
    pub span: Span,
}
