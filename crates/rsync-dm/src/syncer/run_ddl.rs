//! Runs a statement on the target once, whatever happens to connections and processes.

use std::{collections::BTreeSet, time::Duration};

use common::{
    error::{DmError, Scope, dm_codes as code},
    failpoint,
    ident::{TableName, quote, quote_string},
};
use mysql::{Conn, ErrorClass};
use sql::ddl::{Ddl, Role, Statement};
use tracing::{info, warn};

use super::{begun, done, error, place::Place, session, unit::Unit};
use crate::{check, checkpoint::DdlJournal};

/// Errors of a server that mean that the statement's work is done already (DM's list).
const DONE: [u16; 12] = [1007, 1008, 1050, 1051, 1054, 1060, 1061, 1091, 1068, 1176, 1507, 1517];

/// A server may look first for the table that was to be renamed, and then for the new name.
const NO_SUCH_TABLE: u16 = 1146;

/// Tries to run a statement whose connection gets lost.
const MOST_TRIES: u32 = 5;

/// Time between two looks whether a statement whose connection was lost still runs.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the end of a session is waited for.
const LONGEST_END: Duration = Duration::from_secs(20);

/// A statement as it will run on the target.
#[derive(Debug, Clone)]
pub(super) struct Prepared {
    /// Renamed; empty: nothing of the statement is for the target.
    pub text: Vec<u8>,
    /// The renamed statement, parsed; for running its changes one by one.
    pub renamed: Ddl,
    /// Target tables and databases that it changes.
    pub objects: Vec<TableName>,
    /// Session settings.
    pub settings: Settings,
    /// Where its event ends.
    pub end: Place,
    /// Which of the event's statements.
    pub number: usize,
    /// Of the operator who wants it, see [`super::operators::Operator::mark`].
    pub operator: String,
}

/// What a statement means hangs on these.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub sql_mode: String,
    pub time_zone: Option<String>,
    pub timestamp: String,
}

impl Prepared {
    /// What runs: the original text with other names.
    pub(super) fn shown(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }
}

impl DdlJournal {
    fn is_of(&self, prepared: &Prepared) -> bool {
        self.is_of_event(prepared) && self.number == prepared.number
    }

    fn is_of_event(&self, prepared: &Prepared) -> bool {
        (self.file.as_str(), self.pos, &self.operator)
            == (&*prepared.end.file, prepared.end.pos, &prepared.operator)
    }
}

impl Unit {
    /// Runs a statement once: everything before it is applied and noted, and a restart sees by the target's structure whether it was run,
    /// or, where its changes are made one by one, which of them were.
    pub(super) async fn run_statement(&mut self, prepared: &Prepared) -> Result<(), DmError> {
        self.drain().await?;
        if prepared.text.is_empty() {
            self.forget_plans();
            return Ok(());
        }
        if is_made_like_itself(prepared) {
            info!(sql = %prepared.shown(), "the table that a statement creates is the target of the table that it is made like");
            return Ok(());
        }
        if self.state.ddl.as_ref().is_some_and(|d| d.is_of_event(prepared) && d.number > prepared.number) {
            info!(sql = %prepared.shown(), "the statement was run before the restart, and the next one begun");
            self.forget_plans();
            return Ok(());
        }
        let (mut first, mut one_by_one) = (0, false);
        if let Some(earlier) = self.state.ddl.clone().filter(|d| d.is_of(prepared)) {
            let pieces = prepared.renamed.split_changes().unwrap_or_default();
            let piece = earlier.change.and_then(|change| pieces.get(change)).unwrap_or(&prepared.renamed);
            let was_refused = earlier.before.is_empty();
            let changed = !was_refused && self.was_run(piece, &prepared.objects, &earlier.before).await?;
            match earlier.change {
                Some(change) => (first, one_by_one) = (change + usize::from(changed), true),
                None if changed => {
                    info!(sql = %prepared.shown(), "the statement was run before the restart");
                    self.forget_plans();
                    return Ok(());
                }
                None => {}
            }
        }
        if one_by_one {
            info!(sql = %prepared.shown(), change = first, "the changes of the statement go on where they were before the restart");
            self.execute_changes(prepared, first).await?;
        } else {
            self.execute(prepared).await?;
        }
        failpoint::hit("syncer-after-ddl");
        self.forget_plans();
        Ok(())
    }

    /// Whether a statement (or one of its changes) that was about to run has been run: the structure is another one than before, and not
    /// by what somebody else has done.
    async fn was_run(&mut self, ddl: &Ddl, objects: &[TableName], before: &str) -> Result<bool, DmError> {
        if fingerprint(&mut self.ddl, objects).await? == before {
            return Ok(false);
        }
        let is_to_do = begun::is_to_do(&mut self.ddl, ddl, objects).await?;
        if is_to_do {
            let sql = String::from_utf8_lossy(ddl.text());
            info!(sql = %sql, "the target is another one than before the statement, but it does not show that it was run: it is run");
        }
        Ok(!is_to_do)
    }

    /// A statement that an earlier run was at is over, whatever becomes of it now: a process that was killed may have left it running, and
    /// one that only stands still could begin with it later.
    pub(super) async fn end_former_statement(&mut self) -> Result<(), DmError> {
        let ours = [0, self.ddl.id(), self.meta.id()];
        let Some(former) = self.state.ddl.as_ref().filter(|d| !ours.contains(&d.connection)) else {
            return Ok(());
        };
        end_session(&mut self.ddl, former.connection, former.text.as_bytes()).await
    }

    /// Whether a statement whose connection was given up may go on at the target: one that waits for a lock of others may not. The next
    /// start waits for it.
    pub(super) async fn goes_on(&self, id: u32) -> bool {
        let Some(journal) = &self.state.ddl else { return false };
        let look = async {
            let mut conn = session::connect_target(&self.config).await.ok()?;
            let state = running(&mut conn, id, journal.text.as_bytes()).await.ok().flatten();
            conn.close().await;
            state
        };
        match tokio::time::timeout(LOOK_AGAIN, look).await {
            Ok(Some(state)) if !state.contains("lock") => {
                info!(connection = id, state, "the DDL goes on at the target, the next start waits for it");
                true
            }
            _ => false,
        }
    }

    async fn execute(&mut self, prepared: &Prepared) -> Result<(), DmError> {
        let Some(first) = self.execute_once(prepared, &prepared.renamed, None).await? else { return Ok(()) };
        if prepared.renamed.split_changes().map_or(0, |pieces| pieces.len()) < 2 {
            return self.passes_over(prepared, &prepared.renamed, &first).await;
        }
        self.execute_changes(prepared, 0).await
    }

    /// One change of a statement is there already: the others are made one by one, from `first` on.
    async fn execute_changes(&mut self, prepared: &Prepared, first: usize) -> Result<(), DmError> {
        let pieces = prepared.renamed.split_changes().unwrap_or_default();
        for (number, piece) in pieces.iter().enumerate().skip(first) {
            if let Some(error) = self.execute_once(prepared, piece, Some(number)).await? {
                self.passes_over(prepared, piece, &error).await?;
            }
            failpoint::hit("syncer-after-change");
        }
        Ok(())
    }

    /// Runs the statement, or one of its changes, again if a lost connection kept it from the server. An error that says that its work is
    /// done already is given back.
    async fn execute_once(
        &mut self,
        prepared: &Prepared,
        ddl: &Ddl,
        change: Option<usize>,
    ) -> Result<Option<mysql::Error>, DmError> {
        let text = ddl.text();
        let shown = String::from_utf8_lossy(text).into_owned();
        info!(sql = %shown, "execute DDL");
        let before = fingerprint(&mut self.ddl, &prepared.objects).await?;
        for tries in 0.. {
            let here = DdlJournal {
                connection: self.ddl.id(),
                file: prepared.end.file.to_string(),
                pos: prepared.end.pos,
                number: prepared.number,
                before: before.clone(),
                text: shown.clone(),
                change,
                operator: prepared.operator.clone(),
            };
            self.journal(Some(here)).await?;
            failpoint::hit("syncer-before-ddl");
            set_session(&mut self.ddl, &prepared.settings, self.source_zone.as_deref()).await?;
            self.check_owner().await?;
            let result = self.ddl.exec(text).await;
            if !matches!(&result, Err(e) if e.is_connection_gone()) {
                // What servers show of a structure hangs on the session.
                reset_session(&mut self.ddl, &self.config).await?;
            }
            let e = match result {
                Ok(outcome) => {
                    self.look_at_created(prepared, outcome.warnings, &before).await?;
                    return Ok(None);
                }
                Err(e) => e,
            };
            if e.is_connection_gone() && tries < MOST_TRIES {
                warn!(sql = %shown, error = %e, "the connection was lost during a DDL");
                let id = self.ddl.id();
                self.ddl = session::connect_target(&self.config).await?;
                wait_for_end(&mut self.ddl, id, text).await?;
                if self.was_run(ddl, &prepared.objects, &before).await? {
                    return Ok(None);
                }
                continue;
            }
            let is_done = |number| DONE.contains(&number) || number == NO_SUCH_TABLE && done::is_rename(ddl);
            if e.code().is_some_and(is_done) {
                return Ok(Some(e));
            }
            return Err(self.refusal(prepared, &shown, &e).await);
        }
        Ok(None)
    }

    /// After a CREATE TABLE IF NOT EXISTS that has changed nothing.
    async fn look_at_created(
        &mut self,
        prepared: &Prepared,
        warnings: u16,
        before: &str,
    ) -> Result<(), DmError> {
        let (ddl, objects) = (&prepared.renamed, &prepared.objects);
        let creates = matches!(ddl.statement, Statement::CreateTable(_));
        if warnings == 0 || !creates || fingerprint(&mut self.ddl, objects).await? != before {
            return Ok(());
        }
        let expected = self.is_sharded();
        done::look_at_created(&mut self.ddl, ddl, objects, expected).await
    }

    /// The target's no to a statement, with what helps.
    async fn refusal(&mut self, prepared: &Prepared, shown: &str, e: &mysql::Error) -> DmError {
        if !e.is_connection_gone() {
            self.note_refusal().await;
        }
        let refused = refused(shown, e);
        if e.class() == ErrorClass::AccessDenied {
            let has_parent =
                prepared.renamed.references.iter().any(|reference| reference.role == Role::Parent);
            let schemas: BTreeSet<&str> =
                prepared.objects.iter().map(|object| object.schema.as_str()).collect();
            let with_keys = if has_parent { schemas.clone() } else { BTreeSet::new() };
            if let Some(grants) = check::grants_for_target(&mut self.ddl, schemas, &with_keys).await {
                return refused.with_workaround(format!("{grants} Then use `resume-task`."));
            }
        }
        refused
    }

    /// After an error of the server that says that a change is made already.
    async fn passes_over(
        &mut self,
        prepared: &Prepared,
        ddl: &Ddl,
        said: &mysql::Error,
    ) -> Result<(), DmError> {
        let result = done::check(&mut self.ddl, ddl, &prepared.objects, said).await;
        if result.is_err() {
            self.note_refusal().await;
        }
        result
    }

    /// What the target has refused was not run, whatever an operator does to the target's structure then.
    async fn note_refusal(&mut self) {
        let Some(refused) = &self.state.ddl else { return };
        let refused = DdlJournal { before: String::new(), connection: 0, ..refused.clone() };
        if let Err(error) = self.journal(Some(refused)).await {
            warn!(error = %error, "cannot note that the target has refused a DDL");
        }
    }

    /// DDL cannot be in a transaction with the fence, so this process looks right before it. One that stood still after that finds its
    /// session ended by the new owner.
    async fn check_owner(&mut self) -> Result<(), DmError> {
        match self.ledger.is_owner(&mut self.ddl).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(error::taken_over()),
            Err(e) => Err(error::target("cannot read the fence", &e)),
        }
    }
}

/// CREATE TABLE … LIKE of two tables that go into one target: a new shard made like another.
fn is_made_like_itself(prepared: &Prepared) -> bool {
    matches!(&prepared.renamed.statement, Statement::CreateTable(create) if create.like.is_some())
        && prepared.objects.len() == 1
}

fn refused(sql: &str, e: &mysql::Error) -> DmError {
    error::database(
        &code::DB_EXECUTE_FAILED,
        Scope::Downstream,
        format!("execute statement failed: {sql}"),
        e,
    )
    .with_workaround(
        "Correct what it complains about, then use `resume-task`; a statement whose work is already done on the target is passed over. Or make \
         the change on the target by hand in a form that it takes, and pass the statement over with `binlog skip`.",
    )
}

async fn set_session(conn: &mut Conn, settings: &Settings, system_zone: Option<&str>) -> Result<(), DmError> {
    let zone = match settings.time_zone.as_deref() {
        Some("SYSTEM") | None => system_zone,
        zone => zone,
    };
    let mut sql = format!(
        "SET SESSION sql_mode={}, TIMESTAMP={}",
        quote_string(&settings.sql_mode),
        settings.timestamp
    );
    let server = conn.server();
    if server.flavor == mysql::Flavor::MariaDb && (server.version.major, server.version.minor) >= (10, 3) {
        // What the source has allowed of a system versioned table is allowed here.
        sql.push_str(", system_versioning_alter_history=KEEP");
    }
    if let Some(zone) = zone {
        sql.push_str(&format!(", time_zone={}", quote_string(zone)));
    }
    conn.exec(&sql).await.map(drop).map_err(|e| {
        error::target("cannot set up the session for a DDL", &e).with_workaround(
            "If the target does not know the time zone, load its time zone tables (mysql_tzinfo_to_sql).",
        )
    })
}

async fn reset_session(conn: &mut Conn, config: &crate::config::SubtaskConfig) -> Result<(), DmError> {
    conn.exec("SET SESSION TIMESTAMP=DEFAULT, time_zone='+00:00'")
        .await
        .map_err(|e| error::target("cannot reset the session", &e))?;
    for sql in &session::target_endpoint(config).init {
        conn.exec(sql).await.map_err(|e| error::target("cannot reset the session", &e))?;
    }
    Ok(())
}

/// A hash of the structure of what a statement changes.
async fn fingerprint(conn: &mut Conn, objects: &[TableName]) -> Result<String, DmError> {
    let mut hash = blake3::Hasher::new();
    for object in objects {
        let sql = if object.table.is_empty() {
            format!("SHOW CREATE DATABASE {}", quote(&object.schema))
        } else {
            format!("SHOW CREATE TABLE {object}")
        };
        match conn.query_one(&sql).await {
            Ok(row) => {
                let text = row.as_ref().and_then(|row| row.at(1)).unwrap_or_default();
                hash.update(&without_auto_increment(text));
            }
            Err(e) if matches!(e.code(), Some(1146 | 1049)) => {
                hash.update(b"missing");
            }
            Err(e) => return Err(error::target(format!("cannot read the structure of {object}"), &e)),
        }
        hash.update(&[0]);
    }
    Ok(hash.finalize().to_hex()[..32].to_owned())
}

/// Rows move the counter, which is no part of the structure.
fn without_auto_increment(text: &[u8]) -> Vec<u8> {
    let mark = b" AUTO_INCREMENT=";
    match memchr::memmem::rfind(text, mark) {
        Some(at) => {
            let digits = text[at + mark.len()..].iter().take_while(|b| b.is_ascii_digit()).count();
            [&text[..at], &text[at + mark.len() + digits..]].concat()
        }
        None => text.to_vec(),
    }
}

/// Waits while a statement of a lost connection still runs at the server.
async fn wait_for_end(conn: &mut Conn, id: u32, text: &[u8]) -> Result<(), DmError> {
    while running(conn, id, text)
        .await
        .map_err(|e| error::target("cannot list the target's connections", &e))?
        .is_some()
    {
        info!(connection = id, "the DDL still runs at the target");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}

/// Makes sure that the session of an earlier owner does not begin with a statement any more: one that runs it is waited for, one that
/// does not is ended.
async fn end_session(conn: &mut Conn, id: u32, text: &[u8]) -> Result<(), DmError> {
    let failed = |e: mysql::Error| error::target("cannot end the session of the last owner", &e);
    wait_for_end(conn, id, text).await?;
    let since = std::time::Instant::now();
    while is_ours(conn, id).await.map_err(failed)? && since.elapsed() < LONGEST_END {
        info!(connection = id, "the session in which the last owner was about to run a DDL is ended");
        match conn.exec(format!("KILL {id}")).await {
            // No such thread any more.
            Err(e) if e.code() != Some(1094) => return Err(failed(e)),
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
        // It may have begun in between.
        wait_for_end(conn, id, text).await?;
    }
    Ok(())
}

/// Whether a session with this number is of our account: after a restart of the server it may be anybody's.
async fn is_ours(conn: &mut Conn, id: u32) -> mysql::Result<bool> {
    let us = conn.query_one("SELECT SUBSTRING_INDEX(USER(),'@',1)").await?;
    let us = us.map(|row| row.str(0)).transpose()?.flatten();
    for row in conn.query("SHOW PROCESSLIST").await?.iter() {
        if row.parse::<u64>("Id")? == Some(u64::from(id)) {
            return Ok(row.str("User")? == us && row.str("Command")?.as_deref() != Some("Killed"));
        }
    }
    Ok(false)
}

/// What a session is at (the server's word for it), if it runs this statement.
async fn running(conn: &mut Conn, id: u32, text: &[u8]) -> mysql::Result<Option<String>> {
    for row in conn.query("SHOW PROCESSLIST").await?.iter() {
        if row.parse::<u64>("Id")? != Some(u64::from(id)) {
            continue;
        }
        // The list shows the first 100 characters; an id alone may be that of another session after a restart of the server.
        let shown = row.str("Info")?.unwrap_or_default();
        let text = String::from_utf8_lossy(text);
        if !shown.is_empty() && (text.is_empty() || text.trim_start().starts_with(shown.trim())) {
            return Ok(Some(row.str("State")?.unwrap_or_default()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use testkit::{Account, Kind, Options, Server};

    use super::*;

    #[tokio::test]
    async fn the_session_of_an_owner_that_stands_still() {
        let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
        let mut old = server.conn(Account::Target).await;
        let mut stranger = server.conn(Account::Admin).await;
        let mut new = server.conn(Account::Target).await;
        for id in [old.id(), stranger.id(), u32::MAX] {
            end_session(&mut new, id, b"ALTER TABLE x").await.unwrap();
        }
        assert!(old.exec("CREATE DATABASE late").await.is_err());
        stranger.exec("DO 1").await.unwrap();
        assert_eq!(
            server.value("SELECT COUNT(*) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME='late'"),
            "0"
        );
    }
}
