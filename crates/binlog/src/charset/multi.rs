//! Character sets of several bytes.

use encoding_rs::Encoding;

use super::{Charset, units};

/// Two bytes a character, no surrogates.
pub(super) fn ucs2(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty()
        && units(pairs.iter().map(|pair| char::from_u32(u32::from(u16::from_be_bytes(*pair)))), out)
}

pub(super) fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, out: &mut Vec<u8>) -> bool {
    let (pairs, rest) = bytes.as_chunks::<2>();
    rest.is_empty() && units(char::decode_utf16(pairs.iter().map(|pair| unit(*pair))).map(Result::ok), out)
}

pub(super) fn utf32(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let (quads, rest) = bytes.as_chunks::<4>();
    rest.is_empty() && units(quads.iter().map(|quad| char::from_u32(u32::from_be_bytes(*quad))), out)
}

/// The East Asian sets, by the tables of the web's encodings.
pub(super) fn legacy(charset: Charset, bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let encoding: &'static Encoding = match charset {
        Charset::Gbk | Charset::Gb2312 => encoding_rs::GBK,
        Charset::Gb18030 => encoding_rs::GB18030,
        Charset::Big5 => encoding_rs::BIG5,
        Charset::Sjis | Charset::Cp932 => encoding_rs::SHIFT_JIS,
        Charset::Ujis | Charset::Eucjpms => encoding_rs::EUC_JP,
        Charset::Euckr => encoding_rs::EUC_KR,
        _ => return false,
    };
    match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) => {
            out.extend_from_slice(text.as_bytes());
            true
        }
        None => false,
    }
}
