//! Finds the ends of rows by bit masks over blocks of 64 bytes, so that most bytes are never looked at one by one.

use crate::lexer::{Open, SqlMode, is_blank, starts_dash_comment};

const BLOCK: usize = 64;

/// Which bytes a mask marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Bytes that matter outside of quotes: quotes, parentheses, and the first bytes of comments.
    Outside,
    /// This quote and the backslash.
    Quote(u8),
}

/// Result of skipping blanks and comments.
pub(super) enum Skip {
    At(usize),
    More,
    Unclosed { what: Open, at: usize },
}

/// Result of looking for the end of a row.
pub(super) enum Row {
    /// One past the closing parenthesis.
    End(usize),
    More,
    Unclosed {
        what: Open,
        at: usize,
    },
    /// No row begins here.
    None(usize),
}

pub(super) struct RowScanner<'a> {
    text: &'a [u8],
    mode: SqlMode,
    at_end: bool,
    block: usize,
    outside: Option<u64>,
    quote: Option<(u8, u64)>,
}

impl<'a> RowScanner<'a> {
    pub(super) fn new(text: &'a [u8], mode: SqlMode, at_end: bool) -> Self {
        Self { text, mode, at_end, block: usize::MAX, outside: None, quote: None }
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    #[inline]
    fn mask(&mut self, block: usize, class: Class) -> u64 {
        if self.block != block {
            self.block = block;
            self.outside = None;
            self.quote = None;
        }
        match (class, self.outside, self.quote) {
            (Class::Outside, Some(mask), _) => return mask,
            (Class::Quote(quote), _, Some((known, mask))) if known == quote => return mask,
            _ => {}
        }
        let mut padded;
        let bytes: &[u8; BLOCK] =
            match self.text.get(block..block + BLOCK).and_then(|bytes| bytes.try_into().ok()) {
                Some(bytes) => bytes,
                None => {
                    let rest = self.text.get(block..).unwrap_or_default();
                    padded = [0; BLOCK];
                    padded[..rest.len()].copy_from_slice(rest);
                    &padded
                }
            };
        match class {
            Class::Outside => *self.outside.insert(mask::outside(bytes)),
            Class::Quote(quote) => self.quote.insert((quote, mask::quote(bytes, quote))).1,
        }
    }

    /// The first byte of the class at or after `from`.
    #[inline]
    fn find(&mut self, from: usize, class: Class) -> Option<usize> {
        let mut at = from;
        while at < self.text.len() {
            let block = at & !(BLOCK - 1);
            let mask = self.mask(block, class) >> (at - block);
            if mask != 0 {
                return Some(at + mask.trailing_zeros() as usize);
            }
            at = block + BLOCK;
        }
        None
    }

    /// One past the closing quote of the run that opens at `open`; None if the window ends before that is certain.
    #[inline]
    fn quoted_end(&mut self, open: usize) -> Option<usize> {
        let quote = self.text[open];
        let escapes = self.mode.escapes(quote);
        let mut at = open + 1;
        loop {
            at = self.find(at, Class::Quote(quote))?;
            if self.text[at] == b'\\' {
                at += if escapes { 2 } else { 1 };
                continue;
            }
            match self.text.get(at + 1) {
                Some(&next) if next == quote => at += 2,
                None if !self.at_end => return None,
                _ => return Some(at + 1),
            }
        }
    }

    /// Finds the end of the row that begins at `start` with `(` or `ROW(`.
    pub(super) fn row_end(&mut self, start: usize) -> Row {
        let open = match self.text.get(start) {
            Some(b'(') => start,
            _ => match self.row_word(start) {
                Some(Ok(open)) => open,
                Some(Err(())) => return Row::More,
                None => return Row::None(start),
            },
        };
        let mut depth = 1u32;
        let mut at = open + 1;
        loop {
            let Some(found) = self.find(at, Class::Outside) else {
                return self.more_or(Open::Parenthesis, open);
            };
            at = match self.text[found] {
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        return Row::End(found + 1);
                    }
                    found + 1
                }
                b'(' => {
                    depth += 1;
                    found + 1
                }
                quote @ (b'\'' | b'"' | b'`') => match self.quoted_end(found) {
                    Some(end) => end,
                    None => {
                        let what = match quote {
                            b'\'' => Open::SingleQuote,
                            b'"' => Open::DoubleQuote,
                            _ => Open::Backquote,
                        };
                        return self.more_or(what, found);
                    }
                },
                _ => match self.comment_end(found) {
                    Skip::At(end) if end > found => end,
                    Skip::At(_) => found + 1,
                    Skip::More => return Row::More,
                    Skip::Unclosed { what, at } => return Row::Unclosed { what, at },
                },
            };
        }
    }

    fn more_or(&self, what: Open, at: usize) -> Row {
        if self.at_end { Row::Unclosed { what, at } } else { Row::More }
    }

    /// `ROW (`: where the parenthesis is; Err: cut off by the window.
    fn row_word(&mut self, start: usize) -> Option<Result<usize, ()>> {
        let rest = self.text.get(start..)?;
        let word = &rest[..rest.len().min(3)];
        if !b"ROW"[..word.len()].eq_ignore_ascii_case(word) || word.is_empty() {
            return None;
        }
        if word.len() < 3 {
            return if self.at_end { None } else { Some(Err(())) };
        }
        match self.skip_blank(start + 3, true) {
            Skip::At(open) => match self.text.get(open) {
                Some(b'(') => Some(Ok(open)),
                None if !self.at_end => Some(Err(())),
                _ => None,
            },
            Skip::More => Some(Err(())),
            Skip::Unclosed { .. } => None,
        }
    }

    /// If a comment begins at `start`: one past its end; `start` itself if none does.
    fn comment_end(&self, start: usize) -> Skip {
        let text = self.text;
        let line = |from: usize| match memchr::memchr(b'\n', text.get(from..).unwrap_or_default()) {
            Some(at) => Skip::At(from + at + 1),
            None if self.at_end => Skip::At(text.len()),
            None => Skip::More,
        };
        match text.get(start) {
            Some(b'#') => line(start),
            Some(b'-') => match text.get(start + 1) {
                None if !self.at_end => Skip::More,
                Some(b'-') if text.len() == start + 2 && !self.at_end => Skip::More,
                Some(b'-') if starts_dash_comment(text, start) => line(start),
                _ => Skip::At(start),
            },
            Some(b'/') => match text.get(start + 1) {
                None if !self.at_end => Skip::More,
                Some(b'*') => match memchr::memmem::find(&text[start + 2..], b"*/") {
                    Some(at) => Skip::At(start + at + 4),
                    None if self.at_end => Skip::Unclosed { what: Open::Comment, at: start },
                    None => Skip::More,
                },
                _ => Skip::At(start),
            },
            _ => Skip::At(start),
        }
    }

    /// Skips blanks, comments and, between statements, semicolons. Executable comments are skipped only between rows, where they
    /// cannot hold anything of use; between statements they are statements.
    pub(super) fn skip_blank(&mut self, from: usize, between_rows: bool) -> Skip {
        let mut at = from;
        loop {
            match self.text.get(at) {
                Some(&byte) if is_blank(byte) => at += 1,
                Some(b';') if !between_rows => at += 1,
                Some(b'/') if !between_rows && crate::lexer::executable_open(self.text, at).is_some() => {
                    return Skip::At(at);
                }
                Some(b'/') if !between_rows && !self.at_end && self.text.len() < at + 12 => {
                    return Skip::More;
                }
                Some(b'#' | b'-' | b'/') => match self.comment_end(at) {
                    Skip::At(end) if end == at => return Skip::At(at),
                    Skip::At(end) => at = end,
                    other => return other,
                },
                _ => return Skip::At(at),
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod mask {
    use super::BLOCK;
    use std::arch::x86_64::{
        __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };

    #[inline]
    fn each(bytes: &[u8; BLOCK], matches: impl Fn(__m128i) -> __m128i) -> u64 {
        let mut mask = 0;
        for (index, chunk) in bytes.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: SSE2 is part of x86-64, and `chunk` is 16 readable bytes; the load has no alignment to keep.
            let bits = unsafe { _mm_movemask_epi8(matches(_mm_loadu_si128(chunk.as_ptr().cast()))) };
            mask |= u64::from(bits as u16) << (16 * index);
        }
        mask
    }

    #[inline]
    fn is(lane: __m128i, byte: u8) -> __m128i {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_cmpeq_epi8(lane, _mm_set1_epi8(byte as i8)) }
    }

    #[inline]
    fn or(a: __m128i, b: __m128i) -> __m128i {
        // SAFETY: SSE2 is part of x86-64.
        unsafe { _mm_or_si128(a, b) }
    }

    #[inline]
    pub(super) fn outside(bytes: &[u8; BLOCK]) -> u64 {
        each(bytes, |lane| {
            let brackets = or(is(lane, b'('), is(lane, b')'));
            let quotes = or(or(is(lane, b'\''), is(lane, b'"')), is(lane, b'`'));
            let comments = or(or(is(lane, b'#'), is(lane, b'-')), is(lane, b'/'));
            or(or(brackets, quotes), comments)
        })
    }

    #[inline]
    pub(super) fn quote(bytes: &[u8; BLOCK], quote: u8) -> u64 {
        each(bytes, |lane| or(is(lane, quote), is(lane, b'\\')))
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod mask {
    use super::BLOCK;

    #[inline]
    fn each(bytes: &[u8; BLOCK], matches: impl Fn(u8) -> bool) -> u64 {
        bytes.iter().enumerate().fold(0, |mask, (index, &byte)| mask | u64::from(matches(byte)) << index)
    }

    #[inline]
    pub(super) fn outside(bytes: &[u8; BLOCK]) -> u64 {
        each(bytes, |byte| matches!(byte, b'(' | b')' | b'\'' | b'"' | b'`' | b'#' | b'-' | b'/'))
    }

    #[inline]
    pub(super) fn quote(bytes: &[u8; BLOCK], quote: u8) -> u64 {
        each(bytes, |byte| byte == quote || byte == b'\\')
    }
}
