//! Mutual TLS between master, workers and `ctl`: `ssl-ca`, `ssl-cert`, `ssl-key`, `cert-allowed-cn`.
//!
//! With it every port takes only clients that show a certificate of the CA, on every path (gRPC, `/status`, `/metrics`), and every
//! client takes only a server whose certificate is of the CA and of the host it was named by. The files are read once, at the
//! start. Facts: dm.md 2.1, 2.6.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use common::{
    error::{DmCode, DmError},
    secret::Secret,
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};
use tracing::{debug, info, warn};

/// How long a client may take for the handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The flags of master, worker and ctl; each goes before the same key of the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TlsFlags {
    /// Certificate (PEM) of the CA that the certificates of master, workers and ctl are of
    #[arg(long, value_name = "FILE")]
    pub ssl_ca: Option<PathBuf>,
    /// Own certificate (PEM)
    #[arg(long, value_name = "FILE")]
    pub ssl_cert: Option<PathBuf>,
    /// Key (PEM) of the own certificate
    #[arg(long, value_name = "FILE")]
    pub ssl_key: Option<PathBuf>,
}

impl TlsFlags {
    /// Flags before the keys of a file; an empty text is no file.
    #[must_use]
    pub fn or(&self, ca: &str, cert: &str, key: &str) -> Self {
        let or = |flag: &Option<PathBuf>, text: &str| {
            flag.clone().or_else(|| (!text.is_empty()).then(|| PathBuf::from(text)))
        };
        Self {
            ssl_ca: or(&self.ssl_ca, ca),
            ssl_cert: or(&self.ssl_cert, cert),
            ssl_key: or(&self.ssl_key, key),
        }
    }
}

/// What a process shows, and whom it trusts.
#[derive(Debug, Clone)]
pub struct Tls {
    ca: Vec<u8>,
    cert: Vec<u8>,
    key: Secret,
    server: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files. `None`: none is named, and nothing is encrypted. `allowed` are the common names of clients; all if empty.
    ///
    /// # Errors
    /// With the code `row`: only some of the three are named, a file can't be read or holds something else.
    pub fn load(
        flags: &TlsFlags,
        allowed: Vec<String>,
        row: &'static DmCode,
    ) -> Result<Option<Self>, DmError> {
        let files = [("ssl-ca", &flags.ssl_ca), ("ssl-cert", &flags.ssl_cert), ("ssl-key", &flags.ssl_key)];
        let missing: Vec<&str> = files.iter().filter(|(_, f)| f.is_none()).map(|(name, _)| *name).collect();
        let [Some(ca), Some(cert), Some(key)] = files.map(|(_, file)| file.as_ref()) else {
            if missing.len() == files.len() && allowed.is_empty() {
                return Ok(None);
            }
            return Err(row
                .error(format!(
                    "TLS needs ssl-ca, ssl-cert and ssl-key, and {} is missing",
                    missing.join(", ")
                ))
                .with_workaround("Set all three, or none and no cert-allowed-cn."));
        };
        let bad = |what: &str, file: &PathBuf, cause: String| {
            row.error(format!("{what} {}: {cause}", file.display()))
                .with_workaround("Name a PEM file that this process may read.")
        };
        let read = |what: &str, file: &PathBuf| {
            std::fs::read_to_string(file).map_err(|e| bad(what, file, e.to_string()))
        };
        let (ca_text, cert_text) = (read("ssl-ca", ca)?, read("ssl-cert", cert)?);
        let key_text = Secret::new(read("ssl-key", key)?);
        let mut roots = RootCertStore::empty();
        for root in certificates(&ca_text).map_err(|e| bad("ssl-ca", ca, e))? {
            roots.add(root).map_err(|e| bad("ssl-ca", ca, e.to_string()))?;
        }
        let chain = certificates(&cert_text).map_err(|e| bad("ssl-cert", cert, e))?;
        let private = PrivateKeyDer::from_pem_slice(key_text.expose().as_bytes())
            .map_err(|e| bad("ssl-key", key, e.to_string()))?;
        let server = server_config(roots, chain, private, allowed)
            .map_err(|e| bad("ssl-cert and ssl-key", cert, e.to_string()))?;
        let (ca, cert) = (ca_text.into_bytes(), cert_text.into_bytes());
        Ok(Some(Self { ca, cert, key: key_text, server: Arc::new(server) }))
    }

    fn client(&self) -> ClientTlsConfig {
        let identity = Identity::from_pem(&self.cert, self.key.expose());
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&self.ca)).identity(identity)
    }
}

/// Where a process listens: `host:port`, with TLS if there is some.
///
/// # Errors
/// An address that is none.
pub fn endpoint(tls: Option<&Tls>, address: &str) -> Result<Endpoint, tonic::transport::Error> {
    let address = bare(address);
    match tls {
        None => Endpoint::from_shared(format!("http://{address}")),
        Some(tls) => Endpoint::from_shared(format!("https://{address}"))?.tls_config(tls.client()),
    }
}

/// An address as DM's files write it, without its scheme.
pub fn bare(address: &str) -> &str {
    let address = address.trim();
    address.strip_prefix("http://").or_else(|| address.strip_prefix("https://")).unwrap_or(address)
}

/// Takes connections and makes them secure, many at a time; ends when nobody wants them any more.
pub fn accept(listener: TcpListener, tls: &Tls) -> ReceiverStream<io::Result<TlsStream<TcpStream>>> {
    let acceptor = TlsAcceptor::from(Arc::clone(&tls.server));
    let (tx, rx) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = tx.closed() => return,
                accepted = listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(e) => {
                    // Out of descriptors, mostly: some may be free again soon.
                    warn!(error = %e, "cannot take a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (acceptor, tx) = (acceptor.clone(), tx.clone());
            tokio::spawn(async move {
                let _fine_without = stream.set_nodelay(true);
                match tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => drop(tx.send(Ok(stream)).await),
                    // Anyone who reaches the port can cause it: no warning for each.
                    Ok(Err(e)) => {
                        info!(peer = %peer, error = %e, "a client without a good certificate is refused")
                    }
                    Err(_) => debug!(peer = %peer, "a client did not finish the handshake"),
                }
            });
        }
    });
    ReceiverStream::new(rx)
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => Err("no certificate in it".into()),
        Ok(found) => Ok(found),
        Err(e) => Err(e.to_string()),
    }
}

fn server_config(
    roots: RootCertStore,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    allowed: Vec<String>,
) -> Result<ServerConfig, Box<dyn std::error::Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let inner =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(OfNames { inner, allowed }))
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Certificates of the CA whose common name is one of these.
#[derive(Debug)]
struct OfNames {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<String>,
}

impl ClientCertVerifier for OfNames {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let name = common_name(end_entity);
        if self.allowed.is_empty() || name.as_ref().is_some_and(|name| self.allowed.contains(name)) {
            return Ok(verified);
        }
        info!(name = ?name.unwrap_or_default(), "the common name of a client's certificate is not in cert-allowed-cn");
        Err(rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
/// The version of a certificate, which those of version 1 do not state.
const VERSION: u8 = 0xa0;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// The last common name of a certificate's subject, as Go reads it; `None` if there is none that is text.
fn common_name(certificate: &[u8]) -> Option<String> {
    let mut certificate = certificate;
    let mut fields = of_tag(&mut certificate, SEQUENCE)?;
    let mut fields = of_tag(&mut fields, SEQUENCE)?;
    if fields.first() == Some(&VERSION) {
        element(&mut fields)?;
    }
    // Serial number, algorithm, issuer, validity.
    for _ in 0..4 {
        element(&mut fields)?;
    }
    let mut subject = of_tag(&mut fields, SEQUENCE)?;
    let mut name = None;
    while !subject.is_empty() {
        let (_set, mut attributes) = element(&mut subject)?;
        while !attributes.is_empty() {
            let mut attribute = of_tag(&mut attributes, SEQUENCE)?;
            let kind = of_tag(&mut attribute, OBJECT_ID)?;
            let (_form, text) = element(&mut attribute)?;
            if kind == COMMON_NAME {
                name = Some(String::from_utf8(text.to_vec()).ok()?);
            }
        }
    }
    name
}

fn of_tag<'a>(input: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (found, body) = element(input)?;
    (found == tag).then_some(body)
}

/// The next DER element: its tag and its body. Lengths of up to four bytes.
fn element<'a>(input: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&tag, rest) = input.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |sum, digit| sum << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (body, rest) = rest.split_at_checked(length)?;
    *input = rest;
    Some((tag, body))
}

#[cfg(test)]
mod tests {
    use common::error::dm_codes as code;
    use proptest::prelude::*;
    use testkit::Certificates;

    use super::*;

    fn flags(certs: &Certificates, ca: &str, cert: &str, key: &str) -> TlsFlags {
        let file = |name: &str| certs.file(name);
        TlsFlags { ssl_ca: Some(file(ca)), ssl_cert: Some(file(cert)), ssl_key: Some(file(key)) }
    }

    #[test]
    fn names_of_certificates() {
        let certs = Certificates::new();
        for (file, name) in [("client.pem", "rmt test client"), ("ca.pem", "rmt test ca")] {
            let pem = std::fs::read_to_string(certs.file(file)).unwrap();
            let der = certificates(&pem).unwrap();
            assert_eq!(common_name(&der[0]).as_deref(), Some(name));
            for cut in 0..der[0].len() {
                assert!(common_name(&der[0][..cut]).is_none_or(|n| n == name));
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_no_certificate_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            common_name(&bytes);
        }
    }

    #[test]
    fn files_that_cannot_be_used() {
        let certs = Certificates::new();
        let row = &code::MASTER_TLS_CONFIG_NOT_VALID;
        assert!(Tls::load(&TlsFlags::default(), Vec::new(), row).unwrap().is_none());
        let good = flags(&certs, "ca.pem", "server.pem", "server-key.pem");
        assert!(Tls::load(&good, Vec::new(), row).unwrap().is_some());
        let says = |flags: &TlsFlags| Tls::load(flags, Vec::new(), row).unwrap_err().to_string();
        let text = says(&TlsFlags { ssl_key: None, ..good.clone() });
        assert!(text.contains("ssl-key is missing") && text.contains("code=38051"), "{text}");
        let text = Tls::load(&TlsFlags::default(), vec!["a".into()], row).unwrap_err().to_string();
        assert!(text.contains("ssl-ca, ssl-cert, ssl-key is missing"), "{text}");
        assert!(
            says(&flags(&certs, "nowhere.pem", "server.pem", "server-key.pem"))
                .contains("nowhere.pem: No such file")
        );
        assert!(
            says(&flags(&certs, "server.csr", "server.pem", "server-key.pem"))
                .contains("no certificate in it")
        );
        let other = says(&flags(&certs, "ca.pem", "server.pem", "client-key.pem"));
        assert!(other.contains("ssl-cert and ssl-key"), "{other}");
    }
}
