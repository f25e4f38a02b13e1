//! Names of tables inside the texts of views and programs, which nobody parses: they follow the routes where it is certain what they
//! are, and are refused by name where it is not.
//!
//! * `schema`.`table`, with or without a column behind it, follows its route, the schema's name and the table's alike.
//! * A table without its schema, behind FROM, JOIN, INTO, UPDATE, ON, TABLE, VIEW or EXISTS, may only get another schema: columns may be
//!   called by its name elsewhere in the text.
//! * Names in strings (PREPARE) are not seen.

use std::collections::BTreeSet;

use common::ident::{TableName, quote};
use common::route::Router;
use sql::SqlMode;
use sql::lexer::{Lexer, Span, TokenKind, name_text};

use crate::source::Dump;

/// Where names go.
pub struct Reroute<'a> {
    router: &'a Router,
    /// Tables and views of the dump, as the sources name them.
    known: BTreeSet<TableName>,
    schemas: BTreeSet<String>,
}

/// A name of one or more parts.
struct Chain {
    parts: Vec<(String, Span)>,
    /// The word before it, in capitals.
    behind: String,
}

impl<'a> Reroute<'a> {
    /// For the tables of a dump.
    pub fn new(router: &'a Router, dump: &Dump) -> Self {
        let tables = dump.tables.values().flat_map(|table| {
            let files = table.files.iter().map(|file| &file.source);
            files.chain(table.schemas.iter().map(|file| &file.source))
        });
        let views = dump.views.values().flatten().map(|file| &file.source);
        let known: BTreeSet<TableName> = tables.chain(views).cloned().collect();
        let schemas = known.iter().map(|name| name.schema.clone()).collect();
        Self { router, known, schemas }
    }

    fn route(&self, name: &TableName) -> Result<TableName, String> {
        self.router.route(&name.schema, &name.table).map(|routed| routed.name()).map_err(|e| e.to_string())
    }

    /// The schema that everything of a source schema goes to where no name says otherwise.
    ///
    /// # Errors
    /// There are several.
    pub fn schema(&self, source: &str) -> Result<String, String> {
        if self.router.is_empty() {
            return Ok(source.to_owned());
        }
        let mut found = BTreeSet::new();
        for name in self.known.iter().filter(|name| name.schema == source) {
            found.insert(self.route(name)?.schema);
        }
        match (found.len(), found.pop_first()) {
            (1, Some(schema)) => Ok(schema),
            (0, _) => Ok(self.route(&TableName::new(source, ""))?.schema),
            _ => Err(format!("the tables of {} go to several schemas", quote(source))),
        }
    }

    /// A text with its names where they go. It is run with `target` as the session's schema.
    ///
    /// # Errors
    /// A name of which is not certain what it is.
    pub fn rewrite(&self, text: &[u8], source: &str, target: &str, mode: SqlMode) -> Result<Vec<u8>, String> {
        if self.router.is_empty() {
            return Ok(text.to_vec());
        }
        let chains = chains(text, mode);
        let alone: BTreeSet<&str> = chains
            .iter()
            .filter(|chain| chain.parts.len() == 1)
            .filter_map(|chain| chain.parts.first().map(|(name, _)| name.as_str()))
            .collect();
        let mut edits: Vec<(Span, Vec<u8>)> = Vec::new();
        for chain in &chains {
            match chain.parts.as_slice() {
                [(name, span)] => edits.extend(self.single(name, *span, chain, source, target)?),
                [(first, a), (second, b), ..] => {
                    let name = TableName::new(first.as_str(), second.as_str());
                    if self.known.contains(&name) {
                        let routed = self.route(&name)?;
                        if routed == name {
                            continue;
                        }
                        if alone.contains(first.as_str()) {
                            return Err(format!(
                                "{name} may be a table, or a column of something called {}",
                                quote(first)
                            ));
                        }
                        edits.push((*a, quote(&routed.schema).into_bytes()));
                        edits.push((*b, quote(&routed.table).into_bytes()));
                    } else if self.schemas.contains(first)
                        && !alone.contains(first.as_str())
                        && self.schema(first)? != *first
                    {
                        return Err(format!(
                            "{name} is no table of the dump, so it is not known where it goes"
                        ));
                    } else {
                        // A column of a table that is called without its schema: it is looked at where that stands.
                    }
                }
                [] => {}
            }
        }
        let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
        for (span, name) in &edits {
            out.extend_from_slice(&text[at..span.start]);
            out.extend_from_slice(name);
            at = span.end;
        }
        out.extend_from_slice(&text[at..]);
        Ok(out)
    }

    fn single(
        &self,
        name: &str,
        span: Span,
        chain: &Chain,
        source: &str,
        target: &str,
    ) -> Result<Option<(Span, Vec<u8>)>, String> {
        let full = TableName::new(source, name);
        let is_table = matches!(
            chain.behind.as_str(),
            "FROM" | "JOIN" | "INTO" | "UPDATE" | "ON" | "TABLE" | "VIEW" | "EXISTS" | "STRAIGHT_JOIN"
        );
        if !self.known.contains(&full) {
            return Ok(None);
        }
        let routed = self.route(&full)?;
        if routed == TableName::new(target, name) {
            return Ok(None);
        }
        let is_own = matches!(chain.behind.as_str(), "VIEW" | "EXISTS");
        if is_own || (is_table && routed.table == name) {
            return Ok(Some((span, routed.quoted().into_bytes())));
        }
        if !is_table {
            // A column, an alias, or a table in a list behind FROM: only names that stay are certain.
            return Err(format!("{} may be the table, which goes to {routed}, or a column", quote(name)));
        }
        Err(format!("{} stands without its schema, and goes to {routed}", quote(name)))
    }
}

fn chains(text: &[u8], mode: SqlMode) -> Vec<Chain> {
    let mut found: Vec<Chain> = Vec::new();
    let (mut behind, mut dot) = (String::new(), false);
    for token in Lexer::new(text, mode) {
        match token.kind {
            TokenKind::Comment => {}
            TokenKind::Punct(b'.') => dot = true,
            TokenKind::Quoted | TokenKind::Word => {
                let name = name_text(token.span.of(text));
                match found.last_mut().filter(|_| dot) {
                    Some(chain) => chain.parts.push((name.clone(), token.span)),
                    None => {
                        found.push(Chain { parts: vec![(name.clone(), token.span)], behind: behind.clone() })
                    }
                }
                dot = false;
                behind = if token.kind == TokenKind::Word { name.to_uppercase() } else { String::new() };
            }
            _ => (behind, dot) = (String::new(), false),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use common::route::RouteRule;

    use crate::source::{SchemaFile, TargetTable};

    fn rewrite(text: &str) -> Result<String, String> {
        let rule = |schema: &str, table: Option<&str>, to: &str, to_table: Option<&str>| RouteRule {
            schema_pattern: schema.into(),
            table_pattern: table.unwrap_or_default().into(),
            target_schema: to.into(),
            target_table: to_table.unwrap_or_default().into(),
            ..RouteRule::default()
        };
        let rules = [rule("s1", None, "all", None), rule("s1", Some("part_*"), "all", Some("parts"))];
        let router = Router::new(&rules, true, "").unwrap();
        let mut dump = Dump::default();
        for table in ["t", "part_1", "x"] {
            let source = TableName::new("s1", table);
            let file =
                SchemaFile { path: String::new(), source: source.clone(), packing: Default::default() };
            let target = TableName::new("all", table);
            dump.tables.insert(target, TargetTable { files: Vec::new(), schemas: vec![file] });
        }
        let reroute = Reroute::new(&router, &dump);
        reroute
            .rewrite(text.as_bytes(), "s1", "all", SqlMode::default())
            .map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn names_follow_their_routes() {
        assert_eq!(
            rewrite("CREATE VIEW `v` AS select `s1`.`t`.`id` AS `id`, s1.part_1.n from `s1`.`t` join `s1`.`part_1` on 1 /* s1.t */ where 's1.t'=''"),
            Ok("CREATE VIEW `v` AS select `all`.`t`.`id` AS `id`, `all`.`parts`.n from `all`.`t` join `all`.`parts` on 1 /* s1.t */ where 's1.t'=''".into())
        );
        // Without a schema: the session's, which is the target's.
        assert_eq!(rewrite("select `t`.`id` from `t`").unwrap(), "select `t`.`id` from `t`");
    }

    #[test]
    fn what_is_not_certain_is_refused() {
        assert!(rewrite("select `part_1`.`id` from `part_1`").unwrap_err().contains("without its schema"));
        assert!(rewrite("select id, part_1 from x").unwrap_err().contains("or a column"));
        assert!(rewrite("select s1.f(1)").unwrap_err().contains("no table of the dump"));
        assert!(rewrite("select s1.t from x as s1").unwrap_err().contains("may be a table, or a column"));
    }
}
