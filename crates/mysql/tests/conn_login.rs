//! Logging in: plugins, TLS modes, what is said when it fails.

use std::time::{Duration, Instant};

use mysql::{Conn, Endpoint, ErrorClass, Flavor, Pem, Tls, TlsMode};
use testkit::{Account, Certificates, Kind, Options, Server};

/// Every server that can be had.
fn servers() -> impl Iterator<Item = Server> {
    Kind::ALL.into_iter().filter_map(|kind| Server::start_or_skip(kind, Options::default()))
}

#[tokio::test]
async fn every_server_lets_in_and_says_what_it_is() {
    for server in servers() {
        let conn = server.conn(Account::Dump).await;
        let info = conn.server();
        let flavor = if server.kind().is_mariadb() { Flavor::MariaDb } else { Flavor::MySql };
        assert_eq!(info.flavor, flavor, "{info}");
        let text = server.version().strip_prefix("5.5.5-").unwrap_or(server.version());
        assert!(text.starts_with(&info.version.to_string()), "{info} is {text}");
        // Preferred by default.
        let plain = !matches!(server.kind(), Kind::MySql8033 | Kind::MySql97);
        assert_eq!(conn.is_tls(), !plain, "{}", server.kind());
        assert_eq!(conn.name(), format!("dump@127.0.0.1:{}", server.port()));
        conn.close().await;
    }
}

#[tokio::test]
async fn wrong_passwords_and_users_are_refused_with_advice() {
    for server in servers() {
        for (user, password) in [("dump", "wrong-Pw"), ("dump", ""), ("nobody-of-this-name", "x")] {
            for mode in [TlsMode::Off, TlsMode::Preferred] {
                let endpoint =
                    Endpoint::new("127.0.0.1", server.port(), user, password).with_tls(Tls::new(mode));
                let error = Conn::connect(&endpoint).await.unwrap_err();
                if error.class() == ErrorClass::Unsupported {
                    // MySQL 8.0 hides which accounts there are: for some names it asks for a plugin we lack.
                    assert!(user == "nobody-of-this-name", "{error}");
                    assert!(error.to_string().contains("no such account"), "{error}");
                    continue;
                }
                assert_eq!(error.class(), ErrorClass::AccessDenied, "{error}");
                assert_eq!((error.code(), error.sqlstate()), (Some(1045), Some("28000")));
                let text = error.to_string();
                assert!(
                    text.starts_with(&format!("{user}@127.0.0.1:{}: connect: ", server.port())),
                    "{text}"
                );
                assert!(text.contains("check user and password"), "{text}");
                assert!(!text.contains("wrong-Pw") && !format!("{error:?}").contains("wrong-Pw"));
            }
        }
    }
}

#[tokio::test]
async fn caching_sha2_by_rsa_and_by_tls_and_native_beside_it() {
    for kind in [Kind::MySql8015, Kind::MySql8033, Kind::MySql97] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let mut accounts = vec![("sha2", "caching_sha2_password")];
        // 9.0 took the native plugin away.
        if kind != Kind::MySql97 {
            accounts.push(("nat", "mysql_native_password"));
        }
        for (user, plugin) in &accounts {
            server.sql(format!(
                "CREATE USER {user} IDENTIFIED WITH {plugin} BY 'a long pass: ä€ 12345678901234567890'"
            ));
        }
        for (user, plugin) in &accounts {
            let endpoint = |mode| {
                Endpoint::new("127.0.0.1", server.port(), *user, "a long pass: ä€ 12345678901234567890")
                    .with_tls(Tls::new(mode))
            };
            // The first login of an account does the full exchange, later ones find the server's cache.
            let tls = if kind == Kind::MySql8015 { TlsMode::Off } else { TlsMode::Required };
            for mode in [TlsMode::Off, TlsMode::Off, tls] {
                let conn =
                    Conn::connect(&endpoint(mode)).await.unwrap_or_else(|e| panic!("{kind} {plugin}: {e}"));
                assert_eq!(conn.is_tls(), mode == TlsMode::Required);
                conn.close().await;
            }
            server.sql("FLUSH PRIVILEGES");
            Conn::connect(&endpoint(tls)).await.unwrap().close().await;
            server.sql("FLUSH PRIVILEGES");
            let socket = endpoint(TlsMode::Off).with_socket(server.socket());
            let conn = Conn::connect(&socket).await.unwrap();
            assert!(!conn.is_tls());
            conn.close().await;
        }
    }
}

#[tokio::test]
async fn an_account_of_another_plugin_gets_the_way_out() {
    let Some(server) = Server::start_or_skip(Kind::MySql8033, Options::default()) else { return };
    server.sql("CREATE USER old IDENTIFIED WITH sha256_password BY 'pw'");
    for mode in [TlsMode::Off, TlsMode::Preferred, TlsMode::Required] {
        let endpoint = Endpoint::new("127.0.0.1", server.port(), "old", "pw").with_tls(Tls::new(mode));
        let error = Conn::connect(&endpoint).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.contains("plugin sha256_password") && text.contains("caching_sha2_password"), "{text}");
    }
}

#[tokio::test]
async fn servers_without_usable_tls() {
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, Options::default()) else { continue };
        let endpoint = |tls| server.endpoint(Account::Dump).with_tls(tls);
        for mode in [TlsMode::Required, TlsMode::VerifyIdentity] {
            let error = Conn::connect(&endpoint(Tls::new(mode))).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Tls, "{kind} {mode}: {error:?}");
        }
        let conn = Conn::connect(&endpoint(Tls::new(TlsMode::Preferred))).await.unwrap();
        assert!(!conn.is_tls());
        conn.close().await;
    }
}

/// 5.6 and 5.7 with certificates offer TLS 1.0 and 1.1, 8.0.15 only ciphers without ECDHE: as good as none.
#[tokio::test]
async fn preferred_falls_back_where_only_old_tls_is_offered() {
    let certs = Certificates::new();
    for kind in [Kind::MySql56, Kind::MySql57, Kind::MySql8015] {
        let options = certs.serve(Options::default());
        let Some(server) = Server::start_or_skip(kind, options) else { continue };
        let endpoint = server.endpoint(Account::Dump);
        let conn = Conn::connect(&endpoint).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
        assert!(!conn.is_tls());
        conn.close().await;
        let error = Conn::connect(&endpoint.with_tls(Tls::new(TlsMode::Required))).await.unwrap_err();
        assert!(matches!(error.class(), ErrorClass::Tls | ErrorClass::ConnectFailed), "{kind}: {error:?}");
        assert_eq!(server.value("SELECT @@have_ssl"), "YES", "{kind} is to offer its old TLS");
        println!("{kind}: {error:?}");
    }
}

#[tokio::test]
async fn every_tls_mode_with_a_certificate_of_our_own() {
    let certs = Certificates::new();
    for kind in [Kind::MySql8033, Kind::MySql97, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, certs.serve(Options::default())) else { continue };
        let endpoint = |tls: Tls| server.endpoint(Account::Dump).with_tls(tls);
        for mode in [TlsMode::Off, TlsMode::Preferred, TlsMode::Required, TlsMode::VerifyIdentity] {
            let mut conn = Conn::connect(&endpoint(certs.client(mode)))
                .await
                .unwrap_or_else(|e| panic!("{kind} {mode}: {e}"));
            assert_eq!(conn.is_tls(), mode != TlsMode::Off);
            let row = conn.query_one("SHOW STATUS LIKE 'Ssl_cipher'").await.unwrap().unwrap();
            assert_eq!(row.at(1).is_none_or(<[u8]>::is_empty), mode == TlsMode::Off, "{kind} {mode}");
            conn.close().await;
        }
        let from_bytes =
            Tls::new(TlsMode::VerifyIdentity).with_ca(std::fs::read(certs.file("ca.pem")).unwrap());
        Conn::connect(&endpoint(from_bytes)).await.unwrap().close().await;

        let other = Tls::new(TlsMode::VerifyIdentity).with_ca(certs.file("other-ca.pem"));
        let error = Conn::connect(&endpoint(other)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Tls, "{error:?}");
        assert!(error.to_string().contains("certificate"), "{error}");

        let public = Conn::connect(&endpoint(Tls::new(TlsMode::VerifyIdentity))).await.unwrap_err();
        assert_eq!(public.class(), ErrorClass::Tls, "{public:?}");

        let mut elsewhere = endpoint(certs.client(TlsMode::VerifyIdentity));
        elsewhere.host = "127.0.0.2".into();
        // Some servers listen on 127.0.0.1 alone: then there is no connection, and no certificate to refuse.
        let error = Conn::connect(&elsewhere).await.unwrap_err();
        assert!(matches!(error.class(), ErrorClass::Tls | ErrorClass::ConnectFailed), "{error:?}");

        let error = Conn::connect(&endpoint(certs.client(TlsMode::VerifyCa))).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Unsupported);
        assert!(error.to_string().contains("verify-identity"), "{error}");
    }
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let certs = Certificates::new();
    let Some(server) = Server::start_or_skip(Kind::MySql8033, certs.serve(Options::default())) else {
        return;
    };
    let proxy = testkit::Proxy::to(&server);
    // The proxy is reached under a name that the certificate does not have.
    let mut endpoint = server.endpoint(Account::Dump).with_tls(certs.client(TlsMode::VerifyIdentity));
    endpoint.port = proxy.port();
    Conn::connect(&endpoint).await.unwrap().close().await;
    endpoint.host = "127.0.0.1.nip.invalid".into();
    assert_eq!(Conn::connect(&endpoint).await.unwrap_err().class(), ErrorClass::ConnectFailed);
    endpoint.host = "ip6-localhost".into();
    if let Err(error) = Conn::connect(&endpoint).await {
        assert!(matches!(error.class(), ErrorClass::Tls | ErrorClass::ConnectFailed), "{error:?}");
    }
}

#[tokio::test]
async fn accounts_that_want_tls_or_a_certificate() {
    let certs = Certificates::new();
    for kind in [Kind::MySql8033, Kind::MariaDb1011] {
        let Some(server) = Server::start_or_skip(kind, certs.serve(Options::default())) else { continue };
        server.sql("CREATE USER tls IDENTIFIED BY 'pw' REQUIRE SSL; CREATE USER x509 IDENTIFIED BY 'pw' REQUIRE X509");
        let endpoint = |user: &str, tls| Endpoint::new("127.0.0.1", server.port(), user, "pw").with_tls(tls);
        let required = certs.client(TlsMode::Required);
        let with_identity =
            required.clone().with_identity(certs.file("client.pem"), certs.file("client-key.pem"));
        let pem = |name: &str| Pem::from(std::fs::read(certs.file(name)).unwrap());
        let from_bytes = required.clone().with_identity(pem("client.pem"), pem("client-key.pem"));
        Conn::connect(&endpoint("tls", required.clone())).await.unwrap().close().await;
        Conn::connect(&endpoint("x509", with_identity)).await.unwrap().close().await;
        Conn::connect(&endpoint("x509", from_bytes)).await.unwrap().close().await;
        for (user, tls) in [("tls", Tls::new(TlsMode::Off)), ("x509", required.clone())] {
            let error = Conn::connect(&endpoint(user, tls)).await.unwrap_err();
            assert_eq!(error.class(), ErrorClass::AccessDenied, "{kind} {user}: {error:?}");
        }
        let bad = required.with_identity(certs.file("client.pem"), b"no key".to_vec());
        let error = Conn::connect(&endpoint("x509", bad)).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::Config, "{error:?}");
    }
}

#[tokio::test]
async fn a_server_that_takes_only_tls_says_so() {
    let options = Options::default().with("require_secure_transport=ON");
    let Some(server) = Server::start_or_skip(Kind::MySql8033, options) else { return };
    let off = server.endpoint(Account::Dump).with_tls(Tls::new(TlsMode::Off));
    let error = Conn::connect(&off).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Tls, "{error:?}");
    server.conn(Account::Dump).await.close().await;
}

#[tokio::test]
async fn nobody_there_and_nobody_answering() {
    let closed = testkit::port::free_port();
    let error = Conn::connect(&Endpoint::new("127.0.0.1", closed, "u", "hunter2")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed);
    assert!(error.to_string().contains("check host and port"), "{error}");
    assert!(
        error.to_string().starts_with(&format!("u@127.0.0.1:{closed}: connect: can't connect: ")),
        "{error}"
    );

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::new("127.0.0.1", silent.local_addr().unwrap().port(), "u", "hunter2")
        .with_connect_timeout(Duration::from_millis(200));
    let begin = Instant::now();
    let error = Conn::connect(&endpoint).await.unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error:?}");
    assert!(error.to_string().contains("200ms"), "{error}");

    let error = Conn::connect(&Endpoint::new("no-such-host.invalid", 3306, "u", "")).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error:?}");
    let socket = Endpoint::new("x", 1, "u", "").with_socket("/no/such.sock");
    let error = Conn::connect(&socket).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::ConnectFailed, "{error:?}");
    assert!(error.to_string().contains("/no/such.sock"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_server_is_an_error_and_no_panic() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let greetings: [&[u8]; 6] = [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x00\x00\x00\x00",
        b"\x01\x00\x00\x00\x0a",
        b"\x04\x00\x00\x00\x0a8.0",
        b"\x05\x00\x00\x00\xff\x10\x04no",
        b"",
    ];
    let serve = tokio::spawn(async move {
        for greeting in greetings {
            use tokio::io::AsyncWriteExt;
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(greeting).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    for greeting in greetings {
        let endpoint = Endpoint::new("127.0.0.1", port, "u", "p").with_tls(Tls::new(TlsMode::Off));
        let error = Conn::connect(&endpoint).await.unwrap_err();
        assert!(
            matches!(
                error.class(),
                ErrorClass::ConnectFailed | ErrorClass::Protocol | ErrorClass::TooManyConnections
            ),
            "{greeting:?}: {error:?}"
        );
    }
    serve.await.unwrap();
}

#[tokio::test]
async fn init_statements_run_in_their_order() {
    for server in servers() {
        let endpoint = server
            .endpoint(Account::Dump)
            .with_init("SET @a = 'first'")
            .with_init("SET @a = CONCAT(@a, ' second')")
            .with_init("SET @a = CONCAT(@a, ' third')");
        let mut conn = Conn::connect(&endpoint).await.unwrap();
        let row = conn.query_one("SELECT @a").await.unwrap().unwrap();
        assert_eq!(row.text(0).unwrap(), "first second third");
        let bad = server.endpoint(Account::Dump).with_init("SET no_such_variable = 1");
        let error = Conn::connect(&bad).await.unwrap_err();
        assert_eq!(error.class(), ErrorClass::UnknownVariable, "{error:?}");
        assert!(error.to_string().contains("SET no_such_variable"), "{error}");
    }
}

#[tokio::test]
async fn too_many_connections() {
    let Some(server) = Server::start_or_skip(Kind::MySql57, Options::default()) else { return };
    server.sql("CREATE USER few IDENTIFIED BY 'pw' WITH MAX_USER_CONNECTIONS 1");
    let endpoint = Endpoint::new("127.0.0.1", server.port(), "few", "pw");
    let first = Conn::connect(&endpoint).await.unwrap();
    let error = Conn::connect(&endpoint).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::TooManyConnections, "{error:?}");
    first.close().await;
}
