//! Reads lines of SHOW GRANTS. What a line does not say in a form known here is left out: then a right counts as
//! missing, which names the GRANT, and nothing is taken for granted.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::{Grants, Names};

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    /// In backticks or quotes.
    Quoted(String),
    Sign(char),
}

type Tokens = Peekable<IntoIter<Token>>;

pub(super) fn line(grants: &mut Grants, line: &str) {
    let mut tokens = tokens(line).into_iter().peekable();
    match keyword(&mut tokens).as_deref() {
        Some("GRANT") => {
            let _ = grant(grants, &mut tokens);
        }
        Some("REVOKE") => {
            let _ = revoke(grants, &mut tokens);
        }
        // SET DEFAULT ROLE … of MariaDB.
        _ => {}
    }
}

fn grant(grants: &mut Grants, tokens: &mut Tokens) -> Option<()> {
    // A quoted name at the beginning is a role: GRANT `r`@`%` TO …
    if matches!(tokens.peek(), Some(Token::Quoted(_))) {
        return roles(grants, tokens);
    }
    let names = match privileges(tokens)? {
        (names, end) if end == "ON" => names,
        // MariaDB gives role names without quotes: GRANT r TO …
        (names, _) => {
            grants.roles.extend(names);
            return Some(());
        }
    };
    match object(tokens)? {
        (None, None) => grants.global.extend(names),
        (Some(schema), None) => grants.schemas.entry(schema).or_default().extend(names),
        (Some(schema), Some(table)) => grants.tables.entry((schema, table)).or_default().extend(names),
        (None, Some(_)) => {}
    }
    Some(())
}

fn revoke(grants: &mut Grants, tokens: &mut Tokens) -> Option<()> {
    let (names, end) = privileges(tokens)?;
    if end == "ON"
        && let (Some(schema), None) = object(tokens)?
    {
        grants.revoked.entry(schema).or_default().extend(names);
    }
    Some(())
}

fn roles(grants: &mut Grants, tokens: &mut Tokens) -> Option<()> {
    let mut role = String::new();
    for token in tokens {
        match token {
            Token::Quoted(name) => role.push_str(&format!("'{name}'")),
            Token::Sign('@') => role.push('@'),
            Token::Sign(',') => grants.roles.push(std::mem::take(&mut role)),
            Token::Word(word) if word.eq_ignore_ascii_case("TO") => break,
            _ => return None,
        }
    }
    grants.roles.push(role);
    Some(())
}

/// The list up to ON, TO or FROM, which is given back too. Rights for single columns only do not count.
fn privileges(tokens: &mut Tokens) -> Option<(Names, String)> {
    let mut names = Names::new();
    let mut name = String::new();
    let mut columns_only = false;
    let mut depth = 0;
    loop {
        match tokens.next()? {
            Token::Sign('(') => {
                depth += 1;
                columns_only = true;
            }
            Token::Sign(')') => depth -= 1,
            _ if depth > 0 => {}
            Token::Sign(',') => push(&mut names, &mut name, &mut columns_only),
            Token::Word(word) => {
                let word = word.to_ascii_uppercase();
                if matches!(word.as_str(), "ON" | "TO" | "FROM") {
                    push(&mut names, &mut name, &mut columns_only);
                    return Some((names, word));
                }
                if !name.is_empty() {
                    name.push(' ');
                }
                name.push_str(&word);
            }
            _ => return None,
        }
    }
}

fn push(names: &mut Names, name: &mut String, columns_only: &mut bool) {
    let name = std::mem::take(name);
    if !std::mem::take(columns_only) && !name.is_empty() {
        // 5.x and TiDB write it both ways.
        names.insert(if name == "ALL" { "ALL PRIVILEGES".to_owned() } else { name });
    }
}

/// `*.*`, `` `db`.* ``, `` `db`.`t` ``; `None` for functions and procedures.
fn object(tokens: &mut Tokens) -> Option<(Option<String>, Option<String>)> {
    let mut schema = part(tokens)?;
    // Only a right that is for tables by its object type may say so: ON TABLE `db`.`t`.
    if tokens.peek() != Some(&Token::Sign('.')) {
        match schema.as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("TABLE") => schema = part(tokens)?,
            _ => return None,
        }
    }
    if tokens.next()? != Token::Sign('.') {
        return None;
    }
    let table = part(tokens)?;
    Some((schema, table))
}

/// A name, or `Some(None)` for a star.
fn part(tokens: &mut Tokens) -> Option<Option<String>> {
    match tokens.next()? {
        Token::Sign('*') => Some(None),
        Token::Word(word) | Token::Quoted(word) => Some(Some(word)),
        Token::Sign(_) => None,
    }
}

fn keyword(tokens: &mut Tokens) -> Option<String> {
    match tokens.next()? {
        Token::Word(word) => Some(word.to_ascii_uppercase()),
        _ => None,
    }
}

fn tokens(line: &str) -> Vec<Token> {
    let mut out = Vec::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '`' | '\'' | '"' => {
                let mut text = String::new();
                while let Some(inner) = chars.next() {
                    if inner == c {
                        // Doubled, it stands for itself.
                        if chars.next_if_eq(&c).is_none() {
                            break;
                        }
                    }
                    text.push(inner);
                }
                out.push(Token::Quoted(text));
            }
            '.' | ',' | '(' | ')' | '*' | '@' => out.push(Token::Sign(c)),
            c if c.is_whitespace() => {}
            c => {
                let mut word = String::from(c);
                while let Some(next) =
                    chars.next_if(|c| !c.is_whitespace() && !matches!(c, '.' | ',' | '(' | ')' | '@' | '`'))
                {
                    word.push(next);
                }
                out.push(Token::Word(word));
            }
        }
    }
    out
}
