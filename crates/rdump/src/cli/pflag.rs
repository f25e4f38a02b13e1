//! The argument grammar of Go's `pflag`, which dumpling uses (facts/dumpling.md 1.1).
//!
//! `--name value`, `--name=value`, `-x value`, `-xvalue`, `-x=value`, `-abc` for booleans; booleans take a value only
//! after `=`; `--` ends the flags; no abbreviations. Error texts are pflag's.

use std::collections::BTreeMap;

use common::duration::GoDuration;

/// What a flag takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `--x`, `--x=false`.
    Bool,
    /// Any text.
    Text,
    /// Any text; may be repeated.
    Texts,
    /// A signed number, also `0x10`.
    Int,
    /// A number that is not negative.
    Uint,
    /// The same, or `auto`.
    UintOrAuto,
    /// A Go duration.
    Duration,
    /// A CSV record; may be repeated.
    List,
    /// `k=v` pairs; may be repeated.
    Map,
}

impl Kind {
    /// The word for it in the usage text.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Bool => "",
            Kind::Text | Kind::Texts => "string",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::UintOrAuto => "uint|auto",
            Kind::Duration => "duration",
            Kind::List => "strings",
            Kind::Map => "k=v,...",
        }
    }
}

/// One flag: everything that parser, help and documentation know of it.
#[derive(Debug, Clone, Copy)]
pub struct Flag {
    /// Long name without dashes.
    pub name: &'static str,
    /// Short name.
    pub short: Option<char>,
    /// What it takes.
    pub kind: Kind,
    /// Default as text; empty for none.
    pub default: &'static str,
    /// Group in the usage text.
    pub group: &'static str,
    /// One or two sentences.
    pub help: &'static str,
    /// Left out of the usage text.
    pub hidden: bool,
    /// Known, but what it asks for is not there yet: giving it is an error.
    pub not_yet: bool,
}

impl Flag {
    /// Whether it decides what is in the files: the same flags give the same files from the same rows.
    pub fn shapes_files(&self) -> bool {
        use super::flags::{FORMAT, SPLIT, WHAT};
        match self.name {
            // Of these the content counts, not the name.
            "column-filter-file" | "mask-file" | "mask-key-file" => false,
            "threads" | "output" | "compress-level" | "rate-limit" | "max-load" | "critical-load" => false,
            "params" => true,
            _ => [WHAT, SPLIT, FORMAT].contains(&self.group),
        }
    }
}

/// Arguments after parsing, values checked for their kind only.
#[derive(Debug, Default)]
pub struct Parsed {
    values: BTreeMap<&'static str, Vec<String>>,
    /// Words that belong to no flag.
    pub rest: Vec<String>,
}

impl Parsed {
    /// Whether the flag was given.
    pub fn given(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// The last value given.
    pub fn last(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|values| values.last()).map(String::as_str)
    }

    /// The flags that were given and that `wanted` takes, each value as `--name=value`.
    pub fn rendered(&self, wanted: impl Fn(&Flag) -> bool) -> Vec<String> {
        let flags = super::flags::FLAGS.iter().filter(|flag| wanted(flag));
        let values = flags.flat_map(|flag| self.all(flag.name).iter().map(move |value| (flag, value)));
        values
            .map(|(flag, value)| match flag.kind {
                // Each of its values would be read as a CSV record again.
                Kind::List | Kind::Map => format!("--{}=\"{}\"", flag.name, value.replace('"', "\"\"")),
                _ => format!("--{}={value}", flag.name),
            })
            .collect()
    }

    /// All values of a list or map, in order.
    pub fn all(&self, name: &str) -> &[String] {
        self.values.get(name).map_or(&[], Vec::as_slice)
    }
}

/// Why the arguments can't be read. The texts are pflag's.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PflagError {
    /// No such long flag.
    #[error("unknown flag: --{0}")]
    Unknown(String),
    /// No such short flag.
    #[error("unknown shorthand flag: '{}' in -{}", .0.escape_default(), .1)]
    UnknownShort(char, String),
    /// `--=x`, `---x`.
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    /// The value is missing, long form.
    #[error("flag needs an argument: --{0}")]
    NeedsValue(String),
    /// The value is missing, short form.
    #[error("flag needs an argument: '{0}' in -{1}")]
    NeedsValueShort(char, String),
    /// The value does not fit the kind.
    #[error("invalid argument {value:?} for \"{flag}\" flag: {reason}")]
    Invalid {
        /// The value.
        value: String,
        /// `-t, --threads` or `--threads`.
        flag: String,
        /// Go's words for what is wrong.
        reason: String,
    },
}

/// Reads the arguments (without the program's name).
///
/// # Errors
/// See [`PflagError`]; the first one ends the parsing.
pub fn parse(flags: &[Flag], args: &[String]) -> Result<Parsed, PflagError> {
    let mut out = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            out.rest.extend(args.cloned());
            break;
        }
        if let Some(long) = arg.strip_prefix("--") {
            parse_long(flags, long, &mut args, &mut out)?;
        } else if arg.len() > 1 && arg.starts_with('-') {
            parse_short(flags, &arg[1..], &mut args, &mut out)?;
        } else {
            out.rest.push(arg.clone());
        }
    }
    Ok(out)
}

fn parse_long<'a>(
    flags: &[Flag],
    text: &str,
    args: &mut impl Iterator<Item = &'a String>,
    out: &mut Parsed,
) -> Result<(), PflagError> {
    if text.starts_with(['-', '=']) {
        return Err(PflagError::Syntax(format!("--{text}")));
    }
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let flag =
        flags.iter().find(|flag| flag.name == name).ok_or_else(|| PflagError::Unknown(name.to_owned()))?;
    let value = match value {
        Some(value) => value,
        None if flag.kind == Kind::Bool => "true",
        None => args.next().ok_or_else(|| PflagError::NeedsValue(name.to_owned()))?,
    };
    set(flag, value, out)
}

fn parse_short<'a>(
    flags: &[Flag],
    text: &str,
    args: &mut impl Iterator<Item = &'a String>,
    out: &mut Parsed,
) -> Result<(), PflagError> {
    let mut rest = text;
    while let Some(short) = rest.chars().next() {
        let flag = flags
            .iter()
            .find(|flag| flag.short == Some(short))
            .ok_or_else(|| PflagError::UnknownShort(short, rest.to_owned()))?;
        let tail = &rest[short.len_utf8()..];
        let value = match tail.strip_prefix('=') {
            // `-x=` alone is not the `=` form in pflag either.
            Some(value) if !value.is_empty() => value,
            _ if flag.kind == Kind::Bool => {
                set(flag, "true", out)?;
                rest = tail;
                continue;
            }
            _ if !tail.is_empty() => tail,
            _ => args.next().ok_or_else(|| PflagError::NeedsValueShort(short, rest.to_owned()))?,
        };
        return set(flag, value, out);
    }
    Ok(())
}

fn set(flag: &Flag, value: &str, out: &mut Parsed) -> Result<(), PflagError> {
    let invalid = |reason: String| PflagError::Invalid {
        value: value.to_owned(),
        flag: match flag.short {
            Some(short) => format!("-{short}, --{}", flag.name),
            None => format!("--{}", flag.name),
        },
        reason,
    };
    let slot = out.values.entry(flag.name).or_default();
    match flag.kind {
        Kind::Text | Kind::Texts => slot.push(value.to_owned()),
        Kind::Bool => slot.push(parse_bool(value).map_err(invalid)?.to_string()),
        Kind::Int => slot.push(parse_int(value).map_err(invalid)?.to_string()),
        Kind::UintOrAuto if value == "auto" => slot.push(value.to_owned()),
        Kind::Uint | Kind::UintOrAuto => slot.push(parse_uint(value).map_err(invalid)?.to_string()),
        Kind::Duration => {
            value.parse::<GoDuration>().map_err(|_| invalid(format!("time: invalid duration {value:?}")))?;
            slot.push(value.to_owned());
        }
        Kind::List => slot.extend(csv_record(value).map_err(invalid)?),
        Kind::Map => {
            let pairs = match value.matches('=').count() {
                0 => return Err(invalid(format!("{value} must be formatted as key=value"))),
                1 => vec![value.trim_matches('"').to_owned()],
                _ => csv_record(value).map_err(invalid)?,
            };
            for pair in pairs {
                if !pair.contains('=') {
                    return Err(invalid(format!("{pair} must be formatted as key=value")));
                }
                slot.push(pair);
            }
        }
    }
    Ok(())
}

/// `strconv.ParseBool`.
fn parse_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(format!("strconv.ParseBool: parsing {text:?}: invalid syntax")),
    }
}

/// `strconv.ParseInt` with base 0.
fn parse_int(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let value = magnitude(digits, "ParseInt", text)?;
    let value = if negative { -value } else { value };
    i64::try_from(value).map_err(|_| format!("strconv.ParseInt: parsing {text:?}: value out of range"))
}

/// `strconv.ParseUint` with base 0.
fn parse_uint(text: &str) -> Result<u64, String> {
    let value = magnitude(text, "ParseUint", text)?;
    u64::try_from(value).map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

fn magnitude(digits: &str, function: &str, whole: &str) -> Result<i128, String> {
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let body = body.replace('_', "");
    if body.is_empty() || !body.chars().all(|c| c.is_digit(radix)) {
        return Err(format!("strconv.{function}: parsing {whole:?}: invalid syntax"));
    }
    i128::from_str_radix(&body, radix)
        .map_err(|_| format!("strconv.{function}: parsing {whole:?}: value out of range"))
}

/// The first record of Go's `encoding/csv`.
fn csv_record(text: &str) -> Result<Vec<String>, String> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let line = text.split('\n').next().unwrap_or(text);
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let column = line.len() - rest.len();
        let mut field = String::new();
        if let Some(mut quoted) = rest.strip_prefix('"') {
            loop {
                let Some(end) = quoted.find('"') else {
                    return Err(format!(
                        "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                        line.len() + 1
                    ));
                };
                field.push_str(&quoted[..end]);
                quoted = &quoted[end + 1..];
                if let Some(more) = quoted.strip_prefix('"') {
                    field.push('"');
                    quoted = more;
                } else {
                    break;
                }
            }
            fields.push(field);
            match quoted.strip_prefix(',') {
                Some(more) => rest = more,
                None if quoted.is_empty() => return Ok(fields),
                None => {
                    return Err(format!(
                        "parse error on line 1, column {}: extraneous or missing \" in quoted-field",
                        line.len() - quoted.len()
                    ));
                }
            }
        } else {
            let end = rest.find(',').unwrap_or(rest.len());
            if let Some(at) = rest[..end].find('"') {
                return Err(format!(
                    "parse error on line 1, column {}: bare \" in non-quoted-field",
                    column + at + 1
                ));
            }
            fields.push(rest[..end].to_owned());
            if end == rest.len() {
                return Ok(fields);
            }
            rest = &rest[end + 1..];
        }
    }
}

/// The known name nearest to a mistyped one, if any is near enough to be meant.
pub fn nearest(flags: &[Flag], typed: &str) -> Option<&'static str> {
    flags
        .iter()
        .map(|flag| {
            let prefix = typed.len() >= 3 && (flag.name.starts_with(typed) || typed.starts_with(flag.name));
            let distance = if prefix { 1 } else { edit_distance(typed, flag.name) };
            (distance, flag.name)
        })
        .filter(|(distance, name)| *distance <= 2.min(name.len() / 2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn flag(name: &'static str, short: Option<char>, kind: Kind) -> Flag {
        Flag { name, short, kind, default: "", group: "", help: "", hidden: false, not_yet: false }
    }

    const FLAGS: [Flag; 8] = [
        flag("threads", Some('t'), Kind::Int),
        flag("rows", Some('r'), Kind::Uint),
        flag("no-views", Some('W'), Kind::Bool),
        flag("no-data", Some('d'), Kind::Bool),
        flag("filter", Some('f'), Kind::List),
        flag("password", Some('p'), Kind::Text),
        flag("params", None, Kind::Map),
        flag("read-timeout", None, Kind::Duration),
    ];

    fn run(args: &[&str]) -> Result<Parsed, String> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        parse(&FLAGS, &args).map_err(|e| e.to_string())
    }

    #[test]
    fn all_spellings() {
        for args in [
            &["--threads", "8"][..],
            &["--threads=8"],
            &["-t", "8"],
            &["-t8"],
            &["-t=8"],
            &["-dt8"],
            &["-t", "1", "-t", "0x8"],
        ] {
            assert_eq!(run(args).unwrap().last("threads"), Some("8"), "{args:?}");
        }
        let parsed = run(&["-Wd", "a", "-W=false", "-p-B", "--", "-d", "--x"]).unwrap();
        assert_eq!(parsed.last("no-views"), Some("false"));
        assert_eq!(parsed.last("no-data"), Some("true"));
        assert_eq!(parsed.last("password"), Some("-B"));
        assert_eq!(parsed.rest, ["a", "-d", "--x"]);
        assert_eq!(run(&["--no-views", "false"]).unwrap().rest, ["false"]);
        // As pflag: the next word is the password, whatever it looks like.
        let parsed = run(&["-p", "-B", "db"]).unwrap();
        assert_eq!((parsed.last("password"), &parsed.rest[..]), (Some("-B"), &["db".to_owned()][..]));
    }

    #[test]
    fn lists_are_csv_records_that_add_up() {
        let parsed = run(&["-f", "a.*,!a.b", "--filter", "\"d1.\"\"big\"\"\"", "-f", ""]).unwrap();
        assert_eq!(parsed.all("filter"), ["a.*", "!a.b", "d1.\"big\""]);
        assert_eq!(
            run(&["-f", "d1.\"big\""]).unwrap_err(),
            "invalid argument \"d1.\\\"big\\\"\" for \"-f, --filter\" flag: parse error on line 1, column 4: bare \" in non-quoted-field"
        );
        assert!(run(&["-f", "\"a"]).unwrap_err().contains("extraneous or missing"));
        let parsed = run(&["--params", "a=1", "--params", "b=2,\"c=x,y\""]).unwrap();
        assert_eq!(parsed.all("params"), ["a=1", "b=2", "c=x,y"]);
        assert!(run(&["--params", "a"]).unwrap_err().ends_with("a must be formatted as key=value"));
    }

    #[test]
    fn errors_are_pflags() {
        for (args, text) in [
            (&["--nope"][..], "unknown flag: --nope"),
            (&["-x"], "unknown shorthand flag: 'x' in -x"),
            (&["-dx1"], "unknown shorthand flag: 'x' in -x1"),
            (&["--threads"], "flag needs an argument: --threads"),
            (&["-dt"], "flag needs an argument: 't' in -t"),
            (&["--=a"], "bad flag syntax: --=a"),
            (&["---a"], "bad flag syntax: ---a"),
            (
                &["-t", "a"],
                "invalid argument \"a\" for \"-t, --threads\" flag: strconv.ParseInt: parsing \"a\": invalid syntax",
            ),
            (
                &["-r", "-1"],
                "invalid argument \"-1\" for \"-r, --rows\" flag: strconv.ParseUint: parsing \"-1\": invalid syntax",
            ),
            (
                &["--rows=99999999999999999999"],
                "invalid argument \"99999999999999999999\" for \"-r, --rows\" flag: strconv.ParseUint: parsing \"99999999999999999999\": value out of range",
            ),
            (
                &["-W=x"],
                "invalid argument \"x\" for \"-W, --no-views\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
            ),
            (
                &["--read-timeout", "5"],
                "invalid argument \"5\" for \"--read-timeout\" flag: time: invalid duration \"5\"",
            ),
        ] {
            assert_eq!(run(args).unwrap_err(), text);
        }
    }

    #[test]
    fn near_misses_are_named() {
        assert_eq!(nearest(&FLAGS, "thread"), Some("threads"));
        assert_eq!(nearest(&FLAGS, "row"), Some("rows"));
        assert_eq!(nearest(&FLAGS, "treads"), Some("threads"));
        assert_eq!(nearest(&FLAGS, "xyzzy"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_input_panics(args in proptest::collection::vec("\\PC{0,12}", 0..6)) {
            let _ = parse(&FLAGS, &args);
        }
    }
}
