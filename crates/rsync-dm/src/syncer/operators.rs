//! What an operator wants done with single statements of the binlog: `binlog skip | replace | inject`.
//!
//! They are kept in the target, in a row of the fence table, so that they outlive the worker; [`Shared`](super::shared::Shared) has
//! the copy that a run looks at. One is obeyed whenever the reader comes to its event, until the checkpoint has passed that.

use std::collections::BTreeMap;

use common::{
    error::{DmError, dm_codes as code},
    ident::quote_string,
};
use mysql::Conn;
use serde::{Deserialize, Serialize};
use sql::{SqlMode, ddl, lexer::TokenKind};

use super::{error, place::Place, session};
use crate::{
    checkpoint::{OPERATORS_LANE, Tables},
    config::SubtaskConfig,
    proto::pb,
};

/// Version of [`Kept`].
const VERSION: u32 = 1;

/// What to do with a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// It is not run.
    Skip,
    /// Others are run in its place.
    Replace,
    /// Others are run before it.
    Inject,
}

/// An operator's wish for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator {
    /// What to do.
    pub what: What,
    /// The other statements, with upstream names.
    pub sqls: Vec<String>,
}

impl Operator {
    /// Tells one from another in the journal of statements.
    pub fn mark(&self) -> String {
        let text = format!("{:?} {:?}", self.what, self.sqls);
        blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
    }
}

/// Those of a source, by the place where their event begins.
#[derive(Debug, Clone, Default)]
pub struct Operators(BTreeMap<Place, Operator>);

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u32,
    /// The places belong to its binlog.
    operators: Vec<KeptOne>,
}

#[derive(Serialize, Deserialize)]
struct KeptOne {
    file: String,
    pos: u64,
    what: What,
    sqls: Vec<String>,
}

/// As `binlog list` prints it: DM's request in Go's JSON.
#[derive(Serialize)]
struct Listed<'a> {
    op: i32,
    task: &'a str,
    #[serde(rename = "binlogPos")]
    binlog_pos: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    sqls: &'a [String],
}

impl Operators {
    /// What is wanted of the event that begins here.
    pub fn at(&self, start: &Place) -> Option<&Operator> {
        self.0.get(start)
    }

    /// Sets or replaces one.
    pub fn set(&mut self, at: Place, operator: Operator) {
        self.0.insert(at, operator);
    }

    /// Takes one back; false if there is none.
    pub fn revert(&mut self, at: &Place) -> bool {
        self.0.remove(at).is_some()
    }

    /// Forgets those that the checkpoint has passed.
    pub fn forget_before(&mut self, checkpoint: &Place) {
        self.0.retain(|at, _| at >= checkpoint);
    }

    /// Those from a place on, as text.
    pub fn list(&self, task: &str, from: Option<&Place>) -> String {
        let listed: Vec<Listed<'_>> = self
            .0
            .iter()
            .filter(|(at, _)| from.is_none_or(|from| *at >= from))
            .map(|(at, operator)| Listed {
                op: i32::from(match operator.what {
                    What::Skip => pb::ErrorOp::Skip,
                    What::Replace => pb::ErrorOp::Replace,
                    What::Inject => pb::ErrorOp::Inject,
                }),
                task,
                binlog_pos: format!("{}:{}", at.file, at.pos),
                sqls: &operator.sqls,
            })
            .collect();
        // Plain values: serde_json cannot fail on them.
        serde_json::to_string(&listed).unwrap_or_default()
    }

    fn to_json(&self) -> String {
        let operators = self
            .0
            .iter()
            .map(|(at, o)| KeptOne {
                file: at.file.to_string(),
                pos: at.pos,
                what: o.what,
                sqls: o.sqls.clone(),
            })
            .collect();
        serde_json::to_string(&Kept { version: VERSION, operators }).unwrap_or_default()
    }

    fn from_json(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if version > VERSION {
            return Err(format!(
                "they have version {version}, this program knows {VERSION}: use the newer program"
            ));
        }
        let kept: Kept = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let one = |o: KeptOne| (Place::new(&o.file, o.pos), Operator { what: o.what, sqls: o.sqls });
        Ok(Self(kept.operators.into_iter().map(one).collect()))
    }

    /// Reads them from the target.
    ///
    /// # Errors
    /// The server's; what cannot be read.
    pub async fn load(conn: &mut Conn, tables: &Tables, source: &str) -> Result<Self, DmError> {
        Self::read(conn, tables, source, "").await
    }

    async fn read(conn: &mut Conn, tables: &Tables, source: &str, lock: &str) -> Result<Self, DmError> {
        let sql = format!(
            "SELECT state FROM {} WHERE source={} AND lane={OPERATORS_LANE}{lock}",
            tables.fence,
            quote_string(source)
        );
        let failed = |e: mysql::Error| error::target("cannot read the operators of `binlog`", &e);
        let row = conn.query_one(sql).await.map_err(failed)?;
        let Some(text) = row.map(|row| row.str(0)).transpose().map_err(failed)?.flatten() else {
            return Ok(Self::default());
        };
        Self::from_json(&text).map_err(|e| {
            code::SYNCER_EVENT_NOT_EXIST.error(format!("the operators of `binlog` can't be read: {e}"))
        })
    }

    /// Changes what the target has, as one transaction, and gives what it has then.
    ///
    /// # Errors
    /// The server's; that of `change`, which then has changed nothing.
    pub async fn change(
        config: &SubtaskConfig,
        change: impl FnOnce(&mut Self) -> Result<(), DmError>,
    ) -> Result<Self, DmError> {
        let mut conn = session::connect_target(config).await?;
        let tables = Tables::new(&config.meta_schema, &config.task);
        let failed = |e: mysql::Error| error::target("cannot write the operators of `binlog`", &e);
        tables.create(&mut conn).await.map_err(failed)?;
        let source = quote_string(&config.source_id);
        let fence = &tables.fence;
        conn.exec(format!(
            "INSERT IGNORE INTO {fence} (source,lane,epoch) VALUES ({source},{OPERATORS_LANE},0)"
        ))
        .await
        .map_err(failed)?;
        conn.exec("BEGIN").await.map_err(failed)?;
        let mut all = Self::read(&mut conn, &tables, &config.source_id, " FOR UPDATE").await?;
        change(&mut all)?;
        let mut text = Vec::new();
        binlog::write_text(&mut text, all.to_json().as_bytes(), binlog::Charset::Utf8mb4);
        let sql = format!(
            "UPDATE {fence} SET state={} WHERE source={source} AND lane={OPERATORS_LANE}",
            String::from_utf8_lossy(&text)
        );
        conn.exec(sql).await.map_err(failed)?;
        conn.exec("COMMIT").await.map_err(failed)?;
        conn.close().await;
        Ok(all)
    }
}

/// A place as an operator writes it: `mysql-bin.000003:3270`, a relay log's `mysql-bin|000001.000003:3270`, or
/// `(mysql-bin.000003, 3270)` as errors show it.
///
/// # Errors
/// 11049 what is no place.
pub fn parse_place(text: &str) -> Result<Place, DmError> {
    let plain = text.trim().trim_start_matches('(').trim_end_matches(')');
    let parts = plain.rsplit_once(':').or_else(|| plain.rsplit_once(','));
    let place = parts.and_then(|(file, pos)| {
        let pos: u64 = pos.trim().parse().ok()?;
        let file = match (file.split_once('|'), file.rsplit_once('.')) {
            (Some((base, _)), Some((_, number))) => format!("{base}.{number}"),
            _ => file.to_owned(),
        };
        let place = Place::new(file.trim(), pos);
        (place.sequence > 0 && pos >= 4).then_some(place)
    });
    place.ok_or_else(|| {
        code::INVALID_BINLOG_POS_STR.error(format!("invalid --binlog-pos {text}")).with_workaround(
            "Write it as the error of `query-status` shows it (startLocation): --binlog-pos mysql-bin.000003:3270.",
        )
    })
}

/// An operator of two bytes with a blank inside, which the lexer, that knows single bytes only, would not see.
fn torn_operator(sql: &str) -> Option<&str> {
    const TORN: [(u8, u8); 8] = [
        (b'>', b'='),
        (b'<', b'='),
        (b'!', b'='),
        (b'<', b'>'),
        (b':', b'='),
        (b'|', b'|'),
        (b'&', b'&'),
        (b'-', b'>'),
    ];
    let tokens = sql::lexer::tokens(sql.as_bytes(), SqlMode::default());
    tokens.windows(2).find_map(|pair| match (pair[0].kind, pair[1].kind) {
        (TokenKind::Punct(a), TokenKind::Punct(b))
            if TORN.contains(&(a, b)) && pair[0].span.end < pair[1].span.start =>
        {
            sql.get(pair[0].span.start..pair[1].span.end)
        }
        _ => None,
    })
}

/// Statements that an operator gives, each alone; only DDL with the schema in every name.
///
/// # Errors
/// What is something else.
pub fn parse_statements(given: &[String]) -> Result<Vec<String>, DmError> {
    let mode = SqlMode::default();
    let mut all = Vec::new();
    for text in given {
        let bytes = text.as_bytes();
        let spans = sql::split::statements(bytes, mode).map_err(|e| {
            code::PARSE_SQL.error(format!("cannot take apart: {text}")).with_cause(e.to_string())
        })?;
        for span in spans {
            let one = String::from_utf8_lossy(span.of(bytes)).trim().trim_end_matches(';').trim().to_owned();
            if one.is_empty() {
                continue;
            }
            if let Some(torn) = torn_operator(&one) {
                return Err(code::PARSE_SQL
                    .error(format!("no server takes the operator {torn} in: {one}"))
                    .with_workaround("Write it without the blank."));
            }
            let parsed = ddl::parse(one.as_bytes(), mode).map_err(|e| {
                code::SYNCER_PARSE_DDL
                    .error(format!("parse DDL: {one}"))
                    .with_cause(e.to_string())
                    .with_workaround("Give a DDL that MySQL's manual has.")
            })?;
            if parsed.tables().iter().any(|table| table.schema.is_none()) {
                return Err(code::SYNCER_PARSE_DDL
                    .error(format!("a table without its schema in: {one}"))
                    .with_workaround("Write every table as `schema`.`table`, with the source's names."));
            }
            all.push(one);
        }
    }
    if all.is_empty() {
        return Err(code::SYNCER_PARSE_DDL.error("no statement is given").with_workaround(
            "`binlog replace` and `binlog inject` need at least one statement after the task's name.",
        ));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_as_operators_write_them() {
        for text in ["mysql-bin.000003:3270", "mysql-bin|000001.000003:3270", "(mysql-bin.000003, 3270)"] {
            let place = parse_place(text).unwrap();
            assert_eq!((&*place.file, place.pos), ("mysql-bin.000003", 3270), "{text}");
        }
        for text in ["", "3270", "mysql-bin:4", "mysql-bin.000003:x", "mysql-bin.000003:-1"] {
            assert_eq!(parse_place(text).unwrap_err().code().code, 11049, "{text}");
        }
    }

    #[test]
    fn statements_are_ddl_with_schemas() {
        let given =
            ["ALTER TABLE a.b ADD c INT; drop table `a`.`d`;".to_owned(), " CREATE DATABASE x ".to_owned()];
        assert_eq!(
            parse_statements(&given).unwrap(),
            ["ALTER TABLE a.b ADD c INT", "drop table `a`.`d`", "CREATE DATABASE x"]
        );
        for text in ["ALTER TABLE b ADD c INT", "DELETE FROM a.b", "ALTER TABLE a.b ADD", ";", ""] {
            assert!(parse_statements(&[text.to_owned()]).is_err(), "{text}");
        }
    }

    #[test]
    fn kept_listed_and_forgotten() {
        let mut all = Operators::default();
        let at = |pos| Place::new("bin.000002", pos);
        all.set(at(100), Operator { what: What::Skip, sqls: Vec::new() });
        all.set(at(900), Operator { what: What::Replace, sqls: vec!["DROP TABLE a.b".into()] });
        let mut again = Operators::from_json(&all.to_json()).unwrap();
        assert_eq!(
            again.list("t", None),
            r#"[{"op":1,"task":"t","binlogPos":"bin.000002:100"},{"op":2,"task":"t","binlogPos":"bin.000002:900","sqls":["DROP TABLE a.b"]}]"#
        );
        again.forget_before(&at(101));
        assert!(again.at(&at(100)).is_none() && again.at(&at(900)).is_some());
        assert_eq!(again.list("t", Some(&at(901))), "[]");
        assert!(again.revert(&at(900)) && !again.revert(&at(900)));
        assert!(Operators::from_json(r#"{"version":2}"#).unwrap_err().contains("newer program"));
    }
}
