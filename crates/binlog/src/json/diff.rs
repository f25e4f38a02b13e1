//! Partial updates: the differences of `binlog_row_value_options=PARTIAL_JSON`, applied to the document before.

use std::borrow::Cow;

use super::binary::{self, Budget, Container, Scalar, Value};
use super::text::{write_scalar, write_string};
use crate::error::Fault;
use crate::reader::Reader;

/// A document that can be changed.
#[derive(Debug)]
enum Node<'a> {
    /// Sorted by length of the key, then by its bytes.
    Object(Vec<(Cow<'a, [u8]>, Node<'a>)>),
    Array(Vec<Node<'a>>),
    Scalar(Scalar<'a>),
}

/// One step of a path.
#[derive(Debug, PartialEq)]
enum Leg {
    Key(Vec<u8>),
    Index(usize),
    /// `[last-N]`.
    FromEnd(usize),
}

fn bad(detail: impl std::fmt::Display) -> Fault {
    Fault::invalid("JSON difference", detail)
}

/// Applies `differences` to the document `old` and appends the new one as text.
pub(crate) fn apply(old: &[u8], differences: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut root = load(old)?;
    let mut reader = Reader::new(differences);
    while !reader.is_empty() {
        let operation = reader.u8("operation of a JSON difference")?;
        let path = reader.packed_bytes("path of a JSON difference")?;
        let legs = parse_path(path)?;
        let missing = || bad(format_args!("the document has no {}", path.escape_ascii()));
        match operation {
            0 => {
                let value = load(reader.packed_bytes("value of a JSON difference")?)?;
                *seek(&mut root, &legs).ok_or_else(missing)? = value;
            }
            1 => {
                let value = load(reader.packed_bytes("value of a JSON difference")?)?;
                insert(&mut root, &legs, value).ok_or_else(missing)?;
            }
            2 => remove(&mut root, &legs).ok_or_else(missing)?,
            other => {
                return Err(Fault::Unknown {
                    what: "operation of a JSON difference",
                    value: u64::from(other),
                });
            }
        }
    }
    write(&root, out)
}

fn load(bytes: &[u8]) -> Result<Node<'_>, Fault> {
    let mut budget = Budget::new(bytes);
    let value = binary::document(bytes, &mut budget)?;
    load_value(value, &mut budget)
}

fn load_value<'a>(value: Value<'a>, budget: &mut Budget) -> Result<Node<'a>, Fault> {
    Ok(match value {
        Value::Scalar(scalar) => Node::Scalar(scalar),
        Value::Array(container) => {
            let mut items = Vec::new();
            each(&container, budget, |index, budget| {
                items.push(load_value(container.value(index, budget)?, budget)?);
                Ok(())
            })?;
            Node::Array(items)
        }
        Value::Object(container) => {
            let mut members = Vec::new();
            each(&container, budget, |index, budget| {
                let key = Cow::Borrowed(container.key(index, budget)?);
                members.push((key, load_value(container.value(index, budget)?, budget)?));
                Ok(())
            })?;
            Node::Object(members)
        }
    })
}

fn each(
    container: &Container<'_>,
    budget: &mut Budget,
    mut visit: impl FnMut(usize, &mut Budget) -> Result<(), Fault>,
) -> Result<(), Fault> {
    budget.enter()?;
    for index in 0..container.count() {
        visit(index, budget)?;
    }
    budget.leave();
    Ok(())
}

fn find(members: &[(Cow<'_, [u8]>, Node<'_>)], key: &[u8]) -> Result<usize, usize> {
    members.binary_search_by(|(other, _)| (other.len(), &**other).cmp(&(key.len(), key)))
}

fn child<'n, 'a>(node: &'n mut Node<'a>, leg: &Leg) -> Option<&'n mut Node<'a>> {
    match (node, leg) {
        (Node::Object(members), Leg::Key(key)) => {
            let index = find(members, key).ok()?;
            members.get_mut(index).map(|(_, value)| value)
        }
        (Node::Array(items), Leg::Index(index)) => items.get_mut(*index),
        (Node::Array(items), Leg::FromEnd(back)) => {
            let index = items.len().checked_sub(back + 1)?;
            items.get_mut(index)
        }
        _ => None,
    }
}

fn seek<'n, 'a>(root: &'n mut Node<'a>, legs: &[Leg]) -> Option<&'n mut Node<'a>> {
    legs.iter().try_fold(root, |node, leg| child(node, leg))
}

fn insert<'a>(root: &mut Node<'a>, legs: &[Leg], value: Node<'a>) -> Option<()> {
    let (last, parents) = legs.split_last()?;
    match (seek(root, parents)?, last) {
        (Node::Object(members), Leg::Key(key)) => match find(members, key) {
            Ok(_) => None,
            Err(index) => {
                members.insert(index, (Cow::Owned(key.clone()), value));
                Some(())
            }
        },
        (Node::Array(items), Leg::Index(index)) => {
            items.insert((*index).min(items.len()), value);
            Some(())
        }
        (Node::Array(items), Leg::FromEnd(back)) => {
            items.insert(items.len().checked_sub(*back)?, value);
            Some(())
        }
        _ => None,
    }
}

fn remove(root: &mut Node<'_>, legs: &[Leg]) -> Option<()> {
    let (last, parents) = legs.split_last()?;
    match (seek(root, parents)?, last) {
        (Node::Object(members), Leg::Key(key)) => {
            let index = find(members, key).ok()?;
            members.remove(index);
        }
        (Node::Array(items), Leg::Index(index)) if *index < items.len() => drop(items.remove(*index)),
        (Node::Array(items), Leg::FromEnd(back)) => {
            items.remove(items.len().checked_sub(back + 1)?);
        }
        _ => return None,
    }
    Some(())
}

fn write(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match node {
        Node::Scalar(scalar) => write_scalar(scalar, out)?,
        Node::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_string(key, out);
                out.extend_from_slice(b": ");
                write(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// The canonical paths that the server writes: `$.a."b c"[3][last]`.
fn parse_path(path: &[u8]) -> Result<Vec<Leg>, Fault> {
    let wrong = || bad(format_args!("path {}", path.escape_ascii()));
    let mut rest = path.strip_prefix(b"$").ok_or_else(wrong)?;
    let mut legs = Vec::new();
    // As deep as a document can be.
    while !rest.is_empty() && legs.len() < 200 {
        let (leg, tail) = match rest {
            [b'.', b'"', tail @ ..] => quoted_key(tail).ok_or_else(wrong)?,
            [b'.', tail @ ..] => {
                let end = tail.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(tail.len());
                let (key, tail) = tail.split_at(end);
                if key.is_empty() {
                    return Err(wrong());
                }
                (Leg::Key(key.to_vec()), tail)
            }
            [b'[', tail @ ..] => {
                let end = tail.iter().position(|byte| *byte == b']').ok_or_else(wrong)?;
                (cell(&tail[..end]).ok_or_else(wrong)?, &tail[end + 1..])
            }
            _ => return Err(wrong()),
        };
        legs.push(leg);
        rest = tail;
    }
    if rest.is_empty() { Ok(legs) } else { Err(wrong()) }
}

fn cell(text: &[u8]) -> Option<Leg> {
    let text = std::str::from_utf8(text).ok()?.trim();
    match text.strip_prefix("last") {
        None => text.parse().ok().map(Leg::Index),
        Some(back) => {
            let back = back.trim();
            match back.strip_prefix('-') {
                Some(number) => number.trim().parse().ok().map(Leg::FromEnd),
                None => back.is_empty().then_some(Leg::FromEnd(0)),
            }
        }
    }
}

/// A key as a JSON string, its opening quote taken off. Returns what follows it.
fn quoted_key(mut rest: &[u8]) -> Option<(Leg, &[u8])> {
    let mut key = Vec::new();
    loop {
        let (first, tail) = rest.split_first()?;
        rest = tail;
        match first {
            b'"' => return Some((Leg::Key(key), rest)),
            b'\\' => {
                let (escaped, tail) = rest.split_first()?;
                rest = tail;
                match escaped {
                    b'b' => key.push(8),
                    b't' => key.push(9),
                    b'n' => key.push(10),
                    b'f' => key.push(12),
                    b'r' => key.push(13),
                    b'"' | b'\\' | b'/' => key.push(*escaped),
                    b'u' => {
                        let (digits, tail) = rest.split_at_checked(4)?;
                        rest = tail;
                        let code = u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
                        // The server escapes control characters only.
                        let mut buffer = [0; 4];
                        key.extend_from_slice(char::from_u32(code)?.encode_utf8(&mut buffer).as_bytes());
                    }
                    _ => return None,
                }
            }
            byte => key.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read() {
        assert_eq!(parse_path(b"$").unwrap(), []);
        assert_eq!(
            parse_path(b"$.a[3].\"b \\\"c\"[last][last-2]").unwrap(),
            [
                Leg::Key(b"a".to_vec()),
                Leg::Index(3),
                Leg::Key(b"b \"c".to_vec()),
                Leg::FromEnd(0),
                Leg::FromEnd(2)
            ]
        );
        for wrong in [&b""[..], b"a", b"$a", b"$.", b"$[x]", b"$[1", b"$.\"a", b"$..a"] {
            assert!(parse_path(wrong).is_err(), "{}", wrong.escape_ascii());
        }
    }
}
