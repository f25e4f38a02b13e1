//! The kinds of events.

use std::fmt;

/// The type byte of an event header.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventKind(pub u8);

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $number:literal $text:literal,)*) => {
        impl EventKind {
            $($(#[$doc])* pub const $name: EventKind = EventKind($number);)*

            /// The server's name of the event, such as `Write_rows`; `None` when the number is not known.
            pub fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($text),)*
                    _ => None,
                }
            }
        }
    };
}

kinds! {
    /// Never written.
    UNKNOWN = 0 "Unknown",
    /// Format of MySQL before 5.0.
    START_V3 = 1 "Start_v3",
    /// A statement: DDL, BEGIN, COMMIT, or DML in statement format.
    QUERY = 2 "Query",
    /// The server stopped.
    STOP = 3 "Stop",
    /// The next file.
    ROTATE = 4 "Rotate",
    /// LAST_INSERT_ID or INSERT_ID of the next statement.
    INTVAR = 5 "Intvar",
    /// LOAD DATA of MySQL before 5.0.
    LOAD = 6 "Load",
    /// Never written.
    SLAVE = 7 "Slave",
    /// LOAD DATA of MySQL before 5.0.
    CREATE_FILE = 8 "Create_file",
    /// More data of a LOAD DATA.
    APPEND_BLOCK = 9 "Append_block",
    /// LOAD DATA of MySQL before 5.0.
    EXEC_LOAD = 10 "Exec_load",
    /// The file of a LOAD DATA is done with.
    DELETE_FILE = 11 "Delete_file",
    /// LOAD DATA of MySQL before 5.0.
    NEW_LOAD = 12 "New_load",
    /// Seeds of RAND() of the next statement.
    RAND = 13 "RAND",
    /// A user variable of the next statement.
    USER_VAR = 14 "User var",
    /// First event of a file.
    FORMAT_DESCRIPTION = 15 "Format_desc",
    /// Commit of a transaction.
    XID = 16 "Xid",
    /// First data of a LOAD DATA.
    BEGIN_LOAD_QUERY = 17 "Begin_load_query",
    /// LOAD DATA.
    EXECUTE_LOAD_QUERY = 18 "Execute_load_query",
    /// The table of the next rows events.
    TABLE_MAP = 19 "Table_map",
    /// Rows of a pre-release of 5.1.
    PRE_GA_WRITE_ROWS = 20 "Write_rows_event_old",
    /// Rows of a pre-release of 5.1.
    PRE_GA_UPDATE_ROWS = 21 "Update_rows_event_old",
    /// Rows of a pre-release of 5.1.
    PRE_GA_DELETE_ROWS = 22 "Delete_rows_event_old",
    /// Inserted rows (5.1, 5.5, MariaDB).
    WRITE_ROWS_V1 = 23 "Write_rows_v1",
    /// Updated rows (5.1, 5.5, MariaDB).
    UPDATE_ROWS_V1 = 24 "Update_rows_v1",
    /// Deleted rows (5.1, 5.5, MariaDB).
    DELETE_ROWS_V1 = 25 "Delete_rows_v1",
    /// The source lost events.
    INCIDENT = 26 "Incident",
    /// The source has nothing to send.
    HEARTBEAT = 27 "Heartbeat",
    /// To be skipped by who does not know it.
    IGNORABLE = 28 "Ignorable",
    /// The statement whose rows follow.
    ROWS_QUERY = 29 "Rows_query",
    /// Inserted rows.
    WRITE_ROWS = 30 "Write_rows",
    /// Updated rows.
    UPDATE_ROWS = 31 "Update_rows",
    /// Deleted rows.
    DELETE_ROWS = 32 "Delete_rows",
    /// GTID of the next transaction.
    GTID = 33 "Gtid",
    /// The next transaction has no GTID.
    ANONYMOUS_GTID = 34 "Anonymous_Gtid",
    /// GTIDs of all files before this one.
    PREVIOUS_GTIDS = 35 "Previous_gtids",
    /// Group replication.
    TRANSACTION_CONTEXT = 36 "Transaction_context",
    /// Group replication.
    VIEW_CHANGE = 37 "View_change",
    /// XA PREPARE.
    XA_PREPARE = 38 "XA_prepare",
    /// Updated rows with partial JSON documents.
    PARTIAL_UPDATE_ROWS = 39 "Update_rows_partial",
    /// A compressed transaction.
    TRANSACTION_PAYLOAD = 40 "Transaction_payload",
    /// The source has nothing to send; for positions over 4 GiB.
    HEARTBEAT_V2 = 41 "Heartbeat_v2",
    /// GTID, with a tag, of the next transaction.
    GTID_TAGGED = 42 "Gtid_tagged",
    /// MariaDB: the statement whose rows follow.
    ANNOTATE_ROWS = 160 "Annotate_rows",
    /// MariaDB: the oldest file needed for recovery.
    BINLOG_CHECKPOINT = 161 "Binlog_checkpoint",
    /// MariaDB: GTID of the next transaction.
    MARIA_GTID = 162 "Gtid (MariaDB)",
    /// MariaDB: GTIDs of all files before this one.
    MARIA_GTID_LIST = 163 "Gtid_list",
    /// MariaDB: all that follows is encrypted.
    START_ENCRYPTION = 164 "Start_encryption",
    /// MariaDB: a compressed query event.
    QUERY_COMPRESSED = 165 "Query_compressed",
    /// MariaDB: compressed rows.
    WRITE_ROWS_COMPRESSED_V1 = 166 "Write_rows_compressed_v1",
    /// MariaDB: compressed rows.
    UPDATE_ROWS_COMPRESSED_V1 = 167 "Update_rows_compressed_v1",
    /// MariaDB: compressed rows.
    DELETE_ROWS_COMPRESSED_V1 = 168 "Delete_rows_compressed_v1",
    /// MariaDB: compressed rows.
    WRITE_ROWS_COMPRESSED = 169 "Write_rows_compressed",
    /// MariaDB: compressed rows.
    UPDATE_ROWS_COMPRESSED = 170 "Update_rows_compressed",
    /// MariaDB: compressed rows.
    DELETE_ROWS_COMPRESSED = 171 "Delete_rows_compressed",
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "unknown ({})", self.0),
        }
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
