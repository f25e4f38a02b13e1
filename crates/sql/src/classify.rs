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
    /// SAVEPOINT, ROLLBACK TO, RELEASE SAVEPOINT
    Savepoint,
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
                if self.accept("TO") { Kind::Savepoint } else { Kind::Rollback }
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
mod tests {
    use super::*;

    /// Kind and names as one line: `AlterTable d.t e.u`.
    fn line(text: &str) -> String {
        let found = classify(text.as_bytes(), SqlMode::default());
        let mut line = format!("{:?}", found.kind);
        for table in &found.tables {
            let schema = table.schema.as_ref().map(|schema| format!("{schema}.")).unwrap_or_default();
            line += &format!(" {schema}{}", table.table);
        }
        if let Some(database) = found.database {
            line += &format!(" [{database}]");
        }
        line
    }

    #[test]
    fn kinds_and_names() {
        let table = [
            ("", "Empty"),
            (" -- x\n/* y */", "Empty"),
            ("CREATE DATABASE IF NOT EXISTS `a b` CHARACTER SET utf8", "CreateDatabase [a b]"),
            ("create schema d", "CreateDatabase [d]"),
            ("CREATE OR REPLACE DATABASE d", "CreateDatabase [d]"),
            ("ALTER DATABASE d COLLATE utf8_bin", "AlterDatabase [d]"),
            ("ALTER DATABASE DEFAULT CHARACTER SET utf8", "AlterDatabase"),
            ("ALTER DATABASE comment COLLATE utf8_bin", "AlterDatabase [comment]"),
            ("ALTER TABLE t CONVERT TABLE d.u TO PARTITION p VALUES IN (1)", "AlterTable t d.u"),
            ("ALTER TABLE t CONVERT TO CHARACTER SET utf8", "AlterTable t"),
            ("DROP SCHEMA IF EXISTS d", "DropDatabase [d]"),
            ("CREATE TABLE d.t (a int)", "CreateTable d.t"),
            ("CREATE OR REPLACE TABLE IF NOT EXISTS `d` . `t``x` LIKE u", "CreateTable d.t`x"),
            ("/* app */ # c\nCREATE TEMPORARY TABLE t SELECT 1", "CreateTemporaryTable t"),
            ("/*!40101 CREATE TABLE */ t (a int)", "CreateTable t"),
            ("CREATE TABLE db.1t (a int)", "CreateTable db.1t"),
            ("ALTER IGNORE TABLE t ADD a INT, RENAME TO d.u", "AlterTable t d.u"),
            ("ALTER TABLE t RENAME COLUMN a TO b, RENAME KEY k TO l, RENAME AS u", "AlterTable t u"),
            ("ALTER TABLE t RENAME u", "AlterTable t u"),
            ("ALTER TABLE t RENAME = u", "AlterTable t u"),
            ("ALTER TABLE IF EXISTS t WAIT 10 RENAME u", "AlterTable t u"),
            ("ALTER TABLE t NOWAIT RENAME u", "AlterTable t u"),
            ("ALTER ONLINE TABLE t ADD COLUMN (rename INT)", "AlterTable t"),
            ("ALTER TABLE t EXCHANGE PARTITION p WITH TABLE d.u WITHOUT VALIDATION", "AlterTable t d.u"),
            ("ALTER TABLE t ADD c INT COMMENT 'x, RENAME y'", "AlterTable t"),
            ("DROP TABLE IF EXISTS a, b.c /* generated by server */", "DropTable a b.c"),
            ("DROP TEMPORARY TABLE IF EXISTS a", "DropTemporaryTable a"),
            ("DROP TABLES a,b RESTRICT", "DropTable a b"),
            ("RENAME TABLE a TO b, c.d TO e.f", "RenameTable a b c.d e.f"),
            ("RENAME TABLES IF EXISTS a WAIT 5 TO b", "RenameTable a b"),
            ("TRUNCATE t", "TruncateTable t"),
            ("TRUNCATE TABLE d.t", "TruncateTable d.t"),
            ("CREATE UNIQUE INDEX i USING BTREE ON d.t (a)", "CreateIndex d.t"),
            ("CREATE OR REPLACE FULLTEXT INDEX IF NOT EXISTS i ON t (a)", "CreateIndex t"),
            ("CREATE ONLINE INDEX i ON t (a)", "CreateIndex t"),
            ("CREATE VECTOR INDEX i ON t (a)", "CreateIndex t"),
            ("DROP INDEX i ON `d`.`t`", "DropIndex d.t"),
            ("DROP INDEX IF EXISTS i ON t LOCK=NONE", "DropIndex t"),
            ("CREATE ALGORITHM=MERGE DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW v AS SELECT 1", "View"),
            ("CREATE OR REPLACE VIEW v AS SELECT 1", "View"),
            ("DROP VIEW v", "View"),
            ("CREATE DEFINER=root@localhost TRIGGER x BEFORE INSERT ON t FOR EACH ROW BEGIN END", "Trigger"),
            ("CREATE DEFINER=CURRENT_USER() TRIGGER x", "Trigger"),
            ("/* c */ drop trigger x", "Trigger"),
            ("CREATE DEFINER = 'a' @ 'b' PROCEDURE p() BEGIN END", "Routine"),
            ("CREATE AGGREGATE FUNCTION f RETURNS INT SONAME 'x'", "Routine"),
            ("ALTER EVENT e DISABLE", "Event"),
            ("CREATE UNDO TABLESPACE x ADD DATAFILE 'y'", "Tablespace"),
            ("CREATE SEQUENCE s", "Sequence"),
            ("GRANT ALL ON *.* TO x", "Account"),
            ("RENAME USER a TO b", "Account"),
            ("SET PASSWORD FOR x = 'y'", "Account"),
            ("CREATE ROLE r", "Account"),
            ("OPTIMIZE NO_WRITE_TO_BINLOG TABLE a, b", "TableMaintenance a b"),
            ("ANALYZE TABLE d.t", "TableMaintenance d.t"),
            ("FLUSH TABLES", "Flush"),
            ("SAVEPOINT `s`", "Savepoint"),
            ("ROLLBACK TO s", "Savepoint"),
            ("ROLLBACK", "Rollback"),
            ("BEGIN", "Begin"),
            ("START TRANSACTION", "Begin"),
            ("COMMIT", "Commit"),
            ("XA START X'31',X'',1", "Xa"),
            ("INSERT INTO `d`.`t` VALUES (1)", "Insert d.t"),
            ("REPLACE t SET a=1", "Replace t"),
            ("UPDATE LOW_PRIORITY d.t SET a=1", "Update d.t"),
            ("DELETE FROM t WHERE a", "Delete t"),
            ("LOAD DATA LOCAL INFILE 'x' IGNORE INTO TABLE d.t", "Load d.t"),
            ("SET @a=1", "Set"),
            ("SET STATEMENT max_statement_time=60 FOR ALTER TABLE d.t ADD a INT", "AlterTable d.t"),
            ("USE `d`", "Use [d]"),
            ("SELECT 1", "Query"),
            ("(SELECT 1)", "Query"),
            ("frobnicate", "Other"),
            ("'x'", "Other"),
            ("CREATE", "Other"),
            ("CREATE SERVER s FOREIGN DATA WRAPPER mysql OPTIONS (USER 'x')", "Other"),
        ];
        for (text, expected) in table {
            assert_eq!(line(text), expected, "{text}");
        }
    }

    #[test]
    fn skip_list_and_start() {
        for text in [
            "SAVEPOINT a",
            "FLUSH LOGS",
            "/* x */ DROP TEMPORARY TABLE t",
            "-- y\nCREATE TRIGGER x",
            "DROP VIEW v",
            "ANALYZE TABLE t",
        ] {
            assert!(classify(text.as_bytes(), SqlMode::default()).kind.is_skipped(), "{text}");
        }
        // The whole list of DM, each with a comment in front, which its own regular expressions stumble over.
        for text in [
            "SAVEPOINT `sp`",
            "FLUSH TABLES WITH READ LOCK",
            "OPTIMIZE TABLE t",
            "OPTIMIZE LOCAL TABLE a, b",
            "ANALYZE NO_WRITE_TO_BINLOG TABLE t",
            "REPAIR TABLE t QUICK",
            "DROP TEMPORARY TABLE IF EXISTS `d`.`t` /* generated by server */",
            "DROP /*!40005 TEMPORARY */ TABLE IF EXISTS `t`",
            "CREATE DEFINER=`a`@`%` TRIGGER x AFTER UPDATE ON t FOR EACH ROW SET @a = 1",
            "CREATE OR REPLACE TRIGGER IF NOT EXISTS x BEFORE INSERT ON t FOR EACH ROW SET @a = 1",
            "DROP TRIGGER IF EXISTS d.x",
            "CREATE PROCEDURE p() SELECT 1",
            "ALTER PROCEDURE p COMMENT 'x'",
            "DROP PROCEDURE IF EXISTS p",
            "CREATE DEFINER=`a`@`h` FUNCTION f() RETURNS INT RETURN 1",
            "CREATE FUNCTION f RETURNS STRING SONAME 'x.so'",
            "ALTER FUNCTION f SQL SECURITY INVOKER",
            "DROP FUNCTION f",
            "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `v` AS SELECT 1",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "ALTER ALGORITHM = MERGE VIEW v AS SELECT 2",
            "DROP VIEW IF EXISTS v, w",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            "ALTER DEFINER=`a`@`%` EVENT e ENABLE",
            "DROP EVENT e",
            "CREATE TABLESPACE ts ADD DATAFILE 'x.ibd'",
            "ALTER UNDO TABLESPACE ts SET INACTIVE",
            "DROP TABLESPACE ts",
            "GRANT SELECT ON d.* TO 'a'@'%'",
            "REVOKE ALL PRIVILEGES, GRANT OPTION FROM a",
            "CREATE USER 'a'@'%' IDENTIFIED BY 'x'",
            "ALTER USER 'a'@'%' IDENTIFIED WITH 'mysql_native_password' AS '*X'",
            "RENAME USER a TO b",
            "DROP USER IF EXISTS a",
            "SET PASSWORD FOR 'a'@'%'='*X'",
            "CREATE ROLE r",
            "SET DEFAULT ROLE r FOR a",
        ] {
            for lead in ["", "/* ApplicationName=x */ ", "-- x\n", "# y\n /*z*/", "  \n"] {
                let text = format!("{lead}{text}");
                let found = classify(text.as_bytes(), SqlMode::default());
                assert!(found.kind.is_skipped(), "{text}: {:?}", found.kind);
            }
        }
        for text in ["ALTER TABLE t ADD a INT", "XA COMMIT 'x'", "frobnicate", "INSERT INTO t VALUES (1)"] {
            assert!(!classify(text.as_bytes(), SqlMode::default()).kind.is_skipped(), "{text}");
        }
        assert_eq!(classify(b"/* x */ BEGIN", SqlMode::default()).start, 8);
        let ansi = classify(b"DROP TABLE \"a\".\"b\"", SqlMode::parse("ANSI_QUOTES"));
        assert_eq!(ansi.tables, [NamedTable { schema: Some("a".into()), table: "b".into() }]);
    }
}
