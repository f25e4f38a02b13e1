//! One form for statements that mean the same, so that those of different shards can be compared and shown.

use sql::{
    SqlMode,
    lexer::{Lexer, TokenKind, name_text},
};

/// Words that are written in capitals; other words without quotes are taken for names. A word missing here only looks like a name, in the statements of
/// all shards alike.
const WORDS: &str = " ACTION ADD AFTER ALGORITHM ALTER ALWAYS AND AS ASC AUTO_INCREMENT AVG_ROW_LENGTH BEFORE BIGINT BINARY BIT BLOB BOOL BOOLEAN \
BTREE BY CASCADE CHANGE CHAR CHARACTER CHARSET CHECK CHECKSUM COLLATE COLUMN COLUMNS COMMENT COMPACT COMPRESSED COMPRESSION CONSTRAINT CONVERT CREATE \
CURRENT_TIMESTAMP DATABASE DATE DATETIME DEC DECIMAL DEFAULT DELETE DESC DISABLE DOUBLE DROP DYNAMIC ENABLE ENGINE ENUM EXCHANGE EXISTS FIRST FIXED \
FLOAT FOR FORCE FOREIGN FULL FULLTEXT GENERATED GEOMETRY HASH IF IGNORE IN INDEX INNODB INPLACE INSTANT INT INTEGER INTO INVISIBLE IS JSON KEY KEYS \
KEY_BLOCK_SIZE LESS LIKE LINESTRING LIST LOCK LONGBLOB LONGTEXT MATCH MAXVALUE MEDIUMBLOB MEDIUMINT MEDIUMTEXT MODIFY NATIONAL NCHAR NO NONE NOT NOW \
NULL NUMERIC NVARCHAR ON OR ORDER PARSER PARTITION PARTITIONS POINT POLYGON PRECISION PRIMARY RANGE REAL REDUNDANT REFERENCES REMOVE RENAME REORGANIZE \
RESTRICT ROW_FORMAT RTREE SCHEMA SERIAL SET SHARED SIGNED SMALLINT SPATIAL SRID STORED SUBPARTITION TABLE TABLESPACE TEMPORARY TEXT THAN TIME TIMESTAMP \
TINYBLOB TINYINT TINYTEXT TO TRUNCATE UNION UNIQUE UNSIGNED UPDATE USING VALIDATION VALUES VARBINARY VARCHAR VARYING VIRTUAL VISIBLE WITH WITHOUT YEAR \
ZEROFILL ";

/// The statement with one blank where one is needed, words in capitals, names in back quotes, comments left out. Numbers, strings and
/// operators stay as they are.
pub fn canonical(text: &[u8], mode: SqlMode) -> String {
    let mut out = String::new();
    let mut last = ' ';
    let mut operator_ends = usize::MAX;
    for token in Lexer::new(text, mode) {
        let bytes = token.span.of(text);
        let piece = match token.kind {
            TokenKind::Quoted => common::ident::quote(&name_text(bytes)),
            TokenKind::Word => word(&String::from_utf8_lossy(bytes)),
            TokenKind::Comment | TokenKind::ExecutableOpen | TokenKind::ExecutableClose => continue,
            _ => String::from_utf8_lossy(bytes).into_owned(),
        };
        if piece == ";" {
            continue;
        }
        let first = piece.chars().next().unwrap_or(' ');
        // Operators of several bytes (`>=`, `->>`) are tokens of one byte each.
        let is_operator = matches!(token.kind, TokenKind::Punct(byte) if b"<>=!:|&-*/+%^~".contains(&byte));
        let goes_on = is_operator && token.span.start == operator_ends;
        if !out.is_empty() && !goes_on && !"(.,".contains(last) && !"(),.".contains(first) {
            out.push(' ');
        }
        operator_ends = if is_operator { token.span.end } else { usize::MAX };
        last = piece.chars().next_back().unwrap_or(' ');
        out.push_str(&piece);
    }
    out
}

fn word(text: &str) -> String {
    let upper = text.to_ascii_uppercase();
    if WORDS.contains(&format!(" {upper} ")) { upper } else { common::ident::quote(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_statement_in_two_hands() {
        let form = |text: &str| canonical(text.as_bytes(), SqlMode::default());
        let one = form("alter  table `my_db`.`table5` add column extra varchar(20) /* x */ default 'e';");
        assert_eq!(one, "ALTER TABLE `my_db`.`table5` ADD COLUMN `extra` VARCHAR(20) DEFAULT 'e'");
        assert_eq!(one, form("ALTER TABLE my_db.table5\nADD COLUMN `extra` VARCHAR( 20 ) DEFAULT 'e'"));
        assert_ne!(one, form("ALTER TABLE my_db.table5 ADD COLUMN `extra` VARCHAR(20) DEFAULT 'E'"));
        let check = "ALTER TABLE `t` ADD CHECK(`a` >= 0 AND `b` <> `c` && `d` != 1 || `j` ->> '$.x' <=> 1 AND `e` << 2 < - 1)";
        assert_eq!(
            form("alter table t add check (a>=0 and b<>c&&d!=1||j->>'$.x'<=>1 and e<<2 < - 1)"),
            check
        );
        assert_eq!(form(check), check);
        assert_eq!(form("create index i on t (a,b desc)"), "CREATE INDEX `i` ON `t`(`a`,`b` DESC)");
    }
}
