//! What to do with the rows of one upstream table: which columns go where, by which key a row is found, which keys conflict.
//! Made once from the structures of both sides, kept until a DDL.

use std::sync::atomic::AtomicBool;

use binlog::{Address, Charset, ColumnHint};
use common::{
    error::{DmError, dm_codes},
    ident::{TableName, quote, quote_into},
    route::Routed,
};
use mysql::Flavor;
use sql::{
    ddl::TypeKind,
    schema::{Column, Index, Table},
};

use super::keys::{Fold, KeyPart, KeySpec, seed};

/// A column of the target that rows fill.
#[derive(Debug, Clone)]
pub struct PlanColumn {
    /// Column of the source's row.
    pub source: usize,
    /// Quoted name.
    pub name: Vec<u8>,
    /// The server might change it by itself when an UPDATE leaves it out.
    pub always_set: bool,
    /// Text that has to be compared byte by byte when a row is looked for by all its columns.
    pub exact_text: bool,
    /// A JSON column equals a document and never a text, so what it is compared with has to be one.
    pub json: bool,
    /// JSON of a server that would misread doubles in it, see [`sql::json_doubles`].
    pub misread_doubles: bool,
    /// An ENUM on both sides.
    pub is_enum: bool,
    /// The members of an ENUM or SET that go by name, because the target's column has others under their numbers, or is text.
    pub names: Option<Names>,
}

/// Members that go by name.
#[derive(Debug, Clone)]
pub struct Names {
    members: Vec<String>,
    is_set: bool,
    /// The target's column is text.
    to_text: bool,
}

impl Names {
    fn new(from: &Column, to: &Column) -> Option<Self> {
        let is_set = matches!(from.kind, TypeKind::Set);
        let same_kind = from.kind == to.kind;
        if !(is_set || matches!(from.kind, TypeKind::Enum))
            || !(same_kind || is_text(&to.kind))
            || same_kind && to.members.starts_with(&from.members)
        {
            return None;
        }
        let text = |member: &Vec<u8>| String::from_utf8(member.clone()).ok();
        let members = from.members.iter().map(text).collect::<Option<_>>()?;
        Some(Self { members, is_set, to_text: !same_kind })
    }

    /// The literal for that of a number; `None`: the number itself.
    pub fn literal(&self, number: &[u8]) -> Option<String> {
        let number = std::str::from_utf8(number).ok()?;
        let text = if self.is_set {
            // With 64 members it is written as a signed one.
            let bits = number.parse::<i64>().ok()?.cast_unsigned();
            let is_in = |n: usize| u32::try_from(n).is_ok_and(|n| bits.checked_shr(n).unwrap_or(0) & 1 == 1);
            let members = self.members.iter().enumerate().filter(|(n, _)| is_in(*n));
            members.map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(",")
        } else {
            match number.parse::<usize>().ok()? {
                0 if self.to_text => String::new(),
                number => self.members.get(number.checked_sub(1)?)?.clone(),
            }
        };
        Some(common::ident::quote_string(&text))
    }
}

/// See the module.
#[derive(Debug)]
pub struct TablePlan {
    /// Upstream name.
    pub source: TableName,
    /// Target name.
    pub target: TableName,
    /// Quoted target name.
    pub target_sql: Vec<u8>,
    /// Columns, in the source's order.
    pub columns: Vec<PlanColumn>,
    /// Number of columns of the source's rows.
    pub width: usize,
    /// A system versioned table of MariaDB: the column with the end of a row's life, which tells current rows from their history.
    pub row_end: Option<usize>,
    /// For the decoder, by column of the source.
    pub hints: Vec<ColumnHint>,
    /// `,literal` of the extracted columns.
    pub extracted_values: Vec<u8>,
    /// ``(`a`,`b`) VALUES ``
    pub insert_columns: Vec<u8>,
    /// Columns (indices into `columns`) by which a row is found.
    pub where_columns: Vec<usize>,
    /// These, and others whose values before a change count: of foreign keys that act.
    pub befores: Vec<usize>,
    /// They find at most one row.
    pub unique: bool,
    /// Changes that act on other tables.
    pub cascades: Option<super::cascades::Cascades>,
    /// Sorted out: the first unique keys that conflict.
    pub keys: Vec<KeySpec>,
    /// Another table of the same target has other types in a unique key, so that its numbers say nothing about those of this one:
    /// every row of both is a barrier.
    pub apart: AtomicBool,
}

/// Both sides' names and structures.
pub struct Sides<'a> {
    /// Upstream name.
    pub source: &'a TableName,
    /// Upstream structure.
    pub from: &'a Table,
    /// Route.
    pub routed: &'a Routed,
    /// Target structure.
    pub to: &'a Table,
    /// Target server.
    pub target_flavor: Flavor,
    /// It misreads doubles in JSON.
    pub misreads_doubles: bool,
}

impl TablePlan {
    /// Whether the numbers of both tables' keys, which go into one target, can be compared: the values of the same parts count.
    pub fn compares_with(&self, other: &TablePlan) -> bool {
        let unique = |plan: &'_ TablePlan| -> Vec<(u64, Vec<bool>)> {
            let keys = plan.keys.iter().filter(|key| !key.null_is_value);
            let counts = |part: &KeyPart| part.fold != Fold::Constant;
            keys.map(|key| (key.seed, key.parts.iter().map(counts).collect())).collect()
        };
        unique(self) == unique(other)
    }

    /// Puts a plan together.
    ///
    /// # Errors
    /// A character set that the decoder does not know.
    pub fn new(sides: &Sides<'_>) -> Result<Self, DmError> {
        let Sides { source, from, routed, to, target_flavor, misreads_doubles } = *sides;
        let to = &with_keys_of_current_rows(to);
        let target = routed.name();
        let columns: Vec<PlanColumn> = from
            .columns
            .iter()
            .enumerate()
            .filter(|(_, column)| match to.column(&column.name) {
                Some((_, c)) => c.generated.is_none(),
                None => !column.is_row_period(),
            })
            .map(|(at, column)| {
                let column = plan_column(at, column, to, target_flavor);
                PlanColumn { misread_doubles: misreads_doubles && column.json, ..column }
            })
            .collect();
        let mut hints = from
            .columns
            .iter()
            .map(|column| hint(source, column, target_flavor))
            .collect::<Result<Vec<_>, _>>()?;
        let width = row_width(from);
        hints.resize(width, ColumnHint { fsp: 6, ..ColumnHint::default() });
        let mut insert_columns = vec![b'('];
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                insert_columns.push(b',');
            }
            insert_columns.extend_from_slice(&column.name);
        }
        let mut extracted_values = Vec::new();
        for (name, value) in &routed.extracted {
            insert_columns.push(b',');
            quote_into(&mut insert_columns, name);
            extracted_values.push(b',');
            extracted_values.extend_from_slice(common::ident::quote_string(value).as_bytes());
        }
        insert_columns.extend_from_slice(b") VALUES ");
        let (where_columns, unique) = where_columns(&columns, from, to);
        let keys = key_specs(&target, from, to, routed, &where_columns, unique, &columns);
        Ok(Self {
            source: source.clone(),
            target_sql: target.to_string().into_bytes(),
            target,
            width,
            row_end: if from.hidden_period { Some(width - 1) } else { from.row_end().map(|(at, _)| at) },
            columns,
            hints,
            extracted_values,
            insert_columns,
            befores: where_columns.clone(),
            where_columns,
            unique,
            cascades: None,
            keys,
            apart: AtomicBool::new(false),
        })
    }
}

/// Columns that rows of a table have: in a system versioned one two more than it shows.
pub fn row_width(table: &Table) -> usize {
    table.columns.len() + if table.hidden_period { 2 } else { 0 }
}

/// MariaDB puts the end of a row's life into unique keys of versioned tables; among current rows they are unique without it.
fn with_keys_of_current_rows(table: &Table) -> Table {
    let mut table = table.clone();
    let ends: Vec<String> = table
        .columns
        .iter()
        .filter(|column| column.is_row_period())
        .map(|column| column.name.clone())
        .collect();
    if !ends.is_empty() {
        let is_end = |name: &Option<String>| name.as_ref().is_some_and(|name| ends.contains(name));
        for index in &mut table.indexes {
            index.parts.retain(|part| !is_end(&part.column));
        }
        table.indexes.retain(|index| !index.parts.is_empty());
    }
    table
}

fn plan_column(at: usize, column: &Column, to: &Table, flavor: Flavor) -> PlanColumn {
    let target = to.column(&column.name).map(|(_, c)| c);
    let kind = target.map_or(&column.kind, |c| &c.kind);
    PlanColumn {
        source: at,
        name: quote(target.map_or(&column.name, |c| &c.name)).into_bytes(),
        always_set: matches!(kind, TypeKind::Timestamp | TypeKind::DateTime),
        exact_text: is_text(kind),
        // MariaDB's JSON is text.
        json: matches!(kind, TypeKind::Json) && flavor != Flavor::MariaDb,
        misread_doubles: false,
        is_enum: matches!((&column.kind, kind), (TypeKind::Enum, TypeKind::Enum)),
        names: target.and_then(|target| Names::new(column, target)),
    }
}

fn is_text(kind: &TypeKind) -> bool {
    use TypeKind::*;
    matches!(kind, Char | VarChar | TinyText | Text | MediumText | LongText)
}

fn is_binary(kind: &TypeKind) -> bool {
    use TypeKind::*;
    matches!(kind, Binary | VarBinary | TinyBlob | Blob | MediumBlob | LongBlob)
}

fn hint(table: &TableName, column: &Column, target: Flavor) -> Result<ColumnHint, DmError> {
    let charset = match &column.charset {
        Some(name) => Some(Charset::from_name(name).ok_or_else(|| {
            dm_codes::SCHEMA_TRACKER_CANNOT_GET_TABLE.error(format!(
                "column {} of table {table} has the unknown character set {name}",
                quote(&column.name)
            ))
        })?),
        None if is_binary(&column.kind) => Some(Charset::Binary),
        None => None,
    };
    let temporal = matches!(column.kind, TypeKind::Time | TypeKind::DateTime | TypeKind::Timestamp);
    Ok(ColumnHint {
        unsigned: Some(column.unsigned),
        charset,
        address: match column.kind {
            TypeKind::Uuid => Some(Address::Uuid),
            TypeKind::Inet6 => Some(Address::Inet6),
            TypeKind::Inet4 => Some(Address::Inet4),
            _ => None,
        },
        fsp: if temporal { u8::try_from(column.length.unwrap_or(0)).unwrap_or(0) } else { 0 },
        utc_offset: 0,
        vector_as_text: target == Flavor::TiDb,
        // Where a document is compared, the statement casts it.
        json_cast: false,
    })
}

/// The primary key, else the first unique key without NULLs, of those whose columns rows fill; else all columns.
fn where_columns(columns: &[PlanColumn], from: &Table, to: &Table) -> (Vec<usize>, bool) {
    let usable = |index: &&Index| {
        index.unique
            && index.parts.iter().all(|part| {
                let Some(name) = &part.column else { return false };
                // A prefix key finds no row by the whole value alone.
                part.length.is_none()
                    && to
                        .column(name)
                        .is_some_and(|(_, c)| (index.primary || !c.nullable) && c.generated.is_none())
                    && position(columns, from, name).is_some()
            })
    };
    let mut candidates: Vec<&Index> = to.indexes.iter().filter(usable).collect();
    candidates.sort_by_key(|index| !index.primary);
    match candidates.first() {
        Some(index) => (index.columns().filter_map(|name| position(columns, from, name)).collect(), true),
        None => ((0..columns.len()).collect(), false),
    }
}

fn position(columns: &[PlanColumn], from: &Table, name: &str) -> Option<usize> {
    let (source, _) = from.column(name)?;
    columns.iter().position(|c| c.source == source)
}

fn key_specs(
    target: &TableName,
    from: &Table,
    to: &Table,
    routed: &Routed,
    where_columns: &[usize],
    unique: bool,
    columns: &[PlanColumn],
) -> Vec<KeySpec> {
    let mut specs = Vec::new();
    for (number, index) in to.indexes.iter().enumerate().filter(|(_, index)| index.unique) {
        let mut parts = Vec::new();
        let mut given_by_target = false;
        for part in &index.parts {
            let column = part.column.as_deref().and_then(|name| to.column(name)).map(|(_, c)| c);
            let source = part.column.as_deref().and_then(|name| from.column(name));
            given_by_target |= source.is_none() && column.is_some_and(|c| c.auto_increment);
            let extracted = part
                .column
                .as_deref()
                .is_some_and(|n| routed.extracted.iter().any(|(e, _)| e.eq_ignore_ascii_case(n)));
            let generated = column.is_some_and(|c| c.generated.is_some());
            parts.push(match (column, source) {
                (Some(to), Some((at, from))) if !generated => KeyPart {
                    column: Some(at),
                    fold: fold(from, to),
                    prefix: part.length.map(|n| n as usize),
                },
                // The same text for all rows of this shard; the names of two shards differ in nothing that we compare.
                _ if extracted => KeyPart { column: None, fold: Fold::Constant, prefix: None },
                _ => KeyPart { column: None, fold: Fold::Constant, prefix: None },
            });
        }
        if !given_by_target {
            specs.push(KeySpec {
                seed: seed(&target.schema, &target.table, number + 1),
                parts,
                null_is_value: false,
            });
        }
    }
    if !unique {
        // Equal rows have to keep their order among themselves.
        let parts = where_columns
            .iter()
            .map(|at| KeyPart { column: Some(columns[*at].source), fold: Fold::Literal, prefix: None })
            .collect();
        specs.push(KeySpec { seed: seed(&target.schema, &target.table, 0), parts, null_is_value: true });
    }
    specs
}

/// How values of a column of both types compare in the target.
fn fold(from: &Column, to: &Column) -> Fold {
    use TypeKind::*;
    let integer = |kind: &TypeKind| matches!(kind, TinyInt | SmallInt | MediumInt | Int | BigInt);
    match (&from.kind, &to.kind) {
        (a, b) if integer(a) && integer(b) => Fold::Literal,
        (Decimal, Decimal) if from.decimals.unwrap_or(0) == to.decimals.unwrap_or(0) => Fold::Literal,
        (Double, Double) | (Float, Float) | (Date, Date) | (Year, Year) | (Bit, Bit) => Fold::Literal,
        (Time, Time) | (DateTime, DateTime) | (Timestamp, Timestamp) if from.length == to.length => {
            Fold::Literal
        }
        (Enum, Enum) | (Set, Set) if from.members == to.members => Fold::Literal,
        // Written as the one text that the server shows.
        (Uuid, Uuid) | (Inet6, Inet6) | (Inet4, Inet4) => Fold::Literal,
        (_, Uuid | Inet6 | Inet4) => Fold::Unknown,
        (Uuid | Inet6 | Inet4, to_kind) if is_binary(to_kind) => Fold::Shown { folded: false },
        (Uuid | Inet6 | Inet4, to_kind) if is_text(to_kind) => {
            Fold::Shown { folded: !to.collation.as_deref().unwrap_or("").ends_with("_bin") }
        }
        (a, b) if is_binary(a) && is_binary(b) => Fold::Bytes,
        (a, b) if is_text(a) && is_text(b) => {
            let charset = from.charset.as_deref().and_then(Charset::from_name);
            let collation = to.collation.as_deref().unwrap_or("");
            match charset {
                Some(charset) if collation.ends_with("_bin") => Fold::Text(charset),
                Some(charset) => Fold::Folded(charset),
                None => Fold::Constant,
            }
        }
        _ => Fold::Constant,
    }
}

#[cfg(test)]
mod tests {
    use sql::{SqlMode, schema::Environment};

    use super::*;

    fn plan(column: &str) -> TablePlan {
        let table = |column: &str| {
            let create =
                format!("CREATE TABLE `t` (`k` {column} NOT NULL, `n` int DEFAULT NULL, PRIMARY KEY (`k`))");
            let environment = Environment::mysql(8, 0);
            Table::from_create_in(create.as_bytes(), SqlMode::default(), &environment).unwrap()
        };
        let routed = Routed { schema: "d".into(), table: "m".into(), extracted: Vec::new(), matched: true };
        TablePlan::new(&Sides {
            source: &TableName::new("d", "t"),
            from: &table(column),
            routed: &routed,
            to: &table("decimal(10,2)"),
            target_flavor: Flavor::MySql,
            misreads_doubles: false,
        })
        .unwrap()
    }

    #[test]
    fn keys_of_other_types_do_not_compare() {
        let own = plan("decimal(10,2)");
        assert!(own.compares_with(&plan("decimal(12,2)")));
        for other in ["decimal(10,1)", "int", "varchar(20)"] {
            assert!(!own.compares_with(&plan(other)) && !plan(other).compares_with(&own), "{other}");
        }
        assert!(plan("int").compares_with(&plan("varchar(20)")), "all of them count as equal");
    }
}
