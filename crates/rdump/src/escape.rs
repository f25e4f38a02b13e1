//! Values as SQL text. The hot path: bytes are scanned by a table, clean runs are copied whole, nothing allocates
//! beyond the growth of the output buffer.

/// For each byte the letter after the backslash, or 0 if it needs no escape.
const ESCAPES: [u8; 256] = {
    let mut table = [0; 256];
    table[0] = b'0';
    table[b'\n' as usize] = b'n';
    table[b'\r' as usize] = b'r';
    table[b'\\' as usize] = b'\\';
    table[b'\'' as usize] = b'\'';
    table[b'"' as usize] = b'"';
    table[0x1a] = b'Z';
    table
};

/// Appends `text` with backslash escapes, without quotes.
pub fn escape_backslash(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let clean = clean_run(rest);
        out.extend_from_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        out.extend_from_slice(&[b'\\', ESCAPES[byte as usize]]);
        rest = &rest[clean + 1..];
    }
}

/// Length of the run at the start that holds no byte of [`ESCAPES`].
fn clean_run(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        if may_need_escape(u64::from_le_bytes(*word)) {
            // A false alarm is possible (see below), so the bytes decide.
            if let Some(at) = word.iter().position(|&b| ESCAPES[b as usize] != 0) {
                return i * 8 + at;
            }
        }
    }
    let done = words.len() * 8;
    let tail = &text[done..];
    tail.iter().position(|&b| ESCAPES[b as usize] != 0).map_or(text.len(), |at| done + at)
}

const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);

/// Whether one of eight bytes may be below 0x20, `"`, `'` or `\`. Never misses one; alarms on other control
/// characters too, and now and then on a byte above a borrow.
fn may_need_escape(word: u64) -> bool {
    let has_zero = |w: u64| w.wrapping_sub(LOW) & !w & HIGH;
    let control = word.wrapping_sub(LOW * 0x20) & !word & HIGH;
    let quote = has_zero(word ^ (LOW * b'"' as u64));
    let apostrophe = has_zero(word ^ (LOW * b'\'' as u64));
    let backslash = has_zero(word ^ (LOW * b'\\' as u64));
    control | quote | apostrophe | backslash != 0
}

/// Appends `text` with every `'` doubled, for targets where a backslash is an ordinary character.
pub fn escape_doubling(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\'', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'\'');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

const HEX_PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = [DIGITS[i >> 4], DIGITS[i & 15]];
        i += 1;
    }
    table
};

/// Appends lower-case hexadecimal digits.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|&b| HEX_PAIRS[b as usize]));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        escape_backslash(&mut out, text);
        out
    }

    /// Byte by byte, as the facts say it.
    fn plain(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &b in text {
            match b {
                0 => out.extend(b"\\0"),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                0x1a => out.extend(b"\\Z"),
                b'\\' | b'\'' | b'"' => out.extend([b'\\', b]),
                b => out.push(b),
            }
        }
        out
    }

    #[test]
    fn every_byte_at_every_place() {
        for byte in 0..=255u8 {
            for place in 0..20 {
                for fill in [b'a', 0xff, 0x7f, b' ', b'!'] {
                    let mut text = vec![fill; 20];
                    text[place] = byte;
                    assert_eq!(escaped(&text), plain(&text), "{byte} at {place}");
                }
            }
        }
        assert_eq!(escaped("汉'字\t".as_bytes()), "汉\\'字\t".as_bytes());
        assert_eq!(escaped(b""), b"");
    }

    #[test]
    fn doubling_and_hex() {
        let mut out = Vec::new();
        escape_doubling(&mut out, b"'a''b\\\n'");
        assert_eq!(out, b"''a''''b\\\n''");
        out.clear();
        hex(&mut out, b"\x00\x7f\xff");
        assert_eq!(out, b"007fff");
    }

    proptest::proptest! {
        #[test]
        fn same_as_byte_by_byte(text: Vec<u8>) {
            proptest::prop_assert_eq!(escaped(&text), plain(&text));
        }
    }
}
