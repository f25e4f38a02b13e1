//! A table from the tree of CREATE TABLE; columns and indexes from their definitions.

use super::charset::{self, Pair};
use super::{Check, Column, Dialect, Environment, Index, Part, SchemaError, Table, is_text, same_name};
use crate::ddl::{
    CharsetChoice, ColumnDef, CreateTable, DataType, Ddl, DefaultValue, Element, ForeignKey, IndexDef,
    IndexKind, TableOption, TypeKind,
};

type Result<T> = std::result::Result<T, SchemaError>;

/// Longest VARCHAR in bytes; a longer one becomes a text where the sql_mode is not strict.
const MAX_VARCHAR: u64 = 65_535;

/// A table from CREATE TABLE with columns. `database` is the database's default, None if it is not known.
pub(super) fn table(
    ddl: &Ddl,
    create: &CreateTable,
    database: Option<&Pair>,
    environment: &Environment,
) -> Result<Table> {
    if create.select.is_some() {
        return Err(SchemaError::Unsupported {
            table: create.table.table.clone(),
            what: "CREATE TABLE … SELECT".into(),
        });
    }
    if create.elements.is_empty() {
        return Err(SchemaError::NotCreateTable);
    }
    let mut table = Table {
        name: create.table.table.clone(),
        columns: Vec::new(),
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        charset: String::new(),
        collation: String::new(),
        comment: String::new(),
        engine: None,
        auto_increment: None,
        partitioning: create.partitioning.map(|span| span.text(ddl.text())),
        hidden_period: false,
        max_column_id: 0,
        max_index_id: 0,
    };
    let schema = create.table.schema.clone().unwrap_or_default();
    let choice = options(&mut table, &create.options);
    (table.charset, table.collation) = charset::resolve(&choice, database, environment, || {
        SchemaError::UnknownDatabase { schema: schema.clone() }
    })?;
    let definitions: Vec<&ColumnDef> = create
        .elements
        .iter()
        .filter_map(|element| match element {
            Element::Column(definition) => Some(definition),
            _ => None,
        })
        .collect();
    let promoted = promoted_timestamp(&definitions, environment);
    for definition in &definitions {
        let promote = promoted.as_deref() == Some(definition.name.as_str());
        let column = column(&table, definition, environment, promote)?;
        table.push_column(column, None)?;
    }
    let mut keys = Keys::default();
    for element in &create.elements {
        keys.element(element, ddl, environment, &mut table);
    }
    keys.add_to(&mut table, environment)?;
    let by_table = create.options.iter().rev().find_map(|option| match option {
        TableOption::Other { name, value } if name == "SYSTEM VERSIONING" => Some(value == "WITH"),
        _ => None,
    });
    let by_column = definitions.iter().any(|definition| definition.versioned);
    table.hidden_period = by_table.unwrap_or(by_column) && table.row_end().is_none();
    Ok(table)
}

/// Takes what a table keeps of its options; returns the written character set.
pub(super) fn options(table: &mut Table, options: &[TableOption]) -> CharsetChoice {
    let mut choice = CharsetChoice::default();
    for option in options {
        match option {
            TableOption::Charset(name) => choice.charset = Some(name.clone()),
            TableOption::Collate(name) => choice.collation = Some(name.clone()),
            TableOption::Engine(name) => table.engine = Some(name.clone()),
            TableOption::Comment(text) => table.comment = text.clone(),
            TableOption::AutoIncrement(value) => table.auto_increment = Some(*value),
            TableOption::Other { .. } => {}
        }
    }
    choice
}

/// Without `explicit_defaults_for_timestamp` the first TIMESTAMP that is not declared NULL gets the current time as default and on
/// update, if it has neither.
pub(super) fn promoted_timestamp(definitions: &[&ColumnDef], environment: &Environment) -> Option<String> {
    if environment.explicit_timestamps {
        return None;
    }
    let first = definitions
        .iter()
        .find(|column| column.ty.kind == TypeKind::Timestamp && column.nullable != Some(true))?;
    (first.default.is_none() && first.on_update.is_none() && first.generated.is_none())
        .then(|| first.name.clone())
}

/// A column from its definition; its id is set by [`Table::push_column`].
pub(super) fn column(
    table: &Table,
    definition: &ColumnDef,
    environment: &Environment,
    promote: bool,
) -> Result<Column> {
    let ty = &definition.ty;
    if let TypeKind::Other(name) = &ty.kind {
        return Err(SchemaError::Unsupported {
            table: table.name.clone(),
            what: format!("type {name} of column `{}`", definition.name),
        });
    }
    let (kind, length, charset) = resolve_type(table, ty, environment)?;
    let implicit_timestamp = kind == TypeKind::Timestamp && !environment.explicit_timestamps;
    let nullable = definition.nullable.unwrap_or(!(definition.primary || implicit_timestamp))
        && !definition.primary
        && !definition.auto_increment
        && !definition.generated.as_ref().is_some_and(|it| it.expression.starts_with("ROW "));
    let digits = u8::try_from(length.unwrap_or(0)).unwrap_or(0);
    let mut on_update = definition.on_update;
    let mut default = definition.default.clone();
    if let Some(DefaultValue::Expression(text)) = &default
        && environment.dialect == Dialect::MariaDb
        && let Some(literal) = crate::ddl::literal_default(text)
    {
        default = Some(literal);
    }
    if promote {
        (default, on_update) = (Some(DefaultValue::Now(digits)), Some(digits));
    } else if default.is_none() && implicit_timestamp && !nullable {
        default = Some(DefaultValue::String(zero_time(digits).into_bytes()));
    } else if default.is_none() && nullable && !definition.auto_increment && definition.generated.is_none() {
        default = Some(DefaultValue::Null);
    }
    let (charset, collation) =
        charset.map_or((None, None), |(charset, collation)| (Some(charset), Some(collation)));
    Ok(Column {
        id: 0,
        name: definition.name.clone(),
        decimals: match kind {
            TypeKind::Decimal => Some(ty.decimals.unwrap_or(0)),
            _ => ty.decimals,
        },
        unsigned: ty.unsigned,
        zerofill: ty.zerofill,
        members: ty.members.clone(),
        kind,
        length,
        charset,
        collation,
        nullable,
        default,
        origin_default: None,
        on_update,
        auto_increment: definition.auto_increment,
        generated: definition.generated.clone(),
        comment: definition.comment.clone().unwrap_or_default(),
        invisible: definition.invisible,
        srid: definition.srid,
    })
}

fn zero_time(digits: u8) -> String {
    let mut text = "0000-00-00 00:00:00".to_owned();
    if digits > 0 {
        text.push('.');
        text.extend(std::iter::repeat_n('0', usize::from(digits)));
    }
    text
}

/// The type a server stores for a written one, its length and, for text, its character set.
fn resolve_type(
    table: &Table,
    ty: &DataType,
    environment: &Environment,
) -> Result<(TypeKind, Option<u32>, Option<Pair>)> {
    use TypeKind::*;
    if ty.kind == Json && environment.dialect == Dialect::MariaDb {
        return Ok((LongText, None, Some(("utf8mb4".into(), "utf8mb4_bin".into()))));
    }
    if !is_text(&ty.kind) {
        let kind = if ty.kind == Blob && ty.length.is_some() {
            text_of(u64::from(ty.length.unwrap_or(0)), true)
        } else {
            ty.kind.clone()
        };
        let length = match ty.kind {
            Binary | Bit => ty.length.or(Some(1)),
            Decimal => Some(ty.length.filter(|length| *length > 0).unwrap_or(10)),
            Time | DateTime | Timestamp => Some(ty.length.unwrap_or(0)),
            Blob => None,
            Year => ty.length.or(Some(4)),
            _ => ty.length,
        };
        return Ok((kind, length, None));
    }
    let choice = CharsetChoice { charset: ty.charset.clone(), collation: ty.collation.clone() };
    let parent = (table.charset.clone(), table.collation.clone());
    let (charset, mut collation) = charset::resolve(&choice, Some(&parent), environment, || {
        SchemaError::UnknownDatabase { schema: String::new() }
    })?;
    if ty.binary && ty.collation.is_none() {
        collation = charset::binary_collation(&charset);
    }
    let bytes = u64::from(charset::charset_info(&charset).map_or(1, |info| info.max_bytes));
    let length = u64::from(ty.length.unwrap_or(1)) * bytes;
    let (kind, length) = match ty.kind {
        Char => (Char, Some(ty.length.unwrap_or(1))),
        VarChar if length > MAX_VARCHAR => (text_of(length, false), None),
        VarChar => (VarChar, ty.length),
        Text if ty.length.is_some() => (text_of(length, false), None),
        ref kind => (kind.clone(), None),
    };
    // The character set binary makes bytes of text, but not of ENUM and SET.
    let kind = match kind {
        kind if charset != "binary" => kind,
        Char => Binary,
        VarChar => VarBinary,
        TinyText => TinyBlob,
        Text => Blob,
        MediumText => MediumBlob,
        LongText => LongBlob,
        kind => kind,
    };
    let pair = is_text(&kind).then_some((charset, collation));
    Ok((kind, length, pair))
}

/// The smallest text or blob type for so many bytes.
pub(super) fn text_of(bytes: u64, blob: bool) -> TypeKind {
    use TypeKind::*;
    match (bytes, blob) {
        (0..=0xff, false) => TinyText,
        (0..=0xffff, false) => Text,
        (0..=0xff_ffff, false) => MediumText,
        (_, false) => LongText,
        (0..=0xff, true) => TinyBlob,
        (0..=0xffff, true) => Blob,
        (0..=0xff_ffff, true) => MediumBlob,
        (_, true) => LongBlob,
    }
}

/// Keys of one statement, gathered before names are given.
#[derive(Default)]
pub(super) struct Keys {
    indexes: Vec<Index>,
    /// Their names, None where the server chooses.
    names: Vec<Option<String>>,
    /// Columns they would be named by, for functional keys None.
    if_not_exists: Vec<bool>,
}

impl Keys {
    /// Takes the keys an element brings; constraints that are no keys go to the table at once.
    pub(super) fn element(
        &mut self,
        element: &Element,
        ddl: &Ddl,
        environment: &Environment,
        table: &mut Table,
    ) {
        match element {
            Element::Column(definition) => {
                self.column(definition);
                if let Some(references) = &definition.references
                    && environment.column_references
                {
                    self.foreign_key(references, table);
                }
            }
            Element::Index(index) => self.index(index),
            Element::ForeignKey(key) => self.foreign_key(key, table),
            Element::Check { name, span } => {
                table.checks.push(Check { name: name.clone(), text: span.text(ddl.text()) });
            }
            Element::Period(_) => {}
        }
    }

    /// UNIQUE and PRIMARY KEY of a column.
    pub(super) fn column(&mut self, definition: &ColumnDef) {
        let kinds = [(definition.primary, IndexKind::Primary), (definition.unique, IndexKind::Unique)];
        for (_, kind) in kinds.iter().filter(|(written, _)| *written) {
            let name = (*kind == IndexKind::Primary).then(|| "PRIMARY".to_owned());
            let mut index = empty_index(*kind, column_parts(std::slice::from_ref(&definition.name)));
            index.clustered = definition.clustered.filter(|_| index.primary);
            self.push(name, index, false);
        }
    }

    pub(super) fn index(&mut self, definition: &IndexDef) {
        let parts = definition
            .parts
            .iter()
            .map(|part| Part {
                column: part.column.clone(),
                expression: part.expression.clone(),
                length: part.length,
                descending: part.descending,
            })
            .collect();
        let mut index = empty_index(definition.kind, parts);
        index.using = definition.using.clone();
        index.comment = definition.comment.clone().unwrap_or_default();
        index.invisible = definition.invisible;
        index.global = definition.global;
        index.clustered = definition.clustered;
        self.push(definition.name.clone(), index, definition.if_not_exists);
    }

    fn foreign_key(&mut self, key: &ForeignKey, table: &mut Table) {
        let mut index = empty_index(IndexKind::Plain, column_parts(&key.columns));
        index.implicit = true;
        let name = key.name.clone().or_else(|| key.index_name.clone());
        self.push(name, index, false);
        table.foreign_keys.push(key.clone());
    }

    fn push(&mut self, name: Option<String>, index: Index, if_not_exists: bool) {
        self.names.push(name);
        self.indexes.push(index);
        self.if_not_exists.push(if_not_exists);
    }

    /// Adds the keys to the table: implicit ones only where no other serves, names chosen as a server does.
    pub(super) fn add_to(self, table: &mut Table, environment: &Environment) -> Result<()> {
        let mut indexes = self.indexes;
        for index in &mut indexes {
            table.check_parts(index, environment)?;
        }
        let serves = |other: &Index, implicit: &Index| {
            !matches!(other.kind, IndexKind::FullText | IndexKind::Spatial | IndexKind::Vector)
                && other.parts.len() >= implicit.parts.len()
                && implicit
                    .parts
                    .iter()
                    .zip(&other.parts)
                    .all(|(a, b)| a.column == b.column && b.length.is_none())
        };
        // Implicit keys of earlier statements go away when one of these serves.
        table.indexes.retain(|old| !old.implicit || !indexes.iter().any(|new| serves(new, old)));
        let mut kept: Vec<usize> = Vec::new();
        for (at, index) in indexes.iter().enumerate() {
            let redundant = index.implicit
                && (table.indexes.iter().any(|old| serves(old, index))
                    || indexes.iter().enumerate().any(|(other_at, other)| {
                        other_at != at
                            && serves(other, index)
                            && (!other.implicit || other.parts.len() > index.parts.len() || other_at < at)
                    }));
            if !redundant {
                kept.push(at);
            }
        }
        for at in kept {
            let mut index = indexes[at].clone();
            match &self.names[at] {
                Some(name) if table.index(name).is_some() => {
                    if self.if_not_exists[at] {
                        continue;
                    }
                    return Err(SchemaError::DuplicateIndex {
                        table: table.name.clone(),
                        index: name.clone(),
                    });
                }
                Some(name) => index.name = name.clone(),
                None => index.name = table.free_index_name(&index),
            }
            table.push_index(index);
        }
        Ok(())
    }
}

fn column_parts(columns: &[String]) -> Vec<Part> {
    columns
        .iter()
        .map(|column| Part {
            column: Some(column.clone()),
            expression: None,
            length: None,
            descending: false,
        })
        .collect()
}

fn empty_index(kind: IndexKind, parts: Vec<Part>) -> Index {
    Index {
        id: 0,
        name: String::new(),
        primary: kind == IndexKind::Primary,
        unique: matches!(kind, IndexKind::Primary | IndexKind::Unique),
        kind,
        parts,
        using: None,
        comment: String::new(),
        invisible: false,
        implicit: false,
        global: false,
        clustered: None,
    }
}

impl Table {
    /// Adds a column at a position, or at the end.
    pub(super) fn push_column(&mut self, mut column: Column, at: Option<usize>) -> Result<()> {
        if self.column(&column.name).is_some() {
            return Err(SchemaError::DuplicateColumn { table: self.name.clone(), column: column.name });
        }
        self.max_column_id += 1;
        column.id = self.max_column_id;
        let at = at.unwrap_or(self.columns.len()).min(self.columns.len());
        self.columns.insert(at, column);
        Ok(())
    }

    /// Adds an index whose parts were checked; a primary key makes its columns NOT NULL.
    pub(super) fn push_index(&mut self, mut index: Index) {
        self.max_index_id += 1;
        index.id = self.max_index_id;
        if index.primary {
            for part in &index.parts {
                let Some(column) = self
                    .columns
                    .iter_mut()
                    .find(|column| part.column.as_deref().is_some_and(|name| same_name(name, &column.name)))
                else {
                    continue;
                };
                column.nullable = false;
                if column.default == Some(DefaultValue::Null) {
                    column.default = None;
                }
            }
        }
        self.indexes.push(index);
    }

    /// Gives the parts of an index the spelling of their columns and drops prefixes that are no prefixes.
    pub(super) fn check_parts(&self, index: &mut Index, environment: &Environment) -> Result<()> {
        for part in &mut index.parts {
            let Some(name) = &part.column else { continue };
            let Some((_, column)) = self.column(name) else {
                return Err(SchemaError::UnknownColumn { table: self.name.clone(), column: name.clone() });
            };
            part.column = Some(column.name.clone());
            part.length = prefix(column, part.length, index.kind, environment);
        }
        Ok(())
    }

    /// The name a server gives to an index without one: its first column's, with a number if that is taken.
    fn free_index_name(&self, index: &Index) -> String {
        let base = index.parts.first().and_then(|part| part.column.clone());
        let base = base.unwrap_or_else(|| "functional_index".into());
        if self.index(&base).is_none() && !same_name(&base, "PRIMARY") {
            return base;
        }
        (2u32..)
            .map(|number| format!("{base}_{number}"))
            .find(|name| self.index(name).is_none())
            .unwrap_or(base)
    }
}

/// Most bytes of a column in a key of InnoDB.
const MAX_KEY_PART: u32 = 3072;

/// A prefix length as a server keeps it: none for types without prefixes, none if it covers the column. MariaDB gives a text in a plain
/// key the longest possible one where none is written.
pub(super) fn prefix(
    column: &Column,
    length: Option<u32>,
    kind: IndexKind,
    environment: &Environment,
) -> Option<u32> {
    use TypeKind::*;
    match column.kind {
        Char | VarChar | Binary | VarBinary => length.filter(|length| column.length.unwrap_or(1) > *length),
        Geometry(_) => length,
        TinyText | Text | MediumText | LongText | TinyBlob | Blob | MediumBlob | LongBlob => {
            let implied = environment.dialect == Dialect::MariaDb && kind == IndexKind::Plain;
            let charset = column.charset.as_deref().and_then(charset::charset_info);
            length.or_else(|| implied.then(|| MAX_KEY_PART / charset.map_or(1, |info| info.max_bytes)))
        }
        _ => None,
    }
}
