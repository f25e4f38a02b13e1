//! ALTER TABLE.

use super::ast::{
    AlterSpec, AlterTable, Change, CharsetChoice, ColumnAction, Element, PartitionChange, Position, Role,
};
use super::cursor::{Cursor, Result};

/// First words of partition changes that name no other table.
const PARTITION_VERBS: [&str; 10] = [
    "ADD",
    "COALESCE",
    "REORGANIZE",
    "ANALYZE",
    "CHECK",
    "OPTIMIZE",
    "REBUILD",
    "REPAIR",
    "DISCARD",
    "IMPORT",
];

/// TiDB's own changes that touch neither columns nor indexes: the words they begin with.
const TIDB: [&[&str]; 8] = [
    &["SET", "TIFLASH", "REPLICA"],
    &["CACHE"],
    &["NOCACHE"],
    &["COMPACT"],
    &["REMOVE", "TTL"],
    &["ATTRIBUTES"],
    &["STATS_OPTIONS"],
    &["SECONDARY_LOAD"],
];

impl Cursor<'_> {
    pub(super) fn alter_table(&mut self) -> Result<AlterTable> {
        let if_exists = self.if_exists();
        let table = self.subject_table()?;
        if self.accept("WAIT") {
            self.number()?;
        } else {
            self.accept("NOWAIT");
        }
        let mut specs = Vec::new();
        while !self.at_end() {
            let start = self.start();
            let change = self.change()?;
            specs.push(AlterSpec { change, span: self.span_from(start) });
            if self.at_end() {
                break;
            }
            // The partition clause follows the last change without a comma.
            if !self.begins_partitioning() {
                self.expect_byte(b',', ", or the end")?;
                if self.at_end() {
                    return self.expected("a change");
                }
            }
        }
        Ok(AlterTable { table, if_exists, specs })
    }

    fn begins_partitioning(&self) -> bool {
        self.are(&["PARTITION", "BY"]) || self.are(&["REMOVE", "PARTITIONING"])
    }

    fn change(&mut self) -> Result<Change> {
        if self.begins_partitioning() {
            return self.partitioning();
        }
        if self.is_partition_verb() {
            return self.partition_change();
        }
        if self.accept("ADD") {
            return self.add();
        }
        if self.accept("DROP") {
            return self.drop_change();
        }
        if self.accept("MODIFY") {
            self.accept("COLUMN");
            let if_exists = self.if_exists();
            let (column, position) = self.placed_column()?;
            return Ok(Change::ModifyColumn { column, position, if_exists });
        }
        if self.accept("CHANGE") {
            self.accept("COLUMN");
            let if_exists = self.if_exists();
            let old = self.column_name()?;
            let (column, position) = self.placed_column()?;
            return Ok(Change::ChangeColumn { old, column, position, if_exists });
        }
        if self.accept("RENAME") {
            return self.rename_change();
        }
        if self.accept("ALTER") {
            return self.alter_change();
        }
        if self.accept_all(&["CONVERT", "TO"]) {
            return self.convert();
        }
        if let Some(change) = self.neutral()? {
            return Ok(change);
        }
        let mut options = Vec::new();
        loop {
            options.push(self.table_option()?);
            if self.at_end() || self.is_byte(b',') || self.begins_partitioning() {
                return Ok(Change::Options(options));
            }
        }
    }

    fn neutral(&mut self) -> Result<Option<Change>> {
        let what = if self.accept_all(&["ORDER", "BY"]) {
            loop {
                self.column_name()?;
                self.accept_any(&["ASC", "DESC"]);
                // A comma may begin the next change too, but ORDER BY has to be the last one.
                if !self.accept_byte(b',') {
                    break;
                }
            }
            "ORDER BY"
        } else if let Some(what) = self.accept_any(&["ALGORITHM", "LOCK"]) {
            self.accept_byte(b'=');
            self.name("a value")?;
            what
        } else if self.accept_all(&["ENABLE", "KEYS"]) {
            "ENABLE KEYS"
        } else if self.accept_all(&["DISABLE", "KEYS"]) {
            "DISABLE KEYS"
        } else if self.accept_all(&["DISCARD", "TABLESPACE"]) {
            "DISCARD TABLESPACE"
        } else if self.accept_all(&["IMPORT", "TABLESPACE"]) {
            "IMPORT TABLESPACE"
        } else if self.accept("FORCE") {
            "FORCE"
        } else if self.accept_all(&["WITH", "VALIDATION"]) || self.accept_all(&["WITHOUT", "VALIDATION"]) {
            "VALIDATION"
        } else if self.accept("SECONDARY_UNLOAD") {
            "SECONDARY_UNLOAD"
        } else if TIDB.iter().any(|words| self.are(words)) {
            self.skip_until(|cursor| cursor.is_byte(b','))?;
            "TiDB option"
        } else {
            return Ok(None);
        };
        Ok(Some(Change::Neutral { what }))
    }

    fn placed_column(&mut self) -> Result<(super::ast::ColumnDef, Option<Position>)> {
        let column =
            self.column_def(&|cursor| cursor.is_any(&["FIRST", "AFTER"]) || cursor.begins_partitioning())?;
        Ok((column, self.position()?))
    }

    fn position(&mut self) -> Result<Option<Position>> {
        if self.accept("FIRST") {
            return Ok(Some(Position::First));
        }
        if self.accept("AFTER") {
            return Ok(Some(Position::After(self.column_name()?)));
        }
        Ok(None)
    }

    fn add(&mut self) -> Result<Change> {
        if self.accept_all(&["SYSTEM", "VERSIONING"]) {
            return Ok(Change::Neutral { what: "ADD SYSTEM VERSIONING" });
        }
        let mut if_not_exists = false;
        if self.accept("COLUMN") {
            if_not_exists = self.if_not_exists();
        } else {
            if self.is_constraint() {
                let element = self.element(&|cursor| cursor.begins_partitioning())?;
                return Ok(Change::Add { element, if_not_exists });
            }
            if_not_exists |= self.if_not_exists();
        }
        if self.is_byte(b'(') {
            let (mut elements, mut spans) = (Vec::new(), Vec::new());
            self.elements(&mut elements, &mut spans)?;
            return Ok(Change::AddElements { elements, spans, if_not_exists });
        }
        let (column, position) = self.placed_column()?;
        Ok(Change::AddColumn { column, position, if_not_exists })
    }

    fn drop_change(&mut self) -> Result<Change> {
        if self.accept_all(&["PRIMARY", "KEY"]) {
            return Ok(Change::DropPrimaryKey);
        }
        if self.accept_all(&["SYSTEM", "VERSIONING"]) {
            return Ok(Change::Neutral { what: "DROP SYSTEM VERSIONING" });
        }
        if self.accept_all(&["PERIOD", "FOR"]) {
            self.if_exists();
            self.name("a period")?;
            return Ok(Change::Neutral { what: "DROP PERIOD" });
        }
        if self.accept_all(&["FOREIGN", "KEY"]) {
            let if_exists = self.if_exists();
            return Ok(Change::DropForeignKey { name: self.name("a constraint")?, if_exists });
        }
        if self.accept_any(&["KEY", "INDEX"]).is_some() {
            let if_exists = self.if_exists();
            return Ok(Change::DropIndex { name: self.name("an index")?, if_exists });
        }
        if self.accept("CONSTRAINT") {
            let if_exists = self.if_exists();
            return Ok(Change::DropConstraint { name: self.name("a constraint")?, if_exists });
        }
        if self.accept("CHECK") {
            return Ok(Change::DropCheck { name: self.name("a constraint")? });
        }
        self.accept("COLUMN");
        let if_exists = self.if_exists();
        let name = self.column_name()?;
        self.accept_any(&["RESTRICT", "CASCADE"]);
        Ok(Change::DropColumn { name, if_exists })
    }

    fn rename_change(&mut self) -> Result<Change> {
        if self.accept("COLUMN") {
            let if_exists = self.if_exists();
            let old = self.column_name()?;
            self.expect("TO")?;
            return Ok(Change::RenameColumn { old, new: self.column_name()?, if_exists });
        }
        if self.accept_any(&["INDEX", "KEY"]).is_some() {
            let if_exists = self.if_exists();
            let old = self.name("an index")?;
            self.expect("TO")?;
            return Ok(Change::RenameIndex { old, new: self.name("an index")?, if_exists });
        }
        if self.accept_any(&["TO", "AS"]).is_none() {
            self.accept_byte(b'=');
        }
        Ok(Change::RenameTable(self.table(Role::NewName)?))
    }

    fn alter_change(&mut self) -> Result<Change> {
        if self.accept_any(&["INDEX", "KEY"]).is_some() {
            let if_exists = self.if_exists();
            let name = self.name("an index")?;
            let invisible = if self.accept_all(&["NOT", "IGNORED"]) || self.accept("VISIBLE") {
                false
            } else if self.accept_any(&["INVISIBLE", "IGNORED"]).is_some() {
                true
            } else {
                return self.expected("VISIBLE or INVISIBLE");
            };
            return Ok(Change::AlterIndex { name, invisible, if_exists });
        }
        if self.accept_any(&["CHECK", "CONSTRAINT"]).is_some() {
            let name = self.name("a constraint")?;
            self.enforced();
            return Ok(Change::AlterCheck { name });
        }
        self.accept("COLUMN");
        let if_exists = self.if_exists();
        let name = self.column_name()?;
        let action = if self.accept_all(&["SET", "DEFAULT"]) {
            ColumnAction::SetDefault(self.default_value()?)
        } else if self.accept_all(&["DROP", "DEFAULT"]) {
            ColumnAction::DropDefault
        } else if self.accept_all(&["SET", "INVISIBLE"]) {
            ColumnAction::SetInvisible(true)
        } else if self.accept_all(&["SET", "VISIBLE"]) {
            ColumnAction::SetInvisible(false)
        } else {
            return self.expected("SET DEFAULT or DROP DEFAULT");
        };
        Ok(Change::AlterColumn { name, if_exists, action })
    }

    fn convert(&mut self) -> Result<Change> {
        if !self.accept("CHARSET")
            && !self.accept_all(&["CHARACTER", "SET"])
            && !self.accept_all(&["CHAR", "SET"])
        {
            return self.expected("CHARACTER SET");
        }
        self.accept_byte(b'=');
        let mut choice = CharsetChoice { charset: Some(self.charset_name()?), collation: None };
        if self.accept("COLLATE") {
            self.accept_byte(b'=');
            choice.collation = Some(self.charset_name()?);
        }
        Ok(Change::Convert(choice))
    }

    fn partitioning(&mut self) -> Result<Change> {
        if self.accept("REMOVE") {
            self.advance();
            return Ok(Change::Partition(PartitionChange::Remove));
        }
        self.skip_until(|_| false)?;
        Ok(Change::Partition(PartitionChange::Define))
    }

    /// `VERB PARTITION`, where PARTITION is a reserved word and so no column or index.
    fn is_partition_verb(&self) -> bool {
        let next_is = |word| {
            self.peek_at(1).is_some_and(|token| {
                token.kind == crate::lexer::TokenKind::Word
                    && token.span.of(self.text).eq_ignore_ascii_case(word)
            })
        };
        let partition = next_is(&b"PARTITION"[..]);
        partition
            && (self.is_any(&PARTITION_VERBS) || self.is_any(&["DROP", "TRUNCATE", "EXCHANGE", "CONVERT"]))
            || self.are(&["CONVERT", "TABLE"])
            || self.is_any(&["FIRST", "LAST", "MERGE", "SPLIT"]) && partition
    }

    fn partition_change(&mut self) -> Result<Change> {
        let change = if self.accept_all(&["EXCHANGE", "PARTITION"]) {
            let partition = self.name("a partition")?;
            self.expect("WITH")?;
            self.expect("TABLE")?;
            let table = self.table(Role::Exchanged)?;
            let _ = self.accept_all(&["WITH", "VALIDATION"]) || self.accept_all(&["WITHOUT", "VALIDATION"]);
            PartitionChange::Exchange { partition, table }
        } else if self.accept_all(&["CONVERT", "PARTITION"]) {
            self.if_exists();
            self.name("a partition")?;
            self.expect("TO")?;
            self.expect("TABLE")?;
            PartitionChange::ToTable { table: self.table(Role::Exchanged)? }
        } else if self.accept_all(&["CONVERT", "TABLE"]) {
            self.if_exists();
            let table = self.table(Role::Exchanged)?;
            self.expect("TO")?;
            self.skip_until(|cursor| cursor.is_byte(b','))?;
            PartitionChange::FromTable { table }
        } else if let Some(verb) = self.accept_any(&["DROP", "TRUNCATE"]) {
            self.partition_rest()?;
            PartitionChange::Rows { verb }
        } else {
            let verb = match self.accept_any(&PARTITION_VERBS) {
                Some(verb) => verb,
                None => self.accept_any(&["FIRST", "LAST", "MERGE", "SPLIT"]).unwrap_or("PARTITION"),
            };
            self.partition_rest()?;
            PartitionChange::Other { verb }
        };
        Ok(Change::Partition(change))
    }

    /// The rest of a partition change. The names of its partitions are parted by commas as changes are, so it runs to the end of the
    /// statement: the grammar allows no other change beside it.
    fn partition_rest(&mut self) -> Result<()> {
        self.skip_until(|_| false).map(|_| ())
    }
}

/// The elements a change adds.
pub(crate) fn added(change: &Change) -> &[Element] {
    match change {
        Change::Add { element, .. } => std::slice::from_ref(element),
        Change::AddElements { elements, .. } => elements,
        _ => &[],
    }
}
