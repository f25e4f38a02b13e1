//! MariaDB's compression of events and of columns.

use flate2::{Decompress, FlushDecompress, Status};

use crate::error::Fault;
use crate::reader::{Reader, be};

/// Decompresses what MariaDB's `log_bin_compress` made: a byte (high bit set, algorithm, number of length bytes), the
/// length, high byte first, and zlib data. Appends to `out`.
pub(crate) fn maria(bytes: &[u8], limit: u64, what: &'static str, out: &mut Vec<u8>) -> Result<(), Fault> {
    let mut reader = Reader::new(bytes);
    let head = reader.u8("compression header")?;
    if head & 0x80 == 0 {
        return Err(Fault::invalid("compression header", format_args!("{head:#04x}")));
    }
    let algorithm = (head & 0x70) >> 4;
    if algorithm != 0 {
        return Err(Fault::Unknown { what: "compression algorithm", value: u64::from(algorithm) });
    }
    let len_bytes = usize::from(head & 0x07);
    if !(1..=4).contains(&len_bytes) {
        return Err(Fault::invalid("compression header", format_args!("{head:#04x}")));
    }
    let size = be(reader.take(len_bytes, "uncompressed length")?);
    inflate(reader.rest(), size, limit, what, true, out)
}

/// Decompresses the value of a MariaDB `COMPRESSED` column: a byte (algorithm, number of length bytes), the length, high
/// byte first, and deflated data. The empty value has no bytes at all. Appends to `out`.
pub(crate) fn maria_column(bytes: &[u8], limit: u64, out: &mut Vec<u8>) -> Result<(), Fault> {
    let Some((head, rest)) = bytes.split_first() else { return Ok(()) };
    match head >> 4 {
        0 => out.extend_from_slice(rest),
        8 => {
            let mut reader = Reader::new(rest);
            let len_bytes = usize::from(head & 0x07);
            let size = be(reader.take(len_bytes, "uncompressed length")?);
            // The fourth bit says that the data lacks the header and trailer of zlib.
            let wrapped = head & 0x08 == 0;
            inflate(reader.rest(), size, limit, "column", wrapped, out)?;
        }
        other => {
            return Err(Fault::Unknown { what: "compression method of a column", value: u64::from(other) });
        }
    }
    Ok(())
}

fn inflate(
    data: &[u8],
    size: u64,
    limit: u64,
    what: &'static str,
    zlib: bool,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if size > limit {
        return Err(Fault::TooLarge { what, size, limit });
    }
    let failed = |detail: &dyn std::fmt::Display| Fault::Decompress { what, detail: detail.to_string() };
    // Deflate packs at most 1032:1; a larger claim is a lie that must not cost memory.
    if size > (data.len() as u64 + 1) * 1032 {
        return Err(failed(&format_args!("{} bytes cannot hold {size}", data.len())));
    }
    let size = size as usize;
    let start = out.len();
    out.reserve_exact(size);
    let mut stream = Decompress::new(zlib);
    let status = stream.decompress_vec(data, out, FlushDecompress::Finish).map_err(|error| failed(&error))?;
    let written = out.len() - start;
    if status != Status::StreamEnd || written != size || stream.total_in() != data.len() as u64 {
        return Err(failed(&format_args!(
            "{written} of {size} bytes, {} of {} bytes used",
            stream.total_in(),
            data.len()
        )));
    }
    Ok(())
}
