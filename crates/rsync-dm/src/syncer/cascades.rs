//! Foreign keys with referential actions (CASCADE, SET NULL, SET DEFAULT). InnoDB changes the children of such a key below the binlog, so
//! the target has to do the same: a change of the parent that acts is a barrier, alone in its place in the order of the source, with
//! `foreign_key_checks=1`. That is exact if the target has the same keys, which is looked at; if not, the subtask pauses.

use std::collections::{BTreeSet, HashSet};

use binlog::RowsKind;
use common::{
    error::{DmError, dm_codes as code},
    ident::{TableName, quote, quote_string},
    route::Routed,
};
use mysql::Conn;
use sql::{
    ddl::{Change, Ddl, Element, ForeignKey, Statement},
    schema::Table,
};
use tracing::{info, warn};

use super::{
    error,
    plan::PlanColumn,
    rows::EventRows,
    unit::{Known, Unit},
};

/// Before a change that acts.
pub const BEGIN: &str = "SET SESSION foreign_key_checks=1";

/// After it.
pub const END: &str = "SET SESSION foreign_key_checks=0";

/// A foreign key with an action, under the target's names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Action {
    parent: TableName,
    parent_columns: Vec<String>,
    child: TableName,
    columns: Vec<String>,
    on_delete: String,
    on_update: String,
}

fn lower(columns: &[String]) -> Vec<String> {
    columns.iter().map(|column| column.to_lowercase()).collect()
}

/// RESTRICT, NO ACTION and nothing are the same.
fn rule(rule: &str) -> String {
    if ["CASCADE", "SET NULL", "SET DEFAULT"].contains(&rule) { rule.to_owned() } else { String::new() }
}

impl Action {
    fn new(parent: TableName, child: TableName, key: &ForeignKey) -> Self {
        Self {
            parent,
            parent_columns: lower(&key.parent_columns),
            child,
            columns: lower(&key.columns),
            on_delete: rule(key.action("DELETE").unwrap_or_default()),
            on_update: rule(key.action("UPDATE").unwrap_or_default()),
        }
    }

    fn rules(&self) -> String {
        let part = |event: &str, rule: &str| {
            if rule.is_empty() { String::new() } else { format!(" ON {event} {rule}") }
        };
        format!("{}{}", part("DELETE", &self.on_delete), part("UPDATE", &self.on_update))
    }

    fn statement(&self) -> String {
        let list = |columns: &[String]| columns.iter().map(|c| quote(c)).collect::<Vec<_>>().join(",");
        format!(
            "ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} ({}){}",
            self.child,
            list(&self.columns),
            self.parent,
            list(&self.parent_columns),
            self.rules()
        )
    }
}

/// What changes of a parent do to other tables.
#[derive(Debug, Clone, Default)]
pub struct Cascades {
    on_delete: bool,
    /// Columns, by their number in the plan, whose change acts.
    columns: Vec<usize>,
    /// The table itself and those that a change of it reaches, under the target's names.
    tables: BTreeSet<TableName>,
    /// Why the target can't do the same.
    refusal: Option<String>,
}

impl Cascades {
    /// Columns, by their number in the plan, whose change acts.
    pub fn columns(&self) -> &[usize] {
        &self.columns
    }

    /// Whether a change acts on other tables.
    pub fn acts(&self, rows: &EventRows, row: usize) -> bool {
        match rows.kind {
            RowsKind::Insert => false,
            RowsKind::Delete => self.on_delete,
            RowsKind::Update => self.columns.iter().any(|n| rows.is_changed(row, *n)),
        }
    }

    /// Why such a change can't be applied.
    pub fn refusal(&self) -> Option<DmError> {
        self.refusal.as_ref().map(|why| {
            code::SYNCER_UNSUPPORTED_STMT.error(why.clone()).with_workaround(
                "Give the target the foreign keys that the source has, correct rows of the children that differ (`rsync-dm verify` finds them), \
                 then use `resume-task`.",
            )
        })
    }
}

/// All actions that begin at a table, through children of children.
fn reachable<'a>(all: &'a BTreeSet<Action>, parent: &TableName) -> BTreeSet<&'a Action> {
    let (mut found, mut seen, mut next) = (BTreeSet::new(), HashSet::new(), vec![parent]);
    while let Some(table) = next.pop() {
        if seen.insert(table) {
            for action in all.iter().filter(|action| action.parent == *table) {
                found.insert(action);
                next.push(&action.child);
            }
        }
    }
    found
}

impl Unit {
    /// The actions of the source's tables under the target's names, and the target tables whose keys are known.
    fn source_actions(&mut self) -> Result<(BTreeSet<Action>, HashSet<TableName>), DmError> {
        let tables: Vec<(TableName, std::sync::Arc<Table>)> = self
            .tracker
            .tables()
            .map(|(schema, _, table)| {
                (TableName::new(schema, table.name.as_str()), std::sync::Arc::clone(table))
            })
            .collect();
        let (mut actions, mut tracked) = (BTreeSet::new(), HashSet::new());
        for (name, table) in &tables {
            let Known::Kept { routed, .. } = self.known(&name.schema, &name.table)? else { continue };
            let child = routed.name();
            for key in table.foreign_keys.iter().filter(|key| key.has_actions()) {
                let schema = key.parent.schema.as_deref().unwrap_or(&name.schema);
                if let Known::Kept { routed, .. } = self.known(schema, &key.parent.table)? {
                    actions.insert(Action::new(routed.name(), child.clone(), key));
                }
            }
            tracked.insert(child);
        }
        Ok((actions, tracked))
    }

    /// The actions that the target has, kept until a DDL.
    async fn target_actions(&mut self) -> Result<BTreeSet<Action>, DmError> {
        if let Some(actions) = &self.target_actions {
            return Ok(actions.clone());
        }
        let actions = actions_of(&mut self.ddl)
            .await
            .map_err(|e| error::target("cannot read the foreign keys of the target", &e))?;
        self.target_actions = Some(actions.clone());
        Ok(actions)
    }

    /// What changes of a table do to its children.
    pub(super) async fn cascades(
        &mut self,
        table: &TableName,
        routed: &Routed,
        from: &Table,
        to: &Table,
        columns: &[PlanColumn],
    ) -> Result<Option<Cascades>, DmError> {
        if self.cascades_logged {
            return Ok(None);
        }
        let target = routed.name();
        let (source, tracked) = self.source_actions()?;
        let there = self.target_actions().await?;
        // Of a child that nothing is known about the target tells.
        let unknown = there.iter().filter(|action| !tracked.contains(&action.child)).cloned();
        let source: BTreeSet<Action> = source.into_iter().chain(unknown).collect();
        let direct: Vec<&Action> = source.iter().filter(|action| action.parent == target).collect();
        if direct.is_empty() {
            return Ok(None);
        }
        let (ours, theirs) = (reachable(&source, &target), reachable(&there, &target));
        let mut refusal = None;
        let lacking: Vec<String> = ours.difference(&theirs).map(|action| action.statement()).collect();
        if !lacking.is_empty() {
            refusal = Some(format!(
                "a change of {table} changes rows of other tables by foreign keys, which the source does not write to its binlog, and the target \
                 lacks such keys: {}",
                lacking.join("; ")
            ));
        } else if let Some(action) = theirs.difference(&ours).next() {
            refusal = Some(format!(
                "a change of {table} would change rows of {} in the target by a foreign key{} that the source does not have",
                action.child,
                action.rules()
            ));
        }
        let is_unique = |action: &Action, of: &Table| {
            of.indexes.iter().any(|index| {
                index.unique
                    && index.parts.len() == action.parent_columns.len()
                    && index.columns().all(|column| action.parent_columns.contains(&column.to_lowercase()))
            })
        };
        let may_be_merged = *table != target || self.is_sharded();
        if let Some(action) =
            direct.iter().find(|action| !is_unique(action, to) && (may_be_merged || is_unique(action, from)))
        {
            refusal.get_or_insert(format!(
                "a change of {table} changes rows of {} by a foreign key{}, and in {target} several rows may have the values that it refers to",
                action.child,
                action.rules()
            ));
        }
        let is_named = |column: &PlanColumn, name: &String| {
            column.name == quote(name).as_bytes() || {
                String::from_utf8_lossy(&column.name).to_lowercase() == quote(name)
            }
        };
        let acting: BTreeSet<usize> = direct
            .iter()
            .filter(|action| !action.on_update.is_empty())
            .flat_map(|action| &action.parent_columns)
            .filter_map(|name| columns.iter().position(|column| is_named(column, name)))
            .collect();
        let cascades = Cascades {
            on_delete: direct.iter().any(|action| !action.on_delete.is_empty()),
            columns: acting.into_iter().collect(),
            tables: ours.iter().map(|action| action.child.clone()).chain([target.clone()]).collect(),
            refusal,
        };
        info!(table = %table, target = %target, "DELETEs and changes of keys of the table act on others by foreign keys: each is applied alone");
        Ok(Some(cascades))
    }

    /// Says once a table that its children and it are not changed in the order of the source while one of them waits for a shard DDL.
    pub(super) fn tell_of_waiting(&mut self, table: &TableName, cascades: &Cascades) {
        if !self.is_sharded() || self.told_of_waiting.contains(table) {
            return;
        }
        let Some(waiting) = cascades.tables.iter().find_map(|table| self.groups.waiting(table)) else {
            return;
        };
        warn!(
            table = %table, waiting = %waiting,
            "rows of the table change others by foreign keys, and while {waiting} waits for its DDL on the other shards these changes are not \
             applied in the order of the source: rows of children may stay or be missing; run `rsync-dm verify` when the DDL is through"
        );
        self.told_of_waiting.insert(table.clone());
    }

    /// Says once a table that a statement gives it such a key.
    pub(super) fn tell_of_statement(&mut self, ddl: &Ddl, table: &TableName) {
        let keys: Vec<&ForeignKey> = match &ddl.statement {
            Statement::CreateTable(create) => create.elements.iter().filter_map(key_of).collect(),
            Statement::AlterTable(alter) => {
                let elements = alter.specs.iter().flat_map(|spec| match &spec.change {
                    Change::Add { element, .. } => std::slice::from_ref(element),
                    Change::AddElements { elements, .. } => elements.as_slice(),
                    _ => &[],
                });
                elements.filter_map(key_of).collect()
            }
            _ => Vec::new(),
        };
        let Some(key) = keys.into_iter().find(|key| key.has_actions()) else { return };
        if !self.cascades_logged && self.told_of.insert(table.clone()) {
            warn!(
                table = %table, parent = %key.parent.table,
                "a foreign key with {} comes to the table: what it does is not in the binlog, so the target's own key does it, and such changes \
                 of the parent are applied one by one", key.actions
            );
        }
    }

    /// Says at the start what the source's binlog will lack.
    pub(super) async fn tell_of_cascades(&mut self) -> Result<(), DmError> {
        if self.cascades_logged {
            return Ok(());
        }
        let mut conn = super::session::connect_source(&self.config).await?;
        let all = actions_of_source(&mut conn).await;
        conn.close().await;
        for action in all? {
            let Known::Kept { routed: child, .. } = self.known(&action.child.schema, &action.child.table)?
            else {
                continue;
            };
            match self.known(&action.parent.schema, &action.parent.table)? {
                Known::Excluded => warn!(
                    table = %action.child, parent = %action.parent,
                    "a foreign key{} changes rows of the table when those of its parent change, which the task does not replicate: these \
                     changes are not in the binlog and will be missing in the target", action.rules()
                ),
                Known::Kept { routed: parent, .. } => {
                    let wanted = Action { parent: parent.name(), child: child.name(), ..action.clone() };
                    if self.target_actions().await?.contains(&wanted) {
                        info!(table = %action.child, parent = %action.parent, "a foreign key{} is carried out by the target's own", action.rules());
                    } else {
                        warn!(
                            table = %action.child, parent = %action.parent,
                            "the changes of a foreign key{} are not in the binlog and the target lacks the key: a change of the parent will stop \
                             the subtask, unless a statement still to come brings it: {}", action.rules(), wanted.statement()
                        );
                    }
                }
            }
        }
        Ok(())
    }
}

fn key_of(element: &Element) -> Option<&ForeignKey> {
    match element {
        Element::ForeignKey(key) => Some(key),
        Element::Column(column) => column.references.as_deref(),
        _ => None,
    }
}

/// Whether a source writes what its foreign keys do to the binlog: MySQL from 9.6 on, unless `innodb_native_foreign_keys` is ON.
pub(crate) async fn are_logged(conn: &mut Conn) -> mysql::Result<bool> {
    let native = mysql::session::variable(conn, "innodb_native_foreign_keys").await?;
    Ok(native.is_some_and(|native| native == "0" || native.eq_ignore_ascii_case("OFF")))
}

/// The foreign keys of a source that have actions, from the statements of its tables: MariaDB shows REFERENTIAL_CONSTRAINTS only to accounts
/// that may do more than SELECT.
async fn actions_of_source(conn: &mut Conn) -> Result<BTreeSet<Action>, DmError> {
    let sql = "SELECT DISTINCT TABLE_SCHEMA, TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE REFERENCED_TABLE_NAME IS NOT NULL";
    let failed = |e: mysql::Error| error::source("cannot read the foreign keys", &e);
    let mut actions = BTreeSet::new();
    // SHOW CREATE TABLE quotes as the session's mode says.
    conn.exec("SET SESSION sql_mode = ''").await.map_err(failed)?;
    for row in conn.query(sql).await.map_err(failed)?.iter() {
        let name = TableName::new(row.text(0).map_err(failed)?, row.text(1).map_err(failed)?);
        let Some(table) = crate::check::definition(conn, &name).await? else { continue };
        for key in table.foreign_keys.iter().filter(|key| key.has_actions()) {
            let schema = key.parent.schema.as_deref().unwrap_or(&name.schema);
            let parent = TableName::new(schema, key.parent.table.as_str());
            actions.insert(Action::new(parent, name.clone(), key));
        }
    }
    Ok(actions)
}

/// The foreign keys of a target that have actions, as far as the account sees them.
async fn actions_of(conn: &mut Conn) -> mysql::Result<BTreeSet<Action>> {
    let sql = "SELECT CONSTRAINT_SCHEMA, CONSTRAINT_NAME, TABLE_NAME, DELETE_RULE, UPDATE_RULE FROM information_schema.REFERENTIAL_CONSTRAINTS \
               WHERE DELETE_RULE NOT IN ('RESTRICT','NO ACTION') OR UPDATE_RULE NOT IN ('RESTRICT','NO ACTION')";
    let keys = conn.query(sql).await?;
    let mut actions = BTreeSet::new();
    for key in keys.iter() {
        let (schema, name, table) = (key.text(0)?, key.text(1)?, key.text(2)?);
        let columns = conn
            .query(format!(
                "SELECT COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME FROM information_schema.KEY_COLUMN_USAGE \
                 WHERE CONSTRAINT_SCHEMA={0} AND TABLE_SCHEMA={0} AND TABLE_NAME={1} AND CONSTRAINT_NAME={2} AND REFERENCED_TABLE_NAME IS NOT NULL \
                 ORDER BY ORDINAL_POSITION",
                quote_string(&schema),
                quote_string(&table),
                quote_string(&name)
            ))
            .await?;
        let mut action = Action {
            parent: TableName::new("", ""),
            parent_columns: Vec::new(),
            child: TableName::new(schema, table),
            columns: Vec::new(),
            on_delete: rule(&key.text(3)?),
            on_update: rule(&key.text(4)?),
        };
        for column in columns.iter() {
            action.parent = TableName::new(column.text(1)?, column.text(2)?);
            action.columns.push(column.text(0)?.to_lowercase());
            action.parent_columns.push(column.text(3)?.to_lowercase());
        }
        actions.insert(action);
    }
    Ok(actions)
}
