//! The global read lock, asked for with consideration: it waits for every statement that runs, and everybody waits for it.

use std::time::{Duration, Instant};

use common::duration::GoDuration;
use mysql::wire::WireConn;
use tracing::info;

use crate::config::Config;
use crate::error::{Doing, DumpError, Result};
use crate::source::{Source, ask, needs_privilege};

/// Time between two looks for long statements.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Server error: a lock was not given within its time.
const LOCK_WAIT_TIMEOUT: u16 = 1205;

/// Takes the global read lock.
///
/// # Errors
/// It is not given in time, with the statement that is in the way; a missing RELOAD privilege by name.
pub async fn flush(lock: &mut WireConn, source: &Source, config: &Config) -> Result<()> {
    let begun = Instant::now();
    wait_for_long_statements(lock, config).await?;
    let seconds = config.lock_wait.saturating_sub(begun.elapsed()).as_secs().max(1);
    limit_waiting(lock, config, seconds).await?;
    match lock.simple("FLUSH TABLES WITH READ LOCK").await {
        Ok(_) => Ok(()),
        Err(error) if error.code() == Some(LOCK_WAIT_TIMEOUT) => {
            let in_the_way = long_statements(lock, Duration::from_secs(1)).await?;
            Err(DumpError::Locked(format!(
                "the global read lock was not given within {}{}; end it, dump at another time, raise --lock-wait-timeout, \
                 or use --consistency lock",
                GoDuration::from(config.lock_wait),
                in_the_way.first().map_or_else(String::new, |first| format!(", {first} is in the way")),
            )))
        }
        Err(error) => {
            let doing = "flush tables with read lock".to_owned();
            Err(needs_privilege(error, doing, "RELOAD", "*.*", &source.account))
        }
    }
}

/// Lets the session wait for locks no longer than this.
///
/// # Errors
/// The server's.
pub async fn limit_waiting(lock: &mut WireConn, config: &Config, seconds: u64) -> Result<()> {
    if config.lock_wait.is_zero() {
        return Ok(());
    }
    let sql = format!("SET SESSION lock_wait_timeout = {seconds}");
    lock.simple(sql).await.map(|_| ()).doing(|| "limit the time to wait for locks".into())
}

/// The lock would stand behind them, and all writers behind the lock.
async fn wait_for_long_statements(lock: &mut WireConn, config: &Config) -> Result<()> {
    if config.long_query.is_zero() {
        return Ok(());
    }
    let begun = Instant::now();
    loop {
        let long = long_statements(lock, config.long_query).await?;
        let Some(first) = long.first() else { return Ok(()) };
        if begun.elapsed() >= config.lock_wait {
            return Err(DumpError::Locked(format!(
                "{} statements run for longer than {} (--long-query-limit), so the global read lock is not asked for: {first}; \
                 end them, dump at another time, or use --consistency lock",
                long.len(),
                GoDuration::from(config.long_query)
            )));
        }
        if begun.elapsed() < LOOK_EVERY {
            info!(statements = long.len(), first = %first, "wait for long statements before the global read lock is asked for");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Statements of others that have run for so long, in words, the longest first. Without PROCESS only those of the account. Of a text
/// only its first word: the rest may be passwords, or what this dump masks, and the number of the connection finds it.
async fn long_statements(lock: &mut WireConn, least: Duration) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT ID, USER, TIME, LEFT(INFO, 1000) FROM INFORMATION_SCHEMA.PROCESSLIST WHERE COMMAND IN ('Query', 'Execute') \
         AND TIME >= {} AND ID <> CONNECTION_ID() AND INFO IS NOT NULL AND USER NOT IN ('system user', 'event_scheduler') \
         ORDER BY TIME DESC",
        least.as_secs().max(1)
    );
    let answer = ask(lock, &sql).await.doing(|| "look for long statements".into())?;
    let text = |row, column| answer.at(row, column).unwrap_or_default();
    Ok((0..answer.len())
        .map(|row| {
            let (id, user, seconds) = (text(row, 0), text(row, 1), text(row, 2));
            let word = first_word(&text(row, 3));
            format!("connection {id} of {user} ({seconds} s, {word}; SHOW FULL PROCESSLIST has its text)")
        })
        .collect())
}

/// `UPDATE`, `ALTER`, …
fn first_word(text: &str) -> String {
    let start = sql::classify::classify(text.as_bytes(), sql::SqlMode::default()).start;
    let rest = text.get(start..).unwrap_or_default().trim_start_matches(['(', ' ']);
    let word: String = rest.chars().take_while(char::is_ascii_alphabetic).take(20).collect();
    if word.is_empty() { "a statement".into() } else { word.to_ascii_uppercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_statement_only_its_first_word_is_told() {
        for (text, word) in [
            ("update t set a='secret'", "UPDATE"),
            ("/* of secret */ -- secret\n alter user u identified by 'x'", "ALTER"),
            ("(select 'secret')", "SELECT"),
            ("/* secret and no end", "a statement"),
            ("'secret'", "a statement"),
            ("", "a statement"),
        ] {
            assert_eq!(first_word(text), word, "{text}");
        }
    }
}
