//! Character sets of several bytes.

use encoding_rs::Encoding;

use super::{Charset, units};
use crate::reader::be;

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

/// The East Asian sets. The tables of the web's encodings are not the server's: each character is decoded by itself, and
/// those on which the two differ (or which the server does not convert back to the same bytes) are refused.
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
    let differing = differing(charset);
    let mut rest = bytes;
    while let Some(first) = rest.first() {
        if first.is_ascii() && !(charset == Charset::Sjis && *first == b'\\') {
            out.push(*first);
            rest = &rest[1..];
            continue;
        }
        let Some(len) = character_len(charset, rest) else { return false };
        let (character, tail) = rest.split_at(len);
        rest = tail;
        let code = be(character) as u32;
        let index = differing.partition_point(|(from, _)| *from <= code);
        if index > 0 && differing.get(index - 1).is_some_and(|(_, to)| code <= *to) {
            return false;
        }
        match encoding.decode_without_bom_handling_and_without_replacement(character) {
            Some(text) => out.extend_from_slice(text.as_bytes()),
            None => return false,
        }
    }
    true
}

/// Length of the character at the begin of `bytes`, by the server's rules.
fn character_len(charset: Charset, bytes: &[u8]) -> Option<usize> {
    let first = *bytes.first()?;
    let second = bytes.get(1).copied();
    let two = |lead: bool, trail: fn(u8) -> bool| (lead && second.is_some_and(trail)).then_some(2);
    match charset {
        Charset::Gbk => two((0x81..=0xfe).contains(&first), |byte| matches!(byte, 0x40..=0x7e | 0x80..=0xfe)),
        Charset::Gb2312 => two((0xa1..=0xf7).contains(&first), |byte| matches!(byte, 0xa1..=0xfe)),
        Charset::Big5 => {
            two((0xa1..=0xf9).contains(&first), |byte| matches!(byte, 0x40..=0x7e | 0xa1..=0xfe))
        }
        Charset::Euckr => two(
            (0x81..=0xfe).contains(&first),
            |byte| matches!(byte, 0x41..=0x5a | 0x61..=0x7a | 0x81..=0xfe),
        ),
        Charset::Sjis | Charset::Cp932 => match first {
            0xa1..=0xdf => Some(1),
            _ => two(
                matches!(first, 0x81..=0x9f | 0xe0..=0xfc),
                |byte| matches!(byte, 0x40..=0x7e | 0x80..=0xfc),
            ),
        },
        Charset::Ujis | Charset::Eucjpms => match first {
            0x8e => two(true, |byte| matches!(byte, 0xa1..=0xdf)),
            0x8f => {
                let trail = |at: usize| bytes.get(at).is_some_and(|byte| matches!(byte, 0xa1..=0xfe));
                (trail(1) && trail(2)).then_some(3)
            }
            _ => two(matches!(first, 0xa1..=0xfe), |byte| matches!(byte, 0xa1..=0xfe)),
        },
        Charset::Gb18030 => match (first, second?) {
            (0x81..=0xfe, 0x30..=0x39) => {
                let third = bytes.get(2).is_some_and(|byte| matches!(byte, 0x81..=0xfe));
                let fourth = bytes.get(3).is_some_and(|byte| matches!(byte, 0x30..=0x39));
                (third && fourth).then_some(4)
            }
            (0x81..=0xfe, 0x40..=0x7e | 0x80..=0xfe) => Some(2),
            _ => None,
        },
        _ => None,
    }
}

/// Codes (first and last of each range) that the server maps in another way, or not back to themselves. Measured on MySQL
/// 8.0.33, as the test `charsets` does.
fn differing(charset: Charset) -> &'static [(u32, u32)] {
    match charset {
        Charset::Gbk => &GBK,
        Charset::Gb18030 => &GB18030,
        Charset::Gb2312 => &GB2312,
        Charset::Big5 => &BIG5,
        Charset::Sjis => &SJIS,
        Charset::Cp932 => &CP932,
        Charset::Ujis => &UJIS,
        Charset::Eucjpms => &EUCJPMS,
        _ => &[],
    }
}

#[rustfmt::skip]
static GBK: [(u32, u32); 53] = [
    (0xa140, 0xa17e), (0xa180, 0xa1a0), (0xa240, 0xa27e), (0xa280, 0xa2a0), (0xa2ab, 0xa2b0), (0xa2e3, 0xa2e4),
    (0xa2ef, 0xa2f0), (0xa2fd, 0xa2fe), (0xa340, 0xa37e), (0xa380, 0xa3a0), (0xa440, 0xa47e), (0xa480, 0xa4a0),
    (0xa4f4, 0xa4fe), (0xa540, 0xa57e), (0xa580, 0xa5a0), (0xa5f7, 0xa5fe), (0xa640, 0xa67e), (0xa680, 0xa6a0),
    (0xa6b9, 0xa6c0), (0xa6d9, 0xa6df), (0xa6ec, 0xa6ed), (0xa6f3, 0xa6f3), (0xa6f6, 0xa6fe), (0xa740, 0xa77e),
    (0xa780, 0xa7a0), (0xa7c2, 0xa7d0), (0xa7f2, 0xa7fe), (0xa896, 0xa8a0), (0xa8bc, 0xa8bc), (0xa8bf, 0xa8bf),
    (0xa8c1, 0xa8c4), (0xa8ea, 0xa8fe), (0xa958, 0xa958), (0xa95b, 0xa95b), (0xa95d, 0xa95f), (0xa989, 0xa995),
    (0xa997, 0xa9a3), (0xa9f0, 0xa9fe), (0xaaa1, 0xaafe), (0xaba1, 0xabfe), (0xaca1, 0xacfe), (0xada1, 0xadfe),
    (0xaea1, 0xaefe), (0xafa1, 0xaffe), (0xd7fa, 0xd7fe), (0xf8a1, 0xf8fe), (0xf9a1, 0xf9fe), (0xfaa1, 0xfafe),
    (0xfba1, 0xfbfe), (0xfca1, 0xfcfe), (0xfda1, 0xfdfe), (0xfe50, 0xfe7e), (0xfe80, 0xfefe),
];

#[rustfmt::skip]
static GB18030: [(u32, u32); 11] = [
    (0xa3a0, 0xa3a0), (0xa6d9, 0xa6df), (0xa6ec, 0xa6ed), (0xa6f3, 0xa6f3), (0xfe59, 0xfe59), (0xfe61, 0xfe61),
    (0xfe66, 0xfe67), (0xfe6d, 0xfe6d), (0xfe7e, 0xfe7e), (0xfe90, 0xfe90), (0xfea0, 0xfea0),
];

#[rustfmt::skip]
static GB2312: [(u32, u32); 23] = [
    (0xa1a4, 0xa1a4), (0xa1aa, 0xa1aa), (0xa2a1, 0xa2b0), (0xa2e3, 0xa2e4), (0xa2ef, 0xa2f0), (0xa2fd, 0xa2fe),
    (0xa4f4, 0xa4fe), (0xa5f7, 0xa5fe), (0xa6b9, 0xa6c0), (0xa6d9, 0xa6fe), (0xa7c2, 0xa7d0), (0xa7f2, 0xa7fe),
    (0xa8bb, 0xa8c4), (0xa8ea, 0xa8fe), (0xa9a1, 0xa9a3), (0xa9f0, 0xa9fe), (0xaaa1, 0xaafe), (0xaba1, 0xabfe),
    (0xaca1, 0xacfe), (0xada1, 0xadfe), (0xaea1, 0xaefe), (0xafa1, 0xaffe), (0xd7fa, 0xd7fe),
];

#[rustfmt::skip]
static BIG5: [(u32, u32); 22] = [
    (0xa145, 0xa145), (0xa14e, 0xa14e), (0xa15a, 0xa15a), (0xa1c2, 0xa1c3), (0xa1c5, 0xa1c5), (0xa1e3, 0xa1e3),
    (0xa1f2, 0xa1f3), (0xa1fe, 0xa1fe), (0xa240, 0xa242), (0xa244, 0xa244), (0xa246, 0xa247), (0xa2cc, 0xa2cc),
    (0xa2ce, 0xa2ce), (0xa3c0, 0xa3e1), (0xc6a1, 0xc6fe), (0xc740, 0xc77e), (0xc7a1, 0xc7fe), (0xc840, 0xc87e),
    (0xc8a1, 0xc8a4), (0xc8cd, 0xc8f1), (0xc8f5, 0xc8fe), (0xf9dd, 0xf9fe),
];

#[rustfmt::skip]
static SJIS: [(u32, u32); 38] = [
    (0x815f, 0x8161), (0x817c, 0x817c), (0x8191, 0x8192), (0x81ca, 0x81ca), (0x8740, 0x875d), (0x875f, 0x8775),
    (0x877e, 0x877e), (0x8780, 0x879c), (0xed40, 0xed7e), (0xed80, 0xedfc), (0xee40, 0xee7e), (0xee80, 0xeeec),
    (0xeeef, 0xeefc), (0xf040, 0xf07e), (0xf080, 0xf0fc), (0xf140, 0xf17e), (0xf180, 0xf1fc), (0xf240, 0xf27e),
    (0xf280, 0xf2fc), (0xf340, 0xf37e), (0xf380, 0xf3fc), (0xf440, 0xf47e), (0xf480, 0xf4fc), (0xf540, 0xf57e),
    (0xf580, 0xf5fc), (0xf640, 0xf67e), (0xf680, 0xf6fc), (0xf740, 0xf77e), (0xf780, 0xf7fc), (0xf840, 0xf87e),
    (0xf880, 0xf8fc), (0xf940, 0xf97e), (0xf980, 0xf9fc), (0xfa40, 0xfa7e), (0xfa80, 0xfafc), (0xfb40, 0xfb7e),
    (0xfb80, 0xfbfc), (0xfc40, 0xfc4b),
];

#[rustfmt::skip]
static CP932: [(u32, u32); 10] = [
    (0x8790, 0x8792), (0x8795, 0x8797), (0x879a, 0x879c), (0xed40, 0xed7e), (0xed80, 0xedfc), (0xee40, 0xee7e),
    (0xee80, 0xeeec), (0xeeef, 0xeefc), (0xfa4a, 0xfa54), (0xfa58, 0xfa5b),
];

#[rustfmt::skip]
static UJIS: [(u32, u32); 13] = [
    (0xa1c0, 0xa1c2), (0xa1dd, 0xa1dd), (0xa1f1, 0xa1f2), (0xa2cc, 0xa2cc), (0xada1, 0xadbe), (0xadc0, 0xadd6),
    (0xaddf, 0xadfc), (0xf9a1, 0xf9fe), (0xfaa1, 0xfafe), (0xfba1, 0xfbfe), (0xfca1, 0xfcee), (0xfcf1, 0xfcfe),
    (0x8fa2b7, 0x8fa2b7),
];

#[rustfmt::skip]
static EUCJPMS: [(u32, u32); 11] = [
    (0xadf0, 0xadf2), (0xadf5, 0xadf7), (0xadfa, 0xadfc), (0xf9a1, 0xf9fe), (0xfaa1, 0xfafe), (0xfba1, 0xfbfe),
    (0xfca1, 0xfcee), (0xfcf1, 0xfcfe), (0x8fa2b7, 0x8fa2b7), (0x8fa2c3, 0x8fa2c3), (0x8fa2f1, 0x8fa2f1),
];
