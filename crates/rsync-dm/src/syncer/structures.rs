//! The structures of tables on both sides, and the plans made from them.

use std::sync::{Arc, Weak, atomic::Ordering};

use binlog::{ColumnKind, TableMap};
use common::{
    error::{DmError, Scope, dm_codes as code},
    ident::TableName,
    route::Routed,
};
use mysql::{Conn, ErrorClass, Flavor, ServerInfo};
use sql::{
    SqlMode,
    ddl::TypeKind,
    schema::{Environment, Table},
};
use tracing::{info, warn};

use super::{
    error,
    plan::{Sides, TablePlan, row_width},
    session,
    unit::{Known, Unit},
};

/// The rules of a server for what a statement leaves out.
pub(super) fn environment(server: &ServerInfo) -> Environment {
    let version = |n: u32| u16::try_from(n).unwrap_or(u16::MAX);
    match server.flavor {
        Flavor::MySql => Environment::mysql(version(server.version.major), version(server.version.minor)),
        Flavor::MariaDb => Environment::mariadb(version(server.version.major), version(server.version.minor)),
        Flavor::TiDb => Environment::tidb(),
    }
}

/// SHOW CREATE TABLE, read; `None` if there is no such table.
pub(super) async fn show_create(
    conn: &mut Conn,
    table: &TableName,
    environment: &Environment,
    scope: Scope,
) -> Result<Option<Table>, DmError> {
    let row = match conn.query_one(format!("SHOW CREATE TABLE {table}")).await {
        Ok(row) => row,
        Err(e) if matches!(e.code(), Some(1146 | 1049)) => return Ok(None),
        Err(e) => {
            let text = format!("cannot read the structure of {table}");
            let what = &code::SCHEMA_TRACKER_CANNOT_FETCH_DOWNSTREAM_TABLE;
            let refused = error::database(what, scope, text, &e);
            let account = session::account_of(conn).await;
            return Err(match e.class() {
                ErrorClass::AccessDenied => {
                    refused.with_workaround(format!("GRANT SELECT ON {table} TO {account};"))
                }
                _ => refused,
            });
        }
    };
    let text = row.as_ref().and_then(|row| row.at(1)).unwrap_or_default();
    Table::from_create_in(text, SqlMode::default(), environment).map(Some).map_err(|e| {
        code::SCHEMA_TRACKER_CANNOT_PARSE_DOWNSTREAM_TABLE
            .error(format!("cannot understand the structure of {table}: {}", String::from_utf8_lossy(text)))
            .with_cause(e.to_string())
            .with_scope(scope)
    })
}

impl Unit {
    /// Puts the plan of a table together from both structures.
    pub(super) async fn make_plan(
        &mut self,
        table: &TableName,
        routed: &Arc<Routed>,
        map: &TableMap,
    ) -> Result<Arc<TablePlan>, DmError> {
        let target = routed.name();
        let to = self.target_table(&target).await?.ok_or_else(|| {
            code::SYNCER_DOWNSTREAM_TABLE_NOT_FOUND
                .error(format!("target table {target} of {table} does not exist"))
        })?;
        let from = self.upstream_table(table, map, &to).await?;
        let sides = Sides {
            source: table,
            from: &from,
            routed,
            to: &to,
            target_flavor: self.target_flavor,
            misreads_doubles: self.misreads_doubles,
        };
        let mut plan = TablePlan::new(&sides)?;
        plan.cascades = self.cascades(table, routed, &from, &to, &plan.columns).await?;
        let acting = plan.cascades.iter().flat_map(|cascades| cascades.columns());
        let more: Vec<usize> = acting.filter(|n| !plan.where_columns.contains(n)).copied().collect();
        plan.befores.extend(more);
        let plan = Arc::new(plan);
        if !plan.unique {
            info!(table = %table, target = %target, "the target has no primary key and no unique key without NULLs: rows are found by all columns");
        }
        self.compare_keys(&plan);
        let known =
            Known::Kept { table: table.clone(), routed: Arc::clone(routed), plan: Some(Arc::clone(&plan)) };
        self.known.entry(table.schema.clone()).or_default().insert(table.table.clone(), known);
        Ok(plan)
    }

    /// Rows of tables that go into one target keep their order by the numbers of its keys. Where these can't be compared between two of
    /// the tables, all of them are applied one after the other.
    fn compare_keys(&mut self, plan: &Arc<TablePlan>) {
        let siblings = self.siblings.entry(plan.target.clone()).or_default();
        siblings.retain(|other| other.upgrade().is_some_and(|other| other.source != plan.source));
        siblings.push(Arc::downgrade(plan));
        let plans: Vec<Arc<TablePlan>> = siblings.iter().filter_map(Weak::upgrade).collect();
        let apart = plans.iter().any(|other| !other.compares_with(plan));
        if apart {
            let (table, target) = (&plan.source, &plan.target);
            info!(table = %table, target = %target, "a key column has other types in other tables of this target: their rows are applied one after the other");
        }
        for plan in plans {
            plan.apart.store(apart, Ordering::Release);
        }
    }

    /// The structure of a target table, kept until a DDL.
    pub(super) async fn target_table(&mut self, target: &TableName) -> Result<Option<Arc<Table>>, DmError> {
        if let Some(table) = self.targets.get(target) {
            return Ok(Some(Arc::clone(table)));
        }
        let environment = environment(self.ddl.server());
        let Some(table) = show_create(&mut self.ddl, target, &environment, Scope::Downstream).await? else {
            return Ok(None);
        };
        let table = Arc::new(table);
        self.targets.insert(target.clone(), Arc::clone(&table));
        Ok(Some(table))
    }

    /// The structure an upstream table had when the rows were written: as tracked, else as it is now if the rows fit it, else what of
    /// that the target has too (a column added since is not there yet), else the target's with the source's types.
    async fn upstream_table(
        &mut self,
        table: &TableName,
        map: &TableMap,
        target: &Arc<Table>,
    ) -> Result<Arc<Table>, DmError> {
        if let Some(tracked) = self.tracker.table(&table.schema, &table.table)
            && (fits(&tracked, map) || !self.unproven.contains(table))
        {
            self.unproven.remove(table);
            return Ok(tracked);
        }
        let mut conn = session::connect_source(&self.config).await?;
        let environment = self.tracker.environment().clone();
        let now = show_create(&mut conn, table, &environment, Scope::Upstream).await?;
        conn.close().await;
        let candidates = now.iter().flat_map(|now| {
            let common = without(now, |c| target.column(&c.name).is_none());
            let mut as_there = Table { hidden_period: now.hidden_period, ..Table::clone(target) };
            for column in &mut as_there.columns {
                if let Some((_, own)) = now.column(&column.name) {
                    *column = own.clone();
                }
            }
            [Table::clone(now), common, as_there]
        });
        for (n, candidate) in candidates.enumerate() {
            if fits(&candidate, map) {
                if n > 0 {
                    warn!(table = %table, "the rows do not fit the table as it is at the source now, its earlier structure is inferred");
                }
                self.unproven.remove(table);
                return Ok(self.tracker.set_table(&table.schema, &table.table, candidate));
            }
        }
        Err(code::SYNCER_UNIT_DML_COLUMN_NOT_MATCH
            .error(format!(
                "the rows of {table} have {} columns, and neither the table at the source nor its target has this structure now",
                map.columns.len()
            ))
            .with_workaround(
                "If MariaDB's SYSTEM VERSIONING came to the table or left it after these rows: give it that again at the source until the task \
                 has passed them. Else dump and load the table again, and start from there.",
            ))
    }

    /// Notes the structures of tables of which the checkpoint says nothing, as they are now: if they are the right ones shows with the
    /// first row.
    pub(super) async fn look_at_structures(&mut self, tables: &[TableName]) -> Result<(), DmError> {
        let wanted: Vec<&TableName> = tables
            .iter()
            .filter(|t| self.tracker.table(&t.schema, &t.table).is_none())
            .take(MOST_LOOKS)
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut conn = session::connect_source(&self.config).await?;
        let environment = self.tracker.environment().clone();
        for table in wanted {
            match show_create(&mut conn, table, &environment, Scope::Upstream).await {
                Ok(Some(found)) => {
                    refuse_versions_by_transaction(table, &found)?;
                    self.tracker.set_table(&table.schema, &table.table, found);
                    self.unproven.insert(table.clone());
                    self.dirty.insert(table.clone(), self.committed.place.clone());
                }
                Ok(None) => {}
                // It matters only if rows of it come.
                Err(error) => info!(table = %table, error = %error, "the structure of a table can't be read"),
            }
        }
        conn.close().await;
        Ok(())
    }

    /// Forgets what hangs on the structure of target tables.
    pub(super) fn forget_plans(&mut self) {
        self.targets.clear();
        self.target_actions = None;
        for known in self.known.values_mut().flat_map(|tables| tables.values_mut()) {
            if let Known::Kept { plan, .. } = known {
                *plan = None;
            }
        }
    }
}

/// Tables above this number are looked at when rows of them come.
const MOST_LOOKS: usize = 5000;

/// MariaDB writes changes of tables that are versioned by transaction ids as statements, whatever `binlog_format` says.
pub(crate) fn is_versioned_by_transaction(table: &Table) -> bool {
    table.row_end().is_some_and(|(_, column)| column.kind == TypeKind::BigInt)
}

/// See [`is_versioned_by_transaction`].
pub(crate) const VERSIONED_BY_TRANSACTION: &str = "Leave the table out by the block-allow-list, or give it SYSTEM VERSIONING with TIMESTAMP(6) columns, or with none, in place of BIGINT UNSIGNED ones.";

fn refuse_versions_by_transaction(name: &TableName, table: &Table) -> Result<(), DmError> {
    if !is_versioned_by_transaction(table) {
        return Ok(());
    }
    Err(code::SYNC_UNIT_DML_STATEMENT_FOUND
        .error(format!(
            "{name} is versioned by transaction ids (BIGINT UNSIGNED … ROW START), so MariaDB logs its changes as statements and not as rows"
        ))
        .with_scope(Scope::Upstream)
        .with_workaround(VERSIONED_BY_TRANSACTION))
}

fn without(table: &Table, left_out: impl Fn(&sql::schema::Column) -> bool) -> Table {
    let mut table = table.clone();
    table.columns.retain(|column| !left_out(column));
    table
}

/// Whether rows with this table map can be of this structure: number of columns and kinds of types.
fn fits(table: &Table, map: &TableMap) -> bool {
    let hidden = map.columns.get(table.columns.len()..).unwrap_or_default();
    let is_time = |kind| matches!(kind, ColumnKind::Timestamp { fsp: 6 } | ColumnKind::OldTimestamp);
    row_width(table) == map.columns.len()
        && hidden.iter().all(|column| is_time(column.kind))
        && table.columns.iter().zip(&map.columns).all(|(column, row)| {
            row.name.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&column.name))
                && kind_fits(&column.kind, row.kind)
        })
}

fn kind_fits(kind: &TypeKind, row: ColumnKind) -> bool {
    use ColumnKind as K;
    use TypeKind as T;
    match kind {
        T::TinyInt => matches!(row, K::Tiny),
        T::SmallInt => matches!(row, K::Short),
        T::MediumInt => matches!(row, K::Int24),
        T::Int => matches!(row, K::Long),
        T::BigInt => matches!(row, K::LongLong),
        T::Decimal => matches!(row, K::Decimal { .. }),
        T::Float => matches!(row, K::Float | K::Double),
        T::Double => matches!(row, K::Double),
        T::Bit => matches!(row, K::Bit { .. }),
        T::Year => matches!(row, K::Year),
        T::Date => matches!(row, K::Date),
        T::Time => matches!(row, K::Time { .. } | K::OldTime),
        T::DateTime => matches!(row, K::DateTime { .. } | K::OldDateTime),
        T::Timestamp => matches!(row, K::Timestamp { .. } | K::OldTimestamp),
        T::Enum => matches!(row, K::Enum { .. }),
        T::Set => matches!(row, K::Set { .. }),
        T::Char | T::Binary | T::VarChar | T::VarBinary => {
            matches!(row, K::Char { .. } | K::VarChar { .. } | K::CompressedVarChar { .. })
        }
        T::TinyText
        | T::Text
        | T::MediumText
        | T::LongText
        | T::TinyBlob
        | T::Blob
        | T::MediumBlob
        | T::LongBlob => {
            matches!(row, K::Blob { .. } | K::CompressedBlob { .. })
        }
        T::Json => matches!(row, K::Json { .. } | K::Blob { .. }),
        T::Geometry(_) => matches!(row, K::Geometry { .. }),
        T::Vector => matches!(row, K::Vector { .. } | K::Blob { .. } | K::VarChar { .. }),
        T::Uuid | T::Inet4 | T::Inet6 | T::Other(_) => true,
    }
}
