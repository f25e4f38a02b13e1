//! wire: every way to log in, on every server.

use std::time::Duration;

use mysql::wire::WireConn;
use mysql::{Endpoint, ErrorClass, Tls, TlsMode};
use testkit::sql::Certificates;
use testkit::{Account, Kind, Options, Server};

async fn connect(endpoint: &Endpoint) -> WireConn {
    WireConn::connect(endpoint).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn value(conn: &mut WireConn, sql: &str) -> String {
    let mut rows = conn.query(sql).await.unwrap_or_else(|error| panic!("{error}"));
    let mut out = String::new();
    while let Some(row) = rows.next().await.unwrap_or_else(|error| panic!("{error}")) {
        out = String::from_utf8_lossy(row.cell(0).unwrap_or(b"NULL")).into_owned();
    }
    out
}

fn with_mode(server: &Server, user: &str, password: &str, mode: TlsMode) -> Endpoint {
    Endpoint::new(server.host(), server.port(), user, password).with_tls(Tls::new(mode))
}

#[tokio::test]
async fn every_server_takes_its_accounts_over_tcp_and_socket() {
    for kind in Kind::ALL {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        server.sql("CREATE DATABASE d");
        let admin = server.endpoint(Account::Admin);
        // The old servers offer no TLS here, or none that we speak.
        let has_tls = matches!(kind, Kind::MySql8033 | Kind::MySql97);
        for (endpoint, encrypted) in [
            (admin.clone(), has_tls),
            (admin.clone().with_tls(Tls::new(TlsMode::Off)), false),
            (admin.clone().with_socket(server.socket()), false),
        ] {
            let endpoint = endpoint.with_database("d").with_program("wire-test").with_init("SET @a = 'ä'");
            let mut conn = connect(&endpoint).await;
            assert_eq!(conn.is_encrypted(), encrypted, "{kind} {endpoint}");
            assert_eq!(conn.server().text, server.version());
            assert_eq!(value(&mut conn, "SELECT DATABASE()").await, "d");
            assert_eq!(value(&mut conn, "SELECT @a").await, "ä");
            assert_eq!(value(&mut conn, "SELECT CONNECTION_ID()").await, conn.connection_id().to_string());
            assert_eq!(value(&mut conn, "SELECT @@character_set_client").await, "utf8mb4");
            conn.ping().await.unwrap();
            conn.close().await;
        }
        let wrong = Endpoint::new(server.host(), server.port(), "admin", "hunter2");
        let error = WireConn::connect(&wrong).await.unwrap_err();
        assert_eq!((error.code(), error.class()), (Some(1045), ErrorClass::AccessDenied), "{kind}");
        assert!(!error.to_string().contains("hunter2"));
        if !has_tls {
            let required = admin.clone().with_tls(Tls::new(TlsMode::Required));
            let error = WireConn::connect(&required).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Tls, "{kind}: {error}");
        }
    }
}

fn short(name: &str) -> String {
    name.replace("mysql_", "").replace("_password", "")
}

/// Plugins on a server, each with a password and without.
fn make_users(server: &Server, plugins: &[&str]) {
    for plugin in plugins {
        for (user, password) in [(*plugin, "pass-Wörd"), (&format!("{plugin}_e"), "")] {
            // Names have at most 16 characters in 5.6.
            let user = short(user);
            server.sql(if server.kind().is_mariadb() {
                format!("CREATE USER {user}@'%' IDENTIFIED VIA {plugin} USING PASSWORD('{password}')")
            } else if server.kind() == Kind::MySql56 {
                format!(
                    "CREATE USER {user}@'%' IDENTIFIED WITH {plugin}; SET old_passwords = {}; \
                     SET PASSWORD FOR {user}@'%' = PASSWORD('{password}')",
                    if *plugin == "sha256_password" { 2 } else { 0 }
                )
            } else {
                format!("CREATE USER {user}@'%' IDENTIFIED WITH {plugin} BY '{password}'")
            });
        }
    }
}

#[tokio::test]
async fn every_plugin_with_and_without_tls() {
    const NATIVE: &str = "mysql_native_password";
    const CACHING: &str = "caching_sha2_password";
    const SHA256: &str = "sha256_password";
    let cases: [(Kind, &[&str], &[TlsMode]); 6] = [
        (Kind::MySql56, &[NATIVE], &[TlsMode::Off]),
        (Kind::MySql57, &[NATIVE], &[TlsMode::Off]),
        (Kind::MySql8015, &[NATIVE, CACHING, SHA256], &[TlsMode::Off]),
        (Kind::MySql8033, &[NATIVE, CACHING, SHA256], &[TlsMode::Off, TlsMode::Required]),
        (Kind::MySql97, &[CACHING, SHA256], &[TlsMode::Off, TlsMode::Required]),
        (Kind::MariaDb1011, &[NATIVE], &[TlsMode::Off]),
    ];
    for (kind, plugins, modes) in cases {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        make_users(&server, plugins);
        for plugin in plugins {
            let user = short(plugin);
            for mode in modes {
                // The whole password at first, then what the server remembers of it.
                server.sql("FLUSH PRIVILEGES");
                for round in 0..2 {
                    let what = format!("{kind} {plugin} {mode} round {round}");
                    let mut conn = connect(&with_mode(&server, &user, "pass-Wörd", *mode)).await;
                    assert_eq!(conn.is_encrypted(), *mode == TlsMode::Required, "{what}");
                    let name = value(&mut conn, "SELECT CURRENT_USER()").await;
                    assert_eq!(name, format!("{user}@%"), "{what}");
                    let empty = with_mode(&server, &format!("{user}_e"), "", *mode);
                    connect(&empty).await.close().await;
                    for (user, password) in [(&user, "wrong"), (&user, ""), (&format!("{user}_e"), "x")] {
                        let error =
                            WireConn::connect(&with_mode(&server, user, password, *mode)).await.unwrap_err();
                        assert_eq!(error.code(), Some(1045), "{what} {user}: {error}");
                    }
                }
            }
            // Over the socket, which counts as safe for one plugin and not for the other.
            server.sql("FLUSH PRIVILEGES");
            let socket = with_mode(&server, &user, "pass-Wörd", TlsMode::Off).with_socket(server.socket());
            connect(&socket).await.close().await;
        }
    }
}

#[tokio::test]
async fn tls_modes_check_what_they_say() {
    let certificates = Certificates::new();
    for kind in [Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, certificates.serve(Options::default())) else {
            continue;
        };
        server.sql("CREATE USER x509@'%' IDENTIFIED BY 'x' REQUIRE X509");
        let admin = server.endpoint(Account::Admin);
        for mode in [TlsMode::Preferred, TlsMode::Required, TlsMode::VerifyCa, TlsMode::VerifyIdentity] {
            let mut conn = connect(&admin.clone().with_tls(certificates.client(mode))).await;
            assert!(conn.is_encrypted(), "{kind} {mode}");
            let cipher = value(&mut conn, "SHOW STATUS LIKE 'Ssl_cipher'").await;
            assert_eq!(cipher, "Ssl_cipher", "{kind} {mode}");
        }
        let other = |mode| Tls::new(mode).with_ca(certificates.file("other-ca.pem"));
        for mode in [TlsMode::VerifyCa, TlsMode::VerifyIdentity] {
            let error = WireConn::connect(&admin.clone().with_tls(other(mode))).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Tls, "{kind} {mode}: {error}");
            let public = WireConn::connect(&admin.clone().with_tls(Tls::new(mode))).await.unwrap_err();
            assert_eq!(public.class(), ErrorClass::Tls, "{kind} {mode}: {public}");
        }
        let mut named = admin.clone().with_tls(certificates.client(TlsMode::VerifyIdentity));
        named.host = "localhost".into();
        connect(&named).await.close().await;
        let plain = Endpoint::new(server.host(), server.port(), "x509", "x");
        let error = WireConn::connect(&plain.clone().with_tls(certificates.client(TlsMode::Required))).await;
        assert_eq!(error.unwrap_err().code(), Some(1045), "{kind}");
        let identity = certificates
            .client(TlsMode::VerifyCa)
            .with_identity(certificates.file("client.pem"), certificates.file("client-key.pem"));
        connect(&plain.with_tls(identity)).await.close().await;
    }
}

#[tokio::test]
async fn verify_ca_does_not_ask_for_the_name_and_verify_identity_does() {
    // The certificates that MySQL makes for itself are made out for no host.
    for kind in [Kind::MySql8033, Kind::MySql97] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let tls = |mode| Tls::new(mode).with_ca(server.data_dir().join("ca.pem"));
        let admin = server.endpoint(Account::Admin);
        connect(&admin.clone().with_tls(tls(TlsMode::VerifyCa))).await.close().await;
        let error = WireConn::connect(&admin.with_tls(tls(TlsMode::VerifyIdentity))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Tls, "{kind}: {error}");
    }
}

#[tokio::test]
async fn preferred_goes_on_without_tls_where_the_servers_is_too_old() {
    let certificates = Certificates::new();
    // 8.0.15 is built with an OpenSSL that has no key exchange in common with rustls.
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8015] {
        let Some(server) = Server::start_or_skip(kind, certificates.serve(Options::default())) else {
            continue;
        };
        if kind != Kind::MySql56 {
            assert_eq!(server.value("SELECT @@have_ssl"), "YES", "{kind}");
        }
        let conn = connect(&server.endpoint(Account::Admin)).await;
        assert!(!conn.is_encrypted(), "{kind}");
        let required = server.endpoint(Account::Admin).with_tls(Tls::new(TlsMode::Required));
        let error = WireConn::connect(&required).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Tls, "{kind}: {error}");
    }
}

#[tokio::test]
async fn what_does_not_answer_is_given_up_in_time() {
    // Listens and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let endpoint =
        Endpoint::new("127.0.0.1", port, "u", "p").with_connect_timeout(Duration::from_millis(200));
    let error = WireConn::connect(&endpoint).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error}");
    drop(silent);
    let error = WireConn::connect(&endpoint).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error}");
    let error = WireConn::connect(&Endpoint::new("no.such.host.invalid", 1, "u", "p")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error}");
}

#[tokio::test]
async fn a_full_server_says_so() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default().with("max_connections=1"))
    else {
        return;
    };
    let dump = server.endpoint(Account::Dump);
    // One connection is kept for administrators.
    let mut held = Vec::new();
    let error = loop {
        match WireConn::connect(&dump).await {
            Ok(conn) => held.push(conn),
            Err(error) => break error,
        }
        assert!(held.len() < 5);
    };
    assert_eq!(error.class(), ErrorClass::TooManyConnections, "{error}");
}
