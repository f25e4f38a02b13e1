//! The servers of the demo, their rows and the writers.

use std::path::PathBuf;

use anyhow::{Context, Result};
use testkit::proxy::Direction;
use testkit::workload::{self, Writer};
use testkit::{Account, Kind, Proxy, Server, WorkDir};

/// What a run is like.
#[derive(Debug, Clone)]
pub struct Options {
    /// Kind of both sources.
    pub kind: Kind,
    /// Rows in each source table.
    pub rows: u64,
    /// Wait at the end with the servers running.
    pub keep: bool,
    /// No progress of the tools on the terminal.
    pub quiet: bool,
}

/// Transactions a second of each of the two writers.
const WRITER_RATE: u32 = 40;

/// Two sources and a target; dropped, they are gone.
pub struct World {
    pub sources: Vec<Server>,
    pub target: Server,
    /// Between the tools and each source, where bytes are to be counted; else empty.
    pub proxies: Vec<Proxy>,
    pub dir: WorkDir,
}

impl World {
    /// Starts the servers and loads the shards.
    pub async fn start(options: &Options) -> Result<World> {
        let dir = WorkDir::new("demo").context("make a working folder")?;
        let source = |number: u32| {
            let settings =
                testkit::Options::default().time_zone("+08:00").server_id(100 + number).domain(number);
            Server::start(options.kind, settings).with_context(|| format!("start source {number}"))
        };
        let sources = vec![source(1)?, source(2)?];
        let target =
            Server::start(Kind::MySql8033, testkit::Options::default().time_zone("+00:00").no_binlog())
                .context("start the target")?;
        let loads = sources.iter().zip(1..).map(|(server, number)| async move {
            let mut connection = mysql::Conn::connect(&server.endpoint(Account::Admin)).await?;
            workload::load(&mut connection, number, options.rows).await?;
            connection.close().await;
            anyhow::Ok(())
        });
        futures::future::try_join_all(loads).await.context("load the shards")?;
        Ok(World { sources, target, proxies: Vec::new(), dir })
    }

    /// Puts a proxy before each source; the files written from then on name it.
    pub fn count_bytes(&mut self) {
        self.proxies = self.sources.iter().map(Proxy::to).collect();
    }

    /// Bytes that the sources have sent to the tools so far.
    pub fn bytes_from_sources(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.moved(Direction::ToClient)).sum()
    }

    /// The port under which the tools reach a source.
    pub fn source_port(&self, index: usize) -> u16 {
        self.proxies.get(index).map_or_else(|| self.sources[index].port(), Proxy::port)
    }

    /// Starts a writer on each source.
    pub async fn writers(&self, rows: u64) -> Result<Vec<Writer>> {
        let mut writers = Vec::new();
        for (server, number) in self.sources.iter().zip(1..) {
            writers.push(Writer::start(server.endpoint(Account::Admin), number, rows, WRITER_RATE).await?);
        }
        Ok(writers)
    }

    /// The folder that all dumps go under.
    pub fn dump_parent(&self) -> PathBuf {
        self.dir.join("dump")
    }

    /// The folder of one dump.
    pub fn dump_dir(&self, source: usize, schema: &str) -> PathBuf {
        self.dump_parent().join(format!("source{}-{schema}", source + 1))
    }

    /// An administrator's session on the target.
    pub async fn target_admin(&self) -> Result<mysql::Conn> {
        mysql::Conn::connect(&self.target.endpoint(Account::Admin)).await.context("connect to the target")
    }
}
