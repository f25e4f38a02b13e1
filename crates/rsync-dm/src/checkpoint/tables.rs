//! The tables of a task in the meta schema: DM's, exactly, and ours.

use common::ident::{TableName, quote, quote_string};
use mysql::Conn;

/// Version of our own tables; it stands in their comments.
const FORMAT_VERSION: u32 = 1;

/// Quoted names of the tables of a task.
#[derive(Debug, Clone)]
pub struct Tables {
    /// The meta schema, not quoted.
    pub schema: String,
    /// DM's checkpoint.
    pub checkpoint: String,
    /// DM's records of online DDL.
    pub online_ddl: String,
    /// DM's sharding groups.
    pub sharding_meta: String,
    /// Ours: see [`super::Ledger`].
    pub fence: String,
    /// Ours: see [`super::Ledger`].
    pub ledger: String,
    /// Ours: locks of `rsync-dm run`.
    pub locks: String,
    task: String,
}

impl Tables {
    /// The names for a task.
    pub fn new(schema: &str, task: &str) -> Self {
        let name = |suffix: &str| TableName::new(schema, format!("{task}{suffix}")).quoted();
        Self {
            schema: schema.into(),
            checkpoint: name("_syncer_checkpoint"),
            online_ddl: name("_onlineddl"),
            sharding_meta: name("_syncer_sharding_meta"),
            fence: name("_rsync_fence"),
            ledger: name("_rsync_ledger"),
            locks: name("_rsync_locks"),
            task: task.into(),
        }
    }

    /// Creates what is missing; refuses tables of ours that a newer program made.
    ///
    /// # Errors
    /// The server's (CREATE is needed), or a newer format.
    pub async fn create(&self, conn: &mut Conn) -> mysql::Result<()> {
        conn.exec(format!("CREATE DATABASE IF NOT EXISTS {}", quote(&self.schema))).await?;
        for sql in self.statements() {
            match conn.exec(&sql).await {
                Ok(_) => {}
                // MySQL 5.6 has no JSON.
                Err(error) if error.code() == Some(1064) && sql.contains(" json ") => {
                    conn.exec(sql.replace(" json ", " longtext ")).await?;
                }
                Err(error) => return Err(error),
            }
        }
        self.check_version(conn).await?;
        // Tables of an earlier program lack it.
        match conn.exec(format!("SELECT seq FROM {} LIMIT 0", self.fence)).await {
            Err(error) if error.code() == Some(1054) => {}
            result => return result.map(drop),
        }
        let add = format!("ALTER TABLE {} ADD COLUMN seq bigint unsigned NOT NULL DEFAULT '0'", self.fence);
        match conn.exec(add).await {
            // Somebody else was faster.
            Err(error) if error.code() == Some(1060) => Ok(()),
            result => result.map(drop),
        }
    }

    async fn check_version(&self, conn: &mut Conn) -> mysql::Result<()> {
        let sql = format!(
            "SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA={} AND TABLE_NAME IN ({},{},{})",
            quote_string(&self.schema),
            quote_string(&format!("{}_rsync_fence", self.task)),
            quote_string(&format!("{}_rsync_ledger", self.task)),
            quote_string(&format!("{}_rsync_locks", self.task)),
        );
        for row in conn.query(sql).await?.iter() {
            let comment = row.str(1)?.unwrap_or_default();
            let version = comment.rsplit(' ').next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
            if version > FORMAT_VERSION {
                return Err(mysql::Error::unsupported(format!(
                    "table {} has format version {version}, this program knows {FORMAT_VERSION}: use the newer program",
                    row.str(0)?.unwrap_or_default()
                )));
            }
        }
        Ok(())
    }

    fn statements(&self) -> Vec<String> {
        let Self { checkpoint, online_ddl, sharding_meta, fence, ledger, locks, .. } = self;
        let dm = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin";
        let times = "`create_time` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP,\n  \
                     `update_time` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP";
        vec![
            format!(
                "CREATE TABLE IF NOT EXISTS {checkpoint} (\n  `id` varchar(32) NOT NULL,\n  `cp_schema` varchar(128) NOT NULL,\n  \
                 `cp_table` varchar(128) NOT NULL,\n  `binlog_name` varchar(128) DEFAULT NULL,\n  `binlog_pos` int unsigned DEFAULT NULL,\n  \
                 `binlog_gtid` text DEFAULT NULL,\n  `exit_safe_binlog_name` varchar(128) DEFAULT '',\n  \
                 `exit_safe_binlog_pos` int unsigned DEFAULT '0',\n  `exit_safe_binlog_gtid` text DEFAULT NULL,\n  \
                 `table_info` json NOT NULL,\n  `is_global` tinyint(1) DEFAULT NULL,\n  {times},\n  \
                 UNIQUE KEY `uk_id_schema_table` (`id`,`cp_schema`,`cp_table`)\n) {dm}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {online_ddl} (\n  `id` varchar(32) NOT NULL,\n  `ghost_schema` varchar(128) NOT NULL,\n  \
                 `ghost_table` varchar(128) NOT NULL,\n  `ddls` text DEFAULT NULL,\n  \
                 `update_time` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,\n  \
                 UNIQUE KEY `uk_id_schema_table` (`id`,`ghost_schema`,`ghost_table`)\n) {dm}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {sharding_meta} (\n  \
                 `source_id` varchar(32) NOT NULL COMMENT 'replica source id, defined in task.yaml',\n  \
                 `target_table_id` varchar(144) NOT NULL,\n  `source_table_id` varchar(144) NOT NULL,\n  `active_index` int DEFAULT NULL,\n  \
                 `is_global` tinyint(1) DEFAULT NULL,\n  `data` json DEFAULT NULL,\n  {times},\n  \
                 UNIQUE KEY `uk_source_id_table_id_source` (`source_id`,`target_table_id`,`source_table_id`)\n) {dm}"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {fence} (\n  `source` varchar(32) NOT NULL,\n  `lane` int NOT NULL,\n  `epoch` bigint unsigned NOT NULL,\n  \
                 `seq` bigint unsigned NOT NULL DEFAULT '0',\n  `state` longtext,\n  PRIMARY KEY (`source`,`lane`)\n) {dm} COMMENT='rsync-dm fence, format {FORMAT_VERSION}'"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {ledger} (\n  `source` varchar(32) NOT NULL,\n  `epoch` bigint unsigned NOT NULL,\n  `lane` int NOT NULL,\n  \
                 `seq` bigint unsigned NOT NULL,\n  `covered` longblob NOT NULL,\n  `owner` bigint unsigned NOT NULL,\n  \
                 PRIMARY KEY (`source`,`epoch`,`lane`,`seq`)\n) {dm} COMMENT='rsync-dm ledger, format {FORMAT_VERSION}'"
            ),
            format!(
                "CREATE TABLE IF NOT EXISTS {locks} (\n  `id` int NOT NULL,\n  `state` longtext NOT NULL,\n  \
                 PRIMARY KEY (`id`)\n) {dm} COMMENT='rsync-dm shard locks, format {FORMAT_VERSION}'"
            ),
        ]
    }

    /// Removes everything of a task (`--remove-meta`).
    ///
    /// # Errors
    /// The server's.
    pub async fn drop_all(&self, conn: &mut Conn) -> mysql::Result<()> {
        for table in
            [&self.checkpoint, &self.online_ddl, &self.sharding_meta, &self.fence, &self.ledger, &self.locks]
        {
            conn.exec(format!("DROP TABLE IF EXISTS {table}")).await?;
        }
        Ok(())
    }

    /// Removes what belongs to one source of a task.
    ///
    /// # Errors
    /// The server's; a table that is not there is none.
    pub async fn remove_source(&self, conn: &mut Conn, source: &str) -> mysql::Result<()> {
        let id = quote_string(source);
        for (table, column) in [
            (&self.checkpoint, "id"),
            (&self.online_ddl, "id"),
            (&self.sharding_meta, "source_id"),
            (&self.ledger, "source"),
        ] {
            match conn.exec(format!("DELETE FROM {table} WHERE {column}={id}")).await {
                Err(error) if error.code() == Some(1146) => {}
                result => drop(result?),
            }
        }
        match conn.exec(format!("UPDATE {} SET state=NULL WHERE source={id}", self.fence)).await {
            Err(error) if error.code() == Some(1146) => Ok(()),
            result => result.map(drop),
        }
    }
}
