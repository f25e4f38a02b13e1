//! `[mydumper.csv]` and the character set of data files, checked (facts/lightning.md 1.8, 1.9).

use super::invalid;
use super::raw::RawConfig;
use crate::error::Result;
use crate::source::csv::Dialect;
use crate::source::form::Decoding;

/// The dialect of CSV files.
pub(super) fn dialect(raw: &RawConfig) -> Result<Dialect> {
    let csv = &raw.mydumper.csv;
    let refuse = |what: &str| Err(invalid(format!("invalid config: {what}")));
    if csv.separator.is_empty() {
        return refuse("`mydumper.csv.separator` must not be empty");
    }
    let prefix = |a: &str, b: &str| !a.is_empty() && !b.is_empty() && (a.starts_with(b) || b.starts_with(a));
    if prefix(&csv.separator, &csv.delimiter) {
        return refuse(
            "`mydumper.csv.separator` and `mydumper.csv.delimiter` must not be prefix of each other",
        );
    }
    if prefix(&csv.separator, &csv.terminator) || prefix(&csv.delimiter, &csv.terminator) {
        return refuse(
            "`mydumper.csv.terminator` must not be a prefix of `mydumper.csv.separator` or `mydumper.csv.delimiter`, or the reverse",
        );
    }
    if csv.terminator.is_empty() && csv.separator.starts_with(['\r', '\n']) {
        return refuse("`mydumper.csv.separator` begins with a line end: set `mydumper.csv.terminator`");
    }
    if csv.escaped_by.len() > 1 {
        return refuse("`mydumper.csv.escaped-by` must be empty or a single byte");
    }
    let escape = csv.escaped_by.bytes().next().filter(|_| csv.backslash_escape);
    for (name, text) in
        [("separator", &csv.separator), ("delimiter", &csv.delimiter), ("terminator", &csv.terminator)]
    {
        if escape.is_some() && text.bytes().next() == escape {
            return refuse(&format!(
                "`mydumper.csv.escaped-by` cannot be the first byte of `mydumper.csv.{name}`: set it to \"\" to switch escapes off"
            ));
        }
    }
    if raw.mydumper.strict_format && csv.terminator.is_empty() {
        return refuse(
            "mydumper.strict-format can not be used with empty mydumper.csv.terminator. Please set mydumper.csv.terminator to a \
             non-empty value like \"\\r\\n\"",
        );
    }
    let nulls = || if csv.not_null { &[][..] } else { &csv.null.0[..] };
    // With escapes it is looked for before they are undone, without them like any other text.
    let is_special = |text: &&String| escape.is_some() && *text == "\\N";
    Ok(Dialect {
        separator: csv.separator.clone().into(),
        quote: csv.delimiter.clone().into(),
        terminator: csv.terminator.clone().into(),
        escape,
        backslash_n: nulls().iter().any(|text| is_special(&text)),
        nulls: nulls().iter().filter(|text| !is_special(text)).map(|text| text.clone().into()).collect(),
        quoted_null_is_text: csv.quoted_null_is_text,
        header: csv.header,
        header_names: csv.header_schema_match,
        trim_last: csv.trim_last_separator,
        binary: csv.binary_encoding,
        strict: raw.mydumper.strict_format,
    })
}

/// The character set of CSV files.
pub(super) fn decoding(raw: &RawConfig) -> Result<Option<Decoding>> {
    let name = &raw.mydumper.data_character_set;
    Decoding::of(name, raw.mydumper.data_invalid_char_replace.as_deref()).ok_or_else(|| {
        invalid(format!(
            "invalid config: `mydumper.data-character-set` '{name}' is not known: use binary, utf8mb4, gb18030, gbk, latin1 or ascii"
        ))
    })
}
