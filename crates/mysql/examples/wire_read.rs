//! How fast and with how much CPU rows are read: two connections, one table of some 200 MB.
//!
//! `cargo run --release -p mysql --example wire_read [-- MEGABYTES [SOCKET_OR_TCP]]`. Starts a MySQL 8.0.33 of its own, prints wall and CPU time of
//! this process for: rows taken, every cell looked at, every cell copied out. Nothing is asserted: compare on a quiet machine.

use std::time::Instant;

use mysql::wire::WireConn;
use mysql::{Endpoint, Tls, TlsMode};
use testkit::{Account, Kind, Options, Server};

const CONNECTIONS: u64 = 2;

/// User and system time of this process so far, in seconds.
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let seconds = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0) / 100.0;
    (seconds(11), seconds(12))
}

fn fill(server: &Server, megabytes: u64) -> u64 {
    server.sql(
        "CREATE DATABASE d; CREATE TABLE d.t (id BIGINT PRIMARY KEY AUTO_INCREMENT, sid BIGINT NOT NULL, pid BIGINT NOT NULL, \
         comment VARCHAR(255), at TIMESTAMP NULL, price DECIMAL(12,2), flag TINYINT)",
    );
    let row = "(1000000007, 12345678, REPEAT('it''s a text, ', 10), NOW(), 12345.67, 1)";
    server.sql(format!(
        "INSERT INTO d.t (sid, pid, comment, at, price, flag) VALUES {}",
        vec![row; 1000].join(",")
    ));
    let wanted = megabytes * 1_000_000 / 220;
    let mut rows = 1000;
    while rows < wanted {
        let add = rows.min(wanted - rows);
        server.sql(format!(
            "INSERT INTO d.t (sid, pid, comment, at, price, flag) \
             SELECT sid, pid, comment, at, price, flag FROM d.t LIMIT {add}"
        ));
        rows += add;
    }
    server.value("SELECT MAX(id) FROM d.t").parse().unwrap_or(0)
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Rows,
    Cells,
    Copy,
}

async fn read(endpoint: Endpoint, from: u64, to: u64, work: Work) -> mysql::Result<(u64, u64)> {
    let mut conn = WireConn::connect(&endpoint).await?;
    let mut rows = conn.query(format!("SELECT * FROM d.t WHERE id > {from} AND id <= {to}")).await?;
    let mut out: Vec<u8> = Vec::with_capacity(1 << 20);
    let mut sum = 0;
    while let Some(row) = rows.next().await? {
        match work {
            Work::Rows => sum += row.byte_len() as u64,
            Work::Cells => sum += row.cells().flatten().map(|cell| cell.len() as u64).sum::<u64>(),
            Work::Copy => {
                for cell in row.cells() {
                    out.extend_from_slice(cell.unwrap_or(b"NULL"));
                    out.push(b',');
                }
                if out.len() > 1 << 20 {
                    sum += out.len() as u64;
                    out.clear();
                }
            }
        }
    }
    std::hint::black_box(sum);
    let done = (rows.rows_read(), rows.bytes_read());
    conn.close().await;
    Ok(done)
}

#[tokio::main]
async fn main() -> mysql::Result<()> {
    let megabytes = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200);
    let socket = std::env::args().nth(2).is_some_and(|text| text == "socket");
    let options = Options::default().no_binlog().with("innodb_buffer_pool_size=768M");
    let Some(server) = Server::start_or_skip(Kind::MySql8033, options) else { return Ok(()) };
    let last = fill(&server, megabytes);
    let mut endpoint = server.endpoint(Account::Dump).with_tls(Tls::new(TlsMode::Off));
    if socket {
        endpoint = endpoint.with_socket(server.socket());
    }
    for work in [Work::Rows, Work::Rows, Work::Cells, Work::Copy, Work::Copy] {
        let (begin, (user, system)) = (Instant::now(), cpu());
        let tasks: Vec<_> = (0..CONNECTIONS)
            .map(|i| {
                let (from, to) = (last * i / CONNECTIONS, last * (i + 1) / CONNECTIONS);
                tokio::spawn(read(endpoint.clone(), from, to, work))
            })
            .collect();
        let (mut rows, mut bytes) = (0, 0);
        for task in tasks {
            let (r, b) = task.await.expect("a reader does not panic")?;
            rows += r;
            bytes += b;
        }
        let (user_after, system_after) = cpu();
        println!(
            "{work:?}: {rows} rows, {} MB, wall {:.2} s, user {:.2} s, system {:.2} s",
            bytes / 1_000_000,
            begin.elapsed().as_secs_f64(),
            user_after - user,
            system_after - system
        );
    }
    Ok(())
}
