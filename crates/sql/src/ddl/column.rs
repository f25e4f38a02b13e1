//! Column definitions: types, attributes, defaults.

use super::ast::{ColumnDef, DefaultValue, ForeignKey, Generated, Role};
use super::cursor::{Cursor, Result, bit_bytes, hex_bytes};
use super::types::{DataType, TypeKind};
use crate::classify::NamedTable;
use crate::lexer::{Span, TokenKind};

/// One-word type names.
const WORDS: [(&str, TypeKind); 66] = {
    use TypeKind::*;
    [
        ("TINYINT", TinyInt),
        ("INT1", TinyInt),
        ("BOOL", TinyInt),
        ("BOOLEAN", TinyInt),
        ("SMALLINT", SmallInt),
        ("INT2", SmallInt),
        ("MEDIUMINT", MediumInt),
        ("MIDDLEINT", MediumInt),
        ("INT3", MediumInt),
        ("INT", Int),
        ("INTEGER", Int),
        ("INT4", Int),
        ("BIGINT", BigInt),
        ("INT8", BigInt),
        ("SERIAL", BigInt),
        ("DECIMAL", Decimal),
        ("DEC", Decimal),
        ("NUMERIC", Decimal),
        ("FIXED", Decimal),
        ("NUMBER", Decimal),
        ("FLOAT", Float),
        ("FLOAT4", Float),
        ("DOUBLE", Double),
        ("FLOAT8", Double),
        ("REAL", Double),
        ("BIT", Bit),
        ("YEAR", Year),
        ("DATE", Date),
        ("TIME", Time),
        ("DATETIME", DateTime),
        ("TIMESTAMP", Timestamp),
        ("CHAR", Char),
        ("CHARACTER", Char),
        ("NCHAR", Char),
        ("VARCHAR", VarChar),
        ("VARCHARACTER", VarChar),
        ("NVARCHAR", VarChar),
        ("VARCHAR2", VarChar),
        ("BINARY", Binary),
        ("VARBINARY", VarBinary),
        ("RAW", VarBinary),
        ("TINYTEXT", TinyText),
        ("TEXT", Text),
        ("MEDIUMTEXT", MediumText),
        ("LONGTEXT", LongText),
        ("CLOB", LongText),
        ("TINYBLOB", TinyBlob),
        ("BLOB", Blob),
        ("MEDIUMBLOB", MediumBlob),
        ("LONGBLOB", LongBlob),
        ("ENUM", Enum),
        ("SET", Set),
        ("JSON", Json),
        ("GEOMETRY", Geometry("geometry")),
        ("POINT", Geometry("point")),
        ("LINESTRING", Geometry("linestring")),
        ("POLYGON", Geometry("polygon")),
        ("MULTIPOINT", Geometry("multipoint")),
        ("MULTILINESTRING", Geometry("multilinestring")),
        ("MULTIPOLYGON", Geometry("multipolygon")),
        ("GEOMETRYCOLLECTION", Geometry("geometrycollection")),
        ("GEOMCOLLECTION", Geometry("geometrycollection")),
        ("VECTOR", Vector),
        ("UUID", Uuid),
        ("INET4", Inet4),
        ("INET6", Inet6),
    ]
};

/// Words for the current time.
const NOW: [&str; 4] = ["CURRENT_TIMESTAMP", "NOW", "LOCALTIME", "LOCALTIMESTAMP"];

impl Cursor<'_> {
    /// A column with its name; `stop` ends the attributes besides `,`, `)` and the end of the text.
    pub(super) fn column_def(&mut self, stop: &dyn Fn(&Self) -> bool) -> Result<ColumnDef> {
        let start = self.start();
        let name = self.column_name()?;
        let mut column = self.column_rest(name, stop)?;
        column.span = self.span_from(start);
        Ok(column)
    }

    fn column_rest(&mut self, name: String, stop: &dyn Fn(&Self) -> bool) -> Result<ColumnDef> {
        let serial = self.is("SERIAL");
        // `c AS (a + 1)` without a type is MariaDB's and the server then derives one; no such form reaches a binlog.
        let ty = self.data_type()?;
        let mut column = ColumnDef {
            name,
            ty,
            nullable: serial.then_some(false),
            default: None,
            on_update: None,
            auto_increment: serial,
            primary: false,
            clustered: None,
            unique: serial,
            generated: None,
            comment: None,
            invisible: false,
            versioned: false,
            srid: None,
            references: None,
            span: Span::default(),
        };
        while !self.at_end() && !self.is_byte(b',') && !self.is_byte(b')') && !stop(self) {
            self.attribute(&mut column)?;
        }
        Ok(column)
    }

    pub(super) fn data_type(&mut self) -> Result<DataType> {
        let start = self.start();
        let mut ty = DataType {
            kind: TypeKind::Int,
            length: None,
            decimals: None,
            unsigned: false,
            zerofill: false,
            charset: None,
            collation: None,
            binary: false,
            members: Vec::new(),
            boolean: self.is_any(&["BOOL", "BOOLEAN"]),
            span: Span::default(),
        };
        ty.unsigned = self.is("SERIAL");
        ty.kind = self.type_words(&mut ty)?;
        if ty.boolean {
            ty.length = Some(1);
        } else if self.is_byte(b'(') {
            self.type_arguments(&mut ty)?;
        }
        if ty.kind == TypeKind::Float && ty.decimals.is_none() && ty.length.is_some() {
            if ty.length > Some(24) {
                ty.kind = TypeKind::Double;
            }
            ty.length = None;
        }
        ty.span = self.span_from(start);
        while self.type_attribute(&mut ty)? {}
        Ok(ty)
    }

    fn type_words(&mut self, ty: &mut DataType) -> Result<TypeKind> {
        let national = self.accept("NATIONAL");
        if national || self.is_any(&["NCHAR", "NVARCHAR"]) {
            ty.charset = Some("utf8".into());
        }
        if !national && self.accept("LONG") {
            if self.accept("VARBINARY") {
                return Ok(TypeKind::MediumBlob);
            }
            if self.accept_any(&["CHAR", "CHARACTER"]).is_some() {
                self.expect("VARYING")?;
            } else {
                self.accept_any(&["VARCHAR", "VARCHARACTER"]);
            }
            return Ok(TypeKind::MediumText);
        }
        let Some(token) = self.peek().filter(|token| token.kind == TokenKind::Word) else {
            return self.expected("a column type");
        };
        let word = self.string_of(token.span).to_ascii_uppercase();
        self.advance();
        let kind = WORDS
            .iter()
            .find(|(name, _)| *name == word)
            .map_or_else(|| TypeKind::Other(word.to_ascii_lowercase()), |(_, kind)| kind.clone());
        Ok(match kind {
            TypeKind::Char if word == "NCHAR" && self.accept_any(&["VARCHAR", "VARCHARACTER"]).is_some() => {
                TypeKind::VarChar
            }
            TypeKind::Char if self.accept("VARYING") => TypeKind::VarChar,
            TypeKind::Double => {
                self.accept("PRECISION");
                TypeKind::Double
            }
            kind => kind,
        })
    }

    fn type_arguments(&mut self, ty: &mut DataType) -> Result<()> {
        if matches!(ty.kind, TypeKind::Other(_)) {
            self.parentheses()?;
            return Ok(());
        }
        self.expect_byte(b'(', "(")?;
        if matches!(ty.kind, TypeKind::Enum | TypeKind::Set) {
            loop {
                ty.members.push(self.string()?);
                if !self.accept_byte(b',') {
                    break;
                }
            }
        } else {
            ty.length = Some(self.small_number()?);
            if self.accept_byte(b',') {
                ty.decimals = Some(self.small_number()?);
            }
        }
        self.expect_byte(b')', ")")
    }

    /// Attributes that belong to the type; COLLATE may come later too.
    fn type_attribute(&mut self, ty: &mut DataType) -> Result<bool> {
        if self.accept("UNSIGNED") {
            ty.unsigned = true;
        } else if self.accept("SIGNED") {
            ty.unsigned = false;
        } else if self.accept("ZEROFILL") {
            (ty.unsigned, ty.zerofill) = (true, true);
        } else if self.accept("ASCII") {
            ty.charset = Some("latin1".into());
        } else if self.accept("UNICODE") {
            ty.charset = Some("ucs2".into());
        } else if self.accept("BYTE") {
            ty.charset = Some("binary".into());
        } else if self.accept("BINARY") {
            ty.binary = true;
        } else if self.accept("CHARSET")
            || self.accept_all(&["CHARACTER", "SET"])
            || self.accept_all(&["CHAR", "SET"])
        {
            ty.charset = Some(self.charset_name()?);
        } else if self.accept("COLLATE") {
            ty.collation = Some(self.charset_name()?);
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn attribute(&mut self, column: &mut ColumnDef) -> Result<()> {
        if self.type_attribute(&mut column.ty)? {
            return Ok(());
        }
        if self.accept_all(&["NOT", "NULL"]) {
            column.nullable = Some(false);
        } else if self.accept("NULL") {
            column.nullable = Some(true);
        } else if self.is("SERIAL") && self.accept_all(&["SERIAL", "DEFAULT", "VALUE"]) {
            (column.auto_increment, column.unique, column.nullable) = (true, true, Some(false));
        } else if self.accept("DEFAULT") {
            column.default = Some(self.default_value()?);
        } else if self.accept_all(&["ON", "UPDATE"]) {
            column.on_update = Some(self.now()?);
        } else if self.accept("AUTO_INCREMENT") {
            column.auto_increment = true;
        } else if self.accept("AUTO_RANDOM") {
            if self.is_byte(b'(') {
                self.parentheses()?;
            }
        } else if self.accept("PRIMARY") {
            self.accept("KEY");
            column.primary = true;
            column.clustered =
                self.accept_any(&["CLUSTERED", "NONCLUSTERED"]).map(|word| word == "CLUSTERED");
        } else if self.accept("UNIQUE") {
            self.accept("KEY");
            column.unique = true;
        } else if self.accept("KEY") {
            column.primary = true;
        } else if self.accept("COMMENT") {
            column.comment = Some(self.string_text()?);
        } else if self.accept_all(&["GENERATED", "ALWAYS"]) || self.is("AS") {
            self.expect("AS")?;
            column.generated = Some(self.generated()?);
        } else if self.accept("CONSTRAINT") {
            if !self.is("CHECK") {
                self.name("a constraint")?;
            }
        } else if self.accept("CHECK") {
            self.parentheses()?;
            self.enforced();
        } else if self.is("REFERENCES") {
            column.references = Some(Box::new(self.column_references(&column.name)?));
        } else if self.accept("INVISIBLE") {
            column.invisible = true;
        } else if self.accept("VISIBLE") {
            column.invisible = false;
        } else if self.accept_all(&["WITH", "SYSTEM", "VERSIONING"]) {
            column.versioned = true;
        } else if self.accept("SRID") {
            column.srid = Some(self.small_number()?);
        } else if self.accept("REF_SYSTEM_ID") {
            self.accept_byte(b'=');
            column.srid = Some(self.small_number()?);
        } else if self.accept_any(&["COLUMN_FORMAT", "STORAGE"]).is_some() {
            self.name("FIXED, DYNAMIC, DEFAULT, DISK or MEMORY")?;
        } else {
            self.skip()?;
        }
        Ok(())
    }

    /// `[NOT] ENFORCED`
    pub(super) fn enforced(&mut self) {
        let _ = self.accept_all(&["NOT", "ENFORCED"]) || self.accept("ENFORCED");
    }

    fn generated(&mut self) -> Result<Generated> {
        if self.accept("ROW") {
            let word = if self.accept("START") { "ROW START" } else { "ROW END" };
            self.accept("END");
            return Ok(Generated { expression: word.into(), stored: true });
        }
        let expression = self.parenthesised_text()?;
        let stored = self.accept_any(&["STORED", "PERSISTENT"]).is_some();
        self.accept("VIRTUAL");
        Ok(Generated { expression, stored })
    }

    fn column_references(&mut self, column: &str) -> Result<ForeignKey> {
        let start = self.start();
        let (parent, parent_columns, actions) = self.references_clause()?;
        Ok(ForeignKey {
            name: None,
            index_name: None,
            columns: vec![column.to_owned()],
            parent,
            parent_columns,
            actions,
            span: self.span_from(start),
        })
    }

    /// `REFERENCES t (c, …) [MATCH x] [ON DELETE x] [ON UPDATE x]`
    pub(super) fn references_clause(&mut self) -> Result<(NamedTable, Vec<String>, String)> {
        self.expect("REFERENCES")?;
        let parent = self.table(Role::Parent)?;
        let mut columns = Vec::new();
        if self.accept_byte(b'(') {
            loop {
                columns.push(self.name("a column")?);
                if !self.accept_byte(b',') {
                    break;
                }
            }
            self.expect_byte(b')', ")")?;
        }
        if self.accept("MATCH") {
            self.advance();
        }
        let start = self.start();
        let mut end = start;
        while self.is("ON") && self.peek_at(1).is_some() {
            let updates_time = self.are(&["ON", "UPDATE"]) && {
                let word = self.peek_at(2).map(|token| self.string_of(token.span).to_ascii_uppercase());
                word.is_some_and(|word| NOW.contains(&word.as_str()))
            };
            if updates_time {
                break;
            }
            self.advance();
            if self.accept_any(&["DELETE", "UPDATE"]).is_none() {
                return self.expected("DELETE or UPDATE");
            }
            if self.accept("SET") || self.accept("NO") {
                self.advance();
            } else if self.accept_any(&["RESTRICT", "CASCADE"]).is_none() {
                return self.expected("a reference option");
            }
            end = self.end();
        }
        let actions = self.string_of(Span::new(start, end)).to_ascii_uppercase();
        Ok((parent, columns, actions))
    }

    /// CURRENT_TIMESTAMP and its synonyms.
    fn now(&mut self) -> Result<u8> {
        if self.accept_any(&NOW).is_none() {
            return self.expected("CURRENT_TIMESTAMP");
        }
        let mut digits = 0;
        if self.accept_byte(b'(') {
            if !self.is_byte(b')') {
                digits = u8::try_from(self.small_number()?).unwrap_or(u8::MAX);
            }
            self.expect_byte(b')', ")")?;
        }
        Ok(digits)
    }

    /// What follows DEFAULT.
    pub(super) fn default_value(&mut self) -> Result<DefaultValue> {
        if self.is_any(&NOW) {
            return Ok(DefaultValue::Now(self.now()?));
        }
        let Some(token) = self.peek() else { return self.expected("a default value") };
        Ok(match token.kind {
            TokenKind::Punct(b'(') => DefaultValue::Expression(self.parenthesised_text()?),
            TokenKind::Punct(sign @ (b'-' | b'+')) => {
                self.advance();
                let sign = if sign == b'-' { "-" } else { "" };
                if self.is_byte(b'.') {
                    return Ok(DefaultValue::Number(self.fraction(sign)?));
                }
                let Some(number) = self.peek().filter(|token| token.kind == TokenKind::Number) else {
                    return self.expected("a number");
                };
                self.advance();
                DefaultValue::Number(format!("{sign}{}", self.string_of(number.span)))
            }
            TokenKind::Number => {
                self.advance();
                DefaultValue::Number(self.string_of(token.span))
            }
            TokenKind::Punct(b'.') => DefaultValue::Number(self.fraction("")?),
            TokenKind::String | TokenKind::Introducer => DefaultValue::String(self.string()?),
            TokenKind::Hex => {
                self.advance();
                DefaultValue::Hex(hex_bytes(token.span.of(self.text)))
            }
            TokenKind::Bit => {
                self.advance();
                DefaultValue::Bit(bit_bytes(token.span.of(self.text)))
            }
            TokenKind::Word => self.word_default()?,
            _ => return self.expected("a default value"),
        })
    }

    /// `.5` behind a word, which for the lexer is the rest of a qualified name.
    fn fraction(&mut self, sign: &str) -> Result<String> {
        let start = self.start();
        let next = self.peek_at(1).filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Number));
        let digits = next.map(|token| self.string_of(token.span)).unwrap_or_default();
        if next.is_none_or(|token| token.span.start != start + 1)
            || format!("0.{digits}").parse::<f64>().is_err()
        {
            return self.expected("a default value");
        }
        self.advance();
        self.advance();
        Ok(format!("{sign}0.{digits}"))
    }

    fn word_default(&mut self) -> Result<DefaultValue> {
        if self.accept("NULL") {
            return Ok(DefaultValue::Null);
        }
        if self.accept("TRUE") {
            return Ok(DefaultValue::Bool(true));
        }
        if self.accept("FALSE") {
            return Ok(DefaultValue::Bool(false));
        }
        let start = self.start();
        if self.are(&["NEXT", "VALUE", "FOR"]) || self.are(&["PREVIOUS", "VALUE", "FOR"]) {
            for _ in 0..3 {
                self.advance();
            }
            self.table(Role::Sequence)?;
            return Ok(DefaultValue::Expression(self.string_of(self.span_from(start))));
        }
        let sequence = self.is_any(&["NEXTVAL", "LASTVAL"]) && self.is_byte_at(1, b'(');
        self.advance();
        if sequence {
            self.advance();
            self.table(Role::Sequence)?;
            self.expect_byte(b')', ")")?;
        } else if self.is_byte(b'(') {
            self.parentheses()?;
        }
        Ok(DefaultValue::Expression(self.string_of(self.span_from(start))))
    }
}
