//! What is asked of a server: its binlog, its sets, its clock, its replicas.

use std::time::Duration;

use mysql::session::{self, ZoneOffset};
use mysql::{Flavor, GtidSet};
use testkit::{Account, Kind, Options, Server};

fn servers(options: &Options) -> impl Iterator<Item = Server> {
    Kind::ALL.into_iter().filter_map(|kind| Server::start_or_skip(kind, options.clone()))
}

#[tokio::test]
async fn the_place_in_the_binlog_moves_with_the_sets() {
    for server in servers(&Options::default()) {
        let kind = server.kind();
        let mut conn = server.conn(Account::Dump).await;
        let before = session::binlog_location(&mut conn).await.unwrap().unwrap();
        assert_eq!(before.file, "binlog.000001", "{kind}");
        assert!(before.gtid.as_ref().unwrap().is_empty(), "{kind}: {before}");
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1)");
        let after = session::binlog_location(&mut conn).await.unwrap().unwrap();
        assert!(before < after, "{kind}");
        let gtid = after.gtid.clone().unwrap();
        let expected = if kind.is_mariadb() {
            format!("1-{}-3", server.server_id())
        } else {
            format!("{}:1-3", session::server_uuid(&mut conn).await.unwrap())
        };
        assert_eq!(gtid.to_string(), expected);
        assert_eq!(session::gtid_executed(&mut conn).await.unwrap(), gtid);
        assert!(session::gtid_purged(&mut conn).await.unwrap().is_empty(), "{kind}");

        server.sql("FLUSH BINARY LOGS; INSERT INTO d.t VALUES (2)");
        let logs = session::binary_logs(&mut conn).await.unwrap();
        let names: Vec<&str> = logs.iter().map(|log| log.name.as_str()).collect();
        assert_eq!(names, ["binlog.000001", "binlog.000002"], "{kind}");
        assert!(logs.iter().all(|log| log.size > 100));
        let now = session::binlog_location(&mut conn).await.unwrap().unwrap();
        assert_eq!((now.file.as_str(), now.pos), ("binlog.000002", logs[1].size));
        // MariaDB keeps a file until InnoDB has told that it needs it no more.
        testkit::wait_until_blocking(Duration::from_secs(20), "the first file is purged", || {
            server.sql("PURGE BINARY LOGS TO 'binlog.000002'");
            server.rows("SHOW BINARY LOGS").len() == 1
        });
        let purged = session::gtid_purged(&mut conn).await.unwrap();
        assert_eq!(purged, gtid, "{kind}");
        let mut left = session::gtid_executed(&mut conn).await.unwrap();
        assert!(left.contains(&purged));
        left.subtract(&purged).unwrap();
        let expected = if kind.is_mariadb() {
            format!("1-{}-4", server.server_id())
        } else {
            expected.replace(":1-3", ":4")
        };
        assert_eq!(left.to_string(), expected, "{kind}");
    }
}

#[tokio::test]
async fn without_binlog_or_gtid() {
    for server in servers(&Options::default().no_binlog()) {
        let mut conn = server.conn(Account::Dump).await;
        assert_eq!(session::binlog_location(&mut conn).await.unwrap(), None, "{}", server.kind());
        assert_eq!(session::binary_logs(&mut conn).await.unwrap(), [], "{}", server.kind());
        assert!(session::gtid_purged(&mut conn).await.unwrap().is_empty());
    }
    for server in servers(&Options::default().no_gtid()) {
        if server.kind().is_mariadb() {
            continue;
        }
        server.sql("CREATE DATABASE d");
        let mut conn = server.conn(Account::Dump).await;
        let location = session::binlog_location(&mut conn).await.unwrap().unwrap();
        assert!(location.gtid.unwrap().is_empty());
        assert_eq!(session::variable(&mut conn, "gtid_mode").await.unwrap().as_deref(), Some("OFF"));
    }
}

#[tokio::test]
async fn variables_ids_and_clocks() {
    for server in servers(&Options::default().time_zone("+08:00")) {
        let kind = server.kind();
        let mut conn = server.conn(Account::Nobody).await;
        let all = session::variables(&mut conn).await.unwrap();
        assert!(all.len() > 200, "{kind}");
        assert_eq!(all["binlog_format"], "ROW");
        assert_eq!(session::variable(&mut conn, "BINLOG_FORMAT").await.unwrap().as_deref(), Some("ROW"));
        assert_eq!(session::variable(&mut conn, "no_such_variable").await.unwrap(), None);
        // `_` is no wildcard here.
        assert_eq!(session::variable(&mut conn, "binlog_forma_").await.unwrap(), None);
        assert_eq!(session::server_id(&mut conn).await.unwrap(), server.server_id());
        let uuid = session::server_uuid(&mut conn).await.unwrap();
        if kind.is_mariadb() {
            assert_eq!(uuid, format!("1-{}", server.server_id()));
        } else {
            assert_eq!(uuid.len(), 36);
        }
        assert_eq!(session::zone_offset(&mut conn).await.unwrap(), ZoneOffset { seconds: 8 * 3600 });
        conn.exec("SET time_zone = '-03:30'").await.unwrap();
        assert_eq!(session::zone_offset(&mut conn).await.unwrap().to_string(), "-03:30");
    }
}

#[tokio::test]
async fn sets_of_a_server_are_read_back_by_it() {
    for server in servers(&Options::default()) {
        let mut conn = server.conn(Account::Admin).await;
        if conn.server().flavor == Flavor::MariaDb {
            conn.exec("CREATE DATABASE d").await.unwrap();
            conn.exec("SET SESSION gtid_domain_id = 7; CREATE DATABASE e").await.unwrap();
            let set = session::gtid_executed(&mut conn).await.unwrap();
            let id = server.server_id();
            assert_eq!(set.to_string(), format!("1-{id}-1,7-{id}-1"));
            continue;
        }
        let text = "3E11FA47-71CA-11E1-9E33-C80AA9429562:1-3:5,\n24da167a-cf4e-11e0-8f1b-0019d0ad4f4b:7";
        let set: GtidSet = text.parse().unwrap();
        let back = conn
            .query_one(format!("SELECT GTID_SUBTRACT('{set}', '')"))
            .await
            .unwrap()
            .unwrap()
            .text(0)
            .unwrap();
        assert_eq!(GtidSet::parse(Flavor::MySql, &back).unwrap(), set);
        assert_eq!(back.replace(['\n', ' '], ""), set.to_string(), "the same order and form");
        if conn.server().is_mysql(8, 3, 0) {
            let text =
                "3e11fa47-71ca-11e1-9e33-c80aa9429562:b:4:1-3:A:9,3e11fa47-71ca-11e1-9e33-c80aa9429562:2";
            let set: GtidSet = text.parse().unwrap();
            let back = conn.query_one(format!("SELECT GTID_SUBTRACT('{text}', '')")).await.unwrap();
            assert_eq!(back.unwrap().text(0).unwrap().replace(['\n', ' '], ""), set.to_string());
        }
    }
}
