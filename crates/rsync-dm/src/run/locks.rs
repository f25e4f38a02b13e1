//! The table in the target's meta schema that keeps the shard DDL locks of `rsync-dm run`.

use common::{error::DmError, ident::quote_string};
use futures::future::BoxFuture;
use mysql::{Conn, Endpoint};
use tokio::sync::Mutex;

use crate::{
    checkpoint::Tables,
    config::SubtaskConfig,
    shard::LockStore,
    syncer::{connect_target, error, target_endpoint},
};

/// One row holds the whole state.
const ROW: u32 = 1;

/// See the module.
pub struct LockTable {
    endpoint: Endpoint,
    table: String,
    conn: Mutex<Option<Conn>>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

impl LockTable {
    /// Creates what is missing; with `remove_meta` everything of the task is removed first.
    ///
    /// # Errors
    /// The server's.
    pub async fn open(config: &SubtaskConfig, remove_meta: bool) -> Result<Self, DmError> {
        let tables = Tables::new(&config.meta_schema, &config.task);
        let endpoint = target_endpoint(config);
        let failed = |e: mysql::Error| error::target("cannot prepare the meta schema", &e);
        let mut conn = connect_target(config).await?;
        if remove_meta {
            tables.drop_all(&mut conn).await.map_err(failed)?;
        }
        tables.create(&mut conn).await.map_err(failed)?;
        Ok(Self { endpoint, table: tables.locks, conn: Mutex::new(Some(conn)) })
    }

    /// Runs a statement that may be repeated, on a new connection if the old one is lost.
    async fn exec(&self, sql: &str) -> Result<Option<String>, Failure> {
        let mut slot = self.conn.lock().await;
        for attempt in 0.. {
            let mut conn = match slot.take() {
                Some(conn) => conn,
                None => Conn::connect(&self.endpoint).await?,
            };
            match conn.query_one(sql).await {
                Ok(row) => {
                    let text = row.map(|row| row.str(0)).transpose()?.flatten();
                    *slot = Some(conn);
                    return Ok(text);
                }
                Err(e) if e.class().is_transient() && attempt < 5 => {
                    if !e.is_connection_gone() {
                        *slot = Some(conn);
                    }
                }
                Err(e) => return Err(e.into()),
            }
        }
        Ok(None)
    }
}

impl LockStore for LockTable {
    fn load(&self) -> BoxFuture<'_, Result<Option<String>, Failure>> {
        Box::pin(async move { self.exec(&format!("SELECT state FROM {} WHERE id={ROW}", self.table)).await })
    }

    fn save(&self, state: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let text = quote_string(&state);
            let sql = format!("REPLACE INTO {} (id,state) VALUES ({ROW},{text})", self.table);
            self.exec(&sql).await.map(drop)
        })
    }
}
