//! Which values a strict session on the target would refuse.
//!
//! Only what is certain counts: a form that a server may read in its own way is let through. What the columns of the sources rule out is
//! not looked at.

use sql::ddl::TypeKind;
use sql::lexer::SqlMode;
use sql::schema::Column;
use sql::values::{Cell, CellKind, Value};

use super::calendar::{self, Dates};

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
        }
    }
}

/// The rules of the target's sessions and version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rules {
    /// How dates are judged.
    pub dates: Dates,
    /// NULL for a TIMESTAMP that is NOT NULL means now, as before `explicit_defaults_for_timestamp`.
    pub null_is_now: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Generated,
    Characters(usize),
    Bytes(usize),
    Bits(u32),
    Integer(i128, i128),
    /// Digits before the point, and whether there is no sign.
    Decimal(u32, bool),
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
    /// For a column of the target that these columns of the sources (`None`: not known) fill. `None`: every value they can hold is
    /// taken.
    pub fn new(target: &Column, sources: &[Option<&Column>], rules: Rules) -> Option<Judge> {
        let all = |test: &dyn Fn(&Column) -> bool| {
            !sources.is_empty() && sources.iter().all(|source| source.is_some_and(test))
        };
        let kind = kind_of(target);
        let needless = match &kind {
            Kind::Anything => true,
            Kind::Json => all(&|source| source.kind == TypeKind::Json),
            Kind::Characters(_)
            | Kind::Bytes(_)
            | Kind::Bits(_)
            | Kind::Integer(..)
            | Kind::Decimal(..)
            | Kind::Float(..) => all(&|source| covers(&kind, &kind_of(source))),
            // Servers that were not strict hold '' in an ENUM, and days that are none.
            Kind::Generated | Kind::Enum(_) | Kind::Set(_) | Kind::Temporal(_) => false,
        };
        let auto = target.auto_increment || (rules.null_is_now && target.kind == TypeKind::Timestamp);
        let refuses_null = !target.nullable
            && !auto
            && target.generated.is_none()
            && !all(&|source| !source.nullable || source.auto_increment);
        let repertoire = target
            .charset
            .as_deref()
            .and_then(repertoire)
            .filter(|have| !all(&|source| source.charset.as_deref().and_then(repertoire) == Some(*have)));
        // UTF-8 columns of a source hold UTF-8 only.
        let repertoire = repertoire.filter(|have| {
            *have != Repertoire::All
                || !all(&|source| source.charset.as_deref().is_some_and(|name| name != "binary"))
        });
        if needless && !refuses_null && repertoire.is_none() {
            return None;
        }
        Some(Judge { kind: if needless { Kind::Anything } else { kind }, refuses_null, repertoire, rules })
    }

    /// Why the value is refused, if it is. `utf8`: the file's text is UTF-8.
    pub fn refusal(&self, cell: &Cell<'_>, mode: SqlMode, utf8: bool) -> Option<Refusal> {
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
        self.kind.refusal(&value, cell, &self.rules)
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
    match &column.kind {
        Char | VarChar => Kind::Characters(length.unwrap_or(1)),
        Binary | VarBinary => Kind::Bytes(length.unwrap_or(1)),
        TinyText | TinyBlob => Kind::Bytes(255),
        Text | Blob => Kind::Bytes(65_535),
        MediumText | MediumBlob => Kind::Bytes((1 << 24) - 1),
        TinyInt => integer(8),
        SmallInt => integer(16),
        MediumInt => integer(24),
        Int => integer(32),
        BigInt => integer(64),
        Decimal => {
            let (digits, decimals) = (column.length.unwrap_or(10), column.decimals.unwrap_or(0));
            Kind::Decimal(digits.saturating_sub(decimals), column.unsigned)
        }
        Float => Kind::Float(f64::from(f32::MAX), column.unsigned),
        Double => Kind::Float(f64::MAX, column.unsigned),
        Bit => Kind::Bits(column.length.unwrap_or(1)),
        Enum => Kind::Enum(members()),
        Set => Kind::Set(members()),
        Date | DateTime | Timestamp | Time | Year => Kind::Temporal(column.kind.clone()),
        Json => Kind::Json,
        _ => Kind::Anything,
    }
}

/// Whether everything that fits the second fits the first.
fn covers(mine: &Kind, theirs: &Kind) -> bool {
    match (mine, theirs) {
        (Kind::Characters(mine), Kind::Characters(theirs)) | (Kind::Bytes(mine), Kind::Bytes(theirs)) => {
            mine >= theirs
        }
        (Kind::Bits(mine), Kind::Bits(theirs)) => mine >= theirs,
        // A character is at most four bytes.
        (Kind::Bytes(mine), Kind::Characters(theirs)) => *mine >= theirs.saturating_mul(4),
        (Kind::Integer(low, high), Kind::Integer(other_low, other_high)) => {
            low <= other_low && high >= other_high
        }
        (Kind::Decimal(mine, unsigned), Kind::Decimal(theirs, other)) => {
            // Equal digits may still round up to one more, if the decimals are fewer; that is looked at.
            mine > theirs && (!unsigned || *other) || (mine == theirs && unsigned == other)
        }
        (Kind::Float(mine, unsigned), Kind::Float(theirs, other)) => mine >= theirs && (!unsigned || *other),
        _ => false,
    }
}

impl Kind {
    fn refusal(&self, value: &Value<'_>, cell: &Cell<'_>, rules: &Rules) -> Option<Refusal> {
        let too_long = |is: bool| is.then_some(Refusal::TooLong);
        match (self, value) {
            (Kind::Characters(most), Value::Text(text)) => {
                too_long(text.len() > *most && characters(text) > *most)
            }
            (Kind::Bytes(most), Value::Text(text)) => too_long(text.len() > *most),
            (Kind::Characters(most) | Kind::Bytes(most), Value::Binary(bytes)) => {
                too_long(bytes.len() > *most)
            }
            (Kind::Characters(most) | Kind::Bytes(most), Value::Int(_) | Value::UInt(_)) => {
                too_long(cell.text.len() > *most && cell.kind == CellKind::Number)
            }
            (Kind::Bits(bits), Value::Binary(bytes)) => too_long(bit_length(bytes) > *bits as usize),
            (Kind::Bits(bits), Value::Int(value)) => {
                too_long(*value >= 0 && 64 - value.leading_zeros() > *bits)
            }
            (Kind::Enum(members), value) => members.refusal_one(value),
            (Kind::Set(members), value) => members.refusal_many(value),
            (Kind::Temporal(kind), Value::Text(text)) => {
                (!calendar::takes(kind, text, &rules.dates)).then_some(Refusal::BadDate)
            }
            (Kind::Temporal(TypeKind::Year), Value::Int(year)) => {
                (!matches!(year, 0..=99 | 1901..=2155)).then_some(Refusal::OutOfRange)
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
            Kind::Integer(low, high) => number.rounded().is_none_or(|value| (*low..=*high).contains(&value)),
            Kind::Decimal(digits, unsigned) => number.fits(*digits, *unsigned),
            Kind::Float(most, unsigned) => number.float.abs() <= *most && !(*unsigned && number.float < 0.0),
            _ => true,
        };
        (!fits).then_some(Refusal::OutOfRange)
    }
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
        Some(Number { float, digits })
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

    fn fits(&self, digits: u32, unsigned: bool) -> bool {
        match self.digits {
            Some((negative, whole, length, _)) => {
                length <= digits as usize && !(unsigned && negative && whole > 0)
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
        std::str::from_utf8(text).ok()?.parse().ok()
    }

    fn refusal_one(&self, value: &Value<'_>) -> Option<Refusal> {
        let count = self.folded.len() as u64;
        let listed = match value {
            Value::Text(text) => {
                self.has(text) || Self::index(text).is_some_and(|index| (1..=count).contains(&index))
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
    let end = text.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1);
    let text = &text[..end];
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
        Judge::new(&column(definition), &[None], Rules::default())?.refusal(&cell, mode, true)
    }

    #[test]
    fn values_at_the_edge() {
        use Refusal::*;
        for (definition, fits, does_not, why) in [
            ("varchar(3)", "'äöü'", "'abcd'", TooLong),
            ("varbinary(3)", "'abc'", "'äö'", TooLong),
            ("binary(2)", "0xffff", "0xffffff", TooLong),
            ("bit(9)", "b'111111111'", "0x0200", TooLong),
            ("tinyint(4)", "-128", "128", OutOfRange),
            ("tinyint", "'127.4'", "127.5", OutOfRange),
            ("int(10) unsigned", "4294967295", "-1", OutOfRange),
            ("bigint unsigned", "18446744073709551615", "18446744073709551616", OutOfRange),
            ("bigint", "'12'", "'12a'", NoNumber),
            ("int", "0", "''", NoNumber),
            ("decimal(5,2)", "'999.994'", "1000", OutOfRange),
            ("decimal(5,2) unsigned", "-0.0", "-1.5", OutOfRange),
            ("float", "3e38", "4e38", OutOfRange),
            ("double unsigned", "1e300", "-1", OutOfRange),
            ("enum('a','B c')", "'b C '", "'d'", NotListed),
            ("enum('a','b')", "2", "0", NotListed),
            ("enum('a','b')", "NULL", "''", NotListed),
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
    }

    #[test]
    fn what_the_source_rules_out_is_not_looked_at() {
        let looks = |target: &str, source: &str| {
            Judge::new(&column(target), &[Some(&column(source))], Rules::default()).is_some()
        };
        assert!(!looks("varchar(30)", "varchar(20)"));
        assert!(!looks("text", "varchar(255)"));
        assert!(!looks("bigint not null", "int unsigned not null"));
        assert!(!looks("json", "json"));
        assert!(!looks("decimal(9,2)", "decimal(8,2)"));
        assert!(looks("int", "int unsigned"));
        assert!(looks("varchar(10)", "varchar(20)"));
        assert!(looks("int not null", "int"));
        assert!(looks("varchar(9) charset latin1", "varchar(9)"));
        assert!(looks("enum('a')", "enum('a')"));
    }
}
