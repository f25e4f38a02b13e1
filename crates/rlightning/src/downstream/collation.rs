//! Collations that the target does not know. One rule, [`RULE`], reported wherever it is used.

use std::collections::BTreeSet;

use common::error::lightning_codes as codes;
use mysql::Conn;
use sql::SqlMode;
use sql::lexer::{Lexer, TokenKind};

use crate::error::{Context, Result};

/// Name of the rule in the log.
pub const RULE: &str = "collation-nearest-known";

/// Collations of the target, in lower case.
///
/// # Errors
/// The server's.
pub async fn known(conn: &mut Conn) -> Result<BTreeSet<String>> {
    let rows = conn
        .query("SELECT LOWER(COLLATION_NAME) AS name FROM information_schema.COLLATIONS")
        .await
        .context(codes::DB_CONNECT, || "read the collations of the target".into())?;
    Ok(rows.iter().filter_map(|row| row.str("name").ok().flatten()).collect())
}

/// The collation to take in place of one that the target does not know: same character set, same case and accent
/// sensitivity, newest Unicode first; at last `_bin` of the character set, which joins no two values that were
/// different before.
pub fn nearest(wanted: &str, known: &BTreeSet<String>) -> Option<String> {
    let wanted = wanted.to_lowercase();
    let (charset, rest) = wanted.split_once('_').unwrap_or((&wanted, ""));
    let charset = match charset {
        "utf8" | "utf8mb3" => ["utf8mb3", "utf8"],
        other => [other, other],
    };
    let bin = rest.ends_with("bin");
    let sensitive = rest.ends_with("_cs") || rest == "cs" || rest.contains("as_cs");
    let tails: &[&str] = if bin || sensitive {
        &["bin"]
    } else {
        &["0900_ai_ci", "uca1400_ai_ci", "unicode_520_ci", "unicode_ci", "general_ci", "bin"]
    };
    // The same name under the other spelling of the character set comes first.
    let same = charset.iter().map(|set| format!("{set}_{rest}"));
    let others = tails.iter().flat_map(|tail| charset.iter().map(move |set| format!("{set}_{tail}")));
    same.chain(others).find(|name| known.contains(name))
}

/// Replaces unknown collations in the text of a CREATE statement. The second value lists what was replaced.
pub fn replace(text: &[u8], mode: SqlMode, known: &BTreeSet<String>) -> (Vec<u8>, Vec<(String, String)>) {
    let mut out = Vec::with_capacity(text.len());
    let mut copied = 0;
    let mut replaced = Vec::new();
    let mut after_collate = false;
    for token in Lexer::new(text, mode) {
        let word = token.span.of(text);
        match token.kind {
            TokenKind::Word if word.eq_ignore_ascii_case(b"COLLATE") => after_collate = true,
            TokenKind::Comment | TokenKind::Punct(b'=') => {}
            TokenKind::Word | TokenKind::String | TokenKind::Quoted if after_collate => {
                after_collate = false;
                let name = String::from_utf8_lossy(word).trim_matches(['\'', '"', '`']).to_lowercase();
                if known.contains(&name) {
                    continue;
                }
                if let Some(other) = nearest(&name, known) {
                    out.extend_from_slice(&text[copied..token.span.start]);
                    out.extend_from_slice(other.as_bytes());
                    copied = token.span.end;
                    replaced.push((name, other));
                }
            }
            _ => after_collate = false,
        }
    }
    out.extend_from_slice(&text[copied..]);
    (out, replaced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_nearest_that_is_known() {
        let old = set(&[
            "utf8mb4_general_ci",
            "utf8mb4_unicode_520_ci",
            "utf8mb4_bin",
            "utf8_general_ci",
            "utf8_bin",
        ]);
        assert_eq!(nearest("utf8mb4_0900_ai_ci", &old).as_deref(), Some("utf8mb4_unicode_520_ci"));
        assert_eq!(nearest("utf8mb4_0900_as_cs", &old).as_deref(), Some("utf8mb4_bin"));
        assert_eq!(nearest("utf8mb4_0900_bin", &old).as_deref(), Some("utf8mb4_bin"));
        assert_eq!(nearest("utf8mb3_general_ci", &old).as_deref(), Some("utf8_general_ci"));
        assert_eq!(nearest("klingon_ci", &old), None);
        let new = set(&["utf8mb4_0900_ai_ci", "utf8mb4_bin"]);
        assert_eq!(nearest("utf8mb4_uca1400_ai_ci", &new).as_deref(), Some("utf8mb4_0900_ai_ci"));
    }

    #[test]
    fn only_collations_are_touched() {
        let known = set(&["utf8mb4_general_ci", "utf8mb4_bin"]);
        let text = b"CREATE TABLE `t` (`collate` varchar(9) CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci DEFAULT 'COLLATE utf8mb4_0900_ai_ci', b int) \
            DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
        let (out, replaced) = replace(text, SqlMode::default(), &known);
        let out = String::from_utf8(out).unwrap();
        assert!(out.contains("COLLATE utf8mb4_general_ci DEFAULT 'COLLATE utf8mb4_0900_ai_ci'"), "{out}");
        assert!(out.ends_with("COLLATE=utf8mb4_bin"));
        assert_eq!(replaced, [("utf8mb4_0900_ai_ci".to_owned(), "utf8mb4_general_ci".to_owned())]);
    }
}
