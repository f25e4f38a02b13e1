//! The planner's connection, and what takes its place when it is lost.

use std::sync::Arc;
use std::time::Duration;

use mysql::wire::WireConn;
use tracing::warn;

use crate::config::Consistency;
use crate::consistency;
use crate::error::{DumpError, Result};
use crate::queue::Queue;
use crate::source::Source;
use crate::work::is_lost;

/// Attempts at one question.
const ATTEMPTS: u32 = 3;

/// Asks a question on the connection of a [`Meta`], and again on another one where that is lost. The question must leave nothing half
/// done when it fails. A macro, because futures of async closures are not known to be `Send`.
macro_rules! ask {
    ($meta:expr, $conn:ident => $question:expr) => {{
        let mut attempt = 1;
        loop {
            let $conn = $meta.conn();
            match $question.await {
                Ok(answer) => break answer,
                Err(error) => $meta.replace(error, &mut attempt).await?,
            }
        }
    }};
}
pub(crate) use ask;

/// A connection with the snapshot of the dump. Where the snapshot can't be had again a reader gives its own when this one is lost.
#[derive(Debug)]
pub(crate) struct Meta {
    conn: WireConn,
    source: Arc<Source>,
    queue: Arc<Queue>,
    consistency: Consistency,
}

impl Meta {
    pub(crate) fn new(
        conn: WireConn,
        source: &Arc<Source>,
        queue: &Arc<Queue>,
        consistency: Consistency,
    ) -> Meta {
        Meta { conn, source: Arc::clone(source), queue: Arc::clone(queue), consistency }
    }

    /// The connection.
    pub(crate) fn conn(&mut self) -> &mut WireConn {
        &mut self.conn
    }

    /// Takes another connection when a question has met the end of this one; `attempt` counts them from 1.
    ///
    /// # Errors
    /// The question's own, if it is another one, or there is no other connection.
    pub(crate) async fn replace(&mut self, error: DumpError, attempt: &mut u32) -> Result<()> {
        if !is_lost(&error) || *attempt >= ATTEMPTS {
            return Err(error);
        }
        if consistency::can_reconnect(self.consistency) {
            warn!(%error, attempt, "connection lost, the question is asked again on a new one");
            tokio::time::sleep(Duration::from_millis(100 << *attempt)).await;
            let mut conn = self.source.connect().await?;
            consistency::begin(&mut conn, self.consistency).await?;
            self.conn = conn;
        } else {
            match self.queue.connection().await {
                Some(conn) => self.conn = conn,
                None => return Err(error),
            }
            warn!(%error, "the planner's connection is lost, it goes on with a reader's, which has the same snapshot");
        }
        *attempt += 1;
        Ok(())
    }

    pub(crate) async fn close(self) {
        self.conn.close().await;
    }
}
