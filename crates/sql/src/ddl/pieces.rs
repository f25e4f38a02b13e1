//! One statement as several, and with IF [NOT] EXISTS.

use super::ast::{Change, ColumnDef, Element, Reference, Role, Statement};
use super::{Ddl, DdlError, parse};
use crate::lexer::{Lexer, Span, TokenKind};

impl Ddl {
    /// The statement as single ones where one is the sum of its parts: DROP TABLE and RENAME TABLE of several tables, else itself alone. An
    /// ALTER TABLE stays whole, because its changes may hang on each other; see [`split_changes`](Self::split_changes).
    ///
    /// # Errors
    /// [`DdlError`] if a part does not parse, which would be a defect of this module.
    pub fn split(&self) -> Result<Vec<Ddl>, DdlError> {
        let names = match &self.statement {
            Statement::DropTable { tables, .. } if tables.len() > 1 => 1,
            Statement::RenameTable { pairs, .. } if pairs.len() > 1 => 2,
            _ => return Ok(vec![self.clone()]),
        };
        let references: Vec<&Reference> = self
            .references
            .iter()
            .filter(|reference| matches!(reference.role, Role::Table | Role::NewName))
            .collect();
        let Some(first) = references.first() else { return Ok(vec![self.clone()]) };
        let head = Span::new(0, first.insert_at);
        references
            .chunks(names)
            .map(|group| {
                let start = group.first().map_or(0, |reference| reference.insert_at);
                let end = group.last().map_or(0, |reference| end_of(reference));
                self.piece(&[head, Span::new(start, end)])
            })
            .collect()
    }

    /// The statement as [`split`](Self::split) gives it, and ALTER TABLE as one statement per change in the order written, as DM does;
    /// `ADD COLUMN (a …, b …)` becomes one per column. Changes after a RENAME TO name the new table.
    ///
    /// # Errors
    /// [`DdlError`] if a part does not parse.
    pub fn split_changes(&self) -> Result<Vec<Ddl>, DdlError> {
        let Statement::AlterTable(alter) = &self.statement else { return self.split() };
        let Some(table) = self.references.iter().find(|reference| reference.role == Role::Table) else {
            return self.split();
        };
        let head = Span::new(0, table.insert_at);
        let mut name = Span::new(table.insert_at, end_of(table));
        // WAIT n or NOWAIT stays with every part.
        let first = alter.specs.first().map_or(name.end, |spec| spec.span.start);
        let wait = Span::new(name.end, first);
        let mut pieces = Vec::new();
        for spec in &alter.specs {
            match &spec.change {
                Change::AddElements { spans, if_not_exists, .. } if spans.len() > 1 => {
                    for span in spans {
                        let add: &[u8] = if *if_not_exists { b"ADD COLUMN IF NOT EXISTS " } else { b"ADD " };
                        pieces.push(self.piece_with(&[head, name, wait], add, &[*span])?);
                    }
                }
                _ => pieces.push(self.piece(&[head, name, wait, spec.span])?),
            }
            if matches!(spec.change, Change::RenameTable(_))
                && let Some(new) = self.references.iter().find(|reference| {
                    reference.role == Role::NewName && reference.insert_at >= spec.span.start
                })
            {
                name = Span::new(new.insert_at, end_of(new));
            }
        }
        if pieces.is_empty() { Ok(vec![self.clone()]) } else { Ok(pieces) }
    }

    /// The statement in the form that may run twice: IF NOT EXISTS is put into CREATE DATABASE and CREATE TABLE, IF EXISTS into DROP DATABASE and
    /// DROP TABLE. The START TRANSACTION of MySQL's binlog is taken out. Everything else stays byte for byte.
    pub fn idempotent(&self) -> Vec<u8> {
        splice(&self.text, &self.idempotent_edits())
    }

    /// What [`idempotent`](Self::idempotent) puts in and takes out.
    pub(crate) fn idempotent_edits(&self) -> Vec<(Span, &'static [u8])> {
        let mut edits: Vec<(Span, &[u8])> = Vec::new();
        if let Some(at) = self.guard {
            let guard: &[u8] = match self.statement {
                Statement::CreateDatabase { .. } | Statement::CreateTable(_) => b" IF NOT EXISTS",
                _ => b" IF EXISTS",
            };
            edits.push((Span::new(at, at), guard));
        }
        if let Statement::CreateTable(create) = &self.statement
            && let Some(span) = create.start_transaction
        {
            edits.push((span, b""));
        }
        edits
    }

    /// The statement without MariaDB's system versioning, for a server that has none: clauses, period columns, changes that only concern it.
    /// `None`: it has nothing of that; empty: it is nothing else.
    pub fn without_versioning(&self) -> Option<Vec<u8>> {
        let mut cuts: Vec<Span> = Vec::new();
        match &self.statement {
            Statement::CreateTable(create) => {
                cuts.extend(self.versioning_clauses());
                let members = create.elements.iter().map(|element| match element {
                    Element::Period(span) => (*span, true),
                    Element::Column(column) => (column.span, is_period(column)),
                    Element::Index(index) => (index.span, false),
                    Element::ForeignKey(key) => (key.span, false),
                    Element::Check { span, .. } => (*span, false),
                });
                cuts.extend(self.cuts_of_list(members));
                let by_time = |span: &Span| contains_word(span.of(&self.text), b"SYSTEM_TIME");
                cuts.extend(create.partitioning.filter(by_time));
            }
            Statement::AlterTable(alter) => {
                let concerns = |change: &Change| match change {
                    Change::Neutral { what } => {
                        matches!(*what, "ADD SYSTEM VERSIONING" | "DROP SYSTEM VERSIONING" | "DROP PERIOD")
                    }
                    Change::Add { element: Element::Period(_), .. } => true,
                    Change::AddColumn { column, .. } => is_period(column),
                    _ => false,
                };
                let members = alter.specs.iter().map(|spec| (spec.span, concerns(&spec.change)));
                cuts.extend(self.cuts_of_list(members));
                if !cuts.is_empty() && cuts.len() == alter.specs.len() {
                    return Some(Vec::new());
                }
                cuts.extend(self.versioning_clauses().into_iter().filter(|clause| {
                    !alter.specs.iter().any(|spec| {
                        concerns(&spec.change)
                            && spec.span.start <= clause.start
                            && clause.end <= spec.span.end
                    })
                }));
            }
            _ => {}
        }
        let edits: Vec<(Span, &[u8])> = cuts.iter().map(|span| (*span, b"".as_slice())).collect();
        (!edits.is_empty()).then(|| splice(&self.text, &edits))
    }

    /// `WITH SYSTEM VERSIONING` and `WITHOUT SYSTEM VERSIONING`, of the table and of columns.
    fn versioning_clauses(&self) -> Vec<Span> {
        let words: Vec<_> =
            Lexer::new(&self.text, self.mode).filter(|token| token.kind != TokenKind::Comment).collect();
        let is = |at: usize, names: &[&str]| {
            let token = &words[at];
            let word = token.span.of(&self.text);
            token.kind == TokenKind::Word
                && names.iter().any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
        };
        (2..words.len())
            .filter(|n| is(n - 2, &["WITH", "WITHOUT"]) && is(n - 1, &["SYSTEM"]) && is(*n, &["VERSIONING"]))
            .map(|n| Span::new(words[n - 2].span.start, words[n].span.end))
            .collect()
    }

    /// What to take out of a list so that the members that are to go are gone, each with a comma.
    fn cuts_of_list(&self, members: impl Iterator<Item = (Span, bool)>) -> Vec<Span> {
        let (mut cuts, mut kept) = (Vec::new(), false);
        for (span, goes) in members {
            if !goes {
                kept = true;
                continue;
            }
            let before = self.text[..span.start].trim_ascii_end();
            let rest = &self.text[span.end..];
            let blanks = rest.len() - rest.trim_ascii_start().len();
            cuts.push(if kept && before.ends_with(b",") {
                Span::new(before.len() - 1, span.end)
            } else if !kept && rest.get(blanks) == Some(&b',') {
                Span::new(span.start, span.end + blanks + 1)
            } else {
                span
            });
        }
        cuts
    }

    fn piece(&self, spans: &[Span]) -> Result<Ddl, DdlError> {
        self.piece_with(spans, b"", &[])
    }

    /// Joins `head`, `between` and `tail`. A span that begins or ends inside an executable comment gets the marks it lacks.
    fn piece_with(&self, head: &[Span], between: &[u8], tail: &[Span]) -> Result<Ddl, DdlError> {
        let regions = self.executable_regions();
        let mut text = Vec::new();
        let add = |text: &mut Vec<u8>, span: &Span| {
            // Inside which region a place is, marks excluded.
            let region = |at: usize| regions.iter().find(|(open, close)| at >= open.end && at <= close.start);
            if span.start >= span.end {
                return;
            }
            if let Some((open, _)) = region(span.start) {
                text.extend_from_slice(open.of(&self.text));
                text.push(b' ');
            }
            text.extend_from_slice(span.of(&self.text));
            if region(span.end).is_some() {
                text.extend_from_slice(b" */");
            }
        };
        head.iter().for_each(|span| add(&mut text, span));
        text.extend_from_slice(between);
        tail.iter().for_each(|span| add(&mut text, span));
        parse(&text, self.mode)
    }

    /// Opening and closing mark of every executable comment.
    fn executable_regions(&self) -> Vec<(Span, Span)> {
        let mut regions = Vec::new();
        let mut open = None;
        for token in Lexer::new(&self.text, self.mode) {
            match token.kind {
                TokenKind::ExecutableOpen => open = Some(token.span),
                TokenKind::ExecutableClose => {
                    if let Some(open) = open.take() {
                        regions.push((open, token.span));
                    }
                }
                _ => {}
            }
        }
        regions
    }
}

/// Begin or end of a row's life.
fn is_period(column: &ColumnDef) -> bool {
    column.generated.as_ref().is_some_and(|generated| generated.expression.starts_with("ROW "))
}

fn contains_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// One past the last byte of a reference.
fn end_of(reference: &Reference) -> usize {
    reference.table.as_ref().or(reference.schema.as_ref()).map_or(reference.insert_at, |name| name.span.end)
}

/// `text` with each span replaced; spans must not overlap.
pub(crate) fn splice(text: &[u8], edits: &[(Span, &[u8])]) -> Vec<u8> {
    let mut sorted: Vec<_> = edits.iter().collect();
    sorted.sort_by_key(|(span, _)| (span.start, span.end));
    let mut out = Vec::with_capacity(text.len() + 32);
    let mut at = 0;
    for (span, bytes) in sorted {
        out.extend_from_slice(Span::new(at, span.start).of(text));
        out.extend_from_slice(bytes);
        at = span.end;
    }
    out.extend_from_slice(Span::new(at, text.len()).of(text));
    out
}
