//! ENUM and SET columns of which the collation takes members for equal: a strict session refuses to create them (1291), another one
//! makes them so that the second of the two can no longer be written.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use mysql::Conn;
use sql::ddl::TypeKind;
use sql::schema::{Column, Table};

use crate::downstream::collation;
use crate::error::{Context, Result};

/// Columns, in lower case, each with two members that are equal to its collation.
pub type Twins = BTreeMap<String, (String, String)>;

/// Members that one query compares; of more only those are found that differ in case alone.
const MOST: usize = 1000;

/// Asks the target which columns of a table that is to be created have such members. Nothing is written.
///
/// # Errors
/// The server's.
pub async fn twins(conn: &mut Conn, table: &Table, known: &BTreeSet<String>) -> Result<Twins> {
    let mut found = Twins::new();
    for column in &table.columns {
        if !matches!(column.kind, TypeKind::Enum | TypeKind::Set) || column.members.len() < 2 {
            continue;
        }
        let pair = match query(column, known).filter(|_| column.members.len() <= MOST) {
            None => folded_twins(&column.members),
            Some(query) => {
                let doing = || format!("compare the members of column `{}`", column.name);
                let row = conn.query_one(query).await.context(codes::DB_CONNECT, doing)?;
                let number = |at| row.as_ref().and_then(|row| row.parse::<usize>(at).ok().flatten());
                number(0).zip(number(1))
            }
        };
        let shown = |at: usize| column.members.get(at).map(|text| String::from_utf8_lossy(text).into_owned());
        if let Some((first, second)) = pair.and_then(|(first, second)| shown(first).zip(shown(second))) {
            found.insert(column.name.to_lowercase(), (first, second));
        }
    }
    Ok(found)
}

/// `None`: the collation tells all bytes apart, or is not known here.
fn query(column: &Column, known: &BTreeSet<String>) -> Option<String> {
    let charset = column.charset.as_deref()?.to_lowercase();
    let wanted = column.collation.as_deref()?.to_lowercase();
    let collation = if known.contains(&wanted) { Some(wanted) } else { collation::nearest(&wanted, known) }?;
    if charset == "binary" {
        return None;
    }
    let members = column.members.iter().enumerate().map(|(number, member)| {
        let digits: String = trimmed(member).iter().map(|byte| format!("{byte:02x}")).collect();
        format!(
            "SELECT {number} AS n, CONVERT(_utf8mb4 x'{digits}' USING {charset}) COLLATE {collation} AS m"
        )
    });
    let members: Vec<String> = members.collect();
    Some(format!(
        "SELECT MIN(n), MAX(n) FROM ({}) all_members GROUP BY m COLLATE {collation} HAVING COUNT(*) > 1 ORDER BY 1 LIMIT 1",
        members.join(" UNION ALL ")
    ))
}

fn folded_twins(members: &[Vec<u8>]) -> Option<(usize, usize)> {
    let mut seen = BTreeMap::new();
    members.iter().enumerate().find_map(|(number, member)| {
        let folded = String::from_utf8_lossy(trimmed(member)).to_lowercase();
        seen.insert(folded, number).map(|first| (first, number))
    })
}

/// Blanks at the end of a member do not count.
fn trimmed(member: &[u8]) -> &[u8] {
    &member[..member.iter().rposition(|byte| *byte != b' ').map_or(0, |at| at + 1)]
}

/// Gives the columns the collation that tells all members apart, so that the table can be created and every value of the dump is kept.
pub fn tell_apart(table: &mut Table, twins: &Twins, reasons: &mut Vec<String>) {
    for column in &mut table.columns {
        let Some((first, second)) = twins.get(&column.name.to_lowercase()) else { continue };
        let mut seen = BTreeSet::new();
        let before = column.members.len();
        column.members.retain(|member| seen.insert(trimmed(member).to_vec()));
        if column.members.len() < before {
            reasons.push(format!(
                "`{}` lists '{first}' twice, which a strict session refuses (1291): it is listed once, so members behind it have other numbers",
                column.name
            ));
        }
        let (Some(charset), Some(collation)) = (&column.charset, &column.collation) else { continue };
        if trimmed(first.as_bytes()) == trimmed(second.as_bytes()) || collation.ends_with("_bin") {
            continue;
        }
        let exact = format!("{charset}_bin");
        reasons.push(format!(
            "`{}` gets the collation {exact}: to {collation} its members '{first}' and '{second}' are equal, which a strict session refuses \
             (1291), and without strictness '{second}' could not be written. Comparisons with it now regard case and accents",
            column.name
        ));
        column.collation = Some(exact);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_told_apart() {
        let text =
            b"CREATE TABLE t (e enum('a','A','b','a ') DEFAULT NULL, s set('x','y')) DEFAULT CHARSET=latin1";
        let mut table = Table::from_create(text, sql::SqlMode::default()).expect("a table");
        let pair = folded_twins(&table.columns[0].members).expect("twins");
        assert_eq!(pair, (0, 1));
        assert_eq!(folded_twins(&table.columns[1].members), None);
        let mut reasons = Vec::new();
        tell_apart(&mut table, &[("e".to_owned(), ("a".to_owned(), "A".to_owned()))].into(), &mut reasons);
        let text = table.to_create();
        assert!(text.contains("enum('a','A','b') CHARACTER SET latin1 COLLATE latin1_bin"), "{text}");
        assert_eq!(reasons.len(), 2, "{reasons:?}");
    }
}
