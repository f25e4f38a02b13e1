//! Character sets: default collations, bytes per character, which set a collation belongs to.

use super::{Dialect, Environment, SchemaError};
use crate::ddl::CharsetChoice;

/// A character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CharsetInfo {
    /// Its name; `utf8` stands for utf8mb3 too.
    pub name: &'static str,
    /// The default collation of MySQL and MariaDB; of utf8mb4 it depends on the server.
    pub collation: &'static str,
    /// Most bytes of a character.
    pub max_bytes: u32,
}

const fn set(name: &'static str, collation: &'static str, max_bytes: u32) -> CharsetInfo {
    CharsetInfo { name, collation, max_bytes }
}

const CHARSETS: [CharsetInfo; 41] = [
    set("armscii8", "armscii8_general_ci", 1),
    set("ascii", "ascii_general_ci", 1),
    set("big5", "big5_chinese_ci", 2),
    set("binary", "binary", 1),
    set("cp1250", "cp1250_general_ci", 1),
    set("cp1251", "cp1251_general_ci", 1),
    set("cp1256", "cp1256_general_ci", 1),
    set("cp1257", "cp1257_general_ci", 1),
    set("cp850", "cp850_general_ci", 1),
    set("cp852", "cp852_general_ci", 1),
    set("cp866", "cp866_general_ci", 1),
    set("cp932", "cp932_japanese_ci", 2),
    set("dec8", "dec8_swedish_ci", 1),
    set("eucjpms", "eucjpms_japanese_ci", 3),
    set("euckr", "euckr_korean_ci", 2),
    set("gb18030", "gb18030_chinese_ci", 4),
    set("gb2312", "gb2312_chinese_ci", 2),
    set("gbk", "gbk_chinese_ci", 2),
    set("geostd8", "geostd8_general_ci", 1),
    set("greek", "greek_general_ci", 1),
    set("hebrew", "hebrew_general_ci", 1),
    set("hp8", "hp8_english_ci", 1),
    set("keybcs2", "keybcs2_general_ci", 1),
    set("koi8r", "koi8r_general_ci", 1),
    set("koi8u", "koi8u_general_ci", 1),
    set("latin1", "latin1_swedish_ci", 1),
    set("latin2", "latin2_general_ci", 1),
    set("latin5", "latin5_turkish_ci", 1),
    set("latin7", "latin7_general_ci", 1),
    set("macce", "macce_general_ci", 1),
    set("macroman", "macroman_general_ci", 1),
    set("sjis", "sjis_japanese_ci", 2),
    set("swe7", "swe7_swedish_ci", 1),
    set("tis620", "tis620_thai_ci", 1),
    set("ucs2", "ucs2_general_ci", 2),
    set("ujis", "ujis_japanese_ci", 3),
    set("utf16", "utf16_general_ci", 4),
    set("utf16le", "utf16le_general_ci", 4),
    set("utf32", "utf32_general_ci", 4),
    set("utf8", "utf8_general_ci", 3),
    set("utf8mb4", "utf8mb4_general_ci", 4),
];

/// Looks a character set up by name; `utf8mb3` is `utf8`.
pub fn charset_info(name: &str) -> Option<&'static CharsetInfo> {
    let name = if name.eq_ignore_ascii_case("utf8mb3") { "utf8" } else { name };
    CHARSETS.iter().find(|set| set.name.eq_ignore_ascii_case(name))
}

/// The character set of a collation: the name up to its first `_`.
pub fn charset_of_collation(collation: &str) -> Option<&'static CharsetInfo> {
    charset_info(collation.split('_').next().unwrap_or_default())
}

/// The spelling kept here: `utf8mb3_bin` is `utf8_bin`.
fn canonical(collation: &str) -> String {
    match collation.strip_prefix("utf8mb3_") {
        Some(rest) => format!("utf8_{rest}"),
        None => collation.to_owned(),
    }
}

/// A character set with the collation in force.
pub(super) type Pair = (String, String);

fn unknown(name: &str) -> SchemaError {
    SchemaError::UnknownCharset { name: name.to_owned() }
}

/// The collation that a character set alone means.
pub(super) fn default_collation(charset: &CharsetInfo, environment: &Environment) -> String {
    match (environment.dialect, charset.name) {
        (_, "utf8mb4") => environment.utf8mb4_collation.clone(),
        (Dialect::TiDb, "ascii" | "latin1" | "utf8") => format!("{}_bin", charset.name),
        (Dialect::MariaDb, "utf8" | "ucs2" | "utf16" | "utf32")
            if environment.utf8mb4_collation.contains("uca1400") =>
        {
            format!("{}_uca1400_ai_ci", charset.name)
        }
        _ => charset.collation.to_owned(),
    }
}

/// The `_bin` collation of a character set.
pub(super) fn binary_collation(charset: &str) -> String {
    if charset == "binary" { "binary".into() } else { format!("{charset}_bin") }
}

/// What a written choice means below `parent`.
pub(super) fn resolve(
    choice: &CharsetChoice,
    parent: Option<&Pair>,
    environment: &Environment,
    missing: impl Fn() -> SchemaError,
) -> Result<Pair, SchemaError> {
    let parent = || parent.cloned().ok_or_else(&missing);
    let written = |name: &Option<String>| name.clone().filter(|name| name != "default");
    match (written(&choice.charset), written(&choice.collation)) {
        (None, None) => parent(),
        (Some(charset), None) => {
            let info = charset_info(&charset).ok_or_else(|| unknown(&charset))?;
            Ok((info.name.into(), default_collation(info, environment)))
        }
        (charset, Some(collation)) => {
            // MariaDB's `uca1400_ai_ci` belongs to whatever character set is in force.
            if collation.starts_with("uca1400") {
                let charset = match charset {
                    Some(charset) => charset_info(&charset).ok_or_else(|| unknown(&charset))?.name.into(),
                    None => parent()?.0,
                };
                return Ok((charset.clone(), format!("{charset}_{collation}")));
            }
            let info = charset_of_collation(&collation).ok_or_else(|| unknown(&collation))?;
            Ok((info.name.into(), canonical(&collation)))
        }
    }
}
