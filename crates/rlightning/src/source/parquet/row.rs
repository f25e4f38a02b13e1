//! Rows on their way from pages to SQL: the values as the file has them, one row behind the other. It says nothing of a target, so the
//! same rows have the same checksum whatever becomes of them.
//!
//! A row is its length (four bytes, without themselves), then for each column 0 for NULL, or 1 and the value: booleans in one byte,
//! numbers in 4, 8 or 12, bytes with their length in 4 in front; all in little endian.

/// Checksum of rows, which says at which place of the file each is. That of two parts is the sum of theirs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum(u32);

impl Sum {
    /// Adds a row.
    pub(super) fn row(&mut self, number: u64, row: &[u8]) {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&number.to_le_bytes());
        hasher.update(row);
        self.0 = self.0.wrapping_add(hasher.finalize());
    }

    /// Adds other rows.
    pub fn add(&mut self, other: Sum) {
        self.0 = self.0.wrapping_add(other.0);
    }

    /// The number that is written down.
    pub fn value(self) -> u32 {
        self.0
    }
}

/// The rows of a run one by one.
pub fn rows(run: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = run;
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (row, behind) = behind.split_at_checked(length)?;
        let whole = rest.get(..4 + row.len());
        rest = behind;
        whole
    })
}

/// The cells of a row, which was given by [`rows`].
#[derive(Debug, Clone, Copy)]
pub struct Cells<'r>(&'r [u8]);

impl<'r> Cells<'r> {
    /// Those of a row.
    pub fn of(row: &'r [u8]) -> Self {
        Self(row.get(4..).unwrap_or_default())
    }

    /// Whether there is a value; `None` behind the last.
    pub fn has_value(&mut self) -> Option<bool> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first != 0)
    }

    /// A value of a fixed length.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*value)
    }

    /// Bytes.
    pub fn bytes(&mut self) -> Option<&'r [u8]> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_cells() {
        let run = b"\x07\0\0\0\x01\x02\0\0\0ab\x01\0\0\0\0";
        let found: Vec<&[u8]> = rows(run).collect();
        assert_eq!(found, [&run[..11], &run[11..]]);
        let mut cells = Cells::of(found[0]);
        assert_eq!(
            (cells.has_value(), cells.bytes(), cells.has_value()),
            (Some(true), Some(&b"ab"[..]), None)
        );
        assert_eq!(Cells::of(found[1]).has_value(), Some(false));
        let (mut both, mut first, mut second) = (Sum::default(), Sum::default(), Sum::default());
        both.row(0, found[0]);
        both.row(1, found[1]);
        first.row(0, found[0]);
        second.row(1, found[1]);
        first.add(second);
        assert_eq!(both, first);
        let mut swapped = Sum::default();
        swapped.row(1, found[0]);
        swapped.row(0, found[1]);
        assert_ne!(both, swapped);
    }
}
