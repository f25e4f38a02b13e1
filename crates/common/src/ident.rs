//! Names of tables and how they are quoted.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A table together with its schema (database), as the server spells them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TableName {
    /// Schema (database) name, unquoted.
    pub schema: String,
    /// Table name, unquoted; empty for a statement about the schema itself.
    pub table: String,
}

impl TableName {
    /// Puts the two parts together.
    pub fn new(schema: impl Into<String>, table: impl Into<String>) -> Self {
        Self { schema: schema.into(), table: table.into() }
    }

    /// The name as SQL: both parts quoted, joined by a dot.
    pub fn quoted(&self) -> String {
        self.to_string()
    }
}

/// Prints the quoted form, which is also the form of log fields (``table=`k`.`u` ``).
impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_quoted(f, &self.schema)?;
        f.write_str(".")?;
        write_quoted(f, &self.table)
    }
}

/// Quotes an identifier with backticks; backticks inside are doubled.
///
/// Always quotes. (Dumpling leaves names that begin or end with a backtick alone, which is broken SQL.)
pub fn quote(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 2);
    // Writing to a String cannot fail.
    let _ = write_quoted(&mut out, name);
    out
}

/// Appends the quoted identifier to a byte buffer.
pub fn quote_into(out: &mut Vec<u8>, name: &str) {
    out.push(b'`');
    for &b in name.as_bytes() {
        if b == b'`' {
            out.push(b'`');
        }
        out.push(b);
    }
    out.push(b'`');
}

/// Quotes each name and joins them with commas, without blanks.
pub fn quote_list<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> String {
    let mut out = String::new();
    for name in names {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write_quoted(&mut out, name.as_ref());
    }
    out
}

/// Quotes text as a SQL string literal that is right under any `sql_mode` (no backslash is special: the
/// literal is only used where the text holds none, else it becomes a hexadecimal literal).
pub fn quote_string(text: &str) -> String {
    if text.contains('\\') || text.contains('\0') {
        // 0x… alone would be a binary string; CONVERT gives text back in every context.
        return format!("CONVERT(0x{} USING utf8mb4)", hex::encode(text));
    }
    format!("'{}'", text.replace('\'', "''"))
}

fn write_quoted(out: &mut impl fmt::Write, name: &str) -> fmt::Result {
    out.write_char('`')?;
    let mut parts = name.split('`');
    if let Some(first) = parts.next() {
        out.write_str(first)?;
    }
    for part in parts {
        out.write_str("``")?;
        out.write_str(part)?;
    }
    out.write_char('`')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_doubles_backticks_wherever_they_stand() {
        assert_eq!(quote("a"), "`a`");
        assert_eq!(quote("`a"), "```a`");
        assert_eq!(quote("a``b`"), "`a````b```");
        assert_eq!(quote(""), "``");
        let mut out = Vec::new();
        quote_into(&mut out, "x`é");
        assert_eq!(out, "`x``é`".as_bytes());
        assert_eq!(quote_list(["a", "b`"]), "`a`,`b```");
        assert_eq!(TableName::new("d", "t").to_string(), "`d`.`t`");
    }

    #[test]
    fn string_literals_do_not_hang_on_sql_mode() {
        assert_eq!(quote_string("it's"), "'it''s'");
        assert_eq!(quote_string("a\\b"), "CONVERT(0x615c62 USING utf8mb4)");
    }
}
