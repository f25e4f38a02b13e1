//! How a target table is compared: its columns, its key, and the temporary table that stands for it.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use mysql::row_hash::{Column, Fills, group_of, key_text, not_a_constant, row_hash};
use mysql::{Conn, Row};
use sql::SqlMode;
use sql::lexer::{Lexer, TokenKind, name_text};

use crate::downstream::tables::TargetInfo;
use crate::error::{Context, Result};
use crate::import::file::FileTask;

/// The name of the temporary table, in the schema of the ledger.
const NAME: &str = "rlightning_shadow";

/// A column of the target that takes values.
#[derive(Debug, Clone)]
struct Described {
    column: Column,
    /// The whole type, for a number.
    full_type: String,
    /// Why a row that does not fill it has a value that is not known beforehand.
    made_up: Option<String>,
    numbers_rows: bool,
}

/// A target table and what of it is compared.
#[derive(Debug, Clone)]
pub struct Compared {
    info: Arc<TargetInfo>,
    columns: Vec<Described>,
    /// Columns of a unique key without NULLs; empty if there is none.
    unique: Vec<String>,
    /// In small letters.
    left_out: BTreeSet<String>,
}

/// Reads how a table is made.
///
/// # Errors
/// The server's.
pub async fn describe(conn: &mut Conn, info: &TargetInfo) -> Result<Compared> {
    let flavor = conn.server().flavor;
    let doing = || format!("read the columns of {}", info.name);
    let this = format!(
        "TABLE_SCHEMA = {} AND TABLE_NAME = {}",
        quote_string(&info.name.schema),
        quote_string(&info.name.table)
    );
    let query = format!(
        "SELECT COLUMN_NAME AS name, DATA_TYPE AS type, COLUMN_TYPE AS full_type, IS_NULLABLE AS nullable, COLUMN_DEFAULT AS value, \
         EXTRA AS extra FROM information_schema.COLUMNS WHERE {this} ORDER BY ORDINAL_POSITION"
    );
    let rows = conn.query(query).await.context(codes::DB_CONNECT, doing)?;
    let describe = |row: &Row| -> mysql::Result<Described> {
        let (default, extra) = (row.str("value")?, row.str("extra")?.unwrap_or_default());
        Ok(Described {
            column: Column {
                name: row.text("name")?,
                data_type: row.text("type")?.to_ascii_lowercase(),
                nullable: row.text("nullable")?.eq_ignore_ascii_case("yes"),
            },
            full_type: row.text("full_type")?,
            made_up: not_a_constant(flavor, default.as_deref(), &extra),
            numbers_rows: extra.to_ascii_uppercase().contains("AUTO_INCREMENT"),
        })
    };
    let mut columns = Vec::new();
    for row in rows.iter() {
        let described = describe(row).context(codes::DB_CONNECT, doing)?;
        if info.column(&described.column.name).is_none_or(|column| !column.generated) {
            columns.push(described);
        }
    }
    let unique = unique_key(conn, &this, &columns).await.context(codes::DB_CONNECT, doing)?;
    Ok(Compared { info: Arc::new(info.clone()), columns, unique, left_out: BTreeSet::new() })
}

/// The columns of the first unique key that has no NULLs and no texts that are not the same on all servers.
async fn unique_key(conn: &mut Conn, this: &str, columns: &[Described]) -> mysql::Result<Vec<String>> {
    let query = format!(
        "SELECT INDEX_NAME AS name, COLUMN_NAME AS part FROM information_schema.STATISTICS WHERE {this} AND NON_UNIQUE = 0 \
         ORDER BY INDEX_NAME = 'PRIMARY' DESC, INDEX_NAME, SEQ_IN_INDEX"
    );
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    let mut unfit = BTreeSet::new();
    for row in conn.query(query).await?.iter() {
        let (name, part) = (row.text("name")?, row.str("part")?);
        let fits = part
            .as_deref()
            .and_then(|part| columns.iter().find(|known| known.column.name.eq_ignore_ascii_case(part)));
        let Some(fits) = fits.filter(|fits| !fits.column.nullable && !fits.column.has_texts()) else {
            unfit.insert(name);
            continue;
        };
        match keys.last_mut().filter(|(last, _)| *last == name) {
            Some((_, parts)) => parts.push(fits.column.name.clone()),
            None => keys.push((name, vec![fits.column.name.clone()])),
        }
    }
    Ok(keys.into_iter().find(|(name, _)| !unfit.contains(name)).map(|(_, parts)| parts).unwrap_or_default())
}

impl Compared {
    /// The target table.
    pub fn name(&self) -> &TableName {
        &self.info.name
    }

    /// The same without these columns, given in small letters.
    pub fn without(&self, left_out: BTreeSet<String>) -> Self {
        Self { left_out, ..self.clone() }
    }

    /// Columns that are not compared, in small letters.
    pub fn left_out_names(&self) -> BTreeSet<String> {
        self.left_out.clone()
    }

    /// Columns that are not compared, and why.
    pub fn left_out(&self) -> impl Iterator<Item = (&str, &str)> {
        self.columns.iter().filter(|known| self.is_left_out(known)).map(|known| {
            (known.column.name.as_str(), known.made_up.as_deref().unwrap_or("its values are not known"))
        })
    }

    fn is_left_out(&self, known: &Described) -> bool {
        self.left_out.contains(&known.column.name.to_lowercase())
    }

    fn compared(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|known| !self.is_left_out(known)).map(|known| &known.column)
    }

    /// Columns with values that the target makes up and that some file is known not to fill.
    pub fn unfilled(&self, files: &[Arc<FileTask>]) -> BTreeSet<String> {
        let mut unfilled = BTreeSet::new();
        for task in files {
            let Some(columns) = &task.columns else { continue };
            let filled: Vec<String> = columns
                .iter()
                .map(|name| name.to_lowercase())
                .filter(|name| !task.file.ignored.contains(name))
                .chain(task.file.extracted.iter().map(|(name, _)| name.to_lowercase()))
                .collect();
            unfilled.append(&mut self.made_up_without(&filled));
        }
        unfilled
    }

    /// Columns that are compared, whose values the target makes up where rows do not fill them, and that are not among these.
    fn made_up_without(&self, filled: &[String]) -> BTreeSet<String> {
        let made_up = self.columns.iter().filter(|known| known.made_up.is_some() && !self.is_left_out(known));
        made_up.map(|known| known.column.name.to_lowercase()).filter(|name| !filled.contains(name)).collect()
    }

    /// The same for a statement, by what stands before its rows.
    pub fn unfilled_by(&self, prefix: &[u8]) -> BTreeSet<String> {
        let names: Vec<String> = Lexer::new(prefix, SqlMode::default())
            .filter(|token| token.kind == TokenKind::Quoted)
            .map(|token| name_text(token.span.of(prefix)).to_lowercase())
            .collect();
        match names.get(2..) {
            // Without a list all are filled.
            None | Some([]) => BTreeSet::new(),
            Some(filled) => self.made_up_without(filled),
        }
    }

    /// The target table as the statements see the temporary one.
    pub fn shadow(&self, schema: &str) -> TargetInfo {
        let columns = self.info.columns.iter().filter(|column| !column.generated).cloned().collect();
        TargetInfo { name: TableName::new(schema, NAME), columns, ..(*self.info).clone() }
    }

    /// Creates the temporary table: the columns with their types and constant defaults, nothing else. A column that numbers the rows
    /// may be NULL there, which tells rows that leave the number to the target; one that is not compared takes everything.
    pub fn create(&self, schema: &str) -> String {
        let mut definitions = Vec::new();
        let mut names = Vec::new();
        for known in &self.columns {
            let name = quote(&known.column.name);
            if self.is_left_out(known) {
                definitions.push(format!("{name} LONGBLOB NULL"));
            } else if known.numbers_rows {
                definitions.push(format!("{name} {} NULL DEFAULT NULL", known.full_type));
            }
            names.push(name);
        }
        let definitions =
            if definitions.is_empty() { String::new() } else { format!(" ({})", definitions.join(",")) };
        format!(
            "CREATE TEMPORARY TABLE {}{definitions} ENGINE=InnoDB SELECT {} FROM {} WHERE FALSE",
            TableName::new(schema, NAME).quoted(),
            names.join(","),
            self.info.name.quoted()
        )
    }

    /// Counts rows of the temporary table that leave their number to the target; `None` if there are no such columns.
    pub fn numbered_by_target(&self, schema: &str) -> Option<(String, String)> {
        let known = self.columns.iter().find(|known| known.numbers_rows && !self.is_left_out(known))?;
        let name = quote(&known.column.name);
        let query = format!(
            "SELECT 1 AS one FROM {} WHERE {name} IS NULL OR ({name} = 0 AND NOT FIND_IN_SET('NO_AUTO_VALUE_ON_ZERO', @@sql_mode)) LIMIT 1",
            TableName::new(schema, NAME).quoted()
        );
        Some((known.column.name.to_lowercase(), query))
    }

    /// The table that a look reads: the target's, or the temporary one in this schema.
    fn place(&self, schema: Option<&str>) -> String {
        schema.map_or_else(|| self.info.name.quoted(), |schema| TableName::new(schema, NAME).quoted())
    }

    /// Columns that tell a row.
    fn key(&self) -> Vec<Column> {
        let is_key = |column: &&Column| self.unique.contains(&column.name);
        let unique: Vec<Column> = self.compared().filter(is_key).cloned().collect();
        if !unique.is_empty() && unique.len() == self.unique.len() {
            return unique;
        }
        self.compared().filter(|column| !column.has_texts()).cloned().collect()
    }

    fn hash(&self) -> String {
        row_hash(self.compared().enumerate(), &Fills::new())
    }

    /// Sums by group of keys.
    pub fn sums(&self, schema: Option<&str>, groups: u64) -> String {
        let (hash, group, place) = (self.hash(), group_of(&self.key(), groups), self.place(schema));
        mysql::row_hash::summary(&format!("SELECT {hash} h,{group} g FROM {place}"))
    }

    /// Hash and key of the rows of some groups.
    pub fn rows(&self, schema: Option<&str>, groups: u64, wanted: &[u64]) -> String {
        let (hash, group, place) = (self.hash(), group_of(&self.key(), groups), self.place(schema));
        let wanted: Vec<String> = wanted.iter().map(u64::to_string).collect();
        format!(
            "SELECT {hash},{} FROM {place} WHERE {group} IN ({})",
            key_text(&self.key()),
            wanted.join(",")
        )
    }
}

/// Drops the temporary table. Nothing else of that name is touched.
pub fn drop(schema: &str) -> String {
    format!("DROP TEMPORARY TABLE IF EXISTS {}", TableName::new(schema, NAME).quoted())
}

/// Empties it.
pub fn empty(schema: &str) -> String {
    format!("TRUNCATE TABLE {}", TableName::new(schema, NAME).quoted())
}
