//! The statements around tables: their first words, and all that is short.

use super::ast::{CharsetChoice, Reference, Role, Statement};
use super::cursor::{Cursor, Result};
use super::{Ddl, DdlError};

impl Cursor<'_> {
    pub(super) fn statement(&mut self) -> Result<Statement> {
        if self.accept_all(&["SET", "STATEMENT"]) {
            // MariaDB: `SET STATEMENT max_statement_time = 60 FOR ALTER TABLE …`
            self.skip_until(|cursor| cursor.is("FOR"))?;
            self.expect("FOR")?;
        }
        if self.accept("CREATE") {
            return self.create();
        }
        if self.accept("ALTER") {
            return self.alter();
        }
        if self.accept("DROP") {
            return self.drop_statement();
        }
        if self.accept("RENAME") {
            return self.rename_tables();
        }
        if self.accept("TRUNCATE") {
            self.accept("TABLE");
            let table = self.table(Role::Table)?;
            self.wait()?;
            return Ok(Statement::TruncateTable { table });
        }
        self.not_ddl()
    }

    fn not_ddl<T>(&self) -> Result<T> {
        Err(DdlError::NotDdl { kind: Ddl::kind_of(self.text, self.mode) })
    }

    /// `WAIT n` or `NOWAIT` (MariaDB)
    fn wait(&mut self) -> Result<()> {
        if self.accept("WAIT") {
            self.number()?;
        } else {
            self.accept("NOWAIT");
        }
        Ok(())
    }

    fn create(&mut self) -> Result<Statement> {
        let or_replace = self.accept_all(&["OR", "REPLACE"]);
        if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            let guard = self.end();
            let if_not_exists = self.if_not_exists();
            if !if_not_exists && !or_replace {
                self.guard = Some(guard);
            }
            let name = self.database()?;
            let charset = self.database_options()?;
            return Ok(Statement::CreateDatabase { name, or_replace, if_not_exists, charset });
        }
        let temporary = self.accept_any(&["TEMPORARY"]).is_some();
        if self.accept("TABLE") {
            return Ok(Statement::CreateTable(Box::new(self.create_table(or_replace, temporary)?)));
        }
        if temporary {
            return self.not_ddl();
        }
        self.accept_any(&["ONLINE", "OFFLINE"]);
        let kind = self.index_kind();
        if self.accept("INDEX") {
            return self.create_index(or_replace, kind);
        }
        self.not_ddl()
    }

    fn create_index(&mut self, or_replace: bool, kind: super::IndexKind) -> Result<Statement> {
        let start = self.start();
        let if_not_exists = self.if_not_exists();
        let name = self.name("an index")?;
        let mut using = None;
        if self.accept_any(&["USING", "TYPE"]).is_some() {
            using = Some(self.name("an index type")?.to_ascii_lowercase());
        }
        self.expect("ON")?;
        let table = self.subject_table()?;
        self.wait()?;
        let mut index = self.index_parts(kind, start)?;
        index.name = Some(name);
        index.using = index.using.or(using);
        self.index_statement_options()?;
        Ok(Statement::CreateIndex { table, index, or_replace, if_not_exists })
    }

    /// `ALGORITHM = x`, `LOCK = x`, `WAIT n`, in any order.
    fn index_statement_options(&mut self) -> Result<()> {
        loop {
            if self.accept_any(&["ALGORITHM", "LOCK"]).is_some() {
                self.accept_byte(b'=');
                self.name("a value")?;
            } else if self.is_any(&["WAIT", "NOWAIT"]) {
                self.wait()?;
            } else {
                return Ok(());
            }
        }
    }

    fn alter(&mut self) -> Result<Statement> {
        if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            return self.alter_database();
        }
        while self.accept_any(&["ONLINE", "OFFLINE", "IGNORE"]).is_some() {}
        if self.accept("TABLE") {
            return Ok(Statement::AlterTable(Box::new(self.alter_table()?)));
        }
        self.not_ddl()
    }

    fn begins_database_option(&self) -> bool {
        self.is_any(&["CHARSET", "COLLATE"])
            || self.are(&["CHARACTER", "SET"])
            || self.are(&["CHAR", "SET"])
            || self.are(&["READ", "ONLY"])
            || self.is("DEFAULT")
            || self.is_any(&["ENCRYPTION", "COMMENT"])
                && (self.is_byte_at(1, b'=')
                    || self.peek_at(1).is_some_and(|token| token.kind == crate::lexer::TokenKind::String))
    }

    fn alter_database(&mut self) -> Result<Statement> {
        let name = if self.begins_database_option() {
            let insert_at = self.end();
            self.references.push(Reference { role: Role::Database, schema: None, table: None, insert_at });
            None
        } else {
            Some(self.database()?)
        };
        if self.accept_all(&["UPGRADE", "DATA", "DIRECTORY", "NAME"]) {
            return Ok(Statement::AlterDatabase { name, charset: CharsetChoice::default() });
        }
        let charset = self.database_options()?;
        Ok(Statement::AlterDatabase { name, charset })
    }

    fn database_options(&mut self) -> Result<CharsetChoice> {
        let mut choice = CharsetChoice::default();
        while !self.at_end() {
            self.accept_byte(b',');
            self.accept("DEFAULT");
            if self.accept("CHARSET")
                || self.accept_all(&["CHARACTER", "SET"])
                || self.accept_all(&["CHAR", "SET"])
            {
                self.accept_byte(b'=');
                choice.charset = Some(self.charset_name()?);
            } else if self.accept("COLLATE") {
                self.accept_byte(b'=');
                choice.collation = Some(self.charset_name()?);
            } else if self.accept_any(&["ENCRYPTION", "COMMENT"]).is_some() {
                self.accept_byte(b'=');
                self.string()?;
            } else if self.accept_all(&["READ", "ONLY"]) || self.accept_all(&["PLACEMENT", "POLICY"]) {
                self.accept_byte(b'=');
                self.skip()?;
            } else {
                return self.expected("a database option");
            }
        }
        Ok(choice)
    }

    fn drop_statement(&mut self) -> Result<Statement> {
        if self.accept_any(&["DATABASE", "SCHEMA"]).is_some() {
            let guard = self.end();
            let if_exists = self.if_exists();
            if !if_exists {
                self.guard = Some(guard);
            }
            return Ok(Statement::DropDatabase { name: self.database()?, if_exists });
        }
        let temporary = self.accept("TEMPORARY");
        if self.accept_any(&["TABLE", "TABLES"]).is_some() {
            return self.drop_tables(temporary);
        }
        if temporary {
            return self.not_ddl();
        }
        self.accept_any(&["ONLINE", "OFFLINE"]);
        if self.accept("INDEX") {
            let if_exists = self.if_exists();
            let name = self.name("an index")?;
            self.expect("ON")?;
            let table = self.subject_table()?;
            self.index_statement_options()?;
            return Ok(Statement::DropIndex { table, name, if_exists });
        }
        self.not_ddl()
    }

    fn drop_tables(&mut self, temporary: bool) -> Result<Statement> {
        let guard = self.end();
        let if_exists = self.if_exists();
        if !if_exists {
            self.guard = Some(guard);
        }
        let mut tables = Vec::new();
        loop {
            tables.push(self.table(Role::Table)?);
            if !self.accept_byte(b',') {
                break;
            }
        }
        self.wait()?;
        self.accept_any(&["RESTRICT", "CASCADE"]);
        Ok(Statement::DropTable { tables, if_exists, temporary })
    }

    fn rename_tables(&mut self) -> Result<Statement> {
        if self.accept_any(&["TABLE", "TABLES"]).is_none() {
            return self.not_ddl();
        }
        let if_exists = self.if_exists();
        let mut pairs = Vec::new();
        loop {
            let old = self.table(Role::Table)?;
            self.wait()?;
            self.expect("TO")?;
            pairs.push((old, self.table(Role::NewName)?));
            if !self.accept_byte(b',') {
                break;
            }
        }
        Ok(Statement::RenameTable { pairs, if_exists })
    }
}
