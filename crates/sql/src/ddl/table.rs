//! CREATE TABLE: elements, keys, table options, partitions.

use super::ast::{CreateTable, Element, ForeignKey, IndexDef, IndexKind, IndexPart, Role, TableOption};
use super::cursor::{Cursor, Result};
use crate::classify::NamedTable;
use crate::lexer::{Span, TokenKind};

impl Cursor<'_> {
    pub(super) fn create_table(&mut self, or_replace: bool, temporary: bool) -> Result<CreateTable> {
        let guard = self.end();
        let if_not_exists = self.if_not_exists();
        if !if_not_exists && !or_replace {
            self.guard = Some(guard);
        }
        let table = self.table(Role::Table)?;
        self.subject = Some(table.clone());
        let mut create = CreateTable {
            table,
            temporary,
            or_replace,
            if_not_exists,
            elements: Vec::new(),
            like: None,
            options: Vec::new(),
            partitioning: None,
            select: None,
            start_transaction: None,
        };
        if self.accept("LIKE") {
            create.like = Some(self.table(Role::Like)?);
            return Ok(create);
        }
        if self.is_byte(b'(') {
            let ahead = self.peek_at(1).map(|token| self.string_of(token.span).to_ascii_uppercase());
            match ahead.as_deref() {
                Some("LIKE") => {
                    self.advance();
                    self.advance();
                    create.like = Some(self.table(Role::Like)?);
                    self.expect_byte(b')', ")")?;
                    return Ok(create);
                }
                Some("SELECT" | "WITH" | "VALUES" | "TABLE" | "(") => {
                    create.select = Some(self.rest()?);
                    return Ok(create);
                }
                _ => self.elements(&mut create.elements, &mut Vec::new())?,
            }
        }
        self.table_tail(&mut create)?;
        Ok(create)
    }

    /// Everything up to the end of the statement.
    fn rest(&mut self) -> Result<Span> {
        self.skip_until(|_| false)
    }

    /// `( element, … )`
    pub(super) fn elements(&mut self, elements: &mut Vec<Element>, spans: &mut Vec<Span>) -> Result<()> {
        self.expect_byte(b'(', "(")?;
        loop {
            let start = self.start();
            elements.push(self.element(&|_| false)?);
            spans.push(self.span_from(start));
            if !self.accept_byte(b',') {
                break;
            }
        }
        self.expect_byte(b')', ") or ,")
    }

    /// Whether a key, constraint, check or period begins here, and not a column.
    pub(super) fn is_constraint(&self) -> bool {
        self.is_any(&[
            "PRIMARY",
            "KEY",
            "INDEX",
            "UNIQUE",
            "FULLTEXT",
            "SPATIAL",
            "FOREIGN",
            "CONSTRAINT",
            "CHECK",
        ]) || self.are(&["VECTOR", "INDEX"])
            || self.are(&["VECTOR", "KEY"])
            || self.are(&["COLUMNAR", "INDEX"])
            || self.are(&["PERIOD", "FOR"])
    }

    pub(super) fn element(&mut self, stop: &dyn Fn(&Self) -> bool) -> Result<Element> {
        if !self.is_constraint() {
            return Ok(Element::Column(self.column_def(stop)?));
        }
        let start = self.start();
        if self.accept("PERIOD") {
            self.expect("FOR")?;
            self.name("a period")?;
            self.parentheses()?;
            return Ok(Element::Period(self.span_from(start)));
        }
        let mut constraint = None;
        if self.accept("CONSTRAINT") {
            self.if_not_exists();
            if !self.is_any(&["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"]) {
                constraint = Some(self.name("a constraint")?);
            }
        }
        if self.is("CHECK") {
            let start = self.start();
            self.advance();
            self.parentheses()?;
            self.enforced();
            return Ok(Element::Check { name: constraint, span: self.span_from(start) });
        }
        if self.accept("FOREIGN") {
            return self.foreign_key(constraint, start);
        }
        Ok(Element::Index(self.index_def(constraint, start)?))
    }

    fn foreign_key(&mut self, name: Option<String>, start: usize) -> Result<Element> {
        self.expect("KEY")?;
        self.if_not_exists();
        let index_name = if self.is_byte(b'(') { None } else { Some(self.name("an index")?) };
        let mut columns = Vec::new();
        self.expect_byte(b'(', "(")?;
        loop {
            columns.push(self.name("a column")?);
            if !self.accept_byte(b',') {
                break;
            }
        }
        self.expect_byte(b')', ")")?;
        let (parent, parent_columns, actions) = self.references_clause()?;
        let span = self.span_from(start);
        Ok(Element::ForeignKey(ForeignKey {
            name,
            index_name,
            columns,
            parent,
            parent_columns,
            actions,
            span,
        }))
    }

    /// `{PRIMARY KEY | UNIQUE … | KEY …} [name] [USING x] (parts) options`
    fn index_def(&mut self, constraint: Option<String>, start: usize) -> Result<IndexDef> {
        let kind = if self.accept("PRIMARY") {
            self.expect("KEY")?;
            IndexKind::Primary
        } else {
            let kind = self.index_kind();
            if self.accept_any(&["KEY", "INDEX"]).is_none() && kind == IndexKind::Plain {
                return self.expected("KEY or INDEX");
            }
            kind
        };
        let if_not_exists = self.if_not_exists();
        // TYPE is a synonym of USING and no reserved word: it is a name if the parts follow it.
        let using_here = self.is("USING") || self.is("TYPE") && !self.is_byte_at(1, b'(');
        let mut name = None;
        if !self.is_byte(b'(') && !using_here {
            name = Some(self.name("an index")?);
        }
        let mut index = self.index_parts(kind, start)?;
        index.name = if kind == IndexKind::Primary { Some("PRIMARY".into()) } else { name.or(constraint) };
        index.if_not_exists = if_not_exists;
        Ok(index)
    }

    /// UNIQUE, FULLTEXT, SPATIAL, VECTOR, COLUMNAR or nothing.
    pub(super) fn index_kind(&mut self) -> IndexKind {
        if self.accept("UNIQUE") {
            IndexKind::Unique
        } else if self.accept("FULLTEXT") {
            IndexKind::FullText
        } else if self.accept("SPATIAL") {
            IndexKind::Spatial
        } else if self.accept_any(&["VECTOR", "COLUMNAR"]).is_some() {
            IndexKind::Vector
        } else {
            IndexKind::Plain
        }
    }

    /// `[USING x] (part, …) options`
    pub(super) fn index_parts(&mut self, kind: IndexKind, start: usize) -> Result<IndexDef> {
        let mut index = IndexDef {
            kind,
            name: None,
            parts: Vec::new(),
            using: None,
            comment: None,
            invisible: false,
            if_not_exists: false,
            clustered: None,
            global: false,
            span: Span::default(),
        };
        self.using(&mut index)?;
        self.expect_byte(b'(', "(")?;
        loop {
            index.parts.push(self.index_part()?);
            if !self.accept_byte(b',') {
                break;
            }
        }
        self.expect_byte(b')', ")")?;
        while self.index_option(&mut index)? {}
        index.span = self.span_from(start);
        Ok(index)
    }

    fn using(&mut self, index: &mut IndexDef) -> Result<bool> {
        if self.accept_any(&["USING", "TYPE"]).is_none() {
            return Ok(false);
        }
        index.using = Some(self.name("an index type")?.to_ascii_lowercase());
        Ok(true)
    }

    fn index_part(&mut self) -> Result<IndexPart> {
        let mut part = IndexPart { column: None, expression: None, length: None, descending: false };
        if self.is_byte(b'(') {
            part.expression = Some(self.parenthesised_text()?);
        } else {
            part.column = Some(self.column_name()?);
            if self.is_byte(b'(') && self.is_byte_at(2, b')') {
                self.advance();
                part.length = Some(self.small_number()?);
                self.expect_byte(b')', ")")?;
            } else if self.is_byte(b'(') {
                // TiDB: an expression over a column as in `VEC_COSINE_DISTANCE(v)`, without parentheses of its own.
                let name = part.column.take().unwrap_or_default();
                part.expression = Some(format!("{name}({})", self.parenthesised_text()?));
            }
        }
        part.descending = self.accept("DESC");
        self.accept("ASC");
        // MariaDB's application periods: `UNIQUE (id, p WITHOUT OVERLAPS)`.
        if self.accept_all(&["WITHOUT", "OVERLAPS"]) {
            let period = part.column.take().unwrap_or_default();
            part.expression = Some(format!("{period} WITHOUT OVERLAPS"));
        }
        Ok(part)
    }

    /// One option behind the parts of an index; false if none is here.
    fn index_option(&mut self, index: &mut IndexDef) -> Result<bool> {
        if self.using(index)? {
            return Ok(true);
        }
        if self.accept("COMMENT") {
            self.accept_byte(b'=');
            index.comment = Some(self.string_text()?);
        } else if self.accept_any(&["INVISIBLE", "IGNORED"]).is_some() {
            index.invisible = true;
        } else if self.accept("VISIBLE") || self.accept_all(&["NOT", "IGNORED"]) {
            index.invisible = false;
        } else if self.accept("CLUSTERED") {
            // MariaDB 11's `CLUSTERING=YES` is another word and passes below.
            index.clustered = Some(true);
        } else if self.accept("NONCLUSTERED") {
            index.clustered = Some(false);
        } else if self.accept("GLOBAL") {
            index.global = true;
        } else if self.accept_all(&["WITH", "PARSER"]) {
            self.name("a parser")?;
        } else if self.accept("LOCAL") {
        } else if self.is_name() && !self.ends_index_options() {
            // KEY_BLOCK_SIZE, ENGINE_ATTRIBUTE, SECONDARY_ENGINE_ATTRIBUTE, MariaDB's M, DISTANCE, CLUSTERING, …
            self.advance();
            if self.accept_byte(b'=')
                || !self.is_name() && !self.is_byte(b',') && !self.is_byte(b')') && !self.at_end()
            {
                self.advance();
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What may follow an index without a comma in CREATE INDEX and ALTER TABLE.
    fn ends_index_options(&self) -> bool {
        self.is_any(&[
            "ALGORITHM",
            "LOCK",
            "WAIT",
            "NOWAIT",
            "PARTITION",
            "REMOVE",
            "FIRST",
            "AFTER",
            "ONLINE",
            "OFFLINE",
        ])
    }

    /// Options, partitions, query.
    fn table_tail(&mut self, create: &mut CreateTable) -> Result<()> {
        while !self.at_end() {
            let start = self.start();
            if self.accept_byte(b',') {
                continue;
            }
            if self.is("PARTITION") && self.are(&["PARTITION", "BY"]) {
                create.partitioning = Some(self.skip_until(Self::begins_query)?);
            } else if self.accept_all(&["START", "TRANSACTION"]) {
                create.start_transaction = Some(self.span_from(start));
            } else if self.is_byte(b'(') || self.begins_query() {
                create.select = Some(self.rest()?);
            } else {
                create.options.push(self.table_option()?);
            }
        }
        Ok(())
    }

    fn begins_query(&self) -> bool {
        self.is_any(&["SELECT", "AS", "IGNORE", "REPLACE", "VALUES", "TABLE"])
            || self.is("WITH") && !self.are(&["WITH", "SYSTEM"])
    }

    /// One table option.
    pub(super) fn table_option(&mut self) -> Result<TableOption> {
        let defaulted = self.accept("DEFAULT");
        if self.accept("CHARSET")
            || self.accept_all(&["CHARACTER", "SET"])
            || self.accept_all(&["CHAR", "SET"])
        {
            self.accept_byte(b'=');
            return Ok(TableOption::Charset(self.charset_name()?));
        }
        if self.accept("COLLATE") {
            self.accept_byte(b'=');
            return Ok(TableOption::Collate(self.charset_name()?));
        }
        if defaulted {
            return self.expected("CHARACTER SET or COLLATE");
        }
        let without = self.are(&["WITHOUT", "SYSTEM"]);
        if self.accept_all(&["WITH", "SYSTEM"]) || self.accept_all(&["WITHOUT", "SYSTEM"]) {
            self.expect("VERSIONING")?;
            let value = if without { "WITHOUT" } else { "WITH" };
            return Ok(TableOption::Other { name: "SYSTEM VERSIONING".into(), value: value.into() });
        }
        if self.accept_any(&["ENGINE", "TYPE"]).is_some() {
            self.accept_byte(b'=');
            let engine = if self.is_string() { self.string_text()? } else { self.name("an engine")? };
            return Ok(TableOption::Engine(engine));
        }
        if self.accept("COMMENT") {
            self.accept_byte(b'=');
            return Ok(TableOption::Comment(self.string_text()?));
        }
        if self.accept("AUTO_INCREMENT") {
            self.accept_byte(b'=');
            return Ok(TableOption::AutoIncrement(self.number()?));
        }
        if self.accept("UNION") {
            self.accept_byte(b'=');
            return self.union_option();
        }
        self.other_option()
    }

    fn union_option(&mut self) -> Result<TableOption> {
        let start = self.start();
        self.expect_byte(b'(', "(")?;
        while !self.accept_byte(b')') {
            self.table(Role::Merged)?;
            if !self.is_byte(b')') {
                self.expect_byte(b',', ", or )")?;
            }
        }
        let value = self.string_of(self.span_from(start));
        Ok(TableOption::Other { name: "UNION".into(), value })
    }

    fn other_option(&mut self) -> Result<TableOption> {
        let Some(first) = self.peek().filter(|_| self.is_name()) else {
            return self.expected("a table option");
        };
        let mut name = self.string_of(first.span).to_ascii_uppercase();
        self.advance();
        if matches!(name.as_str(), "DATA" | "INDEX") && self.accept("DIRECTORY") {
            name.push_str(" DIRECTORY");
        } else if name == "PLACEMENT" && self.accept("POLICY") {
            name.push_str(" POLICY");
        }
        let start = self.start();
        if self.accept_byte(b'=') {
            let start = self.start();
            self.option_value(&name)?;
            return Ok(TableOption::Other { name, value: self.string_of(self.span_from(start)) });
        }
        let value = match self.peek().map(|token| token.kind) {
            Some(TokenKind::String | TokenKind::Number | TokenKind::Hex | TokenKind::Introducer) => true,
            // Words that take a word without `=`; for any other a word begins the next option.
            Some(TokenKind::Word | TokenKind::Quoted) => matches!(
                name.as_str(),
                "ROW_FORMAT"
                    | "INSERT_METHOD"
                    | "TABLESPACE"
                    | "STORAGE"
                    | "STATS_PERSISTENT"
                    | "STATS_AUTO_RECALC"
                    | "STATS_SAMPLE_PAGES"
                    | "PACK_KEYS"
                    | "PLACEMENT POLICY"
                    | "TRANSACTIONAL"
                    | "CHECKSUM"
            ),
            _ => false,
        };
        if value {
            self.option_value(&name)?;
        }
        let value = if value { self.string_of(self.span_from(start)) } else { String::new() };
        Ok(TableOption::Other { name, value })
    }

    fn option_value(&mut self, name: &str) -> Result<()> {
        if self.is_string() {
            self.string()?;
            return Ok(());
        }
        self.skip()?;
        if name == "TTL" && self.accept_byte(b'+') {
            // `TTL = created_at + INTERVAL 3 MONTH`
            for _ in 0..3 {
                self.skip()?;
            }
        }
        Ok(())
    }

    /// The table of a statement on an index, which the cursor then knows as its subject.
    pub(super) fn subject_table(&mut self) -> Result<NamedTable> {
        let table = self.table(Role::Table)?;
        self.subject = Some(table.clone());
        Ok(table)
    }
}
