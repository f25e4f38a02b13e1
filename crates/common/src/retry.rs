//! The one back-off: waits with jitter, a limit in tries and time, cancellation.

use std::{
    fmt::Display,
    future::Future,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// How long to wait between tries, and when to give up.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    /// Wait after the first failure.
    pub first: Duration,
    /// Longest wait.
    pub longest: Duration,
    /// Growth of the wait from one try to the next.
    pub factor: f64,
    /// Most tries, the first one counted; 0 for no limit.
    pub tries: u32,
    /// Time after which no further try is begun; zero for no limit.
    pub total: Duration,
    /// From this try on a failure is logged at WARN, before it at INFO.
    pub warn_from: u32,
}

impl Backoff {
    /// For a server that restarts: from 100 ms to 10 s, for ten minutes.
    pub const PATIENT: Backoff = Backoff {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(10),
        factor: 2.0,
        tries: 0,
        total: Duration::from_secs(600),
        warn_from: 3,
    };

    /// The wait after `failures` failures (from 1), without jitter.
    pub fn wait(&self, failures: u32) -> Duration {
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let wait = self.first.as_secs_f64() * self.factor.powi(exponent);
        Duration::try_from_secs_f64(wait).unwrap_or(self.longest).min(self.longest)
    }

    /// The wait with jitter: between half and the whole of it, so that many clients do not come back at once.
    pub fn wait_jittered(&self, failures: u32) -> Duration {
        let mut byte = [0u8; 1];
        // Without random bytes the wait is only less spread.
        let _fixed = getrandom::fill(&mut byte);
        self.wait(failures).mul_f64(0.5 + f64::from(byte[0]) / 510.0)
    }

    fn exhausted(&self, tries: u32, since: Instant) -> bool {
        (self.tries > 0 && tries >= self.tries)
            || (self.total > Duration::ZERO && since.elapsed() >= self.total)
    }
}

/// How [`retry`] ended without success.
#[derive(Debug, thiserror::Error)]
pub enum RetryError<E: std::error::Error + 'static> {
    /// An error that another try can't cure.
    #[error(transparent)]
    Permanent(E),
    /// Tries or time are used up.
    #[error("gave up after {tries} tries in {} s: {last}", elapsed.as_secs())]
    Exhausted {
        /// How many there were.
        tries: u32,
        /// Since the first.
        elapsed: Duration,
        /// What the last one said.
        #[source]
        last: E,
    },
    /// The token was cancelled while waiting.
    #[error("cancelled")]
    Cancelled,
}

/// Calls `operation` until it succeeds, fails for good, is given up or cancelled.
///
/// `what` is a verb phrase for the log, such as "open chunk 3 of a.b". Cancel-safe exactly if `operation` is: a running
/// try is not interrupted by the token, only the wait between tries is.
///
/// # Errors
/// See [`RetryError`].
pub async fn retry<T, E, F, Fut>(
    what: &str,
    backoff: &Backoff,
    token: &CancellationToken,
    is_permanent: impl Fn(&E) -> bool,
    mut operation: F,
) -> Result<T, RetryError<E>>
where
    E: std::error::Error + Display + 'static,
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<T, E>>,
{
    let begin = Instant::now();
    let mut tries = 0;
    loop {
        if token.is_cancelled() {
            return Err(RetryError::Cancelled);
        }
        let error = match operation().await {
            Ok(value) => return Ok(value),
            Err(error) if is_permanent(&error) => return Err(RetryError::Permanent(error)),
            Err(error) => error,
        };
        tries += 1;
        if backoff.exhausted(tries, begin) {
            return Err(RetryError::Exhausted { tries, elapsed: begin.elapsed(), last: error });
        }
        let wait = backoff.wait_jittered(tries);
        if tries >= backoff.warn_from {
            warn!(what, tries, ?wait, error = %error, "failed, will try again");
        } else {
            info!(what, tries, ?wait, error = %error, "failed, will try again");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = token.cancelled() => return Err(RetryError::Cancelled),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Backoff = Backoff {
        first: Duration::from_millis(1),
        longest: Duration::from_millis(4),
        factor: 2.0,
        tries: 4,
        total: Duration::ZERO,
        warn_from: 9,
    };

    #[derive(Debug, thiserror::Error)]
    #[error("try {0}")]
    struct Failed(u32);

    async fn run(good_at: u32, bad_at: u32) -> (u32, Result<u32, RetryError<Failed>>) {
        let calls = std::cell::Cell::new(0);
        let result = retry(
            "test",
            &QUICK,
            &CancellationToken::new(),
            |failed: &Failed| failed.0 == bad_at,
            || {
                calls.set(calls.get() + 1);
                let call = calls.get();
                async move { if call == good_at { Ok(call) } else { Err(Failed(call)) } }
            },
        )
        .await;
        (calls.get(), result)
    }

    fn block<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("runtime").block_on(future)
    }

    #[test]
    fn tries_until_good_bad_or_used_up() {
        block(async {
            assert!(matches!(run(3, 9).await, (3, Ok(3))));
            assert!(matches!(run(9, 2).await, (2, Err(RetryError::Permanent(Failed(2))))));
            assert!(matches!(run(9, 9).await, (4, Err(RetryError::Exhausted { tries: 4, .. }))));
        });
    }

    #[test]
    fn a_cancelled_token_ends_the_wait() {
        let slow = Backoff { first: Duration::from_secs(3600), longest: Duration::from_secs(3600), ..QUICK };
        let token = CancellationToken::new();
        let result = block(async {
            let stop = token.clone();
            retry(
                "test",
                &slow,
                &token,
                |_| false,
                || {
                    stop.cancel();
                    async { Err::<(), _>(Failed(1)) }
                },
            )
            .await
        });
        assert!(matches!(result, Err(RetryError::Cancelled)));
    }

    #[test]
    fn waits_grow_to_the_longest() {
        let waits: Vec<u128> = (1..6).map(|failures| QUICK.wait(failures).as_millis()).collect();
        assert_eq!(waits, [1, 2, 4, 4, 4]);
        assert_eq!(QUICK.wait(u32::MAX), QUICK.longest);
        let jittered = QUICK.wait_jittered(3).as_secs_f64();
        assert!((0.002..=0.004).contains(&jittered), "{jittered}");
    }
}
