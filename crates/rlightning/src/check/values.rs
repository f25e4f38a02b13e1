//! Which values a strict session on the target would refuse.
//!
//! Only what is certain counts: a form that a server may read in its own way is let through. The types in the dump's schema files are
//! not trusted: a data file may have been written by hand, or by a server that was not strict.

use sql::ddl::TypeKind;
use sql::lexer::SqlMode;
use sql::schema::Column;
use sql::values::{Cell, CellKind, Value};

use super::calendar::{self, Dates};
use crate::import::blank;

/// Why a value is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// More characters, bytes or bits than the column has.
    TooLong,
    /// A number beyond the column's bounds.
    OutOfRange,
    /// No number.
    NoNumber,
    /// Not in the list of an ENUM or SET.
    NotListed,
    /// No date or time, or one beyond the column's bounds.
    BadDate,
    /// NULL for a column that is NOT NULL.
    Null,
    /// A value for a column that the target generates.
    Generated,
    /// A character that the column's character set does not have, or bytes that are no text.
    Characters,
    /// No JSON.
    NoJson,
    /// The value of an ENUM that is none of its members: it is let in.
    Blank,
}

impl Refusal {
    /// The rest of the sentence "12 values of `c` …".
    pub fn text(self) -> &'static str {
        match self {
            Self::TooLong => "are too long for the target's column",
            Self::OutOfRange => "are out of range of the target's column",
            Self::NoNumber => "are no numbers",
            Self::NotListed => "are not in the list of the target's column",
            Self::BadDate => "are no dates or times that the target's column takes",
            Self::Null => "are NULL, and the target's column is NOT NULL",
            Self::Generated => "are for a column that the target generates",
            Self::Characters => "have characters that the target's column does not have",
            Self::NoJson => "are no JSON",
            Self::Blank => "are none of its members ('', number 0), and go in as they are",
        }
    }
}

/// The rules of the target's sessions and version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// How dates are judged.
    pub dates: Dates,
    /// A number is no JSON without a CAST, as in MySQL.
    pub only_text_is_json: bool,
    /// NULL for a TIMESTAMP that is NOT NULL means now, as before `explicit_defaults_for_timestamp`.
    pub null_is_now: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Generated,
    Characters(usize),
    /// Most bytes of a text, and whether they are those of UTF-8.
    Text(usize, bool),
    Bytes(usize),
    Bits(u32),
    Integer(i128, i128),
    /// Digits before the point and behind it, and whether there is no sign.
    Decimal(u32, u32, bool),
    /// Largest absolute value, and whether there is no sign.
    Float(f64, bool),
    Enum(Members),
    Set(Members),
    Temporal(TypeKind),
    Json,
    Anything,
}

#[derive(Debug, Clone, PartialEq)]
struct Members {
    folded: Vec<Vec<u8>>,
    /// Letters count as they are.
    exact: bool,
}

/// Which characters a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repertoire {
    Ascii,
    Latin1,
    Plane0,
    All,
}

/// Judges the values of one column.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    kind: Kind,
    refuses_null: bool,
    repertoire: Option<Repertoire>,
    rules: Rules,
}

impl Judge {
    /// For a column of the target. `None`: it takes every value that can be judged here.
    pub fn new(target: &Column, rules: Rules) -> Option<Judge> {
        let kind = kind_of(target);
        let auto = target.auto_increment || (rules.null_is_now && target.kind == TypeKind::Timestamp);
        let refuses_null = !target.nullable && !auto && target.generated.is_none();
        let repertoire = target.charset.as_deref().and_then(repertoire);
        if kind == Kind::Anything && !refuses_null && repertoire.is_none() {
            return None;
        }
        Some(Judge { kind, refuses_null, repertoire, rules })
    }

    /// Why the value is refused, if it is. `utf8`: the file's text is UTF-8.
    pub fn refusal(&self, cell: &Cell<'_>, mode: SqlMode, utf8: bool) -> Option<Refusal> {
        if self.surely_fits(cell) {
            return None;
        }
        let value = cell.value(mode).ok()?;
        match (&self.kind, &value) {
            (_, Value::Default | Value::Expression(_)) => return None,
            (Kind::Generated, _) => return Some(Refusal::Generated),
            (_, Value::Null) => return self.refuses_null.then_some(Refusal::Null),
            _ => {}
        }
        if let (Some(repertoire), Value::Text(text), true, None) =
            (self.repertoire, &value, utf8, cell.charset)
            && !repertoire.has(text)
        {
            return Some(Refusal::Characters);
        }
        if let (Some(repertoire @ (Repertoire::All | Repertoire::Plane0)), Value::Binary(bytes)) =
            (self.repertoire, &value)
            && !repertoire.has(bytes)
        {
            return Some(Refusal::Characters);
        }
        self.kind.refusal(&value, cell, &self.rules)
    }

    /// Short texts of ASCII are most of a dump; escapes only make them shorter.
    fn surely_fits(&self, cell: &Cell<'_>) -> bool {
        let most = match &self.kind {
            Kind::Characters(most) | Kind::Text(most, _) | Kind::Bytes(most) => *most,
            Kind::Anything => usize::MAX,
            _ => return false,
        };
        cell.kind == CellKind::String
            && cell.charset.is_none()
            && cell.text.len() <= most
            && (self.repertoire.is_none() || cell.text.is_ascii())
    }
}

fn kind_of(column: &Column) -> Kind {
    use TypeKind::*;
    if column.generated.is_some() {
        return Kind::Generated;
    }
    let length = column.length.and_then(|length| usize::try_from(length).ok());
    let integer = |bits: u32| {
        if column.unsigned {
            Kind::Integer(0, (1 << bits) - 1)
        } else {
            Kind::Integer(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)
        }
    };
    let members = || Members::new(column);
    let in_utf8 = matches!(column.charset.as_deref(), Some("utf8" | "utf8mb3" | "utf8mb4"));
    match &column.kind {
        Char | VarChar => Kind::Characters(length.unwrap_or(1)),
        Binary | VarBinary => Kind::Bytes(length.unwrap_or(1)),
        TinyText => Kind::Text(255, in_utf8),
        Text => Kind::Text(65_535, in_utf8),
        MediumText => Kind::Text((1 << 24) - 1, in_utf8),
        TinyBlob => Kind::Bytes(255),
        Blob => Kind::Bytes(65_535),
        MediumBlob => Kind::Bytes((1 << 24) - 1),
        TinyInt => integer(8),
        SmallInt => integer(16),
        MediumInt => integer(24),
        Int => integer(32),
        BigInt => integer(64),
        Decimal => {
            let (digits, decimals) = (column.length.unwrap_or(10), column.decimals.unwrap_or(0));
            Kind::Decimal(digits.saturating_sub(decimals), decimals, column.unsigned)
        }
        Float => Kind::Float(most_of(column).unwrap_or(f64::from(f32::MAX)), column.unsigned),
        Double => Kind::Float(most_of(column).unwrap_or(f64::MAX), column.unsigned),
        Bit => Kind::Bits(column.length.unwrap_or(1)),
        Enum => Kind::Enum(members()),
        Set => Kind::Set(members()),
        Date | DateTime | Timestamp | Time | Year => Kind::Temporal(column.kind.clone()),
        Json => Kind::Json,
        _ => Kind::Anything,
    }
}

/// What FLOAT(M,D) and DOUBLE(M,D) take at most: what is rounded down to nines.
fn most_of(column: &Column) -> Option<f64> {
    let (digits, decimals) = (i32::try_from(column.length?).ok()?, i32::try_from(column.decimals?).ok()?);
    Some(10f64.powi(digits - decimals) - 0.49 * 10f64.powi(-decimals))
}

impl Kind {
    fn refusal(&self, value: &Value<'_>, cell: &Cell<'_>, rules: &Rules) -> Option<Refusal> {
        let too_long = |is: bool| is.then_some(Refusal::TooLong);
        match (self, value) {
            (Kind::Text(..), Value::Text(_))
                if !matches!(cell.charset, None | Some(b"utf8" | b"utf8mb4" | b"binary")) =>
            {
                None
            }
            // Blanks at the end of a text are cut without an error.
            (Kind::Characters(most) | Kind::Text(most, false), Value::Text(text)) => {
                too_long(text.len() > *most && characters(trimmed(text)) > *most)
            }
            (Kind::Text(most, true), Value::Text(text)) => too_long(trimmed(text).len() > *most),
            (Kind::Bytes(most), Value::Text(text)) => too_long(text.len() > *most),
            (Kind::Characters(most), Value::Binary(bytes)) => too_long(characters(trimmed(bytes)) > *most),
            (Kind::Bytes(most), Value::Binary(bytes)) => too_long(bytes.len() > *most),
            (Kind::Characters(most) | Kind::Text(most, _) | Kind::Bytes(most), Value::Int(value)) => {
                too_long(value.to_string().len() > *most)
            }
            (Kind::Characters(most) | Kind::Text(most, _) | Kind::Bytes(most), Value::UInt(value)) => {
                too_long(value.to_string().len() > *most)
            }
            (Kind::Characters(most) | Kind::Text(most, _) | Kind::Bytes(most), Value::Number(text)) => {
                too_long(decimal_length(text).is_some_and(|length| length > *most))
            }
            (Kind::Bits(bits), Value::Binary(bytes)) => too_long(bit_length(bytes) > *bits as usize),
            (Kind::Bits(bits), Value::Text(bytes)) => too_long(bit_length(bytes) > *bits as usize),
            // A negative number is its 64 bits.
            (Kind::Bits(bits), Value::Int(value)) => too_long(64 - value.leading_zeros() > *bits),
            (Kind::Bits(bits), Value::UInt(_)) => too_long(*bits < 64),
            (Kind::Bits(bits @ 0..=63), Value::Number(text)) => Number::of(text).and_then(|number| {
                too_long(
                    number.float < 0.0
                        || number.float.round() >= 2f64.powi(i32::try_from(*bits).unwrap_or(64)),
                )
            }),
            (Kind::Temporal(kind), Value::Int(number)) if *kind != TypeKind::Year => {
                (!calendar::takes_number(kind, *number, &rules.dates)).then_some(Refusal::BadDate)
            }
            (Kind::Enum(members), value) => members.refusal_one(value),
            (Kind::Set(members), value) => members.refusal_many(value),
            (Kind::Temporal(kind), Value::Text(text)) => {
                (!calendar::takes(kind, text, &rules.dates)).then_some(Refusal::BadDate)
            }
            (Kind::Temporal(TypeKind::Year), Value::Int(year)) => {
                (!matches!(year, 0..=99 | 1901..=2155)).then_some(Refusal::OutOfRange)
            }
            (Kind::Json, Value::Int(_) | Value::UInt(_) | Value::Number(_) | Value::Binary(_)) => {
                rules.only_text_is_json.then_some(Refusal::NoJson)
            }
            (Kind::Json, Value::Text(text)) => {
                serde_json::from_slice::<serde::de::IgnoredAny>(text).is_err().then_some(Refusal::NoJson)
            }
            (Kind::Integer(..) | Kind::Decimal(..) | Kind::Float(..), value) => self.number(value),
            _ => None,
        }
    }

    fn number(&self, value: &Value<'_>) -> Option<Refusal> {
        if let (Kind::Integer(low, high), Value::Int(value)) = (self, value) {
            return (!(low..=high).contains(&&i128::from(*value))).then_some(Refusal::OutOfRange);
        }
        if let (Kind::Integer(low, high), Value::Binary(bytes)) = (self, value) {
            // A hexadecimal literal is an unsigned number here.
            let value = bytes.iter().fold(0i128, |value, byte| value << 8 | i128::from(*byte));
            return (bytes.len() <= 8 && !(low..=high).contains(&&value)).then_some(Refusal::OutOfRange);
        }
        let number = match value {
            Value::Int(value) => Number::of(value.to_string().as_bytes()),
            Value::UInt(value) => Number::of(value.to_string().as_bytes()),
            Value::Number(text) => Number::of(text),
            Value::Text(text) => match Number::of(text.trim_ascii()) {
                Some(number) => Some(number),
                None => return Some(Refusal::NoNumber),
            },
            _ => None,
        }?;
        let fits = match self {
            Kind::Integer(low, high) => match number.rounded() {
                Some(value) => (*low..=*high).contains(&value),
                None => number.float <= *high as f64 + 1.0 && number.float >= *low as f64 - 1.0,
            },
            Kind::Decimal(digits, decimals, unsigned) => number.fits(*digits, *decimals, *unsigned),
            Kind::Float(most, unsigned) => number.float.abs() <= *most && !(*unsigned && number.float < 0.0),
            _ => true,
        };
        (!fits).then_some(Refusal::OutOfRange)
    }
}

/// How long the text of a decimal number is; `None` for one with an exponent, which servers write in their own way.
fn decimal_length(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    if !digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') {
        return None;
    }
    // No more than is certain: zeros in front, and those that stand alone, may go.
    let significant = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    Some(digits.len() - significant + (text.len() - digits.len()))
}

fn trimmed(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    &text[..end]
}

fn characters(text: &[u8]) -> usize {
    std::str::from_utf8(text).map_or(text.len(), |text| text.chars().count())
}

fn bit_length(bytes: &[u8]) -> usize {
    let significant = &bytes[bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len())..];
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

/// A number's text, taken apart.
struct Number {
    float: f64,
    /// Its integer digits and the first one behind the point; `None` with an exponent or more digits than any type has.
    digits: Option<(bool, i128, usize, bool)>,
    /// What stands behind the point.
    fraction: Vec<u8>,
}

impl Number {
    fn of(text: &[u8]) -> Option<Number> {
        let text = std::str::from_utf8(text).ok()?;
        // What Rust reads and no server does.
        if text.is_empty()
            || text.bytes().any(|byte| byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'))
        {
            return None;
        }
        let float: f64 = text.parse().ok()?;
        let unsigned = text.trim_start_matches(['+', '-']);
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let whole = whole.trim_start_matches('0');
        let digits = (!text.contains(['e', 'E']) && whole.len() <= 38).then(|| {
            let up = fraction.bytes().next().is_some_and(|digit| digit >= b'5');
            (
                text.starts_with('-'),
                if whole.is_empty() { 0 } else { whole.parse().unwrap_or(i128::MAX) },
                whole.len(),
                up,
            )
        });
        Some(Number { float, digits, fraction: fraction.as_bytes().to_vec() })
    }

    /// Whether nothing but nines stands in the column, and the first digit that has no place there makes one more of it.
    fn rounds_over(&self, whole: i128, digits: u32, decimals: usize) -> bool {
        let nines = |text: &[u8]| text.iter().all(|digit| *digit == b'9');
        let (Some(kept), Some(next)) = (self.fraction.get(..decimals), self.fraction.get(decimals)) else {
            return false;
        };
        10i128.checked_pow(digits).is_some_and(|above| whole == above - 1) && nines(kept) && *next >= b'5'
    }

    /// As an integer column rounds it. `None`: not known here.
    fn rounded(&self) -> Option<i128> {
        match self.digits {
            Some((negative, whole, _, up)) => {
                let value = whole + i128::from(up);
                Some(if negative { -value } else { value })
            }
            // Beyond any integer type for certain.
            None if self.float.abs() > 1e20 => Some(if self.float < 0.0 { i128::MIN } else { i128::MAX }),
            None => None,
        }
    }

    fn fits(&self, digits: u32, decimals: u32, unsigned: bool) -> bool {
        match self.digits {
            Some((negative, whole, length, _)) => {
                length <= digits as usize
                    && !(unsigned && negative && whole > 0)
                    && !self.rounds_over(whole, digits, decimals as usize)
            }
            None => self.float.abs() < 10f64.powi(i32::try_from(digits).unwrap_or(i32::MAX)),
        }
    }
}

impl Members {
    fn new(column: &Column) -> Members {
        let exact =
            column.collation.as_deref().is_some_and(|name| name.ends_with("_bin") || name == "binary");
        let folded = column.members.iter().map(|member| fold(member, exact)).collect();
        Members { folded, exact }
    }

    fn has(&self, text: &[u8]) -> bool {
        let wanted = fold(text, self.exact);
        let plain = wanted.is_ascii() && self.folded.iter().all(|member| member.is_ascii());
        if self.folded.contains(&wanted) || self.exact || plain {
            return self.folded.contains(&wanted);
        }
        // Letters that only a collation knows to be equal: it may be the member of that length.
        self.folded.iter().any(|member| characters(member) == characters(&wanted))
    }

    /// The number of a member, or a set of them as bits, written as a text.
    fn index(text: &[u8]) -> Option<u64> {
        let text = std::str::from_utf8(text).ok()?.trim();
        if text == "-0" { Some(0) } else { text.parse().ok() }
    }

    fn refusal_one(&self, value: &Value<'_>) -> Option<Refusal> {
        let has_empty = self.folded.iter().any(Vec::is_empty);
        if !has_empty && blank::is_blank(value) {
            return Some(Refusal::Blank);
        }
        let count = self.folded.len() as u64;
        let listed = match value {
            Value::Text(text) => {
                // As a text 0 stands for the empty value; as a number it is refused.
                self.has(text) || Self::index(text).is_some_and(|index| (0..=count).contains(&index))
            }
            Value::Int(index) => u64::try_from(*index).is_ok_and(|index| (1..=count).contains(&index)),
            Value::UInt(_) => false,
            _ => true,
        };
        (!listed).then_some(Refusal::NotListed)
    }

    fn refusal_many(&self, value: &Value<'_>) -> Option<Refusal> {
        let bits = |bits: u64| self.folded.len() >= 64 || bits < 1 << self.folded.len();
        let listed = match value {
            Value::Text(text) => {
                text.is_empty()
                    || text.split(|byte| *byte == b',').all(|member| self.has(member))
                    || Self::index(text).is_some_and(bits)
            }
            Value::Int(value) => u64::try_from(*value).is_ok_and(bits),
            Value::UInt(value) => bits(*value),
            _ => true,
        };
        (!listed).then_some(Refusal::NotListed)
    }
}

fn fold(text: &[u8], exact: bool) -> Vec<u8> {
    let text = trimmed(text);
    match std::str::from_utf8(text) {
        Ok(text) if !exact => text.to_lowercase().into_bytes(),
        _ => text.to_vec(),
    }
}

fn repertoire(charset: &str) -> Option<Repertoire> {
    Some(match charset {
        "ascii" => Repertoire::Ascii,
        "latin1" => Repertoire::Latin1,
        "utf8" | "utf8mb3" => Repertoire::Plane0,
        "utf8mb4" => Repertoire::All,
        _ => return None,
    })
}

impl Repertoire {
    fn has(self, text: &[u8]) -> bool {
        if text.is_ascii() {
            return true;
        }
        let Ok(text) = std::str::from_utf8(text) else { return false };
        match self {
            Self::Ascii => false,
            Self::All => true,
            Self::Plane0 => text.chars().all(|c| u32::from(c) <= 0xFFFF),
            Self::Latin1 => text.chars().all(in_latin1),
        }
    }
}

/// The server's latin1 is Windows-1252, with the C1 characters in its five holes.
fn in_latin1(c: char) -> bool {
    const EXTRA: &str = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ";
    matches!(u32::from(c), 0..=0x7F | 0xA0..=0xFF | 0x81 | 0x8D | 0x8F | 0x90 | 0x9D) || EXTRA.contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sql::schema::Table;
    use sql::values::cells;

    fn column(definition: &str) -> Column {
        let text = format!("CREATE TABLE t (c {definition}, x int) DEFAULT CHARSET=utf8mb4");
        let table = Table::from_create(text.as_bytes(), SqlMode::default()).expect("a table");
        table.columns[0].clone()
    }

    fn refusal(definition: &str, value: &str) -> Option<Refusal> {
        let row = format!("({value})");
        let mode = SqlMode::default();
        let cell = cells(row.as_bytes(), mode).expect("a row").next().expect("a cell").expect("a value");
        Judge::new(&column(definition), Rules::default())?.refusal(&cell, mode, true)
    }

    #[test]
    fn values_at_the_edge() {
        use Refusal::*;
        for (definition, fits, does_not, why) in [
            ("varchar(3)", "'äöü'", "'abcd'", TooLong),
            ("varchar(3)", "'abc   '", "'abc  d'", TooLong),
            ("varchar(3) charset latin1", "'\\'\\'\\''", "'\\'\\'\\'\\''", TooLong),
            ("varbinary(3)", "'abc'", "'äö'", TooLong),
            ("varbinary(3)", "x'616263'", "'abc '", TooLong),
            ("binary(2)", "0xffff", "0xffffff", TooLong),
            ("bit(9)", "b'111111111'", "0x0200", TooLong),
            ("bit(9)", "x'000161'", "'ab'", TooLong),
            ("bit(63)", "1", "-1", TooLong),
            ("tinyint(4)", "-128", "128", OutOfRange),
            ("tinyint", "'127.4'", "127.5", OutOfRange),
            ("int(10) unsigned", "4294967295", "-1", OutOfRange),
            ("bigint unsigned", "18446744073709551615", "18446744073709551616", OutOfRange),
            ("bigint", "'12'", "'12a'", NoNumber),
            ("int", "0", "''", NoNumber),
            ("decimal(5,2)", "'999.994'", "1000", OutOfRange),
            ("decimal(5,2)", "999.989", "'-999.995'", OutOfRange),
            ("float(5,2)", "999.994", "1000", OutOfRange),
            ("tinyint", "0x7F", "0x01FF", OutOfRange),
            ("tinyint", "1e2", "1e3", OutOfRange),
            ("varchar(3)", "00000000001", "9.99", TooLong),
            ("decimal(5,2) unsigned", "-0.0", "-1.5", OutOfRange),
            ("float", "3e38", "4e38", OutOfRange),
            ("double unsigned", "1e300", "-1", OutOfRange),
            ("enum('a','B c')", "'b C '", "'d'", NotListed),
            ("enum('a','b')", "2", "0", Blank),
            ("enum('a','b')", "'0'", "'3'", NotListed),
            ("date", "20240131", "20241301", BadDate),
            ("datetime", "'2024-01-31T10:00:00'", "'2024-01-31 10:00:00x'", BadDate),
            ("varchar(9)", "x'C3A4'", "x'FF'", Characters),
            ("enum('a','b')", "NULL", "''", Blank),
            ("enum('a','','b')", "''", "0", NotListed),
            ("enum('a','b') collate utf8mb4_bin", "'a'", "'A'", NotListed),
            ("set('a','b')", "'b,A'", "'a,c'", NotListed),
            ("set('a','b')", "''", "4", NotListed),
            ("date", "'2024-02-31'", "'2024-13-01'", BadDate),
            ("date", "'0000-00-00'", "''", BadDate),
            ("datetime(3)", "'2024-02-29 23:59:59.999'", "'2024-02-29 24:00:00'", BadDate),
            ("timestamp null", "'2024-02-29 00:00:00'", "'2024-02-30 00:00:00'", BadDate),
            ("timestamp null", "'2038-01-18 00:00:00'", "'2039-01-01 00:00:00'", BadDate),
            ("time", "'-838:59:59'", "'839:00:00'", BadDate),
            ("year", "1901", "1900", OutOfRange),
            ("int not null", "0", "NULL", Null),
            ("json", "'{\"a\":[1,2]}'", "'{\"a\":'", NoJson),
            ("varchar(9) charset latin1", "'ä€'", "'ł'", Characters),
            ("varchar(9) charset ascii", "'a'", "'ä'", Characters),
            ("varchar(9) charset utf8mb3", "'€'", "'😀'", Characters),
        ] {
            assert_eq!(refusal(definition, fits), None, "{fits} in {definition}");
            assert_eq!(refusal(definition, does_not), Some(why), "{does_not} in {definition}");
        }
        assert_eq!(refusal("int generated always as (x)", "1"), Some(Refusal::Generated));
        assert_eq!(refusal("int generated always as (x)", "DEFAULT"), None);
        assert_eq!(refusal("int not null auto_increment primary key", "NULL"), None);
        assert_eq!(refusal("longtext", "'x'"), None);
        // As many bytes as the column's character set makes of it, not as many as the file has.
        let (fits, long) = (format!("'{}'", "é".repeat(255)), format!("'{}'", "é".repeat(256)));
        assert_eq!(refusal("tinytext charset latin1", &fits), None);
        assert_eq!(refusal("tinytext charset latin1", &long), Some(TooLong));
        assert_eq!(refusal("tinytext", &fits), Some(TooLong));
    }
}
