//! What one source must be able to do.

use common::{block_allow::BlockAllowRules, error::DmError, ident::quote_string};
use mysql::{
    Conn, Flavor, GtidSet, ServerVersion,
    privileges::{self, Need, Privilege},
    session,
};

use super::{connect, failed, report::Check, tables::SourceTable, target::Start};
use crate::{
    config::{SubtaskConfig, TaskConfig},
    upstream::ReplicatedTable,
};

/// What helps when the binlog is gone.
const PURGED: &str = "Dump again and start from there: what lies between is lost.";

/// A pause of this length should not lose the binlog.
const LEAST_RETENTION: u64 = 24 * 3600;

/// The checks of one source, and its tables that the task replicates. `start` is where replication will begin.
pub(super) async fn checks(
    task: &TaskConfig,
    subtask: &SubtaskConfig,
    start: Option<Start>,
) -> Result<(Vec<Check>, Vec<SourceTable>), DmError> {
    let mut conn = connect(&subtask.source, "source").await?;
    let mut out = Vec::new();
    let source = Source { subtask, start };
    if !task.ignores_check("version") {
        out.push(source.version(&conn));
    }
    if !task.ignores_check("server_id") {
        out.push(source.server_id(&mut conn).await?);
    }
    let enabled = source.binlog_enable(&mut conn).await?;
    let is_enabled = enabled.1;
    if !task.ignores_check("binlog_enable") {
        out.push(enabled.0);
    }
    if !task.ignores_check("binlog_format") {
        out.push(source.binlog_format(&mut conn).await?);
    }
    if !task.ignores_check("binlog_row_image") {
        out.push(source.row_image(&mut conn).await?);
    }
    let (privileges, may_ask) = source.privileges(&mut conn).await?;
    if !task.ignores_check("replication_privilege") {
        out.push(privileges);
    }
    out.push(source.gtid_mode(&mut conn).await?);
    if is_enabled && may_ask {
        if !task.ignores_check("binlog_db") {
            out.push(source.binlog_db(&mut conn).await?);
        }
        if !task.ignores_check("meta_position") {
            out.push(source.meta_position(&mut conn).await?);
            out.push(source.retention(&mut conn).await?);
        }
    }
    let tables = super::tables::of_source(subtask, &mut conn).await?;
    conn.close().await;
    Ok((out, tables))
}

/// Those of them without which replication can't be right, for a task that starts without the others: of the account and of what the
/// binlog holds; and how long it is kept.
pub(super) async fn of_run(
    task: &TaskConfig,
    subtask: &SubtaskConfig,
    start: Option<Start>,
    conn: &mut Conn,
) -> Result<Vec<Check>, DmError> {
    let source = Source { subtask, start };
    let mut out = Vec::new();
    let (privileges, may_ask) = source.privileges(conn).await?;
    if !task.ignores_check("replication_privilege") {
        out.push(privileges);
    }
    if !task.ignores_check("binlog_format") {
        out.push(source.binlog_format(conn).await?);
    }
    if !task.ignores_check("binlog_row_image") {
        out.push(source.row_image(conn).await?);
    }
    if may_ask {
        if !task.ignores_check("meta_position") && variable(conn, "log_bin").await?.eq_ignore_ascii_case("ON")
        {
            out.extend(source.meta_position(conn).await.ok());
        }
        out.push(source.retention(conn).await?);
    }
    Ok(out)
}

/// Databases that a block-allow-list names, no patterns.
pub(super) fn named_schemas(rules: &BlockAllowRules) -> Vec<&str> {
    let all = rules.do_dbs.iter().chain(rules.do_tables.iter().map(|rule| &rule.db_name));
    let is_name =
        |name: &&str| !name.is_empty() && !name.starts_with('~') && !name.contains(['*', '?', '[', '!']);
    let mut names: Vec<&str> = all.map(String::as_str).filter(is_name).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the account may read the tables that the task replicates: those that it sees, and, of databases that the task names and of
/// which it sees nothing, all.
pub(super) async fn select_privileges(
    subtask: &SubtaskConfig,
    named: &[&str],
    seen: &[ReplicatedTable],
    conn: &mut Conn,
) -> Result<Check, DmError> {
    let mut check = Check::new("source db dump privilege checker", "check dump privileges of source DB", "");
    let grants = privileges::grants(conn).await.map_err(|e| failed(&e))?;
    let sees = |schema: &str| seen.iter().any(|table| table.name.schema.eq_ignore_ascii_case(schema));
    let mut needs: Vec<Need> = named
        .iter()
        .filter(|schema| !sees(schema) && subtask.block_allow.matches_schema(schema))
        .map(|schema| Need::schema(Privilege::Select, *schema))
        .collect();
    for table in seen {
        let whole = Need::schema(Privilege::Select, table.name.schema.as_str());
        let one = Need::table(Privilege::Select, table.name.schema.as_str(), table.name.table.as_str());
        if !grants.allows(&one) && !needs.contains(&whole) {
            needs.push(whole);
        }
    }
    let missing = privileges::missing(&grants, &needs);
    let id = &subtask.source_id;
    for item in &missing {
        check.fail(format!("source {id}: {item}"));
    }
    for statement in privileges::grant_statements(&grants, &missing) {
        check.instruct(statement);
    }
    if seen.is_empty() && missing.is_empty() {
        check.warn(format!(
            "source {id}: its account {} sees no table that the task replicates; if there are some, it lacks SELECT on them",
            grants.account()
        ));
    }
    Ok(check)
}

/// Whether a GTID set holds transactions that the source, as far as it can be asked, never had. Servers of MariaDB know the last number of
/// each server in each domain; a domain that they have nothing of says nothing. What a replica began with, after a restore, only its place in
/// its own source's binlog tells.
pub(crate) async fn never_had(conn: &mut Conn, wanted: &GtidSet) -> mysql::Result<bool> {
    if conn.server().flavor != Flavor::MariaDb {
        return Ok(!session::gtid_executed(conn).await?.contains(wanted));
    }
    let row = conn.query_one("SELECT @@GLOBAL.gtid_binlog_state, @@GLOBAL.gtid_slave_pos").await?;
    let text =
        |at| row.as_ref().map(|row| row.str(at)).transpose().map(|text| text.flatten().unwrap_or_default());
    Ok(is_foreign(&text(0)?, &text(1)?, &wanted.to_string()))
}

/// Whether MariaDB's state, the last transaction of each server of each domain, lacks one of these of a domain that it has, and it was not
/// `replicated` either (the last one of each domain).
fn is_foreign(state: &str, replicated: &str, wanted: &str) -> bool {
    let read = |text: &str| -> Vec<(u32, u32, u64)> {
        let one = |gtid: &str| {
            let mut parts = gtid.trim().splitn(3, '-');
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        };
        text.split(',').filter_map(one).collect()
    };
    let (state, replicated) = (read(state), read(replicated));
    read(wanted).iter().any(|(domain, server, number)| {
        let mut of_domain = state.iter().filter(|last| last.0 == *domain).peekable();
        of_domain.peek().is_some()
            && !of_domain.any(|last| last.1 == *server && last.2 >= *number)
            && !replicated.iter().any(|last| last.0 == *domain && last.2 >= *number)
    })
}

struct Source<'a> {
    subtask: &'a SubtaskConfig,
    start: Option<Start>,
}

impl Source<'_> {
    fn say(&self, text: &str) -> String {
        format!("source {}: {text}", self.subtask.source_id)
    }

    fn version(&self, conn: &Conn) -> Check {
        let mut check = Check::new(
            "mysql_version",
            "check whether mysql version is satisfied",
            "Replicate from MySQL 5.6 or later, or MariaDB 10.1.2 or later.",
        );
        let server = conn.server();
        let least = match server.flavor {
            Flavor::MariaDb => ServerVersion::new(10, 1, 2),
            _ => ServerVersion::new(5, 6, 0),
        };
        if server.flavor == Flavor::TiDb {
            check.fail(self.say("a TiDB has no binlog that could be read"));
        } else if server.version < least {
            check.fail(self.say(&format!("version {} is older than {least}", server.version)));
        }
        check
    }

    async fn server_id(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "mysql_server_id",
            "check whether mysql server_id has been greater than 0",
            "Set `server_id` in the configuration of the source server.",
        );
        let id = session::server_id(conn).await.map_err(|e| failed(&e))?;
        if id == 0 {
            check.fail(self.say("server_id is 0"));
        } else if id == self.subtask.server_id {
            check.fail(self.say(&format!("server-id {id} of the source configuration is the server's own")));
        }
        Ok(check)
    }

    async fn binlog_enable(&self, conn: &mut Conn) -> Result<(Check, bool), DmError> {
        let mut check = Check::new(
            "mysql_binlog_enable",
            "check whether mysql binlog is enabled",
            "Set `log_bin` in the configuration of the source server and restart it.",
        );
        let on = variable(conn, "log_bin").await?.eq_ignore_ascii_case("ON");
        if !on {
            check.fail(self.say("log_bin is OFF, and should be ON"));
        }
        Ok((check, on))
    }

    async fn binlog_format(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "mysql_binlog_format",
            "check whether mysql binlog_format is ROW",
            "Set it with: SET GLOBAL binlog_format = ROW; and let open sessions reconnect.",
        );
        let format = variable(conn, "binlog_format").await?;
        if !format.eq_ignore_ascii_case("ROW") {
            check.fail(self.say(&format!("binlog_format is {format}, and should be ROW")));
        }
        Ok(check)
    }

    async fn row_image(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "mysql_binlog_row_image",
            "check whether mysql binlog_row_image is FULL",
            "Set it with: SET GLOBAL binlog_row_image = FULL; and let open sessions reconnect.",
        );
        let image = session::variable(conn, "binlog_row_image").await.map_err(|e| failed(&e))?;
        // A server without the variable always writes full rows.
        if let Some(image) = image.filter(|i| !i.eq_ignore_ascii_case("FULL")) {
            check.fail(self.say(&format!("binlog_row_image is {image}, and should be FULL")));
        }
        Ok(check)
    }

    /// Also says whether the account may ask for binlog files.
    async fn privileges(&self, conn: &mut Conn) -> Result<(Check, bool), DmError> {
        let mut check = Check::new(
            "source db replication privilege checker",
            "check replication privileges of source DB",
            "",
        );
        let grants = privileges::grants(conn).await.map_err(|e| failed(&e))?;
        let status = Need::global(Privilege::BinlogStatus);
        let may_ask = grants.allows(&status);
        let needs = [Need::global(Privilege::ReplicationSlave), status];
        let missing = privileges::missing(&grants, &needs);
        for item in &missing {
            check.fail(self.say(&item.to_string()));
        }
        for statement in privileges::grant_statements(&grants, &missing) {
            check.instruct(statement);
        }
        Ok((check, may_ask))
    }

    async fn gtid_mode(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "gtid_mode",
            "check whether GTID is enabled where the source configuration asks for it",
            "Set `gtid_mode = ON` at the source, or `enable-gtid: false`.",
        );
        if self.subtask.enable_gtid && conn.server().flavor == Flavor::MySql {
            let mode = session::variable(conn, "gtid_mode").await.map_err(|e| failed(&e))?;
            let mode = mode.unwrap_or_else(|| "OFF".into());
            if !mode.eq_ignore_ascii_case("ON") {
                check.fail(self.say(&format!("gtid_mode is {mode}, and `enable-gtid` needs ON")));
            }
        }
        Ok(check)
    }

    async fn binlog_db(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "binlog_do_db/binlog_ignore_db check",
            "check whether binlog_do_db/binlog_ignore_db leaves out databases of the task",
            "Remove `binlog-do-db` and `binlog-ignore-db` from the configuration of the source server.",
        );
        let sql = session::binlog_status_sql(conn.server());
        let Some(row) = conn.query_one(sql).await.map_err(|e| failed(&e))? else { return Ok(check) };
        let list = |name: &str| -> Result<Vec<String>, DmError> {
            let text = row.str_if_there(name).map_err(|e| failed(&e))?.unwrap_or_default();
            Ok(text.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::to_owned).collect())
        };
        let (only, without) = (list("Binlog_Do_DB")?, list("Binlog_Ignore_DB")?);
        let allowed = |schema: &String| self.subtask.block_allow.matches_schema(schema);
        if !only.is_empty() {
            check.warn(self.say(&format!("only changes of {} are in the binlog", only.join(", "))));
        }
        for schema in without.iter().filter(|s| allowed(s)) {
            check.fail(self.say(&format!("changes of database {schema} are not in the binlog")));
        }
        Ok(check)
    }

    async fn meta_position(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "meta position check",
            "check whether the binlog still holds the position where replication starts",
            "",
        );
        let Some(start) = &self.start else { return Ok(check) };
        let gtid = start.at.gtid.as_ref().filter(|set| !set.is_empty());
        if let Some(wanted) = gtid {
            self.gtid_position(conn, wanted, &mut check).await?;
        }
        if !start.at.file.is_empty() && (gtid.is_none() || !self.subtask.enable_gtid) {
            self.file_position(conn, &start.at.file, start.at.pos, &mut check).await?;
        }
        if start.is_checkpoint && check.has_failed() {
            check.instruct(
                "The place is from the checkpoint in the target, not from `meta` of the task: to begin at `meta`, start with `--remove-meta`.",
            );
        }
        Ok(check)
    }

    async fn file_position(
        &self,
        conn: &mut Conn,
        file: &str,
        pos: u64,
        check: &mut Check,
    ) -> Result<(), DmError> {
        let logs = session::binary_logs(conn).await.map_err(|e| failed(&e))?;
        let Some(log) = logs.iter().find(|log| log.name == file) else {
            let (first, last) = match (logs.first(), logs.last()) {
                (Some(first), Some(last)) => (first.name.as_str(), last.name.as_str()),
                _ => ("none", "none"),
            };
            if same_name(first, file) && number_of(file) < number_of(first) {
                check.fail(
                    self.say(&format!("binlog file {file} is not there (purged), the oldest is {first}")),
                );
                check.instruct(PURGED);
            } else {
                check.fail(self.say(&format!(
                    "binlog file {file} is not there, and never was: the source's are {first} to {last}"
                )));
                check.instruct("Check `binlog-name` of `meta`, and that it is of this source.");
            }
            return Ok(());
        };
        if pos > log.size {
            check.fail(
                self.say(&format!("position {pos} is beyond the end of {} ({} bytes)", log.name, log.size)),
            );
            check.instruct(
                "Check `binlog-name` and `binlog-pos` of `meta`, and that they are of this source.",
            );
        } else if pos > 4 && pos < log.size {
            // Only places where an event begins can be read from.
            let events = format!("SHOW BINLOG EVENTS IN {} FROM {pos} LIMIT 1", quote_string(file));
            if let Err(error) = conn.query(events).await
                && error.code() == Some(1220)
            {
                check.fail(
                    self.say(&format!("no event begins at position {pos} of {file}: {}", error.message())),
                );
                check.instruct("Check `binlog-pos` of `meta`: SHOW BINLOG EVENTS lists where events begin.");
            }
        }
        Ok(())
    }

    async fn gtid_position(
        &self,
        conn: &mut Conn,
        wanted: &GtidSet,
        check: &mut Check,
    ) -> Result<(), DmError> {
        if (wanted.flavor() == Flavor::MariaDb) != (conn.server().flavor == Flavor::MariaDb) {
            check.fail(self.say(&format!("GTID set {wanted} is not of a server of this kind")));
            check.instruct("Check that `meta` is of this source.");
            return Ok(());
        }
        if self.subtask.enable_gtid {
            let purged = session::gtid_purged(conn).await.map_err(|e| failed(&e))?;
            if !wanted.contains(&purged) {
                check.fail(self.say(&format!(
                    "transactions after GTID set {wanted} have been purged (purged: {purged})"
                )));
                check.instruct(PURGED);
            }
        }
        if never_had(conn, wanted).await.map_err(|e| failed(&e))? {
            check.fail(self.say(&format!("GTID set {wanted} holds transactions that the source never had")));
            check.instruct("Check that `meta` is of this source.");
        }
        Ok(())
    }

    async fn retention(&self, conn: &mut Conn) -> Result<Check, DmError> {
        let mut check = Check::new(
            "binlog retention check",
            "check whether the binlog is kept long enough",
            "Raise binlog_expire_logs_seconds (before MySQL 8.0: expire_logs_days) at the source.",
        );
        if let Some(seconds) = retention(conn).await?.filter(|s| *s < LEAST_RETENTION) {
            check.warn(self.say(&format!(
                "the binlog is kept for {seconds} s only: when the task is paused or behind for longer, changes are lost"
            )));
        }
        Ok(check)
    }
}

/// Warns in the log of a source whose new sessions write what can't be replicated: a subtask that goes on without the checks.
pub async fn warn_of_format(conn: &mut Conn, source_id: &str) {
    for (name, wanted) in [("binlog_format", "ROW"), ("binlog_row_image", "FULL")] {
        if let Ok(Some(value)) = session::variable(conn, name).await
            && !value.eq_ignore_ascii_case(wanted)
        {
            tracing::warn!(
                source = source_id,
                workaround = format!("SET GLOBAL {name} = {wanted}; and let open sessions reconnect"),
                "{name} of the source is {value}: changes that are written so stop the subtask"
            );
        }
    }
}

/// `binlog.000012` → `binlog`; whether two files have the same.
fn same_name(a: &str, b: &str) -> bool {
    let base = |name: &str| name.rsplit_once('.').map(|(base, _)| base.to_owned());
    base(a) == base(b)
}

fn number_of(file: &str) -> Option<u64> {
    file.rsplit_once('.').and_then(|(_, number)| number.parse().ok())
}

/// How long the server keeps its binlog, in seconds; `None` for ever.
async fn retention(conn: &mut Conn) -> Result<Option<u64>, DmError> {
    let auto = session::variable(conn, "binlog_expire_logs_auto_purge").await.map_err(|e| failed(&e))?;
    if auto.is_some_and(|a| a.eq_ignore_ascii_case("OFF")) {
        return Ok(None);
    }
    let number = |text: Option<String>| text.and_then(|t| t.parse::<f64>().ok()).filter(|n| *n > 0.0);
    let seconds = session::variable(conn, "binlog_expire_logs_seconds").await.map_err(|e| failed(&e))?;
    if let Some(seconds) = number(seconds) {
        return Ok(Some(seconds as u64));
    }
    // MariaDB allows fractions of days.
    let days = session::variable(conn, "expire_logs_days").await.map_err(|e| failed(&e))?;
    Ok(number(days).map(|days| (days * 86_400.0) as u64))
}

async fn variable(conn: &mut Conn, name: &str) -> Result<String, DmError> {
    Ok(session::variable(conn, name).await.map_err(|e| failed(&e))?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transactions_that_a_mariadb_never_had() {
        for (state, replicated, wanted, foreign) in [
            ("0-1-80", "", "0-1-80", false),
            ("0-1-80,0-2-70", "", "0-2-60", false),
            ("0-1-80", "", "0-1-81", true),
            ("0-1-80", "", "0-2-50", true),
            ("0-1-80", "", "7-2-50", false),
            ("", "", "0-1-1", false),
            // Restored from a backup of server 1, then made the new source.
            ("0-2-85", "0-1-80", "0-1-80", false),
            ("0-2-85", "0-1-80", "0-1-81", true),
            ("0-2-85", "3-1-80", "0-1-80", true),
        ] {
            assert_eq!(
                is_foreign(state, replicated, wanted),
                foreign,
                "{wanted} in {state} and {replicated}"
            );
        }
    }

    #[test]
    fn names_of_a_list() {
        let rules: BlockAllowRules = serde_yaml::from_str(
            "{do-dbs: [b, '~^c', 'd*'], do-tables: [{db-name: a, tbl-name: t}, {db-name: b, tbl-name: '*'}]}",
        )
        .unwrap();
        assert_eq!(named_schemas(&rules), ["a", "b"]);
    }
}
