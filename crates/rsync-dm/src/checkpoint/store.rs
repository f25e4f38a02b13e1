//! Reading and writing the checkpoint of one source.
//!
//! Order of effects: rows are applied → one transaction: changed table rows, sharding meta, the global row, our own state, the cleaned
//! ledger. The global row never lies beyond a row that is not applied.

use std::collections::BTreeMap;

use common::{
    failpoint,
    ident::{TableName, quote_string},
};
use mysql::{Conn, Flavor, GtidSet, Location, Row};
use serde::{Deserialize, Serialize};

use super::{Ledger, tables::Tables};
use crate::syncer::place::Spot;

/// Version of [`State`].
const STATE_VERSION: u32 = 1;

/// What DM's tables have no room for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Version of this form.
    pub version: u32,
    /// The source server that the positions belong to.
    pub server_uuid: String,
    /// The global point that this belongs to. If the table has another one, somebody else has written it.
    pub file: String,
    /// Its position.
    pub pos: u64,
    /// Upstream tables of each target table in shard mode, as they were there.
    #[serde(default)]
    pub members: BTreeMap<String, Vec<TableName>>,
    /// The statement that is being run.
    #[serde(default)]
    pub ddl: Option<DdlJournal>,
    /// Safe mode is still needed: until this place, or (empty file) for the configured time after each start.
    #[serde(default)]
    pub safe_until: Option<(String, u64)>,
    /// Shard operations carried out and not yet acknowledged.
    #[serde(default)]
    pub unacknowledged: Vec<crate::shard::ShardOperation>,
    /// Targets, each with an upstream table that joins its group when the statement that the group is at is settled.
    #[serde(default)]
    pub joining: Vec<(TableName, TableName)>,
    /// XA transactions that were met prepared and whose end the checkpoint has not passed.
    #[serde(default)]
    pub xa: Vec<crate::syncer::KnownXa>,
}

/// Written before a statement is run, so that after a kill it can be seen whether it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DdlJournal {
    /// Where its event ends.
    pub file: String,
    /// Position.
    pub pos: u64,
    /// Which of the event's statements.
    pub number: usize,
    /// Hash of the target's structure before; empty: the target has refused it, so it was not run.
    pub before: String,
    /// The session that runs it; 0: not known.
    #[serde(default)]
    pub connection: u32,
    /// The text that runs: its own, or that of one of its changes.
    #[serde(default)]
    pub text: String,
    /// Its changes are made one by one, and this is the one under way; `before` is the structure before that.
    #[serde(default)]
    pub change: Option<usize>,
    /// An operator's statements are others than the event's own.
    #[serde(default)]
    pub operator: String,
}

/// A table's row.
#[derive(Debug, Clone, PartialEq)]
pub struct TablePoint {
    /// Upstream name; with an empty table name the point of the schema's own statements.
    pub table: TableName,
    /// Everything of the table before it is applied.
    pub location: Location,
    /// Structure as TableInfo JSON.
    pub info: Option<String>,
}

/// What the checkpoint table holds for a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// Where to read from.
    pub global: Option<Location>,
    /// Safe mode ends there.
    pub exit: Option<Location>,
    /// Tables' own points.
    pub tables: Vec<TablePoint>,
    /// Ours.
    pub state: Option<State>,
}

impl Loaded {
    /// Whether the last writer was a program of ours, whose ledger makes a restart exact.
    pub fn is_ours(&self) -> bool {
        match (&self.global, &self.state) {
            (Some(global), Some(state)) => global.file == state.file && global.pos == state.pos,
            _ => false,
        }
    }
}

/// What a flush writes.
#[derive(Debug)]
pub struct Flush {
    /// The global point.
    pub global: Spot,
    /// Where safe mode will end after the next start; `None`: not known.
    pub exit: Option<Spot>,
    /// Changed tables.
    pub tables: Vec<(TableName, Spot, Option<String>)>,
    /// Tables whose rows go away.
    pub gone: Vec<TableName>,
    /// Statements on the sharding meta.
    pub sharding: Vec<String>,
    /// Our state; file and position are filled in.
    pub state: State,
    /// Units that the point covers.
    pub mark: Vec<u64>,
    /// It covers everything that earlier owners have applied.
    pub covers_earlier: bool,
}

/// The checkpoint of one source of one task.
#[derive(Debug, Clone)]
pub struct Store {
    tables: Tables,
    source: String,
}

const COLUMNS: &str = "id,cp_schema,cp_table,binlog_name,binlog_pos,binlog_gtid,exit_safe_binlog_name,exit_safe_binlog_pos,\
                       exit_safe_binlog_gtid,table_info,is_global";

const UPDATES: &str = "binlog_name=VALUES(binlog_name),binlog_pos=VALUES(binlog_pos),binlog_gtid=VALUES(binlog_gtid),\
                       exit_safe_binlog_name=VALUES(exit_safe_binlog_name),exit_safe_binlog_pos=VALUES(exit_safe_binlog_pos),\
                       exit_safe_binlog_gtid=VALUES(exit_safe_binlog_gtid),table_info=VALUES(table_info),is_global=VALUES(is_global)";

impl Store {
    /// For a source.
    pub fn new(tables: Tables, source: &str) -> Self {
        Self { tables, source: source.into() }
    }

    /// The tables.
    pub fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Reads everything of the source.
    ///
    /// # Errors
    /// The server's; rows that cannot be read.
    pub async fn load(&self, conn: &mut Conn, flavor: Flavor) -> mysql::Result<Loaded> {
        let id = quote_string(&self.source);
        let sql = format!("SELECT {COLUMNS} FROM {} WHERE id={id}", self.tables.checkpoint);
        let mut loaded = Loaded::default();
        for row in conn.query(sql).await?.iter() {
            let location = location(row, "binlog", flavor)?;
            if row.parse::<u8>("is_global")?.unwrap_or(0) != 0 {
                loaded.exit = location_if_set(row, flavor)?;
                loaded.global = Some(location);
                continue;
            }
            let info = row.str("table_info")?.filter(|text| text != "null");
            let table = TableName::new(row.text("cp_schema")?, row.text("cp_table")?);
            loaded.tables.push(TablePoint { table, location, info });
        }
        let sql = format!(
            "SELECT state FROM {} WHERE source={id} AND lane={}",
            self.tables.fence,
            super::CHECKPOINT_LANE
        );
        let text = conn.query_one(sql).await?.map(|row| row.str(0)).transpose()?.flatten();
        loaded.state = text.map(|text| read_state(&text)).transpose()?;
        Ok(loaded)
    }

    /// The statements that write a start point as `meta-from --write-checkpoint` does: the global row with its exit point, and rows for tables.
    /// What the source had before goes away.
    pub fn start_statements(
        &self,
        global: &Location,
        exit: Option<&Location>,
        tables: &[TablePoint],
    ) -> Vec<String> {
        let id = quote_string(&self.source);
        let mut all = vec![
            format!("DELETE FROM {} WHERE id={id}", self.tables.checkpoint),
            format!("DELETE FROM {} WHERE source_id={id}", self.tables.sharding_meta),
            format!("DELETE FROM {} WHERE source={id}", self.tables.ledger),
            format!("UPDATE {} SET state=NULL WHERE source={id}", self.tables.fence),
        ];
        all.extend(tables.iter().map(|t| self.row(&t.table, &t.location, None, t.info.as_deref(), false)));
        all.push(self.row(&TableName::new("", ""), global, exit, None, true));
        all
    }

    /// Runs these statements in one transaction.
    ///
    /// # Errors
    /// The server's.
    pub async fn begin_at(
        &self,
        conn: &mut Conn,
        global: &Location,
        exit: Option<&Location>,
        tables: &[TablePoint],
    ) -> mysql::Result<()> {
        conn.exec("BEGIN").await?;
        for statement in self.start_statements(global, exit, tables) {
            conn.exec(statement).await?;
        }
        conn.exec("COMMIT").await.map(drop)
    }

    fn row(
        &self,
        table: &TableName,
        location: &Location,
        exit: Option<&Location>,
        info: Option<&str>,
        global: bool,
    ) -> String {
        let gtid = |l: &Location| quote_string(&l.gtid.as_ref().map(ToString::to_string).unwrap_or_default());
        // The column has 32 bits; beyond them only the GTID set counts.
        let pos = |l: &Location| l.pos.min(u64::from(u32::MAX));
        let exit = match exit {
            Some(exit) => format!("{},{},{}", quote_string(&exit.file), pos(exit), gtid(exit)),
            None => "'',0,''".into(),
        };
        format!(
            "INSERT INTO {} ({COLUMNS}) VALUES ({},{},{},{},{},{},{exit},{},{}) ON DUPLICATE KEY UPDATE {UPDATES}",
            self.tables.checkpoint,
            quote_string(&self.source),
            quote_string(&table.schema),
            quote_string(&table.table),
            quote_string(&location.file),
            pos(location),
            gtid(location),
            json_literal(info.unwrap_or("null")),
            u8::from(global),
        )
    }

    /// Makes a checkpoint durable, as one transaction.
    ///
    /// # Errors
    /// The server's; [`Ledger::is_fenced`] tells whether somebody else is the owner now.
    pub async fn flush(&self, conn: &mut Conn, ledger: &Ledger, flush: &Flush) -> mysql::Result<()> {
        failpoint::hit("syncer-before-flush");
        let id = quote_string(&self.source);
        let mut script = b"BEGIN;".to_vec();
        let add = |script: &mut Vec<u8>, sql: &str| {
            script.extend_from_slice(sql.as_bytes());
            script.push(b';');
        };
        ledger.write_fence(&mut script);
        for (table, spot, info) in &flush.tables {
            add(&mut script, &self.row(table, &spot.location(), None, info.as_deref(), false));
        }
        for table in &flush.gone {
            let sql = format!(
                "DELETE FROM {} WHERE id={id} AND cp_schema={} AND cp_table={}",
                self.tables.checkpoint,
                quote_string(&table.schema),
                quote_string(&table.table)
            );
            add(&mut script, &sql);
        }
        for sql in &flush.sharding {
            add(&mut script, sql);
        }
        let exit = flush.exit.as_ref().map(Spot::location);
        add(
            &mut script,
            &self.row(&TableName::new("", ""), &flush.global.location(), exit.as_ref(), None, true),
        );
        let state = State {
            version: STATE_VERSION,
            file: flush.global.place.file.to_string(),
            pos: flush.global.place.pos.min(u64::from(u32::MAX)),
            ..flush.state.clone()
        };
        // Plain values and maps with text keys: serde_json cannot fail on them.
        let state = serde_json::to_string(&state).unwrap_or_default();
        let sql = format!(
            "UPDATE {} SET state={} WHERE source={id} AND lane={}",
            self.tables.fence,
            json_literal(&state),
            super::CHECKPOINT_LANE
        );
        add(&mut script, &sql);
        ledger.write_cleaning(&flush.mark, flush.covers_earlier, &mut script);
        script.extend_from_slice(b"COMMIT");
        let mut outcomes = Vec::new();
        let result = conn.exec_script(&script, &mut outcomes).await;
        if let Err(error) = &result
            && !error.is_connection_gone()
        {
            // Best effort: a connection that cannot roll back is closed by its owner.
            let _ = conn.exec("ROLLBACK").await;
        }
        result?;
        failpoint::hit("syncer-after-flush");
        Ok(())
    }
}

/// JSON as a literal: it may hold backslashes, which our sessions read as escapes.
fn json_literal(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len() + 2);
    binlog::write_text(&mut out, text.as_bytes(), binlog::Charset::Utf8mb4);
    String::from_utf8(out).unwrap_or_default()
}

fn read_state(text: &str) -> mysql::Result<State> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let bad = |e: serde_json::Error| {
        mysql::Error::value(format!("the state in the fence table can't be read: {e}"))
    };
    let Version { version } = serde_json::from_str(text).map_err(bad)?;
    if version > STATE_VERSION {
        return Err(mysql::Error::unsupported(format!(
            "the state in the fence table has version {version}, this program knows {STATE_VERSION}: use the newer program"
        )));
    }
    serde_json::from_str(text).map_err(bad)
}

fn location(row: &Row, prefix: &str, flavor: Flavor) -> mysql::Result<Location> {
    let file = row.str(format!("{prefix}_name").as_str())?.unwrap_or_default();
    let pos = row.parse(format!("{prefix}_pos").as_str())?.unwrap_or(0);
    let text = row.str(format!("{prefix}_gtid").as_str())?.unwrap_or_default();
    let mut location = Location::new(file, pos);
    if !text.trim().is_empty() {
        let set = GtidSet::parse(flavor, &text).map_err(|e| mysql::Error::value(e.to_string()))?;
        location.gtid = Some(set);
    }
    Ok(location)
}

fn location_if_set(row: &Row, flavor: Flavor) -> mysql::Result<Option<Location>> {
    let exit = location(row, "exit_safe_binlog", flavor)?;
    Ok((!exit.file.is_empty() || exit.gtid.is_some()).then_some(exit))
}
