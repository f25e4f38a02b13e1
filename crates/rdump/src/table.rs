//! What has to be known of a table before its rows are read, and the statement that reads them.

use std::collections::HashSet;

use common::ident::{TableName, quote, quote_list, quote_string};
use mysql::Flavor;
use mysql::wire::WireConn;
use tracing::warn;

use crate::config::{ChunkSize, Config};
use crate::error::{Doing, DumpError, Result};
use crate::key::{Bound, ChunkKey, Class, KeyColumn, KeyRange};
use crate::mask::{Mask, MaskedColumn};
use crate::source::{Answer, Source, ask, needs_privilege};

/// A table that is dumped.
#[derive(Debug, Clone)]
pub struct Table {
    /// Its name.
    pub name: TableName,
    /// Text of `SHOW CREATE TABLE`.
    pub create: Vec<u8>,
    /// Columns that are selected and inserted, in order: all that are not generated, or what the filter takes.
    pub columns: Vec<String>,
    /// The columns are named in SELECT and INSERT; else `*`.
    pub explicit: bool,
    /// Those of `columns` that are FLOAT without a fixed number of decimals. The server prints six digits of them, so they
    /// are read as DOUBLE, which it prints exactly.
    pub floats: Vec<String>,
    /// Fields whose values are replaced, by their place in `columns`.
    pub masks: Vec<(usize, Mask)>,
    /// Columns of ORDER BY, may be empty.
    pub order_by: Vec<String>,
    /// Where the table can be cut.
    pub chunk_key: Option<ChunkKey>,
}

/// Learns about one table.
///
/// # Errors
/// The server's; a missing SELECT privilege by name.
pub async fn describe(
    conn: &mut WireConn,
    source: &Source,
    config: &Config,
    name: &TableName,
) -> Result<Table> {
    let refused = |error: mysql::Error, what: &str| {
        needs_privilege(error, format!("{what} {name}"), "SELECT", &name.quoted(), &source.account)
    };
    let create = ask(conn, &format!("SHOW CREATE TABLE {name}"))
        .await
        .map_err(|error| refused(error, "read the definition of table"))?;
    let create = create.bytes(0, 1).unwrap_or_default().to_vec();
    let fields = ask(conn, &format!("SHOW COLUMNS FROM {name}"))
        .await
        .map_err(|error| refused(error, "read the columns of table"))?;
    let index = ask(conn, &format!("SHOW INDEX FROM {name}"))
        .await
        .map_err(|error| refused(error, "read the indexes of table"))?;
    let columns = read_columns(&fields, &index, &create);
    let mut order_by = Vec::new();
    if config.order_by_primary_key {
        order_by = primary_key(&index);
        if order_by.is_empty() && source.server.flavor == Flavor::TiDb && has_row_id(conn, name).await? {
            order_by.push("_tidb_rowid".into());
        }
    }
    let mut explicit =
        config.output.complete_insert || columns.iter().any(|column| column.generated || column.invisible);
    let wanted = |column: &&Column| !column.generated || (column.stored && config.output.stored_generated);
    let mut selected: Vec<String> = columns.iter().filter(wanted).map(|column| column.name.clone()).collect();
    if let Some(filter) = config.column_filter(name) {
        explicit = true;
        selected.retain(|column| filter.matches(column));
        if selected.is_empty() {
            return Err(DumpError::ColumnFilter(name.quoted()));
        }
    }
    let masks = masks(config, name, &columns, &selected)?;
    Ok(Table {
        name: name.clone(),
        create,
        chunk_key: match config.rows {
            ChunkSize::Whole => None,
            _ => chunk_key(&index, &open(config, name, &columns, &selected, &masks)),
        },
        floats: match config.output.dumpling_bytes || source.server.flavor == Flavor::TiDb {
            true => Vec::new(),
            false => {
                let floats = columns.iter().filter(|column| column.float && selected.contains(&column.name));
                floats.map(|column| column.name.clone()).collect()
            }
        },
        columns: selected,
        masks,
        explicit,
        order_by,
    })
}

/// The masks of the fields that are selected. A rule that does not fit ends the dump before a row of the table is read.
fn masks(
    config: &Config,
    name: &TableName,
    columns: &[Column],
    selected: &[String],
) -> Result<Vec<(usize, Mask)>> {
    let wrong = |what: String| DumpError::Mask(format!("table {name}: {what}"));
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    if let Some(missing) = config.masks.missing(name, &names) {
        return Err(wrong(format!("there is no column `{missing}`, so nothing of it would be masked")));
    }
    let mut masks = Vec::new();
    for (field, selected) in selected.iter().enumerate() {
        let Some(column) = columns.iter().find(|column| column.name == *selected) else { continue };
        let column_type = if column.json { "json" } else { &column.column_type };
        let masked = MaskedColumn { name: selected, column_type, nullable: column.nullable };
        if let Some(mask) = config.masks.of(name, masked).map_err(wrong)? {
            if mask.is_ambiguous() && column.unique {
                warn!(table = %name, column = %selected, "different values may get the same mask, which a unique key refuses");
            }
            masks.push((field, mask));
        }
    }
    Ok(masks)
}

/// The columns that chunks may be cut along: a condition names values, in the manifest and in logs. So where there are masks, only
/// columns that are written as they are; one that is generated or left out may hold what is masked.
fn open(
    config: &Config,
    name: &TableName,
    columns: &[Column],
    selected: &[String],
    masks: &[(usize, Mask)],
) -> Vec<Column> {
    let is_open = |column: &&Column| {
        let field = selected.iter().position(|name| *name == column.name);
        field.is_some_and(|field| masks.iter().all(|(masked, _)| *masked != field))
    };
    match config.masks.is_about(name) {
        true => columns.iter().filter(is_open).cloned().collect(),
        false => columns.to_vec(),
    }
}

/// All columns of a database's tables.
///
/// # Errors
/// The server's.
pub async fn column_names(conn: &mut WireConn, database: &str) -> Result<Vec<(TableName, String)>> {
    let sql = format!(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = {}",
        quote_string(database)
    );
    let answer =
        ask(conn, &sql).await.doing(|| format!("read the columns of database {}", quote(database)))?;
    let cell = |row, column| answer.at(row, column).unwrap_or_default();
    Ok((0..answer.len()).map(|row| (TableName::new(database, cell(row, 0)), cell(row, 1))).collect())
}

async fn has_row_id(conn: &mut WireConn, name: &TableName) -> Result<bool> {
    match ask(conn, &format!("SELECT _tidb_rowid FROM {name} LIMIT 0")).await {
        Ok(_) => Ok(true),
        Err(error) if error.code().is_some() => Ok(false),
        Err(error) => Err(error).doing(|| format!("read the row id of table {name}")),
    }
}

impl Table {
    /// The fields of the SELECT. A table without columns to insert gives one constant a row.
    pub fn select_list(&self) -> String {
        match (self.explicit, self.columns.is_empty()) {
            (true, true) => "1".into(),
            _ if !self.floats.is_empty() => {
                let field = |name: &String| match self.floats.contains(name) {
                    true => format!("{}+0e0", quote(name)),
                    false => quote(name),
                };
                self.columns.iter().map(field).collect::<Vec<_>>().join(",")
            }
            // Masks go by the place of a field, which must not move under a DDL.
            (true, false) => quote_list(&self.columns),
            (false, _) if !self.masks.is_empty() => quote_list(&self.columns),
            (false, _) => "*".into(),
        }
    }

    /// The places of the fields that are FLOAT but come as DOUBLE.
    pub fn float_fields(&self) -> impl Iterator<Item = usize> {
        self.columns.iter().enumerate().filter(|(_, name)| self.floats.contains(name)).map(|(i, _)| i)
    }

    /// The statement that reads the rows of one chunk. `condition` is a chunk's, `filter` the user's.
    pub fn select(&self, condition: Option<&str>, filter: Option<&str>) -> String {
        let mut sql = format!("SELECT {} FROM {}", self.select_list(), self.name);
        match (filter, condition) {
            (Some(filter), Some(condition)) => sql.push_str(&format!(" WHERE ({filter}) AND ({condition})")),
            (Some(filter), None) => sql.push_str(&format!(" WHERE {filter}")),
            (None, Some(condition)) => sql.push_str(&format!(" WHERE {condition}")),
            (None, None) => {}
        }
        if !self.order_by.is_empty() {
            sql.push_str(&format!(" ORDER BY {}", quote_list(&self.order_by)));
        }
        sql
    }

    /// The column that rows of this range are sorted by, if its values tell exactly where a reader is: another reader may
    /// take over from one of them on.
    pub fn position_column(&self, range: &KeyRange) -> Option<String> {
        let key = self.chunk_key.as_ref()?;
        let sorted =
            key.columns.iter().zip(&self.order_by).take_while(|(column, by)| column.name == **by).count();
        let column = key.columns.get(range.depth())?;
        let exact = column.class.equal_means_identical()
            || (column.class == Class::Text && key.unique && self.order_by.len() == 1);
        let cuttable = matches!(range.last(), Bound::Between { .. });
        (cuttable && exact && range.depth() < sorted).then(|| column.name.clone())
    }

    /// ``INSERT INTO `t` VALUES`` with its line end.
    pub fn insert_prefix(&self) -> Vec<u8> {
        let table = quote(&self.name.table);
        match self.explicit && !self.columns.is_empty() {
            true => format!("INSERT INTO {table} ({}) VALUES\n", quote_list(&self.columns)),
            false => format!("INSERT INTO {table} VALUES\n"),
        }
        .into_bytes()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Column {
    name: String,
    column_type: String,
    /// Part of a unique index.
    unique: bool,
    /// Holds JSON, by its type or by a check, as MariaDB writes it.
    json: bool,
    class: Option<Class>,
    nullable: bool,
    generated: bool,
    /// FLOAT without a fixed number of decimals.
    float: bool,
    /// Generated, and its values are in the table.
    stored: bool,
    invisible: bool,
}

fn read_columns(fields: &Answer, index: &Answer, create: &[u8]) -> Vec<Column> {
    let indexes = read_indexes(index);
    let unique: HashSet<&str> = indexes
        .iter()
        .filter(|index| index.unique)
        .flat_map(|index| &index.columns)
        .map(|part| part.name.as_str())
        .collect();
    let create = String::from_utf8_lossy(create).to_lowercase();
    (0..fields.len())
        .map(|row| {
            let text = |name: &str| fields.get(row, &[name]).unwrap_or_default();
            let extra = text("Extra").to_ascii_uppercase();
            let check = format!("json_valid({})", quote(&text("Field").to_lowercase()));
            Column {
                name: text("Field"),
                unique: unique.contains(text("Field").as_str()),
                json: text("Type").eq_ignore_ascii_case("json") || create.contains(&check),
                column_type: text("Type"),
                class: Class::of(&text("Type")),
                nullable: text("Null").eq_ignore_ascii_case("YES"),
                // DEFAULT_GENERATED is an ordinary column with an expression as default.
                generated: extra.split(' ').any(|word| matches!(word, "VIRTUAL" | "STORED" | "PERSISTENT")),
                float: is_float(&text("Type")),
                stored: extra.split(' ').any(|word| matches!(word, "STORED" | "PERSISTENT")),
                invisible: extra.contains("INVISIBLE"),
            }
        })
        .collect()
}

/// With `(M,D)` the server prints D decimals, which are exact.
fn is_float(column_type: &str) -> bool {
    let lower = column_type.to_ascii_lowercase();
    lower.starts_with("float") && !lower.contains('(')
}

/// One index of `SHOW INDEX`.
struct Index {
    name: String,
    unique: bool,
    /// An ordered one that may be named in FORCE INDEX.
    usable: bool,
    columns: Vec<IndexColumn>,
}

struct IndexColumn {
    name: String,
    /// Only the beginning of the values is in the index.
    prefix: bool,
    cardinality: u64,
}

fn read_indexes(answer: &Answer) -> Vec<Index> {
    let mut out: Vec<Index> = Vec::new();
    for row in 0..answer.len() {
        let text = |name: &str| answer.get(row, &[name]).unwrap_or_default();
        let name = text("Key_name");
        let column = IndexColumn {
            // A functional key part has no column.
            name: text("Column_name"),
            prefix: !text("Sub_part").is_empty(),
            cardinality: text("Cardinality").parse().unwrap_or(0),
        };
        match out.iter_mut().find(|index| index.name == name) {
            Some(index) => index.columns.push(column),
            None => out.push(Index {
                unique: text("Non_unique") == "0",
                usable: text("Index_type").eq_ignore_ascii_case("BTREE")
                    && text("Visible") != "NO"
                    && text("Ignored") != "YES",
                columns: vec![column],
                name,
            }),
        }
    }
    out
}

fn primary_key(answer: &Answer) -> Vec<String> {
    read_indexes(answer)
        .into_iter()
        .find(|index| index.name == "PRIMARY")
        .map(|index| index.columns.into_iter().map(|column| column.name).collect())
        .unwrap_or_default()
}

/// The primary key; else a unique key, best without NULL and with few columns; else the key with the most different
/// values. Of each its leading columns that can be cut.
fn chunk_key(answer: &Answer, columns: &[Column]) -> Option<ChunkKey> {
    let indexes = read_indexes(answer);
    let keys = indexes.iter().filter(|index| index.usable).filter_map(|index| {
        let leading: Vec<KeyColumn> = index
            .columns
            .iter()
            .map_while(|part| {
                let column = columns.iter().find(|column| column.name == part.name && !part.prefix)?;
                let class = column.class?;
                Some(KeyColumn { name: column.name.clone(), class, nullable: column.nullable })
            })
            .collect();
        let values = index.columns.get(leading.len().checked_sub(1)?)?.cardinality;
        let nullable = leading.iter().any(|column| column.nullable);
        let unique = index.unique && leading.len() == index.columns.len() && !nullable;
        let rank = match (index.name.as_str(), unique, index.unique) {
            ("PRIMARY", ..) => 0,
            (_, true, _) => 1,
            (_, _, true) => 2,
            _ => 3,
        };
        // Of unique keys the one with the fewest columns, of others that with the most values.
        let order = if rank < 3 { index.columns.len() as u64 } else { u64::MAX - values };
        Some(((rank, order), ChunkKey { index: index.name.clone(), columns: leading, unique }))
    });
    keys.min_by_key(|(order, _)| *order).map(|(_, key)| key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(explicit: bool, columns: &[&str]) -> Table {
        Table {
            name: TableName::new("d", "t`"),
            create: Vec::new(),
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            explicit,
            floats: Vec::new(),
            masks: Vec::new(),
            order_by: vec!["a".into(), "b".into()],
            chunk_key: None,
        }
    }

    #[test]
    fn statements() {
        let plain = table(false, &["a", "b"]);
        assert_eq!(plain.select(None, None), "SELECT * FROM `d`.`t``` ORDER BY `a`,`b`");
        assert_eq!(
            plain.select(Some("`a` < 3"), Some("x = 1 OR y")),
            "SELECT * FROM `d`.`t``` WHERE (x = 1 OR y) AND (`a` < 3) ORDER BY `a`,`b`"
        );
        assert_eq!(plain.insert_prefix(), b"INSERT INTO `t``` VALUES\n");
        let explicit = table(true, &["a", "c`"]);
        assert!(
            explicit.select(None, Some("w")).starts_with("SELECT `a`,`c``` FROM `d`.`t``` WHERE w ORDER")
        );
        assert_eq!(explicit.insert_prefix(), b"INSERT INTO `t``` (`a`,`c```) VALUES\n");
        let mut float = table(false, &["a", "f`"]);
        float.floats = vec!["f`".into()];
        assert!(float.select(None, None).starts_with("SELECT `a`,`f```+0e0 FROM"));
        assert_eq!(
            (float.insert_prefix(), float.float_fields().collect::<Vec<_>>()),
            (plain.insert_prefix(), vec![1])
        );
        let mut masked = table(false, &["a", "b"]);
        let column = MaskedColumn { name: "b", column_type: "text", nullable: true };
        let rule = crate::mask::MaskRule {
            tables: common::filter::TableFilter::parse(&["*.*"], false).unwrap(),
            columns: common::filter::ColumnFilter::parse(&["b"]).unwrap(),
            names: Vec::new(),
            with: crate::mask::With::Null,
        };
        let masks = crate::mask::Masks { rules: vec![rule], ..Default::default() };
        masked.masks = vec![(1, masks.of(&masked.name, column).unwrap().unwrap())];
        assert!(masked.select(None, None).starts_with("SELECT `a`,`b` FROM"));
        assert_eq!(masked.insert_prefix(), plain.insert_prefix());
        assert!(is_float("float unsigned") && !is_float("float(7,4)") && !is_float("double"));
        let empty = table(true, &[]);
        assert!(empty.select(None, None).starts_with("SELECT 1 FROM"));
        assert_eq!(empty.insert_prefix(), b"INSERT INTO `t``` VALUES\n");
    }
}
