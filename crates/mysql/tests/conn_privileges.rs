//! SHOW GRANTS of real servers against what the same accounts can really do.

use mysql::privileges::{self, Need, Privilege};
use mysql::{Conn, Endpoint, ErrorClass};
use testkit::{Account, Kind, Options, Server};

fn servers() -> impl Iterator<Item = Server> {
    Kind::ALL.into_iter().filter_map(|kind| Server::start_or_skip(kind, Options::default()))
}

#[tokio::test]
async fn the_accounts_of_the_tests_have_what_they_are_for() {
    let dump = [
        Need::global(Privilege::Select),
        Need::global(Privilege::Reload),
        Need::global(Privilege::LockTables),
        Need::global(Privilege::Process),
        Need::global(Privilege::BinlogStatus),
        Need::global(Privilege::ReplicaStatus),
        Need::schema(Privilege::ShowView, "any"),
    ];
    let replicate = [
        Need::global(Privilege::Select),
        Need::global(Privilege::ReplicationSlave),
        Need::global(Privilege::BinlogStatus),
    ];
    let target = [
        Need::table(Privilege::Insert, "d", "t"),
        Need::schema(Privilege::Create, "d"),
        Need::schema(Privilege::Index, "d"),
    ];
    for server in servers() {
        for (account, needs) in
            [(Account::Dump, &dump[..]), (Account::Replicate, &replicate), (Account::Target, &target)]
        {
            let mut conn = server.conn(account).await;
            let grants = privileges::grants(&mut conn).await.unwrap();
            let missing = privileges::missing(&grants, needs);
            assert!(missing.is_empty(), "{} {account:?}: {missing:?}", server.kind());
            assert_eq!(grants.account(), format!("'{}'@'%'", account.credentials().user));
        }
        let mut admin = server.conn(Account::Admin).await;
        let grants = privileges::grants(&mut admin).await.unwrap();
        let all = [dump.as_slice(), &replicate, &target, &[Need::global(Privilege::Super)]].concat();
        assert_eq!(privileges::missing(&grants, &all), [], "{}", server.kind());
    }
}

/// The GRANTs that are named are real ones, and after them nothing is missing and the work can be done.
#[tokio::test]
async fn what_is_missing_is_named_with_a_grant_that_works() {
    for server in servers() {
        let kind = server.kind();
        server.sql("CREATE DATABASE my_db; CREATE TABLE my_db.t (a INT)");
        let mut conn = server.conn(Account::Nobody).await;
        let error = conn.query("SELECT * FROM my_db.t").await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::AccessDenied, "{kind}: {error}");
        let status = mysql::session::binlog_status_sql(conn.server());
        let error = conn.query(status).await.unwrap_err();
        assert_eq!((error.class(), error.code()), (ErrorClass::AccessDenied, Some(1227)), "{kind}: {error}");
        let needs = [
            Need::table(Privilege::Select, "my_db", "t"),
            Need::schema(Privilege::LockTables, "my_db"),
            Need::schema(Privilege::Create, "dm_meta"),
            Need::global(Privilege::BinlogStatus),
            Need::global(Privilege::ReplicaStatus),
            Need::global(Privilege::ReplicationSlave),
            Need::global(Privilege::ReplicaList),
            Need::global(Privilege::Reload),
            Need::global(Privilege::BackupAdmin),
            Need::global(Privilege::SessionVariables),
            Need::global(Privilege::Process),
        ];
        let grants = privileges::grants(&mut conn).await.unwrap();
        let missing = privileges::missing(&grants, &needs);
        let names: Vec<&str> = missing.iter().map(|item| item.privilege).collect();
        let expected: &[&str] = match kind {
            Kind::MySql56 | Kind::MySql57 => &["REPLICATION CLIENT", "REPLICATION SLAVE", "RELOAD", "SUPER"],
            Kind::MySql8015 | Kind::MySql8033 | Kind::MySql97 => &[
                "REPLICATION CLIENT",
                "REPLICATION SLAVE",
                "RELOAD",
                "BACKUP_ADMIN",
                "SESSION_VARIABLES_ADMIN",
            ],
            Kind::MariaDb1011 => &[
                "BINLOG MONITOR",
                "SLAVE MONITOR",
                "REPLICATION SLAVE",
                "REPLICATION MASTER ADMIN",
                "RELOAD",
                "BINLOG ADMIN",
            ],
        };
        let expected = [&["SELECT", "LOCK TABLES", "CREATE"], expected, &["PROCESS"]].concat();
        assert_eq!(names, expected, "{kind}");
        assert_eq!(missing[0].grant_statement, "GRANT SELECT ON `my_db`.`t` TO 'nobody'@'%';");
        for statement in privileges::grant_statements(&grants, &missing) {
            server.sql(statement);
        }
        let mut conn = server.conn(Account::Nobody).await;
        let grants = privileges::grants(&mut conn).await.unwrap();
        assert_eq!(privileges::missing(&grants, &needs), [], "{kind}");
        conn.query("SELECT * FROM my_db.t").await.unwrap();
        conn.query(status).await.unwrap();
        conn.query(mysql::session::replica_status_sql(conn.server())).await.unwrap();
        mysql::session::replica_server_ids(&mut conn).await.unwrap();
        conn.exec("FLUSH TABLES WITH READ LOCK; UNLOCK TABLES").await.unwrap();
        conn.exec("SET SESSION sql_log_bin = 0").await.unwrap();
    }
}

#[tokio::test]
async fn rights_by_roles() {
    for kind in [Kind::MySql8015, Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); CREATE ROLE reader; CREATE ROLE base");
        server.sql("GRANT SELECT ON d.* TO reader; GRANT RELOAD ON *.* TO base; GRANT base TO reader");
        server.sql("CREATE USER u IDENTIFIED BY 'pw'; GRANT reader TO u");
        let endpoint = Endpoint::new("127.0.0.1", server.port(), "u", "pw");
        let needs = [Need::table(Privilege::Select, "d", "t"), Need::global(Privilege::Reload)];
        let mut conn = Conn::connect(&endpoint).await.unwrap();
        let grants = privileges::grants(&mut conn).await.unwrap();
        let missing = privileges::missing(&grants, &needs);
        assert_eq!(missing.len(), 2, "{kind}: a role that is not active gives nothing");
        assert!(missing[0].note.contains("SET DEFAULT ROLE"), "{kind}: {}", missing[0]);
        assert!(conn.query("SELECT * FROM d.t").await.is_err());
        let sql =
            if kind.is_mariadb() { "SET DEFAULT ROLE reader FOR u" } else { "SET DEFAULT ROLE reader TO u" };
        server.sql(sql);
        let mut conn = Conn::connect(&endpoint).await.unwrap();
        let grants = privileges::grants(&mut conn).await.unwrap();
        assert_eq!(privileges::missing(&grants, &needs), [], "{kind}");
        conn.query("SELECT * FROM d.t").await.unwrap();
        conn.exec("FLUSH TABLES").await.unwrap();
    }
}

#[tokio::test]
async fn patterns_and_partial_revokes_as_the_server_sees_them() {
    for server in servers() {
        let kind = server.kind();
        for name in ["my_db1", "my_db2", "myxdb2", "o`k"] {
            let name = common::ident::quote(name);
            server.sql(format!("CREATE DATABASE {name}; CREATE TABLE {name}.t (a INT)"));
        }
        server.sql("CREATE USER u IDENTIFIED BY 'pw'");
        server.sql("GRANT SELECT, INSERT ON `my\\_db%`.* TO u; GRANT SELECT ON `my\\_db1`.* TO u");
        server.sql("GRANT INSERT ON `o``k`.`t` TO u; GRANT SELECT (a) ON myxdb2.t TO u");
        let mut conn = Conn::connect(&Endpoint::new("127.0.0.1", server.port(), "u", "pw")).await.unwrap();
        let grants = privileges::grants(&mut conn).await.unwrap();
        for schema in ["my_db1", "my_db2", "myxdb2", "o`k"] {
            let name = common::ident::quote(schema);
            for (privilege, sql) in [
                (Privilege::Select, format!("SELECT COUNT(*) FROM {name}.t")),
                (Privilege::Insert, format!("INSERT INTO {name}.t VALUES (1)")),
            ] {
                let can = conn.query(&sql).await;
                // A right on one column lets COUNT(*) through but not SELECT *: it is not counted as a right.
                if schema == "myxdb2" && privilege == Privilege::Select {
                    continue;
                }
                let told = grants.allows(&Need::table(privilege, schema, "t"));
                assert_eq!(told, can.is_ok(), "{kind}: {privilege:?} on {schema}: {can:?}");
            }
        }
    }
    let options = Options::default().with("partial_revokes=ON");
    for kind in [Kind::MySql8033, Kind::MySql97] {
        let Some(server) = Server::start_or_skip(kind, options.clone()) else { continue };
        server
            .sql("CREATE DATABASE d; CREATE TABLE d.t (a INT); CREATE DATABASE e; CREATE TABLE e.t (a INT)");
        server.sql("CREATE USER u IDENTIFIED BY 'pw'; GRANT SELECT ON *.* TO u; REVOKE SELECT ON d.* FROM u");
        let mut conn = Conn::connect(&Endpoint::new("127.0.0.1", server.port(), "u", "pw")).await.unwrap();
        let grants = privileges::grants(&mut conn).await.unwrap();
        assert!(grants.allows(&Need::table(Privilege::Select, "e", "t")));
        assert!(!grants.allows(&Need::table(Privilege::Select, "d", "t")));
        conn.query("SELECT * FROM e.t").await.unwrap();
        conn.query("SELECT * FROM d.t").await.unwrap_err();
    }
}
