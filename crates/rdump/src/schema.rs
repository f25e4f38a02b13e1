//! Schema files (facts/dumpling.md 2.4).

use common::ident::{TableName, quote};
use mysql::wire::WireConn;
use mysql::{ErrorClass, Flavor};

use crate::config::Output;
use crate::error::{Doing, DumpError, Result};
use crate::source::{Answer, Source, ask, needs_privilege};

/// The lines at the start of every SQL file.
///
/// Those of `--portable` let a plain client do what Lightning does by itself: take the text for utf8mb4 and TIMESTAMPs for
/// UTC, keep a 0 in an AUTO_INCREMENT column, and take every value that the source holds (dates with zeros, February 31,
/// the empty value of an ENUM).
pub fn header(flavor: Flavor, output: &Output) -> Vec<u8> {
    let names = if output.portable { "utf8mb4" } else { "binary" };
    let mut out = match flavor {
        Flavor::MySql | Flavor::TiDb => {
            format!("/*!40014 SET FOREIGN_KEY_CHECKS=0*/;\n/*!40101 SET NAMES {names}*/;\n")
        }
        Flavor::MariaDb => format!("/*!40101 SET NAMES {names}*/;\nSET FOREIGN_KEY_CHECKS=0;\n"),
    };
    if output.portable {
        out.push_str("/*!40103 SET TIME_ZONE='+00:00'*/;\n");
        out.push_str("/*!40101 SET SQL_MODE='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'*/;\n");
    }
    out.into_bytes()
}

/// Header and statement, which ends with `;` and a line end.
pub fn file(flavor: Flavor, output: &Output, statement: &[u8]) -> Vec<u8> {
    let mut out = header(flavor, output);
    out.extend_from_slice(statement);
    if !statement.ends_with(b";\n") {
        out.extend_from_slice(if statement.ends_with(b";") { b"\n" } else { b";\n" });
    }
    out
}

/// `CREATE DATABASE`.
///
/// # Errors
/// The server's.
pub async fn database(conn: &mut WireConn, database: &str) -> Result<Vec<u8>> {
    let sql = format!("SHOW CREATE DATABASE {}", quote(database));
    let answer =
        ask(conn, &sql).await.doing(|| format!("read the definition of database {}", quote(database)))?;
    text(&answer, 1, || format!("read the definition of database {}", quote(database)))
}

/// The two files of a view: the table that stands in for it, and the view.
///
/// # Errors
/// The server's; a missing SHOW VIEW privilege by name.
pub async fn view(
    conn: &mut WireConn,
    source: &Source,
    output: &Output,
    view: &TableName,
) -> Result<(Vec<u8>, Vec<u8>)> {
    let doing = || format!("read the definition of view {view}");
    let refused = |error| needs_privilege(error, doing(), "SHOW VIEW", &view.quoted(), &source.account);
    let columns = ask(conn, &format!("SHOW COLUMNS FROM {view}")).await.map_err(refused)?;
    let fields: Vec<String> = (0..columns.len())
        .filter_map(|row| columns.at(row, 0))
        .map(|name| format!("{} int", quote(&name)))
        .collect();
    let name = quote(&view.table);
    let stand_in = format!("CREATE TABLE {name}(\n{}\n)ENGINE=MyISAM;\n", fields.join(",\n"));
    let answer = ask(conn, &format!("SHOW CREATE VIEW {view}")).await.map_err(refused)?;
    let create = text(&answer, 1, doing)?;
    let (charset, collation) = (answer.at(0, 2).unwrap_or_default(), answer.at(0, 3).unwrap_or_default());
    let charset = if output.portable { client_charset(&create, charset) } else { charset };
    let mut out = format!(
        "DROP TABLE IF EXISTS {name};\nDROP VIEW IF EXISTS {name};\n\
         SET @PREV_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT;\n\
         SET @PREV_CHARACTER_SET_RESULTS=@@CHARACTER_SET_RESULTS;\n\
         SET @PREV_COLLATION_CONNECTION=@@COLLATION_CONNECTION;\n\
         SET character_set_client = {charset};\nSET character_set_results = {charset};\n\
         SET collation_connection = {collation};\n"
    )
    .into_bytes();
    out.extend_from_slice(&create);
    out.extend_from_slice(
        b";\nSET character_set_client = @PREV_CHARACTER_SET_CLIENT;\n\
          SET character_set_results = @PREV_CHARACTER_SET_RESULTS;\n\
          SET collation_connection = @PREV_COLLATION_CONNECTION;\n",
    );
    Ok((stand_in.into_bytes(), out))
}

/// The character set to send a definition under. It is written as utf8mb4, and the one that it was made under, which the
/// server keeps with it, is right only where both are the same bytes.
pub fn client_charset(create: &[u8], original: String) -> String {
    if create.is_ascii() { original } else { "utf8mb4".into() }
}

/// A sequence with its next value.
///
/// # Errors
/// The server's.
pub async fn sequence(conn: &mut WireConn, source: &Source, sequence: &TableName) -> Result<Vec<u8>> {
    let doing = || format!("read the definition of sequence {sequence}");
    let answer = ask(conn, &format!("SHOW CREATE SEQUENCE {sequence}")).await.doing(doing)?;
    let mut out = text(&answer, 1, doing)?;
    let next = match source.server.flavor {
        Flavor::TiDb => {
            let answer = ask(conn, &format!("SHOW TABLE {sequence} NEXT_ROW_ID")).await.doing(doing)?;
            let row = (0..answer.len())
                .find(|&row| answer.get(row, &["ID_TYPE"]).is_some_and(|kind| kind == "SEQUENCE"));
            row.and_then(|row| answer.get(row, &["NEXT_GLOBAL_ROW_ID"]))
        }
        Flavor::MySql | Flavor::MariaDb => {
            let sql = format!("SELECT NEXT_NOT_CACHED_VALUE FROM {sequence}");
            ask(conn, &sql).await.doing(doing)?.at(0, 0)
        }
    };
    let next = next.ok_or_else(|| DumpError::Answer { doing: doing(), what: "no next value".into() })?;
    out.extend_from_slice(format!(";\nSELECT SETVAL({},{next});\n", quote(&sequence.table)).as_bytes());
    Ok(out)
}

/// All placement policies of a TiDB cluster, by name; none on other servers.
///
/// # Errors
/// The server's, unless it does not know the statement.
pub async fn placement_policies(conn: &mut WireConn, source: &Source) -> Result<Vec<(String, Vec<u8>)>> {
    let doing = || "read placement policies".to_owned();
    if source.server.flavor != Flavor::TiDb {
        return Ok(Vec::new());
    }
    let sql = "SELECT DISTINCT policy_name FROM information_schema.placement_policies WHERE policy_name IS NOT NULL";
    let names = match ask(conn, sql).await {
        Ok(names) => names,
        // Before v6.0.
        Err(error) if matches!(error.class(), ErrorClass::UnknownTable | ErrorClass::UnknownColumn) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error).doing(doing),
    };
    let mut out = Vec::new();
    for row in 0..names.len() {
        let Some(name) = names.at(row, 0) else { continue };
        let answer =
            ask(conn, &format!("SHOW CREATE PLACEMENT POLICY {}", quote(&name))).await.doing(doing)?;
        let mut create = b"/*T![placement] ".to_vec();
        create.extend_from_slice(&text(&answer, 1, doing)?);
        create.extend_from_slice(b" */");
        out.push((name, create));
    }
    Ok(out)
}

/// One text of an answer, which is never empty.
pub fn text(answer: &Answer, column: usize, doing: impl FnOnce() -> String) -> Result<Vec<u8>> {
    match answer.bytes(0, column) {
        Some(bytes) if !bytes.is_empty() => Ok(bytes.to_vec()),
        _ => Err(DumpError::Answer { doing: doing(), what: "no CREATE statement".into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::resolve;

    #[test]
    fn statements_end_once() {
        let output = resolve(&[]).unwrap().output;
        for statement in ["CREATE X", "CREATE X;", "CREATE X;\n"] {
            let text = file(Flavor::MySql, &output, statement.as_bytes());
            assert!(text.ends_with(b"\nCREATE X;\n"), "{statement:?}");
        }
        let head = header(Flavor::MariaDb, &output);
        assert_eq!(head, b"/*!40101 SET NAMES binary*/;\nSET FOREIGN_KEY_CHECKS=0;\n");
        let head = header(Flavor::MySql, &resolve(&["--portable"]).unwrap().output);
        let words = ["SET NAMES utf8mb4", "TIME_ZONE='+00:00'", "NO_AUTO_VALUE_ON_ZERO"];
        assert!(words.iter().all(|word| String::from_utf8_lossy(&head).contains(word)));
    }
}
