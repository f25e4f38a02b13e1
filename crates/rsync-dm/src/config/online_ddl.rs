//! Names of the tables that gh-ost and pt-online-schema-change make (facts/dm.md 5.2).

use common::go_regex;
use regex::Regex;

/// What a table's name says about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TableKind {
    /// An ordinary table.
    Real,
    /// The copy that becomes the table of this name.
    Shadow(String),
    /// The remains of the table of this name.
    Trash(String),
}

/// Compiled `shadow-table-rules` and `trash-table-rules`.
#[derive(Debug, Clone)]
pub struct OnlineDdl {
    shadow: Vec<Regex>,
    trash: Vec<Regex>,
}

const SHADOW: &str = "^_(.+)_(?:new|gho)$";
const TRASH: &str = "^_(.+)_(?:ghc|del|old)$";

impl OnlineDdl {
    /// Compiles the rules; an empty list takes DM's default.
    ///
    /// # Errors
    /// The rule that does not compile or has not exactly one capture group (DM's code 20048), with the reason.
    pub fn new(shadow: &[String], trash: &[String]) -> Result<Self, String> {
        Ok(Self { shadow: compile(shadow, SHADOW)?, trash: compile(trash, TRASH)? })
    }

    /// What this table is.
    pub fn kind(&self, table: &str) -> TableKind {
        let real =
            |rules: &[Regex]| rules.iter().find_map(|r| Some(r.captures(table)?.get(1)?.as_str().to_owned()));
        match (real(&self.shadow), real(&self.trash)) {
            (Some(name), _) => TableKind::Shadow(name),
            (None, Some(name)) => TableKind::Trash(name),
            _ => TableKind::Real,
        }
    }
}

fn compile(rules: &[String], default: &str) -> Result<Vec<Regex>, String> {
    if rules.is_empty() {
        return Ok(vec![Regex::new(default).expect("the default rule is a regular expression")]);
    }
    rules
        .iter()
        .map(|rule| {
            let start = if rule.starts_with('^') { "" } else { "^" };
            let end = if rule.ends_with('$') { "" } else { "$" };
            let regex = go_regex::compile(&format!("{start}{rule}{end}"), false)
                .map_err(|e| format!("`{rule}`: {e}"))?;
            match regex.captures_len() {
                2 => Ok(regex),
                n => Err(format!("`{rule}` has {} capture groups, it must have exactly one", n - 1)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_rules() {
        let rules = OnlineDdl::new(&[], &[]).unwrap();
        assert_eq!(rules.kind("_t1_gho"), TableKind::Shadow("t1".into()));
        assert_eq!(rules.kind("_t1_new"), TableKind::Shadow("t1".into()));
        assert_eq!(rules.kind("_t1_ghc"), TableKind::Trash("t1".into()));
        assert_eq!(rules.kind("_t1_old"), TableKind::Trash("t1".into()));
        assert_eq!(rules.kind("t1"), TableKind::Real);
    }

    #[test]
    fn own_rules_are_anchored_and_have_one_group() {
        let rules = OnlineDdl::new(&["x_(.+)".into()], &[]).unwrap();
        assert_eq!(rules.kind("x_t"), TableKind::Shadow("t".into()));
        assert_eq!(rules.kind("ax_t"), TableKind::Real);
        assert!(OnlineDdl::new(&["x".into()], &[]).unwrap_err().contains("0 capture groups"));
        assert!(OnlineDdl::new(&[], &["(a)(b)".into()]).unwrap_err().contains("2 capture groups"));
        assert!(OnlineDdl::new(&["(".into()], &[]).is_err());
    }
}
