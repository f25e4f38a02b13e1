//! Reading the binary form. Offsets in it are only trusted as far as a real document could have them: no value is used
//! twice, so the number of values and the bytes of all strings are bounded by the size of the document.

use crate::error::Fault;
use crate::reader::{Reader, le};

/// MySQL refuses to make deeper documents than 100.
const MAX_DEPTH: u32 = 110;

/// A value of the binary form.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Object(Container<'a>),
    Array(Container<'a>),
    Scalar(Scalar<'a>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    String(&'a [u8]),
    /// Type code of the protocol, and the bytes.
    Opaque(u8, &'a [u8]),
}

/// An object or array: entries in fixed places, keys and values at offsets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Container<'a> {
    bytes: &'a [u8],
    large: bool,
    object: bool,
    count: usize,
}

/// What may still be read of a document.
#[derive(Debug)]
pub(super) struct Budget {
    values: usize,
    bytes: usize,
    depth: u32,
}

fn bad(detail: impl std::fmt::Display) -> Fault {
    Fault::invalid("JSON", detail)
}

impl Budget {
    pub(super) fn new(document: &[u8]) -> Budget {
        // The entry of a value takes three bytes at least.
        Budget { values: document.len() / 3 + 1, bytes: document.len(), depth: 0 }
    }

    fn value(&mut self) -> Result<(), Fault> {
        self.values = self.values.checked_sub(1).ok_or_else(|| bad("values overlap"))?;
        Ok(())
    }

    fn spend(&mut self, len: usize) -> Result<(), Fault> {
        self.bytes = self.bytes.checked_sub(len).ok_or_else(|| bad("strings overlap"))?;
        Ok(())
    }

    pub(super) fn enter(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > MAX_DEPTH { Err(bad("nested too deeply")) } else { Ok(()) }
    }

    pub(super) fn leave(&mut self) {
        self.depth -= 1;
    }
}

/// The document; no bytes at all stand for `null`, as in the server.
pub(super) fn document<'a>(bytes: &'a [u8], budget: &mut Budget) -> Result<Value<'a>, Fault> {
    match bytes.split_first() {
        None => Ok(Value::Scalar(Scalar::Null)),
        Some((code, rest)) => value(*code, rest, budget),
    }
}

/// A value of type `code` at the begin of `bytes`.
fn value<'a>(code: u8, bytes: &'a [u8], budget: &mut Budget) -> Result<Value<'a>, Fault> {
    budget.value()?;
    let mut reader = Reader::new(bytes);
    let scalar = match code {
        0 | 1 => return Ok(Value::Object(Container::new(bytes, code == 1, true)?)),
        2 | 3 => return Ok(Value::Array(Container::new(bytes, code == 3, false)?)),
        4 => literal(reader.u8("JSON literal")?)?,
        5 => Scalar::Int(i64::from(reader.u16("JSON int16")? as i16)),
        6 => Scalar::UInt(u64::from(reader.u16("JSON uint16")?)),
        7 => Scalar::Int(i64::from(reader.u32("JSON int32")? as i32)),
        8 => Scalar::UInt(u64::from(reader.u32("JSON uint32")?)),
        9 => Scalar::Int(reader.u64("JSON int64")? as i64),
        10 => Scalar::UInt(reader.u64("JSON uint64")?),
        11 => Scalar::Double(f64::from_bits(reader.u64("JSON double")?)),
        12 => Scalar::String(data(&mut reader, budget)?),
        15 => {
            let code = reader.u8("JSON opaque type")?;
            Scalar::Opaque(code, data(&mut reader, budget)?)
        }
        other => return Err(Fault::Unknown { what: "JSON type", value: u64::from(other) }),
    };
    Ok(Value::Scalar(scalar))
}

fn literal<'a>(value: u8) -> Result<Scalar<'a>, Fault> {
    match value {
        0 => Ok(Scalar::Null),
        1 => Ok(Scalar::Bool(true)),
        2 => Ok(Scalar::Bool(false)),
        other => Err(Fault::Unknown { what: "JSON literal", value: u64::from(other) }),
    }
}

/// Bytes after their length: seven bits a byte, lowest first, the high bit says that more follow.
fn data<'a>(reader: &mut Reader<'a>, budget: &mut Budget) -> Result<&'a [u8], Fault> {
    let mut len = 0u64;
    for shift in 0..5 {
        let byte = reader.u8("JSON length")?;
        len |= u64::from(byte & 0x7f) << (7 * shift);
        if byte & 0x80 == 0 {
            let len = usize::try_from(len).unwrap_or(usize::MAX);
            let bytes = reader.take(len, "JSON string")?;
            budget.spend(bytes.len())?;
            return Ok(bytes);
        }
    }
    Err(bad("a length of more than five bytes"))
}

impl<'a> Container<'a> {
    fn new(bytes: &'a [u8], large: bool, object: bool) -> Result<Container<'a>, Fault> {
        let mut reader = Reader::new(bytes);
        let (count, size) = if large {
            (reader.u32("JSON count")? as usize, reader.u32("JSON size")? as usize)
        } else {
            (usize::from(reader.u16("JSON count")?), usize::from(reader.u16("JSON size")?))
        };
        let bytes = bytes.get(..size).ok_or(Fault::Truncated {
            what: "JSON object or array",
            needed: size as u64,
            left: bytes.len() as u64,
        })?;
        let container = Container { bytes, large, object, count };
        let entries = container.entry(count);
        if entries > size {
            return Err(bad(format_args!("{count} entries in {size} bytes")));
        }
        Ok(container)
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn word(&self) -> usize {
        if self.large { 4 } else { 2 }
    }

    /// Where the entry of value `index` begins: after the head and, in an object, the entries of all keys.
    fn entry(&self, index: usize) -> usize {
        let keys = if self.object { self.count * (self.word() + 2) } else { 0 };
        2 * self.word() + keys + index * (self.word() + 1)
    }

    fn at(&self, from: usize, len: usize) -> Result<&'a [u8], Fault> {
        let end = from.checked_add(len);
        end.and_then(|end| self.bytes.get(from..end)).ok_or_else(|| bad("an offset outside of its container"))
    }

    pub(super) fn key(&self, index: usize, budget: &mut Budget) -> Result<&'a [u8], Fault> {
        let word = self.word();
        let entry = self.at(2 * word + index * (word + 2), word + 2)?;
        let (offset, len) = entry.split_at(word);
        let key = self.at(le(offset) as usize, le(len) as usize)?;
        budget.spend(key.len())?;
        Ok(key)
    }

    pub(super) fn value(&self, index: usize, budget: &mut Budget) -> Result<Value<'a>, Fault> {
        let entry = self.at(self.entry(index), self.word() + 1)?;
        let (code, place) = match entry.split_first() {
            Some((code, place)) => (*code, place),
            None => return Err(bad("an entry without type")),
        };
        // Small values stand in the entry itself.
        let inlined = matches!(code, 4..=6) || (self.large && matches!(code, 7 | 8));
        if inlined {
            return value(code, place, budget);
        }
        let offset = le(place) as usize;
        // A value lies after the entries, so that no container can hold itself.
        if offset < self.entry(self.count) {
            return Err(bad("an offset into the entries"));
        }
        value(code, self.bytes.get(offset..).unwrap_or_default(), budget)
    }
}
