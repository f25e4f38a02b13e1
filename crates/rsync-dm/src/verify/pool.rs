//! Connections to the sources and the target, used again and again.

use std::collections::HashMap;

use common::error::DmError;
use mysql::Conn;
use tokio::sync::{Mutex, Semaphore, SemaphorePermit};

use super::wait::broken;
use crate::config::{Database, SubtaskConfig};

/// One server's connections.
#[derive(Debug)]
pub struct Pool {
    database: Database,
    idle: Mutex<Vec<Conn>>,
    allowed: Semaphore,
}

/// All servers of a task.
#[derive(Debug)]
pub struct Pools {
    sources: HashMap<String, Pool>,
    /// The target.
    pub target: Pool,
}

/// A borrowed connection; give it back with [`Pool::put`], or drop it when it may be broken.
#[derive(Debug)]
pub struct Borrowed<'a> {
    /// The connection.
    pub connection: Conn,
    _allowed: SemaphorePermit<'a>,
}

impl Pool {
    fn new(database: &Database, limit: usize) -> Self {
        Self { database: database.clone(), idle: Mutex::new(Vec::new()), allowed: Semaphore::new(limit) }
    }

    /// The server, for messages.
    pub fn name(&self) -> String {
        self.database.to_string()
    }

    /// Borrows a connection whose session shows times in UTC.
    ///
    /// # Errors
    /// No connection can be made.
    pub async fn get(&self) -> Result<Borrowed<'_>, DmError> {
        // The semaphore is never closed.
        let allowed = self.allowed.acquire().await.map_err(|closed| broken(&self.name(), &closed))?;
        let idle = self.idle.lock().await.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let endpoint = self.database.endpoint().with_init("SET time_zone='+00:00', sql_mode=''");
                Conn::connect(&endpoint).await.map_err(|error| broken(&self.name(), &error))?
            }
        };
        Ok(Borrowed { connection, _allowed: allowed })
    }

    /// Gives a connection back.
    pub async fn put(&self, borrowed: Borrowed<'_>) {
        self.idle.lock().await.push(borrowed.connection);
    }

    /// One query on any connection.
    ///
    /// # Errors
    /// What the server says.
    pub async fn query(&self, sql: &str) -> Result<mysql::Rows, DmError> {
        let mut borrowed = self.get().await?;
        let rows = borrowed.connection.query(sql).await.map_err(|error| broken(&self.name(), &error))?;
        self.put(borrowed).await;
        Ok(rows)
    }
}

impl Pools {
    /// Makes empty pools that grow to `limit` connections each.
    ///
    /// # Errors
    /// No subtask at all.
    pub fn new(subtasks: &[SubtaskConfig], limit: usize) -> Result<Self, DmError> {
        let first = subtasks.first().ok_or_else(|| broken("task", &"it has no source"))?;
        let pool = |subtask: &SubtaskConfig| (subtask.source_id.clone(), Pool::new(&subtask.source, limit));
        Ok(Self { sources: subtasks.iter().map(pool).collect(), target: Pool::new(&first.target, limit) })
    }

    /// The pool of a source.
    ///
    /// # Errors
    /// A source that the task does not have.
    pub fn source(&self, source_id: &str) -> Result<&Pool, DmError> {
        self.sources.get(source_id).ok_or_else(|| broken(source_id, &"the task has no such source"))
    }

    /// Says goodbye to all servers.
    pub async fn close(self) {
        for pool in self.sources.into_values().chain([self.target]) {
            for connection in pool.idle.into_inner() {
                connection.close().await;
            }
        }
    }
}
