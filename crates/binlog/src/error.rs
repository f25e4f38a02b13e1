//! What can be wrong with an event, and where it stands in the log.

use std::fmt;
use std::sync::Arc;

use crate::kind::EventKind;

/// An event that cannot be decoded: which one, where, and why.
///
/// Nothing of the event has been delivered when this comes from [`Decoder::decode`](crate::Decoder::decode). Rows are
/// decoded while they are walked, so an error of [`Rows::next`](crate::Rows::next) may follow good rows of the same event:
/// the transaction must not be finished then.
#[derive(Clone, Debug)]
pub struct DecodeError(Box<Detail>);

#[derive(Clone, Debug)]
struct Detail {
    event: EventKind,
    file: Option<Arc<str>>,
    position: u64,
    fault: Fault,
}

impl DecodeError {
    pub(crate) fn new(place: &Place, fault: Fault) -> DecodeError {
        DecodeError(Box::new(Detail {
            event: place.event,
            file: place.file.clone(),
            position: place.position,
            fault,
        }))
    }

    /// The kind of the event.
    pub fn event(&self) -> EventKind {
        self.0.event
    }

    /// The log file that the last rotate event named, if there was one.
    pub fn file(&self) -> Option<&str> {
        self.0.file.as_deref()
    }

    /// Where the event begins in its file; 0 for artificial events, and for the events inside a compressed
    /// transaction the place of the transaction.
    pub fn position(&self) -> u64 {
        self.0.position
    }

    /// What is wrong.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} event at {}:{}: {}",
            self.0.event,
            self.0.file.as_deref().unwrap_or("(unknown file)"),
            self.0.position,
            self.0.fault
        )
    }
}

impl std::error::Error for DecodeError {}

/// Where an event stands, for errors.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) event: EventKind,
    pub(crate) file: Option<Arc<str>>,
    pub(crate) position: u64,
}

impl Place {
    pub(crate) fn fault(&self, fault: Fault) -> DecodeError {
        DecodeError::new(self, fault)
    }
}

/// What is wrong with an event or a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end inside a field.
    #[error("truncated: {what} needs {needed} bytes, {left} are left")]
    Truncated {
        /// The field.
        what: &'static str,
        /// How many bytes it needs.
        needed: u64,
        /// How many there are.
        left: u64,
    },
    /// Bytes are left over after the last field.
    #[error("over-long: {left} bytes are left after {what}")]
    TooLong {
        /// The last field.
        what: &'static str,
        /// How many bytes are left.
        left: usize,
    },
    /// The header says another size than the frame has.
    #[error("the header says {header} bytes, the frame has {frame}")]
    Size {
        /// Size by the header.
        header: u64,
        /// Size of the frame.
        frame: u64,
    },
    /// The CRC32 at the end does not fit.
    #[error("checksum mismatch: the event says {stored:08x}, its bytes give {computed:08x}")]
    Checksum {
        /// The checksum in the event.
        stored: u32,
        /// The checksum of its bytes.
        computed: u32,
    },
    /// An event, field or format that this decoder does not know.
    #[error("unknown {what} {value}")]
    Unknown {
        /// What it is.
        what: &'static str,
        /// Its number.
        value: u64,
    },
    /// Known and not supported.
    #[error("not supported: {0}")]
    Unsupported(&'static str),
    /// A field has a value that it cannot have.
    #[error("invalid {what}: {detail}")]
    Invalid {
        /// The field.
        what: &'static str,
        /// Its value or why it is invalid.
        detail: String,
    },
    /// A rows event names a table for which no table map event came.
    #[error("no table map for table id {0}")]
    NoTableMap(u64),
    /// An event came before any format description event.
    #[error("no format description event came before it")]
    NoFormat,
    /// A compressed transaction or event would need more memory than allowed.
    #[error("{what} of {size} bytes is over the limit of {limit} bytes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// A compressed transaction or event that cannot be decompressed.
    #[error("cannot decompress {what}: {detail}")]
    Decompress {
        /// What was compressed.
        what: &'static str,
        /// Why.
        detail: String,
    },
    /// A partial JSON update whose before image does not hold the document.
    #[error(
        "partial JSON update of column {column}, but the before image does not hold the document \
         (binlog_row_image must be FULL, or binlog_row_value_options empty)"
    )]
    NoJsonBefore {
        /// Number of the column, from 0.
        column: usize,
    },
    /// A value whose meaning needs the character set of its column, which the binlog does not hold.
    #[error("the character set of a text column is not known (no metadata in the binlog and none given)")]
    NoCharset,
    /// The source reports lost events.
    #[error("the source recorded an incident ({number}): {message}")]
    Incident {
        /// Number of the incident; 1 is lost events.
        number: u16,
        /// The source's message.
        message: String,
    },
    /// A fault in one column of a row.
    #[error("column {column}: {fault}")]
    Column {
        /// Number of the column, from 0.
        column: usize,
        /// What is wrong.
        fault: Box<Fault>,
    },
}

impl Fault {
    pub(crate) fn invalid(what: &'static str, detail: impl fmt::Display) -> Fault {
        Fault::Invalid { what, detail: detail.to_string() }
    }

    pub(crate) fn in_column(self, column: usize) -> Fault {
        match self {
            Fault::Column { .. } | Fault::NoJsonBefore { .. } => self,
            fault => Fault::Column { column, fault: Box::new(fault) },
        }
    }
}
