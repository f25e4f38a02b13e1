//! Sessions on both sides: which variables they need so that values arrive exactly.

use common::error::DmError;
use mysql::{Conn, Endpoint, ErrorClass};

use super::error;
use crate::config::SubtaskConfig;

/// For rows: zero and invalid dates are let in, too long values are not cut, backslashes escape.
const SQL_MODE: &str = "STRICT_TRANS_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION";

/// Modes under which our literals or names would mean something else.
const UNFIT_MODES: [&str; 3] = ["NO_BACKSLASH_ESCAPES", "ANSI_QUOTES", "ANSI"];

/// Where rows are applied.
///
/// The session's time zone is always UTC, in which every TIMESTAMP has exactly one form; the task's `timezone` only counts for
/// DDL without one of its own.
pub fn target_endpoint(config: &SubtaskConfig) -> Endpoint {
    let mut sets: Vec<String> = Vec::new();
    let user = &config.target.session;
    for (name, value) in user {
        if ["time_zone", "sql_mode", "max_allowed_packet"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
            continue;
        }
        sets.push(format!("{} = {}", common::ident::quote(name), variable_value(value)));
    }
    if config.target.session_variable("foreign_key_checks").is_none() {
        sets.push("foreign_key_checks = 0".into());
    }
    let mode = match config.target.session_variable("sql_mode") {
        Some(mode) => mode
            .split(',')
            .map(str::trim)
            .filter(|word| !word.is_empty() && !UNFIT_MODES.iter().any(|m| m.eq_ignore_ascii_case(word)))
            .collect::<Vec<_>>()
            .join(","),
        None => SQL_MODE.into(),
    };
    sets.push(format!("sql_mode = {}", common::ident::quote_string(&mode)));
    sets.push("time_zone = '+00:00'".into());
    let sets = sets.into_iter().map(|s| format!("SESSION {s}")).collect::<Vec<_>>().join(", ");
    config
        .target
        .endpoint()
        .with_init("SET NAMES utf8mb4")
        .with_init("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        .with_init(format!("SET {sets}"))
}

/// A number as it is, anything else as text.
fn variable_value(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    if plain { value.to_owned() } else { common::ident::quote_string(value) }
}

/// Connects to the target.
///
/// # Errors
/// As [`Conn::connect`].
pub async fn connect_target(config: &SubtaskConfig) -> Result<Conn, DmError> {
    Conn::connect(&target_endpoint(config)).await.map_err(|e| cannot_connect_target(config, &e))
}

/// Connects to the source.
///
/// # Errors
/// As [`Conn::connect`].
pub async fn connect_source(config: &SubtaskConfig) -> Result<Conn, DmError> {
    let endpoint = config.source.endpoint().with_init("SET NAMES utf8mb4");
    Conn::connect(&endpoint).await.map_err(|e| {
        let text = format!("cannot connect to source {} at {}", config.source_id, config.source);
        error::source(text, &e).with_workaround(way_on(&e, "`from` in the source's file"))
    })
}

/// The target does not let us in.
pub fn cannot_connect_target(config: &SubtaskConfig, e: &mysql::Error) -> DmError {
    error::target(format!("cannot connect to the target at {}", config.target), e)
        .with_workaround(way_on(e, "`target-database` of the task"))
}

/// The account that the server took for this login, as in a GRANT.
pub async fn account_of(conn: &mut Conn) -> String {
    let row = conn.query_one("SELECT CURRENT_USER()").await.ok().flatten();
    let name = row.and_then(|row| row.str(0).ok().flatten()).unwrap_or_default();
    match name.rsplit_once('@') {
        Some((user, host)) => {
            format!("{}@{}", common::ident::quote_string(user), common::ident::quote_string(host))
        }
        None => "the account".into(),
    }
}

/// What to do about a login that failed; `block`: where it is configured.
fn way_on(error: &mysql::Error, block: &str) -> String {
    let change = match (error.class(), error.code()) {
        (_, Some(3159)) => {
            format!("The server takes only TLS: give {block} a `security` with the CA (`ssl-ca`).")
        }
        (ErrorClass::Tls | ErrorClass::Config, _) => format!(
            "Check `security` of {block}: `ssl-ca` has to be a file with the CA that has signed the server's certificate, which has to be \
             of the host by which the server is named."
        ),
        (ErrorClass::Unsupported, _) => {
            format!("Use another account for {block}, or change this one as the text says.")
        }
        (ErrorClass::AccessDenied, _) => {
            format!("Check user and password of {block}, and that the account may log in from this host.")
        }
        (class, _) if class.is_transient() => {
            return format!(
                "Check host and port of {block}, and that the server is running. It is tried again by itself; after a change of the files \
                 start anew."
            );
        }
        _ => format!("Check {block}."),
    };
    format!(
        "{change} Then start anew (a task of a master: stop-task and start-task, after operate-source for a source)."
    )
}

/// The modes of a binlog event that servers of all families take, by their bits.
const MODES: &[(u64, &str)] = &[
    (0x1, "REAL_AS_FLOAT"),
    (0x2, "PIPES_AS_CONCAT"),
    (0x4, "ANSI_QUOTES"),
    (0x8, "IGNORE_SPACE"),
    (0x8_0000, "NO_AUTO_VALUE_ON_ZERO"),
    (0x10_0000, "NO_BACKSLASH_ESCAPES"),
    (0x20_0000, "STRICT_TRANS_TABLES"),
    (0x40_0000, "STRICT_ALL_TABLES"),
    (0x200_0000, "ALLOW_INVALID_DATES"),
    (0x2000_0000, "HIGH_NOT_PRECEDENCE"),
];

/// The `sql_mode` with which a statement of the binlog means the same. What forbids zero dates is left out: what the source
/// took, the target should take.
pub fn ddl_sql_mode(bits: Option<u64>) -> String {
    let bits = bits.unwrap_or(0);
    MODES.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_by_bits() {
        assert_eq!(ddl_sql_mode(None), "");
        assert_eq!(ddl_sql_mode(Some(0x4 | 0x20_0000 | 0x100_0000)), "ANSI_QUOTES,STRICT_TRANS_TABLES");
    }

    #[test]
    fn values_of_variables() {
        assert_eq!(variable_value("1"), "1");
        assert_eq!(variable_value("ON"), "'ON'");
    }
}
