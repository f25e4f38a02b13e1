//! Triggers, routines and events for `--portable`, in files that Lightning leaves alone (facts/lightning.md 2.2):
//! `db.table-schema-trigger.sql` and `db-schema-post.sql`. Load them after the rows: a trigger must not fire for them.

use std::collections::BTreeSet;

use common::ident::{TableName, quote, quote_string};
use mysql::Flavor;
use mysql::privileges::{Grants, Need, Privilege, Scope, missing};
use mysql::wire::WireConn;

use crate::error::{Doing, DumpError, Result};
use crate::listing::{Listing, ObjectKind};
use crate::schema::{client_charset, text};
use crate::source::{Answer, ask};

/// The server leaves out what an account may not see and says nothing, so the privileges are looked at first.
///
/// # Errors
/// A missing privilege with its GRANT.
pub fn check_privileges(grants: &Grants, listing: &Listing) -> Result<()> {
    let server = grants.server();
    if server.flavor == Flavor::TiDb {
        return Ok(());
    }
    let tables = listing.objects.iter().filter(|object| object.kind == ObjectKind::Table);
    let triggers = tables
        .map(|object| Need::table(Privilege::Trigger, object.name.schema.clone(), object.name.table.clone()));
    let events = listing.databases.iter().map(|database| Need::schema(Privilege::Event, database.clone()));
    let routines = Need::global(Privilege::ShowRoutine);
    // Where they lie in a table, who may read that sees them all.
    let sees_routines =
        !server.is_mysql(8, 0, 0) && grants.allows(&Need::table(Privilege::Select, "mysql", "proc"));
    let routines = (!listing.databases.is_empty() && !sees_routines).then_some(routines);
    // One statement for a database, not one for each of its tables.
    let triggers: BTreeSet<Need> = triggers
        .filter(|need| !grants.allows(need))
        .map(|need| match need.scope {
            Scope::Table(schema, _) => Need::schema(need.privilege, schema),
            scope => Need { scope, ..need },
        })
        .collect();
    let needs: [(&str, Vec<Need>); 3] = [
        ("triggers", triggers.into_iter().collect()),
        ("routines", routines.into_iter().collect()),
        ("events", events.collect()),
    ];
    let lacking = needs.map(|(what, needs)| (what, missing(grants, &needs)));
    let lacking: Vec<_> = lacking.iter().filter(|(_, missing)| !missing.is_empty()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let what: Vec<&str> = lacking.iter().map(|(what, _)| *what).collect();
    let grants: Vec<&str> = lacking
        .iter()
        .flat_map(|(_, missing)| missing.iter().map(|missing| missing.grant_statement.as_str()))
        .collect();
    Err(DumpError::Invisible { what: what.join(", "), grants: grants.join(" ") })
}

/// The triggers of a table, in the order in which they fire; `None` if there are none.
///
/// # Errors
/// The server's.
pub async fn triggers(conn: &mut WireConn, table: &TableName) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read the triggers of table {table}");
    let sql = format!(
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE {} AND {} \
         ORDER BY ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, CREATED",
        is("EVENT_OBJECT_SCHEMA", &table.schema),
        is("EVENT_OBJECT_TABLE", &table.table)
    );
    let mut file = ProgramFile::default();
    for name in names(&ask(conn, &sql).await.doing(doing)?) {
        let name = TableName::new(&table.schema, name);
        let answer = ask(conn, &format!("SHOW CREATE TRIGGER {name}")).await.doing(doing)?;
        file.add(&answer, "SQL Original Statement", || format!("read trigger {name}"))?;
    }
    Ok(file.end())
}

/// Kinds of routines, and the column of SHOW CREATE with the text. Functions come before procedures: a procedure is not checked when it
/// is made, a function may be used by an event at once. Packages are MariaDB's.
const ROUTINES: [(&str, &str); 4] = [
    ("PACKAGE", "Create Package"),
    ("PACKAGE BODY", "Create Package Body"),
    ("FUNCTION", "Create Function"),
    ("PROCEDURE", "Create Procedure"),
];

/// The routines and events of a database; `None` if there are none.
///
/// # Errors
/// The server's, and text that the account may not see.
pub async fn of_database(conn: &mut WireConn, database: &str) -> Result<Option<Vec<u8>>> {
    let doing = || format!("read the routines and events of database {}", quote(database));
    let mut file = ProgramFile::default();
    for (kind, column) in ROUTINES {
        let sql = format!(
            "SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE {} AND ROUTINE_TYPE='{kind}' ORDER BY ROUTINE_NAME",
            is("ROUTINE_SCHEMA", database)
        );
        for name in names(&ask(conn, &sql).await.doing(doing)?) {
            let name = TableName::new(database, name);
            let answer = ask(conn, &format!("SHOW CREATE {kind} {name}")).await.doing(doing)?;
            file.add(&answer, column, || format!("read {} {name}", kind.to_lowercase()))?;
        }
    }
    let sql = format!(
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE {} ORDER BY EVENT_NAME",
        is("EVENT_SCHEMA", database)
    );
    for name in names(&ask(conn, &sql).await.doing(doing)?) {
        let name = TableName::new(database, name);
        let answer = ask(conn, &format!("SHOW CREATE EVENT {name}")).await.doing(doing)?;
        file.add(&answer, "Create Event", || format!("read event {name}"))?;
    }
    Ok(file.end())
}

/// A condition on a name in information_schema, which compares without regard to case also on servers that tell `t` from `T`.
fn is(column: &str, name: &str) -> String {
    let name = quote_string(name);
    format!(
        "{column}={name} AND (@@lower_case_table_names>0 OR CAST({column} AS BINARY)=CAST({name} AS BINARY))"
    )
}

fn names(answer: &Answer) -> Vec<String> {
    (0..answer.len()).filter_map(|row| answer.at(row, 0)).collect()
}

/// Statements on their way into a file, each with the session settings that it must be run with.
#[derive(Debug, Default)]
struct ProgramFile {
    programs: Vec<Program>,
}

#[derive(Debug)]
struct Program {
    /// Names and values; an empty value is not set, but for `sql_mode`.
    settings: [(&'static str, String); 4],
    create: Vec<u8>,
}

impl ProgramFile {
    /// Adds what a SHOW CREATE says in `column`.
    fn add(&mut self, answer: &Answer, column: &str, doing: impl Fn() -> String) -> Result<()> {
        let create = text(answer, answer.column(&[column]).unwrap_or(usize::MAX), doing)?;
        let field = |name: &str| answer.get(0, &[name]).unwrap_or_default();
        let settings = [
            ("sql_mode", known_everywhere(&field("sql_mode"))),
            ("character_set_client", client_charset(&create, field("character_set_client"))),
            ("collation_connection", field("collation_connection")),
            // Of an event: its times are in this zone.
            ("time_zone", field("time_zone")),
        ];
        self.programs.push(Program { settings, create });
        Ok(())
    }

    /// The text for the clients of MySQL and MariaDB, which are told where a statement ends.
    fn end(self) -> Option<Vec<u8>> {
        if self.programs.is_empty() {
            return None;
        }
        let mut delimiter = ";;".to_owned();
        while self
            .programs
            .iter()
            .any(|one| memchr::memmem::find(&one.create, delimiter.as_bytes()).is_some())
        {
            delimiter.push(';');
        }
        let mut out = format!("DELIMITER {delimiter}\n").into_bytes();
        for Program { settings, create } in &self.programs {
            for (name, value) in settings {
                if *name == "sql_mode" || !value.is_empty() {
                    let value = quote_string(value);
                    out.extend_from_slice(format!("SET SESSION {name} = {value} {delimiter}\n").as_bytes());
                }
            }
            out.extend_from_slice(create);
            out.extend_from_slice(format!("\n{delimiter}\n").as_bytes());
        }
        out.extend_from_slice(b"DELIMITER ;\n");
        Some(out)
    }
}

/// 8.0 refuses the word, which says nothing of programs.
fn known_everywhere(sql_mode: &str) -> String {
    let words = sql_mode.split(',').filter(|word| *word != "NO_AUTO_CREATE_USER");
    words.collect::<Vec<_>>().join(",")
}
