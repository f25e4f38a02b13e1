//! wire: a server that asks for the password in the clear gets it only under TLS with a checked certificate, and only if that was
//! allowed. No server here has such a plugin, so one is played.

use std::sync::Arc;

use mysql::wire::WireConn;
use mysql::{Endpoint, ErrorClass, Tls, TlsMode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use testkit::sql::Certificates;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const SSL: u32 = 1 << 11;

fn greeting(capabilities: u32) -> Vec<u8> {
    let mut out = b"\x0a9.0.0\0\x01\0\0\x0012345678\0".to_vec();
    out.extend_from_slice(&(capabilities as u16).to_le_bytes());
    out.extend_from_slice(&[45, 2, 0]);
    out.extend_from_slice(&((capabilities >> 16) as u16).to_le_bytes());
    out.push(21);
    out.extend_from_slice(&[0; 10]);
    out.extend_from_slice(b"abcdefghijkl\0caching_sha2_password\0");
    out
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), sequence: u8, payload: &[u8]) {
    let length = (payload.len() as u32).to_le_bytes();
    let packet = [&[length[0], length[1], length[2], sequence], payload].concat();
    // The client may be gone by then.
    let _ = stream.write_all(&packet).await;
    let _ = stream.flush().await;
}

async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 4];
    stream.read_exact(&mut header).await.ok()?;
    let mut payload = vec![0; u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize];
    stream.read_exact(&mut payload).await.ok()?;
    Some((header[3], payload))
}

/// From the answer to the greeting on: asks for the password and gives what came.
async fn ask_for_password(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<Vec<u8>> {
    let (sequence, _answer) = receive(&mut stream).await?;
    send(&mut stream, sequence + 1, b"\xfemysql_clear_password\0").await;
    let (sequence, password) = receive(&mut stream).await?;
    send(&mut stream, sequence + 1, &[0, 0, 0, 2, 0, 0, 0]).await;
    Some(password)
}

/// One connection of a server; `extra` follows the greeting in the clear.
async fn serve(
    listener: &TcpListener,
    certificates: &Certificates,
    extra: &[u8],
    tls: bool,
) -> Option<Vec<u8>> {
    let (mut stream, _) = listener.accept().await.unwrap();
    let capabilities = 0x0038_a205 | if tls { SSL } else { 0 };
    let mut first = Vec::new();
    send(&mut first, 0, &greeting(capabilities)).await;
    first.extend_from_slice(extra);
    stream.write_all(&first).await.unwrap();
    if !tls {
        return ask_for_password(stream).await;
    }
    receive(&mut stream).await?;
    let chain =
        CertificateDer::pem_file_iter(certificates.file("server.pem")).unwrap().map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(certificates.file("server-key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    ask_for_password(TlsAcceptor::from(Arc::new(config)).accept(stream).await.ok()?).await
}

#[tokio::test]
async fn the_password_goes_in_the_clear_only_where_it_may() {
    let certificates = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cases = [
        // Allowed, mode, the server has TLS, gets through.
        (true, TlsMode::VerifyCa, true, true),
        (true, TlsMode::VerifyIdentity, true, true),
        (true, TlsMode::Required, true, false),
        (true, TlsMode::Preferred, true, false),
        (true, TlsMode::Preferred, false, false),
        (true, TlsMode::Off, false, false),
        (false, TlsMode::VerifyIdentity, true, false),
        (false, TlsMode::Off, false, false),
    ];
    for (allowed, mode, tls, through) in cases {
        let mut endpoint =
            Endpoint::new("127.0.0.1", port, "u", "hunter2").with_tls(certificates.client(mode));
        endpoint.cleartext_password = allowed;
        // The client's end closes the server's, too.
        let client = async {
            let outcome = WireConn::connect(&endpoint).await;
            outcome.map(drop)
        };
        let (outcome, got) = tokio::join!(client, serve(&listener, &certificates, &[], tls));
        let what = format!("allowed {allowed}, {mode}, TLS {tls}: {outcome:?}");
        if through {
            assert!(outcome.is_ok(), "{what}");
            assert_eq!(got.as_deref(), Some(&b"hunter2\0"[..]), "{what}");
        } else {
            assert_eq!(got, None, "{what}");
            let error = outcome.unwrap_err();
            assert_eq!(error.class(), ErrorClass::Unsupported, "{what}");
            assert!(error.to_string().contains("in the clear"), "{what}");
        }
    }
}

#[tokio::test]
async fn nothing_said_before_tls_counts_under_it() {
    let certificates = Certificates::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let endpoint = Endpoint::new("127.0.0.1", port, "u", "p").with_tls(Tls::new(TlsMode::Required));
    // An OK to a login that was not made yet.
    let forged = [7, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0];
    let client = async { WireConn::connect(&endpoint).await.map(drop) };
    let (outcome, _) = tokio::join!(client, serve(&listener, &certificates, &forged, true));
    assert_eq!(outcome.unwrap_err().class(), ErrorClass::Protocol);
}
