//! What the statements around the INSERTs of a data file say about how its text is to be read.

use common::error::lightning_codes as codes;
use sql::lexer::{Lexer, SqlMode, Token, TokenKind, unescape_into};
use sql::{Kind, classify};

use super::rows::{FileReader, Item};
use crate::error::{Context, Result, fail};

/// Settings of the session that a file's rows need.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prologue {
    /// `SET NAMES`; `None` stands for utf8mb4.
    pub names: Option<String>,
    /// `SET TIME_ZONE`.
    pub time_zone: Option<String>,
    /// Whether `SET SQL_MODE` switches backslashes off.
    pub no_backslash_escapes: bool,
    /// Whether it makes `"` quote names.
    pub ansi_quotes: bool,
}

/// Variables that do not change how rows are read.
const HARMLESS: [&str; 30] = [
    "foreign_key_checks",
    "unique_checks",
    "sql_notes",
    "note_verbosity",
    "autocommit",
    "sql_log_bin",
    "sql_quote_show_create",
    "sql_safe_updates",
    "sql_require_primary_key",
    "wait_timeout",
    "net_read_timeout",
    "net_write_timeout",
    "lock_wait_timeout",
    "innodb_lock_wait_timeout",
    "max_allowed_packet",
    "character_set_client",
    "character_set_results",
    "character_set_connection",
    "collation_connection",
    "gtid_purged",
    "gtid_next",
    "default_storage_engine",
    "storage_engine",
    "tx_isolation",
    "transaction_isolation",
    "alter_algorithm",
    "optimizer_switch",
    "group_concat_max_len",
    "show_create_table_skip_secondary_engine",
    "tidb_snapshot",
];

/// Character sets whose multi-byte characters hold ASCII bytes: a scan for quotes cannot be trusted in them.
const NOT_ASCII_SAFE: [&str; 7] = ["gbk", "gb18030", "big5", "sjis", "cp932", "utf16", "utf32"];

impl Prologue {
    /// Reads a file up to its first INSERT.
    ///
    /// # Errors
    /// Text that cannot be read, and statements that rlightning does not carry over.
    pub fn read(file: &mut FileReader, path: &str) -> Result<Self> {
        let mut prologue = Self::default();
        loop {
            let item = file.next(1).context(codes::CHECK_DATA_SOURCE, || format!("file '{path}'"))?;
            match item {
                Item::Other { text, at } => prologue.note(text, at, path)?,
                Item::Head(_) | Item::Eof => return Ok(prologue),
                Item::Rows { .. } | Item::End => {}
            }
        }
    }

    /// What the head of a schema file says of time; its other settings do not matter to a CREATE.
    pub fn of_schema(text: &[u8]) -> Self {
        let mode = SqlMode::default();
        let mut prologue = Self::default();
        for span in sql::split::statements(text, mode).unwrap_or_default() {
            let statement = span.of(text);
            if classify(statement, mode).kind != Kind::Set {
                break;
            }
            let zones = assignments(statement, mode).into_iter().filter(|one| one.name == "time_zone");
            prologue.time_zone = zones.filter_map(|one| one.value).next_back().or(prologue.time_zone);
        }
        prologue
    }

    /// The mode in which the file's text is split into tokens.
    pub fn sql_mode(&self) -> SqlMode {
        SqlMode { ansi_quotes: self.ansi_quotes, no_backslash_escapes: self.no_backslash_escapes }
    }

    /// Checks that a statement behind the first INSERT changes nothing.
    ///
    /// # Errors
    /// It does, or it is none that may stand there.
    pub fn stays(&self, text: &[u8], at: u64, path: &str) -> Result<()> {
        let mut after = self.clone();
        after.note(text, at, path)?;
        if after != *self {
            return Err(refuse(path, at, "it changes how the rows behind it are to be read", text));
        }
        Ok(())
    }

    fn note(&mut self, text: &[u8], at: u64, path: &str) -> Result<()> {
        let mode = self.sql_mode();
        match classify(text, mode).kind {
            Kind::Set => self.set(text, at, path, mode),
            Kind::Empty | Kind::Use | Kind::Lock | Kind::Begin | Kind::Commit => Ok(()),
            Kind::AlterTable if is_keys_switch(text, mode) => Ok(()),
            _ => Err(refuse(path, at, "only INSERT and REPLACE are imported from a data file", text)),
        }
    }

    fn set(&mut self, text: &[u8], at: u64, path: &str, mode: SqlMode) -> Result<()> {
        for assignment in assignments(text, mode) {
            let Assignment { name, value } = assignment;
            match name.as_str() {
                "names" => self.names = names(&value, at, path, text)?,
                // A restore of what was there before; the target's session is ours anyway.
                _ if value.is_none() => {}
                "time_zone" => self.time_zone = value,
                "sql_mode" => {
                    let mode = SqlMode::parse(&value.unwrap_or_default());
                    self.no_backslash_escapes = mode.no_backslash_escapes;
                    self.ansi_quotes = mode.ansi_quotes;
                }
                _ if name.starts_with('@') || HARMLESS.contains(&name.as_str()) => {}
                _ => return Err(refuse(path, at, &format!("the variable {name} is not known"), text)),
            }
        }
        Ok(())
    }
}

fn refuse(path: &str, at: u64, why: &str, text: &[u8]) -> crate::error::Error {
    let shown: String = String::from_utf8_lossy(text.get(..80).unwrap_or(text)).into_owned();
    fail(
        codes::CHECK_DATA_SOURCE,
        format!("file '{path}': the statement at byte {at} is refused, {why}: {shown}"),
    )
}

/// Dumpling's `SET NAMES binary` means text in utf8mb4: it reads rows over a connection in utf8mb4 and writes
/// binary columns as hexadecimal literals.
fn names(value: &Option<String>, at: u64, path: &str, text: &[u8]) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let value = value.to_lowercase();
    if NOT_ASCII_SAFE.contains(&value.as_str()) {
        return Err(refuse(path, at, &format!("text in {value} is not supported, dump it as utf8mb4"), text));
    }
    let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !plain || value.is_empty() {
        return Err(refuse(path, at, "its character set is malformed", text));
    }
    Ok(match value.as_str() {
        "binary" | "utf8mb4" | "default" => None,
        _ => Some(value),
    })
}

struct Assignment {
    /// In lower case, without `@@session.`; user variables with their `@`.
    name: String,
    /// A literal's value, or a word; `None` for another variable.
    value: Option<String>,
}

/// The parts of `SET a = 1, @@session.b := 'x', NAMES binary`; comments around them, executable or not, are passed over.
fn assignments(text: &[u8], mode: SqlMode) -> Vec<Assignment> {
    let tokens: Vec<Token> = Lexer::new(text, mode)
        .filter(|token| {
            !matches!(token.kind, TokenKind::Comment | TokenKind::ExecutableOpen | TokenKind::ExecutableClose)
        })
        .collect();
    let behind_set = tokens.get(1..).unwrap_or_default();
    behind_set
        .split(|token| token.kind == TokenKind::Punct(b','))
        .filter_map(|part| assignment(part, text, mode))
        .collect()
}

fn assignment(part: &[Token], text: &[u8], mode: SqlMode) -> Option<Assignment> {
    let word = |token: &Token| String::from_utf8_lossy(token.span.of(text)).to_lowercase();
    let mut rest = part;
    while let [first, second, ..] = rest
        && matches!(word(first).as_str(), "session" | "global" | "local")
        && second.kind != TokenKind::Punct(b'=')
    {
        rest = &rest[1..];
    }
    let (first, mut rest) = rest.split_first()?;
    let mut name = word(first);
    // @@session.x, @@global.x: the parts may be one token or several.
    while let [dot, next, tail @ ..] = rest
        && dot.kind == TokenKind::Punct(b'.')
    {
        name = word(next);
        rest = tail;
    }
    if let Some(system) = name.strip_prefix("@@") {
        name = system.rsplit('.').next().unwrap_or(system).to_owned();
    }
    rest = rest
        .iter()
        .position(|token| !matches!(token.kind, TokenKind::Punct(b'=' | b':')))
        .map_or(&[][..], |at| &rest[at..]);
    let value = rest.first().and_then(|token| match token.kind {
        TokenKind::String => {
            let mut value = Vec::new();
            unescape_into(token.span.of(text), mode, &mut value);
            Some(String::from_utf8_lossy(&value).into_owned())
        }
        TokenKind::Word | TokenKind::Number | TokenKind::Quoted => {
            Some(String::from_utf8_lossy(token.span.of(text)).into_owned())
        }
        _ => None,
    });
    // `SET NAMES x COLLATE y`: the collation does not matter to literals.
    Some(Assignment { name, value })
}

/// `ALTER TABLE t DISABLE KEYS`, which means nothing to InnoDB.
fn is_keys_switch(text: &[u8], mode: SqlMode) -> bool {
    let words: Vec<String> = Lexer::new(text, mode)
        .filter(|token| token.kind == TokenKind::Word)
        .map(|token| String::from_utf8_lossy(token.span.of(text)).to_uppercase())
        .collect();
    matches!(&words[..], [.., switch, keys] if keys == "KEYS" && (switch == "DISABLE" || switch == "ENABLE"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(text: &str) -> Result<Prologue> {
        let mut prologue = Prologue::default();
        for span in sql::split::statements(text.as_bytes(), SqlMode::default()).unwrap() {
            prologue.note(span.of(text.as_bytes()), 0, "f")?;
        }
        Ok(prologue)
    }

    #[test]
    fn heads_of_the_usual_tools() {
        let dumpling = "/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES binary*/;\n";
        assert_eq!(after(dumpling).unwrap(), Prologue::default());
        let mysqldump = "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;\n/*!50503 SET NAMES utf8mb4 */;\n\
            /*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;\n/*!40103 SET TIME_ZONE='+00:00' */;\n\
            /*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;\n\
            /*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;\n\
            LOCK TABLES `t` WRITE;\n/*!40000 ALTER TABLE `t` DISABLE KEYS */;\n";
        let prologue = after(mysqldump).unwrap();
        assert_eq!(prologue, Prologue { time_zone: Some("+00:00".into()), ..Prologue::default() });
        let tail = "/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */";
        prologue.stays(tail.as_bytes(), 9, "f").unwrap();
        assert!(prologue.stays(b"SET time_zone='+01:00'", 9, "f").is_err());
        let latin =
            after("SET NAMES latin1; SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'").unwrap();
        assert_eq!(latin.names.as_deref(), Some("latin1"));
        assert!(latin.ansi_quotes && latin.no_backslash_escapes);
        assert_eq!(
            after("SET @@session.time_zone := '+08:00'").unwrap().time_zone.as_deref(),
            Some("+08:00")
        );
    }

    #[test]
    fn what_is_not_carried_over_is_refused() {
        for text in [
            "SET NAMES gbk",
            "SET insert_id = 5",
            "DELETE FROM t",
            "CREATE TABLE t (a int)",
            "UPDATE t SET a = 1",
            "ALTER TABLE t ADD b int",
        ] {
            let error = after(text).unwrap_err().to_string();
            assert!(error.contains("file 'f': the statement at byte 0 is refused"), "{error}");
        }
    }
}
