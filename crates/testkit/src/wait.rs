//! Waiting for a condition with a deadline, the only kind of waiting a test does.

use std::time::{Duration, Instant};

const STEP: Duration = Duration::from_millis(20);

/// Waits until `condition` is true, asking every 20 ms.
///
/// # Panics
/// When `limit` has passed: the text names `what` was waited for.
pub async fn wait_until<F>(limit: Duration, what: &str, mut condition: F)
where
    F: AsyncFnMut() -> bool,
{
    let deadline = Instant::now() + limit;
    while !condition().await {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain until {what}");
        tokio::time::sleep(STEP).await;
    }
}

/// [`wait_until`] for code without a runtime.
///
/// # Panics
/// When `limit` has passed.
pub fn wait_until_blocking(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {limit:?} in vain until {what}");
        std::thread::sleep(STEP);
    }
}
