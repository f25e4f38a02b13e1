//! The tree of a DDL statement. It holds names and facts; the text stays in [`super::Ddl`] and spans point into it.

use super::types::DataType;
use crate::classify::NamedTable;
use crate::lexer::Span;

/// A name in the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name without quotes.
    pub text: String,
    /// Where it stands, quotes included.
    pub span: Span,
}

/// What a table or database is to the statement that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The database of a statement on databases.
    Database,
    /// The table (or old name) the statement changes.
    Table,
    /// The new name of a renamed table.
    NewName,
    /// The model of CREATE TABLE … LIKE.
    Like,
    /// The second table of EXCHANGE PARTITION, CONVERT TABLE or CONVERT PARTITION.
    Exchanged,
    /// The parent of a foreign key. Unqualified it lies in the schema of the child table, not in the session's.
    Parent,
    /// A member of `UNION = (…)`.
    Merged,
    /// The table's own name in front of a column inside an expression; it never gets a schema added.
    Qualifier,
    /// A MariaDB sequence used by a default.
    Sequence,
}

/// One mention of a table or database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// What it is to the statement.
    pub role: Role,
    /// The schema, where it is written.
    pub schema: Option<Name>,
    /// The table; None for [`Role::Database`].
    pub table: Option<Name>,
    /// Where a schema that is not written would go.
    pub insert_at: usize,
}

/// One DDL statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// CREATE DATABASE
    CreateDatabase {
        /// Its name.
        name: String,
        /// OR REPLACE was written (MariaDB).
        or_replace: bool,
        /// IF NOT EXISTS was written.
        if_not_exists: bool,
        /// Character set and collation.
        charset: CharsetChoice,
    },
    /// ALTER DATABASE
    AlterDatabase {
        /// Its name; None is the session's database.
        name: Option<String>,
        /// Character set and collation.
        charset: CharsetChoice,
    },
    /// DROP DATABASE
    DropDatabase {
        /// Its name.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// CREATE TABLE
    CreateTable(Box<CreateTable>),
    /// ALTER TABLE
    AlterTable(Box<AlterTable>),
    /// DROP TABLE
    DropTable {
        /// The tables in order.
        tables: Vec<NamedTable>,
        /// IF EXISTS was written.
        if_exists: bool,
        /// TEMPORARY was written.
        temporary: bool,
    },
    /// RENAME TABLE
    RenameTable {
        /// Old and new name, in order.
        pairs: Vec<(NamedTable, NamedTable)>,
        /// IF EXISTS was written (MariaDB).
        if_exists: bool,
    },
    /// TRUNCATE TABLE
    TruncateTable {
        /// The table.
        table: NamedTable,
    },
    /// CREATE INDEX
    CreateIndex {
        /// The table.
        table: NamedTable,
        /// The index.
        index: IndexDef,
        /// OR REPLACE was written (MariaDB).
        or_replace: bool,
        /// IF NOT EXISTS was written (MariaDB).
        if_not_exists: bool,
    },
    /// DROP INDEX
    DropIndex {
        /// The table.
        table: NamedTable,
        /// The index; `PRIMARY` is the primary key.
        name: String,
        /// IF EXISTS was written (MariaDB).
        if_exists: bool,
    },
}

/// Character set and collation as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CharsetChoice {
    /// Lower-case name. `default` stands for the next level's.
    pub charset: Option<String>,
    /// Lower-case name.
    pub collation: Option<String>,
}

/// CREATE TABLE
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// The table.
    pub table: NamedTable,
    /// TEMPORARY was written.
    pub temporary: bool,
    /// OR REPLACE was written (MariaDB).
    pub or_replace: bool,
    /// IF NOT EXISTS was written.
    pub if_not_exists: bool,
    /// Columns, indexes and constraints in the order of the text.
    pub elements: Vec<Element>,
    /// The model of LIKE.
    pub like: Option<NamedTable>,
    /// Table options in order.
    pub options: Vec<TableOption>,
    /// `PARTITION BY …` to its end.
    pub partitioning: Option<Span>,
    /// The query of CREATE TABLE … SELECT, with the AS, IGNORE or REPLACE in front of it.
    pub select: Option<Span>,
    /// The `START TRANSACTION` that MySQL 8.0.21+ writes to the binlog for a CREATE TABLE … SELECT. No server takes it from a client.
    pub start_transaction: Option<Span>,
}

/// One item between the parentheses of CREATE TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A column.
    Column(ColumnDef),
    /// A key of any kind.
    Index(IndexDef),
    /// FOREIGN KEY
    ForeignKey(ForeignKey),
    /// CHECK
    Check {
        /// Its name.
        name: Option<String>,
        /// Everything from CHECK on.
        span: Span,
    },
    /// `PERIOD FOR …` (MariaDB)
    Period(Span),
}

/// A column definition.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    /// The name.
    pub name: String,
    /// Type with its attributes.
    pub ty: DataType,
    /// NULL (true) or NOT NULL (false), where written.
    pub nullable: Option<bool>,
    /// DEFAULT
    pub default: Option<DefaultValue>,
    /// Digits of ON UPDATE CURRENT_TIMESTAMP.
    pub on_update: Option<u8>,
    /// AUTO_INCREMENT
    pub auto_increment: bool,
    /// PRIMARY KEY or KEY
    pub primary: bool,
    /// TiDB's CLUSTERED (true) or NONCLUSTERED (false) behind PRIMARY KEY.
    pub clustered: Option<bool>,
    /// UNIQUE
    pub unique: bool,
    /// `AS (…)`
    pub generated: Option<Generated>,
    /// COMMENT
    pub comment: Option<String>,
    /// INVISIBLE
    pub invisible: bool,
    /// WITH SYSTEM VERSIONING was written behind the column (MariaDB), which makes the whole table a versioned one.
    pub versioned: bool,
    /// SRID or REF_SYSTEM_ID
    pub srid: Option<u32>,
    /// REFERENCES; InnoDB ignores it, MariaDB 10.5 and MySQL 9 make a foreign key of it.
    pub references: Option<Box<ForeignKey>>,
    /// The whole definition, name first.
    pub span: Span,
}

/// A generated column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The expression without the outer parentheses; for MariaDB's row versions `ROW START` or `ROW END`.
    pub expression: String,
    /// STORED or PERSISTENT.
    pub stored: bool,
}

/// The value after DEFAULT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DefaultValue {
    /// NULL
    Null,
    /// A string, unescaped.
    String(Vec<u8>),
    /// A number with its sign, as written.
    Number(String),
    /// `x'…'`, `0x…`
    Hex(Vec<u8>),
    /// `b'…'`, `0b…`, as big-endian bytes without leading zero bytes.
    Bit(Vec<u8>),
    /// TRUE or FALSE
    Bool(bool),
    /// CURRENT_TIMESTAMP and its synonyms, with digits.
    Now(u8),
    /// Any other expression, outer parentheses removed.
    Expression(String),
}

/// Kinds of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndexKind {
    /// PRIMARY KEY
    Primary,
    /// UNIQUE
    Unique,
    /// KEY or INDEX
    Plain,
    /// FULLTEXT
    FullText,
    /// SPATIAL
    Spatial,
    /// VECTOR, and TiDB's COLUMNAR
    Vector,
}

/// An index definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexDef {
    /// The kind.
    pub kind: IndexKind,
    /// The name; for UNIQUE without one the CONSTRAINT's name.
    pub name: Option<String>,
    /// Columns and expressions.
    pub parts: Vec<IndexPart>,
    /// `btree`, `hash`, `rtree`, lower-case.
    pub using: Option<String>,
    /// COMMENT
    pub comment: Option<String>,
    /// INVISIBLE, or MariaDB's IGNORED.
    pub invisible: bool,
    /// IF NOT EXISTS was written (MariaDB).
    pub if_not_exists: bool,
    /// TiDB's CLUSTERED (true) or NONCLUSTERED (false).
    pub clustered: Option<bool>,
    /// TiDB's GLOBAL.
    pub global: bool,
    /// The whole definition.
    pub span: Span,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexPart {
    /// The column, or None for an expression.
    pub column: Option<String>,
    /// The expression without its parentheses.
    pub expression: Option<String>,
    /// Prefix length.
    pub length: Option<u32>,
    /// DESC
    pub descending: bool,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignKey {
    /// The CONSTRAINT's name.
    pub name: Option<String>,
    /// The name behind FOREIGN KEY.
    pub index_name: Option<String>,
    /// Columns of the child.
    pub columns: Vec<String>,
    /// The parent.
    pub parent: NamedTable,
    /// Columns of the parent.
    pub parent_columns: Vec<String>,
    /// `ON DELETE x ON UPDATE y`, upper-case, as written.
    pub actions: String,
    /// The whole definition.
    pub span: Span,
}

impl ForeignKey {
    /// What happens on `DELETE` or `UPDATE`, as written; None: nothing is said.
    pub fn action(&self, event: &str) -> Option<&'static str> {
        let (_, rest) = self.actions.split_once(&format!("ON {event} "))?;
        ["RESTRICT", "CASCADE", "SET NULL", "NO ACTION", "SET DEFAULT"]
            .into_iter()
            .find(|rule| rest.starts_with(rule))
    }

    /// Whether a change of the parent changes children: an action other than RESTRICT and NO ACTION.
    pub fn has_actions(&self) -> bool {
        ["DELETE", "UPDATE"]
            .iter()
            .any(|event| matches!(self.action(event), Some("CASCADE" | "SET NULL" | "SET DEFAULT")))
    }
}

/// A table option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableOption {
    /// CHARACTER SET, lower-case; `default` is the database's.
    Charset(String),
    /// COLLATE, lower-case; `default` is the database's.
    Collate(String),
    /// ENGINE
    Engine(String),
    /// COMMENT
    Comment(String),
    /// AUTO_INCREMENT
    AutoIncrement(u64),
    /// Any other.
    Other {
        /// Upper-case words, one space between.
        name: String,
        /// The text of the value, empty if there is none.
        value: String,
    },
}

/// ALTER TABLE
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    /// The table.
    pub table: NamedTable,
    /// IF EXISTS was written (MariaDB).
    pub if_exists: bool,
    /// The changes in order.
    pub specs: Vec<AlterSpec>,
}

/// One change of an ALTER TABLE with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterSpec {
    /// The change.
    pub change: Change,
    /// Its text.
    pub span: Span,
}

/// Where a column goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// FIRST
    First,
    /// AFTER a column
    After(String),
}

/// One change of an ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// `ADD [COLUMN] c …`
    AddColumn {
        /// The column.
        column: ColumnDef,
        /// Its place.
        position: Option<Position>,
        /// IF NOT EXISTS was written.
        if_not_exists: bool,
    },
    /// `ADD [COLUMN] (…)`
    AddElements {
        /// The elements in order.
        elements: Vec<Element>,
        /// The place of each.
        spans: Vec<Span>,
        /// IF NOT EXISTS was written.
        if_not_exists: bool,
    },
    /// ADD of a key, foreign key, check or period.
    Add {
        /// What is added.
        element: Element,
        /// IF NOT EXISTS was written.
        if_not_exists: bool,
    },
    /// DROP COLUMN
    DropColumn {
        /// The column.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// DROP INDEX
    DropIndex {
        /// The index.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// DROP PRIMARY KEY
    DropPrimaryKey,
    /// DROP FOREIGN KEY
    DropForeignKey {
        /// The constraint.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// DROP CONSTRAINT: a check, a foreign key, a unique key or the primary key.
    DropConstraint {
        /// The constraint.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// DROP CHECK
    DropCheck {
        /// The constraint.
        name: String,
    },
    /// MODIFY
    ModifyColumn {
        /// The column.
        column: ColumnDef,
        /// Its place.
        position: Option<Position>,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// CHANGE
    ChangeColumn {
        /// The column's old name.
        old: String,
        /// The column.
        column: ColumnDef,
        /// Its place.
        position: Option<Position>,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// RENAME COLUMN
    RenameColumn {
        /// Old name.
        old: String,
        /// New name.
        new: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// RENAME INDEX
    RenameIndex {
        /// Old name.
        old: String,
        /// New name.
        new: String,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// RENAME TO
    RenameTable(NamedTable),
    /// ALTER COLUMN
    AlterColumn {
        /// The column.
        name: String,
        /// IF EXISTS was written.
        if_exists: bool,
        /// What becomes of it.
        action: ColumnAction,
    },
    /// ALTER INDEX … VISIBLE, INVISIBLE, IGNORED, NOT IGNORED
    AlterIndex {
        /// The index.
        name: String,
        /// Whether the optimizer does not see it afterwards.
        invisible: bool,
        /// IF EXISTS was written.
        if_exists: bool,
    },
    /// ALTER CHECK, ALTER CONSTRAINT
    AlterCheck {
        /// The constraint.
        name: String,
    },
    /// CONVERT TO CHARACTER SET
    Convert(CharsetChoice),
    /// Table options, without commas between.
    Options(Vec<TableOption>),
    /// Anything about partitions.
    Partition(PartitionChange),
    /// ORDER BY, ALGORITHM, LOCK, ENABLE/DISABLE KEYS, DISCARD/IMPORT TABLESPACE, FORCE, WITH and WITHOUT VALIDATION, system versioning,
    /// periods, TiDB's own: nothing that changes columns or indexes as a client sees them.
    Neutral {
        /// The words that name it, upper-case.
        what: &'static str,
    },
}

/// What ALTER COLUMN does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnAction {
    /// SET DEFAULT
    SetDefault(DefaultValue),
    /// DROP DEFAULT
    DropDefault,
    /// SET VISIBLE, SET INVISIBLE
    SetInvisible(bool),
}

/// A change of partitions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartitionChange {
    /// PARTITION BY …
    Define,
    /// REMOVE PARTITIONING
    Remove,
    /// EXCHANGE PARTITION p WITH TABLE t
    Exchange {
        /// The partition.
        partition: String,
        /// The other table.
        table: NamedTable,
    },
    /// CONVERT PARTITION p TO TABLE t (MariaDB)
    ToTable {
        /// The new table.
        table: NamedTable,
    },
    /// CONVERT TABLE t TO PARTITION p … (MariaDB)
    FromTable {
        /// The table that goes away.
        table: NamedTable,
    },
    /// TRUNCATE or DROP PARTITION: rows go away without row events.
    Rows {
        /// `DROP` or `TRUNCATE`.
        verb: &'static str,
    },
    /// ADD, COALESCE, REORGANIZE, ANALYZE, CHECK, OPTIMIZE, REBUILD, REPAIR, DISCARD, IMPORT, …
    Other {
        /// Its first word.
        verb: &'static str,
    },
}
