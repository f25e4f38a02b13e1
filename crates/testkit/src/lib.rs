//! Real servers, a fault proxy and checks for the tests, the demo, the soak and the benchmarks.
//!
//! Everything here listens on 127.0.0.1 only, uses free ports and its own folders, and dies with the process
//! that started it, also when that process is killed with SIGKILL (see [`process`]).
//!
//! The calls block: a start takes well under a second, and `Drop` has to work without a runtime. Tests under tokio
//! call them directly.
//!
//! ```no_run
//! use testkit::{Kind, Options, Server};
//! let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
//! server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)");
//! let dump = server.account(testkit::Account::Dump);
//! println!("rdump -h 127.0.0.1 -P {} -u {} -p {}", server.port(), dump.user, dump.password);
//! ```

pub mod catalog;
pub mod cloud;
pub mod logcheck;
pub mod port;
pub mod process;
pub mod proxy;
pub mod python;
pub mod random;
pub mod server;
pub mod skip;
pub mod sql;
pub mod template;
pub mod tool;
pub mod wait;
pub mod workdir;
pub mod workload;

pub use catalog::Kind;
pub use cloud::{Cloud, CloudServer, Fault, HttpFaults};
pub use logcheck::LogCheck;
pub use proxy::Proxy;
pub use random::Random;
pub use server::{Account, Credentials, Options, Server, StartError};
pub use sql::Certificates;
pub use tool::Tool;
pub use wait::{wait_until, wait_until_blocking};
pub use workdir::WorkDir;
