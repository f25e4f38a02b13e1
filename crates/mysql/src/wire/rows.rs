//! Rows of a result, lent out of the receive buffer.
//!
//! States of a [`RowStream`]: rows to come, or done. Owner: the caller, who holds the connection through it. Invariants:
//! 1. A row is lent only after all its cells were found to lie inside its packet, and to fill it.
//! 2. Only the server's own end packet makes `next` give `None`: a stream that stops otherwise is an error.
//! 3. The connection can be used again only after the end was read; one whose rows were dropped before is closed.

use std::ops::Range;

use super::conn::WireConn;
use super::fail;
use super::proto::{self, ColumnDef, ErrPacket};
use crate::Result;

/// Where a cell lies in its row. Rows are below 2 GiB, so that 32 bits hold a place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    start: u32,
    length: u32,
}

const NULL: u32 = u32::MAX;

/// Finds the cells of a row of the text protocol. `false`: the packet is not a row of that many cells.
#[inline]
pub(crate) fn find_cells(row: &[u8], spans: &mut [Span]) -> bool {
    let mut at = 0usize;
    for span in spans {
        let Some(&first) = row.get(at) else { return false };
        at += 1;
        let length = if first < 0xfb {
            usize::from(first)
        } else if first == 0xfb {
            *span = Span { start: 0, length: NULL };
            continue;
        } else {
            match long_length(row, at, first) {
                Some((bytes, length)) => {
                    at += bytes;
                    length
                }
                None => return false,
            }
        };
        if row.len() - at < length {
            return false;
        }
        *span = Span { start: at as u32, length: length as u32 };
        at += length;
    }
    at == row.len()
}

/// A length in 2, 3 or 8 bytes: how many bytes it takes, and the length.
#[inline]
fn long_length(row: &[u8], at: usize, first: u8) -> Option<(usize, usize)> {
    let rest = row.get(at..)?;
    match first {
        0xfc => rest.first_chunk::<2>().map(|bytes| (2, usize::from(u16::from_le_bytes(*bytes)))),
        0xfd => rest.first_chunk().map(|&[a, b, c]| (3, u32::from_le_bytes([a, b, c, 0]) as usize)),
        0xfe => {
            let length = usize::try_from(u64::from_le_bytes(*rest.first_chunk()?)).ok()?;
            Some((8, length))
        }
        _ => None,
    }
}

/// One row, lent until the next is asked for.
#[derive(Clone, Copy)]
pub struct RowRef<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
}

impl std::fmt::Debug for RowRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cells = self.cells().map(|cell| cell.map(String::from_utf8_lossy));
        f.debug_list().entries(cells).finish()
    }
}

impl<'a> RowRef<'a> {
    /// The number of cells, which is that of the columns.
    #[inline]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether it has no cells; never true, as a result has a column at least.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// The cell's text as sent, which for a binary column is its bytes; `None` for NULL and beyond the last column.
    #[inline]
    pub fn cell(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).and_then(|span| cell(self.bytes, *span))
    }

    /// All cells in order; `None` is NULL.
    #[inline]
    pub fn cells(&self) -> Cells<'a> {
        Cells { bytes: self.bytes, spans: self.spans.iter() }
    }

    /// The length of the row's packet: the cells and a length of 1 to 9 bytes for each.
    #[inline]
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }
}

#[inline]
fn cell(bytes: &[u8], span: Span) -> Option<&[u8]> {
    if span.length == NULL {
        return None;
    }
    let start = span.start as usize;
    // `find_cells` has proved that it lies inside.
    Some(bytes.get(start..start + span.length as usize).unwrap_or_default())
}

/// The cells of a row; see [`RowRef::cells`].
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    bytes: &'a [u8],
    spans: std::slice::Iter<'a, Span>,
}

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.spans.next().map(|span| cell(self.bytes, *span))
    }

    #[inline]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.spans.size_hint()
    }
}

impl ExactSizeIterator for Cells<'_> {}

/// The rows of one statement. Dropping it before the end leaves the connection unusable; drop that too, which closes the
/// socket without reading the rest (the server notices at its next write; `KILL QUERY` is quicker, see
/// [`WireConn::kill_query`]).
///
/// ```no_run
/// # async fn f(conn: &mut mysql::wire::WireConn) -> mysql::Result<()> {
/// let mut rows = conn.query("SELECT a, b FROM d.t").await?;
/// while let Some(row) = rows.next().await? {
///     for cell in row.cells() {
///         println!("{:?}", cell);
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RowStream<'c> {
    conn: &'c mut WireConn,
    columns: Vec<ColumnDef>,
    spans: Box<[Span]>,
    rows: u64,
    bytes_before: u64,
    done: bool,
}

impl<'c> RowStream<'c> {
    pub(crate) fn new(conn: &'c mut WireConn, columns: Vec<ColumnDef>) -> Self {
        let done = columns.is_empty();
        let spans = vec![Span::default(); columns.len()].into();
        let bytes_before = conn.channel.receiver.total();
        RowStream { conn, columns, spans, rows: 0, bytes_before, done }
    }

    /// The columns; none if the statement gives no rows.
    pub fn columns(&self) -> &[ColumnDef] {
        &self.columns
    }

    /// Rows given so far.
    pub fn rows_read(&self) -> u64 {
        self.rows
    }

    /// Bytes of rows received so far, those that wait in the buffer included.
    pub fn bytes_read(&self) -> u64 {
        self.conn.channel.receiver.total() - self.bytes_before
    }

    /// The next row; `None` after the last. Cancel-safe: a row is not lost when the future is dropped.
    ///
    /// # Errors
    /// The server's own error, which may come among rows; a connection that ended before the last row
    /// ([`ConnectionLost`](crate::ErrorClass::ConnectionLost), with the number of rows read); bytes that are no row. All but the first
    /// leave the connection closed.
    #[inline]
    pub async fn next(&mut self) -> Result<Option<RowRef<'_>>> {
        if self.done {
            return Ok(None);
        }
        let range = loop {
            match self.conn.channel.receiver.next_message() {
                Ok(Some(range)) => break range,
                Ok(None) => {
                    if let Err(error) = self.conn.channel.read_more().await {
                        return Err(self.lost(error));
                    }
                }
                Err(malformed) => return Err(self.malformed(malformed.0)),
            }
        };
        let packet = self.conn.channel.receiver.bytes(range.clone());
        match packet.first() {
            Some(0xff) => return Err(self.server_error(range)),
            Some(0xfe) if proto::ends_rows(packet, self.conn.deprecate_eof()) => {
                return self.end(range).map(|()| None);
            }
            _ => {}
        }
        if !find_cells(packet, &mut self.spans) {
            return Err(self.malformed("row"));
        }
        self.rows += 1;
        Ok(Some(RowRef { bytes: self.conn.channel.receiver.bytes(range), spans: &self.spans }))
    }

    /// Reads to the end and gives up the rows, so that the connection can be used again.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn skip_rest(mut self) -> Result<u64> {
        while self.next().await?.is_some() {}
        Ok(self.rows)
    }

    #[cold]
    fn end(&mut self, range: Range<usize>) -> Result<()> {
        let packet = self.conn.channel.receiver.bytes(range);
        match proto::end_status(packet, self.conn.deprecate_eof()) {
            Ok(status) if status & proto::status::MORE_RESULTS != 0 => Err(self.malformed("second result")),
            Ok(_) => {
                self.done = true;
                self.conn.set_idle();
                Ok(())
            }
            Err(malformed) => Err(self.malformed(malformed.0)),
        }
    }

    #[cold]
    fn server_error(&mut self, range: Range<usize>) -> crate::Error {
        match ErrPacket::parse(self.conn.channel.receiver.bytes(range)) {
            Ok(packet) => {
                self.done = true;
                self.conn.set_idle();
                fail::server(self.conn.peer(), &packet)
            }
            Err(malformed) => self.malformed(malformed.0),
        }
    }

    #[cold]
    fn malformed(&mut self, what: &'static str) -> crate::Error {
        self.done = true;
        self.conn.set_broken();
        fail::malformed(self.conn.peer(), what)
    }

    #[cold]
    fn lost(&mut self, error: std::io::Error) -> crate::Error {
        self.done = true;
        self.conn.set_broken();
        let context = format!("after {} rows and {} bytes of a result", self.rows, self.bytes_read());
        fail::lost(self.conn.peer(), &context, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::parse::{put_length, put_length_bytes};

    #[test]
    fn cells_are_found_or_the_row_is_refused() {
        let long = vec![b'x'; 70_000];
        let mut row = Vec::new();
        put_length_bytes(&mut row, b"abc");
        row.push(0xfb);
        put_length_bytes(&mut row, b"");
        put_length_bytes(&mut row, &long);
        put_length_bytes(&mut row, &long[..300]);
        let mut spans = [Span::default(); 5];
        assert!(find_cells(&row, &mut spans));
        let found = RowRef { bytes: &row, spans: &spans };
        assert_eq!(found.cell(0), Some(&b"abc"[..]));
        assert_eq!(found.cell(1), None);
        assert_eq!(found.cell(2), Some(&b""[..]));
        assert_eq!(found.cell(3), Some(&long[..]));
        assert_eq!(found.cell(9), None);
        assert_eq!(found.cells().len(), 5);
        assert_eq!(found.cells().filter(Option::is_none).count(), 1);
        for cut in [0, 1, 3, 4, 5, 6, 7, 8, 100, row.len() - 1] {
            assert!(!find_cells(&row[..cut], &mut spans), "cut at {cut}");
        }
        row.push(0);
        assert!(!find_cells(&row, &mut spans), "one byte too many");
        assert!(!find_cells(&[0xff], &mut [Span::default()]));
        let mut huge = Vec::new();
        put_length(&mut huge, u64::MAX);
        assert!(!find_cells(&huge, &mut [Span::default()]));
    }
}
