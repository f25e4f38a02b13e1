//! What kind of statement a text is, and which tables it names, from its first tokens alone.
//!
//! This runs before any filter, so that a statement the filter leaves out can never stop a task for being unparsable. It says
//! [`Kind::Other`] rather than guess. Leading comments are passed over, plain ones and executable ones alike.

use crate::lexer::{Lexer, SqlMode, Token, TokenKind, name_text};

/// Kind of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing but blanks and comments.
    Empty,
    /// CREATE DATABASE or SCHEMA
    CreateDatabase,
    /// ALTER DATABASE or SCHEMA
    AlterDatabase,
    /// DROP DATABASE or SCHEMA
    DropDatabase,
    /// CREATE TABLE
    CreateTable,
    /// CREATE TEMPORARY TABLE
    CreateTemporaryTable,
    /// ALTER TABLE
    AlterTable,
    /// DROP TABLE
    DropTable,
    /// DROP TEMPORARY TABLE
    DropTemporaryTable,
    /// RENAME TABLE
    RenameTable,
    /// TRUNCATE TABLE
    TruncateTable,
    /// CREATE INDEX
    CreateIndex,
    /// DROP INDEX
    DropIndex,
    /// CREATE, ALTER or DROP of a view
    View,
    /// CREATE or DROP of a trigger
    Trigger,
    /// CREATE, ALTER or DROP of a procedure, function or package
    Routine,
    /// CREATE, ALTER or DROP of an event
    Event,
    /// CREATE, ALTER or DROP of a tablespace or log file group
    Tablespace,
    /// CREATE, ALTER or DROP of a MariaDB sequence
    Sequence,
    /// Users, roles and privileges: GRANT, REVOKE, CREATE/ALTER/DROP/RENAME USER or ROLE, SET PASSWORD
    Account,
    /// ANALYZE, OPTIMIZE, REPAIR or CHECK TABLE
    TableMaintenance,
    /// FLUSH
    Flush,
    /// SAVEPOINT, RELEASE SAVEPOINT
    Savepoint,
    /// ROLLBACK TO a savepoint
    RollbackTo,
    /// BEGIN or START TRANSACTION
    Begin,
    /// COMMIT
    Commit,
    /// ROLLBACK of the whole transaction
    Rollback,
    /// XA …
    Xa,
    /// INSERT
    Insert,
    /// REPLACE
    Replace,
    /// UPDATE
    Update,
    /// DELETE
    Delete,
    /// LOAD DATA, LOAD XML
    Load,
    /// SELECT, WITH, VALUES, TABLE, DO, CALL, HANDLER, SHOW, EXPLAIN, DESCRIBE
    Query,
    /// SET of variables
    Set,
    /// USE
    Use,
    /// LOCK or UNLOCK TABLES
    Lock,
    /// Anything else
    Other,
}

impl Kind {
    /// DDL that is replicated: databases, tables and indexes.
    pub fn is_ddl(self) -> bool {
        use Kind::*;
        matches!(
            self,
            CreateDatabase
                | AlterDatabase
                | DropDatabase
                | CreateTable
                | AlterTable
                | DropTable
                | RenameTable
                | TruncateTable
                | CreateIndex
                | DropIndex
        )
    }

    /// On DM's built-in skip list (facts/dm.md 3.7): never replicated, whatever the filter says.
    pub fn is_skipped(self) -> bool {
        use Kind::*;
        matches!(
            self,
            Savepoint
                | RollbackTo
                | Flush
                | TableMaintenance
                | DropTemporaryTable
                | Trigger
                | Routine
                | View
                | Event
                | Tablespace
                | Account
        )
    }

    /// A change of rows as text, which a row-based binlog must not hold.
    pub fn is_dml(self) -> bool {
        use Kind::*;
        matches!(self, Insert | Replace | Update | Delete | Load)
    }
}

/// A table as a statement names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamedTable {
    /// The schema, if the name is qualified.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
}

/// Result of [`classify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// The kind.
    pub kind: Kind,
    /// The tables the statement changes, in the order of the text; for RENAME old and new name by turns. Empty for kinds that
    /// are neither DDL of tables and indexes nor DML. A table only read (LIKE, REFERENCES, SELECT) is not listed.
    pub tables: Vec<NamedTable>,
    /// The database of a DDL on databases, if named.
    pub database: Option<String>,
    /// Where the first word of the statement is; the length of the text if there is none.
    pub start: usize,
}

/// Finds kind and names.
pub fn classify(text: &[u8], mode: SqlMode) -> Classified {
    let mut reader = Reader { text, lexer: Lexer::new(text, mode), peeked: None };
    let start = reader.peek().map_or(text.len(), |token| token.span.start);
    let mut found = Classified { kind: Kind::Other, tables: Vec::new(), database: None, start };
    if reader.peek().is_none() {
        found.kind = Kind::Empty;
        return found;
    }
    reader.statement(&mut found);
    found
}

struct Reader<'a> {
    text: &'a [u8],
    lexer: Lexer<'a>,
    peeked: Option<Option<Token>>,
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<Token> {
        if let Some(token) = self.peeked {
            return token;
        }
        let token = self.lexer.find(|token| {
            !matches!(token.kind, TokenKind::Comment | TokenKind::ExecutableOpen | TokenKind::ExecutableClose)
        });
        self.peeked = Some(token);
        token
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.peek();
        self.peeked = None;
        token
    }

    fn accept(&mut self, word: &str) -> bool {
        let found = self.peek().is_some_and(|token| {
            token.kind == TokenKind::Word && token.span.of(self.text).eq_ignore_ascii_case(word.as_bytes())
        });
        if found {
            self.peeked = None;
        }
        found
    }

    fn accept_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.accept(word))
    }

    fn accept_byte(&mut self, byte: u8) -> bool {
        let found = self.peek().is_some_and(|token| token.kind == TokenKind::Punct(byte));
        if found {
            self.peeked = None;
        }
        found
    }

    fn name(&mut self) -> Option<String> {
        let token = self.peek()?;
        if !matches!(token.kind, TokenKind::Word | TokenKind::Quoted) {
            return None;
        }
        self.peeked = None;
        Some(name_text(token.span.of(self.text)))
    }

    fn table(&mut self) -> Option<NamedTable> {
        // `.t` is an old way to write `t`.
        self.accept_byte(b'.');
        let first = self.name()?;
        if self.accept_byte(b'.')
            && let Some(table) = self.name()
        {
            return Some(NamedTable { schema: Some(first), table });
        }
        Some(NamedTable { schema: None, table: first })
    }

    fn tables(&mut self, found: &mut Classified) {
        while let Some(table) = self.table() {
            found.tables.push(table);
            if !self.accept_byte(b',') {
                break;
            }
        }
    }

    fn if_exists(&mut self) {
        if self.accept("IF") {
            self.accept("NOT");
            self.accept("EXISTS");
        }
    }

    /// Passes tokens until `word` at depth 0; false if it is not there.
    fn seek(&mut self, word: &str) -> bool {
        let mut depth = 0usize;
        loop {
            if depth == 0 && self.accept(word) {
                return true;
            }
            match self.next() {
                Some(Token { kind: TokenKind::Punct(b'('), .. }) => depth += 1,
                Some(Token { kind: TokenKind::Punct(b')'), .. }) => depth = depth.saturating_sub(1),
                Some(_) => {}
                None => return false,
            }
        }
    }

    fn statement(&mut self, found: &mut Classified) {
        let Some(first) = self.next() else { return };
        if first.kind != TokenKind::Word {
            if first.kind == TokenKind::Punct(b'(') {
                found.kind = Kind::Query;
            }
            return;
        }
        let word = first.span.of(self.text).to_ascii_uppercase();
        found.kind = match &word[..] {
            b"CREATE" => self.create(found),
            b"ALTER" => self.alter(found),
            b"DROP" => self.drop(found),
            b"RENAME" => self.rename(found),
            b"TRUNCATE" => {
                self.accept("TABLE");
                found.tables.extend(self.table());
                Kind::TruncateTable
            }
            b"GRANT" | b"REVOKE" => Kind::Account,
            b"ANALYZE" | b"OPTIMIZE" | b"REPAIR" | b"CHECK" | b"CHECKSUM" => self.maintenance(found),
            b"FLUSH" => Kind::Flush,
            b"SAVEPOINT" => Kind::Savepoint,
            b"RELEASE" if self.accept("SAVEPOINT") => Kind::Savepoint,
            b"ROLLBACK" => {
                self.accept("WORK");
                if self.accept("TO") { Kind::RollbackTo } else { Kind::Rollback }
            }
            b"BEGIN" => Kind::Begin,
            b"START" if self.accept("TRANSACTION") => Kind::Begin,
            b"COMMIT" => Kind::Commit,
            b"XA" => Kind::Xa,
            b"INSERT" => self.insert(found, Kind::Insert),
            b"REPLACE" => self.insert(found, Kind::Replace),
            b"UPDATE" => {
                while self.accept_any(&["LOW_PRIORITY", "IGNORE"]) {}
                self.tables(found);
                Kind::Update
            }
            b"DELETE" => {
                while self.accept_any(&["LOW_PRIORITY", "QUICK", "IGNORE", "HISTORY"]) {}
                self.accept("FROM");
                found.tables.extend(self.table());
                Kind::Delete
            }
            b"LOAD" if self.accept_any(&["DATA", "XML"]) => {
                if self.seek("INTO") && self.accept("TABLE") {
                    found.tables.extend(self.table());
                }
                Kind::Load
            }
            b"SET" if self.accept("STATEMENT") && self.seek("FOR") => return self.statement(found),
            b"SET" if self.accept("PASSWORD") => Kind::Account,
            b"SET" if self.accept("DEFAULT") && self.accept("ROLE") => Kind::Account,
            b"SET" => Kind::Set,
            b"USE" => {
                found.database = self.name();
                Kind::Use
            }
            b"LOCK" | b"UNLOCK" => Kind::Lock,
            b"SELECT" | b"WITH" | b"VALUES" | b"TABLE" | b"DO" | b"CALL" | b"HANDLER" | b"SHOW"
            | b"EXPLAIN" | b"DESCRIBE" | b"DESC" => Kind::Query,
            _ => Kind::Other,
        };
    }

    /// `DEFINER = user`, `ALGORITHM = x`, `SQL SECURITY x` and the like in front of a stored object.
    fn definition_options(&mut self) {
        loop {
            if self.accept("DEFINER") {
                self.accept_byte(b'=');
                self.next();
                match self.peek().map(|token| token.kind) {
                    Some(TokenKind::UserVariable) => {
                        self.next();
                    }
                    Some(TokenKind::Punct(b'@')) => {
                        self.next();
                        self.next();
                    }
                    Some(TokenKind::Punct(b'(')) => {
                        self.next();
                        self.accept_byte(b')');
                    }
                    _ => {}
                }
            } else if self.accept("ALGORITHM") {
                self.accept_byte(b'=');
                self.next();
            } else if self.accept("SQL") {
                self.accept("SECURITY");
                self.next();
            } else if !self.accept("AGGREGATE") {
                return;
            }
        }
    }

    fn stored_object(&mut self) -> Option<Kind> {
        self.definition_options();
        if self.accept("VIEW") {
            return Some(Kind::View);
        }
        if self.accept("TRIGGER") {
            return Some(Kind::Trigger);
        }
        if self.accept_any(&["PROCEDURE", "FUNCTION", "PACKAGE", "LIBRARY"]) {
            return Some(Kind::Routine);
        }
        if self.accept("EVENT") {
            return Some(Kind::Event);
        }
        if self.accept("SEQUENCE") {
            return Some(Kind::Sequence);
        }
        if self.accept_any(&["USER", "ROLE"]) {
            return Some(Kind::Account);
        }
        self.accept("UNDO");
        if self.accept("TABLESPACE") || self.accept("LOGFILE") {
            return Some(Kind::Tablespace);
        }
        None
    }

    fn database(&mut self, found: &mut Classified, kind: Kind) -> Kind {
        self.if_exists();
        found.database = self.name();
        kind
    }

    fn create(&mut self, found: &mut Classified) -> Kind {
        if self.accept("OR") {
            self.accept("REPLACE");
        }
        if self.accept_any(&["DATABASE", "SCHEMA"]) {
            return self.database(found, Kind::CreateDatabase);
        }
        let temporary = self.accept("TEMPORARY");
        if self.accept("TABLE") {
            self.if_exists();
            found.tables.extend(self.table());
            return if temporary { Kind::CreateTemporaryTable } else { Kind::CreateTable };
        }
        while self.accept_any(&["ONLINE", "OFFLINE", "UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR", "COLUMNAR"]) {
        }
        if self.accept("INDEX") {
            if self.seek("ON") {
                found.tables.extend(self.table());
            }
            return Kind::CreateIndex;
        }
        self.stored_object().unwrap_or(Kind::Other)
    }

    /// Whether an option of ALTER DATABASE begins here and not the database's name, which may be one of these words too.
    fn begins_database_option(&mut self) -> bool {
        let mut ahead = Reader { text: self.text, lexer: self.lexer.clone(), peeked: self.peeked };
        if ahead.accept_any(&["CHARSET", "COLLATE", "DEFAULT"]) {
            return true;
        }
        if ahead.accept_any(&["CHARACTER", "CHAR"]) {
            return ahead.accept("SET");
        }
        if ahead.accept("READ") {
            return ahead.accept("ONLY");
        }
        ahead.accept_any(&["ENCRYPTION", "COMMENT"])
            && (ahead.accept_byte(b'=') || ahead.peek().is_some_and(|token| token.kind == TokenKind::String))
    }

    fn alter(&mut self, found: &mut Classified) -> Kind {
        if self.accept_any(&["DATABASE", "SCHEMA"]) {
            // `ALTER DATABASE CHARACTER SET x` names none.
            if self.begins_database_option() {
                return Kind::AlterDatabase;
            }
            return self.database(found, Kind::AlterDatabase);
        }
        while self.accept_any(&["ONLINE", "OFFLINE", "IGNORE"]) {}
        if self.accept("TABLE") {
            self.if_exists();
            found.tables.extend(self.table());
            self.renames_and_exchanges(found);
            return Kind::AlterTable;
        }
        self.stored_object().unwrap_or(Kind::Other)
    }

    /// The other tables among the changes of an ALTER TABLE: `RENAME [TO|AS|=] t`, `EXCHANGE PARTITION p WITH TABLE t` and MariaDB's CONVERT.
    fn renames_and_exchanges(&mut self, found: &mut Classified) {
        let mut depth = 0usize;
        let mut begins_change = true;
        loop {
            if begins_change && depth == 0 {
                if self.accept("RENAME") {
                    if !self.accept_any(&["COLUMN", "INDEX", "KEY"]) {
                        if !self.accept_any(&["TO", "AS"]) {
                            self.accept_byte(b'=');
                        }
                        found.tables.extend(self.table());
                    }
                } else if self.accept("EXCHANGE") {
                    if self.seek("WITH") && self.accept("TABLE") {
                        found.tables.extend(self.table());
                    }
                } else if self.accept("CONVERT") {
                    // MariaDB: CONVERT TABLE t TO PARTITION p, CONVERT PARTITION p TO TABLE t.
                    if self.accept("TABLE")
                        || self.accept("PARTITION") && self.seek("TO") && self.accept("TABLE")
                    {
                        found.tables.extend(self.table());
                    }
                }
            }
            let Some(token) = self.next() else { return };
            begins_change = token.kind == TokenKind::Punct(b',');
            match token.kind {
                TokenKind::Punct(b'(') => depth += 1,
                TokenKind::Punct(b')') => depth = depth.saturating_sub(1),
                // WAIT n and NOWAIT stand before the first change.
                TokenKind::Word => begins_change = token.span.of(self.text).eq_ignore_ascii_case(b"NOWAIT"),
                TokenKind::Number => begins_change = true,
                _ => {}
            }
        }
    }

    fn drop(&mut self, found: &mut Classified) -> Kind {
        if self.accept_any(&["DATABASE", "SCHEMA"]) {
            return self.database(found, Kind::DropDatabase);
        }
        let temporary = self.accept("TEMPORARY");
        if self.accept_any(&["TABLE", "TABLES"]) {
            self.if_exists();
            self.tables(found);
            return if temporary { Kind::DropTemporaryTable } else { Kind::DropTable };
        }
        while self.accept_any(&["ONLINE", "OFFLINE"]) {}
        if self.accept("INDEX") {
            if self.seek("ON") {
                found.tables.extend(self.table());
            }
            return Kind::DropIndex;
        }
        if self.accept("PREPARE") {
            return Kind::Other;
        }
        self.stored_object().unwrap_or(Kind::Other)
    }

    fn rename(&mut self, found: &mut Classified) -> Kind {
        if self.accept_any(&["USER", "ROLE"]) {
            return Kind::Account;
        }
        if !self.accept_any(&["TABLE", "TABLES"]) {
            return Kind::Other;
        }
        self.if_exists();
        loop {
            found.tables.extend(self.table());
            if self.accept("WAIT") {
                self.next();
            } else {
                self.accept("NOWAIT");
            }
            if !self.accept("TO") {
                return Kind::RenameTable;
            }
            found.tables.extend(self.table());
            if !self.accept_byte(b',') {
                return Kind::RenameTable;
            }
        }
    }

    fn maintenance(&mut self, found: &mut Classified) -> Kind {
        while self.accept_any(&["NO_WRITE_TO_BINLOG", "LOCAL"]) {}
        if !self.accept_any(&["TABLE", "TABLES", "VIEW"]) {
            return Kind::Other;
        }
        self.tables(found);
        Kind::TableMaintenance
    }

    fn insert(&mut self, found: &mut Classified, kind: Kind) -> Kind {
        while self.accept_any(&["LOW_PRIORITY", "DELAYED", "HIGH_PRIORITY", "IGNORE", "INTO"]) {}
        found.tables.extend(self.table());
        kind
    }
}

#[cfg(test)]
mod tests;
