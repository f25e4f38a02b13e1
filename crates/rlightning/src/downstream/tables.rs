//! What the target's tables are: columns, engine, identity.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote_string};
use mysql::{Conn, Flavor, Row};

use crate::error::{Context, Result};

/// A column of a target table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetColumn {
    /// Its name.
    pub name: String,
    /// The whole type, such as `bigint(20) unsigned`.
    pub full_type: String,
    /// A row that says nothing about it is refused.
    pub required: bool,
    /// It can't be written.
    pub generated: bool,
}

/// A table of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetInfo {
    /// Its name as the server spells it.
    pub name: TableName,
    /// Engine; empty for a view.
    pub engine: String,
    /// Whether it is a view.
    pub is_view: bool,
    /// When it was created, as the server says.
    pub created: String,
    /// Columns in order.
    pub columns: Vec<TargetColumn>,
}

impl TargetInfo {
    /// The column of that name, in any case.
    pub fn column(&self, name: &str) -> Option<&TargetColumn> {
        self.columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase())
    }

    /// Columns that take values, in order.
    pub fn writable(&self) -> impl Iterator<Item = &TargetColumn> {
        self.columns.iter().filter(|column| !column.generated)
    }

    /// Whether it keeps no rows.
    pub fn keeps_nothing(&self) -> bool {
        self.engine.eq_ignore_ascii_case("BLACKHOLE")
    }
}

fn text(row: &Row, column: &str) -> Result<String> {
    Ok(row.str(column).context(codes::DB_CONNECT, || "read information_schema".into())?.unwrap_or_default())
}

/// A list of quoted texts for `IN (…)`.
fn in_list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote_string).collect::<Vec<_>>().join(",")
}

/// The tables of these schemas, as far as the account sees them.
///
/// # Errors
/// The server's.
pub async fn load(conn: &mut Conn, wanted: &BTreeSet<&TableName>) -> Result<BTreeMap<TableName, TargetInfo>> {
    let mut by_schema: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in wanted {
        by_schema.entry(&name.schema).or_default().push(&name.table);
    }
    let mut found = BTreeMap::new();
    for (schema, tables) in by_schema {
        for group in tables.chunks(500) {
            load_group(conn, schema, group, &mut found).await?;
        }
    }
    Ok(found)
}

async fn load_group(
    conn: &mut Conn,
    schema: &str,
    tables: &[&str],
    found: &mut BTreeMap<TableName, TargetInfo>,
) -> Result<()> {
    let doing = || "read the tables of the target".to_owned();
    let condition = format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME IN ({})",
        quote_string(schema),
        in_list(tables.iter().copied())
    );
    let query = format!(
        "SELECT TABLE_NAME AS name, TABLE_TYPE AS type, COALESCE(ENGINE, '') AS engine, \
         COALESCE(CREATE_TIME, '') AS created FROM information_schema.TABLES WHERE {condition}"
    );
    let folds = folds_names(conn).await?;
    // A server that folds names gives them back in its own spelling; on another one names may differ in case only.
    let key = |name: &str| if folds { name.to_lowercase() } else { name.to_owned() };
    let mut by_name: HashMap<String, TargetInfo> = HashMap::new();
    for row in conn.query(&query).await.context(codes::DB_CONNECT, doing)?.iter() {
        let name = text(row, "name")?;
        let info = TargetInfo {
            name: TableName::new(schema, name.as_str()),
            engine: text(row, "engine")?,
            is_view: text(row, "type")?.to_uppercase().contains("VIEW"),
            created: text(row, "created")?,
            columns: Vec::new(),
        };
        by_name.insert(key(&name), info);
    }
    let query = format!(
        "SELECT TABLE_NAME AS table_name, COLUMN_NAME AS name, COLUMN_TYPE AS full_type, IS_NULLABLE AS nullable, \
         COLUMN_DEFAULT AS value, EXTRA AS extra FROM information_schema.COLUMNS WHERE {condition} ORDER BY TABLE_NAME, ORDINAL_POSITION"
    );
    for row in conn.query(&query).await.context(codes::DB_CONNECT, doing)?.iter() {
        let Some(info) = by_name.get_mut(&key(&text(row, "table_name")?)) else { continue };
        let extra = text(row, "extra")?.to_uppercase();
        // MySQL: STORED GENERATED, VIRTUAL GENERATED; MariaDB: also PERSISTENT. DEFAULT_GENERATED is a default only.
        let generated =
            extra.split([' ', ',']).any(|word| matches!(word, "STORED" | "VIRTUAL" | "PERSISTENT"));
        info.columns.push(TargetColumn {
            name: text(row, "name")?,
            full_type: text(row, "full_type")?,
            required: !text(row, "nullable")?.eq_ignore_ascii_case("YES")
                && row.get("value").is_none()
                && !extra.contains("AUTO_INCREMENT")
                && !extra.contains("DEFAULT_GENERATED")
                && !extra.contains("AUTO_RANDOM")
                && !generated,
            generated,
        });
    }
    for table in tables {
        if let Some(info) = by_name.get(&key(table)) {
            // The caller's spelling.
            found.insert(TableName::new(schema, *table), info.clone());
        }
    }
    Ok(())
}

/// Those of the schemas that the target lacks.
///
/// # Errors
/// The server's.
pub async fn missing_schemas<'a>(conn: &mut Conn, needed: &BTreeSet<&'a str>) -> Result<BTreeSet<&'a str>> {
    if needed.is_empty() {
        return Ok(BTreeSet::new());
    }
    let folds = folds_names(conn).await?;
    let key = |name: &str| if folds { name.to_lowercase() } else { name.to_owned() };
    let sql = format!(
        "SELECT SCHEMA_NAME AS name FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN ({})",
        in_list(needed.iter().copied())
    );
    let doing = || "read the schemas of the target".to_owned();
    let rows = conn.query(sql).await.context(codes::DB_CONNECT, doing)?;
    let there: BTreeSet<String> =
        rows.iter().map(|row| Ok(key(&text(row, "name")?))).collect::<Result<_>>()?;
    Ok(needed.iter().copied().filter(|name| !there.contains(&key(name))).collect())
}

async fn folds_names(conn: &mut Conn) -> Result<bool> {
    let row = conn
        .query_one("SELECT @@lower_case_table_names AS folds")
        .await
        .context(codes::DB_CONNECT, || "read lower_case_table_names".into())?;
    Ok(row.and_then(|row| row.parse::<u8>("folds").ok().flatten()).unwrap_or(0) != 0)
}

/// Engines of the server that take part in transactions, in upper case.
///
/// # Errors
/// The server's.
pub async fn transactional_engines(conn: &mut Conn) -> Result<BTreeSet<String>> {
    let rows = conn
        .query("SELECT UPPER(ENGINE) AS engine FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES'")
        .await
        .context(codes::DB_CONNECT, || "read the engines of the target".into())?;
    rows.iter().map(|row| text(row, "engine")).collect()
}

/// Whether two [identities](identity) are those of different tables, as far as they can be compared.
pub fn is_other(before: &str, now: &str) -> bool {
    let kind = |identity: &str| identity.split(':').next().map(str::to_owned);
    before != now && kind(before) == kind(now)
}

/// What tells a table from one created later under its name: the engine's own number of it where the account may read that
/// (TRUNCATE and a rebuild change it), else the time of its creation. Two parts: `id:…` or `created:…`, only equal kinds are
/// compared.
///
/// # Errors
/// The server's, other than a missing privilege.
pub async fn identity(conn: &mut Conn, table: &TargetInfo) -> Result<String> {
    let schema = quote_string(&table.name.schema);
    let name = quote_string(&table.name.table);
    let server = conn.server();
    let query = match server.flavor {
        Flavor::TiDb => Some(format!(
            "SELECT TIDB_TABLE_ID AS id FROM information_schema.TABLES WHERE TABLE_SCHEMA = {schema} AND TABLE_NAME = {name}"
        )),
        _ if !table.engine.eq_ignore_ascii_case("InnoDB") => None,
        flavor => {
            let modern = flavor == Flavor::MySql && server.is_mysql(8, 0, 0);
            let view = if modern { "INNODB_TABLES" } else { "INNODB_SYS_TABLES" };
            let path =
                quote_string(&format!("{}/{}", file_name(&table.name.schema), file_name(&table.name.table)));
            Some(format!("SELECT TABLE_ID AS id FROM information_schema.{view} WHERE NAME = {path}"))
        }
    };
    if let Some(query) = query {
        match conn.query_one(&query).await {
            Ok(Some(row)) => return Ok(format!("id:{}", text(&row, "id")?)),
            Ok(None) => {}
            // PROCESS is needed; an account without it is fine.
            Err(error) if !error.is_connection_gone() => {}
            Err(error) => {
                return Err(error).context(codes::DB_CONNECT, || "read the identity of a table".into());
            }
        }
    }
    Ok(format!("created:{}", table.created))
}

/// How InnoDB spells a name in its own tables: ASCII letters, digits and `_` stand for themselves, other characters of the basic plane
/// as `@` and four hexadecimal digits (letters of some alphabets have shorter codes: those are not found, and the time of
/// creation is used).
fn file_name(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        if c.is_ascii_alphanumeric() || c == '_' {
            out.push(c);
        } else {
            out.push_str(&format!("@{:04x}", u32::from(c)));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_innodb_spells_them() {
        assert_eq!(file_name("table_5"), "table_5");
        assert_eq!(file_name("my-db.x"), "my@002ddb@002ex");
    }

    #[test]
    fn columns_are_found_in_any_case() {
        let column = |name: &str, generated| TargetColumn {
            name: name.into(),
            full_type: "int".into(),
            required: false,
            generated,
        };
        let info = TargetInfo {
            name: TableName::new("d", "t"),
            engine: "BlackHole".into(),
            is_view: false,
            created: String::new(),
            columns: vec![column("Id", false), column("g", true)],
        };
        assert_eq!(info.column("ID").unwrap().name, "Id");
        assert_eq!(info.writable().count(), 1);
        assert!(info.keeps_nothing());
    }
}
