//! Text to nodes.

use std::collections::BTreeMap;

use super::{Command, Node, Operand, TemplateError};

type Result<T> = std::result::Result<T, TemplateError>;

fn error<T>(text: impl Into<String>) -> Result<T> {
    Err(TemplateError(format!("template: {}", text.into())))
}

/// Functions, with the least and the most arguments.
pub(super) const FUNCTIONS: [(&str, usize, usize); 9] = [
    ("fn", 1, 1),
    ("printf", 1, usize::MAX),
    ("print", 0, usize::MAX),
    ("eq", 2, usize::MAX),
    ("ne", 2, 2),
    ("not", 1, 1),
    ("and", 1, usize::MAX),
    ("or", 1, usize::MAX),
    ("len", 1, 1),
];

/// How deep `{{if}}` and brackets may be nested.
const DEEPEST: usize = 50;

/// One action or a run of text.
#[derive(Debug)]
enum Token {
    Text(String),
    Action(String),
}

/// Reads a text; definitions go to `named`, the rest is the result.
pub(super) fn parse(text: &str, named: &mut BTreeMap<String, Vec<Node>>) -> Result<Vec<Node>> {
    let tokens = tokens(text)?;
    let mut at = 0;
    let (nodes, end) = list(&tokens, &mut at, named, 0)?;
    match end {
        None => Ok(nodes),
        Some(word) => error(format!("unexpected {{{{{word}}}}}")),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut out = Vec::new();
    let mut rest = text;
    let mut trim = false;
    while let Some(at) = rest.find("{{") {
        let (mut before, after) = (&rest[..at], &rest[at + 2..]);
        if trim {
            before = before.trim_start();
        }
        let (after, trims_before) = match after.strip_prefix('-') {
            Some(after) if after.starts_with(char::is_whitespace) => (after, true),
            _ => (after, false),
        };
        if trims_before {
            before = before.trim_end();
        }
        if !before.is_empty() {
            out.push(Token::Text(before.to_owned()));
        }
        let end = action_end(after)?;
        let mut action = &after[..end];
        trim = action.strip_suffix('-').is_some_and(|head| head.ends_with(char::is_whitespace));
        if trim {
            action = &action[..action.len() - 1];
        }
        let action = action.trim();
        if !action.starts_with("/*") {
            out.push(Token::Action(action.to_owned()));
        }
        rest = &after[end + 2..];
    }
    let tail = if trim { rest.trim_start() } else { rest };
    if !tail.is_empty() {
        out.push(Token::Text(tail.to_owned()));
    }
    Ok(out)
}

/// Where `}}` is, outside quotes and comments.
fn action_end(text: &str) -> Result<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    if let Some(comment) = text.trim_start().strip_prefix("/*") {
        let start = text.len() - comment.len();
        let Some(end) = comment.find("*/") else { return error("unclosed comment") };
        at = start + end + 2;
    }
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes[at..].starts_with(b"}}") => return Ok(at),
            quote @ (b'"' | b'`') => at = quote_end(bytes, at, quote)?,
            _ => at += 1,
        }
    }
    error("unclosed action")
}

/// Behind the closing quote.
fn quote_end(bytes: &[u8], start: usize, quote: u8) -> Result<usize> {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quote == b'"' => at += 2,
            byte if byte == quote => return Ok(at + 1),
            _ => at += 1,
        }
    }
    error("unterminated quoted string")
}

/// Nodes up to the end or to `{{end}}` or `{{else ...}}`, which is given back.
fn list(
    tokens: &[Token],
    at: &mut usize,
    named: &mut BTreeMap<String, Vec<Node>>,
    depth: usize,
) -> Result<(Vec<Node>, Option<String>)> {
    if depth > DEEPEST {
        return error("too deeply nested");
    }
    let mut nodes = Vec::new();
    while let Some(token) = tokens.get(*at) {
        *at += 1;
        let action = match token {
            Token::Text(text) => {
                nodes.push(Node::Text(text.clone()));
                continue;
            }
            Token::Action(action) => action,
        };
        let (word, rest) = match action.find(|c: char| !c.is_alphanumeric()) {
            Some(end) => (&action[..end], action[end..].trim()),
            None => (action.as_str(), ""),
        };
        match word {
            "end" | "else" => return Ok((nodes, Some(action.clone()))),
            "if" => nodes.push(condition(rest, tokens, at, named, depth)?),
            "define" => {
                let (name, rest) = quoted(rest)?;
                if !rest.trim().is_empty() {
                    return error(format!("unexpected {rest:?} in define clause"));
                }
                let (body, end) = list(tokens, at, named, depth + 1)?;
                expect_end(end)?;
                named.insert(name, body);
            }
            "template" => {
                let (name, rest) = quoted(rest)?;
                let argument = match rest.trim() {
                    "" => None,
                    text => Some(pipeline(text)?),
                };
                nodes.push(Node::Call(name, argument));
            }
            "range" | "with" | "block" | "break" | "continue" => {
                return error(format!("{{{{{word}}}}} is not known to rdump"));
            }
            _ => nodes.push(Node::Print(pipeline(action)?)),
        }
    }
    Ok((nodes, None))
}

fn condition(
    text: &str,
    tokens: &[Token],
    at: &mut usize,
    named: &mut BTreeMap<String, Vec<Node>>,
    depth: usize,
) -> Result<Node> {
    let test = pipeline(text)?;
    let (yes, end) = list(tokens, at, named, depth + 1)?;
    let no = match end.as_deref() {
        Some("end") => Vec::new(),
        Some("else") => {
            let (no, end) = list(tokens, at, named, depth + 1)?;
            expect_end(end)?;
            no
        }
        Some(more) => match more.strip_prefix("else").map(str::trim).and_then(|more| more.strip_prefix("if"))
        {
            Some(test) => vec![condition(test.trim(), tokens, at, named, depth + 1)?],
            None => return error(format!("unexpected {{{{{more}}}}}")),
        },
        None => return error("unexpected EOF"),
    };
    Ok(Node::If(test, yes, no))
}

fn expect_end(end: Option<String>) -> Result<()> {
    match end.as_deref() {
        Some("end") => Ok(()),
        Some(other) => error(format!("unexpected {{{{{other}}}}}")),
        None => error("unexpected EOF"),
    }
}

/// A quoted name at the beginning, and what is behind it.
fn quoted(text: &str) -> Result<(String, &str)> {
    match text.as_bytes().first() {
        Some(&quote @ (b'"' | b'`')) => {
            let end = quote_end(text.as_bytes(), 0, quote)?;
            Ok((unquote(text.get(..end).unwrap_or_default()), text.get(end..).unwrap_or_default()))
        }
        _ => error(format!("unexpected {text:?}, a quoted name is expected")),
    }
}

fn unquote(text: &str) -> String {
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if text.starts_with('`') {
        return inner.to_owned();
    }
    let mut out = String::new();
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match (c, if c == '\\' { chars.next() } else { None }) {
            ('\\', Some('n')) => out.push('\n'),
            ('\\', Some('t')) => out.push('\t'),
            ('\\', Some(other)) => out.push(other),
            (c, _) => out.push(c),
        }
    }
    out
}

fn pipeline(text: &str) -> Result<Vec<Command>> {
    let mut rest = text;
    let commands = commands(&mut rest, 0)?;
    match rest.is_empty() {
        true => Ok(commands),
        false => error(format!("unexpected {rest:?} in command")),
    }
}

/// Commands up to the end or a closing bracket.
fn commands(rest: &mut &str, depth: usize) -> Result<Vec<Command>> {
    if depth > DEEPEST {
        return error("too deeply nested");
    }
    let mut out = Vec::new();
    let mut command = Command::new();
    loop {
        *rest = rest.trim_start();
        match rest.chars().next() {
            Some('|') => {
                *rest = &rest[1..];
                finish(&mut out, std::mem::take(&mut command))?;
            }
            None | Some(')') => {
                finish(&mut out, command)?;
                return Ok(out);
            }
            Some(_) => command.push(operand(rest, depth)?),
        }
    }
}

fn finish(out: &mut Vec<Command>, command: Command) -> Result<()> {
    let Some(first) = command.first() else { return error("missing value for command") };
    if let Operand::Word(name) = first {
        let piped = usize::from(!out.is_empty());
        let given = command.len() - 1 + piped;
        let known = FUNCTIONS.iter().find(|(known, ..)| known == name);
        match known {
            None => return error(format!("function \"{name}\" not defined")),
            Some((_, least, most)) if given < *least || given > *most => {
                return error(format!("wrong number of args for {name}: want at least {least}, got {given}"));
            }
            Some(_) => {}
        }
    } else if command.len() > 1 || !out.is_empty() {
        return error("can't give argument to non-function");
    }
    out.push(command);
    Ok(())
}

fn operand(rest: &mut &str, depth: usize) -> Result<Operand> {
    let text = *rest;
    let take = |end: usize| (text.get(..end).unwrap_or_default(), text.get(end..).unwrap_or_default());
    match text.chars().next() {
        Some('"' | '`') => {
            let (value, tail) = quoted(text)?;
            *rest = tail;
            Ok(Operand::Text(value))
        }
        Some('(') => {
            *rest = &text[1..];
            let inner = commands(rest, depth + 1)?;
            let Some(tail) = rest.strip_prefix(')') else { return error("unclosed left paren") };
            *rest = tail;
            Ok(Operand::Group(inner))
        }
        Some('$') => error("variables are not known to rdump"),
        _ => {
            let end = text.find(|c: char| c.is_whitespace() || matches!(c, '|' | '(' | ')' | '"' | '`'));
            let (word, tail) = take(end.unwrap_or(text.len()));
            *rest = tail;
            word_operand(word)
        }
    }
}

fn word_operand(word: &str) -> Result<Operand> {
    let is_name = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || c == '_');
    Ok(match word {
        "." => Operand::Dot,
        "true" => Operand::Bool(true),
        "false" => Operand::Bool(false),
        _ => match (word.strip_prefix('.'), word.parse::<i64>()) {
            (Some(field), _) if is_name(field) => Operand::Field(field.to_owned()),
            (None, Ok(number)) => Operand::Number(number),
            (None, _) if is_name(word) => Operand::Word(word.to_owned()),
            _ => return error(format!("unexpected {word:?} in command")),
        },
    })
}
