//! Which rows differ: groups first, then the rows of groups that differ.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mysql::row_hash::Groups;

/// Rows that are listed for a table, about.
const LISTED: u64 = 50_000;

/// Rows of one group beyond which it is not listed.
const CROWD: u64 = 8 * LISTED;

/// Most groups of keys.
pub const MOST_GROUPS: u64 = 1 << 16;

/// How often a row of one hash is on each side.
#[derive(Debug, Default)]
pub struct Copies {
    /// In the target.
    pub target: u64,
    /// In the files.
    pub files: u64,
    /// Its key, for a person.
    pub key: String,
    /// The last file that has it.
    pub path: Option<Arc<str>>,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The row's key, `id=7`.
    pub key: String,
    /// How it differs.
    pub kind: Kind,
}

/// How a row differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The target lacks it.
    Missing(Arc<str>),
    /// No file has it.
    Extra,
    /// Both have a row of this key, with other values.
    Different(Arc<str>),
    /// Both have it, and not as often.
    Times {
        /// How often in the target.
        target: u64,
        /// How often in the files.
        files: u64,
        /// One of them.
        path: Arc<str>,
    },
}

impl Difference {
    /// For a person; keys are values of rows.
    pub fn text(&self, redact: bool) -> String {
        let key = if redact { "(key hidden by redact-info-log)" } else { &self.key };
        match &self.kind {
            Kind::Missing(path) => format!("{key}: missing in the target, there in file '{path}'"),
            Kind::Extra => format!("{key}: only in the target"),
            Kind::Different(path) => format!("{key}: other values than in file '{path}'"),
            Kind::Times { target, files, path } => {
                format!("{key}: {target} times in the target, {files} times in the files (file '{path}')")
            }
        }
    }
}

/// Groups that differ, as many as can be listed. `before`: rows that were there before are in none of the files, so that every group
/// may differ by them.
pub fn differing(read: &Groups, held: &Groups, before: u64) -> Vec<u64> {
    let numbers: BTreeSet<u64> = read.keys().chain(held.keys()).copied().collect();
    let mut sum = 0;
    let mut wanted = Vec::new();
    for number in numbers {
        let of = |groups: &Groups| groups.get(&number).copied().unwrap_or_default();
        let (read, held) = (of(read), of(held));
        let rows = read.rows.max(held.rows);
        let is_equal = read == held && before == 0;
        if is_equal || rows > CROWD || (!wanted.is_empty() && sum + rows > LISTED) {
            continue;
        }
        sum += rows;
        wanted.push(number);
    }
    wanted
}

/// Tells differences from how often rows are on each side. With rows that were `before`, what only the target has means nothing.
pub fn judge(copies: impl Iterator<Item = Copies>, before: bool) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut missing: HashMap<String, Vec<Arc<str>>> = HashMap::new();
    let mut extra: Vec<String> = Vec::new();
    for copy in copies {
        let path = copy.path.clone().unwrap_or_else(|| "?".into());
        if copy.files > 0 && copy.target > 0 && copy.files != copy.target {
            if before && copy.target > copy.files {
                continue;
            }
            let kind = Kind::Times { target: copy.target, files: copy.files, path };
            found.push(Difference { key: copy.key, kind });
        } else if copy.target == 0 {
            missing.entry(copy.key).or_default().extend((0..copy.files).map(|_| Arc::clone(&path)));
        } else if copy.files == 0 {
            extra.extend((0..copy.target).map(|_| copy.key.clone()));
        }
    }
    // A missing row and an extra one of the same key are one row with other values.
    for key in extra {
        match missing.get_mut(&key).and_then(Vec::pop) {
            Some(path) => found.push(Difference { key, kind: Kind::Different(path) }),
            None if before => {}
            None => found.push(Difference { key, kind: Kind::Extra }),
        }
    }
    for (key, paths) in missing {
        found
            .extend(paths.into_iter().map(|path| Difference { key: key.clone(), kind: Kind::Missing(path) }));
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use mysql::row_hash::Sums;

    fn copy(target: u64, files: u64, key: &str) -> Copies {
        Copies { target, files, key: key.into(), path: (files > 0).then(|| "f.sql".into()) }
    }

    #[test]
    fn every_kind_of_difference_is_named() {
        let copies = || {
            [
                copy(1, 1, "id=1"),
                copy(0, 1, "id=2"),
                copy(1, 0, "id=3"),
                copy(1, 0, "id=4"),
                copy(0, 1, "id=4"),
                copy(2, 1, "id=5"),
                copy(1, 3, "id=6"),
            ]
        };
        let said = |before| -> Vec<String> {
            judge(copies().into_iter(), before).iter().map(|one| one.text(false)).collect()
        };
        assert_eq!(
            said(false),
            [
                "id=2: missing in the target, there in file 'f.sql'",
                "id=3: only in the target",
                "id=4: other values than in file 'f.sql'",
                "id=5: 2 times in the target, 1 times in the files (file 'f.sql')",
                "id=6: 1 times in the target, 3 times in the files (file 'f.sql')",
            ]
        );
        assert_eq!(said(true).len(), 3, "what only the target has may have been there before");
        assert!(!judge(copies().into_iter(), false)[0].text(true).contains("id="));
    }

    #[test]
    fn groups_are_chosen_up_to_a_number_of_rows() {
        let sums = |rows, first| Sums { rows, first, second: 0 };
        let read: Groups =
            [(0, sums(5, 1)), (1, sums(5, 2)), (2, sums(LISTED, 3)), (3, sums(CROWD + 1, 4))].into();
        let held: Groups = [
            (0, sums(5, 1)),
            (1, sums(5, 9)),
            (2, sums(LISTED, 9)),
            (3, sums(CROWD + 1, 9)),
            (7, sums(1, 1)),
        ]
        .into();
        assert_eq!(differing(&read, &held, 0), [1, 7]);
        assert_eq!(differing(&read, &held, 4), [0, 1, 7]);
        assert_eq!(differing(&read, &read, 0), [0_u64; 0]);
    }
}
