//! One statement as several, and with IF [NOT] EXISTS.

use super::ast::{Change, Reference, Role, Statement};
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
