//! Consideration for the source: a limit on the rate, pauses by signal and by the server's load.
//!
//! All readers pass one [`Gate`] each time they have filled a buffer, so a pause takes effect within some 100 KiB a reader.
//! A paused reader keeps its connection and its snapshot; the server waits for it (`net_write_timeout` is a day).

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mysql::Flavor;
use mysql::wire::WireConn;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::{Doing, DumpError, Result};
use crate::source::{Source, ask};

/// Why readers stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Pause {
    /// A signal.
    Signal = 1,
    /// The server's load.
    Load = 2,
}

/// See the module.
#[derive(Debug)]
pub struct Gate {
    /// Bits of [`Pause`].
    paused: AtomicU8,
    changed: Notify,
    /// Bytes a second of all readers together.
    rate: Option<u64>,
    /// When the next piece may pass.
    next: Mutex<Instant>,
}

/// What may pass at once although it is ahead of the rate.
const BURST: Duration = Duration::from_millis(100);

impl Gate {
    /// An open gate.
    pub fn new(rate: Option<u64>) -> Gate {
        Gate { paused: AtomicU8::new(0), changed: Notify::new(), rate, next: Mutex::new(Instant::now()) }
    }

    /// Stops the readers, or lets them go on; `true` if that changes something.
    pub fn set(&self, why: Pause, paused: bool) -> bool {
        let bit = why as u8;
        let before = match paused {
            true => self.paused.fetch_or(bit, Ordering::SeqCst),
            false => self.paused.fetch_and(!bit, Ordering::SeqCst),
        };
        self.changed.notify_waiters();
        (before & bit != 0) != paused
    }

    /// Waits until `bytes` may pass. Cancel-safe: what was not let through does not count.
    pub async fn pass(&self, bytes: u64) {
        while self.paused.load(Ordering::SeqCst) != 0 {
            let changed = self.changed.notified();
            if self.paused.load(Ordering::SeqCst) != 0 {
                changed.await;
            }
        }
        if let Some(wait) = self.turn(bytes, Instant::now()) {
            tokio::time::sleep(wait).await;
        }
    }

    fn turn(&self, bytes: u64, now: Instant) -> Option<Duration> {
        let rate = self.rate?.max(1);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let begin = (*next).max(now.checked_sub(BURST).unwrap_or(now));
        *next = begin + Duration::from_secs_f64(bytes as f64 / rate as f64);
        next.checked_duration_since(now).filter(|wait| !wait.is_zero())
    }
}

/// Limits of the server's load: a name and the greatest value that is fine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits(Vec<(String, u64)>);

/// InnoDB's history list length.
const HISTORY: &str = "history";

/// Seconds that the server is behind its own source.
const LAG: &str = "lag";

impl Limits {
    /// Reads pairs such as `Threads_running=25`, `history=1000000`, `lag=10`.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn parse(pairs: &[String]) -> Result<Limits, String> {
        let read = |pair: &String| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = value.parse().map_err(|_| format!("{pair}: a number must stand behind ="))?;
            Ok((name.trim().to_owned(), number))
        };
        pairs.iter().map(read).collect::<Result<_, _>>().map(Limits)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first value above its limit, in words.
    async fn exceeded(&self, conn: &mut WireConn, source: &Source) -> Result<Option<String>> {
        for (name, limit) in &self.0 {
            let value = value(conn, source, name).await?;
            if value > *limit {
                return Ok(Some(format!("{name} is {value}, above {limit}")));
            }
        }
        Ok(None)
    }
}

async fn value(conn: &mut WireConn, source: &Source, name: &str) -> Result<u64> {
    let doing = || format!("read {name} of the server");
    let unknown = |what: &str| DumpError::Answer { doing: doing(), what: what.to_owned() };
    let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
    match name {
        HISTORY => {
            let sql =
                "SELECT `COUNT` FROM INFORMATION_SCHEMA.INNODB_METRICS WHERE NAME = 'trx_rseg_history_len'";
            let answer = ask(conn, sql).await.doing(doing)?;
            number(answer.at(0, 0)).ok_or_else(|| unknown("the server does not count it"))
        }
        LAG => {
            let sql = match source.server.flavor {
                Flavor::MariaDb => "SHOW ALL SLAVES STATUS",
                _ if source.server.is_mysql(8, 0, 22) => "SHOW REPLICA STATUS",
                _ => "SHOW SLAVE STATUS",
            };
            let answer = ask(conn, sql).await.doing(doing)?;
            let lags = (0..answer.len()).filter_map(|row| {
                number(answer.get(row, &["Seconds_Behind_Source", "Seconds_Behind_Master"]))
            });
            // Replication that stands still lags for ever, which no pause of ours makes better.
            Ok(lags.max().unwrap_or(0))
        }
        name => {
            let sql = format!("SHOW GLOBAL STATUS LIKE {}", common::ident::quote_string(name));
            let answer = ask(conn, &sql).await.doing(doing)?;
            number(answer.at(0, 1))
                .ok_or_else(|| unknown("the server has no status variable of this name that is a number"))
        }
    }
}

/// Time between two looks at the server.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks at the server's load for as long as it is polled: above `most` the gate closes, above `critical` it ends.
///
/// # Errors
/// The load is critical, or can't be read.
pub async fn watch(source: &Source, gate: &Gate, most: &Limits, critical: &Limits) -> Result<()> {
    let mut conn = source.connect().await?;
    loop {
        if let Some(what) = critical.exceeded(&mut conn, source).await? {
            return Err(DumpError::Load(what));
        }
        let exceeded = most.exceeded(&mut conn, source).await?;
        if gate.set(Pause::Load, exceeded.is_some()) {
            match exceeded {
                Some(what) => warn!(why = %what, "the dump pauses, the server's load is above --max-load"),
                None => info!("the server's load is below --max-load again, the dump goes on"),
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits() {
        let pairs = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(
            Limits::parse(&pairs(&["Threads_running=25", "lag=3"])).unwrap().0[0],
            ("Threads_running".into(), 25)
        );
        assert!(Limits::parse(&pairs(&["lag=x"])).unwrap_err().contains("lag=x"));
        assert!(Limits::parse(&[]).unwrap().is_empty());
    }

    #[test]
    fn the_rate_is_kept_by_all_readers_together() {
        let gate = Gate::new(Some(1000));
        let begun = Instant::now();
        let mut now = begun;
        for _ in 0..10 {
            // Two readers at the same moment: the second waits for the first.
            let first = gate.turn(100, now).unwrap_or_default();
            let second = gate.turn(100, now).unwrap_or_default();
            assert!(second > first);
            now += second;
        }
        let took = now - begun;
        assert!(took >= Duration::from_millis(1800) && took <= Duration::from_millis(2000), "{took:?}");
        assert_eq!(Gate::new(None).turn(1 << 40, now), None);
    }

    #[test]
    fn a_closed_gate_holds_until_every_reason_is_gone() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let gate = Gate::new(None);
            gate.pass(1).await;
            assert!(
                gate.set(Pause::Signal, true) && gate.set(Pause::Load, true) && !gate.set(Pause::Load, true)
            );
            let pass = gate.pass(1);
            tokio::pin!(pass);
            let moment = Duration::from_millis(20);
            assert!(tokio::time::timeout(moment, &mut pass).await.is_err() && gate.set(Pause::Signal, false));
            assert!(tokio::time::timeout(moment, &mut pass).await.is_err());
            gate.set(Pause::Load, false);
            pass.await;
        });
    }
}
