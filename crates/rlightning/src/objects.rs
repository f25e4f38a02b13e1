//! Views, routines, triggers and events: what a schema has beside its tables, made after the rows are in, since a trigger must not fire
//! for them.
//!
//! Order: routines, views, triggers, events. Each is looked for first: one that is there with the same text is left (a run before this
//! one made it), with another text it is an error. So a run that was killed anywhere in between is gone on with by the next.

use std::collections::{BTreeMap, BTreeSet};

use common::error::lightning_codes as codes;
use common::ident::{TableName, quote, quote_string};
use mysql::Conn;
use sql::lexer::{Lexer, TokenKind, name_text};
use sql::{Kind, SqlMode, classify};
use tracing::info;

use crate::error::{Context, Error, Result, fail};
use crate::reroute::Reroute;
use crate::schema::Creator;
use crate::source::SchemaFile;

/// A program of the target.
#[derive(Debug, Clone)]
struct Program {
    /// In the order in which they are made.
    kind: ProgramKind,
    schema: String,
    name: String,
    /// SET statements before it, in the same session.
    settings: Vec<Vec<u8>>,
    text: Vec<u8>,
    path: String,
    /// The table of a trigger as its source names it.
    source: TableName,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ProgramKind {
    Package,
    PackageBody,
    Function,
    Procedure,
    Trigger,
    Event,
}

impl ProgramKind {
    fn words(self) -> &'static str {
        match self {
            Self::Package => "PACKAGE",
            Self::PackageBody => "PACKAGE BODY",
            Self::Function => "FUNCTION",
            Self::Procedure => "PROCEDURE",
            Self::Trigger => "TRIGGER",
            Self::Event => "EVENT",
        }
    }

    /// Whether views may need it.
    fn is_routine(self) -> bool {
        self < Self::Trigger
    }

    /// The body of one that exists.
    fn query(self, schema: &str, name: &str) -> String {
        let (table, column, what) = match self {
            Self::Trigger => ("TRIGGERS", "ACTION_STATEMENT", "TRIGGER"),
            Self::Event => ("EVENTS", "EVENT_DEFINITION", "EVENT"),
            _ => ("ROUTINES", "ROUTINE_DEFINITION", "ROUTINE"),
        };
        let more = if self.is_routine() {
            format!(" AND ROUTINE_TYPE = {}", quote_string(self.words()))
        } else {
            String::new()
        };
        format!(
            "SELECT {column} AS body FROM information_schema.{table} WHERE {what}_SCHEMA = {} AND {what}_NAME = {}{more}",
            quote_string(schema),
            quote_string(name)
        )
    }
}

fn wrong(path: &str, what: &str) -> Error {
    fail(codes::INVALID_SCHEMA_FILE, format!("file '{path}': {what}"))
}

impl Creator<'_> {
    /// Makes everything. The connection is used for this alone afterwards: its session is that of the last program.
    ///
    /// # Errors
    /// Names of which is not certain where they go; two sources with different objects for one name; what the target refuses.
    pub async fn objects(&self, conn: &mut Conn) -> Result<()> {
        let reroute = Reroute::new(&self.source.router, self.dump);
        // All of it is read before any of it is made.
        let views = self.view_texts(&reroute)?;
        let programs = self.programs(&reroute)?;
        self.make(conn, programs.iter().filter(|program| program.kind.is_routine())).await?;
        for (name, statements) in &views {
            self.view(conn, name, statements).await?;
        }
        self.make(conn, programs.iter().filter(|program| !program.kind.is_routine())).await
    }

    /// The statements of each view.
    fn view_texts(&self, reroute: &Reroute<'_>) -> Result<BTreeMap<TableName, Vec<Vec<u8>>>> {
        let mode = SqlMode::default();
        let mut views = BTreeMap::new();
        for (name, files) in &self.dump.views {
            let mut first: Option<(&SchemaFile, Vec<Vec<u8>>)> = None;
            if self.dump.tables.get(name).is_some_and(|table| !table.files.is_empty()) {
                let path = files.first().map_or("", |file| file.path.as_str());
                return Err(wrong(
                    path,
                    &format!(
                        "the view goes to {name}, and so do rows of a table: route one of them elsewhere"
                    ),
                ));
            }
            for file in files {
                let text = self.text(file)?;
                let mut statements = Vec::new();
                for span in
                    sql::split::statements(&text, mode).map_err(|e| wrong(&file.path, &e.to_string()))?
                {
                    let statement = span.of(&text);
                    if classify(statement, mode).kind == Kind::Set {
                        continue;
                    }
                    let rewritten = reroute
                        .rewrite(statement, &file.source.schema, &name.schema, mode)
                        .map_err(|what| wrong(&file.path, &format!("view {} can't follow the routes: {what}. Leave it out with `mydumper.filter`, or use `no-schema`", file.source)))?;
                    statements.push(rewritten);
                }
                match &first {
                    None => first = Some((file, statements)),
                    Some((_, same)) if *same == statements => {}
                    Some((other, _)) => {
                        return Err(wrong(
                            &file.path,
                            &format!(
                                "view {name} is another one than in file '{}': leave one of them out with `mydumper.filter`",
                                other.path
                            ),
                        ));
                    }
                }
            }
            if let Some((_, statements)) = first {
                views.insert(name.clone(), statements);
            }
        }
        Ok(views)
    }

    async fn view(&self, conn: &mut Conn, name: &TableName, statements: &[Vec<u8>]) -> Result<()> {
        let mode = SqlMode::default();
        let doing = || format!("make view {name}");
        conn.exec(format!("USE {}", quote(&name.schema))).await.context(codes::CREATE_SCHEMA, doing)?;
        for statement in statements {
            if classify(statement, mode).kind == Kind::DropTable {
                // It is there for the table that stood for the view; anything else is somebody's.
                match conn.query_one(format!("SELECT 1 AS one FROM {} LIMIT 1", name.quoted())).await {
                    Ok(None) => {}
                    Ok(Some(_)) if is_table(conn, name).await? => {
                        return Err(fail(
                            codes::CREATE_SCHEMA,
                            format!(
                                "the dump has a view {name}, and the target a table of that name with rows in it: rename or drop that"
                            ),
                        ));
                    }
                    // A view, even one that does not work, is no table.
                    Ok(Some(_)) | Err(_) => {}
                }
            }
            self.execute(conn, statement, &name.quoted()).await?;
        }
        Ok(())
    }

    /// All programs in their order, each once.
    fn programs(&self, reroute: &Reroute<'_>) -> Result<Vec<Program>> {
        let mut found: Vec<Program> = Vec::new();
        // Names of the triggers of each source table, by target table.
        let mut triggers: BTreeMap<TableName, BTreeMap<TableName, BTreeSet<String>>> = BTreeMap::new();
        for file in &self.dump.programs {
            let text = self.text(file)?;
            let schema = reroute.schema(&file.source.schema).map_err(|what| wrong(&file.path, &what))?;
            for program in read(&text, file, &schema)? {
                let text = reroute
                    .rewrite(&program.text, &file.source.schema, &schema, SqlMode::default())
                    .map_err(|what| {
                    wrong(
                        &file.path,
                        &format!(
                            "{} {} can't follow the routes: {what}",
                            program.kind.words(),
                            quote(&program.name)
                        ),
                    )
                })?;
                if program.kind == ProgramKind::Trigger && !file.source.table.is_empty() {
                    let routed = self.source.router.route(&file.source.schema, &file.source.table);
                    let target = routed.map_err(|error| wrong(&file.path, &error.to_string()))?.name();
                    let of = triggers.entry(target).or_default().entry(file.source.clone()).or_default();
                    of.insert(program.name.clone());
                }
                let program = Program { text, ..program };
                let same = found.iter().find(|one| {
                    (one.kind, &one.schema, &one.name) == (program.kind, &program.schema, &program.name)
                });
                match same {
                    None => found.push(program),
                    Some(same) if same.text == program.text && same.settings == program.settings => {}
                    Some(other) => {
                        return Err(wrong(
                            &file.path,
                            &format!(
                                "{} {} is another one than in file '{}'",
                                program.kind.words(),
                                TableName::new(program.schema.as_str(), program.name.as_str()),
                                other.path
                            ),
                        ));
                    }
                }
            }
        }
        for (target, sources) in &triggers {
            let mut sets = sources.iter();
            let Some((first, names)) = sets.next() else { continue };
            if let Some((other, _)) = sets.find(|(_, these)| *these != names) {
                return Err(fail(
                    codes::INVALID_SCHEMA_FILE,
                    format!(
                        "{first} and {other} both go to {target}, with other triggers each: all of them would fire for every row. Make them by hand, and import without --programs"
                    ),
                ));
            }
        }
        // Within a kind the order of the files stays: triggers fire in the order in which they were made.
        found.sort_by_key(|program| program.kind);
        Ok(found)
    }

    async fn make(&self, conn: &mut Conn, programs: impl Iterator<Item = &Program>) -> Result<()> {
        for program in programs {
            let name = TableName::new(program.schema.as_str(), program.name.as_str());
            let doing = || format!("file '{}': make {} {name}", program.path, program.kind.words());
            let query = program.kind.query(&program.schema, &program.name);
            if let Some(row) = conn.query_one(query).await.context(codes::CREATE_SCHEMA, doing)? {
                let body = row.str("body").ok().flatten().unwrap_or_default();
                if !body.trim().is_empty() && program.text.trim_ascii().ends_with(body.trim().as_bytes()) {
                    info!(object = %name, kind = program.kind.words(), "it is there already");
                    continue;
                }
                return Err(fail(
                    codes::CREATE_SCHEMA,
                    format!(
                        "file '{}': the target has a {} {name} with another text: drop it, or import without --programs",
                        program.path,
                        program.kind.words()
                    ),
                ));
            }
            conn.exec(format!("USE {}", quote(&program.schema)))
                .await
                .context(codes::CREATE_SCHEMA, doing)?;
            for statement in std::iter::once(&b"SET NAMES utf8mb4".to_vec()).chain(&program.settings) {
                conn.exec(statement).await.context(codes::CREATE_SCHEMA, doing)?;
            }
            conn.exec(&program.text).await.context(codes::CREATE_SCHEMA, doing)?;
            info!(object = %name, kind = program.kind.words(), source = %program.source, "created");
            common::failpoint::hit("program-created");
        }
        Ok(())
    }
}

async fn is_table(conn: &mut Conn, name: &TableName) -> Result<bool> {
    let query = format!(
        "SELECT 1 AS one FROM information_schema.TABLES WHERE TABLE_SCHEMA = {} AND TABLE_NAME = {} AND TABLE_TYPE = 'BASE TABLE'",
        quote_string(&name.schema),
        quote_string(&name.table)
    );
    let row = conn.query_one(query).await.context(codes::CREATE_SCHEMA, || format!("look at {name}"))?;
    Ok(row.is_some())
}

/// The programs of a file.
fn read(text: &[u8], file: &SchemaFile, schema: &str) -> Result<Vec<Program>> {
    let mode = SqlMode::default();
    let mut settings: Vec<Vec<u8>> = Vec::new();
    let mut programs = Vec::new();
    for span in sql::split::statements(text, mode).map_err(|error| wrong(&file.path, &error.to_string()))? {
        let statement = span.of(text);
        match classify(statement, mode).kind {
            Kind::Empty | Kind::Use => {}
            Kind::Set => settings.push(statement.to_vec()),
            Kind::Trigger | Kind::Routine | Kind::Event => {
                let Some((kind, name)) = created(statement, mode) else {
                    // Those that make room for the next one.
                    continue;
                };
                programs.push(Program {
                    kind,
                    schema: schema.to_owned(),
                    name,
                    settings: settings.clone(),
                    text: statement.to_vec(),
                    path: file.path.clone(),
                    source: file.source.clone(),
                });
            }
            other => {
                return Err(wrong(
                    &file.path,
                    &format!("byte {}: {other:?} is no statement of a program", span.start),
                ));
            }
        }
    }
    Ok(programs)
}

/// What a CREATE makes; `None`: it is no CREATE.
fn created(statement: &[u8], mode: SqlMode) -> Option<(ProgramKind, String)> {
    let mut words = Lexer::new(statement, mode).filter(|token| {
        !matches!(token.kind, TokenKind::Comment | TokenKind::ExecutableOpen | TokenKind::ExecutableClose)
    });
    let upper = |token: &sql::lexer::Token| name_text(token.span.of(statement)).to_uppercase();
    if upper(&words.next()?) != "CREATE" {
        return None;
    }
    let mut kind = loop {
        let token = words.next()?;
        if token.kind != TokenKind::Word {
            continue;
        }
        break match upper(&token).as_str() {
            "TRIGGER" => ProgramKind::Trigger,
            "FUNCTION" => ProgramKind::Function,
            "PROCEDURE" => ProgramKind::Procedure,
            "EVENT" => ProgramKind::Event,
            "PACKAGE" => ProgramKind::Package,
            _ => continue,
        };
    };
    let mut name = None;
    let mut parts = 0;
    for token in words {
        let word = upper(&token);
        match token.kind {
            TokenKind::Word if parts == 0 && kind == ProgramKind::Package && word == "BODY" => {
                kind = ProgramKind::PackageBody;
            }
            TokenKind::Word if parts == 0 && matches!(word.as_str(), "IF" | "NOT" | "EXISTS") => {}
            TokenKind::Word | TokenKind::Quoted if parts < 2 => {
                name = Some(name_text(token.span.of(statement)));
                parts += 1;
            }
            TokenKind::Punct(b'.') if parts == 1 => continue,
            _ => break,
        }
        // A second part follows a dot alone.
        if parts == 1 && statement.get(token.span.end) != Some(&b'.') {
            break;
        }
    }
    name.map(|name| (kind, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_statement_makes() {
        let made = |text: &str| created(text.as_bytes(), SqlMode::default());
        let some = |kind, name: &str| Some((kind, name.to_owned()));
        assert_eq!(
            made("CREATE DEFINER=`trigger`@`%` TRIGGER `t``r` BEFORE INSERT ON `x` FOR EACH ROW SET @a=1"),
            some(ProgramKind::Trigger, "t`r")
        );
        assert_eq!(
            made("CREATE DEFINER=a@b FUNCTION IF NOT EXISTS s.f() RETURNS int RETURN 1"),
            some(ProgramKind::Function, "f")
        );
        assert_eq!(made("CREATE PACKAGE BODY `p` AS END"), some(ProgramKind::PackageBody, "p"));
        assert_eq!(
            made(
                "CREATE /*!50017 DEFINER=`r`@`h`*/ /*!50003 TRIGGER a AFTER UPDATE ON b FOR EACH ROW SET @x = 1 */"
            ),
            some(ProgramKind::Trigger, "a")
        );
        assert_eq!(made("DROP TRIGGER a"), None);
    }
}
