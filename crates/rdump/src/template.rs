//! `--output-filename-template`: file names by Go's `text/template`, as far as file names need it (facts/dumpling.md 2.2).
//!
//! Known: text, comments, `{{-` and `-}}`, `{{define}}`, `{{template}}`, `{{if}}` with `{{else}}`, pipelines of the fields
//! below, of literals and of `fn`, `printf`, `print`, `eq`, `ne`, `not`, `and`, `or`, `len`. Anything else is an error that
//! names it. Plain text redefines `data` only.

mod exec;
mod parse;

use std::collections::BTreeMap;

/// The templates of all kinds of files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Templates {
    named: BTreeMap<String, Vec<Node>>,
    /// As given, for messages and the manifest.
    text: String,
}

/// What a name is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// `.DB`
    pub db: String,
    /// `.Table`
    pub table: String,
    /// `.Policy`
    pub policy: String,
    /// `.ChunkIndex`
    pub chunk_index: u64,
    /// `.FileIndex`
    pub file_index: u64,
    /// `.Index`, a string.
    pub index: String,
}

/// Why a template can't be used. The texts follow Go's.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub struct TemplateError(String);

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Text(String),
    Print(Vec<Command>),
    Call(String, Option<Vec<Command>>),
    If(Vec<Command>, Vec<Node>, Vec<Node>),
}

/// One command of a pipeline: operands, the first may be a function.
type Command = Vec<Operand>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operand {
    Dot,
    Field(String),
    Word(String),
    Text(String),
    Number(i64),
    Bool(bool),
    Group(Vec<Command>),
}

/// The built-in templates: Dumpling's names.
const BUILT_IN: &str = r#"{{define "objectName"}}{{fn .DB}}.{{fn .Table}}{{end}}
{{define "schema"}}{{fn .DB}}-schema-create{{end}}
{{define "event"}}{{template "objectName" .}}-schema-post{{end}}
{{define "function"}}{{template "objectName" .}}-schema-post{{end}}
{{define "procedure"}}{{template "objectName" .}}-schema-post{{end}}
{{define "sequence"}}{{template "objectName" .}}-schema-sequence{{end}}
{{define "trigger"}}{{template "objectName" .}}-schema-triggers{{end}}
{{define "view"}}{{template "objectName" .}}-schema-view{{end}}
{{define "table"}}{{template "objectName" .}}-schema{{end}}
{{define "data"}}{{template "objectName" .}}.{{.Index}}{{end}}
{{define "placement-policy"}}{{fn .Policy}}-placement-policy-create{{end}}"#;

impl Templates {
    /// Reads the flag's value.
    ///
    /// # Errors
    /// What Go's parser would refuse, and what is not known here.
    pub fn parse(text: &str) -> Result<Templates, TemplateError> {
        let mut named = BTreeMap::new();
        parse::parse(BUILT_IN, &mut named)?;
        let main = parse::parse(text, &mut named)?;
        // Only definitions and space between them: `data` stays as it is.
        let is_empty = main.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()));
        if !is_empty {
            named.insert("data".into(), main);
        }
        Ok(Templates { named, text: text.to_owned() })
    }

    /// As given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The name of a file without its extension.
    ///
    /// # Errors
    /// A field that does not exist, a template that calls itself, a result that is no file name.
    pub fn name(&self, template: &str, fields: &Fields) -> Result<String, TemplateError> {
        let name = exec::run(self, template, fields)?;
        let bad = |part: &str| matches!(part, "" | "." | "..");
        if name.split('/').any(bad) || name.contains('\0') {
            return Err(TemplateError(format!(
                "template {template:?} gives {name:?}, which is no file name"
            )));
        }
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            db: "d.b".into(),
            table: "t%1".into(),
            chunk_index: 7,
            file_index: 2,
            index: "0000000070002".into(),
            ..Fields::default()
        }
    }

    fn name(template: &str, kind: &str) -> Result<String, String> {
        let templates = Templates::parse(template).map_err(|error| error.to_string())?;
        templates.name(kind, &fields()).map_err(|error| error.to_string())
    }

    #[test]
    fn built_in_names_are_dumplings() {
        for (kind, expected) in [
            ("data", "d%2Eb.t%251.0000000070002"),
            ("schema", "d%2Eb-schema-create"),
            ("table", "d%2Eb.t%251-schema"),
            ("view", "d%2Eb.t%251-schema-view"),
            ("sequence", "d%2Eb.t%251-schema-sequence"),
        ] {
            assert_eq!(name("", kind).unwrap(), expected);
        }
    }

    #[test]
    fn what_can_be_written() {
        for (template, expected) in [
            ("{{.DB}}/{{.Table}}-{{.Index}}", "d.b/t%1-0000000070002"),
            ("{{fn .Table}}.{{.ChunkIndex}}.{{.FileIndex}}", "t%251.7.2"),
            ("{{.Table | fn}}", "t%251"),
            ("{{printf \"%09d\" .ChunkIndex}}_{{ printf `%s-%v` .DB .FileIndex }}", "000000007_d.b-2"),
            ("{{printf \"%09d\" .Index}}", "%!d(string=0000000070002)"),
            ("a {{- /* no */ -}} b", "ab"),
            ("{{if eq .DB \"d.b\"}}x{{else}}y{{end}}", "x"),
            ("{{if .Policy}}x{{else if ne .ChunkIndex 7}}y{{else}}z{{end}}", "z"),
            ("{{print .DB (len .Table) 4}}", "d.b3 4"),
            ("{{define \"objectName\"}}{{.Table}}{{end}}", "t%1.0000000070002"),
            ("{{template \"objectName\" .}}!{{.Index}}", "d%2Eb.t%251!0000000070002"),
        ] {
            assert_eq!(name(template, "data").as_deref(), Ok(expected), "{template}");
        }
        let only_table = "{{define \"table\"}}{{fn .DB}}.{{fn .Table}}-s{{end}}";
        assert_eq!(name(only_table, "table").unwrap(), "d%2Eb.t%251-s");
        assert_eq!(name(only_table, "data").unwrap(), "d%2Eb.t%251.0000000070002");
    }

    #[test]
    fn what_cannot() {
        for (template, text) in [
            ("{{", "unclosed action"),
            ("{{.DB", "unclosed action"),
            ("{{nope .DB}}", "function \"nope\" not defined"),
            ("{{end}}", "unexpected {{end}}"),
            ("{{if .DB}}", "unexpected EOF"),
            ("{{range .DB}}{{end}}", "{{range}} is not known to rdump"),
            ("{{define \"x\"}}", "unexpected EOF"),
            ("{{\"a}}", "unterminated quoted string"),
            ("{{$x := .DB}}", "variables are not known to rdump"),
            ("{{}}", "missing value for command"),
            (
                "{{.index}}",
                "template: data: executing \"data\" at <.index>: can't evaluate field index in type *export.outputFileNamer",
            ),
            ("{{template \"nope\"}}", "template \"nope\" not defined"),
            (
                "{{define \"a\"}}{{template \"a\" .}}{{end}}{{template \"a\" .}}",
                "exceeded maximum template depth",
            ),
            ("..", "which is no file name"),
            ("/x", "which is no file name"),
            ("{{fn}}", "wrong number of args for fn"),
        ] {
            let error = name(template, "data").unwrap_err();
            assert!(error.contains(text), "{template}: {error}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[{}a-z.\"`|() \\-/*$%]{0,40}", any in ".{0,30}") {
            let _ = name(&text, "data");
            let _ = name(&any, "data");
            let _ = name(&format!("{{{{{any}}}}}"), "data");
        }
    }
}
