//! While a run rests, its state is there as a checkpoint, too.

use std::sync::Arc;

use common::error::lightning_codes as codes;
use common::ident::TableName;
use common::storage::Storage;
use tokio::sync::{RwLock, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{reclaim, write};
use crate::config::Config;
use crate::downstream::Target;
use crate::error::{Context, Error, Result, fail};
use crate::import::file::FileTask;
use crate::ledger::Ledger;

/// A run that may rest.
pub struct Resting<'a> {
    /// Its configuration.
    pub config: &'a Config,
    /// Its target.
    pub target: &'a Target,
    /// Its dump.
    pub storage: &'a dyn Storage,
    /// Its ledger.
    pub ledger: &'a Ledger,
    /// Its files.
    pub tasks: &'a [Arc<FileTask>],
    /// Tables that an earlier run has finished.
    pub finished: &'a [TableName],
    /// Whoever has a batch open holds it for reading.
    pub gate: Arc<RwLock<()>>,
    /// Stops the run.
    pub token: CancellationToken,
}

impl Resting<'_> {
    /// Writes the checkpoint when the run rests, and takes it back before it goes on. Ends only with an error, and then no batch begins any
    /// more: somebody has gone on with the checkpoint.
    pub async fn keep(&self, mut paused: watch::Receiver<bool>) -> Error {
        loop {
            tokio::select! {
                rests = paused.wait_for(|paused| *paused) => if rests.is_err() { break },
                () = self.token.cancelled() => break,
            }
            let guard = tokio::select! {
                guard = Arc::clone(&self.gate).write_owned() => guard,
                _ = paused.wait_for(|paused| !*paused) => continue,
                () = self.token.cancelled() => break,
            };
            let Resting { config, target, storage, ledger, tasks, finished, .. } = *self;
            if let Err(error) = write(config, target, storage, ledger, tasks, finished).await {
                warn!(%error, "the state could not be written as a checkpoint of TiDB Lightning while the run rests");
            }
            tokio::select! {
                _ = paused.wait_for(|paused| !*paused) => {}
                // The end of the run writes it anew.
                () = self.token.cancelled() => break,
            }
            if let Err(error) = self.take_back().await {
                self.token.cancel();
                return error;
            }
            drop(guard);
        }
        std::future::pending().await
    }

    /// Takes the checkpoint back, for as long as the target may be away.
    async fn take_back(&self) -> Result<()> {
        let backoff = self.config.patience;
        let begun = std::time::Instant::now();
        for tries in 1.. {
            let error = match self.try_take_back().await {
                Err(error) if error.is_transient() && begun.elapsed() < backoff.total => error,
                result => return result,
            };
            tracing::info!(%error, "the checkpoint could not be taken back, will try again");
            tokio::select! {
                () = tokio::time::sleep(backoff.wait_jittered(tries)) => {}
                () = self.token.cancelled() => return Err(Error::Canceled),
            }
        }
        Ok(())
    }

    async fn try_take_back(&self) -> Result<()> {
        let mut conn = self
            .target
            .another()
            .await
            .context(codes::READ_CHECKPOINT, || "take the checkpoint back".to_owned())?;
        match reclaim(self.config, &mut conn, self.ledger).await? {
            None => Ok(()),
            Some(_) => Err(fail(
                codes::INVALID_CHECKPOINT,
                "a checkpoint of TiDB Lightning for the same source appeared while the run was at work: only one of them can go on",
            )),
        }
    }
}
