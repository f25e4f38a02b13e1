//! Compares what is needed with what is granted.

use std::collections::BTreeMap;

use super::{Grants, Missing, Names, Need, Scope};

const ALL: &str = "ALL PRIVILEGES";

pub(super) fn allows(grants: &Grants, need: &Need) -> bool {
    let folded = grants.folded.then(|| need.folded());
    let need = folded.as_ref().unwrap_or(need);
    let wanted = need.privilege.names(&grants.server);
    let given = |names: &Names| names.contains(ALL) || wanted.iter().any(|name| names.contains(*name));
    let schema = match &need.scope {
        _ if need.privilege.is_global() => None,
        Scope::Global => None,
        Scope::Schema(schema) | Scope::Table(schema, _) => Some(schema.as_str()),
    };
    if given(&grants.global) {
        let revoked = match schema {
            Some(schema) => grants.revoked.get(schema).is_some_and(given),
            // A right for the whole server that lacks a database is not one for the whole server.
            None => !need.privilege.is_global() && grants.revoked.values().any(given),
        };
        if !revoked {
            return true;
        }
    }
    let Some(schema) = schema else { return false };
    if best_pattern(grants, schema).is_some_and(given) {
        return true;
    }
    match &need.scope {
        Scope::Table(schema, table) if !need.privilege.is_for_schemas() => {
            grants.tables.get(&(schema.clone(), table.clone())).is_some_and(given)
        }
        _ => false,
    }
}

/// Of several patterns that match a database the server takes one only: the one whose first wildcard comes last.
fn best_pattern<'a>(grants: &'a Grants, schema: &str) -> Option<&'a Names> {
    if grants.literal_schemas {
        return grants.schemas.get(schema);
    }
    grants
        .schemas
        .iter()
        .filter(|(pattern, _)| like(pattern, schema))
        .max_by_key(|(pattern, _)| first_wildcard(pattern))
        .map(|(_, names)| names)
}

fn first_wildcard(pattern: &str) -> usize {
    let mut chars = pattern.chars().enumerate();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '%' | '_' => return at,
            _ => {}
        }
    }
    usize::MAX
}

/// LIKE: `_` one character, `%` any number of them, `\` takes the next one as it is.
fn like(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last `%` if what follows it does not match here.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), text.get(t)) {
            (Some('%'), _) => {
                retry = Some((p + 1, t));
                p += 1;
                continue;
            }
            (Some('_'), Some(_)) => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (Some('\\'), Some(c)) if pattern.get(p + 1) == Some(c) => {
                (p, t) = (p + 2, t + 1);
                continue;
            }
            (Some(a), Some(b)) if a == b && *a != '\\' => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            (None, None) => return true,
            _ => {}
        }
        match retry {
            Some((after, from)) if from < text.len() => {
                retry = Some((after, from + 1));
                (p, t) = (after, from + 1);
            }
            _ => return false,
        }
    }
}

/// What of `needs` is not granted, each with the statement that gives it; nothing twice.
pub fn missing(grants: &Grants, needs: &[Need]) -> Vec<Missing> {
    let mut out: Vec<Missing> = Vec::new();
    for need in needs {
        if allows(grants, need) {
            continue;
        }
        let privilege = need.privilege.names(&grants.server).first().copied().unwrap_or("ALL PRIVILEGES");
        let object = match &need.scope {
            _ if need.privilege.is_global() => Scope::Global.to_string(),
            Scope::Table(schema, _) if need.privilege.is_for_schemas() => {
                Scope::Schema(schema.clone()).to_string()
            }
            scope => scope.to_string(),
        };
        if out.iter().any(|known| known.privilege == privilege && known.object == object) {
            continue;
        }
        let grant_statement = format!("GRANT {privilege} ON {object} TO {};", grants.account);
        out.push(Missing { privilege, object, grant_statement, note: role_note(grants) });
    }
    out
}

fn role_note(grants: &Grants) -> String {
    if grants.roles.is_empty() {
        return String::new();
    }
    format!(
        "if one of its roles should give it, make that active by default: SET DEFAULT ROLE {} TO {};",
        grants.roles.join(", "),
        grants.account
    )
}

/// The statements of several missing rights, one for each object.
pub fn grant_statements(grants: &Grants, missing: &[Missing]) -> Vec<String> {
    let mut by_object: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for item in missing {
        by_object.entry(&item.object).or_default().push(item.privilege);
    }
    by_object
        .into_iter()
        .map(|(object, names)| format!("GRANT {} ON {object} TO {};", names.join(", "), grants.account))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, matches) in [
            ("db", "db", true),
            ("db", "dbx", false),
            ("my_db", "my_db", true),
            ("my_db", "myxdb", true),
            ("my\\_db", "my_db", true),
            ("my\\_db", "myxdb", false),
            ("my\\_%", "my_db1", true),
            ("my\\_%", "my", false),
            ("%", "", true),
            ("%b%", "abc", true),
            ("%ab", "aab", true),
            ("a%b%c", "axxbyyc", true),
            ("a%b%c", "axxbyy", false),
            ("a\\\\b", "a\\b", true),
            ("_", "é", true),
        ] {
            assert_eq!(like(pattern, text), matches, "{pattern} {text}");
        }
        assert!(first_wildcard("my\\_db%") < first_wildcard("my\\_db1"));
    }
}
