//! JSON text as MySQL writes it.

use super::binary::{self, Budget, Container, Scalar, Value};
use crate::error::Fault;
use crate::number::{push_double, push_i64, push_u64};
use crate::reader::le;
use crate::temporal;
use crate::value::json_decimal;

pub(super) fn write_binary(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut budget = Budget::new(bytes);
    let value = binary::document(bytes, &mut budget)?;
    write_value(&value, &mut budget, out)
}

fn write_value(value: &Value<'_>, budget: &mut Budget, out: &mut Vec<u8>) -> Result<(), Fault> {
    match value {
        Value::Scalar(scalar) => write_scalar(scalar, out),
        Value::Object(container) => write_container(container, true, budget, out),
        Value::Array(container) => write_container(container, false, budget, out),
    }
}

fn write_container(
    container: &Container<'_>,
    object: bool,
    budget: &mut Budget,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    budget.enter()?;
    out.push(if object { b'{' } else { b'[' });
    for index in 0..container.count() {
        if index > 0 {
            out.extend_from_slice(b", ");
        }
        if object {
            write_string(container.key(index, budget)?, out);
            out.extend_from_slice(b": ");
        }
        let value = container.value(index, budget)?;
        write_value(&value, budget, out)?;
    }
    out.push(if object { b'}' } else { b']' });
    budget.leave();
    Ok(())
}

pub(super) fn write_scalar(scalar: &Scalar<'_>, out: &mut Vec<u8>) -> Result<(), Fault> {
    match *scalar {
        Scalar::Null => out.extend_from_slice(b"null"),
        Scalar::Bool(true) => out.extend_from_slice(b"true"),
        Scalar::Bool(false) => out.extend_from_slice(b"false"),
        Scalar::Int(value) => push_i64(out, value),
        Scalar::UInt(value) => push_u64(out, value),
        Scalar::Double(value) => {
            if !value.is_finite() {
                return Err(Fault::invalid("JSON", value));
            }
            let from = out.len();
            push_double(out, value);
            // So that it is read back as a double.
            if !out[from..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
                out.extend_from_slice(b".0");
            }
        }
        Scalar::String(text) => write_string(text, out),
        Scalar::Opaque(code, bytes) => write_opaque(code, bytes, out)?,
    }
    Ok(())
}

fn write_opaque(code: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    let packed = || match bytes.len() {
        8 => Ok(le(bytes) as i64),
        other => Err(Fault::invalid("JSON", format_args!("a time of {other} bytes"))),
    };
    match code {
        246 => json_decimal(bytes)?.write(out),
        10 => {
            out.push(b'"');
            temporal::unpack_datetime(packed()?)?.date.write(out);
            out.push(b'"');
        }
        7 | 12 => {
            out.push(b'"');
            temporal::unpack_datetime(packed()?)?.write(out);
            out.push(b'"');
        }
        11 => {
            out.push(b'"');
            temporal::unpack_time(packed()?)?.write(out);
            out.push(b'"');
        }
        _ => {
            out.extend_from_slice(b"\"base64:type");
            push_u64(out, u64::from(code));
            out.push(b':');
            write_base64(bytes, out);
            out.push(b'"');
        }
    }
    Ok(())
}

/// With a line break, itself escaped, after each 76 characters but not at the end.
fn write_base64(bytes: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (index, chunk) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 19 == 0 {
            out.extend_from_slice(b"\\n");
        }
        let group =
            chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            if place > chunk.len() {
                out.push(b'=');
            } else {
                out.push(ALPHABET[(group >> (18 - 6 * place) & 63) as usize]);
            }
        }
    }
}

pub(super) fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte < 0x20 || matches!(byte, b'"' | b'\\')) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        let byte = tail[0];
        rest = &tail[1..];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x09 => out.extend_from_slice(b"\\t"),
            0x0a => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            0x0d => out.extend_from_slice(b"\\r"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}
