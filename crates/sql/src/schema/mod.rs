//! The structure of tables and how DDL changes it.
//!
//! A [`Table`] comes from the text of CREATE TABLE, be it a user's or a server's SHOW CREATE TABLE, and a [`Tracker`] holds the tables of
//! many databases and applies statements to them as a server would: defaults inherited from the database, keys renamed and shrunk with
//! their columns, text types grown by CONVERT TO CHARACTER SET. It knows no rows.
//!
//! Invariants of a table: column names are unique without regard to case; every column of a key exists; a primary key's columns are NOT NULL;
//! ids of columns and indexes are never used twice.

mod alter;
mod build;
mod charset;
mod render;
mod tracker;

pub use charset::{CharsetInfo, charset_info, charset_of_collation};
pub use tracker::{Applied, Tracker};

use crate::ddl::{DdlError, DefaultValue, ForeignKey, Generated, IndexKind, Statement, TypeKind};
use crate::lexer::SqlMode;

/// Whose rules apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// MySQL
    MySql,
    /// MariaDB: JSON is LONGTEXT.
    MariaDb,
    /// TiDB: `_bin` collations by default.
    TiDb,
}

/// What a server adds to a statement that says nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// Whose rules apply.
    pub dialect: Dialect,
    /// The server's character set, for CREATE DATABASE.
    pub charset: String,
    /// The server's collation.
    pub collation: String,
    /// What `CHARACTER SET utf8mb4` alone means (`default_collation_for_utf8mb4`).
    pub utf8mb4_collation: String,
    /// `explicit_defaults_for_timestamp`
    pub explicit_timestamps: bool,
    /// Whether REFERENCES behind a column makes a foreign key (MariaDB 10.5, MySQL 9).
    pub column_references: bool,
    /// `lower_case_table_names`: with 0 names of tables and databases differ by case.
    pub lower_case_table_names: u8,
}

impl Environment {
    /// The defaults of a MySQL server of this version.
    pub fn mysql(major: u16, _minor: u16) -> Self {
        let new = major >= 8;
        let utf8mb4 = if new { "utf8mb4_0900_ai_ci" } else { "utf8mb4_general_ci" };
        Self {
            dialect: Dialect::MySql,
            charset: if new { "utf8mb4" } else { "latin1" }.into(),
            collation: if new { utf8mb4 } else { "latin1_swedish_ci" }.into(),
            utf8mb4_collation: utf8mb4.into(),
            explicit_timestamps: new,
            column_references: major >= 9,
            lower_case_table_names: 0,
        }
    }

    /// The defaults of a MariaDB server of this version.
    pub fn mariadb(major: u16, minor: u16) -> Self {
        let uca = (major, minor) >= (11, 5);
        let utf8mb4 = if uca { "utf8mb4_uca1400_ai_ci" } else { "utf8mb4_general_ci" };
        let unicode = (major, minor) >= (11, 6);
        Self {
            dialect: Dialect::MariaDb,
            charset: if unicode { "utf8mb4" } else { "latin1" }.into(),
            collation: if unicode { utf8mb4 } else { "latin1_swedish_ci" }.into(),
            utf8mb4_collation: utf8mb4.into(),
            explicit_timestamps: (major, minor) >= (10, 10),
            column_references: (major, minor) >= (10, 5),
            lower_case_table_names: 0,
        }
    }

    /// The defaults of TiDB.
    pub fn tidb() -> Self {
        Self {
            dialect: Dialect::TiDb,
            charset: "utf8mb4".into(),
            collation: "utf8mb4_bin".into(),
            utf8mb4_collation: "utf8mb4_bin".into(),
            explicit_timestamps: true,
            column_references: false,
            lower_case_table_names: 2,
        }
    }
}

/// What cannot be done to a tracked table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The statement does not parse.
    #[error(transparent)]
    Parse(#[from] DdlError),
    /// The text is no CREATE TABLE with columns.
    #[error("not a CREATE TABLE with columns")]
    NotCreateTable,
    /// The statement names no schema and there is no default one.
    #[error("`{table}` is not qualified and there is no default schema")]
    NoSchema {
        /// The table; empty for a database.
        table: String,
    },
    /// The database's default character set is needed and not known: [`Tracker::set_database`].
    #[error("the default character set of database `{schema}` is not known")]
    UnknownDatabase {
        /// The database.
        schema: String,
    },
    /// The table is not tracked: [`Tracker::set_table`].
    #[error("table `{schema}`.`{table}` is not tracked")]
    UnknownTable {
        /// The schema.
        schema: String,
        /// The table.
        table: String,
    },
    /// The table is tracked already.
    #[error("table `{schema}`.`{table}` exists already")]
    TableExists {
        /// The schema.
        schema: String,
        /// The table.
        table: String,
    },
    /// A column that is not there.
    #[error("table `{table}` has no column `{column}`")]
    UnknownColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A column that is there already.
    #[error("table `{table}` has a column `{column}` already")]
    DuplicateColumn {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// An index that is not there.
    #[error("table `{table}` has no index `{index}`")]
    UnknownIndex {
        /// The table.
        table: String,
        /// The index.
        index: String,
    },
    /// An index that is there already.
    #[error("table `{table}` has an index `{index}` already")]
    DuplicateIndex {
        /// The table.
        table: String,
        /// The index.
        index: String,
    },
    /// A character set or collation this crate does not know.
    #[error("unknown character set or collation `{name}`")]
    UnknownCharset {
        /// Its name.
        name: String,
    },
    /// Something that is understood and not supported on a tracked table.
    #[error("{what} is not supported on tracked table `{table}`")]
    Unsupported {
        /// The table.
        table: String,
        /// What it is.
        what: String,
    },
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Number of the column, counted from 1 in the order columns were ever added.
    pub id: u32,
    /// The name as written.
    pub name: String,
    /// The type.
    pub kind: TypeKind,
    /// Display width of integers where given; characters of CHAR and VARCHAR; bytes of BINARY and VARBINARY; digits of DECIMAL (and of FLOAT and
    /// DOUBLE where given); bits; dimensions of VECTOR; fraction digits of TIME, DATETIME and TIMESTAMP.
    pub length: Option<u32>,
    /// Digits behind the point of DECIMAL (and of FLOAT and DOUBLE where given).
    pub decimals: Option<u32>,
    /// UNSIGNED
    pub unsigned: bool,
    /// ZEROFILL
    pub zerofill: bool,
    /// Character set of text types, ENUM and SET.
    pub charset: Option<String>,
    /// Collation of text types, ENUM and SET.
    pub collation: Option<String>,
    /// Members of ENUM and SET.
    pub members: Vec<Vec<u8>>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// The default; a nullable column without any written has [`DefaultValue::Null`], None is a column that needs a value.
    pub default: Option<DefaultValue>,
    /// The default at the time an ALTER TABLE added the column, which rows older than the column show.
    pub origin_default: Option<DefaultValue>,
    /// Digits of ON UPDATE CURRENT_TIMESTAMP.
    pub on_update: Option<u8>,
    /// AUTO_INCREMENT
    pub auto_increment: bool,
    /// A generated column.
    pub generated: Option<Generated>,
    /// The comment.
    pub comment: String,
    /// INVISIBLE
    pub invisible: bool,
    /// SRID
    pub srid: Option<u32>,
}

impl Column {
    /// Type, length and sign, as COLUMN_TYPE of information_schema shows them.
    pub fn full_type(&self) -> String {
        render::column_type(self)
    }
}

/// A part of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The column, as the column itself spells its name; None for an expression.
    pub column: Option<String>,
    /// The expression of a functional part.
    pub expression: Option<String>,
    /// Prefix length; None is the whole column.
    pub length: Option<u32>,
    /// DESC
    pub descending: bool,
}

/// An index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Index {
    /// Number of the index, counted from 1 in the order indexes were ever added.
    pub id: u32,
    /// The name; `PRIMARY` for the primary key.
    pub name: String,
    /// Whether it is the primary key.
    pub primary: bool,
    /// Whether equal keys are refused; true for the primary key.
    pub unique: bool,
    /// The kind.
    pub kind: IndexKind,
    /// Its parts.
    pub parts: Vec<Part>,
    /// `btree`, `hash`, where written.
    pub using: Option<String>,
    /// The comment.
    pub comment: String,
    /// INVISIBLE or IGNORED
    pub invisible: bool,
    /// Made by the server for a foreign key; it goes away when another index serves it.
    pub implicit: bool,
    /// TiDB's GLOBAL.
    pub global: bool,
    /// TiDB's CLUSTERED (true) or NONCLUSTERED (false), where written.
    pub clustered: Option<bool>,
}

impl Column {
    /// Whether it is a begin or end of a row's life that the server sets (MariaDB's system versioning).
    pub fn is_row_period(&self) -> bool {
        self.is_period("ROW ")
    }

    fn is_period(&self, begin: &str) -> bool {
        self.generated.as_ref().is_some_and(|generated| generated.expression.starts_with(begin))
    }
}

impl Index {
    /// Names of the columns; a functional part gives none.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| part.column.as_deref())
    }
}

/// A CHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Its name, where written.
    pub name: Option<String>,
    /// Its text from CHECK on.
    pub text: String,
}

impl Check {
    /// Whether it is ``CHECK (json_valid(`c`))``, with which MariaDB makes a JSON column of text.
    pub fn tests_json(&self, column: &str) -> bool {
        let plain = |text: &str| {
            let text = text.replace(|c: char| c.is_whitespace() || "()`".contains(c), "");
            text.to_lowercase()
        };
        plain(&self.text) == plain(&format!("check json_valid {column}"))
    }
}

/// The CHECKs by which MariaDB's columns are JSON; a structure does not have those that stand in the column.
pub fn json_checks(create: &[u8]) -> Vec<Check> {
    use crate::lexer::{Lexer, TokenKind, name_text};
    let words: Vec<(TokenKind, &[u8])> = Lexer::new(create, SqlMode::default())
        .map(|token| (token.kind, token.span.of(create)))
        .filter(|(kind, _)| !matches!(kind, TokenKind::Comment | TokenKind::Punct(b'(' | b')')))
        .collect();
    let is = |at: usize, word: &[u8]| {
        words.get(at).is_some_and(|(kind, text)| *kind == TokenKind::Word && text.eq_ignore_ascii_case(word))
    };
    let is_name = |kind: TokenKind| matches!(kind, TokenKind::Word | TokenKind::Quoted);
    (0..words.len())
        .filter(|at| is(*at, b"CHECK") && is(at + 1, b"json_valid"))
        .filter_map(|at| words.get(at + 2).filter(|(kind, _)| is_name(*kind)))
        .map(|(_, name)| Check {
            name: None,
            text: format!("CHECK (json_valid(`{}`))", name_text(name).replace('`', "``")),
        })
        .collect()
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name without schema.
    pub name: String,
    /// Its columns in order.
    pub columns: Vec<Column>,
    /// Its indexes in the order they were added.
    pub indexes: Vec<Index>,
    /// Its foreign keys.
    pub foreign_keys: Vec<ForeignKey>,
    /// Its checks.
    pub checks: Vec<Check>,
    /// Default character set of its columns.
    pub charset: String,
    /// Default collation of its columns.
    pub collation: String,
    /// The comment.
    pub comment: String,
    /// The engine, where written.
    pub engine: Option<String>,
    /// AUTO_INCREMENT, where written.
    pub auto_increment: Option<u64>,
    /// The text from PARTITION BY on, where written.
    pub partitioning: Option<String>,
    /// MariaDB's system versioning without columns of its own: behind the columns each row has two more, begin and end of its life
    /// (TIMESTAMP(6)), which no statement shows.
    pub hidden_period: bool,
    /// Highest column id ever given.
    pub max_column_id: u32,
    /// Highest index id ever given.
    pub max_index_id: u32,
}

impl Table {
    /// Whether a column of it is JSON, as MySQL or as MariaDB has it.
    pub fn is_json(&self, column: &Column) -> bool {
        column.kind == TypeKind::Json
            || (column.kind == TypeKind::LongText
                && self.checks.iter().any(|check| check.tests_json(&column.name)))
    }

    /// Reads CREATE TABLE, with the defaults of MySQL 5.7 for what it leaves out; SHOW CREATE TABLE of every server leaves out nothing else
    /// that matters here.
    ///
    /// # Errors
    /// [`SchemaError`]
    pub fn from_create(text: &[u8], mode: SqlMode) -> Result<Table, SchemaError> {
        let mut environment = Environment::mysql(5, 7);
        environment.explicit_timestamps = true;
        Self::from_create_in(text, mode, &environment)
    }

    /// Reads CREATE TABLE with the defaults of a server.
    ///
    /// # Errors
    /// [`SchemaError`]
    pub fn from_create_in(
        text: &[u8],
        mode: SqlMode,
        environment: &Environment,
    ) -> Result<Table, SchemaError> {
        let ddl = crate::ddl::parse(text, mode)?;
        let Statement::CreateTable(create) = &ddl.statement else {
            return Err(SchemaError::NotCreateTable);
        };
        let database = (environment.charset.clone(), environment.collation.clone());
        build::table(&ddl, create, Some(&database), environment)
    }

    /// The column of this name, without regard to case, and its position.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| same_name(&column.name, name))
    }

    /// The column that holds the end of a row's life in a system versioned table of MariaDB, if it is written.
    pub fn row_end(&self) -> Option<(usize, &Column)> {
        self.columns.iter().enumerate().find(|(_, column)| column.is_period("ROW END"))
    }

    /// The index of this name, without regard to case.
    pub fn index(&self, name: &str) -> Option<&Index> {
        self.indexes.iter().find(|index| same_name(&index.name, name))
    }

    /// The primary key.
    pub fn primary_key(&self) -> Option<&Index> {
        self.indexes.iter().find(|index| index.primary)
    }

    /// The text of CREATE TABLE, in the form of SHOW CREATE TABLE.
    pub fn to_create(&self) -> String {
        render::create(self)
    }
}

/// Names of columns and indexes are compared without regard to case. Servers fold accents too, which makes no two names of one table
/// equal that this keeps apart.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || !a.is_ascii() && a.to_lowercase() == b.to_lowercase()
}

/// Whether values of the type are text with a character set.
pub(crate) fn is_text(kind: &TypeKind) -> bool {
    use TypeKind::*;
    matches!(kind, Char | VarChar | TinyText | Text | MediumText | LongText | Enum | Set)
}
