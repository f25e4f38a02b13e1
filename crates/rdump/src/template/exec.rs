//! Nodes to text.

use super::{Command, Fields, Node, Operand, TemplateError, Templates};

type Result<T> = std::result::Result<T, TemplateError>;

/// How deep templates may call each other.
const DEEPEST: usize = 50;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Text(String),
    Number(i64),
    Bool(bool),
    /// `.` itself, as an argument of `template`.
    Dot,
    /// No argument was given to `template`.
    Nothing,
}

impl Value {
    fn is_true(&self) -> bool {
        match self {
            Value::Text(text) => !text.is_empty(),
            Value::Number(number) => *number != 0,
            Value::Bool(value) => *value,
            Value::Dot => true,
            Value::Nothing => false,
        }
    }

    fn text(&self) -> String {
        match self {
            Value::Text(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
            Value::Dot | Value::Nothing => "<no value>".into(),
        }
    }
}

/// Gives the text of one template.
pub(super) fn run(templates: &Templates, name: &str, fields: &Fields) -> Result<String> {
    let mut out = String::new();
    let context = Context { templates, fields };
    context.template(name, name, &Value::Dot, &mut out, 0)?;
    Ok(out)
}

struct Context<'a> {
    templates: &'a Templates,
    fields: &'a Fields,
}

impl Context<'_> {
    fn error<T>(&self, name: &str, text: impl Into<String>) -> Result<T> {
        Err(TemplateError(format!("template: {name}: executing {name:?}{}", text.into())))
    }

    fn template(&self, from: &str, name: &str, dot: &Value, out: &mut String, depth: usize) -> Result<()> {
        if depth > DEEPEST {
            return self.error(from, ": exceeded maximum template depth");
        }
        let Some(nodes) = self.templates.named.get(name) else {
            return self.error(from, format!(": template {name:?} not defined"));
        };
        self.nodes(name, nodes, dot, out, depth)
    }

    fn nodes(&self, name: &str, nodes: &[Node], dot: &Value, out: &mut String, depth: usize) -> Result<()> {
        for node in nodes {
            match node {
                Node::Text(text) => out.push_str(text),
                Node::Print(pipeline) => out.push_str(&self.pipeline(name, pipeline, dot)?.text()),
                Node::Call(called, argument) => {
                    let dot = match argument {
                        Some(pipeline) => self.pipeline(name, pipeline, dot)?,
                        None => Value::Nothing,
                    };
                    self.template(name, called, &dot, out, depth + 1)?;
                }
                Node::If(test, yes, no) => {
                    let branch = if self.pipeline(name, test, dot)?.is_true() { yes } else { no };
                    self.nodes(name, branch, dot, out, depth)?;
                }
            }
        }
        Ok(())
    }

    fn pipeline(&self, name: &str, pipeline: &[Command], dot: &Value) -> Result<Value> {
        let mut value = None;
        for command in pipeline {
            value = Some(self.command(name, command, value, dot)?);
        }
        Ok(value.unwrap_or(Value::Nothing))
    }

    fn command(&self, name: &str, command: &Command, piped: Option<Value>, dot: &Value) -> Result<Value> {
        let Some((first, rest)) = command.split_first() else { return Ok(Value::Nothing) };
        let Operand::Word(function) = first else { return self.operand(name, first, dot) };
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(name, operand, dot)?);
        }
        arguments.extend(piped);
        self.call(name, function, &arguments)
    }

    fn operand(&self, name: &str, operand: &Operand, dot: &Value) -> Result<Value> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Text(text) => Value::Text(text.clone()),
            Operand::Number(number) => Value::Number(*number),
            Operand::Bool(value) => Value::Bool(*value),
            Operand::Group(pipeline) => self.pipeline(name, pipeline, dot)?,
            Operand::Word(function) => self.call(name, function, &[])?,
            Operand::Field(field) => self.field(name, field, dot)?,
        })
    }

    fn field(&self, name: &str, field: &str, dot: &Value) -> Result<Value> {
        if *dot != Value::Dot {
            return self.error(name, format!(" at <.{field}>: nil data; no entry for key {field:?}"));
        }
        let number = |value: u64| Value::Number(i64::try_from(value).unwrap_or(i64::MAX));
        Ok(match field {
            "DB" => Value::Text(self.fields.db.clone()),
            "Table" => Value::Text(self.fields.table.clone()),
            "Policy" => Value::Text(self.fields.policy.clone()),
            "Index" => Value::Text(self.fields.index.clone()),
            "ChunkIndex" => number(self.fields.chunk_index),
            "FileIndex" => number(self.fields.file_index),
            _ => {
                let text = format!(
                    " at <.{field}>: can't evaluate field {field} in type *export.outputFileNamer \
                     (there are .DB, .Table, .Policy, .ChunkIndex, .FileIndex and .Index)"
                );
                return self.error(name, text);
            }
        })
    }

    fn call(&self, name: &str, function: &str, arguments: &[Value]) -> Result<Value> {
        let first = arguments.first().cloned().unwrap_or(Value::Nothing);
        let rest = arguments.get(1..).unwrap_or_default();
        Ok(match function {
            "fn" => Value::Text(common::dumpfile::escape(&first.text())),
            "printf" => Value::Text(printf(&first.text(), rest)),
            "print" => Value::Text(print(arguments)),
            "eq" => Value::Bool(rest.contains(&first)),
            "ne" => Value::Bool(!rest.contains(&first)),
            "not" => Value::Bool(!first.is_true()),
            "len" => Value::Number(first.text().len() as i64),
            "and" => arguments.iter().find(|v| !v.is_true()).or(arguments.last()).cloned().unwrap_or(first),
            "or" => arguments.iter().find(|v| v.is_true()).or(arguments.last()).cloned().unwrap_or(first),
            _ => return self.error(name, format!(": function {function:?} not defined")),
        })
    }
}

/// Go's `Sprint`: a space between two operands when neither is a string.
fn print(arguments: &[Value]) -> String {
    let mut out = String::new();
    for (i, value) in arguments.iter().enumerate() {
        let is_text = |value: &Value| matches!(value, Value::Text(_));
        if i > 0 && !is_text(value) && !is_text(&arguments[i - 1]) {
            out.push(' ');
        }
        out.push_str(&value.text());
    }
    out
}

/// Go's `Sprintf` with `%s %v %d %q %x %%`, flags `0` and `-`, and a width.
fn printf(format: &str, arguments: &[Value]) -> String {
    let mut out = String::new();
    let mut arguments = arguments.iter();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let spec_end = rest.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
        let (spec, tail) = rest.split_at(spec_end);
        let Some(verb) = tail.chars().next() else {
            out.push_str("%!(NOVERB)");
            return out;
        };
        rest = &tail[verb.len_utf8()..];
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(value) = arguments.next() else {
            out.push_str(&format!("%!{verb}(MISSING)"));
            continue;
        };
        let text = match (verb, value) {
            ('v', value) => value.text(),
            ('s', Value::Text(text)) => text.clone(),
            ('d', Value::Number(number)) => number.to_string(),
            ('x', Value::Number(number)) => format!("{number:x}"),
            ('q', Value::Text(text)) => format!("{text:?}"),
            (verb, Value::Text(text)) => format!("%!{verb}(string={text})"),
            (verb, Value::Number(number)) => format!("%!{verb}(int={number})"),
            (verb, value) => format!("%!{verb}(bool={})", value.text()),
        };
        out.push_str(&padded(&text, spec));
    }
    out.push_str(rest);
    let left: Vec<String> = arguments
        .map(|value| match value {
            Value::Text(text) => format!("string={text}"),
            other => format!("int={}", other.text()),
        })
        .collect();
    if !left.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", left.join(", ")));
    }
    out
}

fn padded(text: &str, spec: &str) -> String {
    let left = spec.contains('-');
    let digits = spec.trim_start_matches('-');
    let zero = digits.starts_with('0') && !left;
    // A name is no longer than this anyway.
    let width = digits.parse::<usize>().unwrap_or(0).min(255);
    if text.starts_with("%!") {
        return text.to_owned();
    }
    let missing = width.saturating_sub(text.chars().count());
    match (left, zero) {
        (true, _) => format!("{text}{}", " ".repeat(missing)),
        (false, true) => match text.strip_prefix('-') {
            Some(number) => format!("-{}{number}", "0".repeat(missing)),
            None => format!("{}{text}", "0".repeat(missing)),
        },
        (false, false) => format!("{}{text}", " ".repeat(missing)),
    }
}
