//! What a program can do about an error, decided by the server's error number and by nothing else.

/// What an [`Error`](crate::Error) means to the program that got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorClass {
    /// No connection was made: refused, unreachable, unknown host, timeout, broken handshake. Trying again may help.
    ConnectFailed,
    /// TLS was wanted and could not be had, or the server wants it and this connection has none.
    Tls,
    /// The server has no free connection for this account now.
    TooManyConnections,
    /// The connection is gone and nothing was changed by the statement at hand.
    ConnectionLost,
    /// The connection is gone after a statement that may change data was sent: it may have been done or not.
    UnknownOutcome,
    /// The server is shutting down and this statement was not done.
    ServerShutdown,
    /// The account may not log in or may not do this.
    AccessDenied,
    /// The transaction was rolled back or the statement given up for reasons that pass: deadlock, lock wait, a
    /// busy or moved TiDB region. Do the whole transaction again.
    Retryable,
    /// Someone ended the statement (KILL QUERY) or it ran into a time limit.
    Interrupted,
    /// A unique key has this value already.
    Duplicate,
    /// A text or row is longer than its place.
    DataTooLong,
    /// A number or date beyond what its column holds.
    OutOfRange,
    /// A value that its column, a check or a partition refuses.
    BadValue,
    /// A foreign key refuses the change.
    ForeignKey,
    /// The database is not there.
    UnknownDatabase,
    /// The table is not there.
    UnknownTable,
    /// A column or index is not there, or the number of values is not that of the columns.
    UnknownColumn,
    /// A database, table, column or index of this name is there already.
    AlreadyExists,
    /// A system variable that this server does not know.
    UnknownVariable,
    /// The statement is not SQL to this server.
    Syntax,
    /// The server, session or transaction takes no writes.
    ReadOnly,
    /// No room on the server's disk or in the table.
    DiskFull,
    /// A statement or row above `max_allowed_packet`.
    PacketTooLarge,
    /// The binlog asked for is off or purged, or its stream was refused.
    Binlog,
    /// What this library cannot do, with the way out in the text.
    Unsupported,
    /// Wrong settings: an unreadable certificate, an impossible combination.
    Config,
    /// The server sent what the protocol does not allow.
    Protocol,
    /// A row that lacks a column or holds a value of another form than was asked for.
    Value,
    /// Everything else.
    Other,
}

impl ErrorClass {
    /// Whether the connection can't be used any more, so that a new one must be made first.
    pub fn is_connection_gone(self) -> bool {
        use ErrorClass::{
            ConnectFailed, ConnectionLost, Protocol, ServerShutdown, TooManyConnections, UnknownOutcome,
        };
        matches!(
            self,
            ConnectFailed | TooManyConnections | ConnectionLost | UnknownOutcome | ServerShutdown | Protocol
        )
    }

    /// Whether the same work may succeed later although nobody changes anything: connection errors and
    /// [`Retryable`](Self::Retryable) ones. After [`UnknownOutcome`](Self::UnknownOutcome) first find out what
    /// was done.
    pub fn is_transient(self) -> bool {
        self.is_connection_gone() && self != ErrorClass::Protocol || self == ErrorClass::Retryable
    }
}

/// One line of the table: error numbers, what they mean, what the user can do (may be empty).
struct Rule {
    class: ErrorClass,
    codes: &'static [u16],
    advice: &'static str,
}

/// The only place that gives a server's error number a meaning. A number stands in one rule only (tested).
const RULES: &[Rule] = &[
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[1045, 1698],
        advice: "check user and password, and that the account may log in from this host",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        // 8121 is TiDB's check of a privilege by name.
        codes: &[1044, 1095, 1142, 1143, 1227, 1370, 8121],
        advice: "grant the account what the message names",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[1130],
        advice: "create the account for this client's host",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[1129],
        advice: "run FLUSH HOSTS (or `mysqladmin flush-hosts`) on the server",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[1820, 1862],
        advice: "the password has expired: give the account a new one",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[3118, 4151],
        advice: "unlock the account (ALTER USER … ACCOUNT UNLOCK)",
    },
    Rule {
        class: ErrorClass::AccessDenied,
        codes: &[1251, 1275, 1524],
        advice: "give the account the plugin caching_sha2_password or mysql_native_password",
    },
    Rule { class: ErrorClass::Tls, codes: &[3159], advice: "the server takes only TLS: turn it on" },
    Rule {
        class: ErrorClass::TooManyConnections,
        codes: &[1040, 1135, 1203, 1226],
        advice: "use fewer threads, or raise max_connections or the account's limit",
    },
    Rule {
        class: ErrorClass::ConnectionLost,
        // 1927, 3169: the session was killed. 4031: the server had closed an idle connection.
        codes: &[1080, 1152, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031],
        advice: "",
    },
    Rule { class: ErrorClass::ServerShutdown, codes: &[1053, 1077, 1078, 1079], advice: "" },
    Rule {
        class: ErrorClass::Retryable,
        // 3572: NOWAIT; 3101: refused by group replication at commit; 1020, 1412: changed since the snapshot.
        codes: &[1020, 1205, 1213, 1412, 1613, 1614, 1689, 3101, 3572],
        advice: "",
    },
    Rule {
        class: ErrorClass::Retryable,
        // TiDB: write conflicts, a schema that changed under the transaction, PD and TiKV out of reach or busy.
        codes: &[8002, 8005, 8022, 8027, 8028, 8245, 9001, 9002, 9003, 9004, 9005, 9006, 9007, 9010, 9013],
        advice: "",
    },
    Rule { class: ErrorClass::Interrupted, codes: &[1317, 1969, 3024], advice: "" },
    Rule { class: ErrorClass::Duplicate, codes: &[1022, 1062, 1169, 1557, 1586, 1859], advice: "" },
    Rule { class: ErrorClass::DataTooLong, codes: &[1118, 1265, 1406], advice: "" },
    Rule { class: ErrorClass::OutOfRange, codes: &[1264, 1467, 1690], advice: "" },
    Rule {
        class: ErrorClass::BadValue,
        codes: &[
            1048, 1138, 1292, 1300, 1364, 1366, 1367, 1411, 1416, 1525, 1526, 1906, 3105, 3140, 3141, 3144,
            3732, 3819, 3854, 4025,
        ],
        advice: "",
    },
    Rule { class: ErrorClass::ForeignKey, codes: &[1215, 1216, 1217, 1451, 1452, 3730], advice: "" },
    Rule { class: ErrorClass::UnknownDatabase, codes: &[1008, 1046, 1049], advice: "" },
    Rule { class: ErrorClass::UnknownTable, codes: &[1051, 1109, 1146, 1932], advice: "" },
    Rule { class: ErrorClass::UnknownColumn, codes: &[1054, 1058, 1072, 1091, 1136, 1176], advice: "" },
    Rule { class: ErrorClass::AlreadyExists, codes: &[1007, 1050, 1060, 1061, 1826, 3822], advice: "" },
    Rule { class: ErrorClass::UnknownVariable, codes: &[1193], advice: "" },
    Rule { class: ErrorClass::Syntax, codes: &[1064, 1065, 1149], advice: "" },
    Rule {
        class: ErrorClass::ReadOnly,
        codes: &[1209, 1290, 1792, 1836, 1874, 3989],
        advice: "connect to a server that takes writes, or turn its read-only option off",
    },
    Rule {
        class: ErrorClass::DiskFull,
        codes: &[1021, 1114],
        advice: "make room on the server, then start again",
    },
    Rule {
        class: ErrorClass::PacketTooLarge,
        codes: &[1153, 1301],
        advice: "raise max_allowed_packet on the server",
    },
    Rule { class: ErrorClass::Binlog, codes: &[1220, 1236, 1381, 1789, 1943, 4052], advice: "" },
    Rule { class: ErrorClass::Unsupported, codes: &[1235], advice: "" },
];

/// Errors whose message carries the number of an operating system's error: handler, file write.
const WITH_OS_ERROR: &[u16] = &[3, 1026, 1030, 1598];

/// ENOSPC and EDQUOT on Linux, where servers run.
const NO_SPACE: &[u32] = &[28, 122];

fn rule(code: u16) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.codes.contains(&code))
}

/// The class of a server error. The message is only read for the number of the system error in it.
pub(crate) fn of_server_error(code: u16, message: &str) -> ErrorClass {
    if WITH_OS_ERROR.contains(&code) && os_error(message).is_some_and(|n| NO_SPACE.contains(&n)) {
        return ErrorClass::DiskFull;
    }
    rule(code).map_or(ErrorClass::Other, |rule| rule.class)
}

/// What to do about a server error; empty if there is nothing to say beyond the message.
pub(crate) fn advice(code: u16, class: ErrorClass) -> &'static str {
    if class == ErrorClass::DiskFull {
        return "make room on the server, then start again";
    }
    rule(code).map_or("", |rule| rule.advice)
}

/// `Got error 28 from …`, `(errno: 28 - No space left on device)`, `(errno: 28 "No space …")`.
fn os_error(message: &str) -> Option<u32> {
    let after =
        ["errno: ", "error "].iter().find_map(|mark| message.split_once(mark)).map(|(_, rest)| rest)?;
    let digits: &str = &after[..after.bytes().take_while(u8::is_ascii_digit).count()];
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_one_meaning() {
        let mut seen = std::collections::BTreeSet::new();
        for rule in RULES {
            for code in rule.codes {
                assert!(seen.insert(*code), "{code} stands in two rules");
                assert!(!WITH_OS_ERROR.contains(code));
            }
        }
    }

    #[test]
    fn the_numbers_that_decide() {
        use ErrorClass::*;
        for (code, class) in [
            (1044, AccessDenied),
            (1045, AccessDenied),
            (1142, AccessDenied),
            (1143, AccessDenied),
            (1227, AccessDenied),
            (1370, AccessDenied),
            (1205, Retryable),
            (1213, Retryable),
            (8005, Retryable),
            (8022, Retryable),
            (8027, Retryable),
            (8028, Retryable),
            (9001, Retryable),
            (9007, Retryable),
            (1062, Duplicate),
            (1406, DataTooLong),
            (1264, OutOfRange),
            (1366, BadValue),
            (1292, BadValue),
            (1048, BadValue),
            (1146, UnknownTable),
            (1049, UnknownDatabase),
            (1054, UnknownColumn),
            (1064, Syntax),
            (1053, ServerShutdown),
            (1290, ReadOnly),
            (1792, ReadOnly),
            (1114, DiskFull),
            (1021, DiskFull),
            (1153, PacketTooLarge),
            (1040, TooManyConnections),
            (3159, Tls),
            (1236, Binlog),
            (1105, Other),
            (65535, Other),
        ] {
            assert_eq!(of_server_error(code, ""), class, "{code}");
        }
    }

    #[test]
    fn a_full_disk_hides_in_other_errors() {
        for (code, message) in [
            (1030, "Got error 28 from storage engine"),
            (1030, "Got error 28 - 'No space left on device' from storage engine"),
            (3, "Error writing file '/tmp/x' (errno: 28 - No space left on device)"),
            (1026, "Error writing file './binlog' (errno: 28 \"No space left on device\")"),
        ] {
            assert_eq!(of_server_error(code, message), ErrorClass::DiskFull, "{message}");
        }
        assert_eq!(of_server_error(1030, "Got error 149 from storage engine"), ErrorClass::Other);
        assert_eq!(of_server_error(1030, "error"), ErrorClass::Other);
        assert_eq!(of_server_error(1064, "error 28"), ErrorClass::Syntax);
    }

    #[test]
    fn which_need_a_new_connection() {
        for class in [ErrorClass::ConnectionLost, ErrorClass::UnknownOutcome, ErrorClass::ServerShutdown] {
            assert!(class.is_connection_gone() && class.is_transient());
        }
        assert!(ErrorClass::Retryable.is_transient() && !ErrorClass::Retryable.is_connection_gone());
        assert!(!ErrorClass::Protocol.is_transient());
        assert!(!ErrorClass::Duplicate.is_transient());
    }
}
