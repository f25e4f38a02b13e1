//! How long something that time may cure is tried again.

use std::time::Instant;

use common::error::lightning_codes as codes;
use tracing::{info, warn};

use super::Shared;
use crate::error::{Error, Result, fail};

/// Waits between tries, and gives up when nothing has gone well for too long.
#[derive(Default)]
pub(crate) struct Patience {
    /// The first failure since the last success.
    since: Option<Instant>,
    tries: u32,
}

impl Patience {
    /// Waits before the next try.
    ///
    /// # Errors
    /// The time is up, or the run is cancelled.
    pub(crate) async fn wait(&mut self, shared: &Shared, what: &str, error: &mysql::Error) -> Result<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        self.tries += 1;
        let backoff = &shared.patience;
        let error = shared.shown(error);
        if since.elapsed() >= backoff.total {
            return Err(fail(
                codes::RESTORE_TABLE,
                format!(
                    "{what}: gave up after {} tries in {} s: {error} (what is committed stays, run again to go on)",
                    self.tries,
                    since.elapsed().as_secs()
                ),
            ));
        }
        let wait = backoff.wait_jittered(self.tries);
        if self.tries >= backoff.warn_from {
            warn!(what, tries = self.tries, ?wait, %error, "failed, will try again");
        } else {
            info!(what, tries = self.tries, ?wait, %error, "failed, will try again");
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = shared.token.cancelled() => Err(Error::Canceled),
        }
    }
}
